package sandbox

import (
	"context"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gameday-sh/gameday/experiments"
)

// starts records when a pacer started its requests.
type starts struct {
	mu     sync.Mutex
	at     []time.Duration
	unsent int
	most   int // in flight at once
	flying int
}

// pace runs a pacer for a while of fake time against a server that takes slow.
func pace(rate float64, most int, slow, while time.Duration) *starts {
	record := &starts{}
	began := time.Now()
	p := &pacer{rate: rate, most: most,
		send: func(_ uint64, scheduled time.Time) {
			record.mu.Lock()
			record.at = append(record.at, scheduled.Sub(began))
			record.flying++
			record.most = max(record.most, record.flying)
			record.mu.Unlock()
			time.Sleep(slow)
			record.mu.Lock()
			record.flying--
			record.mu.Unlock()
		},
		unsent: func(uint64) { record.unsent++ },
	}
	ctx, cancel := context.WithTimeout(context.Background(), while)
	defer cancel()
	p.run(ctx)
	return record
}

func TestRequestsStartOnSchedule(t *testing.T) {
	for _, test := range []struct {
		name   string
		rate   float64
		most   int
		slow   time.Duration
		while  time.Duration
		starts int
		unsent int
		flying int
	}{
		// The context of a run of 995 ms ends between two starts.
		{"a fast server", 100, 1000, time.Millisecond, 995 * time.Millisecond, 100, 0, 1},
		{"a slow server is sent just as many", 100, 1000, 10 * time.Second, 995 * time.Millisecond, 100, 0, 100},
		{"what cannot wait is counted and not sent", 100, 10, 10 * time.Second, 995 * time.Millisecond, 10, 90, 10},
		{"places become free again", 100, 10, 195 * time.Millisecond, 995 * time.Millisecond, 50, 50, 10},
		{"less than one a second", 0.5, 10, time.Millisecond, 5 * time.Second, 3, 0, 1},
		{"a rate that is no divisor of a second", 3, 10, time.Millisecond, 1900 * time.Millisecond, 6, 0, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				got := pace(test.rate, test.most, test.slow, test.while)
				if len(got.at) != test.starts || got.unsent != test.unsent || got.most != test.flying {
					t.Errorf("started %d, unsent %d, at most %d in flight; want %d, %d, %d",
						len(got.at), got.unsent, got.most, test.starts, test.unsent, test.flying)
				}
				if got.flying != 0 {
					t.Errorf("run returned with %d requests in flight", got.flying)
				}
			})
		})
	}
}

func TestTheScheduleDoesNotDrift(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got := pace(300, 1000, time.Microsecond, 9999*time.Millisecond)
		for n, at := range got.at {
			want := time.Duration(float64(n) / 300 * float64(time.Second))
			if at != want {
				t.Fatalf("request %d was scheduled at %s; want %s", n, at, want)
			}
		}
		if len(got.at) != 3000 {
			t.Errorf("%d requests in 10 s at 300/s", len(got.at))
		}
	})
}

func TestAPauseOfTheProcessIsNotMadeUpForInABurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sent atomic.Int64
		unsent := 0
		p := &pacer{rate: 10, most: 20,
			send: func(n uint64, scheduled time.Time) {
				if late := time.Since(scheduled); late > latestStart {
					t.Errorf("request %d was sent %s late", n, late)
				}
				sent.Add(1)
				if n < 20 {
					time.Sleep(5 * time.Second)
				}
			},
			// The pacer calls unsent itself, so sleeping there stops all of it: from 2 s,
			// when the first 20 take all places, until 32 s.
			unsent: func(n uint64) {
				unsent++
				if n == 20 {
					time.Sleep(30 * time.Second)
				}
			},
		}
		ctx, cancel := context.WithTimeout(t.Context(), 35_050*time.Millisecond)
		defer cancel()
		p.run(ctx)
		// Request 20, and all that were due from 2.1 s to 30.9 s.
		if unsent != 290 || sent.Load() != 351-290 {
			t.Errorf("%d requests were sent and %d were not; want 61 and 290", sent.Load(), unsent)
		}
	})
}

func TestTheMixDependsOnTheSeedAlone(t *testing.T) {
	const many = 20_000
	mix := func(seed uint64, share experiments.Percent) ([]string, map[string]int) {
		c := &customers{checkouts: share, seed: seed}
		order, counts := make([]string, many), map[string]int{}
		for n := range order {
			order[n] = c.route(uint64(n))
			counts[order[n]]++
		}
		return order, counts
	}
	first, counts := mix(1, 0.3)
	again, _ := mix(1, 0.3)
	other, _ := mix(2, 0.3)
	if !slices.Equal(first, again) {
		t.Error("one seed gave two mixes")
	}
	if slices.Equal(first, other) {
		t.Error("two seeds gave one mix")
	}
	for route, want := range map[string]float64{"/checkout": 0.3, "/": 0.35, "/products": 0.35} {
		// Five standard deviations of a binomial count.
		if got := float64(counts[route]); math.Abs(got-want*many) > 5*math.Sqrt(many*want*(1-want)) {
			t.Errorf("%v of %d requests went to %s; want about %v", got, many, route, want*many)
		}
	}
	if _, counts := mix(1, 0); counts["/checkout"] != 0 {
		t.Errorf("%d checkouts with a share of 0%%", counts["/checkout"])
	}
	if _, counts := mix(1, 1); counts["/checkout"] != many {
		t.Errorf("%d checkouts of %d with a share of 100%%", counts["/checkout"], many)
	}
}
