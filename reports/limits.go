package reports

import (
	"math"
	"slices"

	"github.com/gameday-sh/gameday/experiments"
)

type limit struct {
	at    float64
	label string
	class string // "guard" for that of a guard
}

// limits finds the lines to draw. One far outside the data would press the data
// flat, so it is put into words instead.
func (o outliner) limits(s *experiments.Series, shown reading, low, high float64) (drawn []limit, beyond []string) {
	add := func(at float64, name, class string) {
		label := name + " " + clean(sayValue(at, shown.unit), 24)
		switch {
		case math.IsNaN(at), slices.ContainsFunc(drawn, func(l limit) bool { return l.at == at }):
		case shown.unit != "ratio" && low <= high && at > 5*high && high > 0:
			beyond = append(beyond, label+" is above the chart")
		case shown.unit == "ratio" && class == "guard" && at < 1-5*(1-low) && low < 1:
			beyond = append(beyond, label+" is below the chart")
		default:
			drawn = append(drawn, limit{at, label, class})
			if shown.unit == "ratio" {
				low = min(low, at)
			}
		}
	}
	for i := range o.r.Hypotheses {
		if h := &o.r.Hypotheses[i]; h.Series == s.Name && slices.Contains(shown.kinds, h.Kind) && h.Limit.Known() {
			add(float64(h.Limit), "limit", "")
		}
	}
	if s.Kind == "slo" {
		for i := range o.r.SLOs {
			if "slo."+o.r.SLOs[i].Name == s.Name {
				add(float64(o.r.SLOs[i].Objective), "objective", "")
			}
		}
	}
	for i := range o.r.Guards {
		if b := o.r.Guards[i].Bound; b != nil && b.Series == s.Name && slices.Contains(shown.kinds, b.Kind) && b.Limit.Known() {
			add(float64(b.Limit), "guard "+clean(o.r.Guards[i].Name, 30), "guard")
		}
	}
	return drawn, beyond
}

// A limit's label stands at the right end, above its line or below it.
const (
	labelAbove, labelBelow = -5, 13 // from the line to the label's baseline, in pixels
	labelHigh              = 12
	labelReach             = 0.25 // the share of the width that labels may cover
)

// placed puts each label where it covers least of the data and of what stands there
// already.
func placed(limits []limit, points []point, sc scale) []tick {
	var list []tick
	lines := make([]float64, len(limits))
	limits = slices.Clone(limits)
	for i, l := range limits {
		lines[i] = pixel(sc, l.at)
		// Lines too close for two labels share one.
		for j := range i {
			if limits[j].label != "" && math.Abs(lines[i]-lines[j]) < labelHigh {
				limits[j].label += ", " + limits[i].label
				limits[i].label = ""
				break
			}
		}
	}
	covers := func(own int, shift int) int {
		bottom := lines[own] + float64(shift) + 2
		top := bottom - labelHigh
		if top < 0 || bottom > chartHigh/10 {
			return 1 << 20
		}
		count := 0
		for i, y := range lines {
			if i != own && y > top && y < bottom {
				count += len(points)
			}
		}
		for i, other := range list {
			if other.Label == "" {
				continue
			}
			if y := other.Y + float64(other.Shift) + 2; i != own && y > top && y-labelHigh < bottom {
				count += 1 << 10
			}
		}
		for _, p := range points {
			if p.at > sc.to-(sc.to-sc.from)*labelReach && pixel(sc, p.max) < bottom+2 && pixel(sc, p.min) > top-2 {
				count++
			}
		}
		return count
	}
	for i, l := range limits {
		t := tick{Y: lines[i], Label: l.label, Shift: labelAbove, Class: l.class}
		if covers(i, labelBelow) < covers(i, labelAbove) {
			t.Shift = labelBelow
		}
		list = append(list, t)
	}
	return list
}
