package scenarios

import (
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// Verify checks the tables of kinds themselves: names, types of fields, docs and
// defaults. A test of whoever puts a Language together calls it.
func (l Language) Verify() error {
	v := verifier{types: map[reflect.Type]bool{}}
	for _, kind := range rows(l.Connections) {
		v.types[reflect.TypeOf(kind.make())] = true
	}
	v.table("connection", rows(l.Connections), append(slices.Clone(languageBlocks), scenarioBlocks...))
	v.table("fault", rows(l.Faults), attributeNames(faultBlock{}))
	v.table("guard", rows(l.Guards), nil)
	v.table("probe", rows(l.Probes), attributeNames(probeBlock{}))
	v.table("notify", rows(l.Receivers), attributeNames(notifyBlock{}))
	v.table("sli", rows(l.SLIs), nil)
	v.table("journey", rows([]experiments.Kind[experiments.JourneyProbe]{l.Journey}), attributeNames(journeyBlock{}))
	for _, name := range l.DefaultGuards {
		if _, found := experiments.Find(l.Guards, name); !found {
			v.problem("default guard %q: there is no guard of that kind", name)
		}
	}
	for _, own := range []any{&scenarioBlock{}, &hypothesisBlock{}, &faultBlock{}, &sloBlock{}, &policyBlock{}, &notifyBlock{}, &probeBlock{}, &journeyBlock{}, &goldenBlock{}, &variableBlock{}, &validationBlock{}} {
		v.fields(fmt.Sprintf("%T", own), reflect.TypeOf(own).Elem())
	}
	v.golden(l)
	return errors.Join(v.problems...)
}

type verifier struct {
	types    map[reflect.Type]bool // of connections
	problems []error
}

func (v *verifier) problem(format string, args ...any) {
	v.problems = append(v.problems, fmt.Errorf(format, args...))
}

func attributeNames(block any) []string {
	var list []string
	for _, a := range shapeOf(reflect.TypeOf(block)) {
		list = append(list, a.name)
	}
	return list
}

// table checks the kinds of one table; taken are names that the language has.
func (v *verifier) table(family string, kinds []row, taken []string) {
	seen := map[string]bool{}
	for _, kind := range kinds {
		what := family + " " + kind.name
		switch {
		case kind.name == "" || kind.summary == "":
			v.problem("%s: a kind needs a name and a summary", what)
		case seen[kind.name]:
			v.problem("%s: two kinds have that name", what)
		case family == "connection" && slices.Contains(taken, kind.name):
			v.problem("%s: the language has a block of that name", what)
		}
		seen[kind.name] = true
		value, ok := structOf(kind.make())
		if !ok {
			v.problem("%s: New must return a pointer to a struct", what)
			continue
		}
		v.fields(what, value.Type())
		if family == "connection" {
			continue
		}
		for _, a := range shapeOf(value.Type()) {
			if slices.Contains(taken, a.name) {
				v.problem("%s: every %s has an attribute %q already", what, family, a.name)
			}
		}
	}
}

func (v *verifier) fields(what string, t reflect.Type) {
	seen := map[string]bool{}
	for _, a := range shapeOf(t) {
		where := what + "." + a.name
		if a.name == "" || seen[a.name] {
			v.problem("%s: an attribute needs a name of its own", where)
		}
		seen[a.name] = true
		if a.doc == "" {
			v.problem("%s: the doc tag is missing", where)
		}
		if a.block {
			if a.inner().Kind() != reflect.Struct {
				v.problem("%s: a block is a struct, or a pointer to or a slice of one, not %s", where, a.typ)
				continue
			}
			v.fields(where, a.inner())
			continue
		}
		if !v.supported(a.typ) {
			v.problem("%s: no attribute can have the Go type %s", where, a.typ)
			continue
		}
		v.fallback(where, a)
		v.example(where, a)
	}
}

func (v *verifier) supported(t reflect.Type) bool {
	switch {
	case scalar(t) || v.types[t] || t == sloType || t == probedType || t == goldenType || t == policyType || t == receiverType:
		return true
	case t.Kind() == reflect.Pointer:
		return scalar(t.Elem())
	case t.Kind() == reflect.Slice:
		return v.supported(t.Elem())
	case t.Kind() == reflect.Map:
		return t.Key().Kind() == reflect.String && scalar(t.Elem())
	}
	return false
}

// example checks that the value that explain shows could be written: it parses, fits
// the attribute, and what it refers to is of the right sort.
func (v *verifier) example(where string, a attribute) {
	if a.example == "" {
		return
	}
	written := a.written(a.example)
	expression, diags := hclsyntax.ParseExpression([]byte(written), "example", hcl.InitialPos)
	if diags.HasErrors() {
		v.problem("%s: the example %s does not parse: %w", where, written, diags)
		return
	}
	if traversals := expression.Variables(); len(traversals) > 0 {
		if root := map[reflect.Type]string{sloType: "slo", probedType: "probe", faultType: "fault"}[a.typ]; root != "" && traversals[0].RootName() != root {
			v.problem("%s: the example %s is no reference to %s", where, written, root)
		}
		return
	}
	c := &Configuration{effort: &effort{}, options: Options{Environ: func(string) (string, bool) { return "x", true }}}
	value, diags := expression.Value(&hcl.EvalContext{Functions: c.makeFunctions()})
	field := reflect.New(a.typ).Elem()
	if diags.HasErrors() {
		v.problem("%s: the example %s: %w", where, written, diags)
	} else if err := assign(field, value, func(string) {}); err != nil {
		v.problem("%s: the example %s: %w", where, written, err)
	} else if err := a.checkEnum(field); err != nil {
		v.problem("%s: the example %s: %w", where, written, err)
	}
}

// fallback checks that a default is a value that a scenario could have written.
func (v *verifier) fallback(where string, a attribute) {
	if a.fallback == "" {
		return
	}
	if a.required {
		v.problem("%s: a required attribute has no default", where)
	}
	value, err := a.fallbackValue()
	field := reflect.New(a.typ).Elem()
	if err == nil {
		err = assign(field, value, func(string) {})
	}
	if err == nil {
		err = a.checkEnum(field)
	}
	if err != nil {
		v.problem("%s: the default %q: %w", where, a.fallback, err)
	}
}
