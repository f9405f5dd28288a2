package guards

import (
	"fmt"
	"math"
	"time"

	"github.com/gameday-sh/gameday/experiments"
)

// Budget is breached when the failed events since the first injection have spent
// the share of the SLO's error budget that the run may spend, or will have before
// stopping is done: the braking distance is the rate at which events fail now times
// the time from the decision to the last proven revert.
//
// The budget is counted at the rate of the baseline: budget * rate * window. Where
// that rate is not known, or was 0, the guard cannot see and never will: it is
// breached.
type Budget struct {
	SLO     *experiments.SLO    `hcl:"slo" doc:"The SLO whose error budget is spent." example:"slo.checkout"`
	Spend   experiments.Percent `hcl:"spend" doc:"Share of the error budget that the run may spend." example:"5%"`
	Of      string              `hcl:"of,optional" doc:"What spend is a share of: the budget of the SLO's whole window, or what was left of it before the run." enum:"window|remaining" default:"window"`
	Braking *time.Duration      `hcl:"braking,optional" doc:"Time from the decision to stop until everything is reverted and proven. Left out: one measurement of the SLO plus the time that reverting may take." example:"10s"`
}

// The shares of the budget that spend may be of.
const (
	ofWindow    = "window"
	ofRemaining = "remaining"
)

// Needs asks for the SLO, and for what is left of its budget where spend is a share
// of that. What was counted since the injection is always there.
func (g *Budget) Needs() experiments.Needs {
	needs := experiments.Needs{SLOs: []*experiments.SLO{g.SLO}}
	if g.Of == ofRemaining {
		needs.Remaining = needs.SLOs
	}
	return needs
}

// Validate checks the share and the braking time.
func (g *Budget) Validate() []experiments.Problem {
	var problems []experiments.Problem
	if g.Spend <= 0 || g.Spend > 1 {
		problems = append(problems, experiments.Problem{Attribute: "spend", Summary: "Nothing to spend",
			Detail: "Write the share of the error budget that the run may spend, above 0% and up to 100%; 5% of a 99.9% budget over 30d is 129.6 s of total outage."})
	}
	if g.Of != "" && g.Of != ofWindow && g.Of != ofRemaining {
		problems = append(problems, experiments.Problem{Attribute: "of", Summary: "Unknown budget",
			Detail: fmt.Sprintf("%q is neither %q, the budget of the whole window, nor %q, what was left of it before the run.", g.Of, ofWindow, ofRemaining)})
	}
	if g.Braking != nil && *g.Braking < 0 {
		problems = append(problems, experiments.Problem{Attribute: "braking", Summary: "Negative braking time",
			Detail: "Write how long stopping takes, 0s or more."})
	}
	return problems
}

// Judge compares what is spent, braking distance included, with what is allowed.
func (g *Budget) Judge(h *experiments.History) experiments.Reading {
	window := experiments.FormatDuration(g.SLO.Window)
	total := budgetEvents(g.SLO, h.Rate(g.SLO))
	if !(total > 0) {
		why := "its events a second in the baseline are not known"
		if total == 0 {
			why = "it counted no event in the baseline"
		}
		return blindForGood(h, fmt.Sprintf("the %s budget of %s cannot be counted: %s", window, g.SLO.SeriesName(), why))
	}
	allowed := float64(g.Spend) * total
	if g.Of == ofRemaining {
		remaining := h.Remaining(g.SLO)
		if math.IsNaN(remaining) {
			return blindForGood(h, fmt.Sprintf("what is left of the %s budget of %s is not known", window, g.SLO.SeriesName()))
		}
		if remaining <= 0 {
			return experiments.Reading{Breached: true, Used: 1, Since: h.Injected,
				Text: fmt.Sprintf("nothing of the %s budget was left before the run (%s)", window, percent(remaining))}
		}
		allowed *= remaining
	}
	count := h.Latest(g.SLO, experiments.SinceInjection)
	if math.IsNaN(count.Ratio()) {
		return experiments.Reading{Blind: true,
			Text: fmt.Sprintf("spending of the %s budget unknown, %s", window, unreadable(g.SLO.SeriesName(), count.Condition, count.Why))}
	}

	failing := failingRate(h, g.SLO, count)
	braking := g.braking(h.Reverting)
	used := (count.Bad + failing*braking.Seconds()) / allowed
	reading := experiments.Reading{
		// Leaves room for float noise, on the safe side.
		Breached: used >= 1-1e-9,
		Used:     experiments.Float(used),
		Text:     spendText(g.SLO.Window, count.Bad/total, (allowed-count.Bad)/total, failing/total),
	}
	if reading.Breached {
		reading.Since = newest(h, g.SLO, count)
		if count.Bad < allowed {
			reading.Text += ", and stopping takes " + about(braking)
		}
	}
	return reading
}

// blindForGood is the reading of a guard that will not see again in this run.
func blindForGood(h *experiments.History, text string) experiments.Reading {
	return experiments.Reading{Breached: true, Blind: true, Used: 1, Since: h.Injected, Text: text + "; a guard that cannot see stops the run"}
}

// budgetEvents is how many events may fail in the SLO's window, at so many events a
// second; NaN where that is NaN.
func budgetEvents(s *experiments.SLO, perSecond float64) float64 {
	return s.Budget() * perSecond * s.Window.Seconds()
}

// lasts is how many seconds an amount lasts at a rate a second; +Inf at none. Less
// than nothing lasts no time.
func lasts(amount, perSecond float64) float64 {
	if perSecond <= 0 {
		return math.Inf(1)
	}
	return max(amount, 0) / perSecond
}

// spendText says what share of the budget is spent, what is left of the share
// allowed, and how long that lasts at failing, a share of the budget a second.
func spendText(window time.Duration, spent, left, failing float64) string {
	text := fmt.Sprintf("%s of the %s budget spent, ", percent(spent), experiments.FormatDuration(window))
	if left < 0 {
		return text + percent(-left) + " more than allowed"
	}
	text += percent(left) + " left"
	seconds := lasts(left, failing)
	switch {
	case math.IsInf(seconds, 1):
		return text + "; nothing fails now"
	case seconds > window.Seconds():
		return text + "; at this rate for more than " + experiments.FormatDuration(window)
	}
	return text + "; at this rate for " + about(time.Duration(seconds*float64(time.Second)))
}

// lately is the stretch over which the present rate of failing is taken. Shorter
// ones hold too few events, longer ones lag behind an outage.
const lately = 10 * time.Second

// failingRate is how many events fail a second now: lately, or since the injection
// where that is shorter. The count is the newest since the injection.
func failingRate(h *experiments.History, s *experiments.SLO, count experiments.Count) float64 {
	stretch := min(max(lately, 3*pace(s)), count.Window)
	if stretch <= 0 {
		return 0
	}
	if s.Probe != nil {
		return h.Latest(s, stretch).Bad / stretch.Seconds()
	}
	// The counts since the injection grow; the difference of two is what failed
	// between them.
	before := experiments.Count{At: count.At.Add(-count.Window)}
	counted := h.Counted(s, experiments.SinceInjection)
	for i := len(counted) - 2; i >= 0; i-- {
		c := counted[i]
		if c.Condition != experiments.OK || !c.At.Before(count.At) {
			continue
		}
		before = c
		if count.At.Sub(c.At) >= stretch {
			break
		}
	}
	apart := count.At.Sub(before.At).Seconds()
	if apart <= 0 {
		return 0
	}
	// A counter that vanished with its pod takes its errors along.
	return max(count.Bad-before.Bad, 0) / apart
}

// Limit implements [experiments.Limiter]: what the run may spend, as a share of the
// budget of the whole period.
func (g *Budget) Limit(remaining float64, reverting time.Duration) experiments.SpendLimit {
	limit := experiments.SpendLimit{SLO: g.SLO, Share: float64(g.Spend), Braking: g.braking(reverting)}
	if g.Of == ofRemaining {
		limit.Share *= remaining // NaN while unknown
		if remaining < 0 {
			limit.Share = 0
		}
	}
	return limit
}

// braking is the time from the decision to stop until everything is proven reverted.
func (g *Budget) braking(reverting time.Duration) time.Duration {
	if g.Braking != nil {
		return *g.Braking
	}
	return pace(g.SLO) + reverting
}
