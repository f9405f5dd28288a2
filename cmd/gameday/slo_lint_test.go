package main

import (
	"encoding/json"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gameday-sh/gameday/experiments/probes/prom"
	"github.com/gameday-sh/gameday/internal/porttest"
)

func TestTheDocumentListsEveryCheckOfTheLint(t *testing.T) {
	t.Parallel()
	var want strings.Builder
	for _, check := range prom.LintChecks() {
		asks := ""
		if check.Asks() {
			asks = "yes"
		}
		fmt.Fprintf(&want, "| `%s` | %s | %s |\n", check.Name, check.Summary, asks)
		if strings.HasSuffix(check.Summary, ".") || !strings.HasSuffix(check.Why, ".") {
			t.Errorf("%s: the summary is a phrase and why is a sentence: %q, %q", check.Name, check.Summary, check.Why)
		}
	}
	if text := read(t, "../../docs/slo-lint.md"); !strings.Contains(text, "|---|---|---|\n"+want.String()+"\n") {
		t.Errorf("docs/slo-lint.md does not have the table\n%s", want.String())
	}
}

// The lint of files as a person runs it, against a real server that scrapes the shop.
func TestLintAsksARealServer(t *testing.T) {
	slow(t)
	shop := porttest.Address(t)
	_, port, err := net.SplitHostPort(shop)
	if err != nil {
		t.Fatal(err)
	}
	gameday(t, t.TempDir(), "sandbox", "--port", port).says(`front door`)
	server, _ := realPrometheus(t, shop, "500ms")
	file := filepath.Join(t.TempDir(), "shop.hcl")
	const source = `prometheus {
  url             = %q
  scrape_interval = "500ms"
}

slo "checkout" {
  objective = "95%%"
  sli {
    bad   = "sum(rate(http_requests_total{service=\"front-door\",%s=~\"5..\"}[$window]))"
    total = "sum(rate(http_requests_total{service=\"front-door\"}[$window]))"
  }
}
`
	lint := func(server, label string) (result linted, code int) {
		t.Helper()
		write(t, file, fmt.Sprintf(source, server, label))
		p := gameday(t, t.TempDir(), "slo", "lint", "--json", "--over", "1m", file)
		code = p.wait(time.Minute)
		if err := json.Unmarshal([]byte(p.said.String()), &result); err != nil {
			t.Fatalf("%v:\n%s", err, p.said.String())
		}
		return result, code
	}
	var last linted
	poll(t, func() string {
		return fmt.Sprintf("a clean lint, when there are enough samples; the last was %+v", last)
	}, func() bool {
		result, code := lint(server, "code")
		last = result
		return code == 0 && len(result.Findings) == 0 && len(result.Unchecked) == 0 && result.SLOs == 1
	})
	result, code := lint(server, "status")
	if code != 1 || len(result.Findings) == 0 {
		t.Fatalf("exit code %d with %+v", code, result)
	}
	if f := result.Findings[0]; f.Check != "missing-label" || f.File != file || f.Line != 9 || f.Column != 13 || !strings.Contains(f.Write, "code") {
		t.Errorf("found %+v", f)
	}
	result, code = lint("http://"+closedAddress(t), "code")
	if code != 4 || len(result.Findings) > 0 || len(result.Unchecked) != 1 || !result.Unchecked[0].Unreachable {
		t.Errorf("a server that is away: exit code %d with %+v", code, result)
	}
}
