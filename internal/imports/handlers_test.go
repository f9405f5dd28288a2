package imports

import (
	"slices"
	"strings"
	"testing"
)

const oneOfSloth = `version: prometheus/v1
service: shop
slos:
  - name: checkout
    description: Answers
    objective: 99.9
    sli:
      events:
        error_query: sum(rate(a[{{.window}}]))
        total_query: sum(rate(b[{{.window}}]))
`

// TestWhatNoHandlerReadsIsNamed takes the handlers away, one at a time.
func TestWhatNoHandlerReadsIsNamed(t *testing.T) {
	input := []Input{{Name: "sloth.yaml", Text: []byte(oneOfSloth)}}
	if whole := read(input, formats(), nil); whole.Count(Lost)+whole.Count(Wrong) != 0 {
		t.Fatalf("with all handlers: %v", whole.Notes)
	}
	for _, key := range []string{"description", "objective", "sli"} {
		less := slothFormat{slo: slices.DeleteFunc(slices.Clone(slothSpec.slo), func(h handler[*slo]) bool { return h.key == key })}
		notes := read(input, []format{{"Sloth", isSloth, less.read}}, nil).Notes
		if !slices.ContainsFunc(notes, func(n Note) bool {
			return n.Kind == Lost && n.Path == "slos[0]."+key && n.Line > 0 && strings.Contains(n.Text, "has nothing for it")
		}) {
			t.Errorf("without the handler of %s: %v", key, notes)
		}
	}
}

func TestNamesBecomeIdentifiers(t *testing.T) {
	for name, want := range map[string]string{
		"web-availability": "web-availability", "Web_2": "Web_2", "API Availability": "api-availability", "a/b.c": "a-b-c",
		"  -x- ": "x", "Über uns": "ber-uns", "99 red": "slo-99-red", "": "", "日本": "", strings.Repeat("a", 200): strings.Repeat("a", 100),
	} {
		if got := identifier(name); got != want {
			t.Errorf("%q became %q, want %q", name, got, want)
		}
	}
}

func TestQueriesCountTheWindow(t *testing.T) {
	for _, c := range []struct{ text, function, want, said string }{
		{"sum(rate(a[{{.window}}]))", "rate", "sum(rate(a[$window]))", ""},
		{"sum(rate(a[{{ .window }}]))", "rate", "sum(rate(a[$window]))", ""},
		{"sum(rate(a[5m] offset 1h))", "rate", "sum(rate(a[$window] offset 1h))", "range of 5m"},
		{"sum(a{b=\"[5m]\"})", "rate", "sum(rate(a{b=\"[5m]\"}[$window]))", "put around a"},
		{"sum(a) - sum(b)", "sum_over_time", "sum(sum_over_time(a[$window])) - sum(sum_over_time(b[$window]))", "around a and b"},
		{"sum_over_time(count(rate(a[5m]) > 1)[30d:1m])", "rate", "sum_over_time(count(rate(a[5m]) > 1)[$window:1m])", "range of 30d"},
		{"sum(rate(a[1m])) + sum(rate(b[5m]))", "rate", "sum(rate(a[$window])) + sum(rate(b[$window]))", "1m and 5m"},
	} {
		q, err := parseQuery(c.text)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		got, said, err := q.count(c.function)
		if err != nil || got.String() != c.want || !strings.Contains(strings.Join(said, ";"), c.said) || c.said == "" && len(said) > 0 {
			t.Errorf("%s became %s, %q, %v", c.text, got, said, err)
		}
	}
	for text, want := range map[string]string{
		"sum(a offset 5m)": "has an offset", "sum(a @ 100)": "has an offset",
	} {
		q, err := parseQuery(text)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := q.count("rate"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
	for text, want := range map[string]string{
		"": "empty", "sum(": "not PromQL", "rate(a[{{.range}}])": "template", strings.Repeat("a", 40_000): "longer", "rate(a[70707ms])": "stands for the window",
	} {
		if _, err := parseQuery(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: %v, want %s", text, err, want)
		}
	}
}

func TestRatiosAreTakenApart(t *testing.T) {
	for _, c := range []struct{ text, words, part, total, counts string }{
		{`sum(rate(a{code=~"5.."}[5m])) / sum(rate(a[5m]))`, "", `sum(rate(a{code=~"5.."}[5m]))`, `sum(rate(a[5m]))`, "bad"},
		{`sum(rate(a{code!~"5.."}[5m])) / sum(rate(a[5m]))`, "errors", `sum(rate(a{code!~"5.."}[5m]))`, `sum(rate(a[5m]))`, "good"},
		{`(1 - (sum(rate(x[5m])) / sum(rate(a[5m]))))`, "availability", `sum(rate(x[5m]))`, `sum(rate(a[5m]))`, "bad"},
		{`1 - sum(rate(x[5m])) / sum(rate(a[5m]))`, "error rate", `sum(rate(x[5m]))`, `sum(rate(a[5m]))`, "good"},
		{`sum(rate(x[5m])) / sum(rate(a[5m])) or on() vector(0)`, "failed", `sum(rate(x[5m]))`, `sum(rate(a[5m]))`, "bad"},
		{`sum(rate(x[5m])) / sum(rate(a[5m]))`, "something", `sum(rate(x[5m]))`, `sum(rate(a[5m]))`, ""},
	} {
		q, err := parseQuery(c.text)
		if err != nil {
			t.Fatal(err)
		}
		d := q.divide()
		if d == nil || d.part.String() != c.part || d.total.String() != c.total || d.counts(c.words) != c.counts {
			t.Errorf("%s: %+v", c.text, d)
		}
	}
	for _, text := range []string{"a", "a / 100", "1 - a", "avg_over_time(a[5m])", "2 - a / b"} {
		q, err := parseQuery(text)
		if err != nil {
			t.Fatal(err)
		}
		if d := q.divide(); d != nil {
			t.Errorf("%s was taken apart: %+v", text, d)
		}
	}
}

func TestQuantilesAreTakenApart(t *testing.T) {
	for text, want := range map[string]quantile{
		`histogram_quantile(0.95, rate(a_bucket{job="x",le!="+Inf"}[5m]))`:        {0.95, `a{job="x"}`, false},
		`histogram_quantile(0.99, sum by (le) (rate(a_bucket[5m])))`:              {0.99, "a", false},
		`histogram_quantile(0.9, sum(rate(request_duration_seconds{b="c"}[5m])))`: {0.9, `request_duration_seconds{b="c"}`, true},
	} {
		q, err := parseQuery(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := q.quantile(); got == nil || *got != want {
			t.Errorf("%s: %+v", text, got)
		}
	}
}
