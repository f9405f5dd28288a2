package prom

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/gameday-sh/gameday/experiments"
)

// history is series with a sample each 15 s, of as many as there are values.
type history map[string]func(i int) float64

func (h history) builtin(t *testing.T, samples int) *builtin {
	t.Helper()
	b := newBuiltin(15*time.Second, time.Minute)
	for text, value := range h {
		parsed, err := parse(text)
		if err != nil {
			t.Fatal(err)
		}
		set := map[string]string{}
		for _, m := range parsed.selectors[0].LabelMatchers {
			set[m.Name] = m.Value
		}
		for i := range samples {
			if err := b.store.Append([]Sample{{Labels: labels.FromMap(set), At: int64(i) * 15_000, Float: value(i)}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	return b
}

// value asks at the last sample; NaN is no sample.
func (b *builtin) value(t *testing.T, query string, samples int) float64 {
	t.Helper()
	answer, err := b.Query(t.Context(), query, time.UnixMilli(int64(samples-1)*15_000))
	if err != nil {
		t.Fatalf("%v\n%s", err, query)
	}
	switch len(answer.Points) {
	case 0:
		return math.NaN()
	case 1:
		if math.IsNaN(answer.Points[0].Value) {
			t.Fatalf("a NaN came out of\n%s", query)
		}
		return answer.Points[0].Value
	}
	t.Fatalf("%d series of\n%s", len(answer.Points), query)
	return 0
}

func grows(step float64) func(int) float64 { return func(i int) float64 { return step * float64(i) } }

func TestRatioAndRatesAreAbsentWhereNothingCanBeTold(t *testing.T) {
	bad := &Events{Bad: `sum(rate(req_total{code=~"5.."}[$window])) # failed`, Total: `sum(rate(req_total[$window]))`}
	good := &Events{Good: `sum(rate(req_total{code!~"5.."}[$window]))`, Total: "sum(rate(req_total[$window])) # all"}
	mixed := &Events{Bad: `sum(increase(failed_total[$window]))`, Total: `sum(rate(req_total[$window]))`}
	none := math.NaN()
	for name, test := range map[string]struct {
		sli        *Events
		series     history
		ratio      float64
		bad, total float64 // events a second
	}{
		"a twentieth fails":            {bad, history{`req_total{code="200"}`: grows(57), `req_total{code="500"}`: grows(3)}, 0.05, 0.2, 4},
		"a twentieth is not good":      {good, history{`req_total{code="200"}`: grows(57), `req_total{code="500"}`: grows(3)}, 0.05, 0.2, 4},
		"there are no failures":        {bad, history{`req_total{code="200"}`: grows(60)}, 0, 0, 4},
		"there are failures only":      {bad, history{`req_total{code="500"}`: grows(60)}, 1, 4, 4},
		"there is nothing good":        {good, history{`req_total{code="500"}`: grows(60)}, 1, 4, 4},
		"no traffic":                   {bad, history{`req_total{code="200"}`: grows(0)}, none, 0, 0},
		"no traffic of a good service": {good, history{`req_total{code="200"}`: grows(0)}, none, 0, 0},
		"absent":                       {bad, history{`other_total{code="200"}`: grows(60)}, none, none, none},
		"a label that is not there":    {bad, history{`req_total{status="500"}`: grows(60)}, 0, none, none},
		"the same of good":             {good, history{`req_total{status="500"}`: grows(60)}, 0, none, none},
		"two units":                    {mixed, history{`req_total{code="200"}`: grows(60), `failed_total{}`: grows(6)}, 0.1, 0.4, 4},
		"a metric that is not there":   {mixed, history{`req_total{code="200"}`: grows(60)}, 0, none, none},
		"a number that is none":        {bad, history{`req_total{code="200"}`: grows(60), `req_total{code="500"}`: func(int) float64 { return math.NaN() }}, none, none, none},
	} {
		t.Run(name, func(t *testing.T) {
			const samples = 81
			b := test.series.builtin(t, samples)
			// A part may be NaN; a total that is NaN is dropped by its comparison.
			if !strings.Contains(name, "none") {
				ratio, err := test.sli.Ratio(10 * time.Minute)
				if err != nil {
					t.Fatal(err)
				}
				near(t, "ratio", b.value(t, ratio, samples), test.ratio)
			}
			bad, total, err := test.sli.Rates(5*time.Minute, "recorded")
			if err != nil {
				t.Fatal(err)
			}
			near(t, "bad", b.value(t, bad, samples), test.bad)
			// Where the first is recorded, it is there for the second.
			total = strings.Replace(total, "recorded", "("+bad+"\n)", 1)
			near(t, "total", b.value(t, total, samples), test.total)
		})
	}
}

func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if math.IsNaN(want) != math.IsNaN(got) || math.Abs(got-want) > 1e-9 {
		t.Errorf("%s is %v, want %v", what, got, want)
	}
}

func TestASliceWhoseNumberIsNoneIsNeitherGoodNorBad(t *testing.T) {
	most := 5.0
	slice := &TimeSlice{Slice: time.Minute, Query: "max(busy / size)", AtMost: &most}
	b := history{`busy{}`: grows(0), `size{}`: grows(0)}.builtin(t, 81)
	near(t, "the state of the slice", b.value(t, slice.Slices().Bad, 81), math.NaN())
	_, total, err := slice.Events().Over(10 * time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "the slices", b.value(t, total, 81), math.NaN())
}

func TestAPodWithoutTrafficDoesNotHideTheNativeHistogramsOfOthers(t *testing.T) {
	prometheus := &Prometheus{}
	dial(t, prometheus)
	now := time.UnixMilli(1_700_000_000_000)
	for i := range 40 {
		at := now.Add(time.Duration(i-39) * time.Second)
		for pod, count := range map[string]uint64{"busy": uint64(10 * i), "idle": 0} {
			h := &histogram.Histogram{Schema: 0, Count: count, Sum: float64(count), ZeroThreshold: 1e-9}
			if count > 0 { // all within (0.5, 1]
				h.PositiveSpans, h.PositiveBuckets = []histogram.Span{{Offset: 0, Length: 1}}, []int64{int64(count)}
			}
			if err := prometheus.store.Append([]Sample{{Labels: labels.FromStrings("__name__", "took_seconds", "pod", pod), At: at.UnixMilli(), Histogram: h}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	latency := &Latency{Prometheus: prometheus, Histogram: "took_seconds", Within: 2 * time.Second, Native: true}
	count := latency.Count(t.Context(), now, 20*time.Second)
	if count.Condition != experiments.OK || count.Total < 150 || count.Bad > 1e-6 {
		t.Errorf("counted %+v", count)
	}
}
