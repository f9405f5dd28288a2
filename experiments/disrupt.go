package experiments

import (
	"context"
	"fmt"
	"slices"
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
			if err := r.play(work, slot, began, over[slot.Plan.Schedule.After]); err != nil && work.Err() == nil {
				cancel(err) // before whoever comes after it begins
				r.post(func() { r.fail(err) })
			}
		})
	}
	ended := make(chan struct{})
	go func() {
		players.Wait()
		close(ended)
	}()
	// Every call to a fault is given up when its time is over. Should something else
	// stand still, a disk for example, it must not keep anything from being mended.
	var limit time.Time
	r.loop(ctx, ended, func() bool {
		if work.Err() != nil && limit.IsZero() {
			limit = time.Now().Add(r.mendLimit(len(r.hits.outstanding())))
		}
		return !limit.IsZero() && time.Now().After(limit) || r.hurried()
	})
	r.cancelWork = nil
}

// mendLimit is the most that mending so many hits can take, one after the other.
func (r *runner) mendLimit(hits int) time.Duration {
	return time.Duration(hits+1) * (r.e.RevertWithin + 2*grace)
}

// hurried tells that somebody has asked not to wait any more, and the calls under way
// had their time to end.
func (r *runner) hurried() bool {
	if r.o.Hurry == nil || r.o.Hurry.Err() == nil {
		return false
	}
	if r.hurryUntil.IsZero() {
		r.hurryUntil = time.Now().Add(2 * grace)
	}
	return time.Now().After(r.hurryUntil)
}

// gone tells whether a target that was planned is not there any more, so that the
// round has to be drawn again.
func (r *runner) gone(ctx context.Context, plan *FaultPlan, hits []Hit) bool {
	if r.e.Fixed != nil && !r.e.Fixed.Replay {
		return false // a plan file says who is hit, and nobody else is
	}
	fleeting, ok := plan.Fault.(Fleeting)
	if !ok {
		return false
	}
	// Of an error the injections will say why.
	gone, _, _ := bounded(ctx, fmt.Sprintf("fault %q: Gone", plan.Name), func() ([]string, error) { return fleeting.Gone(ctx, hits) })
	if len(gone) == 0 {
		return false
	}
	text := fmt.Sprintf("%s: %s is gone before its turn; targets are drawn again", plan.Name, gone[0])
	r.moment("plan", text)
	r.emit(Event{Type: EventNote, Text: "fault " + text})
	return true
}

// play lets one fault act, round after round. It waits for the fault it comes
// after, if any, to be over in truth and not only by the schedule.
func (r *runner) play(ctx context.Context, s Slot, began time.Time, after <-chan struct{}) error {
	if after != nil {
		select {
		case <-after:
		case <-ctx.Done():
			return nil
		}
		// What came before may have taken longer than planned; keep the distance.
		if late := time.Since(began) + s.Plan.Schedule.At - s.Start; late > 0 {
			began = began.Add(late)
		}
	}
	for i, offset := range s.Rounds {
		if !sleepUntil(ctx, began.Add(s.Start+offset)) {
			return nil
		}
		hits, err := r.round(ctx, s, i+1)
		if err == nil {
			err = r.injectAll(ctx, s.Plan, hits)
		}
		if err != nil {
			return err
		}
		if !s.Plan.Fault.Lasts() {
			continue
		}
		if !sleepUntil(ctx, time.Now().Add(s.Plan.Schedule.Duration)) {
			return nil
		}
		mending := context.WithoutCancel(ctx)
		r.revertHits(mending, newestFirst(hits), r.perished(mending, s.Plan, hits))
		if stuck, left := r.hits.stuck(hits); left {
			return fmt.Errorf("fault %q is over, but %s was not proven mended within %s, so nothing more is broken: %s",
				s.Plan.Name, stuck.Target, FormatDuration(r.e.RevertWithin), stuck.Error)
		}
	}
	// An instant fault's rounds may go on for longer than its last hit; whoever comes
	// after it starts at the end.
	sleepUntil(ctx, began.Add(s.End))
	return nil
}

// round gives the hits of a round: those of the first were planned before the
// baseline, later ones look again, and so does the first where a target has gone by
// itself before its turn.
func (r *runner) round(ctx context.Context, slot Slot, round int) ([]Hit, error) {
	var before []Hit
	if round == 1 {
		before = r.hits.of(slot.Plan.Name, 1)
		if hits, err := r.stillAllowed(ctx, slot, before); err != nil || len(hits) > 0 {
			return before, err
		}
	}
	hits, err := r.allowed(ctx, slot, round, func() ([]Hit, error) { return r.e.planRound(ctx, slot, r.o.Run, round) })
	r.tellChanges()
	if err != nil {
		return nil, err
	}
	planned := r.hits.drop(before, hits)
	for _, hit := range hits {
		claimed := make(chan error, 1)
		r.post(func() { claimed <- r.claim(hit) })
		select {
		case err := <-claimed:
			if err != nil {
				return nil, err
			}
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if r.hits.renew(hit) {
			continue // one of those that were planned before the baseline
		}
		planned = append(planned, r.hits.plan(hit))
	}
	if err := r.commit(planned...); err != nil {
		return nil, err
	}
	if err := r.reserve(ctx, hits); err != nil {
		return nil, err
	}
	r.markArmed(hits)
	return hits, nil
}

// injectAll injects the hits of a round, those on different targets side by side,
// and proves each. The first that fails ends the others.
func (r *runner) injectAll(ctx context.Context, plan *FaultPlan, hits []Hit) error {
	round, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	intents := r.intents(hits)
	injected := r.follow(plan, len(hits))
	sideBySide(hits, func(hit Hit) {
		defer r.inFlight.land(hit.ID)
		if round.Err() != nil {
			intents.drop(hit) // it was not begun, and must not look as if it had been
			return
		}
		if err := r.inject(round, plan, intents, hit); err != nil {
			cancel(err) // only the first counts
			return
		}
		injected <- hit
	})
	close(injected)
	if round.Err() == nil && !plan.Fault.Lasts() {
		// Only now: looking at the first must not hold up the last.
		sideBySide(hits, func(hit Hit) { r.settleInstant(ctx, plan, hit) })
	}
	return context.Cause(round)
}

// slowInjection is how long an injection may take until it counts from its beginning: what
// is over sooner counts from when its effect was read back.
const slowInjection = 200 * time.Millisecond

// inject does one hit. What it is about to do is on disk first.
func (r *runner) inject(ctx context.Context, plan *FaultPlan, intents *intents, hit Hit) error {
	if err := intents.commit(hit); err != nil {
		return err
	}
	if err := context.Cause(ctx); err != nil {
		intents.drop(hit) // another of the round failed while this one waited for the disk
		return err
	}
	r.hits.act(hit.ID, true)
	crash.Point("inject " + hit.ID)
	// A drain does its harm for minutes before it has done all of it; one that hangs may
	// have done it long ago.
	began := time.Now()
	slow := time.AfterFunc(slowInjection, func() { r.post(func() { r.injected(began) }) })
	proof, over, err := plan.careful().inject(ctx, hit)
	slow.Stop()
	crash.Point("injected " + hit.ID)
	if err != nil {
		r.emit(r.hits.step(hit.ID, Failed, "", "", err))
		r.actsUntil(hit.ID, over)
		return fmt.Errorf("inject fault %q into %s: %w", hit.Fault, hit.Target, err)
	}
	r.emit(r.hits.step(hit.ID, Injected, proof.Seen, "", nil))
	r.actsUntil(hit.ID, over)
	now := time.Now()
	r.moment("fault", fmt.Sprintf("%s on %s: %s", hit.Fault, hit.Target, hit.Effect))
	r.post(func() { r.injected(now) })
	return nil
}

// actsUntil notes when the injection of a hit has returned. It mostly has.
func (r *runner) actsUntil(id string, over <-chan struct{}) {
	select {
	case <-over:
		r.hits.act(id, false)
	case <-time.After(grace):
		go func() {
			<-over
			r.hits.act(id, false)
		}()
	}
}

// settleInstant closes the life of a hit that is over at once: nothing is left to
// undo, and Check says so.
func (r *runner) settleInstant(ctx context.Context, plan *FaultPlan, hit Hit) {
	checking, cancel := r.mending(context.WithoutCancel(ctx))
	defer cancel()
	seen, err := plan.careful().check(checking, hit)
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
		r.revertHits(context.WithoutCancel(ctx), hits, nil) // to stop is more urgent than to look
	}()
	// Each has its own limit; what does not keep to it is left to the watchdog.
	limit := time.Now().Add(r.mendLimit(len(hits)))
	r.loop(ctx, ended, func() bool { return time.Now().After(limit) || r.hurried() })
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

// revertHits mends hits, given newest first: hits on one target in that order,
// different targets side by side.
func (r *runner) revertHits(ctx context.Context, hits []Hit, perished map[string]string) {
	sideBySide(hits, func(hit Hit) { r.revert(ctx, hit, perished[hit.ID]) })
}

// perishedWithin bounds looking whether the harm is still there: reverting must not wait
// for that.
const perishedWithin = 2 * time.Second

// perished tells, by the IDs of hits whose time is over, of which the harm was gone
// already. What cannot be looked at is not told of.
func (r *runner) perished(ctx context.Context, plan *FaultPlan, hits []Hit) map[string]string {
	perishable, ok := plan.Fault.(Perishable)
	if !ok {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, perishedWithin)
	defer cancel()
	var mu sync.Mutex
	gone := map[string]string{}
	sideBySide(hits, func(hit Hit) {
		seen, _, err := bounded(ctx, fmt.Sprintf("fault %q: Perished", plan.Name), func() (string, error) { return perishable.Perished(ctx, hit) })
		if err == nil && seen != "" {
			mu.Lock()
			defer mu.Unlock()
			gone[hit.ID] = seen
		}
	})
	return gone
}

// revert mends one hit and proves it; it tries again until its time is up. Perished says
// of one whose harm was gone before what was seen then.
func (r *runner) revert(ctx context.Context, hit Hit, perished string) {
	ctx, cancel := r.mending(ctx)
	defer cancel()
	mender := mender{
		fault:  r.fault(hit.Fault),
		acting: func() bool { return r.hits.acting(hit.ID) },
		emit: func(step Step, seen string, state State, err error) {
			if step == Verified && state == Whole && perished != "" {
				seen, state = perished+"; now "+seen, Superseded
			}
			r.emit(r.hits.step(hit.ID, step, seen, state, err))
		},
	}
	mender.mend(ctx, hit)
}

// mending is the context for mending one hit: it ends when its time is up, or when
// somebody has asked not to wait any more.
func (r *runner) mending(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, r.e.RevertWithin)
	if r.o.Hurry == nil {
		return ctx, cancel
	}
	stop := context.AfterFunc(r.o.Hurry, cancel)
	return ctx, func() { stop(); cancel() }
}

func (r *runner) fault(name string) careful {
	i := slices.IndexFunc(r.e.Faults, func(plan *FaultPlan) bool { return plan.Name == name })
	return r.e.Faults[i].careful() // every hit was planned by a fault of the experiment
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
