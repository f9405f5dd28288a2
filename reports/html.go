package reports

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"math"
	"sync"
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
	Style  template.CSS
	Policy string
	Marks  any // the legend
	Parts  []part
	// Unfilled marks a place for what only people can know.
	Unfilled string
}

// part is a section on the page.
type part struct {
	ID, Title string
	Mark      mark
	Blocks    []shown
}

// shown is a block on the page, with what only a page has.
type shown struct {
	block
	Timeline  *gantt
	Charts    []chart
	ChartsOut int
	Stopped   bool // a run that was stopped has a line for it in its charts
	Bars      []budgetBar
	Written   template.HTML // what people wrote in a place, or what is proposed for it
}

// budgetBar is the share of a budget, as a picture.
type budgetBar struct {
	budgetRow
	Width string // of the bar; empty where the share is unknown
	Over  bool   // more was spent than there was
}

// pageForm is the template of the page, which is read once.
var pageForm = sync.OnceValues(func() (*template.Template, error) {
	return template.New("page").Funcs(template.FuncMap{"sign": func(m any) string { return mark(fmt.Sprint(m)).Sign() }}).Parse(pageText)
})

// Prepare reads beforehand what the first report is made with: a run has time for that
// while it waits, and none at its end.
func Prepare() {
	// What is wrong with it the report itself says.
	_, _ = pageForm()
}

// writeHTML writes one page that stands alone: no script, nothing loaded from
// anywhere, and a Content-Security-Policy that forbids both.
func writeHTML(w io.Writer, s *Stored, people *Document) error {
	r := s.Result
	form, err := pageForm()
	if err != nil {
		return fmt.Errorf("reading the template of the HTML report: %w", err)
	}
	o, err := storedOutliner(s, detail{})
	if err != nil {
		return fmt.Errorf("reading the samples of run %s: %w", r.Run, err)
	}
	var text bytes.Buffer
	for d := (detail{text: 300, rows: 80, columns: 2800}); ; d = (detail{d.text * 2 / 3, d.rows * 2 / 3, d.columns * 2 / 3}) {
		text.Reset()
		o.d = d
		p, written, err := o.newPage(s.series, people)
		if err != nil {
			return fmt.Errorf("drawing the charts of run %s: %w", r.Run, err)
		}
		if err := form.Execute(&text, p); err != nil {
			return fmt.Errorf("rendering the HTML report of run %s: %w", r.Run, err)
		}
		if text.Len()-written <= maxPage || d.rows <= 8 {
			break
		}
	}
	if _, err := w.Write(text.Bytes()); err != nil {
		return fmt.Errorf("writing the HTML report of run %s: %w", r.Run, err)
	}
	return nil
}

// newPage makes the page, and tells how much of it people wrote.
func (o outliner) newPage(series []track, people *Document) (p page, written int, err error) {
	digest := sha256.Sum256([]byte(style))
	g := o.stage(series)
	p = page{
		outline: o.newOutline(people), Unfilled: unfilled, Marks: marks,
		Style: template.CSS(style),
		// The hash allows this one style sheet and no other, whatever a text may inject.
		Policy: "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(digest[:]) + "'; img-src data:; base-uri 'none'; form-action 'none'",
	}
	for _, section := range p.Sections {
		one := part{ID: section.ID, Title: section.Title, Mark: section.Mark}
		for _, b := range section.Blocks {
			k := shown{block: b}
			switch {
			case b.Picture == "timeline":
				picture := o.gantt(g)
				k.Timeline = &picture
			case b.Picture == "charts":
				if k.Charts, k.ChartsOut, err = o.charts(g, series); err != nil {
					return p, 0, err
				}
				if len(k.Charts) == 0 {
					continue
				}
				k.Stopped = g.stop != ""
			case b.Budgets != nil:
				k.Bars = bars(b.Budgets)
			case b.Place != nil:
				k.Written, err = peopleHTML(cmp.Or(b.Place.Text, b.Place.Proposal))
				if err != nil {
					return p, 0, err
				}
				if b.Place.Text != "" {
					written += len(k.Written)
				}
			}
			one.Blocks = append(one.Blocks, k)
		}
		if len(one.Blocks) > 0 {
			p.Parts = append(p.Parts, one)
		}
	}
	return p, written, nil
}

func bars(rows []budgetRow) []budgetBar {
	var list []budgetBar
	for _, row := range rows {
		bar := budgetBar{budgetRow: row, Over: row.Spent > 1}
		switch {
		case math.IsNaN(row.Spent):
		case row.Spent > 0: // a bar that is there must be seen
			bar.Width = percentOf(min(max(row.Spent, 0.004), 1))
		default:
			bar.Width = "0"
		}
		list = append(list, bar)
	}
	return list
}
