package experiments

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// drawSchedule draws what the language lets through: rounds that do not overlap, and
// an end to them.
func drawSchedule(t *rapid.T, instant bool) Schedule {
	length := func(name string, low, high int) time.Duration {
		return time.Duration(rapid.IntRange(low, high).Draw(t, name)) * 100 * time.Millisecond
	}
	s := Schedule{At: length("at", 0, 600)}
	if !instant {
		s.Duration = length("duration", 1, 600)
	}
	if rapid.Bool().Draw(t, "rounds") {
		s.Every.Min = max(length("every", 1, 1200), s.Duration)
		s.Every.Max = s.Every.Min + length("spread", 0, 600)
		if instant && rapid.Bool().Draw(t, "by duration") {
			s.Duration = length("rounds go on", 1, 6000)
		} else {
			s.Times = rapid.IntRange(1, 50).Draw(t, "times")
		}
	}
	return s
}

func TestATimetableKeepsToItsSchedule(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seed := rapid.Uint64().Draw(t, "seed")
		e := &Experiment{Seed: seed}
		n := rapid.IntRange(1, 5).Draw(t, "faults")
		for i := range n {
			instant := rapid.Bool().Draw(t, "instant")
			plan := &FaultPlan{Name: fmt.Sprint("f", i), Schedule: drawSchedule(t, instant), Fault: &breaker{instant: instant}}
			if i > 0 && rapid.Bool().Draw(t, "after") {
				plan.Schedule.After = fmt.Sprint("f", rapid.IntRange(0, i-1).Draw(t, "whom"))
			}
			e.Faults = append(e.Faults, plan)
		}
		slots, length, err := e.Timetable()
		if err != nil {
			t.Fatal(err)
		}
		byName := map[string]Slot{}
		for _, slot := range slots {
			byName[slot.Plan.Name] = slot
		}
		for _, slot := range slots {
			s, rounds := slot.Plan.Schedule, slot.Rounds
			if want := s.At + byName[s.After].End; slot.Start != want { // without After it is 0
				t.Fatalf("%s starts at %s, want %s", slot.Plan.Name, slot.Start, want)
			}
			if slot.End > length || slot.End < slot.Start || rounds[0] != 0 {
				t.Fatalf("slot %+v in %s", slot, length)
			}
			if s.Times > 0 && len(rounds) != s.Times {
				t.Fatalf("%d rounds, want %d", len(rounds), s.Times)
			}
			for i, at := range rounds {
				if i > 0 && (at-rounds[i-1] < s.Every.Min || at-rounds[i-1] > s.Every.Max) {
					t.Fatalf("round %d comes %s after the one before, not within %s", i+1, at-rounds[i-1], s.Every)
				}
				if slot.Plan.Fault.Lasts() && slot.Start+at+s.Duration > slot.End || s.Times == 0 && i > 0 && at >= s.Duration {
					t.Fatalf("round %d at %s is not over by %s", i+1, at, slot.End-slot.Start)
				}
			}
			// One more would not have fitted.
			if !slot.Plan.Fault.Lasts() && s.Times == 0 && s.Every.Max > 0 && rounds[len(rounds)-1]+s.Every.Max < s.Duration {
				t.Fatalf("the rounds end at %s of %s", rounds[len(rounds)-1], s.Duration)
			}
		}
		again, _, err := e.Timetable()
		if err != nil || !slices.EqualFunc(slots, again, func(a, b Slot) bool { return slices.Equal(a.Rounds, b.Rounds) && a.Start == b.Start }) {
			t.Fatalf("the same seed gave other rounds")
		}
		// Another fault beside it changes nothing for this one.
		e.Faults = append([]*FaultPlan{{Name: "other", Schedule: drawSchedule(t, true), Fault: &breaker{instant: true}}}, e.Faults...)
		beside, _, err := e.Timetable()
		if err != nil || !slices.EqualFunc(slots, beside[1:], func(a, b Slot) bool { return slices.Equal(a.Rounds, b.Rounds) }) {
			t.Fatalf("another fault changed the rounds of the others: %v", err)
		}
	})
}

func TestAfterInACircleOrAfterNothingIsAnError(t *testing.T) {
	plan := func(name, after string) *FaultPlan {
		return &FaultPlan{Name: name, Schedule: Schedule{After: after, Duration: time.Second}, Fault: &breaker{}}
	}
	for name, faults := range map[string][]*FaultPlan{
		"itself": {plan("a", "a")}, "a circle": {plan("a", "b"), plan("b", "c"), plan("c", "a")}, "nothing": {plan("a", "ghost")},
	} {
		if _, _, err := (&Experiment{Faults: faults}).Timetable(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
