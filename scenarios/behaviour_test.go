package scenarios

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gameday-sh/gameday/experiments"
)

// minimal is a scenario with one probe and one fault, to build on.
const minimal = `
probe "http" "door" {
  url = "http://127.0.0.1/"
}

scenario "s" {
  hypothesis "it answers" { probe = probe.door }

  fault "pod_kill" "kill" { selector = "app=checkout" }
}
`

func TestConnectionsOpenInTheOrderOfTheirReferencesAndCloseNewestFirst(t *testing.T) {
	language, log := testLanguage()
	path := write(t, "main.hcl", `
scrape "shop" { url = local.metrics }
locals { metrics = sandbox.shop.metrics_url }
sandbox "shop" { instances = 3 }
probe "http" "door" { url = "${sandbox.shop.url}/path" }
scenario "s" {
  hypothesis "it answers" { probe = probe.door }
  fault "toxiproxy_latency" "late" {
    proxy    = "payments"
    latency  = sandbox.shop.pace
    jitter   = "10ms"
    duration = "1s"
  }
}`)
	c, diags := language.Load(path, Options{})
	if diags.HasErrors() {
		t.Fatal(text(t, diags))
	}
	if len(*log) != 0 {
		t.Fatalf("loading opened something: %v", *log)
	}
	if err := c.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	list, diags := c.Experiments()
	if diags.HasErrors() {
		t.Fatal(text(t, diags))
	}
	if probe, ok := list[0].Probes[0].Probe.(*testHTTP); !ok || probe.URL != "http://127.0.0.1:4711/url/path" {
		t.Errorf("the probe asks %+v", list[0].Probes[0].Probe)
	}
	latency, ok := list[0].Faults[0].Fault.(*testLatency)
	if !ok || latency.Latency != 300*time.Millisecond {
		t.Errorf("the latency is %+v", list[0].Faults[0].Fault)
	}
	if !slices.ContainsFunc(c.Connections(), func(one experiments.Connection) bool { return one == experiments.Connection(latency.Toxiproxy) }) {
		t.Error("the implied toxiproxy is not among the connections")
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"open sandbox of 3", "open prometheus ", "open scrape http://127.0.0.1:4711/metrics_url", "open toxiproxy ",
		"close toxiproxy ", "close scrape http://127.0.0.1:4711/metrics_url", "close prometheus ", "close sandbox",
	}
	if !slices.Equal(*log, want) {
		t.Errorf("got  %q\nwant %q", *log, want)
	}
	if _, diags := c.Experiments(); !diags.HasErrors() {
		t.Error("experiments were given after Close")
	}
}

func TestAFailedOpenClosesWhatWasOpen(t *testing.T) {
	language, log := testLanguage()
	c, diags := language.Load(write(t, "main.hcl", `
prometheus {}
toxiproxy { url = "http://broken" }
sandbox "shop" {}
`), Options{})
	if diags.HasErrors() {
		t.Fatal(text(t, diags))
	}
	err := c.Open(t.Context())
	if err == nil || !strings.Contains(err.Error(), "open toxiproxy: connection refused") {
		t.Errorf("error: %v", err)
	}
	if want := []string{"open prometheus ", "open toxiproxy http://broken", "close prometheus "}; !slices.Equal(*log, want) {
		t.Errorf("got %q, want %q", *log, want)
	}
}

func TestAValueThatTurnsOutWrongIsShownWhereItStands(t *testing.T) {
	language, log := testLanguage()
	c, diags := language.Load(write(t, "main.hcl", strings.ReplaceAll(minimal, `url = "http://127.0.0.1/"`, "url = \"http://x\"\nevery = sandbox.url")+"sandbox {}\n"), Options{})
	if diags.HasErrors() {
		t.Fatal(text(t, diags))
	}
	if err := c.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, diags = c.Experiments()
	if got := strings.Join(strings.Fields(text(t, diags)), " "); !strings.Contains(got, `"http://127.0.0.1:4711/url" is not a duration`) {
		t.Errorf("said:\n%s", got)
	}
	if err := c.Close(); err != nil || len(*log) != 2 {
		t.Errorf("close: %v, log %q", err, *log)
	}

	c, diags = language.Load(write(t, "main.hcl", "sandbox \"a\" {}\nsandbox \"b\" { instances = sandbox.a.url }\n"), Options{})
	if diags.HasErrors() {
		t.Fatal(text(t, diags))
	}
	var found *Diagnostics
	if err := c.Open(t.Context()); !errors.As(err, &found) || !strings.Contains(found.Error(), "main.hcl:2: Wrong type") {
		t.Errorf("opening said: %v", err)
	}
}

func TestAReferencePicksItsConnection(t *testing.T) {
	_, list := mustOpen(t, strings.ReplaceAll(minimal, `fault "pod_kill" "kill" { selector = "app=checkout" }`, `
  fault "toxiproxy_latency" "plain" {
    proxy    = "a"
    latency  = "1s"
    duration = "1s"
  }
  fault "toxiproxy_latency" "named" {
    proxy     = "a"
    latency   = "1s"
    duration  = "1s"
    toxiproxy = var.second ? toxiproxy.second : toxiproxy.third
  }`)+`
variable "second" { default = true }
toxiproxy { url = "http://first" }
toxiproxy "second" { url = "http://second" }
toxiproxy "third" { url = "http://third" }
`, Options{})
	for i, want := range []string{"http://first", "http://second"} {
		if fault, ok := list[0].Faults[i].Fault.(*testLatency); !ok || fault.Toxiproxy == nil || fault.Toxiproxy.URL != want {
			t.Errorf("fault %s: %+v, want %s", list[0].Faults[i].Name, list[0].Faults[i].Fault, want)
		}
	}
}

func TestAnSLOMayRestOnAProbe(t *testing.T) {
	_, list := mustOpen(t, `
slo "door" {
  objective = "99%"
  probe     = probe.door
}
slo "unused" {
  objective = "99%"
  probe     = probe.other
}
probe "http" "other" { url = "http://127.0.0.1/" }
probe "gauge" "door" {
  name  = "queue"
  good  = 7
  unit  = "orders"
  every = "200ms"
}
scenario "s" {
  hypothesis "the objective is met" { slo = slo.door }
  hypothesis "the queue is short" {
    probe         = probe.door
    value_at_most = "250ms"
  }
}`, Options{})
	e := list[0]
	if len(e.Probes) != 1 || e.Probes[0].Name != "door" || e.Probes[0].Unit != "orders" || len(e.SLOs) != 1 || e.SLOs[0].Probe != e.Probes[0] || e.SLOs[0].Every != 200*time.Millisecond {
		t.Fatalf("probes %+v, slos %+v", e.Probes, e.SLOs)
	}
	if got := e.Hypotheses[0].Limit; got != (experiments.Limit{Kind: experiments.GoodRatio, Ratio: 0.99}) {
		t.Errorf("without a limit of its own it has %+v", got)
	}
	if got := e.Hypotheses[1].Limit; got != (experiments.Limit{Kind: experiments.ValueAtMost, Value: 0.25}) {
		t.Errorf("a duration as a value is %+v", got)
	}
}

func TestAGuardBringsItsProbeAndReplacesTheDefaultOfItsKind(t *testing.T) {
	_, list := mustOpen(t, strings.ReplaceAll(minimal, "scenario \"s\" {", `
probe "http" "back" {
  url     = "http://127.0.0.1/"
  headers = { Accept = "text/html" }
  weight  = null
  retry { after = "1s" }
  retry { after = "2s" }
  tls { ca = "ca.pem" }
}
scenario "s" {
  guard "probe_fails" "the back door" { probe = probe.back }
  guard "no_data" "mine" { for = "5s" }`), Options{})
	e := list[0]
	if len(e.Probes) != 2 || e.Probes[1].Name != "back" {
		t.Fatalf("probes: %+v", e.Probes)
	}
	back, ok := e.Probes[1].Probe.(*testHTTP)
	if !ok || back.Weight != nil || len(back.Retry) != 2 || back.Retry[1].After != 2*time.Second || back.TLS == nil || back.TLS.CA != "ca.pem" || !slices.Equal(back.Codes, []int{200}) {
		t.Errorf("probe: %+v", e.Probes[1].Probe)
	}
	if accept := back.Headers["Accept"]; accept.Reveal() != "text/html" {
		t.Errorf("the header is %q", accept.Reveal())
	}
	var kinds []string
	for _, plan := range e.Guards {
		kinds = append(kinds, plan.Kind)
	}
	if want := []string{"probe_fails", "no_data", "max_duration"}; !slices.Equal(kinds, want) {
		t.Errorf("guards %v, want %v", kinds, want)
	}
	if e.Hypotheses[0].Limit.Kind != experiments.EverySample || !e.SeedDrawn {
		t.Errorf("limit %+v, seed drawn: %v", e.Hypotheses[0].Limit, e.SeedDrawn)
	}
}

func TestADirectoryIsOneConfiguration(t *testing.T) {
	dir := write(t, "b.hcl", "probe \"http\" \"door\" { url = local.url }\n", "a.hcl", `
scenario "first" {
  hypothesis "it answers" { probe = probe.door }
}`, "c.hcl", "locals { url = \"http://127.0.0.1/\" }\n", "notes.txt", "{{{")
	language, _ := testLanguage()
	c, diags := language.Load(dir, Options{})
	if diags.HasErrors() {
		t.Fatal(text(t, diags))
	}
	var files []string
	for _, f := range c.Source().Files {
		files = append(files, f.Name)
	}
	if !slices.Equal(files, []string{"a.hcl", "b.hcl", "c.hcl"}) || !slices.Equal(c.Scenarios(), []string{"first"}) {
		t.Errorf("files %v, scenarios %v", files, c.Scenarios())
	}
	if !strings.HasPrefix(c.Source().Digest, "sha256:") || len(c.Source().Digest) != 71 {
		t.Errorf("digest %q", c.Source().Digest)
	}
}

func TestTheDigestTellsNamesAndTextsApart(t *testing.T) {
	seen := map[string]bool{}
	for _, files := range [][]experiments.SourceFile{
		{{Name: "a", Text: "bc"}}, {{Name: "ab", Text: "c"}}, {{Name: "a", Text: "b"}, {Name: "", Text: "c"}}, nil,
	} {
		seen[digest(files)] = true
	}
	if len(seen) != 4 {
		t.Errorf("%d digests of 4 sets of files", len(seen))
	}
}

func TestALibraryWithoutAScenarioIsFine(t *testing.T) {
	language, _ := testLanguage()
	_, diags := language.Load(write(t, "main.hcl", "probe \"http\" \"door\" { url = \"http://127.0.0.1/\" }\n"), Options{})
	if errors, warnings := diags.Count(); errors+warnings != 0 {
		t.Error(text(t, diags))
	}
}

func TestProblemsOfValidatorsStandAtTheirAttribute(t *testing.T) {
	got := refuse(t, strings.ReplaceAll(minimal, `url = "http://127.0.0.1/"`, "url = \"ftp://x\"\n  tls {\n    ca = \"x\"\n    insecure = true\n  }"), Options{})
	for _, want := range []string{"Error: Not HTTP", `3 |   url = "ftp://x"`, "Error: Two ways to trust", "6 |     insecure = true"} {
		if !strings.Contains(got, want) {
			t.Errorf("said:\n%s\nwithout %q", got, want)
		}
	}
}

func TestAMisspeltAttributeIsNotMissingAsWell(t *testing.T) {
	language, _ := testLanguage()
	_, diags := language.Load(write(t, "main.hcl", strings.ReplaceAll(minimal, "selector", "selectro")), Options{})
	if errors, _ := diags.Count(); errors != 1 || !strings.Contains(text(t, diags), `Did you mean "selector"?`) {
		t.Error(text(t, diags))
	}
}

func TestWarningsAreGivenOnceAndByLoad(t *testing.T) {
	language, _ := testLanguage()
	c, diags := language.Load(write(t, "main.hcl", strings.ReplaceAll(minimal, "fault \"pod_kill\" \"kill\" { selector = \"app=checkout\" }", "")+"variable \"x\" { default = 1 }\n"), Options{})
	if errors, warnings := diags.Count(); errors != 0 || warnings != 2 || diags.Err() != nil {
		t.Fatal(text(t, diags))
	}
	if err := c.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	list, diags := c.Experiments()
	if errors, warnings := diags.Count(); errors+warnings != 0 || len(list) != 1 || len(list[0].Faults) != 0 {
		t.Error(text(t, diags))
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

func TestColourMarksTheSameText(t *testing.T) {
	language, _ := testLanguage()
	_, diags := language.Load("testdata/wrong/unknown_block.hcl", Options{})
	var coloured strings.Builder
	if err := diags.WriteText(&coloured, 80, true); err != nil {
		t.Fatal(err)
	}
	plain := regexp.MustCompile("\x1b\\[[0-9;]*m").ReplaceAllString(coloured.String(), "")
	if coloured.String() == plain || plain != text(t, diags) {
		t.Errorf("without its colours it reads\n%s", plain)
	}
}

func TestMergeKeepsTheSourcesOfAll(t *testing.T) {
	language, _ := testLanguage()
	_, first := language.Load("testdata/wrong/unknown_block.hcl", Options{})
	_, second := language.Load("testdata/wrong/unknown_kind.hcl", Options{})
	got := text(t, Merge(first, nil, second))
	if want := text(t, first) + "\n" + text(t, second); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}
