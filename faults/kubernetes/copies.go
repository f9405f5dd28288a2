package kubernetes

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/kube"
)

// The cluster copies the annotations of a Deployment to its replica sets, and never
// takes one off again: so a mark on a Deployment leaves copies, without the label.

// copyRights are needed to find these copies and to take them off.
func copyRights(resource kube.Resource, namespace string) []kube.Right {
	if resource != kube.Deployments {
		return nil
	}
	var list []kube.Right
	for _, verb := range []string{"list", "get", "patch"} {
		list = append(list, kube.Right{Verb: verb, Resource: kube.ReplicaSets, Namespace: namespace, Why: "take off the copies of the mark that the cluster makes"})
	}
	return list
}

// copies finds the replica sets that bear a copy of the mark of a hit.
func (r record) copies(ctx context.Context, client *kube.Client) ([]kube.Ref, error) {
	if r.Object.Resource != kube.Deployments.Name {
		return nil, nil
	}
	sets, err := client.Metadata(ctx, kube.ReplicaSets, r.Object.Namespace, "", mostMarks)
	if err != nil {
		return nil, err
	}
	var list []kube.Ref
	for _, set := range sets {
		owned := slices.ContainsFunc(set.OwnerReferences, func(o metav1.OwnerReference) bool { return string(o.UID) == r.Object.UID })
		if owned && r.wrote(set.Annotations[HitAnnotation]) {
			list = append(list, kube.ReplicaSets.In(set.Namespace, set.Name))
		}
	}
	return list, nil
}

// wrote tells whether an annotation is the mark of this very hit.
func (r record) wrote(annotation string) bool {
	var hit experiments.Hit
	var theirs record
	return json.Unmarshal([]byte(annotation), &hit) == nil && json.Unmarshal(hit.Spec, &theirs) == nil && theirs.Key == r.Key
}

// copierWait bounds waiting for the controller: it may be away, and mending must not
// depend on it.
const copierWait = 2 * time.Second

// copied waits until the cluster has seen a Deployment as it is now: until then it may
// still copy a mark that is off by now.
func (r record) copied(ctx context.Context, client *kube.Client) {
	limited, cancel := context.WithTimeout(ctx, copierWait)
	defer cancel()
	for try := 1; ; try++ {
		var d appsv1.Deployment
		err := client.Get(limited, r.Object.ref(), &d)
		if err != nil || d.Status.ObservedGeneration >= d.Generation || pause(limited, min(try, 5)) != nil {
			return // what there is of copies is looked for anyway
		}
	}
}

// uncopy takes the copies off.
func (r record) uncopy(ctx context.Context, client *kube.Client) error {
	if r.Object.Resource != kube.Deployments.Name {
		return nil
	}
	r.copied(ctx, client)
	refs, err := r.copies(ctx, client)
	if err != nil {
		return err
	}
	for _, ref := range refs {
		err := change(ctx, client, ref, func(thing kube.Thing) ([]kube.Op, error) {
			if !r.wrote(thing.Text("metadata", "annotations", HitAnnotation)) {
				return nil, nil
			}
			return []kube.Op{{Op: "remove", Path: kube.Pointer("metadata", "annotations", HitAnnotation)}}, nil
		})
		if err != nil && !kube.NotFound(err) {
			return err
		}
	}
	return nil
}
