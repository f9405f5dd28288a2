package clustertest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/yaml"

	"github.com/gameday-sh/gameday/internal/kube"
)

// counter makes names that are not used twice in a cluster.
var counter atomic.Int64

func unique(prefix string) string {
	return fmt.Sprintf("%s-%x-%04d", prefix, os.Getpid(), counter.Add(1))
}

// Namespace makes a namespace that takes pods. In a cluster of the user's it goes when
// the test ends; a control plane of ours goes as a whole, and emptying hundreds of
// namespaces would keep it busy.
func (c *Cluster) Namespace(t testing.TB) string {
	t.Helper()
	name := unique("shop")
	c.NamedNamespace(t, name)
	return name
}

// NamedNamespace makes a namespace of a name.
func (c *Cluster) NamedNamespace(t testing.TB, name string) {
	t.Helper()
	if c.Plane == nil {
		t.Cleanup(func() {
			c.call(t, context.Background(), http.MethodDelete, "/api/v1/namespaces/"+name, nil, http.StatusNotFound, http.StatusConflict)
		})
	}
	c.Apply(t, "apiVersion: v1\nkind: Namespace\nmetadata: {name: "+name+"}")
	c.Await(t, "the service account of namespace "+name, func() bool {
		return c.Has(t, "/api/v1/namespaces/"+name+"/serviceaccounts/default")
	})
}

// Node makes a simulated node that only the pods of a Workload with that Node come to. It bears a taint, a label and an annotation of its own.
func (c *Cluster) Node(t testing.TB) string {
	t.Helper()
	if c.Plane == nil {
		t.Skip("needs simulated nodes, which the cluster of " + useVariable + " has not")
	}
	name := unique("node")
	t.Cleanup(func() {
		c.call(t, context.Background(), http.MethodDelete, "/api/v1/nodes/"+name, nil, http.StatusNotFound)
	})
	c.Apply(t, fmt.Sprintf(`
apiVersion: v1
kind: Node
metadata:
  name: %[1]s
  annotations: {kwok.x-k8s.io/node: fake, node.alpha.kubernetes.io/ttl: "0", somebody/elses: note}
  labels: {type: kwok, kubernetes.io/hostname: %[1]s, kubernetes.io/os: linux, own: %[1]s}
spec:
  taints: [{key: own, value: %[1]s, effect: NoSchedule}]
status: {allocatable: {cpu: "64", memory: 256Gi, pods: "250"}, capacity: {cpu: "64", memory: 256Gi, pods: "250"}}
`, name))
	c.Await(t, "node "+name+" to be ready", func() bool {
		node := c.Read(t, kube.Nodes.In("", name))
		taints, _ := node.At("spec", "taints").([]any)
		return len(taints) == 1 && condition(node, "Ready") == "True"
	})
	return name
}

// Workload is what Deployment and StatefulSet take.
type Workload struct {
	Name     string
	Replicas int
	// Node is where its pods go; empty for anywhere.
	Node string
	// Annotations of its pods.
	Annotations string // {a: b}
}

const workload = `
apiVersion: apps/v1
kind: %s
metadata:
  name: %[2]s
  namespace: %[3]s
  labels: {app: %[2]s, team: shop}
  annotations: {somebody/elses: note}
spec:
  replicas: %[4]d
  selector: {matchLabels: {app: %[2]s}}
  template:
    metadata: {labels: {app: %[2]s}, annotations: %[5]s}
    spec:
      terminationGracePeriodSeconds: 1
      nodeSelector: %[6]s
      tolerations: %[7]s
      containers: [{name: shop, image: "registry.k8s.io/pause:3.10"}, {name: side, image: "registry.k8s.io/pause:3.9"}]
`

// Make makes a workload of a kind (Deployment, StatefulSet, ReplicaSet, DaemonSet),
// and waits until its pods, which bear the label app=NAME, are ready.
func (c *Cluster) Make(t testing.TB, kind, namespace string, w Workload) {
	t.Helper()
	annotations, selector, tolerations := "{}", "{}", "[]"
	if w.Annotations != "" {
		annotations = w.Annotations
	}
	if w.Node != "" {
		selector, tolerations = "{own: "+w.Node+"}", "[{key: own, operator: Exists}]"
	}
	text := fmt.Sprintf(workload, kind, w.Name, namespace, w.Replicas, annotations, selector, tolerations)
	if kind == "DaemonSet" {
		text = strings.Replace(text, fmt.Sprintf("  replicas: %d\n", w.Replicas), "", 1)
	}
	if kind == "StatefulSet" {
		text += "  serviceName: " + w.Name + "\n  podManagementPolicy: Parallel\n"
	}
	c.Apply(t, text)
	c.AwaitReady(t, namespace, w.Name, w.Replicas)
}

// Deployment makes a deployment of ready pods.
func (c *Cluster) Deployment(t testing.TB, namespace, name string, replicas int) {
	t.Helper()
	c.Make(t, "Deployment", namespace, Workload{Name: name, Replicas: replicas})
	c.Await(t, "deployment "+name+" to be rolled out", func() bool {
		d := c.Read(t, kube.Deployments.In(namespace, name))
		return fmt.Sprint(d.At("status", "availableReplicas")) == fmt.Sprint(replicas) && d.Text("metadata", "annotations", "deployment.kubernetes.io/revision") != ""
	})
}

// AwaitReady waits until exactly count pods with app=NAME are there, and ready.
func (c *Cluster) AwaitReady(t testing.TB, namespace, name string, count int) {
	t.Helper()
	c.Await(t, fmt.Sprintf("%d ready pods of %s/%s", count, namespace, name), func() bool {
		pods := c.Pods(t, namespace, name)
		for _, pod := range pods {
			if condition(pod, "Ready") != "True" || pod.At("metadata", "deletionTimestamp") != nil {
				return false
			}
		}
		return len(pods) == count
	})
}

// Pods lists the pods with app=NAME, by name; all of the namespace if name is empty.
func (c *Cluster) Pods(t testing.TB, namespace, name string) []kube.Thing {
	t.Helper()
	path := "/api/v1/namespaces/" + namespace + "/pods"
	if name != "" {
		path += "?labelSelector=app%3D" + name
	}
	return c.Items(t, path)
}

// Items lists the objects at a path of the API, by name.
func (c *Cluster) Items(t testing.TB, path string) []kube.Thing {
	t.Helper()
	var list struct {
		Kind  string
		Items []kube.Thing
	}
	if err := json.Unmarshal(c.call(t, t.Context(), http.MethodGet, path, nil), &list); err != nil {
		t.Fatalf("GET %s: %v", path, err)
	}
	for _, item := range list.Items {
		item["kind"] = strings.TrimSuffix(list.Kind, "List")
	}
	slices.SortFunc(list.Items, func(a, b kube.Thing) int {
		return strings.Compare(a.Text("metadata", "name"), b.Text("metadata", "name"))
	})
	return list.Items
}

// Read reads an object.
func (c *Cluster) Read(t testing.TB, ref kube.Ref) kube.Thing {
	t.Helper()
	thing, err := c.Client.Raw(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	return thing
}

// Has tells whether something is at a path of the API.
func (c *Cluster) Has(t testing.TB, path string) bool {
	t.Helper()
	return c.call(t, t.Context(), http.MethodGet, path, nil, http.StatusNotFound) != nil
}

// Merge changes an object, as somebody else would.
func (c *Cluster) Merge(t testing.TB, ref kube.Ref, change string) {
	t.Helper()
	if err := c.Client.Merge(t.Context(), ref, json.RawMessage(change), nil); err != nil {
		t.Fatal(err)
	}
}

// Delete deletes what is at a path of the API, at once.
func (c *Cluster) Delete(t testing.TB, path string) {
	t.Helper()
	c.call(t, t.Context(), http.MethodDelete, path, []byte(`{"kind":"DeleteOptions","apiVersion":"v1","gracePeriodSeconds":0}`))
}

// Await waits until ready says so.
func (c *Cluster) Await(t testing.TB, what string, ready func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ready(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func condition(thing kube.Thing, kind string) string {
	conditions, _ := thing.At("status", "conditions").([]any)
	for _, one := range conditions {
		if c, ok := one.(map[string]any); ok && c["type"] == kind {
			return fmt.Sprint(c["status"])
		}
	}
	return ""
}

// Text writes an object without what the API server and controllers keep on it: its
// versions and its status.
func Text(thing kube.Thing) string {
	if metadata, ok := thing["metadata"].(map[string]any); ok {
		for _, key := range []string{"resourceVersion", "generation", "managedFields"} {
			delete(metadata, key)
		}
	}
	delete(thing, "status")
	text, err := json.Marshal(thing) // keys are sorted
	if err != nil {
		return err.Error() // it came as JSON
	}
	return string(text)
}

// made is where a run can leave something in a namespace.
var made = []string{"/apis/batch/v1/namespaces/%s/jobs", "/apis/networking.k8s.io/v1/namespaces/%s/networkpolicies", "/api/v1/namespaces/%s/resourcequotas", "/apis/coordination.k8s.io/v1/namespaces/%s/leases"}

// Left lists everything in a namespace that runs could leave: jobs, policies, quotas,
// leases, and pods with a mark.
func (c *Cluster) Left(t testing.TB, namespace string) string {
	t.Helper()
	var list []string
	for _, path := range made {
		for _, thing := range c.Items(t, fmt.Sprintf(path, namespace)) {
			list = append(list, Text(thing))
		}
	}
	for _, thing := range c.Items(t, "/api/v1/namespaces/"+namespace+"/pods?labelSelector=gameday.sh%2Frun") {
		list = append(list, Text(thing))
	}
	return strings.Join(list, "\n")
}

// plurals are the kinds that Apply knows whose name in the API is not the kind and an s.
var plurals = map[string]string{"NetworkPolicy": "networkpolicies"}

var unspaced = []string{"Namespace", "Node", "ClusterRole", "ClusterRoleBinding", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"}

// Apply creates objects from YAML, as `kubectl create` does.
func (c *Cluster) Apply(t testing.TB, manifests string) {
	t.Helper()
	for _, text := range strings.Split(manifests, "\n---\n") {
		var thing kube.Thing
		if err := yaml.Unmarshal([]byte(text), &thing); err != nil {
			t.Fatalf("a manifest is wrong: %v\n%s", err, text)
		}
		kind := thing.Text("kind")
		plural := plurals[kind]
		if plural == "" {
			plural = strings.ToLower(kind) + "s"
		}
		path := "/apis/" + thing.Text("apiVersion")
		if !strings.Contains(path[6:], "/") {
			path = "/api/" + thing.Text("apiVersion")
		}
		if !slices.Contains(unspaced, kind) {
			path += "/namespaces/" + thing.Text("metadata", "namespace")
		}
		body, err := json.Marshal(thing)
		if err != nil {
			t.Fatal(err)
		}
		c.call(t, t.Context(), http.MethodPost, path+"/"+plural, body)
	}
}

// call makes a call as administrator, past the client that is under test. A status
// that is allowed gives nil.
func (c *Cluster) call(t testing.TB, ctx context.Context, method, path string, body []byte, allowed ...int) []byte {
	t.Helper()
	text, status, err := c.do(ctx, method, path, body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	if slices.Contains(allowed, status) {
		return nil
	}
	if status >= 300 {
		t.Fatalf("%s %s: %d: %s", method, path, status, text)
	}
	return text
}

func (c *Cluster) do(ctx context.Context, method, path string, body []byte) ([]byte, int, error) {
	config, err := clientcmd.BuildConfigFromFlags("", c.Kubeconfig)
	if err != nil {
		return nil, 0, err
	}
	client, err := rest.HTTPClientFor(config) // client-go keeps the connections
	if err != nil {
		return nil, 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, config.Host+path, strings.NewReader(string(body)))
	if err != nil {
		return nil, 0, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "application/json")
	answer, err := client.Do(request)
	if err != nil {
		return nil, 0, err
	}
	text, err := io.ReadAll(answer.Body)
	return text, answer.StatusCode, errors.Join(err, answer.Body.Close())
}

// User is somebody without any right.
type User struct{ Name, Kubeconfig string }

// User makes a user without any right, with a certificate.
func (c *Cluster) User(t testing.TB) User {
	t.Helper()
	if c.Plane == nil {
		t.Skip("needs the authority of the cluster's certificates, which " + useVariable + " does not name")
	}
	name := unique("user")
	path, err := c.Plane.User(name)
	if err != nil {
		t.Fatal(err)
	}
	return User{name, path}
}

// EndLease lets a namespace's lease look as if its holder had been silent for long.
func (c *Cluster) EndLease(t testing.TB, namespace string) {
	t.Helper()
	long := time.Now().Add(-10 * time.Minute).UTC().Format("2006-01-02T15:04:05.000000Z")
	c.Merge(t, kube.Leases.In(namespace, "gameday"), `{"spec":{"renewTime":"`+long+`"}}`)
}

// Token is the access of a service account by a token that can be ended.
type Token struct {
	Kubeconfig string

	c                          *Cluster
	namespace, account, secret string
}

// Token makes a service account with a cluster role and a token.
func (c *Cluster) Token(t testing.TB, namespace, role string) *Token {
	t.Helper()
	token := &Token{c: c, namespace: namespace, account: unique("account"), Kubeconfig: filepath.Join(t.TempDir(), "kubeconfig")}
	c.Apply(t, fmt.Sprintf(`
apiVersion: v1
kind: ServiceAccount
metadata: {namespace: %[1]s, name: %[2]s}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {namespace: %[1]s, name: %[2]s}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: %[3]s}
subjects: [{kind: ServiceAccount, namespace: %[1]s, name: %[2]s}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {namespace: %[1]s, name: %[2]s}
rules: [{apiGroups: [coordination.k8s.io], resources: [leases], verbs: ["*"]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {namespace: %[1]s, name: %[2]s-leases}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: %[2]s}
subjects: [{kind: ServiceAccount, namespace: %[1]s, name: %[2]s}]
`, namespace, token.account, role))
	token.Renew(t)
	return token
}

// Renew writes a new token into the kubeconfig. It is bound to a secret, and ends with it.
func (k *Token) Renew(t testing.TB) {
	t.Helper()
	k.secret = unique("token")
	path := "/api/v1/namespaces/" + k.namespace
	k.c.Apply(t, fmt.Sprintf("apiVersion: v1\nkind: Secret\nmetadata: {namespace: %s, name: %s}", k.namespace, k.secret))
	secret := k.c.read(t, path+"/secrets/"+k.secret)
	ask := fmt.Sprintf(`{"apiVersion":"authentication.k8s.io/v1","kind":"TokenRequest","spec":{"boundObjectRef":{"apiVersion":"v1","kind":"Secret","name":%q,"uid":%q}}}`, k.secret, secret.Text("metadata", "uid"))
	var answer kube.Thing
	if err := json.Unmarshal(k.c.call(t, t.Context(), http.MethodPost, path+"/serviceaccounts/"+k.account+"/token", []byte(ask)), &answer); err != nil {
		t.Fatal(err)
	}
	config, err := clientcmd.LoadFromFile(k.c.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	for _, user := range config.AuthInfos {
		*user = clientcmdapi.AuthInfo{Token: answer.Text("status", "token")}
	}
	if err := clientcmd.WriteToFile(*config, k.Kubeconfig); err != nil {
		t.Fatal(err)
	}
}

// End makes the token one that the API server does not take any more.
func (k *Token) End(t testing.TB) {
	t.Helper()
	k.c.Delete(t, "/api/v1/namespaces/"+k.namespace+"/secrets/"+k.secret)
}

func (c *Cluster) read(t testing.TB, path string) kube.Thing {
	t.Helper()
	var thing kube.Thing
	if err := json.Unmarshal(c.call(t, t.Context(), http.MethodGet, path, nil), &thing); err != nil {
		t.Fatal(err)
	}
	return thing
}
