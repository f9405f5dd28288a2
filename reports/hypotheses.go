package reports

import (
	"cmp"
	"math"

	"github.com/gameday-sh/gameday/experiments"
)

type hypothesisRow struct {
	Name, Statement, Verdict, Class, Reason string
	Before, During, Recovery                cell // what it came to in each phase
}

func (o outliner) hypotheses() []hypothesisRow {
	list := make([]hypothesisRow, 0, len(o.r.Hypotheses))
	for i := range o.r.Hypotheses {
		h := &o.r.Hypotheses[i]
		row := hypothesisRow{
			Name: o.clean(h.Name), Statement: o.clean(h.Statement), Reason: closed(o.clean(h.Reason)),
			Verdict: string(h.Verdict), Class: class(h.Verdict),
			Before: o.cell(h, h.Before), During: o.cell(h, h.During), Recovery: o.cell(h, h.Recovery),
		}
		switch {
		case h.MayBreak && h.During == nil:
			row.During = cell{Value: "may break"}
		case h.MayBreak && h.During.Verdict == experiments.Refuted:
			row.During.Detail = join(row.During.Detail, "broken, as it may be")
			row.During.Class = ""
		}
		if h.RecoverWithin > 0 && h.Recovery != nil {
			row.Recovery.Detail = join(row.Recovery.Detail, recovered(h))
		}
		list = append(list, row)
	}
	return list
}

// recovered says how long it took until a hypothesis held again, and how long it had.
func recovered(h *experiments.HypothesisResult) string {
	allowed := sayDuration(h.RecoverWithin) + " allowed"
	switch {
	case h.Recovery.Verdict != experiments.Held:
		return "not shown to hold again within the " + allowed
	case h.RecoveredAfter <= 0:
		return "whole at once (" + allowed + ")"
	}
	return "whole again " + sayDuration(h.RecoveredAfter) + " after the last revert (" + allowed + ")"
}

func (o outliner) cell(h *experiments.HypothesisResult, j *experiments.Judgement) cell {
	if j == nil {
		return cell{Value: "not judged"}
	}
	c := cell{Class: class(j.Verdict)}
	noun := "measurement"
	if h.Kind == experiments.GoodRatio {
		noun = "event"
	}
	switch {
	case !(j.Total > 0):
		c.Value, c.Detail = "no data", "no "+noun
	case h.Kind == experiments.EverySample:
		c.Value, c.Detail = sayCount(j.Bad)+" failed", "of "+plural2(j.Total, noun)
	case h.Kind == experiments.GoodRatio:
		c.Value, c.Detail = sayPercent(float64(j.Observed)), sayEvents(j.Bad)+" of "+plural2(j.Total, noun)+" bad"
	default:
		c.Value = o.clean(sayValue(float64(j.Observed), cmp.Or(j.Unit, h.Unit)))
		c.Detail = plural2(j.Total, noun)
	}
	if j.Low.Known() && j.High.Known() && h.Kind == experiments.GoodRatio && j.Total > 0 {
		c.Detail += ", interval " + sayPercent(float64(j.Low)) + " to " + sayPercent(float64(j.High))
	}
	if j.Verdict == experiments.Inconclusive && j.Needs > 0 {
		c.Detail += ", " + sayEvents(math.Ceil(j.Needs)) + " more needed"
	}
	return c
}
