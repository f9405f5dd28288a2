package console

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"
	"github.com/charmbracelet/x/ansi"

	"github.com/gameday-sh/gameday/experiments"
)

const (
	// framePace is the time between two frames.
	framePace = 100 * time.Millisecond
	// repaintPace is the time between two frames that are drawn whole, to heal what
	// keys or other processes wrote over the view.
	repaintPace = 2 * time.Second
)

// NewLive draws on a terminal until Close, below what is there already, and leaves
// its last frame behind.
//
// It reads no keys and leaves the modes of the terminal as they are. Ctrl-C stays
// a signal for whoever listens; a runner that was put into the background is not
// stopped for touching the terminal while things are broken; and after a kill -9
// there is nothing to put right.
func NewLive(terminal *os.File, colour bool) View {
	v := &liveView{palette: newPalette(colour)}
	v.screenful = draw(terminal, colour, v.frame)
	return v
}

type liveView struct {
	*screenful
	mu      sync.Mutex
	state   liveState
	palette palette
}

// screenful keeps a frame on a terminal up to date.
type screenful struct {
	frame    func(width, height int) string
	terminal *tidyTerminal
	program  *tea.Program
	working  sync.WaitGroup
	ended    chan struct{}
	once     sync.Once
	err      error // of program; read after working
}

// draw begins to show frames.
func draw(terminal *os.File, colour bool, frame func(width, height int) string) *screenful {
	v := &screenful{frame: frame, terminal: &tidyTerminal{file: terminal}, ended: make(chan struct{})}
	profile := colorprofile.ASCII
	if colour {
		profile = colorprofile.ANSI
	}
	v.program = tea.NewProgram(&liveModel{view: v},
		tea.WithInput(nil),
		tea.WithoutSignalHandler(),
		tea.WithOutput(v.terminal),
		tea.WithColorProfile(profile),
		tea.WithFPS(int(time.Second/framePace)),
	)
	v.working.Go(func() {
		if _, err := v.program.Run(); err != nil {
			v.err = fmt.Errorf("draw on the terminal: %w", err)
		}
	})
	v.working.Go(v.tick)
	return v
}

// Event takes in what happened. It is drawn with the next frame, so that a slow
// terminal never holds up the run.
func (v *liveView) Event(event experiments.Event) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.state.event(event)
}

// Close draws the last frame and gives the terminal back.
func (v *screenful) Close() error {
	v.once.Do(func() {
		close(v.ended)
		v.program.Quit()
		v.working.Wait()
	})
	return v.err
}

type (
	frameMsg   struct{}
	repaintMsg struct{}
)

// tick asks for frames. Sending does nothing once the program has ended.
func (v *screenful) tick() {
	frames, repaints := time.NewTicker(framePace), time.NewTicker(repaintPace)
	defer frames.Stop()
	defer repaints.Stop()
	for {
		select {
		case <-v.ended:
			return
		case <-frames.C:
			v.program.Send(frameMsg{})
		case <-repaints.C:
			v.program.Send(repaintMsg{})
		}
	}
}

func (v *liveView) frame(width, height int) string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return render(&v.state, screen{width: width, height: height, now: time.Now(), palette: v.palette})
}

// liveModel is the view as bubbletea wants it.
type liveModel struct {
	view          *screenful
	width, height int
}

func (m *liveModel) Init() tea.Cmd { return nil }

func (m *liveModel) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
		m.view.terminal.rows.Store(int64(msg.Height))
	case repaintMsg:
		return m, tea.ClearScreen
	}
	return m, nil
}

func (m *liveModel) View() tea.View {
	if m.width < 1 || m.height < 1 {
		return tea.View{DisableBracketedPasteMode: true}
	}
	content := m.view.frame(m.width, m.height)
	view := tea.NewView(content)
	view.DisableBracketedPasteMode = true
	// The cursor stays visible, on the empty line below the frame: whoever kills the
	// program has it back at once. A shape of its own is taken back at the end.
	view.Cursor = tea.NewCursor(0, strings.Count(content, "\n"))
	view.Cursor.Blink = false
	return view
}

// tidyTerminal is the terminal as bubbletea writes to it.
//
// The terminal echoes the keys that are typed on the line of the cursor, which is
// kept empty; before each write that line is cleared and the cursor is back at its
// start, where bubbletea takes it to be. And some terminals (tmux) keep a copy of
// the screen when it is erased from its first line to its last, so that each whole
// repaint would leave a frame in the scroll-back; here lines are erased one by one.
type tidyTerminal struct {
	file *os.File
	used bool
	rows atomic.Int64 // of the terminal
}

const startOfLine = "\r" + ansi.EraseLineRight

func (t *tidyTerminal) Write(text []byte) (int, error) {
	tidy := strings.ReplaceAll(string(text), ansi.EraseScreenBelow, t.eraseBelow())
	if t.used {
		tidy = startOfLine + tidy
	}
	t.used = true // before that, the line may hold what somebody else wrote
	if _, err := io.WriteString(t.file, tidy); err != nil {
		return 0, err
	}
	return len(text), nil
}

// eraseBelow erases from the cursor to the end of the screen, and leaves the cursor
// where it is.
func (t *tidyTerminal) eraseBelow() string {
	lines := strings.Repeat(ansi.CUD1+ansi.EraseEntireLine, int(t.rows.Load()))
	return ansi.SaveCursor + ansi.EraseLineRight + lines + ansi.RestoreCursor
}

// Read, Close and Fd let bubbletea know the terminal for one. It is not its to
// read or to close.
func (t *tidyTerminal) Read([]byte) (int, error) { return 0, os.ErrClosed }
func (t *tidyTerminal) Close() error             { return nil }
func (t *tidyTerminal) Fd() uintptr              { return t.file.Fd() }
