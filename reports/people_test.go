package reports

import (
	"bytes"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/gameday-sh/gameday/experiments"
)

func causeOf(t *testing.T, text string) (string, *html.Node) {
	t.Helper()
	r := run(experiments.Refuted)
	out := with(t, "html", r, Read(fillIn(t, render(t, "markdown", r), PlaceCause, text+"\n")))
	root, err := html.Parse(bytes.NewReader(out))
	if err != nil {
		t.Fatal(err)
	}
	for n := range root.Descendants() {
		if section := attributeOf(n, "id"); n.Data == "section" && section == "root-cause" {
			var b strings.Builder
			if err := html.Render(&b, n); err != nil {
				t.Fatal(err)
			}
			return b.String(), n
		}
	}
	t.Fatal("the page has no root cause")
	return "", nil
}

func attributeOf(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

func TestThePageShowsWhatPeopleWrote(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"The *pool* was **full**, ~~maybe~~.", "<p>The <em>pool</em> was <strong>full</strong>, <del>maybe</del>.</p>"},
		{"# Why", "<h4>Why</h4>"},
		{"- [x] bounded\n- [ ] watched", "☑ bounded"},
		{"| a | b |\n|---|---|\n| 1 | 2 |", `<td data-label="b">2</td>`},
		{"[the pool](https://example.com/a?b=c&d=e)", `<a href="https://example.com/a?b=c&amp;d=e" rel="noopener noreferrer nofollow">the pool</a>`},
		{"see https://example.com/pool.", `<a href="https://example.com/pool" rel="noopener noreferrer nofollow">https://example.com/pool</a>`},
		{"a<br>b", "a<br/>b"},
		{"```\nselect 1 < 2\n```", "<pre><code>select 1 &lt; 2\n</code></pre>"},
		{"a <!-- for us --> b", "<p>a  b</p>"},
	} {
		if got, _ := causeOf(t, test.text); !strings.Contains(got, test.want) {
			t.Errorf("%q: the page lacks %s\n%s", test.text, test.want, got)
		}
	}
}

func TestNothingThatPeopleWriteRunsOrLoadsAnything(t *testing.T) {
	for _, text := range []string{
		"<script>alert(1)</script>", "<div onclick=x>\n<img src=http://example.com/a.png>\n</div>", "<style>p{}</style>", "<iframe src=//example.com></iframe>",
		"[a](javascript:alert(1))", "[a](JaVaScRiPt:alert(1))", "[a](data:text/html,x)", "[a](//example.com)", "[a](file:///etc/passwd)", "<javascript:alert(1)>", "[a]: javascript:x\n[a]",
		"![a](https://example.com/a.png)", "![a](data:image/svg+xml,x)", "<a href='https://example.com' onmouseover=x>a</a>", "</div></section></main><script>", "| a\" onclick=\"x | b |\n|:-:|--:|\n| 1 | 2 |",
		"\x1b[31mred\x1b]0;t\x07 \u202eabc", "<svg/onload=alert(1)>", "<!-- --><script>alert(1)</script><!-- -->", "mailto:ada@example.com", "[a](https://example.com 'x\" onclick=\"y')", "<details open ontoggle=x>",
	} {
		got, root := causeOf(t, text)
		for n := range root.Descendants() {
			if n.Type != html.ElementNode {
				continue
			}
			switch n.Data {
			case "script", "img", "style", "iframe", "svg", "object", "input", "details", "form":
				t.Errorf("%q puts a <%s> into the page", text, n.Data)
			case "a":
				if href := attributeOf(n, "href"); !strings.HasPrefix(href, "https://") && !strings.HasPrefix(href, "http://") {
					t.Errorf("%q links to %q", text, href)
				}
			}
			for _, a := range n.Attr {
				if strings.HasPrefix(a.Key, "on") || a.Key == "style" || a.Key == "src" {
					t.Errorf("%q sets %s", text, a.Key)
				}
			}
		}
		if strings.ContainsAny(got, "\x1b\u202e") {
			t.Errorf("%q: hidden characters stay", text)
		}
		if !strings.Contains(got, "</section>") {
			t.Errorf("%q leaves its section", text)
		}
	}
}

func TestAMegabyteOfPeoplesTextMakesAPageThatOpens(t *testing.T) {
	for _, text := range []string{strings.Repeat("a ", 500_000), strings.Repeat("[", 1<<20), strings.Repeat("> ", 500_000), strings.Repeat("*a_", 300_000), strings.Repeat("a line of words\n", 60_000), strings.Repeat("é", 500_000), strings.Repeat("<!-- ", 200_000)} {
		r := run(experiments.Refuted)
		markdown := fillIn(t, render(t, "markdown", r), PlaceCause, text+"\n")
		d := Read(markdown)
		out := with(t, "html", r, d)
		if len(out) > maxPage+8*mostWritten || !bytes.Contains(out, []byte("The rest is in report.md.")) {
			t.Errorf("%.10q: a page of %d bytes", text, len(out))
		}
		if !bytes.Contains(with(t, "markdown", r, d), []byte(text)) {
			t.Errorf("%.10q: Markdown does not keep all of it", text)
		}
		Check(r, markdown, true)
	}
}

func TestThePageIsWholeWithEveryPlaceFilled(t *testing.T) {
	r := results()["refuted"]
	markdown := render(t, "markdown", r)
	for _, key := range PlaceKeys() {
		markdown = fillIn(t, markdown, key, "Words of "+key+".\n\n| Action | Owner |\n|---|---|\n| a | ada |\n")
	}
	d := Read(markdown)
	out := string(with(t, "html", r, d))
	for _, key := range PlaceKeys() {
		if !strings.Contains(out, "<p>Words of "+key+".</p>") {
			t.Errorf("the page lacks what stands in %s", key)
		}
	}
	if strings.Contains(out, unfilled) {
		t.Error("the page asks for what is there")
	}
	root, err := html.Parse(strings.NewReader(out))
	if err != nil {
		t.Fatal(err)
	}
	for n := range root.Descendants() {
		if n.Data == "table" && !has(n, "caption") || n.Data == "th" && attributeOf(n, "scope") == "" {
			t.Errorf("a table of people is not accessible: <%s>", n.Data)
		}
	}
	golden(t, "filled.md", with(t, "markdown", r, d))
}

func TestASignedReportShowsWhatPeopleDecided(t *testing.T) {
	r := results()["refuted"]
	markdown := fillIn(t, render(t, "markdown", r), PlaceSeverity, "**SEV2**, as checkout is *the* journey.\n")
	markdown = fillIn(t, markdown, PlaceActions, "| Action | Owner | Status |\n|---|---|---|\n| a | ada | done |\n| b | bob | open |\n| c |  | proposed |\n")
	summary := newFacts(r, Read(markdown))
	for name, want := range map[string]string{"Severity": "SEV2, as checkout is *the* journey (gameday proposed SEV3)", "Action items": "1 open, 1 done"} {
		if got := summary[name]; got.Value != want || got.Mark != human {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if got := newFacts(r, nil)["Severity"]; got.Mark != proposed || !strings.HasPrefix(got.Value, "proposed: SEV3") {
		t.Errorf("nobody decided, and the report says %+v", got)
	}
}

func newFacts(r *experiments.Result, people *Document) map[string]fact {
	list := map[string]fact{}
	for _, f := range (newOutliner(r, detail{text: 600, rows: 200})).decided(people) {
		list[f.Name] = f
	}
	return list
}

func TestLongTextsAreCutForThePageOnly(t *testing.T) {
	text := strings.Repeat("x", mostWritten) + "é"
	got, err := peopleHTML(text)
	if err != nil || !strings.HasSuffix(string(got), "report.md.</p>") || len(got) > mostWritten+100 {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}
