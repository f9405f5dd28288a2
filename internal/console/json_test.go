package console

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/gameday-sh/gameday/experiments"
)

// brokenWriter takes so many writes and then fails.
type brokenWriter struct {
	written bytes.Buffer
	writes  int
}

var errBroken = errors.New("no space left on device")

func (w *brokenWriter) Write(text []byte) (int, error) {
	if w.writes--; w.writes < 0 {
		return 0, errBroken
	}
	return w.written.Write(text)
}

func TestJSONIsALineAnEvent(t *testing.T) {
	var out bytes.Buffer
	view := NewJSON(&out)
	tape := abortedTape()
	tape.show(view)
	if err := view.Close(); err != nil {
		t.Fatal(err)
	}
	var got []experiments.Event
	lines := bufio.NewScanner(&out)
	for lines.Scan() {
		var event experiments.Event
		if err := json.Unmarshal(lines.Bytes(), &event); err != nil {
			t.Fatalf("%s: %v", lines.Text(), err)
		}
		got = append(got, event)
	}
	if len(got) != len(tape.events) {
		t.Fatalf("%d lines for %d events", len(got), len(tape.events))
	}
	for i, want := range tape.events {
		if got[i].Type != want.Type || !got[i].At.Equal(want.At) || got[i].Phase != want.Phase || got[i].Name != want.Name || got[i].MayBreak != want.MayBreak {
			t.Errorf("line %d reads back as %+v, want %+v", i+1, got[i], want)
		}
	}
}

func TestJSONStopsAtTheFirstLostLine(t *testing.T) {
	out := &brokenWriter{writes: 2}
	view := NewJSON(out)
	disruptTape().show(view)
	if lines := strings.Count(out.written.String(), "\n"); lines != 2 {
		t.Errorf("%d lines were written, want those before the failure", lines)
	}
	if err := view.Close(); !errors.Is(err, errBroken) {
		t.Errorf("Close gives %v, want the failure of the writer", err)
	}
}
