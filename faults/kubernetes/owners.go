package kubernetes

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gameday-sh/gameday/internal/kube"
)

// uidOf reads an object of any sort and gives its UID.
func uidOf(ctx context.Context, client *kube.Client, ref kube.Ref) (string, error) {
	thing, err := client.Raw(ctx, ref)
	if err != nil {
		return "", err
	}
	return thing.Text("metadata", "uid"), nil
}

// replicaSetsOf lists the UIDs of the replica sets of a deployment, by its UID.
func replicaSetsOf(ctx context.Context, client *kube.Client, namespace, name, deployment string) (map[string]bool, error) {
	uids := map[string]bool{}
	err := kube.List(ctx, client, kube.ReplicaSets, namespace, metav1.ListOptions{}, func(page *appsv1.ReplicaSetList) error {
		for _, set := range page.Items {
			for _, owner := range set.OwnerReferences {
				if string(owner.UID) == deployment {
					uids[string(set.UID)] = true
				}
			}
		}
		return nil
	}, func() *appsv1.ReplicaSetList { return new(appsv1.ReplicaSetList) }, func() { clear(uids) })
	if err == nil && len(uids) == 0 {
		err = fmt.Errorf("%s: %w", kube.Deployments.In(namespace, name), errNothingOwned)
	}
	return uids, err
}
