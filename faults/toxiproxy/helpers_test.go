package toxiproxy_test

import (
	"encoding/json"
	"testing"
	"time"

	client "github.com/Shopify/toxiproxy/v2/client"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/faults/toxiproxy"
	"github.com/gameday-sh/gameday/faults/toxiproxy/toxiproxytest"
	"github.com/gameday-sh/gameday/internal/porttest"
)

// open opens a connection, to the built-in server without a url, and closes it
// with the test.
func open(t *testing.T, url string) *toxiproxy.Toxiproxy {
	t.Helper()
	connection := &toxiproxy.Toxiproxy{URL: url}
	if err := connection.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := connection.Close(); err != nil {
			t.Error(err)
		}
	})
	return connection
}

// payments makes the proxy that these tests break, and returns where it listens.
func payments(t *testing.T, connection *toxiproxy.Toxiproxy, upstream string) string {
	t.Helper()
	address, err := connection.CreateProxy(t.Context(), "payments", porttest.Address(t), upstream)
	if err != nil {
		t.Fatal(err)
	}
	return address
}

// aim is what all toxics of these tests have in common.
func aim(connection *toxiproxy.Toxiproxy) toxiproxy.Toxic {
	return toxiproxy.Toxic{
		Targets:  toxiproxy.Targets{Toxiproxy: connection, Proxy: "payments"},
		Stream:   "downstream",
		Toxicity: 1,
		Undo:     "remove",
	}
}

// draw is what a runner would hand to Plan.
func draw(run string, round int) experiments.Draw {
	return experiments.Draw{Run: run, Fault: "late-payments", Round: round, Uniform: func() float64 { return 0.5 }}
}

// planned plans the only hit of a fault.
func planned(t *testing.T, fault experiments.Fault) experiments.Hit {
	t.Helper()
	hits, err := fault.Plan(t.Context(), draw("run-1", 1))
	if err != nil {
		t.Fatal(err)
	}
	if len(hits) != 1 {
		t.Fatalf("%d hits, want 1: %+v", len(hits), hits)
	}
	return hits[0]
}

func injected(t *testing.T, fault experiments.Fault) experiments.Hit {
	t.Helper()
	hit := planned(t, fault)
	if _, err := fault.Inject(t.Context(), hit); err != nil {
		t.Fatal(err)
	}
	return hit
}

func reverted(t *testing.T, fault experiments.Fault, hit experiments.Hit) {
	t.Helper()
	if err := fault.Revert(t.Context(), hit); err != nil {
		t.Fatal(err)
	}
	wantState(t, fault, hit, experiments.Whole)
}

func wantState(t *testing.T, fault experiments.Fault, hit experiments.Hit, want experiments.State) {
	t.Helper()
	seen, err := fault.Check(t.Context(), hit)
	if (err != nil) != (want == experiments.Unknown) {
		t.Errorf("check: %v", err)
	}
	if seen.State != want {
		t.Errorf("the hit is %s (%s), want %s", seen.State, seen.Seen, want)
	}
}

// impatient gives the record of a hit a shorter deadline a call, as a connection
// with that timeout would have written it.
func impatient(t *testing.T, hit experiments.Hit, timeout time.Duration) experiments.Hit {
	t.Helper()
	var spec map[string]any
	if err := json.Unmarshal(hit.Spec, &spec); err != nil {
		t.Fatal(err)
	}
	spec["timeout_ns"] = timeout
	text, err := json.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	hit.Spec = text
	return hit
}

// somebodyElses puts a toxic on the proxy that is none of ours.
func somebodyElses(t *testing.T, url, proxy, name string) {
	t.Helper()
	found, err := toxiproxytest.Client(url).Proxy(proxy)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := found.AddToxic(name, "slow_close", "upstream", 0.5, client.Attributes{"delay": 3}); err != nil {
		t.Fatal(err)
	}
}
