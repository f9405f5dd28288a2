package notify

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/textsafe"
	"github.com/gameday-sh/gameday/internal/tlsconfig"
)

// request is one HTTP request of a receiver. Its address may be a secret: errors name
// the host only.
type request struct {
	method  string
	url     string
	headers http.Header
	body    []byte
	tls     *tlsconfig.Block
	// confirm, if set, looks whether an answer is one that the API gives: a proxy or a page
	// to sign in at answers with 200 as well.
	confirm func(answer []byte) error
}

// send makes the request and takes any 2xx for success. Everything that another attempt
// may put right is a RetryError.
func (r request) send(ctx context.Context) error {
	config, err := r.tls.Config()
	if err != nil {
		return err
	}
	dialer := &net.Dialer{}
	// A connection of its own each time: there are few, minutes apart.
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, DialContext: dialer.DialContext, TLSClientConfig: config, DisableKeepAlives: true, ForceAttemptHTTP2: true}
	client := &http.Client{
		Transport: transport,
		// Following would hand tokens, or the text, to whoever answers.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	defer transport.CloseIdleConnections()
	host := hostOf(r.url)
	asked, err := http.NewRequestWithContext(ctx, r.method, r.url, bytes.NewReader(r.body))
	if err != nil {
		return fmt.Errorf("%s to %s: the address cannot be used", r.method, host) // err would quote it
	}
	for name, values := range r.headers {
		asked.Header[name] = values
	}
	if value := asked.Header.Get("Host"); value != "" {
		asked.Host = value
	}
	answer, err := client.Do(asked)
	if err != nil {
		return failure(fmt.Sprintf("%s to %s", r.method, host), err)
	}
	text, reading := io.ReadAll(io.LimitReader(answer.Body, 4<<10))
	if err := errors.Join(reading, answer.Body.Close()); err != nil {
		return failure(fmt.Sprintf("%s to %s", r.method, host), err)
	}
	what := fmt.Sprintf("%s to %s", r.method, host)
	if err := verdictOf(answer, what, text); err != nil || r.confirm == nil {
		return err
	}
	if err := r.confirm(text); err != nil {
		return fmt.Errorf("%s was answered with %d, and not as the API does: %w", what, answer.StatusCode, err)
	}
	return nil
}

// verdictOf makes an error of an answer that is no success.
func verdictOf(answer *http.Response, what string, text []byte) error {
	code := answer.StatusCode
	if code/100 == 2 {
		return nil
	}
	said := textsafe.Line(string(text), 160)
	if said != "" {
		said = ": " + said
	}
	err := fmt.Errorf("%s was answered with %d %s%s", what, code, http.StatusText(code), said)
	if code/100 == 3 {
		return fmt.Errorf("%w (redirects are not followed; write the address that it leads to)", err)
	}
	if code == http.StatusTooManyRequests || code == http.StatusRequestTimeout || code == http.StatusTooEarly || code/100 == 5 {
		return &experiments.RetryError{Err: err, After: retryAfter(answer.Header.Get("Retry-After"), time.Now())}
	}
	return err
}

// retryAfter reads the header of that name: seconds, or a date (RFC 9110, 10.2.3).
func retryAfter(text string, now time.Time) time.Duration {
	text = strings.TrimSpace(text)
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil && at.After(now) {
		return at.Sub(now)
	}
	return 0
}

// failure words what kept a connection from being made or used. What does not change by
// itself (a certificate, a name that does not exist) is not tried again.
func failure(what string, err error) error {
	if wrapped := (*url.Error)(nil); errors.As(err, &wrapped) {
		err = wrapped.Err // the rest quotes the whole address
	}
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var name *net.DNSError
	said := fmt.Errorf("%s: %w", what, err)
	switch {
	case errors.As(err, &certificate), errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch), errors.As(err, &name) && name.IsNotFound:
		return said
	case errors.Is(err, context.DeadlineExceeded):
		said = fmt.Errorf("%s: no answer in time", what)
	}
	return &experiments.RetryError{Err: said}
}

// hostOf is what of an address may be shown.
func hostOf(address string) string {
	parsed, err := url.Parse(address)
	if err != nil || parsed.Host == "" {
		return "the receiver"
	}
	return parsed.Host
}

// headersOf makes the headers of a request.
func headersOf(contentType string, own map[string]experiments.Secret) http.Header {
	headers := http.Header{"Content-Type": {contentType}, "User-Agent": {"gameday"}}
	for name, value := range own {
		headers.Set(name, value.Reveal())
	}
	return headers
}

// addressProblem says what is wrong with an address, without quoting it.
func addressProblem(attribute, address string, secret bool) []experiments.Problem {
	parsed, err := url.Parse(address)
	switch {
	case err != nil || parsed.Host == "" || parsed.Scheme != "http" && parsed.Scheme != "https":
		return []experiments.Problem{{Attribute: attribute, Summary: "Not an address", Detail: "an address such as https://host/path is needed."}}
	case parsed.User != nil && !secret:
		return []experiments.Problem{{Attribute: attribute, Summary: "Password in an address", Detail: "this address is printed and stored: send the user and password in an Authorization header, in headers."}}
	}
	return nil
}

// headerProblems checks names and values of headers.
func headerProblems(own map[string]experiments.Secret) []experiments.Problem {
	var list []experiments.Problem
	for name, value := range own {
		if name == "" || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune("()<>@,;:\\\"/[]?={}", r) }) {
			list = append(list, experiments.Problem{Attribute: "headers", Summary: "Not a header", Detail: fmt.Sprintf("%q cannot be the name of a header.", name)})
		}
		if strings.ContainsAny(value.Reveal(), "\r\n\x00") {
			list = append(list, experiments.Problem{Attribute: "headers", Summary: "Not a header", Detail: fmt.Sprintf("the value of %q has a line break.", name)})
		}
	}
	return list
}
