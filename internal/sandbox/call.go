package sandbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	// firstPause bounds the pause before the second attempt; it doubles with each.
	firstPause = 25 * time.Millisecond
	// largestBody bounds what is read of a request or an answer.
	largestBody = 64 << 10
)

// errTooLate marks a call that ran out of time, as against one that was refused.
var errTooLate = errors.New("no answer in time")

// dice are seeded random numbers for many goroutines.
type dice struct {
	mu  sync.Mutex
	rng *rand.Rand
}

func newDice(seed, stream uint64) *dice {
	return &dice{rng: rand.New(rand.NewPCG(seed, stream))}
}

// uniform returns the next number in [0, 1).
func (d *dice) uniform() float64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rng.Float64()
}

// key returns a new key of 32 hexadecimal digits.
func (d *dice) key() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return fmt.Sprintf("%016x%016x", d.rng.Uint64(), d.rng.Uint64())
}

// caller calls one upstream, with a timeout for each attempt and pauses between
// them.
type caller struct {
	upstream string // name of the service
	base     string // "http://127.0.0.1:1234", of the proxy in front of it
	client   *http.Client
	timeout  time.Duration // of one attempt
	dice     *dice
	retries  prometheus.Counter
}

// newTransport returns a transport of its own, so that closing its idle
// connections touches nobody else's. It heeds no HTTP_PROXY: everything it
// reaches is on this machine.
func newTransport(idle int) *http.Transport {
	return &http.Transport{
		MaxIdleConns:        idle,
		MaxIdleConnsPerHost: idle,
		IdleConnTimeout:     30 * time.Second,
		DisableCompression:  true,
	}
}

// call asks for path until an attempt succeeds, attempts are used up or ctx ends.
// The error wraps errTooLate if the last attempt ran out of time. A request with a
// body carries key as its Idempotency-Key, so that trying again charges nobody twice.
func (c *caller) call(ctx context.Context, attempts int, method, path, key string, body []byte) ([]byte, error) {
	for attempt := 1; ; attempt++ {
		answer, again, err := c.try(ctx, method, path, key, body)
		if err == nil || !again || attempt >= attempts || ctx.Err() != nil {
			return answer, err
		}
		// Full jitter: clients that failed together do not come back together.
		// https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
		longest := firstPause << min(attempt-1, 6)
		pause := time.Duration(c.dice.uniform() * float64(longest))
		if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= pause {
			return nil, err
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, err
		}
		c.retries.Inc()
	}
}

// try makes one attempt. again tells whether another may help.
func (c *caller) try(ctx context.Context, method, path, key string, body []byte) (answer []byte, again bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, false, fmt.Errorf("calling %s: %w", c.upstream, err)
	}
	if key != "" {
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set("Idempotency-Key", key)
	}
	response, err := c.client.Do(request)
	if err != nil {
		return nil, true, c.failed(ctx, err)
	}
	answer, err = io.ReadAll(io.LimitReader(response.Body, largestBody))
	if err = errors.Join(err, response.Body.Close()); err != nil {
		return nil, true, c.failed(ctx, err)
	}
	if response.StatusCode != http.StatusOK {
		again = response.StatusCode >= 500 || response.StatusCode == http.StatusTooManyRequests
		return nil, again, fmt.Errorf("%s answered %s", c.upstream, response.Status)
	}
	return answer, false, nil
}

func (c *caller) failed(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("%s: %w", c.upstream, errTooLate)
	}
	return fmt.Errorf("calling %s: %w", c.upstream, err)
}
