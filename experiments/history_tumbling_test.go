package experiments

import (
	"math"
	"slices"
	"testing"
	"time"
)

func TestTumblingWindows(t *testing.T) {
	began := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	second := func(n float64) time.Time { return began.Add(time.Duration(n * float64(time.Second))) }
	probe := &Probed{Name: "door", Every: time.Second}

	t.Run("a window of a probe is listed once no later measurement can change it", func(t *testing.T) {
		slo := &SLO{Name: "checkout", Probe: probe}
		h := NewHistory(began, []*Probed{probe}, []*SLO{slo})
		h.Injected = second(2)
		for i := range 12 { // at 0.5s, 1.5s, ... 11.5s
			h.AddSample(probe, Sample{At: second(float64(i) + 0.5), Counted: true, Good: i%2 == 0})
			h.Now = second(100) // another probe's measurements move on
			want := 0
			if i >= 7 {
				want = 1
			}
			if got := h.Tumbling(slo, 5*time.Second); len(got) != want {
				t.Fatalf("after measurement %d: %d windows, want %d", i, len(got), want)
			}
		}
		first := h.Tumbling(slo, 5*time.Second)[0]
		if !first.At.Equal(second(7)) || first.Total != 5 || first.Bad != 2 {
			t.Errorf("first window %+v", first)
		}
		h.AddSample(probe, Sample{At: second(20), Counted: true})
		got := h.Tumbling(slo, 5*time.Second)
		if len(got) != 3 || got[1].Total != 5 || got[2].Condition != NoData {
			t.Errorf("after a gap: %+v", got)
		}
	})

	t.Run("windows of queries do not overlap and begin after the injection", func(t *testing.T) {
		slo := &SLO{Name: "checkout"}
		h := NewHistory(began, nil, []*SLO{slo})
		h.Injected = second(2)
		var ends []float64
		for i := range 20 {
			h.AddCount(slo, 5*time.Second, Count{At: second(float64(i)), Bad: float64(i), Total: 10})
			h.Tumbling(slo, 5*time.Second)
		}
		for _, c := range h.Tumbling(slo, 5*time.Second) {
			ends = append(ends, c.At.Sub(began).Seconds())
		}
		if !slices.Equal(ends, []float64{7, 12, 17}) {
			t.Errorf("windows end at %v", ends)
		}
		h.AddCount(slo, SinceInjection, Count{At: second(20)})
		if got := h.Windows(slo); !slices.Equal(got, []time.Duration{SinceInjection, 5 * time.Second}) {
			t.Errorf("Windows = %v", got)
		}
	})

	t.Run("a look costs nothing that was counted before and gives what a first look gives", func(t *testing.T) {
		slo := &SLO{Name: "checkout", Probe: probe}
		build := func(look bool) []Count {
			h := NewHistory(began, []*Probed{probe}, []*SLO{slo})
			h.Injected = second(1)
			for i := range 200 {
				h.AddSample(probe, Sample{At: second(float64(i)), Counted: true, Good: i%7 != 0})
				if look {
					h.Tumbling(slo, 3*time.Second)
				}
			}
			return h.Tumbling(slo, 3*time.Second)
		}
		if often, once := build(true), build(false); !slices.Equal(often, once) || len(once) != 66 {
			t.Errorf("%d windows when looked at often, %d when looked at once", len(often), len(once))
		}
	})
}

func TestRemainingBudgetIsUnknownUntilSet(t *testing.T) {
	slo := &SLO{Name: "checkout"}
	h := NewHistory(time.Now(), nil, []*SLO{slo})
	if !math.IsNaN(h.Remaining(slo)) {
		t.Errorf("Remaining = %g before it was set", h.Remaining(slo))
	}
	h.SetRemaining(slo, -0.2)
	if h.Remaining(slo) != -0.2 {
		t.Errorf("Remaining = %g", h.Remaining(slo))
	}
}
