package reports

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/gameday-sh/gameday/experiments"
)

// Budget is the state of an SLO's error budget, for a report. Numbers that are not known
// are NaN, and Why says why.
type Budget struct {
	SLO      *experiments.SLO
	At       time.Time
	From, To time.Time // the period
	Why      string    // empty where the budget is known

	SLI                     float64 // share of good events
	Bad, Total, Budget      float64 // events; Budget is for the whole period
	Consumed, Remaining     float64 // shares of the budget
	Burns                   []BudgetBurn
	Lasts                   string        // in words
	Covered                 time.Duration // how much of the period up to At there are samples of
	Course                  []BudgetStretch
	Policy                  *experiments.Policy
	Band                    experiments.Band
	Alerts                  []experiments.PolicyAlert
	Dependencies            []BudgetDependency
	Returns                 []BudgetReturn
	ConsumedAtEnd, BurnUsed float64 // of a calendar: at its end, and at which burn rate
}

// BudgetBurn is a burn rate over a window.
type BudgetBurn struct {
	Name string
	Rate float64
}

// BudgetStretch is a piece of the period: what was counted in it, and what share of the
// budget was left at its end. Left is NaN where nothing could be counted.
type BudgetStretch struct {
	From, To         time.Time
	Bad, Total, Left float64
}

// BudgetDependency is an SLO that another depends on.
type BudgetDependency struct {
	Name  string
	Left  float64
	Why   string // empty where it is known
	Worse bool
}

// BudgetReturn is a share of the budget that comes back until a time.
type BudgetReturn struct {
	Share float64
	At    time.Time
}

// BudgetFormat is one way to write the report of error budgets.
type BudgetFormat struct {
	Name      string // "html"
	Extension string // of the file name, without the dot
	Write     func(w io.Writer, list []Budget) error
}

// BudgetFormats lists every format of the report of error budgets.
func BudgetFormats() []BudgetFormat {
	return []BudgetFormat{
		{"markdown", "md", writeBudgetMarkdown},
		{"html", "html", writeBudgetHTML},
	}
}

// budgetOutline is a report of one budget in words.
type budgetOutline struct {
	Budget
	Name, Description, Owner, Runbook    string
	Class                                string // of its colour
	Status, Headline                     string
	Facts                                []fact
	Recommendation                       []string
	Purposes                             []fact // what is allowed, by purpose
	Risk                                 string
	Notes                                []string
	Days                                 []budgetDay
	DaysNote                             string
	BurnNames                            []string
	BurnRates                            []string
	DependencyNames, DependencyStandings []string
}

// budgetDay is what a day cost.
type budgetDay struct {
	Date             string
	Bad, Events, SLI string
	Share            string
	share            float64
}

// location is where the days of a budget begin.
func (b Budget) location() *time.Location {
	if b.SLO.Calendar != nil {
		return b.SLO.Calendar.Location
	}
	return time.UTC
}

func sayMoment(at time.Time, in *time.Location) string {
	return at.In(in).Format("Mon 2 Jan 2006 15:04 MST")
}

func outlineBudget(b Budget) *budgetOutline {
	const long = 300
	o := &budgetOutline{Budget: b, Name: clean(b.SLO.Name, 80), Description: clean(b.SLO.Description, long), Owner: clean(b.SLO.Owner, long), Runbook: clean(b.SLO.Runbook, long)}
	add := func(name, value string) {
		if value != "" {
			o.Facts = append(o.Facts, fact{Name: name, Value: value})
		}
	}
	zone := b.location()
	switch {
	case b.Why != "":
		o.Class, o.Status = "inconclusive", "unknown"
		o.Headline = "Nobody knows how much of the error budget is left."
	case b.Remaining < 0:
		o.Class, o.Status = "refuted", "overspent"
		o.Headline = fmt.Sprintf("The error budget is overspent: %s of it is consumed.", sayShare(b.Consumed))
	default:
		o.Class, o.Status = "held", "within its budget"
		o.Headline = fmt.Sprintf("%s of the error budget is left.", sayShare(b.Remaining))
	}
	o.judge()
	add("Current SLI", saySLI(b.SLI, b.SLO.Objective))
	add("Target", b.SLO.Objective.String()+" over "+clean(b.SLO.PeriodText(), long))
	add("Budget consumed", orUnknown(b.Consumed, sayShare))
	add("Budget remaining", orUnknown(b.Remaining, sayShare))
	if b.Why == "" {
		add("Events", fmt.Sprintf("%s bad of %s", sayEvents(b.Bad), sayEvents(b.Total)))
		add("Budget in events", sayEvents(b.Budget))
	}
	add("Budget lasts", b.Lasts)
	add("Period", sayMoment(b.From, zone)+" to "+sayMoment(b.To, zone))
	add("Owner", o.Owner)
	add("Runbook", o.Runbook)
	for _, burn := range b.Burns {
		o.BurnNames = append(o.BurnNames, burn.Name)
		o.BurnRates = append(o.BurnRates, orUnknown(burn.Rate, func(v float64) string { return trimmed(v, 2) }))
	}
	o.note(zone)
	o.days(zone)
	return o
}

// judge says what the policy makes of the budget.
func (o *budgetOutline) judge() {
	if o.Policy == nil {
		o.Risk = "not said: the slo has no policy"
		o.Recommendation = []string{"Give the slo a policy that says what is done when its budget runs low."}
		return
	}
	o.Status += ", band " + clean(o.Band.Name, 40)
	o.Risk = "medium"
	switch bands := o.Policy.Bands; {
	case o.Band.Name == experiments.UnknownBand:
		o.Risk = "unknown"
	case len(bands) > 0 && o.Band.Name == bands[len(bands)-1].Name:
		o.Risk, o.Class = "high", "refuted"
	case len(bands) > 0 && o.Band.Name == bands[0].Name:
		o.Risk = "low"
	default:
		o.Class = "aborted" // the colour of caution
	}
	purposes := o.Policy.Purposes()
	if !slices.Contains(purposes, experiments.ForDeploy) {
		purposes = append([]string{experiments.ForDeploy}, purposes...)
	}
	for _, purpose := range purposes {
		allowed := "no"
		if o.Band.Permits(purpose) {
			allowed = "yes"
		}
		name := map[string]string{experiments.ForDeploy: "Deployment allowed", experiments.ForGameDay: "Game day allowed", experiments.ForExperimentalFeature: "Experimental feature allowed"}[purpose]
		if name == "" {
			name = clean(purpose, 40) + " allowed"
		}
		o.Purposes = append(o.Purposes, fact{Name: name, Value: allowed})
	}
	// A deployment comes first: it is what most people look for.
	slices.SortStableFunc(o.Purposes, func(a, b fact) int {
		return cmp.Compare(secondIf(a.Name != "Deployment allowed"), secondIf(b.Name != "Deployment allowed"))
	})
	for _, action := range o.Band.Actions {
		o.Recommendation = append(o.Recommendation, clean(action, 200))
	}
	if len(o.Recommendation) == 0 {
		o.Recommendation = []string{"The policy names no action for this band."}
	}
}

func secondIf(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

func (o *budgetOutline) note(zone *time.Location) {
	add := func(format string, values ...any) { o.Notes = append(o.Notes, fmt.Sprintf(format, values...)) }
	if o.Why != "" {
		add("Unknown: %s.", clean(o.Why, 300))
	}
	if of := o.At.Sub(o.From); o.Why == "" && float64(o.Covered) < 0.99*float64(of) {
		add("The server has a history of %s of %s: the numbers are of what was seen.", sayDuration(o.Covered), sayDuration(of))
	}
	for _, alert := range o.Alerts {
		to := ""
		if alert.Notify != "" {
			to = " to " + clean(alert.Notify, 80)
		}
		add("Alert %s%s: less than %s of the budget is left.", quoted(clean(alert.Severity, 40)), to, sayShare(alert.Below))
	}
	if o.SLO.Calendar != nil && !math.IsNaN(o.ConsumedAtEnd) {
		add("At a burn rate of %s, as now, %s of the budget will be consumed at the end of the period.", trimmed(o.BurnUsed, 2), sayShare(o.ConsumedAtEnd))
	}
	for _, r := range o.Returns {
		add("%s of the budget comes back until %s.", sayShare(r.Share), sayMoment(r.At, zone))
	}
	for _, d := range o.Dependencies {
		standing := sayShare(d.Left) + " of its budget left"
		if d.Why != "" {
			standing = "unknown: " + clean(d.Why, 200)
		}
		if d.Worse {
			standing += " (worse off)"
		}
		o.DependencyNames = append(o.DependencyNames, clean(d.Name, 80))
		o.DependencyStandings = append(o.DependencyStandings, standing)
	}
}

// worstDays is how many days are named.
const worstDays = 5

// days finds the days that cost most.
func (o *budgetOutline) days(zone *time.Location) {
	type day struct{ bad, total float64 }
	sums := map[string]*day{}
	var order []string
	for _, s := range o.Course {
		if math.IsNaN(s.Left) {
			continue
		}
		date := s.From.Add(s.To.Sub(s.From) / 2).In(zone).Format("2006-01-02 Mon")
		if sums[date] == nil {
			sums[date] = &day{}
			order = append(order, date)
		}
		sums[date].bad += s.Bad
		sums[date].total += s.Total
	}
	for _, date := range order {
		d := sums[date]
		if d.bad < 0.5 {
			continue
		}
		o.Days = append(o.Days, budgetDay{date, sayEvents(d.bad), sayEvents(d.total), saySLI(1-d.bad/d.total, o.SLO.Objective), sayShare(d.bad / o.Budget.Budget), d.bad / o.Budget.Budget})
	}
	slices.SortStableFunc(o.Days, func(a, b budgetDay) int { return cmp.Compare(b.share, a.share) })
	o.DaysNote = fmt.Sprintf("%s of the period had bad events. Days begin at midnight, %s.", plural(len(o.Days), "day"), zone)
	// A day that spent its even share of the budget is none of the worst.
	even := (24 * time.Hour).Seconds() / o.To.Sub(o.From).Seconds()
	n := 1
	for n < min(len(o.Days), worstDays) && o.Days[n].share > even {
		n++
	}
	o.Days = o.Days[:min(len(o.Days), n)]
}

// saySLI writes a share of good events with two digits more than its objective, rounded
// down, so that what misses the objective never looks like it.
func saySLI(sli float64, objective experiments.Percent) string {
	if math.IsNaN(sli) {
		return "unknown"
	}
	_, fraction, _ := strings.Cut(strings.TrimSuffix(objective.String(), "%"), ".")
	scale := math.Pow(10, float64(len(fraction)+2))
	return trimmed(math.Floor(sli*100*scale+1e-7)/scale, len(fraction)+2) + "%"
}

func orUnknown(v float64, say func(float64) string) string {
	if math.IsNaN(v) {
		return "unknown"
	}
	return say(v)
}

// sayShare writes a share of a budget: two digits after the point are enough, and what
// is not quite nothing is not written as nothing.
func sayShare(share float64) string {
	switch {
	case math.IsNaN(share):
		return "unknown"
	case share != 0 && math.Abs(share) < 5e-5:
		return map[bool]string{true: "less than 0.01%", false: "-0.01%"}[share > 0]
	}
	text := trimmed(share*100, 2)
	if share < 1 && text == "100" {
		text = "99.99"
	}
	return text + "%"
}

// budgetTitle names a report.
func budgetTitle(list []Budget) string {
	if len(list) == 1 {
		return "Error budget report: " + clean(list[0].SLO.Name, 80)
	}
	return fmt.Sprintf("Error budget report: %s", plural(len(list), "SLO"))
}

// budgetSummary counts how budgets stand.
func budgetSummary(list []*budgetOutline) string {
	counts := map[string]int{}
	for _, o := range list {
		word, _, _ := strings.Cut(o.Status, ",")
		counts[word]++
	}
	var words []string
	for _, word := range []string{"overspent", "unknown", "within its budget"} {
		switch n := counts[word]; {
		case n > 1 && word == "within its budget":
			words = append(words, fmt.Sprintf("%d within their budgets", n))
		case n > 0:
			words = append(words, fmt.Sprintf("%d %s", n, word))
		}
	}
	return strings.Join(words, ", ")
}
