package toxiproxy

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	server "github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
	"github.com/rs/zerolog/log"
)

// silence keeps the library, which logs through zerolog's global logger, off the
// terminal.
var silence = sync.OnceFunc(func() { log.Logger = zerolog.Nop() })

// builtin is a toxiproxy server in this process, on a loopback port of its own.
type builtin struct {
	instance string
	listener net.Listener
	http     *http.Server
	served   chan struct{}

	// current is the library's server, replaced by drop. mu keeps proxies from being
	// created meanwhile; it is never held where the library may hang.
	mu      sync.Mutex
	current atomic.Pointer[generation]
}

type generation struct {
	api    *server.ApiServer
	routes http.Handler
}

func newGeneration() *generation {
	api := server.NewServer(server.NewMetricsContainer(nil), zerolog.Nop())
	return &generation{api: api, routes: api.Routes()}
}

func startBuiltin(ctx context.Context) (*builtin, error) {
	silence()
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	b := &builtin{instance: rand.Text(), listener: listener, served: make(chan struct{})}
	b.current.Store(newGeneration())
	b.http = &http.Server{Handler: b, ReadHeaderTimeout: 5 * time.Second}
	go func() {
		defer close(b.served)
		// Serve ends with an error always: ErrServerClosed, or that of a listener that
		// broke, which the next call then reports better.
		_ = b.http.Serve(listener)
	}()
	return b, nil
}

func (b *builtin) url() string { return "http://" + b.listener.Addr().String() }

// ServeHTTP is the library's API, but for the deletion of a proxy.
func (b *builtin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set(instanceHeader, b.instance)
	name, isProxy := strings.CutPrefix(r.URL.Path, "/proxies/")
	switch {
	case r.Method == http.MethodDelete && isProxy && !strings.Contains(name, "/"):
		if !b.drop(name) {
			http.Error(w, `{"error":"proxy not found","status":404}`, http.StatusNotFound)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	case r.Method == http.MethodPost && r.URL.Path == "/proxies":
		b.mu.Lock()
		defer b.mu.Unlock()
		b.current.Load().routes.ServeHTTP(w, r)
	default:
		b.current.Load().routes.ServeHTTP(w, r)
	}
}

// drop deletes a proxy even if it is stuck. The library's own deletion would wait
// for it with every other proxy locked; here the others move to a fresh collection
// at once, and a stuck one is left alone with its listener closed.
func (b *builtin) drop(name string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	old := b.current.Load().api.Collection
	proxy, err := old.Get(name)
	if err != nil {
		return false
	}
	next := newGeneration()
	for other, kept := range old.Proxies() {
		if other == name {
			continue
		}
		// Add without starting only stores it; it fails for a name that is taken, and
		// the names of a map are not.
		_ = next.api.Collection.Add(kept, false)
	}
	b.current.Store(next)
	stop(proxy)
	return true
}

// stop gives a proxy a moment to stop, well within the deadline of the call that
// asks for it; milliseconds are enough. A stuck one never does; its goroutines stay
// until the process ends, which nothing can change from outside the library.
func stop(proxy *server.Proxy) {
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		proxy.Stop()
	}()
	select {
	case <-stopped:
	case <-time.After(250 * time.Millisecond):
	}
}

func (b *builtin) close() error {
	err := b.http.Close()
	<-b.served
	var stops sync.WaitGroup
	for _, proxy := range b.current.Load().api.Collection.Proxies() {
		stops.Go(func() { stop(proxy) })
	}
	stops.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
