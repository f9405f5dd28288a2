package prom

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/tlsconfig"
)

const (
	defaultTimeout         = 5 * time.Second
	defaultBuiltinInterval = time.Second
	defaultServerInterval  = 15 * time.Second
	// scrapesPerWindow is how many scrape intervals a window must hold: rate() needs
	// two samples, and with four it still has them when one scrape is lost and the
	// window's edges fall badly.
	scrapesPerWindow = 4
)

// Prometheus is the connection kind "prometheus": a server with an URL, or the
// built-in one, which keeps in memory what [Scrape] and [Prometheus.Observe]
// give it: 6 hours, at most 50,000 series.
type Prometheus struct {
	URL             string                        `hcl:"url,optional" doc:"Address of a Prometheus server or of anything that speaks its HTTP API. Left out, gameday scrapes and answers PromQL by itself." example:"http://127.0.0.1:9090"`
	BearerToken     experiments.Secret            `hcl:"bearer_token,optional" doc:"Token that is sent to the server."`
	BearerTokenFile string                        `hcl:"bearer_token_file,optional" doc:"File with the token; it is read again for each query."`
	Headers         map[string]experiments.Secret `hcl:"headers,optional" doc:"Headers that are sent with each query, such as X-Scope-OrgID."`
	Timeout         time.Duration                 `hcl:"timeout,optional" default:"5s" doc:"How long a query may take; one over the whole period of an slo, 12 times as long."`
	ScrapeInterval  *time.Duration                `hcl:"scrape_interval,optional" doc:"How often targets are scraped: 1s where left out for the built-in one, 15s for a server. Windows shorter than 4 of them are not asked."`
	BasicAuth       *BasicAuth                    `hcl:"basic_auth,block" doc:"User and password that are sent to the server."`
	TLS             *tlsconfig.Block              `hcl:"tls,block" doc:"How the server's certificate is checked, and which one is shown to it."`

	mu     sync.Mutex
	open   Querier
	store  *Store // of the built-in one
	stop   func()
	probes map[*experiments.Probed]*observed
	// troubles says of each scrape into the built-in one why it fails.
	troubles map[*Scrape]error
}

// BasicAuth is HTTP basic authentication.
type BasicAuth struct {
	Username     string             `hcl:"username" doc:"Name of the user." example:"gameday"`
	Password     experiments.Secret `hcl:"password,optional" doc:"Password of the user."`
	PasswordFile string             `hcl:"password_file,optional" doc:"File with the password; it is read again for each query."`
}

// Validate implements [experiments.Validator].
func (p *Prometheus) Validate() []experiments.Problem {
	var problems []experiments.Problem
	problem := func(attribute, summary, detail string, values ...any) {
		problems = append(problems, experiments.Problem{Attribute: attribute, Summary: summary, Detail: fmt.Sprintf(detail, values...)})
	}
	if p.URL != "" {
		if _, err := parseServerURL(p.URL); err != nil {
			problem("url", "Bad address", "%s; write it as \"http://127.0.0.1:9090\".", err)
		}
	}
	ways := 0
	for _, used := range []bool{!p.BearerToken.IsZero() || p.BearerTokenFile != "", p.BasicAuth != nil, urlHasUser(p.URL)} {
		if used {
			ways++
		}
	}
	if ways > 1 {
		problem("", "Several ways to log in", "Keep one of bearer_token, bearer_token_file, a basic block and a user in url.")
	}
	if !p.BearerToken.IsZero() && p.BearerTokenFile != "" {
		problem("bearer_token_file", "Two tokens", "Keep one of bearer_token and bearer_token_file.")
	}
	if p.BasicAuth != nil && !p.BasicAuth.Password.IsZero() && p.BasicAuth.PasswordFile != "" {
		problem("basic_auth", "Two passwords", "Keep one of password and password_file.")
	}
	names := make([]string, 0, len(p.Headers))
	for name := range p.Headers {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		switch {
		case !validHeaderName(name):
			problem("headers", "Bad header name", "%q cannot be the name of a header; write letters, digits and hyphens, as in \"X-Scope-OrgID\".", name)
		case http.CanonicalHeaderKey(name) == "Authorization" && ways > 0:
			problem("headers", "Several ways to log in", "The header Authorization is set by bearer_token, basic_auth or a user in url already; keep one of them.")
		}
	}
	if p.Timeout < 0 {
		problem("timeout", "Negative timeout", "Write how long a query may take, such as \"5s\".")
	}
	if p.ScrapeInterval != nil && *p.ScrapeInterval < time.Millisecond {
		problem("scrape_interval", "Scrape interval too short", "Write how often targets are scraped, such as \"1s\"; 1ms is the least.")
	}
	return append(problems, p.TLS.Problems()...)
}

// Open makes it ready for queries. It does not speak to a server yet, so that a
// server that is away is reported by the measurement that misses it.
func (p *Prometheus) Open(context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open != nil {
		return nil
	}
	if p.URL == "" {
		inside := newBuiltin(p.Interval(), p.timeout())
		p.open, p.store, p.stop = inside, inside.store, func() {}
		p.probes, p.troubles = map[*experiments.Probed]*observed{}, map[*Scrape]error{}
		return nil
	}
	outside, err := newClient(p)
	if err != nil {
		return err
	}
	p.open, p.stop = outside, outside.close
	return nil
}

// Close ends its connections; the built-in one forgets its samples.
func (p *Prometheus) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open != nil {
		p.stop()
	}
	p.open, p.store, p.stop, p.probes, p.troubles = nil, nil, nil, nil, nil
	return nil
}

// Query implements [Querier], within Timeout.
func (p *Prometheus) Query(ctx context.Context, expr string, at time.Time) (Answer, error) {
	if p == nil {
		return Answer{}, failf(experiments.Broken, "there is no Prometheus to ask")
	}
	p.mu.Lock()
	open := p.open
	p.mu.Unlock()
	if open == nil {
		return Answer{}, failf(experiments.Broken, "%s is not open", p.Where())
	}
	ctx, cancel := context.WithTimeout(ctx, p.timeout())
	defer cancel()
	return open.Query(ctx, expr, at)
}

// patience is how many times Timeout a query over a whole period may take, which reads
// a thousand times as much as one over a few minutes.
const patience = 12

// server is the open client for queries over a whole period.
func (p *Prometheus) server() (*client, *QueryError) {
	if p.Builtin() {
		return nil, failf(experiments.NoData, "the built-in Prometheus has no history beside a run; write a prometheus block with the url of a server")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if c, ok := p.open.(*client); ok {
		return c, nil
	}
	return nil, failf(experiments.Broken, "%s is not open", p.Where())
}

// Builtin tells whether it is the built-in one.
func (p *Prometheus) Builtin() bool { return p == nil || p.URL == "" }

// Interval is how often its targets are scraped.
func (p *Prometheus) Interval() time.Duration {
	switch {
	case p != nil && p.ScrapeInterval != nil && *p.ScrapeInterval > 0:
		return *p.ScrapeInterval
	case p.Builtin():
		return defaultBuiltinInterval
	}
	return defaultServerInterval
}

// Where names it for a person, without what is secret.
func (p *Prometheus) Where() string {
	if p.Builtin() {
		return "the built-in Prometheus"
	}
	return "Prometheus at " + shownURL(p.URL)
}

func (p *Prometheus) timeout() time.Duration {
	if p.Timeout <= 0 {
		return defaultTimeout
	}
	return p.Timeout
}

// samples is the store of the built-in one, nil for a server and while closed.
func (p *Prometheus) samples() *Store {
	if p == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.store
}

// report keeps why the newest scrape failed, or nil.
func (p *Prometheus) report(s *Scrape, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case err == nil:
		delete(p.troubles, s)
	case p.troubles != nil:
		p.troubles[s] = err
	}
}

// trouble says which scrapes fail, as the end of a sentence about missing data.
func (p *Prometheus) trouble() string {
	if p == nil {
		return ""
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	var list []string
	for s, err := range p.troubles {
		list = append(list, fmt.Sprintf("; scraping %s fails: %s", shownURL(s.URL), brief(err.Error())))
	}
	slices.Sort(list)
	return strings.Join(list, "")
}

// parseServerURL reads the address of an HTTP server. Its errors do not repeat the
// text, which may hold a password.
func parseServerURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, fmt.Errorf("the address cannot be read")
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("the address does not begin with http:// or https://")
	case u.Hostname() == "":
		return nil, fmt.Errorf("the address has no host")
	}
	return u, nil
}

func urlHasUser(text string) bool {
	u, err := parseServerURL(text)
	return err == nil && u.User != nil
}

// shownURL is an address without user, query and fragment, which may be secret.
func shownURL(text string) string {
	u, err := parseServerURL(text)
	if err != nil {
		return "an address that cannot be read"
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

func validHeaderName(name string) bool {
	return name != "" && strings.IndexFunc(name, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("!#$%&'*+-.^_`|~", r))
	}) < 0
}
