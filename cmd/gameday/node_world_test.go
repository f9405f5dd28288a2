package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/cluster"
)

// nodeBed is a cluster with a real node, in which a test has a namespace of its own.
type nodeBed struct {
	t         *testing.T
	namespace string
}

// realNode gives the cluster that `make e2e` starts: pods there are real containers.
func realNode(t *testing.T, namespace string) nodeBed {
	t.Helper()
	if os.Getenv("GAMEDAY_TEST_NODE") == "" {
		t.Skip("needs a real node: make e2e")
	}
	n := nodeBed{t, namespace}
	n.kubectl("", "create", "namespace", namespace)
	n.kubectl("", "wait", "--for=create", "serviceaccount/default", "--timeout=60s")
	// The node ends with the tests: nobody has to wait for the namespace's end.
	t.Cleanup(func() { n.kubectl("", "delete", "namespace", namespace, "--wait=false") })
	return n
}

// kubectl runs a command in the test's namespace and gives what it says.
func (n nodeBed) kubectl(stdin string, args ...string) string {
	n.t.Helper()
	command := exec.Command("kubectl", append([]string{"-n", n.namespace}, args...)...)
	command.Stdin = strings.NewReader(stdin)
	var problems bytes.Buffer
	command.Stderr = &problems
	output, err := command.Output()
	if err != nil {
		n.t.Fatalf("kubectl %s: %v\n%s%s", strings.Join(args, " "), err, output, problems.String())
	}
	return strings.TrimSpace(string(output))
}

// nodeShop is a web server with a Service before it.
type nodeShop struct {
	name     string
	image    string // left out: with a `kill` in it
	replicas int
	upstream string // a URL that it asks for each request
}

// deploy starts a shop, waits until it is ready, and gives its Service's URL.
func (n nodeBed) deploy(s nodeShop) string {
	n.t.Helper()
	if s.image == "" {
		s.image = cluster.ShopImage
	}
	n.kubectl(fmt.Sprintf(`
apiVersion: apps/v1
kind: Deployment
metadata: {name: %[1]s}
spec:
  replicas: %[3]d
  selector: {matchLabels: {app: %[1]s}}
  template:
    metadata: {labels: {app: %[1]s}}
    spec:
      terminationGracePeriodSeconds: 4
      containers:
      - name: shop
        image: %[2]s
        imagePullPolicy: Never
        env: [{name: UPSTREAM, value: %[4]q}]
        readinessProbe: {httpGet: {path: /healthz, port: 8080}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: %[1]s}
spec: {selector: {app: %[1]s}, ports: [{port: 80, targetPort: 8080}]}
`, s.name, s.image, s.replicas, s.upstream), "apply", "-f", "-")
	n.kubectl("", "rollout", "status", "deployment/"+s.name, "--timeout=120s")
	url := "http://" + n.kubectl("", "get", "service", s.name, "-o", "jsonpath={.spec.clusterIP}") + "/"
	// kube-proxy learns of ready pods a moment later.
	n.within(nil, url+" to answer", func() bool {
		for range 5 {
			answer, err := http.Get(url)
			if err != nil || answer.Body.Close() != nil || answer.StatusCode != http.StatusOK {
				return false
			}
		}
		return true
	})
	return url
}

// nodePod is what a test looks at of a pod.
type nodePod struct {
	Metadata struct{ Name, UID string }
	Spec     struct{ NodeName string }
	Status   struct {
		Phase             string
		Conditions        []struct{ Type, Status string }
		ContainerStatuses []struct{ RestartCount int }
	}
}

func (p nodePod) ready() bool {
	for _, condition := range p.Status.Conditions {
		if condition.Type == "Ready" {
			return condition.Status == "True"
		}
	}
	return false
}

// pods lists those of an app.
func (n nodeBed) pods(app string) []nodePod {
	n.t.Helper()
	var list struct{ Items []nodePod }
	if err := json.Unmarshal([]byte(n.kubectl("", "get", "pods", "-l", "app="+app, "-o", "json")), &list); err != nil {
		n.t.Fatal(err)
	}
	return list.Items
}

// start runs a scenario against the namespace's cluster; the reports go to the folder.
func (n nodeBed) start(text string) (run *process, out string) {
	n.t.Helper()
	out = n.t.TempDir()
	file := filepath.Join(out, "scenario.hcl")
	write(n.t, file, text)
	return gameday(n.t, n.t.TempDir(), "run", "--plain", "--out", out, file), out
}

// nodeResult reads the one result in a folder, and its report as text.
func nodeResult(t *testing.T, out string) (experiments.Result, string) {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(out, "*", "result.json"))
	if err != nil || len(found) != 1 {
		t.Fatalf("%d results in %s (%v), want one", len(found), out, err)
	}
	var r experiments.Result
	text, err := os.ReadFile(found[0])
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	if err != nil {
		t.Fatal(err)
	}
	report, err := os.ReadFile(filepath.Join(filepath.Dir(found[0]), "report.md"))
	if err != nil {
		t.Fatal(err)
	}
	return r, string(report)
}

// kubernetesWorld is a checkout of three pods, of which a budget lets one go at once.
// After the run, its report must tell of each victim who it was, where it was, and
// how long its replacement took to be ready.
func kubernetesWorld(t *testing.T) ([]string, func(string)) {
	n := realNode(t, "example")
	url := n.deploy(nodeShop{name: "checkout", replicas: 3})
	n.kubectl("", "create", "poddisruptionbudget", "checkout", "--selector=app=checkout", "--min-available=2")
	poll(t, text("the budget to be counted"), func() bool {
		return n.kubectl("", "get", "poddisruptionbudget", "checkout", "-o", "jsonpath={.status.disruptionsAllowed}") == "1"
	})
	before := map[string]string{} // UID: name
	for _, pod := range n.pods("checkout") {
		before[pod.Metadata.UID] = pod.Metadata.Name
	}
	out := t.TempDir()
	return []string{"--out", out, "--var", "namespace=" + n.namespace, "--var", "url=" + url}, func(string) {
		r, report := nodeResult(t, out)
		if len(r.Hits) < 3 {
			t.Errorf("%d pods were killed in %v, want at least 3", len(r.Hits), r.Faults)
		}
		fromStart := 0
		for _, hit := range r.Hits {
			var spec struct {
				Object struct{ Name, UID string }
			}
			if err := json.Unmarshal(hit.Spec, &spec); err != nil {
				t.Fatal(err)
			}
			if before[spec.Object.UID] == spec.Object.Name {
				fromStart++
			}
			ready := false
			for _, finding := range hit.Findings {
				said := regexp.MustCompile(regexp.QuoteMeta(finding.Text) + `, [0-9.]+m?s after the hit`)
				ready = ready || finding.Name == "ready" && finding.After > 0 && said.MatchString(report)
			}
			if !ready {
				t.Errorf("the report does not say how long the replacement of %s took to be ready: %v", hit.Target, hit.Findings)
			}
			for _, word := range []string{spec.Object.Name, spec.Object.UID, cluster.RealNode} {
				if !strings.Contains(report, word) || word == "" {
					t.Errorf("the report does not say %q of the victim %s", word, hit.Target)
				}
			}
		}
		if fromStart == 0 {
			t.Errorf("none of the victims is one of the pods that were there: %v", before)
		}
		for _, pod := range n.pods("checkout") {
			for _, hit := range r.Hits {
				if strings.Contains(string(hit.Spec), pod.Metadata.UID) {
					t.Errorf("%s was killed and still has the UID %s", pod.Metadata.Name, pod.Metadata.UID)
				}
			}
		}
	}
}

// containerKillWorld is a checkout of two pods, of which one is to lose its container and
// have it again, and stay the pod that it was.
func containerKillWorld(t *testing.T) ([]string, func(string)) {
	n := realNode(t, "container-kill")
	n.deploy(nodeShop{name: "checkout", replicas: 2})
	before := n.pods("checkout")
	return []string{"--var", "namespace=" + n.namespace, "--var", "selector=app=checkout", "--var", "container=shop"}, func(output string) {
		after := n.pods("checkout")
		if len(after) != len(before) {
			t.Fatalf("%d pods were there, and %d are", len(before), len(after))
		}
		restarts := 0
		for i, pod := range after {
			if pod.Metadata != before[i].Metadata {
				t.Errorf("pod %v took the place of %v", pod.Metadata, before[i].Metadata)
			}
			for _, status := range pod.Status.ContainerStatuses {
				restarts += status.RestartCount
			}
		}
		if restarts != 1 {
			t.Errorf("%d containers were started again, want one", restarts)
		}
		says(t, output, `ended injected: .*send SIGTERM within its container shop .*\(seen: container shop of pod container-kill/checkout-\S+ .*(ended with code|was restarted)`,
			`fault ended: container shop of pod checkout-\S+ runs again, after 1 restart,`)
	}
}

// within waits up to a minute, which a busy node may take; of a run that is given, not
// beyond its end.
func (n nodeBed) within(run *process, what string, ready func() bool) {
	n.t.Helper()
	for deadline := time.Now().Add(time.Minute); !ready(); time.Sleep(100 * time.Millisecond) {
		said := ""
		if run != nil {
			select {
			case <-run.ended:
				deadline = time.Time{}
			default:
			}
			said = run.said.String()
		}
		if time.Now().After(deadline) {
			n.t.Fatalf("waited in vain for %s\n%s\n%s", what, said, n.kubectl("", "get", "pods,events"))
		}
	}
}

// try runs a scenario of one fault while the URL is asked; during says that it must go
// on answering.
func (n nodeBed) try(url, kind string, during bool, attributes string) (*process, string) {
	n.t.Helper()
	if !strings.HasPrefix(kind, "node_") {
		attributes = fmt.Sprintf("namespace = %q\n%s", n.namespace, attributes)
	}
	return n.start(fmt.Sprintf(`
kubernetes {}

probe "http" "front" {
  url        = %q
  every      = "100ms"
  timeout    = "2s"
  keep_alive = false
}

scenario "try" {
  seed     = 3
  baseline = "1s"

  hypothesis "the front answers" {
    probe          = probe.front
    during         = %t
    recover_within = "60s"
    hold           = "1s"
  }

  fault %q "fault" {
    %s
  }
}
`, url, during, kind, attributes))
}
