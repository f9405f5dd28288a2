package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/experiments/journal"
	"github.com/gameday-sh/gameday/internal/state"
	"github.com/gameday-sh/gameday/reports"
)

func newReportCommand(global *globalFlags) *cobra.Command {
	var name, path string
	var update bool
	var names []string
	for _, format := range reports.Formats() {
		names = append(names, format.Name)
	}
	cmd := &cobra.Command{
		Use:   "report RUN",
		Short: "Render the report of a run again, in any format",
		Long: `report renders a run from its stored result: RUN is "last", the run's name or a
part of it, a run's directory, or a result.json.

What people wrote into the places of the run's report.md stays, in Markdown and in
HTML; so does what stands in the places of the file that --out names. --update
renders the run's own report.md and report.html again. Where somebody changed what
is not in a place, the text as it was is kept beside it, as report.md.bak-1.

It exits with 0, with 2 if there is no such run or format, and with 5 if the run
cannot be read or the report not be written.`,
		Example: "  gameday report last\n  gameday report last --format html --out postmortem.html\n  gameday report edit last\n  gameday report check last",
		Args:    wants(1, 1, "one RUN: last, a run's name or a part of it, or a path"),
		RunE: func(cmd *cobra.Command, args []string) error {
			format, err := findFormat(name, names)
			if err != nil {
				return err
			}
			if update && (path != "" || cmd.Flags().Changed("format")) {
				return &exitError{experiments.Invalid.ExitCode(), errors.New("--update renders the report.md and report.html of the run itself; leave out --format and --out")}
			}
			run, err := global.openReport(cmd.Context(), args[0])
			if err != nil {
				return readingError(err)
			}
			err = func() error {
				if update {
					return run.update(cmd.Context(), cmd.OutOrStdout())
				}
				return run.render(cmd.Context(), format, path, cmd.OutOrStdout(), cmd.ErrOrStderr())
			}()
			return writingError(errors.Join(err, run.close()))
		},
	}
	cmd.Flags().StringVar(&name, "format", "markdown", "`name` of the format: one of "+strings.Join(names, ", "))
	cmd.Flags().StringVar(&path, "out", "", "write to this `file` instead of the terminal")
	cmd.Flags().BoolVar(&update, "update", false, "render the run's own report.md and report.html again")
	cmd.AddCommand(newReportEditCommand(global), newReportCheckCommand(global))
	return cmd
}

// writingError is the error of a report that could not be written; a pipe that nobody
// reads any more is none of its own.
func writingError(err error) error {
	var exit *exitError
	if err == nil || errors.As(err, &exit) || errors.Is(err, syscall.EPIPE) {
		return err
	}
	return &exitError{experiments.Errored.ExitCode(), err}
}

func findFormat(name string, names []string) (reports.Format, error) {
	for _, format := range reports.Formats() {
		if format.Name == name || reportNames[format.Name] == name || format.Extension == name {
			return format, nil
		}
	}
	return reports.Format{}, &exitError{experiments.Invalid.ExitCode(), fmt.Errorf("there is no report format %q; choose one of %s", name, strings.Join(names, ", "))}
}

// readingError tells a run that is not there, which is a wrong command line, from one
// that cannot be read.
func readingError(err error) error {
	var known *exitError
	if err == nil || errors.As(err, &known) {
		return err
	}
	if errors.Is(err, state.ErrNoRun) {
		return &exitError{experiments.Invalid.ExitCode(), err}
	}
	return &exitError{experiments.Errored.ExitCode(), err}
}

// storedResult reads the result of a run, from the shared store if there is one; that
// of a run whose runner died is made from its journal.
func storedResult(ctx context.Context, global *globalFlags, text string) (result *experiments.Result, err error) {
	if strings.HasSuffix(text, ".json") {
		return loadResult(text)
	}
	if global.shared() && !strings.ContainsRune(text, filepath.Separator) {
		return sharedResult(ctx, global, text)
	}
	home, err := state.Open(global.state)
	if err != nil {
		return nil, err
	}
	_, dir, err := home.Find(text)
	if err != nil {
		return nil, err
	}
	result, err = loadResult(filepath.Join(dir, reportNames["json"]))
	if !errors.Is(err, fs.ErrNotExist) {
		return result, err
	}
	contents, err := journal.Read(dir)
	if err != nil {
		return nil, err
	}
	return experiments.Rebuild(contents.Events, len(contents.Damage) > 0), nil
}

func sharedResult(ctx context.Context, global *globalFlags, text string) (result *experiments.Result, err error) {
	store, err := global.openStore(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	run, err := findRun(ctx, store, text)
	if err != nil {
		return nil, err
	}
	stored, err := store.File(ctx, run, reportNames["json"])
	if err != nil {
		return nil, err
	}
	return reports.Load(bytes.NewReader(stored))
}

func loadResult(path string) (result *experiments.Result, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	result, err = reports.Load(file)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return result, nil
}
