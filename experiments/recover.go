package experiments

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/gameday-sh/gameday/internal/crash"
)

// mender reverts a hit and proves it, again and again until its time is up.
type mender struct {
	fault careful
	emit  func(step Step, seen string, state State, err error)
	// acting, if set, tells that the injection of the hit has not returned.
	acting func() bool
}

// The wait between two tries of a revert grows from first to most.
const (
	firstRetry = 50 * time.Millisecond
	mostRetry  = time.Second
)

// mend tells whether the hit is proven to be gone.
func (m mender) mend(ctx context.Context, hit Hit) bool {
	for wait := firstRetry; ; wait = min(2*wait, mostRetry) {
		m.emit(Reverting, "", "", nil)
		acting := m.acting != nil && m.acting()
		crash.Point("revert " + hit.ID)
		err := m.fault.revert(ctx, hit)
		crash.Point("reverted " + hit.ID)
		if err == nil {
			m.emit(Reverted, "", "", nil)
			var seen Observation
			seen, err = m.fault.check(ctx, hit)
			switch {
			case err == nil && acting:
				err = fmt.Errorf("reverted, but its injection has not returned and may still act; the target reads %s: %s", seen.State, seen.Seen)
			case err == nil && (seen.State == Whole || seen.State == Superseded):
				m.emit(Verified, seen.Seen, seen.State, nil)
				return true
			case err == nil:
				err = fmt.Errorf("reverted, but the target reads %s: %s", seen.State, seen.Seen)
			}
		}
		m.emit(Stuck, "", "", err)
		if !sleepUntil(ctx, time.Now().Add(wait)) {
			return false
		}
	}
}

// Outstanding lists the hits that events tell of and that may still be in the
// world, newest first. Damaged tells that some of the events could not be read:
// then every planned hit that was not proven mended may have been done.
func Outstanding(events []Event, damaged bool) []Hit {
	hits := map[string]Hit{}
	last := map[string]Step{}
	var order []string
	for _, event := range events {
		if event.Hit == nil {
			continue
		}
		id := event.Hit.ID
		if _, known := last[id]; !known {
			order = append(order, id)
			hits[id] = lostHit(id)
		}
		if event.Hit.Hit != nil {
			hits[id] = *event.Hit.Hit
		}
		last[id] = event.Hit.Step
	}
	var list []Hit
	for i := len(order) - 1; i >= 0; i-- {
		step := last[order[i]]
		if mayHarm(step) || damaged && step != Verified {
			list = append(list, hits[order[i]])
		}
	}
	return list
}

// lostHit stands for a hit whose record cannot be read, though a step of its life
// can: it may be in the world, and only its name is known. Its kind is empty.
func lostHit(id string) Hit {
	hit := Hit{ID: id, Target: id, Effect: "an effect that is not known, as its record is lost"}
	if parts := strings.SplitN(id, "/", 3); len(parts) == 3 {
		hit.Fault, hit.Target = parts[0], parts[2]
	}
	return hit
}

// Recovery is what Recover did.
type Recovery struct {
	Mended []string // the hits proven to be gone, in words
	Left   []string // those that are not, with the reason
}

// Recover mends the hits that a run left behind, newest first and different targets
// side by side, from their records alone. It gives each hit up to within, and writes
// what it does to the journal if there is one. Kind finds a fault by the name of its
// kind. Watch is called from several goroutines, but never from two at once.
func Recover(ctx context.Context, left []Hit, within time.Duration, kind func(string) (Fault, bool), j Journal, watch func(Event)) (Recovery, error) {
	r := recovery{journal: j, watch: watch, mended: map[string]string{}, left: map[string]string{}}
	sideBySide(left, func(hit Hit) {
		if hit.Kind == "" {
			r.leave(hit, fmt.Sprintf("what fault %q did to it is lost with the damaged part of the journal; look at it, and mend it by hand", hit.Fault))
			return
		}
		fault, known := kind(hit.Kind)
		if !known {
			r.leave(hit, fmt.Sprintf("this gameday knows no fault of kind %q; use the version that injected it", hit.Kind))
			return
		}
		var last error
		m := mender{fault: careful{fault, hit.Kind}, emit: func(step Step, seen string, state State, err error) {
			last = err
			r.emit(hit, step, seen, state, err)
		}}
		trying, cancel := context.WithTimeout(ctx, within)
		defer cancel()
		if !m.mend(trying, hit) {
			r.leave(hit, last.Error())
		}
	})
	var done Recovery
	for _, hit := range left {
		if text, found := r.mended[hit.ID]; found {
			done.Mended = append(done.Mended, text)
		}
		if text, found := r.left[hit.ID]; found {
			done.Left = append(done.Left, text)
		}
	}
	if j != nil && r.journalFailed == nil {
		verdict, text := Errored, "mended after the runner had died"
		if len(done.Left) > 0 {
			verdict, text = NotRestored, "some hits could not be proven mended"
		}
		r.journalFailed = j.Commit(Event{At: time.Now(), Type: EventEnd, Phase: PhaseRevert, Verdict: verdict, Text: text})
	}
	return done, r.journalFailed
}

// recovery collects what became of the hits, by their IDs.
type recovery struct {
	journal Journal
	watch   func(Event)

	mu            sync.Mutex
	mended, left  map[string]string
	journalFailed error
}

func (r *recovery) leave(hit Hit, why string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.left[hit.ID] = hit.Target + ": " + why
}

func (r *recovery) emit(hit Hit, step Step, seen string, state State, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	event := Event{At: time.Now(), Type: EventHit, Phase: PhaseRevert, Hit: &HitEvent{ID: hit.ID, Step: step, Seen: seen, State: state}}
	if err != nil {
		event.Hit.Error = err.Error()
	}
	if r.journal != nil {
		// A journal that cannot be written must not keep anyone from mending.
		if err := r.journal.Append(event); err != nil && r.journalFailed == nil {
			r.journalFailed = err
		}
	}
	if r.watch != nil {
		r.watch(event)
	}
	if step == Verified {
		if state == Superseded {
			seen = "superseded: " + seen
		}
		r.mended[hit.ID] = hit.Target + ": " + seen
	}
}
