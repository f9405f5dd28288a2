package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gameday-sh/gameday/experiments"
)

// ProcessPause stops running processes of this machine and lets them go on
// later: to their callers they hang, with their connections open.
type ProcessPause struct {
	Targets

	refused refusals
}

// pauseSpec is what a hit of process_pause needs.
type pauseSpec struct {
	Process identity `json:"process"`
	Name    string   `json:"name"`
}

// stopWithin is how long threads may take to stop or to go on; one that waits for
// a disk does so only when the disk has answered.
const stopWithin = 5 * time.Second

// Validate implements [experiments.Validator].
func (f *ProcessPause) Validate() []experiments.Problem { return f.Targets.validate() }

// Lasts is true: a stopped process stays stopped.
func (f *ProcessPause) Lasts() bool { return true }

// Plan chooses the processes and makes sure that they may be signalled. One that
// is stopped already is left alone: the revert would wake what somebody else
// stopped.
func (f *ProcessPause) Plan(ctx context.Context, d experiments.Draw) ([]experiments.Hit, error) {
	where, err := thisMachine()
	if err != nil {
		return nil, err
	}
	chosen, err := f.Targets.choose(ctx, d, func(p process) string {
		switch p.state {
		case 'T':
			return "it is stopped already, by somebody else"
		case 't':
			return "a debugger holds it"
		}
		return ""
	})
	if err != nil {
		return nil, err
	}
	var hits []experiments.Hit
	for _, p := range chosen {
		id, err := pin(p, where)
		if err != nil {
			return nil, err
		}
		spec, err := json.Marshal(pauseSpec{Process: id, Name: p.name})
		if err != nil {
			return nil, fmt.Errorf("record process %v: %w", p, err)
		}
		hits = append(hits, experiments.Hit{
			Target: "process " + p.String(),
			Holds:  id.holds(),
			Effect: "hangs, stopped by SIGSTOP",
			Undo:   "SIGCONT, if it is still the same process",
			Fuse:   experiments.WatchdogFuse,
			Pin:    id.fixed("SIGSTOP"),
			Spec:   spec,
		})
	}
	return hits, nil
}

// Inject stops the process and waits until each of its threads is stopped.
func (f *ProcessPause) Inject(ctx context.Context, h experiments.Hit) (proof experiments.Proof, err error) {
	f.refused.set(h.ID, true)
	target, spec, err := openPaused(h)
	if err != nil {
		return proof, notHit(h, err)
	}
	defer func() { err = errors.Join(err, target.close()) }()
	if err := unchanged(spec.Process, spec.Name); err != nil {
		return proof, notHit(h, err)
	}
	stopped, _, err := target.stopped()
	if err != nil {
		return proof, notHit(h, err)
	}
	if stopped > 0 {
		return proof, fmt.Errorf("%s moved since the plan: somebody else stopped it; nothing was done", h.Target)
	}
	if err := ctx.Err(); err != nil {
		return proof, fmt.Errorf("%s: %w; nothing was done", h.Target, err)
	}
	f.refused.set(h.ID, false)
	if err := target.signal(unix.SIGSTOP); err != nil {
		return proof, notHit(h, err)
	}
	threads, err := await(ctx, target, func(stopped, threads int) bool { return stopped == threads })
	if err != nil {
		return proof, fmt.Errorf("%s got SIGSTOP, and then: %w", h.Target, err)
	}
	return experiments.Proof{Seen: fmt.Sprintf("%s is stopped (state T, %d of %d threads)", h.Target, threads, threads)}, nil
}

// Revert lets the process go on, if it is still the one that was stopped. It
// sends SIGCONT whether or not a thread is seen stopped, because a SIGSTOP may
// be on its way; to a process that runs, SIGCONT means nothing.
func (f *ProcessPause) Revert(ctx context.Context, h experiments.Hit) (err error) {
	if f.refused.has(h.ID) {
		return nil
	}
	target, _, err := openPaused(h)
	if isGone(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s: %w", h.Target, err)
	}
	defer func() { err = errors.Join(err, target.close()) }()
	if err := target.signal(unix.SIGCONT); err != nil {
		if isGone(err) {
			return nil
		}
		return fmt.Errorf("%s: %w", h.Target, err)
	}
	_, err = await(ctx, target, func(stopped, _ int) bool { return stopped == 0 })
	if err != nil && !isGone(err) {
		return fmt.Errorf("%s got SIGCONT, and then: %w; try `kill -CONT %d`", h.Target, err, target.id.PID)
	}
	return nil
}

// Check tells whether the process is stopped.
func (f *ProcessPause) Check(_ context.Context, h experiments.Hit) (seen experiments.Observation, err error) {
	target, _, err := openPaused(h)
	var stopped, threads int
	if err == nil {
		stopped, threads, err = target.stopped()
		err = errors.Join(err, target.close())
	}
	switch {
	case isGone(err):
		return experiments.Observation{State: experiments.Superseded, Seen: fmt.Sprintf("%s is gone: %v", h.Target, err)}, nil
	case err != nil:
		err = fmt.Errorf("%s: %w", h.Target, err)
		return experiments.Observation{State: experiments.Unknown, Seen: err.Error()}, err
	case stopped > 0 && f.refused.has(h.ID):
		return experiments.Observation{State: experiments.Superseded, Seen: h.Target + " was stopped by somebody else, not by this hit"}, nil
	case stopped > 0:
		return experiments.Observation{State: experiments.Harmed, Seen: fmt.Sprintf("%s is stopped (state T, %d of %d threads)", h.Target, stopped, threads)}, nil
	}
	return experiments.Observation{State: experiments.Whole, Seen: fmt.Sprintf("%s runs (none of %d threads stopped)", h.Target, threads)}, nil
}

func openPaused(h experiments.Hit) (*handle, pauseSpec, error) {
	var spec pauseSpec
	if err := json.Unmarshal(h.Spec, &spec); err != nil {
		return nil, spec, fmt.Errorf("read the record of process_pause: %w", err)
	}
	target, err := openProcess(spec.Process)
	return target, spec, err
}

// await reads the threads until they are as wanted, and returns how many live.
// The kernel tells only a parent when a process stops, so others must look.
func await(ctx context.Context, target *handle, wanted func(stopped, threads int) bool) (int, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, stopWithin, errTooSlow)
	defer cancel()
	for pause := 50 * time.Microsecond; ; pause = min(2*pause, 10*time.Millisecond) {
		stopped, threads, err := target.stopped()
		if err != nil {
			return 0, err
		}
		if threads > 0 && wanted(stopped, threads) {
			return threads, nil
		}
		select {
		case <-ctx.Done():
			return 0, fmt.Errorf("%d of %d threads are stopped: %w", stopped, threads, context.Cause(ctx))
		case <-time.After(pause):
		}
	}
}
