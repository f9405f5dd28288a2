package guards

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/gameday-sh/gameday/experiments"
)

// GoldenSignals is breached when a golden signal of a service misses its target in
// every reading of a stretch as long as for.
//
// Traffic that is gone is a breach, and no silence: zero requests, and as well a series
// of requests that was read in the baseline and has ended, which is what is left of a
// service whose processes are gone. A reading that is missing for another reason
// neither adds to the stretch nor ends it, and the guard is blind meanwhile. Of a
// service without traffic, latency and errors have nothing to tell, and nobody is
// blinded by that where traffic has a target.
type GoldenSignals struct {
	Signals *experiments.GoldenSignals `hcl:"signals" doc:"The service whose signals are watched; those that have a target." example:"golden_signals.checkout"`
	For     time.Duration              `hcl:"for,optional" doc:"How long a signal must miss its target without a break." default:"10s"`
}

// Needs asks for the signals that have a target.
func (g *GoldenSignals) Needs() experiments.Needs {
	var needs experiments.Needs
	if g.Signals == nil {
		return needs
	}
	for _, s := range g.Signals.Signals {
		if len(s.Targets) > 0 {
			needs.Probes = append(needs.Probes, s.Probed)
		}
	}
	return needs
}

// Validate checks that there is something to watch.
func (g *GoldenSignals) Validate() []experiments.Problem {
	var problems []experiments.Problem
	if g.For < 0 {
		problems = append(problems, experiments.Problem{Attribute: "for", Summary: "Negative time",
			Detail: "Write how long a signal may miss its target, such as \"10s\"."})
	}
	// Without a signal it is not known yet what is measured, or it is wrong and was told.
	if g.Signals != nil && len(g.Signals.Signals) > 0 && len(g.Needs().Probes) == 0 {
		problems = append(problems, experiments.Problem{Attribute: "signals", Summary: "Guard on signals without a target",
			Detail: fmt.Sprintf("None of the signals of %s has a target, so this guard would never be breached; give it one, such as traffic_keeps = \"50%%\".", g.Signals.SeriesName())})
	}
	return problems
}

// signalReading is how one target of a signal stands.
type signalReading struct {
	text    string
	misses  bool // its newest reading, or the one before what could not be read
	since   time.Time
	missed  time.Duration // how long the row of readings is that miss it
	blind   bool          // the newest could not be read
	nothing bool          // as there was no traffic
}

// Judge looks for the target that is missed for the longest.
func (g *GoldenSignals) Judge(h *experiments.History) experiments.Reading {
	var worst *signalReading
	var blind, fine []string
	watchesTraffic := slices.ContainsFunc(g.Signals.Signals, func(s *experiments.Signal) bool {
		return s.Name == experiments.Traffic && len(s.Targets) > 0
	})
	for _, s := range g.Signals.Signals {
		for _, target := range s.Targets {
			r := g.target(h, s, target)
			switch {
			case r.misses && (worst == nil || r.missed > worst.missed):
				worst = &r
			case r.misses, r.nothing && watchesTraffic:
			case !r.blind:
				fine = append(fine, r.text)
			}
			if r.blind && !r.misses && !(r.nothing && watchesTraffic) {
				blind = append(blind, r.text)
			}
		}
	}
	reading := experiments.Reading{Blind: len(blind) > 0}
	if worst == nil {
		reading.Text = strings.Join(append(blind, fine...), "; ")
		return reading
	}
	reading.Blind = reading.Blind || worst.blind
	reading.Used = 1
	if g.For > 0 {
		reading.Used = experiments.Float(min(worst.missed.Seconds()/g.For.Seconds(), 1))
	}
	reading.Breached = worst.missed >= g.For
	reading.Text = worst.text
	if reading.Breached {
		reading.Since = worst.since.Add(g.For)
	} else {
		reading.Text += fmt.Sprintf(" for %s of %s", about(worst.missed), about(g.For))
	}
	if len(blind) > 0 {
		reading.Text += "; " + strings.Join(blind, "; ")
	}
	return reading
}

// target reads one target of a signal from its newest reading backwards.
func (g *GoldenSignals) target(h *experiments.History, s *experiments.Signal, target experiments.Target) signalReading {
	track := h.Probe(s.Probed)
	baseline := h.BaselineMean(s.Probed)
	name := g.Signals.Name + " " + string(s.Name)
	var r signalReading
	var newest time.Time
	for i := track.Len() - 1; i >= 0; i-- {
		sample := track.At(i)
		if sample.Condition == experiments.NotAsked {
			continue
		}
		gone := s.Name == experiments.Traffic && ended(sample.Condition) && baseline > 0
		readable := gone || sample.HasValue()
		if r.text == "" {
			r.text = g.describe(name, s, target, sample, baseline, gone)
			r.blind, r.nothing = !readable, sample.Condition == experiments.NoTraffic
		}
		if sample.At.Before(h.Injected) {
			break
		}
		if !readable {
			continue
		}
		if !gone && !misses(target.Limit, sample.Value, baseline) {
			break
		}
		if !r.misses {
			r.misses, newest = true, sample.At
			r.text = g.describe(name, s, target, sample, baseline, gone)
		}
		r.since, r.missed = sample.At, newest.Sub(sample.At)
	}
	if r.text == "" {
		return signalReading{blind: true, text: name + ": not measured yet"}
	}
	return r
}

// ended tells of a condition that the series is not there any more.
func ended(c experiments.Condition) bool {
	return c == experiments.Stale || c == experiments.NoData
}

// misses tells whether a value is beyond a limit.
func misses(l experiments.Limit, value, baseline float64) bool {
	switch l.Kind {
	case experiments.ValueAtMost:
		return value > l.Value
	case experiments.ValueAtLeast:
		return value < l.Value
	case experiments.ValueKeeps:
		return value < float64(l.Ratio)*baseline
	}
	return false
}

// describe says what was read, against the target.
func (g *GoldenSignals) describe(name string, s *experiments.Signal, target experiments.Target, sample experiments.Sample, baseline float64, gone bool) string {
	unit := s.Name.Unit()
	switch {
	case gone:
		return fmt.Sprintf("%s is gone (%s), %s in the baseline", name, sample.Why, quantity(baseline, unit))
	case !sample.HasValue():
		return unreadable(name, sample.Condition, sample.Why)
	}
	text := fmt.Sprintf("%s %s", name, quantity(sample.Value, unit))
	switch l := target.Limit; l.Kind {
	case experiments.ValueAtMost:
		return fmt.Sprintf("%s of %s", text, quantity(l.Value, unit))
	case experiments.ValueAtLeast:
		return fmt.Sprintf("%s, at least %s", text, quantity(l.Value, unit))
	default:
		if math.IsNaN(baseline) {
			return text + ", and none was read in the baseline"
		}
		return fmt.Sprintf("%s, at least %s of the baseline's %s", text, l.Ratio, quantity(baseline, unit))
	}
}

// quantity writes a value of a signal in its unit.
func quantity(v float64, unit string) string {
	switch unit {
	case "s":
		return about(time.Duration(v * float64(time.Second)))
	case "ratio":
		return percent(v)
	}
	return number(v) + " " + unit
}
