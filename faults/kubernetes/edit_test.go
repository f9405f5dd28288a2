package kubernetes

import (
	"encoding/json"
	"fmt"
	"reflect"
	"testing"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	"pgregory.net/rapid"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/kube"
)

// apply carries out steps as the API server does, with the library that it uses.
func apply(t *rapid.T, thing kube.Thing, steps []kube.Op) kube.Thing {
	t.Helper()
	if len(steps) == 0 {
		return thing
	}
	document, err := json.Marshal(thing)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(steps)
	if err != nil {
		t.Fatal(err)
	}
	patch, err := jsonpatch.DecodePatch(text)
	if err != nil {
		t.Fatal(err)
	}
	out, err := patch.Apply(document)
	if err != nil {
		t.Fatalf("%s does not apply to %s: %v", text, document, err)
	}
	var changed kube.Thing
	if err := json.Unmarshal(out, &changed); err != nil {
		t.Fatal(err)
	}
	return changed
}

func same(t *rapid.T, a, b kube.Thing) bool {
	t.Helper()
	return reflect.DeepEqual(plain(map[string]any(a)), plain(map[string]any(b)))
}

// objects draws an object with labels, annotations and a spec that may or may not have
// what an edit is about.
func objects() *rapid.Generator[kube.Thing] {
	return rapid.Custom(func(t *rapid.T) kube.Thing {
		metadata := map[string]any{"name": "it", "uid": "1", "resourceVersion": "7"}
		for _, field := range []string{"labels", "annotations"} {
			texts := rapid.MapOfN(rapid.SampledFrom([]string{"a", "b/c", "d~e"}), rapid.String(), 0, 3).Draw(t, field)
			values := map[string]any{}
			for key, value := range texts {
				values[key] = value
			}
			if len(values) > 0 { // the API server keeps no empty ones
				metadata[field] = values
			}
		}
		spec := map[string]any{"replicas": rapid.IntRange(0, 5).Draw(t, "replicas")}
		if rapid.Bool().Draw(t, "cordoned") {
			spec["unschedulable"] = true
		}
		entries := func(key, field string, least int) []any {
			var list []any
			for i := range rapid.IntRange(least, 3).Draw(t, key) {
				list = append(list, map[string]any{key: fmt.Sprintf("entry-%d", i), field: rapid.String().Draw(t, field)})
			}
			return list
		}
		if taints := entries("key", "effect", 0); len(taints) > 0 {
			spec["taints"] = taints
		}
		spec["containers"] = entries("name", "image", 1)
		return kube.Thing{"metadata": metadata, "spec": spec}
	})
}

// edits draws an edit that a kind makes, fit for the object.
func edits(t *rapid.T, thing kube.Thing) edit {
	switch rapid.IntRange(0, 3).Draw(t, "kind") {
	case 0:
		return edit{Path: []string{"spec", "replicas"}, From: thing.At("spec", "replicas"), To: 6}
	case 1:
		e := edit{Path: []string{"spec", "unschedulable"}, To: true}
		e.From = e.value(thing)
		return e
	case 2:
		return edit{Path: []string{"spec", "taints"}, Key: "key", ID: "ours", To: map[string]any{"key": "ours", "effect": "NoSchedule"}}
	}
	e := edit{Path: []string{"spec", "containers"}, Key: "name", ID: "entry-0", Field: "image", To: brokenImage}
	e.From = e.value(thing)
	return e
}

func TestAnEditUndoneGivesTheObjectThatWas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		before := objects().Draw(t, "object")
		e := edits(t, before)
		r := record{Key: "k", Run: "run", Object: object{UID: "1"}, Edit: &e}
		spec, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		marking, err := mark(before, "run", experiments.Hit{ID: "h", Spec: spec})
		if err != nil {
			t.Fatal(err)
		}
		// A mark on an object whose labels are nil makes them; the undo goes by what is
		// there then, as it is read anew.
		during := apply(t, before, append(marking, e.step(before, e.To)...))
		if !r.carries(during) || !alike(e.value(during), e.To) {
			t.Fatalf("the edit is not there: %v", during)
		}
		after := apply(t, during, append(unmark(during), e.step(during, e.From)...))
		if !same(t, trimmed(after), trimmed(before)) {
			t.Fatalf("before %v\nafter  %v", before, after)
		}
		if steps := e.step(before, e.From); len(steps) != 0 {
			t.Fatalf("undoing what was never done takes steps: %v", steps)
		}
	})
}

// trimmed drops empty lists and maps of the metadata and of taints, as the API server does
// when it stores an object.
func trimmed(thing kube.Thing) kube.Thing {
	for _, at := range [][2]string{{"metadata", "labels"}, {"metadata", "annotations"}, {"spec", "taints"}} {
		parent, _ := thing[at[0]].(map[string]any)
		switch value := parent[at[1]].(type) {
		case map[string]any:
			if len(value) == 0 {
				delete(parent, at[1])
			}
		case []any:
			if len(value) == 0 {
				delete(parent, at[1])
			}
		}
	}
	return thing
}

// What others did to the object meanwhile, beside the edit, stays.
func TestUndoingAnEditKeepsWhatOthersDid(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		before := objects().Draw(t, "object")
		e := edits(t, before)
		during := apply(t, before, e.step(before, e.To))
		steps := []kube.Op{{Op: "add", Path: "/spec/theirs", Value: 1}}
		if rapid.Bool().Draw(t, "a taint of theirs") {
			if during.At("spec", "taints") == nil {
				steps = append(steps, kube.Op{Op: "add", Path: "/spec/taints", Value: []any{}})
			}
			steps = append(steps, kube.Op{Op: "add", Path: "/spec/taints/0", Value: map[string]any{"key": "theirs"}})
		}
		theirs := apply(t, during, steps)
		after := apply(t, theirs, e.step(theirs, e.From))
		if after.At("spec", "theirs") == nil || !alike(e.value(after), e.From) {
			t.Fatalf("%v is undone to %v", theirs, after)
		}
		wanted, _ := theirs.At("spec", "taints").([]any)
		now, _ := after.At("spec", "taints").([]any)
		ours := 0
		if e.ID == "ours" {
			ours = 1
		}
		if len(now) != len(wanted)-ours {
			t.Fatalf("taints %v became %v", wanted, now)
		}
	})
}
