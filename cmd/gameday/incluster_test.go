package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gameday-sh/gameday/internal/cluster"
)

// account gives a namespace the service account "gameday", with the roles that rbac
// prints for a scenario, and no other.
func (n nodeBed) account(scenario string) {
	n.t.Helper()
	file := filepath.Join(n.t.TempDir(), "scenario.hcl")
	write(n.t, file, scenario)
	rbac := gameday(n.t, n.t.TempDir(), "rbac", "--namespace", n.namespace, file)
	rbac.ends(time.Minute, 0)
	n.kubectl(rbac.said.String(), "--namespace=", "apply", "-f", "-")
}

const runnerPod = `
apiVersion: v1
kind: ConfigMap
metadata: {name: %[1]s}
data:
  scenario.hcl: |
%[2]s
---
apiVersion: v1
kind: Pod
metadata: {name: %[1]s}
spec:
  serviceAccountName: gameday
  restartPolicy: Never
  containers:
  - name: gameday
    image: %[3]s
    imagePullPolicy: Never
    args: [run, --plain, --state, /state, /scenarios/scenario.hcl]
    volumeMounts: [{name: state, mountPath: /state}, {name: scenarios, mountPath: /scenarios}]
  volumes:
  - {name: state, emptyDir: {}}
  - {name: scenarios, configMap: {name: %[1]s}}
`

// ran has gameday run a scenario in a pod, and gives its exit code and what it said.
func (n nodeBed) ran(name, scenario string) (code, said string) {
	n.t.Helper()
	indented := "    " + strings.ReplaceAll(strings.TrimSpace(scenario), "\n", "\n    ")
	n.kubectl(fmt.Sprintf(runnerPod, name, indented, cluster.GamedayImage), "apply", "-f", "-")
	n.within(nil, "the runner's end", func() bool {
		code = n.kubectl("", "get", "pod", name, "-o", "jsonpath={.status.containerStatuses[0].state.terminated.exitCode}")
		return code != ""
	})
	return code, n.kubectl("", "logs", name)
}

// Within a cluster, gameday finds the API server by its pod's service account. It
// leaves the namespace alone that it is in.
func TestRealRunnerInsideOfTheCluster(t *testing.T) {
	t.Parallel()
	victims := realNode(t, "victims")
	url := victims.deploy(nodeShop{name: "checkout", replicas: 2})
	before := victims.pods("checkout")
	home := realNode(t, "gameday")
	scenario := func(namespace string) string {
		return fmt.Sprintf(`
kubernetes {}

probe "http" "checkout" {
  url   = %q
  every = "100ms"
}

scenario "inside" {
  seed     = 3
  baseline = "1s"

  hypothesis "the checkout answers" {
    probe          = probe.checkout
    during         = false
    recover_within = "30s"
  }

  fault "pod_kill" "lost-pod" {
    namespace = %q
    name      = "*"
  }
}
`, url, namespace)
	}
	home.account(scenario(victims.namespace))
	code, said := home.ran("inside", scenario(victims.namespace))
	if code != "0" || !strings.Contains(said, "HELD") {
		t.Errorf("exit code %s, want 0:\n%s", code, said)
	}
	gone := 0
	for _, pod := range before {
		if strings.Contains(said, pod.Metadata.Name) && strings.Contains(said, pod.Metadata.UID) {
			gone++
		}
	}
	if gone != 1 {
		t.Errorf("it names %d of the pods that were there as its victim, want one:\n%s", gone, said)
	}
	if left := victims.kubectl("", "get", "leases", "-o", "name"); left != "" {
		t.Errorf("left behind: %s", left)
	}
	code, said = home.ran("itself", scenario(home.namespace))
	if code != "2" || !strings.Contains(said, "the runner itself is in it") {
		t.Errorf("a fault on its own namespace: exit code %s, want 2 and its reason:\n%s", code, said)
	}
}
