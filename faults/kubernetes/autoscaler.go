package kubernetes

import (
	"context"
	"fmt"
	"strings"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gameday-sh/gameday/internal/kube"
)

// A HorizontalPodAutoscaler keeps the number of replicas of a workload: it changes any
// other number back within seconds, except 0, at which it stands still (unless it may
// itself scale to 0).
// See https://kubernetes.io/docs/concepts/workloads/autoscaling/horizontal-pod-autoscale/#implicit-maintenance-mode-deactivation

// autoscalerRights are needed to find it.
func autoscalerRights(namespace string) []kube.Right {
	return []kube.Right{{Verb: "list", Resource: kube.Autoscalers, Namespace: namespace, Why: "see whether an autoscaler keeps the number of replicas"}}
}

// unscaled refuses to scale a workload whose number an autoscaler keeps.
func unscaled(ctx context.Context, client *kube.Client, resource kube.Resource, workload kube.Thing, to int) error {
	namespace, name := workload.Text("metadata", "namespace"), workload.Text("metadata", "name")
	var keeper *autoscalingv1.HorizontalPodAutoscaler
	err := kube.List(ctx, client, kube.Autoscalers, namespace, metav1.ListOptions{}, func(page *autoscalingv1.HorizontalPodAutoscalerList) error {
		for i := range page.Items {
			if scales(page.Items[i].Spec.ScaleTargetRef, resource, name) {
				keeper = page.Items[i].DeepCopy()
			}
		}
		return nil
	}, func() *autoscalingv1.HorizontalPodAutoscalerList {
		return new(autoscalingv1.HorizontalPodAutoscalerList)
	}, func() { keeper = nil })
	if err != nil || keeper == nil {
		return err
	}
	least := int32(1)
	if keeper.Spec.MinReplicas != nil {
		least = *keeper.Spec.MinReplicas
	}
	if to == 0 && least > 0 {
		return nil
	}
	way := "scale to 0, at which it stands still, delete it for the time of the run"
	if least == 0 {
		way = "delete it for the time of the run"
	}
	return fmt.Errorf("%s %s/%s keeps between %d and %d replicas and would change the number back while the fault is on: %s, or write autoscaled = true if that is what you want to see",
		kube.Autoscalers.Kind, namespace, keeper.Name, least, keeper.Spec.MaxReplicas, way)
}

// scales tells whether an autoscaler is about a workload. The version that it names does
// not matter, nor does an old group of the same kinds.
func scales(target autoscalingv1.CrossVersionObjectReference, resource kube.Resource, name string) bool {
	group, _, found := strings.Cut(target.APIVersion, "/")
	return target.Name == name && strings.EqualFold(target.Kind, resource.Kind) &&
		(!found || group == resource.Group || group == "extensions")
}
