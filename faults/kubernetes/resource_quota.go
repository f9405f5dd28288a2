package kubernetes

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/kube"
)

// ResourceQuota starves a namespace: no pod, or none beyond a number, can be created
// there. What runs stays.
type ResourceQuota struct {
	Claims
	Scope
	PodsAllowed int           `hcl:"pods,optional" default:"0" doc:"Number of pods up to which new ones may be created."`
	Fuse        time.Duration `hcl:"fuse,optional" default:"30s" doc:"How long the quota stays when the runner and its machine are gone."`
}

// Validate implements [experiments.Validator].
func (f *ResourceQuota) Validate() []experiments.Problem {
	problems := append(f.Scope.validate(), validFuse(f.Fuse)...)
	if f.PodsAllowed < 0 {
		problems = append(problems, experiments.Problem{Attribute: "pods", Summary: "Negative number of pods", Detail: "Write 0 or more."})
	}
	return problems
}

// Lasts is true: the quota is deleted.
func (*ResourceQuota) Lasts() bool { return true }

// Rights lists what the fault must be allowed to do and to undo.
func (f *ResourceQuota) Rights() []kube.Right {
	list := f.Scope.creationRights(kube.ResourceQuotas, "starve the namespace and end it")
	for _, namespace := range f.granted() {
		list = append(list, optOutRights(namespace)...)
	}
	return list
}

// Plan reads the namespaces.
func (f *ResourceQuota) Plan(ctx context.Context, d experiments.Draw) ([]experiments.Hit, error) {
	manifest := corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{corev1.ResourcePods: *resource.NewQuantity(int64(f.PodsAllowed), resource.DecimalSI)}}
	effect := fmt.Sprintf("let no pod be created beyond %d", f.PodsAllowed)
	if f.PodsAllowed == 0 {
		effect = "let no pod be created"
	}
	hits, err := f.Scope.planCreations(ctx, d, f.Rights(), f.Fuse, manifest, effect, "delete the quota")
	if err != nil {
		return nil, err
	}
	client, err := f.Kubernetes.Client()
	if err != nil {
		return nil, err
	}
	return hits, spares(ctx, client, hits)
}

// Takes implements [experiments.Taker]. A quota takes nothing down; it fails where what is
// planned opted out meanwhile.
func (f *ResourceQuota) Takes(ctx context.Context, hits []experiments.Hit) ([][]experiments.Allowance, error) {
	client, err := f.stillOpen(ctx, hits)
	if err != nil {
		return nil, err
	}
	return make([][]experiments.Allowance, len(hits)), spares(ctx, client, hits)
}

// spares refuses a namespace in which something opted out.
func spares(ctx context.Context, client *kube.Client, hits []experiments.Hit) error {
	for _, hit := range hits {
		r, err := parse(hit)
		if err != nil {
			return err
		}
		out, err := optedOut(ctx, client, r.Object.Namespace)
		if err != nil {
			return err
		}
		if len(out) > 0 {
			return fmt.Errorf("in namespace %s these bear the annotation %s, and a quota would not pass them by: %s", r.Object.Namespace, ExcludeAnnotation, strings.Join(slices.Sorted(maps.Keys(out)), ", "))
		}
	}
	return nil
}

// Inject arms the fuse, creates the quota and reads it back.
func (*ResourceQuota) Inject(ctx context.Context, h experiments.Hit) (experiments.Proof, error) {
	return injectCreation(ctx, h, kube.ResourceQuotas, func(manifest json.RawMessage, meta metav1.ObjectMeta) (runtime.Object, error) {
		object := &corev1.ResourceQuota{ObjectMeta: meta}
		return object, json.Unmarshal(manifest, &object.Spec)
	})
}

// Revert deletes the quota and its fuse.
func (*ResourceQuota) Revert(ctx context.Context, h experiments.Hit) error {
	return revertCreation(ctx, h, kube.ResourceQuotas)
}

// Check looks for the quota and its fuse.
func (*ResourceQuota) Check(ctx context.Context, h experiments.Hit) (experiments.Observation, error) {
	return checkCreation(ctx, h, kube.ResourceQuotas)
}

// Perished implements [experiments.Perishable].
func (*ResourceQuota) Perished(ctx context.Context, h experiments.Hit) (string, error) {
	return perishedCreation(ctx, h, kube.ResourceQuotas)
}

// made implements marker.
func (*ResourceQuota) made(bearer kube.Resource, r record) bool {
	return r.Creation != nil && (bearer == kube.ResourceQuotas || bearer == kube.Jobs)
}
