package prom

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/prometheus/prometheus/promql/parser"
)

// windowName stands for the window in a query.
const windowName = "$window"

// A query longer than this is a mistake, and the parser's stack is not endless.
const maxQuery = 32 << 10

// unit is what the numbers of an expression are.
type unit int

const (
	plain     unit = iota // a number, such as a factor or a ratio
	perSecond             // rate()
	events                // increase()
)

func (u unit) String() string { return [...]string{"a plain number", "events a second", "events"}[u] }

// windowed are the functions that count events over a window.
var windowed = map[string]unit{
	"rate":            perSecond,
	"increase":        events,
	"sum_over_time":   events,
	"count_over_time": events,
}

// keeping are the functions that keep the unit of their first argument.
var keeping = map[string]bool{
	"abs": true, "ceil": true, "floor": true, "round": true,
	"clamp": true, "clamp_min": true, "clamp_max": true,
	"histogram_count": true, "histogram_sum": true,
	"label_replace": true, "label_join": true,
	"scalar": true, "vector": true, "sort": true, "sort_desc": true,
}

// instead says what to write for functions that look right and are not.
var instead = map[string]string{
	"irate":              "it reads the last two samples only, whatever the window is; write rate()",
	"delta":              "it is for gauges and runs backwards when a counter restarts; write increase()",
	"idelta":             "it is for gauges and reads two samples only; write increase()",
	"deriv":              "it is for gauges; write rate()",
	"avg_over_time":      "an average is not a count; write sum_over_time() or count_over_time()",
	"histogram_quantile": "a percentile has no error budget; count the requests below a bound instead, with sum(rate(..._bucket{le=\"0.5\"}[$window])) as good",
}

// expression is a query that was parsed.
type expression struct {
	text      string
	root      parser.Expr
	selectors []*parser.VectorSelector
	// window is what the parser read in the place of $window.
	window time.Duration
	// absentIsZero tells that the query itself says so: or vector(0).
	absentIsZero bool
}

// parse reads a query; its error says what is wrong and where.
func parse(text string) (*expression, error) {
	if len(text) > maxQuery {
		return nil, fmt.Errorf("the query is longer than %d characters", maxQuery)
	}
	// A range of the same length keeps the parser's positions true.
	digits := 10_001
	for strings.Contains(text, fmt.Sprintf("%dms", digits)) {
		digits++
	}
	standIn := fmt.Sprintf("%dms", digits)
	e := &expression{text: text, window: time.Duration(digits) * time.Millisecond}
	root, err := newParser().ParseExpr(strings.ReplaceAll(text, windowName, standIn))
	if err != nil {
		return nil, errors.New(strings.ReplaceAll(positioned(text, err), standIn, windowName))
	}
	e.root = root
	parser.Inspect(root, func(node parser.Node, _ []parser.Node) error {
		if selector, ok := node.(*parser.VectorSelector); ok {
			e.selectors = append(e.selectors, selector)
		}
		return nil
	})
	return e, nil
}

// positioned puts the parser's words and the place into a sentence.
func positioned(text string, err error) string {
	var list parser.ParseErrors
	if !errors.As(err, &list) || len(list) == 0 {
		return brief(err.Error())
	}
	first := list[0]
	start := int(first.PositionRange.Start)
	if start < 0 || start > len(text) {
		return brief(first.Err.Error())
	}
	if start == len(text) {
		return fmt.Sprintf("at its end: %s", brief(first.Err.Error()))
	}
	rest := []rune(text[start:])
	if len(rest) > 20 {
		rest = append(rest[:20], '…')
	}
	return fmt.Sprintf("at character %d, before %q: %s", len([]rune(text[:start]))+1, string(rest), brief(first.Err.Error()))
}

// over is the query for a window.
func (e *expression) over(window time.Duration) string {
	return strings.ReplaceAll(e.text, windowName, InPromQL(window))
}

// vector is the query for a window as an operand that is a vector. The line break
// ends a comment.
func (e *expression) vector(window time.Duration) string {
	if e.root.Type() == parser.ValueTypeScalar {
		return "vector(" + e.over(window) + "\n)"
	}
	return "(" + e.over(window) + "\n)"
}

// counts tells in which unit the expression counts the events of $window.
func (e *expression) counts() (unit, error) {
	if !strings.Contains(e.text, windowName) {
		return plain, errors.New("the query does not say over which window it counts; write [$window] for the range, as in sum(rate(http_requests_total[$window]))")
	}
	for _, selector := range e.selectors {
		if selector.Timestamp != nil || selector.StartOrEnd != 0 {
			return plain, errors.New("the modifier @ pins it to one moment, whatever the window is; leave it out")
		}
	}
	u, err := e.unit(e.root)
	if err == nil && u == plain {
		err = errors.New("the query gives a ratio or a plain number, not a count of events; write sum(rate(...[$window])) or sum(increase(...[$window])), and leave the division to the SLO")
	}
	return u, err
}

func (e *expression) unit(node parser.Expr) (unit, error) {
	switch n := node.(type) {
	case *parser.ParenExpr:
		return e.unit(n.Expr)
	case *parser.UnaryExpr:
		return e.unit(n.Expr)
	case *parser.NumberLiteral:
		return plain, nil
	case *parser.VectorSelector:
		return plain, fmt.Errorf("%s is the count since the process began, or a gauge; write rate(...[$window]) or increase(...[$window]) around it", n)
	case *parser.AggregateExpr:
		switch n.Op {
		case parser.SUM, parser.MIN, parser.MAX, parser.TOPK, parser.BOTTOMK, parser.LIMITK:
			return e.unit(n.Expr)
		}
		return plain, fmt.Errorf("%s(...) does not give a count of events; write sum(...)", n.Op)
	case *parser.Call:
		return e.call(n)
	case *parser.BinaryExpr:
		return e.binary(n)
	}
	return plain, fmt.Errorf("%s is not a count of events; write sum(rate(...[$window]))", brief(node.String()))
}

func (e *expression) call(n *parser.Call) (unit, error) {
	name := n.Func.Name
	if u, ok := windowed[name]; ok {
		var length time.Duration
		switch argument := n.Args[0].(type) {
		case *parser.MatrixSelector:
			length = argument.Range
		case *parser.SubqueryExpr:
			length = argument.Range
		}
		if length != e.window {
			return plain, fmt.Errorf("%s(...) counts over a range of its own; write [$window], so that it counts the window that is asked for", name)
		}
		return u, nil
	}
	switch {
	case keeping[name] && len(n.Args) > 0:
		return e.unit(n.Args[0])
	case name == "histogram_fraction" && len(n.Args) == 3:
		// A share of a count: times histogram_count(...), it is a count again.
		_, err := e.unit(n.Args[2])
		return plain, err
	case instead[name] != "":
		return plain, fmt.Errorf("%s(...) does not count the events of a window: %s", name, instead[name])
	}
	return plain, fmt.Errorf("%s(...) does not give a count of events; write rate(...[$window]) or increase(...[$window])", name)
}

func (e *expression) binary(n *parser.BinaryExpr) (unit, error) {
	left, err := e.unit(n.LHS)
	if err != nil {
		return plain, err
	}
	switch n.Op {
	case parser.LAND, parser.LUNLESS: // the right side only selects
		return left, nil
	}
	right, err := e.unit(n.RHS)
	if err != nil {
		return plain, err
	}
	switch {
	case n.Op == parser.LOR && right == plain:
		e.absentIsZero = true
		return left, nil
	case n.Op.IsComparisonOperator() && n.ReturnBool:
		return plain, nil
	case n.Op.IsComparisonOperator(), n.Op == parser.LOR && left == right:
		return left, nil
	case (n.Op == parser.ADD || n.Op == parser.SUB) && left == right:
		return left, nil
	case n.Op == parser.MUL && (left == plain || right == plain):
		return max(left, right), nil
	case n.Op == parser.DIV && right == plain:
		return left, nil
	case n.Op == parser.DIV && left == right:
		return plain, nil
	}
	return plain, fmt.Errorf("%s of %s and %s is not a count of events; use rate() on both sides, or increase() on both", n.Op, left, right)
}
