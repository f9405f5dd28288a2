package reports

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/gameday-sh/gameday/experiments"
)

// mostProposals is how many action items are proposed: a longer list is read by nobody.
const mostProposals = 12

// proposals are action items for what did not go as it should, the most urgent first.
// Each says what was measured and what would have to be found out; none guesses a cause.
// The scenario itself is what shows whether an item helped.
func (o outliner) proposals() []ActionItem {
	var urgent, soon, later []ActionItem
	retest := o.clean(o.r.Scenario)
	add := func(list *[]ActionItem, priority, format string, values ...any) {
		if len(*list) < mostProposals {
			*list = append(*list, ActionItem{Action: fmt.Sprintf(format, values...), Priority: priority, Retest: retest, Proposed: true})
		}
	}
	for _, text := range o.alarm() {
		add(&urgent, "P0", "Mend what could not be proven mended: %s", text)
	}
	for i := range o.r.Hypotheses {
		h := &o.r.Hypotheses[i]
		name, why := quoted(o.clean(h.Name)), strings.TrimSuffix(o.because(h.Reason), ".")
		switch h.Verdict {
		case experiments.Refuted:
			add(&soon, "P1", "Make %s hold: it did not%s", name, why)
		case experiments.Held:
			if slowRecovery(h) {
				add(&later, "P2", "Make %s recover sooner: it was %s", name, recovered(h))
			}
		default:
			if o.r.Stop == nil {
				add(&later, "P2", "Make %s measurable: it has no answer%s", name, why)
			}
		}
	}
	if stop := o.r.Stop; stop != nil && stop.Guard != "" {
		add(&soon, "P1", "Find out why the guard %s had to stop the run: %s", quoted(o.clean(stop.Guard)), strings.TrimSuffix(o.clean(stop.Cause), "."))
	}
	for i := range o.r.Guards {
		g := &o.r.Guards[i]
		switch {
		case g.Tripped && (o.r.Stop == nil || o.r.Stop.Guard != g.Name):
			add(&soon, "P1", "Find out why the guard %s tripped", quoted(o.clean(g.Name)))
		case !g.Tripped && g.Looks > 0 && g.Last != nil && g.Last.Blind:
			add(&later, "P2", "Give the guard %s something to judge by: it was blind at the end (%s)", quoted(o.clean(g.Name)), o.clean(g.Last.Text))
		}
	}
	for i := range o.r.SLOs {
		if s := &o.r.SLOs[i]; s.Total == 0 && !o.firstInjected().IsZero() {
			add(&later, "P2", "Make slo.%s countable: no event was counted while faults were on", o.clean(s.Name))
		}
	}
	for i := range o.r.Hits {
		h := &o.r.Hits[i]
		switch {
		case h.State == experiments.Superseded:
			add(&later, "P2", "Find out what changed %s while the fault %s was on it", o.clean(h.Target), quoted(o.clean(h.Fault)))
		case h.Begun() && h.Injected.IsZero():
			add(&later, "P2", "Find out why the fault %s took no effect on %s: %s", quoted(o.clean(h.Fault)), o.clean(h.Target), strings.TrimSuffix(cmp.Or(o.clean(h.Error), "the effect was not seen"), "."))
		}
	}
	list := append(append(urgent, soon...), later...)
	return list[:min(len(list), mostProposals)]
}

// actionSection is the table of action items: that of people, or what is proposed.
func (o outliner) actionSection(people *Document) []block {
	one := wantedPlace(people, PlaceActions, "")
	one.Place.Proposal = o.actionTable()
	return []block{one}
}

// actionTable is what stands in the place of the action items until somebody has written
// there: the proposals, or an empty row, in Markdown.
func (o outliner) actionTable() string {
	var b strings.Builder
	b.WriteString(hint(PlaceAsks(PlaceActions)))
	b.WriteString("\n| Action | Owner | Due date | Priority | Re-test | Status |\n|---|---|---|---|---|---|\n")
	list := o.proposals()
	for _, item := range list {
		fmt.Fprintf(&b, "| %s |  |  | %s | %s | %s |\n", escape(item.Action), item.Priority, code(item.Retest), statusProposed)
	}
	if len(list) == 0 {
		fmt.Fprintf(&b, "|  |  |  |  | %s | %s |\n", code(o.clean(o.r.Scenario)), statusOpen)
	}
	return b.String()
}
