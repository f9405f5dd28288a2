package probes

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/api/validate/content"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/kube"
)

// Kubernetes asks the API server about a workload, pods or any object: one read of an
// object, or one list in pages, for each measurement.
//
//	measure     value                                    good when
//	ready       ready replicas of the workload, or       all that are wanted are ready, and
//	            ready pods of the selector               one at least; or at_least of them
//	rollout     replicas that are updated and ready      generation observed, and updated =
//	                                                     ready = wanted > 0
//	restarts    container restarts since the first       none since the measurement before,
//	            measurement                              and nothing waits to be restarted
//	json_path   the number there                         it is there, and json_equals fits
//
// What is not there is a bad event: the API server has answered, and the answer is that
// nothing is ready. What could not be asked (no rights, no answer, an answer that is none)
// has a condition and no value, and is never healthy.
type Kubernetes struct {
	Kubernetes *kube.Kubernetes `hcl:"kubernetes,optional" doc:"The kubernetes connection; left out, the only one there is."`
	Namespace  string           `hcl:"namespace,optional" doc:"Namespace to look in." example:"shop"`
	Workload   string           `hcl:"workload,optional" doc:"The workload: deployment, statefulset, daemonset or replicaset, and its name. Its own status is read, as its controller last counted." example:"deployment/checkout"`
	Selector   string           `hcl:"selector,optional" doc:"Label selector of pods, as kubectl takes it. The pods themselves are counted; those that are ending or have ended are not." example:"app=checkout"`
	Object     string           `hcl:"object,optional" doc:"Any object but a secret, for json_path: a usual kind and its name, or in full resource.version.group/name. Of a kind in full, namespace left out means one that lives in no namespace." example:"configmap/settings"`
	Reads      string           `hcl:"measure,optional" default:"ready" enum:"ready|rollout|restarts" doc:"What is read of a workload or of pods. ready: how many are; good when all that are wanted are, and one at least. rollout (workload): how many are updated and ready; good when the rollout is complete. restarts: of containers since the first measurement; good when there was none since the one before."`
	AtLeast    *int             `hcl:"at_least,optional" doc:"With ready: good when at least so many are, however many are wanted." example:"2"`
	JSONPath   string           `hcl:"json_path,optional" doc:"JSONPath that must name one value in the object; a number there, or a text that is one, is the probe's value." example:"$.data.replicas"`
	JSONEquals string           `hcl:"json_equals,optional" doc:"What the value at json_path must be; numbers are compared by value." example:"open"`
	ValueUnit  string           `hcl:"unit,optional" doc:"Unit of the value at json_path, for people." example:"replicas"`

	ready lazy[kubernetesReady]

	mu sync.Mutex
	// selector is that of the workload whose restarts are counted; read once, as it
	// cannot change as long as the workload lives.
	selector labels.Selector
	counted  restarts
}

// kubernetesReady is what the probe works out once.
type kubernetesReady struct {
	ref    kube.Ref
	picker *picker
}

// workloadKinds are the sorts of workloads with replicas.
var workloadKinds = map[string]kube.Resource{
	"deployment": kube.Deployments, "statefulset": kube.StatefulSets, "daemonset": kube.DaemonSets, "replicaset": kube.ReplicaSets,
}

// objectKinds are those that need not be written in full.
var objectKinds = []kube.Resource{
	kube.Pods, kube.Nodes, kube.Namespaces, kube.ResourceQuotas, kube.Deployments, kube.StatefulSets, kube.ReplicaSets,
	kube.DaemonSets, kube.Jobs, kube.NetworkPolicies, kube.DisruptionBudget, kube.Leases,
	{Version: "v1", Name: "configmaps", Kind: "configmap"},
	{Version: "v1", Name: "services", Kind: "service"},
	{Version: "v1", Name: "endpoints", Kind: "endpoints"},
	{Version: "v1", Name: "serviceaccounts", Kind: "serviceaccount"},
	{Version: "v1", Name: "persistentvolumeclaims", Kind: "persistentvolumeclaim"},
	{Version: "v1", Name: "persistentvolumes", Kind: "persistentvolume", Cluster: true},
	{Group: "batch", Version: "v1", Name: "cronjobs", Kind: "cronjob"},
	{Group: "networking.k8s.io", Version: "v1", Name: "ingresses", Kind: "ingress"},
	{Group: "discovery.k8s.io", Version: "v1", Name: "endpointslices", Kind: "endpointslice"},
	{Group: "autoscaling", Version: "v2", Name: "horizontalpodautoscalers", Kind: "horizontalpodautoscaler"},
}

// Validate implements experiments.Validator.
func (p *Kubernetes) Validate() []experiments.Problem {
	var list []experiments.Problem
	add := func(attribute, summary, detail string) {
		list = append(list, experiments.Problem{Attribute: attribute, Summary: summary, Detail: detail})
	}
	var given []string
	for name, value := range map[string]string{"workload": p.Workload, "selector": p.Selector, "object": p.Object} {
		if value != "" {
			given = append(given, name)
		}
	}
	slices.Sort(given)
	switch len(given) {
	case 0:
		add("", "Nothing to look at", "Write workload = \"deployment/checkout\", selector = \"app=checkout\", or object = \"configmap/settings\" with a json_path.")
	case 1:
	default:
		add(given[1], "Several things to look at", "A probe reads one: keep one of "+strings.Join(given, " and ")+".")
	}
	if p.Workload != "" {
		if _, _, err := parseWorkload(p.Workload); err != nil {
			add("workload", "Not a workload with replicas", err.Error()+".")
		}
	}
	if _, err := labels.Parse(p.Selector); err != nil {
		add("selector", "Not a label selector", err.Error()+".")
	}
	if p.Object != "" {
		if _, err := parseObject(p.Object, p.Namespace); err != nil {
			add("object", "Not an object", err.Error()+".")
		}
	}
	if p.Namespace == "" && (p.Workload != "" || p.Selector != "") {
		add("", "No namespace", "Write the namespace to look in: namespace = \"shop\".")
	}
	if wrong := kube.NotANamespace(p.Namespace); p.Namespace != "" && wrong != "" {
		add("namespace", "Not the name of a namespace", wrong)
	}
	return append(list, p.reading()...)
}

// reading checks what is read against what it is read of.
func (p *Kubernetes) reading() []experiments.Problem {
	var list []experiments.Problem
	add := func(attribute, summary, detail string) {
		list = append(list, experiments.Problem{Attribute: attribute, Summary: summary, Detail: detail})
	}
	if p.JSONPath != "" {
		if _, err := newPicker(p.JSONPath); err != nil {
			add("json_path", "Unusable JSONPath", err.Error())
		}
	}
	switch {
	case p.Object != "" && p.JSONPath == "":
		add("object", "No JSONPath", "Say what to read of the object: json_path = \"$.data.replicas\".")
	case p.Object == "" && p.JSONPath != "":
		add("json_path", "No object for the JSONPath", "A json_path is read of an object: write object = \"deployment/checkout\".")
	case p.JSONEquals != "" && p.JSONPath == "":
		add("json_equals", "No value to compare", "json_equals is compared with the value at json_path; set that too.")
	case p.Object != "" && p.Reads != "" && p.Reads != "ready":
		add("measure", "Two things to read", "Of an object its json_path is read; leave measure out.")
	case p.Selector != "" && p.Reads == "rollout":
		add("measure", "Pods have no rollout", "A rollout is a workload's: write workload = \"deployment/checkout\" in place of the selector.")
	case p.Reads == "rollout" && strings.HasPrefix(strings.ToLower(p.Workload), "replicaset/"):
		add("measure", "A ReplicaSet has no rollout", "Name the deployment that it belongs to.")
	}
	if p.AtLeast != nil && (p.Object != "" || p.Reads == "rollout" || p.Reads == "restarts") {
		add("at_least", "Nothing to compare with", "at_least is about what is ready; for other values write a hypothesis with value_at_least.")
	}
	if p.AtLeast != nil && *p.AtLeast < 1 {
		add("at_least", "Number out of range", "Write at least 1: nothing being ready is never healthy.")
	}
	return list
}

// parseWorkload reads "deployment/checkout".
func parseWorkload(text string) (kube.Resource, string, error) {
	kind, name, found := strings.Cut(text, "/")
	resource, known := workloadKinds[strings.ToLower(kind)]
	if !found || !known || name == "" || strings.Contains(name, "/") {
		return kube.Resource{}, "", fmt.Errorf("%q is no workload: write deployment, statefulset, daemonset or replicaset, a slash and its name", text)
	}
	if wrong := validation.IsDNS1123Subdomain(name); len(wrong) > 0 {
		return kube.Resource{}, "", fmt.Errorf("no workload can have the name %q: %s", name, wrong[0])
	}
	return resource, name, nil
}

// parseObject reads "configmap/settings" and "certificates.v1.cert-manager.io/shop".
func parseObject(text, namespace string) (kube.Ref, error) {
	kind, name, found := strings.Cut(text, "/")
	kind = strings.ToLower(kind)
	if !found || kind == "" || name == "" || strings.Contains(name, "/") {
		return kube.Ref{}, fmt.Errorf("%q is no object: write its kind, a slash and its name, such as \"configmap/settings\"", text)
	}
	if wrong := content.IsPathSegmentName(name); len(wrong) > 0 {
		return kube.Ref{}, fmt.Errorf("no object can have the name %q: it %s", name, wrong[0])
	}
	parts := strings.SplitN(kind, ".", 3)
	if slices.Contains([]string{"secret", "secrets"}, parts[0]) && (len(parts) < 3 || parts[2] == "") {
		return kube.Ref{}, errors.New("a secret is not read: its values would be in samples and reports")
	}
	if len(parts) == 1 {
		for _, resource := range objectKinds {
			if kind != resource.Name && kind != strings.ReplaceAll(resource.Kind, " ", "") && kind != strings.TrimSuffix(resource.Name, "s") {
				continue
			}
			if !resource.Cluster && namespace == "" {
				return kube.Ref{}, fmt.Errorf("a %s lives in a namespace: write namespace = \"shop\" too", resource.Kind)
			}
			if resource.Cluster {
				namespace = ""
			}
			return resource.In(namespace, name), nil
		}
	}
	if len(parts) < 2 || parts[1] == "" {
		return kube.Ref{}, fmt.Errorf("the kind %q is none of the usual ones: write it in full, resource.version.group, such as \"certificates.v1.cert-manager.io/%s\" (or \"resource.v1/%s\" for the core group)", kind, name, name)
	}
	resource := kube.Resource{Version: parts[1], Name: parts[0], Kind: parts[0], Cluster: namespace == ""}
	if len(parts) == 3 {
		resource.Group = parts[2]
	}
	return resource.In(namespace, name), nil
}

// Unit of the value.
func (p *Kubernetes) Unit() string {
	switch {
	case p.Object != "":
		return p.ValueUnit
	case p.Reads == "restarts":
		return "restarts"
	case p.Selector != "":
		return "pods"
	}
	return "replicas"
}

// Cluster is where it looks.
func (p *Kubernetes) Cluster() *kube.Kubernetes { return p.Kubernetes }

// Rights lists what the probe must be allowed to do.
func (p *Kubernetes) Rights() []kube.Right {
	ref, err := p.ref()
	if err != nil {
		return nil
	}
	why := "measure probe " + p.what()
	var list []kube.Right
	if ref.Name != "" {
		list = append(list, kube.Right{Verb: "get", Resource: ref.Resource, Namespace: ref.Namespace, Name: ref.Name, Why: why})
	}
	if p.Selector != "" || p.Reads == "restarts" && p.Object == "" {
		list = append(list, kube.Right{Verb: "list", Resource: kube.Pods, Namespace: p.Namespace, Why: why})
	}
	return list
}

// what names to a person what is looked at.
func (p *Kubernetes) what() string {
	switch {
	case p.Workload != "":
		return p.Workload
	case p.Object != "":
		return p.Object
	}
	return "pods with " + p.Selector
}

// Check implements [experiments.Checker].
func (p *Kubernetes) Check(ctx context.Context) error {
	client, err := p.Kubernetes.Client()
	if err != nil {
		return err
	}
	return client.Allowed(ctx, p.Rights())
}

// ref is the object that is read; a list of pods has no name.
func (p *Kubernetes) ref() (kube.Ref, error) {
	switch {
	case p.Workload != "":
		resource, name, err := parseWorkload(p.Workload)
		return resource.In(p.Namespace, name), err
	case p.Object != "":
		return parseObject(p.Object, p.Namespace)
	}
	return kube.Pods.In(p.Namespace, ""), nil
}

func (p *Kubernetes) prepare() (*kubernetesReady, error) {
	ref, err := p.ref()
	if err != nil {
		return nil, err
	}
	ready := &kubernetesReady{ref: ref}
	if p.JSONPath != "" {
		ready.picker, err = newPicker(p.JSONPath)
	}
	return ready, err
}
