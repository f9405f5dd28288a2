package main

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/spf13/cobra"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/experiments/journal"
	"github.com/gameday-sh/gameday/internal/state"
)

func newRunsCommand(global *globalFlags) *cobra.Command {
	var count int
	cmd := &cobra.Command{
		Use:   "runs",
		Short: "List runs, the newest first, with their verdicts",
		Long: `runs lists the runs of the state folder with their verdicts. Of a run without one it
says: "going on", "died" (and everything is mended), "NOT RESTORED" (type gameday
recover), "not begun" or "unreadable".

It exits with 0 whatever the verdicts are.`,
		Example: "  gameday runs\n  gameday runs -n 100",
		Args:    wants(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if count < 1 {
				return fmt.Errorf("--count is %d; write at least 1", count)
			}
			home, err := state.Open(global.state)
			if err != nil {
				return &exitError{experiments.Errored.ExitCode(), err}
			}
			runs, err := home.Runs()
			if err != nil {
				return &exitError{experiments.Errored.ExitCode(), err}
			}
			out := &lines{w: cmd.OutOrStdout()}
			if len(runs) == 0 {
				out.printf("there are no runs in %s yet; try: gameday run quickstart\n", home.Root())
			}
			for _, run := range runs[:min(len(runs), count)] {
				out.printf("%-13s %s\n", standing(home.RunPath(run)), run)
			}
			return out.err
		},
	}
	cmd.Flags().IntVarP(&count, "count", "n", 20, "how many to list, as a `number`")
	return cmd
}

// standing is the verdict of a run, or what keeps it from having one.
func standing(dir string) string {
	contents, err := journal.Read(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return "not begun"
	}
	if err != nil {
		return "unreadable"
	}
	if alive, err := journal.Alive(dir); err == nil && alive {
		return "going on"
	}
	if len(experiments.Outstanding(contents.Events, len(contents.Damage) > 0)) > 0 {
		return "NOT RESTORED"
	}
	// The first end is the run's own; a later one is that of who mended what it left.
	for _, event := range contents.Events {
		if event.Type != experiments.EventEnd {
			continue
		}
		if event.Verdict == experiments.NotRestored {
			return "mended since"
		}
		return string(event.Verdict)
	}
	return "died"
}
