package main

import (
	"io/fs"
	"net"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/gameday-sh/gameday/faults/toxiproxy/toxiproxytest"
	"github.com/gameday-sh/gameday/scenarios"
)

// shippedExamples says how each shipped example is tried: with what it ends, or
// that a test of its own gives it what it needs.
var shippedExamples = map[string]int{
	"quickstart": 0, "guarded": 0, "toxics": 0, "refuted": 1, "aborted": 3, "inconclusive": 4,
	"external": ownTest, "processes": ownTest, "measuring": ownTest,
}

const ownTest = -1

func TestEachShippedExampleEndsAsItSays(t *testing.T) {
	if testing.Short() {
		t.Skip("runs whole game days")
	}
	files, err := fs.Glob(scenarios.Examples, "examples/*.hcl")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".hcl")
		code, known := shippedExamples[name]
		if !known {
			t.Errorf("no test tries %s", file)
		}
		if code == ownTest {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			gameday(t, t.TempDir(), "run", name).ends(2*time.Minute, code, "report ")
		})
	}
}

func TestTheQuickstartRunsUnchangedAgainstRealServers(t *testing.T) {
	if testing.Short() {
		t.Skip("runs a whole game day")
	}
	t.Parallel()
	shop := toxiproxytest.Address(t)
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

func TestTheExternalExampleIsPlannedOnARealServer(t *testing.T) {
	t.Parallel()
	url, _ := toxiproxytest.Server(t)
	makeProxy(t, url, "payments", closedAddress(t))
	before := toxiproxytest.Snapshot(t, url)
	gameday(t, t.TempDir(), "plan", "--var", "toxiproxy_url="+url, "--var", "shop_url=http://"+closedAddress(t)+"/", "external").
		ends(20*time.Second, 0, "proxy payments", "Nothing was changed")
	if after := toxiproxytest.Snapshot(t, url); after != before {
		t.Errorf("the server was\n%s\nand is\n%s", before, after)
	}
}

func TestTheMeasuringExampleHoldsBesideAHealthyNeighbour(t *testing.T) {
	t.Parallel()
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
	gameday(t, t.TempDir(), "run", "--var", "grpc_address="+listener.Addr().String(), "measuring").ends(time.Minute, 0, "HELD")
}

func TestTheProcessesExampleIsPlannedOnRealProcesses(t *testing.T) {
	t.Parallel()
	url, _ := toxiproxytest.Server(t) // a program that listens on a port
	_, port, err := net.SplitHostPort(strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	worker := exec.Command("sleep", "3600")
	if err := worker.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := worker.Process.Kill(); err != nil {
			t.Error(err)
		}
		_ = worker.Wait() // it was killed
	})
	pidFile := filepath.Join(t.TempDir(), "worker.pid")
	write(t, pidFile, strconv.Itoa(worker.Process.Pid))
	gameday(t, t.TempDir(), "plan", "--var", "url="+url, "--var", "web_port="+port, "--var", "worker_pid_file="+pidFile,
		"--var", "maintenance="+filepath.Join(t.TempDir(), "maintenance"), "processes").
		ends(20*time.Second, 0, "hanging-worker", "lost-web-server", "command of your own|the shop's maintenance", "Nothing was changed")
}
