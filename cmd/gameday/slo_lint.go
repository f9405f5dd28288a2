package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/experiments/probes/prom"
	"github.com/gameday-sh/gameday/internal/redact"
	"github.com/gameday-sh/gameday/scenarios"
)

type lintFlags struct {
	sloFlags
	offline, asJSON bool
	over            string
}

func newSLOLintCommand(global *globalFlags) *cobra.Command {
	var flags lintFlags
	cmd := &cobra.Command{
		Use:   "lint [PATH]",
		Short: "Find SLOs that are valid and wrong: that read 100% while everything fails",
		Long: `lint looks for mistakes in SLOs that no grammar can see, says where each stands, why
it matters and what to write instead. Some checks read what is written; others ask
the Prometheus server that the configuration names. What could not be checked is
said. PATH is a file or a directory, the current directory where it is left out.

It exits with 0 if nothing was found, 1 if something was, 2 if the configuration is
wrong, and 4 if a server could not be asked and nothing else was found.

The checks:

` + lintTable(),
		Example: "  gameday slo lint\n  gameday slo lint --offline slos/\n  gameday slo lint --slo checkout --over 6h --json slos/checkout.hcl",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, paths []string) error {
			return global.lint(cmd, paths, &flags)
		},
	}
	flags.sloFlags.flags(cmd)
	cmd.Flags().BoolVar(&flags.offline, "offline", false, "ask no server: look at what is written only")
	cmd.Flags().StringVar(&flags.over, "over", "1d", "how far back a server is asked, at most the SLO's window: a `duration`")
	cmd.Flags().BoolVar(&flags.asJSON, "json", false, "write findings, and what could not be checked, as JSON")
	return cmd
}

// lintTable lists the checks for the help.
func lintTable() string {
	var b strings.Builder
	for _, check := range prom.LintChecks() {
		fmt.Fprintf(&b, "  %-24s %s\n", check.Name, check.Summary)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// linted is what lint writes with --json.
type linted struct {
	Findings  []placedFinding `json:"findings"`
	Unchecked []prom.LintGap  `json:"unchecked"`
	SLOs      int             `json:"slos"`
}

type placedFinding struct {
	prom.LintFinding
	File   string `json:"file"`
	Line   int    `json:"line"`
	Column int    `json:"column"`
}

func (global *globalFlags) lint(cmd *cobra.Command, paths []string, flags *lintFlags) error {
	invalid := func(err error) error { return &exitError{experiments.Invalid.ExitCode(), err} }
	over, err := experiments.ParseDuration(flags.over)
	if err != nil || over < time.Minute {
		return invalid(fmt.Errorf("--over %s: write how far back a server is asked, such as 6h; at least 1m", flags.over))
	}
	c, path, err := global.loadOne(cmd, paths, &flags.variables)
	if err != nil {
		return err
	}
	slos, err := chooseSLOs(c.Draft().SLOs, flags.only)
	if err != nil {
		return invalid(err)
	}
	if len(slos) == 0 {
		return invalid(fmt.Errorf("%s declares no slo; `gameday explain slo` shows how one is written", path))
	}
	ctx, _, stop := listenForSignals(cmd.Context())
	defer stop()
	result := linted{Findings: []placedFinding{}, Unchecked: []prom.LintGap{}, SLOs: len(slos)}
	closeAll, err := openServers(ctx, slos, flags.offline)
	if err != nil {
		return exitWith(experiments.Errored, errors.Join(err, closeAll()))
	}
	findings, gaps := prom.Lint(ctx, slos, prom.LintOptions{Offline: flags.offline, Over: over, Now: time.Now()})
	for _, f := range findings {
		file, line, column := c.Place(f.SLO, f.Attribute)
		result.Findings = append(result.Findings, placedFinding{f, file, line, column})
	}
	result.Unchecked = append(result.Unchecked, gaps...)
	if err := closeAll(); err != nil {
		return exitWith(experiments.Errored, err)
	}
	// A server's words and a query may hold what is secret.
	stdout := redact.Writer(cmd.OutOrStdout(), redact.Func(c.Secrets()))
	if flags.asJSON {
		encoder := json.NewEncoder(stdout)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		if err := encoder.Encode(result); err != nil {
			return exitWith(experiments.Errored, err)
		}
	} else if err := global.showLint(cmd.OutOrStdout(), stdout, c, result); err != nil {
		return exitWith(experiments.Errored, err)
	}
	switch {
	case len(result.Findings) > 0:
		return exitWith(experiments.Refuted, nil)
	case slices.ContainsFunc(result.Unchecked, func(g prom.LintGap) bool { return g.Unreachable }):
		return exitWith(experiments.Inconclusive, nil)
	}
	return nil
}

// openServers opens the Prometheus servers that SLOs are counted by, and nothing else: a
// lint starts no sandbox. The built-in one has nothing to tell while no scenario runs.
func openServers(ctx context.Context, slos []*experiments.SLO, offline bool) (closeAll func() error, err error) {
	var opened []*prom.Prometheus
	closeAll = func() error {
		var problems []error
		for _, p := range opened {
			problems = append(problems, p.Close())
		}
		return errors.Join(problems...)
	}
	for _, slo := range slos {
		counted, ok := slo.SLI.(prom.Counted)
		if !ok || offline {
			continue
		}
		server := counted.Events().Prometheus
		if server.Builtin() || slices.Contains(opened, server) {
			continue
		}
		if err := server.Open(ctx); err != nil {
			return closeAll, err
		}
		opened = append(opened, server)
	}
	return closeAll, nil
}

func (global *globalFlags) showLint(terminal, redacted io.Writer, c *scenarios.Configuration, result linted) error {
	var remarks []scenarios.Remark
	for _, f := range result.Findings {
		remarks = append(remarks, scenarios.Remark{SLO: f.SLO, Attribute: f.Attribute, Summary: "slo." + f.SLO + ": " + f.Check,
			Detail: f.Wrong + " " + f.Why + "\n" + f.Write})
	}
	if err := global.showDiagnostics(terminal, c.Remarks(remarks)); err != nil {
		return err
	}
	out := &lines{w: redacted}
	if len(remarks) > 0 {
		out.printf("\n")
	}
	// One reason often holds for all SLOs.
	type reason struct {
		why    string
		checks []string
		slos   []string
	}
	var reasons []*reason
	for _, gap := range result.Unchecked {
		i := slices.IndexFunc(reasons, func(r *reason) bool { return r.why == gap.Why })
		if i < 0 {
			i = len(reasons)
			reasons = append(reasons, &reason{why: gap.Why})
		}
		reasons[i].slos = append(reasons[i].slos, "slo."+gap.SLO)
		for _, check := range gap.Checks {
			if !slices.Contains(reasons[i].checks, check) {
				reasons[i].checks = append(reasons[i].checks, check)
			}
		}
	}
	for _, r := range reasons {
		out.printf("not checked  %s: %s\n             %s\n", strings.Join(r.slos, ", "), r.why, strings.Join(r.checks, ", "))
	}
	found := "nothing found"
	if len(remarks) > 0 {
		found = countOf(len(remarks), "finding")
	}
	out.printf("%s in %s", found, countOf(result.SLOs, "slo"))
	if len(reasons) > 0 {
		out.printf("; not all was checked")
	}
	out.printf("\n")
	return out.err
}
