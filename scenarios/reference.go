package scenarios

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
)

// WriteReference writes the reference of the language as Markdown.
func (l Language) WriteReference(w io.Writer) error {
	docs := l.Describe()
	connections := names(rows(l.Connections))
	return emit(w, func(out *bytes.Buffer) {
		out.WriteString("# The language\n\n")
		out.WriteString("A configuration is a file, or all `.hcl` files of a directory. Durations (`\"300ms\"`, `\"1m30s\"`, `\"30d\"`), percents (`\"99.9%\"`) and ranges (`\"30s..120s\"`) are texts with a unit. An attribute that is `null` is as if left out.\n\n")
		out.WriteString("References are `var.x`, `local.x`, `slo.x`, `probe.x`, `journey.x`, within a scenario `fault.x` and `notify.x`, within the steps of a journey `capture.x`, and for connections `kind`, `kind.name` and their values `kind.name.value`.\n")
		out.WriteString("\n## Blocks\n")
		for _, d := range docs {
			if d.Kind == "" && !slices.Contains(connections, d.Topic) {
				writeMarkdown(out, d, d.Topic)
			}
		}
		out.WriteString("\n## Connections\n")
		for _, d := range docs {
			if slices.Contains(connections, d.Topic) {
				writeMarkdown(out, d, d.Topic)
			}
		}
		for _, f := range l.families() {
			fmt.Fprintf(out, "\n## Kinds of %s\n", f.topic)
			for _, d := range docs {
				if d.Topic == f.topic && d.Kind != "" {
					writeMarkdown(out, d, d.Kind)
				}
			}
		}
		fmt.Fprintf(out, "\n## Functions\n\n`%s`\n\n%s\n", strings.Join(FunctionNames(), "`, `"), cell(functionsText))
	})
}

func writeMarkdown(out *bytes.Buffer, doc BlockDoc, title string) {
	fmt.Fprintf(out, "\n### %s\n\n`%s { ... }`\n\n%s\n", title, doc.Form, sentence(doc.Summary))
	if doc.Text != "" {
		fmt.Fprintf(out, "\n%s\n", doc.Text)
	}
	for _, group := range doc.Groups {
		if len(group.Attributes) == 0 {
			continue
		}
		// What all kinds have stands once, in the section of their block.
		if group.Title != "" && doc.Kind != "" {
			continue
		}
		out.WriteString("\n| attribute | takes | meaning |\n|---|---|---|\n")
		writeRows(out, "", group.Attributes)
	}
	if len(doc.Exports) > 0 {
		fmt.Fprintf(out, "\nValues to refer to: `%s`.\n", strings.Join(doc.Exports, "`, `"))
	}
	if doc.Example != "" {
		fmt.Fprintf(out, "\n```hcl\n%s\n```\n", doc.Example)
	}
}

func writeRows(out *bytes.Buffer, prefix string, attributes []AttributeDoc) {
	for _, a := range attributes {
		facts := strings.TrimSuffix(strings.TrimPrefix(a.facts(), "("), ")")
		doc := a.Doc
		if a.Example != "" && a.Default == "" {
			doc += " Example: `" + a.Example + "`"
		}
		fmt.Fprintf(out, "| `%s` | %s | %s |\n", prefix+a.Name, cell(facts), cell(doc))
		writeRows(out, prefix+a.Name+".", a.Inner)
	}
}

// cell keeps a text from breaking a table.
func cell(text string) string {
	return strings.NewReplacer("|", "\\|", "\n", " ").Replace(text)
}
