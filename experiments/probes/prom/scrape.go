package prom

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"github.com/gameday-sh/gameday/experiments"
)

const (
	defaultEvery = time.Second
	defaultJob   = "gameday"
	// maxBody bounds one exposition: some 200,000 samples.
	maxBody = 32 << 20
	// The formats, best first. Only protobuf carries native histograms.
	acceptMetrics = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.7," +
		"application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)

// Scrape is the connection kind "scrape": it reads the metrics of one target into
// the built-in Prometheus, as Prometheus does. Every series gets the labels job
// and instance (host and port of the address); one of the target's own by such a
// name becomes exported_job. Each scrape writes up, scrape_duration_seconds and
// scrape_samples_scraped; series that vanish, and all of a scrape that failed, end
// with a staleness marker.
//
// It goes further than Prometheus in one point: a counter or histogram that
// appears between two scrapes is taken to have been 0 at the earlier one.
// Prometheus would lose what it counted first, such as the first errors of a
// fault.
type Scrape struct {
	Prometheus *Prometheus       `hcl:"prometheus,optional" doc:"The Prometheus that keeps the metrics; left out, the built-in one. A server scrapes by itself, and nothing is read."`
	URL        string            `hcl:"url" doc:"Address of the metrics: text, OpenMetrics or protobuf." example:"http://127.0.0.1:8080/metrics"`
	Every      time.Duration     `hcl:"every,optional" default:"1s" doc:"Time from one scrape to the next."`
	Timeout    time.Duration     `hcl:"timeout,optional" doc:"How long a scrape may take; left out, as long as every."`
	Job        string            `hcl:"job,optional" default:"gameday" doc:"Value of the label job."`
	Labels     map[string]string `hcl:"labels,optional" doc:"Labels that every series gets."`

	cancel context.CancelFunc
	done   chan struct{}
}

// Validate implements [experiments.Validator].
func (s *Scrape) Validate() []experiments.Problem {
	var problems []experiments.Problem
	problem := func(attribute, summary, detail string, values ...any) {
		problems = append(problems, experiments.Problem{Attribute: attribute, Summary: summary, Detail: fmt.Sprintf(detail, values...)})
	}
	if s.URL != "" {
		if _, err := parseServerURL(s.URL); err != nil {
			problem("url", "Bad address", "%s; write it as \"http://127.0.0.1:8080/metrics\".", err)
		}
	}
	every := s.every()
	switch slowest := s.Prometheus.Interval(); {
	case every < 10*time.Millisecond:
		problem("every", "Scrapes too often", "Write 10ms or more; a scrape itself takes about a millisecond.")
	case s.Prometheus.Builtin() && every > slowest:
		problem("every", "Scrapes too seldom", "The built-in Prometheus expects a scrape each %s and would find the series stale; write a shorter time, or scrape_interval = %q in its block.",
			experiments.FormatDuration(slowest), experiments.FormatDuration(every))
	}
	if s.Timeout < 0 || s.Timeout > every {
		problem("timeout", "Timeout longer than the pace", "A scrape must end before the next begins: write at most %q.", experiments.FormatDuration(every))
	}
	names := make([]string, 0, len(s.Labels))
	for name := range s.Labels {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if !model.LegacyValidation.IsValidLabelName(name) || strings.HasPrefix(name, model.ReservedLabelPrefix) {
			problem("labels", "Bad label name", "%q cannot be the name of a label; write letters, digits and underscores, not beginning with two underscores.", name)
		}
	}
	return problems
}

func (s *Scrape) every() time.Duration {
	if s.Every <= 0 {
		return defaultEvery
	}
	return s.Every
}

// Open starts scraping, at once and in the background. It opens the built-in
// Prometheus if that is not open yet.
func (s *Scrape) Open(ctx context.Context) error {
	if s.done != nil || s.Note() != "" {
		return nil
	}
	if s.Prometheus == nil {
		return errors.New("scrape: there is no Prometheus to keep the metrics")
	}
	address, err := parseServerURL(s.URL)
	if err != nil {
		return fmt.Errorf("scrape: %w; write it as \"http://127.0.0.1:8080/metrics\"", err)
	}
	if err := s.Prometheus.Open(ctx); err != nil {
		return err
	}
	target := newTarget(s.Prometheus.samples(), s.labels(address))
	// Open's context may end long before Close is called.
	ctx, s.cancel = context.WithCancel(context.WithoutCancel(ctx))
	s.done = make(chan struct{})
	go s.run(ctx, target)
	return nil
}

// Close stops scraping, ends the series with staleness markers and returns when
// all is done.
func (s *Scrape) Close() error {
	if s.done == nil {
		return nil
	}
	s.cancel()
	<-s.done
	s.done = nil
	return nil
}

// Note says that a server scrapes by itself; empty for the built-in one.
func (s *Scrape) Note() string {
	if s.Prometheus.Builtin() {
		return ""
	}
	return fmt.Sprintf("%s scrapes by itself; gameday does not read %s", s.Prometheus.Where(), shownURL(s.URL))
}

func (s *Scrape) labels(address *url.URL) map[string]string {
	port := address.Port()
	switch {
	case port == "" && address.Scheme == "https":
		port = "443"
	case port == "":
		port = "80"
	}
	set := map[string]string{"job": s.Job, "instance": address.Hostname() + ":" + port}
	if strings.Contains(address.Hostname(), ":") {
		set["instance"] = "[" + address.Hostname() + "]:" + port
	}
	if s.Job == "" {
		set["job"] = defaultJob
	}
	for name, text := range s.Labels {
		set[name] = text
	}
	return set
}

func (s *Scrape) run(ctx context.Context, t *target) {
	defer close(s.done)
	timeout := s.every()
	if s.Timeout > 0 {
		timeout = min(timeout, s.Timeout)
	}
	fetcher := &http.Client{Transport: &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		MaxResponseHeaderBytes: 64 << 10,
	}}
	defer fetcher.CloseIdleConnections()
	ticker := time.NewTicker(s.every())
	defer ticker.Stop()
	for {
		began := time.Now()
		body, kind, err := s.fetch(ctx, fetcher, timeout)
		if ctx.Err() != nil {
			t.end(time.Now())
			s.Prometheus.report(s, nil)
			return
		}
		err = t.take(began, time.Since(began), body, kind, err)
		s.Prometheus.report(s, err)
		select {
		case <-ticker.C:
		case <-ctx.Done():
			t.end(time.Now())
			s.Prometheus.report(s, nil)
			return
		}
	}
}

// fetch reads the exposition. Its errors are without the address, which may hold a
// password.
func (s *Scrape) fetch(ctx context.Context, fetcher *http.Client, timeout time.Duration) (body []byte, kind string, err error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL, nil)
	if err != nil {
		return nil, "", errors.New("the address is not usable")
	}
	req.Header.Set("Accept", acceptMetrics)
	req.Header.Set("User-Agent", "gameday")
	req.Header.Set("X-Prometheus-Scrape-Timeout-Seconds", strconv.FormatFloat(timeout.Seconds(), 'f', -1, 64))
	resp, err := fetcher.Do(req)
	if err != nil {
		return nil, "", fetchError(err, timeout)
	}
	defer func() { _ = resp.Body.Close() }() // only read from
	kind = resp.Header.Get("Content-Type")
	if resp.StatusCode != http.StatusOK {
		return nil, "", fmt.Errorf("the target answered %s", resp.Status)
	}
	if strings.HasPrefix(kind, "text/html") {
		return nil, "", errors.New("the target answered with a web page, not with metrics; is the path right (often /metrics)?")
	}
	body, err = io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	if err != nil {
		return nil, "", fetchError(err, timeout)
	}
	if len(body) > maxBody {
		return nil, "", fmt.Errorf("the target answered with more than %d MiB", maxBody>>20)
	}
	return body, kind, nil
}

func fetchError(err error, timeout time.Duration) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("the target did not answer in time (timeout %s)", experiments.FormatDuration(timeout))
	}
	return errors.New(brief(err.Error()))
}
