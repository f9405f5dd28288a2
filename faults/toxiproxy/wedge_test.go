package toxiproxy_test

import (
	"context"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/faults/toxiproxy"
	"github.com/gameday-sh/gameday/faults/toxiproxy/toxiproxytest"
)

// hangUp loads address with clients that read for a moment and then cut the
// connection, as pods that are killed do. It is what makes the removal of a toxic
// hang. The clients end with the returned function.
func hangUp(t *testing.T, address string) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	for range 40 {
		group.Go(func() {
			for ctx.Err() == nil {
				conn, err := net.DialTimeout("tcp", address, time.Second)
				if err != nil {
					time.Sleep(10 * time.Millisecond)
					continue
				}
				if tcp, is := conn.(*net.TCPConn); is {
					_ = tcp.SetLinger(0)
				}
				_ = conn.SetDeadline(time.Now().Add(time.Duration(20+rand.IntN(200)) * time.Millisecond))
				_, _ = io.Copy(io.Discard, conn)
				conn.Close()
			}
		})
	}
	stop = sync.OnceFunc(func() {
		cancel()
		group.Wait()
	})
	t.Cleanup(stop)
	return stop
}

// torrent is an upstream that sends without end.
func torrent(t *testing.T) string {
	return toxiproxytest.Upstream(t, func(conn net.Conn) {
		data := make([]byte, 16<<10)
		for {
			if _, err := conn.Write(data); err != nil {
				return
			}
			time.Sleep(time.Duration(rand.IntN(4)) * time.Millisecond)
		}
	})
}

// The removal hangs on some tries only, so each test goes on until it did, or gives
// up after a number of tries that is far more than it takes.
const tries = 60

func TestAProxyOfTheBuiltInServerThatGetsStuckIsMadeAnewUnderLoad(t *testing.T) {
	connection := open(t, "")
	address := payments(t, connection, torrent(t))
	somebodyElses(t, connection.Address(), "payments", "theirs")
	before := toxiproxytest.Snapshot(t, connection.Address())
	fault := &toxiproxy.Latency{Toxic: aim(connection), Latency: 20 * time.Millisecond}
	hangUp(t, address)
	for range tries {
		hit := impatient(t, planned(t, fault), 1500*time.Millisecond)
		began := time.Now()
		_, err := fault.Inject(t.Context(), hit)
		if err != nil {
			t.Log("inject:", err)
		}
		time.Sleep(50 * time.Millisecond)
		if err := fault.Revert(t.Context(), hit); err != nil {
			t.Fatalf("revert: %v", err)
		}
		wantState(t, fault, hit, experiments.Whole)
		if after := toxiproxytest.Snapshot(t, connection.Address()); after != before {
			t.Fatalf("before: %s\nafter: %s", before, after)
		}
		if time.Since(began) > time.Second {
			t.Log("the removal hung, and the proxy was made anew")
			return
		}
	}
	t.Logf("the removal did not hang in %d tries", tries)
}

func TestAProxyThatGetsStuckInAServerGivesItsAddressToAStandIn(t *testing.T) {
	url, _ := toxiproxytest.Server(t)
	connection := &toxiproxy.Toxiproxy{URL: url}
	if err := connection.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	address := payments(t, connection, torrent(t))
	fault := &toxiproxy.Latency{Toxic: aim(connection), Latency: 20 * time.Millisecond}
	stop := hangUp(t, address)
	for range tries {
		hit := impatient(t, planned(t, fault), 500*time.Millisecond)
		_, injection := fault.Inject(t.Context(), hit)
		time.Sleep(50 * time.Millisecond)
		err := fault.Revert(t.Context(), hit)
		if injection != nil {
			t.Log("inject:", injection)
		}
		if err == nil {
			wantState(t, fault, hit, experiments.Whole)
			continue
		}
		t.Log("revert:", err)
		for _, text := range []string{"stuck", "restart toxiproxy", address} {
			if !strings.Contains(err.Error(), text) {
				t.Errorf("the error does not say %q: %v", text, err)
			}
		}
		wantState(t, fault, hit, experiments.Unknown)
		if err := fault.Revert(t.Context(), hit); err == nil {
			t.Error("a second revert claims success, and the proxy is still stuck")
		}
		stop()
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatalf("the stand-in does not listen: %v", err)
		}
		defer conn.Close()
		if _, err := io.ReadFull(conn, make([]byte, 1000)); err != nil {
			t.Errorf("nothing passes through the stand-in: %v", err)
		}
		return
	}
	t.Logf("the removal did not hang in %d tries", tries)
}

func TestReplacingDoesNotHangUnderLoad(t *testing.T) {
	for name, start := range map[string]func() string{
		"in the built-in server": func() string { return "" },
		"in a server of its own": func() string { url, _ := toxiproxytest.Server(t); return url },
	} {
		t.Run(name, func(t *testing.T) {
			url := start()
			connection := &toxiproxy.Toxiproxy{URL: url, Timeout: time.Second}
			if err := connection.Open(t.Context()); err != nil {
				t.Fatal(err)
			}
			if url == "" {
				t.Cleanup(func() {
					if err := connection.Close(); err != nil {
						t.Error(err)
					}
				})
			}
			address := payments(t, connection, torrent(t))
			before := toxiproxytest.Snapshot(t, connection.Address())
			fault := &toxiproxy.Latency{Toxic: aim(connection), Latency: 20 * time.Millisecond}
			fault.Undo = "replace"
			hangUp(t, address)
			var worst time.Duration
			for range tries {
				hit := planned(t, fault)
				_, err := fault.Inject(t.Context(), hit)
				if err != nil && url != "" {
					// Adding a toxic interrupts connections as removing does, and gets stuck
					// where a machine is slow. Only the built-in server comes back from that.
					t.Log("inject:", err)
					return
				}
				time.Sleep(20 * time.Millisecond)
				began := time.Now()
				if err := fault.Revert(t.Context(), hit); err != nil {
					t.Fatalf("revert: %v", err)
				}
				if err == nil {
					worst = max(worst, time.Since(began))
				} else {
					t.Log("inject:", err)
				}
				wantState(t, fault, hit, experiments.Whole)
			}
			t.Logf("slowest of %d reverts: %v", tries, worst)
			if after := toxiproxytest.Snapshot(t, connection.Address()); after != before {
				t.Errorf("before: %s\nafter: %s", before, after)
			}
		})
	}
}

// What the load above brings about by chance, step by step: the removal hangs, the
// switching off does its work and hangs, and the proxy cannot be read any more.
func TestAStandInServesUntilTheStuckProxyIsFreeAgain(t *testing.T) {
	front := newFront(t)
	connection := open(t, front.URL)
	address := payments(t, connection, toxiproxytest.Echo(t))
	somebodyElses(t, front.real, "payments", "theirs")
	before := toxiproxytest.Snapshot(t, front.real)
	fault := &toxiproxy.Latency{Toxic: aim(connection), Latency: 10 * time.Millisecond}
	whole := injected(t, fault)
	hit := impatient(t, whole, 300*time.Millisecond)
	front.set(func(w http.ResponseWriter, r *http.Request) bool {
		switch {
		case r.Method == http.MethodDelete && strings.Contains(r.URL.Path, "/payments/toxics/"):
		case r.Method == http.MethodPost && r.URL.Path == "/proxies/payments":
			proxy, err := toxiproxytest.Client(front.real).Proxy("payments")
			if err == nil {
				err = proxy.Disable()
			}
			if err != nil {
				t.Error(err)
			}
		default:
			return false
		}
		hangs(w, r)
		return true
	})
	err := fault.Revert(t.Context(), hit)
	if err == nil {
		t.Fatal("the revert claims success, and the proxy is stuck")
	}
	for _, text := range []string{"stuck", "restart toxiproxy", "gameday recover", address} {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("the error does not say %q: %v", text, err)
		}
	}
	wantEcho(t, address)
	if err := fault.Revert(t.Context(), hit); err == nil {
		t.Error("a second revert claims success, and the proxy is still stuck")
	}
	wantEcho(t, address)

	front.set(nothing)
	reverted(t, fault, whole)
	if after := toxiproxytest.Snapshot(t, front.real); after != before {
		t.Errorf("before: %s\nafter: %s", before, after)
	}
	wantEcho(t, address)
}
