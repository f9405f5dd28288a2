package probes

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
	"time"
)

// link is an HTTP transport that can drop its connections at any moment. A transport
// alone closes only those it knows to be idle; one that a fault has cut without a
// word would be used again, and the next measurements would report the silence of
// that connection and not the state of the server.
type link struct {
	http.Transport

	mu    sync.Mutex
	conns map[*linkConn]struct{}
}

// newLink returns a link over TCP. No proxy is used: a probe measures the address it
// was given, and nothing in between that the environment names.
func newLink(config *tls.Config, protocols *http.Protocols) *link {
	l := &link{conns: map[*linkConn]struct{}{}}
	l.Transport.DialContext = l.dial
	l.Transport.TLSClientConfig = config
	l.Transport.Protocols = protocols
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
	l.conns[conn] = struct{}{}
	l.mu.Unlock()
	return conn, nil
}

// drop closes every connection.
func (l *link) drop() {
	l.CloseIdleConnections()
	l.mu.Lock()
	conns := l.conns
	l.conns = map[*linkConn]struct{}{}
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
