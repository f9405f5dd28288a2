package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/history"
)

func newRunsDiffCommand(global *globalFlags) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "diff BEFORE AFTER",
		Short: "Compare two runs: better, worse, or can't tell",
		Long: `diff compares a later run with an earlier one: verdicts, what was measured before,
during and after the faults, what it cost, and how long recovery took.

Shares of bad events are compared with the 95% interval of their difference, latencies
and values with that of their shift. An interval that holds 0 is no proof of sameness:
"can't tell" says so. A shift of less than 10% is called none.

It exits with 0, with 1 if anything is worse, and with 4 if nothing can be told.`,
		Example: "  gameday runs diff 20261124-1530 last",
		Args:    wants(2, 2, "two RUNs: BEFORE and AFTER"),
		RunE: func(cmd *cobra.Command, args []string) error {
			var both [2]*experiments.Result
			for i, text := range args {
				result, err := storedResult(cmd.Context(), global, text)
				if err != nil {
					return readingError(err)
				}
				both[i] = result
			}
			c := history.Compare(both[0], both[1])
			if err := showComparison(cmd.OutOrStdout(), c, asJSON); err != nil {
				return err
			}
			switch c.Worst() {
			case history.Worse:
				return exitWith(experiments.Refuted, nil)
			case history.Unsure:
				return exitWith(experiments.Inconclusive, nil)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON, for programs")
	return cmd
}

func showComparison(w io.Writer, c *history.Comparison, asJSON bool) error {
	if asJSON {
		return indented(w, c)
	}
	out := &lines{w: w}
	out.printf("before  %s\nafter   %s\n", line(c.Before), line(c.After))
	for _, note := range c.Notes {
		out.printf("note    %s\n", line(note))
	}
	for _, r := range c.Rows {
		out.printf("\n%-10s  %s\n", strings.ToUpper(string(r.Change)), line(r.What))
		out.printf("            %s -> %s\n", line(r.Before), line(r.After))
		if r.Shift != "" {
			out.printf("            %s\n", line(r.Shift))
		}
	}
	count := map[history.Change]int{}
	for _, r := range c.Rows {
		count[r.Change]++
	}
	var parts []string
	for _, change := range []history.Change{history.Worse, history.Better, history.Same, history.Unsure} {
		if count[change] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", count[change], change))
		}
	}
	out.printf("\n%s\n", strings.Join(parts, ", "))
	return out.err
}
