package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// stages are the parts of kwok's own configuration that are used: nodes and pods
// turn Ready at once, and nodes keep beating. (The variant with leases lets nodes
// turn NotReady after 50 s.)
var stages = []string{"node/fast", "node/heartbeat", "pod/fast"}

// writeStages collects the stages from kwok's module.
func writeStages(ctx context.Context, path string) error {
	command := exec.CommandContext(ctx, "go", "mod", "download", "-json", "sigs.k8s.io/kwok@"+kwokVersion)
	command.Dir = os.TempDir() // not within a module
	command.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off")
	output, err := command.Output()
	if err != nil {
		return fmt.Errorf("find kwok's stages: %w", err)
	}
	var module struct{ Dir string }
	if err := json.Unmarshal(output, &module); err != nil {
		return fmt.Errorf("find kwok's stages: %w", err)
	}
	var all bytes.Buffer
	for _, stage := range stages {
		found, err := filepath.Glob(filepath.Join(module.Dir, "kustomize", "stage", stage, "*.yaml"))
		if err != nil || len(found) == 0 {
			return fmt.Errorf("find kwok's stages %s: there are none in %s (%w)", stage, module.Dir, err)
		}
		slices.Sort(found)
		for _, file := range found {
			if filepath.Base(file) == "kustomization.yaml" {
				continue
			}
			text, err := os.ReadFile(file)
			if err != nil {
				return fmt.Errorf("read kwok's stages: %w", err)
			}
			all.WriteString("---\n")
			all.Write(text)
		}
	}
	if err := os.WriteFile(path, all.Bytes(), 0o600); err != nil {
		return fmt.Errorf("write kwok's stages: %w", err)
	}
	return nil
}

// simulate starts kwok and count nodes, kwok-0 and on, in three zones.
func (c *Cluster) simulate(ctx context.Context, count int) error {
	config := filepath.Join(c.dir, "kwok.yaml")
	if err := writeStages(ctx, config); err != nil {
		return err
	}
	if err := c.daemons.start(kwok, filepath.Join(c.bin, kwok), "--kubeconfig="+c.Kubeconfig, "--config="+config,
		"--manage-all-nodes=false", "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake",
		"--cidr=10.0.0.0/16", "--node-ip=127.0.0.1"); err != nil {
		return err
	}
	for i := range count {
		name := fmt.Sprintf("kwok-%d", i)
		resources := map[string]string{"cpu": "64", "memory": "256Gi", "pods": "250"}
		node := map[string]any{
			"apiVersion": "v1", "kind": "Node",
			"metadata": map[string]any{
				"name":        name,
				"annotations": map[string]string{"kwok.x-k8s.io/node": "fake", "node.alpha.kubernetes.io/ttl": "0"},
				"labels":      map[string]string{"type": "kwok", "kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "topology.kubernetes.io/zone": fmt.Sprintf("z%d", i%3)},
			},
			"status": map[string]any{"allocatable": resources, "capacity": resources},
		}
		if err := c.post(ctx, "/api/v1/nodes", node); err != nil {
			return fmt.Errorf("create node %s: %w", name, err)
		}
	}
	return c.daemons.await(ctx, "the simulated nodes", func() bool { return c.readyNodes(ctx) >= count }, apiServer, manager, kwok)
}

// readyNodes counts the nodes that take pods.
func (c *Cluster) readyNodes(ctx context.Context) int {
	text, err := c.get(ctx, "/api/v1/nodes")
	if err != nil {
		return 0
	}
	var nodes struct {
		Items []struct {
			Spec   struct{ Taints []struct{ Key string } }
			Status struct {
				Conditions []struct{ Type, Status string }
			}
		}
	}
	if err := json.Unmarshal([]byte(text), &nodes); err != nil {
		return 0
	}
	count := 0
	for _, node := range nodes.Items {
		for _, condition := range node.Status.Conditions {
			if condition.Type == "Ready" && condition.Status == "True" && len(node.Spec.Taints) == 0 {
				count++
			}
		}
	}
	return count
}

// post creates an object as administrator.
func (c *Cluster) post(ctx context.Context, path string, object any) error {
	body, err := json.Marshal(object)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.Server+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	answer, err := c.client.Do(request)
	if err != nil {
		return err
	}
	text, err := io.ReadAll(answer.Body)
	if err = errors.Join(err, answer.Body.Close()); err == nil && answer.StatusCode >= 300 {
		err = fmt.Errorf("POST %s: %s: %s", path, answer.Status, strings.TrimSpace(string(text)))
	}
	return err
}
