// Package budgets says what counts of events mean for an error budget: what is spent,
// what is left, how fast it goes, and what the policy makes of it. It is arithmetic on
// [experiments.Count] values and asks nobody; who counts is [Reading]'s business.
//
// With the objective o, the budget's share of events is b = 1-o. Of N events of which B
// were bad (SRE workbook, "Implementing SLOs" and "Alerting on SLOs"):
//
//	budget      b*N events
//	consumed    B / (b*N)
//	remaining   1 - consumed; below 0 when overspent, as far as it goes
//	burn rate   (B/N) / b
//
// Events are counted, and a ratio is taken once, of the sums: an average of ratios gives
// a quiet night the weight of a busy day.
//
// What is not known is NaN, never 0 and never 1, and [State.Condition] says why.
package budgets

import (
	"math"
	"time"

	"github.com/gameday-sh/gameday/experiments"
)

// Reading is what was counted for one SLO at one moment.
type Reading struct {
	At time.Time
	// Period counts from the begin of the SLO's period to At.
	Period experiments.Count
	// Windows are counts over shorter windows that end at At, the shortest first.
	Windows []experiments.Count
	// Course are counts of stretches of the period, one after the other, the oldest first.
	// A count's At is the end of its stretch. It may be left out.
	Course []experiments.Count
	// Oldest is the time of the oldest sample that the source has of the SLO, where that
	// is younger than the period's begin; zero where all of the period was seen.
	Oldest time.Time
}

// State is what a reading says of the error budget of an SLO.
type State struct {
	SLO *experiments.SLO
	Reading
	// From and To are the SLO's period. A rolling one ends at At.
	From, To time.Time
	// Policy is that of the SLO; nil without one. Another may be put in its place.
	Policy *experiments.Policy
	// Condition is OK where the budget is known; Why says more.
	Condition experiments.Condition
	Why       string
}

// New works out the state of an SLO's error budget.
func New(slo *experiments.SLO, r Reading) *State {
	if r.At.IsZero() {
		r.At = r.Period.At
	}
	s := &State{SLO: slo, Reading: r, Policy: slo.Policy, Condition: r.Period.Condition, Why: r.Period.Why}
	s.From, s.To = slo.Period(r.At)
	switch {
	case s.Condition != experiments.OK:
	case !(slo.Budget() > 0):
		s.Condition, s.Why = experiments.Refused, "an objective of "+slo.Objective.String()+" leaves no error budget"
	case math.IsNaN(r.Period.Bad) || math.IsNaN(r.Period.Total) || math.IsInf(r.Period.Bad, 0) || math.IsInf(r.Period.Total, 0):
		s.Condition, s.Why = experiments.NotANumber, "the counts are not numbers"
	case !(r.Period.Total > 0):
		s.Condition, s.Why = experiments.NoTraffic, "no event in the last "+experiments.FormatDuration(r.Period.Window.Round(time.Second))
	}
	return s
}

// Of is New for a count of the whole period and nothing else.
func Of(slo *experiments.SLO, period experiments.Count) *State {
	return New(slo, Reading{At: period.At, Period: period})
}

// Unknown is the state of an SLO whose events could not be counted.
func Unknown(slo *experiments.SLO, at time.Time, condition experiments.Condition, why string) *State {
	return Of(slo, experiments.Count{At: at, Window: slo.Window, Condition: condition, Why: why})
}

// Known tells whether the budget is.
func (s *State) Known() bool { return s.Condition == experiments.OK }

// SLI is the share of good events in the period, NaN while unknown.
func (s *State) SLI() float64 {
	if !s.Known() {
		return math.NaN()
	}
	return 1 - s.Period.Bad/s.Period.Total
}

// elapsed is the share of the period that is over: 1 for a rolling one.
func (s *State) elapsed() float64 {
	if s.SLO.Calendar == nil {
		return 1
	}
	return s.At.Sub(s.From).Seconds() / s.To.Sub(s.From).Seconds()
}

// Expected is how many events the whole period has: those counted for a rolling one;
// for one of a calendar those so far, and as many a second until its end.
func (s *State) Expected() float64 {
	if !s.Known() {
		return math.NaN()
	}
	return s.Period.Total / s.elapsed()
}

// Budget is how many events of the whole period may be bad. For a period of a calendar
// that is a forecast from the traffic so far, so that an outage on the first of a month
// is measured against the month and not against a day.
func (s *State) Budget() float64 { return s.SLO.Budget() * s.Expected() }

// SoFar is how many events of the period up to now might have been bad: what a budget
// that is spent evenly would have spent. For a rolling period it is the Budget.
func (s *State) SoFar() float64 {
	if !s.Known() {
		return math.NaN()
	}
	return s.SLO.Budget() * s.Period.Total
}

// Consumed is the share of the Budget that is spent: 1 is all of it, 2.5 two and a half
// times as much as there was.
func (s *State) Consumed() float64 {
	if !s.Known() {
		return math.NaN()
	}
	return s.Period.Bad / s.Budget()
}

// Remaining is the share of the Budget that is left; negative when overspent.
func (s *State) Remaining() float64 { return 1 - s.Consumed() }

// Burn is the burn rate over a window that was counted: 1 spends the budget in exactly
// the period. Window 0, or the length of the period, is all of the period so far. It is
// NaN where the window was not counted or is not known.
func (s *State) Burn(window time.Duration) float64 {
	if !(s.SLO.Budget() > 0) {
		return math.NaN()
	}
	if window == 0 || window == s.Period.Window {
		if !s.Known() {
			return math.NaN()
		}
		return s.Period.Ratio() / s.SLO.Budget()
	}
	for _, c := range s.Windows {
		if c.Window == window {
			return c.Ratio() / s.SLO.Budget()
		}
	}
	return math.NaN()
}

// Spent is the share of the budget that a burn rate spends in a time: r*w/W.
func (s *State) Spent(burn float64, in time.Duration) float64 {
	return burn * in.Seconds() / s.length().Seconds()
}

// length is that of the period: of a calendar's, what this one has, 30 days or 31.
func (s *State) length() time.Duration { return s.To.Sub(s.From) }

// Present is the burn rate now: over the shortest window that has events. Over is that
// window; without one the rate is NaN. A window without traffic burns nothing, and says
// nothing either, so that the next longer one is asked.
func (s *State) Present() (burn float64, over time.Duration) {
	for _, c := range s.Windows {
		if burn := s.Burn(c.Window); !math.IsNaN(burn) {
			return burn, c.Window
		}
	}
	return s.Burn(0), s.Period.Window
}

// Covered is how much of the period up to now the source has samples of, and how long
// that is. Where the first is less, the state speaks of what was seen and no more.
func (s *State) Covered() (have, of time.Duration) {
	of = s.At.Sub(s.From)
	if s.Oldest.After(s.From) {
		return max(s.At.Sub(s.Oldest), 0), of
	}
	return of, of
}

// Band is what the policy makes of what is left, the band "unknown" while that is not
// known; false without a policy.
func (s *State) Band() (experiments.Band, bool) {
	if s.Policy == nil {
		return experiments.Band{}, false
	}
	return s.Policy.Band(s.Remaining()), true
}

// Raised lists the alerts of the policy that are raised, the gravest last.
func (s *State) Raised() []experiments.PolicyAlert {
	if s.Policy == nil {
		return nil
	}
	return s.Policy.Raised(s.Remaining())
}

// Worse lists the dependencies of the SLO that are worse off: with a smaller share of
// their budget left, or with nobody knowing how much. States has those that were read.
func (s *State) Worse(states map[*experiments.SLO]*State) []*State {
	var list []*State
	for _, dependency := range s.SLO.DependsOn {
		other := states[dependency]
		// Written so that NaN is worse than any number.
		if other != nil && !(other.Remaining() >= s.Remaining()) && (other.Known() || s.Known()) {
			list = append(list, other)
		}
	}
	return list
}
