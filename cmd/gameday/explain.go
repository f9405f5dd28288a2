package main

import (
	"github.com/spf13/cobra"
)

func newExplainCommand() *cobra.Command {
	var reference bool
	cmd := &cobra.Command{
		Use:   "explain [fault|probe|guard|...] [KIND]",
		Short: "Say what a scenario can say: blocks, kinds and attributes",
		Long: `explain lists the blocks of the language and the kinds of faults, probes and
guards; with a block, its attributes or kinds; with a kind, its attributes with
type, default and unit, and an example that works.

It exits with 0, or with 2 if there is nothing of that name.`,
		Example: "  gameday explain\n  gameday explain fault\n  gameday explain fault toxiproxy_latency\n  gameday explain hypothesis",
		Args:    wants(0, 2, "a block and a kind"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if reference {
				return language().WriteReference(cmd.OutOrStdout())
			}
			args = append(args, "", "")
			return language().Explain(cmd.OutOrStdout(), args[0], args[1])
		},
	}
	cmd.Flags().BoolVar(&reference, "reference", false, "write the whole language reference as Markdown")
	return cmd
}
