package console

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gameday-sh/gameday/experiments"
)

// reader takes what is written to it only while it is let to, as a pipe that is full.
type reader struct {
	turns chan struct{} // a value lets one write through; closed, all
	mu    sync.Mutex
	got   []string // a string a write
}

func newReader() *reader { return &reader{turns: make(chan struct{})} }

// attentive is a reader that takes whatever comes.
func attentive() *reader {
	r := newReader()
	close(r.turns)
	return r
}

func (r *reader) Write(text []byte) (int, error) {
	<-r.turns
	r.mu.Lock()
	defer r.mu.Unlock()
	r.got = append(r.got, string(text))
	return len(text), nil
}

func (r *reader) text() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.got, "")
}

// events reads the lines of a JSON view.
func (r *reader) events(t *testing.T) []experiments.Event {
	t.Helper()
	var list []experiments.Event
	decoder := json.NewDecoder(strings.NewReader(r.text()))
	for {
		var event experiments.Event
		err := decoder.Decode(&event)
		if errors.Is(err, io.EOF) {
			return list
		}
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, event)
	}
}

func TestAnOutletSaysWhatTheViewSays(t *testing.T) {
	for name, view := range map[string]func(io.Writer) View{"plain": NewPlain, "JSON": NewJSON} {
		synctest.Test(t, func(t *testing.T) {
			var want bytes.Buffer
			direct := view(&want)
			finishedTape().show(direct)
			if err := direct.Close(); err != nil {
				t.Fatal(err)
			}
			r := attentive()
			out := NewOutlet(r, view)
			finishedTape().show(outletView{out})
			out.EndView()
			fmt.Fprintln(out, "and the summary")
			out.Event(experiments.Event{Type: experiments.EventNote, Text: "too late"})
			if err := out.Close(t.Context(), time.Second); err != nil {
				t.Fatal(err)
			}
			if got := r.text(); got != want.String()+"and the summary\n" {
				t.Errorf("%s: it says\n%s\nand not\n%s", name, got, want.String())
			}
			out.Event(experiments.Event{Type: experiments.EventNote, Text: "far too late"}) // must not panic
			if err := out.Close(t.Context(), time.Second); err != nil {
				t.Errorf("%s: closing twice: %v", name, err)
			}
		})
	}
}

// outletView is an outlet as a tape wants it.
type outletView struct{ *Outlet }

func (v outletView) Close() error { return nil }

func TestABurstGoesOutInFewWritesOfWholeLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReader()
		out := NewOutlet(r, NewPlain)
		out.Event(newTape().begin("x").events[0])
		synctest.Wait() // the first line is on its way, and nobody takes it
		tape := newTape()
		for i := range 1000 {
			tape.note(fmt.Sprintf("note %d", i))
		}
		tape.show(outletView{out})
		close(r.turns)
		if err := out.Close(t.Context(), time.Second); err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(r.text(), "note "); n != 1000 {
			t.Errorf("%d notes came", n)
		}
		if most := 1 + len(r.text())/(mostAtOnce-100) + 1; len(r.got) > most {
			t.Errorf("it took %d writes, and %d would do", len(r.got), most)
		}
		for _, text := range r.got {
			if !strings.HasSuffix(text, "\n") || len(text) > mostAtOnce {
				t.Errorf("a write of %d bytes ends with %q", len(text), text[max(len(text)-20, 0):])
			}
		}
	})
}

func TestALineThatIsLongerThanAWriteComesWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := attentive()
		out := NewOutlet(r, NewJSON)
		long := strings.Repeat("long ", mostAtOnce)
		newTape().note("before").note(long).note("after").show(outletView{out})
		if err := out.Close(t.Context(), time.Second); err != nil {
			t.Fatal(err)
		}
		var texts []string
		for _, event := range r.events(t) {
			texts = append(texts, event.Text)
		}
		if !slices.Equal(texts, []string{"before", long, "after"}) {
			t.Errorf("%d events came, of %d bytes", len(texts), len(r.text()))
		}
	})
}

func TestAReaderThatStandsStillLosesMeasurementsFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReader()
		out := NewOutlet(r, NewJSON)
		tape := newTape().begin("x").enter(experiments.PhaseDisrupt)
		for range mostMeasured { // the first of them end up beyond what measurements may take
			tape.sample("probe.front_door", time.Millisecond)
		}
		for i := range 10 {
			tape.step(fmt.Sprintf("hit %d", i), experiments.Injected, "").sample("probe.front_door", time.Millisecond)
		}
		for i := range mostWaiting {
			tape.step(fmt.Sprintf("hit %d of too many", i), experiments.Injected, "")
		}
		tape.stop("guard").enter(experiments.PhaseRevert).end(experiments.Aborted, "guard")
		tape.show(outletView{out}) // blocks for ever if an event waits for the reader
		synctest.Wait()
		out.mu.Lock()
		if waiting := len(out.queue) + out.saying; waiting > mostWaiting+10 {
			t.Errorf("%d wait for the reader", waiting)
		}
		out.mu.Unlock()
		close(r.turns)
		if err := out.Close(t.Context(), time.Second); err != nil {
			t.Fatal(err)
		}
		counts, missing := map[experiments.EventType]int{}, 0
		got := r.events(t)
		for _, event := range got {
			if event.Type == experiments.EventMissing {
				if event.Missing < 1 || event.At.IsZero() || event.Phase != experiments.PhaseDisrupt {
					t.Errorf("what is missing is told as %+v", event)
				}
				missing += event.Missing
				continue
			}
			counts[event.Type]++
		}
		if total := len(got) - counts[experiments.EventMissing] + missing; missing == 0 || sum(counts)+missing != len(tape.events) {
			t.Errorf("%d came and %d are said to be missing of %d (%d)", sum(counts), missing, len(tape.events), total)
		}
		for kind, want := range map[experiments.EventType]int{experiments.EventBegin: 1, experiments.EventPhase: 2, experiments.EventStop: 1, experiments.EventEnd: 1} {
			if counts[kind] != want {
				t.Errorf("%d events %q came, want %d", counts[kind], kind, want)
			}
		}
		for i := range 10 { // there was no place for measurements any more, and still for hits
			if id := fmt.Sprintf("hit %d", i); !slices.ContainsFunc(got, func(e experiments.Event) bool { return e.Hit != nil && e.Hit.ID == id }) {
				t.Errorf("%s is left out", id)
			}
		}
		if n := counts[experiments.EventSample]; n > mostMeasured || n < mostMeasured-10 {
			t.Errorf("%d measurements came", n)
		}
		if last := got[len(got)-1]; last.Type != experiments.EventEnd {
			t.Errorf("the last event is %+v", last)
		}
	})
}

func sum(counts map[experiments.EventType]int) int {
	n := 0
	for _, count := range counts {
		n += count
	}
	return n
}

func TestPlainTellsThatEventsAreMissing(t *testing.T) {
	tape := newTape().begin("x").add(experiments.Event{Type: experiments.EventMissing, Missing: 312})
	if got := strings.Join(plainLines(t, tape), "\n"); !strings.Contains(got, "here 312 events are missing") {
		t.Errorf("it says\n%s", got)
	}
}

func TestHowLongCloseWaits(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, test := range []struct {
		name     string
		reads    time.Duration // the pace of the reader; zero: takes nothing, 1: at once
		ends     time.Duration // when ctx ends; zero: never, negative: before
		patience time.Duration
		takes    time.Duration
		unread   int
		why      string
	}{
		{"no longer than it takes to write everything", 1, 0, 10 * time.Second, 0, 0, ""},
		{"not for ever for a reader that takes nothing", 0, 0, 10 * time.Second, 10 * time.Second, 3, "nothing was taken for 10s"},
		{"as long as a slow reader takes something", 8 * time.Second, 0, 10 * time.Second, 24 * time.Second, 0, ""},
		{"for ever where a person reads", time.Hour, 0, 0, 3 * time.Hour, 0, ""},
		{"until somebody says not to", 0, time.Minute, 0, time.Minute + lastGrace, 3, "it was told not to wait any longer"},
		{"even for a reader that takes something", 40 * time.Second, time.Minute, 0, time.Minute + lastGrace, 2, "it was told not to wait any longer"},
		{"a moment where somebody said so before", 0, -1, 0, lastGrace, 3, "it was told not to wait any longer"},
		{"which is enough for a reader that reads", 1, -1, 0, 0, 0, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newReader()
				out := NewOutlet(r, NewJSON)
				for i := range 3 {
					out.Event(experiments.Event{Type: experiments.EventNote, Text: fmt.Sprint(i, strings.Repeat(" ", mostAtOnce))})
					synctest.Wait()
				}
				stop := make(chan struct{})
				go func() {
					for test.reads > 0 {
						select {
						case <-time.After(test.reads):
						case <-stop:
							return
						}
						select {
						case r.turns <- struct{}{}:
						case <-stop:
							return
						}
					}
				}()
				ctx := t.Context()
				if test.ends < 0 {
					ctx = ended
				} else if test.ends > 0 {
					var end context.CancelFunc
					ctx, end = context.WithTimeout(ctx, test.ends)
					defer end()
				}
				began := time.Now()
				err := out.Close(ctx, test.patience)
				if took := time.Since(began); took.Truncate(time.Millisecond) != test.takes {
					t.Errorf("it waits for %s, want %s", took, test.takes)
				}
				var unread *UnreadError
				switch {
				case test.why == "" && err != nil:
					t.Error(err)
				case test.why != "" && (!errors.As(err, &unread) || unread.Events != test.unread || unread.Why != test.why):
					t.Errorf("it gives %v (%+v), want %d events unread as %s", err, unread, test.unread, test.why)
				}
				close(stop)
				synctest.Wait()
				close(r.turns) // so that nothing is left in the bubble
			})
		})
	}
}

func TestAnOutletTellsWhyItCannotWrite(t *testing.T) {
	for _, test := range []struct {
		name string
		view func(io.Writer) View
	}{{"plain lines", NewPlain}, {"JSON", NewJSON}, {"text alone", nil}} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				out := NewOutlet(closedPipe{}, test.view)
				for _, event := range finishedTape().events {
					out.Event(event)
					synctest.Wait()
				}
				fmt.Fprintln(out, "the summary")
				if err := out.Close(t.Context(), time.Second); !errors.Is(err, syscall.EPIPE) {
					t.Errorf("Close gives %v, want %v", err, syscall.EPIPE)
				}
			})
		})
	}
}

type closedPipe struct{}

func (closedPipe) Write([]byte) (int, error) { return 0, syscall.EPIPE }
