package console

import (
	"fmt"
	"math"
	"time"

	"github.com/gameday-sh/gameday/experiments"
)

// tape is a run's events, written down by hand.
type tape struct {
	at     time.Time
	phase  experiments.Phase
	events []experiments.Event
}

var began = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func newTape() *tape { return &tape{at: began} }

func (t *tape) wait(d time.Duration) *tape {
	t.at = t.at.Add(d)
	return t
}

func (t *tape) add(e experiments.Event) *tape {
	e.At, e.Phase = t.at, t.phase
	t.events = append(t.events, e)
	return t
}

func (t *tape) begin(scenario string) *tape {
	t.phase = ""
	return t.add(experiments.Event{Type: experiments.EventBegin, Begin: &experiments.Begin{
		Run: "20261124-120000-" + scenario + "-7f3a", Scenario: scenario, Seed: 7,
	}})
}

func (t *tape) enter(phase experiments.Phase) *tape {
	t.phase = phase
	return t.add(experiments.Event{Type: experiments.EventPhase})
}

func (t *tape) plan(fault, target, effect string, at, lasts time.Duration) *tape {
	id := fault + "/1/" + target
	return t.add(experiments.Event{Type: experiments.EventHit, Hit: &experiments.HitEvent{
		ID: id, Step: experiments.Planned,
		Hit: &experiments.Hit{ID: id, Fault: fault, Target: target, Effect: effect, At: at, Lasts: lasts},
	}})
}

func (t *tape) step(id string, step experiments.Step, seen string) *tape {
	e := &experiments.HitEvent{ID: id, Step: step, Seen: seen}
	switch step {
	case experiments.Verified:
		e.State = experiments.Whole
	case experiments.Failed, experiments.Stuck:
		e.Error, e.Seen = seen, ""
	}
	return t.add(experiments.Event{Type: experiments.EventHit, Hit: e})
}

// sample is an answered request; a negative latency is one that failed.
func (t *tape) sample(series string, took time.Duration) *tape {
	s := &experiments.Sample{At: t.at, Took: max(took, -took), Counted: true, Good: took >= 0, Value: math.NaN()}
	return t.add(experiments.Event{Type: experiments.EventSample, Series: series, Sample: s})
}

func (t *tape) count(series string, bad, total float64) *tape {
	c := &experiments.Count{At: t.at, Window: time.Second, Bad: bad, Total: total}
	if total == 0 {
		c.Condition = experiments.NoTraffic
	}
	return t.add(experiments.Event{Type: experiments.EventCount, Series: series, Count: c})
}

func (t *tape) latency(verdict experiments.Verdict, seconds float64, mayBreak bool) *tape {
	return t.add(experiments.Event{
		Type: experiments.EventJudgement, Name: "the front door answers fast", Series: "probe.front_door", MayBreak: mayBreak,
		Judgement: &experiments.Judgement{
			Verdict: verdict, Unit: "s", Observed: experiments.Float(seconds), Limit: 0.5, Total: 40,
			Text: fmt.Sprintf("p95 %s over 40 measurements, at most 500ms asked", amount(seconds, "s")),
		},
	})
}

func (t *tape) availability(verdict experiments.Verdict, good, needs float64) *tape {
	text := fmt.Sprintf("%s of 3,000 events good, at least 99.5%% asked", amount(good, "ratio"))
	if needs > 0 {
		text += fmt.Sprintf("; too few to be 95%% sure, needs %.0f more good ones", needs)
	}
	return t.add(experiments.Event{
		Type: experiments.EventJudgement, Name: "checkout stays available", Series: "slo.checkout",
		Judgement: &experiments.Judgement{
			Verdict: verdict, Unit: "ratio", Observed: experiments.Float(good), Limit: 0.995, Needs: needs, Text: text,
		},
	})
}

func (t *tape) guard(name string, used float64, breached bool, text string) *tape {
	return t.add(experiments.Event{Type: experiments.EventGuard, Name: name, Guard: &experiments.Reading{
		Used: experiments.Float(used), Breached: breached, Text: text,
	}})
}

func (t *tape) budget(series string, spent, allowance, remaining float64) *tape {
	return t.add(experiments.Event{Type: experiments.EventBudget, Series: series, Budget: &experiments.BudgetLeft{
		Period: "30d", Spent: experiments.Float(spent), Allowance: experiments.Float(allowance), Remaining: experiments.Float(remaining),
	}})
}

func (t *tape) gate(decision experiments.GateDecision, why string, override *experiments.Override) *tape {
	return t.add(experiments.Event{Type: experiments.EventGate, Gate: &experiments.GateReading{
		At: t.at, Purpose: experiments.ForGameDay, Decision: decision, Why: why, Override: override,
	}})
}

func (t *tape) stop(cause string) *tape {
	return t.add(experiments.Event{Type: experiments.EventStop, Stop: &experiments.Stop{Cause: cause, Breach: t.at}})
}

func (t *tape) note(text string) *tape {
	return t.add(experiments.Event{Type: experiments.EventNote, Text: text})
}

func (t *tape) end(verdict experiments.Verdict, reason string) *tape {
	return t.add(experiments.Event{Type: experiments.EventEnd, Verdict: verdict, Text: reason})
}

func (t *tape) show(v View) {
	for _, e := range t.events {
		v.Event(e)
	}
}

func (t *tape) state() *liveState {
	state := &liveState{}
	for _, e := range t.events {
		state.event(e)
	}
	return state
}

const (
	latePayments = "late-payments/1/proxy payments"
	loseAPod     = "lose-a-pod/1/pod shop/checkout-5d9f"
)

// baselineTape is a run whose hypotheses are not shown to hold yet.
func baselineTape() *tape {
	t := newTape().begin("slow-payments").enter(experiments.PhaseCheck).enter(experiments.PhasePlan).
		plan("late-payments", "proxy payments", "add 300ms ± 50ms of latency downstream", time.Second, 30*time.Second).
		plan("lose-a-pod", "pod shop/checkout-5d9f", "delete the pod", 8*time.Second, 0).
		enter(experiments.PhaseBaseline)
	for i := range 12 {
		t.wait(500*time.Millisecond).sample("probe.front_door", time.Duration(20+i%3*60)*time.Millisecond).count("slo.checkout", 0, 100)
	}
	return t.availability(experiments.Inconclusive, 1, 412).latency(experiments.Held, 0.14, false)
}

// disruptTape is a run with two faults: one is there, the other was over at once.
func disruptTape() *tape {
	t := baselineTape().availability(experiments.Held, 1, 0).enter(experiments.PhaseDisrupt).
		wait(time.Second).step(latePayments, experiments.Intended, "").step(latePayments, experiments.Injected, "toxic listed")
	for i := range 14 {
		took := time.Duration(300+i*30) * time.Millisecond
		if i == 9 {
			took = -took
		}
		t.wait(500*time.Millisecond).sample("probe.front_door", took).count("slo.checkout", float64(i/6), 100)
	}
	return t.step(loseAPod, experiments.Injected, "uid is gone").step(loseAPod, experiments.Verified, "a new pod is ready").
		wait(5*time.Second).
		availability(experiments.Held, 0.9967, 0).latency(experiments.Refuted, 0.69, true).
		budget("slo.checkout", 0.003, 0.05, 0.62).
		guard("page-worthy", 0.42, false, "burn 6.1 of 14.4 (1m), 5.8 (10s)").
		guard("allowance", 0.06, false, "0.3% of the 30d budget spent, 4.7% left")
}

func abortedTape() *tape {
	return disruptTape().
		guard("page-worthy", 1.7, true, "burn 24.1 of 14.4 (1m), 25 (10s)").
		stop("guard page-worthy: burn 24.1 of 14.4 (1m), 25 (10s)").
		enter(experiments.PhaseRevert).wait(20*time.Millisecond).
		step(latePayments, experiments.Reverting, "").
		step(latePayments, experiments.Stuck, "remove the toxic: connect to 127.0.0.1:8474: connection refused")
}

func finishedTape() *tape {
	return disruptTape().enter(experiments.PhaseRevert).wait(18*time.Second).
		step(latePayments, experiments.Reverting, "").step(latePayments, experiments.Reverted, "").
		step(latePayments, experiments.Verified, "no toxic of ours on payments").
		enter(experiments.PhaseRecover).wait(4*time.Second).latency(experiments.Held, 0.08, false).
		enter(experiments.PhaseReport).wait(time.Millisecond).
		end(experiments.Held, "every hypothesis held; everything that was broken is proven mended")
}
