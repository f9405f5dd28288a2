package console

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// row is a line of a section. Where there is no room for all, those of the lowest
// rank are shown, and the others are counted by their word.
type row struct {
	text, word string
	rank       int
	// tall is the same with more to it, on several lines; nil where text says it all.
	tall []string
}

// section is a part of the frame: a title and its rows.
type section struct {
	title, noun string // noun in the plural: "hits"
	rows        []row
}

// tall gives the rows with all there is to say.
func (s section) tall() []string {
	var lines []string
	for _, row := range s.rows {
		if row.tall == nil {
			lines = append(lines, row.text)
		}
		lines = append(lines, row.tall...)
	}
	return lines
}

// lines gives the rows in at most room lines.
func (s section) lines(room int) []string {
	if room <= 0 {
		return nil
	}
	shown := make([]int, len(s.rows))
	for i := range shown {
		shown[i] = i
	}
	counts := newTally()
	if len(s.rows) > room {
		slices.SortStableFunc(shown, func(a, b int) int { return cmp.Compare(s.rows[a].rank, s.rows[b].rank) })
		hidden := shown[room-1:]
		slices.Sort(hidden)
		for _, i := range hidden {
			counts.add(s.rows[i].word)
		}
		shown = shown[:room-1]
		slices.Sort(shown)
	}
	var lines []string
	for _, i := range shown {
		lines = append(lines, s.rows[i].text)
	}
	if hidden := len(s.rows) - len(shown); hidden > 0 {
		more := "more "
		if len(shown) == 0 {
			more = ""
		}
		lines = append(lines, fmt.Sprintf(" +%d %s%s, %s", hidden, more, s.noun, counts))
	}
	return lines
}

// fit lays out sections, one under the other, in at most room lines. Where not all
// fits, further lines of rows go first, then blank lines, titles, and whole rows.
// Sections without rows are left out.
func fit(sections []section, room int) []string {
	sections = slices.DeleteFunc(slices.Clone(sections), func(s section) bool { return len(s.rows) == 0 })
	n, rows, tall := len(sections), 0, 0
	for _, s := range sections {
		rows += len(s.rows)
		tall += len(s.tall())
	}
	blanks := rows+2*n <= room
	titles := rows+n <= room || room >= 4*n // worth a row or two, but not the last ones
	left := room
	if blanks {
		left -= n
	}
	if titles {
		left -= n
	}
	var lines []string
	for i, share := range shares(sections, left) {
		if share == 0 {
			continue
		}
		if blanks {
			lines = append(lines, "")
		}
		if titles {
			lines = append(lines, sections[i].title)
		}
		if tall+2*n <= room {
			lines = append(lines, sections[i].tall()...)
		} else {
			lines = append(lines, sections[i].lines(share)...)
		}
	}
	return lines
}

// shares divides lines among sections, one each in turn until all have enough.
func shares(sections []section, lines int) []int {
	given := make([]int, len(sections))
	for progress := true; progress; {
		progress = false
		for i, s := range sections {
			if lines > 0 && given[i] < len(s.rows) {
				given[i]++
				lines--
				progress = true
			}
		}
	}
	return given
}

// tally counts words, in the order in which they came first.
type tally struct {
	words  []string
	counts map[string]int
}

func newTally() *tally { return &tally{counts: map[string]int{}} }

func (t *tally) add(word string) {
	if t.counts[word] == 0 {
		t.words = append(t.words, word)
	}
	t.counts[word]++
}

func (t *tally) String() string {
	parts := make([]string, 0, len(t.words))
	for _, word := range t.words {
		parts = append(parts, fmt.Sprintf("%d %s", t.counts[word], word))
	}
	return strings.Join(parts, ", ")
}
