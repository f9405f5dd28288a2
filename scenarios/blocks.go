package scenarios

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// languageBlocks are the blocks of the first level that the language has itself;
// the kinds of connections join them.
var languageBlocks = []string{"variable", "locals", "slo", "probe", "journey", goldenRoot, "error_budget_policy", "notify", "scenario"}

// scenarioBlocks are the blocks within a scenario.
var scenarioBlocks = []string{"hypothesis", "fault", "guard"}

// collect sorts the blocks of all files by type, and checks labels and names.
func (p *pass) collect(bodies []*hclsyntax.Body) {
	known := append(slices.Clone(languageBlocks), names(p.c.connectionKinds)...)
	for _, body := range bodies {
		for _, attribute := range inOrder(body.Attributes) {
			p.strayAttribute(attribute, known)
		}
		for _, block := range body.Blocks {
			p.collectBlock(block, known)
		}
	}
}

func (p *pass) strayAttribute(attribute *hclsyntax.Attribute, known []string) {
	p.c.uncertain[reference(attribute.Name)] = true
	if slices.Contains(known, attribute.Name) {
		p.errorf(attribute.NameRange, "Block expected", "%q is a block: write %s { ... } without the equals sign.", attribute.Name, attribute.Name)
		return
	}
	p.errorf(attribute.NameRange, "Attribute outside of a block", "%q stands in no block. A value with a name of its own goes into a locals block: locals { %s = ... }.", attribute.Name, attribute.Name)
}

func (p *pass) collectBlock(block *hclsyntax.Block, known []string) {
	c := p.c
	switch block.Type {
	case "variable":
		if p.named(block, "name") && p.claim("var."+block.Labels[0], block) {
			v := &variable{name: block.Labels[0], block: block}
			c.variables, c.varByName[v.name] = append(c.variables, v), v
		}
	case "locals":
		p.labels(block) // with a label too many, what it declares is still there
		p.collectLocals(block)
	case "slo":
		if p.named(block, "name") {
			p.claim("slo."+block.Labels[0], block)
			c.slos = append(c.slos, block)
		}
	case "probe":
		if p.named(block, "kind", "name") {
			p.claim("probe."+block.Labels[1], block)
			c.probes = append(c.probes, block)
		}
	case "journey":
		if p.named(block, "name") {
			p.claim("journey."+block.Labels[0], block)
			c.probes = append(c.probes, block)
		}
	case goldenRoot:
		if p.named(block, "service") {
			p.claim(goldenRoot+"."+block.Labels[0], block)
			c.golden = append(c.golden, block)
		}
	case "error_budget_policy":
		if p.named(block, "name") {
			p.claim("error_budget_policy."+block.Labels[0], block)
			c.policies = append(c.policies, block)
		}
	case "notify":
		if p.named(block, "kind", "name") {
			p.claim("notify."+block.Labels[1], block)
			c.notifies = append(c.notifies, block)
		}
	case "scenario":
		p.misplaced(block, known)
		if p.labels(block, "name") && p.scenarioName(block) {
			p.claim("scenario."+block.Labels[0], block)
			c.scenarios = append(c.scenarios, block)
		}
	default:
		if kind, found := findRow(c.connectionKinds, block.Type); found {
			p.collectConnection(block, kind)
			return
		}
		p.unknownTop(block, known)
	}
}

// named checks the labels of a block whose last one is its name in references.
func (p *pass) named(block *hclsyntax.Block, want ...string) bool {
	if p.labels(block, want...) && p.identifier(block, len(want)-1) {
		return true
	}
	p.c.uncertain[reference(block.Type)] = true
	return false
}

// misplaced reports blocks within a scenario that stand beside one.
func (p *pass) misplaced(scenario *hclsyntax.Block, known []string) {
	for _, block := range scenario.Body.Blocks {
		if slices.Contains(known, block.Type) {
			p.errorf(block.TypeRange, "Misplaced block", "A block %s stands beside the scenario and not within it: move it out of its braces.", block.Type)
			p.c.uncertain[reference(block.Type)] = true
		}
	}
}

func (p *pass) unknownTop(block *hclsyntax.Block, known []string) {
	p.c.uncertain[reference(nearest(block.Type, known))] = true
	if slices.Contains(scenarioBlocks, block.Type) {
		p.errorf(block.TypeRange, "Misplaced block", "A %s stands within a scenario: scenario \"name\" { %s ... }.", block.Type, block.Type)
		return
	}
	p.unknown(block.TypeRange, "Unknown block", fmt.Sprintf("There is no block %q.", block.Type), block.Type, known, "")
}

func (p *pass) collectConnection(block *hclsyntax.Block, kind row) {
	c := p.c
	name := ""
	switch len(block.Labels) {
	case 0:
	case 1:
		if !p.named(block, "name") {
			return
		}
		name = block.Labels[0]
		if slices.Contains(exportsOf(kind), name) {
			p.errorf(block.LabelRanges[0], "Name not allowed", "%q is a value that a %s has, so %s.%s would mean two things. Choose another name.", name, kind.name, kind.name, name)
			c.uncertain[kind.name] = true
			return
		}
	default:
		p.errorf(block.LabelRanges[1], "Too many labels", "A connection has a name or none: %s { ... } or %s \"name\" { ... }.", block.Type, block.Type)
		c.uncertain[kind.name] = true
		return
	}
	instance := &connection{kind: kind, name: name, block: block}
	if p.claim(instance.address(), block) {
		c.connections = append(c.connections, instance)
	}
}

func (p *pass) collectLocals(block *hclsyntax.Block) {
	for _, nested := range block.Body.Blocks {
		p.c.uncertain["local"] = true
		p.errorf(nested.TypeRange, "Attribute expected", "A locals block holds name = value only: write %s = { ... }.", nested.Type)
	}
	for _, attribute := range inOrder(block.Body.Attributes) {
		address := "local." + attribute.Name
		if first, taken := p.c.declared[address]; taken {
			p.errorf(attribute.NameRange, "Duplicate local", "%s is declared already at %s.", address, place(first))
			continue
		}
		p.c.declared[address] = attribute.NameRange
		l := &local{name: attribute.Name, attribute: attribute}
		p.c.locals, p.c.localByName[l.name] = append(p.c.locals, l), l
	}
}

// claim takes an address for a block; the second to ask is a duplicate.
func (p *pass) claim(address string, block *hclsyntax.Block) bool {
	first, taken := p.c.declared[address]
	if !taken {
		p.c.declared[address] = header(block)
		return true
	}
	p.errorf(header(block), "Duplicate "+block.Type, "%s is declared already at %s. Give one of them another name.", address, place(first))
	return false
}

// labels checks that a block has exactly the labels it should have.
func (p *pass) labels(block *hclsyntax.Block, want ...string) bool {
	if len(block.Labels) == len(want) {
		return true
	}
	form := block.Type
	for _, label := range want {
		form += fmt.Sprintf(" %q", label)
	}
	if len(block.Labels) > len(want) {
		p.errorf(block.LabelRanges[len(want)], "Too many labels", "Write %s { ... }.", form)
		return false
	}
	p.errorf(header(block), "Missing label", "Write %s { ... }; this one has no %s.", form, strings.Join(want[len(block.Labels):], " and no "))
	return false
}

// identifier checks that a label can stand in a reference.
func (p *pass) identifier(block *hclsyntax.Block, label int) bool {
	name := block.Labels[label]
	if hclsyntax.ValidIdentifier(name) {
		return true
	}
	p.errorf(block.LabelRanges[label], "Name not allowed", "The name of a %s stands in references such as %s.name: begin %q with a letter, and use letters, digits, \"_\" and \"-\" only.", block.Type, reference(block.Type), name)
	return false
}

// reference is the word that references to a block begin with.
func reference(blockType string) string {
	switch blockType {
	case "variable":
		return "var"
	case "locals":
		return "local"
	}
	return blockType
}

// scenarioName checks that a name can be part of the name of a run's directory.
func (p *pass) scenarioName(block *hclsyntax.Block) bool {
	const most = 80
	name := block.Labels[0]
	fine := name != "" && len(name) <= most
	for i, r := range name {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		if !letter && (i == 0 || !strings.ContainsRune("._-", r)) {
			fine = false
		}
	}
	if !fine {
		p.errorf(block.LabelRanges[0], "Name not allowed", "The name of a scenario becomes part of a directory's name: use at most %d letters, digits, \".\", \"_\" and \"-\", and begin with a letter or a digit.", most)
	}
	return fine
}

// freeText checks a name that stands in no reference.
func (p *pass) freeText(block *hclsyntax.Block, label int) bool {
	name := block.Labels[label]
	if strings.TrimSpace(name) != "" && printable(name) == name && !strings.Contains(name, "\n") {
		return true
	}
	p.errorf(block.LabelRanges[label], "Name not allowed", "Give the %s a name of one line that is not empty.", block.Type)
	return false
}

// claimWithin takes a name for a block of a scenario; the second is a duplicate.
func (p *pass) claimWithin(seen map[string]hcl.Range, block *hclsyntax.Block, label int) bool {
	name := block.Labels[label]
	first, taken := seen[block.Type+" "+name]
	if !taken {
		seen[block.Type+" "+name] = header(block)
		return true
	}
	p.errorf(block.LabelRanges[label], "Duplicate "+block.Type, "This scenario has a %s %q already, at %s. Give one of them another name.", block.Type, name, place(first))
	return false
}
