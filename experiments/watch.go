package experiments

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"
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
	shortest := h.shortest()
	var list []time.Duration
	for window := shortest; window <= since; window *= 2 {
		list = append(list, window)
	}
	return list
}

// shortest is the shortest stretch on which h is judged to hold again.
func (h *Hypothesis) shortest() time.Duration {
	shortest := max(h.Hold, 100*time.Millisecond)
	if h.SLO != nil && h.SLO.SLI != nil {
		shortest = max(shortest, h.SLO.SLI.Shortest())
	}
	return shortest
}

// shown is how long it takes to show that h holds, once it does.
func (h *Hypothesis) shown() time.Duration {
	if h.SLO != nil && h.SLO.SLI != nil {
		return h.shortest() + 2*h.SLO.Pace() // the next evaluation, and its answer
	}
	return h.Hold
}

// maxInFlight bounds the measurements of one probe under way at once: enough to see
// a slow target at the pace of the clock, too few to finish off one that is dying.
const maxInFlight = 8

// inFlight is how many measurements of p may be under way at once: as many as its
// pace starts within its timeout, and one that a nudge adds, but never more than
// maxInFlight.
func (p *Probed) inFlight() int {
	return min(int(p.Timeout/max(p.Every, time.Millisecond))+2, maxInFlight)
}

// measure starts measuring everything, until ctx ends. Probes are paced by the
// clock and not by their answers, so that a slow target does not hide how many
// requests would have been slow (coordinated omission). As many as inFlight says may
// wait for their answers; one that is due beyond that is not asked, and is recorded
// as such: a statement that its answer could decide stays open (see judgeCount).
func (r *runner) measure(ctx context.Context) {
	for _, p := range r.e.Probes {
		nudge, waiting := r.newNudge(), &waiting{}
		r.waiting[p] = waiting
		r.measures.Go(func() {
			slots := make(chan struct{}, p.inFlight())
			var answers sync.WaitGroup
			defer answers.Wait()
			pace(ctx, p.Every, nudge, func(due bool) {
				began := time.Now()
				select {
				case slots <- struct{}{}:
				default:
					if due {
						r.missSample(ctx, p, began)
					}
					return
				}
				waiting.begin(began)
				answers.Go(func() {
					over := r.takeSample(ctx, p, waiting, began)
					select {
					case <-over:
						<-slots
					default: // it does not keep to its time, and to its slot until it is over
						go func() { <-over; <-slots }()
					}
				})
			})
		})
	}
	for _, s := range r.e.SLOs {
		if s.Probe == nil {
			nudge := r.newNudge()
			r.measures.Go(func() { pace(ctx, s.Pace(), nudge, func(bool) { r.takeCounts(ctx, s) }) })
		}
	}
}

// waiting holds when the measurements of a probe that are under way began.
type waiting struct {
	mu    sync.Mutex
	began []time.Time
}

func (w *waiting) begin(at time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.began = append(w.began, at)
}

func (w *waiting) end(at time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if i := slices.IndexFunc(w.began, at.Equal); i >= 0 {
		w.began = slices.Delete(w.began, i, i+1)
	}
}

// known is the moment up to which the outcome of every measurement that began by
// then is known: now, or just before the oldest one that is under way.
func (w *waiting) known(now time.Time) time.Time {
	if w == nil {
		return now
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, began := range w.began {
		if !began.After(now) {
			now = began.Add(-1)
		}
	}
	return now
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

// Nudges may have something measured nudgeBurst times at once, as when a short harm
// begins and ends, and after that nudgePace apart. A round of hundreds of hits must not
// ask hundreds of times: that would be load of our own, and leave no room for the
// measurements that the clock asks for.
const (
	nudgePace  = 100 * time.Millisecond
	nudgeBurst = 4
)

// pace calls do at once, at each tick, and after a nudge, until ctx ends; do is told
// whether the clock says so. Ticks that come while do is busy are dropped. Nudges that
// come together are one, and too many wait for their turn, or for the clock; none is lost.
func pace(ctx context.Context, every time.Duration, nudge <-chan struct{}, do func(due bool)) {
	every = max(every, time.Millisecond)
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	turns := rate.NewLimiter(rate.Every(min(every, nudgePace)), nudgeBurst)
	for due := true; ctx.Err() == nil; due = next(ctx, ticker.C, nudge, turns) {
		select {
		case <-nudge: // it is measured now, after what it told of
		default:
		}
		do(due)
	}
}

// next waits for the clock, or for a nudge and its turn, or until ctx ends. It tells
// whether it was the clock.
func next(ctx context.Context, clock <-chan time.Time, nudge <-chan struct{}, turns *rate.Limiter) (due bool) {
	var turn <-chan time.Time
	for {
		select {
		case <-clock:
			return true
		case <-nudge:
			nudge, turn = nil, time.After(turns.Reserve().Delay())
		case <-turn:
			return false
		case <-ctx.Done():
			return false
		}
	}
}

// takeSample measures once. The channel is closed when the probe has truly returned.
func (r *runner) takeSample(ctx context.Context, p *Probed, waiting *waiting, began time.Time) (over <-chan struct{}) {
	measuring, cancel := WithTimeout(ctx, p.Timeout)
	sample, over := measureCarefully(measuring, p)
	cancel()
	if ctx.Err() != nil {
		return over // cut short by the end of the run: it says nothing about the target
	}
	// The moment it was known, and not that at which it was asked for: nobody could
	// have acted on it before.
	sample.At = time.Now()
	sample.Why = r.o.Redact(sample.Why)
	if sample.Took == 0 {
		sample.Took = sample.At.Sub(began)
	}
	r.addSample(ctx, p, sample, func() { waiting.end(began) })
	return over
}

// missSample records a measurement that was due at a moment and could not be asked.
func (r *runner) missSample(ctx context.Context, p *Probed, due time.Time) {
	why := fmt.Sprintf("%d earlier measurements still wait for their answers", p.inFlight())
	r.addSample(ctx, p, Sample{At: due, Value: math.NaN(), Condition: NotAsked, Why: why}, func() {})
}

// addSample hands a sample to the goroutine of Run, which calls added when it is in
// the history.
func (r *runner) addSample(ctx context.Context, p *Probed, sample Sample, added func()) {
	if r.o.Observe != nil {
		r.o.Observe(p, sample)
	}
	r.send(ctx, func() {
		defer added()
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
		queries.Go(func() { counts[i] = countCarefully(ctx, s, now, a.window) })
	}
	queries.Wait()
	if ctx.Err() != nil {
		return
	}
	r.send(ctx, func() {
		for i, a := range asks {
			counts[i].Why = r.o.Redact(counts[i].Why)
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
	r.showBudgets()
	for _, g := range r.e.Guards {
		if r.dead[g] {
			continue
		}
		reading, err := judgeCarefully(g, r.history)
		if err != nil {
			r.dead[g] = true
			r.fail(err)
		}
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
		if bounded, ok := g.Guard.(Bounded); ok {
			result.Bound = bounded.Bound()
		}
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
