package console

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/gameday-sh/gameday/experiments"
)

// NewPlain writes a line for each thing worth reading, for logs of CI and for
// people without a terminal. A line has the seconds since the run began, the phase,
// and what happened, beginning with the sort of thing it happened to: "fault",
// "hypothesis", "guard".
func NewPlain(w io.Writer) View { return &plainView{w: w} }

const (
	// plainPace is the longest time without a line on how a hypothesis stands.
	plainPace = 10 * time.Second
	// plainUse is the share of a guard's limit from which it is told.
	plainUse = 0.5
)

type plainView struct {
	mu   sync.Mutex
	w    io.Writer
	err  error
	runs int
	run  *plainRun
}

// plainRun is what was told of one scenario.
type plainRun struct {
	began    time.Time
	phase    experiments.Phase
	last     time.Time // of the last event
	hits     map[string]*experiments.Hit
	faults   []*crowd // in the order in which they came first
	crowds   map[string]*crowd
	plans    []experiments.Event  // that are not told yet
	errors   map[string]string    // the last of each hit
	near     map[string]bool      // guards that were told to be near their limit
	verdicts map[string]string    // of each hypothesis, in words
	told     map[string]time.Time // when it was told last, or its phase began
}

func (v *plainView) Event(event experiments.Event) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.run == nil || event.Type == experiments.EventBegin {
		v.endCrowds()
		v.run = &plainRun{
			began: event.At, hits: map[string]*experiments.Hit{}, crowds: map[string]*crowd{}, errors: map[string]string{}, near: map[string]bool{},
			verdicts: map[string]string{}, told: map[string]time.Time{},
		}
	}
	v.run.last = event.At
	if planning := event.Hit != nil && event.Hit.Step == experiments.Planned; !planning {
		v.planned()
	}
	switch event.Type {
	case experiments.EventPhase, experiments.EventStop, experiments.EventEnd:
		v.catchUp(event, true)
	default:
		v.catchUp(event, false)
	}
	switch event.Type {
	case experiments.EventBegin:
		if v.runs++; v.runs > 1 {
			v.write("\n")
		}
		v.line(event, "run %s: scenario %s, seed %d, %s", event.Begin.Run, event.Begin.Scenario, event.Begin.Seed, event.At.UTC().Format(time.RFC3339))
	case experiments.EventPhase:
		v.run.phase = event.Phase
		for name := range v.run.told {
			v.run.told[name] = event.At
		}
		v.line(event, "%s", phaseWords[event.Phase])
	case experiments.EventHit:
		v.hit(event)
	case experiments.EventJudgement:
		v.judgement(event)
	case experiments.EventGuard:
		v.guard(event)
	case experiments.EventGate:
		v.gate(event)
	case experiments.EventStop:
		v.line(event, "STOP: %s", event.Stop.Cause)
	case experiments.EventNote:
		v.note(event)
	case experiments.EventMissing:
		v.line(event, "here %d events are missing, as nobody read for a while; the report has them", event.Missing)
	case experiments.EventEnd:
		v.line(event, "verdict: %s: %s", event.Verdict, event.Text)
	}
}

var phaseWords = map[experiments.Phase]string{
	experiments.PhaseCheck:    "checking",
	experiments.PhasePlan:     "looking up targets",
	experiments.PhaseBaseline: "watching the healthy system",
	experiments.PhaseDisrupt:  "breaking things",
	experiments.PhaseRevert:   "mending",
	experiments.PhaseRecover:  "waiting until it is whole again",
	experiments.PhaseReport:   "writing the report",
}

// hit takes in a step of a hit, and tells it, or adds it to its crowd.
func (v *plainView) hit(event experiments.Event) {
	h := event.Hit
	hit := v.run.hits[h.ID]
	if h.Hit != nil {
		v.run.hits[h.ID] = h.Hit
		if hit == nil && h.Step == experiments.Planned {
			v.plan(event)
		}
		hit = h.Hit
	}
	if hit == nil { // the word that it was planned is missing
		fault, _, _ := strings.Cut(h.ID, "/")
		hit = &experiments.Hit{ID: h.ID, Fault: fault, Target: h.ID}
		v.run.hits[h.ID] = hit
	}
	c := v.run.crowdOf(hit.Fault)
	switch h.Step {
	case experiments.Dropped:
		c.planned--
		return
	case experiments.Injected:
		c.counts[crowdInjected]++
	case experiments.Verified:
		if hit.Lasts == 0 {
			return
		}
		c.counts[crowdMended]++
	case experiments.Failed, experiments.Stuck:
		if v.run.errors[h.ID] == h.Error { // tries repeat; words need not
			return
		}
		v.run.errors[h.ID] = h.Error
		if !c.crowded() || c.trouble(h.ID) {
			v.line(event, "fault %s %s: %s: %s", hit.Fault, h.Step, hit.Target, h.Error)
		} else {
			c.steps.count(event)
		}
		return
	default:
		return
	}
	if c.crowded() {
		c.steps.add(event)
		return
	}
	v.step(event)
}

// step tells a hit that was injected or mended.
func (v *plainView) step(event experiments.Event) {
	h := event.Hit
	hit := v.run.hits[h.ID]
	switch h.Step {
	case experiments.Injected:
		v.line(event, "fault %s injected: %s: %s (seen: %s)", hit.Fault, hit.Target, hit.Effect, h.Seen)
	case experiments.Verified:
		word := "mended"
		if h.State == experiments.Superseded {
			word = "superseded"
		}
		v.line(event, "fault %s %s: %s (seen: %s)", hit.Fault, word, hit.Target, h.Seen)
	}
}

// note tells a note. What became of a hit may belong to a crowd.
func (v *plainView) note(event experiments.Event) {
	if event.Finding == nil {
		v.line(event, "%s", event.Text)
		return
	}
	if hit := v.run.hits[event.Name]; hit != nil {
		c := v.run.crowdOf(hit.Fault)
		if c.findings.add(findingWord(event.Finding)); c.crowded() {
			c.found.add(event)
			return
		}
	}
	v.finding(event)
}

func (v *plainView) finding(event experiments.Event) { v.line(event, "fault %s", event.Text) }

// judgement tells a hypothesis when its verdict changes, and where nothing was told
// of it for a while.
func (v *plainView) judgement(event experiments.Event) {
	verdict := string(event.Judgement.Verdict)
	if event.MayBreak && event.Judgement.Verdict == experiments.Refuted {
		verdict = "broken, as it may be while faults are on"
	}
	if event.Judgement.Verdict == experiments.Refuted && mayYetHold(event.Phase) {
		verdict = "does not hold yet"
	}
	before, known := v.run.verdicts[event.Name]
	v.run.verdicts[event.Name] = verdict
	if !known {
		v.run.told[event.Name] = event.At
	}
	changed := verdict != before && event.Judgement.Verdict != experiments.Inconclusive
	if changed || event.At.Sub(v.run.told[event.Name]) >= plainPace {
		v.run.told[event.Name] = event.At
		v.line(event, "hypothesis %q %s: %s", event.Name, verdict, event.Judgement.Text)
	}
}

// mayYetHold tells of a phase that waits until the hypotheses hold.
func mayYetHold(phase experiments.Phase) bool {
	return phase == experiments.PhaseBaseline || phase == experiments.PhaseRecover
}

// guard tells a guard once it comes near its limit; at the limit the stop says so.
func (v *plainView) guard(event experiments.Event) {
	if event.Guard.Used >= plainUse && !v.run.near[event.Name] {
		v.run.near[event.Name] = true
		v.line(event, "guard %s: %s", event.Name, event.Guard.Text)
	}
}

// gate tells what the error budget policies said, and who went past them. Where none
// says anything, neither does this.
func (v *plainView) gate(event experiments.Event) {
	g := event.Gate
	if g.Decision == experiments.GateOpen {
		return
	}
	v.line(event, "gate %s: %s", g.Decision, g.Why)
	if g.Override != nil {
		v.line(event, "gate overridden by %s: %s", g.Override.By, g.Override.Reason)
	}
}

func (v *plainView) line(event experiments.Event, format string, values ...any) {
	text := clean(fmt.Sprintf(format, values...))
	head := fmt.Sprintf("%7.1fs  %-8s  ", event.At.Sub(v.run.began).Seconds(), event.Phase)
	v.write(strings.TrimRight(head+text, " ") + "\n")
}

func (v *plainView) write(text string) {
	if _, err := io.WriteString(v.w, text); err != nil && v.err == nil {
		v.err = fmt.Errorf("write the progress: %w", err)
	}
}

func (v *plainView) Close() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.endCrowds()
	return v.err
}
