package guards

import (
	"math"
	"testing"
	"time"

	"github.com/gameday-sh/gameday/experiments"
)

func TestThresholdNeedsARow(t *testing.T) {
	unread := experiments.Sample{Condition: experiments.Unreachable, Why: "connection refused"}
	good := experiments.Sample{Counted: true, Good: true, Took: 20 * time.Millisecond, Value: math.NaN()}
	bad := experiments.Sample{Counted: true, Why: "503 Service Unavailable", Took: 20 * time.Millisecond, Value: math.NaN()}
	value := func(v float64) experiments.Sample { return experiments.Sample{Value: v} }
	took := func(d time.Duration) experiments.Sample {
		return experiments.Sample{Counted: true, Good: true, Took: d, Value: math.NaN()}
	}
	above, below := Threshold{ValueAbove: pointer(10.0)}, Threshold{ValueBelow: pointer(2.0)}
	slow, failing := Threshold{LatencyAbove: pointer(300 * time.Millisecond)}, Threshold{Failures: true}
	type samples = []experiments.Sample
	for _, test := range []struct {
		name    string
		guard   Threshold
		samples samples
		want    wanted
	}{
		{"nothing measured", above, nil, wanted{blind: true, text: "probe.queue: not measured yet"}},
		{"a value at the limit is within", above, samples{value(10), value(10), value(10)}, wanted{text: "value 10 jobs, not above 10"}},
		{"two values above are no breach", above, samples{value(5), value(12), value(12.5)}, wanted{text: "value 12.5 jobs, above 10; 2 of 3 in a row"}},
		{"three values above are", above, samples{value(12), value(12), value(12.5)}, wanted{breached: true, since: 2, text: "value 12.5 jobs, above 10; 3 of 3 in a row"}},
		{"a value within ends the row", above, samples{value(12), value(12), value(3), value(12)}, wanted{text: "value 12 jobs, above 10; 1 of 3 in a row"}},
		{"the row is the newest", above, samples{value(12), value(12), value(12), value(3)}, wanted{text: "value 3 jobs, not above 10"}},
		{"three values below are a breach", below, samples{value(1), value(0), value(1.5)}, wanted{breached: true, since: 2, text: "value 1.5 jobs, below 2; 3 of 3 in a row"}},
		{"a value at the lower limit is within", below, samples{value(2)}, wanted{text: "value 2 jobs, not below 2"}},
		{"three slow answers are a breach", slow, samples{took(301 * time.Millisecond), took(time.Second), took(1234 * time.Millisecond)}, wanted{breached: true, since: 2, text: "latency 1.2s, above 300ms; 3 of 3 in a row"}},
		{"a fast failure is not slow", slow, samples{took(time.Second), took(time.Second), bad}, wanted{text: "latency 20ms, not above 300ms"}},
		{"three failures are a breach", failing, samples{good, bad, bad, bad}, wanted{breached: true, since: 3, text: "failed: 503 Service Unavailable; 3 of 3 in a row"}},
		{"a success ends the row", failing, samples{bad, bad, good}, wanted{text: "good"}},
		{"a failure without words", failing, samples{{Counted: true}}, wanted{text: "failed; 1 of 3 in a row"}},
		{"unreadable ones in between neither add nor end", failing, samples{good, bad, unread, bad, unread}, wanted{blind: true, text: "failed: 503 Service Unavailable; 2 of 3 in a row"}},
		{"a row across unreadable ones is a breach", failing, samples{bad, unread, bad, unread, bad}, wanted{breached: true, since: 4, text: "failed: 503 Service Unavailable; 3 of 3 in a row"}},
		{"only unreadable ones", failing, samples{unread, unread, unread}, wanted{blind: true, text: "probe.queue: unreachable (connection refused)"}},
		{"a probe without a number may still give one", above, samples{good, good, good}, wanted{blind: true, text: "probe.queue gives no number"}},
		{"a probe that never gives a number is a breach", above, samples{good, good, good, good, good, good}, wanted{breached: true, blind: true, text: "probe.queue gives no number; a guard that cannot see stops the run"}},
		{"a probe that never counts events is a breach", failing, samples{value(1), value(1), value(1), value(1), value(1), value(1)}, wanted{breached: true, blind: true, text: "probe.queue counts no events; a guard that cannot see stops the run"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			probe := &experiments.Probed{Name: "queue", Every: time.Second, Unit: "jobs"}
			h := experiments.NewHistory(began, []*experiments.Probed{probe}, nil)
			h.Injected = at(0)
			for i, sample := range test.samples {
				sample.At = at(float64(i))
				h.AddSample(probe, sample)
			}
			test.guard.Probe, test.guard.Samples = probe, 3
			check(t, test.guard.Judge(h), test.want)
			if needs := test.guard.Needs(); len(needs.Probes) != 1 || needs.Probes[0] != probe {
				t.Errorf("needs %+v", needs)
			}
		})
	}
}

func TestThresholdProblems(t *testing.T) {
	probe := &experiments.Probed{Name: "door", Timeout: time.Second}
	for _, test := range []struct {
		name  string
		guard Threshold
		want  []string
	}{
		{"right", Threshold{Probe: probe, LatencyAbove: pointer(999 * time.Millisecond), Samples: 1}, nil},
		{"no bound", Threshold{Probe: probe, Samples: 3}, []string{": No bound"}},
		{"two bounds", Threshold{Probe: probe, Samples: 3, Failures: true, ValueBelow: pointer(0.0)}, []string{"failures: More than one bound"}},
		{"no sample", Threshold{Probe: probe, Failures: true}, []string{"samples: Fewer than one measurement"}},
		{"every latency", Threshold{Probe: probe, LatencyAbove: pointer(time.Duration(0)), Samples: 3}, []string{"latency_above: Latency not above 0"}},
		{"a latency at the timeout", Threshold{Probe: probe, LatencyAbove: pointer(time.Second), Samples: 3}, []string{"latency_above: Latency that can never be reached"}},
		{"a probe that is not known yet", Threshold{LatencyAbove: pointer(time.Hour), Samples: 3}, nil},
	} {
		t.Run(test.name, func(t *testing.T) { summaries(t, test.guard.Validate(), test.want...) })
	}
}
