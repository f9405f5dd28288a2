package experiments

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// flock is a fault whose targets come and go: the first of those that are there are
// hit.
type flock struct {
	breaker
	there  atomic.Pointer[[]string]
	count  int
	unsure error
	plans  atomic.Int32
}

func (f *flock) Plan(ctx context.Context, d Draw) ([]Hit, error) {
	f.plans.Add(1)
	now := *f.there.Load()
	b := f.breaker
	b.targets = now[:min(f.count, len(now))]
	hits, err := b.Plan(ctx, d)
	for i := range hits {
		hits[i].Spec = json.RawMessage(strconv.Itoa(int(f.plans.Load())))
	}
	return hits, err
}

func (f *flock) Gone(_ context.Context, hits []Hit) (targets []string, err error) {
	if f.unsure != nil {
		return nil, f.unsure
	}
	for _, h := range hits {
		if !slices.Contains(*f.there.Load(), h.Target) {
			targets = append(targets, h.Target)
		}
	}
	return targets, nil
}

func TestTargetsThatWentBeforeTheirTurnAreDrawnAgain(t *testing.T) {
	for name, test := range map[string]struct {
		later  []string
		unsure error
		hit    string // in the end
		plans  int32
	}{
		"all there":           {[]string{"a", "b", "c"}, nil, "a b", 1},
		"one went":            {[]string{"b", "c"}, nil, "b c", 2},
		"all went":            {[]string{"x", "y", "z"}, nil, "x y", 2},
		"nothing can be read": {[]string{"x", "y"}, errors.New("no answer"), "a b", 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, j := newWorld(), &memory{}
				f := &flock{breaker: breaker{world: w, instant: true}, count: 2, unsure: test.unsure}
				f.there.Store(&[]string{"a", "b", "c"})
				e := experiment(w, &FaultPlan{Name: "kill", Kind: "flock", Origin: "test.hcl:1", Schedule: Schedule{At: 10 * time.Second}, Fault: f})
				go func() {
					time.Sleep(5 * time.Second)
					f.there.Store(&test.later)
				}()
				r := Run(t.Context(), e, options(j))
				wantVerdict(t, r, Held)
				var hit []string
				for _, h := range r.Hits {
					if !h.Injected.IsZero() {
						hit = append(hit, h.Target)
						if got, want := string(h.Spec), strconv.Itoa(int(test.plans)); got != want {
							t.Errorf("%s was hit by plan %s, want %s", h.Target, got, want)
						}
					}
					if stays := slices.Contains(*f.there.Load(), h.Target); test.unsure == nil && stays != (h.Step != Dropped) {
						t.Errorf("%s ended %s", h.Target, h.Step)
					}
				}
				for _, r := range []*Result{r, Rebuild(j.events, false)} {
					if f := r.Faults[0]; f.Hits != 2 || f.Injected != 2 {
						t.Errorf("%d of %d hits were injected, want 2 of 2", f.Injected, f.Hits)
					}
				}
				slices.Sort(hit)
				if got := strings.Join(hit, " "); got != test.hit || f.plans.Load() != test.plans {
					t.Errorf("%s were hit, after %d plans; want %s and %d", got, f.plans.Load(), test.hit, test.plans)
				}
				told := slices.ContainsFunc(r.Timeline, func(m Moment) bool {
					return strings.Contains(m.Text, "is gone before its turn; targets are drawn again")
				})
				if told != (test.plans == 2) {
					t.Errorf("told %v: %+v", told, r.Timeline)
				}
				for _, event := range j.events {
					if event.Hit != nil && event.Hit.Step == Intended && event.Hit.Hit == nil {
						t.Errorf("hit %s was not on disk as a whole before it was done", event.Hit.ID)
					}
					if event.Hit != nil && event.Hit.Step == Intended && string(event.Hit.Hit.Spec) != strconv.Itoa(int(test.plans)) {
						t.Errorf("of hit %s an earlier plan is on disk: %s", event.Hit.ID, event.Hit.Hit.Spec)
					}
				}
			})
		})
	}
}
