package reports

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/gameday-sh/gameday/experiments"
)

// affected is what users met with, as one series counts it.
type affected struct {
	name string
	// criticality is how much it matters to the business when users meet with it: low,
	// medium, high, critical; empty where nobody said, as for a whole service.
	criticality string
	noun        string // "event"
	bad, total  float64
	slow        bool // a limit on latency or on a value was broken, whatever failed
	lasted      time.Duration
	ongoing     bool // it was still failing at the end
}

func (a affected) share() float64 {
	if !(a.total > 0) {
		return 0
	}
	return a.bad / a.total
}

// The limits of the levels of severity. Affected users of 10% and more make SEV2: the
// usual table has "more than 10%" there and "less than 10%" at SEV3, and leaves out 10%
// itself. It goes to the side on which more people look at it sooner.
const (
	severe = 0.5 // the service is down or severely degraded
	many   = 0.1
	blip   = time.Minute // what is shorter is one level lower
	long   = time.Hour   // what is longer is one level higher
)

// severity rates what users met with: 1 (critical) to 4 (low), 0 for nothing.
//
//	share of failures   critical, or not said   high, medium   low
//	50% and more        1                       2              3
//	10% and more        2                       2              3
//	less                3                       3              4
//	none, but slow      3                       3              4
func severity(a affected) int {
	level := 0
	switch share := a.share(); {
	case share >= severe && (a.criticality == "critical" || a.criticality == ""):
		level = 1
	case share >= many:
		level = 2
	case share > 0 || a.slow:
		level = 3
	default:
		return 0
	}
	if a.criticality == "low" {
		level = max(level+1, 3)
	}
	switch {
	case a.ongoing:
	case a.lasted < blip:
		level++
	case a.lasted >= long:
		level--
	}
	return min(max(level, 1), 4)
}

// affected lists what users met with while faults were on.
func (o outliner) affected() []affected {
	injected := o.firstInjected()
	if injected.IsZero() {
		return nil
	}
	var list []affected
	matters := map[string]string{} // the criticality of the journeys, by series
	for i := range o.r.Journeys {
		j := &o.r.Journeys[i]
		matters[j.Series] = string(j.Criticality)
		if j.Total > 0 {
			list = append(list, o.spanned(affected{name: j.Series, criticality: string(j.Criticality), noun: "attempt", bad: float64(j.Bad), total: float64(j.Total)}, injected))
		}
	}
	for i := range o.r.SLOs {
		s := &o.r.SLOs[i]
		if s.Total > 0 {
			list = append(list, o.spanned(affected{name: "slo." + s.Name, noun: "event", bad: s.Bad, total: s.Total}, injected))
		}
	}
	for i := range o.r.Hypotheses {
		h := &o.r.Hypotheses[i]
		j := h.During
		if j == nil || !(j.Total > 0) {
			continue
		}
		a := affected{name: h.Series, criticality: matters[h.Series], noun: "measurement", total: j.Total}
		switch h.Kind {
		case experiments.GoodRatio:
			a.noun, a.bad = "event", j.Bad
		case experiments.EverySample:
			a.bad = j.Bad
		default:
			a.slow = j.Verdict == experiments.Refuted
		}
		list = append(list, o.spanned(a, injected))
	}
	return list
}

// spanned adds how long it lasted: from the first failure to the last one, as the series
// shows them; from the first injection to the last proven revert where it shows none.
func (o outliner) spanned(a affected, injected time.Time) affected {
	first, last := -1.0, -1.0
	for _, s := range o.seen {
		if s.head.Name != a.name || s.failed < 0 {
			continue
		}
		first, last = s.failed, s.last
		// A failure in the last reading may be only the first of many.
		a.ongoing = a.ongoing || s.last >= s.end
	}

	if first >= 0 {
		a.lasted = time.Duration((last - first) * float64(time.Second))
		return a
	}
	end := injected
	for i := range o.r.Hits {
		end = later(end, o.r.Hits[i].Verified)
	}
	a.lasted = end.Sub(injected)
	return a
}

// proposeSeverity rates the run by the worst of what users met with. It gives 0, and why,
// where there is nothing to rate.
func (o outliner) proposeSeverity() (level int, why string) {
	list := o.affected()
	if o.firstInjected().IsZero() {
		return 0, "nothing was injected"
	}
	if len(list) == 0 {
		return 0, "nothing that stands for users was measured while faults were on"
	}
	worst, rated := list[0], severity(list[0])
	for _, a := range list[1:] {
		if level := severity(a); level > 0 && (rated == 0 || level < rated || level == rated && a.share() > worst.share()) {
			worst, rated = a, level
		}
	}
	said := o.affectedWords(worst)
	switch {
	case rated == 0:
		return 0, "no failure was measured while faults were on"
	case o.r.Verdict == experiments.Held && worst.share() < many:
		return 0, "every hypothesis held; " + said
	}
	return rated, said
}

func (o outliner) affectedWords(a affected) string {
	text := fmt.Sprintf("%s of %s of %s failed", sayEvents(a.bad), plural2(a.total, a.noun), o.clean(a.name))
	switch share := a.share(); {
	case a.slow && a.bad == 0:
		text = o.clean(a.name) + " was outside of its limit"
	case share == many:
		text += " (exactly 10%, which counts as SEV2)"
	default:
		text += " (" + sayPercent(share) + ")"
	}
	if a.criticality != "" {
		text += ", of " + o.clean(a.criticality) + " criticality"
	}
	switch {
	case a.ongoing:
		text += ", to the end of the measurement"
	case a.lasted > 0:
		text += ", over " + sayDuration(a.lasted)
	}
	return text
}

var severityWord = regexp.MustCompile(`(?i)\b(?:SEV|S|severity)[ -]?([1-4])\b|\bnone\b`)

// decided are the facts that people decide, as far as they have.
func (o outliner) decided(people *Document) []fact {
	level, why := o.proposeSeverity()
	proposal := "none"
	if level > 0 {
		proposal = fmt.Sprintf("SEV%d", level)
	}
	list := []fact{{"Severity", "proposed: " + proposal + ", because " + closed(why), proposed}}
	if text := people.Text(PlaceSeverity); text != "" {
		list[0] = fact{"Severity", sentenceStart(o.clean(firstLine(text))) + " (gameday proposed " + proposal + ")", human}
	}
	text, line := people.at(PlaceActions)
	var open, done int
	for _, item := range actionItems(text, line) {
		switch {
		case item.Done:
			done++
		case !item.Proposed:
			open++
		}
	}
	switch proposals := len(o.proposals()); {
	case open+done > 0:
		list = append(list, fact{"Action items", fmt.Sprintf("%d open, %d done", open, done), human})
	case proposals > 0:
		list = append(list, fact{"Action items", plural(proposals, "proposal") + " that nobody has taken yet", proposed})
	}
	return list
}

// firstLine is the first line of a text with something on it, without its markup.
func firstLine(text string) string {
	for line := range strings.Lines(text) {
		line = strings.TrimLeft(strings.TrimSpace(line), "#>-+ \t")
		if line = plain(emphasis.Replace(strings.TrimPrefix(line, "* "))); line != "" {
			return line
		}
	}
	return ""
}

var emphasis = strings.NewReplacer("**", "", "__", "", "`", "")

func (o outliner) severityBlocks(people *Document) []block {
	level, why := o.proposeSeverity()
	proposal := "none"
	if level > 0 {
		proposal = fmt.Sprintf("SEV%d", level)
	}
	one := wantedPlace(people, PlaceSeverity, "Severity")
	one.Place.Note = "Proposed: " + proposal + ", because " + closed(why) + " Loss of data or a breach of security would be SEV1, and is not measured."
	return []block{one}
}
