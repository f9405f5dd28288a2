package rules

import (
	"fmt"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/experiments/probes/prom"
)

// Suite is a test of rules for promtool.
type Suite struct {
	RulesFile string // as seen from the folder of the tests
	Notes     []Note // what is not tested
	cases     []*testCase
}

// testCase is input series and what the rules make of them. Several SLOs share one as
// far as none sees the series of another: promtool evaluates all rules for each case.
type testCase struct {
	name   string
	feeds  []*feed
	series []inputSeries
	checks []check
}

type inputSeries struct{ series, values string }

// check is the value of an expression at a time.
type check struct {
	comment, expr string
	at            time.Duration
	value         float64
	none          bool // no sample is expected
}

const (
	evaluation = time.Minute // how often promtool evaluates the rules
	calm       = 30 * time.Minute
)

// Tests writes a test for each SLO of a file: silent while healthy, pages in the time
// that follows from its budget, neither alerts nor recovers without traffic, and says so
// when its data is gone.
func Tests(file *File, rulesFile string) *Suite {
	suite := &Suite{RulesFile: rulesFile}
	var burns, silences []*testCase
	engine := newEngine()
	for _, slo := range file.Written {
		alerts, _ := Alerts(slo)
		severity := Page
		if len(alerts) > 0 {
			severity = alerts[0].Severity
		}
		// Four times the threshold fires in a quarter of the long window.
		share := 1.0
		if len(alerts) > 0 {
			share = min(1, round(4*alerts[0].Threshold()))
		}
		f, err := newFeed(engine, slo, share)
		if err == nil && !writable(f) {
			err = fmt.Errorf("a name in its queries cannot be written as an input series")
		}
		if err != nil {
			suite.Notes = append(suite.Notes, Note{SLO: slo, Text: err.Error()})
			continue
		}
		if len(alerts) > 0 {
			place(&burns, f, "burns").burn(f, alerts, severity)
		}
		place(&silences, f, "falls silent").silence(f)
	}
	suite.cases = append(burns, silences...)
	return suite
}

// place finds a case in which a feed is not in the way of others.
func place(cases *[]*testCase, f *feed, name string) *testCase {
next:
	for _, c := range *cases {
		for _, other := range c.feeds {
			if !f.apart(other) {
				continue next
			}
		}
		c.feeds = append(c.feeds, f)
		c.name += ", " + f.slo.Name
		return c
	}
	c := &testCase{name: name + ": " + f.slo.Name, feeds: []*feed{f}}
	*cases = append(*cases, c)
	return c
}

// writable tells whether promtool can read the names of the series.
func writable(f *feed) bool {
	for _, s := range f.series {
		if text := notation(s.labels); !legible.MatchString(text) {
			return false
		}
	}
	return true
}

// legible is what every version of promtool reads as a series.
var legible = regexp.MustCompile(`^[a-zA-Z_:][a-zA-Z0-9_:]*(?:\{([a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\]|\\.)*"(, )?)*\})?$`)

// phase is a state and how long it lasts.
type phase struct {
	in     state
	length time.Duration
}

// play has series go through phases.
func (c *testCase) play(f *feed, phases ...phase) {
	for _, s := range f.series {
		var out []string
		at := 0.0
		for i, p := range phases {
			n := int(p.length / scrape)
			if p.in == gone {
				out = append(out, "stale")
				continue
			}
			if s.gauge {
				if i == 0 {
					n++
				}
				out = append(out, fmt.Sprintf("%s+0x%d", decimal(s.in[p.in]), n-1))
				continue
			}
			step := s.in[p.in]
			if i > 0 {
				at += step
				n--
			}
			out = append(out, fmt.Sprintf("%s+%sx%d", decimal(at), decimal(step), n))
			at += step * float64(n)
		}
		c.series = append(c.series, inputSeries{notation(s.labels), strings.Join(out, " ")})
	}
}

// decimal writes a number without the noise of its last digits.
func decimal(x float64) string {
	return strconv.FormatFloat(math.Round(x*1e6)/1e6, 'f', -1, 64)
}

func (c *testCase) expect(comment string, at time.Duration, value float64, expr string) {
	c.checks = append(c.checks, check{comment: comment, expr: expr, at: at.Truncate(evaluation), value: value})
}

// firing counts the alerts of an SLO that fire.
func firing(slo *experiments.SLO, matchers string) string {
	return fmt.Sprintf("count(ALERTS{alertstate=\"firing\"%s,slo=%q}) or vector(0)", matchers, slo.Name)
}

// burn is healthy for as long as the longest window, burns until the alert fires, and
// then has no traffic.
func (c *testCase) burn(f *feed, alerts []Alert, severity string) {
	slo := f.slo
	var history, after time.Duration
	var first Alert
	for _, alert := range alerts {
		if alert.Severity != severity {
			continue
		}
		history = max(history, alert.Long)
		if t, fires := alert.After(f.share); fires && (first.Long == 0 || t < after) {
			first, after = alert, t
		}
	}
	if first.Long == 0 {
		return
	}
	slice, margin := sliceOf(slo), 2*evaluation
	margin += 2 * max(slice, f.step)
	history = max(history, calm).Round(evaluation)
	lasting := (after + 2*margin).Truncate(evaluation) + evaluation
	still := (first.Short + margin + baseWindow).Truncate(evaluation) + evaluation
	phases := []phase{{healthy, history}, {burning, lasting}}
	if f.stands {
		phases = append(phases, phase{quiet, still + evaluation})
	}
	c.play(f, phases...)

	matchers := fmt.Sprintf(",alertname=%q,severity=%q", BurnAlert, severity)
	c.expect(slo.Name+" is healthy", history, 0, firing(slo, ""))
	words := fmt.Sprintf("%s burns: %s of events are bad, so that a %s fires after %s", slo.Name, percent(round(f.share)), severity, prom.InPromQL(after.Round(time.Second)))
	if after > margin+evaluation {
		c.expect(words, history+after-margin, 0, firing(slo, matchers))
		words = ""
	}
	c.expect(words, history+after+margin, 1, firing(slo, matchers))
	c.spent(f, history, history+after+margin)
	// As long as the long window holds what was bad.
	if f.stands && slice == 0 && lasting+still < first.Long {
		c.expect("no traffic does not show that it is over", history+lasting+still, 1, firing(slo, matchers))
	}
}

// spent expects the alerts of the policy that what burned since then must have raised.
func (c *testCase) spent(f *feed, since, at time.Duration) {
	slo := f.slo
	if slo.Policy == nil || slo.Calendar != nil || at >= slo.Window {
		return
	}
	left := 1 - f.share*float64(at-since)/float64(at)/slo.Budget()
	distinct := map[string]bool{}
	for _, alert := range slo.Policy.Alerts {
		if left > alert.Below-0.2 {
			return // too close to tell
		}
		distinct[fmt.Sprint(alert)] = true
	}
	if len(distinct) > 0 {
		c.expect("little of the budget is left", at, float64(len(distinct)), firing(slo, fmt.Sprintf(",alertname=%q", BudgetAlert)))
	}
}

// silence is healthy, then has no traffic, and then no data.
func (c *testCase) silence(f *feed) {
	slo := f.slo
	slice := sliceOf(slo)
	start := max(calm, 4*slice).Round(evaluation)
	phases := []phase{{healthy, start}}
	end := start
	if f.stands {
		end += calm
		phases = append(phases, phase{quiet, calm})
		c.expect(slo.Name+" has no traffic", end, 0, firing(slo, ""))
		g := &generator{slo: slo}
		c.checks = append(c.checks, check{expr: ratioName(g.baseWindow()) + of(slo), at: end, none: true})
	}
	if slo.Calendar == nil && slice == 0 {
		c.expect("", end, 1, "sum("+remainingName+of(slo)+")")
	}
	c.play(f, append(phases, phase{gone, 0})...)
	wait := max(patience, 2*slice) + slice + baseWindow + 4*evaluation
	if g := (&generator{slo: slo}); slice == 0 {
		wait = patience + g.baseWindow() + 4*evaluation
	}
	if sliced, ok := slo.SLI.(prom.Sliced); ok && sliced.Slices() != nil && sliced.Slices().AbsentIsBad {
		g := &generator{slo: slo, slices: sliced.Slices()}
		c.expect("no data is no traffic, and bad", end+wait, 1, "sum("+g.badName()+of(slo)+")")
	}
	c.expect(slo.Name+" has no data", end+wait, 1, firing(slo, fmt.Sprintf(",alertname=%q", NoDataAlert)))
}

// sliceOf is the length of an SLO's slices; 0 where it has none.
func sliceOf(slo *experiments.SLO) time.Duration {
	if sliced, ok := slo.SLI.(prom.Sliced); ok {
		if s := sliced.Slices(); s != nil {
			return s.Slice
		}
	}
	return 0
}

// WriteYAML writes the tests for promtool.
func (s *Suite) WriteYAML(w io.Writer) error {
	header := []string{`Made by "gameday rules --tests" with the rules that it tests. Run: promtool test rules FILE`}
	for _, note := range s.Notes {
		header = append(header, fmt.Sprintf("Not tested: SLO %q: %s.", note.SLO.Name, note.Text))
	}
	var cases []*yaml.Node
	for _, c := range s.cases {
		var series, checks []*yaml.Node
		for _, one := range c.series {
			series = append(series, mapping("series", text(one.series), "values", text(one.values)))
		}
		for _, one := range c.checks {
			samples := list(nil)
			samples.Style = yaml.FlowStyle
			if !one.none {
				sample := mapping("labels", text("{}"), "value", &yaml.Node{Kind: yaml.ScalarNode, Value: decimal(one.value)})
				sample.Style = yaml.FlowStyle
				samples = list([]*yaml.Node{sample})
			}
			node := mapping("expr", text(one.expr), "eval_time", text(prom.InPromQL(one.at)), "exp_samples", samples)
			if one.comment != "" {
				node.HeadComment = comment([]string{one.comment})
			}
			checks = append(checks, node)
		}
		cases = append(cases, mapping("name", text(c.name), "interval", text(prom.InPromQL(scrape)), "input_series", list(series), "promql_expr_test", list(checks)))
	}
	files := list([]*yaml.Node{text(s.RulesFile)})
	return write(w, header, mapping("rule_files", files, "evaluation_interval", text(prom.InPromQL(evaluation)), "tests", list(cases)))
}
