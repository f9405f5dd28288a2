package experiments

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// crew is a workload of three, of which two must stay. Who was taken down is back after
// a while. Whoever counts them is a second late.
type crew struct {
	mu    sync.Mutex
	downs []stretch
}

type stretch struct{ from, to time.Time }

func (c *crew) down(from time.Time, lasts time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.downs = append(c.downs, stretch{from, from.Add(lasts)})
}

func (c *crew) downAt(at time.Time) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for _, one := range c.downs {
		if !at.Before(one.from) && at.Before(one.to) {
			n++
		}
	}
	return n
}

func (c *crew) most() int {
	most := 0
	for _, one := range slices.Clone(c.downs) {
		most = max(most, c.downAt(one.from))
	}
	return most
}

func (c *crew) allowance() Allowance {
	return Allowance{Of: "budget crew", Allows: 1 - c.downAt(time.Now().Add(-time.Second)), Why: "2 of 3 must stay"}
}

// mutiny takes one of the crew down for four seconds; doing so takes a while.
type mutiny struct {
	breaker
	crew *crew
	took time.Duration
	free bool // nothing bounds it when it is planned
}

func (m *mutiny) Plan(ctx context.Context, d Draw) ([]Hit, error) {
	time.Sleep(10 * time.Millisecond)
	hits, err := m.breaker.Plan(ctx, d)
	for i := range hits {
		if !m.free {
			hits[i].Takes = []Allowance{m.crew.allowance()}
		}
	}
	return hits, err
}

func (m *mutiny) Takes(_ context.Context, hits []Hit) ([][]Allowance, error) {
	return slices.Repeat([][]Allowance{{m.crew.allowance()}}, len(hits)), nil
}

func (m *mutiny) Inject(ctx context.Context, h Hit) (Proof, error) {
	time.Sleep(m.took)
	m.crew.down(time.Now(), 4*time.Second)
	return m.breaker.Inject(ctx, h)
}

func TestRoundsNeverTakeMoreTogetherThanIsAllowedByThen(t *testing.T) {
	const s = time.Second
	type faults map[string]Schedule
	for name, test := range map[string]struct {
		faults faults
		took   time.Duration
		lost   map[time.Duration]time.Duration // by itself, for how long, from the start of the run
		wrong  string
		hits   int
	}{
		"one fault, now and then":                  {faults{"a": {At: s, Every: Range{10 * s, 10 * s}, Duration: 60 * s}}, 0, nil, "", 6},
		"one fault, faster than the crew is back":  {faults{"a": {At: s, Every: Range{s, s}, Times: 5, Duration: 60 * s}}, 0, nil, "", 5},
		"two faults at the same moments":           {faults{"a": {At: s, Every: Range{10 * s, 10 * s}, Duration: 60 * s}, "b": {At: 41 * s, Every: Range{10 * s, 10 * s}, Times: 2, Duration: 15 * s}}, 0, nil, "", 8},
		"two faults that take their time":          {faults{"a": {At: s, Every: Range{10 * s, 10 * s}, Duration: 60 * s}, "b": {At: 41 * s, Every: Range{10 * s, 10 * s}, Times: 2, Duration: 15 * s}}, 3 * s, nil, "", 8},
		"a first round beside a later one":         {faults{"a": {At: s, Every: Range{20 * s, 20 * s}, Duration: 80 * s}, "b": {At: 41 * s}}, 100 * time.Millisecond, nil, "", 5},
		"a first round when one is down by itself": {faults{"a": {At: 20 * s}}, 0, map[time.Duration]time.Duration{15 * s: 20 * s}, "", 1},
		"when it does not come back":               {faults{"a": {At: 20 * s}}, 0, map[time.Duration]time.Duration{15 * s: time.Hour}, `round 1 of fault "a": budget crew allows 0 to be down at once, and 1 hit would take 1 (of fault "a"): 2 of 3 must stay (it waited for 30s)`, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, c := newWorld(), &crew{}
				for after, lasts := range test.lost {
					c.down(time.Now().Add(after), lasts)
				}
				e := experiment(w)
				for fault, schedule := range test.faults {
					e.Faults = append(e.Faults, &FaultPlan{Name: fault, Kind: "mutiny", Origin: "test.hcl:1", Schedule: schedule,
						Fault: &mutiny{breaker: breaker{world: w, instant: true, targets: []string{"one for " + fault}}, crew: c, took: test.took}})
				}
				r := Run(t.Context(), e, options(&memory{}))
				if test.wrong == "" {
					wantVerdict(t, r, Held)
				} else if r.Verdict != Errored || !strings.Contains(fmt.Sprint(r.Errors), test.wrong) {
					t.Errorf("%s: %s, %v; want %q", r.Verdict, r.Reason, r.Errors, test.wrong)
				}
				if most := c.most(); most > 1 {
					t.Errorf("%d were down at once", most)
				}
				hits := 0
				for _, hit := range r.Hits {
					if !hit.Injected.IsZero() {
						hits++
					}
				}
				if hits != test.hits {
					t.Errorf("%d hits, want %d", hits, test.hits)
				}
			})
		})
	}
}

// A budget may be made between the plan and the turn.
func TestARoundKeepsToWhatBoundsItOnlySinceThePlan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, c := newWorld(), &crew{}
		c.down(time.Now().Add(15*time.Second), time.Hour)
		e := experiment(w)
		e.Faults = []*FaultPlan{{Name: "a", Kind: "mutiny", Origin: "test.hcl:1", Schedule: Schedule{At: 20 * time.Second},
			Fault: &mutiny{breaker: breaker{world: w, instant: true, targets: []string{"one"}}, crew: c, free: true}}}
		r := Run(t.Context(), e, options(&memory{}))
		if want := "budget crew allows 0 to be down at once"; r.Verdict != Errored || !strings.Contains(fmt.Sprint(r.Errors), want) {
			t.Errorf("%s: %s, %v; want %q", r.Verdict, r.Reason, r.Errors, want)
		}
		if most := c.most(); most > 1 {
			t.Errorf("%d were down at once", most)
		}
	})
}

// A round that waits until it is allowed is planned again every moment.
func TestARoundThatWaitsNotesOnceWhatIsDifferentFromThen(t *testing.T) {
	f := &Fixed{From: "run 1", Replay: true}
	for range 3 {
		f.choice("kill", 2)
	}
	f.choice("kill", 3)
	if notes := f.taken(); len(notes) != 2 {
		t.Errorf("%q", notes)
	}
}

// What was in flight counts as it is read now, and no longer than it may not show.
func TestWhatIsInFlightCountsUntilItShows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		budget := func(allows int) Allowance { return Allowance{Of: "budget", At: "east", Allows: allows} }
		hit := func(id string, takes ...Allowance) []Hit { return []Hit{{ID: id, Fault: id, Takes: takes}} }
		f := &inFlight{}
		now := time.Now
		check := func(what string, err error, fits bool) {
			t.Helper()
			if (err == nil) != fits {
				t.Errorf("%s: %v", what, err)
			}
		}
		check("the first", f.take(hit("a", budget(1)), now()), true)
		check("the same again, as it was read anew", f.take(hit("a", budget(1)), now()), true)
		check("another", f.take(hit("b", budget(1)), now()), false)
		check("another, of which there is more by now", f.take(hit("c", budget(2)), now()), true)
		check("a third", f.take(hit("d", budget(2)), now()), false)
		check("elsewhere", f.take(hit("e", Allowance{Of: "budget", At: "west", Allows: 1}), now()), true)
		check("nothing", f.take(hit("f"), now()), true)
		f.land("a")
		f.land("c")
		f.land("nobody")
		read := now()
		time.Sleep(showing + time.Millisecond)
		check("by a reading from before it shows", f.take(hit("b", budget(1)), read), false)
		check("by one from after it", f.take(hit("b", budget(1)), now()), true)
		time.Sleep(2*settling + time.Millisecond)
		check("much later", f.take(hit("g", budget(2)), now()), true)
		if _, there := f.hits["a"]; there {
			t.Error("what landed long ago is still there")
		}
	})
}
