package main

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/reports"
)

func newReportCheckCommand(global *globalFlags) *cobra.Command {
	var strict bool
	cmd := &cobra.Command{
		Use:   "check RUN",
		Short: "Tell what a run's report still lacks",
		Long: `check reads the run's report.md and tells which places have to be filled in. After a
run that was refuted, aborted or not restored these are severity, users-affected,
root-cause, and action-items with one item that has an owner and a due date; after one
that held there are none. --strict asks for every place, whatever the verdict.

It also points at wording that looks for who instead of how ("human error", "should have
known", a person as the culprit), and offers better. It knows English only and may be
wrong, so that is a warning; with --strict it counts.

It exits with 0 if nothing is missing, with 1 if something is, with 2 if there is no such
run, and with 5 if the run cannot be read.`,
		Example: "  gameday report check last\n  gameday report check last --strict",
		Args:    wants(1, 1, "one RUN: last, a run's name or a part of it"),
		RunE: func(cmd *cobra.Command, args []string) error {
			run, err := global.openReport(cmd.Context(), args[0])
			if err != nil {
				return readingError(err)
			}
			text, err := run.file(cmd.Context(), reportNames["markdown"])
			failures := 0
			if err == nil {
				failures, err = run.tell(cmd.OutOrStdout(), reports.Check(run.result, text, strict))
			}
			if err = errors.Join(err, run.close()); err != nil {
				return writingError(err)
			}
			if failures > 0 {
				return &exitError{code: experiments.Refuted.ExitCode()}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&strict, "strict", false, "ask for every place, and take warnings for failures")
	return cmd
}

// tell writes findings, a line each, and counts those that are more than a warning.
func (r *runReport) tell(out io.Writer, findings []reports.Finding) (failures int, err error) {
	to := &lines{w: out}
	warnings := 0
	for _, f := range findings {
		at := filepath.Base(reportNames["markdown"])
		if f.Line > 0 {
			at += fmt.Sprintf(":%d", f.Line)
		}
		word := ""
		if f.Warning {
			warnings++
			word = "warning: "
		} else {
			failures++
		}
		to.printf("%s: %s%s\n", at, word, line(f.Text))
		if f.Better != "" {
			to.printf("    better: %s\n", line(f.Better))
		}
	}
	switch {
	case failures > 0:
		to.printf("the report of %s is not complete: %s to see to, %s; `gameday report edit %s` opens it\n", line(r.result.Run), countOf(failures, "thing"), countOf(warnings, "warning"), line(r.result.Run))
	default:
		to.printf("the report of %s is complete (%s)\n", line(r.result.Run), countOf(warnings, "warning"))
	}
	return failures, to.err
}
