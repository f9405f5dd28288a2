// Package notify tells people and systems of runs: chats, pagers, collectors.
//
// A kind of receiver is a file with a struct whose tagged fields are the attributes of
// its `notify` block, and a line in [Kinds]. A [Dispatcher] follows the events of one
// run, makes a notice of each moment that matters, and has one worker a receiver send
// them in order. Nothing here is waited for while a run goes on; at its end, [Dispatcher.End]
// waits for at most [FlushWithin].
package notify

import (
	"slices"
	"strings"

	"github.com/gameday-sh/gameday/experiments"
)

// Kinds is the table of receivers.
func Kinds() []experiments.Kind[experiments.Receiver] {
	return []experiments.Kind[experiments.Receiver]{
		{Name: "webhook", Summary: "An HTTP request of your own making, signed if you like", New: func() experiments.Receiver { return new(Webhook) }},
		{Name: "slack", Summary: "A message in a channel, through an incoming webhook of Slack, or of Mattermost and others that take the same", New: func() experiments.Receiver { return new(Slack) }},
		{Name: "pagerduty", Summary: "An incident while a run was stopped or left something broken, through the PagerDuty Events API v2", New: func() experiments.Receiver { return new(PagerDuty) }},
		{Name: "alertmanager", Summary: "An alert while a run was stopped or left something broken, through the Alertmanager API v2", New: func() experiments.Receiver { return new(Alertmanager) }},
		{Name: "smtp", Summary: "An e-mail, with the report attached if you like", New: func() experiments.Receiver { return new(SMTP) }},
		{Name: "grafana", Summary: "Annotations on dashboards over the time that each fault was there", New: func() experiments.Receiver { return new(Grafana) }},
		{Name: "metrics", Summary: "Metrics of the run for Prometheus: scraped while it goes on, and pushed at its end", New: func() experiments.Receiver { return new(Metrics) }},
		{Name: "traces", Summary: "A trace of the run, its phases and its hits, through OpenTelemetry's OTLP/HTTP", New: func() experiments.Receiver { return new(Traces) }},
	}
}

// wants tells whether a list of moments and verdicts names the notice. Who is told how a
// run ends is told as well when what it left is mended later.
func wants(on []string, n *experiments.Notice) bool {
	if slices.Contains(on, n.Moment) {
		return true
	}
	switch {
	case n.Moment == experiments.MomentEnd:
		return slices.Contains(on, string(n.Verdict))
	case n.Moment == experiments.MomentMended && n.Result != nil:
		return slices.Contains(on, experiments.MomentEnd) || slices.Contains(on, string(experiments.NotRestored))
	}
	return false
}

// title is the notice in a few words, without what people wrote: names of scenarios
// have no white space and few sorts of characters.
func title(n *experiments.Notice) string {
	switch n.Moment {
	case experiments.MomentBegin:
		return n.Scenario + " begins"
	case experiments.MomentInject:
		return n.Scenario + " breaks things now"
	case experiments.MomentAbort:
		return n.Scenario + " was stopped, and mends"
	case experiments.MomentMended:
		return n.Scenario + ": everything is mended"
	}
	return n.Scenario + ": " + strings.ToUpper(string(n.Verdict))
}

// incident is what opens and closes for a pager: the key is the same for all of a run.
func incident(n *experiments.Notice) string { return "gameday/" + n.Run }

// step is what a notice means for an incident.
type step int

const (
	nothing step = iota
	open
	acknowledge
	resolve
)

// stepFor decides what becomes of an incident: it is opened by what the block names,
// acknowledged when everything is mended, and resolved at the end unless that opens it.
func stepFor(on []string, n *experiments.Notice) step {
	over := n.Result != nil
	switch {
	case n.Moment == experiments.MomentMended && over && n.Open:
		return resolve
	case n.Moment == experiments.MomentMended && n.Open:
		return acknowledge
	case slices.Contains(on, n.Moment), n.Moment == experiments.MomentEnd && slices.Contains(on, string(n.Verdict)):
		return open
	case n.Moment == experiments.MomentEnd && n.Open:
		return resolve
	}
	return nothing
}
