package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
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
		Use:   "abort [RUN]",
		Short: "Stop a run from another terminal: it mends everything and reports",
		Long: `abort asks a run to stop, and waits until it has mended everything it broke. RUN is
its name or a part of it; it may be left out if only one run is going on.

It exits with 0 when everything is mended, with 2 if no such run is going on, and
with 6 if something is left or the wait is over.`,
		Example: "  gameday abort --reason \"customers are calling\"\n  gameday abort slow-payments",
		Args:    wants(0, 1, "one RUN"),
		RunE: func(cmd *cobra.Command, args []string) error {
			home, err := state.Open(global.state)
			if err != nil {
				return &exitError{experiments.Errored.ExitCode(), err}
			}
			run, err := goingOn(home, args)
			if err != nil {
				return &exitError{experiments.Invalid.ExitCode(), err}
			}
			dir := home.RunPath(run)
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
	cmd.Flags().StringVar(&reason, "reason", "", "why, in `words`, for the report")
	cmd.Flags().DurationVar(&wait, "wait", time.Minute, "how `long` to wait for the mending")
	return cmd
}

// goingOn picks, among the runs that are going on, the one that args name, or the
// only one.
func goingOn(home state.Dir, args []string) (string, error) {
	live, err := home.Live()
	if err != nil {
		return "", err
	}
	slices.Reverse(live)
	var going []string
	for _, run := range live {
		if alive, err := journal.Alive(home.RunPath(run)); err == nil && alive {
			going = append(going, run)
		}
	}
	switch {
	case len(going) == 0:
		return "", errors.New("no run is going on; if one died, `gameday recover` mends what it left")
	case len(args) > 0:
		run, err := state.Pick(args[0], going)
		if err != nil {
			return "", fmt.Errorf("among the runs that are going on, %w", err)
		}
		return run, nil
	case len(going) > 1:
		return "", fmt.Errorf("%d runs are going on (%s); name the one to stop", len(going), strings.Join(going, ", "))
	}
	return going[0], nil
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
