package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/kube"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// forgePlan changes a plan file as somebody would who knows how its sum is made.
func forgePlan(t *testing.T, path string, change func(*planFile)) string {
	t.Helper()
	p := new(planFile)
	if err := json.Unmarshal([]byte(read(t, path)), p); err != nil {
		t.Fatal(err)
	}
	change(p)
	text, err := p.text(strings.Clone)
	if err != nil {
		t.Fatal(err)
	}
	forged := filepath.Join(filepath.Dir(path), "forged.json")
	write(t, forged, string(text))
	return forged
}

// A plan file holds records of hits, with commands in them. Only what the scenario
// itself says is ever run.
func TestAPlanFileRunsNothingThatItsScenarioDoesNotSay(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	good, evil := filepath.Join(dir, "good"), filepath.Join(dir, "evil")
	scenario := filepath.Join(dir, "exec.hcl")
	write(t, scenario, fmt.Sprintf(`
probe "exec" "fine" {
  command = ["true"]
  every   = "100ms"
}
scenario "exec" {
  seed = 1
  hypothesis "fine" {
    probe = probe.fine
    hold  = "0s"
  }
  fault "exec" "touch" {
    target = "a file"
    inject = ["touch", %q]
  }
}
`, good))
	plan := filepath.Join(dir, "plan.json")
	gameday(t, t.TempDir(), "plan", "--out", plan, scenario).ends(time.Minute, 0, "The plan is in")
	swap := func(text string) string { return strings.ReplaceAll(text, good, evil) }
	for _, test := range []struct {
		name   string
		change func(*planFile)
		code   int
		says   string
	}{
		{"the record of the hit runs another command", func(p *planFile) {
			hit := &p.Scenarios[0].Hits[0]
			hit.Spec = json.RawMessage(swap(string(hit.Spec)))
		}, 0, "HELD"},
		{"what is pinned is another command", func(p *planFile) {
			hit := &p.Scenarios[0].Hits[0]
			hit.Spec, hit.Pin["inject command"] = json.RawMessage(swap(string(hit.Spec))), swap(hit.Pin["inject command"])
		}, 5, "a file has changed: inject command was .*evil, is .*good"},
		{"a hit is put in", func(p *planFile) {
			hit := p.Scenarios[0].Hits[0]
			hit.Target, hit.Spec = "another file", json.RawMessage(swap(string(hit.Spec)))
			p.Scenarios[0].Hits = append(p.Scenarios[0].Hits, hit)
		}, 5, "another file would not be hit any more"},
		{"a hit is of a fault that the scenario does not have", func(p *planFile) {
			hit := p.Scenarios[0].Hits[0]
			hit.Fault, hit.Spec = "other", json.RawMessage(swap(string(hit.Spec)))
			p.Scenarios[0].Hits = append(p.Scenarios[0].Hits, hit)
		}, 5, `fault "other", which the scenario does not have`},
		{"a hit is left out", func(p *planFile) { p.Scenarios[0].Hits = nil }, 5, "a file was not planned, and would be hit"},
		{"it is later and longer", func(p *planFile) { p.Scenarios[0].Hits[0].At = time.Hour }, 5, "start was 1h, is 0s"},
		{"another scenario", func(p *planFile) { p.Scenarios[0].Name = "another" }, 2, `there is no scenario "another"`},
		{"another digest", func(p *planFile) { p.Scenarios[0].Digest = "sha256:00" }, 2, "and had sha256:00"},
		{"another version", func(p *planFile) { p.Version = "v9.9.9" }, 2, "was made by gameday v9.9.9, and this is"},
		{"no scenario", func(p *planFile) { p.Scenarios = nil }, 2, "plans no scenario"},
		{"a scenario that is not there", func(p *planFile) { p.Path, p.Near = filepath.Join(dir, "none.hcl"), "" }, 2, "No such file"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if err := os.RemoveAll(good); err != nil {
				t.Fatal(err)
			}
			gameday(t, t.TempDir(), "run", "--plain", forgePlan(t, plan, test.change)).ends(time.Minute, test.code, test.says)
			if _, err := os.Stat(evil); err == nil {
				t.Fatal("it ran a command that the scenario does not have")
			}
			if _, err := os.Stat(good); (err == nil) != (test.code == 0) {
				t.Errorf("the scenario's own command: %v", err)
			}
		})
	}
}

const pinnedPods = `
kubernetes { kubeconfig = "%KUBECONFIG%" }
probe "http" "front" {
  url   = "%FRONT%"
  every = "100ms"
}
scenario "pinned" {
  seed = 5
  hypothesis "the front door answers" {
    probe = probe.front
    hold  = "0s"
  }
  fault "pod_kill" "kill" {
    namespace = "%NS%"
    selector  = "app=shop"
    count     = 2
  }
  fault "deployment_scale" "scale" {
    namespace = "%NS%"
    workload  = "deployment/stock"
    replicas  = 1
    duration  = "200ms"
  }
}
`

// killed lists the pods that a run hit, from its result.
func killed(t *testing.T, home string) (places []int, targets []string) {
	t.Helper()
	result, err := loadResult(filepath.Join(runDir(t, home), reportNames["json"]))
	if err != nil {
		t.Fatal(err)
	}
	for _, hit := range result.Hits {
		if hit.Fault != "kill" {
			continue
		}
		targets = append(targets, hit.Target)
		for _, draw := range hit.Draws {
			places = append(places, draw.Places...)
		}
	}
	return places, targets
}

func TestAPlanOfPodsIsCarriedOutOrSaysWhichPodIsGone(t *testing.T) {
	t.Parallel()
	w := newClusterWorld(t)
	w.deploy("shop", 6)
	w.deploy("stock", 2)
	scenario := w.scenario(pinnedPods)
	plan := filepath.Join(t.TempDir(), "plan.json")
	gameday(t, t.TempDir(), "plan", "--out", plan, scenario).ends(time.Minute, 0)
	planned := new(planFile)
	if err := json.Unmarshal([]byte(read(t, plan)), planned); err != nil {
		t.Fatal(err)
	}
	var pinned []experiments.Hit
	for _, hit := range planned.Scenarios[0].Hits {
		if hit.Fault == "kill" {
			pinned = append(pinned, hit)
		}
	}
	if len(pinned) != 2 || pinned[0].Pin["UID"] == "" || pinned[0].Draws[0].Of != 6 {
		t.Fatalf("pinned: %+v", pinned)
	}
	// More pods match by now; those that were planned are still there, and are hit.
	w.scale("shop", 9)
	home := filepath.Join(t.TempDir(), "state")
	gameday(t, home, "run", "--plain", plan).ends(time.Minute, 0, `fault "kill", round 1: 6 targets matched then, and 9 match now`, "HELD")
	_, targets := killed(t, home)
	if len(targets) != 2 || targets[0] != pinned[0].Target || targets[1] != pinned[1].Target {
		t.Errorf("hit %v, planned %s and %s", targets, pinned[0].Target, pinned[1].Target)
	}
	w.ready("shop", 9)
	before := w.pods()
	refused := gameday(t, t.TempDir(), "run", "--plain", plan)
	refused.ends(time.Minute, 5, "2 planned targets gone, or not matched any more: "+w.namespace+"/shop-", "nothing was broken")
	// The same name, and another object: a Deployment that was made anew, of other size.
	if err := w.client.Delete(t.Context(), kube.Deployments.In(w.namespace, "stock"), metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	w.deploy("stock", 3)
	refusing := filepath.Join(t.TempDir(), "state")
	gameday(t, refusing, "run", "--plain", plan).ends(time.Minute, 5, "nothing is done: deployment "+w.namespace+"/stock has changed: UID was ")
	if report := read(t, filepath.Join(runDir(t, refusing), reportNames["json"])); !strings.Contains(report, "value was 2, is 3") {
		t.Errorf("it does not say that the size is another:\n%s", report)
	}
	for uid := range w.pods() {
		delete(before, uid)
	}
	if len(before) > 2 { // those of stock
		t.Errorf("%d pods are gone", len(before))
	}

	// The same places again, of other pods.
	places, _ := killed(t, home)
	again := filepath.Join(t.TempDir(), "state")
	gameday(t, again, "run", "--plain", "--replay", filepath.Join(runDir(t, home), reportNames["json"]), scenario).ends(time.Minute, 0, "seed 5", "HELD")
	now, others := killed(t, again)
	if fmt.Sprint(now) != fmt.Sprint(places) || len(others) != 2 {
		t.Errorf("hit the places %v (%v), want %v", now, others, places)
	}
}

// scale gives a Deployment other replicas, as a person does.
func (w *clusterWorld) scale(name string, replicas int) {
	w.t.Helper()
	if err := w.client.Merge(w.t.Context(), kube.Deployments.In(w.namespace, name), map[string]any{"spec": map[string]any{"replicas": replicas}}, nil); err != nil {
		w.t.Fatal(err)
	}
	w.ready(name, replicas)
}
