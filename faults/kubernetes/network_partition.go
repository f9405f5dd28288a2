package kubernetes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/kube"
)

// NetworkPartition cuts pods off by a NetworkPolicy. Whether a policy has an effect
// is up to the cluster's network plugin, and no API tells: probes must show it.
type NetworkPartition struct {
	Claims
	Scope
	Selector  string        `hcl:"selector,optional" doc:"Label selector of the pods that are cut off; left out, all of the namespace." example:"app=checkout"`
	Direction string        `hcl:"direction,optional" default:"both" enum:"ingress|egress|both" doc:"What is cut: what reaches the pods, what they send, or both. Connections that are open already may live on."`
	Towards   string        `hcl:"towards,optional" doc:"Label selector of the pods, in any namespace, that they are cut off from; other pods still reach them, what is outside of the cluster does not. Left out: from everybody." example:"app=payments"`
	Networks  []string      `hcl:"networks,optional" doc:"Networks that they are cut off from, as CIDR; everything else still reaches them." example:"[\"10.20.0.0/16\"]"`
	DNS       bool          `hcl:"dns,optional" default:"true" doc:"Leaves questions to name servers (port 53) alone."`
	Fuse      time.Duration `hcl:"fuse,optional" default:"30s" doc:"How long the partition stays when the runner and its machine are gone."`
}

// Validate implements [experiments.Validator].
func (f *NetworkPartition) Validate() []experiments.Problem {
	problems := append(f.Scope.validate(), validFuse(f.Fuse)...)
	if _, err := policySelector(f.Selector); err != nil {
		problems = append(problems, experiments.Problem{Attribute: "selector", Summary: "Not a label selector", Detail: err.Error() + "."})
	}
	if _, err := others(f.Towards); err != nil {
		problems = append(problems, experiments.Problem{Attribute: "towards", Summary: "Not a label selector", Detail: err.Error() + "."})
	}
	if f.Towards != "" && len(f.Networks) > 0 {
		problems = append(problems, experiments.Problem{Attribute: "networks", Summary: "Pods and networks", Detail: "A policy says who may pass, so leaving out pods and leaving out networks do not go together: write two faults."})
	}
	for _, network := range f.Networks {
		if prefix, err := netip.ParsePrefix(network); err != nil || prefix.Masked() != prefix {
			problems = append(problems, experiments.Problem{Attribute: "networks", Summary: "Not a network", Detail: fmt.Sprintf("%q: write it like \"10.20.0.0/16\".", network)})
		}
	}
	return problems
}

// policySelector turns kubectl's notation into a policy's.
func policySelector(text string) (metav1.LabelSelector, error) {
	var out metav1.LabelSelector
	requirements, err := labels.ParseToRequirements(text)
	if err != nil {
		return out, err
	}
	for _, r := range requirements {
		operator, err := policyOperator(r.Operator(), false)
		if err != nil {
			return out, err
		}
		out.MatchExpressions = append(out.MatchExpressions, metav1.LabelSelectorRequirement{Key: r.Key(), Operator: operator, Values: values(r)})
	}
	return out, nil
}

func values(r labels.Requirement) []string {
	list := r.Values().List()
	if len(list) == 0 {
		return nil
	}
	return list
}

// policyOperator translates an operator, or its opposite.
func policyOperator(operator selection.Operator, opposite bool) (metav1.LabelSelectorOperator, error) {
	switch operator {
	case selection.In, selection.Equals, selection.DoubleEquals:
		if opposite {
			return metav1.LabelSelectorOpNotIn, nil
		}
		return metav1.LabelSelectorOpIn, nil
	case selection.NotIn, selection.NotEquals:
		if opposite {
			return metav1.LabelSelectorOpIn, nil
		}
		return metav1.LabelSelectorOpNotIn, nil
	case selection.Exists:
		if opposite {
			return metav1.LabelSelectorOpDoesNotExist, nil
		}
		return metav1.LabelSelectorOpExists, nil
	case selection.DoesNotExist:
		if opposite {
			return metav1.LabelSelectorOpExists, nil
		}
		return metav1.LabelSelectorOpDoesNotExist, nil
	}
	return "", fmt.Errorf("a policy cannot compare numbers (%s)", operator)
}

// others are the pods that a selector does not match: those for which one of its
// requirements fails.
func others(text string) ([]metav1.LabelSelector, error) {
	requirements, err := labels.ParseToRequirements(text)
	if err != nil {
		return nil, err
	}
	var list []metav1.LabelSelector
	for _, r := range requirements {
		operator, err := policyOperator(r.Operator(), true)
		if err != nil {
			return nil, err
		}
		list = append(list, metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: r.Key(), Operator: operator, Values: values(r)}}})
	}
	return list, nil
}

// Lasts is true: the policy is deleted.
func (*NetworkPartition) Lasts() bool { return true }

// Rights lists what the fault must be allowed to do and to undo.
func (f *NetworkPartition) Rights() []kube.Right {
	list := f.Scope.creationRights(kube.NetworkPolicies, "cut pods off and end it")
	for _, namespace := range f.granted() {
		list = append(list,
			kube.Right{Verb: "list", Resource: kube.Pods, Namespace: namespace, Why: "see that there are pods to cut off"},
			kube.Right{Verb: "list", Resource: kube.NetworkPolicies, Namespace: namespace, Why: "see that no other policy lets through what this one cuts"})
		list = append(list, optOutRights(namespace)...)
	}
	return list
}

// Plan reads the namespaces, their pods and policies.
func (f *NetworkPartition) Plan(ctx context.Context, d experiments.Draw) ([]experiments.Hit, error) {
	spec, err := f.policy()
	if err != nil {
		return nil, err
	}
	who := "all pods"
	if f.Selector != "" {
		who = "pods with " + f.Selector
	}
	whom := ""
	switch {
	case f.Towards != "":
		whom = " from pods with " + f.Towards + " and from outside of the cluster"
	case len(f.Networks) > 0:
		whom = " from " + strings.Join(f.Networks, ", ")
	}
	effect := fmt.Sprintf("cut %s off%s (%s)", who, whom, f.Direction)
	hits, err := f.Scope.planCreations(ctx, d, f.Rights(), f.Fuse, spec, effect, "delete the network policy")
	if err != nil {
		return nil, err
	}
	client, err := f.Kubernetes.Client()
	if err != nil {
		return nil, err
	}
	var problems []error
	for _, hit := range hits {
		r, _, err := read(hit)
		if err == nil {
			err = f.effective(ctx, client, r.Object.Namespace)
		}
		problems = append(problems, err)
	}
	return hits, errors.Join(problems...)
}

// policy is what is created. A policy can only allow: so whom the pods are not cut
// off from is listed.
func (f *NetworkPartition) policy() (networkingv1.NetworkPolicySpec, error) {
	var spec networkingv1.NetworkPolicySpec
	var err error
	if spec.PodSelector, err = policySelector(f.Selector); err != nil {
		return spec, err
	}
	peers, err := f.peers()
	if err != nil {
		return spec, err
	}
	if f.Direction != "egress" {
		spec.PolicyTypes = append(spec.PolicyTypes, networkingv1.PolicyTypeIngress)
		if len(peers) > 0 {
			spec.Ingress = []networkingv1.NetworkPolicyIngressRule{{From: peers}}
		}
	}
	if f.Direction != "ingress" {
		spec.PolicyTypes = append(spec.PolicyTypes, networkingv1.PolicyTypeEgress)
		if len(peers) > 0 {
			spec.Egress = []networkingv1.NetworkPolicyEgressRule{{To: peers}}
		}
		if f.DNS {
			var ports []networkingv1.NetworkPolicyPort
			for _, protocol := range []corev1.Protocol{corev1.ProtocolUDP, corev1.ProtocolTCP} {
				number := intstr.FromInt32(53)
				ports = append(ports, networkingv1.NetworkPolicyPort{Protocol: &protocol, Port: &number})
			}
			spec.Egress = append(spec.Egress, networkingv1.NetworkPolicyEgressRule{Ports: ports})
		}
	}
	return spec, nil
}

func (f *NetworkPartition) peers() ([]networkingv1.NetworkPolicyPeer, error) {
	var peers []networkingv1.NetworkPolicyPeer
	if f.Towards != "" {
		allowed, err := others(f.Towards)
		if err != nil {
			return nil, err
		}
		for i := range allowed {
			peers = append(peers, networkingv1.NetworkPolicyPeer{NamespaceSelector: &metav1.LabelSelector{}, PodSelector: &allowed[i]})
		}
	}
	if len(f.Networks) == 0 {
		return peers, nil
	}
	for _, all := range []string{"0.0.0.0/0", "::/0"} {
		block := &networkingv1.IPBlock{CIDR: all}
		for _, network := range f.Networks {
			if strings.Contains(network, ":") == strings.Contains(all, ":") {
				block.Except = append(block.Except, network)
			}
		}
		peers = append(peers, networkingv1.NetworkPolicyPeer{IPBlock: block})
	}
	return peers, nil
}

// cutOff gives the labels of the pods that would be cut off. It refuses where one of them
// opted out.
func (f *NetworkPartition) cutOff(ctx context.Context, client *kube.Client, namespace string) (pods []labels.Set, err error) {
	owners := map[string]string{}
	err = kube.List(ctx, client, kube.Pods, namespace, metav1.ListOptions{LabelSelector: f.Selector}, func(page *corev1.PodList) error {
		for _, pod := range page.Items {
			if excluded(pod.Annotations) {
				return fmt.Errorf("pod %s/%s bears the annotation %s, and a policy for it would not pass it by: narrow the selector", namespace, pod.Name, ExcludeAnnotation)
			}
			pods = append(pods, pod.Labels)
			owners[controller(pod.OwnerReferences)] = pod.Name
		}
		return nil
	}, func() *corev1.PodList { return new(corev1.PodList) }, func() { pods = nil; clear(owners) })
	if err != nil {
		return nil, err
	}
	out, err := optedOut(ctx, client, namespace)
	if err != nil {
		return nil, err
	}
	for owner := range out {
		if pod := owners[owner]; pod != "" {
			return nil, fmt.Errorf("%s of pod %s/%s bears the annotation %s, and a policy would not pass it by: narrow the selector", owner, namespace, pod, ExcludeAnnotation)
		}
	}
	return pods, nil
}

// effective refuses what would have no effect: no pod to cut off, or another policy
// that lets through what this one cuts, as policies add up.
func (f *NetworkPartition) effective(ctx context.Context, client *kube.Client, namespace string) error {
	pods, err := f.cutOff(ctx, client, namespace)
	if err != nil {
		return err
	}
	if len(pods) == 0 {
		return fmt.Errorf("no pod in namespace %s matches %q: nothing would be cut off", namespace, f.Selector)
	}
	var names []string
	err = kube.List(ctx, client, kube.NetworkPolicies, namespace, metav1.ListOptions{}, func(page *networkingv1.NetworkPolicyList) error {
		for _, policy := range page.Items {
			selector, err := metav1.LabelSelectorAsSelector(&policy.Spec.PodSelector)
			if err != nil || !f.lets(&policy.Spec) {
				continue
			}
			if slices.ContainsFunc(pods, func(pod labels.Set) bool { return selector.Matches(pod) }) {
				names = append(names, policy.Name)
			}
		}
		return nil
	}, func() *networkingv1.NetworkPolicyList { return new(networkingv1.NetworkPolicyList) }, func() { names = nil })
	if err != nil {
		return err
	}
	if len(names) > 0 {
		return fmt.Errorf("network policies of namespace %s let traffic of the same pods through (%s), and policies add up: this one would not cut it; choose other pods or the other direction", namespace, strings.Join(names, ", "))
	}
	return nil
}

// lets tells whether a policy allows anything in the direction that is cut.
func (f *NetworkPartition) lets(spec *networkingv1.NetworkPolicySpec) bool {
	return f.Direction != "egress" && len(spec.Ingress) > 0 || f.Direction != "ingress" && len(spec.Egress) > 0
}

// Takes implements [experiments.Taker]. A policy takes nothing down; it fails where what is
// planned opted out meanwhile.
func (f *NetworkPartition) Takes(ctx context.Context, hits []experiments.Hit) ([][]experiments.Allowance, error) {
	client, err := f.stillOpen(ctx, hits)
	if err != nil {
		return nil, err
	}
	return takesAnew(hits, func(r record) ([]experiments.Allowance, error) {
		_, err := f.cutOff(ctx, client, r.Object.Namespace)
		return nil, err
	})
}

// Inject arms the fuse, creates the policy and reads it back.
func (*NetworkPartition) Inject(ctx context.Context, h experiments.Hit) (experiments.Proof, error) {
	proof, err := injectCreation(ctx, h, kube.NetworkPolicies, func(manifest json.RawMessage, meta metav1.ObjectMeta) (runtime.Object, error) {
		object := &networkingv1.NetworkPolicy{ObjectMeta: meta}
		return object, json.Unmarshal(manifest, &object.Spec)
	})
	if err == nil {
		proof.Seen += "; whether the network plugin enforces it, the API does not tell: probes do"
	}
	return proof, err
}

// Revert deletes the policy and its fuse.
func (*NetworkPartition) Revert(ctx context.Context, h experiments.Hit) error {
	return revertCreation(ctx, h, kube.NetworkPolicies)
}

// Check looks for the policy and its fuse.
func (*NetworkPartition) Check(ctx context.Context, h experiments.Hit) (experiments.Observation, error) {
	return checkCreation(ctx, h, kube.NetworkPolicies)
}

// Perished implements [experiments.Perishable].
func (*NetworkPartition) Perished(ctx context.Context, h experiments.Hit) (string, error) {
	return perishedCreation(ctx, h, kube.NetworkPolicies)
}

// made implements marker.
func (*NetworkPartition) made(bearer kube.Resource, r record) bool {
	return r.Creation != nil && (bearer == kube.NetworkPolicies || bearer == kube.Jobs)
}
