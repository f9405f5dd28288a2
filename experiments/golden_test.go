package experiments

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

// shopSignals are signals with a target each, and a history that is a minute into its
// faults after a baseline of a minute.
func shopSignals() (*GoldenSignals, *History) {
	g := &GoldenSignals{Name: "checkout", During: true, RecoverWithin: time.Minute, Hold: 3 * time.Second}
	for _, one := range []struct {
		name   SignalName
		text   string
		limit  Limit
		window time.Duration
	}{
		{Latency, "p95 latency at most 500ms", Limit{Kind: ValueAtMost, Value: 0.5}, 5 * time.Second},
		{Traffic, "traffic keeps 50% of the baseline", Limit{Kind: ValueKeeps, Ratio: 0.5}, 5 * time.Second},
		{Errors, "errors at most 0.1%", Limit{Kind: ValueAtMost, Value: 0.001}, 5 * time.Second},
		{Saturation, "saturation at most 70%", Limit{Kind: ValueAtMost, Value: 0.7}, 0},
	} {
		g.Signals = append(g.Signals, &Signal{Name: one.name, Targets: []Target{{one.text, one.limit}},
			Probed: &Probed{Name: "checkout." + string(one.name), Series: "golden_signals.checkout." + string(one.name), Unit: one.name.Unit(), Window: one.window, Every: time.Second}})
	}
	began := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	h := NewHistory(began, nil, nil)
	h.Injected = began.Add(time.Minute)
	return g, h
}

// read puts a reading a second into the history, from so many seconds on.
func (s *Signal) read(h *History, from int, samples ...[]Sample) {
	for i, sample := range slices.Concat(samples...) {
		sample.At = h.Began.Add(time.Duration(from+i+1) * time.Second)
		h.AddSample(s.Probed, sample)
	}
}

func TestAHypothesisIsMadeOfEachTarget(t *testing.T) {
	g, _ := shopSignals()
	var names, statements []string
	for _, h := range g.Hypotheses() {
		names, statements = append(names, h.Name), append(statements, h.Statement())
		if !h.During || h.RecoverWithin != time.Minute || h.Hold != 3*time.Second || h.Confidence != 0.95 {
			t.Errorf("%s: %+v", h.Name, h)
		}
	}
	want := []string{
		"checkout: p95 latency at most 500ms", "checkout: traffic keeps 50% of the baseline", "checkout: errors at most 0.1%", "checkout: saturation at most 70%",
	}
	if !slices.Equal(names, want) {
		t.Errorf("names %q", names)
	}
	said := []string{
		"golden_signals.checkout.latency is at most 500ms",
		"golden_signals.checkout.traffic keeps at least 50% of its mean in the baseline",
		"at least 99.9% of the events of golden_signals.checkout.errors are good",
		"golden_signals.checkout.saturation is at most 70%",
	}
	if !slices.Equal(statements, said) {
		t.Errorf("statements %q", statements)
	}
}

func TestGoldenSignalsAreJudged(t *testing.T) {
	value := func(v float64) Sample { return Sample{Value: v} }
	not := func(c Condition) Sample { return Sample{Condition: c, Value: math.NaN(), Why: "so it is"} }
	type samples = [][]Sample
	for _, test := range []struct {
		name              string
		signal            SignalName
		before, during    samples // of the signal
		rates, ratesAfter samples // of traffic, for errors
		phase             Phase
		want              Verdict
		says              string
	}{
		{name: "traffic stays", signal: Traffic, before: samples{several(60, value(100))}, during: samples{several(60, value(51))}, want: Held, says: "lowest 51 requests/s over 60 measurements, at least 50 requests/s asked, which is 50% of the baseline's 100 requests/s"},
		{name: "much traffic", signal: Traffic, before: samples{several(60, value(10_000))}, during: samples{several(60, value(1_234_567))}, want: Held, says: "lowest 1,234,567 requests/s over 60 measurements, at least 5,000 requests/s asked"},
		{name: "traffic drops for a moment", signal: Traffic, before: samples{several(60, value(100))}, during: samples{several(59, value(100)), several(1, value(40))}, want: Refuted, says: "lowest 40"},
		{name: "thin traffic is low now and then", signal: Traffic, before: samples{several(60, value(4))}, during: samples{several(59, value(4)), several(1, value(1.8))}, want: Inconclusive, says: "by chance as low as that now and then, with 20 events in a window of 5s: write a longer window"},
		{name: "thin traffic is low all the time", signal: Traffic, before: samples{several(60, value(4))}, during: samples{several(60, value(1.2))}, want: Refuted, says: "lowest 1.2 requests/s"},
		{name: "thin traffic is gone for a window", signal: Traffic, before: samples{several(60, value(4))}, during: samples{several(59, value(4)), several(1, value(0))}, want: Refuted, says: "lowest 0 requests/s"},
		{name: "traffic is zero", signal: Traffic, before: samples{several(60, value(100))}, during: samples{several(60, value(0))}, want: Refuted, says: "lowest 0 requests/s"},
		{name: "the service vanishes", signal: Traffic, before: samples{several(60, value(100))}, during: samples{several(60, not(Stale))}, want: Inconclusive, says: "stale: so it is"},
		{name: "the service vanishes for one reading of sixty", signal: Traffic, before: samples{several(60, value(100))}, during: samples{several(59, value(100)), several(1, not(Stale))}, want: Inconclusive, says: "1 of 60 measurements could not be read"},
		{name: "the server hiccups for one reading of sixty", signal: Traffic, before: samples{several(60, value(100))}, during: samples{several(59, value(100)), several(1, not(Unreachable))}, want: Held, says: "1 other could not be read"},
		{name: "no baseline", signal: Traffic, before: samples{several(60, not(Unreachable))}, during: samples{several(60, value(100))}, want: Inconclusive, says: "no value to keep a share of"},
		{name: "a baseline without traffic", signal: Traffic, before: samples{several(60, value(0))}, during: samples{several(60, value(0))}, want: Inconclusive, says: "the baseline had 0 requests/s"},
		{name: "in the baseline itself", signal: Traffic, phase: PhaseBaseline, before: samples{several(5, not(TooEarly)), several(55, value(100))}, want: Held, says: "lowest 100"},
		{name: "a baseline that swings", signal: Traffic, phase: PhaseBaseline, before: samples{several(30, value(100)), several(1, value(10)), several(29, value(100))}, want: Refuted, says: "lowest 10"},
		{name: "a baseline in which the window fills", signal: Traffic, phase: PhaseBaseline, before: samples{several(5, not(TooEarly))}, want: Inconclusive, says: "too early to be read"},
		{name: "a window that fills later is a gap", signal: Latency, during: samples{several(50, value(0.1)), several(10, not(TooEarly))}, want: Inconclusive, says: "10 of 60"},
		{name: "latency as asked", signal: Latency, during: samples{several(60, value(0.5))}, want: Held, says: "highest 500ms over 60 measurements, at most 500ms asked"},
		{name: "saturation", signal: Saturation, during: samples{several(59, value(0.2)), several(1, value(0.71))}, want: Refuted, says: "highest 71% over 60 measurements, at most 70% asked"},

		{name: "one error in a long phase", signal: Errors, during: samples{several(30, value(0)), several(5, value(0.002)), several(25, value(0))}, rates: samples{several(120, value(1000))}, want: Held, says: "99.982% of 60,000 events good"},
		{name: "errors all the time", signal: Errors, during: samples{several(60, value(0.004))}, rates: samples{several(120, value(100))}, want: Refuted, says: "99.6% of 6,000 events good"},
		{name: "no error among too few", signal: Errors, during: samples{several(60, value(0))}, rates: samples{several(120, value(10))}, want: Inconclusive, says: "100% of 600 events good, at least 99.9% asked; too few to be 95% sure, needs 2,395 more"},
		{name: "a burst while there is much traffic weighs more", signal: Errors, during: samples{several(50, value(0)), several(10, value(0.01))}, rates: samples{several(110, value(10)), several(10, value(1000))}, want: Refuted, says: "99."},
		{name: "the first readings speak of the time before the fault", signal: Errors, during: samples{several(5, value(0)), several(55, value(0.0013))}, rates: samples{several(120, value(1000))}, want: Refuted, says: "99.87% of 60,000"},
		{name: "no traffic has no errors and no verdict", signal: Errors, during: samples{several(60, not(NoTraffic))}, rates: samples{several(60, value(100)), several(60, value(0))}, want: Inconclusive, says: "no traffic: so it is"},
		{name: "errors that could not be read", signal: Errors, during: samples{several(50, value(0)), several(10, not(Stale))}, rates: samples{several(120, value(1000))}, want: Inconclusive, says: "too many were not read"},
		{name: "no rate, no events", signal: Errors, during: samples{several(60, value(0))}, rates: samples{several(120, not(Stale))}, want: Inconclusive, says: "too early"},
		{name: "no reading at all", signal: Errors, want: Inconclusive, says: "no measurement in this window"},
	} {
		t.Run(test.name, func(t *testing.T) {
			g, history := shopSignals()
			s := g.Find(test.signal)
			s.read(history, 0, test.before...)
			s.read(history, 60, test.during...)
			if test.signal == Errors {
				g.Find(Traffic).read(history, 0, slices.Concat(test.rates, test.ratesAfter)...)
			}
			i := slices.IndexFunc(g.Hypotheses(), func(h *Hypothesis) bool { return h.Probe == s.Probed })
			h := g.Hypotheses()[i]
			phase, from, to := PhaseDisrupt, history.Injected, history.Injected.Add(time.Minute)
			if test.phase == PhaseBaseline {
				phase, from, to = PhaseBaseline, history.Began, history.Injected
			}
			r := &runner{history: history}
			j := r.judge(h, phase, from, to, SinceInjection)
			if j.Verdict != test.want || !strings.Contains(j.Text, test.says) {
				t.Errorf("%s (%s), want %s (... %s ...)", j.Verdict, j.Text, test.want, test.says)
			}
		})
	}
}

func TestTheBaselinesMeanEndsWithTheInjection(t *testing.T) {
	g, h := shopSignals()
	s := g.Find(Traffic)
	if mean := h.BaselineMean(s.Probed); !math.IsNaN(mean) {
		t.Errorf("of nothing: %v", mean)
	}
	s.read(h, 0, several(10, Sample{Value: 10}), several(10, Sample{Condition: Stale, Value: math.NaN()}), several(10, Sample{Value: 30}))
	s.read(h, 60, several(10, Sample{Value: 1000}))
	if mean := h.BaselineMean(s.Probed); mean != 20 {
		t.Errorf("mean %v, want 20", mean)
	}
	h.Injected = time.Time{}
	if mean := h.BaselineMean(s.Probed); mean != (10*10+10*30+10*1000)/30. {
		t.Errorf("before the injection all counts: %v", mean)
	}
}

func TestASignalKeepsItsNameInARebuiltResult(t *testing.T) {
	began := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	value := Float(0.5)
	sample := func(series string) Event {
		return Event{Type: EventSample, At: began, Series: series, Sample: &Sample{At: began}, Value: &value}
	}
	r := Rebuild([]Event{sample("golden_signals.checkout.traffic"), sample("probe.front_door")}, false)
	var names []string
	for _, s := range r.Series {
		names = append(names, s.Name)
	}
	if !slices.Equal(names, []string{"golden_signals.checkout.traffic", "probe.front_door"}) {
		t.Errorf("%q", names)
	}
}
