package main

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/history"
	"github.com/gameday-sh/gameday/internal/state"
)

func newRunsSyncCommand(global *globalFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "sync",
		Short: "Put the runs of this machine into the shared store, those that it lacks",
		Long: `sync brings the runs of the state folder into the database of --store or
$GAMEDAY_STORE: those that were run without it, that it could not take at the time,
and whose runner died. Doing it again is harmless.

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
				known := map[string]string{}
				for _, e := range theirs {
					known[e.Run] = e.Standing
				}
				out := &lines{w: cmd.OutOrStdout()}
				brought := 0
				var problems []error
				for _, e := range ours {
					if e.Result == nil || e.Standing == "going on" || known[e.Run] == e.Standing {
						continue
					}
					dir := home.RunPath(e.Run)
					result, err := loadResult(filepath.Join(dir, reportNames["json"]))
					var run *history.Run
					if err == nil {
						run, err = ofRun(dir, result)
					}
					if err == nil {
						err = keepWritten(cmd.Context(), store, run)
					}
					if err == nil {
						err = store.Put(cmd.Context(), run)
					}
					if err != nil {
						problems = append(problems, fmt.Errorf("run %s: %w", e.Run, err))
						continue
					}
					brought++
					out.printf("%-13s %s\n", e.Standing, e.Run)
				}
				out.printf("%s brought to %s\n", countOf(brought, "run"), store.Where())
				return errors.Join(append(problems, out.err)...)
			})
		},
	}
}
