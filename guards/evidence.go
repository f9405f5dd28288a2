package guards

import (
	"fmt"
	"math"
	"time"

	"github.com/gameday-sh/gameday/experiments"
)

// Evidence is breached when the evidence that more events fail than theta is strong
// enough: theta is factor times the SLO's budget, or ratio.
//
// A guard is asked hundreds of times in a run. A ratio over a short window compared
// with a limit is wrong now and then, and stops healthy runs; a test that takes
// requests as independent is fooled by bursts. This one bets against "at most theta
// of the events fail, on average". After each window in which the share r failed,
// each stake is multiplied by 1 + l*(r - theta), l being a bold or a careful bet:
// it shrinks while little fails and grows while much does. What the guard reads is
// the sum of its stakes, its wealth, which starts at 1. While each window's expected
// share is at most theta, whatever the windows before it held, no scheme of betting
// makes money, and by Ville's inequality the wealth ever reaches 1/alpha with a
// probability of at most alpha, however often one looks. A scenario with several
// such guards shares alpha among them (Bonferroni): of says how many there are.
//
// Nine tenths of the wealth are staked at the injection. The last tenth is staked
// bit by bit at the start of every later window, 1/(n(n-1)) of it at window n, so
// that a fault that does harm only after a long quiet time meets stakes that are not
// used up yet. Two windows in a row with a share at or above ten thetas, and at least
// 25%, with ten failed events or more, need no further evidence: alpha speaks of the
// bets, and a system that is healthy on average, but for outages of two windows, is
// stopped in the first of these.
//
// Sources: Waudby-Smith and Ramdas, "Estimating means of bounded random variables by
// betting", J. R. Stat. Soc. B 86 (2024), for the bets; Shin, Ramdas and Rinaldo,
// "E-detectors", New England J. Stat. Data Sci. 2 (2024), for starts at any time.
type Evidence struct {
	SLO    *experiments.SLO     `hcl:"slo" doc:"The SLO whose failing events are the evidence." example:"slo.checkout"`
	Factor float64              `hcl:"factor,optional" doc:"Burn rate that the run must not exceed on average." default:"14.4"`
	Ratio  *experiments.Percent `hcl:"ratio,optional" doc:"Share of failing events that the run must not exceed on average; in place of factor." example:"1%"`
	Alpha  experiments.Percent  `hcl:"alpha,optional" doc:"Probability of stopping a run that does not exceed it: the rate of false aborts." default:"5%"`
	Window time.Duration        `hcl:"window,optional" doc:"Length of the windows that the events are counted in; each is one bet." default:"5s"`
	Of     int                  `hcl:"of,optional" doc:"How many evidence guards share alpha." default:"1"`
}

// The catastrophe path.
const (
	catastropheTimes  = 10   // times theta
	catastropheShare  = 0.25 // at least
	catastropheEvents = 10   // failed, in both windows together
)

// Needs asks for the SLO over the window.
func (g *Evidence) Needs() experiments.Needs {
	return experiments.Needs{SLOs: []*experiments.SLO{g.SLO}, Windows: []time.Duration{g.Window}}
}

// Bound is the share of good events that the run must not stay below on average.
func (g *Evidence) Bound() *experiments.Bound {
	return &experiments.Bound{Series: g.SLO.SeriesName(), Kind: experiments.GoodRatio, Limit: experiments.Float(1 - g.theta())}
}

// Validate checks that there is a share to bet against and a rate of false aborts.
func (g *Evidence) Validate() []experiments.Problem {
	var problems []experiments.Problem
	if g.Ratio == nil {
		problems = factorProblems(g.SLO, g.Factor)
		if len(problems) == 0 && g.SLO != nil && g.SLO.Objective > 0 && g.SLO.Objective < 1 && g.theta() >= 1 {
			problems = append(problems, experiments.Problem{Attribute: "factor", Summary: "Factor that can never be exceeded",
				Detail: fmt.Sprintf("%s times the budget of %s is all events; write a smaller factor.", number(g.Factor), percent(g.SLO.Budget()))})
		}
	} else if *g.Ratio <= 0 || *g.Ratio >= 1 {
		problems = append(problems, experiments.Problem{Attribute: "ratio", Summary: "Ratio that says nothing",
			Detail: "Write the share of events that may fail on average, above 0% and below 100%."})
	}
	if g.Alpha <= 0 || g.Alpha >= 1 {
		problems = append(problems, experiments.Problem{Attribute: "alpha", Summary: "Rate of false aborts out of range",
			Detail: "Write the probability of stopping a healthy run that you accept, above 0% and below 100%; 5% is usual."})
	}
	if g.Of < 1 {
		problems = append(problems, experiments.Problem{Attribute: "of", Summary: "Fewer than one guard",
			Detail: "Write how many evidence guards the scenario has: 1 or more."})
	}
	if g.Window <= 0 {
		return append(problems, experiments.Problem{Attribute: "window", Summary: "Window without a length",
			Detail: "Write a duration such as \"5s\"."})
	}
	return append(problems, windowProblems(g.SLO, "window", g.Window, 1)...)
}

// theta is the share of failing events that is bet against.
func (g *Evidence) theta() float64 {
	if g.Ratio != nil {
		return float64(*g.Ratio)
	}
	return g.Factor * g.SLO.Budget()
}

// Judge bets on every window since the injection.
func (g *Evidence) Judge(h *experiments.History) experiments.Reading {
	windows := h.Tumbling(g.SLO, g.Window)
	b := g.bets()
	limit := b.limit
	var since time.Time
	for _, c := range windows {
		if text, stop := b.take(c); stop {
			// What happens later takes nothing back.
			since = c.At
			if text != "" {
				return experiments.Reading{Breached: true, Used: 1, Since: since, Text: text}
			}
			break
		}
	}
	reading := experiments.Reading{
		Breached: !since.IsZero(),
		Since:    since,
		// Wealth grows and shrinks by factors: each takes the same part of the bar.
		Used: experiments.Float(max(math.Log(b.wealth.sum())/math.Log(limit), 0)),
		Text: fmt.Sprintf("evidence %s of %s against %s", number(b.wealth.sum()), number(limit), percent(b.wealth.theta)),
	}
	if reading.Breached {
		return reading
	}
	if len(windows) == 0 {
		reading.Blind = true
		reading.Text += "; no window of " + experiments.FormatDuration(g.Window) + " is full yet"
	} else if last := windows[len(windows)-1]; math.IsNaN(last.Ratio()) {
		reading.Blind = true
		reading.Text += "; " + unreadable(g.SLO.SeriesName(), last.Condition, last.Why)
	}
	return reading
}

// bets are what the guard knows after some windows of a run.
type bets struct {
	wealth      *wealth
	limit       float64 // of the wealth
	catastrophe float64 // share of failed events
	window      time.Duration
	before      experiments.Count // the readable window before
}

func (g *Evidence) bets() *bets {
	theta := g.theta()
	return &bets{wealth: newWealth(theta), limit: float64(g.Of) / float64(g.Alpha), window: g.Window,
		catastrophe: max(catastropheTimes*theta, catastropheShare)}
}

// take bets on one more window, and tells whether the run is to stop. The text says of
// a catastrophe what it is.
func (b *bets) take(c experiments.Count) (text string, stop bool) {
	ratio := min(c.Ratio(), 1) // extrapolation may count more bad events than events
	if math.IsNaN(ratio) {
		return "", false // nothing to bet on
	}
	b.wealth.bet(ratio)
	before := b.before
	b.before = c
	if ratio >= b.catastrophe && before.Ratio() >= b.catastrophe && math.Round(before.Bad+c.Bad) >= catastropheEvents {
		return fmt.Sprintf("%s and %s of the events failed in two windows of %s in a row, %s or more is a catastrophe",
			percent(before.Ratio()), percent(ratio), experiments.FormatDuration(b.window), percent(b.catastrophe)), true
	}
	return "", b.wealth.sum() >= b.limit
}

// boldness is the grid of bets, as shares of the boldest that cannot lose all: each
// l is one of them over theta.
var boldness = [...]float64{0.01, 0.03, 0.1, 0.3, 0.6, 0.9}

// atOnce is the share of the wealth that is staked at the injection; the rest is
// staked over all later windows.
const atOnce = 0.9

// wealth is what betting against theta has made of 1 so far.
type wealth struct {
	theta  float64
	stakes [len(boldness)]float64
	// windows that were bet on.
	windows float64
}

func newWealth(theta float64) *wealth { return &wealth{theta: theta} }

// bet takes the share of failed events of one more window.
func (w *wealth) bet(ratio float64) {
	w.windows++
	fresh := atOnce
	if n := w.windows; n > 1 {
		fresh = (1 - atOnce) / (n * (n - 1))
	}
	fresh /= float64(len(boldness))
	edge := ratio/w.theta - 1
	for i, bold := range boldness {
		w.stakes[i] = (w.stakes[i] + fresh) * (1 + bold*edge)
	}
}

// sum is the wealth: every stake, and what is not staked yet.
func (w *wealth) sum() float64 {
	if w.windows == 0 {
		return 1
	}
	// The sum of 1/(k(k-1)) over all k above n is 1/n.
	sum := (1 - atOnce) / w.windows
	for _, stake := range w.stakes {
		sum += stake
	}
	return sum
}
