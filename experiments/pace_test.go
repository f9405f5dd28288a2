package experiments

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// A nudge has everything measured soon; a storm of them is no storm of measurements.
func TestNudgesAddFewMeasurements(t *testing.T) {
	const span = 2 * time.Second
	for name, it := range map[string]struct {
		every  time.Duration
		nudges []time.Duration
		// extra are the measurements beside those of the clock.
		extra []time.Duration
		// clock is how many measurements the clock asks for.
		clock int
	}{
		"none":                                   {every: time.Second, clock: 2},
		"one is heard at once":                   {every: time.Second, nudges: ms(300), extra: ms(300), clock: 2},
		"two that come together are heard twice": {every: time.Second, nudges: ms(300, 301), extra: ms(300, 301), clock: 2},
		"a storm": {
			every: time.Second, nudges: every(2*time.Millisecond, 300*time.Millisecond, 700*time.Millisecond),
			extra: ms(300, 302, 304, 306, 400, 500, 600, 700), clock: 2,
		},
		"a storm about something measured fast": {
			every: 20 * time.Millisecond, nudges: every(2*time.Millisecond, 301*time.Millisecond, 401*time.Millisecond),
			extra: ms(301, 303, 305, 307), clock: 100,
		},
		"the clock comes first": {every: 350 * time.Millisecond, nudges: ms(300, 301, 302, 303, 320), extra: ms(300, 301, 302, 303), clock: 6},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), span-time.Millisecond)
				defer cancel()
				nudge, began := make(chan struct{}, 1), time.Now()
				for _, at := range it.nudges {
					time.AfterFunc(at, func() {
						select {
						case nudge <- struct{}{}:
						default:
						}
					})
				}
				var extra []time.Duration
				clock := 0
				pace(ctx, it.every, nudge, func(due bool) {
					if due {
						clock++
					} else {
						extra = append(extra, time.Since(began))
					}
				})
				if clock != it.clock {
					t.Errorf("the clock asked %d times, want %d", clock, it.clock)
				}
				if len(extra) != len(it.extra) {
					t.Fatalf("nudges had measured %v, want %v", extra, it.extra)
				}
				for i, at := range it.extra {
					if extra[i] != at {
						t.Errorf("nudges had measured %v, want %v", extra, it.extra)
						break
					}
				}
			})
		})
	}
}

func ms(list ...int) (at []time.Duration) {
	for _, n := range list {
		at = append(at, time.Duration(n)*time.Millisecond)
	}
	return at
}

func every(step, from, to time.Duration) (at []time.Duration) {
	for ; from < to; from += step {
		at = append(at, from)
	}
	return at
}
