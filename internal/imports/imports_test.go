package imports_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/experiments/probes/prom"
	"github.com/gameday-sh/gameday/internal/blocks"
	"github.com/gameday-sh/gameday/internal/imports"
	"github.com/gameday-sh/gameday/scenarios"
)

// load is what `gameday validate` does with a text, for what can be imported.
func load(text []byte) error {
	language := scenarios.Language{Connections: prom.Connections(), SLIs: prom.SLIs()}
	_, diagnostics := language.LoadText("import.hcl", text, scenarios.Options{})
	return diagnostics.Err()
}

func check(file blocks.File) error {
	text, err := scenarios.Write(file)
	if err == nil {
		err = load(text)
	}
	if err != nil {
		return errors.New(strings.SplitN(err.Error(), "\n", 2)[0])
	}
	return nil
}

// output is everything that an import says.
type output struct {
	hcl    string
	said   string
	result *imports.Result
}

func importText(t *testing.T, name string, text []byte) output {
	t.Helper()
	result := imports.Read([]imports.Input{{Name: name, Text: text}}, check)
	out := output{result: result}
	var said strings.Builder
	for _, note := range result.Notes {
		fmt.Fprintln(&said, note)
	}
	out.said = said.String()
	if result.Count(imports.Wrong) == 0 {
		hcl, err := scenarios.Write(result.File)
		if err != nil {
			t.Fatal(err)
		}
		out.hcl = string(hcl)
	}
	return out
}

func cases(t *testing.T) []string {
	t.Helper()
	list, err := filepath.Glob("testdata/*/*.yaml")
	if err != nil || len(list) < 15 {
		t.Fatalf("the cases are %v, %v", list, err)
	}
	return list
}

func readCase(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestEachCaseIsImportedAsItsGoldensSay(t *testing.T) {
	for _, path := range cases(t) {
		t.Run(path, func(t *testing.T) {
			got := importText(t, filepath.Base(path), readCase(t, path))
			if err := load([]byte(got.hcl)); err != nil {
				t.Errorf("validate says %v of\n%s", err, got.hcl)
			}
			if laid, _ := scenarios.Format("import.hcl", []byte(got.hcl)); string(laid) != got.hcl {
				t.Error("fmt would lay it out differently")
			}
			for suffix, text := range map[string]string{".hcl": got.hcl, ".said": got.said} {
				golden := strings.TrimSuffix(path, ".yaml") + suffix
				if os.Getenv("UPDATE_GOLDEN") != "" {
					if err := os.WriteFile(golden, []byte(text), 0o600); err != nil {
						t.Fatal(err)
					}
				}
				if want := string(readCase(t, golden)); text != want {
					t.Errorf("%s is\n%s\nand this came\n%s", golden, want, text)
				}
			}
		})
	}
}

// walk calls f for each scalar of a document with a way to set its text: the keys and
// the values.
func walk(n *yaml.Node, path string, f func(path string, n *yaml.Node, key bool)) {
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i < len(n.Content); i += 2 {
			key, value := n.Content[i], n.Content[i+1]
			inner := strings.TrimPrefix(path+"."+key.Value, ".")
			f(inner, key, true)
			walk(value, inner, f)
		}
	case yaml.SequenceNode, yaml.DocumentNode:
		for i, item := range n.Content {
			inner := path
			if n.Kind == yaml.SequenceNode {
				inner = fmt.Sprintf("%s[%d]", path, i)
			}
			walk(item, inner, f)
		}
	case yaml.ScalarNode:
		f(path, n, false)
	}
}

func documents(t *testing.T, text []byte) []*yaml.Node {
	t.Helper()
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var list []*yaml.Node
	for {
		var document yaml.Node
		if decoder.Decode(&document) != nil {
			return list
		}
		list = append(list, &document)
	}
}

func encode(t *testing.T, list []*yaml.Node) []byte {
	t.Helper()
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	for _, document := range list {
		if err := encoder.Encode(document); err != nil {
			t.Fatal(err)
		}
	}
	return out.Bytes()
}

// TestAKeyThatNobodyKnowsIsNamed renames each key of each case, one at a time.
func TestAKeyThatNobodyKnowsIsNamed(t *testing.T) {
	const strange = "unheard_of"
	tried := 0
	for _, path := range cases(t) {
		list := documents(t, readCase(t, path))
		for _, document := range list {
			walk(document, "", func(at string, key *yaml.Node, isKey bool) {
				if !isKey || key.Tag == "!!merge" {
					return
				}
				tried++
				old := key.Value
				key.Value = strange
				got := importText(t, "case.yaml", encode(t, list))
				key.Value = old
				if !strings.Contains(got.said+got.hcl, strange) && got.result.Count(imports.Wrong) == 0 {
					t.Errorf("%s: %s as %s is lost in silence:\n%s", path, at, strange, got.said)
				}
			})
		}
	}
	if tried < 400 {
		t.Errorf("only %d keys were tried", tried)
	}
}

// meaningless is what may be any text: the name of an SLI within its SLO, to which
// nothing refers.
func meaningless(path string) bool {
	return strings.HasSuffix(path, "indicator.metadata.name")
}

// TestAValueThatIsReadMatters changes each value of each case, one at a time: either
// what comes out is another, or the value is under a path that is named.
func TestAValueThatIsReadMatters(t *testing.T) {
	tried := 0
	for _, path := range cases(t) {
		list := documents(t, readCase(t, path))
		before := importText(t, "case.yaml", encode(t, list))
		for _, document := range list {
			walk(document, "", func(at string, value *yaml.Node, isKey bool) {
				if isKey || value.Tag == "!!null" || value.Anchor != "" || meaningless(at) {
					return
				}
				tried++
				old := *value
				value.Value = changed(value)
				after := importText(t, "case.yaml", encode(t, list))
				*value = old
				if after.hcl == before.hcl && after.said == before.said && !named(before.result.Notes, at) {
					t.Errorf("%s: %s is %q, and nothing changes where it is %q", path, at, old.Value, changed(&old))
				}
			})
		}
	}
	if tried < 300 {
		t.Errorf("only %d values were tried", tried)
	}
}

func changed(n *yaml.Node) string {
	switch {
	case n.Value == "true":
		return "false"
	case n.Value == "false":
		return "true"
	case n.Tag == "!!int" || n.Tag == "!!float":
		return n.Value + "1"
	}
	return n.Value + "x"
}

// named tells whether a path, or what it is within, is told as not carried over.
func named(notes []imports.Note, path string) bool {
	plain := func(text string) string { return strings.NewReplacer(`["`, ".", `"]`, "").Replace(text) }
	return slices.ContainsFunc(notes, func(n imports.Note) bool {
		return n.Kind == imports.Lost && strings.HasPrefix(plain(path), plain(n.Path))
	})
}

func TestNumbersStayAsTheyAreWritten(t *testing.T) {
	for written, want := range map[string]string{
		"99.9": "99.9%", "99.90": "99.9%", "99": "99%", "99.999": "99.999%", "9.995e1": "99.95%", "95.0": "95%", "99.9999999": "99.9999999%", `"99.9%"`: "99.9%",
	} {
		text := "version: prometheus/v1\nservice: s\nslos:\n  - name: x\n    objective: " + written + "\n    sli:\n      events:\n        error_query: sum(rate(a[{{.window}}]))\n        total_query: sum(rate(b[{{.window}}]))\n"
		if got := importText(t, "a.yaml", []byte(text)); !strings.Contains(got.hcl, `"`+want+`"`) {
			t.Errorf("%s became\n%s%s", written, got.hcl, got.said)
		}
		if _, err := experiments.ParsePercent(want); err != nil {
			t.Error(err)
		}
	}
	for written, want := range map[string]string{"0.999": "99.9%", "0.9995": "99.95%", "0.07": "7%", "0.57": "57%", ".5": "50%", "0.99999": "99.999%"} {
		text := "apiVersion: openslo/v1\nkind: SLO\nmetadata: {name: x}\nspec:\n  budgetingMethod: Occurrences\n  timeWindow: [{duration: 28d, isRolling: true}]\n  objectives: [{target: " + written + "}]\n  indicator: {spec: {ratioMetric: {counter: true, bad: {metricSource: {type: Prometheus, spec: {query: sum(a)}}}, total: {metricSource: {type: Prometheus, spec: {query: sum(b)}}}}}}\n"
		if got := importText(t, "a.yaml", []byte(text)); !strings.Contains(got.hcl, `"`+want+`"`) {
			t.Errorf("%s became\n%s%s", written, got.hcl, got.said)
		}
	}
}

// TestReferencesGoAcrossFiles reads an SLO and its SLI from two files, in either order.
func TestReferencesGoAcrossFiles(t *testing.T) {
	indicator := imports.Input{Name: "sli.yaml", Text: []byte("apiVersion: openslo/v1\nkind: SLI\nmetadata: {name: it}\nspec: {ratioMetric: {counter: true, bad: {metricSource: {type: Prometheus, spec: {query: sum(a_total)}}}, total: {metricSource: {type: Prometheus, spec: {query: sum(b_total)}}}}}\n")}
	objective := imports.Input{Name: "slo.yaml", Text: []byte("apiVersion: openslo/v1\nkind: SLO\nmetadata: {name: x}\nspec: {indicatorRef: it, budgetingMethod: Occurrences, timeWindow: [{duration: 28d, isRolling: true}], objectives: [{target: 0.99}]}\n")}
	for _, inputs := range [][]imports.Input{{indicator, objective}, {objective, indicator}} {
		if result := imports.Read(inputs, check); result.SLOs != 1 || result.Count(imports.Lost) != 0 {
			t.Errorf("%d SLOs, notes %v", result.SLOs, result.Notes)
		}
	}
	result := imports.Read([]imports.Input{indicator, indicator}, check)
	if result.Count(imports.Wrong) != 1 {
		t.Errorf("two SLIs of one name: %v", result.Notes)
	}
}

// TestAListOfKubernetesIsReadItemByItem reads what kubectl get -o yaml writes.
func TestAListOfKubernetesIsReadItemByItem(t *testing.T) {
	item := "- apiVersion: sloth.slok.dev/v1\n  kind: PrometheusServiceLevel\n  metadata: {name: N, resourceVersion: \"7\"}\n  spec:\n    service: s\n    slos:\n    - name: N\n      objective: 99\n      sli: {events: {errorQuery: \"sum(rate(a[{{.window}}]))\", totalQuery: \"sum(rate(b[{{.window}}]))\"}}\n"
	text := "apiVersion: v1\nkind: List\nmetadata: {resourceVersion: \"\"}\nitems:\n" + strings.ReplaceAll(item, "N", "one") + strings.ReplaceAll(item, "N", "two")
	got := importText(t, "list.yaml", []byte(text))
	if got.result.SLOs != 2 || !strings.Contains(got.said, "list.yaml:7: items[0].metadata.resourceVersion: not carried over") {
		t.Errorf("%s\n%s", got.said, got.hcl)
	}
}

// TestADependencyIsReadInEitherOrder ties an slo to one that stands below it, and lets
// no circle come about.
func TestADependencyIsReadInEitherOrder(t *testing.T) {
	text := "slos:\n"
	for _, one := range [][2]string{{"a", "b"}, {"b", "c"}, {"c", "a"}} {
		text += fmt.Sprintf("- {name: %s, target: 99, window: 7d, dependencies: [%s], sli: {numerator: \"sum(rate(x[5m]))\", denominator: \"sum(rate(y[5m]))\"}}\n", one[0], one[1])
	}
	got := importText(t, "a.yaml", []byte(text))
	if !strings.Contains(got.hcl, "depends_on = [slo.b]") || !strings.Contains(got.hcl, "depends_on = [slo.c]") || strings.Contains(got.hcl, "[slo.a]") {
		t.Errorf("%s\n%s", got.said, got.hcl)
	}
	if err := load([]byte(got.hcl)); err != nil {
		t.Error(err)
	}
}

// TestAQueryWithACommentStaysWhole reads a ratio whose last line is a comment.
func TestAQueryWithACommentStaysWhole(t *testing.T) {
	text := "version: prometheus/v1\nservice: s\nslos:\n- name: x\n  objective: 99\n  sli:\n    raw:\n      error_ratio_query: |\n        a:ratio\n        # recorded elsewhere\n"
	if got := importText(t, "a.yaml", []byte(text)); got.result.SLOs != 1 {
		t.Errorf("%s\n%s", got.said, got.hcl)
	}
}

// TestWhatValidateWouldRefuseIsKeptAsAComment has one SLO of that sort among others.
func TestWhatValidateWouldRefuseIsKeptAsAComment(t *testing.T) {
	text := "version: prometheus/v1\nservice: s\nslos:\n"
	for name, function := range map[string]string{"a": "rate", "b": "irate", "c": "rate", "d": "rate", "e": "rate"} {
		text += fmt.Sprintf("- {name: %s, objective: 99, sli: {events: {error_query: \"sum(%s(a[{{.window}}]))\", total_query: \"sum(rate(b[{{.window}}]))\"}}}\n", name, function)
	}
	got := importText(t, "a.yaml", []byte(text))
	if got.result.SLOs != 4 || got.result.Kept != 1 || !strings.Contains(got.hcl, `#     bad   = "sum(irate(a[$window]))"`) || !strings.Contains(got.said, "gameday would refuse it: ") {
		t.Errorf("%s\n%s", got.said, got.hcl)
	}
	if err := load([]byte(got.hcl)); err != nil {
		t.Error(err)
	}
}
