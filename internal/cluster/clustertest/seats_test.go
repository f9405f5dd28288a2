package clustertest

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"
)

// Of many tests that use a cluster no more have a seat than there are, each gets one in
// the end, and what is a part of a test that has one does not wait for another.
func TestAFewTestsAtATimeHaveASeat(t *testing.T) {
	t.Setenv("GAMEDAY_CLUSTER_CACHE", t.TempDir())
	var now, most, all atomic.Int64
	t.Run("many", func(t *testing.T) {
		for number := range 3 * seats {
			t.Run(fmt.Sprint(number), func(t *testing.T) {
				t.Parallel()
				Seat(t)
				here := now.Add(1)
				defer now.Add(-1)
				for highest := most.Load(); here > highest && !most.CompareAndSwap(highest, here); highest = most.Load() {
				}
				Seat(t)
				t.Run("a part", func(t *testing.T) { Seat(t) })
				time.Sleep(20 * time.Millisecond)
				all.Add(1)
			})
		}
	})
	if most.Load() > seats || all.Load() != 3*seats {
		t.Errorf("%d at once, %d in all; want %d at most, and %d", most.Load(), all.Load(), seats, 3*seats)
	}
}
