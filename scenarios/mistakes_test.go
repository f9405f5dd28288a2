package scenarios

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
)

// oneProblem loads a file and gives its only diagnostic, as "line: summary: detail".
func oneProblem(t *testing.T, source string, options Options) string {
	t.Helper()
	language, _ := testLanguage()
	_, diags := language.Load(write(t, "main.hcl", source), options)
	if len(diags.list) != 1 {
		t.Fatalf("%d diagnostics, want one:\n%s", len(diags.list), text(t, diags))
	}
	return brief(diags.list[0])
}

func brief(d *hcl.Diagnostic) string {
	line := 0
	if d.Subject != nil {
		line = d.Subject.Start.Line
	}
	return fmt.Sprintf("%d: %s: %s", line, d.Summary, d.Detail)
}

// TestOneMistakeOfSyntaxIsOneDiagnostic writes each line into the probe of a
// scenario that is right: what follows from the mistake must not be told as well.
func TestOneMistakeOfSyntaxIsOneDiagnostic(t *testing.T) {
	for line, want := range map[string]string{
		`url = 'http://a/'`:                     `2: Invalid character: Single quotes are not valid`,
		"url = “http://a/”":                     `2: Invalid character: "Curly quotes" are not valid`,
		`url = http://127.0.0.1/`:               `2: Text without quotes: Write url = "http://127.0.0.1/".`,
		`url = 127.0.0.1`:                       `2: Text without quotes: Write url = "127.0.0.1".`,
		`url = localhost:80`:                    `2: Text without quotes: Write url = "localhost:80".`,
		`url = /healthz`:                        `2: Text without quotes: Write url = "/healthz".`,
		`every = 30s`:                           `2: Text without quotes: Write every = "30s".`,
		`every = 1m30s # often`:                 `2: Text without quotes: Write every = "1m30s".`,
		`weight = 99.5%`:                        `2: Text without quotes: Write weight = "99.5%".`,
		`url = "http://a/`:                      `2: String without an end: There is no closing quote on this line.`,
		`url = "${var.x"`:                       `2: Template without an end: There is no } for this ${.`,
		`url = ${var.x}`:                        `2: Template outside of a text: ${ } stands within quotes`,
		`url = "${}"`:                           `2: Value expected: `,
		`url = "a" +`:                           `2: Value expected: `,
		`url = "a" "b"`:                         `2: Line that goes on: `,
		`url = "a";`:                            `2: Invalid character: The ";" character is not valid.`,
		`url = upper("a"`:                       `3: Bracket without an end: `,
		`codes = [200, 201`:                     `3: Bracket without an end: `,
		`codes = [200 201]`:                     `2: Comma expected: `,
		`url: "http://a/"`:                      `2: Equals sign expected: Write url = value`,
		`url => "http://a/"`:                    `2: Equals sign expected: Write url = value`,
		`url "http://a/"`:                       `2: Equals sign expected: Write url = "http://a/"`,
		`"url" = "http://a/"`:                   `2: Name in quotes: `,
		`url`:                                   `2: Attribute or block expected: "url" stands here alone`,
		`- url = "http://a/"`:                   `2: Attribute or block expected: Write name = value`,
		`url = "\d"`:                            `2: Unknown escape: `,
		`tls { ca = "x", insecure = true }`:     `2: Several things on one line: `,
		"url = <<EOT\nhttp://a/":                `2: Heredoc without an end: There is no line that holds only the marker of <<EOT.`,
		"url = \"http://a/\"\n url = \"b\"":     `3: Duplicate attribute: The attribute "url" was already set at `,
		"url = \"http://a/\"\n/* comment":       `3: Comment without an end: `,
		"url = \"http://a/\"\n}\n":              `5: Brace that closes nothing: `,
		"tls {\n ca = \"x\"":                    `2: Block without an end: `,
		"url = \"http://a/\"\n  retry {\n":      `3: Block without an end: `,
		"url = \"http://a/\x00\"":               `2: Control character: A control character (0x00) stands here`,
		"url = \"%{ iff true }x%{ endif }\"":    `2: Invalid template control keyword: "iff" is not a valid template control keyword. Did you mean "if"?`,
		"url = \"%{ if true }x\"":               `2: Unexpected end of template: `,
		"timeout = 1e99999999\nurl = \"http:\"": `2: Number too large: `,
	} {
		t.Run(line, func(t *testing.T) {
			got := oneProblem(t, "probe \"http\" \"door\" {\n  "+line+"\n}\n\nscenario \"s\" {\n  hypothesis \"it answers\" { probe = probe.door }\n"+
				"  fault \"pod_kill\" \"kill\" { selector = \"app=checkout\" }\n}\n", Options{})
			if !strings.HasPrefix(got, want) {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
	for source, want := range map[string]string{
		`{ "scenario": {} }`:            "1: Not a scenario file: This looks like JSON.",
		"scenario:\n":                   "1: Equals sign expected: ",
		`scenario "s-${var.x}" {` + "}": "1: Template in a label: ",
		"scenario “s” {\n}\n":           `1: Invalid character: "Curly quotes"`,
		"slo \"a\" {\n  objective = \"99%\"\n  sli {\n  bad = \"a\"\n  total = \"b\"\n}\n": "3: Block without an end: ",
	} {
		if got := oneProblem(t, source, Options{}); !strings.HasPrefix(got, want) {
			t.Errorf("%s\ngot  %s\nwant %s", source, got, want)
		}
	}
}

// TestOneMistakeIsOneDiagnostic changes one thing in a scenario that is right.
func TestOneMistakeIsOneDiagnostic(t *testing.T) {
	const right = `variable "pace" { default = "1s" }
slo "checkout" {
  objective = "99%"
  sli {
    bad   = "a"
    total = "b"
  }
}
probe "http" "door" {
  url   = "http://127.0.0.1/"
  every = var.pace
}
scenario "s" {
  hypothesis "it answers" { probe = probe.door }
  hypothesis "it is met" { slo = slo.checkout }
  fault "pod_kill" "kill" { selector = "app=checkout" }
  fault "pod_kill" "again" {
    selector = "app=checkout"
    after    = fault.kill
  }
  guard "burn_rate" "page" { slo = slo.checkout }
}
`
	for _, c := range []struct{ before, after, want string }{
		{`probe "http" "door"`, `probe "http"`, `9: Missing label: Write probe "kind" "name" { ... }; this one has no name.`},
		{`probe "http" "door"`, `probe "http" "1door"`, `9: Name not allowed: `},
		{`probe "http" "door"`, `prob "http" "door"`, `9: Unknown block: There is no block "prob". Did you mean "probe"?`},
		{`probe "http" "door"`, `probe "htp" "door"`, `9: Unknown kind: `},
		{`variable "pace" { default = "1s" }`, `variable "pace" { dfault = "1s" }`, `1: Unknown attribute: The variable "pace" has no attribute "dfault". Did you mean "default"?`},
		{`variable "pace" { default = "1s" }`, `variable "pace" { typ = string }`, `1: Unknown attribute: `},
		{`variable "pace" { default = "1s" }`, `variable "pace" { type = "string" }`, `1: Not a type: `},
		{`variable "pace" { default = "1s" }`, `variable "pace" { type = strng }`, `1: Not a type: "strng" is not a type. Did you mean "string"?`},
		{`variable "pace" { default = "1s" }`, `variable { default = "1s" }`, `1: Missing label: `},
		{`variable "pace" { default = "1s" }`, `varable "pace" { default = "1s" }`, `1: Unknown block: `},
		{`variable "pace" { default = "1s" }`, `variable "pace" {}`, `1: Variable without a value: `},
		{`objective = "99%"`, `objective "99%" {}`, `3: Attribute expected: `},
		{`sli {`, `sli = {`, `4: Block expected: `},
		{`sli {`, `sly {`, `4: Unknown block: The slo "checkout" has no block "sly". Did you mean "sli"?`},
		{"  sli {\n    bad   = \"a\"\n    total = \"b\"\n  }\n", "", `17: Guard on an SLO that is never measured: `},
		{`probe = probe.door`, `probe = door`, `14: Incomplete reference: A reference begins with what it refers to. Did you mean "probe.door"?`},
		{`probe = probe.door`, `probe = "door"`, `14: Wrong type: The attribute "probe" of hypothesis "it answers": This is a text; a reference to a probe or a journey is needed: write probe.door without quotes.`},
		{`probe = probe.door`, `probe = "probe.door"`, `14: Wrong type: `},
		{`after    = fault.kill`, `after    = "kill"`, `19: Wrong type: The attribute "after" of fault "pod_kill": This is a text; a reference to a fault is needed: write fault.kill without quotes.`},
		{`after    = fault.kill`, `after    = kill`, `19: Incomplete reference: `},
		{`fault "pod_kill" "kill"`, `fault "pod_kill"`, `16: Missing label: `},
		{`fault "pod_kill" "kill"`, `falt "pod_kill" "kill"`, `16: Unknown block: `},
		{`fault "pod_kill" "kill"`, `fault "kill" "kill"`, `16: Unknown kind: There is no fault of the kind "kill". Did you mean "pod_kill"?`},
		{"}\nscenario \"s\" {\n", "}\nscenario \"s\" {\n  probe \"http\" \"other\" { url = \"http://127.0.0.1/\" }\n", `14: Misplaced block: A block probe stands beside the scenario`},
		{`selector = "app=checkout" }`, `selectro = "app=checkout" }`, `16: Unknown attribute: `},
		{`every = var.pace`, `every = var.pace + 1`, `11: Invalid operand: `},
		{`variable "pace" { default = "1s" }`, "variable \"pace\" {\n type = number\n default = \"x\" \n}", `3: Wrong type: The default of var.pace does not have the type number`},
		{`every = var.pace`, `every = "30 s"`, `11: Not a duration: The attribute "every" of probe "http": "30 s" is not a duration; write "30s".`},
	} {
		t.Run(c.after, func(t *testing.T) {
			source := strings.Replace(right, c.before, c.after, 1)
			if source == right {
				t.Fatalf("%q is not in the scenario", c.before)
			}
			language, _ := testLanguage()
			_, diags := language.Load(write(t, "main.hcl", source), Options{})
			if errors, _ := diags.Count(); errors != 1 {
				t.Fatalf("%d errors:\n%s", errors, text(t, diags))
			}
			if got := brief(diags.list[0]); len(diags.list) != 1 || !strings.HasPrefix(got, c.want) {
				t.Errorf("got  %s\nwant %s", text(t, diags), c.want)
			}
		})
	}
}

func TestWhatADurationOrAPercentWasMeantToBeIsTold(t *testing.T) {
	for text, want := range map[string]string{
		"30 s": "30s", "-1s": "1s", "1m30": "1m30s", "30": "30s", "2 minutes": "2m", "5 min": "5m", "1 hour": "1h", "250 msec": "250ms",
		"1,5s": "1.5s", "30S": "30s", "soon": "", "": "", "1x": "",
	} {
		if got := guess(text, durationType); got != want {
			t.Errorf("the duration %q was guessed to be %q, want %q", text, got, want)
		}
	}
	for text, want := range map[string]string{"99": "99%", "99,5%": "99.5%", "99.5 %": "99.5%", "99 percent": "99%", "101%": "", "most": ""} {
		if got := guess(text, percentType); got != want {
			t.Errorf("the percent %q was guessed to be %q, want %q", text, got, want)
		}
	}
	for text, want := range map[string]string{"30s-120s": "30s..120s", "30s to 2m": "30s..2m", "30..60": "30s..60s", "30 s": "30s", "2m..1m": "", "a..b": ""} {
		if got := guess(text, rangeType); got != want {
			t.Errorf("the range %q was guessed to be %q, want %q", text, got, want)
		}
	}
}

func TestMistakesBeforeASyntaxErrorAreToldWithIt(t *testing.T) {
	language, _ := testLanguage()
	dir := write(t, "a.hcl", "probe \"http\" \"door\" { ulr = \"http://127.0.0.1/\" }\nlocals { a = }\nlocals { b = probe.gone }\n",
		"b.hcl", "senario \"s\" {}\nlocals { c = local.gone }\n")
	_, diags := language.Load(dir, Options{})
	var got []string
	for _, d := range diags.list {
		got = append(got, filepath.Base(d.Subject.Filename)+":"+d.Summary)
	}
	if want := "a.hcl:Unknown attribute, a.hcl:Value expected, b.hcl:Unknown block"; strings.Join(got, ", ") != want {
		t.Errorf("got  %s\nwant %s", strings.Join(got, ", "), want)
	}
}

func TestAnUnreadableFileOfADirectoryIsOneDiagnostic(t *testing.T) {
	dir := write(t, "a.hcl", "\xff\xfex", "b.hcl", strings.ReplaceAll(minimal, "probe \"http\" \"door\" {\n  url = \"http://127.0.0.1/\"\n}\n", ""))
	language, _ := testLanguage()
	_, diags := language.Load(dir, Options{})
	if len(diags.list) != 1 || diags.list[0].Summary != "Not UTF-8" {
		t.Errorf("said:\n%s", text(t, diags))
	}
}

func TestAPipeInADirectoryIsNotWaitedFor(t *testing.T) {
	dir := write(t, "a.hcl", minimal)
	if err := os.Symlink("b.hcl", filepath.Join(dir, "b.hcl")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "real"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("real", filepath.Join(dir, "c.hcl")); err != nil {
		t.Fatal(err)
	}
	makePipe(t, filepath.Join(dir, "d.hcl"))
	language, _ := testLanguage()
	_, diags := language.Load(dir, Options{})
	if len(diags.list) != 3 {
		t.Errorf("said:\n%s", text(t, diags))
	}
	for _, d := range diags.list {
		if d.Summary != "Unreadable file" {
			t.Errorf("said:\n%s", text(t, diags))
		}
	}
}

// TestEvaluationEnds has short files that would take hours, or all memory.
func TestEvaluationEnds(t *testing.T) {
	const letters = "a = join(\"\", [for i in range(1000): \"xxxxxxxxxx\"])\n "
	for source, want := range map[string]string{
		"b = \"%{ for x in range(1000) }%{ for y in range(1000) }%{ for z in range(1000) }x%{ endfor }%{ endfor }%{ endfor }\"": tooMuchSummary,
		"b = [for x in range(1000): [for y in range(1000): [for z in range(1000): z]]]":                                         tooMuchSummary,
		letters + "b = replace(replace(local.a, \"x\", local.a), \"x\", local.a)":                                               tooMuchSummary,
		letters + "b = join(local.a, [for i in range(1024): join(local.a, [for j in range(1024): \"\"])])":                      tooMuchSummary,
		letters + "b = [for x in range(1024): [for y in range(100): \"${local.a}${local.a}\"]]":                                 tooMuchSummary,
		"b = format(\"%999999999d\", 1)":            tooMuchSummary,
		"b = format(\"%99999999999999999999d\", 1)": tooMuchSummary,
		letters + "b = formatlist(\"%s%s\", range(1024), join(\"\", [for i in range(100): local.a]))": tooMuchSummary,
		"b = \"${1e99999999}\"":         "Number too large",
		"b = tonumber(\"1e99999999\")":  "Error in function call",
		"b = pow(10, 1e300)":            "Error in function call",
		"b = 1 / 0":                     "Number too large",
		"b = jsondecode(\"1e9999999\")": "Error in function call",
	} {
		t.Run(source, func(t *testing.T) {
			got := oneProblem(t, "locals {\n "+source+"\n}\n", Options{})
			if _, summary, _ := strings.Cut(got, ": "); !strings.HasPrefix(summary, want) {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
	vars := write(t, "vars.hcl", "pace = [for a in [1, 2, 3]: 1e99999999]\n")
	got := oneProblem(t, "variable \"pace\" { default = null }\nprobe \"gauge\" \"g\" { name = var.pace }", Options{VarFiles: []string{filepath.Join(vars, "vars.hcl")}})
	if !strings.Contains(got, "Number too large") {
		t.Errorf("in a file of variables: %s", got)
	}
	if got := oneProblem(t, "variable \"pace\" { default = 1 }\nprobe \"gauge\" \"g\" { name = var.pace }", Options{Vars: []string{"pace=1e99999999"}}); !strings.Contains(got, "Number too large") {
		t.Errorf("from --var: %s", got)
	}
}

func TestAHundredDiagnosticsAreShownAndTheRestIsCounted(t *testing.T) {
	language, _ := testLanguage()
	_, diags := language.Load(write(t, "main.hcl", strings.Repeat("senario \"x\" {}\n", 150)), Options{})
	got := text(t, diags)
	if strings.Count(got, "Error:") != 100 || !strings.HasSuffix(got, "\n50 more are not shown.\n") {
		t.Errorf("said:\n%s", got[len(got)-300:])
	}
}

func TestLengthIsOfListsMapsAndTexts(t *testing.T) {
	language, _ := testLanguage()
	source := "locals {\n  sum = length(\"häuser\") + length([1, 2]) + length({ a = 1 })\n}\nprobe \"gauge\" \"g\" { name = local.sum == 10 ? \"ten\" : local.sum }\n" +
		"scenario \"s\" {\n  hypothesis \"h\" {\n    probe = probe.g\n    value_at_most = 1\n  }\n  fault \"pod_kill\" \"k\" { selector = \"x\" }\n}\n"
	c, diags := language.Load(write(t, "main.hcl", source), Options{})
	if len(diags.list) > 0 {
		t.Fatal(text(t, diags))
	}
	if value := c.localByName["sum"]; value == nil || c.Open(t.Context()) != nil {
		t.Fatal("the local is not there")
	}
	defer func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}()
	list, diags := c.Experiments()
	if len(diags.list) > 0 {
		t.Fatal(text(t, diags))
	}
	if gauge, ok := list[0].Probes[0].Probe.(*testGauge); !ok || gauge.Name != "9" {
		t.Errorf("the sum is %+v, want 9", list[0].Probes[0].Probe)
	}
}
