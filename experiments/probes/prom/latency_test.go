package prom

import (
	"testing"
	"time"

	"github.com/gameday-sh/gameday/experiments"
)

func TestLatencyProblems(t *testing.T) {
	for name, test := range map[string]struct {
		sli  *Latency
		want string // attribute: summary
	}{
		"right":                        {&Latency{Histogram: `latency_seconds{job="a"}`, Within: time.Second}, ""},
		"native":                       {&Latency{Histogram: `latency_seconds`, Within: time.Second, Native: true}, ""},
		"no bound":                     {&Latency{Histogram: `latency_seconds`}, "within: Bound not above 0"},
		"a negative one":               {&Latency{Histogram: `latency_seconds`, Within: -time.Second}, "within: Bound not above 0"},
		"its buckets":                  {&Latency{Histogram: `latency_seconds_bucket`, Within: time.Second}, "histogram: Part of a histogram"},
		"its count":                    {&Latency{Histogram: `latency_seconds_count`, Within: time.Second}, "histogram: Part of a histogram"},
		"a bound of its own":           {&Latency{Histogram: `latency_seconds{le="0.5"}`, Within: time.Second}, "histogram: Bound in the name"},
		"a query":                      {&Latency{Histogram: `rate(latency_seconds_bucket[5m])`, Within: time.Second}, "histogram: Not a histogram"},
		"a range":                      {&Latency{Histogram: `latency_seconds[5m]`, Within: time.Second}, "histogram: Not a histogram"},
		"an offset":                    {&Latency{Histogram: `latency_seconds offset 5m`, Within: time.Second}, "histogram: Not a histogram"},
		"no name":                      {&Latency{Histogram: `{job="a"}`, Within: time.Second}, "histogram: Not a histogram"},
		"what PromQL does not read":    {&Latency{Histogram: `latency-seconds{`, Within: time.Second}, "histogram: Not a histogram"},
		"a name that says nothing yet": {&Latency{Histogram: ``, Within: time.Second}, "histogram: Not a histogram"},
	} {
		t.Run(name, func(t *testing.T) {
			got := ""
			for _, p := range test.sli.Validate() {
				got += p.Attribute + ": " + p.Summary
			}
			if got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}

func TestSliceProblems(t *testing.T) {
	slice, objective := 10*time.Second, pointerTo(experiments.Percent(0.95))
	five := pointerTo(5.0)
	const bad, all = `sum(rate(a_total{code="500"}[$slice]))`, `sum(rate(a_total[$slice]))`
	for name, test := range map[string]struct {
		sli  experiments.Validator
		want string
	}{
		"events":                                {&TimeSlice{Slice: slice, Bad: bad, Total: all, SliceObjective: objective}, ""},
		"a number":                              {&TimeSlice{Slice: slice, Query: `max(a)`, AtMost: five}, ""},
		"nothing":                               {&TimeSlice{Slice: slice}, ": Nothing to judge a slice by"},
		"both":                                  {&TimeSlice{Slice: slice, Query: `max(a)`, AtMost: five, Total: all}, "query: Two ways to judge a slice"},
		"a number without a bound":              {&TimeSlice{Slice: slice, Query: `max(a)`}, "query: Number without a bound"},
		"a bound without a number":              {&TimeSlice{Slice: slice, Bad: bad, Total: all, SliceObjective: objective, AtMost: five}, ": Bound without a number"},
		"events without an objective":           {&TimeSlice{Slice: slice, Bad: bad, Total: all}, ": Slice without an objective"},
		"an objective of nothing":               {&TimeSlice{Slice: slice, Bad: bad, Total: all, SliceObjective: pointerTo(experiments.Percent(0))}, "slice_objective: Objective out of range"},
		"no total":                              {&TimeSlice{Slice: slice, Bad: bad, SliceObjective: objective}, "total: No total"},
		"good and bad":                          {&TimeSlice{Slice: slice, Bad: bad, Good: bad, Total: all, SliceObjective: objective}, "good: Both bad and good"},
		"a range of its own":                    {&TimeSlice{Slice: slice, Bad: `sum(rate(a[5m]))`, Total: all, SliceObjective: objective}, "bad: Not a count of events"},
		"too short":                             {&TimeSlice{Slice: 900 * time.Millisecond, Query: `max(a)`, AtMost: five}, "slice: Slice too short"},
		"too few scrapes":                       {&TimeSlice{Slice: 3 * time.Second, Query: `max(a)`, AtMost: five}, "slice: Slice too short"},
		"a window in the query":                 {&TimeSlice{Slice: slice, Query: `sum(rate(a[$window]))`, AtMost: five}, "query: No window here"},
		"a range, not a number":                 {&TimeSlice{Slice: slice, Query: `a[$slice]`, AtMost: five}, "query: Not a number of a slice"},
		"a scalar":                              {&TimeSlice{Slice: slice, Query: `scalar(a)`, AtMost: five}, "query: Not a number of a slice"},
		"no PromQL":                             {&TimeSlice{Slice: slice, Query: `max(a`, AtMost: five}, "query: Not PromQL"},
		"traffic":                               {&Throughput{Slice: slice, Query: all, AtLeast: 1}, ""},
		"traffic without a floor":               {&Throughput{Slice: slice, Query: all}, "at_least: Floor not above 0"},
		"traffic without a query":               {&Throughput{Slice: slice, Query: " ", AtLeast: 1}, "query: Empty query"},
		"traffic that is no PromQL":             {&Throughput{Slice: slice, Query: `sum(rate(a[$slice])`, AtLeast: 1}, "query: Not PromQL"},
		"traffic that closes a bracket of ours": {&Throughput{Slice: slice, Query: `a) or sum(b`, AtLeast: 1}, "query: Not PromQL"},
	} {
		t.Run(name, func(t *testing.T) {
			got := ""
			for _, p := range test.sli.Validate() {
				got += p.Attribute + ": " + p.Summary
			}
			if got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}
