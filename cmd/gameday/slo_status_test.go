package main

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gameday-sh/gameday/internal/promtest"
)

func TestSLOStatusShowsEachBudget(t *testing.T) {
	t.Parallel()
	path := shopSLOs(t, promtest.Start(t, shopMonth()))
	code, out, errs := typed(t, "slo", "status", path, atFriday)
	if code != 4 || errs != "" {
		t.Fatalf("exit %d, want 4 as search is unknown: %s", code, errs)
	}
	contain(t, out, "SLO            SLI  OBJECTIVE               LEFT    1h    6h    1d    3d  PERIOD  LASTS  BAND\n",
		"checkout   99.943%      99.9%  ███░░░░░    43.7%  0.10  0.10  0.10  0.10    0.56   >30d  yellow\n",
		"payments   99.492%      99.9%  ░░░░░░░░  -220.6%  43.5  43.5  43.5  29.6    5.08  spent  red\n",
		"search           –      99.9%            unknown     –     –     –     –       –      –  unknown\n",
		"? search is unknown, stale: the series of total ended",
		"! checkout depends on payments, which has -220.6% left\n", "! checkout depends on search, which is unknown (stale)\n",
		"! mail has a history of 12d of 30d: its share is of what was seen\n",
		`! payments raises the alert "critical": less than 10.0% is left; tell pagerduty`,
		"red      allows nothing; Feature freeze; Emergency fixes only; Incident review required\n",
		"4 SLOs, 1 overspent, 1 unknown\n")

	code, out, _ = typed(t, "slo", "status", path, atFriday, "--slo", "checkout")
	if code != 0 {
		t.Errorf("exit %d for a budget that is known", code)
	}
	contain(t, out, "Checkout requests answered without a 5xx\n", "objective  99.9% over 30d\n", "99.943%: 29,184 bad of 51,869,184 events\n",
		"43.7% of 51,869 events", "yellow of standard: allows game-day, deploy; ", "owner      team-checkout", "runbook    https://wiki.example.com/checkout")

	code, out, _ = typed(t, "slo", "status", path, atFriday, "--slo", "payments")
	if code != 0 {
		t.Errorf("exit %d", code)
	}
	contain(t, out, "over calendar month (Europe/Berlin)", "until 2026-04-01 00:00 CEST; at the burn of the last 1h, 1926% consumed at its end", "it is spent")

	// A month that has only begun is not known to be good.
	code, out, _ = typed(t, "slo", "status", path, "--at", "2026-02-28T23:00:30Z", "--slo", "payments")
	if code != 4 {
		t.Errorf("exit %d", code)
	}
	contain(t, out, "unknown, too early: the period began 30s ago")

	if code, _, errs = typed(t, "slo", "status", path, "--slo", "chekout"); code != 2 || !strings.Contains(errs, `did you mean "checkout"?`) {
		t.Errorf("exit %d: %s", code, errs)
	}
	if code, _, errs = typed(t, "slo", "status", path, "--at", "yesterday"); code != 2 || !strings.Contains(errs, "2026-03-31T23:59:59Z") {
		t.Errorf("exit %d: %s", code, errs)
	}
	if code, _, errs = typed(t, "slo", "status", path, atFriday, "--watch"); code != 2 || !strings.Contains(errs, "leave one of them out") {
		t.Errorf("exit %d: %s", code, errs)
	}
}

func TestSLOStatusAsJSON(t *testing.T) {
	t.Parallel()
	path := shopSLOs(t, promtest.Start(t, shopMonth()))
	code, out, errs := typed(t, "slo", "status", path, atFriday, "--json")
	if code != 4 || errs != "" {
		t.Fatalf("exit %d: %s", code, errs)
	}
	// Read as programs read it, and not through the types that wrote it.
	var got struct {
		SLOs []map[string]any `json:"slos"`
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil || len(got.SLOs) != 4 {
		t.Fatalf("%v in\n%s", err, out)
	}
	number := func(slo int, path ...string) float64 {
		var v any = got.SLOs[slo]
		for _, name := range path {
			v = v.(map[string]any)[name]
		}
		n, ok := v.(float64)
		if !ok {
			return math.NaN() // null
		}
		return n
	}
	for _, c := range []struct {
		slo  int
		path []string
		want float64
	}{
		{0, []string{"objective"}, 0.999}, {0, []string{"budget", "consumed"}, 0.56264}, {0, []string{"budget", "remaining"}, 0.43736},
		{0, []string{"events", "bad"}, 29184}, {0, []string{"period", "history_seconds"}, 30 * 86400},
		{1, []string{"budget", "remaining"}, -2.2064}, {1, []string{"lasts_seconds"}, 0}, {1, []string{"budget", "so_far"}, 33940},
		{2, []string{"budget", "remaining"}, math.NaN()}, {2, []string{"sli"}, math.NaN()}, {2, []string{"events", "total"}, math.NaN()}, {2, []string{"lasts_seconds"}, math.NaN()},
		{3, []string{"sli"}, 1}, {3, []string{"period", "history_seconds"}, 12 * 86400}, {3, []string{"lasts_seconds"}, math.NaN()},
	} {
		if n := number(c.slo, c.path...); math.IsNaN(n) != math.IsNaN(c.want) || math.Abs(n-c.want) > 1e-3*math.Abs(c.want) {
			t.Errorf("slo %d: %v is %v, want %v", c.slo, c.path, n, c.want)
		}
	}
	if got.SLOs[2]["condition"] != "stale" || got.SLOs[2]["band"] != "unknown" || got.SLOs[0]["condition"] != "known" || got.SLOs[2]["why"] == nil {
		t.Errorf("conditions: %v, %v", got.SLOs[2], got.SLOs[0])
	}
	burns, _ := got.SLOs[1]["burn_rates"].([]any)
	if first, _ := burns[0].(map[string]any); len(burns) != 5 || first["window_seconds"] != 3600.0 || math.Abs(first["rate"].(float64)-43.5) > 0.1 {
		t.Errorf("burn rates %v", burns)
	}
}

func TestSLOStatusOfAServerThatIsAwayOrLies(t *testing.T) {
	t.Parallel()
	away := httptest.NewServer(http.NotFoundHandler())
	away.Close()
	lies := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("<html>\x1b[2Jlog in</html>"))
	}))
	defer lies.Close()
	for url, want := range map[string]string{away.URL: "cannot be reached", lies.URL: "not of the Prometheus API"} {
		code, out, _ := typed(t, "slo", "status", shopSLOs(t, url), atFriday)
		if code != 4 {
			t.Errorf("exit %d, want 4", code)
		}
		contain(t, out, want, "4 SLOs, 4 unknown")
		if strings.Contains(out, "100") || strings.Contains(out, "\x1b") {
			t.Errorf("it says more than it knows:\n%q", out)
		}
	}
}

func TestAWatchRedrawsUntilItIsInterrupted(t *testing.T) {
	t.Parallel()
	path := shopSLOs(t, promtest.Start(t, shopMonth()))
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	gameday, err := gamedayProgram()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(ctx, gameday, "slo", "status", path, "--watch", "--every", "1s", "--slo", "mail")
	command.Env = os.Environ()
	reader, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	// Now is long after the shop's month: its series have ended.
	var seen bytes.Buffer
	chunk := make([]byte, 4096)
	for strings.Count(seen.String(), "unknown") < 6 {
		n, err := reader.Read(chunk)
		seen.Write(chunk[:n])
		if err != nil {
			t.Fatalf("%v after\n%s", err, seen.String())
		}
	}
	if err := command.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = reader.Read(chunk)
	}
	if err := command.Wait(); err != nil {
		t.Errorf("a watch that was interrupted ended with %v", err)
	}
}
