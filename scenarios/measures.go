package scenarios

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/gameday-sh/gameday/experiments"
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

// declare decodes policies, probes, journeys and slos. All exist, still empty, before the first is
// decoded, so that they may refer to each other in any order.
func (p *pass) declare() {
	p.slos = map[string]*declaredSLO{}
	p.probes = map[string]*experiments.Probed{}
	p.policies = map[string]*experiments.Policy{}
	p.declareReceivers()
	for _, block := range p.c.policies {
		policy := p.policy(block)
		if p.firstOf("error_budget_policy."+block.Labels[0], block) {
			p.policies[block.Labels[0]] = policy
		}
	}
	for _, block := range p.c.probes {
		if p.firstOf(addressOf(block), block) {
			// The kind of a journey is "journey".
			kind := append([]string{block.Type}, block.Labels...)[len(block.Labels)-1]
			p.probes[addressOf(block)] = &experiments.Probed{Name: nameOf(block), Kind: kind, Origin: p.c.origin(header(block))}
		}
	}
	for _, block := range p.c.slos {
		if p.firstOf("slo."+block.Labels[0], block) {
			p.slos[block.Labels[0]] = &declaredSLO{value: &experiments.SLO{Name: block.Labels[0], Origin: p.c.origin(header(block))}}
		}
	}
	p.declareGolden()
	for _, block := range p.c.probes {
		probed := p.probes[addressOf(block)]
		if !p.firstOf(addressOf(block), block) {
			probed = &experiments.Probed{} // a duplicate; decoded for its own mistakes
		}
		if block.Type == "journey" {
			p.journey(block, probed)
		} else {
			p.probe(block, probed)
		}
	}
	for _, block := range p.c.slos {
		slo := p.slos[block.Labels[0]]
		if !p.firstOf("slo."+block.Labels[0], block) {
			slo = &declaredSLO{value: &experiments.SLO{}}
		}
		p.slo(block, slo)
	}
	p.dependencies()
}

// nameOf and addressOf give what references call a block by: "door", "probe.door".
func nameOf(block *hclsyntax.Block) string    { return block.Labels[len(block.Labels)-1] }
func addressOf(block *hclsyntax.Block) string { return block.Type + "." + nameOf(block) }

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
	p.timeout(common.Timeout, out)
	into.Every, into.Timeout, into.Probe = common.Every, common.Timeout, probe
	into.Unit = unitOf(value)
}

// timeout checks a timeout that was written.
func (p *pass) timeout(timeout time.Duration, out *outcome) {
	if at, given := out.given["timeout"]; given && (timeout <= 0 || timeout > longestTimeout) {
		p.errorf(at, "Timeout out of range", "The timeout of one measurement is above 0s and at most %s, so that a system that hangs cannot hold up the guards.", experiments.FormatDuration(longestTimeout))
	}
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
