package probes

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/textsafe"
)

// Expect is what the answer to an HTTP request has to be: to that of an http probe, and
// of a step of a journey.
type Expect struct {
	Status         []string `hcl:"status,optional" doc:"Status codes that count as good: single ones, ranges (\"200-299\") or classes (\"2xx\")." default:"[\"2xx\"]"`
	BodyMatches    string   `hcl:"body_matches,optional" doc:"Regular expression (RE2) that the body must match somewhere." example:"\"status\": ?\"ok\""`
	BodyNotMatches string   `hcl:"body_not_matches,optional" doc:"Regular expression (RE2) that the body must not match anywhere." example:"(?i)maintenance"`
	JSONPath       string   `hcl:"json_path,optional" doc:"JSONPath that must name one value in the body; a number there is the value of an http probe." example:"$.queue.length"`
	JSONEquals     string   `hcl:"json_equals,optional" doc:"What the value at json_path must be; numbers are compared by value." example:"ok"`
}

// problems tells add what is wrong.
func (e *Expect) problems(add func(attribute, summary, detail string)) {
	if _, err := parseSet(e.Status); err != nil {
		add("status", "Unknown status code", err.Error())
	}
	if _, err := regexp.Compile(e.BodyMatches); err != nil {
		add("body_matches", "Unusable regular expression", err.Error())
	}
	if _, err := regexp.Compile(e.BodyNotMatches); err != nil {
		add("body_not_matches", "Unusable regular expression", err.Error())
	}
	if e.JSONPath != "" {
		if _, err := newPicker(e.JSONPath); err != nil {
			add("json_path", "Unusable JSONPath", err.Error())
		}
	} else if e.JSONEquals != "" {
		add("json_equals", "No value to compare", "json_equals is compared with the value at json_path; set that too")
	}
}

// expectation is an Expect made ready.
type expectation struct {
	*Expect
	good                  set
	matches, doesNotMatch *regexp.Regexp
	picker                *picker
	maxBody               int
	// discreet keeps what the server said out of every word: it may be a secret.
	discreet bool
}

func (e *Expect) compile(maxBody int) (*expectation, error) {
	c := &expectation{Expect: e, maxBody: maxBody}
	var err error
	if c.good, err = parseSet(e.Status); err != nil {
		return nil, err
	}
	if e.BodyMatches != "" {
		if c.matches, err = regexp.Compile(e.BodyMatches); err != nil {
			return nil, err
		}
	}
	if e.BodyNotMatches != "" {
		if c.doesNotMatch, err = regexp.Compile(e.BodyNotMatches); err != nil {
			return nil, err
		}
	}
	if e.JSONPath != "" {
		if c.picker, err = newPicker(e.JSONPath); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// readsBody tells whether the text of the body is judged.
func (c *expectation) readsBody() bool {
	return c.matches != nil || c.doesNotMatch != nil || c.picker != nil
}

// reply is what came of a request.
type reply struct {
	answer *http.Response // nil without one; its body is read and closed
	body   []byte         // as far as it was to be kept
	more   bool           // the body goes on beyond the limit
	last   time.Time      // when the last byte was read
}

// ask sends a request, and reads the body of the answer up to maxBody. The text is
// kept only if it is asked for.
func ask(client *http.Client, request *http.Request, maxBody int, keep bool) (reply, error) {
	answer, err := client.Do(request)
	if err != nil {
		return reply{}, err
	}
	got := reply{answer: answer}
	// One byte beyond the limit tells apart a body that ends there, after which the
	// connection can be used again.
	limited := io.LimitReader(answer.Body, int64(maxBody)+1)
	if keep {
		got.body, err = io.ReadAll(limited)
		got.more = len(got.body) > maxBody
		got.body = got.body[:min(len(got.body), maxBody)]
	} else {
		var read int64
		read, err = io.Copy(io.Discard, limited)
		got.more = read > int64(maxBody)
	}
	got.last = time.Now()
	// Closing an answer that was not read to its end closes the connection too.
	closing := answer.Body.Close()
	if err == nil && !got.more {
		err = closing
	}
	return got, err
}

// judge ends a sample by what came of a request, err being that of ask.
func (c *expectation) judge(ctx context.Context, s experiments.Sample, got reply, err error) experiments.Sample {
	if err != nil && c.discreet {
		err = discreetly(err)
	}
	if got.answer == nil {
		return failed(ctx, s, err, "no answer")
	}
	if s.Took == 0 {
		s.Took = got.last.Sub(s.At)
	}
	switch {
	case !c.good.has(got.answer.StatusCode) && !cancelled(ctx):
		return bad(s, c.status(got.answer))
	case err != nil:
		return failed(ctx, s, err, "answer not complete")
	case c.matches != nil && !c.matches.Match(got.body):
		return bad(s, "body does not match "+textsafe.Line(c.BodyMatches, longQuote))
	case c.doesNotMatch != nil && c.doesNotMatch.Match(got.body):
		return bad(s, "body matches "+textsafe.Line(c.BodyNotMatches, longQuote))
	case c.picker == nil:
		return good(s)
	case got.more:
		return bad(s, cutOff(c.maxBody))
	}
	value, err := c.picker.pick(got.body)
	if err != nil {
		return bad(s, "body: "+err.Error())
	}
	s.Value = number(value)
	if c.JSONEquals != "" && !equal(value, c.JSONEquals) {
		seen := textsafe.Line(textOf(value), longQuote) + ", not "
		if c.discreet {
			seen = "not "
		}
		return bad(s, fmt.Sprintf("%s is %s%s", c.JSONPath, seen, textsafe.Line(c.JSONEquals, longQuote)))
	}
	return good(s)
}

func cutOff(maxBody int) string {
	return fmt.Sprintf("body is longer than max_body (%d bytes), so its JSON is cut off", maxBody)
}

// status says how a server answered, in its own words or in those of the standard.
func (c *expectation) status(answer *http.Response) string {
	if !c.discreet {
		return textsafe.Line(answer.Status, longQuote)
	}
	return strings.TrimSpace(fmt.Sprintf("%d %s", answer.StatusCode, http.StatusText(answer.StatusCode)))
}

// discreetError is an error without what it quotes: net/http quotes what the server
// sent, such as the address of a redirect.
type discreetError struct {
	error
	text string
}

func (e *discreetError) Error() string { return e.text }
func (e *discreetError) Unwrap() error { return e.error }

func discreetly(err error) error {
	// The text of a url.Error repeats the URL.
	for request := (*url.Error)(nil); errors.As(err, &request); {
		err = request.Err
	}
	text := err.Error()
	if first, last := strings.IndexByte(text, '"'), strings.LastIndexByte(text, '"'); first >= 0 {
		text = text[:first] + "(not shown)" + text[max(last, first)+1:]
	}
	return &discreetError{err, text}
}

// redirectRule decides about a redirect, as http.Client asks.
type redirectRule func(next *http.Request, before []*http.Request) error

// stay takes the first answer for the last.
func stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// follow follows up to 10 redirects, and keeps what is ours alone from hosts that the
// scenario did not name: the headers in own, and the address we come from. The standard
// client does so for Authorization and cookies, but for no other header, and takes
// another port of the same host for the same server.
func follow(own http.Header) redirectRule {
	return func(next *http.Request, before []*http.Request) error {
		if len(before) >= 10 {
			return errors.New("more than 10 redirects")
		}
		if goesAway(next, before) {
			for name := range own {
				if name != "User-Agent" {
					next.Header.Del(name)
				}
			}
			next.Header.Del("Referer") // with the query of the URL
		}
		return nil
	}
}

// goesAway tells whether a redirect leads to another host than the first request went
// to, or one before it did.
func goesAway(next *http.Request, before []*http.Request) bool {
	first := before[0].URL
	away := func(u *url.URL) bool { return u.Scheme != first.Scheme || u.Host != first.Host }
	return away(next.URL) || slices.ContainsFunc(before, func(r *http.Request) bool { return away(r.URL) })
}
