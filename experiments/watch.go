package experiments

import (
	"context"
	"sync"
	"time"
)

// marks are the moments that decide which windows are counted. Measuring reads
// them from other goroutines.
type marks struct {
	mu       sync.Mutex
	baseline time.Time
	injected time.Time
	restored time.Time
	// windows are those that guards ask for, fixed for the run.
	windows map[*SLO][]time.Duration
}

func (m *marks) set(change func(*marks)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change(m)
}

// Labels of windows that grow, beside SinceInjection.
const (
	sinceBaseline time.Duration = -1
	sinceRestored time.Duration = -2
)

// windows lists, for each SLO that rests on queries, the fixed windows that the
// guards need, and the one that is drawn in the report.
func (e *Experiment) windows() map[*SLO][]time.Duration {
	all := map[*SLO][]time.Duration{}
	add := func(s *SLO, window time.Duration) {
		for _, known := range all[s] {
			if known == window {
				return
			}
		}
		all[s] = append(all[s], window)
	}
	for _, s := range e.SLOs {
		if s.Probe == nil {
			add(s, s.chartWindow())
		}
	}
	for _, g := range e.Guards {
		needs := g.Guard.Needs()
		for _, s := range needs.SLOs {
			if s.Probe != nil {
				continue
			}
			for _, window := range needs.Windows {
				if window > 0 {
					add(s, window)
				}
			}
		}
	}
	return all
}

// Pace is the time between two evaluations of an SLO: Every, or what its source
// allows.
func (s *SLO) Pace() time.Duration {
	if s.Every > 0 {
		return s.Every
	}
	if s.Probe != nil {
		return s.Probe.Every
	}
	// Asking more often than the server scrapes tells nothing new.
	return min(max(s.SLI.Shortest()/4, 100*time.Millisecond), 30*time.Second)
}

// chartWindow is the window over which the report draws an SLO.
func (s *SLO) chartWindow() time.Duration {
	if s.Probe != nil {
		return max(10*s.Probe.Every, time.Second)
	}
	return max(s.SLI.Shortest(), 2*s.Pace(), time.Second)
}

// ask is one window to count.
type ask struct {
	label  time.Duration
	window time.Duration
}

// asks lists the windows of an SLO to count now.
func (m *marks) asks(e *Experiment, s *SLO, now time.Time) []ask {
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []ask
	for _, window := range m.windows[s] {
		list = append(list, ask{window, window})
	}
	if m.injected.IsZero() {
		return append(list, ask{sinceBaseline, now.Sub(m.baseline)})
	}
	list = append(list, ask{SinceInjection, now.Sub(m.injected)})
	if m.restored.IsZero() {
		return list
	}
	since := now.Sub(m.restored)
	for _, h := range e.Hypotheses {
		if h.SLO != s {
			continue
		}
		for _, window := range h.recoveryWindows(since) {
			list = append(list, ask{window, window})
		}
	}
	return append(list, ask{sinceRestored, since})
}

// recoveryWindows are the stretches, all ending now, over which h is judged after
// the last revert: its hold time and its doublings, as far as they fit. The
// stretch since the revert itself is judged too.
func (h *Hypothesis) recoveryWindows(since time.Duration) []time.Duration {
	shortest := max(h.Hold, 100*time.Millisecond)
	if h.SLO != nil && h.SLO.SLI != nil {
		shortest = max(shortest, h.SLO.SLI.Shortest())
	}
	var list []time.Duration
	for window := shortest; window <= since; window *= 2 {
		list = append(list, window)
	}
	return list
}

// maxInFlight bounds the measurements of one probe under way at once.
const maxInFlight = 32

// measure starts measuring everything, until ctx ends. Probes are paced by the
// clock and not by their answers, so that a slow target does not hide how many
// requests would have failed.
func (r *runner) measure(ctx context.Context) {
	for _, p := range r.e.Probes {
		nudge := r.newNudge()
		r.measures.Go(func() {
			inFlight := make(chan struct{}, min(int(p.Timeout/max(p.Every, time.Millisecond))+1, maxInFlight))
			var answers sync.WaitGroup
			defer answers.Wait()
			pace(ctx, p.Every, nudge, func() {
				select {
				case inFlight <- struct{}{}:
				default:
					return
				}
				answers.Go(func() {
					r.takeSample(ctx, p)
					<-inFlight
				})
			})
		})
	}
	for _, s := range r.e.SLOs {
		if s.Probe == nil {
			nudge := r.newNudge()
			r.measures.Go(func() { pace(ctx, s.Pace(), nudge, func() { r.takeCounts(ctx, s) }) })
		}
	}
}

func (r *runner) newNudge() <-chan struct{} {
	nudge := make(chan struct{}, 1)
	r.nudges = append(r.nudges, nudge)
	return nudge
}

// nudge has everything measured now, beside the usual pace: something changed.
func (r *runner) nudge() {
	for _, nudge := range r.nudges {
		select {
		case nudge <- struct{}{}:
		default: // one is waiting to be heard
		}
	}
}

// pace calls do at once, at each tick and at each nudge, until ctx ends. Ticks that
// come while do is busy are dropped.
func pace(ctx context.Context, every time.Duration, nudge <-chan struct{}, do func()) {
	ticker := time.NewTicker(max(every, time.Millisecond))
	defer ticker.Stop()
	for {
		if ctx.Err() != nil {
			return
		}
		do()
		select {
		case <-ticker.C:
		case <-nudge:
		case <-ctx.Done():
			return
		}
	}
}

func (r *runner) takeSample(ctx context.Context, p *Probed) {
	measuring, cancel := context.WithTimeout(ctx, p.Timeout)
	began := time.Now()
	sample := p.Probe.Measure(measuring)
	cancel()
	if ctx.Err() != nil {
		return // cut short by the end of the run: it says nothing about the target
	}
	// The moment it was known, and not that at which it was asked for: nobody could
	// have acted on it before.
	sample.At = time.Now()
	sample.Why = r.o.Redact(sample.Why)
	if sample.Took == 0 {
		sample.Took = sample.At.Sub(began)
	}
	if r.o.Observe != nil {
		r.o.Observe(p, sample)
	}
	r.send(ctx, func() {
		if n := r.history.Probe(p).Len(); n > 0 && sample.At.Before(r.history.Probe(p).At(n-1).At) {
			sample.At = r.history.Probe(p).At(n - 1).At // answers may overtake each other on the way here
		}
		r.history.AddSample(p, sample)
		event := Event{At: sample.At, Type: EventSample, Series: p.SeriesName(), Sample: &sample}
		if sample.HasValue() {
			value := Float(sample.Value)
			event.Value = &value
		}
		r.emit(event)
		r.look()
	})
}

func (r *runner) takeCounts(ctx context.Context, s *SLO) {
	now := time.Now()
	asks := r.marks.asks(r.e, s, now)
	counts := make([]Count, len(asks))
	var queries sync.WaitGroup
	for i, a := range asks {
		queries.Go(func() { counts[i] = s.SLI.Count(ctx, now, a.window) })
	}
	queries.Wait()
	if ctx.Err() != nil {
		return
	}
	r.send(ctx, func() {
		for i, a := range asks {
			counts[i].At, counts[i].Window, counts[i].Why = now, a.window, r.o.Redact(counts[i].Why)
			r.history.AddCount(s, a.label, counts[i])
			if a.label == s.chartWindow() {
				r.emit(Event{At: now, Type: EventCount, Series: s.SeriesName(), Count: &counts[i]})
			}
		}
		r.look()
	})
}

// send hands work to the goroutine of Run.
func (r *runner) send(ctx context.Context, work func()) {
	select {
	case r.inbox <- work:
	case <-ctx.Done():
	}
}

// lookPace is the longest time between two looks at guards and hypotheses, for
// those that depend on the clock.
const lookPace = 100 * time.Millisecond

// loop does the work of Run's goroutine until done is closed or until says so:
// it takes in measurements, asks the guards, and notices when ctx ends.
func (r *runner) loop(ctx context.Context, done <-chan struct{}, until func() bool) {
	ticker := time.NewTicker(lookPace)
	defer ticker.Stop()
	ended := ctx.Done()
	for {
		select {
		case work := <-r.inbox:
			work()
		case now := <-ticker.C:
			r.tick(now)
		case <-ended:
			ended = nil
			r.interrupted(ctx)
		case <-done:
			for {
				select {
				case work := <-r.inbox:
					work()
					continue
				default:
				}
				return
			}
		}
		if until != nil && until() {
			return
		}
	}
}

// drain takes in what is still on its way until all measuring has ended.
func (r *runner) drain(measures *sync.WaitGroup) {
	ended := make(chan struct{})
	go func() {
		measures.Wait()
		close(ended)
	}()
	r.loop(context.Background(), ended, nil)
}

func (r *runner) tick(now time.Time) {
	if r.o.Alive != nil {
		r.o.Alive()
	}
	if now.After(r.history.Now) {
		r.history.Now = now
	}
	r.look()
	r.showJudgements(now)
}

// look asks every guard, from the first injection until everything is mended.
func (r *runner) look() {
	if r.history.Injected.IsZero() || !r.history.Restored.IsZero() {
		return
	}
	for _, g := range r.e.Guards {
		reading := g.Guard.Judge(r.history)
		result := r.guardResult(g)
		result.Looks++
		result.Last = &reading
		if result.Worst == nil || reading.Used > result.Worst.Used || (reading.Breached && !result.Worst.Breached) {
			result.Worst, result.WorstAt = &reading, r.history.Now
		}
		if r.history.Now.Sub(r.shown[g]) >= showPace || reading.Breached && !result.Tripped {
			r.shown[g] = r.history.Now
			r.show(Event{At: r.history.Now, Type: EventGuard, Name: g.Name, Guard: &reading})
		}
		if !reading.Breached || result.Tripped {
			continue
		}
		result.Tripped = r.stop == nil
		breach := r.history.Now
		if !reading.Since.IsZero() {
			breach = reading.Since
		}
		r.stopBy(&Stop{Cause: "guard " + g.Name + ": " + reading.Text, Guard: g.Name, Breach: breach})
	}
}

func (r *runner) guardResult(g *GuardPlan) *GuardResult {
	result := r.guards[g]
	if result == nil {
		result = &GuardResult{Name: g.Name, Kind: g.Kind, Default: g.Default, Origin: g.Origin}
		r.guards[g] = result
	}
	return result
}

// recordPace is the time between two records of how a guard or a hypothesis
// stands, while nothing changes. Whoever watches is shown each; the journal of a
// day would hold little else.
const recordPace = 5 * time.Second

// standing is how a guard or a hypothesis stood when it was last recorded.
type standing struct {
	at       time.Time
	phase    Phase
	verdict  Verdict
	breached bool
}

// show lets the watchers see how a guard or a hypothesis stands. It is recorded
// when it changed, and now and then.
func (r *runner) show(event Event) {
	now := standing{at: time.Now(), phase: r.phaseNow()}
	if event.Judgement != nil {
		now.verdict = event.Judgement.Verdict
	}
	if event.Guard != nil {
		now.breached = event.Guard.Breached
	}
	key := string(event.Type) + " " + event.Name
	last, known := r.recorded[key]
	unchanged := known && last.phase == now.phase && last.verdict == now.verdict && last.breached == now.breached
	if unchanged && now.at.Sub(last.at) < recordPace {
		r.publish(event, false)
		return
	}
	r.recorded[key] = now
	r.publish(event, true)
}
