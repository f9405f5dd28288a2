package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/scenarios"
)

func newFormatCommand(global *globalFlags) *cobra.Command {
	var check bool
	cmd := &cobra.Command{
		Use:   "fmt PATH...",
		Short: "Lay scenario files out in the one usual way",
		Long: `fmt rewrites each file, or each .hcl file of a directory, in the usual layout and
prints the names of those it changed. With --check it changes nothing, prints the
names of those that would change, and exits with 1 if there are any.

It exits with 2 if a file does not parse; that file stays as it is.`,
		Example: "  gameday fmt shop.hcl\n  gameday fmt --check scenarios/",
		Args:    wants(1, -1, "a PATH: a file, or a directory of .hcl files"),
		RunE: func(cmd *cobra.Command, paths []string) error {
			files, err := scenarioFiles(paths)
			if err != nil {
				return &exitError{experiments.Invalid.ExitCode(), err}
			}
			out := &lines{w: cmd.OutOrStdout()}
			changed := false
			var problems []*scenarios.Diagnostics
			for _, file := range files {
				text, diagnostics := scenarios.ReadFile(file)
				if diagnostics.HasErrors() {
					problems = append(problems, diagnostics)
					continue
				}
				formatted, diagnostics := scenarios.Format(file, text)
				if diagnostics.HasErrors() {
					problems = append(problems, diagnostics)
					continue
				}
				if bytes.Equal(text, formatted) {
					continue
				}
				changed = true
				out.printf("%s\n", file)
				if check {
					continue
				}
				if err := replaceFile(file, formatted); err != nil {
					return &exitError{experiments.Errored.ExitCode(), err}
				}
			}
			if all := scenarios.Merge(problems...); all.HasErrors() {
				return global.showDiagnostics(cmd.ErrOrStderr(), all)
			}
			if check && changed {
				return &exitError{code: 1}
			}
			return out.err
		},
	}
	cmd.Flags().BoolVar(&check, "check", false, "change nothing; exit with 1 if a file is laid out differently")
	return cmd
}

// scenarioFiles lists the files that paths name; of a directory, those that are read
// as one configuration.
func scenarioFiles(paths []string) ([]string, error) {
	var files []string
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return nil, fmt.Errorf("lay out %s: %w", path, errors.Unwrap(err))
		}
		if !info.IsDir() {
			files = append(files, path)
			continue
		}
		found, err := scenarios.FilesOf(path)
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", path, err)
		}
		if len(found) == 0 {
			return nil, fmt.Errorf("there is no .hcl file in %s", path)
		}
		files = append(files, found...)
	}
	return files, nil
}

// replaceFile puts text in the place of a file at once, so that a crash leaves
// either the old text or the new one.
func replaceFile(path string, text []byte) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	temporary, err := os.CreateTemp(filepath.Dir(path), "."+strings.TrimSuffix(filepath.Base(path), ".hcl")+"-*")
	if err != nil {
		return fmt.Errorf("rewrite %s: %w", path, err)
	}
	_, writing := temporary.Write(text)
	err = errors.Join(writing, temporary.Chmod(info.Mode().Perm()), temporary.Close())
	if err == nil {
		err = os.Rename(temporary.Name(), path)
	}
	if err != nil {
		if removing := os.Remove(temporary.Name()); !errors.Is(removing, fs.ErrNotExist) {
			err = errors.Join(err, removing)
		}
		return fmt.Errorf("rewrite %s: %w", path, err)
	}
	return nil
}
