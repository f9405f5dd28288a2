package experiments

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// The measurement that a phase ends with comes at the very moment at which it ends.
func TestAMeasurementIsStoredAsOneOfThePhaseThatItEnded(t *testing.T) {
	for _, late := range []time.Duration{0, 100 * time.Microsecond, 500 * time.Microsecond, 700 * time.Microsecond, 999 * time.Microsecond} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld()
			e := experiment(w, lasting("cut", &breaker{world: w, targets: []string{"a"}}, 0, time.Second))
			e.Baseline = 0
			probe := e.Probes[0].Probe
			e.Probes[0].Probe = probeFunc(func(ctx context.Context) Sample {
				time.Sleep(late)
				return probe.Measure(ctx)
			})
			e.Hypotheses[0].During = false
			r := Run(t.Context(), e, options(&memory{}))
			var disrupt float64
			for _, span := range r.Phases {
				if span.Phase == PhaseDisrupt {
					disrupt = span.From.Sub(r.Began).Seconds()
				}
			}
			before := r.Hypotheses[0].Before.To.Sub(r.Began).Seconds() // the second measurement
			if last := r.Series[0].At[1]; disrupt != before || last > disrupt {
				t.Errorf("%s late: the measurement that ended the baseline after %vs is stored at %vs, and what was to come next began after %vs", late, before, last, disrupt)
			}
		})
	}
}
