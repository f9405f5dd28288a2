package probes

import (
	"testing"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/experiments/probes/prom"
)

// What a probe says of itself beforehand keeps scenarios from judging what never comes.
func TestProbesTellWhatTheirSamplesCarry(t *testing.T) {
	for name, it := range map[string]struct {
		probe          experiments.Probe
		events, values bool
	}{
		"http":                  {&HTTP{}, true, false},
		"http with a json_path": {&HTTP{Expect: Expect{JSONPath: "$.queue"}}, true, true},
		"exec":                  {&Exec{Stdout: "none"}, true, false},
		"exec with a number":    {&Exec{Stdout: "number"}, true, true},
		"exec with a json_path": {&Exec{Stdout: "json", JSONPath: "$.lag"}, true, true},
		"tcp":                   {&TCP{}, true, false},
		"grpc":                  {&GRPC{}, true, false},
		"journey":               {&Journey{}, true, false},
		"prometheus":            {&prom.Query{}, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			probe, ok := it.probe.(experiments.Telling)
			if !ok {
				t.Fatal("it tells nothing")
			}
			if told := probe.Tells(); told.Events != it.events || told.Values != it.values {
				t.Errorf("events %v, values %v; want %v and %v", told.Events, told.Values, it.events, it.values)
			}
		})
	}
	// It reads replicas, and judges them too.
	if _, ok := experiments.Probe(&Kubernetes{}).(experiments.Telling); ok {
		t.Error("a kubernetes probe carries both")
	}
}
