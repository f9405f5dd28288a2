package experiments

import "time"

// A Guard decides from samples alone whether the experiment must stop now. It is
// pure: the same history gives the same reading. It is asked after every
// measurement, from the first injection until everything is reverted.
type Guard interface {
	// Needs says what must be measured for it.
	Needs() Needs
	Judge(h *History) Reading
}

// Bounded is a guard whose limit is a number of one series, which a chart can draw.
type Bounded interface {
	Guard
	// Bound gives it, nil where the guard as it is written has none.
	Bound() *Bound
}

// Bound is a limit on a series: a measurement beyond it counts for the guard. It need
// not stop the run alone, as a guard may ask for several in a row, or over a window of
// its own.
type Bound struct {
	Series string    `json:"series"` // "slo.checkout"
	Kind   LimitKind `json:"kind"`
	// Limit is the good ratio, the latency in seconds, or the value in the probe's unit.
	Limit Float `json:"limit"`
}

// Needs lists the series a guard reads.
type Needs struct {
	Probes []*Probed
	SLOs   []*SLO
	// Windows are the windows over which each of SLOs is counted; SinceInjection is
	// always counted.
	Windows []time.Duration
	// Remaining are those of SLOs for which History.Remaining must be set before the
	// first injection.
	Remaining []*SLO
}

// SinceInjection asks History for the window that began with the first injection.
const SinceInjection time.Duration = 0

// Reading is what a guard sees at one moment.
type Reading struct {
	Breached bool `json:"breached"`
	// Blind tells that it had nothing to judge by; the no_data guard decides for how
	// long that is borne.
	Blind bool `json:"blind,omitempty"`
	// Used is how much of the guard's limit is taken: 0 nothing, 1 the limit; for the
	// bar on the screen.
	Used Float `json:"used"`
	// Text says value and limit, and what is left: "burn 2.1 of 14.4".
	Text string `json:"text"`
	// Since is when the breach began, if it is known to be earlier than now.
	Since time.Time `json:"since,omitzero"`
}

// GuardPlan is a guard of a scenario. Default tells that the scenario did not
// write it.
type GuardPlan struct {
	Name    string
	Kind    string
	Guard   Guard
	Default bool
	Origin  string
}

// A Limiter is a guard that bounds what a run may spend of an SLO's error budget. What
// a run may cost, and what is left while it goes on, is told from it.
type Limiter interface {
	Guard
	// Limit is the bound, where that share of the budget was left before the run, NaN if
	// unknown; reverting is an estimate of how long it takes to mend everything.
	Limit(remaining float64, reverting time.Duration) SpendLimit
}

// SpendLimit is how much of an SLO's error budget a run may spend.
type SpendLimit struct {
	SLO *SLO
	// Share of the budget of the whole period, NaN where it depends on what is not known.
	Share float64
	// Braking is the time from the decision to stop until everything is reverted.
	Braking time.Duration
}

// Limit is the tightest bound that the guards of e set on what a run may spend of s.
func (e *Experiment) Limit(s *SLO, remaining float64) (SpendLimit, bool) {
	var tightest SpendLimit
	found := false
	for _, plan := range e.Guards {
		limiter, ok := plan.Guard.(Limiter)
		if !ok {
			continue
		}
		limit := limiter.Limit(remaining, e.Reverting())
		if limit.SLO != s || found && !(limit.Share < tightest.Share) {
			continue
		}
		tightest, found = limit, true
	}
	return tightest, found
}
