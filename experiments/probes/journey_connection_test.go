package probes

import (
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/tlsconfig"
	"github.com/gameday-sh/gameday/internal/tlsconfig/tlstest"
)

// TestAJourneyHasOneConnectionOfItsOwn counts connections to a server over TLS: the
// steps share one, and the next journey, another user, has another.
func TestAJourneyHasOneConnectionOfItsOwn(t *testing.T) {
	authority := tlstest.New(t)
	for _, test := range []struct {
		name  string
		http2 bool
		major int
	}{{"over HTTP/1.1", false, 1}, {"over HTTP/2", true, 2}} {
		t.Run(test.name, func(t *testing.T) {
			var opened atomic.Int64
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.ProtoMajor != test.major {
					t.Errorf("asked over %s", r.Proto)
				}
				if r.URL.Path == "/login" {
					http.SetCookie(w, &http.Cookie{Name: "session", Value: "s", Path: "/", Secure: true})
				} else if session, err := r.Cookie("session"); err != nil || session.Value != "s" {
					w.WriteHeader(http.StatusUnauthorized)
				}
			}))
			server.EnableHTTP2 = true
			server.TLS = &tls.Config{Certificates: []tls.Certificate{authority.Server}}
			server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
				if state == http.StateNew {
					opened.Add(1)
				}
			}
			server.StartTLS()
			t.Cleanup(server.Close)
			j := newJourney(t, step(t, "log in", server.URL+"/login"), step(t, "look", server.URL+"/home"), step(t, "buy", server.URL+"/cart", func(s *Step) { s.Body = text("tea") }))
			j.HTTP2, j.TLS = test.http2, &tlsconfig.Block{CAFile: authority.CAFile}
			for i := range int64(3) {
				expect{good: true}.check(t, measure(t, j, patience))
				if opened.Load() != i+1 {
					t.Errorf("after %d journeys there were %d connections", i+1, opened.Load())
				}
			}
			stranger := newJourney(t, step(t, "log in", server.URL+"/login"))
			expect{why: `step "log in": `}.check(t, measure(t, stranger, patience))
		})
	}
	untrusted := newJourney(t, step(t, "log in", "https://127.0.0.1:1/"))
	untrusted.TLS = &tlsconfig.Block{CAFile: "not-there.pem"}
	expect{condition: experiments.Broken, why: "not-there.pem"}.check(t, measure(t, untrusted, patience))
}
