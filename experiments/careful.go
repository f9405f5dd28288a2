package experiments

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"strings"
	"time"
)

// grace is how long a call may go on after its context ended, to say why.
const grace = time.Second

// bounded calls do, which may panic and may not keep to ctx: a panic becomes an
// error, and a call that goes on after ctx and the grace is given up. The channel is
// closed when do has truly returned; until then what it does to the world is open.
func bounded[T any](ctx context.Context, what string, do func() (T, error)) (result T, over <-chan struct{}, err error) {
	type answer struct {
		result T
		err    error
	}
	answered := make(chan answer, 1)
	returned := make(chan struct{})
	go func() {
		defer close(returned)
		var a answer
		defer func() {
			if r := recover(); r != nil {
				a.err = panicked(what, r)
			}
			answered <- a
		}()
		a.result, a.err = do()
	}()
	select {
	case a := <-answered:
		return a.result, returned, a.err
	case <-ctx.Done():
	}
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case a := <-answered:
		return a.result, returned, a.err
	case <-timer.C:
		return result, returned, fmt.Errorf("%s was told to end and did not return within %s; it may still act", what, FormatDuration(grace))
	}
}

// panicked words a panic, with the place it came from.
func panicked(what string, value any) error {
	var frames [32]uintptr
	// 3 skips Callers, this function and the deferred one.
	list := runtime.CallersFrames(frames[:runtime.Callers(3, frames[:])])
	for {
		frame, more := list.Next()
		if !strings.HasPrefix(frame.Function, "runtime.") {
			return fmt.Errorf("%s panicked: %v (%s:%d); this is a defect in gameday, please report it", what, value, frame.File[strings.LastIndex(frame.File, "/")+1:], frame.Line)
		}
		if !more {
			return fmt.Errorf("%s panicked: %v; this is a defect in gameday, please report it", what, value)
		}
	}
}

// careful is a fault that neither brings the runner down by a panic, nor holds it up
// by going on when its time is up.
type careful struct {
	fault Fault
	name  string // to a person
}

func (p *FaultPlan) careful() careful {
	return careful{p.Fault, fmt.Sprintf("fault %q", p.Name)}
}

func (c careful) plan(ctx context.Context, d Draw) ([]Hit, error) {
	hits, _, err := bounded(ctx, c.name+": Plan", func() ([]Hit, error) { return c.fault.Plan(ctx, d) })
	return hits, err
}

// inject also gives a channel that is closed once Inject has truly returned.
func (c careful) inject(ctx context.Context, h Hit) (Proof, <-chan struct{}, error) {
	proof, over, err := bounded(ctx, c.name+": Inject", func() (Proof, error) { return c.fault.Inject(ctx, h) })
	if err == nil && proof.Seen == "" {
		err = fmt.Errorf("%s: its effect was not read back", c.name)
	}
	return proof, over, err
}

func (c careful) revert(ctx context.Context, h Hit) error {
	_, _, err := bounded(ctx, c.name+": Revert", func() (struct{}, error) { return struct{}{}, c.fault.Revert(ctx, h) })
	return err
}

func (c careful) check(ctx context.Context, h Hit) (Observation, error) {
	seen, _, err := bounded(ctx, c.name+": Check", func() (Observation, error) { return c.fault.Check(ctx, h) })
	return seen, err
}

// measureCarefully takes a measurement, and gives it up when ctx ended long ago.
func measureCarefully(ctx context.Context, p *Probed) (Sample, <-chan struct{}) {
	sample, over, err := bounded(ctx, p.SeriesName(), func() (Sample, error) { return p.Probe.Measure(ctx), nil })
	if err != nil {
		return Sample{Value: math.NaN(), Condition: Broken, Why: err.Error()}, over
	}
	return sample, over
}

// countCarefully counts a window.
func countCarefully(ctx context.Context, s *SLO, at time.Time, window time.Duration) Count {
	count, _, err := bounded(ctx, s.SeriesName(), func() (Count, error) { return s.SLI.Count(ctx, at, window), nil })
	if err != nil {
		count = Count{Condition: Broken, Why: err.Error()}
	}
	count.At, count.Window = at, window
	return count
}

// judgeCarefully asks a guard. One that panics cannot see any more: that is a breach.
func judgeCarefully(g *GuardPlan, h *History) (reading Reading, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = panicked("guard "+g.Name, r)
			reading = Reading{Breached: true, Blind: true, Used: 1, Text: err.Error()}
		}
	}()
	return g.Guard.Judge(h), nil
}
