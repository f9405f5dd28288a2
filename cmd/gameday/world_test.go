package main

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gameday-sh/gameday/faults/toxiproxy/toxiproxytest"
	"github.com/gameday-sh/gameday/internal/porttest"
	"github.com/gameday-sh/gameday/internal/promtest"
)

// gamedayProgram builds the program as people get it, once.
var gamedayProgram = sync.OnceValues(func() (string, error) { return built("gameday", "go", "build", ".") })

// built runs a build in this folder and gives the path of the program. It is kept in the
// user's cache, where the go command leaves one alone that is up to date; a folder for
// temporary files would outlive the tests, which have no last one that could remove it.
func built(name string, command ...string) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	checkout, err := os.Getwd()
	if err != nil {
		return "", err
	}
	// Tests of two checkouts may run at the same time.
	path := filepath.Join(cache, "gameday-test", fmt.Sprintf("%s-%08x", name, crc32.ChecksumIEEE([]byte(checkout))))
	arguments := slices.Insert(slices.Clone(command[1:]), 1, "-o", path)
	// Tests that measure how long something takes run beside it.
	build := exec.Command("nice", append(command[:1:1], arguments...)...)
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // as make build does
	if output, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", name, err, output)
	}
	return path, nil
}

// output collects what a process says.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(text []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(text)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// process is a program that runs in a process group of its own.
type process struct {
	t     *testing.T
	cmd   *exec.Cmd
	said  output // standard output and error together
	ended chan struct{}
}

// launch starts a program. It is killed, with its process group, when the test ends.
func launch(t *testing.T, name string, args ...string) *process {
	t.Helper()
	return launchInto(t, nil, name, args...)
}

// launchInto starts a program whose standard output is a file, if there is one.
func launchInto(t *testing.T, stdout *os.File, name string, args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.Command(name, args...), ended: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = &p.said, &p.said
	if stdout != nil {
		p.cmd.Stdout = stdout
	}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p.cmd.WaitDelay = 5 * time.Second // for children that keep the output open
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.ended)
		_ = p.cmd.Wait() // how it ended is in ProcessState
	}()
	t.Cleanup(func() {
		select {
		case <-p.ended:
			return
		default:
		}
		if err := syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			t.Errorf("end %s: %v", name, err)
		}
		<-p.ended
	})
	return p
}

// gameday starts gameday with a state folder.
func gameday(t *testing.T, home string, args ...string) *process {
	t.Helper()
	program, err := gamedayProgram()
	if err != nil {
		t.Fatal(err)
	}
	return launch(t, program, append([]string{args[0], "--state", home}, args[1:]...)...)
}

func (p *process) signal(sig syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		p.t.Fatalf("%v: %v\n%s", sig, err, p.said.String())
	}
}

// wait gives the exit code; a death by a signal is -1. A process that takes longer
// is made to tell where it hangs.
func (p *process) wait(within time.Duration) int {
	p.t.Helper()
	select {
	case <-p.ended:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(within):
	}
	if err := p.cmd.Process.Signal(syscall.SIGQUIT); err != nil {
		p.t.Log(err)
	}
	select {
	case <-p.ended:
	case <-time.After(2 * time.Second):
	}
	p.t.Fatalf("%v still goes on after %s:\n%s", p.cmd.Args, within, p.said.String())
	return 0
}

// ends waits for the exit code and for texts in the output.
func (p *process) ends(within time.Duration, code int, patterns ...string) {
	p.t.Helper()
	if got := p.wait(within); got != code {
		p.t.Errorf("exit code %d, want %d", got, code)
	}
	for _, pattern := range patterns {
		if !regexp.MustCompile(pattern).MatchString(p.said.String()) {
			p.t.Errorf("it does not say %q", pattern)
		}
	}
	if p.t.Failed() {
		p.t.Fatalf("%v said:\n%s", p.cmd.Args, p.said.String())
	}
}

// says waits until the output matches.
func (p *process) says(pattern string) {
	p.t.Helper()
	wanted := regexp.MustCompile(pattern)
	poll(p.t, func() string { return fmt.Sprintf("%q in:\n%s", pattern, p.said.String()) }, func() bool {
		select {
		case <-p.ended:
			if !wanted.MatchString(p.said.String()) {
				p.t.Fatalf("%v ended without saying %q:\n%s", p.cmd.Args, pattern, p.said.String())
			}
		default:
		}
		return wanted.MatchString(p.said.String())
	})
}

// poll waits until ready says so, for twenty seconds at most.
func poll(t *testing.T, what func() string, ready func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ready(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what())
		}
	}
}

func text(s string) func() string { return func() string { return s } }

// realPrometheus starts a Prometheus server that scrapes target as job "shop".
func realPrometheus(t *testing.T, target, interval string) (string, *process) {
	t.Helper()
	program := promtest.Program(t, "prometheus")
	dir := t.TempDir()
	file := filepath.Join(dir, "prometheus.yml")
	write(t, file, fmt.Sprintf("global: {scrape_interval: %s, scrape_timeout: %[1]s}\nscrape_configs:\n- job_name: shop\n  static_configs:\n  - targets: [%q]\n", interval, target))
	address := porttest.Address(t)
	p := launch(t, program, "--config.file="+file, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+address, "--log.level=warn")
	server := "http://" + address
	// It is ready seconds before it knows its targets, and scrapes them later still: a
	// baseline that began before would have to wait for it. The target need not be up.
	poll(t, text("Prometheus to have asked its target"), func() bool {
		answer, err := http.Get(server + "/api/v1/targets")
		if err != nil {
			return false
		}
		targets, err := io.ReadAll(answer.Body)
		return errors.Join(err, answer.Body.Close()) == nil && bytes.Contains(targets, []byte(`"scrapePool":"shop"`)) && !bytes.Contains(targets, []byte(`"health":"unknown"`))
	})
	return server, p
}

// mood is how a gate treats requests.
type mood string

const (
	open    mood = "open"
	gone    mood = "gone"    // connections are refused
	hanging mood = "hanging" // they are accepted, and never answered
	garbage mood = "garbage" // another kind of server answers
)

// gate stands before a real server and can be all that goes wrong with one.
type gate struct {
	url  string
	mood atomic.Value
	// refuse, if set, fails single requests while the gate is open.
	refuse atomic.Value
	seen   atomic.Int64 // requests that came

	t        *testing.T
	address  string
	server   *http.Server
	released chan struct{}
}

func newGate(t *testing.T, to string) *gate {
	t.Helper()
	target, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{t: t, address: porttest.Address(t), released: make(chan struct{})}
	g.url = "http://" + g.address
	g.mood.Store(open)
	g.refuse.Store(func(*http.Request) bool { return false })
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.ErrorHandler = func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) }
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.seen.Add(1)
		now := g.mood.Load().(mood)
		if now == open && g.refuse.Load().(func(*http.Request) bool)(r) {
			now = gone
		}
		switch now {
		case gone:
			panic(http.ErrAbortHandler)
		case hanging:
			select {
			case <-r.Context().Done():
			case <-g.released:
			}
			panic(http.ErrAbortHandler)
		case garbage:
			w.Header().Set("Content-Type", "text/html")
			if _, err := io.WriteString(w, "<html><title>Welcome to nginx!</title></html>"); err != nil {
				panic(http.ErrAbortHandler)
			}
		default:
			proxy.ServeHTTP(w, r)
		}
	})
	g.server = &http.Server{Handler: handler}
	g.listen()
	t.Cleanup(func() {
		close(g.released)
		if err := g.server.Close(); err != nil {
			t.Error(err)
		}
	})
	return g
}

func (g *gate) listen() {
	g.t.Helper()
	listener, err := net.Listen("tcp", g.address)
	if err != nil {
		g.t.Fatal(err)
	}
	go func() { _ = g.server.Serve(listener) }() // ends with Close
}

func (g *gate) set(m mood) { g.mood.Store(m) }

// world is a system to break for attack tests: a real toxiproxy-server with two
// proxies before a healthy web server.
type world struct {
	t         *testing.T
	home      string
	toxiproxy string
	server    *os.Process
	front     string
	scenario  string
	before    string
	last      *process // started by run
}

// worldScenario breaks payments for as long as a test likes. The watchdog, the
// journal and everything else are those of any other run.
const worldScenario = `
variable "toxiproxy" {}
variable "front" {}
variable "duration" { default = "10m" }
variable "revert_within" { default = "15s" }

toxiproxy {
  url     = var.toxiproxy
  timeout = "300ms"
}

probe "http" "front" {
  url   = var.front
  every = "100ms"
}

scenario "attack" {
  seed          = 1
  revert_within = var.revert_within
  hypothesis "the front door answers" {
    probe          = probe.front
    hold           = "200ms"
    recover_within = "1s"
  }
  fault "toxiproxy_latency" "late" {
    proxies  = ["payments", "catalogue"]
    latency  = "10ms"
    duration = var.duration
  }
}
`

func newWorld(t *testing.T) *world {
	t.Helper()
	server, process := toxiproxytest.Server(t)
	front := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(front.Close)
	for _, name := range []string{"payments", "catalogue"} {
		makeProxy(t, server, name, front.Listener.Addr().String())
	}
	w := &world{t: t, home: filepath.Join(t.TempDir(), "state"), toxiproxy: server, server: process, front: front.URL}
	w.scenario = filepath.Join(t.TempDir(), "attack.hcl")
	write(t, w.scenario, worldScenario)
	w.before = toxiproxytest.Snapshot(t, server)
	return w
}

// run starts the scenario; flags may set variables.
func (w *world) run(flags ...string) *process {
	w.t.Helper()
	args := append([]string{"run", "--var", "front=" + w.front}, flags...)
	if !strings.Contains(strings.Join(flags, " "), "toxiproxy=") {
		args = append(args, "--var", "toxiproxy="+w.toxiproxy)
	}
	w.last = gameday(w.t, w.home, append(args, w.scenario)...)
	return w.last
}

// broken waits until both toxics are on the real server, and the run has read them
// back: what a test then proves about mending is about something, and what it does to
// the server does not meet the injection.
func (w *world) broken() {
	w.t.Helper()
	poll(w.t, text("two toxics on the server"), func() bool {
		select {
		case <-w.last.ended:
			if w.last.cmd.ProcessState.ExitCode() != 6 {
				w.t.Fatalf("the run ended before anything was broken:\n%s", w.last.said.String())
			}
		default:
		}
		return strings.Count(w.last.said.String(), "late injected") == 2 && w.toxics() == 2
	})
}

// stillBroken requires that both toxics are on the real server.
func (w *world) stillBroken() {
	w.t.Helper()
	if n := w.toxics(); n != 2 {
		w.t.Fatalf("%d toxics are on the server, want the 2 that were injected", n)
	}
}

func (w *world) toxics() int {
	return strings.Count(toxiproxytest.Snapshot(w.t, w.toxiproxy), `"latency": 10`)
}

// mended requires that the server is as it was.
func (w *world) mended() {
	w.t.Helper()
	if now := toxiproxytest.Snapshot(w.t, w.toxiproxy); now != w.before {
		w.t.Fatalf("the server was\n%s\nand is\n%s", w.before, now)
	}
}

// mends waits until the server is as it was.
func (w *world) mends() {
	w.t.Helper()
	poll(w.t, text("the server to be as it was"), func() bool { return toxiproxytest.Snapshot(w.t, w.toxiproxy) == w.before })
}

// quiet waits until no watchdog of this world is left.
func (w *world) quiet() {
	w.t.Helper()
	poll(w.t, text("the end of the watchdog"), func() bool { return watchdogs(w.t, w.home) == 0 })
}

// recovers types `gameday recover`, which must mend, and again, to find nothing.
func (w *world) recovers() {
	w.t.Helper()
	gameday(w.t, w.home, "recover").ends(30*time.Second, 0)
	w.mended()
	gameday(w.t, w.home, "recover").ends(10*time.Second, 0, "nothing to recover")
}

// watchdogOf finds the process id of the watchdog of a state folder.
func watchdogOf(t *testing.T, home string) int {
	t.Helper()
	id := 0
	poll(t, text("a watchdog"), func() bool {
		found, err := filepath.Glob("/proc/[0-9]*/cmdline")
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range found {
			line, err := os.ReadFile(path)
			if err != nil || !bytes.Contains(line, []byte("watchdog\x00--state\x00"+home+"\x00")) {
				continue
			}
			if _, err := fmt.Sscanf(path, "/proc/%d/cmdline", &id); err != nil {
				t.Fatal(err)
			}
		}
		return id > 0
	})
	return id
}

// runDir is the directory of the only run of a state folder.
func runDir(t *testing.T, home string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(home, "runs", "*"))
	if err != nil || len(found) != 1 {
		t.Fatalf("runs: %v, %v; want one", found, err)
	}
	return found[0]
}

// stopped pauses a process until resume is called, or the test ends.
func stopped(t *testing.T, pid int) (resume func()) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	poll(t, text("the process to stop"), func() bool { return processState(pid) == "T" })
	resume = func() {
		if err := syscall.Kill(pid, syscall.SIGCONT); err != nil && !errors.Is(err, syscall.ESRCH) {
			t.Error(err)
		}
	}
	t.Cleanup(resume)
	return resume
}

// processState is the letter of /proc/PID/stat; empty when the process is gone, also
// in the instant between its parent's asking and its leaving the table (X).
func processState(pid int) string {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if fields[0] == "X" {
		return ""
	}
	return fields[0]
}
