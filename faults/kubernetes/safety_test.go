package kubernetes

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/cluster/clustertest"
	"github.com/gameday-sh/gameday/internal/kube"
)

// What must never be hit, on a real API server.

func killing(k *kube.Kubernetes, s Share, namespaces ...string) *PodKill {
	return &PodKill{Pods: Pods{Scope: Scope{Kubernetes: k, Namespaces: namespaces}, Phase: "Running", Share: s, MinReady: 0}}
}

func many(n int) Share { return Share{Count: &n} }

func TestProtectedNamespacesAreRefused(t *testing.T) {
	t.Parallel()
	c := clustertest.Shared(t)
	namespace := c.Namespace(t)
	c.Make(t, "Deployment", namespace, clustertest.Workload{Name: "checkout", Replicas: 1})
	k := c.Connection(t, func(k *kube.Kubernetes) { k.Protect = []string{"payments-*", namespace + "-?"} })
	for _, name := range []string{"kube-system", "kube-public", "kube-node-lease"} {
		refuses(t, killing(k, many(1), name), "namespace "+name+" is not touched: the cluster itself lives there")
		refuses(t, &ResourceQuota{Scope: Scope{Kubernetes: k, Namespace: name}, Fuse: time.Minute}, "the cluster itself lives there")
		refuses(t, &DeploymentScale{Scope: Scope{Kubernetes: k, Namespace: name}, Workload: "deployment/x", Replicas: new(int)}, "the cluster itself lives there")
	}
	refuses(t, killing(k, many(1), "kube-*"), `no namespace that may be touched matches "kube-\*" \(3 that match are protected\)`)

	// The deny list wins over whatever names a namespace, and a pattern passes it by.
	c.NamedNamespace(t, namespace+"-1")
	c.Make(t, "Deployment", namespace+"-1", clustertest.Workload{Name: "checkout", Replicas: 1})
	refuses(t, killing(k, many(1), namespace+"-1"), `the kubernetes block protects "`+namespace+`-\?"`)
	refuses(t, killing(k, many(1), namespace, namespace+"-1"), "namespace "+namespace+"-1 is not touched")
	hits := planFor(t, killing(k, Share{All: true}, namespace+"*"))
	if len(hits) != 1 || !strings.Contains(hits[0].Target, namespace+"/checkout") {
		t.Errorf("a pattern gave %v", hits)
	}
	refuses(t, killing(k, many(1), namespace+"-gone"), "not found")
}

func TestAContainerThatIsNotStartedAgainIsToldBefore(t *testing.T) {
	never, always := &corev1.Pod{Spec: corev1.PodSpec{RestartPolicy: corev1.RestartPolicyNever}}, &corev1.Pod{}
	if words := startsAgain(never) + "; " + startsAgain(always); words != "the pod's restartPolicy is Never, and the container STAYS ENDED; the kubelet restarts the container" {
		t.Error(words)
	}
}

func TestNodesThatMustBeLeftAlone(t *testing.T) {
	t.Parallel()
	c := clustertest.Shared(t)
	k := c.Connection(t)
	node, control := c.Node(t), c.Node(t)
	c.Merge(t, kube.Nodes.In("", control), `{"metadata":{"labels":{"node-role.kubernetes.io/control-plane":""}}}`)
	cordon := func(name string) *NodeCordon { return &NodeCordon{Nodes: Nodes{Kubernetes: k, Node: name}} }
	refuses(t, cordon(control), `no nodes with node ".*" \(1 that match are of the control plane, or opted out\) matches`)
	all := cordon(control)
	all.ControlPlane = true
	planFor(t, all)
	planFor(t, cordon(node))
	c.Merge(t, kube.Nodes.In("", node), `{"metadata":{"annotations":{"gameday.sh/exclude":"true"}}}`)
	refuses(t, cordon(node), "opted out")
	c.Merge(t, kube.Nodes.In("", node), `{"metadata":{"annotations":{"gameday.sh/exclude":null}},"spec":{"unschedulable":true}}`)
	refuses(t, cordon(node), "it is cordoned already")
}

// A node carries the pods of many people. A drain or a taint that drives pods out must
// pass by those that no fault may touch.
func TestANodeIsEmptiedOfWhatMayBeTouchedOnly(t *testing.T) {
	t.Parallel()
	c := clustertest.Shared(t)
	k := c.Connection(t)
	node := c.Node(t)
	mine, out, denied := c.Namespace(t), c.Namespace(t), c.Namespace(t)
	for _, namespace := range []string{mine, out, denied} {
		c.Make(t, "Deployment", namespace, clustertest.Workload{Name: "checkout", Replicas: 1, Node: node})
	}
	c.Make(t, "StatefulSet", mine, clustertest.Workload{Name: "stays", Replicas: 1, Node: node})
	c.Make(t, "DaemonSet", mine, clustertest.Workload{Name: "agent", Replicas: 1, Node: node})
	c.Merge(t, kube.StatefulSets.In(mine, "stays"), `{"metadata":{"annotations":{"gameday.sh/exclude":"true"}}}`)
	c.Merge(t, kube.Namespaces.In("", out), `{"metadata":{"annotations":{"gameday.sh/exclude":"true"}}}`)
	k.Protect = []string{denied}
	uid := func(namespace, name string) string { return c.Pods(t, namespace, name)[0].Text("metadata", "uid") }
	before := []string{uid(out, "checkout"), uid(denied, "checkout"), uid(mine, "stays"), uid(mine, "agent")}

	taint := &NodeTaint{Nodes: Nodes{Kubernetes: k, Node: node}, Key: "drill", Effect: "NoExecute"}
	refuses(t, taint, "would drive out what must stay: .*"+denied+`/checkout-.*the kubernetes block protects|would drive out what must stay: .*`+out)
	taint.Effect = "NoSchedule"
	planFor(t, taint)

	hit := planFor(t, &NodeDrain{Nodes: Nodes{Kubernetes: k, Node: node}, Within: time.Minute})[0]
	if !strings.Contains(hit.Effect, "evict its 1 pod (3 in protected namespaces or opted out stay)") {
		t.Errorf("%s", hit.Effect)
	}
	gone := uid(mine, "checkout")
	proof, err := new(NodeDrain).Inject(t.Context(), hit)
	if err != nil {
		t.Fatal(err)
	}
	after := []string{uid(out, "checkout"), uid(denied, "checkout"), uid(mine, "stays"), uid(mine, "agent")}
	if !slices.Equal(before, after) {
		t.Errorf("pods that must stay were evicted: %v, %v; %s", before, after, proof.Seen)
	}
	if pods := c.Pods(t, mine, "checkout"); slices.ContainsFunc(pods, func(pod kube.Thing) bool {
		return pod.Text("metadata", "uid") == gone && pod.At("metadata", "deletionTimestamp") == nil
	}) {
		t.Error("the pod that a drain evicts is still there")
	}
	if err := new(NodeDrain).Revert(t.Context(), hit); err != nil {
		t.Fatal(err)
	}
}

// What comes back and what does not is told before, and what has not ended yet after.
func TestADrainTellsOfPodsThatStayGoneOrAreStillEnding(t *testing.T) {
	t.Parallel()
	c := clustertest.Shared(t)
	namespace, node := c.Namespace(t), c.Node(t)
	c.Apply(t, fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: bare, namespace: %s, finalizers: [somebody/elses]}
spec: {nodeName: %s, terminationGracePeriodSeconds: 1, containers: [{name: shop, image: none}]}
`, namespace, node))
	bare := kube.Pods.In(namespace, "bare")
	c.Await(t, "the pod to run", func() bool { return c.Read(t, bare).Text("status", "phase") == "Running" })
	nodes := Nodes{Kubernetes: c.Connection(t), Node: node}
	gone := "the pods come back where there is room, but not these, which belong to no workload and STAY GONE: " + namespace + "/bare"

	taint := planFor(t, &NodeTaint{Nodes: nodes, Key: "drill", Effect: "NoExecute"})[0]
	if !strings.HasSuffix(taint.Effect, "drill:NoExecute (1 of 1) and drive out its 1 pod") || taint.Undo != "take the taint drill:NoExecute off; "+gone {
		t.Errorf("%s; %s", taint.Effect, taint.Undo)
	}
	drain := planFor(t, &NodeDrain{Nodes: nodes, Within: time.Minute})[0]
	if drain.Undo != "uncordon it; "+gone {
		t.Errorf("%s", drain.Undo)
	}
	proof, err := new(NodeDrain).Inject(t.Context(), drain)
	if want := "no pod that a drain evicts is left on it but 1 pod on the way out; evicted: " + namespace + "/bare"; err != nil || !strings.HasSuffix(proof.Seen, want) {
		t.Errorf("%v, %v, want %q", proof, err, want)
	}
	c.Merge(t, bare, `{"metadata":{"finalizers":null}}`)
	if err := new(NodeDrain).Revert(t.Context(), drain); err != nil {
		t.Fatal(err)
	}
}

const pdb = `
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: %s, namespace: %s}
spec: {%s, selector: {matchLabels: {app: %[1]s}}}
`

func budget(t *testing.T, c *clustertest.Cluster, namespace, name, rule string, allowed int) {
	t.Helper()
	c.Apply(t, fmt.Sprintf(pdb, name, namespace, rule))
	c.Await(t, "the count of disruption budget "+name, func() bool {
		b := c.Read(t, kube.DisruptionBudget.In(namespace, name))
		return fmt.Sprint(b.At("status", "observedGeneration")) == "1" && fmt.Sprint(b.At("status", "disruptionsAllowed")) == fmt.Sprint(allowed)
	})
}

// together plans faults as a run would that has them side by side.
func together(t *testing.T, list ...experiments.Fault) error {
	t.Helper()
	e := &experiments.Experiment{Name: "it", Seed: 7}
	for i, f := range list {
		e.Faults = append(e.Faults, &experiments.FaultPlan{Name: fmt.Sprintf("f%d", i+1), Kind: "it", Origin: "it.hcl:1", Fault: f, Schedule: experiments.Schedule{Duration: time.Minute}})
	}
	_, err := experiments.Plan(t.Context(), e, testRun)
	return err
}

func TestWhatMustStayStaysWhateverRunsTogether(t *testing.T) {
	t.Parallel()
	c := clustertest.Shared(t)
	namespace := c.Namespace(t)
	k := c.Connection(t)
	c.Deployment(t, namespace, "checkout", 3)
	c.Deployment(t, namespace, "stock", 3)
	budget(t, c, namespace, "checkout", "minAvailable: 2", 1)
	scope := Scope{Kubernetes: k, Namespace: namespace}
	kill := func(app string, count, ready int) experiments.Fault {
		return &PodKill{Pods: Pods{Scope: scope, Selector: "app=" + app, Phase: "Running", Share: many(count), MinReady: ready}}
	}
	fail := func(app string, count, ready int) experiments.Fault {
		return &PodFailure{Pods: Pods{Scope: scope, Selector: "app=" + app, Phase: "Running", Share: many(count), MinReady: ready}}
	}
	scale := func(app string, to int) experiments.Fault {
		return &DeploymentScale{Scope: scope, Workload: "deployment/" + app, Replicas: &to}
	}
	for name, it := range map[string]struct {
		faults []experiments.Fault
		wrong  string
	}{
		"one, as the budget allows":     {[]experiments.Fault{kill("checkout", 1, 1)}, ""},
		"two at once":                   {[]experiments.Fault{kill("checkout", 2, 1)}, "disruption budget " + namespace + "/checkout allows 1 to be down at once, and 2 hits would take 2 (of fault \"f1\"): 3 of its 3 pods are healthy and 2 must stay; wait until more are, or loosen the budget"},
		"one each of two faults":        {[]experiments.Fault{kill("checkout", 1, 1), fail("checkout", 1, 1)}, "would take 2 (of fault \"f1\", \"f2\")"},
		"min_ready keeps no budget off": {[]experiments.Fault{kill("checkout", 2, 0)}, "disruption budget"},
		"two where one must stay":       {[]experiments.Fault{kill("stock", 2, 1)}, ""},
		"all where one must stay":       {[]experiments.Fault{kill("stock", 3, 1)}, "3 of its pods are ready and 1 must stay; hit fewer, or write min_ready = 0"},
		"all where none must stay":      {[]experiments.Fault{kill("stock", 3, 0)}, ""},
		"two and one of two faults":     {[]experiments.Fault{kill("stock", 2, 1), fail("stock", 1, 1)}, "allows 2 to be down at once, and 3 hits would take 3"},
		"scaled away":                   {[]experiments.Fault{scale("stock", 0)}, ""},
		"scaled down and killed":        {[]experiments.Fault{scale("stock", 1), kill("stock", 1, 1)}, "would take 3 (of fault \"f1\", \"f2\")"},
		"scaled below a budget":         {[]experiments.Fault{scale("checkout", 1)}, "disruption budget " + namespace + "/checkout allows 1 to be down at once, and 1 hit would take 2"},
		"scaled within a budget":        {[]experiments.Fault{scale("checkout", 2)}, ""},
		"scaled twice":                  {[]experiments.Fault{scale("stock", 2), scale("stock", 4)}, "fault \"f2\" would change deployment " + namespace + "/stock 0s after the start, while fault \"f1\" is on it (0s to 1m)"},
		"scaled up":                     {[]experiments.Fault{scale("checkout", 9), kill("checkout", 1, 1)}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			err := together(t, it.faults...)
			if it.wrong == "" && err != nil || it.wrong != "" && (err == nil || !strings.Contains(err.Error(), it.wrong)) {
				t.Errorf("%v\nwant %q", err, it.wrong)
			}
		})
	}
}

func TestADeploymentWithoutPodsIsCalledByItsName(t *testing.T) {
	t.Parallel()
	c := clustertest.Shared(t)
	namespace := c.Namespace(t)
	c.Apply(t, fmt.Sprintf(`
apiVersion: apps/v1
kind: Deployment
metadata: {name: held, namespace: %s}
spec:
  paused: true
  selector: {matchLabels: {app: held}}
  template: {metadata: {labels: {app: held}}, spec: {containers: [{name: shop, image: none}]}}
`, namespace))
	kill := killing(c.Connection(t), many(1), namespace)
	kill.Owner = "deployment/held"
	refuses(t, kill, "^deployment "+namespace+"/held: it owns no replica set")
}

// A daemon set counts its ready pods too.
func TestSomePodsOfADaemonSetMustStay(t *testing.T) {
	t.Parallel()
	c := clustertest.Shared(t)
	namespace := c.Namespace(t)
	c.Make(t, "DaemonSet", namespace, clustertest.Workload{Name: "agent", Replicas: 1, Node: c.Node(t)})
	kill := &PodKill{Pods: Pods{Scope: Scope{Kubernetes: c.Connection(t), Namespace: namespace}, Phase: "Running", Share: Share{All: true}, MinReady: 1}}
	want := "DaemonSet " + namespace + "/agent allows 0 to be down at once, and 1 hit would take 1 (of fault \"f1\"): 1 of its pods are ready and 1 must stay"
	for _, owner := range []string{"", "daemonset/agent"} {
		kill.Owner = owner
		if err := together(t, kill); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("owner %q: %v\nwant %q", owner, err, want)
		}
	}
	kill.MinReady = 0
	if err := together(t, kill); err != nil {
		t.Error(err)
	}
}

func TestARestartThatWouldReplaceNoPodIsRefused(t *testing.T) {
	t.Parallel()
	c := clustertest.Shared(t)
	namespace := c.Namespace(t)
	c.Deployment(t, namespace, "checkout", 1)
	c.Merge(t, kube.Deployments.In(namespace, "checkout"), `{"spec":{"replicas":0}}`)
	c.Make(t, "StatefulSet", namespace, clustertest.Workload{Name: "stock", Replicas: 2})
	restart := &RolloutRestart{Scope: Scope{Kubernetes: c.Connection(t), Namespace: namespace}, Workload: "deployment/checkout"}
	refuses(t, restart, "deployment "+namespace+"/checkout is to have 0 pods: there is none to restart")
	c.Merge(t, kube.Deployments.In(namespace, "checkout"), `{"spec":{"replicas":1,"strategy":{"type":"Recreate","rollingUpdate":null}}}`)
	if hit := planFor(t, restart)[0]; !strings.Contains(hit.Effect, "all pods at once") {
		t.Errorf("%s", hit.Effect)
	}
	restart.Workload = "statefulset/stock"
	planFor(t, restart)
	for strategy, want := range map[string]string{
		`{"type":"OnDelete","rollingUpdate":null}`:                 "statefulset " + namespace + "/stock has the update strategy OnDelete: no pod would be replaced until somebody deletes it",
		`{"type":"RollingUpdate","rollingUpdate":{"partition":2}}`: "stock keeps its first 2 pods back from updates .* and has 2: none would be replaced",
	} {
		c.Merge(t, kube.StatefulSets.In(namespace, "stock"), `{"spec":{"updateStrategy":`+strategy+`}}`)
		refuses(t, restart, want)
	}
	c.Merge(t, kube.StatefulSets.In(namespace, "stock"), `{"spec":{"updateStrategy":{"type":"RollingUpdate","rollingUpdate":{"partition":1}}}}`)
	planFor(t, restart)
}

func TestADrainThatABudgetBlocksIsRefusedByName(t *testing.T) {
	t.Parallel()
	c := clustertest.Shared(t)
	namespace, node := c.Namespace(t), c.Node(t)
	c.Make(t, "Deployment", namespace, clustertest.Workload{Name: "checkout", Replicas: 2, Node: node})
	budget(t, c, namespace, "checkout", "minAvailable: 2", 0)
	k := c.Connection(t)
	drain := &NodeDrain{Nodes: Nodes{Kubernetes: k, Node: node}, Within: time.Minute}
	err := together(t, drain)
	want := "disruption budget " + namespace + "/checkout allows 0 to be down at once, and 1 hit would take 1 (of fault \"f1\"): 2 of its 2 pods are healthy and 2 must stay"
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v\nwant %q", err, want)
	}
	taint := &NodeTaint{Nodes: Nodes{Kubernetes: k, Node: node}, Key: "drill", Effect: "NoExecute"}
	if err := together(t, taint); err == nil || !strings.Contains(err.Error(), "allows 0 to be down at once, and 1 hit would take 2") {
		t.Errorf("a taint that drives out: %v", err)
	}

	// The Eviction API has no answer for a pod with two.
	c.Apply(t, strings.Replace(fmt.Sprintf(pdb, "checkout-too", namespace, "minAvailable: 0"), "app: checkout-too", "app: checkout", 1))
	for name, f := range map[string]experiments.Fault{"drain": drain, "evict": &PodEvict{Pods: Pods{Scope: Scope{Kubernetes: k, Namespace: namespace}, Selector: "app=checkout", Phase: "Running"}}} {
		if err := together(t, f); err == nil || !strings.Contains(err.Error(), "is in 2 disruption budgets ("+namespace+"/checkout, "+namespace+"/checkout-too), and Kubernetes evicts no pod that is in more than one") {
			t.Errorf("%s: %v", name, err)
		}
	}
	c.Delete(t, "/apis/policy/v1/namespaces/"+namespace+"/poddisruptionbudgets/checkout-too")

	// One that a budget blocks only later fails in time, says so, and opens the node.
	hit := planFor(t, &NodeDrain{Nodes: Nodes{Kubernetes: k, Node: node}, Within: 2 * time.Second})[0]
	before := clustertest.Text(c.Read(t, kube.Nodes.In("", node)))
	_, err = new(NodeDrain).Inject(t.Context(), hit)
	if err == nil || !strings.Contains(err.Error(), "2 pods still there after 2s; evicted: none; refused at last: ") || !strings.Contains(err.Error(), "a PodDisruptionBudget does not allow the eviction of pod") {
		t.Errorf("%v", err)
	}
	if err := new(NodeDrain).Revert(t.Context(), hit); err != nil {
		t.Fatal(err)
	}
	c.Await(t, "the node as it was", func() bool { return clustertest.Text(c.Read(t, kube.Nodes.In("", node))) == before })
	if pods := c.Pods(t, namespace, "checkout"); len(pods) != 2 {
		t.Errorf("%d pods", len(pods))
	}
}

// A drain meets pods of a namespace that is being deleted: no eviction is taken any
// more, and they go by themselves.
func TestADrainWaitsForPodsOfANamespaceThatEnds(t *testing.T) {
	t.Parallel()
	c := clustertest.Shared(t)
	namespace, node := c.Namespace(t), c.Node(t)
	c.Make(t, "Deployment", namespace, clustertest.Workload{Name: "checkout", Replicas: 1, Node: node})
	hit := planFor(t, &NodeDrain{Nodes: Nodes{Kubernetes: c.Connection(t), Node: node}, Within: time.Minute})[0]
	c.Delete(t, "/api/v1/namespaces/"+namespace)
	if _, err := new(NodeDrain).Inject(t.Context(), hit); err != nil {
		t.Error(err)
	}
	if err := new(NodeDrain).Revert(t.Context(), hit); err != nil {
		t.Error(err)
	}
}

func TestAnEvictionKeepsToBudgets(t *testing.T) {
	t.Parallel()
	c := clustertest.Shared(t)
	namespace := c.Namespace(t)
	c.Make(t, "StatefulSet", namespace, clustertest.Workload{Name: "checkout", Replicas: 1})
	hit := planFor(t, &PodEvict{Pods: Pods{Scope: Scope{Kubernetes: c.Connection(t), Namespace: namespace}, Phase: "Running"}})[0]
	budget(t, c, namespace, "checkout", "minAvailable: 1", 0) // after the plan
	_, err := new(PodEvict).Inject(t.Context(), hit)
	if err == nil || !strings.Contains(err.Error(), "a PodDisruptionBudget does not allow the eviction of pod "+namespace+"/checkout-0 now") {
		t.Errorf("%v", err)
	}
}

// Kubernetes evicts no pod that is in several budgets, however much they allow.
func TestAnEvictionThatSeveralBudgetsAreAboutIsRefusedByTheirNames(t *testing.T) {
	t.Parallel()
	c := clustertest.Shared(t)
	namespace, k, node := c.Namespace(t), c.Connection(t), c.Node(t)
	c.Make(t, "Deployment", namespace, clustertest.Workload{Name: "checkout", Replicas: 3, Node: node})
	budget(t, c, namespace, "checkout", "minAvailable: 1", 2)
	pods := Pods{Scope: Scope{Kubernetes: k, Namespace: namespace}, Phase: "Running"}
	planFor(t, &PodEvict{Pods: pods})
	c.Apply(t, fmt.Sprintf(`
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: everything, namespace: %s}
spec: {maxUnavailable: 2, selector: {}}
`, namespace))
	words := `is in 2 disruption budgets \(` + namespace + `/checkout, ` + namespace + `/everything\), and Kubernetes evicts no pod that is in more than one`
	refuses(t, &PodEvict{Pods: pods}, "pod "+namespace+"/checkout-[^ ]+ "+words)
	planFor(t, &PodKill{Pods: pods})
	refuses(t, &NodeDrain{Nodes: Nodes{Kubernetes: k, Node: node}, Within: time.Minute}, "node "+node+" cannot be drained: pod .* "+words)
}
