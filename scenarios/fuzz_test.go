package scenarios

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// FuzzLoad feeds arbitrary files. Loading must end, must not panic, and must say
// something about what it refuses; what is right must stay right when formatted.
func FuzzLoad(f *testing.F) {
	paths, err := filepath.Glob("testdata/wrong/*.hcl")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	for _, seed := range []string{
		designed, minimal, "", "\x00", "a = <<EOT\n${\"\nEOT\n", "locals { a = [for x in [1, 2] : x if local.a] }", "locals { a = \"%{ if true }%{ endif }\" }",
		"locals { a = [1][*].b\n b = local[\"a\"] }", "prometheus { labels = { (env(\"A\")) = sandbox.url } }\nsandbox {}", "variable \"x\" { type = map(any) }",
		"locals {\n a = range(100000)\n b = setproduct(local.a, local.a, local.a) }", "/* \"", "a \"${", "locals { a = fault.x.y }",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, source []byte) {
		path := filepath.Join(t.TempDir(), "fuzz.hcl")
		if err := os.WriteFile(path, source, 0o600); err != nil {
			t.Fatal(err)
		}
		language, _ := testLanguage()
		c, diags := language.Load(path, Options{Vars: []string{"x=[1"}})
		var out bytes.Buffer
		if err := diags.WriteText(&out, 80, true); err != nil {
			t.Fatal(err)
		}
		if err := diags.WriteJSON(&out); err != nil {
			t.Fatal(err)
		}
		if diags.HasErrors() {
			if out.Len() == 0 {
				t.Error("refused without a word")
			}
			return
		}
		if err := c.Open(t.Context()); err == nil {
			c.Experiments()
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		}
		if _, wrong := Format(path, source); wrong.HasErrors() {
			t.Errorf("what loads is refused by Format: %s", wrong.Error())
		}
	})
}
