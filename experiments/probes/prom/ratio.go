package prom

import (
	"fmt"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/gameday-sh/gameday/experiments"
)

// Sliced is an SLI of time slices: rules record the state of each slice once, when it
// ends, instead of asking for all slices of a window again and again.
type Sliced interface {
	Counted
	// Slices is nil for queries that cannot be read.
	Slices() *Slices
}

// Slices tells the state of one slice in PromQL.
type Slices struct {
	Slice time.Duration
	// Bad is 1 or 0 for the slice that ends now, without labels; absent without data.
	Bad string
	// AbsentIsBad tells that a slice without data is a bad one, once there was any.
	AbsentIsBad bool
}

// Ratio gives PromQL for the share of bad events of a window, one number without
// labels. It is absent without traffic and without data: neither is health.
//
// A part that is absent beside a total is none: "or vector(0)" does not outlive the
// service here, as the division by total needs total to be there.
func (e *Events) Ratio(window time.Duration) (string, error) {
	p, err := e.compiled()
	if err != nil {
		return "", err
	}
	part, total := p.part.events(window, p.partUnit), p.total.events(window, p.totalUnit)
	if p.partUnit == p.totalUnit { // the length of the window cancels
		part, total = p.part.events(window, plain), p.total.events(window, plain)
	}
	ratio := e.orNone(p, part) + "\n/\n(" + hang(total, " > 0") + ")"
	if p.good {
		return "clamp_min(\n" + indent("1 -\n"+ratio+",\n0") + "\n)", nil
	}
	return ratio, nil
}

// ratioOrQuiet is the Ratio, and 0 for a window in which nothing happened.
func (e *Events) ratioOrQuiet(window time.Duration) (string, error) {
	ratio, err := e.Ratio(window)
	if err != nil {
		return "", err
	}
	p, err := e.compiled()
	if err != nil {
		return "", err
	}
	return ratio + "\nor\n0 * " + p.total.events(window, plain), nil
}

// Rates gives PromQL for bad events and for all events a second, taken over a window.
// Both are there only where both mean something: not while total is absent or a number
// is NaN, nor while a metric or a label that the queries name does not exist, as they
// would then read as perfect. recorded stands for the first in the second.
func (e *Events) Rates(window time.Duration, recorded string) (bad, total string, err error) {
	p, err := e.compiled()
	if err != nil {
		return "", "", err
	}
	perSecond := func(expr *expression, u unit) string {
		text := expr.events(window, plain)
		if u == events {
			text = hang(text, fmt.Sprintf(" / %g", window.Seconds()))
		}
		return text
	}
	part, all := perSecond(p.part, p.partUnit), perSecond(p.total, p.totalUnit)
	var there strings.Builder
	for _, selector := range e.witnesses(p) {
		there.WriteString("\nand on() group(" + selector + ")")
	}
	if p.good {
		// The greater than -Inf drops a NaN, which clamp_min would let pass.
		bad = "clamp_min(\n" + indent("("+hang(all, " >= 0")+")\n-\n("+hang(e.orNone(p, part), " > -Inf")+"),\n0") + "\n)" + there.String()
	} else {
		bad = hang(e.orNone(p, part), " >= 0") + "\nand on() (" + hang(all, " >= 0") + ")" + there.String()
	}
	return bad, hang(all, " >= 0") + "\nand on() " + recorded, nil
}

// orNone is the part as 0 where it is absent. One that is always there with its total
// has no such case.
func (e *Events) orNone(p *eventsPlan, part string) string {
	root, said := p.part.root.(*parser.BinaryExpr)
	if said { // "or vector(0)" is there already
		right, call := root.RHS.(*parser.Call)
		said = call && root.Op == parser.LOR && right.Func.Name == "vector"
	}
	if e.whole || said {
		return "(" + hang(part, "") + ")"
	}
	return "(\n" + indent(hang(part, "\nor vector(0)")) + "\n)"
}

// witnesses are the series that must be there for the queries to mean what they say.
func (e *Events) witnesses(p *eventsPlan) []string {
	var list []string
	if !p.part.absentIsZero {
		list = append(list, p.other...)
	}
	for _, check := range p.labels {
		list = append(list, check.selector)
	}
	for i, selector := range list {
		list[i] = plainly(selector)
	}
	return list
}

// plainly writes {__name__="x",job="y"} as x{job="y"}, where the name allows it.
func plainly(selector string) string {
	expr, err := newParser().ParseExpr(selector)
	if err != nil {
		return selector
	}
	v, ok := expr.(*parser.VectorSelector)
	if !ok {
		return selector
	}
	name, rest := "", []string{}
	for _, m := range v.LabelMatchers {
		if m.Name == model.MetricNameLabel && m.Type == labels.MatchEqual && model.LegacyValidation.IsValidMetricName(m.Value) {
			name = m.Value
			continue
		}
		rest = append(rest, m.String())
	}
	switch {
	case name == "":
		return selector
	case len(rest) == 0:
		return name
	}
	return name + "{" + strings.Join(rest, ",") + "}"
}

// hang puts a suffix behind a query, where it is not part of a comment that ends it.
func hang(text, suffix string) string {
	if lines := strings.Split(text, "\n"); strings.Contains(lines[len(lines)-1], "#") && !strings.HasPrefix(suffix, "\n") {
		return text + "\n" + suffix
	}
	return text + suffix
}

// indent sets each line of a text in. Lines within a string stay as they are where
// that can be seen: PromQL has strings of several lines only in backticks.
func indent(text string) string {
	if strings.Contains(text, "`") {
		return text
	}
	return "  " + strings.ReplaceAll(text, "\n", "\n  ")
}

// InPromQL writes a length of time as PromQL does, without weeks and years: "5m",
// "1h30m", "28d", "10s1ms".
func InPromQL(d time.Duration) string {
	if d > 0 && d%experiments.Day == 0 {
		return experiments.FormatDuration(d)
	}
	return model.Duration(d).String()
}
