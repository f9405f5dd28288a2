package kubernetes

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/kube"
)

// PodKill deletes pods. Whatever owns them makes new ones.
type PodKill struct {
	Claims
	Following
	Pods
	Grace *time.Duration `hcl:"grace,optional" doc:"How long the pod may take to end; left out, what the pod itself says." example:"5s"`
	Force bool           `hcl:"force,optional" default:"false" doc:"Removes the pod at once, without waiting for its node: as if the node had died."`
}

// Validate implements [experiments.Validator].
func (f *PodKill) Validate() []experiments.Problem {
	problems := f.Pods.validate()
	if f.Grace != nil && *f.Grace < 0 {
		problems = append(problems, experiments.Problem{Attribute: "grace", Summary: "Negative grace", Detail: "Write how long the pod may take to end, such as \"5s\"."})
	}
	if f.Grace != nil && f.Force {
		problems = append(problems, experiments.Problem{Attribute: "force", Summary: "Grace and force", Detail: "A forced deletion waits for nothing; write either grace or force."})
	}
	return problems
}

// Lasts is false: a kill is over at once.
func (*PodKill) Lasts() bool { return false }

// Rights lists what the fault must be allowed to do.
func (f *PodKill) Rights() []kube.Right { return f.Pods.removal("delete", "", "kill the pod") }

// Plan chooses the pods.
func (f *PodKill) Plan(ctx context.Context, d experiments.Draw) ([]experiments.Hit, error) {
	effect := "delete the pod"
	var grace *int64
	switch {
	case f.Force:
		none := int64(0)
		grace, effect = &none, "delete the pod at once, by force"
	case f.Grace != nil:
		seconds := wholeSeconds(*f.Grace)
		if *f.Grace == 0 {
			seconds = 1 // 0 would be by force
		}
		grace, effect = &seconds, fmt.Sprintf("delete the pod, with %ds to end", seconds)
	}
	return f.Pods.plan(ctx, d, f.Rights(), effect, grace)
}

// Inject deletes the pod and sees that it ends.
func (f *PodKill) Inject(ctx context.Context, h experiments.Hit) (experiments.Proof, error) {
	return f.followed(ctx, h, func(r record, client *kube.Client) (experiments.Proof, error) {
		return r.injectRemoval(ctx, client, func(options metav1.DeleteOptions) (metav1.ObjectMeta, error) {
			return client.Remove(ctx, r.Object.ref(), options)
		})
	})
}

// Revert has nothing to do: whatever owns the pod makes a new one.
func (*PodKill) Revert(_ context.Context, h experiments.Hit) error { return revertNothing(h) }

// Check says what became of the pod. It is whole either way.
func (f *PodKill) Check(ctx context.Context, h experiments.Hit) (experiments.Observation, error) {
	return checkRemoval(ctx, &f.ways, h)
}
