package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/faults/kubernetes"
	"github.com/gameday-sh/gameday/internal/kube"
)

// clusterFlags are those of `gameday recover --cluster`.
type clusterFlags struct {
	cluster    bool
	connection kube.Kubernetes
	namespace  string
	dry, force bool
}

func (f *clusterFlags) flags(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.cluster, "cluster", false, "mend what the objects of a Kubernetes cluster tell of, without any journal")
	cmd.Flags().StringVar(&f.connection.Kubeconfig, "kubeconfig", "", "with --cluster: kubeconfig (default $KUBECONFIG or ~/.kube/config, or the pod's account)")
	cmd.Flags().StringVar(&f.connection.Context, "context", "", "with --cluster: context of the kubeconfig")
	cmd.Flags().StringVar(&f.namespace, "namespace", "", "with --cluster: look only into this namespace, and at no node")
	cmd.Flags().BoolVar(&f.dry, "dry-run", false, "with --cluster: show what would be mended, and change nothing")
	cmd.Flags().BoolVar(&f.force, "force", false, "with --cluster: mend the hits of runs that still go on too")
}

// check refuses flags that mean nothing without --cluster.
func (f *clusterFlags) check(cmd *cobra.Command) error {
	for _, name := range []string{"kubeconfig", "context", "namespace", "dry-run", "force"} {
		if !f.cluster && cmd.Flags().Changed(name) {
			return fmt.Errorf("--%s goes with --cluster", name)
		}
	}
	return nil
}

// recoverCluster mends what runs have left on a cluster, as far as its objects tell.
// Only names the runs to mend; none means all.
func recoverCluster(ctx context.Context, f *clusterFlags, only []string, within time.Duration, w io.Writer) (err error) {
	out := &lines{w: w}
	if err := f.connection.Open(ctx); err != nil {
		return &exitError{experiments.Errored.ExitCode(), err}
	}
	defer func() { err = errors.Join(err, f.connection.Close()) }()
	client, err := f.connection.Client()
	if err != nil {
		return &exitError{experiments.Errored.ExitCode(), err}
	}
	where := "the cluster"
	if f.namespace != "" {
		where = "namespace " + f.namespace
	}
	out.printf("looking for what runs have left in %s at %s\n", where, client.Reach())
	found, err := kubernetes.FindLeftovers(ctx, client, f.namespace, newFault)
	if err != nil {
		return &exitError{experiments.Errored.ExitCode(), err}
	}
	found.Runs = slices.DeleteFunc(found.Runs, func(run *kubernetes.LeftRun) bool {
		return len(only) > 0 && !slices.Contains(only, run.Run)
	})
	if !f.force {
		if err := found.Observe(ctx, client, func(text string) { out.printf("%s\n", text) }); err != nil {
			return &exitError{experiments.Errored.ExitCode(), err}
		}
	}
	left := 0
	for _, run := range found.Runs {
		count, err := f.mend(ctx, run, within, out)
		if err != nil {
			out.printf("  LEFT    %v\n", err)
			count++
		}
		left += count
	}
	for _, err := range found.Unread {
		out.printf("could not look everywhere: %v\n", err)
	}
	switch {
	case out.err != nil:
		return out.err
	case left > 0 && f.dry:
		return exitWith(experiments.NotRestored, fmt.Errorf("%s there; nothing was changed", areOf(left, "thing")))
	case left > 0:
		return exitWith(experiments.NotRestored, fmt.Errorf("%s left; when the cause is gone, type the same again", areOf(left, "thing")))
	case len(found.Unread) > 0:
		return exitWith(experiments.NotRestored, errors.New("it is not proven that nothing is left: some of it could not be looked at; use an account that may list it, or name a --namespace"))
	case len(found.Runs) == 0:
		out.printf("nothing to recover: no object bears the mark of a run\n")
	}
	return out.err
}

// mend mends what one run has left, and gives the number of things that stay.
func (f *clusterFlags) mend(ctx context.Context, run *kubernetes.LeftRun, within time.Duration, out *lines) (left int, err error) {
	if len(run.Hits)+len(run.Strange) == 0 && run.Live != "" {
		return 0, nil // it has broken nothing yet
	}
	out.printf("%s: %s to mend\n", run.Run, countOf(len(run.Hits), "hit"))
	for _, text := range run.Strange {
		out.printf("  LEFT    %s; look at it, and take label and annotation off by hand\n", text)
	}
	left = len(run.Strange)
	switch {
	case run.Live != "" && !f.force:
		out.printf("  SKIPPED, as the run still goes on: %s; stop it (gameday abort %s, where it runs), wait for its lease to end, or mend all the same with --force\n", run.Live, run.Run)
		return left + len(run.Hits), nil
	case f.dry:
		for _, hit := range run.Hits {
			out.printf("  would mend  %s: %s (%s)\n", hit.Target, strings.TrimSuffix(hit.Undo, "."), hit.Kind)
		}
		if run.Leases() > 0 {
			out.printf("  would give back %s\n", countOf(run.Leases(), "lease"))
		}
		return left + len(run.Hits), nil
	}
	done, err := experiments.Recover(ctx, run.Hits, within, newFault, nil, nil)
	for _, text := range done.Mended {
		out.printf("  mended  %s\n", text)
	}
	for _, text := range done.Left {
		out.printf("  LEFT    %s\n", text)
	}
	left += len(done.Left)
	if err != nil || left > 0 {
		return left, err
	}
	released, err := run.Release(ctx)
	if released > 0 {
		out.printf("  gave back %s\n", countOf(released, "lease"))
	}
	return left, err
}
