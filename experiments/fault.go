package experiments

import (
	"context"
	"encoding/json"
	"time"
)

// A Fault does one kind of harm, and undoes it.
//
// Revert and Check work from the hit alone: a zero value of the same kind, in a
// fresh process on the same machine, must be able to call them.
type Fault interface {
	// Lasts tells whether the harm stays until it is reverted (a toxic) or is over
	// at once (a kill).
	Lasts() bool
	// Plan looks at the world and says who would be hit and what undoing takes. It
	// changes nothing. The runner fills in what the schedule decides: ID, Fault, Kind, Round, At
	// and Lasts.
	Plan(ctx context.Context, d Draw) ([]Hit, error)
	// Inject does exactly h and reads back that it took effect. It fails, having
	// changed nothing, if the target moved since Plan. When ctx is cancelled it
	// leaves nothing behind, or returns an error and lets Revert clean up.
	Inject(ctx context.Context, h Hit) (Proof, error)
	// Revert undoes h. Doing it twice, or before h was injected, is harmless.
	Revert(ctx context.Context, h Hit) error
	// Check reads the world and tells what is left of h.
	Check(ctx context.Context, h Hit) (Observation, error)
}

// Draw is what a fault needs to choose its targets: the run, for names that can
// be told apart, and the random numbers of this fault and round, from the seed.
// Targets are drawn with [Draw.Sample], so that a run can be held to an earlier choice.
type Draw struct {
	Run   string
	Fault string
	Round int
	// Uniform returns the next number in [0, 1).
	Uniform func() float64

	choice *choice
}

// Hit is one fault done to one target: everything a fresh process needs to do,
// find and undo it. It holds no secret.
type Hit struct {
	// ID is unique in the run: fault/round/target.
	ID    string `json:"id"`
	Fault string `json:"fault"` // name in the scenario
	Kind  string `json:"kind"`  // key in the table of faults
	Round int    `json:"round"` // from 1
	// Target says to a person what is hit: "proxy payments".
	Target string `json:"target"`
	// Holds names the thing in the world that no second run may hit meanwhile, the
	// same from every scenario that reaches it: "toxiproxy 127.0.0.1:8474 payments".
	Holds string `json:"holds"`
	// Effect, Undo and Fuse say to a person what is done, how it is undone, and what
	// ends it when nobody is left to undo it. Fuse is empty for a hit that is over at
	// once, and for one without a fuse, which only `unfused = true` allows.
	Effect string `json:"effect"`
	Undo   string `json:"undo"`
	Fuse   string `json:"fuse,omitempty"`
	// At is when it is due by the schedule, from the start of the disruption.
	At time.Duration `json:"at_ns"`
	// Lasts is how long the harm is held; zero for a hit that is over at once.
	Lasts time.Duration `json:"lasts_ns,omitempty"`
	// Takes names what bounds how many may be down at once; the hit takes one of each.
	Takes []Allowance `json:"takes,omitempty"`
	// Alone tells that what it Holds bears no second hit of this sort at the same time: a
	// plan in which two would meet is refused.
	Alone bool `json:"-"`
	// Pin is what must be the same when a plan is carried out later: what tells the target
	// from another of its name, what stands there, and what is done to it. Nothing in it
	// depends on the run.
	Pin map[string]string `json:"pin,omitempty"`
	// Draws, on the first hit of a round, tell how the targets of the round were drawn.
	Draws []Sampling `json:"draws,omitempty"`
	// Spec is the kind's own: where the target is, what stood before, what to restore.
	Spec json.RawMessage `json:"spec,omitempty"`
}

// WatchdogFuse is the fuse of every hit that is driven from the runner's machine:
// a process in a session of its own that reverts when the runner dies or hangs.
const WatchdogFuse = "watchdog process"

// Proof is what was read back after an injection.
type Proof struct {
	Seen string `json:"seen"` // "toxic listed: latency (latency 300 ms, jitter 50 ms) downstream"
}

// State is what a fault's Check found of a hit in the world.
type State string

// The states of a hit in the world.
const (
	// Harmed: the harm is there.
	Harmed State = "harmed"
	// Whole: nothing of the hit is left, and the target is as it was before.
	Whole State = "whole"
	// Superseded: nothing of the hit is left, but somebody else changed the target
	// meanwhile; there is nothing to undo any more.
	Superseded State = "superseded"
	// Unknown: the world could not be read. Never taken for Whole.
	Unknown State = "unknown"
)

// Observation is a State with what was seen.
type Observation struct {
	State State  `json:"state"`
	Seen  string `json:"seen"` // "no toxic gameday-7f3a-1 on payments"
}

// Schedule says when a fault acts, counted from the start of the disruption.
type Schedule struct {
	At time.Duration
	// After names the fault whose end starts this one; At counts from there.
	After string
	// Duration is how long each hit of a lasting fault is held; for a fault that is
	// over at once and has Every, how long its rounds go on.
	Duration time.Duration
	// Every is the time from one round's start to the next; zero means one round.
	Every Range
	// Times limits the rounds; zero means as many as Duration holds.
	Times int
}

// FaultPlan is a fault of a scenario with its schedule.
type FaultPlan struct {
	Name     string
	Kind     string
	Schedule Schedule
	// Dependency names what the system depends on that the fault breaks; empty where the
	// scenario leaves that to the targets' names.
	Dependency string
	// Unfused allows hits without a fuse.
	Unfused bool
	Fault   Fault
	// Origin is where the scenario declares it: "shop.hcl:12".
	Origin string
}

// Step is a stage in the life of a hit. Each is journaled; Intended before the
// injection and Reverting before the revert.
type Step string

// The life of a hit.
const (
	Planned   Step = "planned"
	Armed     Step = "armed"
	Intended  Step = "intended"
	Injected  Step = "injected"
	Reverting Step = "reverting"
	Reverted  Step = "reverted"
	Verified  Step = "verified"
	// Failed: the injection failed; what it may have left is reverted like any hit.
	Failed Step = "failed"
	// Stuck: the revert, or its proof, failed; it is tried again.
	Stuck Step = "stuck"
	// Dropped: the target was gone before its turn, so that the round was drawn again,
	// without this hit. It was never begun.
	Dropped Step = "dropped"
)

// Begun tells whether a hit that went through this step may have done harm: its intent
// was journaled.
func (s Step) Begun() bool {
	switch s {
	case "", Planned, Armed, Dropped:
		return false
	}
	return true
}
