package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/blocks"
	"github.com/gameday-sh/gameday/internal/imports"
	"github.com/gameday-sh/gameday/scenarios"
)

// mostImported is how much of a file is read: enough to see that it is too much.
const mostImported = 2 << 20

func newImportCommand() *cobra.Command {
	var out string
	var force bool
	cmd := &cobra.Command{
		Use:   "import FILE...",
		Short: "Read SLOs of OpenSLO, Sloth and plain YAML into a scenario file",
		Long: `import reads SLOs and error budget policies in the formats of other tools and
writes them in the language of scenarios to standard output. A FILE of "-" is
standard input. It knows

  OpenSLO      apiVersion: openslo/v1, all of its kinds
  Sloth        version: prometheus/v1, and kind: PrometheusServiceLevel
  plain YAML   slo, slos, slis, user_journeys, error_budget_policy, golden_signals

Several files are read as one: what an SLO refers to may be in any of them. On
standard error it says, with file, line and path, what is not carried over and what
means something else now. Nothing is left out without a word.

It exits with 0 if everything was carried over or said, and with 2 if a file cannot
be read; then nothing is written.`,
		Example: "  gameday import slo.yaml > slo.hcl\n  gameday import --out slo.hcl openslo/*.yaml\n  kubectl get prometheusservicelevels -A -o yaml | gameday import - > slo.hcl",
		Args:    wants(1, -1, "a FILE of OpenSLO, Sloth or plain YAML, or - for standard input"),
		RunE: func(cmd *cobra.Command, paths []string) error {
			inputs, err := readInputs(cmd.InOrStdin(), paths)
			if err != nil {
				return &exitError{experiments.Invalid.ExitCode(), err}
			}
			result := imports.Read(inputs, accepted)
			said := &lines{w: cmd.ErrOrStderr()}
			for _, note := range result.Notes {
				said.printf("%s\n", note)
			}
			if wrong := result.Count(imports.Wrong); wrong > 0 {
				return &exitError{experiments.Invalid.ExitCode(), errors.Join(said.err, fmt.Errorf("nothing was written, because of %s", countOf(wrong, "error")))}
			}
			text, err := scenarios.Write(result.File)
			if err != nil {
				return &exitError{experiments.Errored.ExitCode(), err}
			}
			if err := accepted(result.File); err != nil { // each block is valid, and all together may be too large
				return &exitError{experiments.Invalid.ExitCode(), fmt.Errorf("nothing was written, as it would not be valid: %w; import fewer files at a time", err)}
			}
			if out == "" {
				_, err = cmd.OutOrStdout().Write(text)
			} else {
				err = writeNew(out, text, force)
			}
			if err != nil {
				return err
			}
			said.printf("%s\n", imported(result))
			return said.err
		},
	}
	cmd.Flags().StringVar(&out, "out", "", "write to this `file` instead of standard output")
	cmd.Flags().BoolVar(&force, "force", false, "let --out replace a file that is there")
	return cmd
}

// imported says what was done in a line.
func imported(result *imports.Result) string {
	text := fmt.Sprintf("imported %s", countOf(result.SLOs, "SLO"))
	if result.Policies == 1 {
		text += " and 1 policy"
	} else if result.Policies > 1 {
		text += fmt.Sprintf(" and %d policies", result.Policies)
	}
	if result.Kept > 0 {
		text += fmt.Sprintf(", and %s as a comment, to be finished by hand", countOf(result.Kept, "block"))
	}
	lost, changed := result.Count(imports.Lost), result.Count(imports.Changed)
	if lost+changed == 0 {
		return text + "; everything was carried over as it is"
	}
	return text + fmt.Sprintf("; said above: %d not carried over, %d changed", lost, changed)
}

// accepted tells why a configuration is not valid, in the words of validate.
func accepted(file blocks.File) error {
	text, err := scenarios.Write(file)
	if err != nil {
		return err
	}
	_, diagnostics := scenarios.Format("import.hcl", text) // knows how large a file may be
	if !diagnostics.HasErrors() {
		_, diagnostics = language().LoadText("import.hcl", text, scenarios.Options{})
	}
	if !diagnostics.HasErrors() {
		return nil
	}
	first, _, _ := strings.Cut(diagnostics.Error(), "\n")
	if rest, found := strings.CutPrefix(first, "import.hcl:"); found { // a place that nobody can look at
		_, first, _ = strings.Cut(rest, ": ")
	}
	return errors.New(first)
}

func readInputs(stdin io.Reader, paths []string) ([]imports.Input, error) {
	var inputs []imports.Input
	seen := map[string]bool{}
	for _, path := range paths {
		if seen[path] {
			return nil, fmt.Errorf("%s is named twice; name it once", path)
		}
		seen[path] = true
		text, err := readInput(stdin, path)
		if err != nil {
			return nil, fmt.Errorf("import %s: %w", path, err)
		}
		name := path
		if path == "-" {
			name = "standard input"
		}
		inputs = append(inputs, imports.Input{Name: name, Text: text})
	}
	return inputs, nil
}

func readInput(stdin io.Reader, path string) ([]byte, error) {
	if path == "-" {
		return io.ReadAll(io.LimitReader(stdin, mostImported))
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, errors.Unwrap(err)
	}
	text, err := io.ReadAll(io.LimitReader(file, mostImported))
	if err := errors.Join(err, file.Close()); err != nil {
		var failed *fs.PathError
		if errors.As(err, &failed) {
			return nil, failed.Err
		}
		return nil, err
	}
	return text, nil
}

// writeNew writes a file that is not there yet, or replaces one if that is wanted.
func writeNew(path string, text []byte, force bool) error {
	if _, err := os.Stat(path); err == nil && force {
		if err := replaceFile(path, text); err != nil {
			return &exitError{experiments.Errored.ExitCode(), err}
		}
		return nil
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return &exitError{experiments.Invalid.ExitCode(), fmt.Errorf("%s is there already, and was left as it is; --force replaces it", path)}
	}
	if err != nil {
		return &exitError{experiments.Invalid.ExitCode(), fmt.Errorf("write %s: %w", filepath.Clean(path), errors.Unwrap(err))}
	}
	_, err = file.Write(text)
	if err := errors.Join(err, file.Close()); err != nil {
		return &exitError{experiments.Errored.ExitCode(), fmt.Errorf("write %s: %w", path, err)}
	}
	return nil
}
