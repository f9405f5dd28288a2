package reports

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"math"
)

//go:embed html.tmpl
var pageText string

//go:embed style.css
var style string

// maxPage is what a page may weigh; beyond it, it is rendered with less detail.
const maxPage = 140 << 10

// page is what the template sees.
type page struct {
	*outline
	Style     template.CSS
	Policy    string
	Timeline  gantt
	Charts    []chart
	ChartsOut int
	Bars      []budgetBar
	Unfilled  string
	// What stands in for an empty list, and before the commands.
	NothingWell, NothingWrong, SameSeed string
}

// budgetBar is the share of a budget, as a picture.
type budgetBar struct {
	budgetRow
	Width string // of the bar; empty where the share is unknown
	Over  bool   // more was spent than there was
}

// writeHTML writes one page that stands alone: no script, nothing loaded from
// anywhere, and a Content-Security-Policy that forbids both.
func writeHTML(w io.Writer, s *Stored) error {
	r := s.Result
	form, err := template.New("page").Parse(pageText)
	if err != nil {
		return fmt.Errorf("reading the template of the HTML report: %w", err)
	}
	var text bytes.Buffer
	for d := (detail{text: 300, rows: 80, columns: 2800}); ; d = (detail{d.text * 2 / 3, d.rows * 2 / 3, d.columns * 2 / 3}) {
		text.Reset()
		p, err := newPage(s, d)
		if err != nil {
			return fmt.Errorf("drawing the charts of run %s: %w", r.Run, err)
		}
		if err := form.Execute(&text, p); err != nil {
			return fmt.Errorf("rendering the HTML report of run %s: %w", r.Run, err)
		}
		if text.Len() <= maxPage || d.rows <= 8 {
			break
		}
	}
	if _, err := w.Write(text.Bytes()); err != nil {
		return fmt.Errorf("writing the HTML report of run %s: %w", r.Run, err)
	}
	return nil
}

func newPage(s *Stored, d detail) (page, error) {
	r := s.Result
	o := outliner{r, d}
	digest := sha256.Sum256([]byte(style))
	g := o.stage(s.series)
	p := page{
		outline: newOutline(r, d), Timeline: o.gantt(g), Unfilled: unfilled,
		NothingWell: nothingWell, NothingWrong: nothingWrong, SameSeed: sameSeed,
		Style: template.CSS(style),
		// The hash allows this one style sheet and no other, whatever a text may inject.
		Policy: "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(digest[:]) + "'; img-src data:; base-uri 'none'; form-action 'none'",
	}
	var err error
	if p.Charts, p.ChartsOut, err = o.charts(g, s.series); err != nil {
		return page{}, err
	}
	for _, row := range p.Budgets {
		bar := budgetBar{budgetRow: row, Over: row.Spent > 1}
		switch {
		case math.IsNaN(row.Spent):
		case row.Spent > 0: // a bar that is there must be seen
			bar.Width = percentOf(min(max(row.Spent, 0.004), 1))
		default:
			bar.Width = "0"
		}
		p.Bars = append(p.Bars, bar)
	}
	return p, nil
}
