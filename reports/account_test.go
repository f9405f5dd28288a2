package reports

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/gameday-sh/gameday/experiments"
)

// gateSaid is what a gate said of checkout.
func gateSaid(decision experiments.GateDecision, remaining experiments.Float, why string) *experiments.GateReading {
	return &experiments.GateReading{At: after(.4), Purpose: experiments.ForGameDay, Decision: decision, Why: "slo.checkout " + why, SLOs: []experiments.Outlook{{
		SLO: "checkout", Period: "30d", Remaining: remaining, Rate: 24.1, Likely: .004, Worst: .031, Allowance: .05, Policy: "standard", Band: "red", Reserve: .1,
		Decision: decision, Why: why, Actions: []string{"Feature freeze"}, Basis: "worst: all events fail for 1m20s",
		Pages: []experiments.PageOutlook{{Alert: "page SLOErrorBudgetBurn", Can: true, After: 52 * time.Second, Text: "page SLOErrorBudgetBurn can fire"}},
	}}}
}

// budgeted is a run that a person let begin, and that paged.
func budgeted() *experiments.Result {
	r := run(experiments.Held)
	r.Gate = gateSaid(experiments.GateRefused, -.12, "is in red, 12% overspent, where policy standard does not allow a game day")
	r.Gate.Override = &experiments.Override{Reason: "the *fix* must be proven today", By: "ada@ops-1", At: after(0)}
	r.SLOs[0].Bad, r.SLOs[0].Spent = 1904, .0302
	r.SLOs[0].Account = &experiments.Account{
		Period: "30d", Remaining: -.12, Likely: .004, Worst: .031, Allowance: .05, Usual: .001, Attributable: 1900.2, AttributableSpent: .0301,
		ReturnsFrom: after(40).Add(30 * experiments.Day), Returns: after(200).Add(30 * experiments.Day),
		Unobserved: &experiments.Unobserved{Probe: "probe.front_door", Sent: 480, Seen: 360.4, Missed: 119.6, Spent: .0019},
		Pages: []experiments.Page{
			{Alert: "SLOErrorBudgetBurn", Severity: "page", Factor: 14.4, Long: time.Hour, Short: 5 * time.Minute, Fired: true, After: 75 * time.Second, Peak: 18.31},
			{Alert: "SLOErrorBudgetBurn", Severity: "page", Factor: 6, Long: 6 * time.Hour, Short: 30 * time.Minute, Peak: 3.05},
			{Alert: "SLOErrorBudgetBurn", Severity: "ticket", Factor: 3, Long: experiments.Day, Short: 2 * time.Hour, Peak: .7628},
			{Alert: "SLOErrorBudgetBurn", Severity: "ticket", Factor: 1, Long: 3 * experiments.Day, Short: 6 * time.Hour, Peak: .2543},
		},
		PagesNote: "the recorded counts, in the real alert rules; the time before is derived from the baseline: 24.3 events a second, 0.1% of them bad",
	}
	return r
}

// shutOut is a run that the policies did not let begin.
func shutOut() *experiments.Result {
	r := results()["inconclusive"]
	r.Gate = gateSaid(experiments.GateRefused, -.12, "is in red, 12% overspent, where policy standard does not allow a game day")
	r.Reason = "the error budget policy refuses a game day: " + r.Gate.Why + `; nothing was touched; to go ahead all the same: --override "reason"`
	r.Phases = []experiments.PhaseSpan{{Phase: experiments.PhasePlan, From: after(.1), To: after(.4)}}
	r.Ended = after(.5)
	r.Timeline = []experiments.Moment{{At: after(.4), Kind: "plan", Text: "The gate is shut: " + r.Gate.Why}, {At: after(.5), Kind: "phase", Text: "Verdict: inconclusive"}}
	for i := range r.Hypotheses {
		h := &r.Hypotheses[i]
		h.Reason, h.Before = "it was never judged", nil
	}
	return r
}

func TestReportsOfBudgetsAreAsTheyWere(t *testing.T) {
	for name, r := range map[string]*experiments.Result{"budgeted": budgeted(), "shut-out": shutOut()} {
		golden(t, name+".md", render(t, "markdown", r))
		golden(t, name+".xml", render(t, "junit", r))
		page := string(render(t, "html", r))
		for _, want := range []string{"refused: slo.checkout is in red, 12% overspent"} {
			if !strings.Contains(page, want) {
				t.Errorf("%s: the page does not say %q", name, want)
			}
		}
	}
	page := string(render(t, "html", budgeted()))
	for _, want := range []string{
		"ada@ops-1 went past the policy (15:30:12.000 UTC): the *fix* must be proven today",
		"<li>It would have paged after 1m15s (SLOErrorBudgetBurn, 14.4 over 1h and 5m).</li>",
		"<li>The 3% returns from Thursday 24 December 2026, 15:30 to Thursday 24 December 2026, 15:33 UTC, as the failures leave the last 30d.</li>",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
}

func TestTheWordsOfAnAccount(t *testing.T) {
	nan := experiments.Float(math.NaN())
	one := func(change func(*experiments.SLOResult, *experiments.Account)) string {
		s := &experiments.SLOResult{Name: "checkout", Bad: 10, Total: 1000, Spent: .31}
		a := &experiments.Account{Period: "30d", Remaining: nan, Likely: nan, Worst: nan, Allowance: nan, Usual: nan, Attributable: nan, AttributableSpent: nan}
		s.Account = a
		change(s, a)
		return strings.Join(newOutliner(&experiments.Result{}, detail{text: 500}).account(s), " ")
	}
	at := time.Date(2026, time.December, 24, 14, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		change func(*experiments.SLOResult, *experiments.Account)
		want   string
	}{
		"nothing is known": {func(*experiments.SLOResult, *experiments.Account) {}, ""},
		"it comes back at once": {func(_ *experiments.SLOResult, a *experiments.Account) {
			a.ReturnsFrom, a.Returns = at.Add(time.Second), at.Add(20*time.Second)
		},
			"The 31% returns Thursday 24 December 2026, 14:00 UTC, when the failures leave the last 30d."},
		"of a calendar": {func(_ *experiments.SLOResult, a *experiments.Account) {
			a.Period, a.ReturnsFrom, a.Returns = "calendar month (UTC)", at, at
		},
			"The 31% returns Thursday 24 December 2026, 14:00 UTC, when the next period begins (calendar month (UTC))."},
		"more than forecast": {func(_ *experiments.SLOResult, a *experiments.Account) { a.Likely, a.Worst = .01, .3 },
			"The forecast was 1%, and 30% at worst; more was spent."},
		"between": {func(_ *experiments.SLOResult, a *experiments.Account) { a.Likely, a.Worst, a.Remaining = .01, .4, .5 },
			"The forecast was 1%, and 40% at worst; what was spent lies between; of the budget 50% was left before the run, and 19% was left after it."},
		"less": {func(_ *experiments.SLOResult, a *experiments.Account) { a.Likely, a.Worst, a.Allowance = .32, .4, .5 },
			"The forecast was 32%, and 40% at worst; no more than the forecast was spent; a guard allowed 50%."},
		"all of it":       {func(_ *experiments.SLOResult, a *experiments.Account) { a.Usual = 0 }, "Nothing failed in the baseline, so all of it is put down to the run."},
		"as much as ever": {func(_ *experiments.SLOResult, a *experiments.Account) { a.Usual, a.Attributable = .01, -2 }, "In the baseline 1% of the events failed as well: nothing is put down to the run."},
		"more than usual": {func(_ *experiments.SLOResult, a *experiments.Account) {
			a.Usual, a.Attributable, a.AttributableSpent = .001, 1, .03
		},
			"In the baseline 0.1% of the events failed; beyond that 1 event failed, 3% of the budget, and that is put down to the run."},
		"the page that came closest": {func(_ *experiments.SLOResult, a *experiments.Account) {
			a.Pages = []experiments.Page{{Alert: "A", Severity: "page", Factor: 14.4, Long: time.Hour, Short: 5 * time.Minute, Peak: 3.1}, {Alert: "B", Severity: "page", Factor: 6, Long: 6 * time.Hour, Short: 30 * time.Minute, Peak: .5}}
		}, "It would not have paged: peak burn 3.1 of 14.4 over 1h and 5m (A)."},
		"another severity": {func(_ *experiments.SLOResult, a *experiments.Account) {
			a.Pages = []experiments.Page{{Alert: "A", Severity: "info", Factor: 2, Long: time.Hour, Short: 5 * time.Minute, Fired: true, After: 17*time.Minute + 20*time.Second}}
		}, "The alert A would have fired after 17m20s (A, 2 over 1h and 5m)."},
		"a peak that nobody knows": {func(_ *experiments.SLOResult, a *experiments.Account) {
			a.Pages = []experiments.Page{{Alert: "A", Severity: "page", Factor: 2, Peak: nan}}
		}, "It would not have paged: the burn rate is unknown (A)."},
	} {
		if got := one(c.change); got != c.want {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, c.want)
		}
	}
}
