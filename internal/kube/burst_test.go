package kube

import (
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"
)

// wire is a body whose parts come when they are sent.
type wire struct {
	parts chan string
	rest  string
	ended chan struct{}
}

func (w *wire) Read(into []byte) (int, error) {
	if w.rest == "" {
		select {
		case w.rest = <-w.parts:
		case <-w.ended:
			return 0, io.EOF
		}
	}
	for more := true; more; { // what has come meanwhile
		select {
		case part := <-w.parts:
			w.rest += part
		default:
			more = false
		}
	}
	n := copy(into, w.rest)
	w.rest = w.rest[n:]
	return n, nil
}

func (w *wire) Close() error {
	close(w.ended)
	return nil
}

func TestAWatchIsReadAtOnceAndABurstTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wire{parts: make(chan string, 100), ended: make(chan struct{})}
		body := newBurst(w)
		began := time.Now()
		go func() {
			time.Sleep(time.Second)
			w.parts <- "alone"
			time.Sleep(time.Second)
			w.parts <- "first "
			for i := range 3 {
				time.Sleep(time.Millisecond)
				w.parts <- fmt.Sprint(i)
			}
			time.Sleep(time.Minute)
			w.parts <- "late"
		}()
		into := make([]byte, 100)
		for _, want := range []struct {
			text string
			at   time.Duration
		}{{"alone", time.Second}, {"first ", 2 * time.Second}, {"012", 2*time.Second + burstPace}, {"late", 62*time.Second + 3*time.Millisecond}} {
			n, err := body.Read(into)
			if err != nil {
				t.Fatal(err)
			}
			if got, at := string(into[:n]), time.Since(began); got != want.text || at != want.at {
				t.Errorf("read %q after %s, want %q after %s", got, at, want.text, want.at)
			}
		}
		// Whoever gives up in the middle of a burst need not wait for its end.
		before := time.Now()
		go func() {
			time.Sleep(time.Millisecond)
			if err := body.Close(); err != nil {
				t.Error(err)
			}
		}()
		if _, err := body.Read(into); err != io.EOF || time.Since(before) != time.Millisecond {
			t.Errorf("read on after its end: %v after %s", err, time.Since(before))
		}
	})
}

// Frames of any size come whole, whatever is read at a time.
func TestABurstLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wire{parts: make(chan string, 1), ended: make(chan struct{})}
		body := newBurst(w)
		want := ""
		go func() {
			for i := range 200 {
				part := fmt.Sprintf("%0*d ", 1+i*i%(3*burstBytes/2), i)
				want += part
				w.parts <- part
			}
			time.Sleep(time.Second)
			if err := w.Close(); err != nil {
				t.Error(err)
			}
		}()
		got, err := io.ReadAll(body)
		if err != nil || string(got) != want {
			t.Errorf("%d bytes, want %d: %v", len(got), len(want), err)
		}
	})
}
