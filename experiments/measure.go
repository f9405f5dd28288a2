package experiments

import (
	"context"
	"math"
	"time"
)

// Condition tells whether a measurement can be read, and if not, why. Only OK is
// ever taken for a value; no other condition counts as healthy.
type Condition string

// The conditions of a measurement.
const (
	OK          Condition = ""
	NoData      Condition = "no data"      // the query is fine and matched no series
	NotANumber  Condition = "not a number" // NaN, as from 0/0
	Stale       Condition = "stale"        // the newest sample is too old to speak for now
	NoTraffic   Condition = "no traffic"   // the series is there, and counted no event
	ManySeries  Condition = "more than one series"
	Unreachable Condition = "unreachable"    // the server that should know did not answer
	Refused     Condition = "refused"        // it answered with an error: bad query, no rights
	TooEarly    Condition = "too early"      // the window is still shorter than a few scrapes
	Broken      Condition = "not measurable" // the probe itself failed: command not found
	// NotAsked: the measurement was due, and too many earlier ones still waited for their
	// answers. Other than the rest it is no accident: it happens while the target is slow.
	NotAsked Condition = "not asked"
)

// ended tells that the series was not there, or not any more.
func (c Condition) ended() bool { return c == Stale || c == NoData }

// Sample is one measurement of a probe.
type Sample struct {
	At   time.Time     `json:"at"`
	Took time.Duration `json:"took_ns"` // how long the measurement took: the latency
	// Idle is how long the measurement paused on purpose beside that. It began Took and
	// Idle before At.
	Idle time.Duration `json:"idle_ns,omitempty"`
	// Counted tells that the measurement is an event, good or bad. A request that got
	// no answer is a bad event, not missing data.
	Counted bool `json:"counted,omitempty"`
	Good    bool `json:"good,omitempty"`
	// Value is the number read, in the probe's own unit; NaN without one.
	Value     float64   `json:"-"`
	Condition Condition `json:"condition,omitempty"`
	// Why says what was seen when it was not good: "503 Service Unavailable".
	Why string `json:"why,omitempty"`
	// Step names the step of a journey at which it ended early.
	Step string `json:"step,omitempty"`
}

// HasValue tells whether the sample carries a number.
func (s Sample) HasValue() bool { return s.Condition == OK && !math.IsNaN(s.Value) }

// A Probe takes one measurement at each call. What goes wrong is part of the
// sample: a target that answers badly is a bad event, a measurement that could
// not be taken is a Condition other than OK. Measure keeps to ctx, which is one of
// [WithTimeout]: a call that goes on a second after it is given up. It is called while up
// to seven earlier calls still wait for a slow target, and is safe for that.
type Probe interface {
	Measure(ctx context.Context) Sample
}

type timeoutKey struct{}

// WithTimeout gives the context of one measurement: it ends after a probe's timeout, and
// [TimeoutOf] tells what that was.
func WithTimeout(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithValue(ctx, timeoutKey{}, timeout), timeout)
}

// TimeoutOf is how much time a measurement was given, as a person wrote it: what is left
// until the deadline of ctx is less by then. It is 0 for a context of anything else.
func TimeoutOf(ctx context.Context) time.Duration {
	timeout, _ := ctx.Value(timeoutKey{}).(time.Duration)
	return timeout
}

// A Checker is a probe that can tell beforehand why it could not measure, such as a
// right that it lacks. It is asked with the plan, before the baseline.
type Checker interface {
	Probe
	Check(ctx context.Context) error
}

// A Telling probe knows before it is asked what its samples can carry. Any other may
// carry everything. A hypothesis about what never comes is found before the run.
type Telling interface {
	Probe
	Tells() Told
}

// Told is what the samples of a probe can carry, beside the time they took.
type Told struct {
	Events bool // good or bad
	Values bool
	// Number says how the probe is made to read values, where it can be: "give the probe
	// a json_path".
	Number string
}

// Probed is a probe of a configuration with its pace.
type Probed struct {
	Name    string
	Kind    string
	Every   time.Duration
	Timeout time.Duration
	// Unit of Value, for people: "s", "requests"; empty where unknown.
	Unit  string
	Probe Probe
	// Journey is what it stands for where it goes a user's way; else nil.
	Journey *Journey
	// Window, if set, is the time before each measurement that its value speaks of, as
	// that of a rate.
	Window time.Duration
	// Series is the name in results of what is no probe block:
	// "golden_signals.checkout.traffic".
	Series string
	// Origin is where it is declared: "shop.hcl:12".
	Origin string
}

// Count is what an SLI saw in the window that ends at At.
type Count struct {
	At     time.Time     `json:"at"`
	Window time.Duration `json:"window_ns"`
	Bad    float64       `json:"bad"`
	Total  float64       `json:"total"`
	// Missed are measurements that were due and not asked (see NotAsked), Unread those
	// that could not be read for another reason. None of them is in Total.
	Missed float64 `json:"missed,omitempty"`
	Unread float64 `json:"unread,omitempty"`

	Condition Condition `json:"condition,omitempty"`
	Why       string    `json:"why,omitempty"`
}

// Ratio is the share of bad events, NaN where nothing was counted.
func (c Count) Ratio() float64 {
	if c.Condition != OK || c.Total <= 0 {
		return math.NaN()
	}
	return c.Bad / c.Total
}

// An SLI counts the events of a window. It keeps to ctx.
type SLI interface {
	// Count counts the events between at-window and at.
	Count(ctx context.Context, at time.Time, window time.Duration) Count
	// Shortest is the shortest window that means something: a few scrapes.
	Shortest() time.Duration
}

// SeriesName is how a probe is named in results: "probe.front_door", and
// "journey.checkout" for one that goes a user's way.
func (p *Probed) SeriesName() string {
	if p.Series != "" {
		return p.Series
	}
	if p.Journey != nil {
		return "journey." + p.Name
	}
	return "probe." + p.Name
}
