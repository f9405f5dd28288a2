package prom

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/gameday-sh/gameday/experiments"
)

// shortestSignal is the shortest window that a golden signal has by default.
const shortestSignal = 5 * time.Second

// GoldenSignals is the block golden_signals: latency, traffic, errors and saturation of
// one service, with what each should keep to. See [experiments.GoldenSignals] for how
// the targets are judged. Latency, traffic and errors are those of a window that ends
// now:
//
//	traffic     sum(rate(requests[w]))
//	errors      sum(rate(errors[w])) / sum(rate(requests[w]))
//	latency     histogram_quantile(p, sum by (le) (rate(duration_bucket[w])))
//	            histogram_quantile(p, sum(rate(duration[w])))      of native histograms
//
// No request in the window is a value of traffic, 0, and the condition "no traffic" of
// latency and errors. A series that has ended is stale for all of them: rate() would go
// on speaking of it for a whole window.
type GoldenSignals struct {
	Prometheus *Prometheus `hcl:"prometheus,optional" doc:"Where the signals are asked; left out, the built-in one."`
	Requests   string      `hcl:"requests" doc:"The counter of requests: a metric with its matchers." example:"http_requests_total{job=\"checkout\"}"`
	Errors     string      `hcl:"errors,optional" doc:"Which of them failed: matchers that are added to those of requests, or a counter of its own with its matchers." example:"code=~\"5..\""`
	Duration   string      `hcl:"duration,optional" doc:"The histogram of how long requests take, in seconds: its name, without _bucket, with its matchers." example:"http_request_duration_seconds{job=\"checkout\"}"`
	Native     bool        `hcl:"native,optional" default:"false" doc:"Whether duration is a native histogram; else it has classic buckets."`
	Saturation string      `hcl:"saturation,optional" doc:"PromQL that gives how full the service is: one number, from 0 to 1 if full." example:"max(pool_in_use / pool_size)"`

	SaturationIn string         `hcl:"saturation_in,optional" default:"ratio" enum:"ratio|percent" doc:"What saturation gives: a ratio from 0 to 1, or a percent from 0 to 100. What is above is not measurable, rather than believed."`
	Window       *time.Duration `hcl:"window,optional" doc:"The time before each measurement that latency, traffic and errors speak of; at least 4 scrapes. Left out: 4 scrapes, and 5s at least."`

	Percentile       experiments.Percent  `hcl:"latency_percentile,optional" default:"95%" doc:"The percentile of the requests' durations that latency is."`
	LatencyAtMost    *time.Duration       `hcl:"latency_at_most,optional" doc:"Target: latency is at most this. Choose the bound of a bucket: between two bounds, latency is a guess." example:"500ms"`
	TrafficKeeps     *experiments.Percent `hcl:"traffic_keeps,optional" default:"50%" doc:"Target: traffic is at least this share of its mean in the baseline. \"0%\" takes the target away."`
	TrafficAtLeast   *float64             `hcl:"traffic_at_least,optional" unit:"requests/s" doc:"Target: traffic is at least this." example:"10000"`
	ErrorsAtMost     *experiments.Percent `hcl:"errors_at_most,optional" doc:"Target: at most this share of the requests fail." example:"0.1%"`
	SaturationAtMost *experiments.Percent `hcl:"saturation_at_most,optional" doc:"Target: saturation is at most this." example:"70%"`
}

// Validate implements [experiments.Validator].
func (g *GoldenSignals) Validate() []experiments.Problem {
	_, problems := g.compile()
	add := func(bad bool, attribute, summary, detail string, values ...any) {
		if bad {
			problems = append(problems, experiments.Problem{Attribute: attribute, Summary: summary, Detail: fmt.Sprintf(detail, values...)})
		}
	}
	shortest := scrapesPerWindow * g.Prometheus.Interval()
	add(g.Window != nil && *g.Window < shortest, "window", "Window too short", "Rates need %d scrapes, and so a window of at least %s. Write a longer one, or scrape more often.",
		scrapesPerWindow, experiments.FormatDuration(shortest))
	add(g.Prometheus.Builtin() && g.window() > defaultRetention, "window", "Window too long", "The built-in Prometheus keeps %s; write a shorter window, or use a server (url).", experiments.FormatDuration(defaultRetention))
	add(g.Percentile <= 0 || g.Percentile >= 1, "latency_percentile", "Percentile out of range", "A percentile is above 0%% and below 100%%: write, for example, \"95%%\".")
	add(g.LatencyAtMost != nil && *g.LatencyAtMost <= 0, "latency_at_most", "Target of zero", "Nothing takes no time at all. Write, for example, \"500ms\".")
	add(g.TrafficAtLeast != nil && *g.TrafficAtLeast <= 0, "traffic_at_least", "Target that cannot be missed", "Traffic is never below 0. Write how many requests a second there must be.")
	add(g.TrafficKeeps != nil && *g.TrafficKeeps >= 1, "traffic_keeps", "Target that cannot be kept", "No traffic is always at its own mean or above. Write a lower share, such as \"50%%\".")
	add(g.ErrorsAtMost != nil && (*g.ErrorsAtMost <= 0 || *g.ErrorsAtMost >= 1), "errors_at_most", "Target out of range", "No number of requests can show that none fails, and at most all of them always do. Write, for example, \"0.1%%\".")
	add(g.SaturationAtMost != nil && (*g.SaturationAtMost <= 0 || *g.SaturationAtMost >= 1), "saturation_at_most", "Target out of range", "Saturation is from 0%% to 100%%, so that a target lies between them. Write, for example, \"70%%\".")
	for _, target := range []struct {
		set, measured     bool
		attribute, signal string
	}{
		{g.LatencyAtMost != nil, g.Duration != "", "latency_at_most", "duration"},
		{g.ErrorsAtMost != nil, g.Errors != "", "errors_at_most", "errors"},
		{g.SaturationAtMost != nil, g.Saturation != "", "saturation_at_most", "saturation"},
	} {
		add(target.set && !target.measured, target.attribute, "Target without a signal", "%s has nothing to be measured by: write %s as well.", target.attribute, target.signal)
	}
	add(g.Native && g.Duration == "", "native", "Native without a histogram", "native says what duration is, and there is none: write duration as well.")
	return problems
}

// window is the window of the rates.
func (g *GoldenSignals) window() time.Duration {
	if g.Window != nil {
		return *g.Window
	}
	return max(scrapesPerWindow*g.Prometheus.Interval(), shortestSignal)
}

// goldenPlan is what the selectors come to.
type goldenPlan struct {
	requests, errors string
	duration         []*labels.Matcher // of the histogram, by its name without _bucket
}

// compile reads the selectors.
func (g *GoldenSignals) compile() (*goldenPlan, []experiments.Problem) {
	var problems []experiments.Problem
	problem := func(attribute, summary, detail string, values ...any) {
		problems = append(problems, experiments.Problem{Attribute: attribute, Summary: summary, Detail: fmt.Sprintf(detail, values...)})
	}
	p := &goldenPlan{}
	requests, wrong := selectorIn(g.Requests)
	switch {
	case g.Requests == "": // required, and said so by the decoder; or not known yet
		return nil, nil
	case wrong != "":
		problem("requests", "Not a metric", "%s. Write the counter of requests with its matchers, such as http_requests_total{job=\"checkout\"}; rate() and sum() are put around it.", wrong)
	case aboutBuckets(requests) != "":
		problem("requests", "Not a counter of requests", "%s counts each request once a bucket; write the counter of requests, or that of the histogram, which ends in _count.", aboutBuckets(requests))
	default:
		p.requests = selectorOf(requests)
	}
	if g.Errors != "" && p.requests != "" {
		p.errors = g.failed(requests, problem)
	}
	if g.Duration != "" {
		duration, wrong := selectorIn(g.Duration)
		switch name := nameIn(duration); {
		case wrong != "":
			problem("duration", "Not a histogram", "%s. Write the name of the histogram with its matchers, such as http_request_duration_seconds{job=\"checkout\"}; histogram_quantile() and rate() are put around it.", wrong)
		case name == "":
			problem("duration", "Histogram without a name", "Write the name of the histogram before its matchers, such as http_request_duration_seconds{job=\"checkout\"}.")
		case slices.ContainsFunc([]string{"_bucket", "_sum", "_count"}, func(end string) bool { return strings.HasSuffix(name, end) }):
			base := name[:strings.LastIndexByte(name, '_')]
			problem("duration", "Not the name of the histogram", "%s is one series of the histogram; write %s.", name, base)
		default:
			p.duration = duration
		}
	}
	if g.Saturation != "" {
		query := Query{Query: g.Saturation}
		for _, one := range query.Validate() {
			problem("saturation", one.Summary, "%s", one.Detail)
		}
	}
	if len(problems) > 0 {
		return nil, problems
	}
	return p, nil
}

// failed is the selector of the failed requests: of the same counter with more
// matchers, or of another.
func (g *GoldenSignals) failed(requests []*labels.Matcher, problem func(attribute, summary, detail string, values ...any)) string {
	const hint = "Write matchers that are added to those of requests, such as code=~\"5..\", or a counter with its matchers, such as http_errors_total{job=\"checkout\"}"
	if own, wrong := selectorIn(g.Errors); wrong == "" && nameIn(own) != "" {
		if selectorOf(own) == selectorOf(requests) {
			problem("errors", "Errors that are all requests", "errors selects what requests selects, so that every request would have failed. %s.", hint)
			return ""
		}
		return selectorOf(own)
	}
	matchers, wrong := selectorIn("{" + strings.Trim(strings.TrimSpace(g.Errors), "{}") + "}")
	if wrong != "" || len(matchers) == 0 {
		problem("errors", "Not matchers", "The failed requests cannot be told from %q. %s.", g.Errors, hint)
		return ""
	}
	return selectorOf(append(slices.Clone(requests), matchers...))
}

// selectorIn reads a text that is one selector of an instant; wrong says why it is not.
func selectorIn(text string) (matchers []*labels.Matcher, wrong string) {
	if strings.Contains(text, windowName) {
		return nil, "There is no $window here, and no range"
	}
	parsed, err := parse(text)
	if err != nil {
		return nil, "It cannot be read " + err.Error()
	}
	root := parsed.root
	for {
		inner, isParen := root.(*parser.ParenExpr)
		if !isParen {
			break
		}
		root = inner.Expr
	}
	selector, isSelector := root.(*parser.VectorSelector)
	switch {
	case root.Type() == parser.ValueTypeMatrix:
		return nil, "A range is not needed"
	case !isSelector:
		return nil, "It is an expression and not a metric"
	case selector.OriginalOffset != 0 || selector.Timestamp != nil || selector.StartOrEnd != 0:
		return nil, "An offset or @ would read another time than now"
	}
	return selector.LabelMatchers, ""
}

// nameIn is the name of the metric that matchers select; empty for one by a pattern.
func nameIn(matchers []*labels.Matcher) string {
	for _, m := range matchers {
		if m.Name == model.MetricNameLabel && m.Type == labels.MatchEqual {
			return m.Value
		}
	}
	return ""
}

// aboutBuckets names the metric if it is the buckets of a classic histogram.
func aboutBuckets(matchers []*labels.Matcher) string {
	if name := nameIn(matchers); strings.HasSuffix(name, "_bucket") {
		return name
	}
	return ""
}

// Signals implements [experiments.SignalSource].
func (g *GoldenSignals) Signals() []*experiments.Signal {
	plan, _ := g.compile()
	if plan == nil {
		return nil // wrong, and told by Validate
	}
	var list []*experiments.Signal
	add := func(name experiments.SignalName, probe experiments.Probe, window time.Duration, targets ...experiments.Target) {
		list = append(list, &experiments.Signal{Name: name, Targets: targets,
			Probed: &experiments.Probed{Unit: name.Unit(), Probe: probe, Window: window}})
	}
	window := g.window()
	if plan.duration != nil {
		latency := &latencySignal{prometheus: g.Prometheus, matchers: plan.duration, native: g.Native, quantile: float64(g.Percentile), window: window}
		var targets []experiments.Target
		if g.LatencyAtMost != nil {
			latency.target = g.LatencyAtMost.Seconds()
			targets = append(targets, experiments.Target{
				Text:  fmt.Sprintf("p%s latency at most %s", strings.TrimSuffix(g.Percentile.String(), "%"), experiments.FormatDuration(*g.LatencyAtMost)),
				Limit: experiments.Limit{Kind: experiments.ValueAtMost, Value: latency.target},
			})
		}
		add(experiments.Latency, latency, window, targets...)
	}
	var traffic []experiments.Target
	if g.TrafficKeeps != nil && *g.TrafficKeeps > 0 {
		traffic = append(traffic, experiments.Target{
			Text:  fmt.Sprintf("traffic keeps %s of the baseline", *g.TrafficKeeps),
			Limit: experiments.Limit{Kind: experiments.ValueKeeps, Ratio: *g.TrafficKeeps},
		})
	}
	if g.TrafficAtLeast != nil {
		traffic = append(traffic, experiments.Target{
			Text:  fmt.Sprintf("traffic at least %s requests/s", strconv.FormatFloat(*g.TrafficAtLeast, 'f', -1, 64)),
			Limit: experiments.Limit{Kind: experiments.ValueAtLeast, Value: *g.TrafficAtLeast},
		})
	}
	add(experiments.Traffic, &trafficSignal{prometheus: g.Prometheus, requests: plan.requests, events: counted(g.Prometheus, plan.requests, plan.requests), window: window}, window, traffic...)
	share := func(name experiments.SignalName, probe experiments.Probe, window time.Duration, most *experiments.Percent) {
		var targets []experiments.Target
		if most != nil {
			targets = append(targets, experiments.Target{
				Text:  fmt.Sprintf("%s at most %s", name, *most),
				Limit: experiments.Limit{Kind: experiments.ValueAtMost, Value: float64(*most)},
			})
		}
		add(name, probe, window, targets...)
	}
	if plan.errors != "" {
		share(experiments.Errors, &errorsSignal{counted(g.Prometheus, plan.errors, plan.requests), window}, window, g.ErrorsAtMost)
	}
	if g.Saturation != "" {
		full := &saturationSignal{Query{Prometheus: g.Prometheus, Query: g.Saturation}, g.SaturationIn == "percent"}
		share(experiments.Saturation, full, 0, g.SaturationAtMost)
	}
	return list
}

// counted counts the events of one selector among those of another.
func counted(p *Prometheus, part, all string) *Events {
	of := func(selector string) string { return "sum(rate(" + selector + "[$window]))" }
	return &Events{Prometheus: p, Bad: of(part), Total: of(all)}
}

// sampleOf makes a sample of a number that was read from began on, or of why not.
func sampleOf(began time.Time, value float64, why string, failed *QueryError) experiments.Sample {
	s := experiments.Sample{At: began, Took: time.Since(began), Value: value, Why: why}
	if failed != nil {
		s.Value, s.Condition, s.Why = math.NaN(), failed.Condition, failed.Text
	}
	return s
}

// trafficSignal reads requests a second. It counts with requests on both sides, for all
// the conditions that counting has.
type trafficSignal struct {
	prometheus *Prometheus
	requests   string
	events     *Events
	window     time.Duration
	// full tells that the series filled the window when they were last read.
	full atomic.Bool
}

// Measure implements [experiments.Probe].
func (t *trafficSignal) Measure(ctx context.Context) experiments.Sample {
	began := time.Now()
	c := t.events.Count(ctx, began, t.window)
	switch c.Condition {
	case experiments.OK:
	case experiments.NoTraffic: // the series are there and say so
		c.Total = 0
	default:
		t.full.Store(false)
		return sampleOf(began, 0, "", failf(c.Condition, "%s", aboutRequests(c.Why)))
	}
	if failed := t.fill(ctx, began); failed != nil {
		return sampleOf(began, 0, "", failed)
	}
	return sampleOf(began, c.Total/t.window.Seconds(), c.Why, nil)
}

// fill asks whether any of the series is as old as the window: rate() of younger ones
// is too low, and would read as a drop.
func (t *trafficSignal) fill(ctx context.Context, at time.Time) *QueryError {
	if t.full.Load() {
		return nil
	}
	answer, err := t.prometheus.Query(ctx, fmt.Sprintf("count(%s offset %dms)", t.requests, t.window.Milliseconds()), at)
	if err != nil {
		condition, text := conditionOf(err)
		return failf(condition, "%s", text)
	}
	if len(answer.Points) == 0 {
		return failf(experiments.TooEarly, "the series of requests are younger than the window of %s", experiments.FormatDuration(t.window))
	}
	t.full.Store(true)
	return nil
}

// aboutRequests puts the names of the attributes of golden_signals in the place of
// those of an SLI.
func aboutRequests(why string) string {
	return strings.NewReplacer(
		"of total ", "of requests ", "of bad ", "of errors ",
		"total matched", "requests matched", "total matches", "requests matches", "bad matches", "errors matches",
		"total has", "requests has", "bad counted", "errors counted", "and total only", "and requests only",
		`if it only appears with the first bad event, write "... or vector(0)"`, "if it only appears with the first failed request, have the service export it as 0 from its start",
	).Replace(why)
}

// errorsSignal reads the share of the requests that failed.
type errorsSignal struct {
	events *Events
	window time.Duration
}

// Measure implements [experiments.Probe].
func (e *errorsSignal) Measure(ctx context.Context) experiments.Sample {
	began := time.Now()
	c := e.events.Count(ctx, began, e.window)
	if c.Condition != experiments.OK {
		return sampleOf(began, 0, "", failf(c.Condition, "%s", aboutRequests(c.Why)))
	}
	return sampleOf(began, c.Ratio(), c.Why, nil)
}

// saturationSignal reads how full a service is.
type saturationSignal struct {
	query   Query
	percent bool
}

// Measure implements [experiments.Probe].
func (s *saturationSignal) Measure(ctx context.Context) experiments.Sample {
	sample := s.query.Measure(ctx)
	if sample.Condition != experiments.OK {
		return sample
	}
	full, written := 1.0, sample.Value
	if s.percent {
		full, sample.Value = 100, sample.Value/100
	}
	why := ""
	switch {
	case written < 0:
		why = fmt.Sprintf("saturation gave %g, and nothing is less than empty", written)
	case written > full*(1+1e-9) && !s.percent:
		why = fmt.Sprintf("saturation gave %g, and a ratio is from 0 to 1: divide by what is full, write saturation_in = \"percent\" where it is one, or clamp_max(..., 1) where more than full is meant as full", written)
	case written > full*(1+1e-9):
		why = fmt.Sprintf("saturation gave %g, and a percent is from 0 to 100: divide by what is full, or write clamp_max(..., 100) where more than full is meant as full", written)
	}
	if why != "" {
		sample.Value, sample.Condition, sample.Why = math.NaN(), experiments.Broken, why
	}
	return sample
}
