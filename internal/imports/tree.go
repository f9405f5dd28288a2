package imports

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/gameday-sh/gameday/internal/textsafe"
)

// What a person writes is far below these limits.
const (
	maxBytes = 1 << 20
	maxNodes = 200_000 // with aliases followed: they can make gigabytes of a few lines
	maxDepth = 60
)

// node is a part of a document that knows whether it was read. All methods may be
// called on nil, which is a part that is not there.
type node struct {
	reader *reader
	file   string
	line   int
	key    string
	path   string

	kind   yaml.Kind // yaml.ScalarNode, yaml.MappingNode or yaml.SequenceNode
	value  string    // of a scalar
	null   bool
	style  yaml.Style
	fields []*node
	items  []*node
	// comments stand above it, behind it or below it.
	comments []string
	read     bool
}

// source reads the documents of a file.
func (r *reader) source(input Input) {
	root := &node{reader: r, file: input.Name}
	if len(input.Text) > maxBytes {
		root.wrong("the file is larger than %d MiB; split it", maxBytes>>20)
		return
	}
	decoder := yaml.NewDecoder(bytes.NewReader(input.Text))
	budget := maxNodes
	empty := true
	for {
		var document yaml.Node
		err := decoder.Decode(&document)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			root.line, err = lineOf(err)
			root.wrong("this is not YAML: %s", err)
			return
		}
		if len(document.Content) != 1 {
			continue
		}
		b := builder{r: r, file: input.Name, budget: &budget}
		doc := b.build(document.Content[0], nil, "", "", 0)
		if b.failed {
			return
		}
		doc.comments = append(commentsOf(&document), doc.comments...)
		if doc.null {
			r.head = append(r.head, doc.allComments()...)
			continue
		}
		empty = false
		r.docs = append(r.docs, doc)
		r.document(doc)
	}
	if empty {
		root.wrong("there is nothing in it; %s", expected)
	}
}

var yamlLine = pattern(`^line (\d+): `)

// lineOf takes the line out of an error of the parser.
func lineOf(err error) (int, error) {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	found := yamlLine().FindStringSubmatch(text)
	if found == nil {
		return 0, errors.New(text)
	}
	line, _ := strconv.Atoi(found[1]) // digits; one that is too large is no line
	return line, errors.New(strings.TrimPrefix(text, found[0]))
}

// builder makes nodes of what the parser gave.
type builder struct {
	r      *reader
	file   string
	budget *int
	failed bool
	// open are the aliases that are being followed.
	open []*yaml.Node
}

func (b *builder) build(from, key *yaml.Node, name, path string, depth int) *node {
	n := &node{reader: b.r, file: b.file, key: name, path: path, line: from.Line}
	if key != nil {
		n.line = key.Line
		n.comments = commentsOf(key)
	}
	n.comments = append(n.comments, commentsOf(from)...)
	*b.budget--
	switch {
	case b.failed:
		return n
	case *b.budget < 0:
		return b.fail(n, "the file holds more than %d values, aliases followed", maxNodes)
	case depth > maxDepth:
		return b.fail(n, "this is nested more than %d levels deep", maxDepth)
	}
	if from.Kind == yaml.AliasNode {
		if slices.Contains(b.open, from.Alias) {
			return b.fail(n, "the alias *%s stands within what it stands for", from.Value)
		}
		b.open = append(b.open, from.Alias)
		defer func() { b.open = b.open[:len(b.open)-1] }()
		from = from.Alias
	}
	n.kind = from.Kind
	switch from.Kind {
	case yaml.ScalarNode:
		n.value, n.style, n.null = from.Value, from.Style, from.Tag == "!!null"
	case yaml.SequenceNode:
		for i, item := range from.Content {
			n.items = append(n.items, b.build(item, nil, "", fmt.Sprintf("%s[%d]", path, i), depth+1))
		}
	case yaml.MappingNode:
		b.mapping(n, from, depth)
	}
	return n
}

func (b *builder) mapping(n *node, from *yaml.Node, depth int) {
	lines := map[string]int{}
	var merged []*node
	for i := 0; i+1 < len(from.Content) && !b.failed; i += 2 {
		key, value := from.Content[i], from.Content[i+1]
		if key.Kind == yaml.AliasNode {
			key = key.Alias
		}
		if key.Kind != yaml.ScalarNode {
			b.fail(&node{reader: b.r, file: b.file, path: n.path, line: key.Line}, "a key is a list or a mapping; write a word")
			return
		}
		if first, twice := lines[key.Value]; twice {
			b.fail(&node{reader: b.r, file: b.file, path: member(n.path, key.Value), line: key.Line}, "the key stands here for the second time; the first is on line %d. Take one of them out", first)
			return
		}
		lines[key.Value] = key.Line
		if key.Tag == "!!merge" {
			from := b.build(value, nil, "", n.path, depth+1)
			merged = append(merged, from.fields...)
			for _, item := range from.items {
				merged = append(merged, item.fields...)
			}
			continue
		}
		n.fields = append(n.fields, b.build(value, key, key.Value, member(n.path, key.Value), depth+1))
	}
	for _, field := range merged { // what the mapping has itself goes before
		if n.get(field.key) == nil {
			n.fields = append(n.fields, field)
		}
	}
}

func member(path, key string) string {
	if strings.ContainsAny(key, ".[] \t\n") || key == "" {
		return path + "[" + strconv.Quote(textsafe.Line(key, 80)) + "]"
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

func (b *builder) fail(n *node, format string, values ...any) *node {
	if !b.failed {
		n.wrong(format, values...)
	}
	b.failed = true
	return n
}

func commentsOf(n *yaml.Node) []string {
	var list []string
	for _, text := range []string{n.HeadComment, n.LineComment, n.FootComment} {
		for line := range strings.Lines(text) {
			line = strings.TrimRight(strings.TrimLeft(strings.TrimSpace(line), "#"), " \t")
			if line != "" {
				list = append(list, strings.TrimPrefix(line, " "))
			}
		}
	}
	return list
}

// note adds a note about this part.
func (n *node) note(kind Kind, format string, values ...any) {
	if n == nil {
		return
	}
	n.reader.notes = append(n.reader.notes, Note{File: n.file, Line: n.line, Path: n.path, Kind: kind, Text: fmt.Sprintf(format, values...)})
}

func (n *node) wrong(format string, values ...any) { n.note(Wrong, format, values...) }

func (n *node) changed(format string, values ...any) { n.note(Changed, format, values...) }

// lose says that this part, and all within it, is not carried over.
func (n *node) lose(format string, values ...any) {
	if n == nil {
		return
	}
	n.note(Lost, "%s%s", fmt.Sprintf(format, values...), n.within())
	n.ignore()
}

// within lists what stands in a part, without the values: one may be a secret.
func (n *node) within() string {
	var leaves []string
	n.leaves(func(leaf *node) {
		if !leaf.read {
			leaves = append(leaves, strings.TrimPrefix(strings.TrimPrefix(leaf.path, n.path), "."))
		}
	})
	if n.kind == yaml.ScalarNode || len(leaves) == 0 {
		return ""
	}
	return " (" + strings.Join(leaves, ", ") + ")"
}

// ignore marks this part, and all within it, as read: it has no meaning of its own,
// or what becomes of it is told by another note.
func (n *node) ignore() {
	if n == nil {
		return
	}
	n.read = true
	for _, child := range slices.Concat(n.fields, n.items) {
		child.ignore()
	}
}

// leaves calls f for each value within.
func (n *node) leaves(f func(*node)) {
	if n == nil {
		return
	}
	if len(n.fields)+len(n.items) == 0 {
		f(n)
	}
	for _, child := range slices.Concat(n.fields, n.items) {
		child.leaves(f)
	}
}

// untouched tells that nothing within was read.
func (n *node) untouched() bool {
	if n == nil {
		return false
	}
	untouched := true
	n.leaves(func(leaf *node) { untouched = untouched && !leaf.read })
	return untouched && !n.read
}

// leftovers names what nobody has read.
func (n *node) leftovers() {
	if n == nil {
		return
	}
	switch {
	case n.untouched():
		n.lose("gameday has nothing for it")
	default:
		for _, child := range slices.Concat(n.fields, n.items) {
			child.leftovers()
		}
	}
}

// get is the value of a key, or nil. It does not count as read.
func (n *node) get(keys ...string) *node {
	for _, key := range keys {
		if n == nil {
			return nil
		}
		i := slices.IndexFunc(n.fields, func(field *node) bool { return field.key == key })
		if i < 0 {
			return nil
		}
		n = n.fields[i]
	}
	return n
}

// either is the value of the first of some keys that is there.
func (n *node) either(keys ...string) *node {
	for _, key := range keys {
		if found := n.get(key); found != nil {
			return found
		}
	}
	return nil
}

// peek is the text of a scalar, without reading it.
func (n *node) peek() string {
	if n == nil || n.kind != yaml.ScalarNode {
		return ""
	}
	return n.value
}

// text reads a scalar.
func (n *node) text() string {
	if n == nil {
		return ""
	}
	n.read = true
	if n.kind != yaml.ScalarNode {
		n.ignore()
		n.wrong("expected a text or a number, not %s", n.shape())
		return ""
	}
	if n.null {
		return ""
	}
	return straight(n.value)
}

// flag reads true or false.
func (n *node) flag() bool {
	if n == nil {
		return false
	}
	text := n.text()
	value, err := strconv.ParseBool(strings.ToLower(text))
	if err != nil && n.kind == yaml.ScalarNode {
		n.wrong("expected true or false, not %q", text)
	}
	return value
}

// list reads the items of a list; a single value is a list of one.
func (n *node) list() []*node {
	if n == nil {
		return nil
	}
	n.read = true
	if n.kind == yaml.SequenceNode {
		return n.items
	}
	if n.null {
		return nil
	}
	n.wrong("expected a list, not %s", n.shape())
	return nil
}

// members reads the entries of a mapping.
func (n *node) members() []*node {
	if n == nil {
		return nil
	}
	if n.kind != yaml.MappingNode {
		n.read = true
		if !n.null {
			n.wrong("expected a mapping, not %s", n.shape())
		}
		return nil
	}
	n.read = true
	return n.fields
}

func (n *node) shape() string {
	switch n.kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	return "a single value"
}

// allComments gathers the comments of this part and of all within it, each once.
func (n *node) allComments() []string {
	if n == nil {
		return nil
	}
	list := n.comments
	n.comments = nil
	for i, child := range slices.Concat(n.fields, n.items) {
		inner := child.allComments()
		// What stands above the first key is about the whole.
		if child.kind == yaml.ScalarNode && child.key != "" && len(inner) > 0 && i > 0 {
			inner[0] = child.key + ": " + inner[0]
		}
		list = append(list, inner...)
	}
	return list
}

var straightener = strings.NewReplacer("“", `"`, "”", `"`, "„", `"`, "‘", "'", "’", "'", "‚", "'", "–", "-", "—", "-", "\u00a0", " ")

// straight takes off the typographic quotes that a word processor has put around a
// text: YAML takes them for a part of it.
func straight(text string) string {
	trimmed := strings.TrimSpace(text)
	for _, pair := range [][2]string{{"“", "”"}, {"„", "“"}, {"‘", "’"}} {
		if inner, found := strings.CutPrefix(trimmed, pair[0]); found {
			if inner, found = strings.CutSuffix(inner, pair[1]); found {
				return inner
			}
		}
	}
	return text
}
