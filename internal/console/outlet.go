package console

import (
	"context"
	"fmt"
	"io"
	"math"
	"sync"
	"time"

	"github.com/gameday-sh/gameday/experiments"
)

// An Outlet brings what a command says to whoever reads it, and never holds up whoever
// says it: a pager that waits for a key, a terminal stopped with Ctrl-S, a program that
// reads no more. What is said waits in a queue, in order, and one goroutine writes it.
// What came while that wrote goes out together, whole lines at a time.
//
// The queue is bounded. What finds no place in it is left out, measurements long before
// hits; an event of type [experiments.EventMissing] stands in its place and says how
// many. How a run begins, goes on from phase to phase, is stopped and ends is never left
// out.
type Outlet struct {
	pipe lineWriter
	view View // nil where only text is said

	mu      sync.Mutex
	queue   []said
	saying  int               // how many were taken from the queue and are not said yet
	missing experiments.Event // what was left out since the last of the queue
	unread  int               // events that the reader did not take, or get, up to now
	turn    int               // counts what the reader took
	over    bool              // nothing more is taken in

	wake  chan struct{}
	ended chan struct{}
	// Of the goroutine: what it said since the last turn, in things and in events.
	things, events int
	err            error // read after ended
}

// said is one thing to bring: an event, a text, or the end of the view.
type said struct {
	event experiments.Event
	text  []byte
	end   bool
}

const (
	// mostWaiting is how many events wait for a reader at most, and mostMeasured up to
	// how many there may be for a measurement to be added.
	mostWaiting  = 1 << 15
	mostMeasured = mostWaiting / 2
	// lastGrace is what a reader has to take what is left once somebody said not to wait.
	lastGrace = time.Second
)

// NewOutlet begins to write to w what a view makes of events. Without a view it takes
// text alone. Writes to w may block for as long as they like.
func NewOutlet(w io.Writer, view func(io.Writer) View) *Outlet {
	o := &Outlet{wake: make(chan struct{}, 1), ended: make(chan struct{})}
	o.pipe.w = w
	o.pipe.wrote = o.took
	if view != nil {
		o.view = view(&o.pipe)
	}
	go o.work()
	return o
}

// Event takes in what happened. It waits for nobody.
func (o *Outlet) Event(event experiments.Event) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.over {
		return
	}
	o.unread++
	if o.saying+len(o.queue) >= placesFor(event.Type) {
		if o.missing.Missing == 0 {
			o.missing = experiments.Event{At: event.At, Type: experiments.EventMissing, Phase: event.Phase}
		}
		o.missing.Missing++
		return
	}
	o.put(said{event: event})
}

// placesFor gives how many may wait already when an event of a type is still taken in.
func placesFor(t experiments.EventType) int {
	switch t {
	case experiments.EventSample, experiments.EventCount, experiments.EventJudgement, experiments.EventGuard, experiments.EventBudget:
		return mostMeasured
	case experiments.EventHit, experiments.EventNote:
		return mostWaiting
	}
	return math.MaxInt
}

// put adds to the queue, behind a word on what was left out before it.
func (o *Outlet) put(s said) {
	if o.missing.Missing > 0 {
		o.queue = append(o.queue, said{event: o.missing})
		o.missing.Missing = 0
	}
	o.queue = append(o.queue, s)
	select {
	case o.wake <- struct{}{}:
	default: // it is awake
	}
}

// EndView closes the view when all events before are shown; what is written from then on
// stands below it.
func (o *Outlet) EndView() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.over {
		o.put(said{end: true})
	}
}

// Write says a text, after all that was said before. It never fails: what becomes of it,
// Close tells.
func (o *Outlet) Write(text []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.over {
		o.put(said{text: append([]byte(nil), text...)})
	}
	return len(text), nil
}

// An UnreadError tells that a reader did not take all that was said.
type UnreadError struct {
	Events int // that were not written
	Why    string
}

func (e *UnreadError) Error() string {
	what := "its end was not read"
	if e.Events > 0 {
		what = fmt.Sprintf("its last events were not read (%d of them)", e.Events)
	}
	return what + ", as " + e.Why
}

// Close waits until everything is written. It gives up, with an [UnreadError], when
// nothing was taken for as long as patience, if that is more than zero, and soon after
// ctx has ended. Any other error is that of the view or the writer.
func (o *Outlet) Close(ctx context.Context, patience time.Duration) error {
	o.mu.Lock()
	if !o.over {
		o.put(said{end: true})
	}
	o.over = true
	turn := o.turn
	o.mu.Unlock()
	var limit <-chan time.Time
	if patience > 0 {
		ticker := time.NewTicker(patience)
		defer ticker.Stop()
		limit = ticker.C
	}
	told, why := ctx.Done(), ""
	for {
		select {
		case <-o.ended:
			return o.err
		case <-told:
			told, why = nil, "it was told not to wait any longer"
			grace := time.NewTimer(lastGrace)
			defer grace.Stop()
			limit = grace.C
		case <-limit:
			if now := o.turns(); why == "" && now != turn {
				turn = now
				continue
			}
			if why == "" {
				why = fmt.Sprintf("nothing was taken for %s", experiments.FormatDuration(patience))
			}
			return o.giveUp(why)
		}
	}
}

func (o *Outlet) turns() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.turn
}

// giveUp leaves the writer to itself: a write that blocks ends with the process.
func (o *Outlet) giveUp(why string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return &UnreadError{Events: o.unread, Why: why}
}

// took notes that the reader took what was said up to now.
func (o *Outlet) took() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.turn++
	o.saying -= o.things
	o.unread -= o.events
	o.things, o.events = 0, 0
}

// next waits for something to say. It gives nothing once all is said.
func (o *Outlet) next() []said {
	for {
		o.mu.Lock()
		list, over := o.queue, o.over
		o.queue, o.saying = nil, len(list)
		o.mu.Unlock()
		if len(list) > 0 || over {
			return list
		}
		<-o.wake
	}
}

func (o *Outlet) work() {
	defer close(o.ended)
	shown := o.view == nil
	for list := o.next(); len(list) > 0; list = o.next() {
		for i := range list {
			switch s := &list[i]; {
			case s.end && !shown:
				shown, o.err = true, o.view.Close()
			case s.text != nil:
				o.pipe.put(s.text)
			case !s.end:
				if !shown {
					o.view.Event(s.event)
				}
				o.events += max(s.event.Missing, 1)
			}
			o.things++
			list[i] = said{} // it may be large, and the next may wait for long
		}
		o.pipe.flush()
		o.took()
	}
	if o.err == nil && o.pipe.err != nil {
		o.err = fmt.Errorf("write the output: %w", o.pipe.err)
	}
}

// lineWriter gathers lines and writes many at once. A write of up to mostAtOnce holds
// whole lines: a pipe takes it whole or not at all (PIPE_BUF of POSIX is 4096 on Linux),
// so that a reader never sees half a line of it, even if the program ends meanwhile.
type lineWriter struct {
	w     io.Writer
	lines []byte
	err   error
	wrote func()
}

const mostAtOnce = 4096

// Write takes a line, or several. The error is that of an earlier write.
func (l *lineWriter) Write(text []byte) (int, error) {
	if l.err != nil {
		return 0, l.err
	}
	l.put(text)
	if l.err != nil {
		return 0, l.err
	}
	return len(text), nil
}

func (l *lineWriter) put(text []byte) {
	if len(l.lines)+len(text) > mostAtOnce {
		l.flush()
	}
	l.lines = append(l.lines, text...)
	if len(l.lines) >= mostAtOnce {
		l.flush()
	}
}

func (l *lineWriter) flush() {
	if len(l.lines) == 0 || l.err != nil {
		l.lines = l.lines[:0]
		return
	}
	_, l.err = l.w.Write(l.lines)
	l.lines = l.lines[:0]
	l.wrote()
}
