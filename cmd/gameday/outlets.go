package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"syscall"
	"time"

	"github.com/gameday-sh/gameday/internal/console"
)

// outlets is where a command that breaks or mends things says what it does. Neither who
// reads its output nor who reads its errors ever holds it up.
type outlets struct {
	out, errors *console.Outlet
	// last is said on standard error when the output was read, so that both can go to one
	// terminal.
	last  bytes.Buffer
	limit time.Duration
}

// patienceOfPrograms is how long the end of a command waits for a program that takes
// nothing of what it said.
const patienceOfPrograms = 10 * time.Second

// patience gives that for the readers of some writers. It is zero, which is no limit, if
// a terminal is among them: there a person may have stopped the terminal or a pager for a
// while, and Ctrl-C ends the wait.
func patience(writers ...io.Writer) time.Duration {
	for _, w := range writers {
		if _, yes := isTerminal(w); yes {
			return 0
		}
	}
	return patienceOfPrograms
}

// newOutlets begins to write. Without a view, out takes text alone.
func newOutlets(stdout, stderr io.Writer, view func(io.Writer) console.View) *outlets {
	return &outlets{out: console.NewOutlet(stdout, view), errors: console.NewOutlet(stderr, nil), limit: patience(stdout, stderr)}
}

// close waits until all is read, or ctx ends, or a program takes nothing for too long.
// That is told, and is no error: what was done does not depend on who reads of it.
func (o *outlets) close(ctx context.Context) (output, complaints error) {
	output = o.out.Close(ctx, o.limit)
	var unread *console.UnreadError
	if errors.As(output, &unread) {
		fmt.Fprintf(&o.last, "gameday: standard output: %s; `gameday runs` shows what was done\n", unread)
		output = nil
	}
	_, err := o.last.WriteTo(o.errors)
	return heard(output), errors.Join(err, heard(closeLast(ctx, o.errors, o.limit)))
}

// closeLast closes the outlet after which there is nobody left to tell that it was not
// read.
func closeLast(ctx context.Context, out *console.Outlet, limit time.Duration) error {
	err := out.Close(ctx, limit)
	var unread *console.UnreadError
	if errors.As(err, &unread) {
		return nil
	}
	return err
}

// heard takes away the error of a reader that has had enough.
func heard(err error) error {
	if errors.Is(err, syscall.EPIPE) {
		return nil
	}
	return err
}

// complain says why the program ends. A reader that stands still does not keep it from
// ending.
func complain(stderr io.Writer, text string) error {
	out := console.NewOutlet(stderr, nil)
	_, err := io.WriteString(out, text)
	return errors.Join(err, closeLast(context.Background(), out, patience(stderr)))
}

// nextSignal gives what the next signal ends: the first ends ctx, the second hurry.
func nextSignal(ctx, hurry context.Context) context.Context {
	if ctx.Err() == nil {
		return ctx
	}
	return hurry
}
