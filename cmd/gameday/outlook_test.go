package main

import (
	"context"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/experiments/probes/prom"
	"github.com/gameday-sh/gameday/guards"
)

// harmless is a fault that does nothing, for what is told of it beforehand.
type harmless struct{ lasts bool }

func (h harmless) Lasts() bool { return h.lasts }
func (harmless) Plan(context.Context, experiments.Draw) ([]experiments.Hit, error) {
	return []experiments.Hit{{Target: "x", Fuse: experiments.WatchdogFuse}}, nil
}
func (harmless) Inject(context.Context, experiments.Hit) (experiments.Proof, error) {
	return experiments.Proof{}, nil
}
func (harmless) Revert(context.Context, experiments.Hit) error { return nil }
func (harmless) Check(context.Context, experiments.Hit) (experiments.Observation, error) {
	return experiments.Observation{State: experiments.Whole}, nil
}

// outlookOf is what is told of an experiment whose one SLO is on the built-in Prometheus.
func outlookOf(t *testing.T, objective experiments.Percent, fault experiments.Fault, duration time.Duration, change func(*experiments.Experiment, *experiments.SLO, *experiments.Blueprint)) experiments.Outlook {
	t.Helper()
	s := &experiments.SLO{Name: "checkout", Objective: objective, Window: 30 * experiments.Day, SLI: &prom.Events{
		Bad: `sum(rate(requests_total{code="500"}[$window]))`, Total: `sum(rate(requests_total[$window]))`,
	}}
	e := &experiments.Experiment{
		Name: "e", SLOs: []*experiments.SLO{s}, RevertWithin: 15 * time.Second,
		Hypotheses: []*experiments.Hypothesis{{Name: "h", SLO: s, Limit: experiments.Limit{Kind: experiments.GoodRatio, Ratio: .95}, RecoverWithin: 45 * time.Second}},
		Faults:     []*experiments.FaultPlan{{Name: "f", Fault: fault, Schedule: experiments.Schedule{Duration: duration}}},
	}
	b, err := experiments.Plan(t.Context(), e, "test")
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(e, s, b)
	}
	reading := askGate(t.Context(), e, b)
	if len(reading.SLOs) != 1 {
		t.Fatalf("the reading is %+v", reading)
	}
	return reading.SLOs[0]
}

func TestWhetherARunCanMakeAPageFire(t *testing.T) {
	allow := func(share experiments.Percent) func(*experiments.Experiment, *experiments.SLO, *experiments.Blueprint) {
		return func(e *experiments.Experiment, s *experiments.SLO, _ *experiments.Blueprint) {
			e.Guards = append(e.Guards, &experiments.GuardPlan{Name: "allowance", Kind: "budget", Guard: &guards.Budget{SLO: s, Spend: share}})
		}
	}
	for name, c := range map[string]struct {
		objective experiments.Percent
		duration  time.Duration
		change    func(*experiments.Experiment, *experiments.SLO, *experiments.Blueprint)
		can       bool
		text      string
	}{
		"two minutes, and nothing stops it": {.999, 2 * time.Minute, nil, true, "page SLOErrorBudgetBurn (14.4 over 1h and 5m) can fire: after 52s if all events fail"},
		"the allowance stops it":            {.999, 2 * time.Minute, allow(.01), false, "page SLOErrorBudgetBurn (14.4 over 1h and 5m) cannot fire: it takes 52s of total outage, and the allowance of 1% stops the run first"},
		// 1.9% are 49.25 s; stopping takes 5 s, so that the 51.84 s may be reached.
		"the allowance stops it too late": {.999, 2 * time.Minute, allow(.019), true, "can fire: after 52s"},
		"too short":                       {.99, 2 * time.Minute, nil, false, "cannot fire: it takes 8m38s of total outage, and the faults last 3m with all that follows"},
	} {
		o := outlookOf(t, c.objective, harmless{true}, c.duration, c.change)
		if len(o.Pages) == 0 || o.Pages[0].Can != c.can || !strings.Contains(o.Pages[0].Text, c.text) {
			t.Errorf("%s: %+v, want %q", name, o.Pages, c.text)
		}
		if shown := telling(o.Pages); len(shown) != 2 || shown[0].Can != c.can {
			t.Errorf("%s: shown is %+v", name, shown)
		}
	}
}

func TestThePriceTag(t *testing.T) {
	nan := experiments.Float(math.NaN())
	for name, c := range map[string]struct {
		outlook experiments.Outlook
		want    string
	}{
		"all is known":           {experiments.Outlook{SLO: "checkout", Period: "30d", Remaining: .62, Likely: .004, Worst: .031}, "up to 3.1% of the 30d budget of slo.checkout (likely 0.4%); 62% is left"},
		"nothing is left":        {experiments.Outlook{SLO: "checkout", Period: "30d", Remaining: -.12, Likely: .004, Worst: .031}, "up to 3.1% of the 30d budget of slo.checkout (likely 0.4%); 12% overspent"},
		"what is left is not":    {experiments.Outlook{SLO: "checkout", Period: "calendar month (UTC)", Remaining: nan, Unknown: "no\x1b[2J data", Likely: .004, Worst: .031}, "up to 3.1% of the calendar month (UTC) budget of slo.checkout (likely 0.4%); what is left of it is unknown (no data)"},
		"a run breaks nothing":   {experiments.Outlook{SLO: "checkout", Period: "30d", Remaining: .62, Likely: nan, Worst: nan}, "nothing of the 30d budget of slo.checkout: nothing is broken; 62% is left"},
		"far more than there is": {experiments.Outlook{SLO: "checkout", Period: "30d", Remaining: .62, Likely: .2, Worst: 12.5}, "up to 1250% of the 30d budget of slo.checkout (likely 20%); 62% is left"},
	} {
		if got := priceTag(c.outlook); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestTheForecastComesFromThePlan(t *testing.T) {
	const outage = 2592 // seconds, of 99.9% over 30 days
	for name, c := range map[string]struct {
		fault         experiments.Fault
		change        func(*experiments.Experiment, *experiments.SLO, *experiments.Blueprint)
		likely, worst float64
	}{
		"it may break while the fault is on": {harmless{true}, nil, 120, 180},
		"the hypothesis speaks of that time": {harmless{true}, func(e *experiments.Experiment, _ *experiments.SLO, _ *experiments.Blueprint) {
			e.Hypotheses[0].During = true
		}, 6, 180},
		"one pod of four": {harmless{true}, func(_ *experiments.Experiment, _ *experiments.SLO, b *experiments.Blueprint) {
			b.Hits[0][0].Draws = []experiments.Sampling{{Of: 4, Places: []int{2}}}
		}, 30, 180},
		"a kill":  {harmless{false}, nil, 60, 60},
		"nothing": {harmless{false}, func(_ *experiments.Experiment, _ *experiments.SLO, b *experiments.Blueprint) { b.Slots = nil }, math.NaN(), math.NaN()},
	} {
		o := outlookOf(t, .999, c.fault, 2*time.Minute, c.change)
		for what, pair := range map[string][2]float64{"likely": {float64(o.Likely) * outage, c.likely}, "worst": {float64(o.Worst) * outage, c.worst}} {
			if math.Abs(pair[0]-pair[1]) > 1e-6 || math.IsNaN(pair[0]) != math.IsNaN(pair[1]) {
				t.Errorf("%s: %s costs %v s of outage, want %v", name, what, pair[0], pair[1])
			}
		}
	}
}
