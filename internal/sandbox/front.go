package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"sync/atomic"
	"time"
)

// codeHungUp is recorded for a customer who left before the answer; nginx's
// convention, as HTTP has no code for it.
const codeHungUp = 499

// front is the front door: what customers talk to.
type front struct {
	catalogue *caller
	payments  *caller
	attempts  int
	deadline  time.Duration
	// slots has one place for each request in flight; who finds none is turned away
	// at once, since a queue would only make everybody late.
	slots    chan struct{}
	fallback bool
	// cached is the last good answer of the catalogue.
	cached  atomic.Pointer[[]byte]
	keys    *dice
	metrics *metrics
	visits  *visits
}

// frontRoute is a page of the front door: its name in the metrics, and what answers.
type frontRoute struct {
	name  string
	serve func(http.ResponseWriter, *http.Request) error
}

// handler routes the front door.
func (f *front) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", healthy)
	mux.Handle("GET /metrics", f.metrics.handler())
	pages := map[string]frontRoute{
		"GET /{$}":       {"/", f.welcome},
		"GET /products":  {"/products", f.list},
		"POST /checkout": {"/checkout", f.checkout},
	}
	maps.Copy(pages, f.visits.routes())
	for pattern, route := range pages {
		mux.Handle(pattern, f.metrics.counted(frontDoor, route.name, f.admit(route.serve)))
	}
	return mux
}

// admit serves at most cap(slots) requests at a time, each within the deadline.
func (f *front) admit(serve func(http.ResponseWriter, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case f.slots <- struct{}{}:
			defer func() { <-f.slots }()
		default:
			w.Header().Set("Retry-After", "1")
			answerError(w, http.StatusServiceUnavailable, fmt.Sprintf("%d requests are in flight already", cap(f.slots)))
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), f.deadline)
		defer cancel()
		err := serve(w, r.WithContext(ctx))
		var bad *badRequest
		var refused *refusal
		switch {
		case err == nil:
		case errors.As(err, &bad):
			answerError(w, http.StatusBadRequest, bad.Error())
		case errors.As(err, &refused):
			answerError(w, refused.code, refused.text)
		case r.Context().Err() != nil:
			answerError(w, codeHungUp, err.Error())
		case errors.Is(err, errTooLate):
			answerError(w, http.StatusGatewayTimeout, err.Error())
		default:
			answerError(w, http.StatusBadGateway, err.Error())
		}
	})
}

// badRequest is a customer's mistake.
type badRequest struct{ text string }

func (b *badRequest) Error() string { return b.text }

// welcome greets with an offer.
func (f *front) welcome(w http.ResponseWriter, r *http.Request) error {
	offers, err := f.visits.offers(w, r.Context())
	if err != nil {
		return err
	}
	answerJSON(w, http.StatusOK, struct {
		Shop     string  `json:"shop"`
		Products int     `json:"products"`
		Offer    product `json:"offer"`
	}{"gameday sandbox", len(offers), offers[0]})
	return nil
}

// list passes the catalogue on.
func (f *front) list(w http.ResponseWriter, r *http.Request) error {
	list, err := f.products(w, r.Context())
	if err != nil {
		return err
	}
	answer(w, http.StatusOK, list)
	return nil
}

// products asks the catalogue. With a cached answer at hand one attempt is enough:
// an old list at once serves a customer better than a fresh one late.
func (f *front) products(w http.ResponseWriter, ctx context.Context) ([]byte, error) {
	attempts := f.attempts
	var cached *[]byte
	if f.fallback {
		if cached = f.cached.Load(); cached != nil {
			attempts = 1
		}
	}
	list, err := f.catalogue.call(ctx, attempts, http.MethodGet, "/products", "", nil)
	if err == nil {
		f.cached.Store(&list)
		return list, nil
	}
	if cached == nil {
		return nil, err
	}
	f.metrics.fallbacks.WithLabelValues(frontDoor, catalogue).Inc()
	w.Header().Set("X-Served-From", "cache")
	return *cached, nil
}

// order is what a customer may send to /checkout; without a body and a cart it is one
// tea. Payment is for a cart.
type order struct {
	Product  string `json:"product"`
	Quantity int    `json:"quantity"`
	Payment  string `json:"payment,omitempty"`
}

// checkout charges for an order.
func (f *front) checkout(w http.ResponseWriter, r *http.Request) error {
	wanted, err := f.visits.ordered(w, r)
	if err != nil {
		return err
	}
	body, err := json.Marshal(wanted)
	if err != nil {
		return fmt.Errorf("writing the order for %s: %w", payments, err)
	}
	key := r.Header.Get("Idempotency-Key")
	if key == "" {
		key = f.keys.key()
	}
	paid, err := f.payments.call(r.Context(), f.attempts, http.MethodPost, "/charge", key, body)
	if err != nil {
		return err
	}
	var proof receipt
	if err := json.Unmarshal(paid, &proof); err != nil {
		return fmt.Errorf("reading the receipt from %s: %w", payments, err)
	}
	answerJSON(w, http.StatusOK, struct {
		order
		Order   string `json:"order"`
		Receipt string `json:"receipt"`
	}{wanted, key, proof.Receipt})
	return nil
}
