package experiments

import (
	"math"
	"time"
)

// series gives everything measured in columns.
func (r *runner) series() []*Series {
	var list []*Series
	for _, p := range r.e.Probes {
		list = append(list, probeSeries(p, r.history.Probe(p)))
	}
	for _, s := range r.e.SLOs {
		if s.Probe == nil {
			list = append(list, countSeries(s, r.history))
		} else {
			list = append(list, probedSLOSeries(s, r.history))
		}
	}
	return list
}

func probeSeries(p *Probed, t *Track) *Series {
	n := t.Len()
	series := &Series{
		Name: p.SeriesName(), Kind: "probe", Unit: p.Unit,
		At: make(Floats, 0, n), Latency: make(Floats, 0, n), Bad: make(Floats, 0, n), Total: make(Floats, 0, n),
	}
	values := make(Floats, 0, n)
	valued := false
	for i := range n {
		s := t.At(i)
		at, took, value := offset(t.at[i]), math.NaN(), math.NaN()
		bad, total := math.NaN(), math.NaN()
		series.At = append(series.At, at)
		if s.Condition == OK {
			took = roundTo(s.Took.Seconds(), 1e-6)
		} else {
			series.gap(s.Condition, s.Why)
		}
		if s.Counted && s.Condition == OK {
			bad, total = 1, 1
			if s.Good {
				bad = 0
			}
		}
		if s.HasValue() {
			value, valued = s.Value, true
		}
		series.Latency, values = append(series.Latency, took), append(values, value)
		series.Bad, series.Total = append(series.Bad, bad), append(series.Total, total)
	}
	if valued {
		series.Value = values
	}
	return series
}

// offset is a moment of a run in seconds, cut to whole milliseconds: rounded up, the
// measurement that a phase ended with would be one of the phase after.
func offset(since time.Duration) float64 { return float64(since.Milliseconds()) / 1e3 }

func countSeries(s *SLO, h *History) *Series {
	series := &Series{Name: s.SeriesName(), Kind: "slo", Unit: "ratio", Window: s.chartWindow()}
	for _, c := range h.Counted(s, s.chartWindow()) {
		series.count(c, h.Began)
	}
	return series
}

// probedSLOSeries counts an SLO that rests on a probe over a window that moves
// along the measurements.
func probedSLOSeries(s *SLO, h *History) *Series {
	window := s.chartWindow()
	series := &Series{Name: s.SeriesName(), Kind: "slo", Unit: "ratio", Window: window}
	track := h.Probe(s.Probe)
	if track.Len() == 0 {
		return series
	}
	end := track.At(track.Len() - 1).At
	for at := track.At(0).At.Add(window); !at.After(end); at = at.Add(window / 4) {
		c := track.Count(at.Add(-window), at)
		series.count(c, h.Began)
	}
	return series
}

func (s *Series) count(c Count, began time.Time) {
	at := offset(c.At.Sub(began))
	s.At = append(s.At, at)
	if c.Condition != OK {
		s.Bad, s.Total = append(s.Bad, math.NaN()), append(s.Total, math.NaN())
		s.gap(c.Condition, c.Why)
		return
	}
	s.Bad, s.Total = append(s.Bad, roundTo(c.Bad, 1e-3)), append(s.Total, roundTo(c.Total, 1e-3))
}

// gap notes that nothing could be read at the newest moment of At, joining it to
// the gap that the measurement before was in.
func (s *Series) gap(condition Condition, why string) {
	at := Float(s.At[len(s.At)-1])
	if n := len(s.Gaps); n > 0 && len(s.At) > 1 {
		last := &s.Gaps[n-1]
		if last.Condition == condition && float64(last.To) == s.At[len(s.At)-2] {
			last.To = at
			return
		}
	}
	s.Gaps = append(s.Gaps, Gap{From: at, To: at, Condition: condition, Why: why})
}

func roundTo(v, step float64) float64 {
	// Dividing by the inverse keeps 0.1 from becoming 0.1000000001.
	inverse := math.Round(1 / step)
	return math.Round(v*inverse) / inverse
}
