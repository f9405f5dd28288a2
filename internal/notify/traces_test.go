package notify

import (
	"encoding/base64"
	"encoding/hex"
	"regexp"
	"strings"
	"testing"
	"time"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/gameday-sh/gameday/experiments"
)

var hexID = regexp.MustCompile(`"(traceId|spanId|parentSpanId)":"([0-9a-f]*)"`)

// decoded reads a request by OpenTelemetry's own definition of the messages, in which an
// unknown field is an error. Only ids differ from the usual JSON of protobuf: they are
// hexadecimal there, which is seen to here.
func decoded(t *testing.T, body []byte) *tracepb.TracesData {
	t.Helper()
	text := hexID.ReplaceAllStringFunc(string(body), func(field string) string {
		parts := hexID.FindStringSubmatch(field)
		id, err := hex.DecodeString(parts[2])
		if err != nil {
			t.Fatal(err)
		}
		return `"` + parts[1] + `":"` + base64.StdEncoding.EncodeToString(id) + `"`
	})
	var data tracepb.TracesData
	if err := protojson.Unmarshal([]byte(text), &data); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	return &data
}

func TestATraceHasTheRunItsPhasesAndItsHitsWithTheirTimes(t *testing.T) {
	s := newServer(t, says(200, `{"partialSuccess":{}}`))
	told := tell(t, plan("collector", "traces", &Traces{URL: s.URL, Service: "gameday", Headers: map[string]experiments.Secret{"X-Tenant": experiments.NewSecret("team")}}))
	sent(t, told)
	all := s.all()
	if len(all) != 1 || all[0].path != "/v1/traces" || all[0].header.Get("Content-Type") != "application/json" || all[0].header.Get("X-Tenant") != "team" {
		t.Fatalf("%+v", all)
	}
	if strings.Contains(string(all[0].body), planted) {
		t.Errorf("a secret was sent: %s", all[0].body)
	}
	data := decoded(t, all[0].body)
	if len(data.ResourceSpans) != 1 || data.ResourceSpans[0].Resource.Attributes[0].Value.GetStringValue() != "gameday" {
		t.Fatalf("%v", data)
	}
	spans := data.ResourceSpans[0].ScopeSpans[0].Spans
	var names []string
	for i, span := range spans {
		from, to := time.Unix(0, int64(span.StartTimeUnixNano)).Sub(start), time.Unix(0, int64(span.EndTimeUnixNano)).Sub(start)
		names = append(names, span.Name+" "+from.String()+" to "+to.String())
		if len(span.TraceId) != 16 || len(span.SpanId) != 8 || (i == 0) != (len(span.ParentSpanId) == 0) || string(span.TraceId) != string(spans[0].TraceId) || i > 0 && string(span.ParentSpanId) != string(spans[0].SpanId) {
			t.Errorf("ids of %s", span.Name)
		}
	}
	want := "gameday.run 0s to 10s, gameday.phase.baseline 1s to 2s, gameday.phase.disrupt 2s to 6s, gameday.phase.revert 6s to 8s, gameday.hit.toxiproxy_latency 3s to 7s"
	if strings.Join(names, ", ") != want {
		t.Errorf("%s", strings.Join(names, ", "))
	}
	if spans[0].Status.GetCode() != tracepb.Status_STATUS_CODE_ERROR || len(spans[0].Events) != 1 || spans[4].Status != nil || len(spans[4].Events) != 3 {
		t.Errorf("%v\n%v", spans[0], spans[4])
	}
	if !strings.Contains(told[0].Said, hex.EncodeToString(spans[0].TraceId)) {
		t.Errorf("the report does not name the trace: %q", told[0].Said)
	}
}

func TestACollectorThatRefusesAPartIsNoSuccess(t *testing.T) {
	for _, test := range []struct{ answer, want string }{
		{`{"partialSuccess":{"rejectedSpans":"3","errorMessage":"too old"}}`, "3 spans were refused: too old"},
		{`<html>sign in</html>`, "it is no JSON"},
	} {
		s := newServer(t, says(200, test.answer))
		told := tell(t, plan("collector", "traces", &Traces{URL: s.URL + "/otlp/v1/traces", Service: "gameday"}))
		if len(told) != 1 || told[0].State != experiments.DeliveryFailed || !strings.Contains(told[0].Error, test.want) || s.all()[0].path != "/otlp/v1/traces" {
			t.Errorf("%+v", told)
		}
	}
}

func TestALongRunIsSentInParts(t *testing.T) {
	s := newServer(t, says(200, ""))
	r := result()
	for range 2100 {
		r.Hits = append(r.Hits, r.Hits[0])
	}
	d := New(t.Context(), []*experiments.ReceiverPlan{plan("collector", "traces", &Traces{URL: s.URL, Service: "gameday"})}, Options{})
	told := d.End(t.Context(), r, experiments.MomentEnd)
	if len(told) != 1 || !strings.Contains(told[0].Said, "without 101 of its hits") {
		t.Errorf("%+v", told)
	}
	spans := 0
	for _, request := range s.all() {
		spans += len(decoded(t, request.body).ResourceSpans[0].ScopeSpans[0].Spans)
	}
	if want := 1 + 3 + maxSpans; spans != want || len(s.all()) != 5 {
		t.Errorf("%d spans in %d requests, want %d in 5", spans, len(s.all()), want)
	}
}
