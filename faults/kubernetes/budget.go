package kubernetes

import (
	"context"
	"fmt"
	"strings"

	"golang.org/x/sync/errgroup"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/kube"
)

// ledger finds what must stay: PodDisruptionBudgets, and the ready pods of each
// workload. Each namespace and workload is read once.
type ledger struct {
	client   *kube.Client
	minReady int
	// workloads tells to note what the pods of each workload take, minReady or not: another
	// fault may want some of them to stay.
	workloads bool
	// counts tells to count the ready pods themselves too. Their controllers tell what was
	// so when they looked last, and one that is busy or away looks late, or not at all.
	counts  bool
	budgets map[string][]policyv1.PodDisruptionBudget
	crowds  map[string]*crowd
	owners  map[string]experiments.Allowance
}

// crowd is how many ready pods of a namespace there are.
type crowd struct {
	budgets   map[string]int    // by the name of the budget that they count against
	workloads map[types.UID]int // by what they belong to
}

// newLedger is for the plan of a round. The first is planned before the baseline and goes
// by what controllers say, which is quick among thousands of pods; when it is its turn,
// and for later rounds, pods are counted.
func newLedger(client *kube.Client, minReady, round int) *ledger {
	return &ledger{client: client, minReady: minReady, workloads: minReady > 0, counts: round > 1,
		budgets: map[string][]policyv1.PodDisruptionBudget{}, crowds: map[string]*crowd{}, owners: map[string]experiments.Allowance{}}
}

// countingLedger is for what was planned before, when it is its turn.
func countingLedger(client *kube.Client, minReady int) *ledger { return newLedger(client, minReady, 2) }

// drivingLedger is for pods that have to leave a node, whatever they belong to.
func drivingLedger(client *kube.Client) *ledger {
	l := countingLedger(client, 0)
	l.workloads = true
	return l
}

// all lists the budgets of a namespace.
func (l *ledger) all(ctx context.Context, namespace string) ([]policyv1.PodDisruptionBudget, error) {
	budgets, known := l.budgets[namespace]
	if !known {
		err := kube.List(ctx, l.client, kube.DisruptionBudget, namespace, metav1.ListOptions{}, func(page *policyv1.PodDisruptionBudgetList) error {
			budgets = append(budgets, page.Items...)
			return nil
		}, func() *policyv1.PodDisruptionBudgetList { return new(policyv1.PodDisruptionBudgetList) }, func() { budgets = nil })
		if err != nil {
			return nil, err
		}
		l.budgets[namespace] = budgets
	}
	return budgets, nil
}

// budgetsOf lists the budgets that pods with labels count against.
func (l *ledger) budgetsOf(ctx context.Context, namespace string, set labels.Set) ([]policyv1.PodDisruptionBudget, error) {
	budgets, err := l.all(ctx, namespace)
	if err != nil {
		return nil, err
	}
	var list []policyv1.PodDisruptionBudget
	for _, budget := range budgets {
		selector, err := metav1.LabelSelectorAsSelector(budget.Spec.Selector)
		if err == nil && selector.Matches(set) {
			list = append(list, budget)
		}
	}
	return list, nil
}

// crowd counts the ready pods of a namespace.
func (l *ledger) crowd(ctx context.Context, namespace string) (*crowd, error) {
	if known := l.crowds[namespace]; known != nil {
		return known, nil
	}
	budgets, err := l.all(ctx, namespace)
	if err != nil {
		return nil, err
	}
	var names []string
	var selectors []labels.Selector
	for _, budget := range budgets {
		if selector, err := metav1.LabelSelectorAsSelector(budget.Spec.Selector); err == nil {
			names, selectors = append(names, budget.Name), append(selectors, selector)
		}
	}
	c := &crowd{map[string]int{}, map[types.UID]int{}}
	err = kube.List(ctx, l.client, kube.Pods, namespace, metav1.ListOptions{}, func(page *corev1.PodList) error {
		for i := range page.Items {
			pod := &page.Items[i]
			if pod.DeletionTimestamp != nil || !kube.Ready(pod) {
				continue
			}
			if owner := metav1.GetControllerOfNoCopy(pod); owner != nil {
				c.workloads[owner.UID]++
			}
			for j, selector := range selectors {
				if selector.Matches(labels.Set(pod.Labels)) {
					c.budgets[names[j]]++
				}
			}
		}
		return nil
	}, func() *corev1.PodList { return new(corev1.PodList) }, func() { clear(c.budgets); clear(c.workloads) })
	if err != nil {
		return nil, err
	}
	l.crowds[namespace] = c
	return c, nil
}

// allowance words a budget.
func (l *ledger) allowance(ctx context.Context, budget *policyv1.PodDisruptionBudget) (experiments.Allowance, error) {
	name := budgetName(budget)
	if budget.Status.ObservedGeneration < budget.Generation {
		return experiments.Allowance{Of: name, Why: "the cluster has not worked out yet what it allows, as it was made or changed just now; wait, and look whether the controller manager runs"}, nil
	}
	allows, healthy := int(budget.Status.DisruptionsAllowed), int(budget.Status.CurrentHealthy)
	if l.counts {
		crowd, err := l.crowd(ctx, budget.Namespace)
		if err != nil {
			return experiments.Allowance{}, err
		}
		healthy = min(healthy, crowd.budgets[budget.Name])
		allows = min(allows, max(healthy-int(budget.Status.DesiredHealthy), 0))
	}
	return experiments.Allowance{
		Of: name, Allows: allows,
		Why: fmt.Sprintf("%d of its %d pods are healthy and %d must stay; wait until more are, or loosen the budget",
			healthy, budget.Status.ExpectedPods, budget.Status.DesiredHealthy),
	}, nil
}

const budgetPrefix = "disruption budget "

func budgetName(budget *policyv1.PodDisruptionBudget) string {
	return fmt.Sprintf("%s%s/%s", budgetPrefix, budget.Namespace, budget.Name)
}

// evictable refuses a pod that more than one budget is about, by what taking it down takes
// from: the Eviction API does not take it, whatever the budgets allow.
func evictable(pod string, phase corev1.PodPhase, takes []experiments.Allowance) error {
	var names []string
	for _, take := range takes {
		if name, is := strings.CutPrefix(take.Of, budgetPrefix); is {
			names = append(names, name)
		}
	}
	if len(names) < 2 || phase != corev1.PodRunning { // no budget holds one that does not run
		return nil
	}
	return fmt.Errorf("pod %s is in %d disruption budgets (%s), and Kubernetes evicts no pod that is in more than one: narrow their selectors, or delete pods by pod_kill", pod, len(names), strings.Join(names, ", "))
}

// scalingTakes lists what scaling a workload down to a number takes from: the ready
// pods that go, each from the count that faults on single pods take from too, and from
// budgets whose number does not follow the workload's own.
func scalingTakes(ctx context.Context, ledger *ledger, resource kube.Resource, workload kube.Thing, to int) ([]experiments.Allowance, error) {
	namespace, name := workload.Text("metadata", "namespace"), workload.Text("metadata", "name")
	ready, err := number(workload.At("status", "readyReplicas"), 0)
	if err != nil || ready <= to {
		return nil, err
	}
	counts, err := counted(ctx, ledger.client, resource, namespace, name, workload.Text("metadata", "uid"), ready)
	if err != nil {
		return nil, err
	}
	set := labels.Set{}
	fields, _ := workload.At("spec", "template", "metadata", "labels").(map[string]any)
	for key, value := range fields {
		set[key], _ = value.(string)
	}
	budgets, err := ledger.budgetsOf(ctx, namespace, set)
	if err != nil {
		return nil, err
	}
	for i := range budgets {
		if least := budgets[i].Spec.MinAvailable; least != nil && least.Type == intstr.Int {
			allowance, err := ledger.allowance(ctx, &budgets[i])
			if err != nil {
				return nil, err
			}
			counts = append(counts, allowance)
		}
	}
	var list []experiments.Allowance
	for _, count := range counts {
		for range ready - to {
			list = append(list, count)
		}
	}
	return placed(ledger.client, list), nil
}

// counted names the count of ready pods that a workload's pods belong to, as the ledger
// does: a deployment's is that of its replica set with the most of them.
func counted(ctx context.Context, client *kube.Client, resource kube.Resource, namespace, name, uid string, ready int) ([]experiments.Allowance, error) {
	words := func(kind, name string, ready int) []experiments.Allowance {
		return []experiments.Allowance{{Of: fmt.Sprintf("%s %s/%s", kind, namespace, name), Allows: ready, Why: fmt.Sprintf("%d of its pods are ready", ready)}}
	}
	switch resource {
	case kube.StatefulSets:
		return words("StatefulSet", name, ready), nil
	case kube.ReplicaSets:
		return words("ReplicaSet", name, ready), nil
	}
	var most *appsv1.ReplicaSet
	err := kube.List(ctx, client, kube.ReplicaSets, namespace, metav1.ListOptions{}, func(page *appsv1.ReplicaSetList) error {
		for i := range page.Items {
			set := &page.Items[i]
			if controllerUID(set.OwnerReferences) == uid && (most == nil || set.Status.ReadyReplicas > most.Status.ReadyReplicas) {
				most = set
			}
		}
		return nil
	}, func() *appsv1.ReplicaSetList { return new(appsv1.ReplicaSetList) }, func() { most = nil })
	if err != nil || most == nil {
		return nil, err
	}
	return words("ReplicaSet", most.Name, ready), nil
}

// of lists what taking a pod down takes from.
func (l *ledger) of(ctx context.Context, pod *corev1.Pod) ([]experiments.Allowance, error) {
	budgets, err := l.budgetsOf(ctx, pod.Namespace, labels.Set(pod.Labels))
	if err != nil {
		return nil, err
	}
	var list []experiments.Allowance
	for i := range budgets {
		allowance, err := l.allowance(ctx, &budgets[i])
		if err != nil {
			return nil, err
		}
		list = append(list, allowance)
	}
	if !l.workloads {
		return placed(l.client, list), nil
	}
	ready, found, err := l.workload(ctx, pod)
	if err != nil {
		return nil, err
	}
	if found {
		list = append(list, ready)
	}
	return placed(l.client, list), nil
}

// Takes implements [experiments.Taker]. It fails where what is planned opted out meanwhile.
func (p Pods) Takes(ctx context.Context, hits []experiments.Hit) ([][]experiments.Allowance, error) {
	client, err := p.stillOpen(ctx, hits)
	if err != nil {
		return nil, err
	}
	pods := make([]corev1.Pod, len(hits))
	var looks errgroup.Group
	looks.SetLimit(looksAtOnce)
	for i, h := range hits {
		looks.Go(func() error {
			r, err := parse(h)
			if err != nil {
				return err
			}
			if err := client.Get(ctx, r.Object.ref(), &pods[i]); !kube.NotFound(err) {
				return err
			}
			return nil
		})
	}
	if err := looks.Wait(); err != nil {
		return nil, err
	}
	ledger, out, list := countingLedger(client, p.MinReady), absentees{}, make([][]experiments.Allowance, len(hits))
	for i := range pods {
		pod := &pods[i]
		if pod.Name == "" { // it went just now: the injection will say so
			list[i] = hits[i].Takes
			continue
		}
		if excluded(pod.Annotations) {
			return nil, fmt.Errorf("pod %s/%s bears the annotation %s by now; nothing was done", pod.Namespace, pod.Name, ExcludeAnnotation)
		}
		owner, err := out.owner(ctx, client, pod)
		if err != nil {
			return nil, err
		}
		if owner != "" {
			return nil, fmt.Errorf("%s of pod %s/%s bears the annotation %s by now; nothing was done", owner, pod.Namespace, pod.Name, ExcludeAnnotation)
		}
		if list[i], err = ledger.of(ctx, pod); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// takesAnew reads for each hit, by its record, what it takes from by now.
func takesAnew(hits []experiments.Hit, takes func(r record) ([]experiments.Allowance, error)) ([][]experiments.Allowance, error) {
	list := make([][]experiments.Allowance, len(hits))
	for i, h := range hits {
		r, err := parse(h)
		if err != nil {
			return nil, err
		}
		if list[i], err = takes(r); err != nil {
			return nil, fmt.Errorf("%s: %w", r.Object, err)
		}
	}
	return list, nil
}

// ofEach lists what pods that are evicted one after the other take from: one of each
// budget, for which evictions wait, and one of its workload for each pod.
func (l *ledger) ofEach(ctx context.Context, pods []corev1.Pod) (list []experiments.Allowance, err error) {
	budgets := map[string]bool{}
	for i := range pods {
		takes, err := l.of(ctx, &pods[i])
		if err != nil {
			return nil, err
		}
		if err := evictable(pods[i].Namespace+"/"+pods[i].Name, pods[i].Status.Phase, takes); err != nil {
			return nil, err
		}
		for _, take := range takes {
			if !budgets[take.Of] {
				list = append(list, take)
			}
			budgets[take.Of] = strings.HasPrefix(take.Of, budgetPrefix)
		}
	}
	return list, nil
}

// placed says where the things are: another cluster may have some of the same names.
func placed(client *kube.Client, list []experiments.Allowance) []experiments.Allowance {
	for i := range list {
		list[i].At = client.Reach().Server
	}
	return list
}

// workload counts the ready pods of a pod's workload.
func (l *ledger) workload(ctx context.Context, pod *corev1.Pod) (experiments.Allowance, bool, error) {
	for _, owner := range pod.OwnerReferences {
		if owner.Controller == nil || !*owner.Controller {
			continue
		}
		key := fmt.Sprintf("%s %s/%s", owner.Kind, pod.Namespace, owner.Name)
		if known, found := l.owners[key]; found {
			return known, true, nil
		}
		ready, counted, err := l.ready(ctx, pod.Namespace, owner)
		if err != nil || !counted {
			return experiments.Allowance{}, false, err
		}
		allowance := experiments.Allowance{Of: key, Allows: ready - l.minReady, Why: fmt.Sprintf("%d of its pods are ready", ready)}
		if l.minReady > 0 {
			allowance.Why += fmt.Sprintf(" and %d must stay; hit fewer, or write min_ready = 0 to allow taking down the last", l.minReady)
		}
		l.owners[key] = allowance
		return allowance, true, nil
	}
	return experiments.Allowance{}, false, nil
}

// ready reads how many pods of a workload are ready. Where no status that is known tells,
// as of workloads of other makers, they are counted. The pods of a Job end by themselves
// and do not count.
func (l *ledger) ready(ctx context.Context, namespace string, owner metav1.OwnerReference) (int, bool, error) {
	group, _, _ := strings.Cut(owner.APIVersion, "/")
	switch known := group == kube.ReplicaSets.Group; {
	case group == kube.Jobs.Group && owner.Kind == "Job":
		return 0, false, nil
	case l.counts:
	case known && owner.Kind == "ReplicaSet":
		var set appsv1.ReplicaSet
		err := l.client.Get(ctx, kube.ReplicaSets.In(namespace, owner.Name), &set)
		return int(set.Status.ReadyReplicas), true, err
	case known && owner.Kind == "StatefulSet":
		var set appsv1.StatefulSet
		err := l.client.Get(ctx, kube.StatefulSets.In(namespace, owner.Name), &set)
		return int(set.Status.ReadyReplicas), true, err
	}
	crowd, err := l.crowd(ctx, namespace)
	if err != nil {
		return 0, false, err
	}
	return crowd.workloads[owner.UID], true, nil
}

// readyRights are needed to count ready pods.
func (p Pods) readyRights() []kube.Right {
	if p.MinReady == 0 {
		return nil
	}
	var list []kube.Right
	for _, namespace := range p.granted() {
		for _, resource := range readyIn(p.Owner) {
			list = append(list, kube.Right{Verb: "get", Resource: resource, Namespace: namespace, Why: "see how many pods of the workload are ready"})
		}
	}
	return list
}

// readyIn are the sorts of workloads that tell how many of their pods are ready, of those
// that pods of an owner, or of any, can belong to.
func readyIn(owner string) []kube.Resource {
	resource, _, err := workload(owner)
	switch {
	case err != nil: // any
		return []kube.Resource{kube.ReplicaSets, kube.StatefulSets}
	case resource == kube.Deployments, resource == kube.ReplicaSets:
		return []kube.Resource{kube.ReplicaSets}
	case resource == kube.StatefulSets:
		return []kube.Resource{kube.StatefulSets}
	}
	return nil
}
