package console

import (
	"fmt"
	"slices"
	"testing"
)

func sectionOf(title string, words ...string) section {
	s := section{title: title, noun: "things"}
	for i, word := range words {
		rank := 1
		if word == "bad" {
			rank = 0
		}
		s.rows = append(s.rows, row{text: fmt.Sprintf("%s%d", word, i), word: word, rank: rank})
	}
	return s
}

func TestFit(t *testing.T) {
	tall := section{title: "T", rows: []row{{text: "short", tall: []string{"short", "more"}}}}
	many := sectionOf("M", "ok", "ok", "ok", "bad", "ok", "ok")
	for _, test := range []struct {
		name     string
		sections []section
		room     int
		want     []string
	}{
		{"with room for all there is all", []section{tall, sectionOf("A", "ok")}, 7, []string{"", "T", "short", "more", "", "A", "ok0"}},
		{"further lines of rows go first", []section{tall, sectionOf("A", "ok")}, 6, []string{"", "T", "short", "", "A", "ok0"}},
		{"then blank lines", []section{tall, sectionOf("A", "ok")}, 5, []string{"T", "short", "A", "ok0"}},
		{"then titles", []section{tall, sectionOf("A", "ok")}, 3, []string{"short", "ok0"}},
		{"then whole rows, counted by their words", []section{many}, 5, []string{"M", "ok0", "ok1", "bad3", " +3 more things, 3 ok"}},
		{"of which the worst stay", []section{many}, 3, []string{"ok0", "bad3", " +4 more things, 4 ok"}},
		{"a single line counts all", []section{many}, 1, []string{" +6 things, 5 ok, 1 bad"}},
		{"the room is shared fairly", []section{many, sectionOf("A", "ok")}, 4, []string{"ok0", "bad3", " +4 more things, 4 ok", "ok0"}},
		{"sections without rows are left out", []section{{title: "E"}, sectionOf("A", "ok")}, 10, []string{"", "A", "ok0"}},
		{"no room gives nothing", []section{many}, 0, nil},
		{"less than no room does too", []section{many}, -3, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := fit(test.sections, test.room); !slices.Equal(got, test.want) {
				t.Errorf("the lines are %q, want %q", got, test.want)
			}
		})
	}
}
