package kube

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
)

// Roles describes what is printed for an account: the least roles that grant what is
// needed, and what binds them.
type Roles struct {
	// Account and AccountNamespace name the ServiceAccount, Name everything else.
	Account, AccountNamespace, Name string
	// Header is written before all, as comments.
	Header []string
	Needs  []Need
	// Policy, if set, holds the account to namespaces that opted in.
	Policy *Policy
}

// Need is a right with who needs it: "fault kill (shop.hcl:12)".
type Need struct {
	Right
	By string
	// Optional is a right that it does without.
	Optional bool
}

// Check tells what is wrong with the names.
func (r *Roles) Check() error {
	var problems []error
	for _, it := range []struct{ what, name string }{{"service account", r.Account}, {"namespace", r.AccountNamespace}, {"name", r.Name}} {
		if wrong := validation.IsDNS1123Label(it.name); len(wrong) > 0 {
			problems = append(problems, fmt.Errorf("the %s %q is no Kubernetes name: %s", it.what, it.name, wrong[0]))
		}
	}
	return errors.Join(problems...)
}

// rule is what is needed of one sort of object.
type rule struct {
	group, resource, name string
	optional              bool
	verbs                 map[string]bool
	why                   map[string]map[string]bool // reason -> who
}

// WriteYAML writes the documents.
func (r *Roles) WriteYAML(w io.Writer) error {
	out := &manifest{w: w}
	for _, line := range r.Header {
		out.line("%s", strings.TrimSuffix("# "+line, " "))
	}
	out.document("v1", "ServiceAccount", r.Account, r.AccountNamespace)
	everywhere, within := r.split()
	if len(everywhere) > 0 {
		out.role("ClusterRole", r.Name, "", everywhere)
		r.bind(out, "ClusterRole", "")
	}
	for _, namespace := range slices.Sorted(maps.Keys(within)) {
		out.role("Role", r.Name, namespace, within[namespace])
		r.bind(out, "Role", namespace)
	}
	if r.Policy != nil {
		r.Policy.write(out, r)
	}
	return out.err
}

// split sorts what is needed into that of the whole cluster and that of each
// namespace. What is granted in the whole cluster is not granted again in one.
func (r *Roles) split() (everywhere []*rule, within map[string][]*rule) {
	granted := map[string]bool{}
	key := func(n Need, namespace, name string) string {
		return strings.Join([]string{n.Resource.Group, n.Resource.Name, n.Sub, n.Verb, namespace, name}, "/")
	}
	for _, need := range r.Needs {
		if !need.Optional {
			granted[key(need, need.Namespace, need.Name)] = true
		}
	}
	within = map[string][]*rule{}
	needs := slices.Clone(r.Needs)
	slices.SortStableFunc(needs, func(a, b Need) int { return compare(a.Right, b.Right) })
	for _, need := range needs {
		if need.Optional && (granted[key(need, need.Namespace, need.Name)] || granted[key(need, need.Namespace, "")]) {
			continue // somebody needs it
		}
		if granted[key(need, need.Namespace, "")] {
			need.Name = "" // it joins what is granted of all
		}
		if need.Namespace == "" {
			everywhere = add(everywhere, need)
		} else if !granted[key(need, "", "")] && !granted[key(need, "", need.Name)] {
			within[need.Namespace] = add(within[need.Namespace], need)
		}
	}
	return everywhere, within
}

// add puts a need into the rule for its object; verbs on all objects of a sort and on
// one of a name stay apart, and so do those that can be left out.
func add(rules []*rule, need Need) []*rule {
	resource := need.Resource.Name
	if need.Sub != "" {
		resource += "/" + need.Sub
	}
	i := slices.IndexFunc(rules, func(r *rule) bool {
		return r.group == need.Resource.Group && r.resource == resource && r.name == need.Name && r.optional == need.Optional
	})
	if i < 0 {
		i = len(rules)
		rules = append(rules, &rule{group: need.Resource.Group, resource: resource, name: need.Name, optional: need.Optional, verbs: map[string]bool{}, why: map[string]map[string]bool{}})
	}
	rules[i].verbs[need.Verb] = true
	if rules[i].why[need.Why] == nil {
		rules[i].why[need.Why] = map[string]bool{}
	}
	rules[i].why[need.Why][need.By] = true
	return rules
}

func (r *Roles) bind(out *manifest, role, namespace string) {
	out.document("rbac.authorization.k8s.io/v1", role+"Binding", r.Name, namespace)
	out.line("roleRef:")
	out.line("  apiGroup: rbac.authorization.k8s.io")
	out.line("  kind: %s", role)
	out.line("  name: %s", r.Name)
	out.line("subjects:")
	out.line("  - kind: ServiceAccount")
	out.line("    name: %s", r.Account)
	out.line("    namespace: %s", r.AccountNamespace)
}

// manifest writes YAML documents.
type manifest struct {
	w    io.Writer
	some bool // a document was begun
	err  error
}

func (m *manifest) line(format string, values ...any) {
	if m.err == nil {
		_, m.err = fmt.Fprintf(m.w, format+"\n", values...)
	}
}

func (m *manifest) document(version, kind, name, namespace string) {
	if m.some {
		m.line("---")
	}
	m.some = true
	m.line("apiVersion: %s", version)
	m.line("kind: %s", kind)
	m.line("metadata:")
	m.line("  name: %s", name)
	if namespace != "" {
		m.line("  namespace: %s", namespace)
	}
}

func (m *manifest) role(kind, name, namespace string, rules []*rule) {
	m.document("rbac.authorization.k8s.io/v1", kind, name, namespace)
	m.line("rules:")
	for _, r := range rules {
		may := ""
		if r.optional {
			may = "optional, "
		}
		for _, why := range slices.Sorted(maps.Keys(r.why)) {
			m.line("  # %sto %s: %s", may, cmp.Or(comment(why), "do its work"), comment(strings.Join(slices.Sorted(maps.Keys(r.why[why])), ", ")))
		}
		m.line("  - apiGroups: [%q]", r.group)
		m.line("    resources: [%q]", r.resource)
		if r.name != "" {
			m.line("    resourceNames: [%q]", r.name)
		}
		m.line("    verbs: [%s]", quoted(slices.Sorted(maps.Keys(r.verbs))))
	}
}

// comment keeps a text on its line.
func comment(text string) string { return strings.Join(strings.Fields(text), " ") }

func quoted(list []string) string {
	words := make([]string, len(list))
	for i, word := range list {
		words[i] = fmt.Sprintf("%q", word)
	}
	return strings.Join(words, ", ")
}
