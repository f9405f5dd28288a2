package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/gameday-sh/gameday/faults/toxiproxy"
)

const (
	// closeWithin bounds the removal of one proxy.
	closeWithin = 5 * time.Second
	// grace is how long a request from outside may take to end when the shop closes.
	grace = time.Second
)

// proxy is one proxy between the front door and a service.
type proxy struct{ name, address string }

// shop is a running sandbox.
type shop struct {
	metrics        *metrics
	toxiproxy      *toxiproxy.Toxiproxy
	catalogue      *server
	payments       *server
	front          *server
	catalogueProxy proxy
	paymentsProxy  proxy
	// undo stops what was started, newest last.
	undo []func() error
}

// openShop starts everything, or leaves nothing behind.
func openShop(ctx context.Context, s *Sandbox) (_ *shop, err error) {
	o := &shop{metrics: newMetrics(), toxiproxy: s.Toxiproxy}
	defer func() {
		if err != nil {
			err = errors.Join(err, o.close())
		}
	}()
	if o.toxiproxy == nil {
		o.toxiproxy = new(toxiproxy.Toxiproxy)
		if err := o.toxiproxy.Open(ctx); err != nil {
			return nil, fmt.Errorf("the sandbox cannot start a toxiproxy: %w", err)
		}
		o.undo = append(o.undo, o.toxiproxy.Close)
	}
	seed := uint64(s.Seed)
	if o.catalogue, err = o.serve(ctx, catalogue, 0, newCatalogue(o.metrics), 0); err != nil {
		return nil, err
	}
	if o.payments, err = o.serve(ctx, payments, 0, newPayments(o.metrics, s.ErrorRate, seed), 0); err != nil {
		return nil, err
	}
	if o.catalogueProxy, err = o.connect(ctx, s.Prefix+catalogue, o.catalogue); err != nil {
		return nil, err
	}
	if o.paymentsProxy, err = o.connect(ctx, s.Prefix+payments, o.payments); err != nil {
		return nil, err
	}
	inside := o.newClient(s.MaxInFlight)
	pauses := newDice(seed, 0)
	call := func(upstream string, p proxy) *caller {
		return &caller{
			upstream: upstream, base: "http://" + p.address, client: inside, timeout: s.Timeout,
			dice: pauses, retries: o.metrics.retries.WithLabelValues(frontDoor, upstream),
		}
	}
	f := &front{
		catalogue: call(catalogue, o.catalogueProxy), payments: call(payments, o.paymentsProxy),
		attempts: 1 + s.Retries, deadline: s.Deadline, slots: make(chan struct{}, s.MaxInFlight),
		fallback: s.Fallback, keys: newDice(seed, 1), metrics: o.metrics,
	}
	f.visits = &visits{front: f, ids: newDice(seed, 2), key: []byte(newDice(seed, 3).key())}
	o.metrics.watchSlots(f.slots)
	if o.front, err = o.serve(ctx, frontDoor, s.Port, f.handler(), grace); err != nil {
		return nil, err
	}
	for _, p := range []proxy{o.catalogueProxy, o.paymentsProxy} {
		if err := reach(ctx, inside, p); err != nil {
			return nil, err
		}
	}
	if s.Rate > 0 {
		o.startCustomers(s)
	}
	return o, nil
}

func (o *shop) serve(ctx context.Context, name string, port int, handler http.Handler, grace time.Duration) (*server, error) {
	started, err := serve(ctx, name, port, handler)
	if err != nil {
		return nil, err
	}
	o.undo = append(o.undo, func() error { return started.stop(grace) })
	return started, nil
}

// connect puts a proxy in front of a service.
func (o *shop) connect(ctx context.Context, name string, to *server) (proxy, error) {
	address, err := o.toxiproxy.CreateProxy(ctx, name, "127.0.0.1:0", to.address)
	if err != nil {
		return proxy{}, fmt.Errorf("the sandbox cannot put proxy %q in front of its %s: %w; prefix renames the sandbox's proxies", name, to.name, err)
	}
	o.undo = append(o.undo, func() error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeWithin)
		defer cancel()
		if err := o.toxiproxy.DeleteProxy(ctx, name); err != nil {
			return fmt.Errorf("the sandbox cannot delete its proxy %q: %w", name, err)
		}
		return nil
	})
	return proxy{name, address}, nil
}

// newClient returns a client whose unused connections are closed with the shop.
func (o *shop) newClient(idle int) *http.Client {
	transport := newTransport(idle)
	o.undo = append(o.undo, func() error {
		transport.CloseIdleConnections()
		return nil
	})
	return &http.Client{Transport: transport}
}

// startCustomers starts the load.
func (o *shop) startCustomers(s *Sandbox) {
	c := &customers{
		url: o.front.url(), client: o.newClient(mostWaiting), checkouts: s.Checkouts,
		seed: uint64(s.Seed), metrics: o.metrics,
	}
	ctx, stop := context.WithCancel(context.Background())
	p := &pacer{rate: s.Rate, most: mostWaiting, send: c.send, unsent: c.unsent}
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.run(ctx)
	}()
	o.undo = append(o.undo, func() error {
		stop()
		<-done
		return nil
	})
}

// close stops everything, newest first. Requests that customers wait for end
// within the deadline of the front door, so the load needs no cutting off.
func (o *shop) close() error {
	var failures []error
	for _, undo := range slices.Backward(o.undo) {
		failures = append(failures, undo())
	}
	o.undo = nil
	return errors.Join(failures...)
}

// reach makes sure that a service answers through its proxy.
func reach(ctx context.Context, client *http.Client, p proxy) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.address+"/healthz", nil)
	if err != nil {
		return fmt.Errorf("the address of proxy %q: %w", p.name, err)
	}
	response, err := client.Do(request)
	if err == nil {
		_, err = io.Copy(io.Discard, response.Body)
		err = errors.Join(err, response.Body.Close())
		if response.StatusCode != http.StatusOK {
			err = errors.Join(err, fmt.Errorf("it answered %s", response.Status))
		}
	}
	if err != nil {
		return fmt.Errorf("the sandbox's service does not answer through proxy %q on %s: %w; "+
			"its services listen on 127.0.0.1, so the toxiproxy must run on this machine", p.name, p.address, err)
	}
	return nil
}
