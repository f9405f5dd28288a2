package reports

import (
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
	AlarmWhere           string // where to type it
	Summary              []fact // the run in a minute
	Hypotheses           []hypothesisRow
	Faults               []faultRow
	Hits                 []hitRow
	HitsLeftOut          int
	Moments              []momentRow
	Guards               []guardRow
	Budgets              []budgetRow
	Journeys             []journeyRow
	Notices              []noticeRow
	Well, Wrong          []string
	Rerun                rerun
	Digest, Version, Run string
}

type fact struct{ Name, Value string }

type faultRow struct{ Letter, Name, Kind, Schedule, Outcome string }

type hitRow struct {
	Letter, Fault, Target, Effect string
	Injected, Proof               string
	Mended, MendedProof           string
	Status, Class, Error          string
	Found                         string // what became of the target: "replaced after 800ms, ready after 1.9s"
}

type guardRow struct {
	Name, Kind     string
	Peak, PeakText string // how much of its limit was taken at most, and what it read then
	Last, Looks    string
	State, Class   string
}

type budgetRow struct {
	Name, Objective, Events, Words string
	More                           []string // what was expected, what is put down to the run, what follows
	Spent                          float64  // share of the window's budget; NaN if unknown
}

// detail bounds an outline, so that no run makes a page nobody can open.
type detail struct {
	text    int // characters of one text
	rows    int // rows of the tables of hits and moments
	columns int // of all charts together
}

// unfilled marks a place for what only people can know.
const unfilled = "To be filled in by the team:"

// What a report says of a run that leaves a list of facts empty.
const (
	noHypotheses = "No hypothesis was judged."
	noFaults     = "No fault was planned."
	nothingWell  = "The run measured nothing that went well."
	nothingWrong = "The run measured nothing that went wrong."
	sameSeed     = "The same targets are chosen from the same seed, as long as they are there."
)

type outliner struct {
	r *experiments.Result
	d detail
}

func newOutline(r *experiments.Result, d detail) *outline {
	o := outliner{r, d}
	list := &outline{
		Title: o.clean(r.Scenario), Description: o.clean(r.Description),
		Verdict: string(r.Verdict), Class: class(r.Verdict),
		Headline: o.headline(), Reason: o.reason(),
		Facts: o.facts(), Summary: o.summary(),
		Hypotheses: o.hypotheses(), Faults: o.faults(),
		Moments: o.moments(), Guards: o.guards(), Budgets: o.budgets(), Journeys: o.journeys(), Notices: o.notices(),
		Well: o.well(), Wrong: o.wrong(), Rerun: o.rerun(),
		Digest: o.clean(r.Digest), Version: o.clean(r.Version), Run: o.clean(r.Run),
	}
	if list.Title == "" {
		list.Title = "(a scenario without a name)"
	}
	list.Hits, list.HitsLeftOut = o.hits()
	if list.Alarm = o.alarm(); len(list.Alarm) > 0 {
		list.AlarmCommand = o.command("recover")
		list.AlarmWhere = "Type this now, on the machine that ran it:"
		if o.r.Host != "" {
			list.AlarmWhere = "Type this now, on the machine that ran it, " + o.clean(o.r.Host) + ":"
		}
	}
	return list
}

func (o outliner) clean(text string) string { return clean(text, o.d.text) }

func class(v experiments.Verdict) string { return strings.ReplaceAll(string(v), " ", "-") }

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
		{"Scenario file", o.clean(r.Origin)},
		{"Seed", strconv.FormatUint(r.Seed, 10)},
		{"Host", o.clean(r.Host)},
	}
	list = append(list, o.gateFacts()...)
	return slices.DeleteFunc(list, func(f fact) bool { return f.Value == "" })
}

// offset writes a moment as the time since the run began.
func (o outliner) offset(at time.Time) string {
	return sayOffset(at.Sub(o.r.Began), o.ended().Sub(o.r.Began) < 10*time.Minute)
}

func join(a, b string) string {
	if a == "" {
		return b
	}
	if b == "" {
		return a
	}
	return a + ", " + b
}
