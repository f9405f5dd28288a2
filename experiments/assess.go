package experiments

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"
)

// showPace is the time between two showings of a guard's or a hypothesis's value.
const showPace = 250 * time.Millisecond

// judge judges h on the measurements that began between from and to. The label names
// the window that an SLO on queries was counted over.
func (r *runner) judge(h *Hypothesis, phase Phase, from, to time.Time, label time.Duration) Judgement {
	switch {
	case h.Probe != nil && h.Rate != nil:
		return h.judgeShares(phase, from, to, r.history)
	case h.Probe != nil && h.Limit.Kind == ValueKeeps:
		return h.judgeKept(phase, from, to, r.history)
	case h.Probe != nil && h.Probe.Unit == Traffic.Unit() && h.Limit.Kind == ValueAtLeast:
		return h.judgeRate(phase, from, to, r.history.Probe(h.Probe))
	case h.Probe != nil:
		return h.judgeSamples(phase, from, to, r.history.Probe(h.Probe))
	}
	if h.SLO.Probe != nil {
		return h.judgeCount(phase, r.history.Probe(h.SLO.Probe).countBegun(from, to))
	}
	return h.judgeCount(phase, r.history.Latest(h.SLO, label))
}

// known is the moment up to which h can be judged: the answers to all measurements
// that began by then are in. A judgement that went further would see the fast answers
// and not the slow ones.
func (r *runner) known(h *Hypothesis, now time.Time) time.Time {
	return r.waiting[h.probe()].known(now)
}

// hypothesis is the result of h, made at first use.
func (r *runner) hypothesis(h *Hypothesis) *HypothesisResult {
	result := r.judged[h]
	if result == nil {
		result = &HypothesisResult{
			Name: h.Name, Statement: h.Statement(), Series: h.seriesName(), Origin: h.Origin,
			Unit: h.unit(), Limit: Float(h.limit()), Kind: h.Limit.Kind,
			RecoverWithin: h.RecoverWithin, MayBreak: !h.During,
		}
		r.judged[h] = result
	}
	return result
}

// showJudgements lets the watchers see how the hypotheses stand.
func (r *runner) showJudgements(now time.Time) {
	if now.Before(r.nextShow) {
		return
	}
	began := time.Now()
	for _, h := range r.e.Hypotheses {
		var j Judgement
		switch {
		case r.phaseNow() == PhaseBaseline:
			j = r.judge(h, PhaseBaseline, r.marks.baselineBegan(), now, sinceBaseline)
		case !r.history.Restored.IsZero():
			j = r.judge(h, PhaseRecover, r.history.Restored, now, sinceRestored)
		case !r.history.Injected.IsZero():
			j = r.judge(h, PhaseDisrupt, r.history.Injected, now, SinceInjection)
		default:
			continue
		}
		r.show(h.event(&j))
	}
	r.nextShow = laterOf(now.Add(showPace), thrifty(began))
}

// thrifty says when to look again after a look that began then: a look takes the
// longer the longer the run is, and may take a twentieth of the time.
func thrifty(began time.Time) time.Time {
	now := time.Now()
	took := now.Sub(began)
	if took < time.Millisecond {
		return now
	}
	return now.Add(20 * took)
}

func (r *runner) phaseNow() Phase {
	r.emitting.Lock()
	defer r.emitting.Unlock()
	return r.phase
}

func (m *marks) baselineBegan() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.baseline
}

// baseline watches the untouched system until every hypothesis is shown to hold,
// or one is refuted, or time is up. It tells whether all hold.
func (r *runner) baseline(ctx context.Context) bool {
	began := r.marks.baselineBegan()
	watching, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r.cancelWork = cancel
	met := false
	var next time.Time // looking costs the more the longer this takes
	r.loop(watching, watching.Done(), func() bool {
		if watching.Err() != nil {
			return true
		}
		if time.Now().Before(next) {
			return false
		}
		defer func(looked time.Time) { next = thrifty(looked) }(time.Now())
		spent := time.Since(began)
		if spent < r.e.Baseline {
			return false
		}
		late := spent >= max(r.e.BaselineWithin, r.e.Baseline)
		held, refuted := 0, 0
		for _, h := range r.e.Hypotheses {
			j := r.judge(h, PhaseBaseline, began, r.known(h, time.Now()), sinceBaseline)
			r.hypothesis(h).Before = &j
			switch j.Verdict {
			case Held:
				held++
			case Refuted:
				refuted++
			}
		}
		met = held == len(r.e.Hypotheses)
		return met || refuted > 0 || late
	})
	r.cancelWork = nil
	for _, h := range r.e.Hypotheses {
		if j := r.hypothesis(h).Before; j != nil {
			r.emit(h.event(j))
		}
	}
	if watching.Err() != nil {
		return false
	}
	if !met {
		r.moment("hypothesis", "The baseline does not hold; nothing was touched")
		return false
	}
	r.moment("hypothesis", "The baseline holds")
	for _, s := range r.e.SLOs {
		count := r.history.Latest(s, sinceBaseline)
		if s.Probe != nil {
			count = r.history.Probe(s.Probe).Count(began, time.Now())
		}
		if count.Condition == OK && count.Window > 0 {
			r.history.SetRate(s, count.Total/count.Window.Seconds())
		}
		r.usual[s] = r.baselineOf(s, count, began)
	}
	r.countRemaining(ctx)
	return true
}

// countRemaining finds out what is left of the error budgets that guards allow a
// share of. What cannot be read stays unknown, and the guard says so.
func (r *runner) countRemaining(ctx context.Context) {
	asked := map[*SLO]bool{}
	for _, g := range r.e.Guards {
		for _, s := range g.Guard.Needs().Remaining {
			// The gate has mostly counted it, over the very period.
			asked[s] = s.SLI != nil && math.IsNaN(r.history.Remaining(s))
		}
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for s, onQueries := range asked {
			if !onQueries {
				continue
			}
			count := countCarefully(ctx, s, time.Now(), s.Window)
			if count.Condition == OK && count.Total > 0 {
				r.post(func() { r.history.SetRemaining(s, 1-count.Bad/(s.Budget()*count.Total)) })
			}
		}
	}()
	r.loop(ctx, ended, nil)
}

// judgeDuring judges what should have held while faults were on.
func (r *runner) judgeDuring(ctx context.Context) {
	if r.history.Injected.IsZero() {
		return
	}
	end := r.history.Restored
	if end.IsZero() {
		end = time.Now()
	}
	r.countToTheEnd(ctx, end)
	end = r.sampleAfterInstant(ctx, end)
	r.awaitAnswers(ctx, end)
	for _, h := range r.e.Hypotheses {
		j := r.judge(h, PhaseDisrupt, r.history.Injected, end, SinceInjection)
		r.hypothesis(h).During = &j
		r.emit(h.event(&j))
	}
}

// countToTheEnd counts once more what happened up to the last revert, when a
// scrape has had the time to see it.
func (r *runner) countToTheEnd(ctx context.Context, end time.Time) {
	if r.stop != nil && r.stop.Guard == "" {
		return // somebody wants to go home
	}
	ended, injected := make(chan struct{}), r.history.Injected
	go func() {
		defer close(ended)
		for _, s := range r.e.SLOs {
			if s.Probe != nil {
				continue
			}
			// Shortest is four scrapes; one must have come since the end.
			at := end.Add(min(s.SLI.Shortest()/4, 15*time.Second))
			if !sleepUntil(ctx, at) {
				return
			}
			count := countCarefully(ctx, s, at, at.Sub(injected))
			if ctx.Err() != nil {
				return // cut short: it says nothing about the system
			}
			count.Why = r.o.Redact(count.Why)
			r.post(func() { r.history.AddCount(s, SinceInjection, count) })
		}
	}()
	r.loop(ctx, ended, nil)
}

// awaitAnswers waits for the answers to all measurements that began before the end
// of the faults. The slowest come last.
func (r *runner) awaitAnswers(ctx context.Context, end time.Time) {
	pending := func() bool {
		return slices.ContainsFunc(r.e.Hypotheses, func(h *Hypothesis) bool { return r.known(h, end).Before(end) })
	}
	limit := end.Add(r.slowest() + grace + lookPace)
	if pending() {
		r.loop(ctx, nil, func() bool { return !pending() || time.Now().After(limit) || ctx.Err() != nil })
	}
}

// sampleAfterInstant waits until every probe was read once since the injection: a
// fault that is over at once leaves no time for it. It gives the end of the time
// to judge.
func (r *runner) sampleAfterInstant(ctx context.Context, end time.Time) time.Time {
	read := func(to time.Time) bool {
		return !slices.ContainsFunc(r.e.Probes, func(p *Probed) bool {
			began := false
			r.history.Probe(p).begun(r.history.Injected, to, func(int) { began = true })
			return !began
		})
	}
	// Once a lasting harm is gone, a measurement says nothing about the time it was on.
	lasting := slices.ContainsFunc(r.hits.results(), func(hit HitResult) bool { return hit.Lasts > 0 })
	if lasting || read(end) || r.stop != nil && r.stop.Guard == "" {
		return end
	}
	if !read(time.Now()) {
		r.nudge()
		limit := time.Now().Add(nudgePace + r.slowest() + lookPace)
		r.loop(ctx, nil, func() bool { return read(time.Now()) || time.Now().After(limit) || ctx.Err() != nil })
	}
	return time.Now()
}

// slowest is the longest time that a measurement may take.
func (r *runner) slowest() time.Duration {
	slowest := time.Duration(0)
	for _, p := range r.e.Probes {
		slowest = max(slowest, p.Timeout)
	}
	return slowest
}

// recovery waits until every hypothesis holds again, each within its limit.
func (r *runner) recovery(ctx context.Context) {
	restored := r.history.Restored
	r.nudge()
	watching, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r.cancelWork = cancel
	var next time.Time
	r.loop(watching, watching.Done(), func() bool {
		if watching.Err() != nil {
			return true
		}
		now := time.Now()
		if now.Before(next) {
			return false
		}
		defer func() { next = thrifty(now) }()
		open := 0
		for _, h := range r.e.Hypotheses {
			if !r.recovered(h, restored, now) {
				open++
			}
		}
		return open == 0
	})
	r.cancelWork = nil
}

// recovered judges h after the last revert. It tells whether the question is
// settled: h holds again, or its time is up.
func (r *runner) recovered(h *Hypothesis, restored, now time.Time) bool {
	result := r.hypothesis(h)
	if r.settled[h] {
		return true
	}
	known := r.known(h, now)
	since := known.Sub(restored)
	windows := h.recoveryWindows(since)
	var last Judgement
	for i := range len(windows) + 1 {
		window, label := since, sinceRestored
		if i < len(windows) {
			window, label = windows[i], windows[i]
		}
		if window < h.Hold {
			continue
		}
		j := r.judge(h, PhaseRecover, known.Add(-window), known, label)
		// An SLO on queries was counted a little ago, over a window that began earlier.
		if i == 0 || j.Verdict == Held {
			last = j
		}
		began := laterOf(j.From, restored)
		if j.Verdict == Held && j.To.Sub(j.From) >= h.Hold && began.Sub(restored) <= h.RecoverWithin && !j.To.Before(restored.Add(h.Hold)) {
			result.Recovery, result.RecoveredAfter = &j, began.Sub(restored)
			r.settled[h] = true
			r.emit(h.event(&j))
			r.moment("hypothesis", fmt.Sprintf("%q holds again, %s after the last revert", h.Name, seconds(result.RecoveredAfter.Seconds())))
			return true
		}
	}
	// What holds must have begun within the limit; to be shown it may take as long
	// again, but no longer.
	limit := h.RecoverWithin + h.shown()
	if last.Verdict != Held && last.Verdict != Refuted {
		last.Verdict = Inconclusive // it may not have been judged at all
		limit += h.RecoverWithin
	}
	if now.Sub(restored) < limit {
		return false
	}
	if last.Text == "" {
		last = r.judge(h, PhaseRecover, restored, known, sinceRestored)
	}
	if last.Verdict == Held {
		last.Verdict = Refuted
		last.Text = fmt.Sprintf("holds again, but only later than %s: %s", FormatDuration(h.RecoverWithin), last.Text)
	}
	result.Recovery = &last
	r.settled[h] = true
	r.emit(h.event(&last))
	r.moment("hypothesis", fmt.Sprintf("%q does not hold again within %s", h.Name, FormatDuration(h.RecoverWithin)))
	return true
}

// conclude gives the verdict of one hypothesis from its judgements.
func (r *runner) conclude(h *Hypothesis) HypothesisResult {
	result := *r.hypothesis(h)
	if h.Limit.Kind == ValueKeeps && result.Before != nil {
		result.Limit = result.Before.Limit
		if result.During != nil {
			result.Limit = result.During.Limit
		}
	}
	broke := !r.history.Injected.IsZero()
	switch {
	case result.Before == nil:
		result.Verdict, result.Reason = Inconclusive, "it was never judged"
	case result.Before.Verdict != Held:
		result.Verdict, result.Reason = result.Before.Verdict, "before the faults: "+result.Before.Text
	case !broke && len(r.e.Faults) == 0:
		result.Verdict, result.Reason = Held, result.Before.Text
	case !broke:
		result.Verdict, result.Reason = Inconclusive, "it held before, but nothing was broken"
	case h.During && result.During != nil && result.During.Verdict == Refuted:
		result.Verdict, result.Reason = Refuted, "while faults were on: "+result.During.Text
	case result.Recovery != nil && result.Recovery.Verdict == Refuted:
		result.Verdict, result.Reason = Refuted, "after the faults: "+result.Recovery.Text
	case h.During && (result.During == nil || result.During.Verdict != Held):
		result.Verdict, result.Reason = Inconclusive, "while faults were on: "+textOf(result.During)
	case result.Recovery == nil || result.Recovery.Verdict != Held:
		result.Verdict, result.Reason = Inconclusive, "after the faults: "+textOf(result.Recovery)
	case h.During:
		result.Verdict, result.Reason = Held, result.During.Text
	default:
		result.Verdict = Held
		result.Reason = fmt.Sprintf("whole again %s after the last revert: %s", seconds(result.RecoveredAfter.Seconds()), result.Recovery.Text)
	}
	return result
}

func textOf(j *Judgement) string {
	if j == nil {
		return "the run was over before it could be judged"
	}
	return j.Text
}
