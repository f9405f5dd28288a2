package scenarios

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/typeexpr"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// variable is a `variable` block with its value; cty.NilVal while there is none.
type variable struct {
	name  string
	block *hclsyntax.Block
	typ   cty.Type // cty.DynamicPseudoType where any is allowed
	value cty.Value

	defaults  *typeexpr.Defaults
	sensitive bool
	given     *string // the text from --var or the environment that the value is made of
}

// variableBlock is the attributes of a `variable` block that are values.
type variableBlock struct {
	Description string `hcl:"description,optional" doc:"What it is for."`
	Sensitive   bool   `hcl:"sensitive,optional" default:"false" doc:"Keeps the value out of every file and screen: it may only go into attributes made for secrets."`
}

// validationBlock documents the block; its expressions are evaluated by hand.
type validationBlock struct {
	Condition    bool   `hcl:"condition" doc:"What must be true of the value, which is var.<the variable's name> here." example:"var.count > 0"`
	ErrorMessage string `hcl:"error_message" doc:"What to say when it is not." example:"The count must be above 0."`
}

// given is a value from outside of the configuration.
type given struct {
	text   string    // to convert to the variable's type
	value  cty.Value // or a value already
	source string    // "--var", "GAMEDAY_VAR_latency", "prod.vars.hcl:3"
	at     hcl.Range
}

// readVariables gives each variable its value: the default, else the environment,
// else a file, else --var; the last that is there counts.
func (p *pass) readVariables() {
	outside := p.givenValues()
	for _, v := range p.c.variables {
		p.readVariable(v, outside)
	}
}

// givenValues collects what --var-file and --var say, --var last.
func (p *pass) givenValues() map[string]given {
	out := map[string]given{}
	known := p.c.declaredNames("var")
	for _, name := range p.c.options.VarFiles {
		text, ok := p.read(name)
		if !ok {
			p.unread = true
			continue
		}
		p.c.base[name] = name
		body, diags := parse(name, text)
		p.syntax = append(p.syntax, diags...)
		if diags.HasErrors() || body == nil {
			p.unread = true
			continue
		}
		if !p.meter(body) {
			p.unread = true
			continue
		}
		for _, block := range body.Blocks {
			p.errorf(block.TypeRange, "Block in a file of variables", "A file of variables holds name = value only.")
		}
		for _, attribute := range inOrder(body.Attributes) {
			if _, declared := p.c.declared["var."+attribute.Name]; !declared {
				p.unknown(attribute.NameRange, "Unknown variable", fmt.Sprintf("No variable %q is declared.", attribute.Name), attribute.Name, known, "The configuration declares no variables.")
				continue
			}
			value, diags := attribute.Expr.Value(nil)
			p.list = append(p.list, diags...)
			if !diags.HasErrors() {
				out[attribute.Name] = given{value: value, source: place(attribute.NameRange), at: attribute.Expr.Range()}
			}
		}
	}
	for _, setting := range p.c.options.Vars {
		name, text, found := strings.Cut(setting, "=")
		name = strings.TrimSpace(name)
		if !found || name == "" {
			p.errorf(hcl.Range{}, "Not a variable", "--var takes name=value, such as --var latency=300ms.")
			continue
		}
		if _, declared := p.c.declared["var."+name]; !declared {
			p.unknown(hcl.Range{}, "Unknown variable", fmt.Sprintf("--var %s: no variable %q is declared.", name, name), name, known, "The configuration declares no variables.")
			continue
		}
		out[name] = given{text: text, value: cty.NilVal, source: "--var " + name}
	}
	return out
}

func (p *pass) readVariable(v *variable, outside map[string]given) {
	var settings variableBlock
	what := fmt.Sprintf("variable %q", v.name)
	plain, own := splitVariable(v.block)
	misspelt := p.misspeltVariable(plain, what)
	decoded := p.body(plain, what, nil, []string{"validation"}, &settings)
	v.sensitive = settings.Sensitive || decoded.failed["sensitive"]
	v.typ = cty.DynamicPseudoType
	if expression := own["type"]; expression != nil {
		typ, defaults, diags := typeexpr.TypeConstraintWithDefaults(expression.Expr)
		if diags.HasErrors() {
			p.wrongType(expression.Expr, diags[0])
			return
		}
		v.typ, v.defaults = typ, defaults
	}
	if misspelt {
		return
	}
	fallback := cty.NilVal
	if expression := own["default"]; expression != nil {
		if traversals := expression.Expr.Variables(); len(traversals) > 0 {
			p.errorf(traversals[0].SourceRange(), "Reference not allowed here", "The default of a variable is a fixed value. Use a local for what depends on other values.")
			return
		}
		value, ok := p.evaluate(expression.Expr, nil)
		if !ok {
			return
		}
		if fallback, ok = p.convertVariable(v, value, "The default", expression.Expr.Range()); !ok {
			return
		}
	}
	value, at, ok := p.chooseVariable(v, fallback, outside)
	if !ok {
		return
	}
	if v.sensitive {
		p.c.keepSecrets(value)
		value = value.Mark(sensitiveMark{})
	}
	if p.validateVariable(v, value, at) {
		v.value = value
	}
}

// misspeltVariable reports attributes of a variable that were meant to be its type or
// its default, and takes them out.
func (p *pass) misspeltVariable(plain *hclsyntax.Block, what string) bool {
	found := false
	for _, attribute := range inOrder(plain.Body.Attributes) {
		meant := nearest(attribute.Name, []string{"type", "default", "description", "sensitive"})
		if meant != "type" && meant != "default" {
			continue
		}
		found = true
		p.unknown(attribute.NameRange, "Unknown attribute", fmt.Sprintf("The %s has no attribute %q.", what, attribute.Name), attribute.Name, []string{meant}, "")
		delete(plain.Body.Attributes, attribute.Name)
	}
	return found
}

// typeWords are the words that the type of a variable may begin with.
var typeWords = []string{"string", "number", "bool", "any", "list", "set", "map", "object", "tuple"}

// wrongType reports a type that is none.
func (p *pass) wrongType(expression hclsyntax.Expression, diagnostic *hcl.Diagnostic) {
	at := expression.Range()
	if diagnostic.Subject != nil {
		at = *diagnostic.Subject
	}
	detail := "A type is string, number, bool or any, without quotes, or is made of them: list(string), set(number), map(bool), tuple([string, number]), object({ name = string, port = optional(number) })."
	if word := hcl.ExprAsKeyword(expression); word != "" {
		if meant := nearest(word, typeWords); meant != "" && meant != word {
			p.add(hcl.DiagError, at, "Not a type", fmt.Sprintf("%q is not a type. Did you mean %q?", word, meant)).Extra = suggestion(meant)
			return
		}
	}
	p.errorf(at, "Not a type", "%s", detail)
}

// splitVariable takes out the attributes that are not decoded as values.
func splitVariable(block *hclsyntax.Block) (*hclsyntax.Block, hclsyntax.Attributes) {
	plain, body := *block, *block.Body
	body.Attributes = hclsyntax.Attributes{}
	own := hclsyntax.Attributes{}
	for name, attribute := range block.Body.Attributes {
		if name == "type" || name == "default" {
			own[name] = attribute
		} else {
			body.Attributes[name] = attribute
		}
	}
	plain.Body = &body
	return &plain, own
}

// chooseVariable picks the value that counts, and says where it stands.
func (p *pass) chooseVariable(v *variable, fallback cty.Value, outside map[string]given) (cty.Value, hcl.Range, bool) {
	chosen, found := outside[v.name]
	if !found {
		name := "GAMEDAY_VAR_" + v.name
		if text, set := p.c.options.environ(name); set {
			chosen, found = given{text: text, value: cty.NilVal, source: name}, true
		}
	}
	if !found {
		if p.unread && (fallback == cty.NilVal || fallback.IsNull()) {
			return cty.NilVal, hcl.Range{}, false
		}
		if fallback == cty.NilVal {
			p.errorf(header(v.block), "Variable without a value", "var.%s has no default. Give it a value: --var %s=..., or GAMEDAY_VAR_%s in the environment, or a default in its block.", v.name, v.name, v.name)
			return cty.NilVal, hcl.Range{}, false
		}
		return fallback, header(v.block), true
	}
	at := chosen.at
	if at.Filename == "" {
		at = header(v.block)
	}
	value := chosen.value
	if value == cty.NilVal {
		v.given = &chosen.text
		var err error
		if value, err = readText(chosen.text, v.wanted(fallback)); err != nil {
			p.errorf(at, "Wrong type", "The value from %s is not %s: %s", chosen.source, article(typeexpr.TypeString(v.wanted(fallback))), v.shown(err.Error()))
			return cty.NilVal, at, false
		}
	}
	value, ok := p.convertVariable(v, value, "The value from "+chosen.source, at)
	return value, at, ok
}

// wanted is the type that a text from outside is converted to: the declared one,
// else that of a plain default, else a text.
func (v *variable) wanted(fallback cty.Value) cty.Type {
	if v.typ != cty.DynamicPseudoType {
		return v.typ
	}
	if fallback == cty.NilVal || fallback.IsNull() {
		return cty.String
	}
	return fallback.Type()
}

// shown hides what could quote a sensitive value.
func (v *variable) shown(text string) string {
	if v.sensitive {
		return "(not shown, the variable is sensitive)."
	}
	return text + "."
}

// readText turns a text into a value: as it stands for a primitive type, else as
// an expression such as ["a", "b"].
func readText(text string, want cty.Type) (cty.Value, error) {
	if want.IsPrimitiveType() {
		return convert.Convert(cty.StringVal(text), want)
	}
	if len(text) > maxSize || tooDeep([]byte(text)) >= 0 {
		return cty.NilVal, fmt.Errorf("it is too large or nested too deeply")
	}
	expression, diags := hclsyntax.ParseExpression([]byte(text), "value", hcl.InitialPos)
	if diags.HasErrors() {
		return cty.NilVal, fmt.Errorf("it does not parse; write it as in a scenario, such as [\"a\", \"b\"] or { name = \"value\" }")
	}
	value, diags := expression.Value(nil)
	if diags.HasErrors() {
		return cty.NilVal, fmt.Errorf("%s; write it as in a scenario, with texts in quotes", diags[0].Summary)
	}
	return value, nil
}

func (p *pass) convertVariable(v *variable, value cty.Value, source string, at hcl.Range) (cty.Value, bool) {
	if value.IsNull() {
		if v.typ == cty.DynamicPseudoType {
			return value, true
		}
		return cty.NullVal(v.typ.WithoutOptionalAttributesDeep()), true
	}
	if unwieldyWithin(value) {
		p.errorf(at, "Number too large", "%s of var.%s has a number of more than %d digits.", source, v.name, mostDigits)
		return cty.NilVal, false
	}
	if v.defaults != nil {
		value = v.defaults.Apply(value)
	}
	converted, err := convert.Convert(value, v.typ)
	if err != nil {
		p.errorf(at, "Wrong type", "%s of var.%s does not have the type %s: %s", source, v.name, typeexpr.TypeString(v.typ), v.shown(err.Error()))
		return cty.NilVal, false
	}
	return converted, true
}

// validateVariable asks the validation blocks about a value.
func (p *pass) validateVariable(v *variable, value cty.Value, at hcl.Range) bool {
	fine := true
	for _, block := range v.block.Body.Blocks {
		if block.Type != "validation" {
			continue
		}
		if !p.validation(v, block, value, at) {
			fine = false
		}
	}
	return fine
}

func (p *pass) validation(v *variable, block *hclsyntax.Block, value cty.Value, at hcl.Range) bool {
	what := fmt.Sprintf("validation of variable %q", v.name)
	known := shapeOf(reflect.TypeFor[validationBlock]())
	fine := true
	for _, attribute := range inOrder(block.Body.Attributes) {
		if _, found := known.find(attribute.Name); !found {
			p.unknownAttribute(attribute, what, []target{{shape: known}}, nil)
			fine = false
		}
	}
	results := map[string]cty.Value{}
	for _, a := range known {
		attribute := block.Body.Attributes[a.name]
		if attribute == nil {
			p.errorf(header(block), "Missing attribute", "The %s needs the attribute %q: %s", what, a.name, a.doc)
			fine = false
			continue
		}
		for _, traversal := range attribute.Expr.Variables() {
			if name, _, _ := step(traversal, 1); traversal.RootName() != "var" || name != v.name {
				p.errorf(traversal.SourceRange(), "Reference not allowed here", "A validation may refer only to its own variable, var.%s.", v.name)
				return false
			}
		}
		context := &hcl.EvalContext{Functions: p.c.functions, Variables: map[string]cty.Value{"var": cty.ObjectVal(map[string]cty.Value{v.name: value})}}
		result, diags := attribute.Expr.Value(context)
		for _, diagnostic := range diags {
			p.foreign(diagnostic)
		}
		if diags.HasErrors() {
			return false
		}
		results[a.name] = result
	}
	if len(results) < len(known) {
		return false
	}
	condition, _ := results["condition"].UnmarkDeep()
	truth, err := convert.Convert(condition, cty.Bool)
	if err != nil || truth.IsNull() || !truth.IsKnown() {
		p.errorf(block.Body.Attributes["condition"].Expr.Range(), "Wrong type", "The condition must come to true or false.")
		return false
	}
	if truth.True() {
		return fine
	}
	p.errorf(at, "Variable not valid", "var.%s: %s", v.name, message(results["error_message"]))
	return false
}

func message(value cty.Value) string {
	if value.ContainsMarked() {
		return "its validation failed (the message holds a sensitive value and is not shown)."
	}
	text, err := convert.Convert(value, cty.String)
	if err != nil || text.IsNull() || !text.IsKnown() {
		return "its validation failed, and its error_message is not a text."
	}
	return text.AsString()
}
