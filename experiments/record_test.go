package experiments

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestTheJournalHoldsEachChangeAndNotEachShowing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		e := experiment(w, lasting("storm", &breaker{world: w, targets: []string{"a"}}, 20*time.Second, time.Minute))
		e.Hypotheses[0].During = false
		e.Guards = []*GuardPlan{{Name: "calm", Kind: "test", Guard: guardFunc(func(*History) Reading { return Reading{Used: 0.1} })}}
		j := &memory{}
		var shown []Event
		o := options(j)
		o.Watch = func(event Event) { shown = append(shown, event) }
		wantVerdict(t, Run(t.Context(), e, o), Held)

		// What the watchers are shown of each, and the changes in it.
		count := func(events []Event, kind EventType) (all, changes int) {
			var last Verdict
			var phase Phase
			for _, event := range events {
				if event.Type != kind {
					continue
				}
				all++
				if event.Judgement != nil && (event.Judgement.Verdict != last || event.Phase != phase) {
					changes++
					last, phase = event.Judgement.Verdict, event.Phase
				}
			}
			return all, changes
		}
		for _, kind := range []EventType{EventJudgement, EventGuard} {
			all, changes := count(shown, kind)
			recorded, kept := count(j.events, kind)
			if all < 100 {
				t.Errorf("%s: %d were shown in a minute, want one every quarter of a second", kind, all)
			}
			if recorded < 12 || recorded > all/5 {
				t.Errorf("%s: %d of %d were recorded, want one every %s", kind, recorded, all, recordPace)
			}
			if kept != changes {
				t.Errorf("%s: the journal tells of %d of %d changes", kind, kept, changes)
			}
			if kind == EventJudgement && changes < 3 {
				t.Errorf("only %d changes: this shows little", changes)
			}
		}
		samples, _ := count(shown, EventSample)
		if recorded, _ := count(j.events, EventSample); recorded != samples {
			t.Errorf("%d of %d samples were recorded, want all", recorded, samples)
		}
	})
}
