package rules

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

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
	var out bytes.Buffer
	out.WriteString(comment(header) + "\n\n")
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := encoder.Encode(node); err != nil {
		return fmt.Errorf("write YAML: %w", err)
	}
	if err := encoder.Close(); err != nil {
		return fmt.Errorf("write YAML: %w", err)
	}
	_, err := w.Write(out.Bytes())
	return err
}

func comment(lines []string) string {
	var out []string
	for _, line := range lines {
		// A control character or a line break of Unicode would end the comment.
		line = strings.Map(func(r rune) rune {
			if r < ' ' || r == 0x7f || r == 0x85 || r == 0x2028 || r == 0x2029 {
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
		value = strings.Trim(strings.Join(lines, "\n"), "\n")
	}
	node := text(value)
	if strings.Contains(value, "\n") {
		node.Style = yaml.LiteralStyle
	}
	return node
}
