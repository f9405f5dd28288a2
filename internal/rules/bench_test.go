package rules

import (
	"fmt"
	"io"
	"testing"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/experiments/probes/prom"
)

func BenchmarkThousandSLOs(b *testing.B) {
	slos := func() []*experiments.SLO {
		var list []*experiments.SLO
		for i := range 1000 {
			list = append(list, &experiments.SLO{Name: fmt.Sprint("service-", i), Objective: 0.999, Window: 30 * experiments.Day, SLI: &prom.Events{
				Prometheus: &prom.Prometheus{URL: "http://127.0.0.1:1"},
				Bad:        fmt.Sprintf(`sum(rate(http_requests_total{job="service-%d",code=~"5.."}[$window]))`, i),
				Total:      fmt.Sprintf(`sum(rate(http_requests_total{job="service-%d"}[$window]))`, i),
			}})
		}
		return list
	}
	b.Run("generate", func(b *testing.B) {
		for b.Loop() {
			if file := Generate(slos()); len(file.Written) != 1000 {
				b.Fatal("not all")
			}
		}
	})
	b.Run("write", func(b *testing.B) {
		file := Generate(slos())
		for b.Loop() {
			if err := file.WriteYAML(io.Discard); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("tests", func(b *testing.B) {
		file := Generate(slos())
		for b.Loop() {
			if suite := Tests(file, "rules.yml"); len(suite.Notes) > 0 {
				b.Fatal(suite.Notes)
			}
		}
	})
}
