package experiments

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gameday-sh/gameday/internal/crash"
)

// disrupt lets every fault act by its schedule and returns when all have ended, or
// as soon as the run is stopped; what is then still broken, revertAll mends.
func (r *runner) disrupt(ctx context.Context) {
	work, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r.cancelWork = cancel
	began := time.Now()
	over := map[string]chan struct{}{}
	for _, slot := range r.slots {
		over[slot.Plan.Name] = make(chan struct{})
	}
	var players sync.WaitGroup
	for _, slot := range r.slots {
		players.Go(func() {
			defer close(over[slot.Plan.Name])
			r.play(work, slot, began, over[slot.Plan.Schedule.After])
		})
	}
	ended := make(chan struct{})
	go func() {
		players.Wait()
		close(ended)
	}()
	// A fault that does not keep to its context must not keep the others from being
	// mended; what it may have done is outstanding, and is mended with them.
	var limit time.Time
	r.loop(ctx, ended, func() bool {
		if work.Err() != nil && limit.IsZero() {
			limit = time.Now().Add(r.e.RevertWithin)
		}
		return !limit.IsZero() && time.Now().After(limit)
	})
	r.cancelWork = nil
}

// play lets one fault act, round after round. It waits for the fault it comes
// after, if any, to be over in truth and not only by the schedule.
func (r *runner) play(ctx context.Context, s Slot, began time.Time, after <-chan struct{}) {
	if after != nil {
		select {
		case <-after:
		case <-ctx.Done():
			return
		}
		// What came before may have taken longer than planned; keep the distance.
		if late := time.Since(began) + s.Plan.Schedule.At - s.Start; late > 0 {
			began = began.Add(late)
		}
	}
	for i, offset := range s.Rounds {
		if !sleepUntil(ctx, began.Add(s.Start+offset)) {
			return
		}
		hits, err := r.round(ctx, s, i+1)
		if err == nil {
			err = r.injectAll(ctx, s.Plan, hits)
		}
		if err != nil {
			if ctx.Err() == nil {
				r.inbox <- func() { r.fail(err) }
			}
			return
		}
		if !s.Plan.Fault.Lasts() {
			continue
		}
		if !sleepUntil(ctx, time.Now().Add(s.Plan.Schedule.Duration)) {
			return
		}
		r.revertHits(context.WithoutCancel(ctx), newestFirst(hits))
	}
	// An instant fault's rounds may go on for longer than its last hit; whoever comes
	// after it starts at the end.
	sleepUntil(ctx, began.Add(s.End))
}

// round gives the hits of a round: those of the first were planned before the
// baseline, later ones look again.
func (r *runner) round(ctx context.Context, slot Slot, round int) ([]Hit, error) {
	if round == 1 {
		return r.hits.of(slot.Plan.Name, 1), nil
	}
	hits, err := r.e.planRound(ctx, slot, r.o.Run, round)
	if err != nil {
		return nil, err
	}
	var planned []Event
	for _, hit := range hits {
		claimed := make(chan error, 1)
		r.inbox <- func() { claimed <- r.claim(hit) }
		if err := <-claimed; err != nil {
			return nil, err
		}
		planned = append(planned, r.hits.plan(hit))
	}
	if err := r.commit(planned...); err != nil {
		return nil, err
	}
	r.markArmed(hits)
	return hits, nil
}

// injectAll injects the hits of a round, one after the other, and proves each.
func (r *runner) injectAll(ctx context.Context, plan *FaultPlan, hits []Hit) error {
	for _, hit := range hits {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err := r.commit(r.hits.step(hit.ID, Intended, "", "", nil)); err != nil {
			// Nothing was done; the hit must not look as if it might have been.
			r.emit(r.hits.step(hit.ID, Planned, "", "", err))
			return err
		}
		crash.Point("inject " + hit.ID)
		proof, err := plan.Fault.Inject(ctx, hit)
		crash.Point("injected " + hit.ID)
		if err == nil && proof.Seen == "" {
			err = errors.New("its effect was not read back")
		}
		if err != nil {
			r.emit(r.hits.step(hit.ID, Failed, "", "", err))
			return fmt.Errorf("inject fault %q into %s: %w", hit.Fault, hit.Target, err)
		}
		r.emit(r.hits.step(hit.ID, Injected, proof.Seen, "", nil))
		now := time.Now()
		r.moment("fault", fmt.Sprintf("%s: %s on %s", hit.Fault, hit.Effect, hit.Target))
		r.inbox <- func() { r.injected(now) }
		if hit.Lasts == 0 {
			r.settleInstant(ctx, plan, hit)
		}
	}
	return nil
}

// settleInstant closes the life of a hit that is over at once: nothing is left to
// undo, and Check says so.
func (r *runner) settleInstant(ctx context.Context, plan *FaultPlan, hit Hit) {
	checking, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.e.RevertWithin)
	defer cancel()
	seen, err := plan.Fault.Check(checking, hit)
	if err == nil && (seen.State == Whole || seen.State == Superseded) {
		r.emit(r.hits.step(hit.ID, Verified, seen.Seen, seen.State, nil))
	}
	// Otherwise it stays outstanding, and the revert phase deals with it.
}

// injected marks the first injection: from here guards watch.
func (r *runner) injected(at time.Time) {
	r.nudge() // however short the harm is, it is looked at
	if r.history.Injected.IsZero() {
		r.history.Injected = at
		r.marks.set(func(m *marks) { m.injected = at })
	}
}

// revertAll mends everything that may be broken, newest first, while measuring and
// watching go on. It returns when all is proven mended or its time is up.
func (r *runner) revertAll(ctx context.Context) {
	hits := r.hits.outstanding()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r.revertHits(ctx, hits)
	}()
	// Each has its own limit; a fault that does not keep to it is left to the watchdog.
	limit := time.Now().Add(time.Duration(len(hits)+1) * r.e.RevertWithin)
	r.loop(ctx, ended, func() bool { return time.Now().After(limit) })
	restored := r.hits.lastVerified()
	if r.hits.injected() > 0 && restored.IsZero() {
		restored = time.Now()
	}
	if len(r.hits.left()) > 0 {
		return
	}
	r.history.Restored = restored
	r.marks.set(func(m *marks) { m.restored = restored })
	if r.stop != nil {
		// Where everything had already ended by itself, stopping took no time.
		r.stop.Restored = laterOf(restored, r.stop.Breach)
	}
	if r.hits.injected() > 0 {
		r.momentAt(restored, "fault", "Everything that was broken is proven mended")
	}
}

func laterOf(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// revertWorkers is how many targets are mended at once.
const revertWorkers = 16

// revertHits mends hits, given newest first: hits on one target in that order,
// different targets side by side.
func (r *runner) revertHits(ctx context.Context, hits []Hit) {
	groups := map[string][]Hit{}
	var order []string
	for _, hit := range hits {
		if groups[hit.Holds] == nil {
			order = append(order, hit.Holds)
		}
		groups[hit.Holds] = append(groups[hit.Holds], hit)
	}
	queue := make(chan []Hit)
	var workers sync.WaitGroup
	for range min(revertWorkers, len(order)) {
		workers.Go(func() {
			for group := range queue {
				for _, hit := range group {
					r.revert(ctx, hit)
				}
			}
		})
	}
	for _, name := range order {
		queue <- groups[name]
	}
	close(queue)
	workers.Wait()
}

// revert mends one hit and proves it; it tries again until its time is up.
func (r *runner) revert(ctx context.Context, hit Hit) {
	ctx, cancel := context.WithTimeout(ctx, r.e.RevertWithin)
	defer cancel()
	if r.o.Hurry != nil {
		stop := context.AfterFunc(r.o.Hurry, cancel)
		defer stop()
	}
	mender := mender{fault: r.fault(hit.Fault), emit: func(step Step, seen string, state State, err error) {
		r.emit(r.hits.step(hit.ID, step, seen, state, err))
	}}
	mender.mend(ctx, hit)
}

func (r *runner) fault(name string) Fault {
	for _, plan := range r.e.Faults {
		if plan.Name == name {
			return plan.Fault
		}
	}
	return nil
}

func newestFirst(hits []Hit) []Hit {
	list := make([]Hit, 0, len(hits))
	for i := len(hits) - 1; i >= 0; i-- {
		list = append(list, hits[i])
	}
	return list
}

// sleepUntil tells whether it slept to the end.
func sleepUntil(ctx context.Context, when time.Time) bool {
	wait := time.Until(when)
	if wait <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
