package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/yaml"
)

// collections are the paths at which objects of a kind live; %s is the namespace.
var collections = map[string]string{
	"ServiceAccount":     "/api/v1/namespaces/%s/serviceaccounts",
	"Namespace":          "/api/v1/namespaces",
	"ConfigMap":          "/api/v1/namespaces/%s/configmaps",
	"Role":               "/apis/rbac.authorization.k8s.io/v1/namespaces/%s/roles",
	"RoleBinding":        "/apis/rbac.authorization.k8s.io/v1/namespaces/%s/rolebindings",
	"ClusterRole":        "/apis/rbac.authorization.k8s.io/v1/clusterroles",
	"ClusterRoleBinding": "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",

	"ValidatingAdmissionPolicy":        "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies",
	"ValidatingAdmissionPolicyBinding": "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings",
}

// call makes a call as administrator, in JSON or YAML.
func (w *clusterWorld) call(t testing.TB, method, path, contentType string, body []byte) ([]byte, int) {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", w.kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), method, config.Host+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", contentType)
	answer, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }() // it is read to its end
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return text, answer.StatusCode
}

// apply does what `kubectl apply --server-side --force-conflicts` does with the
// documents of a YAML file.
func (w *clusterWorld) apply(t testing.TB, text string) {
	t.Helper()
	for _, document := range strings.Split(text, "\n---\n") {
		var object struct {
			Kind     string
			Metadata struct{ Name, Namespace string }
		}
		if err := yaml.Unmarshal([]byte(document), &object); err != nil {
			t.Fatalf("%v in:\n%s", err, document)
		}
		if object.Kind == "" {
			continue // comments
		}
		path, known := collections[object.Kind]
		if !known {
			t.Fatalf("no path for %q in:\n%s", object.Kind, document)
		}
		if strings.Contains(path, "%s") {
			path = fmt.Sprintf(path, object.Metadata.Namespace)
		}
		if startBed(t).Plane == nil { // a user's cluster is left as it was
			t.Cleanup(func() {
				if answer, code := w.call(t, http.MethodDelete, path+"/"+object.Metadata.Name, "", nil); code > 299 && code != http.StatusNotFound {
					t.Errorf("delete %s: %d %s", path, code, answer)
				}
			})
		}
		answer, code := w.call(t, http.MethodPatch, path+"/"+object.Metadata.Name+"?fieldManager=test&force=true&fieldValidation=Strict", "application/apply-patch+yaml", []byte(document))
		if code > 299 {
			t.Fatalf("apply: %d %s\n%s", code, answer, document)
		}
	}
}

// token gives a kubeconfig with which one is a ServiceAccount, by a TokenRequest.
func (w *clusterWorld) token(t testing.TB, namespace, account string) string {
	t.Helper()
	text, code := w.call(t, http.MethodPost, fmt.Sprintf("/api/v1/namespaces/%s/serviceaccounts/%s/token", namespace, account), "application/json",
		[]byte(`{"apiVersion":"authentication.k8s.io/v1","kind":"TokenRequest","spec":{"expirationSeconds":3600}}`))
	var request struct{ Status struct{ Token string } }
	if err := json.Unmarshal(text, &request); err != nil || request.Status.Token == "" {
		t.Fatalf("no token: %d %s (%v)", code, text, err)
	}
	config, err := clientcmd.LoadFromFile(w.kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	for _, user := range config.AuthInfos {
		*user = clientcmdapi.AuthInfo{Token: request.Status.Token}
	}
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// account makes a ServiceAccount with rules in the namespace, and gives its kubeconfig.
func (w *clusterWorld) account(t testing.TB, name string, rules []map[string]any) string {
	t.Helper()
	role, err := json.Marshal(map[string]any{"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": map[string]any{"name": name, "namespace": w.namespace}, "rules": rules})
	if err != nil {
		t.Fatal(err)
	}
	w.apply(t, fmt.Sprintf(`apiVersion: v1
kind: ServiceAccount
metadata: {name: %[1]s, namespace: %[2]s}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: %[1]s, namespace: %[2]s}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: %[1]s}
subjects: [{kind: ServiceAccount, name: %[1]s, namespace: %[2]s}]
---
%[3]s`, name, w.namespace, role))
	return w.token(t, w.namespace, name)
}
