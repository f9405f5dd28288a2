package reports

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gameday-sh/gameday/experiments"
)

// sections is the report after its first screen, in the order in which it is read.
func (o outliner) sections(people *Document) []section {
	return []section{
		{"summary", "Summary", "", []block{{Facts: slices.Concat(o.summary(), o.decided(people))}, {Picture: "timeline"}, {About: o.facts()}}},
		{"hypotheses", "Hypotheses", "", o.hypothesisSection()},
		{"measured", "What was measured", "", []block{{Picture: "charts"}}},
		{"scope", "Scope and blast radius", "", o.scopeSection()},
		{"method", "Method and proof", "", o.methodSection()},
		{"timeline", "Timeline", "", o.timelineSection()},
		{"impact", "Impact", "", o.impactSection(people)},
		{"detection", "Detection", "", o.detectionSection(people)},
		{"response", "Response and recovery", "", o.responseSection(people)},
		{"told", "Who was told", "", o.toldSection()},
		{"root-cause", "Root cause", human, []block{wantedPlace(people, PlaceCause, "")}},
		{"well", "What held", "", []block{bullets(items(o.well(), derived), nothingWell), wantedPlace(people, PlaceWell, "What went well")}},
		{"wrong", "What did not hold", "", []block{bullets(items(o.wrong(), derived), nothingWrong), wantedPlace(people, PlaceWrong, "What went wrong")}},
		{"surprises", "Surprises and luck", "", []block{bullets(items(o.surprises(), derived), "Nothing that was measured stands out."), wantedPlace(people, PlaceSurprises, "What surprised people")}},
		{"actions", "Action items", human, o.actionSection(people)},
		{"lessons", "Lessons learned", human, []block{wantedPlace(people, PlaceLessons, "")}},
		{"prevention", "Prevention", human, []block{wantedPlace(people, PlacePrevent, "")}},
		{"evidence", "Limits of the evidence", "", []block{bullets(items(o.evidence(), derived), "")}},
		{"again", "Run it again", "", o.againSection()},
	}
}

func (o outliner) hypothesisSection() []block {
	t := &sheet{
		Caption: "Hypotheses, and what they came to before, during and after the faults",
		Columns: []heading{{"Hypothesis", declared}, {"Before", measured}, {"During", measured}, {"Recovery", measured}, {"Verdict", derived}},
		None:    noHypotheses,
	}
	for _, h := range o.hypotheses() {
		t.Rows = append(t.Rows, []cell{{Value: h.Name, Detail: h.Statement}, h.Before, h.During, h.Recovery, {Value: h.Verdict, Class: h.Class, Pill: true}})
	}
	return []block{{Table: t}}
}

// scopeSection sets what was planned against what came of it.
func (o outliner) scopeSection() []block {
	t := &sheet{
		Caption: "Faults: what was planned, and what came of it",
		Columns: []heading{{"Fault", declared}, {"Planned", declared}, {"Actual", measured}},
		None:    noFaults,
	}
	for i, f := range o.faults() {
		t.Rows = append(t.Rows, []cell{{Value: f.Name, Detail: f.Kind, Letter: f.Letter}, {Value: f.Planned, Detail: f.Schedule}, {Value: f.Outcome, Detail: o.lasted(&o.r.Faults[i])}})
	}
	if left := len(o.r.Faults) - len(t.Rows); left > 0 {
		t.More = plural(left, "more fault") + " in result.json."
	}
	blocks := []block{{Table: t}}
	if len(o.r.Hits) > 0 {
		blocks = append(blocks, block{Facts: o.radius()})
	}
	return blocks
}

// radius is how far the harm reached, and what kept it from reaching further.
func (o outliner) radius() []fact {
	reached := map[string]bool{}
	bounds := map[string]experiments.Allowance{}
	var order []string
	planned := map[string]bool{}
	for i := range o.r.Hits {
		h := &o.r.Hits[i]
		if h.Step == experiments.Dropped {
			continue
		}
		planned[h.Target] = true
		if h.Begun() {
			reached[h.Target] = true
		}
		for _, a := range h.Takes {
			if _, known := bounds[a.Of]; !known {
				order = append(order, a.Of)
			}
			bounds[a.Of] = a
		}
	}
	list := []fact{
		{"Targets", fmt.Sprintf("%d planned, %d reached", len(planned), len(reached)), measured},
		{"At most at once", plural(o.atOnce(), "hit") + " in the world", derived},
	}
	for i, of := range order {
		if i == mostNamed {
			list = append(list, fact{"More bounds", strconv.Itoa(len(order) - mostNamed), declared})
			break
		}
		a := bounds[of]
		text := fmt.Sprintf("at most %d at once", a.Allows)
		if a.Why != "" {
			text += ": " + o.clean(a.Why)
		}
		list = append(list, fact{sentenceStart(o.clean(of)), text, measured})
	}
	return list
}

// atOnce is how many hits were in the world together at most, from the injection to the
// proof that nothing is left. What is not proven mended stays to the end.
func (o outliner) atOnce() int {
	var begins, ends []time.Time
	for i := range o.r.Hits {
		h := &o.r.Hits[i]
		if h.Injected.IsZero() {
			continue
		}
		begins = append(begins, h.Injected)
		if !h.Verified.IsZero() {
			ends = append(ends, h.Verified)
		}
	}
	slices.SortFunc(begins, time.Time.Compare)
	slices.SortFunc(ends, time.Time.Compare)
	most, over := 0, 0
	for i, begin := range begins {
		for over < len(ends) && !ends[over].After(begin) {
			over++
		}
		most = max(most, i+1-over)
	}
	return most
}

// lasted is how long a fault was in the world, against what was planned.
func (o outliner) lasted(f *experiments.FaultResult) string {
	var from, to time.Time
	for i := range o.r.Hits {
		h := &o.r.Hits[i]
		if h.Fault != f.Name || h.Injected.IsZero() {
			continue
		}
		if from.IsZero() || h.Injected.Before(from) {
			from = h.Injected
		}
		if h.Verified.IsZero() {
			return "from " + o.offset(from) + ", end not proven"
		}
		to = later(to, h.Verified)
	}
	if from.IsZero() {
		return ""
	}
	return fmt.Sprintf("in the world from %s to %s: %s", o.offset(from), o.offset(to), sayDuration(to.Sub(from)))
}

func (o outliner) methodSection() []block {
	var phases []string
	for _, span := range o.r.Phases {
		text := string(span.Phase)
		if span.To.After(span.From) {
			text += " " + sayDuration(span.To.Sub(span.From))
		}
		phases = append(phases, text)
	}
	blocks := paragraphs("A fault counts as injected when its effect was read back from the target, and as mended when the target was read again and matches what stood before.")
	if len(phases) > 0 {
		blocks = append(blocks, block{Facts: []fact{{"Phases", o.clean(strings.Join(phases, ", ")), measured}}})
	}
	if len(o.r.Faults)+len(o.r.Hits) == 0 {
		return blocks
	}
	t := &sheet{
		Caption: "Hits, one for each target of a fault, with the proof of their effect and of their end",
		Columns: []heading{{"Target", declared}, {"Injected", measured}, {"Mended", measured}, {"Now", measured}},
		None:    "Nothing was hit.",
	}
	rows, left := o.hits()
	for _, h := range rows {
		now := cell{Value: h.Status, Class: h.Class, Pill: true, Detail: join(h.Error, h.Found)}
		t.Rows = append(t.Rows, []cell{{Value: h.Target, Detail: h.Effect, Letter: h.Letter}, {Value: dash(h.Injected), Detail: h.Proof}, {Value: dash(h.Mended), Detail: h.MendedProof}, now})
	}
	if left > 0 {
		t.More = plural(left, "more hit") + " in result.json."
	}
	return append(blocks, block{Table: t})
}

func (o outliner) timelineSection() []block {
	t := &sheet{
		Caption: "Timeline of the run", Class: "moments",
		Columns: []heading{{"Time (UTC)", ""}, {"+", ""}, {"Source", ""}, {"Event", ""}},
		None:    "Nothing was recorded.",
	}
	for _, m := range o.moments() {
		t.Rows = append(t.Rows, []cell{{Value: m.Clock, Gap: m.Gap}, {Value: m.Offset}, {Value: m.Source, Mark: m.Mark}, {Value: m.Text}})
	}
	var blocks []block
	if len(t.Rows) > 0 {
		blocks = append(blocks, block{Text: "Times are UTC; + is the time since the run began, in minutes and seconds. Source is what the line comes from."})
	}
	return append(blocks, block{Table: t})
}

func (o outliner) impactSection(people *Document) []block {
	var blocks []block
	if budgets := o.budgets(); len(budgets) > 0 {
		blocks = append(blocks, block{Budgets: budgets})
	} else {
		blocks = append(blocks, block{Text: "The scenario has no SLO, so no error budget was counted."})
	}
	if journeys := o.journeys(); len(journeys) > 0 {
		var facts []fact
		for _, j := range journeys {
			facts = append(facts, fact{j.Name + " (" + j.Criticality + ")", j.Words, measured})
		}
		blocks = append(blocks, block{Facts: facts})
	}
	blocks = append(blocks, o.severityBlocks(people)...)
	return append(blocks, wantedPlace(people, PlaceUsers, "Users affected"), wantedPlace(people, PlaceBusiness, "Business impact"))
}

func (o outliner) againSection() []block {
	again := o.rerun()
	blocks := paragraphs(sameSeed, again.Where)
	blocks = append(blocks, block{Commands: again.Commands})
	blocks = append(blocks, paragraphs(again.Notes...)...)
	return append(blocks, block{Facts: []fact{
		{"Scenario digest", cmp.Or(o.clean(o.r.Digest), "unknown"), derived},
		{"Seed", strconv.FormatUint(o.r.Seed, 10), declared},
		{"gameday", cmp.Or(o.clean(o.r.Version), "of unknown version"), declared},
	}})
}

func sentenceStart(text string) string { return strings.TrimSuffix(sentence(text), ".") }
