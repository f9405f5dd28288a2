package reports

import (
	"cmp"

	"github.com/gameday-sh/gameday/experiments"
)

type hypothesisRow struct {
	Name, Statement, Verdict, Class, Reason string
	Before, During, Recovery                cell
}

// cell is what a hypothesis came to in one phase.
type cell struct {
	Value, Limit, Detail string
	Class                string
}

func (o outliner) hypotheses() []hypothesisRow {
	list := make([]hypothesisRow, 0, len(o.r.Hypotheses))
	for i := range o.r.Hypotheses {
		h := &o.r.Hypotheses[i]
		row := hypothesisRow{
			Name: o.clean(h.Name), Statement: o.clean(h.Statement), Reason: sentence(o.clean(h.Reason)),
			Verdict: string(h.Verdict), Class: class(h.Verdict),
			Before: o.cell(h, h.Before), During: o.cell(h, h.During), Recovery: o.cell(h, h.Recovery),
		}
		if h.MayBreak && h.During == nil {
			row.During = cell{Value: "may break"}
		} else if h.MayBreak {
			row.During.Detail = join(row.During.Detail, "may break")
			row.During.Class = ""
		}
		if h.RecoverWithin > 0 && h.Recovery != nil {
			note := "had " + sayDuration(h.RecoverWithin)
			if h.Recovery.Verdict == experiments.Held {
				note = "after " + sayDuration(h.RecoveredAfter) + " of " + sayDuration(h.RecoverWithin)
			}
			row.Recovery.Detail = join(row.Recovery.Detail, note)
		}
		list = append(list, row)
	}
	return list
}

func (o outliner) cell(h *experiments.HypothesisResult, j *experiments.Judgement) cell {
	if j == nil {
		return cell{Value: "not judged"}
	}
	unit := cmp.Or(j.Unit, h.Unit)
	c := cell{Value: o.clean(sayValue(float64(j.Observed), unit)), Class: class(j.Verdict)}
	switch {
	case h.Kind == experiments.EverySample:
		c.Value = sayCount(j.Bad) + " of " + sayCount(j.Total) + " bad"
		return c
	case !j.Limit.Known():
	case h.Kind == experiments.GoodRatio || h.Kind == experiments.ValueAtLeast:
		c.Limit = "at least " + o.clean(sayValue(float64(j.Limit), unit))
	default:
		c.Limit = "at most " + o.clean(sayValue(float64(j.Limit), unit))
	}
	if h.Kind == experiments.GoodRatio {
		c.Detail = sayCount(j.Bad) + " of " + sayCount(j.Total) + " bad"
	} else {
		c.Detail = sayCount(j.Total) + " samples"
	}
	return c
}
