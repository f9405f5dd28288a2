package kubernetes

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/kube"
)

// Pods selects pods. Everything that is excluded is filtered out before the draw.
type Pods struct {
	Scope
	Selector      string        `hcl:"selector,optional" doc:"Label selector, as kubectl takes it." example:"app=checkout,tier!=cache"`
	FieldSelector string        `hcl:"field_selector,optional" doc:"Field selector, as kubectl takes it." example:"spec.serviceAccountName=shop"`
	Name          string        `hcl:"name,optional" doc:"Name of the pod, or a pattern with * and ?." example:"checkout-*"`
	Owner         string        `hcl:"owner,optional" doc:"Workload that the pods belong to: deployment, statefulset, daemonset, replicaset or job, and its name." example:"deployment/checkout"`
	Node          string        `hcl:"node,optional" doc:"Node that the pods are on, or a pattern." example:"worker-1"`
	Phase         string        `hcl:"phase,optional" default:"Running" enum:"Running|Pending|Succeeded|Failed|any" doc:"Phase that the pods are in."`
	MinAge        time.Duration `hcl:"min_age,optional" default:"0s" doc:"Pods younger than this are left alone." example:"1m"`
	OptIn         string        `hcl:"opt_in,optional" doc:"Annotation that a pod must bear, key=value." example:"gameday.sh/allow=true"`
	Share
	OnePerOwner bool `hcl:"one_per_owner,optional" default:"false" doc:"Hits at most one pod of each workload; count, percent and all are then about workloads."`
	MinReady    int  `hcl:"min_ready,optional" default:"1" doc:"How many pods of each workload must stay ready; 0 allows to take down the last one."`
}

func (p Pods) validate() []experiments.Problem {
	problems := append(p.Scope.validate(), p.Share.validate()...)
	if _, err := labels.Parse(p.Selector); err != nil {
		problems = append(problems, experiments.Problem{Attribute: "selector", Summary: "Not a label selector", Detail: err.Error() + "."})
	}
	if _, err := fields.ParseSelector(p.FieldSelector); err != nil {
		problems = append(problems, experiments.Problem{Attribute: "field_selector", Summary: "Not a field selector", Detail: err.Error() + "."})
	}
	for attribute, pattern := range map[string]string{"name": p.Name, "node": p.Node} {
		if _, err := path.Match(pattern, ""); err != nil {
			problems = append(problems, experiments.Problem{Attribute: attribute, Summary: "Not a pattern", Detail: fmt.Sprintf("%q: a [ needs its ].", pattern)})
		}
	}
	if p.Owner != "" {
		if _, _, err := workload(p.Owner); err != nil {
			problems = append(problems, experiments.Problem{Attribute: "owner", Summary: "Not a workload", Detail: err.Error() + "."})
		}
	}
	if p.MinAge < 0 {
		problems = append(problems, experiments.Problem{Attribute: "min_age", Summary: "Negative age", Detail: "Write how old a pod must be, such as \"1m\"."})
	}
	if p.MinReady < 0 {
		problems = append(problems, experiments.Problem{Attribute: "min_ready", Summary: "Negative number of pods", Detail: "Write how many must stay ready; 0 allows to take down the last one."})
	}
	if p.OptIn != "" && !strings.Contains(p.OptIn, "=") {
		problems = append(problems, experiments.Problem{Attribute: "opt_in", Summary: "Not an annotation", Detail: "Write key=value, such as \"gameday.sh/allow=true\"."})
	}
	return problems
}

// podRights are needed to find pods and see what must stay of them.
func (p Pods) podRights() []kube.Right {
	list := p.Scope.rights()
	add := func(namespace string, verb string, resource kube.Resource, why string) {
		list = append(list, kube.Right{Verb: verb, Resource: resource, Namespace: namespace, Why: why})
	}
	for _, namespace := range p.granted() {
		add(namespace, "list", kube.Pods, "find the pods")
		add(namespace, "get", kube.Pods, "see what became of a pod")
		add(namespace, "list", kube.DisruptionBudget, "see what must stay")
		list = append(list, optOutRights(namespace)...)
		if resource, name, err := workload(p.Owner); err == nil {
			list = append(list, kube.Right{Verb: "get", Resource: resource, Namespace: namespace, Name: name, Why: "find the workload"})
			if resource == kube.Deployments {
				add(namespace, "list", kube.ReplicaSets, "find the pods of the deployment")
			}
		}
	}
	return list
}

// workloads are the sorts that own pods, by the name a person gives them.
var workloads = map[string]kube.Resource{
	"deployment": kube.Deployments, "statefulset": kube.StatefulSets, "daemonset": kube.DaemonSets,
	"replicaset": kube.ReplicaSets, "job": kube.Jobs,
}

// workload reads "deployment/checkout".
func workload(text string) (kube.Resource, string, error) {
	kind, name, found := strings.Cut(text, "/")
	resource, known := workloads[strings.ToLower(kind)]
	if !found || !known || name == "" {
		return kube.Resource{}, "", fmt.Errorf("%q is not a workload: write deployment, statefulset, daemonset, replicaset or job, a slash and its name", text)
	}
	return resource, name, nil
}

// candidate is what is kept of a pod while choosing: thousands of them are small.
type candidate struct {
	namespace, name, uid string
	owner                string // "ReplicaSet checkout-7f9c"; empty for a bare pod
}

// shared keeps one copy of texts that come again and again.
type shared map[string]string

func (s shared) of(text string) string {
	if known, found := s[text]; found {
		return known
	}
	s[text] = text
	return text
}

func (c candidate) title() string { return c.namespace + "/" + c.name }

// choose finds the pods and draws among them. The words say how many of how many.
func (p Pods) choose(ctx context.Context, client *kube.Client, d experiments.Draw) ([]corev1.Pod, string, error) {
	spaces, err := p.namespaces(ctx, client)
	if err != nil {
		return nil, "", err
	}
	var matching []candidate
	kept := map[string]bool{}
	for _, space := range spaces {
		found, err := p.candidates(ctx, client, space.Name, kept)
		if err != nil {
			return nil, "", err
		}
		if matching == nil {
			matching = found
		} else {
			matching = append(matching, found...)
		}
	}
	slices.SortFunc(matching, func(a, b candidate) int {
		return cmp.Or(strings.Compare(a.namespace, b.namespace), strings.Compare(a.name, b.name))
	})
	what := "pods" + p.words()
	if p.OnePerOwner {
		if matching, err = onePerOwner(matching, d); err != nil {
			return nil, "", err
		}
		what = "workloads with pods" + p.words()
	}
	count, words, err := p.Share.of(len(matching), what)
	if err != nil && len(kept) > 0 {
		err = fmt.Errorf("%w; these match too, and are left alone as they bear the annotation %s: %s", err, ExcludeAnnotation, several(slices.Collect(maps.Keys(kept))))
	}
	if err != nil {
		return nil, "", err
	}
	picked, err := draw(matching, count, d, candidate.title)
	if err != nil {
		return nil, "", err
	}
	pods := make([]corev1.Pod, len(picked))
	for i, c := range picked {
		if err := client.Get(ctx, kube.Pods.In(c.namespace, c.name), &pods[i]); err != nil {
			return nil, "", err
		}
		if string(pods[i].UID) != c.uid {
			return nil, "", fmt.Errorf("pod %s/%s was replaced while it was chosen; try again", c.namespace, c.name)
		}
	}
	return pods, words, nil
}

// words repeat the selection for an error.
func (p Pods) words() string {
	var parts []string
	for _, part := range []struct{ name, value string }{{"selector", p.Selector}, {"field_selector", p.FieldSelector}, {"name", p.Name}, {"owner", p.Owner}, {"node", p.Node}, {"opt_in", p.OptIn}} {
		if part.value != "" {
			parts = append(parts, fmt.Sprintf("%s %q", part.name, part.value))
		}
	}
	text := " in " + strings.Join(p.named(), ", ")
	if len(parts) > 0 {
		text += " with " + strings.Join(parts, ", ")
	}
	if p.Phase != "any" {
		text += ", in phase " + p.Phase
	}
	if p.MinAge > 0 {
		text += ", at least " + experiments.FormatDuration(p.MinAge) + " old"
	}
	return text
}

// onePerOwner draws one pod of each workload; a bare pod stands for itself.
func onePerOwner(pods []candidate, d experiments.Draw) ([]candidate, error) {
	groups := map[string][]candidate{}
	var order []string
	for _, pod := range pods {
		key := pod.namespace + "/" + pod.owner
		if pod.owner == "" {
			key += pod.name
		}
		if groups[key] == nil {
			order = append(order, key)
		}
		groups[key] = append(groups[key], pod)
	}
	var list []candidate
	for _, key := range order {
		one, err := draw(groups[key], 1, d, candidate.title)
		if err != nil {
			return nil, err
		}
		list = append(list, one...)
	}
	return list, nil
}

// candidates lists the pods of a namespace that may be hit. Of those that match otherwise
// it notes in kept what keeps them out: the pod itself or its workload.
func (p Pods) candidates(ctx context.Context, client *kube.Client, namespace string, kept map[string]bool) ([]candidate, error) {
	owned, err := p.ownedBy(ctx, client, namespace)
	if err != nil {
		return nil, err
	}
	options := metav1.ListOptions{LabelSelector: p.Selector, FieldSelector: p.fields()}
	var list []candidate
	owners := shared{} // thousands of pods belong to a few
	err = kube.List(ctx, client, kube.Pods, namespace, options, func(page *corev1.PodList) error {
		for i := range page.Items {
			pod := &page.Items[i]
			if !p.takes(pod) || owned != nil && !owned(pod) {
				continue
			}
			if excluded(pod.Annotations) {
				kept[fmt.Sprintf("pod %s/%s", namespace, pod.Name)] = true
				continue
			}
			list = append(list, candidate{namespace, pod.Name, string(pod.UID), owners.of(controller(pod.OwnerReferences))})
		}
		return nil
	}, func() *corev1.PodList { return new(corev1.PodList) }, func() { list = nil })
	if err != nil || !slices.ContainsFunc(list, func(c candidate) bool { return c.owner != "" }) {
		return list, err
	}
	out, err := optedOut(ctx, client, namespace)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(list, func(c candidate) bool {
		if out[c.owner] {
			kept[fmt.Sprintf("%s of namespace %s", c.owner, namespace)] = true
		}
		return out[c.owner]
	}), nil
}

// fields is the field selector with what the server can filter too.
func (p Pods) fields() string {
	parts := []string{}
	if p.FieldSelector != "" {
		parts = append(parts, p.FieldSelector)
	}
	if p.Phase != "any" && p.Phase != "" {
		parts = append(parts, "status.phase="+p.Phase)
	}
	if p.Node != "" && !isPattern(p.Node) {
		parts = append(parts, "spec.nodeName="+p.Node)
	}
	return strings.Join(parts, ",")
}

// takes applies the filters that the server cannot, but for opting out.
func (p Pods) takes(pod *corev1.Pod) bool {
	switch {
	case pod.DeletionTimestamp != nil:
		return false
	case pod.Annotations[corev1.MirrorPodAnnotationKey] != "":
		return false // the API server only mirrors it; the kubelet would bring it back
	case pod.Namespace == ownNamespace() && pod.Name == ownName():
		return false
	}
	if p.OptIn != "" {
		key, value, _ := strings.Cut(p.OptIn, "=")
		if pod.Annotations[key] != value {
			return false
		}
	}
	// One after the other: as the keys of a map, two patterns that are alike would be one.
	if !fits(p.Name, pod.Name) || !fits(p.Node, pod.Spec.NodeName) {
		return false
	}
	return time.Since(pod.CreationTimestamp.Time) >= p.MinAge
}

// fits tells whether a name is of a pattern; an empty pattern is of any.
func fits(pattern, name string) bool {
	matches, err := path.Match(pattern, name)
	return pattern == "" || err == nil && matches
}

func ownName() string {
	name, err := os.Hostname()
	if err != nil {
		return ""
	}
	return name
}

// controller names the workload that an object belongs to: "ReplicaSet checkout-7f9c".
func controller(owners []metav1.OwnerReference) string {
	for _, owner := range owners {
		if owner.Controller != nil && *owner.Controller {
			return owner.Kind + " " + owner.Name
		}
	}
	return ""
}

// ownedBy gives a test for the pods of the workload in Owner; nil where none is
// named. A deployment's pods belong to its replica sets.
func (p Pods) ownedBy(ctx context.Context, client *kube.Client, namespace string) (func(*corev1.Pod) bool, error) {
	if p.Owner == "" {
		return nil, nil
	}
	resource, name, err := workload(p.Owner)
	if err != nil {
		return nil, err
	}
	uid, err := uidOf(ctx, client, resource.In(namespace, name))
	if err != nil {
		return nil, err
	}
	uids := map[string]bool{uid: true}
	if resource == kube.Deployments {
		uids, err = replicaSetsOf(ctx, client, namespace, name, uid)
		if err != nil {
			return nil, err
		}
	}
	return func(pod *corev1.Pod) bool {
		return slices.ContainsFunc(pod.OwnerReferences, func(o metav1.OwnerReference) bool { return uids[string(o.UID)] })
	}, nil
}

var errNothingOwned = errors.New("it owns no replica set: has its rollout begun?")
