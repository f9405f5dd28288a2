package prom

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/gameday-sh/gameday/experiments"
)

// serve starts a target on the loopback.
func serve(t testing.TB, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// A server that has not read the body does not see the client go.
		if err := r.ParseForm(); err != nil {
			t.Errorf("form: %v", err)
		}
		handler(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// eventually asks until the condition holds; a minute is far more than it takes.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	limit := time.After(time.Minute)
	for !holds() {
		select {
		case <-limit:
			t.Fatalf("never: %s", what)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// comesRight asks until nothing is wrong with what is answered: a busy machine scrapes
// late, and a rate over few seconds is off by as much. What is wrong for good stays wrong.
func comesRight(t *testing.T, wrong func(at time.Time) string) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(200 * time.Millisecond) {
		said := wrong(time.Now())
		if said == "" {
			return
		}
		if time.Now().After(end) {
			t.Error(said)
			return
		}
	}
}

// ask gives the series that a query answers now.
func ask(t *testing.T, p *Prometheus, query string) []Point {
	t.Helper()
	answer, err := p.Query(t.Context(), query, time.Now())
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return answer.Points
}

func is(t *testing.T, p *Prometheus, query string, want float64) bool {
	t.Helper()
	points := ask(t, p, query)
	return len(points) == 1 && points[0].Value == want
}

func TestScrapingATargetInEachFormat(t *testing.T) {
	registry := prometheus.NewRegistry()
	counter := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "requests_total"}, []string{"code", "job"})
	latency := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "latency_seconds", Buckets: []float64{0.1, 1}, NativeHistogramBucketFactor: 1.1})
	registry.MustRegister(counter, latency)
	counter.WithLabelValues("200", "own").Add(7)
	latency.Observe(0.05)
	latency.Observe(0.5)
	whole := promhttp.HandlerFor(registry, promhttp.HandlerOpts{EnableOpenMetrics: true})
	for name, accept := range map[string]string{
		"protobuf":    "",
		"OpenMetrics": "application/openmetrics-text;version=1.0.0",
		"text":        "text/plain",
	} {
		t.Run(name, func(t *testing.T) {
			address := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if accept != "" {
					r.Header.Set("Accept", accept)
				}
				whole.ServeHTTP(w, r)
			})
			p := start(t)
			s := &Scrape{Prometheus: p, URL: address + "/metrics", Every: 200 * time.Millisecond, Job: "shop", Labels: map[string]string{"zone": "a"}}
			if err := s.Open(t.Context()); err != nil {
				t.Fatal(err)
			}
			defer func() { _ = s.Close() }()
			instance := strings.TrimPrefix(address, "http://")
			eventually(t, "the target is up", func() bool { return is(t, p, "up", 1) })
			for query, want := range map[string]float64{
				fmt.Sprintf(`requests_total{code="200",job="shop",exported_job="own",zone="a",instance=%q}`, instance): 7,
				`up{job="shop",zone="a"}`:           1,
				`latency_seconds_bucket{le="0.1"}`:  1,
				`latency_seconds_bucket{le="+Inf"}`: 2,
				`latency_seconds_count`:             2,
				`scrape_samples_scraped > bool 4`:   1,
				`scrape_duration_seconds > bool 0`:  1,
			} {
				if !is(t, p, query, want) {
					t.Errorf("%s = %v, want %v", query, ask(t, p, query), want)
				}
			}
			native := ask(t, p, `histogram_count(latency_seconds)`)
			if wanted := name == "protobuf"; (len(native) == 1 && native[0].Value == 2) != wanted {
				t.Errorf("native histogram %v; only protobuf carries it", native)
			}
		})
	}
}

func TestSeriesEndWhenTheyVanishWhenTheTargetFailsAndAtClose(t *testing.T) {
	var mode atomic.Value
	mode.Store("a 1\nb 2\n")
	address := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		text := mode.Load().(string)
		if text == "" {
			http.Error(w, "no", http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		_, _ = fmt.Fprint(w, text)
	})
	p := start(t)
	s := &Scrape{Prometheus: p, URL: address, Every: 50 * time.Millisecond}
	if err := s.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	eventually(t, "both are there", func() bool { return is(t, p, "a", 1) && is(t, p, "b", 2) })
	mode.Store("a 1\n")
	eventually(t, "b ended", func() bool { return len(ask(t, p, "b")) == 0 })
	if !is(t, p, "a", 1) {
		t.Error("a ended with b")
	}
	mode.Store("")
	eventually(t, "up is 0", func() bool { return is(t, p, "up", 0) })
	if len(ask(t, p, "a")) != 0 {
		t.Error("a outlived its target")
	}
	eventually(t, "the trouble is told", func() bool { return strings.Contains(p.trouble(), "the target answered 500") })
	// Half an exposition is none.
	mode.Store("a 1\nc 1\n{{{ 3\n")
	eventually(t, "the trouble is told", func() bool { return strings.Contains(p.trouble(), "is not metrics") })
	if len(ask(t, p, "c")) != 0 || !is(t, p, "up", 0) {
		t.Error("half an exposition was kept")
	}
	mode.Store("a 5\n")
	eventually(t, "a is back", func() bool { return is(t, p, "a", 5) && p.trouble() == "" })
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if points := ask(t, p, `{job="gameday"}`); len(points) != 0 {
		t.Errorf("after Close %v", points)
	}
	if err := s.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it scrapes again", func() bool { return is(t, p, "a", 5) })
}

func TestWhatACounterCountedBeforeItAppearedIsNotLost(t *testing.T) {
	store := NewStore(100, time.Hour)
	target := newTarget(store, map[string]string{"job": "shop"})
	const kind = "text/plain; version=0.0.4"
	at := now
	for _, body := range []string{
		"# TYPE ok counter\nok 5\n",
		"# TYPE ok counter\nok 6\n# TYPE bad counter\nbad 37\n# TYPE room gauge\nroom 4\n",
		"# TYPE ok counter\nok 7\n# TYPE bad counter\nbad 37\n# TYPE room gauge\nroom 4\n",
	} {
		if err := target.take(at, time.Millisecond, []byte(body), kind, nil); err != nil {
			t.Fatal(err)
		}
		at = at.Add(time.Second)
	}
	all := read(t, store, 0, at.UnixMilli())
	for series, want := range map[string][]float64{
		`{__name__="ok", job="shop"}`:   {5, 6, 7},   // it may be older than the first scrape
		`{__name__="bad", job="shop"}`:  {0, 37, 37}, // it is not
		`{__name__="room", job="shop"}`: {4, 4},      // a gauge has no zero
	} {
		var got []float64
		for _, sample := range all[series] {
			got = append(got, sample.Float)
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: %v, want %v", series, got, want)
		}
	}
}

func TestTimesOfTheTargetAreKeptAndMayRepeat(t *testing.T) {
	store := NewStore(100, time.Hour)
	target := newTarget(store, nil)
	stamp := now.Add(-3 * time.Second).UnixMilli()
	for i := range 3 {
		body := fmt.Sprintf("m 4 %d\n", stamp)
		if err := target.take(now.Add(time.Duration(i)*time.Second), 0, []byte(body), "text/plain", nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := target.take(now.Add(4*time.Second), 0, []byte("\n"), "text/plain", nil); err != nil {
		t.Fatal(err)
	}
	got := read(t, store, 0, now.Add(time.Hour).UnixMilli())[`{__name__="m"}`]
	if len(got) != 1 || got[0].At != stamp {
		t.Errorf("got %v, want one sample, of the target's own time", got)
	}
}

func TestAFailingTargetIsWorded(t *testing.T) {
	t.Parallel()
	hang := make(chan struct{})
	for name, test := range map[string]struct {
		handler http.HandlerFunc
		want    string
	}{
		"a web page": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = fmt.Fprint(w, "<html>")
		}, "a web page, not with metrics"},
		"not found": {http.NotFound, "the target answered 404 Not Found"},
		"a hang": {func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-hang:
			case <-r.Context().Done():
			}
		}, "did not answer in time (timeout 100ms)"},
		"a reset": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "EOF"},
		"too much": {func(w http.ResponseWriter, _ *http.Request) {
			block := make([]byte, 1<<20)
			for range maxBody>>20 + 1 {
				if _, err := w.Write(block); err != nil {
					return
				}
			}
		}, "more than 32 MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			s := &Scrape{URL: strings.Replace(serve(t, test.handler), "http://", "http://user:geheim@", 1)}
			timeout := 100 * time.Millisecond
			if name == "too much" {
				timeout = time.Minute
			}
			transport := &http.Transport{}
			defer transport.CloseIdleConnections()
			_, _, err := s.fetch(t.Context(), &http.Client{Transport: transport}, timeout)
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "geheim") {
				t.Errorf("got %v, want ...%s...", err, test.want)
			}
		})
	}
	close(hang)
}

func TestNoDataNamesTheScrapeThatFails(t *testing.T) {
	p := start(t)
	s := &Scrape{Prometheus: p, URL: "http://127.0.0.1:1/metrics", Every: 10 * time.Millisecond}
	if err := s.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	eventually(t, "the trouble is told", func() bool { return p.trouble() != "" })
	got := (&Events{Prometheus: p, Bad: badQuery, Total: total}).Count(t.Context(), time.Now(), 10*time.Second)
	if got.Condition != experiments.NoData || !strings.Contains(got.Why, "scraping http://127.0.0.1:1/metrics fails:") || !strings.Contains(got.Why, "refused") {
		t.Errorf("%q (%s)", got.Condition, got.Why)
	}
}

func TestAServerScrapesByItself(t *testing.T) {
	asked := false
	address := serve(t, func(http.ResponseWriter, *http.Request) { asked = true })
	s := &Scrape{Prometheus: &Prometheus{URL: "http://127.0.0.1:9090"}, URL: address}
	if err := s.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if asked {
		t.Error("the target was read")
	}
	if want := "Prometheus at http://127.0.0.1:9090 scrapes by itself"; !strings.Contains(s.Note(), want) {
		t.Errorf("note %q, want ...%s...", s.Note(), want)
	}
}

func TestScrapesAreValidated(t *testing.T) {
	for name, test := range map[string]struct {
		scrape    *Scrape
		attribute string
	}{
		"an address not known yet":       {&Scrape{}, ""},
		"a good one":                     {&Scrape{URL: "http://127.0.0.1/metrics", Every: time.Second, Labels: map[string]string{"zone": "a"}}, ""},
		"no scheme":                      {&Scrape{URL: "127.0.0.1:8080/metrics"}, "url"},
		"too often":                      {&Scrape{Every: time.Millisecond}, "every"},
		"too seldom for the built-in":    {&Scrape{Prometheus: &Prometheus{}, Every: 2 * time.Second}, "every"},
		"seldom, and read by a server":   {&Scrape{Prometheus: &Prometheus{URL: "http://h"}, Every: 2 * time.Second}, ""},
		"a timeout longer than the pace": {&Scrape{Every: time.Second, Timeout: 2 * time.Second}, "timeout"},
		"a label that is none":           {&Scrape{Labels: map[string]string{"a-b": "c"}}, "labels"},
		"a reserved label":               {&Scrape{Labels: map[string]string{"__name__": "c"}}, "labels"},
	} {
		problems := test.scrape.Validate()
		switch {
		case test.attribute == "" && len(problems) > 0:
			t.Errorf("%s: %v", name, problems)
		case test.attribute != "" && (len(problems) != 1 || problems[0].Attribute != test.attribute):
			t.Errorf("%s: %v, want one about %s", name, problems, test.attribute)
		}
	}
}
