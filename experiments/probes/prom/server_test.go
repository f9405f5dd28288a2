package prom

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/promtest"
)

// realServer runs a Prometheus server that scrapes a target each 200 ms: as job shop
// with native histograms, and as job text, with classic ones.
func realServer(t *testing.T, target string) string {
	t.Helper()
	return promtest.With(t, filepath.Join(t.TempDir(), "data"), fmt.Sprintf(`
global: {scrape_interval: 200ms, scrape_timeout: 200ms}
scrape_configs:
- {job_name: shop, static_configs: [{targets: [%[1]q]}]}
- {job_name: text, metrics_path: /text, static_configs: [{targets: [%[1]q]}]}
`, target), "--enable-feature=native-histograms")
}

// shop is a target with a steady load: of 1000 requests a second 100 are bad, and
// their latencies are spread evenly over 0 to 1 s.
type shop struct {
	mu       sync.Mutex
	began    time.Time
	done     int
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	latency  prometheus.Histogram
	// routes is a histogram of which one series has no request.
	routes *prometheus.HistogramVec
}

func newShop() *shop {
	s := &shop{began: time.Now(), registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "http_requests_total"}, []string{"code"}),
		latency:  prometheus.NewHistogram(prometheus.HistogramOpts{Name: "latency_seconds", Buckets: prometheus.DefBuckets, NativeHistogramBucketFactor: 1.1}),
		routes:   prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "route_seconds", Buckets: prometheus.DefBuckets, NativeHistogramBucketFactor: 1.1}, []string{"route"})}
	s.registry.MustRegister(s.requests, s.latency, s.routes)
	s.routes.WithLabelValues("/idle")
	return s
}

func (s *shop) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	for goal := int(time.Since(s.began).Milliseconds()); s.done < goal; s.done++ {
		code := "200"
		if s.done%10 == 0 {
			code = "500"
		}
		s.requests.WithLabelValues(code).Inc()
		s.latency.Observe(float64(s.done%100)/100 + 0.005)
		s.routes.WithLabelValues("/busy").Observe(float64(s.done%100)/100 + 0.005)
	}
	s.mu.Unlock()
	if r.URL.Path == "/text" {
		r.Header.Set("Accept", "text/plain")
	}
	promhttp.HandlerFor(s.registry, promhttp.HandlerOpts{}).ServeHTTP(w, r)
}

func TestTheBuiltInOneAgreesWithARealServer(t *testing.T) {
	t.Parallel()
	shop := newShop()
	target := serve(t, shop.ServeHTTP)
	pace := 200 * time.Millisecond
	real := dial(t, &Prometheus{URL: realServer(t, strings.TrimPrefix(target, "http://")), ScrapeInterval: &pace})
	inside := &Prometheus{ScrapeInterval: &pace}
	dial(t, inside)
	for path, job := range map[string]string{"/metrics": "shop", "/text": "text"} {
		scrape := &Scrape{Prometheus: inside, URL: target + path, Every: pace, Job: job}
		if err := scrape.Open(t.Context()); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = scrape.Close() })
	}
	const enough = `min(count_over_time(up[10s])) >= bool 25`
	eventually(t, "both have 25 scrapes", func() bool { return is(t, real, enough, 1) && is(t, inside, enough, 1) })

	for query, test := range map[string]struct{ want, tolerance float64 }{
		`sum(rate(http_requests_total{job="shop"}[4s]))`:                                       {1000, 0.05},
		`sum(increase(http_requests_total{job="shop",code="500"}[4s]))`:                        {400, 0.05},
		`sum(rate(http_requests_total{code=~"5.."}[4s])) / sum(rate(http_requests_total[4s]))`: {0.1, 0.02},
		`histogram_quantile(0.8, sum by (le) (rate(latency_seconds_bucket{job="text"}[4s])))`:  {0.8, 0.03},
		`histogram_quantile(0.8, sum(rate(latency_seconds{job="shop"}[4s])))`:                  {0.8, 0.06},
		`histogram_count(sum(rate(latency_seconds{job="shop"}[4s])))`:                          {1000, 0.05},
		`histogram_sum(sum(rate(latency_seconds{job="shop"}[4s])))`:                            {500, 0.05},
		`avg(up{job="shop"})`: {1, 0},
	} {
		for name, p := range map[string]*Prometheus{"built-in": inside, "server": real} {
			comesRight(t, func(at time.Time) string {
				answer, err := p.Query(t.Context(), query, at)
				if err != nil || len(answer.Points) != 1 {
					return fmt.Sprintf("%s: %s = %+v (%v)", name, query, answer.Points, err)
				}
				if got := answer.Points[0].Value; math.Abs(got-test.want) > test.tolerance*test.want {
					return fmt.Sprintf("%s: %s = %v, want %v ± %v%%", name, query, got, test.want, test.tolerance*100)
				}
				return ""
			})
		}
	}
	for name, p := range map[string]*Prometheus{"built-in": inside, "server": real} {
		for form, sli := range map[string]*Events{
			"bad":  {Prometheus: p, Bad: `sum(rate(http_requests_total{job="shop",code=~"5.."}[$window]))`, Total: `sum(rate(http_requests_total{job="shop"}[$window]))`},
			"good": {Prometheus: p, Good: `sum(increase(http_requests_total{job="shop",code!~"5.."}[$window]))`, Total: `sum(rate(http_requests_total{job="shop"}[$window]))`},
		} {
			comesRight(t, func(at time.Time) string {
				got := sli.Count(t.Context(), at, 3*time.Second)
				if got.Condition != experiments.OK || math.Abs(got.Total-3000) > 150 || math.Abs(got.Ratio()-0.1) > 0.005 {
					return fmt.Sprintf("%s, %s: %+v, want 300 bad of 3000", name, form, got)
				}
				return ""
			})
		}
		half, quarter := 500*time.Millisecond, 250*time.Millisecond
		for form, test := range map[string]struct {
			sli       *Latency
			condition experiments.Condition
			ratio     float64
			tolerance float64
		}{
			"buckets":                         {&Latency{Histogram: `latency_seconds{job="text"}`, Within: half}, experiments.OK, 0.5, 0.01},
			"buckets, another bound":          {&Latency{Histogram: `latency_seconds{job="text"}`, Within: quarter}, experiments.OK, 0.75, 0.01},
			"buckets, one series idle":        {&Latency{Histogram: `route_seconds{job="text"}`, Within: half}, experiments.OK, 0.5, 0.01},
			"no such bucket":                  {&Latency{Histogram: `latency_seconds{job="text"}`, Within: 300 * time.Millisecond}, experiments.NoData, 0, 0},
			"native":                          {&Latency{Histogram: `latency_seconds{job="shop"}`, Within: half, Native: true}, experiments.OK, 0.5, 0.03},
			"native, any bound":               {&Latency{Histogram: `latency_seconds{job="shop"}`, Within: 300 * time.Millisecond, Native: true}, experiments.OK, 0.7, 0.03},
			"native, one series idle":         {&Latency{Histogram: `route_seconds{job="shop"}`, Within: half, Native: true}, experiments.OK, 0.5, 0.03},
			"native, no request at all":       {&Latency{Histogram: `route_seconds{job="shop",route="/idle"}`, Within: half, Native: true}, experiments.NoTraffic, 0, 0},
			"classic ones are not native":     {&Latency{Histogram: `latency_seconds{job="text"}`, Within: half, Native: true}, experiments.NoData, 0, 0},
			"buckets, no request at all":      {&Latency{Histogram: `route_seconds{job="text",route="/idle"}`, Within: half}, experiments.NoTraffic, 0, 0},
			"buckets, beyond the largest":     {&Latency{Histogram: `latency_seconds{job="text"}`, Within: time.Minute}, experiments.NoData, 0, 0},
			"milliseconds that are seconds":   {&Latency{Histogram: `latency_seconds{job="text"}`, Within: half, Unit: "milliseconds"}, experiments.NoData, 0, 0},
			"a histogram that does not exist": {&Latency{Histogram: `latncy_seconds`, Within: half}, experiments.NoData, 0, 0},
		} {
			test.sli.Prometheus = p
			if problems := test.sli.Validate(); len(problems) > 0 {
				t.Errorf("%s, %s: %v", name, form, problems)
			}
			comesRight(t, func(at time.Time) string {
				got := test.sli.Count(t.Context(), at, 3*time.Second)
				if got.Condition != test.condition || test.condition == experiments.OK && (math.Abs(got.Ratio()-test.ratio) > test.tolerance || math.Abs(got.Total-3000) > 150) {
					return fmt.Sprintf("%s, %s: %+v, want %q with %g bad", name, form, got, test.condition, test.ratio)
				}
				return ""
			})
		}
	}
}

func TestARealServersConditionsAreToldApart(t *testing.T) {
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
	pace := 200 * time.Millisecond
	p := dial(t, &Prometheus{URL: realServer(t, strings.TrimPrefix(target, "http://")), ScrapeInterval: &pace})
	eventually(t, "the server has 3 scrapes", func() bool { return is(t, p, `min(count_over_time(up[10s])) >= bool 3`, 1) })
	count := func(bad, good, total string) experiments.Count {
		return (&Events{Prometheus: p, Bad: bad, Good: good, Total: total}).Count(t.Context(), time.Now(), 10*time.Second)
	}
	const all = `sum(rate(http_requests_total[$window]))`
	for name, test := range map[string]struct {
		got       experiments.Count
		condition experiments.Condition
		why       string
	}{
		"a good one":     {count(`sum(rate(http_requests_total{code="500"}[$window]))`, "", all), experiments.OK, ""},
		"no such code":   {count(`sum(rate(http_requests_total{code="599"}[$window]))`, "", all), experiments.OK, ""},
		"no such label":  {count("", `sum(rate(http_requests_total{status!="500"}[$window]))`, all), experiments.NoData, `"status"`},
		"no such metric": {count(`sum(rate(erors_total[$window]))`, "", all), experiments.NoData, "does not exist"},
		"no such total":  {count(`sum(rate(erors_total[$window]))`, "", `sum(rate(reqests_total[$window]))`), experiments.NoData, "now and in the last hour"},
		"several series": {count(`sum(rate(http_requests_total{code="500"}[$window]))`, "", `rate(http_requests_total[$window])`), experiments.ManySeries, "4 series"},
	} {
		if test.got.Condition != test.condition || !strings.Contains(test.got.Why, test.why) {
			t.Errorf("%s: %q (%s), want %q (%s)", name, test.got.Condition, test.got.Why, test.condition, test.why)
		}
	}
	for query, want := range map[string]experiments.Condition{
		`sum(http_requests_total)`:       experiments.OK,
		`1`:                              experiments.OK,
		`http_requests_total`:            experiments.ManySeries,
		`no_such_metric`:                 experiments.NoData,
		`sum(http_requests_total) < 0`:   experiments.NoData,
		`sum(http_requests_total) * NaN`: experiments.NotANumber,
		`sum(`:                           experiments.Refused,
		`"x"`:                            experiments.Refused,
	} {
		if got := (&Query{Prometheus: p, Query: query}).Measure(t.Context()); got.Condition != want {
			t.Errorf("%s: %q (%s), want %q", query, got.Condition, got.Why, want)
		}
	}
	// The target goes; rate() would still speak of it.
	close(stop)
	eventually(t, "the server sees that", func() bool { return is(t, p, `max(up)`, 0) })
	got := count(`sum(rate(http_requests_total{code="500"}[$window]))`, "", all)
	if got.Condition != experiments.Stale {
		t.Errorf("a target that is gone: %+v", got)
	}
}

func TestARealServerThatDoesNotAnswerIsUnreachable(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0") // accepts, and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	p := dial(t, &Prometheus{URL: "http://" + listener.Addr().String(), Timeout: 50 * time.Millisecond})
	got := (&Query{Prometheus: p, Query: "up"}).Measure(context.WithoutCancel(t.Context()))
	if got.Condition != experiments.Unreachable || !strings.Contains(got.Why, "timeout 50ms") {
		t.Errorf("%q (%s)", got.Condition, got.Why)
	}
	if _, err := p.Query(t.Context(), "up", now); errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("an error without words: %v", err)
	}
}
