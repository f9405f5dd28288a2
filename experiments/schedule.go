package experiments

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"time"
)

// Slot is when one fault acts, by the schedule.
type Slot struct {
	Plan *FaultPlan
	// Start and End are counted from the start of the disruption.
	Start, End time.Duration
	// Rounds are the starts of its rounds, counted from Start.
	Rounds []time.Duration
}

// Timetable lays the faults of e out in time: every random interval is drawn here,
// from the seed, so that a plan can show it. It returns a slot a fault, in the
// scenario's order, and the length of the whole disruption.
func (e *Experiment) Timetable() ([]Slot, time.Duration, error) {
	slots := make([]Slot, len(e.Faults))
	byName := map[string]int{}
	for i, plan := range e.Faults {
		byName[plan.Name] = i
	}
	state := make([]int, len(slots)) // 0 untouched, 1 being laid out, 2 done
	var lay func(i int) error
	lay = func(i int) error {
		if state[i] == 2 {
			return nil
		}
		plan := e.Faults[i]
		if state[i] == 1 {
			return fmt.Errorf("fault %q waits for itself: its `after` runs in a circle", plan.Name)
		}
		state[i] = 1
		start := plan.Schedule.At
		if plan.Schedule.After != "" {
			before, ok := byName[plan.Schedule.After]
			if !ok {
				return fmt.Errorf("fault %q comes after fault %q, which does not exist", plan.Name, plan.Schedule.After)
			}
			if err := lay(before); err != nil {
				return err
			}
			start += slots[before].End
		}
		rounds, length := e.rounds(plan)
		slots[i] = Slot{Plan: plan, Start: start, End: start + length, Rounds: rounds}
		state[i] = 2
		return nil
	}
	var length time.Duration
	for i := range slots {
		if err := lay(i); err != nil {
			return nil, 0, err
		}
		length = max(length, slots[i].End)
	}
	return slots, length, nil
}

// maxRounds bounds a schedule such as every "1ms" for 30 days.
const maxRounds = 100_000

func (e *Experiment) rounds(plan *FaultPlan) (starts []time.Duration, length time.Duration) {
	s := plan.Schedule
	lasts := plan.Fault.Lasts()
	if s.Every.Max <= 0 {
		if lasts {
			return []time.Duration{0}, s.Duration
		}
		return []time.Duration{0}, 0
	}
	random := e.random(plan.Name, 0)
	var at time.Duration
	for len(starts) < maxRounds {
		if s.Times > 0 && len(starts) == s.Times {
			break
		}
		if !lasts && s.Duration > 0 && at >= s.Duration {
			break
		}
		starts = append(starts, at)
		at += max(s.Every.Draw(random.Float64()), time.Millisecond)
		if s.Times == 0 && (lasts || s.Duration == 0) {
			break // nothing bounds it; the language refuses this
		}
	}
	length = starts[len(starts)-1]
	switch {
	case lasts:
		length += s.Duration
	case s.Duration > 0:
		length = max(length, s.Duration)
	}
	return starts, length
}

// random gives the random numbers of one fault and round; round 0 is the schedule.
// They depend on the seed and the name alone, so that adding another fault does not
// change whom this one hits.
func (e *Experiment) random(fault string, round int) *rand.Rand {
	hash := fnv.New64a()
	fmt.Fprintf(hash, "%s/%d", fault, round)
	return rand.New(rand.NewPCG(e.Seed, hash.Sum64()))
}
