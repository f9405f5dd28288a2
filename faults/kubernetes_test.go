package faults_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/faults/conformance"
	"github.com/gameday-sh/gameday/faults/kubernetes"
	"github.com/gameday-sh/gameday/internal/cluster/clustertest"
	"github.com/gameday-sh/gameday/internal/kube"
)

// Worlds on a real API server. Its nodes are simulated: pods are scheduled and ready,
// and no container runs.

// clustered makes worlds whose hits must not hold what is secret in the kubeconfig.
func clustered(kind string, build func(*testing.T, *clustertest.Cluster, *kube.Kubernetes) conformance.Target) conformance.World {
	return conformance.World{Kind: kind, Build: func(t *testing.T) conformance.Target {
		c := clustertest.Shared(t)
		target := build(t, c, c.Connection(t))
		target.Secrets = credentials(t, c.Kubeconfig)
		return target
	}}
}

// credentials reads what must be nowhere out of a kubeconfig.
func credentials(t *testing.T, path string) []string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var config struct {
		Users []struct {
			User struct {
				Key   string `json:"client-key-data"`
				Token string `json:"token"`
			} `json:"user"`
		} `json:"users"`
	}
	if err := yaml.Unmarshal(text, &config); err != nil {
		t.Fatal(err)
	}
	var secrets []string
	for _, user := range config.Users {
		for _, secret := range []string{user.User.Key, user.User.Token} {
			if secret != "" {
				secrets = append(secrets, secret)
			}
		}
	}
	return secrets
}

// pods makes worlds of a stateful set, two of whose three pods are hit, and a
// bystander. What a removal does to a pod is over, so a snapshot says which of the pods
// there were are still there.
func pods(kind string, aim func(kubernetes.Pods) experiments.Fault) conformance.World {
	return clustered(kind, func(t *testing.T, c *clustertest.Cluster, k *kube.Kubernetes) conformance.Target {
		namespace := c.Namespace(t)
		c.Make(t, "StatefulSet", namespace, clustertest.Workload{Name: "checkout", Replicas: 3, Annotations: "{somebody/elses: note}"})
		c.Make(t, "Deployment", namespace, clustertest.Workload{Name: "stock", Replicas: 1})
		two := 2
		choose := func(selector string) kubernetes.Pods {
			return kubernetes.Pods{Scope: kubernetes.Scope{Kubernetes: k, Namespace: namespace}, Selector: selector,
				Phase: "Running", Share: kubernetes.Share{Count: &two}, MinReady: 1}
		}
		known := c.Pods(t, namespace, "")
		fault := aim(choose("app=checkout"))
		snapshot := func(t *testing.T) string {
			var lines []string
			now := c.Pods(t, namespace, "")
			for _, pod := range known {
				uid := pod.Text("metadata", "uid")
				at := slices.IndexFunc(now, func(other kube.Thing) bool { return other.Text("metadata", "uid") == uid })
				if at < 0 || now[at].At("metadata", "deletionTimestamp") != nil {
					lines = append(lines, uid+" is gone")
					continue
				}
				lines = append(lines, clustertest.Text(now[at]))
			}
			return strings.Join(lines, "\n") + c.Left(t, namespace)
		}
		move := func(t *testing.T) {
			for _, pod := range c.Pods(t, namespace, "checkout") {
				c.Delete(t, "/api/v1/namespaces/"+namespace+"/pods/"+pod.Text("metadata", "name"))
			}
			c.Await(t, "other pods of the same names", func() bool {
				now := c.Pods(t, namespace, "checkout")
				return len(now) == 3 && !slices.ContainsFunc(now, func(pod kube.Thing) bool {
					return slices.ContainsFunc(known, func(before kube.Thing) bool { return before.Text("metadata", "uid") == pod.Text("metadata", "uid") })
				})
			})
			c.AwaitReady(t, namespace, "checkout", 3)
			known = c.Pods(t, namespace, "")
		}
		return conformance.Target{Fault: fault, Nowhere: aim(choose("app=nobody")), Snapshot: snapshot, Move: move}
	})
}

// nodes makes worlds of two nodes that nobody else uses.
func nodes(kind string, aim func(kubernetes.Nodes) experiments.Fault, moved string) conformance.World {
	return clustered(kind, func(t *testing.T, c *clustertest.Cluster, k *kube.Kubernetes) conformance.Target {
		names := []string{c.Node(t), c.Node(t)}
		namespace := c.Namespace(t)
		c.Make(t, "Deployment", namespace, clustertest.Workload{Name: "checkout", Replicas: 2, Node: names[0]})
		choose := func(selector string) experiments.Fault {
			return aim(kubernetes.Nodes{Kubernetes: k, Selector: selector, Share: kubernetes.Share{All: true}})
		}
		return conformance.Target{
			Fault:   choose("own in (" + strings.Join(names, ", ") + ")"),
			Nowhere: choose("own=nobody"),
			Snapshot: func(t *testing.T) string {
				var lines []string
				for _, name := range names {
					lines = append(lines, clustertest.Text(settledNode(t, c, name)))
				}
				return strings.Join(lines, "\n")
			},
			Move: func(t *testing.T) {
				for _, name := range names {
					c.Merge(t, kube.Nodes.In("", name), moved)
				}
			},
		}
	})
}

// settledNode reads a node when the controller manager has followed: it puts a taint of
// its own on a node that is cordoned, and takes it off again.
func settledNode(t *testing.T, c *clustertest.Cluster, name string) (node kube.Thing) {
	t.Helper()
	c.Await(t, "the taint of a cordoned node", func() bool {
		node = c.Read(t, kube.Nodes.In("", name))
		taints, _ := node.At("spec", "taints").([]any)
		tainted := slices.ContainsFunc(taints, func(one any) bool {
			taint, _ := one.(map[string]any)
			return taint["key"] == "node.kubernetes.io/unschedulable"
		})
		return tainted == (node.At("spec", "unschedulable") == true)
	})
	return node
}

// workloads makes worlds of a workload in each of two namespaces. What a snapshot shows
// of it is up to the kind.
func workloads(kind, sort string, aim func(scope kubernetes.Scope, workload string) experiments.Fault, moved string) conformance.World {
	return clustered(kind, func(t *testing.T, c *clustertest.Cluster, k *kube.Kubernetes) conformance.Target {
		resource := map[string]kube.Resource{"Deployment": kube.Deployments, "StatefulSet": kube.StatefulSets, "ReplicaSet": kube.ReplicaSets}[sort]
		namespaces := []string{c.Namespace(t), c.Namespace(t)}
		for _, namespace := range namespaces {
			if sort == "Deployment" {
				c.Deployment(t, namespace, "checkout", 3)
				continue
			}
			c.Make(t, sort, namespace, clustertest.Workload{Name: "checkout", Replicas: 3})
		}
		scope := kubernetes.Scope{Kubernetes: k, Namespaces: namespaces}
		return conformance.Target{
			Fault:   aim(scope, strings.ToLower(sort)+"/checkout"),
			Nowhere: aim(scope, strings.ToLower(sort)+"/nobody"),
			Snapshot: func(t *testing.T) string {
				var lines []string
				for _, namespace := range namespaces {
					thing := c.Read(t, resource.In(namespace, "checkout"))
					if kind == "rollout_restart" { // a controller numbers the rollout in an annotation
						lines = append(lines, fmt.Sprint(thing["spec"]))
						continue
					}
					lines = append(lines, clustertest.Text(thing), c.Left(t, namespace))
				}
				return strings.Join(lines, "\n")
			},
			Move: func(t *testing.T) {
				for _, namespace := range namespaces {
					c.Merge(t, resource.In(namespace, "checkout"), moved)
				}
			},
		}
	})
}

// created makes worlds of two namespaces in which something is created; what moves
// them is that they are made anew.
func created(kind string, aim func(kubernetes.Scope) experiments.Fault) conformance.World {
	return clustered(kind, func(t *testing.T, c *clustertest.Cluster, k *kube.Kubernetes) conformance.Target {
		namespaces := []string{c.Namespace(t), c.Namespace(t)}
		for _, namespace := range namespaces {
			c.Make(t, "Deployment", namespace, clustertest.Workload{Name: "checkout", Replicas: 1})
		}
		return conformance.Target{
			Fault:   aim(kubernetes.Scope{Kubernetes: k, Namespaces: namespaces}),
			Nowhere: aim(kubernetes.Scope{Kubernetes: k, Namespace: namespaces[0] + "-nowhere"}),
			Snapshot: func(t *testing.T) string {
				return c.Left(t, namespaces[0]) + "\n" + c.Left(t, namespaces[1])
			},
			Move: func(t *testing.T) {
				for _, namespace := range namespaces {
					c.Delete(t, "/api/v1/namespaces/"+namespace)
					c.Await(t, "the end of namespace "+namespace, func() bool { return !c.Has(t, "/api/v1/namespaces/"+namespace) })
					c.NamedNamespace(t, namespace)
				}
			},
		}
	})
}

func number(n int) *int { return &n }

func percent(p experiments.Percent) *experiments.Percent { return &p }

func seconds(n int) *time.Duration {
	d := time.Duration(n) * time.Second
	return &d
}

const (
	restarted = `{"spec":{"template":{"metadata":{"annotations":{"kubectl.kubernetes.io/restartedAt":"by-hand"}}}}}`
	scaled    = `{"spec":{"replicas":2}}`
	cordoned  = `{"spec":{"unschedulable":true}}`
	tainted   = `{"spec":{"taints":[{"key":"gameday.sh/fault","value":"somebody","effect":"NoSchedule"}]}}`
)

func init() {
	for _, entry := range []struct {
		name  string
		world conformance.World
	}{
		{"pod_kill", pods("pod_kill", func(p kubernetes.Pods) experiments.Fault { return &kubernetes.PodKill{Pods: p} })},
		{"pod_kill by force", pods("pod_kill", func(p kubernetes.Pods) experiments.Fault {
			p.OnePerOwner, p.Share = true, kubernetes.Share{All: true}
			return &kubernetes.PodKill{Pods: p, Force: true}
		})},
		{"pod_evict", pods("pod_evict", func(p kubernetes.Pods) experiments.Fault {
			p.Owner, p.Selector = "statefulset/checkout", strings.Replace(p.Selector, "app=checkout", "", 1)
			return &kubernetes.PodEvict{Pods: p, Grace: seconds(1)}
		})},
		{"pod_failure", pods("pod_failure", func(p kubernetes.Pods) experiments.Fault {
			return &kubernetes.PodFailure{Pods: p, Container: "side"}
		})},
		{"deployment_scale", workloads("deployment_scale", "Deployment", func(s kubernetes.Scope, w string) experiments.Fault {
			return &kubernetes.DeploymentScale{Scope: s, Workload: w, Replicas: number(0)}
		}, scaled)},
		{"deployment_scale of a stateful set by percent", workloads("deployment_scale", "StatefulSet", func(s kubernetes.Scope, w string) experiments.Fault {
			return &kubernetes.DeploymentScale{Scope: s, Workload: w, Percent: percent(0.5)}
		}, scaled)},
		{"deployment_scale of a replica set", workloads("deployment_scale", "ReplicaSet", func(s kubernetes.Scope, w string) experiments.Fault {
			return &kubernetes.DeploymentScale{Scope: s, Workload: w, Replicas: number(4)}
		}, scaled)},
		{"rollout_restart", workloads("rollout_restart", "Deployment", func(s kubernetes.Scope, w string) experiments.Fault {
			return &kubernetes.RolloutRestart{Scope: s, Workload: w}
		}, restarted)},
		{"rollout_restart of a stateful set", workloads("rollout_restart", "StatefulSet", func(s kubernetes.Scope, w string) experiments.Fault {
			return &kubernetes.RolloutRestart{Scope: s, Workload: w}
		}, restarted)},
		{"node_cordon", nodes("node_cordon", func(n kubernetes.Nodes) experiments.Fault { return &kubernetes.NodeCordon{Nodes: n} }, cordoned)},
		{"node_drain", nodes("node_drain", func(n kubernetes.Nodes) experiments.Fault {
			return &kubernetes.NodeDrain{Nodes: n, Within: time.Minute, Grace: seconds(1)}
		}, cordoned)},
		{"node_taint", nodes("node_taint", func(n kubernetes.Nodes) experiments.Fault {
			return &kubernetes.NodeTaint{Nodes: n, Key: "gameday.sh/fault", Value: "drill", Effect: "NoSchedule"}
		}, tainted)},
		{"network_partition", created("network_partition", func(s kubernetes.Scope) experiments.Fault {
			return &kubernetes.NetworkPartition{Scope: s, Selector: "app=checkout", Direction: "both", Towards: "app=stock,tier!=cache", DNS: true, Fuse: time.Minute}
		})},
		{"network_partition from networks", created("network_partition", func(s kubernetes.Scope) experiments.Fault {
			return &kubernetes.NetworkPartition{Scope: s, Direction: "egress", Networks: []string{"10.20.0.0/16", "fd00::/8"}, Fuse: time.Minute}
		})},
		{"resource_quota", created("resource_quota", func(s kubernetes.Scope) experiments.Fault {
			return &kubernetes.ResourceQuota{Scope: s, PodsAllowed: 1, Fuse: time.Minute}
		})},
	} {
		worlds = append(worlds, entry)
	}
}
