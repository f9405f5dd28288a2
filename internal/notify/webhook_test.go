package notify

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gameday-sh/gameday/experiments"
)

// noticeSchema is what docs/notify.md says of the payload.
const noticeSchema = `{
  "type": "object", "additionalProperties": false,
  "required": ["schema", "id", "moment", "at", "run", "scenario", "host", "version", "seed", "began", "faults", "text"],
  "properties": {
    "schema": {"const": "gameday/notice/v1"}, "id": {"type": "string"}, "moment": {"enum": ["begin", "inject", "abort", "mended", "end"]},
    "at": {"type": "string", "format": "date-time"}, "run": {"type": "string"}, "scenario": {"type": "string"}, "description": {"type": "string"},
    "origin": {"type": "string"}, "host": {"type": "string"}, "version": {"type": "string"}, "seed": {"type": "integer"},
    "began": {"type": "string", "format": "date-time"}, "ended": {"type": "string", "format": "date-time"}, "phase": {"type": "string"},
    "verdict": {"enum": ["held", "refuted", "aborted", "inconclusive", "error", "not restored"]}, "reason": {"type": "string"},
    "cause": {"type": "string"}, "guard": {"type": "string"}, "left": {"type": "array", "items": {"type": "string"}}, "text": {"type": "string"},
    "faults": {"type": "array", "items": {"type": "object", "additionalProperties": false, "required": ["name", "kind", "injected", "mended", "from"],
      "properties": {"name": {"type": "string"}, "kind": {"type": "string"}, "injected": {"type": "integer"}, "mended": {"type": "integer"},
        "from": {"type": "string", "format": "date-time"}, "to": {"type": "string", "format": "date-time"}}}}
  }
}`

func TestAWebhookIsToldOfEachMomentInOrder(t *testing.T) {
	s := newServer(t, says(200, "ok"))
	hook := &Webhook{
		URL: experiments.NewSecret(s.URL + "/hook?token=abc"), On: []string{"begin", "inject", "abort", "mended", "end"}, Method: "PUT", ContentType: "application/json",
		Headers: map[string]experiments.Secret{"Authorization": experiments.NewSecret("Bearer t0ken")},
	}
	if moments := sent(t, tell(t, plan("hook", "webhook", hook))); moments != "begin inject abort mended end" {
		t.Errorf("told of %q", moments)
	}
	for i, request := range s.all() {
		fits(t, noticeSchema, request.body)
		if request.method != "PUT" || request.path != "/hook" || request.header.Get("Authorization") != "Bearer t0ken" {
			t.Errorf("request %d: %+v", i, request)
		}
		if strings.Contains(string(request.body), planted) {
			t.Errorf("a secret was sent: %s", request.body)
		}
		for _, control := range []string{`\u001b`, `\r`, `\n`} {
			if strings.Contains(string(request.body), control) {
				t.Errorf("a control character was sent: %s", request.body)
			}
		}
	}
	var last experiments.Notice
	if err := json.Unmarshal(s.all()[4].body, &last); err != nil {
		t.Fatal(err)
	}
	if last.Verdict != experiments.Aborted || len(last.Faults) != 1 || last.Faults[0].Mended != 1 || !last.Faults[0].To.Equal(start.Add(7*time.Second)) {
		t.Errorf("%+v", last)
	}
}

func TestAWebhookTakesATemplateAndSignsIt(t *testing.T) {
	s := newServer(t, says(204, ""))
	key := []byte("a key of thirty-two bytes, or so")
	for _, secret := range []string{"whsec_" + base64.StdEncoding.EncodeToString(key), string(key)} {
		hook := &Webhook{
			URL: experiments.NewSecret(s.URL), On: []string{"end"}, Method: "POST", ContentType: "text/plain", Secret: experiments.NewSecret(secret),
			Body: `{{ .Scenario }} {{ .Verdict }} {{ range .Faults }}{{ .Name }}={{ .Injected }}{{ end }} {{ json .Cause }}`,
		}
		sent(t, tell(t, plan("hook", "webhook", hook)))
		all := s.all()
		got := all[len(all)-1]
		if body := string(got.body); !strings.HasPrefix(body, "slow aborted late=1 \"guard page: \\u003c!channel") {
			t.Errorf("body %s", body)
		}
		// As a receiver checks it, by the specification.
		id, sentAt := got.header.Get("webhook-id"), got.header.Get("webhook-timestamp")
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(id + "." + sentAt + "." + string(got.body)))
		if want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)); got.header.Get("webhook-signature") != want {
			t.Errorf("signature %q, want %q", got.header.Get("webhook-signature"), want)
		}
		unix, err := strconv.ParseInt(sentAt, 10, 64)
		if err != nil || time.Since(time.Unix(unix, 0)).Abs() > 5*time.Minute || id != "20261124-153000-slow-7f3a/end" {
			t.Errorf("timestamp %q, id %q", sentAt, id)
		}
	}
}

// The vector is the one of the specification's own reference libraries.
func TestTheSignatureIsThatOfTheSpecification(t *testing.T) {
	key, err := signingKey("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil {
		t.Fatal(err)
	}
	got := sign(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", []byte(`{"test": 2432232314}`))
	if want := "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestAWebhookThatCannotWorkIsRefusedBeforeARun(t *testing.T) {
	for _, test := range []struct {
		name      string
		hook      Webhook
		attribute string
	}{
		{"a template that does not parse", Webhook{Body: "{{ .Text"}, "body"},
		{"a field that is not there", Webhook{Body: "{{ .Password }}"}, "body"},
		{"a result that is not cleaned of secrets", Webhook{Body: "{{ .Result.Run }}"}, "body"},
		{"an address without a host", Webhook{URL: experiments.NewSecret("hooks/abc")}, "url"},
		{"a header with a line break", Webhook{Headers: map[string]experiments.Secret{"X": experiments.NewSecret("a\r\nB: c")}}, "headers"},
		{"a secret that is not base64", Webhook{Secret: experiments.NewSecret("whsec_!!")}, "signing_secret"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.hook.URL.IsZero() {
				test.hook.URL = experiments.NewSecret("https://example.org/" + planted)
			}
			problems := test.hook.Validate()
			if len(problems) != 1 || problems[0].Attribute != test.attribute || strings.Contains(problems[0].Detail, planted) {
				t.Errorf("%+v", problems)
			}
		})
	}
	fine := Webhook{URL: experiments.NewSecret("https://example.org/x"), Body: `{"text": {{ json .Text }}}`}
	if problems := fine.Validate(); len(problems) > 0 {
		t.Errorf("%+v", problems)
	}
}
