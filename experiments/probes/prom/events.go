package prom

import (
	"context"
	"fmt"
	"math"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/gameday-sh/gameday/experiments"
)

// Events is the SLI kind "events": two queries that count the events of a window.
//
// A query counts with rate(), in events a second, or with increase(),
// sum_over_time() or count_over_time(), in events; which of them it is is read
// from the query. $window stands for the window.
//
// Bad and total are asked in one query, so that no scrape comes between them, and
// read like this:
//
//	total is absent                     no data, or stale if it was there in the last hour
//	total's newest sample is older than stale: rate() goes on speaking of the past
//	  4 scrape intervals (5 s at least)   for a whole window after a target is gone
//	total is 0                          no traffic
//	bad is absent                       0 bad events, if its metric exists at all
//	good is absent                      all events are bad
//	any is NaN, or several series       not a number, more than one series
//	a label that a query names exists   no data: code!="500" matches everything, and
//	  on no series of the metric          code="500" nothing, where the label is "status"
//
// A bad counter that does not exist before its first event needs "or vector(0)" in
// the query, by which the person says that absent means none.
type Events struct {
	Prometheus *Prometheus `hcl:"prometheus,optional" doc:"Where the queries are asked; left out, the built-in one."`
	Bad        string      `hcl:"bad,optional" doc:"PromQL that counts the bad events of $window." example:"sum(rate(http_requests_total{code=~\"5..\"}[$window]))"`
	Good       string      `hcl:"good,optional" doc:"PromQL that counts the good events of $window, where bad ones cannot be told." example:"sum(rate(http_request_duration_seconds_bucket{le=\"0.5\"}[$window]))"`
	Total      string      `hcl:"total" doc:"PromQL that counts all events of $window." example:"sum(rate(http_requests_total[$window]))"`

	mu   sync.Mutex
	plan *eventsPlan
	// whole tells that part is there whenever total is: its absence is not none.
	whole bool
	// labelled tells that the labels which the queries name were seen.
	labelled bool
}

// eventsPlan is what the queries come to.
type eventsPlan struct {
	total, part         *expression
	totalUnit, partUnit unit
	good                bool // part counts good events
	// other are selectors for metrics of part that total does not read.
	other  []string
	labels []labelCheck
}

// String says what is counted.
func (e *Events) String() string {
	if e.Good != "" {
		return "good: " + e.Good + "; total: " + e.Total
	}
	return "bad: " + e.Bad + "; total: " + e.Total
}

// Shortest is four scrape intervals: what rate() needs to see two samples even when
// a scrape is lost.
func (e *Events) Shortest() time.Duration { return scrapesPerWindow * e.Prometheus.Interval() }

// Validate implements [experiments.Validator].
func (e *Events) Validate() []experiments.Problem {
	_, problems := e.compile()
	return problems
}

func (e *Events) compile() (*eventsPlan, []experiments.Problem) {
	var problems []experiments.Problem
	read := func(attribute, text string) (*expression, unit) {
		if strings.TrimSpace(text) == "" {
			return nil, plain
		}
		parsed, err := parse(text)
		if err != nil {
			problems = append(problems, experiments.Problem{Attribute: attribute, Summary: "Not PromQL", Detail: "The query cannot be read " + err.Error() + "."})
			return nil, plain
		}
		u, err := parsed.counts()
		if err != nil {
			detail := err.Error()
			problems = append(problems, experiments.Problem{Attribute: attribute, Summary: "Not a count of events", Detail: strings.ToUpper(detail[:1]) + detail[1:] + "."})
			return nil, plain
		}
		return parsed, u
	}
	p := &eventsPlan{good: e.Good != ""}
	switch {
	case e.Bad != "" && e.Good != "":
		problems = append(problems, experiments.Problem{Attribute: "good", Summary: "Both bad and good", Detail: "Write one of bad and good; the other is what is left of total."})
	case e.Bad == "" && e.Good == "":
		problems = append(problems, experiments.Problem{Summary: "Neither bad nor good", Detail: "Write bad, a query that counts the bad events, or good, where bad ones cannot be told."})
	}
	if e.Total == "" {
		problems = append(problems, experiments.Problem{Attribute: "total", Summary: "No total", Detail: "Write a query that counts all events, such as \"sum(rate(http_requests_total[$window]))\"."})
	}
	p.total, p.totalUnit = read("total", e.Total)
	bad, badUnit := read("bad", e.Bad)
	good, goodUnit := read("good", e.Good)
	if len(problems) > 0 || p.total == nil {
		return nil, problems
	}
	p.part, p.partUnit = bad, badUnit
	if p.good {
		p.part, p.partUnit = good, goodUnit
	}
	if p.part == nil {
		return nil, problems
	}
	p.other, p.labels = lookAround(p)
	return p, nil
}

func (p *eventsPlan) partName() string {
	if p.good {
		return "good"
	}
	return "bad"
}

func (e *Events) compiled() (*eventsPlan, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.plan == nil {
		plan, problems := e.compile()
		if plan == nil {
			if len(problems) == 0 {
				return nil, fmt.Errorf("the queries are blank")
			}
			return nil, fmt.Errorf("%s: %s", problems[0].Summary, problems[0].Detail)
		}
		e.plan = plan
	}
	return e.plan, nil
}

// The parts of the one query that asks for everything.
const (
	partLabel  = "gameday_part"
	partTotal  = "total"
	partNewest = "newest" // when total's newest sample was taken
	partSeen   = "seen"   // when that of part's own metrics was
)

// named marks the series of an expression, so that several fit in one answer.
func named(expr, name string) string {
	return fmt.Sprintf("label_replace(%s, %q, %q, \"\", \"\")", expr, partLabel, name)
}

func newestOf(selector string) string { return "max(timestamp(" + selector + "))" }

func (p *eventsPlan) query(window time.Duration) string {
	mark := func(part string) string { return part }
	return strings.Join(append(p.counting(window, mark), p.around(mark)...), "\nor ")
}

// counting are the parts of a query that count, under the marks that mark makes.
func (p *eventsPlan) counting(window time.Duration, mark func(part string) string) []string {
	return []string{
		named(p.total.vector(window), mark(partTotal)),
		named(p.part.vector(window), mark(p.partName())),
	}
}

// around are the parts that tell how old the series are.
func (p *eventsPlan) around(mark func(part string) string) []string {
	var parts []string
	for i, selector := range p.total.selectors {
		parts = append(parts, named(newestOf(bare(selector)), mark(fmt.Sprint(partNewest, i))))
	}
	for i, selector := range p.other {
		parts = append(parts, named(newestOf(selector), mark(fmt.Sprint(partSeen, i))))
	}
	return parts
}

// Count implements [experiments.SLI].
func (e *Events) Count(ctx context.Context, at time.Time, window time.Duration) experiments.Count {
	c := experiments.Count{At: at, Window: window}
	var failed *QueryError
	c.Bad, c.Total, c.Why, failed = e.count(ctx, at, window)
	if failed != nil {
		c.Bad, c.Total, c.Condition, c.Why = 0, 0, failed.Condition, failed.Text
	}
	return c
}

func (e *Events) count(ctx context.Context, at time.Time, window time.Duration) (bad, total float64, why string, failed *QueryError) {
	fail := func(condition experiments.Condition, format string, values ...any) (float64, float64, string, *QueryError) {
		return 0, 0, "", failf(condition, format, values...)
	}
	p, err := e.compiled()
	if err != nil {
		return fail(experiments.Refused, "%s", err)
	}
	if window < e.Shortest() {
		return fail(experiments.TooEarly, "a window of %s is shorter than %d scrapes (%s)", experiments.FormatDuration(window.Round(time.Millisecond)), scrapesPerWindow, experiments.FormatDuration(e.Shortest()))
	}
	if e.Prometheus.Builtin() && window > defaultRetention {
		return fail(experiments.Refused, "a window of %s is longer than what the built-in Prometheus keeps (%s); use a server (url)", experiments.FormatDuration(window), experiments.FormatDuration(defaultRetention))
	}
	answer, err := e.Prometheus.Query(ctx, p.query(window), at)
	if err != nil {
		condition, text := conditionOf(err)
		return fail(condition, "%s", text)
	}
	bad, total, failed = e.read(ctx, p, split(answer.Points), at, window, max(scrapesPerWindow*e.Prometheus.Interval(), 5*time.Second))
	if failed == nil && len(answer.Warnings) > 0 {
		why = "the server warns: " + brief(strings.Join(answer.Warnings, "; "))
	}
	return bad, total, why, failed
}

// read makes counts of the parts of an answer. The newest sample may be as old as limit.
func (e *Events) read(ctx context.Context, p *eventsPlan, parts map[string][]Point, at time.Time, window, limit time.Duration) (bad, total float64, failed *QueryError) {
	fail := func(condition experiments.Condition, format string, values ...any) (float64, float64, *QueryError) {
		return 0, 0, failf(condition, format, values...)
	}
	newest, here := latest(parts, partNewest)
	old := here && at.Sub(newest) > limit
	if len(parts[partTotal]) == 0 {
		if here && !old {
			return fail(experiments.TooEarly, "total has fewer than two samples in a window of %s, so that nothing can be counted yet", experiments.FormatDuration(window))
		}
		return 0, 0, absent(ctx, e.Prometheus, "total", e.Total, p.total.selectors, at)
	}
	if !here {
		return fail(experiments.Stale, "the series of total ended; what is left in the window speaks of the past%s", e.Prometheus.trouble())
	}
	if old {
		return fail(experiments.Stale, "the newest sample of total is %s old, more than %s (a target that is gone, or clocks that differ)%s", age(at, newest), experiments.FormatDuration(limit), e.Prometheus.trouble())
	}
	total, failed = number(parts[partTotal], "total", e.Total)
	if failed != nil {
		return 0, 0, failed
	}
	var part float64
	if name := p.partName(); len(parts[name]) > 0 {
		if part, failed = number(parts[name], name, p.part.text); failed != nil {
			return 0, 0, failed
		}
	} else if part, failed = e.absentPart(p, parts); failed != nil {
		return 0, 0, failed
	}
	seen, present := latest(parts, partSeen)
	if !present && len(p.other) > 0 && !p.part.absentIsZero && len(parts["bad"]) > 0 {
		return fail(experiments.Stale, "the series of bad ended; what is left in the window speaks of the past%s", e.Prometheus.trouble())
	}
	if present && at.Sub(seen) > limit {
		return fail(experiments.Stale, "the newest sample of the metric of %s is %s old, more than %s%s", p.partName(), age(at, seen), experiments.FormatDuration(limit), e.Prometheus.trouble())
	}
	if failed := e.checkLabels(ctx, p, at); failed != nil {
		return 0, 0, failed
	}

	if p.totalUnit == perSecond {
		total *= window.Seconds()
	}
	if p.partUnit == perSecond {
		part *= window.Seconds()
	}
	bad, failed = p.badOf(part, total)
	if failed == nil && total == 0 {
		failed = failf(experiments.NoTraffic, "no event in the last %s", experiments.FormatDuration(window))
	}
	return bad, total, failed
}

// absentPart reads a query that matched nothing while total is there.
func (e *Events) absentPart(p *eventsPlan, parts map[string][]Point) (float64, *QueryError) {
	if _, seen := latest(parts, partSeen); p.good || seen || len(p.other) == 0 {
		return 0, nil
	}
	return 0, failf(experiments.NoData, "the metric of bad (%s) does not exist, which may be a typing error; if it only appears with the first bad event, write \"... or vector(0)\"%s", strings.Join(p.other, ", "), e.Prometheus.trouble())
}

// badOf makes bad events of what was counted. rate() extrapolates each series to
// the window by itself: a series that is one scrape old may be stretched to three
// times its count. What is more than that is not of the same events.
func (p *eventsPlan) badOf(part, total float64) (float64, *QueryError) {
	switch {
	case total < 0 || part < 0:
		return 0, failf(experiments.Refused, "%s counted %g and total %g events; a count cannot be negative", p.partName(), part, total)
	case p.good && part > total*1.05+1:
		return 0, failf(experiments.Refused, "good counted %g and total only %g events; good must count some of total's events, and no others", part, total)
	case !p.good && part > total*4+1:
		return 0, failf(experiments.Refused, "bad counted %g and total only %g events; bad must count some of total's events, and no others", part, total)
	case p.good:
		return max(0, total-part), nil
	}
	return min(part, total), nil
}

// split sorts the points by their part, and takes the mark off.
func split(points []Point) map[string][]Point {
	parts := map[string][]Point{}
	for _, point := range points {
		name := point.Labels.Get(partLabel)
		point.Labels = labels.NewBuilder(point.Labels).Del(partLabel).Labels()
		parts[name] = append(parts[name], point)
	}
	return parts
}

// latest is the newest of the times in the parts of that name.
func latest(parts map[string][]Point, name string) (time.Time, bool) {
	newest := math.Inf(-1)
	for part, points := range parts {
		if strings.HasPrefix(part, name) && len(points) == 1 && !math.IsNaN(points[0].Value) {
			newest = max(newest, points[0].Value)
		}
	}
	if math.IsInf(newest, 0) {
		return time.Time{}, false
	}
	return time.UnixMilli(int64(math.Round(newest * 1000))), true
}

func age(at, newest time.Time) string {
	return experiments.FormatDuration(at.Sub(newest).Round(100 * time.Millisecond))
}
