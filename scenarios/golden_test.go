package scenarios

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gameday-sh/gameday/experiments"
)

const goldenSource = `
golden_signals "payments" {
  requests = "charges_total"
  every    = "500ms"
  timeout  = "1s"
  window   = "1m"
  during   = false
}

golden_signals "cart" {
  requests       = "requests_total"
  errors         = "code=\"500\""
  errors_at_most = "0.1%"
  recover_within = "30s"
  hold           = "5s"
}

golden_signals "unused" {
  requests = "x"
}

scenario "watched" {
  watch = [golden_signals.cart, golden_signals["payments"]]
  fault "pod_kill" "lose-one" { selector = "app=cart" }
}

scenario "single" {
  hypothesis "the cart is asked" {
    probe       = golden_signals.cart.traffic
    value_keeps = "80%"
  }
  fault "pod_kill" "lose-one" { selector = "app=cart" }
  guard "golden_signals" "payments" { signals = golden_signals.payments }
}
`

func TestGoldenSignalsAreMeasuredAndJudgedWhereTheyAreUsed(t *testing.T) {
	language, _ := testLanguage()
	_, diags := language.Load(write(t, "main.hcl", goldenSource), Options{})
	if errors, warnings := diags.Count(); errors != 0 || warnings != 1 || !strings.Contains(text(t, diags), "Unused golden_signals") {
		t.Errorf("%s", text(t, diags))
	}
	_, list := mustOpen(t, goldenSource, Options{})
	watched, single := list[0], list[1]
	names := func(e *experiments.Experiment) (probes, hypotheses []string) {
		for _, p := range e.Probes {
			probes = append(probes, p.SeriesName())
		}
		for _, h := range e.Hypotheses {
			hypotheses = append(hypotheses, h.Name)
		}
		return probes, hypotheses
	}
	probes, hypotheses := names(watched)
	if want := []string{"golden_signals.payments.traffic", "golden_signals.cart.traffic", "golden_signals.cart.errors"}; !slices.Equal(probes, want) {
		t.Errorf("probes %q", probes)
	}
	if want := []string{"cart: traffic keeps 50% of the baseline", "cart: errors at most 0.1%", "payments: traffic keeps 50% of the baseline"}; !slices.Equal(hypotheses, want) {
		t.Errorf("hypotheses %q", hypotheses)
	}
	p := watched.Probes[0]
	if p.Every != 500*time.Millisecond || p.Timeout != time.Second || p.Unit != "requests/s" || p.Kind != "golden_signals" || p.Window != time.Minute || p.Origin != "main.hcl:2" {
		t.Errorf("%+v", p)
	}
	cart, payments := watched.Hypotheses[0], watched.Hypotheses[2]
	if !cart.During || cart.RecoverWithin != 30*time.Second || cart.Hold != 5*time.Second || cart.Origin != "main.hcl:10" {
		t.Errorf("%+v", cart)
	}
	if payments.During || payments.RecoverWithin != 2*time.Minute {
		t.Errorf("a window of a minute needs two to recover: %+v", payments)
	}
	if errors := watched.Hypotheses[1]; errors.Rate != watched.Probes[1] || errors.Limit.Ratio != 0.999 || errors.Limit.Kind != experiments.GoodRatio {
		t.Errorf("%+v", errors)
	}
	probes, _ = names(single)
	if want := []string{"golden_signals.payments.traffic", "golden_signals.cart.traffic"}; !slices.Equal(probes, want) {
		t.Errorf("probes %q", probes)
	}
	if limit := single.Hypotheses[0].Limit; limit.Kind != experiments.ValueKeeps || limit.Ratio != 0.8 {
		t.Errorf("%+v", limit)
	}
}

// What a connection exports is not known before it is open, and no mistake then.
func TestGoldenSignalsMayWaitForAConnection(t *testing.T) {
	_, list := mustOpen(t, `
sandbox "shop" {}

golden_signals "cart" {
  requests = sandbox.shop.url
  window   = "10s"
}

scenario "watched" {
  watch = [golden_signals.cart]
  hypothesis "the cart is asked" {
    probe          = golden_signals.cart.traffic
    value_at_least = 1
  }
  fault "pod_kill" "lose-one" { selector = "app=cart" }
  guard "golden_signals" "cart" { signals = golden_signals.cart }
}
`, Options{})
	if len(list[0].Probes) != 1 || len(list[0].Hypotheses) != 2 {
		t.Errorf("%+v", list[0])
	}
}
