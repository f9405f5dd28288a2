package experiments

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// world is a system under test in memory: a set of broken things, and whether it
// answers well.
type world struct {
	mu     sync.Mutex
	broken map[string]bool
	since  time.Time // when something was broken last
	log    []string
}

func newWorld() *world { return &world{broken: map[string]bool{}} }

func (w *world) set(target string, broken bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.log = append(w.log, fmt.Sprintf("%s %v", target, broken))
	if broken {
		w.broken[target], w.since = true, time.Now()
	} else {
		delete(w.broken, target)
	}
}

func (w *world) isBroken(target string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.broken[target]
}

// brokenFor is how long something has been broken; 0 if it is whole.
func (w *world) brokenFor(target string) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.broken[target] {
		return 0
	}
	return time.Since(w.since)
}

func (w *world) anyBroken() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.broken) > 0
}

func (w *world) history() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.log, ", ")
}

// breaker is a fault on the world in memory.
type breaker struct {
	world     *world
	targets   []string
	instant   bool
	noFuse    bool
	injectErr error
	revertErr func() error
	lies      bool // says it reverted, and did not
	planErr   error
	slow      time.Duration
	takes     time.Duration // that Inject takes, once the harm is done
}

func (b *breaker) Lasts() bool { return !b.instant }

func (b *breaker) Plan(context.Context, Draw) ([]Hit, error) {
	var hits []Hit
	for _, target := range b.targets {
		hit := Hit{Target: target, Holds: target, Effect: "breaks", Undo: "mends", Fuse: WatchdogFuse}
		if b.noFuse {
			hit.Fuse = ""
		}
		hits = append(hits, hit)
	}
	return hits, b.planErr
}

func (b *breaker) Inject(ctx context.Context, h Hit) (Proof, error) {
	if b.injectErr != nil {
		return Proof{}, b.injectErr
	}
	if !b.instant {
		b.world.set(h.Target, true)
	}
	if b.takes > 0 && !sleepUntil(ctx, time.Now().Add(b.takes)) {
		return Proof{}, context.Cause(ctx)
	}
	return Proof{Seen: "it is broken"}, nil
}

func (b *breaker) Revert(ctx context.Context, h Hit) error {
	if b.slow > 0 && !sleepUntil(ctx, time.Now().Add(b.slow)) {
		return ctx.Err()
	}
	if b.revertErr != nil {
		if err := b.revertErr(); err != nil {
			return err
		}
	}
	if !b.lies {
		b.world.set(h.Target, false)
	}
	return nil
}

func (b *breaker) Check(ctx context.Context, h Hit) (Observation, error) {
	if b.world.isBroken(h.Target) {
		return Observation{Harmed, "still broken"}, nil
	}
	return Observation{Whole, "not broken"}, nil
}

type probeFunc func(ctx context.Context) Sample

func (f probeFunc) Measure(ctx context.Context) Sample { return f(ctx) }

type guardFunc func(h *History) Reading

func (guardFunc) Needs() Needs               { return Needs{} }
func (f guardFunc) Judge(h *History) Reading { return f(h) }

// memory is a journal in memory that can be made to fail.
type memory struct {
	mu     sync.Mutex
	events []Event
	err    error
}

func (m *memory) Append(e Event) error { return m.Commit(e) }

func (m *memory) Commit(list ...Event) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return m.err
	}
	m.events = append(m.events, list...)
	return nil
}

// front is a probe that fails while anything in the world is broken.
func front(w *world) *Probed {
	return &Probed{Name: "front", Kind: "http", Every: 100 * time.Millisecond, Timeout: time.Second, Probe: probeFunc(func(context.Context) Sample {
		time.Sleep(time.Millisecond)
		if w.anyBroken() {
			return Sample{Counted: true, Value: math.NaN(), Why: "503 Service Unavailable"}
		}
		return Sample{Counted: true, Good: true, Value: math.NaN()}
	})}
}

func always(p *Probed) *Hypothesis {
	return &Hypothesis{
		Name: "the front door answers", Probe: p, Limit: Limit{Kind: EverySample}, During: true,
		RecoverWithin: 30 * time.Second, Hold: 2 * time.Second, Confidence: 0.95, MinSamples: 1,
	}
}

func experiment(w *world, faults ...*FaultPlan) *Experiment {
	p := front(w)
	return &Experiment{
		Name: "test", Seed: 7, Probes: []*Probed{p}, Hypotheses: []*Hypothesis{always(p)}, Faults: faults,
		Baseline: time.Second, BaselineWithin: 10 * time.Second, RevertWithin: 5 * time.Second,
	}
}

func lasting(name string, f Fault, at, duration time.Duration) *FaultPlan {
	return &FaultPlan{Name: name, Kind: "breaker", Origin: "test.hcl:1", Schedule: Schedule{At: at, Duration: duration}, Fault: f}
}

func options(j Journal) Options {
	return Options{Run: "run-1", Journal: j, Arm: func(context.Context) error { return nil }}
}

func wantVerdict(t *testing.T, r *Result, want Verdict) {
	t.Helper()
	if r.Verdict != want {
		t.Fatalf("verdict %q (%s), want %q; errors %v, left %v", r.Verdict, r.Reason, want, r.Errors, r.Left)
	}
}

func TestAnExperimentWhoseHypothesisMayBreakIsHeldWhenItRecovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, j := newWorld(), &memory{}
		e := experiment(w, lasting("cut", &breaker{world: w, targets: []string{"a", "b"}}, time.Second, 5*time.Second))
		e.Hypotheses[0].During = false
		r := Run(t.Context(), e, options(j))
		wantVerdict(t, r, Held)
		if w.anyBroken() {
			t.Error("something is still broken")
		}
		for _, hit := range r.Hits {
			if hit.Step != Verified || hit.Proof != "it is broken" || hit.Mended != "not broken" {
				t.Errorf("hit %s: step %s, proof %q, mended %q", hit.ID, hit.Step, hit.Proof, hit.Mended)
			}
			if held := hit.Verified.Sub(hit.Injected); held < 5*time.Second || held > 6*time.Second {
				t.Errorf("hit %s was held for %s, want 5s", hit.ID, held)
			}
		}
		h := r.Hypotheses[0]
		if h.During == nil || h.During.Verdict != Refuted || h.RecoveredAfter > time.Second {
			t.Errorf("during %+v, recovered after %s", h.During, h.RecoveredAfter)
		}
		if left := Outstanding(j.events, false); len(left) != 0 {
			t.Errorf("the journal says that %v are outstanding", left)
		}
	})
}

func TestVerdicts(t *testing.T) {
	tests := []struct {
		name    string
		change  func(e *Experiment, b *breaker, j *memory)
		want    Verdict
		reason  string
		touched bool // something was broken at all
	}{
		{"a hypothesis that breaks while the fault is on is refuted", func(*Experiment, *breaker, *memory) {}, Refuted, "measurements failed", true},
		{"a baseline that does not hold is inconclusive and nothing is touched", func(e *Experiment, b *breaker, _ *memory) {
			e.Probes[0].Probe = probeFunc(func(context.Context) Sample { return Sample{Counted: true, Value: math.NaN(), Why: "503"} })
		}, Inconclusive, "not healthy before", false},
		{"a probe that cannot be read is inconclusive and nothing is touched", func(e *Experiment, b *breaker, _ *memory) {
			e.Probes[0].Probe = probeFunc(func(context.Context) Sample { return Sample{Condition: Unreachable, Why: "connection refused"} })
		}, Inconclusive, "not healthy before", false},
		{"a plan that fails is an error and nothing is touched", func(_ *Experiment, b *breaker, _ *memory) {
			b.planErr = errors.New("no such proxy")
		}, Errored, "no such proxy", false},
		{"no target is an error and nothing is touched", func(_ *Experiment, b *breaker, _ *memory) {
			b.targets = nil
		}, Errored, "0 targets", false},
		{"a lasting hit without a fuse is refused", func(_ *Experiment, b *breaker, _ *memory) {
			b.noFuse = true
		}, Errored, "unfused = true", false},
		{"an injection that fails is an error and is reverted", func(_ *Experiment, b *breaker, _ *memory) {
			b.injectErr = errors.New("proxy moved")
		}, Errored, "proxy moved; what was begun is proven mended", false},
		{"a journal that cannot be written is an error and nothing is touched", func(_ *Experiment, _ *breaker, j *memory) {
			j.err = errors.New("no space left on device")
		}, Errored, "no space left", false},
		{"a revert that fails to the end is not restored", func(_ *Experiment, b *breaker, _ *memory) {
			b.revertErr = func() error { return errors.New("server gone") }
		}, NotRestored, "server gone", true},
		{"a revert that lies is not restored", func(_ *Experiment, b *breaker, _ *memory) {
			b.lies = true
		}, NotRestored, "still broken", true},
		{"a guard that trips aborts", func(e *Experiment, _ *breaker, _ *memory) {
			e.Guards = []*GuardPlan{{Name: "stop", Kind: "test", Guard: guardFunc(func(h *History) Reading {
				return Reading{Breached: h.Now.Sub(h.Injected) > time.Second, Text: "1 of 1"}
			})}}
		}, Aborted, "guard stop: 1 of 1", true},
		{"a scenario without a fault is judged on its baseline alone", func(e *Experiment, _ *breaker, _ *memory) {
			e.Faults = nil
		}, Held, "nothing was broken", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, j := newWorld(), &memory{}
				b := &breaker{world: w, targets: []string{"a"}}
				e := experiment(w, lasting("cut", b, 0, 5*time.Second))
				test.change(e, b, j)
				r := Run(t.Context(), e, options(j))
				wantVerdict(t, r, test.want)
				if !strings.Contains(r.Reason, test.reason) {
					t.Errorf("reason %q, want it to say %q", r.Reason, test.reason)
				}
				if touched := strings.Contains(w.history(), "a true"); touched != test.touched {
					t.Errorf("touched %v, want %v: %s", touched, test.touched, w.history())
				}
				if test.want != NotRestored && w.anyBroken() {
					t.Error("something is still broken")
				}
			})
		})
	}
}

// A drain does its harm from its first eviction on, long before it has proven all of it.
func TestAnInjectionThatTakesLongIsWatchedFromItsBeginning(t *testing.T) {
	t.Run("by guards", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld()
			e := experiment(w, lasting("drain", &breaker{world: w, targets: []string{"a"}, takes: time.Hour}, 0, time.Second))
			e.Hypotheses[0].During = false
			e.Guards = []*GuardPlan{{Name: "stop", Kind: "test", Guard: guardFunc(func(h *History) Reading {
				return Reading{Breached: h.Now.Sub(h.Injected) > 2*time.Second, Text: "2s are over"}
			})}}
			began := time.Now()
			r := Run(t.Context(), e, options(&memory{}))
			wantVerdict(t, r, Aborted)
			if took := time.Since(began); took > time.Minute {
				t.Errorf("it was stopped after %s", took)
			}
			if w.anyBroken() || !strings.Contains(r.Reason, "what was begun is proven mended") {
				t.Errorf("still broken: %v; %s", w.anyBroken(), r.Reason)
			}
		})
	})
	t.Run("by hypotheses", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld()
			b := &breaker{world: w, targets: []string{"a"}, takes: 10 * time.Second}
			e := experiment(w, lasting("drain", b, 0, time.Second))
			// Pods that were evicted are back elsewhere by the time that the drain is done.
			e.Probes[0].Probe = probeFunc(func(context.Context) Sample {
				if since := w.brokenFor("a"); since > 0 && since < 5*time.Second {
					return Sample{Counted: true, Value: math.NaN(), Why: "503"}
				}
				return Sample{Counted: true, Good: true, Value: math.NaN()}
			})
			wantVerdict(t, Run(t.Context(), e, options(&memory{})), Refuted)
		})
	})
}

func TestAStopRevertsAndSaysHowLongItTook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		b := &breaker{world: w, targets: []string{"a", "b"}, slow: 40 * time.Millisecond}
		e := experiment(w, lasting("cut", b, 0, time.Hour))
		ctx, cancel := context.WithCancelCause(t.Context())
		asked := time.Now().Add(20 * time.Second)
		time.AfterFunc(20*time.Second, func() { cancel(&StopRequest{Cause: "interrupted (Ctrl-C)", At: asked}) })
		r := Run(ctx, e, options(&memory{}))
		wantVerdict(t, r, Aborted)
		if r.Stop.Cause != "interrupted (Ctrl-C)" || !r.Stop.Breach.Equal(asked) {
			t.Errorf("stop %+v", r.Stop)
		}
		if took := r.Stop.Took(); took < 40*time.Millisecond || took > 60*time.Millisecond {
			t.Errorf("stopping took %s: two targets, mended side by side in 40ms each", took)
		}
	})
}

func TestASecondInterruptStopsWaitingAndSaysWhatIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		b := &breaker{world: w, targets: []string{"a"}, slow: time.Hour}
		e := experiment(w, lasting("cut", b, 0, time.Hour))
		e.RevertWithin = 2 * time.Hour
		ctx, cancel := context.WithCancel(t.Context())
		hurry, second := context.WithCancel(t.Context())
		time.AfterFunc(5*time.Second, cancel)
		time.AfterFunc(7*time.Second, second)
		o := options(&memory{})
		o.Hurry = hurry
		began := time.Now()
		r := Run(ctx, e, o)
		wantVerdict(t, r, NotRestored)
		if len(r.Left) != 1 || !strings.Contains(r.Left[0], "a: breaks") {
			t.Errorf("left %v", r.Left)
		}
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("waited for %s after the second interrupt", took)
		}
	})
}

func TestAFaultAfterAnotherWaitsForItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		first := lasting("first", &breaker{world: w, targets: []string{"a"}, slow: 3 * time.Second}, 0, 5*time.Second)
		second := lasting("second", &breaker{world: w, targets: []string{"b"}}, time.Second, 5*time.Second)
		second.Schedule.After = "first"
		e := experiment(w, second, first)
		e.Hypotheses[0].During = false
		r := Run(t.Context(), e, options(&memory{}))
		wantVerdict(t, r, Held)
		if want := "a true, a false, b true, b false"; w.history() != want {
			t.Errorf("the world saw %q, want %q", w.history(), want)
		}
	})
}

func TestRoundsFollowTheSeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen []string
		for range 2 {
			w := newWorld()
			plan := &FaultPlan{Name: "kill", Kind: "breaker", Fault: &breaker{world: w, targets: []string{"a"}, instant: true},
				Schedule: Schedule{Every: Range{30 * time.Second, 120 * time.Second}, Duration: 5 * time.Minute}}
			e := experiment(w, plan)
			slots, length, err := e.Timetable()
			if err != nil {
				t.Fatal(err)
			}
			if length != 5*time.Minute {
				t.Errorf("length %s, want 5m", length)
			}
			r := Run(t.Context(), e, options(&memory{}))
			wantVerdict(t, r, Held)
			if len(r.Hits) != len(slots[0].Rounds) || len(r.Hits) < 3 {
				t.Errorf("%d hits, %d rounds planned", len(r.Hits), len(slots[0].Rounds))
			}
			seen = append(seen, fmt.Sprint(slots[0].Rounds))
		}
		if seen[0] != seen[1] {
			t.Errorf("the same seed gave %s and %s", seen[0], seen[1])
		}
	})
}

func TestATargetHeldByAnotherRunIsRefusedBeforeTheBaseline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		e := experiment(w, lasting("cut", &breaker{world: w, targets: []string{"a"}}, 0, time.Second))
		o := options(&memory{})
		o.Hold = func(string) (func(), error) { return nil, errors.New("run other-run holds it") }
		r := Run(t.Context(), e, o)
		wantVerdict(t, r, Errored)
		if !strings.Contains(r.Reason, "other-run") || w.history() != "" {
			t.Errorf("reason %q, world %q", r.Reason, w.history())
		}
	})
}

func TestARunCutAnywhereCanBeMendedFromItsJournal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, j := newWorld(), &memory{}
		e := experiment(w, lasting("cut", &breaker{world: w, targets: []string{"a", "b", "c"}}, 0, 3*time.Second))
		e.Hypotheses[0].During = false
		wantVerdict(t, Run(t.Context(), e, options(j)), Held)
		for cut := range j.events {
			broken := map[string]bool{}
			for _, event := range j.events[:cut] {
				if event.Hit == nil {
					continue
				}
				target := event.Hit.ID[strings.LastIndex(event.Hit.ID, "/")+1:]
				switch event.Hit.Step {
				case Intended, Injected: // from the intent on it may be broken
					broken[target] = true
				case Verified:
					delete(broken, target)
				}
			}
			left := Outstanding(j.events[:cut], false)
			if len(left) != len(broken) {
				t.Fatalf("cut at %d: outstanding %v, may be broken %v", cut, left, broken)
			}
			for target := range broken {
				w.set(target, true)
			}
			kind := func(string) (Fault, bool) { return &breaker{world: w}, true }
			done, err := Recover(t.Context(), left, time.Second, kind, &memory{}, nil)
			if err != nil || len(done.Left) > 0 || w.anyBroken() {
				t.Fatalf("cut at %d: %+v, %v", cut, done, err)
			}
		}
	})
}

// unable is a probe that knows beforehand that it could not measure.
type unable struct{ err error }

func (unable) Measure(context.Context) Sample { return Sample{Condition: Broken} }

func (u unable) Check(context.Context) error { return u.err }

func TestAProbeThatCouldNotMeasureIsToldWithThePlan(t *testing.T) {
	e := &Experiment{
		Probes: []*Probed{
			{Name: "replicas", Origin: "shop.hcl:3", Probe: unable{errors.New("get deployments.apps is missing")}},
			{Name: "pods", Origin: "shop.hcl:9", Probe: unable{errors.New("list pods is missing")}},
			{Name: "fine", Probe: unable{}},
		},
		Faults: []*FaultPlan{{Name: "kill", Origin: "shop.hcl:20", Fault: &breaker{world: newWorld(), instant: true, planErr: errors.New("no such pod")}}},
	}
	_, err := Plan(t.Context(), e, "r")
	if err == nil {
		t.Fatal("planned")
	}
	for _, want := range []string{"no such pod", `probe "replicas" (shop.hcl:3) could not measure: get deployments.apps is missing`, `probe "pods" (shop.hcl:9) could not measure: list pods is missing`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v lacks %q", err, want)
		}
	}
	if strings.Contains(err.Error(), "fine") {
		t.Errorf("%v", err)
	}
}
