package main

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/experiments/probes/prom"
	"github.com/gameday-sh/gameday/guards/budgets"
)

// gateWithin bounds how long the budgets may take to be read before a run.
const gateWithin = 30 * time.Second

// lately is the stretch whose traffic a run is expected to meet, and whose failures are
// the usual ones.
const lately = 10 * time.Minute

// askGate is the gate of a run: what is left of the budget of each SLO, what the run may
// cost of it, and what the policies say.
func askGate(ctx context.Context, e *experiments.Experiment, b *experiments.Blueprint) *experiments.GateReading {
	ctx, cancel := context.WithTimeout(ctx, gateWithin)
	defer cancel()
	reading := &experiments.GateReading{At: time.Now(), Purpose: experiments.ForGameDay}
	for _, state := range periodBudgets(ctx, e.SLOs, reading.At) {
		o := newOutlook(state)
		o.foretell(e, b, state)
		o.rule(e.PolicyOf(state.SLO), reading.Purpose)
		reading.SLOs = append(reading.SLOs, o.Outlook)
	}
	conclude(reading)
	return reading
}

// conclude lets the worst SLO decide.
func conclude(reading *experiments.GateReading) {
	var all []experiments.GateDecision
	for _, o := range reading.SLOs {
		all = append(all, o.Decision)
	}
	reading.Decision = experiments.WorstDecision(all...)
	var why []string
	for _, o := range reading.SLOs {
		if o.Decision == reading.Decision && o.Decision != experiments.GateOpen {
			why = append(why, "slo."+o.SLO+" "+o.Why)
		}
	}
	switch {
	case reading.Decision == experiments.GateOpen:
		reading.Why = "no policy is named"
	case reading.Decision == experiments.GateAllowed && len(why) > 1:
		reading.Why = fmt.Sprintf("%s (and %s more allow it)", why[0], countOf(len(why)-1, "slo"))
	default:
		reading.Why = strings.Join(why, "; ")
	}
}

// outlook is an Outlook that is being made.
type outlook struct{ experiments.Outlook }

// newOutlook says what is left of a budget.
func newOutlook(state *budgets.State) *outlook {
	nan := experiments.Float(math.NaN())
	o := &outlook{experiments.Outlook{
		SLO: state.SLO.Name, Period: state.SLO.PeriodText(), Remaining: experiments.Float(state.Remaining()),
		Rate: nan, Likely: nan, Worst: nan, Allowance: nan, Decision: experiments.GateOpen,
	}}
	if !state.Known() {
		o.Unknown = string(state.Condition)
		if state.Why != "" {
			o.Unknown = state.Why
		}
	}
	return o
}

// rule has a policy decide.
func (o *outlook) rule(p *experiments.Policy, purpose string) {
	if p == nil {
		o.Why = "names no policy"
		return
	}
	ruling := budgets.Rule(p, purpose, float64(o.Remaining), float64(o.Worst))
	o.Policy, o.Band, o.Reserve, o.Actions = p.Name, ruling.Band.Name, p.Reserve, ruling.Band.Actions
	o.Decision, o.Why = ruling.Decision, ruling.Why
	if o.Unknown != "" {
		o.Why += " (" + o.Unknown + ")"
	}
}

// periodBudgets counts the events of each SLO over its whole period, and lately.
func periodBudgets(ctx context.Context, slos []*experiments.SLO, at time.Time) []*budgets.State {
	states := make([]*budgets.State, len(slos))
	var wants []prom.Want
	var asked []int
	for i, s := range slos {
		switch {
		case s.SLI == nil:
			states[i] = budgets.Unknown(s, at, experiments.NoData, restsOnProbe(s))
		case builtin(s):
			states[i] = budgets.Unknown(s, at, experiments.NoData, "the built-in Prometheus knows only this run")
		default:
			from, _ := s.Period(at)
			wants = append(wants, prom.Want{SLI: s.SLI, From: from, Windows: []time.Duration{max(lately, s.SLI.Shortest())}})
			asked = append(asked, i)
		}
	}
	for k, told := range prom.Read(ctx, at, wants, nil) {
		s := slos[asked[k]]
		states[asked[k]] = budgets.New(s, budgets.Reading{At: at, Period: told.Period, Windows: told.Windows, Oldest: told.Oldest})
	}
	return states
}

// foretell says what a run may do to the budget.
func (o *outlook) foretell(e *experiments.Experiment, b *experiments.Blueprint, state *budgets.State) {
	s, base := state.SLO, math.NaN()
	for _, recent := range state.Windows {
		if recent.Condition == experiments.OK {
			o.Rate, base = experiments.Float(recent.Total/recent.Window.Seconds()), recent.Ratio()
		}
	}
	if len(b.Slots) == 0 {
		return
	}
	x := exposure(e, b, s, float64(o.Remaining))
	x.Rate = float64(o.Rate)
	if have, _ := state.Covered(); state.Known() && have > 0 {
		x.Mean = state.Period.Total / have.Seconds()
	}
	forecast := x.Forecast()
	o.Likely, o.Worst = experiments.Float(forecast.Likely), experiments.Float(forecast.Worst)
	o.Allowance = experiments.Float(x.Limit)
	o.Basis = basis(x, forecast)
	o.Pages = pages(s, x, forecast, base)
}

// exposure is what the faults of a plan may do to an SLO. The rates are left to say.
func exposure(e *experiments.Experiment, b *experiments.Blueprint, s *experiments.SLO, remaining float64) budgets.Exposure {
	x := budgets.Exposure{
		Budget: s.Budget(), Period: s.Window, Rate: math.NaN(), Mean: math.NaN(),
		Hypothesis: math.NaN(), Limit: math.NaN(), Tail: e.RevertWithin,
	}
	recovery := time.Duration(0)
	for _, h := range e.Hypotheses {
		recovery = max(recovery, h.RecoverWithin)
		if h.SLO == s && h.During && h.Limit.Kind == experiments.GoodRatio && !(x.Hypothesis <= h.Limit.Ratio.Rest()) {
			x.Hypothesis = h.Limit.Ratio.Rest()
		}
	}
	x.Tail += recovery
	for i, slot := range b.Slots {
		share := 1.0
		if len(b.Hits[i]) > 0 {
			share = touched(b.Hits[i][0].Draws)
		}
		for _, round := range slot.Rounds {
			from := slot.Start + round
			to := from
			if slot.Plan.Fault.Lasts() {
				to += slot.Plan.Schedule.Duration
			}
			x.Harms = append(x.Harms, budgets.Harm{From: from, To: to, Share: share})
		}
	}
	if limit, found := e.Limit(s, remaining); found && !math.IsNaN(limit.Share) {
		x.Limit, x.Braking, x.Look = limit.Share, limit.Braking, s.Pace()
		if s.SLI != nil {
			x.Look += s.SLI.Shortest() / 4 // a scrape
		}
	}
	return x
}

// touched is the share of the events that a round can touch: of the targets that were
// drawn among those that matched, if these have the same traffic. 1 where that is not
// known.
func touched(draws []experiments.Sampling) float64 {
	if len(draws) != 1 || draws[0].Of == 0 {
		return 1
	}
	return float64(len(draws[0].Places)) / float64(draws[0].Of)
}

// basis says what a forecast rests on.
func basis(x budgets.Exposure, f budgets.Forecast) string {
	var parts []string
	switch {
	case f.Capped:
		parts = append(parts, fmt.Sprintf("worst: all events fail for %s, when the guard that allows %s has stopped it", about(f.Outage), budgets.Share(x.Limit)))
	default:
		parts = append(parts, fmt.Sprintf("worst: all events fail for %s, mending and recovery included", about(f.Outage)))
	}
	if !math.IsNaN(x.Hypothesis) {
		parts = append(parts, fmt.Sprintf("likely: the hypotheses hold, so that no more than %s fail while faults are on", budgets.Share(x.Hypothesis)))
	} else {
		parts = append(parts, "likely: what the faults can touch fails while they are on")
	}
	if math.IsNaN(x.Rate) || math.IsNaN(x.Mean) {
		parts = append(parts, "at a steady traffic, as that of now is not known")
	}
	return strings.Join(parts, "; ")
}

// about writes a duration as exactly as a person reads it.
func about(d time.Duration) string {
	switch {
	case d >= time.Hour:
		d = d.Round(time.Minute)
	case d >= 10*time.Second:
		d = d.Round(time.Second)
	case d >= time.Second:
		d = d.Round(100 * time.Millisecond)
	}
	return experiments.FormatDuration(d)
}

// pages says of each alert of an SLO whether the run can make it fire.
func pages(s *experiments.SLO, x budgets.Exposure, f budgets.Forecast, base float64) []experiments.PageOutlook {
	if math.IsNaN(base) {
		base = 0
	}
	var list []experiments.PageOutlook
	for _, alert := range alertsOf(s) {
		list = append(list, page(alert, s, x, f, base))
	}
	return list
}

func page(alert budgets.Alert, s *experiments.SLO, x budgets.Exposure, f budgets.Forecast, base float64) experiments.PageOutlook {
	p := experiments.PageOutlook{Alert: alert.Name}
	windows := fmt.Sprintf("%s over %s and %s", factorText(alert.Factor), experiments.FormatDuration(alert.Long), experiments.FormatDuration(alert.Short))
	firing := alert.Fires(s.Budget(), base, x.Course())
	if firing.Fires {
		p.Can, p.After = true, firing.After
		p.Text = fmt.Sprintf("%s (%s) can fire: after %s if all events fail", alert.Name, windows, about(firing.After))
		if firing.After == 0 {
			p.Text = fmt.Sprintf("%s (%s) fires already: %s of the events fail without any fault", alert.Name, windows, budgets.Share(base))
		}
		return p
	}
	needs, ever := alert.Needs(s.Budget(), base)
	free := x
	free.Limit = math.NaN()
	switch {
	case !ever:
		p.Text = fmt.Sprintf("%s (%s) cannot fire: even if all events fail, the burn rate is %s", alert.Name, windows, factorText(1/s.Budget()))
	case f.Capped && alert.Fires(s.Budget(), base, free.Course()).Fires:
		p.Text = fmt.Sprintf("%s (%s) cannot fire: it takes %s of total outage, and the allowance of %s stops the run first", alert.Name, windows, about(needs), budgets.Share(x.Limit))
	default:
		p.Text = fmt.Sprintf("%s (%s) cannot fire: it takes %s of total outage, and the faults last %s with all that follows", alert.Name, windows, about(needs), about(f.Uncapped))
	}
	return p
}

func factorText(factor float64) string { return strings.TrimSuffix(budgets.Share(factor/100), "%") }

// builtin tells that an SLO is counted by the built-in Prometheus, which forgets.
func builtin(s *experiments.SLO) bool {
	counted, ok := s.SLI.(prom.Counted)
	return ok && counted.Events().Prometheus.Builtin()
}
