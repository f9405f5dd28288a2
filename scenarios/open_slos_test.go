package scenarios

import (
	"slices"
	"strings"
	"testing"
)

func TestLookingAtSLOsOpensOnlyWhatTheyAreAskedOf(t *testing.T) {
	const shop = `
sandbox "shop" {}
scrape "shop" {
  url        = sandbox.shop.metrics_url
  prometheus = prometheus.here
}
toxiproxy {}
prometheus "here" {}
prometheus "there" { url = "http://there" }
prometheus "idle"  { url = "http://idle" }
probe "http" "door" {
  url   = sandbox.shop.url
  every = sandbox.shop.pace
}
slo "queries" {
  objective = "99%"
  sli {
    prometheus = prometheus.there
    bad        = "bad"
    total      = "total"
  }
}
slo "measured" {
  objective = "99%"
  probe     = probe.door
}
`
	language, log := testLanguage()
	c, diags := language.Load(write(t, "main.hcl", shop), Options{})
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	if err := c.OpenSLOs(t.Context()); err != nil {
		t.Fatal(err)
	}
	slos, _, problems := c.SLOs()
	if problems.HasErrors() || len(slos) != 2 {
		t.Errorf("%d slos: %v", len(slos), problems)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if want := []string{"open prometheus http://there", "close prometheus http://there"}; !slices.Equal(*log, want) {
		t.Errorf("it did %q, want %q", *log, want)
	}
}

func TestASourceThatOnlyARunWouldKnowStaysClosed(t *testing.T) {
	const shop = `
sandbox "shop" {}
prometheus { url = sandbox.shop.url }
slo "queries" {
  objective = "99%"
  sli {
    bad   = "bad"
    total = "total"
  }
}
`
	language, log := testLanguage()
	c, diags := language.Load(write(t, "main.hcl", shop), Options{})
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	if err := c.OpenSLOs(t.Context()); err != nil {
		t.Fatal(err)
	}
	slos, _, problems := c.SLOs()
	if problems.HasErrors() || len(slos) != 1 || slos[0].SLI == nil {
		t.Errorf("slos %v: %v", slos, problems)
	}
	if err := c.Close(); err != nil || len(*log) != 0 {
		t.Errorf("it did %q (%v), want nothing", strings.Join(*log, ", "), err)
	}
}
