package experiments

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// ledger is a journal that knows what came to the disk together.
type ledger struct {
	memory
	batches []int // how many intents each fsync brought there
	fails   func(intents int) error
}

func (l *ledger) Commit(list ...Event) error {
	intents := 0
	for _, event := range list {
		if event.Hit != nil && event.Hit.Step == Intended {
			intents++
		}
	}
	if intents > 0 {
		time.Sleep(10 * time.Millisecond) // the disk
		l.mu.Lock()
		l.batches = append(l.batches, intents)
		l.mu.Unlock()
		if l.fails != nil {
			if err := l.fails(len(l.batches)); err != nil {
				return err
			}
		}
	}
	return l.memory.Commit(list...)
}

// Append does not wait for the disk.
func (l *ledger) Append(e Event) error { return l.memory.Commit(e) }

func (l *ledger) last(id string) (step Step) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, event := range l.events {
		if event.Hit != nil && event.Hit.ID == id {
			step = event.Hit.Step
		}
	}
	return step
}

func TestIntentsShareTheDiskAndNoneIsLeftOfWhatWasNotBegun(t *testing.T) {
	const many = 4*targetWorkers + 5
	for name, it := range map[string]struct {
		fails   int // the injection that fails, 0 for none
		disk    int // the batch that does not get to the disk, 0 for none
		single  bool
		batches []int // the last may be missing, where the round ends before
		verdict Verdict
	}{
		"all is well":                            {batches: []int{32, 32, 32, 32, 5}, verdict: Held},
		"an injection of the second batch fails": {fails: 40, verdict: Errored},
		"the disk is full after two batches":     {disk: 3, verdict: Errored},
		"hits on one target have an intent each": {single: true, batches: slices.Repeat([]int{1}, many), verdict: Held},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, j := newWorld(), &ledger{}
				if it.disk > 0 {
					j.fails = func(batch int) error {
						if batch >= it.disk {
							return errors.New("no space left on device")
						}
						return nil
					}
				}
				var mu sync.Mutex
				begun, mended, most := map[string]bool{}, map[string]bool{}, 0
				f := &wild{breaker: breaker{world: w, targets: names("t", many)}}
				if it.single {
					f.plan = func() ([]Hit, error) {
						var hits []Hit
						for _, target := range f.targets {
							hits = append(hits, Hit{Target: target, Holds: "one thing", Effect: "breaks", Undo: "mends", Fuse: WatchdogFuse})
						}
						return hits, nil
					}
				}
				f.inject = func(ctx context.Context, h Hit) (Proof, error) {
					mu.Lock()
					begun[h.ID] = true
					n, open := len(begun), 0
					for _, target := range f.targets {
						if id := "cut/1/" + target; j.last(id) == Intended {
							open++
						}
					}
					most = max(most, open)
					mu.Unlock()
					if n == it.fails {
						return Proof{}, errors.New("the proxy moved")
					}
					// Not all end at once.
					if !sleepUntil(ctx, time.Now().Add(time.Duration(1+n%7)*10*time.Millisecond)) {
						return Proof{}, context.Cause(ctx)
					}
					return f.breaker.Inject(ctx, h)
				}
				f.revert = func(ctx context.Context, h Hit) error {
					mu.Lock()
					mended[h.ID] = true
					mu.Unlock()
					return f.breaker.Revert(ctx, h)
				}
				e := experiment(w, lasting("cut", f, 0, 10*time.Second))
				e.Hypotheses[0].During = false
				r := Run(t.Context(), e, options(j))
				wantVerdict(t, r, it.verdict)
				if it.batches != nil && fmt.Sprint(j.batches) != fmt.Sprint(it.batches) {
					t.Errorf("the fsyncs brought %v intents to the disk, want %v", j.batches, it.batches)
				}
				if most > 2*targetWorkers {
					t.Errorf("%d hits looked as if they might have been done", most)
				}
				idle := 0
				for _, hit := range r.Hits {
					if begun[hit.ID] {
						continue
					}
					idle++
					if mayHarm(hit.Step) || mended[hit.ID] || it.disk == 0 && mayHarm(j.last(hit.ID)) {
						t.Errorf("%s was not begun; it is %q, on disk %q, reverted: %v", hit.ID, hit.Step, j.last(hit.ID), mended[hit.ID])
					}
				}
				if (idle > 0) != (it.verdict == Errored) {
					t.Errorf("%d hits were not begun", idle)
				}
				if w.anyBroken() {
					t.Error("something is still broken")
				}
			})
		})
	}
}
