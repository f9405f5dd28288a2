package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/experiments/journal"
	"github.com/gameday-sh/gameday/internal/state"
)

func newAbortCommand(global *globalFlags) *cobra.Command {
	var reason string
	var wait time.Duration
	cmd := &cobra.Command{
		Use:   "abort RUN",
		Short: "Stop a run from another terminal: it mends everything and reports",
		Long: `abort asks a run to stop, and waits until it has mended everything it broke. RUN is
"last", the run's name, or a part of it.`,
		Example: "  gameday abort last --reason \"customers are calling\"",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			home, err := state.Open(global.state)
			if err != nil {
				return &exitError{experiments.Errored.ExitCode(), err}
			}
			run, dir, err := home.Find(args[0])
			if err != nil {
				return &exitError{experiments.Invalid.ExitCode(), err}
			}
			if alive, err := journal.Alive(dir); err != nil || !alive {
				if err == nil {
					err = fmt.Errorf("run %s is not going on; if it died, `gameday recover %s` mends what it left", run, run)
				}
				return &exitError{experiments.Invalid.ExitCode(), err}
			}
			if err := askToAbort(dir, reason); err != nil {
				return &exitError{experiments.Errored.ExitCode(), err}
			}
			out := &lines{w: cmd.OutOrStdout()}
			out.printf("asked %s to stop; waiting until everything is mended\n", run)
			for deadline := time.Now().Add(wait); ; time.Sleep(50 * time.Millisecond) {
				alive, err := journal.Alive(dir)
				if err != nil {
					return &exitError{experiments.Errored.ExitCode(), err}
				}
				if !alive {
					break
				}
				if time.Now().After(deadline) {
					return &exitError{experiments.NotRestored.ExitCode(), fmt.Errorf("run %s is still mending after %s; look at its terminal, or type `gameday abort %s` again to go on waiting", run, wait, run)}
				}
			}
			return errors.Join(sayEnd(out, run, dir), out.err)
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the report")
	cmd.Flags().DurationVar(&wait, "wait", time.Minute, "how long to wait for the mending")
	return cmd
}

func askToAbort(dir, reason string) error {
	request := abortRequest{By: "somebody", Reason: reason, At: time.Now()}
	if u, err := user.Current(); err == nil {
		request.By = u.Username
	}
	text, err := json.Marshal(request)
	if err != nil {
		return fmt.Errorf("ask to abort: %w", err)
	}
	err = writeFile(filepath.Join(dir, abortFile), func(file *os.File) error {
		_, err := file.Write(text)
		return err
	})
	if err != nil {
		return fmt.Errorf("ask to abort: %w", err)
	}
	return nil
}

// sayEnd says how a run ended, from its journal.
func sayEnd(out *lines, run, dir string) error {
	contents, err := journal.Read(dir)
	if err != nil {
		return err
	}
	for i := len(contents.Events) - 1; i >= 0; i-- {
		if event := contents.Events[i]; event.Type == experiments.EventEnd {
			out.printf("%s: %s: %s\n", run, event.Verdict, event.Text)
			if event.Verdict == experiments.NotRestored {
				return exitWith(experiments.NotRestored, fmt.Errorf("type `gameday recover %s`", run))
			}
			return nil
		}
	}
	return exitWith(experiments.Errored, fmt.Errorf("run %s ended without a verdict; type `gameday recover %s`", run, run))
}
