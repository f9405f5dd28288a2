package experiments

import (
	"context"
	"io"
	"time"
)

// Moment of a run at which receivers are told of it. A verdict is one too: it stands
// for an end with that verdict.
const (
	// MomentBegin: the run began; nothing is broken yet.
	MomentBegin = "begin"
	// MomentInject: the first fault was proven to be in place.
	MomentInject = "inject"
	// MomentAbort: a guard or a person stopped the run; mending begins.
	MomentAbort = "abort"
	// MomentMended: everything that was broken is proven mended; after an end that left
	// something broken, too.
	MomentMended = "mended"
	// MomentEnd: the run is over and has its verdict.
	MomentEnd = "end"
)

// A Receiver is told of runs: a chat, a pager, a collector. What it does never changes
// what a run comes to, so it is called by one goroutine of its own, within a bound of
// time, and may fail.
type Receiver interface {
	// Wants tells whether the notice is one for it. It must not block.
	Wants(n *Notice) bool
	// Deliver sends a notice. It ends with ctx. An error that is a [RetryError] is
	// tried again. No text of an error holds a secret.
	Deliver(ctx context.Context, n *Notice) (Receipt, error)
}

// A Recorder is a receiver that is shown every event of a run, and not only its
// moments. Record must not block, and is never called twice at once.
type Recorder interface {
	Receiver
	Record(Event)
}

// Receipt is what came of a delivery.
type Receipt struct {
	// Said is what was sent in a few words, where the moment does not say it all:
	// "opened the incident gameday/…".
	Said string
	// Opened is the key of an incident or alert that is open after this, Closed of one
	// that is not any more.
	Opened, Closed string
}

// A RetryError tells that a delivery may work when it is tried again.
type RetryError struct {
	Err error
	// After is how long the receiver asked to wait; zero if it did not.
	After time.Duration
}

func (e *RetryError) Error() string { return e.Err.Error() }
func (e *RetryError) Unwrap() error { return e.Err }

// ReceiverPlan is a `notify` block of a configuration.
type ReceiverPlan struct {
	Name     string // "team"
	Kind     string // "slack"
	Origin   string // "shop.hcl:12"
	Receiver Receiver
	// Timeout bounds one attempt, RetryWithin all attempts at one notice.
	Timeout     time.Duration
	RetryWithin time.Duration
}

// NoticeSchema names the shape of a [Notice] in JSON.
const NoticeSchema = "gameday/notice/v1"

// Notice is what a receiver is told at one moment of a run. Secrets are taken out of
// all its texts before.
type Notice struct {
	Schema string    `json:"schema"`
	ID     string    `json:"id"` // the same each time that it is sent: run and moment
	Moment string    `json:"moment"`
	At     time.Time `json:"at"`

	Run         string    `json:"run"`
	Scenario    string    `json:"scenario"`
	Description string    `json:"description,omitempty"`
	Origin      string    `json:"origin,omitempty"`
	Host        string    `json:"host"`
	Version     string    `json:"version"` // of gameday
	Seed        uint64    `json:"seed"`
	Began       time.Time `json:"began"`
	Ended       time.Time `json:"ended,omitzero"` // at end
	Phase       Phase     `json:"phase,omitempty"`

	// Verdict and Reason are known at end.
	Verdict Verdict `json:"verdict,omitempty"`
	Reason  string  `json:"reason,omitempty"`
	// Cause is why the run was stopped before its time, and Guard which guard did it.
	Cause string `json:"cause,omitempty"`
	Guard string `json:"guard,omitempty"`
	// Faults are those of which something was injected up to now.
	Faults []NoticeFault `json:"faults"`
	// Left is what could not be proven mended.
	Left []string `json:"left,omitempty"`
	// Text is the notice in one sentence.
	Text string `json:"text"`

	// Open tells that this receiver may have an incident or an alert of the run open.
	Open bool `json:"-"`
	// Result is there when the run is over.
	Result *Result `json:"-"`
	// Page writes the report of the run as HTML; nil while it goes on.
	Page func(io.Writer) error `json:"-"`
}

// NoticeFault counts what a fault did up to now.
type NoticeFault struct {
	Name     string    `json:"name"`
	Kind     string    `json:"kind"`
	Injected int       `json:"injected"` // proven
	Mended   int       `json:"mended"`   // proven
	From     time.Time `json:"from"`     // the first injection
	To       time.Time `json:"to,omitzero"`
}

// Deliveries' states.
const (
	DeliverySent   = "sent"
	DeliveryFailed = "failed"
)

// Notification is a notice and what came of sending it to one receiver.
type Notification struct {
	At       time.Time `json:"at"` // when it was sent or given up
	Receiver string    `json:"receiver"`
	Kind     string    `json:"kind"`
	Moment   string    `json:"moment"`
	State    string    `json:"state"` // sent or failed
	Attempts int       `json:"attempts"`
	Said     string    `json:"said,omitempty"`
	Opened   string    `json:"opened,omitempty"` // the incident or alert that is open since
	Closed   string    `json:"closed,omitempty"`
	Error    string    `json:"error,omitempty"`
}

// OpenIncidents lists, of notifications in their order, those that opened what none
// closed.
func OpenIncidents(list []Notification) []Notification {
	var open []Notification
	for _, n := range list {
		if n.Opened == "" && (n.Closed == "" || n.State == DeliveryFailed) {
			continue
		}
		rest := open[:0:0]
		for _, o := range open {
			if o.Receiver != n.Receiver || o.Opened != n.Closed && o.Opened != n.Opened {
				rest = append(rest, o)
			}
		}
		open = rest
		if n.Opened != "" {
			open = append(open, n)
		}
	}
	return open
}
