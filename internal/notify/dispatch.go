package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/gameday-sh/gameday/experiments"
)

// FlushWithin is how long the end of a run waits for what is still to be sent.
const FlushWithin = 10 * time.Second

const (
	// A notice is sent again after firstPause, then after twice that, up to longestPause.
	firstPause   = 250 * time.Millisecond
	longestPause = 5 * time.Second
	// waiting is how many notices may wait for one receiver; a run has five moments.
	waiting = 16
	// abandonAfter is how long a receiver may go on after it was told to stop.
	abandonAfter = time.Second
)

// Options is what a dispatcher needs from outside.
type Options struct {
	// Description is what the scenario shows.
	Description string
	// Redact takes secrets out of a text.
	Redact func(string) string
	// Done, if set, is told of each delivery when it is done with. It is called from
	// several goroutines.
	Done func(experiments.Notification)
	// Page writes the report of a run as HTML, without secrets.
	Page func(io.Writer, *experiments.Result) error
}

// Dispatcher tells the receivers of one run.
type Dispatcher struct {
	o       Options
	story   *story
	workers []*worker

	watching sync.Mutex
	closed   bool // the queues are: a fault that was given up may still come back with events

	mu      sync.Mutex
	over    bool // End returned: what is reported later comes too late
	results []experiments.Notification
}

// worker is one receiver and what waits for it.
type worker struct {
	plan   *experiments.ReceiverPlan
	queue  chan *experiments.Notice
	ended  chan struct{} // closed when nothing is to be sent any more
	ctx    context.Context
	cancel context.CancelFunc
	hurry  chan struct{} // closed at the end of the run: what fails now is not tried for long
	open   bool          // an incident may be open
	lost   bool          // it panicked on an event, and is shown no more
}

// New starts a worker for each receiver.
func New(ctx context.Context, plans []*experiments.ReceiverPlan, o Options) *Dispatcher {
	if o.Redact == nil {
		o.Redact = func(text string) string { return text }
	}
	d := &Dispatcher{o: o, story: newStory(o.Description, o.Redact)}
	for _, plan := range plans {
		w := &worker{plan: plan, queue: make(chan *experiments.Notice, waiting), ended: make(chan struct{}), hurry: make(chan struct{})}
		// What stops the run does not stop telling of it.
		w.ctx, w.cancel = context.WithCancel(context.WithoutCancel(ctx))
		d.workers = append(d.workers, w)
		go d.work(w)
	}
	return d
}

// Inherit tells a dispatcher that others may have opened incidents of this run. They may
// have died before they could write that down, and to resolve one that was never opened
// is harmless.
func (d *Dispatcher) Inherit() {
	for _, w := range d.workers {
		w.open = true
	}
}

// Watch takes an event in. It never waits for a receiver.
func (d *Dispatcher) Watch(event experiments.Event) {
	d.watching.Lock()
	defer d.watching.Unlock()
	if d.closed {
		return
	}
	for _, w := range d.workers {
		if recorder, ok := w.plan.Receiver.(experiments.Recorder); ok && !w.lost {
			w.lost = !d.carefully(w, "event", func() { recorder.Record(event) })
		}
	}
	for _, notice := range d.story.take(event) {
		d.tell(notice)
	}
}

// carefully keeps the panic of a receiver away from the run. It gives false after one.
func (d *Dispatcher) carefully(w *worker, moment string, work func()) (well bool) {
	defer func() {
		if reason := recover(); reason != nil {
			d.report(experiments.Notification{At: time.Now(), Receiver: w.plan.Name, Kind: w.plan.Kind, Moment: moment, State: experiments.DeliveryFailed, Error: d.o.Redact(fmt.Sprintf("it panicked: %v", reason))})
		}
	}()
	work()
	return true
}

func (d *Dispatcher) tell(n *experiments.Notice) {
	for _, w := range d.workers {
		select {
		case w.queue <- n:
		default:
			d.report(experiments.Notification{At: time.Now(), Receiver: w.plan.Name, Kind: w.plan.Kind, Moment: n.Moment, State: experiments.DeliveryFailed, Error: "too many notices wait for it already"})
		}
	}
}

func (d *Dispatcher) report(n experiments.Notification) {
	d.mu.Lock()
	over := d.over
	if !over {
		d.results = append(d.results, n)
	}
	d.mu.Unlock()
	if !over && d.o.Done != nil {
		d.o.Done(n)
	}
}

// End tells how the run ended, or, of one that had ended, that what it left is mended.
// It waits until everything is sent, ctx ends, or [FlushWithin] is over, and gives what
// came of all notices in the order in which they were done with.
func (d *Dispatcher) End(ctx context.Context, r *experiments.Result, moment string) []experiments.Notification {
	if len(d.workers) == 0 {
		return nil
	}
	d.watching.Lock()
	d.closed = true
	d.watching.Unlock()
	notice, err := d.story.end(r, moment)
	if err == nil {
		if d.o.Page != nil {
			notice.Page = func(w io.Writer) error { return d.o.Page(w, r) }
		}
		d.tell(notice)
	}
	ctx, cancel := context.WithTimeout(ctx, FlushWithin)
	defer cancel()
	for _, w := range d.workers {
		if err != nil {
			d.report(experiments.Notification{At: time.Now(), Receiver: w.plan.Name, Kind: w.plan.Kind, Moment: moment, State: experiments.DeliveryFailed, Error: d.o.Redact(err.Error())})
		}
		close(w.hurry)
		close(w.queue)
	}
	stop := context.AfterFunc(ctx, func() {
		for _, w := range d.workers {
			w.cancel()
		}
	})
	defer stop()
	for _, w := range d.workers {
		select {
		case <-w.ended:
			continue
		case <-ctx.Done():
		}
		select {
		case <-w.ended:
		case <-time.After(abandonAfter):
			d.report(experiments.Notification{At: time.Now(), Receiver: w.plan.Name, Kind: w.plan.Kind, Moment: moment, State: experiments.DeliveryFailed, Error: "it did not stop when it was told to; what it still does is not known"})
		}
	}
	for _, w := range d.workers {
		w.cancel()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.over = true
	return slices.Clone(d.results)
}

// work sends what waits for one receiver, in order.
func (d *Dispatcher) work(w *worker) {
	defer close(w.ended)
	for n := range w.queue {
		own := *n
		own.Open = w.open
		wanted := false
		if !d.carefully(w, n.Moment, func() { wanted = w.plan.Receiver.Wants(&own) }) || !wanted {
			continue
		}
		done := w.deliver(&own)
		done.Error = d.o.Redact(done.Error)
		done.Said = d.o.Redact(done.Said)
		if done.Opened != "" || done.Closed != "" {
			// An attempt to open may have worked although its answer was lost.
			w.open = done.Opened != "" || done.State == experiments.DeliveryFailed
		}
		d.report(done)
	}
	if closer, ok := w.plan.Receiver.(io.Closer); ok {
		if err := closer.Close(); err != nil {
			d.report(experiments.Notification{At: time.Now(), Receiver: w.plan.Name, Kind: w.plan.Kind, Moment: experiments.MomentEnd, State: experiments.DeliveryFailed, Error: d.o.Redact(err.Error())})
		}
	}
}

// deliver tries one notice until it is sent, cannot be, or its time is over.
func (w *worker) deliver(n *experiments.Notice) experiments.Notification {
	done := experiments.Notification{Receiver: w.plan.Name, Kind: w.plan.Kind, Moment: n.Moment, State: experiments.DeliverySent}
	until := time.Now().Add(w.plan.RetryWithin)
	pause := firstPause
	for {
		done.Attempts++
		receipt, err := w.attempt(n)
		done.At, done.Said, done.Opened, done.Closed = time.Now(), receipt.Said, receipt.Opened, receipt.Closed
		if err == nil {
			return done
		}
		done.State, done.Error, done.Said = experiments.DeliveryFailed, err.Error(), ""
		var again *experiments.RetryError
		if !errors.As(err, &again) {
			return done
		}
		wait := max(pause, again.After)
		pause = min(2*pause, longestPause)
		if time.Now().Add(wait).After(until) {
			if again.After > 0 {
				done.Error += fmt.Sprintf(" (it asks to wait %s, which is longer than there is)", experiments.FormatDuration(again.After))
			}
			return done
		}
		if !w.pause(n, wait) {
			return done
		}
		done.State, done.Error = experiments.DeliverySent, ""
	}
}

// pause waits before the next attempt. Once the run is over, what came before the end is
// not tried again, so that there is time for the end.
func (w *worker) pause(n *experiments.Notice, wait time.Duration) bool {
	hurry := w.hurry
	if n.Result != nil {
		hurry = nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-hurry:
		return false
	case <-w.ctx.Done():
		return false
	}
}

func (w *worker) attempt(n *experiments.Notice) (receipt experiments.Receipt, err error) {
	ctx, cancel := context.WithTimeout(w.ctx, w.plan.Timeout)
	defer cancel()
	defer func() {
		if reason := recover(); reason != nil {
			err = fmt.Errorf("it panicked: %v", reason)
		}
	}()
	return w.plan.Receiver.Deliver(ctx, n)
}

// clean is a copy of a result without secrets, and without its series.
func clean(r *experiments.Result, redact func(string) string) (*experiments.Result, error) {
	short := *r
	short.Series = nil
	text, err := json.Marshal(&short)
	if err != nil {
		return nil, fmt.Errorf("take the secrets out of the result: %w", err)
	}
	var out experiments.Result
	if err := json.Unmarshal([]byte(redact(string(text))), &out); err != nil {
		return nil, fmt.Errorf("take the secrets out of the result: %w", err)
	}
	return &out, nil
}
