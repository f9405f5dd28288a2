package sandbox

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/gameday-sh/gameday/experiments"
)

const (
	// mostWaiting bounds the requests that wait for an answer, and so the memory that
	// a shop which does not answer can cost.
	mostWaiting = 1024
	// latestStart is how late a request may still be sent. After a pause of the whole
	// process (a laptop's lid) the rest must not arrive as one burst.
	latestStart = time.Second
	// patience is how long a customer waits for an answer.
	patience = 5 * time.Second
)

// pacer starts requests on schedule: the n-th at n/rate seconds, whatever became
// of those before it. That makes the load open-loop, as vegeta's and wrk2's is.
type pacer struct {
	rate float64 // requests a second
	most int     // in flight at once
	// send makes the n-th request and returns when it is over. unsent counts one that
	// could not be started.
	send   func(n uint64, scheduled time.Time)
	unsent func(n uint64)
}

// run starts requests until ctx ends, and returns when the last one is over.
func (p *pacer) run(ctx context.Context) {
	var flying sync.WaitGroup
	defer flying.Wait()
	slots := make(chan struct{}, p.most)
	timer := time.NewTimer(0)
	defer timer.Stop()
	began := time.Now()
	for n := uint64(0); ; n++ {
		scheduled := began.Add(time.Duration(float64(n) / p.rate * float64(time.Second)))
		if wait := time.Until(scheduled); wait > 0 {
			timer.Reset(wait)
			select {
			case <-timer.C:
			case <-ctx.Done():
				return
			}
		}
		if ctx.Err() != nil {
			return
		}
		if time.Since(scheduled) > latestStart {
			p.unsent(n)
			continue
		}
		select {
		case slots <- struct{}{}:
			flying.Go(func() {
				defer func() { <-slots }()
				p.send(n, scheduled)
			})
		default:
			p.unsent(n)
		}
	}
}

// customers send requests to the front door and count what they see.
type customers struct {
	url       string
	client    *http.Client
	checkouts experiments.Percent // share of requests that buy; the others browse
	seed      uint64
	metrics   *metrics
}

// route is what the n-th customer does: buy, or look at one of two pages in turn.
// It depends on the seed and n alone, so that two runs send the same requests.
func (c *customers) route(n uint64) string {
	// 53 bits fill a float64 evenly over [0, 1).
	uniform := float64(rand.NewPCG(c.seed, n).Uint64()>>11) / (1 << 53)
	switch {
	case uniform < float64(c.checkouts):
		return "/checkout"
	case n%2 == 0:
		return "/"
	}
	return "/products"
}

// unsent counts the n-th request as one that was not started.
func (c *customers) unsent(n uint64) {
	c.metrics.clientUnsent.WithLabelValues(c.route(n)).Inc()
}

// send makes one request and counts it.
func (c *customers) send(n uint64, scheduled time.Time) {
	route := c.route(n)
	code, err := c.ask(route)
	label := strconv.Itoa(code)
	if err != nil {
		label = noAnswer
	}
	// The latency counts from the schedule: time lost before sending is waiting too.
	c.metrics.clientDurations.WithLabelValues(route).Observe(time.Since(scheduled).Seconds())
	c.metrics.clientRequests.WithLabelValues(route, label).Inc()
}

// ask returns the status code of a whole answer.
func (c *customers) ask(route string) (int, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	method := http.MethodGet
	if route == "/checkout" {
		method = http.MethodPost
	}
	request, err := http.NewRequestWithContext(ctx, method, c.url+route, nil)
	if err != nil {
		return 0, err
	}
	response, err := c.client.Do(request)
	if err != nil {
		return 0, err
	}
	_, err = io.Copy(io.Discard, response.Body)
	return response.StatusCode, errors.Join(err, response.Body.Close())
}
