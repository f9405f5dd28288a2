package console

import (
	"math"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"

	"github.com/gameday-sh/gameday/experiments"
)

func latencies(seconds ...float64) *track {
	t := &track{}
	for i, s := range seconds {
		p := t.point(began.Add(time.Duration(i) * time.Second))
		p.latency = s
	}
	return t
}

func TestSpark(t *testing.T) {
	atMost := func(limit float64) experiments.Judgement {
		return experiments.Judgement{Unit: "s", Limit: experiments.Float(limit)}
	}
	ratio := experiments.Judgement{Unit: "ratio", Limit: 0.9}
	failing := latencies(1, 1, 1)
	failing.points[1].failed = true
	blind := latencies(1, math.NaN())
	blind.points[1].blind = true
	counts := &track{}
	for i, bad := range []float64{0, 5, 10, 20} {
		counts.count(began.Add(time.Duration(i)*time.Second), experiments.Count{Bad: bad, Total: 100})
	}
	counts.count(began.Add(time.Minute), experiments.Count{Condition: experiments.NoTraffic})
	values := &track{}
	for i, v := range []experiments.Float{1, 50, 100} {
		values.sample(began.Add(time.Duration(i)*time.Second), experiments.Sample{Took: time.Hour}, &v)
	}
	for _, test := range []struct {
		name      string
		track     *track
		judgement experiments.Judgement
		width     int
		want      string
	}{
		{"nothing measured is blank", nil, ratio, 4, "    "},
		{"heights are linear from zero to the highest", latencies(0, 1, 2, 3, 4, 5, 6, 7), atMost(0.001), 8, "▁▂▃▄▅▆▇█"},
		{"a limit far above keeps the graph low", latencies(0.01, 0.02, 0.01), atMost(1), 3, "▁▁▁"},
		{"the newest are shown, at the right", latencies(9, 9, 1, 8), atMost(0.1), 2, "▂█"},
		{"what is not measured yet is blank at the left", latencies(8, 8), atMost(8), 4, "  ██"},
		{"a failure has a mark instead of a height", failing, atMost(1), 3, "█×█"},
		{"so has what cannot be read", blind, atMost(1), 2, "█?"},
		{"an SLO shows the share of bad events", counts, ratio, 5, "▁▃▅█?"},
		{"a value limit shows values and not latencies", values, experiments.Judgement{Unit: "jobs", Limit: 100}, 3, "▁▅█"},
		{"no width gives nothing", latencies(1), ratio, 0, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := spark(test.track, test.judgement, test.width, newPalette(false)); got != test.want {
				t.Errorf("the graph is %q, want %q", got, test.want)
			}
		})
	}
}

func TestPointsOfAFastProbeAreTheWorstOfAStretch(t *testing.T) {
	var track track
	for i := range 100 {
		took := 10 * time.Millisecond
		if i == 7 {
			took = 300 * time.Millisecond
		}
		track.sample(began.Add(time.Duration(i)*10*time.Millisecond), experiments.Sample{Took: took, Counted: true, Good: i != 60}, nil)
	}
	if len(track.points) != 2 {
		t.Fatalf("a second at 100 a second makes %d points, want 2", len(track.points))
	}
	if first := track.points[0]; first.latency != 0.3 || first.failed {
		t.Errorf("the first point is %+v, want the slow request and no failure", first)
	}
	if second := track.points[1]; second.latency != 0.01 || !second.failed {
		t.Errorf("the second point is %+v, want the failure", second)
	}
}

func TestALongRunKeepsOnlyWhatCanBeDrawn(t *testing.T) {
	var track track
	for i := range 5 * mostPoints {
		track.sample(began.Add(time.Duration(i)*time.Second), experiments.Sample{Took: time.Duration(i)}, nil)
	}
	n := len(track.points)
	if n < mostPoints || n > 2*mostPoints {
		t.Errorf("%d points are kept, want %d to %d", n, mostPoints, 2*mostPoints)
	}
	if newest := track.points[n-1].began; !newest.Equal(began.Add(time.Duration(5*mostPoints-1) * time.Second)) {
		t.Errorf("the newest point is of %s", newest)
	}
}

func TestGauge(t *testing.T) {
	for _, test := range []struct {
		name string
		used float64
		want string
	}{
		{"nothing", 0, "░░░░"},
		{"half", 0.5, "██░░"},
		{"nearly all is not full", 0.999, "███░"},
		{"the limit is full", 1, "████"},
		{"more than the limit is full", 7, "████"},
		{"less than nothing is empty", -1, "░░░░"},
		{"unknown is empty", math.NaN(), "░░░░"},
		{"without end is full", math.Inf(1), "████"},
	} {
		t.Run(test.name, func(t *testing.T) {
			full, empty := gauge(test.used, 4)
			if full+empty != test.want {
				t.Errorf("the gauge is %q, want %q", full+empty, test.want)
			}
		})
	}
}

func TestBarsOfHits(t *testing.T) {
	at := func(seconds int) time.Time { return began.Add(time.Duration(seconds) * time.Second) }
	ended := &liveHit{injected: at(0), lasts: 4 * time.Second, verified: at(4)}
	running := &liveHit{injected: at(2), lasts: 8 * time.Second}
	kill := &liveHit{injected: at(5), verified: at(5)}
	planned := &liveHit{at: 7 * time.Second, lasts: 2 * time.Second}
	hits := []*liveHit{ended, running, kill, planned}
	now := at(6)
	s := spanOf(hits, at(0), now)
	if !s.from.Equal(at(0)) || !s.to.Equal(at(10)) {
		t.Fatalf("the span is %s to %s, want 0s to 10s", s.from.Sub(began), s.to.Sub(began))
	}
	for _, test := range []struct {
		name string
		hit  *liveHit
		want string
	}{
		{"a mended hit ends where it was mended", ended, "████      "},
		{"a running one grows, with what is left ahead", running, "  ████░░░░"},
		{"one that is over at once is seen", kill, "     █    "},
		{"a planned one lies ahead", planned, "       ░░ "},
	} {
		t.Run(test.name, func(t *testing.T) {
			before, done, ahead, after := s.bar(test.hit, now, 10)
			if got := before + done + ahead + after; got != test.want {
				t.Errorf("the bar is %q, want %q", got, test.want)
			}
		})
	}
	if late := spanOf(hits, at(0), at(30)); !late.to.Equal(at(30)) {
		t.Errorf("a hit that is late reaches to %s, want now", late.to.Sub(began))
	}
	if s := spanOf([]*liveHit{planned}, time.Time{}, now); !s.from.IsZero() {
		t.Error("there is a span before the disruption")
	}
}

func TestColumns(t *testing.T) {
	for _, test := range []struct{ name, got, want string }{
		{"short text is filled up", column("ab", 4), "ab  "},
		{"long text is cut", column("abcdef", 4), "abc…"},
		{"wide characters are two cells", column("漢字漢字", 5), "漢字…"},
		{"and are filled up where they do not fit", column("漢字漢字", 4), "漢… "},
		{"text can be at the right", columnRight("ab", 4), "  ab"},
		{"two texts are at the two ends", apart("left", "right", 14), "left     right"},
		{"the left one gives way", apart("left", "right", 10), "le…  right"},
		{"and goes where there is no room", apart("left", "right", 6), "right"},
	} {
		if test.got != test.want {
			t.Errorf("%s: %q, want %q", test.name, test.got, test.want)
		}
		if width := ansi.StringWidth(test.want); width != ansi.StringWidth(test.got) {
			t.Errorf("%s: %d cells, want %d", test.name, ansi.StringWidth(test.got), width)
		}
	}
}
