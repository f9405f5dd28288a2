package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/history"
	"github.com/gameday-sh/gameday/internal/textsafe"
)

// standings are what a run can be listed as.
var standings = []string{"held", "refuted", "aborted", "inconclusive", "error", "NOT RESTORED", "mended since", "going on", "died", "not begun", "unreadable"}

func newRunsCommand(global *globalFlags) *cobra.Command {
	var flags runsFlags
	cmd := &cobra.Command{
		Use:   "runs",
		Short: "List runs, the newest first, with their verdicts",
		Long: `runs lists the runs of the state folder, or of the shared store, with their
verdicts. Of a run without one it says: "going on", "died" (and everything is
mended), "NOT RESTORED" (type gameday recover), "not begun" or "unreadable".

It exits with 0 whatever the verdicts are.`,
		Example: "  gameday runs\n  gameday runs --scenario 'slow-*' --verdict refuted --since 30d\n  gameday runs show last\n  gameday runs diff 20261124 last",
		Args:    wants(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			q, err := flags.query(time.Now())
			if err != nil {
				return &exitError{experiments.Invalid.ExitCode(), err}
			}
			return global.withStore(cmd.Context(), func(store history.Store) error {
				list, err := store.List(cmd.Context(), q)
				if err != nil {
					return err
				}
				if flags.json {
					return listJSON(cmd.OutOrStdout(), list)
				}
				return listRuns(cmd.OutOrStdout(), store, list, q)
			})
		},
	}
	cmd.Flags().IntVarP(&flags.count, "count", "n", 20, "how many to list, as a `number`")
	cmd.Flags().StringVar(&flags.scenario, "scenario", "", "only runs of this scenario, by a `pattern` such as 'slow-*'")
	cmd.Flags().StringArrayVar(&flags.verdicts, "verdict", nil, "only runs with this `verdict` (repeatable)")
	cmd.Flags().StringVar(&flags.since, "since", "", "only runs that began since a `time`: 30d ago, or 2026-11-24")
	cmd.Flags().StringVar(&flags.until, "until", "", "only runs that began before a `time`")
	cmd.Flags().BoolVar(&flags.json, "json", false, "one JSON object a line, for programs")
	cmd.AddCommand(newRunsShowCommand(global), newRunsDiffCommand(global), newRunsSyncCommand(global))
	return cmd
}

type runsFlags struct {
	count        int
	scenario     string
	verdicts     []string
	since, until string
	json         bool
}

// query checks the flags, all at once.
func (f *runsFlags) query(now time.Time) (history.Query, error) {
	q := history.Query{Scenario: f.scenario, Limit: f.count, Brief: true}
	var problems []error
	if f.count < 1 {
		problems = append(problems, fmt.Errorf("--count is %d; write at least 1", f.count))
	}
	if _, err := path.Match(f.scenario, ""); err != nil {
		problems = append(problems, fmt.Errorf("--scenario %q is not a pattern: write a name, with * for any letters", f.scenario))
	}
	for _, verdict := range f.verdicts {
		found := ""
		for _, known := range standings {
			if strings.EqualFold(known, strings.ReplaceAll(verdict, "-", " ")) {
				found = known
			}
		}
		if found == "" {
			meant := nearest(verdict, standings)
			problems = append(problems, fmt.Errorf("there is no verdict %q; %s", verdict, cmp.Or(did(meant), "there is: "+strings.Join(standings, ", "))))
			continue
		}
		q.Standings = append(q.Standings, found)
	}
	for _, one := range []struct {
		flag, text string
		into       *time.Time
	}{{"since", f.since, &q.Since}, {"until", f.until, &q.Until}} {
		if one.text == "" {
			continue
		}
		at, err := momentOf(one.text, now)
		if err != nil {
			problems = append(problems, fmt.Errorf("--%s: %w", one.flag, err))
		}
		*one.into = at
	}
	return q, errors.Join(problems...)
}

func did(meant string) string {
	if meant == "" {
		return ""
	}
	return fmt.Sprintf("did you mean %q?", meant)
}

// momentOf reads "30d" as so long ago, or a date, or a date and time, of this machine's
// zone where it names none.
func momentOf(text string, now time.Time) (time.Time, error) {
	if ago, err := experiments.ParseDuration(text); err == nil {
		return now.Add(-ago), nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02T15:04", time.DateTime, time.DateOnly} {
		if at, err := time.ParseInLocation(layout, text, time.Local); err == nil {
			return at, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is neither so long ago, such as 30d, nor a date, such as 2026-11-24", text)
}

// withStore opens the store for a command that reads runs.
func (global *globalFlags) withStore(ctx context.Context, use func(history.Store) error) error {
	store, err := global.openStore(ctx)
	var exit *exitError
	if errors.As(err, &exit) {
		return err
	}
	if err != nil {
		return &exitError{experiments.Errored.ExitCode(), err}
	}
	err = errors.Join(use(store), store.Close())
	if err != nil && !errors.As(err, &exit) {
		err = &exitError{experiments.Errored.ExitCode(), err}
	}
	return err
}

// line makes a text from a stored run, which may be from anywhere, fit for a terminal.
func line(text string) string { return textsafe.Line(text, 300) }

func listRuns(w io.Writer, store history.Store, list []history.Entry, q history.Query) error {
	out := &lines{w: w}
	if len(list) == 0 {
		if q.Scenario != "" || len(q.Standings) > 0 || !q.Since.IsZero() || !q.Until.IsZero() {
			out.printf("no run in %s is like that\n", store.Where())
		} else {
			out.printf("there are no runs in %s yet; try: gameday run quickstart\n", store.Where())
		}
		return out.err
	}
	for _, e := range list {
		lasted := ""
		if e.Result != nil && !e.Result.Ended.IsZero() {
			lasted = experiments.FormatDuration(e.Result.Ended.Sub(e.Result.Began).Round(time.Second))
		}
		out.printf("%s\n", strings.TrimRight(fmt.Sprintf("%-13s %s  %s", e.Standing, line(e.Run), lasted), " "))
	}
	return out.err
}

// listed is a run as --json lists it.
type listed struct {
	Run      string     `json:"run"`
	Scenario string     `json:"scenario"`
	Standing string     `json:"standing"`
	Began    *time.Time `json:"began,omitempty"`
	Seconds  float64    `json:"seconds,omitempty"`
	Reason   string     `json:"reason,omitempty"`
	Digest   string     `json:"digest,omitempty"`
	Host     string     `json:"host,omitempty"`
}

func listJSON(w io.Writer, list []history.Entry) error {
	encoder := json.NewEncoder(w)
	for _, e := range list {
		one := listed{Run: e.Run, Scenario: e.Scenario, Standing: e.Standing}
		if !e.Began.IsZero() {
			one.Began = &e.Began
		}
		if r := e.Result; r != nil {
			one.Reason, one.Digest, one.Host = r.Reason, r.Digest, r.Host
			if !r.Ended.IsZero() {
				one.Seconds = r.Ended.Sub(r.Began).Seconds()
			}
		}
		if err := encoder.Encode(one); err != nil {
			return err
		}
	}
	return nil
}
