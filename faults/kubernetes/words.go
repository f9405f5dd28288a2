package kubernetes

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gameday-sh/gameday/internal/kube"
)

// words say in a person's terms that an object has a value where the edit is.
func (e edit) words(what string, value any) string {
	switch strings.Join(e.Path, ".") {
	case "spec.unschedulable":
		if value == true {
			return what + " is cordoned"
		}
		return what + " is not cordoned"
	case "spec.taints":
		if taint, ok := value.(map[string]any); ok {
			return fmt.Sprintf("the taint %s is on %s", taintWords(taint), what)
		}
		return fmt.Sprintf("no taint of the key %s is on %s", e.ID, what)
	case "spec.containers":
		if value == nil {
			return fmt.Sprintf("%s has no container %s", what, e.ID)
		}
		return fmt.Sprintf("container %s of %s has the %s %v", e.ID, what, e.Field, value)
	}
	return fmt.Sprintf("%s has %s %s", what, strings.Join(e.Path, "."), say(value))
}

// was adds what stood there before, where the words of the value do not imply it.
func (e edit) was() string {
	switch strings.Join(e.Path, ".") {
	case "spec.unschedulable", "spec.taints":
		return ""
	case "spec.containers":
		return fmt.Sprintf(" (was %v)", e.From)
	}
	return fmt.Sprintf(" (was %s)", say(e.From))
}

// taintWords writes a taint as kubectl does.
func taintWords(taint map[string]any) string {
	text := fmt.Sprint(taint["key"])
	if value, there := taint["value"]; there && value != "" {
		text += fmt.Sprintf("=%v", value)
	}
	return fmt.Sprintf("%s:%v", text, taint["effect"])
}

// who names an object to a person: a pod by its name, UID and node, since its name may
// be another's by the time that the report is read.
func (r record) who(thing kube.Thing) string {
	if r.Object.Resource != kube.Pods.Name {
		return r.Object.String()
	}
	node := thing.Text("spec", "nodeName")
	if r.Pod != nil && node == "" {
		node = r.Pod.Node
	}
	return podWords(r.Object.String(), r.Object.UID, node)
}

func podWords(pod, uid, node string) string {
	if node == "" {
		return fmt.Sprintf("%s (UID %s)", pod, uid)
	}
	return fmt.Sprintf("%s (UID %s, on node %s)", pod, uid, node)
}

// mostNamed is how many things a sentence lists by name.
const mostNamed = 8

// several lists names, the first of many.
func several(names []string) string {
	slices.Sort(names)
	if len(names) > mostNamed {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:mostNamed], ", "), len(names)-mostNamed)
	}
	return strings.Join(names, ", ")
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
