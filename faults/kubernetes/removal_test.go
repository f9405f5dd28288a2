package kubernetes

import (
	"strings"
	"testing"

	"github.com/gameday-sh/gameday/internal/cluster/clustertest"
	"github.com/gameday-sh/gameday/internal/kube"
)

// By force a pod has no time to end: the proof is that it is gone, and where something
// keeps it that it is not.
func TestAKillByForceIsProvenByALook(t *testing.T) {
	t.Parallel()
	c := clustertest.Shared(t)
	namespace := c.Namespace(t)
	k := c.Connection(t)
	c.Make(t, "StatefulSet", namespace, clustertest.Workload{Name: "stock", Replicas: 2})
	c.Merge(t, kube.Pods.In(namespace, "stock-1"), `{"metadata":{"finalizers":["example.com/keep"]}}`)
	for name, want := range map[string]string{"stock-0": ") is gone", "stock-1": ") is ending"} {
		f := &PodKill{Pods: Pods{Scope: Scope{Kubernetes: k, Namespace: namespace}, Name: name, Phase: "Running"}, Force: true}
		proof, err := f.Inject(t.Context(), planFor(t, f)[0])
		// By now another pod may have the name of the one that is gone.
		if err != nil || !strings.HasSuffix(strings.TrimSuffix(proof.Seen, "; another has its name"), want) {
			t.Errorf("%s: it saw %q, %v; want %q", name, proof.Seen, err, want)
		}
	}
	c.Merge(t, kube.Pods.In(namespace, "stock-1"), `{"metadata":{"finalizers":null}}`)
}
