package kubernetes

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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
}

// removal is the rights to find pods and remove them.
func (p Pods) removal(verb, sub, why string) []kube.Right {
	list := append(p.podRights(), p.readyRights()...)
	for _, namespace := range p.named() {
		if isPattern(namespace) {
			namespace = ""
		}
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
	ledger := newLedger(client, p.MinReady)
	var hits []experiments.Hit
	for i := range pods {
		pod := &pods[i]
		takes, err := ledger.of(ctx, pod)
		if err != nil {
			return nil, err
		}
		r := record{Reach: client.Reach(), Object: pinned(kube.Pods, pod.Namespace, pod.Name, string(pod.UID)),
			Pod: &podRecord{Node: pod.Spec.NodeName, Owner: controller(pod.OwnerReferences), OwnerUID: controllerUID(pod.OwnerReferences), Grace: grace}}
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

func controllerUID(owners []metav1.OwnerReference) string {
	for _, owner := range owners {
		if owner.Controller != nil && *owner.Controller {
			return string(owner.UID)
		}
	}
	return ""
}

// injectRemoval removes the pod that was planned, and no other, and sees it go.
func injectRemoval(ctx context.Context, h experiments.Hit, remove func(record, *kube.Client, metav1.DeleteOptions) error) (experiments.Proof, error) {
	r, client, err := read(h)
	if err != nil {
		return experiments.Proof{}, err
	}
	if r.Pod == nil {
		return experiments.Proof{}, fmt.Errorf("the record of hit %s tells of no pod", h.ID)
	}
	var pod corev1.Pod
	if err := client.Get(ctx, r.Object.ref(), &pod); err != nil && !kube.NotFound(err) {
		return experiments.Proof{}, err
	}
	if string(pod.UID) != r.Object.UID || pod.DeletionTimestamp != nil {
		return experiments.Proof{}, fmt.Errorf("%s moved since the plan: the pod with UID %s is gone or going; nothing was done", r.Object, r.Object.UID)
	}
	if excluded(pod.Annotations) {
		return experiments.Proof{}, fmt.Errorf("%s bears the annotation %s by now; nothing was done", r.Object, ExcludeAnnotation)
	}
	uid := types.UID(r.Object.UID)
	options := metav1.DeleteOptions{GracePeriodSeconds: r.Pod.Grace, Preconditions: &metav1.Preconditions{UID: &uid}}
	// A call whose answer is lost may have been carried out, so the proof decides. The UID
	// makes it safe to try again.
	for try := 1; ; try++ {
		err = remove(r, client, options)
		if err != nil && !kube.Uncertain(err) && !kube.NotFound(err) && !kube.Conflict(err) {
			return experiments.Proof{}, err
		}
		seen, going, reading := r.going(ctx, client)
		switch {
		case reading != nil:
			return experiments.Proof{}, errors.Join(err, reading)
		case going:
			return experiments.Proof{Seen: seen}, nil
		case err == nil || try == tries:
			return experiments.Proof{}, errors.Join(err, fmt.Errorf("%s still runs after it was deleted: %s", r.Object, seen))
		}
		if ended := pause(ctx, try); ended != nil {
			return experiments.Proof{}, errors.Join(ended, err)
		}
	}
}

// going tells whether the pod that was planned is gone or on its way.
func (r record) going(ctx context.Context, client *kube.Client) (seen string, going bool, err error) {
	var pod corev1.Pod
	err = client.Get(ctx, r.Object.ref(), &pod)
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
	_, _, err := read(h)
	return err
}

// checkRemoval says what became of the pod. It is whole either way: a removal leaves
// nothing behind that could be undone.
func checkRemoval(ctx context.Context, h experiments.Hit) (experiments.Observation, error) {
	r, client, err := read(h)
	if err != nil {
		return unknown(err)
	}
	seen, _, err := r.going(ctx, client)
	if err != nil {
		return unknown(err)
	}
	return see(experiments.Whole, "%s; nothing to undo", seen)
}
