package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gameday-sh/gameday/internal/promtest"
)

// TestEveryCommandInTheDocumentsDoesWhatItSays types the console blocks of each
// document, one after another in a folder of their own, and compares what comes out
// with what the document shows. Before a block, the whole scenario that was shown
// last stands in shop.hcl, and what was shown as "yaml name" in name.yaml. "..." stands for any lines; numbers, times and names of
// runs may differ.
func TestEveryCommandInTheDocumentsDoesWhatItSays(t *testing.T) {
	slow(t)
	program, err := gamedayProgram()
	if err != nil {
		t.Fatal(err)
	}
	typed := 0
	for _, path := range documents(t) {
		blocks := consoleBlocks(t, path)
		typed += len(blocks)
		if len(blocks) == 0 {
			continue
		}
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			// A shop on a machine that has no time for it turns customers away, and the run
			// is right to tell. What is wrong in a document is wrong again.
			wrong := typeAll(t, program, blocks)
			if wrong != "" {
				t.Logf("once more, for this was the first time: %s", wrong)
				wrong = typeAll(t, program, blocks)
			}
			if wrong != "" {
				t.Error(wrong)
			}
		})
	}
	if typed < 12 {
		t.Errorf("only %d blocks of commands in the documents", typed)
	}
}

// typeAll types the blocks of a document in a new home, and says which does not print
// what it shows.
func typeAll(t *testing.T, program string, blocks []consoleBlock) (wrong string) {
	t.Helper()
	home := t.TempDir()
	if err := os.Symlink(program, filepath.Join(home, "gameday")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(home, "scenarios"), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(home, "scenarios", "first.hcl"), healthCheck)
	served := &documented{}
	quietGo(t, home)
	for _, block := range blocks {
		if block.scenario != "" {
			write(t, filepath.Join(home, "shop.hcl"), served.address(t, block.scenario))
		}
		for name, text := range block.files {
			write(t, filepath.Join(home, name), text)
		}
		got := served.shown(typeIn(t, home, block.commands))
		if !sameLines(block.output, got) {
			wrong += fmt.Sprintf("after\n%s\nthe document shows\n%s\nand this comes\n%s\n", strings.Join(block.commands, "\n"), strings.Join(block.output, "\n"), strings.Join(got, "\n"))
		}
	}
	return wrong
}

// documented is the Prometheus that documents write as [documentedURL]: a real one,
// which has what the shop counted in a month.
type documented struct{ url string }

const documentedURL = "http://127.0.0.1:9090"

// address puts the address of the real server into a scenario that uses one.
func (d *documented) address(t *testing.T, scenario string) string {
	if !strings.Contains(scenario, documentedURL) {
		return scenario
	}
	if d.url == "" {
		d.url = promtest.Start(t, shopMonth())
	}
	return strings.ReplaceAll(scenario, documentedURL, d.url)
}

// shown is what was printed, with the address as it is documented.
func (d *documented) shown(lines []string) []string {
	for i := range lines {
		if d.url != "" {
			lines[i] = strings.ReplaceAll(lines[i], d.url, documentedURL)
		}
	}
	return lines
}

// quietGo turns the go command's counters off in a home: a process that it leaves behind
// would write them there while the home is removed, and it would stay.
func quietGo(t *testing.T, home string) {
	t.Helper()
	settings := exec.Command("go", "telemetry", "off")
	settings.Env = append(os.Environ(), "HOME="+home, "XDG_CONFIG_HOME="+filepath.Join(home, ".config"))
	if output, err := settings.CombinedOutput(); err != nil {
		t.Fatalf("go telemetry off: %v: %s", err, output)
	}
}

// healthCheck is the scenario of documents that show none.
const healthCheck = `sandbox "shop" {}

probe "http" "checkout" {
  url    = sandbox.shop.checkout_url
  method = "POST"
  every  = "100ms"
}

scenario "first" {
  hypothesis "checkout answers" {
    probe = probe.checkout
    hold  = "1s"
  }

  fault "toxiproxy_latency" "late-payments" {
    proxy    = sandbox.shop.payments_proxy
    latency  = "100ms"
    duration = "1s"
  }
}
`

// consoleBlock is commands, with what they print and the scenario that they read.
type consoleBlock struct {
	commands, output []string
	scenario         string
	files            map[string]string
}

func consoleBlocks(t *testing.T, path string) []consoleBlock {
	t.Helper()
	var list []consoleBlock
	scenario, files := "", map[string]string{}
	for _, block := range fence.FindAllStringSubmatch(read(t, path), -1) {
		switch kind, mark := block[1], strings.TrimSpace(block[2]); {
		case kind == "hcl" && mark != "fragment":
			scenario = block[3]
		case kind == "yaml" && mark != "":
			files[mark+".yaml"] = block[3]
		case kind == "console":
			one := consoleBlock{scenario: scenario, files: files}
			scenario, files = "", map[string]string{} // later blocks may have changed the files
			for line := range strings.Lines(block[3]) {
				line = strings.TrimSuffix(line, "\n")
				if command, found := strings.CutPrefix(line, "$ "); found {
					one.commands = append(one.commands, command)
				} else {
					one.output = append(one.output, line)
				}
			}
			if len(one.output) == 0 && !strings.Contains(block[3], "fmt --check") {
				one.output = []string{"..."}
			}
			list = append(list, one)
		}
	}
	return list
}

// typeIn types commands into a shell in a home of its own.
func typeIn(t *testing.T, home string, commands []string) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	shell := exec.CommandContext(ctx, "sh", "-c", strings.Join(commands, "\n"))
	shell.Dir = home
	shell.Env = append(slices.DeleteFunc(os.Environ(), func(setting string) bool {
		return strings.HasPrefix(setting, "GAMEDAY_") || strings.HasPrefix(setting, "XDG_STATE_HOME=") || strings.HasPrefix(setting, "HOME=") || strings.HasPrefix(setting, "PATH=")
	}), "HOME="+home, "PATH="+home+":"+os.Getenv("PATH"))
	var out bytes.Buffer
	shell.Stdout, shell.Stderr = &out, &out
	shell.WaitDelay = 5 * time.Second
	if err := shell.Run(); err != nil && ctx.Err() != nil {
		t.Fatalf("%q did not end: %v\n%s", commands, err, out.String())
	}
	text := strings.TrimSuffix(strings.ReplaceAll(out.String(), home, "~"), "\n")
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}

var (
	runName = regexp.MustCompile(`\d{8}-\d{6}-([a-z0-9-]+)-[0-9a-f]{4}\b`)
	amounts = regexp.MustCompile(`\d[\d.,:]*(ns|µs|ms|s|m|h|%)?`)
	aborter = regexp.MustCompile(`aborted by \S+ with`)
)

// shape is a line without what differs from run to run.
func shape(line string) string {
	line = runName.ReplaceAllString(line, "RUN-$1")
	line = aborter.ReplaceAllString(line, "aborted by ada with")
	line = amounts.ReplaceAllString(line, "#")
	return strings.Join(strings.Fields(line), " ")
}

// sameLines compares lines; "..." among the wanted ones stands for any number.
func sameLines(want, got []string) bool {
	if len(want) == 0 {
		return len(got) == 0
	}
	if want[0] == "..." {
		for skip := range len(got) + 1 {
			if sameLines(want[1:], got[skip:]) {
				return true
			}
		}
		return false
	}
	return len(got) > 0 && shape(want[0]) == shape(got[0]) && sameLines(want[1:], got[1:])
}

func TestLinesOfDocumentsAreComparedButForNumbers(t *testing.T) {
	got := []string{"run 20261125-140427-first-cde5", "a 1.5s", "b", "held"}
	for _, c := range []struct {
		want []string
		same bool
	}{
		{[]string{"run 20261125-150000-first-0000", "a  20ms", "b", "held"}, true},
		{[]string{"...", "held"}, true},
		{[]string{"...", "b", "..."}, true},
		{[]string{"...", "c", "..."}, false},
		{[]string{"run 20261125-150000-other-0000", "..."}, false},
		{[]string{"...", "held", "more"}, false},
		{nil, false},
	} {
		if sameLines(c.want, got) != c.same {
			t.Errorf("%q: want %v", c.want, c.same)
		}
	}
}
