package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/experiments/journal"
	"github.com/gameday-sh/gameday/faults"
	"github.com/gameday-sh/gameday/internal/state"
)

func newRecoverCommand(global *globalFlags) *cobra.Command {
	var within time.Duration
	var cluster clusterFlags
	var given variables
	cmd := &cobra.Command{
		Use:   "recover [RUN...]",
		Short: "Mend what runs that died have left broken",
		Long: `recover reads the journals of runs that are not over (of all, or of those named),
reverts every hit that may still be there, newest first, and proves each. It needs
neither the scenario nor the runner, and doing it again is harmless. Who was told of
the run is told of its end, as far as the environment, --var and --var-file give the
secrets for that; what stays open elsewhere is named.

With --cluster it reads no journal: every object of a Kubernetes cluster that a run
changed or made bears a mark that says how to undo it, so what is left of any run
can be mended from any machine. Runs that still renew their lease are left alone.

It exits with 0 when nothing is left, with 2 if there is no such run, else with 6.`,
		Example: "  gameday recover\n  gameday recover last\n  gameday recover --cluster --context staging --dry-run",
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if err := cluster.check(cmd); err != nil {
				return &exitError{experiments.Invalid.ExitCode(), err}
			}
			outlets := newOutlets(cmd.OutOrStdout(), cmd.ErrOrStderr(), nil)
			defer func() {
				output, complaints := outlets.close(cmd.Context())
				err = errors.Join(err, output, complaints)
			}()
			if cluster.cluster {
				ctx, _, stop := listenForSignals(cmd.Context())
				defer stop()
				return recoverCluster(ctx, &cluster, args, within, outlets.out)
			}
			dirs, err := runsToMend(global, args)
			if errors.Is(err, state.ErrNoRun) {
				return &exitError{experiments.Invalid.ExitCode(), err}
			}
			if err != nil {
				return &exitError{experiments.Errored.ExitCode(), err}
			}
			out := &lines{w: outlets.out}
			if len(dirs) == 0 {
				out.printf("nothing to recover: every run is over\n")
				return out.err
			}
			total := 0
			var problems []error
			for _, dir := range dirs {
				left, err := mend(cmd.Context(), global, dir, within, time.Second, &given, outlets.out)
				total += left
				if err != nil {
					problems = append(problems, err)
				}
			}
			if err := errors.Join(problems...); err != nil || total > 0 {
				if err == nil {
					err = fmt.Errorf("%s not mended; when the cause is gone, type `gameday recover` again", areOf(total, "hit"))
				}
				return exitWith(experiments.NotRestored, err)
			}
			return out.err
		},
	}
	cmd.Flags().DurationVar(&within, "within", 15*time.Second, "how `long` to try each hit")
	cluster.flags(cmd)
	given.flags(cmd)
	return cmd
}

func runsToMend(global *globalFlags, args []string) ([]string, error) {
	home, err := state.Open(global.state)
	if err != nil {
		return nil, err
	}
	var dirs []string
	for _, arg := range args {
		_, dir, err := home.Find(arg)
		if err != nil {
			return nil, err
		}
		dirs = append(dirs, dir)
	}
	if len(args) > 0 {
		return dirs, nil
	}
	live, err := home.Live()
	if err != nil {
		return nil, err
	}
	for _, run := range live {
		dirs = append(dirs, home.RunPath(run))
	}
	return dirs, nil
}

// mend mends what the run in dir left, and brings what became of it to the shared store,
// if there is one. A store that is away changes nothing of what is mended.
func mend(ctx context.Context, global *globalFlags, dir string, within, patience time.Duration, given *variables, w io.Writer) (left int, err error) {
	left, err = mendRun(ctx, global, dir, within, patience, given, w)
	if err != nil || left > 0 {
		return left, err
	}
	if err := global.keepInStore(ctx, dir); err != nil {
		out := &lines{w: w}
		out.printf("  %s\n", err)
		return 0, out.err
	}
	return 0, nil
}

// mendRun mends what the run in dir left, and writes a report if the run left
// none. It waits for the journal's lock up to patience. It gives the number of hits
// that are not proven mended.
func mendRun(ctx context.Context, global *globalFlags, dir string, within, patience time.Duration, given *variables, w io.Writer) (left int, err error) {
	run := filepath.Base(dir)
	home, err := state.Open(global.state)
	if err != nil {
		return 0, err
	}
	j, contents, err := openJournal(dir, patience)
	switch {
	case errors.Is(err, journal.ErrLocked):
		return 0, fmt.Errorf("run %s is still going, or its watchdog is mending it; stop it with `gameday abort %s`, or try again in a while", run, run)
	case errors.Is(err, fs.ErrNotExist):
		// It died before its journal was there, so before anything could be broken.
		return 0, home.MarkOver(run)
	case err != nil:
		return 0, err
	}
	defer func() { err = errors.Join(err, j.Close()) }()
	out := &lines{w: w}
	damaged := len(contents.Damage) > 0
	if damaged {
		out.printf("%s: the journal is damaged (%s): every planned hit is treated as possibly done\n", run, contents.Damage[0])
	}
	hits := experiments.Outstanding(contents.Events, damaged)
	out.printf("%s: %s to mend\n", run, countOf(len(hits), "hit"))
	done, err := experiments.Recover(ctx, hits, within, newFault, j, nil)
	for _, text := range done.Mended {
		out.printf("  mended  %s\n", text)
	}
	for _, text := range done.Left {
		out.printf("  LEFT    %s\n", text)
	}
	if err != nil {
		out.printf("%s: the journal could not be written, though mending went on: %v\n", run, err)
	}
	if len(done.Left) > 0 {
		return len(done.Left), out.err
	}
	if err := experiments.GiveBack(ctx, run, contents.Events, newFault); err != nil {
		out.printf("  its claims end by themselves: %v\n", err)
	}
	return 0, errors.Join(out.err, bringReportsUpToDate(ctx, dir, given, w), home.MarkOver(run))
}

func openJournal(dir string, patience time.Duration) (*journal.Journal, *journal.Contents, error) {
	for deadline := time.Now().Add(patience); ; {
		j, contents, err := journal.Open(dir, nil)
		if !errors.Is(err, journal.ErrLocked) || time.Now().After(deadline) {
			return j, contents, err
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func newFault(kind string) (experiments.Fault, bool) {
	row, found := experiments.Find(faults.Kinds(), kind)
	if !found {
		return nil, false
	}
	return row.New(), true
}

// bringReportsUpToDate writes the reports of a run after what it left was mended: of
// one whose runner died before it could, from the journal; of one that had ended,
// from its own result and what was mended since.
// Then it tells the receivers of the run.
func bringReportsUpToDate(ctx context.Context, dir string, given *variables, w io.Writer) error {
	contents, err := journal.Read(dir)
	if err != nil {
		return err
	}
	if len(contents.Events) == 0 {
		return nil
	}
	damaged := len(contents.Damage) > 0
	moment := experiments.MomentEnd
	path := filepath.Join(dir, reportNames["json"])
	result, err := loadResult(path)
	switch {
	case err == nil && len(result.Left) == 0:
		// It may have died while it told of its end.
		if len(result.Notifications) > 0 || !mentionsNotify(filepath.Join(dir, "scenario")) {
			return nil
		}
		result.Notifications = experiments.Rebuild(contents.Events, damaged).Notifications
		if !tellLate(ctx, dir, result, moment, given, w) {
			return nil
		}
		return keepReports(dir, result, strings.Clone)
	case err == nil:
		result.Recover(contents.Events, damaged)
		moment = experiments.MomentMended
	case errors.Is(err, fs.ErrNotExist):
		result = experiments.Rebuild(contents.Events, damaged)
	default:
		return fmt.Errorf("everything is mended, but its report cannot be brought up to date: %w", err)
	}
	if err := keepReports(dir, result, strings.Clone); err != nil {
		return err
	}
	out := &lines{w: w}
	out.printf("  report  %s\n", filepath.Join(dir, reportNames["markdown"]))
	if !tellLate(ctx, dir, result, moment, given, w) {
		return out.err
	}
	return errors.Join(out.err, keepReports(dir, result, strings.Clone))
}

func countOf(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func areOf(n int, noun string) string {
	if n == 1 {
		return "1 " + noun + " is"
	}
	return fmt.Sprintf("%d %ss are", n, noun)
}
