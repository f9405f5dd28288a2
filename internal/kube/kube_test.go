package kube

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"pgregory.net/rapid"
)

// config writes a kubeconfig with a context for each server given.
func config(t *testing.T, current string, servers map[string]string) string {
	t.Helper()
	text := "apiVersion: v1\nkind: Config\ncurrent-context: " + current + "\nclusters:\n"
	contexts, users := "contexts:\n", "users:\n"
	for name, server := range servers {
		text += fmt.Sprintf("- {name: %s, cluster: {server: %q}}\n", name, server)
		contexts += fmt.Sprintf("- {name: %s, context: {cluster: %[1]s, user: %[1]s}}\n", name)
		users += fmt.Sprintf("- {name: %s, user: {token: token-of-%[1]s}}\n", name)
	}
	path := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(path, []byte(text+contexts+users), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestWhichClusterIsMeant(t *testing.T) {
	dev := config(t, "dev", map[string]string{"dev": "https://dev:6443", "staging": "https://staging:6443"})
	other := config(t, "", map[string]string{"other": "https://other:6443", "dev": "https://never:6443"})
	missing := filepath.Join(t.TempDir(), "nothing")
	wrong := filepath.Join(t.TempDir(), "wrong")
	if err := os.WriteFile(wrong, []byte("a: [b"), 0o600); err != nil {
		t.Fatal(err)
	}
	list := string(os.PathListSeparator)
	for name, it := range map[string]struct {
		connection *Kubernetes
		variable   string // KUBECONFIG
		server     string
		wrong      string
	}{
		"the current context of KUBECONFIG":          {&Kubernetes{}, dev, "https://dev:6443", ""},
		"another context of it":                      {&Kubernetes{Context: "staging"}, dev, "https://staging:6443", ""},
		"a file that is named goes before":           {&Kubernetes{Kubeconfig: dev}, other, "https://dev:6443", ""},
		"a context of the second of several files":   {&Kubernetes{Context: "other"}, dev + list + other, "https://other:6443", ""},
		"of two definitions the first counts":        {&Kubernetes{Context: "dev"}, dev + list + other, "https://dev:6443", ""},
		"a file of several that is not there":        {&Kubernetes{}, missing + list + dev, "https://dev:6443", ""},
		"a context that is not there":                {&Kubernetes{Context: "prod"}, dev, "", `has no context "prod"; there are: dev, staging`},
		"no current context":                         {&Kubernetes{}, other, "", `has no context ""; there are: dev, other`},
		"a file that is named and is not there":      {&Kubernetes{Kubeconfig: missing}, dev, "", "no kubeconfig at " + missing},
		"nothing is there, and this is no pod":       {&Kubernetes{}, missing, "", "no kubeconfig at " + missing + ": set kubeconfig in the kubernetes block, or $KUBECONFIG"},
		"a file that is no kubeconfig":               {&Kubernetes{Kubeconfig: wrong}, "", "", "read the kubeconfig " + wrong},
		"a context of a file that is not among them": {&Kubernetes{Kubeconfig: dev, Context: "other"}, other, "", `has no context "other"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("KUBECONFIG", it.variable)
			t.Setenv("KUBERNETES_SERVICE_HOST", "")
			found, reach, err := it.connection.find(defaultTimeout)
			if it.wrong != "" {
				if err == nil || !strings.Contains(err.Error(), it.wrong) {
					t.Fatalf("%v, want %q", err, it.wrong)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if found.Host != it.server || reach.Server != it.server {
				t.Errorf("%s (%s), want %s", found.Host, reach.Server, it.server)
			}
			again, err := Dial(reach)
			if err != nil {
				t.Fatal(err)
			}
			if again.config.Host != it.server || again.config.BearerToken == "" {
				t.Errorf("dialling again leads to %s, with the token %q", again.config.Host, again.config.BearerToken)
			}
			if strings.Contains(fmt.Sprintf("%+v", reach), "token-of") {
				t.Errorf("the reach holds a secret: %+v", reach)
			}
		})
	}
}

func TestACredentialPluginThatHangsHoldsUpNobody(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config")
	text := `apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "https://127.0.0.1:1"}}]
users: [{name: u, user: {exec: {apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never, command: sleep, args: ["5"]}}}]
contexts: [{name: c, context: {cluster: c, user: u}}]
current-context: c
`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	err := (&Kubernetes{Kubeconfig: path, Timeout: 200 * time.Millisecond}).Open(t.Context())
	if err == nil || !strings.Contains(err.Error(), "does sleep, which is to give the credentials, wait for something?") || time.Since(began) > 4*time.Second {
		t.Errorf("after %s: %v", time.Since(began), err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	began = time.Now()
	if err := (&Kubernetes{Kubeconfig: path}).Open(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > 4*time.Second {
		t.Errorf("stopped after %s: %v", time.Since(began), err)
	}
}

func TestAHomeIsResolvedInAPath(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("HOME", dir)
	for path, want := range map[string]string{"~/.kube/x": dir + "/.kube/x", "/a/~/b": "/a/~/b", "~other/x": "~other/x", "x": "x"} {
		if got := home(path); got != want {
			t.Errorf("%s is %s, want %s", path, got, want)
		}
	}
}

// A hit of yesterday must not be mended in another cluster, because the kubeconfig leads
// there today.
func TestDialRefusesAnotherServer(t *testing.T) {
	path := config(t, "dev", map[string]string{"dev": "https://dev:6443"})
	reach := Reach{Files: []string{path}, Context: "dev", Server: "https://dev:6443", Timeout: defaultTimeout}
	if _, err := Dial(reach); err != nil {
		t.Fatal(err)
	}
	moved := config(t, "dev", map[string]string{"dev": "https://production:6443"})
	if err := os.Rename(moved, path); err != nil {
		t.Fatal(err)
	}
	_, err := Dial(reach)
	if err == nil || !strings.Contains(err.Error(), "leads to https://production:6443 by now") {
		t.Errorf("%v", err)
	}
	reach.Context = "gone"
	if _, err := Dial(reach); err == nil || !strings.Contains(err.Error(), `no context "gone"`) {
		t.Errorf("%v", err)
	}
	reach.Files = []string{path + "-gone"}
	if _, err := Dial(reach); err == nil {
		t.Error("a kubeconfig that is gone led somewhere")
	}
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	if _, err := Dial(Reach{Server: "https://10.96.0.1:443"}); err == nil || !strings.Contains(err.Error(), "from within a pod") {
		t.Errorf("a hit from within a pod is reached from outside: %v", err)
	}
}

func TestValidateFindsWhatNeedsNoCluster(t *testing.T) {
	for attribute, k := range map[string]*Kubernetes{
		"timeout": {Timeout: -1}, "protect": {Protect: []string{"ok-*", "a["}}, "opt_in": {OptIn: "label"},
	} {
		problems := k.Validate()
		if len(problems) != 1 || problems[0].Attribute != attribute {
			t.Errorf("%s: %+v", attribute, problems)
		}
	}
	if problems := (&Kubernetes{Protect: []string{"payments-*"}, OptIn: "a=b"}).Validate(); len(problems) != 0 {
		t.Errorf("%+v", problems)
	}
}

func TestClosedConnections(t *testing.T) {
	var none *Kubernetes
	if _, err := none.Client(); err == nil || !strings.Contains(err.Error(), "no kubernetes connection is named") {
		t.Errorf("%v", err)
	}
	k := new(Kubernetes)
	if _, err := k.Client(); err == nil || !strings.Contains(err.Error(), "not open") {
		t.Errorf("%v", err)
	}
	if err := k.Close(); err != nil {
		t.Error(err)
	}
}

func TestUniteKeepsEachRightOnceAndInOrder(t *testing.T) {
	right := rapid.Custom(func(t *rapid.T) Right {
		return Right{
			Verb:      rapid.SampledFrom([]string{"get", "list", "patch"}).Draw(t, "verb"),
			Resource:  rapid.SampledFrom([]Resource{Pods, Nodes, Deployments}).Draw(t, "resource"),
			Sub:       rapid.SampledFrom([]string{"", "exec"}).Draw(t, "sub"),
			Namespace: rapid.SampledFrom([]string{"", "shop"}).Draw(t, "namespace"),
			Name:      rapid.SampledFrom([]string{"", "checkout"}).Draw(t, "name"),
			Why:       rapid.SampledFrom([]string{"kill", "undo"}).Draw(t, "why"),
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		rights := rapid.SliceOf(right).Draw(t, "rights")
		given := slices.Clone(rights)
		united := Unite(rights)
		if !slices.Equal(rights, given) {
			t.Fatal("the list that was given is changed")
		}
		has := func(list []Right, r Right) bool {
			return slices.ContainsFunc(list, func(other Right) bool { return compare(r, other) == 0 })
		}
		for _, r := range rights {
			if !has(united, r) {
				t.Fatalf("%v is lost", r)
			}
		}
		for i, r := range united {
			if !has(rights, r) || i > 0 && compare(united[i-1], r) >= 0 {
				t.Fatalf("%v is new, or there twice, or out of order", r)
			}
		}
		seed := rapid.Uint64().Draw(t, "shuffle")
		rand.New(rand.NewPCG(seed, 1)).Shuffle(len(rights), func(i, j int) { rights[i], rights[j] = rights[j], rights[i] })
		again := Unite(rights)
		if len(again) != len(united) {
			t.Fatalf("another order of the same rights: %d, not %d", len(again), len(united))
		}
	})
}

func TestARightSaysWhatItIs(t *testing.T) {
	for want, right := range map[string]Right{
		"patch deployments.apps in namespace shop":  {Verb: "patch", Resource: Deployments, Namespace: "shop"},
		"create pods/eviction in the whole cluster": {Verb: "create", Resource: Pods, Sub: "eviction"},
	} {
		if right.String() != want {
			t.Errorf("%q, want %q", right, want)
		}
	}
}

func TestErrorsAreToldApart(t *testing.T) {
	pods := schema.GroupResource{Resource: "pods"}
	unapplied := apierrors.NewGenericServerResponse(http.StatusUnprocessableEntity, "", schema.GroupResource{}, "", "testing value", 0, false)
	invalid := apierrors.NewInvalid(schema.GroupKind{Kind: "Pod"}, "it", nil)
	for name, it := range map[string]struct {
		err                 error
		conflict, uncertain bool
	}{
		"a precondition that failed":        {apierrors.NewConflict(pods, "it", errors.New("no")), true, false},
		"a patch whose test failed":         {unapplied, true, false},
		"an object that would not be valid": {invalid, false, false},
		"a refusal":                         {apierrors.NewForbidden(pods, "it", errors.New("no")), false, false},
		"too many requests":                 {apierrors.NewTooManyRequests("later", 1), false, false},
		"an error of the server":            {apierrors.NewInternalError(errors.New("etcd")), false, true},
		"a timeout of the server":           {apierrors.NewTimeoutError("slow", 1), false, true},
		"a 404 of a proxy":                  {apierrors.NewGenericServerResponse(404, "GET", pods, "it", "<html>", 0, true), false, true},
		"no answer":                         {errors.New("connection reset"), false, true},
		"a status without a code":           {&apierrors.StatusError{ErrStatus: metav1.Status{}}, false, true},
		"nothing":                           {nil, false, false},
	} {
		for _, err := range []error{it.err, &Error{Verb: "PATCH", Ref: Pods.In("a", "b"), Err: it.err}} {
			if it.err == nil {
				err = nil
			}
			if it.err != nil && strings.Contains(name, "404") && NotFound(err) {
				t.Errorf("%s is taken for an object that is not there", name)
			}
			if Conflict(err) != it.conflict || Uncertain(err) != it.uncertain {
				t.Errorf("%s: conflict %v, uncertain %v", name, Conflict(err), Uncertain(err))
			}
		}
	}
}

func TestAPointerEscapesItsKeys(t *testing.T) {
	if got := Pointer("metadata", "annotations", "a~b/c"); got != "/metadata/annotations/a~0b~1c" {
		t.Error(got)
	}
}
