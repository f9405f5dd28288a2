package guards

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gameday-sh/gameday/experiments"
)

// The simulation asks how often guards stop a healthy run, and how soon a broken
// one: ten minutes at ten requests a second, a look every 5 s, with 1.44% as the
// share of failing events that must not be exceeded, and 5% as the rate of false
// aborts.
const (
	simulatedLooks = 120
	simulatedRate  = 50 // requests between two looks
	simulatedTheta = 0.0144
	simulatedAlpha = 0.05
)

// truth gives the share of events that fail in each window.
type truth struct {
	name  string
	share func(random *rand.Rand, look int) float64
}

func constant(share float64) func(*rand.Rand, int) float64 {
	return func(*rand.Rand, int) float64 { return share }
}

var truths = []truth{
	{"healthy", constant(0.001)},
	// One window in a hundred loses half of its requests.
	{"bursty", func(random *rand.Rand, _ int) float64 {
		if random.Float64() < 0.01 {
			return 0.5
		}
		return 0
	}},
	{"5%", constant(0.05)},
	{"10%", constant(0.10)},
	{"100%", constant(1)},
	{"5% after 5m", func(_ *rand.Rand, look int) float64 {
		if look <= simulatedLooks/2 {
			return 0.001
		}
		return 0.05
	}},
}

// A detector is told of one window after the other and says when to stop.
type detector func(bad, total float64) bool

func naive() detector {
	var bad, total [3]float64
	look := 0
	return func(b, n float64) bool {
		bad[look%3], total[look%3] = b, n
		look++
		all := total[0] + total[1] + total[2]
		return all > 0 && (bad[0]+bad[1]+bad[2])/all > simulatedTheta
	}
}

func threeInARow() detector {
	over, row := naive(), 0
	return func(b, n float64) bool {
		if !over(b, n) {
			row = 0
			return false
		}
		row++
		return row >= 3
	}
}

// sprt is Wald's test of theta against three times theta.
func sprt() detector {
	const alternative = 3 * simulatedTheta
	logBad, logGood := math.Log(alternative/simulatedTheta), math.Log((1-alternative)/(1-simulatedTheta))
	sum := 0.0
	return func(b, n float64) bool {
		sum += b*logBad + (n-b)*logGood
		return sum >= math.Log(1/simulatedAlpha)
	}
}

// eProcess is the wealth of the evidence guard, without its catastrophe path.
func eProcess() detector {
	w := newWealth(simulatedTheta)
	return func(b, n float64) bool {
		if n > 0 {
			w.bet(b / n)
		}
		return w.sum() >= 1/simulatedAlpha
	}
}

// arrivals draws counts of a Poisson distribution, by a table of its sums.
type arrivals []float64

func newArrivals(mean float64) arrivals {
	term, sum := math.Exp(-mean), 0.0
	var table arrivals
	for k := 1.0; sum < 1-1e-12 && k < 10*mean+50; k++ {
		sum += term
		table = append(table, sum)
		term *= mean / k
	}
	return table
}

func (a arrivals) draw(random *rand.Rand) float64 {
	k, _ := slices.BinarySearch(a, random.Float64())
	return float64(k)
}

// windows draws windows: Poisson arrivals, each failing by itself. Then bad and good
// ones are Poisson arrivals of their own, independent of each other.
type windows map[float64][2]arrivals

func (w windows) draw(random *rand.Rand, share float64) (bad, total float64) {
	both, known := w[share]
	if !known {
		both = [2]arrivals{newArrivals(simulatedRate * share), newArrivals(simulatedRate * (1 - share))}
		w[share] = both
	}
	bad = both[0].draw(random)
	return bad, bad + both[1].draw(random)
}

// simulate gives the share of runs that were stopped and the mean seconds to it.
func simulate(what truth, runs int, seed uint64, fresh func() detector) (stopped, seconds float64) {
	random, drawn := rand.New(rand.NewPCG(seed, 1)), windows{}
	for range runs {
		stop := fresh()
		for look := 1; look <= simulatedLooks; look++ {
			if stop(drawn.draw(random, what.share(random, look))) {
				stopped++
				seconds += float64(look) * 5
				break
			}
		}
	}
	return stopped / float64(runs), seconds / stopped
}

// guarded is the evidence guard with both of its paths, without a history.
func guarded() detector {
	b := evidenceGuard(checkout()).bets()
	return func(bad, total float64) bool {
		_, stop := b.take(experiments.Count{Bad: bad, Total: total})
		return stop
	}
}

// judged asks the guard itself, over a history.
func judged() detector {
	slo := checkout()
	h := historyOf(slo)
	guard := evidenceGuard(slo)
	seconds := 0.0
	return func(bad, total float64) bool {
		seconds += 5
		if total == 0 {
			addUnread(h, slo, guard.Window, seconds, experiments.NoTraffic, "")
		} else {
			addCount(h, slo, guard.Window, seconds, bad, total)
		}
		return guard.Judge(h).Breached
	}
}

func TestEvidenceTellsABreachFromNoise(t *testing.T) {
	for _, test := range []struct {
		truth   truth
		atLeast float64 // share of runs stopped
		atMost  float64
		within  float64 // mean seconds to it
	}{
		{truths[0], 0, 0.005, 0},
		{truths[1], 0, simulatedAlpha / 2, 0},
		{truth{"exactly theta", constant(simulatedTheta)}, 0, simulatedAlpha, 0},
		{truths[2], 0.99, 1, 40},
		{truths[3], 1, 1, 20},
		{truths[4], 1, 1, 5},
		{truths[5], 0.95, 1, 300 + 180},
	} {
		t.Run(test.truth.name, func(t *testing.T) {
			stopped, seconds := simulate(test.truth, 400, 7, judged)
			if stopped < test.atLeast || stopped > test.atMost {
				t.Errorf("%.2f%% of the runs were stopped, want %g%% to %g%%", stopped*100, test.atLeast*100, test.atMost*100)
			}
			if test.within > 0 && seconds > test.within {
				t.Errorf("stopped after %.1fs, want at most %gs", seconds, test.within)
			}
		})
	}
}

// The rate of false aborts is a promise: over 10,000 runs that do not exceed theta, the
// upper end of what the count allows (Clopper-Pearson, 99%) is at most alpha.
func TestFalseAbortsAreAtMostAlphaOver10000Runs(t *testing.T) {
	const runs = 10000
	for _, what := range []truth{truths[0], truths[1], {"exactly theta", constant(simulatedTheta)},
		// A tenth of the windows is ten times worse than the rest: still theta on average.
		{"uneven, theta on average", func(random *rand.Rand, _ int) float64 {
			if random.Float64() < 0.1 {
				return simulatedTheta * 10 / 1.9
			}
			return simulatedTheta / 1.9
		}}} {
		t.Run(what.name, func(t *testing.T) {
			stopped, _ := simulate(what, runs, 11, guarded)
			if _, high := experiments.BinomialBounds(math.Round(stopped*runs), runs, 0.99); high > simulatedAlpha {
				t.Errorf("%.2f%% of %d runs were stopped, and up to %.2f%% may be false aborts; alpha is %g%%", stopped*100, runs, high*100, simulatedAlpha*100)
			}
		})
	}
}

// figure is a cell of the table of ways to tell a breach from noise: the share of runs
// that were stopped, in percent, and the mean seconds to it; negative where it is not
// looked at.
type figure struct{ stopped, seconds float64 }

// The figures were simulated by other code than this one; both agree within what
// 2,000 runs can tell.
func TestTheTableOfWaysToTellABreachFromNoise(t *testing.T) {
	const runs = 2000
	for _, row := range []struct {
		name  string
		fresh func() detector
		cells [5]figure
	}{
		{"15s ratio", naive, [5]figure{{18.8, -1}, {71, -1}, {100, 5.6}, {100, 5}, {100, 5}}},
		{"3 in a row", threeInARow, [5]figure{{1.1, -1}, {70, -1}, {100, 15.9}, {100, 15}, {100, 15}}},
		{"SPRT", sprt, [5]figure{{0, -1}, {17, -1}, {100, 17}, {100, 7}, {100, 5}}},
		{"e-process", eProcess, [5]figure{{0, -1}, {0.07, -1}, {100, 28}, {100, 15}, {100, 5}}},
	} {
		for i, want := range row.cells {
			stopped, seconds := simulate(truths[i], runs, 3, row.fresh)
			// Four standard errors, and half a percent for a rare event.
			p := want.stopped / 100
			if room := 4*math.Sqrt(p*(1-p)/runs) + 0.005; math.Abs(stopped-p) > room {
				t.Errorf("%s, %s: %.2f%% stopped, want %g%% within %.2f%%", row.name, truths[i].name, stopped*100, want.stopped, room*100)
			}
			if want.seconds > 0 && math.Abs(seconds-want.seconds) > max(0.1*want.seconds, 0.7) {
				t.Errorf("%s, %s: stopped after %.1fs, want %gs", row.name, truths[i].name, seconds, want.seconds)
			}
		}
	}
}

// BenchmarkEvidenceTable prints the table of ways to tell a breach from noise: the
// share of runs that each way stops, and the mean time to it. In the first two
// columns the system is well, and a stop is a false alarm; in the others a run that
// is not stopped is a breach missed.
func BenchmarkEvidenceTable(b *testing.B) {
	const runs = 10000
	for b.Loop() {
		var table strings.Builder
		fmt.Fprintf(&table, "\n%d runs each; false alarms allowed: %g%%\n%-12s", runs, simulatedAlpha*100, "stopped")
		for _, what := range truths {
			fmt.Fprintf(&table, "%18s", what.name)
		}
		for _, method := range []struct {
			name  string
			fresh func() detector
		}{{"15s ratio", naive}, {"3 in a row", threeInARow}, {"SPRT", sprt}, {"e-process", eProcess}, {"the guard", guarded}} {
			fmt.Fprintf(&table, "\n%-12s", method.name)
			for _, what := range truths {
				stopped, after := simulate(what, runs, 7, method.fresh)
				cell := fmt.Sprintf("%.2f%%", stopped*100)
				if stopped > 0 {
					cell += fmt.Sprintf(" in %.0fs", after)
				}
				fmt.Fprintf(&table, "%18s", cell)
			}
		}
		b.Log(table.String())
	}
}

// BenchmarkJudge asks each guard at the end of a day measured once a second.
func BenchmarkJudge(b *testing.B) {
	slo := door()
	slo.Probe.Every = time.Second
	queries := checkout()
	h := experiments.NewHistory(began, []*experiments.Probed{slo.Probe}, []*experiments.SLO{slo, queries})
	h.Injected = at(0)
	for _, s := range h.SLOs {
		h.SetRate(s, 1000)
	}
	for second := range 24 * 3600 {
		// One in 200 fails: below theta, so that no look ends before the last window.
		h.AddSample(slo.Probe, experiments.Sample{At: at(float64(second)), Counted: true, Good: second%200 != 0, Value: 1})
		for _, window := range []time.Duration{experiments.SinceInjection, 5 * time.Second, 10 * time.Second, time.Minute} {
			addCount(h, queries, window, float64(second), 1, 1000)
		}
	}
	for _, guard := range []struct {
		name  string
		guard experiments.Guard
	}{
		{"burn_rate", burnGuard(slo)},
		{"burn_rate queries", burnGuard(queries)},
		{"budget", &Budget{SLO: slo, Spend: 0.05}},
		{"budget queries", &Budget{SLO: queries, Spend: 0.05}},
		{"threshold", &Threshold{Probe: slo.Probe, Failures: true, Samples: 3}},
		{"evidence", evidenceGuard(slo)},
		{"evidence queries", evidenceGuard(queries)},
		{"no_data", &NoData{For: 10 * time.Second}},
		{"max_duration", &MaxDuration{Limit: pointer(48 * time.Hour)}},
	} {
		b.Run(guard.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if reading := guard.guard.Judge(h); reading.Breached {
					b.Fatal(reading.Text)
				}
			}
		})
	}
}
