//go:build unix

package console

import "testing"

func TestAScreenRedrawsInPlace(t *testing.T) {
	tt := openTerminal(t, 80, 24)
	screen := NewScreen(tt.theirs, false)
	screen.Show(func(int, int) []string { return []string{"counting…"} })
	tt.await(0, "counting…")
	screen.Show(func(width, height int) []string {
		if width != 80 || height != 23 {
			return []string{"wrong size"}
		}
		return []string{"checkout 75%", "mail 12%"}
	})
	tt.await(0, "mail 12%")
	from := len(tt.text())
	screen.Show(func(int, int) []string {
		lines := make([]string, 500)
		for i := range lines {
			lines[i] = "more than there is room for, and wider than the terminal is, which is 80 columns wide and no more"
		}
		return lines
	})
	tt.await(from, "more than there is room for")
	if err := screen.Close(); err != nil {
		t.Fatal(err)
	}
	if err := screen.Close(); err != nil {
		t.Errorf("closing twice: %v", err)
	}
}
