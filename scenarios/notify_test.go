package scenarios

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/gameday-sh/gameday/experiments"
)

type testWebhook struct {
	URL experiments.Secret `hcl:"url" doc:"Where to." example:"env(\"HOOK\")"`
	On  []string           `hcl:"on,optional" default:"[\"end\"]" enum:"begin|end|not restored" doc:"When."`
}

func (w *testWebhook) Validate() []experiments.Problem {
	if strings.HasPrefix(w.URL.Reveal(), "http") {
		return nil
	}
	return []experiments.Problem{{Attribute: "url", Summary: "Not an address", Detail: "got " + w.URL.Reveal()}}
}
func (w *testWebhook) Wants(*experiments.Notice) bool { return true }
func (w *testWebhook) Deliver(context.Context, *experiments.Notice) (experiments.Receipt, error) {
	return experiments.Receipt{}, nil
}

func TestAScenarioTellsAllUnlessItSaysWhom(t *testing.T) {
	language, _ := testLanguage()
	c, diags := language.LoadText("main.hcl", []byte(`
sandbox "shop" {}
notify "webhook" "team" {
  url          = "${sandbox.shop.url}/hook"
  on           = ["begin", "not restored"]
  timeout      = "2s"
  retry_within = "0s"
}
notify "webhook" "others" { url = env("HOOK") }
probe "http" "door" { url = "http://127.0.0.1/" }
scenario "all" {
  hypothesis "it answers" { probe = probe.door }
}
scenario "some" {
  notify = [notify.others, notify.others]
  hypothesis "it answers" { probe = probe.door }
}
scenario "nobody" {
  notify = []
  hypothesis "it answers" { probe = probe.door }
}
`), Options{Environ: environment("HOOK", "https://hooks/abcd")})
	if diags.HasErrors() {
		t.Fatal(text(t, diags))
	}
	if err := c.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	list, diags := c.Experiments()
	if diags.HasErrors() {
		t.Fatal(text(t, diags))
	}
	var got []string
	for _, e := range list {
		var names []string
		for _, plan := range e.Notify {
			names = append(names, plan.Name+" of "+plan.Kind+" at "+plan.Origin)
		}
		got = append(got, e.Name+": "+strings.Join(names, ", "))
	}
	if want := "all: team of webhook at main.hcl:3, others of webhook at main.hcl:9; some: others of webhook at main.hcl:9; nobody: "; strings.Join(got, "; ") != want {
		t.Errorf("%s", strings.Join(got, "; "))
	}
	team := list[0].Notify[0]
	hook, ok := team.Receiver.(*testWebhook)
	if !ok || team.Timeout != 2*time.Second || team.RetryWithin != 0 || hook.URL.Reveal() != "http://127.0.0.1:4711/url/hook" || strings.Join(hook.On, " ") != "begin not restored" {
		t.Errorf("%+v %+v", team, hook)
	}
	if other := list[0].Notify[1]; other.Timeout != 5*time.Second || other.RetryWithin != 30*time.Second {
		t.Errorf("defaults %+v", other)
	}
	if secrets := c.Secrets(); len(secrets) != 2 {
		t.Errorf("secrets %q", secrets)
	}
}

func TestAReceiverThatNobodyNamesIsUnused(t *testing.T) {
	language, _ := testLanguage()
	_, diags := language.LoadText("main.hcl", []byte("notify \"webhook\" \"team\" {\n  url = \"http://x/\"\n}\n"+strings.Replace(minimal, "scenario \"s\" {", "scenario \"s\" {\n  notify = []\n", 1)), Options{})
	if said := text(t, diags); !strings.Contains(said, "Unused notify") || diags.HasErrors() {
		t.Errorf("%s", said)
	}
}
