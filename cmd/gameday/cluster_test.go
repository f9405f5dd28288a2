package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gameday-sh/gameday/internal/cluster/clustertest"
	"github.com/gameday-sh/gameday/internal/kube"
)

// These tests run the real program against a real API server, and look at the exit code,
// the words, and what is left in the cluster.

// shop is a namespace to break: a deployment that is scaled and cut off, one whose pods
// are killed, and a node that is cordoned.
type shop struct {
	t               *testing.T
	c               *clustertest.Cluster
	namespace, node string
	home            string
	front           string
	kubeconfig      string
	scenario        string
	before          string
	pods            map[string]bool // the UIDs of stock's
	last            *process
}

const shopHead = `
variable "kubeconfig" {}
variable "namespace" {}
variable "node" {}
variable "front" {}
variable "duration" { default = "10m" }
variable "revert_within" { default = "30s" }
variable "timeout" { default = "5s" }
variable "fuse" { default = "60s" }

kubernetes {
  kubeconfig = var.kubeconfig
  timeout    = var.timeout
}

probe "http" "front" {
  url   = var.front
  every = "200ms"
}

scenario "attack" {
  seed          = 1
  revert_within = var.revert_within
  hypothesis "the front door answers" {
    probe          = probe.front
    hold           = "0s"
    recover_within = "10s"
  }
`

// The faults of a shop's scenario, by name.
var shopFaults = map[string]string{
	"fewer": `
  fault "deployment_scale" "fewer" {
    namespace = var.namespace
    workload  = "deployment/checkout"
    replicas  = 1
    duration  = var.duration
  }
`,
	"cut": `
  fault "network_partition" "cut" {
    namespace = var.namespace
    selector  = "app=checkout"
    fuse      = var.fuse
    duration  = var.duration
  }
`,
	"closed": `
  fault "node_cordon" "closed" {
    node     = var.node
    duration = var.duration
  }
`,
	"killed": `
  fault "pod_kill" "killed" {
    namespace = var.namespace
    selector  = "app=stock"
    count     = 2
  }
`,
}

var allFaults = []string{"fewer", "cut", "closed", "killed"}

// newShop makes a shop in the shared cluster.
func newShop(t *testing.T, faults ...string) *shop {
	t.Helper()
	return newShopIn(t, clustertest.Shared(t), faults...)
}

func newShopIn(t *testing.T, c *clustertest.Cluster, faults ...string) *shop {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(server.Close)
	dir := t.TempDir()
	s := &shop{t: t, c: c, namespace: c.Namespace(t), node: c.Node(t), home: filepath.Join(dir, "state"),
		front: server.URL, kubeconfig: c.Kubeconfig, scenario: filepath.Join(dir, "attack.hcl"), pods: map[string]bool{}}
	c.Deployment(t, s.namespace, "checkout", 3)
	c.Deployment(t, s.namespace, "stock", 3)
	text := shopHead
	for _, name := range faults {
		text += shopFaults[name]
	}
	write(t, s.scenario, text+"}\n")
	s.before = s.snapshot()
	for _, pod := range c.Pods(t, s.namespace, "stock") {
		s.pods[pod.Text("metadata", "uid")] = true
	}
	return s
}

// flags are the scenario's variables.
func (s *shop) flags(more ...string) []string {
	list := []string{"kubeconfig=" + s.kubeconfig, "namespace=" + s.namespace, "node=" + s.node, "front=" + s.front}
	var flags []string
	for _, setting := range append(list, more...) {
		flags = append(flags, "--var", setting)
	}
	return flags
}

// run starts the scenario; settings are further variables.
func (s *shop) run(settings ...string) *process {
	s.t.Helper()
	s.last = gameday(s.t, s.home, append(append([]string{"run"}, s.flags(settings...)...), s.scenario)...)
	return s.last
}

// snapshot reads everything in the cluster that a run may change for a while.
func (s *shop) snapshot() string {
	s.t.Helper()
	node := s.c.Read(s.t, kube.Nodes.In("", s.node))
	// The cluster has taints of its own, such as one on a node that is cordoned, which it
	// takes off a moment later.
	spec, _ := node["spec"].(map[string]any)
	taints, _ := spec["taints"].([]any)
	var others []any
	for _, one := range taints {
		if taint, ok := one.(map[string]any); ok && strings.HasPrefix(fmt.Sprint(taint["key"]), "node.kubernetes.io/") {
			continue
		}
		others = append(others, one)
	}
	spec["taints"] = others
	text := clustertest.Text(node) + "\n" + clustertest.Text(s.c.Read(s.t, kube.Deployments.In(s.namespace, "checkout"))) + "\n" + s.c.Left(s.t, s.namespace)
	for _, lease := range s.c.Items(s.t, "/apis/coordination.k8s.io/v1/namespaces/default/leases") {
		if lease.Text("metadata", "name") == "gameday-node-"+s.node {
			text += clustertest.Text(lease)
		}
	}
	return text
}

// mended requires that the cluster is as it was.
func (s *shop) mended() {
	s.t.Helper()
	if now := s.snapshot(); now != s.before {
		s.t.Fatalf("the cluster was\n%s\nand is\n%s\n%s", s.before, now, s.said())
	}
}

func (s *shop) said() string {
	if s.last == nil {
		return ""
	}
	return s.last.said.String()
}

// mends waits until the cluster is as it was.
func (s *shop) mends() {
	s.t.Helper()
	s.c.Await(s.t, "the cluster to be as it was", func() bool { return s.snapshot() == s.before })
}

// killed counts the pods of stock that were there at the beginning and are gone.
func (s *shop) killed() int {
	s.t.Helper()
	left := len(s.pods)
	for _, pod := range s.c.Pods(s.t, s.namespace, "stock") {
		if s.pods[pod.Text("metadata", "uid")] && pod.At("metadata", "deletionTimestamp") == nil {
			left--
		}
	}
	return left
}

// injected waits until the run has read back all of its faults.
func (s *shop) injected(faults ...string) {
	s.t.Helper()
	for _, name := range faults {
		pattern := regexp.QuoteMeta(name) + " injected"
		if name == "killed" { // two pods
			pattern = "(?s)" + pattern + ".*" + pattern
		}
		s.last.says(pattern)
	}
}

// clean requires that nothing is left to recover.
func (s *shop) clean() {
	s.t.Helper()
	s.mended()
	gameday(s.t, s.home, "recover").ends(20*time.Second, 0, "nothing to recover")
}

// policies counts the network policies in the namespace.
func (s *shop) policies() int {
	s.t.Helper()
	return len(s.c.Items(s.t, "/apis/networking.k8s.io/v1/namespaces/"+s.namespace+"/networkpolicies"))
}

// quiet waits until no watchdog of this shop is left.
func (s *shop) quiet() {
	s.t.Helper()
	poll(s.t, text("the end of the watchdog"), func() bool { return watchdogs(s.t, s.home) == 0 })
}

func TestAGameDayOnAClusterLeavesNothing(t *testing.T) {
	slow(t)
	s := newShop(t, allFaults...)
	s.run("duration=1s").ends(time.Minute, 0, "HELD", "killed: pod stock-\\S+ \\(UID \\S+\\) replaces stock-", "is ready on node")
	s.clean()
	if n := s.killed(); n != 2 {
		t.Errorf("%d pods were killed, want 2", n)
	}
	report, err := os.ReadFile(filepath.Join(runDir(t, s.home), "report.md"))
	if err != nil {
		t.Fatal(err)
	}
	for uid := range s.pods {
		if strings.Contains(string(report), uid) {
			return
		}
	}
	t.Errorf("the report names no victim by its UID:\n%s", report)
}

func TestASecondRunnerOnAnotherMachineIsRefused(t *testing.T) {
	slow(t)
	s := newShop(t, "fewer")
	first := s.run()
	s.injected("fewer")
	name := filepath.Base(runDir(t, s.home))
	other := *s // the same namespace, from a state folder of its own
	other.home = filepath.Join(t.TempDir(), "state")
	// It would hit something else, so that the mark on the deployment is not what refuses it.
	write(t, s.scenario, shopHead+shopFaults["killed"]+"}\n")
	second := other.run()
	second.ends(30*time.Second, 5, "namespace "+s.namespace+" is held by run "+name, "nothing was broken")
	if s.killed() != 0 {
		t.Error("the second run killed pods")
	}
	first.signal(syscall.SIGINT)
	first.ends(30*time.Second, 3)
	s.mended()
	other.run().ends(time.Minute, 0, "HELD")
	s.mended()
}

func TestSomebodyWhoScalesMeanwhileIsNotUndone(t *testing.T) {
	slow(t)
	s := newShop(t, "fewer")
	run := s.run("duration=3s")
	s.injected("fewer")
	s.c.Merge(t, kube.Deployments.In(s.namespace, "checkout"), `{"spec":{"replicas":5}}`)
	run.ends(time.Minute, 0, "HELD", "somebody else changed it meanwhile")
	d := s.c.Read(t, kube.Deployments.In(s.namespace, "checkout"))
	if fmt.Sprint(d.At("spec", "replicas")) != "5" || d.Text("metadata", "labels", "gameday.sh/run") != "" {
		t.Errorf("the deployment is %s", clustertest.Text(d))
	}
}

// A right is missing that only the undo needs. It is told before the baseline.
func TestAMissingRightIsToldBeforeTheBaseline(t *testing.T) {
	slow(t)
	s := newShop(t, "cut")
	user := s.c.User(t)
	s.kubeconfig = user.Kubeconfig
	s.c.Apply(t, fmt.Sprintf(`
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {namespace: %[1]s, name: %[2]s}
rules:
- {apiGroups: [networking.k8s.io], resources: [networkpolicies], verbs: [get, list, create]}
- {apiGroups: [batch], resources: [jobs], verbs: [get, list, create, patch, delete]}
- {apiGroups: [batch], resources: [cronjobs], verbs: [list]}
- {apiGroups: [coordination.k8s.io], resources: [leases], verbs: ["*"]}
- {apiGroups: [apps], resources: ["*"], verbs: [list]}
- {apiGroups: [""], resources: [pods], verbs: [list]}
- {apiGroups: [""], resources: [namespaces], verbs: [get]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {namespace: %[1]s, name: %[2]s}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: %[2]s}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: %[2]s}]
`, s.namespace, user.Name))
	missing := "these rights are missing at .*, so nothing is touched: delete networkpolicies.networking.k8s.io in namespace " + s.namespace + ` \(to cut pods off and end it\);`
	s.c.Await(t, "the rights of the user", func() bool {
		return regexp.MustCompile(missing).MatchString(s.planned())
	})
	run := s.run()
	run.ends(30*time.Second, 5, missing)
	if strings.Contains(run.said.String(), "watching the healthy system") {
		t.Error("the baseline began")
	}
	s.clean()
}

// planned is what `gameday plan` says.
func (s *shop) planned() string {
	plan := gameday(s.t, s.home, append(append([]string{"plan"}, s.flags()...), s.scenario)...)
	plan.wait(30 * time.Second)
	return plan.said.String()
}
