package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/gameday-sh/gameday/internal/promtest"
)

func TestTheReportSaysHowEachBudgetStands(t *testing.T) {
	t.Parallel()
	path := shopSLOs(t, promtest.Start(t, shopMonth()))
	code, markdown, errs := typed(t, "slo", "report", path, atFriday)
	if code != 0 || errs != "" {
		t.Fatalf("exit %d: %s", code, errs)
	}
	contain(t, markdown,
		"# Error budget report: 4 SLOs", "1 overspent, 1 unknown, 2 within their budgets.",
		"| Current SLI | 99.943% |", "| Target | 99.9% over 30d |", "| Budget consumed | 56.26% |", "| Budget remaining | 43.74% |",
		"| Events | 29,184 bad of 51,869,184 |", "| Status | within its budget, band yellow |", "| Deployment allowed | yes |", "| Risk | medium |",
		"- Require staging validation", "| 2026-03-14 Sat | 24,172 |", "46.28% of the budget comes back until Mon 13 Apr 2026 13:00 UTC", "| Owner | team-checkout |",
		// Overspent stays overspent, and the calendar is that of Berlin.
		"| Budget remaining | \\-220.64% |", "| Status | overspent, band red |", "| Deployment allowed | no |", "| Risk | high |",
		"Sun 1 Mar 2026 00:00 CET to Wed 1 Apr 2026 00:00 CEST", "Alert “critical” to pagerduty", "Days begin at midnight, Europe/Berlin.",
		"- Feature freeze", "will be consumed at the end of the period",
		"| Current SLI | unknown |", "Unknown: stale: the series of total ended", "| Risk | unknown |",
		"history of 12d of 30d", "| **payments** | \\-220.64% of its budget left (worse off) |")

	file := filepath.Join(t.TempDir(), "budgets.html")
	if code, out, errs := typed(t, "slo", "report", path, atFriday, "--out", file); code != 0 || out != "" {
		t.Fatalf("exit %d: %s%s", code, out, errs)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	page := string(text)
	contain(t, page, "<h2>checkout<", "43.74% of the error budget is left.", `href="https://wiki.example.com/checkout"`, "Content-Security-Policy", "green from 50%")
	if n := len(regexp.MustCompile(`<path class="line" d="M`).FindAllString(page, -1)); n != 3 {
		t.Errorf("%d courses are drawn, want those of three known budgets", n)
	}
	if strings.Contains(page, "ZgotmplZ") || strings.Contains(page, "<script") || strings.Contains(page, "NaN") {
		t.Error("the page has something that does not belong in it")
	}
	if code, _, errs := typed(t, "slo", "report", path, "--format", "pdf"); code != 2 || !strings.Contains(errs, "markdown, html") {
		t.Errorf("exit %d: %s", code, errs)
	}
}

// A report of a server that is away is a report, not a failure: it says so.
func TestTheReportOfAServerThatIsAwaySaysSo(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	path := shopSLOs(t, server.URL)
	server.Close()
	code, out, _ := typed(t, "slo", "report", path, atFriday, "--slo", "mail", "--format", "html")
	if code != 0 {
		t.Fatalf("exit %d", code)
	}
	contain(t, out, "Nobody knows how much of the error budget is left.", "cannot be reached")
	if strings.Contains(out, `class="line"`) {
		t.Error("a course is drawn")
	}
}

func contain(t *testing.T, text string, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if !strings.Contains(text, want) {
			t.Errorf("it does not say %q", want)
		}
	}
	if t.Failed() {
		t.Log(text)
	}
}
