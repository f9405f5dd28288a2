package experiments

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// gated is an experiment whose SLO on the front door is held to a policy.
func gated(w *world, f Fault) (*Experiment, *SLO) {
	e := experiment(w, lasting("cut", f, time.Second, 5*time.Second))
	e.Hypotheses[0].During = false
	s := &SLO{Name: "front", Objective: 0.99, Window: 30 * Day, Every: 100 * time.Millisecond, Probe: e.Probes[0]}
	e.SLOs = []*SLO{s}
	e.Policy = &Policy{Name: "standard"}
	return e, s
}

// says is a gate that always says the same.
func says(decision GateDecision, remaining float64) func(context.Context, *Experiment, *Blueprint) *GateReading {
	return func(_ context.Context, e *Experiment, b *Blueprint) *GateReading {
		unknown := Float(math.NaN())
		return &GateReading{At: time.Now(), Purpose: ForGameDay, Decision: decision, Why: "slo.front is in red, the token is hunter2", SLOs: []Outlook{{
			SLO: e.SLOs[0].Name, Period: "30d", Remaining: Float(remaining), Rate: unknown, Likely: 0.001, Worst: Float(float64(len(b.Hits)) / 100),
			Allowance: unknown, Policy: "standard", Band: "red", Decision: decision, Why: "is in red",
		}}}
	}
}

func TestAShutGateEndsARunBeforeAnythingIsTouched(t *testing.T) {
	for name, c := range map[string]struct {
		gate    func(context.Context, *Experiment, *Blueprint) *GateReading
		verdict Verdict
		reason  string
	}{
		"refused":               {says(GateRefused, -0.12), Inconclusive, "the error budget policy refuses a game day: slo.front is in red, the token is (secret); nothing was touched; to go ahead all the same: --override \"reason\""},
		"unknown":               {says(GateUnknown, math.NaN()), Inconclusive, "the error budget policy cannot tell whether a game day is allowed: "},
		"a gate that panics":    {func(context.Context, *Experiment, *Blueprint) *GateReading { panic("boom") }, Inconclusive, "the budgets could not be looked at"},
		"a gate without words":  {func(context.Context, *Experiment, *Blueprint) *GateReading { return nil }, Inconclusive, "it gave no answer"},
		"nobody to ask":         {nil, Errored, "names an error_budget_policy, and there is nothing to ask"},
		"nobody decides":        {says(GateOpen, 1), Inconclusive, "no slo that it measures has a budget to go by"},
		"a decision of no kind": {says("", 1), Inconclusive, "nothing was touched"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, j := newWorld(), &memory{}
				k := &keeper{breaker: breaker{world: w, targets: []string{"a"}}}
				e, _ := gated(w, k)
				o := options(j)
				o.Gate = c.gate
				o.Hold = func(string) (func(), error) { t.Error("a target was claimed"); return func() {}, nil }
				o.Arm = func(context.Context) error { t.Error("a watchdog was started"); return nil }
				o.Redact = func(text string) string { return strings.ReplaceAll(text, "hunter2", "(secret)") }
				r := Run(t.Context(), e, o)
				wantVerdict(t, r, c.verdict)
				if !strings.Contains(r.Reason, c.reason) {
					t.Errorf("the reason is %q, want %q in it", r.Reason, c.reason)
				}
				if w.history() != "" || k.text() != "" {
					t.Errorf("touched: %q, %q", w.history(), k.text())
				}
				if len(r.Series[0].At) > 0 {
					t.Error("it measured a baseline")
				}
				if c.gate == nil {
					return
				}
				if text, err := json.Marshal(j.events); err != nil || !strings.Contains(string(text), `"type":"gate"`) || strings.Contains(string(text), "hunter2") {
					t.Errorf("the journal is %s (%v)", text, err)
				}
				if r.Gate == nil || r.Gate.Override != nil || len(r.Faults) != 1 || len(r.Hits) != 0 {
					t.Errorf("the result has gate %+v, faults %v, hits %v", r.Gate, r.Faults, r.Hits)
				}
			})
		})
	}
}

func TestAnOverrideGoesPastTheGateAndPastNothingElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		override := &Override{Reason: "the fix must be proven today", By: "ada@ops-1", At: time.Now()}
		w, j := newWorld(), &memory{}
		e, _ := gated(w, &breaker{world: w, targets: []string{"a"}})
		o := options(j)
		o.Gate, o.Override = says(GateRefused, -0.12), override
		r := Run(t.Context(), e, o)
		wantVerdict(t, r, Held)
		if r.Gate.Decision != GateRefused || r.Gate.Override == nil || *r.Gate.Override != *override {
			t.Errorf("the gate was %+v", r.Gate)
		}
		said := "ada@ops-1 overrode the gate, which said refused (slo.front is in red, the token is hunter2): the fix must be proven today"
		found := func(list []Moment) (n int) {
			for _, m := range list {
				if m.Text == said {
					n++
				}
			}
			return n
		}
		if found(r.Timeline) != 1 {
			t.Errorf("the timeline does not say %q:\n%v", said, r.Timeline)
		}
		if again := Rebuild(j.events, false); found(again.Timeline) != 1 || again.Gate.Override == nil {
			t.Error("the journal does not tell who went past the gate")
		}

		// A guard stops it all the same.
		w = newWorld()
		e, _ = gated(w, &breaker{world: w, targets: []string{"a"}})
		e.Guards = []*GuardPlan{{Name: "no", Kind: "test", Guard: guardFunc(func(*History) Reading { return Reading{Breached: true, Used: 1, Text: "enough"} })}}
		o = options(&memory{})
		o.Gate, o.Override = says(GateRefused, -0.12), override
		wantVerdict(t, Run(t.Context(), e, o), Aborted)

		// And what needs no override is not overridden.
		w = newWorld()
		e, _ = gated(w, &breaker{world: w, targets: []string{"a"}})
		o.Gate, o.Journal = says(GateAllowed, 0.6), &memory{}
		r = Run(t.Context(), e, o)
		wantVerdict(t, r, Held)
		if r.Gate.Override != nil {
			t.Error("an open gate was overridden")
		}
	})
}

func TestStoppingWhileTheGateIsAskedIsNoRefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		e, _ := gated(w, &breaker{world: w, targets: []string{"a"}})
		o := options(&memory{})
		o.Gate = func(ctx context.Context, e *Experiment, b *Blueprint) *GateReading {
			<-ctx.Done()
			return says(GateUnknown, math.NaN())(ctx, e, b)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(&StopRequest{Cause: "interrupted (Ctrl-C)", At: time.Now()}) })
		r := Run(ctx, e, o)
		wantVerdict(t, r, Aborted)
		if r.Gate != nil || w.history() != "" {
			t.Errorf("gate %+v, touched %q", r.Gate, w.history())
		}
	})
}

func TestTheDecisionIsOnDiskBeforeAnythingElseHappens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, j := newWorld(), &memory{}
		e, _ := gated(w, &breaker{world: w, targets: []string{"a"}})
		o := options(j)
		o.Gate = func(ctx context.Context, e *Experiment, b *Blueprint) *GateReading {
			j.err = errors.New("disk full")
			return says(GateAllowed, 0.6)(ctx, e, b)
		}
		r := Run(t.Context(), e, o)
		wantVerdict(t, r, Errored)
		if w.history() != "" {
			t.Errorf("touched %q", w.history())
		}
	})
}

// limited is a guard that allows a share.
type limited struct {
	guardFunc
	limit SpendLimit
}

func (l limited) Limit(remaining float64, _ time.Duration) SpendLimit { return l.limit }

func TestWhatARunSpentIsSetAgainstWhatWasUsualAndExpected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, j := newWorld(), &memory{}
		e, s := gated(w, &breaker{world: w, targets: []string{"a"}})
		quiet := guardFunc(func(*History) Reading { return Reading{} })
		e.Guards = []*GuardPlan{
			{Name: "wide", Kind: "test", Guard: limited{quiet, SpendLimit{SLO: s, Share: 0.5}}},
			{Name: "narrow", Kind: "test", Guard: limited{quiet, SpendLimit{SLO: s, Share: 0.2}}},
		}
		var left []BudgetLeft
		o := options(j)
		o.Gate = says(GateAllowed, 0.6)
		o.Watch = func(event Event) {
			if event.Budget != nil {
				left = append(left, *event.Budget)
			}
		}
		r := Run(t.Context(), e, o)
		wantVerdict(t, r, Held)
		a := r.SLOs[0].Account
		if a == nil {
			t.Fatal("there is no account")
		}
		// 10 events a second of 99% over 30d: a budget of 259,200; the cut took about 50.
		if bad := r.SLOs[0].Bad; bad < 45 || bad > 55 || math.Abs(float64(a.Attributable)-bad) > 1e-9 || float64(a.Usual) != 0 {
			t.Errorf("%v failed, %v of them attributable, usual %v", bad, a.Attributable, a.Usual)
		}
		if spent := float64(a.AttributableSpent); math.Abs(spent/(r.SLOs[0].Bad/259200)-1) > 0.05 {
			t.Errorf("%v spent", spent)
		}
		if a.Remaining != 0.6 || a.Worst != 0.01 || a.Likely != 0.001 || a.Allowance.Known() {
			t.Errorf("remaining %v, worst %v, likely %v, allowance %v are not the gate's", a.Remaining, a.Worst, a.Likely, a.Allowance)
		}
		if from := a.ReturnsFrom.Sub(r.Hits[0].Injected); from != 30*Day || a.Returns.Before(a.ReturnsFrom) || a.Returns.After(r.Ended.Add(30*Day)) {
			t.Errorf("it comes back from %v to %v", a.ReturnsFrom, a.Returns)
		}
		if len(left) < 5 || left[0].Allowance != 0.2 || left[0].Remaining != 0.6 || left[0].Period != "30d" {
			t.Fatalf("the watchers saw %+v", left)
		}
		if first, last := left[0], left[len(left)-1]; !(first.Spent < last.Spent) {
			t.Errorf("what is spent went from %v to %v", first.Spent, last.Spent)
		}
	})
}

func TestWhatFailsAnywayIsNotTheRunsDoing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		e, s := gated(w, &breaker{world: w, targets: []string{"a"}})
		var n atomic.Int64
		p := &Probed{Name: "other", Every: 10 * time.Millisecond, Timeout: time.Second, Probe: probeFunc(func(context.Context) Sample {
			return Sample{Counted: true, Good: n.Add(1)%10 != 0, Value: math.NaN()}
		})}
		s.Probe, s.Objective = p, 0.5
		s.Calendar = &Calendar{Unit: CalendarMonth, Location: time.UTC}
		e.Probes, e.Policy = append(e.Probes, p), nil
		r := Run(t.Context(), e, options(&memory{}))
		wantVerdict(t, r, Held)
		a := r.SLOs[0].Account
		if bad := r.SLOs[0].Bad; bad < 40 || math.Abs(float64(a.Attributable)) > bad/20 || math.Abs(float64(a.Usual)-0.1) > 0.011 {
			t.Errorf("%v failed, %v of them attributable, usual %v", bad, a.Attributable, a.Usual)
		}
		if _, end := s.Period(r.Ended); !a.Returns.Equal(end) || !a.ReturnsFrom.Equal(end) {
			t.Errorf("it comes back from %v to %v, want the month's end", a.ReturnsFrom, a.Returns)
		}
	})
}

// counters is an SLI that counts what a server says it served.
type counters struct {
	served func(from, to time.Time) (bad, total float64)
}

func (c counters) Shortest() time.Duration { return 400 * time.Millisecond }

func (c counters) Count(_ context.Context, at time.Time, window time.Duration) Count {
	bad, total := c.served(at.Add(-window), at)
	return Count{At: at, Window: window, Bad: bad, Total: total}
}

func TestRequestsThatNoServerCountedAreTold(t *testing.T) {
	for name, c := range map[string]struct {
		others float64 // requests a second of others
		vanish bool    // what comes while it is broken is not counted
		want   bool
	}{
		"the server's counters vanish":          {0, true, true},
		"the server counts what it refuses":     {0, false, false},
		"others call it too: it cannot be told": {10, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				e, s := gated(w, &breaker{world: w, targets: []string{"a"}})
				e.Policy = nil
				began := time.Now()
				s.Probe, s.SLI = nil, counters{func(from, to time.Time) (bad, total float64) {
					for at := began; !at.After(to); at = at.Add(100 * time.Millisecond) {
						if !at.After(from) {
							continue
						}
						total += c.others / 10
						down := at.Sub(began) > 4*time.Second && at.Sub(began) < 9*time.Second
						if down && c.vanish {
							continue
						}
						total++
						if down {
							bad++
						}
					}
					return bad, total
				}}
				e.Baseline = 4 * time.Second
				e.Faults[0].Schedule.At = 100 * time.Millisecond
				r := Run(t.Context(), e, options(&memory{}))
				wantVerdict(t, r, Held)
				u := r.SLOs[0].Account.Unobserved
				if (u != nil) != c.want {
					t.Fatalf("unobserved: %+v", u)
				}
				if u != nil && (u.Probe != "probe.front" || u.Missed < 40 || u.Missed > 55 || math.Abs(u.Sent-u.Seen-u.Missed) > 1e-9 || !u.Spent.Known()) {
					t.Errorf("unobserved: %+v", u)
				}
			})
		})
	}
}
