package kubernetes

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/kube"
)

// Nodes selects nodes.
type Nodes struct {
	Kubernetes *kube.Kubernetes `hcl:"kubernetes,optional" doc:"The kubernetes connection; left out, the only one there is."`
	Node       string           `hcl:"node,optional" doc:"Name of the node, or a pattern with * and ?." example:"worker-1"`
	Selector   string           `hcl:"selector,optional" doc:"Label selector, as kubectl takes it." example:"topology.kubernetes.io/zone=z1"`
	Share
	ControlPlane bool `hcl:"control_plane,optional" default:"false" doc:"Takes nodes of the control plane too."`
}

// controlPlaneLabel is on the nodes that the cluster itself runs on.
const controlPlaneLabel = "node-role.kubernetes.io/control-plane"

func (n Nodes) validate() []experiments.Problem {
	problems := n.Share.validate()
	if n.Node == "" && n.Selector == "" {
		problems = append(problems, experiments.Problem{Summary: "No node named", Detail: "Write node = \"worker-1\", or selector = \"pool=spot\"."})
	}
	if _, err := path.Match(n.Node, ""); err != nil {
		problems = append(problems, experiments.Problem{Attribute: "node", Summary: "Not a pattern", Detail: fmt.Sprintf("%q: a [ needs its ].", n.Node)})
	}
	if _, err := labels.Parse(n.Selector); err != nil {
		problems = append(problems, experiments.Problem{Attribute: "selector", Summary: "Not a label selector", Detail: err.Error() + "."})
	}
	return problems
}

// nodeRights are needed to find nodes, change them, and change them back.
func (n Nodes) nodeRights(why string) []kube.Right {
	name, lease := "", ""
	if n.Node != "" && !isPattern(n.Node) {
		name, lease = n.Node, clusterLease(kube.Nodes.Kind, n.Node)
	}
	list := []kube.Right{{Verb: "list", Resource: kube.Nodes, Why: why}}
	for _, verb := range []string{"get", "patch"} {
		list = append(list, kube.Right{Verb: verb, Resource: kube.Nodes, Name: name, Why: why})
	}
	return append(list, leaseRights(leaseNamespace, lease)...)
}

// Cluster is where the nodes are.
func (n Nodes) Cluster() *kube.Kubernetes { return n.Kubernetes }

// choose finds the nodes and draws among them.
func (n Nodes) choose(ctx context.Context, client *kube.Client, d experiments.Draw) ([]corev1.Node, string, error) {
	var matching []corev1.Node
	passed := 0
	err := kube.List(ctx, client, kube.Nodes, "", metav1.ListOptions{LabelSelector: n.Selector}, func(page *corev1.NodeList) error {
		for _, node := range page.Items {
			if matches, err := path.Match(n.Node, node.Name); n.Node != "" && (err != nil || !matches) {
				continue
			}
			_, control := node.Labels[controlPlaneLabel]
			if excluded(node.Annotations) || control && !n.ControlPlane {
				passed++
				continue
			}
			node.ManagedFields = nil
			matching = append(matching, node)
		}
		return nil
	}, func() *corev1.NodeList { return new(corev1.NodeList) }, func() { matching, passed = nil, 0 })
	if err != nil {
		return nil, "", err
	}
	slices.SortFunc(matching, func(a, b corev1.Node) int { return strings.Compare(a.Name, b.Name) })
	what := "nodes"
	if n.Node != "" {
		what += fmt.Sprintf(" with node %q", n.Node)
	}
	if n.Selector != "" {
		what += fmt.Sprintf(" with selector %q", n.Selector)
	}
	if passed > 0 {
		what += fmt.Sprintf(" (%d that match are of the control plane, or opted out)", passed)
	}
	count, words, err := n.Share.of(len(matching), what)
	if err != nil {
		return nil, "", err
	}
	picked, err := draw(matching, count, d, func(node corev1.Node) string { return node.Name })
	return picked, words, err
}

// planEdits plans a change to each chosen node.
func (n Nodes) planEdits(ctx context.Context, d experiments.Draw, rights []kube.Right, decide func(*kube.Client, kube.Thing) (planned, error)) ([]experiments.Hit, error) {
	client, err := n.Kubernetes.Client()
	if err != nil {
		return nil, err
	}
	if d.Round == 1 {
		if err := client.Allowed(ctx, rights); err != nil {
			return nil, err
		}
	}
	nodes, words, err := n.choose(ctx, client, d)
	if err != nil {
		return nil, err
	}
	var hits []experiments.Hit
	for _, node := range nodes {
		thing, err := client.Raw(ctx, kube.Nodes.In("", node.Name))
		if err != nil {
			return nil, err
		}
		hit, err := planEdit(client, d, kube.Nodes, thing, decide)
		if err != nil {
			return nil, fmt.Errorf("node %s: %w", node.Name, err)
		}
		hit.Effect += " (" + words + ")"
		hits = append(hits, hit)
	}
	return hits, nil
}
