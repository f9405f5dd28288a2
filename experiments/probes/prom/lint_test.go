package prom

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gameday-sh/gameday/experiments"
)

// lintHistory is two hours of a shop, read each 15 s.
func lintHistory() map[string][]float64 {
	const reads = 2 * 3600 / 15
	counter := func(perSecond float64) []float64 { return rising(reads, perSecond*15) }
	level := func(values ...float64) []float64 {
		var list []float64
		for i := range reads {
			list = append(list, values[i/20%len(values)])
		}
		return list
	}
	waves := counter(10)
	for i := range waves {
		waves[i] += float64(i / 20 % 2 * 200) // busier and less busy by turns
		if i > 0 {
			waves[i] = max(waves[i], waves[i-1])
		}
	}
	return map[string][]float64{
		`http_requests_total{job="api",code="200"}`:            waves,
		`http_requests_total{job="api",code="500"}`:            counter(0.005),
		`http_requests_total{job="batch",code="500"}`:          counter(0.001),
		`seldom_total{job="api",code="200"}`:                   counter(0.0001),
		`seldom_total{job="api",code="500"}`:                   counter(0),
		`classes_total{job="api",code="2xx"}`:                  counter(10),
		`idle_total{job="api",code="200"}`:                     counter(0),
		`http_errors_total{job="api"}`:                         counter(0.005),
		`http_ok_total{job="api"}`:                             counter(9),
		`request_duration_seconds_bucket{job="api",le="0.5"}`:  counter(9.9),
		`request_duration_seconds_bucket{job="api",le="500"}`:  counter(10),
		`request_duration_seconds_bucket{job="api",le="0.01"}`: counter(1),
		`request_duration_seconds_bucket{job="api",le="+Inf"}`: counter(10),
		`request_duration_seconds_count{job="api"}`:            counter(10),
		`request_duration_seconds_sum{job="api"}`:              counter(1),
		`queue_length{job="api"}`:                              level(3, 5, 4),
		`queue_limit{job="api"}`:                               level(100),
		`pool_in_use{job="api"}`:                               level(30, 40, 60),
		`pool_size{job="api"}`:                                 level(100),
		`disk_used_percent{job="api"}`:                         level(30, 40, 60),
	}
}

// A lintCase is an SLO in which a check finds something, and one that is close to it and
// right.
type lintCase struct {
	check     string
	wrong     *experiments.SLO
	attribute string
	says      string // in what is wrong or what to write
	right     *experiments.SLO
}

func lintCases(p *Prometheus) []lintCase {
	const bad, total = `sum(rate(http_requests_total{job="api",code=~"5.."}[$window]))`, `sum(rate(http_requests_total{job="api"}[$window]))`
	slo := func(objective experiments.Percent, sli experiments.SLI) *experiments.SLO {
		return &experiments.SLO{Name: "api", Objective: objective, Window: 30 * experiments.Day, SLI: sli}
	}
	events := func(bad, good, total string) *experiments.SLO {
		return slo(0.99, &Events{Prometheus: p, Bad: bad, Good: good, Total: total})
	}
	number := func(query string, most float64) *experiments.SLO {
		return slo(0.99, &TimeSlice{Prometheus: p, Slice: time.Minute, Query: query, AtMost: &most})
	}
	eager := 5 * time.Second
	said := &Prometheus{URL: p.URL, ScrapeInterval: &eager, open: p.open, stop: func() {}}
	good := events(bad, "", total)
	short := events(bad, "", total)
	short.Window = 7 * experiments.Day
	return []lintCase{
		{"impossible-factor", slo(0.9, good.SLI), "objective", "is 10 when every event fails", slo(0.95, good.SLI)},
		{"impossible-factor", slo(0.9, good.SLI), "objective", "above 93.06%", func() *experiments.SLO { s := *short; s.Objective = 0.9; return &s }()},
		{"tiny-budget", slo(0.999, &Events{Prometheus: p, Bad: `sum(rate(seldom_total{job="api",code="500"}[$window]))`, Total: `sum(rate(seldom_total{job="api"}[$window]))`}), "objective", "at most 96.1%", slo(0.95, &Events{Prometheus: p, Bad: `sum(rate(seldom_total{job="api",code="500"}[$window]))`, Total: `sum(rate(seldom_total{job="api"}[$window]))`})},
		{"missing-label", events(`sum(rate(http_requests_total{job="api",status=~"5.."}[$window]))`, "", total), "bad", "there is: code, job", good},
		{"missing-label", events("", `sum(rate(http_requests_total{job="api",status!~"5.."}[$window]))`, total), "good", "matches everything", events("", `sum(rate(http_requests_total{job="api",code!~"5.."}[$window]))`, total)},
		{"no-data", events(`sum(rate(htp_requests_total{code=~"5.."}[$window]))`, "", `sum(rate(htp_requests_total[$window]))`), "", "no series", good},
		{"no-data", events(`sum(rate(htp_errors_total[$window]))`, "", total), "", "does not exist", events(`sum(rate(http_errors_total{job="api"}[$window]))`, "", total)},
		{"no-data", events(`sum(rate(idle_total{job="api",code="500"}[$window]))`, "", `sum(rate(idle_total{job="api"}[$window]))`), "", "no traffic", good},
		{"scrape-interval", slo(0.99, &Events{Prometheus: said, Bad: bad, Total: total}), "", `scrape_interval = "15s"`, good},
		{"scrape-interval", slo(0.99, &TimeSlice{Prometheus: said, Slice: 20 * time.Second, Query: `max(queue_length{job="api"})`, AtMost: pointerTo(10.0)}), "slice", `slice = "1m"`, number(`max(queue_length{job="api"})`, 10)},
		{"mostly-bad", events(`sum(rate(http_requests_total{job="api",code="200"}[$window]))`, "", total), "", "99.95% of its events were bad", good},
		{"mostly-bad", slo(0.99, &Throughput{Prometheus: p, Slice: time.Minute, Query: `sum(rate(http_requests_total{job="api"}[$slice]))`, AtLeast: 100}), "at_least", "lower floor", slo(0.99, &Throughput{Prometheus: p, Slice: time.Minute, Query: `sum(rate(http_requests_total{job="api"}[$slice]))`, AtLeast: 5})},
		{"mostly-bad", slo(0.99, &Latency{Prometheus: p, Histogram: `request_duration_seconds{job="api"}`, Within: 10 * time.Millisecond}), "within", "longer bound", slo(0.98, &Latency{Prometheus: p, Histogram: `request_duration_seconds{job="api"}`, Within: 500 * time.Millisecond})},
		{"not-a-part", events(`sum(rate(http_requests_total{code=~"5.."}[$window]))`, "", total), "bad", `Add job="api" to bad`, good},
		{"not-a-part", events(`sum(rate(http_requests_total{job=~".+",code=~"5.."}[$window]))`, "", total), "bad", `batch`, events(`sum(rate(http_requests_total{job=~"ap.",code=~"5.."}[$window]))`, "", total)},
		{"not-a-part", events(`sum(rate(http_requests_total{job="apii",code=~"5.."}[$window]))`, "", total), "bad", "no event is in both", events(`sum(rate(http_requests_total{job=~"api|batch",code=~"5.."}[$window]))`, "", `sum(rate(http_requests_total{job=~"api|batch"}[$window]))`)},
		{"status-class", events(`sum(rate(http_requests_total{job="api",code=~"4xx|5xx"}[$window]))`, "", total), "bad", `code=~"4..|5.."`, good},
		{"status-class", events(`sum(rate(http_requests_total{job="api",code="5xx"}[$window]))`, "", total), "bad", `code=~"5.."`, events(`sum(rate(classes_total{job="api",code="5xx"}[$window]))`, "", `sum(rate(classes_total{job="api"}[$window]))`)},
		{"different-metrics", events("", `sum(rate(http_ok_total{job="api"}[$window]))`, total), "good", "http_ok_total", events("", `sum(rate(request_duration_seconds_bucket{job="api",le="0.5"}[$window]))`, `sum(rate(request_duration_seconds_count{job="api"}[$window]))`)},
		{"quantile-without-le", number(`histogram_quantile(0.9, sum(rate(request_duration_seconds_bucket{job="api"}[$slice])))`, 2), "query", "sum by (le)", number(`histogram_quantile(0.9, sum by (le) (rate(request_duration_seconds_bucket{job="api"}[$slice])))`, 2)},
		{"quantile-without-le", number(`histogram_quantile(0.9, sum without (le, job) (rate(request_duration_seconds_bucket{job="api"}[$slice])))`, 2), "query", "drops the label le", number(`histogram_quantile(0.9, sum without (job) (rate(request_duration_seconds_bucket{job="api"}[$slice])))`, 2)},
		{"quantile-without-le", number(`histogram_quantile(0.9, sum by (job) (rate(request_duration_seconds_bucket{job="api"}[$slice])))`, 2), "query", "drops the label le", number(`histogram_quantile(0.9, sum(rate(request_duration_seconds{job="api"}[$slice])))`, 2)},
		{"percent-or-ratio", events("100 * "+bad, "", total), "bad", "Take the 100 out", events("2 * "+bad, "", total)},
		{"percent-or-ratio", number(`100 * max(pool_in_use{job="api"}) / max(pool_size{job="api"})`, 0.7), "query", "at_most = 70", number(`100 * max(pool_in_use{job="api"}) / max(pool_size{job="api"})`, 70)},
		{"percent-or-ratio", number(`max(pool_in_use{job="api"}) / max(pool_size{job="api"})`, 70), "at_most", "at_most = 0.7", number(`max(pool_in_use{job="api"}) / max(pool_size{job="api"})`, 0.7)},
		{"percent-or-ratio", number(`max(disk_used_percent{job="api"})`, 0.7), "at_most", "at_most = 70", number(`max(disk_used_percent{job="api"})`, 70)},
		{"percent-or-ratio", number(`max(cache_hit_ratio)`, 70), "at_most", "at_most = 0.7", number(`100 * max(cache_hit_ratio)`, 70)},
		{"seconds-or-milliseconds", events("", `sum(rate(request_duration_seconds_bucket{job="api",le="500"}[$window]))`, `sum(rate(request_duration_seconds_count{job="api"}[$window]))`), "good", "le is 500", events("", `sum(rate(request_duration_seconds_bucket{job="api",le="0.5"}[$window]))`, `sum(rate(request_duration_seconds_count{job="api"}[$window]))`)},
		{"seconds-or-milliseconds", number(`histogram_quantile(0.9, sum by (le) (rate(request_duration_seconds_bucket{job="api"}[$slice])))`, 500), "at_most", "Write 0.5", number(`1000 * histogram_quantile(0.9, sum by (le) (rate(request_duration_seconds_bucket{job="api"}[$slice])))`, 500)},
		{"seconds-or-milliseconds", number(`max(rate(request_duration_seconds_sum{job="api"}[$slice]) / rate(request_duration_seconds_count{job="api"}[$slice]) > bool 250)`, 2), "query", "Write 0.25", number(`sum(rate(request_duration_seconds_count{job="api"}[$slice]) > bool 250)`, 2)},
		{"seconds-or-milliseconds", slo(0.99, &Latency{Prometheus: p, Histogram: `request_duration_seconds{job="api"}`, Within: 500 * time.Second}), "within", `within = "500ms"`, slo(0.99, &Latency{Prometheus: p, Histogram: `request_duration_seconds{job="api"}`, Within: 500 * time.Millisecond})},
		{"seconds-or-milliseconds", slo(0.99, &Latency{Prometheus: p, Histogram: `request_duration_seconds{job="api"}`, Within: 500 * time.Millisecond, Unit: "milliseconds"}), "unit", "in seconds by its name", slo(0.99, &Latency{Prometheus: p, Histogram: `backup_age_seconds`, Within: 500 * time.Second})},
		{"seconds-or-milliseconds", slo(0.99, &Latency{Prometheus: p, Histogram: `request_duration_ms`, Within: 500 * time.Millisecond}), "histogram", "milliseconds by its name", slo(0.99, &Latency{Prometheus: p, Histogram: `request_duration_ms`, Within: 500 * time.Millisecond, Unit: "milliseconds"})},
		{"constant-for-absent", events(bad, "", total+" or vector(1)"), "total", "reads 1 where", events(bad+" or vector(0)", "", total)},
		{"constant-for-absent", number(`max(queue_length{job="api"}) or vector(5)`, 10), "query", "reads 5 where", number(`max(queue_length{job="api"}) or vector(0)`, 10)},
		{"averaged-ratio", number(`avg(pool_in_use / pool_size)`, 0.7), "query", "sum(...) / sum(...)", number(`sum(pool_in_use) / sum(pool_size)`, 0.7)},
		{"averaged-ratio", number(`avg_over_time((pool_in_use / pool_size)[$slice:15s])`, 0.7), "query", "[$slice:15s]", number(`max_over_time((pool_in_use / pool_size)[$slice:15s])`, 0.7)},
		{"averaged-ratio", number(`avg(cache_hit_ratio)`, 0.7), "query", "average of ratios", number(`avg(queue_length)`, 7)},
		{"irate", slo(0.99, &Throughput{Prometheus: p, Slice: time.Minute, Query: `sum(irate(http_requests_total{job="api"}[$slice]))`, AtLeast: 5}), "query", "irate(http_requests_total{job=\"api\"}[$slice])", slo(0.99, &Throughput{Prometheus: p, Slice: time.Minute, Query: `sum(rate(http_requests_total{job="api"}[$slice]))`, AtLeast: 5})},
		{"counter-without-rate", slo(0.99, &Throughput{Prometheus: p, Slice: time.Minute, Query: `sum(http_requests_total{job="api"})`, AtLeast: 5}), "query", "rate(http_requests_total[$slice])", slo(0.99, &Throughput{Prometheus: p, Slice: time.Minute, Query: `sum(increase(http_requests_total{job="api"}[$slice]))`, AtLeast: 5})},
		{"counter-without-rate", number(`max(http_requests_total)`, 5), "query", "as it is", number(`count(http_requests_total)`, 5)},
		{"constant-query", number(`max(queue_limit{job="api"})`, 1000), "query", "gave 100 in each of", number(`max(queue_length{job="api"})`, 10)},
	}
}

func lintOptions() LintOptions { return LintOptions{Over: time.Hour, Now: now} }

func TestEachCheckFindsItsMistakeAndNoOther(t *testing.T) {
	t.Parallel()
	p := dial(t, &Prometheus{URL: history(t, now, 15*time.Second, lintHistory())})
	eventually(t, "the server has its blocks", func() bool {
		answer, err := p.Query(t.Context(), `count(http_requests_total)`, now)
		return err == nil && len(answer.Points) == 1
	})
	tried := map[string]bool{}
	for _, test := range lintCases(p) {
		tried[test.check] = true
		t.Run(test.check, func(t *testing.T) {
			findings, _ := Lint(t.Context(), []*experiments.SLO{test.wrong}, lintOptions())
			i := slices.IndexFunc(findings, func(f LintFinding) bool { return f.Check == test.check })
			if i < 0 {
				t.Fatalf("nothing was found in %+v; but %+v", test.wrong.SLI, findings)
			}
			f := findings[i]
			t.Logf("%s\n  %s\n  %s", f.Wrong, f.Why, f.Write)
			if f.Attribute != test.attribute || !strings.Contains(f.Wrong+f.Write, test.says) || f.SLO != "api" {
				t.Errorf("of %q it says %q, %q; want of %q: %q", f.Attribute, f.Wrong, f.Write, test.attribute, test.says)
			}
			for _, sentence := range []string{f.Wrong, f.Why, f.Write} {
				if !strings.HasSuffix(sentence, ".") {
					t.Errorf("no sentence: %q", sentence)
				}
			}
			findings, gaps := Lint(t.Context(), []*experiments.SLO{test.right}, lintOptions())
			if i := slices.IndexFunc(findings, func(f LintFinding) bool { return f.Check == test.check }); i >= 0 {
				t.Errorf("it finds fault with %+v: %s", test.right.SLI, findings[i].Wrong)
			}
			for _, gap := range gaps {
				if slices.Contains(gap.Checks, test.check) && test.check != "no-data" {
					t.Errorf("it could not be silent, as it was not made: %s", gap.Why)
				}
			}
		})
	}
	for _, check := range LintChecks() {
		if !tried[check.Name] {
			t.Errorf("the check %s has no test", check.Name)
		}
	}
}

// An SLO in which nothing is wrong is told so by every check.
func TestNothingIsFoundInARightSLO(t *testing.T) {
	p := dial(t, &Prometheus{URL: history(t, now, 15*time.Second, lintHistory())})
	eventually(t, "the server has its blocks", func() bool {
		answer, err := p.Query(t.Context(), `count(http_requests_total)`, now)
		return err == nil && len(answer.Points) == 1
	})
	for name, sli := range map[string]experiments.SLI{
		"bad":        &Events{Prometheus: p, Bad: `sum(rate(http_requests_total{job="api",code=~"5.."}[$window]))`, Total: `sum(rate(http_requests_total{job="api"}[$window]))`},
		"good":       &Events{Prometheus: p, Good: `sum(increase(http_requests_total{job="api",code!~"5.."}[$window]))`, Total: `sum(rate(http_requests_total{job="api"}[$window]))`},
		"latency":    &Latency{Prometheus: p, Histogram: `request_duration_seconds{job="api"}`, Within: 500 * time.Millisecond},
		"slices":     &TimeSlice{Prometheus: p, Slice: time.Minute, Bad: `sum(rate(http_requests_total{job="api",code=~"5.."}[$slice]))`, Total: `sum(rate(http_requests_total{job="api"}[$slice]))`, SliceObjective: pointerTo(experiments.Percent(0.95))},
		"number":     &TimeSlice{Prometheus: p, Slice: time.Minute, Query: `max(queue_length{job="api"})`, AtMost: pointerTo(10.0)},
		"throughput": &Throughput{Prometheus: p, Slice: time.Minute, Query: `sum(rate(http_requests_total{job="api"}[$slice]))`, AtLeast: 5},
	} {
		t.Run(name, func(t *testing.T) {
			findings, gaps := Lint(t.Context(), []*experiments.SLO{{Name: "api", Objective: 0.98, Window: 30 * experiments.Day, SLI: sli}}, lintOptions())
			if len(findings) > 0 || len(gaps) > 0 {
				t.Errorf("found %+v\nnot checked %+v", findings, gaps)
			}
		})
	}
}

func TestWhatCouldNotBeCheckedIsSaid(t *testing.T) {
	asks := 0
	for _, check := range LintChecks() {
		if check.Asks() {
			asks++
		}
	}
	gone := dial(t, &Prometheus{URL: "http://127.0.0.1:1", Timeout: time.Second})
	closed := &Prometheus{}
	for name, test := range map[string]struct {
		where       *Prometheus
		offline     bool
		why         string
		unreachable bool
	}{
		"offline":               {gone, true, "--offline", false},
		"a server that is away": {gone, false, "cannot be reached", true},
		"the built-in one":      {closed, false, "while a scenario runs", false},
	} {
		t.Run(name, func(t *testing.T) {
			sli := &Events{Prometheus: test.where, Bad: `sum(rate(http_requests_total{job="api",code=~"5.."}[$window]))`, Total: `sum(rate(http_requests_total{job="api"}[$window]))`}
			options := lintOptions()
			options.Offline = test.offline
			findings, gaps := Lint(t.Context(), []*experiments.SLO{{Name: "api", Objective: 0.98, Window: 30 * experiments.Day, SLI: sli}}, options)
			if len(findings) > 0 {
				t.Errorf("found %+v", findings)
			}
			checks := 0
			for _, gap := range gaps {
				checks += len(gap.Checks)
				if !strings.Contains(gap.Why, test.why) || gap.Unreachable != test.unreachable || gap.SLO != "api" {
					t.Errorf("%+v, want %q", gap, test.why)
				}
			}
			// constant-query and percent-or-ratio ask of slices only.
			if checks < asks-3 || checks > asks {
				t.Errorf("%d checks were not made, of %d that ask", checks, asks)
			}
		})
	}
}

func TestWhatOnlyARunMeasuresIsNotCheckedAndSaidSo(t *testing.T) {
	findings, gaps := Lint(t.Context(), []*experiments.SLO{{Name: "journey", Objective: 0.98, Window: 30 * experiments.Day, Probe: &experiments.Probed{Name: "buy"}}}, lintOptions())
	if len(findings) > 0 || len(gaps) != 1 || gaps[0].Unreachable || !strings.Contains(gaps[0].Why, "kept by runs only") || !slices.Contains(gaps[0].Checks, "no-data") {
		t.Errorf("found %+v, not checked %+v", findings, gaps)
	}
}

// A server that says nothing is not waited for again and again.
func TestASilentServerIsNotAskedForLong(t *testing.T) {
	var asked atomic.Int64
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		<-r.Context().Done()
	})
	p := dial(t, &Prometheus{URL: server, Timeout: 50 * time.Millisecond})
	var slos []*experiments.SLO
	for i := range 50 {
		sli := &Events{Prometheus: p, Bad: `sum(rate(http_requests_total{job="api",code=~"5.."}[$window]))`, Total: `sum(rate(http_requests_total{job="api"}[$window]))`}
		slos = append(slos, &experiments.SLO{Name: fmt.Sprint("s", i), Objective: 0.98, Window: 30 * experiments.Day, SLI: sli})
	}
	findings, gaps := Lint(t.Context(), slos, lintOptions())
	if asked.Load() > 3 || len(findings) > 0 {
		t.Errorf("asked %d times, found %+v", asked.Load(), findings)
	}
	said := map[string]bool{}
	for _, gap := range gaps {
		said[gap.SLO] = said[gap.SLO] || gap.Unreachable && strings.Contains(gap.Why, "did not answer in time")
	}
	for _, slo := range slos {
		if !said[slo.Name] {
			t.Errorf("%s: that it was not checked is not said", slo.Name)
		}
	}
}

// The traffic of a service that is an hour old is that of an hour, and not of a day.
func TestTheBudgetOfANewServiceIsNotTiny(t *testing.T) {
	p := dial(t, &Prometheus{URL: history(t, now, 15*time.Second, lintHistory())})
	eventually(t, "the server has its blocks", func() bool {
		answer, err := p.Query(t.Context(), `count(http_requests_total)`, now)
		return err == nil && len(answer.Points) == 1
	})
	// 2 h of data; 0.0001 a second is 259 in 30 days, and 22 if the last day were full.
	sli := &Events{Prometheus: p, Bad: `sum(rate(seldom_total{job="api",code="500"}[$window]))`, Total: `sum(rate(seldom_total{job="api"}[$window]))`}
	slo := &experiments.SLO{Name: "api", Objective: 0.99, Window: 30 * experiments.Day, SLI: sli}
	options := lintOptions()
	options.Over = experiments.Day
	findings, _ := Lint(t.Context(), []*experiments.SLO{slo}, options)
	for _, f := range findings {
		if f.Check == "tiny-budget" {
			t.Errorf("%s", f.Wrong)
		}
	}
}
