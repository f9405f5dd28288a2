package reports

import (
	"fmt"
	"math"
	"time"

	"github.com/gameday-sh/gameday/experiments"
)

type guardRow struct {
	Name, Kind     string
	Peak, PeakText string // how much of its limit was taken at most, and what it read then
	Last, Looks    string
	State, Class   string
}

type budgetRow struct {
	Name, Objective, Events, Words string
	// More is what was expected, what is put down to the run, and what follows.
	More  []string
	Spent float64 // share of the window's budget; NaN if unknown
}

func (o outliner) guards() []guardRow {
	var rows []guardRow
	for i := range o.r.Guards {
		g := &o.r.Guards[i]
		row := guardRow{Name: o.clean(g.Name), Kind: o.clean(g.Kind), Looks: sayCount(float64(g.Looks)), State: "did not trip", Class: "held", Last: "nothing"}
		if g.Default {
			row.Kind += ", on by default"
		}
		row.Peak, row.PeakText = o.peak(g)
		if g.Last != nil {
			row.Last = o.clean(g.Last.Text)
		}
		switch {
		case g.Tripped:
			row.State, row.Class = "tripped", "aborted"
		case g.Looks == 0:
			row.State, row.Class = "never asked", "idle"
		case g.Last != nil && g.Last.Blind:
			row.State, row.Class = "blind at the end", "inconclusive"
		}
		rows = append(rows, row)
	}
	return rows
}

// peak says how close a guard came to its limit. Where nothing was ever taken of it,
// the reading that is stored is only the first of many alike and says nothing.
func (o outliner) peak(g *experiments.GuardResult) (share, text string) {
	if g.Worst == nil || !g.Worst.Breached && g.Worst.Used <= 0 {
		return "nothing of it", ""
	}
	share, text = "unknown", o.clean(g.Worst.Text)
	switch {
	case g.Worst.Breached && !(g.Worst.Used > 1):
		share = "all of it"
	case g.Worst.Used.Known():
		share = sayPercent(math.Round(float64(g.Worst.Used)*1000)/1000) + " of it"
	}
	if !g.WorstAt.IsZero() {
		text += " (at " + o.offset(g.WorstAt) + ")"
	}
	return share, text
}

// budgets says what the run cost each SLO. The budget of a window is (1-objective)
// of its events; spending a share of it costs as much as a total outage of that
// share of (1-objective) of the window (SRE workbook, "Alerting on SLOs").
func (o outliner) budgets() []budgetRow {
	var rows []budgetRow
	for i := range o.r.SLOs {
		s := &o.r.SLOs[i]
		row := budgetRow{Name: o.clean(s.Name), Spent: float64(s.Spent),
			Objective: s.Objective.String() + " over " + sayDuration(s.Window)}
		row.More = o.account(s)
		row.Events = fmt.Sprintf("%s of %s failed", sayEvents(s.Bad), plural2(s.Total, "event"))
		if s.Total > 0 {
			row.Events += " (" + sayPercent(s.Bad/s.Total) + ")"
		}
		row.Events += " from the first injection to the end"
		if s.Total == 0 {
			row.Events = "No event was counted from the first injection to the end"
			if o.firstInjected().IsZero() {
				row.Events = "Nothing was injected, so no event was counted"
			}
			rows = append(rows, row)
			continue
		}
		if s.Spent.Known() && s.Bad == 0 {
			row.Words = fmt.Sprintf("None of the error budget of %s was spent.", sayDuration(s.Window))
		} else if s.Spent.Known() {
			outage := time.Duration(float64(s.Spent) * float64(s.Window) * (s.Objective.Rest()))
			row.Words = fmt.Sprintf("That is %s of the error budget of %s, as much as %s of total outage.", sayPercent(float64(s.Spent)), sayDuration(s.Window), sayDuration(outage))
		} else {
			row.Words = "Its share of the error budget is unknown, because the baseline showed no rate of events to count the window by."
		}
		rows = append(rows, row)
	}
	return rows
}

func plural2(count float64, noun string) string {
	if count == 1 {
		return "1 " + noun
	}
	return sayEvents(count) + " " + noun + "s"
}
