package rules

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql/parser"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/experiments/probes/prom"
)

func server(t *testing.T) *prom.Prometheus {
	t.Helper()
	pace := 15 * time.Second
	return &prom.Prometheus{URL: "http://127.0.0.1:1", ScrapeInterval: &pace}
}

func sloOf(t *testing.T, objective experiments.Percent, window time.Duration) *experiments.SLO {
	t.Helper()
	return &experiments.SLO{Name: "checkout", Objective: objective, Window: window, SLI: &prom.Events{
		Prometheus: server(t),
		Bad:        `sum(rate(http_requests_total{code=~"5.."}[$window]))`,
		Total:      `sum(rate(http_requests_total[$window]))`,
	}}
}

const day = experiments.Day

// The factors are those of the SRE workbook, for the length of the period.
func TestFactorsFollowFromThePeriod(t *testing.T) {
	for _, test := range []struct {
		objective experiments.Percent
		window    time.Duration
		want      []string
		notes     string
	}{
		{0.999, 30 * day, []string{"page 14.4 1h 5m", "page 6 6h 30m", "ticket 3 1d 2h", "ticket 1 3d 6h"}, ""},
		{0.999, 28 * day, []string{"page 13.44 1h 5m", "page 5.6 6h 30m", "ticket 2.8 1d 2h", "ticket 0.9333 3d 6h"}, ""},
		{0.99, 90 * day, []string{"page 43.2 1h 5m", "page 18 6h 30m", "ticket 9 1d 2h", "ticket 3 3d 6h"}, ""},
		// A rate that keeps the objective is no reason for a page or a ticket.
		{0.999, 7 * day, []string{"page 3.36 1h 5m", "page 1.4 6h 30m", "ticket 1 1d 2h"}, "no ticket for 10% of the budget: it would never fire before the one on 1d"},
		// Three days are no part of one: the windows shrink with the period.
		{0.999, day, []string{"page 14.4 2m 1m", "page 6 12m 1m", "ticket 3 48m 4m", "ticket 1 2h24m 12m"}, ""},
		// 14.4 times a budget of 10% would be 144% of all events.
		{0.90, 30 * day, []string{"page 7.2 2h 10m", "page 6 6h 30m", "ticket 3 1d 2h", "ticket 1 3d 6h"}, ""},
		{0.80, 30 * day, []string{"page 3.6 4h 20m", "page 3 12h 1h", "ticket 3 1d 2h", "ticket 1 3d 6h"}, ""},
		{0.50, 30 * day, []string{"page 1.2 12h 1h", "ticket 1.5 2d 4h", "ticket 1 3d 6h"}, "no page for 5% of the budget: it would never fire before the one on 12h"},
		{0.10, 30 * day, []string{"ticket 1 3d 6h"}, "no page for 2% of the budget: spending it within 1d is a burn rate of 0.6, which keeps the objective"},
	} {
		t.Run(fmt.Sprint(test.objective, " over ", prom.InPromQL(test.window)), func(t *testing.T) {
			alerts, notes := Alerts(sloOf(t, test.objective, test.window))
			var got []string
			for _, a := range alerts {
				got = append(got, fmt.Sprintf("%s %s %s %s", a.Severity, number(a.Factor), prom.InPromQL(a.Long), prom.InPromQL(a.Short)))
				if a.Threshold() >= 1 {
					t.Errorf("%s can never fire: it asks for %g of all events", got[len(got)-1], a.Threshold())
				}
				if _, fires := a.After(1); !fires {
					t.Errorf("%s does not fire of a total outage", got[len(got)-1])
				}
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
			if !strings.Contains(strings.Join(notes, "\n"), test.notes) || test.notes == "" && len(notes) > 0 {
				t.Errorf("notes %q, want %q", notes, test.notes)
			}
		})
	}
}

func TestNoAlertIsImpossibleWhateverTheObjective(t *testing.T) {
	for permille := 1; permille < 1000; permille++ {
		for _, window := range []time.Duration{time.Hour, day, 3 * day, 7 * day, 28 * day, 30 * day, 90 * day, 365 * day} {
			slo := sloOf(t, experiments.Percent(float64(permille)/1000), window)
			alerts, notes := Alerts(slo)
			if len(alerts) == 0 && len(notes) == 0 {
				t.Fatalf("%s over %s has no alert and no reason", slo.Objective, window)
			}
			for _, a := range alerts {
				if !(a.Threshold() < 1) || a.Short < time.Minute || a.Short >= a.Long || a.Long > window/2 {
					t.Fatalf("%s over %s: %+v", slo.Objective, window, a)
				}
			}
		}
	}
}

// Source: facts of the workbook; 99.9% over 30 days, everything fails.
func TestTimeToFire(t *testing.T) {
	alerts, _ := Alerts(sloOf(t, 0.999, 30*day))
	for share, want := range map[float64]time.Duration{1: 51840 * time.Millisecond, 0.0576: 15 * time.Minute} {
		if got, fires := alerts[0].After(share); !fires || math.Abs((got-want).Seconds()) > 0.001 {
			t.Errorf("of %g it fires after %s, want %s", share, got, want)
		}
	}
	if _, fires := alerts[0].After(0.0144); fires {
		t.Error("it fires at its threshold, and not above it")
	}
}

func TestTheRawFormReadsNoRecords(t *testing.T) {
	for _, alert := range first(Alerts(sloOf(t, 0.999, 30*day))) {
		raw, err := alert.Expr(true)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parser.NewParser(parser.Options{}).ParseExpr(raw); err != nil || strings.Contains(raw, "slo:") || strings.Contains(raw, "ALERTS") {
			t.Errorf("%v in\n%s", err, raw)
		}
	}
	probed := &experiments.SLO{Name: "front", Objective: 0.99, Window: 30 * day, Every: time.Second, Probe: &experiments.Probed{}}
	alerts, _ := Alerts(probed)
	if len(alerts) != 4 {
		t.Errorf("an slo on a probe has %d alerts", len(alerts))
	}
	if _, err := alerts[0].Expr(true); err == nil {
		t.Error("an slo on a probe has a query")
	}
}

func TestTheRawFormFiresOnRawSeries(t *testing.T) {
	slo := sloOf(t, 0.999, 30*day)
	alert := first(Alerts(slo))[0]
	raw, err := alert.Expr(true)
	if err != nil {
		t.Fatal(err)
	}
	for share, fires := range map[float64]bool{0.014: false, 0.015: true} {
		f, err := newFeed(newEngine(), slo, share)
		if err != nil {
			t.Fatal(err)
		}
		for in, want := range map[state]bool{healthy: false, burning: fires, quiet: false} {
			got, err := f.ask(newEngine(), raw, time.Hour, in)
			if err != nil || (len(got) > 0) != want {
				t.Errorf("at %g of bad events, state %d: %v, %v; fires: %t", share, in, got, err, want)
			}
		}
	}
}

func first(alerts []Alert, _ []string) []Alert { return alerts }

func TestWordsOfPeopleAreNoTemplatesAndEndNoComment(t *testing.T) {
	slo := sloOf(t, 0.999, 30*day)
	slo.Description, slo.Labels = "Loss of {{ .Value }}: \"all\"\n- alert: Evil\u2028x: y", map[string]string{"a": "yes", "b": "1.0", "c": "x: y # z"}
	var text bytes.Buffer
	if err := Generate([]*experiments.SLO{slo}).WriteYAML(&text); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"{{ \"{{\" }} .Value }}", "  # - alert: Evil x: y\n", `a: "yes"`, `b: "1.0"`, "c: 'x: y # z'"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%q is not in\n%s", want, text.String())
		}
	}
}

func TestSeriesAreMadeForAnySelector(t *testing.T) {
	for query, want := range map[string]string{
		`http_requests_total{code=~"5.."}`:                                 `http_requests_total{code="500"}`,
		`x{code!~"5..",job="a"}`:                                           `x{code="200", job="a"}`,
		`{__name__=~"http_(client|server)_total",a!=""}`:                   `http_client_total{a="other"}`,
		`x{path=~"/api/v[0-9]+/.*",method=~"GET|POST",method!="GET",a=""}`: `x{method="POST", path="/api/v0/0"}`,
		`x{le="0.5"}`: `x{le="0.5"}`,
		`x{a=~"(?i)prod(uction)?-[[:xdigit:]]{2}"}`: `x{a="PROD-00"}`,
	} {
		list, _, err := selections(query)
		if err != nil {
			t.Fatal(err)
		}
		series, ok := list[0].make(nil)
		if !ok || !list[0].matches(series) || notation(series) != want {
			t.Errorf("%s: made %s, want %s", query, notation(series), want)
		}
	}
	// Nothing is both.
	list, _, err := selections(`x{a="b",a!="b"}`)
	if err != nil {
		t.Fatal(err)
	}
	if series, ok := list[0].make(nil); ok {
		t.Errorf("made %s", notation(series))
	}
}

// Handbooks hold the SLI against 0.856 and 0.94, which are those of 99%.
func TestThresholdsFollowFromTheObjective(t *testing.T) {
	for objective, want := range map[experiments.Percent][]float64{0.999: {0.9856, 0.994}, 0.99: {0.856, 0.94}} {
		alerts, _ := Alerts(sloOf(t, objective, 30*day))
		for i, sli := range want {
			if got := 1 - alerts[i].Threshold(); math.Abs(got-sli) > 1e-12 {
				t.Errorf("%s: alert %d fires below an SLI of %v, want %v", objective, i, got, sli)
			}
		}
	}
}

func TestSLOsThatWouldSeeEachOthersSeriesAreTestedApart(t *testing.T) {
	one, two, other := sloOf(t, 0.999, 30*day), sloOf(t, 0.99, 30*day), sloOf(t, 0.99, 30*day)
	two.Name, other.Name = "all", "other"
	other.SLI = &prom.Events{Prometheus: server(t), Good: `sum(rate(a_total{ok="1"}[$window]))`, Total: "sum(rate(a_total[$window]))"}
	suite := Tests(Generate([]*experiments.SLO{one, two, other}), "rules.yml")
	var names []string
	for _, c := range suite.cases {
		names = append(names, c.name)
	}
	if want := []string{"burns: checkout, other", "burns: all", "falls silent: checkout, other", "falls silent: all"}; !slices.Equal(names, want) {
		t.Errorf("cases %q, want %q", names, want)
	}
}

func TestWhatCannotBeFedIsSaid(t *testing.T) {
	slo := sloOf(t, 0.999, 30*day)
	slo.SLI = &prom.Events{Prometheus: server(t), Bad: `sum(rate(a_total{x="1",x="2"}[$window]))`, Total: "sum(rate(a_total[$window]))"}
	suite := Tests(Generate([]*experiments.SLO{slo}), "rules.yml")
	if len(suite.cases) > 0 || len(suite.Notes) != 1 {
		t.Errorf("%d cases, notes %v", len(suite.cases), suite.Notes)
	}
}
