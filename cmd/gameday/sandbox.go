package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/faults/toxiproxy"
	"github.com/gameday-sh/gameday/internal/sandbox"
)

func newSandboxCommand() *cobra.Command {
	shop := sandbox.New()
	var toxiproxyURL string
	cmd := &cobra.Command{
		Use:   "sandbox",
		Short: "Start the small shop by itself, to play with by hand",
		Long: `sandbox starts the shop that the examples break: a front door, a catalogue and a
payment service with customers, and toxiproxy between them. It prints what listens
where and runs until Ctrl-C.

It exits with 0 after Ctrl-C, with 2 if a flag is wrong, and with 5 if it cannot
listen.`,
		Example: "  gameday sandbox --port 8080\n  gameday sandbox --toxiproxy http://127.0.0.1:8474",
		Args:    wants(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			for _, problem := range shop.Validate() {
				return fmt.Errorf("--%s: %s", problem.Attribute, problem.Detail)
			}
			ctx, _, stop := listenForSignals(cmd.Context())
			defer stop()
			proxies := &toxiproxy.Toxiproxy{URL: toxiproxyURL}
			if err := proxies.Open(ctx); err != nil {
				return &exitError{experiments.Errored.ExitCode(), err}
			}
			defer func() { err = errors.Join(err, proxies.Close()) }()
			shop.Toxiproxy = proxies
			if err := shop.Open(ctx); err != nil {
				return &exitError{experiments.Errored.ExitCode(), err}
			}
			defer func() { err = errors.Join(err, shop.Close()) }()
			out := &lines{w: cmd.OutOrStdout()}
			out.printf("%s", shop.Describe())
			<-ctx.Done()
			return out.err
		},
	}
	cmd.Flags().IntVar(&shop.Port, "port", 8080, "port `number` of the front door and its /metrics on 127.0.0.1")
	cmd.Flags().Float64Var(&shop.Rate, "rate", shop.Rate, "`number` of requests that customers start each second")
	cmd.Flags().StringVar(&toxiproxyURL, "toxiproxy", "", "`URL` of a toxiproxy to use instead of the built-in one")
	return cmd
}
