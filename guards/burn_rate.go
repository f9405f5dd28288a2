package guards

import (
	"fmt"
	"math"
	"time"

	"github.com/gameday-sh/gameday/experiments"
)

// BurnRate is breached when an error budget burns at factor times the rate that
// would spend it in exactly the SLO's window, over a long and a short window at
// once: the long one shows that it matters, the short one that it goes on.
//
// One failed request is not a breach, however few there are: the short window must
// hold min_bad of them. Early in the run the long window of an SLO on a probe
// reaches back into the baseline.
type BurnRate struct {
	SLO     *experiments.SLO `hcl:"slo" doc:"The SLO whose error budget is watched." example:"slo.checkout"`
	Factor  float64          `hcl:"factor,optional" doc:"Burn rate that stops the run: 1 spends the budget in exactly the SLO's window. It can be at most 1/(1-objective), reached when every event fails." default:"14.4"`
	Windows []time.Duration  `hcl:"windows,optional" doc:"A long and a short window; the burn rate must be reached over both." default:"[\"1m\", \"5s\"]"`
	MinBad  int              `hcl:"min_bad,optional" doc:"Failed events that the short window must hold at least, so that one failed request is no breach." default:"3"`
}

// Needs asks for the SLO over both windows.
func (g *BurnRate) Needs() experiments.Needs {
	return experiments.Needs{SLOs: []*experiments.SLO{g.SLO}, Windows: g.Windows}
}

// Bound is the share of good events at which the budget burns at factor.
func (g *BurnRate) Bound() *experiments.Bound {
	return &experiments.Bound{Series: g.SLO.SeriesName(), Kind: experiments.GoodRatio, Limit: experiments.Float(1 - g.Factor*g.SLO.Budget())}
}

// Validate checks the windows, and that the factor can be reached.
func (g *BurnRate) Validate() []experiments.Problem {
	problems := factorProblems(g.SLO, g.Factor)
	if g.MinBad < 1 {
		problems = append(problems, experiments.Problem{Attribute: "min_bad", Summary: "Fewer than one failed event",
			Detail: "Write how many events must have failed in the short window at least: 1 or more."})
	}
	switch {
	case len(g.Windows) != 2:
		return append(problems, experiments.Problem{Attribute: "windows", Summary: "Not two windows",
			Detail: fmt.Sprintf("Write a long and a short window, such as [\"1m\", \"5s\"]; this is %s.", plural(float64(len(g.Windows)), "window"))})
	case g.Windows[0] <= 0 || g.Windows[1] <= 0:
		return append(problems, experiments.Problem{Attribute: "windows", Summary: "Window without a length",
			Detail: "Both windows must be longer than 0, such as [\"1m\", \"5s\"]."})
	case g.Windows[0] <= g.Windows[1]:
		return append(problems, experiments.Problem{Attribute: "windows", Summary: "Windows in the wrong order",
			Detail: fmt.Sprintf("Write the long window first, then a shorter one; %s is not longer than %s.",
				experiments.FormatDuration(g.Windows[0]), experiments.FormatDuration(g.Windows[1]))})
	}
	return append(problems, windowProblems(g.SLO, "windows", g.Windows[1], g.MinBad)...)
}

// Judge compares the burn rate over both windows with the factor.
func (g *BurnRate) Judge(h *experiments.History) experiments.Reading {
	long, short := h.Latest(g.SLO, g.Windows[0]), h.Latest(g.SLO, g.Windows[1])
	for _, c := range []experiments.Count{long, short} {
		if math.IsNaN(c.Ratio()) {
			return experiments.Reading{Blind: true, Text: "burn unknown over " + experiments.FormatDuration(c.Window) + ", " +
				unreadable(g.SLO.SeriesName(), c.Condition, c.Why)}
		}
	}
	budget := g.SLO.Budget()
	burnLong, burnShort := burnRate(long.Ratio(), budget), burnRate(short.Ratio(), budget)
	// Extrapolated counts carry fractions: 2.6 bad events were 3.
	bad := math.Round(short.Bad)
	// 0.0144/0.001 is 14.399999999999999.
	reached := min(burnLong, burnShort)/g.Factor >= 1-1e-9

	reading := experiments.Reading{
		Breached: reached && bad >= float64(g.MinBad),
		Used:     experiments.Float(min(burnLong/g.Factor, burnShort/g.Factor, bad/float64(g.MinBad))),
		Text: fmt.Sprintf("burn %s of %s (%s), %s (%s)", number(burnLong), number(g.Factor), experiments.FormatDuration(g.Windows[0]),
			number(burnShort), experiments.FormatDuration(g.Windows[1])),
	}
	if reading.Breached {
		reading.Since = newest(h, g.SLO, short)
	} else if reached {
		reading.Text += fmt.Sprintf("; %s of the %d that count", plural(bad, "failed event"), g.MinBad)
	}
	return reading
}
