package scenarios

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/mitchellh/go-wordwrap"
)

// explainWidth is how wide the explanations are, in columns.
const explainWidth = 80

// Explain writes what a block or a kind is for, its attributes and an example.
// Without a topic it lists all there is.
func (l Language) Explain(w io.Writer, topic, kind string) error {
	docs := l.Describe()
	if topic == "" {
		return emit(w, func(out *bytes.Buffer) { l.overview(out, docs) })
	}
	if topic == "functions" && kind == "" {
		return emit(w, func(out *bytes.Buffer) { writeFunctions(out) })
	}
	if kind == "" {
		if found := slices.IndexFunc(docs, func(d BlockDoc) bool { return d.Topic == topic && d.Kind == "" }); found >= 0 {
			return emit(w, func(out *bytes.Buffer) { l.writeTopic(out, docs, docs[found]) })
		}
		// A kind may be asked for without its topic.
		if found := slices.IndexFunc(docs, func(d BlockDoc) bool { return d.Kind == topic }); found >= 0 {
			return emit(w, func(out *bytes.Buffer) { writeDoc(out, docs[found]) })
		}
		return unknownTopic(docs, topic)
	}
	if found := slices.IndexFunc(docs, func(d BlockDoc) bool { return d.Topic == topic && d.Kind == kind }); found >= 0 {
		return emit(w, func(out *bytes.Buffer) { writeDoc(out, docs[found]) })
	}
	return unknownKindOf(docs, topic, kind)
}

func emit(w io.Writer, write func(*bytes.Buffer)) error {
	var out bytes.Buffer
	write(&out)
	_, err := w.Write(out.Bytes())
	return err
}

func unknownTopic(docs []BlockDoc, topic string) error {
	known := []string{"functions"}
	for _, d := range docs {
		known = append(known, d.Topic)
		if d.Kind != "" {
			known = append(known, d.Kind)
		}
	}
	if word := nearest(topic, known); word != "" {
		return fmt.Errorf("explain: there is nothing called %q; did you mean %q?", topic, word)
	}
	return fmt.Errorf("explain: there is nothing called %q; `gameday explain` lists what there is", topic)
}

func unknownKindOf(docs []BlockDoc, topic, kind string) error {
	var kinds []string
	topicExists := false
	for _, d := range docs {
		if d.Topic == topic {
			topicExists = true
			if d.Kind != "" {
				kinds = append(kinds, d.Kind)
			}
		}
	}
	switch {
	case !topicExists:
		return unknownTopic(docs, topic)
	case len(kinds) == 0:
		return fmt.Errorf("explain: a %s has no kinds; write `gameday explain %s`", topic, topic)
	}
	if word := nearest(kind, kinds); word != "" {
		return fmt.Errorf("explain: there is no %s of the kind %q; did you mean %q?", topic, kind, word)
	}
	return fmt.Errorf("explain: there is no %s of the kind %q; there is: %s", topic, kind, strings.Join(kinds, ", "))
}

// entry is a line of a list: a name and what it is.
type entry struct{ name, text string }

func writeEntries(out *bytes.Buffer, entries []entry) {
	width := 0
	for _, e := range entries {
		width = max(width, len(e.name))
	}
	for _, e := range entries {
		name := e.name
		for line := range strings.Lines(wordwrap.WrapString(e.text, uint(max(explainWidth-width-4, 20)))) {
			fmt.Fprintf(out, "  %-*s  %s\n", width, name, strings.TrimRight(line, "\n"))
			name = ""
		}
	}
}

func (l Language) overview(out *bytes.Buffer, docs []BlockDoc) {
	connections := names(rows(l.Connections))
	var blocks, systems []entry
	for _, d := range docs {
		switch {
		case slices.Contains(connections, d.Topic):
			systems = append(systems, entry{d.Topic, d.Summary})
		case d.Kind == "":
			blocks = append(blocks, entry{d.Topic, d.Summary})
		}
	}
	blocks = append(blocks, entry{"functions", "What expressions may call"})
	out.WriteString("Blocks\n")
	writeEntries(out, blocks)
	out.WriteString("\nConnections\n")
	writeEntries(out, systems)
	for _, f := range l.families() {
		fmt.Fprintf(out, "\nKinds of %s\n", f.topic)
		writeEntries(out, kindEntries(f.kinds))
	}
	out.WriteString("\nMore: gameday explain BLOCK, or gameday explain BLOCK KIND.\n")
}

func kindEntries(kinds []row) []entry {
	var list []entry
	for _, kind := range kinds {
		list = append(list, entry{kind.name, kind.summary})
	}
	return list
}

// writeTopic writes a block of the language, with its kinds if it has some.
func (l Language) writeTopic(out *bytes.Buffer, docs []BlockDoc, doc BlockDoc) {
	for _, f := range l.families() {
		if f.topic != doc.Topic {
			continue
		}
		doc.Example = ""
		writeDoc(out, doc)
		out.WriteString("\nKinds\n")
		writeEntries(out, kindEntries(f.kinds))
		fmt.Fprintf(out, "\nMore: gameday explain %s KIND.\n", doc.Topic)
		return
	}
	writeDoc(out, doc)
}

func writeDoc(out *bytes.Buffer, doc BlockDoc) {
	fmt.Fprintf(out, "%s { ... }\n", doc.Form)
	writeWrapped(out, "  ", sentence(doc.Summary))
	if doc.Text != "" {
		out.WriteByte('\n')
		writeWrapped(out, "  ", doc.Text)
	}
	for _, group := range doc.Groups {
		if len(group.Attributes) == 0 {
			continue
		}
		title := group.Title
		if title == "" {
			title = "Attributes"
		}
		fmt.Fprintf(out, "\n%s\n", title)
		writeAttributes(out, "  ", group.Attributes)
	}
	if len(doc.Exports) > 0 {
		fmt.Fprintf(out, "\nValues to refer to\n")
		for _, export := range doc.Exports {
			fmt.Fprintf(out, "  %s.NAME.%s\n", doc.Topic, export)
		}
	}
	if doc.Example != "" {
		out.WriteString("\nExample\n")
		for line := range strings.Lines(doc.Example) {
			out.WriteString(strings.TrimRight("  "+strings.TrimRight(line, "\r\n"), " ") + "\n")
		}
	}
}

func writeAttributes(out *bytes.Buffer, indent string, attributes []AttributeDoc) {
	for _, a := range attributes {
		writeWrapped(out, indent, a.Name+"  "+a.facts())
		writeWrapped(out, indent+"    ", a.Doc)
		if a.Example != "" && a.Default == "" {
			writeWrapped(out, indent+"    ", "Example: "+a.Name+" = "+a.Example)
		}
		writeAttributes(out, indent+"    ", a.Inner)
	}
}

// facts says in a line what an attribute takes: "(a duration, default "0s")".
func (a AttributeDoc) facts() string {
	facts := []string{a.Type}
	if len(a.Enum) > 0 {
		facts[0] = strings.Join(a.Enum, " | ")
	}
	if a.Unit != "" {
		facts = append(facts, "in "+a.Unit)
	}
	switch {
	case a.Repeated:
		facts = append(facts, "may be repeated")
	case a.Block:
		facts = append(facts, "optional")
	case a.Required:
		facts = append(facts, "required")
	case a.Default != "":
		facts = append(facts, "default "+a.Default)
	default:
		facts = append(facts, "optional")
	}
	return "(" + strings.Join(facts, ", ") + ")"
}

func writeWrapped(out *bytes.Buffer, indent, text string) {
	for line := range strings.Lines(wordwrap.WrapString(text, uint(explainWidth-len(indent)))) {
		out.WriteString(indent + strings.TrimRight(line, "\n") + "\n")
	}
}

func sentence(text string) string {
	if strings.HasSuffix(text, ".") {
		return text
	}
	return text + "."
}

func writeFunctions(out *bytes.Buffer) {
	out.WriteString("Functions\n")
	writeWrapped(out, "  ", strings.Join(FunctionNames(), ", ")+".")
	out.WriteByte('\n')
	writeWrapped(out, "  ", functionsText)
}

// functionsText says what the functions are, for the terminal and the reference.
const functionsText = `They do what those of Terraform do. Two are of our own kind: env("NAME") and env("NAME", "default") read the environment, and what they give may only go into attributes made for secrets; nonsensitive(value) lets a value go anywhere that is no secret.`
