package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"time"

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
		hit, err := newHit(r, d, fmt.Sprintf("%s (%s; UID %s, on node %s)", effect, words, pod.UID, pod.Spec.NodeName), "nothing to undo: "+comesBack(pod), "")
		if err != nil {
			return nil, err
		}
		hit.Takes = takes
		hits = append(hits, hit)
	}
	return hits, nil
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
	switch {
	case kube.NotFound(err):
		return fmt.Sprintf("%s (UID %s) is gone", r.Object, r.Object.UID), true, nil
	case err != nil:
		return "", false, err
	case string(pod.UID) != r.Object.UID:
		return fmt.Sprintf("%s (UID %s) is gone; another has its name", r.Object, r.Object.UID), true, nil
	case pod.DeletionTimestamp != nil:
		return fmt.Sprintf("%s (UID %s) is ending since %s", r.Object, r.Object.UID, pod.DeletionTimestamp.UTC().Format("15:04:05")), true, nil
	}
	return fmt.Sprintf("%s (UID %s) is %s", r.Object, r.Object.UID, pod.Status.Phase), false, nil
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

// followPace is how often a replacement is looked for. Watching would be one more
// right to ask for.
const followPace = 200 * time.Millisecond

// followPod looks for the pod that replaces the one that was removed: a pod of the
// same workload that is younger than the hit. It tells when it is there and when it
// is ready.
func followPod(ctx context.Context, h experiments.Hit, tell func(experiments.Finding)) error {
	r, client, err := read(h)
	if err != nil || r.Pod == nil || r.Pod.OwnerUID == "" {
		return err
	}
	began := time.Now()
	var before map[types.UID]bool
	replacement := types.UID("")
	for {
		pods, err := ownedPods(ctx, client, r.Object.Namespace, r.Pod.OwnerUID)
		if err == nil && before == nil {
			before = map[types.UID]bool{}
			for i := range pods {
				if time.Since(pods[i].CreationTimestamp.Time) > time.Since(began)+2*time.Second {
					before[pods[i].UID] = true
				}
			}
		}
		for i := range pods {
			pod := &pods[i]
			if before[pod.UID] || string(pod.UID) == r.Object.UID || replacement != "" && pod.UID != replacement {
				continue
			}
			after := time.Since(began)
			if replacement == "" {
				replacement = pod.UID
				tell(experiments.Finding{Name: "replaced", After: after, Text: fmt.Sprintf("pod %s replaces %s", pod.Name, r.Object.Name)})
			}
			if ready(pod) {
				tell(experiments.Finding{Name: "ready", After: after, Text: fmt.Sprintf("pod %s is ready on node %s", pod.Name, pod.Spec.NodeName)})
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(followPace):
		}
	}
}

func ownedPods(ctx context.Context, client *kube.Client, namespace, owner string) ([]corev1.Pod, error) {
	var list []corev1.Pod
	err := kube.List(ctx, client, kube.Pods, namespace, metav1.ListOptions{}, func(page *corev1.PodList) error {
		for i := range page.Items {
			if controllerUID(page.Items[i].OwnerReferences) == owner {
				list = append(list, page.Items[i])
			}
		}
		return nil
	}, func() *corev1.PodList { return new(corev1.PodList) }, func() { list = nil })
	return list, err
}

func ready(pod *corev1.Pod) bool {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodReady {
			return condition.Status == corev1.ConditionTrue
		}
	}
	return false
}
