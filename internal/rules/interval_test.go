package rules_test

import (
	"strings"
	"testing"
	"time"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/experiments/probes/prom"
	"github.com/gameday-sh/gameday/internal/rules"
)

// What an alert says of its pace is the pace of the group that its rule is in.
func TestAnAlertKnowsThePaceOfItsRule(t *testing.T) {
	pace := time.Second
	server := &prom.Prometheus{URL: "http://127.0.0.1:1", ScrapeInterval: &pace}
	most := 100.0
	slice := func(length time.Duration) experiments.SLI {
		return &prom.TimeSlice{Prometheus: server, Slice: length, Query: "max(queue_length)", AtMost: &most}
	}
	for name, sli := range map[string]experiments.SLI{
		"events":       &prom.Events{Prometheus: server, Bad: `sum(rate(requests_total{code="500"}[$window]))`, Total: `sum(rate(requests_total[$window]))`},
		"short slices": slice(time.Minute), "long slices": slice(3 * time.Minute),
	} {
		slo := &experiments.SLO{Name: "checkout", Objective: 0.99, Window: 30 * experiments.Day, SLI: sli}
		alerts, _ := rules.Alerts(slo)
		found := 0
		for _, group := range rules.Generate([]*experiments.SLO{slo}).Groups {
			for _, rule := range group.Rules {
				for _, alert := range alerts {
					if rule.Alert == alert.Name && rule.Labels["severity"] == alert.Severity && strings.Contains(rule.Expr, prom.InPromQL(alert.Long)) {
						found++
						if group.Interval != alert.Interval() {
							t.Errorf("%s: the %s over %v says %v, and its group %v", name, alert.Severity, alert.Long, alert.Interval(), group.Interval)
						}
					}
				}
			}
		}
		if found < 3 {
			t.Errorf("%s: found only %d of the alerts in the rules", name, found)
		}
	}
}
