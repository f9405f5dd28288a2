package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/faults/toxiproxy/toxiproxytest"
	"github.com/gameday-sh/gameday/internal/promtest"
)

// pastAndPresent is a real Prometheus that knows 30 days of three services, each with 50
// requests a second, and goes on to know them: its blocks reach into the future. Of
// green's budget of 99.9% 62% is left, red has overspent by 12%, and gone is not there.
func pastAndPresent(t *testing.T) string {
	t.Helper()
	dir, now := t.TempDir(), time.Now().Truncate(time.Second)
	stretch := func(from, to time.Time, step time.Duration) {
		var series []promtest.Series
		for job, failing := range map[string]float64{"green": 0.00038, "red": 0.00112} {
			series = append(series,
				promtest.Series{Name: fmt.Sprintf(`http_requests_total{job=%q,code="200"}`, job), Value: promtest.Counter(from, to, step, promtest.Steady(50*(1-failing)))},
				promtest.Series{Name: fmt.Sprintf(`http_requests_total{job=%q,code="500"}`, job), Value: promtest.Counter(from, to, step, promtest.Steady(50*failing))})
		}
		promtest.Blocks(t, promtest.History{From: from, To: to, Step: step, Series: series}, dir)
	}
	recent := now.Add(-20 * time.Minute)
	stretch(now.Add(-31*experiments.Day), recent, 5*time.Minute)
	stretch(recent.Add(time.Second), now.Add(10*time.Minute), time.Second)
	return promtest.On(t, dir)
}

// budgeted is three SLOs on that server, and a scenario for each.
const budgeted = `
variable "prometheus" {}
variable "toxiproxy" { default = "http://127.0.0.1:1" }
variable "front" { default = "http://127.0.0.1:1" }

prometheus {
  url             = var.prometheus
  scrape_interval = "1s"
}

toxiproxy { url = var.toxiproxy }

error_budget_policy "standard" {
  reserve = "10%"
  band "green" {
    at_least = "50%"
    allows   = ["game-day", "deploy", "migration"]
  }
  band "red" {
    allows  = []
    actions = ["Feature freeze", "Incident review"]
  }
}

slo "green" {
  objective = "99.9%"
  window    = "30d"
  policy    = error_budget_policy.standard
  sli {
    bad   = "sum(rate(http_requests_total{job=\"green\",code=~\"5..\"}[$window]))"
    total = "sum(rate(http_requests_total{job=\"green\"}[$window]))"
  }
}
slo "red" {
  objective = "99.9%"
  window    = "30d"
  sli {
    bad   = "sum(rate(http_requests_total{job=\"red\",code=~\"5..\"}[$window]))"
    total = "sum(rate(http_requests_total{job=\"red\"}[$window]))"
  }
}
slo "gone" {
  objective = "99.9%"
  window    = "30d"
  sli {
    bad   = "sum(rate(http_requests_total{job=\"gone\",code=~\"5..\"}[$window]))"
    total = "sum(rate(http_requests_total{job=\"gone\"}[$window]))"
  }
}

probe "http" "front" {
  url   = var.front
  every = "100ms"
}

scenario "green" {
  seed     = 7
  baseline = "6s"
  hypothesis "the front door answers" {
    probe          = probe.front
    hold           = "1s"
    recover_within = "5s"
  }
  fault "toxiproxy_latency" "late" {
    proxy    = "payments"
    latency  = "50ms"
    duration = "6s"
  }
  guard "budget" "allowance" {
    slo   = slo.green
    spend = "5%"
  }
}
scenario "red" {
  seed   = 7
  policy = error_budget_policy.standard
  hypothesis "the front door answers" {
    probe = probe.front
    hold  = "1s"
  }
  fault "toxiproxy_latency" "late" {
    proxy    = "payments"
    latency  = "50ms"
    duration = "1s"
  }
  guard "budget" "allowance" {
    slo   = slo.red
    spend = "5%"
  }
}
scenario "gone" {
  policy = error_budget_policy.standard
  hypothesis "the front door answers" { probe = probe.front }
  fault "toxiproxy_latency" "late" {
    proxy    = "payments"
    latency  = "50ms"
    duration = "1s"
  }
  guard "budget" "allowance" {
    slo   = slo.gone
    spend = "5%"
  }
}
`

func TestTheGateReadsRealBudgets(t *testing.T) {
	t.Parallel()
	prometheus := pastAndPresent(t)
	dir, home := t.TempDir(), t.TempDir()
	file := filepath.Join(dir, "shop.hcl")
	write(t, file, budgeted)
	at := []string{"--var", "prometheus=" + prometheus, file}
	for name, c := range map[string]struct {
		args []string
		code int
		says []string
	}{
		"allowed":                         {[]string{"--for", "deploy", "--slo", "green"}, 0, []string{`(?m)^ALLOWED deploy$`, `allowed +slo.green is in green, 62(\.\d+)?% left`}},
		"a word of the policy's own":      {[]string{"--for", "migration", "--slo", "green"}, 0, []string{`ALLOWED migration`}},
		"a game day, over a reserve":      {[]string{"--for", "game-day", "--slo", "slo.green"}, 0, []string{`ALLOWED game-day`}},
		"one that names no policy":        {[]string{"--for", "deploy"}, 0, []string{`allowed +slo.green`, `no policy +slo.red names no policy`}},
		"the worst decides":               {[]string{"--for", "deploy", "--policy", "standard", "--slo", "green", "--slo", "red"}, 1, []string{`REFUSED deploy\n +refused +slo.red is in red, 12(\.\d+)?% overspent, where policy standard does not allow a deploy\n +in red: Feature freeze; Incident review\n +allowed +slo.green`}},
		"refused is worse than not known": {[]string{"--for", "deploy", "--policy", "standard"}, 1, []string{`REFUSED`, `unknown +slo.gone has an unknown budget, and policy standard allows a deploy only where it is known \(.*no series|unknown +slo.gone has an unknown budget.*\(.+\)`}},
		"not known":                       {[]string{"--for", "deploy", "--policy", "error_budget_policy.standard", "--slo", "gone"}, 4, []string{`UNKNOWN deploy`}},
		"a word that is misspelt":         {[]string{"--for", "deplyo"}, 2, []string{`no policy has heard of "deplyo"; did you mean "deploy"\?`}},
		"a word that nobody knows":        {[]string{"--for", "x"}, 2, []string{`there is: game-day, deploy, experimental-feature, migration`}},
		"a standard word, never yes":      {[]string{"--for", "experimental-feature"}, 1, []string{`does not allow an experimental feature`}},
		"no word":                         {nil, 2, []string{`say what for: --for game-day`}},
		"no policy":                       {[]string{"--for", "deploy", "--slo", "red"}, 2, []string{`slo.red names no policy, so nothing decides; write policy = error_budget_policy.standard in it, or give --policy standard`}},
		"a policy that is not there":      {[]string{"--for", "deploy", "--policy", "standart"}, 2, []string{`there is no error_budget_policy "standart"; did you mean "standard"\?`}},
	} {
		t.Run(name, func(t *testing.T) {
			gameday(t, home, append(append([]string{"gate"}, c.args...), at...)...).ends(time.Minute, c.code, c.says...)
		})
	}
	t.Run("as JSON", func(t *testing.T) {
		p := gameday(t, home, append([]string{"gate", "--for", "deploy", "--json"}, at...)...)
		p.ends(time.Minute, 0)
		var got experiments.GateReading
		if err := json.Unmarshal([]byte(p.said.String()), &got); err != nil {
			t.Fatalf("%v in\n%s", err, p.said.String())
		}
		if got.Decision != experiments.GateAllowed || got.Purpose != "deploy" || len(got.SLOs) != 3 || got.SLOs[0].Band != "green" ||
			got.SLOs[0].Remaining < .61 || got.SLOs[0].Remaining > .63 || got.SLOs[2].Remaining.Known() || got.SLOs[2].Unknown == "" {
			t.Errorf("got %+v", got)
		}
	})
	t.Run("a server that is away", func(t *testing.T) {
		gameday(t, home, "gate", "--for", "deploy", "--slo", "green", "--var", "prometheus=http://"+closedAddress(t), file).ends(time.Minute, 4, `UNKNOWN deploy`, `cannot be reached`)
	})
}

func TestARunPassesTheGateFirst(t *testing.T) {
	slow(t)
	prometheus := pastAndPresent(t)
	toxiproxy, _ := toxiproxytest.Server(t)
	front := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(front.Close)
	makeProxy(t, toxiproxy, "payments", front.Listener.Addr().String())
	before := toxiproxytest.Snapshot(t, toxiproxy)
	dir, home := t.TempDir(), t.TempDir()
	file := filepath.Join(dir, "shop.hcl")
	write(t, file, budgeted)
	with := func(args ...string) []string {
		return append(args, "--var", "prometheus="+prometheus, "--var", "toxiproxy="+toxiproxy, "--var", "front="+front.URL, file)
	}
	stored := func() (*experiments.Result, string) {
		runs, err := filepath.Glob(filepath.Join(home, "runs", "*"))
		if err != nil || len(runs) == 0 {
			t.Fatalf("runs %v, %v", runs, err)
		}
		newest := runs[len(runs)-1]
		var r experiments.Result
		if err := json.Unmarshal([]byte(read(t, filepath.Join(newest, "result.json"))), &r); err != nil {
			t.Fatal(err)
		}
		report := read(t, filepath.Join(newest, "report.md"))
		if err := os.RemoveAll(newest); err != nil { // so that the next one is the newest
			t.Fatal(err)
		}
		return &r, report
	}

	// A fault of 6 s, 15 s to revert, 5 s to recover: 26 s of outage are 1% of 2592 s.
	gameday(t, home, with("plan", "--scenario", "green")...).ends(time.Minute, 0,
		`up to 1% of the 30d budget of slo.green \(likely 0\.231%\); 62(\.\d+)?% is left`,
		`page SLOErrorBudgetBurn \(14\.4 over 1h and 5m\) cannot fire: it takes (50|51|52)s of total outage, and the faults last 26s with all that follows`,
		`the gate: allowed\n  slo.green is in green, 62(\.\d+)?% left; after the worst case 61(\.\d+)?% would be left`)
	gameday(t, home, with("run", "--scenario", "green")...).ends(time.Minute, 0, "HELD")
	r, report := stored()
	if r.Gate == nil || r.Gate.Decision != experiments.GateAllowed || r.Gate.SLOs[0].Rate < 49 || r.Gate.SLOs[0].Rate > 51 {
		t.Errorf("the gate was %+v", r.Gate)
	}
	a := r.SLOs[0].Account
	if a == nil || a.Remaining < .61 || a.Remaining > .63 || len(a.Pages) < 2 || a.Pages[0].Fired {
		t.Errorf("the account is %+v", a)
	}
	for _, want := range []string{"Error budget policy ●: allowed: slo.green is in green", "of the budget 62% was left before the run", "It would not have paged: peak burn"} {
		if !strings.Contains(report, want) {
			t.Errorf("the report does not say %q:\n%s", want, report)
		}
	}

	gameday(t, home, with("plan", "--scenario", "red")...).ends(time.Minute, 0, `the gate: refused\n  slo.red is in red, 12(\.\d+)?% overspent`, `--override "reason" lets it go on`)
	gameday(t, home, with("run", "--scenario", "red")...).ends(time.Minute, 4, "INCONCLUSIVE",
		`the error budget policy refuses a game day: slo.red is in red, 12(\.\d+)?% overspent, where policy standard does not allow a game day; nothing was touched`)
	if r, report := stored(); r.Gate.Decision != experiments.GateRefused || len(r.Hits) > 0 || !strings.Contains(report, "the error budget policy did not allow the experiment") {
		t.Errorf("gate %+v, hits %v, report\n%s", r.Gate, r.Hits, report)
	}
	gameday(t, home, with("run", "--scenario", "gone")...).ends(time.Minute, 4, `the error budget policy cannot tell whether a game day is allowed: slo.gone has an unknown budget`)
	if now := toxiproxytest.Snapshot(t, toxiproxy); now != before {
		t.Errorf("a run that may not begin touched the server: %s", now)
	}
	stored()

	gameday(t, home, with("run", "--scenario", "red", "--override", " ")...).ends(time.Minute, 2, "--override needs a reason")
	gameday(t, home, with("run", "--json", "--scenario", "red", "--override", "the fix must be proven today")...).ends(time.Minute, 0,
		`"type":"gate".*"decision":"refused".*"override":\{"reason":"the fix must be proven today","by":"[^@"]+@[^"]+"`, `"type":"budget"`)
	if r, report := stored(); r.Gate.Override == nil || r.Gate.Decision != experiments.GateRefused || !strings.Contains(report, "went past the policy") {
		t.Errorf("gate %+v, report\n%s", r.Gate, report)
	}
}
