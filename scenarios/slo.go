package scenarios

import (
	"fmt"
	"maps"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// sloBlock is the attributes of an slo; its sli is a block of a kind.
type sloBlock struct {
	Description string              `hcl:"description,optional" doc:"What the objective means to a user."`
	Objective   experiments.Percent `hcl:"objective" doc:"The share of events that must be good, above 0% and below 100%; the rest is the error budget." example:"99.9%"`
	Window      time.Duration       `hcl:"window,optional" default:"30d" doc:"The period that the error budget is for: always the last so much. Or a calendar block."`
	Calendar    *calendarBlock      `hcl:"calendar,block" doc:"The period that the error budget is for, where it begins anew with each month, say."`
	Every       time.Duration       `hcl:"every,optional" doc:"The pace: how often its events are counted; at least 100ms. Left out: that of its probe, or what fits the shortest window of its sli."`
	Probe       *experiments.Probed `hcl:"probe,optional" doc:"The probe or journey whose measurements are its events. Either this or an sli block." example:"probe.front_door"`
	Owner       string              `hcl:"owner,optional" doc:"Who answers for it." example:"team-checkout"`
	Runbook     string              `hcl:"runbook,optional" doc:"Address of the page that says what to do when its budget burns." example:"https://wiki.example.com/checkout"`
	Labels      map[string]string   `hcl:"labels,optional" doc:"Labels of its rules and alerts." example:"{ tier = \"1\" }"`
	DependsOn   []*experiments.SLO  `hcl:"depends_on,optional" doc:"SLOs that it cannot be better than." example:"[slo.payments]"`
	Policy      *experiments.Policy `hcl:"policy,optional" doc:"What the team does by how much of the budget is left." example:"error_budget_policy.standard"`
}

// calendarBlock is the period of an slo that begins at a date.
type calendarBlock struct {
	Period string `hcl:"period" doc:"How long one period is." enum:"day|week|month|quarter|year" example:"month"`
	Zone   string `hcl:"zone,optional" doc:"Whose midnight it begins at: a name of the time zone database." default:"UTC" example:"Europe/Berlin"`
	Start  string `hcl:"start,optional" doc:"Begin of one of the periods, where it is not midnight of the day, of Monday, or of the first of the month, quarter or year." example:"2026-01-05T12:00:00"`
}

// startLayout is how the begin of a calendar's period is written, without a zone.
const startLayout = "2006-01-02T15:04:05"

// Validate implements [experiments.Validator].
func (b *calendarBlock) Validate() []experiments.Problem {
	var problems []experiments.Problem
	// LoadLocation takes "" for UTC and "Local" for the zone of the machine.
	if _, err := time.LoadLocation(b.Zone); err != nil || b.Zone == "" || b.Zone == "Local" {
		problems = append(problems, experiments.Problem{Attribute: "zone", Summary: "Unknown time zone",
			Detail: fmt.Sprintf("%q is not in the time zone database; write a name such as \"Europe/Berlin\", or \"UTC\".", b.Zone)})
	}
	if b.Start != "" {
		if _, err := time.Parse(startLayout, b.Start); err != nil {
			problems = append(problems, experiments.Problem{Attribute: "start", Summary: "Not a date and time",
				Detail: fmt.Sprintf("%q cannot be read; write it as \"2026-01-05T12:00:00\", without a zone: the attribute zone says which one.", b.Start)})
		}
	}
	return problems
}

// calendar is the calendar of a block that was found good.
func (b *calendarBlock) calendar() *experiments.Calendar {
	location, err := time.LoadLocation(b.Zone)
	if err != nil { // reported
		location = time.UTC
	}
	c := &experiments.Calendar{Unit: experiments.CalendarUnit(b.Period), Location: location}
	if start, err := time.ParseInLocation(startLayout, b.Start, location); err == nil {
		c.Start = start
	}
	return c
}

// declaredSLO is an slo of this pass, and what it rests on.
type declaredSLO struct {
	value *experiments.SLO
	// claims tells that the block names something to measure, whether right or wrong.
	claims bool
	// shaky tells that an attribute is wrong, so that what is asked of it means nothing.
	shaky bool
	// unclaimed is the diagnostic where it names nothing.
	unclaimed *hcl.Diagnostic
}

func (p *pass) slo(block *hclsyntax.Block, into *declaredSLO) {
	what := fmt.Sprintf("slo %q", block.Labels[0])
	var common sloBlock
	out := p.body(block, what, nil, []string{"sli"}, &common)
	into.shaky = len(out.failed) > 0
	slo := into.value
	slo.Description, slo.Objective, slo.Window, slo.Every, slo.Probe = common.Description, common.Objective, common.Window, common.Every, common.Probe
	slo.Owner, slo.Runbook, slo.Labels, slo.DependsOn, slo.Policy = common.Owner, common.Runbook, common.Labels, common.DependsOn, common.Policy
	if at, given := out.given["objective"]; given && (slo.Objective <= 0 || slo.Objective >= 1) {
		p.errorf(at, "Objective out of range", "An objective is above 0%% and below 100%%: %s leaves %s. Write, for example, \"99.9%%\".", slo.Objective,
			map[bool]string{true: "no error budget to spend", false: "nothing to fall short of"}[slo.Objective >= 1])
	}
	at, given := out.given["window"]
	if given && slo.Window < time.Minute {
		p.errorf(at, "Window too short", "The window of an slo is the period that its error budget is for, such as \"30d\"; it is at least 1m.")
	}
	if common.Calendar != nil {
		slo.Calendar = common.Calendar.calendar()
		slo.Window = slo.Calendar.Nominal()
		if given {
			p.errorf(at, "Two periods", "The %s has a window, which rolls, and a calendar. Keep one of them.", what)
		}
	}
	p.sloLabels(slo, out, block)
	p.unsettle(slo.Origin, out)
	p.pace(block, what, slo.Every, out)
	p.rests(block, what, into, out)
	if slo.Probe != nil {
		slo.Queries = "measurements of " + slo.Probe.SeriesName()
		if slo.Every == 0 {
			slo.Every = slo.Probe.Every
		}
	}
}

// labelName is what Prometheus takes for the name of a label of one's own.
var labelName = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9_]*$|^_[a-zA-Z0-9][a-zA-Z0-9_]*$`)

// sloLabels checks what ends up in rules and alerts.
func (p *pass) sloLabels(slo *experiments.SLO, out *outcome, block *hclsyntax.Block) {
	for _, name := range slices.Sorted(maps.Keys(slo.Labels)) {
		if !labelName.MatchString(name) {
			p.errorf(out.at("labels", block), "Label name not allowed", "%q cannot be the name of a label of Prometheus: use letters, digits and \"_\", and begin with a letter.", name)
		}
	}
	if at, given := out.given["runbook"]; given {
		if u, err := url.Parse(slo.Runbook); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			p.errorf(at, "Not an address", "The runbook is the address of a page, such as \"https://wiki.example.com/checkout\".")
		}
	}
}

// dependencies finds slos that depend on themselves, through others or not.
func (p *pass) dependencies() {
	reported := map[*experiments.SLO]bool{}
	for _, block := range p.c.slos {
		slo := p.slos[block.Labels[0]].value
		var path []string
		var visit func(s *experiments.SLO) bool
		seen := map[*experiments.SLO]bool{}
		visit = func(s *experiments.SLO) bool {
			for _, next := range s.DependsOn {
				path = append(path, next.SeriesName())
				if next == slo || !seen[next] && !reported[next] && func() bool { seen[next] = true; return visit(next) }() {
					return true
				}
				path = path[:len(path)-1]
			}
			return false
		}
		if !reported[slo] && visit(slo) {
			reported[slo] = true
			for _, name := range path {
				if declared := p.slos[strings.TrimPrefix(name, "slo.")]; declared != nil {
					reported[declared.value] = true
				}
			}
			p.errorf(header(block), "Circle of dependencies", "%s depends on itself: %s -> %s. Take one of the references out.", slo.SeriesName(), slo.SeriesName(), strings.Join(path, " -> "))
		}
	}
}

// listed gives all slos and policies that are declared, in the order of the files.
func (p *pass) listed() ([]*experiments.SLO, []*experiments.Policy) {
	var slos []*experiments.SLO
	for _, block := range p.c.slos {
		if p.firstOf("slo."+block.Labels[0], block) {
			slos = append(slos, p.slos[block.Labels[0]].value)
		}
	}
	var policies []*experiments.Policy
	for _, block := range p.c.policies {
		if policy := p.policies[block.Labels[0]]; policy != nil && p.firstOf("error_budget_policy."+block.Labels[0], block) {
			policies = append(policies, policy)
		}
	}
	return slos, policies
}

// SLOs decodes all slos and policies that are declared, used by a scenario or not, in
// the order of the files. The configuration must be open.
func (c *Configuration) SLOs() ([]*experiments.SLO, []*experiments.Policy, *Diagnostics) {
	if c.known == nil {
		p := &pass{c: c}
		p.errorf(hcl.Range{}, "Configuration not open", "What an slo rests on is known when the connections are open.")
		return nil, nil, p.finish(c.sources)
	}
	c.effort = &effort{}
	p := &pass{c: c, locals: c.known.locals, open: true}
	p.declare()
	slos, policies := p.listed()
	p.list = slices.DeleteFunc(p.list, func(d *hcl.Diagnostic) bool { return d.Severity == hcl.DiagWarning })
	return slos, policies, p.finish(c.sources)
}

// rests decodes what an slo rests on: exactly one of a probe and an sli block.
func (p *pass) rests(block *hclsyntax.Block, what string, into *declaredSLO, out *outcome) {
	var first *hclsyntax.Block
	for _, nested := range block.Body.Blocks {
		if nested.Type != "sli" {
			continue
		}
		if first != nil {
			p.errorf(header(nested), "Duplicate block", "The %s has an sli already, at %s.", what, place(header(first)))
			continue
		}
		first = nested
		p.sli(nested, into)
	}
	if !p.tells(into.value.Probe).Events {
		p.errorf(out.at("probe", block), "Nothing to count", "%s reads a number, which is neither good nor bad, so it has no events to count. Count with an sli block, such as sli \"time_slice\", or judge the probe in a hypothesis with a limit on its values.", into.value.Probe.SeriesName())
	}
	into.claims = first != nil || out.has("probe") || p.nearlyBlock(block, "sli")
	switch {
	case first != nil && out.has("probe"):
		p.errorf(header(first), "Two things to measure", "The %s rests on a probe and on an sli block. Keep one of them.", what)
	case !into.claims:
		into.unclaimed = p.add(hcl.DiagError, header(block), "SLO that rests on nothing", fmt.Sprintf("The %s has nothing to count. Give it probe = probe.name or journey.name, or an sli block with its queries.", what))
	}
}

// nearlyBlock tells whether a block was meant to have one of a type: it is misspelt,
// or written with an equals sign. That was reported.
func (p *pass) nearlyBlock(block *hclsyntax.Block, blockType string) bool {
	if block.Body.Attributes[blockType] != nil {
		return true
	}
	return slices.ContainsFunc(block.Body.Blocks, func(b *hclsyntax.Block) bool {
		return nearest(b.Type, []string{blockType}) != ""
	})
}

func (p *pass) sli(block *hclsyntax.Block, into *declaredSLO) {
	name := DefaultSLI
	switch len(block.Labels) {
	case 0:
	case 1:
		name = block.Labels[0]
	default:
		p.errorf(block.LabelRanges[1], "Too many labels", "Write sli { ... } or sli \"kind\" { ... }.")
		return
	}
	kind, found := findRow(p.c.sliKinds, name)
	if !found {
		if len(block.Labels) == 0 {
			p.errorf(header(block), "Missing label", "Write sli \"kind\" { ... }. There is: %s.", enumerate(names(p.c.sliKinds)))
			return
		}
		p.unknownKind(block, "sli", p.c.sliKinds)
		return
	}
	value := kind.make()
	sli, ok := value.(experiments.SLI)
	if !ok {
		return
	}
	what := "sli"
	if name != DefaultSLI {
		what = fmt.Sprintf("sli %q", name)
	}
	out := p.body(block, what, nil, nil, value)
	p.validate(block, what, value, out)
	p.unsettle(into.value.Origin, out)
	into.shaky = into.shaky || len(out.failed) > 0
	into.value.SLI = sli
	into.value.Queries = p.queries(value)
}

// queries says to a person what an SLI counts: its own words if it has some, else
// its texts with their names.
func (p *pass) queries(sli any) string {
	if worded, ok := sli.(fmt.Stringer); ok {
		return worded.String()
	}
	v, ok := structOf(sli)
	if !ok {
		return ""
	}
	var lines []string
	for _, a := range p.c.shape(v.Type()) {
		if field := v.FieldByIndex(a.index); field.Kind() == reflect.String && field.String() != "" {
			lines = append(lines, a.name+" = "+field.String())
		}
	}
	return strings.Join(lines, "\n")
}
