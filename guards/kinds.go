package guards

import "github.com/gameday-sh/gameday/experiments"

// Kinds is the table of guards.
func Kinds() []experiments.Kind[experiments.Guard] {
	return []experiments.Kind[experiments.Guard]{
		{Name: "burn_rate", Summary: "The error budget burns too fast, over a long and a short window", New: func() experiments.Guard { return new(BurnRate) }},
		{Name: "budget", Summary: "The share of the error budget allowed for the run is spent, or will be before stopping is done", New: func() experiments.Guard { return new(Budget) }},
		{Name: "threshold", Summary: "A probe's value, latency or outcome is out of bounds several times in a row", New: func() experiments.Guard { return new(Threshold) }},
		{Name: "golden_signals", Summary: "A golden signal of a service misses its target for too long, or its traffic is gone", New: func() experiments.Guard { return new(GoldenSignals) }},
		{Name: "evidence", Summary: "The evidence that too many events fail is strong, at a stated rate of false aborts", New: func() experiments.Guard { return new(Evidence) }},
		{Name: "no_data", Summary: "A series could not be read for too long", New: func() experiments.Guard { return new(NoData) }},
		{Name: "max_duration", Summary: "The run takes longer than it may", New: func() experiments.Guard { return new(MaxDuration) }},
	}
}
