package experiments

import (
	"slices"
	"time"
)

// ResultSchema names the shape of a stored result; docs/result.schema.json
// describes it.
const ResultSchema = "gameday/result/v1"

// Result is what a run leaves: reports are rendered from it alone, at once or a
// year later.
type Result struct {
	Schema      string    `json:"schema"`
	Run         string    `json:"run"` // "20261124-153012-slow-payments-7f3a"
	Scenario    string    `json:"scenario"`
	Description string    `json:"description,omitempty"`
	Origin      string    `json:"origin"`
	Digest      string    `json:"digest"`
	Seed        uint64    `json:"seed"`
	Version     string    `json:"version"` // of gameday
	Host        string    `json:"host"`
	Rerun       *Rerun    `json:"rerun,omitempty"`
	Began       time.Time `json:"began"`
	Ended       time.Time `json:"ended"`

	Verdict Verdict `json:"verdict"`
	// Reason says in a sentence why the verdict is what it is.
	Reason string `json:"reason"`
	// Gate is what was known of the error budgets before anything was touched, and what the
	// policies said; nil where nobody asked.
	Gate *GateReading `json:"gate,omitempty"`

	Phases     []PhaseSpan        `json:"phases"`
	Hypotheses []HypothesisResult `json:"hypotheses"`
	Faults     []FaultResult      `json:"faults"`
	Hits       []HitResult        `json:"hits"`
	Guards     []GuardResult      `json:"guards"`
	SLOs       []SLOResult        `json:"slos,omitempty"`
	Journeys   []JourneyResult    `json:"journeys,omitempty"`
	Stop       *Stop              `json:"stop,omitempty"`
	// Left lists what could not be proven mended, with what to do.
	Left []string `json:"left,omitempty"`
	// Recovered is when everything that a run left was proven mended after its end, by
	// its watchdog or by hand. The verdict stays what it was.
	Recovered time.Time `json:"recovered,omitzero"`
	Errors    []string  `json:"errors,omitempty"`
	// Notifications are the notices that were sent to receivers, or could not be.
	Notifications []Notification `json:"notifications,omitempty"`
	Timeline      []Moment       `json:"timeline"`
	Series        []*Series      `json:"series"`
}

// Rerun says how a run was started, so that a report can say how to do it again.
type Rerun struct {
	// Command is the program and its arguments. Values of secret variables are not in it.
	Command   []string `json:"command"`
	Directory string   `json:"directory,omitempty"` // in which it was typed: relative paths count from there
	// State is the folder of runs, empty for the user's default one.
	State string `json:"state,omitempty"`
	// Secrets are the names of the variables that were given a secret value.
	Secrets []string `json:"secrets,omitempty"`
}

// PhaseSpan is when a phase ran.
type PhaseSpan struct {
	Phase Phase     `json:"phase"`
	From  time.Time `json:"from"`
	To    time.Time `json:"to"`
}

// HypothesisResult is what a hypothesis came to. Before, During and Recovery are
// nil where it was not judged.
type HypothesisResult struct {
	Name      string `json:"name"`
	Statement string `json:"statement"` // "at least 99.5% of slo.checkout's events are good"
	Series    string `json:"series"`
	Origin    string `json:"origin,omitempty"`
	// Unit and Limit are what a chart draws: "ratio" (good share), "s", or the probe's own.
	Unit  string    `json:"unit,omitempty"`
	Limit Float     `json:"limit"`
	Kind  LimitKind `json:"kind"`

	Verdict  Verdict    `json:"verdict"`
	Reason   string     `json:"reason"`
	Before   *Judgement `json:"before,omitempty"`
	During   *Judgement `json:"during,omitempty"`
	Recovery *Judgement `json:"recovery,omitempty"`
	// RecoveredAfter is the time from the last revert until it held again.
	RecoveredAfter time.Duration `json:"recovered_after_ns,omitempty"`
	// RecoverWithin is the time it had for that; MayBreak tells that it was allowed to
	// break while faults were on.
	RecoverWithin time.Duration `json:"recover_within_ns,omitempty"`
	MayBreak      bool          `json:"may_break,omitempty"`
}

// FaultResult is a fault as planned and what came of it.
type FaultResult struct {
	Name   string `json:"name"`
	Kind   string `json:"kind"`
	Origin string `json:"origin,omitempty"`
	// Dependency is what the scenario says that the fault breaks, for the matrix.
	Dependency string        `json:"dependency,omitempty"`
	At         time.Duration `json:"at_ns"`
	After      string        `json:"after,omitempty"`
	Duration   time.Duration `json:"duration_ns"`
	Every      string        `json:"every,omitempty"`
	Rounds     int           `json:"rounds"`
	Hits       int           `json:"hits"`     // planned
	Injected   int           `json:"injected"` // proven
	Restored   int           `json:"restored"` // proven
}

// count adds a hit of the fault. One that was dropped was replaced by another.
func (f *FaultResult) count(h *HitResult) {
	if h.Step == Dropped {
		return
	}
	f.Hits++
	if !h.Injected.IsZero() {
		f.Injected++
	}
	if !h.Verified.IsZero() {
		f.Restored++
	}
}

// HitResult is a hit and its life.
type HitResult struct {
	Hit
	Steps []StepTime `json:"steps"`
	Step  Step       `json:"step"` // the last
	// Proof is what was read back after injecting, Mended after reverting.
	Proof    string    `json:"proof,omitempty"`
	Mended   string    `json:"mended,omitempty"`
	State    State     `json:"state,omitempty"`
	Injected time.Time `json:"injected,omitzero"`
	Verified time.Time `json:"verified,omitzero"`
	Error    string    `json:"error,omitempty"`
	// Findings are what was measured about the hit afterwards, such as the time until a
	// killed pod was replaced.
	Findings []Finding `json:"findings,omitempty"`
}

// Begun tells whether the hit may have done harm: its intent was journaled.
func (h *HitResult) Begun() bool {
	return h.Step.Begun() || !h.Injected.IsZero() || slices.ContainsFunc(h.Steps, func(s StepTime) bool { return s.Step.Begun() })
}

// StepTime is when a hit took a step.
type StepTime struct {
	Step Step      `json:"step"`
	At   time.Time `json:"at"`
}

// GuardResult is a guard and what it saw.
type GuardResult struct {
	Name    string `json:"name"`
	Kind    string `json:"kind"`
	Default bool   `json:"default,omitempty"`
	Origin  string `json:"origin,omitempty"`
	// Worst is the reading that took most of its limit, Last the final one. Looks is
	// how many times it was asked.
	Worst   *Reading  `json:"worst,omitempty"`
	WorstAt time.Time `json:"worst_at,omitzero"`
	Last    *Reading  `json:"last,omitempty"`
	Looks   int       `json:"looks"`
	Tripped bool      `json:"tripped"`
	// Bound is the limit that a chart can draw, nil where the guard has none.
	Bound *Bound `json:"bound,omitempty"`
}

// SLOResult is what the run cost an SLO.
type SLOResult struct {
	Name        string        `json:"name"`
	Description string        `json:"description,omitempty"`
	Objective   Percent       `json:"objective"`
	Window      time.Duration `json:"window_ns"`
	// Bad and Total are the events from the first injection to the end of the run, and
	// Rate the events a second of the baseline; where that was too short to count any,
	// those of the minutes before.
	Bad   float64 `json:"bad"`
	Total float64 `json:"total"`
	Rate  Float   `json:"rate"`
	// Spent is the share of the whole window's budget that Bad took, at Rate.
	Spent Float `json:"spent"`
	// Account sets that against what was usual and what was expected; nil in results of
	// versions that kept none, and where nothing was injected.
	Account *Account `json:"account,omitempty"`
}

// Moment is a line of the timeline.
type Moment struct {
	At   time.Time `json:"at"`
	Kind string    `json:"kind"` // phase, plan, fault, guard, hypothesis, stop, note, error
	Text string    `json:"text"`
}
