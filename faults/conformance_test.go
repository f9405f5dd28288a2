package faults_test

import (
	"os"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/faults"
	"github.com/gameday-sh/gameday/faults/conformance"
	"github.com/gameday-sh/gameday/faults/local"
	"github.com/gameday-sh/gameday/faults/toxiproxy"
	"github.com/gameday-sh/gameday/faults/toxiproxy/toxiproxytest"
	"github.com/gameday-sh/gameday/internal/cluster/clustertest"
	"github.com/gameday-sh/gameday/internal/porttest"
)

func TestMain(m *testing.M) {
	os.Exit(clustertest.Main(func() int { return conformance.Main(m, faults.Kinds()) }))
}

type entry struct {
	name  string
	world conformance.World
}

// worlds has an entry for each kind, and another for each further way to reach its
// target. Those on a cluster are in kubernetes_test.go; untested has the kinds whose
// promises are tested elsewhere, and where.
var worlds = []entry{
	{"toxiproxy_latency", toxic("toxiproxy_latency", func(c toxiproxy.Toxic) experiments.Fault {
		return &toxiproxy.Latency{Toxic: c, Latency: 300 * time.Millisecond, Jitter: 50 * time.Millisecond}
	})},
	{"toxiproxy_bandwidth", toxic("toxiproxy_bandwidth", func(c toxiproxy.Toxic) experiments.Fault {
		return &toxiproxy.Bandwidth{Toxic: c, Rate: 10}
	})},
	{"toxiproxy_slow_close", toxic("toxiproxy_slow_close", func(c toxiproxy.Toxic) experiments.Fault {
		return &toxiproxy.SlowClose{Toxic: c, Delay: time.Second}
	})},
	{"toxiproxy_timeout", toxic("toxiproxy_timeout", func(c toxiproxy.Toxic) experiments.Fault {
		return &toxiproxy.Timeout{Toxic: c}
	})},
	{"toxiproxy_reset_peer", toxic("toxiproxy_reset_peer", func(c toxiproxy.Toxic) experiments.Fault {
		return &toxiproxy.ResetPeer{Toxic: c}
	})},
	{"toxiproxy_reset_peer after a while", toxic("toxiproxy_reset_peer", func(c toxiproxy.Toxic) experiments.Fault {
		return &toxiproxy.ResetPeer{Toxic: c, Timeout: time.Minute}
	})},
	{"toxiproxy_slicer", toxic("toxiproxy_slicer", func(c toxiproxy.Toxic) experiments.Fault {
		return &toxiproxy.Slicer{Toxic: c, AverageSize: 64, SizeVariation: 32, Delay: 500 * time.Microsecond}
	})},
	{"toxiproxy_limit_data", toxic("toxiproxy_limit_data", func(c toxiproxy.Toxic) experiments.Fault {
		return &toxiproxy.LimitData{Toxic: c, Bytes: 100}
	})},
	{"toxiproxy_latency by replacing the proxy", toxic("toxiproxy_latency", func(c toxiproxy.Toxic) experiments.Fault {
		c.Undo, c.Toxicity = "replace", 0.1
		return &toxiproxy.Latency{Toxic: c, Latency: time.Second}
	})},
	{"toxiproxy_down", toxic("toxiproxy_down", func(c toxiproxy.Toxic) experiments.Fault {
		return &toxiproxy.Down{Targets: c.Targets}
	})},
	{"toxiproxy_latency in a server of its own", external("toxiproxy_latency", func(c toxiproxy.Toxic) experiments.Fault {
		return &toxiproxy.Latency{Toxic: c, Latency: 300 * time.Millisecond}
	})},
	{"toxiproxy_reset_peer in a server of its own", external("toxiproxy_reset_peer", func(c toxiproxy.Toxic) experiments.Fault {
		return &toxiproxy.ResetPeer{Toxic: c, Timeout: time.Minute}
	})},
	{"toxiproxy_down in a server of its own", external("toxiproxy_down", func(c toxiproxy.Toxic) experiments.Fault {
		return &toxiproxy.Down{Targets: c.Targets}
	})},
	{"process_kill", processes("process_kill", func(name string) experiments.Fault {
		return &local.ProcessKill{Targets: local.Targets{Name: name, Count: 1, All: true}, Signal: "KILL", Wait: time.Minute}
	}, syscall.SIGKILL)},
	{"process_pause", processes("process_pause", func(name string) experiments.Fault {
		return &local.ProcessPause{Targets: local.Targets{Name: name, Count: 1, All: true}}
	}, syscall.SIGSTOP)},
	{"exec", commands(true)},
	{"exec without a revert", commands(false)},
}

func TestEveryFaultKeepsItsPromises(t *testing.T) {
	tested := map[string]bool{}
	for _, entry := range slices.Concat(worlds, onClusters) {
		tested[entry.world.Kind] = true
		t.Run(entry.name, func(t *testing.T) {
			t.Parallel()
			conformance.Run(t, entry.world)
		})
	}
	for _, kind := range faults.Kinds() {
		why, elsewhere := untested[kind.Name]
		switch {
		case tested[kind.Name] && elsewhere:
			t.Errorf("%s has an entry in worlds, and is said to have none: %s", kind.Name, why)
		case elsewhere:
			t.Run(kind.Name, func(t *testing.T) { t.Skip(why) })
		case !tested[kind.Name]:
			t.Errorf("%s has no entry in worlds", kind.Name)
		}
		if kind.Summary == "" {
			t.Errorf("%s has no summary", kind.Name)
		}
	}
}

// toxic makes worlds for a toxic in the built-in server, external in a program that
// was started beforehand.
func toxic(kind string, configure func(toxiproxy.Toxic) experiments.Fault) conformance.World {
	return conformance.World{Kind: kind, Build: func(t *testing.T) conformance.Target {
		return toxiproxyTarget(t, "", configure)
	}}
}

func external(kind string, configure func(toxiproxy.Toxic) experiments.Fault) conformance.World {
	return conformance.World{Kind: kind, Build: func(t *testing.T) conformance.Target {
		url, _ := toxiproxytest.Server(t)
		return toxiproxyTarget(t, url, configure)
	}}
}

// toxiproxyTarget has three proxies, two of which are hit, and toxics of somebody
// else, which must survive.
func toxiproxyTarget(t *testing.T, url string, configure func(toxiproxy.Toxic) experiments.Fault) conformance.Target {
	t.Helper()
	upstream, elsewhere := toxiproxytest.Echo(t), toxiproxytest.Echo(t)
	connection := &toxiproxy.Toxiproxy{URL: url, Proxies: []toxiproxy.Proxy{
		{Name: "payments", Listen: porttest.Address(t), Upstream: upstream},
		{Name: "stock", Listen: porttest.Address(t), Upstream: upstream},
		{Name: "mail", Listen: porttest.Address(t), Upstream: upstream},
	}}
	if err := connection.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := connection.Close(); err != nil {
			t.Error(err)
		}
	})
	direct := toxiproxytest.Client(connection.Address())
	for _, name := range []string{"payments", "mail"} {
		proxy, err := direct.Proxy(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := proxy.AddToxic("somebody-elses", "slow_close", "upstream", 0.5, map[string]any{"delay": 3}); err != nil {
			t.Fatal(err)
		}
	}
	aim := func(names ...string) experiments.Fault {
		return configure(toxiproxy.Toxic{
			Targets:  toxiproxy.Targets{Toxiproxy: connection, Proxies: names},
			Stream:   "downstream",
			Toxicity: 1,
		})
	}
	return conformance.Target{
		Fault:    aim("stock", "pay*"),
		Nowhere:  aim("ledger*"),
		Snapshot: func(t *testing.T) string { return toxiproxytest.Snapshot(t, connection.Address()) },
		Move: func(t *testing.T) {
			for _, name := range []string{"payments", "stock"} {
				proxy, err := direct.Proxy(name)
				if err != nil {
					t.Fatal(err)
				}
				proxy.Upstream = elsewhere
				// It listens anew, on a port that another test may try at this very moment.
				for try := 0; ; try++ {
					err := proxy.Save()
					if err == nil {
						break
					}
					if try == 20 {
						t.Fatal(err)
					}
					time.Sleep(20 * time.Millisecond)
				}
			}
		},
	}
}
