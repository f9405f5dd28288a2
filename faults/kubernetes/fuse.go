package kubernetes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/kube"
)

// creation is an object that is made and deleted again, with its fuse.
//
// The fuse is a Job with `parallelism: 0`: it never has a pod, and needs no image. Its
// activeDeadlineSeconds and ttlSecondsAfterFinished: 0 let the controller manager
// delete it on time, and the garbage collector what it owns. Both run in the cluster
// and need nothing of us. The deadline is put off as long as the runner lives.
type creation struct {
	// Fuse is how long the object lives when nobody puts the deadline off.
	Fuse time.Duration `json:"fuse_ns"`
	// Manifest is the object without metadata, as JSON.
	Manifest json.RawMessage `json:"manifest"`
}

// fuseWords says what ends a creation when nobody is left.
func fuseWords(fuse time.Duration) string {
	return fmt.Sprintf("a Job without a pod owns it: the cluster deletes both %s after the last word of the runner", experiments.FormatDuration(fuse))
}

// armWithin is how long the controller manager may take to start a fuse's clock.
const armWithin = 15 * time.Second

// shortestFuse leaves room for a renewal that fails twice.
const shortestFuse = 3 * experiments.KeepPace

// name is that of the Job and of the object: unique to the hit.
func (r record) name() string { return "gameday-" + r.Key }

func (r record) jobRef() kube.Ref { return kube.Jobs.In(r.Object.Namespace, r.name()) }

// meta is the metadata of what a hit creates: the label and the record on it are
// enough to find and delete it.
func (r record) meta(h experiments.Hit) (metav1.ObjectMeta, error) {
	text, err := json.Marshal(h)
	if err != nil {
		return metav1.ObjectMeta{}, fmt.Errorf("record %s: %w", h.ID, err)
	}
	return metav1.ObjectMeta{
		Name: r.name(), Namespace: r.Object.Namespace,
		Labels:      map[string]string{RunLabel: r.Run},
		Annotations: map[string]string{HitAnnotation: string(text)},
	}, nil
}

// arm creates the Job and returns when its clock runs.
func (r record) arm(ctx context.Context, client *kube.Client, h experiments.Hit) (*batchv1.Job, error) {
	meta, err := r.meta(h)
	if err != nil {
		return nil, err
	}
	none, seconds, now := int32(0), wholeSeconds(r.Creation.Fuse), int32(0)
	job := &batchv1.Job{ObjectMeta: meta, Spec: batchv1.JobSpec{
		Parallelism: &none, ActiveDeadlineSeconds: &seconds, TTLSecondsAfterFinished: &now,
		Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyNever,
			Containers:    []corev1.Container{{Name: "none", Image: "gameday.invalid/never-run"}},
		}},
	}}
	if err := createOnce(ctx, client, r.jobRef(), job); err != nil {
		return nil, fmt.Errorf("arm the fuse: %w", err)
	}
	var made batchv1.Job
	err = r.awaitClock(ctx, func(ctx context.Context) (bool, error) {
		err := client.Get(ctx, r.jobRef(), &made)
		return made.Status.StartTime != nil, err
	})
	if err != nil {
		return nil, err
	}
	return &made, nil
}

// awaitClock looks until the fuse's clock runs.
func (r record) awaitClock(ctx context.Context, runs func(context.Context) (bool, error)) error {
	waiting, cancel := context.WithTimeout(ctx, armWithin)
	defer cancel()
	for {
		there, err := runs(waiting)
		switch {
		case err == nil && there:
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case waiting.Err() != nil:
			// The last look may have been cut off by the end of the wait: that is no news
			// about the API server.
			return fmt.Errorf("the fuse %s was not armed within %s: does the cluster's controller manager run?", r.jobRef(), armWithin)
		case err != nil:
			return fmt.Errorf("arm the fuse: %w", err)
		}
		select {
		case <-waiting.Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func wholeSeconds(d time.Duration) int64 { return max(int64(math.Ceil(d.Seconds())), 1) }

// createOnce creates an object whose name is ours alone. That it is there already means
// that it was created and the answer got lost.
func createOnce(ctx context.Context, client *kube.Client, ref kube.Ref, object runtime.Object) error {
	var last error
	for try := range tries {
		// What is under way is seen through: a call that is cut off may be carried out or not.
		last = client.Create(context.WithoutCancel(ctx), ref, object, nil)
		if last == nil || apierrors.IsAlreadyExists(last) {
			return nil
		}
		if !kube.Conflict(last) && !kube.Uncertain(last) {
			return last
		}
		if err := pause(ctx, try); err != nil {
			return errors.Join(err, last)
		}
	}
	return last
}

// make creates the object of a hit, owned by its fuse, and reads it back.
func (r record) make(ctx context.Context, client *kube.Client, h experiments.Hit, resource kube.Resource, build func(metav1.ObjectMeta) (runtime.Object, error)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	uid, err := uidOf(ctx, client, kube.Namespaces.In("", r.Object.Namespace))
	if err != nil {
		return err
	}
	if uid != r.Object.UID {
		return fmt.Errorf("namespace %s moved since the plan: it was made anew (UID %s, not %s); nothing was done", r.Object.Namespace, uid, r.Object.UID)
	}
	job, err := r.arm(ctx, client, h)
	if err != nil {
		return err
	}
	meta, err := r.meta(h)
	if err != nil {
		return err
	}
	meta.OwnerReferences = []metav1.OwnerReference{{APIVersion: "batch/v1", Kind: "Job", Name: job.Name, UID: job.UID}}
	object, err := build(meta)
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	ref := resource.In(r.Object.Namespace, r.name())
	if err := createOnce(ctx, client, ref, object); err != nil {
		return err
	}
	thing, err := client.Raw(ctx, ref)
	if err != nil {
		return fmt.Errorf("read %s back: %w", ref, err)
	}
	if !r.owns(thing) {
		return fmt.Errorf("%s is there and is not ours", ref)
	}
	return nil
}

// owns tells whether an object of our name is ours. The name is the hit's alone: the
// label of the run is enough where somebody took the annotation off.
func (r record) owns(thing kube.Thing) bool {
	return r.carries(thing) || thing.Text("metadata", "annotations", HitAnnotation) == "" && thing.Text("metadata", "labels", RunLabel) == r.Run
}

// unmake deletes the object and its fuse. Neither being there counts as done.
func (r record) unmake(ctx context.Context, client *kube.Client, resource kube.Resource) error {
	background := metav1.DeletePropagationBackground
	// The object first: the fuse stays as long as there is something for it to end.
	for _, ref := range []kube.Ref{resource.In(r.Object.Namespace, r.name()), r.jobRef()} {
		thing, err := client.Raw(ctx, ref)
		if err == nil && !r.owns(thing) {
			return fmt.Errorf("%s bears our name, and neither our annotation nor our label: it is left alone; delete it by hand if it is nobody else's", ref)
		}
		if err == nil {
			uid := types.UID(thing.Text("metadata", "uid"))
			err = client.Delete(ctx, ref, metav1.DeleteOptions{PropagationPolicy: &background, Preconditions: &metav1.Preconditions{UID: &uid}})
		}
		if err != nil && !kube.NotFound(err) {
			return err
		}
	}
	return nil
}

// present looks for the object and its fuse.
func (r record) present(ctx context.Context, client *kube.Client, resource kube.Resource) (experiments.Observation, error) {
	for _, ref := range []kube.Ref{resource.In(r.Object.Namespace, r.name()), r.jobRef()} {
		thing, err := client.Raw(ctx, ref)
		if err == nil {
			if !r.owns(thing) {
				return see(experiments.Harmed, "%s is there, and bears neither our annotation nor our label", ref)
			}
			return see(experiments.Harmed, "%s is there", ref)
		}
		if !kube.NotFound(err) {
			return unknown(err)
		}
	}
	return see(experiments.Whole, "neither %s nor its fuse is there", resource.In(r.Object.Namespace, r.name()))
}

// renew puts the deadline of a fuse off. A Job that is gone is not made again: the
// harm has ended, and a runner that was away must not bring it back.
//
// The deadline counts from the Job's start, which was a moment before the injection:
// the age of the hit by our own clock does, whatever the cluster's clock says.
func (r record) renew(ctx context.Context, client *kube.Client, age time.Duration) error {
	var job batchv1.Job
	err := client.Get(ctx, r.jobRef(), &job)
	if kube.NotFound(err) || err == nil && (job.Status.StartTime == nil || job.DeletionTimestamp != nil) {
		return nil
	}
	if err != nil {
		return err
	}
	deadline := wholeSeconds(age + r.Creation.Fuse)
	if job.Spec.ActiveDeadlineSeconds != nil && *job.Spec.ActiveDeadlineSeconds >= deadline {
		return nil
	}
	err = client.Patch(ctx, r.jobRef(), []kube.Op{
		{Op: "test", Path: "/metadata/uid", Value: string(job.UID)},
		{Op: "add", Path: "/spec/activeDeadlineSeconds", Value: deadline},
	}, nil)
	if kube.NotFound(err) || kube.Conflict(err) {
		return nil
	}
	return err
}
