package console

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/charmbracelet/x/ansi"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/guards/budgets"
)

// notes are what a table has no room for: what is not known and why, dependencies that
// are worse off, alerts, and what the bands mean.
func (b Budgets) notes(width int, p palette) []string {
	var lines []string
	add := func(mark, text string) {
		lines = append(lines, hang(mark+" ", text, width)...)
	}
	unknown, overspent := 0, 0
	var reasons []string
	dark := map[string][]string{} // a server that is away is said once, not fifty times
	for _, s := range b.States {
		switch {
		case !s.Known():
			unknown++
			reason := fmt.Sprintf("%s: %s", s.Condition, s.Why)
			if dark[reason] == nil {
				reasons = append(reasons, reason)
			}
			dark[reason] = append(dark[reason], s.SLO.Name)
		case s.Remaining() < 0:
			overspent++
		}
	}
	for _, reason := range reasons {
		names := dark[reason]
		who := names[0] + " is"
		switch n := len(names); {
		case n > 4:
			who = fmt.Sprintf("%s and %d more are", strings.Join(names[:3], ", "), n-3)
		case n > 1:
			who = strings.Join(names[:n-1], ", ") + " and " + names[n-1] + " are"
		}
		add(p.warn("?"), who+" unknown, "+reason)
	}
	for _, s := range b.States {
		for _, text := range b.remarks(s) {
			add(p.warn("!"), s.SLO.Name+" "+text)
		}
	}
	legend := b.legend(width, p)
	if len(lines) > 0 || len(legend) > 0 {
		lines = append([]string{""}, lines...)
	}
	lines = append(lines, legend...)
	summary := fmt.Sprintf("%d SLOs", len(b.States))
	if overspent > 0 {
		summary += ", " + p.bad(fmt.Sprintf("%d overspent", overspent))
	}
	if unknown > 0 {
		summary += ", " + p.warn(fmt.Sprintf("%d unknown", unknown))
	}
	if overspent+unknown == 0 {
		summary += ", " + p.good("all within their budgets")
	}
	return append(lines, summary)
}

// remarks are what is to be known beside the numbers.
func (b Budgets) remarks(s *budgets.State) []string {
	var list []string
	if s.Known() {
		if have, of := s.Covered(); float64(have) < 0.99*float64(of) {
			list = append(list, fmt.Sprintf("has a history of %s of %s: its share is of what was seen", spanText(have), spanText(of)))
		}
	}
	for _, other := range s.Worse(b.All) {
		if other.Known() {
			list = append(list, fmt.Sprintf("depends on %s, which has %s left", other.SLO.Name, leftText(other.Remaining())))
		} else {
			list = append(list, fmt.Sprintf("depends on %s, which is unknown (%s)", other.SLO.Name, other.Condition))
		}
	}
	if raised := s.Raised(); len(raised) > 0 {
		gravest := raised[len(raised)-1]
		text := fmt.Sprintf("raises the alert %q: less than %s is left", gravest.Severity, leftText(gravest.Below))
		if gravest.Notify != "" {
			text += "; tell " + gravest.Notify
		}
		list = append(list, text)
	}
	return list
}

// legend says what the bands that are there allow.
func (b Budgets) legend(width int, p palette) []string {
	type key struct {
		policy *experiments.Policy
		band   string
	}
	var seen []key
	var names, texts, policies []string
	var paints []func(string) string
	for _, s := range b.States {
		band, ok := s.Band()
		k := key{s.Policy, band.Name}
		if !ok || slices.Contains(seen, k) {
			continue
		}
		seen = append(seen, k)
		if !slices.Contains(policies, s.Policy.Name) {
			policies = append(policies, s.Policy.Name)
		}
		names, texts, paints = append(names, band.Name), append(texts, bandText(band)), append(paints, b.tone(s, p))
	}
	if len(policies) > 1 {
		for i, k := range seen {
			names[i] = k.policy.Name + " " + names[i]
		}
	}
	wide := 0
	for _, name := range names {
		wide = max(wide, ansi.StringWidth(name))
	}
	var lines []string
	for i, name := range names {
		lines = append(lines, hang(paints[i](column(name, wide))+"  ", texts[i], width)...)
	}
	return lines
}

func bandText(band experiments.Band) string {
	text := "allows " + strings.Join(band.Allows, ", ")
	if len(band.Allows) == 0 {
		text = "allows nothing"
	}
	if len(band.Actions) > 0 {
		text += "; " + strings.Join(band.Actions, "; ")
	}
	return text
}

// hang wraps a text under its first line, behind a head.
func hang(head, text string, width int) []string {
	indent := ansi.StringWidth(head)
	var lines []string
	for i, line := range strings.Split(ansi.Wrap(text, max(width-indent, 10), " "), "\n") {
		if i == 0 {
			lines = append(lines, head+line)
		} else {
			lines = append(lines, strings.Repeat(" ", indent)+line)
		}
	}
	return lines
}

// card is all there is to say of one budget.
func (b Budgets) card(s *budgets.State, width int, p palette) []string {
	lines := []string{p.bold(s.SLO.Name)}
	if s.SLO.Description != "" {
		lines = append(lines, hang("", s.SLO.Description, width)...)
	}
	lines = append(lines, "")
	const wide = 11
	add := func(name, text string) {
		lines = append(lines, hang(p.faint(column(name, wide)), text, width)...)
	}
	add("objective", s.SLO.Objective.String()+" over "+s.SLO.PeriodText())
	if !s.Known() {
		add("budget", p.warn("unknown, "+string(s.Condition)+": "+s.Why))
	} else {
		add("SLI", fmt.Sprintf("%s: %s bad of %s events", shareText(s.SLI(), s.SLO.Objective), countText(s.Period.Bad), countText(s.Period.Total)))
		full, empty := gauge(s.Remaining(), max(min(width-wide-30, 24), 4))
		tone := b.tone(s, p)
		add("left", tone(full+empty+"  "+leftText(s.Remaining()))+fmt.Sprintf(" of %s events", countText(s.Budget())))
		add("consumed", leftText(s.Consumed()))
		if s.SLO.Calendar != nil {
			burn, over := s.Present()
			add("period", fmt.Sprintf("until %s; at the burn of the last %s, %s consumed at its end", s.To.Format("2006-01-02 15:04 MST"), spanText(over), leftText(s.AtEnd(burn))))
		}
	}
	var burns []string
	said := s.Known()
	for _, window := range append(budgets.Windows(s.SLO), 0) {
		name, burn := windowText(window), s.Burn(window)
		length := window
		if window == 0 {
			name, length = "period", s.Period.Window
		}
		said = said || !math.IsNaN(burn)
		burns = append(burns, name+" "+b.burnTone(s, burn, length, p)(burnText(burn)))
	}
	if said {
		add("burn rate", strings.Join(burns, "   "))
	}
	if burn, over := s.Present(); s.Known() {
		switch lasts, _ := s.Exhaustion(burn); lasts {
		case 0:
			add("lasts", p.bad("it is spent"))
		case budgets.Forever:
			add("lasts", "beyond the period, at the burn of the last "+spanText(over))
		default:
			add("lasts", spanText(lasts)+" at the burn of the last "+spanText(over)+", until "+s.At.Add(lasts).UTC().Format("Mon 2 Jan 15:04 UTC"))
		}
	}
	if band, ok := s.Band(); ok {
		add("band", b.tone(s, p)(band.Name)+" of "+s.Policy.Name+": "+bandText(band))
	} else {
		add("band", p.faint("no policy; name one: policy = error_budget_policy.NAME"))
	}
	for _, text := range b.remarks(s) {
		add("note", "it "+text)
	}
	if s.SLO.Owner != "" {
		add("owner", s.SLO.Owner)
	}
	if s.SLO.Runbook != "" {
		add("runbook", s.SLO.Runbook)
	}
	return lines
}

// countText writes a count with its thousands apart.
func countText(n float64) string {
	text := fmt.Sprintf("%.0f", n)
	if n > 0 && n < 10 && n != float64(int(n)) {
		return fmt.Sprintf("%.1f", n)
	}
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
