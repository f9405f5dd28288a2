package notify

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/gameday-sh/gameday/experiments"
)

// slackSchema is what Slack takes of a message with the blocks that are used here
// (https://docs.slack.dev/reference/block-kit/blocks), with its limits.
const slackSchema = `{
  "type": "object", "additionalProperties": false, "required": ["text", "blocks"],
  "properties": {
    "text": {"type": "string", "minLength": 1, "maxLength": 40000}, "channel": {"type": "string"},
    "blocks": {"type": "array", "maxItems": 50, "items": {"oneOf": [
      {"type": "object", "additionalProperties": false, "required": ["type", "text"], "properties": {"type": {"const": "header"}, "text": {"allOf": [{"$ref": "#/$defs/plain"}, {"properties": {"text": {"maxLength": 150}}}]}}},
      {"type": "object", "additionalProperties": false, "required": ["type"], "anyOf": [{"required": ["text"]}, {"required": ["fields"]}], "properties": {"type": {"const": "section"}, "text": {"allOf": [{"$ref": "#/$defs/plain"}, {"properties": {"text": {"maxLength": 3000}}}]},
        "fields": {"type": "array", "minItems": 1, "maxItems": 10, "items": {"allOf": [{"$ref": "#/$defs/plain"}, {"properties": {"text": {"maxLength": 2000}}}]}}}},
      {"type": "object", "additionalProperties": false, "required": ["type", "elements"], "properties": {"type": {"const": "context"}, "elements": {"type": "array", "minItems": 1, "maxItems": 10, "items": {"$ref": "#/$defs/plain"}}}}
    ]}}
  },
  "$defs": {"plain": {"type": "object", "additionalProperties": false, "required": ["type", "text"], "properties": {"type": {"const": "plain_text"}, "text": {"type": "string", "minLength": 1}}}}
}`

func TestSlackIsSentWhatItTakes(t *testing.T) {
	s := newServer(t, says(200, "ok"))
	slack := &Slack{URL: experiments.NewSecret(s.URL + "/services/T/B/x"), On: []string{"begin", "inject", "abort", "mended", "end"}, Channel: "game-days"}
	if moments := sent(t, tell(t, plan("team", "slack", slack))); moments != "begin inject abort mended end" {
		t.Errorf("told of %q", moments)
	}
	for _, request := range s.all() {
		fits(t, slackSchema, request.body)
		var m slackMessage
		if err := json.Unmarshal(request.body, &m); err != nil {
			t.Fatal(err)
		}
		// Mentions and links begin with <, and servers like Mattermost look for @here.
		if strings.ContainsAny(m.Text, "<>\x1b\r") || strings.Contains(m.Text, "@here") || strings.Contains(m.Text, "*bold*") {
			t.Errorf("what somebody wrote is read as formatting: %q", m.Text)
		}
		if strings.Contains(string(request.body), planted) {
			t.Errorf("a secret was sent: %s", request.body)
		}
	}
	if last := string(s.all()[4].body); !strings.Contains(last, "ABORTED") {
		t.Errorf("the end does not say the verdict: %s", last)
	}
}

func TestSlackIsSentWhatItTakesHoweverLongNamesAre(t *testing.T) {
	n := sample()
	n.Text, n.Reason = strings.Repeat("<@U1>", 300_000), strings.Repeat("&", 1<<20)
	n.Left = []string{strings.Repeat("x", 1<<20)}
	for range 100 {
		n.Faults = append(n.Faults, experiments.NoticeFault{Name: strings.Repeat("n", 1<<14), Kind: "kind"})
	}
	body, err := json.Marshal((&Slack{}).message(n))
	if err != nil {
		t.Fatal(err)
	}
	fits(t, slackSchema, body)
	if len(body) > 30<<10 {
		t.Errorf("%d bytes", len(body))
	}
}
