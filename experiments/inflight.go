package experiments

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"
)

// A Taker is a fault whose hits take from what bounds how many may be down at once, and
// which can read that anew: between the plan and its turn others may have gone down.
type Taker interface {
	Fault
	// Takes gives for each of hits, which were planned, what it takes from by now. It
	// fails where one may not be done any more, and changes nothing.
	Takes(ctx context.Context, hits []Hit) ([][]Allowance, error)
}

// showing is how long what a hit took down may not show in what is read: whoever keeps
// count, such as the controller of PodDisruptionBudgets, does so when there is time.
const showing = 2 * time.Second

// inFlight knows the hits whose harm may not show yet in a reading of what is allowed.
// Two rounds that fall on one moment read the same, and must not both take the last of
// it. It is safe for concurrent use.
type inFlight struct {
	mu   sync.Mutex
	hits map[string]flight // by ID
}

type flight struct {
	hit    Hit
	landed time.Time // when its injection returned; zero until then
}

// take enters hits if they fit, beside those that were in flight when what they take from
// was read, within what is allowed.
func (f *inFlight) take(hits []Hit, read time.Time) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	allows := map[thing]Allowance{}
	wanted := slices.Clone(hits)
	for i := range wanted {
		wanted[i].At, wanted[i].Lasts = 0, 0
		for _, take := range wanted[i].Takes {
			allows[thing{take.Of, take.At}] = take
		}
	}
	maps.DeleteFunc(f.hits, func(_ string, one flight) bool { return !one.landed.IsZero() && time.Since(one.landed) > 2*settling })
	var others []Hit
	for id, one := range f.hits {
		mine := slices.ContainsFunc(hits, func(hit Hit) bool { return hit.ID == id })
		if mine || !one.landed.IsZero() && one.landed.Add(showing).Before(read) {
			continue
		}
		other := Hit{ID: id, Fault: one.hit.Fault}
		for _, take := range one.hit.Takes {
			if now, asked := allows[thing{take.Of, take.At}]; asked { // as read now, not as it was then
				other.Takes = append(other.Takes, now)
			}
		}
		others = append(others, other)
	}
	if err := withinAllowances([][]Hit{wanted, others}); err != nil {
		return err
	}
	for _, hit := range hits {
		if len(hit.Takes) == 0 {
			continue
		}
		if f.hits == nil {
			f.hits = map[string]flight{}
		}
		f.hits[hit.ID] = flight{hit: hit}
	}
	return nil
}

// land notes that the injection of a hit has returned, or that it is not done after all.
func (f *inFlight) land(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if one, there := f.hits[id]; there {
		one.landed = time.Now()
		f.hits[id] = one
	}
}

// A round waits for what must stay to be there again: a pod that the one before took
// down may need a while. After settling it is an error.
const allowPace = 250 * time.Millisecond

// allowed plans a round until it fits within what is allowed by then.
func (r *runner) allowed(ctx context.Context, slot Slot, round int, plan func() ([]Hit, error)) ([]Hit, error) {
	for deadline := time.Now().Add(settling); ; {
		read := time.Now()
		hits, err := plan()
		if err != nil {
			return nil, err
		}
		refused := r.inFlight.take(hits, read)
		if refused == nil {
			return hits, nil
		}
		if !time.Now().Add(allowPace).Before(deadline) {
			return nil, fmt.Errorf("round %d of fault %q: %w (it waited for %s)", round, slot.Plan.Name, refused, FormatDuration(settling))
		}
		if !sleepUntil(ctx, time.Now().Add(allowPace)) {
			return nil, context.Cause(ctx)
		}
	}
}

// stillAllowed waits until hits that were planned before the baseline fit within what is
// allowed by now. Where a target has gone by itself meanwhile it gives none.
func (r *runner) stillAllowed(ctx context.Context, slot Slot, hits []Hit) ([]Hit, error) {
	return r.allowed(ctx, slot, 1, func() ([]Hit, error) {
		if r.gone(ctx, slot.Plan, hits) {
			return nil, nil
		}
		taker, ok := slot.Plan.Fault.(Taker)
		if !ok {
			return hits, nil
		}
		takes, _, err := bounded(ctx, fmt.Sprintf("fault %q: Takes", slot.Plan.Name), func() ([][]Allowance, error) { return taker.Takes(ctx, hits) })
		if err != nil {
			return nil, fmt.Errorf("round 1 of fault %q, looked at again when it was its turn: %w", slot.Plan.Name, err)
		}
		now := slices.Clone(hits)
		for i := range now {
			now[i].Takes = takes[i]
		}
		return now, nil
	})
}
