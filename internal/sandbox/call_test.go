package sandbox

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// upstream answers in memory, so that the tests can wait in fake time.
type upstream func(attempt int, r *http.Request) (code int, after time.Duration, err error)

type tripper struct {
	answer upstream
	began  time.Time
	at     []time.Duration
	keys   []string
	bodies []string
}

func (u *tripper) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	u.at = append(u.at, time.Since(u.began))
	u.keys = append(u.keys, r.Header.Get("Idempotency-Key"))
	u.bodies = append(u.bodies, string(body))
	code, after, err := u.answer(len(u.at), r)
	select {
	case <-time.After(after):
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	if err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: code, Status: http.StatusText(code), Body: io.NopCloser(strings.NewReader("fine"))}, nil
}

func TestACallIsTriedAgainWithinItsLimits(t *testing.T) {
	refused := errors.New("connection refused")
	always := func(code int, after time.Duration, err error) upstream {
		return func(int, *http.Request) (int, time.Duration, error) { return code, after, err }
	}
	failing := func(times int) upstream {
		return func(attempt int, _ *http.Request) (int, time.Duration, error) {
			if attempt <= times {
				return http.StatusServiceUnavailable, time.Millisecond, nil
			}
			return http.StatusOK, time.Millisecond, nil
		}
	}
	for _, test := range []struct {
		name     string
		upstream upstream
		attempts int
		deadline time.Duration
		tried    int
		took     time.Duration // exactly, where no pause is involved
		want     string        // in the error; empty for success
		late     bool
	}{
		{"success needs one attempt", always(200, 3*time.Millisecond, nil), 3, time.Second, 1, 3 * time.Millisecond, "", false},
		{"300 ms late is within the timeout", always(200, 300*time.Millisecond, nil), 3, time.Second, 1, 300 * time.Millisecond, "", false},
		{"two failures are survived", failing(2), 3, time.Second, 3, 0, "", false},
		{"three failures are not", failing(3), 3, time.Second, 3, 0, "payments answered Service Unavailable", false},
		{"one attempt is one attempt", failing(1), 1, time.Second, 1, time.Millisecond, "payments answered", false},
		{"1.2 s late runs into the deadline in the second attempt", always(200, 1200*time.Millisecond, nil), 3, time.Second, 2, time.Second, "no answer in time", true},
		{"a refused connection is no lateness", always(0, 0, refused), 3, time.Second, 3, 0, "connection refused", false},
		{"a customer's mistake is not repeated", always(http.StatusBadRequest, 0, nil), 3, time.Second, 1, 0, "payments answered Bad Request", false},
		{"too many requests may pass", always(http.StatusTooManyRequests, 0, nil), 3, time.Second, 3, 0, "payments answered Too Many", false},
		{"a deadline before the timeout ends the attempt", always(200, time.Second, nil), 3, 100 * time.Millisecond, 1, 100 * time.Millisecond, "no answer in time", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				server := &tripper{answer: test.upstream, began: began}
				retries := prometheus.NewCounter(prometheus.CounterOpts{Name: "retries_total"})
				c := &caller{
					upstream: payments, base: "http://payments", client: &http.Client{Transport: server},
					timeout: 500 * time.Millisecond, dice: newDice(1, 0), retries: retries,
				}
				ctx, cancel := context.WithTimeout(t.Context(), test.deadline)
				defer cancel()
				answer, err := c.call(ctx, test.attempts, http.MethodPost, "/charge", "key-1", []byte("one tea"))
				took := time.Since(began)
				if test.want == "" && (err != nil || string(answer) != "fine") {
					t.Errorf("call = %q, %v; want the answer", answer, err)
				}
				if test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
					t.Errorf("call failed with %v; want %q", err, test.want)
				}
				if errors.Is(err, errTooLate) != test.late {
					t.Errorf("%v counts as too late: %t; want %t", err, !test.late, test.late)
				}
				if counted := counterValue(t, retries); len(server.at) != test.tried || counted != float64(test.tried-1) {
					t.Errorf("tried %d times and counted %v retries; want %d attempts", len(server.at), counted, test.tried)
				}
				if test.took != 0 && took != test.took {
					t.Errorf("took %s; want %s", took, test.took)
				}
				if took > test.deadline {
					t.Errorf("took %s, which is over the deadline of %s", took, test.deadline)
				}
				for i := range server.at {
					if server.keys[i] != "key-1" || server.bodies[i] != "one tea" {
						t.Errorf("attempt %d sent key %q and body %q", i+1, server.keys[i], server.bodies[i])
					}
				}
			})
		})
	}
}

func TestPausesGrowAndAreDrawnFromTheSeed(t *testing.T) {
	pauses := func(seed uint64) (at []time.Duration) {
		synctest.Test(t, func(t *testing.T) {
			server := &tripper{began: time.Now(), answer: func(int, *http.Request) (int, time.Duration, error) {
				return http.StatusInternalServerError, 0, nil
			}}
			c := &caller{
				upstream: payments, base: "http://payments", client: &http.Client{Transport: server}, timeout: time.Second,
				dice: newDice(seed, 0), retries: prometheus.NewCounter(prometheus.CounterOpts{Name: "retries_total"}),
			}
			if _, err := c.call(t.Context(), 6, http.MethodGet, "/", "", nil); err == nil {
				t.Error("a failing upstream was called with success")
			}
			at = server.at
		})
		return at
	}
	first := pauses(1)
	if len(first) != 6 {
		t.Fatalf("%d attempts; want 6", len(first))
	}
	for i := 1; i < len(first); i++ {
		longest := firstPause << (i - 1)
		if pause := first[i] - first[i-1]; pause < 0 || pause >= longest {
			t.Errorf("pause %d took %s; want less than %s", i, pause, longest)
		}
	}
	if !slices.Equal(first, pauses(1)) {
		t.Error("one seed gave two rows of pauses")
	}
	if slices.Equal(first, pauses(2)) {
		t.Error("two seeds gave one row of pauses")
	}
}

func TestACallStopsWhenTheCustomerLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, leave := context.WithCancel(t.Context())
		server := &tripper{began: time.Now(), answer: func(int, *http.Request) (int, time.Duration, error) {
			return http.StatusOK, time.Hour, nil
		}}
		c := &caller{
			upstream: catalogue, base: "http://catalogue", client: &http.Client{Transport: server}, timeout: time.Minute,
			dice: newDice(1, 0), retries: prometheus.NewCounter(prometheus.CounterOpts{Name: "retries_total"}),
		}
		time.AfterFunc(time.Second, leave)
		_, err := c.call(ctx, 3, http.MethodGet, "/products", "", nil)
		if !errors.Is(err, context.Canceled) || errors.Is(err, errTooLate) {
			t.Errorf("call failed with %v; want a cancellation", err)
		}
		if len(server.at) != 1 {
			t.Errorf("tried %d times after the customer had left", len(server.at))
		}
	})
}
