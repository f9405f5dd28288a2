package toxiproxy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	client "github.com/Shopify/toxiproxy/v2/client"
)

// instanceHeader tells which built-in server answers. A fresh process can so tell
// the server it looks for from another that got the same port later.
const instanceHeader = "X-Gameday-Instance"

// errGone says that the built-in server of a hit is no more. Its proxies and toxics
// went with it.
var errGone = errors.New("the built-in toxiproxy of that run is gone, and its proxies with it")

// api speaks toxiproxy's HTTP API. It shares the wire types of toxiproxy's own
// client but not its calls: they take no context, wait 30 seconds, and that cannot
// be changed from outside. A revert must give up on a server that hangs long before.
type api struct {
	url      string
	timeout  time.Duration // of each call
	instance string        // of a built-in server
	http     *http.Client
}

func newAPI(url string, timeout time.Duration, instance string) *api {
	return &api{url: url, timeout: timeout, instance: instance, http: &http.Client{
		// A connection a call: there are few calls, and none is to fail because the
		// server closed an idle connection or a wedged one is still open.
		Transport:     &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// do makes one call: in is sent, out is filled, either may be nil. What toxiproxy
// itself refuses is a *client.ApiError.
func (a *api) do(ctx context.Context, method, path string, in, out any) error {
	var body bytes.Buffer
	if in != nil {
		if err := json.NewEncoder(&body).Encode(in); err != nil {
			return fmt.Errorf("%s %s: %w", method, path, err)
		}
	}
	call, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(call, method, a.url+path, &body)
	if err != nil {
		return fmt.Errorf("toxiproxy at %s: %w", a.url, err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "gameday")
	response, err := a.http.Do(request)
	if err != nil {
		return a.unanswered(ctx, method, path, err)
	}
	// The deadline closes the connection in any case; what Close says adds nothing.
	defer func() { _ = response.Body.Close() }()
	const most = 16 << 20
	answer, err := io.ReadAll(io.LimitReader(response.Body, most+1))
	if err != nil {
		return a.unanswered(ctx, method, path, err)
	}
	if len(answer) > most {
		return fmt.Errorf("%s %s%s was answered with more than %d MB, which is not toxiproxy's way: check the url", method, a.url, path, most>>20)
	}
	if a.instance != "" && response.Header.Get(instanceHeader) != a.instance {
		return errGone
	}
	if response.StatusCode < 200 || response.StatusCode > 299 {
		refusal := &client.ApiError{}
		if err := json.Unmarshal(answer, refusal); err != nil || refusal.Message == "" {
			return fmt.Errorf("%s %s%s was answered %s with %.80q, which is not toxiproxy's way: check the url and what stands before the server", method, a.url, path, response.Status, answer)
		}
		refusal.Status = response.StatusCode
		return refusal
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("%s %s%s was answered %s with %.80q, which is not toxiproxy's JSON (%w): check the url", method, a.url, path, response.Status, answer, err)
	}
	return nil
}

// unanswered explains a call without an answer.
func (a *api) unanswered(ctx context.Context, method, path string, err error) error {
	// On the loopback interface a refusal means that nobody listens: a built-in server
	// goes only with its process or its connection.
	if a.instance != "" && errors.Is(err, syscall.ECONNREFUSED) {
		return errGone
	}
	var inner *url.Error
	if errors.As(err, &inner) {
		err = inner.Err
	}
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("toxiproxy at %s: stopped while waiting for %s %s: %w", a.url, method, path, context.Cause(ctx))
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("toxiproxy at %s did not answer %s %s within %s: %w", a.url, method, path, a.timeout, errStuck)
	}
	return fmt.Errorf("toxiproxy at %s did not answer %s %s: %w", a.url, method, path, err)
}

// errStuck says that a call ran into its own deadline. Whether it took effect is
// not known.
var errStuck = errors.New("the call hangs")

// notFound tells whether toxiproxy itself said that the proxy or toxic is not
// there. Another server's 404 does not count.
func notFound(err error) bool {
	var refusal *client.ApiError
	return errors.As(err, &refusal) && refusal.Status == http.StatusNotFound && strings.HasSuffix(refusal.Message, "not found")
}

// taken tells whether toxiproxy refused because the name is in use.
func taken(err error) bool {
	var refusal *client.ApiError
	return errors.As(err, &refusal) && refusal.Status == http.StatusConflict
}

func (a *api) version(ctx context.Context) (string, error) {
	var answer struct {
		Version string `json:"version"`
	}
	if err := a.do(ctx, http.MethodGet, "/version", nil, &answer); err != nil {
		return "", err
	}
	if answer.Version == "" {
		return "", fmt.Errorf("GET %s/version names no version: is this a toxiproxy?", a.url)
	}
	return answer.Version, nil
}

func (a *api) proxies(ctx context.Context) (map[string]client.Proxy, error) {
	var proxies map[string]client.Proxy
	err := a.do(ctx, http.MethodGet, "/proxies", nil, &proxies)
	return proxies, err
}

func proxyPath(name string) string { return "/proxies/" + url.PathEscape(name) }

func toxicPath(proxy, toxic string) string {
	return proxyPath(proxy) + "/toxics/" + url.PathEscape(toxic)
}

func (a *api) proxy(ctx context.Context, name string) (client.Proxy, error) {
	var proxy client.Proxy
	if err := a.do(ctx, http.MethodGet, proxyPath(name), nil, &proxy); err != nil {
		return client.Proxy{}, err
	}
	if proxy.Name != name {
		return client.Proxy{}, fmt.Errorf("toxiproxy at %s was asked for proxy %q and answered with %q", a.url, name, proxy.Name)
	}
	return proxy, nil
}

// create makes a proxy and adds its toxics. One with toxics is best created
// disabled: there is no connection to wait for then.
func (a *api) create(ctx context.Context, proxy client.Proxy) (client.Proxy, error) {
	var made client.Proxy
	if err := a.do(ctx, http.MethodPost, "/proxies", proxy, &made); err != nil {
		return client.Proxy{}, err
	}
	for _, toxic := range proxy.ActiveToxics {
		if err := a.addToxic(ctx, proxy.Name, toxic); err != nil {
			return client.Proxy{}, err
		}
	}
	return made, nil
}

// enable switches a proxy on or off. POST and not PATCH, as toxiproxy's own client
// does: servers older than 2.6 know no PATCH.
//
// While a proxy is off, the kernel may lend its port to a passing connection of
// somebody else; so switching on is tried for about two seconds.
func (a *api) enable(ctx context.Context, name string, on bool) error {
	for tries := 40; ; tries-- {
		err := a.do(ctx, http.MethodPost, proxyPath(name), map[string]bool{"enabled": on}, nil)
		if err == nil || tries == 0 || !strings.Contains(err.Error(), "address already in use") {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// deleteProxy counts a proxy that is not there as deleted.
func (a *api) deleteProxy(ctx context.Context, name string) error {
	if err := a.do(ctx, http.MethodDelete, proxyPath(name), nil, nil); err != nil && !notFound(err) {
		return err
	}
	return nil
}

func (a *api) addToxic(ctx context.Context, proxy string, toxic client.Toxic) error {
	return a.do(ctx, http.MethodPost, proxyPath(proxy)+"/toxics", toxic, nil)
}

// removeToxic counts a toxic that is not there as removed.
func (a *api) removeToxic(ctx context.Context, proxy, toxic string) error {
	if err := a.do(ctx, http.MethodDelete, toxicPath(proxy, toxic), nil, nil); err != nil && !notFound(err) {
		return err
	}
	return nil
}

// serverURL reads what a scenario wrote: with or without a scheme.
func serverURL(text string) (string, error) {
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	parsed, err := url.Parse(text)
	switch {
	case err != nil:
		return "", fmt.Errorf("the url cannot be read: %w", errors.Unwrap(err))
	case parsed.Scheme != "http" && parsed.Scheme != "https":
		return "", fmt.Errorf("the url's scheme is %q; write http://host:8474", parsed.Scheme)
	case parsed.Hostname() == "":
		return "", errors.New("the url names no host; write http://host:8474")
	case parsed.User != nil:
		return "", errors.New("the url holds a user name or password; toxiproxy knows none, and undoing a fault must work without one")
	case parsed.RawQuery != "" || parsed.Fragment != "":
		return "", errors.New("the url holds a query or fragment; write http://host:8474")
	}
	return strings.TrimSuffix(parsed.String(), "/"), nil
}

// address names a server the same way however a scenario wrote its url.
func address(server string) string {
	parsed, err := url.Parse(server)
	if err != nil {
		return server
	}
	host, port := strings.ToLower(parsed.Hostname()), parsed.Port()
	if host == "localhost" {
		host = "127.0.0.1"
	}
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[parsed.Scheme]
	}
	return net.JoinHostPort(host, port) + parsed.Path
}
