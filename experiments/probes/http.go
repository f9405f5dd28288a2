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

	"golang.org/x/net/http/httpguts"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/textsafe"
	"github.com/gameday-sh/gameday/internal/tlsconfig"
)

// HTTP sends a request and judges the answer. The latency is the time to the last
// byte that was read. Redirects, the codes that count as good and the lack of a proxy
// are as in Prometheus's blackbox exporter.
//
// With keep_alive, a request that finds its connection closed by the server is sent
// once more on a new one, as HTTP clients do; without it, each measurement connects
// anew and sees every reset. Measurements that overlap have a connection each, also
// over HTTP/2, and one of these is kept.
type HTTP struct {
	URL             string                        `hcl:"url" doc:"Where the request goes, with http:// or https://." example:"http://127.0.0.1:8080/healthz"`
	Method          string                        `hcl:"method,optional" doc:"Method of the request." default:"GET"`
	Headers         map[string]experiments.Secret `hcl:"headers,optional" doc:"Headers of the request; they are not sent on to another host by a redirect." example:"{ Accept = \"application/json\" }"`
	Body            string                        `hcl:"body,optional" doc:"Body of the request." example:"{\"sku\":1}"`
	Status          []string                      `hcl:"status,optional" doc:"Status codes that count as good: single ones, ranges (\"200-299\") or classes (\"2xx\")." default:"[\"2xx\"]"`
	BodyMatches     string                        `hcl:"body_matches,optional" doc:"Regular expression (RE2) that the body must match somewhere." example:"\"status\": ?\"ok\""`
	BodyNotMatches  string                        `hcl:"body_not_matches,optional" doc:"Regular expression (RE2) that the body must not match anywhere." example:"(?i)maintenance"`
	JSONPath        string                        `hcl:"json_path,optional" doc:"JSONPath that must name one value in the body; a number there is the probe's value." example:"$.queue.length"`
	JSONEquals      string                        `hcl:"json_equals,optional" doc:"What the value at json_path must be; numbers are compared by value." example:"ok"`
	BearerToken     experiments.Secret            `hcl:"bearer_token,optional" doc:"Token sent as \"Authorization: Bearer\"." example:"env(\"API_TOKEN\")"`
	FollowRedirects bool                          `hcl:"follow_redirects,optional" doc:"Follow up to 10 redirects and judge the last answer." default:"true"`
	HTTP2           bool                          `hcl:"http2,optional" doc:"Use HTTP/2 where a TLS server offers it." default:"true"`
	KeepAlive       bool                          `hcl:"keep_alive,optional" doc:"Keep the connection between measurements; without it, each one connects anew." default:"true"`
	MaxBody         int                           `hcl:"max_body,optional" doc:"How much of the body is read and judged; what follows is left unread." default:"1048576" unit:"bytes"`
	Unit            string                        `hcl:"unit,optional" doc:"Unit of the value at json_path, for people." example:"orders"`
	BasicAuth       *BasicAuth                    `hcl:"basic_auth,block" doc:"User name and password to send."`
	TLS             *tlsconfig.Block              `hcl:"tls,block" doc:"Certificates for https."`

	client lazy[httpClient]
}

// BasicAuth is the `basic_auth` block of an http probe.
type BasicAuth struct {
	Username string             `hcl:"username" doc:"User name." example:"gameday"`
	Password experiments.Secret `hcl:"password" doc:"Password." example:"env(\"SHOP_PASSWORD\")"`
}

// httpClient is what an HTTP probe works out once.
type httpClient struct {
	links                 links
	checkRedirect         func(next *http.Request, before []*http.Request) error
	good                  set
	matches, doesNotMatch *regexp.Regexp
	picker                *picker
	host                  string
	header                http.Header
}

// Validate implements experiments.Validator. An empty url is one that is not known yet.
func (p *HTTP) Validate() []experiments.Problem {
	var list []experiments.Problem
	add := func(attribute, summary, detail string) {
		list = append(list, experiments.Problem{Attribute: attribute, Summary: summary, Detail: detail})
	}
	if p.URL != "" {
		if err := checkURL(p.URL); err != nil {
			add("url", "Unusable URL", err.Error())
		}
	}
	if p.Method != "" && !isToken(p.Method) {
		add("method", "Unknown method", fmt.Sprintf("%q is not an HTTP method; write \"GET\", \"HEAD\" or \"POST\"", p.Method))
	}
	for _, name := range sortedKeys(p.Headers) {
		if !isToken(name) || !httpguts.ValidHeaderFieldValue(p.Headers[name].Reveal()) {
			add("headers", "Unusable header", fmt.Sprintf("the name or the value of header %q holds characters that HTTP does not allow there", textsafe.Line(name, longQuote)))
		}
	}
	if _, err := parseSet(p.Status); err != nil {
		add("status", "Unknown status code", err.Error())
	}
	if _, err := regexp.Compile(p.BodyMatches); err != nil {
		add("body_matches", "Unusable regular expression", err.Error())
	}
	if _, err := regexp.Compile(p.BodyNotMatches); err != nil {
		add("body_not_matches", "Unusable regular expression", err.Error())
	}
	if p.JSONPath != "" {
		if _, err := newPicker(p.JSONPath); err != nil {
			add("json_path", "Unusable JSONPath", err.Error())
		}
	} else if p.JSONEquals != "" {
		add("json_equals", "No value to compare", "json_equals is compared with the value at json_path; set that too")
	}
	if p.MaxBody < 0 {
		add("max_body", "Negative size", "max_body is a number of bytes, 0 or more")
	}
	if p.BasicAuth != nil && !p.BearerToken.IsZero() {
		add("bearer_token", "Two authorizations", "a request carries one Authorization header; keep bearer_token or basic_auth")
	}
	for _, name := range sortedKeys(p.Headers) {
		if strings.EqualFold(name, "Authorization") && (p.BasicAuth != nil || !p.BearerToken.IsZero()) {
			add("headers", "Two authorizations", "a request carries one Authorization header; keep that of headers, bearer_token or basic_auth")
		}
	}
	return append(list, p.TLS.Problems()...)
}

func checkURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		var parse *url.Error
		if errors.As(err, &parse) {
			err = parse.Err
		}
		return fmt.Errorf("the URL cannot be read: %w; write it as \"http://host:port/path\"", err)
	case u.Scheme != "http" && u.Scheme != "https":
		return errors.New("the URL must begin with http:// or https://; write it as \"http://host:port/path\"")
	case u.Host == "" || u.Hostname() == "":
		return errors.New("the URL names no host; write it as \"http://host:port/path\"")
	}
	return nil
}

func isToken(text string) bool { return httpguts.ValidHeaderFieldName(text) }

// sortedKeys lists the keys of a map, so that problems come in the same order each time.
func sortedKeys(m map[string]experiments.Secret) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// Measure implements experiments.Probe.
func (p *HTTP) Measure(ctx context.Context) experiments.Sample {
	c, err := p.client.get(p.prepare)
	s := begin() // reading certificates is no part of the latency
	if err != nil {
		return broken(s, textsafe.Line(err.Error(), longReason))
	}
	request, err := http.NewRequestWithContext(ctx, p.Method, p.URL, strings.NewReader(p.Body))
	if err != nil {
		return broken(s, textsafe.Line(err.Error(), longReason))
	}
	request.Header = c.header.Clone()
	if c.host != "" {
		request.Host = c.host
	}
	link := c.links.take()
	client := http.Client{Transport: link, CheckRedirect: c.checkRedirect}
	answer, err := client.Do(request)
	if err != nil {
		link.drop()
		return failed(ctx, s, err, "no answer")
	}
	body, more, err := p.read(answer)
	s.Took = time.Since(s.At)
	// Closing an answer that was not read to its end closes the connection too.
	closing := answer.Body.Close()
	if err == nil && !more {
		err = closing
	}
	if err != nil {
		link.drop()
	} else {
		c.links.give(link)
	}
	if !c.good.has(answer.StatusCode) && !cancelled(ctx) {
		return bad(s, textsafe.Line(answer.Status, longQuote))
	}
	if err != nil {
		return failed(ctx, s, err, "answer not complete")
	}
	return c.judge(p, s, body, more)
}

// read reads the body up to MaxBody; more tells that there was more of it. The text
// is kept only where something is to be judged by it.
func (p *HTTP) read(answer *http.Response) (body []byte, more bool, err error) {
	// One byte beyond the limit tells apart a body that ends there, after which the
	// connection can be used again.
	limited := io.LimitReader(answer.Body, int64(p.MaxBody)+1)
	if p.BodyMatches == "" && p.BodyNotMatches == "" && p.JSONPath == "" {
		read, err := io.Copy(io.Discard, limited)
		return nil, read > int64(p.MaxBody), err
	}
	body, err = io.ReadAll(limited)
	if len(body) > p.MaxBody {
		return body[:p.MaxBody], true, err
	}
	return body, false, err
}

func (c *httpClient) judge(p *HTTP, s experiments.Sample, body []byte, more bool) experiments.Sample {
	switch {
	case c.matches != nil && !c.matches.Match(body):
		return bad(s, "body does not match "+textsafe.Line(p.BodyMatches, longQuote))
	case c.doesNotMatch != nil && c.doesNotMatch.Match(body):
		return bad(s, "body matches "+textsafe.Line(p.BodyNotMatches, longQuote))
	case c.picker == nil:
		return good(s)
	case more:
		return bad(s, fmt.Sprintf("body is longer than max_body (%d bytes), so its JSON is cut off", p.MaxBody))
	}
	value, err := c.picker.pick(body)
	if err != nil {
		return bad(s, "body: "+err.Error())
	}
	s.Value = number(value)
	if p.JSONEquals != "" && !equal(value, p.JSONEquals) {
		return bad(s, fmt.Sprintf("%s is %s, not %s", p.JSONPath, textsafe.Line(textOf(value), longQuote), textsafe.Line(p.JSONEquals, longQuote)))
	}
	return good(s)
}

func (p *HTTP) prepare() (*httpClient, error) {
	if err := checkURL(p.URL); err != nil {
		return nil, err
	}
	c := &httpClient{header: http.Header{"User-Agent": {"gameday"}}}
	var err error
	if c.good, err = parseSet(p.Status); err != nil {
		return nil, err
	}
	if p.BodyMatches != "" {
		if c.matches, err = regexp.Compile(p.BodyMatches); err != nil {
			return nil, err
		}
	}
	if p.BodyNotMatches != "" {
		if c.doesNotMatch, err = regexp.Compile(p.BodyNotMatches); err != nil {
			return nil, err
		}
	}
	if p.JSONPath != "" {
		if c.picker, err = newPicker(p.JSONPath); err != nil {
			return nil, err
		}
	}
	config, err := p.TLS.Config()
	if err != nil {
		return nil, err
	}
	c.links.config, c.links.keepAlive = config, p.KeepAlive
	c.links.protocols.SetHTTP1(true)
	c.links.protocols.SetHTTP2(p.HTTP2)
	c.checkRedirect = c.redirect
	if !p.FollowRedirects {
		c.checkRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	}
	c.fill(p)
	return c, nil
}

func (c *httpClient) fill(p *HTTP) {
	for name, value := range p.Headers {
		if strings.EqualFold(name, "Host") {
			c.host = value.Reveal()
			continue
		}
		c.header.Set(name, value.Reveal())
	}
	switch {
	case p.BasicAuth != nil:
		request := http.Request{Header: c.header}
		request.SetBasicAuth(p.BasicAuth.Username, p.BasicAuth.Password.Reveal())
	case !p.BearerToken.IsZero():
		c.header.Set("Authorization", "Bearer "+p.BearerToken.Reveal())
	}
}

// redirect keeps what is ours alone from hosts that the scenario did not name. The
// standard client does so for Authorization and cookies, but for no other header, and
// takes another port of the same host for the same server.
func (c *httpClient) redirect(next *http.Request, before []*http.Request) error {
	if len(before) >= 10 {
		return errors.New("more than 10 redirects")
	}
	first := before[0].URL
	away := func(u *url.URL) bool { return u.Scheme != first.Scheme || u.Host != first.Host }
	if away(next.URL) || slices.ContainsFunc(before, func(r *http.Request) bool { return away(r.URL) }) {
		for name := range c.header {
			if name != "User-Agent" {
				next.Header.Del(name)
			}
		}
	}
	return nil
}

// Close closes the connection that is kept between measurements.
func (p *HTTP) Close() error {
	if c := p.client.peek(); c != nil {
		c.links.close()
	}
	return nil
}
