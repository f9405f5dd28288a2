package notify

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/push"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/tlsconfig"
)

// Metrics gives numbers of a run to Prometheus: on an address that is there while the
// run goes on, and to a Pushgateway at its end. Labels are names out of the scenario and
// fixed words, so that their number is bounded by what people wrote.
type Metrics struct {
	Listen  string                        `hcl:"listen,optional" default:"127.0.0.1:9646" doc:"Where Prometheus scrapes /metrics while a run goes on; \"\" for nowhere. Others than this machine reach it only if the address says so: \":9646\"."`
	Gateway string                        `hcl:"pushgateway,optional" doc:"Address of a Pushgateway, which is given the numbers at the end of a run." example:"http://127.0.0.1:9091"`
	Job     string                        `hcl:"job,optional" default:"gameday" doc:"The job that they are pushed for. Runs of one scenario replace each other there."`
	Headers map[string]experiments.Secret `hcl:"headers,optional" doc:"Headers to send along to the Pushgateway." example:"{ Authorization = \"Bearer ${env(\"TOKEN\")}\" }"`
	TLS     *tlsconfig.Block              `hcl:"tls,block" doc:"Which certificates to trust and to show at the Pushgateway."`

	numbers *numbers
	server  *http.Server
}

// Validate implements [experiments.Validator].
func (m *Metrics) Validate() []experiments.Problem {
	var list []experiments.Problem
	if m.Listen == "" && m.Gateway == "" {
		list = append(list, experiments.Problem{Summary: "Metrics for nobody", Detail: "listen is empty, and there is no pushgateway."})
	}
	if m.Listen != "" {
		if _, _, err := net.SplitHostPort(m.Listen); err != nil {
			list = append(list, experiments.Problem{Attribute: "listen", Summary: "Not an address to listen on", Detail: "write host:port, such as \"127.0.0.1:9646\"."})
		}
	}
	if m.Gateway != "" {
		list = append(list, addressProblem("pushgateway", m.Gateway, false)...)
	}
	if m.Job == "" {
		list = append(list, experiments.Problem{Attribute: "job", Summary: "Empty job", Detail: "a Pushgateway takes no empty job."})
	}
	return append(append(list, headerProblems(m.Headers)...), m.TLS.Problems()...)
}

// numbers are the metrics of one run.
type numbers struct {
	registry *prometheus.Registry
	faults   map[string]string // hit -> fault
	held     map[string]bool   // hits that are in place

	active, began, ended, restore prometheus.Gauge
	phase, verdict                *prometheus.GaugeVec
	inPlace, guard                *prometheus.GaugeVec
	injected, mended, failed      *prometheus.CounterVec
	samples                       *prometheus.CounterVec
}

func newNumbers() *numbers {
	n := &numbers{registry: prometheus.NewRegistry(), faults: map[string]string{}, held: map[string]bool{}}
	gauge := func(name, help string) prometheus.Gauge {
		g := prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
		n.registry.MustRegister(g)
		return g
	}
	gauges := func(name, help string, labels ...string) *prometheus.GaugeVec {
		g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
		n.registry.MustRegister(g)
		return g
	}
	counters := func(name, help string, labels ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
		n.registry.MustRegister(c)
		return c
	}
	n.active = gauge("gameday_run_active", "1 while the run goes on, else 0.")
	n.began = gauge("gameday_run_start_timestamp_seconds", "When the run began, in Unix seconds.")
	n.ended = gauge("gameday_run_end_timestamp_seconds", "When the run ended, in Unix seconds; 0 while it goes on.")
	n.restore = gauge("gameday_run_restore_duration_seconds", "Time from the breach that stopped the run to the last proven revert; 0 unless it was stopped and is mended.")
	n.phase = gauges("gameday_run_phase", "1 for the phase that the run is in, else 0.", "phase")
	n.verdict = gauges("gameday_run_verdict", "1 for the verdict of the run, else 0; all are 0 while it goes on.", "verdict")
	n.inPlace = gauges("gameday_hits_in_place", "Hits that are proven injected and not yet proven mended.", "fault")
	n.injected = counters("gameday_hits_injected_total", "Hits that were proven injected.", "fault")
	n.mended = counters("gameday_hits_mended_total", "Hits that were proven mended.", "fault")
	n.failed = counters("gameday_hits_failed_total", "Injections and reverts that failed.", "fault")
	n.guard = gauges("gameday_guard_used_ratio", "Share of its limit that a guard last read; 1 or more stops the run.", "guard")
	n.samples = counters("gameday_samples_total", "Measurements of probes: good and bad events, values, and those that gave none (no_data and others).", "series", "outcome")
	for _, phase := range phases {
		n.phase.WithLabelValues(string(phase)).Set(0)
	}
	for _, verdict := range verdicts {
		n.verdict.WithLabelValues(string(verdict)).Set(0)
	}
	return n
}

var phases = []experiments.Phase{
	experiments.PhaseCheck, experiments.PhasePlan, experiments.PhaseBaseline, experiments.PhaseDisrupt,
	experiments.PhaseRevert, experiments.PhaseRecover, experiments.PhaseReport,
}

var verdicts = []experiments.Verdict{
	experiments.Held, experiments.Refuted, experiments.Aborted, experiments.Inconclusive, experiments.Errored, experiments.NotRestored,
}

// Wants implements [experiments.Receiver].
func (m *Metrics) Wants(n *experiments.Notice) bool {
	return n.Moment == experiments.MomentBegin && m.Listen != "" || n.Moment == experiments.MomentEnd && m.Gateway != ""
}

// Record implements [experiments.Recorder].
func (m *Metrics) Record(event experiments.Event) {
	if event.Type == experiments.EventBegin {
		m.numbers = newNumbers()
		m.numbers.active.Set(1)
		m.numbers.began.Set(seconds(event.At))
	}
	if m.numbers != nil {
		m.numbers.record(event)
	}
}

func seconds(at time.Time) float64 { return float64(at.UnixMilli()) / 1000 }

func (n *numbers) record(event experiments.Event) {
	switch {
	case event.Type == experiments.EventPhase:
		for _, phase := range phases {
			n.phase.WithLabelValues(string(phase)).Set(0)
		}
		n.phase.WithLabelValues(string(event.Phase)).Set(1)
	case event.Hit != nil:
		n.hit(event.Hit)
	case event.Sample != nil:
		n.samples.WithLabelValues(event.Series, outcomeOf(event.Sample)).Inc()
	case event.Guard != nil:
		n.guard.WithLabelValues(event.Name).Set(float64(event.Guard.Used))
	}
}

// outcomeOf tells good from bad, and both from a measurement that says neither.
func outcomeOf(s *experiments.Sample) string {
	switch {
	case s.Condition != "":
		return strings.ReplaceAll(string(s.Condition), " ", "_")
	case s.Counted && !s.Good:
		return "bad"
	case s.Counted:
		return "good"
	}
	return "value"
}

func (n *numbers) hit(h *experiments.HitEvent) {
	if h.Hit != nil {
		n.faults[h.ID] = h.Hit.Fault
	}
	fault := n.faults[h.ID]
	if fault == "" {
		return
	}
	switch h.Step {
	case experiments.Injected:
		n.injected.WithLabelValues(fault).Inc()
		n.held[h.ID] = true
		n.inPlace.WithLabelValues(fault).Inc()
	case experiments.Verified:
		n.mended.WithLabelValues(fault).Inc()
		if n.held[h.ID] {
			n.inPlace.WithLabelValues(fault).Dec()
		}
		delete(n.held, h.ID)
	case experiments.Failed, experiments.Stuck:
		n.failed.WithLabelValues(fault).Inc()
	}
}

// Deliver implements [experiments.Receiver]: at the beginning it listens, at the end it
// pushes.
func (m *Metrics) Deliver(ctx context.Context, n *experiments.Notice) (experiments.Receipt, error) {
	if m.numbers == nil { // of a run whose runner died
		m.numbers = newNumbers()
		m.numbers.began.Set(seconds(n.Began))
	}
	if n.Moment == experiments.MomentBegin {
		return m.listen(ctx, n)
	}
	m.numbers.over(n)
	if err := m.push(ctx, n); err != nil {
		return experiments.Receipt{}, err
	}
	return experiments.Receipt{Said: "pushed the metrics"}, nil
}

func (n *numbers) over(notice *experiments.Notice) {
	n.active.Set(0)
	n.ended.Set(seconds(notice.Ended))
	n.verdict.WithLabelValues(string(notice.Verdict)).Set(1)
	if r := notice.Result; r != nil && r.Stop != nil && r.Stop.Took() > 0 {
		n.restore.Set(r.Stop.Took().Seconds())
	}
}

func (m *Metrics) listen(ctx context.Context, n *experiments.Notice) (experiments.Receipt, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", m.Listen)
	if err != nil {
		return experiments.Receipt{}, fmt.Errorf("listen on %s for Prometheus: %w", m.Listen, err)
	}
	// Whoever scrapes learns of which scenario and run the numbers are; a Pushgateway has
	// the scenario in its grouping key.
	labelled := prometheus.NewRegistry()
	if err := prometheus.WrapRegistererWith(prometheus.Labels{"scenario": n.Scenario}, labelled).Register(m.numbers); err != nil {
		return experiments.Receipt{}, errors.Join(fmt.Errorf("serve the metrics: %w", err), listener.Close())
	}
	routes := http.NewServeMux()
	routes.Handle("GET /metrics", promhttp.HandlerFor(labelled, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: 5 * time.Second}))
	m.server = &http.Server{Handler: routes, ReadHeaderTimeout: 5 * time.Second, WriteTimeout: 10 * time.Second, IdleTimeout: 30 * time.Second}
	go func(server *http.Server) {
		if err := server.Serve(listener); err != nil {
			return // it was closed
		}
	}(m.server)
	return experiments.Receipt{Said: "scraped on http://" + listener.Addr().String() + "/metrics"}, nil
}

// Describe implements [prometheus.Collector]: what it collects is known when it does.
func (n *numbers) Describe(chan<- *prometheus.Desc) {}

// Collect implements [prometheus.Collector].
func (n *numbers) Collect(into chan<- prometheus.Metric) { n.registry.Collect(into) }

func (m *Metrics) push(ctx context.Context, n *experiments.Notice) error {
	what := "push to " + hostOf(m.Gateway)
	config, err := m.TLS.Config()
	if err != nil {
		return err
	}
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: config, DisableKeepAlives: true}
	answers := &answering{next: transport}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: answers, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	pusher := push.New(strings.TrimSuffix(m.Gateway, "/"), m.Job).Grouping("scenario", n.Scenario).Gatherer(m.numbers.registry).
		Client(client).Header(headersOf("", m.Headers))
	err = pusher.PushContext(ctx)
	switch {
	case err == nil:
		return nil
	case answers.failed != nil:
		return answers.failed // its error says no more, and quotes the address
	}
	return failure(what, err)
}

// answering notes which answer was no success: the pusher's own error does not tell
// whether another attempt may work.
type answering struct {
	next   http.RoundTripper
	failed error
}

func (a *answering) RoundTrip(asked *http.Request) (*http.Response, error) {
	answer, err := a.next.RoundTrip(asked)
	if err == nil {
		a.failed = verdictOf(answer, "PUT to "+asked.URL.Host, nil)
	}
	return answer, err
}

// Close stops listening. It is called when the run is over.
func (m *Metrics) Close() error {
	if m.server == nil {
		return nil
	}
	err := m.server.Close()
	m.server = nil
	return err
}
