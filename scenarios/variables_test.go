package scenarios

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestTheLastToGiveAVariableItsValueCounts(t *testing.T) {
	file := filepath.Join(t.TempDir(), "prod.vars")
	if err := os.WriteFile(file, []byte("name = \"file\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := environment("GAMEDAY_VAR_name", "env")
	for want, options := range map[string]Options{
		"default": {},
		"env":     {Environ: env},
		"file":    {Environ: env, VarFiles: []string{file}},
		"flag":    {Environ: env, VarFiles: []string{file}, Vars: []string{"name=other", "name=flag"}},
	} {
		t.Run(want, func(t *testing.T) {
			_, list := mustOpen(t, strings.ReplaceAll(minimal, `"http://127.0.0.1/"`, "var.name")+`variable "name" { default = "default" }`, options)
			if probe, ok := list[0].Probes[0].Probe.(*testHTTP); !ok || probe.URL != want {
				t.Errorf("got %+v, want %s", list[0].Probes[0].Probe, want)
			}
		})
	}
}

func TestTextsFromOutsideBecomeTheVariablesType(t *testing.T) {
	for _, c := range []struct{ name, declared, value, use, want string }{
		{"a number by its type", `{ type = number }`, "3", `"${var.x + 1}"`, "4"},
		{"a number by its default", `{ default = 1 }`, "3", `"${var.x + 1}"`, "4"},
		{"a boolean", `{ type = bool }`, "true", `var.x ? "yes" : "no"`, "yes"},
		{"a list", `{ type = list(string) }`, `["a", "b"]`, `join("-", var.x)`, "a-b"},
		{"an object with a default", `{ type = object({ a = string, b = optional(string, "y") }) }`, `{ a = "x" }`, `"${var.x.a}${var.x.b}"`, "xy"},
		{"a text that looks like a number", `{ type = string }`, "007", `var.x`, "007"},
		{"a text with an equals sign", `{}`, "a=b", `var.x`, "a=b"},
	} {
		t.Run(c.name, func(t *testing.T) {
			source := strings.ReplaceAll(minimal, `"http://127.0.0.1/"`, c.use) + `variable "x" ` + c.declared
			_, list := mustOpen(t, source, Options{Vars: []string{"x=" + c.value}})
			if probe, ok := list[0].Probes[0].Probe.(*testHTTP); !ok || probe.URL != c.want {
				t.Errorf("got %+v, want %s", list[0].Probes[0].Probe, c.want)
			}
		})
	}
}

func TestWrongValuesFromOutsideAreNamed(t *testing.T) {
	source := strings.ReplaceAll(minimal, `"http://127.0.0.1/"`, `"${var.count}${var.key}"`) + `
variable "count" { type = number }
variable "key" {
  type      = number
  default   = 1
  sensitive = true
}`
	for _, c := range []struct {
		name    string
		options Options
		want    string
	}{
		{"a misspelt name", Options{Vars: []string{"cuont=1"}}, `--var cuont: no variable "cuont" is declared. Did you mean "count"?`},
		{"no name", Options{Vars: []string{"=1"}}, "--var takes name=value"},
		{"a text for a number", Options{Vars: []string{"count=many"}}, "The value from --var count is not a number"},
		{"a sensitive text for a number", Options{Vars: []string{"key=planted-secret"}}, "(not shown, the variable is sensitive)"},
		{"a missing file", Options{VarFiles: []string{"gone.vars"}}, "gone.vars cannot be read"},
		{"no value", Options{}, "--var count=..., or GAMEDAY_VAR_count"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := strings.Join(strings.Fields(refuse(t, source, c.options)), " ")
			if !strings.Contains(got, c.want) || strings.Contains(got, "planted-secret") {
				t.Errorf("said %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestSecretsReachOnlyWhatIsMadeForThem(t *testing.T) {
	options := Options{Environ: environment("TOKEN", "token-1", "SHOP_URL", "http://shop", "GAMEDAY_VAR_key", "key-2")}
	c, list := mustOpen(t, strings.ReplaceAll(minimal, `url = "http://127.0.0.1/"`, `
  url     = nonsensitive(env("SHOP_URL"))
  headers = {
    Authorization = "Bearer ${base64encode(env("TOKEN"))}"
    Accept        = env("UNSET", "text/html")
    Key           = upper(var.key)
    None          = env("UNSET", null)
  }`)+"variable \"key\" { sensitive = true }\n", options)
	probe, ok := list[0].Probes[0].Probe.(*testHTTP)
	if !ok {
		t.Fatalf("probe: %+v", list[0].Probes[0].Probe)
	}
	for name, want := range map[string]string{"Authorization": "Bearer dG9rZW4tMQ==", "Accept": "text/html", "Key": "KEY-2"} {
		header := probe.Headers[name]
		if header.Reveal() != want {
			t.Errorf("%s: %q, want %q", name, header.Reveal(), want)
		}
	}
	if probe.URL != "http://shop" || len(probe.Headers) != 3 {
		t.Errorf("url %q, headers %v", probe.URL, probe.Headers)
	}
	secrets := c.Secrets()
	for _, want := range []string{"token-1", "Bearer dG9rZW4tMQ==", "key-2", "KEY-2", "text/html"} {
		if !slices.Contains(secrets, want) {
			t.Errorf("%q is not among the secrets %q", want, secrets)
		}
	}
	if slices.Contains(secrets, "http://shop") || slices.Contains(secrets, "") {
		t.Errorf("secrets %q", secrets)
	}
	if shown := fmt.Sprintf("%+v", probe); strings.Contains(shown, "token") {
		t.Errorf("printing the probe shows %s", shown)
	}
}

func TestAMissingEnvironmentVariableIsNamed(t *testing.T) {
	got := strings.Join(strings.Fields(refuse(t, strings.ReplaceAll(minimal, `"http://127.0.0.1/"`, `env("SHOP_URL")`), Options{})), " ")
	if want := "the environment variable SHOP_URL is not set"; !strings.Contains(got, want) {
		t.Errorf("said:\n%s\nwant %s", got, want)
	}
}
