package history

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/gameday-sh/gameday/experiments"
)

// Change says how a later run stands beside an earlier one.
type Change string

// The changes. Unsure is no proof of sameness: the data does not tell.
const (
	Better Change = "better"
	Worse  Change = "worse"
	Same   Change = "same"
	Unsure Change = "can't tell"
)

// Row is one thing that two runs can be compared by.
type Row struct {
	What   string `json:"what"` // "probe.checkout latency while faults were on"
	Before string `json:"before"`
	After  string `json:"after"`
	Change Change `json:"change"`
	// Shift is the difference in words, with its interval where it has one.
	Shift string `json:"shift,omitempty"`
}

// Comparison is what came of comparing a later run with an earlier one.
type Comparison struct {
	Before string `json:"before"` // names of the runs
	After  string `json:"after"`
	// Notes say what else differs, so that a change may not be the system's doing.
	Notes []string `json:"notes,omitempty"`
	Rows  []Row    `json:"rows"`
}

// Worst is Worse if any row is, else Better if any is, else Unsure if any is.
func (c *Comparison) Worst() Change {
	for _, change := range []Change{Worse, Better, Unsure} {
		if slices.ContainsFunc(c.Rows, func(r Row) bool { return r.Change == change }) {
			return change
		}
	}
	return Same
}

// relevant is the relative shift below which a change of latencies or values is noise to
// a person, however sure it is.
const relevant = 0.10

// Compare compares two whole results of a scenario, samples included.
func Compare(before, after *experiments.Result) *Comparison {
	c := &Comparison{Before: before.Run, After: after.Run, Notes: differences(before, after)}
	c.verdicts(before, after)
	c.series(before, after)
	c.spend(before, after)
	c.recovery(before, after)
	return c
}

func differences(a, b *experiments.Result) []string {
	var notes []string
	note := func(differ bool, format string, args ...any) {
		if differ {
			notes = append(notes, fmt.Sprintf(format, args...))
		}
	}
	note(a.Scenario != b.Scenario, "they are runs of two scenarios, %s and %s", a.Scenario, b.Scenario)
	note(a.Scenario == b.Scenario && a.Digest != b.Digest, "the text of the scenario has changed between them")
	note(a.Seed != b.Seed, "their seeds differ (%d and %d), so that other targets may have been chosen", a.Seed, b.Seed)
	note(a.Host != b.Host, "they ran on two machines, %s and %s", a.Host, b.Host)
	note(a.Version != b.Version, "they are of two versions of gameday, %s and %s", a.Version, b.Version)
	return notes
}

// rank orders verdicts from bad to good; an inconclusive one says nothing.
var rank = map[experiments.Verdict]int{experiments.NotRestored: 1, experiments.Errored: 2, experiments.Aborted: 3, experiments.Refuted: 4, experiments.Held: 5}

func verdictChange(a, b experiments.Verdict) Change {
	x, y := rank[a], rank[b]
	switch {
	case a == b && a != experiments.Inconclusive:
		return Same
	case x == 0 || y == 0:
		return Unsure
	case y > x:
		return Better
	}
	return Worse
}

func (c *Comparison) verdicts(a, b *experiments.Result) {
	c.Rows = append(c.Rows, Row{What: "verdict", Before: string(a.Verdict), After: string(b.Verdict), Change: verdictChange(a.Verdict, b.Verdict)})
	for _, h := range a.Hypotheses {
		row := Row{What: fmt.Sprintf("hypothesis %q", h.Name), Before: string(h.Verdict), After: "not there", Change: Unsure}
		if i := slices.IndexFunc(b.Hypotheses, func(o experiments.HypothesisResult) bool { return o.Name == h.Name }); i >= 0 {
			row.After, row.Change = string(b.Hypotheses[i].Verdict), verdictChange(h.Verdict, b.Hypotheses[i].Verdict)
		}
		c.Rows = append(c.Rows, row)
	}
	for _, h := range b.Hypotheses {
		if !slices.ContainsFunc(a.Hypotheses, func(o experiments.HypothesisResult) bool { return o.Name == h.Name }) {
			c.Rows = append(c.Rows, Row{What: fmt.Sprintf("hypothesis %q", h.Name), Before: "not there", After: string(h.Verdict), Change: Unsure})
		}
	}
}

// stretch is a part of a run, in seconds since it began.
type stretch struct {
	name     string
	from, to float64
}

// stretches are the parts that are compared with each other.
func stretches(r *experiments.Result) []stretch {
	second := func(at time.Time) float64 { return at.Sub(r.Began).Seconds() }
	list := []stretch{{"before the faults", 0, -1}, {"while faults were on", 0, -1}, {"after mending", 0, -1}}
	for _, span := range r.Phases {
		to := span.To
		if to.IsZero() {
			to = r.Ended
		}
		switch span.Phase {
		case experiments.PhaseBaseline:
			list[0].from, list[0].to = second(span.From), second(to)
		case experiments.PhaseDisrupt:
			list[1].from, list[1].to = second(span.From), second(to)
		case experiments.PhaseRecover:
			list[2].from, list[2].to = second(span.From), second(to)
		}
	}
	return list
}

// columns are the measurements of a stretch of a series.
type columns struct {
	latency, value []float64
	bad, total     float64
}

func cut(s *experiments.Series, part stretch) columns {
	var c columns
	last := math.Inf(-1)
	for i, at := range s.At {
		if at <= part.from || at > part.to {
			continue
		}
		known := func(column experiments.Floats) (float64, bool) {
			if i >= len(column) || math.IsNaN(column[i]) {
				return 0, false
			}
			return column[i], true
		}
		if v, ok := known(s.Latency); ok {
			c.latency = append(c.latency, v)
		}
		if v, ok := known(s.Value); ok {
			c.value = append(c.value, v)
		}
		bad, counted := known(s.Bad)
		total, also := known(s.Total)
		// Counts of windows that overlap would be counted twice: one a window is taken.
		if counted && also && at >= last+s.Window.Seconds() {
			c.bad, c.total = c.bad+bad, c.total+total
			last = at
		}
	}
	return c
}

func (c *Comparison) series(a, b *experiments.Result) {
	before, after := stretches(a), stretches(b)
	for _, s := range a.Series {
		i := slices.IndexFunc(b.Series, func(o *experiments.Series) bool { return o.Name == s.Name })
		if i < 0 {
			c.Rows = append(c.Rows, Row{What: s.Name, Before: "measured", After: "not there", Change: Unsure})
			continue
		}
		for k := range before {
			x, y := cut(s, before[k]), cut(b.Series[i], after[k])
			where := " " + before[k].name
			c.ratio(s.Name+" bad events"+where, x, y)
			c.shift(s.Name+" latency"+where, x.latency, y.latency, "s", true)
			// Whether more of a value is better only its scenario knows.
			c.shift(s.Name+" value"+where, x.value, y.value, s.Unit, false)
		}
	}
}

// ratio compares two shares of bad events.
func (c *Comparison) ratio(what string, a, b columns) {
	if a.total == 0 && b.total == 0 {
		return
	}
	row := Row{What: what, Before: share(a), After: share(b), Change: Unsure}
	if a.total > 0 && b.total > 0 {
		low, high := newcombe(a.bad, a.total, b.bad, b.total)
		row.Shift = fmt.Sprintf("%+.2f points (95%% interval %+.2f to %+.2f)", 100*(b.bad/b.total-a.bad/a.total), 100*low, 100*high)
		switch {
		case low > 0:
			row.Change = Worse
		case high < 0:
			row.Change = Better
		case a.bad == 0 && b.bad == 0:
			row.Change, row.Shift = Same, ""
		}
	}
	c.Rows = append(c.Rows, row)
}

func share(c columns) string {
	if c.total == 0 {
		return "no events"
	}
	return fmt.Sprintf("%.4g%% of %.0f", 100*c.bad/c.total, c.total)
}

// fewest is how many measurements on each side a shift is told from.
const fewest = 10

// shift compares two sets of measurements; less is better where that is known.
func (c *Comparison) shift(what string, a, b []float64, unit string, lessIsBetter bool) {
	if len(a) == 0 && len(b) == 0 {
		return
	}
	row := Row{What: what, Before: spread(a, unit), After: spread(b, unit), Change: Unsure}
	if len(a) >= fewest && len(b) >= fewest {
		middle, low, high := hodgesLehmann(a, b)
		row.Shift = fmt.Sprintf("%s (95%% interval %s to %s)", signed(middle, unit), signed(low, unit), signed(high, unit))
		least := relevant * math.Abs(median(a))
		switch {
		case low > 0 && middle > least && lessIsBetter:
			row.Change = Worse
		case high < 0 && -middle > least && lessIsBetter:
			row.Change = Better
		case low > -least && high < least && least > 0:
			row.Change = Same
		}
	}
	c.Rows = append(c.Rows, row)
}

func spread(list []float64, unit string) string {
	if len(list) == 0 {
		return "not measured"
	}
	sorted := slices.Sorted(slices.Values(list))
	return fmt.Sprintf("p50 %s, p95 %s (%d)", amount(quantile(sorted, 0.5), unit), amount(quantile(sorted, 0.95), unit), len(list))
}

func amount(v float64, unit string) string {
	if unit == "s" {
		return experiments.FormatDuration(roundTo3(time.Duration(v * float64(time.Second))))
	}
	text := fmt.Sprintf("%.3g", v)
	if unit != "" {
		text += " " + unit
	}
	return text
}

// roundTo3 keeps three digits.
func roundTo3(d time.Duration) time.Duration {
	step := time.Duration(1)
	for limit := d.Abs(); limit/step >= 1000; {
		step *= 10
	}
	return d.Round(step)
}

func signed(v float64, unit string) string {
	if v < 0 {
		return "-" + amount(-v, unit)
	}
	return "+" + amount(v, unit)
}

func (c *Comparison) spend(a, b *experiments.Result) {
	for _, s := range a.SLOs {
		i := slices.IndexFunc(b.SLOs, func(o experiments.SLOResult) bool { return o.Name == s.Name })
		if i < 0 {
			continue
		}
		o := b.SLOs[i]
		row := Row{What: "slo." + s.Name + " budget spent", Before: spent(s), After: spent(o), Change: Unsure}
		if s.Spent.Known() && o.Spent.Known() && s.Total > 0 && o.Total > 0 {
			// The spend rests on counted events: it differs where their shares do.
			low, high := newcombe(s.Bad, s.Total, o.Bad, o.Total)
			switch {
			case s.Bad == 0 && o.Bad == 0:
				row.Change = Same
			case low > 0:
				row.Change = Worse
			case high < 0:
				row.Change = Better
			}
		}
		c.Rows = append(c.Rows, row)
	}
}

func spent(s experiments.SLOResult) string {
	if !s.Spent.Known() {
		return "unknown"
	}
	return fmt.Sprintf("%.3g%%", 100*float64(s.Spent))
}

// recovery compares the times until hypotheses held again, and until all was mended.
// Each is one number, without an interval, and as sharp as the pace of measuring: only
// a difference well beyond that, and by half of the shorter time, is called one.
func (c *Comparison) recovery(a, b *experiments.Result) {
	for _, h := range a.Hypotheses {
		i := slices.IndexFunc(b.Hypotheses, func(o experiments.HypothesisResult) bool { return o.Name == h.Name })
		if i < 0 || h.Recovery == nil || b.Hypotheses[i].Recovery == nil {
			continue
		}
		o := b.Hypotheses[i]
		row := Row{What: fmt.Sprintf("recovery of %q", h.Name), Before: recovered(h), After: recovered(o), Change: Unsure}
		held, heldToo := h.Recovery.Verdict == experiments.Held, o.Recovery.Verdict == experiments.Held
		switch {
		case held && !heldToo && o.Recovery.Verdict == experiments.Refuted:
			row.Change = Worse
		case !held && h.Recovery.Verdict == experiments.Refuted && heldToo:
			row.Change = Better
		case held && heldToo:
			by := o.RecoveredAfter - h.RecoveredAfter
			pace := max(paceOf(a, h.Series), paceOf(b, o.Series))
			row.Shift = fmt.Sprintf("%s (one time each, measured every %s)", signed(by.Seconds(), "s"), experiments.FormatDuration(roundTo3(pace)))
			switch {
			case by.Abs() <= pace:
				row.Change = Same
			case by > 3*pace && by > h.RecoveredAfter/2:
				row.Change = Worse
			case -by > 3*pace && -by > o.RecoveredAfter/2:
				row.Change = Better
			}
		}
		c.Rows = append(c.Rows, row)
	}
}

func recovered(h experiments.HypothesisResult) string {
	if h.Recovery.Verdict != experiments.Held {
		return string(h.Recovery.Verdict)
	}
	return experiments.FormatDuration(roundTo3(h.RecoveredAfter))
}

// paceOf is the usual time between two measurements of a series.
func paceOf(r *experiments.Result, name string) time.Duration {
	for _, s := range r.Series {
		if s.Name != name || len(s.At) < 2 {
			continue
		}
		gaps := make([]float64, 0, len(s.At)-1)
		for i := 1; i < len(s.At); i++ {
			gaps = append(gaps, s.At[i]-s.At[i-1])
		}
		return time.Duration(median(gaps) * float64(time.Second))
	}
	return 0
}
