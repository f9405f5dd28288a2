package kube

import (
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

func TestWhatIsGrantedOfAllIsNotGrantedAgainOfOne(t *testing.T) {
	need := func(verb string, r Resource, namespace, name string) Need {
		return Need{Right: Right{Verb: verb, Resource: r, Namespace: namespace, Name: name, Why: "see\nit"}, By: "fault x (a.hcl:1)"}
	}
	optional := func(n Need) Need { n.Optional = true; return n }
	roles := &Roles{Account: "a", AccountNamespace: "b", Name: "c", Header: []string{"top", ""}, Needs: []Need{
		need("get", Pods, "shop", ""), need("get", Pods, "shop", "one"), // of all, and of one
		need("get", Nodes, "", "n"), need("get", Nodes, "", ""),
		need("list", Pods, "", ""), need("list", Pods, "shop", ""), // everywhere, and there
		need("get", Leases, "", "l"), need("get", Leases, "shop", "l"),
		need("get", Jobs, "other", "j"),
		optional(need("watch", Pods, "shop", "")), optional(need("get", Pods, "shop", "")), // the second is needed anyway
	}}
	var text strings.Builder
	if err := roles.WriteYAML(&text); err != nil {
		t.Fatal(err)
	}
	type document struct {
		Kind     string
		Metadata struct{ Name, Namespace string }
		Rules    []struct{ APIGroups, Resources, ResourceNames, Verbs []string }
	}
	var got []string
	for _, part := range strings.Split(text.String(), "\n---\n") {
		var d document
		if err := yaml.Unmarshal([]byte(part), &d); err != nil {
			t.Fatalf("%v in:\n%s", err, part)
		}
		for _, r := range d.Rules {
			got = append(got, strings.Join([]string{d.Kind, d.Metadata.Namespace, strings.Join(r.Verbs, "+"), strings.Join(r.Resources, "+"), strings.Join(r.ResourceNames, "+")}, " "))
		}
	}
	want := []string{"ClusterRole  get nodes ", "ClusterRole  list pods ", "ClusterRole  get leases l", "Role other get jobs j", "Role shop get pods ", "Role shop watch pods "}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("granted\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if strings.Count(text.String(), "# optional, to see it: fault x (a.hcl:1)\n") != 1 || !strings.Contains(text.String(), "# to see it: fault x (a.hcl:1)\n") || strings.Contains(text.String(), "# \n") {
		t.Errorf("comments:\n%s", text.String())
	}
}

func TestNamesThatKubernetesWouldNotTakeAreRefused(t *testing.T) {
	for _, bad := range []string{"", "Upper", "a b", "x\ny: z", strings.Repeat("x", 64)} {
		if (&Roles{Account: bad, AccountNamespace: "b", Name: "c"}).Check() == nil {
			t.Errorf("%q is taken for a name", bad)
		}
	}
	if err := (&Roles{Account: "a", AccountNamespace: "b", Name: "c"}).Check(); err != nil {
		t.Error(err)
	}
}

func TestTextsAreSafeInAPolicy(t *testing.T) {
	if got := yamlText(`x == '` + celText(`a'b\`) + `'`); got != `"x == 'a\\'b\\\\'"` {
		t.Error(got)
	}
}
