package rules

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"

	"github.com/gameday-sh/gameday/experiments/probes/prom"
)

// header explains the file to whoever reviews it.
const header = `Made by "gameday rules" of SLOs; change those instead.

slo:errors:ratio_rate<window>      share of bad events: absent without traffic or data, never 0 for it
slo:error_budget_remaining:ratio   what is left of the budget of the whole period
slo:...:rate5m, slo:...:count1m    what both are summed from over the period

The period is known from when these rules are first evaluated; before that, what is left of a
budget speaks of the recorded part only.`

// WriteYAML writes the rules as a file for Prometheus.
func (f *File) WriteYAML(w io.Writer) error {
	var groups []*yaml.Node
	for _, group := range f.Groups {
		var rules []*yaml.Node
		for _, rule := range group.Rules {
			rules = append(rules, rule.node())
		}
		node := mapping(
			"name", text(group.Name),
			"interval", text(prom.InPromQL(group.Interval)),
			"rules", list(rules),
		)
		node.HeadComment = comment(group.Comment)
		groups = append(groups, node)
	}
	var said []string
	for _, note := range f.Notes {
		if note.Omitted {
			said = append(said, fmt.Sprintf("Left out: SLO %q: %s.", note.SLO.Name, note.Text))
		}
	}
	lines := strings.Split(header, "\n")
	if len(said) > 0 {
		lines = append(append(lines, ""), said...)
	}
	return write(w, lines, mapping("groups", list(groups)))
}

func (r Rule) node() *yaml.Node {
	pairs := []any{"record", text(r.Record)}
	if r.Alert != "" {
		pairs = []any{"alert", text(r.Alert)}
	}
	pairs = append(pairs, "expr", query(r.Expr))
	if r.For > 0 {
		pairs = append(pairs, "for", text(prom.InPromQL(r.For)))
	}
	pairs = append(pairs, "labels", texts(r.Labels))
	if len(r.Annotations) > 0 {
		pairs = append(pairs, "annotations", texts(r.Annotations))
	}
	node := mapping(pairs...)
	node.HeadComment = comment(r.Comment)
	return node
}

// write writes a document below a comment.
func write(w io.Writer, header []string, node *yaml.Node) error {
	e := &emitter{quoted: map[string]string{}}
	e.out.WriteString(comment(header) + "\n\n")
	e.node(node, 0)
	if e.err != nil {
		return fmt.Errorf("write YAML: %w", e.err)
	}
	_, err := w.Write(e.out.Bytes())
	return err
}

// emitter lays YAML out. It leaves to the library how a text is quoted, and takes a
// fraction of its time and memory for the rest.
type emitter struct {
	out    bytes.Buffer
	quoted map[string]string
	err    error
}

// node writes a map or a list, of which the first line is indented already.
func (e *emitter) node(n *yaml.Node, depth int) {
	margin := strings.Repeat(" ", depth)
	switch {
	case n.Kind == yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			if i > 0 {
				e.out.WriteString(margin)
			}
			e.out.WriteString(e.scalar(n.Content[i], 0) + ":")
			e.value(n.Content[i+1], depth+2)
		}
	case n.Kind == yaml.SequenceNode:
		for _, item := range n.Content {
			if item.HeadComment != "" {
				e.out.WriteString(margin + strings.ReplaceAll(item.HeadComment, "\n", "\n"+margin) + "\n")
			}
			e.out.WriteString(margin + "-")
			if item.Kind == yaml.MappingNode && item.Style != yaml.FlowStyle {
				e.out.WriteString(" ")
				e.node(item, depth+2)
				continue
			}
			e.value(item, depth+2)
		}
	}
}

// value writes what comes behind a key or a dash, to the end of its last line.
func (e *emitter) value(n *yaml.Node, depth int) {
	switch {
	case n.Kind == yaml.ScalarNode:
		e.out.WriteString(" " + e.scalar(n, depth) + "\n")
	case len(n.Content) == 0 || n.Style == yaml.FlowStyle:
		e.out.WriteString(" " + e.flow(n) + "\n")
	default:
		e.out.WriteString("\n")
		if n.Kind == yaml.MappingNode {
			e.out.WriteString(strings.Repeat(" ", depth))
		}
		e.node(n, depth)
	}
}

// flow writes on one line.
func (e *emitter) flow(n *yaml.Node) string {
	var parts []string
	for i, item := range n.Content {
		switch {
		case item.Kind != yaml.ScalarNode:
			parts = append(parts, e.flow(item))
		case n.Kind == yaml.MappingNode && i%2 == 1:
			parts[len(parts)-1] += ": " + e.scalar(item, 0)
		default:
			parts = append(parts, e.scalar(item, 0))
		}
	}
	if n.Kind == yaml.MappingNode {
		return "{" + strings.Join(parts, ", ") + "}"
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

// plain is a text that YAML reads as it stands, whatever it looks like elsewhere.
var plain = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_./-]*(?:[: ][a-zA-Z0-9_./-]+)*$`)

// words are true, false and nothing of YAML 1.1 and 1.2.
var words = []string{"y", "n", "yes", "no", "on", "off", "true", "false", "null"}

func (e *emitter) scalar(n *yaml.Node, depth int) string {
	value := n.Value
	if n.Style == yaml.LiteralStyle && literally(value) {
		margin := "\n" + strings.Repeat(" ", depth)
		return "|-" + margin + strings.ReplaceAll(value, "\n", margin)
	}
	if n.Tag == "" || plain.MatchString(value) && !slices.Contains(words, strings.ToLower(value)) {
		return value // a number, or a plain text
	}
	if known, found := e.quoted[value]; found {
		return known
	}
	one := text(value)
	if slices.Contains(words, strings.ToLower(value)) || strings.ContainsFunc(value, func(r rune) bool { return !unicode.IsPrint(r) }) {
		one.Style = yaml.DoubleQuotedStyle
	}
	out, err := yaml.Marshal(one)
	if err != nil {
		e.err = errors.Join(e.err, err)
	}
	line := strings.TrimSuffix(string(out), "\n")
	if strings.Contains(line, "\n") {
		e.err = errors.Join(e.err, fmt.Errorf("%q does not fit on one line", value))
	}
	e.quoted[value] = line
	return e.quoted[value]
}

// literally tells whether a text of several lines can be shown as they are.
func literally(value string) bool {
	if value == "" || value[0] == ' ' || strings.HasSuffix(value, "\n") {
		return false
	}
	return !strings.ContainsFunc(value, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) })
}

func comment(lines []string) string {
	var out []string
	for _, line := range lines {
		// A control character or a line break of Unicode would end the comment.
		line = strings.Map(func(r rune) rune {
			if !unicode.IsPrint(r) {
				return ' '
			}
			return r
		}, line)
		out = append(out, strings.TrimRight("# "+line, " "))
	}
	return strings.Join(out, "\n")
}

// mapping is a map in the order written.
func mapping(pairs ...any) *yaml.Node {
	node := &yaml.Node{Kind: yaml.MappingNode}
	for i := 0; i+1 < len(pairs); i += 2 {
		key, _ := pairs[i].(string)
		value, _ := pairs[i+1].(*yaml.Node)
		node.Content = append(node.Content, text(key), value)
	}
	return node
}

func list(items []*yaml.Node) *yaml.Node {
	return &yaml.Node{Kind: yaml.SequenceNode, Content: items}
}

func texts(all map[string]string) *yaml.Node {
	node := &yaml.Node{Kind: yaml.MappingNode}
	for _, key := range slices.Sorted(maps.Keys(all)) {
		node.Content = append(node.Content, text(key), text(all[key]))
	}
	return node
}

// text is a string, quoted where YAML would read something else.
func text(value string) *yaml.Node {
	node := &yaml.Node{}
	node.SetString(value)
	node.Style = 0
	return node
}

// query is PromQL over as many lines as it has. Spaces at the ends of lines mean nothing
// outside of strings, and would keep YAML from showing the lines.
func query(value string) *yaml.Node {
	if !strings.Contains(value, "`") {
		lines := strings.Split(strings.ReplaceAll(value, "\t", "  "), "\n")
		for i := range lines {
			lines[i] = strings.TrimRight(lines[i], " \r")
		}
		value = strings.TrimSpace(strings.Join(lines, "\n"))
	}
	node := text(value)
	if strings.Contains(value, "\n") {
		node.Style = yaml.LiteralStyle
	}
	return node
}
