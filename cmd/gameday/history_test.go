package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/history"
	"github.com/gameday-sh/gameday/internal/history/postgrestest"
	"github.com/gameday-sh/gameday/internal/state"
)

// briefly is a whole run in about a second.
const briefly = `
sandbox "shop" {}
probe "http" "front" {
  url   = sandbox.shop.url
  every = "100ms"
}
scenario "brief" {
  seed = 1
  hypothesis "the front door answers" {
    probe = probe.front
    hold  = "0s"
  }
  fault "toxiproxy_latency" "late" {
    proxy      = sandbox.shop.payments_proxy
    latency    = "10ms"
    duration   = "300ms"
    dependency = "payments"
  }
}
`

func TestATeamSharesItsRunsInPostgreSQL(t *testing.T) {
	t.Parallel()
	address := postgrestest.Start(t)
	scenario := filepath.Join(t.TempDir(), "brief.hcl")
	write(t, scenario, briefly)
	one, other := filepath.Join(t.TempDir(), "one"), filepath.Join(t.TempDir(), "other")

	// One machine keeps its run in the store at once, another brings its own later.
	gameday(t, one, "run", "--plain", "--store", address, "--baseline", "last-held", scenario).ends(time.Minute, 0, "HELD", "there is no run of brief to compare with yet")
	gameday(t, other, "run", "--plain", scenario).ends(time.Minute, 0, "HELD")
	gameday(t, other, "runs", "sync", "--store", address).ends(time.Minute, 0, "1 run brought to postgres://")
	gameday(t, other, "runs", "sync", "--store", address).ends(time.Minute, 0, "0 runs brought")

	// A third has no state of its own, and sees both.
	third := filepath.Join(t.TempDir(), "third")
	list := gameday(t, third, "runs", "--store", address, "--scenario", "bri*", "--verdict", "held")
	list.ends(time.Minute, 0)
	if n := strings.Count(list.said.String(), "-brief-"); n != 2 {
		t.Errorf("%d runs are listed, want 2:\n%s", n, list.said.String())
	}
	gameday(t, third, "runs", "show", "--store", address, "last").ends(time.Minute, 0, "held +20.*-brief-", "the front door answers", `1 of 1 hit +late`)
	gameday(t, third, "report", "--store", address, "last", "--format", "html").ends(time.Minute, 0, "<!DOCTYPE html>", "brief")
	gameday(t, third, "matrix", "--store", address).ends(time.Minute, 0, "payments\n.*works, less than an hour old")

	// The two are compared, and a later run is held to what held before.
	names := runNames(t, one, other)
	compared := gameday(t, third, "runs", "diff", "--store", address, names[0], names[1])
	if code := compared.wait(time.Minute); code != 0 && code != 4 {
		t.Errorf("exit code %d:\n%s", code, compared.said.String())
	}
	if said := compared.said.String(); !strings.Contains(said, "SAME        verdict") || !strings.Contains(said, "latency while faults were on") {
		t.Errorf("the comparison says\n%s", said)
	}
	gameday(t, one, "run", "--plain", "--store", address, "--baseline", "last-held", scenario).ends(time.Minute, 0, "baseline  20.*-brief-.*: ")
}

// runNames are the names of the runs in state folders.
func runNames(t *testing.T, homes ...string) []string {
	t.Helper()
	var names []string
	for _, home := range homes {
		entries, err := os.ReadDir(filepath.Join(home, "runs"))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			names = append(names, e.Name())
		}
	}
	return names
}

func TestAStoreThatIsAwayChangesNoVerdict(t *testing.T) {
	t.Parallel()
	scenario := filepath.Join(t.TempDir(), "brief.hcl")
	write(t, scenario, briefly)
	home := filepath.Join(t.TempDir(), "state")
	const away = "postgres://gameday:hunter2@127.0.0.1:1/history"
	p := gameday(t, home, "run", "--plain", "--store", away, scenario)
	p.ends(time.Minute, 0, "HELD", "is not in the shared store", "`gameday runs sync` tries again")
	if strings.Contains(p.said.String(), "hunter2") {
		t.Errorf("the password is shown:\n%s", p.said.String())
	}
	gameday(t, home, "runs").ends(time.Minute, 0, "held .*-brief-")
	gameday(t, home, "runs", "--store", away).ends(time.Minute, 5, "open the store postgres://127.0.0.1:1/history")
	gameday(t, home, "runs", "--store", "mysql://x").ends(time.Minute, 2, "address of a PostgreSQL database")
	gameday(t, home, "runs", "sync").ends(time.Minute, 2, "no shared store")
}

func TestARunThatIsWorseThanItsBaselineFails(t *testing.T) {
	slow(t)
	scenario := filepath.Join(t.TempDir(), "brief.hcl")
	// Long enough for a shift to be told: thirty measurements of the way that the fault is on.
	long := strings.NewReplacer(`"300ms"`, `"3s"`, "sandbox.shop.url", "sandbox.shop.checkout_url", `every = "100ms"`, "every = \"100ms\"\n  method = \"POST\"").Replace(briefly)
	write(t, scenario, long)
	home := filepath.Join(t.TempDir(), "state")
	gameday(t, home, "run", "--plain", scenario).ends(time.Minute, 0, "HELD")
	write(t, scenario, strings.Replace(long, `"10ms"`, `"150ms"`, 1))
	gameday(t, home, "run", "--plain", "--baseline", "last-held", scenario).ends(time.Minute, 1, "HELD", "worse +probe.front latency while faults were on")
	gameday(t, home, "run", "--plain", "--baseline", "never", scenario).ends(time.Minute, 2, `no run is named "never"`)
}

func TestRunsAreFilteredAndWrongFiltersAreNamed(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	dir, err := state.Open(home)
	if err != nil {
		t.Fatal(err)
	}
	folder := history.NewFolder(dir)
	for i, verdict := range []experiments.Verdict{experiments.Held, experiments.Refuted, experiments.NotRestored} {
		began := time.Now().Add(-time.Duration(3-i) * 24 * time.Hour).UTC()
		r := &experiments.Result{Schema: experiments.ResultSchema, Run: began.Format("20060102-150405") + fmt.Sprintf("-s%d-000%d", i, i), Scenario: fmt.Sprintf("s%d", i), Began: began, Ended: began.Add(time.Minute), Verdict: verdict, Reason: "why"}
		if err := folder.Put(t.Context(), &history.Run{Result: r}); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		args  []string
		lines int
		code  int
		says  string
	}{
		{nil, 3, 0, "NOT RESTORED"},
		{[]string{"--verdict", "refuted"}, 1, 0, "-s1-"},
		{[]string{"--verdict", "not-restored", "--verdict", "held"}, 2, 0, "-s2-"},
		{[]string{"--since", "36h"}, 1, 0, "-s2-"},
		{[]string{"--until", "36h"}, 2, 0, "-s1-"},
		{[]string{"--scenario", "s[01]"}, 2, 0, "-s0-"},
		{[]string{"-n", "1"}, 1, 0, "-s2-"},
		{[]string{"--json", "--scenario", "s0"}, 1, 0, `"standing":"held"`},
		{[]string{"--scenario", "none"}, 1, 0, "no run in .* is like that"},
		{[]string{"--verdict", "hold"}, 1, 2, `did you mean "held"`},
		{[]string{"--since", "yesterday", "--scenario", "["}, 2, 2, "not a pattern"},
	} {
		p := gameday(t, home, append([]string{"runs"}, test.args...)...)
		p.ends(time.Minute, test.code, test.says)
		if got := strings.Count(strings.TrimSpace(p.said.String()), "\n") + 1; got != test.lines {
			t.Errorf("%q gave %d lines, want %d:\n%s", test.args, got, test.lines, p.said.String())
		}
	}
}
