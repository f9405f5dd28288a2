package notify

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/textsafe"
	"github.com/gameday-sh/gameday/internal/tlsconfig"
)

// Slack posts to an incoming webhook (https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks).
// Slack shows the blocks; others that take the same webhooks show the text.
type Slack struct {
	URL     experiments.Secret `hcl:"url" doc:"Address of the incoming webhook. Whoever knows it can post, so it is kept like a password." example:"env(\"SLACK_WEBHOOK\")"`
	On      []string           `hcl:"on,optional" default:"[\"begin\", \"abort\", \"end\"]" enum:"begin|inject|abort|mended|end|held|refuted|aborted|inconclusive|error|not restored" doc:"When: at moments of a run, or when it ends with one of the verdicts."`
	Channel string             `hcl:"channel,optional" doc:"Another channel than the webhook's own, where the server allows that: Mattermost does, Slack does not." example:"game-days"`
	TLS     *tlsconfig.Block   `hcl:"tls,block" doc:"Which certificates to trust and to show."`
}

// Validate implements [experiments.Validator].
func (s *Slack) Validate() []experiments.Problem {
	return append(addressProblem("url", s.URL.Reveal(), true), s.TLS.Problems()...)
}

// Wants implements [experiments.Receiver].
func (s *Slack) Wants(n *experiments.Notice) bool { return wants(s.On, n) }

// Deliver implements [experiments.Receiver].
func (s *Slack) Deliver(ctx context.Context, n *experiments.Notice) (experiments.Receipt, error) {
	body, err := json.Marshal(s.message(n))
	if err != nil {
		return experiments.Receipt{}, err
	}
	return experiments.Receipt{}, request{"POST", s.URL.Reveal(), headersOf("application/json; charset=utf-8", nil), body, s.TLS, nil}.send(ctx)
}

type slackMessage struct {
	Channel string       `json:"channel,omitempty"`
	Text    string       `json:"text"`
	Blocks  []slackBlock `json:"blocks"`
}

type slackBlock struct {
	Type     string      `json:"type"`
	Text     *slackText  `json:"text,omitempty"`
	Fields   []slackText `json:"fields,omitempty"`
	Elements []slackText `json:"elements,omitempty"`
}

type slackText struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

// Slack's limits: 150 characters in a header, 3000 in the text of a section, 2000 in
// each of at most 10 fields (https://docs.slack.dev/reference/block-kit/blocks).
const (
	slackHeader = 150
	slackField  = 300
	slackFields = 10
)

// message is the notice. What people or systems wrote is plain text, in which Slack
// reads neither formatting nor mentions; only the fallback text is mrkdwn.
func (s *Slack) message(n *experiments.Notice) slackMessage {
	plain := func(text string, limit int) slackText { return slackText{"plain_text", textsafe.Line(text, limit)} }
	heading := plain(mark(n)+" "+title(n), slackHeader)
	words := plain(n.Text, 2000)
	m := slackMessage{Channel: s.Channel, Text: "*" + mrkdwn(title(n)) + "*\n" + mrkdwn(n.Text), Blocks: []slackBlock{
		{Type: "header", Text: &heading}, {Type: "section", Text: &words},
	}}
	var fields []slackText
	for _, fault := range n.Faults {
		text := fmt.Sprintf("%s (%s): %d in place, %d mended", fault.Name, fault.Kind, fault.Injected, fault.Mended)
		fields = append(fields, plain(text, slackField))
		m.Text += "\n• " + mrkdwn(text)
		if len(fields) == slackFields-2 {
			break
		}
	}
	if len(n.Left) > 0 {
		fields = append(fields, plain("Still broken: "+n.Left[0], slackField), plain("Mend it: gameday recover "+n.Run, slackField))
		m.Text += "\n" + mrkdwn("Still broken: "+n.Left[0]) + "\n" + mrkdwn("Mend it: gameday recover "+n.Run)
	}
	if len(fields) > 0 {
		m.Blocks = append(m.Blocks, slackBlock{Type: "section", Fields: fields})
	}
	foot := plain(fmt.Sprintf("run %s on %s, gameday %s", n.Run, n.Host, n.Version), slackField)
	m.Blocks = append(m.Blocks, slackBlock{Type: "context", Elements: []slackText{foot}})
	return m
}

// mark is a sign to see from afar.
func mark(n *experiments.Notice) string {
	switch {
	case n.Moment == experiments.MomentAbort, n.Moment == experiments.MomentEnd && n.Verdict == experiments.NotRestored:
		return "🛑"
	case n.Moment == experiments.MomentInject:
		return "💥"
	case n.Moment == experiments.MomentMended, n.Moment == experiments.MomentEnd && n.Verdict == experiments.Held:
		return "✅"
	case n.Moment == experiments.MomentEnd:
		return "⚠️"
	}
	return "▶️"
}

// slackEscapes are the three characters that mrkdwn gives a meaning: with them come
// links, mentions and calls for everybody in a channel
// (https://docs.slack.dev/messaging/formatting-message-text#escaping).
var slackEscapes = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// formatting is what is read as such: an underscore within a word is not, and names that
// are copied out of a message must stay what they are.
var formatting = regexp.MustCompile("[@*~`\\[]|\\b_|_\\b")

// mrkdwn makes a text mean itself. Servers that look for bare @channel find none.
func mrkdwn(text string) string {
	text = slackEscapes.Replace(textsafe.Line(text, 1000))
	// A word joiner is not seen, and keeps signs from being read as formatting.
	return formatting.ReplaceAllString(text, "$0\u2060")
}
