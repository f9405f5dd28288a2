package kubernetes

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/kube"
)

// NodeTaint puts a taint on nodes: pods that do not tolerate it stay away, or, with
// NoExecute, have to go.
type NodeTaint struct {
	Claims
	Nodes
	Key    string `hcl:"key,optional" default:"gameday.sh/fault" doc:"Key of the taint."`
	Value  string `hcl:"value,optional" doc:"Value of the taint." example:"drill"`
	Effect string `hcl:"effect,optional" default:"NoSchedule" enum:"NoSchedule|PreferNoSchedule|NoExecute" doc:"What happens to pods that do not tolerate it; NoExecute makes those go that are there: they count against disruption budgets, and a node with pods that must stay is refused."`
}

// Validate implements [experiments.Validator].
func (f *NodeTaint) Validate() []experiments.Problem {
	problems := f.Nodes.validate()
	if wrong := validation.IsQualifiedName(cmp.Or(f.Key, "x")); len(wrong) > 0 {
		problems = append(problems, experiments.Problem{Attribute: "key", Summary: "Not a taint's key", Detail: wrong[0] + "."})
	}
	if wrong := validation.IsValidLabelValue(f.Value); len(wrong) > 0 {
		problems = append(problems, experiments.Problem{Attribute: "value", Summary: "Not a taint's value", Detail: wrong[0] + "."})
	}
	return problems
}

// Lasts is true: the taint is taken off again.
func (*NodeTaint) Lasts() bool { return true }

// Rights lists what the fault must be allowed to do and to undo.
func (f *NodeTaint) Rights() []kube.Right {
	list := f.Nodes.nodeRights("taint and untaint a node")
	if f.drives() {
		list = append(append(list, shelterRights()...), kube.Right{Verb: "list", Resource: kube.DisruptionBudget, Why: "see what must stay"})
	}
	return list
}

// drives tells whether the taint makes pods go that are there.
func (f *NodeTaint) drives() bool { return f.Effect == string(corev1.TaintEffectNoExecute) }

// Plan chooses the nodes. One that bears a taint of the same key is refused, and one
// with pods that must stay and would have to go.
func (f *NodeTaint) Plan(ctx context.Context, d experiments.Draw) ([]experiments.Hit, error) {
	hits, err := f.plan(ctx, d)
	if err != nil || !f.drives() {
		return hits, err
	}
	client, err := f.Kubernetes.Client()
	if err != nil {
		return nil, err
	}
	for i := range hits {
		hit := &hits[i]
		r, err := parse(*hit)
		if err != nil {
			return nil, err
		}
		var pods []corev1.Pod
		if pods, hit.Takes, err = f.driven(ctx, client, r); err != nil {
			return nil, err
		}
		hit.Effect += fmt.Sprintf(" and drive out its %s", plural(len(pods), "pod"))
		if len(pods) > 0 {
			hit.Undo += "; " + comeBack(pods)
		}
	}
	return hits, nil
}

// driven lists the pods that the taint makes go from a node, and what that takes from.
func (f *NodeTaint) driven(ctx context.Context, client *kube.Client, r record) ([]corev1.Pod, []experiments.Allowance, error) {
	taint := corev1.Taint{Key: f.Key, Value: f.Value, Effect: corev1.TaintEffect(f.Effect)}
	pods, err := untolerated(ctx, client, Scope{Kubernetes: f.Kubernetes}, r.Object.Name, taint)
	if err != nil {
		return nil, nil, err
	}
	ledger := drivingLedger(client)
	var takes []experiments.Allowance
	for i := range pods {
		some, err := ledger.of(ctx, &pods[i])
		if err != nil {
			return nil, nil, err
		}
		takes = append(takes, some...)
	}
	return pods, takes, nil
}

// Takes implements [experiments.Taker]. It fails where a pod has come meanwhile that must
// stay and would have to go.
func (f *NodeTaint) Takes(ctx context.Context, hits []experiments.Hit) ([][]experiments.Allowance, error) {
	client, err := f.Kubernetes.Client()
	if err != nil {
		return nil, err
	}
	return takesAnew(hits, func(r record) ([]experiments.Allowance, error) {
		_, takes, err := f.driven(ctx, client, r)
		return takes, err
	})
}

func (f *NodeTaint) plan(ctx context.Context, d experiments.Draw) ([]experiments.Hit, error) {
	return f.Nodes.planEdits(ctx, d, f.Rights(), func(_ *kube.Client, thing kube.Thing) (planned, error) {
		taint := map[string]any{"key": f.Key, "effect": f.Effect}
		if f.Value != "" {
			taint["value"] = f.Value
		}
		e := edit{Path: []string{"spec", "taints"}, Key: "key", ID: f.Key, From: nil, To: taint}
		if e.value(thing) != nil {
			return planned{}, errors.New("it bears a taint of the key " + f.Key + " already; choose another key")
		}
		words := taintWords(taint)
		return planned{edit: e, effect: fmt.Sprintf("taint the node %s", words), undo: fmt.Sprintf("take the taint %s off", words)}, nil
	})
}

// Inject taints the node and reads it back.
func (*NodeTaint) Inject(ctx context.Context, h experiments.Hit) (experiments.Proof, error) {
	return injectEdit(ctx, h)
}

// Revert takes the taint off.
func (*NodeTaint) Revert(ctx context.Context, h experiments.Hit) error { return revertEdit(ctx, h) }

// Check reads the node.
func (*NodeTaint) Check(ctx context.Context, h experiments.Hit) (experiments.Observation, error) {
	return checkEdit(ctx, h)
}

// made implements marker.
func (*NodeTaint) made(bearer kube.Resource, r record) bool {
	if bearer != kube.Nodes || r.Edit == nil || r.Edit.From != nil {
		return false
	}
	taint, ok := r.Edit.To.(map[string]any)
	return ok && slices.Equal(r.Edit.Path, []string{"spec", "taints"}) && r.Edit.Key == "key" && r.Edit.Field == "" && taint["key"] == r.Edit.ID
}
