package kubernetes

import (
	"context"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/kube"
)

// scene is what is seen of a namespace while hits on it are followed. It watches pods
// and events from a resource version on that was read before the first harm, so that
// nothing is missed and nothing older is taken for new. Without the right to watch pods
// it lists them again and again; without that to see events it goes without.
type scene struct {
	place

	begin  sync.Mutex // held while the first hit looks, so that no other is done before
	looked time.Time  // when that was

	mu       sync.Mutex               // see unlock
	followed []*pursuit               // in the order of the hits
	hits     map[string]*pursuit      // those of followed that were not left, by the hit's ID
	about    map[types.UID][]*pursuit // by the pod that was hit, and by its replacement
	spare    map[types.UID]*corev1.Pod
	recent   map[types.UID][]*corev1.Event

	// from and eventsFrom are where the watches go on. An empty one has to look first.
	from, eventsFrom string
	polls            bool // pods are listed, as they may not be watched
	// known are pods that were there before the first harm, as far as that has to be
	// remembered.
	known map[types.UID]bool

	found []func() // tells what was found; see unlock

	users int
	stop  context.CancelFunc
}

// unlock also tells what was found under the lock: whoever is told may take its time,
// which must not hold up the next hit.
func (s *scene) unlock() {
	found := s.found
	s.found = nil
	s.mu.Unlock()
	for _, tell := range found {
		tell()
	}
}

// Paces of the feeds.
const (
	pollPace  = 200 * time.Millisecond // and never more than a fifth of the time
	retryPace = 500 * time.Millisecond
)

// clocksApart is how much older than a hit, by the clocks of two machines, a pod must
// be to be surely no replacement.
const clocksApart = 2 * time.Second

// watchRight is what is asked for: to list pods again and again does too.
func watchRight(namespace string) kube.Right {
	return kube.Right{Verb: "watch", Resource: kube.Pods, Namespace: namespace, Why: "follow what becomes of a hit without listing pods five times a second"}
}

// Wishes lists rights that following a hit is better with, and goes without.
func (p Pods) Wishes() []kube.Right {
	var list []kube.Right
	for _, namespace := range p.granted() {
		list = append(list, watchRight(namespace))
		for _, verb := range []string{"list", "watch"} {
			list = append(list, kube.Right{Verb: verb, Resource: kube.Events, Namespace: namespace, Why: "tell what Kubernetes says of a hit"})
		}
	}
	return list
}

// add notes a hit that is about to be done.
func (s *scene) add(ctx context.Context, hit string, r record) *pursuit {
	p := &pursuit{scene: s, hit: hit, r: r, told: map[string]bool{}}
	s.begin.Lock()
	defer s.begin.Unlock()
	s.mu.Lock()
	first := len(s.followed) == 0
	for _, other := range s.about[types.UID(r.Object.UID)] {
		if string(other.successor) == r.Object.UID && !other.over {
			other.find("lost", "pod %s, which replaced %s, was hit itself before it was ready", other.name, other.r.Object.Name)
			other.end()
		}
	}
	s.followed = append(s.followed, p)
	if s.hits == nil {
		s.hits = map[string]*pursuit{}
	}
	if s.hits[hit] == nil {
		s.hits[hit] = p
	}
	s.note(types.UID(r.Object.UID), p)
	delete(s.spare, types.UID(r.Object.UID))
	p.began = time.Now()
	s.unlock()
	if first && time.Since(s.looked) > lookLasts {
		s.look(ctx)
	}
	s.mu.Lock()
	p.began = time.Now()
	s.mu.Unlock()
	return p
}

// lookLasts is how long before the first hit the scene may have been looked at: pods
// that came since count as new.
const lookLasts = time.Second

// prepare looks at the scene before a round, of which none needs to wait for it then.
func (s *scene) prepare(ctx context.Context) {
	s.begin.Lock()
	defer s.begin.Unlock()
	s.mu.Lock()
	idle := len(s.followed) == 0
	s.mu.Unlock()
	if idle {
		s.look(ctx)
	}
}

// look reads where the watches begin. Hits wait for it, so it asks for everything at
// once.
func (s *scene) look(ctx context.Context) {
	s.looked = time.Now()
	right := watchRight(s.namespace)
	var polls bool
	var from, eventsFrom string // empty: look again
	var looks sync.WaitGroup
	looks.Go(func() { polls = s.client.Allowed(ctx, []kube.Right{right}) != nil })
	looks.Go(func() { from, _ = kube.Here(ctx, s.client, kube.Pods, s.namespace, new(corev1.PodList)) })
	looks.Go(func() { eventsFrom, _ = kube.Here(ctx, s.client, kube.Events, s.namespace, new(corev1.EventList)) })
	looks.Wait()
	known := map[types.UID]bool{}
	if polls {
		// What cannot be listed now cannot be listed later: then nothing is found.
		_ = s.list(ctx, func(pod *corev1.Pod) { known[pod.UID] = true }, func() { clear(known) })
		from = ""
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.from, s.eventsFrom, s.polls, s.known, s.spare, s.recent = from, eventsFrom, polls, known, nil, nil
}

func (s *scene) list(ctx context.Context, each func(*corev1.Pod), again func()) error {
	return kube.List(ctx, s.client, kube.Pods, s.namespace, metav1.ListOptions{}, func(page *corev1.PodList) error {
		for i := range page.Items {
			each(&page.Items[i])
		}
		return nil
	}, func() *corev1.PodList { return new(corev1.PodList) }, again)
}

// remove forgets a hit.
func (s *scene) remove(p *pursuit) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget(p)
}

// forget tells whether the hit was known.
func (s *scene) forget(p *pursuit) bool {
	i := slices.Index(s.followed, p)
	if i < 0 {
		return false
	}
	s.followed = slices.Delete(s.followed, i, i+1)
	if s.hits[p.hit] == p {
		delete(s.hits, p.hit)
	}
	s.drop(types.UID(p.r.Object.UID), p)
	s.drop(p.successor, p)
	return true
}

// join begins to follow a hit; the first starts the feeds. Done is called when it is
// left.
func (s *scene) join(ctx context.Context, hit string, r record, tell func(experiments.Finding), done func()) *pursuit {
	s.mu.Lock()
	p := s.hits[hit]
	s.mu.Unlock()
	if p == nil {
		p = s.add(ctx, hit, r) // it was done elsewhere
	}
	s.mu.Lock()
	defer s.unlock()
	p.tell, p.done = tell, done
	for _, finding := range p.held {
		p.put(finding)
	}
	p.held = nil
	if p.over {
		p.leaveLater()
	}
	s.users++
	if s.users == 1 {
		var feeding context.Context
		feeding, s.stop = context.WithCancel(context.WithoutCancel(ctx))
		go s.feedPods(feeding)
		go s.feedEvents(feeding)
	}
	return p
}

// leave ends following a hit that was joined; the last ends the feeds.
func (s *scene) leave(p *pursuit) {
	s.mu.Lock()
	defer s.unlock()
	if !s.forget(p) {
		return // it was left already
	}
	s.users--
	if s.users == 0 {
		s.stop() // under the lock: from here on its feeds have no say
	}
	s.found = append(s.found, p.done)
}

// feedPods takes in what happens to pods until ctx ends.
func (s *scene) feedPods(ctx context.Context) {
	for ctx.Err() == nil {
		s.mu.Lock()
		from, polls := s.from, s.polls
		s.mu.Unlock()
		if polls || from == "" {
			wait := s.relist(ctx, polls)
			idle(ctx, wait)
			continue
		}
		began := from
		from, err := kube.Watch(ctx, s.client, kube.Pods, s.namespace, "", from, func(kind watch.EventType, object runtime.Object) {
			if pod, ok := object.(*corev1.Pod); ok {
				s.pod(ctx, kind, pod, kind == watch.Added)
				s.reach(ctx, pod.ResourceVersion)
			}
		})
		s.reach(ctx, from)
		s.mu.Lock()
		switch {
		case ctx.Err() != nil:
		case kube.Expired(err), err != nil && from == began:
			// Look, and go on from there: whatever does not let watches through may never do.
			s.from = ""
		case kube.Forbidden(err):
			s.polls = true
		}
		s.mu.Unlock()
		if err != nil {
			idle(ctx, retryPace)
		}
	}
}

// reach notes up to where everything was taken in.
func (s *scene) reach(feed context.Context, from string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if feed.Err() == nil {
		s.from = from
	}
}

// relist takes in how all pods stand, and says when to do it again.
func (s *scene) relist(ctx context.Context, polls bool) time.Duration {
	began := time.Now()
	from := ""
	if !polls {
		// The watch goes on from before the list: to see something twice is harmless.
		from, _ = kube.Here(ctx, s.client, kube.Pods, s.namespace, new(corev1.PodList))
	}
	var pods []*corev1.Pod
	err := s.list(ctx, func(pod *corev1.Pod) {
		if s.concerns(pod) {
			pods = append(pods, pod.DeepCopy()) // a page of them is not kept for a few
		}
	}, func() { pods = nil })
	if err != nil {
		return retryPace
	}
	s.mu.Lock()
	missing := map[types.UID]bool{}
	for uid := range s.about {
		missing[uid] = true
	}
	if !polls && ctx.Err() == nil {
		s.from = from
		s.old(pods)
	}
	s.mu.Unlock()
	for _, pod := range pods {
		delete(missing, pod.UID)
		s.pod(ctx, watch.Modified, pod, true)
	}
	for uid := range missing {
		s.pod(ctx, watch.Deleted, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: uid, Namespace: s.namespace}}, false)
	}
	if !polls {
		return 0
	}
	return max(pollPace, 4*time.Since(began))
}

// concerns tells whether a pod is of a workload that a hit is on, or itself hit.
func (s *scene) concerns(pod *corev1.Pod) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	owner := controllerUID(pod.OwnerReferences)
	return s.assigned(pod.UID) || owner != "" && slices.ContainsFunc(s.followed, func(p *pursuit) bool {
		return p.r.Pod != nil && p.r.Pod.OwnerUID == owner
	})
}

// old notes the pods that are older than every hit: events were missed, so there is
// nothing but their age to tell by.
func (s *scene) old(pods []*corev1.Pod) {
	first := time.Now()
	for _, p := range s.followed {
		if p.began.Before(first) {
			first = p.began
		}
	}
	if s.known == nil {
		s.known = map[types.UID]bool{}
	}
	for _, pod := range pods {
		if pod.CreationTimestamp.Time.Before(first.Add(-clocksApart)) {
			s.known[pod.UID] = true
		}
	}
}

// ofPods selects the events of pods.
const ofPods = "involvedObject.kind=Pod"

// feedEvents takes in what Kubernetes says, as far as that may be read.
func (s *scene) feedEvents(ctx context.Context) {
	for ctx.Err() == nil {
		s.mu.Lock()
		from := s.eventsFrom
		s.mu.Unlock()
		var err error
		if from == "" {
			from, err = kube.Here(ctx, s.client, kube.Events, s.namespace, new(corev1.EventList))
		}
		if err == nil {
			from, err = kube.Watch(ctx, s.client, kube.Events, s.namespace, ofPods, from, func(_ watch.EventType, object runtime.Object) {
				if event, ok := object.(*corev1.Event); ok {
					s.event(ctx, event)
				}
			})
		}
		if kube.Forbidden(err) {
			return
		}
		if kube.Expired(err) {
			from = ""
		}
		s.mu.Lock()
		if ctx.Err() == nil {
			s.eventsFrom = from
		}
		s.mu.Unlock()
		if err != nil {
			idle(ctx, retryPace)
		}
	}
}

// idle waits, or until ctx ends.
func idle(ctx context.Context, wait time.Duration) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
