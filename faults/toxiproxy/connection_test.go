package toxiproxy_test

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	client "github.com/Shopify/toxiproxy/v2/client"
	"go.uber.org/goleak"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/faults/toxiproxy"
	"github.com/gameday-sh/gameday/faults/toxiproxy/toxiproxytest"
	"github.com/gameday-sh/gameday/internal/porttest"
)

func TestTheConnectionIsWhatTheLanguageExpects(t *testing.T) {
	kind := toxiproxy.Connection()
	if kind.Name != "toxiproxy" {
		t.Errorf("the kind is called %q", kind.Name)
	}
	exporter, is := kind.New().(experiments.Exporter)
	if !is {
		t.Fatal("the connection exports nothing")
	}
	if got := exporter.Export("url"); got != "" {
		t.Errorf("url is %q before Open", got)
	}
	if err := exporter.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	first := exporter.Export("url")
	if !strings.HasPrefix(first, "http://127.0.0.1:") {
		t.Errorf("url is %q, want one on the loopback interface", first)
	}
	if exporter.Export("unheard-of") != "" {
		t.Error("a name that is not exported has a value")
	}
	if err := exporter.Open(t.Context()); err != nil || exporter.Export("url") != first {
		t.Errorf("a second Open: %v, url %q, want %q", err, exporter.Export("url"), first)
	}
	for range 2 {
		if err := exporter.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := exporter.Open(t.Context()); err != nil {
		t.Errorf("Open after Close: %v", err)
	}
	if err := exporter.Close(); err != nil {
		t.Error(err)
	}
}

func TestTheBuiltInServerLeavesNothingBehind(t *testing.T) {
	before := goleak.IgnoreCurrent()
	connection := &toxiproxy.Toxiproxy{}
	if err := connection.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	address := payments(t, connection, "127.0.0.1:9")
	if err := connection.Close(); err != nil {
		t.Fatal(err)
	}
	if conn, err := net.Dial("tcp", address); err == nil {
		conn.Close()
		t.Errorf("a proxy still listens on %s", address)
	}
	goleak.VerifyNone(t, before)
}

func TestOpenSaysWhyAServerCannotBeUsed(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	website := httptest.NewServer(http.HandlerFunc(html))
	defer website.Close()
	json := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"status":"ok"}`)) }))
	defer json.Close()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	tests := map[string]struct {
		url  string
		want []string
	}{
		"it does not answer":          {silent.Addr().String(), []string{silent.Addr().String(), "did not answer", "within 200ms", "is it running?"}},
		"nobody listens":              {"http://" + closed.Addr().String(), []string{closed.Addr().String(), "refused", "is it running?"}},
		"it is a website":             {website.URL, []string{website.URL, "not toxiproxy's JSON", "Welcome"}},
		"it is another service":       {json.URL, []string{json.URL, "no version"}},
		"its url holds a password":    {"http://chaos:planted-secret@" + closed.Addr().String(), []string{"password"}},
		"its url has another scheme":  {"ftp://127.0.0.1:8474", []string{"ftp", "http://host:8474"}},
		"its url is no url":           {"http://127.0.0.1:84 74", []string{"cannot be read"}},
		"its url names no host":       {"http://:8474", []string{"no host"}},
		"its url has a query, or two": {"http://127.0.0.1:8474?token=planted-secret", []string{"query"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			connection := &toxiproxy.Toxiproxy{URL: test.url, Timeout: 200 * time.Millisecond}
			err := connection.Open(t.Context())
			if err == nil {
				t.Fatal("opened")
			}
			for _, text := range test.want {
				if !strings.Contains(err.Error(), text) {
					t.Errorf("the error does not say %q: %v", text, err)
				}
			}
			if connection.Address() != "" {
				t.Errorf("a connection that failed has the address %q", connection.Address())
			}
		})
	}
}

func TestOpenCreatesProxiesAndCloseRemovesOnlyThose(t *testing.T) {
	server, _ := toxiproxytest.Server(t)
	direct := toxiproxytest.Client(server)
	there, err := direct.CreateProxy("there", "127.0.0.1:0", "127.0.0.1:9")
	if err != nil {
		t.Fatal(err)
	}
	before := toxiproxytest.Snapshot(t, server)
	connection := &toxiproxy.Toxiproxy{URL: strings.TrimPrefix(server, "http://"), Proxies: []toxiproxy.Proxy{
		{Name: "there", Listen: "127.0.0.1:0", Upstream: "127.0.0.1:9"},
		{Name: "payments", Listen: "127.0.0.1:0", Upstream: "127.0.0.1:10"},
		{Name: "moved", Listen: porttest.Address(t), Upstream: "127.0.0.1:11"},
	}}
	if err := connection.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	proxies, err := direct.Proxies()
	if err != nil {
		t.Fatal(err)
	}
	if len(proxies) != 3 || !proxies["payments"].Enabled || proxies["payments"].Upstream != "127.0.0.1:10" || proxies["there"].Listen != there.Listen {
		t.Errorf("there are %+v", proxies)
	}
	proxies["moved"].Upstream = "127.0.0.1:12"
	if err := proxies["moved"].Save(); err != nil {
		t.Fatal(err)
	}
	if err := connection.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := direct.Proxy("moved"); err != nil {
		t.Errorf("a proxy that somebody took over was removed: %v", err)
	} else if err := proxies["moved"].Delete(); err != nil {
		t.Fatal(err)
	}
	if after := toxiproxytest.Snapshot(t, server); after != before {
		t.Errorf("before: %s\nafter: %s", before, after)
	}
}

func TestOpenRefusesAProxyThatIsSomethingElseAndTakesBackTheOthers(t *testing.T) {
	server, _ := toxiproxytest.Server(t)
	if _, err := toxiproxytest.Client(server).CreateProxy("payments", "127.0.0.1:0", "127.0.0.1:9"); err != nil {
		t.Fatal(err)
	}
	before := toxiproxytest.Snapshot(t, server)
	for name, other := range map[string]toxiproxy.Proxy{
		"another upstream": {Name: "payments", Listen: "127.0.0.1:0", Upstream: "127.0.0.1:10"},
		"another listener": {Name: "payments", Listen: "127.0.0.1:1", Upstream: "127.0.0.1:9"},
	} {
		t.Run(name, func(t *testing.T) {
			connection := &toxiproxy.Toxiproxy{URL: server, Proxies: []toxiproxy.Proxy{{Name: "stock", Listen: "127.0.0.1:0", Upstream: "127.0.0.1:9"}, other}}
			err := connection.Open(t.Context())
			if err == nil || !strings.Contains(err.Error(), "has a proxy payments already") || !strings.Contains(err.Error(), other.Upstream) {
				t.Errorf("got %v", err)
			}
			if after := toxiproxytest.Snapshot(t, server); after != before {
				t.Errorf("before: %s\nafter: %s", before, after)
			}
		})
	}
}

func TestProxiesAreCreatedAndDeletedOnRequest(t *testing.T) {
	connection := open(t, "")
	echo := toxiproxytest.Echo(t)
	address := payments(t, connection, echo)
	wantEcho(t, address)
	if again, err := connection.CreateProxy(t.Context(), "payments", "127.0.0.1:0", echo); err != nil || again != address {
		t.Errorf("the second request gave %s (%v), the first %s", again, err, address)
	}
	if _, err := connection.CreateProxy(t.Context(), "a/b", "127.0.0.1:0", echo); err == nil {
		t.Error("a proxy was created that the API cannot reach")
	}
	if _, err := connection.CreateProxy(t.Context(), "second", address, echo); err == nil || !strings.Contains(err.Error(), "creating proxy second") {
		t.Errorf("two proxies on one port: %v", err)
	}
	for range 2 {
		if err := connection.DeleteProxy(t.Context(), "payments"); err != nil {
			t.Error(err)
		}
	}
	if _, err := toxiproxytest.Client(connection.Address()).Proxy("payments"); err == nil {
		t.Error("the proxy is still there")
	}
	closed := &toxiproxy.Toxiproxy{}
	if _, err := closed.CreateProxy(t.Context(), "payments", "127.0.0.1:0", echo); err == nil {
		t.Error("a closed connection created a proxy")
	}
	if err := closed.DeleteProxy(t.Context(), "payments"); err == nil {
		t.Error("a closed connection deleted a proxy")
	}
}

func TestProxyNamesThatNeedEscapingWork(t *testing.T) {
	connection := open(t, "")
	const name = "päyments, v2 100% (#1)?"
	if _, err := connection.CreateProxy(t.Context(), name, "127.0.0.1:0", "127.0.0.1:9"); err != nil {
		t.Fatal(err)
	}
	for _, undo := range []string{"remove", "replace"} {
		common := aim(connection)
		common.Proxy, common.Undo = name, undo
		fault := &toxiproxy.Latency{Toxic: common, Latency: time.Second}
		hit := injected(t, fault)
		wantState(t, fault, hit, experiments.Harmed)
		reverted(t, fault, hit)
	}
}

func TestTheBuiltInServerKeepsItsOtherProxiesWhenOneIsDeleted(t *testing.T) {
	connection := open(t, "")
	echo := toxiproxytest.Echo(t)
	address := payments(t, connection, echo)
	other, err := connection.CreateProxy(t.Context(), "stock", "127.0.0.1:0", echo)
	if err != nil {
		t.Fatal(err)
	}
	somebodyElses(t, connection.Address(), "stock", "theirs")
	conn := dial(t, other)
	if _, _, err := ask(t, conn, "before"); err != nil {
		t.Fatal(err)
	}
	if err := connection.DeleteProxy(t.Context(), "payments"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := ask(t, conn, "after"); err != nil {
		t.Errorf("an open connection of another proxy was cut: %v", err)
	}
	stock, err := toxiproxytest.Client(connection.Address()).Proxy("stock")
	if err != nil || len(stock.ActiveToxics) != 1 {
		t.Errorf("the other proxy is %+v: %v", stock, err)
	}
	if conn, err := net.Dial("tcp", address); err == nil {
		conn.Close()
		t.Error("the deleted proxy still listens")
	}
	var refusal *client.ApiError
	if _, err := toxiproxytest.Client(connection.Address()).Proxy("payments"); !errors.As(err, &refusal) || refusal.Message != "proxy not found" {
		t.Errorf("the deleted proxy: %v", err)
	}
}
