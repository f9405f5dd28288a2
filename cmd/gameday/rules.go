package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/rules"
)

// rulesFile is what tests call the rules that were written to standard output.
const rulesFile = "rules.yml"

func newRulesCommand(global *globalFlags) *cobra.Command {
	var f sloFlags
	var out, tests string
	cmd := &cobra.Command{
		Use:   "rules [PATH]",
		Short: "Print Prometheus rules for SLOs: records and burn alerts",
		Long: `rules prints, as YAML for Prometheus, recording and alerting rules of the SLOs that
PATH declares (a file or a directory; left out, the current one). Nothing is
contacted, and the same SLOs give the same text.

Alerts watch how fast an error budget burns, over several windows at once; their
factors follow from the length of the period. An SLI without data has an alert of
its own. What the rules cannot do is said on standard error and in comments.

With --tests FILE it also writes a test of the rules for "promtool test rules":
that each SLO is silent while healthy and without traffic, pages when it should,
and reports that its data is gone.

It exits with 0 when the rules are written, even if some SLO had to be left out,
and with 2 if the configuration is wrong or no SLO is left.`,
		Example: `  gameday rules shop.hcl > rules.yml
  gameday rules --out rules.yml --tests rules_test.yml shop.hcl
  promtool check rules rules.yml && promtool test rules rules_test.yml`,
		Args: wants(0, 1, "at most one PATH: a file, or a directory of .hcl files"),
		RunE: func(cmd *cobra.Command, paths []string) error {
			slos, err := global.draftSLOs(cmd, paths, &f)
			if err != nil {
				return err
			}
			file := rules.Generate(slos)
			say := &lines{w: cmd.ErrOrStderr()}
			for _, note := range file.Notes {
				word := ""
				if note.Omitted {
					word = "left out: "
				}
				say.printf("%s: %s%s\n", note.SLO.SeriesName(), word, note.Text)
			}
			if len(file.Written) == 0 {
				return &exitError{experiments.Invalid.ExitCode(), errors.Join(say.err, errors.New("no SLO is left to write rules of"))}
			}
			var text bytes.Buffer
			if err := file.WriteYAML(&text); err != nil {
				return &exitError{experiments.Errored.ExitCode(), err}
			}
			if out == "" {
				_, err = cmd.OutOrStdout().Write(text.Bytes())
			} else {
				err = os.WriteFile(out, text.Bytes(), 0o644)
			}
			if err != nil {
				return &exitError{experiments.Errored.ExitCode(), fmt.Errorf("write the rules: %w", err)}
			}
			if tests != "" {
				if err := writeRuleTests(say, file, out, tests); err != nil {
					return &exitError{experiments.Errored.ExitCode(), err}
				}
			}
			return say.err
		},
	}
	f.flags(cmd)
	cmd.Flags().StringVar(&out, "out", "", "write the rules to this `file` instead of standard output")
	cmd.Flags().StringVar(&tests, "tests", "", "write a test of the rules for promtool to this `file`")
	return cmd
}

// writeRuleTests writes the tests of the rules, which name the file with the rules as
// seen from their own folder.
func writeRuleTests(say *lines, file *rules.File, out, tests string) error {
	name := rulesFile
	if out == "" {
		say.printf("%s tests %s beside it: save the rules there, or name their file with --out\n", tests, rulesFile)
	} else {
		from, err := filepath.Abs(filepath.Dir(tests))
		if err != nil {
			return err
		}
		to, err := filepath.Abs(out)
		if err != nil {
			return err
		}
		if name, err = filepath.Rel(from, to); err != nil {
			return fmt.Errorf("name %s as seen from %s: %w", out, tests, err)
		}
	}
	suite := rules.Tests(file, name)
	for _, note := range suite.Notes {
		say.printf("%s: not tested: %s\n", note.SLO.SeriesName(), note.Text)
	}
	var text bytes.Buffer
	if err := suite.WriteYAML(&text); err != nil {
		return err
	}
	if err := os.WriteFile(tests, text.Bytes(), 0o644); err != nil {
		return fmt.Errorf("write the tests: %w", err)
	}
	return nil
}

// draftSLOs reads the SLOs of a path, the current directory where none is given, without
// opening a connection. Errors carry their exit code.
func (global *globalFlags) draftSLOs(cmd *cobra.Command, paths []string, f *sloFlags) ([]*experiments.SLO, error) {
	invalid := func(err error) error { return &exitError{experiments.Invalid.ExitCode(), err} }
	c, path, err := global.loadOne(cmd, paths, &f.variables)
	if err != nil {
		return nil, err
	}
	draft := c.Draft()
	chosen, err := chooseSLOs(draft.SLOs, f.only)
	if err != nil {
		return nil, invalid(err)
	}
	if len(chosen) == 0 {
		return nil, invalid(fmt.Errorf("%s declares no slo; `gameday explain slo` shows how one is written", path))
	}
	for _, slo := range chosen {
		if unsettled := draft.Unsettled[slo.Origin]; len(unsettled) > 0 {
			return nil, invalid(fmt.Errorf("%s (%s): its rules depend on %s, which is known only when a connection is open; give it a value of its own, such as a variable", slo.SeriesName(), slo.Origin, strings.Join(unsettled, ", ")))
		}
	}
	return chosen, nil
}
