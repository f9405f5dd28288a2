package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gameday-sh/gameday/experiments/journal"
	"github.com/gameday-sh/gameday/faults/toxiproxy/toxiproxytest"
)

// These tests attack the real program from outside, with real servers, and look at
// the exit code, the words, and what is left in the world.

func slow(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("takes seconds of real time")
	}
	t.Parallel()
}

func TestAToxiproxyThatFailsNeverGivesAFalseVerdict(t *testing.T) {
	slow(t)
	words := map[mood]string{gone: "EOF|refused|reset", hanging: "did not answer|stopped while waiting", garbage: "not toxiproxy's JSON|not toxiproxy's way"}
	for mood, word := range words {
		t.Run(string(mood), func(t *testing.T) {
			slow(t)
			t.Run("before the plan nothing is touched", func(t *testing.T) {
				slow(t)
				w := newWorld(t)
				g := newGate(t, w.toxiproxy)
				g.set(mood)
				run := w.run("--var", "toxiproxy="+g.url)
				run.ends(10*time.Second, 5, word)
				if g.seen.Load() == 0 {
					t.Error("the server was never asked")
				}
				w.mended()
				gameday(t, w.home, "recover").ends(5*time.Second, 0, "nothing to recover")
			})
			t.Run("while it is broken the run says what is left, and the watchdog mends when it is back", func(t *testing.T) {
				slow(t)
				w := newWorld(t)
				g := newGate(t, w.toxiproxy)
				run := w.run("--var", "toxiproxy="+g.url, "--var", "revert_within=1s", "--var", "duration=1s")
				w.broken()
				g.set(mood)
				run.ends(20*time.Second, 6, word, "LEFT  proxy payments", "LEFT  proxy catalogue", "type: gameday recover ")
				w.stillBroken()
				g.set(open)
				w.mends()
				w.mendsByItself()
			})
			t.Run("while it reverts it is tried again until it is back", func(t *testing.T) {
				slow(t)
				w := newWorld(t)
				g := newGate(t, w.toxiproxy)
				run := w.run("--var", "toxiproxy="+g.url, "--var", "duration=1s")
				w.broken()
				g.set(mood)
				run.says("late .*(stuck|not mended|again|still)")
				w.stillBroken()
				g.set(open)
				run.ends(20*time.Second, 0, "HELD")
				w.mended()
			})
			t.Run("in recovery it is not needed any more", func(t *testing.T) {
				slow(t)
				w := newWorld(t)
				g := newGate(t, w.toxiproxy)
				run := w.run("--var", "toxiproxy="+g.url, "--var", "duration=300ms")
				run.says("waiting until it is whole again")
				g.set(mood)
				run.ends(20*time.Second, 0, "HELD")
				w.mended()
			})
		})
	}
}

// mendsByItself waits for the watchdog to end its work: after it nothing is left to
// recover.
func (w *world) mendsByItself() {
	w.t.Helper()
	w.quiet()
	w.mended()
	gameday(w.t, w.home, "recover").ends(10*time.Second, 0, "nothing to recover")
}

const measuredScenario = `
variable "toxiproxy" {}
variable "prometheus" {}
variable "front" {}
variable "duration" { default = "2s" }
variable "blind_for" { default = "3s" }

toxiproxy {
  url = var.toxiproxy
}

prometheus {
  url             = var.prometheus
  scrape_interval = "200ms"
  timeout         = "500ms"
}

slo "shop" {
  objective = "99%"
  window    = "30d"
  sli {
    bad   = "sum(rate(requests_total{job=\"shop\",code=\"500\"}[$window]))"
    total = "sum(rate(requests_total{job=\"shop\"}[$window]))"
  }
}

scenario "measured" {
  seed            = 1
  baseline_within = "5s"
  hypothesis "the shop answers" {
    slo            = slo.shop
    at_least       = "95%"
    hold           = "1s"
    recover_within = "3s"
  }
  fault "toxiproxy_latency" "late" {
    proxies  = ["payments", "catalogue"]
    latency  = "10ms"
    duration = var.duration
  }
  guard "no_data" "blind" {
    for = var.blind_for
  }
}
`

// counter is a target that counts a thousand good requests a second.
func counter(t *testing.T) string {
	began := time.Now()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		_, _ = fmt.Fprintf(w, "# TYPE requests_total counter\nrequests_total{code=\"200\"} %d\nrequests_total{code=\"500\"} 0\n", time.Since(began).Milliseconds())
	}))
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// blindPhases are the moments from which a Prometheus fails, and what a run must come
// to that then sees nothing more.
var blindPhases = []struct {
	name, duration string
	when           string // what the run says at that moment; empty: before it starts
	code           int
	words          string
}{
	{"before the baseline", "2s", "", 4, "nothing was broken|not healthy before"},
	{"in the baseline", "2s", "watching the healthy system", 4, "nothing was broken|not healthy before"},
	{"while it is broken", "10m", "late injected", 3, "guard blind"},
	{"in the revert", "1s", "mending", 4, "INCONCLUSIVE"},
	{"in the recovery", "1s", "waiting until it is whole again", 4, "INCONCLUSIVE"},
}

func TestAPrometheusThatFailsNeverGivesAFalseVerdict(t *testing.T) {
	slow(t)
	real, _ := realPrometheus(t, counter(t), "200ms")
	for _, mood := range []mood{gone, hanging, garbage} {
		for _, phase := range blindPhases {
			t.Run(string(mood)+" "+phase.name, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				write(t, w.scenario, measuredScenario)
				g := newGate(t, real)
				if phase.when == "" {
					g.set(mood)
				}
				run := w.run("--var", "prometheus="+g.url, "--var", "duration="+phase.duration)
				if phase.when != "" {
					run.says(phase.when)
					g.set(mood)
				}
				run.ends(40*time.Second, phase.code, phase.words)
				w.mended()
				if g.seen.Load() == 0 {
					t.Error("the server was never asked")
				}
				gameday(t, w.home, "recover").ends(10*time.Second, 0, "nothing to recover")
			})
		}
	}
	t.Run("a healthy one gives held", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		write(t, w.scenario, measuredScenario)
		w.run("--var", "prometheus="+real).ends(40*time.Second, 0, "HELD")
		w.mended()
	})
}

// A process that is stopped still has its port: connections are accepted by the
// kernel, and nobody answers them. Each phase has a server of its own, because one
// that is stopped is stopped for whoever else asks it.
func TestARealPrometheusThatIsStoppedNeverGivesAFalseVerdict(t *testing.T) {
	slow(t)
	for _, phase := range blindPhases {
		t.Run(phase.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			write(t, w.scenario, measuredScenario)
			real, server := realPrometheus(t, counter(t), "200ms")
			resume := func() {}
			if phase.when == "" {
				resume = stopped(t, server.cmd.Process.Pid)
			}
			run := w.run("--var", "prometheus="+real, "--var", "duration="+phase.duration)
			if phase.when != "" {
				run.says(phase.when)
				resume = stopped(t, server.cmd.Process.Pid)
			}
			run.ends(40*time.Second, phase.code, phase.words, "did not answer in time")
			w.mended()
			gameday(t, w.home, "recover").ends(10*time.Second, 0, "nothing to recover")
			// Once it goes on, it serves the next run as if nothing had been.
			resume()
			w.run("--var", "prometheus="+real, "--var", "duration=1s").ends(40*time.Second, 0, "HELD")
			w.mended()
		})
	}
}

func TestARealToxiproxyThatHangsThroughTheRevertIsMendedByRecover(t *testing.T) {
	slow(t)
	w := newWorld(t)
	run := w.run("--var", "duration=1s", "--var", "revert_within=1s")
	w.broken()
	resume := stopped(t, w.server.Pid)
	run.ends(20*time.Second, 6, "NOT RESTORED", "LEFT  proxy payments", "type: gameday recover ", "is it running, or paused|did not answer")
	// The watchdog would mend too; here a person does.
	if err := syscall.Kill(watchdogOf(t, w.home), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	w.quiet()
	gameday(t, w.home, "recover", "--within", "500ms").ends(20*time.Second, 6, "LEFT .*proxy payments", "type `gameday recover` again")
	w.run().ends(10*time.Second, 6, "type `gameday recover ")
	gameday(t, w.home, "runs").ends(10*time.Second, 0, "^NOT RESTORED ")
	resume()
	w.stillBroken()
	w.recovers()
	gameday(t, w.home, "runs").ends(10*time.Second, 0, "^mended since ")
	report, err := os.ReadFile(filepath.Join(runDir(t, w.home), "report.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, words := range []string{"all of it was proven mended", "Everything that the run had left is proven mended"} {
		if !strings.Contains(string(report), words) {
			t.Errorf("the report of the mended run does not say %q", words)
		}
	}
	if strings.Contains(string(report), "may still be broken") {
		t.Error("the report still sounds the alarm")
	}
}

func TestARealToxiproxyThatDiesTakesItsToxicsWithIt(t *testing.T) {
	slow(t)
	w := newWorld(t)
	run := w.run("--var", "duration=1s", "--var", "revert_within=1s")
	w.broken()
	if err := w.server.Kill(); err != nil {
		t.Fatal(err)
	}
	// Nobody can prove that a server that is not there holds no toxic.
	run.ends(20*time.Second, 6, "NOT RESTORED", "refused")
}

func TestASecondSignalEndsTheWaitingAtOnceAndSaysWhatIsLeft(t *testing.T) {
	slow(t)
	w := newWorld(t)
	run := w.run("--var", "revert_within=10m")
	w.broken()
	resume := stopped(t, w.server.Pid)
	run.signal(syscall.SIGINT)
	run.says("(?i)stop.*interrupted \\(Ctrl-C\\)")
	run.says("stuck|not mended|did not answer")
	select {
	case <-run.ended:
		t.Fatalf("the first Ctrl-C did not wait for the mending:\n%s", run.said.String())
	default:
	}
	run.signal(syscall.SIGINT)
	run.ends(5*time.Second, 6, "NOT RESTORED", "LEFT  proxy payments", "LEFT  proxy catalogue", "type: gameday recover ")
	resume()
	w.mends()
	w.mendsByItself()
	dir := runDir(t, w.home)
	for _, name := range []string{"result.json", "report.md", "report.html", "junit.xml"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Errorf("after a hurried end: %v", err)
		}
	}
}

func TestEachSignalStopsMendsAndSaysItsName(t *testing.T) {
	for sig, words := range map[syscall.Signal]string{
		syscall.SIGHUP:  "the terminal was closed \\(SIGHUP\\)",
		syscall.SIGTERM: "told to end \\(SIGTERM\\)",
		syscall.SIGINT:  "interrupted \\(Ctrl-C\\)",
	} {
		t.Run(sig.String(), func(t *testing.T) {
			slow(t)
			w := newWorld(t)
			run := w.run()
			w.broken()
			run.signal(sig)
			run.ends(10*time.Second, 3, "ABORTED", words, "from the breach to the last proven revert")
			w.mended()
			w.mendsByItself()
		})
	}
}

func TestARunWithoutItsWatchdogStopsAndMends(t *testing.T) {
	slow(t)
	w := newWorld(t)
	run := w.run()
	w.broken()
	if err := syscall.Kill(watchdogOf(t, w.home), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	run.ends(10*time.Second, 3, "ABORTED", "the watchdog process is gone")
	w.mended()
	gameday(t, w.home, "recover").ends(10*time.Second, 0, "nothing to recover")
}

func TestAWatchdogThatHangsDoesNotKeepAFinishedRunFromEnding(t *testing.T) {
	slow(t)
	w := newWorld(t)
	run := w.run("--var", "duration=1s")
	w.broken()
	stopped(t, watchdogOf(t, w.home))
	run.ends(25*time.Second, 0, "HELD")
	w.mended()
	w.quiet()
}

func TestARunnerThatHangsIsEndedByItsWatchdog(t *testing.T) {
	slow(t)
	w := newWorld(t)
	run := w.run()
	w.broken()
	stopped(t, run.cmd.Process.Pid)
	poll(t, text("the watchdog to end the runner"), func() bool {
		select {
		case <-run.ended:
			return true
		default:
			return false
		}
	})
	if status := run.cmd.ProcessState.Sys().(syscall.WaitStatus); !status.Signaled() || status.Signal() != syscall.SIGKILL {
		t.Errorf("the runner ended with %v", run.cmd.ProcessState)
	}
	w.mends()
	w.quiet()
	w.reportOfTheDead()
}

// reportOfTheDead requires what a run leaves whose runner was killed.
func (w *world) reportOfTheDead() {
	w.t.Helper()
	gameday(w.t, w.home, "recover").ends(10*time.Second, 0, "nothing to recover")
	report, err := os.ReadFile(filepath.Join(runDir(w.t, w.home), "report.md"))
	if err != nil {
		w.t.Fatal(err)
	}
	for _, want := range []string{"The runner died", "gameday run "} {
		if !strings.Contains(string(report), want) {
			w.t.Errorf("the report of a killed runner does not hold %q:\n%s", want, report)
		}
	}
	if strings.Contains(string(report), "No fault was planned") {
		w.t.Errorf("the report of a killed runner forgets its faults:\n%s", report)
	}
	gameday(w.t, w.home, "runs").ends(10*time.Second, 0, "^error ")
}

func TestTheWatchdogOutlivesTheWholeProcessGroup(t *testing.T) {
	slow(t)
	w := newWorld(t)
	run := w.run()
	w.broken()
	if err := syscall.Kill(-run.cmd.Process.Pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if code := run.wait(5 * time.Second); code != -1 {
		t.Errorf("exit code %d", code)
	}
	w.mends()
	w.quiet()
	w.reportOfTheDead()
}

// smallDisk mounts a file system that can run full.
func smallDisk(t *testing.T, kib int) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root to mount a small tmpfs that can run full")
	}
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%dk,mode=700", kib)); err != nil {
		t.Skipf("mounting a small tmpfs that can run full is not allowed here: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
	return dir
}

// fillDisk takes every block that is left.
func fillDisk(t *testing.T, dir string) {
	t.Helper()
	file, err := os.Create(filepath.Join(dir, "filler"))
	if err != nil {
		t.Fatal(err)
	}
	block := make([]byte, 4096)
	for err == nil {
		_, err = file.Write(block)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestOnAFullDiskNothingIsBroken(t *testing.T) {
	slow(t)
	w := newWorld(t)
	disk := smallDisk(t, 256)
	w.home = filepath.Join(disk, "state")
	w.run().ends(10*time.Second, 5, "no space left on device", "free some space|choose another state directory")
	w.mended()
}

func TestADiskThatFillsUpInMidRunDoesNotKeepAnythingBroken(t *testing.T) {
	slow(t)
	w := newWorld(t)
	disk := smallDisk(t, 4096)
	w.home = filepath.Join(disk, "state")
	run := w.run("--var", "duration=1s")
	w.broken()
	fillDisk(t, disk)
	// Everything is mended and proven, but the reports could not be written: never 0.
	run.ends(20*time.Second, 5, "no space left on device", "write the .* report", "proven mended")
	w.mended()
	// The journal had its room reserved: what was done is all there.
	contents, err := journal.Read(runDir(t, w.home))
	if err != nil {
		t.Fatal(err)
	}
	verified := 0
	for _, event := range contents.Events {
		if event.Hit != nil && event.Hit.Step == "verified" {
			verified++
		}
	}
	if verified != 2 || contents.Torn > 0 || len(contents.Damage) > 0 {
		t.Errorf("%d of 2 proofs in the journal, torn %d, damage %v", verified, contents.Torn, contents.Damage)
	}
	w.quiet()
}

func TestAFullDiskDoesNotKeepTheWatchdogFromMendingAndEnding(t *testing.T) {
	slow(t)
	w := newWorld(t)
	disk := smallDisk(t, 4096)
	w.home = filepath.Join(disk, "state")
	run := w.run()
	w.broken()
	fillDisk(t, disk)
	run.signal(syscall.SIGKILL)
	w.mends()
	w.quiet()
	if err := os.Remove(filepath.Join(disk, "filler")); err != nil {
		t.Fatal(err)
	}
	gameday(t, w.home, "recover").ends(10*time.Second, 0)
	w.mended()
}

func TestAStateFolderThatCannotBeWrittenIsToldAndNothingIsTouched(t *testing.T) {
	slow(t)
	w := newWorld(t)
	disk := smallDisk(t, 256)
	w.home = filepath.Join(disk, "state")
	if err := unix.Mount("", disk, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Skipf("remounting read-only is not allowed here: %v", err)
	}
	run := w.run()
	run.ends(10*time.Second, 5, "read-only file system", regexp.QuoteMeta(w.home))
	if strings.Contains(run.said.String(), "watching the healthy system") {
		t.Error("it began although nothing could be written")
	}
	w.mended()
}

func TestASecretThatIsTheNameOfATargetNeverHidesWhatIsBroken(t *testing.T) {
	slow(t)
	w := newWorld(t)
	write(t, w.scenario, strings.Replace(worldScenario, "url   = var.front\n", "url   = var.front\n  headers = { Authorization = env(\"GAMEDAY_ATTACK_TOKEN\") }\n", 1))
	t.Run("refused", func(t *testing.T) {
		program, err := gamedayProgram()
		if err != nil {
			t.Fatal(err)
		}
		run := launch(t, "/usr/bin/env", "GAMEDAY_ATTACK_TOKEN=payments", program, "run", "--state", w.home, "--var", "front="+w.front, "--var", "toxiproxy="+w.toxiproxy, "--var", "duration=300ms", w.scenario)
		run.ends(20*time.Second, 5, "holds the value of a secret", "nothing was broken")
		w.mended()
	})
}

func TestATargetThatSomebodyElseTakesAwayMeanwhileIsNotBroughtBack(t *testing.T) {
	slow(t)
	w := newWorld(t)
	run := w.run("--var", "duration=1s")
	w.broken()
	proxy, err := toxiproxytest.Client(w.toxiproxy).Proxy("payments")
	if err != nil {
		t.Fatal(err)
	}
	if err := proxy.Delete(); err != nil {
		t.Fatal(err)
	}
	run.ends(20*time.Second, 0, "proxy payments is gone")
	if now := toxiproxytest.Snapshot(t, w.toxiproxy); strings.Contains(now, "payments") || strings.Contains(now, "gameday") {
		t.Errorf("the server holds\n%s", now)
	}
}

func TestARevertThatFailsOnceIsTriedAgain(t *testing.T) {
	slow(t)
	w := newWorld(t)
	g := newGate(t, w.toxiproxy)
	var refused atomic.Int64
	g.refuse.Store(func(r *http.Request) bool { return r.Method == http.MethodDelete && refused.Add(1) <= 3 })
	w.run("--var", "toxiproxy="+g.url, "--var", "duration=300ms").ends(20*time.Second, 0, "HELD")
	if refused.Load() < 3 {
		t.Errorf("only %d deletions came", refused.Load())
	}
	w.mended()
}
