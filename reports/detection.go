package reports

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/gameday-sh/gameday/experiments"
)

// nearLimit is the share of a limit from which on it was a near thing.
const nearLimit = 0.8

// detectionSection says what noticed the harm, when, and what could have.
func (o outliner) detectionSection(people *Document) []block {
	blocks := []block{}
	if facts := o.detected(); len(facts) > 0 {
		blocks = append(blocks, block{Facts: facts})
	}
	t := &sheet{
		Caption: "Guards and what they saw",
		Columns: []heading{{"Guard", declared}, {"Most of its limit taken", measured}, {"Reading at the end", measured}, {"Times asked", measured}, {"Outcome", derived}},
		None:    "No guard watched.",
	}
	for _, g := range o.guards() {
		t.Rows = append(t.Rows, []cell{{Value: g.Name, Detail: g.Kind}, {Value: g.Peak, Detail: g.PeakText}, {Value: g.Last}, {Value: g.Looks}, {Value: g.State, Class: g.Class, Pill: true}})
	}
	return append(blocks, block{Table: t}, wantedPlace(people, PlaceDetection, "What people noticed"))
}

func (o outliner) detected() []fact {
	injected := o.firstInjected()
	if injected.IsZero() {
		return nil
	}
	since := func(at time.Time) string { return sayDuration(at.Sub(injected)) + " after the first injection" }
	var list []fact
	if at, series := o.firstBad(); series != "" {
		list = append(list, fact{"First failure seen", fmt.Sprintf("%s, by %s", since(at), series), measured})
	}
	if stop := o.r.Stop; stop != nil && !stop.Breach.IsZero() {
		by := "a person"
		if stop.Guard != "" {
			by = "the guard " + quoted(o.clean(stop.Guard))
		}
		text := "by " + by
		if !stop.Breach.Before(injected) {
			text = since(stop.Breach) + ", " + text
		}
		return append(list, fact{"Stopped", text, measured})
	}
	if !slices.ContainsFunc(o.r.Hypotheses, func(h experiments.HypothesisResult) bool { return h.Verdict == experiments.Refuted }) {
		return list
	}
	// A statement did not hold and nothing said so while it went on.
	text := "No guard of the scenario watched for it."
	closest, own := -1, false
	for i := range o.r.Guards {
		g := &o.r.Guards[i]
		own = own || !g.Default
		if !g.Default && g.Worst != nil && g.Worst.Used.Known() && (closest < 0 || g.Worst.Used > o.r.Guards[closest].Worst.Used) {
			closest = i
		}
	}
	switch {
	case closest >= 0:
		g := &o.r.Guards[closest]
		text = fmt.Sprintf("No guard fired, although a hypothesis did not hold. The closest was %s, with %s of its limit taken.", quoted(o.clean(g.Name)), sayPercent(float64(g.Worst.Used)))
	case own:
		text = "No guard fired, although a hypothesis did not hold."
	}
	return append(list, fact{"Could it have been noticed", text, derived})
}

// firstBad is the first measurement after the first injection that failed, and of which
// series.
func (o outliner) firstBad() (first time.Time, series string) {
	for _, s := range o.seen {
		if s.failed < 0 {
			continue
		}
		if when := o.r.Began.Add(time.Duration(s.failed * float64(time.Second))); series == "" || when.Before(first) {
			first, series = when, o.clean(s.head.Name)
		}
	}
	return first, series
}

// responseSection says how long it took until everything was whole again.
func (o outliner) responseSection(people *Document) []block {
	var list []fact
	injected := o.firstInjected()
	var last time.Time
	open := false
	for i := range o.r.Hits {
		h := &o.r.Hits[i]
		last = later(last, h.Verified)
		open = open || h.Begun() && !mended(h)
	}
	if !injected.IsZero() {
		text := "not proven"
		if !open && !last.IsZero() {
			text = fmt.Sprintf("%s after the first injection (%s)", sayDuration(last.Sub(injected)), o.offset(last))
		}
		list = append(list, fact{"Everything mended", text, measured})
	}
	if stop := o.r.Stop; stop != nil && stop.Took() > 0 {
		list = append(list, fact{"From the stop to the last proven revert", sayDuration(stop.Took()), measured})
	}
	for i := range o.r.Hypotheses {
		h := &o.r.Hypotheses[i]
		if i == o.d.rows {
			break
		}
		switch {
		case injected.IsZero() || h.Recovery == nil:
		case h.RecoverWithin > 0:
			list = append(list, fact{quoted(o.clean(h.Name)), recovered(h), measured})
		default:
			list = append(list, fact{quoted(o.clean(h.Name)), string(h.Recovery.Verdict) + " after the faults", derived})
		}
	}
	if !o.r.Recovered.IsZero() {
		list = append(list, fact{"What the run left", "proven mended " + sayDuration(o.r.Recovered.Sub(o.ended())) + " after its end", measured})
	}
	if len(list) == 0 {
		return []block{{Text: "Nothing was injected, so there was nothing to recover from."}, wantedPlace(people, PlaceResponse, "What people did")}
	}
	return []block{{Facts: list}, wantedPlace(people, PlaceResponse, "What people did")}
}

// surprises lists what was a near thing, or happened otherwise than planned.
func (o outliner) surprises() []string {
	var list []string
	for i := range o.r.Hits {
		h := &o.r.Hits[i]
		switch {
		case len(list) >= o.d.rows:
		case h.State == experiments.Superseded:
			list = append(list, fmt.Sprintf("Somebody or something else changed %s while the fault %s was on it.", o.clean(h.Target), quoted(o.clean(h.Fault))))
		case h.Begun() && h.Injected.IsZero():
			list = append(list, fmt.Sprintf("The fault %s took no effect on %s: %s", quoted(o.clean(h.Fault)), o.clean(h.Target), closed(cmp.Or(o.clean(h.Error), "the effect was not seen"))))
		}
	}
	for i := range o.r.Guards {
		if g := &o.r.Guards[i]; !g.Tripped && g.Worst != nil && g.Worst.Used >= nearLimit {
			list = append(list, fmt.Sprintf("A near thing: the guard %s came to %s of its limit without tripping.", quoted(o.clean(g.Name)), sayPercent(float64(g.Worst.Used))))
		}
	}
	for i := range o.r.Hypotheses {
		h := &o.r.Hypotheses[i]
		if slowRecovery(h) {
			list = append(list, fmt.Sprintf("A near thing: %s was %s.", quoted(o.clean(h.Name)), recovered(h)))
		}
		if h.MayBreak && h.During != nil && h.During.Verdict == experiments.Held && len(o.r.Hits) > 0 {
			list = append(list, fmt.Sprintf("%s held while faults were on, although it was allowed to break.", quoted(o.clean(h.Name))))
		}
	}
	return list
}

// slowRecovery tells whether a hypothesis held again only just in time.
func slowRecovery(h *experiments.HypothesisResult) bool {
	return h.Recovery != nil && h.Recovery.Verdict == experiments.Held && h.RecoverWithin > 0 &&
		float64(h.RecoveredAfter) >= nearLimit*float64(h.RecoverWithin)
}

// evidence says how far the measurements can be trusted, and what was not measured.
func (o outliner) evidence() []string {
	var list []string
	for _, one := range o.seen {
		s := one.head
		if len(list) >= o.d.rows {
			continue
		}
		if one.rows == 0 {
			list = append(list, o.clean(s.Name)+" has no measurement at all: nothing is known of it.")
			continue
		}
		text := fmt.Sprintf("%s was read %s times", o.clean(s.Name), sayCount(float64(one.rows)))
		if step := one.pace; step > 0 {
			every := sayDuration(time.Duration(step * float64(time.Second)))
			text += fmt.Sprintf(", every %s: what is over sooner may not be seen, and its times are right to %s", every, every)
		}
		if s.Window > 0 {
			text += fmt.Sprintf("; each reading is over the last %s, so a change shows late and smoothed", sayDuration(s.Window))
		}
		list = append(list, text+".")
		if gaps, blind := unread(s); gaps > 0 {
			list = append(list, fmt.Sprintf("%s could not be read in %s, %s in all: what happened then is not known.", o.clean(s.Name), plural(gaps, "gap"), sayDuration(blind)))
		}
	}
	for i := range o.r.SLOs {
		s := &o.r.SLOs[i]
		switch {
		case s.Total == 0:
			list = append(list, fmt.Sprintf("No event of slo.%s was counted after the first injection, so its cost is unknown, and not none.", o.clean(s.Name)))
		case !s.Spent.Known():
			list = append(list, fmt.Sprintf("The share of the budget of slo.%s is unknown: the baseline showed no rate of events.", o.clean(s.Name)))
		default:
			list = append(list, fmt.Sprintf("The share of the budget of slo.%s is worked out with the rate of the baseline (%s events a second), as if it were that of the whole %s.", o.clean(s.Name), sayCount(float64(s.Rate)), sayDuration(s.Window)))
		}
	}
	for _, span := range o.r.Phases {
		if span.Phase == experiments.PhaseBaseline && span.To.After(span.From) {
			list = append(list, fmt.Sprintf("What is usual is known from a baseline of %s, at this time of the day and the week only.", sayDuration(span.To.Sub(span.From))))
		}
	}
	if len(o.r.SLOs) == 0 {
		list = append(list, "No SLO counted the requests of users, so what they saw is known only as far as the probes stand for them.")
	}
	for i := range o.r.Hypotheses {
		if h := &o.r.Hypotheses[i]; h.Verdict == experiments.Inconclusive && len(list) < 2*o.d.rows {
			list = append(list, fmt.Sprintf("%s is without an answer: neither that it holds nor that it does not was shown.", quoted(o.clean(h.Name))))
		}
	}
	return append(list, "Loss of data and breaches of security are not measured.")
}

// unread counts the stretches in which a series could not be read, and adds them up.
// That a window is too short at the beginning is expected.
func unread(s *experiments.Series) (count int, blind time.Duration) {
	for i := range s.Gaps {
		gap := &s.Gaps[i]
		if gap.Condition == experiments.TooEarly {
			continue
		}
		count++
		if gap.To > gap.From {
			blind += time.Duration(float64(gap.To-gap.From) * float64(time.Second))
		}
	}
	return count, blind
}
