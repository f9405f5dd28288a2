package scenarios

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// attribute is one tagged field of a block's struct: an attribute, or a block
// within the block.
type attribute struct {
	name     string
	index    []int
	typ      reflect.Type
	required bool
	block    bool
	doc      string
	unit     string
	example  string
	fallback string // the default tag
	enum     []string
}

// shape is the attributes of a struct, in the order of its fields.
type shape []attribute

// shapeOf reads the tags of a struct type. Embedded structs belong to it.
func shapeOf(t reflect.Type) shape {
	var out shape
	for i := range t.NumField() {
		field := t.Field(i)
		tag, tagged := field.Tag.Lookup("hcl")
		if !tagged {
			if field.Anonymous && field.Type.Kind() == reflect.Struct {
				for _, inner := range shapeOf(field.Type) {
					inner.index = append([]int{i}, inner.index...)
					out = append(out, inner)
				}
			}
			continue
		}
		if !field.IsExported() {
			continue
		}
		name, options, _ := strings.Cut(tag, ",")
		if options == "label" {
			continue // see labelOf
		}
		a := attribute{
			name:     name,
			index:    []int{i},
			typ:      field.Type,
			block:    options == "block",
			doc:      field.Tag.Get("doc"),
			unit:     field.Tag.Get("unit"),
			example:  field.Tag.Get("example"),
			fallback: field.Tag.Get("default"),
		}
		a.required = !a.block && !strings.Contains(options, "optional")
		if enum := field.Tag.Get("enum"); enum != "" {
			a.enum = strings.Split(enum, "|")
		}
		out = append(out, a)
	}
	return out
}

// labelOf finds the field for the label of a block within a block: step "pay" { }.
// What the label is comes with it, as the tag names it: "name".
func labelOf(t reflect.Type) (field int, name string, found bool) {
	for i := range t.NumField() {
		name, options, _ := strings.Cut(t.Field(i).Tag.Get("hcl"), ",")
		if options == "label" {
			return i, name, true
		}
	}
	return 0, "", false
}

func (s shape) find(name string) (attribute, bool) {
	i := slices.IndexFunc(s, func(a attribute) bool { return a.name == name })
	if i < 0 {
		return attribute{}, false
	}
	return s[i], true
}

// inner returns the struct type of a block within a block.
func (a attribute) inner() reflect.Type {
	t := a.typ
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	return t
}

// fallbackValue is the default as a value: what a scenario would have written.
func (a attribute) fallbackValue() (cty.Value, error) {
	t := a.typ
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if scalar(t) && !strings.HasPrefix(a.fallback, `"`) {
		return cty.StringVal(a.fallback), nil
	}
	expression, diags := hclsyntax.ParseExpression([]byte(a.fallback), "default", hcl.InitialPos)
	if diags.HasErrors() {
		return cty.NilVal, fmt.Errorf("the default %s does not parse: %w", a.fallback, diags)
	}
	value, diags := expression.Value(nil)
	if diags.HasErrors() {
		return cty.NilVal, fmt.Errorf("the default %s has no value: %w", a.fallback, diags)
	}
	return value, nil
}

// checkEnum tells whether a decoded text, or each text of a list, is allowed.
func (a attribute) checkEnum(field reflect.Value) error {
	if len(a.enum) == 0 {
		return nil
	}
	for field.Kind() == reflect.Pointer {
		if field.IsNil() {
			return nil
		}
		field = field.Elem()
	}
	if field.Kind() == reflect.Slice {
		for i := range field.Len() {
			if err := a.checkEnum(field.Index(i)); err != nil {
				return err
			}
		}
		return nil
	}
	if field.Kind() != reflect.String || slices.Contains(a.enum, field.String()) {
		return nil
	}
	detail := fmt.Sprintf("%q is not allowed here; write one of: %s.", field.String(), strings.Join(a.enum, ", "))
	if word := nearest(field.String(), a.enum); word != "" {
		detail += fmt.Sprintf(" Did you mean %q?", word)
	}
	return &valueError{"Not one of the allowed texts", detail}
}

// structOf returns the addressable struct behind the pointer that a kind's New
// gives.
func structOf(value any) (reflect.Value, bool) {
	v := reflect.ValueOf(value)
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Struct {
		return reflect.Value{}, false
	}
	return v.Elem(), true
}
