package prom

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/prometheus/promql"
)

// Recorded is Prometheus's engine over samples of the past: what a run recorded, and
// what is assumed of the time before. Nothing in it is forgotten.
type Recorded struct {
	*Store
	engine *promql.Engine
}

// The server's own default, as nothing here scrapes faster than rules are evaluated.
const serverLookback = 5 * time.Minute

// recordedSeries is more than any recording of a run has.
const recordedSeries = 10_000

// NewRecorded returns an empty one that keeps samples for so long.
func NewRecorded(retention, timeout time.Duration) *Recorded {
	return &Recorded{
		Store: NewStore(recordedSeries, retention),
		engine: promql.NewEngine(promql.EngineOpts{
			MaxSamples: maxQuerySamples, Timeout: timeout, LookbackDelta: serverLookback,
			NoStepSubqueryIntervalFn: func(int64) int64 { return time.Minute.Milliseconds() },
			EnableAtModifier:         true, EnableNegativeOffset: true, Parser: newParser(),
		}),
	}
}

// Step is the value that an expression had at a moment.
type Step struct {
	At    time.Time
	Value float64
}

// Range evaluates an expression that gives one series, from a time on in steps up to
// another, as rules are evaluated. Steps at which it gives nothing are left out.
func (r *Recorded) Range(ctx context.Context, expr string, from, to time.Time, step time.Duration) ([]Step, error) {
	query, err := r.engine.NewRangeQuery(ctx, r.Store, nil, expr, from, to, step)
	if err != nil {
		return nil, fmt.Errorf("evaluate %s: %w", brief(expr), err)
	}
	defer query.Close()
	result := query.Exec(ctx)
	if result.Err != nil {
		return nil, fmt.Errorf("evaluate %s: %w", brief(expr), result.Err)
	}
	matrix, ok := result.Value.(promql.Matrix)
	if !ok {
		return nil, fmt.Errorf("evaluate %s: the answer is a %s", brief(expr), result.Value.Type())
	}
	if len(matrix) > 1 {
		return nil, fmt.Errorf("evaluate %s: %w", brief(expr), errSeveral)
	}
	var steps []Step
	for _, series := range matrix {
		for _, point := range series.Floats {
			steps = append(steps, Step{time.UnixMilli(point.T), point.F})
		}
	}
	return steps, nil
}

var errSeveral = errors.New("it gives more than one series")
