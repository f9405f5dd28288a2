package prom

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/gameday-sh/gameday/experiments"
)

// defaults are golden signals with the defaults of the language.
func defaults(change func(*GoldenSignals)) *GoldenSignals {
	keeps := experiments.Percent(0.5)
	g := &GoldenSignals{Requests: `http_requests_total{job="shop"}`, SaturationIn: "ratio", Percentile: 0.95, TrafficKeeps: &keeps}
	change(g)
	return g
}

// measure reads one signal now.
func measure(t *testing.T, g *GoldenSignals, name experiments.SignalName) experiments.Sample {
	t.Helper()
	if problems := g.Validate(); len(problems) > 0 {
		t.Fatalf("%+v", problems)
	}
	all := &experiments.GoldenSignals{Signals: g.Signals()}
	s := all.Find(name)
	if s == nil {
		t.Fatalf("%s is not measured", name)
	}
	return s.Probed.Probe.Measure(t.Context())
}

// lately moves the made-up samples' last moment to the present: signals are read now.
func lately(t *testing.T) {
	t.Helper()
	before := now
	now = time.Now().Truncate(time.Millisecond)
	t.Cleanup(func() { now = before })
}

func TestAGoldenSignalIsAValueOrSaysWhyNot(t *testing.T) {
	lately(t)
	const seconds = 12
	classic := func(p *Prometheus, last time.Duration, byBound map[string]float64) {
		for le, rate := range byBound {
			p.ago(t, last, `d_seconds_bucket{job="shop",le="`+le+`"}`, rising(seconds, rate)...)
		}
	}
	requests := func(p *Prometheus, last time.Duration, ok, failed float64) {
		p.ago(t, last, `http_requests_total{job="shop",code="200"}`, rising(seconds, ok)...)
		p.ago(t, last, `http_requests_total{job="shop",code="500"}`, rising(seconds, failed)...)
	}
	within := 500 * time.Millisecond
	for name, test := range map[string]struct {
		world     func(*Prometheus)
		signal    experiments.SignalName
		change    func(*GoldenSignals)
		want      float64 // NaN: there is none
		condition experiments.Condition
		why       string
	}{
		"traffic is requests a second": {
			world:  func(p *Prometheus) { requests(p, 0, 90, 10) },
			signal: experiments.Traffic, want: 100,
		},
		"traffic without requests is 0, a value": {
			world:  func(p *Prometheus) { requests(p, 0, 0, 0) },
			signal: experiments.Traffic, want: 0, why: "no event",
		},
		"traffic of a service that went silent is not a value": {
			world:  func(p *Prometheus) { requests(p, 7*time.Second, 90, 10) },
			signal: experiments.Traffic, want: math.NaN(), condition: experiments.Stale, why: "requests",
		},
		"traffic of a service whose series ended is not a value, though rate() has one": {
			world: func(p *Prometheus) {
				requests(p, time.Second, 90, 10)
				p.ago(t, 0, `http_requests_total{job="shop",code="200"}`, math.NaN())
				p.ago(t, 0, `http_requests_total{job="shop",code="500"}`, math.NaN())
			},
			signal: experiments.Traffic, want: math.NaN(), condition: experiments.Stale, why: "the series of requests ended",
		},
		"traffic of one pod of two that is gone fades": {
			world: func(p *Prometheus) {
				p.ago(t, 0, `http_requests_total{job="shop",pod="a"}`, rising(seconds, 50)...)
				p.ago(t, 6*time.Second, `http_requests_total{job="shop",pod="b"}`, append(rising(seconds-6, 50), math.NaN())...)
			},
			signal: experiments.Traffic, want: 50,
		},
		"traffic of a service that has just started is too early, and no drop": {
			world:  func(p *Prometheus) { p.ago(t, 0, `http_requests_total{job="shop"}`, rising(3, 100)...) },
			signal: experiments.Traffic, want: math.NaN(), condition: experiments.TooEarly, why: "younger than the window of 5s",
		},
		"traffic of a metric that does not exist is no data": {
			world:  func(p *Prometheus) { requests(p, 0, 90, 10) },
			signal: experiments.Traffic, change: func(g *GoldenSignals) { g.Requests = `http_reqests_total` },
			want: math.NaN(), condition: experiments.NoData, why: "requests matched no series",
		},
		"errors are a share, by matchers that are added": {
			world:  func(p *Prometheus) { requests(p, 0, 90, 10) },
			signal: experiments.Errors, change: func(g *GoldenSignals) { g.Errors = `code=~"5.."` }, want: 0.1,
		},
		"matchers may stand in braces": {
			world:  func(p *Prometheus) { requests(p, 0, 90, 10) },
			signal: experiments.Errors, change: func(g *GoldenSignals) { g.Errors = `{code=~"5..", job="shop"}` }, want: 0.1,
		},
		"errors by a counter of their own": {
			world: func(p *Prometheus) {
				requests(p, 0, 90, 10)
				p.ago(t, 0, `failures_total`, rising(seconds, 25)...)
			},
			signal: experiments.Errors, change: func(g *GoldenSignals) { g.Errors = `failures_total` }, want: 0.25,
		},
		"errors without requests are no traffic, and not 0": {
			world:  func(p *Prometheus) { requests(p, 0, 0, 0) },
			signal: experiments.Errors, change: func(g *GoldenSignals) { g.Errors = `code=~"5.."` },
			want: math.NaN(), condition: experiments.NoTraffic, why: "no event in the last 5s",
		},
		"errors by a label that does not exist are no data": {
			world:  func(p *Prometheus) { requests(p, 0, 90, 10) },
			signal: experiments.Errors, change: func(g *GoldenSignals) { g.Errors = `status=~"5.."` },
			want: math.NaN(), condition: experiments.NoData, why: `errors matches by the label "status"`,
		},
		"errors by a counter that does not exist are no data": {
			world:  func(p *Prometheus) { requests(p, 0, 90, 10) },
			signal: experiments.Errors, change: func(g *GoldenSignals) { g.Errors = `failures_total` },
			want: math.NaN(), condition: experiments.NoData, why: "export it as 0 from its start",
		},
		"latency is a percentile of all series together": {
			world: func(p *Prometheus) {
				classic(p, 0, map[string]float64{"0.1": 80, "0.5": 100, "+Inf": 100})
			},
			signal: experiments.Latency, want: 0.4,
		},
		"latency without requests is no traffic, and not NaN": {
			world:  func(p *Prometheus) { classic(p, 0, map[string]float64{"0.1": 0, "0.5": 0, "+Inf": 0}) },
			signal: experiments.Latency, want: math.NaN(), condition: experiments.NoTraffic, why: "no request in the last 5s",
		},
		"latency beyond the highest bucket is at least its bound": {
			world:  func(p *Prometheus) { classic(p, 0, map[string]float64{"0.5": 10, "1": 20, "+Inf": 100}) },
			signal: experiments.Latency, change: func(g *GoldenSignals) { g.LatencyAtMost = &within },
			want: 1, why: "beyond the highest bucket",
		},
		"latency beyond the highest bucket, below the target, is not measurable": {
			world:  func(p *Prometheus) { classic(p, 0, map[string]float64{"0.1": 10, "0.25": 20, "+Inf": 100}) },
			signal: experiments.Latency, change: func(g *GoldenSignals) { g.LatencyAtMost = &within },
			want: math.NaN(), condition: experiments.Broken, why: "p95 is beyond the highest bucket of duration (0.25s), and so is the target",
		},
		"latency of a histogram that went silent is stale": {
			world:  func(p *Prometheus) { classic(p, 7*time.Second, map[string]float64{"0.1": 80, "+Inf": 100}) },
			signal: experiments.Latency, want: math.NaN(), condition: experiments.Stale, why: "duration",
		},
		"latency of a histogram without +Inf is refused": {
			world:  func(p *Prometheus) { classic(p, 0, map[string]float64{"0.1": 80, "0.5": 100}) },
			signal: experiments.Latency, want: math.NaN(), condition: experiments.Refused, why: "no bucket +Inf",
		},
		"latency of a native histogram that is classic says so": {
			world:  func(p *Prometheus) { classic(p, 0, map[string]float64{"0.1": 80, "+Inf": 100}) },
			signal: experiments.Latency, change: func(g *GoldenSignals) { g.Native = true },
			want: math.NaN(), condition: experiments.NoData, why: "leave native = true out",
		},
		"latency of a classic histogram that is native says so": {
			world:  func(p *Prometheus) { native(t, p, seconds) },
			signal: experiments.Latency, want: math.NaN(), condition: experiments.NoData, why: "write native = true",
		},
		"latency of a native histogram": {
			world:  func(p *Prometheus) { native(t, p, seconds) },
			signal: experiments.Latency, change: func(g *GoldenSignals) { g.Native = true }, want: math.Exp2(0.95 - 1),
		},
		"saturation is a ratio": {
			world:  func(p *Prometheus) { p.ago(t, 0, "in_use", 3); p.ago(t, 0, "size", 4) },
			signal: experiments.Saturation, change: func(g *GoldenSignals) { g.Saturation = `in_use / size` }, want: 0.75,
		},
		"saturation in percent is a ratio too": {
			world:  func(p *Prometheus) { p.ago(t, 0, "cpu_percent", 42) },
			signal: experiments.Saturation, change: func(g *GoldenSignals) { g.Saturation, g.SaturationIn = `cpu_percent`, "percent" }, want: 0.42,
		},
		"a percent taken for a ratio is not measurable": {
			world:  func(p *Prometheus) { p.ago(t, 0, "cpu_percent", 42) },
			signal: experiments.Saturation, change: func(g *GoldenSignals) { g.Saturation = `cpu_percent` },
			want: math.NaN(), condition: experiments.Broken, why: `saturation_in = "percent"`,
		},
		"a percent above 100 is not measurable": {
			world:  func(p *Prometheus) { p.ago(t, 0, "cpu_percent", 142) },
			signal: experiments.Saturation, change: func(g *GoldenSignals) { g.Saturation, g.SaturationIn = `cpu_percent`, "percent" },
			want: math.NaN(), condition: experiments.Broken, why: "from 0 to 100",
		},
		"a negative saturation is not measurable": {
			world:  func(p *Prometheus) { p.ago(t, 0, "in_use", -1) },
			signal: experiments.Saturation, change: func(g *GoldenSignals) { g.Saturation = `in_use` },
			want: math.NaN(), condition: experiments.Broken, why: "less than empty",
		},
		"saturation of several pools is more than one series": {
			world:  func(p *Prometheus) { p.ago(t, 0, `use{pool="a"}`, 0.1); p.ago(t, 0, `use{pool="b"}`, 0.9) },
			signal: experiments.Saturation, change: func(g *GoldenSignals) { g.Saturation = `use` },
			want: math.NaN(), condition: experiments.ManySeries, why: "2 series",
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := start(t)
			test.world(p)
			got := measure(t, defaults(func(g *GoldenSignals) {
				g.Prometheus, g.Duration = p, `d_seconds{job="shop"}`
				if test.change != nil {
					test.change(g)
				}
			}), test.signal)
			if got.Condition != test.condition || !strings.Contains(got.Why, test.why) {
				t.Errorf("condition %q (%s), want %q (... %s ...)", got.Condition, got.Why, test.condition, test.why)
			}
			if math.IsNaN(got.Value) != math.IsNaN(test.want) || math.Abs(got.Value-test.want) > 0.02*test.want {
				t.Errorf("value %v, want %v", got.Value, test.want)
			}
			if got.Took <= 0 || got.At.IsZero() {
				t.Errorf("a sample without its time: %+v", got)
			}
		})
	}
}

// native puts a native histogram into the store: 100 requests a second, spread
// evenly over the one bucket from 0.5 to 1 s.
func native(t *testing.T, p *Prometheus, seconds int) {
	t.Helper()
	var batch []Sample
	for i := range seconds {
		n := uint64(100 * i)
		batch = append(batch, Sample{
			Labels: labels.FromStrings("__name__", "d_seconds", "job", "shop"),
			At:     now.Add(-time.Duration(seconds-1-i) * time.Second).UnixMilli(),
			Histogram: &histogram.Histogram{Count: n, Sum: 75 * float64(i), PositiveSpans: []histogram.Span{{Offset: 0, Length: 1}},
				PositiveBuckets: []int64{int64(n)}},
		})
	}
	if err := p.store.Append(batch); err != nil {
		t.Fatal(err)
	}
}

func TestGoldenSignalsAreNamedByTheirTargets(t *testing.T) {
	latency, least, errors, full := 250*time.Millisecond, 10_000.0, experiments.Percent(0.001), experiments.Percent(0.7)
	g := defaults(func(g *GoldenSignals) {
		g.Errors, g.Duration, g.Saturation = `code=~"5.."`, "d_seconds", "use"
		g.Percentile, g.LatencyAtMost, g.TrafficAtLeast, g.ErrorsAtMost, g.SaturationAtMost = 0.999, &latency, &least, &errors, &full
	})
	var got []string
	for _, s := range g.Signals() {
		for _, target := range s.Targets {
			got = append(got, string(s.Name)+": "+target.Text)
		}
		if wants := map[bool]time.Duration{true: 0, false: 5 * time.Second}[s.Name == experiments.Saturation]; s.Probed.Window != wants {
			t.Errorf("%s speaks of %s, want %s", s.Name, s.Probed.Window, wants)
		}
	}
	want := []string{
		"latency: p99.9 latency at most 250ms", "traffic: traffic keeps 50% of the baseline", "traffic: traffic at least 10000 requests/s",
		"errors: errors at most 0.1%", "saturation: saturation at most 70%",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
	server := defaults(func(g *GoldenSignals) { g.Prometheus = &Prometheus{URL: "http://127.0.0.1:9090"} })
	if got := server.Signals()[0].Probed.Window; got != time.Minute {
		t.Errorf("with a server that scrapes each 15 s the window is %s, want 1m", got)
	}
	none := experiments.Percent(0)
	if s := defaults(func(g *GoldenSignals) { g.TrafficKeeps = &none }).Signals(); len(s) != 1 || len(s[0].Targets) != 0 {
		t.Errorf("0%% leaves targets: %+v", s)
	}
}

func TestWhatIsWrongWithGoldenSignalsIsSaid(t *testing.T) {
	short, zero, noneAbove, all, half := time.Second, time.Duration(0), 0.0, experiments.Percent(1), experiments.Percent(0.5)
	for name, test := range map[string]struct {
		change    func(*GoldenSignals)
		attribute string
		words     string
	}{
		"requests that are an expression":   {func(g *GoldenSignals) { g.Requests = `sum(rate(x[1m]))` }, "requests", "an expression and not a metric"},
		"requests with a range":             {func(g *GoldenSignals) { g.Requests = `x[1m]` }, "requests", "A range is not needed"},
		"requests with a window":            {func(g *GoldenSignals) { g.Requests = `rate(x[$window])` }, "requests", "no $window"},
		"requests of another time":          {func(g *GoldenSignals) { g.Requests = `x offset 1d` }, "requests", "another time"},
		"requests that do not parse":        {func(g *GoldenSignals) { g.Requests = `x{job=shop}` }, "requests", "cannot be read at character"},
		"requests that are buckets":         {func(g *GoldenSignals) { g.Requests = `d_seconds_bucket` }, "requests", "once a bucket"},
		"errors that are all requests":      {func(g *GoldenSignals) { g.Errors = g.Requests }, "errors", "every request would have failed"},
		"errors that are no matchers":       {func(g *GoldenSignals) { g.Errors = `code = 500` }, "errors", "cannot be told"},
		"errors that are nothing":           {func(g *GoldenSignals) { g.Errors = ` {} ` }, "errors", "cannot be told"},
		"a duration that is buckets":        {func(g *GoldenSignals) { g.Duration = `d_seconds_bucket{job="x"}` }, "duration", "write d_seconds."},
		"a duration without a name":         {func(g *GoldenSignals) { g.Duration = `{job="x"}` }, "duration", "before its matchers"},
		"a duration that is an expression":  {func(g *GoldenSignals) { g.Duration = `rate(d_seconds[1m])` }, "duration", "not a metric"},
		"a saturation that does not parse":  {func(g *GoldenSignals) { g.Saturation = `max(` }, "saturation", "cannot be read"},
		"a window below four scrapes":       {func(g *GoldenSignals) { g.Window = &short }, "window", "at least 4s"},
		"a percentile of 100%":              {func(g *GoldenSignals) { g.Percentile = 1 }, "latency_percentile", "below 100%"},
		"a latency target of nothing":       {func(g *GoldenSignals) { g.Duration, g.LatencyAtMost = "d", &zero }, "latency_at_most", "no time"},
		"a latency target without duration": {func(g *GoldenSignals) { within := time.Second; g.LatencyAtMost = &within }, "latency_at_most", "write duration as well"},
		"a traffic target of nothing":       {func(g *GoldenSignals) { g.TrafficAtLeast = &noneAbove }, "traffic_at_least", "never below 0"},
		"all of the baseline's traffic":     {func(g *GoldenSignals) { g.TrafficKeeps = &all }, "traffic_keeps", "lower share"},
		"an error target of all":            {func(g *GoldenSignals) { g.Errors, g.ErrorsAtMost = `code="5"`, &all }, "errors_at_most", "0.1%"},
		"an error target without errors":    {func(g *GoldenSignals) { g.ErrorsAtMost = &half }, "errors_at_most", "write errors as well"},
		"a saturation target without one":   {func(g *GoldenSignals) { g.SaturationAtMost = &half }, "saturation_at_most", "write saturation as well"},
		"a saturation target of all":        {func(g *GoldenSignals) { g.Saturation, g.SaturationAtMost = "use", &all }, "saturation_at_most", "between them"},
		"native without a histogram":        {func(g *GoldenSignals) { g.Native = true }, "native", "duration as well"},
		"a window beyond what is built in":  {func(g *GoldenSignals) { day := experiments.Day; g.Window = &day }, "window", "use a server"},
	} {
		t.Run(name, func(t *testing.T) {
			problems := defaults(test.change).Validate()
			if len(problems) != 1 || problems[0].Attribute != test.attribute || !strings.Contains(problems[0].Detail, test.words) {
				t.Errorf("%+v, want one about %s: ... %s ...", problems, test.attribute, test.words)
			}
		})
	}
	if problems := defaults(func(*GoldenSignals) {}).Validate(); len(problems) > 0 {
		t.Errorf("the least that can be written: %+v", problems)
	}
}
