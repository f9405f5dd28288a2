package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/gameday-sh/gameday/internal/promtest"
)

// calculating is held by a promtool that runs.
var calculating sync.Mutex

// promtool runs promtool in a folder; it comes with every Prometheus. It calculates for
// seconds: one at a time, behind whoever measures how long something takes.
func promtool(t testing.TB, dir string, args ...string) (string, error) {
	t.Helper()
	calculating.Lock()
	defer calculating.Unlock()
	cmd := exec.Command("nice", append([]string{promtest.Program(t, "promtool")}, args...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	output, err := cmd.CombinedOutput()
	return string(output), err
}

// ruleFile writes the rules of a configuration to a file in dir.
func ruleFile(t *testing.T, dir, name, configuration string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"rules", "--out", filepath.Join(dir, name), configuration}, nil, &stdout, &stderr); code != 0 {
		t.Fatalf("gameday rules %s: exit code %d\n%s", configuration, code, &stderr)
	}
}

// comparison is a test for promtool of our rules beside others.
type comparison struct {
	name   string
	series map[string]string // values by series, 30 s apart
	expect []expectation
}

type expectation struct {
	why, expr, at string
	want          string // a number, or "" for no sample
}

func compare(t *testing.T, dir string, ruleFiles []string, evaluation string, list []comparison) {
	t.Helper()
	var text strings.Builder
	// Promtool evaluates groups in any order; a server's alerts see the newest records too.
	var order []string
	for _, file := range ruleFiles {
		for _, group := range regexp.MustCompile(`(?m)^ *- name: (\S+)$`).FindAllStringSubmatch(read(t, filepath.Join(dir, file)), -1) {
			order = append(order, group[1])
		}
	}
	fmt.Fprintf(&text, "rule_files: [%s]\nevaluation_interval: %s\ngroup_eval_order: [%s]\ntests:\n", strings.Join(ruleFiles, ", "), evaluation, strings.Join(order, ", "))
	for _, c := range list {
		fmt.Fprintf(&text, "- name: %q\n  interval: 30s\n  input_series:\n", c.name)
		for series, values := range c.series {
			fmt.Fprintf(&text, "  - {series: %q, values: %q}\n", series, values)
		}
		text.WriteString("  promql_expr_test:\n")
		for _, e := range c.expect {
			samples := "[]"
			if e.want != "" {
				samples = "[{labels: '{}', value: " + e.want + "}]"
			}
			fmt.Fprintf(&text, "  # %s\n  - {expr: %q, eval_time: %s, exp_samples: %s}\n", e.why, e.expr, e.at, samples)
		}
	}
	write(t, filepath.Join(dir, "compare.yml"), text.String())
	if output, err := promtool(t, dir, "test", "rules", "compare.yml"); err != nil {
		t.Errorf("%v\n%s\n%s", err, output, text.String())
	}
}

func slothRules(t *testing.T, dir, name string) {
	t.Helper()
	write(t, filepath.Join(dir, "sloth.yml"), read(t, filepath.Join("testdata", "sloth", name+".rules.yml")))
	ruleFile(t, dir, "ours.yml", filepath.Join("testdata", "sloth", name+".hcl"))
}

// sameOrNone expects that our ratios equal Sloth's wherever both have one.
func sameOrNone(slo, until string) []expectation {
	var list []expectation
	for i, e := range same(slo, until, "") {
		if i%2 == 0 {
			list = append(list, e)
		}
	}
	return list
}

// same expects that each of our ratios equals Sloth's at every step, and that there were
// so many steps at which both have one.
func same(slo, until, steps string) []expectation {
	var list []expectation
	for _, window := range []string{"5m", "30m", "1h", "2h", "6h", "1d", "3d"} {
		difference := fmt.Sprintf(`(slo:errors:ratio_rate%[1]s{slo=%[2]q} - on() slo:sli_error:ratio_rate%[1]s{sloth_slo=%[2]q})[%[3]s:1m]`, window, slo, until)
		list = append(list,
			expectation{"the same share over " + window, "max_over_time(abs(" + strings.Replace(difference, "[", ")[", 1) + ") > 1e-12", until, ""},
			expectation{"at each step of " + window, "count_over_time(" + difference + ")", until, steps})
	}
	return list
}

func TestOurRulesGiveTheValuesOfSlothsWhereThoseAreRight(t *testing.T) {
	slow(t)
	const availability = "requests-availability"
	metric := func(labels string) string {
		return `http_request_duration_seconds_count{job="myservice",` + labels + `}`
	}
	sloth := func(window string) string {
		return fmt.Sprintf(`sum(slo:sli_error:ratio_rate%s{sloth_slo=%q})`, window, availability)
	}
	ours := func(window string) string {
		return fmt.Sprintf(`sum(slo:errors:ratio_rate%s{slo=%q})`, window, availability)
	}
	fires := func(matchers string) string {
		return "count(ALERTS{alertstate=\"firing\"," + matchers + "}) or vector(0)"
	}
	page, slothPage := fires(`alertname="SLOErrorBudgetBurn",severity="page"`), fires(`alertname="MyServiceHighErrorRate",sloth_severity="page"`)
	agree := expectation{"pages at the same steps", `sum_over_time(((` + page + `) != bool (` + slothPage + `))[119m:1m])`, "119m", "0"}
	t.Run("requests", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		slothRules(t, dir, "getting-started")
		compare(t, dir, []string{"sloth.yml", "ours.yml"}, "1m", []comparison{
			{"clean", map[string]string{
				metric(`code="200"`): "0+3000x240", metric(`code="500"`): "0+0x240"},
				append(same(availability, "119m", "119"), agree, expectation{"nothing failed", ours("1h"), "119m", "0"})},
			{"a step to 5%, and back", map[string]string{
				metric(`code="200"`): "0+3000x120 362850+2850x39 477000+3000x80", metric(`code="500"`): "0+0x120 150+150x39 6000+0x80"},
				append(same(availability, "119m", "119"), agree, expectation{"both page", page, "75m", "1"})},
			{"resets of counters, one of two pods", map[string]string{
				metric(`code="200",pod="a"`): "0+300x60 0+300x180", metric(`code="500",pod="a"`): "0+5x60 0+5x180",
				metric(`code="200",pod="b"`): "0+200x240", metric(`code="429",pod="b"`): "0+1x240"},
				append(same(availability, "119m", "119"), agree)},
			{"everything fails, and only such series are there", map[string]string{
				metric(`code="503"`): "0+3000x240"},
				append(same(availability, "119m", "119"), agree, expectation{"all events are bad", ours("1h"), "119m", "1"})},
			{"the service is gone", map[string]string{
				metric(`code="200"`): "0+3000x120 stale", metric(`code="500"`): "0+30x120 stale"},
				append(sameOrNone(availability, "119m"), []expectation{
					{"neither says anything of 5 minutes", ours("5m"), "90m", ""}, {"", sloth("5m"), "90m", ""},
					{"and the same of what was", "abs(" + ours("1h") + " - " + sloth("1h") + ") > 1e-12", "90m", ""},
					{"which there is", "count(" + ours("1h") + ")", "90m", "1"},
					{"ours says that the data is gone", fires(`alertname="SLONoData"`), "90m", "1"}}...)},
			// From here on Sloth is wrong.
			{"no request ever failed, and there is no series for failures", map[string]string{
				metric(`code="200"`): "0+3000x240"},
				[]expectation{
					{"Sloth knows nothing", sloth("1h"), "119m", ""}, {"though all is well", ours("1h"), "119m", "0"},
					{"nor of the budget", `slo:period_error_budget_remaining:ratio`, "119m", ""},
					{"which is untouched", `sum(slo:error_budget_remaining:ratio)`, "119m", "1"}}},
			{"no traffic", map[string]string{
				metric(`code="200"`): "0+3000x120 360000+0x120", metric(`code="500"`): "0+0x240"},
				append(sameOrNone(availability, "119m"), []expectation{
					{"Sloth has a number that is none", "count(" + sloth("5m") + " != " + sloth("5m") + ")", "90m", "1"},
					{"which nothing is", ours("5m"), "90m", ""},
					{"and it takes the budget with it", "count(slo:period_error_budget_remaining:ratio != slo:period_error_budget_remaining:ratio)", "90m", "1"},
					{"which is untouched", `sum(slo:error_budget_remaining:ratio)`, "90m", "1"},
					{"and no traffic is no missing data", fires(`alertname="SLONoData"`), "119m", "0"}}...)},
		})
	})
	t.Run("wifi clients", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		slothRules(t, dir, "home-wifi")
		clients := func(name string) string { return `unifipoller_client_satisfaction_ratio{name="` + name + `"}` }
		expect := append(same("good-wifi-client-satisfaction", "119m", "120"), same("risk-wifi-client-satisfaction", "119m", "120")...)
		compare(t, dir, []string{"sloth.yml", "ours.yml"}, "1m", []comparison{
			{"three clients, one of them bad for a while, one that leaves", map[string]string{
				clients("phone"): "0.98+0x240", clients("laptop"): "0.9+0x99 0.6+0x59 0.4+0x19 0.9+0x60", clients("tv"): "0.8+0x150 stale"}, expect},
			{"all are well", map[string]string{clients("phone"): "0.98+0x240"}, expect},
		})
	})
}

// Three days of three hours each: a busy one without errors, a time without traffic, and
// a quiet night in which every twentieth request fails. It is what an average of ratios
// gets wrong: the night weighs as much as the day.
func TestTheRemainingBudgetIsThatOfAllEventsAndNoAverageOfRatios(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	slothRules(t, dir, "getting-started")
	good, bad := "0", "0"
	var g, b int
	phase := func(minutes, goodStep, badStep int) {
		steps := 2 * minutes
		good += fmt.Sprintf(" %d+%dx%d", g+goodStep, goodStep, steps-1)
		bad += fmt.Sprintf(" %d+%dx%d", b+badStep, badStep, steps-1)
		g, b = g+steps*goodStep, b+steps*badStep
	}
	for range 3 {
		phase(37, 6000, 0)
		phase(1, 5800, 200) // an incident of a minute
		phase(52, 3000, 0)
		phase(31, 0, 0) // nobody is there
		phase(50, 19, 1)
		phase(9, 0, 0)
	}
	truth := 1 - float64(b)/float64(g+b)/0.001
	metric := `http_request_duration_seconds_count{job="myservice",code="%s"}`
	compare(t, dir, []string{"sloth.yml", "ours.yml"}, "1m", []comparison{{"three days", map[string]string{
		fmt.Sprintf(metric, "200"): good, fmt.Sprintf(metric, "500"): bad,
	}, []expectation{
		{"ours is there, and exact", fmt.Sprintf("abs(sum(slo:error_budget_remaining:ratio) - %g) < bool 1e-9", truth), "540m", "1"},
		{"Sloth's has no number, as there was a time without traffic", "count(slo:period_error_budget_remaining:ratio >= -1e9) or vector(0)", "540m", "0"},
		{"and with one it would be many budgets off", fmt.Sprintf("sum(1 - avg_over_time((slo:sli_error:ratio_rate5m >= 0)[540m:1m]) / 0.001) < bool %g", truth-10), "540m", "1"},
	}}})
}

// Sloth's rules for 90% are those for 99.9% with another budget.
func TestAnImpossibleFactorIsReplacedByWhatCanFire(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	sloth := strings.ReplaceAll(read(t, filepath.Join("testdata", "sloth", "getting-started.rules.yml")), "0.0009999999999999432", "0.1")
	write(t, filepath.Join(dir, "sloth.yml"), sloth)
	hcl := strings.Replace(read(t, filepath.Join("testdata", "sloth", "getting-started.hcl")), `"99.9%"`, `"90%"`, 1)
	write(t, filepath.Join(dir, "ours.hcl"), hcl)
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"rules", filepath.Join(dir, "ours.hcl")}, nil, &stdout, &stderr); code != 0 {
		t.Fatalf("exit code %d\n%s", code, &stderr)
	}
	want := "slo.requests-availability: a burn rate of 14.4 over 1h is more than all events failing, so that it is watched over 2h at 7.2\n"
	if stderr.String() != want {
		t.Errorf("standard error is %q, want %q", &stderr, want)
	}
	if regexp.MustCompile(`14\.4 \* `).Match(stdout.Bytes()) {
		t.Errorf("the rules hold the factor that cannot be:\n%s", &stdout)
	}
	write(t, filepath.Join(dir, "ours.yml"), stdout.String())
	compare(t, dir, []string{"sloth.yml", "ours.yml"}, "1m", []comparison{{"a total outage", map[string]string{
		`http_request_duration_seconds_count{job="myservice",code="200"}`: "0+3000x720 2160000+0x240",
		`http_request_duration_seconds_count{job="myservice",code="500"}`: "0+0x720 3000+3000x239",
	}, []expectation{
		// 2% of the budget of 10% over 30 days are 1h26m of it.
		{"2% of the budget are not gone", `count(ALERTS{alertname="SLOErrorBudgetBurn",severity="page"}) or vector(0)`, "444m", "0"},
		{"they are", `count(ALERTS{alertname="SLOErrorBudgetBurn",severity="page"}) or vector(0)`, "448m", "1"},
		{"Sloth's 14.4 never fires", `count(slo:sli_error:ratio_rate1h > 14.4 * 0.1)`, "479m", ""},
		{"and nobody was paged", `count(ALERTS{alertname="MyServiceHighErrorRate",sloth_severity="page"}) or vector(0)`, "479m", "0"},
	}}})
}

func TestRulesAreTheSameEachTime(t *testing.T) {
	t.Parallel()
	var before string
	for range 3 {
		var stdout, stderr bytes.Buffer
		if code := run(t.Context(), []string{"rules", filepath.Join("testdata", "sloth", "home-wifi.hcl")}, nil, &stdout, &stderr); code != 0 || stderr.Len() > 0 {
			t.Fatalf("exit code %d\n%s", code, &stderr)
		}
		if before != "" && stdout.String() != before {
			t.Fatal("the rules differ")
		}
		before = stdout.String()
	}
	if _, err := os.Stat(filepath.Join("testdata", "sloth", "README.md")); err != nil {
		t.Error(err) // says where the files are from
	}
}
