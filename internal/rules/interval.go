package rules

import (
	"time"

	"github.com/gameday-sh/gameday/experiments/probes/prom"
)

// Interval is how often the rule of the alert is evaluated in what [Generate] writes.
func (a Alert) Interval() time.Duration {
	fast, slow := fastInterval, slowInterval
	if sliced, ok := a.SLO.SLI.(prom.Sliced); ok {
		if slices := sliced.Slices(); slices != nil {
			fast, slow = slices.Slice, max(slices.Slice, slow)
		}
	}
	if a.Severity == Page {
		return fast
	}
	return slow
}
