package main

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// steadyFor is how long the fault of BenchmarkSteady lasts.
const steadyFor = 60 * time.Second

// steady is a scenario with ten probes ten times a second and five SLOs on the
// built-in Prometheus.
func steady(url, marker string) string {
	var text strings.Builder
	fmt.Fprintf(&text, "prometheus { scrape_interval = \"250ms\" }\nscrape \"shop\" {\n  url   = \"%s/metrics\"\n  every = \"250ms\"\n}\n", url)
	for i := range 10 {
		fmt.Fprintf(&text, "probe \"http\" \"p%d\" {\n  url   = \"%s/\"\n  every = \"100ms\"\n}\n", i, url)
	}
	for i := range 5 {
		fmt.Fprintf(&text, `slo "s%[1]d" {
  objective = "99%%"
  sli {
    bad   = "sum(rate(http_requests_total{service=\"s%[1]d\",code=~\"5..\"}[$window]))"
    total = "sum(rate(http_requests_total{service=\"s%[1]d\"}[$window]))"
  }
}
`, i)
	}
	text.WriteString("scenario \"steady\" {\n  seed = 1\n")
	for i := range 10 {
		fmt.Fprintf(&text, "  hypothesis \"probe %d\" {\n    probe       = probe.p%[1]d\n    p95_at_most = \"1s\"\n    hold        = \"0s\"\n  }\n", i)
	}
	for i := range 5 {
		fmt.Fprintf(&text, "  hypothesis \"slo %d\" {\n    slo      = slo.s%[1]d\n    at_least = \"90%%\"\n    hold     = \"0s\"\n  }\n", i)
		fmt.Fprintf(&text, "  guard \"burn_rate\" \"burn %d\" {\n    slo     = slo.s%[1]d\n    windows = [\"10s\", \"2s\"]\n  }\n", i)
	}
	fmt.Fprintf(&text, `  fault "exec" "marked" {
    inject   = ["touch", "%[1]s"]
    revert   = ["rm", "-f", "%[1]s"]
    check    = ["test", "-e", "%[1]s"]
    duration = "%[2]s"
  }
}
`, marker, steadyFor)
	return text.String()
}

// BenchmarkSteady runs a minute with ten probes at 100 ms and five SLOs, and takes
// its memory after 20, 40 and 60 seconds: what grows without bound shows there.
func BenchmarkSteady(b *testing.B) {
	var requests atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/metrics" {
			return
		}
		now := requests.Add(100)
		for i := range 5 {
			fmt.Fprintf(w, "http_requests_total{service=\"s%d\",code=\"200\"} %d\nhttp_requests_total{service=\"s%[1]d\",code=\"500\"} 0\n", i, now)
		}
	}))
	defer server.Close()
	dir := b.TempDir()
	path, state := filepath.Join(dir, "steady.hcl"), filepath.Join(dir, "state")
	if err := os.WriteFile(path, []byte(steady(server.URL, filepath.Join(dir, "marker"))), 0o600); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		command := exec.Command(program(b, "gameday"), "run", path)
		command.Env = append(os.Environ(), "GAMEDAY_STATE="+state)
		var output bytes.Buffer
		command.Stdout, command.Stderr = &output, &output
		if err := command.Start(); err != nil {
			b.Fatal(err)
		}
		var resident []float64
		for range 3 {
			time.Sleep(steadyFor / 3)
			resident = append(resident, memory(b, command.Process.Pid, "VmRSS:"))
		}
		peak := memory(b, command.Process.Pid, "VmHWM:")
		if err := command.Wait(); err != nil {
			b.Fatalf("%v\n%s", err, &output)
		}
		took := command.ProcessState.UserTime() + command.ProcessState.SystemTime()
		journals, err := filepath.Glob(filepath.Join(state, "runs", "*", "journal"))
		if err != nil || len(journals) == 0 {
			b.Fatal("no journal: ", err)
		}
		show(b,
			figure{"CPU a second of the run", "ms", milliseconds(took) / steadyFor.Seconds(), 0, 0},
			figure{"memory after 20 s", "MB", resident[0], 0, 0},
			figure{"memory after 40 s", "MB", resident[1], 0, 0},
			figure{"memory after 60 s", "MB", resident[2], 0, 0},
			figure{"peak memory", "MB", peak, 0, 0},
			figure{"journal a minute", "MB", size(b, journals[len(journals)-1]) * 60 / steadyFor.Seconds(), 0, 0},
		)
	}
}

// memory reads a line of /proc/PID/status, in MB.
func memory(b *testing.B, pid int, name string) float64 {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Skip("the memory of a process can be read on Linux only: ", err)
	}
	_, rest, _ := strings.Cut(string(text), name)
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		b.Fatalf("process %d has no %s: it has ended", pid, name)
	}
	kilobytes, err := strconv.ParseFloat(fields[0], 64)
	if err != nil {
		b.Fatal(err)
	}
	return kilobytes / 1024
}
