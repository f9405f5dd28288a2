package experiments

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Options is what the runner needs from outside.
type Options struct {
	Run     string // the run's name
	Version string // of gameday, for the record
	Host    string
	PID     int
	Rerun   *Rerun // how the run was started, for the record

	Journal Journal
	// Watch is called for each event, in order, from several goroutines but never from
	// two at once. It must not block.
	Watch func(Event)
	// Redact takes secrets out of what probes and faults say; nil leaves it as it is.
	Redact func(string) string
	// Observe, if set, is given every sample of a probe.
	Observe func(*Probed, Sample)
	// Alive, if set, is called all the time while the runner works.
	Alive func()
	// Arm returns when the watchdog has said that it is watching. It is called before
	// the first hit that relies on it. Without it such hits are refused.
	Arm func(ctx context.Context) error
	// Hold claims a target for this run on this machine; it fails with the name of the
	// run that has it.
	Hold func(target string) (release func(), err error)
	// Gate, if set, is asked when the targets are known and before anything is claimed or
	// touched: what the run may cost, and whether the error budget policies allow it. It
	// keeps to ctx. A run whose scenario names a policy does not begin without one.
	Gate func(ctx context.Context, e *Experiment, b *Blueprint) *GateReading
	// Override, if set, lets the run begin although the gate is shut.
	Override *Override
	// Hurry, when cancelled, ends all waiting: what is not reverted by then is left.
	Hurry context.Context
}

// StopRequest is a cause to cancel the context of Run with: who asked to stop, and
// when. Other causes work too; their text becomes the cause.
type StopRequest struct {
	Cause string
	At    time.Time
}

func (s *StopRequest) Error() string { return s.Cause }

// Run carries out an experiment and always gives a result. Cancelling ctx stops
// it: everything is reverted, under contexts that the cancellation does not reach.
func Run(ctx context.Context, e *Experiment, o Options) *Result {
	r := newRunner(e, o)
	r.begin()
	finish := r.phases(ctx)
	r.finish(finish)
	return r.result
}

// runner is the state of one run. One goroutine, that of Run, owns history and
// result; the others send it closures through inbox.
type runner struct {
	e       *Experiment
	o       Options
	history *History
	result  *Result
	slots   []Slot
	length  time.Duration

	inbox    chan func()
	over     chan struct{} // closed when nobody reads inbox any more
	measures sync.WaitGroup
	nudges   []chan struct{} // one for each thing measured
	waiting  map[*Probed]*waiting
	marks    marks

	emitting sync.Mutex
	// closed is set at the end of the run. A fault that was given up may still come back,
	// to a journal that is somebody else's by then.
	closed bool
	// journalFailed is set once a write or an fsync failed: nothing more is injected.
	journalFailed error
	phase         Phase
	timeline      []Moment

	hits     *hitBook
	inFlight inFlight
	held     map[string]bool // targets that are claimed
	releases []func()
	armed    bool

	yielding sync.Mutex
	yields   []func(context.Context) error // give back what reserve took

	following struct {
		sync.WaitGroup
		ctx context.Context // ends with the run
	}

	usual        map[*SLO]usual // what each counted in the baseline
	judged       map[*Hypothesis]*HypothesisResult
	settled      map[*Hypothesis]bool // its recovery is judged
	guards       map[*GuardPlan]*GuardResult
	dead         map[*GuardPlan]bool // guards that panicked
	shown        map[*GuardPlan]time.Time
	recorded     map[string]standing
	nextShow     time.Time
	budgetsShown time.Time

	stop       *Stop
	cancelWork context.CancelCauseFunc
	hurryUntil time.Time
	errs       []string
}

func newRunner(e *Experiment, o Options) *runner {
	if o.Redact == nil {
		o.Redact = func(text string) string { return text }
	}
	now := time.Now()
	r := &runner{
		e: e, o: o,
		history:  NewHistory(now, e.Probes, e.SLOs),
		inbox:    make(chan func(), 256),
		over:     make(chan struct{}),
		hits:     newHitBook(o.Redact),
		usual:    map[*SLO]usual{},
		judged:   map[*Hypothesis]*HypothesisResult{},
		held:     map[string]bool{},
		settled:  map[*Hypothesis]bool{},
		guards:   map[*GuardPlan]*GuardResult{},
		dead:     map[*GuardPlan]bool{},
		waiting:  map[*Probed]*waiting{},
		shown:    map[*GuardPlan]time.Time{},
		recorded: map[string]standing{},
		result: &Result{
			Schema: ResultSchema, Run: o.Run, Scenario: e.Name, Description: e.Description, Origin: e.Origin,
			Digest: e.Source.Digest, Seed: e.Seed, Version: o.Version, Host: o.Host, Rerun: o.Rerun, Began: now,
		},
	}
	r.marks.windows = e.windows()
	return r
}

// begin opens the record of the run.
func (r *runner) begin() {
	begin := &Begin{
		Run: r.o.Run, Scenario: r.e.Name, Origin: r.e.Origin, Digest: r.e.Source.Digest,
		Seed: r.e.Seed, Version: r.o.Version, PID: r.o.PID, Host: r.o.Host, Rerun: r.o.Rerun,
	}
	err := r.commit(Event{Type: EventBegin, Begin: begin})
	r.enter(PhaseCheck)
	if err != nil {
		r.fail(err)
	}
}

// outcome is how far the phases came.
type outcome struct {
	unmet bool // the baseline did not hold; nothing was touched
	shut  bool // the gate did not allow it; nothing was touched
}

func (r *runner) phases(ctx context.Context) (out outcome) {
	defer r.release()
	defer close(r.over)
	following, stopFollowing := context.WithCancel(context.WithoutCancel(ctx))
	r.following.ctx = following
	defer func() {
		stopFollowing()
		r.drain(&r.following.WaitGroup)
	}()
	defer r.yield(ctx)
	if len(r.errs) > 0 {
		return outcome{}
	}
	r.enter(PhasePlan)
	if err := r.plan(ctx); err != nil {
		if r.interrupted(ctx) {
			return outcome{}
		}
		if errors.Is(err, errShut) {
			return outcome{shut: true}
		}
		r.fail(err)
		return outcome{}
	}

	keeping, stopKeeping := context.WithCancel(context.WithoutCancel(ctx))
	kept := r.keep(keeping)
	defer func() {
		stopKeeping()
		<-kept
	}()
	measuring, stopMeasuring := context.WithCancel(context.WithoutCancel(ctx))
	defer func() {
		stopMeasuring()
		r.drain(&r.measures)
	}()
	r.enter(PhaseBaseline)
	r.marks.set(func(m *marks) { m.baseline = time.Now() })
	r.measure(measuring)
	if !r.baseline(ctx) {
		r.interrupted(ctx)
		return outcome{unmet: true}
	}
	if r.interrupted(ctx) {
		return outcome{unmet: true}
	}

	if len(r.e.Faults) > 0 {
		r.enter(PhaseDisrupt)
		r.disrupt(ctx)
		r.interrupted(ctx)
		r.enter(PhaseRevert)
		r.revertAll(ctx)
		r.judgeDuring(ctx)
		r.interrupted(ctx)
	}
	if r.stop != nil && r.stop.Guard == "" {
		return outcome{} // a person asked to stop: mended, and no more waiting
	}
	if len(r.errs) == 0 && r.hits.injected() > 0 && len(r.hits.left()) == 0 {
		r.enter(PhaseRecover)
		r.recovery(ctx)
		r.interrupted(ctx)
		r.settleFollowers(ctx)
	}
	return outcome{}
}

// interrupted records that a person, or the end of the surrounding context, asked
// to stop. A stop that is already recorded stays the cause.
func (r *runner) interrupted(ctx context.Context) bool {
	cause := context.Cause(ctx)
	if cause == nil {
		return false
	}
	var request *StopRequest
	if !errors.As(cause, &request) {
		request = &StopRequest{Cause: cause.Error(), At: time.Now()}
	}
	breach, now := request.At, time.Now()
	if breach.Before(r.result.Began) || breach.After(now) {
		breach = now // no time was given, or it is that of another clock
	}
	r.stopBy(&Stop{Cause: request.Cause, Breach: breach})
	return true
}

// stopBy ends the run early. Only the first cause counts.
func (r *runner) stopBy(stop *Stop) {
	if r.stop != nil {
		return
	}
	if !r.history.Restored.IsZero() {
		stop.Restored = laterOf(r.history.Restored, stop.Breach) // nothing was left to mend
	}
	r.stop = stop
	said := *stop // whoever watches keeps it, and Restored is still to come
	r.emit(Event{Type: EventStop, Stop: &said})
	r.moment("stop", "Stopped: "+stop.Cause)
	if r.cancelWork != nil {
		r.cancelWork(&StopRequest{Cause: stop.Cause, At: stop.Breach})
	}
}

// fail records that the runner itself failed, and stops what is going on.
func (r *runner) fail(err error) {
	text := r.o.Redact(err.Error())
	r.errs = append(r.errs, text)
	r.moment("error", text)
	r.emit(Event{Type: EventNote, Text: text})
	if r.cancelWork != nil {
		r.cancelWork(&StopRequest{Cause: text, At: time.Now()})
	}
}

// enter begins a phase.
func (r *runner) enter(phase Phase) {
	now := time.Now()
	if n := len(r.result.Phases); n > 0 {
		r.result.Phases[n-1].To = now
	}
	r.result.Phases = append(r.result.Phases, PhaseSpan{Phase: phase, From: now, To: now})
	r.emitting.Lock()
	r.phase = phase
	r.emitting.Unlock()
	r.emit(Event{Type: EventPhase})
}

// usualRevert is how long reverting everything takes at most where nothing is in
// the way, proofs included. RevertWithin, the most it may take, would have guards
// brake for a wall that is hardly ever there.
const usualRevert = 2 * time.Second

// Reverting is an estimate of how long it takes from a stop until everything is proven
// reverted.
func (e *Experiment) Reverting() time.Duration { return min(usualRevert, e.RevertWithin) }

// plan asks every fault whom it would hit, asks the gate, claims the targets and arms the
// watchdog. It changes nothing in the world.
func (r *runner) plan(ctx context.Context) error {
	blueprint, err := Plan(ctx, r.e, r.o.Run)
	r.tellChanges()
	if err != nil {
		return err
	}
	r.slots, r.length = blueprint.Slots, blueprint.Length
	r.history.Planned, r.history.Reverting = r.length, r.e.Reverting()
	if err := r.pass(ctx, blueprint); err != nil {
		return err
	}
	var planned []Event
	var all []Hit
	watched := false
	for i := range blueprint.Hits {
		for _, hit := range blueprint.Hits[i] {
			if err := r.claim(hit); err != nil {
				return err
			}
			// A fuse of its own ends a hit in time; the watchdog ends it at once.
			watched = watched || hit.Fuse != ""
			planned = append(planned, r.hits.plan(hit))
			all = append(all, hit)
		}
	}
	// The record comes first: whoever mends after a death gives the claims back by it.
	if err := r.commit(planned...); err != nil {
		return err
	}
	if err := r.reserve(ctx, all); err != nil {
		return err
	}
	if watched {
		if err := r.arm(ctx); err != nil {
			return err
		}
	}
	r.markArmed(blueprint.Hits...)
	return ctx.Err()
}

// tellChanges says where the targets of a run that is held to an earlier choice are
// others by now.
func (r *runner) tellChanges() {
	for _, text := range r.e.Fixed.taken() {
		text = r.o.Redact(text)
		r.moment("plan", text)
		r.emit(Event{Type: EventNote, Text: text})
	}
}

// markArmed notes that the fuse of hits is armed.
func (r *runner) markArmed(rounds ...[]Hit) {
	for _, hit := range slices.Concat(rounds...) {
		if hit.Fuse != "" && r.armed {
			r.emit(r.hits.step(hit.ID, Armed, hit.Fuse, "", nil))
		}
	}
}

func (r *runner) arm(ctx context.Context) error {
	if r.armed {
		return nil
	}
	if r.o.Arm == nil {
		return errors.New("there is no watchdog to end these faults if the runner dies; set `unfused = true` on each fault to go without")
	}
	if err := r.o.Arm(ctx); err != nil {
		return fmt.Errorf("arm the watchdog: %w", err)
	}
	r.armed = true
	return nil
}

func (r *runner) claim(hit Hit) error {
	if r.o.Hold == nil || hit.Holds == "" || r.held[hit.Holds] {
		return nil // several faults may share a target within a run
	}
	release, err := r.o.Hold(hit.Holds)
	if err != nil {
		return fmt.Errorf("fault %q cannot hit %s: %w", hit.Fault, hit.Target, err)
	}
	r.held[hit.Holds] = true
	r.releases = append(r.releases, release)
	return nil
}

func (r *runner) release() {
	for _, release := range slices.Backward(r.releases) {
		release()
	}
	r.releases = nil
}

// finish composes the result.
func (r *runner) finish(out outcome) {
	r.enter(PhaseReport)
	res := r.result
	res.Ended = time.Now()
	if n := len(res.Phases); n > 0 {
		res.Phases[n-1].To = res.Ended
	}
	for _, slot := range r.slots {
		res.Faults = append(res.Faults, r.hits.summary(slot))
	}
	res.Hits = r.hits.results()
	for _, hit := range r.hits.left() {
		res.Left = append(res.Left, fmt.Sprintf("%s: %s (%s)", hit.Target, hit.Effect, cmpText(hit.Error, "its revert was not proven")))
	}
	for _, h := range r.e.Hypotheses {
		res.Hypotheses = append(res.Hypotheses, r.conclude(h))
	}
	for _, g := range r.e.Guards {
		res.Guards = append(res.Guards, *r.guardResult(g))
	}
	res.SLOs = r.costs()
	res.Journeys = r.journeys()
	res.Series = r.series()
	res.Stop = r.stop
	res.Errors = r.errs
	if r.journalFailed != nil && !slices.Contains(res.Errors, r.journalFailed.Error()) {
		res.Errors = append(res.Errors, r.journalFailed.Error())
	}
	res.Verdict, res.Reason = r.verdict(out)
	r.moment("phase", "Verdict: "+string(res.Verdict))
	r.emitting.Lock()
	res.Timeline = slices.Clone(r.timeline)
	r.emitting.Unlock()
	slices.SortStableFunc(res.Timeline, func(a, b Moment) int { return a.At.Compare(b.At) })
	if err := r.commit(Event{Type: EventEnd, Verdict: res.Verdict, Text: res.Reason}); err != nil {
		if len(res.Errors) == 0 {
			res.Errors = append(res.Errors, err.Error())
			if res.Verdict != NotRestored {
				res.Verdict, res.Reason = Errored, err.Error()
			}
		}
		// What the journal cannot take, whoever watches must hear all the same.
		r.emit(Event{Type: EventEnd, Verdict: res.Verdict, Text: res.Reason})
	}
	r.emitting.Lock()
	defer r.emitting.Unlock()
	r.closed = true
}

func cmpText(text, otherwise string) string {
	if text != "" {
		return text
	}
	return otherwise
}

// verdict picks the worst of what happened, and says why.
func (r *runner) verdict(out outcome) (Verdict, string) {
	res := r.result
	mended := "everything that was broken is proven mended"
	switch {
	case r.hits.touched() == 0:
		mended = "nothing was broken"
	case r.hits.injected() == 0: // a drain that failed half way has evicted pods
		mended = "what was begun is proven mended"
	}
	switch {
	case len(res.Left) > 0:
		return NotRestored, fmt.Sprintf("%s could not be proven mended: %s", plural(len(res.Left), "hit"), res.Left[0])
	case len(res.Errors) > 0:
		return Errored, fmt.Sprintf("%s; %s", res.Errors[0], mended)
	case r.stop != nil && r.hits.touched() > 0:
		return Aborted, fmt.Sprintf("%s; %s %s later", r.stop.Cause, mended, seconds(r.stop.Took().Seconds()))
	case r.stop != nil:
		return Aborted, fmt.Sprintf("%s; %s", r.stop.Cause, mended)
	case out.shut:
		return Inconclusive, res.Gate.refusal()
	}
	for _, want := range []Verdict{Refuted, Inconclusive} {
		for _, h := range res.Hypotheses {
			if h.Verdict != want {
				continue
			}
			if out.unmet {
				return Inconclusive, fmt.Sprintf("not healthy before anything was broken: %q: %s", h.Name, h.Reason)
			}
			return want, fmt.Sprintf("%q: %s", h.Name, h.Reason)
		}
	}
	if len(res.Hypotheses) == 0 {
		return Inconclusive, "the scenario states no hypothesis"
	}
	return Held, "every hypothesis held; " + mended
}
