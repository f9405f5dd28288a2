package probes

import (
	"context"
	"fmt"
	"io"
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

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/cluster"
	"github.com/gameday-sh/gameday/internal/cluster/clustertest"
	"github.com/gameday-sh/gameday/internal/kube"
)

// open opens a connection by a kubeconfig.
func open(t *testing.T, kubeconfig string) (*kube.Kubernetes, *kube.Client) {
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
	return connection, client
}

func do(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// await measures again until the sample is as wanted.
func await(t *testing.T, probe experiments.Probe, what string, wanted func(experiments.Sample) bool) experiments.Sample {
	t.Helper()
	var s experiments.Sample
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if s = measure(t, probe, patience); wanted(s) {
			return s
		}
	}
	t.Fatalf("%s was never so; last: good %v, value %v, condition %q, %s", what, s.Good, s.Value, s.Condition, s.Why)
	return s
}

func isGood(s experiments.Sample) bool { return s.Good }

func app(name string, replicas int32) *appsv1.Deployment {
	labels := map[string]string{"app": name}
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "shop"},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Image: "example.invalid/app:1"}}},
			},
		},
	}
}

func TestKubernetesOnARealControlPlane(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts a control plane")
	}
	clustertest.Seat(t)
	c, err := cluster.ControlPlane(t.Context(), cluster.Options{Dir: filepath.Join(t.TempDir(), "cluster"), Bound: true, Nodes: 2, Progress: os.Stderr})
	do(t, err)
	t.Cleanup(func() { do(t, c.Stop()) })
	connection, client := open(t, c.Kubeconfig)
	create := func(ref kube.Ref, object runtime.Object) {
		t.Helper()
		do(t, client.Create(t.Context(), ref, object, nil))
	}
	create(kube.Namespaces.In("", "shop"), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}})
	configMaps := kube.Resource{Version: "v1", Name: "configmaps", Kind: "config map"}
	create(configMaps.In("shop", "settings"), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "settings", Namespace: "shop"}, Data: map[string]string{"limit": "250", "mode": "open"}})
	create(kube.Deployments.In("shop", "checkout"), app("checkout", 3))
	checkout := kube.Deployments.In("shop", "checkout")
	probe := func(p *Kubernetes) *Kubernetes {
		t.Helper()
		p.Kubernetes, p.Namespace = connection, "shop"
		if p.Reads == "" && p.Object == "" {
			p.Reads = "ready"
		}
		if problems := p.Validate(); len(problems) > 0 {
			t.Fatalf("the probe is not valid: %v", problems)
		}
		do(t, p.Check(t.Context()))
		return p
	}
	rollout := probe(&Kubernetes{Workload: "deployment/checkout", Reads: "rollout"})
	if s := await(t, rollout, "the rollout", isGood); s.Value != 3 {
		t.Errorf("a complete rollout of 3 has the value %v", s.Value)
	}

	t.Run("ready replicas and pods", func(t *testing.T) {
		expect{good: true, value: 3}.check(t, measure(t, probe(&Kubernetes{Workload: "deployment/checkout"}), patience))
		expect{good: true, value: 3}.check(t, measure(t, probe(&Kubernetes{Selector: "app=checkout"}), patience))
		four := 4
		expect{value: 3, why: "3 replicas of deployment shop/checkout are ready, at least 4 asked"}.check(t, measure(t, probe(&Kubernetes{Workload: "deployment/checkout", AtLeast: &four}), patience))
		none := measure(t, probe(&Kubernetes{Selector: "app=nothing"}), patience)
		if none.Good || !none.Counted || none.Value != 0 || !strings.Contains(none.Why, "there are no pods with app=nothing in shop") {
			t.Errorf("no pods: %+v", none)
		}
		gone := measure(t, probe(&Kubernetes{Workload: "deployment/nobody"}), patience)
		if gone.Good || !gone.Counted || gone.Value != 0 || gone.Why != "deployment shop/nobody is not found" {
			t.Errorf("a deployment that is not there: %+v", gone)
		}
	})
	t.Run("a rollout that is not complete", func(t *testing.T) {
		template := func(zone any) map[string]any {
			return map[string]any{"spec": map[string]any{"template": map[string]any{"spec": map[string]any{"nodeSelector": map[string]any{"topology.kubernetes.io/zone": zone}}}}}
		}
		do(t, client.Merge(t.Context(), checkout, template("nowhere"), nil))
		s := await(t, rollout, "a rollout without a node for it", func(s experiments.Sample) bool { return s.Value == 1 })
		if s.Good || s.Why != "1 of 3 replicas of deployment shop/checkout are updated" {
			t.Errorf("a rollout that is stuck: good %v: %s", s.Good, s.Why)
		}
		expect{good: true, value: 3}.check(t, measure(t, probe(&Kubernetes{Workload: "deployment/checkout"}), patience))
		expect{value: 3, why: "3 of 4 pods with app=checkout in shop are ready"}.check(t, measure(t, probe(&Kubernetes{Selector: "app=checkout"}), patience))
		do(t, client.Merge(t.Context(), checkout, template(nil), nil))
		await(t, rollout, "the rollout back", isGood)
		do(t, client.Merge(t.Context(), checkout, map[string]any{"spec": map[string]any{"replicas": 0}}, nil))
		s = await(t, rollout, "a rollout to nothing", func(s experiments.Sample) bool { return strings.Contains(s.Why, "is to have no replicas") })
		if s.Good {
			t.Error("nothing being wanted is no complete rollout")
		}
		do(t, client.Merge(t.Context(), checkout, map[string]any{"spec": map[string]any{"replicas": 3}}, nil))
		await(t, rollout, "the rollout", isGood)
	})
	t.Run("fields of objects", func(t *testing.T) {
		expect{good: true, value: 250}.check(t, measure(t, probe(&Kubernetes{Object: "configmap/settings", JSONPath: "$.data.limit"}), patience))
		expect{good: true}.check(t, measure(t, probe(&Kubernetes{Object: "configmaps.v1/settings", JSONPath: "$.data.mode", JSONEquals: "open"}), patience))
		expect{why: "$.data.mode of configmap shop/settings is open, not shut"}.check(t, measure(t, probe(&Kubernetes{Object: "configmap/settings", JSONPath: "$.data.mode", JSONEquals: "shut"}), patience))
		expect{why: "configmap shop/settings: nothing at $.data.none"}.check(t, measure(t, probe(&Kubernetes{Object: "configmap/settings", JSONPath: "$.data.none"}), patience))
		expect{why: "configmap shop/nobody is not found"}.check(t, measure(t, probe(&Kubernetes{Object: "configmap/nobody", JSONPath: "$.data.none"}), patience))
		expect{good: true, value: 3}.check(t, measure(t, probe(&Kubernetes{Object: "deployments.v1.apps/checkout", JSONPath: "$.spec.replicas"}), patience))
		expect{condition: experiments.Refused, why: "knows no such kind of object as certificates shop/tls"}.check(t, measure(t, probe(&Kubernetes{Object: "certificates.v1.cert-manager.io/tls", JSONPath: "$.spec"}), patience))
	})
	t.Run("restarts", func(t *testing.T) {
		for name, restarts := range map[string]*Kubernetes{
			"workload": probe(&Kubernetes{Workload: "deployment/checkout", Reads: "restarts"}),
			"selector": probe(&Kubernetes{Selector: "app=checkout", Reads: "restarts"}),
		} {
			if s := measure(t, restarts, patience); !s.Good || s.Value != 0 {
				t.Fatalf("%s: the first look: %+v", name, s)
			}
			// The status of a deployment is behind: a replacement may just have been made.
			var pods corev1.PodList
			for deadline := time.Now().Add(patience); len(pods.Items) != 3; time.Sleep(20 * time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatalf("%d pods run after %s, want 3", len(pods.Items), patience)
				}
				pods = corev1.PodList{}
				do(t, client.Get(t.Context(), kube.Pods.In("shop", ""), &pods))
				pods.Items = slices.DeleteFunc(pods.Items, func(pod corev1.Pod) bool {
					return pod.DeletionTimestamp != nil || len(pod.Status.ContainerStatuses) == 0
				})
			}
			status := pods.Items[0].Status
			status.ContainerStatuses[0].RestartCount += 2
			do(t, client.Merge(t.Context(), kube.Pods.In("shop", pods.Items[0].Name).Subresource("status"), map[string]any{"status": map[string]any{"containerStatuses": status.ContainerStatuses}}, nil))
			expect{value: 2, why: "were restarted 2 times since the measurement before"}.check(t, measure(t, restarts, patience))
			expect{good: true, value: 2}.check(t, measure(t, restarts, patience))
			// A pod that goes takes its restarts along, and they stay counted.
			do(t, client.Delete(t.Context(), kube.Pods.In("shop", pods.Items[0].Name), metav1.DeleteOptions{}))
			await(t, rollout, "the replacement", isGood)
			expect{good: true, value: 2}.check(t, measure(t, restarts, patience))
		}
		gone := measure(t, probe(&Kubernetes{Workload: "deployment/nobody", Reads: "restarts"}), patience)
		expect{why: "deployment shop/nobody is not found"}.check(t, gone)
	})
	t.Run("forbidden", func(t *testing.T) {
		admin, err := os.ReadFile(c.Kubeconfig)
		do(t, err)
		path := filepath.Join(t.TempDir(), "nobody")
		do(t, os.WriteFile(path, []byte(strings.Replace(string(admin), "user: {", "user: {as: nobody, ", 1)), 0o600))
		if written, err := os.ReadFile(path); err != nil || !strings.Contains(string(written), "as: nobody") {
			t.Fatalf("the kubeconfig has another layout:\n%s (%v)", admin, err)
		}
		nobody, _ := open(t, path)
		for _, p := range []*Kubernetes{
			{Workload: "deployment/checkout", Reads: "ready"}, {Selector: "app=checkout", Reads: "ready"}, {Workload: "deployment/checkout", Reads: "restarts"},
			{Workload: "deployment/checkout", Reads: "rollout"}, {Object: "configmap/settings", JSONPath: "$.data.limit"},
		} {
			p.Kubernetes, p.Namespace = nobody, "shop"
			expect{condition: experiments.Refused, why: "forbidden to read "}.check(t, measure(t, p, patience))
			if err := p.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "these rights are missing") {
				t.Errorf("Check of %s without rights: %v", p.what(), err)
			}
		}
	})
	t.Run("API server that is gone", func(t *testing.T) {
		do(t, c.StopComponent("kube-apiserver"))
		for _, p := range []*Kubernetes{rollout, probeOf(connection, &Kubernetes{Selector: "app=checkout", Reads: "ready"})} {
			expect{condition: experiments.Unreachable, why: "no answer from the API server about "}.check(t, measure(t, p, patience))
		}
	})
}

func TestKubernetesTellsAnswersApartThatAreNone(t *testing.T) {
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		want   expect
	}{
		"a web page": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprint(w, "<html>Please log in</html>")
		}, expect{condition: experiments.Refused, why: "makes no sense"}},
		"empty JSON": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, "{}")
		}, expect{condition: experiments.Refused, why: "makes no sense"}},
		"another object": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, `{"kind":"Deployment","apiVersion":"apps/v1","metadata":{"name":"other"},"spec":{"replicas":1},"status":{"replicas":1,"readyReplicas":1}}`)
		}, expect{condition: experiments.Refused, why: "makes no sense"}},
		"half an answer": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Length", "500")
			fmt.Fprint(w, `{"kind":"Deployment","apiVersion":"apps/v1","metadata":{"name":"checkout"},`)
		}, expect{condition: experiments.Unreachable, why: "no answer from the API server"}},
		"an error": {func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "bad gateway", http.StatusBadGateway)
		}, expect{condition: experiments.Refused, why: "cannot tell of"}},
		"nobody let in": {func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "who are you", http.StatusUnauthorized)
		}, expect{condition: experiments.Refused, why: "does not accept who asks"}},
		"busy for good": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "1")
			http.Error(w, "Too many requests, please try again later.", http.StatusTooManyRequests)
		}, expect{condition: experiments.Refused, why: "no answer in time but 429 Too Many Requests: the API server, or what is before it, is too busy"}},
		"silence": {func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
		}, expect{condition: experiments.Unreachable, why: "none within 500ms"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mux := http.NewServeMux()
			mux.HandleFunc("/version", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"gitVersion":"v1.37.2"}`) })
			mux.HandleFunc("/", test.answer)
			server := httptest.NewServer(mux)
			t.Cleanup(server.Close)
			path := filepath.Join(t.TempDir(), "kubeconfig")
			do(t, os.WriteFile(path, fmt.Appendf(nil, "apiVersion: v1\nkind: Config\ncurrent-context: x\nclusters: [{name: x, cluster: {server: %q}}]\nusers: [{name: x, user: {}}]\ncontexts: [{name: x, context: {cluster: x, user: x}}]\n", server.URL), 0o600))
			connection, _ := open(t, path)
			within := patience
			if name == "silence" || name == "busy for good" {
				within = 500 * time.Millisecond
			}
			for _, p := range []*Kubernetes{
				probeOf(connection, &Kubernetes{Workload: "deployment/checkout", Reads: "ready"}),
				probeOf(connection, &Kubernetes{Workload: "deployment/checkout", Reads: "rollout"}),
				probeOf(connection, &Kubernetes{Selector: "app=checkout", Reads: "ready"}),
				probeOf(connection, &Kubernetes{Selector: "app=checkout", Reads: "restarts"}),
				probeOf(connection, &Kubernetes{Object: "deployment/checkout", JSONPath: "$.status.readyReplicas"}),
			} {
				test.want.check(t, measure(t, p, within))
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			expect{condition: experiments.Broken, why: "cancelled"}.check(t, probeOf(connection, &Kubernetes{Workload: "deployment/checkout", Reads: "ready"}).Measure(ctx))
		})
	}
	expect{condition: experiments.Broken, why: "the kubernetes connection is not open"}.check(t, measure(t, probeOf(&kube.Kubernetes{}, &Kubernetes{Workload: "deployment/checkout", Reads: "ready"}), patience))
}

func TestKubernetesCountsRestartsWhateverOrderLooksComeInBy(t *testing.T) {
	var r restarts
	for i, step := range []struct {
		look  map[string]int
		sum   int
		again bool
	}{
		{map[string]int{"a/main": 4, "b/main": 0}, 0, false},
		{map[string]int{"a/main": 5, "b/main": 0}, 1, true},
		{map[string]int{"a/main": 4, "b/main": 0}, 1, false}, // came in late
		{map[string]int{"b/main": 0, "c/main": 2}, 3, true},  // a is gone, c is new and has failed twice
		{map[string]int{"b/main": 0, "c/main": 2}, 3, false},
		{map[string]int{}, 3, false},
	} {
		if sum, again := r.take(step.look); sum != step.sum || again != step.again {
			t.Errorf("look %d: %d restarts, again %v; want %d, %v", i, sum, again, step.sum, step.again)
		}
	}
}

func TestKubernetesValidation(t *testing.T) {
	two, zero := 2, 0
	for want, p := range map[string]*Kubernetes{
		"":                             {Namespace: "shop", Workload: "deployment/checkout", Reads: "ready", AtLeast: &two},
		"Nothing to look at":           {Namespace: "shop"},
		"Several things to look at":    {Namespace: "shop", Workload: "deployment/checkout", Selector: "app=checkout"},
		"Not a workload with replicas": {Namespace: "shop", Workload: "job/nightly"},
		"Not a label selector":         {Namespace: "shop", Selector: "app in checkout"},
		"No namespace":                 {Workload: "deployment/checkout"},
		"Not the name of a namespace":  {Namespace: "../../shop", Selector: "app=checkout"},
		"Not an object":                {Namespace: "shop", Object: "secret/token", JSONPath: "$.data.token"},
		"No JSONPath":                  {Namespace: "shop", Object: "configmap/settings"},
		"Unusable JSONPath":            {Namespace: "shop", Object: "configmap/settings", JSONPath: "$["},
		"No object for the JSONPath":   {Namespace: "shop", Workload: "deployment/checkout", JSONPath: "$.spec"},
		"No value to compare":          {Namespace: "shop", Workload: "deployment/checkout", JSONEquals: "1"},
		"Two things to read":           {Namespace: "shop", Object: "configmap/settings", JSONPath: "$.data.x", Reads: "rollout"},
		"Pods have no rollout":         {Namespace: "shop", Selector: "app=checkout", Reads: "rollout"},
		"A ReplicaSet has no rollout":  {Namespace: "shop", Workload: "replicaset/checkout-1", Reads: "rollout"},
		"Nothing to compare with":      {Namespace: "shop", Workload: "deployment/checkout", Reads: "restarts", AtLeast: &two},
		"Number out of range":          {Namespace: "shop", Workload: "deployment/checkout", Reads: "ready", AtLeast: &zero},
	} {
		var got []string
		for _, problem := range p.Validate() {
			got = append(got, problem.Summary)
		}
		if len(got) == 0 && want != "" || len(got) > 0 && got[0] != want {
			t.Errorf("%+v: problems %v, want %q", p.what(), got, want)
		}
	}
	if _, _, err := parseWorkload("deployment/Check out"); err == nil || !strings.Contains(err.Error(), `no workload can have the name "Check out": a lowercase`) {
		t.Errorf("a name that none can have: %v", err)
	}
	for text, want := range map[string]string{
		"configmap/settings": "configmap shop/settings", "ConfigMaps/settings": "configmap shop/settings", "node/worker-1": "node worker-1",
		"certificates.v1.cert-manager.io/tls": "certificates shop/tls", "widgets/x": "", "configmap": "", "configmap/a/b": "",
		"configmap/..": "", "configmap/50%": "",
		"secrets.v1/x": "", "secret/x": "", "secrets.v1beta1.example.com/x": "secrets shop/x",
	} {
		ref, err := parseObject(text, "shop")
		if (err != nil) != (want == "") || err == nil && ref.String() != want {
			t.Errorf("%s: %q, %v; want %q", text, ref, err, want)
		}
	}
}

// probeOf is a probe of namespace shop.
func probeOf(connection *kube.Kubernetes, p *Kubernetes) *Kubernetes {
	p.Kubernetes, p.Namespace = connection, "shop"
	return p
}
