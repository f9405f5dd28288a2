package kubernetes

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/kube"
)

// NodeDrain cordons nodes and evicts the pods on them, as `kubectl drain` does:
// PodDisruptionBudgets are kept, pods of DaemonSets stay. Pods in protected
// namespaces stay too, and all that opted out.
type NodeDrain struct {
	Claims
	Nodes
	Within time.Duration  `hcl:"within,optional" default:"2m" doc:"How long all evictions may take together; longer fails the fault, and the node is opened again."`
	Grace  *time.Duration `hcl:"grace,optional" doc:"How long each pod may take to end; left out, what the pod itself says." example:"5s"`
}

// drainRecord is what a hit of node_drain needs beside its cordon.
type drainRecord struct {
	Within time.Duration `json:"within_ns"`
	Grace  *int64        `json:"grace_s,omitempty"`
	// Protect and OptIn are those of the connection.
	Protect []string `json:"protect,omitempty"`
	OptIn   string   `json:"opt_in,omitempty"`
}

// Validate implements [experiments.Validator].
func (f *NodeDrain) Validate() []experiments.Problem {
	problems := f.Nodes.validate()
	if f.Within <= 0 {
		problems = append(problems, experiments.Problem{Attribute: "within", Summary: "No time to drain in", Detail: "Write how long the evictions may take, such as \"2m\"."})
	}
	if f.Grace != nil && *f.Grace <= 0 {
		problems = append(problems, experiments.Problem{Attribute: "grace", Summary: "No grace", Detail: "Write how long a pod may take to end, such as \"5s\"."})
	}
	return problems
}

// Lasts is true: the node is opened again. The pods come back wherever there is room.
func (*NodeDrain) Lasts() bool { return true }

// Rights lists what the fault must be allowed to do and to undo.
func (f *NodeDrain) Rights() []kube.Right {
	return append(append(f.Nodes.nodeRights("drain a node and open it again"), shelterRights()...),
		kube.Right{Verb: "create", Resource: kube.Pods, Sub: "eviction", Why: "evict the pods of the node"},
		kube.Right{Verb: "list", Resource: kube.DisruptionBudget, Why: "see what must stay"})
}

// Plan chooses the nodes, and refuses one that a PodDisruptionBudget would not let
// be drained.
func (f *NodeDrain) Plan(ctx context.Context, d experiments.Draw) ([]experiments.Hit, error) {
	client, err := f.Kubernetes.Client()
	if err != nil {
		return nil, err
	}
	hits, err := f.Nodes.planEdits(ctx, d, f.Rights(), func(_ *kube.Client, thing kube.Thing) (planned, error) { return cordon(thing) })
	if err != nil {
		return nil, err
	}
	ledger := drivingLedger(client) // budgets say what must stay; evictions ask them one by one
	for i := range hits {
		r, _, err := read(hits[i])
		if err != nil {
			return nil, err
		}
		r.Drain = &drainRecord{Within: f.Within, Protect: f.Kubernetes.Protect, OptIn: f.Kubernetes.OptIn}
		if f.Grace != nil {
			seconds := wholeSeconds(*f.Grace)
			r.Drain.Grace = &seconds
		}
		on, err := r.evictable(ctx, client)
		if err != nil {
			return nil, err
		}
		effect := fmt.Sprintf("cordon the node and evict its %s", plural(len(on.pods), "pod"))
		if on.left > 0 {
			effect += fmt.Sprintf(" (%d in protected namespaces or opted out stay)", on.left)
		}
		again, err := newHit(r, d, effect, "uncordon it; "+comeBack(on.pods), editFuse)
		if err != nil {
			return nil, err
		}
		if again.Takes, err = ledger.ofEach(ctx, on.pods); err != nil {
			return nil, fmt.Errorf("%s cannot be drained: %w", r.Object, err)
		}
		hits[i] = again
	}
	return hits, nil
}

// Takes implements [experiments.Taker].
func (f *NodeDrain) Takes(ctx context.Context, hits []experiments.Hit) ([][]experiments.Allowance, error) {
	client, err := f.Kubernetes.Client()
	if err != nil {
		return nil, err
	}
	ledger := drivingLedger(client)
	return takesAnew(hits, func(r record) ([]experiments.Allowance, error) {
		if r.Drain == nil {
			return nil, fmt.Errorf("the record of the hit tells of no drain")
		}
		on, err := r.evictable(ctx, client)
		if err != nil {
			return nil, err
		}
		return ledger.ofEach(ctx, on.pods)
	})
}

// onNode is what is on a node that is drained: the pods that a drain evicts, how many it
// leaves because they are protected, and how many are on their way.
type onNode struct {
	pods         []corev1.Pod
	left, ending int
}

// evictable looks at the pods of the node.
func (r record) evictable(ctx context.Context, client *kube.Client) (on onNode, err error) {
	shelter, err := newShelter(ctx, client, Scope{Kubernetes: &kube.Kubernetes{Protect: r.Drain.Protect, OptIn: r.Drain.OptIn}})
	if err != nil {
		return on, err
	}
	options := metav1.ListOptions{FieldSelector: "spec.nodeName=" + r.Object.Name}
	err = kube.List(ctx, client, kube.Pods, "", options, func(page *corev1.PodList) error {
		for _, pod := range page.Items {
			switch {
			case strings.HasPrefix(controller(pod.OwnerReferences), "DaemonSet "), pod.Annotations[corev1.MirrorPodAnnotationKey] != "",
				pod.Status.Phase == corev1.PodSucceeded, pod.Status.Phase == corev1.PodFailed:
			case pod.DeletionTimestamp != nil:
				on.ending++
			default:
				why, err := shelter.keeps(ctx, &pod)
				if err != nil {
					return err
				}
				if why != "" {
					on.left++
					continue
				}
				on.pods = append(on.pods, pod)
			}
		}
		return nil
	}, func() *corev1.PodList { return new(corev1.PodList) }, func() { on = onNode{} })
	return on, err
}

// Inject cordons the node and evicts its pods, each as soon as its budgets allow.
func (*NodeDrain) Inject(ctx context.Context, h experiments.Hit) (experiments.Proof, error) {
	r, client, err := read(h)
	if err != nil {
		return experiments.Proof{}, err
	}
	if r.Edit == nil || r.Drain == nil {
		return experiments.Proof{}, fmt.Errorf("the record of hit %s tells of no drain", h.ID)
	}
	seen, err := r.injectEdit(ctx, client, h)
	if err != nil {
		return experiments.Proof{}, err
	}
	limited, cancel := context.WithTimeout(ctx, r.Drain.Within)
	defer cancel()
	evicted, asked := map[string]bool{}, map[types.UID]string{} // asked: the answer got lost
	gone := func() string { return cmp.Or(several(slices.Collect(maps.Keys(evicted))), "none") }
	for {
		// Calls have deadlines of their own: the limit is for pods that stay, and says so.
		on, err := r.evictable(ctx, client)
		if err != nil {
			return experiments.Proof{}, fmt.Errorf("drain %s: %w", r.Object, err)
		}
		pods := on.pods
		for _, pod := range pods {
			delete(asked, pod.UID)
		}
		for _, name := range asked {
			evicted[name] = true
		}
		if len(pods) == 0 {
			ending := ""
			if on.ending > 0 {
				ending = fmt.Sprintf(" but %s on the way out", plural(on.ending, "pod"))
			}
			return experiments.Proof{Seen: fmt.Sprintf("%s, and no pod that a drain evicts is left on it%s; evicted: %s", seen, ending, gone())}, nil
		}
		var waiting error
		rest := drainPace
		for i := range pods {
			uid, name := pods[i].UID, pods[i].Namespace+"/"+pods[i].Name
			err := evict(ctx, client, pods[i].Namespace, pods[i].Name, metav1.DeleteOptions{GracePeriodSeconds: r.Drain.Grace, Preconditions: &metav1.Preconditions{UID: &uid}})
			switch {
			case err == nil:
				evicted[name] = true
			case kube.NotFound(err), kube.Conflict(err):
			case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
				waiting = err // no eviction is taken any more; the pod goes with its namespace
			case apierrors.IsTooManyRequests(err):
				waiting = err
				wait, _ := busyAbout(err)
				rest = max(rest, wait)
			case kube.Uncertain(err):
				waiting = err
				asked[uid] = name
			default:
				return experiments.Proof{}, fmt.Errorf("drain %s: %w", r.Object, err)
			}
		}
		select {
		case <-limited.Done():
			if ctx.Err() != nil {
				return experiments.Proof{}, context.Cause(ctx)
			}
			err := fmt.Errorf("drain %s: %s still there after %s; evicted: %s", r.Object, plural(len(pods), "pod"), experiments.FormatDuration(r.Drain.Within), gone())
			if waiting != nil {
				err = fmt.Errorf("%w; refused at last: %w", err, waiting)
			}
			return experiments.Proof{}, err
		case <-time.After(rest):
		}
	}
}

// drainPace is the time between two rounds of evictions.
const drainPace = 500 * time.Millisecond

// Revert uncordons the node, unless somebody else did.
func (*NodeDrain) Revert(ctx context.Context, h experiments.Hit) error { return revertEdit(ctx, h) }

// Check reads the node.
func (*NodeDrain) Check(ctx context.Context, h experiments.Hit) (experiments.Observation, error) {
	return checkEdit(ctx, h)
}

// made implements marker.
func (*NodeDrain) made(bearer kube.Resource, r record) bool { return cordons(bearer, r) }
