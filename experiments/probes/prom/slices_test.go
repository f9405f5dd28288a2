package prom

import (
	"fmt"
	"io"
	"math"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/promtest"
)

// stretch is some seconds of a series that is read once a second: a counter that rises
// by that much a second, a gauge with that value, or nothing.
type stretch struct {
	seconds int
	by      float64
	gone    bool
}

func counterOf(stretches ...stretch) []float64 {
	var values []float64
	sum := 0.0
	for _, s := range stretches {
		for range s.seconds {
			sum += s.by
			values = append(values, sum)
			if s.gone {
				values[len(values)-1] = math.NaN()
			}
		}
	}
	return values
}

func gaugeOf(stretches ...stretch) []float64 {
	var values []float64
	for _, s := range stretches {
		for range s.seconds {
			values = append(values, s.by)
			if s.gone {
				values[len(values)-1] = math.NaN()
			}
		}
	}
	return values
}

// history is a real server with samples: one each second, up to end. NaN is no sample.
func history(t *testing.T, end time.Time, step time.Duration, series map[string][]float64, flags ...string) string {
	t.Helper()
	var text strings.Builder
	for name, values := range series {
		for i, value := range values {
			if !math.IsNaN(value) {
				at := end.Add(-time.Duration(len(values)-1-i) * step)
				fmt.Fprintf(&text, "%s %g %.3f\n", name, value, float64(at.UnixMilli())/1000)
			}
		}
	}
	text.WriteString("# EOF\n")
	data := filepath.Join(t.TempDir(), "data")
	promtest.Import(t, func(w io.Writer) error {
		_, err := io.WriteString(w, text.String())
		return err
	}, data)
	return promtest.With(t, data, "global: {}\n", flags...)
}

// Slices of 10 s over the last minute: those that end 50, 40, 30, 20, 10 and 0 seconds
// before now. "m" in front of a name stands for a name of the case's own.
func TestSlicesAreCountedOrTheConditionSaysWhyNot(t *testing.T) {
	t.Parallel()
	type data map[string][]float64
	steady := func(by float64) []float64 { return counterOf(stretch{seconds: 300, by: by}) }
	least, most, none := pointerTo(5.0), pointerTo(100.0), pointerTo(0.0)
	objective, whole := pointerTo(experiments.Percent(0.95)), pointerTo(experiments.Percent(1))
	const bad, all = `sum(rate(m_total{code="500"}[$slice]))`, `sum(rate(m_total[$slice]))`
	outage := data{`m_total{code="200"}`: counterOf(stretch{seconds: 260, by: 10}, stretch{seconds: 20}, stretch{seconds: 20, by: 10}),
		`m_total{code="500"}`: counterOf(stretch{seconds: 260}, stretch{seconds: 20, by: 10}, stretch{seconds: 20})}
	cases := []struct {
		name       string
		data       data
		sli        Counted
		bad, total float64
		condition  experiments.Condition
		why        string
	}{
		{"events: all good, no bad series", data{`m_total{code="200"}`: steady(10)}, &TimeSlice{Bad: bad, Total: all, SliceObjective: objective}, 0, 6, "", ""},
		{"events: an outage of two slices", outage, &TimeSlice{Bad: bad, Total: all, SliceObjective: objective}, 2, 6, "", ""},
		{"events: by the good ones", outage, &TimeSlice{Good: `sum(rate(m_total{code="200"}[$slice]))`, Total: all, SliceObjective: objective}, 2, 6, "", ""},
		{"events: rate beside increase", outage, &TimeSlice{Bad: `sum(increase(m_total{code="500"}[$slice]))`, Total: all, SliceObjective: objective}, 2, 6, "", ""},
		{"events: with a comment", outage, &TimeSlice{Bad: bad + " # errors", Total: all + " # all", SliceObjective: objective}, 2, 6, "", ""},
		{"events: a slice is good at exactly its objective", data{`m_total{code="200"}`: steady(19), `m_total{code="500"}`: steady(1)}, &TimeSlice{Bad: bad, Total: all, SliceObjective: objective}, 0, 6, "", ""},
		{"events: and bad below it", data{`m_total{code="200"}`: steady(18), `m_total{code="500"}`: steady(1)}, &TimeSlice{Bad: bad, Total: all, SliceObjective: objective}, 6, 6, "", ""},
		{"events: one bad event is too much for 100%", outage, &TimeSlice{Bad: bad, Total: all, SliceObjective: whole}, 2, 6, "", ""},
		{"events: nothing failed where nothing happened", data{`m_total{code="200"}`: counterOf(stretch{seconds: 260, by: 10}, stretch{seconds: 20}, stretch{seconds: 20, by: 10})}, &TimeSlice{Bad: bad, Total: all, SliceObjective: objective}, 0, 6, "", ""},
		{"events: slices without data do not count", data{`m_total{code="200"}`: counterOf(stretch{seconds: 255, by: 10}, stretch{seconds: 30, gone: true}, stretch{seconds: 15, by: 10})}, &TimeSlice{Bad: bad, Total: all, SliceObjective: objective}, 0, 4, "", ""},
		{"events: what ended is stale", data{`m_total{code="200"}`: counterOf(stretch{seconds: 280, by: 10}, stretch{seconds: 20, gone: true})}, &TimeSlice{Bad: bad, Total: all, SliceObjective: objective}, 0, 0, experiments.Stale, "total"},
		{"events: what never was is no data", nil, &TimeSlice{Bad: bad, Total: all, SliceObjective: objective}, 0, 0, experiments.NoData, "no series"},
		{"events: a label that does not exist", data{`m_total{code="200"}`: steady(10)}, &TimeSlice{Bad: `sum(rate(m_total{status="500"}[$slice]))`, Total: all, SliceObjective: objective}, 0, 0, experiments.NoData, `"status"`},
		{"events: a metric that does not exist", data{`m_total{code="200"}`: steady(10)}, &TimeSlice{Bad: `sum(rate(m_erors_total[$slice]))`, Total: all, SliceObjective: objective}, 0, 0, experiments.NoData, "does not exist"},
		{"events: one that the person says may be absent", data{`m_total{code="200"}`: steady(10)}, &TimeSlice{Bad: `sum(rate(m_erors_total[$slice])) or vector(0)`, Total: all, SliceObjective: objective}, 0, 6, "", ""},
		{"number: within its bounds", data{`m_queue`: gaugeOf(stretch{seconds: 300, by: 100})}, &TimeSlice{Query: `max(m_queue)`, AtMost: most, AtLeast: least}, 0, 6, "", ""},
		{"number: above and below", data{`m_queue`: gaugeOf(stretch{seconds: 245, by: 101}, stretch{seconds: 20, by: 50}, stretch{seconds: 35, by: 4})}, &TimeSlice{Query: `max(m_queue)`, AtMost: most, AtLeast: least}, 4, 6, "", ""},
		{"number: of a slice", data{`m_queue`: gaugeOf(stretch{seconds: 255, by: 0}, stretch{seconds: 1, by: 200}, stretch{seconds: 44, by: 0})}, &TimeSlice{Query: `max_over_time(m_queue[$slice])`, AtMost: most}, 1, 6, "", ""},
		{"number: at most 0", data{`m_queue`: gaugeOf(stretch{seconds: 265, by: 0}, stretch{seconds: 35, by: 1})}, &TimeSlice{Query: `m_queue`, AtMost: none}, 4, 6, "", ""},
		{"number: one of several series is out of bounds", data{`m_queue{a="1"}`: gaugeOf(stretch{seconds: 300, by: 1}), `m_queue{a="2"}`: gaugeOf(stretch{seconds: 300, by: 200})}, &TimeSlice{Query: `m_queue`, AtMost: most}, 6, 6, "", ""},
		{"number: infinity is one", data{`m_queue`: gaugeOf(stretch{seconds: 300, by: 1})}, &TimeSlice{Query: `max(m_queue) / 0`, AtMost: most}, 6, 6, "", ""},
		{"number: NaN keeps no bound", data{`m_queue`: gaugeOf(stretch{seconds: 300, by: 0})}, &TimeSlice{Query: `max(m_queue) / max(m_queue)`, AtMost: most}, 0, 0, experiments.NoData, "NaN"},
		{"number: NaN for a while", data{`m_queue`: gaugeOf(stretch{seconds: 265, by: 0}, stretch{seconds: 35, by: 2})}, &TimeSlice{Query: `max(m_queue) / max(m_queue)`, AtMost: most}, 0, 4, "", ""},
		{"traffic: enough", data{`m_total`: steady(10)}, &Throughput{Query: `sum(rate(m_total[$slice]))`, AtLeast: 8}, 0, 6, "", ""},
		{"traffic: exactly the floor", data{`m_total`: steady(8)}, &Throughput{Query: `sum(rate(m_total[$slice]))`, AtLeast: 8}, 0, 6, "", ""},
		{"traffic: too little", data{`m_total`: steady(7)}, &Throughput{Query: `sum(rate(m_total[$slice]))`, AtLeast: 8}, 6, 6, "", ""},
		{"traffic: several series add up", data{`m_total{a="1"}`: steady(5), `m_total{a="2"}`: steady(5)}, &Throughput{Query: `rate(m_total[$slice]) # each`, AtLeast: 8}, 0, 6, "", ""},
		{"traffic: stops for two slices", data{`m_total`: counterOf(stretch{seconds: 260, by: 10}, stretch{seconds: 20}, stretch{seconds: 20, by: 10})}, &Throughput{Query: `sum(rate(m_total[$slice]))`, AtLeast: 8}, 2, 6, "", ""},
		{"traffic: the series vanishes and comes back", data{`m_total`: counterOf(stretch{seconds: 255, by: 10}, stretch{seconds: 30, gone: true}, stretch{seconds: 15, by: 10})}, &Throughput{Query: `sum(rate(m_total[$slice]))`, AtLeast: 8}, 4, 6, "", ""},
		{"traffic: the series vanishes for good", data{`m_total`: counterOf(stretch{seconds: 275, by: 10}, stretch{seconds: 25, gone: true})}, &Throughput{Query: `sum(rate(m_total[$slice]))`, AtLeast: 8}, 3, 6, "", ""},
		{"traffic: gone for the whole window", data{`m_total`: counterOf(stretch{seconds: 220, by: 10}, stretch{seconds: 80, gone: true})}, &Throughput{Query: `sum(rate(m_total[$slice]))`, AtLeast: 8}, 0, 0, experiments.Stale, "ended"},
		{"traffic: a metric that never was", nil, &Throughput{Query: `sum(rate(m_totl[$slice]))`, AtLeast: 8}, 0, 0, experiments.NoData, "no series"},
		{"traffic: a label that does not exist", data{`m_total`: steady(10)}, &Throughput{Query: `sum(rate(m_total{route!="/health"}[$slice]))`, AtLeast: 8}, 0, 0, experiments.NoData, `"route"`},
		{"latency: a whole bound in both spellings", data{`m_count{a="1"}`: steady(10), `m_bucket{a="1",le="1"}`: steady(9), `m_count{a="2"}`: steady(10), `m_bucket{a="2",le="1.0"}`: steady(8)}, &Latency{Histogram: `m`, Within: time.Second}, 180, 1200, "", ""},
		{"latency: milliseconds", data{`m_count`: steady(10), `m_bucket{le="500"}`: steady(9)}, &Latency{Histogram: `m`, Within: 500 * time.Millisecond, Unit: "milliseconds"}, 60, 600, "", ""},
		{"latency: a million", data{`m_count`: steady(10), `m_bucket{le="1e+06"}`: steady(9)}, &Latency{Histogram: `m`, Within: 1000 * time.Second, Unit: "milliseconds"}, 60, 600, "", ""},
		{"latency: a hundred thousandth", data{`m_count`: steady(10), `m_bucket{le="1e-05"}`: steady(9)}, &Latency{Histogram: `m`, Within: 10 * time.Microsecond}, 60, 600, "", ""},
		{"latency: all of them are slow", data{`m_count`: steady(10), `m_bucket{le="0.5"}`: steady(0)}, &Latency{Histogram: `m`, Within: 500 * time.Millisecond}, 600, 600, "", ""},
		{"latency: no such bucket", data{`m_count`: steady(10), `m_bucket{le="0.25"}`: steady(9), `m_bucket{le="+Inf"}`: steady(10)}, &Latency{Histogram: `m`, Within: 500 * time.Millisecond}, 0, 0, experiments.NoData, "there is: 0.25, +Inf"},
		{"events: good and total", outage, &Events{Good: `sum(rate(m_total{code="200"}[$window]))`, Total: `sum(rate(m_total[$window]))`}, 200, 600, "", ""},
		{"events: good that is absent", data{`m_total{code="500"}`: steady(10)}, &Events{Good: `sum(rate(m_total{code="200"}[$window]))`, Total: `sum(rate(m_total[$window]))`}, 600, 600, "", ""},
		{"events: bad that is absent", data{`m_total{code="200"}`: steady(10)}, &Events{Bad: `sum(increase(m_total{code="500"}[$window]))`, Total: `sum(rate(m_total[$window])) # all`}, 0, 600, "", ""},
		{"events: absent means none, but not of what never was", nil, &Events{Bad: `sum(rate(m_total{code="500"}[$window])) or vector(0)`, Total: `sum(rate(m_total[$window]))`}, 0, 0, experiments.NoData, "no series"},
		{"events: not summed", data{`m_total{code="200"}`: steady(10)}, &Events{Bad: `rate(m_total{code="500"}[$window]) or vector(0)`, Total: `rate(m_total[$window])`}, 0, 600, "", ""},
	}

	inside := start(t)
	every := map[string][]float64{}
	own := func(i int, text string) string {
		return strings.ReplaceAll(text, "m_", fmt.Sprintf("m%d_", i))
	}
	for i, test := range cases {
		for name, values := range test.data {
			name = own(i, name)
			every[name] = values
			inside.ago(t, 0, name, values...)
		}
		switch sli := test.sli.(type) {
		case *TimeSlice:
			sli.Slice, sli.Bad, sli.Good, sli.Total, sli.Query = 10*time.Second, own(i, sli.Bad), own(i, sli.Good), own(i, sli.Total), own(i, sli.Query)
		case *Throughput:
			sli.Slice, sli.Query = 10*time.Second, own(i, sli.Query)
		case *Latency:
			sli.Histogram = fmt.Sprintf("m%d", i)
		case *Events:
			sli.Bad, sli.Good, sli.Total = own(i, sli.Bad), own(i, sli.Good), own(i, sli.Total)
		}
	}
	pace := time.Second
	real := dial(t, &Prometheus{URL: history(t, now, time.Second, every, "--query.lookback-delta=5s"), ScrapeInterval: &pace})
	eventually(t, "the server has its blocks", func() bool {
		answer, err := real.Query(t.Context(), `count({__name__=~"m[0-9].*"})`, now)
		return err == nil && len(answer.Points) == 1
	})
	// Not where a slice ends: servers before 3.0 count the one that ends at the window's
	// begin as well.
	at := now.Add(300 * time.Millisecond)
	for _, test := range cases {
		for place, p := range map[string]*Prometheus{"built-in": inside, "server": real} {
			t.Run(test.name+", "+place, func(t *testing.T) {
				sli := askedAt(test.sli, p)
				if v, ok := sli.(experiments.Validator); ok {
					if problems := v.Validate(); len(problems) > 0 {
						t.Fatalf("refused: %+v", problems)
					}
				}
				c := sli.Count(t.Context(), at, time.Minute)
				if c.Condition != test.condition || math.Abs(c.Bad-test.bad) > 1e-2*test.bad || math.Abs(c.Total-test.total) > 1e-2*test.total || !strings.Contains(c.Why, test.why) {
					t.Errorf("%g bad of %g, condition %q (%s); want %g of %g, %q (%s)", c.Bad, c.Total, c.Condition, c.Why, test.bad, test.total, test.condition, test.why)
				}
				bad, total, err := sli.Events().Over(time.Minute)
				if err != nil {
					t.Fatal(err)
				}
				// What has no total has no bad events either.
				if answer, err := p.Query(t.Context(), total, at); err == nil && len(answer.Points) == 0 {
					if answer, err := p.Query(t.Context(), bad, at); err != nil || len(answer.Points) > 0 {
						t.Errorf("Over: total is absent, and %s = %+v (%v)", bad, answer.Points, err)
					}
				}
				if test.condition == experiments.OK {
					for query, want := range map[string]float64{bad: c.Bad, total: c.Total} {
						answer, err := p.Query(t.Context(), query, at)
						if err != nil || len(answer.Points) != 1 || answer.Points[0].Labels.Len() > 0 || math.Abs(answer.Points[0].Value-want) > 1e-9*math.Abs(want) {
							t.Errorf("Over: %s = %+v (%v), want %g without labels", query, answer.Points, err, want)
						}
					}
				}
			})
		}
	}
}

func pointerTo[T any](v T) *T { return &v }

// askedAt is the SLI asked elsewhere.
func askedAt(sli Counted, p *Prometheus) Counted {
	switch s := sli.(type) {
	case *TimeSlice:
		return &TimeSlice{Prometheus: p, Slice: s.Slice, Bad: s.Bad, Good: s.Good, Total: s.Total, SliceObjective: s.SliceObjective, Query: s.Query, AtMost: s.AtMost, AtLeast: s.AtLeast}
	case *Throughput:
		return &Throughput{Prometheus: p, Slice: s.Slice, Query: s.Query, AtLeast: s.AtLeast}
	case *Latency:
		return &Latency{Prometheus: p, Histogram: s.Histogram, Within: s.Within, Native: s.Native, Unit: s.Unit}
	case *Events:
		return &Events{Prometheus: p, Bad: s.Bad, Good: s.Good, Total: s.Total}
	}
	return sli
}

func TestWindowsOfLessThanTwoSlicesAreTooEarly(t *testing.T) {
	p := start(t)
	p.ago(t, 0, `m_total`, rising(100, 10)...)
	sli := &Throughput{Prometheus: p, Query: `sum(rate(m_total[$slice]))`, AtLeast: 8, Slice: 10 * time.Second}
	if c := sli.Count(t.Context(), now, 19*time.Second); c.Condition != experiments.TooEarly || !strings.Contains(c.Why, "two slices") {
		t.Errorf("%+v", c)
	}
	if c := sli.Count(t.Context(), now, 20*time.Second); c.Condition != experiments.OK || c.Total != 2 {
		t.Errorf("%+v", c)
	}
}

// A slice belongs to the window in which it ends: one that ends where the window begins
// is of the window before.
func TestSlicesOfWindowsThatJoinAreCountedOnce(t *testing.T) {
	p := start(t)
	p.ago(t, 0, `m_total`, rising(200, 10)...)
	sli := &Throughput{Prometheus: p, Query: `sum(rate(m_total[$slice]))`, AtLeast: 8, Slice: 10 * time.Second}
	whole := sli.Count(t.Context(), now, 2*time.Minute)
	first, second := sli.Count(t.Context(), now.Add(-time.Minute), time.Minute), sli.Count(t.Context(), now, time.Minute)
	if whole.Condition != experiments.OK || whole.Total != 12 || first.Total != 6 || second.Total != 6 {
		t.Errorf("%g slices in 2m; %g and %g in each minute", whole.Total, first.Total, second.Total)
	}
}
