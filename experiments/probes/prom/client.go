package prom

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/gameday-sh/gameday/experiments"
)

// An answer to an instant query that gives one number is some 200 bytes, one to a range
// query 30 bytes a point.
const maxAnswer = 8 << 20

// client asks a server over the HTTP API v1 of Prometheus:
// https://prometheus.io/docs/prometheus/latest/querying/api/
type client struct {
	endpoint  *url.URL // of instant queries, without user
	ranges    *url.URL // of range queries
	shown     string
	timeout   time.Duration
	http      *http.Client
	authorize func() (header string, err error)
	headers   map[string]experiments.Secret
}

func newClient(p *Prometheus) (*client, error) {
	base, err := parseServerURL(p.URL)
	if err != nil {
		return nil, fmt.Errorf("prometheus: %w", err)
	}
	user := base.User
	base.User = nil
	config, err := p.TLS.Config()
	if err != nil {
		return nil, fmt.Errorf("prometheus at %s: %w", shownURL(p.URL), err)
	}
	c := &client{
		endpoint:  base.JoinPath("api/v1/query"),
		ranges:    base.JoinPath("api/v1/query_range"),
		shown:     "Prometheus at " + shownURL(p.URL),
		timeout:   p.timeout(),
		headers:   p.Headers,
		authorize: func() (string, error) { return "", nil },
	}
	basic := func(name, password string) string {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(name+":"+password))
	}
	switch {
	case p.BasicAuth != nil:
		c.authorize = func() (string, error) {
			password, err := secretText(p.BasicAuth.Password, p.BasicAuth.PasswordFile)
			return basic(p.BasicAuth.Username, password), err
		}
	case !p.BearerToken.IsZero() || p.BearerTokenFile != "":
		c.authorize = func() (string, error) {
			token, err := secretText(p.BearerToken, p.BearerTokenFile)
			return "Bearer " + token, err
		}
	case user != nil:
		password, _ := user.Password()
		header := basic(user.Username(), password)
		c.authorize = func() (string, error) { return header, nil }
	}
	c.http = &http.Client{
		CheckRedirect: checkRedirect,
		Transport: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			TLSClientConfig:        config,
			ForceAttemptHTTP2:      true,
			MaxIdleConnsPerHost:    8,
			IdleConnTimeout:        time.Minute,
			MaxResponseHeaderBytes: 64 << 10,
		},
	}
	return c, nil
}

func (c *client) close() { c.http.CloseIdleConnections() }

// checkRedirect follows a server to another path of its own only: another host
// would get the credentials, and a POST that became a GET lost its query.
func checkRedirect(next *http.Request, via []*http.Request) error {
	first := via[0]
	target := shownURL(next.URL.String())
	switch {
	case next.URL.Host != first.URL.Host || next.URL.Scheme != first.URL.Scheme:
		return fmt.Errorf("it redirects to %s; credentials are not sent to another server: write that address as url, if it is the right one", target)
	case next.Method != http.MethodPost:
		return fmt.Errorf("it redirects to %s in a way that drops the query; write the address behind the redirect as url", target)
	case len(via) >= 4:
		return errors.New("it redirects in circles")
	}
	return nil
}

// secretText reads a secret; a file is read each time, as it may be replaced.
func secretText(value experiments.Secret, file string) (string, error) {
	if file == "" {
		return value.Reveal(), nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	trimmed := strings.TrimSpace(string(text))
	if trimmed == "" {
		return "", fmt.Errorf("%s is empty", file)
	}
	return trimmed, nil
}

// Query asks the server. It does not try again: the next measurement will.
func (c *client) Query(ctx context.Context, expr string, at time.Time) (Answer, error) {
	return c.instant(ctx, expr, at, c.timeout)
}

// instant is Query with a timeout of its own.
func (c *client) instant(ctx context.Context, expr string, at time.Time, timeout time.Duration) (Answer, error) {
	var answer Answer
	err := c.ask(ctx, c.endpoint, url.Values{"query": {expr}, "time": {stamp(at)}}, timeout, func(body []byte) (err error) {
		answer, err = decodeAnswer(body)
		return err
	})
	return answer, err
}

// overRange asks for the value of an expression at from and each step after it, up to to.
func (c *client) overRange(ctx context.Context, expr string, from, to time.Time, step, timeout time.Duration) ([]Line, error) {
	var list []Line
	form := url.Values{"query": {expr}, "start": {stamp(from)}, "end": {stamp(to)}, "step": {strconv.FormatFloat(step.Seconds(), 'f', 3, 64)}}
	err := c.ask(ctx, c.ranges, form, timeout, func(body []byte) (err error) {
		list, err = decodeLines(body)
		return err
	})
	return list, err
}

// stamp is a time as the API reads it: seconds since 1970.
func stamp(at time.Time) string {
	return strconv.FormatFloat(float64(at.UnixMilli())/1000, 'f', 3, 64)
}

// ask sends a form and has the body of the answer decoded. All that goes wrong is a
// [QueryError].
func (c *client) ask(ctx context.Context, endpoint *url.URL, form url.Values, timeout time.Duration, decode func([]byte) error) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	form.Set("timeout", timeout.String())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint.String(), strings.NewReader(form.Encode()))
	if err != nil {
		return failf(experiments.Broken, "%s cannot be asked: the address is not usable", c.shown)
	}
	var secrets []string
	for name, secret := range c.headers {
		req.Header.Set(name, secret.Reveal())
		secrets = append(secrets, secret.Reveal())
		if http.CanonicalHeaderKey(name) == "Host" {
			req.Host = secret.Reveal()
		}
	}
	authorization, err := c.authorize()
	if err != nil {
		return failf(experiments.Broken, "%s cannot be asked, as its credentials cannot be read: %s", c.shown, brief(err.Error()))
	}
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
		_, text, _ := strings.Cut(authorization, " ")
		secrets = append(secrets, text)
		if plain, err := base64.StdEncoding.DecodeString(text); err == nil {
			_, password, _ := strings.Cut(string(plain), ":")
			secrets = append(secrets, password)
		}
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "gameday")

	quote := func(text string) string { return brief(hide(text, secrets)) }
	resp, err := c.http.Do(req)
	if err != nil {
		return c.unreachable(ctx, err, timeout, quote)
	}
	defer func() { _ = resp.Body.Close() }() // only read from
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return c.unreachable(ctx, err, timeout, quote)
	}
	if len(body) > maxAnswer {
		return failf(experiments.Refused, "%s answered with more than %d MiB; write a query that gives one number, such as sum(...), or ask for less", c.shown, maxAnswer>>20)
	}
	err = decode(body)
	var said *apiError
	switch {
	case errors.As(err, &said):
		return c.refused(resp, said, quote)
	case resp.StatusCode != http.StatusOK:
		condition := experiments.Refused
		if resp.StatusCode == http.StatusBadGateway || resp.StatusCode == http.StatusServiceUnavailable || resp.StatusCode == http.StatusGatewayTimeout {
			condition = experiments.Unreachable
		}
		return failf(condition, "%s answered %s: %s", c.shown, resp.Status, quote(string(body)))
	case err != nil:
		return failf(experiments.Refused, "%s answered %s with %s that is not of the Prometheus API (%s): %s", c.shown, resp.Status, contentType(resp), quote(err.Error()), quote(string(body)))
	}
	return nil
}

// couldNotAnswer says of a server that is there that a query took it too long.
const couldNotAnswer = "could not answer in time"

// refused words an error in the form of the API.
func (c *client) refused(resp *http.Response, said *apiError, quote func(string) string) *QueryError {
	if said.kind == "timeout" || said.kind == "canceled" || said.kind == "unavailable" {
		return failf(experiments.Unreachable, "%s "+couldNotAnswer+": %s", c.shown, quote(said.Error()))
	}
	return failf(experiments.Refused, "%s answered %s: %s", c.shown, resp.Status, quote(said.Error()))
}

func (c *client) unreachable(ctx context.Context, err error, timeout time.Duration, quote func(string) string) *QueryError {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err // without the address, which is said already
	}
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return failf(experiments.Unreachable, "the query to %s was cancelled", c.shown)
	case errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil:
		return failf(experiments.Unreachable, "%s did not answer in time (timeout %s)", c.shown, experiments.FormatDuration(timeout))
	}
	return failf(experiments.Unreachable, "%s cannot be reached: %s", c.shown, quote(err.Error()))
}

func contentType(resp *http.Response) string {
	if kind := resp.Header.Get("Content-Type"); kind != "" {
		return brief(kind)
	}
	return "a body"
}

// hide takes out secrets that a server repeats.
func hide(text string, secrets []string) string {
	for _, secret := range secrets {
		if len(secret) >= 4 { // shorter ones would tear words apart
			text = strings.ReplaceAll(text, secret, "(secret)")
		}
	}
	return text
}

// apiError is what the API says with status "error".
type apiError struct{ kind, text string }

func (e *apiError) Error() string { return e.kind + ": " + e.text }

// reply is the frame of each answer.
type reply struct {
	Status    string `json:"status"`
	ErrorType string `json:"errorType"`
	Error     string `json:"error"`
	Data      struct {
		ResultType parser.ValueType `json:"resultType"`
		Result     json.RawMessage  `json:"result"`
	} `json:"data"`
	Warnings []string `json:"warnings"`
}

// decodeReply reads the frame, strictly.
func decodeReply(body []byte) (*reply, error) {
	var r reply
	if err := json.Unmarshal(body, &r); err != nil {
		return nil, err
	}
	switch r.Status {
	case "error":
		return nil, &apiError{r.ErrorType, r.Error}
	case "success":
		return &r, nil
	}
	return nil, fmt.Errorf("its status is %q", r.Status)
}

// decodeAnswer reads the body of an answer, strictly: whatever is not a result as
// the API describes it is an error.
func decodeAnswer(body []byte) (Answer, error) {
	reply, err := decodeReply(body)
	if err != nil {
		return Answer{}, err
	}
	answer := Answer{Type: reply.Data.ResultType, Warnings: reply.Warnings}
	switch reply.Data.ResultType {
	case parser.ValueTypeString:
		return answer, nil
	case parser.ValueTypeScalar:
		point, err := decodePoint(reply.Data.Result)
		answer.Points = []Point{point}
		return answer, err
	case parser.ValueTypeVector, parser.ValueTypeMatrix:
	default:
		return Answer{}, fmt.Errorf("its result type is %q", reply.Data.ResultType)
	}
	if !bytes.HasPrefix(bytes.TrimSpace(reply.Data.Result), []byte("[")) {
		return Answer{}, errors.New("its result is not a list")
	}
	var list []struct {
		Metric    map[string]string `json:"metric"`
		Value     json.RawMessage   `json:"value"`
		Values    []json.RawMessage `json:"values"`
		Histogram json.RawMessage   `json:"histogram"`
	}
	if err := json.Unmarshal(reply.Data.Result, &list); err != nil {
		return Answer{}, err
	}
	for _, element := range list {
		if n := len(element.Values); n > 0 {
			element.Value = element.Values[n-1]
		}
		point := Point{Value: math.NaN(), Histogram: true}
		if element.Histogram == nil || element.Value != nil {
			var err error
			if point, err = decodePoint(element.Value); err != nil {
				return Answer{}, err
			}
		}
		point.Labels = labels.FromMap(element.Metric)
		answer.Points = append(answer.Points, point)
	}
	return answer, nil
}

// decodePoint reads [seconds since 1970, "number"].
func decodePoint(text json.RawMessage) (Point, error) {
	var pair []json.RawMessage
	var seconds float64
	var value string
	if err := json.Unmarshal(text, &pair); err != nil || len(pair) != 2 {
		return Point{}, errors.New("a sample of it is not a pair of time and value")
	}
	if err := errors.Join(json.Unmarshal(pair[0], &seconds), json.Unmarshal(pair[1], &value)); err != nil {
		return Point{}, err
	}
	number, err := strconv.ParseFloat(value, 64)
	if err != nil {
		return Point{}, err
	}
	return Point{At: time.UnixMilli(int64(math.Round(seconds * 1000))), Value: number}, nil
}
