package scenarios

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// measuring are the first words of references to what is measured, how it is judged, and who
// is told.
var measuring = []string{"slo", "probe", "journey", goldenRoot, "error_budget_policy", "notify"}

// roots says what expressions in one place may refer to.
type roots struct {
	measures bool      // one of measuring
	scenario bool      // fault
	events   bool      // of what is measured, only what counts events
	faults   []string  // those of the scenario
	unsure   bool      // a fault of the scenario is not among them
	captured *captured // capture; nil outside of the steps of a journey
}

// checkReferences looks at every expression of the configuration before any is
// evaluated, so that each wrong name is reported once, where it stands.
func (p *pass) checkReferences() {
	c := p.c
	for _, l := range c.locals {
		p.checkExpression(l.attribute.Expr, roots{})
	}
	for _, instance := range c.connections {
		p.checkBody(instance.block.Body, roots{})
	}
	for _, block := range c.notifies {
		p.checkBody(block.Body, roots{})
	}
	for _, block := range slices.Concat(c.probes, c.slos, c.golden) {
		if block.Type == "journey" {
			p.checkJourney(block)
			continue
		}
		p.checkBody(block.Body, roots{measures: true, events: block.Type == "slo"})
	}
	for _, block := range c.policies {
		p.checkBody(block.Body, roots{})
	}
	for _, block := range c.scenarios {
		where := roots{measures: true, scenario: true}
		for _, nested := range block.Body.Blocks {
			switch {
			case nested.Type == "fault" && len(nested.Labels) == 2:
				where.faults = append(where.faults, nested.Labels[1])
			case nested.Type == "fault" || nearest(nested.Type, scenarioBlocks) == "fault":
				where.unsure = true
			}
		}
		p.checkBody(block.Body, where)
	}
}

func (p *pass) checkBody(body *hclsyntax.Body, where roots) {
	for _, attribute := range inOrder(body.Attributes) {
		p.checkExpression(attribute.Expr, where)
	}
	for _, block := range body.Blocks {
		p.checkBody(block.Body, where)
	}
}

func (p *pass) checkExpression(expression hcl.Expression, where roots) {
	for _, traversal := range expression.Variables() {
		if !p.checkTraversal(expression, traversal, where) {
			p.c.bad[expression] = true
		}
	}
}

// step reads the name at a place in a traversal: both x.name and x["name"].
func step(traversal hcl.Traversal, i int) (string, hcl.Range, bool) {
	if i >= len(traversal) {
		return "", hcl.Range{}, false
	}
	switch part := traversal[i].(type) {
	case hcl.TraverseAttr:
		at := part.SrcRange
		at.Start.Byte++ // the dot belongs to the range, the name is what is wrong
		at.Start.Column++
		if at.End.Byte-at.Start.Byte != len(part.Name) {
			at = part.SrcRange
		}
		return part.Name, at, true
	case hcl.TraverseIndex:
		if part.Key.Type() == cty.String && part.Key.IsKnown() && !part.Key.IsNull() {
			return part.Key.AsString(), part.SrcRange, true
		}
	}
	return "", traversal[i].SourceRange(), false
}

func (p *pass) checkTraversal(expression hcl.Expression, traversal hcl.Traversal, where roots) bool {
	root := traversal.RootName()
	at := traversal[0].SourceRange()
	kind, isConnection := findRow(p.c.connectionKinds, root)
	switch {
	case root == "var" || root == "local":
	case root == "capture":
		return p.checkCapture(traversal, where)
	case where.events && root == goldenRoot:
		p.errorf(traversal.SourceRange(), "Values, and no events", "An slo counts events, and golden signals are values. Give it an sli block that counts the same requests.")
		return false
	case where.measures && slices.Contains(measuring, root):
	case where.scenario && root == "fault":
	case isConnection:
		return p.checkConnection(traversal, kind)
	case root == "fault" || slices.Contains(measuring, root):
		p.errorf(traversal.SourceRange(), "Reference not allowed here", "%s cannot be referred to from here: %s", root, map[string]string{
			"slo":                 "an slo is referred to from the slos, hypotheses, faults and guards.",
			"probe":               "a probe is referred to from the slos, hypotheses, faults and guards.",
			"journey":             "a journey is referred to from the slos, hypotheses, faults and guards.",
			goldenRoot:            "golden signals are referred to from the scenarios, hypotheses, faults and guards.",
			"error_budget_policy": "a policy is referred to from the slos and scenarios.",
			"notify":              "who is told is said in a scenario: notify = [notify.name].",
			"fault":               "a fault is referred to from its own scenario only.",
		}[root])
		return false
	default:
		p.unknownRoot(expression, traversal, root, at, where)
		return false
	}
	name, nameAt, named := step(traversal, 1)
	if !named {
		p.errorf(traversal.SourceRange(), "Incomplete reference", "%s needs a name: write %s.name.", root, root)
		return false
	}
	return p.checkNamed(traversal, root, name, nameAt, where)
}

// checkNamed checks var.x, local.x, slo.x, probe.x, journey.x and fault.x.
func (p *pass) checkNamed(traversal hcl.Traversal, root, name string, at hcl.Range, where roots) bool {
	word := map[string]string{"var": "variable", "local": "local"}[root]
	if word == "" {
		word = root
	}
	if root == "fault" {
		if !slices.Contains(where.faults, name) {
			if where.unsure || p.c.partial {
				return false
			}
			p.unknown(at, "Reference to nothing", fmt.Sprintf("This scenario has no fault %q.", name), name, where.faults, "It has no faults.")
			return false
		}
	} else {
		address := root + "." + name
		if _, found := p.c.declared[address]; !found {
			if p.c.unsure(root) {
				return false
			}
			if other := p.c.elsewhere(root, name); other != "" {
				p.add(hcl.DiagError, traversal.SourceRange(), "Reference to nothing", fmt.Sprintf("There is no %s %q. Did you mean %q?", word, name, other)).Extra = suggestion(other)
				return false
			}
			p.unknown(at, "Reference to nothing", fmt.Sprintf("There is no %s %q.", word, name), name, p.c.declaredNames(root), fmt.Sprintf("No %s is declared.", word))
			return false
		}
		p.c.used[address] = true
	}
	if root == goldenRoot {
		return p.checkGolden(traversal, name)
	}
	if root != "var" && root != "local" && len(traversal) > 2 {
		p.errorf(traversal[2].SourceRange(), "Reference to nothing", "The %s %q has no values to refer to; write %s.%s.", word, name, root, name)
		return false
	}
	return true
}

// checkConnection checks kind, kind.export, kind.name and kind.name.export.
func (p *pass) checkConnection(traversal hcl.Traversal, kind row) bool {
	_, unlabelled := p.c.declared[kind.name]
	exports := exportsOf(kind)
	name, at, named := step(traversal, 1)
	if !named {
		if len(traversal) > 1 {
			p.errorf(at, "Reference to nothing", "Write %s.name for one of the connections.", kind.name)
			return false
		}
		if !unlabelled && p.c.unsure(kind.name) {
			return false
		}
		if !unlabelled {
			p.unknown(traversal.SourceRange(), "Reference to nothing", fmt.Sprintf("No %s without a name is declared.", kind.name), "", prefixed(kind.name+".", p.c.declaredNames(kind.name)),
				fmt.Sprintf("Declare it: %s { ... }. Where it is left out, the built-in one is used.", kind.name))
			return false
		}
		return true
	}
	next := 1
	if _, found := p.c.declared[kind.name+"."+name]; found {
		next = 2
	} else if p.c.unsure(kind.name) && !(unlabelled && slices.Contains(exports, name)) {
		return false
	} else if !unlabelled || !slices.Contains(exports, name) {
		known := p.c.declaredNames(kind.name)
		if unlabelled {
			known = append(known, exports...)
		}
		p.unknown(at, "Reference to nothing", fmt.Sprintf("There is no %s %q.", kind.name, name), name, known, fmt.Sprintf("No %s is declared.", kind.name))
		return false
	}
	export, at, given := step(traversal, next)
	if given && !slices.Contains(exports, export) {
		p.unknown(at, "Reference to nothing", fmt.Sprintf("%s has no value %q.", capital(article(kind.name)), export), export, exports, "It has no values to refer to.")
		return false
	}
	return true
}

func prefixed(prefix string, list []string) []string {
	out := make([]string, 0, len(list))
	for _, one := range list {
		out = append(out, prefix+one)
	}
	return out
}

func (p *pass) unknownRoot(expression hcl.Expression, traversal hcl.Traversal, root string, at hcl.Range, where roots) {
	if whole, isReference := expression.(*hclsyntax.ScopeTraversalExpr); isReference && len(traversal) == 1 {
		if addresses := p.c.addressesOf(root, where); len(addresses) > 0 {
			p.add(hcl.DiagError, whole.Range(), "Incomplete reference", fmt.Sprintf("A reference begins with what it refers to. Did you mean %q?", addresses[0])).Extra = suggestion(addresses[0])
			return
		}
		p.errorf(whole.Range(), "Text without quotes", "A bare word is a reference. If %q is meant as a text, write it in quotes: \"%s\".", root, root)
		return
	}
	known := []string{"var", "local"}
	if where.measures {
		known = append(known, measuring...)
	}
	if where.scenario {
		known = append(known, "fault")
	}
	if where.captured != nil {
		known = append(known, "capture")
	}
	known = append(known, names(p.c.connectionKinds)...)
	sentence := fmt.Sprintf("References do not begin with %q.", root)
	p.unknown(at, "Reference to nothing", sentence, root, known, "")
}

// unsure tells that references which begin with root may lead to something that
// could not be read.
func (c *Configuration) unsure(root string) bool { return c.partial || c.uncertain[root] }

// elsewhere finds a name under another word that may stand where root does: probes
// and journeys are measured alike.
func (c *Configuration) elsewhere(root, name string) string {
	other := map[string]string{"probe": "journey", "journey": "probe"}[root] + "." + name
	if _, found := c.declared[other]; found {
		return other
	}
	return ""
}

// declaredNames lists the names declared under a root, in the order of the files.
func (c *Configuration) declaredNames(root string) []string {
	var list []string
	for address := range c.declared {
		if prefix, name, found := strings.Cut(address, "."); found && prefix == root {
			list = append(list, name)
		}
	}
	slices.Sort(list)
	return list
}

// scope makes the context in which one expression is evaluated. It holds only
// what the expression refers to, so that a thousand scenarios in one directory do
// not each copy a thousand names.
func (p *pass) scope(expression hcl.Expression, faults map[string]cty.Value) *hcl.EvalContext {
	context := &hcl.EvalContext{Functions: p.c.functions}
	traversals := expression.Variables()
	if len(traversals) == 0 {
		return context
	}
	byRoot := map[string]map[string]cty.Value{}
	context.Variables = map[string]cty.Value{}
	for _, traversal := range traversals {
		root := traversal.RootName()
		if _, isConnection := findRow(p.c.connectionKinds, root); isConnection {
			context.Variables[root] = p.connectionObject(root)
			continue
		}
		name, _, named := step(traversal, 1)
		if !named {
			continue
		}
		if byRoot[root] == nil {
			byRoot[root] = map[string]cty.Value{}
		}
		byRoot[root][name] = p.lookup(root, name, faults)
	}
	for root, values := range byRoot {
		context.Variables[root] = cty.ObjectVal(values)
	}
	return context
}

// lookup gives the value of a reference such as var.x, slo.x or fault.x. What failed
// is unknown, so that it is not reported twice.
func (p *pass) lookup(root, name string, faults map[string]cty.Value) cty.Value {
	switch root {
	case "var":
		if v, found := p.c.varByName[name]; found && v.value != cty.NilVal {
			return v.value
		}
	case "local":
		if value, found := p.locals[name]; found {
			return value
		}
	case "slo":
		if slo, found := p.slos[name]; found {
			return cty.CapsuleVal(handleType, &handle{"slo." + name, slo.value})
		}
	case "probe", "journey":
		if probe, found := p.probes[root+"."+name]; found {
			return cty.CapsuleVal(handleType, &handle{root + "." + name, probe})
		}
	case "error_budget_policy":
		if policy, found := p.policies[name]; found {
			return cty.CapsuleVal(handleType, &handle{"error_budget_policy." + name, policy})
		}
	case goldenRoot:
		return p.goldenObject(name)
	case "notify":
		if plan, found := p.receivers[name]; found {
			return cty.CapsuleVal(handleType, &handle{"notify." + name, plan})
		}
	case "fault":
		if value, found := faults[name]; found {
			return value
		}
	}
	return cty.DynamicVal
}

// addressesOf lists what a name may be short for: "door" for probe.door.
func (c *Configuration) addressesOf(name string, where roots) []string {
	roots := []string{"var", "local"}
	if where.measures {
		roots = append(roots, measuring...)
	}
	if where.captured != nil && slices.Contains(where.captured.earlier, name) {
		return []string{"capture." + name}
	}
	if slices.Contains(where.faults, name) {
		return []string{"fault." + name}
	}
	var list []string
	for _, root := range roots {
		if _, found := c.declared[root+"."+name]; found {
			list = append(list, root+"."+name)
		}
	}
	return list
}
