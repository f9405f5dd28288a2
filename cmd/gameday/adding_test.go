package main

import (
	"encoding/json"
	"go/format"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// pieces are what docs/adding-a-fault.md has a reader write: new files, and lines for
// files that are there.
var pieces = regexp.MustCompile("(?ms)^```(go|hcl|diff) (\\S+)\n(.*?)^```$")

// TestANewFaultTakesWhatItsDocumentSays follows docs/adding-a-fault.md to the letter, in
// an overlay over the source, and so proves that it takes one file, one line, one test
// and one example.
func TestANewFaultTakesWhatItsDocumentSays(t *testing.T) {
	slow(t)
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	replace := map[string]string{}
	var added []string
	dir := t.TempDir()
	for i, piece := range pieces.FindAllStringSubmatch(read(t, "../../docs/adding-a-fault.md"), -1) {
		language, path, text := piece[1], filepath.Join(root, piece[2]), piece[3]
		_, err := os.Stat(path)
		switch exists := err == nil; {
		case language == "diff":
			text = patched(t, path, text)
		case exists:
			t.Fatalf("%s is there already: the document must add a kind that does not exist", path)
		default:
			added = append(added, piece[2])
		}
		if strings.HasSuffix(path, ".go") {
			if formatted, err := format.Source([]byte(text)); err != nil || string(formatted) != text {
				t.Errorf("%s is not as gofmt writes it: %v", piece[2], err)
			}
		}
		replace[path] = filepath.Join(dir, string(rune('a'+i)))
		write(t, replace[path], text)
	}
	if len(replace) != 5 || len(added) != 3 {
		t.Fatalf("the document adds %v and touches %d files; want a fault, its test and an example, and a line in each of 2 tables", added, len(replace))
	}
	overlay := filepath.Join(dir, "overlay.json")
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	write(t, overlay, string(text))

	tests := launch(t, "nice", "go", "test", "-overlay", overlay, "-v", "-run", "TestEveryFaultKeepsItsPromises/disk_fill", "github.com/gameday-sh/gameday/faults")
	tests.ends(5*time.Minute, 0, `(?m)^    --- PASS: TestEveryFaultKeepsItsPromises/disk_fill `, `--- PASS: TestEveryFaultKeepsItsPromises/disk_fill/revert_works_from_the_journal`)
	vet := launch(t, "nice", "go", "vet", "-overlay", overlay, "github.com/gameday-sh/gameday/faults/...")
	vet.ends(5*time.Minute, 0)

	program := filepath.Join(dir, "gameday")
	if output, err := exec.Command("nice", "go", "build", "-overlay", overlay, "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	launch(t, program, "explain", "fault", "disk_fill").ends(20*time.Second, 0, "How much room to take", `fault "disk_fill" "less-room"`)
	launch(t, program, "fmt", "--check", replace[filepath.Join(root, "scenarios/examples/less_room.hcl")]).ends(20*time.Second, 0)
	run := launch(t, program, "run", "--state", t.TempDir(), "less_room")
	run.ends(2*time.Minute, 0, `less-room injected: directory /tmp: 20 MB less room \(seen: \S+ has 20 MB\)`, `less-room mended`, "HELD")
}

// patched inserts the one line that a diff adds after the one line that it shows.
func patched(t *testing.T, path, diff string) string {
	t.Helper()
	lines := strings.Split(strings.TrimSuffix(diff, "\n"), "\n")
	if len(lines) != 2 || !strings.HasPrefix(lines[0], " ") || !strings.HasPrefix(lines[1], "+") {
		t.Fatalf("the change to %s is not one line after another:\n%s", path, diff)
	}
	text, after, line := read(t, path), lines[0][1:]+"\n", lines[1][1:]+"\n"
	if strings.Count(text, after) != 1 {
		t.Fatalf("%s does not have, once, the line\n%s", path, after)
	}
	return strings.Replace(text, after, after+line, 1)
}
