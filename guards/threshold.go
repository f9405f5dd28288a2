package guards

import (
	"fmt"
	"strings"
	"time"

	"github.com/gameday-sh/gameday/experiments"
)

// Threshold is breached when a probe's newest measurements are out of bounds several
// times in a row. Measurements that could not be read neither add to the row nor end
// it; among the newest 2*samples that were asked, the row must be found. Where a probe goes on
// measuring, but never gives what the guard reads, the guard is breached: it would
// never see.
type Threshold struct {
	Probe        *experiments.Probed `hcl:"probe" doc:"The probe whose measurements are watched." example:"probe.front_door"`
	ValueAbove   *float64            `hcl:"value_above,optional" doc:"Values above this are out of bounds, in the probe's own unit." example:"100"`
	ValueBelow   *float64            `hcl:"value_below,optional" doc:"Values below this are out of bounds, in the probe's own unit." example:"2"`
	LatencyAbove *time.Duration      `hcl:"latency_above,optional" doc:"Measurements that took longer than this are out of bounds, whatever their outcome." example:"2s"`
	Failures     bool                `hcl:"failures,optional" doc:"Failed measurements are out of bounds." default:"false"`
	Samples      int                 `hcl:"samples,optional" doc:"How many measurements in a row must be out of bounds." default:"3"`
}

// Needs asks for the probe.
func (g *Threshold) Needs() experiments.Needs {
	return experiments.Needs{Probes: []*experiments.Probed{g.Probe}}
}

// Bound is where measurements are out of bounds. A guard of failures has none.
func (g *Threshold) Bound() *experiments.Bound {
	bound := experiments.Bound{Series: g.Probe.SeriesName()}
	switch {
	case g.ValueAbove != nil:
		bound.Kind, bound.Limit = experiments.ValueAtMost, experiments.Float(*g.ValueAbove)
	case g.ValueBelow != nil:
		bound.Kind, bound.Limit = experiments.ValueAtLeast, experiments.Float(*g.ValueBelow)
	case g.LatencyAbove != nil:
		bound.Kind, bound.Limit = experiments.QuantileAtMost, experiments.Float(g.LatencyAbove.Seconds())
	default:
		return nil
	}
	return &bound
}

// Validate checks that there is exactly one bound.
func (g *Threshold) Validate() []experiments.Problem {
	var problems []experiments.Problem
	var bounds []string
	for _, bound := range []struct {
		name string
		set  bool
	}{
		{"value_above", g.ValueAbove != nil}, {"value_below", g.ValueBelow != nil},
		{"latency_above", g.LatencyAbove != nil}, {"failures", g.Failures},
	} {
		if bound.set {
			bounds = append(bounds, bound.name)
		}
	}
	if len(bounds) == 0 {
		problems = append(problems, experiments.Problem{Summary: "No bound",
			Detail: "Write one of value_above, value_below, latency_above or failures = true."})
	}
	if len(bounds) > 1 {
		problems = append(problems, experiments.Problem{Attribute: bounds[1], Summary: "More than one bound",
			Detail: fmt.Sprintf("A threshold guard watches one bound, and this one has %s; write a guard for each.", strings.Join(bounds, " and "))})
	}
	if g.LatencyAbove != nil && *g.LatencyAbove <= 0 {
		problems = append(problems, experiments.Problem{Attribute: "latency_above", Summary: "Latency not above 0",
			Detail: "Every measurement takes longer than that; write a duration such as \"2s\"."})
	}
	if g.LatencyAbove != nil && g.Probe != nil && g.Probe.Timeout > 0 && *g.LatencyAbove >= g.Probe.Timeout {
		problems = append(problems, experiments.Problem{Attribute: "latency_above", Summary: "Latency that can never be reached",
			Detail: fmt.Sprintf("%s gives up after %s; write a shorter latency, a longer timeout, or failures = true.",
				g.Probe.SeriesName(), experiments.FormatDuration(g.Probe.Timeout))})
	}
	if g.Samples < 1 {
		problems = append(problems, experiments.Problem{Attribute: "samples", Summary: "Fewer than one measurement",
			Detail: "Write how many measurements in a row must be out of bounds: 1 or more."})
	}
	return problems
}

// Judge looks for a row of measurements out of bounds at the end of the track.
func (g *Threshold) Judge(h *experiments.History) experiments.Reading {
	track := h.Probe(g.Probe)
	series := g.Probe.SeriesName()
	if track.Len() == 0 {
		return experiments.Reading{Blind: true, Text: series + ": not measured yet"}
	}
	var row, readable, mute int
	var newest experiments.Sample
	look := 2 * g.Samples
	for i := track.Len() - 1; i >= 0 && look > 0; i-- {
		s := track.At(i)
		if s.Condition == experiments.NotAsked {
			continue // a slow target must not push its own answers out of sight
		}
		look--
		if !g.readable(s) {
			if s.Condition == experiments.OK {
				mute++
			}
			continue
		}
		if readable == 0 {
			newest = s
		}
		readable++
		if !g.outOfBounds(s) {
			break
		}
		if row++; row == g.Samples {
			break
		}
	}
	last := track.At(track.Len() - 1)
	switch {
	case mute == 2*g.Samples:
		return blindForGood(h, series+" "+g.missing())
	case readable == 0 && last.Condition == experiments.OK:
		return experiments.Reading{Blind: true, Text: series + " " + g.missing()}
	case readable == 0:
		return experiments.Reading{Blind: true, Text: unreadable(series, last.Condition, last.Why)}
	}
	reading := experiments.Reading{
		Breached: row == g.Samples,
		Blind:    !g.readable(last),
		Used:     experiments.Float(float64(row) / float64(g.Samples)),
		Text:     g.describe(newest),
	}
	if row > 0 {
		reading.Text += fmt.Sprintf("; %d of %d in a row", row, g.Samples)
	}
	if reading.Breached {
		reading.Since = newest.At
	}
	return reading
}

// readable tells whether a sample has what the bound is about.
func (g *Threshold) readable(s experiments.Sample) bool {
	switch {
	case g.ValueAbove != nil || g.ValueBelow != nil:
		return s.HasValue()
	case g.Failures:
		return s.Condition == experiments.OK && s.Counted
	}
	return s.Condition == experiments.OK
}

// missing says what the probe does not give.
func (g *Threshold) missing() string {
	if g.Failures {
		return "counts no events"
	}
	return "gives no number"
}

func (g *Threshold) outOfBounds(s experiments.Sample) bool {
	switch {
	case g.ValueAbove != nil:
		return s.Value > *g.ValueAbove
	case g.ValueBelow != nil:
		return s.Value < *g.ValueBelow
	case g.LatencyAbove != nil:
		return s.Took > *g.LatencyAbove
	}
	return !s.Good
}

// describe says what a readable sample measured, against the bound.
func (g *Threshold) describe(s experiments.Sample) string {
	unit := ""
	if g.Probe.Unit != "" {
		unit = " " + g.Probe.Unit
	}
	not := "not "
	if g.outOfBounds(s) {
		not = ""
	}
	switch {
	case g.ValueAbove != nil:
		return fmt.Sprintf("value %s%s, %sabove %s", number(s.Value), unit, not, number(*g.ValueAbove))
	case g.ValueBelow != nil:
		return fmt.Sprintf("value %s%s, %sbelow %s", number(s.Value), unit, not, number(*g.ValueBelow))
	case g.LatencyAbove != nil:
		return fmt.Sprintf("latency %s, %sabove %s", about(s.Took), not, experiments.FormatDuration(*g.LatencyAbove))
	case s.Good:
		return "good"
	case s.Why == "":
		return "failed"
	}
	return "failed: " + s.Why
}
