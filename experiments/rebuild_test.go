package experiments

import (
	"reflect"
	"testing"
	"time"
)

func TestARebuiltResultTellsOfItsFaultsAndHowItWasStarted(t *testing.T) {
	began := time.Date(2026, 11, 24, 15, 30, 12, 0, time.UTC)
	again := &Rerun{Command: []string{"gameday", "run", "shop.hcl"}, Secrets: []string{"token"}}
	second := 0
	event := func(e Event) Event {
		second++
		e.At = began.Add(time.Duration(second) * time.Second)
		return e
	}
	step := func(id string, step Step, hit *Hit, state State) Event {
		return event(Event{Type: EventHit, Hit: &HitEvent{ID: id, Step: step, Hit: hit, State: state}})
	}
	late := func(id string, round int) *Hit {
		return &Hit{ID: id, Fault: "late", Kind: "toxiproxy_latency", Round: round, Target: "proxy payments", At: 2 * time.Second, Lasts: 10 * time.Second}
	}
	result := Rebuild([]Event{
		event(Event{Type: EventBegin, Begin: &Begin{Run: "r", Scenario: "s", Rerun: again}}),
		step("late/1", Planned, late("late/1", 1), ""),
		step("kill/1", Planned, &Hit{ID: "kill/1", Fault: "kill", Kind: "process_kill", Round: 1, At: 12 * time.Second}, ""),
		step("late/1", Injected, nil, ""),
		step("late/1", Verified, nil, Whole),
		step("late/2", Planned, late("late/2", 2), ""),
		step("late/2", Injected, nil, ""),
	}, false)
	want := []FaultResult{
		{Name: "late", Kind: "toxiproxy_latency", At: 2 * time.Second, Duration: 10 * time.Second, Rounds: 2, Hits: 2, Injected: 2, Restored: 1},
		{Name: "kill", Kind: "process_kill", At: 12 * time.Second, Rounds: 1, Hits: 1},
	}
	if !reflect.DeepEqual(result.Faults, want) {
		t.Errorf("the faults are %+v", result.Faults)
	}
	if result.Rerun != again {
		t.Errorf("it was started by %+v", result.Rerun)
	}
	if result.Verdict != NotRestored || len(result.Left) != 1 {
		t.Errorf("the verdict is %s, left is %q", result.Verdict, result.Left)
	}
}
