package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/gameday-sh/gameday/internal/promtest"
)

// madeOf brings a file into HCL and gives the path of what was made.
func madeOf(t *testing.T, source string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "slos.hcl")
	if code, _, stderr := typed(t, "import", source, "--out", path); code != 0 {
		t.Fatalf("import of %s: exit code %d\n%s", source, code, stderr)
	}
	return path
}

// What import makes of each of its cases goes the whole way: it is valid, can be checked,
// and its rules pass their own tests.
func TestWhatIsImportedGoesTheWholeWay(t *testing.T) {
	slow(t)
	promtest.Program(t, "promtool")
	sources, err := filepath.Glob(filepath.Join("..", "..", "internal", "imports", "testdata", "*", "*.yaml"))
	if err != nil || len(sources) < 15 {
		t.Fatalf("%d cases, %v", len(sources), err)
	}
	ruled := 0
	for _, source := range sources {
		t.Run(strings.TrimSuffix(filepath.Base(source), ".yaml"), func(t *testing.T) {
			path := madeOf(t, source)
			if code, stdout, stderr := typed(t, "validate", path); code != 0 {
				t.Fatalf("validate: exit code %d\n%s%s", code, stdout, stderr)
			}
			if !strings.Contains("\n"+read(t, path), "\nslo ") {
				return // a policy, journeys or signals only
			}
			if code, stdout, stderr := typed(t, "slo", "lint", "--offline", path); code > 1 {
				t.Errorf("slo lint: exit code %d\n%s%s", code, stdout, stderr)
			}
			// Without a server nothing is known, and nobody reads it as healthy.
			if code, stdout, stderr := typed(t, "slo", "status", path); code != 4 || !strings.Contains(stdout, "unknown") {
				t.Errorf("slo status: exit code %d\n%s%s", code, stdout, stderr)
			}
			dir := filepath.Dir(path)
			code, _, stderr := typed(t, "rules", "--out", filepath.Join(dir, "rules.yml"), "--tests", filepath.Join(dir, "tests.yml"), path)
			if code != 0 {
				t.Fatalf("rules: exit code %d\n%s", code, stderr)
			}
			for _, kind := range []string{"check", "test"} {
				if kind == "test" && strings.HasPrefix(filepath.Base(source), "methods") {
					continue // a quarter at 50% is days of history, which promtool takes minutes for
				}
				if output, err := promtool(t, dir, kind, "rules", map[string]string{"check": "rules.yml", "test": "tests.yml"}[kind]); err != nil {
					t.Errorf("promtool %s rules: %v\n%s", kind, err, output)
				}
			}
			ruled++
		})
	}
	if ruled < 8 {
		t.Errorf("rules of %d cases were tested", ruled)
	}
}

// A subquery of 5m sees at its next step only what happened: what would fire after 6m
// fires after 10m.
func TestTheTestsOfRulesAllowForTheStepOfASubquery(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "slos.hcl")
	write(t, path, `prometheus {
  url = "http://127.0.0.1:1"
}
slo "recorded" {
  objective = "99.3%"
  sli {
    bad   = "sum_over_time((job:errors:ratio5m{job=\"api\"})[$window:5m])"
    total = "count_over_time((job:errors:ratio5m{job=\"api\"})[$window:5m])"
  }
}
`)
	code, _, stderr := typed(t, "rules", "--out", filepath.Join(dir, "rules.yml"), "--tests", filepath.Join(dir, "tests.yml"), path)
	if code != 0 || !strings.Contains(read(t, filepath.Join(dir, "tests.yml")), "job:errors:ratio5m") {
		t.Fatalf("exit code %d\n%s\n%s", code, stderr, read(t, filepath.Join(dir, "tests.yml")))
	}
	if output, err := promtool(t, dir, "test", "rules", "tests.yml"); err != nil {
		t.Errorf("%v\n%s", err, output)
	}
}

var kept = regexp.MustCompile(`(?ms)^# ((?:journey|golden_signals) ".*?\n# })$`)

// filledIn takes the blocks out of their comments that import keeps to be finished.
func filledIn(t *testing.T, path string, fill ...string) {
	t.Helper()
	n := 0
	text := kept.ReplaceAllStringFunc(read(t, path), func(block string) string {
		n++
		return regexp.MustCompile(`(?m)^# ?`).ReplaceAllString(block, "")
	})
	if n == 0 {
		t.Fatalf("no block is kept in\n%s", text)
	}
	text = strings.NewReplacer(fill...).Replace(text)
	if err := os.WriteFile(path, []byte("prometheus {\n  url = \"http://127.0.0.1:1\"\n}\n"+text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// A block that import keeps as a comment needs nothing but what it says is missing.
func TestWhatImportKeepsToBeFinishedIsValidOnceItIs(t *testing.T) {
	t.Parallel()
	cases := filepath.Join("..", "..", "internal", "imports", "testdata", "plain")
	for name, fill := range map[string][]string{
		"user-journeys.yaml": {"https://...", "https://shop.example.com/"},
		"golden-signals.yaml": {
			`duration           = "..."`, `duration = "http_request_duration_seconds"`,
			`requests           = "..."`, `requests = "http_requests_total"`,
			`errors             = "..."`, `errors = "code=~\"5..\""`,
			`saturation         = "..."`, `saturation = "max(pool_in_use / pool_size)"`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := madeOf(t, filepath.Join(cases, name))
			filledIn(t, path, fill...)
			if code, stdout, stderr := typed(t, "validate", path); code != 0 {
				t.Errorf("exit code %d\n%s%s\n%s", code, stdout, stderr, read(t, path))
			}
		})
	}
}
