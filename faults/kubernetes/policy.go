package kubernetes

import (
	"slices"

	"github.com/gameday-sh/gameday/internal/kube"
)

// DefaultOptIn is the label with which a namespace opts in, where a connection names
// no other.
const DefaultOptIn = "gameday.sh/allow=true"

// Policy is the admission policy that holds a runner to namespaces which bear a label.
// Nodes tells that it may change nodes too.
func Policy(optIn string, nodes bool) *kube.Policy {
	return &kube.Policy{
		OptIn: optIn, Protect: slices.Clone(protectedNamespaces), Nodes: nodes,
		NodeLeases: leaseNamespace, NodeLeasePrefix: clusterLease(kube.Nodes.Kind, ""), Label: RunLabel, Annotation: HitAnnotation,
	}
}
