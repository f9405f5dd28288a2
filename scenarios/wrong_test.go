package scenarios

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files of testdata/wrong anew")

// golden compares a text with a file, or writes the file.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs.\ngot:\n%s\nwant:\n%s", path, got, want)
	}
}

func TestWhatIsWrongIsSaidExactly(t *testing.T) {
	paths, err := filepath.Glob("testdata/wrong/*.hcl")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no files: %v", err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			language, _ := testLanguage()
			c, diags := language.Load(filepath.ToSlash(path), Options{Environ: environment("GAMEDAY_TEST_SECRET", "planted-secret-2")})
			if !diags.HasErrors() {
				t.Error("nothing was found wrong")
			}
			got := text(t, diags)
			golden(t, strings.TrimSuffix(path, ".hcl")+".golden", got)
			if err := c.Open(t.Context()); err == nil {
				t.Error("a wrong configuration was opened")
			}
			for _, line := range strings.Split(got, "\n") {
				// Source lines quote what the file says; the details must not.
				if strings.Contains(line, "planted-secret") && !strings.Contains(line, " | ") {
					t.Errorf("a secret is shown: %s", line)
				}
			}
		})
	}
}

func TestWhatIsTooBigOrUnreadableIsSaidExactly(t *testing.T) {
	home, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	nested := "a = " + strings.Repeat("(", 100_000) + "1" + strings.Repeat(")", 100_000)
	for name, file := range map[string]string{
		"nested_parentheses": nested,
		"nested_templates":   `a = "` + strings.Repeat(`${"`, 50_000) + strings.Repeat(`"}`, 50_000) + `"`,
		"nested_blocks":      strings.Repeat("a {\n", 50_000) + strings.Repeat("}\n", 50_000),
		"chained_negations":  "a = " + strings.Repeat("!", 500_000) + "true",
		"chained_additions":  "a = 1" + strings.Repeat("+1", 400_000),
		"long_heredoc":       "locals {\n  a = <<EOT\n" + strings.Repeat("x\n", 200_000) + "EOT\n}\n",
		"too_large":          "# " + strings.Repeat("x", 1<<20),
		"not_utf8":           "# fine\nlocals { a = \"\xc3\x28\" }\n",
		"utf16":              "\xff\xfea\x00",
		"byte_order_mark":    "\xef\xbb\xbflocals {}\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Chdir(write(t, "big.hcl", file))
			language, _ := testLanguage()
			_, diags := language.Load("big.hcl", Options{})
			if errors, warnings := diags.Count(); errors != 1 || warnings != 0 {
				t.Errorf("%d errors and %d warnings, want one error", errors, warnings)
			}
			got := text(t, diags)
			t.Chdir(home)
			golden(t, filepath.Join("testdata/wrong", name+".generated.golden"), got)
		})
	}
}

func TestAPathThatHoldsNothingIsSaidExactly(t *testing.T) {
	dir := write(t, "notes.txt", "no scenario")
	for path, want := range map[string]string{
		".":        "Error: Empty directory\n  . holds no .hcl file. A directory is one configuration, made of its .hcl\n  files; folders within it are not read.\n",
		"gone.hcl": "Error: No such file or directory\n  gone.hcl cannot be read: no such file or directory. Give the path of an .hcl\n  file, or of a directory that holds some.\n",
	} {
		t.Run(path, func(t *testing.T) {
			t.Chdir(dir)
			language, _ := testLanguage()
			_, diags := language.Load(path, Options{})
			if got := text(t, diags); got != want {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

func TestDiagnosticsForMachinesHavePositionsAndSuggestions(t *testing.T) {
	language, _ := testLanguage()
	_, diags := language.Load("testdata/wrong/unknown_block.hcl", Options{})
	var out bytes.Buffer
	if err := diags.WriteJSON(&out); err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/unknown_block.json", out.String())
	out.Reset()
	if err := (&Diagnostics{}).WriteJSON(&out); err != nil || out.String() != "[]\n" {
		t.Errorf("nothing wrong is written as %q (%v), want an empty array", out.String(), err)
	}
}
