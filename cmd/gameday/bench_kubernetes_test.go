package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/cluster"
	"github.com/gameday-sh/gameday/internal/kube"
)

// These benchmarks run the real program against a real control plane with simulated
// nodes. The raw limit of each is a bare HTTP/2 client that makes the fewest calls
// with which the same could be done at all.

// targetsAtOnce is how many targets the runner breaks, or mends, at once.
const targetsAtOnce = 32

// benchBed is a control plane of a benchmark's own.
type benchBed struct {
	b      *testing.B
	config *rest.Config
	http   *http.Client
	client *kube.Client
	path   string // of the kubeconfig
	door   *httptest.Server
	fails  atomic.Bool // the door
}

func newBenchBed(b *testing.B, nodes int) *benchBed {
	b.Helper()
	plane, err := cluster.ControlPlane(b.Context(), cluster.Options{Dir: filepath.Join(b.TempDir(), "plane"), Bound: true, Nodes: nodes, Progress: os.Stderr})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := plane.Stop(); err != nil {
			b.Error(err)
		}
	})
	bed := &benchBed{b: b, path: plane.Kubeconfig}
	if bed.config, err = clientcmd.BuildConfigFromFlags("", plane.Kubeconfig); err != nil {
		b.Fatal(err)
	}
	if bed.http, err = rest.HTTPClientFor(bed.config); err != nil {
		b.Fatal(err)
	}
	connection := &kube.Kubernetes{Kubeconfig: plane.Kubeconfig, Timeout: time.Minute}
	if err := connection.Open(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = connection.Close() }) // the plane has gone by then
	if bed.client, err = connection.Client(); err != nil {
		b.Fatal(err)
	}
	bed.door = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if bed.fails.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	b.Cleanup(bed.door.Close)
	return bed
}

// call is the bare client: one request, its answer read to the end.
func (bed *benchBed) call(method, path, contentType string, body []byte) ([]byte, error) {
	request, err := http.NewRequestWithContext(bed.b.Context(), method, bed.config.Host+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	answer, err := bed.http.Do(request)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(answer.Body)
	if err = errors.Join(err, answer.Body.Close()); err != nil {
		return nil, err
	}
	if answer.StatusCode > 299 {
		return nil, fmt.Errorf("%s %s: %s: %s", method, path, answer.Status, text)
	}
	return text, nil
}

// protobuf reads a path in the encoding that the runner uses, without its envelope.
func (bed *benchBed) protobuf(path string) ([]byte, error) {
	request, err := http.NewRequestWithContext(bed.b.Context(), http.MethodGet, bed.config.Host+path, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", runtime.ContentTypeProtobuf)
	answer, err := bed.http.Do(request)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(answer.Body)
	if err = errors.Join(err, answer.Body.Close()); err != nil || answer.StatusCode > 299 {
		return nil, fmt.Errorf("GET %s: %s (%w)", path, answer.Status, err)
	}
	var unknown runtime.Unknown
	if err := unknown.Unmarshal(bytes.TrimPrefix(text, []byte("k8s\x00"))); err != nil {
		return nil, err
	}
	return unknown.Raw, nil
}

// abreast calls do for 0 to count-1 by so many workers.
func (bed *benchBed) abreast(workers, count int, do func(i int) error) {
	bed.b.Helper()
	var next atomic.Int64
	problems := make([]error, workers)
	var group sync.WaitGroup
	for w := range workers {
		group.Go(func() {
			for problems[w] == nil {
				i := int(next.Add(1)) - 1
				if i >= count {
					return
				}
				problems[w] = do(i)
			}
		})
	}
	group.Wait()
	if err := errors.Join(problems...); err != nil {
		bed.b.Fatal(err)
	}
}

func (bed *benchBed) namespace(name string) {
	bed.b.Helper()
	space := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if err := bed.client.Create(bed.b.Context(), kube.Namespaces.In("", name), space, nil); err != nil {
		bed.b.Fatal(err)
	}
}

// deploy creates a Deployment; its pods may take a second to end, as most do.
func (bed *benchBed) deploy(namespace, name string, replicas int32) {
	bed.b.Helper()
	labels, grace := map[string]string{"app": name}, int64(1)
	d := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec:       corev1.PodSpec{TerminationGracePeriodSeconds: &grace, Containers: []corev1.Container{{Name: "shop", Image: "shop:1"}}},
			},
		},
	}
	if err := bed.client.Create(bed.b.Context(), kube.Deployments.In(namespace, name), d, nil); err != nil {
		bed.b.Fatal(err)
	}
	bed.settled(namespace, name, replicas)
}

// settled waits until all pods of a Deployment are ready and no other is left, and the
// cluster has nothing more to do with them.
func (bed *benchBed) settled(namespace, name string, replicas int32) {
	bed.b.Helper()
	for deadline := time.Now().Add(5 * time.Minute); ; time.Sleep(200 * time.Millisecond) {
		var d appsv1.Deployment
		if err := bed.client.Get(bed.b.Context(), kube.Deployments.In(namespace, name), &d); err != nil {
			bed.b.Fatal(err)
		}
		if d.Status.ReadyReplicas == replicas && d.Status.Replicas == replicas && d.Status.ObservedGeneration == d.Generation &&
			len(bed.pods(namespace, "app="+name)) == int(replicas) {
			time.Sleep(time.Second)
			return
		}
		if time.Now().After(deadline) {
			bed.b.Fatalf("waited in vain for %d pods: %+v", replicas, d.Status)
		}
	}
}

func (bed *benchBed) pods(namespace, selector string) []metav1.ObjectMeta {
	bed.b.Helper()
	list, err := bed.client.Metadata(bed.b.Context(), kube.Pods, namespace, selector, 100_000)
	if err != nil {
		bed.b.Fatal(err)
	}
	return list
}

// scenario writes a scenario file with a probe of the door.
func (bed *benchBed) scenario(faults string) string {
	bed.b.Helper()
	path := filepath.Join(bed.b.TempDir(), "bench.hcl")
	text := fmt.Sprintf(`
kubernetes { kubeconfig = %q }
probe "http" "door" {
  url   = %q
  every = "100ms"
}
scenario "bench" {
  seed = 1
  hypothesis "the door answers" {
    probe          = probe.door
    hold           = "0s"
    recover_within = "5s"
  }
  guard "threshold" "the-door-fails" {
    probe    = probe.door
    failures = true
    samples  = 1
  }
%s
}
`, bed.path, bed.door.URL, faults)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		bed.b.Fatal(err)
	}
	return path
}

// run carries a scenario out and shows its events to watch; it gives the result.
func (bed *benchBed) run(path string, code int, watch func(experiments.Event)) *experiments.Result {
	bed.b.Helper()
	state := bed.b.TempDir()
	command := exec.Command(program(bed.b, "gameday"), "run", "--json", path)
	command.Env = append(os.Environ(), "GAMEDAY_STATE="+state)
	var stderr bytes.Buffer
	command.Stderr = &stderr
	events, err := command.StdoutPipe()
	if err == nil {
		err = command.Start()
	}
	if err != nil {
		bed.b.Fatal(err)
	}
	run := ""
	lines := bufio.NewScanner(events)
	lines.Buffer(nil, 4<<20)
	for lines.Scan() {
		var event experiments.Event
		if err := json.Unmarshal(lines.Bytes(), &event); err != nil {
			bed.b.Fatalf("%v in %q", err, lines.Text())
		}
		if event.Begin != nil {
			run = event.Begin.Run
		}
		watch(event)
	}
	err = errors.Join(lines.Err(), command.Wait())
	got := command.ProcessState.ExitCode()
	result, reading := loadResult(filepath.Join(state, "runs", run, reportNames["json"]))
	if reading != nil {
		bed.b.Fatalf("gameday exited with %d: %v\n%s", got, errors.Join(err, reading), &stderr)
	}
	if got != code {
		bed.b.Fatalf("gameday exited with %d, want %d: %s", got, code, result.Reason)
	}
	return result
}

// quietly carries a scenario out that must hold, and gives the result.
func (bed *benchBed) quietly(path string) *experiments.Result {
	bed.b.Helper()
	state := bed.b.TempDir()
	command := exec.Command(program(bed.b, "gameday"), "run", "--plain", "--state", state, path)
	var said bytes.Buffer // it tells why it did not hold
	command.Stdout, command.Stderr = &said, &said
	if err := command.Run(); err != nil {
		text := said.String()
		bed.b.Fatalf("%v\n%s", err, text[max(0, len(text)-4000):])
	}
	found, err := filepath.Glob(filepath.Join(state, "runs", "*", reportNames["json"]))
	if err != nil || len(found) != 1 {
		bed.b.Fatalf("results: %v, %v", found, err)
	}
	result, err := loadResult(found[0])
	if err != nil {
		bed.b.Fatal(err)
	}
	return result
}

// BenchmarkPodKills kills 500 of 600 pods of a Deployment: from the intent to kill the
// first to the proof that the last is going, as the result says it. The raw limit is a
// loop of deletions alone, by as many workers, that reads no pod.
func BenchmarkPodKills(b *testing.B) {
	const pods, kills, rounds, workers = 600, 500, 9, targetsAtOnce
	bed := newBenchBed(b, 8)
	bed.namespace("shop")
	bed.deploy("shop", "shop", pods)
	path := bed.scenario(fmt.Sprintf(`
  fault "pod_kill" "kill" {
    namespace = "shop"
    selector  = "app=shop"
    count     = %d
    min_ready = 0
  }
`, kills))
	bare := func() float64 {
		list := bed.pods("shop", "app=shop")
		took := timed(b, func() error {
			bed.abreast(workers, kills, func(i int) error {
				body := fmt.Appendf(nil, `{"apiVersion":"v1","kind":"DeleteOptions","preconditions":{"uid":%q}}`, list[i].UID)
				_, err := bed.call(http.MethodDelete, "/api/v1/namespaces/shop/pods/"+list[i].Name, "application/json", body)
				return err
			})
			return nil
		})
		bed.settled("shop", "shop", pods)
		return kills / took.Seconds()
	}
	gameday := func() float64 {
		result := bed.quietly(path)
		var first, last time.Time
		for _, hit := range result.Hits {
			for _, step := range hit.Steps {
				if step.Step == experiments.Intended && (first.IsZero() || step.At.Before(first)) {
					first = step.At
				}
			}
			if hit.Injected.After(last) {
				last = hit.Injected
			}
		}
		if len(result.Hits) != kills || last.IsZero() {
			b.Fatalf("%d hits", len(result.Hits))
		}
		bed.settled("shop", "shop", pods)
		return kills / last.Sub(first).Seconds()
	}
	var ours, raw, slower []float64
	for b.Loop() {
		for round := range rounds {
			var o, r float64
			if round%2 == 0 { // whoever comes second finds the cluster as the other left it
				r, o = bare(), gameday()
			} else {
				o, r = gameday(), bare()
			}
			ours, raw, slower = append(ours, o), append(raw, r), append(slower, r/o)
		}
	}
	show(b,
		figure{"pods killed a second p50", "/s", quantile(ours, 0.5), quantile(raw, 0.5), 0},
		// At least 90% of the loop's pods a second: no more than 1/0.9 of its time. Of the
		// rounds side by side, as the machine is not equally fast all the time.
		figure{"time for a pod beside the loop's p50", "x", quantile(slower, 0.5), 1, 1 / 0.9},
	)
}

// BenchmarkPlanAmongPods plans to kill 10 of 5,000 pods, and of 20,000. The raw limit
// lists as many pods in pages, in the same encoding, and drops them.
func BenchmarkPlanAmongPods(b *testing.B) {
	const nodes = 40
	bed := newBenchBed(b, nodes)
	bed.namespace("crowd")
	path := bed.scenario(`
  fault "pod_kill" "kill" {
    namespace = "crowd"
    selector  = "app=crowd"
    count     = 10
    min_ready = 0
  }
`)
	made := 0
	// Bare pods with a node already: what a scheduler would do takes most of the time.
	crowd := func(count int) {
		bed.abreast(32, count-made, func(i int) error {
			n := made + i
			pod := fmt.Appendf(nil, `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"crowd-%06d","labels":{"app":"crowd","tier":"web"},"annotations":{"team":"checkout"}},
				"spec":{"nodeName":"kwok-%d","containers":[{"name":"shop","image":"shop:1","env":[{"name":"REGION","value":"eu"}],"resources":{"requests":{"cpu":"10m"}}}]}}`, n, n%nodes)
			_, err := bed.call(http.MethodPost, "/api/v1/namespaces/crowd/pods", "application/json", pod)
			return err
		})
		made = count
		for deadline := time.Now().Add(20 * time.Minute); ; time.Sleep(time.Second) {
			text, err := bed.call(http.MethodGet, "/api/v1/namespaces/crowd/pods?limit=1&fieldSelector=status.phase!=Running", "", nil)
			if err != nil {
				b.Fatal(err)
			}
			var list struct{ Items []any }
			if err := json.Unmarshal(text, &list); err != nil {
				b.Fatal(err)
			}
			if len(list.Items) == 0 {
				return
			}
			if time.Now().After(deadline) {
				b.Fatal("the pods do not come to run")
			}
		}
	}
	measure := func() (wall, raw time.Duration, peak float64) {
		var walls, raws []time.Duration
		var peaks []float64
		for range 5 {
			u := metered(b, b.TempDir(), "plan", path)
			walls, peaks = append(walls, u.Wall), append(peaks, float64(u.Peak)/1024)
			raws = append(raws, timed(b, func() error {
				for next := ""; ; {
					var page corev1.PodList
					text, err := bed.protobuf("/api/v1/namespaces/crowd/pods?limit=500&labelSelector=app%3Dcrowd&continue=" + url.QueryEscape(next))
					if err != nil {
						return err
					}
					if err := page.Unmarshal(text); err != nil {
						return err
					}
					if next = page.Continue; next == "" {
						return nil
					}
				}
			}))
		}
		return quantile(walls, 0.5), quantile(raws, 0.5), quantile(peaks, 1)
	}
	for b.Loop() {
		crowd(5000)
		wall, raw, peak := measure()
		crowd(20_000)
		wallMore, rawMore, peakMore := measure()
		show(b,
			figure{"10 of 5,000 pods planned p50", "ms", milliseconds(wall), milliseconds(raw), 1000},
			figure{"its peak memory", "MB", peak, 0, 60},
			figure{"10 of 20,000 pods planned p50", "ms", milliseconds(wallMore), milliseconds(rawMore), 0},
			figure{"its peak memory beyond that of 5,000", "MB", max(peakMore-peak, 0.01), 0, 10},
		)
	}
}

// BenchmarkAbortKubernetes has 50 live hits on a cluster, 48 pods that fail, a cordon
// and a partition, lets what a probe measures fail, and takes the time until the last
// is proven mended. The raw limit changes 50 pods and reads each, with as many workers.
func BenchmarkAbortKubernetes(b *testing.B) {
	const rounds, live = 20, 50
	bed := newBenchBed(b, 8)
	bed.namespace("shop")
	bed.deploy("shop", "shop", 60)
	path := bed.scenario(`
  fault "pod_failure" "fail" {
    namespace = "shop"
    selector  = "app=shop"
    count     = 48
    min_ready = 0
    duration  = "5m"
  }
  fault "node_cordon" "cordon" {
    node     = "kwok-0"
    duration = "5m"
  }
  fault "network_partition" "cut" {
    namespace = "shop"
    selector  = "app=shop"
    duration  = "5m"
  }
`)
	var ours, raw []time.Duration
	for b.Loop() {
		for range rounds {
			injected := 0
			result := bed.run(path, experiments.Aborted.ExitCode(), func(event experiments.Event) {
				switch {
				case event.Hit != nil && event.Hit.Step == experiments.Injected:
					if injected++; injected == live {
						time.Sleep(200*time.Millisecond + rand.N(100*time.Millisecond))
						bed.fails.Store(true)
					}
				case event.Type == experiments.EventPhase && event.Phase == experiments.PhaseRecover:
					bed.fails.Store(false)
				}
			})
			bed.fails.Store(false)
			if result.Stop == nil || result.Stop.Restored.IsZero() || len(result.Hits) != live || len(result.Left) > 0 {
				b.Fatalf("%d hits, stop %+v, left %v", len(result.Hits), result.Stop, result.Left)
			}
			ours = append(ours, result.Stop.Took())
			list := bed.pods("shop", "app=shop")
			raw = append(raw, timed(b, func() error {
				bed.abreast(targetsAtOnce, live, func(i int) error {
					at := "/api/v1/namespaces/shop/pods/" + list[i].Name
					if _, err := bed.call(http.MethodPatch, at, "application/json-patch+json", fmt.Appendf(nil, `[{"op":"add","path":"/metadata/labels/bench","value":"%d"}]`, len(raw))); err != nil {
						return err
					}
					_, err := bed.call(http.MethodGet, at, "", nil)
					return err
				})
				return nil
			}))
		}
	}
	ms := func(samples []time.Duration, q float64) float64 { return milliseconds(quantile(samples, q)) }
	show(b,
		figure{"breach to 50 hits verified whole p50", "ms", ms(ours, 0.5), ms(raw, 0.5), 0},
		figure{"breach to 50 hits verified whole p99", "ms", ms(ours, 0.99), ms(raw, 0.99), 2000},
	)
}

// BenchmarkKilledRunner kills the runner with SIGKILL at 20 random instants while a
// partition, a scale and a cordon are coming on or are on, and takes the time until the
// cluster bears no mark and is as before, and no process of gameday is left. The raw
// limit is the time the fuse may take.
func BenchmarkKilledRunner(b *testing.B) {
	const rounds, fuse = 20, 15 * time.Second
	bed := newBenchBed(b, 4)
	bed.namespace("shop")
	bed.deploy("shop", "shop", 4)
	path := bed.scenario(fmt.Sprintf(`
  fault "deployment_scale" "scale" {
    namespace = "shop"
    workload  = "deployment/shop"
    replicas  = 1
    duration  = "5m"
  }
  fault "node_cordon" "cordon" {
    node     = "kwok-0"
    duration = "5m"
  }
  fault "network_partition" "cut" {
    namespace = "shop"
    selector  = "app=shop"
    fuse      = "%s"
    duration  = "5m"
  }
`, fuse))
	var took []time.Duration
	harmed := 0
	for b.Loop() {
		for range rounds {
			home := b.TempDir()
			command := exec.Command(program(b, "gameday"), "run", "--json", "--state", home, path)
			events, err := command.StdoutPipe()
			if err == nil {
				err = command.Start()
			}
			if err != nil {
				b.Fatal(err)
			}
			lines := bufio.NewReader(events)
			for {
				line, err := lines.ReadString('\n')
				if err != nil {
					b.Fatalf("it ended before anything was broken: %v", err)
				}
				if strings.Contains(line, `"step":"intended"`) {
					break
				}
			}
			time.Sleep(rand.N(3 * time.Second))
			if err := command.Process.Signal(syscall.SIGKILL); err != nil {
				b.Fatal(err)
			}
			died := time.Now()
			if bed.broken() != "" {
				harmed++
			}
			_, _ = io.Copy(io.Discard, lines) // until the end of the pipe
			_ = command.Wait()                // it was killed
			for what := bed.broken(); what != "" || watchdogsOf(b, home) > 0; what = bed.broken() {
				if time.Since(died) > fuse+time.Minute {
					b.Fatalf("still broken: %s", what)
				}
				time.Sleep(10 * time.Millisecond)
			}
			took = append(took, time.Since(died))
			bed.settled("shop", "shop", 4)
		}
	}
	if harmed < rounds/2 {
		b.Errorf("only %d of %d runs had broken anything", harmed, rounds)
	}
	show(b,
		figure{"killed to whole and no process left p50", "ms", milliseconds(quantile(took, 0.5)), milliseconds(fuse), 0},
		figure{"killed to whole and no process left, worst", "ms", milliseconds(quantile(took, 1)), milliseconds(fuse), milliseconds(fuse + 5*time.Second)},
	)
}

// broken says what of the three faults is there; empty if all is whole.
func (bed *benchBed) broken() string {
	bed.b.Helper()
	ctx := context.WithoutCancel(bed.b.Context())
	var d appsv1.Deployment
	var n corev1.Node
	if err := errors.Join(bed.client.Get(ctx, kube.Deployments.In("shop", "shop"), &d), bed.client.Get(ctx, kube.Nodes.In("", "kwok-0"), &n)); err != nil {
		bed.b.Fatal(err)
	}
	policies, err := bed.client.Metadata(ctx, kube.NetworkPolicies, "shop", "", 100)
	if err != nil {
		bed.b.Fatal(err)
	}
	switch {
	case *d.Spec.Replicas != 4:
		return "the deployment"
	case n.Spec.Unschedulable:
		return "the node"
	case len(policies) > 0:
		return "the policy"
	case len(d.Labels)+len(n.Annotations["gameday.sh/hit"]) > 0:
		return "a mark"
	}
	return ""
}

// watchdogsOf counts the processes of gameday that name a state folder.
func watchdogsOf(b *testing.B, home string) int {
	b.Helper()
	found, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		b.Fatal(err)
	}
	count := 0
	for _, path := range found {
		text, err := os.ReadFile(path)
		if err == nil && bytes.Contains(text, []byte("--state\x00"+home+"\x00")) {
			count++
		}
	}
	return count
}
