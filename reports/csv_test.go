package reports

import (
	"bytes"
	"encoding/csv"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gameday-sh/gameday/experiments"
)

func TestTheTableOfSamplesHoldsEachMeasurement(t *testing.T) {
	r := run(experiments.Held)
	rows, err := csv.NewReader(bytes.NewReader(render(t, "csv", r))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 1+len(r.Series[0].At)+len(r.Series[1].At) {
		t.Fatalf("%d rows", len(rows))
	}
	for _, test := range []struct {
		row  int
		want []string
	}{
		{1, []string{"probe.front_door", "2026-11-24T15:30:13.000Z", "1", "baseline", "0.02", "", "s", "1", "0", "1", "", ""}},
		{1 + 171, []string{"probe.front_door", "2026-11-24T15:30:55.750Z", "43.75", "disrupt", "1", "", "s", "0", "1", "1", "", ""}},
		{1 + 660, []string{"probe.front_door", "2026-11-24T15:32:58.000Z", "166", "recover", "", "", "s", "", "", "", "", "unreachable"}},
		{len(rows) - 1, []string{"slo.checkout", "2026-11-24T15:33:31.000Z", "199", "recover", "", "", "ratio", "240", "0", "240", "10", ""}},
	} {
		if !slices.Equal(rows[test.row], test.want) {
			t.Errorf("row %d is %q, want %q", test.row, rows[test.row], test.want)
		}
	}
}

func TestATableOfSamplesHoldsNoFormula(t *testing.T) {
	number := regexp.MustCompile(`^(-?[0-9]+(\.[0-9]+)?)?$`)
	for _, begin := range []string{"=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r\n=1", "|cmd", "%0", "＝1", " =1", "a;=1", "a\";=1", "\x1b[1m=1", "\u202e=1", "\ufeff=1"} {
		r := run(experiments.Held)
		for _, s := range r.Series {
			s.Name, s.Unit = begin, begin
			for i := range s.Gaps {
				s.Gaps[i].Condition = experiments.Condition(begin)
			}
		}
		r.Series[0].Value = slices.Clone(r.Series[0].Latency)
		r.Series[0].Value[0] = -2.5 // a number may begin with a minus
		text := render(t, "csv", r)
		rows, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
		if err != nil {
			t.Fatalf("%q: %v", begin, err)
		}
		for i, row := range rows[1:] {
			for c, field := range row {
				if field != "" && strings.ContainsRune("=+-@|%\t\r＝", []rune(field)[0]) && !number.MatchString(field) {
					t.Fatalf("%q: field %d of row %d is %q", begin, c, i+1, field)
				}
			}
		}
		// A spreadsheet may take a semicolon for the separator: then only quotes keep a text
		// together.
		if loose := regexp.MustCompile(`(^|[,;\n])[^"0-9\n,][^,\n]*;`).Find(text); loose != nil {
			t.Errorf("%q: %q is not in quotes", begin, loose)
		}
	}
}

func TestTheColumnsOfTheTableAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../docs/reports-formats.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range csvColumns {
		if !strings.Contains(string(page), "\n| `"+name+"` |") {
			t.Errorf("docs/reports-formats.md does not say what %q is", name)
		}
	}
	for _, f := range metricFamilies() {
		name := f.name
		if f.increases {
			name += "_total"
		}
		if !strings.Contains(string(page), "\n| `"+name+"` |") {
			t.Errorf("docs/reports-formats.md does not say what %s is", name)
		}
	}
	for _, f := range Formats() {
		if !strings.Contains(string(page), "\n| `"+f.Name+"` |") {
			t.Errorf("docs/reports-formats.md does not name the format %s", f.Name)
		}
	}
}
