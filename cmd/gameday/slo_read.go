package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/experiments/probes/prom"
	"github.com/gameday-sh/gameday/guards/budgets"
)

// moment is the flag that looks at budgets as they were at another time.
type moment struct{ text string }

func (m *moment) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&m.text, "at", "", "look back from this `time` instead of now, such as 2026-03-31T23:59:59Z")
}

// time is now where none was written.
func (m *moment) time() (time.Time, error) {
	if m.text == "" {
		return time.Now(), nil
	}
	at, err := time.Parse(time.RFC3339, m.text)
	if err != nil {
		return time.Time{}, &exitError{experiments.Invalid.ExitCode(), fmt.Errorf("--at %q is not a time; write it as 2026-03-31T23:59:59Z", m.text)}
	}
	return at, nil
}

// stretches is how many stretches a course has at most.
const stretches = 800

// courseStep is the length of the stretches of an SLO's course: a round time that cuts
// its period into some hundreds of them, each long enough to count in.
func courseStep(slo *experiments.SLO) time.Duration {
	steps := []time.Duration{time.Second, 5 * time.Second, 15 * time.Second, time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour, 2 * time.Hour, 6 * time.Hour, 12 * time.Hour, experiments.Day}
	for _, step := range steps {
		if slo.Window/step <= stretches && (slo.SLI == nil || step >= slo.SLI.Shortest()) {
			return step
		}
	}
	return steps[len(steps)-1]
}

// readBudgets asks for the events of SLOs, and of those they depend on. With course, it
// asks for how they came about too.
func readBudgets(ctx context.Context, slos []*experiments.SLO, at time.Time, course bool, progress func(done, of int)) map[*experiments.SLO]*budgets.State {
	all := slices.Clone(slos)
	for _, slo := range slos {
		for _, dependency := range slo.DependsOn {
			if !slices.Contains(all, dependency) {
				all = append(all, dependency)
			}
		}
	}
	states := map[*experiments.SLO]*budgets.State{}
	var asked []*experiments.SLO
	var wants []prom.Want
	for _, slo := range all {
		if slo.SLI == nil {
			states[slo] = budgets.Unknown(slo, at, experiments.NoData, restsOnProbe(slo))
			continue
		}
		want := prom.Want{SLI: slo.SLI, Windows: budgets.Windows(slo)}
		want.From, _ = slo.Period(at)
		if course && slices.Contains(slos, slo) {
			want.Step = courseStep(slo)
		}
		asked, wants = append(asked, slo), append(wants, want)
	}
	for i, told := range prom.Read(ctx, at, wants, progress) {
		states[asked[i]] = budgets.New(asked[i], budgets.Reading{At: at, Period: told.Period, Windows: told.Windows, Course: told.Course, Oldest: told.Oldest})
	}
	return states
}

func restsOnProbe(slo *experiments.SLO) string {
	name := "a probe"
	if slo.Probe != nil {
		name = slo.Probe.SeriesName()
	}
	return "it rests on " + name + ", whose measurements are kept by runs only"
}

// progressLine shows on a terminal how far the queries are, and nothing elsewhere.
func progressLine(cmd *cobra.Command, what string) (progress func(done, of int), end func()) {
	w := cmd.ErrOrStderr()
	width, terminal := isTerminal(w)
	if !terminal {
		return nil, func() {}
	}
	out := &lines{w: w}
	began := time.Now()
	shown := false
	return func(done, of int) {
			// What is done at once needs no line.
			if time.Since(began) < 300*time.Millisecond {
				return
			}
			shown = true
			const cells = 24
			full := done * cells / max(of, 1)
			text := fmt.Sprintf("%s %s%s %d of %d queries", what, strings.Repeat("█", full), strings.Repeat("░", cells-full), done, of)
			out.printf("\r%s\x1b[K", string([]rune(text)[:min(len([]rune(text)), max(width-1, 1))]))
		}, func() {
			if shown {
				out.printf("\r\x1b[K")
			}
		}
}
