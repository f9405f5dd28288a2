package reports

import (
	"cmp"
	"fmt"

	"github.com/gameday-sh/gameday/experiments"
)

// well lists facts that went as they should. It praises nothing it did not measure.
func (o outliner) well() []string {
	var list []string
	for _, row := range o.hypotheses() {
		if row.Verdict == string(experiments.Held) {
			list = append(list, fmt.Sprintf("%s held: %s", quoted(row.Name), known(row.Reason)))
		}
	}
	if tried, restored := o.broken(); tried > 0 && restored == tried && len(o.r.Left) == 0 {
		list = append(list, sentence(o.mending()))
	}
	if o.r.Stop != nil && o.r.Stop.Guard != "" {
		list = append(list, fmt.Sprintf("The guard %s stopped the run.", quoted(o.clean(o.r.Stop.Guard))))
	}
	return list
}

func known(text string) string {
	if text == "" {
		return "no reason was recorded."
	}
	return text
}

// wrong lists facts that did not go as they should.
func (o outliner) wrong() []string {
	var list []string
	for _, row := range o.hypotheses() {
		switch experiments.Verdict(row.Verdict) {
		case experiments.Refuted:
			list = append(list, quoted(row.Name)+" did not hold"+closed(o.because(row.Reason)))
		case experiments.Held:
		default:
			list = append(list, quoted(row.Name)+" is without an answer"+closed(o.because(row.Reason)))
		}
	}
	if o.r.Stop != nil {
		list = append(list, "The run was stopped before its time: "+closed(o.clean(o.r.Stop.Cause)))
	}
	for i := range o.r.Hits {
		h := &o.r.Hits[i]
		if len(list) > o.d.rows {
			break
		}
		if h.Begun() && h.Injected.IsZero() {
			list = append(list, fmt.Sprintf("%s was not hit: %s", o.clean(h.Target), closed(cmp.Or(o.clean(h.Error), "the effect was not seen"))))
		}
	}
	for _, row := range o.guards() {
		if row.Class == "inconclusive" {
			list = append(list, fmt.Sprintf("The guard %s had nothing to judge by at the end: %s", quoted(row.Name), closed(row.Last)))
		}
	}
	for _, text := range o.alarm() {
		list = append(list, "Not proven mended: "+closed(text))
	}
	for _, row := range o.notices() {
		if row.Failed {
			list = append(list, fmt.Sprintf("%s was not told of the %s: %s", row.Receiver, row.Moment, closed(row.Outcome)))
		}
	}
	for _, text := range o.r.Errors {
		list = append(list, "The runner reported: "+closed(o.clean(text)))
	}
	return list
}
