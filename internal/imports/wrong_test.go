package imports_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gameday-sh/gameday/internal/imports"
)

func slothWith(objective string) string {
	return fmt.Sprintf("version: prometheus/v1\nservice: s\nslos:\n  - name: x\n    objective: %s\n    sli:\n      events:\n        error_query: sum(rate(a[{{.window}}]))\n        total_query: sum(rate(b[{{.window}}]))\n", objective)
}

func openSLOWith(spec string) string {
	return "apiVersion: openslo/v1\nkind: SLO\nmetadata: {name: x}\nspec:\n  budgetingMethod: Occurrences\n  indicator: {spec: {ratioMetric: {counter: true, bad: {metricSource: {type: Prometheus, spec: {query: sum(a)}}}, total: {metricSource: {type: Prometheus, spec: {query: sum(b)}}}}}}\n" + spec
}

// laughs is a document of few lines that stands for 10^9 values.
func laughs() string {
	text := "version: prometheus/v1\na0: &a0 [x,x,x,x,x,x,x,x,x,x]\n"
	for i := 1; i < 9; i++ {
		text += fmt.Sprintf("a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d,", i-1), 10), ","))
	}
	return text
}

// TestWhatCannotBeReadHasOneErrorAndNothingIsWritten is the input that is wrong or
// hostile.
func TestWhatCannotBeReadHasOneErrorAndNothingIsWritten(t *testing.T) {
	for name, c := range map[string]struct{ text, said string }{
		"ten megabytes":             {"version: prometheus/v1\n#" + strings.Repeat("x", 10_000_000), "larger than 1 MiB"},
		"a billion laughs":          {laughs(), "more than 200000 values, aliases followed"},
		"an alias of itself":        {"slos: &a\n  - *a\n", "a.yaml:2: slos[0][0]: error: the alias *a stands within"},
		"brackets":                  {"version: prometheus/v1\nx: " + strings.Repeat("[", 5000) + strings.Repeat("]", 5000), "nested more than 60 levels deep"},
		"brackets without end":      {"x: " + strings.Repeat("[", 100_000), "not YAML"},
		"a key twice":               {slothWith("99.9") + "    name: y\n", "a.yaml:10: slos[0].name: error: the key stands here for the second time; the first is on line 4"},
		"a key that is a list":      {"slo:\n  ? [a]\n  : b\n", "a key is a list or a mapping"},
		"no YAML":                   {"slo: [a\n b: \"c\n", "not YAML"},
		"a tab":                     {"slo:\n\tname: x\n", "a.yaml:2: error: this is not YAML"},
		"bytes":                     {"\x00\x01\xff\xfe", "not YAML"},
		"nothing":                   {"# nothing\n", "there is nothing in it"},
		"a word":                    {"hello\n", "none of the documents that can be imported"},
		"rules of Prometheus":       {"groups:\n- name: x\n", "none of the documents"},
		"another resource":          {"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n", `kind "ConfigMap" of apiVersion "v1"`},
		"a list with another":       {"apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: ConfigMap\n", "a.yaml:4: items[0]: error"},
		"an older OpenSLO":          {"apiVersion: openslo/v1alpha\nkind: SLO\n", "convert it to openslo/v1"},
		"no kind of OpenSLO":        {"apiVersion: openslo/v1\nkind: Foo\n", `there is no kind "Foo"`},
		"another Sloth":             {"version: prometheus/v2\nslos: []\n", "expected prometheus/v1"},
		"another resource of Sloth": {"apiVersion: sloth.slok.dev/v1\nkind: Foo\n", "expected PrometheusServiceLevel"},
		"100":                       {slothWith("100"), "a.yaml:5: slos[0].objective: error: an objective of 100% leaves no error budget"},
		"0":                         {slothWith("0"), "an objective of 0% leaves nothing to fall short of"},
		"below 0":                   {slothWith("-1"), "leaves nothing to fall short of"},
		"no number":                 {slothWith(".nan"), `".nan" is not a number`},
		"infinity":                  {slothWith(".inf"), `".inf" is not a number`},
		"underscores":               {slothWith("9_9"), `"9_9" is not a number`},
		"a huge exponent":           {slothWith("1e999999999"), "is not a number"},
		"a share for a percent":     {slothWith("0.999"), "if the share is meant, write 99.9"},
		"a list for a number":       {slothWith("[1]"), "expected a text or a number, not a list"},
		"a percent for a share":     {openSLOWith("  objectives: [{target: 99.9}]\n"), "a share such as 0.999"},
		"a target of 1":             {openSLOWith("  objectives: [{target: 1}]\n"), "an objective of 100% leaves no error budget"},
		"two targets":               {openSLOWith("  objectives: [{target: 0.9, targetPercent: 90}]\n"), "there is a target too"},
		"no target":                 {openSLOWith("  objectives: [{displayName: x}]\n"), "neither target nor targetPercent"},
		"no objectives":             {openSLOWith("  description: x\n"), "no spec.objectives"},
		"two windows":               {openSLOWith("  timeWindow: [{duration: 1d, isRolling: true}, {duration: 2d, isRolling: true}]\n  objectives: [{target: 0.9}]\n"), "a list of one item, and this has 2"},
		"a calendar that rolls":     {openSLOWith("  timeWindow: [{duration: 1M, isRolling: true, calendar: {startTime: 2022-01-01, timeZone: UTC}}]\n  objectives: [{target: 0.9}]\n"), "does not roll"},
		"no duration":               {openSLOWith("  timeWindow: [{duration: 1x, isRolling: true}]\n  objectives: [{target: 0.9}]\n"), "not a duration of OpenSLO"},
		"no time":                   {openSLOWith("  timeWindow: [{duration: 1M, calendar: {startTime: soon, timeZone: UTC}}]\n  objectives: [{target: 0.9}]\n"), `"soon" is not a time`},
		"a budget share":            {"error_budget_policy: {thresholds: {green: {min: 150}, red: {max: 150}}}\n", "is not between 0 and 100"},
	} {
		t.Run(name, func(t *testing.T) {
			got := importText(t, "a.yaml", []byte(c.text))
			wrong := got.result.Count(imports.Wrong)
			if !strings.Contains(got.said, c.said) || wrong == 0 || wrong > 1 && name != "a budget share" || wrong != len(got.result.Notes) {
				t.Errorf("%d errors:\n%.2000s", wrong, got.said)
			}
			if len(got.result.File.Blocks)+len(got.result.File.Comment) > 0 {
				t.Error("there is something to write")
			}
		})
	}
}

// TestNothingMovesTheCursorOfATerminal imports texts with escape sequences.
func TestNothingMovesTheCursorOfATerminal(t *testing.T) {
	got := importText(t, "a\x1b[2J.yaml", []byte("slo:\n  name: \"a\\e[31mb\\u202e\"\n  description: \"${x} %{y} \\\"q\\\"\\n\\n# \\e[2J\"\n  target: 99\n  evil: \"\\e[2J\"\n  \"\\e[2Jkey\": 1\n  sli: {numerator: \"rate(a[5m])\", denominator: \"rate(b[5m])\"}\n"))
	if strings.ContainsAny(got.said+got.hcl, "\x1b\u009b\u202e") || got.result.SLOs != 1 {
		t.Errorf("%q\n%q", got.said, got.hcl)
	}
}

// TestSecretsStayWhereTheyAre imports a DataSource with secrets.
func TestSecretsStayWhereTheyAre(t *testing.T) {
	for _, details := range []string{"{url: \"http://ada:hunter2@prometheus:9090\"}", "{url: \"http://prometheus:9090\", token: hunter2, basic: {password: hunter2}}"} {
		got := importText(t, "a.yaml", []byte("apiVersion: openslo/v1\nkind: DataSource\nmetadata: {name: main}\nspec:\n  type: Prometheus\n  connectionDetails: "+details+"\n"))
		if strings.Contains(got.said+got.hcl, "hunter2") || got.result.Count(imports.Lost) == 0 {
			t.Errorf("%s\n%s", got.said, got.hcl)
		}
	}
}

func FuzzImport(f *testing.F) {
	f.Add([]byte(slothWith("99.9")))
	f.Add([]byte(openSLOWith("  objectives: [{target: 0.99}]\n")))
	f.Add([]byte("slo: {name: x, target: 99, sli: {query: a / b}}\nslis: {a: {query: up, threshold: 1}}\n"))
	f.Add([]byte("error_budget_policy: {thresholds: {a: {min: 1}}, alerts: [{threshold: 1}]}\nuser_journeys: [{name: a, steps: [b]}]\ngolden_signals: {latency: {metrics: [a]}}\n"))
	f.Add([]byte(laughs()))
	f.Fuzz(func(t *testing.T, text []byte) {
		got := importText(t, "a.yaml", text)
		if got.result.Count(imports.Wrong) > 0 {
			return
		}
		if err := load([]byte(got.hcl)); err != nil {
			t.Errorf("validate says %v of\n%s", err, got.hcl)
		}
	})
}
