package textsafe

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestLine(t *testing.T) {
	for _, test := range []struct {
		name, in string
		limit    int
		want     string
	}{
		{"plain text stays", "503 Service Unavailable", 0, "503 Service Unavailable"},
		{"letters of any script stay", "größer 漢字 😀", 0, "größer 漢字 😀"},
		{"accents that combine stay", "e\u0301", 0, "e\u0301"},
		{"white space becomes single spaces", " a\t\tb\r\n\u00a0c\u2028d ", 0, "a b c d"},
		{"control characters become spaces", "a\x00\x07b\x7fc\u0085d", 0, "a b c d"},
		{"invalid bytes become spaces", "a\xff\xfeb", 0, "a b"},
		{"colours go", "\x1b[31;1mred\x1b[0m", 0, "red"},
		{"colours of one byte C1 form go", "\u009b31mred", 0, "red"},
		{"a window title goes with its text", "a\x1b]0;pwned\x07b", 0, "ab"},
		{"a link goes and its label stays", "\x1b]8;;http://evil\x1b\\label\x1b]8;;\x1b\\", 0, "label"},
		{"a string of one byte C1 form goes", "a\u009dtitle\u009cb", 0, "ab"},
		{"a device control string goes", "a\x1bPq#0\x1b\\b", 0, "ab"},
		{"an unfinished string does not swallow the next line", "a\x1b]0;title\nb", 0, "a b"},
		{"a short escape goes", "a\x1b(Bb\x1bcd", 0, "abd"},
		{"an escape at the end goes", "a\x1b", 0, "a"},
		{"an unfinished sequence goes", "a\x1b[31", 0, "a"},
		{"a broken sequence gives up its beginning only", "a\x1b[3\nb", 0, "a b"},
		{"the direction of writing cannot be turned", "a\u202eb\u2066c", 0, "abc"},
		{"a text as long as the limit is whole", "abcde", 5, "abcde"},
		{"a longer one is cut", "abcdef", 5, "abcd…"},
		{"no space is left before the ellipsis", "abc def", 5, "abc…"},
		{"characters are counted and not bytes", "äöüß", 4, "äöüß"},
		{"trailing space needs no room", "abcde   ", 5, "abcde"},
		{"a limit of one leaves the ellipsis", "ab", 1, "…"},
		{"nothing gives nothing", "", 5, ""},
		{"nothing but controls gives nothing", "\x1b[2J\r\n\x00", 5, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := Line(test.in, test.limit); got != test.want {
				t.Errorf("Line(%q, %d) = %q, want %q", test.in, test.limit, got, test.want)
			}
		})
	}
}

func TestLineIsAlwaysSafe(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pieces := rapid.SliceOf(rapid.OneOf(
			rapid.SampledFrom([]string{"\x1b", "[", "]", "\x1b[", "\x1b]", "\x07", "\x1b\\", "\u009b", "\u009d", "\u009c", "0;", "m", " ", "\n", "\u202e", "\xff"}),
			rapid.String(),
		)).Draw(t, "pieces")
		limit := rapid.IntRange(0, 20).Draw(t, "limit")
		line := Line(strings.Join(pieces, ""), limit)
		if !utf8.ValidString(line) || strings.TrimSpace(line) != line || strings.Contains(line, "  ") {
			t.Fatalf("%q is not one clean line", line)
		}
		for _, r := range line {
			if unicode.IsControl(r) || !unicode.IsGraphic(r) {
				t.Fatalf("%q holds %U", line, r)
			}
		}
		if limit > 0 && utf8.RuneCountInString(line) > limit {
			t.Fatalf("%q is longer than %d", line, limit)
		}
		if again := Line(line, limit); again != line {
			t.Fatalf("Line is not stable: %q, then %q", line, again)
		}
	})
}
