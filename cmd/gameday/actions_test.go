package main

import (
	"strings"
	"testing"
	"time"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/history"
	"github.com/gameday-sh/gameday/internal/history/postgrestest"
	"github.com/gameday-sh/gameday/internal/state"
	"github.com/gameday-sh/gameday/reports"
)

// reported keeps a run with a report in which these rows are the action items.
func reported(t *testing.T, store history.Store, name, scenario string, daysAgo int, verdict experiments.Verdict, rows ...string) {
	t.Helper()
	began := time.Now().AddDate(0, 0, -daysAgo).UTC()
	r := &experiments.Result{Schema: experiments.ResultSchema, Run: began.Format("20060102-150405") + "-" + scenario + "-" + name, Scenario: scenario, Began: began, Ended: began.Add(time.Minute), Verdict: verdict, Reason: "why"}
	table := "| Action | Owner | Due date | Priority | Re-test | Status |\n|---|---|---|---|---|---|\n" + strings.Join(rows, "\n") + "\n"
	text := "# Postmortem\n\n## Action items\n\n<!-- place: action-items -->\n" + table + "<!-- end -->\n"
	if n := len(reports.ActionItems([]byte(text))); n != len(rows) {
		t.Fatalf("%d action items are read of %d rows of\n%s", n, len(rows), text)
	}
	if err := store.Put(t.Context(), &history.Run{Result: r, Files: map[string][]byte{"report.md": []byte(text)}}); err != nil {
		t.Fatal(err)
	}
}

func TestOpenActionItemsAreListedAcrossRunsUntilTheirReTestHolds(t *testing.T) {
	t.Parallel()
	for kind, open := range map[string]func(t *testing.T) (history.Store, []string){
		"folder": func(t *testing.T) (history.Store, []string) {
			home := t.TempDir()
			dir, err := state.Open(home)
			if err != nil {
				t.Fatal(err)
			}
			return history.NewFolder(dir), []string{"--state", home}
		},
		"postgres": func(t *testing.T) (history.Store, []string) {
			address := postgrestest.Start(t)
			store, err := history.OpenPostgres(t.Context(), address)
			if err != nil {
				t.Fatal(err)
			}
			return store, []string{"--state", t.TempDir(), "--store", address}
		},
	} {
		t.Run(kind, func(t *testing.T) {
			store, flags := open(t)
			t.Cleanup(func() {
				if err := store.Close(); err != nil {
					t.Error(err)
				}
			})
			actions := func(want int, more ...string) string {
				t.Helper()
				code, out, errs := typed(t, append(append([]string{"actions"}, more...), flags...)...)
				if code != want {
					t.Errorf("exit code %d, want %d: %s%s", code, want, out, errs)
				}
				return out
			}
			if out := actions(0); !strings.Contains(out, "no action item is open") {
				t.Errorf("without a run it says %s", out)
			}
			tomorrow, yesterday := time.Now().AddDate(0, 0, 2).Format(time.DateOnly), time.Now().AddDate(0, 0, -2).Format(time.DateOnly)
			reported(t, store, "0001", "slow", 9, experiments.Refuted,
				"| Add a timeout | Ada | "+tomorrow+" | P1 | `slow` | open |",
				"| Write the runbook | Bob | "+yesterday+" | P2 |  | open |",
				"| Buy a cake | Eve | "+yesterday+" | P3 |  | done |",
				"| Look at the pool |  |  | P2 | `slow` | proposed |")
			out := actions(1)
			for _, want := range []string{"overdue    Write the runbook", "open       Add a timeout", "Ada, due " + tomorrow + ", P1, re-tested by slow", "1 proposal that nobody has taken"} {
				if !strings.Contains(out, want) {
					t.Errorf("it does not say %q:\n%s", want, out)
				}
			}
			if strings.Contains(out, "cake") || strings.Index(out, "runbook") > strings.Index(out, "timeout") {
				t.Errorf("what is done is listed, or the overdue one is not first:\n%s", out)
			}

			// A run of another scenario, one that did not hold and an older one close nothing.
			reported(t, store, "0002", "other", 8, experiments.Held)
			reported(t, store, "0003", "slow", 7, experiments.Inconclusive)
			reported(t, store, "0000", "slow", 30, experiments.Held)
			if out := actions(1); !strings.Contains(out, "open       Add a timeout") {
				t.Errorf("it was closed:\n%s", out)
			}
			reported(t, store, "0004", "slow", 6, experiments.Held)
			out = actions(1, "--all")
			if !strings.Contains(out, "re-tested  Add a timeout") || !strings.Contains(out, "closed by run") || !strings.Contains(out, "done       Buy a cake") {
				t.Errorf("the re-test held, and it says\n%s", out)
			}
			if out := actions(1, "--json"); strings.Contains(out, "timeout") || !strings.Contains(out, `"standing": "overdue"`) {
				t.Errorf("as JSON it says\n%s", out)
			}
		})
	}
}
