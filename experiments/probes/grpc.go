package probes

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/textsafe"
	"github.com/gameday-sh/gameday/internal/tlsconfig"
)

// GRPC asks grpc.health.v1.Health/Check of a server whether a service serves. Any
// answer other than SERVING is a bad event. The connection is kept between
// measurements, and made anew after one that failed; measurements that overlap have
// one each.
//
// The call is one message each way, so it is written here on top of net/http's
// HTTP/2, as https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md says;
// the grpc module would add 6 MB to the program. No name resolver, retry or back-off
// stands between the probe and the server: each measurement is one real attempt.
type GRPC struct {
	Address   string                        `hcl:"address" doc:"Host and port of the server." example:"127.0.0.1:9090"`
	Service   string                        `hcl:"service,optional" doc:"Service to ask about; empty asks about the server as a whole." default:"\"\""`
	Authority string                        `hcl:"authority,optional" doc:"Value of :authority; without it, the address." example:"checkout.shop"`
	Metadata  map[string]experiments.Secret `hcl:"metadata,optional" doc:"Metadata of the call; values of names that end in -bin are sent as binary." example:"{ authorization = \"Bearer \" }"`
	TLS       *tlsconfig.Block              `hcl:"tls,block" doc:"Speak TLS, with these certificates; without it, plaintext."`

	client lazy[grpcClient]
}

// grpcClient is what a GRPC probe works out once.
type grpcClient struct {
	links   links
	url     string
	header  http.Header
	request []byte
}

// Validate implements experiments.Validator. An empty address is one that is not
// known yet.
func (p *GRPC) Validate() []experiments.Problem {
	var list []experiments.Problem
	if p.Address != "" {
		if err := checkAddress(p.Address); err != nil {
			list = append(list, experiments.Problem{Attribute: "address", Summary: "Unusable address", Detail: err.Error()})
		}
	}
	if p.Authority != "" && !httpguts.ValidHostHeader(p.Authority) {
		list = append(list, experiments.Problem{Attribute: "authority", Summary: "Unusable authority", Detail: fmt.Sprintf("%q is not a host name; write it as \"checkout.shop\" or \"checkout.shop:443\"", p.Authority)})
	}
	for _, name := range sortedKeys(p.Metadata) {
		if err := checkMetadata(name, p.Metadata[name].Reveal()); err != nil {
			list = append(list, experiments.Problem{Attribute: "metadata", Summary: "Unusable metadata", Detail: err.Error()})
		}
	}
	return append(list, p.TLS.Problems()...)
}

func checkMetadata(name, value string) error {
	shown := textsafe.Line(name, longQuote)
	lower := strings.ToLower(name)
	switch {
	case !isToken(name):
		return fmt.Errorf("%q is not a name of metadata; use letters, digits, \"-\", \"_\" and \".\"", shown)
	case strings.HasPrefix(lower, "grpc-"), lower == "te", lower == "content-type", lower == "host", lower == "user-agent":
		return fmt.Errorf("%q belongs to gRPC itself; use a name of your own", shown)
	case !strings.HasSuffix(lower, "-bin") && !httpguts.ValidHeaderFieldValue(value):
		return fmt.Errorf("the value of %q holds characters that HTTP does not allow; end the name in -bin to send it as binary", shown)
	}
	return nil
}

// Tells implements [experiments.Telling].
func (*GRPC) Tells() experiments.Told { return experiments.Told{Events: true} }

// Measure implements experiments.Probe.
func (p *GRPC) Measure(ctx context.Context) experiments.Sample {
	c, err := p.client.get(p.prepare)
	s := begin() // reading certificates is no part of the latency
	if err != nil {
		return broken(s, textsafe.Line(err.Error(), longReason))
	}
	link := c.links.take()
	serving, err := c.check(ctx, link, p.Authority)
	var refusal *grpcError
	if err != nil && (!errors.As(err, &refusal) || cancelled(ctx)) {
		link.drop()
		return failed(ctx, s, err, "no answer")
	}
	s.Took = time.Since(s.At)
	c.links.give(link)
	switch {
	case refusal != nil:
		return bad(s, refusal.Error())
	case serving != healthServing:
		return bad(s, serving.String())
	}
	return good(s)
}

func (p *GRPC) prepare() (*grpcClient, error) {
	if err := checkAddress(p.Address); err != nil {
		return nil, err
	}
	config, err := p.TLS.Config()
	if err != nil {
		return nil, err
	}
	target := url.URL{Scheme: "http", Host: p.Address, Path: "/grpc.health.v1.Health/Check"}
	var protocols http.Protocols
	if p.TLS == nil {
		protocols.SetUnencryptedHTTP2(true)
	} else {
		target.Scheme = "https"
		protocols.SetHTTP2(true)
	}
	c := &grpcClient{
		links: links{config: config, protocols: protocols, keepAlive: true},
		url:   target.String(),
		header: http.Header{
			"Content-Type": {"application/grpc"},
			"Te":           {"trailers"},
			"User-Agent":   {"gameday"},
		},
	}
	for name, secret := range p.Metadata {
		if err := checkMetadata(name, secret.Reveal()); err != nil {
			return nil, err
		}
		value := secret.Reveal()
		if strings.HasSuffix(strings.ToLower(name), "-bin") {
			value = base64.RawStdEncoding.EncodeToString([]byte(value))
		}
		c.header.Set(name, value)
	}
	// HealthCheckRequest: field 1, the service. A message is framed by a byte that says
	// it is not compressed, and its length.
	var message []byte
	if p.Service != "" {
		message = protowire.AppendTag(message, 1, protowire.BytesType)
		message = protowire.AppendString(message, p.Service)
	}
	c.request = binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message)))
	c.request = append(c.request, message...)
	return c, nil
}

// check makes the call over a link. A *grpcError is what the server answered in place of a status.
func (c *grpcClient) check(ctx context.Context, link *link, authority string) (health, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, strings.NewReader(string(c.request)))
	if err != nil {
		return 0, err
	}
	request.Header = c.header.Clone()
	request.Host = authority
	if deadline, ok := ctx.Deadline(); ok {
		// At most 8 digits; in milliseconds that is a day.
		left := min(max(time.Until(deadline).Milliseconds(), 1), 99_999_999)
		request.Header.Set("Grpc-Timeout", strconv.FormatInt(left, 10)+"m")
	}
	answer, err := link.RoundTrip(request)
	if err != nil {
		return 0, err
	}
	// The trailer is there once the body was read to its end. A health answer has 2
	// bytes; one that is longer than this is something else.
	body, err := io.ReadAll(io.LimitReader(answer.Body, 64<<10))
	if closing := answer.Body.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return 0, err
	}
	if !strings.HasPrefix(answer.Header.Get("Content-Type"), "application/grpc") {
		return 0, &grpcError{text: "not a gRPC server: HTTP " + answer.Status}
	}
	// A server that has nothing but a status sends it in the header.
	status, message := answer.Header.Get("Grpc-Status"), answer.Header.Get("Grpc-Message")
	if status == "" {
		status, message = answer.Trailer.Get("Grpc-Status"), answer.Trailer.Get("Grpc-Message")
	}
	if status != "0" {
		return 0, newGRPCError(status, message)
	}
	return parseHealth(body)
}

// parseHealth reads a framed HealthCheckResponse: field 1, the status.
func parseHealth(body []byte) (health, error) {
	if len(body) < 5 || body[0] != 0 || uint64(binary.BigEndian.Uint32(body[1:5])) != uint64(len(body)-5) {
		return 0, &grpcError{text: "the answer is not one whole message"}
	}
	status := uint64(healthUnknown)
	for message := body[5:]; len(message) > 0; {
		field, kind, size := protowire.ConsumeTag(message)
		if size < 0 {
			return 0, &grpcError{text: "the answer is no HealthCheckResponse"}
		}
		message = message[size:]
		if field == 1 && kind == protowire.VarintType {
			status, size = protowire.ConsumeVarint(message)
		} else {
			size = protowire.ConsumeFieldValue(field, kind, message)
		}
		if size < 0 {
			return 0, &grpcError{text: "the answer is no HealthCheckResponse"}
		}
		message = message[size:]
	}
	return health(status), nil
}

// health is a ServingStatus of grpc.health.v1.
type health uint64

const (
	healthUnknown health = 0
	healthServing health = 1
)

func (h health) String() string {
	names := [...]string{"UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"}
	if h < health(len(names)) {
		return names[h]
	}
	return fmt.Sprintf("serving status %d", uint64(h))
}

// grpcError is an answer other than a serving status.
type grpcError struct{ text string }

func (e *grpcError) Error() string { return e.text }

// newGRPCError names a status code as the gRPC documents do.
func newGRPCError(status, message string) *grpcError {
	names := [...]string{
		"OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND",
		"ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
		"ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS",
		"UNAUTHENTICATED",
	}
	if status == "" {
		return &grpcError{text: "the answer ended without a status"}
	}
	words := "gRPC status " + textsafe.Line(status, longQuote)
	if code, err := strconv.ParseUint(status, 10, 32); err == nil && code < uint64(len(names)) {
		words = names[code]
	}
	// The message is percent-encoded; one that is not is shown as it came.
	if decoded, err := url.PathUnescape(message); err == nil {
		message = decoded
	}
	if message != "" {
		words += ": " + message
	}
	return &grpcError{text: textsafe.Line(words, longReason)}
}

// Close closes the connection that is kept between measurements.
func (p *GRPC) Close() error {
	if c := p.client.peek(); c != nil {
		c.links.close()
	}
	return nil
}
