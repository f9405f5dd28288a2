package scenarios

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// goldenRoot is the block golden_signals, and the word that references to one begin
// with.
const goldenRoot = "golden_signals"

// goldenBlock is the attributes of golden_signals that are not about how the signals
// are measured.
type goldenBlock struct {
	Every         time.Duration  `hcl:"every,optional" default:"1s" doc:"The pace: how often each signal is measured; at least 100ms."`
	Timeout       time.Duration  `hcl:"timeout,optional" default:"2s" doc:"How long one measurement may take; at most 1m."`
	During        bool           `hcl:"during,optional" default:"true" doc:"Whether the targets must be kept while the faults are on; false: only before, and again afterwards."`
	RecoverWithin *time.Duration `hcl:"recover_within,optional" doc:"How long after the last revert it may take to keep them again, the window included. Left out: 60s, and twice the window at least."`
	Hold          time.Duration  `hcl:"hold,optional" default:"3s" doc:"For how long they must then be kept."`
}

// goldenNames are the values that a golden_signals block has.
func goldenNames() []string {
	var list []string
	for _, name := range experiments.SignalNames() {
		list = append(list, string(name))
	}
	return list
}

// goldenBy is the attribute by which a signal is measured.
func goldenBy(signal string) string {
	switch experiments.SignalName(signal) {
	case experiments.Latency:
		return "duration"
	case experiments.Traffic:
		return "requests"
	}
	return signal
}

// declareGolden decodes the blocks golden_signals.
func (p *pass) declareGolden() {
	p.golden = map[string]*experiments.GoldenSignals{}
	for _, block := range p.c.golden {
		signals := &experiments.GoldenSignals{Name: block.Labels[0], Origin: p.c.origin(header(block))}
		if p.firstOf(goldenRoot+"."+signals.Name, block) {
			p.golden[signals.Name] = signals
		}
		p.goldenSignals(block, signals)
	}
}

func (p *pass) goldenSignals(block *hclsyntax.Block, into *experiments.GoldenSignals) {
	source := p.c.language.GoldenSignals()
	what := fmt.Sprintf("%s %q", goldenRoot, into.Name)
	var common goldenBlock
	out := p.body(block, what, nil, nil, source, &common)
	p.validate(block, what, source, out)
	p.unsettle(into.Origin, out)
	p.pace(block, what, common.Every, out)
	if at, given := out.given["timeout"]; given && (common.Timeout <= 0 || common.Timeout > longestTimeout) {
		p.errorf(at, "Timeout out of range", "The timeout of one measurement is above 0s and at most %s, so that a system that hangs cannot hold up the guards.", experiments.FormatDuration(longestTimeout))
	}
	into.During, into.Hold, into.RecoverWithin = common.During, common.Hold, 60*time.Second
	if common.RecoverWithin != nil {
		into.RecoverWithin = *common.RecoverWithin
	}
	into.Signals = source.Signals()
	window := time.Duration(0)
	for _, s := range into.Signals {
		s.Probed.Name, s.Probed.Series = into.Name+"."+string(s.Name), into.SeriesName()+"."+string(s.Name)
		s.Probed.Kind, s.Probed.Origin = goldenRoot, into.Origin
		s.Probed.Every, s.Probed.Timeout = common.Every, common.Timeout
		window = max(window, s.Probed.Window)
	}
	if common.RecoverWithin == nil {
		into.RecoverWithin = max(into.RecoverWithin, 2*window)
	}
	if at, given := out.given["recover_within"]; given && into.RecoverWithin <= window {
		p.errorf(at, "Too little time to recover", "A value speaks of the %s before it, and so of the faults for as long: write a recover_within longer than that, or a shorter window.", experiments.FormatDuration(window))
	} else if !out.failed["hold"] && !out.failed["recover_within"] && into.Hold > into.RecoverWithin {
		p.errorf(out.at("hold", block), "Hold longer than the recovery", "The targets must be kept for %s, and recover_within allows %s altogether. Write a shorter hold, or a longer recover_within.", experiments.FormatDuration(into.Hold), experiments.FormatDuration(into.RecoverWithin))
	}
}

// checkGolden checks what follows golden_signals.name in a reference: nothing, or a
// signal that is measured.
func (p *pass) checkGolden(traversal hcl.Traversal, name string) bool {
	signal, at, named := step(traversal, 2)
	switch {
	case len(traversal) == 2:
		return true
	case !named || !slices.Contains(goldenNames(), signal):
		p.unknown(at, "Reference to nothing", fmt.Sprintf("Golden signals have no value %q.", signal), signal, goldenNames(), "")
		return false
	case len(traversal) > 3:
		p.errorf(traversal[3].SourceRange(), "Reference to nothing", "A golden signal has no values to refer to; write %s.%s.%s.", goldenRoot, name, signal)
		return false
	}
	for _, block := range p.c.golden {
		if by := goldenBy(signal); p.firstOf(goldenRoot+"."+name, block) && block.Body.Attributes[by] == nil {
			p.errorf(at, "Signal that is not measured", "%s %q does not say how %s is measured: it has no %s. It is declared at %s.", goldenRoot, name, signal, by, place(header(block)))
			return false
		}
	}
	return true
}

// goldenObject is what golden_signals.name evaluates to: a handle of all, and one of
// each signal, which is a probe to whoever takes one.
func (p *pass) goldenObject(name string) cty.Value {
	signals, found := p.golden[name]
	if !found {
		return cty.DynamicVal
	}
	values := map[string]cty.Value{selfKey: cty.CapsuleVal(handleType, &handle{signals.SeriesName(), signals})}
	for _, signal := range experiments.SignalNames() {
		values[string(signal)] = cty.DynamicVal // it is wrong, and was reported
		if s := signals.Find(signal); s != nil {
			values[string(signal)] = cty.CapsuleVal(handleType, &handle{s.Probed.SeriesName(), s.Probed})
		}
	}
	return cty.ObjectVal(values)
}

// goldenInstead says what to write where a service was meant and a signal is given, or
// the other way round; empty where that is not it.
func goldenInstead(ref *handle, want reflect.Type) string {
	switch value := ref.value.(type) {
	case *experiments.GoldenSignals:
		if want == probedType && len(value.Signals) > 0 {
			var list []string
			for _, s := range value.Signals {
				list = append(list, s.Probed.SeriesName())
			}
			return fmt.Sprintf("%s is a service with several signals, and a probe is needed: write %s.", ref.address, strings.Join(list, ", or "))
		}
	case *experiments.Probed:
		if want == goldenType && value.Kind == goldenRoot {
			service, _, _ := strings.Cut(value.Name, ".")
			return fmt.Sprintf("%s is one signal, and the service is needed: write %s.%s.", ref.address, goldenRoot, service)
		}
	}
	return ""
}

// watch adds to a scenario a hypothesis of each target of the signals that it watches.
func (p *pass) watch(s *assembly, list []*experiments.GoldenSignals, out *outcome) {
	at := out.at("watch", s.block)
	seen := map[*experiments.GoldenSignals]bool{}
	for _, signals := range list {
		if seen[signals] {
			p.errorf(at, "Watched twice", "%s is in the list twice. Take one out.", signals.SeriesName())
			continue
		}
		seen[signals] = true
		made := signals.Hypotheses()
		if len(made) == 0 && len(signals.Signals) > 0 {
			p.errorf(at, "Nothing to watch", "No signal of %s has a target, so there is nothing to judge. Give it one, such as traffic_keeps = \"50%%\".", signals.SeriesName())
		}
		for _, h := range made {
			if first, taken := s.seen["hypothesis "+h.Name]; taken {
				p.errorf(first, "Duplicate hypothesis", "%s gives this scenario a hypothesis of that name already. Give this one another name.", signals.SeriesName())
				continue
			}
			s.experiment.Hypotheses = append(s.experiment.Hypotheses, h)
			s.uses(h.Probe, nil)
			s.uses(h.Rate, nil)
		}
	}
}

// measuredGolden lists the signals that a scenario measures, in the order of the files.
func (p *pass) measuredGolden(s *assembly) {
	for _, block := range p.c.golden {
		signals, found := p.golden[block.Labels[0]]
		if !found || !p.firstOf(signals.SeriesName(), block) {
			continue
		}
		for _, signal := range signals.Signals {
			if s.probes[signal.Probed] {
				s.experiment.Probes = append(s.experiment.Probes, signal.Probed)
			}
		}
	}
}

// goldenSource is what the block is decoded into; nil in a language without it.
func (l Language) goldenSource() any {
	if l.GoldenSignals == nil {
		return nil
	}
	return l.GoldenSignals()
}

// golden checks the block of the language's tables.
func (v *verifier) golden(l Language) {
	source, ok := structOf(l.goldenSource())
	if !ok {
		v.problem("%s: it must be decoded into a struct", goldenRoot)
		return
	}
	v.fields(goldenRoot, source.Type())
	for _, a := range shapeOf(source.Type()) {
		if slices.Contains(attributeNames(goldenBlock{}), a.name) {
			v.problem("%s.%s: every block has an attribute of that name already", goldenRoot, a.name)
		}
	}
}

// goldenTopic explains the block.
func goldenTopic() topic {
	return topic{
		name: goldenRoot, form: goldenRoot + ` "service"`, summary: "Latency, traffic, errors and saturation of one service",
		text: "Each signal is a value that stands wherever a probe can: " + goldenRoot + ".service." + strings.Join(goldenNames(), ", .") + ". " +
			"Only requests must be written; what has no attribute to be measured by is left out. A scenario that has watch = [" + goldenRoot + ".service] gets a hypothesis of each target, " +
			"and a guard " + goldenRoot + " stops the run when one is missed for too long. A drop in traffic counts as a problem, and never as silence.",
		structs: []any{&goldenBlock{}}, title: "Pace, and how the targets are judged",
		exports: goldenNames(),
		table:   Language.goldenSource,
	}
}
