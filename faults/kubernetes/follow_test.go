package kubernetes

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/cluster"
	"github.com/gameday-sh/gameday/internal/kube"
)

// bench is a control plane with simulated nodes, for the tests of this file.
type bench struct {
	t          *testing.T
	cluster    *cluster.Cluster
	kubeconfig string
	client     *kube.Client
	connection *kube.Kubernetes
	http       *http.Client
	host       string
}

func newBench(t *testing.T, nodes int) *bench {
	t.Helper()
	if testing.Short() {
		t.Skip("starts a control plane")
	}
	c, err := cluster.ControlPlane(t.Context(), cluster.Options{Dir: filepath.Join(t.TempDir(), "cluster"), Bound: true, Nodes: nodes, Progress: os.Stderr})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	b := &bench{t: t, cluster: c, kubeconfig: c.Kubeconfig}
	b.connection, b.client = b.as("")
	config, err := clientcmd.BuildConfigFromFlags("", c.Kubeconfig)
	b.must(err)
	b.http, err = rest.HTTPClientFor(config)
	b.must(err)
	b.host = config.Host
	return b
}

func (b *bench) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

// as opens a connection, as another user where one is named.
func (b *bench) as(user string) (*kube.Kubernetes, *kube.Client) {
	b.t.Helper()
	path := b.kubeconfig
	if user != "" {
		admin, err := os.ReadFile(path)
		b.must(err)
		path = filepath.Join(b.t.TempDir(), user)
		b.must(os.WriteFile(path, []byte(strings.Replace(string(admin), "user: {", "user: {as: "+user+", ", 1)), 0o600))
	}
	connection := &kube.Kubernetes{Kubeconfig: path}
	b.must(connection.Open(b.t.Context()))
	b.t.Cleanup(func() { b.must(connection.Close()) })
	client, err := connection.Client()
	b.must(err)
	return connection, client
}

// post creates an object of its JSON.
func (b *bench) post(path, format string, values ...any) {
	b.t.Helper()
	answer, err := b.http.Post(b.host+path, "application/json", bytes.NewReader(fmt.Appendf(nil, format, values...)))
	b.must(err)
	text, err := io.ReadAll(answer.Body)
	b.must(err)
	b.must(answer.Body.Close())
	if answer.StatusCode >= 300 {
		b.t.Fatalf("POST %s: %s: %s", path, answer.Status, text)
	}
}

// deployment creates a namespace with a deployment, and waits until its pods are ready.
func (b *bench) deployment(namespace string, replicas int) {
	b.t.Helper()
	b.post("/api/v1/namespaces", `{"metadata":{"name":%q}}`, namespace)
	b.post("/apis/apps/v1/namespaces/"+namespace+"/deployments", `{"metadata":{"name":"checkout"},"spec":{"replicas":%d,"selector":{"matchLabels":{"app":"checkout"}},
		"template":{"metadata":{"labels":{"app":"checkout"}},"spec":{"containers":[{"name":"main","image":"example.invalid/app:1"}]}}}}`, replicas)
	b.eventually("the pods of "+namespace, func() bool { return len(b.pods(namespace, kube.Ready)) == replicas })
}

// pods lists those for which a test holds.
func (b *bench) pods(namespace string, is func(*corev1.Pod) bool) []corev1.Pod {
	b.t.Helper()
	var list corev1.PodList
	b.must(b.client.Get(b.t.Context(), kube.Pods.In(namespace, ""), &list))
	var found []corev1.Pod
	for _, pod := range list.Items {
		if pod.DeletionTimestamp == nil && is(&pod) {
			found = append(found, pod)
		}
	}
	return found
}

func (b *bench) eventually(what string, is func() bool) {
	b.t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if is() {
			return
		}
	}
	b.t.Fatalf("%s: never so", what)
}

// restart kills the API server and starts it again.
func (b *bench) restart() {
	b.t.Helper()
	b.must(b.cluster.Component("kube-apiserver", syscall.SIGKILL))
	b.must(b.cluster.StopComponent("kube-apiserver"))
	b.must(b.cluster.StartAPIServer(b.t.Context()))
}

// schedulable opens all nodes for new pods, or closes them.
func (b *bench) schedulable(open bool) {
	b.t.Helper()
	for _, node := range []string{"kwok-0", "kwok-1"} {
		b.must(b.client.Merge(b.t.Context(), kube.Nodes.In("", node), map[string]any{"spec": map[string]any{"unschedulable": !open}}, nil))
	}
	if open {
		return
	}
	// The scheduler hears of it a moment later: until then it places pods.
	for try := 0; ; try++ {
		name := fmt.Sprintf("canary-%d-%d", time.Now().UnixNano(), try)
		b.post("/api/v1/namespaces/default/pods", `{"metadata":{"name":%q},"spec":{"containers":[{"name":"main","image":"example.invalid/app:1"}]}}`, name)
		var pod corev1.Pod
		b.eventually("the scheduler's word on "+name, func() bool {
			b.must(b.client.Get(b.t.Context(), kube.Pods.In("default", name), &pod))
			return pod.Spec.NodeName != "" || slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool { return c.Reason == corev1.PodReasonUnschedulable })
		})
		b.must(b.client.Delete(b.t.Context(), kube.Pods.In("default", name), metav1.DeleteOptions{}))
		if pod.Spec.NodeName == "" {
			return
		}
	}
}

// grant makes a role of rights and binds it to a user.
func (b *bench) grant(user string, rights []kube.Right) {
	b.t.Helper()
	type rule struct {
		APIGroups []string `json:"apiGroups"`
		Resources []string `json:"resources"`
		Verbs     []string `json:"verbs"`
	}
	var rules []rule
	for _, right := range kube.Unite(rights) {
		resource := right.Resource.Name
		if right.Sub != "" {
			resource += "/" + right.Sub
		}
		rules = append(rules, rule{[]string{right.Resource.Group}, []string{resource}, []string{right.Verb}})
	}
	text, err := json.Marshal(rules)
	b.must(err)
	b.post("/apis/rbac.authorization.k8s.io/v1/clusterroles", `{"metadata":{"name":%q},"rules":%s}`, user, text)
	b.post("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", `{"metadata":{"name":%q},"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":%q},"subjects":[{"kind":"User","name":%q,"apiGroup":"rbac.authorization.k8s.io"}]}`, user, user, user)
}

// hits plans a fault.
func (b *bench) hits(fault experiments.Fault, run string) []experiments.Hit {
	b.t.Helper()
	random := rand.New(rand.NewPCG(7, 7))
	hits, err := fault.Plan(b.t.Context(), experiments.Draw{Run: run, Fault: "lost", Round: 1, Uniform: random.Float64})
	b.must(err)
	for i := range hits {
		hits[i].ID = fmt.Sprintf("lost/1/%s", hits[i].Target)
	}
	return hits
}

// following collects what is told of a hit.
type following struct {
	mu    sync.Mutex
	found []experiments.Finding
	over  chan struct{}
	err   error
}

func follow(ctx context.Context, f experiments.Follower, hit experiments.Hit) *following {
	injected, told := followRound(ctx, f, hit)
	injected <- hit
	close(injected)
	return told[0]
}

// followRound begins to follow a round: its hits are to be sent as they are injected.
func followRound(ctx context.Context, f experiments.Follower, hits ...experiments.Hit) (chan<- experiments.Hit, []*following) {
	injected, over := make(chan experiments.Hit, len(hits)), make(chan struct{})
	var told []*following
	by := map[string]*following{}
	for _, hit := range hits {
		by[hit.ID] = &following{over: over}
		told = append(told, by[hit.ID])
	}
	go func() {
		defer close(over)
		err := f.Follow(ctx, injected, func(hit string, finding experiments.Finding) {
			of := by[hit]
			of.mu.Lock()
			defer of.mu.Unlock()
			of.found = append(of.found, finding)
		})
		for _, of := range told {
			of.err = err
		}
	}()
	return injected, told
}

func (f *following) of(name string) (experiments.Finding, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, finding := range f.found {
		if finding.Name == name {
			return finding, true
		}
	}
	return experiments.Finding{}, false
}

func (f *following) all(t *testing.T) []experiments.Finding {
	t.Helper()
	select {
	case <-f.over:
	case <-time.After(time.Minute):
		f.mu.Lock()
		defer f.mu.Unlock()
		t.Fatalf("still following: %+v", f.found)
	}
	if f.err != nil {
		t.Fatal(f.err)
	}
	return f.found
}

func count(n int) Share { return Share{Count: &n} }

func inject(t *testing.T, fault experiments.Fault, hit experiments.Hit) experiments.Proof {
	t.Helper()
	proof, err := fault.Inject(t.Context(), hit)
	if err != nil {
		t.Fatal(err)
	}
	return proof
}

func TestFollowingARemovedPod(t *testing.T) {
	b := newBench(t, 2)
	b.deployment("watched", 4)
	b.deployment("polled", 4)
	b.deployment("expired", 4)

	// Each replacement is one hit's.
	replacements := func(t *testing.T, told []*following, hits []experiments.Hit) {
		t.Helper()
		taken := map[string]string{}
		for i, f := range told {
			names := map[string]bool{}
			for _, finding := range f.all(t) {
				names[finding.Name] = true
				if finding.After <= 0 {
					t.Errorf("%s: %+v has no time", hits[i].Target, finding)
				}
				if finding.Name == "replaced" {
					pod := strings.Fields(finding.Text)[1]
					if other := taken[pod]; other != "" {
						t.Errorf("pod %s replaces both %s and %s", pod, other, hits[i].Target)
					}
					taken[pod] = hits[i].Target
				}
			}
			if !names["replaced"] || !names["ready"] {
				t.Errorf("%s: told %+v", hits[i].Target, f.found)
			}
		}
	}
	t.Run("where no watch gets through", func(t *testing.T) {
		for name, watches := range map[string]http.HandlerFunc{
			"refused": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no streams here", http.StatusBadGateway) },
			"held":    func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		} {
			t.Run(name, func(t *testing.T) {
				fault := &PodKill{Pods: Pods{Scope: Scope{Kubernetes: behind(t, b.kubeconfig, func(w http.ResponseWriter, r *http.Request, pass http.Handler) {
					if r.URL.Query().Get("watch") == "true" {
						pass = watches
					}
					pass.ServeHTTP(w, r)
				}), Namespace: "watched"}, Share: count(1), Phase: "Running"}}
				hits := b.hits(fault, "behind-"+name)
				inject(t, fault, hits[0])
				replacements(t, []*following{follow(t.Context(), fault, hits[0])}, hits)
			})
		}
	})
	t.Run("two at once", func(t *testing.T) {
		fault := &PodKill{Pods: Pods{Scope: Scope{Kubernetes: b.connection, Namespace: "watched"}, Share: count(2), Phase: "Running"}}
		hits := b.hits(fault, "r1")
		var told []*following
		for _, hit := range hits {
			proof := inject(t, fault, hit)
			if !strings.Contains(proof.Seen, "UID ") || !strings.Contains(proof.Seen, "on node kwok-") {
				t.Errorf("the proof names no UID or node: %s", proof.Seen)
			}
			told = append(told, follow(t.Context(), fault, hit))
		}
		replacements(t, told, hits)
		for i, f := range told {
			event, there := f.of("event")
			if !there || event.Source != "Kubernetes event of default-scheduler" || !strings.Contains(event.Text, ": Scheduled: ") {
				t.Errorf("%s: the scheduler's event is not told: %+v", hits[i].Target, f.found)
			}
		}
		if n := len(fault.scenes); n != 1 {
			t.Errorf("%d scenes for one namespace", n)
		}
		for _, s := range fault.scenes {
			if s.polls || s.users != 0 || len(s.followed) != 0 {
				t.Errorf("polls %v, %d users, %d followed after the end", s.polls, s.users, len(s.followed))
			}
		}
		// The next round is followed anew, and takes no replacement of the first.
		again := b.hits(fault, "r2")
		injected, told := followRound(t.Context(), fault, again...)
		for _, hit := range again {
			inject(t, fault, hit)
			injected <- hit
		}
		select {
		case <-told[0].over:
			t.Error("it does not wait for further hits of the round")
		default:
		}
		close(injected)
		replacements(t, told, again)
	})
	t.Run("until the run is over", func(t *testing.T) {
		fault := &PodKill{Pods: Pods{Scope: Scope{Kubernetes: b.connection, Namespace: "watched"}, Share: count(2), Phase: "Running"}}
		b.schedulable(false) // no replacement is ever ready
		defer b.schedulable(true)
		ctx, end := context.WithCancel(t.Context())
		var told []*following
		for _, hit := range b.hits(fault, "r9") {
			inject(t, fault, hit)
			told = append(told, follow(ctx, fault, hit))
		}
		for _, one := range told {
			b.eventually("the replacement", func() bool { _, there := one.of("replaced"); return there })
		}
		end()
		for _, one := range told {
			one.all(t)
		}
		for _, s := range fault.scenes {
			if s.users != 0 || len(s.followed) != 0 || len(s.hits) != 0 {
				t.Errorf("%d users, %d followed, %d hits after the end", s.users, len(s.followed), len(s.hits))
			}
		}
	})
	t.Run("without the right to watch", func(t *testing.T) {
		fault := &PodEvict{Pods: Pods{Scope: Scope{Namespace: "polled"}, Share: count(2), Phase: "Running", MinReady: 1}}
		b.grant("least", fault.Rights())
		fault.Kubernetes, _ = b.as("least")
		hits := b.hits(fault, "r3")
		var told []*following
		for _, hit := range hits {
			inject(t, fault, hit)
			told = append(told, follow(t.Context(), fault, hit))
		}
		replacements(t, told, hits)
		for _, s := range fault.scenes {
			if !s.polls {
				t.Error("it watches without the right to")
			}
		}
	})
	t.Run("from a version that is too old", func(t *testing.T) {
		b.eventually("the pods are old", func() bool {
			return len(b.pods("expired", func(pod *corev1.Pod) bool { return time.Since(pod.CreationTimestamp.Time) > clocksApart+time.Second })) == 4
		})
		fault := &PodKill{Pods: Pods{Scope: Scope{Kubernetes: b.connection, Namespace: "expired"}, Share: count(2), Phase: "Running"}}
		hits := b.hits(fault, "r4")
		for _, hit := range hits {
			inject(t, fault, hit)
		}
		// An API server that has just begun knows nothing of what was before.
		b.restart()
		for _, s := range fault.scenes {
			s.from = "1"
			if _, err := kube.Watch(t.Context(), b.client, kube.Pods, "expired", "", "1", func(watch.EventType, runtime.Object) {}); !kube.Expired(err) {
				t.Fatalf("a watch from version 1: %v", err)
			}
		}
		var told []*following
		for _, hit := range hits {
			told = append(told, follow(t.Context(), fault, hit))
		}
		replacements(t, told, hits)
	})
	t.Run("a replacement that is hit itself", func(t *testing.T) {
		b.schedulable(false)
		fault := &PodKill{Pods: Pods{Scope: Scope{Kubernetes: b.connection, Namespace: "watched"}, Phase: "Running"}}
		first := b.hits(fault, "r5")[0]
		inject(t, fault, first)
		one := follow(t.Context(), fault, first)
		b.eventually("the replacement", func() bool { _, there := one.of("replaced"); return there })
		fault.Phase = "Pending"
		second := b.hits(fault, "r6")[0]
		inject(t, fault, second)
		two := follow(t.Context(), fault, second)
		b.eventually("the heir", func() bool { _, there := two.of("replaced"); return there })
		b.schedulable(true)
		found := two.all(t)
		if _, there := two.of("ready"); !there {
			t.Errorf("the second hit: %+v", found)
		}
		lost := one.all(t)
		if _, there := one.of("lost"); !there {
			t.Errorf("the first hit does not know that its replacement was hit: %+v", lost)
		}
		if _, there := one.of("ready"); there {
			t.Errorf("the first hit takes the second's replacement for its own: %+v", lost)
		}
	})
	t.Run("an API server that is restarted meanwhile", func(t *testing.T) {
		fault := &PodKill{Pods: Pods{Scope: Scope{Kubernetes: b.connection, Namespace: "watched"}, Share: count(2), Phase: "Running"}}
		hits := b.hits(fault, "r8")
		b.schedulable(false)
		var told []*following
		for _, hit := range hits {
			inject(t, fault, hit)
			told = append(told, follow(t.Context(), fault, hit))
		}
		b.eventually("the first replacement", func() bool { _, there := told[0].of("replaced"); return there })
		b.restart()
		b.schedulable(true)
		replacements(t, told, hits)
	})
	t.Run("an injection that fails waits for no replacement", func(t *testing.T) {
		fault := &PodKill{Pods: Pods{Scope: Scope{Kubernetes: b.connection, Namespace: "watched"}, Phase: "Running"}}
		hit := b.hits(fault, "r7")[0]
		inject(t, fault, hit)
		if _, err := fault.Inject(t.Context(), hit); err == nil {
			t.Fatal("a pod was killed twice")
		}
		for _, s := range fault.scenes {
			if len(s.followed) != 1 {
				t.Errorf("%d hits wait for a replacement", len(s.followed))
			}
		}
		replacements(t, []*following{follow(t.Context(), fault, hit)}, []experiments.Hit{hit})
	})
}

// staying is a scene with one hit on a pod that stays, without a cluster.
func staying(r record) (*scene, *pursuit) {
	r.Object = object{Resource: "pods", Kind: "pod", Version: "v1", Namespace: "shop", Name: "a", UID: "1"}
	s := new(scene)
	p := &pursuit{scene: s, r: r, began: time.Now(), told: map[string]bool{}}
	s.followed = []*pursuit{p}
	s.note("1", p)
	return s, p
}

// heard gives what would be told of a hit, once.
func heard(p *pursuit) []experiments.Finding {
	found := p.held
	p.held = nil
	return found
}

func names(findings []experiments.Finding) string {
	var list []string
	for _, finding := range findings {
		list = append(list, finding.Name)
	}
	return strings.Join(list, " ")
}

func TestFollowingAPodThatStays(t *testing.T) {
	pod := func(ready, marked bool, id string, restarts int32) *corev1.Pod {
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "a", Namespace: "shop", UID: "1"}, Spec: corev1.PodSpec{NodeName: "n", Containers: []corev1.Container{{Name: "main"}}}}
		pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionFalse}}
		if ready {
			pod.Status.Conditions[0].Status = corev1.ConditionTrue
		}
		if marked {
			pod.Annotations = map[string]string{HitAnnotation: "{}"}
		}
		pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "main", ContainerID: id, RestartCount: restarts, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}}
		return pod
	}
	broken := record{Edit: &edit{Path: []string{"spec", "containers"}}}
	killed := record{Pod: &podRecord{OwnerUID: "rs"}, Signal: &signalRecord{Container: "main", ID: "c1"}}
	for name, test := range map[string]struct {
		r    record
		seen []*corev1.Pod // nil: it was deleted
		want string
		over bool
	}{
		"an image that cannot be pulled, and is put back":  {broken, []*corev1.Pod{pod(true, true, "c1", 0), pod(false, true, "c1", 0), pod(false, false, "c1", 1), pod(true, false, "c2", 1)}, "unready ready", true},
		"an image whose container went on":                 {broken, []*corev1.Pod{pod(true, true, "c1", 0), pod(true, false, "c1", 0)}, "", true},
		"a change that is not seen yet":                    {broken, []*corev1.Pod{pod(true, false, "c1", 0)}, "", false},
		"a pod that is deleted meanwhile":                  {broken, []*corev1.Pod{pod(false, true, "c1", 0), nil}, "unready gone", true},
		"a container that is restarted":                    {killed, []*corev1.Pod{pod(true, false, "c1", 0), pod(false, false, "c2", 1), pod(true, false, "c2", 1)}, "restarted ready", true},
		"a container whose end is not seen yet":            {killed, []*corev1.Pod{pod(true, false, "c1", 0)}, "", false},
		"a container that is restarted and never is ready": {killed, []*corev1.Pod{pod(false, false, "c2", 1), pod(false, false, "c3", 2)}, "restarted", false},
	} {
		s, p := staying(test.r)
		for _, seen := range test.seen {
			if seen == nil {
				s.pod(t.Context(), watch.Deleted, pod(false, false, "", 0), false)
				continue
			}
			s.pod(t.Context(), watch.Modified, seen, false)
			s.pod(t.Context(), watch.Modified, seen, false) // a state may be told twice
		}
		if got := names(heard(p)); got != test.want || p.over != test.over {
			t.Errorf("%s: told %q, over %v; want %q, %v", name, got, p.over, test.want, test.over)
		}
	}
}

func TestFollowingTellsEachEventOnceAndNotTooMany(t *testing.T) {
	s, p := staying(record{Pod: &podRecord{OwnerUID: "rs"}})
	event := func(uid, reason string) *corev1.Event {
		return &corev1.Event{InvolvedObject: corev1.ObjectReference{Kind: "Pod", Name: "b", UID: types.UID(uid)}, Reason: reason, Message: "said\x1b[31m so", Source: corev1.EventSource{Component: "kubelet", Host: "n"}}
	}
	// What is told of a replacement may come before the replacement itself.
	s.event(t.Context(), event("2", "Scheduled"))
	s.event(t.Context(), event("9", "Elsewhere"))
	replacement := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "b", Namespace: "shop", UID: "2", OwnerReferences: []metav1.OwnerReference{{UID: "rs", Controller: new(true)}}}}
	s.pod(t.Context(), watch.Added, replacement, true)
	for i := range 3 * mostEvents {
		s.event(t.Context(), event("2", "Scheduled"))
		s.event(t.Context(), event("2", fmt.Sprint("Reason", i)))
	}
	found := heard(p)
	if got := names(found); got != "replaced"+strings.Repeat(" event", mostEvents) {
		t.Errorf("told %q", got)
	}
	if first := found[1]; first.Text != "pod b: Scheduled: said so" || first.Source != "Kubernetes event of kubelet on n" {
		t.Errorf("told %+v", first)
	}
	// A feed that was ended has no say any more.
	ended, end := context.WithCancel(t.Context())
	end()
	s.pod(ended, watch.Deleted, replacement, false)
	if found := heard(p); len(found) > 0 {
		t.Errorf("an ended feed told %+v", found)
	}
}
