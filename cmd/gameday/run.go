package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/experiments/journal"
	"github.com/gameday-sh/gameday/internal/console"
	"github.com/gameday-sh/gameday/internal/redact"
	"github.com/gameday-sh/gameday/internal/state"
	"github.com/gameday-sh/gameday/scenarios"
)

type runFlags struct {
	variables
	asJSON bool
	plain  bool
	out    string
	selection

	override string // why the gate is passed though it is shut
	overrode *experiments.Override

	baseline string // a run that this one must not be worse than, or "last-held"
	replay   string // a run whose targets are hit again
	// plan is what was read from the file planPath; replayed the result of the run replay.
	plan     *planFile
	planPath string
	replayed *experiments.Result
}

// selection is the flags that say which scenarios of those given are meant, and with
// which seed.
type selection struct {
	only   []string
	seed   uint64
	seeded bool
}

func (s *selection) flags(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&s.only, "scenario", nil, "take only the scenario of this `name` (repeatable)")
	cmd.Flags().Uint64Var(&s.seed, "seed", 0, "use this `number` instead of the scenario's seed")
}

func (s *selection) takes(name string) bool {
	return len(s.only) == 0 || slices.Contains(s.only, name)
}

func (s *selection) seedInto(e *experiments.Experiment) {
	if s.seeded {
		e.Seed, e.SeedDrawn = s.seed, false
	}
}

func newRunCommand(global *globalFlags) *cobra.Command {
	var flags runFlags
	cmd := &cobra.Command{
		Use:   "run PATH...",
		Short: "Carry out scenarios: prove healthy, break, watch, mend, report",
		Long: `run carries out the scenarios of each PATH (a file, a directory, or the name of a
shipped example) one after another. Each must be healthy before anything is broken.

A PATH that ends in .json is a plan file from ` + "`gameday plan --out`" + `: exactly what it
says is done, or nothing, and what is different by now is named. With --replay, the
same places among the matching targets are hit as in an earlier run, with its seed.

Where the scenario or an SLO that it measures names an error_budget_policy, what is
left of the budgets must allow a game day, after the worst that it may cost; else
the run ends inconclusive before anything is touched. --override "reason" lets it go
on: reason and name stand in the report. It moves no guard.

Ctrl-C, SIGTERM and ` + "`gameday abort`" + ` stop it: everything is mended, then reported. A
second Ctrl-C stops waiting and says what is left.

Exit codes: 0 held, 1 refuted, 2 invalid (nothing was touched), 3 aborted,
4 inconclusive, 5 error, 6 not restored; of several scenarios, the worst.`,
		Example: "  gameday run quickstart\n  gameday run --var toxiproxy_url=http://127.0.0.1:8474 shop.hcl\n  gameday run --json --out results/ scenarios/\n  gameday run plan.json\n  gameday run --replay last shop.hcl",
		Args:    wants(1, -1, "a PATH: a file, a directory, or the name of a shipped example such as quickstart"),
		RunE: func(cmd *cobra.Command, paths []string) error {
			flags.seeded = cmd.Flags().Changed("seed")
			var err error
			if flags.overrode, err = newOverride(flags.override, cmd.Flags().Changed("override")); err != nil {
				return &exitError{experiments.Invalid.ExitCode(), err}
			}
			return runPaths(cmd, global, &flags, paths)
		},
	}
	flags.variables.flags(cmd)
	flags.selection.flags(cmd)
	cmd.Flags().BoolVar(&flags.asJSON, "json", false, "write the events as lines of JSON")
	cmd.Flags().BoolVar(&flags.plain, "plain", false, "write plain lines even on a terminal")
	cmd.Flags().StringVar(&flags.override, "override", "", "go on where the error budget policies do not allow it, for this `reason`")
	cmd.Flags().StringVar(&flags.replay, "replay", "", "hit the same places among the matching targets as this `run`, with its seed")
	cmd.Flags().StringVar(&flags.baseline, "baseline", "", "compare with this earlier `run`, or with last-held, the newest of the same scenario that held; exit with 1 if anything is worse")
	cmd.Flags().StringVar(&flags.out, "out", "", "also write the reports to this `folder`, a folder a run")
	return cmd
}

func runPaths(cmd *cobra.Command, global *globalFlags, flags *runFlags, paths []string) error {
	typed := paths
	paths, err := flags.earlier(cmd.Context(), global, paths)
	if err != nil {
		return &exitError{experiments.Invalid.ExitCode(), err}
	}
	configurations, diagnostics, err := loadAll(paths, &flags.variables)
	if err != nil {
		return err
	}
	if err := global.showDiagnostics(cmd.ErrOrStderr(), diagnostics); err != nil {
		return err
	}
	if flags.plan != nil {
		if err := flags.plan.drift(configurations[0]); err != nil {
			return &exitError{experiments.Invalid.ExitCode(), fmt.Errorf("%s cannot be carried out, and nothing was touched: %w", flags.planPath, err)}
		}
	}
	if err := checkSelection(configurations, flags.only); err != nil {
		return &exitError{experiments.Invalid.ExitCode(), err}
	}
	baseline, err := openBaseline(cmd.Context(), global, flags.baseline)
	if err != nil {
		return readingError(err)
	}
	home, err := state.Open(global.state)
	if err != nil {
		return &exitError{experiments.Errored.ExitCode(), err}
	}
	if left, err := refuseLeftovers(home); err != nil {
		return exitWith(left, err)
	}
	if err := canWrite(flags.out); err != nil {
		return &exitError{experiments.Invalid.ExitCode(), err}
	}
	view, err := newView(cmd, global, flags)
	if err != nil {
		return err
	}
	ctx, hurry, stopListening := listenForSignals(cmd.Context())
	defer stopListening()
	batch := &batch{home: home, outlets: newOutlets(cmd.OutOrStdout(), cmd.ErrOrStderr(), view), hurry: hurry, flags: flags, global: global}
	for i, configuration := range configurations {
		batch.run(ctx, configuration, typed[i])
	}
	batch.out.EndView()
	batch.keepInStore(context.WithoutCancel(ctx))
	if !flags.asJSON {
		batch.summary()
	}
	batch.compare(context.WithoutCancel(ctx), baseline)
	batch.sayUntold()
	output, complaints := batch.close(nextSignal(ctx, hurry))
	batch.problems = append(batch.problems, output)
	if baseline != nil { // what was asked for is among them
		batch.problems = append(batch.problems, complaints)
	}
	return exitWith(experiments.Worst(batch.verdicts...), errors.Join(batch.problems...))
}

// earlier prepares a run that is held to an earlier choice: a plan file, or a run that
// is replayed. It gives the paths of the scenarios.
func (f *runFlags) earlier(ctx context.Context, global *globalFlags, paths []string) ([]string, error) {
	for _, path := range paths {
		if filepath.Ext(path) != ".json" {
			continue
		}
		switch {
		case len(paths) > 1:
			return nil, fmt.Errorf("%s is a plan file: it is carried out alone", path)
		case f.seeded || len(f.only) > 0 || f.replay != "":
			return nil, fmt.Errorf("%s says which scenarios are run with which seed: leave --seed, --scenario and --replay out", path)
		}
		var err error
		if f.plan, err = readPlanFile(path); err != nil {
			return nil, err
		}
		f.planPath = path
		scenario, err := f.plan.prepare(path, f)
		if err != nil {
			return nil, fmt.Errorf("%s cannot be carried out, and nothing was touched: %w", path, err)
		}
		return []string{scenario}, nil
	}
	if f.replay == "" {
		return paths, nil
	}
	if f.seeded {
		return nil, errors.New("--replay takes the seed of the earlier run: leave --seed out")
	}
	result, err := storedResult(ctx, global, f.replay)
	if err != nil {
		return nil, fmt.Errorf("find the run to replay: %w", err)
	}
	if len(f.only) > 0 && !slices.Equal(f.only, []string{result.Scenario}) {
		return nil, fmt.Errorf("run %s is of scenario %q: --scenario names another", result.Run, result.Scenario)
	}
	f.replayed, f.only = result, []string{result.Scenario}
	return paths, nil
}

// fix holds an experiment to the plan or the run that was named.
func (f *runFlags) fix(e *experiments.Experiment, clean func(string) string) {
	if f.plan != nil {
		planned, found := f.plan.of(e.Name)
		if !found {
			return // it is not selected
		}
		e.Seed, e.SeedDrawn = planned.Seed, false
		e.Fixed = &experiments.Fixed{From: f.planPath, Hits: planned.Hits, Redact: clean}
	}
	if f.replayed != nil {
		e.Seed, e.SeedDrawn = f.replayed.Seed, false
		e.Fixed = &experiments.Fixed{From: "run " + f.replayed.Run, Replay: true, Redact: clean}
		for _, hit := range f.replayed.Hits {
			if hit.Step != experiments.Dropped {
				e.Fixed.Hits = append(e.Fixed.Hits, hit.Hit)
			}
		}
		if f.replayed.Digest != e.Source.Digest {
			e.Fixed.Note("the scenario's text is another than in run " + f.replayed.Run)
		}
	}
}

// checkSelection refuses scenarios that do not exist, and a run of nothing.
func checkSelection(configurations []*scenarios.Configuration, only []string) error {
	known := map[string]bool{}
	for _, configuration := range configurations {
		for _, name := range configuration.Scenarios() {
			known[name] = true
		}
	}
	if len(known) == 0 {
		return errors.New("there is no scenario in what was given; write a `scenario` block (`gameday explain scenario`)")
	}
	for _, name := range only {
		if !known[name] {
			if meant := nearest(name, slices.Sorted(maps.Keys(known))); meant != "" {
				return fmt.Errorf("there is no scenario %q in what was given; did you mean %q?", name, meant)
			}
			return fmt.Errorf("there is no scenario %q in what was given; there is: %s", name, strings.Join(slices.Sorted(maps.Keys(known)), ", "))
		}
	}
	return nil
}

// canWrite finds out before anything is touched whether reports can be written to a
// folder.
func canWrite(dir string) error {
	if dir == "" {
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("--out: the reports cannot be written: %w", err)
	}
	probe, err := os.CreateTemp(dir, ".gameday-*")
	if err != nil {
		return fmt.Errorf("--out: the reports cannot be written: %w", err)
	}
	if err := errors.Join(probe.Close(), os.Remove(probe.Name())); err != nil {
		return fmt.Errorf("--out: the reports cannot be written: %w", err)
	}
	return nil
}

// refuseLeftovers refuses to start on top of what a run that died left broken, and
// says with which verdict.
func refuseLeftovers(home state.Dir) (experiments.Verdict, error) {
	live, err := home.Live()
	if err != nil {
		return experiments.Errored, err
	}
	for _, run := range live {
		alive, err := journal.Alive(home.RunPath(run))
		if errors.Is(err, os.ErrNotExist) {
			if err := home.MarkOver(run); err != nil {
				return experiments.Errored, err
			}
			continue
		}
		if err != nil {
			return experiments.Errored, err
		}
		if alive {
			continue // it is going on; targets are held one by one
		}
		contents, err := journal.Read(home.RunPath(run))
		if err != nil {
			return experiments.Errored, err
		}
		left := experiments.Outstanding(contents.Events, len(contents.Damage) > 0)
		if len(left) == 0 {
			if err := home.MarkOver(run); err != nil {
				return experiments.Errored, err
			}
			continue
		}
		return experiments.NotRestored, fmt.Errorf("run %s died and left %s that may still be there (%s: %s); type `gameday recover %s` first",
			run, countOf(len(left), "hit"), left[0].Target, left[0].Effect, run)
	}
	return experiments.Held, nil
}

// newView chooses how the run is shown.
func newView(cmd *cobra.Command, global *globalFlags, flags *runFlags) (func(io.Writer) console.View, error) {
	out := cmd.OutOrStdout()
	if flags.asJSON {
		return console.NewJSON, nil
	}
	colour, err := global.coloured(out)
	if err != nil {
		return nil, err
	}
	if terminal, ok := out.(*os.File); ok && !flags.plain {
		if _, yes := isTerminal(out); yes && os.Getenv("TERM") != "dumb" {
			return func(io.Writer) console.View { return console.NewLive(terminal, colour) }, nil
		}
	}
	return console.NewPlain, nil
}

// listenForSignals gives a context that the first SIGINT, SIGTERM or SIGHUP
// cancels, and one that the second does.
func listenForSignals(parent context.Context) (ctx, hurry context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(parent)
	hurry, second := context.WithCancel(context.WithoutCancel(parent))
	signals := make(chan os.Signal, 4)
	// Writing to a closed pipe must be an error and not the end: things are broken.
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	signal.Ignore(syscall.SIGPIPE)
	ended := make(chan struct{})
	go func() {
		names := map[os.Signal]string{syscall.SIGINT: "interrupted (Ctrl-C)", syscall.SIGTERM: "told to end (SIGTERM)", syscall.SIGHUP: "the terminal was closed (SIGHUP)"}
		for count := 0; ; count++ {
			select {
			case sig := <-signals:
				if count == 0 {
					cancel(&experiments.StopRequest{Cause: names[sig], At: time.Now()})
				} else {
					second()
				}
			case <-ended:
				return
			}
		}
	}()
	return ctx, hurry, func() {
		signal.Stop(signals)
		close(ended)
		cancel(nil)
		second()
	}
}

// batch is the scenarios of one command.
type batch struct {
	*outlets
	home   state.Dir
	hurry  context.Context
	flags  *runFlags
	global *globalFlags

	verdicts []experiments.Verdict
	done     []finished
	problems []error
	untold   []string // who could not be told of what
}

type finished struct {
	result *experiments.Result
	dir    string
}

// run carries out the scenarios of a configuration, as long as nothing is left
// broken and nobody asked to stop. The path is what was typed for it.
func (b *batch) run(ctx context.Context, c *scenarios.Configuration, path string) {
	if ctx.Err() != nil {
		return
	}
	fail := func(err error) {
		b.verdicts = append(b.verdicts, experiments.Errored)
		b.problems = append(b.problems, err)
	}
	if err := c.Open(ctx); err != nil {
		fail(err)
		return
	}
	defer func() {
		if err := c.Close(); err != nil {
			b.problems = append(b.problems, err)
		}
	}()
	list, diagnostics := c.Experiments()
	if diagnostics.HasErrors() {
		b.verdicts = append(b.verdicts, experiments.Invalid)
		var shown *exitError
		if err := b.global.showDiagnostics(b.errors, diagnostics); !errors.As(err, &shown) {
			b.problems = append(b.problems, err)
		}
		return
	}
	for _, e := range list {
		if !b.flags.takes(e.Name) {
			continue
		}
		if len(b.done) > 0 && len(b.done[len(b.done)-1].result.Left) > 0 {
			fail(fmt.Errorf("scenario %q was not begun: the one before left something broken", e.Name))
			return
		}
		if ctx.Err() != nil {
			return
		}
		b.flags.seedInto(e)
		b.flags.fix(e, redact.Func(c.Secrets()))
		s := &session{state: b.home, view: b.out, hurry: b.hurry, override: b.flags.overrode, rerun: b.rerun(c, path, e), given: b.flags.variables, store: b.global.storeAddress()}
		result, err := s.carryOut(ctx, e, c, observer(c))
		closeProbes(e)
		if err != nil {
			fail(fmt.Errorf("scenario %q: %w", e.Name, err))
		}
		if result == nil {
			continue
		}
		b.untold = append(b.untold, untold(result)...)
		b.verdicts = append(b.verdicts, result.Verdict)
		b.done = append(b.done, finished{result, s.dir})
		if b.flags.out != "" {
			dir := filepath.Join(b.flags.out, s.run)
			if err := os.MkdirAll(dir, 0o700); err != nil {
				fail(err)
			} else if err := writeReports(dir, result, s.redact); err != nil {
				fail(err)
			}
		}
	}
}

// rerun is how to run e again, and it alone: the path as it was typed, and every
// choice that was made outside of the scenario.
func (b *batch) rerun(c *scenarios.Configuration, path string, e *experiments.Experiment) *experiments.Rerun {
	again := &experiments.Rerun{
		Command: []string{"gameday", "run", path, "--scenario", e.Name, "--seed", strconv.FormatUint(e.Seed, 10)},
	}
	if b.flags.plan != nil {
		// What the plan says it need not be told; a variable that was given beside it must.
		again.Command = []string{"gameday", "run", path}
	}
	if b.flags.replayed != nil {
		again.Command = []string{"gameday", "run", path, "--replay", b.flags.replayed.Run}
	}
	for _, file := range b.flags.files {
		if b.flags.plan != nil {
			break
		}
		again.Command = append(again.Command, "--var-file", file)
	}
	settings, sensitive := c.Given()
	clean := redact.Func(c.Secrets())
	for _, setting := range settings {
		if clean(setting) != setting { // not declared sensitive, but used as a secret
			name, _, _ := strings.Cut(setting, "=")
			sensitive = append(sensitive, name)
			continue
		}
		if b.flags.plan != nil && slices.Contains(b.flags.plan.Vars, setting) {
			continue
		}
		again.Command = append(again.Command, "--var", setting)
	}
	again.Secrets = sensitive
	if dir, err := os.Getwd(); err == nil { // else relative paths cannot be told from where
		again.Directory = dir
	}
	if usual, err := state.Open(""); err != nil || usual.Root() != b.home.Root() || os.Getenv("GAMEDAY_STATE") != "" {
		again.State = b.home.Root()
		again.Command = append(again.Command, "--state", again.State)
	}
	return again
}

// summary says what came of each scenario and where its report is.
func (b *batch) summary() {
	out := &lines{w: b.out}
	for _, f := range b.done {
		out.printf("\n%s  %s\n", strings.ToUpper(string(f.result.Verdict)), f.result.Scenario)
		if len(b.done) > 1 { // of a single one, the reason stands right above
			out.printf("  %s\n", f.result.Reason)
		}
		if f.result.Stop != nil && f.result.Stop.Took() > 0 {
			out.printf("  %s from the breach to the last proven revert\n", experiments.FormatDuration(f.result.Stop.Took().Round(time.Millisecond)))
		}
		for _, left := range f.result.Left {
			out.printf("  LEFT  %s\n", left)
		}
		if len(f.result.Left) > 0 {
			out.printf("  type: gameday recover %s\n", f.result.Run)
		}
		out.printf("  report  %s\n", filepath.Join(f.dir, reportNames["markdown"]))
		out.printf("          %s\n", filepath.Join(f.dir, reportNames["html"]))
	}
	b.problems = append(b.problems, out.err)
}
