package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gameday-sh/gameday/experiments"
)

// ranBefore makes the runs of a state folder older.
func ranBefore(t *testing.T, home string, by time.Duration) {
	t.Helper()
	for _, run := range runNames(t, home) {
		dir := filepath.Join(home, "runs", run)
		path := filepath.Join(dir, "result.json")
		var result experiments.Result
		if err := json.Unmarshal([]byte(read(t, path)), &result); err != nil {
			t.Fatal(err)
		}
		text := read(t, path)
		old := result.Began.Add(-by)
		stamp := func(at time.Time) string {
			one, err := json.Marshal(at)
			if err != nil {
				t.Fatal(err)
			}
			return string(one)
		}
		if !strings.Contains(text, stamp(result.Began)) {
			t.Fatalf("%s does not say when it began (%s)", path, stamp(result.Began))
		}
		write(t, path, strings.ReplaceAll(text, stamp(result.Began), stamp(old)))
		if err := os.RemoveAll(filepath.Join(dir, "outline.json")); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTheGateAsksForFreshness(t *testing.T) {
	t.Parallel()
	scenario := filepath.Join(t.TempDir(), "brief.hcl")
	write(t, scenario, briefly)
	home := filepath.Join(t.TempDir(), "state")
	ask := func(args ...string) []string {
		return append(append([]string{"gate", "--for", "freshness"}, args...), scenario)
	}
	asJSON := func(code int) fresh {
		t.Helper()
		p := gameday(t, home, ask("--json")...)
		p.ends(time.Minute, code)
		var list []fresh
		if err := json.Unmarshal([]byte(p.said.String()), &list); err != nil || len(list) != 1 {
			t.Fatalf("%v in\n%s", err, p.said.String())
		}
		return list[0]
	}

	gameday(t, home, ask()...).ends(time.Minute, 1, `^STALE +brief: no run of it has held`)
	if got := asJSON(1); got.Fresh || got.Run != "" || got.Scenario != "brief" {
		t.Errorf("before any run: %+v", got)
	}

	gameday(t, home, "run", "--plain", scenario).ends(time.Minute, 0, "HELD")
	gameday(t, home, ask()...).ends(time.Minute, 0, `^fresh +brief: held \S+ ago, at most 30d asked \(.*-brief-.*\)\n$`)
	if got := asJSON(0); !got.Fresh || got.Changed || got.Age <= 0 || got.Age > 600 || !strings.Contains(got.Run, "-brief-") {
		t.Errorf("after a run: %+v", got)
	}
	gameday(t, home, ask("--max-age", "1ms")...).ends(time.Minute, 1, `^STALE +brief: held \S+ ago, at most 1ms asked`)

	// A text that changed is told of, as what held is not what is asked about.
	write(t, scenario, strings.Replace(briefly, `"10ms"`, `"20ms"`, 1))
	gameday(t, home, ask()...).ends(time.Minute, 0, "its text has changed since")
	if got := asJSON(0); !got.Changed {
		t.Errorf("with another text: %+v", got)
	}

	// A scenario that failed since is told of beside the run that held.
	write(t, scenario, strings.Replace(briefly, "sandbox.shop.url", `"http://`+closedAddress(t)+`/"`, 1))
	p := gameday(t, home, "run", "--plain", scenario)
	if code := p.wait(time.Minute); code == 0 {
		t.Fatalf("a run against nothing held:\n%s", p.said.String())
	}
	gameday(t, home, ask()...).ends(time.Minute, 0, "the newest run came to: (inconclusive|refuted|aborted)")

	ranBefore(t, home, 40*experiments.Day)
	gameday(t, home, ask()...).ends(time.Minute, 1, `^STALE +brief: held 40d`)
	gameday(t, home, ask("--max-age", "60d")...).ends(time.Minute, 0, `^fresh +brief: held 40d`)

	// What cannot be asked is neither yes nor no.
	away := "postgres://gameday:hunter2@127.0.0.1:1/history"
	q := gameday(t, home, ask("--store", away)...)
	q.ends(time.Minute, 4, "open the store postgres://127.0.0.1:1/history")
	if strings.Contains(q.said.String(), "hunter2") {
		t.Errorf("the password is shown:\n%s", q.said.String())
	}
	gameday(t, home, ask("--max-age", "soon")...).ends(time.Minute, 2, `--max-age "soon" is not a duration`)
	gameday(t, home, ask("--max-age", "0s")...).ends(time.Minute, 2, "above 0")
	gameday(t, home, ask("--store", "mysql://x")...).ends(time.Minute, 2, "address of a PostgreSQL database")
	empty := filepath.Join(t.TempDir(), "empty.hcl")
	write(t, empty, "prometheus {\n  url = \"http://127.0.0.1:1\"\n}\n")
	gameday(t, home, "gate", "--for", "freshness", empty).ends(time.Minute, 2, "has no scenario")
	gameday(t, home, ask("--slo", "checkout")...).ends(time.Minute, 2, "--slo")
	gameday(t, home, "gate", "--for", "deploy", "--max-age", "1d", scenario).ends(time.Minute, 2, "--max-age is for --for freshness")
}
