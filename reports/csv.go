package reports

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
)

// csvColumns are the columns of the table of samples; docs/reports-formats.md says what
// each holds. New ones are added at the end.
var csvColumns = []string{"series", "time", "offset_s", "phase", "latency_s", "value", "unit", "good", "bad", "total", "window_s", "condition"}

// csvText is how many characters of a name a table holds.
const csvText = 200

// writeCSV writes a row a measurement (RFC 4180, with a line feed at the end of a line).
// What is unknown is empty and never 0.
func writeCSV(w io.Writer, s *Stored) error {
	r := s.Result
	out := bufio.NewWriterSize(w, 64<<10)
	fmt.Fprintln(out, strings.Join(csvColumns, ","))
	for _, m := range s.series {
		name, unit := csvField(m.head.Name), csvField(m.head.Unit)
		window := ""
		if m.head.Window > 0 {
			window = csvNumber(m.head.Window.Seconds())
		}
		var line []byte
		failed := error(nil)
		err := m.samples(r, func(s *sample) bool {
			line = append(append(line[:0], name...), ',')
			if at := s.row[columnAt]; !math.IsNaN(at) {
				line = r.Began.Add(time.Duration(at*float64(time.Second))).UTC().AppendFormat(line, "2006-01-02T15:04:05.000Z")
			}
			for _, field := range []string{csvNumber(s.row[columnAt]), csvField(s.phase), csvNumber(s.row[columnLatency]), csvNumber(s.row[columnValue]), unit,
				csvNumber(s.good()), csvNumber(s.row[columnBad]), csvNumber(s.row[columnTotal]), window, csvField(s.condition)} {
				line = append(append(line, ','), field...)
			}
			_, failed = out.Write(append(line, '\n'))
			return failed == nil
		})
		if err == nil {
			err = failed
		}
		if err != nil {
			return fmt.Errorf("writing the samples of run %s as CSV: %w", r.Run, err)
		}
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("writing the samples of run %s as CSV: %w", r.Run, err)
	}
	return nil
}

func csvNumber(number float64) string {
	if math.IsNaN(number) || math.IsInf(number, 0) {
		return ""
	}
	return strconv.FormatFloat(number, 'f', -1, 64)
}

// csvField is a text as a field, always within quotes, so that no separator of a
// spreadsheet cuts it. One that a spreadsheet would take for a formula begins with an
// apostrophe (OWASP, "CSV Injection").
func csvField(text string) string {
	text = clean(text, csvText)
	if text == "" {
		return ""
	}
	if strings.ContainsRune("=+-@|%\t\r＝＋－＠", []rune(text)[0]) {
		text = "'" + text
	}
	return `"` + strings.ReplaceAll(text, `"`, `""`) + `"`
}
