package guards

import (
	"math"
	"testing"
	"time"

	"github.com/gameday-sh/gameday/experiments"
)

func TestAGuardGivesTheLimitThatAChartCanDraw(t *testing.T) {
	slo := &experiments.SLO{Name: "checkout", Objective: .999}
	probe := &experiments.Probed{Name: "door"}
	five, two := 5.0, 2*time.Second
	share := experiments.Percent(.02)
	for _, test := range []struct {
		name  string
		guard experiments.Bounded
		want  *experiments.Bound
	}{
		{"a burn rate", &BurnRate{SLO: slo, Factor: 14.4}, &experiments.Bound{Series: "slo.checkout", Kind: experiments.GoodRatio, Limit: .9856}},
		{"evidence of a factor", &Evidence{SLO: slo, Factor: 10}, &experiments.Bound{Series: "slo.checkout", Kind: experiments.GoodRatio, Limit: .99}},
		{"evidence of a ratio", &Evidence{SLO: slo, Ratio: &share}, &experiments.Bound{Series: "slo.checkout", Kind: experiments.GoodRatio, Limit: .98}},
		{"a value above", &Threshold{Probe: probe, ValueAbove: &five}, &experiments.Bound{Series: "probe.door", Kind: experiments.ValueAtMost, Limit: 5}},
		{"a value below", &Threshold{Probe: probe, ValueBelow: &five}, &experiments.Bound{Series: "probe.door", Kind: experiments.ValueAtLeast, Limit: 5}},
		{"a latency", &Threshold{Probe: probe, LatencyAbove: &two}, &experiments.Bound{Series: "probe.door", Kind: experiments.QuantileAtMost, Limit: 2}},
		{"failures, which are no number", &Threshold{Probe: probe, Failures: true}, nil},
	} {
		got := test.guard.Bound()
		switch {
		case got == nil || test.want == nil:
			if got != test.want {
				t.Errorf("%s: %+v, want %+v", test.name, got, test.want)
			}
		case got.Series != test.want.Series || got.Kind != test.want.Kind || math.Abs(float64(got.Limit-test.want.Limit)) > 1e-12:
			t.Errorf("%s: %+v, want %+v", test.name, *got, *test.want)
		}
	}
}
