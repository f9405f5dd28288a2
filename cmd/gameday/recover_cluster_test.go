package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gameday-sh/gameday/faults/kubernetes"
	"github.com/gameday-sh/gameday/internal/kube"
)

// sixFaults leaves a mark of every sort on a cluster. The fuses burn for longer than
// any test takes.
const sixFaults = `
kubernetes { kubeconfig = "%KUBECONFIG%" }

probe "http" "front" {
  url   = "%FRONT%"
  every = "200ms"
}
scenario "six" {
  seed = 1
  hypothesis "the front door answers" {
    probe = probe.front
    hold  = "0s"
  }
  fault "deployment_scale" "scale" {
    namespace = "%NS%"
    workload  = "deployment/shop"
    replicas  = 1
    duration  = "10m"
  }
  fault "pod_failure" "fail" {
    namespace = "%NS%"
    selector  = "app=stock"
    count     = 2
    duration  = "10m"
  }
  fault "node_cordon" "cordon" {
    node     = "%NODE1%"
    duration = "10m"
  }
  fault "node_taint" "taint" {
    node     = "%NODE2%"
    duration = "10m"
  }
  fault "network_partition" "cut" {
    namespace = "%NS%"
    selector  = "app=shop"
    fuse      = "10m"
    duration  = "10m"
  }
  fault "resource_quota" "starve" {
    namespace = "%NS%"
    fuse      = "10m"
    duration  = "10m"
  }
}
`

// sixHits is how many hits sixFaults makes.
const sixHits = 7

// brokenWorld has all six faults on.
type brokenWorld struct {
	*clusterWorld
	nodes    []string
	before   string
	scenario string
	run      *process
	home     string
}

func newBrokenWorld(t *testing.T) *brokenWorld {
	t.Helper()
	w := &brokenWorld{clusterWorld: newClusterWorld(t), home: filepath.Join(t.TempDir(), "state")}
	w.nodes = []string{w.node(), w.node()}
	w.deploy("shop", 3)
	w.deploy("stock", 3)
	w.before = w.snapshot(w.nodes...)
	w.scenario = w.clusterWorld.scenario(sixFaults, "%NODE1%", w.nodes[0], "%NODE2%", w.nodes[1])
	w.run = gameday(t, w.home, "run", w.scenario)
	poll(t, func() string { return "seven hits in:\n" + w.run.said.String() }, func() bool {
		return strings.Count(w.run.said.String(), " injected: ") == sixHits
	})
	if marks := w.marks(w.nodes...); len(marks) != sixHits+2 { // two have fuses that bear it too
		t.Fatalf("marked: %v", marks)
	}
	return w
}

// dies ends the runner and its watchdog, as a machine that loses its power does.
func (w *brokenWorld) dies(t *testing.T) {
	t.Helper()
	watchdog := watchdogOf(t, w.home)
	stopped(t, w.run.cmd.Process.Pid) // or it would mend when it sees the watchdog go
	if err := syscall.Kill(watchdog, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	poll(t, text("the watchdog's end"), func() bool { return watchdogs(t, w.home) == 0 })
	w.run.signal(syscall.SIGKILL)
	if code := w.run.wait(10 * time.Second); code != -1 {
		t.Fatalf("it ended with %d before it was killed:\n%s", code, w.run.said.String())
	}
	if err := os.RemoveAll(w.home); err != nil {
		t.Fatal(err)
	}
}

func (w *brokenWorld) whole(t *testing.T) {
	t.Helper()
	w.ready("shop", 3)
	if marks := w.marks(w.nodes...); len(marks) > 0 {
		t.Errorf("still marked: %v", marks)
	}
	if now := w.snapshot(w.nodes...); now != w.before {
		t.Fatalf("the world was\n%s\nand is\n%s", w.before, now)
	}
	// A Deployment's annotations are copied to its replica sets by the cluster.
	sets, err := w.client.Metadata(t.Context(), kube.ReplicaSets, w.namespace, "", 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, set := range sets {
		if _, marked := set.Annotations[kubernetes.HitAnnotation]; marked {
			t.Errorf("replica set %s still bears a copy of the deployment's mark", set.Name)
		}
	}
}

// lease reads the lease of the namespace; nil if there is none.
func (w *clusterWorld) lease(t *testing.T, namespace, name string) *coordinationv1.Lease {
	t.Helper()
	var lease coordinationv1.Lease
	err := w.client.Get(t.Context(), kube.Leases.In(namespace, name), &lease)
	if kube.NotFound(err) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	return &lease
}

// age lets a lease look as if it had been renewed that long ago.
func (w *clusterWorld) age(t *testing.T, namespace, name string, by time.Duration) {
	t.Helper()
	for {
		lease := w.lease(t, namespace, name)
		renewed := metav1.NewMicroTime(time.Now().Add(-by))
		lease.Spec.RenewTime = &renewed
		err := w.client.Update(t.Context(), kube.Leases.In(namespace, name), lease)
		if err == nil {
			return
		}
		if !kube.Conflict(err) {
			t.Fatal(err)
		}
	}
}

func TestWhatARunLeftOnAClusterIsMendedFromAnotherMachineWithoutAJournal(t *testing.T) {
	t.Parallel()
	w := newBrokenWorld(t)
	w.dies(t)
	home, kubeconfig := w.elsewhere()
	recoverCluster := func(flags ...string) *process {
		return gameday(t, home, append([]string{"recover", "--cluster", "--kubeconfig", kubeconfig, "--namespace", w.namespace}, flags...)...)
	}
	broken := w.snapshot(w.nodes...)

	// As long as its lease runs, the run may be alive: nothing is touched.
	recoverCluster().ends(time.Minute, 6, "SKIPPED", "it renewed its lease "+w.namespace+"/gameday", "5 things are left")
	if w.snapshot(w.nodes...) != broken {
		t.Fatal("a run that may be alive was mended")
	}
	w.age(t, w.namespace, "gameday", time.Minute)
	for _, node := range w.nodes {
		w.age(t, "default", "gameday-node-"+node, time.Minute)
	}
	recoverCluster("--dry-run").ends(time.Minute, 6, "watching for 6s", "would mend  deployment "+w.namespace+"/shop: scale back to 3", "would give back 1 lease", "nothing was changed")
	if w.snapshot(w.nodes...) != broken {
		t.Fatal("a dry run changed something")
	}
	// Of one namespace, no node is looked at.
	recoverCluster().ends(time.Minute, 0, "5 hits to mend", "mended  deployment "+w.namespace+"/shop", "mended  network policy ", "gave back 1 lease")
	if marks := w.marks(w.nodes...); len(marks) != 2 {
		t.Fatalf("marked: %v, want the nodes", marks)
	}
	everywhere := []string{"recover", "--cluster", "--kubeconfig", kubeconfig, "--force"}
	run := strings.TrimSpace(w.runOf(t, kube.Nodes.In("", w.nodes[0])))
	gameday(t, home, append(everywhere, run)...).ends(time.Minute, 0, "2 hits to mend", "mended  node "+w.nodes[0], "gave back 2 leases")
	w.whole(t)
	if w.lease(t, w.namespace, "gameday") != nil || w.lease(t, "default", "gameday-node-"+w.nodes[0]) != nil {
		t.Error("a lease is left")
	}
	gameday(t, home, append(everywhere, run)...).ends(time.Minute, 0, "nothing to recover")
	recoverCluster().ends(time.Minute, 0, "nothing to recover")
	w.whole(t)
}

// What looks after a cluster from elsewhere needs an account too: its roles are enough,
// and one right less does not pass for a cluster without leftovers.
func TestThePrintedRolesAreEnoughToRecoverFromElsewhere(t *testing.T) {
	w := newBrokenWorld(t)
	w.dies(t)
	run := w.runOf(t, kube.Nodes.In("", w.nodes[0]))
	p := gameday(t, t.TempDir(), "rbac", "--recover", "--service-account", "mender", "--namespace", w.namespace, "--name", w.namespace, w.scenario)
	p.ends(time.Minute, 0, "They are enough, too, for: gameday recover --cluster\n", "to find what runs left: gameday recover --cluster")
	roles := p.said.String()
	w.apply(t, roles)
	mender := w.token(t, w.namespace, "mender")
	client := dial(t, mender)
	look := func() *process {
		return gameday(t, t.TempDir(), "recover", "--cluster", "--kubeconfig", mender, "--force", "--dry-run", run)
	}
	everything := kubernetes.RecoverRights("")
	poll(t, text("the printed roles"), func() bool { return client.Allowed(t.Context(), everything) == nil })
	look().ends(time.Minute, 6, "7 hits to mend", "would give back 3 leases", "nothing was changed")

	lists := 0
	without(t, manifests(t, roles), func(missing string, less []document, right kube.Right) {
		if right.Verb != "list" || !slices.ContainsFunc(everything, func(r kube.Right) bool {
			return r.Verb == right.Verb && r.Resource.Name == right.Resource.Name && r.Resource.Group == right.Resource.Group && r.Namespace == right.Namespace
		}) {
			return
		}
		lists++
		w.apply(t, render(t, less...))
		poll(t, text("the cluster to know that a right is gone: "+missing), func() bool { return client.Allowed(t.Context(), []kube.Right{right}) != nil })
		look().ends(time.Minute, 6, "could not look everywhere: read .*forbidden")
	})
	if lists != 9 {
		t.Errorf("%d rights to list were taken away, want those of nine sorts", lists)
	}
	w.apply(t, roles)
	poll(t, text("the rights to be back"), func() bool { return client.Allowed(t.Context(), everything) == nil })
	gameday(t, t.TempDir(), "recover", "--cluster", "--kubeconfig", mender, "--force", run).ends(time.Minute, 0, "7 hits to mend", "gave back 3 leases")
	w.whole(t)
}

func (w *clusterWorld) runOf(t *testing.T, ref kube.Ref) string {
	t.Helper()
	thing, err := w.client.Raw(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	return thing.Text("metadata", "labels", kubernetes.RunLabel)
}

// A machine whose clock is minutes ahead takes every lease for one that has run out.
func TestARunThatGoesOnIsLeftAloneThoughItsClockIsAnother(t *testing.T) {
	t.Parallel()
	w := newBrokenWorld(t)
	home, kubeconfig := w.elsewhere()
	w.age(t, w.namespace, "gameday", 5*time.Minute)
	broken := w.snapshot(w.nodes...)
	gameday(t, home, "recover", "--cluster", "--kubeconfig", kubeconfig, "--namespace", w.namespace).ends(time.Minute, 6, "SKIPPED, as the run still goes on: it renewed its lease")
	if w.snapshot(w.nodes...) != broken {
		t.Fatal("a run that goes on was mended")
	}
	w.run.signal(syscall.SIGTERM)
	w.run.ends(time.Minute, 3)
	w.whole(t)
}

// forge puts a mark on an object, as anybody could who may annotate it.
func (w *clusterWorld) forge(t *testing.T, ref kube.Ref, run, annotation string) {
	t.Helper()
	change := map[string]any{"metadata": map[string]any{"labels": map[string]any{kubernetes.RunLabel: run}, "annotations": map[string]any{kubernetes.HitAnnotation: annotation}}}
	if err := w.client.Merge(t.Context(), ref, change, nil); err != nil {
		t.Fatal(err)
	}
}

func TestMarksThatWereForgedDoNoHarm(t *testing.T) {
	t.Parallel()
	w := newClusterWorld(t)
	w.deploy("shop", 2)
	w.deploy("other", 2)
	proof := filepath.Join(t.TempDir(), "proof")
	shop, other := kube.Deployments.In(w.namespace, "shop"), kube.Deployments.In(w.namespace, "other")
	uid := func(ref kube.Ref) string {
		thing, err := w.client.Raw(t.Context(), ref)
		if err != nil {
			t.Fatal(err)
		}
		return thing.Text("metadata", "uid")
	}
	object := func(ref kube.Ref) map[string]any {
		o := map[string]any{"group": ref.Group, "version": ref.Version, "resource": ref.Resource.Name, "kind": ref.Kind, "name": ref.Name, "uid": uid(ref)}
		if ref.Namespace != "" {
			o["namespace"] = ref.Namespace
		}
		return o
	}
	reach := map[string]any{"kubeconfig": []string{"/nowhere"}, "server": "https://evil.invalid", "timeout_ns": 1}
	hit := func(kind string, spec any) string {
		text, err := json.Marshal(map[string]any{"id": "x/1/y", "fault": "x", "kind": kind, "round": 1, "target": "\x1b[2Jnothing to see", "effect": "\x1b[31mred", "undo": "a\nb", "spec": spec})
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	scale := func(ref kube.Ref, from, to any, path ...string) map[string]any {
		return map[string]any{"reach": reach, "run": "r-1", "key": "0123456789abcdef", "object": object(ref), "edit": map[string]any{"path": path, "from": from, "to": to}}
	}
	for _, test := range []struct{ name, annotation, says string }{
		{"a command", hit("exec", map[string]any{
			"inject": map[string]any{"argv": []string{"true"}}, "revert": map[string]any{"path": "/usr/bin/touch", "argv": []string{"touch", proof}},
			"run": "r-1", "key": "0123456789abcdef", "object": object(shop)}), "hit by exec, which marks no object of a cluster"},
		{"an unknown kind", hit("\x1b[2Jcoup", nil), `knows no fault of kind "coup"|holds no record of a hit`},
		{"a kind that marks nothing", hit("pod_kill", scale(shop, 0, 2, "spec", "replicas")), "hit by pod_kill, which marks no object"},
		{"another object", hit("deployment_scale", scale(other, 0, 2, "spec", "replicas")), "is about another object, deployment " + w.namespace + "/other"},
		{"an object of the same name that was made anew", strings.Replace(hit("deployment_scale", scale(shop, 0, 2, "spec", "replicas")), uid(shop), "00000000-0000-0000-0000-000000000000", 1), "is about another object"},
		{"another field", hit("deployment_scale", scale(shop, 0, "Always", "spec", "template", "spec", "restartPolicy")), "a change that deployment_scale never makes"},
		{"a kind for another sort of object", hit("node_cordon", scale(shop, nil, true, "spec", "unschedulable")), "a change that node_cordon never makes"},
		{"a number that is none", hit("deployment_scale", scale(shop, -3, 2, "spec", "replicas")), "never makes"},
		{"another run", hit("deployment_scale", func() any { s := scale(shop, 0, 2, "spec", "replicas"); s["run"] = "r-2"; return s }()), "was not written by run r-1"},
		{"a name to escape with", hit("network_partition", map[string]any{"reach": reach, "run": "r-1", "key": "../../kube-system", "object": object(shop), "creation": map[string]any{}}), "was not written by run r-1"},
		{"something made that is not", hit("network_partition", map[string]any{"reach": reach, "run": "r-1", "key": "0123456789abcdef", "object": object(shop), "creation": map[string]any{}}), "never makes"},
		{"no JSON", "}{", "is not a hit"},
		{"deep nesting", strings.Repeat("[", 60000), "is not a hit"},
		{"a huge one", `"` + strings.Repeat("x", 100_000) + `"`, "more than any hit has"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w.forge(t, shop, "r-1", test.annotation)
			before := w.snapshot()
			p := gameday(t, t.TempDir(), "recover", "--cluster", "--kubeconfig", w.kubeconfig, "--namespace", w.namespace)
			p.ends(time.Minute, 6, "r-1: 0 hits to mend", "LEFT    deployment "+w.namespace+"/shop: .*("+test.says+")", "1 thing is left")
			if after := w.snapshot(); after != before {
				t.Errorf("the world was\n%s\nand is\n%s", before, after)
			}
			if strings.Contains(p.said.String(), "\x1b") {
				t.Errorf("it writes escape sequences: %q", p.said.String())
			}
			if _, err := os.Stat(proof); err == nil {
				t.Error("a command of the annotation was run")
			}
		})
	}
	// One that is sound, but for the way to the cluster, which is not the mark's.
	w.forge(t, shop, "r-1", hit("deployment_scale", scale(shop, 1, 2, "spec", "replicas")))
	gameday(t, t.TempDir(), "recover", "--cluster", "--kubeconfig", w.kubeconfig, "--namespace", w.namespace).
		ends(time.Minute, 0, "mended  deployment "+w.namespace+"/shop: .* 1,? as before")
	w.ready("shop", 1)
}

func TestWhatMayNotBeLookedAtIsNotTakenForWhole(t *testing.T) {
	t.Parallel()
	w := newClusterWorld(t)
	kubeconfig := w.account(t, "blind", nil)
	p := gameday(t, t.TempDir(), "recover", "--cluster", "--kubeconfig", kubeconfig, "--namespace", w.namespace)
	p.ends(time.Minute, 6, "could not look everywhere: read deployment "+w.namespace+" .*forbidden", "could not look everywhere: read lease", "not proven that nothing is left")
	gameday(t, t.TempDir(), "recover", "--namespace", w.namespace).ends(time.Minute, 2, "--namespace goes with --cluster")
	gameday(t, t.TempDir(), "recover", "--cluster", "--kubeconfig", fmt.Sprint(t.TempDir(), "/none")).ends(time.Minute, 5, "no kubeconfig at")
}
