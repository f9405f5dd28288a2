package main

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

const killsMany = `
variable "kubeconfig" {}
kubernetes { kubeconfig = var.kubeconfig }
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
    all       = true
    min_ready = 0
  }
}
`

// A kill is one call, which answers with no more than what proves it: whatever else is
// asked from the first to the last would make many take longer than they have to.
func TestKillingManyPodsMakesOneCallForEach(t *testing.T) {
	t.Parallel()
	const pods = 40
	w := newClusterWorld(t)
	startBed(t).Deployment(t, w.namespace, "shop", pods) // of pods that take a second to end
	var mu sync.Mutex
	var calls []*http.Request
	f := newFlaky(t, w.kubeconfig)
	f.set(func(r *http.Request) trouble {
		if strings.Contains(r.URL.Path, "/namespaces/"+w.namespace+"/pods/") {
			mu.Lock()
			calls = append(calls, r.Clone(t.Context()))
			mu.Unlock()
		}
		return none
	})
	gameday(t, t.TempDir(), "run", "--plain", "--var", "kubeconfig="+f.kubeconfig, w.scenario(killsMany)).ends(2*time.Minute, 0, "HELD")
	mu.Lock()
	defer mu.Unlock()
	first, last, kills := len(calls), 0, 0
	for i, call := range calls {
		if call.Method == http.MethodDelete {
			first, last, kills = min(first, i), i, kills+1
			if !strings.Contains(call.Header.Get("Accept"), "as=PartialObjectMetadata") {
				t.Errorf("a kill asks for all of the pod: %q", call.Header.Get("Accept"))
			}
		}
	}
	if kills < pods {
		t.Fatalf("%d calls that kill, want %d", kills, pods)
	}
	// A pod that changed since the plan, as one that just became ready may, is looked at
	// and tried again.
	if others := last - first + 1 - pods; others > pods/4 {
		t.Errorf("%d more calls on pods from the first kill to the last of %d", others, pods)
	}
}
