package experiments

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// These tests have everything that plugs into the runner misbehave: nothing stays
// broken, and no verdict is better than what was seen.

// wild is a breaker whose calls can be replaced.
type wild struct {
	breaker
	plan    func() ([]Hit, error)
	inject  func(ctx context.Context, h Hit) (Proof, error)
	revert  func(ctx context.Context, h Hit) error
	observe func(ctx context.Context, h Hit) (Observation, error)
}

func (f *wild) Plan(ctx context.Context, d Draw) ([]Hit, error) {
	if f.plan != nil {
		return f.plan()
	}
	return f.breaker.Plan(ctx, d)
}

func (f *wild) Inject(ctx context.Context, h Hit) (Proof, error) {
	if f.inject != nil {
		return f.inject(ctx, h)
	}
	return f.breaker.Inject(ctx, h)
}

func (f *wild) Revert(ctx context.Context, h Hit) error {
	if f.revert != nil {
		return f.revert(ctx, h)
	}
	return f.breaker.Revert(ctx, h)
}

func (f *wild) Check(ctx context.Context, h Hit) (Observation, error) {
	if f.observe != nil {
		return f.observe(ctx, h)
	}
	return f.breaker.Check(ctx, h)
}

func TestAPanicIsAnErrorAndEverythingIsMended(t *testing.T) {
	once := func() func() {
		var fired atomic.Bool
		return func() {
			if fired.CompareAndSwap(false, true) {
				panic("index out of range")
			}
		}
	}
	for _, test := range []struct {
		name    string
		change  func(e *Experiment, f *wild)
		want    Verdict
		says    string
		touched bool
	}{
		{"of a plan", func(_ *Experiment, f *wild) {
			f.plan = func() ([]Hit, error) { panic("index out of range") }
		}, Errored, "fault \"cut\": Plan panicked: index out of range (attack_test.go:", false},
		{"of an injection, after it did its harm", func(_ *Experiment, f *wild) {
			f.inject = func(_ context.Context, h Hit) (Proof, error) {
				f.world.set(h.Target, true)
				panic("index out of range")
			}
		}, Errored, "Inject panicked", true},
		{"of a revert, once: it is tried again", func(_ *Experiment, f *wild) {
			fire := once()
			f.revert = func(ctx context.Context, h Hit) error { fire(); return f.breaker.Revert(ctx, h) }
		}, Held, "", true},
		{"of every revert", func(_ *Experiment, f *wild) {
			f.revert = func(context.Context, Hit) error { panic("index out of range") }
		}, NotRestored, "Revert panicked", true},
		{"of a check, once: it is tried again", func(_ *Experiment, f *wild) {
			fire := once()
			f.observe = func(ctx context.Context, h Hit) (Observation, error) { fire(); return f.breaker.Check(ctx, h) }
		}, Held, "", true},
		{"of a guard", func(e *Experiment, _ *wild) {
			e.Guards = []*GuardPlan{{Name: "watch", Kind: "test", Guard: guardFunc(func(*History) Reading { panic("index out of range") })}}
		}, Errored, "guard watch panicked", true},
		{"of a probe in the baseline", func(e *Experiment, _ *wild) {
			e.Probes[0].Probe = probeFunc(func(context.Context) Sample { panic("index out of range") })
		}, Inconclusive, "probe.front panicked", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				f := &wild{breaker: breaker{world: w, targets: []string{"a"}}}
				e := experiment(w, lasting("cut", f, 0, 5*time.Second))
				e.Hypotheses[0].During = false
				test.change(e, f)
				j := &memory{}
				r := Run(t.Context(), e, options(j))
				wantVerdict(t, r, test.want)
				if !strings.Contains(r.Reason, test.says) {
					t.Errorf("reason %q, want it to say %q", r.Reason, test.says)
				}
				if touched := strings.Contains(w.history(), "a true"); touched != test.touched {
					t.Errorf("touched %v: %s", touched, w.history())
				}
				if test.want != NotRestored && (w.anyBroken() || len(Outstanding(j.events, false)) > 0) {
					t.Error("something is still broken")
				}
			})
		})
	}
}

func TestAPanickingFaultDoesNotKeepRecoverFromTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.set("a", true)
		w.set("b", true)
		kinds := map[string]Fault{
			"breaker": &breaker{world: w},
			"panics":  &wild{breaker: breaker{world: w}, revert: func(context.Context, Hit) error { panic("nil map") }},
			"hangs":   &wild{breaker: breaker{world: w}, revert: func(context.Context, Hit) error { time.Sleep(time.Hour); return nil }},
		}
		left := []Hit{{ID: "x/1/a", Kind: "panics", Target: "a"}, {ID: "x/1/c", Kind: "hangs", Target: "c"}, {ID: "x/1/b", Kind: "breaker", Target: "b"}, {ID: "y/1/d", Fault: "y", Target: "d"}}
		done, err := Recover(t.Context(), left, time.Second, func(kind string) (Fault, bool) { f, ok := kinds[kind]; return f, ok }, nil, nil)
		if err != nil || len(done.Left) != 3 || len(done.Mended) != 1 || w.isBroken("b") {
			t.Fatalf("%+v, %v", done, err)
		}
		for i, want := range []string{"a: panics: Revert panicked: nil map", "c: hangs: Revert was told to end", "d: what fault \"y\" did to it is lost"} {
			if !strings.HasPrefix(done.Left[i], want) {
				t.Errorf("left %q, want %q", done.Left[i], want)
			}
		}
		time.Sleep(2 * time.Hour) // for what still hangs
	})
}

// An injection that goes on after it was told to end may do its harm after it was
// mended: as long as it has not returned, nothing is proven.
func TestAnInjectionThatDoesNotReturnIsNeverTakenForMended(t *testing.T) {
	for _, test := range []struct {
		name    string
		returns time.Duration // after the stop
		want    Verdict
	}{
		{"it returns while reverting goes on, and is mended then", 3 * time.Second, Aborted},
		{"it returns when all is over, and is left", time.Hour, NotRestored},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, j := newWorld(), &memory{}
				f := &wild{breaker: breaker{world: w, targets: []string{"a"}}}
				f.inject = func(ctx context.Context, h Hit) (Proof, error) {
					<-ctx.Done()
					time.Sleep(test.returns)
					w.set(h.Target, true)
					return Proof{"it is broken"}, nil
				}
				ctx, cancel := context.WithCancel(t.Context())
				time.AfterFunc(10*time.Second, cancel)
				r := Run(ctx, experiment(w, lasting("cut", f, 0, 5*time.Second)), options(j))
				wantVerdict(t, r, test.want)
				if left := len(Outstanding(j.events, false)); (left > 0) != (test.want == NotRestored) {
					t.Errorf("the journal leaves %d hits to the watchdog", left)
				}
				if test.want == NotRestored && !strings.Contains(r.Left[0], "has not returned and may still act") {
					t.Errorf("left %v", r.Left)
				}
				events := len(j.events)
				time.Sleep(2 * time.Hour)
				if w.isBroken("a") != (test.want == NotRestored) {
					t.Errorf("the world: %s", w.history())
				}
				if len(j.events) != events {
					t.Error("the journal was written after the end of the run")
				}
			})
		})
	}
}

func TestACallThatDoesNotEndHoldsNothingUp(t *testing.T) {
	release := func(t *testing.T) chan struct{} {
		gate := make(chan struct{})
		t.Cleanup(func() { close(gate) })
		return gate
	}
	for _, test := range []struct {
		name   string
		change func(e *Experiment, f *wild, never chan struct{})
		want   Verdict
		within time.Duration
	}{
		{"a plan, when somebody stops the run", func(_ *Experiment, f *wild, never chan struct{}) {
			f.plan = func() ([]Hit, error) { <-never; return nil, nil }
		}, Aborted, 10*time.Second + 2*grace},
		{"a revert, when its time is up", func(_ *Experiment, f *wild, never chan struct{}) {
			f.revert = func(context.Context, Hit) error { <-never; return nil }
		}, NotRestored, 40 * time.Second},
		{"a probe: what it would have seen is not known", func(e *Experiment, _ *wild, never chan struct{}) {
			e.Probes[0].Probe = probeFunc(func(context.Context) Sample { <-never; return Sample{Counted: true, Good: true} })
		}, Inconclusive, 20 * time.Second},
		{"a query: what it would have counted is not known", func(e *Experiment, _ *wild, never chan struct{}) {
			e.SLOs = []*SLO{{Name: "s", Objective: 0.9, Window: time.Hour, Every: time.Second, SLI: sliFunc(func(context.Context, time.Time, time.Duration) Count { <-never; return Count{Total: 1000} })}}
			e.Hypotheses = []*Hypothesis{{Name: "s", SLO: e.SLOs[0], Limit: Limit{Kind: GoodRatio, Ratio: 0.9}, During: true, Confidence: 0.95}}
		}, Inconclusive, 20 * time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				f := &wild{breaker: breaker{world: w, targets: []string{"a"}}}
				e := experiment(w, lasting("cut", f, 0, 5*time.Second))
				test.change(e, f, release(t))
				ctx := t.Context()
				if test.want == Aborted {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, 10*time.Second)
					defer cancel()
				}
				began := time.Now()
				r := Run(ctx, e, options(&memory{}))
				wantVerdict(t, r, test.want)
				if took := time.Since(began); took > test.within {
					t.Errorf("it took %s", took)
				}
			})
		})
	}
}

type sliFunc func(ctx context.Context, at time.Time, window time.Duration) Count

func (f sliFunc) Count(ctx context.Context, at time.Time, window time.Duration) Count {
	return f(ctx, at, window)
}
func (sliFunc) Shortest() time.Duration { return time.Second }

func TestOneTargetTwiceInARoundIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		r := Run(t.Context(), experiment(w, lasting("cut", &breaker{world: w, targets: []string{"a", "b", "a"}}, 0, time.Second)), options(&memory{}))
		wantVerdict(t, r, Errored)
		if !strings.Contains(r.Reason, "would hit a twice") || w.history() != "" {
			t.Errorf("reason %q, world %q", r.Reason, w.history())
		}
	})
}

func TestAfterAFaultThatFailedNothingMoreIsBroken(t *testing.T) {
	for name, first := range map[string]func(w *world) Fault{
		"its injection failed": func(w *world) Fault {
			return &breaker{world: w, targets: []string{"a"}, injectErr: errors.New("proxy moved")}
		},
		"its revert was not proven": func(w *world) Fault {
			return &wild{breaker: breaker{world: w, targets: []string{"a"}}, observe: func(context.Context, Hit) (Observation, error) {
				return Observation{}, errors.New("cannot read the target")
			}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				second := lasting("second", &breaker{world: w, targets: []string{"b"}}, 0, time.Second)
				second.Schedule.After = "first"
				e := experiment(w, lasting("first", first(w), 0, time.Second), second)
				e.Hypotheses[0].During = false
				r := Run(t.Context(), e, options(&memory{}))
				if r.Verdict != Errored && r.Verdict != NotRestored || len(r.Errors) == 0 {
					t.Errorf("verdict %s, errors %v", r.Verdict, r.Errors)
				}
				if strings.Contains(w.history(), "b true") {
					t.Errorf("the world saw %s", w.history())
				}
			})
		})
	}
}

func TestAStopInEachPhaseIsTimedFromWhenItWasAsked(t *testing.T) {
	at := map[Phase]time.Duration{ // since the start: the baseline takes 1s, the fault 3s, its revert 2s
		PhaseBaseline: 500 * time.Millisecond, PhaseDisrupt: 3 * time.Second, PhaseRevert: 6500 * time.Millisecond, PhaseRecover: 7 * time.Second,
	}
	took := map[Phase]time.Duration{PhaseDisrupt: 2 * time.Second}
	for phase, when := range at {
		t.Run(string(phase), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				e := experiment(w, lasting("cut", &breaker{world: w, targets: []string{"a"}, slow: 2 * time.Second}, 0, 3*time.Second))
				e.Hypotheses[0].During = false
				ctx, cancel := context.WithCancelCause(t.Context())
				asked := time.Now().Add(when)
				var seen Phase
				o := options(&memory{})
				o.Watch = func(event Event) {
					if event.Type == EventStop {
						seen = event.Phase
					}
				}
				if phase == PhaseRevert {
					// A guard has stopped it; then somebody asks too, while it is mended.
					e.Guards = []*GuardPlan{{Name: "stop", Kind: "test", Guard: guardFunc(func(h *History) Reading {
						return Reading{Breached: time.Since(h.Began) >= 5500*time.Millisecond, Text: "enough"}
					})}}
					e.Faults[0].Schedule.Duration = time.Minute
				}
				time.AfterFunc(when, func() { cancel(&StopRequest{Cause: "interrupted (Ctrl-C)", At: asked}) })
				r := Run(ctx, e, o)
				wantVerdict(t, r, Aborted)
				switch phase {
				case PhaseRevert:
					if !strings.Contains(r.Stop.Cause, "guard stop") || r.Stop.Took() < 2*time.Second || r.Stop.Took() > 2200*time.Millisecond {
						t.Errorf("the first cause counts: %+v, %s", r.Stop, r.Stop.Took())
					}
				default:
					if seen != phase || !r.Stop.Breach.Equal(asked) {
						t.Errorf("stopped in %s: %+v", seen, r.Stop)
					}
					if got := r.Stop.Took(); got < took[phase] || got > took[phase]+300*time.Millisecond {
						t.Errorf("it took %s, want %s", got, took[phase])
					}
				}
				if w.anyBroken() {
					t.Error("something is still broken")
				}
			})
		})
	}
}

func TestAStopAskedByAnotherClockIsTimedByOurs(t *testing.T) {
	for name, off := range map[string]time.Duration{"it runs ahead": time.Hour, "it runs behind": -time.Hour} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				e := experiment(w, lasting("cut", &breaker{world: w, targets: []string{"a"}, slow: 40 * time.Millisecond}, 0, time.Hour))
				ctx, cancel := context.WithCancelCause(t.Context())
				time.AfterFunc(20*time.Second, func() { cancel(&StopRequest{Cause: "aborted", At: time.Now().Add(off)}) })
				r := Run(ctx, e, options(&memory{}))
				wantVerdict(t, r, Aborted)
				if took := r.Stop.Took(); took < 40*time.Millisecond || took > 60*time.Millisecond {
					t.Errorf("stopping took %s", took)
				}
			})
		})
	}
}

// A request that a fault holds up is answered when the fault is over. It was asked
// while it was on, and that is what the verdict is about.
func TestALateAnswerIsJudgedByWhenItWasAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		e := experiment(w, lasting("late", &breaker{world: w, targets: []string{"a"}}, 0, 2*time.Second))
		e.Probes[0].Timeout = 30 * time.Second
		e.Probes[0].Probe = probeFunc(func(context.Context) Sample {
			if w.anyBroken() {
				time.Sleep(10 * time.Second)
			}
			time.Sleep(150 * time.Millisecond) // so that one is under way when the fault begins
			return Sample{Counted: true, Good: true, Value: math.NaN()}
		})
		e.Hypotheses[0].Limit = Limit{Kind: QuantileAtMost, Quantile: 0.95, Value: 1}
		r := Run(t.Context(), e, options(&memory{}))
		wantVerdict(t, r, Refuted)
		if !strings.Contains(r.Reason, "while faults were on: p95 10.2s") && !strings.Contains(r.Reason, "while faults were on: p95 10.15s") {
			t.Errorf("reason %q", r.Reason)
		}
	})
}

func TestAtMostEightMeasurementsWaitAndTheOthersAreNotForgotten(t *testing.T) {
	for _, test := range []struct {
		name  string
		limit Limit
		slow  time.Duration
		every int // one of so many answers is slow
		want  Verdict
	}{
		{"all hang: refuted by those that were asked", Limit{Kind: QuantileAtMost, Quantile: 0.95, Value: 1}, time.Hour, 1, Refuted},
		{"all hang: the ratio is refuted too", Limit{Kind: GoodRatio, Ratio: 0.99}, time.Hour, 1, Refuted},
		{"slow within the limit: what was not asked could have been slower", Limit{Kind: QuantileAtMost, Quantile: 0.95, Value: 9}, 8 * time.Second, 1, Inconclusive},
		{"slow and good: what was not asked could have failed", Limit{Kind: GoodRatio, Ratio: 0.8}, 8 * time.Second, 1, Inconclusive},
		{"few are slow: all are asked", Limit{Kind: GoodRatio, Ratio: 0.9}, 8 * time.Second, 40, Held},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var waiting, most, asked atomic.Int64
				w := newWorld()
				e := experiment(w, lasting("late", &breaker{world: w, targets: []string{"a"}}, 0, 40*time.Second))
				p := e.Probes[0]
				p.Timeout = 10 * time.Second
				p.Probe = probeFunc(func(ctx context.Context) Sample {
					now := waiting.Add(1)
					defer waiting.Add(-1)
					most.Store(max(most.Load(), now))
					if w.anyBroken() && asked.Add(1)%int64(test.every) == 0 && !sleepUntil(ctx, time.Now().Add(test.slow)) {
						return Sample{Counted: true, Value: math.NaN(), Why: "no answer"}
					}
					return Sample{Counted: true, Good: true, Value: math.NaN()}
				})
				h := e.Hypotheses[0]
				h.Limit = test.limit
				e.Baseline, e.BaselineWithin = 60*time.Second, 60*time.Second
				j := &memory{}
				r := Run(t.Context(), e, options(j))
				if got := r.Hypotheses[0].During; got == nil || got.Verdict != test.want {
					t.Fatalf("while the fault was on: %+v", got)
				}
				if most.Load() > maxInFlight {
					t.Errorf("%d were under way at once", most.Load())
				}
				missed, ticks := 0, 0
				for _, event := range j.events {
					if event.Sample == nil || event.Phase != PhaseDisrupt {
						continue
					}
					ticks++
					if event.Sample.Condition == NotAsked {
						missed++
					}
				}
				if (missed > 0) != (test.every == 1) {
					t.Errorf("%d of %d measurements were not asked", missed, ticks)
				}
				// Every tick of the clock is accounted for: those asked and answered, those
				// not asked, and the few that still wait.
				if due := 400; ticks < due-maxInFlight-2 || ticks > due+2 {
					t.Errorf("%d measurements in 40s at 100ms", ticks)
				}
			})
		})
	}
}

func TestTheBaselineIsNotMetBeforeSlowAnswersAreIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		e := experiment(w, lasting("cut", &breaker{world: w, targets: []string{"a"}}, 0, time.Second))
		var asked atomic.Int64
		e.Probes[0].Timeout = 3 * time.Second
		e.Probes[0].Probe = probeFunc(func(ctx context.Context) Sample { // one of two backends hangs
			if asked.Add(1)%2 == 0 {
				<-ctx.Done()
				return Sample{Counted: true, Value: math.NaN(), Why: "no answer within 3s"}
			}
			return Sample{Counted: true, Good: true, Value: math.NaN()}
		})
		r := Run(t.Context(), e, options(&memory{}))
		wantVerdict(t, r, Inconclusive)
		if w.history() != "" {
			t.Errorf("it was broken although half of its answers never came: %s", w.history())
		}
	})
}

func TestAJournalThatFailsAtAnyWriteNeverGivesAFalseVerdict(t *testing.T) {
	for after := range 60 {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld()
			e := experiment(w, lasting("cut", &breaker{world: w, targets: []string{"a", "b"}}, 0, 2*time.Second))
			e.Hypotheses[0].During = false
			j := &failing{after: after}
			r := Run(t.Context(), e, options(j))
			if w.anyBroken() {
				t.Fatalf("after %d writes: %s is still broken", after, w.history())
			}
			if j.failed && r.Verdict != Errored {
				t.Fatalf("after %d writes: verdict %s (%s)", after, r.Verdict, r.Reason)
			}
			// Nothing is broken before the intent is on disk.
			for target := range map[string]bool{"a": true, "b": true} {
				if strings.Contains(w.history(), target+" true") && !j.has(Intended, "cut/1/"+target) {
					t.Fatalf("after %d writes: %s was broken without a record", after, target)
				}
			}
		})
	}
}

// failing is a journal whose disk fills up.
type failing struct {
	memory
	after  int
	failed bool
}

func (f *failing) Append(e Event) error { return f.Commit(e) }

func (f *failing) Commit(list ...Event) error {
	f.mu.Lock()
	if f.after -= len(list); f.after < 0 {
		f.failed = true
		f.mu.Unlock()
		return errors.New("no space left on device")
	}
	f.mu.Unlock()
	return f.memory.Commit(list...)
}

func (f *failing) has(step Step, id string) bool {
	return slices.ContainsFunc(f.events, func(e Event) bool { return e.Hit != nil && e.Hit.Step == step && e.Hit.ID == id })
}

// An instant fault is over before anything is measured, and its rounds may go on for
// longer: it is judged on what was measured since, and not on the instant it lasted.
func TestAnInstantFaultIsJudgedOnWhatFollowedIt(t *testing.T) {
	for _, goesOn := range []time.Duration{0, 5 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld()
			kill := &FaultPlan{Name: "kill", Kind: "breaker", Fault: &breaker{world: w, targets: []string{"a"}, instant: true}}
			if goesOn > 0 {
				kill.Schedule = Schedule{Every: Range{10 * time.Second, 10 * time.Second}, Duration: goesOn}
			}
			r := Run(t.Context(), experiment(w, kill), options(&memory{}))
			if h := r.Hypotheses[0]; r.Verdict != Held || h.During == nil || h.During.Total < 1 {
				t.Fatalf("rounds that go on for %s: %s, %+v", goesOn, r.Reason, h.During)
			}
		})
	}
}
