package experiments

import (
	"slices"
	"sync"
	"time"
)

// hitBook keeps the life of every hit of a run. It is safe for concurrent use.
type hitBook struct {
	mu    sync.Mutex
	order []*liveHit
	byID  map[string]*liveHit
	// redact takes secrets out of what faults say.
	redact func(string) string
}

type liveHit struct {
	result HitResult
	// acting tells that its injection has not returned: whatever is undone meanwhile may
	// be done again.
	acting bool
}

func newHitBook(redact func(string) string) *hitBook {
	return &hitBook{byID: map[string]*liveHit{}, redact: redact}
}

// plan enters a hit and returns the event that says so.
func (b *hitBook) plan(hit Hit) Event {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	live := &liveHit{result: HitResult{Hit: hit, Step: Planned, Steps: []StepTime{{Planned, now}}}}
	b.order = append(b.order, live)
	b.byID[hit.ID] = live
	return Event{At: now, Type: EventHit, Hit: &HitEvent{ID: hit.ID, Step: Planned, Hit: &hit}}
}

// renew has a hit that is drawn again be as it is planned now, and tells whether there is
// one. The journal has all of it before it is injected.
func (b *hitBook) renew(hit Hit) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	live := b.byID[hit.ID]
	if live != nil {
		live.result.Hit = hit
	}
	return live != nil
}

// drop leaves out the hits of a round that was drawn again without them, and returns the
// events that say so.
func (b *hitBook) drop(round, drawn []Hit) []Event {
	var list []Event
	for _, hit := range round {
		if !slices.ContainsFunc(drawn, func(other Hit) bool { return other.ID == hit.ID }) {
			list = append(list, b.step(hit.ID, Dropped, "", "", nil))
		}
	}
	return list
}

// step moves a hit on and returns the event that says so.
func (b *hitBook) step(id string, step Step, seen string, state State, err error) Event {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	seen = b.redact(seen)
	r := &b.byID[id].result
	r.Step = step
	r.Steps = append(r.Steps, StepTime{step, now})
	event := &HitEvent{ID: id, Step: step, Seen: seen, State: state}
	switch step {
	case Intended:
		// The whole hit once more: mending must not depend on one record alone.
		hit := r.Hit
		event.Hit = &hit
	case Injected:
		r.Proof, r.Injected = seen, now
	case Verified:
		r.Mended, r.State, r.Verified, r.Error = seen, state, now, ""
	}
	if err != nil {
		r.Error = b.redact(err.Error())
		event.Error = r.Error
	}
	return Event{At: now, Type: EventHit, Hit: event}
}

// act notes that the injection of a hit begins, or that it has returned.
func (b *hitBook) act(id string, acting bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.byID[id].acting = acting
}

// acting tells whether the injection of a hit has not returned.
func (b *hitBook) acting(id string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.byID[id].acting
}

// stuck is the first of hits that may still be in the world.
func (b *hitBook) stuck(hits []Hit) (HitResult, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, hit := range hits {
		if r := b.byID[hit.ID].result; mayHarm(r.Step) {
			return r, true
		}
	}
	return HitResult{}, false
}

// find adds what was measured of a hit after its injection.
func (b *hitBook) find(id string, f Finding) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := &b.byID[id].result
	r.Findings = append(r.Findings, f)
}

// outstanding lists the hits that may be in the world, newest first.
func (b *hitBook) outstanding() []Hit {
	b.mu.Lock()
	defer b.mu.Unlock()
	var list []Hit
	for i := len(b.order) - 1; i >= 0; i-- {
		if r := &b.order[i].result; mayHarm(r.Step) {
			list = append(list, r.Hit)
		}
	}
	return list
}

// mayHarm tells whether a hit whose last step this is may still be in the world.
func mayHarm(last Step) bool {
	switch last {
	case Intended, Injected, Failed, Reverting, Reverted, Stuck:
		return true
	}
	return false
}

// left lists the hits that may be in the world, as results.
func (b *hitBook) left() []HitResult {
	b.mu.Lock()
	defer b.mu.Unlock()
	var list []HitResult
	for _, live := range b.order {
		if mayHarm(live.result.Step) {
			list = append(list, live.result)
		}
	}
	return list
}

func (b *hitBook) results() []HitResult {
	b.mu.Lock()
	defer b.mu.Unlock()
	list := make([]HitResult, 0, len(b.order))
	for _, live := range b.order {
		list = append(list, live.result)
	}
	return list
}

// injected counts the hits whose effect was proven.
func (b *hitBook) injected() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	count := 0
	for _, live := range b.order {
		if !live.result.Injected.IsZero() {
			count++
		}
	}
	return count
}

// touched counts the hits that were at least intended.
func (b *hitBook) touched() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	count := 0
	for _, live := range b.order {
		if live.result.Begun() {
			count++
		}
	}
	return count
}

// lastVerified is when the last revert was proven; zero if none was.
func (b *hitBook) lastVerified() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	var last time.Time
	for _, live := range b.order {
		if live.result.Verified.After(last) {
			last = live.result.Verified
		}
	}
	return last
}

// summary counts what became of a fault.
func (b *hitBook) summary(slot Slot) FaultResult {
	s := slot.Plan.Schedule
	f := FaultResult{
		Name: slot.Plan.Name, Kind: slot.Plan.Kind, Origin: slot.Plan.Origin, Dependency: slot.Plan.Dependency,
		At: slot.Start, After: s.After, Duration: s.Duration, Rounds: len(slot.Rounds),
	}
	if s.Every.Max > 0 {
		f.Every = s.Every.String()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, live := range b.order {
		if live.result.Fault == slot.Plan.Name {
			f.count(&live.result)
		}
	}
	return f
}

// of lists the hits of a fault's round.
func (b *hitBook) of(fault string, round int) []Hit {
	b.mu.Lock()
	defer b.mu.Unlock()
	var list []Hit
	for _, live := range b.order {
		if live.result.Fault == fault && live.result.Round == round {
			list = append(list, live.result.Hit)
		}
	}
	return list
}
