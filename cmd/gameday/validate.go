package main

import (
	"github.com/spf13/cobra"

	"github.com/gameday-sh/gameday/experiments"
)

func newValidateCommand(global *globalFlags) *cobra.Command {
	var v variables
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "validate PATH...",
		Short: "Check scenario files: every problem at once, without a network",
		Long: `validate reads each PATH (a file, or a directory as one configuration) and shows
every problem with its place and what to write instead. Nothing is contacted.

It exits with 2 if there is an error, else with 0.`,
		Example: "  gameday validate scenarios/\n  gameday validate --json shop.hcl",
		Args:    wants(1, -1, "a PATH: a file, a directory, or the name of a shipped example such as quickstart"),
		RunE: func(cmd *cobra.Command, paths []string) error {
			configurations, diagnostics, err := loadAll(paths, &v)
			if err != nil {
				return err
			}
			if asJSON {
				if err := diagnostics.WriteJSON(cmd.OutOrStdout()); err != nil {
					return err
				}
				if diagnostics.HasErrors() {
					return &exitError{code: experiments.Invalid.ExitCode()}
				}
				return nil
			}
			if err := global.showDiagnostics(cmd.ErrOrStderr(), diagnostics); err != nil {
				return err
			}
			out := &lines{w: cmd.OutOrStdout()}
			total := 0
			for _, configuration := range configurations {
				total += len(configuration.Scenarios())
			}
			if total == 0 {
				out.printf("valid, and there is no scenario in it\n")
				return out.err
			}
			out.printf("%s valid\n", countOf(total, "scenario"))
			return out.err
		},
	}
	v.flags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "write the problems as JSON, for editors")
	return cmd
}
