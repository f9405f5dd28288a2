package scenarios

import (
	"strconv"
	"strings"
	"testing"
)

func TestFormatAlignsAndIsStable(t *testing.T) {
	got, diags := Format("a.hcl", []byte("locals {\na=1\n  long = 2\n}"))
	if diags.HasErrors() {
		t.Fatal(diags.Error())
	}
	again, _ := Format("a.hcl", got)
	if string(again) != string(got) || !strings.HasSuffix(string(got), "\n") || !strings.Contains(string(got), "  a ") {
		t.Errorf("got %q, then %q", got, again)
	}
}

func TestFormatLeavesWhatDoesNotParse(t *testing.T) {
	for name, source := range map[string]string{
		"a syntax error": "locals {", "brackets without end": "a = " + strings.Repeat("(", 200_000), "not UTF-8": "\xc3\x28",
	} {
		t.Run(name, func(t *testing.T) {
			got, diags := Format("a.hcl", []byte(source))
			if !diags.HasErrors() || string(got) != source {
				t.Errorf("diagnostics %v, %d bytes of %d", diags.Err(), len(got), len(source))
			}
		})
	}
}

func TestTheScanKnowsWhatIsNoBracket(t *testing.T) {
	many := strings.Repeat("(", 1000)
	for name, source := range map[string]string{
		"a comment":                     "# " + many + "\n// " + many + "\n/* " + many + " */",
		"a string":                      `a = "` + many + `"`,
		"a string with escapes":         `a = "\"$${%%{` + many + `"`,
		"a heredoc":                     "a = <<EOT\n" + many + "\nEOT\n",
		"an indented heredoc":           "a = <<-EOT\n  " + many + "\n  EOT\n",
		"a string in a template":        `a = "${"` + many + `"}"`,
		"brackets side by side":         "a = [" + strings.Repeat("(1),", 2000) + "]",
		"operators on many lines":       strings.Repeat("a = 1 + 1 + 1\n", 1000),
		"a hundred brackets":            "a = " + strings.Repeat("(", 100) + "1" + strings.Repeat(")", 100),
		"a heredoc with a false marker": "a = <<EOT\nEOT2 " + many + "\nEOT\n",
	} {
		t.Run(name, func(t *testing.T) {
			if at := tooDeep([]byte(source)); at >= 0 {
				t.Errorf("refused at %d", at)
			}
		})
	}
	for name, source := range map[string]string{
		"after a heredoc":        "a = <<EOT\nx\nEOT\nb = " + many,
		"after a comment":        "/* x */ b = " + many,
		"in a template":          `a = "${` + many + `"`,
		"in a heredoc template":  "a = <<EOT\n${" + many + "\nEOT\n",
		"directives":             `a = "` + strings.Repeat("%{ if true }", 1000) + `"`,
		"after a broken string":  "a = \"x\nb = " + many,
		"chained questions":      "a = " + strings.Repeat("true ? 1 : ", 1000) + "2",
		"an operator over lines": "a = (1" + strings.Repeat("\n+ 1", 1000) + ")",
	} {
		t.Run(name, func(t *testing.T) {
			if tooDeep([]byte(source)) < 0 {
				t.Error("let through")
			}
		})
	}
}

func TestShortTextsDoNotBecomeGigabytes(t *testing.T) {
	doubling := "locals {\n a0 = \"xxxxxxxxxxxxxxxx\"\n"
	for i := range 40 {
		doubling += strings.ReplaceAll(strings.ReplaceAll(" aN = \"${local.aM}${local.aM}\"\n", "N", strconv.Itoa(i+1)), "M", strconv.Itoa(i))
	}
	for name, source := range map[string]string{
		"Local too large":            doubling + "}",
		tooMuchSummary:               `locals { a = format("%999999999d", 1) }`,
		"no function named \"setpro": `locals { a = setproduct([1], [2]) }`,
	} {
		t.Run(name, func(t *testing.T) {
			if got := refuse(t, source, Options{}); !strings.Contains(got, name) {
				t.Errorf("said:\n%s", got)
			}
		})
	}
}
