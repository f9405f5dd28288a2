package main

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/gameday-sh/gameday/scenarios"
)

// documents lists every Markdown file of the project.
func documents(t *testing.T) []string {
	t.Helper()
	list, err := filepath.Glob("../../docs/*.md")
	if err != nil || len(list) < 5 {
		t.Fatalf("the documents are %v, %v", list, err)
	}
	return append(list, "../../README.md")
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var fence = regexp.MustCompile("(?ms)^```(\\w+)( \\w+)?\n(.*?)^```$")

func TestEveryScenarioInTheDocumentsIsValid(t *testing.T) {
	whole := 0
	for _, path := range documents(t) {
		for _, block := range fence.FindAllStringSubmatch(read(t, path), -1) {
			if block[1] != "hcl" {
				continue
			}
			text, mark := block[3], strings.TrimSpace(block[2])
			if filepath.Base(path) == "language.md" || mark == "fragment" {
				if _, problems := scenarios.Format(path, []byte(text)); problems.HasErrors() {
					t.Errorf("%s: %v in\n%s", path, problems, text)
				}
				continue
			}
			whole++
			file := filepath.Join(t.TempDir(), "shop.hcl")
			write(t, file, text)
			_, problems := language().Load(file, scenarios.Options{})
			if problems.HasErrors() != (mark == "wrong") {
				t.Errorf("%s: %v in\n%s", path, problems, text)
			}
			if mark != "wrong" {
				continue
			}
			var words bytes.Buffer
			if err := problems.WriteText(&words, 80, false); err != nil {
				t.Fatal(err)
			}
			told := strings.ReplaceAll(words.String(), file, "shop.hcl")
			if !strings.Contains(read(t, path), strings.TrimSpace(told)) {
				t.Errorf("%s does not quote what gameday says:\n%s", path, told)
			}
		}
	}
	if whole < 4 {
		t.Errorf("only %d whole scenarios in the documents", whole)
	}
}

func TestEveryCommandInTheDocumentsExists(t *testing.T) {
	typed := regexp.MustCompile("(?m)(?:^\\$ |`|(?:run: |- )(?:exec )?)gameday ([a-z]+)([^`\n]*)")
	flag := regexp.MustCompile(`--([a-z-]+)`)
	seen := 0
	for _, path := range documents(t) {
		for _, match := range typed.FindAllStringSubmatch(read(t, path), -1) {
			seen++
			command, _, err := newRoot().Find(append([]string{match[1]}, strings.Fields(match[2])...))
			if err != nil || !strings.HasPrefix(command.CommandPath()+" ", "gameday "+match[1]+" ") {
				t.Errorf("%s: there is no command %q", path, match[1])
				continue
			}
			if sub, _, err := command.Find(strings.Fields(match[2])); err == nil && command.HasSubCommands() {
				command = sub // gameday slo lint
			}
			if command.Args != nil && strings.HasPrefix(match[0], "- ") { // a line of a CI configuration is typed as it stands
				if err := command.Args(command, strings.Fields(match[2])); err != nil {
					t.Errorf("%s: gameday %s%s: %v", path, match[1], match[2], err)
				}
			}
			for _, name := range flag.FindAllStringSubmatch(match[2], -1) {
				if !hasFlag(command, name[1]) {
					t.Errorf("%s: gameday %s has no flag --%s", path, match[1], name[1])
				}
			}
		}
	}
	if seen < 20 {
		t.Errorf("only %d commands found", seen)
	}
}

func hasFlag(command *cobra.Command, name string) bool {
	return command.Flags().Lookup(name) != nil || command.InheritedFlags().Lookup(name) != nil
}

func TestEveryLinkInTheDocumentsLeadsSomewhere(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#:]+)(?:#[^)]*)?\)`)
	for _, path := range documents(t) {
		for _, match := range link.FindAllStringSubmatch(read(t, path), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(path), match[1])); err != nil {
				t.Errorf("%s links to %s, which is not there", path, match[1])
			}
		}
	}
}

func TestTheLanguageReferenceIsUpToDate(t *testing.T) {
	var want bytes.Buffer
	if err := language().WriteReference(&want); err != nil {
		t.Fatal(err)
	}
	if read(t, "../../docs/language.md") != want.String() {
		t.Error("docs/language.md is not what the code says; run `make docs`")
	}
}

func TestTheLanguageHoldsTogether(t *testing.T) {
	if err := language().Verify(); err != nil {
		t.Error(err)
	}
}

// TestEveryKindHasAnExample keeps `gameday explain` able to show a block that works.
func TestEveryKindHasAnExample(t *testing.T) {
	var shipped strings.Builder
	files, err := fs.Glob(scenarios.Examples, "examples/*.hcl")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := fs.ReadFile(scenarios.Examples, file)
		if err != nil {
			t.Fatal(err)
		}
		shipped.Write(text)
	}
	l := language()
	var blocks []string
	for _, kind := range l.Faults {
		blocks = append(blocks, `fault "`+kind.Name+`" `)
	}
	for _, kind := range l.Probes {
		blocks = append(blocks, `probe "`+kind.Name+`" `)
	}
	for _, kind := range l.Guards {
		blocks = append(blocks, `guard "`+kind.Name+`" `)
	}
	for _, kind := range l.Receivers {
		blocks = append(blocks, `notify "`+kind.Name+`" `)
	}
	for _, kind := range l.Connections {
		blocks = append(blocks, "\n"+kind.Name+" ")
	}
	for _, block := range blocks {
		if !strings.Contains(shipped.String(), block) {
			t.Errorf("no shipped example has a block %q", strings.TrimSpace(block))
		}
	}
}

// TestEveryExampleThatExplainShowsIsValid writes each into a file of its own. What it
// refers to is not there; nothing else may be wrong with it.
func TestEveryExampleThatExplainShowsIsValid(t *testing.T) {
	l := language()
	for _, doc := range l.Describe() {
		name := strings.TrimSpace(doc.Topic + " " + doc.Kind)
		if doc.Example == "" {
			t.Errorf("explain %s shows no example", name)
			continue
		}
		text := doc.Example
		switch doc.Topic {
		case "fault", "guard", "hypothesis":
			text = "scenario \"s\" {\n" + text + "\n}\n"
		case "sli":
			text = "slo \"s\" {\n  objective = \"99%\"\n" + text + "\n}\n"
		}
		_, problems := l.LoadText("example.hcl", []byte(text), scenarios.Options{})
		var words bytes.Buffer
		if err := problems.WriteJSON(&words); err != nil {
			t.Fatal(err)
		}
		var list []struct{ Severity, Summary, Detail string }
		if err := json.Unmarshal(words.Bytes(), &list); err != nil {
			t.Fatal(err)
		}
		for _, problem := range list {
			lacks := problem.Summary == "Reference to nothing" || problem.Summary == "Scenario without a hypothesis"
			if problem.Severity == "error" && !lacks {
				t.Errorf("explain %s: %s: %s\n%s", name, problem.Summary, problem.Detail, text)
			}
		}
	}
}
