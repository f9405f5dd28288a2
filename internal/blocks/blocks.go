// Package blocks is a configuration as a tree, before it is text: blocks with
// labels, attributes and comments. What makes one (internal/imports) needs no hcl,
// and what writes one ([github.com/gameday-sh/gameday/scenarios.Write]) needs to
// know nothing of where it comes from.
package blocks

// File is a configuration of one file.
type File struct {
	// Comment stands at its head, a line each.
	Comment []string
	Blocks  []Block
}

// Block is one block: its type, its labels and what is in its braces.
type Block struct {
	// Comment stands above it, a line each.
	Comment []string
	Type    string
	Labels  []string
	// Off makes a comment of the whole block: it is there to be finished by hand.
	Off bool
	// Attributes come before the blocks within it.
	Attributes []Attribute
	Blocks     []Block
}

// Set adds an attribute.
func (b *Block) Set(name string, value Value) {
	b.Attributes = append(b.Attributes, Attribute{Name: name, Value: value})
}

// SetText adds an attribute of text, unless the text is empty.
func (b *Block) SetText(name, text string) {
	if text != "" {
		b.Set(name, Text(text))
	}
}

// Attribute is name = value.
type Attribute struct {
	Name  string
	Value Value
}

// Value is a [Text], a [Number], a [Bool], a [Reference], a [List] or a [Map].
type Value interface{ value() }

type (
	// Text is what stands in quotes; one of several lines is written as a heredoc.
	Text string
	// Number is a number as its digits, so that none is lost.
	Number string
	// Bool is true or false.
	Bool bool
	// Reference is an address such as slo.checkout.
	Reference string
	// List is values in their order.
	List []Value
	// Map is entries in their order.
	Map []Attribute
)

func (Text) value()      {}
func (Number) value()    {}
func (Bool) value()      {}
func (Reference) value() {}
func (List) value()      {}
func (Map) value()       {}
