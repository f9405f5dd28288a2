package reports

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/gameday-sh/gameday/experiments"
)

func picture(r *experiments.Result) gantt {
	o := newOutliner(r, detail{text: 300, rows: 80})
	return o.gantt(o.stage(Memory(r).series))
}

// drawn lists the signs and bars of a lane as "class at share", row by row.
func drawn(g gantt, name string) []string {
	var list []string
	for _, l := range g.Lanes {
		if !strings.HasPrefix(l.Name, name) {
			continue
		}
		for _, r := range l.Rows {
			for _, b := range r.Bars {
				list = append(list, "bar "+b.X+" "+b.W)
			}
			for _, s := range r.Signs {
				list = append(list, s.Class+" "+s.X)
			}
		}
	}
	return list
}

func TestThePictureShowsFaultsHitsAndEvents(t *testing.T) {
	near := run(experiments.Held)
	near.Guards[0].Worst.Used = .62
	for _, test := range []struct {
		name string
		r    *experiments.Result
		lane string
		want []string
	}{
		{"a fault that lasts", run(experiments.Held), "late-payments", []string{"bar 20% 55.06%"}},
		{"a hit that is over at once, what became of it, and what others told", run(experiments.Held), "lose-a-pod", []string{"hit 45%", "event 45.5%", "found 45.4%"}},
		{"a hypothesis that broke, and held again 4.2 s after the last revert", run(experiments.Held), "Hypotheses", []string{"bar 20% 55.06%", "whole 77.16%"}},
		{"a note of a person", run(experiments.Held), "Notes", []string{"note 30%"}},
		{"what could not be read", run(experiments.Held), "Not readable", []string{"bar 82.62% 3.25%"}},
		{"a guard that was far from its limit", run(experiments.Held), "Guards", nil},
		{"a guard that came near its limit", near, "Guards", []string{"near 45.5%"}},
		{"a guard that stopped the run", results()["aborted"], "Guards", []string{"trip 75%"}},
	} {
		if got := drawn(picture(test.r), test.lane); !slices.Equal(got, test.want) {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}

func TestTargetsHaveARowEachWhereTheyAreFew(t *testing.T) {
	for _, test := range []struct {
		targets, rows int
		name          string
	}{{1, 1, "lose-a-pod: pod shop/checkout-7d"}, {4, 4, "lose-a-pod: 4 targets, a row each"}, {mostRows + 1, 1, "lose-a-pod: many targets in one row"}, {0, 1, "lose-a-pod (no hit took effect)"}} {
		r := run(experiments.Held)
		kill := r.Hits[1]
		r.Hits = r.Hits[:1]
		for i := range test.targets {
			h := kill
			if i > 0 {
				h.Target = fmt.Sprint("pod ", i)
			}
			h.Injected = after(90 + 2*float64(i))
			r.Hits = append(r.Hits, h)
		}
		l := picture(r).Lanes[1]
		if l.Name != test.name || len(l.Rows) != test.rows {
			t.Errorf("%d targets: %q with %d rows", test.targets, l.Name, len(l.Rows))
		}
		if y := picture(r).Lanes[2].Y; y != l.Y+l.High || l.High != laneName+laneFoot+rowHigh*(test.rows-1) {
			t.Errorf("%d targets: the next lane begins at %d, this one at %d with %d", test.targets, y, l.Y, l.High)
		}
	}
}

func TestThePictureExplainsTheSignsItHasAndNoOthers(t *testing.T) {
	g := picture(results()["aborted"])
	var keys []string
	for _, k := range g.Keys {
		keys = append(keys, k.Class)
	}
	if want := []string{"hit", "event", "found", "trip", "note"}; !slices.Equal(keys, want) {
		t.Errorf("keys %v, want %v", keys, want)
	}
	if !strings.Contains(g.Desc, "fault B lose-a-pod: pod shop/checkout-7d with 3 moments") || !strings.Contains(g.Desc, "Guards with 1 moment") {
		t.Errorf("the words for it: %s", g.Desc)
	}
	page := string(render(t, "html", results()["aborted"]))
	for _, k := range signs {
		if !strings.Contains(style, ".sign."+k.Class) {
			t.Errorf("the style does not know the sign %s", k.Class)
		}
		if got, want := strings.Contains(page, ">"+k.Text) || strings.Contains(page, " "+k.Text+"<"), slices.Contains(keys, k.Class); got != want {
			t.Errorf("%s is explained: %t", k.Text, got)
		}
	}
}

func TestAThousandEventsAreNotAThousandSigns(t *testing.T) {
	r := run(experiments.Held)
	for i := range 1000 {
		r.Hits[1].Findings = append(r.Hits[1].Findings, experiments.Finding{Name: "event", Source: "Kubernetes", At: after(90 + float64(i)/20), After: time.Duration(i) * 50 * time.Millisecond, Text: "Pulled"})
		r.Timeline = append(r.Timeline, experiments.Moment{At: after(float64(i) / 5), Kind: "note", Text: "x"})
	}
	g := picture(r)
	if count := g.Lanes[1].signs(); count < 20 || count > mostSigns {
		t.Errorf("%d signs of a fault", count)
	}
	if notes := drawn(g, "Notes"); len(notes) != mostSigns {
		t.Errorf("%d notes", len(notes))
	}
}

func TestAGuardsLimitIsDrawnWhereItDoesNotPressTheDataFlat(t *testing.T) {
	for _, test := range []struct {
		name  string
		limit experiments.Float
		drawn bool
	}{{"near the data", .9856, true}, {"far below them", .28, false}} {
		r := run(experiments.Held)
		r.Guards[0].Bound.Limit = test.limit
		o := newOutliner(r, detail{text: 300, rows: 80, columns: 2800})
		s := Memory(r).series
		charts, _, err := o.charts(o.stage(s), s)
		if err != nil {
			t.Fatal(err)
		}
		drawn := slices.ContainsFunc(charts[0].Limits, func(l tick) bool { return l.Class == "guard" })
		if said := strings.Contains(charts[0].Note, "guard page-worthy 28% is below the chart"); drawn != test.drawn || said == test.drawn {
			t.Errorf("%s: drawn %t, said %t: %s", test.name, drawn, said, charts[0].Note)
		}
		if charts[1].Limits[0].Class == "guard" {
			t.Error("it is on the chart of another series")
		}
	}
}

func TestTheLabelsOfValuesFitBesideTheChart(t *testing.T) {
	for _, test := range []struct {
		unit, label, titled string
		high                float64
	}{
		{"ratio", "100%", "", 1},
		{"s", "4ms", "", 0.005},
		{"pods", "4 pods", "", 5},
		{"requests/s", "100", "requests/s", 100},
		{strings.Repeat("long ", 40), "100", strings.Repeat("long ", 7) + "lon…", 100},
	} {
		list, titled := valueTicks(scale{from: 0, to: 1, low: 0, high: test.high}, test.unit)
		found := false
		for _, tick := range list {
			found = found || tick.Label == test.label
			if n := utf8.RuneCountInString(tick.Label); n > mostLabel+1 {
				t.Errorf("%s: %q has %d characters", test.unit, tick.Label, n)
			}
		}
		if !found || !strings.HasPrefix(titled, strings.TrimSuffix(test.titled, "lon…")) || (test.titled == "") != (titled == "") {
			t.Errorf("%s: %+v, and the title says %q", test.unit, list, titled)
		}
	}
}

func TestAGapOfOneMeasurementIsSeen(t *testing.T) {
	r := &experiments.Result{Series: []*experiments.Series{{Name: "slo.a", Gaps: []experiments.Gap{{From: 5, To: 5, Condition: experiments.NoTraffic}}}}}
	row := newOutliner(r, detail{text: 80}).unreadLane(scale{from: 0, to: 10}).Rows[0]
	if len(row.Bars) != 1 || row.Bars[0].W != "0.6%" {
		t.Errorf("%+v", row.Bars)
	}
}
