package reports

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/gameday-sh/gameday/experiments"
)

// maxResult bounds what Load reads: more than ten times the result of a day with
// five measurements a second.
const maxResult = 256 << 20

// verdicts are those a stored result may have.
var verdicts = []experiments.Verdict{
	experiments.Held, experiments.Refuted, experiments.Invalid, experiments.Aborted,
	experiments.Inconclusive, experiments.Errored, experiments.NotRestored,
}

// writeJSON writes the result that Load reads back. What people look at is indented;
// each series stays on one line, because its columns are long.
func writeJSON(w io.Writer, r *experiments.Result) error { return writeStoredJSON(w, Memory(r)) }

func writeStoredJSON(w io.Writer, s *Stored) error {
	r := s.Result
	head := *r
	head.Series = []*experiments.Series{}
	// A list without entries is [], so that whoever reads it need not ask for null.
	head.Phases, head.Hypotheses = listed(r.Phases), listed(r.Hypotheses)
	head.Faults, head.Hits = listed(r.Faults), listed(r.Hits)
	head.Guards, head.Timeline = listed(r.Guards), listed(r.Timeline)
	text, err := marshal(head, "  ")
	if err != nil {
		return fmt.Errorf("writing the result of run %s as JSON: %w", r.Run, err)
	}
	// The series are the last field, so the head ends in an empty list.
	text, found := bytes.CutSuffix(text, []byte("[]\n}\n"))
	if !found {
		return fmt.Errorf("writing the result of run %s as JSON: the series are not its last field", r.Run)
	}
	if err := writeWhole(w, text, s.series); err != nil {
		return fmt.Errorf("writing the result of run %s: %w", r.Run, err)
	}
	return nil
}

// writeWhole writes the head and the series. Texts are written in one piece each, as w may
// look for secrets in them; only numbers are cut anywhere.
func writeWhole(w io.Writer, head []byte, list []track) error {
	if _, err := w.Write(append(head, '[')); err != nil {
		return err
	}
	end := "]\n}\n"
	for i, series := range list {
		before := "\n    "
		if i > 0 {
			before = "," + before
		}
		if err := writeSeries(w, before, series); err != nil {
			return fmt.Errorf("series %d: %w", i+1, err)
		}
		end = "\n  ]\n}\n"
	}
	_, err := io.WriteString(w, end)
	return err
}

// writeSeries writes a series on one line, number by number: a column in one piece would
// be far longer than the numbers it was made of.
func writeSeries(w io.Writer, begin string, m track) error {
	head := *m.head
	head.At, head.Latency, head.Value, head.Bad, head.Total = experiments.Floats{}, nil, nil, nil, nil
	line, err := marshal(head, "")
	if err != nil {
		return err
	}
	// Within a string a quote follows a backslash, so that this is the field.
	before, after, found := bytes.Cut(bytes.TrimSuffix(line, []byte("\n")), []byte(`,"at":[]`))
	if !found {
		return errors.New("it has no times")
	}
	if _, err := io.WriteString(w, begin+string(before)); err != nil {
		return err
	}
	numbers := bufio.NewWriterSize(w, 64<<10) // it keeps its first error
	for c := range columns {
		if !m.has[c] && c != columnAt {
			continue
		}
		fmt.Fprintf(numbers, ",%q:[", columnNames[c])
		if err := m.column(c, func(i int, number float64) {
			if i > 0 {
				numbers.WriteByte(',')
			}
			if math.IsNaN(number) || math.IsInf(number, 0) {
				numbers.WriteString("null")
				return
			}
			numbers.Write(strconv.AppendFloat(numbers.AvailableBuffer(), number, 'g', -1, 64))
		}); err != nil {
			return err
		}
		numbers.WriteByte(']')
	}
	if err := numbers.Flush(); err != nil {
		return err
	}
	_, err = w.Write(after)
	return err
}

func listed[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

func marshal(v any, indent string) ([]byte, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false) // a query is read more easily with its < and &
	encoder.SetIndent("", indent)
	if err := encoder.Encode(v); err != nil {
		return nil, err
	}
	return escapeHidden(text.Bytes()), nil
}

// escapeHidden writes characters that nobody sees, such as a right-to-left override,
// as \u escapes: the text stays what it was, and cannot deceive who reads the file.
// They can only stand inside strings, where an escape means the same.
func escapeHidden(text []byte) []byte {
	unseen := func(char rune) bool { return hidden(char) || char == 0x7f }
	first := bytes.IndexFunc(text, unseen)
	if first < 0 {
		return text
	}
	escaped := make([]byte, first, len(text)+64)
	copy(escaped, text)
	for rest := text[first:]; len(rest) > 0; {
		char, size := utf8.DecodeRune(rest)
		switch {
		case !unseen(char):
			escaped = append(escaped, rest[:size]...)
		case char > 0xffff:
			char -= 0x10000
			escaped = fmt.Appendf(escaped, `\u%04x\u%04x`, 0xd800+char>>10, 0xdc00+char&0x3ff)
		default:
			escaped = fmt.Appendf(escaped, `\u%04x`, char)
		}
		rest = rest[size:]
	}
	return escaped
}

// Store writes a result in the form that Load reads back.
func Store(w io.Writer, r *experiments.Result) error { return writeJSON(w, r) }

// Load reads a stored result. It refuses one of another version, and one that is
// damaged, and says what is wrong with it and where.
func Load(r io.Reader) (*experiments.Result, error) {
	text, err := read(r)
	if err != nil {
		return nil, err
	}
	if len(bytes.TrimSpace(text)) == 0 {
		return nil, errors.New("the stored result is empty; the run was cut off before it was written: `gameday recover` rebuilds it from the journal")
	}
	var result experiments.Result
	decoding := json.Unmarshal(text, &result)
	if schema := schemaOf(&result, text, decoding); schema != experiments.ResultSchema {
		if decoding == nil && schema == "" {
			return nil, fmt.Errorf("this is not a stored result: it has no \"schema\", which would be %q", experiments.ResultSchema)
		}
		if schema != "" {
			return nil, fmt.Errorf("the stored result has schema %q, and this version of gameday reads %q; render it with the version that wrote it", schema, experiments.ResultSchema)
		}
	}
	if decoding != nil {
		return nil, damage(text, decoding)
	}
	if err := check(&result); err != nil {
		return nil, fmt.Errorf("the stored result is damaged: %w", err)
	}
	return &result, nil
}

// read reads all of r; where its length is known, without growing the buffer twice
// over: a result of a day takes tens of megabytes.
func read(r io.Reader) ([]byte, error) {
	var text bytes.Buffer
	switch known := r.(type) {
	case interface{ Len() int }:
		text.Grow(min(known.Len(), maxResult) + bytes.MinRead)
	case *io.SectionReader:
		text.Grow(int(min(known.Size(), maxResult)) + bytes.MinRead)
	case interface{ Stat() (fs.FileInfo, error) }:
		// A file that cannot be looked at can perhaps still be read.
		if info, err := known.Stat(); err == nil && info.Mode().IsRegular() {
			text.Grow(int(min(info.Size(), maxResult)) + bytes.MinRead)
		}
	}
	count, err := text.ReadFrom(io.LimitReader(r, maxResult+1))
	if err != nil {
		return nil, fmt.Errorf("reading the stored result: %w", err)
	}
	if count > maxResult {
		return nil, fmt.Errorf("the stored result is larger than %d MB; no run leaves such a file", maxResult>>20)
	}
	return text.Bytes(), nil
}

// schemaOf tells the version of a result even where the rest does not fit this one.
func schemaOf(result *experiments.Result, text []byte, decoding error) string {
	if decoding == nil {
		return result.Schema
	}
	var head struct {
		Schema string `json:"schema"`
	}
	if err := json.Unmarshal(text, &head); err != nil {
		return "" // not JSON, or none that names a version: the first error says more
	}
	return head.Schema
}

func damage(text []byte, err error) error {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		if syntax.Offset >= int64(len(bytes.TrimRight(text, " \t\r\n"))) {
			return fmt.Errorf("the stored result is cut off after %d bytes; `gameday recover` rebuilds it from the journal: %w", len(text), err)
		}
		line, column := position(text, syntax.Offset)
		return fmt.Errorf("the stored result is damaged at line %d, column %d: %w", line, column, err)
	}
	var kind *json.UnmarshalTypeError
	if errors.As(err, &kind) && kind.Type != nil {
		return fmt.Errorf("the stored result is damaged: %q holds a %s where a %s belongs", kind.Field, kind.Value, kind.Type)
	}
	return fmt.Errorf("the stored result is damaged: %w", err)
}

func position(text []byte, offset int64) (line, column int) {
	before := text[:min(max(offset-1, 0), int64(len(text)))]
	return 1 + bytes.Count(before, []byte("\n")), len(before) - bytes.LastIndexByte(before, '\n')
}

// check finds what would make a report say something that was never measured.
func check(r *experiments.Result) error {
	if r.Run == "" {
		return errors.New(`"run" is empty`)
	}
	if !slices.Contains(verdicts, r.Verdict) {
		return fmt.Errorf("%q is not a verdict", r.Verdict)
	}
	if r.Began.IsZero() {
		return errors.New(`"began" is missing`)
	}
	for i, series := range r.Series {
		if series == nil {
			return fmt.Errorf("series %d is null", i+1)
		}
		for _, column := range []struct {
			name   string
			values experiments.Floats
		}{{"latency", series.Latency}, {"value", series.Value}, {"bad", series.Bad}, {"total", series.Total}} {
			if len(column.values) != 0 && len(column.values) != len(series.At) {
				return fmt.Errorf("series %q has %d times but %d numbers in %q", series.Name, len(series.At), len(column.values), column.name)
			}
		}
	}
	return nil
}
