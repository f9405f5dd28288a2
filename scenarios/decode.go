package scenarios

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// pass is one decoding of a configuration. Load makes one in which what the
// connections export is unknown, Experiments one in which everything is known.
type pass struct {
	problems
	c      *Configuration
	locals map[string]cty.Value
	// failedLocals are those without a value because they are wrong.
	failedLocals map[string]bool

	slos     map[string]*declaredSLO
	probes   map[string]*experiments.Probed // by address: "probe.door", "journey.checkout"
	golden   map[string]*experiments.GoldenSignals
	policies map[string]*experiments.Policy
	// receivers has what the notify blocks decode to, by name.
	receivers map[string]*experiments.ReceiverPlan
	// open tells that the connections are open.
	open bool
	// unsettled collects, by the origin of a probe or a fault, the attributes that are
	// known only when the connections are open.
	unsettled map[string][]string
	// syntax is the syntax errors, and broken the offset in each file with one from
	// which on other problems may follow from it.
	syntax hcl.Diagnostics
	broken map[string]int
	// unread tells that a file of variables could not be read: it might have given any
	// variable its value.
	unread bool
	// shaky tells that a connection is wrong, so that what is asked of those that rest
	// on it means nothing.
	shaky bool
}

// outcome tells what became of the attributes of a block.
type outcome struct {
	given   map[string]hcl.Range // written, and not null: where the value stands
	failed  map[string]bool      // reported already
	unknown map[string]bool      // known only when the connections are open
	missing bool                 // a required attribute is not there
}

// sound tells that every attribute was decoded and known.
func (o *outcome) sound() bool { return len(o.failed) == 0 && len(o.unknown) == 0 && !o.missing }

// has tells whether the attribute was written, rightly or wrongly.
func (o *outcome) has(name string) bool {
	_, given := o.given[name]
	return given || o.failed[name] || o.unknown[name]
}

// at returns where an attribute's value stands, or else the block's header.
func (o *outcome) at(name string, block *hclsyntax.Block) hcl.Range {
	if at, given := o.given[name]; given {
		return at
	}
	return header(block)
}

// header is the range of a block's type and labels.
func header(block *hclsyntax.Block) hcl.Range {
	end := block.TypeRange
	if n := len(block.LabelRanges); n > 0 {
		end = block.LabelRanges[n-1]
	}
	return hcl.RangeBetween(block.TypeRange, end)
}

// target is a struct to decode into.
type target struct {
	value reflect.Value
	shape shape
}

func (p *pass) targets(values ...any) []target {
	list := make([]target, 0, len(values))
	for _, value := range values {
		if v, ok := structOf(value); ok {
			list = append(list, target{v, p.c.shape(v.Type())})
		}
	}
	return list
}

// body decodes a block into the structs, whose attributes it may all have.
// Blocks of the types in others are left to the caller. what names the block for
// messages: `fault "pod_kill"`.
func (p *pass) body(block *hclsyntax.Block, what string, faults map[string]cty.Value, others []string, values ...any) *outcome {
	out := &outcome{given: map[string]hcl.Range{}, failed: map[string]bool{}, unknown: map[string]bool{}}
	targets := p.targets(values...)
	for _, written := range inOrder(block.Body.Attributes) {
		if !slices.ContainsFunc(targets, func(t target) bool {
			a, found := t.shape.find(written.Name)
			return found && !a.block
		}) {
			// The attribute that was meant counts as written, and wrong.
			if meant := p.unknownAttribute(written, what, targets, others); block.Body.Attributes[meant] == nil {
				out.failed[meant] = true
			}
		}
	}
	for _, nested := range block.Body.Blocks {
		// An attribute that was written as a block, which unknownBlocks reports.
		out.failed[nested.Type] = out.failed[nested.Type] || slices.ContainsFunc(targets, func(t target) bool {
			a, found := t.shape.find(nested.Type)
			return found && !a.block
		})
	}
	maps.DeleteFunc(out.failed, func(_ string, failed bool) bool { return !failed })
	for _, t := range targets {
		for _, a := range t.shape {
			field := t.value.FieldByIndex(a.index)
			if a.block {
				p.inner(block, a, field, what, faults, out)
				continue
			}
			p.attribute(block, a, field, what, faults, out)
		}
	}
	p.unknownBlocks(block, what, targets, others)
	return out
}

// inOrder returns attributes as they stand in the file.
func inOrder(attributes hclsyntax.Attributes) []*hclsyntax.Attribute {
	return slices.SortedFunc(maps.Values(attributes), func(a, b *hclsyntax.Attribute) int {
		return cmp.Compare(a.NameRange.Start.Byte, b.NameRange.Start.Byte)
	})
}

func (p *pass) attribute(block *hclsyntax.Block, a attribute, field reflect.Value, what string, faults map[string]cty.Value, out *outcome) {
	written := block.Body.Attributes[a.name]
	if written == nil && out.failed[a.name] {
		return
	}
	value := cty.NilVal
	if written != nil {
		if _, found := capturedIn(written.Expr); found {
			p.capturing(written, a, field, what, out)
			return
		}
		var ok bool
		value, ok = p.evaluate(written.Expr, faults)
		if !ok {
			out.failed[a.name] = true
			return
		}
		if bare, _ := value.Unmark(); bare.IsNull() {
			value = cty.NilVal
		}
	}
	if value == cty.NilVal {
		p.absent(block, a, field, what, written, out)
		return
	}
	at := written.Expr.Range()
	err := assign(field, value, p.c.keepSecret)
	if err == nil {
		err = a.checkEnum(field)
	}
	var wrong *valueError
	if kind, isConnection := p.c.connectionKind(a.typ); isConnection && errors.As(err, &wrong) {
		err = wrongValue(wrong.summary, "A reference to a %s is needed: %s, or %s.name for one with a name.", kind, kind, kind)
	}
	switch {
	case err == nil:
		out.given[a.name] = at
	case errors.Is(err, errUnknown):
		out.unknown[a.name] = true
	case errors.As(err, &wrong):
		p.errorf(at, wrong.summary, "The attribute %q of %s: %s", a.name, what, wrong.detail)
		out.failed[a.name] = true
	default:
		p.errorf(at, "Wrong value", "The attribute %q of %s: %s.", a.name, what, err)
		out.failed[a.name] = true
	}
}

// capturing decodes an attribute that refers to captured values.
func (p *pass) capturing(written *hclsyntax.Attribute, a attribute, field reflect.Value, what string, out *outcome) {
	if p.c.bad[written.Expr] {
		out.failed[a.name] = true
		return
	}
	switch err := p.templated(written.Expr, field, a.name, what); {
	case err == nil:
		out.given[a.name] = written.Expr.Range()
	case errors.Is(err, errUnknown):
		out.unknown[a.name] = true
	default: // reported
		out.failed[a.name] = true
	}
}

// absent gives an attribute that was left out, or is null, its default.
func (p *pass) absent(block *hclsyntax.Block, a attribute, field reflect.Value, what string, written *hclsyntax.Attribute, out *outcome) {
	at := header(block)
	if written != nil {
		at = written.Expr.Range()
	}
	if kind, isConnection := p.c.connectionKind(a.typ); isConnection {
		instance, ok := p.defaultConnection(kind, a.name, what, at)
		if !ok {
			out.failed[a.name] = true
			return
		}
		if instance.value == nil {
			out.unknown[a.name] = true
			return
		}
		field.Set(reflect.ValueOf(instance.value))
		return
	}
	if a.required {
		out.missing = true
		out.failed[a.name] = true
		if written != nil {
			p.errorf(at, "Missing attribute", "The attribute %q of %s is null, and it has no default. It is %s%s: %s", a.name, what, typeName(a.typ), exampleOf(a.typ), a.doc)
			return
		}
		p.errorf(at, "Missing attribute", "The %s needs the attribute %q. It is %s%s: %s", what, a.name, typeName(a.typ), exampleOf(a.typ), a.doc)
		return
	}
	if a.fallback == "" {
		return
	}
	value, err := a.fallbackValue()
	if err == nil {
		err = assign(field, value, func(string) {})
	}
	if err != nil {
		p.errorf(at, "Broken default", "The default of the attribute %q of %s cannot be used: %s. This is a defect of gameday.", a.name, what, err)
		out.failed[a.name] = true
	}
}

// inner decodes the blocks of one type within a block.
func (p *pass) inner(block *hclsyntax.Block, a attribute, field reflect.Value, what string, faults map[string]cty.Value, out *outcome) {
	var first *hclsyntax.Block
	for _, nested := range block.Body.Blocks {
		if nested.Type != a.name {
			continue
		}
		name := fmt.Sprintf("block %q of %s", a.name, what)
		label, labelName, labelled := labelOf(a.inner())
		switch {
		case labelled && !(p.labels(nested, labelName) && p.freeText(nested, 0)):
			out.failed[a.name] = true
			continue
		case labelled:
			name = fmt.Sprintf("%s %q of %s", a.name, nested.Labels[0], what)
		case len(nested.Labels) > 0:
			p.errorf(nested.LabelRanges[0], "Label not allowed", "The %s has no label; write %s { ... }.", name, a.name)
		}
		if first != nil && a.typ.Kind() != reflect.Slice {
			p.errorf(header(nested), "Duplicate block", "The %s may be written once; the first is at %s.", name, place(header(first)))
			continue
		}
		first = nested
		value := reflect.New(a.inner())
		if labelled {
			value.Elem().Field(label).SetString(nested.Labels[0])
		}
		within := p.body(nested, name, faults, nil, value.Interface())
		p.validate(nested, name, value.Interface(), within)
		if !within.sound() {
			mark := out.unknown
			if len(within.failed) > 0 {
				mark = out.failed
			}
			mark[a.name] = true
		}
		switch a.typ.Kind() {
		case reflect.Slice:
			if a.typ.Elem().Kind() == reflect.Pointer {
				field.Set(reflect.Append(field, value))
			} else {
				field.Set(reflect.Append(field, value.Elem()))
			}
		case reflect.Pointer:
			field.Set(value)
		default:
			field.Set(value.Elem())
		}
		out.given[a.name] = header(nested)
	}
}

// evaluate gives the value of an expression whose references were found good.
func (p *pass) evaluate(expression hcl.Expression, faults map[string]cty.Value) (cty.Value, bool) {
	if p.c.bad[expression] || p.restsOnFailed(expression) {
		return cty.NilVal, false
	}
	value, diags := expression.Value(p.scope(expression, faults))
	for _, diagnostic := range diags {
		p.foreign(diagnostic)
	}
	return value, !diags.HasErrors()
}

// restsOnFailed tells whether an expression refers to a variable or a local that has
// no value because it is wrong, which was reported.
func (p *pass) restsOnFailed(expression hcl.Expression) bool {
	return slices.ContainsFunc(expression.Variables(), func(traversal hcl.Traversal) bool {
		name, _, _ := step(traversal, 1)
		switch traversal.RootName() {
		case "var":
			v, found := p.c.varByName[name]
			return found && v.value == cty.NilVal
		case "local":
			return p.failedLocals[name]
		}
		return false
	})
}

// foreign takes over a diagnostic of the hcl library. Its text may quote values.
func (p *pass) foreign(diagnostic *hcl.Diagnostic) {
	at := hcl.Range{}
	if diagnostic.Subject != nil {
		at = *diagnostic.Subject
	}
	if strings.Contains(diagnostic.Detail, errTooMuch.Error()) {
		p.list = append(p.list, p.c.effort.tell(at)...)
		return
	}
	p.add(diagnostic.Severity, at, diagnostic.Summary, p.c.redact(diagnostic.Detail))
}

// unknownAttribute reports an attribute that does not exist, and returns the one
// that was meant.
func (p *pass) unknownAttribute(written *hclsyntax.Attribute, what string, targets []target, others []string) string {
	var attributes, blocks []string
	for _, t := range targets {
		for _, a := range t.shape {
			if a.block {
				blocks = append(blocks, a.name)
			} else {
				attributes = append(attributes, a.name)
			}
		}
	}
	if slices.Contains(append(blocks, others...), written.Name) {
		p.errorf(written.NameRange, "Block expected", "In the %s, %q is a block: write %s { ... } without the equals sign.", what, written.Name, written.Name)
		return written.Name
	}
	p.unknown(written.NameRange, "Unknown attribute", fmt.Sprintf("The %s has no attribute %q.", what, written.Name), written.Name, attributes, "It has no attributes.")
	return nearest(written.Name, attributes)
}

func (p *pass) unknownBlocks(block *hclsyntax.Block, what string, targets []target, others []string) {
	known := slices.Clone(others)
	var attributes []string
	for _, t := range targets {
		for _, a := range t.shape {
			if a.block {
				known = append(known, a.name)
			} else {
				attributes = append(attributes, a.name)
			}
		}
	}
	for _, nested := range block.Body.Blocks {
		switch {
		case slices.Contains(known, nested.Type):
		case slices.Contains(attributes, nested.Type):
			p.errorf(nested.TypeRange, "Attribute expected", "In the %s, %q is an attribute: write %s = ... with an equals sign.", what, nested.Type, nested.Type)
		default:
			p.unknown(nested.TypeRange, "Unknown block", fmt.Sprintf("The %s has no block %q.", what, nested.Type), nested.Type, known, "It has no blocks.")
		}
	}
}

// validate asks a struct about rules that cross its attributes.
func (p *pass) validate(block *hclsyntax.Block, what string, value any, out *outcome) {
	checked, ok := value.(experiments.Validator)
	// What is not known yet, or was reported already, was left zero, and would make
	// others look wrong. They are asked again when it is known.
	if !ok || !out.sound() {
		return
	}
	for _, problem := range checked.Validate() {
		detail := problem.Detail
		if problem.Attribute != "" && !strings.Contains(detail, problem.Attribute) {
			detail = fmt.Sprintf("The attribute %q of %s: %s", problem.Attribute, what, detail)
		}
		p.errorf(out.at(problem.Attribute, block), problem.Summary, "%s", p.c.redact(detail))
	}
}
