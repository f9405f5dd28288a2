package kubernetes

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/kube"
	"github.com/gameday-sh/gameday/internal/textsafe"
)

// What a run changed or made bears its mark, so the objects alone are enough to mend
// it, from any machine and without a journal. A mark is data from outside: whoever
// may annotate an object can write one. So it is followed no further than to undo what
// the very object that bears it says of itself:
//
//   - the kind must be one of this package's, and the change one that it makes;
//   - the object that the mark names must be the one that bears it, by name and UID;
//   - the way to the cluster is the connection that was given, never the mark's;
//   - what is shown of it is shortened and without control characters.

// markable are the sorts of objects that a mark may be on.
var markable = []kube.Resource{
	kube.Deployments, kube.StatefulSets, kube.ReplicaSets, kube.Pods, kube.Nodes,
	kube.NetworkPolicies, kube.ResourceQuotas, kube.Jobs,
}

// A marker is a kind that marks what it changes or makes.
type marker interface {
	experiments.Fault
	// made tells whether the kind makes what a mark on an object of a sort says.
	made(bearer kube.Resource, r record) bool
}

const (
	// mostMarks bounds what is read of each sort.
	mostMarks = 20_000
	// longestMark bounds one mark, in bytes.
	longestMark = 64 << 10
)

// Leftovers is what runs have left on a cluster, as its objects tell.
type Leftovers struct {
	Runs []*LeftRun // newest first
	// Unread tells of the sorts that could not be listed: what they bear is not known.
	Unread []error
}

// LeftRun is what one run has left.
type LeftRun struct {
	Run string
	// Live says why the run seems to go on; empty if it is dead or over.
	Live string
	// Hits are what may be mended, newest first.
	Hits []experiments.Hit
	// Strange tells of objects that bear the run's label, and no mark that may be
	// followed.
	Strange []string

	leases []coordinationv1.Lease
	client *kube.Client
}

// RecoverRights lists what it takes to find leftovers in a namespace, or, where it is
// empty, in the whole cluster, and to give leases back. What mending takes, the rights
// of the faults say.
func RecoverRights(namespace string) []kube.Right {
	var list []kube.Right
	for _, resource := range append(slices.Clone(markable), kube.Leases) {
		if !resource.Cluster || namespace == "" {
			list = append(list, kube.Right{Verb: "list", Resource: resource, Namespace: namespace, Why: "find what runs left"})
		}
	}
	name := leaseName
	if namespace == "" {
		name = "" // those of nodes have names of their own
	}
	for _, verb := range []string{"get", "delete"} {
		list = append(list, kube.Right{Verb: verb, Resource: kube.Leases, Namespace: namespace, Name: name, Why: "give back the lease of a run that is dead"})
	}
	return list
}

// MayLeave tells of a right whether whoever has it for a fault may leave a mark or a
// lease where it holds.
func MayLeave(right kube.Right) bool {
	switch right.Verb {
	case "create", "patch":
		return right.Resource == kube.Leases || slices.Contains(markable, right.Resource)
	}
	return false
}

// FindLeftovers lists what bears the mark of any run, in one namespace or, where it is
// empty, in the whole cluster. Kind finds a fault by the name of its kind. It changes
// nothing.
func FindLeftovers(ctx context.Context, client *kube.Client, namespace string, kind func(string) (experiments.Fault, bool)) (*Leftovers, error) {
	f := finder{client: client, kind: kind, runs: map[string]*LeftRun{}, hits: map[string]bool{}}
	for _, resource := range markable {
		if resource.Cluster && namespace != "" {
			continue
		}
		list, err := client.Metadata(ctx, resource, namespace, RunLabel, mostMarks)
		switch {
		case kube.NotFound(err): // such a cluster does not know this sort
		case err != nil && ctx.Err() != nil:
			return nil, err
		case err != nil:
			f.found.Unread = append(f.found.Unread, err)
		}
		for i := range list {
			f.take(resource, &list[i])
		}
	}
	if err := f.leases(ctx, namespace); err != nil {
		return nil, err
	}
	for _, run := range f.runs {
		slices.SortStableFunc(run.Hits, func(a, b experiments.Hit) int { return cmp.Compare(b.At, a.At) })
		f.found.Runs = append(f.found.Runs, run)
	}
	// The name of a run begins with the time of its start.
	slices.SortFunc(f.found.Runs, func(a, b *LeftRun) int { return strings.Compare(b.Run, a.Run) })
	return &f.found, nil
}

// finder collects leftovers.
type finder struct {
	client *kube.Client
	kind   func(string) (experiments.Fault, bool)
	found  Leftovers
	runs   map[string]*LeftRun
	hits   map[string]bool // those taken: an object and its fuse bear the same
}

func (f *finder) run(name string) *LeftRun {
	if f.runs[name] == nil {
		f.runs[name] = &LeftRun{Run: name, client: f.client}
	}
	return f.runs[name]
}

// take reads the mark of one object.
func (f *finder) take(resource kube.Resource, meta *metav1.ObjectMeta) {
	run := f.run(meta.Labels[RunLabel])
	hit, key, err := f.follow(resource, meta)
	if err != nil {
		run.Strange = append(run.Strange, fmt.Sprintf("%s: %v", resource.In(meta.Namespace, meta.Name), err))
		return
	}
	if !f.hits[key] {
		f.hits[key] = true
		run.Hits = append(run.Hits, hit)
	}
}

var keyShape = regexp.MustCompile(`^[0-9a-f]{16}$`)

// follow makes the hit that undoes what a mark says, or tells why it is not followed.
func (f *finder) follow(resource kube.Resource, meta *metav1.ObjectMeta) (experiments.Hit, string, error) {
	var none experiments.Hit
	text, there := meta.Annotations[HitAnnotation]
	if !there {
		return none, "", fmt.Errorf("it bears the label %s, and no annotation %s that says what was done to it", RunLabel, HitAnnotation)
	}
	if len(text) > longestMark {
		return none, "", fmt.Errorf("its annotation %s has %d bytes, more than any hit has", HitAnnotation, len(text))
	}
	var hit experiments.Hit
	var r record
	if err := json.Unmarshal([]byte(text), &hit); err != nil {
		return none, "", fmt.Errorf("its annotation %s is not a hit: %s", HitAnnotation, textsafe.Line(err.Error(), 120))
	}
	if err := json.Unmarshal(hit.Spec, &r); err != nil {
		return none, "", fmt.Errorf("its annotation %s holds no record of a hit: %s", HitAnnotation, textsafe.Line(err.Error(), 120))
	}
	fault, known := f.kind(hit.Kind)
	kind, marks := fault.(marker)
	switch {
	case !known:
		return none, "", fmt.Errorf("this gameday knows no fault of kind %q; use the version that injected it", textsafe.Line(hit.Kind, 40))
	case !marks:
		return none, "", fmt.Errorf("its annotation says that it was hit by %s, which marks no object of a cluster", textsafe.Line(hit.Kind, 40))
	case !keyShape.MatchString(r.Key), r.Run != meta.Labels[RunLabel]:
		return none, "", fmt.Errorf("its annotation %s was not written by run %s", HitAnnotation, textsafe.Line(meta.Labels[RunLabel], 80))
	case !kind.made(resource, r):
		return none, "", fmt.Errorf("its annotation %s tells of a change that %s never makes", HitAnnotation, textsafe.Line(hit.Kind, 40))
	}
	if err := r.borneBy(resource, meta); err != nil {
		return none, "", err
	}
	r.Reach = f.client.Reach()
	spec, err := json.Marshal(r)
	if err != nil {
		return none, "", fmt.Errorf("write its record: %w", err)
	}
	target := r.Object.String()
	if r.Creation != nil {
		target = resource.In(meta.Namespace, meta.Name).String()
	}
	return experiments.Hit{
		ID: r.Run + "/" + r.Key, Fault: textsafe.Line(hit.Fault, 80), Kind: hit.Kind, Round: hit.Round,
		Target: target, Holds: fmt.Sprintf("kubernetes %s %s", r.Reach.Server, r.Object),
		Effect: textsafe.Line(hit.Effect, 200), Undo: textsafe.Line(hit.Undo, 200), At: hit.At, Lasts: hit.Lasts, Spec: spec,
	}, r.Run + "/" + r.Key + "/" + meta.Namespace, nil
}

// borneBy checks that the mark is about the object that bears it.
func (r record) borneBy(resource kube.Resource, meta *metav1.ObjectMeta) error {
	want := pinned(resource, meta.Namespace, meta.Name, string(meta.UID))
	if r.Creation != nil {
		if meta.Name != r.name() {
			return fmt.Errorf("its annotation %s is about an object of another name, %s", HitAnnotation, r.name())
		}
		// The record pins the namespace. Deleting goes by what is there now.
		want = namespaceObject(meta.Namespace, r.Object.UID)
	}
	if r.Object != want {
		return fmt.Errorf("its annotation %s is about another object, %s (UID %s): it was copied from there, or written by hand", HitAnnotation, textsafe.Line(r.Object.String(), 120), textsafe.Line(r.Object.UID, 40))
	}
	return nil
}

// leases finds out which runs go on: those that still renew a lease.
func (f *finder) leases(ctx context.Context, namespace string) error {
	var list []coordinationv1.Lease
	err := kube.List(ctx, f.client, kube.Leases, namespace, metav1.ListOptions{LabelSelector: RunLabel}, func(page *coordinationv1.LeaseList) error {
		if len(list)+len(page.Items) > mostMarks {
			return fmt.Errorf("more than %d leases bear the label %s", mostMarks, RunLabel)
		}
		list = append(list, page.Items...)
		return nil
	}, func() *coordinationv1.LeaseList { return new(coordinationv1.LeaseList) }, func() { list = nil })
	if err != nil {
		if ctx.Err() != nil {
			return err
		}
		f.found.Unread = append(f.found.Unread, err)
		for _, run := range f.runs {
			run.Live = "whether it still goes on is not known, as the leases cannot be read"
		}
		return nil
	}
	for _, lease := range list {
		if lease.Name != leaseName && !strings.HasPrefix(lease.Name, leaseName+"-") || holder(&lease) != lease.Labels[RunLabel] {
			continue // somebody else's, whatever its label says
		}
		run := f.run(lease.Labels[RunLabel])
		run.leases = append(run.leases, lease)
		if !expired(&lease) {
			age := max(time.Since(lease.Spec.RenewTime.Time).Round(time.Second), 0)
			run.Live = fmt.Sprintf("it renewed its lease %s/%s %s ago", lease.Namespace, lease.Name, experiments.FormatDuration(age))
		}
	}
	return nil
}

// Observe looks for a while whether the leases of runs that seem dead are renewed
// after all: by a machine whose clock is not ours. Leases that are older than any
// clock is wrong are not waited for.
func (l *Leftovers) Observe(ctx context.Context, client *kube.Client, tell func(string)) error {
	var doubtful []*LeftRun
	for _, run := range l.Runs {
		if run.Live == "" && slices.ContainsFunc(run.leases, func(lease coordinationv1.Lease) bool {
			return lease.Spec.RenewTime != nil && time.Since(lease.Spec.RenewTime.Time) < wrongClock
		}) {
			doubtful = append(doubtful, run)
		}
	}
	if len(doubtful) == 0 {
		return nil
	}
	tell(fmt.Sprintf("watching for %s whether anybody renews the lease of %s", experiments.FormatDuration(observeFor), doubtful[0].Run))
	select {
	case <-time.After(observeFor):
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	for _, run := range doubtful {
		for _, old := range run.leases {
			var now coordinationv1.Lease
			err := client.Get(ctx, kube.Leases.In(old.Namespace, old.Name), &now)
			if err != nil && !kube.NotFound(err) {
				return err
			}
			if err == nil && holder(&now) == run.Run && now.ResourceVersion != old.ResourceVersion {
				run.Live = fmt.Sprintf("it renewed its lease %s/%s just now, though by this machine's clock it had run out: the clocks differ", old.Namespace, old.Name)
			}
		}
	}
	return nil
}

const (
	// observeFor is a little longer than a runner leaves between two renewals.
	observeFor = experiments.KeepPace + time.Second
	// wrongClock is how far two machines' clocks may be apart without anybody noticing.
	wrongClock = 10 * time.Minute
)

// Release deletes the leases of a run that is dead, unless somebody renewed or took
// one since it was read.
func (l *LeftRun) Release(ctx context.Context) (released int, err error) {
	var problems []error
	for i := range l.leases {
		lease := &l.leases[i]
		err := l.client.Delete(ctx, kube.Leases.In(lease.Namespace, lease.Name), metav1.DeleteOptions{
			Preconditions: &metav1.Preconditions{UID: &lease.UID, ResourceVersion: &lease.ResourceVersion},
		})
		switch {
		case err == nil:
			released++
		case !kube.NotFound(err) && !kube.Conflict(err):
			problems = append(problems, err)
		}
	}
	return released, errors.Join(problems...)
}

// Leases is how many leases the run holds.
func (l *LeftRun) Leases() int { return len(l.leases) }
