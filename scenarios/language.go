package scenarios

import (
	"embed"

	"github.com/gameday-sh/gameday/experiments"
)

// Examples holds the scenarios that are shipped. `gameday explain` shows blocks
// of them, and a test runs or plans each.
//
//go:embed examples/*.hcl
var Examples embed.FS

// Language is the set of kinds that scenarios may name.
type Language struct {
	Connections []experiments.Kind[experiments.Connection]
	Probes      []experiments.Kind[experiments.Probe]
	// Journey is what `journey` blocks decode into, beside what the language gives them.
	Journey experiments.Kind[experiments.JourneyProbe]
	// SLIs are the kinds of `sli` blocks; DefaultSLI is that of one without a label.
	SLIs   []experiments.Kind[experiments.SLI]
	Faults []experiments.Kind[experiments.Fault]
	Guards []experiments.Kind[experiments.Guard]
	// GoldenSignals makes what a golden_signals block is decoded into.
	GoldenSignals func() experiments.SignalSource
	// Receivers are the kinds of `notify` blocks.
	Receivers []experiments.Kind[experiments.Receiver]
	// DefaultGuards are the kinds of guards that each scenario has unless it writes
	// one of that kind itself.
	DefaultGuards []string
}

// DefaultSLI is the kind of an `sli` block without a label.
const DefaultSLI = "events"

// Options is what a configuration depends on beside its files.
type Options struct {
	// Vars are the "name=value" of --var, VarFiles the paths of --var-file.
	Vars     []string
	VarFiles []string
	// Environ looks an environment variable up, for env() and GAMEDAY_VAR_name; nil
	// means that none is set.
	Environ func(name string) (string, bool)
}

func (o Options) environ(name string) (string, bool) {
	if o.Environ == nil {
		return "", false
	}
	return o.Environ(name)
}

// row is a kind without its type parameter.
type row struct {
	name    string
	summary string
	make    func() any
}

func rows[T any](kinds []experiments.Kind[T]) []row {
	list := make([]row, 0, len(kinds))
	for _, kind := range kinds {
		list = append(list, row{kind.Name, kind.Summary, func() any { return kind.New() }})
	}
	return list
}

func findRow(list []row, name string) (row, bool) {
	for _, r := range list {
		if r.name == name {
			return r, true
		}
	}
	return row{}, false
}

func names(list []row) []string {
	out := make([]string, 0, len(list))
	for _, r := range list {
		out = append(out, r.name)
	}
	return out
}
