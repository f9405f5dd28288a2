package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gameday-sh/gameday/experiments/journal"
	"github.com/gameday-sh/gameday/internal/state"
)

// crashWorkers is how many shops are broken side by side: a run mostly waits for the
// cluster.
const crashWorkers = 4

// A runner dies at each of its points with faults on a cluster; afterwards the cluster is
// as it was, and no pod was killed twice over.
func TestARunnerThatDiesAtAnyPointLeavesTheClusterAsItWas(t *testing.T) {
	slow(t)
	program, err := crashProgram()
	if err != nil {
		t.Fatal(err)
	}
	points := 0
	t.Run("points", func(t *testing.T) { points = newCrashShop(t, program).points() })
	t.Logf("%d points", points)
	if points < 40 {
		t.Fatalf("only %d crash points", points)
	}
	for worker := range crashWorkers {
		t.Run(fmt.Sprint(worker), func(t *testing.T) {
			t.Parallel()
			s := newCrashShop(t, program)
			died, tried := 0, 0
			for n := worker + 1; n <= points; n += crashWorkers {
				for _, alone := range []bool{true, false} {
					tried++
					if s.dies(n, alone) {
						died++
					}
				}
			}
			if died < tried*3/4 {
				t.Errorf("only %d of %d runs died at their point", died, tried)
			}
		})
	}
}

// crashShop is a shop that a program with crash points breaks.
type crashShop struct {
	*shop
	program string
}

func newCrashShop(t *testing.T, program string) *crashShop {
	t.Helper()
	return &crashShop{newShop(t, allFaults...), program}
}

func (s *crashShop) gameday(home string, environment []string, args ...string) (string, error) {
	s.t.Helper()
	command := exec.CommandContext(s.t.Context(), s.program, append([]string{args[0], "--state", home}, args[1:]...)...)
	command.Env = append(os.Environ(), environment...)
	output, err := command.CombinedOutput()
	return string(output), err
}

func (s *crashShop) crash(home string, environment ...string) (string, error) {
	s.t.Helper()
	return s.gameday(home, environment, append(append([]string{"run"}, s.flags("duration=50ms")...), s.scenario)...)
}

// points counts the crash points of a run that goes to its end.
func (s *crashShop) points() int {
	s.t.Helper()
	path := filepath.Join(s.t.TempDir(), "points")
	if output, err := s.crash(s.t.TempDir(), "GAMEDAY_CRASH_POINTS="+path); err != nil {
		s.t.Fatalf("a run without a crash: %v\n%s", err, output)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, point := range []string{"journal fsync", "inject fewer", "injected cut", "inject closed", "injected killed", "revert cut", "reverted fewer"} {
		if !bytes.Contains(text, []byte(point)) {
			s.t.Errorf("no point is called %q:\n%s", point, text)
		}
	}
	return bytes.Count(text, []byte("\n"))
}

// dies lets a run die at a point, alone, or with its watchdog and the first recover. It
// tells whether the run died.
func (s *crashShop) dies(point int, alone bool) bool {
	t := s.t
	t.Helper()
	for _, pod := range s.c.Pods(t, s.namespace, "stock") {
		s.pods[pod.Text("metadata", "uid")] = true
	}
	home := t.TempDir()
	environment := []string{fmt.Sprintf("GAMEDAY_CRASH_RUN=%d", point)}
	if !alone {
		environment = append(environment, fmt.Sprintf("GAMEDAY_CRASH_WATCHDOG=%d", point%7+1))
	}
	output, err := s.crash(home, environment...)
	died := err != nil && strings.Contains(err.Error(), "killed")
	s.settle(home)
	// What the watchdog did is in its log. Before there is one nothing can be broken.
	logs, err := filepath.Glob(filepath.Join(home, "runs", "*", "watchdog.log"))
	if err != nil {
		t.Fatal(err)
	}
	if !alone || len(logs) == 0 {
		again, _ := s.gameday(home, []string{fmt.Sprintf("GAMEDAY_CRASH_RECOVER=%d", point%5+1)}, "recover")
		output += again
		again, err := s.gameday(home, nil, "recover")
		output += again
		if err != nil {
			t.Fatalf("died at point %d: recover: %v\n%s", point, err, output)
		}
	}
	for _, path := range logs {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		output += "\nits watchdog: " + string(text)
	}
	if after := s.snapshot(); after != s.before {
		t.Fatalf("died at point %d: the cluster was\n%s\nand is\n%s\n%s", point, s.before, after, output)
	}
	if again, err := s.gameday(home, nil, "recover"); err != nil || !strings.Contains(again, "nothing to recover") {
		t.Fatalf("died at point %d: a last recover said %q, %v", point, again, err)
	}
	s.c.AwaitReady(t, s.namespace, "stock", 3)
	if n := s.lost(); n > 2 {
		t.Fatalf("died at point %d: %d pods were killed, and 2 were asked for\n%s", point, n, output)
	}
	return died
}

// lost counts the pods that were there when dies began and are gone; then it forgets them.
func (s *crashShop) lost() int {
	s.t.Helper()
	count := s.killed()
	clear(s.pods)
	return count
}

// settle waits until no process writes the journal of any run any more.
func (s *crashShop) settle(home string) {
	s.t.Helper()
	dir, err := state.Open(home)
	if err != nil {
		s.t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		live, err := dir.Live()
		if err != nil {
			s.t.Fatal(err)
		}
		busy := watchdogs(s.t, home) > 0
		for _, run := range live {
			if alive, err := journal.Alive(dir.RunPath(run)); err == nil && alive {
				busy = true
			}
		}
		if !busy {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatal("somebody still writes the journal")
		}
	}
}
