package kubernetes

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gameday-sh/gameday/internal/cluster/clustertest"
	"github.com/gameday-sh/gameday/internal/kube"
)

// behind is a connection to an API server through a proxy, which passes on or does
// something else.
func behind(t *testing.T, kubeconfig string, do func(w http.ResponseWriter, r *http.Request, pass http.Handler)) *kube.Kubernetes {
	t.Helper()
	pass := clustertest.Proxy(t, kubeconfig)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { do(w, r, pass) }))
	path := filepath.Join(t.TempDir(), "kubeconfig")
	text := fmt.Sprintf("apiVersion: v1\nkind: Config\ncurrent-context: x\nclusters: [{name: x, cluster: {server: %q}}]\nusers: [{name: x, user: {}}]\ncontexts: [{name: x, context: {cluster: x, user: x}}]\n", server.URL)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	connection := &kube.Kubernetes{Kubeconfig: path, Timeout: 2 * time.Second}
	if err := connection.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := connection.Close(); err != nil {
			t.Error(err)
		}
		server.CloseClientConnections()
		server.Close()
	})
	return connection
}

func evicting(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/eviction") }

func TestADrainNamesPodsWhoseEvictionGotNoAnswer(t *testing.T) {
	t.Parallel()
	c := clustertest.Shared(t)
	node, namespace := c.Node(t), c.Namespace(t)
	c.Make(t, "Deployment", namespace, clustertest.Workload{Name: "checkout", Replicas: 2, Node: node})
	var lost atomic.Int32
	k := behind(t, c.Kubeconfig, func(w http.ResponseWriter, r *http.Request, pass http.Handler) {
		if evicting(r) {
			lost.Add(1)
			pass.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		}
		pass.ServeHTTP(w, r)
	})
	fault := &NodeDrain{Nodes: Nodes{Kubernetes: k, Node: node, Share: many(1)}, Within: 30 * time.Second}
	hit := planFor(t, fault)[0]
	proof := inject(t, fault, hit)
	if lost.Load() == 0 || strings.Count(proof.Seen, namespace+"/checkout-") != 2 {
		t.Errorf("of %d lost answers: %s", lost.Load(), proof.Seen)
	}
	if err := fault.Revert(t.Context(), hit); err != nil {
		t.Error(err)
	}
}

func TestAnEvictionWaitsForABusyServerAndNotForEver(t *testing.T) {
	t.Parallel()
	c := clustertest.Shared(t)
	namespace := c.Namespace(t)
	c.Make(t, "Deployment", namespace, clustertest.Workload{Name: "checkout", Replicas: 1})
	var asked, busy atomic.Int32
	k := behind(t, c.Kubeconfig, func(w http.ResponseWriter, r *http.Request, pass http.Handler) {
		if evicting(r) {
			asked.Add(1)
			if busy.Add(-1) >= 0 {
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(http.StatusTooManyRequests) // and no word of how long
				fmt.Fprint(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"TooManyRequests","code":429,"message":"too many requests"}`)
				return
			}
		}
		pass.ServeHTTP(w, r)
	})
	client, err := k.Client()
	if err != nil {
		t.Fatal(err)
	}
	var pods corev1.PodList
	if err := client.Get(t.Context(), kube.Pods.In(namespace, ""), &pods); err != nil {
		t.Fatal(err)
	}
	busy.Store(1000)
	err = evictPatiently(t.Context(), client, namespace, pods.Items[0].Name, metav1.DeleteOptions{}, 1500*time.Millisecond)
	if err == nil || !strings.Contains(err.Error(), "too many requests") || asked.Load() != 2 {
		t.Errorf("busy for good: asked %d times in 1.5s: %v", asked.Load(), err)
	}
	busy.Store(1)
	if err := evictPatiently(t.Context(), client, namespace, pods.Items[0].Name, metav1.DeleteOptions{}, busyFor); err != nil {
		t.Errorf("busy for a moment: %v", err)
	}
}
