// Package reports renders what a run left: a postmortem to discuss (Markdown and
// HTML), test results for CI (JUnit) and the stored result itself (JSON).
//
// Everything is rendered from an [experiments.Result] alone, at once or a year
// later. A result goes one way: [Load] or [Open] reads it back, outline.go says in words
// what happened, and a format turns those words into its own markup. So Markdown and
// HTML tell the same story, and only the format knows how to escape. Samples are read
// row by row (columns.go), as a run of weeks has more of them than fit into memory.
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
	// File is its name in a run's directory: "report.html". Formats without one are
	// rendered only for those who ask.
	File    string
	Summary string // one line for people: "A page to read and to send"
	write   func(w io.Writer, s *Stored, people *Document) error
}

// Write renders a result that is in memory. The same result gives the same bytes.
func (f Format) Write(w io.Writer, r *experiments.Result) error { return f.write(w, Memory(r), nil) }

// WriteWith renders r with what people wrote into the places of its Markdown report, in
// the formats that show it; the others are as [Format.Write] writes them.
func (f Format) WriteWith(w io.Writer, r *experiments.Result, people *Document) error {
	return f.write(w, Memory(r), people)
}

// WriteStored is WriteWith of a result whose samples may be in a file, to the same bytes.
func (f Format) WriteStored(w io.Writer, s *Stored, people *Document) error {
	return f.write(w, s, people)
}

// withoutSamples is the writer of a format that shows no single measurement and nothing
// that people wrote.
func withoutSamples(write func(io.Writer, *experiments.Result) error) func(io.Writer, *Stored, *Document) error {
	return func(w io.Writer, s *Stored, _ *Document) error { return write(w, s.Result) }
}

// withoutPeople is the writer of a format that shows nothing that people wrote.
func withoutPeople(write func(io.Writer, *Stored) error) func(io.Writer, *Stored, *Document) error {
	return func(w io.Writer, s *Stored, _ *Document) error { return write(w, s) }
}

// Formats lists every format: its name, the ending of its file and what it is for.
func Formats() []Format {
	return []Format{
		{"markdown", "md", "report.md", "A postmortem to edit and to discuss", writeMarkdown},
		{"html", "html", "report.html", "A page with charts to read, print and send", writeHTML},
		{"junit", "xml", "junit.xml", "Test results for CI", withoutSamples(writeJUnit)},
		{"json", "json", "result.json", "The stored result, which all other formats are rendered from", withoutPeople(writeStoredJSON)},
		{"github-summary", "md", "", "A short summary for a job or a pull request on GitHub", withoutSamples(writeGitHubSummary)},
		{"csv", "csv", "", "The samples, a row each, for a spreadsheet", withoutPeople(writeCSV)},
		{"openmetrics", "om", "", "The samples for Prometheus: promtool tsdb create-blocks-from openmetrics", withoutPeople(writeOpenMetrics)},
	}
}
