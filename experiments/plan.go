package experiments

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Blueprint is what a run of an experiment would do.
type Blueprint struct {
	Slots  []Slot
	Length time.Duration
	// Hits are those of each slot's first round. Later rounds look again, as targets
	// come and go, with random numbers that the seed fixes too.
	Hits [][]Hit
}

// Plan asks every fault whom it would hit, and every probe that can tell whether it
// could measure. It changes nothing. All that cannot be done is told at once.
func Plan(ctx context.Context, e *Experiment, run string) (*Blueprint, error) {
	slots, length, err := e.Timetable()
	if err != nil {
		return nil, err
	}
	blueprint := &Blueprint{Slots: slots, Length: length}
	problems := []error{e.Fixed.known(slots)}
	for _, slot := range slots {
		hits, err := e.planRound(ctx, slot, run, 1)
		if err != nil {
			problems = append(problems, err)
		}
		blueprint.Hits = append(blueprint.Hits, hits)
	}
	problems = append(problems, e.checkProbes(ctx)...)
	if err := errors.Join(problems...); err != nil {
		return blueprint, err
	}
	return blueprint, errors.Join(apart(blueprint.Hits), withinAllowances(blueprint.Hits))
}

// apart checks that hits which must be alone on what they hold do not meet there.
func apart(hits [][]Hit) error {
	alone := map[string][]Hit{}
	for _, hit := range slices.Concat(hits...) {
		if hit.Alone {
			alone[hit.Holds] = append(alone[hit.Holds], hit)
		}
	}
	var problems []error
	for _, holds := range slices.Sorted(maps.Keys(alone)) {
		list := alone[holds]
		slices.SortStableFunc(list, func(a, b Hit) int { return cmp.Compare(a.At, b.At) })
		for i := 1; i < len(list); i++ {
			if first, second := list[i-1], list[i]; second.At < first.At+first.Lasts {
				problems = append(problems, fmt.Errorf("fault %q would change %s %s after the start, while fault %q is on it (%s to %s): it bears one change at a time, as the mark of a change is what undoes it; write after = fault.%s, or choose another target",
					second.Fault, second.Target, FormatDuration(second.At), first.Fault, FormatDuration(first.At), FormatDuration(first.At+first.Lasts), first.Fault))
			}
		}
	}
	return errors.Join(problems...)
}

// checkProbes asks the probes that can tell beforehand whether they could measure.
func (e *Experiment) checkProbes(ctx context.Context) []error {
	var problems []error
	for _, probed := range e.Probes {
		checker, ok := probed.Probe.(Checker)
		if !ok {
			continue
		}
		_, _, err := bounded(ctx, fmt.Sprintf("probe %q: Check", probed.Name), func() (struct{}, error) { return struct{}{}, checker.Check(ctx) })
		if err != nil {
			problems = append(problems, fmt.Errorf("probe %q (%s) could not measure: %w", probed.Name, probed.Origin, err))
		}
	}
	return problems
}

// planRound asks a fault for the hits of one round, from 1, and completes them.
func (e *Experiment) planRound(ctx context.Context, slot Slot, run string, round int) ([]Hit, error) {
	plan := slot.Plan
	chosen := e.Fixed.choice(plan.Name, round)
	draw := Draw{Run: run, Fault: plan.Name, Round: round, Uniform: e.random(plan.Name, round).Float64, choice: chosen}
	hits, err := plan.careful().plan(ctx, draw)
	if err != nil {
		return nil, fmt.Errorf("plan fault %q (%s): %w", plan.Name, plan.Origin, err)
	}
	if len(hits) == 0 {
		return nil, fmt.Errorf("fault %q (%s) would hit nothing: 0 targets is an error, not a smaller fault", plan.Name, plan.Origin)
	}
	seen := map[string]bool{}
	for i := range hits {
		hit := &hits[i]
		if seen[hit.Target] {
			return nil, fmt.Errorf("fault %q (%s) would hit %s twice in one round: two harms under one name cannot be told apart, nor undone one by one", plan.Name, plan.Origin, hit.Target)
		}
		seen[hit.Target] = true
		hit.Fault, hit.Kind, hit.Round = plan.Name, plan.Kind, round
		hit.At = slot.Start + slot.Rounds[round-1]
		hit.ID = fmt.Sprintf("%s/%d/%s", plan.Name, round, hit.Target)
		if plan.Fault.Lasts() {
			hit.Lasts = plan.Schedule.Duration
			if plan.Unfused {
				hit.Fuse = ""
			} else if hit.Fuse == "" {
				return nil, fmt.Errorf("fault %q (%s) has no fuse: nothing would end it if the runner died; say `unfused = true` in its block to accept that", plan.Name, plan.Origin)
			}
		}
	}
	hits[0].Draws = chosen.made
	if err := e.Fixed.check(plan.Name, round, hits); err != nil {
		return nil, fmt.Errorf("fault %q (%s): %w", plan.Name, plan.Origin, err)
	}
	return hits, nil
}
