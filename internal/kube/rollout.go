package kube

import (
	"encoding/json"
	"fmt"
)

// Rollout is how the replicas of a workload stand, as its controller last counted.
type Rollout struct {
	Wanted, Current, Updated, Ready int
	// ToUpdate is how many are updated when the rollout is complete: with a partition
	// not all.
	ToUpdate int
	// Generation is that of what is asked for, and Observed that of what was counted.
	Generation, Observed int
}

// RolloutOf reads a Deployment, StatefulSet, DaemonSet or ReplicaSet.
func RolloutOf(thing Thing) Rollout {
	whole := func(missing int, keys ...string) int {
		number, ok := thing.At(keys...).(json.Number)
		if !ok {
			return missing
		}
		n, err := number.Int64()
		if err != nil {
			return missing
		}
		return int(n)
	}
	r := Rollout{
		Wanted: whole(1, "spec", "replicas"), Current: whole(0, "status", "replicas"),
		Updated: whole(0, "status", "updatedReplicas"), Ready: whole(0, "status", "readyReplicas"),
		Generation: whole(0, "metadata", "generation"), Observed: whole(-1, "status", "observedGeneration"),
	}
	if thing.Text("kind") == "DaemonSet" {
		r.Wanted, r.Current = whole(0, "status", "desiredNumberScheduled"), whole(0, "status", "currentNumberScheduled")
		r.Updated, r.Ready = whole(0, "status", "updatedNumberScheduled"), whole(0, "status", "numberReady")
	}
	r.ToUpdate = r.Wanted
	if thing.Text("kind") == "StatefulSet" {
		r.ToUpdate = max(r.Wanted-whole(0, "spec", "updateStrategy", "rollingUpdate", "partition"), 0)
	}
	return r
}

// Done is how many replicas are updated and ready; none while the newest change was
// not taken up, as what is counted are those of before.
func (r Rollout) Done() int {
	if r.Observed < r.Generation {
		return 0
	}
	return min(r.Updated, r.Ready)
}

// Lacks says what a rollout lacks to be complete; empty if it is.
func (r Rollout) Lacks(what string) string {
	switch {
	case r.Observed < r.Generation:
		return fmt.Sprintf("the newest change of %s (generation %d) was not taken up yet", what, r.Generation)
	case r.Wanted == 0:
		return what + " is to have no replicas"
	case r.Updated < r.ToUpdate:
		return fmt.Sprintf("%d of %d replicas of %s are updated", r.Updated, r.ToUpdate, what)
	case r.Current > r.Wanted:
		return fmt.Sprintf("%d replicas of %s are to go", r.Current-r.Wanted, what)
	case r.Ready < r.Wanted:
		return fmt.Sprintf("%d of %d replicas of %s are ready", r.Ready, r.Wanted, what)
	}
	return ""
}
