package experiments

import "time"

// An Experiment is a scenario, decoded and tied to the world: what to measure,
// what should hold, what to break and when to stop.
type Experiment struct {
	Name        string
	Description string
	Origin      string // "shop.hcl:31"
	Source      Source
	// Seed decides every random choice. SeedDrawn tells that the scenario named none.
	Seed      uint64
	SeedDrawn bool

	// Probes and SLOs are those that a hypothesis or a guard of this scenario uses.
	Probes     []*Probed
	SLOs       []*SLO
	Hypotheses []*Hypothesis
	Faults     []*FaultPlan
	Guards     []*GuardPlan
	// Policy, if set, must allow a game day by the budget that is left of each of SLOs.
	// An SLO without one of its own is held to it.
	Policy *Policy
	// Notify is who is told of the run.
	Notify []*ReceiverPlan

	// Baseline is how long the system is watched at least before anything is broken;
	// zero means until each hypothesis has its answer. BaselineWithin is the most.
	Baseline       time.Duration
	BaselineWithin time.Duration
	// RevertWithin bounds one hit's revert and its proof.
	RevertWithin time.Duration

	// Fixed, if set, holds the run to what was chosen before.
	Fixed *Fixed
}

// Source is the exact text an experiment was decoded from.
type Source struct {
	Files  []SourceFile `json:"files"`
	Digest string       `json:"digest"` // "sha256:…" over names and texts
}

// SourceFile is one file of a configuration.
type SourceFile struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

// Phase is a part of a run.
type Phase string

// The phases, in order.
const (
	PhaseCheck    Phase = "check"
	PhasePlan     Phase = "plan"
	PhaseBaseline Phase = "baseline"
	PhaseDisrupt  Phase = "disrupt"
	PhaseRevert   Phase = "revert"
	PhaseRecover  Phase = "recover"
	PhaseReport   Phase = "report"
)

// Verdict is what a run, or one hypothesis of it, came to.
type Verdict string

// The verdicts.
const (
	Held         Verdict = "held"
	Refuted      Verdict = "refuted"
	Invalid      Verdict = "invalid"
	Aborted      Verdict = "aborted"
	Inconclusive Verdict = "inconclusive"
	Errored      Verdict = "error"
	NotRestored  Verdict = "not restored"
)

// ExitCode is the process exit code of a verdict; 5 for an unknown one.
func (v Verdict) ExitCode() int {
	switch v {
	case Held:
		return 0
	case Refuted:
		return 1
	case Invalid:
		return 2
	case Aborted:
		return 3
	case Inconclusive:
		return 4
	case NotRestored:
		return 6
	}
	return 5
}

// Worst picks the verdict of several runs: not restored, error, aborted,
// refuted, inconclusive, held. Of none it is inconclusive.
func Worst(verdicts ...Verdict) Verdict {
	for _, worst := range []Verdict{Invalid, NotRestored, Errored, Aborted, Refuted, Inconclusive} {
		for _, v := range verdicts {
			if v == worst {
				return v
			}
		}
	}
	if len(verdicts) == 0 {
		return Inconclusive
	}
	return Held
}
