// Package reports renders what a run left: a postmortem to discuss (Markdown and
// HTML), test results for CI (JUnit) and the stored result itself (JSON).
//
// Everything is rendered from an [experiments.Result] alone, at once or a year
// later. A result goes one way: [Load] reads it back, outline.go says in words what
// happened, and a format turns those words into its own markup. So Markdown and HTML
// tell the same story, and only the format knows how to escape.
//
// People write on a report, in places (places.go). [Read] takes them out of a Markdown
// report, [Format.WriteWith] renders with them, [Check] says what is still missing, and
// [ActionItems] gives the action items as data.
//
// Texts in a result come from scenarios and from the systems under test, so no
// format trusts them: control characters, terminal escapes and text direction
// overrides are removed, long ones are cut, and the rest is escaped.
package reports

import (
	"io"

	"github.com/gameday-sh/gameday/experiments"
)

// Format is one way to render a result.
type Format struct {
	Name      string // "html"
	Extension string // of the file name, without the dot: "html"
	Summary   string // one line for people: "A page to read and to send"
	// Write renders r. The same result gives the same bytes.
	Write func(w io.Writer, r *experiments.Result) error
}

// Formats lists every format: its name, the ending of its file and what it is for.
func Formats() []Format {
	return []Format{
		{"markdown", "md", "A postmortem to edit and to discuss", writeMarkdown},
		{"html", "html", "A page with charts to read, print and send", writeHTML},
		{"junit", "xml", "Test results for CI", writeJUnit},
		{"json", "json", "The stored result, which all other formats are rendered from", writeJSON},
	}
}
