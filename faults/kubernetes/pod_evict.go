package kubernetes

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/kube"
)

// PodEvict asks the Eviction API to remove pods, as a drain does. A
// PodDisruptionBudget can refuse it.
type PodEvict struct {
	Claims
	Following
	Pods
	Grace *time.Duration `hcl:"grace,optional" doc:"How long the pod may take to end; left out, what the pod itself says." example:"5s"`
}

// Validate implements [experiments.Validator].
func (f *PodEvict) Validate() []experiments.Problem {
	problems := f.Pods.validate()
	if f.Grace != nil && *f.Grace <= 0 {
		problems = append(problems, experiments.Problem{Attribute: "grace", Summary: "No grace", Detail: "Write how long the pod may take to end, such as \"5s\"."})
	}
	return problems
}

// Lasts is false: an eviction is over at once.
func (*PodEvict) Lasts() bool { return false }

// Rights lists what the fault must be allowed to do.
func (f *PodEvict) Rights() []kube.Right {
	return f.Pods.removal("create", "eviction", "evict the pod")
}

// Plan chooses the pods, and refuses one that no eviction would be granted for.
func (f *PodEvict) Plan(ctx context.Context, d experiments.Draw) ([]experiments.Hit, error) {
	var grace *int64
	if f.Grace != nil {
		seconds := wholeSeconds(*f.Grace)
		grace = &seconds
	}
	hits, err := f.Pods.plan(ctx, d, f.Rights(), "evict the pod", grace)
	if err != nil {
		return nil, err
	}
	for _, hit := range hits {
		r, err := parse(hit)
		if err != nil {
			return nil, err
		}
		if err := evictable(r.Object.Namespace+"/"+r.Object.Name, corev1.PodPhase(f.Phase), hit.Takes); err != nil {
			return nil, err
		}
	}
	return hits, nil
}

// Inject evicts the pod and sees that it ends.
func (f *PodEvict) Inject(ctx context.Context, h experiments.Hit) (experiments.Proof, error) {
	return f.followed(ctx, h, func(r record, client *kube.Client) (experiments.Proof, error) {
		return r.injectRemoval(ctx, client, func(options metav1.DeleteOptions) (metav1.ObjectMeta, error) {
			// The Eviction API answers without the pod.
			return metav1.ObjectMeta{}, evictPatiently(ctx, client, r.Object.Namespace, r.Object.Name, options, busyFor)
		})
	})
}

// evict calls the Eviction API. Its refusal names the budget.
func evict(ctx context.Context, client *kube.Client, namespace, name string, options metav1.DeleteOptions) error {
	ref := kube.Pods.In(namespace, name).Subresource("eviction")
	eviction := &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace}, DeleteOptions: &options}
	err := client.Create(ctx, ref, eviction, nil)
	if apierrors.HasStatusCause(err, policyv1.DisruptionBudgetCause) {
		return fmt.Errorf("a PodDisruptionBudget does not allow the eviction of pod %s/%s now: %w", namespace, name, err)
	}
	return err
}

// busyFor is how long an eviction is asked for that the API server is too busy to take.
const busyFor = 30 * time.Second

// evictPatiently is evict, again and again while the API server is busy, up to a limit.
func evictPatiently(ctx context.Context, client *kube.Client, namespace, name string, options metav1.DeleteOptions, limit time.Duration) error {
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		err := evict(ctx, client, namespace, name, options)
		wait, busy := busyAbout(err)
		if !busy {
			return err
		}
		select {
		case <-limited.Done():
			if ctx.Err() != nil {
				return err
			}
			return fmt.Errorf("the API server was too busy to evict for %s: %w", experiments.FormatDuration(limit), err)
		case <-time.After(wait):
		}
	}
}

// busyAbout tells that the API server was too busy for an eviction, and how long it wants
// to be left alone: a second, where it does not say.
func busyAbout(err error) (time.Duration, bool) {
	if !apierrors.IsTooManyRequests(err) || apierrors.HasStatusCause(err, policyv1.DisruptionBudgetCause) {
		return 0, false
	}
	seconds, _ := apierrors.SuggestsClientDelay(err)
	return time.Duration(max(seconds, 1)) * time.Second, true
}

// Revert has nothing to do: whatever owns the pod makes a new one.
func (*PodEvict) Revert(_ context.Context, h experiments.Hit) error { return revertNothing(h) }

// Check says what became of the pod. It is whole either way.
func (f *PodEvict) Check(ctx context.Context, h experiments.Hit) (experiments.Observation, error) {
	return checkRemoval(ctx, &f.ways, h)
}
