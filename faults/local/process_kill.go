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

// ProcessKill ends running processes of this machine. What it ends stays ended
// until whoever supervises it starts it again.
type ProcessKill struct {
	Targets
	Signal string        `hcl:"signal,optional" default:"\"KILL\"" enum:"KILL|TERM|INT|QUIT|ABRT" doc:"Signal to send; only KILL cannot be handled or ignored"`
	Wait   time.Duration `hcl:"wait,optional" default:"\"5s\"" doc:"How long the process may take to end; longer fails the fault"`
}

// killSpec is what a hit of process_kill needs.
type killSpec struct {
	Process identity      `json:"process"`
	Name    string        `json:"name"`
	Signal  string        `json:"signal"`
	Wait    time.Duration `json:"wait_ns"`
}

// endingSignals are those that end a process unless it handles them.
func endingSignals() map[string]unix.Signal {
	return map[string]unix.Signal{
		"KILL": unix.SIGKILL, "TERM": unix.SIGTERM, "INT": unix.SIGINT, "QUIT": unix.SIGQUIT, "ABRT": unix.SIGABRT,
	}
}

// Validate implements [experiments.Validator].
func (f *ProcessKill) Validate() []experiments.Problem {
	problems := f.Targets.validate()
	if f.Wait <= 0 {
		problems = append(problems, experiments.Problem{
			Attribute: "wait", Summary: "No time to end in",
			Detail: `A process takes a moment to end, even by KILL; write wait = "5s".`,
		})
	}
	return problems
}

// Lasts is false: a kill is over at once.
func (f *ProcessKill) Lasts() bool { return false }

// Plan chooses the processes and makes sure that they may be signalled.
func (f *ProcessKill) Plan(ctx context.Context, d experiments.Draw) ([]experiments.Hit, error) {
	where, err := thisMachine()
	if err != nil {
		return nil, err
	}
	chosen, err := f.Targets.choose(ctx, d, func(process) string { return "" })
	if err != nil {
		return nil, err
	}
	var hits []experiments.Hit
	for _, p := range chosen {
		id, err := pin(p, where)
		if err != nil {
			return nil, err
		}
		spec, err := json.Marshal(killSpec{Process: id, Name: p.name, Signal: f.Signal, Wait: f.Wait})
		if err != nil {
			return nil, fmt.Errorf("record process %v: %w", p, err)
		}
		hits = append(hits, experiments.Hit{
			Target: "process " + p.String(),
			Holds:  id.holds(),
			Effect: "ended by SIG" + f.Signal,
			Undo:   "nothing to undo: whoever supervises it restarts it",
			Pin:    id.fixed(fmt.Sprintf("SIG%s, and %s to end in", f.Signal, experiments.FormatDuration(f.Wait))),
			Spec:   spec,
		})
	}
	return hits, nil
}

// Inject sends the signal and waits until the process is gone. A zombie counts as
// gone: it has ended, and only its parent's note of it is left.
func (f *ProcessKill) Inject(ctx context.Context, h experiments.Hit) (proof experiments.Proof, err error) {
	spec, err := readKillSpec(h)
	if err != nil {
		return proof, err
	}
	signal, known := endingSignals()[spec.Signal]
	if !known {
		return proof, fmt.Errorf("%s: the record asks for signal %q, which does not end a process; nothing was done", h.Target, spec.Signal)
	}
	target, err := openProcess(spec.Process)
	if err != nil {
		return proof, notHit(h, err)
	}
	defer func() { err = errors.Join(err, target.close()) }()
	if err := unchanged(spec.Process, spec.Name); err != nil {
		return proof, notHit(h, err)
	}
	if err := ctx.Err(); err != nil {
		return proof, fmt.Errorf("%s: %w; nothing was done", h.Target, err)
	}
	if err := target.signal(signal); err != nil {
		return proof, notHit(h, err)
	}
	patience, cancel := context.WithTimeoutCause(ctx, spec.Wait, errTooSlow)
	defer cancel()
	if err := target.awaitEnd(patience); err != nil {
		if !errors.Is(err, errTooSlow) {
			return proof, fmt.Errorf("%s got SIG%s, and then: %w", h.Target, spec.Signal, err)
		}
		return proof, fmt.Errorf("%s got SIG%s and still runs after %s; it may handle the signal: allow a longer wait, or write signal = \"KILL\"",
			h.Target, spec.Signal, experiments.FormatDuration(spec.Wait))
	}
	return experiments.Proof{Seen: fmt.Sprintf("%s is gone after SIG%s", h.Target, spec.Signal) + remains(spec.Process)}, nil
}

var errTooSlow = errors.New("took too long")

// remains says that the parent of an ended process has not collected it.
func remains(id identity) string {
	if p, err := readProcess(id.PID); err == nil && p.start == id.Start {
		return fmt.Sprintf(" (a zombie until its parent %d collects it)", p.parent)
	}
	return ""
}

// notHit says why a hit was not done at all.
func notHit(h experiments.Hit, err error) error {
	if isGone(err) {
		return fmt.Errorf("%s moved since the plan: %w; nothing was done", h.Target, err)
	}
	return fmt.Errorf("%s: %w; nothing was done", h.Target, err)
}

// Revert succeeds: a process that has ended cannot be brought back.
func (f *ProcessKill) Revert(_ context.Context, h experiments.Hit) error {
	_, err := readKillSpec(h)
	return err
}

// Check says what became of the process. It is whole either way: a kill leaves
// nothing behind that could be undone.
func (f *ProcessKill) Check(_ context.Context, h experiments.Hit) (experiments.Observation, error) {
	spec, err := readKillSpec(h)
	if err != nil {
		return experiments.Observation{State: experiments.Unknown, Seen: err.Error()}, err
	}
	seen := h.Target + " still runs; nothing to undo"
	target, err := openProcess(spec.Process)
	if err == nil {
		err = target.close()
	}
	switch {
	case isGone(err):
		seen = fmt.Sprintf("%s is gone: %v; nothing to undo", h.Target, err)
	case err != nil:
		seen = fmt.Sprintf("%s cannot be seen: %v; a kill leaves nothing to undo", h.Target, err)
	}
	return experiments.Observation{State: experiments.Whole, Seen: seen}, nil
}

func readKillSpec(h experiments.Hit) (killSpec, error) {
	var spec killSpec
	if err := json.Unmarshal(h.Spec, &spec); err != nil {
		return spec, fmt.Errorf("%s: read the record of process_kill: %w", h.Target, err)
	}
	return spec, nil
}
