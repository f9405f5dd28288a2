package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/history"
	"github.com/gameday-sh/gameday/internal/history/postgrestest"
	"github.com/gameday-sh/gameday/reports"
)

// manyRuns is how many runs a history has in the benchmark: thirty a day for a year.
const manyRuns = 10_000

// pastRun is the n-th run of a history, with what an outline keeps of a usual scenario.
func pastRun(n int) *experiments.Result {
	began := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(n) * 50 * time.Minute)
	after := func(seconds int) time.Time { return began.Add(time.Duration(seconds) * time.Second) }
	scenario := fmt.Sprintf("scenario-%d", n%20)
	r := &experiments.Result{
		Schema: experiments.ResultSchema, Run: fmt.Sprintf("%s-%s-%04x", began.Format("20060102-150405"), scenario, n), Scenario: scenario,
		Description: "Checkout survives a payment provider that answers late", Origin: "shop.hcl:31", Digest: "sha256:" + strings.Repeat("5f", 32), Seed: uint64(n),
		Version: "0.1.0", Host: "ci-7", Began: began, Ended: after(200), Verdict: experiments.Held, Reason: "every hypothesis held; everything that was broken is proven mended",
		Rerun: &experiments.Rerun{Command: []string{"gameday", "run", "shop.hcl", "--scenario", scenario}, Directory: "/builds/shop"},
	}
	for i, phase := range []experiments.Phase{experiments.PhaseBaseline, experiments.PhaseDisrupt, experiments.PhaseRevert, experiments.PhaseRecover} {
		r.Phases = append(r.Phases, experiments.PhaseSpan{Phase: phase, From: after(50 * i), To: after(50*i + 50)})
	}
	for i := range 3 {
		judged := &experiments.Judgement{Phase: experiments.PhaseDisrupt, From: after(50), To: after(100), Verdict: experiments.Held, Observed: .9971, Limit: .995, Unit: "ratio", Bad: 8, Total: 2912, Text: "99.71% of 2,912 events were good"}
		r.Hypotheses = append(r.Hypotheses, experiments.HypothesisResult{Name: fmt.Sprint("hypothesis ", i), Statement: "at least 99.5% of slo.checkout's events are good", Series: "slo.checkout", Unit: "ratio",
			Limit: .995, Kind: experiments.GoodRatio, Verdict: experiments.Held, Reason: "99.71% of 2,912 events were good", Before: judged, During: judged, Recovery: judged})
		r.Faults = append(r.Faults, experiments.FaultResult{Name: fmt.Sprint("fault-", i), Kind: "pod_kill", Duration: time.Minute, Rounds: 1, Hits: 2, Injected: 2, Restored: 2})
		r.Guards = append(r.Guards, experiments.GuardResult{Name: fmt.Sprint("guard-", i), Kind: "burn_rate", Looks: 480, Worst: &experiments.Reading{Used: .2, Text: "burn 2.9 of 14.4"}, WorstAt: after(91)})
		for j := range 2 {
			h := experiments.HitResult{Step: experiments.Verified, State: experiments.Whole, Injected: after(60), Verified: after(100)}
			h.ID, h.Fault, h.Kind, h.Target, h.Round = fmt.Sprintf("fault-%d/1/%d", i, j), fmt.Sprint("fault-", i), "pod_kill", fmt.Sprint("pod shop/checkout-", j), 1
			r.Hits = append(r.Hits, h)
		}
	}
	if n%7 == 0 {
		r.Verdict, r.Reason = experiments.Refuted, `"hypothesis 0": while faults were on: 98.4% of 2,912 events were good`
	}
	return r
}

// BenchmarkRuns lists 10,000 runs with the program, from a folder and from PostgreSQL.
// The raw limit reads the same outlines, without looking into them.
func BenchmarkRuns(b *testing.B) {
	b.Run("folder", func(b *testing.B) {
		state := b.TempDir()
		var paths []string
		for n := range manyRuns {
			r := pastRun(n)
			dir := filepath.Join(state, "runs", r.Run)
			if err := os.MkdirAll(dir, 0o700); err != nil {
				b.Fatal(err)
			}
			paths = append(paths, filepath.Join(dir, history.OutlineFile))
			var text bytes.Buffer
			if err := reports.Store(&text, history.Outline(r)); err != nil {
				b.Fatal(err)
			}
			if err := os.WriteFile(paths[n], text.Bytes(), 0o600); err != nil {
				b.Fatal(err)
			}
		}
		benchmarkRuns(b, state, nil, func() error {
			for _, path := range paths {
				if _, err := os.ReadFile(path); err != nil {
					return err
				}
			}
			return nil
		})
	})
	b.Run("PostgreSQL", func(b *testing.B) {
		address := postgrestest.Start(b)
		store, err := history.OpenPostgres(b.Context(), address)
		if err != nil {
			b.Fatal(err)
		}
		for n := range manyRuns {
			if err := store.Put(b.Context(), &history.Run{Result: pastRun(n)}); err != nil {
				b.Fatal(err)
			}
		}
		if err := store.Close(); err != nil {
			b.Fatal(err)
		}
		benchmarkRuns(b, b.TempDir(), []string{"--store", address}, func() error { return readOutlines(b.Context(), address) })
	})
}

func benchmarkRuns(b *testing.B, state string, where []string, read func() error) {
	args := append([]string{"runs", "-n", fmt.Sprint(manyRuns)}, where...)
	command := exec.Command(program(b, "gameday"), args...)
	command.Env = append(os.Environ(), "GAMEDAY_STATE="+state)
	listed, err := command.Output()
	if err != nil {
		b.Fatal(err)
	}
	if count := bytes.Count(listed, []byte("\n")); count != manyRuns {
		b.Fatalf("%d of %d runs are listed:\n%.300s", count, manyRuns, listed)
	}
	var ours, cpu, few, raw []time.Duration
	var peak int64
	for b.Loop() {
		for range 5 {
			u := metered(b, state, args...)
			ours, cpu, peak = append(ours, u.Wall), append(cpu, u.CPU), max(peak, u.Peak)
			few = append(few, metered(b, state, append([]string{"runs"}, where...)...).Wall)
			raw = append(raw, timed(b, read))
		}
	}
	show(b,
		figure{fmt.Sprintf("list of %d runs", manyRuns), "ms", milliseconds(quantile(ours, 0.5)), milliseconds(quantile(raw, 0.5)), 1000},
		figure{"processor time of it", "ms", milliseconds(quantile(cpu, 0.5)), 0, 0},
		figure{"list of the newest 20", "ms", milliseconds(quantile(few, 0.5)), 0, 0},
		figure{"peak memory", "MB", float64(peak) / 1024, 0, 0},
	)
}

// readOutlines has PostgreSQL send every outline.
func readOutlines(ctx context.Context, address string) (err error) {
	conn, err := pgx.Connect(ctx, address)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	rows, err := conn.Query(ctx, "select outline from gameday_run")
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if len(rows.RawValues()[0]) == 0 {
			return errors.New("an empty outline")
		}
	}
	return rows.Err()
}
