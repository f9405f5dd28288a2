package kubernetes

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A person must read before the start what ends a hit when nobody is left to.
func TestAPlanSaysWhatEndsEachHit(t *testing.T) {
	t.Parallel()
	c, namespace, node := rightsWorld(t)
	k := c.Connection(t)
	const stays, cluster = "watchdog process on the runner's machine; if that is gone too it stays, until: gameday recover --cluster", "the cluster deletes both 1m after the last word of the runner"
	want := map[string]string{
		"pod_kill": "", "pod_kill by a pattern": "", "pod_evict": "", "rollout_restart": "",
		"pod_failure": stays, "deployment_scale": stays, "node_cordon": stays, "node_drain": stays, "node_taint": stays,
		"network_partition": cluster, "resource_quota": cluster,
	}
	for kind, aim := range rightful(namespace, node) {
		fuse, known := want[kind]
		if !known {
			t.Errorf("this test does not know %s", kind)
		}
		for _, hit := range planFor(t, aim(k)) {
			if hit.Fuse != fuse && (fuse == "" || !strings.Contains(hit.Fuse, fuse)) {
				t.Errorf("%s: its fuse is %q, want %q", kind, hit.Fuse, fuse)
			}
		}
	}
}

// That the clock does not run is told from an API server that does not answer, and from
// a run that is stopped meanwhile.
func TestWaitingForTheClockOfAFuse(t *testing.T) {
	const late = "was not armed within 15s: does the cluster's controller manager run?"
	refused := errors.New("connection refused")
	for name, it := range map[string]struct {
		runs  func(ctx context.Context, since time.Duration) (bool, error)
		stops time.Duration // the run, 0 for never
		want  string
		after time.Duration
	}{
		"it runs at once":       {runs: func(context.Context, time.Duration) (bool, error) { return true, nil }},
		"it runs after a while": {runs: func(_ context.Context, since time.Duration) (bool, error) { return since >= 2*time.Second, nil }, after: 2 * time.Second},
		"it never runs":         {runs: func(context.Context, time.Duration) (bool, error) { return false, nil }, want: late, after: armWithin},
		"it never runs, and the last look is cut off": {runs: func(ctx context.Context, since time.Duration) (bool, error) {
			if since < 14*time.Second {
				return false, nil
			}
			<-ctx.Done()
			return false, ctx.Err()
		}, want: late, after: armWithin},
		"the server refuses": {runs: func(_ context.Context, since time.Duration) (bool, error) {
			if since < time.Second {
				return false, nil
			}
			return false, refused
		}, want: "arm the fuse: connection refused", after: time.Second},
		"the run is stopped": {runs: func(ctx context.Context, _ time.Duration) (bool, error) {
			<-ctx.Done()
			return false, ctx.Err()
		}, stops: 3 * time.Second, want: "a guard said stop", after: 3 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, stop := context.WithCancelCause(t.Context())
				defer stop(nil)
				if it.stops > 0 {
					time.AfterFunc(it.stops, func() { stop(errors.New("a guard said stop")) })
				}
				r := record{Key: "1", Object: object{Namespace: "shop"}}
				began := time.Now()
				err := r.awaitClock(ctx, func(ctx context.Context) (bool, error) { return it.runs(ctx, time.Since(began)) })
				if it.want == "" && err != nil || it.want != "" && (err == nil || !strings.Contains(err.Error(), it.want)) {
					t.Errorf("got %v, want %q", err, it.want)
				}
				if took := time.Since(began); took != it.after {
					t.Errorf("it took %s, want %s", took, it.after)
				}
			})
		})
	}
}
