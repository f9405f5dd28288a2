package kubernetes

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"pgregory.net/rapid"
)

// selectors draws selectors over a few keys and values, so that they often meet.
func selectors() *rapid.Generator[string] {
	key := rapid.SampledFrom([]string{"app", "tier", "example.com/zone"})
	value := rapid.SampledFrom([]string{"a", "b", "c", "''"})
	term := rapid.Custom(func(t *rapid.T) string {
		k := key.Draw(t, "key")
		values := strings.Join(rapid.SliceOfN(value, 1, 3).Draw(t, "values"), ",")
		values = strings.ReplaceAll(values, "''", "")
		one := strings.Split(values, ",")[0]
		return rapid.SampledFrom([]string{
			k, "!" + k, k + "=" + one, k + "==" + one, k + "!=" + one, k + " in (" + values + ")", k + " notin (" + values + ")",
		}).Draw(t, "term")
	})
	return rapid.Custom(func(t *rapid.T) string { return strings.Join(rapid.SliceOfN(term, 1, 3).Draw(t, "terms"), ",") })
}

func labelSets() *rapid.Generator[labels.Set] {
	return rapid.Custom(func(t *rapid.T) labels.Set {
		return rapid.MapOfN(rapid.SampledFrom([]string{"app", "tier", "example.com/zone", "other"}), rapid.SampledFrom([]string{"", "a", "b", "c", "d"}), 0, 4).Draw(t, "labels")
	})
}

func matches(t *rapid.T, selector metav1.LabelSelector, set labels.Set) bool {
	s, err := metav1.LabelSelectorAsSelector(&selector)
	if err != nil {
		t.Fatalf("%v: %v", selector, err)
	}
	return s.Matches(set)
}

// What a selector matches and what the policy lets through are everything, and no pod
// is both.
func TestWhoIsCutOffAndWhoMayPassAreEveryone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := selectors().Draw(t, "selector")
		set := labelSets().Draw(t, "pod")
		meant, err := labels.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		written, err := policySelector(text)
		if err != nil {
			t.Fatal(err)
		}
		if matches(t, written, set) != meant.Matches(set) {
			t.Fatalf("%q as a policy's selector is another one for %v", text, set)
		}
		allowed, err := others(text)
		if err != nil {
			t.Fatal(err)
		}
		passes := false
		for _, selector := range allowed {
			passes = passes || matches(t, selector, set)
		}
		if passes == meant.Matches(set) {
			t.Fatalf("%q matches %v: %v; it may pass: %v", text, set, meant.Matches(set), passes)
		}
	})
}

func TestASelectorThatNoPolicyCanSayIsRefused(t *testing.T) {
	for _, text := range []string{"age>5", "age<5", "app in (", "=a"} {
		if _, err := policySelector(text); err == nil {
			t.Errorf("%q was taken as a selector", text)
		}
		if _, err := others(text); err == nil {
			t.Errorf("%q was turned round", text)
		}
	}
}

func TestANameThatNoNamespaceCanHaveIsRefusedWithoutACluster(t *testing.T) {
	for _, it := range []struct {
		scope Scope
		want  string
	}{
		{Scope{Namespace: "../shop"}, `namespace: No namespace can be called "../shop": a lowercase`},
		{Scope{Namespaces: []string{"shop", ""}}, `namespaces: No namespace can be called "": a lowercase`},
		{Scope{Namespaces: []string{"shop", "Stock"}}, `namespaces: No namespace can be called "Stock": a lowercase`},
		{Scope{Namespaces: []string{"shop", "Stock-*"}}, ""},
	} {
		var got string
		for _, problem := range it.scope.validate() {
			got += problem.Attribute + ": " + problem.Detail
		}
		if !strings.HasPrefix(got, it.want) || it.want == "" && got != "" {
			t.Errorf("%v: %q, want %q", it.scope, got, it.want)
		}
	}
}
