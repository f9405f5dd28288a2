package scenarios

import (
	"bytes"
	"fmt"
	"math/big"
	"strings"
	"unicode"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/mitchellh/go-wordwrap"
	"github.com/zclconf/go-cty/cty"

	"github.com/gameday-sh/gameday/internal/blocks"
	"github.com/gameday-sh/gameday/internal/textsafe"
)

// commentWidth is how long the lines of a comment may be.
const commentWidth = 100

// Write gives a configuration as text in the usual layout. It fails on what cannot
// be written: a number that is none, a reference that does not parse.
func Write(file blocks.File) ([]byte, error) {
	var w writer
	w.comment(file.Comment)
	for i, block := range file.Blocks {
		if i > 0 || len(file.Comment) > 0 {
			w.out.WriteByte('\n')
		}
		w.block(block)
	}
	if w.err != nil {
		return nil, w.err
	}
	return hclwrite.Format(w.out.Bytes()), nil
}

// writer writes a tree; the first error stays.
type writer struct {
	out bytes.Buffer
	err error
}

// comment writes lines, each wrapped; a line that begins with white space is kept
// as it is, so that commented blocks keep their shape.
func (w *writer) comment(lines []string) {
	for _, line := range lines {
		indent := line[:len(line)-len(strings.TrimLeft(line, " "))]
		text := textsafe.Line(line, 0)
		if indent == "" {
			text = wordwrap.WrapString(text, commentWidth)
		}
		for part := range strings.Lines(text) {
			w.out.WriteString(strings.TrimRight("# "+indent+strings.TrimRight(part, "\n"), " ") + "\n")
		}
		if text == "" {
			w.out.WriteString("#\n")
		}
	}
}

func (w *writer) block(b blocks.Block) {
	w.comment(b.Comment)
	if b.Off {
		w.off(b)
		return
	}
	w.out.WriteString(b.Type)
	for _, label := range b.Labels {
		w.out.WriteByte(' ')
		w.quoted(label)
	}
	w.out.WriteString(" {\n")
	for _, attribute := range b.Attributes {
		w.attribute(attribute)
	}
	for i, inner := range b.Blocks {
		if len(b.Attributes) > 0 || i > 0 {
			w.out.WriteByte('\n')
		}
		w.block(inner)
	}
	w.out.WriteString("}\n")
}

// off writes a block as a comment.
func (w *writer) off(b blocks.Block) {
	inner := writer{err: w.err}
	b.Comment, b.Off = nil, false
	inner.block(b)
	w.err = inner.err
	for line := range bytes.Lines(hclwrite.Format(inner.out.Bytes())) {
		w.out.WriteString(strings.TrimRight("# "+string(line), " \n") + "\n")
	}
}

func (w *writer) attribute(a blocks.Attribute) {
	w.out.WriteString(a.Name + " = ")
	w.value(a.Value)
	w.out.WriteByte('\n')
}

func (w *writer) value(value blocks.Value) {
	switch v := value.(type) {
	case blocks.Text:
		w.text(string(v))
	case blocks.Number:
		if _, ok := new(big.Rat).SetString(string(v)); !ok || strings.Contains(string(v), "/") {
			w.fail("%q is not a number", string(v))
		}
		w.out.WriteString(string(v))
	case blocks.Bool:
		fmt.Fprintf(&w.out, "%t", bool(v))
	case blocks.Reference:
		for part := range strings.SplitSeq(string(v), ".") {
			if !hclsyntax.ValidIdentifier(part) {
				w.fail("%q is not a reference", string(v))
			}
		}
		w.out.WriteString(string(v))
	case blocks.List:
		w.list(v)
	case blocks.Map:
		w.entries(v)
	default:
		w.fail("a value of the type %T cannot be written", value)
	}
}

func (w *writer) fail(format string, values ...any) {
	if w.err == nil {
		w.err = fmt.Errorf("write the configuration: "+format, values...)
	}
}

// list writes a list on one line, or a line an element where that is too long.
func (w *writer) list(list blocks.List) {
	length := 0
	for _, one := range list {
		if text, ok := one.(blocks.Text); ok {
			length += len(text) + 4
		}
	}
	if length <= commentWidth-20 {
		w.out.WriteByte('[')
		for i, one := range list {
			if i > 0 {
				w.out.WriteString(", ")
			}
			w.value(one)
		}
		w.out.WriteByte(']')
		return
	}
	w.out.WriteString("[\n")
	for _, one := range list {
		w.value(one)
		w.out.WriteString(",\n")
	}
	w.out.WriteByte(']')
}

// entries writes a map, an entry a line.
func (w *writer) entries(entries blocks.Map) {
	if len(entries) == 0 {
		w.out.WriteString("{}")
		return
	}
	w.out.WriteString("{\n")
	for _, entry := range entries {
		if hclsyntax.ValidIdentifier(entry.Name) {
			w.out.WriteString(entry.Name)
		} else {
			w.quoted(entry.Name)
		}
		w.out.WriteString(" = ")
		if text, ok := entry.Value.(blocks.Text); ok {
			w.quoted(string(text)) // a heredoc within a map is hard to read
		} else {
			w.value(entry.Value)
		}
		w.out.WriteByte('\n')
	}
	w.out.WriteByte('}')
}

// text writes a text in quotes or, where it has several lines, as a heredoc.
func (w *writer) text(text string) {
	const marker = "EOT"
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	plain := strings.HasSuffix(text, "\n") && len(lines) > 1 && len(lines) < maxLines
	for _, line := range lines {
		plain = plain && strings.TrimSpace(line) != marker && !strings.ContainsFunc(line, func(r rune) bool { return r != '\t' && !unicode.IsPrint(r) })
	}
	if !plain {
		w.quoted(text)
		return
	}
	// Without "-" behind "<<" the text stays as it is, its indentation too.
	w.out.WriteString("<<" + marker + "\n")
	for _, line := range lines {
		w.out.WriteString(strings.NewReplacer("${", "$${", "%{", "%%{").Replace(line) + "\n")
	}
	w.out.WriteString(marker)
}

func (w *writer) quoted(text string) {
	w.out.Write(hclwrite.TokensForValue(cty.StringVal(text)).Bytes())
}
