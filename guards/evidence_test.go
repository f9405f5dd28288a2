package guards

import (
	"math"
	"testing"
	"time"

	"github.com/gameday-sh/gameday/experiments"
)

func evidenceGuard(s *experiments.SLO) *Evidence {
	return &Evidence{SLO: s, Factor: 14.4, Alpha: 0.05, Window: 5 * time.Second, Of: 1}
}

func TestEvidenceJudgesWindowsSinceTheInjection(t *testing.T) {
	none := math.NaN()
	for _, test := range []struct {
		name   string
		failed []float64 // of 50 events a window; NaN where it could not be read
		of     int
		want   wanted
	}{
		{"no window is full", nil, 1, wanted{blind: true, text: "evidence 1 of 20 against 1.44%; no window of 5s is full yet"}},
		{"a healthy window", []float64{0}, 1, wanted{text: "evidence 0.709 of 20 against 1.44%"}},
		{"total outage", []float64{50}, 1, wanted{breached: true, since: 5, text: "evidence 20.9 of 20 against 1.44%"}},
		{"total outage, with alpha shared by two guards", []float64{50}, 2, wanted{text: "evidence 20.9 of 40 against 1.44%"}},
		{"a breach takes two windows then", []float64{50, 50}, 2, wanted{breached: true, since: 10, text: "100% and 100% of the events failed in two windows of 5s in a row, 25% or more is a catastrophe"}},
		{"one burst in good times", []float64{0, 0, 25, 0, 0}, 1, wanted{text: "evidence 1.54 of 20 against 1.44%"}},
		{"a sudden outage after a quiet time", []float64{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 13, 13}, 1, wanted{breached: true, since: 70, text: "26% and 26% of the events failed in two windows of 5s in a row, 25% or more is a catastrophe"}},
		{"what happens after a breach takes nothing back", []float64{50, 0, 0, 0, 0, 0, 0, 0, 0}, 1, wanted{breached: true, since: 5, text: "evidence 20.9 of 20 against 1.44%"}},
		{"a window that could not be read is no bet", []float64{0, none}, 1, wanted{blind: true, text: "evidence 0.709 of 20 against 1.44%; slo.checkout: no data (no series)"}},
		{"and does not end a row of two", []float64{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 13, none, 13}, 1, wanted{breached: true, since: 75, text: "26% and 26% of the events failed in two windows of 5s in a row, 25% or more is a catastrophe"}},
		{"more failed events than events, as extrapolation may count", []float64{51}, 1, wanted{breached: true, since: 5, text: "evidence 20.9 of 20 against 1.44%"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			slo := checkout()
			h := historyOf(slo)
			for i, failed := range test.failed {
				end := 5 * float64(i+1)
				if math.IsNaN(failed) {
					addUnread(h, slo, 5*time.Second, end, experiments.NoData, "no series")
				} else {
					addCount(h, slo, 5*time.Second, end, failed, 50)
				}
			}
			guard := evidenceGuard(slo)
			guard.Of = test.of
			check(t, guard.Judge(h), test.want)
		})
	}
}

func TestEvidenceOfFewEventsIsNoCatastrophe(t *testing.T) {
	slo := checkout()
	h := historyOf(slo)
	guard := evidenceGuard(slo)
	guard.Of = 100000 // so that only the catastrophe path is left
	addCount(h, slo, 5*time.Second, 5, 4.4, 5)
	addCount(h, slo, 5*time.Second, 10, 5, 5)
	if reading := guard.Judge(h); reading.Breached {
		t.Errorf("9 failed events are too few: %+v", reading)
	}
	addCount(h, slo, 5*time.Second, 15, 5, 5)
	if reading := guard.Judge(h); !reading.Breached || !reading.Since.Equal(at(15)) {
		t.Errorf("10 failed events are enough: %+v", reading)
	}
}

func TestEvidenceAgainstARatio(t *testing.T) {
	slo := checkout()
	h := historyOf(slo)
	addCount(h, slo, 5*time.Second, 5, 1, 50)
	guard := evidenceGuard(slo)
	guard.Ratio = pointer(experiments.Percent(0.02))
	// A share of exactly theta neither makes nor loses money.
	check(t, guard.Judge(h), wanted{text: "evidence 1 of 20 against 2%"})
	if needs := guard.Needs(); needs.SLOs[0] != slo || len(needs.Windows) != 1 || needs.Windows[0] != 5*time.Second {
		t.Errorf("needs %+v", needs)
	}
}

func TestEvidenceOnAProbe(t *testing.T) {
	slo := door()
	h := historyOf(slo)
	addEvents(h, slo.Probe, 0.5, "gggggggggg") // up to 5s: one window
	guard := evidenceGuard(slo)
	check(t, guard.Judge(h), wanted{text: "evidence 0.709 of 20 against 1.44%"})
	addEvents(h, slo.Probe, 5.5, "bbbbbbbbbb")
	first := guard.Judge(h)
	check(t, guard.Judge(h), wanted{text: first.Text})
	addEvents(h, slo.Probe, 10.5, "bbbbbbbbbb")
	if reading := guard.Judge(h); !reading.Breached || !reading.Since.Equal(at(15)) {
		t.Errorf("after 10s of outage: %+v", reading)
	}
}

func TestEvidenceProblems(t *testing.T) {
	coarse := checkout()
	coarse.Objective = 0.9
	slow := door()
	slow.Probe.Every = time.Minute
	queries := checkout()
	queries.SLI = scraped(time.Minute)
	right := func(s *experiments.SLO, change func(*Evidence)) *Evidence {
		g := evidenceGuard(s)
		change(g)
		return g
	}
	for _, test := range []struct {
		name  string
		guard *Evidence
		want  []string
	}{
		{"right", evidenceGuard(checkout()), nil},
		{"an SLO that is not known yet", evidenceGuard(nil), nil},
		{"a theta above all events", evidenceGuard(coarse), []string{"factor: Factor that can never be reached"}},
		{"a theta of all events", right(coarse, func(g *Evidence) { g.Factor = 10 }), []string{"factor: Factor that can never be exceeded"}},
		{"a ratio takes the place of the factor", right(coarse, func(g *Evidence) { g.Ratio = pointer(experiments.Percent(0.3)) }), nil},
		{"a ratio of all events", right(checkout(), func(g *Evidence) { g.Ratio = pointer(experiments.Percent(1)) }), []string{"ratio: Ratio that says nothing"}},
		{"all at once", &Evidence{SLO: checkout()}, []string{"factor: Factor not above 0", "alpha: Rate of false aborts out of range", "of: Fewer than one guard", "window: Window without a length"}},
		{"an alpha of everything", right(checkout(), func(g *Evidence) { g.Alpha = 1 }), []string{"alpha: Rate of false aborts out of range"}},
		{"windows of too few scrapes", evidenceGuard(queries), []string{"window: Window too short for its queries"}},
		{"windows that hold a measurement now and then", evidenceGuard(slow), nil},
	} {
		t.Run(test.name, func(t *testing.T) { summaries(t, test.guard.Validate(), test.want...) })
	}
}

// All the stakes, and what is not staked yet, are 1 before they are multiplied: a
// share of exactly theta, where every bet is fair, must keep the wealth at 1.
func TestWealthStaysOneWhereBetsAreFair(t *testing.T) {
	w := newWealth(0.0144)
	for n := range 10000 {
		if math.Abs(w.sum()-1) > 1e-9 {
			t.Fatalf("after %d windows: %g", n, w.sum())
		}
		w.bet(0.0144)
	}
}
