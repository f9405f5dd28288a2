package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/cluster"
)

// policies has kube-network-policies enforce network policies on the node, as a
// network plugin does elsewhere.
func (n nodeBed) policies() {
	n.t.Helper()
	system := nodeBed{n.t, "kube-system"}
	system.kubectl(`
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: kube-network-policies}
rules:
- {apiGroups: [""], resources: [pods, namespaces, nodes], verbs: [list, watch]}
- {apiGroups: [networking.k8s.io], resources: [networkpolicies], verbs: [list, watch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: kube-network-policies}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: kube-network-policies}
subjects: [{kind: ServiceAccount, name: kube-network-policies, namespace: kube-system}]
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: kube-network-policies, namespace: kube-system}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: kube-network-policies, namespace: kube-system}
spec:
  selector: {matchLabels: {app: kube-network-policies}}
  template:
    metadata: {labels: {app: kube-network-policies}}
    spec:
      hostNetwork: true
      serviceAccountName: kube-network-policies
      containers:
      - name: kube-network-policies
        image: `+cluster.PoliciesImage+`
        imagePullPolicy: Never
        args: [--hostname-override=`+cluster.RealNode+`, --disable-nri, --nfqueue-id=100, --metrics-bind-address=127.0.0.1:9080]
        securityContext: {privileged: true}
`, "apply", "-f", "-")
	system.kubectl("", "rollout", "status", "daemonset/kube-network-policies", "--timeout=60s")
	// It hands packets to itself by nftables. Where the kernel lacks that expression
	// (CONFIG_NFT_QUEUE), iptables does the same, as long as the namespace lives.
	for _, match := range []string{"-s 10.244.0.0/24", "-d 10.244.0.0/24 -m owner ! --uid-owner 0"} {
		rule := append(strings.Fields("-t mangle -A POSTROUTING -m conntrack --ctstate NEW"), strings.Fields(match+" -j NFQUEUE --queue-num 100 --queue-bypass")...)
		if output, err := exec.Command("iptables", rule...).CombinedOutput(); err != nil {
			n.t.Fatalf("iptables %v: %v\n%s", rule, err, output)
		}
	}
	n.within(nil, "kube-network-policies to listen", func() bool {
		queues, err := os.ReadFile("/proc/net/netfilter/nfnetlink_queue")
		return err == nil && strings.Contains(string(queues), "100 ")
	})
}

// A partition is seen by whoever is cut off: the front's pods, which ask the
// warehouse for each request. What else they ask goes on.
func TestRealPartition(t *testing.T) {
	t.Parallel()
	n := realNode(t, "partitions")
	n.policies()
	warehouse := n.deploy(nodeShop{name: "warehouse", replicas: 1})
	url := n.deploy(nodeShop{name: "front", replicas: 2, upstream: warehouse})
	for _, it := range []struct{ name, attributes string }{
		{"ingress of the warehouse", "selector = \"app=warehouse\"\n    direction = \"ingress\""},
		{"egress of the front", "selector = \"app=front\"\n    direction = \"egress\"\n    towards = \"app=warehouse\""},
	} {
		t.Run(it.name, func(t *testing.T) {
			n := nodeBed{t, n.namespace}
			run, out := n.try(url, "network_partition", true, it.attributes+"\n    duration = \"8s\"")
			run.ends(2*time.Minute, 1, "REFUTED")
			r, report := nodeResult(t, out)
			if r.Hits[0].State != experiments.Whole {
				t.Errorf("it was left %s: %s", r.Hits[0].State, r.Hits[0].Mended)
			}
			if !strings.Contains(report, "502") {
				t.Errorf("nobody saw the partition:\n%s", report)
			}
			if left := n.kubectl("", "get", "networkpolicies,jobs", "-o", "name"); left != "" {
				t.Errorf("left behind: %s", left)
			}
		})
	}
}

func TestRealContainerIsKilled(t *testing.T) {
	t.Parallel()
	n := realNode(t, "containers")
	url := n.deploy(nodeShop{name: "checkout", replicas: 2})
	before := n.pods("checkout")
	run, out := n.try(url, "container_kill", false, `selector = "app=checkout"`)
	run.ends(2*time.Minute, 0, "HELD")
	r, _ := nodeResult(t, out)
	restarts := 0
	n.within(nil, "both pods to be ready", func() bool {
		after := n.pods("checkout")
		restarts = 0
		ready := len(after) == 2
		for i, pod := range after {
			if pod.Metadata.UID != before[i].Metadata.UID {
				t.Fatalf("pod %s was replaced by %s", before[i].Metadata.Name, pod.Metadata.Name)
			}
			restarts += pod.Status.ContainerStatuses[0].RestartCount
			ready = ready && pod.ready()
		}
		return ready
	})
	if restarts != 1 {
		t.Errorf("%d restarts, want the one of %s", restarts, r.Hits[0].Target)
	}
}

// An image without kill, and a signal that the kernel keeps from process 1, are errors
// that say so, and that do not take half a minute.
func TestRealContainerThatCannotBeKilled(t *testing.T) {
	t.Parallel()
	n := realNode(t, "unkillable")
	url := n.deploy(nodeShop{name: "bare", image: cluster.BareImage, replicas: 2})
	run, _ := n.try(url, "container_kill", true, "selector = \"app=bare\"\n    wait = \"10m\"")
	run.ends(time.Minute, 5, `its image has no "kill"`, "command = ")

	url = n.deploy(nodeShop{name: "checkout", replicas: 2})
	run, _ = n.try(url, "container_kill", true, "selector = \"app=checkout\"\n    command = [\"kill\", \"-s\", \"KILL\", \"1\"]\n    wait = \"3s\"")
	run.ends(time.Minute, 5, "keeps from process 1 KILL")
	run, _ = n.try(url, "container_kill", true, "selector = \"app=checkout\"\n    signal = \"KILL\"")
	run.ends(time.Minute, 2, "A signal that process 1 never gets")
	for _, pod := range append(n.pods("checkout"), n.pods("bare")...) {
		if pod.Status.ContainerStatuses[0].RestartCount != 0 {
			t.Errorf("%s was restarted", pod.Metadata.Name)
		}
	}
}

func TestRealPodFailsAndComesBack(t *testing.T) {
	t.Parallel()
	n := realNode(t, "failing")
	url := n.deploy(nodeShop{name: "checkout", replicas: 2})
	before := n.pods("checkout")
	run, out := n.try(url, "pod_failure", false, "selector = \"app=checkout\"\n    duration = \"8s\"")
	n.within(run, "a pod that is not ready", func() bool {
		for _, pod := range n.pods("checkout") {
			if !pod.ready() {
				return true
			}
		}
		return false
	})
	run.ends(2*time.Minute, 0, "HELD")
	nodeResult(t, out)
	n.within(nil, "both pods to be ready", func() bool {
		for i, pod := range n.pods("checkout") {
			if pod.Metadata.UID != before[i].Metadata.UID {
				t.Fatalf("pod %s was replaced", before[i].Metadata.Name)
			}
			if !pod.ready() {
				return false
			}
		}
		return true
	})
}

// However a pod is told to end, its Service goes on answering, and a new pod takes its
// place. A budget stops an eviction before anything is touched.
func TestRealPodsEndAsTold(t *testing.T) {
	t.Parallel()
	n := realNode(t, "endings")
	url := n.deploy(nodeShop{name: "checkout", replicas: 2})
	for _, it := range []struct{ name, kind, attributes string }{
		{"by itself", "pod_kill", ""},
		{"within a second", "pod_kill", `grace = "1s"`},
		{"evicted", "pod_evict", ""},
	} {
		t.Run(it.name, func(t *testing.T) {
			n := nodeBed{t, n.namespace}
			before := map[string]bool{}
			for _, pod := range n.pods("checkout") {
				before[pod.Metadata.UID] = true
			}
			run, _ := n.try(url, it.kind, true, "selector = \"app=checkout\"\n    "+it.attributes)
			run.ends(2*time.Minute, 0, "HELD", "ready on node "+cluster.RealNode)
			kept := 0
			n.within(nil, "two ready pods", func() bool {
				pods := n.pods("checkout")
				kept = 0
				for _, pod := range pods {
					if before[pod.Metadata.UID] {
						kept++
					}
				}
				return len(pods) == 2 && pods[0].ready() && pods[1].ready()
			})
			if kept != 1 {
				t.Errorf("%d of the two pods were kept, want one", kept)
			}
		})
	}
	// By force is as if its node had died: its Service sends it requests for a moment.
	run, _ := n.try(url, "pod_kill", false, "selector = \"app=checkout\"\n    force = true")
	run.ends(2*time.Minute, 0, "HELD", `\(UID [^)]+\) is gone`)
	n.kubectl("", "rollout", "status", "deployment/checkout", "--timeout=60s")

	n.kubectl("", "create", "poddisruptionbudget", "checkout", "--selector=app=checkout", "--min-available=2")
	n.within(nil, "the budget to be counted", func() bool {
		return n.kubectl("", "get", "poddisruptionbudget", "checkout", "-o", "jsonpath={.status.currentHealthy}") == "2"
	})
	run, _ = n.try(url, "pod_evict", true, `selector = "app=checkout"`)
	run.ends(time.Minute, 5, "disruption budget endings/checkout allows 0")
}

// A drain takes the pods of every test from the node: it is alone there, as those that
// are parallel begin after it.
func TestRealWorkloadsSeenThroughTheirService(t *testing.T) {
	t.Run("rollout_restart", func(t *testing.T) {
		t.Parallel()
		n := realNode(t, "restarts")
		url := n.deploy(nodeShop{name: "checkout", replicas: 2})
		before := n.pods("checkout")
		run, _ := n.try(url, "rollout_restart", true, `workload = "deployment/checkout"`)
		run.ends(2*time.Minute, 0, "HELD")
		n.kubectl("", "rollout", "status", "deployment/checkout", "--timeout=60s")
		n.within(nil, "the old pods to be gone", func() bool {
			for _, pod := range n.pods("checkout") {
				if pod.Metadata.UID == before[0].Metadata.UID || pod.Metadata.UID == before[1].Metadata.UID {
					return false
				}
			}
			return true
		})
	})
	t.Run("deployment_scale to nothing", func(t *testing.T) {
		t.Parallel()
		n := realNode(t, "scales")
		url := n.deploy(nodeShop{name: "checkout", replicas: 2})
		run, out := n.try(url, "deployment_scale", true, "workload = \"deployment/checkout\"\n    replicas = 0\n    duration = \"6s\"")
		n.within(run, "all pods to be gone", func() bool { return len(n.pods("checkout")) == 0 })
		run.ends(2*time.Minute, 1, "REFUTED") // nobody answers meanwhile
		if r, _ := nodeResult(t, out); r.Hits[0].State != experiments.Whole {
			t.Errorf("it was left %s: %s", r.Hits[0].State, r.Hits[0].Mended)
		}
		n.kubectl("", "rollout", "status", "deployment/checkout", "--timeout=60s")
		if count := len(n.pods("checkout")); count != 2 {
			t.Errorf("%d pods afterwards, want 2", count)
		}
	})
	t.Run("node_drain", func(t *testing.T) {
		n := realNode(t, "drains")
		url := n.deploy(nodeShop{name: "checkout", replicas: 2})
		before := n.pods("checkout")
		run, _ := n.try(url, "node_drain", false, "node = \""+cluster.RealNode+"\"\n    duration = \"6s\"")
		n.within(run, "the pods to have no node", func() bool {
			for _, pod := range n.pods("checkout") {
				if pod.Status.Phase != "Pending" {
					return false
				}
			}
			return true
		})
		run.ends(3*time.Minute, 0, "HELD")
		for _, pod := range n.pods("checkout") {
			if pod.Metadata.UID == before[0].Metadata.UID || !pod.ready() {
				t.Errorf("pod %s is not a new one that is ready", pod.Metadata.Name)
			}
		}
	})
}
