package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/kube"
	"github.com/gameday-sh/gameday/internal/textsafe"
)

// Following tells what becomes of the pods that a fault hits: when one is gone, when
// another replaces it, when that one runs and is ready, and what Kubernetes' own events
// say of both. It implements [experiments.Follower].
//
// All hits of a fault share what is seen of a namespace, so that a pod replaces one of
// them and not several: the one that was hit first and has none yet.
type Following struct {
	ways   routes
	mu     sync.Mutex
	scenes map[place]*scene
}

// place is where hits share what is seen: a namespace of a cluster.
type place struct {
	client    *kube.Client
	namespace string
}

// pursuit is one hit that is followed.
type pursuit struct {
	scene *scene
	hit   string
	r     record
	began time.Time // just before the harm

	successor types.UID
	name      string // of the successor
	told      map[string]bool
	events    int

	tell func(experiments.Finding) // nil until it is followed
	held []experiments.Finding     // what was found until then
	over bool                      // nothing more is to be told but late events
	done func()                    // called when it is left
}

// mostEvents is how many Kubernetes events are told of one hit.
const mostEvents = 12

// followed does the harm of a hit, and has noted before what the scene looked like. What
// fails of that keeps no fault from acting.
func (f *Following) followed(ctx context.Context, h experiments.Hit, harm func(record, *kube.Client) (experiments.Proof, error)) (experiments.Proof, error) {
	r, client, err := f.ways.read(h)
	if err != nil {
		return experiments.Proof{}, err
	}
	s := f.scene(r, client)
	p := s.add(ctx, h.ID, r)
	if ctx.Err() != nil {
		s.remove(p)
		return experiments.Proof{}, context.Cause(ctx)
	}
	proof, err := harm(r, client)
	if err != nil {
		s.remove(p) // nothing replaces what was not taken
	}
	return proof, err
}

// Gone implements [experiments.Fleeting]: a pod that was planned may have been replaced
// since, by another fault of the scenario, a rollout or an autoscaler.
func (f *Following) Gone(ctx context.Context, hits []experiments.Hit) (targets []string, err error) {
	records, scenes := make([]record, len(hits)), map[*scene][]int{}
	for i, h := range hits {
		r, client, err := f.ways.read(h)
		if err != nil {
			return nil, err
		}
		s := f.scene(r, client)
		records[i], scenes[s] = r, append(scenes[s], i)
	}
	gone, problems := make([]bool, len(hits)), make([]error, len(hits))
	var looks errgroup.Group
	looks.SetLimit(looksAtOnce)
	for s := range scenes {
		looks.Go(func() error { s.prepare(ctx); return nil })
	}
	for s, list := range scenes {
		there := s.there(ctx, len(list))
		for _, i := range list {
			if there != nil {
				gone[i] = !there[types.UID(records[i].Object.UID)]
				continue
			}
			looks.Go(func() error {
				_, gone[i], problems[i] = records[i].version(ctx, s.client)
				return nil // one that cannot be read says nothing of the others
			})
		}
	}
	_ = looks.Wait() // see problems
	for i, h := range hits {
		if gone[i] {
			targets = append(targets, h.Target)
		}
	}
	return targets, errors.Join(problems...)
}

// looksAtOnce is how many pods are looked at side by side.
const looksAtOnce = 16

// there gives the pods of the namespace that are not on their way out, if so many of
// them are to be looked for that one list is less work for the API server, and the
// namespace does not hold far more.
func (s *scene) there(ctx context.Context, wanted int) map[types.UID]bool {
	if wanted < 2*looksAtOnce {
		return nil
	}
	list, err := s.client.Metadata(ctx, kube.Pods, s.namespace, "", 4*wanted)
	if err != nil {
		return nil // a look at each will do
	}
	there := make(map[types.UID]bool, len(list))
	for i := range list {
		if list[i].DeletionTimestamp == nil {
			there[list[i].UID] = true
		}
	}
	return there
}

func (f *Following) scene(r record, client *kube.Client) *scene {
	f.mu.Lock()
	defer f.mu.Unlock()
	at := place{client, r.Object.Namespace}
	if f.scenes == nil {
		f.scenes = map[place]*scene{}
	}
	if f.scenes[at] == nil {
		f.scenes[at] = &scene{place: at}
	}
	return f.scenes[at]
}

// Follow implements [experiments.Follower].
func (f *Following) Follow(ctx context.Context, hits <-chan experiments.Hit, tell func(string, experiments.Finding)) error {
	var open sync.WaitGroup
	var problems []error
	var joined []*pursuit
	var telling sync.RWMutex // a scene may still be about to tell when it is left
	over := false
	defer func() {
		telling.Lock()
		defer telling.Unlock()
		over = true
	}()
	for h := range hits {
		r, client, err := f.ways.read(h)
		if err != nil || r.Object.Resource != kube.Pods.Name {
			problems = append(problems, err)
			continue
		}
		open.Add(1)
		joined = append(joined, f.scene(r, client).join(ctx, h.ID, r, func(found experiments.Finding) {
			telling.RLock()
			defer telling.RUnlock()
			if !over {
				tell(h.ID, found)
			}
		}, open.Done))
	}
	settled := make(chan struct{})
	go func() {
		open.Wait()
		close(settled)
	}()
	select {
	case <-settled:
	case <-ctx.Done():
	}
	for _, p := range joined {
		p.scene.leave(p)
	}
	return errors.Join(problems...)
}

// eventsLate is how long Kubernetes' events may come after what they tell of: whoever
// records them does so when there is time.
const eventsLate = 1500 * time.Millisecond

// find tells a finding, the first of its name.
func (p *pursuit) find(name, format string, words ...any) {
	if p.told[name] || p.over {
		return
	}
	p.told[name] = true
	p.put(experiments.Finding{Name: name, After: time.Since(p.began), Text: fmt.Sprintf(format, words...)})
}

// put has a finding told by whoever unlocks the scene.
func (p *pursuit) put(finding experiments.Finding) {
	if p.tell == nil {
		p.held = append(p.held, finding)
		return
	}
	p.scene.found = append(p.scene.found, func() { p.tell(finding) })
}

func (p *pursuit) end() {
	p.over = true
	if p.tell != nil {
		p.leaveLater()
	}
}

func (p *pursuit) leaveLater() { time.AfterFunc(eventsLate, func() { p.scene.leave(p) }) }

// removes tells whether the hit takes its pod away, so that another replaces it.
func (p *pursuit) removes() bool { return p.r.Pod != nil && p.r.Signal == nil && p.r.Edit == nil }

// waits tells whether a pod of an owner, which came now, may be the replacement.
func (p *pursuit) waits(owner string, pod types.UID) bool {
	return p.removes() && !p.over && p.successor == "" && owner != "" && owner == p.r.Pod.OwnerUID && string(pod) != p.r.Object.UID
}

// pod takes in what was seen of a pod. New tells that it may have been created since
// the first hit. A feed that was ended has no say any more.
func (s *scene) pod(feed context.Context, kind watch.EventType, pod *corev1.Pod, isNew bool) {
	s.mu.Lock()
	defer s.unlock()
	if feed.Err() != nil {
		return
	}
	if isNew && !s.known[pod.UID] && !s.assigned(pod.UID) {
		s.arrive(pod)
	}
	if kind == watch.Deleted {
		delete(s.spare, pod.UID)
		delete(s.recent, pod.UID)
	}
	for _, p := range slices.Clone(s.about[pod.UID]) { // one that is lost begins anew
		switch {
		case p.over:
		case string(pod.UID) == p.r.Object.UID:
			p.victim(kind, pod)
		case pod.UID == p.successor && kind == watch.Deleted:
			s.lost(p)
		case pod.UID == p.successor:
			p.replaced(pod)
		}
	}
}

// assigned tells whether a pod is known as the target or the replacement of a hit.
func (s *scene) assigned(uid types.UID) bool { return len(s.about[uid]) > 0 }

// note has what is seen of a pod told to a hit: it is its target or its replacement.
func (s *scene) note(uid types.UID, p *pursuit) {
	if s.about == nil {
		s.about = map[types.UID][]*pursuit{}
	}
	s.about[uid] = append(s.about[uid], p)
}

// drop ends that.
func (s *scene) drop(uid types.UID, p *pursuit) {
	rest := slices.DeleteFunc(s.about[uid], func(one *pursuit) bool { return one == p })
	if s.about[uid] = rest; len(rest) == 0 {
		delete(s.about, uid)
	}
}

// arrive gives a pod that came to the first hit that waits for one like it; where none
// does it is kept, for a hit whose replacement gets lost.
func (s *scene) arrive(pod *corev1.Pod) {
	owner := controllerUID(pod.OwnerReferences)
	hit := false
	for _, p := range s.followed {
		if p.waits(owner, pod.UID) {
			s.assign(p, pod)
			return
		}
		hit = hit || p.r.Pod != nil && p.r.Pod.OwnerUID == owner
	}
	if !hit {
		return // a pod of a workload that no hit is on
	}
	if s.spare == nil {
		s.spare = map[types.UID]*corev1.Pod{}
	}
	s.spare[pod.UID] = pod
}

func (s *scene) assign(p *pursuit, pod *corev1.Pod) {
	p.successor, p.name = pod.UID, pod.Name
	s.note(pod.UID, p)
	delete(s.spare, pod.UID)
	if s.known == nil {
		s.known = map[types.UID]bool{}
	}
	s.known[pod.UID] = true // it replaces no other one, ever
	p.find("replaced", "pod %s (UID %s) replaces %s", pod.Name, pod.UID, p.r.Object.Name)
	for _, event := range s.recent[pod.UID] {
		p.event(event)
	}
	delete(s.recent, pod.UID)
	p.replaced(pod)
}

// replaced takes in how the replacement stands.
func (p *pursuit) replaced(pod *corev1.Pod) {
	if kube.Ready(pod) {
		p.find("ready", "pod %s is ready on node %s", pod.Name, pod.Spec.NodeName)
		p.end()
		return
	}
	switch pod.Status.Phase {
	case corev1.PodRunning:
		p.find("running", "pod %s is Running on node %s, and not ready yet", pod.Name, pod.Spec.NodeName)
	case corev1.PodFailed, corev1.PodSucceeded:
		p.find("failed", "pod %s, which replaces %s, is %s", pod.Name, p.r.Object.Name, pod.Status.Phase)
	}
}

// lost deals with a replacement that went before it was ready: the next one takes its
// place. (Where it is the target of another hit, the next one is for that; see add.)
func (s *scene) lost(p *pursuit) {
	p.find("lost", "pod %s, which replaced %s, is gone before it was ready", p.name, p.r.Object.Name)
	s.drop(p.successor, p)
	p.successor, p.name = "", ""
	delete(p.told, "replaced")
	for _, pod := range s.spare {
		if p.waits(controllerUID(pod.OwnerReferences), pod.UID) {
			s.assign(p, pod)
			return
		}
	}
}

// victim takes in how the pod that was hit stands.
func (p *pursuit) victim(kind watch.EventType, pod *corev1.Pod) {
	if kind == watch.Deleted {
		p.find("gone", "pod %s is gone", p.r.Object.Name)
		if !p.removes() || p.r.Pod.OwnerUID == "" {
			p.end() // nothing replaces it
		}
		return
	}
	switch {
	case p.removes():
	case p.r.Signal != nil:
		status := container(pod, p.r.Signal.Container)
		if status != nil && status.ContainerID != p.r.Signal.ID && status.State.Running != nil {
			p.find("restarted", "container %s of pod %s runs again, after %s", status.Name, pod.Name, plural(int(status.RestartCount), "restart"))
			if kube.Ready(pod) {
				p.find("ready", "pod %s is ready again on node %s", pod.Name, pod.Spec.NodeName)
				p.end()
			}
		}
	case !kube.Ready(pod):
		p.find("unready", "pod %s is not ready", pod.Name)
	case pod.Annotations[HitAnnotation] == "" && p.told["marked"]:
		if p.told["unready"] {
			p.find("ready", "pod %s is ready again on node %s", pod.Name, pod.Spec.NodeName)
		}
		p.end() // mended, and nothing more to tell
	}
	if p.r.Edit != nil && pod.Annotations[HitAnnotation] != "" {
		p.told["marked"] = true
	}
}

// event takes in what Kubernetes itself says of a pod.
func (s *scene) event(feed context.Context, event *corev1.Event) {
	s.mu.Lock()
	defer s.unlock()
	if feed.Err() != nil {
		return
	}
	s.eventsFrom = event.ResourceVersion
	if event.InvolvedObject.Kind != "Pod" {
		return
	}
	uid := event.InvolvedObject.UID
	if !s.assigned(uid) {
		// It may be that of a replacement whose coming is not seen yet.
		if s.recent == nil || len(s.recent) > mostRecent {
			s.recent = map[types.UID][]*corev1.Event{}
		}
		if len(s.recent[uid]) < mostEvents {
			s.recent[uid] = append(s.recent[uid], event)
		}
		return
	}
	for _, p := range s.about[uid] {
		p.event(event)
	}
}

// mostRecent is of how many pods events are kept that may yet be of interest.
const mostRecent = 256

// event tells an event, each reason of each pod once.
func (p *pursuit) event(event *corev1.Event) {
	key := "event " + string(event.InvolvedObject.UID) + event.Reason
	if p.told[key] || p.events >= mostEvents {
		return
	}
	p.told[key] = true
	p.events++
	p.put(experiments.Finding{Name: "event", After: time.Since(p.began), Source: source(event),
		Text: textsafe.Line(fmt.Sprintf("pod %s: %s: %s", event.InvolvedObject.Name, event.Reason, event.Message), 300)})
}

// source says who an event is from: "kubelet on worker-1".
func source(event *corev1.Event) string {
	who := event.Source.Component
	if who == "" {
		who = event.ReportingController
	}
	if who == "" {
		who = "unknown source"
	}
	if event.Source.Host != "" {
		who += " on " + event.Source.Host
	}
	return textsafe.Line("Kubernetes event of "+who, 120)
}
