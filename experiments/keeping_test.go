package experiments

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// keeper is a breaker with claims.
type keeper struct {
	breaker
	mu       sync.Mutex
	log      []string
	claimErr error
	keepErr  func() error
	hangs    bool
	took     []Allowance
	allows   func() int // of took, at each plan
}

func (k *keeper) note(format string, words ...any) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.log = append(k.log, fmt.Sprintf(format, words...))
}

func (k *keeper) text() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return strings.Join(k.log, "\n")
}

func (k *keeper) Plan(ctx context.Context, d Draw) ([]Hit, error) {
	hits, err := k.breaker.Plan(ctx, d)
	for i := range hits {
		for _, take := range k.took {
			take.Allows = k.allows()
			hits[i].Takes = append(hits[i].Takes, take)
		}
	}
	return hits, err
}

func (k *keeper) Claim(_ context.Context, run string, hits []Hit) error {
	k.note("claim %s %d", run, len(hits))
	return k.claimErr
}

func (k *keeper) Keep(ctx context.Context, run string, hits []Kept) error {
	if k.hangs {
		<-ctx.Done()
		return ctx.Err()
	}
	injected := 0
	var age time.Duration
	for _, hit := range hits {
		if hit.Injected {
			injected++
			age = max(age, hit.Age)
		}
	}
	k.note("keep %s %d of %d injected, for %s", run, injected, len(hits), age.Round(time.Second))
	if k.keepErr != nil {
		return k.keepErr()
	}
	return nil
}

func (k *keeper) Yield(_ context.Context, run string, hits []Hit) error {
	k.note("yield %s %d", run, len(hits))
	return nil
}

func TestClaimsAreTakenFirstKeptUpAndGivenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		k := &keeper{breaker: breaker{world: w, targets: []string{"a", "b"}}}
		e := experiment(w, lasting("cut", k, 3*time.Second, 12*time.Second))
		e.Hypotheses[0].During = false
		r := Run(t.Context(), e, options(&memory{}))
		wantVerdict(t, r, Held)
		lines := strings.Split(k.text(), "\n")
		if lines[0] != "claim run-1 2" || lines[len(lines)-1] != "yield run-1 2" {
			t.Errorf("it went:\n%s", k.text())
		}
		// The baseline takes 1 s and the hits come 3 s later, so the pace of 5 s finds them
		// 1 s old and on. Once they are mended nothing is renewed.
		for _, want := range []string{"keep run-1 2 of 2 injected, for 1s", "keep run-1 2 of 2 injected, for 6s", "keep run-1 2 of 2 injected, for 11s"} {
			if !strings.Contains(k.text(), want) {
				t.Errorf("not %q in:\n%s", want, k.text())
			}
		}
		if n := strings.Count(k.text(), "injected, for"); n != 3 {
			t.Errorf("renewed %d times:\n%s", n, k.text())
		}
	})
}

func TestAClaimThatIsRefusedLeavesTheWorldAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		k := &keeper{breaker: breaker{world: w, targets: []string{"a"}}, claimErr: errors.New("held by run other-run")}
		r := Run(t.Context(), experiment(w, lasting("cut", k, 0, time.Second)), options(&memory{}))
		wantVerdict(t, r, Errored)
		if !strings.Contains(r.Reason, "other-run") || w.history() != "" {
			t.Errorf("reason %q, world %q", r.Reason, w.history())
		}
		if k.text() != "claim run-1 1\nyield run-1 1" { // what was taken before it failed
			t.Errorf("it went:\n%s", k.text())
		}
	})
}

func TestARunThatCannotRenewIsStoppedAndMended(t *testing.T) {
	for name, k := range map[string]*keeper{
		"an error": {keepErr: func() error { return errors.New("no answer") }},
		"no end":   {hangs: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				k.breaker = breaker{world: w, targets: []string{"a"}}
				e := experiment(w, lasting("cut", k, 0, time.Hour))
				e.Hypotheses[0].During = false
				began := time.Now()
				r := Run(t.Context(), e, options(&memory{}))
				wantVerdict(t, r, Aborted)
				if !strings.Contains(r.Reason, "claims and fuses could not be renewed for 30s") || w.anyBroken() {
					t.Errorf("reason %q, broken %v", r.Reason, w.anyBroken())
				}
				if took := time.Since(began); took > 2*time.Minute {
					t.Errorf("it was noticed after %s", took)
				}
			})
		})
	}
}

func TestOneRenewalThatFailsIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		failed := 0
		k := &keeper{breaker: breaker{world: w, targets: []string{"a"}}, keepErr: func() error {
			if failed++; failed%6 != 0 { // never six in a row
				return errors.New("no answer")
			}
			return nil
		}}
		j := &memory{}
		e := experiment(w, lasting("cut", k, 0, 2*time.Minute))
		e.Hypotheses[0].During = false
		wantVerdict(t, Run(t.Context(), e, options(j)), Held)
		told := 0
		for _, event := range j.events {
			if event.Type == EventNote && strings.Contains(event.Text, "could not renew: no answer") {
				told++
			}
		}
		if told < 3 {
			t.Errorf("told %d times", told)
		}
	})
}

func TestALaterRoundWaitsUntilWhatMustStayIsThere(t *testing.T) {
	for name, it := range map[string]struct {
		back    time.Duration // when what was taken is there again
		verdict Verdict
		hits    int
		words   string
	}{
		"it comes back":       {8 * time.Second, Held, 3, ""},
		"it does not in time": {time.Hour, Errored, 1, `round 2 of fault "kill": budget allows 0 to be down at once, and 1 hit would take 1`},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				var taken time.Time
				k := &keeper{breaker: breaker{world: w, targets: []string{"a"}, instant: true}, took: []Allowance{{Of: "budget", Why: "wait"}}}
				k.allows = func() int {
					if !taken.IsZero() && time.Since(taken) < it.back {
						return 0
					}
					taken = time.Now() // each plan that is allowed takes it
					return 1
				}
				plan := &FaultPlan{Name: "kill", Kind: "breaker", Fault: k, Schedule: Schedule{Every: Range{5 * time.Second, 5 * time.Second}, Duration: 15 * time.Second}}
				r := Run(t.Context(), experiment(w, plan), options(&memory{}))
				wantVerdict(t, r, it.verdict)
				if len(r.Hits) != it.hits || !strings.Contains(r.Reason, it.words) {
					t.Errorf("%d hits, want %d; %s", len(r.Hits), it.hits, r.Reason)
				}
			})
		})
	}
}
