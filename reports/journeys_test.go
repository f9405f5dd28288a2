package reports

import (
	"strings"
	"testing"

	"github.com/gameday-sh/gameday/experiments"
)

// travelled is a run with user journeys.
func travelled() *experiments.Result {
	r := run(experiments.Held)
	step := func(name string, bad int) experiments.StepResult {
		return experiments.StepResult{Name: name, Bad: bad}
	}
	r.Journeys = []experiments.JourneyResult{
		{Name: "tour", Criticality: experiments.Low, Series: "journey.tour", Total: 12, Steps: []experiments.StepResult{step("look", 0)}},
		{Name: "login", Criticality: experiments.High, Series: "journey.login", Total: 10, Bad: 3, Unread: 1, Steps: []experiments.StepResult{step("load", 1), step("send", 2)}},
		{Name: "checkout", Description: "A user buys *tea*", Criticality: experiments.Critical, Series: "journey.checkout", Total: 40, Bad: 20, Steps: []experiments.StepResult{step("cart", 0), step("pay", 20)}},
		{Name: "search", Criticality: experiments.Medium, Series: "journey.search", Total: 4, Bad: 1, Steps: []experiments.StepResult{step("type", 1)}},
		{Name: "silent", Criticality: experiments.Medium, Series: "journey.silent", Steps: []experiments.StepResult{step("type", 0)}},
	}
	return r
}

func TestAReportTellsOfJourneysThoseThatMatterMostFirst(t *testing.T) {
	r := travelled()
	want := []string{
		`checkout; critical user journey: A user buys *tea*; 20 of 40 attempts failed (50%) from the first injection to the end, all at the step “pay”.`,
		`login; high user journey; 3 of 10 attempts failed (30%) from the first injection to the end: 1 at the step “load”, 2 at the step “send”; 1 more attempt gave no answer either way.`,
		`search; medium user journey; 1 of 4 attempts failed (25%) from the first injection to the end, at the step “type”.`,
		`silent; medium user journey; No user could be followed from the first injection to the end.`,
		`tour; low user journey; None of 12 attempts failed from the first injection to the end.`,
	}
	for i, row := range (newOutliner(r, detail{text: 600, rows: 10})).journeys() {
		if got := row.Name + "; " + row.Criticality + "; " + row.Words; i >= len(want) || got != want[i] {
			t.Errorf("journey %d:\ngot  %s\nwant %s", i, got, want[min(i, len(want)-1)])
		}
	}
	for format, part := range map[string]string{
		"markdown": `- **checkout (critical user journey: A user buys \*tea\*)** ●: 20 of 40 attempts failed`,
		"html":     `<dt>checkout (critical user journey: A user buys *tea*)`,
	} {
		if text := string(render(t, format, r)); !strings.Contains(text, part) {
			t.Errorf("%s lacks %s", format, part)
		}
	}
}
