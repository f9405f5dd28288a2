package reports

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/gameday-sh/gameday/experiments"
)

// lane is a line of the timeline picture: a fault with a row for each target, or all that
// is of one sort.
type lane struct {
	Letter, Name string
	Y, High      int // of its top, and of all of it, in pixels
	Rows         []laneRow
}

// laneRow is a row of a lane: what lasted, and what happened at a moment.
type laneRow struct {
	Y     int // of its middle, from the top of the lane
	Bars  []band
	Signs []sign
}

// sign is a moment. Shape is path data around the moment, and Class says of what sort.
type sign struct{ X, Class, Shape, Label string }

// key says what a sign means.
type key struct{ Class, Shape, Text string }

// The timeline picture in pixels, as style.css sets its text.
const (
	ganttTop  = 34
	laneName  = 23 // from the top of a lane to the middle of its first row
	rowHigh   = 13
	laneFoot  = 15 // from the middle of its last row to its end
	mostLanes = 16
	mostRows  = 6 // targets of a fault that have rows of their own
	mostSigns = 60
)

// signs are the sorts of moments: those of which a picture has one are explained below it.
// Of those at the same place, the later in this list is drawn over the earlier.
var signs = []key{
	{"hit", "M-1.5-8h3v16h-3z", "a hit that is over at once"},
	{"event", "M0-5.5a5.5 5.5 0 1 0 .01 0z", "an event that others told"},
	{"found", "M0-3.2a3.2 3.2 0 1 0 .01 0z", "what became of a target"},
	{"trip", "M0-7 7 0 0 7-7 0z", "a guard stopped the run"},
	{"near", "M0-6 6 0 0 6-6 0z", "a guard was closest to its limit"},
	{"unheld", "M-7-3h14v6h-14z", "a hypothesis did not hold"}, // a bar
	{"whole", "M-5 0-1.5 4 5-5", "a hypothesis held again"},
	{"note", "M-4.5-4.5h9v9h-9z", "a note"},
}

func newSign(class, x, label string) sign {
	return sign{X: x, Class: class, Shape: signs[layer(class)].Shape, Label: label}
}

func layer(class string) int {
	return slices.IndexFunc(signs, func(k key) bool { return k.Class == class })
}

func (o outliner) gantt(g stage) gantt {
	picture := gantt{Phases: g.phases, Ticks: g.ticks, Stop: g.stop, Mended: g.mended}
	var said []string
	for _, span := range o.r.Phases[:min(len(o.r.Phases), 20)] {
		said = append(said, string(span.Phase)+" from "+clock(o.since(span.From)))
	}
	sc := scale{to: g.seconds}
	y := ganttTop
	add := func(l lane) {
		l.Y, l.High = y, laneName+laneFoot+rowHigh*(len(l.Rows)-1)
		for i := range l.Rows {
			l.Rows[i].Y = laneName + i*rowHigh
			l.Rows[i].Signs = apart(l.Rows[i].Signs)
		}
		y += l.High
		picture.Lanes = append(picture.Lanes, l)
		text := l.Name
		if l.Letter != "" {
			text = "fault " + l.Letter + " " + l.Name
		}
		if count := l.signs(); count > 0 {
			text += " with " + plural(count, "moment")
		}
		said = append(said, text)
	}
	for i := range o.r.Faults[:min(len(o.r.Faults), mostLanes)] {
		add(o.faultLane(i, sc))
	}
	picture.LeftOut = len(o.r.Faults) - len(picture.Lanes)
	for _, l := range []lane{o.hypothesisLane(sc), o.guardLane(sc), o.noteLane(sc), o.unreadLane(sc)} {
		if len(l.Rows[0].Bars)+len(l.Rows[0].Signs) > 0 {
			add(l)
		}
	}
	for _, k := range signs {
		if slices.ContainsFunc(picture.Lanes, func(l lane) bool { return l.has(k.Class) }) {
			picture.Keys = append(picture.Keys, k)
		}
	}
	picture.Height = y
	picture.Total = picture.Height + 26
	if o.r.Stop != nil {
		picture.Stopped = "stopped at " + clock(o.since(o.r.Stop.Breach))
		if took := o.r.Stop.Took(); took > 0 {
			picture.Stopped += ", everything mended " + sayDuration(took) + " later"
		}
		said = append(said, picture.Stopped)
	}
	picture.Desc = clean(strings.Join(said, "; "), 2*o.d.text) + ". The section Timeline tells each moment."
	return picture
}

func (l lane) has(class string) bool {
	return slices.ContainsFunc(l.Rows, func(r laneRow) bool {
		return slices.ContainsFunc(r.Signs, func(s sign) bool { return s.Class == class }) ||
			slices.ContainsFunc(r.Bars, func(b band) bool { return b.Class == class })
	})
}

func (l lane) signs() (count int) {
	for _, r := range l.Rows {
		count += len(r.Signs)
	}
	return count
}

// apart leaves out signs of a sort that stand where one before stands.
func apart(list []sign) []sign {
	seen := map[string]bool{}
	list = slices.DeleteFunc(list, func(s sign) bool {
		at := s.Class + s.X[:strings.IndexAny(s.X+".", ".%")]
		double := seen[at] || len(seen) >= mostSigns
		seen[at] = true
		return double
	})
	slices.SortStableFunc(list, func(a, b sign) int { return cmp.Compare(layer(a.Class), layer(b.Class)) })
	return list
}

// faultLane has a row for each target of a fault, or one for all where they are many.
func (o outliner) faultLane(i int, sc scale) lane {
	f := &o.r.Faults[i]
	l := lane{Letter: letter(i), Name: clean(f.Name, 60)}
	var targets []string
	for j := range o.r.Hits {
		if h := &o.r.Hits[j]; h.Fault == f.Name && !h.Injected.IsZero() && !slices.Contains(targets, h.Target) {
			if targets = append(targets, h.Target); len(targets) > mostRows {
				break
			}
		}
	}
	switch {
	case len(targets) == 0:
		l.Name += " (no hit took effect)"
		targets = []string{""}
	case len(targets) == 1:
		l.Name += ": " + clean(targets[0], 60)
	case len(targets) <= mostRows:
		l.Name += fmt.Sprintf(": %d targets, a row each", len(targets))
	default:
		l.Name += ": many targets in one row"
		targets = []string{""}
	}
	for _, target := range targets {
		of := func(h *experiments.HitResult) bool { return h.Fault == f.Name && (target == "" || h.Target == target) }
		bars, marks := o.spans(of, sc)
		row := laneRow{Bars: bars}
		for k := range row.Bars {
			row.Bars[k].Label, row.Bars[k].Class = clean(target, 80), "bar"
		}
		for _, mark := range marks {
			row.Signs = append(row.Signs, newSign("hit", mark.X, clean(target, 80)))
		}
		for j := range o.r.Hits {
			h := &o.r.Hits[j]
			if !of(h) {
				continue
			}
			for k := range h.Findings {
				found, class := &h.Findings[k], "found"
				if found.Source != "" {
					class = "event"
				}
				if at := foundAt(h, found); !at.IsZero() && len(row.Signs) < 20*mostSigns {
					row.Signs = append(row.Signs, newSign(class, sc.percent(o.since(at)), clean(found.Text, 120)+", "+sayDuration(found.After)+" after the hit"))
				}
			}
		}
		l.Rows = append(l.Rows, row)
	}
	return l
}

// hypothesisLane shows over which stretch a hypothesis was judged not to hold, and when it held again.
func (o outliner) hypothesisLane(sc scale) lane {
	var row laneRow
	var mended time.Time
	for i := range o.r.Hits {
		mended = later(mended, o.r.Hits[i].Verified)
	}
	for i := range o.r.Hypotheses {
		h := &o.r.Hypotheses[i]
		broke := false
		for _, j := range []*experiments.Judgement{h.Before, h.During, h.Recovery} {
			if j == nil {
				continue
			}
			switch {
			case j.Verdict == experiments.Refuted:
				broke = true
				b := sc.band(o.since(j.From), o.since(j.To))
				b.Class, b.Label = "unheld", quoted(clean(h.Name, 80))+" did not hold: "+clean(j.Text, 120)
				row.Bars = append(row.Bars, b)
			case j == h.Recovery && broke && j.Verdict == experiments.Held:
				// It was watched for longer, to show that it goes on holding.
				at := j.To
				if !mended.IsZero() {
					at = mended.Add(h.RecoveredAfter)
				}
				x := sc.percent(o.since(at))
				row.Signs = append(row.Signs, newSign("whole", x, quoted(clean(h.Name, 80))+" held again: "+clean(j.Text, 120)))
			}
		}
	}
	return lane{Name: "Hypotheses", Rows: []laneRow{row}}
}

// nearly is the share of its limit from which on a guard's closest moment is shown.
const nearly = 0.5

func (o outliner) guardLane(sc scale) lane {
	var row laneRow
	for i := range o.r.Guards {
		g := &o.r.Guards[i]
		if g.WorstAt.IsZero() || g.Worst == nil {
			continue
		}
		label := quoted(clean(g.Name, 80)) + ": " + clean(g.Worst.Text, 120)
		switch x := sc.percent(o.since(g.WorstAt)); {
		case g.Tripped:
			row.Signs = append(row.Signs, newSign("trip", x, label))
		case float64(g.Worst.Used) >= nearly && !math.IsInf(float64(g.Worst.Used), 0):
			row.Signs = append(row.Signs, newSign("near", x, label))
		}
	}
	return lane{Name: "Guards", Rows: []laneRow{row}}
}

func (o outliner) noteLane(sc scale) lane {
	var row laneRow
	for i := range o.r.Timeline {
		if m := &o.r.Timeline[i]; m.Kind == "note" && len(row.Signs) < 20*mostSigns {
			row.Signs = append(row.Signs, newSign("note", sc.percent(o.since(m.At)), clean(m.Text, 120)))
		}
	}
	return lane{Name: "Notes", Rows: []laneRow{row}}
}

// leastGap is the share of the width that a gap is drawn with at least: less of its
// hatching cannot be seen.
const leastGap = 0.006

// unreadLane shows when something could not be read, whichever series.
func (o outliner) unreadLane(sc scale) lane {
	var row laneRow
	for _, s := range o.r.Series {
		if s == nil {
			continue
		}
		count := 0
		for i := range s.Gaps {
			gap := &s.Gaps[i]
			if gap.Condition == experiments.TooEarly || !gap.From.Known() || !gap.To.Known() || count >= mostGaps {
				continue
			}
			count++
			from := float64(gap.From)
			b := sc.band(from, max(float64(gap.To), from+leastGap*(sc.to-sc.from)))
			b.Class, b.Label = "gap", clean(s.Name, 80)+": "+clean(string(gap.Condition), 40)
			row.Bars = append(row.Bars, b)
		}
	}
	row.Bars = joined(row.Bars)
	return lane{Name: "Not readable", Rows: []laneRow{row}}
}
