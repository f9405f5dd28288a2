package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/history"
	"github.com/gameday-sh/gameday/internal/state"
	"github.com/gameday-sh/gameday/reports"
)

func newRunsSyncCommand(global *globalFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "sync",
		Short: "Put into the shared store what it lacks of this machine's runs",
		Long: `sync brings the runs of the state folder into the database of --store or
$GAMEDAY_STORE: those that were run without it, that it could not take at the time,
and whose runner died; and what was added to a run since, such as that it was mended,
who was told, and what people wrote into its report.md on this machine. Doing it
again is harmless.

What people wrote there stays. A place that was changed both here and there since the
last time is left as it is there, and named.

It exits with 0, and with 5 if a run could not be brought there.`,
		Example: "  gameday runs sync --store postgres://gameday@db.example.com/history",
		Args:    wants(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !global.shared() {
				return &exitError{experiments.Invalid.ExitCode(), errors.New("there is no shared store to bring runs to; give --store or set GAMEDAY_STORE")}
			}
			home, err := state.Open(global.state)
			if err != nil {
				return &exitError{experiments.Errored.ExitCode(), err}
			}
			return global.withStore(cmd.Context(), func(store history.Store) error {
				ours, err := history.NewFolder(home).List(cmd.Context(), history.Query{})
				if err != nil {
					return err
				}
				theirs, err := store.List(cmd.Context(), history.Query{})
				if err != nil {
					return err
				}
				known := map[string]*experiments.Result{}
				for _, e := range theirs {
					known[e.Run] = e.Result
				}
				out := &lines{w: cmd.OutOrStdout()}
				count := 0
				var problems []error
				for _, e := range ours {
					if e.Result == nil || e.Standing == "going on" {
						continue
					}
					dir := home.RunPath(e.Run)
					done, err := syncRun(cmd.Context(), store, dir, e.Result, known[e.Run])
					if err != nil {
						problems = append(problems, fmt.Errorf("run %s: %w", e.Run, err))
						continue
					}
					if done == nil {
						continue
					}
					if len(done.taken) > 0 || done.result {
						count++
						out.printf("%-13s %s\n", e.Standing, e.Run)
					}
					if len(done.conflicts) > 0 {
						path := filepath.Join(dir, reportNames["markdown"])
						out.printf("differs       %s: %s was changed here and there, and stays as it is there; `gameday report edit %s --from %s` puts there what this machine has\n",
							e.Run, strings.Join(done.conflicts, ", "), e.Run, path)
					}
				}
				out.printf("%s brought to %s\n", countOf(count, "run"), store.Where())
				return errors.Join(append(problems, out.err)...)
			})
		},
	}
}

// syncRun brings a run to a store, or what is new of it; nil where nothing is. There is
// the outline that the store has, nil for none.
func syncRun(ctx context.Context, store history.Store, dir string, here, there *experiments.Result) (*brought, error) {
	same, err := sameRun(here, there)
	if err != nil {
		return nil, err
	}
	written, err := writtenSince(dir)
	if err != nil || same && !written {
		return nil, err
	}
	run, err := ofRun(dir)
	if err != nil {
		return nil, err
	}
	// The outline beside a result may be older than the result.
	if same, err = sameRun(run.Result, there); err != nil {
		return nil, err
	}
	if !same {
		return keepRun(ctx, store, dir, run)
	}
	if !written {
		return nil, nil
	}
	return keepReport(ctx, store, dir, run)
}

func sameRun(here, there *experiments.Result) (bool, error) {
	if there == nil {
		return false, nil
	}
	return history.SaysSame(here, there)
}

// writtenSince tells whether people wrote into the report of a run on this machine since
// it was last brought to a store.
func writtenSince(dir string) (bool, error) {
	var read [2]*reports.Document
	for i, name := range []string{reportNames["markdown"], syncedFile} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return false, err
		}
		read[i] = reports.Read(text)
	}
	if now := read[0]; now.Lossy() {
		return true, nil
	}
	for _, key := range reports.PlaceKeys() {
		if read[0].Text(key) != read[1].Text(key) {
			return true, nil
		}
	}
	return false, nil
}
