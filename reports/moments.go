package reports

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/gameday-sh/gameday/experiments"
)

// momentRow is a line of the timeline. Source tells what it comes from: the runner, a
// fault, a hypothesis, a guard, a probe, or a person.
type momentRow struct {
	Clock, Offset, Source, Text string
	Mark                        mark
	// Gap marks the line that stands for those left out.
	Gap bool
}

// moment is a line that is put into words only if it is shown: a long run has far
// more of them than a page.
type moment struct {
	at  time.Time
	say func() (source, text string)
}

// moments merges everything that a result dates into one timeline. Of what happened at
// the same time, causes come before what they led to.
func (o outliner) moments() []momentRow {
	list := slices.Concat(o.stopMoments(), o.phaseMoments(), o.hitMoments(), o.mendedMoments(), o.hypothesisMoments(), o.gapMoments(), o.toldMoments())
	slices.SortStableFunc(list, func(a, b moment) int { return a.at.Compare(b.at) })
	limit := 2 * o.d.rows
	head := len(list)
	if len(list) > limit {
		head = limit * 2 / 3
	}
	rows := make([]momentRow, 0, min(len(list), limit+1))
	for i, m := range list {
		if i == head && len(list) > limit {
			rows = append(rows, momentRow{Gap: true, Text: plural(len(list)-limit, "more moment") + " in result.json"})
		}
		if i >= head && i < len(list)-(limit-head) {
			continue
		}
		row := momentRow{Clock: sayClock(m.at, o.r.Began)}
		if !m.at.IsZero() {
			row.Offset = o.offset(m.at)
		}
		row.Source, row.Text = m.say()
		row.Mark = sourceMark(row.Source)
		rows = append(rows, row)
	}
	return rows
}

// sourceMark tells where a line of the timeline comes from: what a person noted, what was
// worked out of measurements, or what was read.
func sourceMark(source string) mark {
	switch {
	case source == "person":
		return human
	case strings.HasPrefix(source, "hypothesis "), strings.HasPrefix(source, "guard "):
		return derived
	}
	return measured
}

func told(at time.Time, source, text string) moment {
	return moment{at, func() (string, string) { return source, text }}
}

// phaseText says what begins with a phase. Those that are left out take no time that
// anyone asks about.
var phaseText = map[experiments.Phase]string{
	experiments.PhaseBaseline: "Baseline: the untouched system is watched",
	experiments.PhaseDisrupt:  "Disruption: the faults begin by their timetable",
	experiments.PhaseRevert:   "Revert: whatever is still broken is mended",
	experiments.PhaseRecover:  "Recovery: waiting until every hypothesis holds again",
}

func (o outliner) phaseMoments() []moment {
	list := []moment{told(o.r.Began, "runner", "The run began")}
	for _, span := range o.r.Phases {
		if text := phaseText[span.Phase]; text != "" {
			list = append(list, told(span.From, "runner", text))
		}
	}
	return list
}

func (o outliner) hitMoments() []moment {
	list := make([]moment, 0, 2*len(o.r.Hits)) // an injection and a mending of each
	for i := range o.r.Hits {
		h := &o.r.Hits[i]
		add := func(at time.Time, before, target, effect, read string) {
			list = append(list, moment{at, func() (string, string) {
				text := before + o.clean(target)
				if effect != "" {
					text += ": " + o.clean(effect)
				}
				if read != "" {
					text += " (read back: " + o.clean(read) + ")"
				}
				return "fault " + o.clean(h.Fault), text
			}})
		}
		if !h.Injected.IsZero() {
			add(h.Injected, "Injected into ", h.Target, h.Effect, h.Proof)
		}
		for j := range h.Findings {
			f := &h.Findings[j]
			list = append(list, moment{foundAt(h, f), func() (string, string) {
				return cmp.Or(o.clean(f.Source), "fault "+o.clean(h.Fault)), o.clean(f.Text) + ", " + sayDuration(f.After) + " after the hit"
			}})
		}
		for _, step := range h.Steps {
			if step.Step == experiments.Failed {
				add(step.At, "Not injected into ", h.Target, cmp.Or(h.Error, "its effect was not read back"), "")
			}
		}
		switch {
		case mended(h) && !h.Verified.IsZero() && h.State == experiments.Superseded:
			add(h.Verified, "Gone, since someone else changed it: ", h.Target, "", h.Mended)
		case mended(h) && !h.Verified.IsZero():
			add(h.Verified, "Mended: ", h.Target, "", h.Mended)
		case h.Step == experiments.Stuck && len(h.Steps) > 0:
			add(h.Steps[len(h.Steps)-1].At, "Not proven mended: ", h.Target, h.Error, "")
		}
	}
	return list
}

// foundAt is when something was found out about a hit.
func foundAt(h *experiments.HitResult, f *experiments.Finding) time.Time {
	return cmp.Or(f.At, h.Injected.Add(f.After))
}

func (o outliner) hypothesisMoments() []moment {
	var list []moment
	for i := range o.r.Hypotheses {
		h := &o.r.Hypotheses[i]
		for _, j := range []*experiments.Judgement{h.Before, h.During, h.Recovery} {
			if j == nil {
				continue
			}
			list = append(list, moment{j.To, func() (string, string) {
				text := map[experiments.Phase]string{
					experiments.PhaseBaseline: "Before the faults: ",
					experiments.PhaseDisrupt:  "While faults were on: ",
					experiments.PhaseRecover:  "After the faults: ",
				}[j.Phase] + string(j.Verdict)
				if j == h.During && h.MayBreak && j.Verdict != experiments.Held {
					text += ", as it may be while faults are on"
				}
				return "hypothesis " + o.clean(h.Name), text + ": " + o.clean(j.Text)
			}})
		}
	}
	return list
}

// mostGaps is how many stretches without data a series adds to the timeline.
const mostGaps = 20

// gapMoments tells when something could not be read. That a window is still too short
// at the beginning is expected and no event.
func (o outliner) gapMoments() []moment {
	var list []moment
	for _, s := range o.r.Series {
		if s == nil {
			continue
		}
		count := 0
		for i := range s.Gaps {
			gap := &s.Gaps[i]
			if gap.Condition == experiments.TooEarly || !gap.From.Known() {
				continue
			}
			if count++; count > mostGaps {
				break
			}
			at := o.r.Began.Add(time.Duration(float64(gap.From) * float64(time.Second)))
			list = append(list, moment{at, func() (string, string) {
				text := "Not readable: " + o.clean(string(gap.Condition))
				if gap.Why != "" {
					text += " (" + o.clean(gap.Why) + ")"
				}
				if gap.To > gap.From {
					text += ", for " + sayDuration(time.Duration(float64(gap.To-gap.From)*float64(time.Second)))
				}
				return "measurement " + o.clean(s.Name), text
			}})
		}
	}
	return list
}

func (o outliner) stopMoments() []moment {
	stop := o.r.Stop
	if stop == nil {
		return nil
	}
	source := "stop request"
	if stop.Guard != "" {
		source = "guard " + o.clean(stop.Guard)
	}
	return []moment{told(stop.Breach, source, "Stopped the run: "+o.clean(stop.Cause))}
}

// mendedMoments tells when the last proof was there, if all are.
func (o outliner) mendedMoments() []moment {
	var last time.Time
	for i := range o.r.Hits {
		h := &o.r.Hits[i]
		if h.Begun() && !mended(h) {
			return nil
		}
		last = later(last, h.Verified)
	}
	if last.IsZero() {
		return nil
	}
	return []moment{told(last, "runner", "Everything that was broken is proven mended")}
}

// toldMoments are the moments that the run itself wrote down, as far as they are not
// told above, with more words, from what it measured.
func (o outliner) toldMoments() []moment {
	var list []moment
	for i := range o.r.Timeline {
		m := &o.r.Timeline[i]
		source := cmp.Or(o.clean(m.Kind), "runner")
		switch m.Kind {
		case "fault":
			if len(o.r.Hits) > 0 {
				continue
			}
		case "hypothesis":
			if len(o.r.Hypotheses) > 0 {
				continue
			}
		case "stop":
			if o.r.Stop != nil {
				continue
			}
		case "phase":
			if len(o.r.Phases) > 0 {
				continue
			}
			source = "runner"
		case "error":
			source = "runner"
		case "note":
			source = "person"
		}
		list = append(list, moment{m.At, func() (string, string) { return source, o.clean(m.Text) }})
	}
	return append(list, told(o.ended(), "runner", "Verdict: "+string(o.r.Verdict)))
}
