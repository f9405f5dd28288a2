package reports

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"

	"github.com/gameday-sh/gameday/experiments"
)

// column is one of the columns of a series.
type column int

const (
	columnAt column = iota
	columnLatency
	columnValue
	columnBad
	columnTotal
	columns
)

// columnNames are those of the fields in a stored result.
var columnNames = [columns]string{"at", "latency", "value", "bad", "total"}

// row is one measurement: its time in seconds since the run began, and what was read.
// What the series has no column for, and what was not known, is NaN.
type row [columns]float64

// track is a series that is read row by row, from memory or from a file: the
// samples of a run of weeks do not fit into the memory that a report may take.
type track struct {
	head *experiments.Series // all but the columns, where those are in a file
	n    int                 // rows
	last float64             // the time of the last row; NaN without one
	has  [columns]bool
	open func(column) numbers
}

// numbers walks through a column.
type numbers interface {
	// next gives the next number, NaN for one that is unknown.
	next() (float64, error)
}

// inMemory is a series whose columns are in memory.
func inMemory(s *experiments.Series) track {
	m := track{head: s, n: len(s.At), last: math.NaN()}
	if m.n > 0 {
		m.last = s.At[m.n-1]
	}
	list := [columns]experiments.Floats{s.At, s.Latency, s.Value, s.Bad, s.Total}
	for c := range columns {
		m.has[c] = len(list[c]) > 0
	}
	m.open = func(c column) numbers { return &slice{list[c]} }
	return m
}

// rows calls use with each row in its order, until use wants no more.
func (m track) rows(use func(i int, r row) bool) error {
	var walk [columns]numbers
	for c := range columns {
		if m.has[c] {
			walk[c] = m.open(c)
		}
	}
	var r row
	for i := range m.n {
		for c := range columns {
			r[c] = math.NaN()
			if walk[c] == nil {
				continue
			}
			number, err := walk[c].next()
			// A column of a result that was made in memory may be shorter than the times.
			if err != nil && !errors.Is(err, io.EOF) {
				return fmt.Errorf("the stored result is damaged: series %q, number %d of %q: %w", m.head.Name, i+1, columnNames[c], err)
			}
			if err == nil {
				r[c] = number
			}
		}
		if !use(i, r) {
			return nil
		}
	}
	return nil
}

// column calls use with each number of one column.
func (m track) column(c column, use func(i int, number float64)) error {
	if !m.has[c] {
		return nil
	}
	walk := m.open(c)
	for i := 0; ; i++ {
		number, err := walk.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("the stored result is damaged: series %q, number %d of %q: %w", m.head.Name, i+1, columnNames[c], err)
		}
		use(i, number)
	}
}

// slice walks through a column in memory.
type slice struct{ rest experiments.Floats }

func (s *slice) next() (float64, error) {
	if len(s.rest) == 0 {
		return 0, io.EOF
	}
	number := s.rest[0]
	s.rest = s.rest[1:]
	return number, nil
}

// stretch is where the numbers of a column stand in a file, without the brackets.
type stretch struct {
	from, to int64
	n        int
}

// cursorSize is how much of a column is in memory at once. Five cursors walk side by
// side, so it is what a disk reads well and not more.
const cursorSize = 32 << 10

// cursor walks through a column in a file.
type cursor struct {
	file     io.ReaderAt
	from, to int64  // what is still to be read
	text     []byte // read, and not yet walked through
	buffer   []byte
}

func newCursor(file io.ReaderAt, s stretch) *cursor {
	return &cursor{file: file, from: s.from, to: s.to}
}

func (c *cursor) next() (float64, error) {
	end := bytes.IndexByte(c.text, ',')
	for end < 0 && c.from < c.to {
		if err := c.fill(); err != nil {
			return 0, err
		}
		end = bytes.IndexByte(c.text, ',')
	}
	field := c.text
	if end >= 0 {
		field, c.text = c.text[:end], c.text[end+1:]
	} else {
		if len(c.text) == 0 {
			return 0, io.EOF
		}
		c.text = nil
	}
	return number(field)
}

// fill reads on behind what is left of the text.
func (c *cursor) fill() error {
	if c.buffer == nil {
		c.buffer = make([]byte, cursorSize)
	}
	if len(c.text) == len(c.buffer) {
		return errors.New("a number without an end")
	}
	left := copy(c.buffer, c.text)
	count, err := c.file.ReadAt(c.buffer[left:left+int(min(int64(len(c.buffer)-left), c.to-c.from))], c.from)
	if err != nil && !(errors.Is(err, io.EOF) && count > 0) {
		return err
	}
	c.from += int64(count)
	c.text = c.buffer[:left+count]
	return nil
}

// exact are the powers of ten that a float64 holds exactly.
var exact = [...]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15}

// number reads a number of a column; null is NaN. A decimal number of up to 15 digits is
// the quotient of two numbers that a float64 holds exactly, and so is rounded as
// strconv does (Clinger, "How to read floating point numbers accurately", 1990);
// strconv reads the others.
func number(field []byte) (float64, error) {
	field = bytes.TrimSpace(field)
	digits, whole, fraction := 0, uint64(0), -1
	for _, char := range field {
		switch {
		case char >= '0' && char <= '9' && digits < 15:
			whole = whole*10 + uint64(char-'0')
			digits++
			if fraction >= 0 {
				fraction++
			}
			continue
		case char == '.' && fraction < 0 && digits > 0:
			fraction = 0
			continue
		}
		return slowNumber(field)
	}
	if digits == 0 || fraction == 0 {
		return slowNumber(field)
	}
	return float64(whole) / exact[max(fraction, 0)], nil
}

func slowNumber(field []byte) (float64, error) {
	text := string(field)
	if text == "null" {
		return math.NaN(), nil
	}
	for _, char := range text {
		if (char < '0' || char > '9') && char != '-' && char != '+' && char != '.' && char != 'e' && char != 'E' {
			return 0, fmt.Errorf("%.40q is not a number", text)
		}
	}
	value, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return 0, fmt.Errorf("%.40q is not a number", text)
	}
	return value, nil
}
