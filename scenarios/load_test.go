package scenarios

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gameday-sh/gameday/experiments"
)

// environment is a lookup in a fixed set of variables.
func environment(pairs ...string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1], true
			}
		}
		return "", false
	}
}

// write puts files into a new directory: name, text, name, text.
func write(t *testing.T, pairs ...string) string {
	t.Helper()
	dir := t.TempDir()
	for i := 0; i < len(pairs); i += 2 {
		if err := os.WriteFile(filepath.Join(dir, pairs[i]), []byte(pairs[i+1]), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// text renders diagnostics without colour.
func text(t *testing.T, d *Diagnostics) string {
	t.Helper()
	var out bytes.Buffer
	if err := d.WriteText(&out, 80, false); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// mustOpen loads, opens and decodes one file that has to be right.
func mustOpen(t *testing.T, source string, options Options) (*Configuration, []*experiments.Experiment) {
	t.Helper()
	language, _ := testLanguage()
	c, diags := language.Load(write(t, "main.hcl", source), options)
	if diags.HasErrors() {
		t.Fatalf("Load:\n%s", text(t, diags))
	}
	if err := c.Open(t.Context()); err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	list, diags := c.Experiments()
	if diags.HasErrors() {
		t.Fatalf("Experiments:\n%s", text(t, diags))
	}
	return c, list
}

// refuse loads one file that has to be wrong and returns what was said.
func refuse(t *testing.T, source string, options Options) string {
	t.Helper()
	language, _ := testLanguage()
	_, diags := language.Load(write(t, "main.hcl", source), options)
	if !diags.HasErrors() {
		t.Fatalf("nothing was found wrong with:\n%s", source)
	}
	return text(t, diags)
}

// The example of the design, as it stands there, with the two variables that it
// takes for granted.
const designed = `
variable "prometheus_url" { default = null }
variable "toxiproxy_url" { default = null }

variable "latency" { default = "300ms" }

prometheus { url = var.prometheus_url }   # left out: the built-in one, which scrapes and answers PromQL in process
toxiproxy  { url = var.toxiproxy_url }    # left out: the built-in one

slo "checkout" {
  description = "Checkout requests answered without a 5xx"
  objective   = "99.9%"
  window      = "30d"
  sli {
    bad   = "sum(rate(http_requests_total{job=\"checkout\",code=~\"5..\"}[$window]))"
    total = "sum(rate(http_requests_total{job=\"checkout\"}[$window]))"
  }
}

probe "http" "front_door" {
  url     = "http://127.0.0.1:8080/"
  every   = "250ms"
  timeout = "1s"
}

scenario "slow-payments" {
  description = "Checkout survives a payment provider that answers 300 ms late"
  seed        = 7

  hypothesis "checkout stays available" {
    slo      = slo.checkout
    at_least = "99.5%"
  }
  hypothesis "the front door answers fast" {
    probe          = probe.front_door
    p95_at_most    = "500ms"
    during         = false          # may break while the fault is on,
    recover_within = "30s"          # but must be whole again by then
  }

  fault "toxiproxy_latency" "late-payments" {
    proxy    = "payments"
    latency  = var.latency
    jitter   = "50ms"
    at       = "10s"
    duration = "2m"
  }
  fault "pod_kill" "lose-a-pod" {
    namespace = "shop"
    selector  = "app=checkout"
    count     = 1
    every     = "30s..120s"
    after     = fault.late-payments
    duration  = "5m"
  }

  guard "burn_rate" "page-worthy" {
    slo      = slo.checkout
    factor   = 14.4
    windows  = ["1m", "10s"]
  }
  guard "budget" "allowance" {
    slo   = slo.checkout
    spend = "5%"                    # of the window's budget, braking distance included
  }
}
`

func TestTheDesignedExampleDecodesAsItReads(t *testing.T) {
	c, list := mustOpen(t, designed, Options{})
	if len(list) != 1 {
		t.Fatalf("%d experiments, want 1", len(list))
	}
	e := list[0]
	if e.Name != "slow-payments" || e.Seed != 7 || e.SeedDrawn || !strings.HasPrefix(e.Origin, "main.hcl:") {
		t.Errorf("name %q, seed %d (drawn: %v), origin %q", e.Name, e.Seed, e.SeedDrawn, e.Origin)
	}
	if e.Baseline != 0 || e.BaselineWithin != time.Minute || e.RevertWithin != 15*time.Second {
		t.Errorf("baseline %s within %s, revert within %s", e.Baseline, e.BaselineWithin, e.RevertWithin)
	}
	if len(e.SLOs) != 1 || len(e.Probes) != 1 {
		t.Fatalf("%d slos and %d probes, want one of each", len(e.SLOs), len(e.Probes))
	}
	slo := e.SLOs[0]
	if slo.Name != "checkout" || slo.Objective != 0.999 || slo.Window != 30*experiments.Day || slo.SLI == nil || slo.Probe != nil || slo.Every != 0 {
		t.Errorf("slo: %+v", slo)
	}
	if want := `code=~"5.."}[$window]`; !strings.Contains(slo.Queries, want) {
		t.Errorf("queries %q lack %q", slo.Queries, want)
	}
	probe := e.Probes[0]
	if probe.Every != 250*time.Millisecond || probe.Timeout != time.Second || probe.Kind != "http" {
		t.Errorf("probe: %+v", probe)
	}
	first, second := e.Hypotheses[0], e.Hypotheses[1]
	if first.SLO != slo || first.Limit != (experiments.Limit{Kind: experiments.GoodRatio, Ratio: 0.995}) || !first.During {
		t.Errorf("first hypothesis: %+v", first)
	}
	if second.Probe != probe || second.Limit.Quantile != 0.95 || second.Limit.Value != 0.5 || second.During || second.RecoverWithin != 30*time.Second || second.MinSamples != 20 || second.Hold != 3*time.Second || second.Confidence != 0.95 {
		t.Errorf("second hypothesis: %+v", second)
	}
	late, kill := e.Faults[0], e.Faults[1]
	if late.Schedule != (experiments.Schedule{At: 10 * time.Second, Duration: 2 * time.Minute}) {
		t.Errorf("first schedule: %+v", late.Schedule)
	}
	latency, ok := late.Fault.(*testLatency)
	if !ok || latency.Latency != 300*time.Millisecond || latency.Jitter != 50*time.Millisecond || latency.Direction != "downstream" || latency.Share != nil || latency.Toxiproxy == nil {
		t.Errorf("latency: %+v", late.Fault)
	}
	if kill.Schedule != (experiments.Schedule{After: "late-payments", Duration: 5 * time.Minute, Every: experiments.Range{Min: 30 * time.Second, Max: 2 * time.Minute}}) {
		t.Errorf("second schedule: %+v", kill.Schedule)
	}
	var guards []string
	for _, plan := range e.Guards {
		guards = append(guards, plan.Kind)
		if plan.Default != (plan.Kind == "no_data" || plan.Kind == "max_duration") {
			t.Errorf("guard %s: default is %v", plan.Kind, plan.Default)
		}
	}
	if want := []string{"burn_rate", "budget", "no_data", "max_duration"}; !slices.Equal(guards, want) {
		t.Errorf("guards %v, want %v", guards, want)
	}
	if burn, ok := e.Guards[0].Guard.(*testBurnRate); !ok || burn.SLO != slo || !slices.Equal(burn.Windows, []time.Duration{time.Minute, 10 * time.Second}) {
		t.Errorf("burn rate: %+v", e.Guards[0].Guard)
	}
	if len(c.Connections()) != 2 {
		t.Errorf("%d connections, want 2", len(c.Connections()))
	}
}
