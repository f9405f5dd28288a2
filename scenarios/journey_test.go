package scenarios

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/gameday-sh/gameday/experiments"
)

const journeys = `
variable "password" {
  default   = "planted-secret-1"
  sensitive = true
}

sandbox "shop" {}

locals {
  common = { Accept = "text/plain", X-Number = 7 }
}

journey "checkout" {
  description = "A user buys a tea"
  criticality = "critical"

  step "log in" {
    url     = sandbox.shop.url
    headers = local.common
    body    = "password=${var.password}"

    capture "token" {
      regexp = "t=(.*)"
    }
    capture "id" {
      regexp = "i=(.*)"
    }
  }

  step "pay" {
    url     = "${sandbox.shop.url}/pay/${capture.id}?token=${capture.token}"
    headers = { Authorization = "Bearer ${capture.token}", (upper("id")) = (capture.id), X-Env = env("GAMEDAY_TEST_SECRET") }
    pause   = "1s"
    body = jsonencode({
      "to\"ken" = capture.token
      list      = [capture.id, 1, "<${capture.id}>", { a = null }]
      word      = upper("fixed")
      pay       = { with = "card \"${capture.id}\"" }
    })
  }

  step "look" {
    url  = "http://127.0.0.1/"
    body = <<-EOT
      first ${capture.id}
      second ${upper("x")}
    EOT
  }
}

slo "checkout" {
  objective = "99%"
  probe     = journey.checkout
}

scenario "s" {
  hypothesis "users can check out" {
    slo      = slo.checkout
    at_least = "90%"
  }
  hypothesis "users check out fast" {
    probe       = journey.checkout
    p95_at_most = "1s"
  }
  fault "pod_kill" "one" {
    selector = "app=shop"
  }
  guard "probe_fails" "users" {
    probe = journey.checkout
  }
}
`

func TestAJourneyIsDecodedWithPlacesForWhatItCaptures(t *testing.T) {
	language, _ := testLanguage()
	c, diags := language.Load(write(t, "main.hcl", journeys), Options{Environ: environment("GAMEDAY_TEST_SECRET", "planted-secret-2")})
	if len(diags.list) > 0 {
		t.Fatal(text(t, diags))
	}
	draft := c.Draft().Experiments[0].Probes[0]
	if unsettled := c.Draft().Unsettled[draft.Origin]; !slices.Equal(unsettled, []string{"step"}) {
		t.Errorf("while nothing is open, %v is not known; want the steps", unsettled)
	}
	if err := c.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}()
	list, diags := c.Experiments()
	if len(diags.list) > 0 {
		t.Fatal(text(t, diags))
	}
	e := list[0]
	if len(e.Probes) != 1 || e.SLOs[0].Probe != e.Probes[0] || e.Hypotheses[1].Probe != e.Probes[0] || e.Guards[0].Guard.Needs().Probes[0] != e.Probes[0] {
		t.Fatalf("it is not one journey that everything is about: %+v", e)
	}
	p := e.Probes[0]
	if p.SeriesName() != "journey.checkout" || p.Kind != "journey" || p.Every.String() != "10s" || p.Timeout.String() != "10s" || e.SLOs[0].Queries != "measurements of journey.checkout" {
		t.Errorf("decoded as %+v", p)
	}
	if want := (experiments.Journey{Description: "A user buys a tea", Criticality: experiments.Critical, Steps: []string{"log in", "pay", "look"}}); fmt.Sprint(*p.Journey) != fmt.Sprint(want) {
		t.Errorf("it stands for %+v, want %+v", *p.Journey, want)
	}
	probe, ok := p.Probe.(*testJourney)
	if !ok {
		t.Fatalf("the probe is a %T", p.Probe)
	}
	taken := map[string]string{"token": `a"b&c`, "id": "4 2"}
	shout := func(value string) string { return "[" + value + "]" }
	for _, test := range []struct{ name, got, want string }{
		{"a body with a secret", probe.Steps[0].Body.Render(nil, nil), "password=planted-secret-1"},
		{"a header from a local", probe.Steps[0].Headers["X-Number"].Render(nil, nil), "7"},
		{"an escaped URL", probe.Steps[1].URL.Render(taken, shout), `http://127.0.0.1:4711/url/pay/[4 2]?token=[a"b&c]`},
		{"a header", probe.Steps[1].Headers["Authorization"].Render(taken, nil), `Bearer a"b&c`},
		{"a header of which the name is worked out", probe.Steps[1].Headers["ID"].Render(taken, nil), "4 2"},
		{"a header from the environment", probe.Steps[1].Headers["X-Env"].Render(taken, nil), "planted-secret-2"},
		{"a heredoc", probe.Steps[2].Body.Render(taken, nil), "first 4 2\nsecond X\n"},
	} {
		if test.got != test.want {
			t.Errorf("%s is %s, want %s", test.name, test.got, test.want)
		}
	}
	var body, want any
	got := probe.Steps[1].Body.Render(taken, nil)
	if err := json.Unmarshal([]byte(got), &body); err != nil {
		t.Fatalf("the body is no JSON: %v\n%s", err, got)
	}
	if err := json.Unmarshal([]byte(`{"to\"ken":"a\"b&c","list":["4 2",1,"<4 2>",{"a":null}],"word":"FIXED","pay":{"with":"card \"4 2\""}}`), &want); err != nil || fmt.Sprint(body) != fmt.Sprint(want) {
		t.Errorf("the body is %s (%v)", got, err)
	}
	if secrets := c.Secrets(); !slices.Contains(secrets, "planted-secret-1") || !slices.Contains(secrets, "planted-secret-2") {
		t.Errorf("the secrets are %q", secrets)
	}
	if printed := fmt.Sprintf("%+v", probe); strings.Contains(printed, "planted") {
		t.Errorf("a step shows its secret: %s", printed)
	}
}

func TestWhatCannotBeCapturedIsOneDiagnostic(t *testing.T) {
	whole := strings.Replace(journeys, `body = <<-EOT
      first ${capture.id}
      second ${upper("x")}
    EOT`, "BODY", 1)
	for body, want := range map[string]string{
		`body = "${capture.id == "" ? "a" : "b"}"`:          `Captured value not allowed here: What is captured`,
		`body = join(",", [capture.id])`:                    `Captured value not allowed here: What is captured`,
		`body = "%{ if capture.id != "" }a%{ endif }"`:      `Captured value not allowed here: What is captured`,
		`body = jsonencode([for x in [capture.id]: x])`:     `Captured value not allowed here: What is captured`,
		`headers = merge(local.common, { a = capture.id })`: `Captured value not allowed here: What is captured`,
		`pause = capture.id`:                                `Captured value not allowed here: The attribute "pause" of step "look" of journey "checkout"`,
		`body = "${capture.id}${local.common}"`:             `Not a text: A text is needed here, and this is a map.`,
		`body = "${capture.id}${null}"`:                     `Not a text: A text is needed here, and this is null.`,
		`body = "${capture.id}${upper()}"`:                  `Not enough function arguments`,
		`body = capture.ID`:                                 `Reference to nothing: No earlier step captures "ID". There is: token, id.`,
		`body = capture["it"]`:                              `Reference to nothing: No earlier step captures "it".`,
		`body = { a = 1 }`:                                  `Wrong type: The attribute "body" of step "look" of journey "checkout": This is a map; a text that may hold captured values is needed.`,
		`headers = ["a"]`:                                   `Wrong type: The attribute "headers" of step "look" of journey "checkout": This is a list; a map of texts that may hold captured values is needed`,
		`capture "x" "y" { regexp = "a" }`:                  `Too many labels: Write capture "name" { ... }.`,
		`capture "" { regexp = "a" }`:                       `Name not allowed: Give the capture a name`,
		`captur "x" { regexp = capture.who }`:               `Unknown block: The step "look" of journey "checkout" has no block "captur". Did you mean "capture"?`,
		"name = \"x\"":                                      `Unknown attribute: The step "look" of journey "checkout" has no attribute "name".`,
	} {
		t.Run(body, func(t *testing.T) {
			got := oneProblem(t, strings.Replace(whole, "BODY", body, 1), Options{Environ: environment("GAMEDAY_TEST_SECRET", "planted-secret-2")})
			if _, got, _ := strings.Cut(got, ": "); !strings.HasPrefix(got, want) {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}
