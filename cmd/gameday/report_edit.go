package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/reports"
)

func newReportEditCommand(global *globalFlags) *cobra.Command {
	var from string
	cmd := &cobra.Command{
		Use:   "edit RUN",
		Short: "Fill in the places of a run's report",
		Long: `edit opens the run's report in $VISUAL or $EDITOR. What you write into its places is
kept from then on, in report.md and in report.html; what gameday writes outside of them
is rendered anew. Somebody else may edit the report at the same time, also in a shared
store: what you both wrote is put together, place by place.

With --from it takes the places from a file instead, such as a report that was filled in
in a wiki: what stands there replaces what the run has, and empty places change nothing.

Afterwards it says what ` + "`gameday report check`" + ` would; that stops nobody.

It exits with 0, with 2 if there is no such run or no editor, and with 5 if the report
cannot be kept.`,
		Example: "  gameday report edit last\n  EDITOR='code --wait' gameday report edit last\n  gameday report edit last --from postmortem.md",
		Args:    wants(1, 1, "one RUN: last, a run's name or a part of it"),
		RunE: func(cmd *cobra.Command, args []string) error {
			run, err := global.openReport(cmd.Context(), args[0])
			if err != nil {
				return readingError(err)
			}
			if from != "" {
				err = run.takeFrom(cmd, from)
			} else {
				err = run.edit(cmd)
			}
			if err == nil {
				err = run.tellWhatLacks(cmd)
			}
			return writingError(errors.Join(err, run.close()))
		},
	}
	cmd.Flags().StringVar(&from, "from", "", "take the places from this Markdown `file` instead of an editor")
	return cmd
}

// takeFrom takes the places of a file.
func (r *runReport) takeFrom(cmd *cobra.Command, path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return &exitError{experiments.Invalid.ExitCode(), fmt.Errorf("take the places from a file: %w", err)}
	}
	mine := reports.Read(text)
	if len(mine.Problems) > 0 {
		p := mine.Problems[0]
		return &exitError{experiments.Invalid.ExitCode(), fmt.Errorf("%s:%d: %s; mend that, so that nothing is lost", path, p.Line, p.Text)}
	}
	if !mine.Of(r.result.Run) {
		return &exitError{experiments.Invalid.ExitCode(), fmt.Errorf("%s is the report of another run than %s", path, r.result.Run)}
	}
	if mine.Empty() {
		return &exitError{experiments.Invalid.ExitCode(), fmt.Errorf("nothing is written in a place of %s: text between <!-- place: root-cause --> and <!-- end --> is", path)}
	}
	return r.rewrite(cmd.Context(), cmd.OutOrStdout(), func(there *reports.Document) (*reports.Document, error) {
		return reports.Overlay(there, mine), nil
	})
}

// edit lets a person change a copy, and puts together what they and others wrote.
func (r *runReport) edit(cmd *cobra.Command) error {
	ctx := cmd.Context()
	if r.store == nil {
		return &exitError{experiments.Invalid.ExitCode(), errors.New("this is no run of a folder of runs, so there is no place to keep its report")}
	}
	editor := cmp.Or(os.Getenv("VISUAL"), os.Getenv("EDITOR"))
	if editor == "" {
		how := fmt.Sprintf("edit %s and type `gameday report %s --update`", r.where, r.name)
		if r.where == "" {
			how = fmt.Sprintf("type `gameday report %s --out report.md`, edit that file, and type `gameday report edit %s --from report.md`", r.name, r.name)
		}
		return &exitError{experiments.Invalid.ExitCode(), errors.New("there is no editor: set VISUAL or EDITOR, or " + how)}
	}
	was, err := r.file(ctx, reportNames["markdown"])
	if err != nil {
		return err
	}
	base := reports.Read(was)
	shown, err := r.format("markdown", base)
	if err != nil {
		return err
	}
	path, edited, err := letEdit(ctx, cmd, editor, shown)
	if err != nil {
		return err
	}
	mine := reports.Read(edited)
	if mine.Lossy() {
		if err := r.keep(ctx, reportNames["markdown"], edited, cmd.OutOrStdout()); err != nil {
			return fmt.Errorf("%w; what you wrote is in %s", err, path)
		}
	}
	err = r.rewrite(ctx, cmd.OutOrStdout(), func(there *reports.Document) (*reports.Document, error) {
		merged, conflicts := reports.Merge(base, mine, there)
		if len(conflicts) > 0 {
			return nil, fmt.Errorf("somebody else has changed %s meanwhile, and so have you; what you wrote is in %s: put into that file what both of you mean, and type `gameday report edit %s --from %s`",
				strings.Join(conflicts, ", "), path, r.name, path)
		}
		return merged, nil
	})
	if err != nil {
		if strings.Contains(err.Error(), path) {
			return err
		}
		return fmt.Errorf("%w; what you wrote is in %s", err, path)
	}
	return os.RemoveAll(filepath.Dir(path))
}

// letEdit opens a text in an editor and gives what it became. The file stays until what is
// in it is kept elsewhere.
func letEdit(ctx context.Context, cmd *cobra.Command, editor string, text []byte) (path string, edited []byte, err error) {
	dir, err := os.MkdirTemp("", "gameday-report-")
	if err != nil {
		return "", nil, fmt.Errorf("make a copy to edit: %w", err)
	}
	path = filepath.Join(dir, reportNames["markdown"])
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return "", nil, errors.Join(fmt.Errorf("make a copy to edit: %w", err), os.RemoveAll(dir))
	}
	// As git does: the setting may have arguments.
	process := exec.CommandContext(ctx, "sh", "-c", editor+` "$1"`, editor, path) //nolint:gosec // the user's own editor
	process.Stdin, process.Stdout, process.Stderr = cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr()
	failed := process.Run()
	edited, err = os.ReadFile(path)
	switch {
	case failed != nil && (err != nil || bytes.Equal(edited, text)):
		return "", nil, errors.Join(fmt.Errorf("the editor %s failed: %w; nothing was changed", editor, failed), os.RemoveAll(dir))
	case failed != nil:
		return "", nil, fmt.Errorf("the editor %s failed: %w; nothing was kept, and what you wrote is in %s", editor, failed, path)
	case err != nil:
		return "", nil, fmt.Errorf("read what was edited: %w", err)
	}
	return path, edited, nil
}

// tellWhatLacks says what a check would, without failing.
func (r *runReport) tellWhatLacks(cmd *cobra.Command) error {
	text, err := r.file(cmd.Context(), reportNames["markdown"])
	if err != nil {
		return err
	}
	_, err = r.tell(cmd.OutOrStdout(), reports.Check(r.result, text, false))
	return err
}
