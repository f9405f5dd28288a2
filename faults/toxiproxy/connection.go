package toxiproxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	client "github.com/Shopify/toxiproxy/v2/client"

	"github.com/gameday-sh/gameday/experiments"
)

// defaultTimeout is for a connection that was not made by the language.
const defaultTimeout = 2 * time.Second

// Toxiproxy is the connection to a toxiproxy server: one that runs already, or,
// without a URL, one in this process. It is safe for concurrent use.
type Toxiproxy struct {
	URL     string        `hcl:"url,optional" doc:"Address of the server's API; left out, one is started in this process." example:"http://127.0.0.1:8474"`
	Timeout time.Duration `hcl:"timeout,optional" default:"2s" doc:"How long the server may take to answer one call."`
	Proxies []Proxy       `hcl:"proxy,block" doc:"A proxy to create, unless it is there already."`

	mu      sync.Mutex
	api     *api // nil while closed
	builtin *builtin
	created []client.Proxy // what Close takes away again
}

// Proxy is a proxy that a connection creates.
type Proxy struct {
	Name     string `hcl:"name" doc:"Name of the proxy." example:"payments"`
	Listen   string `hcl:"listen,optional" default:"127.0.0.1:0" doc:"Address it listens on; port 0 takes a free one."`
	Upstream string `hcl:"upstream" doc:"Address it passes connections on to." example:"127.0.0.1:9000"`
}

// Connection is the row of the table of connections.
func Connection() experiments.Kind[experiments.Connection] {
	return experiments.Kind[experiments.Connection]{
		Name:    "toxiproxy",
		Summary: "A toxiproxy server, or the built-in one",
		New:     func() experiments.Connection { return new(Toxiproxy) },
	}
}

// Validate checks the URL and the proxies.
func (t *Toxiproxy) Validate() []experiments.Problem {
	var problems []experiments.Problem
	if t.URL != "" {
		if _, err := serverURL(t.URL); err != nil {
			problems = append(problems, experiments.Problem{Attribute: "url", Summary: "Not the address of a toxiproxy", Detail: err.Error() + "."})
		}
	}
	if t.Timeout < 0 {
		problems = append(problems, experiments.Problem{Attribute: "timeout", Summary: "Negative timeout", Detail: "Write how long one call may take, such as \"2s\"."})
	}
	seen := map[string]bool{}
	for _, proxy := range t.Proxies {
		if err := usableName(proxy.Name); proxy.Name != "" && err != nil {
			problems = append(problems, experiments.Problem{Attribute: "proxy", Summary: "Not a name for a proxy", Detail: err.Error() + "."})
		}
		if seen[proxy.Name] && proxy.Name != "" {
			problems = append(problems, experiments.Problem{Attribute: "proxy", Summary: "Duplicate proxy", Detail: fmt.Sprintf("%q is declared twice; give each proxy a name of its own.", proxy.Name)})
		}
		seen[proxy.Name] = true
	}
	return problems
}

// Open starts the built-in server, or checks that the other one answers, and
// creates the proxies.
func (t *Toxiproxy) Open(ctx context.Context) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.api != nil {
		return nil
	}
	if err := t.reach(ctx); err != nil {
		return err
	}
	for _, proxy := range t.Proxies {
		if _, err := t.ensure(ctx, proxy); err != nil {
			return errors.Join(err, t.close())
		}
	}
	return nil
}

func (t *Toxiproxy) reach(ctx context.Context) error {
	timeout := t.Timeout
	if timeout <= 0 {
		timeout = defaultTimeout
	}
	if t.URL == "" {
		started, err := startBuiltin(ctx)
		if err != nil {
			return fmt.Errorf("starting the built-in toxiproxy: %w", err)
		}
		t.builtin = started
		t.api = newAPI(started.url(), timeout, started.instance)
		return nil
	}
	url, err := serverURL(t.URL)
	if err != nil {
		return fmt.Errorf("toxiproxy %q: %w", t.URL, err)
	}
	reached := newAPI(url, timeout, "")
	if _, err := reached.version(ctx); err != nil {
		return fmt.Errorf("%w; is it running? Start toxiproxy-server, or leave url out for the built-in one", err)
	}
	t.api = reached
	return nil
}

// Close removes the proxies that Open and CreateProxy made, if they are still as they
// were made and carry no toxic, and stops the built-in server.
func (t *Toxiproxy) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.api == nil {
		return nil
	}
	return t.close()
}

func (t *Toxiproxy) close() error {
	var errs []error
	if t.builtin != nil {
		errs = append(errs, t.builtin.close())
	} else {
		for _, made := range slices.Backward(t.created) {
			errs = append(errs, t.removeOurs(made))
		}
	}
	t.api, t.builtin, t.created = nil, nil, nil
	return errors.Join(errs...)
}

func (t *Toxiproxy) removeOurs(made client.Proxy) error {
	ctx, cancel := context.WithTimeout(context.Background(), 3*t.api.timeout)
	defer cancel()
	now, err := t.api.proxy(ctx, made.Name)
	if notFound(err) {
		return nil
	}
	if err == nil && (now.Listen != made.Listen || now.Upstream != made.Upstream || len(now.ActiveToxics) > 0) {
		return nil // somebody else's by now, or somebody is at work on it
	}
	if err == nil {
		err = t.api.deleteProxy(ctx, made.Name)
	}
	if err != nil {
		return fmt.Errorf("removing proxy %s again: %w", made.Name, err)
	}
	return nil
}

// Exports names what scenarios may refer to.
func (t *Toxiproxy) Exports() []string { return []string{"url"} }

// Export gives the address of the API as "url".
func (t *Toxiproxy) Export(name string) string {
	if name == "url" {
		return t.Address()
	}
	return ""
}

// Address is the URL of the server's API; empty while the connection is closed.
func (t *Toxiproxy) Address() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.api == nil {
		return ""
	}
	return t.api.url
}

// CreateProxy makes a proxy from listen to an upstream that this process serves, and
// returns the address it listens on; port 0 takes a free one. The process must listen on
// the upstream from before the call until after DeleteProxy or Close: proxies of
// processes that died are told by that, and taken away first (see claim.go). A proxy of
// that name and upstream that is there already is used, and left by Close; one with
// another upstream is an error.
func (t *Toxiproxy) CreateProxy(ctx context.Context, name, listen, upstream string) (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.api == nil {
		return "", errClosed
	}
	if err := usableName(name); err != nil {
		return "", err
	}
	if err := t.claim(ctx, name, upstream); err != nil {
		return "", err
	}
	proxy, err := t.ensure(ctx, Proxy{Name: name, Listen: listen, Upstream: upstream})
	if err != nil {
		return "", errors.Join(err, t.disclaim(context.WithoutCancel(ctx), name))
	}
	return proxy.Listen, nil
}

// DeleteProxy removes a proxy; one that is not there counts as removed.
func (t *Toxiproxy) DeleteProxy(ctx context.Context, name string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.api == nil {
		return errClosed
	}
	if err := t.api.deleteProxy(ctx, name); err != nil {
		return fmt.Errorf("removing proxy %s: %w", name, err)
	}
	t.created = slices.DeleteFunc(t.created, func(made client.Proxy) bool { return made.Name == name })
	return t.disclaim(ctx, name)
}

var errClosed = errors.New("the toxiproxy connection is not open")

// ensure uses the proxy that is there, or makes it.
func (t *Toxiproxy) ensure(ctx context.Context, want Proxy) (client.Proxy, error) {
	if err := usableName(want.Name); err != nil {
		return client.Proxy{}, err
	}
	have, err := t.api.proxy(ctx, want.Name)
	if err == nil {
		if have.Upstream != want.Upstream || !sameListen(want.Listen, have.Listen) {
			return client.Proxy{}, fmt.Errorf("toxiproxy at %s has a proxy %s already, from %s to %s and not from %s to %s%s: give this one another name, or remove that one", t.api.url, want.Name, have.Listen, have.Upstream, want.Listen, want.Upstream, t.api.owner(ctx, have))
		}
		return have, nil
	}
	if !notFound(err) {
		return client.Proxy{}, fmt.Errorf("looking for proxy %s: %w", want.Name, err)
	}
	made, err := t.api.create(ctx, client.Proxy{Name: want.Name, Listen: want.Listen, Upstream: want.Upstream, Enabled: true})
	if err != nil {
		// What failed may be the answer alone; what was made all the same is taken away again.
		if late, reading := t.api.proxy(ctx, want.Name); reading == nil && late.Upstream == want.Upstream && !taken(err) {
			t.created = append(t.created, late)
		}
		return client.Proxy{}, fmt.Errorf("creating proxy %s from %s to %s: %w", want.Name, want.Listen, want.Upstream, err)
	}
	t.created = append(t.created, made)
	return made, nil
}

// sameListen compares the address asked for with the one the server resolved it to.
func sameListen(want, have string) bool {
	asked, err := net.ResolveTCPAddr("tcp", want)
	if err != nil {
		return want == have
	}
	return want == "" || asked.Port == 0 || asked.String() == have
}

// handle gives faults the way to the server.
func (t *Toxiproxy) handle() (*api, error) {
	if t == nil {
		return nil, errors.New("the fault names no toxiproxy connection")
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.api == nil {
		return nil, errClosed
	}
	return t.api, nil
}
