package console

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/textsafe"
)

// liveState is what the live view knows, from the events alone: the scenarios that
// are over, and the one that is shown.
type liveState struct {
	over []*liveRun
	run  *liveRun // nil before the first event
}

// liveRun is one scenario. All texts in it are fit for a terminal.
type liveRun struct {
	begun         bool
	run, scenario string
	seed          uint64
	began, ended  time.Time // ended is zero while it goes on
	phase         experiments.Phase
	disrupted     time.Time // the start of the disruption; zero before
	hypotheses    []*liveHypothesis
	hits          []*liveHit
	byID          map[string]*liveHit // the same
	sizes         map[string]int      // how many hits a fault has
	found         map[string]*tally   // what became of the hits of a fault that has many
	guards        []*liveGuard
	budgets       []*liveBudget
	tracks        map[string]*track // by the name of the series
	stop, note    string
	verdict       experiments.Verdict
	reason        string
}

type liveHypothesis struct {
	name, series string
	judgement    experiments.Judgement
	mayBreak     bool
}

type liveHit struct {
	id            string
	fault, target string
	effect        string
	at, lasts     time.Duration // at counts from the start of the disruption
	step          experiments.Step
	state         experiments.State
	error         string
	// injected and verified are zero until then.
	injected, verified time.Time
}

type liveGuard struct {
	name    string
	reading experiments.Reading
}

// longestText bounds what is kept of a text from outside, in characters.
const longestText = 400

func clean(text string) string { return textsafe.Line(text, longestText) }

// event takes in what happened.
func (s *liveState) event(e experiments.Event) {
	// A scenario announces itself by its beginning or by its first phase.
	first := e.Type == experiments.EventBegin && (s.run == nil || s.run.begun) ||
		s.run == nil || !s.run.ended.IsZero()
	if first {
		if s.run != nil {
			s.run.tracks, s.run.hits, s.run.byID = nil, nil, nil // one line is all that is shown of it
			s.over = append(s.over, s.run)
		}
		s.run = &liveRun{began: e.At, tracks: map[string]*track{}, byID: map[string]*liveHit{}, sizes: map[string]int{}, found: map[string]*tally{}}
	}
	s.run.event(e)
}

func (r *liveRun) event(e experiments.Event) {
	switch e.Type {
	case experiments.EventBegin:
		if e.Begin == nil {
			return
		}
		r.begun, r.run, r.scenario, r.seed = true, clean(e.Begin.Run), clean(e.Begin.Scenario), e.Begin.Seed
	case experiments.EventPhase:
		if e.Phase == experiments.PhaseDisrupt {
			r.disrupted = e.At
		}
		r.phase = e.Phase
	case experiments.EventHit:
		if e.Hit != nil {
			r.hit(e.At, *e.Hit)
		}
	case experiments.EventSample:
		if e.Sample != nil {
			r.track(e.Series).sample(e.At, *e.Sample, e.Value)
		}
	case experiments.EventCount:
		if e.Count != nil {
			r.track(e.Series).count(e.At, *e.Count)
		}
	case experiments.EventJudgement:
		if e.Judgement != nil {
			r.judgement(&liveHypothesis{clean(e.Name), e.Series, *e.Judgement, e.MayBreak})
		}
	case experiments.EventGuard:
		if e.Guard != nil {
			r.guard(clean(e.Name), *e.Guard)
		}
	case experiments.EventBudget:
		if e.Budget != nil {
			r.budget(clean(e.Series), *e.Budget)
		}
	case experiments.EventGate:
		if g := e.Gate; g != nil && g.Override != nil {
			r.note = clean(fmt.Sprintf("%s overrode the gate (%s): %s", g.Override.By, g.Decision, g.Override.Reason))
		}
	case experiments.EventStop:
		if e.Stop != nil {
			r.stop = clean(e.Stop.Cause)
		}
	case experiments.EventNote:
		if !r.find(e) {
			r.note = clean(e.Text)
		}
	case experiments.EventEnd:
		r.ended, r.verdict, r.reason = e.At, e.Verdict, clean(e.Text)
	}
}

func (r *liveRun) hit(at time.Time, e experiments.HitEvent) {
	hit := r.byID[e.ID]
	if hit == nil {
		hit = &liveHit{id: e.ID, target: clean(e.ID)}
		r.hits = append(r.hits, hit)
		r.byID[e.ID] = hit
		r.sizes[hit.fault]++
	}
	if e.Hit != nil {
		r.sizes[hit.fault]--
		hit.fault, hit.target, hit.effect = clean(e.Hit.Fault), clean(e.Hit.Target), clean(e.Hit.Effect)
		hit.at, hit.lasts = e.Hit.At, e.Hit.Lasts
		r.sizes[hit.fault]++
	}
	hit.step = e.Step
	switch e.Step {
	case experiments.Dropped:
		r.hits = slices.DeleteFunc(r.hits, func(other *liveHit) bool { return other == hit })
		delete(r.byID, e.ID)
		r.sizes[hit.fault]--
	case experiments.Injected:
		hit.injected = at
	case experiments.Verified:
		hit.verified, hit.state, hit.error = at, e.State, ""
	case experiments.Failed, experiments.Stuck:
		hit.error = clean(e.Error)
	}
}

// find counts what became of a hit of a fault that has many: as notes, they would only
// put out each other. It gives false for any other event.
func (r *liveRun) find(e experiments.Event) bool {
	hit := r.byID[e.Name]
	if e.Finding == nil || hit == nil || r.sizes[hit.fault] <= crowdFrom {
		return false
	}
	found := r.found[hit.fault]
	if found == nil {
		found = newTally()
		r.found[hit.fault] = found
	}
	found.add(findingWord(e.Finding))
	return true
}

func (r *liveRun) judgement(now *liveHypothesis) {
	now.judgement.Text, now.judgement.Unit = clean(now.judgement.Text), clean(now.judgement.Unit)
	for _, h := range r.hypotheses {
		if h.name == now.name {
			*h = *now
			return
		}
	}
	r.hypotheses = append(r.hypotheses, now)
}

func (r *liveRun) guard(name string, reading experiments.Reading) {
	reading.Text = clean(reading.Text)
	for _, g := range r.guards {
		if g.name == name {
			g.reading = reading
			return
		}
	}
	r.guards = append(r.guards, &liveGuard{name, reading})
}

func (r *liveRun) track(series string) *track {
	t := r.tracks[series]
	if t == nil {
		t = &track{}
		r.tracks[series] = t
	}
	return t
}

// track is the newest part of a series, cut into points that are wide enough to be
// seen one by one.
type track struct{ points []point }

// point is what was measured in a stretch of at most pointWidth: the worst of it.
type point struct {
	began   time.Time
	latency float64 // seconds; NaN if nothing answered
	value   float64 // the number read, NaN without one
	bad     float64 // share of bad events, NaN if nothing was counted
	failed  bool    // a measurement came out bad
	blind   bool    // nothing could be read
}

const (
	pointWidth = 500 * time.Millisecond
	// mostPoints is more than any terminal is wide.
	mostPoints = 512
)

// point gives the point that a measurement taken at at belongs to.
func (t *track) point(at time.Time) *point {
	if n := len(t.points); n > 0 && at.Sub(t.points[n-1].began) < pointWidth {
		return &t.points[n-1]
	}
	if len(t.points) >= 2*mostPoints {
		t.points = append([]point(nil), t.points[mostPoints:]...)
	}
	unknown := math.NaN()
	t.points = append(t.points, point{began: at, latency: unknown, value: unknown, bad: unknown})
	return &t.points[len(t.points)-1]
}

func (t *track) sample(at time.Time, s experiments.Sample, value *experiments.Float) {
	p := t.point(at)
	if s.Condition != experiments.OK {
		p.blind = true
		return
	}
	p.latency = larger(p.latency, s.Took.Seconds())
	if value != nil {
		p.value = larger(p.value, float64(*value))
	}
	p.failed = p.failed || s.Counted && !s.Good
}

func (t *track) count(at time.Time, c experiments.Count) {
	p := t.point(at)
	if ratio := c.Ratio(); math.IsNaN(ratio) {
		p.blind = true
	} else {
		p.bad = larger(p.bad, ratio)
	}
}

// larger is the larger of a number and one that may be unknown.
func larger(known, v float64) float64 {
	if math.IsNaN(known) {
		return v
	}
	return math.Max(known, v)
}
