package scenarios

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gameday-sh/gameday/experiments"
)

// testLanguage has small kinds of its own, with the names of the real ones. Each
// call returns one with a log of its own.
func testLanguage() (Language, *[]string) {
	log := new([]string)
	return Language{
		Connections: []experiments.Kind[experiments.Connection]{
			{Name: "prometheus", Summary: "Answers queries", New: func() experiments.Connection { return &testPrometheus{log: log} }},
			{Name: "toxiproxy", Summary: "Proxies that can be broken", New: func() experiments.Connection { return &testToxiproxy{log: log} }},
			{Name: "sandbox", Summary: "A shop to break", New: func() experiments.Connection { return &testSandbox{log: log} }},
			{Name: "scrape", Summary: "Feeds the built-in Prometheus", New: func() experiments.Connection { return &testScrape{log: log} }},
		},
		Probes: []experiments.Kind[experiments.Probe]{
			{Name: "http", Summary: "Sends a request", New: func() experiments.Probe { return new(testHTTP) }},
			{Name: "gauge", Summary: "Reads a number", New: func() experiments.Probe { return new(testGauge) }},
		},
		Journey: experiments.Kind[experiments.JourneyProbe]{Name: "journey", Summary: "A way in steps", New: func() experiments.JourneyProbe { return new(testJourney) }},
		SLIs: []experiments.Kind[experiments.SLI]{
			{Name: "events", Summary: "Counts bad and all events", New: func() experiments.SLI { return new(testEvents) }},
		},
		Faults: []experiments.Kind[experiments.Fault]{
			{Name: "toxiproxy_latency", Summary: "Answers arrive late", New: func() experiments.Fault { return new(testLatency) }},
			{Name: "pod_kill", Summary: "Pods vanish", New: func() experiments.Fault { return new(testKill) }},
		},
		Guards: []experiments.Kind[experiments.Guard]{
			{Name: "burn_rate", Summary: "The budget burns too fast", New: func() experiments.Guard { return new(testBurnRate) }},
			{Name: "budget", Summary: "Too much of the budget is spent", New: func() experiments.Guard { return new(testBudget) }},
			{Name: "probe_fails", Summary: "A probe fails", New: func() experiments.Guard { return new(testProbeFails) }},
			{Name: "golden_signals", Summary: "A signal misses its target", New: func() experiments.Guard { return new(testSignalGuard) }},
			{Name: "no_data", Summary: "Nothing can be seen", New: func() experiments.Guard { return new(testNoData) }},
			{Name: "max_duration", Summary: "The run takes too long", New: func() experiments.Guard { return new(testMaxDuration) }},
		},
		GoldenSignals: func() experiments.SignalSource { return new(testSignals) },
		Receivers: []experiments.Kind[experiments.Receiver]{
			{Name: "webhook", Summary: "Sends a request", New: func() experiments.Receiver { return new(testWebhook) }},
		},
		DefaultGuards: []string{"no_data", "max_duration"},
	}, log
}

// testPrometheus exports its URL, which is known after Open.
type testPrometheus struct {
	URL    string             `hcl:"url,optional" doc:"Where it is."`
	Token  experiments.Secret `hcl:"token,optional" doc:"Token to send."`
	Labels map[string]string  `hcl:"labels,optional" doc:"Labels to add."`
	log    *[]string
}

func (c *testPrometheus) Open(context.Context) error {
	*c.log = append(*c.log, "open prometheus "+c.URL)
	return nil
}

func (c *testPrometheus) Close() error {
	*c.log = append(*c.log, "close prometheus "+c.URL)
	return nil
}

func (c *testPrometheus) Exports() []string    { return []string{"url"} }
func (c *testPrometheus) Export(string) string { return c.URL }

type testToxiproxy struct {
	URL string `hcl:"url,optional" doc:"Where its API is."`
	log *[]string
}

func (c *testToxiproxy) Open(context.Context) error {
	*c.log = append(*c.log, "open toxiproxy "+c.URL)
	if c.URL == "http://broken" {
		return errors.New("connection refused")
	}
	return nil
}

func (c *testToxiproxy) Close() error {
	*c.log = append(*c.log, "close toxiproxy "+c.URL)
	return nil
}

// testSandbox has values that are known only when it runs.
type testSandbox struct {
	Instances int `hcl:"instances,optional" default:"2" doc:"How many run."`
	log       *[]string
	opened    bool
}

func (c *testSandbox) Open(context.Context) error {
	*c.log = append(*c.log, fmt.Sprintf("open sandbox of %d", c.Instances))
	c.opened = true
	return nil
}

func (c *testSandbox) Close() error {
	*c.log = append(*c.log, "close sandbox")
	c.opened = false
	return nil
}

func (c *testSandbox) Exports() []string { return []string{"url", "pace", "metrics_url"} }

func (c *testSandbox) Export(name string) string {
	if !c.opened {
		return "asked too early"
	}
	if name == "pace" {
		return "300ms"
	}
	return "http://127.0.0.1:4711/" + name
}

// testScrape needs a prometheus, the built-in one where none is declared.
type testScrape struct {
	URL        string          `hcl:"url" doc:"What to scrape." example:"http://127.0.0.1:9100/metrics"`
	Prometheus *testPrometheus `hcl:"prometheus,optional" doc:"Where the samples go."`
	log        *[]string
}

func (c *testScrape) Open(context.Context) error {
	*c.log = append(*c.log, "open scrape "+c.URL)
	return nil
}

func (c *testScrape) Close() error {
	*c.log = append(*c.log, "close scrape "+c.URL)
	return nil
}

type testTLS struct {
	CA       string             `hcl:"ca" doc:"File of the authority." example:"ca.pem"`
	Insecure bool               `hcl:"insecure,optional" default:"false" doc:"Accept any certificate."`
	Key      experiments.Secret `hcl:"key,optional" doc:"Private key."`
}

func (t *testTLS) Validate() []experiments.Problem {
	if t.Insecure && t.CA != "" {
		return []experiments.Problem{{Attribute: "insecure", Summary: "Two ways to trust", Detail: "Leave out insecure or ca."}}
	}
	return nil
}

type testHTTP struct {
	URL     string                        `hcl:"url" doc:"Where the request goes." example:"http://127.0.0.1:8080/"`
	Headers map[string]experiments.Secret `hcl:"headers,optional" doc:"Headers to send."`
	Codes   []int                         `hcl:"codes,optional" default:"[200]" doc:"Codes that are good."`
	Weight  *float64                      `hcl:"weight,optional" doc:"How much it counts."`
	Retry   []*testRetry                  `hcl:"retry,block" doc:"When to try again."`
	TLS     *testTLS                      `hcl:"tls,block" doc:"Certificates."`
}

type testRetry struct {
	After time.Duration `hcl:"after" doc:"How long to wait." example:"1s"`
}

func (p *testHTTP) Tells() experiments.Told {
	return experiments.Told{Events: true, Values: p.Weight != nil, Number: "give the probe a json_path, with a number there"}
}

func (p *testHTTP) Measure(context.Context) experiments.Sample { return experiments.Sample{} }

func (p *testHTTP) Validate() []experiments.Problem {
	var problems []experiments.Problem
	if p.URL == "" {
		problems = append(problems, experiments.Problem{Attribute: "url", Summary: "Empty URL", Detail: "Write where to go."})
	}
	if p.URL == "ftp://x" {
		problems = append(problems, experiments.Problem{Attribute: "url", Summary: "Not HTTP", Detail: "The url begins with http:// or https://."})
	}
	if len(p.Codes) == 0 {
		problems = append(problems, experiments.Problem{Summary: "Nothing is good", Detail: "Write codes."})
	}
	return problems
}

type testGauge struct {
	Name string `hcl:"name" doc:"Which number." example:"queue"`
	Unit string `hcl:"unit,optional" doc:"Unit of the number."`
	Good *int   `hcl:"good,optional" doc:"Up to which number it is good."`
}

func (p *testGauge) Tells() experiments.Told {
	return experiments.Told{Events: p.Good != nil, Values: true}
}

func (p *testGauge) Measure(context.Context) experiments.Sample { return experiments.Sample{} }

type testJourney struct {
	Steps []testStep `hcl:"step,block" doc:"What is done."`
}

type testStep struct {
	Name     string                          `hcl:"name,label"`
	URL      experiments.Template            `hcl:"url" doc:"Where to go." example:"\"http://127.0.0.1/${capture.id}\""`
	Headers  map[string]experiments.Template `hcl:"headers,optional" doc:"What to send along." example:"{ Accept = \"text/plain\" }"`
	Body     experiments.Template            `hcl:"body,optional" doc:"What to send." example:"jsonencode({ id = capture.id })"`
	Status   []string                        `hcl:"status,optional" default:"[\"2xx\"]" doc:"What is good."`
	Pause    time.Duration                   `hcl:"pause,optional" default:"0s" doc:"How long to think."`
	Captures []testCapture                   `hcl:"capture,block" doc:"What to take."`
}

type testCapture struct {
	Name   string `hcl:"name,label"`
	Regexp string `hcl:"regexp" doc:"What to look for." example:"id=(.*)"`
}

func (j *testJourney) Measure(context.Context) experiments.Sample { return experiments.Sample{} }

func (j *testJourney) Pauses() (sum time.Duration) {
	for _, step := range j.Steps {
		sum += step.Pause
	}
	return sum
}

func (j *testJourney) Validate() []experiments.Problem {
	if len(j.Steps) == 0 {
		return []experiments.Problem{{Summary: "Journey without a step", Detail: "Add step \"name\" { ... }."}}
	}
	return nil
}

type testEvents struct {
	Bad        string          `hcl:"bad" doc:"Query of bad events." example:"sum(rate(bad[$window]))"`
	Total      string          `hcl:"total" doc:"Query of all events." example:"sum(rate(all[$window]))"`
	Prometheus *testPrometheus `hcl:"prometheus,optional" doc:"Which server is asked."`
}

func (s *testEvents) Count(context.Context, time.Time, time.Duration) experiments.Count {
	return experiments.Count{}
}

func (s *testEvents) Shortest() time.Duration { return 4 * time.Second }

type testLatency struct {
	harmless
	Proxy     string         `hcl:"proxy" doc:"Name of the proxy." example:"payments"`
	Latency   time.Duration  `hcl:"latency" doc:"How late data arrives." example:"300ms"`
	Jitter    time.Duration  `hcl:"jitter,optional" default:"0s" doc:"How much the latency varies."`
	Direction string         `hcl:"direction,optional" default:"downstream" enum:"downstream|upstream" doc:"Which way."`
	Share     *float64       `hcl:"share,optional" doc:"Share of the connections." unit:"ratio"`
	Toxiproxy *testToxiproxy `hcl:"toxiproxy,optional" doc:"The toxiproxy that has the proxy."`
}

func (f *testLatency) Validate() []experiments.Problem {
	if f.Jitter > f.Latency {
		return []experiments.Problem{{Attribute: "jitter", Summary: "Jitter above the latency", Detail: "Write a jitter that is at most the latency."}}
	}
	return nil
}

func (f *testLatency) Lasts() bool { return true }

type testKill struct {
	harmless
	Namespace string `hcl:"namespace,optional" default:"default" doc:"Namespace of the pods."`
	Selector  string `hcl:"selector" doc:"Labels of the pods." example:"app=checkout"`
	Count     uint16 `hcl:"count,optional" default:"1" doc:"How many."`
	Graceful  bool   `hcl:"graceful,optional" default:"true" doc:"Whether they may say goodbye."`
}

func (f *testKill) Lasts() bool { return false }

// harmless is the rest of a fault, which the language never calls.
type harmless struct{}

func (harmless) Plan(context.Context, experiments.Draw) ([]experiments.Hit, error) { return nil, nil }
func (harmless) Inject(context.Context, experiments.Hit) (experiments.Proof, error) {
	return experiments.Proof{}, nil
}
func (harmless) Revert(context.Context, experiments.Hit) error { return nil }
func (harmless) Check(context.Context, experiments.Hit) (experiments.Observation, error) {
	return experiments.Observation{}, nil
}

type testBurnRate struct {
	SLO     *experiments.SLO `hcl:"slo" doc:"Whose budget." example:"slo.checkout"`
	Factor  float64          `hcl:"factor,optional" default:"14.4" doc:"How many times too fast."`
	Windows []time.Duration  `hcl:"windows,optional" default:"[\"1m\", \"5s\"]" doc:"Over which windows."`
}

func (g *testBurnRate) Needs() experiments.Needs {
	return experiments.Needs{SLOs: []*experiments.SLO{g.SLO}, Windows: g.Windows}
}
func (g *testBurnRate) Judge(*experiments.History) experiments.Reading { return experiments.Reading{} }

type testBudget struct {
	SLO   *experiments.SLO    `hcl:"slo" doc:"Whose budget." example:"slo.checkout"`
	Spend experiments.Percent `hcl:"spend,optional" default:"5%" doc:"The most that may be spent."`
}

func (g *testBudget) Needs() experiments.Needs {
	return experiments.Needs{SLOs: []*experiments.SLO{g.SLO}}
}
func (g *testBudget) Judge(*experiments.History) experiments.Reading { return experiments.Reading{} }

type testProbeFails struct {
	Probe *experiments.Probed `hcl:"probe" doc:"Which probe." example:"probe.front_door"`
}

func (g *testProbeFails) Needs() experiments.Needs {
	return experiments.Needs{Probes: []*experiments.Probed{g.Probe}}
}
func (g *testProbeFails) Judge(*experiments.History) experiments.Reading {
	return experiments.Reading{}
}

type testNoData struct {
	For time.Duration `hcl:"for,optional" default:"10s" doc:"How long that is borne."`
}

func (g *testNoData) Needs() experiments.Needs                       { return experiments.Needs{} }
func (g *testNoData) Judge(*experiments.History) experiments.Reading { return experiments.Reading{} }

type testMaxDuration struct {
	Limit time.Duration `hcl:"limit,optional" default:"1h" doc:"The most a run may take."`
}

func (g *testMaxDuration) Needs() experiments.Needs { return experiments.Needs{} }
func (g *testMaxDuration) Judge(*experiments.History) experiments.Reading {
	return experiments.Reading{}
}

// testSignals measures by a gauge what is written.
type testSignals struct {
	Requests     string               `hcl:"requests" doc:"The counter of requests." example:"http_requests_total"`
	Errors       string               `hcl:"errors,optional" doc:"Which of them failed." example:"code=~\"5..\""`
	Window       time.Duration        `hcl:"window,optional" default:"5s" doc:"What a value speaks of."`
	TrafficKeeps experiments.Percent  `hcl:"traffic_keeps,optional" default:"50%" doc:"Traffic is at least this share."`
	ErrorsAtMost *experiments.Percent `hcl:"errors_at_most,optional" doc:"At most this share fails." example:"0.1%"`
}

func (g *testSignals) Signals() []*experiments.Signal {
	if g.Requests == "" {
		return nil // not known yet
	}
	var list []*experiments.Signal
	add := func(name experiments.SignalName, text string, limit experiments.Limit) {
		s := &experiments.Signal{Name: name, Probed: &experiments.Probed{Unit: name.Unit(), Window: g.Window, Probe: new(testGauge)}}
		if text != "" {
			s.Targets = append(s.Targets, experiments.Target{Text: text, Limit: limit})
		}
		list = append(list, s)
	}
	kept := ""
	if g.TrafficKeeps > 0 {
		kept = "traffic keeps " + g.TrafficKeeps.String() + " of the baseline"
	}
	add(experiments.Traffic, kept, experiments.Limit{Kind: experiments.ValueKeeps, Ratio: g.TrafficKeeps})
	switch {
	case g.ErrorsAtMost != nil:
		add(experiments.Errors, "errors at most "+g.ErrorsAtMost.String(), experiments.Limit{Kind: experiments.ValueAtMost, Value: float64(*g.ErrorsAtMost)})
	case g.Errors != "":
		add(experiments.Errors, "", experiments.Limit{})
	}
	return list
}

// testSignalGuard looks at signals.
type testSignalGuard struct {
	Signals *experiments.GoldenSignals `hcl:"signals" doc:"What is watched." example:"golden_signals.checkout"`
}

func (g *testSignalGuard) Needs() experiments.Needs {
	var needs experiments.Needs
	if g.Signals != nil {
		for _, s := range g.Signals.Signals {
			needs.Probes = append(needs.Probes, s.Probed)
		}
	}
	return needs
}

func (g *testSignalGuard) Judge(*experiments.History) experiments.Reading {
	return experiments.Reading{}
}
