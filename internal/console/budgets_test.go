package console

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/guards/budgets"
)

var march = time.Date(2026, time.March, 20, 12, 0, 0, 0, time.UTC)

func madeUp(name string, bad float64, hour float64) *budgets.State {
	slo := &experiments.SLO{Name: name, Objective: 0.999, Window: 30 * experiments.Day, Policy: &experiments.Policy{
		Name: "standard", Unknown: experiments.Band{Name: experiments.UnknownBand, AtLeast: math.NaN()},
		Bands: []experiments.Band{{Name: "green", AtLeast: 0.5, Allows: []string{"deploy"}, Actions: []string{"Normal feature development"}},
			{Name: "yellow", AtLeast: 0.1}, {Name: "red", AtLeast: math.Inf(-1), Actions: []string{"Feature freeze"}}},
	}}
	count := func(window time.Duration, bad, total float64) experiments.Count {
		return experiments.Count{At: march, Window: window, Bad: bad, Total: total}
	}
	if bad < 0 {
		return budgets.Unknown(slo, march, experiments.Unreachable, "Prometheus at http://127.0.0.1:9090 cannot be reached: connection refused")
	}
	return budgets.New(slo, budgets.Reading{At: march, Period: count(30*experiments.Day, bad, 1e6), Windows: []experiments.Count{
		count(time.Hour, hour, 1000), count(6*time.Hour, hour, 6000), count(experiments.Day, hour, 24000), count(3*experiments.Day, hour, 72000),
	}})
}

func several() Budgets {
	b := Budgets{States: []*budgets.State{madeUp("checkout", 250, 0), madeUp("payments-with-a-name-that-is-long", 3200, 20), madeUp("search", -1, 0), madeUp("mail", 700, 3)}}
	b.All = map[*experiments.SLO]*budgets.State{}
	for _, s := range b.States {
		b.All[s.SLO] = s
	}
	return b
}

func TestATableOfBudgetsFitsEveryTerminal(t *testing.T) {
	for _, width := range []int{200, 120, 100, 80, 60, 40, 20, 8, 1} {
		for _, colour := range []bool{false, true} {
			b := several()
			b.Colour = colour
			for _, height := range []int{0, 40, 12, 5, 1} {
				lines := b.Lines(width, height)
				for _, line := range lines {
					if w := ansi.StringWidth(line); w > width {
						t.Errorf("at %d columns a line has %d: %q", width, w, line)
					}
				}
				if height >= 5 && len(lines) > height {
					t.Errorf("at %d rows there are %d lines", height, len(lines))
				}
			}
			for _, s := range b.States {
				one := Budgets{States: []*budgets.State{s}, All: b.All, Colour: colour}
				for _, line := range one.Lines(width, 0) {
					if w := ansi.StringWidth(line); w > width {
						t.Errorf("at %d columns a line of %s has %d: %q", width, s.SLO.Name, w, line)
					}
				}
			}
		}
	}
}

// Whatever gives way, a person sees which SLO it is, what is left and the band.
func TestWhatMattersMostStaysOnANarrowTerminal(t *testing.T) {
	text := strings.Join(several().Lines(44, 0), "\n")
	for _, want := range []string{"checkout", "75.0%", "-220.0%", "unknown", "green", "red"} {
		if !strings.Contains(text, want) {
			t.Errorf("it does not show %q:\n%s", want, text)
		}
	}
	text = strings.Join(several().Lines(80, 0), "\n")
	for _, want := range []string{"SLI", "1h", "1d", "20.0", "LASTS", "99.975%"} {
		if !strings.Contains(text, want) {
			t.Errorf("80 columns do not show %q:\n%s", want, text)
		}
	}
	if t.Failed() {
		t.Log(text)
	}
}

func TestWhereNotAllRowsFitTheWorstAreShown(t *testing.T) {
	b := Budgets{}
	for i := range 50 {
		b.States = append(b.States, madeUp(fmt.Sprintf("s%d", i), float64(i)*10, 0))
	}
	b.States = append(b.States, madeUp("dark", -1, 0))
	lines := b.Lines(100, 20)
	text := strings.Join(lines, "\n")
	if len(lines) > 20 || !strings.Contains(text, "dark") || !strings.Contains(text, "s49") || strings.Contains(text, "s0 ") || !strings.Contains(text, "more, with more left") {
		t.Errorf("%d lines:\n%s", len(lines), text)
	}
}

func TestAReasonThatManyShareIsSaidOnce(t *testing.T) {
	b := Budgets{}
	for i := range 50 {
		b.States = append(b.States, madeUp(fmt.Sprintf("s%d", i), -1, 0))
	}
	text := strings.Join(b.Lines(200, 0), "\n")
	if strings.Count(text, "cannot be reached") != 1 || !strings.Contains(text, "s0, s1, s2 and 47 more are unknown, unreachable") || !strings.Contains(text, "50 SLOs, 50 unknown") {
		t.Error(text)
	}
}

func TestNumbersOfBudgetsNeverLookBetterThanTheyAre(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{shareText(0.99899999, 0.999), "99.899%"}, {shareText(0.9995, 0.999), "99.950%"}, {shareText(1, 0.99), "100.000%"}, {shareText(math.NaN(), 0.99), "–"},
		{leftText(-0.00001), "-0.1%"}, {leftText(0.00001), "0.1%"}, {leftText(0), "0.0%"}, {leftText(-5.5), "-550.0%"}, {leftText(-55.5), "-5550%"},
		{burnText(14.4), "14.4"}, {burnText(0.001), "<.01"}, {burnText(1000), "1000"}, {burnText(0), "0.00"}, {burnText(math.NaN()), "–"},
		{spanText(90 * time.Second), "1m30s"}, {spanText(36 * time.Hour), "1d12h"}, {spanText(30 * experiments.Day), "30d"},
		{countText(1234567), "1,234,567"}, {countText(0.5), "0.5"}, {countText(12), "12"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}
