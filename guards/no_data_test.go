package guards

import (
	"strings"
	"testing"
	"time"

	"github.com/gameday-sh/gameday/experiments"
)

func TestNoDataOfAProbe(t *testing.T) {
	for _, test := range []struct {
		name     string
		outcomes string // from the injection on, two a second
		now      float64
		every    time.Duration
		want     wanted
	}{
		{"read just now", "gggg", 2, 0, wanted{text: "probe.front_door read 500ms ago of 10s allowed"}},
		{"bad answers are data", strings.Repeat("b", 40), 19.5, 0, wanted{text: "probe.front_door read 0s ago of 10s allowed"}},
		{"unreadable for a while", "gguuuu", 3, 0, wanted{text: "probe.front_door: unreachable for 2.5s of 10s (connection refused)"}},
		{"unreadable for exactly as long as is borne", "g" + strings.Repeat("u", 20), 10, 0, wanted{text: "probe.front_door: unreachable for 10s of 10s (connection refused)"}},
		{"unreadable for too long", "g" + strings.Repeat("u", 24), 12, 0, wanted{breached: true, since: 10, text: "probe.front_door: unreachable for 12s (connection refused)"}},
		{"readable again", "g" + strings.Repeat("u", 24) + "g", 12.5, 0, wanted{text: "probe.front_door read 0s ago of 10s allowed"}},
		{"measurements that stopped", "g", 11, 0, wanted{breached: true, since: 10, text: "probe.front_door: no measurement for 11s"}},
		{"never measured since the injection", "", 10.5, 0, wanted{breached: true, since: 10, text: "probe.front_door: no measurement for 11s"}},
		{"a slow pace is borne for three measurements and a timeout", "g", 30, 10 * time.Second, wanted{text: "probe.front_door read 30s ago of 31s allowed"}},
		{"and no longer", "g", 32, 10 * time.Second, wanted{breached: true, since: 31, text: "probe.front_door: no measurement for 32s"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			probe := &experiments.Probed{Name: "front_door", Every: 500 * time.Millisecond, Timeout: time.Second}
			h := experiments.NewHistory(began, []*experiments.Probed{probe}, nil)
			addEvents(h, probe, -20, strings.Repeat("g", 40))
			h.Injected = at(0)
			addEvents(h, probe, 0, test.outcomes)
			if test.every > 0 {
				probe.Every = test.every
			}
			h.Now = at(test.now)
			check(t, (&NoData{For: 10 * time.Second}).Judge(h), test.want)
		})
	}
}

func TestNoDataOfQueries(t *testing.T) {
	const window = 5 * time.Second
	none := func(h *experiments.History, s *experiments.SLO, seconds int, condition experiments.Condition, why string) {
		for i := 1; i <= seconds; i++ {
			addUnread(h, s, window, float64(i), condition, why)
		}
	}
	for _, test := range []struct {
		name    string
		measure func(h *experiments.History, s *experiments.SLO)
		now     float64
		want    wanted
	}{
		{"counted just now", func(h *experiments.History, s *experiments.SLO) { addCount(h, s, window, 5, 0, 50) }, 6,
			wanted{text: "slo.checkout read 1s ago of 10s allowed"}},
		{"unreachable for too long", func(h *experiments.History, s *experiments.SLO) {
			none(h, s, 12, experiments.Unreachable, "connection refused")
		}, 12, wanted{breached: true, since: 10, text: "slo.checkout: unreachable for 12s (connection refused)"}},
		{"never evaluated", func(*experiments.History, *experiments.SLO) {}, 12,
			wanted{breached: true, since: 10, text: "slo.checkout: no measurement for 12s"}},
		{"one window silent is enough", func(h *experiments.History, s *experiments.SLO) {
			none(h, s, 12, experiments.NoData, "no series")
			addCount(h, s, time.Minute, 12, 0, 500)
			addCount(h, s, experiments.SinceInjection, 12, 0, 100)
		}, 12, wanted{breached: true, since: 10, text: "slo.checkout: no data for 12s (no series)"}},
		{"no traffic where the baseline had some is a breach", func(h *experiments.History, s *experiments.SLO) {
			h.SetRate(s, 20)
			none(h, s, 12, experiments.NoTraffic, "")
		}, 12, wanted{breached: true, since: 10, text: "slo.checkout: no traffic for 12s"}},
		{"no traffic where it is thin is borne for ten events", func(h *experiments.History, s *experiments.SLO) {
			h.SetRate(s, 0.5)
			none(h, s, 12, experiments.NoTraffic, "")
		}, 12, wanted{text: "slo.checkout: no traffic for 12s of 20s"}},
		{"and no longer", func(h *experiments.History, s *experiments.SLO) {
			h.SetRate(s, 0.5)
			none(h, s, 21, experiments.NoTraffic, "")
		}, 21, wanted{breached: true, since: 20, text: "slo.checkout: no traffic for 21s"}},
		{"traffic hardly ever comes", func(h *experiments.History, s *experiments.SLO) {
			h.SetRate(s, 1e-300)
			none(h, s, 12, experiments.NoTraffic, "")
		}, 12, wanted{text: "slo.checkout: no traffic for 12s of 277777h47m"}},
		{"no traffic where the baseline had none is borne", func(h *experiments.History, s *experiments.SLO) {
			h.SetRate(s, 0)
			none(h, s, 100, experiments.NoTraffic, "")
		}, 100, wanted{text: "nothing is measured"}},
		{"no traffic where the baseline is not known is a breach", func(h *experiments.History, s *experiments.SLO) {
			none(h, s, 12, experiments.NoTraffic, "")
		}, 12, wanted{breached: true, since: 10, text: "slo.checkout: no traffic for 12s"}},
		{"a window that is not full yet is borne", func(h *experiments.History, s *experiments.SLO) {
			none(h, s, 14, experiments.TooEarly, "")
		}, 14, wanted{text: "slo.checkout: too early for 14s of 15s"}},
		{"until it could be", func(h *experiments.History, s *experiments.SLO) {
			none(h, s, 16, experiments.TooEarly, "")
		}, 16, wanted{breached: true, since: 15, text: "slo.checkout: too early for 16s"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			slo := checkout()
			slo.SLI = scraped(window)
			h := historyOf(slo)
			test.measure(h, slo)
			h.Now = at(test.now)
			check(t, (&NoData{For: 10 * time.Second}).Judge(h), test.want)
		})
	}
}

func TestNoDataNamesTheSeriesThatIsSilentLongest(t *testing.T) {
	slo := door()
	h := historyOf(slo)
	for i := range 24 { // values, but no events: the probe is readable, the SLO is not
		h.AddSample(slo.Probe, experiments.Sample{At: at(float64(i) / 2)})
	}
	guard := &NoData{For: 10 * time.Second}
	check(t, guard.Judge(h), wanted{breached: true, since: 10, text: "slo.door: no traffic for 12s (the probe counts no events)"})
}

func TestNoDataWithNothingToWatch(t *testing.T) {
	guard := &NoData{For: 10 * time.Second}
	h := experiments.NewHistory(began, nil, nil)
	check(t, guard.Judge(h), wanted{text: "nothing was injected yet"})
	h.Injected = at(0)
	check(t, guard.Judge(h), wanted{text: "nothing is measured"})
	summaries(t, guard.Validate())
	summaries(t, (&NoData{}).Validate(), "for: No time at all")
}
