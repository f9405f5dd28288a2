package kubernetes

import (
	"context"
	"fmt"
	"regexp"
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

func TestANamespaceOptsOutOrMustOptIn(t *testing.T) {
	t.Parallel()
	c := clustertest.Shared(t)
	namespace := c.Namespace(t)
	c.Make(t, "Deployment", namespace, clustertest.Workload{Name: "checkout", Replicas: 1})
	ref := kube.Namespaces.In("", namespace)
	free, careful := c.Connection(t), c.Connection(t, func(k *kube.Kubernetes) { k.OptIn = "gameday.sh/allow=true" })
	refuses(t, killing(careful, many(1), namespace), "does not bear the label gameday.sh/allow=true")
	c.Merge(t, ref, `{"metadata":{"labels":{"gameday.sh/allow":"yes"}}}`)
	refuses(t, killing(careful, many(1), namespace), "does not bear the label gameday.sh/allow=true")
	c.Merge(t, ref, `{"metadata":{"labels":{"gameday.sh/allow":"true"}}}`)
	planFor(t, killing(careful, many(1), namespace))
	c.Merge(t, ref, `{"metadata":{"annotations":{"gameday.sh/exclude":""}}}`)
	refuses(t, killing(careful, many(1), namespace), "it bears the annotation gameday.sh/exclude") // also what opted in
	refuses(t, killing(free, many(1), namespace), "it bears the annotation gameday.sh/exclude")
	c.Merge(t, ref, `{"metadata":{"annotations":{"gameday.sh/exclude":"false"}}}`)
	planFor(t, killing(free, many(1), namespace))
}

func TestWhatOptedOutIsLeftOutBeforeTheDraw(t *testing.T) {
	t.Parallel()
	c := clustertest.Shared(t)
	namespace := c.Namespace(t)
	k := c.Connection(t)
	c.Deployment(t, namespace, "checkout", 3)
	c.Make(t, "StatefulSet", namespace, clustertest.Workload{Name: "stock", Replicas: 2})
	kill := func(n int) *PodKill { return killing(k, many(n), namespace) }
	planFor(t, kill(5))
	refuses(t, kill(6), "6 of pods in "+namespace+", in phase Running are asked for, and only 5 match: fewer targets than asked is an error")

	pod := c.Pods(t, namespace, "checkout")[1].Text("metadata", "name")
	c.Merge(t, kube.Pods.In(namespace, pod), `{"metadata":{"annotations":{"gameday.sh/exclude":"true"}}}`)
	refuses(t, kill(5), `\(1 that match opted out: they or their workload bear the annotation gameday.sh/exclude\) are asked for, and only 4 match`)
	for _, hit := range planFor(t, kill(4)) {
		if strings.Contains(hit.Target, pod) {
			t.Errorf("%s opted out and would be hit", pod)
		}
	}
	// A pod that opts out after the plan is not hit either.
	hit := planFor(t, &PodKill{Pods: Pods{Scope: Scope{Kubernetes: k, Namespace: namespace}, Name: "stock-0", Phase: "any"}})[0]
	c.Merge(t, kube.Pods.In(namespace, "stock-0"), `{"metadata":{"annotations":{"gameday.sh/exclude":"true"}}}`)
	if _, err := new(PodKill).Inject(t.Context(), hit); err == nil || !strings.Contains(err.Error(), "by now; nothing was done") {
		t.Errorf("a pod that opted out was hit: %v", err)
	}

	scaled := &DeploymentScale{Scope: Scope{Kubernetes: k, Namespace: namespace}, Workload: "deployment/checkout", Replicas: new(int)}
	scaling := planFor(t, scaled)[0]
	restarted := &RolloutRestart{Scope: Scope{Kubernetes: k, Namespace: namespace}, Workload: "deployment/checkout"}
	restarting := planFor(t, restarted)[0]

	// A workload that opts out takes all of its pods with it, and is not changed itself.
	c.Merge(t, kube.StatefulSets.In(namespace, "stock"), `{"metadata":{"annotations":{"gameday.sh/exclude":"true"}}}`)
	refuses(t, kill(3), "only 2 match")
	c.Merge(t, kube.Deployments.In(namespace, "checkout"), `{"metadata":{"annotations":{"gameday.sh/exclude":"true"}}}`)
	refuses(t, kill(1), "no pods in "+namespace+`, in phase Running \(5 that match opted out: they or their workload bear the annotation gameday.sh/exclude\) matches`)
	refuses(t, scaled, "it bears the annotation gameday.sh/exclude")
	if _, err := scaled.Inject(t.Context(), scaling); err == nil || !strings.Contains(err.Error(), "by now; nothing was done") {
		t.Errorf("a deployment that opted out after the plan was scaled: %v", err)
	}
	if _, err := restarted.Inject(t.Context(), restarting); err == nil || !strings.Contains(err.Error(), "by now; nothing was done") {
		t.Errorf("a deployment that opted out after the plan was restarted: %v", err)
	}
	refuses(t, &NetworkPartition{Scope: Scope{Kubernetes: k, Namespace: namespace}, Direction: "both", Fuse: time.Minute}, "bears the annotation gameday.sh/exclude, and a policy")
	refuses(t, &ResourceQuota{Scope: Scope{Kubernetes: k, Namespace: namespace}, Fuse: time.Minute}, "Deployment checkout, ReplicaSet checkout-[0-9a-f]+, StatefulSet stock")
	refuses(t, restarted, "it bears the annotation gameday.sh/exclude")
}

// What went or opted out between the plan and its turn is not touched, and this is told.
func TestATargetThatWentOrOptedOutAfterThePlanIsLeftAlone(t *testing.T) {
	t.Parallel()
	c := clustertest.Shared(t)
	namespace := c.Namespace(t)
	c.Make(t, "StatefulSet", namespace, clustertest.Workload{Name: "stock", Replicas: 1})
	pods := Pods{Scope: Scope{Kubernetes: c.Connection(t), Namespace: namespace}, Phase: "Running"}
	hit := planFor(t, &PodKill{Pods: pods})[0]
	r, err := parse(hit)
	if err != nil {
		t.Fatal(err)
	}
	r.Signal = &signalRecord{Container: "shop", ID: "none", Command: []string{"kill", "1"}, Wait: time.Second}
	signal, err := newHit(r, drawFor("it"), "", "", "")
	if err != nil {
		t.Fatal(err)
	}
	failing := planFor(t, &PodFailure{Pods: pods})[0]
	c.Merge(t, r.Object.ref(), `{"metadata":{"annotations":{"gameday.sh/exclude":""}}}`)
	for fault, hit := range map[experiments.Fault]experiments.Hit{&PodKill{}: hit, &ContainerKill{}: signal, &PodFailure{}: failing} {
		if _, err := fault.Inject(t.Context(), hit); err == nil || !strings.Contains(err.Error(), "bears the annotation gameday.sh/exclude by now; nothing was done") {
			t.Errorf("%T opted out: %v", fault, err)
		}
	}
	c.Merge(t, kube.StatefulSets.In(namespace, "stock"), `{"spec":{"replicas":0}}`)
	c.Delete(t, "/api/v1/namespaces/"+namespace+"/pods/"+r.Object.Name)
	for fault, hit := range map[experiments.Fault]experiments.Hit{&PodKill{}: hit, &ContainerKill{}: signal, &PodFailure{}: failing} {
		if _, err := fault.Inject(t.Context(), hit); err == nil || !strings.Contains(err.Error(), "moved since the plan") {
			t.Errorf("%T gone: %v", fault, err)
		}
	}
}

func TestAContainerThatIsNotStartedAgainIsToldBefore(t *testing.T) {
	never, always := &corev1.Pod{Spec: corev1.PodSpec{RestartPolicy: corev1.RestartPolicyNever}}, &corev1.Pod{}
	if words := startsAgain(never) + "; " + startsAgain(always); words != "the pod's restartPolicy is Never, and the container STAYS ENDED; the kubelet restarts the container" {
		t.Error(words)
	}
}

func TestACronJobThatOptsOutTakesThePodsOfItsJobsWithIt(t *testing.T) {
	t.Parallel()
	c := clustertest.Shared(t)
	namespace := c.Namespace(t)
	c.Apply(t, fmt.Sprintf(`
apiVersion: batch/v1
kind: CronJob
metadata: {name: nightly, namespace: %s}
spec:
  schedule: "* * * * *"
  suspend: true
  jobTemplate:
    spec: {template: {spec: {restartPolicy: Never, containers: [{name: shop, image: none}]}}}
`, namespace))
	cron := kube.CronJobs.In(namespace, "nightly")
	c.Apply(t, fmt.Sprintf(`
apiVersion: batch/v1
kind: Job
metadata:
  name: nightly-1
  namespace: %s
  ownerReferences: [{apiVersion: batch/v1, kind: CronJob, name: nightly, uid: %s, controller: true}]
spec: {template: {spec: {restartPolicy: Never, containers: [{name: shop, image: none}]}}}
`, namespace, c.Read(t, cron).Text("metadata", "uid")))
	c.Await(t, "the pod of the job", func() bool {
		return len(c.Items(t, "/api/v1/namespaces/"+namespace+"/pods")) == 1
	})
	kill := killing(c.Connection(t), many(1), namespace)
	kill.Phase = "any"
	planFor(t, kill)
	c.Merge(t, cron, `{"metadata":{"annotations":{"gameday.sh/exclude":""}}}`)
	refuses(t, kill, `no pods in `+namespace+` \(1 that match opted out`)
}

func TestAPodMustOptIn(t *testing.T) {
	t.Parallel()
	c := clustertest.Shared(t)
	namespace := c.Namespace(t)
	k := c.Connection(t)
	c.Make(t, "Deployment", namespace, clustertest.Workload{Name: "plain", Replicas: 1})
	c.Make(t, "Deployment", namespace, clustertest.Workload{Name: "willing", Replicas: 1, Annotations: `{gameday.sh/allow: "true"}`})
	kill := killing(k, Share{All: true}, namespace)
	kill.OptIn = "gameday.sh/allow=true"
	hits := planFor(t, kill)
	if len(hits) != 1 || !strings.Contains(hits[0].Target, "/willing-") {
		t.Errorf("%v", hits)
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
	namespace, k := c.Namespace(t), c.Connection(t)
	c.Deployment(t, namespace, "checkout", 3)
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
	node := c.Pods(t, namespace, "checkout")[0].Text("spec", "nodeName")
	refuses(t, &NodeDrain{Nodes: Nodes{Kubernetes: k, Node: node}, Within: time.Minute}, "node "+node+" cannot be drained: pod .* "+words)
}

func TestSomebodyElsesChangeIsKeptAndTold(t *testing.T) {
	t.Parallel()
	c := clustertest.Shared(t)
	namespace, node := c.Namespace(t), c.Node(t)
	c.Deployment(t, namespace, "checkout", 3)
	k := c.Connection(t)
	one := 1
	for name, it := range map[string]struct {
		fault experiments.Fault
		ref   kube.Ref
		moved string
		path  []string
		now   string
	}{
		"a scale": {&DeploymentScale{Scope: Scope{Kubernetes: k, Namespace: namespace}, Workload: "deployment/checkout", Replicas: &one},
			kube.Deployments.In(namespace, "checkout"), `{"spec":{"replicas":5}}`, []string{"spec", "replicas"}, "5"},
		"a taint": {&NodeTaint{Nodes: Nodes{Kubernetes: k, Node: node}, Key: "drill", Effect: "NoSchedule"},
			kube.Nodes.In("", node), `{"spec":{"taints":[{"key":"drill","effect":"PreferNoSchedule"}]}}`, []string{"spec", "taints"}, "[map[effect:PreferNoSchedule key:drill]]"},
	} {
		t.Run(name, func(t *testing.T) {
			hit := planFor(t, it.fault)[0]
			if _, err := it.fault.Inject(t.Context(), hit); err != nil {
				t.Fatal(err)
			}
			c.Merge(t, it.ref, it.moved)
			if err := it.fault.Revert(t.Context(), hit); err != nil {
				t.Fatal(err)
			}
			seen, err := it.fault.Check(t.Context(), hit)
			if err != nil || seen.State != experiments.Superseded || !strings.Contains(seen.Seen, "somebody else changed it meanwhile") {
				t.Errorf("%+v, %v", seen, err)
			}
			thing := c.Read(t, it.ref)
			if now := fmt.Sprint(thing.At(it.path...)); now != it.now {
				t.Errorf("it reads %s, want theirs: %s", now, it.now)
			}
			if thing.Text("metadata", "annotations", HitAnnotation) != "" || thing.Text("metadata", "labels", RunLabel) != "" {
				t.Error("the mark is still on it")
			}
		})
	}
}

// A controller that writes all annotations anew takes the mark off and leaves the harm.
func TestWhatLostItsMarkIsMendedAllTheSame(t *testing.T) {
	t.Parallel()
	c := clustertest.Shared(t)
	namespace := c.Namespace(t)
	c.Deployment(t, namespace, "checkout", 3)
	k := c.Connection(t)
	one := 1
	faults := map[kube.Ref]experiments.Fault{
		kube.Deployments.In(namespace, "checkout"): &DeploymentScale{Scope: Scope{Kubernetes: k, Namespace: namespace}, Workload: "deployment/checkout", Replicas: &one},
	}
	pod := c.Pods(t, namespace, "checkout")[0].Text("metadata", "name")
	faults[kube.Pods.In(namespace, pod)] = &PodFailure{Pods: Pods{Scope: Scope{Kubernetes: k, Namespace: namespace}, Name: pod, Phase: "Running"}}
	if c.Plane != nil {
		cordoned, tainted := c.Node(t), c.Node(t)
		faults[kube.Nodes.In("", cordoned)] = &NodeCordon{Nodes: Nodes{Kubernetes: k, Node: cordoned}}
		faults[kube.Nodes.In("", tainted)] = &NodeTaint{Nodes: Nodes{Kubernetes: k, Node: tainted}, Key: "drill", Effect: "NoSchedule"}
	}
	for ref, fault := range faults {
		if ref.Resource == kube.Deployments {
			continue // it would end the pod
		}
		lostMark(t, c, ref, fault)
	}
	ref := kube.Deployments.In(namespace, "checkout")
	hit := lostMark(t, c, ref, faults[ref])

	// The same number from somebody else, after it was mended, is theirs.
	c.Merge(t, ref, `{"spec":{"replicas":1}}`)
	if err := faults[ref].Revert(t.Context(), hit); err != nil {
		t.Fatal(err)
	}
	seen, err := faults[ref].Check(t.Context(), hit)
	if replicas := fmt.Sprint(c.Read(t, ref).At("spec", "replicas")); err != nil || seen.State != experiments.Superseded || replicas != "1" {
		t.Errorf("%s replicas: %+v, %v", replicas, seen, err)
	}
}

// The same of what gameday makes: its name is the hit's alone, and the label is enough.
func TestWhatWasMadeAndLostItsMarkIsDeletedAllTheSame(t *testing.T) {
	t.Parallel()
	c := clustertest.Shared(t)
	k := c.Connection(t)
	quota := func(namespace string) (experiments.Hit, kube.Ref) {
		hit := planFor(t, &ResourceQuota{Scope: Scope{Kubernetes: k, Namespace: namespace}, Fuse: time.Minute})[0]
		if _, err := new(ResourceQuota).Inject(t.Context(), hit); err != nil {
			t.Fatal(err)
		}
		r, err := parse(hit)
		if err != nil {
			t.Fatal(err)
		}
		return hit, kube.ResourceQuotas.In(namespace, r.name())
	}
	state := func(hit experiments.Hit) experiments.State {
		seen, err := new(ResourceQuota).Check(t.Context(), hit)
		if err != nil {
			t.Fatal(err)
		}
		return seen.State
	}
	hit, ref := quota(c.Namespace(t))
	bare := `{"metadata":{"annotations":{"gameday.sh/hit":null}}}`
	c.Merge(t, ref, bare)
	c.Merge(t, kube.Jobs.In(ref.Namespace, ref.Name), bare)
	if now := state(hit); now != experiments.Harmed {
		t.Errorf("without its annotation it is %s", now)
	}
	if err := new(ResourceQuota).Revert(t.Context(), hit); err != nil || state(hit) != experiments.Whole {
		t.Errorf("%v; it is %s", err, state(hit))
	}

	// Without both it may be anybody's: it is left alone, and nobody says that it is gone.
	hit, ref = quota(c.Namespace(t))
	c.Merge(t, ref, `{"metadata":{"annotations":null,"labels":null}}`)
	if err := new(ResourceQuota).Revert(t.Context(), hit); err == nil || !strings.Contains(err.Error(), "neither our annotation nor our label: it is left alone") || state(hit) != experiments.Harmed {
		t.Errorf("%v; it is %s", err, state(hit))
	}
	if seen, err := new(ResourceQuota).Perished(t.Context(), hit); seen != "" || err != nil {
		t.Errorf("while it is there: %q, %v", seen, err)
	}
	c.Delete(t, "/api/v1/namespaces/"+ref.Namespace+"/resourcequotas/"+ref.Name)
	if seen, err := new(ResourceQuota).Perished(t.Context(), hit); !strings.Contains(seen, "was gone before its time") || err != nil {
		t.Errorf("once somebody deleted it: %q, %v", seen, err)
	}
	if err := new(ResourceQuota).Revert(t.Context(), hit); err != nil || state(hit) != experiments.Whole {
		t.Errorf("%v; it is %s", err, state(hit))
	}
}

var (
	_ experiments.Perishable = (*ResourceQuota)(nil)
	_ experiments.Perishable = (*NetworkPartition)(nil)
)

// lostMark breaks an object, takes the mark off, and wants it mended.
func lostMark(t *testing.T, c *clustertest.Cluster, ref kube.Ref, fault experiments.Fault) experiments.Hit {
	t.Helper()
	before := c.Read(t, ref).At("spec")
	hit := planFor(t, fault)[0]
	if _, err := fault.Inject(t.Context(), hit); err != nil {
		t.Fatal(err)
	}
	c.Merge(t, ref, `{"metadata":{"annotations":{"gameday.sh/hit":null}}}`)
	if seen, err := fault.Check(t.Context(), hit); err != nil || seen.State != experiments.Harmed || !strings.Contains(seen.Seen, "though somebody took its mark off") {
		t.Errorf("%s while it is broken: %+v, %v", ref, seen, err)
	}
	for range 2 {
		if err := fault.Revert(t.Context(), hit); err != nil {
			t.Fatal(err)
		}
	}
	if seen, err := fault.Check(t.Context(), hit); err != nil || seen.State != experiments.Whole {
		t.Errorf("%s once it is mended: %+v, %v", ref, seen, err)
	}
	after := c.Read(t, ref)
	if !alike(after.At("spec"), before) || after.Text("metadata", "labels", RunLabel) != "" {
		t.Errorf("%s is not as before:\n%v\n%v", ref, before, after)
	}
	return hit
}

// Two hits want one object: the second is refused and touches nothing.
func TestAnObjectThatIsMarkedIsRefusedToOthers(t *testing.T) {
	t.Parallel()
	c := clustertest.Shared(t)
	namespace := c.Namespace(t)
	c.Deployment(t, namespace, "checkout", 3)
	one, two := 1, 2
	scope := Scope{Kubernetes: c.Connection(t), Namespace: namespace}
	first := &DeploymentScale{Scope: scope, Workload: "deployment/checkout", Replicas: &one}
	second := &DeploymentScale{Scope: scope, Workload: "deployment/checkout", Replicas: &two}
	early := planFor(t, second)[0]
	r, _, err := read(early)
	if err != nil {
		t.Fatal(err)
	}
	early, err = newHit(r, experiments.Draw{Run: "another-run", Fault: "it", Round: 1}, early.Effect, early.Undo, early.Fuse)
	if err != nil {
		t.Fatal(err)
	}
	hit := planFor(t, first)[0]
	if _, err := first.Inject(t.Context(), hit); err != nil {
		t.Fatal(err)
	}
	during := clustertest.Text(c.Read(t, kube.Deployments.In(namespace, "checkout")))
	refuses(t, second, "carries the mark of another hit of this run: it bears one change at a time")
	if _, err := second.Inject(t.Context(), early); err == nil || !strings.Contains(err.Error(), "carries the mark of run "+testRun+" already") {
		t.Errorf("%v", err)
	}
	if err := second.Revert(t.Context(), early); err != nil { // not its own
		t.Error(err)
	}
	if now := clustertest.Text(c.Read(t, kube.Deployments.In(namespace, "checkout"))); now != during {
		t.Errorf("the second changed it:\n%s\n%s", during, now)
	}
	if err := first.Revert(t.Context(), hit); err != nil {
		t.Error(err)
	}
}

func TestALeaseKeepsTwoRunsApart(t *testing.T) {
	t.Parallel()
	c := clustertest.Shared(t)
	namespace, node := c.Namespace(t), c.Node(t)
	c.Deployment(t, namespace, "checkout", 2)
	k := c.Connection(t)
	hits := planFor(t, killing(k, many(1), namespace))
	hits = append(hits, planFor(t, &NodeCordon{Nodes: Nodes{Kubernetes: k, Node: node}})...)
	var claims Claims
	if err := claims.Claim(t.Context(), "run-a", hits); err != nil {
		t.Fatal(err)
	}
	if err := claims.Claim(t.Context(), "run-a", hits); err != nil {
		t.Errorf("claiming again: %v", err)
	}
	// Who is refused reads who holds it, for how long, until when, and what to type.
	for what, refused := range map[string][]experiments.Hit{"namespace " + namespace: hits, "node " + node: hits[1:]} {
		err := claims.Claim(t.Context(), "run-b", refused)
		words := what + ` is held by run run-a, maybe on another machine \(for \d+m?s, lease renewed \d+m?s ago\): .*gameday abort; .*gameday recover --cluster when its lease ends, in [34]\ds$`
		if err == nil || !regexp.MustCompile(words).MatchString(err.Error()) {
			t.Errorf("%v\nwant %q", err, words)
		}
	}
	if err := claims.Yield(t.Context(), "run-b", hits); err != nil {
		t.Error(err)
	}
	if err := claims.Claim(t.Context(), "run-b", hits); err == nil {
		t.Error("run-b gave back what run-a holds")
	}
	// run-a falls silent: its lease ends, run-b takes over, and run-a is refused.
	long := time.Now().Add(-leaseFor - clockSlack - time.Second).UTC().Format("2006-01-02T15:04:05.000000Z")
	for _, ref := range []kube.Ref{kube.Leases.In(namespace, leaseName), kube.Leases.In(leaseNamespace, leaseName+"-node-"+node)} {
		c.Merge(t, ref, `{"spec":{"renewTime":"`+long+`"}}`)
	}
	if err := claims.Claim(t.Context(), "run-b", hits); err != nil {
		t.Fatalf("an ended lease is not taken over: %v", err)
	}
	kept := []experiments.Kept{{Hit: hits[0]}, {Hit: hits[1]}}
	if err := claims.Keep(t.Context(), "run-a", kept); err == nil || !strings.Contains(err.Error(), "held by run run-b") {
		t.Errorf("the one that was away renews: %v", err)
	}
	if err := claims.Keep(t.Context(), "run-b", kept); err != nil {
		t.Error(err)
	}
	if err := claims.Yield(t.Context(), "run-b", hits); err != nil {
		t.Error(err)
	}
	if c.Left(t, namespace) != "" || c.Has(t, "/apis/coordination.k8s.io/v1/namespaces/default/leases/gameday-node-"+node) {
		t.Error("leases are left")
	}
}

func TestOnlyOneOfManyGetsALease(t *testing.T) {
	t.Parallel()
	c := clustertest.Shared(t)
	namespace := c.Namespace(t)
	c.Deployment(t, namespace, "checkout", 1)
	hits := planFor(t, killing(c.Connection(t), many(1), namespace))
	const runs = 12
	won := make(chan string, runs)
	lost := make(chan error, runs)
	for i := range runs {
		go func() {
			run := fmt.Sprintf("run-%d", i)
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			if err := (Claims{}).Claim(ctx, run, hits); err != nil {
				lost <- err
			} else {
				won <- run
			}
		}()
	}
	for range runs - 1 {
		if err := <-lost; !strings.Contains(err.Error(), "is held by run") {
			t.Errorf("%v", err)
		}
	}
	if err := (Claims{}).Yield(t.Context(), <-won, hits); err != nil {
		t.Error(err)
	}
}
