package faults_test

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/faults/conformance"
	"github.com/gameday-sh/gameday/faults/kubernetes"
	"github.com/gameday-sh/gameday/internal/cluster"
	"github.com/gameday-sh/gameday/internal/kube"
)

// A container only runs on a real node.
func TestContainerKillKeepsItsPromises(t *testing.T) {
	if os.Getenv("GAMEDAY_TEST_NODE") == "" {
		t.Skip("needs a real node: make e2e")
	}
	var built atomic.Int64
	conformance.Run(t, conformance.World{Kind: "container_kill", Parallel: true, Build: func(t *testing.T) conformance.Target {
		return containers(t, fmt.Sprintf("promises-%d", built.Add(1)))
	}})
}

// containers are two pods in a namespace of their own, both of which are hit.
func containers(t *testing.T, namespace string) conformance.Target {
	t.Helper()
	kubectl := func(stdin string, args ...string) string {
		t.Helper()
		command := exec.Command("kubectl", append([]string{"-n", namespace}, args...)...)
		command.Stdin = strings.NewReader(stdin)
		output, err := command.CombinedOutput()
		if err != nil {
			t.Fatalf("kubectl %s: %v\n%s", strings.Join(args, " "), err, output)
		}
		return string(output)
	}
	pods := fmt.Sprintf(`
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: shop}
spec:
  replicas: 2
  podManagementPolicy: Parallel
  selector: {matchLabels: {app: shop}}
  template:
    metadata: {labels: {app: shop}}
    spec:
      terminationGracePeriodSeconds: 2
      containers:
      - name: shop
        image: %s
        imagePullPolicy: Never
        readinessProbe: {httpGet: {path: /healthz, port: 8080}, periodSeconds: 1}
`, cluster.ShopImage)
	kubectl("", "create", "namespace", namespace)
	t.Cleanup(func() { kubectl("", "delete", "namespace", namespace, "--wait=false") })
	kubectl("", "wait", "--for=create", "serviceaccount/default", "--timeout=60s")
	start := func() {
		kubectl(pods, "apply", "-f", "-")
		kubectl("", "rollout", "status", "statefulset/shop", "--timeout=120s")
		// The kubelet may have more to say of pods that are ready, and a hit names the
		// version that its plan has seen.
		for before, now := "", " "; now != before; time.Sleep(2 * time.Second) {
			before, now = now, kubectl("", "get", "pods", "-o", "jsonpath={.items[*].metadata.resourceVersion}")
		}
	}
	start()
	connection := &kube.Kubernetes{Kubeconfig: os.Getenv("GAMEDAY_TEST_KUBECONFIG")}
	if err := connection.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := connection.Close(); err != nil {
			t.Error(err)
		}
	})
	aim := func(selector string) experiments.Fault {
		return &kubernetes.ContainerKill{
			Pods: kubernetes.Pods{
				Scope: kubernetes.Scope{Kubernetes: connection, Namespace: namespace}, Selector: selector, Phase: "Running",
				Share: kubernetes.Share{All: true},
			},
			Signal: "TERM", Wait: 30 * time.Second,
		}
	}
	return conformance.Target{
		Fault:   aim("app=shop"),
		Nowhere: aim("app=ledger"),
		Snapshot: func(t *testing.T) string {
			// A restart is counted once the container runs again, not when the one before ended.
			kubectl("", "wait", "--for=condition=Ready", "pods", "--all", "--timeout=60s")
			return kubectl("", "get", "pods", "-o", `jsonpath={range .items[*]}{.metadata.name} {.metadata.uid} {range .status.containerStatuses[*]}{.restartCount} {end}{"\n"}{end}`)
		},
		Move: func(*testing.T) {
			kubectl("", "delete", "pods", "-l", "app=shop")
			start()
		},
	}
}
