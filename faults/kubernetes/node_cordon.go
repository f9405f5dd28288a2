package kubernetes

import (
	"context"
	"errors"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/kube"
)

// NodeCordon keeps new pods off nodes. What runs there stays.
type NodeCordon struct {
	Claims
	Nodes
}

// Validate implements [experiments.Validator].
func (f *NodeCordon) Validate() []experiments.Problem { return f.Nodes.validate() }

// Lasts is true: the node is opened again.
func (*NodeCordon) Lasts() bool { return true }

// Rights lists what the fault must be allowed to do and to undo.
func (f *NodeCordon) Rights() []kube.Right { return f.Nodes.nodeRights("cordon and uncordon a node") }

// Plan chooses the nodes. One that is cordoned already is somebody else's: it would
// not be right to open it afterwards.
func (f *NodeCordon) Plan(ctx context.Context, d experiments.Draw) ([]experiments.Hit, error) {
	return f.Nodes.planEdits(ctx, d, f.Rights(), func(_ *kube.Client, thing kube.Thing) (planned, error) { return cordon(thing) })
}

func cordon(thing kube.Thing) (planned, error) {
	if thing.At("spec", "unschedulable") == true {
		return planned{}, errors.New("it is cordoned already; uncordon it first, or choose another")
	}
	return planned{
		edit:   edit{Path: []string{"spec", "unschedulable"}, From: nil, To: true},
		effect: "cordon the node",
		undo:   "uncordon it",
	}, nil
}

// Inject cordons the node and reads it back.
func (*NodeCordon) Inject(ctx context.Context, h experiments.Hit) (experiments.Proof, error) {
	return injectEdit(ctx, h)
}

// Revert uncordons the node, unless somebody else did.
func (*NodeCordon) Revert(ctx context.Context, h experiments.Hit) error { return revertEdit(ctx, h) }

// Check reads the node.
func (*NodeCordon) Check(ctx context.Context, h experiments.Hit) (experiments.Observation, error) {
	return checkEdit(ctx, h)
}

// made implements marker.
func (*NodeCordon) made(bearer kube.Resource, r record) bool { return cordons(bearer, r) }

// cordons tells whether a record is that of a cordon.
func cordons(bearer kube.Resource, r record) bool {
	return bearer == kube.Nodes && r.Edit != nil && r.Edit.is("spec", "unschedulable") && r.Edit.From == nil && r.Edit.To == true
}
