package kubernetes

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/kube"
)

func validFuse(fuse time.Duration) []experiments.Problem {
	if fuse < shortestFuse {
		return []experiments.Problem{{Attribute: "fuse", Summary: "Fuse too short", Detail: fmt.Sprintf("It is put off every %s, and a try may fail: write at least %q.",
			experiments.FormatDuration(experiments.KeepPace), experiments.FormatDuration(shortestFuse))}}
	}
	return nil
}

// creationRights are needed to make an object with its fuse, and to delete both.
func (s Scope) creationRights(resource kube.Resource, why string) []kube.Right {
	list := s.rights()
	for _, namespace := range s.granted() {
		if namespace == "" {
			// Its UID is read again just before the injection.
			list = append(list, kube.Right{Verb: "get", Resource: kube.Namespaces, Why: "see that the namespace is still the one that was planned"})
		}
		for _, verb := range []string{"get", "create", "delete"} {
			list = append(list, kube.Right{Verb: verb, Resource: resource, Namespace: namespace, Why: why})
		}
		for _, verb := range []string{"get", "create", "patch", "delete"} {
			list = append(list, kube.Right{Verb: verb, Resource: kube.Jobs, Namespace: namespace, Why: "have a fuse that the cluster itself keeps"})
		}
		list = append(list, leaseRights(namespace, leaseName)...)
	}
	return list
}

// planCreations plans an object in each namespace.
func (s Scope) planCreations(ctx context.Context, d experiments.Draw, rights []kube.Right, fuse time.Duration, manifest any, effect, undo string) ([]experiments.Hit, error) {
	client, err := s.Kubernetes.Client()
	if err != nil {
		return nil, err
	}
	if d.Round == 1 {
		if err := client.Allowed(ctx, rights); err != nil {
			return nil, err
		}
	}
	text, err := json.Marshal(manifest)
	if err != nil {
		return nil, fmt.Errorf("write what would be created: %w", err)
	}
	spaces, err := s.namespaces(ctx, client)
	if err != nil {
		return nil, err
	}
	var hits []experiments.Hit
	for _, space := range spaces {
		hit, err := newHit(record{
			Reach:    client.Reach(),
			Object:   namespaceObject(space.Name, string(space.UID)),
			Creation: &creation{Fuse: fuse, Manifest: text},
		}, d, effect, undo, fuseWords(fuse))
		if err != nil {
			return nil, err
		}
		hits = append(hits, hit)
	}
	return hits, nil
}

// The calls of every kind that creates an object.

func injectCreation(ctx context.Context, h experiments.Hit, resource kube.Resource, build func(json.RawMessage, metav1.ObjectMeta) (runtime.Object, error)) (experiments.Proof, error) {
	r, client, err := readCreation(h)
	if err != nil {
		return experiments.Proof{}, err
	}
	err = r.make(ctx, client, h, resource, func(meta metav1.ObjectMeta) (runtime.Object, error) { return build(r.Creation.Manifest, meta) })
	if err != nil {
		return experiments.Proof{}, err
	}
	return experiments.Proof{Seen: fmt.Sprintf("%s is there; its fuse %s is armed", resource.In(r.Object.Namespace, r.name()), r.jobRef())}, nil
}

func readCreation(h experiments.Hit) (record, *kube.Client, error) {
	r, client, err := read(h)
	if err == nil && r.Creation == nil {
		err = fmt.Errorf("the record of hit %s tells of no object", h.ID)
	}
	return r, client, err
}

func revertCreation(ctx context.Context, h experiments.Hit, resource kube.Resource) error {
	r, client, err := readCreation(h)
	if err != nil {
		return err
	}
	return r.unmake(ctx, client, resource)
}

func checkCreation(ctx context.Context, h experiments.Hit, resource kube.Resource) (experiments.Observation, error) {
	r, client, err := readCreation(h)
	if err != nil {
		return unknown(err)
	}
	return r.present(ctx, client, resource)
}

// perishedCreation tells whether the object of a hit is gone: somebody deleted it, or its
// fuse ended it.
func perishedCreation(ctx context.Context, h experiments.Hit, resource kube.Resource) (string, error) {
	r, client, err := readCreation(h)
	if err != nil {
		return "", err
	}
	ref := resource.In(r.Object.Namespace, r.name())
	if _, err = client.Raw(ctx, ref); kube.NotFound(err) {
		return fmt.Sprintf("%s was gone before its time: somebody else deleted it, or its fuse did", ref), nil
	}
	return "", err
}
