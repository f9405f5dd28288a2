package notify

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/template"
	"time"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/tlsconfig"
)

// Webhook sends an HTTP request whose body is the notice as JSON, or a template over it.
// Signatures are those of the Standard Webhooks specification, version 1.0.0
// (https://www.standardwebhooks.com/).
type Webhook struct {
	URL         experiments.Secret            `hcl:"url" doc:"Where the request goes. Such addresses often hold a token, so it is kept like one." example:"env(\"TEAM_WEBHOOK\")"`
	On          []string                      `hcl:"on,optional" default:"[\"begin\", \"abort\", \"end\"]" enum:"begin|inject|abort|mended|end|held|refuted|aborted|inconclusive|error|not restored" doc:"When: at moments of a run, or when it ends with one of the verdicts."`
	Method      string                        `hcl:"method,optional" default:"POST" enum:"POST|PUT|PATCH" doc:"The HTTP method."`
	Headers     map[string]experiments.Secret `hcl:"headers,optional" doc:"Headers to send along." example:"{ Authorization = \"Bearer ${env(\"TOKEN\")}\" }"`
	ContentType string                        `hcl:"content_type,optional" default:"application/json" doc:"What the body is."`
	Body        string                        `hcl:"body,optional" doc:"A template of the body, as Go's text/template has it, over the notice: .Moment, .Scenario, .Run, .Verdict, .Reason, .Cause, .Text and others. {{ json .Text }} is a value as JSON. Left out: the notice as JSON." example:"{\"text\": {{ json .Text }}}"`
	Secret      experiments.Secret            `hcl:"signing_secret,optional" doc:"Signs the request as the Standard Webhooks specification says: headers webhook-id, webhook-timestamp and webhook-signature. One that begins with whsec_ is base64." example:"env(\"WEBHOOK_SECRET\")"`
	TLS         *tlsconfig.Block              `hcl:"tls,block" doc:"Which certificates to trust and to show."`
}

// maxBody is the most that a template may write.
const maxBody = 1 << 20

var errTooLong = errors.New("it writes more than 1 MiB")

// limited is a writer that fails beyond maxBody.
type limited struct{ bytes.Buffer }

func (l *limited) Write(text []byte) (int, error) {
	if l.Len()+len(text) > maxBody {
		return 0, errTooLong
	}
	return l.Buffer.Write(text)
}

// Validate implements [experiments.Validator].
func (w *Webhook) Validate() []experiments.Problem {
	list := addressProblem("url", w.URL.Reveal(), true)
	list = append(list, headerProblems(w.Headers)...)
	if _, err := w.text(sample()); err != nil {
		list = append(list, experiments.Problem{Attribute: "body", Summary: "Template that cannot be used", Detail: err.Error()})
	}
	if _, err := signingKey(w.Secret.Reveal()); err != nil {
		list = append(list, experiments.Problem{Attribute: "signing_secret", Summary: "Secret that cannot be used", Detail: err.Error()})
	}
	return append(list, w.TLS.Problems()...)
}

// sample is a notice to try a template on.
func sample() *experiments.Notice {
	now := time.Unix(1700000000, 0).UTC()
	return &experiments.Notice{
		Schema: experiments.NoticeSchema, ID: "20231114-221320-checkout-0000/end", Moment: experiments.MomentEnd, At: now,
		Run: "20231114-221320-checkout-0000", Scenario: "checkout", Host: "host", Version: "devel", Began: now, Ended: now,
		Verdict: experiments.Held, Reason: "every hypothesis held", Faults: []experiments.NoticeFault{{Name: "late", Kind: "toxiproxy_latency", Injected: 1, Mended: 1, From: now, To: now}},
		Text: "checkout ended: HELD.",
	}
}

// Wants implements [experiments.Receiver].
func (w *Webhook) Wants(n *experiments.Notice) bool { return wants(w.On, n) }

// Deliver implements [experiments.Receiver].
func (w *Webhook) Deliver(ctx context.Context, n *experiments.Notice) (experiments.Receipt, error) {
	body, err := w.text(n)
	if err != nil {
		return experiments.Receipt{}, fmt.Errorf("the body cannot be made: %w", err)
	}
	headers := headersOf(w.ContentType, w.Headers)
	if !w.Secret.IsZero() {
		key, err := signingKey(w.Secret.Reveal())
		if err != nil {
			return experiments.Receipt{}, err
		}
		sent := strconv.FormatInt(time.Now().Unix(), 10)
		headers.Set("webhook-id", n.ID)
		headers.Set("webhook-timestamp", sent)
		headers.Set("webhook-signature", sign(key, n.ID, sent, body))
	}
	return experiments.Receipt{}, request{w.Method, w.URL.Reveal(), headers, body, w.TLS, nil}.send(ctx)
}

// text makes the body.
func (w *Webhook) text(n *experiments.Notice) ([]byte, error) {
	shown := *n
	shown.Result, shown.Page = nil, nil // they are not cleaned of secrets
	if w.Body == "" {
		return json.Marshal(&shown)
	}
	form, err := template.New("body").Funcs(template.FuncMap{"json": asJSON}).Parse(w.Body)
	if err != nil {
		return nil, err
	}
	var out limited
	if err := form.Execute(io.Writer(&out), &shown); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// asJSON is the function json of templates.
func asJSON(value any) (string, error) {
	text, err := json.Marshal(value)
	return string(text), err
}

const keyPrefix = "whsec_"

// signingKey reads a secret: base64 behind whsec_, or the text itself.
func signingKey(secret string) ([]byte, error) {
	encoded, found := strings.CutPrefix(secret, keyPrefix)
	if !found {
		return []byte(secret), nil
	}
	key, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(key) == 0 {
		return nil, fmt.Errorf("what stands behind %s is not base64", keyPrefix)
	}
	return key, nil
}

// sign is the signature of id.timestamp.body with HMAC-SHA256.
func sign(key []byte, id, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + timestamp + "."))
	mac.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}
