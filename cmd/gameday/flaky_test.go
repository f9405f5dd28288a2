package main

import (
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/gameday-sh/gameday/internal/cluster/clustertest"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// trouble is what becomes of one request to an API server.
type trouble string

const (
	none     trouble = ""
	lost     trouble = "the answer is lost after the API server did it"
	conflict trouble = "409"
	busy     trouble = "429 with Retry-After"
	expired  trouble = "410"
	hang     trouble = "no answer for 30 s"
	cut      trouble = "the connection is reset in the middle of the answer"
	rubbish  trouble = "another kind of server answers"
	missing  trouble = "another kind of server says 404"
	dead     trouble = "the connection is closed at once"
)

// flaky stands before a real API server, with HTTP/2 as that has it, and gives requests
// trouble.
type flaky struct {
	kubeconfig string

	t     *testing.T
	proxy *httputil.ReverseProxy
	ended chan struct{}
	// pick says what becomes of a request.
	pick atomic.Value // func(*http.Request) trouble

	mu   sync.Mutex
	gave map[trouble]int
}

// newFlaky stands before the API server of a kubeconfig, whose credentials it uses.
func newFlaky(t *testing.T, kubeconfig string) *flaky {
	t.Helper()
	f := &flaky{t: t, ended: make(chan struct{}), gave: map[trouble]int{}}
	f.set(func(*http.Request) trouble { return none })
	f.proxy = clustertest.Proxy(t, kubeconfig)
	f.proxy.ErrorHandler = func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) }
	server := httptest.NewUnstartedServer(f)
	server.EnableHTTP2 = true
	server.Config.ErrorLog = nil
	server.StartTLS()
	t.Cleanup(func() {
		close(f.ended)
		server.Close()
	})
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	f.kubeconfig = filepath.Join(t.TempDir(), "kubeconfig")
	write(t, f.kubeconfig, fmt.Sprintf(`apiVersion: v1
kind: Config
clusters: [{name: flaky, cluster: {server: %q, certificate-authority-data: %s}}]
users: [{name: flaky, user: {}}]
contexts: [{name: flaky, context: {cluster: flaky, user: flaky}}]
current-context: flaky
`, server.URL, base64.StdEncoding.EncodeToString(ca)))
	return f
}

func (f *flaky) set(pick func(*http.Request) trouble) { f.pick.Store(pick) }

// given counts how often a trouble was given.
func (f *flaky) given(which trouble) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.gave[which]
}

func (f *flaky) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// Lists come in pages of two, so that they are continued.
	if query := r.URL.Query(); query.Get("limit") == "500" {
		query.Set("limit", "2")
		r.URL.RawQuery = query.Encode()
	}
	which := f.pick.Load().(func(*http.Request) trouble)(r)
	f.mu.Lock()
	f.gave[which]++
	f.mu.Unlock()
	refuse := func(code int, reason metav1.StatusReason, text string) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		status := metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: "Failure", Reason: reason, Code: int32(code), Message: text}
		if err := json.NewEncoder(w).Encode(status); err != nil {
			panic(http.ErrAbortHandler)
		}
	}
	switch which {
	case lost:
		f.proxy.ServeHTTP(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler)
	case dead:
		panic(http.ErrAbortHandler)
	case cut:
		whole := httptest.NewRecorder()
		f.proxy.ServeHTTP(whole, r)
		for key, values := range whole.Header() {
			w.Header()[key] = values
		}
		w.WriteHeader(whole.Code)
		_, err := w.Write(whole.Body.Bytes()[:whole.Body.Len()/2])
		if err := errors.Join(err, http.NewResponseController(w).Flush()); err != nil {
			f.t.Log(err)
		}
		panic(http.ErrAbortHandler)
	case conflict:
		refuse(http.StatusConflict, metav1.StatusReasonConflict, "the object has been modified; please apply your changes to the latest version")
	case busy:
		w.Header().Set("Retry-After", "1")
		refuse(http.StatusTooManyRequests, metav1.StatusReasonTooManyRequests, "too many requests, please try again later")
	case expired:
		refuse(http.StatusGone, metav1.StatusReasonExpired, "the provided continue parameter is too old")
	case hang:
		select {
		case <-r.Context().Done():
		case <-f.ended:
		}
		panic(http.ErrAbortHandler)
	case rubbish, missing:
		w.Header().Set("Content-Type", "text/html")
		if which == missing {
			w.WriteHeader(http.StatusNotFound)
		}
		if _, err := io.WriteString(w, "<html><title>Welcome to nginx!</title></html>"); err != nil {
			panic(http.ErrAbortHandler)
		}
	default:
		f.proxy.ServeHTTP(w, r)
	}
}

// once gives the first request of each method and path that fits a trouble.
func once(which trouble, fits func(*http.Request) bool) func(*http.Request) trouble {
	var mu sync.Mutex
	seen := map[string]bool{}
	return func(r *http.Request) trouble {
		mu.Lock()
		defer mu.Unlock()
		key := r.Method + " " + r.URL.Path
		if seen[key] || !fits(r) {
			return none
		}
		seen[key] = true
		return which
	}
}

func anything(*http.Request) bool { return true }

func writing(r *http.Request) bool {
	return r.Method != http.MethodGet && !strings.HasSuffix(r.URL.Path, "/selfsubjectaccessreviews")
}

func reading(r *http.Request) bool { return r.Method == http.MethodGet }

func continued(r *http.Request) bool { return r.URL.Query().Get("continue") != "" }
