package reports

import (
	"time"

	"github.com/gameday-sh/gameday/experiments"
)

// stage is what every picture of a run shows: its length, its phases, when each
// fault was on, and when it was stopped.
type stage struct {
	seconds float64
	phases  []band
	windows []band // faults that last
	marks   []band // faults that are over at once
	ticks   []tick
	stop    string
	mended  string
}

// gantt is the timeline picture: phases on top, a lane a fault, and lanes for what was
// not a fault.
type gantt struct {
	Phases []band
	Lanes  []lane
	Ticks  []tick
	Stop   string
	// Stopped says what the stop marker means; Mended is where the last revert was
	// proven.
	Stopped string
	Mended  string
	Height  int // of the lanes, in pixels
	Total   int
	Desc    string
	LeftOut int
	Keys    []key // what the signs in it mean
}

func (o outliner) stage(series []track) stage {
	r := o.r
	seconds := o.ended().Sub(r.Began).Seconds()
	for _, m := range series {
		if m.last > seconds {
			seconds = m.last
		}
	}
	if !(seconds > 0) {
		seconds = 1
	}
	sc := scale{to: seconds}
	g := stage{seconds: seconds, ticks: timeTicks(sc)}
	for _, span := range r.Phases[:min(len(r.Phases), 20)] {
		to := span.To
		if to.IsZero() {
			to = o.ended()
		}
		b := sc.band(o.since(span.From), o.since(to))
		b.Label, b.Class = o.clean(string(span.Phase)), phaseClass(span.Phase)
		share := max(to.Sub(span.From).Seconds(), 0) / seconds
		if float64(len(b.Label))*7.5 > share*700 {
			b.Label = ""
		} else if float64(len(b.Label))*7.5 > share*300 {
			b.Class += " wide" // no room for its name on a phone
		}
		g.phases = append(g.phases, b)
	}
	for i := range r.Faults[:min(len(r.Faults), mostLanes)] {
		name := r.Faults[i].Name
		bars, marks := o.spans(func(h *experiments.HitResult) bool { return h.Fault == name }, sc)
		for j := range bars {
			bars[j].Label = letter(i)
		}
		g.windows = append(g.windows, bars...)
		for j := range marks {
			marks[j].Label = letter(i)
		}
		g.marks = append(g.marks, marks...)
	}
	if r.Stop != nil {
		g.stop = sc.percent(o.since(r.Stop.Breach))
		if !r.Stop.Restored.IsZero() {
			g.mended = sc.percent(o.since(r.Stop.Restored))
		}
	}
	return g
}

func (o outliner) since(at time.Time) float64 {
	if at.IsZero() {
		return 0
	}
	return at.Sub(o.r.Began).Seconds()
}

func phaseClass(p experiments.Phase) string {
	switch p {
	case experiments.PhaseBaseline, experiments.PhaseDisrupt, experiments.PhaseRevert, experiments.PhaseRecover:
		return "phase " + string(p)
	}
	return "phase"
}

// spans gives when hits were in the world: bars for those that last,
// marks for those over at once. What lies closer than can be seen is joined.
func (o outliner) spans(of func(*experiments.HitResult) bool, sc scale) (bars, marks []band) {
	from, to := 0.0, -1.0
	lastMark := -1.0
	close := (sc.to - sc.from) * 0.003
	flush := func() {
		if to >= from {
			bars = append(bars, sc.band(from, to))
		}
	}
	for i := range o.r.Hits {
		h := &o.r.Hits[i]
		if h.Injected.IsZero() || !of(h) {
			continue
		}
		start := o.since(h.Injected)
		if h.Lasts == 0 {
			if lastMark < 0 || start-lastMark > close {
				marks = append(marks, sc.band(start, start))
				lastMark = start
			}
			continue
		}
		// A hit that was never proven mended may be there to the end.
		end := sc.to
		if !h.Verified.IsZero() {
			end = o.since(h.Verified)
		}
		if to >= from && start <= to+close && start >= from {
			to = max(to, end)
			continue
		}
		flush()
		from, to = start, end
	}
	flush()
	return bars, marks
}
