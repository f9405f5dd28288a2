package reports

import (
	"cmp"
	"fmt"
	"io"
	"strings"
)

// writeMarkdown writes a blameless postmortem: what a machine can know is filled in,
// what only people can know is marked as a place to fill, and what they wrote there stays
// byte for byte.
func writeMarkdown(w io.Writer, s *Stored, people *Document) error {
	r := s.Result
	words, err := storedOutliner(s, detail{text: 600, rows: 200})
	if err != nil {
		return fmt.Errorf("reading the samples of run %s: %w", r.Run, err)
	}
	o := words.newOutline(people)
	var b strings.Builder
	fmt.Fprintf(&b, "# Postmortem: %s\n\n", escape(o.Title))
	if len(o.Alarm) > 0 {
		fmt.Fprintf(&b, "> [!CAUTION]\n> **This may still be broken.** %s\n>\n", escape(o.AlarmWhere))
		fmt.Fprintf(&b, "> %s\n>\n", code(o.AlarmCommand))
		for _, text := range o.Alarm {
			fmt.Fprintf(&b, "> - %s\n", escape(text))
		}
		b.WriteString("\n")
	}
	fmt.Fprintf(&b, "**Verdict: %s.** %s\n\n", escape(o.Verdict), escape(o.Headline))
	if o.Reason != "" {
		fmt.Fprintf(&b, "Why: %s\n\n", escape(o.Reason))
	}
	if o.Description != "" {
		fmt.Fprintf(&b, "Scenario: %s\n\n", escape(sentence(o.Description)))
	}
	var proposals []string
	for _, s := range o.Sections {
		var part strings.Builder
		for i := range s.Blocks {
			s.Blocks[i].markdown(&part)
			if p := s.Blocks[i].Place; p != nil && p.Proposal != "" && p.Text == "" {
				proposals = append(proposals, p.Key)
			}
		}
		if part.Len() > 0 { // a section of pictures has nothing to say here
			fmt.Fprintf(&b, "## %s\n\n%s", s.Mark.beside(s.Title), part.String())
		}
	}
	fmt.Fprintf(&b, "Written by gameday %s from result.json of run %s. What stands between two place comments is kept when it is rendered again.\n\n", escape(cmp.Or(o.Version, "of unknown version")), code(o.Run))
	if _, err := io.WriteString(w, sealed(b.String(), digest(r.Run), proposals)); err != nil {
		return fmt.Errorf("writing the Markdown report of run %s: %w", r.Run, err)
	}
	return nil
}

// markdown writes a block, with an empty line behind it.
func (k *block) markdown(b *strings.Builder) {
	switch {
	case k.Text != "":
		fmt.Fprintf(b, "%s\n\n", escape(k.Text))
	case k.Facts != nil:
		for _, f := range k.Facts {
			fmt.Fprintf(b, "- %s: %s\n", f.Mark.beside("**"+escape(f.Name)+"**"), escape(f.Value))
		}
		b.WriteByte('\n')
	case k.About != nil:
		var said []string
		for _, f := range k.About {
			said = append(said, f.Mark.beside(f.Name)+": "+escapeWithin(f.Value))
		}
		fmt.Fprintf(b, "%s\n\n", strings.Join(said, " · "))
		var signs []string
		for _, m := range marks {
			signs = append(signs, m.Sign+" "+m.Says)
		}
		fmt.Fprintf(b, "_Marks: %s._\n\n", strings.Join(signs, ", "))
	case k.List != nil:
		for _, one := range k.List {
			fmt.Fprintf(b, "- %s\n", escape(one.Mark.beside(one.Text)))
		}
		b.WriteByte('\n')
	case k.Table != nil:
		k.Table.markdown(b)
	case k.Place != nil:
		k.Place.markdown(b)
	case k.Commands != nil:
		for _, command := range k.Commands {
			fmt.Fprintf(b, "    %s\n", command)
		}
		b.WriteByte('\n')
	case k.Budgets != nil:
		for _, s := range k.Budgets {
			fmt.Fprintf(b, "- **%s** (%s) %s: %s. %s\n", escape(s.Name), escape(s.Objective), derived.Sign(), escape(s.Events), escape(s.Words))
			for _, text := range s.More {
				fmt.Fprintf(b, "  - %s\n", escape(text))
			}
		}
		b.WriteByte('\n')
	}
}

func (p *place) markdown(b *strings.Builder) {
	if p.Label != "" {
		fmt.Fprintf(b, "%s\n\n", human.beside("**"+p.Label+"**"))
	}
	if p.Note != "" {
		fmt.Fprintf(b, "%s\n\n", proposed.beside(escape(p.Note)))
	}
	text := cmp.Or(p.Text, p.Proposal, hint(p.Asks))
	if !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	b.WriteString(placeMark(p.Key) + text + endMark + "\n")
}

// markdown writes a table, or a sentence where there is no row.
func (t *sheet) markdown(b *strings.Builder) {
	if len(t.Rows) == 0 {
		fmt.Fprintf(b, "%s\n\n", t.None)
		return
	}
	for _, c := range t.Columns {
		fmt.Fprintf(b, "| %s ", c.Mark.beside(c.Name))
	}
	fmt.Fprintf(b, "|\n|%s\n", strings.Repeat("---|", len(t.Columns)))
	for _, row := range t.Rows {
		for i, c := range row {
			fmt.Fprintf(b, "| %s ", c.markdown(i == 0 && t.Class == ""))
		}
		b.WriteString("|\n")
	}
	b.WriteString("\n")
	if t.More != "" {
		fmt.Fprintf(b, "%s\n\n", t.More)
	}
}

func (c cell) markdown(head bool) string {
	text := escapeWithin(c.Value)
	switch {
	case head || c.Pill:
		text = "**" + text + "**"
	case c.Class == "", c.Class == "held":
	default:
		text = "**" + text + "**"
	}
	if c.Letter != "" {
		text = c.Letter + " " + text
	}
	return join2(c.Mark.beside(text), escapeWithin(c.Detail))
}

// join2 puts the second text on a line of its own, inside a table cell too.
func join2(a, b string) string {
	if b == "" {
		return a
	}
	return a + "<br>" + b
}
