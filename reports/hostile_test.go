package reports

import (
	"bytes"
	"encoding/csv"
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/html"
)

// hostileTexts are names, proofs and log lines that some format gives a meaning.
var hostileTexts = map[string]string{
	"HTML":                    `"><script>alert(1)</script><img src=x onerror=alert(1)></style></svg><!-- `,
	"an HTML entity":          `&lt;script&gt;&#60;script&#62;`,
	"a template":              `{{.}} {{template "x"}} ${x} <% %>`,
	"terminal escapes":        "\x1b[31mred\x1b[0m\x1b]0;title\x07\x1b]8;;http://e\x1b\\link\u009b2J\x9b2J",
	"control characters":      "a\x00b\x01c\x08d\x0be\x0cf\x1fg\x7fh\u0085i",
	"line breaks":             "a\r\nb\nc\rd\u2028e\u2029f",
	"turned text":             "\u202eabc\u2066def\u200f",
	"no characters":           "a\ufffeb\uffffc\ufdd0d",
	"bytes that are no UTF-8": "a\xff\xfe\xc0\xafb\xed\xa0\x80",
	"Markdown":                "# h\n| a | b |\n|---|---|\n```\n[a](javascript:b) ![i](http://e) **b** _i_ ~~s~~ <b>x</b> @all #1 http://e.example www.e.example\n> q\n- [ ] t\n***\n    code",
	"Markdown at the begin":   "1. x\n---",
	"backticks":               "`` ` ``` a | b",
	"a formula":               `=HYPERLINK("http://e";"x")`,
	"a formula behind a tab":  "\t=1+1",
	"separators of CSV":       `a,b;c"d""e`,
	"OpenMetrics":             "x\"} 1 1\n# EOF\n# TYPE y counter\ny{a=\"b\\",
	"XML":                     "]]><!DOCTYPE a [<!ENTITY x SYSTEM \"file:///etc/passwd\">]>&x;<a/>",
	"a picture for GitLab":    "[[ATTACHMENT|../../secret]]",
}

// longTexts are of a megabyte.
var longTexts = map[string]string{
	"words":   strings.Repeat("word ", 200_000),
	"one":     strings.Repeat("<", 1<<20),
	"quotes":  strings.Repeat(`"`, 1<<20),
	"escapes": strings.Repeat("\x1b[31m", 200_000),
	"C1":      strings.Repeat("\u009b", 1<<19),
}

// harmlessIn are the checks of each format: what it must be, whatever the texts.
var harmlessIn = map[string]func(t *testing.T, out []byte){
	"markdown":       checkMarkdown,
	"github-summary": checkMarkdown,
	"html": func(t *testing.T, out []byte) {
		root, err := html.Parse(bytes.NewReader(out))
		if err != nil {
			t.Fatal(err)
		}
		for n := range root.Descendants() {
			switch n.Data {
			case "script", "img", "iframe", "object", "link", "a", "form", "b0":
				if n.Type == html.ElementNode {
					t.Errorf("a text became a <%s>", n.Data)
				}
			}
			if n.Type == html.CommentNode {
				t.Errorf("a text became a comment: %.60q", n.Data)
			}
			for _, a := range n.Attr {
				if strings.HasPrefix(a.Key, "on") {
					t.Errorf("a text became the attribute %s", a.Key)
				}
			}
		}
	},
	"junit": func(t *testing.T, out []byte) {
		decoder := xml.NewDecoder(bytes.NewReader(out))
		decoder.Strict = true
		for {
			token, err := decoder.Token()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			switch token := token.(type) {
			case xml.StartElement:
				if _, known := junitAttributes[token.Name.Local]; !known {
					t.Errorf("a text became the element %s", token.Name.Local)
				}
			case xml.Directive, xml.Comment:
				t.Errorf("a text became %.40s", token)
			}
		}
	},
	"json": func(t *testing.T, out []byte) {
		if _, err := Load(bytes.NewReader(out)); err != nil {
			t.Error(err)
		}
		if _, err := index(bytes.NewReader(out), int64(len(out))); err != nil {
			t.Errorf("its columns are not found: %v", err)
		}
	},
	"csv": func(t *testing.T, out []byte) {
		reader := csv.NewReader(bytes.NewReader(out))
		reader.FieldsPerRecord = len(csvColumns)
		rows, err := reader.ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range rows {
			for _, field := range row {
				if field != "" && strings.ContainsAny(field[:1], "=+-@\t\r") {
					t.Fatalf("a field is a formula: %.60q", field)
				}
			}
		}
	},
	"openmetrics": func(t *testing.T, out []byte) {
		text, found := strings.CutSuffix(string(out), "\n# EOF\n")
		if !found {
			t.Error("it does not end in # EOF")
		}
		for row := range strings.Lines(text) {
			if row = strings.TrimSuffix(row, "\n"); !metricLine.MatchString(row) {
				t.Fatalf("no line of OpenMetrics: %.200q", row)
			}
		}
	},
}

// metricLine is a line of the text format of OpenMetrics 1.0, as far as gameday writes
// it: metadata, or a sample with labels, a number and a time.
var metricLine = regexp.MustCompile(`^(# (TYPE|UNIT|HELP) gameday_[a-z_]+ [^\n]+|gameday_[a-z_]+\{([a-z]+="([^"\\]|\\["\\n])*",?)+\} [-+0-9.e]+ [0-9]+\.[0-9]{3})$`)

func checkMarkdown(t *testing.T, out []byte) { shape(t, out) }

func TestHostileTextsHarmNoFormat(t *testing.T) {
	for name, text := range hostileTexts {
		r := filled(text)
		for _, format := range Formats() {
			t.Run(format.Name+" with "+name, func(t *testing.T) { checkHarmless(t, format.Name, render(t, format.Name, r)) })
		}
	}
}

func TestTextsOfAMegabyteHarmNoFormat(t *testing.T) {
	most := map[string]int{"markdown": 1 << 20, "github-summary": maxSummary, "html": 150e3, "junit": 1 << 20, "csv": 2 << 20, "openmetrics": 2 << 20}
	for name, text := range longTexts {
		r := filled(text)
		for _, format := range Formats() {
			if format.Name == "json" {
				continue // keeps what it was given, so that its size is no surprise
			}
			t.Run(format.Name+" with "+name, func(t *testing.T) {
				out := render(t, format.Name, r)
				checkHarmless(t, format.Name, out)
				if len(out) > most[format.Name] {
					t.Errorf("%d bytes", len(out))
				}
			})
		}
	}
}

func checkHarmless(t *testing.T, format string, out []byte) {
	t.Helper()
	check := harmlessIn[format]
	if check == nil {
		t.Fatalf("the format %s has no check for hostile texts; add one", format)
	}
	check(t, out)
	if !utf8.Valid(out) {
		t.Error("it is not UTF-8")
	}
	if bad := bytes.IndexFunc(out, func(c rune) bool { return c != '\n' && (unicode.IsControl(c) || hidden(c)) }); bad >= 0 {
		t.Errorf("it holds a hidden character: %q", out[bad:min(bad+40, len(out))])
	}
}
