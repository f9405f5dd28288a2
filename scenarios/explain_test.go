package scenarios

import (
	"bytes"
	"io/fs"
	"strings"
	"testing"
	"unicode/utf8"
)

func explain(t *testing.T, topic, kind string) string {
	t.Helper()
	language, _ := testLanguage()
	var out bytes.Buffer
	if err := language.Explain(&out, topic, kind); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestEveryBlockAndKindIsExplainedInEightyColumns(t *testing.T) {
	language, _ := testLanguage()
	overview := explain(t, "", "")
	for _, doc := range language.Describe() {
		got := explain(t, doc.Topic, doc.Kind)
		if !strings.Contains(got, doc.Summary) {
			t.Errorf("%s %s: the summary is missing:\n%s", doc.Topic, doc.Kind, got)
		}
		if name := doc.Topic + doc.Kind; doc.Kind == "" && !strings.Contains(overview, "  "+name) {
			t.Errorf("the overview lacks %s", name)
		}
		text, _, _ := strings.Cut(got, "\nExample\n")
		for line := range strings.Lines(text) {
			if utf8.RuneCountInString(strings.TrimRight(line, "\n")) > 80 {
				t.Errorf("%s %s: longer than 80 columns: %s", doc.Topic, doc.Kind, line)
			}
		}
	}
}

func TestAKindIsExplainedWithItsAttributesAndAShippedExample(t *testing.T) {
	got := explain(t, "fault", "toxiproxy_latency")
	for _, want := range []string{
		`fault "toxiproxy_latency" "name" { ... }`,
		"latency  (a duration, required)",
		`jitter  (a duration, default "0s")`,
		`direction  (downstream | upstream, default "downstream")`,
		"share  (a number, in ratio, optional)",
		"toxiproxy  (a reference to a toxiproxy, default the toxiproxy that is",
		"Schedule (every fault)\n  at  (a duration, default \"0s\")",
		"\nExample\n  fault \"toxiproxy_latency\" ",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the explanation lacks %q:\n%s", want, got)
		}
	}
	if got != explain(t, "toxiproxy_latency", "") {
		t.Error("without its topic the kind is explained differently")
	}
	if nested := explain(t, "probe", "http"); !strings.Contains(nested, "tls  (a block, optional)") || !strings.Contains(nested, "      ca  (a text, required)") || !strings.Contains(nested, "retry  (a block, may be repeated)") {
		t.Errorf("nested blocks are missing:\n%s", nested)
	}
	if values := explain(t, "sandbox", ""); !strings.Contains(values, "sandbox.NAME.metrics_url") {
		t.Errorf("the values are missing:\n%s", values)
	}
}

func TestWhatCannotBeExplainedIsSuggested(t *testing.T) {
	language, _ := testLanguage()
	for _, c := range []struct{ topic, kind, want string }{
		{"falt", "", `did you mean "fault"?`},
		{"fault", "toxiproxy_latecny", `did you mean "toxiproxy_latency"?`},
		{"fault", "weather", "there is: toxiproxy_latency, pod_kill"},
		{"variable", "x", "a variable has no kinds"},
		{"qqqqqqqq", "", "`gameday explain` lists what there is"},
	} {
		var out bytes.Buffer
		err := language.Explain(&out, c.topic, c.kind)
		if err == nil || !strings.Contains(err.Error(), c.want) || out.Len() > 0 {
			t.Errorf("explain %s %s: error %v and text %q, want an error with %q", c.topic, c.kind, err, out.String(), c.want)
		}
	}
}

func TestTheReferenceHoldsEveryAttributeInOneTableRow(t *testing.T) {
	language, _ := testLanguage()
	var out bytes.Buffer
	if err := language.WriteReference(&out); err != nil {
		t.Fatal(err)
	}
	for _, doc := range language.Describe() {
		for _, group := range doc.Groups {
			for _, a := range group.Attributes {
				if !strings.Contains(out.String(), "| `"+a.Name+"` |") {
					t.Errorf("%s %s: %s is not in the reference", doc.Topic, doc.Kind, a.Name)
				}
			}
		}
	}
	for line := range strings.Lines(out.String()) {
		if strings.HasPrefix(line, "|") && strings.Count(line, "|")-strings.Count(line, `\|`) != 4 {
			t.Errorf("a row without three cells: %s", line)
		}
	}
}

func TestShippedExamplesAreInTheCanonicalLayout(t *testing.T) {
	paths, err := fs.Glob(Examples, "examples/*.hcl")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	for _, path := range paths {
		text, err := fs.ReadFile(Examples, path)
		if err != nil {
			t.Fatal(err)
		}
		got, diags := Format(path, text)
		if diags.HasErrors() || !bytes.Equal(got, text) {
			t.Errorf("%s is not as Format writes it: %v", path, diags.Err())
		}
	}
}

func TestTheTablesOfKindsAreChecked(t *testing.T) {
	language, _ := testLanguage()
	if err := language.Verify(); err != nil {
		t.Fatal(err)
	}
	language.Faults = append(language.Faults, language.Faults[0])
	language.DefaultGuards = append(language.DefaultGuards, "moon_phase")
	err := language.Verify()
	for _, want := range []string{"two kinds have that name", `default guard "moon_phase"`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Verify: %v, want %q", err, want)
		}
	}
}
