package toxiproxy_test

import (
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	client "github.com/Shopify/toxiproxy/v2/client"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/faults/toxiproxy"
	"github.com/gameday-sh/gameday/faults/toxiproxy/toxiproxytest"
)

// service is a listener on loopback, until it is closed.
func service(t *testing.T) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() }) // a second time for most
	return listener
}

func TestOnlyWhatADeadProcessOfThisMachineClaimedIsTakenAway(t *testing.T) {
	server, _ := toxiproxytest.Server(t)
	direct := toxiproxytest.Client(server)
	names := func() []string {
		t.Helper()
		proxies, err := direct.Proxies()
		if err != nil {
			t.Fatal(err)
		}
		return slices.Sorted(maps.Keys(proxies))
	}
	// What the dead processes were: connections that are never closed.
	abandon := func(name string) (upstream net.Listener, claim string) {
		t.Helper()
		upstream = service(t)
		connection := &toxiproxy.Toxiproxy{URL: server}
		if err := connection.Open(t.Context()); err != nil {
			t.Fatal(err)
		}
		before := names()
		if _, err := connection.CreateProxy(t.Context(), name, "127.0.0.1:0", upstream.Addr().String()); err != nil {
			t.Fatal(err)
		}
		for _, made := range names() {
			if strings.HasPrefix(made, "gameday-claim:") && !slices.Contains(before, made) {
				claim = made
			}
		}
		if claim == "" {
			t.Fatalf("no claim for %s among %v", name, names())
		}
		return upstream, claim
	}
	_, alive := abandon("alive")
	dead, _ := abandon("dead")
	taken, _ := abandon("taken")
	_, port, err := net.SplitHostPort(dead.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	// Another machine, or a container, has the same port; and a person has none of it.
	elsewhere := "gameday-claim:another-boot.1:" + port + ":elsewhere"
	malformed := "gameday-claim:" + port
	if _, err := direct.Populate([]client.Proxy{
		{Name: elsewhere, Listen: "127.0.0.1:0", Upstream: dead.Addr().String()},
		{Name: "elsewhere", Listen: "127.0.0.1:0", Upstream: dead.Addr().String(), Enabled: true},
		{Name: malformed, Listen: "127.0.0.1:0", Upstream: dead.Addr().String()},
		{Name: "a-persons", Listen: "127.0.0.1:0", Upstream: dead.Addr().String(), Enabled: true},
	}); err != nil {
		t.Fatal(err)
	}
	// Somebody made use of a dead process's proxy for something else.
	proxy, err := direct.Proxy("taken")
	if err != nil {
		t.Fatal(err)
	}
	proxy.Upstream = "127.0.0.1:9"
	if err := proxy.Save(); err != nil {
		t.Fatal(err)
	}
	for _, listener := range []net.Listener{dead, taken} {
		if err := listener.Close(); err != nil {
			t.Fatal(err)
		}
	}

	connection := open(t, server)
	if _, err := connection.CreateProxy(t.Context(), "new", "127.0.0.1:0", service(t).Addr().String()); err != nil {
		t.Fatal(err)
	}
	if err := connection.DeleteProxy(t.Context(), "new"); err != nil {
		t.Fatal(err)
	}
	want := []string{"alive", alive, "elsewhere", elsewhere, "a-persons", malformed, "taken"}
	slices.Sort(want)
	if got := names(); !slices.Equal(got, want) {
		t.Errorf("the server has\n%v, want\n%v", got, want)
	}
}

func TestAProxyIsATargetThoughItIsCalledGamedaySomething(t *testing.T) {
	server, _ := toxiproxytest.Server(t)
	connection := open(t, server)
	for _, name := range []string{"gameday-demo", "payments"} {
		if _, err := connection.CreateProxy(t.Context(), name, "127.0.0.1:0", service(t).Addr().String()); err != nil {
			t.Fatal(err)
		}
	}
	common := aim(connection)
	common.Proxy = "*"
	hits, err := (&toxiproxy.Latency{Toxic: common, Latency: time.Second}).Plan(t.Context(), draw("run-1", 1))
	if err != nil {
		t.Fatal(err)
	}
	var targets []string
	for _, hit := range hits {
		targets = append(targets, hit.Target)
	}
	if want := []string{"proxy gameday-demo", "proxy payments"}; !slices.Equal(targets, want) {
		t.Errorf("the targets are %v, want %v", targets, want)
	}
}

// HCL names may hold letters that a path may not.
func TestFaultsWhoseNamesDifferInOneLetterDoNotMeet(t *testing.T) {
	connection := open(t, "")
	payments(t, connection, "127.0.0.1:9")
	fault := &toxiproxy.Latency{Toxic: aim(connection), Latency: time.Second}
	var hits []experiments.Hit
	for _, name := range []string{"späte", "spöte", "sp-te"} {
		d := draw("run-1", 1)
		d.Fault = name
		planned, err := fault.Plan(t.Context(), d)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := fault.Inject(t.Context(), planned[0]); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		hits = append(hits, planned[0])
	}
	for i, hit := range hits {
		reverted(t, fault, hit)
		for _, other := range hits[i+1:] {
			wantState(t, fault, other, experiments.Harmed)
		}
	}
}

func TestAProxyThatIsChangedWhileTheToxicIsAddedIsNoProof(t *testing.T) {
	front := newFront(t)
	connection := open(t, front.URL)
	payments(t, connection, "127.0.0.1:9")
	fault := &toxiproxy.Latency{Toxic: aim(connection), Latency: time.Second}
	hit := planned(t, fault)
	front.set(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/toxics") {
			proxy, err := toxiproxytest.Client(front.real).Proxy("payments")
			if err == nil {
				proxy.Upstream = "127.0.0.1:10"
				err = proxy.Save()
			}
			if err != nil {
				t.Error(err)
			}
		}
		return false
	})
	if proof, err := fault.Inject(t.Context(), hit); err == nil || !strings.Contains(err.Error(), "127.0.0.1:10") {
		t.Errorf("proof %q, error %v; want the new upstream named", proof.Seen, err)
	}
	front.set(nothing)
	if err := fault.Revert(t.Context(), hit); err != nil {
		t.Fatal(err)
	}
	wantState(t, fault, hit, experiments.Superseded)
}
