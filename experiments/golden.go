package experiments

import (
	"fmt"
	"math"
	"time"
)

// GoldenSignals are latency, traffic, errors and saturation of one service: "The Four
// Golden Signals" of Site Reliability Engineering (Google, 2016), chapter 6.
type GoldenSignals struct {
	Name    string
	Signals []*Signal // those that are measured, in the order above
	// During, RecoverWithin and Hold are those of the hypotheses made of the targets.
	During        bool
	RecoverWithin time.Duration
	Hold          time.Duration
	Origin        string
}

// SignalName is one of the four.
type SignalName string

// The golden signals, and the unit of each: seconds, requests a second, and shares
// of 1.
const (
	Latency    SignalName = "latency"    // s
	Traffic    SignalName = "traffic"    // requests/s
	Errors     SignalName = "errors"     // ratio
	Saturation SignalName = "saturation" // ratio
)

// SignalNames lists the golden signals in their usual order.
func SignalNames() []SignalName { return []SignalName{Latency, Traffic, Errors, Saturation} }

// Unit is the unit of the signal's values.
func (n SignalName) Unit() string {
	switch n {
	case Latency:
		return "s"
	case Traffic:
		return "requests/s"
	}
	return "ratio"
}

// Signal is one golden signal of a service. Probed reads it; each value speaks of the
// Window before it.
type Signal struct {
	Name    SignalName
	Probed  *Probed
	Targets []Target
}

// Target is what a signal should keep to.
type Target struct {
	Text  string // "p95 latency at most 500ms"
	Limit Limit  // ValueAtMost, ValueAtLeast or ValueKeeps
}

// A SignalSource is the block golden_signals as it was decoded: it knows how each
// signal is measured and what it should keep to.
type SignalSource interface {
	// Signals gives those that are measured, each with a Probed that has a Probe and a
	// Window; its name and pace are for the caller to set.
	Signals() []*Signal
}

// SeriesName is how the signals of the service begin in results:
// "golden_signals.checkout".
func (g *GoldenSignals) SeriesName() string { return "golden_signals." + g.Name }

// Find gives one of the signals, nil where it is not measured.
func (g *GoldenSignals) Find(name SignalName) *Signal {
	for _, s := range g.Signals {
		if s.Name == name {
			return s
		}
	}
	return nil
}

// leastReadings is the least number of readings that a signal is judged on.
const leastReadings = 3

// Hypotheses makes a hypothesis of each target, named after the service: "checkout:
// p95 latency at most 500ms".
//
// Latency, traffic and saturation are judged by their furthest value. A single failed
// request would be the furthest value of errors, so errors are judged as a share of
// all requests of the phase, as an SLO is: by the exact binomial bound.
func (g *GoldenSignals) Hypotheses() []*Hypothesis {
	var list []*Hypothesis
	traffic := g.Find(Traffic)
	for _, s := range g.Signals {
		for _, target := range s.Targets {
			h := &Hypothesis{
				Name: g.Name + ": " + target.Text, Probe: s.Probed, Limit: target.Limit,
				During: g.During, RecoverWithin: g.RecoverWithin, Hold: g.Hold,
				Confidence: 0.95, MinSamples: leastReadings, Origin: g.Origin,
			}
			if s.Name == Errors && traffic != nil {
				h.Limit = Limit{Kind: GoodRatio, Ratio: Percent(Percent(target.Limit.Value).Rest())}
				h.Rate = traffic.Probed
			}
			list = append(list, h)
		}
	}
	return list
}

// BaselineMean is the mean of the values that a probe read before the first injection,
// of all so far while there was none; NaN where it read none.
func (h *History) BaselineMean(p *Probed) float64 {
	track := h.Probe(p)
	end := track.Len()
	if !h.Injected.IsZero() {
		end = track.From(h.Injected)
	}
	sum, n := 0.0, 0.0
	for i := range end {
		if track.state[i]&sampleUnreadable == 0 && !math.IsNaN(track.value[i]) {
			sum, n = sum+track.value[i], n+1
		}
	}
	return sum / n
}

// judgeKept judges a limit that is a share of the baseline: what it comes to is a
// least value. Where the baseline had nothing there is nothing to keep.
func (h *Hypothesis) judgeKept(phase Phase, from, to time.Time, history *History) Judgement {
	mean := history.BaselineMean(h.Probe)
	least := *h
	least.Limit = Limit{Kind: ValueAtLeast, Value: float64(h.Limit.Ratio) * mean}
	least.kept = fmt.Sprintf(", which is %s of the baseline's %s", h.Limit.Ratio, h.number(mean))
	judge := least.judgeRate
	if !(mean > 0) {
		judge = least.judgeSamples
	}
	j := judge(phase, from, to, history.Probe(h.Probe))
	switch {
	case math.IsNaN(mean):
		if j.Verdict != Inconclusive {
			j.Verdict, j.Text = Inconclusive, "the baseline read no value to keep a share of"
		}
	case mean <= 0:
		j.Verdict, j.Text = Inconclusive, fmt.Sprintf("the baseline had %s: there is nothing to keep a share of", h.number(mean))
	}
	return j
}

// judgeShares judges a share of bad events that a probe reads, with another probe that
// reads how many events a second there are: by the events that there were.
func (h *Hypothesis) judgeShares(phase Phase, from, to time.Time, history *History) Judgement {
	return h.judgeCount(phase, countShares(history.Probe(h.Probe), history.Probe(h.Rate), h.Probe.Window, from, to))
}

// countShares counts the events between from and to of which shares has the share that
// is bad, and rates the number a second. Each reading speaks of the window before it,
// and only those whose window began after from are taken, unless there are none.
func countShares(shares, rates *Track, window time.Duration, from, to time.Time) Count {
	inner := from.Add(window)
	c, taken := sumShares(shares, rates, inner, to)
	if !taken {
		c, _ = sumShares(shares, rates, from, to)
	}
	c.Window = to.Sub(from)
	scale := c.Window.Seconds()
	c.Bad, c.Total, c.Missed, c.Unread = c.Bad*scale, c.Total*scale, c.Missed*scale, c.Unread*scale
	return c
}

// sumShares is the mean number of events a second, and of bad ones, over the readings
// that began in (from, to]; those that are missing count as many events as the others
// have on average. It tells whether there was any that tells of events.
func sumShares(shares, rates *Track, from, to time.Time) (c Count, taken bool) {
	c.At = to
	var readings, readable, missed, unread float64
	var condition Condition
	why := ""
	shares.begun(from, to, func(i int) {
		s := shares.At(i)
		readings++
		rate, known := rates.before(s.At)
		switch {
		case s.Condition == NoTraffic:
			readable++ // no event, so none that is bad
			condition, why = s.Condition, s.Why
		case s.Condition == NotAsked:
			missed++
		case s.Condition == TooEarly || s.HasValue() && !known:
			readings-- // the first window fills, of one or the other
			condition, why = TooEarly, s.Why
		case !s.HasValue():
			unread++
			condition, why = s.Condition, s.Why
		default:
			readable++
			c.Total += rate
			c.Bad += rate * s.Value
		}
	})
	if c.Total == 0 {
		c.Condition, c.Why = condition, why
		if c.Condition == OK {
			c.Condition, c.Why = NoData, "no measurement in this window"
		}
		return c, readable > 0
	}
	mean := c.Total / readable
	c.Missed, c.Unread = missed*mean/readings, unread*mean/readings
	c.Bad, c.Total = c.Bad/readings, c.Total/readings
	return c, true
}

// before is the newest value that was read by then, give or take the pace of two
// probes that are asked side by side.
func (t *Track) before(when time.Time) (float64, bool) {
	for i := min(t.From(when.Add(time.Nanosecond)), t.Len()) - 1; i >= 0; i-- {
		if s := t.At(i); s.HasValue() {
			return s.Value, true
		}
	}
	if t.Len() > 0 && t.At(0).HasValue() {
		return t.At(0).Value, true
	}
	return 0, false
}
