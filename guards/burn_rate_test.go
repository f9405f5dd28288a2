package guards

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/gameday-sh/gameday/experiments"
)

func burnGuard(s *experiments.SLO) *BurnRate {
	return &BurnRate{SLO: s, Factor: 14.4, Windows: []time.Duration{time.Minute, 10 * time.Second}, MinBad: 3}
}

func TestBurnRateJudgesBothWindows(t *testing.T) {
	for _, test := range []struct {
		name                                    string
		longBad, longTotal, shortBad, shortTotl float64
		want                                    wanted
	}{
		{"a slow burn is no breach", 21, 10000, 1, 2500,
			wanted{text: "burn 2.1 of 14.4 (1m), 0.4 (10s)"}},
		{"both windows reach the factor", 213, 10000, 75, 2500,
			wanted{breached: true, since: 30, text: "burn 21.3 of 14.4 (1m), 30 (10s)"}},
		{"exactly the factor is a breach", 144, 10000, 36, 2500,
			wanted{breached: true, since: 30, text: "burn 14.4 of 14.4 (1m), 14.4 (10s)"}},
		{"just below the factor is none", 143, 10000, 36, 2500,
			wanted{text: "burn 14.3 of 14.4 (1m), 14.4 (10s)"}},
		{"a burst that is over is no breach", 213, 10000, 1, 2500,
			wanted{text: "burn 21.3 of 14.4 (1m), 0.4 (10s)"}},
		{"a burst that has only begun is no breach", 60, 10000, 60, 2500,
			wanted{text: "burn 6 of 14.4 (1m), 24 (10s)"}},
		{"two failed requests of few are no breach", 2, 60, 2, 10,
			wanted{text: "burn 33.3 of 14.4 (1m), 200 (10s); 2 failed events of the 3 that count"}},
		{"one failed request of one is no breach", 1, 1, 1, 1,
			wanted{text: "burn 1000 of 14.4 (1m), 1000 (10s); 1 failed event of the 3 that count"}},
		{"three failed requests of few are a breach", 3, 60, 2.6, 10,
			wanted{breached: true, since: 30, text: "burn 50 of 14.4 (1m), 260 (10s)"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			slo := checkout()
			h := historyOf(slo)
			addCount(h, slo, time.Minute, 30, test.longBad, test.longTotal)
			addCount(h, slo, 10*time.Second, 30, test.shortBad, test.shortTotl)
			h.Now = at(31)
			check(t, burnGuard(slo).Judge(h), test.want)
		})
	}
}

func TestBurnRateThatCannotBeReadIsBlind(t *testing.T) {
	slo := checkout()
	h := historyOf(slo)
	guard := burnGuard(slo)
	check(t, guard.Judge(h), wanted{blind: true, text: "burn unknown over 1m, slo.checkout: too early (not counted yet)"})
	addCount(h, slo, time.Minute, 30, 500, 1000)
	addUnread(h, slo, 10*time.Second, 30, experiments.Unreachable, "connection refused")
	check(t, guard.Judge(h), wanted{blind: true, text: "burn unknown over 10s, slo.checkout: unreachable (connection refused)"})
	addCount(h, slo, 10*time.Second, 31, 0, 0)
	check(t, guard.Judge(h), wanted{blind: true, text: "burn unknown over 10s, slo.checkout: no traffic"})
}

func TestBurnRateOnAProbeReachesIntoTheBaseline(t *testing.T) {
	slo := door()
	h := historyOf(slo)
	addEvents(h, slo.Probe, -50, strings.Repeat("g", 100)) // up to 0.5s before the injection
	guard := burnGuard(slo)
	addEvents(h, slo.Probe, 0, "bb")
	check(t, guard.Judge(h), wanted{text: "burn 19.6 of 14.4 (1m), 100 (10s); 2 failed events of the 3 that count"})
	addEvents(h, slo.Probe, 1, "b")
	h.Now = at(1.4) // another probe's measurement
	check(t, guard.Judge(h), wanted{breached: true, since: 1, text: "burn 29.1 of 14.4 (1m), 150 (10s)"})
}

func TestBurnRateProblems(t *testing.T) {
	slow := door()
	slow.Probe.Every = 5 * time.Second
	queries := checkout()
	queries.SLI = scraped(15 * time.Second)
	coarse := checkout()
	coarse.Objective = 0.9
	minute := []time.Duration{time.Minute, 10 * time.Second}
	for _, test := range []struct {
		name  string
		guard BurnRate
		want  []string
	}{
		{"right", BurnRate{SLO: checkout(), Factor: 14.4, Windows: minute, MinBad: 3}, nil},
		{"an SLO that is not known yet", BurnRate{Factor: 14.4, Windows: minute, MinBad: 3}, nil},
		{"an objective of 90% cannot burn at 14.4", BurnRate{SLO: coarse, Factor: 14.4, Windows: minute, MinBad: 3}, []string{"factor: Factor that can never be reached"}},
		{"an objective of 90% can burn at 10", BurnRate{SLO: coarse, Factor: 10, Windows: minute, MinBad: 3}, nil},
		{"everything at once", BurnRate{SLO: checkout(), Windows: nil}, []string{"factor: Factor not above 0", "min_bad: Fewer than one failed event", "windows: Not two windows"}},
		{"the short window first", BurnRate{SLO: checkout(), Factor: 1, MinBad: 1, Windows: []time.Duration{time.Second, time.Minute}}, []string{"windows: Windows in the wrong order"}},
		{"the same window twice", BurnRate{SLO: checkout(), Factor: 1, MinBad: 1, Windows: []time.Duration{time.Minute, time.Minute}}, []string{"windows: Windows in the wrong order"}},
		{"a window of nothing", BurnRate{SLO: checkout(), Factor: 1, MinBad: 1, Windows: []time.Duration{time.Minute, 0}}, []string{"windows: Window without a length"}},
		{"a short window that never holds three events", BurnRate{SLO: slow, Factor: 14.4, MinBad: 3, Windows: minute}, []string{"windows: Window too short for its probe"}},
		{"a short window that holds them", BurnRate{SLO: slow, Factor: 14.4, MinBad: 2, Windows: minute}, nil},
		{"a short window of too few scrapes", BurnRate{SLO: queries, Factor: 14.4, MinBad: 3, Windows: minute}, []string{"windows: Window too short for its queries"}},
	} {
		t.Run(test.name, func(t *testing.T) { summaries(t, test.guard.Validate(), test.want...) })
	}
}

func TestImpossibleFactorSaysWhatIsPossible(t *testing.T) {
	slo := checkout()
	slo.Objective = 0.95
	problems := (&BurnRate{SLO: slo, Factor: 21, Windows: []time.Duration{time.Minute, time.Second}, MinBad: 1}).Validate()
	want := "With an objective of 95% the burn rate is 20 when every event fails, so a factor of 21 never fires; write a smaller one."
	if len(problems) != 1 || problems[0].Detail != want {
		t.Errorf("got %+v", problems)
	}
}

// A burn rate of F over a time L spends F*L/W: the factors of the workbook's tables.
func TestBurnRatesOfTheWorkbook(t *testing.T) {
	for _, test := range []struct {
		window       time.Duration
		share        float64
		long         time.Duration
		factor, slop float64
	}{
		{30 * experiments.Day, 0.02, time.Hour, 14.4, 1e-9},
		{30 * experiments.Day, 0.05, 6 * time.Hour, 6, 1e-9},
		{30 * experiments.Day, 0.10, experiments.Day, 3, 1e-9},
		{30 * experiments.Day, 0.10, 3 * experiments.Day, 1, 1e-9},
		{28 * experiments.Day, 0.02, time.Hour, 13.44, 1e-9},
		{28 * experiments.Day, 0.05, 6 * time.Hour, 5.6, 1e-9},
		{28 * experiments.Day, 0.10, experiments.Day, 2.8, 1e-9},
		{28 * experiments.Day, 0.10, 3 * experiments.Day, 0.933, 0.0004},
	} {
		slo := checkout()
		slo.Window = test.window
		const rate = 50.0
		bad := test.share * budgetEvents(slo, rate) // spent in the long window
		got := burnRate(bad/(rate*test.long.Seconds()), slo.Budget())
		if math.Abs(got-test.factor) > test.slop {
			t.Errorf("%g%% of %s in %s is a burn rate of %g, want %g", test.share*100, test.window, test.long, got, test.factor)
		}
	}
}
