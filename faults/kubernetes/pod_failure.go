package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/kube"
)

// PodFailure makes pods fail where they are: the image of a container is replaced by
// one that cannot be pulled, so that it ends and does not start again.
type PodFailure struct {
	Claims
	Following
	Pods
	Container string `hcl:"container,optional" doc:"Name of the container; left out, the first." example:"shop"`
}

// brokenImage can be pulled nowhere: .invalid is reserved for that (RFC 2606).
const brokenImage = "gameday.invalid/broken:1"

// Validate implements [experiments.Validator].
func (f *PodFailure) Validate() []experiments.Problem { return f.Pods.validate() }

// Lasts is true: the image is put back.
func (*PodFailure) Lasts() bool { return true }

// Rights lists what the fault must be allowed to do and to undo.
func (f *PodFailure) Rights() []kube.Right {
	return f.Pods.removal("patch", "", "break the pod and mend it")
}

// Plan chooses the pods.
func (f *PodFailure) Plan(ctx context.Context, d experiments.Draw) ([]experiments.Hit, error) {
	client, err := f.Kubernetes.Client()
	if err != nil {
		return nil, err
	}
	if d.Round == 1 {
		if err := client.Allowed(ctx, f.Rights()); err != nil {
			return nil, err
		}
	}
	pods, words, err := f.choose(ctx, client, d)
	if err != nil {
		return nil, err
	}
	ledger := newLedger(client, f.MinReady, d.Round)
	var hits []experiments.Hit
	for i := range pods {
		pod := &pods[i]
		thing, err := client.Raw(ctx, kube.Pods.In(pod.Namespace, pod.Name))
		if err != nil {
			return nil, err
		}
		hit, err := planEdit(client, d, kube.Pods, thing, func(_ *kube.Client, thing kube.Thing) (planned, error) {
			return f.edit(thing, words, pod)
		})
		if err != nil {
			return nil, fmt.Errorf("pod %s/%s: %w", pod.Namespace, pod.Name, err)
		}
		if hit.Takes, err = ledger.of(ctx, pod); err != nil {
			return nil, err
		}
		hits = append(hits, hit)
	}
	return hits, nil
}

func (f *PodFailure) edit(thing kube.Thing, words string, pod *corev1.Pod) (planned, error) {
	containers, _ := thing.At("spec", "containers").([]any)
	if len(containers) == 0 {
		return planned{}, errors.New("it has no container")
	}
	first, _ := containers[0].(map[string]any)
	name, _ := first["name"].(string)
	if f.Container != "" {
		name = f.Container
	}
	e := edit{Path: []string{"spec", "containers"}, Key: "name", ID: name, Field: "image", To: brokenImage}
	e.From = e.value(thing)
	if e.From == nil {
		return planned{}, fmt.Errorf("it has no container %q", name)
	}
	return planned{
		edit:   e,
		effect: podEffect("give its container "+name+" an image that cannot be pulled", words, pod),
		undo:   fmt.Sprintf("give it the image %v back", e.From),
	}, nil
}

// Inject changes the image and reads it back.
func (f *PodFailure) Inject(ctx context.Context, h experiments.Hit) (experiments.Proof, error) {
	return f.followed(ctx, h, func(record, *kube.Client) (experiments.Proof, error) { return injectEdit(ctx, h) })
}

// Revert puts the image back.
func (*PodFailure) Revert(ctx context.Context, h experiments.Hit) error { return revertEdit(ctx, h) }

// Check reads the pod.
func (*PodFailure) Check(ctx context.Context, h experiments.Hit) (experiments.Observation, error) {
	return checkEdit(ctx, h)
}

// made implements marker.
func (*PodFailure) made(bearer kube.Resource, r record) bool {
	if bearer != kube.Pods || r.Edit == nil || r.Edit.To != brokenImage {
		return false
	}
	_, ok := r.Edit.From.(string)
	return ok && slices.Equal(r.Edit.Path, []string{"spec", "containers"}) && r.Edit.Key == "name" && r.Edit.Field == "image"
}
