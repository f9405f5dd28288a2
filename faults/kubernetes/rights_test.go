package kubernetes

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/cluster/clustertest"
	"github.com/gameday-sh/gameday/internal/kube"
)

// limited is a connection of a user who has exactly the rights given.
func limited(t *testing.T, c *clustertest.Cluster, rights []kube.Right) *kube.Kubernetes {
	t.Helper()
	user := c.User(t)
	spaces := map[string][]kube.Right{}
	for _, right := range kube.Unite(rights) {
		spaces[right.Namespace] = append(spaces[right.Namespace], right)
	}
	for namespace, list := range spaces {
		var rules []map[string]any
		for _, right := range list {
			resource := right.Resource.Name
			if right.Sub != "" {
				resource += "/" + right.Sub
			}
			rule := map[string]any{"apiGroups": []string{right.Resource.Group}, "resources": []string{resource}, "verbs": []string{right.Verb}}
			if right.Name != "" {
				rule["resourceNames"] = []string{right.Name}
			}
			rules = append(rules, rule)
		}
		text, err := json.Marshal(rules)
		if err != nil {
			t.Fatal(err)
		}
		kind, where := "Role", fmt.Sprintf("namespace: %s, ", namespace)
		if namespace == "" {
			kind, where = "ClusterRole", ""
		}
		c.Apply(t, fmt.Sprintf(`
apiVersion: rbac.authorization.k8s.io/v1
kind: %[1]s
metadata: {%[2]sname: %[3]s}
rules: %[4]s
---
apiVersion: rbac.authorization.k8s.io/v1
kind: %[1]sBinding
metadata: {%[2]sname: %[3]s}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: %[1]s, name: %[3]s}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: %[3]s}]
`, kind, where, user.Name, text))
	}
	k := c.Connection(t, func(k *kube.Kubernetes) { k.Kubeconfig = user.Kubeconfig })
	client, err := k.Client()
	if err != nil {
		t.Fatal(err)
	}
	// The API server reads roles a moment after they are made.
	c.Await(t, "the rights of "+user.Name, func() bool { return client.Allowed(t.Context(), rights) == nil })
	return k
}

// ruled is a fault that says which rights it needs.
type ruled interface {
	experiments.Fault
	Rights() []kube.Right
}

// rightful makes a fault of each kind that needs no kubelet, aimed at a namespace and a node.
func rightful(namespace, node string) map[string]func(k *kube.Kubernetes) ruled {
	scope := func(k *kube.Kubernetes) Scope { return Scope{Kubernetes: k, Namespace: namespace} }
	pods := func(k *kube.Kubernetes) Pods {
		return Pods{Scope: scope(k), Owner: "deployment/checkout", Phase: "Running", MinReady: 1}
	}
	nodes := func(k *kube.Kubernetes) Nodes { return Nodes{Kubernetes: k, Node: node} }
	one := 1
	return map[string]func(k *kube.Kubernetes) ruled{
		"pod_kill": func(k *kube.Kubernetes) ruled { return &PodKill{Pods: pods(k)} },
		"pod_kill by a pattern": func(k *kube.Kubernetes) ruled {
			p := pods(k)
			p.Namespace, p.Namespaces, p.Owner, p.MinReady = "", []string{namespace + "*"}, "", 0
			return &PodKill{Pods: p}
		},
		"pod_evict":   func(k *kube.Kubernetes) ruled { return &PodEvict{Pods: pods(k)} },
		"pod_failure": func(k *kube.Kubernetes) ruled { return &PodFailure{Pods: pods(k)} },
		"deployment_scale": func(k *kube.Kubernetes) ruled {
			return &DeploymentScale{Scope: scope(k), Workload: "deployment/checkout", Replicas: &one}
		},
		"rollout_restart": func(k *kube.Kubernetes) ruled {
			return &RolloutRestart{Scope: scope(k), Workload: "deployment/checkout"}
		},
		"node_cordon": func(k *kube.Kubernetes) ruled { return &NodeCordon{Nodes: nodes(k)} },
		"node_drain":  func(k *kube.Kubernetes) ruled { return &NodeDrain{Nodes: nodes(k), Within: time.Minute} },
		"node_taint":  func(k *kube.Kubernetes) ruled { return &NodeTaint{Nodes: nodes(k), Key: "drill", Effect: "NoExecute"} },
		"network_partition": func(k *kube.Kubernetes) ruled {
			return &NetworkPartition{Scope: scope(k), Selector: "app=checkout", Direction: "both", Fuse: time.Minute}
		},
		"resource_quota": func(k *kube.Kubernetes) ruled { return &ResourceQuota{Scope: scope(k), Fuse: time.Minute} },
	}
}

// rightsWorld is a namespace with two pods on a node of its own.
func rightsWorld(t *testing.T) (*clustertest.Cluster, string, string) {
	t.Helper()
	c := clustertest.Shared(t)
	namespace, node := c.Namespace(t), c.Node(t)
	c.Make(t, "Deployment", namespace, clustertest.Workload{Name: "checkout", Replicas: 2, Node: node})
	return c, namespace, node
}

// The rights that a kind asks for are enough for everything that a runner does with it.
func TestTheRightsAskedForAreEnough(t *testing.T) {
	for kind := range rightful("", "") {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			c, namespace, node := rightsWorld(t)
			aim := rightful(namespace, node)[kind]
			fault := aim(limited(t, c, aim(&kube.Kubernetes{}).Rights()))
			hits := planFor(t, fault)
			keeper := fault.(experiments.Keeper)
			if err := keeper.Claim(t.Context(), testRun, hits); err != nil {
				t.Fatal(err)
			}
			for _, hit := range hits {
				if _, err := fault.Inject(t.Context(), hit); err != nil {
					t.Fatal(err)
				}
				if err := keeper.Keep(t.Context(), testRun, []experiments.Kept{{Hit: hit, Injected: true, Age: time.Minute}}); err != nil {
					t.Error(err)
				}
				if err := fault.Revert(t.Context(), hit); err != nil {
					t.Error(err)
				}
				if seen, err := fault.Check(t.Context(), hit); err != nil || seen.State != experiments.Whole {
					t.Errorf("%+v, %v", seen, err)
				}
			}
			if err := keeper.Yield(t.Context(), testRun, hits); err != nil {
				t.Error(err)
			}
			if left := c.Left(t, namespace); left != "" {
				t.Errorf("left: %s", left)
			}
		})
	}
}

// One right less, to do or to undo, is noticed by the plan, and named.
func TestOneRightLessIsNoticedBeforeAnythingIsTouched(t *testing.T) {
	for kind := range rightful("", "") {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			c, namespace, node := rightsWorld(t)
			aim := rightful(namespace, node)[kind]
			all := kube.Unite(aim(&kube.Kubernetes{}).Rights())
			for i, right := range all {
				// A right to all objects covers that to one, and would not be missed.
				if slices.ContainsFunc(all, func(other kube.Right) bool {
					return other != right && other.Verb == right.Verb && other.Resource == right.Resource && other.Sub == right.Sub && other.Name == "" && other.Namespace == ""
				}) {
					continue
				}
				fault := aim(limited(t, c, slices.Delete(slices.Clone(all), i, i+1)))
				_, err := fault.Plan(t.Context(), drawFor("it"))
				if err == nil || !strings.Contains(err.Error(), "these rights are missing at "+c.Client.Reach().Server) || !strings.Contains(err.Error(), ": "+right.String()+" (to "+right.Why+")") {
					t.Errorf("without the right to %s: %v", right, err)
				}
			}
			if left := c.Left(t, namespace); left != "" {
				t.Errorf("left: %s", left)
			}
		})
	}
}
