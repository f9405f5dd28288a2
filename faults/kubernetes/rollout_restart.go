package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/kube"
)

// RolloutRestart replaces all pods of a workload by its own rollout, as `kubectl
// rollout restart` does.
type RolloutRestart struct {
	Claims
	Scope
	Workload string `hcl:"workload" doc:"The workload: deployment, statefulset or daemonset, and its name." example:"deployment/checkout"`
}

// restartAnnotation is the one kubectl sets, so that tools know it.
const restartAnnotation = "kubectl.kubernetes.io/restartedAt"

// restartRecord is what a hit of rollout_restart needs.
type restartRecord struct {
	Generation int `json:"generation"`
	// Before is what the annotation said: another value later is somebody else's restart.
	Before string `json:"before,omitempty"`
}

// Validate implements [experiments.Validator].
func (f *RolloutRestart) Validate() []experiments.Problem {
	problems := f.Scope.validate()
	if f.Workload != "" {
		if resource, _, err := workload(f.Workload); err != nil || resource == kube.ReplicaSets || resource == kube.Jobs {
			problems = append(problems, experiments.Problem{Attribute: "workload", Summary: "Not a workload with rollouts", Detail: "Write deployment, statefulset or daemonset, a slash and its name: \"deployment/checkout\"."})
		}
	}
	return problems
}

// Lasts is false: a restart cannot be taken back, and need not be.
func (*RolloutRestart) Lasts() bool { return false }

// Rights lists what the fault must be allowed to do.
func (f *RolloutRestart) Rights() []kube.Right {
	resource, name, err := workload(f.Workload)
	if err != nil {
		return nil
	}
	list := f.Scope.editRights(resource, name, "restart the workload")
	for _, namespace := range f.granted() {
		list = append(list, crewRights(namespace)...)
	}
	return list
}

// Plan reads the workloads, one in each namespace.
func (f *RolloutRestart) Plan(ctx context.Context, d experiments.Draw) ([]experiments.Hit, error) {
	resource, name, err := workload(f.Workload)
	if err != nil {
		return nil, err
	}
	client, err := f.Kubernetes.Client()
	if err != nil {
		return nil, err
	}
	if d.Round == 1 {
		if err := client.Allowed(ctx, f.Rights()); err != nil {
			return nil, err
		}
	}
	spaces, err := f.namespaces(ctx, client)
	if err != nil {
		return nil, err
	}
	var hits []experiments.Hit
	var problems []error
	for _, space := range spaces {
		thing, err := client.Raw(ctx, resource.In(space.Name, name))
		if err != nil {
			problems = append(problems, err)
			continue
		}
		if optsOut(thing) {
			problems = append(problems, fmt.Errorf("%s: it bears the annotation %s", resource.In(space.Name, name), ExcludeAnnotation))
			continue
		}
		if err := wholeCrew(ctx, client, thing); err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", resource.In(space.Name, name), err))
			continue
		}
		if thing.At("spec", "paused") == true {
			problems = append(problems, fmt.Errorf("%s is paused: no rollout would begin; resume it first", resource.In(space.Name, name)))
			continue
		}
		if err := rolls(thing); err != nil {
			problems = append(problems, fmt.Errorf("%s %w", resource.In(space.Name, name), err))
			continue
		}
		generation, err := number(thing.At("metadata", "generation"), 0)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		effect := "restart all pods by a rollout"
		if thing.Text("spec", "strategy", "type") == "Recreate" {
			effect = "restart all pods at once, as the strategy Recreate of its rollouts says"
		}
		hit, err := newHit(record{
			Reach:   client.Reach(),
			Object:  pinned(resource, space.Name, name, thing.Text("metadata", "uid")),
			Restart: &restartRecord{Generation: generation, Before: thing.Text("spec", "template", "metadata", "annotations", restartAnnotation)},
		}, d, effect, "nothing to undo: the rollout ends by itself", "")
		problems = append(problems, err)
		hits = append(hits, hit)
	}
	return hits, errors.Join(problems...)
}

// Takes implements [experiments.Taker]. A rollout takes no more than its own strategy lets
// be down; it fails where what is planned opted out meanwhile.
func (f *RolloutRestart) Takes(ctx context.Context, hits []experiments.Hit) ([][]experiments.Allowance, error) {
	client, err := f.stillOpen(ctx, hits)
	if err != nil {
		return nil, err
	}
	return takesAnew(hits, func(r record) ([]experiments.Allowance, error) {
		thing, err := client.Raw(ctx, r.Object.ref())
		if err != nil {
			return nil, err
		}
		return nil, wholeCrew(ctx, client, thing)
	})
}

// rolls refuses a workload of which a restart would replace no pod, though it takes the
// annotation: the fault would look as if it had been done.
func rolls(thing kube.Thing) error {
	replicas, err := number(thing.At("spec", "replicas"), 1) // a daemon set has no number
	if err != nil {
		return err
	}
	nodes, err := number(thing.At("status", "desiredNumberScheduled"), 1) // only a daemon set has it
	if err != nil {
		return err
	}
	if replicas == 0 || nodes == 0 {
		return errors.New("is to have 0 pods: there is none to restart")
	}
	if thing.Text("spec", "updateStrategy", "type") == "OnDelete" {
		return errors.New("has the update strategy OnDelete: no pod would be replaced until somebody deletes it; use pod_kill")
	}
	kept, err := number(thing.At("spec", "updateStrategy", "rollingUpdate", "partition"), 0)
	if err != nil {
		return err
	}
	if kept >= replicas {
		return fmt.Errorf("keeps its first %s back from updates (updateStrategy.rollingUpdate.partition) and has %d: none would be replaced", plural(kept, "pod"), replicas)
	}
	return nil
}

// stamp is the value of the annotation: unique to the hit, so that a try whose answer
// got lost is recognised.
func (r record) stamp() string { return "gameday-" + r.Run + "-" + r.Key }

// Inject sets the annotation in the pod template and sees the workload take it up.
func (*RolloutRestart) Inject(ctx context.Context, h experiments.Hit) (experiments.Proof, error) {
	r, client, err := read(h)
	if err != nil {
		return experiments.Proof{}, err
	}
	if r.Restart == nil {
		return experiments.Proof{}, fmt.Errorf("the record of hit %s tells of no restart", h.ID)
	}
	ref := r.Object.ref()
	err = change(ctx, client, ref, func(thing kube.Thing) ([]kube.Op, error) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if thing.Text("metadata", "uid") != r.Object.UID {
			return nil, fmt.Errorf("%s moved since the plan: it was made anew; nothing was done", r.Object)
		}
		now := thing.Text("spec", "template", "metadata", "annotations", restartAnnotation)
		if now == r.stamp() {
			return nil, nil
		}
		if optsOut(thing) {
			return nil, fmt.Errorf("%s bears the annotation %s by now; nothing was done", r.Object, ExcludeAnnotation)
		}
		if now != r.Restart.Before {
			return nil, fmt.Errorf("%s moved since the plan: somebody restarted it meanwhile (%s); nothing was done", r.Object, now)
		}
		path := []string{"spec", "template", "metadata", "annotations"}
		var steps []kube.Op
		if thing.At(path...) == nil {
			steps = append(steps, kube.Op{Op: "add", Path: kube.Pointer(path...), Value: map[string]any{}})
		}
		return append(steps, kube.Op{Op: "add", Path: kube.Pointer(append(path, restartAnnotation)...), Value: r.stamp()}), nil
	})
	if err != nil {
		return experiments.Proof{}, err
	}
	thing, err := client.Raw(ctx, ref)
	if err != nil {
		return experiments.Proof{}, fmt.Errorf("read %s back: %w", r.Object, err)
	}
	if thing.Text("spec", "template", "metadata", "annotations", restartAnnotation) != r.stamp() {
		return experiments.Proof{}, fmt.Errorf("%s does not bear the new annotation after the change", r.Object)
	}
	return experiments.Proof{Seen: fmt.Sprintf("%s has generation %v (was %d): its rollout has begun", r.Object, thing.At("metadata", "generation"), r.Restart.Generation)}, nil
}

// Revert has nothing to do: the rollout ends by itself.
func (*RolloutRestart) Revert(_ context.Context, h experiments.Hit) error { return revertNothing(h) }

// Check says how the workload stands. It is whole either way.
func (*RolloutRestart) Check(ctx context.Context, h experiments.Hit) (experiments.Observation, error) {
	r, client, err := read(h)
	if err != nil {
		return unknown(err)
	}
	thing, err := client.Raw(ctx, r.Object.ref())
	if kube.NotFound(err) {
		return see(experiments.Superseded, "%s is gone", r.Object)
	}
	if err != nil {
		return unknown(err)
	}
	return see(experiments.Whole, "%s has generation %v; nothing to undo", r.Object, thing.At("metadata", "generation"))
}

// rolloutPace is how often a rollout is looked at.
const rolloutPace = 300 * time.Millisecond

// Follow implements [experiments.Follower]: it measures how long each rollout takes.
func (*RolloutRestart) Follow(ctx context.Context, injected <-chan experiments.Hit, tell func(string, experiments.Finding)) error {
	var rollouts errgroup.Group
	for h := range injected {
		rollouts.Go(func() error {
			return followRollout(ctx, h, func(found experiments.Finding) { tell(h.ID, found) })
		})
	}
	return rollouts.Wait()
}

// followRollout looks until the rollout is over.
func followRollout(ctx context.Context, h experiments.Hit, tell func(experiments.Finding)) error {
	r, client, err := read(h)
	if err != nil {
		return err
	}
	began := time.Now()
	for {
		thing, err := client.Raw(ctx, r.Object.ref())
		switch {
		case kube.NotFound(err), err == nil && thing.Text("spec", "template", "metadata", "annotations", restartAnnotation) != r.stamp():
			return nil // somebody else's rollout has taken its place
		case err == nil && kube.RolloutOf(thing).Lacks("") == "":
			tell(experiments.Finding{Name: "ready", After: time.Since(began), Text: fmt.Sprintf("the rollout of %s is complete: %s new and ready", r.Object, plural(kube.RolloutOf(thing).Ready, "pod"))})
			return nil
		}
		idle(ctx, rolloutPace)
		if ctx.Err() != nil {
			return nil
		}
	}
}
