package notify

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/gameday-sh/gameday/experiments"
)

// pagerDutySchema is what the Events API v2 takes
// (https://developer.pagerduty.com/docs/send-alert-event).
const pagerDutySchema = `{
  "type": "object", "additionalProperties": false, "required": ["routing_key", "event_action", "dedup_key"],
  "properties": {
    "routing_key": {"type": "string", "minLength": 32, "maxLength": 32}, "dedup_key": {"type": "string", "minLength": 1, "maxLength": 255},
    "event_action": {"enum": ["trigger", "acknowledge", "resolve"]}, "client": {"type": "string"},
    "payload": {"type": "object", "additionalProperties": false, "required": ["summary", "severity", "source"], "properties": {
      "summary": {"type": "string", "minLength": 1, "maxLength": 1024}, "source": {"type": "string", "minLength": 1},
      "severity": {"enum": ["critical", "warning", "error", "info"]}, "timestamp": {"type": "string", "format": "date-time"},
      "component": {"type": "string"}, "group": {"type": "string"}, "class": {"type": "string"}, "custom_details": {"type": "object"}}}
  },
  "if": {"properties": {"event_action": {"const": "trigger"}}}, "then": {"required": ["payload"]}
}`

const routingKey = "0123456789abcdef0123456789abcdef"

const pagerDutyAnswer = `{"status":"success","message":"Event processed","dedup_key":"gameday/x"}`

func newPagerDuty(url string) *PagerDuty {
	return &PagerDuty{RoutingKey: experiments.NewSecret(routingKey), URL: url + "/v2/enqueue", On: []string{"abort", "not restored"}, Severity: "error"}
}

// actions are what a PagerDuty was told, each checked against the schema.
func actions(t *testing.T, s *server) string {
	t.Helper()
	var list []string
	for _, request := range s.all() {
		fits(t, pagerDutySchema, request.body)
		var event pagerDutyEvent
		if err := json.Unmarshal(request.body, &event); err != nil {
			t.Fatal(err)
		}
		if event.Key != "gameday/20261124-153000-slow-7f3a" || strings.Contains(string(request.body), planted) {
			t.Errorf("%s", request.body)
		}
		said := event.Action
		if event.Payload != nil {
			said += " " + event.Payload.Severity
		}
		list = append(list, said)
	}
	return strings.Join(list, ", ")
}

func TestPagerDutyHasOneIncidentARun(t *testing.T) {
	s := newServer(t, says(202, pagerDutyAnswer))
	told := tell(t, plan("on-call", "pagerduty", newPagerDuty(s.URL)))
	if moments := sent(t, told); moments != "abort mended end" {
		t.Errorf("told of %q", moments)
	}
	if got := actions(t, s); got != "trigger error, acknowledge, resolve" {
		t.Errorf("%s", got)
	}
	if open := experiments.OpenIncidents(told); len(open) > 0 {
		t.Errorf("open: %+v", open)
	}
	if open := experiments.OpenIncidents(told[:2]); len(open) != 1 || open[0].Opened != "gameday/20261124-153000-slow-7f3a" {
		t.Errorf("after the abort, open: %+v", open)
	}
}

func TestPagerDutyStaysOpenWhileSomethingIsBroken(t *testing.T) {
	s := newServer(t, says(202, pagerDutyAnswer))
	receiver := newPagerDuty(s.URL)
	r := result()
	r.Verdict, r.Left = experiments.NotRestored, []string{"proxy payments: late"}
	d := New(t.Context(), []*experiments.ReceiverPlan{plan("on-call", "pagerduty", receiver)}, Options{Redact: redacted})
	r.Notifications = d.End(t.Context(), r, experiments.MomentEnd)
	if got := actions(t, s); got != "trigger critical" {
		t.Errorf("at the end: %s", got)
	}
	// Later it is mended, by another process.
	r.Left, r.Recovered = nil, r.Ended.Add(60e9)
	later := New(t.Context(), []*experiments.ReceiverPlan{plan("on-call", "pagerduty", newPagerDuty(s.URL))}, Options{Redact: redacted})
	later.Inherit()
	told := later.End(t.Context(), r, experiments.MomentMended)
	if got := actions(t, s); got != "trigger critical, resolve" {
		t.Errorf("afterwards: %s", got)
	}
	if open := experiments.OpenIncidents(append(r.Notifications, told...)); len(open) > 0 {
		t.Errorf("open: %+v", open)
	}
}

func TestAPageThatAnswersForPagerDutyIsNoSuccess(t *testing.T) {
	s := newServer(t, says(200, "<html>Please sign in</html>"))
	for _, n := range tell(t, plan("on-call", "pagerduty", newPagerDuty(s.URL))) {
		if n.State != experiments.DeliveryFailed || !strings.Contains(n.Error, "not as the API does") || n.Attempts != 1 {
			t.Errorf("%+v", n)
		}
	}
}
