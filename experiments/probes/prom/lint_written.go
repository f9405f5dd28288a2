package prom

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/gameday-sh/gameday/experiments"
)

// This file has the checks that need no server.

// burnAlert is a multi-window alert of the SRE workbook, "Alerting on SLOs": so much
// of a 30 day budget within a long window.
type burnAlert struct {
	spends experiments.Percent
	within time.Duration
}

var burnAlerts = []burnAlert{{0.02, time.Hour}, {0.05, 6 * time.Hour}, {0.1, experiments.Day}, {0.1, 3 * experiments.Day}}

// impossibleFactor compares the factors of the workbook's alerts, share * window / long
// window, with the burn rate at which every event fails, 1/(1-objective).
func impossibleFactor(s *lintSubject) []LintFinding {
	budget := s.slo.Budget()
	if budget <= 0 {
		return nil
	}
	var impossible []string
	least := 0.0
	for _, alert := range burnAlerts {
		factor := float64(alert.spends) * s.slo.Window.Hours() / alert.within.Hours()
		if factor*budget > 1+1e-9 {
			impossible = append(impossible, fmt.Sprintf("%s (%s of the budget in %s)", short(factor), alert.spends, experiments.FormatDuration(alert.within)))
			least = max(least, factor)
		}
	}
	if len(impossible) == 0 {
		return nil
	}
	return []LintFinding{{Attribute: "objective",
		Wrong: fmt.Sprintf("With an objective of %s the burn rate is %s when every event fails, so that alerts at %s can never fire.", s.slo.Objective, short(1/budget), strings.Join(impossible, ", ")),
		Write: fmt.Sprintf("Choose an objective above %s%%, or alert on a share of bad events for this SLO instead.", short(100*(1-1/least)))}}
}

// short writes a number with three digits or four.
func short(value float64) string { return strconv.FormatFloat(value, 'g', 4, 64) }

// partOf finds matchers of total that bad or good lacks, where both read one metric.
func partOf(s *lintSubject) []LintFinding {
	part, total := s.part()
	if part == nil || total == nil || len(part.selectors) != 1 || len(total.selectors) != 1 || nameOf(part.selectors[0]) != nameOf(total.selectors[0]) {
		return nil
	}
	for _, m := range total.selectors[0].LabelMatchers {
		i := slices.IndexFunc(part.selectors[0].LabelMatchers, func(own *labels.Matcher) bool { return own.Name == m.Name })
		switch {
		case i < 0 && !m.Matches(""):
			return []LintFinding{{Attribute: part.attribute,
				Wrong: fmt.Sprintf("%s does not have total's matcher %s, and counts events that total leaves out.", part.attribute, m),
				Write: fmt.Sprintf("Add %s to %s, or take it out of total.", m, part.attribute)}}
		case i >= 0 && m.Type == labels.MatchEqual && !part.selectors[0].LabelMatchers[i].Matches(m.Value):
			return []LintFinding{{Attribute: part.attribute,
				Wrong: fmt.Sprintf("%s has %s and total has %s: no event is in both.", part.attribute, part.selectors[0].LabelMatchers[i], m),
				Write: fmt.Sprintf("Write %s in both, or take it out of both.", m)}}
		}
	}
	return nil
}

func differentMetrics(s *lintSubject) []LintFinding {
	part, total := s.part()
	if part == nil || total == nil || part.attribute != "good" {
		return nil
	}
	base := func(names []string) []string {
		var list []string
		for _, name := range names {
			name, _ := histogramName(name)
			list = append(list, name)
		}
		return list
	}
	goods, totals := metricNames(part.root), metricNames(total.root)
	for i, name := range base(goods) {
		if len(totals) > 0 && !slices.Contains(base(totals), name) {
			return []LintFinding{{Attribute: "good",
				Wrong: fmt.Sprintf("good counts %s, and total counts %s.", goods[i], strings.Join(totals, ", ")),
				Write: "Count both with one metric: good with a matcher on the outcome, such as {code!~\"5..\"}, total without."}}
		}
	}
	return nil
}

func quantileWithoutLe(s *lintSubject) (list []LintFinding) {
	s.within(func(q lintQuery, node parser.Node, _ []parser.Node) {
		call, ok := node.(*parser.Call)
		if !ok || call.Func.Name != "histogram_quantile" || len(call.Args) != 2 {
			return
		}
		buckets := slices.ContainsFunc(metricNames(call.Args[1]), func(name string) bool { return strings.HasSuffix(name, "_bucket") })
		if aggregate, ok := unwrap(call.Args[1]).(*parser.AggregateExpr); ok && buckets && slices.Contains(aggregate.Grouping, model.BucketLabel) == aggregate.Without {
			list = append(list, LintFinding{Attribute: q.attribute,
				Wrong: fmt.Sprintf("%s drops the label le, by which histogram_quantile knows the buckets.", q.shown(aggregate)),
				Write: "Write sum by (le) (...), with the labels to keep beside le."})
		}
	})
	return list
}

func unwrap(e parser.Expr) parser.Expr {
	for {
		paren, ok := e.(*parser.ParenExpr)
		if !ok {
			return e
		}
		e = paren.Expr
	}
}

// literal is the number that an operand is.
func literal(e parser.Expr) (float64, bool) {
	number, ok := unwrap(e).(*parser.NumberLiteral)
	if !ok {
		return 0, false
	}
	return number.Val, true
}

// percentWritten finds a share that is multiplied by 100 where a share is needed, and
// names of metrics that speak against the bound.
func percentWritten(s *lintSubject) (list []LintFinding) {
	s.within(func(q lintQuery, node parser.Node, _ []parser.Node) {
		n, ok := node.(*parser.BinaryExpr)
		if !ok || n.Op != parser.MUL || len(list) > 0 {
			return
		}
		left, isLeft := literal(n.LHS)
		right, isRight := literal(n.RHS)
		hundred := isLeft && left == 100 || isRight && right == 100
		switch bound, what := q.bound(); {
		case hundred && !q.number:
			list = append(list, LintFinding{Attribute: q.attribute, Wrong: fmt.Sprintf("%s is multiplied by 100, and counts each event a hundred times.", q.attribute),
				Write: "Take the 100 out: the SLO divides bad by total itself, and objectives are percents already."})
		case hundred && bound > 0 && bound <= 1:
			list = append(list, LintFinding{Attribute: q.attribute, Wrong: fmt.Sprintf("The query is multiplied by 100, and %s is %s.", what, short(bound)),
				Write: fmt.Sprintf("Take the 100 out of the query, or write %s = %s.", what, short(bound*100))})
		}
	})
	for _, q := range s.queries {
		bound, what := q.bound()
		for _, name := range metricNames(q.root) {
			switch {
			case len(list) > 0 || !q.number:
			case strings.HasSuffix(name, "_ratio") && bound > 1 && !strings.Contains(q.text, "100"):
				list = append(list, LintFinding{Attribute: what, Wrong: fmt.Sprintf("%s is a share of 0 to 1 by its name, and %s is %s.", name, what, short(bound)), Write: fmt.Sprintf("Write %s = %s.", what, short(bound/100))})
			case (strings.HasSuffix(name, "_percent") || strings.HasSuffix(name, "_percentage")) && bound > 0 && bound <= 1 && !strings.Contains(q.text, "100"):
				list = append(list, LintFinding{Attribute: what, Wrong: fmt.Sprintf("%s is in percent by its name, and %s is %s.", name, what, short(bound)), Write: fmt.Sprintf("Write %s = %s.", what, short(bound*100))})
			}
		}
	}
	return list
}

// bound is that of a number, and its attribute.
func (q lintQuery) bound() (float64, string) {
	switch {
	case q.most != nil:
		return *q.most, "at_most"
	case q.least != nil:
		return *q.least, "at_least"
	}
	return 0, ""
}

// A request that takes 100 s or more is rare, one that takes 100 ms or more is not.
const tooManySeconds = 100

var (
	requestTime    = regexp.MustCompile(`(duration|latency|response|request|rtt|elapsed).*_seconds$`)
	inMilliseconds = regexp.MustCompile(`_(milliseconds|millis|ms)$`)
)

func secondsOrMilliseconds(s *lintSubject) (list []LintFinding) {
	add := func(attribute, wrong, write string) {
		list = append(list, LintFinding{Attribute: attribute, Wrong: wrong, Write: write})
	}
	if latency, ok := s.slo.SLI.(*Latency); ok {
		m, err := parseMetric(latency.Histogram)
		switch {
		case err != nil:
		case strings.HasSuffix(m.name, "_seconds") && latency.Unit == "milliseconds":
			add("unit", m.name+" is in seconds by its name, and unit is \"milliseconds\".", "Leave unit out.")
		case inMilliseconds.MatchString(m.name) && latency.Unit != "milliseconds":
			add("histogram", m.name+" is in milliseconds by its name, and unit is \"seconds\".", "Write unit = \"milliseconds\".")
		case requestTime.MatchString(m.name) && latency.Within.Seconds() >= tooManySeconds:
			add("within", fmt.Sprintf("A good request may take %s.", experiments.FormatDuration(latency.Within)), fmt.Sprintf("Write within = %q, if milliseconds were meant.", experiments.FormatDuration(latency.Within/1000)))
		}
		return list
	}
	compare := func(attribute, name, what string, bound float64) {
		switch {
		case requestTime.MatchString(name) && bound >= tooManySeconds:
			add(attribute, fmt.Sprintf("%s is in seconds, and %s %s.", name, what, short(bound)), fmt.Sprintf("Write %s, if milliseconds were meant.", short(bound/1000)))
		case inMilliseconds.MatchString(name) && bound > 0 && bound < 1:
			add(attribute, fmt.Sprintf("%s is in milliseconds, and %s %s.", name, what, short(bound)), fmt.Sprintf("Write %s, if seconds were meant.", short(bound*1000)))
		}
	}
	s.within(func(q lintQuery, node parser.Node, _ []parser.Node) {
		switch n := node.(type) {
		case *parser.VectorSelector:
			base, suffix := histogramName(n.Name)
			for _, m := range n.LabelMatchers {
				if bound, err := strconv.ParseFloat(m.Value, 64); suffix == "_bucket" && m.Name == model.BucketLabel && m.Type == labels.MatchEqual && err == nil && m.Value != "+Inf" {
					compare(q.attribute, base, "le is", bound)
				}
			}
		case *parser.BinaryExpr:
			if bound, ok := literal(n.RHS); ok && n.Op.IsComparisonOperator() {
				if name := timed(n.LHS); name != "" {
					compare(q.attribute, name, "is compared with", bound)
				}
			}
		}
	})
	for _, q := range s.queries {
		if bound, what := q.bound(); q.number {
			if name := timed(q.root); name != "" && !multiplied(q.root) {
				compare(what, name, what+" is", bound)
			}
		}
	}
	return list
}

// multiplied tells that a query is turned into another unit.
func multiplied(node parser.Node) (found bool) {
	parser.Inspect(node, func(n parser.Node, _ []parser.Node) error {
		if b, ok := n.(*parser.BinaryExpr); ok {
			_, left := literal(b.LHS)
			_, right := literal(b.RHS)
			found = found || (left || right) && (b.Op == parser.MUL || b.Op == parser.DIV)
		}
		return nil
	})
	return found
}

// timed is the metric of times whose time an expression gives: not the count of them.
func timed(node parser.Expr) string {
	quantile := strings.Contains(node.String(), "histogram_quantile(")
	for _, name := range metricNames(node) {
		base, suffix := histogramName(name)
		if suffix == "" || suffix == "_sum" || suffix == "_bucket" && quantile {
			return base
		}
	}
	return ""
}

func constantForAbsent(s *lintSubject) (list []LintFinding) {
	s.within(func(q lintQuery, node parser.Node, _ []parser.Node) {
		n, ok := node.(*parser.BinaryExpr)
		if !ok || n.Op != parser.LOR {
			return
		}
		call, ok := unwrap(n.RHS).(*parser.Call)
		if !ok || call.Func.Name != "vector" || len(call.Args) != 1 {
			return
		}
		if value, known := literal(call.Args[0]); known && value != 0 {
			list = append(list, LintFinding{Attribute: q.attribute,
				Wrong: fmt.Sprintf("%s reads %s where the series are absent.", q.attribute, short(value)),
				Write: "Take \"or " + q.shown(n.RHS) + "\" out: gameday tells \"absent\" and \"no traffic\" apart by itself. For bad, \"or vector(0)\" says that absent means none."})
		}
	})
	return list
}

// isRatio tells whether a quotient of two vectors, or a metric that is one, is below.
func isRatio(node parser.Node) (found bool) {
	parser.Inspect(node, func(n parser.Node, _ []parser.Node) error {
		switch n := n.(type) {
		case *parser.BinaryExpr:
			found = found || n.Op == parser.DIV && len(metricNames(n.LHS)) > 0 && len(metricNames(n.RHS)) > 0
		case *parser.VectorSelector:
			found = found || strings.HasSuffix(n.Name, "_ratio")
		}
		return nil
	})
	return found
}

func averagedRatio(s *lintSubject) (list []LintFinding) {
	s.within(func(q lintQuery, node parser.Node, _ []parser.Node) {
		average := false
		switch n := node.(type) {
		case *parser.AggregateExpr:
			average = n.Op == parser.AVG && isRatio(n.Expr)
		case *parser.Call:
			average = n.Func.Name == "avg_over_time" && isRatio(n)
		}
		if average && len(list) == 0 {
			list = append(list, LintFinding{Attribute: q.attribute, Wrong: q.shown(node) + " is an average of ratios.",
				Write: "Sum first and divide then: sum(...) / sum(...); or write bad and total, and let the SLO divide."})
		}
	})
	return list
}

func irate(s *lintSubject) (list []LintFinding) {
	s.within(func(q lintQuery, node parser.Node, _ []parser.Node) {
		if call, ok := node.(*parser.Call); ok && call.Func.Name == "irate" {
			list = append(list, LintFinding{Attribute: q.attribute, Wrong: q.shown(call) + " reads the last two samples only.", Write: "Write rate(...) in its place."})
		}
	})
	return list
}

// asItIs are the functions for which a counter as it is, is right.
var asItIs = []string{"absent", "timestamp"}

func counterWithoutRate(s *lintSubject) (list []LintFinding) {
	s.within(func(q lintQuery, node parser.Node, path []parser.Node) {
		selector, ok := node.(*parser.VectorSelector)
		if !ok || !strings.HasSuffix(selector.Name, "_total") && !strings.HasSuffix(selector.Name, "_bucket") {
			return
		}
		for _, around := range path {
			switch n := around.(type) {
			case *parser.MatrixSelector, *parser.SubqueryExpr:
				return
			case *parser.Call:
				if slices.Contains(asItIs, n.Func.Name) {
					return
				}
			case *parser.AggregateExpr:
				if n.Op == parser.COUNT || n.Op == parser.GROUP {
					return
				}
			}
		}
		list = append(list, LintFinding{Attribute: q.attribute, Wrong: selector.Name + " is a counter, and is read as it is.",
			Write: fmt.Sprintf("Write rate(%s[$slice]), in events a second, or increase(...) in events.", selector.Name)})
	})
	return list
}
