package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/kube"
)

// Scope is where a fault looks for its targets.
type Scope struct {
	Kubernetes *kube.Kubernetes `hcl:"kubernetes,optional" doc:"The kubernetes connection; left out, the only one there is."`
	Namespace  string           `hcl:"namespace,optional" doc:"Namespace to look in." example:"shop"`
	Namespaces []string         `hcl:"namespaces,optional" doc:"Several namespaces, or patterns of their names with * and ?." example:"[\"shop\", \"stock-*\"]"`
}

// Cluster is where the namespaces are.
func (s Scope) Cluster() *kube.Kubernetes { return s.Kubernetes }

// validate checks that namespaces are named one way.
func (s Scope) validate() []experiments.Problem {
	var problems []experiments.Problem
	switch {
	case s.Namespace == "" && len(s.Namespaces) == 0:
		problems = append(problems, experiments.Problem{Summary: "No namespace", Detail: "Write namespace = \"shop\", or namespaces = [\"shop\", \"stock-*\"]."})
	case s.Namespace != "" && len(s.Namespaces) > 0:
		problems = append(problems, experiments.Problem{Attribute: "namespaces", Summary: "Namespaces named twice", Detail: "Write either namespace or namespaces."})
	}
	if strings.ContainsAny(s.Namespace, "*?[") {
		problems = append(problems, experiments.Problem{Attribute: "namespace", Summary: "A pattern for one namespace", Detail: "Patterns go into namespaces = [...]."})
	}
	for _, pattern := range s.Namespaces {
		if _, err := path.Match(pattern, ""); err != nil {
			problems = append(problems, experiments.Problem{Attribute: "namespaces", Summary: "Not a pattern", Detail: fmt.Sprintf("%q: a [ needs its ].", pattern)})
		}
	}
	attribute := "namespace"
	if s.Namespace == "" {
		attribute = "namespaces"
	}
	for _, name := range s.named() {
		if isPattern(name) {
			continue
		}
		if wrong := kube.NotANamespace(name); wrong != "" {
			problems = append(problems, experiments.Problem{Attribute: attribute, Summary: "Not the name of a namespace", Detail: wrong})
			continue
		}
		// The plan would refuse it too, after asking for rights that are of no use.
		if why := s.protected(name); why != "" {
			problems = append(problems, experiments.Problem{Attribute: attribute, Summary: "A protected namespace", Detail: fmt.Sprintf("Namespace %s is not touched: %s.", name, why)})
		}
	}
	return problems
}

func isPattern(name string) bool { return strings.ContainsAny(name, "*?[") }

// named lists the namespaces as written.
func (s Scope) named() []string {
	if s.Namespace != "" {
		return []string{s.Namespace}
	}
	return s.Namespaces
}

// granted lists the namespaces in which rights are needed: empty, which is any, for a
// pattern.
func (s Scope) granted() []string {
	names := slices.Clone(s.named())
	for i, name := range names {
		if isPattern(name) {
			names[i] = ""
		}
	}
	return names
}

// rights are needed to look at the namespaces themselves.
func (s Scope) rights() []kube.Right {
	var list []kube.Right
	for _, name := range s.named() {
		if isPattern(name) {
			return []kube.Right{{Verb: "list", Resource: kube.Namespaces, Why: "find the namespaces that match"}}
		}
		// The namespace itself counts as within it, so that no cluster role is needed.
		list = append(list, kube.Right{Verb: "get", Resource: kube.Namespaces, Namespace: name, Name: name, Why: "see whether the namespace may be touched"})
	}
	return list
}

// protectedNamespaces are never touched: without them the cluster itself fails.
var protectedNamespaces = []string{"kube-system", "kube-public", "kube-node-lease"}

// namespaces finds those that may be touched. One that is named and protected is an
// error; one that a pattern matches and that is protected is passed over.
func (s Scope) namespaces(ctx context.Context, client *kube.Client) ([]corev1.Namespace, error) {
	var found []corev1.Namespace
	var problems []error
	for _, name := range s.named() {
		if isPattern(name) {
			matching, err := s.matching(ctx, client, name)
			if err != nil {
				return nil, err
			}
			found = append(found, matching...)
			continue
		}
		if why := s.protected(name); why != "" {
			problems = append(problems, fmt.Errorf("namespace %s is not touched: %s", name, why))
			continue
		}
		var namespace corev1.Namespace
		if err := client.Get(ctx, kube.Namespaces.In("", name), &namespace); err != nil {
			problems = append(problems, err)
			continue
		}
		if why := s.barred(&namespace); why != "" {
			problems = append(problems, fmt.Errorf("namespace %s is not touched: %s", name, why))
			continue
		}
		found = append(found, namespace)
	}
	slices.SortFunc(found, func(a, b corev1.Namespace) int { return strings.Compare(a.Name, b.Name) })
	return slices.CompactFunc(found, func(a, b corev1.Namespace) bool { return a.Name == b.Name }), errors.Join(problems...)
}

// stillOpen gives the cluster of hits that were planned before, when it is their turn. It
// fails where their namespaces may not be touched any more.
func (s Scope) stillOpen(ctx context.Context, hits []experiments.Hit) (*kube.Client, error) {
	client, err := s.Kubernetes.Client()
	if err != nil {
		return nil, err
	}
	spaces, err := s.namespaces(ctx, client)
	if err != nil {
		return nil, fmt.Errorf("nothing was done, as by now: %w", err)
	}
	for _, h := range hits {
		r, err := parse(h)
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(spaces, func(space corev1.Namespace) bool { return space.Name == r.Object.Namespace }) {
			return nil, fmt.Errorf("namespace %s may not be touched any more: it is protected, opted out, or being deleted by now; nothing was done", r.Object.Namespace)
		}
	}
	return client, nil
}

func (s Scope) matching(ctx context.Context, client *kube.Client, pattern string) ([]corev1.Namespace, error) {
	var found, passed []corev1.Namespace
	reset := func() { found, passed = nil, nil }
	err := kube.List(ctx, client, kube.Namespaces, "", metav1.ListOptions{}, func(page *corev1.NamespaceList) error {
		for _, namespace := range page.Items {
			if matches, err := path.Match(pattern, namespace.Name); err != nil || !matches {
				continue
			}
			if s.protected(namespace.Name) != "" || s.barred(&namespace) != "" {
				passed = append(passed, namespace)
				continue
			}
			found = append(found, namespace)
		}
		return nil
	}, func() *corev1.NamespaceList { return new(corev1.NamespaceList) }, reset)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("no namespace that may be touched matches %q (%d that match are protected)", pattern, len(passed))
	}
	return found, nil
}

// protected says why a namespace of this name is never touched; empty if it may be.
func (s Scope) protected(name string) string {
	if slices.Contains(protectedNamespaces, name) {
		return "the cluster itself lives there"
	}
	if name == ownNamespace() {
		return "the runner itself is in it"
	}
	if s.Kubernetes == nil {
		return ""
	}
	for _, pattern := range s.Kubernetes.Protect {
		if matches, err := path.Match(pattern, name); err == nil && matches {
			return fmt.Sprintf("the kubernetes block protects %q", pattern)
		}
	}
	return ""
}

// barred says why what a namespace itself bears keeps faults away.
func (s Scope) barred(namespace *corev1.Namespace) string {
	switch {
	case excluded(namespace.Annotations):
		return "it bears the annotation " + ExcludeAnnotation
	case namespace.DeletionTimestamp != nil:
		return "it is being deleted"
	}
	if s.Kubernetes.OptIn == "" {
		return ""
	}
	key, value, _ := strings.Cut(s.Kubernetes.OptIn, "=")
	if namespace.Labels[key] != value {
		return fmt.Sprintf("it does not bear the label %s, which the kubernetes block asks for", s.Kubernetes.OptIn)
	}
	return ""
}

// excluded tells whether an object opted out.
func excluded(annotations map[string]string) bool {
	value, there := annotations[ExcludeAnnotation]
	return there && value != "false"
}

// accountDir is where Kubernetes shows a pod its service account.
const accountDir = "/var/run/secrets/kubernetes.io/serviceaccount"

// ownNamespace is that of the pod that the runner is in; empty outside a cluster.
func ownNamespace() string {
	text, err := os.ReadFile(path.Join(accountDir, "namespace"))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}
