package console

import (
	"os"
	"strings"
	"sync"
)

// Screen shows lines on a terminal and redraws them in place, with the care for the
// terminal that [NewLive] takes: no keys are read, and Ctrl-C stays a signal.
type Screen struct {
	*screenful
	mu    sync.Mutex
	lines func(width, height int) []string
}

// NewScreen begins with an empty screen; Close leaves the last lines behind.
func NewScreen(terminal *os.File, colour bool) *Screen {
	s := &Screen{}
	s.screenful = draw(terminal, colour, func(width, height int) string {
		s.mu.Lock()
		lines := s.lines
		s.mu.Unlock()
		if lines == nil {
			return "\n"
		}
		list := lines(width, max(height-1, 1)) // the line of the cursor is kept free
		list = list[:min(len(list), max(height-1, 1))]
		for i := range list {
			list[i] = cut(list[i], width)
		}
		return strings.Join(list, "\n") + "\n"
	})
	return s
}

// Show draws other lines from the next frame on.
func (s *Screen) Show(lines func(width, height int) []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = lines
}
