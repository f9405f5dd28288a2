package probes

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/http"
	"net/http/cookiejar"
	"slices"
	"time"

	"golang.org/x/net/publicsuffix"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/redact"
	"github.com/gameday-sh/gameday/internal/textsafe"
	"github.com/gameday-sh/gameday/internal/tlsconfig"
)

// Journey goes a user's way through the system: one request after the other, each with
// what the ones before it captured. It is one measurement, and one event: good if every
// step is. The latency is the time of all steps together, without the pauses between
// them. A step that fails ends it, and later ones are not asked.
//
// Each measurement is a user of its own, with new connections and no cookies. What is
// captured is taken for a secret: it is in no word of a sample, and nothing that a
// server said is quoted.
type Journey struct {
	HTTP2 bool             `hcl:"http2,optional" doc:"Use HTTP/2 where a TLS server offers it." default:"true"`
	TLS   *tlsconfig.Block `hcl:"tls,block" doc:"Certificates for https, of all steps."`
	Steps []Step           `hcl:"step,block" doc:"A request of the journey. Steps are taken in the order in which they stand; the first that fails ends the journey."`

	route lazy[route]
}

// route is what a journey works out once.
type route struct {
	strides []*stride
	config  *tls.Config
}

// JourneyKind is what a `journey` block decodes into.
func JourneyKind() experiments.Kind[experiments.JourneyProbe] {
	return experiments.Kind[experiments.JourneyProbe]{
		Name: "journey", Summary: "A user's way through the system in steps, which is measured as one",
		New: func() experiments.JourneyProbe { return &Journey{} },
	}
}

// Validate implements experiments.Validator.
func (j *Journey) Validate() []experiments.Problem {
	list := j.TLS.Problems()
	if len(j.Steps) == 0 {
		list = append(list, experiments.Problem{Summary: "Journey without a step", Detail: "A journey is made of requests: add step \"name\" { url = ... }."})
	}
	return list
}

// Pauses implements experiments.JourneyProbe.
func (j *Journey) Pauses() time.Duration {
	var sum time.Duration
	for i := range j.Steps {
		sum += j.Steps[i].Pause
	}
	return sum
}

func (j *Journey) prepare() (*route, error) {
	if len(j.Steps) == 0 {
		return nil, errors.New("the journey has no step")
	}
	config, err := j.TLS.Config()
	if err != nil {
		return nil, err
	}
	r := &route{config: config}
	for i := range j.Steps {
		ready, err := j.Steps[i].compile()
		if err != nil {
			return nil, err
		}
		r.strides = append(r.strides, ready)
	}
	return r, nil
}

// Tells implements [experiments.Telling].
func (*Journey) Tells() experiments.Told { return experiments.Told{Events: true} }

// Measure implements experiments.Probe.
func (j *Journey) Measure(ctx context.Context) experiments.Sample {
	route, err := j.route.get(j.prepare)
	s := begin() // reading certificates is no part of the latency
	if err != nil {
		return broken(s, textsafe.Line(err.Error(), longReason))
	}
	// A jar made with a list of public suffixes never fails to be made.
	jar, err := cookiejar.New(&cookiejar.Options{PublicSuffixList: publicsuffix.List})
	if err != nil {
		return broken(s, textsafe.Line(err.Error(), longReason))
	}
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(j.HTTP2)
	link := newLink(route.config, protocols, true)
	defer link.drop()
	w := &walk{link: link, jar: jar, captured: map[string]string{}}
	for _, stride := range route.strides {
		outcome := w.take(ctx, s.At, stride)
		if outcome.Condition == experiments.OK && outcome.Good {
			continue
		}
		outcome.Step = stride.Name
		if !cancelled(ctx) {
			outcome.Why = fmt.Sprintf("step %q: %s", textsafe.Line(stride.Name, longQuote), w.clean(outcome.Why))
		}
		return w.end(outcome)
	}
	return w.end(good(s))
}

// walk is one measurement under way.
type walk struct {
	link     *link
	jar      http.CookieJar
	captured map[string]string
	idle     time.Duration
}

// end says how long the steps took, and that a journey has no value of its own.
func (w *walk) end(s experiments.Sample) experiments.Sample {
	s.Idle = w.idle
	s.Took = max(time.Since(s.At)-w.idle, 1)
	s.Value = math.NaN()
	return s
}

// take takes a step. The sample it gives is that of the step.
func (w *walk) take(ctx context.Context, began time.Time, step *stride) experiments.Sample {
	s := begin()
	s.At = began // the whole journey is timed
	if err := w.pause(ctx, step.Pause); err != nil {
		return failed(ctx, s, err, "not reached")
	}
	request, err := step.request(ctx, w.captured)
	if err != nil {
		return bad(s, err.Error())
	}
	client := &http.Client{Transport: w.link, Jar: w.jar, CheckRedirect: step.redirect}
	got, err := ask(client, request, step.MaxBody, step.readsBody())
	s = step.expected.judge(ctx, s, got, err)
	if s.Condition != experiments.OK || !s.Good {
		return s
	}
	// All of them see what was captured before this step.
	taken := map[string]string{}
	for _, catcher := range step.catchers {
		value, err := catcher.take(got, w.jar, step.MaxBody)
		if err != nil {
			return bad(s, err.Error())
		}
		taken[catcher.Name] = value
	}
	maps.Copy(w.captured, taken)
	return s
}

// pause waits, and notes how long that was.
func (w *walk) pause(ctx context.Context, length time.Duration) error {
	if length <= 0 {
		return nil
	}
	began := time.Now()
	defer func() { w.idle += time.Since(began) }()
	timer := time.NewTimer(length)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// clean takes what was captured out of a text, should it have come there.
func (w *walk) clean(text string) string {
	return redact.Func(slices.Collect(maps.Values(w.captured)))(text)
}
