package main

import (
	"io"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/experiments/probes/prom"
	"github.com/gameday-sh/gameday/scenarios"
)

// observer gives every sample of a probe to the built-in Prometheus, so that
// queries can be about probes too.
func observer(c *scenarios.Configuration) func(*experiments.Probed, experiments.Sample) {
	var stores []*prom.Prometheus
	for _, connection := range c.Connections() {
		if p, ok := connection.(*prom.Prometheus); ok && p.Builtin() {
			stores = append(stores, p)
		}
	}
	if len(stores) == 0 {
		return nil
	}
	return func(p *experiments.Probed, sample experiments.Sample) {
		for _, store := range stores {
			if err := store.Observe(p, sample); err != nil {
				continue // the store is full or closed; queries on it say so themselves
			}
		}
	}
}

// closeProbes lets go of the connections that probes keep between measurements.
func closeProbes(e *experiments.Experiment) {
	for _, p := range e.Probes {
		if closer, ok := p.Probe.(io.Closer); ok {
			if err := closer.Close(); err != nil {
				continue // the run is over: nothing depends on it any more
			}
		}
	}
}
