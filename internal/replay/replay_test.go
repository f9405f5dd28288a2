package replay_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/experiments/probes/prom"
	"github.com/gameday-sh/gameday/guards/budgets"
	"github.com/gameday-sh/gameday/internal/replay"
	"github.com/gameday-sh/gameday/internal/rules"
)

var began = time.Date(2026, time.November, 24, 15, 0, 0, 0, time.UTC)

func checkout(objective experiments.Percent) *experiments.SLO {
	return &experiments.SLO{Name: "checkout", Objective: objective, Window: 30 * experiments.Day, SLI: &prom.Events{
		Prometheus: &prom.Prometheus{URL: "http://127.0.0.1:9"},
		Bad:        `sum(rate(http_requests_total{code=~"5.."}[$window]))`, Total: `sum(rate(http_requests_total[$window]))`,
	}}
}

// recording is a run at 50 events a second, counted every 15 s over the last minute, whose
// first injection is after a minute. Share says how many of the events fail, by the time
// since then.
func recording(s *experiments.SLO, length time.Duration, usual float64, share func(since time.Duration) float64) replay.Recording {
	const rate, window, pace = 50.0, time.Minute, 15 * time.Second
	injected := began.Add(time.Minute)
	failing := func(at time.Time) float64 {
		if since := at.Sub(injected); since >= 0 {
			return share(since)
		}
		return usual
	}
	series := &experiments.Series{Name: s.SeriesName(), Kind: "slo", Window: window}
	result := experiments.SLOResult{Name: s.Name, Objective: s.Objective, Window: s.Window, Rate: rate, Account: &experiments.Account{Usual: experiments.Float(usual)}}
	second := func(from time.Time, n int) (bad float64) {
		for i := range n {
			bad += rate * failing(from.Add(time.Duration(i)*time.Second))
		}
		return bad
	}
	for at := began; !at.After(began.Add(length)); at = at.Add(pace) {
		series.At = append(series.At, at.Sub(began).Seconds())
		series.Bad = append(series.Bad, second(at.Add(-window), 60))
		series.Total = append(series.Total, rate*60)
	}
	since := int((length - time.Minute).Seconds())
	result.Bad, result.Total = second(injected, since), rate*float64(since)
	return replay.Recording{SLO: s, Result: result, Series: series, Began: began, Injected: injected}
}

// during is a share that fails from the injection on for a while.
func during(d time.Duration, share, usual float64) func(time.Duration) float64 {
	return func(since time.Duration) float64 {
		if since < d {
			return share
		}
		return usual
	}
}

func TestARecordedRunIsReplayedThroughTheRealAlertRules(t *testing.T) {
	for name, c := range map[string]struct {
		objective    experiments.Percent
		length       time.Duration
		usual, share float64
		harm         time.Duration
		fires        bool
		after        time.Duration // F*b*L/p, for the page over an hour
		peak         float64
	}{
		"everything fails":                    {0.999, 15 * time.Minute, 0, 1, 10 * time.Minute, true, 51840 * time.Millisecond, 166},
		"a tenth fails":                       {0.999, 25 * time.Minute, 0, 0.1, 20 * time.Minute, true, 518400 * time.Millisecond, 33.3},
		"a tenth, for less than it takes":     {0.999, 12 * time.Minute, 0, 0.1, 8 * time.Minute, false, 0, 13.3},
		"5% of an SLO of 99.5%, for a while":  {0.995, 30 * time.Minute, 0, 0.05, 20 * time.Minute, false, 0, 3.33},
		"an SLO that a total outage can page": {0.99, 20 * time.Minute, 0, 1, 12 * time.Minute, true, 518400 * time.Millisecond, 20},
		"nothing fails":                       {0.999, 10 * time.Minute, 0, 0, 5 * time.Minute, false, 0, 0},
		"half of it fails anyway":             {0.999, 10 * time.Minute, 0.0072, 1, 5 * time.Minute, true, 26108 * time.Millisecond, 90},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := checkout(c.objective)
			pages, note, err := replay.Pages(t.Context(), recording(s, c.length, c.usual, during(c.harm, c.share, c.usual)))
			if err != nil || len(pages) < 3 {
				t.Fatalf("%v %q %v", pages, note, err)
			}
			page := pages[0]
			if page.Severity != rules.Page || page.Long != time.Hour || page.Fired != c.fires {
				t.Fatalf("%+v, want fired %v", page, c.fires)
			}
			// A rule looks every 30 s, and a count of a minute is smeared over that minute.
			if late := page.After - c.after; c.fires && (late < -time.Minute || late > 90*time.Second) {
				t.Errorf("it fired after %v, want %v and up to a minute and a look", page.After, c.after)
			}
			if math.Abs(float64(page.Peak)-c.peak) > 0.06*c.peak+0.01 {
				t.Errorf("the peak burn is %v, want %v", page.Peak, c.peak)
			}
			if !strings.Contains(note, "derived from the baseline: 50 events a second") {
				t.Errorf("the note is %q", note)
			}
			// What was foretold by arithmetic happens in the engine, for every alert.
			alerts, _ := rules.Alerts(s)
			for i, alert := range alerts {
				foretold := budgets.Alert{Factor: alert.Factor, Long: alert.Long, Short: alert.Short, For: alert.For}.
					Fires(s.Budget(), c.usual, []budgets.Stretch{{To: c.harm, Share: c.share}})
				if foretold.Fires != pages[i].Fired {
					t.Errorf("alert %d over %v: foretold %+v, and it did %+v", i, alert.Long, foretold, pages[i])
				}
				if peak := float64(pages[i].Peak); math.Abs(peak-foretold.Peak) > 0.08*foretold.Peak+0.02 {
					t.Errorf("alert %d over %v: the foretold peak is %v, and it was %v", i, alert.Long, foretold.Peak, peak)
				}
			}
		})
	}
}

func TestWhatCannotBeReplayedIsSaid(t *testing.T) {
	s := checkout(0.999)
	good := recording(s, 5*time.Minute, 0, during(time.Minute, 1, 0))
	for name, c := range map[string]struct {
		change func(*replay.Recording)
		note   string
	}{
		"no rate":               {func(r *replay.Recording) { r.Result.Rate = experiments.Float(math.NaN()) }, "the baseline showed no rate"},
		"no traffic":            {func(r *replay.Recording) { r.Result.Rate = 0 }, "the baseline showed no rate"},
		"no series":             {func(r *replay.Recording) { r.Series = nil }, "recorded no count"},
		"a series of gaps":      {func(r *replay.Recording) { r.Series = gaps(r.Series, 0, len(r.Series.At)) }, "recorded no count"},
		"a probe":               {func(r *replay.Recording) { one := *s; one.SLI = nil; r.SLO = &one }, "rests on a probe"},
		"a hole in the middle":  {func(r *replay.Recording) { r.Series = gaps(r.Series, 4, 14) }, "nothing could be read"},
		"no alert can ever be":  {func(r *replay.Recording) { one := *s; one.Window = 2 * time.Minute; r.SLO = &one }, "no burn-rate alert can ever fire"},
		"of an earlier version": {func(r *replay.Recording) { r.Result.Account = nil }, "0% of them bad"},
	} {
		t.Run(name, func(t *testing.T) {
			r := good
			c.change(&r)
			if _, note, err := replay.Pages(t.Context(), r); err != nil || !strings.Contains(note, c.note) {
				t.Errorf("%q (%v), want %q", note, err, c.note)
			}
		})
	}
}

func gaps(s *experiments.Series, from, to int) *experiments.Series {
	one := *s
	one.Bad, one.Total = append(experiments.Floats(nil), s.Bad...), append(experiments.Floats(nil), s.Total...)
	for i := from; i < to; i++ {
		one.Bad[i], one.Total[i] = math.NaN(), math.NaN()
	}
	return &one
}
