package kubernetes

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"sync"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/kube"
)

// Labels and annotations that gameday puts on objects or reads from them.
const (
	// RunLabel is on everything that a run changed or made: its value is the run.
	RunLabel = "gameday.sh/run"
	// HitAnnotation beside it holds the hit as JSON: all it takes to undo it.
	HitAnnotation = "gameday.sh/hit"
	// ExcludeAnnotation on a pod, a node, a workload or a namespace takes it out of
	// every fault, whatever else selects it.
	ExcludeAnnotation = "gameday.sh/exclude"
)

// record is the part of a hit that only this package reads.
type record struct {
	Reach kube.Reach `json:"reach"`
	Run   string     `json:"run"`
	// Key tells the hit from all others; it is in the name of what the hit creates.
	Key    string `json:"key"`
	Object object `json:"object"`

	Pod      *podRecord     `json:"pod,omitempty"`
	Edit     *edit          `json:"edit,omitempty"`
	Creation *creation      `json:"creation,omitempty"`
	Drain    *drainRecord   `json:"drain,omitempty"`
	Signal   *signalRecord  `json:"signal,omitempty"`
	Restart  *restartRecord `json:"restart,omitempty"`
}

// object pins one object: by its UID it is the very one that was planned, and not
// another that took its name.
type object struct {
	Group     string `json:"group,omitempty"`
	Version   string `json:"version"`
	Resource  string `json:"resource"`
	Kind      string `json:"kind"`
	Cluster   bool   `json:"cluster,omitempty"`
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
	UID       string `json:"uid"`
}

func pinned(r kube.Resource, namespace, name, uid string) object {
	return object{Group: r.Group, Version: r.Version, Resource: r.Name, Kind: r.Kind, Cluster: r.Cluster, Namespace: namespace, Name: name, UID: uid}
}

// namespaceObject pins the namespace that something is created in.
func namespaceObject(name, uid string) object { return pinned(kube.Namespaces, name, name, uid) }

func (o object) ref() kube.Ref {
	return kube.Resource{Group: o.Group, Version: o.Version, Name: o.Resource, Kind: o.Kind, Cluster: o.Cluster}.In(o.Namespace, o.Name)
}

func (o object) String() string { return o.ref().String() }

// newHit makes a hit of a record; the words are the kind's own.
func newHit(r record, d experiments.Draw, effect, undo, fuse string) (experiments.Hit, error) {
	r.Run = d.Run
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\n%s\n%d\n%s\n%s", d.Run, d.Fault, d.Round, r.Object, r.Object.UID))
	r.Key = hex.EncodeToString(sum[:8])
	spec, err := json.Marshal(r)
	if err != nil {
		return experiments.Hit{}, fmt.Errorf("record a hit on %s: %w", r.Object, err)
	}
	return experiments.Hit{
		Target: r.Object.String(),
		Holds:  fmt.Sprintf("kubernetes %s %s", r.Reach.Server, r.Object),
		Effect: effect, Undo: undo, Fuse: fuse, Spec: spec, Pin: r.pin(),
		Alone: r.Edit != nil, // an object has room for one mark
	}, nil
}

// pin is what must be the same when a plan is carried out later.
func (r record) pin() map[string]string {
	pin := map[string]string{"server": r.Reach.Server, "UID": r.Object.UID}
	set := func(key string, value any) {
		if text := say(value); text != "nothing" {
			pin[key] = text
		}
	}
	if r.Pod != nil {
		pin["node"], pin["owner"] = r.Pod.Node, r.Pod.Owner
		if r.Pod.Grace != nil {
			set("grace", *r.Pod.Grace)
		}
	}
	if e := r.Edit; e != nil {
		pin["field"] = strings.TrimSuffix(strings.Join(append(append([]string(nil), e.Path...), e.ID, e.Field), "."), ".")
		set("value", e.From)
		set("new value", e.To)
	}
	if r.Creation != nil {
		pin["new object"] = string(r.Creation.Manifest)
		pin["fuse"] = r.Creation.Fuse.String()
	}
	if r.Drain != nil {
		set("drain", r.Drain)
	}
	if r.Signal != nil {
		set("signal", r.Signal)
	}
	if r.Restart != nil {
		set("restart", r.Restart)
	}
	return pin
}

// parse gives the record of a hit.
func parse(h experiments.Hit) (record, error) {
	var r record
	if err := json.Unmarshal(h.Spec, &r); err != nil {
		return r, fmt.Errorf("the record of hit %s cannot be read: %w", h.ID, err)
	}
	if r.Reach.Server == "" || r.Object.Name == "" || r.Key == "" {
		return r, fmt.Errorf("the record of hit %s names no cluster or no object", h.ID)
	}
	return r, nil
}

// read gives the record of a hit, and the way to its cluster.
func read(h experiments.Hit) (record, *kube.Client, error) {
	var ways routes
	return ways.read(h)
}

// routes are the ways to clusters that were found already, and the records that were
// read. Finding a way reads the kubeconfig anew, which for hundreds of hits takes longer
// than the calls themselves. It is safe for concurrent use.
type routes struct {
	mu      sync.Mutex
	clients map[string]*kube.Client // by how the cluster is reached
	records map[string]recorded     // by the record as it is stored
}

// recorded is a record that was read, which nobody changes, and the way to its cluster.
type recorded struct {
	record
	client *kube.Client
}

// mostRecorded is how many records are kept.
const mostRecorded = 2048

func (w *routes) read(h experiments.Hit) (record, *kube.Client, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if known, there := w.records[string(h.Spec)]; there {
		return known.record, known.client, nil
	}
	r, err := parse(h)
	if err != nil {
		return r, nil, err
	}
	key := fmt.Sprint(r.Reach)
	client := w.clients[key]
	if client == nil {
		if client, err = kube.Dial(r.Reach); err != nil {
			return r, nil, err
		}
	}
	if w.clients == nil {
		w.clients = map[string]*kube.Client{}
	}
	if w.records == nil || len(w.records) == mostRecorded {
		w.records = map[string]recorded{}
	}
	w.clients[key], w.records[string(h.Spec)] = client, recorded{r, client}
	return r, client, nil
}

// unknown is what Check says where it could not read the world.
func unknown(err error) (experiments.Observation, error) {
	return experiments.Observation{State: experiments.Unknown, Seen: err.Error()}, err
}

func see(state experiments.State, format string, words ...any) (experiments.Observation, error) {
	return experiments.Observation{State: state, Seen: fmt.Sprintf(format, words...)}, nil
}
