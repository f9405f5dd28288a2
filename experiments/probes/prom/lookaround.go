package prom

import (
	"github.com/prometheus/common/model"

	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/gameday-sh/gameday/experiments"
)

// This file asks what stands around a query: whether the labels and metrics it
// names exist, and when they were last there.

// labelCheck is a label that a query matches by, and that must exist: otherwise
// the matcher matches everything or nothing, and the query reads as perfect.
type labelCheck struct {
	query  string // bad, good or total
	metric string // selector of the metric
	label  string
	// selector is for the series of the metric that have the label.
	selector string
}

// lookAround finds the metrics of part that total does not read, and the labels to
// check. Equalities that total has too narrow both: they are met when total is
// there.
func lookAround(p *eventsPlan) (other []string, checks []labelCheck) {
	var totalNames []string
	met := map[string]bool{}
	for _, selector := range p.total.selectors {
		totalNames = append(totalNames, nameOf(selector))
		for _, m := range selector.LabelMatchers {
			if m.Type == labels.MatchEqual {
				met[m.String()] = true
			}
		}
	}
	look := func(query string, selectors []*parser.VectorSelector) {
		for _, selector := range selectors {
			var base []*labels.Matcher
			for _, m := range selector.LabelMatchers {
				if m.Type == labels.MatchEqual && (met[m.String()] || m.Name == model.MetricNameLabel) {
					base = append(base, m)
				}
			}
			if len(base) == 0 {
				continue // a metric by a pattern
			}
			metric := selectorOf(base)
			if query == "bad" && !slices.Contains(totalNames, nameOf(selector)) && !slices.Contains(other, metric) {
				other = append(other, metric)
			}
			for _, m := range selector.LabelMatchers {
				if m.Name == model.MetricNameLabel || met[m.String()] || !silent(m) {
					continue
				}
				with := append(slices.Clone(base), labels.MustNewMatcher(labels.MatchNotEqual, m.Name, ""))
				check := labelCheck{query: query, metric: metric, label: m.Name, selector: selectorOf(with)}
				if !slices.Contains(checks, check) {
					checks = append(checks, check)
				}
			}
		}
	}
	look("total", p.total.selectors)
	look(p.partName(), p.part.selectors)
	return other, checks
}

// silent tells whether a matcher on a label that does not exist goes unnoticed. One
// that is written for the empty value is meant so.
func silent(m *labels.Matcher) bool {
	empty := m.Matches("")
	if m.Type == labels.MatchEqual || m.Type == labels.MatchRegexp {
		return !empty
	}
	return empty
}

func nameOf(selector *parser.VectorSelector) string {
	for _, m := range selector.LabelMatchers {
		if m.Name == model.MetricNameLabel {
			return m.String()
		}
	}
	return ""
}

// selectorOf writes matchers as {__name__="x",job="y"}, which needs no care for
// names that are not identifiers.
func selectorOf(matchers []*labels.Matcher) string {
	list := make([]string, 0, len(matchers))
	for _, m := range matchers {
		list = append(list, m.String())
	}
	return "{" + strings.Join(list, ",") + "}"
}

// bare is a selector without range, offset and @.
func bare(selector *parser.VectorSelector) string { return selectorOf(selector.LabelMatchers) }

// checkLabels asks once whether the labels exist that the queries name; after a
// failure it asks again.
func (e *Events) checkLabels(ctx context.Context, p *eventsPlan, at time.Time) *QueryError {
	e.mu.Lock()
	done := e.labelled || len(p.labels) == 0
	e.mu.Unlock()
	if done {
		return nil
	}
	list := p.labelling(func(part string) string { return part })
	answer, err := e.Prometheus.Query(ctx, strings.Join(list, "\nor "), at)
	if err != nil {
		condition, text := conditionOf(err)
		return failf(condition, "%s", text)
	}
	return e.readLabels(p, split(answer.Points))
}

// labelling are the parts of a query that tell whether the labels exist.
func (p *eventsPlan) labelling(mark func(part string) string) []string {
	var list []string
	for i, check := range p.labels {
		list = append(list,
			named("count("+check.selector+")", mark(fmt.Sprint("with", i))),
			named("count("+check.metric+")", mark(fmt.Sprint("all", i))))
	}
	return list
}

// readLabels reads these parts.
func (e *Events) readLabels(p *eventsPlan, parts map[string][]Point) *QueryError {
	sure := true
	for i, check := range p.labels {
		if len(parts[fmt.Sprint("with", i)]) > 0 {
			continue
		}
		if len(parts[fmt.Sprint("all", i)]) == 0 {
			sure = false // no series yet to tell by
			continue
		}
		return failf(experiments.NoData, "%s matches by the label %q, which no series of %s has: the query would count all events or none; correct the name of the label", check.query, check.label, check.metric)
	}
	e.mu.Lock()
	e.labelled = sure
	e.mu.Unlock()
	return nil
}

// exist tells of labels and metrics that the queries name and that do not exist: [Events]
// finds that in what it counts, others that count by its queries do not.
func (e *Events) exist(ctx context.Context, at time.Time) *QueryError {
	p, err := e.compiled()
	if err != nil {
		return failf(experiments.Refused, "%s", err)
	}
	if len(p.other) > 0 && !p.part.absentIsZero {
		var list []string
		for i, selector := range p.other {
			list = append(list, named(newestOf(selector), fmt.Sprint(partSeen, i)))
		}
		answer, err := e.Prometheus.Query(ctx, strings.Join(list, "\nor "), at)
		if err != nil {
			condition, text := conditionOf(err)
			return failf(condition, "%s", text)
		}
		if len(answer.Points) == 0 {
			return e.noSuchPart(p)
		}
	}
	return e.checkLabels(ctx, p, at)
}

// existed is exist over a period: a metric that was there at some time of it is not
// missed now, as the pods that had counted may be gone.
func (e *Events) existed(ctx context.Context, at time.Time, period, timeout time.Duration) *QueryError {
	failed := e.exist(ctx, at)
	if failed == nil || failed.Condition != experiments.NoData {
		return failed
	}
	p, err := e.compiled()
	if err != nil || len(p.other) == 0 || p.part.absentIsZero {
		return failed
	}
	server, none := e.Prometheus.server()
	if none != nil {
		return none
	}
	var list []string
	for i, selector := range p.other {
		list = append(list, named("count(count_over_time("+selector+"["+InPromQL(period)+"]))", fmt.Sprint(partSeen, i)))
	}
	answer, err := server.instant(ctx, strings.Join(list, "\nor "), at, timeout)
	if err != nil {
		condition, text := conditionOf(err)
		return failf(condition, "%s", text)
	}
	if len(answer.Points) == 0 {
		return failed
	}
	return e.checkLabels(ctx, p, at)
}

// lookBehind is how far back an absent series is searched.
const lookBehind = time.Hour

// absent words a query that matched nothing: its series ended, are there but leave
// nothing, or were never there.
func absent(ctx context.Context, p *Prometheus, what, text string, selectors []*parser.VectorSelector, at time.Time) *QueryError {
	none := failf(experiments.NoData, "%s matched no series, now and in the last hour: %s%s", what, brief(text), p.trouble())
	if len(selectors) == 0 {
		return none
	}
	// A sample is visible at a step if it is at most a lookback old. A server looks
	// back 5 minutes, unless it was told otherwise.
	step := time.Minute
	if p.Builtin() {
		step = lookback(p.Interval())
	}
	var list []string
	for i, selector := range selectors {
		list = append(list,
			named(fmt.Sprintf("max(max_over_time(timestamp(%s)[%dms:%dms]))", bare(selector), lookBehind.Milliseconds(), step.Milliseconds()), fmt.Sprint("past", i)),
			named(newestOf(bare(selector)), fmt.Sprint("now", i)))
	}
	answer, err := p.Query(ctx, strings.Join(list, "\nor "), at)
	if err != nil {
		_, words := conditionOf(err)
		return failf(experiments.NoData, "%s matched no series: %s (whether it had any before could not be asked: %s)", what, brief(text), words)
	}
	parts := split(answer.Points)
	if newest, ok := latest(parts, "now"); ok {
		return failf(experiments.NoData, "%s gave nothing, though its series are there (newest sample %s ago): a comparison without bool drops what it does not hold for, and a range needs two samples: %s", what, age(at, newest), brief(text))
	}
	if newest, ok := latest(parts, "past"); ok {
		return failf(experiments.Stale, "the series of %s ended: last seen about %s ago%s", what, age(at, newest), p.trouble())
	}
	return none
}
