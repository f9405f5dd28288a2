package reports

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/gameday-sh/gameday/experiments"
)

// A chart's lines are drawn in a box of these units, stretched to the width of the
// page; its texts are placed by percent of the width and keep their size.
const (
	chartWide = 7000
	chartHigh = 1500
)

// chart is one series over the time of the run, ready for the template.
type chart struct {
	ID                  int
	Title, Note, Desc   string
	Wide, High          int
	Line, Envelope, Rug string // path data
	Windows, Gaps       []band
	Marks               []band // hits that are over at once
	Phases              []band
	Stop                string
	TicksX, TicksY      []tick
	Limits              []tick
}

// band is a stretch of time, in percent of the width.
type band struct{ X, W, Middle, Label, Class string }

// tick is a place on an axis. Y is in pixels from the top of the plot.
type tick struct {
	At    string
	Y     float64
	Label string
	Edge  string // "start" or "end" for a label at the edge, else ""
	Shift int    // of the label from the line, in pixels
	Class string
}

// scale maps time and values to the box.
type scale struct{ from, to, low, high float64 }

func (s scale) x(at float64) int {
	return int(math.Round(min(max((at-s.from)/(s.to-s.from), 0), 1) * chartWide))
}

func (s scale) y(v float64) int {
	return int(math.Round((1 - min(max((v-s.low)/(s.high-s.low), 0), 1)) * chartHigh))
}

func (s scale) percent(at float64) string {
	return percentOf(min(max((at-s.from)/(s.to-s.from), 0), 1))
}

func percentOf(share float64) string { return trimmed(share*100, 2) + "%" }

// newChart draws a series. The stage is what all charts of a run share.
func (o outliner) newChart(id int, m track, g stage, columns int) (chart, error) {
	s, shown := m.head, readingOf(m, o.r)
	sc := scale{from: 0, to: g.seconds}
	step, err := pace(m)
	if err != nil {
		return chart{}, err
	}
	d, err := survey(m, shown.value, step, sc, columns)
	if err != nil {
		return chart{}, err
	}
	points := d.points
	low, high := math.Inf(1), math.Inf(-1)
	for _, p := range points {
		low, high = min(low, p.min), max(high, p.max)
	}
	limits, beyond := o.limits(s, shown, low, high)
	sc.low, sc.high = bounds(low, high, shown.unit, limits)

	c := chart{
		ID: id, Wide: chartWide, High: chartHigh, Title: shown.what + " of " + o.clean(s.Name),
		Windows: g.windows, Marks: g.marks, Phases: g.phases, Stop: g.stop, TicksX: g.ticks,
	}
	if s.Window > 0 {
		c.Title += " over " + sayDuration(s.Window)
	}
	c.Line, c.Envelope = paths(points, sc)
	c.Rug = d.rug
	for _, gap := range s.Gaps {
		from := float64(gap.From)
		to := max(float64(gap.To), from) + step
		if math.IsNaN(to) || len(c.Gaps) >= columns/4 {
			continue
		}
		b := sc.band(from, to)
		b.Label = o.clean(string(gap.Condition)) + " from " + clock(from) + " to " + clock(to)
		if gap.Why != "" {
			b.Label += ": " + clean(gap.Why, min(o.d.text, 120))
		}
		c.Gaps = append(c.Gaps, b)
	}
	c.Gaps = joined(c.Gaps)
	var unit string
	c.TicksY, unit = valueTicks(sc, shown.unit)
	if unit != "" {
		c.Title += ", in " + unit
	}
	c.Limits = placed(limits, points, sc)
	if s.Kind == "slo" {
		c.Note = plural(m.n, "count")
	} else {
		c.Note = plural(m.n, "measurement") + ", " + sayCount(float64(d.failed)) + " failed"
	}
	if d.unread > 0 {
		c.Note += ", " + sayCount(float64(d.unread)) + " not readable (hatched)"
	}
	if c.Envelope != "" {
		c.Note += "; the line is the mean, the area from least to most"
	}
	for _, text := range beyond {
		c.Note += "; " + text
	}
	c.Desc = c.Note + "."
	if low <= high {
		c.Desc = fmt.Sprintf("From %s to %s in %s. %s.", clean(sayValue(low, shown.unit), 40), clean(sayValue(high, shown.unit), 40), clock(g.seconds), c.Note)
	}
	return c, nil
}

// mostLabel is how many characters there is room for left of a chart.
const mostLabel = 9

// valueTicks are round values with their unit. Where there is no room for that it is
// given for the title.
func valueTicks(sc scale, unit string) (list []tick, titled string) {
	long := false
	for _, v := range ticks(sc.low, sc.high, 4) {
		label := clean(sayValue(v, unit), mostLabel+1)
		long = long || utf8.RuneCountInString(label) > mostLabel
		list = append(list, tick{Y: pixel(sc, v), Label: label})
	}
	if !long || unit == "ratio" || unit == "s" || unit == "" {
		return list, ""
	}
	list, _ = valueTicks(sc, "")
	return list, clean(unit, 40)
}

func pixel(sc scale, v float64) float64 { return float64(sc.y(v)) / 10 }

// bounds picks the range of values. Latencies start at zero; ratios end at 100%.
func bounds(low, high float64, unit string, limits []limit) (float64, float64) {
	for _, l := range limits {
		low, high = min(low, l.at), max(high, l.at)
	}
	if low > high {
		low, high = 0, 1
	}
	if unit == "ratio" {
		low = max(0, low-(1-low)*0.15)
		if low >= 1 {
			low = 0.99
		}
		return low, 1
	}
	if low >= 0 {
		low = 0
	} else {
		low *= 1.1
	}
	if high = max(high, 0) * 1.1; high <= low {
		high = low + 1
	}
	return low, high
}

// ticks gives up to about count round numbers from low to high: 1, 2 or 5 times a
// power of ten apart.
func ticks(low, high float64, count int) []float64 {
	step := math.Pow(10, math.Floor(math.Log10((high-low)/float64(count))))
	for _, factor := range []float64{1, 2, 5, 10} {
		if (high-low)/(step*factor) <= float64(count) {
			step *= factor
			break
		}
	}
	var list []float64
	for n := math.Ceil(low/step - 1e-9); n*step <= high+step*1e-9 && len(list) <= 2*count; n++ {
		// Rounding through text takes 0.30000000000000004 back to 0.3.
		v, err := strconv.ParseFloat(strconv.FormatFloat(n*step, 'g', 12, 64), 64)
		if err == nil {
			list = append(list, v+0) // which takes -0 to 0
		}
	}
	return list
}

// paths draws the line of the means, and the area between least and most where a
// point stands for several measurements.
func paths(points []point, sc scale) (line, envelope string) {
	var lines, areas strings.Builder
	for start := 0; start < len(points); {
		end := start + 1
		for end < len(points) && !points[end].cut {
			end++
		}
		segment := points[start:end]
		var pen, area pen
		wide := false
		for _, p := range segment {
			pen.to(&lines, sc.x(p.at), sc.y(p.mean))
			wide = wide || p.max > p.min
		}
		if len(segment) == 1 {
			lines.WriteString("h0") // a dot, with round ends
		}
		if wide {
			for _, p := range segment {
				area.to(&areas, sc.x(p.at), sc.y(p.max))
			}
			for _, p := range slices.Backward(segment) {
				area.to(&areas, sc.x(p.at), sc.y(p.min))
			}
			areas.WriteByte('z')
		}
		start = end
	}
	return lines.String(), areas.String()
}

// pen writes path data: an absolute move, then relative lines, which are shorter.
// All numbers are whole, so that no error adds up.
type pen struct {
	x, y int
	down bool
}

func (p *pen) to(b *strings.Builder, x, y int) {
	if !p.down {
		fmt.Fprintf(b, "M%d %d", x, y)
	} else {
		b.WriteByte('l')
		b.WriteString(strconv.Itoa(x - p.x))
		if y-p.y >= 0 {
			b.WriteByte(' ')
		}
		b.WriteString(strconv.Itoa(y - p.y))
	}
	*p = pen{x, y, true}
}

func (s scale) band(from, to float64) band {
	from, to = min(max(from, s.from), s.to), min(max(to, s.from), s.to)
	share := max((to-from)/(s.to-s.from), 0.002)
	return band{X: s.percent(from), W: percentOf(share), Middle: s.percent((from + to) / 2)}
}

// joined drops bands that start where one before started: they are no wider than a
// pixel apart.
func joined(bands []band) []band {
	return slices.CompactFunc(bands, func(a, b band) bool { return a.X == b.X })
}

// timeTicks are round times since the start.
func timeTicks(sc scale) []tick {
	step := 0.0
	for _, step = range []float64{1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 4 * 3600, 6 * 3600, 12 * 3600, 86400} {
		if (sc.to-sc.from)/step <= 7 {
			break
		}
	}
	for (sc.to-sc.from)/step > 7 {
		step *= 2
	}
	var list []tick
	crowded := (sc.to-sc.from)/step >= 4
	for at := 0.0; at <= sc.to; at += step {
		t := tick{At: sc.percent(at), Label: clock(at)}
		if at == 0 {
			t.Edge = "start"
		} else if at > sc.to*0.97 {
			t.Edge = "end"
		}
		if crowded && len(list)%2 == 1 {
			t.Edge += " wide" // no room for it on a phone
		}
		list = append(list, t)
	}
	return list
}

// clock writes seconds as m:ss, or h:mm:ss from an hour on.
func clock(seconds float64) string {
	total := int(min(max(math.Round(seconds), 0), 1e9))
	if total >= 3600 {
		return fmt.Sprintf("%d:%02d:%02d", total/3600, total/60%60, total%60)
	}
	return fmt.Sprintf("%d:%02d", total/60, total%60)
}

// charts draws every series that has a measurement, as many as fit.
func (o outliner) charts(g stage, series []track) (list []chart, leftOut int, err error) {
	drawn := slices.DeleteFunc(slices.Clone(series), func(m track) bool { return m.n == 0 })
	// What a hypothesis is about comes first.
	slices.SortStableFunc(drawn, func(a, b track) int { return cmp.Compare(o.interest(a.head), o.interest(b.head)) })
	most := max(o.d.columns/150, 1)
	if len(drawn) > most {
		leftOut = len(drawn) - most
		drawn = drawn[:most]
	}
	for i, m := range drawn {
		c, err := o.newChart(i+1, m, g, min(700, o.d.columns/len(drawn)))
		if err != nil {
			return nil, 0, err
		}
		list = append(list, c)
	}
	return list, leftOut, nil
}

func (o outliner) interest(s *experiments.Series) int {
	for i := range o.r.Hypotheses {
		if o.r.Hypotheses[i].Series == s.Name {
			return i
		}
	}
	return len(o.r.Hypotheses)
}
