package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/guards/budgets"
	"github.com/gameday-sh/gameday/reports"
)

func newSLOReportCommand(global *globalFlags) *cobra.Command {
	var flags sloFlags
	var when moment
	var name, path string
	var names []string
	for _, format := range reports.BudgetFormats() {
		names = append(names, format.Name)
	}
	cmd := &cobra.Command{
		Use:   "report [PATH]",
		Short: "Write the error budget report of each SLO, for people",
		Long: `report writes how each error budget stands: SLI and target, what is consumed and what
remains, whether the policy allows a deployment, the risk and what the policy
recommends, the days that cost most, and in HTML the course of the budget, drawn.

The format is that of --format, else that of the ending of --out (.md or .html),
else Markdown. --at writes the report of a month that is over.

It exits with 0, also where a budget is unknown, which the report says; with 2 if the
configuration is wrong, and with 5 if it cannot be opened or the report not be written.`,
		Example: "  gameday slo report\n  gameday slo report --out budgets.html\n  gameday slo report --slo checkout --at 2026-03-31T23:59:59Z --out march.html",
		Args:    wants(0, 1, "one PATH at most: a file or a directory"),
		RunE: func(cmd *cobra.Command, paths []string) error {
			format, err := budgetFormat(name, path, names)
			if err != nil {
				return err
			}
			at, err := when.time()
			if err != nil {
				return err
			}
			ctx, _, stop := listenForSignals(cmd.Context())
			defer stop()
			declared, err := global.openSLOs(ctx, cmd, paths, &flags)
			if err != nil {
				return err
			}
			progress, end := progressLine(cmd, "counting")
			all := readBudgets(ctx, declared.slos, at, true, progress)
			end()
			if err := declared.Close(); err != nil {
				return exitWith(experiments.Errored, err)
			}
			if ctx.Err() != nil {
				return exitWith(experiments.Aborted, context.Cause(ctx))
			}
			var list []reports.Budget
			for _, s := range inOrder(declared.slos, all) {
				list = append(list, budgetFor(s, all))
			}
			if path == "" {
				return format.Write(cmd.OutOrStdout(), list)
			}
			if err := writeFile(path, func(file *os.File) error { return format.Write(file, list) }); err != nil {
				return exitWith(experiments.Errored, fmt.Errorf("write %s: %w", path, err))
			}
			return nil
		},
	}
	flags.flags(cmd)
	when.flags(cmd)
	cmd.Flags().StringVar(&name, "format", "", "`name` of the format: one of "+strings.Join(names, ", "))
	cmd.Flags().StringVar(&path, "out", "", "write to this `file` instead of the terminal")
	return cmd
}

func budgetFormat(name, path string, names []string) (reports.BudgetFormat, error) {
	formats := reports.BudgetFormats()
	if name == "" {
		name = strings.TrimPrefix(filepath.Ext(path), ".")
		if name == "" {
			return formats[0], nil
		}
	}
	for _, format := range formats {
		if format.Name == name || format.Extension == name {
			return format, nil
		}
	}
	return reports.BudgetFormat{}, &exitError{experiments.Invalid.ExitCode(), fmt.Errorf("there is no budget report in the format %q; choose one of %s with --format", name, strings.Join(names, ", "))}
}

// worthTelling is the least share of a budget whose return the report tells.
const worthTelling = 0.05

// budgetFor puts a state into the form of the reports.
func budgetFor(s *budgets.State, all map[*experiments.SLO]*budgets.State) reports.Budget {
	b := reports.Budget{SLO: s.SLO, At: s.At, From: s.From, To: s.To, SLI: s.SLI(), Bad: s.Period.Bad, Total: s.Period.Total, Budget: s.Budget(),
		Consumed: s.Consumed(), Remaining: s.Remaining(), Policy: s.Policy, Alerts: s.Raised()}
	if !s.Known() {
		b.Why = string(s.Condition) + ": " + s.Why
	}
	b.Band, _ = s.Band()
	b.Covered, _ = s.Covered()
	for _, window := range budgets.Windows(s.SLO) {
		b.Burns = append(b.Burns, reports.BudgetBurn{Name: experiments.FormatDuration(window), Rate: s.Burn(window)})
	}
	b.Burns = append(b.Burns, reports.BudgetBurn{Name: "the period", Rate: s.Burn(0)})
	burn, over := s.Present()
	b.BurnUsed, b.ConsumedAtEnd = burn, s.AtEnd(burn)
	if lasts, known := s.Exhaustion(burn); known {
		b.Lasts = lastsWords(lasts, over)
	}
	left := s.Remainders()
	for i, c := range s.Course {
		b.Course = append(b.Course, reports.BudgetStretch{From: c.At.Add(-c.Window), To: c.At, Bad: c.Bad, Total: c.Total, Left: left[i]})
	}
	for _, r := range s.Returns(worthTelling) {
		b.Returns = append(b.Returns, reports.BudgetReturn{Share: r.Share, At: r.To})
	}
	worse := s.Worse(all)
	for _, slo := range s.SLO.DependsOn {
		other := all[slo]
		if other == nil {
			continue
		}
		d := reports.BudgetDependency{Name: slo.Name, Left: other.Remaining()}
		if !other.Known() {
			d.Left, d.Why = math.NaN(), string(other.Condition)+": "+other.Why
		}
		for _, w := range worse {
			d.Worse = d.Worse || w == other
		}
		b.Dependencies = append(b.Dependencies, d)
	}
	return b
}

func lastsWords(lasts, over time.Duration) string {
	at := " at the burn rate of the last " + experiments.FormatDuration(over.Round(time.Minute))
	switch lasts {
	case 0:
		return "it is spent"
	case budgets.Forever:
		return "beyond the period," + at
	}
	return "another " + experiments.FormatDuration(lasts.Round(time.Minute)) + at
}
