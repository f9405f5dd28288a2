package probes

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"regexp"
	"time"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/textsafe"
	"github.com/gameday-sh/gameday/internal/tlsconfig"
)

// TCP opens a connection of its own for each measurement. The latency is the time
// until all that was asked for is there: the connection, the TLS handshake if there is
// a tls block, and the text that expect matches.
type TCP struct {
	Address string           `hcl:"address" doc:"Host and port to connect to." example:"127.0.0.1:5432"`
	Send    string           `hcl:"send,optional" doc:"Text to send once connected." example:"PING\\r\\n"`
	Expect  string           `hcl:"expect,optional" doc:"Regular expression (RE2) that the first 64 KiB received must match." example:"\\+PONG"`
	TLS     *tlsconfig.Block `hcl:"tls,block" doc:"Speak TLS, with these certificates."`

	ready lazy[tcpReady]
}

// tcpReady is what a TCP probe works out once.
type tcpReady struct {
	expect *regexp.Regexp
	config *tls.Config
}

// mostReceived is how much of an answer is looked at.
const mostReceived = 64 << 10

// Validate implements experiments.Validator. An empty address is one that is not
// known yet.
func (p *TCP) Validate() []experiments.Problem {
	var list []experiments.Problem
	if p.Address != "" {
		if err := checkAddress(p.Address); err != nil {
			list = append(list, experiments.Problem{Attribute: "address", Summary: "Unusable address", Detail: err.Error()})
		}
	}
	if _, err := regexp.Compile(p.Expect); err != nil {
		list = append(list, experiments.Problem{Attribute: "expect", Summary: "Unusable regular expression", Detail: err.Error()})
	}
	return append(list, p.TLS.Problems()...)
}

func checkAddress(address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil || host == "" || port == "" {
		return fmt.Errorf("%q is not an address; write host and port, such as \"127.0.0.1:5432\" or \"[::1]:5432\"", address)
	}
	if _, err := net.LookupPort("tcp", port); err != nil {
		return fmt.Errorf("%q is not a port of TCP; write a number from 1 to 65535", port)
	}
	return nil
}

// Tells implements [experiments.Telling].
func (*TCP) Tells() experiments.Told { return experiments.Told{Events: true} }

// Measure implements experiments.Probe.
func (p *TCP) Measure(ctx context.Context) experiments.Sample {
	ready, err := p.ready.get(p.prepare)
	s := begin() // reading certificates is no part of the latency
	if err != nil {
		return broken(s, textsafe.Line(err.Error(), longReason))
	}
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", p.Address)
	if err != nil {
		return failed(ctx, s, err, "no connection")
	}
	// The sample is complete by then; how the connection ends is not measured.
	defer func() { _ = conn.Close() }()
	// A deadline in the past wakes reads and writes that wait when ctx ends.
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()

	if ready.config != nil {
		secured := tls.Client(conn, ready.config)
		if err := secured.HandshakeContext(ctx); err != nil {
			return failed(ctx, s, err, "no TLS handshake")
		}
		conn = secured
	}
	if p.Send != "" {
		if _, err := conn.Write([]byte(p.Send)); err != nil {
			return failed(ctx, s, err, "text not taken")
		}
	}
	if ready.expect != nil {
		return p.listen(ctx, s, conn, ready.expect)
	}
	return good(s)
}

// listen reads until the text received matches.
func (p *TCP) listen(ctx context.Context, s experiments.Sample, conn net.Conn, expect *regexp.Regexp) experiments.Sample {
	received := make([]byte, 0, 512)
	wanted := textsafe.Line(p.Expect, longQuote)
	for len(received) < mostReceived {
		if len(received) == cap(received) {
			received = append(received, 0)[:len(received)]
		}
		n, err := conn.Read(received[len(received):min(cap(received), mostReceived)])
		received = received[:len(received)+n]
		if n > 0 && expect.Match(received) {
			return good(s)
		}
		switch {
		case err == nil:
		case len(received) == 0:
			return failed(ctx, s, err, "no answer")
		case cancelled(ctx):
			return broken(s, "cancelled")
		default:
			return bad(s, fmt.Sprintf("%q does not match %s", textsafe.Line(string(received), longQuote), wanted))
		}
	}
	return bad(s, "64 KiB received, which do not match "+wanted)
}

func (p *TCP) prepare() (*tcpReady, error) {
	if err := checkAddress(p.Address); err != nil {
		return nil, err
	}
	ready := &tcpReady{}
	if p.Expect != "" {
		expect, err := regexp.Compile(p.Expect)
		if err != nil {
			return nil, err
		}
		ready.expect = expect
	}
	if p.TLS == nil {
		return ready, nil
	}
	config, err := p.TLS.Config()
	if err != nil {
		return nil, err
	}
	if config.ServerName == "" {
		host, _, err := net.SplitHostPort(p.Address)
		if err != nil {
			return nil, err
		}
		config.ServerName = host
	}
	ready.config = config
	return ready, nil
}
