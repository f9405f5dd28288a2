package rules

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/experiments/probes/prom"
)

// Group is a rule group of Prometheus. Its rules are evaluated one after another, each
// seeing what those before it have recorded.
type Group struct {
	Name     string
	Comment  []string // lines above it
	Interval time.Duration
	Rules    []Rule
}

// Rule records a series or raises an alert: one of Record and Alert is set.
type Rule struct {
	Record, Alert string
	Comment       []string
	Expr          string
	For           time.Duration
	Labels        map[string]string
	Annotations   map[string]string
}

// File is rules with what is to be said about them.
type File struct {
	Groups []Group
	// Written are the SLOs that have rules, in the order given.
	Written []*experiments.SLO
	Notes   []Note
}

// Note says to a person what is not as they may expect it.
type Note struct {
	SLO  *experiments.SLO
	Text string
	// Omitted tells that the SLO has no rules at all.
	Omitted bool
}

const (
	// The records that the period is summed from are rates over this, if the scrapes allow.
	baseWindow = 5 * time.Minute
	// Pages are seen this fast; what takes days to fire is looked at less often, as it reads
	// long stretches. The latter stays below the 5 minutes that Prometheus looks back.
	fastInterval = 30 * time.Second
	slowInterval = 2 * time.Minute
	// patience is how long there may be no data: longer than a restart.
	patience = 10 * time.Minute
)

// Names of the records, by Prometheus's convention level:metric:operations. Those that
// depend on a window end in it.
const (
	objectiveName = "slo:objective:ratio"
	remainingName = "slo:error_budget_remaining:ratio"
)

// Generate writes the rules of SLOs, in their order. Those that Prometheus knows nothing
// of are left out with a note.
func Generate(slos []*experiments.SLO) *File {
	file := &File{}
	for _, slo := range slos {
		g := &generator{slo: slo}
		groups, err := g.groups()
		for _, text := range g.notes {
			file.Notes = append(file.Notes, Note{SLO: slo, Text: text})
		}
		if err != nil {
			file.Notes = append(file.Notes, Note{SLO: slo, Text: err.Error(), Omitted: true})
			continue
		}
		file.Groups = append(file.Groups, groups...)
		file.Written = append(file.Written, slo)
	}
	return file
}

// generator makes the rules of one SLO.
type generator struct {
	slo    *experiments.SLO
	alerts []Alert
	events *prom.Events
	slices *prom.Slices
	notes  []string
	labels map[string]string // of each record
}

// reserved are labels that the rules set themselves.
var reserved = []string{"slo", "severity", "owner", "below", "notify", "alertname", "alertstate"}

func (g *generator) groups() ([]Group, error) {
	counted, ok := g.slo.SLI.(prom.Counted)
	if !ok {
		return nil, fmt.Errorf("it rests on measurements of gameday's own, which Prometheus does not have")
	}
	g.events = counted.Events()
	if sliced, ok := counted.(prom.Sliced); ok {
		g.slices = sliced.Slices()
	}
	var left []string
	g.alerts, left = Alerts(g.slo)
	g.notes = append(g.notes, left...)
	for _, alert := range g.alerts {
		if alert.Why != "" {
			g.notes = append(g.notes, alert.Why)
		}
	}
	g.labels = map[string]string{"slo": g.slo.Name}
	for _, name := range slices.Sorted(maps.Keys(g.slo.Labels)) {
		if slices.Contains(reserved, name) {
			g.notes = append(g.notes, fmt.Sprintf("its label %q is left out: the rules use that name themselves", name))
			continue
		}
		g.labels[name] = g.slo.Labels[name]
	}

	records, err := g.base()
	if err != nil {
		return nil, err
	}
	fast, slow := Group{Name: "slo-" + g.slo.Name, Interval: fastInterval}, Group{Name: "slo-" + g.slo.Name + "-long", Interval: slowInterval}
	short := g.windows(Page)
	if g.slices == nil && !slices.Contains(short, g.baseWindow()) {
		short = append(short, g.baseWindow())
	}
	slices.Sort(short)
	fast.Rules = records
	for _, window := range short {
		rule, err := g.ratio(window)
		if err != nil {
			return nil, err
		}
		fast.Rules = append(fast.Rules, rule)
	}
	fast.Rules = append(fast.Rules, g.burn(Page)...)
	fast.Rules = append(fast.Rules, g.noData())

	for _, window := range g.windows(Ticket) {
		if slices.Contains(short, window) {
			continue
		}
		rule, err := g.ratio(window)
		if err != nil {
			return nil, err
		}
		slow.Rules = append(slow.Rules, rule)
	}
	slow.Rules = append(slow.Rules, g.burn(Ticket)...)
	slow.Rules = append(slow.Rules, g.budget()...)

	fast.Comment = g.comment()
	if g.slices == nil {
		return []Group{fast, slow}, nil
	}
	fast.Interval = g.slices.Slice
	if fast.Interval > slowInterval {
		// One group, as others could not see what is recorded more seldom than each 5 minutes.
		fast.Rules = append(fast.Rules, slow.Rules...)
		return []Group{fast}, nil
	}
	return []Group{fast, slow}, nil
}

// comment introduces an SLO.
func (g *generator) comment() []string {
	s := g.slo
	lines := []string{fmt.Sprintf("SLO %q: %s over %s", s.Name, s.Objective, s.PeriodText())}
	if s.Origin != "" {
		lines[0] += " (" + s.Origin + ")"
	}
	for line := range strings.Lines(s.Description) {
		lines = append(lines, strings.TrimSpace(line))
	}
	for _, note := range g.notes {
		lines = append(lines, "Note: "+note+".")
	}
	return lines
}

// windows are those of the alerts of a severity, the shortest first.
func (g *generator) windows(severity string) []time.Duration {
	var list []time.Duration
	for _, alert := range g.alerts {
		if alert.Severity == severity {
			list = append(list, alert.Long, alert.Short)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

func (g *generator) baseWindow() time.Duration {
	// Whole minutes: a name such as rate3m45s helps nobody.
	needed := (g.slo.SLI.Shortest() + time.Minute - 1).Truncate(time.Minute)
	return max(baseWindow, needed)
}

// badName and totalName are the records that the period is summed from.
func (g *generator) badName() string   { return g.counts("bad_events:rate", "bad_slices:count") }
func (g *generator) totalName() string { return g.counts("events:rate", "slices:count") }

// counts names a record of events, or of slices.
func (g *generator) counts(events, slices string) string {
	if g.slices != nil {
		return "slo:" + slices + prom.InPromQL(g.slices.Slice)
	}
	return "slo:" + events + prom.InPromQL(g.baseWindow())
}

func (g *generator) record(name, expr string, comment ...string) Rule {
	return Rule{Record: name, Expr: expr, Labels: g.labels, Comment: comment}
}

// base records what is counted, as events a second or as the state of a slice.
func (g *generator) base() ([]Rule, error) {
	me := of(g.slo)
	if g.slices == nil {
		bad, total, err := g.events.Rates(g.baseWindow(), g.badName()+me)
		if err != nil {
			return nil, err
		}
		return []Rule{
			g.record(g.badName(), bad, "Events a second. Absent, and not 0, while it cannot be told."),
			g.record(g.totalName(), total),
		}, nil
	}
	slice := prom.InPromQL(g.slices.Slice)
	list := []Rule{g.record(g.badName(), g.slices.Bad, "1 if the last "+slice+" was a bad slice, 0 if it was a good one. Absent without data.")}
	if g.slices.AbsentIsBad {
		seen := "slo:slices_with_data:count" + slice
		list = []Rule{
			g.record(seen, g.slices.Bad+" >= bool 0", "1 if there was data in the last "+slice+"."),
			g.record(g.badName(), g.slices.Bad+"\nor\nmax(present_over_time("+seen+me+"["+prom.InPromQL(g.slo.Window)+"]))",
				"1 if the last "+slice+" was a bad slice, 0 if it was a good one. Once there was data,", "a slice without is bad: no traffic is no health."),
		}
	}
	return append(list, g.record(g.totalName(), g.badName()+me+" >= bool 0")), nil
}

// ratio records the share of bad events of a window.
func (g *generator) ratio(window time.Duration) (Rule, error) {
	me, name := of(g.slo), ratioName(window)
	switch {
	case g.slices != nil:
		return g.record(name, g.summed(window)), nil
	case window == g.baseWindow():
		return g.record(name, g.badName()+me+"\n/\n("+g.totalName()+me+" > 0)", "Share of bad events. Absent without traffic: nothing failed, and nothing was proven."), nil
	}
	expr, err := g.events.Ratio(window)
	return g.record(name, expr), err
}

// summed is the share of bad events of a window by what was recorded: sums of events, and
// no average of ratios, in which a quiet night would weigh as much as a busy day.
func (g *generator) summed(window time.Duration) string {
	sum := func(name string) string {
		return "sum(sum_over_time(" + name + of(g.slo) + "[" + prom.InPromQL(window) + "]))"
	}
	return sum(g.badName()) + "\n/\n(" + sum(g.totalName()) + " > 0)"
}

// budget records what is left of the budget, and raises the policy's alerts on it.
func (g *generator) budget() []Rule {
	s := g.slo
	list := []Rule{g.record(objectiveName, "vector("+number(float64(s.Objective))+")")}
	if s.Calendar != nil {
		g.notes = append(g.notes, fmt.Sprintf("no record of the budget that is left: PromQL cannot tell where a %s begins; burn rates are those of a period of %s", s.PeriodText(), prom.InPromQL(s.Window)))
		if s.Policy != nil && len(s.Policy.Alerts) > 0 {
			g.notes = append(g.notes, "no alerts of its policy on the budget that is left, for the same reason: `gameday slo status` tells what is left")
		}
		return list
	}
	name := ratioName(s.Window)
	if g.slices != nil || !slices.Contains(append(g.windows(Page), g.windows(Ticket)...), s.Window) {
		list = append(list, g.record(name, g.summed(s.Window), "Of all events of "+prom.InPromQL(s.Window)+", as far as they were recorded."))
	}
	list = append(list, g.record(remainingName, "1 - "+name+of(s)+" / "+number(s.Budget()), "1: untouched, 0: spent, negative: overspent."))
	if s.Policy == nil {
		return list
	}
	for _, alert := range s.Policy.Alerts {
		rule := Rule{Alert: BudgetAlert, Expr: remainingName + of(s) + " < " + number(alert.Below), Labels: g.alertLabels(alert.Severity), Annotations: g.annotations(
			fmt.Sprintf("%s has less than %s of its error budget left", s.Name, percent(alert.Below)),
			"{{ $value | humanizePercentage }} of the budget of "+percent(s.Budget())+" over "+s.PeriodText()+" is left.")}
		rule.Labels["below"] = percent(alert.Below)
		if alert.Notify != "" {
			rule.Labels["notify"] = alert.Notify
		}
		// Two with the same threshold and labels are one.
		if !slices.ContainsFunc(list, func(r Rule) bool { return r.Alert != "" && maps.Equal(r.Labels, rule.Labels) }) {
			list = append(list, rule)
		}
	}
	return list
}

// burn is the alert of a severity: one rule for all of its windows.
func (g *generator) burn(severity string) []Rule {
	var parts, words []string
	for _, alert := range g.alerts {
		if alert.Severity != severity {
			continue
		}
		expr, err := alert.Expr(false)
		if err != nil { // only the raw one can fail
			continue
		}
		parts = append(parts, expr)
		words = append(words, fmt.Sprintf("%s over %s and %s (%s of the budget)", number(alert.Factor), prom.InPromQL(alert.Long), prom.InPromQL(alert.Short), percent(alert.Share)))
	}
	if len(parts) == 0 {
		return nil
	}
	expr := parts[0]
	if len(parts) > 1 {
		for i := range parts {
			parts[i] = "(\n  " + strings.ReplaceAll(parts[i], "\n", "\n  ") + "\n)"
		}
		expr = strings.Join(parts, "\nor\n")
	}
	s := g.slo
	return []Rule{{
		Alert: BurnAlert, Expr: expr, Labels: g.alertLabels(severity),
		Comment: []string{"Fires above a burn rate of " + strings.Join(words, ", or of ") + ".",
			"Goes on firing while there is no traffic to show that it is over."},
		Annotations: g.annotations(s.Name+" burns its error budget too fast",
			"{{ $value | humanizePercentage }} of its events were bad; the objective of "+s.Objective.String()+" over "+s.PeriodText()+" leaves "+percent(s.Budget())+"."),
	}}
}

func (g *generator) noData() Rule {
	name, wait := g.totalName(), patience
	if g.slices != nil {
		wait = max(patience, 2*g.slices.Slice)
		if g.slices.AbsentIsBad {
			name = "slo:slices_with_data:count" + prom.InPromQL(g.slices.Slice)
		}
	}
	return Rule{
		Alert: NoDataAlert, Expr: "absent(" + name + of(g.slo) + ")", For: wait, Labels: g.alertLabels(Ticket),
		Comment: []string{"Silence is not health: without data none of the other alerts can begin to fire."},
		Annotations: g.annotations(g.slo.Name+" has no data",
			"What it counts cannot be told: a metric or a label of its queries is gone or misspelt, or nothing is scraped."),
	}
}

func (g *generator) alertLabels(severity string) map[string]string {
	all := maps.Clone(g.labels)
	all["severity"] = severity
	if g.slo.Owner != "" {
		all["owner"] = g.slo.Owner
	}
	return all
}

func (g *generator) annotations(summary, description string) map[string]string {
	all := map[string]string{"summary": literal(summary), "description": description}
	if g.slo.Description != "" {
		all["objective"] = literal(strings.Join(strings.Fields(g.slo.Description), " "))
	}
	if g.slo.Runbook != "" {
		all["runbook_url"] = literal(g.slo.Runbook)
	}
	var names []string
	for _, other := range g.slo.DependsOn {
		names = append(names, other.Name)
	}
	if len(names) > 0 {
		all["depends_on"] = literal(strings.Join(names, ", "))
	}
	return all
}

// literal keeps a person's words from being read as a template.
func literal(text string) string { return strings.ReplaceAll(text, "{{", `{{ "{{" }}`) }
