package probes

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/tlsconfig"
	"github.com/gameday-sh/gameday/internal/tlsconfig/tlstest"
)

func newHTTP(t testing.TB, url string) *HTTP {
	t.Helper()
	probe := withDefaults(t, &HTTP{URL: url})
	closeAfter(t, probe)
	return probe
}

func TestHTTPJudgesTheAnswer(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/ok", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "all is well") })
	mux.HandleFunc("/json", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"status":"ok","queue":{"length":17},"list":[1,2]}`)
	})
	mux.HandleFunc("/status/{code}", func(w http.ResponseWriter, r *http.Request) {
		var code int
		if _, err := fmt.Sscan(r.PathValue("code"), &code); err != nil {
			t.Error(err)
		}
		w.Header().Set("Location", "/ok")
		w.WriteHeader(code)
	})
	mux.HandleFunc("/loop", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/loop", http.StatusFound) })
	mux.HandleFunc("/big", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(bytes.Repeat([]byte("x"), 2<<20))
		fmt.Fprint(w, "needle")
	})
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %v", r.Method, body, err)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)

	for _, test := range []struct {
		name string
		path string
		with func(*HTTP)
		want expect
	}{
		{"200 is good", "/ok", nil, expect{good: true}},
		{"204 is good", "/status/204", nil, expect{good: true}},
		{"503 is bad, with its name", "/status/503", nil, expect{why: "503 Service Unavailable"}},
		{"404 is bad", "/status/404", nil, expect{why: "404 Not Found"}},
		{"404 is good where it is wanted", "/status/404", func(p *HTTP) { p.Status = []string{"200", "4xx"} }, expect{good: true}},
		{"200 is bad where it is not wanted", "/ok", func(p *HTTP) { p.Status = []string{"500-599"} }, expect{why: "200 OK"}},
		{"a redirect is followed", "/status/302", nil, expect{good: true}},
		{"a redirect that is not followed is no 2xx", "/status/302", func(p *HTTP) { p.FollowRedirects = false }, expect{why: "302 Found"}},
		{"a redirect can be what is wanted", "/status/302", func(p *HTTP) { p.FollowRedirects = false; p.Status = []string{"302"} }, expect{good: true}},
		{"redirects without end are bad", "/loop", nil, expect{why: "more than 10 redirects"}},
		{"a body that matches is good", "/ok", func(p *HTTP) { p.BodyMatches = "is w.ll" }, expect{good: true}},
		{"a body that does not match is bad", "/ok", func(p *HTTP) { p.BodyMatches = "^well" }, expect{why: "body does not match ^well"}},
		{"a body that matches what it must not is bad", "/ok", func(p *HTTP) { p.BodyNotMatches = "(?i)WELL" }, expect{why: "body matches (?i)WELL"}},
		{"a body that must not match and does not is good", "/ok", func(p *HTTP) { p.BodyNotMatches = "error" }, expect{good: true}},
		{"a number in JSON is the value", "/json", func(p *HTTP) { p.JSONPath = "$.queue.length" }, expect{good: true, value: 17}},
		{"a text in JSON is no value", "/json", func(p *HTTP) { p.JSONPath = "$.status" }, expect{good: true}},
		{"a value that equals is good", "/json", func(p *HTTP) { p.JSONPath = "$.status"; p.JSONEquals = "ok" }, expect{good: true}},
		{"a value that differs is bad", "/json", func(p *HTTP) { p.JSONPath = "$.status"; p.JSONEquals = "up" }, expect{why: "$.status is ok, not up"}},
		{"a number that differs is bad and still the value", "/json", func(p *HTTP) { p.JSONPath = "$.queue.length"; p.JSONEquals = "0" }, expect{why: "$.queue.length is 17, not 0", value: 17}},
		{"a path that finds nothing is bad", "/json", func(p *HTTP) { p.JSONPath = "$.missing" }, expect{why: "body: nothing at $.missing"}},
		{"a path that finds several is bad", "/json", func(p *HTTP) { p.JSONPath = "$.list[*]" }, expect{why: "2 values"}},
		{"a body that is no JSON is bad", "/ok", func(p *HTTP) { p.JSONPath = "$.status" }, expect{why: "body: not JSON"}},
		{"the body of a bad answer is not looked at", "/status/503", func(p *HTTP) { p.JSONPath = "$.status" }, expect{why: "503 Service Unavailable"}},
		{"what is beyond the limit is not seen", "/big", func(p *HTTP) { p.BodyMatches = "needle" }, expect{why: "body does not match needle"}},
		{"a higher limit sees more", "/big", func(p *HTTP) { p.BodyMatches = "needle"; p.MaxBody = 4 << 20 }, expect{good: true}},
		{"JSON that is cut off by the limit says so", "/json", func(p *HTTP) { p.JSONPath = "$.status"; p.MaxBody = 10 }, expect{why: "longer than max_body (10 bytes)"}},
		{"a body as long as the limit is whole", "/json", func(p *HTTP) { p.JSONPath = "$.status"; p.MaxBody = 50 }, expect{good: true}},
		{"a body is sent", "/echo", func(p *HTTP) { p.Method = "POST"; p.Body = "order"; p.BodyMatches = "^POST order <nil>$" }, expect{good: true}},
		{"HEAD has no body", "/ok", func(p *HTTP) { p.Method = "HEAD"; p.BodyMatches = "^$" }, expect{good: true}},
	} {
		t.Run(test.name, func(t *testing.T) {
			probe := newHTTP(t, server.URL+test.path)
			if test.with != nil {
				test.with(probe)
			}
			checkProblems(t, probe, nil)
			for range 2 { // the second one uses what the first left behind
				test.want.check(t, measure(t, probe, patience))
			}
		})
	}
}

func TestHTTPCountsEveryFailureOfTheServer(t *testing.T) {
	answer := func(head string) func(*net.TCPConn) {
		return func(conn *net.TCPConn) {
			_, _ = conn.Read(make([]byte, 4096))
			_, _ = io.WriteString(conn, head)
		}
	}
	for _, test := range []struct {
		name    string
		talk    func(*net.TCPConn)
		timeout time.Duration
		why     string
	}{
		{"a server that never answers", hang, 100 * time.Millisecond, "no answer within "},
		{"a connection that is reset at once", reset, patience, "connection reset"},
		{"a connection that is closed without an answer", answer(""), patience, "connection closed before the answer was complete"},
		{"an answer that ends in its head", answer("HTTP/1.1 200 OK\r\nServer: x\r\n"), patience, "connection closed before the answer was complete"},
		{"an answer that ends in its body", answer("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"), patience, "connection closed before the answer was complete"},
		{"a reset in the body", func(conn *net.TCPConn) {
			answer("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")(conn)
			reset(conn)
		}, patience, "connection reset"},
		{"a body that hangs", func(conn *net.TCPConn) {
			answer("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")(conn)
			hang(conn)
		}, 150 * time.Millisecond, "answer not complete within "},
		{"a body that drips", func(conn *net.TCPConn) {
			answer("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")(conn)
			for {
				if _, err := conn.Write([]byte("x")); err != nil {
					return
				}
				time.Sleep(time.Millisecond)
			}
		}, 150 * time.Millisecond, "answer not complete within "},
		{"a 503 whose body hangs is a 503", func(conn *net.TCPConn) {
			answer("HTTP/1.1 503 Busy\x1b[31m\r\nContent-Length: 100\r\n\r\n")(conn)
			hang(conn)
		}, 150 * time.Millisecond, "503 Busy"},
		{"something that is not HTTP", answer("220 mail.example ESMTP\r\n"), patience, "malformed HTTP"},
		{"chunks that are none", answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), patience, "invalid byte in chunk length"},
	} {
		t.Run(test.name, func(t *testing.T) {
			probe := newHTTP(t, "http://"+serve(t, test.talk))
			for range 2 {
				expect{why: test.why}.check(t, measure(t, probe, test.timeout))
			}
		})
	}
	t.Run("an address where nothing listens", func(t *testing.T) {
		expect{why: "connection refused"}.check(t, measure(t, newHTTP(t, "http://user:hidden@"+deadAddress(t)), patience))
	})
}

func TestHTTPReadsNoMoreThanItsLimit(t *testing.T) {
	var sent atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		piece := bytes.Repeat([]byte("x"), 64<<10)
		for range 100 << 20 / len(piece) {
			n, err := w.Write(piece)
			sent.Add(int64(n))
			if err != nil {
				return
			}
		}
	}))
	probe := newHTTP(t, server.URL)
	expect{good: true}.check(t, measure(t, probe, patience))
	expect{good: true}.check(t, measure(t, probe, patience))
	server.Close() // waits for the handlers
	if total := sent.Load(); total > 64<<20 {
		t.Errorf("the server could send %d MiB in two measurements, want little more than what is read and what the kernel holds", total>>20)
	}
}

func TestHTTPTellsTheEndOfTheRunFromATimeout(t *testing.T) {
	for _, head := range []string{"", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", "HTTP/1.1 503 Busy\r\nContent-Length: 9\r\n\r\n"} {
		begun := make(chan struct{}, 1)
		probe := newHTTP(t, "http://"+serve(t, func(conn *net.TCPConn) {
			_, _ = conn.Read(make([]byte, 4096))
			_, _ = io.WriteString(conn, head)
			begun <- struct{}{}
			hang(conn)
		}))
		expect{condition: experiments.Broken, why: "cancelled"}.check(t, cancelSoon(t, probe, begun))
	}
}

func TestHTTPOverTLS(t *testing.T) {
	authority := tlstest.New(t)
	start := func(clients tls.ClientAuthType) *httptest.Server {
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Proto) }))
		server.EnableHTTP2 = true
		server.TLS = &tls.Config{Certificates: []tls.Certificate{authority.Server}, ClientAuth: clients, ClientCAs: authority.Pool}
		server.Config.ErrorLog = log.New(io.Discard, "", 0) // refused handshakes are the point
		server.StartTLS()
		t.Cleanup(server.Close)
		return server
	}
	open, closed := start(tls.NoClientCert), start(tls.RequireAndVerifyClientCert)
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	trust := &tlsconfig.Block{CAFile: authority.CAFile}
	for _, test := range []struct {
		name string
		url  string
		tls  *tlsconfig.Block
		with func(*HTTP)
		want expect
	}{
		{"HTTP/2 is used where it is offered", open.URL, trust, func(p *HTTP) { p.BodyMatches = `^HTTP/2\.0$` }, expect{good: true}},
		{"HTTP/1.1 is used without http2", open.URL, trust, func(p *HTTP) { p.BodyMatches = `^HTTP/1\.1$`; p.HTTP2 = false }, expect{good: true}},
		{"an authority that is not trusted is bad", open.URL, nil, nil, expect{why: "unknown authority"}},
		{"a wrong name is bad", open.URL, &tlsconfig.Block{CAFile: authority.CAFile, ServerName: "payments"}, nil, expect{why: "not payments"}},
		{"a client certificate is shown", closed.URL, &tlsconfig.Block{CAFile: authority.CAFile, CertFile: authority.CertFile, KeyFile: authority.KeyFile}, nil, expect{good: true}},
		{"a missing client certificate is bad", closed.URL, trust, func(p *HTTP) { p.HTTP2 = false }, expect{why: "certificate required"}},
		{"a server without TLS is bad", strings.Replace(plain.URL, "http:", "https:", 1), trust, nil, expect{why: "server gave HTTP response to HTTPS client"}},
		{"a certificate file that is missing is our own failure", open.URL, &tlsconfig.Block{CAFile: "missing.pem"}, nil, expect{condition: experiments.Broken, why: "missing.pem"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			probe := newHTTP(t, test.url)
			probe.TLS = test.tls
			if test.with != nil {
				test.with(probe)
			}
			test.want.check(t, measure(t, probe, patience))
		})
	}
}

func TestHTTPKeepsItsConnection(t *testing.T) {
	for _, test := range []struct {
		name      string
		keepAlive bool
		maxBody   int
		want      int64
	}{
		{"one connection for all", true, 1 << 20, 1},
		{"a new one each time without keep_alive", false, 1 << 20, 4},
		{"a new one after a body that was not read to its end", true, 10, 4},
	} {
		t.Run(test.name, func(t *testing.T) {
			var opened atomic.Int64
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				_, _ = w.Write(make([]byte, 256<<10))
			}))
			server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
				if state == http.StateNew {
					opened.Add(1)
				}
			}
			server.Start()
			t.Cleanup(server.Close)
			probe := newHTTP(t, server.URL)
			probe.KeepAlive, probe.MaxBody = test.keepAlive, test.maxBody
			for range 4 {
				expect{good: true}.check(t, measure(t, probe, patience))
			}
			if opened.Load() != test.want {
				t.Errorf("%d connections for 4 measurements, want %d", opened.Load(), test.want)
			}
		})
	}
}

// A connection that was cut without a word must cost one measurement and not all that
// follow.
func TestHTTPLeavesAConnectionThatWentSilent(t *testing.T) {
	authority := tlstest.New(t)
	for _, http2 := range []bool{false, true} {
		t.Run(fmt.Sprintf("http2 = %v", http2), func(t *testing.T) {
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Proto) }))
			server.EnableHTTP2 = true
			server.TLS = &tls.Config{Certificates: []tls.Certificate{authority.Server}}
			server.StartTLS()
			t.Cleanup(server.Close)
			wire := newCut(t, server.Listener.Addr().String())
			probe := newHTTP(t, "https://"+wire.address)
			probe.HTTP2, probe.TLS = http2, &tlsconfig.Block{CAFile: authority.CAFile}
			for range 3 {
				expect{good: true}.check(t, measure(t, probe, patience))
			}
			if wire.connections() != 1 {
				t.Fatalf("%d connections before the cut, want 1", wire.connections())
			}
			wire.goSilent()
			expect{why: "no answer within "}.check(t, measure(t, probe, 200*time.Millisecond))
			expect{good: true}.check(t, measure(t, probe, patience))
			if wire.connections() != 2 {
				t.Errorf("%d connections in all, want 2", wire.connections())
			}
		})
	}
}

func TestHTTPSendsWhoItIs(t *testing.T) {
	secret := experiments.NewSecret
	seen := make(chan *http.Request, 1)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen <- r }))
	t.Cleanup(server.Close)
	for _, test := range []struct {
		name   string
		with   func(*HTTP)
		header string
		want   string
	}{
		{"a header", func(p *HTTP) { p.Headers = map[string]experiments.Secret{"x-api-key": secret("k")} }, "X-Api-Key", "k"},
		{"a bearer token", func(p *HTTP) { p.BearerToken = secret("t") }, "Authorization", "Bearer t"},
		{"basic authorization", func(p *HTTP) { p.BasicAuth = &BasicAuth{Username: "u", Password: secret("p")} }, "Authorization", "Basic dTpw"},
		{"its name", func(*HTTP) {}, "User-Agent", "gameday"},
		{"another name", func(p *HTTP) { p.Headers = map[string]experiments.Secret{"user-agent": secret("curl")} }, "User-Agent", "curl"},
	} {
		t.Run(test.name, func(t *testing.T) {
			probe := newHTTP(t, server.URL)
			test.with(probe)
			expect{good: true}.check(t, measure(t, probe, patience))
			if got := (<-seen).Header.Values(test.header); len(got) != 1 || got[0] != test.want {
				t.Errorf("%s = %q, want %q", test.header, got, test.want)
			}
		})
	}
	t.Run("a host", func(t *testing.T) {
		probe := newHTTP(t, server.URL)
		probe.Headers = map[string]experiments.Secret{"Host": secret("shop.internal")}
		expect{good: true}.check(t, measure(t, probe, patience))
		if got := (<-seen).Host; got != "shop.internal" {
			t.Errorf("Host = %q", got)
		}
	})
}

func TestHTTPKeepsSecretsFromOtherHosts(t *testing.T) {
	seen := make(chan http.Header, 4)
	mux := http.NewServeMux()
	mux.HandleFunc("/end", func(_ http.ResponseWriter, r *http.Request) { seen <- r.Header })
	home := httptest.NewServer(mux)
	t.Cleanup(home.Close)
	other := httptest.NewServer(mux)
	t.Cleanup(other.Close)
	mux.HandleFunc("/stay", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/end", http.StatusFound) })
	mux.HandleFunc("/leave", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL+"/end", http.StatusTemporaryRedirect)
	})
	mux.HandleFunc("/return", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL+"/home", http.StatusFound) })
	mux.HandleFunc("/home", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, home.URL+"/end", http.StatusFound) })
	for path, carries := range map[string]bool{"/stay": true, "/leave": false, "/return": false} {
		t.Run(path, func(t *testing.T) {
			probe := newHTTP(t, home.URL+path)
			probe.Headers = map[string]experiments.Secret{"X-Api-Key": experiments.NewSecret("key")}
			probe.BearerToken = experiments.NewSecret("token")
			expect{good: true}.check(t, measure(t, probe, patience))
			header := <-seen
			for _, name := range []string{"X-Api-Key", "Authorization"} {
				if (header.Get(name) != "") != carries {
					t.Errorf("%s = %q at the end, want it there: %v", name, header.Get(name), carries)
				}
			}
		})
	}
}

func TestHTTPValidates(t *testing.T) {
	secret := experiments.NewSecret
	for _, test := range []struct {
		name  string
		probe *HTTP
		want  []problem
	}{
		{"a whole probe is fine", &HTTP{URL: "https://[::1]:8443/x?y=z", Method: "PATCH", Expect: Expect{Status: []string{"2xx"}, JSONPath: "$.a", JSONEquals: "b"}}, nil},
		{"an address without a scheme", &HTTP{URL: "127.0.0.1:8080"}, []problem{{"url", "http://host:port/path"}}},
		{"another scheme", &HTTP{URL: "ftp://x/"}, []problem{{"url", "must begin with http://"}}},
		{"no host", &HTTP{URL: "http:///x"}, []problem{{"url", "names no host"}}},
		{"a method with a space", &HTTP{Method: "GET /"}, []problem{{"method", "not an HTTP method"}}},
		{"every problem at once", &HTTP{
			Headers: map[string]experiments.Secret{"a b": secret("x"), "ok": secret("x\ny")},
			Expect:  Expect{Status: []string{"good"}, BodyMatches: "(", BodyNotMatches: "[", JSONPath: "$["}, MaxBody: -1, TLS: &tlsconfig.Block{CertFile: "x.pem"},
		}, []problem{
			{"headers", `"a b"`}, {"headers", `"ok"`}, {"status", `"good"`}, {"body_matches", "missing closing )"}, {"body_not_matches", "missing closing ]"},
			{"json_path", "$["}, {"max_body", "0 or more"}, {"tls.cert_file", "without key_file"},
		}},
		{"a comparison with nothing", &HTTP{Expect: Expect{JSONEquals: "x"}}, []problem{{"json_equals", "set that too"}}},
		{"two authorizations", &HTTP{BearerToken: secret("t"), BasicAuth: &BasicAuth{}}, []problem{{"bearer_token", "keep bearer_token or basic_auth"}}},
		{"an authorization and a header of it", &HTTP{BearerToken: secret("t"), Headers: map[string]experiments.Secret{"authorization": secret("x")}}, []problem{{"headers", "one Authorization header"}}},
	} {
		t.Run(test.name, func(t *testing.T) { checkProblems(t, test.probe, test.want) })
	}
}

func BenchmarkHTTP(b *testing.B) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") }))
	b.Cleanup(server.Close)
	for _, keep := range []bool{true, false} {
		b.Run(fmt.Sprintf("keep_alive=%v", keep), func(b *testing.B) {
			probe := newHTTP(b, server.URL)
			probe.KeepAlive = keep
			b.ReportAllocs()
			for b.Loop() {
				if s := measure(b, probe, patience); !s.Good {
					b.Fatal(s.Why)
				}
			}
		})
	}
}
