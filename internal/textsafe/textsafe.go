// Package textsafe makes text from outside (answers of servers, output of
// commands) fit for a terminal, a log line and a report.
package textsafe

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Line returns s as one line without anything a terminal would act on: escape
// sequences are removed, and control characters, invalid UTF-8 and every sort of
// white space become single spaces. Characters without a shape of their own, such as
// those that turn the direction of writing, are removed too. Where the result is
// longer than limit characters it is cut and ends in "…"; a limit below 1 means none.
func Line(s string, limit int) string {
	var line strings.Builder
	kept, gap := 0, false
	for len(s) > 0 {
		if skip := Escape(s); skip > 0 {
			s = s[skip:]
			continue
		}
		r, size := utf8.DecodeRuneInString(s)
		s = s[size:]
		switch {
		case r == utf8.RuneError && size == 1, unicode.IsSpace(r), unicode.IsControl(r), r == '\u2028', r == '\u2029':
			gap = true
			continue
		case !unicode.IsGraphic(r): // Cf, Co, Cn: format, private use, unassigned
			continue
		}
		pending := 1
		if gap && kept > 0 {
			pending = 2
		}
		if limit > 0 && kept+pending > limit {
			return cut(line.String(), limit)
		}
		if pending == 2 {
			line.WriteByte(' ')
		}
		line.WriteRune(r)
		kept += pending
		gap = false
	}
	return line.String()
}

// cut shortens text to leave room for the ellipsis within limit.
func cut(text string, limit int) string {
	runes := []rune(text)
	runes = runes[:min(len(runes), limit-1)]
	return strings.TrimRight(string(runes), " ") + "…"
}

// Escape is the length of the terminal escape sequence that s begins with, 0 if
// there is none. The forms are those of ECMA-48: CSI, the strings (OSC, DCS, SOS,
// PM, APC) up to BEL or ST, and the short ones.
func Escape(s string) int {
	introducer, size := byte(0), 0
	switch {
	case s == "\x1b":
		return 1
	case strings.HasPrefix(s, "\x1b"):
		introducer, size = s[1], 2
	case strings.HasPrefix(s, "\u009b"): // the one-character forms of C1
		introducer, size = '[', 2
	case strings.HasPrefix(s, "\u009d"):
		introducer, size = ']', 2
	case strings.HasPrefix(s, "\u0090"), strings.HasPrefix(s, "\u0098"), strings.HasPrefix(s, "\u009e"), strings.HasPrefix(s, "\u009f"):
		introducer, size = 'P', 2
	default:
		return 0
	}
	switch introducer {
	case '[':
		for i := size; i < len(s); i++ {
			if s[i] >= 0x40 && s[i] <= 0x7e {
				return i + 1
			}
			if s[i] < 0x20 || s[i] > 0x7e { // not a sequence after all: give up the introducer only
				return i
			}
		}
		return len(s)
	case ']', 'P', 'X', '^', '_':
		for i := size; i < len(s); i++ {
			switch {
			case s[i] == 0x07:
				return i + 1
			case s[i] == 0x1b && i+1 < len(s) && s[i+1] == '\\':
				return i + 2
			case strings.HasPrefix(s[i:], "\u009c"):
				return i + 2
			case s[i] == '\n': // an unfinished string must not swallow the lines after it
				return i
			}
		}
		return len(s)
	}
	for i := 1; i < len(s); i++ { // intermediates, then one final character
		if s[i] < 0x20 || s[i] > 0x2f {
			if s[i] >= 0x30 && s[i] <= 0x7e {
				return i + 1
			}
			return i
		}
	}
	return len(s)
}
