package experiments

import (
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// track makes a track with a measurement a second.
func track(samples ...Sample) (*Track, time.Time, time.Time) {
	began := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	h := NewHistory(began, nil, nil)
	p := &Probed{Name: "door"}
	for i, s := range samples {
		s.At = began.Add(time.Duration(i+1) * time.Second)
		h.AddSample(p, s)
	}
	return h.Probe(p), began, began.Add(time.Hour)
}

func several(n int, s Sample) []Sample {
	list := make([]Sample, n)
	for i := range list {
		list[i] = s
	}
	return list
}

func TestSilenceIsNeverHeldAndAFailureIsNeverHidden(t *testing.T) {
	good := Sample{Counted: true, Good: true, Took: 100 * time.Millisecond, Value: 5}
	bad := Sample{Counted: true, Took: time.Second, Value: math.NaN(), Why: "503"}
	high := Sample{Counted: true, Good: true, Took: 2 * time.Second, Value: 50}
	broken := Sample{Condition: Broken, Why: "no such command", Value: math.NaN()}
	missed := Sample{Condition: NotAsked, Value: math.NaN()}
	mute := Sample{Value: math.NaN()}
	quick := Limit{Kind: QuantileAtMost, Quantile: 0.9, Value: 1}
	low := Limit{Kind: ValueAtMost, Value: 10}
	ratio := Limit{Kind: GoodRatio, Ratio: 0.9}
	for _, test := range []struct {
		name    string
		limit   Limit
		samples [][]Sample
		want    Verdict
		says    string
	}{
		{"nothing was measured", Limit{Kind: EverySample}, nil, Inconclusive, "needs 1 more"},
		{"nothing could be read", Limit{Kind: EverySample}, [][]Sample{several(9, broken)}, Inconclusive, "no such command"},
		{"the probe gives no number", low, [][]Sample{several(9, mute)}, Inconclusive, "no number"},
		{"the probe counts no event", ratio, [][]Sample{several(9, mute)}, Inconclusive, "no traffic"},
		{"all good", Limit{Kind: EverySample}, [][]Sample{several(9, good)}, Held, "all 9"},
		{"a few unreadable", Limit{Kind: EverySample}, [][]Sample{several(99, good), several(5, broken)}, Held, "5 others could not be read"},
		{"too many unreadable", Limit{Kind: EverySample}, [][]Sample{several(99, good), several(6, broken)}, Inconclusive, "6 of 105"},
		{"one bad among unreadable ones", Limit{Kind: EverySample}, [][]Sample{several(9, broken), several(1, bad)}, Refuted, "1 of 1 measurement failed"},
		{"one not asked", Limit{Kind: EverySample}, [][]Sample{several(99, good), several(1, missed)}, Inconclusive, "not asked"},
		{"one bad and one not asked", Limit{Kind: EverySample}, [][]Sample{several(1, bad), several(1, missed)}, Refuted, "failed"},
		{"fast", quick, [][]Sample{several(9, good), several(1, bad)}, Held, "p90 100ms"},
		{"a failure is not fast", quick, [][]Sample{several(8, good), several(2, bad)}, Refuted, "without a good answer"},
		{"fast, even if those not asked had been slow", quick, [][]Sample{several(96, good), several(4, missed)}, Held, "p90 100ms"},
		{"fast, unless those not asked had been slow", quick, [][]Sample{several(96, good), several(11, missed)}, Inconclusive, "not asked"},
		{"slow, even if those not asked had been fast", quick, [][]Sample{several(5, high), several(5, missed)}, Refuted, "p90 2s"},
		{"slow, unless those not asked had been fast", quick, [][]Sample{several(10, good), several(2, high), several(20, missed)}, Inconclusive, "not asked"},
		{"one value above, among unreadable ones", low, [][]Sample{several(9, broken), several(1, high)}, Refuted, "highest 50"},
		{"a ratio with enough events", ratio, [][]Sample{several(60, good)}, Held, "100%"},
		{"a ratio that those not asked could break", ratio, [][]Sample{several(60, good), several(5, missed)}, Inconclusive, "5 more could not be asked"},
		{"a ratio that those not asked cannot break", ratio, [][]Sample{several(200, good), several(5, missed)}, Held, "5 more could not be asked"},
		{"a ratio that those not asked cannot mend", ratio, [][]Sample{several(60, bad), several(5, missed)}, Refuted, "0% of 60"},
		{"a ratio that those not asked could mend", ratio, [][]Sample{several(20, bad), several(400, missed)}, Inconclusive, "400 more"},
		{"a ratio of which too much could not be read", ratio, [][]Sample{several(60, good), several(10, broken)}, Inconclusive, "10 more could not be read"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var all []Sample
			for _, list := range test.samples {
				all = append(all, list...)
			}
			h := &Hypothesis{Name: "h", Probe: &Probed{Name: "door"}, Limit: test.limit, Confidence: 0.95, MinSamples: 1}
			tr, from, to := track(all...)
			j := h.judgeSamples(PhaseDisrupt, from.Add(-time.Minute), to, tr) // slow ones began before it
			if j.Verdict != test.want || !strings.Contains(j.Text, test.says) {
				t.Errorf("%s: %q; want %s and %q", j.Verdict, j.Text, test.want, test.says)
			}
		})
	}
}

// What was not asked never turns a verdict round, whatever its answers had been.
func TestAVerdictStandsWhateverWasNotAsked(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.SampledFrom([]Limit{
			{Kind: EverySample}, {Kind: QuantileAtMost, Quantile: 0.9, Value: 1}, {Kind: QuantileAtMost, Quantile: 0.5, Value: 1}, {Kind: GoodRatio, Ratio: 0.9}, {Kind: GoodRatio, Ratio: 0.5},
		}).Draw(t, "limit")
		h := &Hypothesis{Name: "h", Probe: &Probed{Name: "door"}, Limit: limit, Confidence: 0.95, MinSamples: 1}
		var seen, truth []Sample
		for range rapid.IntRange(1, 80).Draw(t, "samples") {
			s := Sample{Counted: true, Good: rapid.IntRange(0, 9).Draw(t, "good") > 1, Took: time.Duration(rapid.IntRange(1, 20).Draw(t, "took")) * 100 * time.Millisecond, Value: math.NaN()}
			truth = append(truth, s)
			if rapid.IntRange(0, 5).Draw(t, "asked") == 0 {
				s = Sample{Condition: NotAsked, Value: math.NaN()}
			}
			seen = append(seen, s)
		}
		// Each began when it was known, so that the window holds all of them.
		asked, from, to := track(seen...)
		all, _, _ := track(truth...)
		from = from.Add(-time.Minute)
		got, want := h.judgeSamples(PhaseDisrupt, from, to, asked), h.judgeSamples(PhaseDisrupt, from, to, all)
		if got.Verdict == Held && want.Verdict != Held || got.Verdict == Refuted && want.Verdict != Refuted {
			t.Fatalf("judged %s (%s), and with all answers %s (%s)", got.Verdict, got.Text, want.Verdict, want.Text)
		}
	})
}

func TestMeasurementsCountWhenTheyBegan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var samples []Sample
		for range rapid.IntRange(0, 60).Draw(t, "samples") {
			samples = append(samples, Sample{
				Counted: true, Good: rapid.Bool().Draw(t, "good"), Took: time.Duration(rapid.IntRange(0, 200).Draw(t, "took")) * 100 * time.Millisecond,
				Condition: rapid.SampledFrom([]Condition{OK, OK, OK, Broken, NotAsked}).Draw(t, "condition"),
			})
		}
		tr, began, _ := track(samples...)
		from := began.Add(time.Duration(rapid.IntRange(-50, 700).Draw(t, "from")) * 100 * time.Millisecond)
		to := from.Add(time.Duration(rapid.IntRange(0, 400).Draw(t, "length")) * 100 * time.Millisecond)
		var want Count
		for i, s := range samples {
			start := began.Add(time.Duration(i+1)*time.Second - s.Took)
			if !start.After(from) || start.After(to) {
				continue
			}
			switch {
			case s.Condition == NotAsked:
				want.Missed++
			case s.Condition != OK:
				want.Unread++
			default:
				want.Total++
				if !s.Good {
					want.Bad++
				}
			}
		}
		got := tr.countBegun(from, to)
		if got.Bad != want.Bad || got.Total != want.Total || got.Missed != want.Missed || got.Unread != want.Unread {
			t.Fatalf("counted %+v, want %+v", got, want)
		}
		if (got.Condition == OK) != (want.Total > 0) {
			t.Fatalf("condition %q of %+v", got.Condition, got)
		}
	})
}

func TestACountThatComesLateTakesItsPlace(t *testing.T) {
	began := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	s := &SLO{Name: "s"}
	h := NewHistory(began, nil, []*SLO{s})
	for _, second := range []int{1, 3, 2} {
		h.AddCount(s, SinceInjection, Count{At: began.Add(time.Duration(second) * time.Second), Bad: float64(second)})
	}
	if got := h.Latest(s, SinceInjection); got.Bad != 3 {
		t.Errorf("the newest count is %+v", got)
	}
}

func TestColumnsOfNumbersAreReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		column := Floats(rapid.SliceOf(rapid.OneOf(rapid.Float64(), rapid.SampledFrom([]float64{math.NaN(), math.Inf(1), math.Inf(-1), 0, 1e-300}))).Draw(t, "column"))
		text, err := column.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		var back Floats
		if err := back.UnmarshalJSON(text); err != nil || len(back) != len(column) {
			t.Fatalf("%s: %v", text, err)
		}
		for i, number := range column {
			known := !math.IsNaN(number) && !math.IsInf(number, 0)
			if known && back[i] != number || !known && !math.IsNaN(back[i]) {
				t.Fatalf("%v became %v", number, back[i])
			}
		}
	})
	for _, text := range []string{"", "[", "]", "{}", "[,1]", "[1 2]", "[\"1\"]", "[1,,2]", "7"} {
		var back Floats
		if err := back.UnmarshalJSON([]byte(text)); err == nil {
			t.Errorf("%q was read as %v", text, back)
		}
	}
}
