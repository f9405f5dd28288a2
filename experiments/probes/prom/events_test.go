package prom

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/gameday-sh/gameday/experiments"
)

const (
	okSeries  = `http_requests_total{job="shop",code="200"}`
	badSeries = `http_requests_total{job="shop",code="500"}`
	badQuery  = `sum(rate(http_requests_total{job="shop",code=~"5.."}[$window]))`
	goodQuery = `sum(rate(http_requests_total{job="shop",code!~"5.."}[$window]))`
	total     = `sum(rate(http_requests_total{job="shop"}[$window]))`
)

func TestEventsAreCountedOrTheConditionSaysWhyNot(t *testing.T) {
	type series map[string][]float64
	nan := math.NaN()
	for name, test := range map[string]struct {
		data      series
		last      time.Duration // how long before now the data ends
		sli       *Events
		window    time.Duration
		bad       float64
		total     float64
		condition experiments.Condition
		why       string
	}{
		"a tenth of the requests is bad": {
			data: series{okSeries: rising(30, 9), badSeries: rising(30, 1)},
			sli:  &Events{Bad: badQuery, Total: total}, bad: 10, total: 100,
		},
		"good ones are taken from the total": {
			data: series{okSeries: rising(30, 9), badSeries: rising(30, 1)},
			sli:  &Events{Good: goodQuery, Total: total}, bad: 10, total: 100,
		},
		"increase counts events and not a rate": {
			data: series{okSeries: rising(30, 9), badSeries: rising(30, 1)},
			sli:  &Events{Bad: strings.Replace(badQuery, "rate", "increase", 1), Total: total}, bad: 10, total: 100,
		},
		"no bad series is no bad event, when its metric is there": {
			data: series{okSeries: rising(30, 9)},
			sli:  &Events{Bad: badQuery, Total: total}, bad: 0, total: 90,
		},
		"no good series is an outage": {
			data: series{badSeries: rising(30, 9)},
			sli:  &Events{Good: goodQuery, Total: total}, bad: 90, total: 90,
		},
		"a bad metric that does not exist is not perfection": {
			data: series{okSeries: rising(30, 9)},
			sli:  &Events{Bad: `sum(rate(http_erors_total[$window]))`, Total: total}, condition: experiments.NoData, why: "does not exist",
		},
		"the person may say that absent means none": {
			data: series{okSeries: rising(30, 9)},
			sli:  &Events{Bad: `sum(rate(http_erors_total[$window])) or vector(0)`, Total: total}, bad: 0, total: 90,
		},
		"no request is no traffic": {
			data: series{okSeries: rising(30, 0)},
			sli:  &Events{Bad: badQuery, Total: total}, condition: experiments.NoTraffic, why: "no event in the last 10s",
		},
		"a total that never was is no data": {
			sli: &Events{Bad: badQuery, Total: total}, condition: experiments.NoData, why: "total matched no series, now and in the last hour",
		},
		"a total that ended long ago is stale": {
			data: series{okSeries: rising(30, 9)}, last: 5 * time.Minute,
			sli: &Events{Bad: badQuery, Total: total}, condition: experiments.Stale, why: "ended: last seen about 5m",
		},
		"a target that is gone is stale while rate still speaks": {
			data: series{okSeries: append(rising(30, 9), nan)}, last: time.Second,
			sli: &Events{Bad: badQuery, Total: total}, condition: experiments.Stale, why: "series of total ended",
		},
		"a target that fell silent without a word is stale": {
			data: series{okSeries: rising(30, 9)}, last: 7 * time.Second, window: 20 * time.Second,
			sli: &Events{Bad: badQuery, Total: total}, condition: experiments.Stale,
		},
		"one sample is too early": {
			data: series{okSeries: {5}},
			sli:  &Events{Bad: badQuery, Total: total}, condition: experiments.TooEarly, why: "fewer than two samples",
		},
		"a window of less than four scrapes is too early": {
			data: series{okSeries: rising(30, 9)}, window: 3900 * time.Millisecond,
			sli: &Events{Bad: badQuery, Total: total}, condition: experiments.TooEarly, why: "shorter than 4 scrapes (4s)",
		},
		"a window longer than the memory is refused": {
			data: series{okSeries: rising(30, 9)}, window: 7 * time.Hour,
			sli: &Events{Bad: badQuery, Total: total}, condition: experiments.Refused, why: "keeps (6h)",
		},
		"several series must be summed": {
			data: series{okSeries: rising(30, 9), badSeries: rising(30, 1)},
			sli:  &Events{Bad: badQuery, Total: `rate(http_requests_total[$window])`}, condition: experiments.ManySeries, why: "total gave 2 series",
		},
		"several bad series are told too": {
			data: series{okSeries: rising(30, 9), badSeries: rising(30, 1)},
			sli:  &Events{Bad: `rate(http_requests_total[$window])`, Total: total}, condition: experiments.ManySeries, why: "bad gave 2 series",
		},
		"NaN is not a number": {
			data: series{okSeries: rising(30, 9), badSeries: rising(30, 0)},
			sli:  &Events{Bad: `sum(rate(http_requests_total{code="500"}[$window])) * (vector(0) / 0)`, Total: total}, condition: experiments.NotANumber, why: "bad gave NaN",
		},
		"a negative matcher on a label that does not exist is not perfection": {
			data: series{okSeries: rising(30, 9)},
			sli:  &Events{Good: `sum(rate(http_requests_total{job="shop",status!~"5.."}[$window]))`, Total: total}, condition: experiments.NoData, why: `good matches by the label "status"`,
		},
		"an equality on a label that does not exist is not perfection": {
			data: series{okSeries: rising(30, 9)},
			sli:  &Events{Bad: `sum(rate(http_requests_total{job="shop",status="500"}[$window]))`, Total: total}, condition: experiments.NoData, why: `bad matches by the label "status"`,
		},
		"a code that did not occur yet is no missing label": {
			data: series{okSeries: rising(30, 9)},
			sli:  &Events{Bad: `sum(rate(http_requests_total{job="shop",code="599"}[$window]))`, Total: total}, bad: 0, total: 90,
		},
		"a negative matcher in the total is checked as well": {
			data: series{okSeries: rising(30, 9)},
			sli:  &Events{Bad: badQuery, Total: `sum(rate(http_requests_total{path!="/health"}[$window]))`}, condition: experiments.NoData, why: `total matches by the label "path"`,
		},
		"more good than total is of other events": {
			data: series{okSeries: rising(30, 9), `other_total`: rising(30, 100)},
			sli:  &Events{Good: `sum(rate(other_total[$window]))`, Total: total}, condition: experiments.Refused, why: "good counted",
		},
		"far more bad than total is of other events": {
			data: series{okSeries: rising(30, 9), `other_total`: rising(30, 100)},
			sli:  &Events{Bad: `sum(rate(other_total[$window]))`, Total: total}, condition: experiments.Refused, why: "bad counted",
		},
		"a count below zero is refused": {
			data: series{okSeries: rising(30, 9)},
			sli:  &Events{Bad: badQuery, Total: `-sum(rate(http_requests_total[$window]))`}, condition: experiments.Refused, why: "negative",
		},
		"scalars are numbers": {
			data: series{okSeries: rising(30, 9), badSeries: rising(30, 1)},
			sli:  &Events{Bad: "scalar(" + badQuery + ") # a comment", Total: "scalar(" + total + ")"}, bad: 10, total: 100,
		},
		"a query that is not one is refused": {
			sli: &Events{Bad: "sum(", Total: total}, condition: experiments.Refused, why: "Not PromQL",
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := start(t)
			for series, values := range test.data {
				p.ago(t, test.last, series, values...)
			}
			sli := &Events{Prometheus: p, Bad: test.sli.Bad, Good: test.sli.Good, Total: test.sli.Total}
			window := test.window
			if window == 0 {
				window = 10 * time.Second
			}
			got := sli.Count(t.Context(), now, window)
			if got.Condition != test.condition || !strings.Contains(got.Why, test.why) {
				t.Fatalf("condition %q (%s), want %q (%s)", got.Condition, got.Why, test.condition, test.why)
			}
			if math.Abs(got.Bad-test.bad) > 1e-6 || math.Abs(got.Total-test.total) > 1e-6 {
				t.Errorf("%v bad of %v, want %v of %v", got.Bad, got.Total, test.bad, test.total)
			}
			if !got.At.Equal(now) || got.Window != window {
				t.Errorf("counted %v up to %v", got.Window, got.At)
			}
		})
	}
}

func TestABadMetricOfItsOwnMustBeFreshAsWell(t *testing.T) {
	p := start(t)
	p.ago(t, 0, okSeries, rising(60, 9)...)
	p.ago(t, 4500*time.Millisecond, "errors_total", rising(50, 1)...)
	sli := &Events{Prometheus: p, Bad: `sum(rate(errors_total[$window]))`, Total: total}
	if got := sli.Count(t.Context(), now, 10*time.Second); got.Condition != experiments.OK {
		t.Fatalf("4.5 s old: %q (%s)", got.Condition, got.Why)
	}
	if got := sli.Count(t.Context(), now.Add(600*time.Millisecond), 10*time.Second); got.Condition != experiments.Stale || !strings.Contains(got.Why, "series of bad ended") {
		t.Errorf("5.1 s old: %q (%s)", got.Condition, got.Why)
	}
}

func TestTheLabelsAreCheckedOnce(t *testing.T) {
	p := start(t)
	p.ago(t, 0, okSeries, rising(30, 9)...)
	sli := &Events{Prometheus: p, Good: goodQuery, Total: total}
	if got := sli.Count(t.Context(), now, 10*time.Second); got.Condition != experiments.OK {
		t.Fatalf("%q (%s)", got.Condition, got.Why)
	}
	if !sli.labelled {
		t.Error("the label was seen and will be asked for again")
	}
}

func TestEventsAreValidated(t *testing.T) {
	for name, test := range map[string]struct {
		sli       *Events
		attribute string
		summary   string
		detail    string
	}{
		"both bad and good":    {&Events{Bad: badQuery, Good: goodQuery, Total: total}, "good", "Both bad and good", "one of bad and good"},
		"neither bad nor good": {&Events{Total: total}, "", "Neither bad nor good", "bad ones cannot be told"},
		"no total":             {&Events{Bad: badQuery}, "total", "No total", "counts all events"},
		"a syntax error":       {&Events{Bad: `sum(rate(a[$window])`, Total: total}, "bad", "Not PromQL", "cannot be read at its end"},
		"no window":            {&Events{Bad: `sum(rate(a[5m]))`, Total: total}, "bad", "Not a count of events", "[$window]"},
	} {
		t.Run(name, func(t *testing.T) {
			problems := test.sli.Validate()
			if len(problems) != 1 {
				t.Fatalf("problems %v, want one", problems)
			}
			got := problems[0]
			if got.Attribute != test.attribute || got.Summary != test.summary || !strings.Contains(got.Detail, test.detail) {
				t.Errorf("got %+v, want %s: %s: ...%s...", got, test.attribute, test.summary, test.detail)
			}
		})
	}
	if problems := (&Events{Bad: badQuery, Total: total}).Validate(); len(problems) > 0 {
		t.Errorf("the good one has problems: %v", problems)
	}
	if problems := (&Events{Bad: `sum(a)`, Total: `sum(`}).Validate(); len(problems) != 2 {
		t.Errorf("two mistakes gave %d problems", len(problems))
	}
}

func TestShortestIsFourScrapes(t *testing.T) {
	every := 2 * time.Second
	for name, test := range map[string]struct {
		p    *Prometheus
		want time.Duration
	}{
		"none":             {nil, 4 * time.Second},
		"the built-in one": {&Prometheus{}, 4 * time.Second},
		"a server":         {&Prometheus{URL: "http://127.0.0.1:9090"}, time.Minute},
		"one that says so": {&Prometheus{URL: "http://127.0.0.1:9090", ScrapeInterval: &every}, 8 * time.Second},
	} {
		if got := (&Events{Prometheus: test.p}).Shortest(); got != test.want {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}
