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
	refutedRun(t, root, name)
	dir := filepath.Join(root, "runs", name)
	again, err := ofRun(dir)
	if err == nil {
		_, err = keepRun(t.Context(), store, dir, again)
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

func TestWhatIsAddedToARunLaterReachesTheSharedStore(t *testing.T) {
	t.Parallel()
	const name = "20261124-153012-shop-7f3a"
	root, address := t.TempDir(), postgrestest.Start(t)
	r := refutedRun(t, root, name)
	dir := filepath.Join(root, "runs", name)
	at := func(args ...string) []string { return append(args, "--state", root, "--store", address) }
	there := func() string { t.Helper(); return exits(t, 0, at("report", "last")...) }
	syncs := func(want ...string) {
		t.Helper()
		out := exits(t, 0, at("runs", "sync")...)
		for _, text := range want {
			if !strings.Contains(out, text) {
				t.Errorf("sync lacks %q:\n%s", text, out)
			}
		}
	}
	fill := func(path, key, text string) {
		t.Helper()
		mark := "<!-- place: " + key + " -->\n"
		before, after, _ := strings.Cut(read(t, path), mark)
		_, after, found := strings.Cut(after, "<!-- end -->\n")
		if !found {
			t.Fatalf("%s has no place %s", path, key)
		}
		write(t, path, before+mark+text+"<!-- end -->\n"+after)
	}
	place := func(key string) string { t.Helper(); return reports.Read([]byte(there())).Text(key) }
	theirs := func(key, text string) {
		t.Helper()
		path := filepath.Join(t.TempDir(), "theirs.md")
		write(t, path, "<!-- place: "+key+" -->\n"+text+"<!-- end -->\n")
		exits(t, 0, at("report", "edit", "last", "--from", path)...)
	}
	syncs("1 run brought")
	syncs("0 runs brought")

	// People write here after that, and others there.
	ours := filepath.Join(dir, "report.md")
	theirs("root-cause", "Theirs.\n")
	fill(ours, "lessons", "Ours.\n")
	syncs("1 run brought")
	syncs("0 runs brought")
	if place("lessons") != "Ours.\n" || place("root-cause") != "Theirs.\n" {
		t.Errorf("the store has\n%s", there())
	}
	// What is older here does not put out what is newer there, and the other way round.
	theirs("lessons", "Theirs, later.\n")
	syncs("0 runs brought")
	fill(ours, "prevention", "Ours, first.\n")
	syncs("1 run brought")
	fill(ours, "prevention", "Ours, then.\n")
	syncs("1 run brought")
	if place("lessons") != "Theirs, later.\n" || place("prevention") != "Ours, then.\n" {
		t.Errorf("the store has\n%s", there())
	}
	// Where both changed a place, nothing is lost, and it is said until somebody decides.
	theirs("prevention", "Theirs, at last.\n")
	fill(ours, "prevention", "Ours, at last.\n")
	for range 2 {
		syncs("prevention was changed here and there", "gameday report edit "+name+" --from "+ours, "0 runs brought")
	}
	if place("prevention") != "Theirs, at last.\n" {
		t.Errorf("the store has\n%s", there())
	}

	// It is told of later on: the same verdict, and more to say.
	r.Notifications = append(r.Notifications, experiments.Notification{At: r.Ended, Receiver: "chat", Kind: "slack", Moment: experiments.MomentEnd, State: experiments.DeliveryFailed, Error: "the receiver is away"})
	if err := keepReports(dir, r, strings.Clone); err != nil {
		t.Fatal(err)
	}
	syncs("1 run brought")
	if text := there(); !strings.Contains(text, "the receiver is away") || place("lessons") != "Theirs, later.\n" || place("prevention") != "Theirs, at last.\n" {
		t.Errorf("the store has\n%s", text)
	}
	// The outline that lists are made of says it too.
	text := read(t, filepath.Join(dir, history.OutlineFile))
	if !strings.Contains(text, "the receiver is away") {
		t.Errorf("the outline: %s", text)
	}

	// A text outside of the places is put aside, under a name that is free there.
	write(t, ours, strings.Replace(read(t, ours), "## Impact", "## Costs", 1))
	syncs()
	store, err := history.OpenPostgres(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := store.File(t.Context(), name, "report.md.bak-1"); err != nil || !strings.Contains(string(text), "## Costs") {
		t.Errorf("what was changed outside of the places, %v:\n%s", err, text)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestWhatPeopleWroteStaysWhenARunIsMendedLater(t *testing.T) {
	t.Parallel()
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
	t.Parallel()
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
