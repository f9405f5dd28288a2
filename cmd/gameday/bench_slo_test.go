package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/promtest"
)

const (
	benchSLOs   = 50
	benchPods   = 10 // of each SLO, with four codes: 2,000 series
	benchAtOnce = 4  // queries at a time, as gameday sends them
)

// benchMonth makes blocks of 2,000 series over 30 days, one sample each 5 minutes, and
// keeps them for the next time.
func benchMonth(b *testing.B) string {
	dir := filepath.Join(os.TempDir(), "gameday-bench-month-1")
	if _, err := os.Stat(filepath.Join(dir, "whole")); err == nil {
		return dir
	}
	if err := os.RemoveAll(dir); err != nil {
		b.Fatal(err)
	}
	const step = 5 * time.Minute
	from := friday.Add(-30 * experiments.Day)
	h := promtest.History{From: from, To: friday, Step: step}
	for s := range benchSLOs {
		for pod := range benchPods {
			for i, code := range []string{"200", "204", "404", "500"} {
				perStep := float64([]int{3000, 300, 30, 1}[i] * (1 + (s+pod)%3))
				h.Series = append(h.Series, promtest.Series{Name: fmt.Sprintf(`r{job="s%d",pod="%d",code="%s"}`, s, pod, code), Value: func(at time.Time) (float64, bool) {
					return perStep * float64(at.Sub(from)/step), true
				}})
			}
		}
	}
	promtest.Blocks(b, h, dir)
	if err := os.WriteFile(filepath.Join(dir, "whole"), nil, 0o600); err != nil {
		b.Fatal(err)
	}
	return dir
}

// BenchmarkSLOStatus measures `gameday slo status` of 50 SLOs over 30 days, the whole
// process, beside the same counts asked for by hand: a query for each count, four at a
// time. The figures: at most 1.2 times as long, less than 80 MB.
func BenchmarkSLOStatus(b *testing.B) {
	server := promtest.On(b, benchMonth(b), "--query.lookback-delta=15m")
	var text strings.Builder
	fmt.Fprintf(&text, "prometheus {\n  url             = %q\n  scrape_interval = \"5m\"\n}\n", server)
	for s := range benchSLOs {
		fmt.Fprintf(&text, "slo \"s%d\" {\n  objective = \"99.9%%\"\n  sli {\n    bad   = \"sum(rate(r{job=\\\"s%[1]d\\\",code=~\\\"5..\\\"}[$window]))\"\n    total = \"sum(rate(r{job=\\\"s%[1]d\\\"}[$window]))\"\n  }\n}\n", s)
	}
	path := filepath.Join(b.TempDir(), "slos.hcl")
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		b.Fatal(err)
	}
	gameday := program(b, "gameday")
	var command *exec.Cmd
	status := func() time.Duration {
		command = exec.Command(gameday, "slo", "status", path, atFriday)
		var out bytes.Buffer
		command.Stdout, command.Stderr = &out, &out
		began := time.Now()
		if err := command.Run(); err != nil || !strings.Contains(out.String(), "50 SLOs, all within their budgets") {
			b.Fatalf("slo status: %v\n%s", err, out.String())
		}
		return time.Since(began)
	}
	byHand, withGameday := time.Hour, time.Hour
	askByHand(b, server) // which warms the server's caches
	for b.Loop() {
		// The least of several, in turn: what else the machine does is not measured.
		for range 5 {
			byHand = min(byHand, askByHand(b, server))
			withGameday = min(withGameday, status())
		}
	}
	b.ReportMetric(byHand.Seconds()*1000, "ms-by-hand")
	b.ReportMetric(withGameday.Seconds()*1000, "ms-gameday")
	b.ReportMetric(withGameday.Seconds()/byHand.Seconds(), "times-by-hand")
	if usage, ok := command.ProcessState.SysUsage().(*syscall.Rusage); ok {
		b.ReportMetric(float64(usage.Maxrss)/1024, "MiB-most")
	}
}

// askByHand sends the bare queries for bad and total over the period and each window.
func askByHand(b *testing.B, server string) time.Duration {
	var queries []string
	for s := range benchSLOs {
		for _, window := range []string{"30d", "1h", "6h", "1d", "3d"} {
			queries = append(queries,
				fmt.Sprintf(`sum(increase(r{job="s%d",code=~"5.."}[%s]))`, s, window),
				fmt.Sprintf(`sum(increase(r{job="s%d"}[%s]))`, s, window))
		}
	}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: benchAtOnce}}
	defer client.CloseIdleConnections()
	began := time.Now()
	places := make(chan struct{}, benchAtOnce)
	var working sync.WaitGroup
	for _, query := range queries {
		places <- struct{}{}
		working.Go(func() {
			defer func() { <-places }()
			resp, err := client.PostForm(server+"/api/v1/query", url.Values{"query": {query}, "time": {strconv.FormatInt(friday.Unix(), 10)}})
			if err != nil {
				b.Error(err)
				return
			}
			body, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if err != nil || !bytes.Contains(body, []byte(`"value"`)) {
				b.Errorf("%s: %v %s", query, err, body)
			}
		})
	}
	working.Wait()
	return time.Since(began)
}
