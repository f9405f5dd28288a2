package console

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/textsafe"
)

// NewPlain writes a line for each thing worth reading, for logs of CI and for
// people without a terminal.
func NewPlain(w io.Writer) View {
	return &plainView{w: w, last: map[string]string{}, hits: map[string]experiments.Hit{}}
}

// plainPace is the time between two lines that say how a long phase stands.
const plainPace = 10 * time.Second

type plainView struct {
	mu    sync.Mutex
	w     io.Writer
	err   error
	began time.Time
	phase experiments.Phase
	last  map[string]string // the newest words of each hypothesis
	order []string
	hits  map[string]experiments.Hit
	told  time.Time
}

func (v *plainView) Event(event experiments.Event) {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch event.Type {
	case experiments.EventBegin:
		v.began, v.told = event.At, event.At
		v.line(event, "run %s, scenario %s, seed %d", event.Begin.Run, event.Begin.Scenario, event.Begin.Seed)
	case experiments.EventPhase:
		v.phase, v.told = event.Phase, event.At
		v.line(event, "%s", phaseWords[event.Phase])
	case experiments.EventHit:
		v.hit(event)
	case experiments.EventJudgement:
		v.judgement(event)
	case experiments.EventStop:
		v.line(event, "STOP: %s", event.Stop.Cause)
	case experiments.EventNote:
		v.line(event, "%s", event.Text)
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

func (v *plainView) hit(event experiments.Event) {
	h := event.Hit
	if h.Hit != nil {
		v.hits[h.ID] = *h.Hit
	}
	hit := v.hits[h.ID]
	switch h.Step {
	case experiments.Injected:
		v.line(event, "%s: %s on %s (%s)", hit.Fault, hit.Effect, hit.Target, h.Seen)
	case experiments.Verified:
		if hit.Lasts > 0 {
			v.line(event, "%s: mended %s (%s)", hit.Fault, hit.Target, h.Seen)
		}
	case experiments.Failed, experiments.Stuck:
		if v.last[h.ID] != h.Error { // tries repeat; words need not
			v.last[h.ID] = h.Error
			v.line(event, "%s: %s: %s", hit.Fault, hit.Target, h.Error)
		}
	}
}

// judgement tells a hypothesis when its verdict changes, and all of them from time
// to time.
func (v *plainView) judgement(event experiments.Event) {
	words := fmt.Sprintf("%s: %s: %s", event.Name, event.Judgement.Verdict, event.Judgement.Text)
	if _, known := v.last[event.Name]; !known {
		v.order = append(v.order, event.Name)
	}
	verdict, _, _ := strings.Cut(strings.TrimPrefix(v.last[event.Name], event.Name+": "), ":")
	changed := verdict != string(event.Judgement.Verdict)
	v.last[event.Name] = words
	if changed && event.Judgement.Verdict != experiments.Inconclusive {
		v.line(event, "%s", words)
		return
	}
	if event.At.Sub(v.told) >= plainPace {
		v.told = event.At
		for _, name := range v.order {
			v.line(event, "%s", v.last[name])
		}
	}
}

func (v *plainView) line(event experiments.Event, format string, values ...any) {
	const longest = 400
	text := textsafe.Line(fmt.Sprintf(format, values...), longest)
	if _, err := fmt.Fprintf(v.w, "%7.1fs  %-8s  %s\n", event.At.Sub(v.began).Seconds(), event.Phase, text); err != nil && v.err == nil {
		v.err = fmt.Errorf("write to the terminal: %w", err)
	}
}

func (v *plainView) Close() error { return v.err }
