package experiments

import (
	"errors"
	"fmt"
	"time"
)

// post hands work to the goroutine of Run, as long as that takes any.
func (r *runner) post(work func()) {
	select {
	case r.inbox <- work:
	case <-r.over:
	}
}

// emit hands an event to the journal, without waiting for the disk, and to Watch.
func (r *runner) emit(event Event) { r.publish(event, true) }

// publish hands an event to Watch, and to the journal if it is to be recorded.
func (r *runner) publish(event Event, record bool) {
	r.emitting.Lock()
	defer r.emitting.Unlock()
	if r.closed {
		return
	}
	event = r.stamp(event)
	if record && r.o.Journal != nil && r.journalFailed == nil {
		if err := r.o.Journal.Append(event); err != nil {
			r.journalFailed = err
		}
	}
	if r.o.Watch != nil {
		r.o.Watch(event)
	}
}

// commit hands events to the journal and returns when they are on disk.
func (r *runner) commit(events ...Event) error {
	r.emitting.Lock()
	for i := range events {
		events[i] = r.stamp(events[i])
	}
	err := r.journalFailed
	if r.closed {
		err = errors.New("the run is over")
	}
	r.emitting.Unlock()
	// The fsync runs outside the lock, so that several hits share one.
	if err == nil && r.o.Journal != nil {
		err = r.o.Journal.Commit(events...)
	}
	r.emitting.Lock()
	defer r.emitting.Unlock()
	if err != nil {
		if r.journalFailed == nil {
			r.journalFailed = err
		}
		return fmt.Errorf("the journal cannot be written, so nothing more is broken: %w", err)
	}
	if r.o.Watch != nil {
		for _, event := range events {
			r.o.Watch(event)
		}
	}
	return nil
}

func (r *runner) stamp(event Event) Event {
	if event.At.IsZero() {
		event.At = time.Now()
	}
	event.Phase = r.phase
	return event
}

// moment adds a line to the timeline of the report.
func (r *runner) moment(kind, text string) { r.momentAt(time.Now(), kind, text) }

func (r *runner) momentAt(at time.Time, kind, text string) {
	r.emitting.Lock()
	defer r.emitting.Unlock()
	r.timeline = append(r.timeline, Moment{At: at, Kind: kind, Text: text})
}
