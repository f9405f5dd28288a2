package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// BenchmarkRules writes the rules of 1,000 SLOs. The raw limit is reading and checking
// the same configuration, which comes before. Promtool then accepts every rule.
func BenchmarkRules(b *testing.B) {
	const slos = 1000
	dir := b.TempDir()
	var text strings.Builder
	for i := range slos {
		fmt.Fprintf(&text, `slo "service-%[1]d" {
  objective = "99.9%%"
  owner     = "team-%[1]d"
  runbook   = "https://wiki.example.com/%[1]d"
  labels    = { tier = "1" }
  sli {
    bad   = "sum(rate(http_requests_total{job=\"service-%[1]d\",code=~\"5..\"}[$window]))"
    total = "sum(rate(http_requests_total{job=\"service-%[1]d\"}[$window]))"
  }
}
`, i)
	}
	path, out, tests := filepath.Join(dir, "slos.hcl"), filepath.Join(dir, "rules.yml"), filepath.Join(dir, "rules_test.yml")
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		b.Fatal(err)
	}
	var ours, withTests, raw []time.Duration
	var peak []int64
	for b.Loop() {
		for range 5 {
			u := metered(b, dir, "rules", "--out", out, path)
			ours, peak = append(ours, u.Wall), append(peak, u.Peak)
			raw = append(raw, metered(b, dir, "validate", path).Wall)
		}
		withTests = append(withTests, metered(b, dir, "rules", "--out", out, "--tests", tests, path).Wall)
	}
	if said, err := promtool(b, dir, "check", "rules", out); err != nil || !strings.Contains(said, fmt.Sprintf("SUCCESS: %d rules found", slos*15)) {
		b.Errorf("promtool check rules: %v\n%.500s", err, said)
	}
	show(b,
		figure{"rules of 1,000 SLOs (raw: validate)", "s", quantile(ours, 0.5).Seconds(), quantile(raw, 0.5).Seconds(), 1},
		figure{"the same with their tests", "s", quantile(withTests, 0.5).Seconds(), 0, 0},
		figure{"peak memory", "MB", float64(quantile(peak, 0.5)) / 1024, 0, 0},
	)
}
