package reports

import (
	"math"

	"github.com/gameday-sh/gameday/experiments"
)

// sample is a row with what a table of measurements says beside the numbers.
type sample struct {
	row
	phase string
	// condition is why the measurement could not be read; empty where it could.
	condition string
}

// good is how many events were good; NaN where none were counted.
func (s *sample) good() float64 { return s.row[columnTotal] - s.row[columnBad] }

// samples calls use with each measurement of a series, until use wants no more.
func (m track) samples(r *experiments.Result, use func(*sample) bool) error {
	offset := func(span experiments.PhaseSpan) float64 { return span.From.Sub(r.Began).Seconds() }
	next, gap := 0, 0
	var s sample
	return m.rows(func(_ int, numbers row) bool {
		at := numbers[columnAt]
		for next < len(r.Phases) && offset(r.Phases[next]) <= at {
			s.phase = string(r.Phases[next].Phase)
			next++
		}
		s.row, s.condition = numbers, ""
		unread := math.IsNaN(numbers[columnTotal])
		if m.head.Kind != "slo" {
			unread = unread && math.IsNaN(numbers[columnLatency]) && math.IsNaN(numbers[columnValue])
		}
		for gap < len(m.head.Gaps) && float64(m.head.Gaps[gap].To) < at {
			gap++
		}
		if unread {
			s.condition = "unknown"
			if gap < len(m.head.Gaps) && float64(m.head.Gaps[gap].From) <= at {
				s.condition = string(m.head.Gaps[gap].Condition)
			}
		}
		return use(&s)
	})
}
