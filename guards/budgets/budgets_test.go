package budgets_test

import (
	"math"
	"testing"
	"time"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/guards/budgets"
)

var now = time.Date(2026, time.March, 20, 12, 0, 0, 0, time.UTC)

func slo(objective experiments.Percent, window time.Duration) *experiments.SLO {
	return &experiments.SLO{Name: "checkout", Objective: objective, Window: window}
}

func counted(window time.Duration, bad, total float64) experiments.Count {
	return experiments.Count{At: now, Window: window, Bad: bad, Total: total}
}

func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if math.IsNaN(want) != math.IsNaN(got) || math.Abs(got-want) > 1e-9*math.Max(1, math.Abs(want)) {
		t.Errorf("%s is %.12g, want %.12g", what, got, want)
	}
}

func TestABudgetIsCountedInEvents(t *testing.T) {
	for name, c := range map[string]struct {
		objective                                   experiments.Percent
		bad, total                                  float64
		sli, budget, consumed, remaining, burnWhole float64
	}{
		"nothing failed":                   {0.999, 0, 1e6, 1, 1000, 0, 1, 0},
		"a quarter is spent":               {0.999, 250, 1e6, 0.99975, 1000, 0.25, 0.75, 0.25},
		"exactly all of it":                {0.999, 1000, 1e6, 0.999, 1000, 1, 0, 1},
		"overspent six times":              {0.999, 6000, 1e6, 0.994, 1000, 6, -5, 6},
		"everything failed":                {0.999, 1e6, 1e6, 0, 1000, 1000, -999, 1000},
		"one request, and it failed":       {0.99, 1, 1, 0, 0.01, 100, -99, 100},
		"the Nobl9 example by occurrences": {0.95, 7, 118, 111.0 / 118, 5.9, 7 / 5.9, 1 - 7/5.9, 7 / 5.9},
	} {
		t.Run(name, func(t *testing.T) {
			s := budgets.Of(slo(c.objective, 30*experiments.Day), counted(30*experiments.Day, c.bad, c.total))
			near(t, "SLI", s.SLI(), c.sli)
			near(t, "budget", s.Budget(), c.budget)
			near(t, "budget so far", s.SoFar(), c.budget)
			near(t, "consumed", s.Consumed(), c.consumed)
			near(t, "remaining", s.Remaining(), c.remaining)
			near(t, "burn rate", s.Burn(0), c.burnWhole)
			near(t, "burn rate over the period by its length", s.Burn(30*experiments.Day), c.burnWhole)
		})
	}
}

// The example of Nobl9's documentation: ten minutes of an SLO of 95%.
func TestTheNobl9ExampleComesOutBothWays(t *testing.T) {
	good := []float64{2, 10, 12, 13, 13, 12, 13, 13, 12, 11}
	valid := []float64{4, 10, 12, 13, 14, 15, 14, 13, 12, 11}
	var minutes []experiments.Count
	sum := experiments.Count{Window: 10 * time.Minute}
	for i := range good {
		c := experiments.Count{At: now.Add(time.Duration(i) * time.Minute), Window: time.Minute, Bad: valid[i] - good[i], Total: valid[i]}
		minutes = append(minutes, c)
		sum.At, sum.Bad, sum.Total = c.At, sum.Bad+c.Bad, sum.Total+c.Total
	}
	one := slo(0.95, 10*time.Minute)
	if got := math.Round(1000*budgets.Of(one, sum).Consumed()) / 10; got != 118.6 {
		t.Errorf("by occurrences %v%% is consumed, want 118.6%%", got)
	}
	near(t, "consumed by time slices", budgets.Of(one, budgets.Slices(minutes, 0.95)).Consumed(), 8)
}

// Numbers of the seed: 99.9% over 30 days is 43.2 minutes; and its bands.
func TestTheSeedsNumbersComeOut(t *testing.T) {
	one := slo(0.999, 30*experiments.Day)
	minutes := budgets.Of(one, counted(30*experiments.Day, 0, 30*24*60))
	near(t, "minutes that may fail in 30 days", minutes.Budget(), 43.2)

	one.Policy = &experiments.Policy{
		Bands: []experiments.Band{
			{Name: "green", AtLeast: 0.5, Allows: []string{experiments.ForDeploy, experiments.ForGameDay}},
			{Name: "yellow", AtLeast: 0.1, Allows: []string{experiments.ForDeploy}},
			{Name: "red", AtLeast: math.Inf(-1)},
		},
		Unknown: experiments.Band{Name: experiments.UnknownBand},
		Alerts:  []experiments.PolicyAlert{{Below: 0.1, Severity: "critical", Notify: "pagerduty"}, {Below: 0.25, Severity: "warning", Notify: "slack"}},
	}
	for name, c := range map[string]struct {
		bad, total float64
		band       string
		alerts     int
	}{
		"untouched":                     {0, 1e6, "green", 0},
		"exactly half is left":          {500, 1e6, "green", 0},
		"a little less than half":       {501, 1e6, "yellow", 0},
		"a quarter is no alert yet":     {750, 1e6, "yellow", 0},
		"less than a quarter":           {751, 1e6, "yellow", 1},
		"exactly a tenth is yellow":     {900, 1e6, "yellow", 1},
		"less than a tenth":             {901, 1e6, "red", 2},
		"overspent":                     {5000, 1e6, "red", 2},
		"no traffic is not consumption": {0, 0, "unknown", 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := budgets.Of(one, counted(30*experiments.Day, c.bad, c.total))
			band, ok := s.Band()
			if !ok || band.Name != c.band || len(s.Raised()) != c.alerts {
				t.Errorf("band %q (%v), %d alerts; want %q and %d", band.Name, ok, len(s.Raised()), c.band, c.alerts)
			}
		})
	}
	if _, ok := budgets.Of(slo(0.99, experiments.Day), counted(experiments.Day, 0, 1)).Band(); ok {
		t.Error("an SLO without a policy has a band")
	}
}

func TestWhatIsNotKnownIsNeitherZeroNorPerfect(t *testing.T) {
	one := slo(0.999, 30*experiments.Day)
	for name, c := range map[string]struct {
		count experiments.Count
		want  experiments.Condition
	}{
		"no traffic":        {counted(30*experiments.Day, 0, 0), experiments.NoTraffic},
		"no data":           {experiments.Count{At: now, Condition: experiments.NoData, Why: "no series"}, experiments.NoData},
		"away, with counts": {experiments.Count{At: now, Bad: 1, Total: 5, Condition: experiments.Unreachable, Why: "away"}, experiments.Unreachable},
		"NaN":               {counted(30*experiments.Day, math.NaN(), 4), experiments.NotANumber},
		"infinitely many":   {counted(30*experiments.Day, 0, math.Inf(1)), experiments.NotANumber},
	} {
		t.Run(name, func(t *testing.T) {
			s := budgets.Of(one, c.count)
			if s.Known() || s.Condition != c.want || s.Why == "" {
				t.Errorf("condition %q (%q), want %q with a reason", s.Condition, s.Why, c.want)
			}
			for what, v := range map[string]float64{"SLI": s.SLI(), "budget": s.Budget(), "consumed": s.Consumed(), "remaining": s.Remaining(), "burn": s.Burn(0), "so far": s.SoFar()} {
				if !math.IsNaN(v) {
					t.Errorf("%s is %v", what, v)
				}
			}
			if _, ok := s.Exhaustion(1); ok {
				t.Error("it says when the budget will be spent")
			}
			if _, ok := s.Regains(0.5); ok || s.Returns(0) != nil {
				t.Error("it says when the budget comes back")
			}
		})
	}
	if s := budgets.Of(slo(1, experiments.Day), counted(experiments.Day, 0, 10)); s.Known() {
		t.Error("an objective of 100% has a budget")
	}
}

func TestBurnRatesOverWindows(t *testing.T) {
	one := slo(0.999, 30*experiments.Day)
	s := budgets.New(one, budgets.Reading{At: now, Period: counted(30*experiments.Day, 500, 1e6), Windows: []experiments.Count{
		{At: now, Window: time.Hour, Condition: experiments.NoTraffic},
		counted(6*time.Hour, 144, 10000),
		counted(experiments.Day, 0, 40000),
	}})
	near(t, "burn over an hour without traffic", s.Burn(time.Hour), math.NaN())
	near(t, "burn over 6h", s.Burn(6*time.Hour), 14.4)
	near(t, "burn over 1d", s.Burn(experiments.Day), 0)
	near(t, "burn over a window that nobody counted", s.Burn(time.Minute), math.NaN())
	if burn, over := s.Present(); over != 6*time.Hour || math.Abs(burn-14.4) > 1e-9 {
		t.Errorf("the present burn is %v over %v, want 14.4 over 6h", burn, over)
	}
	// The workbook's table: 2% in an hour, 5% in six, 10% in three days.
	near(t, "spent in 1h at 14.4", s.Spent(14.4, time.Hour), 0.02)
	near(t, "spent in 6h at 6", s.Spent(6, 6*time.Hour), 0.05)
	near(t, "spent in 3d at 1", s.Spent(1, 3*experiments.Day), 0.1)
	month := budgets.Of(slo(0.999, 28*experiments.Day), counted(28*experiments.Day, 0, 1))
	near(t, "spent in 1h at 13.44 of 28d", month.Spent(13.44, time.Hour), 0.02)
}

func TestWorseDependenciesAreNamed(t *testing.T) {
	payments, stock, mail, other := slo(0.99, experiments.Day), slo(0.99, experiments.Day), slo(0.99, experiments.Day), slo(0.99, experiments.Day)
	shop := slo(0.99, experiments.Day)
	shop.DependsOn = []*experiments.SLO{payments, stock, mail, other}
	states := map[*experiments.SLO]*budgets.State{
		payments: budgets.Of(payments, counted(experiments.Day, 20, 1000)),
		stock:    budgets.Of(stock, counted(experiments.Day, 1, 1000)),
		mail:     budgets.Unknown(mail, now, experiments.Stale, "its series ended"),
	}
	s := budgets.Of(shop, counted(experiments.Day, 5, 1000))
	worse := s.Worse(states)
	if len(worse) != 2 || worse[0].SLO != payments || worse[1].SLO != mail {
		t.Errorf("worse are %v, want payments and mail", worse)
	}
}

func TestHistoryThatIsShorterThanThePeriodIsSaid(t *testing.T) {
	one := slo(0.999, 30*experiments.Day)
	s := budgets.New(one, budgets.Reading{At: now, Period: counted(30*experiments.Day, 1, 1000), Oldest: now.Add(-12 * experiments.Day)})
	if have, of := s.Covered(); have != 12*experiments.Day || of != 30*experiments.Day {
		t.Errorf("history of %v of %v, want 12d of 30d", have, of)
	}
	if have, of := budgets.Of(one, counted(30*experiments.Day, 1, 1000)).Covered(); have != of {
		t.Errorf("history of %v of %v, want all of it", have, of)
	}
}
