package history

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/gameday-sh/gameday/experiments"
)

func TestTheIntervalOfADifferenceOfSharesIsThatOfItsPaper(t *testing.T) {
	// Newcombe 1998, table II, method 10; here the second share minus the first.
	for _, test := range []struct{ a, n, b, m, low, high float64 }{
		{56, 70, 48, 80, 0.0524, 0.3339},
		{9, 10, 3, 10, 0.1705, 0.8090},
		{10, 10, 0, 20, 0.6791, 1.0000},
		{5, 56, 0, 29, -0.0381, 0.1926},
	} {
		low, high := newcombe(test.b, test.m, test.a, test.n)
		if math.Abs(low-test.low) > 1e-4 || math.Abs(high-test.high) > 1e-4 {
			t.Errorf("%g/%g - %g/%g: %.4f to %.4f, want %.4f to %.4f", test.a, test.n, test.b, test.m, low, high, test.low, test.high)
		}
	}
}

func TestTheIntervalOfAShiftHoldsTheTruthInNinetyFiveOfAHundredRuns(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	const trials, shift = 2000, 0.3
	held := 0
	for range trials {
		a, b := make([]float64, 30), make([]float64, 40)
		for i := range a {
			a[i] = math.Exp(random.NormFloat64())
		}
		for i := range b {
			b[i] = math.Exp(random.NormFloat64()) + shift
		}
		if _, low, high := hodgesLehmann(a, b); low <= shift && shift <= high {
			held++
		}
	}
	// Four standard deviations of a binomial count.
	if got, slack := float64(held)/trials, 4*math.Sqrt(0.95*0.05/trials); math.Abs(got-0.95) > slack {
		t.Errorf("it held the truth in %.3f of the trials, want 0.95 ± %.3f", got, slack)
	}
}

// measured is a run whose probe took these latencies while faults were on.
func measured(latency func(i int) float64, bad int) *experiments.Result {
	r := result("r", "slow", began, experiments.Held)
	at := func(s int) time.Time { return began.Add(time.Duration(s) * time.Second) }
	r.Phases = []experiments.PhaseSpan{
		{Phase: experiments.PhaseBaseline, From: at(0), To: at(10)},
		{Phase: experiments.PhaseDisrupt, From: at(10), To: at(60)},
		{Phase: experiments.PhaseRecover, From: at(60), To: at(61)},
	}
	s := &experiments.Series{Name: "probe.door", Kind: "probe", Unit: "s"}
	for i := range 100 {
		s.At = append(s.At, 10.25+float64(i)*0.5)
		s.Latency = append(s.Latency, latency(i))
		s.Total = append(s.Total, 1)
		s.Bad = append(s.Bad, map[bool]float64{true: 1}[i < bad])
	}
	r.Series = []*experiments.Series{s}
	return r
}

func find(t *testing.T, c *Comparison, what string) Row {
	t.Helper()
	for _, row := range c.Rows {
		if row.What == what {
			return row
		}
	}
	t.Fatalf("there is no row %q in %+v", what, c.Rows)
	return Row{}
}

func TestComparisonsSayBetterWorseSameOrThatNobodyCanTell(t *testing.T) {
	steady := func(i int) float64 { return 0.100 + 0.001*float64(i%7) }
	slower := func(i int) float64 { return 0.150 + 0.001*float64(i%5) }
	wild := func(i int) float64 { return 0.100 * math.Exp(3*math.Sin(float64(i*i))) }
	wilder := func(i int) float64 { return 0.110 * math.Exp(3*math.Cos(float64(i*i))) }
	const latency, errors = "probe.door latency while faults were on", "probe.door bad events while faults were on"
	for _, test := range []struct {
		name          string
		before, after *experiments.Result
		latency, bad  Change
	}{
		{"nothing differs", measured(steady, 0), measured(steady, 0), Same, Same},
		{"slower", measured(steady, 0), measured(slower, 0), Worse, Same},
		{"faster", measured(slower, 0), measured(steady, 0), Better, Same},
		{"too wild to tell", measured(wild, 0), measured(wilder, 0), Unsure, Same},
		{"one more error", measured(steady, 1), measured(steady, 2), Same, Unsure},
		{"many more errors", measured(steady, 1), measured(steady, 30), Same, Worse},
		{"many errors less", measured(steady, 30), measured(steady, 0), Same, Better},
	} {
		c := Compare(test.before, test.after)
		if row := find(t, c, latency); row.Change != test.latency {
			t.Errorf("%s: latency is %+v, want %s", test.name, row, test.latency)
		}
		if row := find(t, c, errors); row.Change != test.bad {
			t.Errorf("%s: bad events are %+v, want %s", test.name, row, test.bad)
		}
	}
}

func TestTooFewMeasurementsAreNoProofOfSameness(t *testing.T) {
	few := func() *experiments.Result {
		r := measured(func(int) float64 { return 0.1 }, 0)
		s := r.Series[0]
		s.At, s.Latency, s.Bad, s.Total = s.At[:5], s.Latency[:5], s.Bad[:5], s.Total[:5]
		return r
	}
	if row := find(t, Compare(few(), few()), "probe.door latency while faults were on"); row.Change != Unsure {
		t.Errorf("five measurements each: %+v", row)
	}
	empty := measured(func(int) float64 { return 0.1 }, 0)
	empty.Series[0].At = nil
	if row := find(t, Compare(measured(func(int) float64 { return 0.1 }, 0), empty), "probe.door bad events while faults were on"); row.Change != Unsure || row.After != "no events" {
		t.Errorf("no event at all: %+v", row)
	}
}

func TestVerdictsAndRecoveryAreCompared(t *testing.T) {
	with := func(verdict experiments.Verdict, after time.Duration, recovery experiments.Verdict) *experiments.Result {
		r := measured(func(int) float64 { return 0.1 }, 0)
		r.Verdict = verdict
		r.Hypotheses = []experiments.HypothesisResult{{Name: "fast", Series: "probe.door", Verdict: verdict, Recovery: &experiments.Judgement{Verdict: recovery}, RecoveredAfter: after}}
		return r
	}
	for _, test := range []struct {
		a, b              *experiments.Result
		verdict, recovery Change
	}{
		{with(experiments.Held, time.Second, experiments.Held), with(experiments.Held, time.Second, experiments.Held), Same, Same},
		{with(experiments.Held, time.Second, experiments.Held), with(experiments.Refuted, 0, experiments.Refuted), Worse, Worse},
		{with(experiments.Refuted, 0, experiments.Refuted), with(experiments.Held, time.Second, experiments.Held), Better, Better},
		{with(experiments.Held, time.Second, experiments.Held), with(experiments.Held, 9*time.Second, experiments.Held), Same, Worse},
		{with(experiments.Held, time.Second, experiments.Held), with(experiments.Held, 2*time.Second, experiments.Held), Same, Unsure},
		{with(experiments.Inconclusive, 0, experiments.Inconclusive), with(experiments.Inconclusive, 0, experiments.Inconclusive), Unsure, Unsure},
		{with(experiments.Aborted, time.Second, experiments.Held), with(experiments.Refuted, time.Second, experiments.Held), Better, Same},
	} {
		c := Compare(test.a, test.b)
		if row := find(t, c, "verdict"); row.Change != test.verdict {
			t.Errorf("%s -> %s is %s, want %s", test.a.Verdict, test.b.Verdict, row.Change, test.verdict)
		}
		if row := find(t, c, `recovery of "fast"`); row.Change != test.recovery {
			t.Errorf("recovery %+v, want %s", row, test.recovery)
		}
	}
	changed := with(experiments.Held, time.Second, experiments.Held)
	changed.Digest, changed.Seed = "sha256:2", 9
	if notes := strings.Join(Compare(with(experiments.Held, 0, experiments.Held), changed).Notes, "\n"); !strings.Contains(notes, "text of the scenario has changed") || !strings.Contains(notes, "seeds differ") {
		t.Errorf("the notes are %q", notes)
	}
}
