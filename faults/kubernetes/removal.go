package kubernetes

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/kube"
)

// What pod_kill and pod_evict have in common: a pod is pinned, removed, and seen to
// go; nothing is left to undo.

// podRecord is what a hit on a pod needs beside the pod itself.
type podRecord struct {
	Node string `json:"node,omitempty"`
	// Owner is the workload, "ReplicaSet checkout-7f9c", and OwnerUID pins it.
	Owner    string `json:"owner,omitempty"`
	OwnerUID string `json:"owner_uid,omitempty"`
	Grace    *int64 `json:"grace_s,omitempty"`
	// Version is what the plan saw: a pod that changed since is looked at again.
	Version string `json:"version,omitempty"`
}

// removal is the rights to find pods and remove them.
func (p Pods) removal(verb, sub, why string) []kube.Right {
	list := append(p.podRights(), p.readyRights()...)
	for _, namespace := range p.granted() {
		list = append(list, kube.Right{Verb: verb, Resource: kube.Pods, Sub: sub, Namespace: namespace, Why: why})
		list = append(list, leaseRights(namespace, leaseName)...)
	}
	return list
}

// plan chooses pods and makes a hit of each.
func (p Pods) plan(ctx context.Context, d experiments.Draw, rights []kube.Right, effect string, grace *int64) ([]experiments.Hit, error) {
	client, err := p.Kubernetes.Client()
	if err != nil {
		return nil, err
	}
	if d.Round == 1 {
		if err := client.Allowed(ctx, rights); err != nil {
			return nil, err
		}
	}
	pods, words, err := p.choose(ctx, client, d)
	if err != nil {
		return nil, err
	}
	ledger := newLedger(client, p.MinReady, d.Round)
	var hits []experiments.Hit
	for i := range pods {
		pod := &pods[i]
		takes, err := ledger.of(ctx, pod)
		if err != nil {
			return nil, err
		}
		r := record{Reach: client.Reach(), Object: pinned(kube.Pods, pod.Namespace, pod.Name, string(pod.UID)),
			Pod: &podRecord{Node: pod.Spec.NodeName, Owner: controller(pod.OwnerReferences), OwnerUID: controllerUID(pod.OwnerReferences), Grace: grace, Version: pod.ResourceVersion}}
		hit, err := newHit(r, d, podEffect(effect, words, pod), "nothing to undo: "+comesBack(pod), "")
		if err != nil {
			return nil, err
		}
		hit.Takes = takes
		hits = append(hits, hit)
	}
	return hits, nil
}

// podEffect says what is done to a pod, of how many it is, and which it is.
func podEffect(effect, words string, pod *corev1.Pod) string {
	text := fmt.Sprintf("%s (%s; UID %s", effect, words, pod.UID)
	if pod.Spec.NodeName != "" {
		text += ", on node " + pod.Spec.NodeName
	}
	return text + ")"
}

func comesBack(pod *corev1.Pod) string {
	if owner := controller(pod.OwnerReferences); owner != "" {
		return owner + " makes a new one"
	}
	return "the pod belongs to no workload and STAYS GONE"
}

// comeBack says what becomes of the pods of a node that have to go.
func comeBack(pods []corev1.Pod) string {
	var bare []string
	for i := range pods {
		if controller(pods[i].OwnerReferences) == "" {
			bare = append(bare, pods[i].Namespace+"/"+pods[i].Name)
		}
	}
	text := "the pods come back where there is room"
	if len(bare) > 0 {
		text += ", but not these, which belong to no workload and STAY GONE: " + several(bare)
	}
	return text
}

func controllerUID(owners []metav1.OwnerReference) string {
	for _, owner := range owners {
		if owner.Controller != nil && *owner.Controller {
			return string(owner.UID)
		}
	}
	return ""
}

// injectRemoval removes the pod that was planned, and no other, and sees it go. What
// remove answers with is of the pod as it was stored then, if it answers at all.
//
// The call goes through only if the pod is as it was looked at last, by the plan or
// since: so nobody's opting out in between is missed, and no look just before is needed.
func (r record) injectRemoval(ctx context.Context, client *kube.Client, remove func(metav1.DeleteOptions) (metav1.ObjectMeta, error)) (experiments.Proof, error) {
	if r.Pod == nil {
		return experiments.Proof{}, fmt.Errorf("the record of the hit on %s tells of no pod", r.Object)
	}
	uid, version := types.UID(r.Object.UID), r.Pod.Version
	lost := false // the answer to a call: it may have been carried out
	for try := 1; ; try++ {
		if version == "" {
			var gone bool
			var err error
			if version, gone, err = r.version(ctx, client); err != nil {
				return experiments.Proof{}, err
			}
			switch {
			case gone && lost:
				seen, _, err := r.going(ctx, client.Get)
				return experiments.Proof{Seen: seen}, err
			case gone:
				return experiments.Proof{}, fmt.Errorf("%s moved since the plan: the pod with UID %s is gone or going; nothing was done", r.Object, r.Object.UID)
			}
		}
		options := metav1.DeleteOptions{GracePeriodSeconds: r.Pod.Grace, Preconditions: &metav1.Preconditions{UID: &uid, ResourceVersion: &version}}
		answer, err := remove(options)
		version = "" // it is looked at again before another try
		switch {
		case err == nil && r.ends(answer):
			return experiments.Proof{Seen: r.who(nil) + " is ending"}, nil
		case err == nil:
			seen, going, reading := r.going(ctx, client.Get)
			if reading == nil && !going {
				reading = fmt.Errorf("%s still runs after it was deleted: %s", r.Object, seen)
			}
			return experiments.Proof{Seen: seen}, reading
		case kube.Uncertain(err):
			lost = true
		case !kube.NotFound(err) && !kube.Conflict(err):
			return experiments.Proof{}, err
		}
		if try == tries {
			return experiments.Proof{}, err
		}
		if ended := pause(ctx, try-1); ended != nil {
			return experiments.Proof{}, errors.Join(ended, err)
		}
	}
}

// ends tells whether the answer to a deletion shows the pod that was planned on its way.
// One that has no time to end is gone by then, unless something keeps it: that is for a
// look to tell.
func (r record) ends(answer metav1.ObjectMeta) bool {
	grace := answer.DeletionGracePeriodSeconds
	return string(answer.UID) == r.Object.UID && answer.DeletionTimestamp != nil && (grace == nil || *grace > 0)
}

// version looks at the pod that was planned, whether it may be removed still.
func (r record) version(ctx context.Context, client *kube.Client) (version string, gone bool, err error) {
	var pod corev1.Pod
	err = client.Get(ctx, r.Object.ref(), &pod)
	switch {
	case kube.NotFound(err):
		return "", true, nil
	case err != nil:
		return "", false, err
	case string(pod.UID) != r.Object.UID || pod.DeletionTimestamp != nil:
		return "", true, nil
	case excluded(pod.Annotations):
		return "", false, fmt.Errorf("%s bears the annotation %s by now; nothing was done", r.Object, ExcludeAnnotation)
	}
	return pod.ResourceVersion, false, nil
}

// going tells whether the pod that was planned is gone or on its way.
func (r record) going(ctx context.Context, get func(context.Context, kube.Ref, runtime.Object) error) (seen string, going bool, err error) {
	var pod corev1.Pod
	err = get(ctx, r.Object.ref(), &pod)
	who := r.who(nil)
	switch {
	case kube.NotFound(err):
		return who + " is gone", true, nil
	case err != nil:
		return "", false, err
	case string(pod.UID) != r.Object.UID:
		return who + " is gone; another has its name", true, nil
	case pod.DeletionTimestamp != nil:
		return who + " is ending", true, nil // its time of deletion is when it must be over
	}
	return fmt.Sprintf("%s is %s", who, pod.Status.Phase), false, nil
}

// revertNothing is the revert of what is over at once.
func revertNothing(h experiments.Hit) error {
	_, err := parse(h)
	return err
}

// checkRemoval says what became of the pod. It is whole either way: a removal leaves
// nothing behind that could be undone.
func checkRemoval(ctx context.Context, ways *routes, h experiments.Hit) (experiments.Observation, error) {
	r, client, err := ways.read(h)
	if err != nil {
		return unknown(err)
	}
	seen, going, err := r.going(ctx, client.Cached)
	if err == nil && !going {
		seen, _, err = r.going(ctx, client.Get) // or it went just now
	}
	if err != nil {
		return unknown(err)
	}
	return see(experiments.Whole, "%s; nothing to undo", seen)
}
