package rules

import (
	"time"

	"github.com/gameday-sh/gameday/experiments/probes/prom"
)

// Interval is how often the rule of the alert is evaluated in what [Generate] writes.
func (a Alert) Interval() time.Duration {
	if sliced, ok := a.SLO.SLI.(prom.Sliced); ok {
		if slices := sliced.Slices(); slices != nil {
			return slices.Slice
		}
	}
	if a.Severity == Page {
		return fastInterval
	}
	return slowInterval
}
