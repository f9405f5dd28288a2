package experiments

import (
	"context"
	"fmt"
	"time"
)

// A Keeper is a fault whose targets are reached from several machines, and whose
// fuses burn in the target's own failure domain: it claims its targets where other
// runners see it, and puts off its fuses as long as the harm is wanted.
type Keeper interface {
	Fault
	// Claim reserves what hits touch for the run. It fails with the name of the run
	// that has it. Claiming again is harmless.
	Claim(ctx context.Context, run string, hits []Hit) error
	// Keep renews the claims, and the fuses of hits that are injected. It is called
	// every KeepPace until all is mended. What was taken away meanwhile it must not
	// bring back.
	Keep(ctx context.Context, run string, hits []Kept) error
	// Yield gives the claims back.
	Yield(ctx context.Context, run string, hits []Hit) error
}

// Kept is a hit whose claim is renewed.
type Kept struct {
	Hit
	Injected bool
	// Age is the time since its injection.
	Age time.Duration
}

// KeepPace is the time between two calls of Keep.
const KeepPace = 5 * time.Second

// A Fleeting fault has targets that come and go by themselves, such as pods. A round
// one of whose targets has gone before its turn is drawn again, from the same numbers.
type Fleeting interface {
	Fault
	// Gone gives the targets, of hits that were planned, that are not there any more, as
	// far as it could tell. It changes nothing.
	Gone(ctx context.Context, hits []Hit) (targets []string, err error)
}

// A Perishable fault makes something that somebody else may take away while it is on,
// and that is not missed any more once it is reverted.
type Perishable interface {
	Fault
	// Perished looks, just before a hit is reverted, whether its harm is gone already, and
	// says what it sees then; it says nothing where the harm is there.
	Perished(ctx context.Context, h Hit) (seen string, err error)
}

// A Follower is a fault that can tell what the system makes of a hit: when a killed
// pod is replaced, and when the new one is ready.
type Follower interface {
	Fault
	// Follow watches what becomes of the hits of a round, each of which comes when it was
	// injected, until none is to come, which closes the channel, and nothing more is to
	// be told of any, or ctx ends. It changes nothing. Tell takes the ID of a hit; it may
	// be called by several goroutines at once.
	Follow(ctx context.Context, injected <-chan Hit, tell func(hit string, f Finding)) error
}

// Finding is something that was measured about a hit after its injection.
type Finding struct {
	Name  string        `json:"name"` // "gone", "replaced", "running", "ready", "event"
	At    time.Time     `json:"at"`   // when it was seen; the runner fills it in
	After time.Duration `json:"after_ns"`
	Text  string        `json:"text"`
	// Source says who tells it, if not the fault itself: "Kubernetes event of kubelet on
	// worker-1".
	Source string `json:"source,omitempty"`
}

// words say a finding in a line.
func (f Finding) words(fault string) string {
	said := fmt.Sprintf("%s: %s, %s after the hit", fault, f.Text, FormatDuration(f.After.Round(10*time.Millisecond)))
	if f.Source != "" {
		said += " (" + f.Source + ")"
	}
	return said
}
