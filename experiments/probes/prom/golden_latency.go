package prom

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/gameday-sh/gameday/experiments"
)

// latencySignal reads a percentile of a histogram.
type latencySignal struct {
	prometheus *Prometheus
	matchers   []*labels.Matcher // of the histogram, by its name without _bucket
	native     bool
	quantile   float64
	window     time.Duration
	target     float64 // seconds; 0 without
}

// The parts of its one query, beside those of an SLI.
const (
	partQuantile = "quantile"
	partBuckets  = "bucket" // requests a second, by le; of a native histogram all in one
)

// selector is the series that hold the buckets.
func (l *latencySignal) selector() string {
	if l.native {
		return selectorOf(l.matchers)
	}
	list := slices.Clone(l.matchers)
	for i, m := range list {
		if m.Name == model.MetricNameLabel {
			list[i] = labels.MustNewMatcher(m.Type, m.Name, m.Value+"_bucket")
		}
	}
	return selectorOf(list)
}

func (l *latencySignal) query() string {
	selector := l.selector()
	rate := fmt.Sprintf("rate(%s[%dms])", selector, l.window.Milliseconds())
	buckets, requests := "sum by (le) ("+rate+")", "sum by (le) ("+rate+")"
	if l.native {
		buckets = "sum(" + rate + ")"
		requests = "histogram_count(" + buckets + ")"
	}
	return strings.Join([]string{
		named(fmt.Sprintf("histogram_quantile(%s, %s)", strconv.FormatFloat(l.quantile, 'f', -1, 64), buckets), partQuantile),
		named(requests, partBuckets),
		named(newestOf(selector), partNewest),
	}, "\nor ")
}

// Measure implements [experiments.Probe].
func (l *latencySignal) Measure(ctx context.Context) experiments.Sample {
	began := time.Now()
	value, why, failed := l.read(ctx, began)
	return sampleOf(began, value, why, failed)
}

func (l *latencySignal) read(ctx context.Context, at time.Time) (value float64, why string, failed *QueryError) {
	answer, err := l.prometheus.Query(ctx, l.query(), at)
	if err != nil {
		condition, text := conditionOf(err)
		return 0, "", failf(condition, "%s", text)
	}
	if len(answer.Warnings) > 0 {
		why = "the server warns: " + brief(strings.Join(answer.Warnings, "; "))
	}
	parts := split(answer.Points)
	limit := max(scrapesPerWindow*l.prometheus.Interval(), shortestSignal)
	newest, here := latest(parts, partNewest)
	switch {
	case len(parts[partBuckets]) == 0 && here:
		return 0, "", failf(experiments.TooEarly, "duration has fewer than two samples in a window of %s, so that nothing can be read yet", experiments.FormatDuration(l.window))
	case len(parts[partBuckets]) == 0:
		return 0, "", l.absent(ctx, at)
	case !here:
		return 0, "", failf(experiments.Stale, "the series of duration ended; what is left in the window speaks of the past%s", l.prometheus.trouble())
	case at.Sub(newest) > limit:
		return 0, "", failf(experiments.Stale, "the newest sample of duration is %s old, more than %s%s", age(at, newest), experiments.FormatDuration(limit), l.prometheus.trouble())
	}
	total, highest, beyond, failed := l.buckets(parts[partBuckets])
	switch {
	case failed != nil:
		return 0, "", failed
	case total == 0:
		return 0, "", failf(experiments.NoTraffic, "no request in the last %s", experiments.FormatDuration(l.window))
	case beyond && l.target >= highest:
		return 0, "", failf(experiments.Broken, "p%g is beyond the highest bucket of duration (%gs), and so is the target: give the histogram buckets around %gs", l.quantile*100, highest, l.target)
	}
	value, failed = number(parts[partQuantile], "histogram_quantile of duration", l.selector())
	if beyond && failed == nil {
		why = fmt.Sprintf("more than that: it is beyond the highest bucket (%gs)", highest)
	}
	return value, why, failed
}

// buckets reads requests a second, and the highest finite bound. beyond tells that the
// quantile is above that: histogram_quantile gives the bound then, whatever it is.
func (l *latencySignal) buckets(points []Point) (total, highest float64, beyond bool, failed *QueryError) {
	if l.native {
		total, failed = number(points, "histogram_count of duration", l.selector())
		return total, 0, false, failed
	}
	total, highest = math.NaN(), math.Inf(-1)
	below := 0.0
	for _, point := range points {
		le, err := strconv.ParseFloat(point.Labels.Get("le"), 64)
		switch {
		case err != nil:
			return 0, 0, false, failf(experiments.Refused, "a series of %s has no bound (le=%q)", l.selector(), point.Labels.Get("le"))
		case math.IsNaN(point.Value):
			return 0, 0, false, failf(experiments.NotANumber, "a bucket of duration gave NaN: %s", l.selector())
		case math.IsInf(le, 1):
			total = point.Value
		case le > highest:
			highest, below = le, point.Value
		}
	}
	if math.IsNaN(total) {
		return 0, 0, false, failf(experiments.Refused, "the histogram has no bucket +Inf, so that its requests cannot be counted: %s", l.selector())
	}
	return total, highest, below < l.quantile*total, nil
}

// absent words a histogram that is not there. One of the other form is a mistake of
// one word.
func (l *latencySignal) absent(ctx context.Context, at time.Time) *QueryError {
	parsed, err := parse(l.selector())
	if err != nil {
		return failf(experiments.NoData, "duration matched no series: %s", brief(l.selector()))
	}
	failed := absent(ctx, l.prometheus, "duration", l.selector(), parsed.selectors, at)
	other := *l
	other.native = !l.native
	answer, err := l.prometheus.Query(ctx, "count("+other.selector()+")", at)
	if err != nil || len(answer.Points) == 0 || failed.Condition != experiments.NoData {
		return failed
	}
	if l.native {
		return failf(experiments.NoData, "there is no native histogram %s, but one with classic buckets: leave native = true out", selectorOf(l.matchers))
	}
	return failf(experiments.NoData, "%s has no classic buckets, but there is a series of its name: write native = true", selectorOf(l.matchers))
}
