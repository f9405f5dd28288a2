package promtest

import (
	"math"
	"time"
)

// Counter is a counter that rises by rate(at) events a second, in steps as long as those
// of the history, and that a process keeps: it is there from one time to another, and
// begins at 0.
func Counter(from, to time.Time, step time.Duration, rate func(at time.Time) float64) Sample {
	var times []int64
	var sums []float64
	sum := 0.0
	for at := from; !at.After(to); at = at.Add(step) {
		times = append(times, at.UnixMilli())
		sums = append(sums, math.Round(sum))
		sum += rate(at) * step.Seconds()
	}
	return func(at time.Time) (float64, bool) {
		ms := at.UnixMilli()
		if len(times) == 0 || ms < times[0] || ms > times[len(times)-1] {
			return 0, false
		}
		return sums[int(math.Round(float64(ms-times[0])/float64(step.Milliseconds())))], true
	}
}

// Steady is a rate that does not change.
func Steady(perSecond float64) func(time.Time) float64 {
	return func(time.Time) float64 { return perSecond }
}

// Between is a rate from one time to another, and none else.
func Between(from, to time.Time, perSecond float64) func(time.Time) float64 {
	return func(at time.Time) float64 {
		if at.Before(from) || !at.Before(to) {
			return 0
		}
		return perSecond
	}
}
