package reports

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/gameday-sh/gameday/experiments"
)

// mostNamed is how many faults, hypotheses or SLOs a summary names one by one.
const mostNamed = 3

// headline is the verdict in a sentence for somebody who reads only one.
func (o outliner) headline() string {
	switch o.r.Verdict {
	case experiments.Held:
		if len(o.r.Faults) == 0 {
			return fmt.Sprintf("The system is healthy: %s. The scenario breaks nothing.", o.named(experiments.Held, "held"))
		}
		return fmt.Sprintf("The system withstood it: %s, and %s.", o.named(experiments.Held, "held"), o.mending())
	case experiments.Refuted:
		return fmt.Sprintf("The system did not withstand it: %s, and %s.", o.named(experiments.Refuted, "did not hold"), o.mending())
	case experiments.Aborted:
		if stop := o.r.Stop; stop != nil && stop.Guard != "" {
			when := ""
			if first := o.firstInjected(); !first.IsZero() && stop.Breach.After(first) {
				when = " " + sayDuration(stop.Breach.Sub(first)) + " after the first injection"
			}
			return fmt.Sprintf("The guard %s stopped the experiment%s, and %s.", quoted(o.clean(stop.Guard)), when, o.mending())
		}
		return fmt.Sprintf("The experiment was stopped before its time, and %s.", o.mending())
	case experiments.Inconclusive:
		tried, _ := o.broken()
		if o.shut() {
			return "There is no answer: the error budget policy did not allow the experiment, so nothing was broken."
		}
		switch unmet := o.unmet(); {
		case tried == 0 && unmet == experiments.Refuted:
			return "There is no answer: the system was not healthy to begin with, so nothing was broken."
		case tried == 0 && unmet == experiments.Inconclusive:
			return "There is no answer: the system was not shown to be healthy to begin with, so nothing was broken."
		}
		return fmt.Sprintf("There is no answer: too little was measured to tell whether the system withstands it, and %s.", o.mending())
	case experiments.NotRestored:
		if !o.r.Recovered.IsZero() {
			return fmt.Sprintf("The run could not mend everything that it broke; all of it was proven mended %s after its end.", sayDuration(o.r.Recovered.Sub(o.ended())))
		}
		return "Something that was broken could not be proven mended: someone has to look at it now."
	case experiments.Invalid:
		return "The scenario is not valid, so nothing was run."
	}
	return fmt.Sprintf("The runner failed, so there is no answer, and %s.", o.mending())
}

// reason is why the verdict is what it is; nothing where the headline says it all.
func (o outliner) reason() string {
	if o.r.Verdict == experiments.Held {
		return ""
	}
	if o.r.Verdict == experiments.Aborted && o.r.Stop != nil {
		return sentence(o.clean(o.r.Stop.Cause))
	}
	return sentence(o.clean(o.r.Reason))
}

// named says which hypotheses came to v: the one by its name, several by their number.
func (o outliner) named(v experiments.Verdict, did string) string {
	all, count, name := len(o.r.Hypotheses), 0, ""
	for i := range o.r.Hypotheses {
		if o.r.Hypotheses[i].Verdict == v {
			count++
			name = quoted(o.clean(o.r.Hypotheses[i].Name))
		}
	}
	switch {
	case count == 1 && all == 1:
		return name + " " + did
	case count == 1:
		return fmt.Sprintf("%s %s (1 of %s)", name, did, plural(all, "hypothesis"))
	case count == 2 && all == 2:
		return "both hypotheses " + did
	case count == all && all > 0:
		return fmt.Sprintf("all %s %s", plural(all, "hypothesis"), did)
	}
	return fmt.Sprintf("%d of %s %s", count, plural(all, "hypothesis"), did)
}

// unmet is what the baseline came to: held, or the worst that a hypothesis did.
func (o outliner) unmet() experiments.Verdict {
	verdict := experiments.Held
	for i := range o.r.Hypotheses {
		switch before := o.r.Hypotheses[i].Before; {
		case before == nil:
		case before.Verdict == experiments.Refuted:
			return experiments.Refuted
		case before.Verdict != experiments.Held:
			verdict = experiments.Inconclusive
		}
	}
	return verdict
}

func (o outliner) firstInjected() (first time.Time) {
	for i := range o.r.Hits {
		if at := o.r.Hits[i].Injected; !at.IsZero() && (first.IsZero() || at.Before(first)) {
			first = at
		}
	}
	return first
}

// summary is what somebody with one minute wants to know, each under its name.
func (o outliner) summary() []fact {
	list := []fact{
		{"What was broken", o.summaryOfFaults(), measured},
		{"What was seen", o.summaryOfHypotheses(), derived},
	}
	if text := o.summaryOfStop(); text != "" {
		list = append(list, fact{"Why it stopped", text, measured})
	}
	if text := o.summaryOfRecovery(); text != "" {
		list = append(list, fact{"How it recovered", text, measured})
	}
	if text := o.summaryOfCost(); text != "" {
		list = append(list, fact{"What it cost", text, derived})
	}
	return list
}

func (o outliner) summaryOfFaults() string {
	injected, planned := 0, 0
	targets := map[string][]string{}
	for i := range o.r.Hits {
		h := &o.r.Hits[i]
		if h.Step != experiments.Dropped {
			planned++
		}
		if h.Injected.IsZero() {
			continue
		}
		injected++
		if len(targets[h.Fault]) <= 1 {
			targets[h.Fault] = append(targets[h.Fault], h.Target)
		}
	}
	if begun, _ := o.broken(); injected == 0 && begun > 0 {
		return sentence(fmt.Sprintf("Nothing that was proven: of %s none took its full effect", plural(len(o.r.Faults), "planned fault")))
	}
	if injected == 0 {
		return sentence(fmt.Sprintf("Nothing: of %s none took effect", plural(len(o.r.Faults), "planned fault")))
	}
	var said []string
	for i := range o.r.Faults {
		f := &o.r.Faults[i]
		if len(said) == mostNamed {
			said = append(said, plural(len(o.r.Faults)-mostNamed, "more fault"))
			break
		}
		text := fmt.Sprintf("%s (%s)", o.clean(f.Name), o.clean(f.Kind))
		switch hit := targets[f.Name]; {
		case len(hit) == 0:
			text += ", which took no effect"
		case f.Injected > 1:
			text += fmt.Sprintf(" on %s and %d more", o.clean(hit[0]), f.Injected-1)
		default:
			text += " on " + o.clean(hit[0])
		}
		if f.Duration > 0 && len(targets[f.Name]) > 0 {
			if o.r.Stop != nil {
				text += ", planned"
			}
			text += " for " + sayDuration(f.Duration)
		}
		said = append(said, text)
	}
	count := fmt.Sprintf("%s of %s proven to have taken effect", sayCount(float64(injected)), plural(planned, "planned hit"))
	if len(said) == 0 {
		return sentence(count)
	}
	return strings.Join(said, "; ") + ". " + count + "."
}

func (o outliner) summaryOfHypotheses() string {
	if len(o.r.Hypotheses) == 0 {
		return "No hypothesis was judged."
	}
	var said []string
	more := 0
	for i := range o.r.Hypotheses {
		h := &o.r.Hypotheses[i]
		text := ""
		switch {
		case h.Verdict == experiments.Refuted:
			text = "did not hold" + o.because(h.Reason)
		case h.Verdict != experiments.Held:
			text = "has no answer" + o.because(h.Reason)
		case h.MayBreak && h.During != nil && h.During.Verdict == experiments.Refuted:
			text = "broke while faults were on, as it may (" + o.clean(h.During.Text) + "), and held again afterwards"
		case len(o.r.Hypotheses) <= mostNamed:
			text = "held: " + known(o.clean(h.Reason))
		default:
			continue
		}
		if len(said) == mostNamed {
			more++
			continue
		}
		said = append(said, sentence(quoted(o.clean(h.Name))+" "+text))
	}
	if more > 0 {
		said = append(said, plural(more, "more hypothesis")+": see below.")
	}
	if len(said) == 0 {
		return sentence(o.named(experiments.Held, "held"))
	}
	return strings.Join(said, " ")
}

// because appends a reason; one that begins by saying when needs no colon before it.
func (o outliner) because(reason string) string {
	reason = known(o.clean(reason))
	for _, when := range []string{"before the faults: ", "while faults were on: ", "after the faults: "} {
		if strings.HasPrefix(reason, when) {
			return " " + reason
		}
	}
	return ": " + reason
}

func (o outliner) summaryOfStop() string {
	stop := o.r.Stop
	if stop == nil {
		return ""
	}
	text := fmt.Sprintf("%s (%s UTC, %s).", strings.TrimSuffix(sentence(o.clean(stop.Cause)), "."), sayClock(stop.Breach, o.r.Began), o.offset(stop.Breach))
	if took := stop.Took(); took > 0 {
		text += fmt.Sprintf(" From then to the last proven revert it took %s.", sayDuration(took))
	}
	return text
}

// summaryOfRecovery says when the last hypothesis held again.
func (o outliner) summaryOfRecovery() string {
	tried, restored := o.broken()
	if tried == 0 {
		return ""
	}
	text := sentence(o.mending())
	if restored < tried || len(o.r.Hypotheses) == 0 {
		return text
	}
	slowest := time.Duration(0)
	for i := range o.r.Hypotheses {
		h := &o.r.Hypotheses[i]
		if h.Recovery == nil || h.Recovery.Verdict != experiments.Held {
			return text
		}
		slowest = max(slowest, h.RecoveredAfter)
	}
	if slowest == 0 {
		return text + " From then on every hypothesis held."
	}
	return text + fmt.Sprintf(" Every hypothesis held again from %s after the last revert on.", sayDuration(slowest))
}

func (o outliner) summaryOfCost() string {
	var said []string
	for i := range o.r.SLOs {
		s := &o.r.SLOs[i]
		if s.Total == 0 || len(said) == mostNamed {
			continue
		}
		text := fmt.Sprintf("%s: %s of %s failed", o.clean(s.Name), sayEvents(s.Bad), plural2(s.Total, "event"))
		if !math.IsNaN(float64(s.Spent)) {
			text += fmt.Sprintf(", %s of the error budget of %s", sayPercent(float64(s.Spent)), sayDuration(s.Window))
		}
		said = append(said, text)
	}
	return closed(strings.Join(said, "; "))
}
