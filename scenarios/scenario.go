package scenarios

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// scenarioBlock is the attributes of a scenario.
type scenarioBlock struct {
	Description    string                       `hcl:"description,optional" doc:"What the scenario shows, in a sentence."`
	Seed           *uint64                      `hcl:"seed,optional" doc:"Decides every random choice, so that a run can be repeated. Left out: drawn, and printed."`
	Baseline       time.Duration                `hcl:"baseline,optional" doc:"How long the system is watched at least before anything is broken. Left out: until each hypothesis has its answer."`
	BaselineWithin time.Duration                `hcl:"baseline_within,optional" default:"60s" doc:"How long the baseline may take at most; a hypothesis that does not hold by then ends the run, untouched."`
	Watch          []*experiments.GoldenSignals `hcl:"watch,optional" doc:"Services whose golden signals should keep to their targets: a hypothesis of each." example:"[golden_signals.checkout]"`
	RevertWithin   time.Duration                `hcl:"revert_within,optional" default:"15s" doc:"How long undoing one hit, and proving it, may take."`
	Policy         *experiments.Policy          `hcl:"policy,optional" doc:"The error_budget_policy that must allow a game day, by the budget that is left of each slo of the scenario that names none itself."`
	Notify         []*experiments.ReceiverPlan  `hcl:"notify,optional" doc:"Who is told of its runs. Left out: every notify block that is declared. An empty list: nobody." example:"[notify.team]"`
}

// Experiments decodes the scenarios, in the order of the files. The configuration
// must be open.
func (c *Configuration) Experiments() ([]*experiments.Experiment, *Diagnostics) {
	if c.known == nil {
		p := &pass{c: c}
		p.errorf(hcl.Range{}, "Configuration not open", "The experiments are known when the connections are open.")
		return nil, p.finish(c.sources)
	}
	c.effort = &effort{}
	p := &pass{c: c, locals: c.known.locals, open: true}
	p.declare()
	var list []*experiments.Experiment
	for _, block := range c.scenarios {
		list = append(list, p.scenario(block))
	}
	// Load gave the warnings.
	p.list = slices.DeleteFunc(p.list, func(d *hcl.Diagnostic) bool { return d.Severity == hcl.DiagWarning })
	return list, p.finish(c.sources)
}

// assembly is a scenario that is being put together.
type assembly struct {
	experiment *experiments.Experiment
	block      *hclsyntax.Block
	faults     map[string]cty.Value // what fault.x evaluates to
	seen       map[string]hcl.Range // names taken, by type
	afters     map[string]hcl.Range // where each fault says after
	probes     map[*experiments.Probed]bool
	slos       map[*experiments.SLO]bool
}

func (p *pass) scenario(block *hclsyntax.Block) *experiments.Experiment {
	what := fmt.Sprintf("scenario %q", block.Labels[0])
	var common scenarioBlock
	out := p.body(p.withoutMisplaced(block), what, nil, scenarioBlocks, &common)
	s := &assembly{
		experiment: &experiments.Experiment{
			Name:           block.Labels[0],
			Description:    common.Description,
			Origin:         p.c.origin(header(block)),
			Source:         p.c.source,
			Baseline:       common.Baseline,
			BaselineWithin: common.BaselineWithin,
			RevertWithin:   common.RevertWithin,
			Policy:         common.Policy,
		},
		block:  block,
		faults: map[string]cty.Value{},
		seen:   map[string]hcl.Range{},
		afters: map[string]hcl.Range{},
		probes: map[*experiments.Probed]bool{},
		slos:   map[*experiments.SLO]bool{},
	}
	if common.Seed != nil {
		s.experiment.Seed = *common.Seed
	} else {
		// 32 bits are short enough to be typed again.
		s.experiment.Seed, s.experiment.SeedDrawn = uint64(rand.Uint32()), true
	}
	p.times(s, out)
	s.experiment.Notify = p.told(common.Notify, out)
	for _, nested := range block.Body.Blocks {
		if nested.Type == "fault" && len(nested.Labels) == 2 {
			name := nested.Labels[1]
			s.faults[name] = cty.CapsuleVal(handleType, &handle{"fault." + name, faultName(name)})
		}
	}
	for _, nested := range block.Body.Blocks {
		switch nested.Type {
		case "hypothesis":
			if p.labels(nested, "name") && p.freeText(nested, 0) {
				p.claimWithin(s.seen, nested, 0)
				p.hypothesis(s, nested)
			}
		case "fault":
			if p.labels(nested, "kind", "name") && p.identifier(nested, 1) {
				p.claimWithin(s.seen, nested, 1)
				p.fault(s, nested)
			}
		case "guard":
			if p.labels(nested, "kind", "name") && p.freeText(nested, 1) {
				p.claimWithin(s.seen, nested, 1)
				p.guard(s, nested)
			}
		}
	}
	p.watch(s, common.Watch, out)
	p.chain(s)
	p.defaultGuards(s)
	p.complete(s, out)
	p.measured(s)
	p.measuredGolden(s)
	sound := !slices.ContainsFunc(p.list, func(d *hcl.Diagnostic) bool { return d.Severity == hcl.DiagError })
	if at, given := out.given["policy"]; given && len(s.slos) == 0 && sound {
		p.errorf(at, "Policy without a budget", "The scenario measures no slo, so the policy has no budget to go by. Name an slo in a hypothesis or a guard, such as guard \"budget\" \"allowance\" { slo = slo.name }, or take the policy out.")
	}
	return s.experiment
}

// withoutMisplaced is a scenario without the blocks that were reported to stand
// beside one.
func (p *pass) withoutMisplaced(block *hclsyntax.Block) *hclsyntax.Block {
	own, body := *block, *block.Body
	body.Blocks = slices.DeleteFunc(slices.Clone(body.Blocks), func(b *hclsyntax.Block) bool {
		_, isConnection := findRow(p.c.connectionKinds, b.Type)
		return isConnection || slices.Contains(languageBlocks, b.Type)
	})
	own.Body = &body
	return &own
}

// times checks how the durations of a scenario fit together.
func (p *pass) times(s *assembly, out *outcome) {
	e := s.experiment
	if _, given := out.given["baseline_within"]; given && e.BaselineWithin <= 0 {
		p.errorf(out.at("baseline_within", s.block), "Duration of zero", "The baseline needs some time to be proven: write, for example, \"60s\".")
	} else if !out.failed["baseline"] && !out.failed["baseline_within"] && e.Baseline > e.BaselineWithin {
		p.errorf(out.at("baseline", s.block), "Baseline too long", "The baseline lasts at least %s, and baseline_within allows %s. Write a longer baseline_within.", experiments.FormatDuration(e.Baseline), experiments.FormatDuration(e.BaselineWithin))
	}
	if at, given := out.given["revert_within"]; given && e.RevertWithin < time.Second {
		p.errorf(at, "Too little time to revert", "Undoing a hit, and proving it, needs at least 1s.")
	}
}

// complete says what a scenario lacks as a whole.
func (p *pass) complete(s *assembly, out *outcome) {
	has := func(blockType string) bool {
		return slices.ContainsFunc(s.block.Body.Blocks, func(b *hclsyntax.Block) bool {
			return b.Type == blockType || nearest(b.Type, scenarioBlocks) == blockType // reported already
		})
	}
	if !has("hypothesis") && !out.has("watch") {
		p.errorf(header(s.block), "Scenario without a hypothesis", "A run shows whether a hypothesis holds; without one there is nothing to show. Add hypothesis \"name\" { probe = probe.name }, for example.")
	}
	if !has("fault") {
		p.warnf(header(s.block), "Scenario without a fault", "It breaks nothing: a run only checks that the hypotheses hold now. Add a fault if that is not what is meant.")
	}
}

// uses notes that the scenario measures these.
func (s *assembly) uses(probe *experiments.Probed, slo *experiments.SLO) {
	if slo != nil {
		s.slos[slo] = true
		probe = slo.Probe
	}
	if probe != nil {
		s.probes[probe] = true
	}
}

// measured lists what the scenario measures, in the order of the files.
func (p *pass) measured(s *assembly) {
	for _, block := range p.c.probes {
		if probe := p.probes[addressOf(block)]; s.probes[probe] && !slices.Contains(s.experiment.Probes, probe) {
			s.experiment.Probes = append(s.experiment.Probes, probe)
		}
	}
	for _, block := range p.c.slos {
		if slo := p.slos[block.Labels[0]].value; s.slos[slo] && !slices.Contains(s.experiment.SLOs, slo) {
			s.experiment.SLOs = append(s.experiment.SLOs, slo)
		}
	}
}

// guard decodes a guard, and checks that what it looks at is measured.
func (p *pass) guard(s *assembly, block *hclsyntax.Block) {
	kind, found := findRow(p.c.guardKinds, block.Labels[0])
	if !found {
		p.unknownKind(block, "guard", p.c.guardKinds)
		return
	}
	what := fmt.Sprintf("guard %q", kind.name)
	value := kind.make()
	guard, ok := value.(experiments.Guard)
	if !ok {
		return
	}
	out := p.body(block, what, s.faults, nil, value)
	if out.sound() && !p.restsOnShaky(guard) {
		p.validate(block, what, value, out)
	}
	s.experiment.Guards = append(s.experiment.Guards, &experiments.GuardPlan{
		Name: block.Labels[1], Kind: kind.name, Guard: guard, Origin: p.c.origin(header(block)),
	})
	if !out.sound() {
		return
	}
	p.looks(s, guard, out, block)
}

// restsOnShaky tells that something a guard looks at is wrong, and was reported.
func (p *pass) restsOnShaky(guard experiments.Guard) bool {
	return p.shaky || slices.ContainsFunc(guard.Needs().SLOs, func(slo *experiments.SLO) bool {
		return slo != nil && p.slos[slo.Name] != nil && p.slos[slo.Name].shaky
	})
}

// looks checks what a guard needs: an SLO that is counted, in windows that mean
// something.
func (p *pass) looks(s *assembly, guard experiments.Guard, out *outcome, block *hclsyntax.Block) {
	needs := guard.Needs()
	for _, probe := range needs.Probes {
		s.uses(probe, nil)
	}
	for _, slo := range needs.SLOs {
		if slo == nil {
			continue
		}
		s.uses(nil, slo)
		at := out.at("slo", block)
		if declared, found := p.slos[slo.Name]; found && !declared.claims {
			p.list = slices.DeleteFunc(p.list, func(d *hcl.Diagnostic) bool { return d == declared.unclaimed })
			p.errorf(at, "Guard on an SLO that is never measured", "slo.%s has neither a probe nor an sli block, so this guard would never see an event. Give the slo (%s) something to count.", slo.Name, slo.Origin)
			continue
		}
		if slo.SLI == nil || p.restsOnShaky(guard) {
			continue
		}
		for _, window := range needs.Windows {
			if shortest := slo.SLI.Shortest(); window != experiments.SinceInjection && window < shortest {
				p.errorf(out.at("windows", block), "Window too short", "slo.%s cannot be counted over %s: its shortest window is %s. Write a longer window, or scrape more often.", slo.Name, experiments.FormatDuration(window), experiments.FormatDuration(shortest))
			}
		}
	}
}

// defaultGuards adds the guards that every scenario has.
func (p *pass) defaultGuards(s *assembly) {
	for _, name := range p.c.language.DefaultGuards {
		if slices.ContainsFunc(s.block.Body.Blocks, func(b *hclsyntax.Block) bool {
			return b.Type == "guard" && len(b.Labels) == 2 && b.Labels[0] == name
		}) {
			continue
		}
		kind, found := findRow(p.c.guardKinds, name)
		if !found {
			continue
		}
		value := kind.make()
		guard, ok := value.(experiments.Guard)
		if !ok {
			continue
		}
		at := header(s.block)
		out := p.body(&hclsyntax.Block{Type: "guard", Body: &hclsyntax.Body{}, TypeRange: at}, fmt.Sprintf("guard %q", name), nil, nil, value)
		s.experiment.Guards = append(s.experiment.Guards, &experiments.GuardPlan{
			Name: name, Kind: name, Guard: guard, Default: true, Origin: p.c.origin(at),
		})
		if out.sound() {
			for _, probe := range guard.Needs().Probes {
				s.uses(probe, nil)
			}
		}
	}
}
