// Command gameday runs chaos experiments and game days: it proves a system
// healthy, breaks it, watches, stops when a guard says so, mends everything it
// broke, proves it mended, and writes a report.
//
// One file holds one subcommand. language.go ties the kinds of all packages
// together, session.go carries out one run, watchdog.go is the process that mends
// when the runner dies.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"syscall"
	"time"
	_ "time/tzdata" // calendars of slos name zones; a bare container has no database

	"github.com/spf13/cobra"

	"github.com/gameday-sh/gameday/experiments"
)

func main() {
	startFast()
	os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// startFast lets the first second of the program do with few garbage collections: most
// commands are over by then, and a run has begun. It is bounded by a limit that holds as
// long; who sets the runtime's own variables is left alone.
func startFast() {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	usual, limit := debug.SetGCPercent(400), debug.SetMemoryLimit(24<<20)
	time.AfterFunc(time.Second, func() {
		debug.SetGCPercent(usual)
		debug.SetMemoryLimit(limit)
	})
}

// exitError ends the command with a code of its own. Its message is printed unless
// it is empty.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// exitWith ends the command with the exit code of a verdict.
func exitWith(v experiments.Verdict, err error) error {
	if v == experiments.Held {
		if err == nil {
			return nil
		}
		v = experiments.Errored
	}
	return &exitError{v.ExitCode(), err}
}

// run is the program without the process around it: it gives the exit code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	code := experiments.Invalid.ExitCode() // what cobra refuses is a wrong command line
	var exit *exitError
	if errors.As(err, &exit) {
		code = exit.code
	}
	if errors.Is(err, syscall.EPIPE) {
		return code // whoever read the output has had enough of it
	}
	if text := err.Error(); text != "" {
		if err := complain(stderr, fmt.Sprintf("gameday: %s\n", text)); err != nil {
			return experiments.Errored.ExitCode()
		}
	}
	return code
}

func newRoot() *cobra.Command {
	global := &globalFlags{}
	root := &cobra.Command{
		Use:   "gameday",
		Short: "Break things on purpose, prove they are mended",
		Long: `gameday runs chaos experiments and game days from scenario files.

A scenario says what healthy means, what to break and when to stop. gameday proves
the system healthy, breaks it, watches, aborts when a guard says so, mends
everything it broke, proves it mended, and writes a report.

Exit codes: 0 held, 1 refuted, 2 invalid (nothing was touched), 3 aborted,
4 inconclusive, 5 error, 6 not restored.`,
		Example: `  gameday run quickstart              a whole game day on the built-in shop
  gameday explain                     what a scenario can say
  gameday validate shop.hcl           every mistake at once, no network needed
  gameday plan shop.hcl               what would be hit, and how it is undone
  gameday run shop.hcl                the real thing`,
		Version:       version(),
		SilenceUsage:  true,
		SilenceErrors: true,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownCommand(cmd, args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(flagError)
	root.SetHelpCommand(newHelpCommand())
	root.CompletionOptions.DisableDefaultCmd = true
	root.PersistentFlags().StringVar(&global.state, "state", "", "`folder` for runs (default $GAMEDAY_STATE or ~/.local/state/gameday)")
	root.PersistentFlags().StringVar(&global.store, "store", "", "`address` of a PostgreSQL database that keeps the runs of a team: postgres://user@host/database (default $GAMEDAY_STORE, else the state folder)")
	root.PersistentFlags().StringVar(&global.colour, "color", "auto", "`when` to use colours: auto, always or never")
	root.AddCommand(
		newRunCommand(global),
		newPlanCommand(global),
		newValidateCommand(global),
		newFormatCommand(global),
		newImportCommand(),
		newExplainCommand(),
		newAbortCommand(global),
		newRecoverCommand(global),
		newReportCommand(global),
		newRunsCommand(global),
		newMatrixCommand(global),
		newActionsCommand(global),
		newRBACCommand(global),
		newSLOCommand(global),
		newGateCommand(global),
		newRulesCommand(global),
		newSandboxCommand(),
		newCompletionCommand(),
		newWatchdogCommand(global),
	)
	return root
}

type globalFlags struct {
	state  string
	store  string
	colour string
}
