package imports

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// window stands for the window in the queries of an SLO.
const window = "$window"

// A query that is longer is a mistake, and the parser's stack is not endless.
const maxQuery = 32 << 10

// query is a query that was parsed. Positions in the tree are those in text, in which
// a range of standIn stands for the window.
type query struct {
	text string
	root parser.Expr
	// straightened tells that typographic quotes were made straight ones.
	straightened bool
}

// standIn is as long as the word $window, so that positions stay true, and nobody
// writes it.
const (
	standIn       = "70707ms"
	standInLength = 70707 * time.Millisecond
)

var slothWindow = pattern(`\{\{-?\s*\.window\s*-?\}\}`)

// parseQuery reads PromQL. Sloth's {{.window}} is the window.
func parseQuery(text string) (*query, error) {
	q, err := parseAsItIs(text)
	if plain := straightener.Replace(text); err != nil && plain != text {
		if q, err = parseAsItIs(plain); err == nil {
			q.straightened = true
		}
	}
	return q, err
}

func parseAsItIs(text string) (*query, error) {
	text = slothWindow().ReplaceAllLiteralString(text, window)
	switch {
	case strings.Contains(text, "{{"):
		return nil, errors.New("it holds a template that only its own tool can fill in")
	case len(text) > maxQuery:
		return nil, fmt.Errorf("it is longer than %d characters", maxQuery)
	case strings.Contains(text, standIn):
		return nil, fmt.Errorf("it has a range of %s, which stands for the window while a query is read", standIn)
	case strings.TrimSpace(text) == "":
		return nil, errors.New("it is empty")
	}
	text = strings.ReplaceAll(text, window, standIn)
	root, err := parser.NewParser(parser.Options{}).ParseExpr(text)
	if err != nil {
		return nil, fmt.Errorf("it is not PromQL: %s", strings.ReplaceAll(err.Error(), standIn, window))
	}
	return &query{text: text, root: root}, nil
}

// String is the query with $window in it.
func (q *query) String() string { return q.over(window) }

// over is the query with a word for the window, without the line break that YAML puts
// at the end of a block of one line.
func (q *query) over(word string) string {
	text := strings.ReplaceAll(q.text, standIn, word)
	if trimmed := strings.TrimSpace(text); !strings.Contains(trimmed, "\n") {
		return trimmed
	}
	return strings.TrimRight(text, " \n") + "\n"
}

// part is the query of a part of the tree.
func (q *query) part(e parser.Expr) (*query, error) {
	at := e.PositionRange()
	text := dedent(q.text[at.Start:at.End])
	root, err := parser.NewParser(parser.Options{}).ParseExpr(text)
	if err != nil {
		return nil, fmt.Errorf("a part of it cannot be read by itself: %w", err)
	}
	return &query{text: text, root: root}, nil
}

// dedent takes the indentation of a text's last line from all lines but the first.
func dedent(text string) string {
	lines := strings.Split(text, "\n")
	if len(lines) == 1 {
		return text
	}
	last := lines[len(lines)-1]
	indent := last[:len(last)-len(strings.TrimLeft(last, " "))]
	for i := range lines {
		lines[i] = strings.TrimPrefix(lines[i], indent)
	}
	return strings.Join(lines, "\n") + "\n"
}

// edit is one change to a text.
type edit struct {
	from, to int
	text     string
}

func apply(text string, edits []edit) string {
	slices.SortFunc(edits, func(a, b edit) int { return cmp.Compare(b.from, a.from) })
	for _, e := range edits {
		text = text[:e.from] + e.text + text[e.to:]
	}
	return text
}

// ranges matches the range behind a selector, or a subquery's up to its colon.
var ranges = pattern(`^\s*\[[^\]:]*`)

// count rewrites a query so that it counts the events of the window: ranges of a
// fixed length become $window, and function goes around selectors without a range.
// It tells what it did, for a person.
func (q *query) count(function string) (*query, []string, error) {
	var edits []edit
	var fixed, wrapped []string
	var failed error
	note := func(list *[]string, word string) {
		if !slices.Contains(*list, word) {
			*list = append(*list, word)
		}
	}
	replace := func(end int, length time.Duration) {
		if length == standInLength {
			return
		}
		at := ranges().FindStringIndex(q.text[end:])
		if at == nil {
			failed = errors.New("a range in it was not found")
			return
		}
		note(&fixed, strings.Trim(strings.TrimSpace(q.text[end:end+at[1]]), "["))
		edits = append(edits, edit{end, end + at[1], "[" + standIn})
	}
	parser.Inspect(q.root, func(node parser.Node, path []parser.Node) error {
		for _, above := range path {
			switch above.(type) {
			case *parser.MatrixSelector, *parser.SubqueryExpr:
				return nil // has its range
			}
		}
		switch n := node.(type) {
		case *parser.MatrixSelector:
			replace(int(n.VectorSelector.PositionRange().End), n.Range)
		case *parser.SubqueryExpr:
			replace(int(n.Expr.PositionRange().End), n.Range)
		case *parser.VectorSelector:
			if n.OriginalOffset != 0 || n.OriginalOffsetExpr != nil || n.Timestamp != nil || n.StartOrEnd != 0 {
				failed = fmt.Errorf("the selector %s has an offset or @, so that it cannot be put into %s(...)", n, function)
				return nil
			}
			note(&wrapped, n.Name)
			edits = append(edits, edit{int(n.PosRange.Start), int(n.PosRange.Start), function + "("},
				edit{int(n.PosRange.End), int(n.PosRange.End), "[" + standIn + "])"})
		}
		return nil
	})
	if failed != nil {
		return nil, nil, failed
	}
	if len(edits) == 0 {
		return q, nil, nil
	}
	text := apply(q.text, edits)
	root, err := parser.NewParser(parser.Options{}).ParseExpr(text)
	if err != nil {
		return nil, nil, fmt.Errorf("with the window in it, it is not PromQL any more: %w", err)
	}
	var said []string
	if len(fixed) > 0 {
		said = append(said, fmt.Sprintf("its range of %s became [%s], the window that is asked for", strings.Join(fixed, " and "), window))
	}
	if len(wrapped) > 0 {
		said = append(said, fmt.Sprintf("%s(...[%s]) was put around %s", function, window, strings.Join(wrapped, " and ")))
	}
	return &query{text: text, root: root}, said, nil
}

// hasRange tells that the query counts over some range already.
func (q *query) hasRange() bool {
	found := false
	parser.Inspect(q.root, func(node parser.Node, _ []parser.Node) error {
		switch node.(type) {
		case *parser.MatrixSelector, *parser.SubqueryExpr:
			found = true
		}
		return nil
	})
	return found
}

// selectors are all selectors of a tree.
func selectors(e parser.Expr) []*parser.VectorSelector {
	var list []*parser.VectorSelector
	parser.Inspect(e, func(node parser.Node, _ []parser.Node) error {
		if s, ok := node.(*parser.VectorSelector); ok {
			list = append(list, s)
		}
		return nil
	})
	return list
}

// bare is an expression without the parentheses around it.
func bare(e parser.Expr) parser.Expr {
	for {
		paren, ok := e.(*parser.ParenExpr)
		if !ok {
			return e
		}
		e = paren.Expr
	}
}

// division is a ratio taken apart: part / total, or 1 - part / total.
type division struct {
	part, total *query
	// complement tells that the ratio is that of the others: 1 - part / total.
	complement bool
	// orZero tells that "or vector(0)" stood behind the division.
	orZero bool
}

// divide takes a ratio apart into what is counted. It is nil if the query is no
// division of two counts.
func (q *query) divide() *division {
	d := &division{}
	e := bare(q.root)
	if or, ok := e.(*parser.BinaryExpr); ok && or.Op == parser.LOR && isVector(or.RHS) {
		d.orZero = true
		e = bare(or.LHS)
	}
	if minus, ok := e.(*parser.BinaryExpr); ok && minus.Op == parser.SUB {
		if literal, ok := bare(minus.LHS).(*parser.NumberLiteral); ok && literal.Val == 1 {
			d.complement = true
			e = bare(minus.RHS)
		}
	}
	ratio, ok := e.(*parser.BinaryExpr)
	if !ok || ratio.Op != parser.DIV || len(selectors(ratio.LHS)) == 0 || len(selectors(ratio.RHS)) == 0 {
		return nil
	}
	var err, other error
	d.part, err = q.part(bare(ratio.LHS))
	d.total, other = q.part(bare(ratio.RHS))
	if err != nil || other != nil {
		return nil
	}
	return d
}

func isVector(e parser.Expr) bool {
	call, ok := bare(e).(*parser.Call)
	return ok && call.Func.Name == "vector"
}

// quantile is histogram_quantile(0.95, ...) taken apart.
type quantile struct {
	share     float64
	histogram string // base name with matchers
	native    bool
}

// quantile is nil if the query is not one quantile of one histogram.
func (q *query) quantile() *quantile {
	call, ok := bare(q.root).(*parser.Call)
	if !ok || call.Func.Name != "histogram_quantile" || len(call.Args) != 2 {
		return nil
	}
	share, ok := bare(call.Args[0]).(*parser.NumberLiteral)
	found := selectors(call.Args[1])
	if !ok || len(found) != 1 || found[0].Name == "" {
		return nil
	}
	name, classic := strings.CutSuffix(found[0].Name, "_bucket")
	var matchers []string
	for _, m := range found[0].LabelMatchers {
		if m.Name != model.MetricNameLabel && m.Name != labels.BucketLabel {
			matchers = append(matchers, m.String())
		}
	}
	slices.Sort(matchers)
	if len(matchers) > 0 {
		name += "{" + strings.Join(matchers, ",") + "}"
	}
	return &quantile{share: share.Val, histogram: name, native: !classic}
}

// Words and matchers that tell good events from bad ones.
var (
	goodWords   = pattern(`(?i)success|availab|uptime|good|correct|\bok\b`)
	badWords    = pattern(`(?i)error|fail|\bbad\b|unavailab|reject`)
	badMatcher  = pattern(`(?i)^\(?5(\d\d|\.\.|xx|\[)|error|fail|false`)
	goodMatcher = pattern(`(?i)^\(?2(\d\d|\.\.|xx|\[)|success|^ok$|true`)
)

// counts tells whether part counts the good or the bad ones of total: by the matchers
// that it has and total has not, else by the words that describe it. It is empty where
// neither says.
func (d *division) counts(words string) string {
	have := map[string]bool{}
	for _, s := range selectors(d.total.root) {
		for _, m := range s.LabelMatchers {
			have[m.String()] = true
		}
	}
	verdict := ""
	for _, s := range selectors(d.part.root) {
		for _, m := range s.LabelMatchers {
			if have[m.String()] || m.Name == model.MetricNameLabel {
				continue
			}
			positive := m.Type == labels.MatchEqual || m.Type == labels.MatchRegexp
			switch {
			case badMatcher().MatchString(m.Value):
				verdict = map[bool]string{true: "bad", false: "good"}[positive]
			case goodMatcher().MatchString(m.Value):
				verdict = map[bool]string{true: "good", false: "bad"}[positive]
			}
		}
	}
	if verdict == "" {
		// The words tell of the whole, which is the other of what part counts where it
		// is a complement.
		switch {
		case badWords().MatchString(words):
			verdict = map[bool]string{true: "good", false: "bad"}[d.complement]
		case goodWords().MatchString(words):
			verdict = map[bool]string{true: "bad", false: "good"}[d.complement]
		}
	}
	return verdict
}
