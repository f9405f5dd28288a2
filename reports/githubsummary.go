package reports

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/gameday-sh/gameday/experiments"
)

// maxSummary is what a summary may weigh, whatever the run: it is one of many in a job's
// summary, which GitHub cuts off at 1 MiB for each step.
const maxSummary = 10_000

// summaryMark is what stands before a verdict, to be found when scrolling.
func summaryMark(v experiments.Verdict) string {
	switch v {
	case experiments.Held:
		return "✅"
	case experiments.Inconclusive:
		return "❔"
	case experiments.Aborted:
		return "🛑"
	}
	return "❌"
}

// writeGitHubSummary writes a short text in GitHub's Markdown, for $GITHUB_STEP_SUMMARY
// and for a comment on a pull request.
func writeGitHubSummary(w io.Writer, r *experiments.Result) error {
	var text string
	for d := (detail{text: 300, rows: 12}); ; d = (detail{text: d.text * 2 / 3, rows: d.rows * 2 / 3}) {
		text = gitHubSummary(r, d)
		if len(text) <= maxSummary || d.rows < 1 {
			break
		}
	}
	if _, err := io.WriteString(w, text); err != nil {
		return fmt.Errorf("writing the summary of run %s: %w", r.Run, err)
	}
	return nil
}

func gitHubSummary(r *experiments.Result, d detail) string {
	o := outliner{r: r, d: d}
	var b strings.Builder
	fmt.Fprintf(&b, "## %s %s: %s\n\n", summaryMark(r.Verdict), escape(cmp.Or(o.clean(r.Scenario), "(a scenario without a name)")), escape(string(r.Verdict)))
	if alarm := o.alarm(); len(alarm) > 0 {
		fmt.Fprintf(&b, "> [!CAUTION]\n> **This may still be broken.** On %s, type %s\n>\n", escape(cmp.Or(o.clean(r.Host), "the machine that ran it")), code(clean(o.command("recover"), d.text)))
		for _, text := range alarm {
			fmt.Fprintf(&b, "> - %s\n", escape(text))
		}
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, "%s\n\n", escape(o.headline()))
	if reason := o.reason(); reason != "" {
		fmt.Fprintf(&b, "Why: %s\n\n", escape(reason))
	}

	// What needs somebody's eyes comes first, where not all fit.
	rows := o.hypotheses()
	slices.SortStableFunc(rows, func(a, b hypothesisRow) int { return cmp.Compare(heldLast(a), heldLast(b)) })
	table(&b, []string{"Hypothesis", "Before", "During", "Recovery", "Verdict"}, min(len(rows), d.rows), "", func(i int) []string {
		h := rows[i]
		return []string{join2("**"+escape(h.Name)+"**", escape(h.Statement)), escape(h.Before.Value), h.During.markdown(false), h.Recovery.markdown(false), "**" + escape(h.Verdict) + "**"}
	})
	more(&b, len(rows)-d.rows, "hypothesis")

	faults := o.faults()
	table(&b, []string{"What was broken", "When", "Outcome"}, len(faults), noFaults, func(i int) []string {
		f := faults[i]
		return []string{join2("**"+escape(f.Name)+"** "+code(f.Kind), escape(o.targets(r.Faults[i].Name))), escape(f.Schedule), escape(f.Outcome)}
	})
	more(&b, len(r.Faults)-len(faults), "fault")

	for _, f := range o.summary() {
		if f.Name != "What was broken" && f.Name != "What was seen" {
			fmt.Fprintf(&b, "- **%s**: %s\n", f.Name, escape(clean(f.Value, 2*d.text)))
		}
	}
	fmt.Fprintf(&b, "- **Run**: %s, seed %d\n", code(o.clean(r.Run)), r.Seed)
	fmt.Fprintf(&b, "- **Whole report**: report.html beside result.json in the run's artifacts, or %s\n", code(clean(o.command("report")+" --format html", d.text)))
	return b.String()
}

func heldLast(h hypothesisRow) int {
	if h.Class == string(experiments.Held) {
		return 1
	}
	return 0
}

func more(b *strings.Builder, count int, noun string) {
	if count > 0 {
		fmt.Fprintf(b, "%s in the whole report.\n\n", plural(count, "more "+noun))
	}
}

// targets names the first of those that a fault hit.
func (o outliner) targets(fault string) string {
	var first string
	count := 0
	for i := range o.r.Hits {
		if h := &o.r.Hits[i]; h.Fault == fault && !h.Injected.IsZero() {
			if count++; count == 1 {
				first = o.clean(h.Target)
			}
		}
	}
	switch count {
	case 0:
		return ""
	case 1:
		return "on " + first
	}
	return "on " + first + " and " + plural(count-1, "more hit")
}
