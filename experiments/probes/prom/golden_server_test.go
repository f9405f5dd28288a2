package prom

import (
	"fmt"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gameday-sh/gameday/experiments"
)

func TestGoldenSignalsOfARealServer(t *testing.T) {
	t.Parallel()
	stop := make(chan struct{})
	shop := newShop()
	target := serve(t, func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-stop:
			http.Error(w, "gone", http.StatusServiceUnavailable)
		default:
			shop.ServeHTTP(w, r)
		}
	})
	pace, window := 200*time.Millisecond, 4*time.Second
	p := dial(t, &Prometheus{URL: realServer(t, strings.TrimPrefix(target, "http://")), ScrapeInterval: &pace})
	of := func(job string, isNative bool) map[experiments.SignalName]*experiments.Signal {
		g := defaults(func(g *GoldenSignals) {
			g.Prometheus, g.Window, g.Native = p, &window, isNative
			g.Requests, g.Errors, g.Duration = `http_requests_total{job="`+job+`"}`, `code=~"5.."`, `latency_seconds{job="`+job+`"}`
			g.Saturation = `scalar(sum(rate(http_requests_total{job="` + job + `"}[4s]))) / 2000`
		})
		if problems := g.Validate(); len(problems) > 0 {
			t.Fatalf("%+v", problems)
		}
		signals := map[experiments.SignalName]*experiments.Signal{}
		for _, s := range g.Signals() {
			signals[s.Name] = s
		}
		return signals
	}
	eventually(t, "the server has 25 scrapes", func() bool { return is(t, p, `min(count_over_time(up[10s])) >= bool 25`, 1) })
	forms := map[string]map[experiments.SignalName]*experiments.Signal{"native": of("shop", true), "classic": of("text", false)}
	for form, signals := range forms {
		for name, want := range map[experiments.SignalName]float64{
			experiments.Latency: 0.95, experiments.Traffic: 1000, experiments.Errors: 0.1, experiments.Saturation: 0.5,
		} {
			comesRight(t, func(time.Time) string {
				got := signals[name].Probed.Probe.Measure(t.Context())
				if !got.HasValue() || math.Abs(got.Value-want) > 0.06*want {
					return fmt.Sprintf("%s %s: %v %q (%s), want %v", form, name, got.Value, got.Condition, got.Why, want)
				}
				return ""
			})
		}
	}
	for form, signals := range map[string]map[experiments.SignalName]*experiments.Signal{"leave native = true out": of("text", true), "write native = true": of("shop", false)} {
		if got := signals[experiments.Latency].Probed.Probe.Measure(t.Context()); got.Condition != experiments.NoData || !strings.Contains(got.Why, form) {
			t.Errorf("the wrong form of histogram: %q (%s), want %q", got.Condition, got.Why, form)
		}
	}
	// The service goes; rate() would still speak of it for the length of the window.
	close(stop)
	eventually(t, "the server sees that", func() bool { return is(t, p, `max(up)`, 0) })
	for form, signals := range forms {
		for _, name := range []experiments.SignalName{experiments.Latency, experiments.Traffic, experiments.Errors} {
			got := signals[name].Probed.Probe.Measure(t.Context())
			if got.HasValue() || got.Condition != experiments.Stale {
				t.Errorf("%s %s of a service that is gone: %v %q (%s), want stale", form, name, got.Value, got.Condition, got.Why)
			}
		}
	}
}
