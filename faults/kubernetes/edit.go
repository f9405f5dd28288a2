package kubernetes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/kube"
)

// edit is a change to an object that is put back later. It is data, so that a fresh
// process can undo it: which field, what stood there, what is there meanwhile.
type edit struct {
	// Path leads to the field. Where it holds a list, Key and ID name the entry that is
	// meant: the container whose "name" is "shop".
	Path []string `json:"path"`
	Key  string   `json:"key,omitempty"`
	ID   string   `json:"id,omitempty"`
	// Field is the field of that entry; empty for the whole entry, which the edit adds
	// to the list and takes out again.
	Field string `json:"field,omitempty"`
	// From and To are the values; a From of null means that nothing stood there.
	From any `json:"from"`
	To   any `json:"to"`
}

// value reads the field; nil where nothing is there.
func (e edit) value(thing kube.Thing) any {
	found := thing.At(e.Path...)
	if e.Key == "" {
		return found
	}
	entry, _ := e.entry(found)
	if e.Field == "" || entry == nil {
		return whole(entry)
	}
	return entry[e.Field]
}

func whole(entry map[string]any) any {
	if entry == nil {
		return nil
	}
	return entry
}

// entry finds the entry of a list that is meant, and its place.
func (e edit) entry(list any) (map[string]any, int) {
	entries, _ := list.([]any)
	for i, one := range entries {
		if entry, ok := one.(map[string]any); ok && entry[e.Key] == e.ID {
			return entry, i
		}
	}
	return nil, -1
}

// is tells whether the edit goes to a field that is no entry of a list.
func (e edit) is(path ...string) bool {
	return slices.Equal(e.Path, path) && e.Key == "" && e.ID == "" && e.Field == ""
}

// step is the change from what is there to want; nil where it is there already.
func (e edit) step(thing kube.Thing, want any) []kube.Op {
	if alike(e.value(thing), want) {
		return nil
	}
	keys := append([]string(nil), e.Path...)
	list := thing.At(e.Path...)
	if e.Key != "" {
		_, at := e.entry(list)
		switch {
		case at < 0 && list == nil:
			return []kube.Op{{Op: "add", Path: kube.Pointer(keys...), Value: []any{want}}}
		case at < 0:
			return []kube.Op{{Op: "add", Path: kube.Pointer(append(keys, "-")...), Value: want}}
		}
		keys = append(keys, fmt.Sprint(at))
		if e.Field != "" {
			keys = append(keys, e.Field)
		}
	}
	if want == nil {
		return []kube.Op{{Op: "remove", Path: kube.Pointer(keys...)}}
	}
	return []kube.Op{{Op: "add", Path: kube.Pointer(keys...), Value: want}} // replaces what is there
}

// alike compares values as JSON has them. A false that is left out is false.
func alike(a, b any) bool { return reflect.DeepEqual(plain(a), plain(b)) }

func plain(value any) any {
	text, err := json.Marshal(value)
	if err != nil {
		return value
	}
	var out any
	if err := json.Unmarshal(text, &out); err != nil {
		return value
	}
	if out == false {
		return nil
	}
	return out
}

// say writes a value for a person.
func say(value any) string {
	text, err := json.Marshal(value)
	if err != nil || value == nil {
		return "nothing"
	}
	return string(text)
}

// tries is how often a change is tried anew because somebody else changed the same
// object meanwhile: a busy node is written every few seconds.
const tries = 8

// pause waits a little longer before each further try; it fails when ctx ends.
func pause(ctx context.Context, try int) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(time.Duration(try) * 20 * time.Millisecond):
		return nil
	}
}

// change reads an object and applies what decide says, in one patch that fails if
// the object was changed in between; then it reads again. Without steps nothing is
// done.
func change(ctx context.Context, client *kube.Client, ref kube.Ref, decide func(kube.Thing) ([]kube.Op, error)) error {
	return changeBy(ctx, client, ref, decide, func(ctx context.Context, steps []kube.Op) error { return client.Patch(ctx, ref, steps, nil) })
}

// changeBy is change with the patch made by a call.
func changeBy(ctx context.Context, client *kube.Client, ref kube.Ref, decide func(kube.Thing) ([]kube.Op, error), patch func(context.Context, []kube.Op) error) error {
	var last error
	for try := range tries {
		thing, err := client.Raw(ctx, ref)
		if err != nil {
			return err
		}
		steps, err := decide(thing)
		if err != nil || len(steps) == 0 {
			return err
		}
		guarded := append([]kube.Op{{Op: "test", Path: "/metadata/resourceVersion", Value: thing.Text("metadata", "resourceVersion")}}, steps...)
		// What is under way is seen through: a change that is cut off may be made or not.
		last = patch(context.WithoutCancel(ctx), guarded)
		// Where the answer got lost, what is there by now tells whether it was made.
		if last == nil || !kube.Conflict(last) && !kube.Uncertain(last) {
			return last
		}
		if err := pause(ctx, try); err != nil {
			return errors.Join(err, last)
		}
	}
	return fmt.Errorf("change %s: tried %d times, and each time it had changed meanwhile or no answer came: %w", ref, tries, last)
}

// carries tells whether an object carries the mark of this very hit.
func (r record) carries(thing kube.Thing) bool {
	return r.wrote(thing.Text("metadata", "annotations", HitAnnotation))
}

// bears tells whether what stands in an object is this hit's still: it carries the mark;
// or somebody took the mark off, as a controller does that writes all annotations anew,
// and left the value that this hit wrote. The same value from anybody else is theirs.
func (r record) bears(thing kube.Thing) bool {
	return r.carries(thing) || thing.Text("metadata", "annotations", HitAnnotation) == "" &&
		alike(r.Edit.value(thing), r.Edit.To) && !alike(r.Edit.From, r.Edit.To) && r.Edit.written(thing, r.manager())
}

// manager is the name in which a hit writes its harm: its own.
func (r record) manager() string { return r.name() }

// written tells whether the field is as a manager wrote it, whoever wrote the rest of the
// object since: the API server notes that.
// See https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management
func (e edit) written(thing kube.Thing, by string) bool {
	managers, _ := thing.At("metadata", "managedFields").([]any)
	return slices.ContainsFunc(managers, func(one any) bool {
		manager, _ := one.(map[string]any)
		return manager["manager"] == by && e.among(manager["fieldsV1"])
	})
}

// among tells whether the field is among those of a manager.
func (e edit) among(fields any) bool {
	there := true
	down := func(key string) {
		level, _ := fields.(map[string]any)
		fields, there = level[key], there && level[key] != nil
	}
	for _, key := range e.Path {
		down("f:" + key)
	}
	if level, _ := fields.(map[string]any); e.Key == "" || len(level) == 0 {
		return there // a list that is one's as a whole, such as taints, has no entries here
	}
	id, err := json.Marshal(map[string]string{e.Key: e.ID})
	if err != nil {
		return false
	}
	down("k:" + string(id))
	if e.Field != "" {
		down("f:" + e.Field)
	}
	return there
}

// taken says in an error that an object carries the mark of another hit.
func taken(thing kube.Thing, what, ours string) error {
	// An annotation without the label is a copy that came back: `kubectl rollout undo`
	// gives a Deployment the annotations of an older replica set.
	run := thing.Text("metadata", "labels", RunLabel)
	if run == "" || thing.Text("metadata", "annotations", HitAnnotation) == "" {
		return nil
	}
	if run == ours {
		return fmt.Errorf("%s carries the mark of another hit of this run: it bears one change at a time; let the faults come one after the other", what)
	}
	return fmt.Errorf("%s carries the mark of run %s already: wait for it, or mend it with: gameday recover --cluster", what, run)
}

// mark gives the steps that put the record of a hit on an object.
func mark(thing kube.Thing, run string, h experiments.Hit) ([]kube.Op, error) {
	text, err := json.Marshal(h)
	if err != nil {
		return nil, fmt.Errorf("record %s on its target: %w", h.ID, err)
	}
	var steps []kube.Op
	for _, put := range []struct{ field, key, value string }{{"annotations", HitAnnotation, string(text)}, {"labels", RunLabel, run}} {
		if thing.At("metadata", put.field) == nil {
			steps = append(steps, kube.Op{Op: "add", Path: kube.Pointer("metadata", put.field), Value: map[string]any{}})
		}
		steps = append(steps, kube.Op{Op: "add", Path: kube.Pointer("metadata", put.field, put.key), Value: put.value})
	}
	return steps, nil
}

// unmark gives the steps that take it off again.
func unmark(thing kube.Thing) []kube.Op {
	var steps []kube.Op
	for _, put := range []struct{ field, key string }{{"annotations", HitAnnotation}, {"labels", RunLabel}} {
		if thing.At("metadata", put.field, put.key) != nil {
			steps = append(steps, kube.Op{Op: "remove", Path: kube.Pointer("metadata", put.field, put.key)})
		}
	}
	return steps
}

// inject makes the edit, with its mark, and reads both back.
func (r record) injectEdit(ctx context.Context, client *kube.Client, h experiments.Hit) (string, error) {
	ref := r.Object.ref()
	err := changeBy(ctx, client, ref, func(thing kube.Thing) ([]kube.Op, error) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if r.carries(thing) {
			return nil, nil // done, and the answer got lost
		}
		if err := r.unmoved(thing); err != nil {
			return nil, err
		}
		steps, err := mark(thing, r.Run, h)
		return append(steps, r.Edit.step(thing, r.Edit.To)...), err
	}, func(ctx context.Context, steps []kube.Op) error {
		return client.PatchAs(ctx, r.manager(), ref, steps)
	})
	if kube.NotFound(err) {
		return "", fmt.Errorf("%s moved since the plan: it is gone; nothing was done (%w)", r.Object, err)
	}
	if err != nil {
		return "", err
	}
	thing, err := client.Raw(ctx, ref)
	if err != nil {
		return "", fmt.Errorf("read %s back: %w", r.Object, err)
	}
	switch now := r.Edit.value(thing); {
	case r.bears(thing) && !r.carries(thing):
		return "", fmt.Errorf("after the change %s without its mark: somebody takes the annotation %s off %s, and it must be able to stay there", r.Edit.words(r.who(thing), now), HitAnnotation, r.Object)
	case !r.carries(thing) || !alike(now, r.Edit.To):
		return "", fmt.Errorf("after the change %s: somebody changed it back at once", r.Edit.words(r.who(thing), now))
	}
	return r.Edit.words(r.who(thing), r.Edit.To) + r.Edit.was(), nil
}

// unmoved checks that an object is as it was planned.
func (r record) unmoved(thing kube.Thing) error {
	if uid := thing.Text("metadata", "uid"); uid != r.Object.UID {
		return fmt.Errorf("%s moved since the plan: it is another object by now (UID %s, not %s); nothing was done", r.Object, uid, r.Object.UID)
	}
	if err := taken(thing, r.Object.String(), r.Run); err != nil {
		return err
	}
	if optsOut(thing) {
		return fmt.Errorf("%s bears the annotation %s by now; nothing was done", r.Object, ExcludeAnnotation)
	}
	if now := r.Edit.value(thing); !alike(now, r.Edit.From) {
		return fmt.Errorf("%s moved since the plan: by now %s%s; nothing was done", r.Object, r.Edit.words("it", now), r.Edit.was())
	}
	return nil
}

// revertEdit puts back what stood before, if what is there is still ours, and takes
// the mark off.
func (r record) revertEdit(ctx context.Context, client *kube.Client) error {
	err := change(ctx, client, r.Object.ref(), func(thing kube.Thing) ([]kube.Op, error) {
		if thing.Text("metadata", "uid") != r.Object.UID {
			return nil, nil
		}
		bare := thing.Text("metadata", "annotations", HitAnnotation) == "" && thing.Text("metadata", "labels", RunLabel) == r.Run
		if !bare && !r.bears(thing) {
			return nil, nil
		}
		steps := unmark(thing)
		if r.bears(thing) && alike(r.Edit.value(thing), r.Edit.To) {
			steps = append(steps, r.Edit.step(thing, r.Edit.From)...)
		}
		return steps, nil
	})
	if kube.NotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	return r.uncopy(ctx, client)
}

// checkEdit reads what is left of the edit.
func (r record) checkEdit(ctx context.Context, client *kube.Client) (experiments.Observation, error) {
	thing, err := client.Raw(ctx, r.Object.ref())
	if kube.NotFound(err) {
		return see(experiments.Superseded, "%s is gone", r.Object)
	}
	if err != nil {
		return unknown(err)
	}
	now := r.Edit.value(thing)
	switch {
	case thing.Text("metadata", "uid") != r.Object.UID:
		return see(experiments.Superseded, "%s was made anew meanwhile", r.Object)
	case r.carries(thing):
		return see(experiments.Harmed, "%s, with the mark of the run", r.Edit.words(r.who(thing), now))
	case r.bears(thing):
		return see(experiments.Harmed, "%s as the run left it, though somebody took its mark off", r.Edit.words(r.who(thing), now))
	}
	copies, err := r.copies(ctx, client)
	switch {
	case err != nil:
		return unknown(err)
	case len(copies) > 0:
		return see(experiments.Harmed, "%s carries a copy of the mark of %s", copies[0], r.Object)
	case alike(now, r.Edit.From):
		return see(experiments.Whole, "%s, as before", r.Edit.words(r.who(thing), now))
	}
	if taken(thing, "", "") != nil {
		return see(experiments.Superseded, "%s, with the mark of another hit", r.Edit.words(r.who(thing), now))
	}
	return see(experiments.Superseded, "%s, without the mark of the run: somebody else changed it meanwhile", r.Edit.words(r.who(thing), now))
}
