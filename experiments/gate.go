package experiments

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// GateDecision is what a gate says.
type GateDecision string

// The decisions of a gate. Only GateAllowed and GateOpen let a run begin by themselves.
const (
	GateAllowed GateDecision = "allowed"
	GateRefused GateDecision = "refused"
	// GateUnknown: what is left of a budget cannot be told, and the policy does not allow
	// the purpose while that is so.
	GateUnknown GateDecision = "unknown"
	// GateOpen: no policy says anything, so nothing decides.
	GateOpen GateDecision = "no policy"
)

// WorstDecision picks what decides among several: refused, unknown, allowed, no policy.
func WorstDecision(list ...GateDecision) GateDecision {
	for _, worst := range []GateDecision{GateRefused, GateUnknown, GateAllowed} {
		if slices.Contains(list, worst) {
			return worst
		}
	}
	return GateOpen
}

// GateReading is what was known of the error budgets before anything was touched, what
// the run might cost, and whether the policies allow that.
type GateReading struct {
	At       time.Time    `json:"at"`
	Purpose  string       `json:"purpose"` // ForGameDay
	Decision GateDecision `json:"decision"`
	// Why says it in a sentence: of the SLO that decides.
	Why string `json:"why"`
	// Override is set where a person went past a gate that was shut.
	Override *Override `json:"override,omitempty"`
	SLOs     []Outlook `json:"slos"`
}

// Override is a person's word to go past a gate that does not allow a run. It moves no
// guard and no other check.
type Override struct {
	Reason string    `json:"reason"`
	By     string    `json:"by"` // user@host
	At     time.Time `json:"at"`
}

// Outlook is what was known of an SLO's error budget before a run. Shares are those of
// the budget of the whole period: 1 is all of it.
type Outlook struct {
	SLO    string `json:"slo"`
	Period string `json:"period"` // "30d", "calendar month (Europe/Berlin)"
	// Remaining is the share left; negative where overspent, null where unknown. Unknown
	// says then why.
	Remaining Float  `json:"remaining"`
	Unknown   string `json:"unknown,omitempty"`
	// Rate is the events a second lately, null where unknown.
	Rate Float `json:"rate"`
	// Likely is what the run costs if the hypotheses hold, Worst what it costs at most, if
	// every event fails until the faults are mended or a guard stops them. Null for a run
	// that breaks nothing.
	Likely Float `json:"likely"`
	Worst  Float `json:"worst"`
	// Allowance is the share that a guard lets the run spend, null without such a guard.
	Allowance Float `json:"allowance"`
	// Basis says what the forecast rests on.
	Basis string `json:"basis,omitempty"`
	// Pages says of each burn-rate alert whether the run can make it fire.
	Pages []PageOutlook `json:"pages,omitempty"`

	// Policy is the name of the policy that decided; empty without one.
	Policy   string       `json:"policy,omitempty"`
	Band     string       `json:"band,omitempty"`
	Reserve  Percent      `json:"reserve,omitempty"`
	Decision GateDecision `json:"decision"`
	Why      string       `json:"why"`
	Actions  []string     `json:"actions,omitempty"`
}

// PageOutlook tells whether a run can make an alert fire.
type PageOutlook struct {
	Alert string `json:"alert"`
	Can   bool   `json:"can"`
	// After is how long it would take if every event failed; set if Can.
	After time.Duration `json:"after_ns,omitempty"`
	Text  string        `json:"text"`
}

// PolicyOf is the policy that the budget of s is held to in e: its own, else that of
// the scenario; nil where there is neither.
func (e *Experiment) PolicyOf(s *SLO) *Policy {
	if s.Policy != nil {
		return s.Policy
	}
	return e.Policy
}

// gated tells that a policy must allow the run.
func (e *Experiment) gated() bool {
	return e.Policy != nil || slices.ContainsFunc(e.SLOs, func(s *SLO) bool { return s.Policy != nil })
}

// errShut ends the phase of planning where the gate does not allow the run. The verdict
// says why.
var errShut = fmt.Errorf("the gate does not allow it")

// pass asks the gate. It comes after the targets are known, as what they are decides
// what the run may cost, and before the first claim: what it refuses is not touched.
func (r *runner) pass(ctx context.Context, b *Blueprint) error {
	if r.o.Gate == nil {
		if r.e.gated() {
			return fmt.Errorf("scenario %q names an error_budget_policy, and there is nothing to ask what is left of the budgets", r.e.Name)
		}
		return nil
	}
	reading := r.ask(ctx, b)
	if err := ctx.Err(); err != nil {
		return err // what a gate could not read because it was cut short is no refusal
	}
	if reading.Decision == GateOpen && r.e.gated() {
		// A policy that has nothing to go by does not allow anything.
		reading.Decision, reading.Why = GateUnknown, "the scenario names a policy, and no slo that it measures has a budget to go by"
	}
	shut := reading.Decision != GateAllowed && reading.Decision != GateOpen
	if shut && r.o.Override != nil {
		reading.Override = r.o.Override
	}
	if reading.Decision == GateOpen && len(reading.SLOs) == 0 {
		return nil // there is no budget to speak of
	}
	r.result.Gate = reading
	for _, s := range r.e.SLOs {
		for _, outlook := range reading.SLOs {
			if outlook.SLO != s.Name {
				continue
			}
			if outlook.Remaining.Known() {
				r.history.SetRemaining(s, float64(outlook.Remaining))
			}
			// A baseline that is met within a scrape counts nothing. Until it does, and if it
			// does not, the traffic is that of lately.
			if outlook.Rate > 0 {
				r.history.SetRate(s, float64(outlook.Rate))
			}
		}
	}
	said := *reading
	if err := r.commit(Event{Type: EventGate, Gate: &said}); err != nil {
		return err
	}
	switch {
	case reading.Decision == GateOpen:
		return nil
	case reading.Override != nil:
		r.moment("plan", reading.overridden())
		return nil
	case shut:
		r.moment("plan", "The gate is shut: "+reading.Why)
		return errShut
	}
	r.moment("plan", "The gate is open: "+reading.Why)
	return nil
}

// ask gives a reading whatever happens; a gate that fails does not let anything pass.
func (r *runner) ask(ctx context.Context, b *Blueprint) *GateReading {
	reading, _, err := bounded(ctx, "the gate", func() (*GateReading, error) { return r.o.Gate(ctx, r.e, b), nil })
	if err == nil && reading == nil {
		err = fmt.Errorf("it gave no answer")
	}
	if err != nil {
		reading = &GateReading{At: time.Now(), Purpose: ForGameDay, Decision: GateOpen, Why: "the budgets could not be looked at: " + err.Error()}
		if r.e.gated() {
			reading.Decision = GateUnknown
		}
	}
	reading.Clean(r.o.Redact)
	return reading
}

// Clean takes secrets out of what servers said.
func (g *GateReading) Clean(redact func(string) string) {
	g.Why = redact(g.Why)
	for i := range g.SLOs {
		o := &g.SLOs[i]
		o.Unknown, o.Why, o.Basis = redact(o.Unknown), redact(o.Why), redact(o.Basis)
	}
}

// overridden says who went past the gate, and why.
func (g *GateReading) overridden() string {
	return fmt.Sprintf("%s overrode the gate, which said %s (%s): %s", g.Override.By, g.Decision, g.Why, g.Override.Reason)
}

// refusal is the reason of a run that the gate did not let begin.
func (g *GateReading) refusal() string {
	purpose := strings.ReplaceAll(g.Purpose, "-", " ")
	says := "the error budget policy refuses a " + purpose
	if g.Decision != GateRefused {
		says = "the error budget policy cannot tell whether a " + purpose + " is allowed"
	}
	return fmt.Sprintf("%s: %s; nothing was touched; to go ahead all the same: --override \"reason\"", says, strings.TrimSuffix(g.Why, "."))
}
