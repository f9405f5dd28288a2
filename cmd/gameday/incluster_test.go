package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gameday-sh/gameday/internal/cluster"
)

// runnerAccount is gameday as a pod, with a service account that may do what one pod_kill
// in the namespace "victims" needs, and no more.
const runnerAccount = `
apiVersion: v1
kind: ServiceAccount
metadata: {name: gameday, namespace: %[1]s}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: gameday-%[1]s}
rules:
- {apiGroups: [""], resources: [namespaces], resourceNames: [%[2]s, %[1]s], verbs: [get]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: gameday-%[1]s}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: gameday-%[1]s}
subjects: [{kind: ServiceAccount, name: gameday, namespace: %[1]s}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: gameday, namespace: %[2]s}
rules:
- {apiGroups: [""], resources: [pods], verbs: [get, list, delete]}
- {apiGroups: [apps], resources: [deployments, statefulsets], verbs: [get]}
- {apiGroups: [apps], resources: [replicasets], verbs: [get, list]}
- {apiGroups: [policy], resources: [poddisruptionbudgets], verbs: [list]}
- {apiGroups: [coordination.k8s.io], resources: [leases], verbs: [get, create, update, delete]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: gameday, namespace: %[2]s}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: gameday}
subjects: [{kind: ServiceAccount, name: gameday, namespace: %[1]s}]
`

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
	victims := realNode(t, "victims")
	url := victims.deploy(nodeShop{name: "checkout", replicas: 2})
	before := victims.pods("checkout")
	home := realNode(t, "gameday")
	home.kubectl(fmt.Sprintf(runnerAccount, home.namespace, victims.namespace), "--namespace=", "apply", "-f", "-")
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
