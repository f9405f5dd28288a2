package console

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gameday-sh/gameday/experiments"
)

func plainLines(t *testing.T, tape *tape) []string {
	t.Helper()
	var out bytes.Buffer
	view := NewPlain(&out)
	tape.show(view)
	if err := view.Close(); err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
}

func TestPlainTellsARun(t *testing.T) {
	want := []string{
		`    0.0s            run 20261124-120000-slow-payments-7f3a: scenario slow-payments, seed 7, 2026-11-24T12:00:00Z`,
		`    0.0s  check     checking`,
		`    0.0s  plan      looking up targets`,
		`    0.0s  plan      fault late-payments planned: proxy payments: add 300ms ± 50ms of latency downstream, at 0:01 for 30s`,
		`    0.0s  plan      fault lose-a-pod planned: pod shop/checkout-5d9f: delete the pod, at 0:08`,
		`    0.0s  baseline  watching the healthy system`,
		`    6.0s  baseline  hypothesis "the front door answers fast" held: p95 140ms over 40 measurements, at most 500ms asked`,
		`    6.0s  baseline  hypothesis "checkout stays available" held: 100% of 3,000 events good, at least 99.5% asked`,
		`    6.0s  disrupt   breaking things`,
		`    7.0s  disrupt   fault late-payments injected: proxy payments: add 300ms ± 50ms of latency downstream (seen: toxic listed)`,
		`   14.0s  disrupt   fault lose-a-pod injected: pod shop/checkout-5d9f: delete the pod (seen: uid is gone)`,
		`   19.0s  disrupt   hypothesis "checkout stays available" held: 99.67% of 3,000 events good, at least 99.5% asked`,
		`   19.0s  disrupt   hypothesis "the front door answers fast" broken, as it may be while faults are on: p95 690ms over 40 measurements, at most 500ms asked`,
		`   19.0s  revert    mending`,
		`   37.0s  revert    fault late-payments mended: proxy payments (seen: no toxic of ours on payments)`,
		`   37.0s  recover   waiting until it is whole again`,
		`   41.0s  recover   hypothesis "the front door answers fast" held: p95 80ms over 40 measurements, at most 500ms asked`,
		`   41.0s  report    writing the report`,
		`   41.0s  report    verdict: held: every hypothesis held; everything that was broken is proven mended`,
	}
	if got := plainLines(t, finishedTape()); !slices.Equal(got, want) {
		t.Errorf("the run is told as\n%s\nand not\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestWhatPlainSays(t *testing.T) {
	repeated := newTape().begin("x").enter(experiments.PhaseBaseline)
	for range 100 {
		repeated.wait(250*time.Millisecond).latency(experiments.Held, 0.1, false)
	}
	for _, test := range []struct {
		name  string
		tape  *tape
		count map[string]int // how many lines hold a text
	}{
		{"a verdict that stays is told when it comes, and then every ten seconds", repeated, map[string]int{"held: p95": 3}},
		{"what is undecided waits for its turn", newTape().begin("x").availability(experiments.Inconclusive, 1, 9).wait(time.Second).availability(experiments.Inconclusive, 1, 9), map[string]int{"hypothesis": 0}},
		{"but not for ever", newTape().begin("x").availability(experiments.Inconclusive, 1, 9).wait(plainPace).availability(experiments.Inconclusive, 1, 8), map[string]int{"needs 8 more": 1}},
		{"a hypothesis that breaks where it must not is refuted", newTape().begin("x").latency(experiments.Refuted, 1, false), map[string]int{"refuted: p95": 1}},
		{"what may yet hold is not called refuted", newTape().begin("x").enter(experiments.PhaseRecover).latency(experiments.Refuted, 1, false), map[string]int{"does not hold yet: p95": 1, "refuted": 0}},
		{"a revert that fails again and again in the same words is told once", abortedTape().step(latePayments, experiments.Stuck, "remove the toxic: connect to 127.0.0.1:8474: connection refused"), map[string]int{"fault late-payments stuck: proxy payments: remove the toxic": 1}},
		{"in other words it is told again", abortedTape().step(latePayments, experiments.Stuck, "timeout"), map[string]int{"late-payments stuck": 2}},
		{"a gate that was overridden is told, with who did it", newTape().begin("x").gate(experiments.GateRefused, "slo.a is in red", &experiments.Override{Reason: "it must be", By: "ada@ops"}), map[string]int{"gate refused: slo.a is in red": 1, "gate overridden by ada@ops: it must be": 1}},
		{"a gate that nobody keeps is not told", newTape().begin("x").gate(experiments.GateOpen, "no policy is named", nil), map[string]int{"gate": 0}},
		{"a guard is told once when it comes near its limit", newTape().begin("x").guard("g", 0.4, false, "4 of 10").guard("g", 0.6, false, "6 of 10").guard("g", 0.7, false, "7 of 10"), map[string]int{"guard g: 6 of 10": 1, "guard": 1}},
		{"the cause of a stop cannot be overlooked", abortedTape(), map[string]int{"STOP: guard page-worthy: burn 24.1": 1}},
		{"a hit that is over at once is not mended", disruptTape(), map[string]int{"lose-a-pod mended": 0, "lose-a-pod injected": 1}},
		{"a hit that somebody else changed is not called mended", disruptTape().add(experiments.Event{
			Type: experiments.EventHit, Hit: &experiments.HitEvent{ID: latePayments, Step: experiments.Verified, State: experiments.Superseded, Seen: "theirs"},
		}), map[string]int{"late-payments superseded: proxy payments (seen: theirs)": 1, "late-payments mended": 0}},
		{"a note is told", newTape().begin("x").note("the journal is slow"), map[string]int{"the journal is slow": 1}},
		{"text from outside keeps to its line", newTape().begin("x").note("a\nb\x1b[2J"), map[string]int{"a b": 1, "\x1b": 0}},
		{"scenarios are apart", newTape().begin("x").end(experiments.Held, "fine").wait(time.Minute).begin("y"), map[string]int{"scenario x": 1, "    0.0s            run 20261124-120000-y": 1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			lines := plainLines(t, test.tape)
			for text, want := range test.count {
				got := 0
				for _, line := range lines {
					got += strings.Count(line, text)
				}
				if got != want {
					t.Errorf("%q is there %d times, want %d:\n%s", text, got, want, strings.Join(lines, "\n"))
				}
			}
		})
	}
}

func TestPlainTellsThatItCannotWrite(t *testing.T) {
	view := NewPlain(&brokenWriter{writes: 3})
	disruptTape().show(view)
	if err := view.Close(); !errors.Is(err, errBroken) {
		t.Errorf("Close gives %v, want the failure of the writer", err)
	}
}
