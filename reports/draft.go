package reports

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/gameday-sh/gameday/experiments"
)

// point is one measurement, or all of a column of pixels.
type point struct {
	at             float64 // seconds
	min, max, mean float64
	cut            bool // nothing could be read just before: no line leads here
}

// draft is what one pass over a series gives a chart.
type draft struct {
	points []point
	// rug is path data of a mark in each column with failures.
	rug            string
	failed, unread int
}

// pace is the usual time between two measurements, 0 for fewer than two.
func pace(m track) (float64, error) {
	if m.n < 2 {
		return 0, nil
	}
	stride := max(1, m.n/1000)
	var steps []float64
	last := 0.0
	err := m.column(columnAt, func(i int, at float64) {
		if i > 0 && (i-1)%stride == 0 {
			steps = append(steps, at-last)
		}
		last = at
	})
	slices.Sort(steps)
	if err != nil || len(steps) == 0 {
		return 0, err
	}
	return steps[len(steps)/2], nil
}

// survey makes at most about columns points of a series: the measurements themselves
// where they fit, else the least, the most and the mean of each column. Where nothing
// could be read, or much longer than usual nothing was measured, the line is cut.
func survey(m track, value func(row) float64, step float64, sc scale, columns int) (draft, error) {
	var d draft
	if m.n == 0 || columns < 1 {
		return d, nil
	}
	single := m.n <= 2*columns
	d.points = make([]point, 0, min(m.n, columns+1))
	var marks strings.Builder
	marked, gaps := -1, m.head.Gaps
	gap, cut, last := 0, true, math.Inf(-1)
	column, count, sum := -1, 0, 0.0
	err := m.rows(func(_ int, r row) bool {
		at, v := r[columnAt], value(r)
		if r[columnBad] > 0 && m.head.Kind != "slo" {
			d.failed++
			if here := sc.x(at) * columns / chartWide; here != marked {
				marked = here
				fmt.Fprintf(&marks, "M%d 0v10", sc.x(at))
			}
		}
		if math.IsNaN(v) {
			d.unread++
		}
		if len(d.points) > 4*columns && !single {
			return true // as many breaks as that are no picture any more
		}
		if math.IsNaN(at) || math.IsNaN(v) || math.IsInf(v, 0) {
			cut = true
			return true
		}
		if at-last > 4*step && step > 0 {
			cut = true
		}
		for gap < len(gaps) && float64(gaps[gap].From) < at {
			// Written so that an unknown end counts as a gap.
			if !(float64(gaps[gap].To) <= last) {
				cut = true
			}
			gap++
		}
		last = at
		at = min(max(at, sc.from), sc.to)
		here := min(int((at-sc.from)/(sc.to-sc.from)*float64(columns)), columns-1)
		if single || here != column || cut {
			column, count, sum = here, 0, 0
			d.points = append(d.points, point{at: at, min: v, max: v, cut: cut})
			if !single {
				d.points[len(d.points)-1].at = sc.from + (float64(here)+0.5)/float64(columns)*(sc.to-sc.from)
			}
			cut = false
		}
		count++
		sum += v
		p := &d.points[len(d.points)-1]
		p.min, p.max, p.mean = min(p.min, v), max(p.max, v), sum/float64(count)
		return true
	})
	d.rug = marks.String()
	return d, err
}

// reading gives what a chart shows of a measurement.
type reading struct {
	value func(row) float64 // NaN where nothing could be read
	unit  string
	what  string
	// kinds are the limits that can be drawn on it.
	kinds []experiments.LimitKind
}

func readingOf(m track, r *experiments.Result) reading {
	s := m.head
	if s.Kind == "slo" {
		return reading{unit: "ratio", what: "Share of good events", kinds: []experiments.LimitKind{experiments.GoodRatio}, value: func(r row) float64 {
			if !(r[columnTotal] > 0) {
				return math.NaN()
			}
			return 1 - r[columnBad]/r[columnTotal]
		}}
	}
	values := []experiments.LimitKind{experiments.ValueAtMost, experiments.ValueAtLeast, experiments.ValueKeeps}
	asked := slices.ContainsFunc(r.Hypotheses, func(h experiments.HypothesisResult) bool {
		return h.Series == s.Name && slices.Contains(values, h.Kind)
	}) || slices.ContainsFunc(r.Guards, func(g experiments.GuardResult) bool {
		return g.Bound != nil && g.Bound.Series == s.Name && slices.Contains(values, g.Bound.Kind)
	})
	if m.has[columnValue] && (asked || !m.has[columnLatency]) {
		return reading{unit: s.Unit, what: "Value", kinds: values, value: func(r row) float64 { return r[columnValue] }}
	}
	return reading{unit: "s", what: "Latency", kinds: []experiments.LimitKind{experiments.QuantileAtMost}, value: func(r row) float64 { return r[columnLatency] }}
}
