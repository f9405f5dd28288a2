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

func TestAQueryGivesOneNumberOrSaysWhyNot(t *testing.T) {
	p := start(t)
	put := func(name string, age time.Duration, value float64) {
		at := time.Now().Add(-age).UnixMilli()
		batch := []Sample{{Labels: labels.FromStrings("__name__", "gone", "n", "unrelated"), At: at}}
		lset, err := newParser().ParseMetric(name)
		if err != nil {
			t.Fatal(err)
		}
		batch[0] = Sample{Labels: lset, At: at, Float: value}
		if err := p.store.Append(batch); err != nil {
			t.Fatal(err)
		}
	}
	put(`queue{shard="a"}`, time.Millisecond, 3)
	put(`queue{shard="b"}`, time.Millisecond, 4)
	put(`gone`, 10*time.Minute, 4)
	h := &histogram.Histogram{Schema: 0, Count: 1, Sum: 1, PositiveSpans: []histogram.Span{{Length: 1}}, PositiveBuckets: []int64{1}}
	if err := p.store.Append([]Sample{{Labels: labels.FromStrings("__name__", "h"), At: time.Now().UnixMilli() - 1, Histogram: h}}); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		query     string
		value     float64
		condition experiments.Condition
		why       string
	}{
		"a vector of one":         {"sum(queue)", 7, experiments.OK, ""},
		"a scalar":                {"1 + 1", 2, experiments.OK, ""},
		"more than one":           {"queue", 0, experiments.ManySeries, `{__name__="queue", shard="a"}`},
		"NaN":                     {"sum(queue) * (0 / 0)", 0, experiments.NotANumber, "NaN"},
		"infinity":                {"sum(queue) / 0", 0, experiments.NotANumber, "+Inf"},
		"a string":                {`"x"`, 0, experiments.Refused, "string"},
		"a range":                 {`queue[5s]`, 0, experiments.Refused, "range"},
		"a native histogram":      {`h`, 0, experiments.Refused, "native histogram"},
		"a metric that never was": {"quue", 0, experiments.NoData, "now and in the last hour"},
		"a metric that ended":     {"sum(gone)", 0, experiments.Stale, "last seen about 10m"},
		"a comparison that fails": {"sum(queue) > 100", 0, experiments.NoData, "a comparison without bool"},
		"a many-to-many match":    {"queue * on() queue", 0, experiments.Refused, "refused the query"},
		"bad PromQL":              {"sum(", 0, experiments.Refused, "refused the query"},
	} {
		t.Run(name, func(t *testing.T) {
			got := (&Query{Prometheus: p, Query: test.query}).Measure(t.Context())
			if got.Condition != test.condition || !strings.Contains(got.Why, test.why) {
				t.Fatalf("condition %q (%s), want %q (%s)", got.Condition, got.Why, test.condition, test.why)
			}
			if got.Counted || got.At.IsZero() {
				t.Errorf("sample %+v: a value is no event, and has a time", got)
			}
			if test.condition != experiments.OK {
				if !math.IsNaN(got.Value) {
					t.Errorf("value %v next to condition %q", got.Value, got.Condition)
				}
			} else if got.Value != test.value {
				t.Errorf("value %v, want %v", got.Value, test.value)
			}
		})
	}
}

func TestAQueryWithoutAPrometheusIsBroken(t *testing.T) {
	for _, p := range []*Prometheus{nil, {}} {
		got := (&Query{Prometheus: p, Query: "1"}).Measure(t.Context())
		if got.Condition != experiments.Broken {
			t.Errorf("condition %q (%s)", got.Condition, got.Why)
		}
	}
}

func TestQueriesAreValidated(t *testing.T) {
	for query, want := range map[string]string{
		"":                 "",
		"max(queue)":       "",
		"1":                "",
		" ":                "Empty query",
		"sum(":             "Not PromQL",
		"rate(a[$window])": "No window here",
		`"x"`:              "A text, not a number",
		"a[5m]":            "Many numbers, not one",
	} {
		problems := (&Query{Query: query}).Validate()
		switch {
		case want == "" && len(problems) > 0:
			t.Errorf("%q: %v", query, problems)
		case want != "" && (len(problems) != 1 || problems[0].Summary != want || problems[0].Attribute != "query"):
			t.Errorf("%q: %v, want %s", query, problems, want)
		}
	}
}
