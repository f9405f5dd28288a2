package main

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/gameday-sh/gameday/internal/kube"
)

// everyKind has all kinds that a simulated node can bear: on it no command can be run
// in a container. No two faults meet in one workload: a pod that a scale or a rollout
// removes is no longer there to be failed or evicted.
const everyKind = `
variable "kubeconfig" {}

kubernetes { kubeconfig = var.kubeconfig }

probe "http" "front" {
  url   = "%FRONT%"
  every = "100ms"
}
scenario "every-kind" {
  seed = 1
  hypothesis "the front door answers" {
    probe = probe.front
    hold  = "0s"
  }
  fault "pod_kill" "kill" {
    namespace = "%NS%"
    owner     = "deployment/shop"
  }
  fault "pod_evict" "evict" {
    namespace = "%NS%"
    selector  = "app=stock"
    at        = "300ms"
  }
  fault "pod_failure" "fail" {
    namespace = "%NS%"
    name      = "carts-*"
    min_ready = 0
    duration  = "300ms"
  }
  fault "deployment_scale" "scale" {
    namespace = "%NS%"
    workload  = "deployment/queue"
    replicas  = 1
    duration  = "300ms"
  }
  fault "rollout_restart" "restart" {
    namespace = "%NS%"
    workload  = "deployment/till"
    at        = "600ms"
  }
  fault "node_cordon" "cordon" {
    node     = "%NODE1%"
    duration = "300ms"
  }
  fault "node_taint" "taint" {
    node     = "%NODE2%"
    duration = "300ms"
  }
  fault "node_drain" "drain" {
    node     = "%NODE3%"
    duration = "300ms"
  }
  fault "network_partition" "cut" {
    namespace = "%NS%"
    selector  = "app=shop"
    duration  = "300ms"
  }
  fault "resource_quota" "starve" {
    namespaces = ["%NS%-empt?"]
    duration   = "300ms"
  }
}
`

// document is a part of what rbac prints.
type document map[string]any

func (d document) is(kind string) bool { return d["kind"] == kind }

func manifests(t *testing.T, text string) []document {
	t.Helper()
	var list []document
	for _, part := range strings.Split(text, "\n---\n") {
		var d document
		if err := yaml.UnmarshalStrict([]byte(part), &d); err != nil {
			t.Fatalf("%v in:\n%s", err, part)
		}
		list = append(list, d)
	}
	return list
}

func render(t *testing.T, list ...document) string {
	t.Helper()
	var parts []string
	for _, d := range list {
		text, err := yaml.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, string(text))
	}
	return strings.Join(parts, "\n---\n")
}

// printed runs rbac, which must need no cluster.
func printed(t *testing.T, args ...string) string {
	t.Helper()
	p := gameday(t, t.TempDir(), append([]string{"rbac", "--var", "kubeconfig=/nowhere"}, args...)...)
	p.ends(time.Minute, 0)
	return p.said.String()
}

// every verb of every rule of every role, one at a time.
func without(t *testing.T, list []document, visit func(missing string, less []document, right kube.Right)) {
	t.Helper()
	for i, d := range list {
		if !d.is("Role") && !d.is("ClusterRole") {
			continue
		}
		namespace, _ := d["metadata"].(map[string]any)["namespace"].(string)
		for r, rule := range d["rules"].([]any) {
			rule := rule.(map[string]any)
			for v, verb := range rule["verbs"].([]any) {
				less := manifests(t, render(t, list...)) // a deep copy
				verbs := less[i]["rules"].([]any)[r].(map[string]any)
				verbs["verbs"] = slices.Delete(slices.Clone(verbs["verbs"].([]any)), v, v+1)
				if len(verbs["verbs"].([]any)) == 0 {
					less[i]["rules"] = slices.Delete(less[i]["rules"].([]any), r, r+1)
				}
				resource, sub, _ := strings.Cut(rule["resources"].([]any)[0].(string), "/")
				right := kube.Right{Verb: verb.(string), Sub: sub, Namespace: namespace, Resource: kube.Resource{Group: rule["apiGroups"].([]any)[0].(string), Version: "v1", Name: resource}}
				if names, named := rule["resourceNames"].([]any); named {
					right.Name = names[0].(string)
				}
				visit(fmt.Sprintf("%s %s", right, right.Name), less, right)
			}
		}
	}
}

func TestThePrintedRolesAreEnoughAndNotOneRightIsTooMany(t *testing.T) {
	t.Parallel()
	w := newClusterWorld(t)
	nodes := []string{w.node(), w.node(), w.node()}
	startBed(t).NamedNamespace(t, w.namespace+"-empty")
	for _, name := range []string{"shop", "stock", "carts", "queue", "till"} {
		w.deploy(name, 3)
	}
	scenario := w.scenario(everyKind, "%NODE1%", nodes[0], "%NODE2%", nodes[1], "%NODE3%", nodes[2])
	roles := printed(t, "--service-account", "runner", "--namespace", w.namespace, "--name", w.namespace, scenario)
	for _, want := range []string{"# Rights in EVERY namespace are needed by: fault drain (cluster.hcl:", "fault starve (cluster.hcl:", "# to kill the pod: fault kill (cluster.hcl:"} {
		if !strings.Contains(roles, want) {
			t.Errorf("it does not say %q:\n%s", want, roles)
		}
	}
	list := manifests(t, roles)
	w.apply(t, roles)
	kubeconfig := w.token(t, w.namespace, "runner")
	client := dial(t, kubeconfig)
	home := filepath.Join(t.TempDir(), "state")
	run := func() *process {
		return gameday(t, home, "run", "--plain", "--var", "kubeconfig="+kubeconfig, scenario)
	}
	run().ends(2*time.Minute, 0, "HELD")
	w.ready("shop", 3)
	w.ready("stock", 3)
	before := w.snapshot(nodes...)

	count := 0
	without(t, list, func(missing string, less []document, right kube.Right) {
		count++
		w.apply(t, render(t, less...))
		poll(t, text("the cluster to know that a right is gone: "+missing), func() bool { return client.Allowed(t.Context(), []kube.Right{right}) != nil })
		p := run()
		p.ends(time.Minute, 5, "these rights are missing", right.Verb+" "+right.Resource.Name)
		if strings.Contains(p.said.String(), "watching the healthy system") {
			t.Fatalf("%s is missing, and the baseline began:\n%s", missing, p.said.String())
		}
	})
	if count < 40 {
		t.Errorf("only %d rights were taken away", count)
	}
	t.Logf("%d rights", count)
	if after := w.snapshot(nodes...); after != before {
		t.Errorf("the world was\n%s\nand is\n%s", before, after)
	}
	w.apply(t, roles)
	poll(t, text("the rights to be back"), func() bool {
		return gameday(t, home, "plan", "--var", "kubeconfig="+kubeconfig, scenario).wait(time.Minute) == 0
	})
}

// With the rights that can be left out, a hit is followed by watches and Kubernetes' events
// are told; without them it is followed all the same.
func TestOptionalRightsAreMarkedAndGoodFor(t *testing.T) {
	t.Parallel()
	w := newClusterWorld(t)
	w.deploy("shop", 3)
	scenario := w.scenario(killsMany, "all       = true", "count = 1")
	account := []string{"--service-account", "runner", "--namespace", w.namespace, "--name", w.namespace}
	least, all := printed(t, append(account, scenario)...), printed(t, append(account, "--optional", scenario)...)
	if strings.Contains(least, "optional") || strings.Contains(least, `"watch"`) {
		t.Errorf("the least roles hold more than is needed:\n%s", least)
	}
	for _, want := range []string{"# optional, to follow what becomes of a hit", "# optional, to tell what Kubernetes says of a hit: fault kill (cluster.hcl:"} {
		if !strings.Contains(all, want) {
			t.Errorf("it does not say %q:\n%s", want, all)
		}
	}
	w.apply(t, least)
	kubeconfig := w.token(t, w.namespace, "runner")
	client := dial(t, kubeconfig)
	kill := []kube.Right{{Verb: "delete", Resource: kube.Pods, Namespace: w.namespace}}
	watch := []kube.Right{{Verb: "watch", Resource: kube.Events, Namespace: w.namespace}, {Verb: "watch", Resource: kube.Pods, Namespace: w.namespace}}
	run := func() string {
		p := gameday(t, t.TempDir(), "run", "--plain", "--var", "kubeconfig="+kubeconfig, scenario)
		p.ends(2*time.Minute, 0, "HELD", "fault kill: pod .* replaces", "fault kill: pod .* is ready")
		w.ready("shop", 3)
		return p.said.String()
	}
	poll(t, text("the least rights"), func() bool { return client.Allowed(t.Context(), kill) == nil })
	if said := run(); strings.Contains(said, "Kubernetes event of") {
		t.Errorf("it reads events without the right to:\n%s", said)
	}
	w.apply(t, all)
	poll(t, text("the optional rights"), func() bool { return client.Allowed(t.Context(), watch) == nil })
	if said := run(); !strings.Contains(said, "Kubernetes event of") {
		t.Errorf("it tells no event with every right to:\n%s", said)
	}
}

const killsAPod = `
variable "kubeconfig" {}
kubernetes {
  kubeconfig = var.kubeconfig
}
probe "http" "front" {
  url   = "%FRONT%"
  every = "100ms"
}
scenario "kill" {
  seed = 1
  hypothesis "the front door answers" {
    probe = probe.front
    hold  = "0s"
  }
  fault "pod_kill" "kill" {
    namespace = "%NS%"
    selector  = "app=shop"
  }
  fault "deployment_scale" "scale" {
    namespace = "%NS%"
    workload  = "deployment/shop"
    replicas  = 5
    duration  = "%DURATION%"
  }
  fault "node_cordon" "cordon" {
    node     = "%NODE1%"
    duration = "200ms"
  }
}
`

func TestTheAdmissionPolicyHoldsEvenAnAdministratorToNamespacesThatOptedIn(t *testing.T) {
	t.Parallel()
	w := newClusterWorld(t)
	node := w.node()
	w.deploy("shop", 3)
	scenario := w.scenario(killsAPod, "%NODE1%", node, "%DURATION%", "200ms")
	account := []string{"--service-account", "runner", "--namespace", w.namespace, "--name", w.namespace, "--admission-policy"}
	list := manifests(t, printed(t, append(account, scenario)...))
	policy := slices.DeleteFunc(slices.Clone(list), func(d document) bool {
		return !d.is("ServiceAccount") && !d.is("ValidatingAdmissionPolicy") && !d.is("ValidatingAdmissionPolicyBinding")
	})
	if len(policy) != 3 {
		t.Fatalf("%d documents of account and policy, want 3", len(policy))
	}
	w.apply(t, render(t, append(policy, document{
		"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": map[string]any{"name": w.namespace + "-admin"},
		"roleRef":  map[string]any{"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
		"subjects": []any{map[string]any{"kind": "ServiceAccount", "name": "runner", "namespace": w.namespace}},
	})...))
	token := w.token(t, w.namespace, "runner")
	client := dial(t, token)
	// The policy is at work once it keeps the account from what it has every right to.
	probe := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "probe", Namespace: w.namespace}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "x", Image: "x"}}}}
	poll(t, text("the policy to be at work"), func() bool {
		err := client.Create(t.Context(), kube.Pods.In(w.namespace, "probe"), probe, nil)
		if err == nil {
			if err := w.client.Delete(t.Context(), kube.Pods.In(w.namespace, "probe"), metav1.DeleteOptions{GracePeriodSeconds: new(int64)}); err != nil {
				t.Fatal(err)
			}
		}
		return err != nil && strings.Contains(err.Error(), "does not bear the label gameday.sh/allow=true")
	})
	before, pods := w.snapshot(node), w.pods()
	p := gameday(t, filepath.Join(t.TempDir(), "state"), "run", "--plain", "--var", "kubeconfig="+token, scenario)
	p.ends(time.Minute, 5, "does not bear the label gameday.sh/allow=true")
	if now := w.snapshot(node); now != before || !maps.Equal(w.pods(), pods) || strings.Contains(p.said.String(), "watching the healthy system") {
		t.Fatalf("something was touched: was\n%s\nis\n%s\n%s", before, now, p.said.String())
	}

	// A namespace that opted in is broken and mended.
	label := func(value any) {
		if err := w.client.Merge(t.Context(), kube.Namespaces.In("", w.namespace), map[string]any{"metadata": map[string]any{"labels": map[string]any{"gameday.sh/allow": value}}}, nil); err != nil {
			t.Fatal(err)
		}
	}
	label("true")
	poll(t, text("the policy to see the label"), func() bool {
		return gameday(t, filepath.Join(t.TempDir(), "state"), "run", "--plain", "--var", "kubeconfig="+token, scenario).wait(time.Minute) == 0
	})
	w.ready("shop", 3)
	if maps.Equal(w.pods(), pods) {
		t.Error("no pod was killed")
	}

	// One that opts out while a fault is on is mended all the same.
	long := gameday(t, filepath.Join(t.TempDir(), "state"), "run", "--plain", "--var", "kubeconfig="+token, w.scenario(killsAPod, "%NODE1%", node, "%DURATION%", "10m"))
	long.says("kill injected")
	long.says("scale injected")
	label(nil)
	poll(t, text("the policy to see that the label is gone"), func() bool {
		return client.Create(t.Context(), kube.Pods.In(w.namespace, "probe"), probe, nil) != nil
	})
	long.signal(15)
	long.ends(time.Minute, 3)
	w.ready("shop", 3)
	if left := w.marks(node); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// pods gives the UIDs of the pods of this world.
func (w *clusterWorld) pods() map[string]bool {
	w.t.Helper()
	found, err := w.client.Metadata(w.t.Context(), kube.Pods, w.namespace, "", 10_000)
	if err != nil {
		w.t.Fatal(err)
	}
	uids := map[string]bool{}
	for _, meta := range found {
		uids[string(meta.UID)] = true
	}
	return uids
}
