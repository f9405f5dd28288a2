package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gameday-sh/gameday/experiments/journal"
	"github.com/gameday-sh/gameday/faults/toxiproxy/toxiproxytest"
	"github.com/gameday-sh/gameday/internal/state"
)

// crashProgram builds gameday with numbered crash points, once.
var crashProgram = sync.OnceValues(func() (string, error) {
	return built("gameday-crash", "go", "build", "-tags", "crashpoints", ".")
})

// crashWorld is a real system to break: a toxiproxy-server with two proxies, a
// process, and a file that a user's own commands make and remove.
type crashWorld struct {
	t         *testing.T
	program   string
	toxiproxy string
	process   int
	marker    string
	scenario  string
	front     string
}

const crashScenario = `
variable "toxiproxy" {}
variable "front" {}
variable "marker" {}
variable "pid_file" {}

toxiproxy {
  url = var.toxiproxy
}

probe "http" "front" {
  url   = var.front
  every = "10s"
}

scenario "crash" {
  seed = 1
  hypothesis "the front door answers" {
    probe = probe.front
    hold  = "0s"
  }
  fault "toxiproxy_latency" "late" {
    proxies  = ["payments", "catalogue"]
    latency  = "10ms"
    duration = "60ms"
  }
  fault "toxiproxy_down" "cut" {
    proxy    = "catalogue"
    after    = fault.late
    duration = "30ms"
  }
  fault "process_pause" "hang" {
    pid_file = var.pid_file
    duration = "80ms"
  }
  fault "exec" "mark" {
    inject   = ["touch", var.marker]
    revert   = ["rm", "-f", var.marker]
    check    = ["test", "-e", var.marker]
    at       = "20ms"
    duration = "40ms"
  }
}
`

func newCrashWorld(t *testing.T) *crashWorld {
	program, err := crashProgram()
	if err != nil {
		t.Fatal(err)
	}
	url, _ := toxiproxytest.Server(t)
	front := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(front.Close)
	for _, name := range []string{"payments", "catalogue"} {
		makeProxy(t, url, name, front.Listener.Addr().String())
	}
	sleeper := exec.Command("sleep", "3600")
	if err := sleeper.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := sleeper.Process.Kill(); err != nil {
			t.Error(err)
		}
		_ = sleeper.Wait() // it was killed
	})
	dir := t.TempDir()
	w := &crashWorld{t: t, program: program, toxiproxy: url, process: sleeper.Process.Pid, marker: filepath.Join(dir, "marker"), scenario: filepath.Join(dir, "crash.hcl"), front: front.URL}
	write(t, w.scenario, crashScenario)
	write(t, filepath.Join(dir, "pid"), strconv.Itoa(w.process))
	return w
}

// makeProxy makes a proxy on a toxiproxy-server, and gives the address it listens on.
func makeProxy(t testing.TB, server, name, upstream string) string {
	t.Helper()
	body, err := json.Marshal(map[string]any{"name": name, "listen": "127.0.0.1:0", "upstream": upstream, "enabled": true})
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.Post(server+"/proxies", "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	var made struct{ Listen string }
	if err := errors.Join(json.NewDecoder(answer.Body).Decode(&made), answer.Body.Close()); err != nil || answer.StatusCode != http.StatusCreated {
		t.Fatalf("create proxy %s: %s, %v", name, answer.Status, err)
	}
	return made.Listen
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// snapshot reads the whole world.
func (w *crashWorld) snapshot() string {
	w.t.Helper()
	answer, err := http.Get(w.toxiproxy + "/proxies")
	if err != nil {
		w.t.Fatal(err)
	}
	var proxies map[string]any
	if err := json.NewDecoder(answer.Body).Decode(&proxies); err != nil {
		w.t.Fatal(err)
	}
	if err := answer.Body.Close(); err != nil {
		w.t.Fatal(err)
	}
	text, err := json.Marshal(proxies)
	if err != nil {
		w.t.Fatal(err)
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", w.process))
	if err != nil {
		w.t.Fatal(err)
	}
	state := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))[0]
	if state == "R" || state == "D" {
		state = "S" // on its way to sleep
	}
	_, err = os.Stat(w.marker)
	return fmt.Sprintf("%s process=%s marker=%v", text, state, err == nil)
}

// gameday runs a command with crash points set, and gives its output.
func (w *crashWorld) gameday(home string, environment []string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, w.program, append([]string{args[0], "--state", home}, args[1:]...)...)
	command.Env = append(os.Environ(), environment...)
	output, err := command.CombinedOutput()
	return string(output), err
}

func (w *crashWorld) run(home string, environment ...string) (string, error) {
	return w.gameday(home, environment, "run", "--var", "toxiproxy="+w.toxiproxy, "--var", "front="+w.front,
		"--var", "marker="+w.marker, "--var", "pid_file="+filepath.Join(filepath.Dir(w.scenario), "pid"), w.scenario)
}

// settle waits until no process writes the journal of any run any more.
func (w *crashWorld) settle(home string) {
	w.t.Helper()
	dir, err := state.Open(home)
	if err != nil {
		w.t.Fatal(err)
	}
	live, err := dir.Live()
	if err != nil {
		w.t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		if len(live) == 0 {
			return
		}
		if watchdogs(w.t, home) == 0 {
			if alive, err := journal.Alive(dir.RunPath(live[0])); err != nil || !alive {
				return
			}
		}
		if time.Now().After(deadline) {
			w.t.Fatal("somebody still writes the journal")
		}
	}
}

// watchdogs counts the watchdog processes of a state folder.
func watchdogs(t *testing.T, home string) int {
	t.Helper()
	found, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for _, path := range found {
		text, err := os.ReadFile(path)
		if err == nil && bytes.Contains(text, []byte("watchdog\x00--state\x00"+home+"\x00")) {
			count++
		}
	}
	return count
}

func (w *crashWorld) points() int {
	w.t.Helper()
	path := filepath.Join(w.t.TempDir(), "points")
	if output, err := w.run(w.t.TempDir(), "GAMEDAY_CRASH_POINTS="+path); err != nil {
		w.t.Fatalf("a run without a crash: %v\n%s", err, output)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, point := range []string{"journal append", "journal fsync", "inject late", "injected mark", "revert hang", "reverted cut"} {
		if !bytes.Contains(text, []byte(point)) {
			w.t.Errorf("no point is called %q:\n%s", point, text)
		}
	}
	return bytes.Count(text, []byte("\n"))
}

func TestARunnerThatDiesAtAnyPointLeavesTheWorldAsItWas(t *testing.T) {
	slow(t)
	w := newCrashWorld(t)
	before := w.snapshot()
	points := w.points()
	if points < 40 {
		t.Fatalf("only %d crash points", points)
	}
	t.Logf("%d points", points)
	check := func(name, output string) {
		t.Helper()
		if after := w.snapshot(); after != before {
			t.Fatalf("%s: the world was\n%s\nand is\n%s\n%s", name, before, after, output)
		}
	}
	died := 0
	for n := 1; n <= points; n++ {
		// The watchdog alone mends.
		home := t.TempDir()
		output, err := w.run(home, fmt.Sprintf("GAMEDAY_CRASH_RUN=%d", n))
		if err != nil && strings.Contains(err.Error(), "killed") {
			died++
		}
		w.settle(home)
		check(fmt.Sprintf("runner died at point %d, watchdog mended", n), output)

		// The watchdog dies as well, then the first recover, and the second mends.
		home = t.TempDir()
		output, _ = w.run(home, fmt.Sprintf("GAMEDAY_CRASH_RUN=%d", n), fmt.Sprintf("GAMEDAY_CRASH_WATCHDOG=%d", n%7+1))
		w.settle(home)
		first, _ := w.gameday(home, []string{fmt.Sprintf("GAMEDAY_CRASH_RECOVER=%d", n%5+1)}, "recover")
		second, err := w.gameday(home, nil, "recover")
		if err != nil {
			t.Fatalf("runner died at point %d: recover: %v\n%s%s%s", n, err, output, first, second)
		}
		check(fmt.Sprintf("runner died at point %d, watchdog and recover died too", n), output+first+second)
		if again, err := w.gameday(home, nil, "recover"); err != nil || !strings.Contains(again, "nothing to recover") {
			t.Fatalf("runner died at point %d: a last recover said %q, %v", n, again, err)
		}
	}
	if died < points*3/4 {
		t.Errorf("only %d of %d runs died at their point", died, points)
	}
}

func TestANewRunRefusesToStartOnTopOfWhatADeadOneLeft(t *testing.T) {
	t.Parallel()
	w := newCrashWorld(t)
	home := t.TempDir()
	before := w.snapshot()
	// The watchdog dies at its first point; the runner right after an injection.
	if output, err := w.run(home, "GAMEDAY_CRASH_RUN=injected late", "GAMEDAY_CRASH_WATCHDOG=1"); err == nil {
		t.Fatalf("the run did not die:\n%s", output)
	}
	w.settle(home)
	if w.snapshot() == before {
		t.Fatal("nothing was left broken, so there is nothing to refuse")
	}
	output, err := w.run(home)
	if err == nil || !strings.Contains(output, "type `gameday recover ") {
		t.Fatalf("a new run on top said %v:\n%s", err, output)
	}
	if output, err := w.gameday(home, nil, "recover"); err != nil {
		t.Fatalf("recover: %v\n%s", err, output)
	}
	if after := w.snapshot(); after != before {
		t.Fatalf("the world was\n%s\nand is\n%s", before, after)
	}
	if output, err := w.run(home); err != nil {
		t.Fatalf("after recover: %v\n%s", err, output)
	}
}
