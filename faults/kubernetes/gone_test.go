package kubernetes

import (
	"fmt"
	"slices"
	"testing"

	"github.com/gameday-sh/gameday/internal/cluster/clustertest"
	"github.com/gameday-sh/gameday/internal/kube"
)

// Few pods are looked at one by one, many in a list, and many among far more one by one
// again: which have gone is told the same.
func TestPodsThatWentSinceThePlan(t *testing.T) {
	for name, it := range map[string]struct{ pods, hits int }{
		"few":                 {4, 3},
		"many":                {2*looksAtOnce + 8, 2 * looksAtOnce},
		"many among far more": {10 * looksAtOnce, 2 * looksAtOnce},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := clustertest.Shared(t)
			namespace, k := c.Namespace(t), c.Connection(t)
			c.Make(t, "Deployment", namespace, clustertest.Workload{Name: "checkout", Replicas: it.pods, Node: c.Node(t)})
			fault := &PodKill{Pods: Pods{Scope: Scope{Kubernetes: k, Namespace: namespace}, Share: count(it.hits)}}
			hits := planFor(t, fault)
			there := func(want ...string) {
				t.Helper()
				got, err := fault.Gone(t.Context(), hits)
				if slices.Sort(want); err != nil || fmt.Sprint(slices.Sorted(slices.Values(got))) != fmt.Sprint(want) {
					t.Errorf("gone are %v (%v), want %v", got, err, want)
				}
			}
			there()
			var went []string
			for _, hit := range []int{0, len(hits) - 1} {
				r, err := parse(hits[hit])
				if err != nil {
					t.Fatal(err)
				}
				c.Delete(t, "/api/v1/namespaces/"+namespace+"/pods/"+r.Object.Name)
				went = append(went, hits[hit].Target)
			}
			there(went...)
			// One that is on its way out, and stays there for a while, counts too.
			r, err := parse(hits[1])
			if err != nil {
				t.Fatal(err)
			}
			c.Merge(t, kube.Pods.In(namespace, r.Object.Name), `{"metadata":{"finalizers":["example.com/stays"]}}`)
			c.Delete(t, "/api/v1/namespaces/"+namespace+"/pods/"+r.Object.Name)
			there(append(went, hits[1].Target)...)
			c.Merge(t, kube.Pods.In(namespace, r.Object.Name), `{"metadata":{"finalizers":null}}`)
		})
	}
}
