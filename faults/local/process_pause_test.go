//go:build linux

package local

import (
	"bufio"
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gameday-sh/gameday/experiments"
)

func pauser(name string) *ProcessPause { return &ProcessPause{Targets: Targets{Name: name, Count: 1}} }

// greeting connects to a listening helper and returns what it says within a while.
func greeting(t *testing.T, v *victim, within time.Duration) (string, error) {
	t.Helper()
	conn, err := net.DialTimeout("tcp", "127.0.0.1:"+v.said, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetReadDeadline(time.Now().Add(within)); err != nil {
		t.Fatal(err)
	}
	return bufio.NewReader(conn).ReadString('\n')
}

func TestProcessPauseHangsAServerUntilItIsReverted(t *testing.T) {
	name := uniqueName()
	v := start(t, name, "listen", true)
	f := pauser(name)
	hit := planned(t, f, "process_pause")[0]
	if !f.Lasts() || hit.Fuse != experiments.WatchdogFuse {
		t.Errorf("lasts %v with fuse %q, want a lasting hit with a watchdog", f.Lasts(), hit.Fuse)
	}
	wantState(t, f, hit, experiments.Whole, "runs")
	proof, err := f.Inject(t.Context(), hit)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(proof.Seen, "is stopped (state T") || v.state(t) != 'T' {
		t.Errorf("state %q, proof %q", v.state(t), proof.Seen)
	}
	if text, err := greeting(t, v, 50*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a stopped server answered %q (%v)", text, err)
	}
	// Another process would know only the record.
	wantState(t, new(ProcessPause), hit, experiments.Harmed, "is stopped")
	for range 2 {
		if err := new(ProcessPause).Revert(t.Context(), hit); err != nil {
			t.Fatal(err)
		}
		wantState(t, f, hit, experiments.Whole, "none of")
	}
	if text, err := greeting(t, v, 20*time.Second); text != "hello\n" {
		t.Errorf("a server that goes on answered %q (%v)", text, err)
	}
}

func TestProcessPauseLeavesAloneWhatSomebodyElseStopped(t *testing.T) {
	name := uniqueName()
	v := start(t, name, "sleep", true)
	stop := func() {
		t.Helper()
		if err := syscall.Kill(v.pid, syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		for v.state(t) != 'T' {
			time.Sleep(time.Millisecond)
		}
	}
	f := pauser(name)
	hit := planned(t, f, "process_pause")[0]
	stop()
	_, err := f.Plan(t.Context(), drawn(1))
	wantError(t, err, "none matched", "it is stopped already")

	_, err = f.Inject(t.Context(), hit)
	wantError(t, err, "moved since the plan", "somebody else stopped it", "nothing was done")
	if err := f.Revert(t.Context(), hit); err != nil {
		t.Fatal(err)
	}
	if state := v.state(t); state != 'T' {
		t.Errorf("the revert of a refused hit woke the process: state %q", state)
	}
	wantState(t, f, hit, experiments.Superseded, "by somebody else")

	// Once it runs again the same hit can be done, and then is undone.
	if err := syscall.Kill(v.pid, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	for v.state(t) == 'T' {
		time.Sleep(time.Millisecond)
	}
	wantState(t, f, hit, experiments.Whole, "runs")
	if _, err := f.Inject(t.Context(), hit); err != nil {
		t.Fatal(err)
	}
	wantState(t, f, hit, experiments.Harmed, "is stopped")
	if err := f.Revert(t.Context(), hit); err != nil {
		t.Fatal(err)
	}
	wantState(t, f, hit, experiments.Whole, "runs")
}

func TestProcessPauseOfAProcessThatEndedIsSuperseded(t *testing.T) {
	name := uniqueName()
	v := start(t, name, "sleep", true)
	f := pauser(name)
	hit := planned(t, f, "process_pause")[0]
	if _, err := f.Inject(t.Context(), hit); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(v.pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	v.ended <- <-v.ended
	wantState(t, f, hit, experiments.Superseded, "is gone")
	if err := f.Revert(t.Context(), hit); err != nil {
		t.Errorf("revert: %v", err)
	}
	_, err := f.Inject(t.Context(), hit)
	wantError(t, err, "moved since the plan", "nothing was done")
}

func TestProcessPauseSignalsOnlyTheProcessThatWasPlanned(t *testing.T) {
	name := uniqueName()
	v := start(t, name, "sleep", true)
	f := pauser(name)
	original := planned(t, f, "process_pause")[0]
	reused := respec(t, original, func(s *pauseSpec) { s.Process.Start-- })
	_, err := f.Inject(t.Context(), reused)
	wantError(t, err, "moved since the plan", "belongs to another process now", "nothing was done")
	if state := v.state(t); state == 'T' {
		t.Error("the wrong process was stopped")
	}

	if _, err := f.Inject(t.Context(), original); err != nil {
		t.Fatal(err)
	}
	fresh := new(ProcessPause)
	wantState(t, fresh, reused, experiments.Superseded, "belongs to another process now")
	if err := fresh.Revert(t.Context(), reused); err != nil {
		t.Errorf("revert: %v", err)
	}
	if state := v.state(t); state != 'T' {
		t.Error("a revert for another process woke this one")
	}

	// What cannot be seen from here is never taken for mended.
	elsewhere := respec(t, original, func(s *pauseSpec) { s.Process.Namespace = "pid:[1]" })
	wantState(t, fresh, elsewhere, experiments.Unknown, "pid namespace")
	wantError(t, fresh.Revert(t.Context(), elsewhere), "pid namespace", "gameday recover")
	damaged := original
	damaged.Spec = nil
	wantState(t, fresh, damaged, experiments.Unknown, "read the record")
	wantError(t, fresh.Revert(t.Context(), damaged), "read the record")

	if err := fresh.Revert(t.Context(), original); err != nil {
		t.Fatal(err)
	}
	wantState(t, fresh, original, experiments.Whole, "runs")
}

func TestProcessPauseUnderACancelledContextDoesNothing(t *testing.T) {
	name := uniqueName()
	v := start(t, name, "sleep", true)
	f := pauser(name)
	hit := planned(t, f, "process_pause")[0]
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := f.Inject(ctx, hit)
	wantError(t, err, context.Canceled.Error(), "nothing was done")
	if v.state(t) == 'T' {
		t.Error("the process was stopped")
	}
	_, err = f.Plan(ctx, drawn(1))
	wantError(t, err, context.Canceled.Error())
}

func TestProcessPauseValidatesItsSelector(t *testing.T) {
	if problems := pauser("shop").Validate(); len(problems) > 0 {
		t.Errorf("a name is enough, and there are problems: %v", problems)
	}
	if problems := pauser("").Validate(); len(problems) != 1 {
		t.Errorf("problems %v, want one: no way to find a process", problems)
	}
}
