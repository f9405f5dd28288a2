package reports

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/gameday-sh/gameday/experiments"
)

// Stored is a result that formats render. Its samples are in memory, or stay in the
// file that they are stored in and are read row by row: a page of three million
// samples takes no more memory than one of a thousand.
type Stored struct {
	// Result is the result; its series are without columns where those are in a file.
	Result *experiments.Result
	series []track
}

// Memory is a result with all of its samples in memory.
func Memory(r *experiments.Result) *Stored {
	s := &Stored{Result: r}
	for _, series := range r.Series {
		if series != nil {
			s.series = append(s.series, inMemory(series))
		}
	}
	return s
}

// errOther tells that a text is not laid out as gameday lays out a result.
var errOther = errors.New("laid out in another way")

// Open reads a stored result, all but its samples: they are read from the file when a
// format asks for them, so file must stay open until then. It refuses what [Load]
// refuses, with the same words; that numbers of a column are numbers is found when they
// are read. A result that another program laid out anew is read into memory.
func Open(file io.ReaderAt, size int64) (*Stored, error) {
	s, err := index(file, size)
	if err == nil {
		return s, nil
	}
	if !errors.Is(err, errOther) {
		return nil, fmt.Errorf("reading the stored result: %w", err)
	}
	r, err := Load(io.NewSectionReader(file, 0, size))
	if err != nil {
		return nil, err
	}
	return Memory(r), nil
}

// index finds the columns of a result as writeJSON lays it out: the head with a field a
// line, the series last, each on one line.
func index(file io.ReaderAt, size int64) (*Stored, error) {
	s := &scanner{r: bufio.NewReaderSize(io.NewSectionReader(file, 0, size), 64<<10)}
	begin := []byte("  \"series\": [\n")
	for lineStart := true; ; {
		part, err := s.r.ReadSlice('\n')
		s.offset += int64(len(part))
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return nil, other(err)
		}
		if lineStart && bytes.Equal(part, begin) {
			break
		}
		lineStart = err == nil
	}
	if s.offset > maxResult {
		return nil, errOther
	}
	// Read in one piece, now that it is known how long it is.
	const end = `"series":[]}`
	head := make([]byte, s.offset-int64(len(begin)), s.offset+int64(len(end)))
	if _, err := file.ReadAt(head, 0); err != nil {
		return nil, other(err)
	}
	result := &experiments.Result{}
	if json.Unmarshal(append(head, end...), result) != nil || result.Schema != experiments.ResultSchema || check(result) != nil {
		return nil, errOther // Load says what is wrong
	}
	stored := &Stored{Result: result}
	for {
		m, err := s.series(file)
		if err != nil {
			return nil, other(err)
		}
		result.Series, stored.series = append(result.Series, m.head), append(stored.series, m)
		char, err := s.token()
		if err != nil {
			return nil, other(err)
		}
		if char == ',' {
			continue
		}
		rest, err := io.ReadAll(io.LimitReader(s.r, 64))
		if err != nil {
			return nil, err
		}
		if char != ']' || string(bytes.TrimSpace(rest)) != "}" {
			return nil, errOther
		}
		return stored, nil
	}
}

// other takes an early end for another layout: Load says where it is.
func other(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errOther
	}
	return err
}

// scanner reads JSON as far as it takes to find columns.
type scanner struct {
	r      *bufio.Reader
	offset int64
}

// token gives the next character that is not white space.
func (s *scanner) token() (byte, error) {
	for {
		char, err := s.r.ReadByte()
		if err != nil {
			return 0, err
		}
		s.offset++
		if char != ' ' && char != '\n' && char != '\t' && char != '\r' {
			return char, nil
		}
	}
}

// series reads one series: its columns are found, and the other fields decoded.
func (s *scanner) series(file io.ReaderAt) (track, error) {
	m := track{head: &experiments.Series{}, last: math.NaN()}
	if char, err := s.token(); err != nil || char != '{' {
		return m, cmpError(err, errOther)
	}
	var where [columns]stretch
	fields := []byte{'{'}
	for {
		name, err := s.value(nil)
		if err != nil {
			return m, err
		}
		if char, err := s.token(); err != nil || char != ':' {
			return m, cmpError(err, errOther)
		}
		c := slices.Index(columnNames[:], string(bytes.Trim(name, `"`)))
		if c >= 0 {
			if m.has[c] {
				return m, errOther
			}
			if where[c], err = s.column(); err != nil {
				return m, err
			}
			m.has[c] = where[c].n > 0
		} else {
			if len(fields) > 1 {
				fields = append(fields, ',')
			}
			fields = append(append(fields, name...), ':')
			if fields, err = s.value(fields); err != nil {
				return m, err
			}
		}
		char, err := s.token()
		if err != nil {
			return m, err
		}
		if char == '}' {
			break
		}
		if char != ',' {
			return m, errOther
		}
	}
	if json.Unmarshal(append(fields, '}'), m.head) != nil {
		return m, errOther
	}
	m.n = where[columnAt].n
	for c := range columns {
		if m.has[c] && where[c].n != m.n {
			return m, errOther
		}
	}
	m.open = func(c column) numbers { return newCursor(file, where[c]) }
	if m.n > 0 {
		var err error
		if m.last, err = lastNumber(file, where[columnAt]); err != nil {
			return m, errOther
		}
	}
	return m, nil
}

func cmpError(err, otherwise error) error {
	if err != nil {
		return err
	}
	return otherwise
}

// value appends the text of the next value, of any kind.
func (s *scanner) value(text []byte) ([]byte, error) {
	depth, quoted := 0, false
	for begun := false; ; {
		if begun && depth == 0 && !quoted {
			next, err := s.r.Peek(1)
			if err != nil {
				return nil, err
			}
			if last := text[len(text)-1]; last == '"' || last == ']' || last == '}' || bytes.IndexByte([]byte(":,]}\n "), next[0]) >= 0 {
				return text, nil
			}
		}
		char, err := s.r.ReadByte()
		if err != nil {
			return nil, err
		}
		s.offset++
		switch {
		case quoted && char == '\\':
			text = append(text, char)
			if char, err = s.r.ReadByte(); err != nil {
				return nil, err
			}
			s.offset++
		case char == '"':
			quoted = !quoted
		case quoted:
		case char == '[' || char == '{':
			depth++
		case char == ']' || char == '}':
			if depth--; depth < 0 {
				return nil, errOther
			}
		case !begun && (char == ' ' || char == '\n'):
			continue
		case !begun && (char == ',' || char == ':'):
			return nil, errOther
		}
		text, begun = append(text, char), true
		if len(text) > maxResult {
			return nil, errOther
		}
	}
}

// column finds where a column ends, and counts its numbers.
func (s *scanner) column() (stretch, error) {
	if char, err := s.token(); err != nil || char != '[' {
		return stretch{}, cmpError(err, errOther)
	}
	found := stretch{from: s.offset}
	for {
		if _, err := s.r.Peek(1); err != nil {
			return found, err
		}
		part, err := s.r.Peek(s.r.Buffered())
		if err != nil {
			return found, err
		}
		end := bytes.IndexByte(part, ']')
		if end >= 0 {
			part = part[:end]
		}
		if bytes.ContainsAny(part, "\"[{}") {
			return found, errOther
		}
		found.n += bytes.Count(part, []byte{','})
		skipped, err := s.r.Discard(len(part))
		s.offset += int64(skipped)
		if err != nil {
			return found, err
		}
		if end < 0 {
			continue
		}
		if found.to = s.offset; found.to > found.from {
			found.n++
		}
		if _, err := s.token(); err != nil { // the bracket
			return found, err
		}
		return found, nil
	}
}

// lastNumber is the last of a column.
func lastNumber(file io.ReaderAt, s stretch) (float64, error) {
	// Longer than any number that is written.
	text := make([]byte, min(64, s.to-s.from))
	if _, err := file.ReadAt(text, s.to-int64(len(text))); err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	return number(text[bytes.LastIndexByte(text, ',')+1:])
}
