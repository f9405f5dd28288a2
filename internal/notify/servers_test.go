package notify

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/gameday-sh/gameday/experiments"
)

// realServer starts a program that is installed, waits until it is ready, and ends it
// with the test.
func realServer(t *testing.T, name, ready string, flags func(address, dir string) []string) string {
	t.Helper()
	program, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("needs a real %s: install it (Debian: apt-get install %[1]s)", name)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	cmd := exec.Command(program, flags(address, t.TempDir())...)
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		if err := cmd.Process.Kill(); err == nil {
			<-ended
		}
	})
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		answer, err := http.Get("http://" + address + ready)
		if err == nil {
			_ = answer.Body.Close()
			if answer.StatusCode == 200 {
				return "http://" + address
			}
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("%s ended: %v\n%s", name, err, said.String())
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s is not ready", name)
		}
	}
}

func get(t *testing.T, address string) string {
	t.Helper()
	answer, err := http.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.Body.Close() != nil || answer.StatusCode != 200 {
		t.Fatalf("%s: %d %v\n%s", address, answer.StatusCode, err, text)
	}
	return string(text)
}

// poll waits until something is so.
func poll(t *testing.T, what string, ready func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ready(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

type shownAlert struct {
	Labels, Annotations map[string]string
	EndsAt              time.Time
}

func alertsOf(t *testing.T, server string) []shownAlert {
	t.Helper()
	var list []shownAlert
	if err := json.Unmarshal([]byte(get(t, server+"/api/v2/alerts?active=true")), &list); err != nil {
		t.Fatal(err)
	}
	return list
}

func TestARealAlertmanagerHasOneAlertWhileARunIsStopped(t *testing.T) {
	server := realServer(t, "prometheus-alertmanager", "/-/ready", func(address, dir string) []string {
		file := filepath.Join(dir, "alertmanager.yml")
		if err := os.WriteFile(file, []byte("route: {receiver: none}\nreceivers: [{name: none}]\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return []string{"--config.file=" + file, "--storage.path=" + filepath.Join(dir, "data"), "--web.listen-address=" + address, "--cluster.listen-address="}
	})
	receiver := &Alertmanager{URL: server + "/", On: []string{"abort", "not restored"}, Severity: "warning", Labels: map[string]string{"team": "shop"}, Expires: time.Hour}
	d := New(t.Context(), []*experiments.ReceiverPlan{plan("alerts", "alertmanager", receiver)}, Options{Redact: redacted})
	list := events()
	stopped := slices.IndexFunc(list, func(e experiments.Event) bool { return e.Stop != nil })
	for _, event := range list[:stopped+1] {
		d.Watch(event)
	}
	poll(t, "the alert", func() bool { return len(alertsOf(t, server)) == 1 })
	alert := alertsOf(t, server)[0]
	for name, want := range map[string]string{"alertname": "GamedayRun", "scenario": "slow", "run": "20261124-153000-slow-7f3a", "severity": "warning", "team": "shop"} {
		if alert.Labels[name] != want {
			t.Errorf("label %s is %q", name, alert.Labels[name])
		}
	}
	if until := time.Until(alert.EndsAt); until < 50*time.Minute || until > time.Hour || strings.Contains(alert.Annotations["description"], planted) || alert.Annotations["summary"] != "slow was stopped, and mends" {
		t.Errorf("%+v", alert)
	}
	for _, event := range list[stopped+1:] {
		d.Watch(event)
	}
	told := d.End(t.Context(), result(), experiments.MomentEnd)
	if moments := sent(t, told); moments != "abort end" {
		t.Errorf("told of %q", moments)
	}
	poll(t, "the alert to be resolved", func() bool { return len(alertsOf(t, server)) == 0 })
	if open := experiments.OpenIncidents(told); len(open) > 0 {
		t.Errorf("open: %+v", open)
	}
}

func TestARealPushgatewayIsGivenTheNumbersAtTheEnd(t *testing.T) {
	server := realServer(t, "prometheus-pushgateway", "/-/ready", func(address, _ string) []string {
		return []string{"--web.listen-address=" + address}
	})
	for range 2 { // the second run takes the place of the first
		sent(t, tell(t, plan("prometheus", "metrics", &Metrics{Gateway: server, Job: "gameday"})))
	}
	metrics := get(t, server+"/metrics")
	for _, want := range []string{
		`gameday_run_active{instance="",job="gameday",scenario="slow"} 0`,
		`gameday_run_verdict{instance="",job="gameday",scenario="slow",verdict="aborted"} 1`,
		`gameday_run_verdict{instance="",job="gameday",scenario="slow",verdict="held"} 0`,
		`gameday_hits_injected_total{fault="late",instance="",job="gameday",scenario="slow"} 1`,
		`gameday_hits_in_place{fault="late",instance="",job="gameday",scenario="slow"} 0`,
		`gameday_run_restore_duration_seconds{instance="",job="gameday",scenario="slow"} 1`,
		`gameday_samples_total{instance="",job="gameday",outcome="no_data",scenario="slow",series="probe.door"} 1`,
		fmt.Sprintf(`gameday_run_start_timestamp_seconds{instance="",job="gameday",scenario="slow"} %.10g`, float64(start.Unix())),
	} {
		if !strings.Contains(strings.ReplaceAll(metrics, "1.7955342e+09", "1795534200"), want) {
			t.Errorf("the Pushgateway does not have %s", want)
		}
	}
	if t.Failed() {
		for line := range strings.Lines(metrics) {
			if strings.HasPrefix(line, "gameday") {
				t.Log(line)
			}
		}
	}
}

func TestARealPrometheusScrapesARunThatGoesOn(t *testing.T) {
	metrics := &Metrics{Listen: "127.0.0.1:0", Job: "gameday"}
	journaled := make(chan experiments.Notification, 10)
	d := New(t.Context(), []*experiments.ReceiverPlan{plan("scraped", "metrics", metrics)}, Options{Redact: redacted, Done: func(n experiments.Notification) { journaled <- n }})
	list := events()
	stopped := slices.IndexFunc(list, func(e experiments.Event) bool { return e.Stop != nil })
	for _, event := range list[:stopped] {
		d.Watch(event)
	}
	begun := <-journaled
	address := strings.TrimPrefix(begun.Said, "scraped on ")
	// What Prometheus takes in is checked by its own parser, and named as is the custom.
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(get(t, address)))
	if err != nil {
		t.Fatal(err)
	}
	series := 0
	for name, family := range families {
		series += len(family.Metric)
		if !strings.HasPrefix(name, "gameday_") || family.GetHelp() == "" || strings.HasSuffix(name, "_total") != (family.GetType().String() == "COUNTER") {
			t.Errorf("%s: %s %q", name, family.GetType(), family.GetHelp())
		}
	}
	if series > 40 {
		t.Errorf("%d series of one run", series)
	}
	target, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	server := realServer(t, "prometheus", "/-/ready", func(address, dir string) []string {
		file := filepath.Join(dir, "prometheus.yml")
		text := fmt.Sprintf("scrape_configs:\n- job_name: gameday\n  scrape_interval: 200ms\n  scrape_timeout: 200ms\n  static_configs: [{targets: [%q]}]\n", target.Host)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return []string{"--config.file=" + file, "--storage.tsdb.path=" + filepath.Join(dir, "data"), "--web.listen-address=" + address, "--log.level=warn"}
	})
	asked := func(query string) string { return get(t, server+"/api/v1/query?query="+url.QueryEscape(query)) }
	for _, query := range []string{
		`gameday_run_active{scenario="slow"} == 1`, `gameday_run_phase{phase="disrupt"} == 1`, `gameday_hits_in_place{fault="late"} == 1`,
		`gameday_guard_used_ratio{guard="page"} == 1.5`, `gameday_samples_total{series="probe.door",outcome="good"} == 1`, `sum(gameday_run_verdict) == 0`,
	} {
		poll(t, query, func() bool { return strings.Contains(asked(query), `"value":`) })
	}
	for _, event := range list[stopped:] {
		d.Watch(event)
	}
	sent(t, d.End(t.Context(), result(), experiments.MomentEnd))
	if answer, err := http.Get(address); err == nil {
		t.Errorf("it is scraped after the end: %s %v", answer.Status, answer.Body.Close())
	}
}

func TestAnAddressThatIsTakenIsNamed(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	told := tell(t, plan("scraped", "metrics", &Metrics{Listen: listener.Addr().String(), Job: "gameday"}))
	if len(told) != 1 || told[0].State != experiments.DeliveryFailed || !strings.Contains(told[0].Error, "address already in use") {
		t.Errorf("%+v", told)
	}
}
