package experiments

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// crowd counts how many calls are under way at once, on the whole and on one target.
type crowd struct {
	mu        sync.Mutex
	on        map[string]int
	all, most int
	order     []string // of the hits, as their calls began
	crossed   bool     // two calls were on one target at once
}

func (c *crowd) enter(h Hit) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.on == nil {
		c.on = map[string]int{}
	}
	c.all++
	c.most = max(c.most, c.all)
	c.on[h.Holds]++
	c.crossed = c.crossed || c.on[h.Holds] > 1
	c.order = append(c.order, h.Target)
}

func (c *crowd) leave(h Hit) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all--
	c.on[h.Holds]--
}

// slowly is a call that takes a second.
func (c *crowd) slowly(h Hit) {
	c.enter(h)
	defer c.leave(h)
	time.Sleep(time.Second)
}

func names(prefix string, count int) []string {
	var list []string
	for i := range count {
		list = append(list, fmt.Sprintf("%s%02d", prefix, i))
	}
	return list
}

func TestHitsOfARoundAreInjectedSideBySideEachAfterItsIntent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, j := newWorld(), &memory{}
		var c crowd
		f := &wild{breaker: breaker{world: w, targets: names("t", 4*targetWorkers)}}
		f.inject = func(ctx context.Context, h Hit) (Proof, error) {
			j.mu.Lock()
			intended := slices.ContainsFunc(j.events, func(e Event) bool { return e.Hit != nil && e.Hit.ID == h.ID && e.Hit.Step == Intended })
			j.mu.Unlock()
			if !intended {
				t.Errorf("%s is injected before its intent is on disk", h.ID)
			}
			c.slowly(h)
			return f.breaker.Inject(ctx, h)
		}
		e := experiment(w, lasting("cut", f, 0, 10*time.Second))
		e.Hypotheses[0].During = false
		r := Run(t.Context(), e, options(j))
		wantVerdict(t, r, Held)
		if c.most != targetWorkers || c.crossed {
			t.Errorf("%d at once, want %d; two on one target: %v", c.most, targetWorkers, c.crossed)
		}
		first, last := r.Hits[0].Injected, r.Hits[0].Injected
		for _, hit := range r.Hits {
			if hit.Injected.Before(first) {
				first = hit.Injected
			}
			last = laterOf(last, hit.Injected)
		}
		if took := last.Sub(first); took > 4*time.Second {
			t.Errorf("four times as many hits as workers took %s after the first", took)
		}
	})
}

func TestHitsOnOneTargetAreInjectedInTheirOrderAndMendedBackwards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		var in, out crowd
		f := &wild{breaker: breaker{world: w}}
		f.plan = func() ([]Hit, error) {
			var hits []Hit
			for _, target := range []string{"a", "b", "c"} {
				hits = append(hits, Hit{Target: target, Holds: "one thing", Effect: "breaks", Undo: "mends", Fuse: WatchdogFuse})
			}
			return hits, nil
		}
		f.inject = func(ctx context.Context, h Hit) (Proof, error) { in.slowly(h); return f.breaker.Inject(ctx, h) }
		f.revert = func(ctx context.Context, h Hit) error { out.slowly(h); return f.breaker.Revert(ctx, h) }
		e := experiment(w, lasting("cut", f, 0, 10*time.Second))
		e.Hypotheses[0].During = false
		wantVerdict(t, Run(t.Context(), e, options(&memory{})), Held)
		if in.crossed || out.crossed || !slices.Equal(in.order, []string{"a", "b", "c"}) || !slices.Equal(out.order, []string{"c", "b", "a"}) {
			t.Errorf("injected %v, mended %v, crossed %v %v", in.order, out.order, in.crossed, out.crossed)
		}
	})
}

func TestTheFirstInjectionThatFailsEndsTheOthersAndEverythingIsMended(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, j := newWorld(), &memory{}
		var begun atomic.Int64
		f := &wild{breaker: breaker{world: w, targets: names("t", 4*targetWorkers)}}
		f.inject = func(ctx context.Context, h Hit) (Proof, error) {
			if n := begun.Add(1); n == 3 {
				return Proof{}, errors.New("the proxy moved")
			}
			if !sleepUntil(ctx, time.Now().Add(time.Minute)) {
				return Proof{}, context.Cause(ctx)
			}
			return f.breaker.Inject(ctx, h)
		}
		r := Run(t.Context(), experiment(w, lasting("cut", f, 0, 10*time.Second)), options(j))
		wantVerdict(t, r, Errored)
		if !strings.Contains(r.Reason, "the proxy moved") || begun.Load() > targetWorkers {
			t.Errorf("%d were begun; %s", begun.Load(), r.Reason)
		}
		if w.anyBroken() || len(Outstanding(j.events, false)) > 0 {
			t.Error("something is still broken")
		}
		if r.Ended.Sub(r.Began) > 30*time.Second {
			t.Errorf("it waited for the others: %s", r.Ended.Sub(r.Began))
		}
	})
}

func TestWhatADeadRunLeftIsMendedSideBySide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		var left []Hit
		for _, target := range names("t", 2*targetWorkers) {
			w.set(target, true)
			left = append(left, Hit{ID: "cut/1/" + target, Kind: "breaker", Target: target, Holds: target})
		}
		for _, target := range []string{"newer", "older"} {
			w.set(target, true)
			left = append(left, Hit{ID: "cut/1/" + target, Kind: "breaker", Target: target, Holds: "one thing"})
		}
		var c crowd
		kind := func(string) (Fault, bool) {
			f := &wild{breaker: breaker{world: w}}
			f.revert = func(ctx context.Context, h Hit) error { c.slowly(h); return f.breaker.Revert(ctx, h) }
			return f, true
		}
		var watched []Event // unguarded: nobody calls from two goroutines at once
		began := time.Now()
		done, err := Recover(t.Context(), left, 5*time.Second, kind, &memory{}, func(e Event) { watched = append(watched, e) })
		if err != nil || len(done.Mended) != len(left) || w.anyBroken() {
			t.Fatalf("%+v, %v", done, err)
		}
		if took := time.Since(began); took > 4*time.Second || c.crossed {
			t.Errorf("took %s, two on one target: %v", took, c.crossed)
		}
		if slices.Index(c.order, "newer") > slices.Index(c.order, "older") {
			t.Error("the older hit was mended first")
		}
		for i, hit := range left {
			if !strings.HasPrefix(done.Mended[i], hit.Target+": ") {
				t.Errorf("line %d is %q, want that of %s", i, done.Mended[i], hit.Target)
			}
		}
		if len(watched) != 3*len(left) {
			t.Errorf("%d events, want %d", len(watched), 3*len(left))
		}
	})
}
