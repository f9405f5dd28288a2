package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/reports"
)

// The benchmarks of this package run the real program, as a person or CI does, and
// set beside each figure what the machine can do at best: the raw limit, taken in
// turns with it. Each logs a table a person can read:
//
//	go test -run '^$' -bench . ./cmd/gameday

// meterProgram builds the meter, once.
var meterProgram = sync.OnceValues(func() (string, error) { return built("meter", "go", "build", "./testdata/meter") })

// program gives the path of a built program, gameday or the meter.
func program(b *testing.B, name string) string {
	b.Helper()
	build := gamedayProgram
	if name == "meter" {
		build = meterProgram
	}
	path, err := build()
	if err != nil {
		b.Fatal(err)
	}
	return path
}

// usage is what the meter says of a process.
type usage struct {
	Wall time.Duration `json:"wall_ns"`
	CPU  time.Duration `json:"cpu_ns"`
	Peak int64         `json:"peak_kb"`
	Exit int           `json:"exit"`
}

// metered runs gameday to its end, which must be the exit code 0.
func metered(b *testing.B, state string, args ...string) usage {
	b.Helper()
	command := exec.Command(program(b, "meter"), append([]string{program(b, "gameday")}, args...)...)
	command.Env = append(os.Environ(), "GAMEDAY_STATE="+state)
	var stderr bytes.Buffer
	command.Stderr = &stderr
	output, err := command.Output()
	if err != nil {
		b.Fatalf("%v\n%s", err, &stderr)
	}
	var u usage
	if err := json.Unmarshal(output, &u); err != nil {
		b.Fatalf("the meter said %q: %v", output, err)
	}
	if u.Exit != 0 {
		b.Fatalf("gameday %s exited with %d\n%s", args[0], u.Exit, &stderr)
	}
	return u
}

// figure is a row of a benchmark's table: ours beside the raw limit. What has no
// raw limit or no target leaves it at zero.
type figure struct {
	name, unit        string
	ours, raw, target float64
}

// show reports figures as metrics, for tools, and as a table, for people.
func show(b *testing.B, figures ...figure) {
	b.Helper()
	var table strings.Builder
	fmt.Fprintf(&table, "\n%-44s %11s %11s %8s %11s\n", "", "ours", "raw limit", "ratio", "target")
	number := func(value float64, unit string) string {
		if value == 0 {
			return "-"
		}
		return fmt.Sprintf("%.*f %s", max(0, 2-int(math.Log10(math.Abs(value)))), value, unit)
	}
	for _, f := range figures {
		ratio, note := "-", ""
		if f.raw > 0 {
			ratio = fmt.Sprintf("%.2f", f.ours/f.raw)
		}
		if f.target > 0 {
			note = "  met"
			if f.ours > f.target {
				note = "  MISSED"
			}
		}
		fmt.Fprintf(&table, "%-44s %11s %11s %8s %11s%s\n", f.name, number(f.ours, f.unit), number(f.raw, f.unit), ratio, number(f.target, f.unit), note)
		key := strings.ReplaceAll(f.name, " ", "-") + "-" + f.unit
		b.ReportMetric(f.ours, key)
		if f.raw > 0 {
			b.ReportMetric(f.raw, "raw-"+key)
		}
	}
	b.ReportMetric(0, "ns/op") // an op is a whole round of ours and raw
	b.Log(table.String())
}

// quantile is the sample that the share q of the others is not above.
func quantile[T cmp.Ordered](samples []T, q float64) T {
	sorted := slices.Sorted(slices.Values(samples))
	return sorted[max(0, int(math.Ceil(q*float64(len(sorted))))-1)]
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// timed measures one call.
func timed(b *testing.B, do func() error) time.Duration {
	b.Helper()
	began := time.Now()
	if err := do(); err != nil {
		b.Fatal(err)
	}
	return time.Since(began)
}

// get fetches a page over a connection of its own, as a new program would.
func get(url string) error {
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	response, err := (&http.Client{Transport: transport}).Get(url)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return err
}

const doNothing = `
probe "http" "front" { url = "%[1]s/front" }
probe "http" "back" { url = "%[1]s/back" }

scenario "nothing" {
  seed = 1
  hypothesis "the front answers" {
    probe = probe.front
    hold  = "0s"
  }
  hypothesis "the back answers" {
    probe = probe.back
    hold  = "0s"
  }
  fault "exec" "nothing" { inject = ["true"] }
}
`

// BenchmarkExperiment is a whole run of the program: two HTTP checks and a command
// that does nothing, with the journal and four reports on disk. The raw limit makes
// the same two requests and runs the same command, from a program that is up.
func BenchmarkExperiment(b *testing.B) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	dir := b.TempDir()
	path := filepath.Join(dir, "nothing.hcl")
	if err := os.WriteFile(path, fmt.Appendf(nil, doNothing, server.URL), 0o600); err != nil {
		b.Fatal(err)
	}
	var ours, start, raw, disk []time.Duration
	var peak []int64
	for b.Loop() {
		for range 20 {
			u := metered(b, filepath.Join(dir, "state"), "run", path)
			ours, peak = append(ours, u.Wall), append(peak, u.Peak)
			start = append(start, metered(b, dir, "--version").Wall)
			raw = append(raw, timed(b, func() error {
				for _, page := range []string{"/front", "/back"} {
					if err := get(server.URL + page); err != nil {
						return err
					}
				}
				return exec.Command("true").Run()
			}))
			disk = append(disk, timed(b, func() error { return syncFiles(b.TempDir(), 12) }))
		}
	}
	whole, floor := milliseconds(quantile(ours, 0.5)), milliseconds(quantile(raw, 0.5))
	show(b,
		figure{"whole run", "ms", whole, floor, 0},
		figure{"run over its commands", "ms", whole - floor, 0, 20},
		figure{"for scale: start and end of the program", "ms", milliseconds(quantile(start, 0.5)), 0, 0},
		figure{"for scale: 12 fsyncs on this disk", "ms", milliseconds(quantile(disk, 0.5)), 0, 0},
		figure{"peak memory", "MB", float64(slices.Max(peak)) / 1024, 0, 40},
	)
}

// syncFiles writes small files and waits for the disk each time.
func syncFiles(dir string, count int) error {
	for i := range count {
		file, err := os.Create(filepath.Join(dir, fmt.Sprint(i)))
		if err != nil {
			return err
		}
		if _, err := file.WriteString("a line for the disk\n"); err != nil {
			return err
		}
		if err := file.Sync(); err != nil {
			return err
		}
		if err := file.Close(); err != nil {
			return err
		}
	}
	return nil
}

const smallScenario = `
variable "latency%[1]d" { default = "300ms" }

locals { host%[1]d = "127.0.0.1" }

probe "http" "door%[1]d" {
  url   = "http://${local.host%[1]d}:8080/"
  every = "250ms"
}

slo "checkout%[1]d" {
  objective = "99.9%%"
  probe     = probe.door%[1]d
}

scenario "slow-%[1]d" {
  hypothesis "checkout stays available" {
    slo      = slo.checkout%[1]d
    at_least = "99.5%%"
  }
  hypothesis "the door answers fast" {
    probe       = probe.door%[1]d
    p95_at_most = "500ms"
  }
  fault "exec" "late" {
    inject   = ["touch", "/tmp/late-${var.latency%[1]d}"]
    revert   = ["rm", "-f", "/tmp/late-${var.latency%[1]d}"]
    check    = ["test", "-e", "/tmp/late-${var.latency%[1]d}"]
    duration = "2m"
  }
  fault "process_kill" "gone" {
    name  = "shop"
    after = fault.late
  }
  guard "burn_rate" "page" { slo = slo.checkout%[1]d }
}
`

// BenchmarkValidate checks a thousand scenario files with the program: each as a
// configuration of its own, and all as one directory. The raw limit reads the files
// and parses them as HCL.
func BenchmarkValidate(b *testing.B) {
	dir := filepath.Join(b.TempDir(), "scenarios")
	if err := os.Mkdir(dir, 0o700); err != nil {
		b.Fatal(err)
	}
	var paths []string
	for i := range 1000 {
		paths = append(paths, filepath.Join(dir, fmt.Sprintf("s%d.hcl", i)))
		if err := os.WriteFile(paths[i], fmt.Appendf(nil, smallScenario, i), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	var each, directory, raw []time.Duration
	var peak []int64
	for b.Loop() {
		for range 3 {
			one := metered(b, dir, append([]string{"validate"}, paths...)...)
			all := metered(b, dir, "validate", dir)
			each, directory, peak = append(each, one.Wall), append(directory, all.Wall), append(peak, one.Peak, all.Peak)
			raw = append(raw, timed(b, func() error {
				for _, path := range paths {
					text, err := os.ReadFile(path)
					if err != nil {
						return err
					}
					if _, diags := hclsyntax.ParseConfig(text, path, hcl.InitialPos); diags.HasErrors() {
						return diags
					}
				}
				return nil
			}))
		}
	}
	floor := milliseconds(quantile(raw, 0.5))
	show(b,
		figure{"1,000 files each", "ms", milliseconds(quantile(each, 0.5)), floor, 1000},
		figure{"1,000 files one directory", "ms", milliseconds(quantile(directory, 0.5)), floor, 1000},
		figure{"peak memory", "MB", float64(slices.Max(peak)) / 1024, 0, 0},
	)
}

// dayResult is what a run of 24 hours leaves: five measurements a second of one
// probe, a fault every 30 seconds.
func dayResult() *experiments.Result {
	began := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	r := &experiments.Result{
		Schema: experiments.ResultSchema, Run: "20260302-090000-day-0001", Scenario: "day", Seed: 7,
		Began: began, Ended: began.Add(24 * time.Hour), Verdict: experiments.Held, Reason: "every hypothesis held",
		Phases: []experiments.PhaseSpan{{Phase: experiments.PhaseDisrupt, From: began, To: began.Add(24 * time.Hour)}},
	}
	s := &experiments.Series{Name: "probe.front_door", Kind: "probe", Unit: "s"}
	for i := range 432_000 {
		bad := 0.0
		if i%997 == 0 {
			bad = 1
		}
		// Real columns have the nine digits of a clock in nanoseconds.
		s.At = append(s.At, float64(i)/5+float64(i*7919%1_000_000)/1e9)
		s.Latency = append(s.Latency, (2e7+1e7*math.Sin(float64(i)*1.3)-math.Mod((2e7+1e7*math.Sin(float64(i)*1.3)), 1))/1e9)
		s.Bad, s.Total = append(s.Bad, bad), append(s.Total, 1)
	}
	r.Series = []*experiments.Series{s}
	for i := range 2880 {
		at := began.Add(time.Duration(i) * 30 * time.Second)
		r.Hits = append(r.Hits, experiments.HitResult{
			Hit:  experiments.Hit{ID: fmt.Sprintf("lose-a-pod.%d", i+1), Fault: "lose-a-pod", Kind: "exec", Round: i + 1, Target: "pod shop/checkout", Effect: "delete the pod", Undo: "nothing to undo"},
			Step: experiments.Verified, State: experiments.Whole, Injected: at, Verified: at,
		})
		r.Timeline = append(r.Timeline, experiments.Moment{At: at, Kind: "fault", Text: "lose-a-pod: delete the pod on pod shop/checkout"})
	}
	return r
}

// weekResult is dayResult with 3,000,000 samples, five a second of one probe for a week.
func weekResult() *experiments.Result {
	r := dayResult()
	r.Ended = r.Began.Add(600_000 * time.Second)
	r.Phases[0].To = r.Ended
	s := r.Series[0]
	for i := len(s.At); i < 3_000_000; i++ {
		s.At = append(s.At, float64(i)/5+float64(i*7919%1_000_000)/1e9)
		s.Latency = append(s.Latency, s.Latency[i%432_000])
		s.Bad, s.Total = append(s.Bad, s.Bad[i%432_000]), append(s.Total, 1)
	}
	return r
}

// BenchmarkReport renders the page of a run of 24 hours with the program, and that of a
// run of a week. The raw limit of the time is one pass of a json.Decoder over the same
// file, that of the memory the file itself.
func BenchmarkReport(b *testing.B) {
	for _, test := range []struct {
		name          string
		result        func() *experiments.Result
		seconds, page float64 // what it may take, and weigh in KB
	}{
		{"432,000 samples", dayResult, 2, 150},
		{"3,000,000 samples", weekResult, 10, 150},
	} {
		b.Run(test.name, func(b *testing.B) { benchmarkReport(b, test.name, test.result(), test.seconds*1000, test.page) })
	}
}

func benchmarkReport(b *testing.B, name string, r *experiments.Result, most, weight float64) {
	dir := b.TempDir()
	path, page := filepath.Join(dir, "result.json"), filepath.Join(dir, "report.html")
	if err := writeFile(path, func(file *os.File) error { return reports.Store(file, r) }); err != nil {
		b.Fatal(err)
	}
	again := filepath.Join(dir, "again.html")
	metered(b, dir, "report", path, "--format", "html", "--out", again)
	var ours, raw []time.Duration
	var peak []int64
	for b.Loop() {
		u := metered(b, dir, "report", path, "--format", "html", "--out", page)
		ours, peak = append(ours, u.Wall), append(peak, u.Peak)
		raw = append(raw, timed(b, func() error {
			file, err := os.Open(path)
			if err != nil {
				return err
			}
			defer file.Close()
			var whole json.RawMessage
			return json.NewDecoder(file).Decode(&whole)
		}))
	}
	first, err := os.ReadFile(again)
	if err != nil {
		b.Fatal(err)
	}
	if second, err := os.ReadFile(page); err != nil || !bytes.Equal(first, second) {
		b.Errorf("the page differs when it is rendered again (%v)", err)
	}
	show(b,
		figure{"report of " + name, "ms", milliseconds(quantile(ours, 0.5)), milliseconds(quantile(raw, 0.5)), most},
		figure{"peak memory against the file", "MB", float64(slices.Max(peak)) / 1024, size(b, path), 64},
		figure{"page", "KB", size(b, page) * 1024, 0, weight},
	)
}

// size is that of a file in MB.
func size(b *testing.B, path string) float64 {
	b.Helper()
	info, err := os.Stat(path)
	if err != nil {
		b.Fatal(err)
	}
	return float64(info.Size()) / (1 << 20)
}
