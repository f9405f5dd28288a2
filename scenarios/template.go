package scenarios

import (
	"errors"
	"reflect"
	"slices"
	"strconv"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
	"github.com/zclconf/go-cty/cty/function/stdlib"
)

// What a step of a journey captures is known while the journey goes on, long after the
// configuration was evaluated. Expressions that refer to it are therefore not evaluated
// but taken apart: into texts, which are, and the places of captured values between
// them. That allows capture.x alone, in a text and within jsonencode, and nothing that
// would have to compute with it.

// errReported tells that a diagnostic was given.
var errReported = errors.New("reported")

var (
	templateType    = reflect.TypeFor[experiments.Template]()
	templateMapType = reflect.TypeFor[map[string]experiments.Template]()
)

// capturedIn finds the first reference to a captured value in an expression.
func capturedIn(expression hcl.Expression) (hcl.Traversal, bool) {
	traversals := expression.Variables()
	if i := slices.IndexFunc(traversals, func(t hcl.Traversal) bool { return t.RootName() == "capture" }); i >= 0 {
		return traversals[i], true
	}
	return nil, false
}

// templated decodes an attribute that refers to captured values.
func (p *pass) templated(expression hcl.Expression, field reflect.Value, name, what string) error {
	reference, _ := capturedIn(expression)
	switch field.Type() {
	case templateType:
		pieces, err := p.template(expression)
		if err != nil {
			return err
		}
		field.Set(reflect.ValueOf(experiments.NewTemplate(pieces...)))
		return nil
	case templateMapType:
		object, ok := unwrap(expression).(*hclsyntax.ObjectConsExpr)
		if !ok {
			return p.uncapturable(reference)
		}
		list, err := p.templateMap(object)
		if err != nil {
			return err
		}
		field.Set(reflect.ValueOf(list))
		return nil
	}
	p.errorf(reference.SourceRange(), "Captured value not allowed here", "The attribute %q of %s is settled before the journey begins. Captured values may stand in url, headers, body and form.", name, what)
	return errReported
}

func (p *pass) uncapturable(reference hcl.Traversal) error {
	p.errorf(reference.SourceRange(), "Captured value not allowed here", "What is captured is known while the journey goes on, and cannot be computed with. It may stand alone, in a text (\"Bearer ${capture.token}\") and within jsonencode(...).")
	return errReported
}

func (p *pass) templateMap(object *hclsyntax.ObjectConsExpr) (map[string]experiments.Template, error) {
	list := map[string]experiments.Template{}
	for _, item := range object.Items {
		key, err := p.fixedText(item.KeyExpr)
		if err != nil {
			return nil, err
		}
		pieces, err := p.template(item.ValueExpr)
		if err != nil {
			return nil, err
		}
		list[key] = experiments.NewTemplate(pieces...)
	}
	return list, nil
}

// unwrap takes away the brackets around an expression, and our own metering.
func unwrap(expression hcl.Expression) hcl.Expression {
	for {
		switch e := expression.(type) {
		case *metered:
			expression = e.Expression
		case *hclsyntax.ParenthesesExpr:
			expression = e.Expression
		case *hclsyntax.TemplateWrapExpr: // "${x}"
			expression = e.Wrapped
		default:
			return expression
		}
	}
}

// template takes an expression apart.
func (p *pass) template(expression hcl.Expression) ([]experiments.Piece, error) {
	reference, found := capturedIn(expression)
	if !found {
		text, err := p.fixedText(expression)
		return []experiments.Piece{{Text: text}}, err
	}
	switch e := unwrap(expression).(type) {
	case *hclsyntax.ScopeTraversalExpr:
		if name, _, named := step(e.Traversal, 1); named {
			return []experiments.Piece{{Capture: name}}, nil
		}
	case *hclsyntax.TemplateExpr:
		var pieces []experiments.Piece
		for _, part := range e.Parts {
			more, err := p.template(part)
			if err != nil {
				return nil, err
			}
			pieces = append(pieces, more...)
		}
		return pieces, nil
	case *hclsyntax.FunctionCallExpr:
		if e.Name == "jsonencode" && len(e.Args) == 1 && !e.ExpandFinal {
			return p.jsonTemplate(e.Args[0])
		}
	}
	return nil, p.uncapturable(reference)
}

// jsonTemplate is template for what stands within jsonencode.
func (p *pass) jsonTemplate(expression hcl.Expression) ([]experiments.Piece, error) {
	reference, found := capturedIn(expression)
	if !found {
		value, err := p.fixed(expression)
		if err != nil {
			return nil, err
		}
		text, err := stdlib.JSONEncode(value)
		if err != nil {
			p.errorf(expression.Range(), "Not possible as JSON", "The value cannot be written as JSON: %s.", p.c.redact(err.Error()))
			return nil, errReported
		}
		return []experiments.Piece{{Text: text.AsString()}}, nil
	}
	var pieces []experiments.Piece
	fixed := func(text string) { pieces = append(pieces, experiments.Piece{Text: text}) }
	switch e := unwrap(expression).(type) {
	case *hclsyntax.ObjectConsExpr:
		for i, item := range e.Items {
			key, err := p.fixedText(item.KeyExpr)
			if err != nil {
				return nil, err
			}
			fixed(map[bool]string{true: "{", false: ","}[i == 0] + `"` + experiments.WithinJSON(key) + `":`)
			value, err := p.jsonTemplate(item.ValueExpr)
			if err != nil {
				return nil, err
			}
			pieces = append(pieces, value...)
		}
		fixed("}")
		return pieces, nil
	case *hclsyntax.TupleConsExpr:
		for i, element := range e.Exprs {
			fixed(map[bool]string{true: "[", false: ","}[i == 0])
			value, err := p.jsonTemplate(element)
			if err != nil {
				return nil, err
			}
			pieces = append(pieces, value...)
		}
		fixed("]")
		return pieces, nil
	}
	inner, err := p.template(expression)
	if err != nil {
		return nil, err
	}
	fixed(`"`)
	for _, piece := range inner {
		switch {
		case piece.JSON: // JSON within JSON
			return nil, p.uncapturable(reference)
		case piece.Capture != "":
			piece.JSON = true
		default:
			piece.Text = experiments.WithinJSON(piece.Text)
		}
		pieces = append(pieces, piece)
	}
	fixed(`"`)
	return pieces, nil
}

// fixed evaluates a part of an expression that refers to nothing captured. Secrets may
// be in it: a template is made for them.
func (p *pass) fixed(expression hcl.Expression) (cty.Value, error) {
	value, ok := p.evaluate(expression, nil)
	if !ok {
		return cty.NilVal, errReported
	}
	bare, marks := value.UnmarkDeep()
	if !bare.IsWhollyKnown() {
		return cty.NilVal, errUnknown
	}
	if len(marks) > 0 {
		p.c.keepSecrets(bare)
	}
	return bare, nil
}

func (p *pass) fixedText(expression hcl.Expression) (string, error) {
	value, err := p.fixed(expression)
	if err != nil {
		return "", err
	}
	text, err := convert.Convert(value, cty.String)
	if err != nil || text.IsNull() {
		p.errorf(expression.Range(), "Not a text", "A text is needed here, and this is %s.", map[bool]string{true: "null", false: article(givenName(value.Type()))}[value.IsNull()])
		return "", errReported
	}
	return text.AsString(), nil
}

// assignTemplate converts a value in which nothing is captured.
func assignTemplate(field reflect.Value, val cty.Value, keep func(string)) error {
	if field.Kind() == reflect.Map {
		return assignMarkedMap(field, val, keep)
	}
	bare, marks := val.UnmarkDeep()
	if !bare.IsKnown() {
		return errUnknown
	}
	text, err := convert.Convert(bare, cty.String)
	if err != nil || text.IsNull() {
		return wrongType(bare, field.Type())
	}
	if len(marks) > 0 {
		keep(text.AsString())
	}
	field.Set(reflect.ValueOf(experiments.NewTemplate(experiments.Piece{Text: text.AsString()})))
	return nil
}

// assignMarkedMap converts a map of secrets or templates. Only what is marked as a
// secret is kept as one.
func assignMarkedMap(field reflect.Value, val cty.Value, keep func(string)) error {
	bare, marks := val.UnmarkDeep()
	if !bare.IsKnown() {
		return errUnknown
	}
	if !bare.CanIterateElements() || bare.Type().IsTupleType() || bare.Type().IsListType() || bare.Type().IsSetType() {
		return wrongType(bare, field.Type())
	}
	if len(marks) == 0 {
		keep = func(string) {}
	}
	out := reflect.MakeMap(field.Type())
	for key, element := range bare.AsValueMap() {
		if element.IsNull() {
			continue
		}
		one := reflect.New(field.Type().Elem()).Elem()
		assignOne := assignSecret
		if one.Type() == templateType {
			assignOne, element = assignTemplate, element.WithMarks(marks)
		}
		if err := assignOne(one, element, keep); err != nil {
			return within(err, strconv.Quote(key))
		}
		out.SetMapIndex(reflect.ValueOf(key), one)
	}
	field.Set(out)
	return nil
}
