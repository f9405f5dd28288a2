package kubernetes

import (
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

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
		if kind == "node_drain" { // by evictions, which two budgets never allow
			if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("is in 2 disruption budgets (%[1]s/checkout, %[1]s/late)", namespace)) {
				t.Errorf("%s: %v, %v", kind, takes, err)
			}
			continue
		}
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

const ownedPod = `
apiVersion: v1
kind: Pod
metadata:
  name: %[1]s
  namespace: %[2]s
  labels: {app: crew}
  ownerReferences: [{apiVersion: v1, kind: ConfigMap, name: crew, uid: %[3]s, controller: true}]
spec: {containers: [{name: shop, image: "registry.k8s.io/pause:3.10"}]}
`

// crewOf makes pods that belong to something of a kind that gameday does not know, and of
// which nobody makes new ones.
func crewOf(t *testing.T, c *clustertest.Cluster, namespace string, names ...string) {
	t.Helper()
	c.Apply(t, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: crew, namespace: "+namespace+"}")
	owner := c.Read(t, kube.Resource{Version: "v1", Name: "configmaps"}.In(namespace, "crew")).Text("metadata", "uid")
	for _, name := range names {
		c.Apply(t, fmt.Sprintf(ownedPod, name, namespace, owner))
	}
	c.AwaitReady(t, namespace, "crew", len(names))
}

func TestPodsOfAWorkloadOfAnyKindMustStay(t *testing.T) {
	t.Parallel()
	c := clustertest.Shared(t)
	namespace, node := c.Namespace(t), c.Node(t)
	scope := Scope{Kubernetes: c.Connection(t), Namespace: namespace}
	crewOf(t, c, namespace, "a", "b")
	c.Make(t, "DaemonSet", namespace, clustertest.Workload{Name: "agent", Replicas: 1, Node: node})
	kill := func(app string, count, ready int) experiments.Fault {
		return &PodKill{Pods: Pods{Scope: scope, Selector: "app=" + app, Phase: "Running", Share: many(count), MinReady: ready}}
	}
	for _, it := range []struct {
		fault experiments.Fault
		wrong string
	}{
		{kill("crew", 1, 1), ""},
		{kill("crew", 2, 1), "ConfigMap " + namespace + "/crew allows 1 to be down at once, and 2 hits would take 2"},
		{kill("crew", 2, 0), ""},
		{kill("agent", 1, 1), "DaemonSet " + namespace + "/agent allows 0 to be down at once"},
	} {
		if err := together(t, it.fault); it.wrong == "" && err != nil || it.wrong != "" && (err == nil || !strings.Contains(err.Error(), it.wrong)) {
			t.Errorf("%v\nwant %q", err, it.wrong)
		}
	}
}

// A drain that no budget bounds takes pods down all the same.
func TestADrainLeavesWhatAnotherFaultWantsToStay(t *testing.T) {
	t.Parallel()
	c := clustertest.Shared(t)
	namespace, node := c.Namespace(t), c.Node(t)
	k := c.Connection(t)
	c.Make(t, "Deployment", namespace, clustertest.Workload{Name: "checkout", Replicas: 2, Node: node})
	kill := &PodKill{Pods: Pods{Scope: Scope{Kubernetes: k, Namespace: namespace}, Selector: "app=checkout", Phase: "Running", Share: many(1), MinReady: 1}}
	nodes := Nodes{Kubernetes: k, Node: node}
	for name, f := range map[string]experiments.Fault{"drain": &NodeDrain{Nodes: nodes, Within: time.Minute}, "taint": &NodeTaint{Nodes: nodes, Key: "drill", Effect: "NoExecute"}} {
		if err := together(t, f); err != nil {
			t.Errorf("%s by itself: %v", name, err)
		}
		if err := together(t, f, kill); err == nil || !strings.Contains(err.Error(), "allows 1 to be down at once, and 2 hits would take 3 (of fault \"f1\", \"f2\"): 2 of its pods are ready and 1 must stay") {
			t.Errorf("%s beside a kill: %v", name, err)
		}
	}
}

// A controller that is busy or away says for long what is not so any more.
func TestAtItsTurnARoundGoesByThePodsAndNotByWhatIsSaidOfThem(t *testing.T) {
	t.Parallel()
	c := clustertest.Shared(t)
	namespace := c.Namespace(t)
	client, err := c.Connection(t).Client()
	if err != nil {
		t.Fatal(err)
	}
	crewOf(t, c, namespace, "a", "b")
	said := policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Name: "crew", Namespace: namespace, Generation: 2},
		Spec:       policyv1.PodDisruptionBudgetSpec{Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "crew"}}},
		Status:     policyv1.PodDisruptionBudgetStatus{ObservedGeneration: 2, CurrentHealthy: 4, DesiredHealthy: 1, ExpectedPods: 4, DisruptionsAllowed: 3},
	}
	var pod corev1.Pod
	if err := client.Get(t.Context(), kube.Pods.In(namespace, "a"), &pod); err != nil {
		t.Fatal(err)
	}
	want := func(what string, l *ledger, words ...string) {
		t.Helper()
		l.budgets[namespace] = []policyv1.PodDisruptionBudget{said}
		takes, err := l.of(t.Context(), &pod)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, take := range takes {
			got = append(got, fmt.Sprint(take.Allows, ": ", take.Why))
		}
		if fmt.Sprint(got) != fmt.Sprint(words) {
			t.Errorf("%s: %q, want %q", what, got, words)
		}
	}
	rest := "; wait until more are, or loosen the budget"
	want("at the plan", newLedger(client, 0, 1), "3: 4 of its 4 pods are healthy and 1 must stay"+rest)
	ready := " and 1 must stay; hit fewer, or write min_ready = 0 to allow taking down the last"
	want("at its turn", newLedger(client, 1, 2), "1: 2 of its 4 pods are healthy and 1 must stay"+rest, "1: 2 of its pods are ready"+ready)
	c.Delete(t, "/api/v1/namespaces/"+namespace+"/pods/b")
	want("when another has begun to end", countingLedger(client, 1), "0: 1 of its 4 pods are healthy and 1 must stay"+rest, "0: 1 of its pods are ready"+ready)
	said.Generation = 3
	want("of a budget that was changed just now", newLedger(client, 0, 1), "0: the cluster has not worked out yet what it allows, as it was made or changed just now; wait, and look whether the controller manager runs")
}
