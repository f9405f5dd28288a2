package reports

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"strings"
	"time"
)

//go:embed matrix.tmpl
var matrixText string

// faredMarks are what a cell shows: they differ in shape and word, not in colour alone.
var faredMarks = map[Fared]string{Works: "✓", Degraded: "~", Down: "✗", Unclear: "?", Untested: "·"}

// legend says what the words of a matrix mean.
var legend = []fact{
	{Name: string(Works), Value: "the hypothesis held while the dependency was broken"},
	{Name: string(Degraded), Value: "it did not hold, as it was allowed to, and held again in time"},
	{Name: string(Down), Value: "it was refuted"},
	{Name: string(Unclear), Value: "it was tried, and too little was measured to tell"},
	{Name: string(Untested), Value: "no run broke the dependency under this"},
	{Name: "stale", Value: "the newest run that tells is older than asked for: it says how it was"},
}

const noMatrix = "No run has broken anything yet, so that there is nothing to tell."

// age is how old the evidence of a cell is.
func (m *Matrix) age(c Cell) string {
	d := m.Made.Sub(c.At)
	switch {
	case d < time.Hour:
		return "less than an hour old"
	case d < 48*time.Hour:
		return plural(int(d.Hours()), "hour") + " old"
	}
	return plural(int(d.Hours()/24), "day") + " old"
}

// word is what a cell says in short.
func (c Cell) word() string {
	if c.Stale {
		return "stale: " + string(c.Fared)
	}
	return string(c.Fared)
}

// with names what else was broken in the run of a cell, where that matters.
func (c Cell) with() string {
	if len(c.With) == 0 || c.Fared == Works || c.Fared == Untested {
		return ""
	}
	var names []string
	for _, name := range c.With {
		names = append(names, clean(name, 60))
	}
	return "together with " + strings.Join(names, ", ")
}

// Stale counts the cells whose evidence is old, and Untested those without any.
func (m *Matrix) Stale() (stale, untested int) {
	for _, row := range m.Cells {
		for _, cell := range row {
			switch {
			case cell.Fared == Untested:
				untested++
			case cell.Stale:
				stale++
			}
		}
	}
	return stale, untested
}

// WriteMarkdown writes a table for a wiki or a pull request.
func (m *Matrix) WriteMarkdown(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# Resiliency matrix\n\nWhat users can do while a dependency is broken, by the newest run that tells. Made %s; evidence older than %s is stale.\n\n",
		m.Made.UTC().Format("2 January 2006, 15:04 UTC"), sayDuration(m.MaxAge))
	heads := []string{"Dependency"}
	for _, journey := range m.Journeys {
		heads = append(heads, escape(clean(journey, 60)))
	}
	table(&b, heads, len(m.Dependencies), noMatrix, func(i int) []string {
		row := []string{"**" + escape(clean(m.Dependencies[i], 80)) + "**"}
		for _, cell := range m.Cells[i] {
			text := faredMarks[cell.Fared] + " " + cell.word()
			if cell.Fared != Works || cell.Stale {
				text = "**" + text + "**"
			}
			if cell.Fared != Untested {
				text = join2(join2(text, m.age(cell)), escape(cell.with()))
			}
			row = append(row, text)
		}
		return row
	})
	for _, f := range legend {
		fmt.Fprintf(&b, "- **%s**: %s\n", f.Name, f.Value)
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("write the matrix: %w", err)
	}
	return nil
}

// matrixPage is what the template of the matrix sees.
type matrixPage struct {
	Style              template.CSS
	Policy             string
	Made, MaxAge, None string
	Journeys           []string
	Rows               []matrixRow
	Legend             []fact
}

type matrixRow struct {
	Name  string
	Cells []matrixCell
}

type matrixCell struct{ Journey, Class, Mark, Word, Age, Run, With string }

// WriteHTML writes a page that stands alone, without a script.
func (m *Matrix) WriteHTML(w io.Writer) error {
	form, err := template.New("matrix").Parse(matrixText)
	if err != nil {
		return fmt.Errorf("read the template of the matrix: %w", err)
	}
	digest := sha256.Sum256([]byte(style))
	page := matrixPage{
		Style:  template.CSS(style),
		Policy: ("default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(digest[:]) + "'; base-uri 'none'; form-action 'none'"),
		Made:   m.Made.UTC().Format("2 January 2006, 15:04 UTC"), MaxAge: sayDuration(m.MaxAge), None: noMatrix, Legend: legend,
	}
	for _, journey := range m.Journeys {
		page.Journeys = append(page.Journeys, clean(journey, 60))
	}
	for i, dependency := range m.Dependencies {
		row := matrixRow{Name: clean(dependency, 80)}
		for k, cell := range m.Cells[i] {
			one := matrixCell{Journey: page.Journeys[k], Class: string(cell.Fared), Mark: faredMarks[cell.Fared], Word: cell.word(), With: cell.with()}
			if cell.Stale {
				one.Class += " stale"
			}
			if cell.Fared != Untested {
				one.Age, one.Run = m.age(cell), clean(cell.Run, 100)
			}
			row.Cells = append(row.Cells, one)
		}
		page.Rows = append(page.Rows, row)
	}
	if err := form.Execute(w, page); err != nil {
		return fmt.Errorf("write the matrix: %w", err)
	}
	return nil
}

// WriteText writes what fits a terminal: a paragraph for each dependency.
func (m *Matrix) WriteText(w io.Writer) error {
	var b strings.Builder
	if len(m.Dependencies) == 0 {
		b.WriteString(noMatrix + "\n")
	}
	wide := 0
	for _, journey := range m.Journeys {
		wide = max(wide, len([]rune(clean(journey, 40))))
	}
	for i, dependency := range m.Dependencies {
		fmt.Fprintf(&b, "%s\n", clean(dependency, 80))
		for k, cell := range m.Cells[i] {
			line := fmt.Sprintf("  %s %-*s  %s", faredMarks[cell.Fared], wide, clean(m.Journeys[k], 40), cell.word())
			if cell.Fared != Untested {
				line += ", " + m.age(cell)
			}
			if with := cell.with(); with != "" {
				line += ", " + with
			}
			b.WriteString(line + "\n")
		}
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("write the matrix: %w", err)
	}
	return nil
}
