package experiments

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"
)

func TestATemplateEscapesWhatWasCapturedAndShowsNothing(t *testing.T) {
	template := NewTemplate(Piece{Text: "a="}, Piece{Text: "&"}, Piece{Capture: "x"}, Piece{Text: ";"}, Piece{Capture: "x", JSON: true}, Piece{Capture: "gone"})
	if got, want := template.Render(map[string]string{"x": `q"`}, nil), `a=&q";q\"`; got != want {
		t.Errorf("rendered as %s, want %s", got, want)
	}
	if text, whole := template.Fixed(); text != "a=&" || whole || template.IsZero() {
		t.Errorf("it begins with %q, and is whole: %v", text, whole)
	}
	if text, whole := NewTemplate(Piece{Text: "x"}, Piece{Text: "y"}).Fixed(); text != "xy" || !whole {
		t.Errorf("a fixed text is %q, whole: %v", text, whole)
	}
	for _, empty := range []Template{{}, NewTemplate(), NewTemplate(Piece{})} {
		if !empty.IsZero() {
			t.Errorf("%d pieces of nothing are something", len(empty.pieces))
		}
	}
	stored, err := json.Marshal(map[string]any{"t": template})
	if printed := fmt.Sprintf("%v %+v %#v %s %s", template, template, template, template, stored); err != nil || printed != `(secret) (secret) (secret) (secret) {"t":"(secret)"}` {
		t.Errorf("it shows %s (%v)", printed, err)
	}
}

func TestAMeasurementThatPausedBeganBeforeItsPause(t *testing.T) {
	began := time.Unix(1_800_000_000, 0)
	history := NewHistory(began, nil, nil)
	p := &Probed{Name: "checkout", Journey: &Journey{}}
	at := func(seconds float64) time.Time { return began.Add(time.Duration(seconds * float64(time.Second))) }
	// It began 5 s before its answer, and was under way for 1 s of them.
	history.AddSample(p, Sample{At: at(12), Took: time.Second, Idle: 4 * time.Second, Counted: true, Why: "late", Step: "pay"})
	history.AddSample(p, Sample{At: at(12.5), Took: time.Second, Counted: true, Good: true})
	track := history.Probe(p)
	if s := track.At(0); s.Idle != 4*time.Second || s.Step != "pay" || track.At(1).Idle != 0 {
		t.Errorf("kept as %+v and %+v", s, track.At(1))
	}
	for _, test := range []struct {
		name     string
		from, to float64
		total    float64
	}{
		{"when it began", 6.5, 7.5, 1}, {"when it paused", 8, 11, 0}, {"when the other began", 11, 12, 1}, {"all the time", 6, 13, 2},
	} {
		if c := track.countBegun(at(test.from), at(test.to)); c.Total != test.total {
			t.Errorf("%s: %v events began, want %v", test.name, c.Total, test.total)
		}
	}
}

func TestAJourneyIsSummedUpByItsSteps(t *testing.T) {
	began := time.Unix(1_800_000_000, 0)
	history := NewHistory(began, nil, nil)
	p := &Probed{Name: "checkout", Journey: &Journey{Description: "buy", Criticality: Critical, Steps: []string{"cart", "pay"}}}
	add := func(seconds int, s Sample) {
		s.At, s.Took = began.Add(time.Duration(seconds)*time.Second), 100*time.Millisecond
		history.AddSample(p, s)
	}
	if got := p.Journey.result(p, history.Probe(p), began); got.Total != 0 || len(got.Steps) != 2 || got.Series != "journey.checkout" {
		t.Errorf("of nothing it says %+v", got)
	}
	add(1, Sample{Counted: true, Step: "cart", Why: "before anything was broken"})
	add(11, Sample{Counted: true, Good: true})
	add(12, Sample{Counted: true, Step: "pay"})
	add(13, Sample{Condition: Broken, Step: "pay", Why: "cancelled"})
	add(14, Sample{Counted: true, Step: "pay"})
	add(15, Sample{Counted: true, Step: "cart"})
	got := p.Journey.result(p, history.Probe(p), began.Add(10*time.Second))
	want := JourneyResult{Name: "checkout", Description: "buy", Criticality: Critical, Series: "journey.checkout", Total: 4, Bad: 3, Unread: 1, Steps: []StepResult{{"cart", 1}, {"pay", 2}}}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("summed up as %+v, want %+v", got, want)
	}
	if got := p.Journey.result(p, history.Probe(p), time.Time{}); got.Total != 0 {
		t.Errorf("with nothing injected it counts %d", got.Total)
	}
}

func TestTheJourneysOfADeadRunKeepTheirNames(t *testing.T) {
	began := time.Unix(1_800_000_000, 0)
	sample := func(series string, seconds int) Event {
		at := began.Add(time.Duration(seconds) * time.Second)
		return Event{At: at, Type: EventSample, Series: series, Sample: &Sample{At: at, Took: time.Second, Idle: time.Second, Counted: true, Step: "pay"}}
	}
	r := Rebuild([]Event{{At: began, Begin: &Begin{Run: "r"}}, sample("journey.shop", 3), sample("probe.shop", 4), sample("journey.shop", 5)}, false)
	if len(r.Series) != 2 || r.Series[0].Name != "journey.shop" || len(r.Series[0].At) != 2 || r.Series[1].Name != "probe.shop" {
		t.Errorf("rebuilt with %+v", r.Series)
	}
}
