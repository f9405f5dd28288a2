package reports

import (
	"fmt"
	"io"
	"strings"
)

// writeBudgetMarkdown writes the report of error budgets to edit and to discuss.
func writeBudgetMarkdown(w io.Writer, list []Budget) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n", escape(budgetTitle(list)))
	var outlines []*budgetOutline
	for _, one := range list {
		outlines = append(outlines, outlineBudget(one))
	}
	if len(list) > 0 {
		fmt.Fprintf(&b, "As of %s.", sayMoment(list[0].At, list[0].location()))
	}
	if len(outlines) > 1 {
		fmt.Fprintf(&b, " %s\n\n", sentence(budgetSummary(outlines)))
		table(&b, []string{"SLO", "Current SLI", "Target", "Remaining", "Status"}, len(outlines), "", func(i int) []string {
			o := outlines[i]
			return []string{"**" + escape(o.Name) + "**", saySLI(o.SLI, o.SLO.Objective), o.SLO.Objective.String(), orUnknown(o.Remaining, sayShare), escape(o.Status)}
		})
	} else {
		b.WriteString("\n\n")
	}
	for _, o := range outlines {
		o.markdown(&b)
	}
	if _, err := io.WriteString(w, strings.TrimRight(b.String(), "\n")+"\n"); err != nil {
		return fmt.Errorf("writing the report of error budgets: %w", err)
	}
	return nil
}

func (o *budgetOutline) markdown(b *strings.Builder) {
	fmt.Fprintf(b, "## %s\n\n", escape(o.Name))
	if o.Description != "" {
		fmt.Fprintf(b, "%s\n\n", escape(o.Description))
	}
	fmt.Fprintf(b, "**%s**\n\n", escape(o.Headline))
	rows := append([]fact{}, o.Facts...)
	rows = append(rows, fact{Name: "Status", Value: o.Status})
	rows = append(rows, o.Purposes...)
	rows = append(rows, fact{Name: "Risk", Value: o.Risk})
	table(b, []string{"Measure", "Value"}, len(rows), "", func(i int) []string { return []string{escape(rows[i].Name), escape(rows[i].Value)} })
	b.WriteString("### Recommendation\n\n")
	lines(b, o.Recommendation)
	if len(o.Notes) > 0 {
		b.WriteString("### To know\n\n")
		lines(b, o.Notes)
	}
	if len(o.BurnRates) > 0 {
		b.WriteString("### Burn rate\n\n1 spends the budget in exactly the period.\n\n")
		table(b, o.BurnNames, 1, "", func(int) []string { return o.BurnRates })
	}
	if len(o.Days) > 0 {
		b.WriteString("### Worst days\n\n")
		table(b, []string{"Day", "Bad events", "Events", "SLI", "Of the budget"}, len(o.Days), "", func(i int) []string {
			d := o.Days[i]
			return []string{d.Date, d.Bad, d.Events, d.SLI, d.Share}
		})
		fmt.Fprintf(b, "%s\n\n", escape(o.DaysNote))
	}
	if len(o.DependencyNames) > 0 {
		b.WriteString("### Depends on\n\n")
		table(b, []string{"SLO", "Standing"}, len(o.DependencyNames), "", func(i int) []string {
			return []string{"**" + escape(o.DependencyNames[i]) + "**", escape(o.DependencyStandings[i])}
		})
	}
}

func lines(b *strings.Builder, list []string) {
	for _, text := range list {
		fmt.Fprintf(b, "- %s\n", escape(text))
	}
	b.WriteString("\n")
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
