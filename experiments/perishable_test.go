package experiments

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// perishable is a breaker that can tell whether its harm is there still.
type perishable struct{ breaker }

func (p *perishable) Perished(_ context.Context, h Hit) (string, error) {
	if p.world.isBroken(h.Target) {
		return "", nil
	}
	return h.Target + " was gone", nil
}

// changed is a breaker whose target somebody else changed meanwhile.
type changed struct{ breaker }

func (*changed) Check(context.Context, Hit) (Observation, error) {
	return Observation{Superseded, "it is theirs"}, nil
}

func TestRecoveringTellsWhatSomebodyElseChanged(t *testing.T) {
	kind := func(string) (Fault, bool) { return &changed{breaker{world: newWorld()}}, true }
	left := []Hit{{ID: "cut/1/a", Kind: "changed", Target: "a"}}
	done, err := Recover(t.Context(), left, time.Second, kind, &memory{}, nil)
	if err != nil || len(done.Mended) != 1 || done.Mended[0] != "a: superseded: it is theirs" {
		t.Errorf("%+v, %v", done, err)
	}
}

// Once it is reverted nobody can tell any more that the harm was not there to the end.
func TestAHarmThatEndedBeforeItsTimeIsTold(t *testing.T) {
	for name, it := range map[string]struct {
		mended time.Duration // by somebody else
		state  State
		seen   string
	}{
		"it was there to the end":    {0, Whole, "not broken"},
		"somebody else took it away": {3 * time.Second, Superseded, "a was gone; now not broken"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				e := experiment(w, lasting("cut", &perishable{breaker{world: w, targets: []string{"a"}}}, 0, 10*time.Second))
				if it.mended > 0 {
					go func() {
						time.Sleep(it.mended)
						w.set("a", false)
					}()
				}
				r := Run(t.Context(), e, options(&memory{}))
				if h := r.Hits[0]; h.State != it.state || h.Mended != it.seen {
					t.Errorf("%s: %s, want %s: %s", h.State, h.Mended, it.state, it.seen)
				}
			})
		})
	}
}
