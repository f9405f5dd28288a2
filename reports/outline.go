package reports

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gameday-sh/gameday/experiments"
)

// outline is a result in words: what Markdown and HTML both say. All texts are
// clean; none is escaped. A format walks the sections and their blocks in their order
// and adds nothing of its own but markup and pictures.
type outline struct {
	Title, Description string
	Verdict, Class     string
	Headline, Reason   string
	Alarm              []string // what may still be broken
	AlarmCommand       string
	AlarmWhere         string // where to type it
	Sections           []section

	Digest, Version, Run string
}

// fact is a value under its name.
type fact struct {
	Name, Value string
	Mark        mark
}

// section is a part of the report under its heading.
type section struct {
	ID, Title string // "impact", "Impact"
	Mark      mark   // where all of it is of one kind
	Blocks    []block
}

// block is a piece of a section: exactly one of its fields is set.
type block struct {
	Text  string // a paragraph
	Head  string // a heading within a section
	Facts []fact
	About []fact // what was run, with the legend of the marks
	List  []item
	Table *sheet
	Place *place
	// Commands are for a POSIX shell.
	Commands []string
	// Budgets are for a page to draw; their words are facts.
	Budgets []budgetRow
	// Picture names what only a page has: "timeline" or "charts".
	Picture string
}

// item is a line of a list.
type item struct {
	Text string
	Mark mark
}

// sheet is a table. The first cell of a row is its head.
type sheet struct {
	Caption string
	Class   string // "" for a table of cells with details, "moments" for the timeline
	Columns []heading
	Rows    [][]cell
	None    string // what stands there without a row
	More    string // what is said of the rows that were left out
}

type heading struct {
	Name string
	Mark mark
}

// cell is what stands in a table.
type cell struct {
	Value, Detail string
	Class         string // of a verdict: "held"
	Letter        string // that names a fault in pictures
	Pill          bool   // the value is a verdict
	Mark          mark   // where it is not that of the column
	Gap           bool   // the row stands for rows that were left out
}

// place is where people write.
type place struct {
	Key, Label string // the label is empty where the heading of the section says it
	Asks       string
	Text       string // what people wrote, in Markdown
	Line       int
	// Note is what gameday proposes, said before the place; Proposal is what it suggests to
	// write there, in Markdown, until somebody does.
	Note     string
	Proposal string
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
	// seen is what the words need of each series' measurements.
	seen []seen
}

// seen is what the measurements of a series come to.
type seen struct {
	head *experiments.Series
	rows int
	pace float64 // seconds between two measurements, 0 for fewer than two
	// failed and last are when the first and the last one failed after the first
	// injection, in seconds since the run began; -1 if none did.
	failed, last float64
	end          float64 // when the last one was taken
}

// storedOutliner goes through the samples once, where they are in a file row by row.
func storedOutliner(s *Stored, d detail) (outliner, error) {
	o := outliner{r: s.Result, d: d}
	injected := o.firstInjected()
	for _, t := range s.series {
		one := seen{head: t.head, rows: t.n, failed: -1, last: -1, end: t.last}
		var err error
		if one.pace, err = pace(t); err != nil {
			return o, err
		}
		if t.has[columnBad] && !injected.IsZero() {
			from := o.since(injected)
			err = t.rows(func(_ int, r row) bool {
				if r[columnBad] > 0 && r[columnAt] >= from {
					if one.failed < 0 {
						one.failed = r[columnAt]
					}
					one.last = r[columnAt]
				}
				return true
			})
			if err != nil {
				return o, err
			}
		}
		o.seen = append(o.seen, one)
	}
	return o, nil
}

// newOutline is the outline of a run with what people wrote, nil for nothing.
func (o outliner) newOutline(people *Document) *outline {
	r := o.r
	list := &outline{
		Title: o.clean(r.Scenario), Description: o.clean(r.Description),
		Verdict: string(r.Verdict), Class: class(r.Verdict),
		Headline: o.headline(), Reason: o.reason(),
		Sections: o.sections(people),
		Digest:   o.clean(r.Digest), Version: o.clean(r.Version), Run: o.clean(r.Run),
	}
	if list.Title == "" {
		list.Title = "(a scenario without a name)"
	}
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
		{"Date", r.Began.UTC().Format("2 January 2006, 15:04:05") + " to " + ended + " (UTC)", measured},
		{"Duration", length, measured},
		{"Run", o.clean(r.Run), declared},
		{"Scenario file", o.clean(r.Origin), declared},
		{"Seed", strconv.FormatUint(r.Seed, 10), declared},
		{"Host", o.clean(r.Host), declared},
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

// wantedPlace is a place with what people wrote into it.
func wantedPlace(people *Document, key, label string) block {
	text, line := people.at(key)
	return block{Place: &place{Key: key, Label: label, Asks: PlaceAsks(key), Text: text, Line: line}}
}

func paragraphs(texts ...string) []block {
	var list []block
	for _, text := range texts {
		if text != "" {
			list = append(list, block{Text: text})
		}
	}
	return list
}

// bullets is a list, or a sentence where it is empty.
func bullets(items []item, none string) block {
	if len(items) == 0 {
		return block{Text: none}
	}
	return block{List: items}
}

func items(texts []string, from mark) []item {
	list := make([]item, len(texts))
	for i, text := range texts {
		list[i] = item{text, from}
	}
	return list
}

func dash(text string) string { return cmp.Or(text, "–") }
