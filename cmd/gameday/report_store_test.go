package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/history"
	"github.com/gameday-sh/gameday/internal/history/postgrestest"
	"github.com/gameday-sh/gameday/internal/state"
	"github.com/gameday-sh/gameday/reports"
)

// refutedRun puts a run with its report into a state folder.
func refutedRun(t *testing.T, root, name string) *experiments.Result {
	t.Helper()
	began := time.Date(2026, 11, 24, 15, 30, 12, 0, time.UTC)
	r := &experiments.Result{
		Schema: experiments.ResultSchema, Run: name, Scenario: "shop", Origin: "shop.hcl:1", Digest: "sha256:5f2b", Version: "0.1.0",
		Began: began, Ended: began.Add(time.Minute), Verdict: experiments.Refuted, Reason: "checkout failed",
		Hypotheses: []experiments.HypothesisResult{{Name: "checkout answers", Statement: "every one is good", Kind: experiments.EverySample, Verdict: experiments.Refuted, Reason: "3 of 9 failed"}},
	}
	home, err := state.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	dir := home.RunPath(name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := writeReports(dir, r, strings.Clone); err != nil {
		t.Fatal(err)
	}
	return r
}

func exits(t *testing.T, want int, args ...string) string {
	t.Helper()
	var out bytes.Buffer
	if code := run(t.Context(), args, strings.NewReader(""), &out, &out); code != want {
		t.Fatalf("gameday %s: exit %d, want %d\n%s", strings.Join(args, " "), code, want, out.String())
	}
	return out.String()
}

func TestAReportInASharedStoreIsEditedByMany(t *testing.T) {
	const name = "20261124-153012-shop-7f3a"
	root, address := t.TempDir(), postgrestest.Start(t)
	refutedRun(t, root, name)
	at := func(args ...string) []string { return append(args, "--state", root, "--store", address) }
	exits(t, 0, at("runs", "sync")...)

	t.Setenv("VISUAL", "")
	t.Setenv("EDITOR", "")
	if out := exits(t, 2, at("report", "edit", "last")...); !strings.Contains(out, "--out report.md`, edit that file, and type `gameday report edit "+name+" --from report.md`") {
		t.Errorf("without an editor: %s", out)
	}

	// While mine is open, somebody else takes a file over.
	theirs := filepath.Join(t.TempDir(), "theirs.md")
	write(t, theirs, "<!-- place: lessons -->\nTheirs.\n<!-- end -->\n")
	script := filepath.Join(t.TempDir(), "edit.sh")
	program, err := gamedayProgram()
	if err != nil {
		t.Fatal(err)
	}
	write(t, script, program+" report edit last --from "+theirs+" --state "+root+" --store '"+address+"' >/dev/null || exit 1\n"+
		`awk '{ print } $0 == "<!-- place: root-cause -->" { print "Mine." }' "$1" >"$1.new" && mv "$1.new" "$1"`+"\n")
	t.Setenv("EDITOR", "sh "+script)
	exits(t, 0, at("report", "edit", "last")...)
	for _, format := range []string{"markdown", "html"} {
		out := exits(t, 0, at("report", "last", "--format", format)...)
		if !strings.Contains(out, "Mine.") || !strings.Contains(out, "Theirs.") {
			t.Errorf("%s lost something:\n%s", format, out)
		}
	}
	if out := exits(t, 1, at("report", "check", "last")...); !strings.Contains(out, "severity is empty") || strings.Contains(out, "root-cause is empty") {
		t.Errorf("check: %s", out)
	}

	// What a machine brings later does not put the team's words out.
	store, err := history.OpenPostgres(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	result := refutedRun(t, root, name)
	kept, err := ofRun(filepath.Join(root, "runs", name), result)
	if err == nil {
		err = keepWritten(t.Context(), store, kept)
	}
	if err == nil {
		err = store.Put(t.Context(), kept)
	}
	if err != nil {
		t.Fatal(err)
	}
	text, err := store.File(t.Context(), name, "report.md")
	if d := reports.Read(text); err != nil || d.Text(reports.PlaceCause) != "Mine.\n" || d.Text(reports.PlaceLessons) != "Theirs.\n" {
		t.Errorf("after it was brought again, %v:\n%s", err, text)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestWhatPeopleWroteStaysWhenARunIsMendedLater(t *testing.T) {
	const name = "20261124-153012-shop-7f3a"
	root := t.TempDir()
	r := refutedRun(t, root, name)
	dir := filepath.Join(root, "runs", name)
	path := filepath.Join(dir, "report.md")
	text := strings.Replace(read(t, path), "<!-- place: lessons -->\n", "<!-- place: lessons -->\nOurs.\n", 1)
	write(t, path, strings.Replace(text, "## Impact", "## Costs", 1))
	if err := writeReports(dir, r, strings.Clone); err != nil {
		t.Fatal(err)
	}
	if d := reports.Read([]byte(read(t, path))); d.Text(reports.PlaceLessons) != "Ours.\n" || d.Lossy() {
		t.Errorf("report.md:\n%s", read(t, path))
	}
	if !strings.Contains(read(t, filepath.Join(dir, "report.html")), "<p>Ours.</p>") {
		t.Error("report.html lacks what people wrote")
	}
	if kept := read(t, path+".bak-1"); !strings.Contains(kept, "## Costs") {
		t.Errorf("what was changed outside of the places is lost: %s", kept)
	}
}

func TestASecretIsInNoReportAndItsReportIsNotTakenForEdited(t *testing.T) {
	dir := t.TempDir()
	r := refutedRun(t, t.TempDir(), "r")
	r.Reason = "hunter22 was refused"
	if err := writeReports(dir, r, func(text string) string { return strings.ReplaceAll(text, "hunter22", "(secret)") }); err != nil {
		t.Fatal(err)
	}
	text := read(t, filepath.Join(dir, "report.md"))
	if strings.Contains(text, "hunter22") || reports.Read([]byte(text)).Lossy() {
		t.Errorf("the report:\n%s", text)
	}
}
