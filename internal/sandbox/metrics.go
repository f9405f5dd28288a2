package sandbox

import (
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Names of the services, as in the label service.
const (
	frontDoor = "front-door"
	catalogue = "catalogue"
	payments  = "payments"
)

// noAnswer is the label code of a request that the client gave up on, or that
// found nobody listening.
const noAnswer = "none"

// loadRoutes are those that the customers of the load take.
var loadRoutes = [...]string{"/", "/products", "/checkout"}

// routes are those that each service counts.
func routes() map[string][]string {
	return map[string][]string{
		frontDoor: slices.Concat(loadRoutes[:], []string{"/login", "/token", "/account", "/dashboard", "/search", "/cart", "/cart/payment"}),
		catalogue: {"/products"},
		payments:  {"/charge"},
	}
}

// metrics is what the shop and its customers count, in a registry of their own.
type metrics struct {
	registry  *prometheus.Registry
	requests  *prometheus.CounterVec
	durations *prometheus.HistogramVec
	inFlight  *prometheus.GaugeVec
	retries   *prometheus.CounterVec
	fallbacks *prometheus.CounterVec

	clientRequests  *prometheus.CounterVec
	clientDurations *prometheus.HistogramVec
	clientUnsent    *prometheus.CounterVec
}

func newMetrics() *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	histogram := func(name, help string, labels ...string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: name, Help: help,
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5},
			// Buckets that grow by at most a tenth: 5% off where classic ones may be 30%.
			NativeHistogramBucketFactor: 1.1,
			// Beyond this many, neighbours are merged. A reset (which needs a
			// NativeHistogramMinResetDuration) would look like a restart.
			NativeHistogramMaxBucketNumber: 160,
		}, labels)
	}
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: counter("http_requests_total", "Requests answered.", "service", "route", "code"),
		durations: histogram("http_request_duration_seconds", "Time from a request to its answer.",
			"service", "route"),
		inFlight: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "http_requests_in_flight", Help: "Requests being answered."}, []string{"service"}),
		retries:   counter("retries_total", "Second and later attempts to call an upstream.", "service", "upstream"),
		fallbacks: counter("fallbacks_total", "Answers from a cache because the upstream failed.", "service", "upstream"),
		clientRequests: counter("client_requests_total",
			"Requests by what the load generator saw of them; code none is no answer.", "route", "code"),
		clientDurations: histogram("client_request_duration_seconds",
			"Time from the scheduled start of a request to its answer.", "route"),
		clientUnsent: counter("client_requests_unsent_total",
			"Requests not started because too many were waiting.", "route"),
	}
	m.registry.MustRegister(m.requests, m.durations, m.inFlight, m.retries, m.fallbacks,
		m.clientRequests, m.clientDurations, m.clientUnsent)
	m.createSeries()
	return m
}

// watchSlots exports how many of the front door's places are taken, and how many there
// are. Requests in flight are not that: those that are turned away are among them.
func (m *metrics) watchSlots(slots chan struct{}) {
	gauge := func(name, help string, read func() int) {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: name, Help: help, ConstLabels: prometheus.Labels{"service": frontDoor},
		}, func() float64 { return float64(read()) }))
	}
	gauge("http_request_slots_in_use", "Requests being worked on, of those that may be at once.", func() int { return len(slots) })
	gauge("http_request_slots", "Requests that may be worked on at once; others are turned away.", func() int { return cap(slots) })
}

// createSeries makes all series exist, so that the first error of each has a rate.
func (m *metrics) createSeries() {
	codes := map[string][]int{
		frontDoor: {http.StatusOK, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout},
		catalogue: {http.StatusOK},
		payments:  {http.StatusOK, http.StatusInternalServerError},
	}
	for service, paths := range routes() {
		m.inFlight.WithLabelValues(service)
		for _, route := range paths {
			m.durations.WithLabelValues(service, route)
			for _, code := range codes[service] {
				m.requests.WithLabelValues(service, route, strconv.Itoa(code))
			}
		}
	}
	for _, route := range loadRoutes {
		m.clientDurations.WithLabelValues(route)
		m.clientUnsent.WithLabelValues(route)
		m.clientRequests.WithLabelValues(route, noAnswer)
		for _, code := range codes[frontDoor] {
			m.clientRequests.WithLabelValues(route, strconv.Itoa(code))
		}
	}
	for _, upstream := range []string{catalogue, payments} {
		m.retries.WithLabelValues(frontDoor, upstream)
	}
	m.fallbacks.WithLabelValues(frontDoor, catalogue)
}

// handler serves the registry as text or, if asked, as protobuf, which alone
// carries native histograms.
func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// counted is next with its requests counted under service and route.
func (m *metrics) counted(service, route string, next http.Handler) http.Handler {
	inFlight := m.inFlight.WithLabelValues(service)
	duration := m.durations.WithLabelValues(service, route)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		inFlight.Inc()
		defer inFlight.Dec()
		recorder := &codeRecorder{ResponseWriter: w, code: http.StatusOK}
		next.ServeHTTP(recorder, r)
		duration.Observe(time.Since(began).Seconds())
		m.requests.WithLabelValues(service, route, strconv.Itoa(recorder.code)).Inc()
	})
}

// codeRecorder remembers the status code that went out.
type codeRecorder struct {
	http.ResponseWriter
	code int
}

func (r *codeRecorder) WriteHeader(code int) {
	r.code = code
	r.ResponseWriter.WriteHeader(code)
}
