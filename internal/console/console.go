// Package console shows a run while it goes on: as a live view on a terminal, as
// plain lines elsewhere, or as JSON for programs. Each is a [View] that is fed the
// run's events and knows nothing else of it.
//
// The live view is in three parts: state.go keeps what the events said, render.go
// makes a frame of it (a pure function, with bars.go and style.go to draw with),
// and live.go brings frames to the terminal.
//
// An [Outlet] stands between a run and its view: a reader that stands still, at any
// time and for however long, holds up the view and never the run.
package console

import "github.com/gameday-sh/gameday/experiments"

// View shows the events of a run. Event is called in order, and may block as long as
// whoever reads; Close comes after the last one.
type View interface {
	Event(experiments.Event)
	Close() error
}
