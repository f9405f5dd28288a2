package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
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
	"github.com/gameday-sh/gameday/internal/sandbox"
	"github.com/gameday-sh/gameday/scenarios"
)

// language ties the tables of all packages together.
func language() scenarios.Language {
	return scenarios.Language{
		Connections:   slices.Concat(prom.Connections(), []experiments.Kind[experiments.Connection]{toxiproxy.Connection(), kube.Connection()}, sandbox.Connections()),
		Probes:        probes.Kinds(),
		SLIs:          prom.SLIs(),
		Faults:        faults.Kinds(),
		Guards:        guards.Kinds(),
		DefaultGuards: []string{"no_data", "max_duration"},
	}
}

// variables are the flags that give values to a scenario's variables.
type variables struct {
	vars  []string
	files []string
}

func (v *variables) flags(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&v.vars, "var", nil, "set a variable: name=value (repeatable)")
	cmd.Flags().StringArrayVar(&v.files, "var-file", nil, "read variables from a file of name = value lines (repeatable)")
}

func (v *variables) options() scenarios.Options {
	return scenarios.Options{Vars: v.vars, VarFiles: v.files, Environ: os.LookupEnv}
}

// loadAll reads every path as a configuration of its own.
func loadAll(paths []string, v *variables) ([]*scenarios.Configuration, *scenarios.Diagnostics, error) {
	var configurations []*scenarios.Configuration
	var all []*scenarios.Diagnostics
	for _, path := range paths {
		found, cleanUp, err := shipped(path)
		if err != nil {
			return nil, nil, err
		}
		configuration, diagnostics := language().Load(found, v.options())
		cleanUp()
		configurations = append(configurations, configuration)
		all = append(all, diagnostics)
	}
	return configurations, scenarios.Merge(all...), nil
}

// shipped lets the bare name of a shipped example stand for its file, so that
// `gameday run quickstart` works anywhere.
func shipped(path string) (found string, cleanUp func(), err error) {
	nothing := func() {}
	if strings.ContainsAny(path, "/\\.") {
		return path, nothing, nil
	}
	if _, err := os.Stat(path); err == nil {
		return path, nothing, nil
	}
	text, err := fs.ReadFile(scenarios.Examples, "examples/"+path+".hcl")
	if err != nil {
		return path, nothing, nil
	}
	dir, err := os.MkdirTemp("", "gameday-example-")
	if err != nil {
		return "", nil, fmt.Errorf("unpack the shipped example %s: %w", path, err)
	}
	cleanUp = func() {
		if err := os.RemoveAll(dir); err != nil {
			return // an example left in the temporary folder harms nobody
		}
	}
	found = filepath.Join(dir, path+".hcl")
	if err := os.WriteFile(found, text, 0o600); err != nil {
		cleanUp()
		return "", nil, fmt.Errorf("unpack the shipped example %s: %w", path, err)
	}
	return found, cleanUp, nil
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
