package probes

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/tlsconfig"
	"github.com/gameday-sh/gameday/internal/tlsconfig/tlstest"
)

func TestTCPJudgesTheConnection(t *testing.T) {
	pong := func(conn *net.TCPConn) {
		question := make([]byte, 6)
		if _, err := io.ReadFull(conn, question); err == nil && string(question) == "PING\r\n" {
			for _, b := range []byte("+PONG\r\n") { // one byte a packet
				_, _ = conn.Write([]byte{b})
			}
			hang(conn)
		}
	}
	for _, test := range []struct {
		name         string
		talk         func(*net.TCPConn)
		send, expect string
		timeout      time.Duration
		want         expect
	}{
		{"a connection is good", hang, "", "", patience, expect{good: true}},
		{"a banner that matches is good", func(c *net.TCPConn) { _, _ = io.WriteString(c, "220 mail ready\r\n"); hang(c) }, "", "^220 ", patience, expect{good: true}},
		{"an answer in pieces is put together", pong, "PING\r\n", `^\+PONG\r\n$`, patience, expect{good: true}},
		{"another answer is bad, and shown without its colours", func(c *net.TCPConn) { _, _ = io.WriteString(c, "\x1b[31m-LOADING\r\n") }, "", "PONG", patience, expect{why: `"-LOADING" does not match PONG`}},
		{"an answer that stops short is bad when time is up", func(c *net.TCPConn) { _, _ = io.WriteString(c, "+PO"); hang(c) }, "", "PONG", 200 * time.Millisecond, expect{why: `"+PO" does not match PONG`}},
		{"no answer is bad when time is up", hang, "PING\r\n", "PONG", 100 * time.Millisecond, expect{why: "no answer within "}},
		{"a connection that is closed is bad", func(*net.TCPConn) {}, "", "PONG", patience, expect{why: "connection closed before the answer was complete"}},
		{"a connection that is reset is bad", reset, "", "PONG", patience, expect{why: "connection reset"}},
		{"an answer without end is bad", func(c *net.TCPConn) { _, _ = c.Write(bytes.Repeat([]byte("x"), 1<<20)) }, "", "PONG", patience, expect{why: "64 KiB received, which do not match PONG"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			probe := withDefaults(t, &TCP{Address: serve(t, test.talk), Send: test.send, Expect: test.expect})
			checkProblems(t, probe, nil)
			for range 2 {
				test.want.check(t, measure(t, probe, test.timeout))
			}
		})
	}
	t.Run("an address where nothing listens is bad", func(t *testing.T) {
		expect{why: "connection refused"}.check(t, measure(t, &TCP{Address: deadAddress(t)}, patience))
	})
}

// A listener whose queue is full lets no handshake finish: the kernel drops the SYN,
// as a network does that loses packets.
func TestTCPAndHTTPGiveUpOnAConnectionThatIsNeverMade(t *testing.T) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(fd) })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	address := (&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: name.(*syscall.SockaddrInet4).Port}).String()
	for range 4 {
		if conn, err := net.DialTimeout("tcp", address, 200*time.Millisecond); err == nil {
			t.Cleanup(func() { _ = conn.Close() })
		}
	}
	expect{why: "no connection within "}.check(t, measure(t, &TCP{Address: address}, 100*time.Millisecond))
	expect{why: "no answer within "}.check(t, measure(t, newHTTP(t, "http://"+address), 100*time.Millisecond))
}

func TestTCPOverTLS(t *testing.T) {
	authority := tlstest.New(t)
	config := &tls.Config{Certificates: []tls.Certificate{authority.Server}}
	address := serve(t, func(conn *net.TCPConn) {
		secured := tls.Server(conn, config)
		if secured.HandshakeContext(t.Context()) == nil {
			_, _ = io.WriteString(secured, "hello")
		}
	})
	for _, test := range []struct {
		name    string
		address string
		tls     *tlsconfig.Block
		timeout time.Duration
		want    expect
	}{
		{"the address is the name expected", address, &tlsconfig.Block{CAFile: authority.CAFile}, patience, expect{good: true}},
		{"an authority that is not trusted is bad", address, &tlsconfig.Block{}, patience, expect{why: "unknown authority"}},
		{"a server that does not speak TLS is bad", serve(t, func(c *net.TCPConn) { _, _ = io.WriteString(c, "220 ready\r\n"); hang(c) }), &tlsconfig.Block{}, patience, expect{why: "the server does not speak TLS"}},
		{"a handshake that hangs is bad when time is up", serve(t, hang), &tlsconfig.Block{}, 100 * time.Millisecond, expect{why: "no TLS handshake within "}},
		{"a file that is missing is our own failure", address, &tlsconfig.Block{CAFile: "missing.pem"}, patience, expect{condition: experiments.Broken, why: "missing.pem"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.want.check(t, measure(t, &TCP{Address: test.address, Expect: "hello", TLS: test.tls}, test.timeout))
		})
	}
}

func TestTCPTellsTheEndOfTheRunFromATimeout(t *testing.T) {
	for _, banner := range []string{"", "+PO"} {
		begun := make(chan struct{}, 1)
		probe := &TCP{Expect: "PONG", Address: serve(t, func(conn *net.TCPConn) {
			_, _ = io.WriteString(conn, banner)
			begun <- struct{}{}
			hang(conn)
		})}
		expect{condition: experiments.Broken, why: "cancelled"}.check(t, cancelSoon(t, probe, begun))
	}
}

func TestTCPValidates(t *testing.T) {
	for _, test := range []struct {
		name  string
		probe *TCP
		want  []problem
	}{
		{"host and port are fine", &TCP{Address: "db:5432", Expect: "x+"}, nil},
		{"IPv6 is fine in brackets", &TCP{Address: "[::1]:http"}, nil},
		{"a port alone is refused", &TCP{Address: ":5432"}, []problem{{"address", "write host and port"}}},
		{"a host alone is refused", &TCP{Address: "db"}, []problem{{"address", "write host and port"}}},
		{"a port that does not exist is refused", &TCP{Address: "db:70000"}, []problem{{"address", "1 to 65535"}}},
		{"every problem at once", &TCP{Address: "db", Expect: "(", TLS: &tlsconfig.Block{KeyFile: "x"}}, []problem{{"address", "db"}, {"expect", "missing closing )"}, {"tls.key_file", "without cert_file"}}},
	} {
		t.Run(test.name, func(t *testing.T) { checkProblems(t, test.probe, test.want) })
	}
}
