package guards

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gameday-sh/gameday/experiments"
)

// began is the start of every history in these tests; the injection is a minute
// later.
var began = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// at is so many seconds after the injection.
func at(seconds float64) time.Time {
	return began.Add(time.Minute + time.Duration(seconds*float64(time.Second)))
}

// door is an SLO of 99.9% over 30d on a probe that measures twice a second.
func door() *experiments.SLO {
	probe := &experiments.Probed{Name: "front_door", Every: 500 * time.Millisecond, Timeout: time.Second}
	return &experiments.SLO{Name: "door", Objective: 0.999, Window: 30 * experiments.Day, Probe: probe}
}

// checkout is an SLO of 99.9% over 30d on queries, evaluated every second.
func checkout() *experiments.SLO {
	return &experiments.SLO{Name: "checkout", Objective: 0.999, Window: 30 * experiments.Day, Every: time.Second}
}

// historyOf is a history of one SLO, injected a minute after it began.
func historyOf(s *experiments.SLO) *experiments.History {
	var probes []*experiments.Probed
	if s.Probe != nil {
		probes = append(probes, s.Probe)
	}
	h := experiments.NewHistory(began, probes, []*experiments.SLO{s})
	h.Injected = at(0)
	h.Now = at(0)
	return h
}

// addEvents measures a probe at its pace, from so many seconds after the injection
// on: one letter a measurement, g for good, b for bad, u for unreadable.
func addEvents(h *experiments.History, p *experiments.Probed, from float64, outcomes string) {
	for i, outcome := range outcomes {
		sample := experiments.Sample{At: at(from).Add(time.Duration(i) * p.Every), Took: 10 * time.Millisecond}
		switch outcome {
		case 'g':
			sample.Counted, sample.Good = true, true
		case 'b':
			sample.Counted, sample.Why = true, "503 Service Unavailable"
		case 'u':
			sample.Condition, sample.Why = experiments.Unreachable, "connection refused"
		}
		h.AddSample(p, sample)
	}
}

func addCount(h *experiments.History, s *experiments.SLO, window time.Duration, seconds, bad, total float64) {
	length := window
	if window == experiments.SinceInjection {
		length = at(seconds).Sub(h.Injected)
	}
	h.AddCount(s, window, experiments.Count{At: at(seconds), Window: length, Bad: bad, Total: total})
}

func addUnread(h *experiments.History, s *experiments.SLO, window time.Duration, seconds float64, condition experiments.Condition, why string) {
	h.AddCount(s, window, experiments.Count{At: at(seconds), Window: window, Condition: condition, Why: why})
}

// wanted is what a reading should be; Since in seconds after the injection, looked
// at only where breached.
type wanted struct {
	breached, blind bool
	text            string
	since           float64
}

func check(t *testing.T, got experiments.Reading, want wanted) {
	t.Helper()
	if got.Breached != want.breached || got.Blind != want.blind {
		t.Errorf("breached %t blind %t, want %t %t (%s)", got.Breached, got.Blind, want.breached, want.blind, got.Text)
	}
	if got.Text != want.text {
		t.Errorf("text %q\nwant %q", got.Text, want.text)
	}
	if !got.Used.Known() || got.Breached && got.Used < 1-1e-9 || !got.Breached && got.Used > 1 {
		t.Errorf("used %g of a limit that is breached: %t", got.Used, got.Breached)
	}
	switch {
	case want.breached && !got.Since.Equal(at(want.since)):
		t.Errorf("breached since %s after the injection, want %gs", got.Since.Sub(at(0)), want.since)
	case !want.breached && !got.Since.IsZero():
		t.Errorf("not breached, but since %s", got.Since)
	}
}

// summaries checks the summaries of a kind's problems.
func summaries(t *testing.T, problems []experiments.Problem, want ...string) {
	t.Helper()
	var got []string
	for _, p := range problems {
		got = append(got, p.Attribute+": "+p.Summary)
		if p.Detail == "" || !strings.HasSuffix(p.Detail, ".") {
			t.Errorf("%s: the detail is no sentence: %q", p.Summary, p.Detail)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("problems %q, want %q", got, want)
	}
}

func pointer[T any](v T) *T { return &v }
