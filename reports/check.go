package reports

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gameday-sh/gameday/experiments"
)

// Finding is what a report still lacks, or what it should word otherwise.
type Finding struct {
	Line  int // of the Markdown report; 0 where there is none
	Place string
	Text  string
	// Better is what to write instead, where there is a wording to offer.
	Better string
	// Warning tells that a report with it is complete all the same.
	Warning bool
}

// required are the places that must be filled after a run with a verdict. One that held
// asks for nothing; of one without an answer people may know as little as gameday.
func required(v experiments.Verdict, strict bool) []string {
	switch {
	case strict:
		return PlaceKeys()
	case v == experiments.Refuted, v == experiments.Aborted, v == experiments.NotRestored:
		return []string{PlaceSeverity, PlaceUsers, PlaceCause, PlaceActions}
	}
	return nil
}

// Check looks through what people wrote in the Markdown report of r. Strict asks for
// every place, whatever the verdict, and makes warnings failures.
func Check(r *experiments.Result, markdown []byte, strict bool) []Finding {
	d := Read(markdown)
	var list []Finding
	add := func(line int, place string, warning bool, format string, values ...any) {
		list = append(list, Finding{Line: line, Place: place, Text: fmt.Sprintf(format, values...), Warning: warning && !strict})
	}
	for _, p := range d.Problems {
		add(p.Line, "", false, "%s", p.Text)
	}
	if d.Edited && len(markdown) > 0 {
		add(0, "", true, "something outside of the places was changed; rendering again puts it back, and keeps this text as report.md.bak-1")
	}
	needs := required(r.Verdict, strict)
	for _, key := range PlaceKeys() {
		text, _ := d.at(key)
		line := d.line(key)
		needed := slices.Contains(needs, key)
		switch {
		case key == PlaceActions:
			checkActions(d, needed, add)
		case !needed && text == "":
		case unlessEmpty(firstLine(text)) == "" && strings.Count(strings.TrimSpace(text), "\n") == 0:
			if needed {
				add(line, key, false, "%s is empty: say %s", key, PlaceAsks(key))
			}
		case key == PlaceSeverity && !severityWord.MatchString(text):
			add(line, key, !needed, "severity names no level: write SEV1, SEV2, SEV3, SEV4 or none")
		}
	}
	var names []string
	for _, item := range d.actionItems() {
		names = append(names, item.Owner)
	}
	for _, key := range PlaceKeys() {
		text, line := d.at(key)
		for _, w := range Lint(text, line, names) {
			add(w.Line, key, true, "“%s”: %s", w.Found, w.Why)
			list[len(list)-1].Better = w.Better
		}
	}
	slices.SortStableFunc(list, func(a, b Finding) int { return a.Line - b.Line })
	return list
}

// checkActions wants one action item that somebody has taken until a date, if any is
// needed, and dates that are dates.
func checkActions(d *Document, needed bool, add func(line int, place string, warning bool, format string, values ...any)) {
	complete, told := false, false
	for _, item := range d.actionItems() {
		_, dated := item.DueDate()
		taken := !item.Proposed && !item.Done
		told = told || taken && (item.Owner == "" || !dated)
		switch {
		case item.Proposed, item.Done && item.Owner != "":
			complete = complete || item.Done
		case item.Owner == "":
			add(item.Line, PlaceActions, !needed, "the action item %s has no owner", quoted(clean(item.Action, 60)))
		case item.Due == "":
			add(item.Line, PlaceActions, !needed, "the action item %s has no due date: write one such as 2026-12-31", quoted(clean(item.Action, 60)))
		case !dated:
			add(item.Line, PlaceActions, !needed, "the due date %s is no date: write one such as 2026-12-31", quoted(clean(item.Due, 40)))
		default:
			complete = true
		}
	}
	if needed && !complete && !told {
		add(d.line(PlaceActions), PlaceActions, false, "%s has no action item with an owner and a due date: take a proposal by putting in both, or write one", PlaceActions)
	}
}

func (d *Document) actionItems() []ActionItem {
	for _, w := range d.places {
		if w.key == PlaceActions {
			return actionItems(w.text, w.line)
		}
	}
	return nil
}

// line is where a place begins, 0 where the report has none.
func (d *Document) line(key string) int {
	for _, w := range d.places {
		if w.key == key {
			return w.line
		}
	}
	return 0
}
