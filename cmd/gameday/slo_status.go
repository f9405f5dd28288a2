package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/guards/budgets"
	"github.com/gameday-sh/gameday/internal/console"
)

// shortestWatch bounds how often a whole period is counted again.
const shortestWatch = time.Second

func newSLOStatusCommand(global *globalFlags) *cobra.Command {
	var flags sloFlags
	var when moment
	var asJSON, watch bool
	var every time.Duration
	cmd := &cobra.Command{
		Use:   "status [PATH]",
		Short: "Show what is left of each error budget, how fast it goes, and what that allows",
		Long: `status counts the events of each slo over its whole period and shows the SLI, the
share of the error budget that is left (negative when overspent), burn rates (1
spends the budget in exactly the period), how long the budget lasts at the present
one, and what its policy makes of that. With a single slo it shows all there is.

It asks Prometheus only: no sandbox is started and nothing is scraped. What cannot
be counted is "unknown", with the reason, and never 0% or 100%.

With --json it writes an object: "at", and "slos", a list of objects with name,
objective and shares as fractions (0.999), durations in seconds, counts as numbers.
Numbers that are not known are null; "condition" and "why" say why.

It exits with 0, with 4 if the budget of an slo is unknown, with 2 if the
configuration is wrong, with 3 if it is interrupted, and with 5 if it cannot be
opened. A watch exits with 0.`,
		Example: "  gameday slo status\n  gameday slo status shop.hcl --slo checkout\n  gameday slo status --watch --every 30s\n  gameday slo status --json | jq '.slos[] | select(.budget.remaining < 0.1) | .name'",
		Args:    wants(0, 1, "one PATH at most: a file or a directory"),
		RunE: func(cmd *cobra.Command, paths []string) error {
			switch {
			case cmd.Flags().Changed("every") && !watch:
				return &exitError{experiments.Invalid.ExitCode(), errors.New("--every is the pace of a watch: add --watch")}
			case every < shortestWatch:
				return &exitError{experiments.Invalid.ExitCode(), fmt.Errorf("--every is %s; it is at least %s", every, shortestWatch)}
			case watch && when.text != "":
				return &exitError{experiments.Invalid.ExitCode(), errors.New("--at is one moment, which no watch changes: leave one of them out")}
			}
			at, err := when.time()
			if err != nil {
				return err
			}
			ctx, _, stop := listenForSignals(cmd.Context())
			defer stop()
			declared, err := global.openSLOs(ctx, cmd, paths, &flags)
			if err != nil {
				return err
			}
			view, err := global.budgetsView(cmd.OutOrStdout(), asJSON)
			if err == nil {
				if watch {
					err = view.watch(ctx, declared.slos, every)
				} else {
					err = view.once(ctx, cmd, declared.slos, at)
				}
			}
			return errors.Join(err, declared.Close())
		},
	}
	flags.flags(cmd)
	when.flags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "write JSON for programs")
	cmd.Flags().BoolVar(&watch, "watch", false, "count again and redraw, until Ctrl-C")
	cmd.Flags().DurationVar(&every, "every", 10*time.Second, "how often a watch counts, as a `time`")
	return cmd
}

// budgetsView is where states are shown.
type budgetsView struct {
	out      io.Writer
	json     bool
	colour   bool
	width    int
	terminal *os.File // nil elsewhere
}

// pipeWidth is how wide a table is where no terminal says otherwise.
const pipeWidth = 100

func (g *globalFlags) budgetsView(out io.Writer, asJSON bool) (*budgetsView, error) {
	colour, err := g.coloured(out)
	if err != nil {
		return nil, err
	}
	v := &budgetsView{out: out, json: asJSON, colour: colour, width: pipeWidth}
	if width, yes := isTerminal(out); yes {
		v.width = width
		if file, ok := out.(*os.File); ok && os.Getenv("TERM") != "dumb" {
			v.terminal = file
		}
	}
	return v, nil
}

func (v *budgetsView) once(ctx context.Context, cmd *cobra.Command, slos []*experiments.SLO, at time.Time) error {
	progress, end := progressLine(cmd, "counting")
	all := readBudgets(ctx, slos, at, false, progress)
	end()
	if err := ctx.Err(); err != nil {
		return exitWith(experiments.Aborted, context.Cause(ctx))
	}
	states := inOrder(slos, all)
	if err := v.write(states, all, at); err != nil {
		return err
	}
	for _, s := range states {
		if !s.Known() {
			return exitWith(experiments.Inconclusive, nil) // said already
		}
	}
	return nil
}

func inOrder(slos []*experiments.SLO, all map[*experiments.SLO]*budgets.State) []*budgets.State {
	var list []*budgets.State
	for _, slo := range slos {
		list = append(list, all[slo])
	}
	return list
}

func (v *budgetsView) write(states []*budgets.State, all map[*experiments.SLO]*budgets.State, at time.Time) error {
	if v.json {
		return indented(v.out, statusOf(states, all, at))
	}
	out := &lines{w: v.out}
	for _, line := range (console.Budgets{States: states, All: all, Colour: v.colour}).Lines(v.width, 0) {
		out.printf("%s\n", line)
	}
	return out.err
}

// watch shows states again and again until the context ends: in place on a terminal,
// one after the other elsewhere.
func (v *budgetsView) watch(ctx context.Context, slos []*experiments.SLO, each time.Duration) (err error) {
	show := v.write
	if v.terminal != nil && !v.json {
		screen := console.NewScreen(v.terminal, v.colour)
		defer func() { err = errors.Join(err, screen.Close()) }()
		screen.Show(func(int, int) []string { return []string{"counting…"} })
		show = func(states []*budgets.State, all map[*experiments.SLO]*budgets.State, at time.Time) error {
			view := console.Budgets{States: states, All: all, Colour: v.colour}
			screen.Show(func(width, height int) []string {
				head := fmt.Sprintf("%s, each %s; Ctrl-C ends", at.Format("15:04:05"), experiments.FormatDuration(each))
				return append([]string{head, ""}, view.Lines(width, height-2)...)
			})
			return nil
		}
	}
	next := time.NewTicker(each)
	defer next.Stop()
	for {
		at := time.Now()
		all := readBudgets(ctx, slos, at, false, nil)
		if ctx.Err() != nil {
			return nil
		}
		if err := show(inOrder(slos, all), all, at); err != nil {
			return err
		}
		if v.terminal == nil && !v.json {
			if _, err := fmt.Fprintln(v.out); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-next.C:
		}
	}
}

// sloStatus is what `gameday slo status --json` writes.
type sloStatus struct {
	At   time.Time   `json:"at"`
	SLOs []sloReport `json:"slos"`
}

type sloReport struct {
	Name        string            `json:"name"`
	Description string            `json:"description,omitempty"`
	Owner       string            `json:"owner,omitempty"`
	Runbook     string            `json:"runbook,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
	Objective   float64           `json:"objective"`
	Period      struct {
		From     time.Time `json:"from"`
		To       time.Time `json:"to"`
		Calendar bool      `json:"calendar"`
		// HistorySeconds is how much of the period up to now there are samples of.
		HistorySeconds float64 `json:"history_seconds"`
	} `json:"period"`
	Condition string            `json:"condition"` // "known", or why it is not
	Why       string            `json:"why,omitempty"`
	SLI       experiments.Float `json:"sli"`
	Events    struct {
		Bad   experiments.Float `json:"bad"`
		Total experiments.Float `json:"total"`
	} `json:"events"`
	Budget struct {
		Events    experiments.Float `json:"events"` // that may be bad in the whole period
		SoFar     experiments.Float `json:"so_far"` // in the period up to now
		Consumed  experiments.Float `json:"consumed"`
		Remaining experiments.Float `json:"remaining"`
	} `json:"budget"`
	BurnRates []sloBurn `json:"burn_rates"` // the shortest window first, the period last
	// LastsSeconds is null where it does not end within a period, or nobody knows.
	LastsSeconds experiments.Float `json:"lasts_seconds"`
	Policy       string            `json:"policy,omitempty"`
	Band         string            `json:"band,omitempty"`
	Allows       []string          `json:"allows"`
	Actions      []string          `json:"actions,omitempty"`
	Alerts       []sloAlert        `json:"alerts"`
	// Worse are the dependencies that are worse off.
	Worse []string `json:"worse_dependencies"`
}

type sloBurn struct {
	WindowSeconds float64           `json:"window_seconds"`
	Rate          experiments.Float `json:"rate"`
	Bad           experiments.Float `json:"bad"`
	Total         experiments.Float `json:"total"`
	Condition     string            `json:"condition"`
	Why           string            `json:"why,omitempty"`
}

type sloAlert struct {
	Below    float64 `json:"below"`
	Severity string  `json:"severity"`
	Notify   string  `json:"notify,omitempty"`
}

// known is how JSON says that a condition is OK.
func known(c experiments.Condition) string {
	if c == experiments.OK {
		return "known"
	}
	return string(c)
}

func statusOf(states []*budgets.State, all map[*experiments.SLO]*budgets.State, at time.Time) sloStatus {
	status := sloStatus{At: at.UTC(), SLOs: []sloReport{}}
	for _, s := range states {
		r := sloReport{Name: s.SLO.Name, Description: s.SLO.Description, Owner: s.SLO.Owner, Runbook: s.SLO.Runbook, Labels: s.SLO.Labels,
			Objective: float64(s.SLO.Objective), Condition: known(s.Condition), Why: s.Why, SLI: experiments.Float(s.SLI()),
			LastsSeconds: experiments.Float(math.NaN()), Allows: []string{}, Alerts: []sloAlert{}, Worse: []string{}}
		r.Period.From, r.Period.To, r.Period.Calendar = s.From, s.To, s.SLO.Calendar != nil
		bad, total, history := math.NaN(), math.NaN(), 0.0
		if s.Known() {
			have, _ := s.Covered()
			bad, total, history = s.Period.Bad, s.Period.Total, have.Seconds()
		}
		r.Period.HistorySeconds = history
		r.Events.Bad, r.Events.Total = experiments.Float(bad), experiments.Float(total)
		r.Budget.Events, r.Budget.SoFar = experiments.Float(s.Budget()), experiments.Float(s.SoFar())
		r.Budget.Consumed, r.Budget.Remaining = experiments.Float(s.Consumed()), experiments.Float(s.Remaining())
		for _, c := range append(s.Windows[:len(s.Windows):len(s.Windows)], s.Period) {
			burn := sloBurn{WindowSeconds: c.Window.Seconds(), Rate: experiments.Float(s.Burn(c.Window)), Condition: known(c.Condition), Why: c.Why,
				Bad: experiments.Float(math.NaN()), Total: experiments.Float(math.NaN())}
			if c.Condition == experiments.OK {
				burn.Bad, burn.Total = experiments.Float(c.Bad), experiments.Float(c.Total)
			}
			r.BurnRates = append(r.BurnRates, burn)
		}
		burn, _ := s.Present()
		if lasts, ok := s.Exhaustion(burn); ok && lasts != budgets.Forever {
			r.LastsSeconds = experiments.Float(lasts.Seconds())
		}
		if band, ok := s.Band(); ok {
			r.Policy, r.Band, r.Actions = s.Policy.Name, band.Name, band.Actions
			r.Allows = append(r.Allows, band.Allows...)
		}
		for _, alert := range s.Raised() {
			r.Alerts = append(r.Alerts, sloAlert(alert))
		}
		for _, other := range s.Worse(all) {
			r.Worse = append(r.Worse, other.SLO.Name)
		}
		status.SLOs = append(status.SLOs, r)
	}
	return status
}
