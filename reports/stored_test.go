package reports

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/gameday-sh/gameday/experiments"
)

// opened is a result whose samples stay in what it was read from.
func opened(t testing.TB, text []byte) *Stored {
	t.Helper()
	s, err := Open(bytes.NewReader(text), int64(len(text)))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestEveryFormatIsTheSameFromAFileAsFromMemory(t *testing.T) {
	list := all()
	list["hostile"] = hostile()
	for name, r := range list {
		text := render(t, "json", r)
		s := opened(t, text)
		for i := range s.Result.Series {
			if len(s.Result.Series[i].At) > 0 {
				t.Errorf("%s: the columns of series %d are in memory", name, i)
			}
		}
		for _, format := range Formats() {
			var b bytes.Buffer
			if err := format.WriteStored(&b, s, nil); err != nil {
				t.Fatalf("%s of %s: %v", format.Name, name, err)
			}
			if !bytes.Equal(b.Bytes(), render(t, format.Name, r)) {
				t.Errorf("%s of %s differs", format.Name, name)
			}
		}
	}
}

func TestOpenSaysWhatIsWrongAsLoadDoes(t *testing.T) {
	whole := string(render(t, "json", run(experiments.Held)))
	for _, test := range []struct{ name, text string }{
		{"an empty file", " \n"},
		{"a file cut off in its head", whole[:300]},
		{"a file cut off in a column", whole[:len(whole)/2]},
		{"a file cut off before its end", strings.TrimSpace(whole)[:len(whole)-4]},
		{"more behind the end", whole + "{}"},
		{"another version", strings.Replace(whole, "result/v1", "result/v9", 1)},
		{"some other JSON", `{"a":1}`},
		{"a column too short", strings.Replace(whole, `"at":[1,`, `"at":[`, 1)},
		{"a text in a column", strings.Replace(whole, `"at":[1,`, `"at":["1",`, 1)},
		{"a list in a column", strings.Replace(whole, `"at":[1,`, `"at":[[1],`, 1)},
		{"no such verdict", strings.Replace(whole, `"verdict": "held",`, `"verdict": "fine",`, 1)},
		{"a series that is null", strings.Replace(whole, `    {"name":"probe`, `    null,{"name":"probe`, 1)},
		{"a field of a series of another kind", strings.Replace(whole, `"kind":"probe"`, `"kind":7`, 1)},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, want := Load(strings.NewReader(test.text))
			s, err := Open(strings.NewReader(test.text), int64(len(test.text)))
			if err == nil || s != nil || want == nil || err.Error() != want.Error() {
				t.Errorf("got  %v\nwant %v", err, want)
			}
		})
	}
}

func TestAnotherLayoutIsReadIntoMemory(t *testing.T) {
	whole := render(t, "json", run(experiments.Held))
	text := bytes.ReplaceAll(whole, []byte("\n"), nil)
	s := opened(t, text)
	if len(s.Result.Series[0].At) == 0 {
		t.Error("its samples are not in memory")
	}
	var b bytes.Buffer
	if err := writeStoredJSON(&b, s); err != nil || !bytes.Equal(b.Bytes(), whole) {
		t.Errorf("it reads differently (%v)", err)
	}
}

func TestANumberThatIsNoneIsFoundWhenItIsRead(t *testing.T) {
	whole := string(render(t, "json", run(experiments.Held)))
	for _, bad := range []string{"true", "1.2.3", "0x1p3", "1 2", "inf", "1e999", "", "-", strings.Repeat("1", 2*cursorSize)} {
		text := strings.Replace(whole, `"at":[1,1.25,1.5,`, `"at":[1,`+bad+`,1.5,`, 1)
		for _, format := range []string{"html", "json"} {
			s := opened(t, []byte(text))
			for _, f := range Formats() {
				if f.Name != format {
					continue
				}
				err := f.WriteStored(io.Discard, s, nil)
				if err == nil || !strings.Contains(err.Error(), `series "probe.front_door", number 2 of "at"`) {
					t.Errorf("%s with %.20q: %v", format, bad, err)
				}
			}
		}
	}
}

func TestNumbersReadAsStrconvReadsThem(t *testing.T) {
	check := func(t interface{ Fatalf(string, ...any) }, text string) {
		want, err := strconv.ParseFloat(text, 64)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if got, err := number([]byte(text)); err != nil || math.Float64bits(got) != math.Float64bits(want) {
			t.Fatalf("%s reads as %v (%v), want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"0", "-0", "-1.5", "1e-7", "1E+5", "123456789012345", "1234567890123456", "0.000000000000001", "9007199254740993", "5e-324"} {
		check(t, text)
	}
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.Float64().Draw(t, "value")
		check(t, strconv.FormatFloat(value, 'g', -1, 64))
		check(t, fmt.Sprintf("%d.%09d", rapid.IntRange(0, 1e7).Draw(t, "whole"), rapid.IntRange(0, 1e9-1).Draw(t, "fraction")))
	})
	if got, err := number([]byte(" null ")); err != nil || !math.IsNaN(got) {
		t.Errorf("null reads as %v, %v", got, err)
	}
}

func TestSamplesOfAFileTakeNoMemory(t *testing.T) {
	r, err := Load(bytes.NewReader(day(t)))
	if err != nil {
		t.Fatal(err)
	}
	text := render(t, "json", r)
	s := r.Series[0]
	few := 2000 // more than the chart has columns, so that both are drawn alike
	stride := len(s.At) / few
	short := &experiments.Series{Name: s.Name, Kind: s.Kind, Unit: s.Unit}
	for i := 0; i < len(s.At); i += stride {
		short.At, short.Latency = append(short.At, s.At[i]), append(short.Latency, s.Latency[i])
		short.Bad, short.Total = append(short.Bad, s.Bad[i]), append(short.Total, s.Total[i])
	}
	r.Series[0] = short
	allocated := func(text []byte) int64 {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		var page bytes.Buffer
		if err := writeHTML(&page, opened(t, text), nil); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		if page.Len() > 150e3 {
			t.Errorf("the page has %d bytes", page.Len())
		}
		return int64(after.TotalAlloc - before.TotalAlloc)
	}
	// What is allocated in all is never less than the peak. The columns are 14 MB.
	if many, few := allocated(text), allocated(render(t, "json", r)); many-few > 2<<20 {
		t.Errorf("%d bytes for 432,000 samples, %d for 2,000", many, few)
	}
}
