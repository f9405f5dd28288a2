package reports

import (
	"cmp"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/gameday-sh/gameday/experiments"
)

// writeMarkdown writes a blameless postmortem: what a machine can know is filled in,
// what only people can know is marked as a place to fill.
func writeMarkdown(w io.Writer, r *experiments.Result) error {
	o := newOutline(r, detail{text: 600, rows: 200})
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
	for _, f := range o.Facts {
		fmt.Fprintf(&b, "- **%s**: %s\n", f.Name, escape(f.Value))
	}
	fmt.Fprintf(&b, "- **Severity**: %s\n\n", fill("how a real incident like this would be rated"))

	b.WriteString("## Summary\n\n")
	if o.Description != "" {
		fmt.Fprintf(&b, "%s\n\n", escape(sentence(o.Description)))
	}
	for _, f := range o.Summary {
		fmt.Fprintf(&b, "- **%s**: %s\n", f.Name, escape(f.Value))
	}
	b.WriteByte('\n')

	b.WriteString("## Hypotheses\n\n")
	table(&b, []string{"Hypothesis", "Before", "During", "Recovery", "Verdict"}, len(o.Hypotheses), noHypotheses, func(i int) []string {
		h := o.Hypotheses[i]
		return []string{join2("**"+escape(h.Name)+"**", escape(h.Statement)), h.Before.markdown(), h.During.markdown(), h.Recovery.markdown(), "**" + escape(h.Verdict) + "**"}
	})

	b.WriteString("## What was broken and mended\n\n")
	table(&b, []string{"Letter", "Fault", "Kind", "When", "Outcome"}, len(o.Faults), noFaults, func(i int) []string {
		f := o.Faults[i]
		return []string{f.Letter, escape(f.Name), code(f.Kind), escape(f.Schedule), escape(f.Outcome)}
	})
	if len(o.Faults)+len(o.Hits) > 0 {
		table(&b, []string{"Fault", "Target", "Effect", "Injected", "Read back after", "Mended", "Read back after", "Now"}, len(o.Hits), "Nothing was hit.", func(i int) []string {
			h := o.Hits[i]
			return []string{h.Letter, escape(h.Target), escape(h.Effect), dash(h.Injected), dash(escape(h.Proof)),
				dash(h.Mended), dash(escape(h.MendedProof)), join2(join2("**"+escape(h.Status)+"**", escape(h.Error)), escape(h.Found))}
		})
	}
	if o.HitsLeftOut > 0 {
		fmt.Fprintf(&b, "%s in result.json.\n\n", plural(o.HitsLeftOut, "more hit"))
	}

	b.WriteString("## Timeline\n\nTimes are UTC; + is the time since the run began, in minutes and seconds. Source is what the line comes from.\n\n")
	table(&b, []string{"Time (UTC)", "+", "Source", "Event"}, len(o.Moments), "Nothing was recorded.", func(i int) []string {
		m := o.Moments[i]
		return []string{m.Clock, m.Offset, escape(m.Source), escape(m.Text)}
	})

	b.WriteString("## Guards\n\n")
	table(&b, []string{"Guard", "Kind", "Most of its limit taken", "Reading at the end", "Times asked", "Outcome"}, len(o.Guards), "No guard watched.", func(i int) []string {
		g := o.Guards[i]
		return []string{"**" + escape(g.Name) + "**", escape(g.Kind), join2(escape(g.Peak), escape(g.PeakText)), escape(g.Last), g.Looks, escape(g.State)}
	})

	if len(o.Notices) > 0 {
		b.WriteString("## Who was told\n\n")
		table(&b, []string{"Time (UTC)", "Receiver", "Kind", "Of what", "Outcome"}, len(o.Notices), "", func(i int) []string {
			n := o.Notices[i]
			return []string{n.Clock, escape(n.Receiver), code(n.Kind), escape(n.Moment), toldOrNot(n)}
		})
	}

	b.WriteString("## Impact\n\n")
	for _, s := range o.Budgets {
		fmt.Fprintf(&b, "- **%s** (%s): %s. %s\n", escape(s.Name), escape(s.Objective), escape(s.Events), escape(s.Words))
		for _, text := range s.More {
			fmt.Fprintf(&b, "  - %s\n", escape(text))
		}
	}
	for _, j := range o.Journeys {
		fmt.Fprintf(&b, "- **%s** (%s): %s\n", escape(j.Name), escape(j.Criticality), escape(j.Words))
	}
	fmt.Fprintf(&b, "- **Users affected**: %s\n- **Revenue**: %s\n\n", fill("how many, and what they saw"), fill("what it cost, if anything"))

	section(&b, "What went well", o.Well, nothingWell, "what people did that helped")
	section(&b, "What went wrong", o.Wrong, nothingWrong, "what people found missing or slow")
	section(&b, "Root cause", nil, "", "why the system behaved as it did")
	b.WriteString("## Action items\n\n| Action | Owner | Due date | Priority |\n|---|---|---|---|\n")
	fmt.Fprintf(&b, "| %s |  |  |  |\n\n", fill("one line an action"))
	section(&b, "Lessons learned", nil, "", "what the next team should know")
	section(&b, "Prevention", nil, "", "what will keep it from happening again")

	fmt.Fprintf(&b, "## Run it again\n\n%s\n\n", sameSeed)
	if o.Rerun.Where != "" {
		fmt.Fprintf(&b, "%s\n\n", escape(o.Rerun.Where))
	}
	for _, command := range o.Rerun.Commands {
		fmt.Fprintf(&b, "    %s\n", command)
	}
	for _, note := range o.Rerun.Notes {
		fmt.Fprintf(&b, "\n%s\n", escape(note))
	}
	fmt.Fprintf(&b, "\nScenario digest: %s. Written by gameday %s from result.json of run %s.\n", code(cmp.Or(o.Digest, "unknown")), escape(cmp.Or(o.Version, "of unknown version")), code(o.Run))
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("writing the Markdown report of run %s: %w", r.Run, err)
	}
	return nil
}

func (c cell) markdown() string {
	text := escape(c.Value)
	switch c.Class {
	case "", "held":
	default:
		text = "**" + text + "**"
	}
	return join2(text, escape(c.Detail))
}

// join2 puts the second text on a line of its own, inside a table cell too.
func join2(a, b string) string {
	if b == "" {
		return a
	}
	return a + "<br>" + b
}

func toldOrNot(n noticeRow) string {
	if n.Failed {
		return "**Not told**: " + escape(n.Outcome)
	}
	return escape(n.Outcome)
}

func dash(text string) string { return cmp.Or(text, "–") }

func fill(what string) string { return "**" + unfilled + "** _" + what + "._" }

// section lists facts, or says that there are none, and leaves a place for people.
func section(b *strings.Builder, title string, facts []string, none, what string) {
	fmt.Fprintf(b, "## %s\n\n", title)
	for _, text := range facts {
		fmt.Fprintf(b, "- %s\n", escape(text))
	}
	switch {
	case len(facts) > 0:
		b.WriteByte('\n')
	case none != "":
		fmt.Fprintf(b, "%s\n\n", none)
	}
	fmt.Fprintf(b, "%s\n\n", fill(what))
}

// table writes count rows, or a sentence where there is none.
func table(b *strings.Builder, heads []string, count int, none string, row func(int) []string) {
	if count == 0 {
		fmt.Fprintf(b, "%s\n\n", none)
		return
	}
	fmt.Fprintf(b, "| %s |\n|%s\n", strings.Join(heads, " | "), strings.Repeat("---|", len(heads)))
	for i := range count {
		fmt.Fprintf(b, "| %s |\n", strings.Join(row(i), " | "))
	}
	b.WriteString("\n")
}

var (
	// special is what CommonMark and its tables give a meaning anywhere in a line.
	special = regexp.MustCompile("[\\\\`*\\[\\]|~$]|\\b_+|_+\\b|__+")
	// leading is what has a meaning at the start of a line.
	leading = regexp.MustCompile(`^(?:[-+=#>:]|\d{1,9}([.)])(?:\s|$))`)
	// linked is what renderers turn into a link or a call for a person unasked.
	linked = regexp.MustCompile(`(?i)(://|www\.|@|#\d)`)
	// entities are written for what HTML would read as markup.
	entities = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")
)

// escape makes a clean text mean itself in Markdown, in a paragraph and in a table.
func escape(text string) string {
	text = special.ReplaceAllStringFunc(text, func(found string) string {
		var b strings.Builder
		for _, char := range found {
			b.WriteByte('\\')
			b.WriteRune(char)
		}
		return b.String()
	})
	text = entities.Replace(text)
	// An entity in the middle reads the same and is no longer a link.
	text = linked.ReplaceAllStringFunc(text, func(found string) string {
		switch found[0] {
		case ':':
			return "&#58;//"
		case '@':
			return "&#64;"
		case '#':
			return "&#35;" + found[1:]
		}
		return found[:3] + "&#46;"
	})
	if loc := leading.FindStringSubmatchIndex(text); loc != nil {
		at := 0
		if loc[2] >= 0 {
			at = loc[2]
		}
		text = text[:at] + `\` + text[at:]
	}
	return text
}

// code makes a clean text a code span, with a fence longer than any run of backticks
// in it. A pipe is escaped, because tables are cut into cells before code is read.
func code(text string) string {
	if text == "" {
		return ""
	}
	longest, run := 0, 0
	for _, char := range text {
		if char == '`' {
			run++
			longest = max(longest, run)
		} else {
			run = 0
		}
	}
	fence := strings.Repeat("`", longest+1)
	if longest > 0 {
		text = " " + text + " "
	}
	return fence + strings.ReplaceAll(text, "|", `\|`) + fence
}
