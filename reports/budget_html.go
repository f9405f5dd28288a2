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
	"strings"
	"time"
)

//go:embed budget.tmpl
var budgetText string

// budgetStyle is what this report has beside the common style.
const budgetStyle = `
section > h3 { margin-top: 20px; }
.days { stroke: var(--refuted); stroke-width: 6px; opacity: .75; vector-effect: non-scaling-stroke; }
.below { fill: var(--refuted); opacity: .1; }
.area { fill: var(--data); opacity: .14; }
line.zero { stroke: var(--ink); opacity: .8; }
.yes { color: var(--held); font-weight: 600; } .no { color: var(--refuted); font-weight: 600; }
h2 .pill { margin-left: 10px; vertical-align: 2px; }
th.number, td.number { text-align: right; } td.number { white-space: nowrap; }
`

// budgetPage is what the template sees.
type budgetPage struct {
	Title, Summary, As string
	Style              template.CSS
	Policy             string
	Several            bool
	Budgets            []*budgetSection
}

type budgetSection struct {
	*budgetOutline
	ID    int
	Chart *budgetChart
}

// Target and the others are for the table of several budgets.
func (s *budgetSection) Target() string   { return s.SLO.Objective.String() }
func (s *budgetSection) SLIText() string  { return saySLI(s.SLI, s.SLO.Objective) }
func (s *budgetSection) LeftText() string { return orUnknown(s.Remaining, sayShare) }
func (s *budgetSection) RunbookURL() string {
	if strings.HasPrefix(s.Runbook, "https://") || strings.HasPrefix(s.Runbook, "http://") {
		return s.Runbook
	}
	return ""
}

// writeBudgetHTML writes one page that stands alone, as writeHTML does.
func writeBudgetHTML(w io.Writer, list []Budget) error {
	form, err := template.New("page").Parse(budgetText)
	if err != nil {
		return fmt.Errorf("reading the template of the report of error budgets: %w", err)
	}
	css := style + budgetStyle
	digest := sha256.Sum256([]byte(css))
	page := budgetPage{Title: budgetTitle(list), Style: template.CSS(css), Several: len(list) > 1,
		Policy: "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(digest[:]) + "'; img-src data:; base-uri 'none'; form-action 'none'"}
	var outlines []*budgetOutline
	for i, one := range list {
		o := outlineBudget(one)
		outlines = append(outlines, o)
		page.Budgets = append(page.Budgets, &budgetSection{o, i + 1, newBudgetChart(o)})
	}
	if len(list) > 0 {
		page.As = "As of " + sayMoment(list[0].At, list[0].location())
	}
	page.Summary = sentence(budgetSummary(outlines))
	var text bytes.Buffer
	if err := form.Execute(&text, page); err != nil {
		return fmt.Errorf("rendering the report of error budgets: %w", err)
	}
	if _, err := w.Write(text.Bytes()); err != nil {
		return fmt.Errorf("writing the report of error budgets: %w", err)
	}
	return nil
}

// budgetChart is the course of a budget over its period: what was left, and below it
// what each day cost.
type budgetChart struct {
	Wide, High     int
	Line, Area     string // path data
	Zero           float64
	ZeroHeight     float64
	Days           string // path data
	TicksX, TicksY []tick
	Bands          []tick
	Gaps           []band
	Desc, Note     string
}

// newBudgetChart draws a course; nil where there is none.
func newBudgetChart(o *budgetOutline) *budgetChart {
	if len(o.Course) == 0 || o.Why != "" {
		return nil
	}
	low := 0.0
	for _, s := range o.Course {
		if !math.IsNaN(s.Left) {
			low = min(low, s.Left)
		}
	}
	if low < 0 {
		low *= 1.08
	}
	sc := scale{from: 0, to: o.To.Sub(o.From).Seconds(), low: low, high: 1}
	at := func(t time.Time) float64 { return t.Sub(o.From).Seconds() }
	c := &budgetChart{Wide: chartWide, High: chartHigh, Zero: pixel(sc, 0)}
	c.ZeroHeight = chartHigh/10 - c.Zero
	var line, area strings.Builder
	var p pen
	begin, last := 0, 0
	finish := func() {
		if p.down {
			fmt.Fprintf(&area, "L%d %dL%d %dz", last, sc.y(0), begin, sc.y(0))
		}
		p = pen{}
	}
	left := 1.0
	var gapFrom, gapTo time.Time
	closeGap := func() {
		if !gapFrom.IsZero() {
			c.Gaps = append(c.Gaps, sc.band(at(gapFrom), at(gapTo)))
			gapFrom = time.Time{}
		}
	}
	for _, s := range o.Course {
		if math.IsNaN(s.Left) {
			finish()
			if gapFrom.IsZero() {
				gapFrom = s.From
			}
			gapTo = s.To
			continue
		}
		closeGap()
		if !p.down {
			begin = sc.x(at(s.From))
			q := p
			p.to(&line, begin, sc.y(left))
			q.to(&area, begin, sc.y(left))
		}
		q := p
		p.to(&line, sc.x(at(s.To)), sc.y(s.Left))
		q.to(&area, sc.x(at(s.To)), sc.y(s.Left))
		last, left = sc.x(at(s.To)), s.Left
	}
	finish()
	closeGap()
	c.Line, c.Area = line.String(), area.String()
	for _, v := range ticks(low, 1, 4) {
		c.TicksY = append(c.TicksY, tick{Y: pixel(sc, v), Label: trimmed(v*100, 2) + "%"})
	}
	if o.Policy != nil {
		for _, b := range o.Policy.Bands {
			if !math.IsInf(b.AtLeast, 0) && b.AtLeast > 0 && b.AtLeast < 1 {
				c.Bands = append(c.Bands, tick{Y: pixel(sc, b.AtLeast), Label: clean(b.Name, 20) + " from " + sayShare(b.AtLeast), Shift: -5})
			}
		}
	}
	c.days(o, sc, at)
	c.dates(o, sc, at)
	c.Note = "What was left of the period's error budget; red bars: what each day cost"
	if len(c.Gaps) > 0 {
		c.Note += "; hatched: nothing could be counted"
	}
	c.Desc = fmt.Sprintf("From 100%% at the begin of the period to %s. %s.", sayShare(left), c.Note)
	return c
}

// days draws a bar for each day, as high as its share of the costliest.
func (c *budgetChart) days(o *budgetOutline, sc scale, at func(time.Time) float64) {
	type day struct{ from, to, bad float64 }
	var list []day
	date := ""
	for _, s := range o.Course {
		middle := s.From.Add(s.To.Sub(s.From) / 2)
		if here := middle.In(o.location()).Format("2006-01-02"); here != date {
			date = here
			list = append(list, day{from: at(s.From)})
		}
		d := &list[len(list)-1]
		d.to = at(s.To)
		if !math.IsNaN(s.Left) {
			d.bad += s.Bad
		}
	}
	most := 0.0
	for _, d := range list {
		most = max(most, d.bad)
	}
	var path strings.Builder
	for _, d := range list {
		if d.bad >= 0.5 {
			fmt.Fprintf(&path, "M%d 30v-%d", sc.x((d.from+d.to)/2), max(int(30*d.bad/most), 1))
		}
	}
	c.Days = path.String()
}

// dates are the ticks of the time: days, months or hours, as many as have room.
func (c *budgetChart) dates(o *budgetOutline, sc scale, at func(time.Time) float64) {
	zone := o.location()
	period := o.To.Sub(o.From)
	format, step := "2 Jan", max(int(period.Hours()/24/6), 1)
	next := func(t time.Time) time.Time { return time.Date(t.Year(), t.Month(), t.Day()+step, 0, 0, 0, 0, zone) }
	first := o.From.In(zone)
	first = time.Date(first.Year(), first.Month(), first.Day(), 0, 0, 0, 0, zone)
	if period <= 48*time.Hour {
		hours := max(int(period.Hours()/6), 1)
		format = "15:04"
		next = func(t time.Time) time.Time { return t.Add(time.Duration(hours) * time.Hour) }
		first = o.From.In(zone).Truncate(time.Hour)
	}
	for t := first; !t.After(o.To); t = next(t) {
		share := at(t) / sc.to
		if share < 0 {
			continue
		}
		mark := tick{At: percentOf(share), Label: t.Format(format)}
		switch {
		case share < 0.03:
			mark.Edge = "start"
		case share > 0.97:
			mark.Edge = "end"
		}
		c.TicksX = append(c.TicksX, mark)
	}
}
