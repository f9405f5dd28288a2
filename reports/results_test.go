package reports

import (
	"bytes"
	"encoding/json"
	"flag"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/gameday-sh/gameday/experiments"
)

var update = flag.Bool("update", false, "write the golden files anew")

var began = time.Date(2026, 11, 24, 15, 30, 12, 0, time.UTC)

func after(seconds float64) time.Time {
	return began.Add(time.Duration(seconds * float64(time.Second)))
}

func judged(phase experiments.Phase, v experiments.Verdict, observed, limit float64, unit string, bad, total float64) *experiments.Judgement {
	span := map[experiments.Phase][2]float64{experiments.PhaseBaseline: {1, 29.9}, experiments.PhaseDisrupt: {40, 150.12}, experiments.PhaseRecover: {155, 199.8}}[phase]
	return &experiments.Judgement{Phase: phase, From: after(span[0]), To: after(span[1]), Verdict: v, Observed: experiments.Float(observed), Limit: experiments.Float(limit),
		Unit: unit, Bad: bad, Total: total, Low: experiments.Float(math.NaN()), High: experiments.Float(math.NaN()), Text: "observed " + sayValue(observed, unit)}
}

// run is a finished run of 200 s with one lasting fault and one kill.
func run(v experiments.Verdict) *experiments.Result {
	life := func(injected, verified float64) []experiments.StepTime {
		return []experiments.StepTime{{Step: experiments.Planned, At: after(1)}, {Step: experiments.Intended, At: after(injected)}, {Step: experiments.Injected, At: after(injected)}, {Step: experiments.Verified, At: after(verified)}}
	}
	r := &experiments.Result{
		Schema: experiments.ResultSchema, Run: "20261124-153012-slow-payments-7f3a", Scenario: "slow-payments",
		Description: "Checkout survives a payment provider that answers 300 ms late", Origin: "shop.hcl:31",
		Digest: "sha256:5f2b", Seed: 7, Version: "0.1.0", Host: "ci-7",
		Rerun: &experiments.Rerun{Command: []string{"gameday", "run", "shop.hcl", "--scenario", "slow-payments", "--seed", "7", "--var", "latency=300 ms"}, Directory: "/home/ada/shop", Secrets: []string{"token"}},
		Began: began, Ended: after(200),
		Verdict: v, Reason: "every hypothesis held; everything that was broken is proven mended",
		Phases: []experiments.PhaseSpan{
			{Phase: experiments.PhaseBaseline, From: after(1), To: after(30)}, {Phase: experiments.PhaseDisrupt, From: after(30), To: after(150)},
			{Phase: experiments.PhaseRevert, From: after(150), To: after(152)}, {Phase: experiments.PhaseRecover, From: after(152), To: after(200)},
		},
		Hypotheses: []experiments.HypothesisResult{
			{Name: "checkout stays available", Statement: "at least 99.5% of slo.checkout's events are good", Series: "slo.checkout", Unit: "ratio", Limit: .995, Kind: experiments.GoodRatio, Verdict: experiments.Held, Reason: "99.71% of 2,912 events were good",
				Before: judged(experiments.PhaseBaseline, experiments.Held, 1, .995, "ratio", 0, 700), During: judged(experiments.PhaseDisrupt, experiments.Held, .9971, .995, "ratio", 8, 2912), Recovery: judged(experiments.PhaseRecover, experiments.Held, 1, .995, "ratio", 0, 900), RecoverWithin: 30 * time.Second},
			{Name: "the front door answers fast", Statement: "95% of probe.front_door take at most 500 ms", Series: "probe.front_door", Unit: "s", Limit: .5, Kind: experiments.QuantileAtMost, Verdict: experiments.Held, Reason: "whole again 4.2 s after the last revert", MayBreak: true,
				Before: judged(experiments.PhaseBaseline, experiments.Held, .023, .5, "s", 0, 120), During: judged(experiments.PhaseDisrupt, experiments.Refuted, .712, .5, "s", 0, 480), Recovery: judged(experiments.PhaseRecover, experiments.Held, .025, .5, "s", 0, 190), RecoverWithin: 30 * time.Second, RecoveredAfter: 4200 * time.Millisecond},
		},
		Faults: []experiments.FaultResult{
			{Name: "late-payments", Kind: "toxiproxy_latency", At: 10 * time.Second, Duration: 110 * time.Second, Rounds: 1, Hits: 1, Injected: 1, Restored: 1},
			{Name: "lose-a-pod", Kind: "pod_kill", After: "late-payments", At: 50 * time.Second, Every: "30s..120s", Rounds: 1, Hits: 1, Injected: 1, Restored: 1},
		},
		Hits: []experiments.HitResult{
			{Hit: experiments.Hit{ID: "late-payments/1/payments", Fault: "late-payments", Kind: "toxiproxy_latency", Round: 1, Target: "proxy payments", Holds: "toxiproxy 127.0.0.1:8474 payments", Effect: "answers 300 ms late (jitter 50 ms)", Undo: "remove the toxic", Fuse: experiments.WatchdogFuse, Lasts: 110 * time.Second, Spec: json.RawMessage(`{"proxy":"payments"}`)},
				Steps: life(40, 150.12), Step: experiments.Verified, Proof: "toxic listed: latency=300 jitter=50", Mended: "no toxic on payments", State: experiments.Whole, Injected: after(40), Verified: after(150.12)},
			{Hit: experiments.Hit{ID: "lose-a-pod/1/a", Fault: "lose-a-pod", Kind: "pod_kill", Round: 1, Target: "pod shop/checkout-7d", Effect: "killed", Undo: "nothing to undo",
				Takes: []experiments.Allowance{{Of: "disruption budget shop/checkout", Allows: 1, Why: "3 of its 3 pods are healthy and 2 must stay"}}},
				Steps: life(90, 92), Step: experiments.Verified, Proof: "UID 1f gone", Mended: "a pod of the same owner is ready", State: experiments.Whole, Injected: after(90), Verified: after(92),
				Findings: []experiments.Finding{
					{Name: "replaced", At: after(90.8), After: 800 * time.Millisecond, Text: "pod checkout-9k (UID 2e) replaces checkout-7d"},
					{Name: "event", At: after(91), After: time.Second, Text: "pod checkout-9k: Scheduled: Successfully assigned shop/checkout-9k to worker-1", Source: "Kubernetes event of default-scheduler"},
					{Name: "ready", At: after(91.9), After: 1900 * time.Millisecond, Text: "pod checkout-9k is ready on node worker-1"},
				}},
		},
		Guards: []experiments.GuardResult{
			{Name: "page-worthy", Kind: "burn_rate", Looks: 480, Worst: &experiments.Reading{Used: .2, Text: "burn 2.9 of 14.4"}, WorstAt: after(91), Last: &experiments.Reading{Used: 0, Text: "burn 0 of 14.4"},
				Bound: &experiments.Bound{Series: "slo.checkout", Kind: experiments.GoodRatio, Limit: .9856}},
			{Name: "no data", Kind: "no_data", Default: true, Looks: 480, Last: &experiments.Reading{Text: "every series was read within 1 s"}},
		},
		SLOs: []experiments.SLOResult{{Name: "checkout", Objective: .999, Window: 30 * experiments.Day, Bad: 8, Total: 3812, Rate: 24.3, Spent: .00013}},
		Timeline: []experiments.Moment{
			{At: after(30), Kind: "hypothesis", Text: "The baseline holds"}, {At: after(40), Kind: "fault", Text: "late-payments: answers 300 ms late on proxy payments"},
			{At: after(60), Kind: "note", Text: "The pager went off"}, {At: after(150.12), Kind: "fault", Text: "Everything that was broken is proven mended"}, {At: after(200), Kind: "phase", Text: "Verdict: " + string(v)},
		},
	}
	probe := &experiments.Series{Name: "probe.front_door", Kind: "probe", Unit: "s"}
	slo := &experiments.Series{Name: "slo.checkout", Kind: "slo", Unit: "ratio", Window: 10 * time.Second}
	for i := range 796 {
		at := 1 + float64(i)/4
		latency, bad, total := .02+.006*math.Abs(math.Sin(float64(i)*1.7)), 0.0, 1.0
		if at > 40 && at < 150 {
			latency += .55 + .12*math.Sin(float64(i)*.9)
			if i%57 == 0 {
				latency, bad = 1, 1
			}
		}
		if at > 165 && at < 172 {
			latency, bad, total = math.NaN(), math.NaN(), math.NaN()
		}
		probe.At, probe.Latency = append(probe.At, at), append(probe.Latency, latency)
		probe.Bad, probe.Total = append(probe.Bad, bad), append(probe.Total, total)
		if i%8 == 0 {
			failing := 0.0
			if at > 88 && at < 104 {
				failing = math.Round(2 * math.Abs(math.Sin(at)))
			}
			slo.At, slo.Bad, slo.Total = append(slo.At, at), append(slo.Bad, failing), append(slo.Total, 240)
		}
	}
	probe.Gaps = []experiments.Gap{{From: 165.25, To: 171.75, Condition: experiments.Unreachable, Why: "connection refused"}}
	r.Series = []*experiments.Series{probe, slo}
	return r
}

// results are the runs that goldens are of, and that every format must render.
func results() map[string]*experiments.Result {
	refuted := run(experiments.Refuted)
	refuted.Reason = `"checkout stays available": while faults were on: 98.4% of 2,912 events were good`
	refuted.Hypotheses[0].Verdict, refuted.Hypotheses[0].Reason = experiments.Refuted, "while faults were on: 98.4% of 2,912 events were good"
	refuted.Hypotheses[0].During = judged(experiments.PhaseDisrupt, experiments.Refuted, .984, .995, "ratio", 47, 2912)

	aborted := run(experiments.Aborted)
	aborted.Reason = "guard page-worthy: burn 21.3 of 14.4; everything that was broken is proven mended 120ms later"
	aborted.Stop = &experiments.Stop{Cause: "guard page-worthy: burn 21.3 of 14.4", Guard: "page-worthy", Breach: after(150), Restored: after(150.12)}
	aborted.Guards[0].Tripped = true
	aborted.Guards[0].WorstAt = after(150)
	aborted.Guards[0].Worst = &experiments.Reading{Breached: true, Used: 1.48, Text: "burn 21.3 of 14.4"}
	for i := range aborted.Hypotheses {
		h := &aborted.Hypotheses[i]
		h.Verdict, h.Reason, h.During, h.Recovery = experiments.Inconclusive, "while faults were on: the run was over before it could be judged", nil, nil
	}

	inconclusive := run(experiments.Inconclusive)
	inconclusive.Reason = `not healthy before anything was broken: "checkout stays available": no data`
	inconclusive.Phases, inconclusive.Hits, inconclusive.SLOs = inconclusive.Phases[:1], nil, nil
	inconclusive.Series = inconclusive.Series[:0]
	inconclusive.Ended = after(31)
	inconclusive.Timeline = []experiments.Moment{
		{At: after(30), Kind: "hypothesis", Text: "The baseline does not hold; nothing was touched"}, {At: after(31), Kind: "phase", Text: "Verdict: inconclusive"},
	}
	for i := range inconclusive.Faults {
		f := &inconclusive.Faults[i]
		f.Hits, f.Injected, f.Restored = 0, 0, 0
	}
	for i := range inconclusive.Guards {
		g := &inconclusive.Guards[i]
		g.Looks, g.Worst, g.Last = 0, nil, nil
	}
	for i := range inconclusive.Hypotheses {
		h := &inconclusive.Hypotheses[i]
		h.Verdict, h.Reason, h.During, h.Recovery = experiments.Inconclusive, "before the faults: no data", nil, nil
		h.Before = judged(experiments.PhaseBaseline, experiments.Inconclusive, math.NaN(), .995, "ratio", 0, 0)
	}

	broken := run(experiments.NotRestored)
	broken.Reason = "1 hit could not be proven mended: proxy payments: connection refused"
	broken.Left = []string{"proxy payments: answers 300 ms late (connection refused)"}
	broken.Hits[0].Step, broken.Hits[0].State, broken.Hits[0].Error = experiments.Stuck, "", "connection refused"
	broken.Hits[0].Mended, broken.Hits[0].Verified = "", time.Time{}
	broken.Faults[0].Restored = 0
	broken.Phases = broken.Phases[:3]
	broken.Phases[2].To = broken.Ended
	for i := range broken.Hypotheses {
		h := &broken.Hypotheses[i]
		h.Verdict, h.Reason, h.Recovery = experiments.Inconclusive, "after the faults: the run was over before it could be judged", nil
	}
	return map[string]*experiments.Result{"held": run(experiments.Held), "refuted": refuted, "aborted": aborted, "inconclusive": inconclusive, "not-restored": broken}
}

// edges are results that were cut short or rebuilt.
func edges() map[string]*experiments.Result {
	crashed := run(experiments.Errored)
	crashed.Ended, crashed.Series, crashed.Hypotheses, crashed.Guards = time.Time{}, nil, nil, nil
	halfway := run(experiments.Aborted)
	halfway.Stop = &experiments.Stop{Cause: "interrupted (Ctrl-C)", Breach: after(60)}
	halfway.Phases = halfway.Phases[:2]
	halfway.Phases[1].To = time.Time{}
	unknown := run(experiments.Held)
	unknown.SLOs[0].Rate, unknown.SLOs[0].Spent = experiments.Float(math.NaN()), experiments.Float(math.NaN())
	unknown.Hypotheses[0].Limit = experiments.Float(math.NaN())
	return map[string]*experiments.Result{
		"empty":   {Schema: experiments.ResultSchema, Run: "r", Verdict: experiments.Errored, Began: began},
		"crashed": crashed, "stopped halfway": halfway, "unknown numbers": unknown, "journeys": travelled(),
		"invalid": {Schema: experiments.ResultSchema, Run: "r", Verdict: experiments.Invalid, Began: began, Ended: began},
	}
}

func all() map[string]*experiments.Result {
	list := results()
	for name, r := range edges() {
		list[name] = r
	}
	list["budgeted"], list["shut out"] = budgeted(), shutOut()
	return list
}

func render(t testing.TB, name string, r *experiments.Result) []byte {
	t.Helper()
	for _, format := range Formats() {
		if format.Name == name {
			var b bytes.Buffer
			if err := format.Write(&b, r); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			return b.Bytes()
		}
	}
	t.Fatalf("no format %q", name)
	return nil
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs; run with -update and look at the difference\ngot:\n%s", file, got)
	}
}

// newOutliner is the outliner of a result in memory, of which reading cannot fail.
func newOutliner(r *experiments.Result, d detail) outliner {
	o, err := storedOutliner(Memory(r), d)
	if err != nil {
		panic(err)
	}
	return o
}
