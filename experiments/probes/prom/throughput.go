package prom

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/gameday-sh/gameday/experiments"
)

// Throughput is the SLI kind "throughput": it cuts the window into slices and counts
// those in which the traffic stayed below a floor. No traffic is below every floor:
// silence is a problem here, and not health.
type Throughput struct {
	Prometheus *Prometheus   `hcl:"prometheus,optional" doc:"Where the query is asked; left out, the built-in one."`
	Query      string        `hcl:"query" doc:"PromQL that gives the traffic of $slice, such as requests a second." example:"sum(rate(orders_total[$slice]))"`
	AtLeast    float64       `hcl:"at_least" doc:"The traffic that a good slice has at least." example:"100"`
	Slice      time.Duration `hcl:"slice,optional" default:"1m" doc:"How long a slice is."`

	derived
}

// Events implements [Counted].
func (t *Throughput) Events() *Events { return t.once(t.write) }

func (t *Throughput) write() *Events {
	there := sliced(t.Prometheus, t.Slice, t.Query, nil, &t.AtLeast)
	// A slice without the series counts as one without traffic, as long as the window has
	// the series at all: one that never was there is a typing error, and no outage.
	e := sliced(t.Prometheus, t.Slice, "("+t.Query+"\n) > -Inf or vector(0)", nil, &t.AtLeast)
	e.Total += " and " + there.Total
	return e
}

// Slices implements [Sliced].
func (t *Throughput) Slices() *Slices {
	return &Slices{Slice: t.Slice, Bad: outOfBounds(t.Slice, t.Query, nil, &t.AtLeast), AbsentIsBad: true}
}

// String says what is counted.
func (t *Throughput) String() string {
	return fmt.Sprintf("bad: slices of %s in which %s is below %g; total: slices with data", experiments.FormatDuration(t.Slice), t.Query, t.AtLeast)
}

// Shortest holds two slices, and what their queries need.
func (t *Throughput) Shortest() time.Duration { return max(2*t.Slice, t.Events().Shortest()) }

// Validate implements [experiments.Validator].
func (t *Throughput) Validate() []experiments.Problem {
	problems := sliceProblems(t.Slice, t.Prometheus)
	if !(t.AtLeast > 0) {
		problems = append(problems, experiments.Problem{Attribute: "at_least", Summary: "Floor not above 0",
			Detail: "Write the traffic that a good slice has at least, in the unit of the query; below 0 there is none."})
	}
	if strings.TrimSpace(t.Query) == "" {
		return append(problems, experiments.Problem{Attribute: "query", Summary: "Empty query", Detail: "Write PromQL that gives the traffic of a slice, such as \"sum(rate(orders_total[$slice]))\"."})
	}
	if len(problems) > 0 {
		return problems
	}
	return sliceQueryProblems(t.Query, t.write())
}

// Count implements [experiments.SLI].
func (t *Throughput) Count(ctx context.Context, at time.Time, window time.Duration) experiments.Count {
	return count(ctx, t, at, window)
}
