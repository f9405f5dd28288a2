package guards

import (
	"fmt"
	"time"

	"github.com/gameday-sh/gameday/experiments"
)

// NoData is breached when a probe or an SLO of the run could not be read for longer
// than for since the injection, or than three measurements in a row may take,
// whichever is longer. It is there by default: a run that nobody sees must stop.
//
// Two conditions are borne for longer. No traffic is no fault of the measuring where
// traffic is thin: it is a breach where, at the rate of the baseline, ten events
// should have come (by chance that is one case in 20,000), and never where the
// baseline had none. And a window that is too early to be read has the shortest
// time that means something to fill.
type NoData struct {
	For time.Duration `hcl:"for,optional" doc:"How long a series may be unreadable; three measurements and a timeout at least." default:"10s"`
}

// missed is how many measurements in a row may be missed, whatever for says.
const missed = 3

// missedEvents is how many events must have been due before their absence means
// that the traffic is gone: exp(-10) is 1 in 22,000.
const missedEvents = 10

// Needs nothing of its own: it watches everything that is measured in the run.
func (g *NoData) Needs() experiments.Needs { return experiments.Needs{} }

// Validate checks the time.
func (g *NoData) Validate() []experiments.Problem {
	if g.For <= 0 {
		return []experiments.Problem{{Attribute: "for", Summary: "No time at all",
			Detail: "Write how long a series may be unreadable, such as \"10s\"."}}
	}
	return nil
}

// maxSeconds keeps a wait for events that hardly ever come within a Duration.
const maxSeconds = 1e9

// silence is how long a series could not be read, and how long that is borne.
type silence struct {
	series    string
	from      time.Time
	condition experiments.Condition
	why       string
	borne     time.Duration
}

// Judge looks for the series that was silent for the largest part of what is borne.
func (g *NoData) Judge(h *experiments.History) experiments.Reading {
	if h.Injected.IsZero() {
		return experiments.Reading{Text: "nothing was injected yet"}
	}
	var worst silence
	used := -1.0
	for _, s := range g.silences(h) {
		if share := h.Now.Sub(s.from).Seconds() / s.borne.Seconds(); share > used {
			worst, used = s, share
		}
	}
	if used < 0 {
		return experiments.Reading{Text: "nothing is measured"}
	}
	silent := h.Now.Sub(worst.from)
	reading := experiments.Reading{Breached: silent > worst.borne, Used: experiments.Float(used)}
	if worst.condition == experiments.OK && !reading.Breached {
		reading.Text = fmt.Sprintf("%s read %s ago of %s allowed", worst.series, about(silent), about(worst.borne))
		return reading
	}
	what := "no measurement"
	if worst.condition != experiments.OK {
		what = string(worst.condition)
	}
	reading.Text = fmt.Sprintf("%s: %s for %s", worst.series, what, about(silent))
	if reading.Breached {
		reading.Since = worst.from.Add(worst.borne)
	} else {
		reading.Text += " of " + about(worst.borne)
	}
	if worst.why != "" {
		reading.Text += " (" + worst.why + ")"
	}
	return reading
}

// silences lists every series of the run; one that was read just now is silent
// since then.
func (g *NoData) silences(h *experiments.History) []silence {
	var list []silence
	for _, p := range h.Probes {
		list = append(list, g.probe(h, p, p.SeriesName(), func(s experiments.Sample) bool { return s.Condition == experiments.OK }))
	}
	for _, s := range h.SLOs {
		if s.Probe != nil {
			list = append(list, g.probe(h, s.Probe, s.SeriesName(), func(s experiments.Sample) bool { return s.Condition == experiments.OK && s.Counted }))
			continue
		}
		windows := h.Windows(s)
		for _, window := range windows {
			if one, judged := g.queries(h, s, window); judged {
				list = append(list, one)
			}
		}
		if len(windows) == 0 {
			list = append(list, silence{series: s.SeriesName(), from: h.Injected, borne: max(g.For, missed*pace(s))})
		}
	}
	return list
}

// probe finds the last usable sample of a probe since the injection.
func (g *NoData) probe(h *experiments.History, p *experiments.Probed, series string, usable func(experiments.Sample) bool) silence {
	s := silence{series: series, from: h.Injected, borne: max(g.For, missed*p.Every+p.Timeout)}
	track := h.Probe(p)
	for i := track.Len() - 1; i >= 0; i-- {
		sample := track.At(i)
		if i == track.Len()-1 {
			switch {
			case sample.Condition != experiments.OK:
				s.condition, s.why = sample.Condition, sample.Why
			case !usable(sample):
				s.condition, s.why = experiments.NoTraffic, "the probe counts no events"
			}
		}
		if sample.At.Before(h.Injected) {
			break
		}
		if usable(sample) {
			s.from = sample.At
			break
		}
	}
	return s
}

// queries finds the last usable count of an SLO over one window. It judges nothing
// where the baseline had no traffic either.
func (g *NoData) queries(h *experiments.History, slo *experiments.SLO, window time.Duration) (s silence, judged bool) {
	s = silence{series: slo.SeriesName(), from: h.Injected, borne: max(g.For, missed*pace(slo))}
	counted := h.Counted(slo, window)
	for i := len(counted) - 1; i >= 0; i-- {
		c := counted[i]
		if i == len(counted)-1 {
			s.condition, s.why = c.Condition, c.Why
			switch c.Condition {
			case experiments.NoTraffic:
				rate := h.Rate(slo)
				if rate == 0 {
					return silence{}, false
				}
				if rate > 0 {
					s.borne = max(s.borne, time.Duration(min(missedEvents/rate, maxSeconds)*float64(time.Second)))
				}
			case experiments.TooEarly:
				if slo.SLI != nil {
					s.borne += slo.SLI.Shortest()
				}
			}
		}
		if c.At.Before(h.Injected) {
			break
		}
		if c.Condition == experiments.OK {
			s.from = c.At
			break
		}
	}
	return s, true
}
