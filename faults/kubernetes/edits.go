package kubernetes

import (
	"context"
	"errors"
	"fmt"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/kube"
)

// editFuse ends an edit when the runner dies. Kubernetes has nothing that would put a field
// back on time, so nothing does if the runner's machine is gone: a person must know that
// before, and what to type then.
const editFuse = experiments.WatchdogFuse + " on the runner's machine; if that is gone too it stays, until: gameday recover --cluster"

// planned is an edit and what to say of it.
type planned struct {
	edit         edit
	effect, undo string
	takes        []experiments.Allowance
}

// editRights are needed to change one object in each namespace, and to change it back.
func (s Scope) editRights(resource kube.Resource, name, why string) []kube.Right {
	list := s.rights()
	for _, namespace := range s.granted() {
		for _, verb := range []string{"get", "patch"} {
			list = append(list, kube.Right{Verb: verb, Resource: resource, Namespace: namespace, Name: name, Why: why})
		}
		list = append(list, leaseRights(namespace, leaseName)...)
	}
	return list
}

// planEdits plans a change to the object of a name in each namespace. Decide sees
// the object as it is.
func (s Scope) planEdits(ctx context.Context, d experiments.Draw, rights []kube.Right, resource kube.Resource, name string, decide func(*kube.Client, kube.Thing) (planned, error)) ([]experiments.Hit, error) {
	client, err := s.Kubernetes.Client()
	if err != nil {
		return nil, err
	}
	if d.Round == 1 {
		if err := client.Allowed(ctx, rights); err != nil {
			return nil, err
		}
	}
	spaces, err := s.namespaces(ctx, client)
	if err != nil {
		return nil, err
	}
	var hits []experiments.Hit
	var problems []error
	for _, space := range spaces {
		ref := resource.In(space.Name, name)
		thing, err := client.Raw(ctx, ref)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		hit, err := planEdit(client, d, resource, thing, decide)
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", ref, err))
			continue
		}
		hits = append(hits, hit)
	}
	return hits, errors.Join(problems...)
}

// optsOut tells whether an object bears the annotation.
func optsOut(thing kube.Thing) bool {
	value := thing.At("metadata", "annotations", ExcludeAnnotation)
	return value != nil && value != "false"
}

// planEdit plans a change to one object.
func planEdit(client *kube.Client, d experiments.Draw, resource kube.Resource, thing kube.Thing, decide func(*kube.Client, kube.Thing) (planned, error)) (experiments.Hit, error) {
	pin := pinned(resource, thing.Text("metadata", "namespace"), thing.Text("metadata", "name"), thing.Text("metadata", "uid"))
	if optsOut(thing) {
		return experiments.Hit{}, fmt.Errorf("it bears the annotation %s", ExcludeAnnotation)
	}
	if err := taken(thing, pin.String(), d.Run); err != nil {
		return experiments.Hit{}, err
	}
	p, err := decide(client, thing)
	if err != nil {
		return experiments.Hit{}, err
	}
	hit, err := newHit(record{Reach: client.Reach(), Object: pin, Edit: &p.edit}, d, p.effect, p.undo, editFuse)
	hit.Takes = p.takes
	return hit, err
}

// The calls of every kind that changes an object.

func injectEdit(ctx context.Context, h experiments.Hit) (experiments.Proof, error) {
	r, client, err := read(h)
	if err != nil {
		return experiments.Proof{}, err
	}
	if r.Edit == nil {
		return experiments.Proof{}, fmt.Errorf("the record of hit %s tells of no change", h.ID)
	}
	seen, err := r.injectEdit(ctx, client, h)
	return experiments.Proof{Seen: seen}, err
}

func revertEdit(ctx context.Context, h experiments.Hit) error {
	r, client, err := read(h)
	if err != nil {
		return err
	}
	if r.Edit == nil {
		return fmt.Errorf("the record of hit %s tells of no change", h.ID)
	}
	return r.revertEdit(ctx, client)
}

func checkEdit(ctx context.Context, h experiments.Hit) (experiments.Observation, error) {
	r, client, err := read(h)
	if err == nil && r.Edit == nil {
		err = errors.New("the record of the hit tells of no change")
	}
	if err != nil {
		return unknown(err)
	}
	return r.checkEdit(ctx, client)
}
