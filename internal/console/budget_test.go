package console

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/gameday-sh/gameday/experiments"
)

func TestABudgetIsShownAsMoneyLeft(t *testing.T) {
	nan := math.NaN()
	for name, c := range map[string]struct {
		spent, allowance, remaining float64
		want                        string
	}{
		"nothing is spent":               {0, .01, .62, "untouched    slo.checkout ████████████ 1% of 1% allowed, 62% of 30d budget"},
		"a quarter is":                   {.0025, .01, .62, "spending     slo.checkout █████████░░░ 0.75% of 1% allowed, 61.75% of 30d budget"},
		"a little is":                    {.0000042, .01, .62, "spending     slo.checkout ███████████░ 1.00% of 1% allowed, 62.00% of 30d budget"},
		"all that is allowed":            {.012, .01, .62, "overspent    slo.checkout ░░░░░░░░░░░░ 0% of 1% allowed, 60.80% of 30d budget"},
		"nobody knows what was left":     {.0025, .01, nan, "spending     slo.checkout █████████░░░ 0.75% of 1% allowed of the 30d budget"},
		"no guard allows anything":       {.0025, nan, .62, "spending     slo.checkout ███████░░░░░ 61.75% of 30d budget"},
		"the period's budget is gone":    {.0025, nan, -.1, "overspent    slo.checkout ░░░░░░░░░░░░ -10.25% of 30d budget"},
		"neither is known":               {.0025, nan, nan, "spending     slo.checkout ███████████░ 0.25% of the 30d budget spent"},
		"what is spent cannot be told":   {nan, .01, .62, "unknown      slo.checkout ░░░░░░░░░░░░ what is spent cannot be told"},
		"an allowance that is not known": {.0025, nan, nan, "0.25% of the 30d budget spent"},
	} {
		state := newTape().begin("x").enter(experiments.PhaseDisrupt).budget("slo.checkout", .5, .5, .5).budget("slo.checkout", c.spent, c.allowance, c.remaining).state()
		frame := render(state, screen{width: 90, height: 20, now: began.Add(time.Second), palette: newPalette(false)})
		if !strings.Contains(frame, c.want) || strings.Count(frame, "slo.checkout") != 1 {
			t.Errorf("%s: the frame is\n%s\nwant %q in it once", name, frame, c.want)
		}
	}
}

func TestWhoWentPastTheGateIsOnTheScreen(t *testing.T) {
	state := newTape().begin("x").gate(experiments.GateRefused, "slo.a is in red", &experiments.Override{Reason: "it must\x1b[2J be", By: "ada@ops"}).state()
	frame := render(state, screen{width: 90, height: 20, now: began.Add(time.Second), palette: newPalette(false)})
	if want := "ada@ops overrode the gate (refused): it must be"; !strings.Contains(frame, want) {
		t.Errorf("the frame is\n%s\nwant %q", frame, want)
	}
}
