package console

import (
	"strings"

	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"
)

// palette colours text. The colours are the terminal's own sixteen, so that they
// suit a light background as well as a dark one.
type palette struct{ bold, faint, good, warn, bad, accent func(string) string }

// newPalette gives one that leaves text as it is where colour is false.
func newPalette(colour bool) palette {
	if !colour {
		same := func(text string) string { return text }
		return palette{same, same, same, same, same, same}
	}
	paint := func(style lipgloss.Style) func(string) string {
		return func(text string) string {
			if text == "" {
				return ""
			}
			return style.Render(text)
		}
	}
	style := lipgloss.NewStyle().Inline(true)
	return palette{
		bold:   paint(style.Bold(true)),
		faint:  paint(style.Faint(true)),
		good:   paint(style.Foreground(lipgloss.Green)),
		warn:   paint(style.Foreground(lipgloss.Yellow)),
		bad:    paint(style.Bold(true).Foreground(lipgloss.Red)),
		accent: paint(style.Bold(true).Foreground(lipgloss.Cyan)),
	}
}

// cut shortens text to a width in cells.
func cut(text string, width int) string {
	if width <= 0 {
		return ""
	}
	return ansi.Truncate(text, width, "…")
}

// column makes text exactly so many cells wide.
func column(text string, width int) string {
	text = cut(text, width)
	return text + strings.Repeat(" ", max(width-ansi.StringWidth(text), 0))
}

// columnRight is column with the text at its right end.
func columnRight(text string, width int) string {
	text = cut(text, width)
	return strings.Repeat(" ", max(width-ansi.StringWidth(text), 0)) + text
}

// apart puts left and right at the two ends of a line. Left gives way.
func apart(left, right string, width int) string {
	right = cut(right, width)
	room := width - ansi.StringWidth(right)
	if room < 3 {
		return right
	}
	return column(left, room-2) + "  " + right
}
