package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/experiments/probes"
	"github.com/gameday-sh/gameday/experiments/probes/prom"
	"github.com/gameday-sh/gameday/faults"
	"github.com/gameday-sh/gameday/faults/toxiproxy"
	"github.com/gameday-sh/gameday/guards"
	"github.com/gameday-sh/gameday/internal/kube"
	"github.com/gameday-sh/gameday/internal/notify"
	"github.com/gameday-sh/gameday/internal/sandbox"
	"github.com/gameday-sh/gameday/scenarios"
)

// language ties the tables of all packages together.
func language() scenarios.Language {
	return scenarios.Language{
		Connections:   slices.Concat(prom.Connections(), []experiments.Kind[experiments.Connection]{toxiproxy.Connection(), kube.Connection()}, sandbox.Connections()),
		Probes:        probes.Kinds(),
		Journey:       probes.JourneyKind(),
		SLIs:          prom.SLIs(),
		Faults:        faults.Kinds(),
		Guards:        guards.Kinds(),
		GoldenSignals: func() experiments.SignalSource { return new(prom.GoldenSignals) },
		Receivers:     notify.Kinds(),
		DefaultGuards: []string{"no_data", "max_duration"},
	}
}

// variables are the flags that give values to a scenario's variables.
type variables struct {
	vars  []string
	files []string
}

func (v *variables) flags(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&v.vars, "var", nil, "set a variable: `name=value` (repeatable)")
	cmd.Flags().StringArrayVar(&v.files, "var-file", nil, "read variables from a `file` of name = value lines (repeatable)")
}

func (v *variables) options() scenarios.Options {
	return scenarios.Options{Vars: v.vars, VarFiles: v.files, Environ: os.LookupEnv}
}

// loadAll reads every path as a configuration of its own.
func loadAll(paths []string, v *variables) ([]*scenarios.Configuration, *scenarios.Diagnostics, error) {
	var configurations []*scenarios.Configuration
	var all []*scenarios.Diagnostics
	for _, path := range paths {
		configuration, diagnostics, err := load(path, v.options())
		if err != nil {
			return nil, nil, &exitError{experiments.Invalid.ExitCode(), err}
		}
		configurations = append(configurations, configuration)
		all = append(all, diagnostics)
	}
	return configurations, scenarios.Merge(all...), nil
}

// loadOne reads the configuration of a path, the current directory where none is given,
// and shows what is wrong with it. Errors carry their exit code.
func (global *globalFlags) loadOne(cmd *cobra.Command, paths []string, v *variables) (c *scenarios.Configuration, path string, err error) {
	path = "."
	if len(paths) > 0 {
		path = paths[0]
	}
	configurations, diagnostics, err := loadAll([]string{path}, v)
	if err != nil {
		return nil, path, err
	}
	if err := global.showDiagnostics(cmd.ErrOrStderr(), diagnostics); err != nil {
		return nil, path, err
	}
	return configurations[0], path, nil
}

// load reads a path. The bare name of a shipped example stands for its file, so that
// `gameday run quickstart` works anywhere.
func load(path string, options scenarios.Options) (*scenarios.Configuration, *scenarios.Diagnostics, error) {
	_, err := os.Stat(path)
	if err == nil || !errors.Is(err, fs.ErrNotExist) || strings.ContainsAny(path, "/\\.") {
		configuration, diagnostics := language().Load(path, options)
		return configuration, diagnostics, nil
	}
	text, err := fs.ReadFile(scenarios.Examples, "examples/"+path+".hcl")
	if err != nil {
		meant := "there is: " + strings.Join(exampleNames(), ", ")
		if word := nearest(path, exampleNames()); word != "" {
			meant = fmt.Sprintf("did you mean %q?", word)
		}
		return nil, nil, fmt.Errorf("there is no file or folder %q, and no shipped example of that name; %s", path, meant)
	}
	configuration, diagnostics := language().LoadText(path+".hcl", text, options)
	return configuration, diagnostics, nil
}

// version is the module's version, with the commit where the build knows it.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	text := info.Main.Version
	if text == "" || text == "(devel)" {
		text = "devel"
	}
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" && len(setting.Value) >= 12 && !strings.Contains(text, setting.Value[:12]) {
			text += " " + setting.Value[:12]
		}
	}
	return text
}
