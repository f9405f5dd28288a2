package notify

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/textsafe"
	"github.com/gameday-sh/gameday/internal/tlsconfig"
)

// PagerDuty opens, acknowledges and resolves one incident a run, through the Events API
// v2 (https://developer.pagerduty.com/docs/events-api-v2-overview).
type PagerDuty struct {
	RoutingKey experiments.Secret `hcl:"routing_key" doc:"Integration key of the service: 32 characters." example:"env(\"PAGERDUTY_ROUTING_KEY\")"`
	On         []string           `hcl:"on,optional" default:"[\"abort\", \"not restored\"]" enum:"begin|inject|abort|end|held|refuted|aborted|inconclusive|error|not restored" doc:"What opens the incident. It is acknowledged when everything is proven mended, and resolved at the end, unless the end is named here."`
	Severity   string             `hcl:"severity,optional" default:"error" enum:"critical|error|warning|info" doc:"How grave it is. What could not be mended is always critical."`
	URL        string             `hcl:"url,optional" default:"https://events.pagerduty.com/v2/enqueue" doc:"Where events go: https://events.eu.pagerduty.com/v2/enqueue for accounts in Europe."`
	TLS        *tlsconfig.Block   `hcl:"tls,block" doc:"Which certificates to trust and to show."`
}

// Validate implements [experiments.Validator].
func (p *PagerDuty) Validate() []experiments.Problem {
	list := addressProblem("url", p.URL, false)
	if len(p.RoutingKey.Reveal()) != 32 {
		list = append(list, experiments.Problem{Attribute: "routing_key", Summary: "Not a routing key", Detail: "an integration key of the Events API v2 has 32 characters."})
	}
	return append(list, p.TLS.Problems()...)
}

// Wants implements [experiments.Receiver].
func (p *PagerDuty) Wants(n *experiments.Notice) bool { return stepFor(p.On, n) != nothing }

// pagerDutyEvent is the body of a request; Payload is for triggers only.
type pagerDutyEvent struct {
	RoutingKey string            `json:"routing_key"`
	Action     string            `json:"event_action"`
	Key        string            `json:"dedup_key"`
	Client     string            `json:"client,omitempty"`
	Payload    *pagerDutyPayload `json:"payload,omitempty"`
}

type pagerDutyPayload struct {
	Summary   string              `json:"summary"` // at most 1024 characters
	Source    string              `json:"source"`
	Severity  string              `json:"severity"`
	Timestamp time.Time           `json:"timestamp"`
	Component string              `json:"component"`
	Group     string              `json:"group"`
	Class     string              `json:"class"`
	Details   *experiments.Notice `json:"custom_details"`
}

// Deliver implements [experiments.Receiver].
func (p *PagerDuty) Deliver(ctx context.Context, n *experiments.Notice) (experiments.Receipt, error) {
	event := pagerDutyEvent{RoutingKey: p.RoutingKey.Reveal(), Key: incident(n)}
	var receipt experiments.Receipt
	switch stepFor(p.On, n) {
	case open:
		severity := p.Severity
		if len(n.Left) > 0 || n.Verdict == experiments.NotRestored {
			severity = "critical"
		}
		event.Action, event.Client = "trigger", "gameday"
		event.Payload = &pagerDutyPayload{
			Summary: textsafe.Line(n.Text, 1000), Source: n.Host, Severity: severity, Timestamp: n.At,
			Component: n.Scenario, Group: "gameday", Class: n.Moment, Details: n,
		}
		receipt = experiments.Receipt{Said: "triggered the incident " + event.Key, Opened: event.Key}
	case acknowledge:
		event.Action = "acknowledge"
		receipt = experiments.Receipt{Said: "acknowledged the incident " + event.Key, Opened: event.Key}
	case resolve:
		event.Action = "resolve"
		receipt = experiments.Receipt{Said: "resolved the incident " + event.Key, Closed: event.Key}
	}
	body, err := json.Marshal(event)
	if err != nil {
		return receipt, err
	}
	return receipt, request{"POST", p.URL, headersOf("application/json", nil), body, p.TLS, pagerDutySuccess}.send(ctx)
}

// pagerDutySuccess looks for the answer to an event that was taken.
func pagerDutySuccess(answer []byte) error {
	var said struct{ Status, Message string }
	if err := json.Unmarshal(answer, &said); err != nil || said.Status != "success" {
		return fmt.Errorf("status %q, message %q", textsafe.Line(said.Status, 60), textsafe.Line(said.Message, 120))
	}
	return nil
}
