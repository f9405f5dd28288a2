package probes

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

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
	URL     string                        `hcl:"url" doc:"Where the request goes, with http:// or https://." example:"http://127.0.0.1:8080/healthz"`
	Method  string                        `hcl:"method,optional" doc:"Method of the request." default:"GET"`
	Headers map[string]experiments.Secret `hcl:"headers,optional" doc:"Headers of the request; they are not sent on to another host by a redirect." example:"{ Accept = \"application/json\" }"`
	Body    string                        `hcl:"body,optional" doc:"Body of the request." example:"{\"sku\":1}"`
	Expect
	BearerToken     experiments.Secret `hcl:"bearer_token,optional" doc:"Token sent as \"Authorization: Bearer\"." example:"env(\"API_TOKEN\")"`
	FollowRedirects bool               `hcl:"follow_redirects,optional" doc:"Follow up to 10 redirects and judge the last answer." default:"true"`
	HTTP2           bool               `hcl:"http2,optional" doc:"Use HTTP/2 where a TLS server offers it." default:"true"`
	KeepAlive       bool               `hcl:"keep_alive,optional" doc:"Keep the connection between measurements; without it, each one connects anew." default:"true"`
	MaxBody         int                `hcl:"max_body,optional" doc:"How much of the body is read and judged; what follows is left unread." default:"1048576" unit:"bytes"`
	Unit            string             `hcl:"unit,optional" doc:"Unit of the value at json_path, for people." example:"orders"`
	BasicAuth       *BasicAuth         `hcl:"basic_auth,block" doc:"User name and password to send."`
	TLS             *tlsconfig.Block   `hcl:"tls,block" doc:"Certificates for https."`

	client lazy[httpClient]
}

// BasicAuth is the `basic_auth` block of an http probe.
type BasicAuth struct {
	Username string             `hcl:"username" doc:"User name." example:"gameday"`
	Password experiments.Secret `hcl:"password" doc:"Password." example:"env(\"SHOP_PASSWORD\")"`
}

// httpClient is what an HTTP probe works out once.
type httpClient struct {
	links         links
	checkRedirect redirectRule
	expected      *expectation
	host          string
	header        http.Header
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
	p.problems(add)
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

// Tells implements [experiments.Telling].
func (p *HTTP) Tells() experiments.Told {
	return experiments.Told{Events: true, Values: p.JSONPath != "", Number: "give the probe a json_path, with a number there"}
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
	got, err := ask(&http.Client{Transport: link, CheckRedirect: c.checkRedirect}, request, p.MaxBody, c.expected.readsBody())
	if err != nil {
		link.drop()
	} else {
		c.links.give(link)
	}
	return c.expected.judge(ctx, s, got, err)
}

func (p *HTTP) prepare() (*httpClient, error) {
	if err := checkURL(p.URL); err != nil {
		return nil, err
	}
	c := &httpClient{header: http.Header{"User-Agent": {"gameday"}}}
	var err error
	if c.expected, err = p.compile(p.MaxBody); err != nil {
		return nil, err
	}
	config, err := p.TLS.Config()
	if err != nil {
		return nil, err
	}
	c.links.config, c.links.keepAlive = config, p.KeepAlive
	c.links.protocols.SetHTTP1(true)
	c.links.protocols.SetHTTP2(p.HTTP2)
	c.fill(p)
	c.checkRedirect = stay
	if p.FollowRedirects {
		c.checkRedirect = follow(c.header)
	}
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

// Close closes the connection that is kept between measurements.
func (p *HTTP) Close() error {
	if c := p.client.peek(); c != nil {
		c.links.close()
	}
	return nil
}
