package console

import (
	"math"
	"strings"
	"time"

	"github.com/gameday-sh/gameday/experiments"
)

var blocks = []rune("▁▂▃▄▅▆▇█")

// Marks of a sparkline for what has no height.
const (
	failedMark = "×" // a measurement came out bad
	blindMark  = "?" // nothing could be read
)

// spark draws the newest points of a track, one a cell, the newest at the right
// end. What it draws follows the hypothesis: values in the probe's own unit, the
// share of bad events of an SLO, else the latency. Heights are linear from zero to
// the highest point drawn or the limit, whichever is more.
func spark(t *track, j experiments.Judgement, width int, p palette) string {
	if t == nil || width <= 0 {
		return strings.Repeat(" ", max(width, 0))
	}
	points := t.points[max(len(t.points)-width, 0):]
	limit := math.NaN()
	read := func(pt point) float64 { return pt.latency }
	switch {
	case j.Unit == "s":
		limit = float64(j.Limit)
	case j.Unit != "ratio":
		limit = float64(j.Limit)
		read = func(pt point) float64 {
			if math.IsNaN(pt.value) {
				return pt.latency
			}
			return pt.value
		}
	}
	if counted(points) {
		limit = 1 - float64(j.Limit)
		read = func(pt point) float64 { return pt.bad }
	}
	top := 0.0
	for _, pt := range points {
		if v := read(pt); !math.IsInf(v, 0) {
			top = larger(v, top)
		}
	}
	if limit > top && !math.IsInf(limit, 0) {
		top = limit
	}
	var line strings.Builder
	line.WriteString(strings.Repeat(" ", width-len(points)))
	for _, pt := range points {
		v := read(pt)
		switch {
		case pt.failed:
			line.WriteString(p.bad(failedMark))
		case pt.blind || math.IsNaN(v):
			line.WriteString(p.warn(blindMark))
		case v > limit && j.Verdict != experiments.Held:
			line.WriteString(p.warn(block(v, top)))
		default:
			line.WriteString(block(v, top))
		}
	}
	return line.String()
}

func counted(points []point) bool {
	for _, pt := range points {
		if !math.IsNaN(pt.bad) {
			return true
		}
	}
	return false
}

func block(v, top float64) string {
	if top <= 0 || v <= 0 {
		return string(blocks[0])
	}
	at := int(min(v/top, 1) * float64(len(blocks)))
	return string(blocks[min(at, len(blocks)-1)])
}

// gauge draws how much of a limit is used, 0 to 1.
func gauge(used float64, width int) (full, empty string) {
	if math.IsNaN(used) {
		used = 0
	}
	cells := int(math.Round(min(max(used, 0), 1) * float64(width)))
	if cells == width && used < 1 {
		cells-- // full means the limit is reached
	}
	return strings.Repeat("█", max(cells, 0)), strings.Repeat("░", max(width-cells, 0))
}

// span is the stretch of time that the bars of hits are drawn on.
type span struct{ from, to time.Time }

// spanOf reaches from the start of the disruption to now, or to the planned end of
// the last hit. It is empty before the disruption.
func spanOf(hits []*liveHit, disrupted, now time.Time) span {
	s := span{disrupted, disrupted}
	if disrupted.IsZero() {
		return s
	}
	for _, hit := range hits {
		_, end, planned := hit.times(disrupted, now)
		for _, t := range []time.Time{end, planned} {
			if t.After(s.to) {
				s.to = t
			}
		}
	}
	if !s.to.After(s.from) {
		s.to = s.from.Add(time.Second)
	}
	return s
}

// times says when the harm of a hit began, up to when it was there, and up to when
// it will be by the plan.
func (h *liveHit) times(disrupted, now time.Time) (from, end, planned time.Time) {
	switch {
	case h.injected.IsZero():
		from = disrupted.Add(h.at)
		return from, from, from.Add(h.lasts)
	case !h.verified.IsZero():
		return h.injected, h.verified, h.verified
	}
	return h.injected, now, h.injected.Add(h.lasts)
}

// bar draws a hit on the span: done is the stretch in which its harm was there,
// ahead what is planned still. Before comes what is left blank.
func (s span) bar(hit *liveHit, now time.Time, width int) (before, done, ahead, after string) {
	if s.from.IsZero() || width <= 0 {
		return strings.Repeat(" ", max(width, 0)), "", "", ""
	}
	cell := func(t time.Time) int {
		share := float64(t.Sub(s.from)) / float64(s.to.Sub(s.from))
		return min(max(int(math.Round(share*float64(width))), 0), width)
	}
	began, end, planned := hit.times(s.from, now)
	from := min(cell(began), width-1)
	to := from
	if !hit.injected.IsZero() {
		to = max(cell(end), from+1) // whatever happened is seen
	}
	last := max(cell(planned), to, from+1)
	return strings.Repeat(" ", from), strings.Repeat("█", to-from), strings.Repeat("░", last-to), strings.Repeat(" ", width-last)
}
