package reports

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	east "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/text"
	"golang.org/x/net/html"

	"github.com/gameday-sh/gameday/experiments"
)

func TestMarkdownAndJUnitOfEachVerdictAreAsAgreed(t *testing.T) {
	for name, r := range results() {
		golden(t, name+".md", render(t, "markdown", r))
		golden(t, name+".xml", render(t, "junit", r))
	}
}

func TestEveryFormatRendersTheSameBytesEachTime(t *testing.T) {
	for name, r := range all() {
		for _, format := range Formats() {
			if first := render(t, format.Name, r); len(first) == 0 || !bytes.Equal(first, render(t, format.Name, r)) {
				t.Errorf("%s of %s is empty or differs the second time", format.Name, name)
			}
		}
	}
}

func TestEveryFormatReportsAWriterThatFails(t *testing.T) {
	full := errors.New("disk full")
	for _, format := range Formats() {
		reader, writer := io.Pipe()
		if err := reader.CloseWithError(full); err != nil {
			t.Fatal(err)
		}
		if err := format.Write(writer, run(experiments.Held)); !errors.Is(err, full) {
			t.Errorf("%s: got %v", format.Name, err)
		}
	}
}

// evil is a text with everything that some format gives a meaning.
var evil = "<script>alert(1)</script> | `x` \n## y\n[a](javascript:b) \x1b[31mred\x1b]0;t\x07 \u202eabc ![i](http://e) </style>\x00\uffff ]]> @all " + strings.Repeat("long ", 2048)

// filled is the refuted run with text in every field that may hold any: names, proofs,
// reasons, commands. What only the runner itself writes, such as a verdict, stays.
func filled(text string) *experiments.Result {
	r := results()["refuted"]
	r.Left, r.Errors, r.Stop = []string{text}, []string{text}, &experiments.Stop{Breach: after(100)}
	r.Hits[0].Step = experiments.Stuck
	setTexts(reflect.ValueOf(r).Elem(), text)
	r.Schema = experiments.ResultSchema
	for i := range r.Timeline {
		r.Timeline[i].Kind = "note"
	}
	return r
}

func setTexts(v reflect.Value, text string) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			setTexts(v.Elem(), text)
		}
	case reflect.Slice:
		for i := range v.Len() {
			setTexts(v.Index(i), text)
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			return
		}
		for i := range v.NumField() {
			setTexts(v.Field(i), text)
		}
	case reflect.String:
		if v.Type() == reflect.TypeFor[string]() {
			v.SetString(text)
		}
	}
}

func hostile() *experiments.Result { return filled(evil) }

func TestHostileTextsReachNoReportAsMarkup(t *testing.T) {
	for _, format := range []string{"markdown", "html", "junit"} {
		out := string(render(t, format, hostile()))
		if bad := strings.IndexFunc(out, func(c rune) bool { return c != '\n' && (unicode.IsControl(c) || hidden(c)) }); bad >= 0 {
			t.Errorf("%s holds a hidden character: %q", format, out[bad:min(bad+40, len(out))])
		}
		// In Markdown a code span may hold it; that test looks at what becomes of it.
		if format != "markdown" && strings.Contains(out, "<script") || strings.Contains(out, "[31m") {
			t.Errorf("%s holds a script or an escape", format)
		}
		if len(out) > 200<<10 {
			t.Errorf("%s is %d bytes", format, len(out))
		}
	}
	// JSON keeps the texts as they are, in escapes.
	out := render(t, "json", hostile())
	if bad := bytes.IndexFunc(out, func(c rune) bool { return c != '\n' && (unicode.IsControl(c) || hidden(c)) }); bad >= 0 {
		t.Errorf("json holds a hidden character: %q", out[bad:min(bad+40, len(out))])
	}
	loaded, err := Load(bytes.NewReader(out))
	if err != nil {
		t.Fatal(err)
	}
	if loaded.Scenario != evil || loaded.Rerun.Command[1] != evil {
		t.Errorf("json reads back as %.100q", loaded.Scenario)
	}
}

// shape lists the blocks of a Markdown text, and how many cells each row has.
func shape(t *testing.T, source []byte) []string {
	t.Helper()
	var list []string
	root := goldmark.New(goldmark.WithExtensions(extension.GFM)).Parser().Parse(text.NewReader(source))
	err := ast.Walk(root, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		switch n := n.(type) {
		case *ast.HTMLBlock:
			line := strings.TrimSpace(string(n.Lines().Value(source)))
			if !opening.MatchString(line) && !closing.MatchString(line) && !seal.MatchString(line) {
				t.Errorf("a text became HTML: %.100q", line)
			}
			list = append(list, line[:min(len(line), 18)])
		case *ast.Link, *ast.Image, *ast.AutoLink:
			t.Errorf("a text became a %s", n.Kind())
		case *ast.RawHTML:
			if raw := string(n.Segments.Value(source)); raw != "<br>" {
				t.Errorf("raw HTML %q", raw)
			}
		case *ast.Heading, *east.Table:
			list = append(list, n.Kind().String())
		case *east.TableRow:
			list = append(list, "row")
			if n.ChildCount() != n.Parent().FirstChild().ChildCount() {
				t.Errorf("a row has %d cells", n.ChildCount())
			}
		}
		return ast.WalkContinue, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestMarkdownKeepsItsShapeWithHostileTexts(t *testing.T) {
	for name, r := range all() {
		if len(shape(t, render(t, "markdown", r))) < 10 {
			t.Errorf("%s has hardly a heading", name)
		}
	}
	want, got := shape(t, render(t, "markdown", filled("x"))), shape(t, render(t, "markdown", hostile()))
	if strings.Join(want, " ") != strings.Join(got, " ") {
		t.Errorf("hostile texts change the shape from\n%v to\n%v", want, got)
	}
	pipe := regexp.MustCompile(`(^|[^\\])\|`)
	for line := range strings.Lines(string(render(t, "markdown", hostile()))) {
		if strings.HasPrefix(line, "| <") && len(pipe.FindAllString(line, -1)) > 10 {
			t.Errorf("a row with too many cells: %.200s", line)
		}
	}
}

func has(n *html.Node, name string) bool {
	for child := range n.ChildNodes() {
		if child.Type == html.ElementNode && child.Data == name {
			return true
		}
	}
	return false
}

func TestThePageStandsAloneAndIsWellFormed(t *testing.T) {
	list := all()
	list["hostile"] = hostile()
	for name, r := range list {
		t.Run(name, func(t *testing.T) {
			root, err := html.Parse(bytes.NewReader(render(t, "html", r)))
			if err != nil {
				t.Fatal(err)
			}
			ids, policy, sheet, figures := map[string]bool{}, "", "", 0
			var labels []string
			for n := range root.Descendants() {
				if n.Type != html.ElementNode {
					continue
				}
				attribute := func(key string) string {
					for _, a := range n.Attr {
						if strings.EqualFold(a.Key, key) {
							return a.Val
						}
					}
					return ""
				}
				switch {
				case n.Data == "html" && attribute("lang") == "":
					t.Error("the page does not say its language")
				case n.Data == "table" && !has(n, "caption"):
					t.Error("a table has no caption")
				case n.Data == "th" && attribute("scope") == "":
					t.Error("a heading of a table does not say what it heads")
				case n.Data == "svg" && attribute("aria-hidden") == "" && n.Parent.Data != "svg" &&
					(attribute("role") != "img" || !has(n, "title") || !has(n, "desc")):
					t.Error("a picture is without words")
				}
				switch n.Data {
				case "script", "img", "iframe", "object", "link", "a", "form":
					t.Errorf("the page holds a <%s>", n.Data)
				case "style":
					sheet = n.FirstChild.Data
				case "figure":
					figures++
				}
				for _, a := range n.Attr {
					switch {
					case a.Key == "id" && ids[a.Val]:
						t.Errorf("id %q stands twice", a.Val)
					case a.Key == "id":
						ids[a.Val] = true
					case a.Key == "aria-labelledby":
						labels = append(labels, strings.Fields(a.Val)...)
					case a.Key == "content" && strings.HasPrefix(a.Val, "default-src"):
						policy = a.Val
					case a.Key == "style", strings.HasPrefix(a.Key, "on"):
						t.Errorf("<%s> has %s, which the policy forbids", n.Data, a.Key)
					}
				}
			}
			for _, label := range labels {
				if !ids[label] {
					t.Errorf("no element has id %q", label)
				}
			}
			sum := sha256.Sum256([]byte(sheet))
			if !strings.HasPrefix(policy, "default-src 'none'; style-src 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'") {
				t.Errorf("the policy %q does not allow the page's own style", policy)
			}
			drawn := 1
			for _, s := range r.Series {
				if len(s.At) > 0 {
					drawn++
				}
			}
			if figures != drawn {
				t.Errorf("%d pictures, want %d", figures, drawn)
			}
		})
	}
}

func TestAPageSaysLoudlyWhatMayStillBeBroken(t *testing.T) {
	for name, r := range all() {
		out := string(render(t, "html", r)) + string(render(t, "markdown", r))
		want := name == "not-restored"
		if got := strings.Contains(out, "gameday recover 20261124-153012-slow-payments-7f3a"); got != want {
			t.Errorf("%s: alarm is %t", name, got)
		}
	}
	r := run(experiments.Errored)
	r.Hits[0].Step, r.Hits[0].State = experiments.Injected, ""
	if out := string(render(t, "html", r)); !strings.Contains(out, "This may still be broken") {
		t.Error("a hit without proof of its mending raises no alarm")
	}
}

func TestASuiteIsGreenOnlyIfTheVerdictIsHeld(t *testing.T) {
	list := all()
	stopped := run(experiments.Aborted)
	stopped.Stop = &experiments.Stop{Cause: "interrupted (Ctrl-C)", Breach: after(60), Restored: after(61)}
	list["stopped by a person"] = stopped
	list["inconclusive without a hypothesis"] = &experiments.Result{Run: "r", Verdict: experiments.Inconclusive, Began: began}
	for name, r := range list {
		var suites junitSuites
		if err := xml.Unmarshal(render(t, "junit", r), &suites); err != nil {
			t.Fatal(err)
		}
		if green := suites.Failures+suites.Errors == 0; green != (r.Verdict == experiments.Held) {
			t.Errorf("%s: green is %t for %s", name, green, r.Verdict)
		}
		if suites.Tests != len(suites.Suite.Cases) || len(suites.Suite.Properties) != 7+len(newOutliner(r, detail{text: 2000}).accountProperties()) {
			t.Errorf("%s: %d tests, %d cases, %d properties", name, suites.Tests, len(suites.Suite.Cases), len(suites.Suite.Properties))
		}
	}
}

// The attributes that Jenkins xUnit's junit-10.xsd allows, which refuses a file with
// any other.
var junitAttributes = map[string]string{
	"testsuites": "name time tests failures errors",
	"testsuite":  "name tests failures errors group time skipped timestamp hostname id package file log url",
	"properties": "", "property": "name value",
	"testcase": "name time classname group", "system-out": "",
	"skipped": "type message", "error": "type message", "failure": "type message",
}

func TestJUnitHoldsOnlyWhatItsSchemaAllows(t *testing.T) {
	seconds := regexp.MustCompile(`^\d+\.\d{3}$`)
	list := all()
	list["hostile"] = hostile()
	for name, r := range list {
		decoder := xml.NewDecoder(bytes.NewReader(render(t, "junit", r)))
		for {
			token, err := decoder.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			start, ok := token.(xml.StartElement)
			if !ok {
				continue
			}
			allowed, known := junitAttributes[start.Name.Local]
			if !known {
				t.Errorf("%s: there is no element %s", name, start.Name.Local)
			}
			for _, a := range start.Attr {
				if !slices.Contains(strings.Fields(allowed), a.Name.Local) {
					t.Errorf("%s: %s may not have %s", name, start.Name.Local, a.Name.Local)
				}
				if a.Name.Local == "time" && !seconds.MatchString(a.Value) {
					t.Errorf("%s: time %q", name, a.Value)
				}
			}
		}
	}
}

func TestEveryLineOfTheTimelineNamesItsSource(t *testing.T) {
	for name, r := range all() {
		rows := newOutliner(r, detail{text: 300, rows: 80}).moments()
		for i, row := range rows {
			if row.Source == "" || row.Text == "" || row.Clock == "" {
				t.Errorf("%s, line %d: %+v", name, i, row)
			}
		}
		if last := rows[len(rows)-1]; last.Text != "Verdict: "+string(r.Verdict) {
			t.Errorf("%s ends with %q", name, last.Text)
		}
	}
	r := results()["aborted"]
	cut := newOutliner(r, detail{text: 300, rows: 3}).moments()
	if len(cut) != 7 || !cut[4].Gap || cut[6].Text != "Verdict: aborted" {
		t.Errorf("cut to %+v", cut)
	}
}

func TestLabelsOfLimitsCoverNeitherDataNorEachOther(t *testing.T) {
	sc := scale{to: 100, low: 0, high: 1}
	flat := func(at float64) []point { return []point{{at: 90, min: at, max: at}, {at: 100, min: at, max: at}} }
	for _, test := range []struct {
		name   string
		limits []limit
		points []point
		want   []tick
	}{
		{"above its line, where it is free", []limit{{.5, "a", ""}}, flat(.1), []tick{{Y: 75, Label: "a", Shift: labelAbove}}},
		{"below, where data are above", []limit{{.5, "a", ""}}, flat(.55), []tick{{Y: 75, Label: "a", Shift: labelBelow}}},
		{"below, at the top of the chart", []limit{{.99, "a", ""}}, flat(.1), []tick{{Y: 1.5, Label: "a", Shift: labelBelow}}},
		{"above, at the bottom", []limit{{.01, "a", ""}}, flat(.05), []tick{{Y: 148.5, Label: "a", Shift: labelAbove}}},
		{"together, where lines are close", []limit{{.99, "a", ""}, {.98, "b", ""}}, flat(1), []tick{{Y: 1.5, Label: "a, b", Shift: labelBelow}, {Y: 3, Shift: labelBelow}}},
		{"apart, where lines are not", []limit{{.5, "a", ""}, {.41, "b", ""}}, flat(.1), []tick{{Y: 75, Label: "a", Shift: labelAbove}, {Y: 88.5, Label: "b", Shift: labelBelow}}},
	} {
		if got := placed(test.limits, test.points, sc); !slices.Equal(got, test.want) {
			t.Errorf("%s: %+v", test.name, got)
		}
	}
	if got := sayValue(ticks(-1e-12, 1, 4)[0], "ratio"); got != "0%" {
		t.Errorf("the lowest tick is %s", got)
	}
}

func TestALineIsCutWhereNothingWasRead(t *testing.T) {
	nan := math.NaN()
	s := &experiments.Series{Name: "probe.p", Kind: "probe", At: experiments.Floats{0, 1, 2, 3, 4}, Latency: experiments.Floats{0, 1, nan, 1, .5}, Bad: experiments.Floats{0, 1, nan, 0, 0}}
	sc := scale{to: 4, high: 1}
	m := func() track { return inMemory(s) }
	value := readingOf(m(), &experiments.Result{}).value
	surveyed := func(columns int) draft {
		d, err := survey(m(), value, 1, sc, columns)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	for _, test := range []struct {
		name           string
		columns        int
		line, envelope string
	}{
		{"every measurement where there is room", 10, "M0 1500l1750-1500M5250 0l1750 750", ""},
		{"columns where there is not", 2, "M1750 750h0M5250 375h0", "M1750 0l0 1500zM5250 0l0 750z"},
	} {
		if line, envelope := paths(surveyed(test.columns).points, sc); line != test.line || envelope != test.envelope {
			t.Errorf("%s: line %q, envelope %q", test.name, line, envelope)
		}
	}
	if d := surveyed(10); d.rug != "M1750 0v10" || d.failed != 1 || d.unread != 1 {
		t.Errorf("rug %q of %d, %d not read", d.rug, d.failed, d.unread)
	}
	s.Latency[2], s.Gaps = 1, []experiments.Gap{{From: 2.2, To: 2.8, Condition: experiments.NoData}}
	if line, _ := paths(surveyed(10).points, sc); line != "M0 1500l1750-1500l1750 0M5250 0l1750 750" {
		t.Errorf("a gap between measurements: %q", line)
	}
}

func TestWordsSayNumbersAsPeopleDo(t *testing.T) {
	for _, test := range []struct{ got, want string }{
		{sayPercent(.9971), "99.71%"}, {sayPercent(1), "100%"}, {sayPercent(.999967), "99.9967%"}, {sayPercent(.00031), "0.031%"}, {sayPercent(.5), "50%"}, {sayPercent(.2249), "22.5%"}, {sayPercent(0), "0%"}, {sayPercent(1.73), "173%"}, {sayPercent(math.NaN()), "unknown"},
		{sayDuration(120 * time.Millisecond), "120ms"}, {sayDuration(90 * time.Second), "1m30s"}, {sayDuration(4200 * time.Millisecond), "4.2s"}, {sayDuration(30 * experiments.Day), "30d"}, {sayDuration(125 * time.Minute), "2h5m"}, {sayDuration(-time.Second), "-1s"}, {sayDuration(59600 * time.Millisecond), "1m"},
		{sayEvents(59.4), "59"}, {sayEvents(.04), "0.04"}, {sayCount(2912), "2,912"}, {sayCount(1234567), "1,234,567"}, {sayCount(.5), "0.5"}, {sayCount(-3), "-3"}, {plural(2, "hypothesis"), "2 hypotheses"}, {plural(1, "hit"), "1 hit"},
		{sayOffset(65*time.Second, false), "+1:05"}, {sayOffset(3700*time.Second, false), "+1:01:40"}, {sayOffset(9870*time.Millisecond, true), "+0:09.8"}, {sayClock(began.Add(9*time.Hour), began), "25 Nov 00:30:12.000"},
		{clean("a\x1b[1;31mb\x1b[0m\r\n c\x1b]0;title\x07d", 50), "ab cd"}, {clean("abcdef", 3), "abc… (3 more characters)"}, {clean("\x1b[", 5), ""}, {clean("a\xffb", 5), "a\ufffdb"},
		{escape("1. a_b _c_ |x| <b> http://e"), `1\. a_b \_c\_ \|x\| &lt;b&gt; http&#58;//e`}, {code("a`|b"), "`` a`\\|b ``"}, {shellQuoted("a'b c"), `'a'\''b c'`}, {shellQuoted("a'b\n\t\\c"), `$'a\'b\n\t\\c'`}, {shellQuoted("a\x1b[2J\nb"), "'a b'"}, {escape("99.71% 1) x"), "99.71% 1) x"}, {escape("1) x"), `1\) x`},
	} {
		if test.got != test.want {
			t.Errorf("got %q, want %q", test.got, test.want)
		}
	}
}

// day is a run of 24 hours with five measurements a second, stored.
func day(t testing.TB) []byte {
	r := run(experiments.Held)
	r.Ended = began.Add(24 * time.Hour)
	s := &experiments.Series{Name: "probe.front_door", Kind: "probe", Unit: "s"}
	for i := range 432000 {
		bad := 0.0
		if i%997 == 0 {
			bad = 1
		}
		s.At, s.Latency = append(s.At, float64(i)/5), append(s.Latency, math.Round(2e4+1e4*math.Sin(float64(i)*1.3))/1e6)
		s.Bad, s.Total = append(s.Bad, bad), append(s.Total, 1)
	}
	r.Series[0] = s
	for i := range 2880 {
		r.Hits = append(r.Hits, r.Hits[1])
		r.Hits[len(r.Hits)-1].Injected = after(float64(i) * 30)
		r.Timeline = append(r.Timeline, experiments.Moment{At: after(float64(i) * 30), Kind: "fault", Text: "pod shop/checkout: killed"})
	}
	return render(t, "json", r)
}

func TestThePageOfADayIsSmallAndCheap(t *testing.T) {
	text := day(t)
	var before, loaded, done runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	s := opened(t, text)
	runtime.ReadMemStats(&loaded)
	var page bytes.Buffer
	if err := writeHTML(&page, s, nil); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&done)
	if page.Len() > 150e3 {
		t.Errorf("the page has %d bytes", page.Len())
	}
	// What is allocated in all is never less than the peak.
	if total := done.TotalAlloc - before.TotalAlloc; total > 56<<20 {
		t.Errorf("%d MB allocated, %d of them to load", total>>20, (loaded.TotalAlloc-before.TotalAlloc)>>20)
	}
}

func BenchmarkReport24h(b *testing.B) {
	text := day(b)
	b.ReportAllocs()
	for b.Loop() {
		r, err := Load(bytes.NewReader(text))
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(len(render(b, "html", r))), "page-bytes")
	}
}

func TestAHitThatWasDrawnAgainIsNoneThatWasMissed(t *testing.T) {
	r := run(experiments.Held)
	again := r.Hits[1]
	again.Target, again.Step, again.Injected, again.Verified = "pod shop/checkout-old", experiments.Dropped, time.Time{}, time.Time{}
	again.Steps, again.Findings, again.Proof, again.Mended = []experiments.StepTime{{Step: experiments.Planned, At: after(1)}, {Step: experiments.Dropped, At: after(89)}}, nil, "", ""
	r.Hits = append(r.Hits, again)
	page := string(render(t, "markdown", r))
	for _, part := range []string{"2 of 2 planned hits proven to have taken effect", "2 planned, 2 reached", "drawn again, as the target was gone before its turn"} {
		if !strings.Contains(page, part) {
			t.Errorf("it does not say %q:\n%s", part, page)
		}
	}
}
