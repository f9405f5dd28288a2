package notify

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/textsafe"
	"github.com/gameday-sh/gameday/internal/tlsconfig"
)

// Traces sends a trace a run: the run, its phases and its hits, each with the times at
// which it was. It speaks OTLP/HTTP with JSON (https://opentelemetry.io/docs/specs/otlp/),
// written by hand: the spans are known when the run is over and there is nothing to
// propagate, so the SDK would only make the program larger.
type Traces struct {
	URL     string                        `hcl:"url" doc:"Address of the collector; /v1/traces is added unless it has a path." example:"http://127.0.0.1:4318"`
	Service string                        `hcl:"service,optional" default:"gameday" doc:"The resource attribute service.name."`
	Headers map[string]experiments.Secret `hcl:"headers,optional" doc:"Headers to send along." example:"{ Authorization = \"Bearer ${env(\"TOKEN\")}\" }"`
	TLS     *tlsconfig.Block              `hcl:"tls,block" doc:"Which certificates to trust and to show."`
}

// Validate implements [experiments.Validator].
func (t *Traces) Validate() []experiments.Problem {
	list := append(addressProblem("url", t.URL, false), headerProblems(t.Headers)...)
	if t.Service == "" {
		list = append(list, experiments.Problem{Attribute: "service", Summary: "Empty name", Detail: "a service has a name."})
	}
	return append(list, t.TLS.Problems()...)
}

// Wants implements [experiments.Receiver].
func (t *Traces) Wants(n *experiments.Notice) bool { return n.Moment == experiments.MomentEnd }

// maxSpans is how many spans of hits one trace has, and spansAtOnce how many go into one
// request.
const (
	maxSpans    = 2000
	spansAtOnce = 500
)

// Deliver implements [experiments.Receiver]. Ids are derived from the run, so that what
// is sent twice is the same.
func (t *Traces) Deliver(ctx context.Context, n *experiments.Notice) (experiments.Receipt, error) {
	if n.Result == nil {
		return experiments.Receipt{}, nil
	}
	spans, left := spansOf(n)
	trace := spans[0].TraceID
	for len(spans) > 0 {
		some := spans[:min(len(spans), spansAtOnce)]
		spans = spans[len(some):]
		body, err := json.Marshal(t.export(n, some))
		if err != nil {
			return experiments.Receipt{}, err
		}
		if err := (request{"POST", t.endpoint(), headersOf("application/json", t.Headers), body, t.TLS, otlpTaken}).send(ctx); err != nil {
			return experiments.Receipt{}, err
		}
	}
	said := "sent the trace " + trace
	if left > 0 {
		said += fmt.Sprintf(", without %d of its hits", left)
	}
	return experiments.Receipt{Said: said}, nil
}

// endpoint adds the usual path to an address without one.
func (t *Traces) endpoint() string {
	base := strings.TrimSuffix(t.URL, "/")
	if _, rest, _ := strings.Cut(base, "://"); strings.Contains(rest, "/") {
		return base
	}
	return base + "/v1/traces"
}

// The messages of opentelemetry/proto/collector/trace/v1, as far as they are used. In
// JSON ids are hexadecimal, 64 bit numbers are texts, and enums are numbers.
type otlpExport struct {
	ResourceSpans []otlpResourceSpans `json:"resourceSpans"`
}

type otlpResourceSpans struct {
	Resource   otlpResource     `json:"resource"`
	ScopeSpans []otlpScopeSpans `json:"scopeSpans"`
}

type otlpResource struct {
	Attributes []otlpAttribute `json:"attributes"`
}

type otlpScopeSpans struct {
	Scope otlpScope  `json:"scope"`
	Spans []otlpSpan `json:"spans"`
}

type otlpScope struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

type otlpSpan struct {
	TraceID    string          `json:"traceId"`
	SpanID     string          `json:"spanId"`
	ParentID   string          `json:"parentSpanId,omitempty"`
	Name       string          `json:"name"`
	Kind       int             `json:"kind"`
	Start      string          `json:"startTimeUnixNano"`
	End        string          `json:"endTimeUnixNano"`
	Attributes []otlpAttribute `json:"attributes,omitempty"`
	Events     []otlpEvent     `json:"events,omitempty"`
	Status     *otlpStatus     `json:"status,omitempty"`
}

type otlpEvent struct {
	Time       string          `json:"timeUnixNano"`
	Name       string          `json:"name"`
	Attributes []otlpAttribute `json:"attributes,omitempty"`
}

type otlpStatus struct {
	Message string `json:"message,omitempty"`
	Code    int    `json:"code"`
}

type otlpAttribute struct {
	Key   string    `json:"key"`
	Value otlpValue `json:"value"`
}

type otlpValue struct {
	Text   *string `json:"stringValue,omitempty"`
	Number *string `json:"intValue,omitempty"`
}

// Values of the enums SpanKind and StatusCode.
const (
	spanInternal = 1
	statusError  = 2
)

func text(key, value string) otlpAttribute {
	value = textsafe.Line(value, 500)
	return otlpAttribute{key, otlpValue{Text: &value}}
}

func number(key string, value uint64) otlpAttribute {
	digits := strconv.FormatUint(value, 10)
	return otlpAttribute{key, otlpValue{Number: &digits}}
}

func nanos(at time.Time) string { return strconv.FormatInt(at.UnixNano(), 10) }

// identity derives an id from what it is for.
func identity(bytes int, parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:bytes])
}

func (t *Traces) export(n *experiments.Notice, spans []otlpSpan) otlpExport {
	return otlpExport{[]otlpResourceSpans{{
		Resource:   otlpResource{[]otlpAttribute{text("service.name", t.Service), text("service.version", n.Version), text("host.name", n.Host)}},
		ScopeSpans: []otlpScopeSpans{{Scope: otlpScope{"github.com/gameday-sh/gameday", n.Version}, Spans: spans}},
	}}}
}

// spansOf makes the spans of a run, the root first, and tells how many hits are left out.
// Names of spans have few values; what differs stands in attributes.
func spansOf(n *experiments.Notice) ([]otlpSpan, int) {
	r := n.Result
	trace, root := identity(16, r.Run), identity(8, r.Run, "run")
	run := otlpSpan{
		TraceID: trace, SpanID: root, Name: "gameday.run", Kind: spanInternal, Start: nanos(r.Began), End: nanos(later(r.Ended, r.Began)),
		Attributes: []otlpAttribute{
			text("gameday.run", r.Run), text("gameday.scenario", r.Scenario), text("gameday.verdict", string(r.Verdict)),
			text("gameday.reason", r.Reason), number("gameday.seed", r.Seed&(1<<63-1)),
		},
	}
	if r.Verdict != experiments.Held {
		run.Status = &otlpStatus{textsafe.Line(r.Reason, 300), statusError}
	}
	if r.Stop != nil {
		run.Events = append(run.Events, otlpEvent{nanos(r.Stop.Breach), "gameday.stop", []otlpAttribute{text("gameday.cause", r.Stop.Cause), text("gameday.guard", r.Stop.Guard)}})
	}
	spans := []otlpSpan{run}
	for i, phase := range r.Phases {
		spans = append(spans, otlpSpan{
			TraceID: trace, SpanID: identity(8, r.Run, "phase", strconv.Itoa(i)), ParentID: root, Name: "gameday.phase." + string(phase.Phase),
			Kind: spanInternal, Start: nanos(phase.From), End: nanos(later(phase.To, phase.From)),
		})
	}
	taken, left := 0, 0
	for _, h := range r.Hits {
		if len(h.Steps) == 0 || !begun(h) {
			continue // planned, and never tried
		}
		if taken++; taken > maxSpans {
			left++
			continue
		}
		spans = append(spans, hitSpan(r, h, trace, root))
	}
	return spans, left
}

// begun tells whether the injection of a hit was tried.
func begun(h experiments.HitResult) bool {
	return !tried(h).IsZero()
}

// tried is when the injection of a hit began.
func tried(h experiments.HitResult) time.Time {
	for _, step := range h.Steps {
		if step.Step == experiments.Intended || step.Step == experiments.Injected {
			return step.At
		}
	}
	return time.Time{}
}

func hitSpan(r *experiments.Result, h experiments.HitResult, trace, root string) otlpSpan {
	span := otlpSpan{
		TraceID: trace, SpanID: identity(8, r.Run, "hit", h.ID), ParentID: root, Name: "gameday.hit." + h.Kind, Kind: spanInternal,
		Start: nanos(tried(h)),
		Attributes: []otlpAttribute{
			text("gameday.fault", h.Fault), text("gameday.fault.kind", h.Kind), text("gameday.target", h.Target),
			text("gameday.effect", h.Effect), number("gameday.round", uint64(max(h.Round, 0))),
		},
	}
	end := tried(h)
	for _, step := range h.Steps {
		if !step.Step.Begun() {
			continue
		}
		end = later(end, step.At)
		span.Events = append(span.Events, otlpEvent{nanos(step.At), "gameday." + string(step.Step), nil})
	}
	switch {
	case !h.Verified.IsZero():
		end = h.Verified
	case h.Lasts > 0:
		end = later(r.Ended, end)
		span.Status = &otlpStatus{"not proven mended", statusError}
	}
	if h.Error != "" {
		span.Status = &otlpStatus{textsafe.Line(h.Error, 300), statusError}
	}
	span.End = nanos(end)
	return span
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// otlpTaken looks for a collector that refused a part
// (https://opentelemetry.io/docs/specs/otlp/#partial-success-1).
func otlpTaken(answer []byte) error {
	if len(bytes.TrimSpace(answer)) == 0 {
		return nil
	}
	var said struct {
		PartialSuccess struct {
			RejectedSpans json.RawMessage // a text, as 64 bit numbers are, or a number
			ErrorMessage  string
		}
	}
	if err := json.Unmarshal(answer, &said); err != nil {
		return errors.New("it is no JSON")
	}
	if count := strings.Trim(string(said.PartialSuccess.RejectedSpans), `"`); count != "" && count != "0" && count != "null" {
		return fmt.Errorf("%s spans were refused: %s", textsafe.Line(count, 20), textsafe.Line(said.PartialSuccess.ErrorMessage, 160))
	}
	return nil
}
