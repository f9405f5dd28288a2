package reports

import (
	"bytes"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/gameday-sh/gameday/experiments"
)

// spentAtOnce is a budget of ten days, of which the sixth spent four fifths and the
// seventh could not be counted.
func spentAtOnce() Budget {
	at := time.Date(2026, time.March, 20, 0, 0, 0, 0, time.UTC)
	b := Budget{
		SLO: &experiments.SLO{Name: "checkout", Objective: 0.999, Window: 10 * experiments.Day}, At: at, From: at.Add(-10 * experiments.Day), To: at,
		SLI: 0.9991, Bad: 900, Total: 1e6, Budget: 1000, Consumed: 0.9, Remaining: 0.1, Covered: 10 * experiments.Day, Lasts: "another 1d",
		Burns: []BudgetBurn{{"1h", 0.5}, {"the period", math.NaN()}}, ConsumedAtEnd: math.NaN(),
	}
	left := 1.0
	for i := range 10 {
		s := BudgetStretch{From: b.From.Add(time.Duration(i) * experiments.Day), Bad: 10, Total: 1e5}
		s.To = s.From.Add(experiments.Day)
		if i == 5 {
			s.Bad = 800
		}
		left -= s.Bad / 1000
		if s.Left = left; i == 6 {
			s.Left = math.NaN()
		}
		b.Course = append(b.Course, s)
	}
	return b
}

func inMarkup(t *testing.T, format string, list ...Budget) string {
	t.Helper()
	for _, f := range BudgetFormats() {
		if f.Name == format {
			var out bytes.Buffer
			if err := f.Write(&out, list); err != nil {
				t.Fatal(err)
			}
			return out.String()
		}
	}
	t.Fatalf("there is no format %q", format)
	return ""
}

func TestTheCourseOfABudgetIsDrawn(t *testing.T) {
	c := newBudgetChart(outlineBudget(spentAtOnce()))
	// A line before what could not be counted, and one after it.
	if n := strings.Count(c.Line, "M"); n != 2 {
		t.Errorf("%d lines are drawn, want 2: %s", n, c.Line)
	}
	if len(c.Gaps) != 1 || c.Gaps[0].X != "60%" || c.Gaps[0].W != "10%" {
		t.Errorf("gaps are %+v, want the seventh day", c.Gaps)
	}
	if !strings.HasPrefix(c.Line, "M0 0l700 15") {
		t.Errorf("the line begins %q, want at 100%%, and 1%% less a day on", c.Line)
	}
	if n := strings.Count(c.Days, "M"); n != 9 || !strings.Contains(c.Days, "M3850 30v-30") {
		t.Errorf("bars of days are %q, want nine, the sixth the highest", c.Days)
	}
	if c.ZeroHeight != 0 {
		t.Errorf("%v is drawn below zero of a budget that was never overspent", c.ZeroHeight)
	}
}

func TestWorstDaysAreThoseThatSpentMoreThanTheirShare(t *testing.T) {
	text := inMarkup(t, "markdown", spentAtOnce())
	for _, want := range []string{"| 2026-03-15 Sun | 800 | 100,000 | 99.2% | 80% |", "9 days of the period had bad events", "| Risk | not said: the slo has no policy |", "| 1h | the period |", "| 0.5 | unknown |"} {
		if !strings.Contains(text, want) {
			t.Errorf("it does not say %q:\n%s", want, text)
		}
	}
	if strings.Contains(text, "2026-03-14") {
		t.Error("a day that spent less than its share is among the worst")
	}
}

func TestWhatIsNotKnownIsWrittenSo(t *testing.T) {
	nan := math.NaN()
	b := spentAtOnce()
	b.Why, b.SLI, b.Bad, b.Total, b.Budget, b.Consumed, b.Remaining, b.Course, b.Lasts = "no traffic: no event", nan, nan, nan, nan, nan, nan, nil, ""
	for _, format := range BudgetFormats() {
		text := inMarkup(t, format.Name, b)
		if !strings.Contains(text, "Nobody knows") || !strings.Contains(text, "no traffic") || strings.Contains(text, "NaN") || strings.Contains(text, "100%<") {
			t.Errorf("%s: %s", format.Name, text)
		}
	}
}

func TestTextsOfAConfigurationMeanThemselves(t *testing.T) {
	b := spentAtOnce()
	const evil = "<script>alert(1)</script> | **x** \x1b[2J\u202egpj"
	b.SLO.Description, b.SLO.Owner, b.SLO.Runbook = evil, evil, "javascript:alert(1)"
	b.Dependencies = []BudgetDependency{{Name: evil, Left: math.NaN(), Why: evil, Worse: true}}
	b.Policy = &experiments.Policy{Name: "p", Bands: []experiments.Band{{Name: evil, AtLeast: 0.5, Actions: []string{evil}, Allows: []string{"x\"><b>"}}, {Name: "low", AtLeast: math.Inf(-1)}}}
	b.Band = b.Policy.Bands[0]
	b.Alerts = []experiments.PolicyAlert{{Below: 0.2, Severity: evil, Notify: evil}}
	for _, format := range BudgetFormats() {
		text := inMarkup(t, format.Name, b, b)
		for _, wrong := range []string{"<script", "\x1b", "\u202e", "<b>x", `href="javascript`} {
			if strings.Contains(text, wrong) {
				t.Errorf("%s has %q in it", format.Name, wrong)
			}
		}
	}
	if text := inMarkup(t, "markdown", b); strings.Contains(text, "| **x**") || strings.Contains(text, " **x** ") {
		t.Errorf("a text became markup:\n%s", text)
	}
}

func TestSharesAreNotRoundedToNothing(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{sayShare(0.00001), "less than 0.01%"}, {sayShare(-0.00001), "-0.01%"}, {sayShare(0.99999), "99.99%"}, {sayShare(1), "100%"}, {sayShare(-2.2064), "-220.64%"},
		{sayShare(0), "0%"}, {saySLI(0.998999, 0.999), "99.899%"}, {saySLI(1, 0.999), "100%"}, {saySLI(math.NaN(), 0.9), "unknown"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}
