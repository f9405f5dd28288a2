package kubernetes

import (
	"fmt"
	"testing"
	"time"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/cluster/clustertest"
	"github.com/gameday-sh/gameday/internal/kube"
)

// A container runs on a real node only.
var _ experiments.Taker = (*ContainerKill)(nil)

// Between the plan and its turn budgets change, come, and are used up by others.
func TestWhatPlannedHitsTakeFromIsReadAnew(t *testing.T) {
	t.Parallel()
	c := clustertest.Shared(t)
	k := c.Connection(t)
	namespace, node := c.Namespace(t), c.Node(t)
	c.Make(t, "Deployment", namespace, clustertest.Workload{Name: "checkout", Replicas: 3, Node: node})
	budget(t, c, namespace, "checkout", "minAvailable: 2", 1)
	scope, two := Scope{Kubernetes: k, Namespace: namespace}, 2
	pods := Pods{Scope: scope, Selector: "app=checkout", Phase: "Running", Share: many(1), MinReady: 1}
	nodes := Nodes{Kubernetes: k, Node: node}
	faults := map[string]experiments.Taker{
		"pod_kill":         &PodKill{Pods: pods},
		"pod_evict":        &PodEvict{Pods: pods},
		"pod_failure":      &PodFailure{Pods: pods},
		"deployment_scale": &DeploymentScale{Scope: scope, Workload: "deployment/checkout", Replicas: &two},
		"node_drain":       &NodeDrain{Nodes: nodes, Within: time.Minute},
		"node_taint":       &NodeTaint{Nodes: nodes, Key: "drill", Effect: "NoExecute"},
	}
	plans := map[string][]experiments.Hit{}
	for kind, f := range faults {
		if plans[kind] = planFor(t, f); len(plans[kind]) != 1 {
			t.Fatalf("%s: %d hits", kind, len(plans[kind]))
		}
	}
	allows := func(list []experiments.Allowance) map[string]int {
		by := map[string]int{}
		for _, one := range list {
			by[one.Of] = one.Allows
		}
		return by
	}
	first, second := fmt.Sprintf("disruption budget %s/checkout", namespace), fmt.Sprintf("disruption budget %s/late", namespace)

	c.Merge(t, kube.DisruptionBudget.In(namespace, "checkout"), `{"spec":{"minAvailable":1}}`)
	c.Apply(t, fmt.Sprintf(`
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: late, namespace: %s}
spec: {minAvailable: 3, selector: {matchLabels: {app: checkout}}}
`, namespace))
	c.Await(t, "the counts of both budgets", func() bool {
		at := func(name string) string {
			b := c.Read(t, kube.DisruptionBudget.In(namespace, name))
			return fmt.Sprint(b.At("status", "observedGeneration"), " ", b.At("status", "disruptionsAllowed"))
		}
		return at("checkout") == "2 2" && at("late") == "1 0"
	})
	for kind, f := range faults {
		then := allows(plans[kind][0].Takes)
		takes, err := f.Takes(t.Context(), plans[kind])
		if err != nil || len(takes) != 1 {
			t.Errorf("%s: %v, %v", kind, takes, err)
			continue
		}
		now := allows(takes[0])
		if _, known := then[second]; then[first] != 1 || known {
			t.Errorf("%s took from %v at the plan", kind, then)
		}
		if allowed, known := now[second]; now[first] != 2 || !known || allowed != 0 {
			t.Errorf("%s takes from %v by now, want 2 of %s and none of %s", kind, now, first, second)
		}
	}

	// A pod that is gone is for the injection to tell of.
	hit := plans["pod_kill"]
	r, _, err := read(hit[0])
	if err != nil {
		t.Fatal(err)
	}
	c.Delete(t, "/api/v1/namespaces/"+namespace+"/pods/"+r.Object.Name)
	c.Await(t, "the end of pod "+r.Object.Name, func() bool { return !c.Has(t, "/api/v1/namespaces/"+namespace+"/pods/"+r.Object.Name) })
	if takes, err := faults["pod_kill"].Takes(t.Context(), hit); err != nil || allows(takes[0])[first] != 1 {
		t.Errorf("of a pod that is gone: %v, %v", takes, err)
	}
}
