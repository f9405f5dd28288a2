package guards

import (
	"strings"
	"testing"
	"time"

	"github.com/gameday-sh/gameday/experiments"
)

// An SLO on a server's queries has no pace of its own: it is counted as often as the
// server scrapes, 15 s apart by default.
func TestAnSLOWithoutAPaceOfItsOwnIsWaitedFor(t *testing.T) {
	slo := &experiments.SLO{Name: "checkout", Objective: 0.999, Window: 30 * experiments.Day, SLI: scraped(time.Minute)}
	newHistory := func() *experiments.History {
		h := experiments.NewHistory(began, nil, []*experiments.SLO{slo})
		h.Injected = at(0)
		h.SetRate(slo, 100)
		return h
	}
	t.Run("no_data bears three of its counts", func(t *testing.T) {
		h := newHistory()
		guard := &NoData{For: 10 * time.Second}
		for second := 1.0; second <= 60; second++ {
			if int(second)%15 == 0 {
				addCount(h, slo, experiments.SinceInjection, second, 0, 100*second)
			}
			h.Now = at(second)
			if reading := guard.Judge(h); reading.Breached {
				t.Fatalf("after %gs: %s", second, reading.Text)
			}
		}
		h.Now = at(106)
		if reading := guard.Judge(h); !reading.Breached || !reading.Since.Equal(at(105)) {
			t.Errorf("46s after the last count: %+v", reading)
		}
	})
	t.Run("the braking distance of a budget holds one of its counts", func(t *testing.T) {
		h := newHistory()
		h.Reverting = 2 * time.Second
		// 1% of the budget are 2592 events; 100 fail a second, and stopping takes 17 s.
		guard := &Budget{SLO: slo, Spend: 0.01, Of: ofWindow}
		addCount(h, slo, experiments.SinceInjection, 8, 800, 800)
		if reading := guard.Judge(h); reading.Breached {
			t.Fatalf("800 spent: %s", reading.Text)
		}
		addCount(h, slo, experiments.SinceInjection, 9, 900, 900)
		if reading := guard.Judge(h); !reading.Breached || !strings.Contains(reading.Text, "stopping takes 17s") {
			t.Errorf("900 spent, and 1700 on the way: %+v", reading)
		}
	})
}

func TestMeasurementsThatWereNotAskedDoNotHideThoseThatFailed(t *testing.T) {
	probe := &experiments.Probed{Name: "front_door", Every: 100 * time.Millisecond, Timeout: 10 * time.Second}
	h := experiments.NewHistory(began, []*experiments.Probed{probe}, nil)
	h.Injected = at(0)
	guard := &Threshold{Probe: probe, Failures: true, Samples: 3}
	for i := range 3 { // answers every ten seconds, and nothing asked between
		h.AddSample(probe, experiments.Sample{At: at(float64(i) * 10), Counted: true, Why: "no answer within 10s"})
		for j := range 20 {
			h.AddSample(probe, experiments.Sample{At: at(float64(i)*10 + float64(j+1)/10), Condition: experiments.NotAsked})
		}
		if reading := guard.Judge(h); reading.Breached != (i == 2) {
			t.Fatalf("after %d failures: %+v", i+1, reading)
		}
	}
}
