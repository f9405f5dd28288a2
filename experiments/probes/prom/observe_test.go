package prom

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/gameday-sh/gameday/experiments"
)

func TestProbesCanBeAskedForByPromQL(t *testing.T) {
	p := start(t)
	probe := &experiments.Probed{Name: "front_door", Kind: "http", Every: time.Second}
	for i := range 20 {
		at := now.Add(-time.Duration(19-i) * time.Second)
		sample := experiments.Sample{At: at, Took: 100 * time.Millisecond, Counted: true, Good: i%4 != 0, Value: float64(i)}
		if err := p.Observe(probe, sample); err != nil {
			t.Fatal(err)
		}
	}
	for query, want := range map[string]float64{
		`gameday_probe_success{probe="front_door",kind="http"}`: 1,
		`gameday_probe_value`:                                                                               19,
		`gameday_probe_events_total{result="bad"}`:                                                          5,
		`sum(gameday_probe_events_total)`:                                                                   20,
		`sum(increase(gameday_probe_events_total[21s]))`:                                                    20,
		`gameday_probe_duration_seconds_count`:                                                              20,
		`gameday_probe_duration_seconds_bucket{le="0.05"}`:                                                  0,
		`gameday_probe_duration_seconds_bucket{le="0.1"}`:                                                   20,
		`gameday_probe_duration_seconds_bucket{le="+Inf"}`:                                                  20,
		`round(gameday_probe_duration_seconds_sum, 0.001)`:                                                  2,
		`histogram_count(gameday_probe_duration_seconds)`:                                                   20,
		`histogram_quantile(0.5, sum(rate(gameday_probe_duration_seconds[10s]))) < 0.11 > bool 0.09`:        1,
		`histogram_quantile(1, sum by (le) (rate(gameday_probe_duration_seconds_bucket[10s]))) == bool 0.1`: 1,
	} {
		answer, err := p.Query(t.Context(), query, now)
		if err != nil || len(answer.Points) != 1 || math.Abs(answer.Points[0].Value-want) > 1e-9 {
			t.Errorf("%s = %+v (%v), want %v", query, answer.Points, err, want)
		}
	}
	slo := &Events{Prometheus: p,
		Bad:   `sum(rate(gameday_probe_events_total{probe="front_door",result="bad"}[$window]))`,
		Total: `sum(rate(gameday_probe_events_total{probe="front_door"}[$window]))`}
	got := slo.Count(t.Context(), now, 8*time.Second)
	if got.Condition != experiments.OK || math.Abs(got.Total-8) > 1e-6 || math.Abs(got.Bad-8./7) > 1e-6 {
		// Between the first and the last of 8 samples one event in 7 is bad.
		t.Errorf("counted %+v, want 8/7 bad of 8", got)
	}
}

func TestAnUnmeasurableSampleEndsTheGaugesAndAddsNoEvent(t *testing.T) {
	p := start(t)
	probe := &experiments.Probed{Name: "p", Kind: "exec", Every: time.Second}
	for i, condition := range []experiments.Condition{experiments.OK, experiments.Broken} {
		if err := p.Observe(probe, experiments.Sample{At: now.Add(time.Duration(i) * time.Second), Counted: true, Good: true, Value: 1, Condition: condition}); err != nil {
			t.Fatal(err)
		}
	}
	for query, want := range map[string]int{`gameday_probe_success`: 0, `gameday_probe_value`: 0, `sum(gameday_probe_events_total) == 1`: 1} {
		answer, err := p.Query(t.Context(), query, now.Add(time.Second))
		if err != nil || len(answer.Points) != want {
			t.Errorf("%s = %+v (%v), want %d series", query, answer.Points, err, want)
		}
	}
}

func TestSamplesOfOneMillisecondAreAllCounted(t *testing.T) {
	p := start(t)
	probe := &experiments.Probed{Name: "p", Kind: "http"}
	for i := range 5 {
		if err := p.Observe(probe, experiments.Sample{At: now.Add(time.Duration(i) * 300 * time.Microsecond), Counted: true, Good: i > 0, Value: math.NaN()}); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Observe(probe, experiments.Sample{At: now.Add(time.Second), Counted: true, Good: true, Value: math.NaN()}); err != nil {
		t.Fatal(err)
	}
	answer, err := p.Query(t.Context(), `sum by (result) (gameday_probe_events_total)`, now.Add(time.Second))
	got := map[string]float64{}
	for _, point := range answer.Points {
		got[point.Labels.Get("result")] = point.Value
	}
	if err != nil || fmt.Sprint(got) != "map[bad:1 good:5]" {
		t.Errorf("events %v (%v)", got, err)
	}
}

func TestAServerIsNotGivenProbes(t *testing.T) {
	p := &Prometheus{URL: "http://127.0.0.1:1"}
	if err := p.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Close() }()
	if err := p.Observe(&experiments.Probed{Name: "p"}, experiments.Sample{At: now}); err != nil {
		t.Error(err)
	}
	if p.samples() != nil {
		t.Error("a server has a store")
	}
}
