package reports

import (
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

func join(a, b string) string {
	if a == "" {
		return b
	}
	return a + ", " + b
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
