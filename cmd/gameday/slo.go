package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/scenarios"
)

func newSLOCommand(global *globalFlags) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "slo",
		Short: "Look at SLOs and their error budgets",
		Long: `slo has the commands that look at the SLOs which a configuration declares, and at
what is left of their error budgets. Alone it lists them, and exits with 0.`,
		Example: "  gameday slo status\n  gameday slo report --out budgets.html\n  gameday slo lint shop.hcl",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownCommand(cmd, args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(sloCommands(global)...)
	return cmd
}

// sloCommands lists the commands of `gameday slo`, one in a file.
func sloCommands(global *globalFlags) []*cobra.Command {
	return []*cobra.Command{
		newSLOStatusCommand(global),
		newSLOReportCommand(global),
		newSLOLintCommand(global),
	}
}

// sloFlags choose SLOs of a configuration.
type sloFlags struct {
	variables
	only []string
}

func (f *sloFlags) flags(cmd *cobra.Command) {
	f.variables.flags(cmd)
	cmd.Flags().StringArrayVar(&f.only, "slo", nil, "look at the SLO of this `name` only (repeatable)")
}

// declaredSLOs is a configuration that is open, with what it declares of SLOs.
type declaredSLOs struct {
	slos     []*experiments.SLO
	policies []*experiments.Policy
	*scenarios.Configuration
}

// openSLOs reads a path, the current directory where none is given, and opens what its
// slos are asked of: no sandbox, no scraping. The caller closes it. Errors carry their exit code.
func (global *globalFlags) openSLOs(ctx context.Context, cmd *cobra.Command, paths []string, f *sloFlags) (*declaredSLOs, error) {
	invalid := func(err error) error { return &exitError{experiments.Invalid.ExitCode(), err} }
	c, path, err := global.loadOne(cmd, paths, &f.variables)
	if err != nil {
		return nil, err
	}
	if err := c.OpenSLOs(ctx); err != nil {
		return nil, exitWith(experiments.Errored, err)
	}
	slos, policies, problems := c.SLOs()
	if problems.HasErrors() {
		return nil, invalid(errors.Join(problems.Err(), c.Close()))
	}
	chosen, err := chooseSLOs(slos, f.only)
	if err != nil {
		return nil, invalid(errors.Join(err, c.Close()))
	}
	if len(chosen) == 0 {
		return nil, invalid(errors.Join(fmt.Errorf("%s declares no slo; `gameday explain slo` shows how one is written", path), c.Close()))
	}
	return &declaredSLOs{chosen, policies, c}, nil
}

func chooseSLOs(slos []*experiments.SLO, only []string) ([]*experiments.SLO, error) {
	if len(only) == 0 {
		return slos, nil
	}
	var names []string
	byName := map[string]*experiments.SLO{}
	for _, s := range slos {
		names = append(names, s.Name)
		byName[s.Name] = s
	}
	var chosen []*experiments.SLO
	for _, name := range only {
		s := byName[strings.TrimPrefix(name, "slo.")]
		if s == nil {
			meant := "there is: " + strings.Join(names, ", ")
			if word := nearest(name, names); word != "" {
				meant = fmt.Sprintf("did you mean %q?", word)
			}
			return nil, fmt.Errorf("there is no slo %q; %s", name, meant)
		}
		chosen = append(chosen, s)
	}
	return chosen, nil
}
