package prom

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/gameday-sh/gameday/experiments"
)

const (
	// A server looks back 5 minutes for the newest sample of a series, to bridge slow
	// scrapes. The built-in one scrapes each second and forgets a silent target sooner.
	leastLookback = 5 * time.Second
	// Samples that one query may hold at a time: about 800 MB at the most.
	maxQuerySamples = 50_000_000
)

// builtin is Prometheus's engine over a store in memory.
type builtin struct {
	store   *Store
	engine  *promql.Engine
	timeout time.Duration
}

func newBuiltin(interval, timeout time.Duration) *builtin {
	return &builtin{
		store:   NewStore(defaultSeriesLimit, defaultRetention),
		timeout: timeout,
		engine: promql.NewEngine(promql.EngineOpts{
			MaxSamples:               maxQuerySamples,
			Timeout:                  timeout,
			LookbackDelta:            lookback(interval),
			NoStepSubqueryIntervalFn: func(int64) int64 { return interval.Milliseconds() },
			EnableAtModifier:         true,
			EnableNegativeOffset:     true,
			Parser:                   newParser(),
		}),
	}
}

func lookback(interval time.Duration) time.Duration { return max(leastLookback, 5*interval) }

func newParser() parser.Parser { return parser.NewParser(parser.Options{}) }

// Query evaluates expr at that moment.
func (b *builtin) Query(ctx context.Context, expr string, at time.Time) (Answer, error) {
	query, err := b.engine.NewInstantQuery(ctx, b.store, nil, expr, at)
	if err != nil {
		return Answer{}, failf(experiments.Refused, "the built-in Prometheus refused the query: %s", brief(err.Error()))
	}
	defer query.Close()
	result := query.Exec(ctx)
	if result.Err != nil {
		var slow promql.ErrQueryTimeout
		var cancelled promql.ErrQueryCanceled
		switch {
		case errors.As(result.Err, &slow) || errors.Is(result.Err, context.DeadlineExceeded):
			return Answer{}, failf(experiments.Unreachable, "the built-in Prometheus did not answer in time (timeout %s)", experiments.FormatDuration(b.timeout))
		case errors.As(result.Err, &cancelled) || errors.Is(result.Err, context.Canceled):
			return Answer{}, failf(experiments.Unreachable, "the query was cancelled")
		}
		return Answer{}, failf(experiments.Refused, "the built-in Prometheus refused the query: %s", brief(result.Err.Error()))
	}
	// Infos, such as a counter whose name does not end in _total, are left out.
	answer := Answer{Type: result.Value.Type()}
	answer.Warnings, _ = result.Warnings.AsStrings(expr, 3, 0)
	switch v := result.Value.(type) {
	case promql.Scalar:
		answer.Points = []Point{{At: time.UnixMilli(v.T), Value: v.V}}
	case promql.Vector:
		for _, sample := range v {
			point := Point{Labels: sample.Metric, At: time.UnixMilli(sample.T), Value: sample.F}
			if sample.H != nil {
				point.Value, point.Histogram = math.NaN(), true
			}
			answer.Points = append(answer.Points, point)
		}
	case promql.Matrix:
		for _, series := range v {
			answer.Points = append(answer.Points, lastPoint(series))
		}
	}
	return answer, nil
}

func lastPoint(series promql.Series) Point {
	point := Point{Labels: series.Metric}
	if n := len(series.Floats); n > 0 {
		point.At, point.Value = time.UnixMilli(series.Floats[n-1].T), series.Floats[n-1].F
	}
	if n := len(series.Histograms); n > 0 {
		if at := time.UnixMilli(series.Histograms[n-1].T); at.After(point.At) {
			point.At, point.Value, point.Histogram = at, math.NaN(), true
		}
	}
	return point
}
