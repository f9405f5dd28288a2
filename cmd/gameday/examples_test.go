package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/faults/toxiproxy/toxiproxytest"
	"github.com/gameday-sh/gameday/internal/porttest"
	"github.com/gameday-sh/gameday/reports"
	"github.com/gameday-sh/gameday/scenarios"
)

// An example says in its comment how it ends. One that reaches for something outside of
// itself has an entry in worlds, which starts the real thing and gives the flags that
// name it, and what is to be true of it after the run.
var worlds = map[string]func(*testing.T) (flags []string, after func(output string)){
	"external": externalWorld, "processes": processesWorld, "measuring": measuringWorld, "kubernetes": kubernetesWorld,
	"container-kill": containerKillWorld, "journeys": journeysWorld, "notify": notifyWorld,
}

var verdictComment = regexp.MustCompile(`(?m)^# Verdict: ([a-z]+)$`)

// It is not for slow to delay, and so it comes before the others: what examples measure is
// not to be the load of other tests.
func TestEachShippedExampleEndsAsItSays(t *testing.T) {
	if testing.Short() {
		t.Skip("runs whole game days")
	}
	files, err := fs.Glob(scenarios.Examples, "examples/*.hcl")
	if err != nil {
		t.Fatal(err)
	}
	worlds := maps.Clone(worlds)
	maps.Copy(worlds, clusterWorlds())
	tried := map[string]bool{}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".hcl")
		tried[name] = true
		text, err := fs.ReadFile(scenarios.Examples, file)
		if err != nil {
			t.Fatal(err)
		}
		said := verdictComment.FindStringSubmatch(string(text))
		if said == nil {
			t.Errorf("%s does not say how it ends: add a comment such as \"# Verdict: held\"", file)
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args, after := []string{"run"}, func(string) {}
			if world := worlds[name]; world != nil {
				var flags []string
				flags, after = world(t)
				args = append(args, flags...)
			}
			run := gameday(t, t.TempDir(), append(args, name)...)
			run.ends(3*time.Minute, experiments.Verdict(said[1]).ExitCode(), strings.ToUpper(said[1])+" ", "report ")
			after(run.said.String())
		})
	}
	for name := range worlds {
		if !tried[name] {
			t.Errorf("there is no example %s", name)
		}
	}
}

// externalWorld is the example's comment, line by line: a toxiproxy-server, the shop as a
// program of its own between its proxies, and a Prometheus that scrapes it.
func externalWorld(t *testing.T) ([]string, func(string)) {
	toxiproxy, _ := toxiproxytest.Server(t)
	shop := porttest.Address(t)
	_, port, err := net.SplitHostPort(shop)
	if err != nil {
		t.Fatal(err)
	}
	gameday(t, t.TempDir(), "sandbox", "--port", port, "--toxiproxy", toxiproxy).says(`behind proxy "payments"`)
	prometheus, _ := realPrometheus(t, shop, "500ms")
	before := toxiproxytest.Snapshot(t, toxiproxy)
	return []string{
			"--var", "toxiproxy_url=" + toxiproxy, "--var", "prometheus_url=" + prometheus,
			"--var", "scrape_interval=500ms", "--var", "shop_url=http://" + shop + "/",
		}, func(output string) {
			for _, want := range []string{
				`late-payments injected: proxy payments: answers arrive 200 ms late \(seen: toxic listed: latency`,
				`late-payments mended: proxy payments`,
				`hypothesis "the shop stays available" held: .*events good`,
			} {
				if !regexp.MustCompile(want).MatchString(output) {
					t.Errorf("the run does not say %q:\n%s", want, output)
				}
			}
			if now := toxiproxytest.Snapshot(t, toxiproxy); now != before {
				t.Errorf("the toxiproxy-server was\n%s\nand is\n%s", before, now)
			}
		}
}

// processesWorld is a worker that ticks, and a web server under a supervisor that starts
// it again.
func processesWorld(t *testing.T) ([]string, func(string)) {
	dir := t.TempDir()
	pidFile, ticks, maintenance := filepath.Join(dir, "worker.pid"), filepath.Join(dir, "ticks"), filepath.Join(dir, "maintenance")
	worker := launch(t, "sh", "-c", `while date +%s%N >>"$1"; do sleep 0.05; done`, "worker", ticks)
	write(t, pidFile, strconv.Itoa(worker.cmd.Process.Pid))
	web, port := supervised(t)
	first := listenerOf(t, port)
	return []string{
			"--var", "url=" + web, "--var", "web_port=" + port,
			"--var", "worker_pid_file=" + pidFile, "--var", "maintenance=" + maintenance,
		}, func(output string) {
			if now := listenerOf(t, port); now == first {
				t.Errorf("process %d still serves the web: it was never killed", now)
			}
			if longest := longestGap(t, read(t, ticks)); longest < 900*time.Millisecond {
				t.Errorf("the worker was to hang for a second and paused for %s at most", longest)
			}
			if state := processState(worker.cmd.Process.Pid); state == "T" || state == "" {
				t.Errorf("the worker's state is %q after the run", state)
			}
			if _, err := os.Stat(maintenance); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the maintenance file: %v", err)
			}
			for _, want := range []string{"is stopped \\(state T", "is gone after SIGKILL", "maintenance injected: .*the harm is there"} {
				if !regexp.MustCompile(want).MatchString(output) {
					t.Errorf("the run does not say %q:\n%s", want, output)
				}
			}
		}
}

// supervised starts a web server that is started again whenever it ends.
func supervised(t *testing.T) (url, port string) {
	t.Helper()
	server, process := toxiproxytest.Server(t) // tells where its program is, and a free port
	program, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Kill(); err != nil {
		t.Fatal(err)
	}
	_, port, err = net.SplitHostPort(strings.TrimPrefix(server, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	launch(t, "sh", "-c", `while :; do "$1" -port "$2"; sleep 0.05; done`, "supervisor", program, port)
	url = server + "/version"
	poll(t, text("the web server"), func() bool {
		answer, err := http.Get(url)
		return err == nil && answer.Body.Close() == nil && listenerOf(t, port) != process.Pid
	})
	return url, port
}

// listenerOf finds the process that was started with -port port; 0 while there is none.
func listenerOf(t *testing.T, port string) int {
	t.Helper()
	found, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range found {
		line, err := os.ReadFile(path)
		if err != nil || !strings.HasSuffix(string(line), "\x00-port\x00"+port+"\x00") {
			continue
		}
		id, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	return 0
}

// longestGap reads lines of nanoseconds.
func longestGap(t *testing.T, lines string) time.Duration {
	t.Helper()
	var last, longest int64
	for line := range strings.Lines(lines) {
		at, err := strconv.ParseInt(strings.TrimSpace(line), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		if last > 0 {
			longest = max(longest, at-last)
		}
		last = at
	}
	return time.Duration(longest)
}

// journeysWorld needs nothing; what the run leaves tells where users were stopped.
func journeysWorld(t *testing.T) ([]string, func(string)) {
	return nil, func(output string) {
		report := regexp.MustCompile(`(?m)^ *report +(\S+)/report\.md$`).FindStringSubmatch(output)
		if report == nil {
			t.Fatalf("the run names no report:\n%s", output)
		}
		stored, err := os.Open(filepath.Join(report[1], "result.json"))
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := stored.Close(); err != nil {
				t.Error(err)
			}
		}()
		result, err := reports.Load(stored)
		if err != nil {
			t.Fatal(err)
		}
		for _, j := range result.Journeys {
			last := j.Steps[len(j.Steps)-1]
			switch {
			case j.Total < 10:
				t.Errorf("journey %s was taken %d times", j.Name, j.Total)
			case j.Name != "checkout" && j.Bad > 0:
				t.Errorf("journey %s failed while only payments were broken: %+v", j.Name, j)
			case j.Name == "checkout" && (j.Criticality != experiments.Critical || last.Name != "Complete order" || last.Bad == 0 || last.Bad != j.Bad):
				t.Errorf("nobody could pay, and the journey came to %+v", j)
			}
		}
		if len(result.Journeys) != 3 {
			t.Errorf("the result has %d journeys, want 3", len(result.Journeys))
		}
		for _, name := range []string{"result.json", "report.md", "report.html", "journal"} {
			if text, err := os.ReadFile(filepath.Join(report[1], name)); err != nil || strings.Contains(string(text), "tea-for-two") {
				t.Errorf("%s holds the password, or cannot be read: %v", name, err)
			}
		}
	}
}

// measuringWorld is a healthy neighbour that speaks gRPC.
func measuringWorld(t *testing.T) ([]string, func(string)) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	grpc_health_v1.RegisterHealthServer(server, health.NewServer())
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return []string{"--var", "grpc_address=" + listener.Addr().String()}, func(string) {}
}

func TestTheQuickstartRunsUnchangedAgainstRealServers(t *testing.T) {
	if testing.Short() {
		t.Skip("runs a whole game day")
	}
	t.Parallel()
	shop := porttest.Address(t)
	_, port, err := net.SplitHostPort(shop)
	if err != nil {
		t.Fatal(err)
	}
	prometheus, _ := realPrometheus(t, shop, "500ms")
	toxiproxy, _ := toxiproxytest.Server(t)
	run := gameday(t, t.TempDir(), "run", "--var", "toxiproxy_url="+toxiproxy, "--var", "prometheus_url="+prometheus,
		"--var", "scrape_interval=500ms", "--var", "shop_port="+port, "quickstart")
	poll(t, text("the toxic on the real server"), func() bool {
		return strings.Contains(toxiproxytest.Snapshot(t, toxiproxy), "late-payments")
	})
	run.ends(2*time.Minute, 0, "HELD")
	if left := strings.TrimSpace(toxiproxytest.Snapshot(t, toxiproxy)); left != "{}" {
		t.Errorf("the server holds\n%s", left)
	}
}
