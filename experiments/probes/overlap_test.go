package probes

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/experiments/probes/prom"
	"github.com/gameday-sh/gameday/internal/tlsconfig"
	"github.com/gameday-sh/gameday/internal/tlsconfig/tlstest"
)

// crowd is how many measurements of one probe overlap in these tests.
const crowd = 20

// measureAll takes several measurements at once, each some times over.
func measureAll(t testing.TB, probe experiments.Probe, times int, timeout time.Duration) []experiments.Sample {
	t.Helper()
	samples := make([]experiments.Sample, crowd*times)
	start := make(chan struct{})
	var all sync.WaitGroup
	for i := range crowd {
		all.Go(func() {
			<-start
			for j := range times {
				samples[i*times+j] = measure(t, probe, timeout)
			}
		})
	}
	close(start)
	all.Wait()
	return samples
}

// talker is a way to probe a server, and a server for it.
type talker struct {
	name  string
	probe func(address string) experiments.Probe
	// start serves at an address until stop, which cuts every connection.
	start func(t *testing.T, address string) (at string, stop func())
}

func talkers(t *testing.T) []talker {
	authority := tlstest.New(t)
	secured := &tlsconfig.Block{CAFile: authority.CAFile}
	web := func(useTLS bool) func(*testing.T, string) (string, func()) {
		return func(t *testing.T, address string) (string, func()) {
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"list":[{"id":7,"n":3}]}`) }))
			server.Config.ErrorLog = log.New(io.Discard, "", 0)
			if address != "" {
				_ = server.Listener.Close()
				server.Listener = listen(t, address)
			}
			if useTLS {
				server.EnableHTTP2, server.TLS = true, &tls.Config{Certificates: []tls.Certificate{authority.Server}}
				server.StartTLS()
			} else {
				server.Start()
			}
			return server.Listener.Addr().String(), sync.OnceFunc(func() { server.CloseClientConnections(); server.Close() })
		}
	}
	onWeb := func(scheme string, with func(*HTTP)) func(string) experiments.Probe {
		return func(address string) experiments.Probe {
			p := withDefaults(t, &HTTP{URL: scheme + "://" + address, Expect: Expect{JSONPath: "$.list[?(@.id == 7)].n", JSONEquals: "3"}, TLS: secured})
			with(p)
			return p
		}
	}
	return []talker{
		{"http over HTTP/1.1", onWeb("http", func(*HTTP) {}), web(false)},
		{"http without keep_alive", onWeb("http", func(p *HTTP) { p.KeepAlive = false }), web(false)},
		{"http over TLS and HTTP/1.1", onWeb("https", func(p *HTTP) { p.HTTP2 = false }), web(true)},
		{"http over HTTP/2", onWeb("https", func(*HTTP) {}), web(true)},
		{"http over HTTP/2 without keep_alive", onWeb("https", func(p *HTTP) { p.KeepAlive = false }), web(true)},
		{"grpc", func(address string) experiments.Probe { return withDefaults(t, &GRPC{Address: address}) },
			func(t *testing.T, address string) (string, func()) {
				if address == "" {
					address = "127.0.0.1:0"
				}
				at, server := startGRPC(t, address, healthServices)
				return at, server.Stop
			}},
		{"tcp", func(address string) experiments.Probe {
			return withDefaults(t, &TCP{Address: address, Expect: "list", Send: "GET / HTTP/1.0\r\n\r\n"})
		}, web(false)},
		{"tcp over TLS", func(address string) experiments.Probe {
			return withDefaults(t, &TCP{Address: address, Expect: "list", Send: "GET / HTTP/1.0\r\n\r\n", TLS: secured})
		}, web(true)},
	}
}

// listen listens at an address that was listened to a moment ago.
func listen(t testing.TB, address string) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return listener
}

// nothingLeft closes a probe and looks for goroutines that it left behind.
func nothingLeft(t *testing.T, probe experiments.Probe, before goleak.Option) {
	t.Helper()
	if closer, ok := probe.(io.Closer); ok {
		if err := closer.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	if err := goleak.Find(before); err != nil {
		t.Errorf("after Close: %v", err)
	}
}

func TestMeasurementsThatOverlapSeeWhatOneSees(t *testing.T) {
	for _, with := range talkers(t) {
		t.Run(with.name, func(t *testing.T) {
			t.Run("a server that answers", func(t *testing.T) {
				address, stop := with.start(t, "")
				defer stop()
				before := goleak.IgnoreCurrent()
				probe := with.probe(address)
				for _, s := range measureAll(t, probe, 5, patience) {
					if !s.Counted || !s.Good {
						t.Fatalf("sample: %+v, want a good one", s)
					}
				}
				// The server's side of each connection is in this process too.
				nothingLeft(t, probe, before)
			})
			for _, harm := range []struct {
				name    string
				talk    func(*net.TCPConn)
				timeout time.Duration
				why     string
			}{
				{"a server that hangs", hang, 150 * time.Millisecond, " within "},
				{"a server that resets", reset, patience, "connection "},
			} {
				t.Run(harm.name, func(t *testing.T) {
					address := serve(t, harm.talk)
					before := goleak.IgnoreCurrent()
					probe := with.probe(address)
					for _, s := range measureAll(t, probe, 2, harm.timeout) {
						if !s.Counted || s.Good || !strings.Contains(s.Why, harm.why) {
							t.Fatalf("sample: %+v, want a bad one with %q", s, harm.why)
						}
					}
					nothingLeft(t, probe, before)
				})
			}
			t.Run("a server that restarts", func(t *testing.T) {
				address, stop := with.start(t, "")
				before := goleak.IgnoreCurrent()
				probe := with.probe(address)
				var over atomic.Bool
				var good, bad atomic.Int64
				var all sync.WaitGroup
				defer all.Wait()
				defer over.Store(true)
				for range crowd {
					all.Go(func() {
						for !over.Load() {
							s := measure(t, probe, patience)
							switch {
							case s.Counted && s.Good:
								good.Add(1)
							case s.Counted && s.Why != "":
								bad.Add(1)
							default:
								t.Errorf("sample: %+v, want an event", s)
								return
							}
						}
					})
				}
				for range 3 {
					waitFor(t, &good)
					stop()
					waitFor(t, &bad)
					_, stop = with.start(t, address)
				}
				waitFor(t, &good)
				over.Store(true)
				all.Wait()
				// A connection that was kept may have died with the last server but one; a
				// second measurement cannot meet another.
				measure(t, probe, patience)
				expectGood(t, measure(t, probe, patience))
				if closer, ok := probe.(io.Closer); ok {
					if err := closer.Close(); err != nil {
						t.Errorf("Close: %v", err)
					}
				}
				stop()
				nothingLeft(t, probe, before)
			})
		})
	}
}

// waitFor waits until a counter has moved on.
func waitFor(t *testing.T, counter *atomic.Int64) {
	t.Helper()
	from, limit := counter.Load(), time.Now().Add(patience)
	for counter.Load() < from+crowd {
		if time.Now().After(limit) {
			t.Fatal("measurements do not go on")
		}
		time.Sleep(time.Millisecond)
	}
}

func expectGood(t *testing.T, s experiments.Sample) {
	t.Helper()
	if !s.Good {
		t.Errorf("sample: %+v, want a good one", s)
	}
}

// A measurement that fails gives up its connection, and must not take with it another
// that still waits for its answer.
func TestAMeasurementThatFailsHurtsNoOther(t *testing.T) {
	authority := tlstest.New(t)
	for _, kind := range []string{"http/1.1", "http/2", "grpc"} {
		t.Run(kind, func(t *testing.T) {
			arrived, release := make(chan struct{}, 1), make(chan struct{})
			var calls atomic.Int64
			// The first call waits to be released, the second for as long as it may.
			handle := func(ctx context.Context) {
				switch calls.Add(1) {
				case 1:
					arrived <- struct{}{}
					<-release
				case 2:
					<-ctx.Done()
				}
			}
			var probe experiments.Probe
			if kind == "grpc" {
				address, _ := startGRPC(t, "127.0.0.1:0", healthServices, grpc.UnaryInterceptor(func(ctx context.Context, request any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
					handle(ctx)
					return handler(ctx, request)
				}))
				probe = newGRPC(t, address)
			} else {
				server := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { handle(r.Context()) }))
				server.EnableHTTP2, server.TLS = true, &tls.Config{Certificates: []tls.Certificate{authority.Server}}
				server.StartTLS()
				t.Cleanup(server.Close)
				web := newHTTP(t, server.URL)
				web.HTTP2, web.TLS = kind == "http/2", &tlsconfig.Block{CAFile: authority.CAFile}
				probe = web
			}
			first := make(chan experiments.Sample, 1)
			var wait sync.WaitGroup
			wait.Go(func() { first <- measure(t, probe, patience) })
			<-arrived
			ctx, end := context.WithCancelCause(t.Context())
			wait.Go(func() {
				for limit := time.Now().Add(patience); calls.Load() < 2 && time.Now().Before(limit); {
					time.Sleep(time.Millisecond)
				}
				end(context.DeadlineExceeded)
			})
			expect{why: "no answer in time"}.check(t, probe.Measure(&timedOut{ctx}))
			expect{good: true}.check(t, measure(t, probe, patience))
			close(release)
			wait.Wait()
			expect{good: true}.check(t, <-first)
		})
	}
}

// One connection is kept. Where it goes silent, the measurement that takes it is lost,
// and none of those that begin while it waits.
func TestASilentConnectionCostsOneOfManyMeasurements(t *testing.T) {
	authority := tlstest.New(t)
	web := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	web.EnableHTTP2, web.TLS = true, &tls.Config{Certificates: []tls.Certificate{authority.Server}}
	web.StartTLS()
	t.Cleanup(web.Close)
	health, _ := startGRPC(t, "127.0.0.1:0", healthServices)
	for _, test := range []struct {
		name, target string
		probe        func(t *testing.T, address string) (experiments.Probe, *links)
	}{
		{"http/1.1", web.Listener.Addr().String(), func(t *testing.T, address string) (experiments.Probe, *links) {
			p := newHTTP(t, "https://"+address)
			p.HTTP2, p.TLS = false, &tlsconfig.Block{CAFile: authority.CAFile}
			expectGood(t, measure(t, p, patience))
			return p, &p.client.peek().links
		}},
		{"http/2", web.Listener.Addr().String(), func(t *testing.T, address string) (experiments.Probe, *links) {
			p := newHTTP(t, "https://"+address)
			p.TLS = &tlsconfig.Block{CAFile: authority.CAFile}
			expectGood(t, measure(t, p, patience))
			return p, &p.client.peek().links
		}},
		{"grpc", health, func(t *testing.T, address string) (experiments.Probe, *links) {
			p := newGRPC(t, address)
			expectGood(t, measure(t, p, patience))
			return p, &p.client.peek().links
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			wire := newCut(t, test.target)
			probe, links := test.probe(t, wire.address)
			// Many at once leave one connection behind.
			for _, s := range measureAll(t, probe, 2, patience) {
				expectGood(t, s)
			}
			wire.goSilent()
			ctx, end := context.WithCancelCause(t.Context())
			var lost experiments.Sample
			var wait sync.WaitGroup
			defer wait.Wait()
			defer end(context.DeadlineExceeded)
			wait.Go(func() { lost = probe.Measure(&timedOut{ctx}) })
			for limit := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
				links.mu.Lock()
				taken := links.kept == nil
				links.mu.Unlock()
				if taken {
					break
				}
				if time.Now().After(limit) {
					t.Fatal("the connection that was kept is not used")
				}
			}
			for _, s := range measureAll(t, probe, 2, patience) {
				expectGood(t, s)
			}
			end(context.DeadlineExceeded)
			wait.Wait()
			expect{why: "no answer in time"}.check(t, lost)
			opened := wire.connections()
			expectGood(t, measure(t, probe, patience))
			if wire.connections() != opened {
				t.Error("no connection was kept")
			}
		})
	}
}

func TestALinkThatWasDroppedDialsNoMore(t *testing.T) {
	l := newLink(&tls.Config{}, http.Protocols{}, true)
	address := serve(t, hang)
	open, err := l.dial(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	l.drop()
	if _, err := open.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a connection of a dropped link: write gave %v, want %v", err, net.ErrClosed)
	}
	if _, err := l.dial(t.Context(), "tcp", address); !errors.Is(err, net.ErrClosed) {
		t.Errorf("dial gave %v, want %v", err, net.ErrClosed)
	}
	l.drop() // a second time does no harm
}

func TestMeasurementsThatOverlapPrepareOnce(t *testing.T) {
	var value lazy[int]
	var prepared atomic.Int64
	if value.peek() != nil {
		t.Error("there is a value before the first use")
	}
	if _, err := value.get(func() (*int, error) { return nil, os.ErrNotExist }); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error = %v, want that of the attempt", err)
	}
	var all sync.WaitGroup
	for range crowd {
		all.Go(func() {
			got, err := value.get(func() (*int, error) { n := int(prepared.Add(1)); return &n, nil })
			if err != nil || *got != 1 {
				t.Errorf("get gave %v, %v; want 1", got, err)
			}
		})
	}
	all.Wait()
	if prepared.Load() != 1 || value.peek() == nil {
		t.Errorf("prepared %d times after the failure, want once", prepared.Load())
	}
}

func TestQueriesThatOverlapReadWhatOneReads(t *testing.T) {
	before := goleak.IgnoreCurrent()
	answers := func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[0,"4"]}]}}`)
	}
	for _, test := range []struct {
		name   string
		server func(*testing.T) string
		good   bool
	}{
		{"the built-in Prometheus", func(*testing.T) string { return "" }, true},
		{"a server that answers", func(t *testing.T) string {
			server := httptest.NewServer(http.HandlerFunc(answers))
			t.Cleanup(server.Close)
			return server.URL
		}, true},
		{"a server that hangs", func(t *testing.T) string { return "http://" + serve(t, hang) }, false},
		{"a server that resets", func(t *testing.T) string { return "http://" + serve(t, reset) }, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			source := &prom.Prometheus{URL: test.server(t), Timeout: patience}
			if err := source.Open(t.Context()); err != nil {
				t.Fatal(err)
			}
			closeAfter(t, source)
			probed := &experiments.Probed{Name: "queue", Kind: "exec", Every: time.Second}
			observe := func(times int) {
				for range times {
					if err := source.Observe(probed, experiments.Sample{At: time.Now(), Took: time.Millisecond, Value: 4}); err != nil {
						t.Error(err)
					}
				}
			}
			observe(1)
			probe := &prom.Query{Prometheus: source, Query: "max(gameday_probe_value)"}
			var writing sync.WaitGroup
			writing.Go(func() { observe(200) }) // what is measured arrives meanwhile
			timeout := patience
			if !test.good {
				timeout = 200 * time.Millisecond
			}
			for _, s := range measureAll(t, probe, 3, timeout) {
				switch {
				case test.good && (!s.HasValue() || s.Value != 4):
					t.Fatalf("sample: %+v, want 4", s)
				case !test.good && s.Condition != experiments.Unreachable:
					t.Fatalf("sample: %+v, want condition %q", s, experiments.Unreachable)
				}
			}
			writing.Wait()
		})
	}
	if err := goleak.Find(before); err != nil {
		t.Errorf("after Close: %v", err)
	}
}

func TestCommandsThatOverlapDoNotMixUp(t *testing.T) {
	before := goleak.IgnoreCurrent()
	t.Run("each has its output", func(t *testing.T) {
		probe := newExec(t, "print", `{"lag":[{"db":"a","s":1},{"db":"b","s":2.5}]}`, "", "0")
		probe.Stdout, probe.JSONPath = "json", "$.lag[?(@.db == 'b')].s"
		for _, s := range measureAll(t, probe, 1, patience) {
			expect{good: true, value: 2.5}.check(t, s)
		}
		nothingLeft(t, probe, before)
	})
	t.Run("each is killed when its time is up", func(t *testing.T) {
		folder := t.TempDir()
		probe := newExec(t, "hang-by-pid", folder)
		ctx, end := context.WithCancelCause(t.Context())
		samples := make([]experiments.Sample, crowd)
		var all sync.WaitGroup
		for i := range crowd {
			all.Go(func() { samples[i] = probe.Measure(&timedOut{ctx}) })
		}
		var files []string
		for limit := time.Now().Add(patience); len(files) < crowd && time.Now().Before(limit); time.Sleep(time.Millisecond) {
			var err error
			if files, err = filepath.Glob(filepath.Join(folder, "*.pid")); err != nil {
				t.Fatal(err)
			}
		}
		end(context.DeadlineExceeded)
		all.Wait()
		if len(files) != crowd {
			t.Errorf("%d commands ran, want %d", len(files), crowd)
		}
		for _, s := range samples {
			expect{why: "no exit in time, killed"}.check(t, s)
		}
		for _, file := range files {
			gone(t, file)
		}
		nothingLeft(t, probe, before)
	})
}
