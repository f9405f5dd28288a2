package kubernetes

import (
	"fmt"
	"testing"

	autoscalingv1 "k8s.io/api/autoscaling/v1"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/cluster/clustertest"
	"github.com/gameday-sh/gameday/internal/kube"
)

func autoscaler(name, workload string, least, most int) string {
	return fmt.Sprintf(`
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: %s, namespace: %%s}
spec:
  minReplicas: %d
  maxReplicas: %d
  scaleTargetRef: {apiVersion: apps/v1, kind: %s}
  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 80}}}]
`, name, least, most, workload)
}

func TestAWorkloadThatAnAutoscalerKeepsIsNotScaled(t *testing.T) {
	t.Parallel()
	c := clustertest.Shared(t)
	namespace := c.Namespace(t)
	k := c.Connection(t)
	c.Deployment(t, namespace, "checkout", 3)
	c.Make(t, "StatefulSet", namespace, clustertest.Workload{Name: "checkout-db", Replicas: 2})
	scale := func(workload string, replicas int) *DeploymentScale {
		return &DeploymentScale{Scope: Scope{Kubernetes: k, Namespace: namespace}, Workload: workload, Replicas: &replicas}
	}
	apply := func(text string) { c.Apply(t, fmt.Sprintf(text, namespace)) }

	// One of another sort and the same name, and one of the same sort and another name.
	apply(autoscaler("other-sort", "StatefulSet, name: checkout", 1, 9))
	apply(autoscaler("other-name", "Deployment, name: checkout-db", 1, 9))
	planFor(t, scale("deployment/checkout", 1))
	planFor(t, scale("statefulset/checkout-db", 1))

	apply(autoscaler("keeper", "Deployment, name: checkout", 3, 9))
	refuses(t, scale("deployment/checkout", 1), "HorizontalPodAutoscaler "+namespace+"/keeper keeps between 3 and 9 replicas and would change the number back .*scale to 0.*autoscaled = true")
	half := experiments.Percent(0.5)
	refuses(t, &DeploymentScale{Scope: Scope{Kubernetes: k, Namespace: namespace}, Workload: "deployment/checkout", Percent: &half}, "keeper keeps")
	planFor(t, scale("deployment/checkout", 0)) // at 0 it stands still

	// Somebody who writes so sees what it does, and it is left as the autoscaler has it.
	fault := scale("deployment/checkout", 1)
	fault.Autoscaled = true
	hit := planFor(t, fault)[0]
	if _, err := fault.Inject(t.Context(), hit); err != nil {
		t.Fatal(err)
	}
	c.Await(t, "the autoscaler to scale back", func() bool {
		return fmt.Sprint(c.Read(t, kube.Deployments.In(namespace, "checkout")).At("spec", "replicas")) == "3"
	})
	c.Merge(t, kube.Deployments.In(namespace, "checkout"), `{"spec":{"replicas":4}}`) // as it may at more load
	if err := fault.Revert(t.Context(), hit); err != nil {
		t.Fatal(err)
	}
	seen, err := fault.Check(t.Context(), hit)
	if err != nil || seen.State != experiments.Superseded {
		t.Errorf("%+v, %v; want superseded", seen, err)
	}
}

func TestAnAutoscalerNamesItsWorkload(t *testing.T) {
	for name, it := range map[string]struct {
		version, kind, target string
		scales                bool
	}{
		"the workload":              {"apps/v1", "Deployment", "checkout", true},
		"another version":           {"apps/v1beta2", "Deployment", "checkout", true},
		"the group it once was in":  {"extensions/v1beta1", "Deployment", "checkout", true},
		"no version":                {"", "Deployment", "checkout", true},
		"a kind of somebody else's": {"example.com/v1", "Deployment", "checkout", false},
		"another kind":              {"apps/v1", "StatefulSet", "checkout", false},
		"another name":              {"apps/v1", "Deployment", "checkout-2", false},
	} {
		target := autoscalingv1.CrossVersionObjectReference{APIVersion: it.version, Kind: it.kind, Name: it.target}
		if scales(target, kube.Deployments, "checkout") != it.scales {
			t.Errorf("%s: want %v", name, it.scales)
		}
	}
}
