package local

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/gameday-sh/gameday/experiments"
)

// endLeftovers ends the processes that the inject command of a hit has left running in
// the session of a runner that is gone. They are known by their environment. A daemon
// has a session of its own and is left to the revert command. It needs Linux; elsewhere
// nothing is found.
func (s execSpec) endLeftovers(ctx context.Context, h experiments.Hit) error {
	where, err := thisMachine()
	if errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	if err != nil {
		return err
	}
	marks := []string{reserved + "RUN=" + s.Run, reserved + "HIT=" + h.ID, reserved + "COMMAND=" + commandInject}
	// Again until none is found: one may have started another meanwhile.
	for {
		all, err := listProcesses(ctx)
		if err != nil {
			return err
		}
		found := false
		for _, p := range all {
			if p.session != s.Session || p.state == 'Z' || p.pid == os.Getpid() || !carries(p.pid, marks) {
				continue
			}
			found = true
			id := identity{PID: p.pid, Start: p.start, Boot: where.boot, Namespace: where.namespace, Host: where.host}
			if err := end(ctx, id); err != nil && !isGone(err) {
				return fmt.Errorf("end process %v, which the inject command has left running: %w", p, err)
			}
		}
		if !found {
			return nil
		}
	}
}

// end ends a process and waits until it has ended.
func end(ctx context.Context, id identity) (err error) {
	target, err := openProcess(id)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, target.close()) }()
	if err := target.signal(unix.SIGKILL); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, stopWithin, errTooSlow)
	defer cancel()
	return target.awaitEnd(ctx)
}
