package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/gameday-sh/gameday/internal/cluster/clustertest"
	"github.com/gameday-sh/gameday/internal/kube"
	"github.com/gameday-sh/gameday/internal/porttest"
)

// exampleCluster is the control plane with simulated nodes that all tests share. Each
// example has a namespace and nodes of its own.
type exampleCluster struct {
	shared     *clustertest.Cluster
	kubeconfig string
	host       string
	http       *http.Client
	client     *kube.Client
}

// clusterWorlds are the worlds of the examples for clusters.
func clusterWorlds() map[string]func(*testing.T) ([]string, func(string)) {
	worlds := map[string]func(*testing.T) ([]string, func(string)){}
	for name, world := range map[string]func(*exampleCluster, *testing.T) ([]string, func(string)){
		"kill-pods": (*exampleCluster).killPods, "drain-node": (*exampleCluster).drainNode, "drain-node-pdb": (*exampleCluster).drainNodePDB,
		"pod-recovery": (*exampleCluster).podRecovery, "serial": (*exampleCluster).serial, "podtato-head": (*exampleCluster).podtatoHead,
		"cluster": (*exampleCluster).everything,
	} {
		worlds[name] = func(t *testing.T) ([]string, func(string)) {
			c := newExampleCluster(t)
			flags, after := world(c, t)
			return append([]string{"--var", "kubeconfig=" + c.kubeconfig}, flags...), func(output string) {
				after(output)
				c.nothingLeft(t)
			}
		}
	}
	return worlds
}

func newExampleCluster(t *testing.T) *exampleCluster {
	t.Helper()
	shared := startBed(t)
	config, err := clientcmd.BuildConfigFromFlags("", shared.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	c := &exampleCluster{shared: shared, kubeconfig: shared.Kubeconfig, host: config.Host, client: dial(t, shared.Kubeconfig)}
	if c.http, err = rest.HTTPClientFor(config); err != nil {
		t.Fatal(err)
	}
	return c
}

// post creates an object.
func (c *exampleCluster) post(t *testing.T, path string, object map[string]any) {
	t.Helper()
	body, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := c.http.Post(c.host+path, "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.Body.Close() != nil || answer.StatusCode >= 300 {
		t.Fatalf("POST %s: %s: %s (%v)", path, answer.Status, text, err)
	}
}

type object = map[string]any

// deploy creates a namespace with a deployment on some of the nodes, and waits until
// its pods are ready.
func (c *exampleCluster) deploy(t *testing.T, namespace, name, label string, replicas int, nodes ...string) {
	t.Helper()
	key, value, _ := strings.Cut(label, "=")
	labels := map[string]string{key: value}
	affinity := object{"nodeAffinity": object{"requiredDuringSchedulingIgnoredDuringExecution": object{"nodeSelectorTerms": []object{
		{"matchExpressions": []object{{"key": "kubernetes.io/hostname", "operator": "In", "values": nodes}}},
	}}}}
	c.post(t, "/api/v1/namespaces", object{"metadata": object{"name": namespace}})
	c.post(t, "/apis/apps/v1/namespaces/"+namespace+"/deployments", object{
		"metadata": object{"name": name},
		"spec": object{"replicas": replicas, "selector": object{"matchLabels": labels}, "template": object{
			"metadata": object{"labels": labels},
			"spec":     object{"affinity": affinity, "tolerations": []object{{"key": "own", "operator": "Exists"}}, "containers": []object{{"name": "main", "image": "example.invalid/app:1"}}},
		}},
	})
	poll(t, text("the pods of "+namespace), func() bool { return len(c.ready(t.Context(), namespace, label)) == replicas })
}

// budget creates a PodDisruptionBudget and waits until it counts.
func (c *exampleCluster) budget(t *testing.T, namespace, name, label string, minimum, allows int) {
	t.Helper()
	key, value, _ := strings.Cut(label, "=")
	c.post(t, "/apis/policy/v1/namespaces/"+namespace+"/poddisruptionbudgets", object{
		"metadata": object{"name": name},
		"spec":     object{"minAvailable": minimum, "selector": object{"matchLabels": map[string]string{key: value}}},
	})
	poll(t, text("the budget "+name), func() bool {
		thing, err := c.client.Raw(t.Context(), kube.DisruptionBudget.In(namespace, name))
		return err == nil && fmt.Sprint(thing.At("status", "currentHealthy")) != "<nil>" && fmt.Sprint(thing.At("status", "disruptionsAllowed")) == fmt.Sprint(allows) &&
			fmt.Sprint(thing.At("status", "expectedPods")) != "0"
	})
}

// ready gives the nodes of the ready pods by their names; nil if it cannot be read.
func (c *exampleCluster) ready(ctx context.Context, namespace, label string) map[string]string {
	found := map[string]string{}
	err := kube.List(ctx, c.client, kube.Pods, namespace, metav1.ListOptions{LabelSelector: label}, func(page *corev1.PodList) error {
		for i := range page.Items {
			if pod := &page.Items[i]; pod.DeletionTimestamp == nil && kube.Ready(pod) {
				found[pod.Name] = pod.Spec.NodeName
			}
		}
		return nil
	}, func() *corev1.PodList { return new(corev1.PodList) }, func() { clear(found) })
	if err != nil {
		return nil
	}
	return found
}

// service answers like a Service: well while one of its pods is ready.
func (c *exampleCluster) service(t *testing.T, namespace, label string) string {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(c.ready(r.Context(), namespace, label)) == 0 {
			http.Error(w, "no endpoints", http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL + "/"
}

// nothingLeft checks that no object of the cluster bears the mark of a run that is over.
func (c *exampleCluster) nothingLeft(t *testing.T) {
	t.Helper()
	for _, resource := range []kube.Resource{kube.Jobs, kube.NetworkPolicies, kube.ResourceQuotas} {
		thing, err := c.client.Raw(t.Context(), resource.In(namespaceOf(t), ""))
		if err != nil {
			t.Fatal(err)
		}
		if items, _ := thing.At("items").([]any); len(items) > 0 {
			t.Errorf("%s are left: %v", resource.Name, items)
		}
	}
}

// namespaceOf is the namespace of an example: its name.
func namespaceOf(t *testing.T) string { return t.Name()[strings.LastIndexByte(t.Name(), '/')+1:] }

// says checks what a run said.
func says(t *testing.T, output string, patterns ...string) {
	t.Helper()
	for _, pattern := range patterns {
		if !regexp.MustCompile(pattern).MatchString(output) {
			t.Errorf("the run does not say %q:\n%s", pattern, output)
		}
	}
}

// untouched checks that a node is open and bears no mark.
func (c *exampleCluster) untouched(t *testing.T, node string) {
	t.Helper()
	thing, err := c.client.Raw(t.Context(), kube.Nodes.In("", node))
	if err != nil {
		t.Fatal(err)
	}
	taints, _ := thing.At("spec", "taints").([]any) // one of its own, which it had before
	if thing.At("spec", "unschedulable") != nil || thing.At("metadata", "labels", "gameday.sh/run") != nil || len(taints) != 1 {
		t.Errorf("node %s is left as %v, %v", node, thing.At("spec"), thing.At("metadata", "labels"))
	}
}

func (c *exampleCluster) killPods(t *testing.T) ([]string, func(string)) {
	namespace, node := namespaceOf(t), c.shared.Node(t)
	c.deploy(t, namespace, "checkout", "app=checkout", 4, node)
	before := c.ready(t.Context(), namespace, "app=checkout")
	return []string{"--var", "namespace=" + namespace, "--var", "selector=app=checkout", "--var", "service_url=" + c.service(t, namespace, "app=checkout")}, func(output string) {
		lost := 0
		now := c.ready(t.Context(), namespace, "app=checkout")
		for name := range before {
			if now[name] == "" {
				lost++
			}
		}
		if lost != 2 || len(now) != 4 {
			t.Errorf("%d pods were lost, %d are there", lost, len(now))
		}
		says(t, output, `two-pods injected: .* \(seen: pod kill-pods/checkout-\S+ \(UID \S+, on node `+node+`\) is (gone|ending)\)`,
			`fault two-pods: pod checkout-\S+ \(UID \S+\) replaces checkout-\S+, \S+ after the hit`,
			`fault two-pods: pod checkout-\S+ is ready on node `+node+`, \S+ after the hit`)
	}
}

func (c *exampleCluster) drainNode(t *testing.T) ([]string, func(string)) {
	namespace, node, other := namespaceOf(t), c.shared.Node(t), c.shared.Node(t)
	c.deploy(t, namespace, "retail", "biz-app-id=retail", 3, node, other)
	c.budget(t, namespace, "retail", "biz-app-id=retail", 2, 1)
	return []string{"--var", "namespace=" + namespace, "--var", "selector=biz-app-id=retail", "--var", "minimum=2", "--var", "node=" + node,
			"--var", "service_url=" + c.service(t, namespace, "biz-app-id=retail")}, func(output string) {
			for pod, node := range c.ready(t.Context(), namespace, "biz-app-id=retail") {
				if node != other {
					t.Errorf("pod %s is on %s", pod, node)
				}
			}
			c.untouched(t, node)
			says(t, output, `maintenance injected: .*node `+node+` is cordoned, and no pod that a drain evicts is left on it; evicted: drain-node/retail-`,
				`maintenance mended: node `+node+` \(seen: node `+node+` is not cordoned, as before\)`)
		}
}

func (c *exampleCluster) drainNodePDB(t *testing.T) ([]string, func(string)) {
	namespace, node := namespaceOf(t), c.shared.Node(t)
	c.deploy(t, namespace, "my-app", "name=my-app", 3, node)
	c.budget(t, namespace, "my-app-pdb", "name=my-app", 3, 0)
	before := c.ready(t.Context(), namespace, "name=my-app")
	return []string{"--var", "namespace=" + namespace, "--var", "selector=name=my-app", "--var", "node=" + node}, func(output string) {
		for name := range before {
			if c.ready(t.Context(), namespace, "name=my-app")[name] == "" {
				t.Errorf("pod %s is gone", name)
			}
		}
		c.untouched(t, node)
		says(t, output, `disruption budget drain-node-pdb/my-app-pdb allows 0 to be down at once`, `3 of its 3 pods are healthy and 3 must stay`, "nothing was broken")
	}
}

func (c *exampleCluster) podRecovery(t *testing.T) ([]string, func(string)) {
	namespace, node := namespaceOf(t), c.shared.Node(t)
	c.deploy(t, namespace, "nginx", "app=nginx", 3, node)
	return []string{"--var", "namespace=" + namespace}, func(output string) {
		says(t, output, `nginx injected: .*pod pod-recovery/nginx-`, `fault nginx: pod nginx-\S+ is ready on node `+node+`, \S+ after the hit`)
	}
}

func (c *exampleCluster) serial(t *testing.T) ([]string, func(string)) {
	namespace, node := namespaceOf(t), c.shared.Node(t)
	c.deploy(t, namespace, "hello-kubernetes", "app=hello-kubernetes", 5, node)
	service := strings.Trim(strings.TrimPrefix(c.service(t, namespace, "app=hello-kubernetes"), "http://"), "/")
	return []string{"--var", "namespace=" + namespace, "--var", "service=" + service, "--var", "listen=" + porttest.Address(t),
			"--var", "long=2s", "--var", "pause=1s", "--var", "half=500ms", "--var", "kills=6s"}, func(output string) {
			says(t, output, `less-room injected: .*deployment serial/hello-kubernetes has spec.replicas 4 \(was 5\)`, `slow-network injected: `)
			if kills := len(regexp.MustCompile(`fault pods injected: `).FindAllString(output, -1)); kills != 3 {
				t.Errorf("%d pods were killed in 6 s, one every 2 s", kills)
			}
			order := []int{strings.Index(output, "less-room mended"), strings.Index(output, "slow-network injected"), strings.Index(output, "slow-network mended"), strings.Index(output, "pods injected")}
			for i := 1; i < len(order); i++ {
				if order[i-1] < 0 || order[i] < order[i-1] {
					t.Errorf("the disturbances did not come one after the other: %v", order)
				}
			}
		}
}

func (c *exampleCluster) podtatoHead(t *testing.T) ([]string, func(string)) {
	namespace, node := namespaceOf(t), c.shared.Node(t)
	c.deploy(t, namespace, "podtato-main", "name=podtato-main", 2, node)
	return []string{"--var", "namespace=" + namespace, "--var", "every=2s", "--var", "duration=6s", "--var", "service_url=" + c.service(t, namespace, "name=podtato-main")}, func(output string) {
		if kills := len(regexp.MustCompile(`fault podtato-main injected: `).FindAllString(output, -1)); kills != 3 {
			t.Errorf("%d pods were deleted in 6 s, one every 2 s", kills)
		}
	}
}

func (c *exampleCluster) everything(t *testing.T) ([]string, func(string)) {
	namespace, node, other := namespaceOf(t), c.shared.Node(t), c.shared.Node(t)
	c.deploy(t, namespace, "checkout", "app=checkout", 4, node, other)
	return []string{"--var", "namespace=" + namespace, "--var", "workload=deployment/checkout", "--var", "selector=app=checkout", "--var", "node=" + node}, func(output string) {
		c.untouched(t, node)
		says(t, output, "evicted injected", "scaled-down mended", "no-room mended", "cut-off mended", `closed-node injected: .*node `+node+` is cordoned`,
			`tainted-node injected: .*the taint gameday.sh/fault:NoSchedule is on node `+node, "restarted injected", `fault restarted: the rollout of deployment cluster/checkout is complete: 4 pods new and ready, \S+ after the hit`, `broken-image injected: .*has the image gameday.invalid/broken:1 \(was example.invalid/app:1\)`,
			`broken-image mended`)
	}
}
