package prom

import (
	"context"
	"math"
	"strings"
	"time"

	"github.com/prometheus/prometheus/promql/parser"

	"github.com/gameday-sh/gameday/experiments"
)

// Query is the probe kind "prometheus": it reads one number by PromQL. The number
// is a value, not an event; what is good is for a hypothesis to say.
//
// An answer without exactly one number is a condition: no data, stale (its series
// were there in the last hour), not a number, more than one series. A sample is as
// old as the server lets it be: 5 minutes at most by default, unless its series
// ended; the built-in one goes back 5 scrapes, 5 s at least.
type Query struct {
	Prometheus *Prometheus `hcl:"prometheus,optional" doc:"Where the query is asked; left out, the built-in one."`
	Query      string      `hcl:"query" doc:"PromQL that gives one number." example:"max(queue_length)"`
	Unit       string      `hcl:"unit,optional" doc:"Unit of the number, for reports." example:"requests"`
}

// Validate implements [experiments.Validator].
func (q *Query) Validate() []experiments.Problem {
	problem := func(summary, detail string) []experiments.Problem {
		return []experiments.Problem{{Attribute: "query", Summary: summary, Detail: detail}}
	}
	switch {
	case q.Query == "":
		return nil // required, and said so by the decoder; or not known yet
	case strings.TrimSpace(q.Query) == "":
		return problem("Empty query", "Write PromQL that gives one number, such as \"max(queue_length)\".")
	case strings.Contains(q.Query, windowName):
		return problem("No window here", "A probe reads one moment; write a range of your own in place of $window, such as [1m], or use an SLO.")
	}
	parsed, err := parse(q.Query)
	if err != nil {
		return problem("Not PromQL", "The query cannot be read "+err.Error()+".")
	}
	switch parsed.root.Type() {
	case parser.ValueTypeString:
		return problem("A text, not a number", "The query gives a string; write one that gives a number.")
	case parser.ValueTypeMatrix:
		return problem("Many numbers, not one", "The query gives all samples of a range; write a function around it, such as rate(...), max_over_time(...) or last_over_time(...).")
	}
	return nil
}

// Tells implements [experiments.Telling].
func (*Query) Tells() experiments.Told { return experiments.Told{Values: true} }

// Measure implements [experiments.Probe].
func (q *Query) Measure(ctx context.Context) experiments.Sample {
	began := time.Now()
	sample := experiments.Sample{At: began}
	value, warnings, failed := q.read(ctx, began)
	sample.Took = time.Since(began)
	if failed != nil {
		sample.Value, sample.Condition, sample.Why = math.NaN(), failed.Condition, failed.Text
		return sample
	}
	sample.Value = value
	if len(warnings) > 0 {
		sample.Why = "the server warns: " + brief(strings.Join(warnings, "; "))
	}
	return sample
}

func (q *Query) read(ctx context.Context, at time.Time) (float64, []string, *QueryError) {
	answer, err := q.Prometheus.Query(ctx, q.Query, at)
	if err != nil {
		condition, text := conditionOf(err)
		return 0, nil, failf(condition, "%s", text)
	}
	switch answer.Type {
	case parser.ValueTypeString:
		return 0, nil, failf(experiments.Refused, "the query gave a string, not a number: %s", brief(q.Query))
	case parser.ValueTypeMatrix:
		return 0, nil, failf(experiments.Refused, "the query gave all samples of a range; write a function around it, such as last_over_time(...): %s", brief(q.Query))
	}
	if len(answer.Points) == 0 {
		parsed, err := parse(q.Query)
		if err != nil { // a server may know more than this parser
			return 0, nil, failf(experiments.NoData, "the query matched no series: %s", brief(q.Query))
		}
		return 0, nil, absent(ctx, q.Prometheus, "the query", q.Query, parsed.selectors, at)
	}
	value, failed := number(answer.Points, "the query", q.Query)
	return value, answer.Warnings, failed
}
