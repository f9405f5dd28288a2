package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/redact"
	"github.com/gameday-sh/gameday/scenarios"
)

func newPlanCommand(global *globalFlags) *cobra.Command {
	var v variables
	var flags planFlags
	cmd := &cobra.Command{
		Use:   "plan PATH...",
		Short: "Show what would be hit, when, and how it is undone; change nothing",
		Long: `plan looks up the targets of every fault and shows them in order, with the seed,
how each hit is undone and what ends it if the runner dies, what it may cost of the
error budgets, and what their policies say to that. It changes nothing. A
sandbox or a built-in toxiproxy that the scenario declares is started to look at,
and stopped again.

With --out it also writes a plan file, which ` + "`gameday run`" + ` carries out exactly, or
refuses: it pins the targets, what is done to them, the seed and the scenario.

It exits with 0, with 2 if a scenario is wrong, and with 5 if a target cannot be
looked up.`,
		Example: "  gameday plan quickstart\n  gameday plan --var toxiproxy_url=http://127.0.0.1:8474 shop.hcl\n  gameday plan --out plan.json shop.hcl && gameday run plan.json",
		Args:    wants(1, -1, "a PATH: a file, a directory, or the name of a shipped example such as quickstart"),
		RunE: func(cmd *cobra.Command, paths []string) error {
			flags.seeded = cmd.Flags().Changed("seed")
			if flags.out != "" && len(paths) > 1 {
				return &exitError{experiments.Invalid.ExitCode(), errors.New("a plan file is of one PATH: give --out with one")}
			}
			configurations, diagnostics, err := loadAll(paths, &v)
			if err != nil {
				return err
			}
			if err := global.showDiagnostics(cmd.ErrOrStderr(), diagnostics); err != nil {
				return err
			}
			if err := checkSelection(configurations, flags.only); err != nil {
				return &exitError{experiments.Invalid.ExitCode(), err}
			}
			ctx, _, stop := listenForSignals(cmd.Context())
			defer stop()
			var problems []error
			for i, configuration := range configurations {
				if err := planAll(ctx, configuration, paths[i], &v, &flags, cmd.OutOrStdout()); err != nil {
					problems = append(problems, err)
				}
			}
			if err := errors.Join(problems...); err != nil {
				return exitWith(experiments.Errored, err)
			}
			return nil
		},
	}
	v.flags(cmd)
	flags.selection.flags(cmd)
	cmd.Flags().StringVar(&flags.out, "out", "", "write a plan `file`, to be carried out by gameday run")
	return cmd
}

type planFlags struct {
	selection
	out string
}

func planAll(ctx context.Context, c *scenarios.Configuration, path string, v *variables, flags *planFlags, w io.Writer) (err error) {
	if err := c.Open(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	list, diagnostics := c.Experiments()
	if diagnostics.HasErrors() {
		return diagnostics.Err()
	}
	var problems []error
	var planned []plannedScenario
	for _, e := range list {
		if !flags.takes(e.Name) {
			continue
		}
		flags.seedInto(e)
		blueprint, err := experiments.Plan(ctx, e, "plan")
		if err != nil {
			problems = append(problems, fmt.Errorf("scenario %q: %w", e.Name, err))
			continue
		}
		reading := askGate(ctx, e, blueprint)
		reading.Clean(redact.Func(c.Secrets()))
		if err := printPlan(w, e, blueprint, reading); err != nil {
			problems = append(problems, err)
		}
		planned = append(planned, plannedHits(e, blueprint))
	}
	if err := errors.Join(problems...); err != nil || flags.out == "" {
		return err
	}
	file, err := newPlanFile(flags.out, path, v, c)
	if err != nil {
		return err
	}
	file.Scenarios = planned
	text, err := file.text(redact.Func(c.Secrets()))
	if err != nil {
		return err
	}
	if err := writeFile(flags.out, func(f *os.File) error { _, err := f.Write(text); return err }); err != nil {
		return fmt.Errorf("write the plan to %s: %w", flags.out, err)
	}
	out := &lines{w: w}
	out.printf("The plan is in %s; carry it out with: gameday run %s\n", flags.out, flags.out)
	return out.err
}

func printPlan(w io.Writer, e *experiments.Experiment, b *experiments.Blueprint, reading *experiments.GateReading) error {
	out := &lines{w: w}
	out.printf("scenario %s (%s)\n", e.Name, e.Origin)
	if e.Description != "" {
		out.printf("  %s\n", e.Description)
	}
	drawn := ""
	if e.SeedDrawn {
		drawn = ", drawn for this plan; to run this very plan, give run --seed with it"
	}
	out.printf("  seed %d%s\n\nhealthy means\n", e.Seed, drawn)
	for _, h := range e.Hypotheses {
		when := "before, during and after"
		if !h.During {
			when = "before, and again within " + experiments.FormatDuration(h.RecoverWithin) + " after"
		}
		out.printf("  %s: %s (%s)\n", h.Name, h.Statement(), when)
	}
	out.printf("\nbreaks, over %s\n", experiments.FormatDuration(b.Length))
	if len(b.Slots) == 0 {
		out.printf("  nothing\n")
	}
	for i, slot := range b.Slots {
		out.printf("  +%s  %s (%s)", clock(slot.Start), slot.Plan.Name, slot.Plan.Kind)
		if slot.Plan.Schedule.After != "" {
			out.printf(", after %s", slot.Plan.Schedule.After)
		}
		if n := len(slot.Rounds); n > 1 {
			out.printf(", %d rounds, every %s: at", n, slot.Plan.Schedule.Every)
			for _, round := range slot.Rounds[:min(n, 8)] {
				out.printf(" +%s", clock(slot.Start+round))
			}
			if n > 8 {
				out.printf(" ...")
			}
			out.printf("; targets are looked up again for each")
		}
		out.printf("\n")
		for _, hit := range b.Hits[i] {
			out.printf("      %s: %s", hit.Target, hit.Effect)
			if hit.Lasts > 0 {
				out.printf(", for %s", experiments.FormatDuration(hit.Lasts))
			}
			out.printf("\n        undo: %s\n", hit.Undo)
			switch {
			case hit.Fuse != "":
				out.printf("        fuse: %s\n", hit.Fuse)
			case hit.Lasts > 0:
				out.printf("        fuse: NONE (unfused = true)\n")
			}
		}
	}
	out.printf("\nstops early if\n")
	for _, g := range e.Guards {
		standard := ""
		if g.Default {
			standard = ", always on"
		}
		out.printf("  %s (%s%s)\n", g.Name, g.Kind, standard)
	}
	printOutlook(out, reading)
	out.printf("\nNothing was changed.\n")
	return out.err
}

// clock writes an offset as minutes and seconds: 1:05.
func clock(d time.Duration) string {
	d = d.Round(100 * time.Millisecond)
	text := fmt.Sprintf("%d:%02d", int(d.Minutes()), int(d.Seconds())%60)
	if tenths := int(d.Milliseconds()) % 1000 / 100; tenths > 0 {
		text += fmt.Sprintf(".%d", tenths)
	}
	return text
}
