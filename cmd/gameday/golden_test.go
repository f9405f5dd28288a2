package main

import (
	"testing"
	"time"
)

// goldenScenario watches the traffic of a counter. The fault harms something else: what
// happens to the service is up to the test.
const goldenScenario = goldenSource + `
scrape "shop" {
  url   = var.metrics
  every = "200ms"
  job   = "shop"
}

variable "metrics" {}
`

// goldenSource is the same for a server, which scrapes by itself.
const goldenSource = `
variable "toxiproxy" {}
variable "front" {}
variable "prometheus" { default = null }
variable "duration" { default = "10m" }
variable "for" { default = "1s" }

toxiproxy { url = var.toxiproxy }

prometheus {
  url             = var.prometheus
  scrape_interval = "200ms"
}

golden_signals "shop" {
  requests       = "requests_total{job=\"shop\"}"
  errors         = "code=\"500\""
  window         = "1s"
  every          = "200ms"
  errors_at_most = "1%"
  recover_within = "3s"
  hold           = "1s"
}

probe "http" "front" { url = var.front }

scenario "vanishing" {
  seed            = 1
  baseline_within = "20s"
  watch           = [golden_signals.shop]

  hypothesis "the front is there" { probe = probe.front }

  fault "toxiproxy_latency" "late" {
    proxy    = "payments"
    latency  = "10ms"
    duration = var.duration
  }

  guard "golden_signals" "gone" {
    signals = golden_signals.shop
    for     = var.for
  }

  guard "no_data" "blind" { for = "10m" }
}
`

// A service whose processes are gone takes its counters with it: the series end, and
// what is left is silence. That is the largest drop of traffic there is.
func TestAServiceThatVanishesIsNoSilence(t *testing.T) {
	slow(t)
	for _, test := range []struct {
		name    string
		builtIn bool
		mood    mood
	}{
		{"from the built-in Prometheus", true, gone},
		{"and something else answers on its port", true, garbage},
		{"from a real Prometheus", false, gone},
	} {
		t.Run(test.name, func(t *testing.T) {
			start := func(t *testing.T) (*world, *gate, []string) {
				w := newWorld(t)
				write(t, w.scenario, goldenScenario)
				service := newGate(t, "http://"+counter(t))
				flags := []string{"--var", "metrics=" + service.url + "/metrics"}
				if !test.builtIn {
					real, _ := realPrometheus(t, service.address, "200ms")
					write(t, w.scenario, goldenSource)
					flags = []string{"--var", "prometheus=" + real}
				}
				return w, service, flags
			}
			t.Run("the guard stops the run", func(t *testing.T) {
				t.Parallel()
				w, service, flags := start(t)
				run := w.run(flags...)
				run.says("late injected")
				service.set(test.mood)
				run.ends(60*time.Second, 3, "ABORTED", "STOP: guard gone: shop traffic is gone", "the series of requests ended|newest sample of requests|requests matched no series")
				w.mended()
			})
			t.Run("without a guard nothing is held", func(t *testing.T) {
				t.Parallel()
				w, service, flags := start(t)
				run := w.run(append(flags, "--var", "for=10m", "--var", "duration=4s")...)
				run.says("late injected")
				service.set(test.mood)
				run.ends(60*time.Second, 4, "INCONCLUSIVE", `shop: traffic keeps 50% of the baseline`)
				w.mended()
			})
		})
	}
	t.Run("one that stays is held", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		write(t, w.scenario, goldenScenario)
		w.run("--var", "metrics=http://"+counter(t)+"/metrics", "--var", "duration=4s").ends(60*time.Second, 0, "HELD")
		w.mended()
	})
}
