//go:build unix

package console

import (
	"bytes"
	"errors"
	"io"
	"os"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"
	"github.com/creack/pty"
	"golang.org/x/term"

	"github.com/gameday-sh/gameday/experiments"
)

// terminal is a pseudo terminal and all that was written to it.
type terminal struct {
	t        *testing.T
	mine     *os.File // the end of whoever looks at the screen and types
	theirs   *os.File
	before   *term.State
	mu       sync.Mutex
	written  bytes.Buffer
	grew     chan struct{}
	readDone chan struct{}
}

func openTerminal(t *testing.T, columns, rows uint16) *terminal {
	t.Helper()
	mine, theirs, err := pty.Open()
	if err != nil {
		t.Skipf("there are no pseudo terminals here: %v", err)
	}
	if err := pty.Setsize(mine, &pty.Winsize{Rows: rows, Cols: columns}); err != nil {
		t.Fatal(err)
	}
	before, err := term.GetState(int(theirs.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	tt := &terminal{t: t, mine: mine, theirs: theirs, before: before, grew: make(chan struct{}, 1), readDone: make(chan struct{})}
	go func() {
		defer close(tt.readDone)
		chunk := make([]byte, 4096)
		for {
			n, err := mine.Read(chunk)
			tt.mu.Lock()
			tt.written.Write(chunk[:n])
			tt.mu.Unlock()
			select {
			case tt.grew <- struct{}{}:
			default:
			}
			if err != nil {
				return // closed, or EIO once the other end is
			}
		}
	}()
	t.Cleanup(func() {
		for _, err := range []error{theirs.Close(), mine.Close()} {
			if err != nil && !errors.Is(err, os.ErrClosed) {
				t.Error(err)
			}
		}
		<-tt.readDone
	})
	return tt
}

func (tt *terminal) text() string {
	tt.mu.Lock()
	defer tt.mu.Unlock()
	return tt.written.String()
}

// await returns when want was written after what was there at from.
func (tt *terminal) await(from int, want string) {
	tt.t.Helper()
	patience := time.NewTimer(20 * time.Second)
	defer patience.Stop()
	for {
		if strings.Contains(ansi.Strip(tt.text()[from:]), want) {
			return
		}
		select {
		case <-tt.grew:
		case <-patience.C:
			tt.t.Fatalf("%q was never drawn; what was:\n%q", want, tt.text()[from:])
		}
	}
}

func TestLiveViewOnATerminal(t *testing.T) {
	tt := openTerminal(t, 80, 24)
	view := NewLive(tt.theirs, true)
	disruptTape().show(view)
	tt.await(0, "[disrupt]")
	tt.await(0, "page-worthy")

	// The modes of the terminal are left alone: Ctrl-C stays a signal, and nothing is
	// to be put right after a kill.
	during, err := term.GetState(int(tt.theirs.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	if *during != *tt.before {
		t.Error("the view changed the modes of the terminal")
	}

	finished := finishedTape()
	for _, e := range finished.events[len(disruptTape().events):] {
		view.Event(e)
	}
	if err := view.Close(); err != nil {
		t.Fatal(err)
	}
	if err := view.Close(); err != nil {
		t.Errorf("closing twice: %v", err)
	}
	view.Event(experiments.Event{Type: experiments.EventNote, Text: "too late"}) // must not hang or panic
	if _, err := io.WriteString(tt.theirs, "the command goes on"); err != nil {
		t.Fatal(err)
	}
	tt.await(0, "the command goes on")
	text := tt.text()
	last := strings.LastIndex(text, "proven")
	if last < 0 || last > strings.Index(text, "the command goes on") {
		t.Errorf("the last frame was not drawn before Close returned: %q", text)
	}
	for sequence, meaning := range map[string]string{
		"\x1b[?1049h": "the alternate screen, which would take the last frame away",
		"\x1b[?2004h": "bracketed paste",
		"\x1b[J":      "erasing the screen, which fills the scroll-back of tmux",
		"\x1b[2J":     "erasing the screen",
		"\x1b[6n":     "a question to the terminal",
		"\x1b[c":      "a question to the terminal",
	} {
		if strings.Contains(text, sequence) {
			t.Errorf("the view uses %s", meaning)
		}
	}
	if hidden, shown := strings.LastIndex(text, "\x1b[?25l"), strings.LastIndex(text, "\x1b[?25h"); hidden > shown {
		t.Error("the cursor is left hidden")
	}
	if !coloured.MatchString(text) {
		t.Error("there are no colours")
	}
}

var coloured = regexp.MustCompile(`\x1b\[[0-9;]*[1-9][0-9;]*m`)

func TestLiveViewWithoutColours(t *testing.T) {
	tt := openTerminal(t, 80, 24)
	view := NewLive(tt.theirs, false)
	abortedTape().show(view)
	tt.await(0, "STOP:")
	if err := view.Close(); err != nil {
		t.Fatal(err)
	}
	if at := coloured.FindString(tt.text()); at != "" {
		t.Errorf("there is %q in what must be plain", at)
	}
}

func TestLiveViewFollowsTheSizeOfTheTerminal(t *testing.T) {
	tt := openTerminal(t, 80, 24)
	view := NewLive(tt.theirs, false)
	disruptTape().show(view)
	tt.await(0, "[disrupt]")
	seen := len(tt.text())
	if err := pty.Setsize(tt.mine, &pty.Winsize{Rows: 15, Cols: 40}); err != nil {
		t.Fatal(err)
	}
	// The kernel sends the signal to the session of the terminal, which is not ours.
	if err := syscall.Kill(os.Getpid(), syscall.SIGWINCH); err != nil {
		t.Fatal(err)
	}
	tt.await(seen, "4 of 7") // how the phases are shown on 40 columns
	if err := view.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestTypedKeysDoNotMoveTheFrame(t *testing.T) {
	tt := openTerminal(t, 80, 24)
	view := NewLive(tt.theirs, false)
	disruptTape().show(view)
	tt.await(0, "[disrupt]")
	seen := len(tt.text())
	if _, err := io.WriteString(tt.mine, "typed"); err != nil {
		t.Fatal(err)
	}
	tt.await(seen, "typed") // the terminal echoes it on the line of the cursor
	view.Event(experiments.Event{Type: experiments.EventNote, Text: "news"})
	tt.await(seen, "news")
	if err := view.Close(); err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(tt.text()[seen:], "typed")
	if !strings.HasPrefix(after, startOfLine) {
		t.Errorf("after the keys comes %.40q and not the clearing of their line", after)
	}
}

func TestASlowTerminalDoesNotHoldUpTheRun(t *testing.T) {
	// Nobody reads the other end: its buffer fills, and writes block.
	mine, theirs, err := pty.Open()
	if err != nil {
		t.Skipf("there are no pseudo terminals here: %v", err)
	}
	if err := pty.Setsize(mine, &pty.Winsize{Rows: 60, Cols: 200}); err != nil {
		t.Fatal(err)
	}
	view := NewLive(theirs, true)
	for range 200 { // blocks for ever if an event waits for the terminal
		disruptTape().show(view)
	}
	closed := make(chan error, 1)
	go func() { closed <- view.Close() }()
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		if _, err := io.Copy(io.Discard, mine); err != nil && !errors.Is(err, syscall.EIO) && !errors.Is(err, os.ErrClosed) {
			t.Error(err)
		}
	}()
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if err := errors.Join(theirs.Close(), mine.Close()); err != nil {
		t.Error(err)
	}
	<-drained
}
