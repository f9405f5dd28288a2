package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The kernel ends an inject command with its runner, but not what it has started; a
// script that went on after the watchdog's revert would harm again.
func TestWhatAnInjectCommandStartedEndsWhenTheRunnerIsKilled(t *testing.T) {
	t.Parallel()
	home, dir := t.TempDir(), t.TempDir()
	pid, gate, harm := filepath.Join(dir, "pid"), filepath.Join(dir, "gate"), filepath.Join(dir, "harm")
	if err := syscall.Mkfifo(gate, 0o600); err != nil {
		t.Fatal(err)
	}
	scenario := filepath.Join(dir, "leftover.hcl")
	write(t, scenario, fmt.Sprintf(`
probe "exec" "always" {
  command = ["true"]
  every   = "200ms"
}
scenario "leftover" {
  hypothesis "always" { probe = probe.always }
  fault "exec" "script" {
    target   = "a directory"
    inject   = ["sh", "-c", "sh -c 'echo $$ > %[1]s.new; mv %[1]s.new %[1]s; read go < %[2]s; touch %[3]s'; true"]
    revert   = ["rm", "-f", %[3]q]
    check    = ["test", "-e", %[3]q]
    duration = "1s"
  }
}
`, pid, gate, harm))
	run := gameday(t, home, "run", scenario)
	poll(t, func() string { return "the script in:\n" + run.said.String() }, func() bool { _, err := os.Stat(pid); return err == nil })
	id, err := strconv.Atoi(strings.TrimSpace(read(t, pid)))
	if err != nil {
		t.Fatal(err)
	}
	run.signal(syscall.SIGKILL)
	if code := run.wait(10 * time.Second); code != -1 {
		t.Fatalf("it was killed and ended with %d", code)
	}
	poll(t, text("the end of the watchdog"), func() bool { return watchdogs(t, home) == 0 })
	if state := processState(id); state != "" && state != "Z" {
		t.Errorf("the script is still there (%s) and will harm", state)
		if err := syscall.Kill(id, syscall.SIGKILL); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(harm); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the harm: %v", err)
	}
	gameday(t, home, "recover").ends(10*time.Second, 0, "nothing to recover")
}
