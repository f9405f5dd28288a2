package scenarios

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/agext/levenshtein"
	"github.com/hashicorp/hcl/v2"
	"github.com/mitchellh/go-wordwrap"
)

// Diagnostics is everything that was found in a configuration, with the sources
// to show it in. The zero value and nil hold nothing.
type Diagnostics struct {
	list    hcl.Diagnostics
	sources map[string][]byte
}

// HasErrors tells whether anything is wrong; warnings do not count.
func (d *Diagnostics) HasErrors() bool { return d != nil && d.list.HasErrors() }

// Count returns the number of errors and of warnings.
func (d *Diagnostics) Count() (errors, warnings int) {
	if d == nil {
		return 0, 0
	}
	for _, diagnostic := range d.list {
		if diagnostic.Severity == hcl.DiagError {
			errors++
		} else {
			warnings++
		}
	}
	return errors, warnings
}

// Err returns d if it has errors, and nil otherwise.
func (d *Diagnostics) Err() error {
	if !d.HasErrors() {
		return nil
	}
	return d
}

// Error gives each error on a line of its own.
func (d *Diagnostics) Error() string {
	var lines []string
	if d != nil {
		for _, diagnostic := range d.list {
			if diagnostic.Severity != hcl.DiagError {
				continue
			}
			line := diagnostic.Summary + ": " + diagnostic.Detail
			if diagnostic.Subject != nil {
				line = place(*diagnostic.Subject) + ": " + line
			}
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}

// Merge puts the diagnostics of several configurations into one.
func Merge(several ...*Diagnostics) *Diagnostics {
	all := &Diagnostics{sources: map[string][]byte{}}
	for _, d := range several {
		if d == nil {
			continue
		}
		all.list = append(all.list, d.list...)
		for name, source := range d.sources {
			all.sources[name] = source
		}
	}
	return all
}

// palette is the escape sequences of a coloured text; all empty without colour.
type palette struct{ failure, warning, strong, faint, reset string }

// mostShown is how many diagnostics a person is shown; what has more is another
// format, or generated.
const mostShown = 100

// WriteText writes the diagnostics for a person: what is wrong, the source line
// with a caret under the words it is about, and what to write instead. After a
// hundred the rest is counted. A width of zero does not wrap.
func (d *Diagnostics) WriteText(w io.Writer, width int, colour bool) error {
	if d == nil {
		return nil
	}
	var p palette
	if colour {
		p = palette{failure: "\x1b[1;31m", warning: "\x1b[1;33m", strong: "\x1b[1m", faint: "\x1b[2m", reset: "\x1b[0m"}
	}
	var out bytes.Buffer
	for i, diagnostic := range d.list {
		if i > 0 {
			out.WriteByte('\n')
		}
		if i == mostShown && len(d.list) > mostShown+1 {
			fmt.Fprintf(&out, "%d more are not shown.\n", len(d.list)-i)
			break
		}
		d.writeOne(&out, diagnostic, width, p)
	}
	_, err := w.Write(out.Bytes())
	return err
}

func (d *Diagnostics) writeOne(out *bytes.Buffer, diagnostic *hcl.Diagnostic, width int, p palette) {
	colour, word := p.failure, "Error"
	if diagnostic.Severity == hcl.DiagWarning {
		colour, word = p.warning, "Warning"
	}
	fmt.Fprintf(out, "%s%s:%s %s%s%s\n", colour, word, p.reset, p.strong, printable(diagnostic.Summary), p.reset)
	if diagnostic.Subject != nil {
		d.writeSource(out, *diagnostic.Subject, width, colour, p)
	}
	detail := printable(diagnostic.Detail)
	if width > 4 {
		detail = wordwrap.WrapString(detail, uint(width-2))
	}
	for line := range strings.Lines(detail) {
		out.WriteString("  " + strings.TrimRight(line, "\n") + "\n")
	}
}

// writeSource shows the first line of a range and marks the range in it.
func (d *Diagnostics) writeSource(out *bytes.Buffer, at hcl.Range, width int, colour string, p palette) {
	fmt.Fprintf(out, "  %s%s%s\n", p.faint, place(at), p.reset)
	source, known := d.sources[at.Filename]
	if !known || at.Start.Byte > len(source) || !utf8.Valid(source) {
		return
	}
	begin := bytes.LastIndexByte(source[:at.Start.Byte], '\n') + 1
	end := len(source)
	if i := bytes.IndexByte(source[at.Start.Byte:], '\n'); i >= 0 {
		end = at.Start.Byte + i
	}
	before := printable(string(source[begin:at.Start.Byte]))
	marked := printable(string(source[at.Start.Byte:max(at.Start.Byte, min(at.End.Byte, end))]))
	after := printable(strings.TrimRight(string(source[max(at.Start.Byte, min(at.End.Byte, end)):end]), "\r"))
	// A line of a generated file may be megabytes long: keep what surrounds the caret.
	if width <= 0 {
		width = 200
	}
	if room := width - 8; utf8.RuneCountInString(before+marked+after) > room {
		before, after = lastRunes(before, room/2), firstRunes(after, room/4)
		marked = firstRunes(marked, max(room/4, room-utf8.RuneCountInString(before+after)-len("...")))
	}
	gutter := fmt.Sprintf("%5d", at.Start.Line)
	line := strings.TrimRight(before+marked+after, " ")
	fmt.Fprintf(out, "%s%s |%s %s\n", p.faint, gutter, p.reset, line)
	fmt.Fprintf(out, "%s%s |%s %s%s%s%s\n", p.faint, strings.Repeat(" ", len(gutter)), p.reset,
		strings.Repeat(" ", utf8.RuneCountInString(before)), colour, strings.Repeat("^", max(1, utf8.RuneCountInString(marked))), p.reset)
}

// printable replaces tabs by a space and drops what would move a terminal's
// cursor; newlines stay.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return ' '
		case r == '\n':
			return r
		case r < ' ' || r == 0x7f || (r >= 0x80 && r < 0xa0):
			return -1
		}
		return r
	}, text)
}

func firstRunes(text string, most int) string {
	if utf8.RuneCountInString(text) <= most {
		return text
	}
	return string([]rune(text)[:most]) + "..."
}

func lastRunes(text string, most int) string {
	if utf8.RuneCountInString(text) <= most {
		return text
	}
	runes := []rune(text)
	return "..." + string(runes[len(runes)-most:])
}

// jsonDiagnostic is one diagnostic for a machine.
type jsonDiagnostic struct {
	Severity   string        `json:"severity"`
	Summary    string        `json:"summary"`
	Detail     string        `json:"detail"`
	File       string        `json:"file,omitempty"`
	Start      *jsonPosition `json:"start,omitempty"`
	End        *jsonPosition `json:"end,omitempty"`
	Suggestion string        `json:"suggestion,omitempty"`
}

// jsonPosition counts lines and columns from 1 and bytes from 0.
type jsonPosition struct {
	Line   int `json:"line"`
	Column int `json:"column"`
	Byte   int `json:"byte"`
}

// WriteJSON writes the diagnostics as an array, empty where there are none.
func (d *Diagnostics) WriteJSON(w io.Writer) error {
	array := []jsonDiagnostic{}
	if d != nil {
		for _, diagnostic := range d.list {
			one := jsonDiagnostic{Severity: "error", Summary: diagnostic.Summary, Detail: diagnostic.Detail}
			if diagnostic.Severity == hcl.DiagWarning {
				one.Severity = "warning"
			}
			if at := diagnostic.Subject; at != nil {
				one.File = at.Filename
				one.Start = &jsonPosition{at.Start.Line, at.Start.Column, at.Start.Byte}
				one.End = &jsonPosition{at.End.Line, at.End.Column, at.End.Byte}
			}
			if word, ok := diagnostic.Extra.(suggestion); ok {
				one.Suggestion = string(word)
			}
			array = append(array, one)
		}
	}
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(array)
}

// suggestion is the word meant, carried in a diagnostic's Extra.
type suggestion string

// problems collects diagnostics.
type problems struct{ list hcl.Diagnostics }

func (p *problems) add(severity hcl.DiagnosticSeverity, at hcl.Range, summary, detail string) *hcl.Diagnostic {
	diagnostic := &hcl.Diagnostic{Severity: severity, Summary: summary, Detail: detail}
	if at.Filename != "" {
		diagnostic.Subject = at.Ptr()
	}
	p.list = append(p.list, diagnostic)
	return diagnostic
}

func (p *problems) errorf(at hcl.Range, summary, format string, args ...any) {
	p.add(hcl.DiagError, at, summary, fmt.Sprintf(format, args...))
}

func (p *problems) warnf(at hcl.Range, summary, format string, args ...any) {
	p.add(hcl.DiagWarning, at, summary, fmt.Sprintf(format, args...))
}

// unknown reports a name that does not exist: it suggests the nearest of the known
// ones, or lists them all.
func (p *problems) unknown(at hcl.Range, summary, sentence, got string, known []string, none string) {
	word := nearest(got, known)
	switch {
	case word != "":
		sentence += fmt.Sprintf(" Did you mean %q?", word)
	case len(known) > 0:
		sentence += " There is: " + enumerate(known) + "."
	case none != "":
		sentence += " " + none
	}
	diagnostic := p.add(hcl.DiagError, at, summary, sentence)
	if word != "" {
		diagnostic.Extra = suggestion(word)
	}
}

// enumerate joins names and cuts a long list.
func enumerate(known []string) string {
	const most = 30
	if len(known) > most {
		return strings.Join(known[:most], ", ") + fmt.Sprintf(" and %d more", len(known)-most)
	}
	return strings.Join(known, ", ")
}

// nearest returns the known name that got was most likely meant to be, or "".
func nearest(got string, known []string) string {
	best, least := "", 1+max(2, utf8.RuneCountInString(got)/3)
	for _, name := range known {
		if distance := levenshtein.Distance(got, name, nil); distance < least && distance < utf8.RuneCountInString(name) {
			best, least = name, distance
		}
	}
	if best != "" || utf8.RuneCountInString(got) < 4 {
		return best
	}
	// "latency" for toxiproxy_latency, if nothing else has that word in it.
	for _, name := range known {
		if !slices.Contains(strings.Split(name, "_"), got) && !strings.HasSuffix(name, "_"+got) {
			continue
		}
		if best != "" {
			return ""
		}
		best = name
	}
	return best
}

// place writes where a range begins: "shop.hcl:31".
func place(at hcl.Range) string { return fmt.Sprintf("%s:%d", at.Filename, at.Start.Line) }

// finish sorts the diagnostics by file and position and drops repetitions.
func (p *problems) finish(sources map[string][]byte) *Diagnostics {
	slices.SortStableFunc(p.list, func(a, b *hcl.Diagnostic) int {
		if a.Subject == nil || b.Subject == nil {
			return cmp.Compare(btoi(a.Subject != nil), btoi(b.Subject != nil))
		}
		return cmp.Or(strings.Compare(a.Subject.Filename, b.Subject.Filename), cmp.Compare(a.Subject.Start.Byte, b.Subject.Start.Byte))
	})
	list := slices.CompactFunc(p.list, func(a, b *hcl.Diagnostic) bool {
		return a.Summary == b.Summary && a.Detail == b.Detail && a.Subject != nil && b.Subject != nil && *a.Subject == *b.Subject
	})
	return &Diagnostics{list: list, sources: sources}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}
