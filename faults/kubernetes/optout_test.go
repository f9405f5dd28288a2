package kubernetes

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/cluster/clustertest"
	"github.com/gameday-sh/gameday/internal/kube"
)

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
	refuses(t, kill(5), "are asked for, and only 4 match: .*these match too, and are left alone as they bear the annotation gameday.sh/exclude: pod "+namespace+"/"+pod)
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

	// A change to its workload would not pass a pod by.
	scaled := &DeploymentScale{Scope: Scope{Kubernetes: k, Namespace: namespace}, Workload: "deployment/checkout", Replicas: new(int)}
	restarted := &RolloutRestart{Scope: Scope{Kubernetes: k, Namespace: namespace}, Workload: "deployment/checkout"}
	refuses(t, scaled, "its pod "+pod+" bears the annotation gameday.sh/exclude")
	refuses(t, restarted, "its pod "+pod+" bears the annotation gameday.sh/exclude")
	c.Make(t, "Deployment", namespace, clustertest.Workload{Name: "shy", Replicas: 1, Annotations: `{gameday.sh/exclude: "true"}`})
	refuses(t, &DeploymentScale{Scope: scaled.Scope, Workload: "deployment/shy", Replicas: new(int)}, "its pods bear the annotation gameday.sh/exclude, by its template")
	refuses(t, &RolloutRestart{Scope: scaled.Scope, Workload: "deployment/shy"}, "its pods bear the annotation gameday.sh/exclude, by its template")
	c.Merge(t, kube.Pods.In(namespace, pod), `{"metadata":{"annotations":{"gameday.sh/exclude":null}}}`)
	scaling, restarting := planFor(t, scaled)[0], planFor(t, restarted)[0]

	// A workload that opts out takes all of its pods with it, and is not changed itself.
	c.Merge(t, kube.StatefulSets.In(namespace, "stock"), `{"metadata":{"annotations":{"gameday.sh/exclude":"true"}}}`)
	refuses(t, kill(4), "only 3 match")
	c.Merge(t, kube.Deployments.In(namespace, "checkout"), `{"metadata":{"annotations":{"gameday.sh/exclude":"true"}}}`)
	refuses(t, kill(1), "no pods in "+namespace+", in phase Running matches; these match too, and are left alone as they bear the annotation gameday.sh/exclude: ReplicaSet checkout-[0-9a-f]+ of namespace "+namespace)
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

// Somebody may say "hands off" at any time until it is the turn of what was planned.
func TestWhatOptsOutAfterThePlanIsLeftAlone(t *testing.T) {
	t.Parallel()
	c := clustertest.Shared(t)
	namespace := c.Namespace(t)
	scope := Scope{Kubernetes: c.Connection(t), Namespace: namespace}
	c.Deployment(t, namespace, "checkout", 3)
	pods := Pods{Scope: scope, Selector: "app=checkout", Phase: "Running", Share: many(1)}
	faults := map[string]experiments.Taker{
		"pod_kill":          &PodKill{Pods: pods},
		"pod_evict":         &PodEvict{Pods: pods},
		"pod_failure":       &PodFailure{Pods: pods},
		"deployment_scale":  &DeploymentScale{Scope: scope, Workload: "deployment/checkout", Replicas: new(int)},
		"rollout_restart":   &RolloutRestart{Scope: scope, Workload: "deployment/checkout"},
		"network_partition": &NetworkPartition{Scope: scope, Direction: "both", Fuse: time.Minute},
		"resource_quota":    &ResourceQuota{Scope: scope, Fuse: time.Minute},
	}
	plans := map[string][]experiments.Hit{}
	for kind, f := range faults {
		plans[kind] = planFor(t, f)
	}
	tell := func(what, wrong string, kinds ...string) {
		t.Helper()
		for _, kind := range kinds {
			switch _, err := faults[kind].Takes(t.Context(), plans[kind]); {
			case wrong == "" && err != nil:
				t.Errorf("%s, when %s: %v", kind, what, err)
			case wrong != "" && (err == nil || !strings.Contains(err.Error(), wrong)):
				t.Errorf("%s, when %s: %v, want %q", kind, what, err, wrong)
			}
		}
	}
	all := slices.Collect(maps.Keys(faults))
	out, in := `{"metadata":{"annotations":{"gameday.sh/exclude":"true"}}}`, `{"metadata":{"annotations":{"gameday.sh/exclude":null}}}`
	tell("nothing has changed", "", all...)
	c.Merge(t, kube.Namespaces.In("", namespace), out)
	tell("the namespace opted out", "nothing was done, as by now: namespace "+namespace+" is not touched: it bears the annotation gameday.sh/exclude", all...)
	c.Merge(t, kube.Namespaces.In("", namespace), in)
	for _, pod := range c.Pods(t, namespace, "checkout") {
		c.Merge(t, kube.Pods.In(namespace, pod.Text("metadata", "name")), out)
	}
	tell("the pods opted out", "bears the annotation gameday.sh/exclude", "pod_kill", "pod_evict", "pod_failure", "deployment_scale", "rollout_restart", "network_partition")
	for _, pod := range c.Pods(t, namespace, "checkout") {
		c.Merge(t, kube.Pods.In(namespace, pod.Text("metadata", "name")), in)
	}
	tell("nobody is out any more", "", all...)
	// What its injection patches is looked at then.
	c.Merge(t, kube.Deployments.In(namespace, "checkout"), out)
	tell("the workload opted out", "bear", "pod_kill", "pod_evict", "pod_failure", "network_partition", "resource_quota")
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
	c.Await(t, "the end of the pod", func() bool { return len(c.Items(t, "/api/v1/namespaces/"+namespace+"/pods")) == 0 })
	for fault, hit := range map[experiments.Fault]experiments.Hit{&PodKill{}: hit, &ContainerKill{}: signal, &PodFailure{}: failing} {
		if _, err := fault.Inject(t.Context(), hit); err == nil || !strings.Contains(err.Error(), "moved since the plan") {
			t.Errorf("%T gone: %v", fault, err)
		}
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
	refuses(t, kill, "no pods in "+namespace+" matches; these match too, .*: Job nightly-1 of namespace "+namespace)
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
