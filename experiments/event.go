package experiments

import "time"

// EventType tells which part of an Event is set.
type EventType string

// The types of events, and the field that carries each.
const (
	EventBegin     EventType = "begin"     // Begin
	EventPhase     EventType = "phase"     // Phase
	EventHit       EventType = "hit"       // Hit
	EventSample    EventType = "sample"    // Sample, Series
	EventCount     EventType = "count"     // Count, Series
	EventJudgement EventType = "judgement" // Judgement, Name: the hypothesis, Series: what it rests on
	EventGuard     EventType = "guard"     // Guard, Name: the guard
	EventGate      EventType = "gate"      // Gate
	EventBudget    EventType = "budget"    // Budget, Series: the SLO
	EventStop      EventType = "stop"      // Stop
	EventNote      EventType = "note"      // Text; of a finding also Finding, and Name: the hit
	EventEnd       EventType = "end"       // Verdict, Text
	// EventNotification is journaled when a notice was sent or given up; the runner does
	// not emit it.
	EventNotification EventType = "notification" // Notification
	// EventMissing stands in what a reader gets for events that were left out because the
	// reader had fallen far behind; the runner does not emit it, and no journal has it.
	EventMissing EventType = "missing" // Missing
)

// Event is one thing that happened in a run. The stream of them feeds the
// terminal, the journal and `--json` alike.
type Event struct {
	At    time.Time `json:"at"`
	Type  EventType `json:"type"`
	Phase Phase     `json:"phase,omitempty"` // the phase it happened in

	Begin     *Begin     `json:"begin,omitempty"`
	Hit       *HitEvent  `json:"hit,omitempty"`
	Series    string     `json:"series,omitempty"` // "probe.front_door", "journey.checkout", "slo.checkout"
	Sample    *Sample    `json:"sample,omitempty"`
	Value     *Float     `json:"value,omitempty"` // of Sample
	Count     *Count     `json:"count,omitempty"`
	Name      string     `json:"name,omitempty"`
	Judgement *Judgement `json:"judgement,omitempty"`
	// MayBreak tells that Judgement may be refuted without harm to the verdict: faults
	// are on, and the hypothesis does not speak of that time.
	MayBreak bool         `json:"may_break,omitempty"`
	Guard    *Reading     `json:"guard,omitempty"`
	Gate     *GateReading `json:"gate,omitempty"`
	Budget   *BudgetLeft  `json:"budget,omitempty"`
	Stop     *Stop        `json:"stop,omitempty"`
	Finding  *Finding     `json:"finding,omitempty"`
	// Notification is set in the journal only.
	Notification *Notification `json:"notification,omitempty"`
	// Missing is how many events were left out.
	Missing int     `json:"missing,omitempty"`
	Verdict Verdict `json:"verdict,omitempty"`
	Text    string  `json:"text,omitempty"`
}

// Begin says what run this is.
type Begin struct {
	Run      string `json:"run"`
	Scenario string `json:"scenario"`
	Origin   string `json:"origin"`
	Digest   string `json:"digest"`
	Seed     uint64 `json:"seed"`
	Version  string `json:"version"`
	PID      int    `json:"pid"`
	Host     string `json:"host"`
	Rerun    *Rerun `json:"rerun,omitempty"`
}

// HitEvent is a step in the life of a hit. Hit is set at Planned, and ID always.
type HitEvent struct {
	ID    string `json:"id"`
	Step  Step   `json:"step"`
	Hit   *Hit   `json:"hit,omitempty"`
	Seen  string `json:"seen,omitempty"`  // what was read back
	State State  `json:"state,omitempty"` // at Verified: whole or superseded
	Error string `json:"error,omitempty"`
}

// Stop says why a run was stopped before its time, and how long stopping took.
type Stop struct {
	Cause string `json:"cause"` // "guard page-worthy: burn 21.3 of 14.4", "interrupted (Ctrl-C)"
	Guard string `json:"guard,omitempty"`
	// Breach is when the sample that broke the guard was taken, or the person asked;
	// Restored when the last revert was proven.
	Breach   time.Time `json:"breach"`
	Restored time.Time `json:"restored,omitzero"`
}

// Took is the time from the breach to the last proven revert; zero while unknown.
func (s Stop) Took() time.Duration {
	if s.Restored.IsZero() {
		return 0
	}
	return s.Restored.Sub(s.Breach)
}

// A Journal keeps events on disk. It is safe for concurrent use.
type Journal interface {
	// Append writes the event and does not wait for the disk.
	Append(Event) error
	// Commit writes the events and returns when they are on disk. After an error
	// nothing more may be injected.
	Commit(...Event) error
}
