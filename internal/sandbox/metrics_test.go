package sandbox

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
)

// The two formats as a Prometheus server asks for them.
const (
	textFormat     = "text/plain;version=0.0.4"
	protobufFormat = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
)

func counterValue(t *testing.T, counter prometheus.Counter) float64 {
	t.Helper()
	var metric dto.Metric
	if err := counter.Write(&metric); err != nil {
		t.Fatal(err)
	}
	return metric.GetCounter().GetValue()
}

// scrape reads /metrics in a format.
func scrape(t *testing.T, s *Sandbox, format string) map[string]*dto.MetricFamily {
	t.Helper()
	got := ask(t, "GET", s.Export("metrics_url"), "", http.Header{"Accept": {format}})
	if got.code != http.StatusOK || !strings.HasPrefix(got.header.Get("Content-Type"), strings.Split(format, ";")[0]) {
		t.Fatalf("GET /metrics = %d in %s", got.code, got.header.Get("Content-Type"))
	}
	families := map[string]*dto.MetricFamily{}
	decoder := expfmt.NewDecoder(strings.NewReader(got.body), expfmt.ResponseFormat(got.header))
	for {
		var family dto.MetricFamily
		err := decoder.Decode(&family)
		if errors.Is(err, io.EOF) {
			return families
		}
		if err != nil {
			t.Fatal(err)
		}
		families[family.GetName()] = &family
	}
}

// matching returns the series of a metric with the given labels.
func matching(families map[string]*dto.MetricFamily, name string, labels ...string) (series []*dto.Metric) {
	for _, metric := range families[name].GetMetric() {
		has := map[string]string{}
		for _, label := range metric.GetLabel() {
			has[label.GetName()] = label.GetValue()
		}
		matches := true
		for i := 0; i < len(labels); i += 2 {
			matches = matches && has[labels[i]] == labels[i+1]
		}
		if matches {
			series = append(series, metric)
		}
	}
	return series
}

// find returns the one series with the given labels.
func find(t *testing.T, families map[string]*dto.MetricFamily, name string, labels ...string) *dto.Metric {
	t.Helper()
	series := matching(families, name, labels...)
	if len(series) != 1 {
		t.Fatalf("%d series of %s with %v", len(series), name, labels)
	}
	return series[0]
}

// sum adds the counters or gauges with the given labels, which must exist.
func sum(t *testing.T, s *Sandbox, name string, labels ...string) (total float64) {
	t.Helper()
	series := matching(scrape(t, s, textFormat), name, labels...)
	if len(series) == 0 {
		t.Fatalf("no series of %s with %v", name, labels)
	}
	for _, metric := range series {
		total += metric.GetCounter().GetValue() + metric.GetGauge().GetValue()
	}
	return total
}

func TestAllSeriesExistBeforeTheFirstRequest(t *testing.T) {
	s := open(t, nil)
	families := scrape(t, s, textFormat)
	for _, test := range []struct {
		name   string
		labels []string
		series int
	}{
		{"http_requests_total", []string{"service", "front-door", "route", "/checkout"}, 4},
		{"http_requests_total", []string{"service", "front-door", "code", "503"}, 10},
		{"http_requests_total", []string{"service", "catalogue", "route", "/products", "code", "200"}, 1},
		{"http_requests_total", []string{"service", "payments", "route", "/charge"}, 2},
		{"http_request_duration_seconds", []string{"service", "front-door"}, 10},
		{"http_requests_in_flight", nil, 3},
		{"http_request_slots_in_use", []string{"service", "front-door"}, 1},
		{"retries_total", []string{"service", "front-door"}, 2},
		{"fallbacks_total", []string{"service", "front-door", "upstream", "catalogue"}, 1},
		{"client_requests_total", []string{"route", "/checkout"}, 5},
		{"client_requests_total", []string{"code", "none"}, 3},
		{"client_request_duration_seconds", nil, 3},
		{"client_requests_unsent_total", nil, 3},
	} {
		series := matching(families, test.name, test.labels...)
		if len(series) != test.series {
			t.Errorf("%s with %v has %d series; want %d", test.name, test.labels, len(series), test.series)
		}
		for _, metric := range series {
			if metric.GetCounter().GetValue() != 0 || metric.GetGauge().GetValue() != 0 || metric.GetHistogram().GetSampleCount() != 0 {
				t.Errorf("%s is %v before the first request", test.name, metric)
			}
		}
	}
	for name := range families {
		if series := matching(families, name, "job", "checkout"); len(series) > 0 {
			t.Errorf("%s carries a job, which belongs to the scraper", name)
		}
	}
}

func TestEachServiceCountsItsOwnRequests(t *testing.T) {
	s := open(t, nil)
	for range 3 {
		ask(t, "GET", s.Export("url")+"/products", "", nil)
	}
	for range 2 {
		ask(t, "POST", s.Export("checkout_url"), "", nil)
	}
	ask(t, "POST", s.Export("checkout_url"), "no order", nil)
	ask(t, "GET", s.Export("url")+"/healthz", "", nil)
	for _, test := range []struct {
		service, route, code string
		want                 float64
	}{
		{"front-door", "/products", "200", 3},
		{"front-door", "/checkout", "200", 2},
		{"front-door", "/checkout", "400", 1},
		{"front-door", "/checkout", "504", 0},
		{"catalogue", "/products", "200", 3},
		{"payments", "/charge", "200", 2},
	} {
		if got := sum(t, s, "http_requests_total", "service", test.service, "route", test.route, "code", test.code); got != test.want {
			t.Errorf("%s %s %s was counted %v times; want %v", test.service, test.route, test.code, got, test.want)
		}
	}
	if got := sum(t, s, "http_requests_total"); got != 11 {
		t.Errorf("%v requests in all; want 11, without those for health and metrics", got)
	}
	if got := sum(t, s, "http_requests_in_flight"); got != 0 {
		t.Errorf("%v requests are still in flight", got)
	}
}

func TestLatencyComesInClassicAndNativeBuckets(t *testing.T) {
	s := open(t, nil)
	const many = 20
	for range many {
		ask(t, "GET", s.Export("url")+"/", "", nil)
	}
	labels := []string{"service", frontDoor, "route", "/"}
	text := find(t, scrape(t, s, textFormat), "http_request_duration_seconds", labels...).GetHistogram()
	both := find(t, scrape(t, s, protobufFormat), "http_request_duration_seconds", labels...).GetHistogram()
	if len(text.GetPositiveSpan()) != 0 {
		t.Error("the text format carries native buckets, which it cannot")
	}
	for name, histogram := range map[string]*dto.Histogram{"text": text, "protobuf": both} {
		buckets := map[string]uint64{}
		for _, bucket := range histogram.GetBucket() {
			buckets[strconv.FormatFloat(bucket.GetUpperBound(), 'g', -1, 64)] = bucket.GetCumulativeCount()
		}
		for _, bound := range []string{"0.25", "0.5", "1"} { // what SLOs ask for
			if _, there := buckets[bound]; !there {
				t.Errorf("%s has no bucket up to %s s", name, bound)
			}
		}
		if histogram.GetSampleCount() != many || histogram.GetSampleSum() <= many*catalogueWork.Seconds() {
			t.Errorf("%s counts %d requests of %v s; want %d of more than %v s",
				name, histogram.GetSampleCount(), histogram.GetSampleSum(), many, many*catalogueWork.Seconds())
		}
	}
	// Schema 3 has 8 buckets for each doubling: each is 9% wider than the one before.
	if both.GetSchema() != 3 || len(both.GetPositiveSpan()) == 0 {
		t.Fatalf("protobuf has schema %d with %d spans", both.GetSchema(), len(both.GetPositiveSpan()))
	}
	var counted, bucket int64
	for _, delta := range both.GetPositiveDelta() {
		bucket += delta
		counted += bucket
	}
	if counted != many {
		t.Errorf("native buckets hold %d requests; want %d", counted, many)
	}
}

func TestCustomersCountWhatTheySee(t *testing.T) {
	s := open(t, func(s *Sandbox) { s.Rate = 100 })
	eventually(t, "each route is visited", func() bool {
		return sum(t, s, "client_requests_total", "route", "/", "code", "200") > 0 &&
			sum(t, s, "client_requests_total", "route", "/products", "code", "200") > 0 &&
			sum(t, s, "client_requests_total", "route", "/checkout", "code", "200") > 0
	})
	families := scrape(t, s, protobufFormat)
	for _, route := range loadRoutes {
		waited := find(t, families, "client_request_duration_seconds", "route", route).GetHistogram()
		if waited.GetSampleCount() == 0 || len(waited.GetPositiveSpan()) == 0 {
			t.Errorf("customers of %s waited %v", route, waited)
		}
	}
	if unsent := sum(t, s, "client_requests_unsent_total"); unsent != 0 {
		t.Errorf("%v requests of a small load were not sent", unsent)
	}
}

func TestACustomerWithoutAnAnswerIsCounted(t *testing.T) {
	m := newMetrics()
	transport := newTransport(1)
	defer transport.CloseIdleConnections()
	// Port 1 of loopback has no listener.
	c := &customers{url: "http://127.0.0.1:1", client: &http.Client{Transport: transport}, checkouts: 1, metrics: m}
	c.send(0, time.Now().Add(-time.Second))
	if got := counterValue(t, m.clientRequests.WithLabelValues("/checkout", noAnswer)); got != 1 {
		t.Errorf("%v requests without an answer were counted; want 1", got)
	}
	var waited dto.Metric
	if err := m.clientDurations.WithLabelValues("/checkout").(prometheus.Histogram).Write(&waited); err != nil {
		t.Fatal(err)
	}
	if got := waited.GetHistogram().GetSampleSum(); got < 1 {
		t.Errorf("a request that was due a second ago waited %v s", got)
	}
	c.unsent(1)
	if got := counterValue(t, m.clientUnsent.WithLabelValues("/checkout")); got != 1 {
		t.Errorf("%v requests that were not sent were counted; want 1", got)
	}
}
