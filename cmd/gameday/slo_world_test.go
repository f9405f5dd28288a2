package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/promtest"
)

// friday is the moment that the budgets of tests are looked at from. Europe/Berlin puts
// its clocks forward nine days later.
var friday = time.Date(2026, time.March, 20, 12, 0, 0, 0, time.UTC)

const atFriday = "--at=2026-03-20T12:00:00Z"

// shopMonth is what a shop counted in the month before friday, and a day more.
func shopMonth() promtest.History {
	const step = 5 * time.Minute
	from := friday.Add(-31 * experiments.Day)
	rate := func(name string, from, to time.Time, rate func(time.Time) float64) promtest.Series {
		return promtest.Series{Name: name, Value: promtest.Counter(from, to, step, rate)}
	}
	sum := func(rates ...func(time.Time) float64) func(time.Time) float64 {
		return func(at time.Time) float64 {
			all := 0.0
			for _, r := range rates {
				all += r(at)
			}
			return all
		}
	}
	ago := func(d time.Duration) time.Time { return friday.Add(-d) }
	outage := promtest.Between(ago(6*experiments.Day), ago(6*experiments.Day-40*time.Minute), 10)
	return promtest.History{From: from, To: friday, Step: step, Series: []promtest.Series{
		rate(`http_requests_total{job="checkout",code="200"}`, from, friday, promtest.Steady(20)),
		rate(`http_requests_total{job="checkout",code="503"}`, from, friday, sum(promtest.Steady(0.002), outage)),
		rate(`http_requests_total{job="payments",code="200"}`, from, friday, promtest.Steady(20)),
		rate(`http_requests_total{job="payments",code="500"}`, from, friday, sum(promtest.Steady(0.01), promtest.Between(ago(2*experiments.Day), friday, 0.9))),
		rate(`http_requests_total{job="search",code="200"}`, from, ago(50*time.Hour), promtest.Steady(5)),
		rate(`http_requests_total{job="mail",code="200"}`, ago(12*experiments.Day), friday, promtest.Steady(1)),
	}}
}

const shopPolicy = `error_budget_policy "standard" {
  reserve = "10%"
  band "green" {
    at_least = "50%"
    allows   = ["game-day", "deploy", "experimental-feature"]
    actions  = ["Normal feature development", "2 deployments per day allowed"]
  }
  band "yellow" {
    at_least = "10%"
    allows   = ["game-day", "deploy"]
    actions  = ["Increased caution on deployments", "1 deployment per day allowed", "Require staging validation"]
  }
  band "red" {
    allows  = []
    actions = ["Feature freeze", "Emergency fixes only", "Incident review required"]
  }
  alert {
    below    = "25%"
    severity = "warning"
    notify   = "slack"
  }
  alert {
    below    = "10%"
    severity = "critical"
    notify   = "pagerduty"
  }
}
`

func shopSLO(name, rest string) string {
	return fmt.Sprintf(`
slo %[1]q {
  objective = "99.9%%"
  policy    = error_budget_policy.standard
%[2]s
  sli {
    bad   = "sum(rate(http_requests_total{job=\"%[1]s\",code=~\"5..\"}[$window]))"
    total = "sum(rate(http_requests_total{job=\"%[1]s\"}[$window]))"
  }
}
`, name, rest)
}

// shopSLOs writes a configuration of the shop's SLOs on a Prometheus, and gives its path.
func shopSLOs(t testing.TB, url string) string {
	t.Helper()
	text := fmt.Sprintf("prometheus {\n  url             = %q\n  scrape_interval = \"5m\"\n}\nsandbox \"unused\" {}\n\n", url) + shopPolicy +
		shopSLO("checkout", `  description = "Checkout requests answered without a 5xx"
  owner       = "team-checkout"
  runbook     = "https://wiki.example.com/checkout"
  labels      = { tier = "1" }
  depends_on  = [slo.payments, slo.search]`) +
		shopSLO("payments", `  calendar {
    period = "month"
    zone   = "Europe/Berlin"
  }`) + shopSLO("search", "") + shopSLO("mail", "")
	path := filepath.Join(t.TempDir(), "shop.hcl")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// typed runs gameday in process.
func typed(t testing.TB, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), args, nil, &out, &errs)
	return code, out.String(), errs.String()
}
