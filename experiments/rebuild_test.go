package experiments

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// stored is an event as it comes back from disk: without the monotonic clock.
func stored[T any](t *testing.T, value T) T {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	var back T
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	return back
}

// drawRun carries out a run in which much goes wrong, and gives its result and what
// its journal holds.
func drawRun(rt *rapid.T, t *testing.T) (result *Result, events []Event) {
	faults := rapid.IntRange(1, 3).Draw(rt, "faults")
	type trouble struct {
		instant, fails     bool
		targets            []string
		refused            int
		duration, at, slow time.Duration
	}
	var troubles []trouble
	for i := range faults {
		troubles = append(troubles, trouble{
			instant:  rapid.Bool().Draw(rt, "instant"),
			fails:    rapid.IntRange(0, 5).Draw(rt, "injection fails") == 0,
			targets:  []string{fmt.Sprint("a", i), fmt.Sprint("b", i)}[:rapid.IntRange(1, 2).Draw(rt, "targets")],
			refused:  rapid.SampledFrom([]int{0, 0, 1, 3, 1000}).Draw(rt, "reverts that fail"),
			duration: time.Duration(rapid.IntRange(1, 30).Draw(rt, "duration")) * 100 * time.Millisecond,
			at:       time.Duration(rapid.IntRange(0, 20).Draw(rt, "at")) * 100 * time.Millisecond,
			slow:     time.Duration(rapid.IntRange(0, 5).Draw(rt, "slow")) * 100 * time.Millisecond,
		})
	}
	stop := rapid.SampledFrom([]time.Duration{0, 500, 2000, 3000, 4000}).Draw(rt, "stopped at ms") * time.Millisecond
	synctest.Test(t, func(t *testing.T) {
		w, j := newWorld(), &memory{}
		var plans []*FaultPlan
		for i, trouble := range troubles {
			var mu sync.Mutex
			b := &breaker{world: w, targets: trouble.targets, instant: trouble.instant, slow: trouble.slow}
			if trouble.fails {
				b.injectErr = errors.New("target moved")
			}
			b.revertErr = func() error {
				mu.Lock()
				defer mu.Unlock()
				if trouble.refused--; trouble.refused >= 0 {
					return errors.New("server gone")
				}
				return nil
			}
			plan := lasting(fmt.Sprint("f", i), b, trouble.at, trouble.duration)
			if trouble.instant {
				plan.Schedule.Duration = 0
			}
			plans = append(plans, plan)
		}
		e := experiment(w, plans...)
		e.Hypotheses[0].During = false
		e.RevertWithin = 2 * time.Second
		ctx := t.Context()
		if stop > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, stop)
			defer cancel()
		}
		result, events = stored(t, Run(ctx, e, options(j))), stored(t, j.events)
	})
	return result, events
}

func TestAResultIsRebuiltFromItsJournal(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		want, events := drawRun(rt, t)
		got := stored(t, Rebuild(events, false))
		for i := range max(len(want.Hits), len(got.Hits)) {
			if i >= len(want.Hits) || i >= len(got.Hits) || !reflect.DeepEqual(want.Hits[i], got.Hits[i]) {
				rt.Fatalf("hit %d of the run and of its journal:\n%+v\n%+v", i, want.Hits, got.Hits)
			}
		}
		if len(want.Left) != len(got.Left) || (got.Verdict == NotRestored) != (want.Verdict == NotRestored) {
			rt.Fatalf("left %q, rebuilt %q (%s)", want.Left, got.Left, got.Verdict)
		}
		if got.Verdict != Errored && got.Verdict != NotRestored {
			rt.Fatalf("a dead run was judged: %s", got.Verdict)
		}
		if (want.Stop == nil) != (got.Stop == nil) || want.Stop != nil && (want.Stop.Cause != got.Stop.Cause || want.Stop.Took() != got.Stop.Took()) {
			rt.Fatalf("stop %+v, rebuilt %+v", want.Stop, got.Stop)
		}
		if len(want.Phases) != len(got.Phases) {
			rt.Fatalf("phases %v, rebuilt %v", want.Phases, got.Phases)
		}
		injected := func(r *Result) (list []string) {
			for _, m := range r.Timeline {
				if m.Kind == "fault" && strings.Contains(m.Text, ": breaks on ") {
					list = append(list, m.Text)
				}
			}
			slices.Sort(list) // at one moment of a fake clock any order is right
			return list
		}
		if !reflect.DeepEqual(injected(want), injected(got)) {
			rt.Fatalf("timeline %v, rebuilt %v", injected(want), injected(got))
		}
		for _, series := range got.Series {
			for _, other := range want.Series {
				if other.Name == series.Name && len(other.At) != len(series.At) {
					rt.Fatalf("%s has %d measurements, rebuilt %d", series.Name, len(other.At), len(series.At))
				}
			}
		}
	})
}

// However much of a journal is lost, what may be in the world is never taken for
// mended.
func TestADamagedJournalNeverHidesWhatMayBeBroken(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		_, events := drawRun(rt, t)
		from := rapid.IntRange(0, len(events)).Draw(rt, "lost from")
		to := rapid.IntRange(from, len(events)).Draw(rt, "lost to")
		kept := append(append([]Event{}, events[:from]...), events[to:]...)
		lost := map[string]bool{}
		for _, event := range events[from:to] {
			if event.Hit != nil {
				lost[event.Hit.ID] = true
			}
		}
		told, proven := map[string]bool{}, map[string]bool{}
		for _, event := range kept {
			if event.Hit != nil {
				told[event.Hit.ID] = true
				proven[event.Hit.ID] = event.Hit.Step == Verified
			}
		}
		left := map[string]bool{}
		for _, hit := range Outstanding(kept, to > from) {
			left[hit.ID] = true
		}
		for id := range lost {
			if told[id] && !proven[id] && !left[id] {
				rt.Fatalf("%s is not outstanding, though what became of it is lost", id)
			}
		}
		result := Rebuild(kept, to > from)
		if to > from && strings.Contains(result.Reason, "everything that was broken is proven mended") {
			rt.Fatalf("of a damaged journal it says: %s", result.Reason)
		}
		if (len(left) > 0) != (result.Verdict == NotRestored) {
			rt.Fatalf("%d left, verdict %s", len(left), result.Verdict)
		}
	})
}

func TestAnEmptyJournalIsRebuiltWithoutAClaim(t *testing.T) {
	for _, damaged := range []bool{false, true} {
		r := Rebuild(nil, damaged)
		if r.Verdict != Errored || strings.Contains(r.Reason, "everything that was broken") {
			t.Errorf("damaged %v: %s: %s", damaged, r.Verdict, r.Reason)
		}
	}
}
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

func TestAResultIsBroughtUpToDateAfterWhatItLeftWasMended(t *testing.T) {
	began := time.Date(2026, 11, 24, 15, 30, 12, 0, time.UTC)
	at := func(seconds int) time.Time { return began.Add(time.Duration(seconds) * time.Second) }
	hit := Hit{ID: "late/1", Fault: "late", Kind: "toxiproxy_latency", Round: 1, Target: "proxy payments", Effect: "answers arrive late", Lasts: time.Second}
	step := func(second int, step Step, state State) Event {
		return Event{At: at(second), Type: EventHit, Hit: &HitEvent{ID: hit.ID, Step: step, State: state, Seen: "as before", Hit: &hit}}
	}
	stuck := []Event{
		{At: at(0), Type: EventBegin, Begin: &Begin{Run: "r"}},
		step(1, Planned, ""), step(2, Intended, ""), step(3, Injected, ""), step(4, Reverting, ""), step(5, Stuck, ""),
		{At: at(6), Type: EventEnd, Verdict: NotRestored, Text: "1 hit could not be proven mended"},
	}
	r := Rebuild(stuck, false)
	r.Ended, r.Verdict, r.Reason = at(6), NotRestored, "1 hit could not be proven mended"
	r.Recover(stuck, false)
	if len(r.Left) != 1 || !r.Recovered.IsZero() {
		t.Fatalf("nothing was mended, and left is %q, recovered %s", r.Left, r.Recovered)
	}
	mended := append(stuck, step(60, Reverting, ""), step(61, Reverted, ""), step(62, Verified, Whole))
	r.Recover(mended, false)
	if len(r.Left) != 0 || !r.Recovered.Equal(at(62)) || r.Verdict != NotRestored {
		t.Errorf("left %q, recovered %s, verdict %s", r.Left, r.Recovered, r.Verdict)
	}
	if h := r.Hits[0]; h.Step != Verified || h.State != Whole || h.Mended != "as before" || r.Faults[0].Restored != 1 {
		t.Errorf("the hit is %+v, the fault %+v", h, r.Faults[0])
	}
}

func TestADeadRunKeepsWhatWasFoundOfItsHits(t *testing.T) {
	began := time.Date(2026, 11, 24, 15, 0, 0, 0, time.UTC)
	hit := Hit{ID: "lost/1/pod a", Fault: "lost", Target: "pod a", Effect: "killed"}
	finding := Finding{Name: "ready", At: began.Add(3 * time.Second), After: 1900 * time.Millisecond, Text: "pod b is ready on node n"}
	events := []Event{
		{At: began, Type: EventBegin, Begin: &Begin{Run: "r"}},
		{At: began, Type: EventHit, Hit: &HitEvent{ID: hit.ID, Step: Planned, Hit: &hit}},
		{At: began.Add(time.Second), Type: EventHit, Hit: &HitEvent{ID: hit.ID, Step: Injected, Seen: "gone"}},
		{At: finding.At, Type: EventNote, Name: hit.ID, Finding: &finding, Text: finding.words(hit.Fault)},
		{At: finding.At, Type: EventNote, Name: "lost/1/nobody", Finding: &finding, Text: "of a hit that the journal lost"},
	}
	for i := range events {
		events[i] = stored(t, events[i])
	}
	r := Rebuild(events, false)
	if len(r.Hits) != 1 || !reflect.DeepEqual(r.Hits[0].Findings, []Finding{finding}) {
		t.Errorf("the hits are %+v", r.Hits)
	}
	if !slices.ContainsFunc(r.Timeline, func(m Moment) bool { return m.Text == "lost: pod b is ready on node n, 1.9s after the hit" }) {
		t.Errorf("the timeline is %+v", r.Timeline)
	}
}

func TestARunThatDiedAfterItsVerdictSaysSo(t *testing.T) {
	began := time.Date(2026, 11, 24, 15, 30, 12, 0, time.UTC)
	end := began.Add(23 * time.Second)
	r := Rebuild([]Event{
		{At: began, Type: EventBegin, Begin: &Begin{Run: "r", Scenario: "s"}},
		{At: end, Type: EventEnd, Verdict: Held, Text: "every hypothesis held"},
		{At: end.Add(time.Hour), Type: EventEnd, Phase: PhaseRevert, Verdict: Errored, Text: "mended after the runner had died"},
	}, false)
	if r.Verdict != Errored || !strings.Contains(r.Reason, "before it could write what its verdict rests on (held: every hypothesis held)") || !r.Ended.Equal(end) {
		t.Errorf("%s, ended %s: %s", r.Verdict, r.Ended, r.Reason)
	}
}
