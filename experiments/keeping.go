package experiments

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// keepFailures is how many calls of Keep may fail in a row: after that the fuses of
// the hits have burnt, and claims may be another run's, so the run is stopped.
const keepFailures = 6

// guarded is a fault that is a Keeper, and hits of it.
type guarded struct {
	plan   *FaultPlan
	keeper Keeper
	hits   []Hit
}

// keepers lists the hits of each fault that is a Keeper, in the scenario's order.
func (r *runner) keepers(hits []Hit) []guarded {
	var groups []guarded
	for _, plan := range r.e.Faults {
		keeper, ok := plan.Fault.(Keeper)
		if !ok {
			continue
		}
		group := guarded{plan: plan, keeper: keeper}
		for _, hit := range hits {
			if hit.Fault == plan.Name {
				group.hits = append(group.hits, hit)
			}
		}
		if len(group.hits) > 0 {
			groups = append(groups, group)
		}
	}
	return groups
}

// reserve claims what hits touch where runners on other machines see it.
func (r *runner) reserve(ctx context.Context, hits []Hit) error {
	for _, g := range r.keepers(hits) {
		_, _, err := bounded(ctx, fmt.Sprintf("fault %q: Claim", g.plan.Name), func() (struct{}, error) {
			return struct{}{}, g.keeper.Claim(ctx, r.o.Run, g.hits)
		})
		// What a claim that failed may have taken is given back too.
		r.yielding.Lock()
		r.yields = append(r.yields, func(ctx context.Context) error { return g.keeper.Yield(ctx, r.o.Run, g.hits) })
		r.yielding.Unlock()
		if err != nil {
			return fmt.Errorf("fault %q cannot have its targets: %w", g.plan.Name, err)
		}
	}
	return nil
}

// yieldWithin bounds giving the claims back: they end by themselves too.
const yieldWithin = 10 * time.Second

// yield gives back what reserve took.
func (r *runner) yield(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), yieldWithin)
	defer cancel()
	r.yielding.Lock()
	defer r.yielding.Unlock()
	for _, give := range r.yields {
		if _, _, err := bounded(ctx, "giving claims back", func() (struct{}, error) { return struct{}{}, give(ctx) }); err != nil {
			r.emit(Event{Type: EventNote, Text: r.o.Redact(err.Error()) + "; the claim ends by itself"})
		}
	}
	r.yields = nil
}

// GiveBack gives back the claims of a run that died, from its events. Kind finds a fault
// by the name of its kind.
func GiveBack(ctx context.Context, run string, events []Event, kind func(string) (Fault, bool)) error {
	ctx, cancel := context.WithTimeout(ctx, yieldWithin)
	defer cancel()
	groups := map[string][]Hit{}
	seen := map[string]bool{}
	for _, event := range events {
		if event.Hit == nil || event.Hit.Hit == nil || seen[event.Hit.ID] {
			continue
		}
		seen[event.Hit.ID] = true
		groups[event.Hit.Hit.Kind] = append(groups[event.Hit.Hit.Kind], *event.Hit.Hit)
	}
	var problems []error
	for name, hits := range groups {
		fault, known := kind(name)
		keeper, ok := fault.(Keeper)
		if !known || !ok {
			continue
		}
		_, _, err := bounded(ctx, "giving claims back", func() (struct{}, error) { return struct{}{}, keeper.Yield(ctx, run, hits) })
		problems = append(problems, err)
	}
	return errors.Join(problems...)
}

// keep renews claims and fuses until ctx ends. The channel is closed when it has
// truly returned, so that nothing is renewed after it was given back.
func (r *runner) keep(ctx context.Context) (over <-chan struct{}) {
	ended := make(chan struct{})
	if len(r.yields) == 0 {
		close(ended)
		return ended
	}
	go func() {
		defer close(ended)
		ticker := time.NewTicker(KeepPace)
		defer ticker.Stop()
		for failures := 0; ; {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			err := r.keepOnce(ctx)
			if ctx.Err() != nil {
				return
			}
			if err == nil {
				failures = 0
				continue
			}
			if failures++; failures == 1 {
				r.emit(Event{Type: EventNote, Text: "could not renew: " + r.o.Redact(err.Error())})
			}
			if failures == keepFailures {
				stop := &Stop{Cause: fmt.Sprintf("claims and fuses could not be renewed for %s, so the harm may have ended by itself: %s", FormatDuration(keepFailures*KeepPace), r.o.Redact(err.Error())), Breach: time.Now()}
				select {
				case r.inbox <- func() { r.stopBy(stop) }:
				case <-ctx.Done():
				}
			}
		}
	}()
	return ended
}

func (r *runner) keepOnce(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, KeepPace)
	defer cancel()
	now := time.Now()
	kept := map[string]Kept{}
	var hits []Hit
	for _, result := range r.hits.results() {
		if result.Step == Verified && result.Lasts > 0 {
			continue // its fuse is gone; the claim of its namespace is renewed by the others
		}
		k := Kept{Hit: result.Hit, Injected: !result.Injected.IsZero()}
		if k.Injected {
			k.Age = now.Sub(result.Injected)
		}
		kept[result.ID] = k
		hits = append(hits, result.Hit)
	}
	var problems []error
	for _, g := range r.keepers(hits) {
		list := make([]Kept, 0, len(g.hits))
		for _, hit := range g.hits {
			list = append(list, kept[hit.ID])
		}
		_, _, err := bounded(ctx, fmt.Sprintf("fault %q: Keep", g.plan.Name), func() (struct{}, error) {
			return struct{}{}, g.keeper.Keep(ctx, r.o.Run, list)
		})
		problems = append(problems, err)
	}
	return errors.Join(problems...)
}

// follow lets a fault tell what becomes of the hits of a round, until the run is over.
// Each that was injected is to be sent, and the channel closed after the last.
func (r *runner) follow(plan *FaultPlan, most int) chan<- Hit {
	injected := make(chan Hit, most) // never full: a fault that looks on holds no other hit up
	follower, ok := plan.Fault.(Follower)
	if !ok || r.following.ctx == nil {
		return injected
	}
	r.following.Go(func() {
		_, _, err := bounded(r.following.ctx, fmt.Sprintf("fault %q: Follow", plan.Name), func() (struct{}, error) {
			return struct{}{}, follower.Follow(r.following.ctx, injected, func(hit string, f Finding) {
				f.Text, f.Source, f.At = r.o.Redact(f.Text), r.o.Redact(f.Source), time.Now()
				r.hits.find(hit, f)
				text := f.words(plan.Name)
				r.momentAt(f.At, "fault", text)
				r.emit(Event{At: f.At, Type: EventNote, Name: hit, Finding: &f, Text: text})
			})
		})
		if err != nil && r.following.ctx.Err() == nil {
			r.emit(Event{Type: EventNote, Text: fmt.Sprintf("what became of the targets of fault %s could not be followed: %s", plan.Name, r.o.Redact(err.Error()))})
		}
	})
	return injected
}

// settleFollowers waits until nothing more is to be told of any hit, but not for long.
func (r *runner) settleFollowers(ctx context.Context) {
	ended := make(chan struct{})
	go func() {
		r.following.Wait()
		close(ended)
	}()
	limit := time.Now().Add(r.e.RevertWithin)
	r.loop(ctx, ended, func() bool { return ctx.Err() != nil || time.Now().After(limit) || r.hurried() })
}
