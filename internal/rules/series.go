package rules

import (
	"fmt"
	"maps"
	"regexp/syntax"
	"slices"
	"strings"
	"unicode"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// This file makes series that the selectors of a query match.

// selection is the matchers of one selector.
type selection []*labels.Matcher

// selections are the selectors of a query, each once. The placeholders of windows must
// have been replaced.
func selections(query string) ([]selection, parser.Expr, error) {
	expr, err := parser.NewParser(parser.Options{}).ParseExpr(query)
	if err != nil {
		return nil, nil, err
	}
	var list []selection
	seen := map[string]bool{}
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		if v, ok := node.(*parser.VectorSelector); ok {
			if text := fmt.Sprint(v.LabelMatchers); !seen[text] {
				seen[text] = true
				list = append(list, v.LabelMatchers)
			}
		}
		return nil
	})
	return list, expr, nil
}

// matches tells whether a series is selected.
func (s selection) matches(series labels.Labels) bool {
	for _, m := range s {
		if !m.Matches(series.Get(m.Name)) {
			return false
		}
	}
	return true
}

// values are tried for a label, in this order; "" is a series without the label.
var values = []string{"other", "GET", "a", "1", "0", "200", "500", ""}

// value finds a value of a label that all of want match, and one of not, if there is
// any, does not.
func value(name string, want, not []*labels.Matcher) (string, bool) {
	candidates := slices.Clone(values)
	if strings.Contains(name, "code") || strings.Contains(name, "status") {
		candidates = append([]string{"200"}, candidates...)
	}
	for _, m := range append(slices.Clone(want), not...) {
		switch m.Type {
		case labels.MatchEqual:
			candidates = append([]string{m.Value}, candidates...)
		case labels.MatchRegexp:
			if parsed, err := syntax.Parse(m.Value, syntax.Perl); err == nil {
				candidates = append(samples(parsed), candidates...)
			}
		}
	}
	// The values of not come first in the list, and would be tried in vain.
	for _, candidate := range candidates {
		good := true
		for _, m := range want {
			good = good && m.Matches(candidate)
		}
		if good && len(not) > 0 {
			good = slices.ContainsFunc(not, func(m *labels.Matcher) bool { return !m.Matches(candidate) })
		}
		if good {
			return candidate, true
		}
	}
	return "", false
}

// samples is one text for each alternative of a regular expression.
func samples(re *syntax.Regexp) []string {
	for re.Op == syntax.OpCapture {
		re = re.Sub[0]
	}
	if re.Op != syntax.OpAlternate {
		return []string{sample(re)}
	}
	var list []string
	for _, alternative := range re.Sub {
		list = append(list, sample(alternative))
	}
	return list
}

// sample is a text that a regular expression matches, for all but odd ones.
func sample(re *syntax.Regexp) string {
	switch re.Op {
	case syntax.OpLiteral:
		return string(re.Rune)
	case syntax.OpCharClass:
		for _, ranges := range [][2]rune{{'0', '9'}, {'a', 'z'}, {'A', 'Z'}} {
			for r := ranges[0]; r <= ranges[1]; r++ {
				for i := 0; i+1 < len(re.Rune); i += 2 {
					if re.Rune[i] <= r && r <= re.Rune[i+1] {
						return string(r)
					}
				}
			}
		}
		for i := 0; i+1 < len(re.Rune); i += 2 {
			if unicode.IsPrint(re.Rune[i]) {
				return string(re.Rune[i])
			}
		}
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return "0"
	case syntax.OpCapture, syntax.OpPlus:
		return sample(re.Sub[0])
	case syntax.OpStar:
		// ".*" is meant for something rather than for nothing.
		return sample(re.Sub[0])
	case syntax.OpRepeat:
		return strings.Repeat(sample(re.Sub[0]), max(re.Min, 1))
	case syntax.OpConcat:
		var text strings.Builder
		for _, part := range re.Sub {
			text.WriteString(sample(part))
		}
		return text.String()
	case syntax.OpAlternate:
		return sample(re.Sub[0])
	}
	return ""
}

// make makes a series that s selects, and, if there is any, not does not.
func (s selection) make(not selection) (labels.Labels, bool) {
	want := map[string][]*labels.Matcher{}
	for _, m := range s {
		want[m.Name] = append(want[m.Name], m)
	}
	// One label is enough to be different by.
	differ := []string{""}
	avoid := map[string][]*labels.Matcher{}
	if not != nil {
		differ = nil
		for _, m := range not {
			if m.Name != model.MetricNameLabel {
				avoid[m.Name] = append(avoid[m.Name], m)
			}
		}
		differ = slices.Sorted(maps.Keys(avoid))
	}
	for _, by := range differ {
		names := maps.Clone(want)
		if _, there := names[by]; !there && by != "" {
			names[by] = nil
		}
		out, ok := map[string]string{}, true
		for name, matchers := range names {
			var found bool
			var against []*labels.Matcher
			if name == by && by != "" {
				against = avoid[by]
			}
			out[name], found = value(name, matchers, against)
			ok = ok && found
			if out[name] == "" {
				delete(out, name)
			}
		}
		if ok && out[model.MetricNameLabel] != "" {
			return labels.FromMap(out), true
		}
	}
	return labels.EmptyLabels(), false
}

// both selects what two selectors select.
func both(a, b selection) selection { return append(slices.Clone(a), b...) }

// split makes, of a selector for all and one for a part, series of the part that all
// counts too, and of the rest. It is false where the two have no series in common.
func split(all, part selection) (of, rest labels.Labels, ok bool) {
	of, ok = both(all, part).make(nil)
	if !ok {
		return of, rest, false
	}
	rest, ok = all.make(part)
	return of, rest, ok
}
