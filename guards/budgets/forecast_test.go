package budgets_test

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/guards/budgets"
)

// exposure is one of an SLO of 99.9% over 30 days with a steady traffic: its budget is
// 2592 s of total outage.
func exposure(harms ...budgets.Harm) budgets.Exposure {
	return budgets.Exposure{Budget: 0.001, Period: 30 * experiments.Day, Rate: 50, Mean: 50, Harms: harms, Hypothesis: math.NaN(), Limit: math.NaN()}
}

const outage = 2592 // seconds

func TestTheForecastOfACost(t *testing.T) {
	const s = time.Second
	two := budgets.Harm{From: 10 * s, To: 130 * s, Share: 1}
	for name, c := range map[string]struct {
		change        func(*budgets.Exposure)
		likely, worst float64 // seconds of outage
		capped        bool
	}{
		"two minutes of a fault that can touch everything":  {func(*budgets.Exposure) {}, 120, 120, false},
		"recovery counts in the worst case":                 {func(x *budgets.Exposure) { x.Tail = 45 * s }, 120, 165, false},
		"if the hypothesis holds, 0.5% fail":                {func(x *budgets.Exposure) { x.Hypothesis, x.Tail = 0.005, 45*s }, 0.6, 165, false},
		"one pod of four":                                   {func(x *budgets.Exposure) { x.Harms[0].Share = 0.25 }, 30, 120, false},
		"the hypothesis allows more than the fault touches": {func(x *budgets.Exposure) { x.Harms[0].Share, x.Hypothesis = 0.25, 0.5 }, 30, 120, false},
		"harms that overlap count once": {func(x *budgets.Exposure) {
			x.Harms = append(x.Harms, budgets.Harm{From: 70 * s, To: 190 * s, Share: 0.5})
		}, 150, 180, false},
		"harms one after the other": {func(x *budgets.Exposure) {
			x.Harms = append(x.Harms, budgets.Harm{From: 300 * s, To: 310 * s, Share: 1})
		}, 130, 130, false},
		"shares add up where harms overlap":                       {func(x *budgets.Exposure) { x.Harms = []budgets.Harm{{0, 10 * s, 0.25}, {0, 10 * s, 0.25}} }, 5, 10, false},
		"a kill costs its recovery":                               {func(x *budgets.Exposure) { x.Harms, x.Tail = []budgets.Harm{{5 * s, 5 * s, 0.5}}, 30*s }, 15, 30, false},
		"nothing is broken":                                       {func(x *budgets.Exposure) { x.Harms = nil }, 0, 0, false},
		"a guard of 1% ends it after 25.92 s, a look and braking": {func(x *budgets.Exposure) { x.Limit, x.Braking, x.Look = 0.01, 3*s, s }, 29.92, 29.92, true},
		"a guard that allows more than it takes":                  {func(x *budgets.Exposure) { x.Limit = 0.5 }, 120, 120, false},
		"a guard that allows nothing":                             {func(x *budgets.Exposure) { x.Limit, x.Look = 0, s }, 1, 1, true},
		"twice the usual traffic costs twice as much":             {func(x *budgets.Exposure) { x.Rate = 100 }, 240, 240, false},
		"a traffic that is not known is the usual one":            {func(x *budgets.Exposure) { x.Rate = math.NaN() }, 120, 120, false},
		"a mean of nothing says nothing":                          {func(x *budgets.Exposure) { x.Mean = 0 }, 120, 120, false},
		"the guard counts the budget at the present traffic":      {func(x *budgets.Exposure) { x.Rate, x.Limit = 100, 0.01 }, 51.84, 51.84, true},
	} {
		t.Run(name, func(t *testing.T) {
			x := exposure(two)
			c.change(&x)
			f := x.Forecast()
			near(t, "likely", f.Likely*outage, c.likely)
			near(t, "worst", f.Worst*outage, c.worst)
			if f.Capped != c.capped {
				t.Errorf("capped is %v", f.Capped)
			}
			total := time.Duration(0)
			for _, s := range x.Course() {
				total += s.To - s.From
			}
			if total != f.Outage {
				t.Errorf("the course has %v of outage, the forecast %v", total, f.Outage)
			}
		})
	}
}

// The worst case is a bound: whatever shares of the events fail while harms and their
// tails are on, and a guard that looks each second and brakes, no run costs more.
func TestNoRunCostsMoreThanTheWorstCase(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := exposure()
		second := rapid.IntRange(0, 300)
		for range rapid.IntRange(1, 4).Draw(t, "harms") {
			from := second.Draw(t, "from")
			x.Harms = append(x.Harms, budgets.Harm{From: time.Duration(from) * time.Second, To: time.Duration(from+second.Draw(t, "length")) * time.Second, Share: 1})
		}
		x.Tail = time.Duration(second.Draw(t, "tail")) * time.Second
		x.Limit = rapid.Float64Range(0, 0.1).Draw(t, "limit")
		x.Braking, x.Look = time.Duration(rapid.IntRange(0, 20).Draw(t, "braking"))*time.Second, time.Second
		spent, stop := 0.0, math.MaxInt
		for now := range 1000 {
			at := time.Duration(now) * time.Second
			on := false
			for _, h := range x.Harms {
				on = on || at >= h.From && at < h.To+x.Tail
			}
			if now >= stop {
				break
			}
			failing := 0.0
			if on {
				failing = rapid.Float64Range(0, 1).Draw(t, "share")
			}
			spent += failing / outage
			if stop == math.MaxInt && spent+failing*x.Braking.Seconds()/outage >= x.Limit {
				stop = now + 1 + int(x.Braking.Seconds())
			}
		}
		if worst := x.Forecast().Worst; spent > worst*(1+1e-9) {
			t.Fatalf("a run spent %v, and %v was the worst", spent, worst)
		}
	})
}

func TestTheRulingOfAPolicy(t *testing.T) {
	policy := &experiments.Policy{
		Name: "standard", Reserve: 0.1, Unknown: experiments.Band{Name: experiments.UnknownBand},
		Bands: []experiments.Band{
			{Name: "green", AtLeast: 0.5, Allows: []string{experiments.ForGameDay, experiments.ForDeploy, experiments.ForExperimentalFeature}},
			{Name: "yellow", AtLeast: 0.1, Allows: []string{experiments.ForGameDay, experiments.ForDeploy}},
			{Name: "red", AtLeast: math.Inf(-1)},
		},
	}
	nan := math.NaN()
	const allowed, refused, unknown = experiments.GateAllowed, experiments.GateRefused, experiments.GateUnknown
	for name, c := range map[string]struct {
		purpose          string
		remaining, worst float64
		want             experiments.GateDecision
		why              string
	}{
		"green":                              {experiments.ForGameDay, 0.62, 0.031, allowed, "is in green, 62% left; after the worst case 58.9% would be left"},
		"a deployment costs nothing":         {experiments.ForDeploy, 0.62, nan, allowed, "is in green, 62% left"},
		"no new feature in yellow":           {experiments.ForExperimentalFeature, 0.3, nan, refused, "is in yellow, 30% left, where policy standard does not allow an experimental feature"},
		"red":                                {experiments.ForGameDay, -0.12, 0.01, refused, "is in red, 12% overspent, where policy standard does not allow a game day"},
		"exactly the reserve is left":        {experiments.ForGameDay, 0.4, 0.3, allowed, "is in yellow, 40% left; after the worst case 10% would be left"},
		"less than the reserve":              {experiments.ForGameDay, 0.4, 0.31, refused, "is in yellow, 40% left, and the worst case, 31%, would leave 9%, less than the reserve of 10% that policy standard keeps"},
		"the reserve is for game days":       {experiments.ForDeploy, 0.15, 0.31, allowed, "is in yellow, 15% left"},
		"without a run, nothing is spent":    {experiments.ForGameDay, 0.15, nan, allowed, "is in yellow, 15% left"},
		"unknown":                            {experiments.ForGameDay, nan, 0.01, unknown, "has an unknown budget, and policy standard allows a game day only where it is known"},
		"nearly all of it is not all of it":  {experiments.ForDeploy, 0.99996, nan, allowed, "is in green, 99.996% left"},
		"a purpose that nobody knows is one": {"migration", 0.62, nan, refused, "is in green, 62% left, where policy standard does not allow a migration"},
	} {
		t.Run(name, func(t *testing.T) {
			got := budgets.Rule(policy, c.purpose, c.remaining, c.worst)
			if got.Decision != c.want || got.Why != c.why {
				t.Errorf("%s: %q\nwant %s: %q", got.Decision, got.Why, c.want, c.why)
			}
		})
	}
	policy.Bands[2].Allows = []string{experiments.ForGameDay}
	if got := budgets.Rule(policy, experiments.ForGameDay, 0.05, nan); got.Decision != refused || got.Why != "is in red, 5% left, less than the reserve of 10% that policy standard keeps" {
		t.Errorf("the reserve is gone already: %s %q", got.Decision, got.Why)
	}
	policy.Reserve = 0
	if got := budgets.Rule(policy, experiments.ForGameDay, 0.2, 0.3); got.Decision != refused {
		t.Error("a game day may overspend the budget")
	}
	policy.Unknown.Allows = []string{experiments.ForGameDay}
	if got := budgets.Rule(policy, experiments.ForGameDay, nan, 0.3); got.Decision != allowed || got.Why != "has an unknown budget, and policy standard allows a game day all the same" {
		t.Errorf("a band unknown that allows it: %s %q", got.Decision, got.Why)
	}
}
