package faults_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/faults/conformance"
	"github.com/gameday-sh/gameday/faults/local"
)

// processes makes worlds of two running processes of the same name, which is that
// of the test's directory. What moves them is that somebody else signals them.
func processes(kind string, aim func(name string) experiments.Fault, moves syscall.Signal) conformance.World {
	return conformance.World{Kind: kind, Build: func(t *testing.T) conformance.Target {
		if runtime.GOOS != "linux" {
			t.Skip("processes can be hit on Linux only")
		}
		sleep, err := exec.LookPath("sleep")
		if err != nil {
			t.Fatal(err)
		}
		name := "gameday" + strings.NewReplacer("/", "-").Replace(t.TempDir())
		var pids []int
		for range 2 {
			child := &exec.Cmd{Path: sleep, Args: []string{name, "300"}}
			if err := child.Start(); err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- child.Wait() }()
			t.Cleanup(func() {
				if err := child.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
					t.Error(err)
				}
				<-ended
			})
			pids = append(pids, child.Process.Pid)
		}
		return conformance.Target{
			Fault: aim(name), Nowhere: aim(name + "-elsewhere"),
			Snapshot: func(t *testing.T) string { return lives(t, pids) },
			Move: func(t *testing.T) {
				before := lives(t, pids)
				for _, pid := range pids {
					if err := syscall.Kill(pid, moves); err != nil {
						t.Fatal(err)
					}
				}
				for now := lives(t, pids); now == before || strings.Contains(now, "runs"); now = lives(t, pids) {
					time.Sleep(time.Millisecond)
				}
			},
		}
	}}
}

// lives says of each process whether it runs, is stopped or is gone.
func lives(t *testing.T, pids []int) string {
	t.Helper()
	var text strings.Builder
	for _, pid := range pids {
		life := "runs"
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		switch {
		case errors.Is(err, os.ErrNotExist), errors.Is(err, syscall.ESRCH), strings.Contains(string(status), "State:\tZ"):
			life = "gone"
		case err != nil:
			t.Fatal(err)
		case strings.Contains(string(status), "State:\tT"):
			life = "stopped"
		}
		fmt.Fprintf(&text, "%d %s\n", pid, life)
	}
	return text.String()
}

// commands makes worlds of a directory that a command puts a file into, run by a
// program that is moved by pointing its link elsewhere.
func commands(lasts bool) conformance.World {
	return conformance.World{Kind: "exec", Build: func(t *testing.T) conformance.Target {
		dir, tools := t.TempDir(), t.TempDir()
		tool := filepath.Join(tools, "tool")
		point := func(t *testing.T, program string) {
			t.Helper()
			path, err := exec.LookPath(program)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(path, tool+".new"); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(tool+".new", tool); err != nil {
				t.Fatal(err)
			}
		}
		point(t, "sh")
		aim := func(program string) *local.Exec {
			f := &local.Exec{
				InjectCommand: []string{program, "-c", "touch harm"},
				Target:        "directory " + dir, Dir: dir, Timeout: time.Minute,
			}
			if lasts {
				f.RevertCommand, f.CheckCommand = []string{"rm", "-f", "harm"}, []string{"test", "-e", "harm"}
			}
			return f
		}
		return conformance.Target{
			Fault: aim(tool), Nowhere: aim(tool + "-elsewhere"),
			Snapshot: func(t *testing.T) string {
				entries, err := os.ReadDir(dir)
				if err != nil {
					t.Fatal(err)
				}
				return fmt.Sprint(entries)
			},
			Move: func(t *testing.T) { point(t, "cat") },
		}
	}}
}
