// Package conformance holds every kind of fault to the promises of
// [experiments.Fault], against a real target.
//
// A test package hands its TestMain to [Main], which lets the suite start the test
// binary again as a fresh process, and calls [Run] once a kind:
//
//	func TestMain(m *testing.M) { os.Exit(conformance.Main(m, faults.Kinds())) }
//
//	func TestLatency(t *testing.T) {
//		conformance.Run(t, conformance.World{Kind: "toxiproxy_latency", Build: build})
//	}
//
// Build is called once a promise, so that each starts from an untouched target.
package conformance

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gameday-sh/gameday/experiments"
)

// World is a kind of fault and a way to make targets for it.
type World struct {
	// Kind is the key in the table that was given to Main.
	Kind string
	// Build makes a new target and a fault that is aimed at it. It cleans up with
	// t.Cleanup.
	Build func(t *testing.T) Target
	// Parallel tests the promises side by side, as far as -parallel allows. Targets must
	// not be in each other's way.
	Parallel bool
}

// Target is something real to break.
type Target struct {
	// Fault is configured as a scenario would do it. It has at least one target.
	Fault experiments.Fault
	// Nowhere is the same kind aimed at something that is not there.
	Nowhere experiments.Fault
	// Snapshot reads all that the fault may change. Two snapshots of an unchanged
	// world are equal.
	Snapshot func(t *testing.T) string
	// Move changes the target so that a hit planned before must be refused. Nil for a
	// kind whose target cannot move.
	Move func(t *testing.T)
	// Secrets are texts that the fault was configured with and no hit may hold.
	Secrets []string
}

// run names the run that the suite's hits belong to.
const run = "20260102-030405-conformance-0001"

// Run checks each promise in a subtest of its own.
func Run(t *testing.T, world World) {
	t.Helper()
	promises := []struct {
		name  string
		check func(*testing.T, World, Target)
	}{
		{"plan names its hits fully and changes nothing", planChangesNothing},
		{"plan gives the same hits for the same seed", planIsDeterministic},
		{"plan of no target is an error", planOfNothing},
		{"a hit holds no secret", hitsHoldNoSecret},
		{"inject is proven by what is read back", injectIsProven},
		{"revert restores what stood before and is proven", revertRestores},
		{"revert twice is harmless", revertTwice},
		{"revert before inject is harmless", revertBeforeInject},
		{"revert works from the journal record in a fresh process", revertInFreshProcess},
		{"inject again after a revert works", injectAgain},
		{"a target that moved since the plan is refused untouched", movedTarget},
		{"a cancelled inject leaves nothing behind after revert", cancelledInject},
		{"a cancelled context stops every call with an error", cancelledCalls},
	}
	for _, promise := range promises {
		t.Run(promise.name, func(t *testing.T) {
			if world.Parallel {
				t.Parallel()
			}
			promise.check(t, world, world.Build(t))
		})
	}
}

// draw is what a runner would hand to Plan, from the given seed.
func draw(seed uint64) experiments.Draw {
	return experiments.Draw{
		Run:     run,
		Fault:   "break-it",
		Round:   1,
		Uniform: rand.New(rand.NewPCG(seed, 1)).Float64,
	}
}

// plan plans and fills in what the runner would.
func plan(t *testing.T, world World, fault experiments.Fault) []experiments.Hit {
	t.Helper()
	hits, err := fault.Plan(t.Context(), draw(7))
	if err != nil {
		t.Fatalf("plan: %v", err)
	}
	if len(hits) == 0 {
		t.Fatal("plan gave no hit and no error")
	}
	for i := range hits {
		hits[i].Fault, hits[i].Kind, hits[i].Round = "break-it", world.Kind, 1
		hits[i].ID = "break-it/1/" + hits[i].Target
		if fault.Lasts() {
			hits[i].Lasts = time.Minute
		}
	}
	return hits
}

// inject injects all hits and reverts them when the test ends, whatever happens.
func inject(t *testing.T, fault experiments.Fault, hits []experiments.Hit) {
	t.Helper()
	for _, hit := range hits {
		t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			if err := fault.Revert(ctx, hit); err != nil {
				t.Errorf("cleaning up %s: %v", hit.ID, err)
			}
		})
		proof, err := fault.Inject(t.Context(), hit)
		if err != nil {
			t.Fatalf("inject %s: %v", hit.ID, err)
		}
		if proof.Seen == "" {
			t.Fatalf("inject %s: the proof says nothing", hit.ID)
		}
	}
}

func revert(t *testing.T, fault experiments.Fault, hits []experiments.Hit) {
	t.Helper()
	for _, hit := range slices.Backward(hits) {
		if err := fault.Revert(t.Context(), hit); err != nil {
			t.Fatalf("revert %s: %v", hit.ID, err)
		}
	}
}

// wantState checks that every hit is in one of the states.
func wantState(t *testing.T, fault experiments.Fault, hits []experiments.Hit, states ...experiments.State) {
	t.Helper()
	for _, hit := range hits {
		seen, err := fault.Check(t.Context(), hit)
		if err != nil {
			t.Fatalf("check %s: %v", hit.ID, err)
		}
		if !slices.Contains(states, seen.State) {
			t.Errorf("%s is %s (%s), want one of %v", hit.ID, seen.State, seen.Seen, states)
		}
		if seen.Seen == "" {
			t.Errorf("%s is %s, and the observation does not say what was seen", hit.ID, seen.State)
		}
	}
}

func wantSame(t *testing.T, when, before, after string) {
	t.Helper()
	if before != after {
		t.Errorf("%s the world is not what it was:\nbefore: %s\nafter:  %s", when, before, after)
	}
}

func planChangesNothing(t *testing.T, world World, target Target) {
	before := target.Snapshot(t)
	hits := plan(t, world, target.Fault)
	wantSame(t, "after the plan", before, target.Snapshot(t))
	targets := map[string]bool{}
	for _, hit := range hits {
		for field, text := range map[string]string{"Target": hit.Target, "Holds": hit.Holds, "Effect": hit.Effect} {
			if strings.TrimSpace(text) == "" {
				t.Errorf("a hit has no %s: %+v", field, hit)
			}
		}
		if target.Fault.Lasts() && hit.Undo == "" {
			t.Errorf("%s lasts and does not say how it is undone", hit.ID)
		}
		if targets[hit.Target] {
			t.Errorf("two hits have the target %q", hit.Target)
		}
		targets[hit.Target] = true
		if len(hit.Spec) > 0 && !json.Valid(hit.Spec) {
			t.Errorf("the spec of %s is not JSON: %s", hit.ID, hit.Spec)
		}
	}
}

func planIsDeterministic(t *testing.T, _ World, target Target) {
	var plans [2]string
	for i := range plans {
		hits, err := target.Fault.Plan(t.Context(), draw(42))
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(hits)
		if err != nil {
			t.Fatal(err)
		}
		plans[i] = string(text)
	}
	if plans[0] != plans[1] {
		t.Errorf("one seed, two plans:\n%s\n%s", plans[0], plans[1])
	}
}

func planOfNothing(t *testing.T, _ World, target Target) {
	before := target.Snapshot(t)
	hits, err := target.Nowhere.Plan(t.Context(), draw(7))
	if err == nil {
		t.Errorf("plan found %d hits where there is no target, want an error", len(hits))
	}
	wantSame(t, "after a plan without a target", before, target.Snapshot(t))
}

func hitsHoldNoSecret(t *testing.T, world World, target Target) {
	text, err := json.Marshal(plan(t, world, target.Fault))
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range target.Secrets {
		if strings.Contains(string(text), secret) {
			t.Errorf("the secret %q is in the hits: %s", secret, text)
		}
	}
}

func injectIsProven(t *testing.T, world World, target Target) {
	before := target.Snapshot(t)
	hits := plan(t, world, target.Fault)
	inject(t, target.Fault, hits)
	if after := target.Snapshot(t); after == before {
		t.Errorf("the fault was injected, and the world is as before: %s", after)
	}
	if target.Fault.Lasts() {
		wantState(t, target.Fault, hits, experiments.Harmed)
	}
}

func revertRestores(t *testing.T, world World, target Target) {
	if !target.Fault.Lasts() {
		t.Skip("over at once: nothing to restore")
	}
	before := target.Snapshot(t)
	hits := plan(t, world, target.Fault)
	inject(t, target.Fault, hits)
	revert(t, target.Fault, hits)
	wantSame(t, "after the revert", before, target.Snapshot(t))
	wantState(t, target.Fault, hits, experiments.Whole)
}

func revertTwice(t *testing.T, world World, target Target) {
	hits := plan(t, world, target.Fault)
	inject(t, target.Fault, hits)
	revert(t, target.Fault, hits)
	once := target.Snapshot(t)
	revert(t, target.Fault, hits)
	wantSame(t, "after the second revert", once, target.Snapshot(t))
	if target.Fault.Lasts() {
		wantState(t, target.Fault, hits, experiments.Whole)
	}
}

func revertBeforeInject(t *testing.T, world World, target Target) {
	before := target.Snapshot(t)
	hits := plan(t, world, target.Fault)
	revert(t, target.Fault, hits)
	wantSame(t, "after a revert without an inject", before, target.Snapshot(t))
	if target.Fault.Lasts() {
		wantState(t, target.Fault, hits, experiments.Whole)
	}
}

func revertInFreshProcess(t *testing.T, world World, target Target) {
	before := target.Snapshot(t)
	hits := plan(t, world, target.Fault)
	inject(t, target.Fault, hits)
	for _, hit := range hits {
		seen := inFreshProcess(t, "check", hit)
		if target.Fault.Lasts() && seen.State != experiments.Harmed {
			t.Errorf("a fresh process finds %s %s (%s), want harmed", hit.ID, seen.State, seen.Seen)
		}
		seen = inFreshProcess(t, "revert", hit)
		if target.Fault.Lasts() && seen.State != experiments.Whole {
			t.Errorf("after a revert in a fresh process %s is %s (%s), want whole", hit.ID, seen.State, seen.Seen)
		}
	}
	if target.Fault.Lasts() {
		wantSame(t, "after a revert in a fresh process", before, target.Snapshot(t))
		wantState(t, target.Fault, hits, experiments.Whole)
	}
}

func injectAgain(t *testing.T, world World, target Target) {
	if !target.Fault.Lasts() {
		t.Skip("over at once: its target is gone")
	}
	before := target.Snapshot(t)
	for range 2 {
		hits := plan(t, world, target.Fault)
		inject(t, target.Fault, hits)
		wantState(t, target.Fault, hits, experiments.Harmed)
		revert(t, target.Fault, hits)
		wantState(t, target.Fault, hits, experiments.Whole)
	}
	wantSame(t, "after two rounds", before, target.Snapshot(t))
}

func movedTarget(t *testing.T, world World, target Target) {
	if target.Move == nil {
		t.Skip("the target of this kind cannot move")
	}
	hits := plan(t, world, target.Fault)
	target.Move(t)
	moved := target.Snapshot(t)
	for _, hit := range hits {
		proof, err := target.Fault.Inject(t.Context(), hit)
		if err == nil {
			t.Errorf("%s was injected into a target that moved: %s", hit.ID, proof.Seen)
		}
	}
	wantSame(t, "after refusing a target that moved", moved, target.Snapshot(t))
	revert(t, target.Fault, hits)
	wantSame(t, "after reverting what was refused", moved, target.Snapshot(t))
}

func cancelledInject(t *testing.T, world World, target Target) {
	if !target.Fault.Lasts() {
		t.Skip("over at once: it cannot be taken back")
	}
	before := target.Snapshot(t)
	hits := plan(t, world, target.Fault)
	// The cancellation meets the injection at a different place each time. Whether the
	// injection won is not asserted; that nothing stays is.
	for _, after := range []time.Duration{0, 50 * time.Microsecond, 200 * time.Microsecond, 500 * time.Microsecond, time.Millisecond, 3 * time.Millisecond} {
		for _, hit := range hits {
			ctx, cancel := context.WithTimeout(t.Context(), after)
			proof, err := target.Fault.Inject(ctx, hit)
			cancel()
			if err == nil && after == 0 {
				t.Errorf("%s was injected under a cancelled context: %s", hit.ID, proof.Seen)
			}
		}
		revert(t, target.Fault, hits)
		wantSame(t, "after an inject cancelled at "+after.String(), before, target.Snapshot(t))
		wantState(t, target.Fault, hits, experiments.Whole)
	}
}

func cancelledCalls(t *testing.T, world World, target Target) {
	hits := plan(t, world, target.Fault)
	before := target.Snapshot(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, hit := range hits {
		if _, err := target.Fault.Inject(ctx, hit); err == nil {
			t.Errorf("inject %s under a cancelled context gave no error", hit.ID)
		}
		// A check that answers without waiting may ignore the context; one that could
		// not read the world must not call it harmed.
		seen, err := target.Fault.Check(ctx, hit)
		if seen.State == experiments.Harmed || (err != nil && seen.State == experiments.Whole) {
			t.Errorf("check %s under a cancelled context says %s (%v)", hit.ID, seen.State, err)
		}
	}
	wantSame(t, "after calls under a cancelled context", before, target.Snapshot(t))
}
