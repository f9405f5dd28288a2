package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/history"
	"github.com/gameday-sh/gameday/reports"
)

// matrixFormats are the ways to write a matrix, by the name of --format.
var matrixFormats = map[string]func(*reports.Matrix, io.Writer) error{
	"text":     (*reports.Matrix).WriteText,
	"markdown": (*reports.Matrix).WriteMarkdown,
	"html":     (*reports.Matrix).WriteHTML,
	"json": func(m *reports.Matrix, w io.Writer) error {
		return indented(w, m)
	},
}

func newMatrixCommand(global *globalFlags) *cobra.Command {
	var format, path, maxAge string
	cmd := &cobra.Command{
		Use:   "matrix",
		Short: "Show what users can do while each dependency is broken, from all runs",
		Long: `matrix reads all runs and says for each dependency that was broken, and each
thing that a hypothesis was about, how it fared: works, degraded, down, unclear or
untested, and how old that evidence is. The newest run that tells counts.

A dependency is what a fault's block names with dependency = "payments", else its
target; pods of one workload are one dependency.

It exits with 0 whatever it shows.`,
		Example: "  gameday matrix\n  gameday matrix --format html --out matrix.html --max-age 90d",
		Args:    wants(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			age, err := experiments.ParseDuration(maxAge)
			if err != nil || age <= 0 {
				return &exitError{experiments.Invalid.ExitCode(), fmt.Errorf("--max-age %q is not a duration above 0; write, for example, 30d", maxAge)}
			}
			write, found := matrixFormats[format]
			if !found {
				return &exitError{experiments.Invalid.ExitCode(), fmt.Errorf("there is no format %q of the matrix; choose one of text, markdown, html, json", format)}
			}
			return global.withStore(cmd.Context(), func(store history.Store) error {
				list, err := store.List(cmd.Context(), history.Query{})
				if err != nil {
					return err
				}
				var runs []*experiments.Result
				for _, e := range list {
					if e.Result != nil {
						runs = append(runs, e.Result)
					}
				}
				m := reports.NewMatrix(runs, time.Now(), age)
				if path == "" {
					return write(m, cmd.OutOrStdout())
				}
				if err := writeFile(path, func(file *os.File) error { return write(m, file) }); err != nil {
					return fmt.Errorf("write %s: %w", path, err)
				}
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&format, "format", "text", "`name` of the format: text, markdown, html or json")
	cmd.Flags().StringVar(&path, "out", "", "write to this `file` instead of the terminal")
	cmd.Flags().StringVar(&maxAge, "max-age", "30d", "the `age` from which evidence is stale")
	return cmd
}
