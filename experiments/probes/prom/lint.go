package prom

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/gameday-sh/gameday/experiments"
)

// A LintCheck looks for one mistake that is valid and still wrong: an SLO that reads
// 100% while everything fails, or an alert that can never fire.
type LintCheck struct {
	Name    string // "missing-label"
	Summary string // what is looked for
	Why     string // why it matters, a sentence
	// written looks at what is written. asked asks the server; it is left out where
	// written found something. An error of it tells why it could not tell.
	written func(s *lintSubject) []LintFinding
	asked   func(ctx context.Context, s *lintSubject) ([]LintFinding, error)
}

// Asks tells whether the check needs a server.
func (c LintCheck) Asks() bool { return c.asked != nil }

// LintChecks is the table of checks.
func LintChecks() []LintCheck {
	return []LintCheck{
		{"impossible-factor", "An alert whose burn rate cannot be reached, not even when every event fails",
			"An alert that can never fire looks like a service that is never in trouble.", impossibleFactor, nil},
		{"tiny-budget", "A budget that one bad event overspends, at the traffic that is measured",
			"An objective that allows less than one bad event is 100% in disguise: the first one freezes everything.", nil, tinyBudget},
		{"missing-label", "A matcher on a label that no series of the metric has",
			"It matches everything or nothing: the SLI reads 100% while every request fails.", nil, missingLabel},
		{"status-class", "A matcher such as code=~\"5xx\", where the label has numbers such as 503",
			"It matches nothing: as bad it reads 100%, as good 0%.", nil, statusClass},
		{"no-data", "An SLI that gives no number",
			"What cannot be read is neither good nor bad, and no alert on it fires.", nil, noData},
		{"scrape-interval", "Samples that come more seldom than scrape_interval says, so that windows and slices hold fewer than four",
			"rate() needs two samples; with fewer than four a lost scrape makes holes.", nil, scrapeInterval},
		{"mostly-bad", "More than half of the events bad: a comparison that is inverted, as an imported file may have it",
			"Good and bad change places: a healthy service burns its budget, an outage earns it.", nil, mostlyBad},
		{"not-a-part", "bad or good counts events that total does not",
			"The ratio of two different things is no share: it may be above 100%, or hide what failed.", partOf, notAPart},
		{"different-metrics", "good and total come from different metrics",
			"Two metrics are counted in two places, and lose events at different times; what one of them misses reads as bad, or as good.", differentMetrics, nil},
		{"quantile-without-le", "histogram_quantile over a sum that drops the label le",
			"Without le there are no buckets, and the quantile is absent or NaN.", quantileWithoutLe, nil},
		{"percent-or-ratio", "A share of 0 to 1 that is held against percent, or multiplied by 100",
			"A bound that is a hundred times off holds always or never.", percentWritten, percentAsked},
		{"seconds-or-milliseconds", "A bound in milliseconds on a metric in seconds, or the other way round",
			"A bound that is a thousand times off holds always or never.", secondsOrMilliseconds, nil},
		{"constant-for-absent", "or vector(1), or another number than 0 in the place of what is absent",
			"It turns an outage, in which the series vanish, into a good value.", constantForAbsent, nil},
		{"averaged-ratio", "The average of ratios",
			"A ratio of few events weighs as much as one of many: at night one error counts like a thousand by day.", averagedRatio, nil},
		{"irate", "irate, which reads two samples whatever the range is",
			"It skips all that happened between, and reads differently each time.", irate, nil},
		{"counter-without-rate", "A counter without rate or increase",
			"It is the count since the process began: it only rises, and falls to 0 with a restart.", counterWithoutRate, nil},
		{"constant-query", "Slices whose number never varies",
			"A number that never moves measures nothing, such as a flag, a limit, or a metric that nobody sets.", nil, constantQuery},
	}
}

// LintFinding is one mistake.
type LintFinding struct {
	Check string `json:"check"`
	SLO   string `json:"slo"`
	// Attribute of the slo or its sli that it is about; empty for the whole block.
	Attribute string `json:"attribute,omitempty"`
	Wrong     string `json:"wrong"` // a sentence
	Why       string `json:"why"`   // a sentence
	Write     string `json:"write"` // what to do instead, a sentence
}

// LintGap is a check that could not be made.
type LintGap struct {
	Checks []string `json:"checks"`
	SLO    string   `json:"slo"`
	Why    string   `json:"why"`
	// Unreachable tells that a server was to be asked, and did not answer.
	Unreachable bool `json:"unreachable"`
}

// LintOptions say how to look.
type LintOptions struct {
	Offline bool          // ask no server
	Over    time.Duration // how far back a server is asked
	Now     time.Time
}

// Lint makes all checks on SLOs. Each Prometheus with an URL must be open, unless
// Offline.
func Lint(ctx context.Context, slos []*experiments.SLO, options LintOptions) (findings []LintFinding, gaps []LintGap) {
	silent := map[*Prometheus]*silence{}
	for _, slo := range slos {
		s := newLintSubject(slo, options)
		if silent[s.where] == nil {
			silent[s.where] = &silence{}
		}
		s.silence = silent[s.where]
		found, missing := s.lint(ctx)
		findings, gaps = append(findings, found...), append(gaps, missing...)
	}
	return findings, gaps
}

func (s *lintSubject) lint(ctx context.Context) (findings []LintFinding, gaps []LintGap) {
	gap := func(check string, err error) {
		i := slices.IndexFunc(gaps, func(g LintGap) bool { return g.Why == err.Error() })
		if i < 0 {
			i = len(gaps)
			var failed *QueryError
			gaps = append(gaps, LintGap{SLO: s.slo.Name, Why: err.Error(), Unreachable: errors.As(err, &failed)})
		}
		gaps[i].Checks = append(gaps[i].Checks, check)
	}
	if s.sli == nil && s.slo.Probe != nil {
		err := fmt.Errorf("it rests on %s, whose measurements are kept by runs only", s.slo.Probe.SeriesName())
		for _, check := range []string{"tiny-budget", "no-data", "mostly-bad"} {
			gap(check, err)
		}
	}
	for _, check := range LintChecks() {
		var found []LintFinding
		if check.written != nil {
			found = check.written(s)
		}
		if len(found) == 0 && check.asked != nil && s.sli != nil {
			var err error
			if found, err = check.asked(ctx, s); err != nil {
				gap(check.Name, err)
			}
		}
		for _, f := range found {
			f.Check, f.SLO, f.Why = check.Name, s.slo.Name, check.Why
			findings = append(findings, f)
		}
	}
	return findings, gaps
}

// silence counts the questions in a row that a server did not answer. After two it is
// not asked again: with fifty SLOs, waiting for each would take an hour.
type silence struct {
	row int
	err error
}

func (q *silence) note(err error) {
	var failed *QueryError
	if errors.As(err, &failed) && failed.Condition == experiments.Unreachable {
		q.row, q.err = q.row+1, err
	} else {
		q.row = 0
	}
}

// lintSubject is an SLO with what checks ask of it.
type lintSubject struct {
	slo     *experiments.SLO
	sli     Counted // nil for an SLO on a probe
	where   *Prometheus
	queries []lintQuery
	options LintOptions
	silence *silence // of where
	counted *experiments.Count
}

// lintQuery is a query that a person wrote.
type lintQuery struct {
	attribute string
	*expression
	sliced bool // it is asked for each slice
	// number tells that it gives the number of a slice, and not a count of events.
	number bool
	slice  time.Duration // of a number
	// most and least are the bounds of a number.
	most, least *float64
}

func newLintSubject(slo *experiments.SLO, options LintOptions) *lintSubject {
	s := &lintSubject{slo: slo, options: options}
	sli, ok := slo.SLI.(Counted)
	if !ok {
		return s
	}
	s.sli, s.where = sli, sli.Events().Prometheus
	add := func(q lintQuery, text string) {
		if parsed, err := parse(inWindow(text)); err == nil && text != "" {
			q.expression, q.sliced = parsed, strings.Contains(text, sliceName)
			s.queries = append(s.queries, q)
		}
	}
	counts := func(bad, good, total string) {
		add(lintQuery{attribute: "bad"}, bad)
		add(lintQuery{attribute: "good"}, good)
		add(lintQuery{attribute: "total"}, total)
	}
	switch sli := slo.SLI.(type) {
	case *TimeSlice:
		counts(sli.Bad, sli.Good, sli.Total)
		add(lintQuery{attribute: "query", number: true, slice: sli.Slice, most: sli.AtMost, least: sli.AtLeast}, sli.Query)
	case *Throughput:
		add(lintQuery{attribute: "query", number: true, slice: sli.Slice, least: &sli.AtLeast}, sli.Query)
	case *Latency:
		add(lintQuery{attribute: "histogram"}, sli.Events().Total)
	default:
		e := sli.(Counted).Events()
		counts(e.Bad, e.Good, e.Total)
	}
	return s
}

// errOffline and errBuiltin are why no server is asked.
var (
	errOffline = errors.New("no server was asked (--offline)")
	errBuiltin = errors.New("it is counted by the built-in Prometheus, which has samples only while a scenario runs; with a server (prometheus { url = ... }) it could be checked")
)

func (s *lintSubject) askable() error {
	switch {
	case s.options.Offline:
		return errOffline
	case s.where.Builtin() && s.where.samples() == nil:
		return errBuiltin
	case s.silence.row >= 2:
		return s.silence.err
	}
	return nil
}

// query asks the server.
func (s *lintSubject) query(ctx context.Context, query string) (Answer, error) {
	if err := s.askable(); err != nil {
		return Answer{}, err
	}
	answer, err := s.where.Query(ctx, query, s.options.Now)
	s.silence.note(err)
	return answer, err
}

// ask gives the one number of a query; found is false where the answer is empty.
func (s *lintSubject) ask(ctx context.Context, query string) (value float64, found bool, err error) {
	answer, err := s.query(ctx, query)
	if err != nil || len(answer.Points) == 0 {
		return 0, false, err
	}
	return answer.Points[0].Value, true, nil
}

// count counts the SLI once. Its error says that it gave no number, and why.
func (s *lintSubject) count(ctx context.Context) (experiments.Count, error) {
	if err := s.askable(); err != nil {
		return experiments.Count{Condition: experiments.Unreachable}, err
	}
	if s.counted == nil {
		c := s.sli.Count(ctx, s.options.Now, s.over())
		s.counted = &c
	}
	switch c := *s.counted; c.Condition {
	case experiments.OK:
		return c, nil
	case experiments.Unreachable:
		err := failf(c.Condition, "%s", c.Why)
		s.silence.note(err)
		return c, err
	default:
		return c, fmt.Errorf("the SLI gives no number: %s", c.Condition)
	}
}

// over is how far back to look.
func (s *lintSubject) over() time.Duration {
	over := min(s.options.Over, s.slo.Window)
	if s.where.Builtin() {
		over = min(over, defaultRetention)
	}
	return max(over, s.sli.Shortest())
}

// part is the query of bad or good.
func (s *lintSubject) part() (part, total *lintQuery) {
	for i, q := range s.queries {
		switch q.attribute {
		case "bad", "good":
			part = &s.queries[i]
		case "total":
			total = &s.queries[i]
		}
	}
	return part, total
}

// within finds nodes of the queries; each comes with those around it.
func (s *lintSubject) within(found func(q lintQuery, node parser.Node, path []parser.Node)) {
	for _, q := range s.queries {
		parser.Inspect(q.root, func(node parser.Node, path []parser.Node) error {
			if node != nil {
				found(q, node, path)
			}
			return nil
		})
	}
}

// shown is a node as it was written, with $window or $slice.
func (q lintQuery) shown(node parser.Node) string {
	name := windowName
	if q.sliced {
		name = sliceName
	}
	return brief(strings.ReplaceAll(node.String(), model.Duration(q.window).String(), name))
}

// metricNames lists the metrics that are read below a node.
func metricNames(node parser.Node) []string {
	var list []string
	parser.Inspect(node, func(n parser.Node, _ []parser.Node) error {
		if selector, ok := n.(*parser.VectorSelector); ok && selector.Name != "" && !slices.Contains(list, selector.Name) {
			list = append(list, selector.Name)
		}
		return nil
	})
	return list
}
