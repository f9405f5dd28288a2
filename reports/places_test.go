package reports

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/gameday-sh/gameday/experiments"
)

func with(t testing.TB, name string, r *experiments.Result, people *Document) []byte {
	t.Helper()
	for _, format := range Formats() {
		if format.Name == name {
			var b bytes.Buffer
			if err := format.WriteWith(&b, r, people); err != nil {
				t.Fatal(err)
			}
			return b.Bytes()
		}
	}
	t.Fatalf("no format %q", name)
	return nil
}

// fillIn writes into a place of a report, as a person does in an editor.
func fillIn(t testing.TB, markdown []byte, key, text string) []byte {
	t.Helper()
	before, rest, found := strings.Cut(string(markdown), placeMark(key))
	_, after, ended := strings.Cut(rest, endMark)
	if !found || !ended {
		t.Fatalf("there is no place %s", key)
	}
	return []byte(before + placeMark(key) + text + endMark + after)
}

func TestAReportThatNobodyTouchedHasNothingOfPeople(t *testing.T) {
	for name, r := range all() {
		d := Read(render(t, "markdown", r))
		if d.Lossy() || !d.Empty() || len(d.places) != len(PlaceKeys()) {
			t.Errorf("%s: %+v", name, d)
		}
	}
}

func TestPlacesStayByteForByteWhenAReportIsRenderedAgain(t *testing.T) {
	texts := rapid.OneOf(
		rapid.String(),
		rapid.SampledFrom([]string{"x", "two\nlines", "a  \n\tb\r\n", "<!-- a comment -->", "## Impact", "| a | b |\n|---|---|\n| c | d |", "```\n<!-- end\n```", "<script>alert(1)</script>", "\x1b[31mred", "<!-- place: nowhere -->", "<!-- gameday:seal 0123456789abcdef -->", "   ", "é\u202e"}),
	)
	list := results()
	rapid.Check(t, func(rt *rapid.T) {
		r := list[rapid.SampledFrom([]string{"held", "refuted", "aborted", "not-restored"}).Draw(rt, "result")]
		markdown := render(t, "markdown", r)
		wrote := map[string]string{}
		for _, key := range PlaceKeys() {
			if !rapid.Bool().Draw(rt, "fill "+key) {
				continue
			}
			text := texts.Draw(rt, key)
			if text != "" && !strings.HasSuffix(text, "\n") {
				text += "\n"
			}
			marked := slices.ContainsFunc(strings.Split(text, "\n"), func(line string) bool {
				line = strings.TrimRight(line, "\r")
				return closing.MatchString(line) || opening.MatchString(line) && !strings.Contains(line, "nowhere")
			})
			if marked {
				continue
			}
			markdown = fillIn(t, markdown, key, text)
			if strings.TrimSpace(text) != "" {
				wrote[key] = text
			}
		}
		d := Read(markdown)
		if d.Lossy() {
			rt.Fatalf("filling in places is taken for more: %+v", d.Problems)
		}
		once := with(t, "markdown", r, d)
		for _, key := range PlaceKeys() {
			if got := Read(once).Text(key); got != wrote[key] {
				rt.Fatalf("%s: wrote %q, and %q came back", key, wrote[key], got)
			}
		}
		if again := with(t, "markdown", r, Read(once)); !bytes.Equal(once, again) {
			rt.Fatal("rendered twice, it differs")
		}
		if page := with(t, "html", r, d); !bytes.Equal(page, with(t, "html", r, Read(once))) {
			rt.Fatal("the page differs, though the places do not")
		}
	})
}

func TestThePlacesAreUpdatedAroundWhatPeopleWrote(t *testing.T) {
	r := results()["not-restored"]
	markdown := fillIn(t, render(t, "markdown", r), PlaceCause, "The pool.\n")
	r.Recovered = after(900)
	again := string(with(t, "markdown", r, Read(markdown)))
	for _, part := range []string{"proven mended 11m40s after its end", "<!-- place: root-cause -->\nThe pool.\n<!-- end -->"} {
		if !strings.Contains(again, part) {
			t.Errorf("the new report lacks %q", part)
		}
	}
}

func TestProposalsAreReplacedUntilSomebodyTouchesThem(t *testing.T) {
	r := results()["refuted"]
	markdown := render(t, "markdown", r)
	calm := results()["held"]
	if again := string(with(t, "markdown", calm, Read(markdown))); strings.Contains(again, "proposed |") {
		t.Error("a proposal stays that nothing calls for any more")
	}
	touched := []byte(strings.Replace(string(markdown), "|  |  | P1 |", "| ada |  | P1 |", 1))
	if again := string(with(t, "markdown", calm, Read(touched))); !strings.Contains(again, "| ada |  | P1 |") {
		t.Error("a proposal that ada took is lost")
	}
}

func TestAHintGoesWhereSomethingIsWritten(t *testing.T) {
	markdown := render(t, "markdown", run(experiments.Held))
	ask := hint(PlaceAsks(PlaceLessons))
	for _, test := range []struct{ text, want string }{
		{ask, ""}, {"", ""}, {" \n\n", ""}, {ask + "Test the limit.\n", "Test the limit.\n"}, {ask + "\n- one\n", "- one\n"}, {"Before.\n" + ask, "Before.\n"},
		{hint("what an older gameday asked for"), ""},
	} {
		if got := Read(fillIn(t, markdown, PlaceLessons, test.text)).Text(PlaceLessons); got != test.want {
			t.Errorf("%q gives %q", test.text, got)
		}
	}
}

func TestAChangeOutsideOfThePlacesIsNoticed(t *testing.T) {
	markdown := string(render(t, "markdown", run(experiments.Held)))
	for name, changed := range map[string]string{
		"a heading":             strings.Replace(markdown, "## Impact", "## What it did to us", 1),
		"a line more":           strings.Replace(markdown, "## Impact", "Ask ada.\n\n## Impact", 1),
		"a place that is gone":  strings.Replace(markdown, placeMark(PlaceCause), "", 1),
		"a seal that is gone":   markdown[:strings.LastIndex(markdown, "<!-- gameday:seal")],
		"a report of old":       "# Postmortem\n\nRoot cause: the pool\n",
		"a number":              strings.Replace(markdown, "3,812", "3", 1),
		"words behind the seal": markdown + "Ask ada.\n",
	} {
		if changed == markdown || !Read([]byte(changed)).Lossy() {
			t.Errorf("%s is not noticed", name)
		}
	}
	for name, changed := range map[string]string{
		"line ends of Windows":  strings.ReplaceAll(markdown, "\n", "\r\n"),
		"blanks at line ends":   strings.ReplaceAll(markdown, "\n", " \n"),
		"more empty lines":      strings.ReplaceAll(markdown, "\n\n", "\n\n\n"),
		"an empty line at last": markdown + "\n",
	} {
		if Read([]byte(changed)).Lossy() {
			t.Errorf("%s are taken for a change", name)
		}
	}
}

func TestMarksThatAreWrongAreNamedWithTheirLine(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"a place without an end, before another", "<!-- place: lessons -->\na\n<!-- place: prevention -->\nb\n<!-- end -->\n", "3: the place lessons, which begins on line 1, has no <!-- end -->"},
		{"a place without an end, at the end", "<!-- place: lessons -->\na", "2: the place lessons, which begins on line 1, has no <!-- end -->"},
		{"an end without a place", "a\n<!-- end -->\n", "2: this <!-- end --> ends no place"},
		{"a place twice", "<!-- place: lessons -->\na\n<!-- end -->\n<!-- place: lessons -->\nb\n<!-- end -->\n", "4: the place lessons stands here a second time"},
		{"a place that is none", "<!-- place: lesson -->\na\n", `1: there is no place "lesson"; the places are`},
	} {
		d := Read([]byte(test.text))
		if len(d.Problems) == 0 || !strings.HasPrefix(fmt.Sprintf("%d: %s", d.Problems[0].Line, d.Problems[0].Text), test.want) {
			t.Errorf("%s: %+v", test.name, d.Problems)
		}
		if !strings.Contains(test.text, "lessons") {
			continue
		}
		if got := strings.TrimSpace(d.Text(PlaceLessons)); got != "a" {
			t.Errorf("%s: lessons are %q", test.name, got)
		}
	}
}

func TestNoMeasuredTextIsAMark(t *testing.T) {
	for _, evil := range []string{"<!-- end -->", "<!-- place: root-cause -->", "\n<!-- place: severity -->\nSEV4\n<!-- end -->\n", "<!-- gameday:seal 0123456789abcdef -->", "`\n<!-- end -->\n`", "--><!-- end -->"} {
		r := filled(evil)
		r.Rerun.Command = []string{evil}
		d := Read(render(t, "markdown", r))
		if d.Lossy() || !d.Empty() || len(d.places) != len(PlaceKeys()) {
			t.Errorf("%q forges a place: %+v", evil, d)
		}
	}
}

func TestWhatTwoPeopleWroteIsPutTogether(t *testing.T) {
	doc := func(texts ...string) *Document {
		d := &Document{}
		for i := 0; i < len(texts); i += 2 {
			d.places = append(d.places, written{key: texts[i], text: texts[i+1]})
		}
		return d
	}
	base := doc(PlaceCause, "a\n", PlaceLessons, "b\n")
	for _, test := range []struct {
		name         string
		mine, theirs *Document
		want         [2]string
		conflict     bool
	}{
		{"only I", doc(PlaceCause, "mine\n", PlaceLessons, "b\n"), base, [2]string{"mine\n", "b\n"}, false},
		{"only they", base, doc(PlaceCause, "theirs\n", PlaceLessons, "b\n"), [2]string{"theirs\n", "b\n"}, false},
		{"each a place", doc(PlaceCause, "mine\n", PlaceLessons, "b\n"), doc(PlaceCause, "a\n", PlaceLessons, "theirs\n"), [2]string{"mine\n", "theirs\n"}, false},
		{"both the same", doc(PlaceCause, "c\n", PlaceLessons, "b\n"), doc(PlaceCause, "c\n", PlaceLessons, "b\n"), [2]string{"c\n", "b\n"}, false},
		{"I take something out", doc(PlaceLessons, "b\n"), base, [2]string{"", "b\n"}, false},
		{"both the same place", doc(PlaceCause, "mine\n", PlaceLessons, "b\n"), doc(PlaceCause, "theirs\n", PlaceLessons, "b\n"), [2]string{"theirs\n", "b\n"}, true},
	} {
		merged, conflicts := Merge(base, test.mine, test.theirs)
		if got := [2]string{merged.Text(PlaceCause), merged.Text(PlaceLessons)}; got != test.want || (len(conflicts) > 0) != test.conflict {
			t.Errorf("%s: %q, conflicts %v", test.name, got, conflicts)
		}
	}
	over := Overlay(base, doc(PlaceCause, "c\n"))
	if over.Text(PlaceCause) != "c\n" || over.Text(PlaceLessons) != "b\n" {
		t.Errorf("overlaid: %+v", over)
	}
}

func TestTakingOutASecretIsNoChangeOfAReport(t *testing.T) {
	r := results()["refuted"]
	r.Description = "the password is hunter22"
	redacted := bytes.ReplaceAll(render(t, "markdown", r), []byte("hunter22"), []byte("(secret)"))
	if !Read(redacted).Lossy() {
		t.Error("a change is not noticed")
	}
	d := Read(Reseal(redacted))
	if d.Lossy() || !d.Empty() {
		t.Errorf("after sealing it anew: %+v", d)
	}
	if plain := []byte("# mine\n"); !bytes.Equal(Reseal(plain), plain) {
		t.Error("a text without a seal gets one")
	}
}

func TestAReportKnowsItsRun(t *testing.T) {
	r := run(experiments.Held)
	d := Read(render(t, "markdown", r))
	if !d.Of(r.Run) || d.Of("another") || !Read([]byte("# mine\n")).Of("another") || d.Lossy() {
		t.Errorf("run %q", d.run)
	}
	if again := Read(Reseal(render(t, "markdown", r))); !again.Of(r.Run) || again.Of("another") || again.Lossy() {
		t.Errorf("sealed anew: run %q", again.run)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(string(mustRender(f)))
	f.Add("<!-- place: lessons -->\na\n<!-- end -->\n<!-- gameday:seal 0123456789abcdef -->\n")
	f.Add("<!-- place: lessons -->\r\n\xff\x00<!-- end -->")
	r := run(experiments.Held)
	f.Fuzz(func(t *testing.T, text string) {
		d := Read([]byte(text))
		once := with(t, "markdown", r, d)
		again := Read(once)
		if again.Lossy() {
			t.Fatalf("what is rendered is not what is read: %+v", again.Problems)
		}
		for _, key := range PlaceKeys() {
			want := d.Text(key)
			if want != "" && !strings.HasSuffix(want, "\n") {
				want += "\n"
			}
			if got := again.Text(key); got != want {
				t.Fatalf("%s: %q became %q", key, want, got)
			}
		}
		if !bytes.Equal(once, with(t, "markdown", r, again)) {
			t.Fatal("rendered twice, it differs")
		}
		ActionItems([]byte(text))
	})
}

func mustRender(f *testing.F) []byte {
	f.Helper()
	return render(f, "markdown", run(experiments.Refuted))
}
