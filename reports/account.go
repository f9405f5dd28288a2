package reports

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/gameday-sh/gameday/experiments"
)

// gateFacts says what the error budget policies said to the run, and who went past them.
func (o outliner) gateFacts() []fact {
	g := o.r.Gate
	if g == nil || g.Decision == experiments.GateOpen {
		return nil
	}
	list := []fact{{"Error budget policy", string(g.Decision) + ": " + o.clean(g.Why), measured}}
	if g.Override != nil {
		list = append(list, fact{"Override", fmt.Sprintf("%s went past the policy (%s UTC): %s", o.clean(g.Override.By), sayClock(g.Override.At, o.r.Began), o.clean(g.Override.Reason)), human})
	}
	return list
}

// shut tells that the policies did not let the run begin.
func (o outliner) shut() bool {
	g := o.r.Gate
	return g != nil && g.Override == nil && (g.Decision == experiments.GateRefused || g.Decision == experiments.GateUnknown)
}

// account sets what a run spent of a budget against what was expected, and says what
// follows from it, a sentence each.
func (o outliner) account(s *experiments.SLOResult) []string {
	a := s.Account
	if a == nil {
		return nil
	}
	list := slices.Concat(forecastWords(s, a), attributedWords(s, a), returnWords(s, a), o.unobservedWords(a))
	return append(list, o.pageWords(a)...)
}

func forecastWords(s *experiments.SLOResult, a *experiments.Account) []string {
	var parts []string
	if a.Worst.Known() {
		text := fmt.Sprintf("The forecast was %s, and %s at worst", sayPercent(float64(a.Likely)), sayPercent(float64(a.Worst)))
		switch {
		case !s.Spent.Known():
		case s.Spent > a.Worst:
			text += "; more was spent"
		case s.Spent > a.Likely:
			text += "; what was spent lies between"
		default:
			text += "; no more than the forecast was spent"
		}
		parts = append(parts, text)
	}
	if a.Allowance.Known() {
		parts = append(parts, "a guard allowed "+sayPercent(float64(a.Allowance)))
	}
	if a.Remaining.Known() {
		text := "of the budget " + sayLeft(a.Remaining) + " before the run"
		if s.Spent.Known() {
			text += ", and " + sayLeft(a.Remaining-s.Spent) + " after it"
		}
		parts = append(parts, text)
	}
	if len(parts) == 0 {
		return nil
	}
	return []string{sentence(strings.Join(parts, "; "))}
}

// sayLeft says what is left of a budget: "62% was left", "12% was overspent".
func sayLeft(share experiments.Float) string {
	if share < 0 {
		return sayPercent(-float64(share)) + " was overspent"
	}
	return sayPercent(float64(share)) + " was left"
}

func attributedWords(s *experiments.SLOResult, a *experiments.Account) []string {
	switch {
	case !a.Usual.Known() || s.Bad == 0:
		return nil
	case a.Usual == 0:
		return []string{"Nothing failed in the baseline, so all of it is put down to the run."}
	case a.Attributable <= 0:
		return []string{fmt.Sprintf("In the baseline %s of the events failed as well: nothing is put down to the run.", sayPercent(float64(a.Usual)))}
	}
	text := fmt.Sprintf("In the baseline %s of the events failed; beyond that %s failed", sayPercent(float64(a.Usual)), plural2(math.Round(float64(a.Attributable)), "event"))
	if a.AttributableSpent.Known() {
		text += ", " + sayPercent(float64(a.AttributableSpent)) + " of the budget,"
	}
	return []string{text + " and that is put down to the run."}
}

// returnWords says when what was spent is there again.
func returnWords(s *experiments.SLOResult, a *experiments.Account) []string {
	if a.Returns.IsZero() || !s.Spent.Known() || s.Spent <= 0 {
		return nil
	}
	day := func(at time.Time) string { return at.UTC().Format("Monday 2 January 2006, 15:04") }
	share, from, to := sayPercent(float64(s.Spent)), day(a.ReturnsFrom), day(a.Returns)
	switch {
	case a.ReturnsFrom.Equal(a.Returns):
		return []string{fmt.Sprintf("The %s returns %s UTC, when the next period begins (%s).", share, to, a.Period)}
	case from == to:
		return []string{fmt.Sprintf("The %s returns %s UTC, when the failures leave the last %s.", share, to, a.Period)}
	}
	return []string{fmt.Sprintf("The %s returns from %s to %s UTC, as the failures leave the last %s.", share, from, to, a.Period)}
}

func (o outliner) unobservedWords(a *experiments.Account) []string {
	u := a.Unobserved
	if u == nil {
		return nil
	}
	text := fmt.Sprintf("%s that %s sent were counted by no server (%s sent, %s counted)", plural2(math.Round(u.Missed), "request"), o.clean(u.Probe), sayEvents(u.Sent), sayEvents(u.Seen))
	if u.Spent.Known() {
		text += fmt.Sprintf("; had they been, %s more of the budget would be spent", sayPercent(float64(u.Spent)))
	}
	return []string{closed(text)}
}

// closest picks of the alerts of each severity the one that fired first, or else the one
// that came closest to it.
func closest(pages []experiments.Page) []*experiments.Page {
	var list []*experiments.Page
	for i := range pages {
		p := &pages[i]
		at := slices.IndexFunc(list, func(q *experiments.Page) bool { return q.Severity == p.Severity })
		switch {
		case at < 0:
			list = append(list, p)
		case sooner(p, list[at]):
			list[at] = p
		}
	}
	return list
}

// pageWords says what the alerts would have done.
func (o outliner) pageWords(a *experiments.Account) []string {
	var list []string
	for _, p := range closest(a.Pages) {
		list = append(list, o.pageText(p))
	}
	if a.PagesNote != "" {
		list = append(list, sentence("Alerts: "+o.clean(a.PagesNote)))
	}
	return list
}

func sooner(p, than *experiments.Page) bool {
	if p.Fired != than.Fired {
		return p.Fired
	}
	if p.Fired {
		return p.After < than.After
	}
	return float64(p.Peak)/p.Factor > float64(than.Peak)/than.Factor
}

func (o outliner) pageText(p *experiments.Page) string {
	did := "The alert " + o.clean(p.Alert) + " would"
	switch p.Severity {
	case "page":
		did = "It would"
	case "ticket":
		did = "A ticket would"
	}
	windows := fmt.Sprintf("%s over %s and %s", sayCount(p.Factor), sayDuration(p.Long), sayDuration(p.Short))
	verb := map[string]string{"page": "paged", "ticket": "been opened"}[p.Severity]
	if verb == "" {
		verb = "fired"
	}
	if p.Fired {
		return fmt.Sprintf("%s have %s after %s (%s, %s).", did, verb, sayDuration(p.After), o.clean(p.Alert), windows)
	}
	peak := "the burn rate is unknown"
	if p.Peak.Known() {
		peak = fmt.Sprintf("peak burn %s of %s over %s and %s", sayCount(float64(p.Peak)), sayCount(p.Factor), sayDuration(p.Long), sayDuration(p.Short))
	}
	return fmt.Sprintf("%s not have %s: %s (%s).", did, verb, peak, o.clean(p.Alert))
}

// accountProperties are the numbers of the account for CI, by stable names.
func (o outliner) accountProperties() []junitProperty {
	var list []junitProperty
	if g := o.r.Gate; g != nil && g.Decision != experiments.GateOpen {
		list = append(list, junitProperty{"gate", string(g.Decision)}, junitProperty{"gate.why", o.clean(g.Why)})
		if g.Override != nil {
			list = append(list, junitProperty{"gate.override", o.clean(g.Override.Reason)}, junitProperty{"gate.override.by", o.clean(g.Override.By)})
		}
	}
	for i := range o.r.SLOs {
		s := &o.r.SLOs[i]
		if s.Account == nil {
			continue
		}
		name := "slo." + o.clean(s.Name) + "."
		for _, n := range []struct {
			name  string
			value experiments.Float
		}{{"spent", s.Spent}, {"attributable", s.Account.AttributableSpent}, {"likely", s.Account.Likely}, {"worst", s.Account.Worst}, {"remaining", s.Account.Remaining}} {
			if n.value.Known() {
				list = append(list, junitProperty{name + n.name, fmt.Sprintf("%.6g", float64(n.value))})
			}
		}
		for _, p := range closest(s.Account.Pages) {
			list = append(list, junitProperty{name + "alert." + o.clean(p.Severity), o.pageText(p)})
		}
	}
	return list
}
