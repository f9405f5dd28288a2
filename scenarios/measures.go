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
)

const (
	// shortestPace bounds how often anything is measured: below it the measuring
	// itself becomes a load.
	shortestPace = 100 * time.Millisecond
	// longestTimeout bounds one measurement: a guard must not wait longer for a
	// system that hangs.
	longestTimeout = time.Minute
)

// probeBlock is the attributes that every probe has.
type probeBlock struct {
	Every   time.Duration `hcl:"every,optional" default:"1s" doc:"The pace: how often it measures; at least 100ms."`
	Timeout time.Duration `hcl:"timeout,optional" default:"2s" doc:"How long one measurement may take; at most 1m."`
}

// sloBlock is the attributes of an slo; its sli is a block of a kind.
type sloBlock struct {
	Description string              `hcl:"description,optional" doc:"What the objective means to a user."`
	Objective   experiments.Percent `hcl:"objective" doc:"The share of events that must be good, above 0% and below 100%; the rest is the error budget." example:"99.9%"`
	Window      time.Duration       `hcl:"window,optional" default:"30d" doc:"The period that the error budget is for."`
	Every       time.Duration       `hcl:"every,optional" doc:"The pace: how often its events are counted; at least 100ms. Left out: that of its probe, or what fits the shortest window of its sli."`
	Probe       *experiments.Probed `hcl:"probe,optional" doc:"The probe whose measurements are its events. Either this or an sli block." example:"probe.front_door"`
}

// declaredSLO is an slo of this pass, and what it rests on.
type declaredSLO struct {
	value *experiments.SLO
	// claims tells that the block names something to measure, whether right or wrong.
	claims bool
	// shaky tells that an attribute is wrong, so that what is asked of it means nothing.
	shaky bool
	// unclaimed is the diagnostic where it names nothing.
	unclaimed *hcl.Diagnostic
}

// declare decodes probes and slos. All exist, still empty, before the first is
// decoded, so that they may refer to each other in any order.
func (p *pass) declare() {
	p.slos = map[string]*declaredSLO{}
	p.probes = map[string]*experiments.Probed{}
	for _, block := range p.c.probes {
		if p.firstOf("probe."+block.Labels[1], block) {
			p.probes[block.Labels[1]] = &experiments.Probed{Name: block.Labels[1], Kind: block.Labels[0], Origin: p.c.origin(header(block))}
		}
	}
	for _, block := range p.c.slos {
		if p.firstOf("slo."+block.Labels[0], block) {
			p.slos[block.Labels[0]] = &declaredSLO{value: &experiments.SLO{Name: block.Labels[0], Origin: p.c.origin(header(block))}}
		}
	}
	p.declareGolden()
	for _, block := range p.c.probes {
		probed := p.probes[block.Labels[1]]
		if !p.firstOf("probe."+block.Labels[1], block) {
			probed = &experiments.Probed{} // a duplicate; decoded for its own mistakes
		}
		p.probe(block, probed)
	}
	for _, block := range p.c.slos {
		slo := p.slos[block.Labels[0]]
		if !p.firstOf("slo."+block.Labels[0], block) {
			slo = &declaredSLO{value: &experiments.SLO{}}
		}
		p.slo(block, slo)
	}
}

// firstOf tells whether a block is the one that an address stands for.
func (p *pass) firstOf(address string, block *hclsyntax.Block) bool {
	return p.c.declared[address] == header(block)
}

func (p *pass) probe(block *hclsyntax.Block, into *experiments.Probed) {
	kind, found := findRow(p.c.probeKinds, block.Labels[0])
	if !found {
		p.unknownKind(block, "probe", p.c.probeKinds)
		return
	}
	value := kind.make()
	probe, ok := value.(experiments.Probe)
	if !ok {
		return
	}
	what := fmt.Sprintf("probe %q", kind.name)
	var common probeBlock
	out := p.body(block, what, nil, nil, &common, value)
	p.validate(block, what, value, out)
	p.unsettle(into.Origin, out)
	p.pace(block, what, common.Every, out)
	if at, given := out.given["timeout"]; given && (common.Timeout <= 0 || common.Timeout > longestTimeout) {
		p.errorf(at, "Timeout out of range", "The timeout of one measurement is above 0s and at most %s, so that a system that hangs cannot hold up the guards.", experiments.FormatDuration(longestTimeout))
	}
	into.Every, into.Timeout, into.Probe = common.Every, common.Timeout, probe
	into.Unit = unitOf(value)
}

// unitOf asks a probe for the unit of its values: by a method, or by an attribute
// of that name.
func unitOf(probe any) string {
	if named, ok := probe.(interface{ Unit() string }); ok {
		return named.Unit()
	}
	v, ok := structOf(probe)
	if !ok {
		return ""
	}
	if a, found := shapeOf(v.Type()).find("unit"); found && a.typ.Kind() == reflect.String {
		return v.FieldByIndex(a.index).String()
	}
	return ""
}

// pace checks an `every` that was written.
func (p *pass) pace(block *hclsyntax.Block, what string, every time.Duration, out *outcome) {
	if _, given := out.given["every"]; given && every < shortestPace {
		p.errorf(out.at("every", block), "Pace too fast", "A %s may be measured at most every %s; write that or a longer time.", strings.Fields(what)[0], experiments.FormatDuration(shortestPace))
	}
}

// unknownKind reports a first label that names no kind.
func (p *pass) unknownKind(block *hclsyntax.Block, what string, kinds []row) {
	p.unknown(block.LabelRanges[0], "Unknown kind", fmt.Sprintf("There is no %s of the kind %q.", what, block.Labels[0]), block.Labels[0], names(kinds), "")
}

func (p *pass) slo(block *hclsyntax.Block, into *declaredSLO) {
	what := fmt.Sprintf("slo %q", block.Labels[0])
	var common sloBlock
	out := p.body(block, what, nil, []string{"sli"}, &common)
	into.shaky = len(out.failed) > 0
	slo := into.value
	slo.Description, slo.Objective, slo.Window, slo.Every, slo.Probe = common.Description, common.Objective, common.Window, common.Every, common.Probe
	if at, given := out.given["objective"]; given && (slo.Objective <= 0 || slo.Objective >= 1) {
		p.errorf(at, "Objective out of range", "An objective is above 0%% and below 100%%: %s leaves %s. Write, for example, \"99.9%%\".", slo.Objective,
			map[bool]string{true: "no error budget to spend", false: "nothing to fall short of"}[slo.Objective >= 1])
	}
	if at, given := out.given["window"]; given && slo.Window < time.Minute {
		p.errorf(at, "Window too short", "The window of an slo is the period that its error budget is for, such as \"30d\"; it is at least 1m.")
	}
	p.pace(block, what, slo.Every, out)
	p.rests(block, what, into, out)
	if slo.Probe != nil {
		slo.Queries = "measurements of probe." + slo.Probe.Name
		if slo.Every == 0 {
			slo.Every = slo.Probe.Every
		}
	}
}

// rests decodes what an slo rests on: exactly one of a probe and an sli block.
func (p *pass) rests(block *hclsyntax.Block, what string, into *declaredSLO, out *outcome) {
	var first *hclsyntax.Block
	for _, nested := range block.Body.Blocks {
		if nested.Type != "sli" {
			continue
		}
		if first != nil {
			p.errorf(header(nested), "Duplicate block", "The %s has an sli already, at %s.", what, place(header(first)))
			continue
		}
		first = nested
		p.sli(nested, into)
	}
	into.claims = first != nil || out.has("probe") || p.nearlyBlock(block, "sli")
	switch {
	case first != nil && out.has("probe"):
		p.errorf(header(first), "Two things to measure", "The %s rests on a probe and on an sli block. Keep one of them.", what)
	case !into.claims:
		into.unclaimed = p.add(hcl.DiagError, header(block), "SLO that rests on nothing", fmt.Sprintf("The %s has nothing to count. Give it probe = probe.name, or an sli block with its queries.", what))
	}
}

// nearlyBlock tells whether a block was meant to have one of a type: it is misspelt,
// or written with an equals sign. That was reported.
func (p *pass) nearlyBlock(block *hclsyntax.Block, blockType string) bool {
	if block.Body.Attributes[blockType] != nil {
		return true
	}
	return slices.ContainsFunc(block.Body.Blocks, func(b *hclsyntax.Block) bool {
		return nearest(b.Type, []string{blockType}) != ""
	})
}

func (p *pass) sli(block *hclsyntax.Block, into *declaredSLO) {
	name := DefaultSLI
	switch len(block.Labels) {
	case 0:
	case 1:
		name = block.Labels[0]
	default:
		p.errorf(block.LabelRanges[1], "Too many labels", "Write sli { ... } or sli \"kind\" { ... }.")
		return
	}
	kind, found := findRow(p.c.sliKinds, name)
	if !found {
		if len(block.Labels) == 0 {
			p.errorf(header(block), "Missing label", "Write sli \"kind\" { ... }. There is: %s.", enumerate(names(p.c.sliKinds)))
			return
		}
		p.unknownKind(block, "sli", p.c.sliKinds)
		return
	}
	value := kind.make()
	sli, ok := value.(experiments.SLI)
	if !ok {
		return
	}
	what := "sli"
	if name != DefaultSLI {
		what = fmt.Sprintf("sli %q", name)
	}
	out := p.body(block, what, nil, nil, value)
	p.validate(block, what, value, out)
	into.shaky = into.shaky || len(out.failed) > 0
	into.value.SLI = sli
	into.value.Queries = p.queries(value)
}

// queries says to a person what an SLI counts: its own words if it has some, else
// its texts with their names.
func (p *pass) queries(sli any) string {
	if worded, ok := sli.(fmt.Stringer); ok {
		return worded.String()
	}
	v, ok := structOf(sli)
	if !ok {
		return ""
	}
	var lines []string
	for _, a := range p.c.shape(v.Type()) {
		if field := v.FieldByIndex(a.index); field.Kind() == reflect.String && field.String() != "" {
			lines = append(lines, a.name+" = "+field.String())
		}
	}
	return strings.Join(lines, "\n")
}
