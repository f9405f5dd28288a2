package prom

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/gameday-sh/gameday/experiments"
)

// Latency is the SLI kind "latency": the requests that took at most Within are good.
//
// A percentile has no error budget; a share of requests within a bound has one, and
// says the same: "p95 below 500ms" is "95% of requests within 500ms". Of a classic
// histogram the bound must be that of a bucket, as nobody knows where in a bucket a
// request lies; of a native one it may be any, and is interpolated.
type Latency struct {
	Prometheus *Prometheus   `hcl:"prometheus,optional" doc:"Where the queries are asked; left out, the built-in one."`
	Histogram  string        `hcl:"histogram" doc:"The histogram, without _bucket, and with its matchers." example:"http_request_duration_seconds{job=\"checkout\"}"`
	Within     time.Duration `hcl:"within" doc:"How long a good request may take: the bound of one of the buckets." example:"500ms"`
	Native     bool          `hcl:"native,optional" doc:"Whether it is a native histogram." default:"false"`
	Unit       string        `hcl:"unit,optional" doc:"Unit of the histogram." enum:"seconds|milliseconds" default:"seconds"`

	derived
}

// Events implements [Counted].
func (l *Latency) Events() *Events { return l.once(l.write) }

func (l *Latency) write() *Events {
	// A histogram without the bucket says nothing; it is not one of slow requests only.
	e := &Events{Prometheus: l.Prometheus, whole: true}
	m, err := parseMetric(l.Histogram)
	if err != nil {
		return e
	}
	bound := l.Within.Seconds()
	if l.Unit == "milliseconds" {
		bound *= 1000
	}
	text := strconv.FormatFloat(bound, 'f', -1, 64)
	if l.Native {
		rate := "rate(" + m.with("") + "[$window])"
		// Of a series without traffic the fraction is NaN, and would make the whole sum one.
		e.Good = fmt.Sprintf("sum((histogram_fraction(0, %s, %s) * histogram_count(%s)) > -Inf)", text, rate, rate)
		e.whole = false
		e.Total = "sum(histogram_count(" + rate + "))"
		return e
	}
	// A whole bound is written le="1" by some clients and le="1.0" by others.
	le := "le=" + strconv.Quote(text)
	if !strings.Contains(text, ".") {
		le = fmt.Sprintf("le=~%q", text+"|"+text+`\.0`)
	}
	e.Good = "sum(rate(" + m.with("_bucket", le) + "[$window]))"
	e.Total = "sum(rate(" + m.with("_count") + "[$window]))"
	return e
}

// String says what is counted.
func (l *Latency) String() string {
	return fmt.Sprintf("good: requests of %s within %s; total: all of them", l.Histogram, experiments.FormatDuration(l.Within))
}

// Shortest is that of its queries.
func (l *Latency) Shortest() time.Duration { return l.Events().Shortest() }

// Validate implements [experiments.Validator].
func (l *Latency) Validate() []experiments.Problem {
	var problems []experiments.Problem
	if l.Within <= 0 {
		problems = append(problems, experiments.Problem{Attribute: "within", Summary: "Bound not above 0",
			Detail: "Write how long a good request may take, such as \"500ms\": the bound of one of the buckets."})
	}
	if m, err := parseMetric(l.Histogram); err != nil {
		problems = append(problems, experiments.Problem{Attribute: "histogram", Summary: "Not a histogram", Detail: "The name cannot be read: " + err.Error() + "."})
	} else if strings.HasSuffix(m.name, "_bucket") {
		problems = append(problems, experiments.Problem{Attribute: "histogram", Summary: "Bucket instead of histogram", Detail: fmt.Sprintf("Write the name without _bucket: %q.", strings.TrimSuffix(m.name, "_bucket"))})
	}
	if len(problems) > 0 {
		return problems
	}
	return l.problems("histogram", l.write)
}

// Count implements [experiments.SLI].
func (l *Latency) Count(ctx context.Context, at time.Time, window time.Duration) experiments.Count {
	c := count(ctx, l, at, window)
	// Without the bucket, "good is absent" would read as all requests being bad.
	if c.Condition == experiments.OK && !l.Native && c.Bad == c.Total && c.Total > 0 {
		return l.withBucket(ctx, c)
	}
	return c
}

// withBucket makes sure that a histogram in which no request was good has the bucket.
func (l *Latency) withBucket(ctx context.Context, c experiments.Count) experiments.Count {
	e := l.Events()
	p, err := e.compiled()
	if err != nil || len(p.part.selectors) == 0 {
		return c
	}
	refuse := func(condition experiments.Condition, text string) experiments.Count {
		return experiments.Count{At: c.At, Window: c.Window, Condition: condition, Why: text}
	}
	answer, err := l.Prometheus.Query(ctx, "count("+bare(p.part.selectors[0])+")", c.At)
	if err != nil {
		condition, text := conditionOf(err)
		return refuse(condition, text)
	}
	if len(answer.Points) > 0 {
		return c
	}
	m, err := parseMetric(l.Histogram)
	if err != nil {
		return c
	}
	text := fmt.Sprintf("%s has no bucket with the bound %s", l.Histogram, experiments.FormatDuration(l.Within))
	if answer, err := l.Prometheus.Query(ctx, "count by (le) ("+m.with("_bucket")+")", c.At); err == nil {
		var bounds []string
		for _, point := range answer.Points {
			bounds = append(bounds, point.Labels.Get("le"))
		}
		text += "; there is: " + brief(strings.Join(sortedBounds(bounds), ", ")) + "; write within as one of them"
	}
	return refuse(experiments.NoData, text)
}
