package probes

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/url"
	"os"
	"strings"
	"syscall"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/textsafe"
)

// Lengths of words from outside, in characters.
const (
	longReason = 200
	longQuote  = 60
)

// failed ends a sample for which the network gave an error. What the other side did
// or did not do is a bad event; only what is amiss in this process is not.
func failed(ctx context.Context, s experiments.Sample, err error, missing string) experiments.Sample {
	switch {
	case cancelled(ctx):
		return broken(s, "cancelled")
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return broken(s, "no file descriptors left for a connection; raise the limit of open files (ulimit -n)")
	}
	return bad(s, reason(ctx, err, missing))
}

// reason puts an error of the network into plain words. What was missing when time
// ran out is the caller's to say: "no answer".
func reason(ctx context.Context, err error, missing string) string {
	var lookup *net.DNSError
	var notTLS tls.RecordHeaderError
	var request *url.Error
	switch {
	case ctx.Err() != nil, errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return missing + within(ctx)
	case errors.As(err, &lookup) && lookup.IsNotFound:
		return "no such host: " + textsafe.Line(lookup.Name, longQuote)
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "connection reset"
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF),
		// net/http's HTTP/2 says so, and exports no such error, where the server hung up
		// before the request could be sent.
		strings.HasSuffix(err.Error(), "client conn could not be established"):
		return "connection closed before the answer was complete"
	case errors.As(err, &notTLS):
		return "the server does not speak TLS"
	case errors.As(err, &request):
		// Its text repeats the URL, which may carry what should not be repeated.
		return reason(ctx, request.Err, missing)
	}
	return textsafe.Line(err.Error(), longReason)
}

// within says how much time there was: " within 1s".
func within(ctx context.Context) string {
	timeout := experiments.TimeoutOf(ctx)
	if timeout == 0 {
		return " in time"
	}
	return " within " + experiments.FormatDuration(timeout)
}
