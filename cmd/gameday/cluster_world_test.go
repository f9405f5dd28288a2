package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/gameday-sh/gameday/faults/kubernetes"
	"github.com/gameday-sh/gameday/internal/cluster/clustertest"
	"github.com/gameday-sh/gameday/internal/kube"
)

// startBed gives the control plane of this process.
func startBed(t testing.TB) *clustertest.Cluster {
	t.Helper()
	return clustertest.Shared(t)
}

// clusterWorld is a namespace of its own on a real cluster.
type clusterWorld struct {
	t          testing.TB
	client     *kube.Client
	kubeconfig string
	namespace  string
	front      string
}

// dial is a client with the rights that a kubeconfig gives.
func dial(t testing.TB, kubeconfig string) *kube.Client {
	t.Helper()
	connection := &kube.Kubernetes{Kubeconfig: kubeconfig}
	if err := connection.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := connection.Close(); err != nil {
			t.Error(err)
		}
	})
	client, err := connection.Client()
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func newClusterWorld(t testing.TB) *clusterWorld {
	t.Helper()
	c := startBed(t)
	client := dial(t, c.Kubeconfig)
	front := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(front.Close)
	w := &clusterWorld{t: t, client: client, kubeconfig: c.Kubeconfig, namespace: c.Namespace(t), front: front.URL}
	return w
}

func (w *clusterWorld) create(ref kube.Ref, object interface {
	metav1.Object
	runtime.Object
}) {
	w.t.Helper()
	if err := w.client.Create(w.t.Context(), ref, object, nil); err != nil {
		w.t.Fatal(err)
	}
}

// node gives a node that no other test takes.
func (w *clusterWorld) node() string {
	w.t.Helper()
	return startBed(w.t).Node(w.t)
}

// deploy creates a Deployment and waits until its pods are ready.
func (w *clusterWorld) deploy(name string, replicas int32) {
	w.t.Helper()
	labels := map[string]string{"app": name}
	w.create(kube.Deployments.In(w.namespace, name), &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: w.namespace},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "shop", Image: "shop:1"}}, NodeSelector: map[string]string{"type": "kwok"},
					TerminationGracePeriodSeconds: new(int64)},
			},
		},
	})
	w.ready(name, int(replicas))
}

func (w *clusterWorld) ready(name string, replicas int) {
	w.t.Helper()
	last := ""
	for deadline := time.Now().Add(5 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		var d appsv1.Deployment
		if err := w.client.Get(w.t.Context(), kube.Deployments.In(w.namespace, name), &d); err != nil {
			w.t.Fatal(err)
		}
		if int(d.Status.ReadyReplicas) == replicas && int(d.Status.Replicas) == replicas {
			return
		}
		if last = fmt.Sprintf("%+v", d.Status); time.Now().After(deadline) {
			w.t.Fatalf("waited in vain for %d pods of %s: %s", replicas, name, last)
		}
	}
}

// scenario writes a scenario file for this world: %NS% and %FRONT% are replaced.
func (w *clusterWorld) scenario(text string, more ...string) string {
	w.t.Helper()
	path := filepath.Join(w.t.TempDir(), "cluster.hcl")
	replace := append([]string{"%NS%", w.namespace, "%FRONT%", w.front, "%KUBECONFIG%", w.kubeconfig}, more...)
	if err := os.WriteFile(path, []byte(strings.NewReplacer(replace...).Replace(text)), 0o600); err != nil {
		w.t.Fatal(err)
	}
	return path
}

// elsewhere gives what another machine has: a state folder of its own, and a copy of
// the kubeconfig at another path.
func (w *clusterWorld) elsewhere() (home, kubeconfig string) {
	w.t.Helper()
	dir := w.t.TempDir()
	text, err := os.ReadFile(w.kubeconfig)
	if err != nil {
		w.t.Fatal(err)
	}
	kubeconfig = filepath.Join(dir, "copy-of-kubeconfig")
	if err := os.WriteFile(kubeconfig, text, 0o600); err != nil {
		w.t.Fatal(err)
	}
	return filepath.Join(dir, "state"), kubeconfig
}

// marks lists everything on the cluster that bears a mark, of this namespace and of
// the nodes given.
func (w *clusterWorld) marks(nodes ...string) []string {
	w.t.Helper()
	var list []string
	for _, resource := range []kube.Resource{kube.Deployments, kube.StatefulSets, kube.ReplicaSets, kube.Pods, kube.NetworkPolicies, kube.ResourceQuotas, kube.Jobs, kube.Nodes} {
		namespace := w.namespace
		if resource.Cluster {
			namespace = ""
		}
		found, err := w.client.Metadata(w.t.Context(), resource, namespace, kubernetes.RunLabel, 1000)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, meta := range found {
			if !resource.Cluster || slices.Contains(nodes, meta.Name) {
				list = append(list, resource.In(meta.Namespace, meta.Name).String())
			}
		}
	}
	return list
}

// snapshot reads what faults can change in this world.
func (w *clusterWorld) snapshot(nodes ...string) string {
	w.t.Helper()
	seen := map[string]any{}
	read := func(ref kube.Ref, paths ...string) {
		thing, err := w.client.Raw(w.t.Context(), ref)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, path := range paths {
			value := thing.At(strings.Split(path, ".")...)
			if taints, ok := value.([]any); ok { // those of the cluster itself come and go
				value = slices.DeleteFunc(taints, func(one any) bool {
					key, _ := one.(map[string]any)["key"].(string)
					return strings.HasPrefix(key, "node.kubernetes.io/")
				})
				if len(value.([]any)) == 0 {
					value = nil
				}
			}
			seen[ref.String()+" "+path] = value
		}
	}
	for _, node := range nodes {
		read(kube.Nodes.In("", node), "spec.unschedulable", "spec.taints", "metadata.labels", "metadata.annotations")
	}
	var deployments appsv1.DeploymentList
	if err := w.client.Get(w.t.Context(), kube.Deployments.In(w.namespace, ""), &deployments); err != nil {
		w.t.Fatal(err)
	}
	for _, d := range deployments.Items {
		read(kube.Deployments.In(w.namespace, d.Name), "spec.replicas", "metadata.labels")
	}
	var pods corev1.PodList
	if err := w.client.Get(w.t.Context(), kube.Pods.In(w.namespace, ""), &pods); err != nil {
		w.t.Fatal(err)
	}
	images := map[string]int{}
	for _, pod := range pods.Items {
		images[pod.Spec.Containers[0].Image]++
	}
	seen["images"] = slices.Sorted(maps.Keys(images))
	for _, resource := range []kube.Resource{kube.NetworkPolicies, kube.ResourceQuotas, kube.Jobs} {
		found, err := w.client.Metadata(w.t.Context(), resource, w.namespace, "", 1000)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, meta := range found {
			seen[resource.Kind] = append(asList(seen[resource.Kind]), meta.Name)
		}
	}
	text, err := json.MarshalIndent(seen, "", " ")
	if err != nil {
		w.t.Fatal(err)
	}
	return string(text)
}

func asList(value any) []any {
	list, _ := value.([]any)
	return list
}
