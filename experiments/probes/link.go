package probes

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
	"time"
)

// links hands out a connection of its own to each measurement that is under way, and
// keeps one of them for the next. Measurements do not share a connection, not even
// where HTTP/2 could: one that a fault has cut without a word would take with it
// every measurement that begins before the first of them times out. For the same
// reason no more than one is kept: each idle connection that went silent costs one
// measurement.
type links struct {
	config    *tls.Config
	protocols http.Protocols
	keepAlive bool

	mu   sync.Mutex
	kept *link // between measurements; nil without one
}

// take returns the link that was kept, or a new one. It is the caller's alone until
// given back or dropped.
func (s *links) take() *link {
	s.mu.Lock()
	l := s.kept
	s.kept = nil
	s.mu.Unlock()
	if l == nil {
		l = newLink(s.config, s.protocols, s.keepAlive)
	}
	return l
}

// give takes back a link that works. It is kept in place of the one that was: the
// newest has proven itself last.
func (s *links) give(l *link) {
	s.mu.Lock()
	before := s.kept
	s.kept = l
	s.mu.Unlock()
	if before != nil {
		before.drop()
	}
}

// close drops the link that is kept. A measurement after that connects anew.
func (s *links) close() {
	s.mu.Lock()
	l := s.kept
	s.kept = nil
	s.mu.Unlock()
	if l != nil {
		l.drop()
	}
}

// link is an HTTP transport for one request at a time that can be given up at any
// moment. A transport alone closes only the connections that it knows to be idle; one
// that fell silent in the middle of a request would stay open.
type link struct {
	http.Transport

	mu    sync.Mutex
	conns map[*linkConn]struct{} // nil once dropped
}

// newLink returns a link over TCP. No proxy is used: a probe measures the address it
// was given, and nothing in between that the environment names.
func newLink(config *tls.Config, protocols http.Protocols, keepAlive bool) *link {
	l := &link{conns: map[*linkConn]struct{}{}}
	l.Transport.DialContext = l.dial
	l.Transport.TLSClientConfig = config.Clone() // a transport adds its protocols to it
	l.Transport.Protocols = &protocols
	l.Transport.DisableKeepAlives = !keepAlive
	l.Transport.IdleConnTimeout = 90 * time.Second
	return l
}

func (l *link) dial(ctx context.Context, network, address string) (net.Conn, error) {
	var dialer net.Dialer
	inner, err := dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	conn := &linkConn{Conn: inner, link: l}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conns == nil {
		// A transport goes on dialling after its request was given up.
		_ = inner.Close()
		return nil, net.ErrClosed
	}
	l.conns[conn] = struct{}{}
	return conn, nil
}

// drop closes every connection, for good.
func (l *link) drop() {
	l.CloseIdleConnections() // ends dialling too
	l.mu.Lock()
	conns := l.conns
	l.conns = nil
	l.mu.Unlock()
	for conn := range conns {
		// The connection is given up; how it ends says nothing any more.
		_ = conn.Conn.Close()
	}
}

type linkConn struct {
	net.Conn
	link *link
}

func (c *linkConn) Close() error {
	c.link.mu.Lock()
	delete(c.link.conns, c)
	c.link.mu.Unlock()
	return c.Conn.Close()
}
