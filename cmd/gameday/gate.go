package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/guards/budgets"
	"github.com/gameday-sh/gameday/internal/redact"
	"github.com/gameday-sh/gameday/internal/textsafe"
)

type gateFlags struct {
	sloFlags
	purpose string
	policy  string
	maxAge  string // for freshness
	asJSON  bool
}

func newGateCommand(global *globalFlags) *cobra.Command {
	var flags gateFlags
	cmd := &cobra.Command{
		Use:   "gate [PATH]",
		Short: "Ask the error budget policies whether something may be done now",
		Long: `gate reads what is left of the error budget of each SLO, over its whole period, and
asks its policy whether the band that it is in allows the purpose: game-day, deploy,
experimental-feature, or a word of your own that a policy's allows names. The worst
SLO decides. For a game day, no less than the policy's reserve must be left.

For freshness, it asks the history of runs instead: each scenario of PATH must have
held no longer ago than --max-age.

An SLO is held to the policy that it names, and without one to --policy; one that
has neither decides nothing. PATH is a file, a directory, or the name of a shipped
example; left out, it is the current directory.

Exit codes: 0 allowed, 1 refused, 2 invalid, 4 unknown: what is left cannot be told,
and the policy does not allow the purpose while that is so. 5 is an error.`,
		Example: "  gameday gate --for deploy && ./deploy.sh\n  gameday gate --for game-day --slo checkout slos/\n  gameday gate --for deploy --json slos/\n  gameday gate --for freshness --max-age 30d scenarios/",
		Args:    wants(0, 1, "one PATH: a file or a directory"),
		RunE: func(cmd *cobra.Command, paths []string) error {
			return runGate(cmd, global, &flags, paths)
		},
	}
	flags.flags(cmd)
	cmd.Flags().StringVar(&flags.purpose, "for", "", "the `purpose`: game-day, deploy, experimental-feature, a word of a policy, or freshness")
	cmd.Flags().StringVar(&flags.policy, "policy", "", "hold the SLOs that name none to the policy of this `name`")
	cmd.Flags().StringVar(&flags.maxAge, "max-age", "30d", "for freshness: the `age` that the newest run that held may have")
	cmd.Flags().BoolVar(&flags.asJSON, "json", false, "write the decision as JSON")
	return cmd
}

func runGate(cmd *cobra.Command, global *globalFlags, flags *gateFlags, paths []string) (err error) {
	invalid := func(format string, values ...any) error {
		return &exitError{experiments.Invalid.ExitCode(), fmt.Errorf(format, values...)}
	}
	if flags.purpose == "" {
		return invalid("say what for: --for game-day, --for deploy, --for experimental-feature, --for freshness, or a word that a policy's allows names")
	}
	// A flag that would change nothing is a misunderstanding.
	given := cmd.Flags().Changed
	if flags.purpose != forFreshness && given("max-age") {
		return invalid("--max-age is for --for freshness only; a budget is asked as of now")
	}
	if flags.purpose == forFreshness {
		for _, name := range []string{"slo", "policy"} {
			if given(name) {
				return invalid("--%s is of budgets, and --for freshness asks the history of runs; leave it out", name)
			}
		}
		return runFreshness(cmd, global, &flags.variables, paths, flags.maxAge, flags.asJSON)
	}
	ctx, _, stop := listenForSignals(cmd.Context())
	defer stop()
	declared, err := global.openSLOs(ctx, cmd, paths, &flags.sloFlags)
	if err != nil {
		return err
	}
	defer func() {
		if closing := declared.Close(); closing != nil {
			err = errors.Join(err, exitWith(experiments.Errored, closing))
		}
	}()
	otherwise, err := declared.policy(flags.policy)
	if err != nil {
		return invalid("%w", err)
	}
	held := map[*experiments.SLO]*experiments.Policy{}
	for _, s := range declared.slos {
		if p := s.Policy; p != nil {
			held[s] = p
		} else if otherwise != nil {
			held[s] = otherwise
		}
	}
	if len(held) == 0 {
		return invalid("%s", declared.withoutPolicy())
	}
	if err := knownPurpose(flags.purpose, held); err != nil {
		return invalid("%w", err)
	}
	reading := readGate(ctx, declared.slos, held, flags.purpose)
	if cause := context.Cause(ctx); cause != nil {
		return exitWith(experiments.Aborted, cause)
	}
	reading.Clean(redact.Func(declared.Secrets()))
	if err := writeGate(cmd.OutOrStdout(), reading, flags.asJSON); err != nil {
		return exitWith(experiments.Errored, err)
	}
	return exitWith(gateVerdict(reading.Decision), nil)
}

// gateVerdict is the verdict whose exit code a decision has.
func gateVerdict(decision experiments.GateDecision) experiments.Verdict {
	switch decision {
	case experiments.GateAllowed, experiments.GateOpen:
		return experiments.Held
	case experiments.GateRefused:
		return experiments.Refuted
	}
	return experiments.Inconclusive
}

// policy finds a policy by its name; nil where none is asked for.
func (d *declaredSLOs) policy(name string) (*experiments.Policy, error) {
	if name == "" {
		return nil, nil
	}
	var names []string
	for _, p := range d.policies {
		if p.Name == strings.TrimPrefix(name, "error_budget_policy.") {
			return p, nil
		}
		names = append(names, p.Name)
	}
	return nil, fmt.Errorf("there is no error_budget_policy %q; %s", name, meant(name, names))
}

// meant says which of the words somebody may have meant.
func meant(got string, known []string) string {
	if word := nearest(got, known); word != "" {
		return fmt.Sprintf("did you mean %q?", word)
	}
	if len(known) == 0 {
		return "there is none at all"
	}
	return "there is: " + strings.Join(known, ", ")
}

// withoutPolicy says what to write where nothing decides.
func (d *declaredSLOs) withoutPolicy() string {
	if len(d.policies) == 0 {
		return "there is no error_budget_policy, so nothing decides; `gameday explain error_budget_policy` shows how one is written"
	}
	name := d.policies[0].Name
	return fmt.Sprintf("slo.%s names no policy, so nothing decides; write policy = error_budget_policy.%s in it, or give --policy %s", d.slos[0].Name, name, name)
}

// knownPurpose refuses a word that no policy knows: a misspelt one would be refused for
// ever, or worse, its refusal be believed.
func knownPurpose(purpose string, held map[*experiments.SLO]*experiments.Policy) error {
	known := []string{experiments.ForGameDay, experiments.ForDeploy, experiments.ForExperimentalFeature}
	for _, p := range held {
		for _, word := range p.Purposes() {
			if !slices.Contains(known, word) {
				known = append(known, word)
			}
		}
	}
	slices.Sort(known[3:])
	if slices.Contains(known, purpose) {
		return nil
	}
	return fmt.Errorf("no policy has heard of %q; %s", purpose, meant(purpose, known))
}

// readGate reads the budgets, and has each SLO's policy decide.
func readGate(ctx context.Context, slos []*experiments.SLO, held map[*experiments.SLO]*experiments.Policy, purpose string) *experiments.GateReading {
	reading := &experiments.GateReading{At: time.Now(), Purpose: purpose}
	for _, state := range periodBudgets(ctx, slos, reading.At) {
		o := newOutlook(state)
		o.rule(held[state.SLO], purpose)
		reading.SLOs = append(reading.SLOs, o.Outlook)
	}
	conclude(reading)
	return reading
}

func writeGate(w io.Writer, reading *experiments.GateReading, asJSON bool) error {
	if asJSON {
		return indented(w, reading)
	}
	out := &lines{w: w}
	out.printf("%s %s\n", strings.ToUpper(string(reading.Decision)), reading.Purpose)
	list := slices.Clone(reading.SLOs)
	rank := []experiments.GateDecision{experiments.GateRefused, experiments.GateUnknown, experiments.GateAllowed, experiments.GateOpen}
	slices.SortStableFunc(list, func(a, b experiments.Outlook) int {
		return slices.Index(rank, a.Decision) - slices.Index(rank, b.Decision)
	})
	for _, o := range list {
		out.printf("  %-9s  slo.%s %s\n", o.Decision, o.SLO, textsafe.Line(o.Why, 400))
		if o.Decision == experiments.GateRefused && len(o.Actions) > 0 {
			out.printf("             in %s: %s\n", o.Band, textsafe.Line(strings.Join(o.Actions, "; "), 400))
		}
	}
	return out.err
}

// printOutlook shows in a plan what a run may cost, and what the policies say.
func printOutlook(out *lines, reading *experiments.GateReading) {
	if reading == nil || len(reading.SLOs) == 0 {
		return
	}
	out.printf("\nmay cost\n")
	for _, o := range reading.SLOs {
		out.printf("  %s\n", priceTag(o))
		for _, text := range strings.Split(o.Basis, "; ") {
			if text != "" {
				out.printf("      %s\n", text)
			}
		}
		for _, p := range telling(o.Pages) {
			out.printf("      %s\n", p.Text)
		}
	}
	if reading.Decision == experiments.GateOpen {
		return
	}
	out.printf("\nthe gate: %s\n", reading.Decision)
	for _, o := range reading.SLOs {
		if o.Decision != experiments.GateOpen {
			out.printf("  slo.%s %s\n", o.SLO, textsafe.Line(o.Why, 400))
		}
	}
	if reading.Decision != experiments.GateAllowed {
		out.printf("  A run would end before anything is touched; --override \"reason\" lets it go on.\n")
	}
}

// telling picks of the alerts with one name the one that fires first. Where none can
// fire, that is the first too: it takes the shortest outage.
func telling(pages []experiments.PageOutlook) []experiments.PageOutlook {
	var list []experiments.PageOutlook
	for _, p := range pages {
		at := slices.IndexFunc(list, func(q experiments.PageOutlook) bool { return q.Alert == p.Alert })
		switch {
		case at < 0:
			list = append(list, p)
		case p.Can && (!list[at].Can || p.After < list[at].After):
			list[at] = p
		}
	}
	return list
}

// priceTag is what a run may cost an SLO, and what there is, in a sentence.
func priceTag(o experiments.Outlook) string {
	left := "what is left of it is unknown"
	if o.Remaining.Known() {
		left = budgets.Left(float64(o.Remaining))
		if o.Remaining >= 0 {
			left = budgets.Share(float64(o.Remaining)) + " is left"
		}
	} else if o.Unknown != "" {
		left += " (" + textsafe.Line(o.Unknown, 200) + ")"
	}
	if !o.Worst.Known() {
		return fmt.Sprintf("nothing of the %s budget of slo.%s: nothing is broken; %s", o.Period, o.SLO, left)
	}
	return fmt.Sprintf("up to %s of the %s budget of slo.%s (likely %s); %s",
		budgets.Share(float64(o.Worst)), o.Period, o.SLO, budgets.Share(float64(o.Likely)), left)
}

// newOverride is a person's word to go past the gate; nil where none was given.
func newOverride(reason string, given bool) (*experiments.Override, error) {
	if !given {
		return nil, nil
	}
	reason = strings.TrimSpace(reason)
	if reason == "" {
		return nil, errors.New("--override needs a reason: it stands in the report, with your name")
	}
	by := "somebody"
	if u, err := user.Current(); err == nil {
		by = u.Username
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return &experiments.Override{Reason: reason, By: by + "@" + host, At: time.Now()}, nil
}
