package guards

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/gameday-sh/gameday/experiments"
)

// shopSignals are latency, traffic and errors of a service, with a target each, and
// saturation without one.
func shopSignals() *experiments.GoldenSignals {
	g := &experiments.GoldenSignals{Name: "checkout"}
	add := func(name experiments.SignalName, limits ...experiments.Limit) {
		s := &experiments.Signal{Name: name, Probed: &experiments.Probed{Name: "checkout." + string(name), Unit: name.Unit(), Every: time.Second}}
		for _, limit := range limits {
			s.Targets = append(s.Targets, experiments.Target{Limit: limit})
		}
		g.Signals = append(g.Signals, s)
	}
	add(experiments.Latency, experiments.Limit{Kind: experiments.ValueAtMost, Value: 0.5})
	add(experiments.Traffic, experiments.Limit{Kind: experiments.ValueKeeps, Ratio: 0.5}, experiments.Limit{Kind: experiments.ValueAtLeast, Value: 10})
	add(experiments.Errors, experiments.Limit{Kind: experiments.ValueAtMost, Value: 0.001})
	add(experiments.Saturation)
	return g
}

func TestGoldenSignalsMustKeepToTheirTargets(t *testing.T) {
	value := func(v float64) experiments.Sample { return experiments.Sample{Value: v} }
	not := func(c experiments.Condition) experiments.Sample {
		return experiments.Sample{Condition: c, Value: math.NaN(), Why: "so it is"}
	}
	type samples = []experiments.Sample
	row := func(n int, s experiments.Sample) samples {
		var list samples
		for range n {
			list = append(list, s)
		}
		return list
	}
	fast, steady, clean := row(5, value(0.02)), row(5, value(100)), row(5, value(0))
	const fine = "checkout latency 20ms of 500ms; checkout traffic 100 requests/s, at least 50% of the baseline's 100 requests/s; checkout traffic 100 requests/s, at least 10 requests/s; checkout errors 0% of 0.1%"
	for _, test := range []struct {
		name                     string
		latency, traffic, errors samples // one a second, from the injection on
		silent                   bool    // before it, too
		want                     wanted
	}{
		{"nothing measured", nil, nil, nil, true, wanted{blind: true,
			text: "checkout latency: not measured yet; checkout traffic: not measured yet; checkout traffic: not measured yet; checkout errors: not measured yet"}},
		{"all within", fast, steady, clean, false, wanted{text: fine}},
		{"what was before the injection is not held against it", nil, nil, nil, false, wanted{text: "checkout latency 2s of 500ms; checkout traffic 100 requests/s, at least 50% of the baseline's 100 requests/s; checkout traffic 100 requests/s, at least 10 requests/s; checkout errors 0% of 0.1%"}},
		{"slow for two seconds", append(row(2, value(0.02)), row(3, value(0.7))...), steady, clean, false, wanted{text: "checkout latency 700ms of 500ms for 2s of 3s"}},
		{"slow for three seconds", append(row(1, value(0.02)), row(4, value(0.7))...), steady, clean, false, wanted{breached: true, since: 4, text: "checkout latency 700ms of 500ms"}},
		{"a fast reading ends the row", append(row(4, value(0.7)), value(0.5)), steady, clean, false, wanted{text: "checkout latency 500ms of 500ms; checkout traffic 100 requests/s, at least 50% of the baseline's 100 requests/s; checkout traffic 100 requests/s, at least 10 requests/s; checkout errors 0% of 0.1%"}},
		{"traffic drops below the kept share", fast, append(row(1, value(100)), row(4, value(49))...), clean, false, wanted{breached: true, since: 4, text: "checkout traffic 49 requests/s, at least 50% of the baseline's 100 requests/s"}},
		{"traffic is at the kept share", fast, row(5, value(50)), clean, false, wanted{text: "checkout latency 20ms of 500ms; checkout traffic 50 requests/s, at least 50% of the baseline's 100 requests/s; checkout traffic 50 requests/s, at least 10 requests/s; checkout errors 0% of 0.1%"}},
		{"no traffic is a breach, and blinds nobody", row(5, not(experiments.NoTraffic)), row(5, value(0)), row(5, not(experiments.NoTraffic)), false, wanted{breached: true, since: 3, text: "checkout traffic 0 requests/s, at least 50% of the baseline's 100 requests/s"}},
		{"a service that vanishes is a breach", row(5, not(experiments.Stale)), row(5, not(experiments.Stale)), row(5, not(experiments.Stale)), false, wanted{breached: true, blind: true, since: 3, text: "checkout traffic is gone (so it is), 100 requests/s in the baseline; checkout latency: stale (so it is); checkout errors: stale (so it is)"}},
		{"a metric that is not there any more too", fast, row(5, not(experiments.NoData)), clean, false, wanted{breached: true, since: 3, text: "checkout traffic is gone (so it is), 100 requests/s in the baseline"}},
		{"a metric that never was there is not gone", nil, row(5, not(experiments.NoData)), nil, true, wanted{blind: true,
			text: "checkout latency: not measured yet; checkout traffic: no data (so it is); checkout traffic: no data (so it is); checkout errors: not measured yet"}},
		{"a server that does not answer blinds", row(5, not(experiments.Unreachable)), row(5, not(experiments.Unreachable)), row(5, not(experiments.Unreachable)), false, wanted{blind: true,
			text: "checkout latency: unreachable (so it is); checkout traffic: unreachable (so it is); checkout traffic: unreachable (so it is); checkout errors: unreachable (so it is)"}},
		{"unreadable ones in between neither add nor end", samples{value(0.7), not(experiments.Unreachable), not(experiments.NotAsked), value(0.7), not(experiments.Unreachable)}, steady, clean, false, wanted{breached: true, blind: true, since: 3, text: "checkout latency 700ms of 500ms"}},
		{"the longest row is told", append(row(3, value(0.02)), row(2, value(0.7))...), steady, append(row(2, value(0)), row(3, value(0.002))...), false, wanted{text: "checkout errors 0.2% of 0.1% for 2s of 3s"}},
		{"one that is blind is told with one that misses", append(row(2, value(0.02)), row(3, value(0.7))...), steady, row(5, not(experiments.Unreachable)), false, wanted{blind: true, text: "checkout latency 700ms of 500ms for 2s of 3s; checkout errors: unreachable (so it is)"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			g := GoldenSignals{Signals: shopSignals(), For: 3 * time.Second}
			h := experiments.NewHistory(began, nil, nil)
			h.Injected = at(0)
			for i, list := range []samples{test.latency, test.traffic, test.errors} {
				p := g.Signals.Signals[i].Probed
				if !test.silent {
					before := value([]float64{2, 100, 0}[i])
					before.At = at(-1)
					h.AddSample(p, before)
				}
				for second, sample := range list {
					sample.At = at(float64(second))
					h.AddSample(p, sample)
				}
			}
			check(t, g.Judge(h), test.want)
		})
	}
}

func TestGoldenSignalsNeedWhatHasATarget(t *testing.T) {
	g := GoldenSignals{Signals: shopSignals(), For: 10 * time.Second}
	if needs := g.Needs(); len(needs.Probes) != 3 || needs.Probes[1].Name != "checkout.traffic" {
		t.Errorf("needs %+v", needs.Probes)
	}
	summaries(t, g.Validate())
	for _, s := range g.Signals.Signals {
		s.Targets = nil
	}
	g.For = -1
	summaries(t, g.Validate(), "for: Negative time", "signals: Guard on signals without a target")
	if needs := new(GoldenSignals).Needs(); len(needs.Probes) != 0 {
		t.Errorf("of nothing: %+v", needs)
	}
}

// The chance that a healthy service is stopped must be small however its requests fall,
// and a drop must be seen soon.
func TestADropOfTrafficIsToldFromChance(t *testing.T) {
	const runs, window = 100, 5
	draw := rand.New(rand.NewPCG(3, 5))
	poisson := func(mean float64) float64 {
		n := -1.0
		for product, limit := 1.0, math.Exp(-mean); product > limit; n++ {
			product *= draw.Float64()
		}
		return n
	}
	// stopped gives after how many seconds the guard stops a run of ten minutes, 0 for
	// never.
	stopped := func(before, during float64) int {
		g := GoldenSignals{Signals: shopSignals(), For: 10 * time.Second}
		traffic := g.Signals.Find(experiments.Traffic)
		traffic.Targets = traffic.Targets[:1]
		g.Signals.Signals = []*experiments.Signal{traffic}
		h := experiments.NewHistory(began, nil, nil)
		h.Injected = at(0)
		var events []float64
		for second := -60; second < 600; second++ {
			mean := during
			if second < 0 {
				mean = before
			}
			if events = append(events, poisson(mean)); len(events) < window {
				continue
			}
			sum := 0.0
			for _, n := range events[len(events)-window:] {
				sum += n
			}
			h.AddSample(traffic.Probed, experiments.Sample{At: at(float64(second)), Value: sum / window})
			if second >= 0 && g.Judge(h).Breached {
				return second + 1
			}
		}
		return 0
	}
	for _, perSecond := range []float64{4, 20, 100} {
		aborted, latest := 0, 0
		for range runs {
			if stopped(perSecond, perSecond) > 0 {
				aborted++
			}
			after := stopped(perSecond, 0)
			if after == 0 {
				t.Fatalf("%v requests/s: traffic that is gone is not seen", perSecond)
			}
			latest = max(latest, after)
		}
		t.Logf("%v requests/s: %d of %d healthy runs aborted; gone traffic stops a run after %d s at the latest", perSecond, aborted, runs, latest)
		if aborted > 0 || latest > 10+window+1 {
			t.Errorf("%v requests/s: %d of %d healthy runs aborted, gone traffic seen after %d s", perSecond, aborted, runs, latest)
		}
	}
}
