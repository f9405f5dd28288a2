package kube

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gameday-sh/gameday/internal/textsafe"
)

// burstPace is the time between two looks at a watch that has just told something. When
// hundreds of pods change at once, a look at each change as it comes costs more than all
// of the changes; a change that comes alone is seen at once.
const burstPace = 20 * time.Millisecond

// burstBytes is how much of a burst is taken in at once.
const burstBytes = 64 << 10

// gathering is a way to an API server that takes in what watches tell in bursts.
type gathering struct{ next http.RoundTripper }

func (g gathering) RoundTrip(request *http.Request) (*http.Response, error) {
	answer, err := g.next.RoundTrip(request)
	if last, ok := request.Context().Value(putOffKey{}).(*atomic.Value); ok && err == nil {
		// client-go waits and tries again, and says nothing of it when time is up.
		status := ""
		if answer.Header.Get("Retry-After") != "" {
			status = answer.Status
		}
		last.Store(status)
	}
	if err == nil && strings.Contains(request.URL.RawQuery, "watch=true") {
		answer.Body = newBurst(answer.Body)
	}
	return answer, err
}

// putOffKey is where a call's context has the status (429 Too Many Requests) with which
// it was asked last to come back later.
type putOffKey struct{}

func putOff(ctx context.Context) context.Context {
	return context.WithValue(ctx, putOffKey{}, new(atomic.Value))
}

// timeUp is the error of a call, made with a context that putOff made for it out of ctx;
// where its time is up it says so.
func (c *Client) timeUp(ctx, call context.Context, err error) error {
	if call.Err() == nil {
		return err
	}
	if last, ok := call.Value(putOffKey{}).(*atomic.Value); ok {
		if status, _ := last.Load().(string); status != "" {
			return fmt.Errorf("no answer in time but %s: %w", textsafe.Line(status, 80), errBusy)
		}
	}
	if ctx.Err() != nil {
		return err
	}
	return fmt.Errorf("no answer within %s: %w", c.timeout, errNoAnswer)
}

// WrappedRoundTripper lets client-go find the transport below.
func (g gathering) WrappedRoundTripper() http.RoundTripper { return g.next }

// burst is the body of a watch.
type burst struct {
	io.Closer
	told   *bufio.Reader
	read   bool // something was read already
	close  sync.Once
	closed chan struct{}
}

func newBurst(body io.ReadCloser) *burst {
	return &burst{Closer: body, told: bufio.NewReaderSize(body, burstBytes), closed: make(chan struct{})}
}

func (b *burst) Read(into []byte) (int, error) {
	if b.read && b.told.Buffered() == 0 {
		rest := time.NewTimer(burstPace)
		defer rest.Stop()
		select {
		case <-rest.C:
		case <-b.closed:
		}
	}
	n, err := b.told.Read(into)
	b.read = b.read || n > 0
	return n, err
}

func (b *burst) Close() error {
	b.close.Do(func() { close(b.closed) })
	return b.Closer.Close()
}
