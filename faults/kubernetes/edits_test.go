package kubernetes

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/cluster/clustertest"
	"github.com/gameday-sh/gameday/internal/kube"
)

func TestSomebodyElsesChangeIsKeptAndTold(t *testing.T) {
	t.Parallel()
	c := clustertest.Shared(t)
	namespace, node := c.Namespace(t), c.Node(t)
	c.Deployment(t, namespace, "checkout", 3)
	k := c.Connection(t)
	one := 1
	for name, it := range map[string]struct {
		fault experiments.Fault
		ref   kube.Ref
		moved string
		path  []string
		now   string
	}{
		"a scale": {&DeploymentScale{Scope: Scope{Kubernetes: k, Namespace: namespace}, Workload: "deployment/checkout", Replicas: &one},
			kube.Deployments.In(namespace, "checkout"), `{"spec":{"replicas":5}}`, []string{"spec", "replicas"}, "5"},
		"a taint": {&NodeTaint{Nodes: Nodes{Kubernetes: k, Node: node}, Key: "drill", Effect: "NoSchedule"},
			kube.Nodes.In("", node), `{"spec":{"taints":[{"key":"drill","effect":"PreferNoSchedule"}]}}`, []string{"spec", "taints"}, "[map[effect:PreferNoSchedule key:drill]]"},
	} {
		t.Run(name, func(t *testing.T) {
			hit := planFor(t, it.fault)[0]
			if _, err := it.fault.Inject(t.Context(), hit); err != nil {
				t.Fatal(err)
			}
			c.Merge(t, it.ref, it.moved)
			if err := it.fault.Revert(t.Context(), hit); err != nil {
				t.Fatal(err)
			}
			seen, err := it.fault.Check(t.Context(), hit)
			if err != nil || seen.State != experiments.Superseded || !strings.Contains(seen.Seen, "somebody else changed it meanwhile") {
				t.Errorf("%+v, %v", seen, err)
			}
			thing := c.Read(t, it.ref)
			if now := fmt.Sprint(thing.At(it.path...)); now != it.now {
				t.Errorf("it reads %s, want theirs: %s", now, it.now)
			}
			if thing.Text("metadata", "annotations", HitAnnotation) != "" || thing.Text("metadata", "labels", RunLabel) != "" {
				t.Error("the mark is still on it")
			}
		})
	}
}

// A controller that writes all annotations anew takes the mark off and leaves the harm.
func TestWhatLostItsMarkIsMendedAllTheSame(t *testing.T) {
	t.Parallel()
	c := clustertest.Shared(t)
	namespace := c.Namespace(t)
	c.Deployment(t, namespace, "checkout", 3)
	k := c.Connection(t)
	one := 1
	faults := map[kube.Ref]experiments.Fault{
		kube.Deployments.In(namespace, "checkout"): &DeploymentScale{Scope: Scope{Kubernetes: k, Namespace: namespace}, Workload: "deployment/checkout", Replicas: &one},
	}
	pod := c.Pods(t, namespace, "checkout")[0].Text("metadata", "name")
	faults[kube.Pods.In(namespace, pod)] = &PodFailure{Pods: Pods{Scope: Scope{Kubernetes: k, Namespace: namespace}, Name: pod, Phase: "Running"}}
	if c.Plane != nil {
		cordoned, tainted := c.Node(t), c.Node(t)
		faults[kube.Nodes.In("", cordoned)] = &NodeCordon{Nodes: Nodes{Kubernetes: k, Node: cordoned}}
		faults[kube.Nodes.In("", tainted)] = &NodeTaint{Nodes: Nodes{Kubernetes: k, Node: tainted}, Key: "drill", Effect: "NoSchedule"}
	}
	for ref, fault := range faults {
		if ref.Resource == kube.Deployments {
			continue // it would end the pod
		}
		lostMark(t, c, ref, fault)
	}
	ref := kube.Deployments.In(namespace, "checkout")
	hit := lostMark(t, c, ref, faults[ref])

	// The same number from somebody else, after it was mended, is theirs.
	c.Merge(t, ref, `{"spec":{"replicas":1}}`)
	if err := faults[ref].Revert(t.Context(), hit); err != nil {
		t.Fatal(err)
	}
	seen, err := faults[ref].Check(t.Context(), hit)
	if replicas := fmt.Sprint(c.Read(t, ref).At("spec", "replicas")); err != nil || seen.State != experiments.Superseded || replicas != "1" {
		t.Errorf("%s replicas: %+v, %v", replicas, seen, err)
	}
}

// The same of what gameday makes: its name is the hit's alone, and the label is enough.
func TestWhatWasMadeAndLostItsMarkIsDeletedAllTheSame(t *testing.T) {
	t.Parallel()
	c := clustertest.Shared(t)
	k := c.Connection(t)
	quota := func(namespace string) (experiments.Hit, kube.Ref) {
		hit := planFor(t, &ResourceQuota{Scope: Scope{Kubernetes: k, Namespace: namespace}, Fuse: time.Minute})[0]
		if _, err := new(ResourceQuota).Inject(t.Context(), hit); err != nil {
			t.Fatal(err)
		}
		r, err := parse(hit)
		if err != nil {
			t.Fatal(err)
		}
		return hit, kube.ResourceQuotas.In(namespace, r.name())
	}
	state := func(hit experiments.Hit) experiments.State {
		seen, err := new(ResourceQuota).Check(t.Context(), hit)
		if err != nil {
			t.Fatal(err)
		}
		return seen.State
	}
	hit, ref := quota(c.Namespace(t))
	bare := `{"metadata":{"annotations":{"gameday.sh/hit":null}}}`
	c.Merge(t, ref, bare)
	c.Merge(t, kube.Jobs.In(ref.Namespace, ref.Name), bare)
	if now := state(hit); now != experiments.Harmed {
		t.Errorf("without its annotation it is %s", now)
	}
	if err := new(ResourceQuota).Revert(t.Context(), hit); err != nil || state(hit) != experiments.Whole {
		t.Errorf("%v; it is %s", err, state(hit))
	}

	// Without both it may be anybody's: it is left alone, and nobody says that it is gone.
	hit, ref = quota(c.Namespace(t))
	c.Merge(t, ref, `{"metadata":{"annotations":null,"labels":null}}`)
	if err := new(ResourceQuota).Revert(t.Context(), hit); err == nil || !strings.Contains(err.Error(), "neither our annotation nor our label: it is left alone") || state(hit) != experiments.Harmed {
		t.Errorf("%v; it is %s", err, state(hit))
	}
	if seen, err := new(ResourceQuota).Perished(t.Context(), hit); seen != "" || err != nil {
		t.Errorf("while it is there: %q, %v", seen, err)
	}
	c.Delete(t, "/api/v1/namespaces/"+ref.Namespace+"/resourcequotas/"+ref.Name)
	if seen, err := new(ResourceQuota).Perished(t.Context(), hit); !strings.Contains(seen, "was gone before its time") || err != nil {
		t.Errorf("once somebody deleted it: %q, %v", seen, err)
	}
	if err := new(ResourceQuota).Revert(t.Context(), hit); err != nil || state(hit) != experiments.Whole {
		t.Errorf("%v; it is %s", err, state(hit))
	}
}

var (
	_ experiments.Perishable = (*ResourceQuota)(nil)
	_ experiments.Perishable = (*NetworkPartition)(nil)
)

// lostMark breaks an object, takes the mark off, and wants it mended.
func lostMark(t *testing.T, c *clustertest.Cluster, ref kube.Ref, fault experiments.Fault) experiments.Hit {
	t.Helper()
	before := c.Read(t, ref).At("spec")
	hit := planFor(t, fault)[0]
	if _, err := fault.Inject(t.Context(), hit); err != nil {
		t.Fatal(err)
	}
	c.Merge(t, ref, `{"metadata":{"annotations":{"gameday.sh/hit":null}}}`)
	if seen, err := fault.Check(t.Context(), hit); err != nil || seen.State != experiments.Harmed || !strings.Contains(seen.Seen, "though somebody took its mark off") {
		t.Errorf("%s while it is broken: %+v, %v", ref, seen, err)
	}
	for range 2 {
		if err := fault.Revert(t.Context(), hit); err != nil {
			t.Fatal(err)
		}
	}
	if seen, err := fault.Check(t.Context(), hit); err != nil || seen.State != experiments.Whole {
		t.Errorf("%s once it is mended: %+v, %v", ref, seen, err)
	}
	// The controller that taints a node which is cordoned takes the taint off by itself.
	c.Await(t, fmt.Sprintf("%s as it was: %v", ref, before), func() bool {
		after := c.Read(t, ref)
		return alike(after.At("spec"), before) && after.Text("metadata", "labels", RunLabel) == ""
	})
	return hit
}

// Two hits want one object: the second is refused and touches nothing.
func TestAnObjectThatIsMarkedIsRefusedToOthers(t *testing.T) {
	t.Parallel()
	c := clustertest.Shared(t)
	namespace := c.Namespace(t)
	c.Deployment(t, namespace, "checkout", 3)
	one, two := 1, 2
	scope := Scope{Kubernetes: c.Connection(t), Namespace: namespace}
	first := &DeploymentScale{Scope: scope, Workload: "deployment/checkout", Replicas: &one}
	second := &DeploymentScale{Scope: scope, Workload: "deployment/checkout", Replicas: &two}
	early := planFor(t, second)[0]
	r, _, err := read(early)
	if err != nil {
		t.Fatal(err)
	}
	early, err = newHit(r, experiments.Draw{Run: "another-run", Fault: "it", Round: 1}, early.Effect, early.Undo, early.Fuse)
	if err != nil {
		t.Fatal(err)
	}
	hit := planFor(t, first)[0]
	if _, err := first.Inject(t.Context(), hit); err != nil {
		t.Fatal(err)
	}
	during := clustertest.Text(c.Read(t, kube.Deployments.In(namespace, "checkout")))
	refuses(t, second, "carries the mark of another hit of this run: it bears one change at a time")
	if _, err := second.Inject(t.Context(), early); err == nil || !strings.Contains(err.Error(), "carries the mark of run "+testRun+" already") {
		t.Errorf("%v", err)
	}
	if err := second.Revert(t.Context(), early); err != nil { // not its own
		t.Error(err)
	}
	if now := clustertest.Text(c.Read(t, kube.Deployments.In(namespace, "checkout"))); now != during {
		t.Errorf("the second changed it:\n%s\n%s", during, now)
	}
	if err := first.Revert(t.Context(), hit); err != nil {
		t.Error(err)
	}
}
