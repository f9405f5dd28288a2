package main

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/gameday-sh/gameday/experiments"
)

func newRunsShowCommand(global *globalFlags) *cobra.Command {
	return &cobra.Command{
		Use:     "show RUN",
		Short:   "Show what came of a run, on one screen",
		Example: "  gameday runs show last",
		Args:    wants(1, 1, "one RUN: last, a run's name or a part of it"),
		RunE: func(cmd *cobra.Command, args []string) error {
			result, err := storedResult(cmd.Context(), global, args[0])
			if err != nil {
				return readingError(err)
			}
			return showRun(cmd.OutOrStdout(), result)
		},
	}
}

func showRun(w io.Writer, r *experiments.Result) error {
	out := &lines{w: w}
	lasted := "it was cut off"
	if !r.Ended.IsZero() {
		lasted = experiments.FormatDuration(r.Ended.Sub(r.Began).Round(time.Second))
	}
	out.printf("%s  %s\n", r.Verdict, line(r.Run))
	out.printf("  %s\n", line(r.Reason))
	out.printf("  began %s, %s; seed %d; on %s\n", r.Began.Local().Format("2006-01-02 15:04:05"), lasted, r.Seed, line(r.Host))
	if !r.Recovered.IsZero() {
		out.printf("  what it left was proven mended %s\n", r.Recovered.Local().Format("2006-01-02 15:04:05"))
	}
	for _, h := range r.Hypotheses {
		out.printf("  %-12s %s\n", h.Verdict, line(h.Name))
	}
	for _, f := range r.Faults {
		out.printf("  %-12s %s (%s)\n", fmt.Sprintf("%d of %d hit", f.Injected, f.Hits), line(f.Name), line(f.Kind))
	}
	for _, s := range r.SLOs {
		spent := "an unknown share"
		if s.Spent.Known() {
			spent = fmt.Sprintf("%.3g%%", 100*float64(s.Spent))
		}
		out.printf("  %s of the %s budget of slo.%s spent\n", spent, experiments.FormatDuration(s.Window), line(s.Name))
	}
	for _, left := range r.Left {
		out.printf("  LEFT         %s\n", line(left))
	}
	return out.err
}
