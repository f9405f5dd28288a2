package reports

import (
	"cmp"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gameday-sh/gameday/experiments"
)

// outline is a result in words: what Markdown and HTML both say. All texts are
// clean; none is escaped.
type outline struct {
	Title, Description   string
	Verdict, Class       string
	Headline, Reason     string
	Facts                []fact
	Alarm                []string // what may still be broken
	AlarmCommand         string
	Summary              []string
	Hypotheses           []hypothesisRow
	Faults               []faultRow
	Hits                 []hitRow
	HitsLeftOut          int
	Moments              []momentRow
	Guards               []guardRow
	Budgets              []budgetRow
	Well, Wrong          []string
	Rerun                []string
	Digest, Version, Run string
}

type fact struct{ Name, Value string }

type hypothesisRow struct {
	Name, Statement, Verdict, Class, Reason string
	Before, During, Recovery                cell
}

// cell is what a hypothesis came to in one phase.
type cell struct {
	Value, Limit, Detail string
	Class                string
}

type faultRow struct{ Letter, Name, Kind, Schedule, Outcome string }

type hitRow struct {
	Letter, Fault, Target, Effect string
	Injected, Proof               string
	Mended, MendedProof           string
	Status, Class, Error          string
}

type momentRow struct {
	Clock, Offset, Kind, Text string
	// Gap marks the line that stands for those left out.
	Gap bool
}

type guardRow struct{ Name, Kind, Worst, Last, Looks, State, Class string }

type budgetRow struct {
	Name, Objective, Events, Words string
	Spent                          float64 // share of the window's budget; NaN if unknown
}

// detail bounds an outline, so that no run makes a page nobody can open.
type detail struct {
	text    int // characters of one text
	rows    int // rows of the tables of hits and moments
	columns int // of all charts together
}

// unfilled is what only people can know.
const unfilled = "To be filled in by the team: "

type outliner struct {
	r *experiments.Result
	d detail
}

func newOutline(r *experiments.Result, d detail) *outline {
	o := outliner{r, d}
	list := &outline{
		Title: o.clean(r.Scenario), Description: o.clean(r.Description),
		Verdict: string(r.Verdict), Class: class(r.Verdict),
		Headline: o.headline(), Reason: sentence(o.clean(r.Reason)),
		Facts: o.facts(), Summary: o.summary(),
		Hypotheses: o.hypotheses(), Faults: o.faults(),
		Moments: o.moments(), Guards: o.guards(), Budgets: o.budgets(),
		Well: o.well(), Wrong: o.wrong(), Rerun: o.rerun(),
		Digest: o.clean(r.Digest), Version: o.clean(r.Version), Run: o.clean(r.Run),
	}
	if list.Title == "" {
		list.Title = "(a scenario without a name)"
	}
	list.Hits, list.HitsLeftOut = o.hits()
	if list.Alarm = o.alarm(); len(list.Alarm) > 0 {
		list.AlarmCommand = "gameday recover " + shellQuoted(list.Run)
	}
	return list
}

func (o outliner) clean(text string) string { return clean(text, o.d.text) }

func class(v experiments.Verdict) string { return strings.ReplaceAll(string(v), " ", "-") }

// attempted tells whether a hit may have done harm: its intent was journaled.
func attempted(h *experiments.HitResult) bool {
	harmful := func(step experiments.Step) bool {
		return step != "" && step != experiments.Planned && step != experiments.Armed
	}
	return harmful(h.Step) || !h.Injected.IsZero() ||
		slices.ContainsFunc(h.Steps, func(s experiments.StepTime) bool { return harmful(s.Step) })
}

// mended tells whether the world was read and nothing of the hit is left in it.
func mended(h *experiments.HitResult) bool {
	return h.Step == experiments.Verified && (h.State == experiments.Whole || h.State == experiments.Superseded)
}

// broken counts the hits that may have done harm, and those of them that are proven
// to be gone.
func (o outliner) broken() (tried, restored int) {
	for i := range o.r.Hits {
		if !attempted(&o.r.Hits[i]) {
			continue
		}
		tried++
		if mended(&o.r.Hits[i]) {
			restored++
		}
	}
	return tried, restored
}

// mending says in a clause whether what was broken is whole again.
func (o outliner) mending() string {
	tried, restored := o.broken()
	switch {
	case restored < tried || len(o.r.Left) > 0:
		return fmt.Sprintf("%d of %s could not be proven mended", max(tried-restored, len(o.r.Left)), plural(max(tried, len(o.r.Left)), "hit"))
	case tried == 0:
		return "nothing was broken"
	case o.r.Stop != nil && o.r.Stop.Took() > 0:
		return fmt.Sprintf("everything that was broken was proven mended %s after the stop", sayDuration(o.r.Stop.Took()))
	}
	return "everything that was broken was proven mended"
}

func (o outliner) count(v experiments.Verdict) int {
	count := 0
	for i := range o.r.Hypotheses {
		if o.r.Hypotheses[i].Verdict == v {
			count++
		}
	}
	return count
}

// headline is the verdict in a sentence for somebody who reads only one.
func (o outliner) headline() string {
	all := len(o.r.Hypotheses)
	switch o.r.Verdict {
	case experiments.Held:
		return fmt.Sprintf("The system withstood it: %d of %s held, and %s.", o.count(experiments.Held), plural(all, "hypothesis"), o.mending())
	case experiments.Refuted:
		return fmt.Sprintf("The system did not withstand it: %d of %s was shown not to hold, and %s.", o.count(experiments.Refuted), plural(all, "hypothesis"), o.mending())
	case experiments.Aborted:
		return fmt.Sprintf("The experiment was stopped before its time, and %s.", o.mending())
	case experiments.Inconclusive:
		return fmt.Sprintf("There is no answer: the measurements do not show whether the system withstands it, and %s.", o.mending())
	case experiments.NotRestored:
		return "Something that was broken could not be proven mended: someone has to look at it now."
	case experiments.Invalid:
		return "The scenario is not valid, so nothing was run."
	}
	return fmt.Sprintf("The runner failed, so there is no answer, and %s.", o.mending())
}

func (o outliner) ended() time.Time {
	if !o.r.Ended.IsZero() {
		return o.r.Ended
	}
	end := o.r.Began
	for _, span := range o.r.Phases {
		end = later(end, later(span.From, span.To))
	}
	for _, moment := range o.r.Timeline {
		end = later(end, moment.At)
	}
	return end
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func (o outliner) facts() []fact {
	r := o.r
	ended := "unknown; the run was cut off"
	length := ended
	if !r.Ended.IsZero() {
		ended = r.Ended.UTC().Format("15:04:05")
		length = sayDuration(r.Ended.Sub(r.Began))
	}
	list := []fact{
		{"Date", r.Began.UTC().Format("2 January 2006, 15:04:05") + " to " + ended + " (UTC)"},
		{"Duration", length},
		{"Run", o.clean(r.Run)},
		{"Scenario", o.clean(r.Origin)},
		{"Seed", strconv.FormatUint(r.Seed, 10)},
		{"Host", o.clean(r.Host)},
	}
	return slices.DeleteFunc(list, func(f fact) bool { return f.Value == "" })
}

func (o outliner) summary() []string {
	r := o.r
	injected := 0
	for i := range r.Hits {
		if !r.Hits[i].Injected.IsZero() {
			injected++
		}
	}
	what := fmt.Sprintf("The scenario %s states %s and plans %s, watched by %s.", quoted(o.clean(r.Scenario)),
		plural(len(r.Hypotheses), "hypothesis"), plural(len(r.Faults), "fault"), plural(len(r.Guards), "guard"))
	did := fmt.Sprintf("Of %s planned, %s proven to have taken effect; %s.", plural(len(r.Hits), "hit"), was(injected), o.mending())
	if len(r.Hits) == 0 {
		did = "No target was chosen to be hit; " + o.mending() + "."
	}
	list := []string{what + " " + did}
	if r.Stop != nil {
		text := fmt.Sprintf("It was stopped at %s UTC (%s): %s.", sayClock(r.Stop.Breach, r.Began), sayOffset(r.Stop.Breach.Sub(r.Began)), strings.TrimSuffix(o.clean(r.Stop.Cause), "."))
		if took := r.Stop.Took(); took > 0 {
			text += fmt.Sprintf(" From there to the last proven revert it took %s.", sayDuration(took))
		}
		list = append(list, text)
	}
	return list
}

func was(count int) string {
	if count == 1 {
		return "1 was"
	}
	return sayCount(float64(count)) + " were"
}

func (o outliner) hypotheses() []hypothesisRow {
	list := make([]hypothesisRow, 0, len(o.r.Hypotheses))
	for i := range o.r.Hypotheses {
		h := &o.r.Hypotheses[i]
		row := hypothesisRow{
			Name: o.clean(h.Name), Statement: o.clean(h.Statement), Reason: sentence(o.clean(h.Reason)),
			Verdict: string(h.Verdict), Class: class(h.Verdict),
			Before: o.cell(h, h.Before), During: o.cell(h, h.During), Recovery: o.cell(h, h.Recovery),
		}
		if h.MayBreak && h.During == nil {
			row.During = cell{Value: "may break"}
		} else if h.MayBreak {
			row.During.Detail = join(row.During.Detail, "may break")
			row.During.Class = ""
		}
		if h.RecoverWithin > 0 && h.Recovery != nil {
			note := "had " + sayDuration(h.RecoverWithin)
			if h.Recovery.Verdict == experiments.Held {
				note = "after " + sayDuration(h.RecoveredAfter) + " of " + sayDuration(h.RecoverWithin)
			}
			row.Recovery.Detail = join(row.Recovery.Detail, note)
		}
		list = append(list, row)
	}
	return list
}

func join(a, b string) string {
	if a == "" {
		return b
	}
	return a + ", " + b
}

func (o outliner) cell(h *experiments.HypothesisResult, j *experiments.Judgement) cell {
	if j == nil {
		return cell{Value: "not judged"}
	}
	unit := cmp.Or(j.Unit, h.Unit)
	c := cell{Value: o.clean(sayValue(float64(j.Observed), unit)), Class: class(j.Verdict)}
	switch {
	case h.Kind == experiments.EverySample:
		c.Value = sayCount(j.Bad) + " of " + sayCount(j.Total) + " bad"
		return c
	case !j.Limit.Known():
	case h.Kind == experiments.GoodRatio || h.Kind == experiments.ValueAtLeast:
		c.Limit = "at least " + o.clean(sayValue(float64(j.Limit), unit))
	default:
		c.Limit = "at most " + o.clean(sayValue(float64(j.Limit), unit))
	}
	if h.Kind == experiments.GoodRatio {
		c.Detail = sayCount(j.Bad) + " of " + sayCount(j.Total) + " bad"
	} else {
		c.Detail = sayCount(j.Total) + " samples"
	}
	return c
}

// letter names the n-th fault in charts, where names do not fit: A to Z, then AA.
func letter(n int) string {
	if n < 26 {
		return string(rune('A' + n))
	}
	return letter(n/26-1) + letter(n%26)
}

func (o outliner) letterOf(fault string) string {
	for i := range o.r.Faults {
		if o.r.Faults[i].Name == fault {
			return letter(i)
		}
	}
	return ""
}

func (o outliner) faults() []faultRow {
	list := make([]faultRow, 0, min(len(o.r.Faults), o.d.rows))
	for i := range o.r.Faults[:min(len(o.r.Faults), o.d.rows)] {
		f := &o.r.Faults[i]
		when := "from the start"
		switch {
		case f.After != "" && f.At > 0:
			when = sayDuration(f.At) + " after " + quoted(o.clean(f.After)) + " ends"
		case f.After != "":
			when = "when " + quoted(o.clean(f.After)) + " ends"
		case f.At > 0:
			when = "at " + sayDuration(f.At)
		}
		if f.Duration > 0 {
			when += " for " + sayDuration(f.Duration)
		}
		if f.Every != "" {
			when += ", every " + o.clean(f.Every)
		}
		list = append(list, faultRow{
			Letter: letter(i), Name: o.clean(f.Name), Kind: o.clean(f.Kind), Schedule: when,
			Outcome: fmt.Sprintf("%s planned in %s, %d injected, %d restored", plural(f.Hits, "hit"), plural(f.Rounds, "round"), f.Injected, f.Restored),
		})
	}
	return list
}

// hits lists the hits, those that are not mended first where not all fit.
func (o outliner) hits() (rows []hitRow, leftOut int) {
	order := make([]*experiments.HitResult, 0, len(o.r.Hits))
	for i := range o.r.Hits {
		order = append(order, &o.r.Hits[i])
	}
	if len(order) > o.d.rows {
		slices.SortStableFunc(order, func(a, b *experiments.HitResult) int { return cmp.Compare(urgency(a), urgency(b)) })
		leftOut = len(order) - o.d.rows
		order = order[:o.d.rows]
	}
	for _, h := range order {
		rows = append(rows, o.hit(h))
	}
	return rows, leftOut
}

func urgency(h *experiments.HitResult) int {
	switch {
	case attempted(h) && !mended(h):
		return 0
	case h.Error != "":
		return 1
	}
	return 2
}

func (o outliner) hit(h *experiments.HitResult) hitRow {
	row := hitRow{
		Letter: o.letterOf(h.Fault), Fault: o.clean(h.Fault), Target: o.clean(h.Target), Effect: o.clean(h.Effect),
		Proof: o.clean(h.Proof), MendedProof: o.clean(h.Mended), Error: o.clean(h.Error),
	}
	if h.Round > 1 {
		row.Fault += ", round " + strconv.Itoa(h.Round)
	}
	if !h.Injected.IsZero() {
		row.Injected = sayOffset(h.Injected.Sub(o.r.Began))
	}
	if !h.Verified.IsZero() {
		row.Mended = sayOffset(h.Verified.Sub(o.r.Began))
	}
	switch {
	case !attempted(h):
		row.Status, row.Class = "not reached", "idle"
	case !mended(h):
		row.Status, row.Class = "not proven mended", "not-restored"
	case h.State == experiments.Superseded:
		row.Status, row.Class = "nothing left; someone else changed the target meanwhile", "held"
	case h.Injected.IsZero():
		row.Status, row.Class = "did not take effect; nothing left", "inconclusive"
	default:
		row.Status, row.Class = "mended", "held"
	}
	return row
}

func (o outliner) moments() []momentRow {
	moments := o.r.Timeline
	limit := 2 * o.d.rows
	head := len(moments)
	if len(moments) > limit {
		head = limit * 2 / 3
	}
	var rows []momentRow
	for i, m := range moments {
		if i >= head && i < len(moments)-(limit-head) && len(moments) > limit {
			if i == head {
				rows = append(rows, momentRow{Gap: true, Text: plural(len(moments)-limit, "more moment") + " in result.json"})
			}
			continue
		}
		row := momentRow{Clock: sayClock(m.At, o.r.Began), Kind: o.clean(m.Kind), Text: o.clean(m.Text)}
		if !m.At.IsZero() {
			row.Offset = sayOffset(m.At.Sub(o.r.Began))
		}
		rows = append(rows, row)
	}
	return rows
}

func (o outliner) guards() []guardRow {
	var rows []guardRow
	for i := range o.r.Guards {
		g := &o.r.Guards[i]
		row := guardRow{Name: o.clean(g.Name), Kind: o.clean(g.Kind), Looks: sayCount(float64(g.Looks)), State: "did not trip", Class: "held", Worst: "nothing", Last: "nothing"}
		if g.Default {
			row.Kind += ", on by default"
		}
		if g.Worst != nil {
			row.Worst = o.clean(g.Worst.Text)
			if !g.WorstAt.IsZero() {
				row.Worst += " (at " + sayOffset(g.WorstAt.Sub(o.r.Began)) + ")"
			}
		}
		if g.Last != nil {
			row.Last = o.clean(g.Last.Text)
		}
		switch {
		case g.Tripped:
			row.State, row.Class = "tripped", "aborted"
		case g.Looks == 0:
			row.State, row.Class = "never asked", "idle"
		case g.Last != nil && g.Last.Blind:
			row.State, row.Class = "saw nothing at the end", "inconclusive"
		}
		rows = append(rows, row)
	}
	return rows
}

// budgets says what the run cost each SLO. The budget of a window is (1-objective)
// of its events; spending a share of it costs as much as a total outage of that
// share of (1-objective) of the window (SRE workbook, "Alerting on SLOs").
func (o outliner) budgets() []budgetRow {
	var rows []budgetRow
	for i := range o.r.SLOs {
		s := &o.r.SLOs[i]
		row := budgetRow{Name: o.clean(s.Name), Spent: float64(s.Spent),
			Objective: s.Objective.String() + " over " + sayDuration(s.Window)}
		row.Events = fmt.Sprintf("%s of %s failed", sayCount(s.Bad), plural2(s.Total, "event"))
		if s.Total > 0 {
			row.Events += " (" + sayPercent(s.Bad/s.Total) + ")"
		}
		row.Events += " from the first injection to the end"
		if s.Total == 0 {
			row.Events = "No event was counted from the first injection to the end"
		}
		if s.Spent.Known() {
			outage := time.Duration(float64(s.Spent) * float64(s.Window) * (1 - float64(s.Objective)))
			row.Words = fmt.Sprintf("That is %s of the error budget of %s, as much as %s of total outage.", sayPercent(float64(s.Spent)), sayDuration(s.Window), sayDuration(outage))
		} else {
			row.Words = "Its share of the error budget is unknown, because the baseline showed no rate of events to count the window by."
		}
		rows = append(rows, row)
	}
	return rows
}

func plural2(count float64, noun string) string {
	if count == 1 {
		return "1 " + noun
	}
	return sayCount(count) + " " + noun + "s"
}

// well lists facts that went as they should. It praises nothing it did not measure.
func (o outliner) well() []string {
	var list []string
	for _, row := range o.hypotheses() {
		if row.Verdict == string(experiments.Held) {
			list = append(list, fmt.Sprintf("%s held: %s", quoted(row.Name), known(row.Reason)))
		}
	}
	if tried, restored := o.broken(); tried > 0 && restored == tried && len(o.r.Left) == 0 {
		list = append(list, sentence(o.mending()))
	}
	if o.r.Stop != nil && o.r.Stop.Guard != "" {
		list = append(list, fmt.Sprintf("The guard %s stopped the run.", quoted(o.clean(o.r.Stop.Guard))))
	}
	return list
}

func known(text string) string {
	if text == "" {
		return "No reason was recorded."
	}
	return text
}

// wrong lists facts that did not go as they should.
func (o outliner) wrong() []string {
	var list []string
	for _, row := range o.hypotheses() {
		switch experiments.Verdict(row.Verdict) {
		case experiments.Refuted:
			list = append(list, fmt.Sprintf("%s did not hold: %s", quoted(row.Name), known(row.Reason)))
		case experiments.Held:
		default:
			list = append(list, fmt.Sprintf("%s is without an answer: %s", quoted(row.Name), known(row.Reason)))
		}
	}
	if o.r.Stop != nil {
		list = append(list, "The run was stopped before its time: "+sentence(o.clean(o.r.Stop.Cause)))
	}
	for i := range o.r.Hits {
		h := &o.r.Hits[i]
		if len(list) > o.d.rows {
			break
		}
		if attempted(h) && h.Injected.IsZero() {
			list = append(list, fmt.Sprintf("%s was not hit: %s", o.clean(h.Target), sentence(cmp.Or(o.clean(h.Error), "the effect was not seen"))))
		}
	}
	for _, row := range o.guards() {
		if row.Class == "inconclusive" {
			list = append(list, fmt.Sprintf("The guard %s had nothing to judge by at the end: %s", quoted(row.Name), sentence(row.Last)))
		}
	}
	for _, text := range o.alarm() {
		list = append(list, "Not proven mended: "+sentence(text))
	}
	for _, text := range o.r.Errors {
		list = append(list, "The runner reported: "+sentence(o.clean(text)))
	}
	return list
}

// alarm lists what may still be broken.
func (o outliner) alarm() []string {
	var list []string
	for _, text := range o.r.Left[:min(len(o.r.Left), o.d.rows)] {
		list = append(list, o.clean(text))
	}
	if len(o.r.Left) == 0 {
		for i := range o.r.Hits {
			if h := &o.r.Hits[i]; attempted(h) && !mended(h) && len(list) < o.d.rows {
				list = append(list, join(o.clean(h.Target)+": "+o.clean(h.Effect), "to be undone by: "+cmp.Or(o.clean(h.Undo), "what its fault says")))
			}
		}
	}
	if len(list) == 0 && o.r.Verdict == experiments.NotRestored {
		list = append(list, cmp.Or(o.clean(o.r.Reason), "the result does not say what"))
	}
	return list
}

var line = regexp.MustCompile(`:\d+(,\d+)?(-\d+(,\d+)?)?$`)

// rerun gives the commands that run the same again and that render this again.
func (o outliner) rerun() []string {
	// The origin is "shop.hcl:31"; one directory is one configuration.
	folder := path.Dir(line.ReplaceAllString(clean(o.r.Origin, 1000), ""))
	return []string{
		fmt.Sprintf("gameday run %s --scenario %s --seed %d", shellQuoted(folder), shellQuoted(clean(o.r.Scenario, 1000)), o.r.Seed),
		"gameday report " + shellQuoted(clean(o.r.Run, 1000)),
	}
}
