package kubernetes

import (
	"context"
	"encoding/json"
	"fmt"
	"math"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/kube"
)

// DeploymentScale changes the number of replicas of a Deployment, StatefulSet or
// ReplicaSet.
type DeploymentScale struct {
	Claims
	Scope
	Workload string               `hcl:"workload" doc:"The workload: deployment, statefulset or replicaset, and its name." example:"deployment/checkout"`
	Replicas *int                 `hcl:"replicas,optional" doc:"Number of replicas while the fault is on." example:"0"`
	Percent  *experiments.Percent `hcl:"percent,optional" doc:"Share of the replicas that stay, rounded down." example:"50%"`
	// An experiment may be about the autoscaler itself.
	Autoscaled bool `hcl:"autoscaled,optional" default:"false" doc:"Scales a workload although a HorizontalPodAutoscaler keeps its number of replicas. What that makes of it meanwhile stays, and is told as superseded."`
}

// Validate implements [experiments.Validator].
func (f *DeploymentScale) Validate() []experiments.Problem {
	problems := f.Scope.validate()
	if f.Workload != "" {
		if resource, _, err := workload(f.Workload); err != nil || !scalable(resource) {
			problems = append(problems, experiments.Problem{Attribute: "workload", Summary: "Not a workload that scales", Detail: "Write deployment, statefulset or replicaset, a slash and its name: \"deployment/checkout\"."})
		}
	}
	switch {
	case f.Replicas == nil && f.Percent == nil:
		problems = append(problems, experiments.Problem{Summary: "No number of replicas", Detail: "Write replicas = 0, or percent = \"50%\"."})
	case f.Replicas != nil && f.Percent != nil:
		problems = append(problems, experiments.Problem{Attribute: "percent", Summary: "Number of replicas, said twice", Detail: "Write either replicas or percent."})
	case f.Replicas != nil && *f.Replicas < 0:
		problems = append(problems, experiments.Problem{Attribute: "replicas", Summary: "Negative number of replicas", Detail: "Write 0 or more."})
	case f.Percent != nil && (*f.Percent < 0 || *f.Percent > 10):
		problems = append(problems, experiments.Problem{Attribute: "percent", Summary: "Share of replicas out of range", Detail: "Write 0% or more, and at most 1000%."})
	}
	return problems
}

func scalable(r kube.Resource) bool {
	return r == kube.Deployments || r == kube.StatefulSets || r == kube.ReplicaSets
}

// Lasts is true: the replicas are put back.
func (*DeploymentScale) Lasts() bool { return true }

// Rights lists what the fault must be allowed to do and to undo.
func (f *DeploymentScale) Rights() []kube.Right {
	resource, name, err := workload(f.Workload)
	if err != nil {
		return nil
	}
	list := f.Scope.editRights(resource, name, "scale and scale back")
	for _, namespace := range f.granted() {
		list = append(list, copyRights(resource, namespace)...)
		if !f.Autoscaled {
			list = append(list, autoscalerRights(namespace)...)
		}
		list = append(list, crewRights(namespace)...)
		list = append(list, kube.Right{Verb: "list", Resource: kube.DisruptionBudget, Namespace: namespace, Why: "see what must stay"})
		if resource == kube.Deployments {
			list = append(list, kube.Right{Verb: "list", Resource: kube.ReplicaSets, Namespace: namespace, Why: "see how many pods are ready"})
		}
	}
	return list
}

// Plan reads the workloads, one in each namespace.
func (f *DeploymentScale) Plan(ctx context.Context, d experiments.Draw) ([]experiments.Hit, error) {
	resource, name, err := workload(f.Workload)
	if err != nil {
		return nil, err
	}
	return f.Scope.planEdits(ctx, d, f.Rights(), resource, name, func(client *kube.Client, thing kube.Thing) (planned, error) {
		from, err := number(thing.At("spec", "replicas"), 1)
		if err != nil {
			return planned{}, err
		}
		to := 0
		if f.Replicas != nil {
			to = *f.Replicas
		} else {
			to = int(math.Floor(float64(*f.Percent)*float64(from) + 1e-9))
		}
		if from == to {
			return planned{}, fmt.Errorf("it has %d replicas already: nothing would change", from)
		}
		if err := unowned(thing); err != nil {
			return planned{}, err
		}
		if !f.Autoscaled {
			if err := unscaled(ctx, client, resource, thing, to); err != nil {
				return planned{}, err
			}
		}
		if err := wholeCrew(ctx, client, thing); err != nil {
			return planned{}, err
		}
		takes, err := scalingTakes(ctx, newLedger(client, 0, d.Round), resource, thing, to)
		if err != nil {
			return planned{}, err
		}
		return planned{
			takes:  takes,
			edit:   edit{Path: []string{"spec", "replicas"}, From: thing.At("spec", "replicas"), To: to},
			effect: fmt.Sprintf("scale from %d to %d replicas", from, to),
			undo:   fmt.Sprintf("scale back to %d replicas", from),
		}, nil
	})
}

// Takes implements [experiments.Taker]. It fails where what is planned opted out meanwhile.
func (f *DeploymentScale) Takes(ctx context.Context, hits []experiments.Hit) ([][]experiments.Allowance, error) {
	resource, _, err := workload(f.Workload)
	if err != nil {
		return nil, err
	}
	client, err := f.stillOpen(ctx, hits)
	if err != nil {
		return nil, err
	}
	ledger := countingLedger(client, 0)
	return takesAnew(hits, func(r record) ([]experiments.Allowance, error) {
		if r.Edit == nil {
			return nil, fmt.Errorf("the record of the hit tells of no change")
		}
		to, ok := r.Edit.To.(float64) // as JSON has it
		if !ok {
			return nil, fmt.Errorf("the record of the hit tells of no number of replicas: %v", r.Edit.To)
		}
		thing, err := client.Raw(ctx, r.Object.ref())
		if err != nil {
			return nil, err
		}
		if err := wholeCrew(ctx, client, thing); err != nil {
			return nil, err
		}
		return scalingTakes(ctx, ledger, resource, thing, int(to))
	})
}

// number reads a whole number of an object; a missing one is what the API takes it for.
func number(value any, missing int) (int, error) {
	if value == nil {
		return missing, nil
	}
	text, ok := value.(json.Number)
	if !ok {
		return 0, fmt.Errorf("%v is not a number", value)
	}
	n, err := text.Int64()
	return int(n), err
}

// unowned refuses a workload that another one keeps at its own number.
func unowned(thing kube.Thing) error {
	owners, _ := thing.At("metadata", "ownerReferences").([]any)
	for _, one := range owners {
		if owner, ok := one.(map[string]any); ok && owner["controller"] == true {
			return fmt.Errorf("it belongs to %v %v, which would scale it back at once: scale that", owner["kind"], owner["name"])
		}
	}
	return nil
}

// Inject changes the number and reads it back.
func (*DeploymentScale) Inject(ctx context.Context, h experiments.Hit) (experiments.Proof, error) {
	return injectEdit(ctx, h)
}

// Revert puts the number back, unless somebody else changed it meanwhile.
func (*DeploymentScale) Revert(ctx context.Context, h experiments.Hit) error {
	return revertEdit(ctx, h)
}

// Check reads the workload.
func (*DeploymentScale) Check(ctx context.Context, h experiments.Hit) (experiments.Observation, error) {
	return checkEdit(ctx, h)
}

// made implements marker.
func (*DeploymentScale) made(bearer kube.Resource, r record) bool {
	return scalable(bearer) && r.Edit != nil && r.Edit.is("spec", "replicas") && replicas(r.Edit.From) && replicas(r.Edit.To)
}

// replicas tells whether a value is one that the field can have; it may be missing.
func replicas(value any) bool {
	number, ok := value.(float64)
	return value == nil || ok && number >= 0 && number <= math.MaxInt32 && number == math.Trunc(number)
}
