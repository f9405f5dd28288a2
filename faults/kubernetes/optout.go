package kubernetes

import (
	"context"
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/gameday-sh/gameday/internal/kube"
)

// A workload that opted out takes its pods with it.

// optedOut reads which workloads of a namespace bear the annotation: "ReplicaSet
// checkout-7f9c". A replica set is out when its deployment is, and a job when its cron job is.
func optedOut(ctx context.Context, client *kube.Client, namespace string) (map[string]bool, error) {
	out := map[string]bool{}
	var made []metav1.ObjectMeta // by another workload
	note := func(kind string) func(metav1.ObjectMeta) {
		return func(meta metav1.ObjectMeta) {
			if excluded(meta.Annotations) {
				out[kind+" "+meta.Name] = true
			}
		}
	}
	err := metas(ctx, client, kube.Deployments, namespace, func(l *appsv1.DeploymentList) []appsv1.Deployment { return l.Items }, func(d appsv1.Deployment) metav1.ObjectMeta { return d.ObjectMeta }, note("Deployment"))
	if err == nil {
		err = metas(ctx, client, kube.ReplicaSets, namespace, func(l *appsv1.ReplicaSetList) []appsv1.ReplicaSet { return l.Items }, func(s appsv1.ReplicaSet) metav1.ObjectMeta { return s.ObjectMeta }, func(meta metav1.ObjectMeta) {
			note("ReplicaSet")(meta)
			made = append(made, metav1.ObjectMeta{Name: "ReplicaSet " + meta.Name, OwnerReferences: meta.OwnerReferences})
		})
	}
	if err == nil {
		err = metas(ctx, client, kube.StatefulSets, namespace, func(l *appsv1.StatefulSetList) []appsv1.StatefulSet { return l.Items }, func(s appsv1.StatefulSet) metav1.ObjectMeta { return s.ObjectMeta }, note("StatefulSet"))
	}
	if err == nil {
		err = metas(ctx, client, kube.DaemonSets, namespace, func(l *appsv1.DaemonSetList) []appsv1.DaemonSet { return l.Items }, func(s appsv1.DaemonSet) metav1.ObjectMeta { return s.ObjectMeta }, note("DaemonSet"))
	}
	if err == nil {
		err = metas(ctx, client, kube.Jobs, namespace, func(l *batchv1.JobList) []batchv1.Job { return l.Items }, func(j batchv1.Job) metav1.ObjectMeta { return j.ObjectMeta }, func(meta metav1.ObjectMeta) {
			note("Job")(meta)
			made = append(made, metav1.ObjectMeta{Name: "Job " + meta.Name, OwnerReferences: meta.OwnerReferences})
		})
	}
	if err == nil {
		err = metas(ctx, client, kube.CronJobs, namespace, func(l *batchv1.CronJobList) []batchv1.CronJob { return l.Items }, func(j batchv1.CronJob) metav1.ObjectMeta { return j.ObjectMeta }, note("CronJob"))
	}
	for _, one := range made {
		if out[controller(one.OwnerReferences)] {
			out[one.Name] = true
		}
	}
	return out, err
}

// metas lists the metadata of all objects of a resource in a namespace.
func metas[T any, L any, P interface {
	*L
	runtime.Object
	metav1.ListInterface
}](ctx context.Context, client *kube.Client, r kube.Resource, namespace string, items func(P) []T, meta func(T) metav1.ObjectMeta, each func(metav1.ObjectMeta)) error {
	var found []metav1.ObjectMeta
	err := kube.List(ctx, client, r, namespace, metav1.ListOptions{}, func(page P) error {
		for _, item := range items(page) {
			m := meta(item)
			found = append(found, metav1.ObjectMeta{Name: m.Name, Annotations: m.Annotations, OwnerReferences: m.OwnerReferences})
		}
		return nil
	}, func() P { return new(L) }, func() { found = nil })
	for _, m := range found {
		each(m)
	}
	return err
}

// optOutRights are needed to see which workloads opted out.
func optOutRights(namespace string) []kube.Right {
	var list []kube.Right
	for _, r := range []kube.Resource{kube.Deployments, kube.ReplicaSets, kube.StatefulSets, kube.DaemonSets, kube.Jobs, kube.CronJobs} {
		list = append(list, kube.Right{Verb: "list", Resource: r, Namespace: namespace, Why: "see which workloads opted out"})
	}
	return list
}

// wholeCrew refuses a change to a workload that makes pods of it go, where its pods, or one
// of them, opted out.
func wholeCrew(ctx context.Context, client *kube.Client, workload kube.Thing) error {
	if value := workload.At("spec", "template", "metadata", "annotations", ExcludeAnnotation); value != nil && value != "false" {
		return fmt.Errorf("its pods bear the annotation %s, by its template; take it off there, or choose another", ExcludeAnnotation)
	}
	var selector metav1.LabelSelector
	fields, _ := workload.At("spec", "selector").(map[string]any)
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(fields, &selector); err != nil {
		return fmt.Errorf("its selector: %w", err)
	}
	options := metav1.ListOptions{LabelSelector: metav1.FormatLabelSelector(&selector)}
	return kube.List(ctx, client, kube.Pods, workload.Text("metadata", "namespace"), options, func(page *corev1.PodList) error {
		for i := range page.Items {
			if excluded(page.Items[i].Annotations) {
				return fmt.Errorf("its pod %s bears the annotation %s, and would not be passed by; choose another workload", page.Items[i].Name, ExcludeAnnotation)
			}
		}
		return nil
	}, func() *corev1.PodList { return new(corev1.PodList) }, func() {})
}

// crewRights are needed to see whether a pod of a workload opted out.
func crewRights(namespace string) []kube.Right {
	return []kube.Right{{Verb: "list", Resource: kube.Pods, Namespace: namespace, Why: "see whether a pod of the workload opted out"}}
}

// absentees knows which workloads opted out. Each namespace is read once.
type absentees map[string]map[string]bool

// owner names the workload of a pod if it opted out; empty if not.
func (a absentees) owner(ctx context.Context, client *kube.Client, pod *corev1.Pod) (string, error) {
	owner := controller(pod.OwnerReferences)
	if owner == "" {
		return "", nil
	}
	if a[pod.Namespace] == nil {
		out, err := optedOut(ctx, client, pod.Namespace)
		if err != nil {
			return "", err
		}
		a[pod.Namespace] = out
	}
	if !a[pod.Namespace][owner] {
		return "", nil
	}
	return owner, nil
}

// shelter tells which pods of any namespace no fault may take down: those in protected
// namespaces, and those that opted out, with their namespace, or with their workload.
// Each namespace is read once.
type shelter struct {
	scope   Scope
	client  *kube.Client
	spaces  map[string]string // why a namespace is not touched; empty: it may be
	outside absentees
}

func newShelter(ctx context.Context, client *kube.Client, scope Scope) (*shelter, error) {
	s := &shelter{scope: scope, client: client, spaces: map[string]string{}, outside: absentees{}}
	err := kube.List(ctx, client, kube.Namespaces, "", metav1.ListOptions{}, func(page *corev1.NamespaceList) error {
		for i := range page.Items {
			space := &page.Items[i]
			why := scope.protected(space.Name)
			// One that is being deleted loses its pods anyway.
			if why == "" && space.DeletionTimestamp == nil {
				why = scope.barred(space)
			}
			s.spaces[space.Name] = why
		}
		return nil
	}, func() *corev1.NamespaceList { return new(corev1.NamespaceList) }, func() { clear(s.spaces) })
	return s, err
}

// keeps says why a pod must not be taken down; empty if it may be.
func (s *shelter) keeps(ctx context.Context, pod *corev1.Pod) (string, error) {
	why, known := s.spaces[pod.Namespace]
	switch {
	case !known:
		return "its namespace is new", nil
	case why != "":
		return fmt.Sprintf("namespace %s: %s", pod.Namespace, why), nil
	case excluded(pod.Annotations):
		return "it bears the annotation " + ExcludeAnnotation, nil
	}
	owner, err := s.outside.owner(ctx, s.client, pod)
	if err != nil || owner == "" {
		return "", err
	}
	return fmt.Sprintf("its %s bears the annotation %s", owner, ExcludeAnnotation), nil
}

// shelterRights are needed to see which pods of a node must stay.
func shelterRights() []kube.Right {
	return append(optOutRights(""),
		kube.Right{Verb: "list", Resource: kube.Namespaces, Why: "see which namespaces may be touched"},
		kube.Right{Verb: "list", Resource: kube.Pods, Why: "find the pods of the node"})
}

// untolerated lists the pods of a node that a taint would drive out, and refuses it where
// some of them must stay.
func untolerated(ctx context.Context, client *kube.Client, scope Scope, node string, taint corev1.Taint) ([]corev1.Pod, error) {
	shelter, err := newShelter(ctx, client, scope)
	if err != nil {
		return nil, err
	}
	var pods []corev1.Pod
	options := metav1.ListOptions{FieldSelector: "spec.nodeName=" + node}
	err = kube.List(ctx, client, kube.Pods, "", options, func(page *corev1.PodList) error {
		for _, pod := range page.Items {
			tolerates := slices.ContainsFunc(pod.Spec.Tolerations, func(t corev1.Toleration) bool { return tolerated(t, taint) })
			if !tolerates && pod.DeletionTimestamp == nil && pod.Status.Phase != corev1.PodSucceeded && pod.Status.Phase != corev1.PodFailed {
				pods = append(pods, pod)
			}
		}
		return nil
	}, func() *corev1.PodList { return new(corev1.PodList) }, func() { pods = nil })
	if err != nil {
		return nil, err
	}
	var kept []string
	for i := range pods {
		why, err := shelter.keeps(ctx, &pods[i])
		if err != nil {
			return nil, err
		}
		if why != "" {
			kept = append(kept, fmt.Sprintf("pod %s/%s (%s)", pods[i].Namespace, pods[i].Name, why))
		}
	}
	if len(kept) > 0 {
		return nil, fmt.Errorf("a taint with NoExecute would drive out what must stay: %s; choose another node or another effect", strings.Join(kept, ", "))
	}
	return pods, nil
}

// tolerated tells whether a toleration is for a taint, as Kubernetes says it. One for
// a limited time only puts the end off.
func tolerated(t corev1.Toleration, taint corev1.Taint) bool {
	if t.Effect != "" && t.Effect != taint.Effect || t.Key != "" && t.Key != taint.Key || t.TolerationSeconds != nil {
		return false
	}
	return t.Operator == corev1.TolerationOpExists || t.Key != "" && (t.Operator == "" || t.Operator == corev1.TolerationOpEqual) && t.Value == taint.Value
}
