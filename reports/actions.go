package reports

import (
	"html"
	"regexp"
	"slices"
	"strings"
	"time"
)

// ActionItem is a row of the table in the place "action-items" of a Markdown report.
type ActionItem struct {
	Action, Owner string
	Due           string // as it was written: "2026-12-01"
	Priority      string // "P1"
	// Retest is the scenario that shows whether it helped, empty for none.
	Retest string
	Done   bool
	// Proposed tells that gameday proposed it and nobody has taken it yet: it has no owner.
	Proposed bool
	Line     int // of the report
}

// DueDate is Due as a date; false where it is none.
func (a ActionItem) DueDate() (time.Time, bool) {
	at, err := time.Parse(time.DateOnly, a.Due)
	return at, err == nil
}

// ActionItems reads the action items of a Markdown report. Columns are known by their
// headings, in any order; rows without an action are left out.
func ActionItems(markdown []byte) []ActionItem {
	for _, w := range Read(markdown).places {
		if w.key == PlaceActions {
			return actionItems(w.text, w.line)
		}
	}
	return nil
}

// itemColumns are the headings by which the columns of the table are known.
var itemColumns = map[string][]string{
	"action":   {"action", "action item", "what"},
	"owner":    {"owner", "who", "assignee"},
	"due":      {"due date", "due", "by", "when"},
	"priority": {"priority", "prio"},
	"retest":   {"re-test", "retest", "re-test scenario", "re-tested by", "scenario"},
	"status":   {"status", "state", "done"},
}

func actionItems(text string, first int) []ActionItem {
	var list []ActionItem
	var heads []string // of the table that the line is in
	last := ""
	number := first - 1
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimSpace(line)
		if !strings.Contains(line, "|") {
			heads, last = nil, ""
			continue
		}
		if ruler.MatchString(line) && heads == nil {
			heads = headings(last)
			continue
		}
		last = line
		if !slices.Contains(heads, "action") {
			continue
		}
		item := ActionItem{Line: number}
		for i, cell := range cells(line) {
			if i >= len(heads) {
				break
			}
			said := plain(cell)
			switch heads[i] {
			case "action":
				item.Action = said
			case "owner":
				item.Owner = unlessEmpty(said)
			case "due":
				item.Due = unlessEmpty(said)
			case "priority":
				item.Priority = unlessEmpty(said)
			case "retest":
				item.Retest = unlessEmpty(said)
			case "status":
				item.Done = finished(said)
				item.Proposed = strings.EqualFold(said, statusProposed)
			}
		}
		item.Proposed = item.Proposed && item.Owner == "" && !item.Done
		if unlessEmpty(item.Action) != "" {
			list = append(list, item)
		}
	}
	return list
}

// The words of the column "Status".
const (
	statusProposed = "proposed"
	statusOpen     = "open"
)

// ruler is the line under the headings of a table.
var ruler = regexp.MustCompile(`^\|?[ \t]*:?-+:?[ \t]*(\|[ \t]*:?-+:?[ \t]*)*\|?$`)

func headings(line string) []string {
	var heads []string
	for _, cell := range cells(line) {
		head := strings.ToLower(plain(cell))
		name := ""
		for column, names := range itemColumns {
			if slices.Contains(names, head) {
				name = column
			}
		}
		heads = append(heads, name)
	}
	return heads
}

// cells cuts a row of a table as GitHub does: at every pipe without a backslash.
func cells(line string) []string {
	line = strings.TrimPrefix(line, "|")
	var list []string
	var cell strings.Builder
	escaped := false
	for _, char := range line {
		if char == '|' && !escaped {
			list = append(list, cell.String())
			cell.Reset()
			continue
		}
		escaped = char == '\\' && !escaped
		cell.WriteRune(char)
	}
	if strings.TrimSpace(cell.String()) != "" || len(list) == 0 {
		list = append(list, cell.String())
	}
	return list
}

var (
	breaks  = regexp.MustCompile(`(?i)<br\s*/?>`)
	comment = regexp.MustCompile(`<!--.*?-->`)
	punct   = regexp.MustCompile("\\\\([!-/:-@\\[-`{-~])")
	styled  = regexp.MustCompile("^(\\*\\*|__|[*_`~]+)(.+?)(\\*\\*|__|[*_`~]+)$")
)

// plain is a cell of a table without its markup, as somebody reads it.
func plain(cell string) string {
	cell = breaks.ReplaceAllString(comment.ReplaceAllString(cell, ""), " ")
	cell = strings.TrimSpace(cell)
	if match := styled.FindStringSubmatch(cell); match != nil && match[1] == match[3] {
		cell = match[2]
	}
	cell = html.UnescapeString(punct.ReplaceAllString(cell, "$1"))
	return clean(cell, 2000)
}

// unlessEmpty is nothing for what people write where they do not know yet.
func unlessEmpty(text string) string {
	switch strings.ToLower(strings.Trim(text, " .…")) {
	case "", "-", "–", "—", "?", "??", "???", "tbd", "tba", "todo", "to do", "n/a", "none", "nobody", "unknown", "xxx":
		return ""
	}
	return text
}

// finished tells whether the status of an action item says that it is done.
func finished(status string) bool {
	switch strings.ToLower(status) {
	case "done", "closed", "x", "[x]", "yes", "fixed", "complete", "completed", "✓", "✔", "✔️", "✅":
		return true
	}
	return false
}
