package console

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"

	"github.com/gameday-sh/gameday/experiments"
)

// screen is what a frame is drawn for.
type screen struct {
	width, height int
	now           time.Time
	palette       palette
}

var phases = []experiments.Phase{
	experiments.PhaseCheck, experiments.PhasePlan, experiments.PhaseBaseline, experiments.PhaseDisrupt,
	experiments.PhaseRevert, experiments.PhaseRecover, experiments.PhaseReport,
}

const (
	helpRunning  = "Ctrl-C: stop, mend and report  (again: stop waiting)"
	helpStopping = "stopping: everything is mended first  (Ctrl-C: stop waiting)"
)

// render draws a frame: at most s.height lines, the last of them empty as a place
// for the cursor, none wider than s.width.
func render(state *liveState, s screen) string {
	if s.width < 1 || s.height < 1 {
		return ""
	}
	room := s.height - 1
	var lines []string
	if state.run == nil {
		lines = append(lines, s.palette.faint("gameday: getting ready"))
	} else {
		lines = s.earlier(state.over, max(room/4, 1))
		lines = append(lines, s.run(state.run, room-len(lines))...)
	}
	lines = lines[:min(len(lines), room)]
	for i := range lines {
		lines[i] = strings.TrimRight(cut(lines[i], s.width), " ")
	}
	return strings.Join(append(lines, ""), "\n")
}

// earlier gives a line for each scenario that is over; where there are more than
// room, the older ones share the first.
func (s screen) earlier(over []*liveRun, room int) []string {
	var lines []string
	if hidden := len(over) - room; hidden > 0 {
		counts := newTally()
		for _, run := range over[:hidden+1] {
			counts.add(verdictWord(run.verdict))
		}
		lines = append(lines, s.palette.faint(fmt.Sprintf("%d scenarios before: %s", hidden+1, counts)))
		over = over[hidden+1:]
	}
	for _, run := range over {
		lines = append(lines, s.conclusion(run))
	}
	return lines
}

// conclusion is a finished scenario in one line.
func (s screen) conclusion(run *liveRun) string {
	return s.verdict(run.verdict, statusWidth) + " " + s.palette.bold(run.scenario) + "  " + s.palette.faint(run.reason)
}

func verdictWord(v experiments.Verdict) string {
	if v == "" {
		return "unfinished"
	}
	return string(v)
}

// statusWidth is that of the first column: the longest of its words.
const statusWidth = len("inconclusive")

func (s screen) verdict(v experiments.Verdict, width int) string {
	text := column(verdictWord(v), width)
	switch v {
	case experiments.Held:
		return s.palette.good(text)
	case experiments.Inconclusive, "":
		return s.palette.warn(text)
	}
	return s.palette.bad(text)
}

// run draws the scenario that is shown, in at most room lines if it can.
func (s screen) run(run *liveRun, room int) []string {
	if !run.ended.IsZero() {
		s.now = run.ended
	}
	lines := s.header(run, room)
	if room > len(lines)+1 {
		lines = append(lines, s.phaseLine(run))
	}
	below := s.messages(run, room)
	if run.ended.IsZero() && room > len(lines)+len(below) {
		help := helpRunning
		if run.stop != "" {
			help = helpStopping
		}
		below = append(below, s.palette.faint(help))
	}
	lines = append(lines, fit([]section{s.hypotheses(run), s.hits(run), s.budgets(run), s.guards(run)}, room-len(lines)-len(below))...)
	if room > len(lines)+len(below) {
		lines = append(lines, "")
	}
	return append(lines, below...)
}

func (s screen) header(run *liveRun, room int) []string {
	name := s.palette.bold("gameday") + "  " + s.palette.accent(run.scenario)
	elapsed := s.now.Sub(run.began)
	if !run.begun {
		return []string{apart(s.palette.bold("gameday"), clock(elapsed), s.width)}
	}
	seed := fmt.Sprintf("seed %d", run.seed)
	if room < 17 {
		return []string{apart(name, s.palette.faint(seed)+"  "+clock(elapsed), s.width)}
	}
	return []string{
		apart(name, clock(elapsed), s.width),
		s.palette.faint(apart("run "+run.run, seed, s.width)),
	}
}

// clock writes how long something goes on: "0:07", "12:40", "1:05:00".
func clock(d time.Duration) string {
	seconds := int(max(d, 0) / time.Second)
	if seconds >= 3600 {
		return fmt.Sprintf("%d:%02d:%02d", seconds/3600, seconds/60%60, seconds%60)
	}
	return fmt.Sprintf("%d:%02d", seconds/60, seconds%60)
}

func (s screen) phaseLine(run *liveRun) string {
	at := max(slices.Index(phases, run.phase), 0)
	words := make([]string, len(phases))
	for i, phase := range phases {
		switch {
		case i == at:
			words[i] = s.palette.accent("[" + string(phase) + "]")
		case i < at:
			words[i] = string(phase)
		default:
			words[i] = s.palette.faint(string(phase))
		}
	}
	for _, between := range []string{" > ", ">"} {
		if line := strings.Join(words, s.palette.faint(between)); ansi.StringWidth(line) <= s.width {
			return line
		}
	}
	return fmt.Sprintf("%s %d of %d", words[at], at+1, len(phases))
}

// messages are the lines that say why it stopped, what went wrong and how it ended.
func (s screen) messages(run *liveRun, room int) []string {
	most := 1
	if room >= 17 {
		most = 2
	}
	wrapped := func(text string, paint func(string) string) []string {
		parts := strings.Split(ansi.Wrap(text, s.width, ""), "\n")
		if len(parts) > most {
			parts = append(parts[:most-1], cut(strings.Join(parts[most-1:], " "), s.width))
		}
		for i := range parts {
			parts[i] = paint(parts[i])
		}
		return parts
	}
	if !run.ended.IsZero() {
		text := verdictWord(run.verdict) + ": " + run.reason
		paint := s.palette.bad
		switch run.verdict {
		case experiments.Held:
			paint = s.palette.good
		case experiments.Inconclusive:
			paint = s.palette.warn
		}
		return wrapped(text, paint)
	}
	var lines []string
	if run.stop != "" {
		lines = append(lines, wrapped("STOP: "+run.stop, s.palette.bad)...)
	}
	if run.note != "" && room >= 10 {
		lines = append(lines, wrapped(run.note, s.palette.warn)...)
	}
	return lines
}

func (s screen) hypotheses(run *liveRun) section {
	rest := s.width - statusWidth - 4
	name := 0
	for _, h := range run.hypotheses {
		name = max(name, ansi.StringWidth(h.name))
	}
	name = min(name, max(rest*7/16, 8))
	// The value has a right to some room; what is left over is the graph's.
	graph := min(max(rest-name-max(rest*3/8, 16), 6), rest/3, mostPoints)
	if rest < 36 {
		graph = 0
	}
	value := max(rest-name-graph, 0)
	out := section{title: s.palette.bold("Hypotheses"), noun: "hypotheses"}
	for _, h := range run.hypotheses {
		word, paint, rank := s.hypothesisWord(h, run)
		line := " " + paint(column(word, statusWidth)) + " " + column(h.name, name) + " "
		if graph > 0 {
			line += spark(run.tracks[h.series], h.judgement, graph, s.palette) + " "
		}
		text := judged(h.judgement, value)
		one := row{text: line + text, word: word, rank: rank}
		if text != h.judgement.Text {
			one.tall = []string{line + text, s.detail(h.judgement.Text)}
		}
		out.rows = append(out.rows, one)
	}
	return out
}

// detail is a line under a row, below its second column.
func (s screen) detail(text string) string {
	return s.palette.faint(cut(strings.Repeat(" ", statusWidth+2)+text, s.width))
}

// hypothesisWord says in a word how a hypothesis stands. Too few measurements are
// inconclusive only when no more are coming, and what may yet hold is not refuted.
func (s screen) hypothesisWord(h *liveHypothesis, run *liveRun) (word string, paint func(string) string, rank int) {
	over := !run.ended.IsZero()
	switch h.judgement.Verdict {
	case experiments.Held:
		return "held", s.palette.good, 2
	case experiments.Refuted:
		if h.mayBreak {
			return "may break", s.palette.warn, 1
		}
		if !over && mayYetHold(run.phase) {
			return "not yet", s.palette.warn, 0
		}
		return "refuted", s.palette.bad, 0
	}
	if !over && h.judgement.Needs > 0 {
		return "measuring", s.palette.faint, 1
	}
	return verdictWord(h.judgement.Verdict), s.palette.warn, 1
}

// hitWord says in a word what is going on with a hit, how it looks, and how much
// it matters to whoever watches: 0 most.
func (s screen) hitWord(hit *liveHit, over bool) (word string, paint func(string) string, rank int) {
	switch hit.step {
	case experiments.Planned, experiments.Armed:
		if over {
			return "left out", s.palette.faint, 4
		}
		return "planned", s.palette.faint, 2
	case experiments.Intended:
		return "injecting", s.palette.warn, 0
	case experiments.Injected:
		return "injected", s.palette.bad, 1
	case experiments.Reverting, experiments.Reverted:
		return "reverting", s.palette.warn, 0
	case experiments.Verified:
		switch {
		case hit.state == experiments.Superseded:
			return "superseded ✓", s.palette.good, 3
		case hit.lasts == 0:
			return "done ✓", s.palette.good, 3
		}
		return "mended ✓", s.palette.good, 3
	}
	return string(hit.step), s.palette.bad, 0 // failed, stuck
}

func (s screen) hits(run *liveRun) section {
	const timeWidth = 10
	graph := min(max(s.width/5, 8), 60)
	if s.width < 52 {
		graph = 0
	}
	who := s.width - statusWidth - graph - timeWidth - 5
	during := spanOf(run.hits, run.disrupted, s.now)
	out := section{title: s.palette.bold("Faults"), noun: "hits"}
	if !during.from.IsZero() && graph > 0 && who > 0 {
		axis := "0s" + columnRight(clock(during.to.Sub(during.from)), graph-2)
		out.title += strings.Repeat(" ", statusWidth+who+3-len("Faults")) + s.palette.faint(axis)
	}
	end := func(hit *liveHit, paint func(string) string) string {
		text := ""
		if leftOut := hit.injected.IsZero() && (run.stop != "" || !run.ended.IsZero()); leftOut {
			text = " " + strings.Repeat(" ", graph)
		} else if graph > 0 {
			before, done, ahead, after := during.bar(hit, s.now, graph)
			text = " " + before + paint(done) + s.palette.faint(ahead) + after
		}
		return text + " " + columnRight(s.hitTime(hit), timeWidth)
	}
	crowds := map[string]*crowdOfHits{}
	for _, hit := range run.hits {
		word, paint, rank := s.hitWord(hit, !run.ended.IsZero())
		if run.sizes[hit.fault] > crowdFrom {
			c := crowds[hit.fault]
			if c == nil {
				c = &crowdOfHits{row: len(out.rows), words: newTally()}
				crowds[hit.fault] = c
				out.rows = append(out.rows, row{})
			}
			if c.add(hit, word, paint, rank); !hit.trouble() {
				continue
			}
		}
		line := " " + paint(column(word, statusWidth)) + " "
		does := hit.effect
		if hit.error != "" {
			does = hit.error
		}
		one := row{text: line + column(hit.target+": "+does, who) + end(hit, paint), word: word, rank: rank}
		if full := hit.fault + "  " + hit.target + ": " + does; ansi.StringWidth(full) <= who {
			one.text = line + column(full, who) + end(hit, paint)
		} else {
			one.tall = []string{line + column(hit.fault+"  "+hit.target, who) + end(hit, paint), s.detail(does)}
		}
		out.rows = append(out.rows, one)
	}
	for _, c := range crowds {
		out.rows[c.row] = s.crowdRow(run, c, who, end)
	}
	return out
}

// hitTime says how long a hit will last, has left, or was there.
func (s screen) hitTime(hit *liveHit) string {
	switch {
	case hit.injected.IsZero() && hit.lasts > 0 && (hit.step == experiments.Planned || hit.step == experiments.Armed):
		return "for " + experiments.FormatDuration(hit.lasts)
	case hit.injected.IsZero() || hit.lasts == 0:
		return ""
	case !hit.verified.IsZero():
		return "for " + experiments.FormatDuration(hit.verified.Sub(hit.injected).Round(100*time.Millisecond))
	case hit.step == experiments.Injected:
		if left := hit.injected.Add(hit.lasts).Sub(s.now); left > 0 {
			return clock(left+time.Second-1) + " left"
		}
	}
	return ""
}

// barred parts a row of a status, a name, a bar and a text: the widths of name and bar,
// and what name, bar and text have together. The name takes some sixteenths at most;
// where there is little room there is no bar.
func (s screen) barred(widest, sixteenths int) (name, bar, rest int) {
	rest = s.width - statusWidth - 4
	name = min(widest, max(rest*sixteenths/16, 8))
	if rest >= 36 {
		bar = min(max(rest/6, 6), 30)
	}
	return name, bar, rest
}

func (s screen) guards(run *liveRun) section {
	name := 0
	for _, g := range run.guards {
		name = max(name, ansi.StringWidth(g.name))
	}
	name, bar, rest := s.barred(name, 6)
	out := section{title: s.palette.bold("Guards"), noun: "guards"}
	for _, g := range run.guards {
		word, paint, rank := "watching", s.palette.good, 2
		used := float64(g.reading.Used)
		switch {
		case g.reading.Breached:
			word, paint, rank, used = "breached", s.palette.bad, 0, 1
		case g.reading.Blind:
			word, paint, rank = "blind", s.palette.warn, 1
		case used >= 0.5:
			paint, rank = s.palette.warn, 1
		}
		full, empty := gauge(used, bar)
		line := " " + paint(column(word, statusWidth)) + " " + column(g.name, name) + " "
		if bar > 0 {
			line += paint(full) + s.palette.faint(empty) + " "
		}
		out.rows = append(out.rows, row{text: line + cut(g.reading.Text, rest-name-bar), word: word, rank: rank})
	}
	return out
}
