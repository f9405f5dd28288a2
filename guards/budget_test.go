package guards

import (
	"math"
	"testing"
	"time"

	"github.com/gameday-sh/gameday/experiments"
)

// At 10 events a second the budget of 99.9% over 30d is 25,920 events, and 5% of it
// 1,296.
func TestBudgetCountsWhatIsSpent(t *testing.T) {
	for _, test := range []struct {
		name         string
		before, now  float64 // failed events 10s ago and now, 30s after the injection
		braking      time.Duration
		of           string
		remaining    float64
		want         wanted
		hasRemaining bool
	}{
		{name: "nothing failed", want: wanted{text: "0% of the 30d budget spent, 5% left; nothing fails now"}},
		{name: "some of it is spent", before: 57.36, now: 207.36, want: wanted{text: "0.8% of the 30d budget spent, 4.2% left; at this rate for 1m13s"}},
		{name: "what failed before does not fail now", before: 207.36, now: 207.36, want: wanted{text: "0.8% of the 30d budget spent, 4.2% left; nothing fails now"}},
		{name: "a trickle lasts longer than the window", before: 0, now: 0.0001, want: wanted{text: "0.000000386% of the 30d budget spent, 5% left; at this rate for more than 30d"}},
		{name: "the braking distance is part of it", before: 1036.8, now: 1136.8, braking: 16 * time.Second,
			want: wanted{breached: true, since: 30, text: "4.39% of the 30d budget spent, 0.614% left; at this rate for 16s, and stopping takes 16s"}},
		{name: "a shorter braking distance leaves room", before: 1036.8, now: 1136.8, braking: 15 * time.Second,
			want: wanted{text: "4.39% of the 30d budget spent, 0.614% left; at this rate for 16s"}},
		{name: "all of it is spent", before: 1296, now: 1296, want: wanted{breached: true, since: 30, text: "5% of the 30d budget spent, 0% left; nothing fails now"}},
		{name: "more than all of it is spent", before: 1000, now: 1555.2, want: wanted{breached: true, since: 30, text: "6% of the 30d budget spent, 1% more than allowed"}},
		{name: "a share of what was left", of: "remaining", remaining: 0.4, hasRemaining: true, before: 207.36, now: 207.36,
			want: wanted{text: "0.8% of the 30d budget spent, 1.2% left; nothing fails now"}},
		{name: "all of a share of what was left", of: "remaining", remaining: 0.1, hasRemaining: true, before: 207.36, now: 207.36,
			want: wanted{breached: true, since: 30, text: "0.8% of the 30d budget spent, 0.3% more than allowed"}},
		{name: "nothing was left", of: "remaining", remaining: -0.12, hasRemaining: true,
			want: wanted{breached: true, since: 0, text: "nothing of the 30d budget was left before the run (-12%)"}},
		{name: "what was left is not known", of: "remaining",
			want: wanted{breached: true, blind: true, since: 0, text: "what is left of the 30d budget of slo.checkout is not known; a guard that cannot see stops the run"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			slo := checkout()
			h := historyOf(slo)
			h.SetRate(slo, 10)
			if test.hasRemaining {
				h.SetRemaining(slo, test.remaining)
			}
			addCount(h, slo, experiments.SinceInjection, 20, test.before, 200)
			addCount(h, slo, experiments.SinceInjection, 25, (test.before+test.now)/2, 250)
			addCount(h, slo, experiments.SinceInjection, 30, test.now, 3000)
			guard := &Budget{SLO: slo, Spend: 0.05, Of: test.of, Braking: &test.braking}
			check(t, guard.Judge(h), test.want)
		})
	}
}

func TestBudgetBrakesForOneMeasurementAndTheRevert(t *testing.T) {
	slo := checkout()
	h := historyOf(slo)
	h.SetRate(slo, 10)
	h.Reverting = 9 * time.Second
	guard := &Budget{SLO: slo, Spend: 0.05}
	addCount(h, slo, experiments.SinceInjection, 20, 0, 200)
	addCount(h, slo, experiments.SinceInjection, 30, 647, 1000) // 64.7 a second, 10s to stop
	if reading := guard.Judge(h); reading.Breached || math.Abs(float64(reading.Used)-1294.0/1296) > 1e-9 {
		t.Errorf("got %+v", reading)
	}
	h.Reverting = 9100 * time.Millisecond
	if reading := guard.Judge(h); !reading.Breached {
		t.Errorf("got %+v", reading)
	}
}

func TestBudgetThatCannotBeCounted(t *testing.T) {
	slo := checkout()
	guard := &Budget{SLO: slo, Spend: 0.05, Of: "window"}
	t.Run("the rate of the baseline is not known", func(t *testing.T) {
		check(t, guard.Judge(historyOf(slo)), wanted{breached: true, blind: true,
			text: "the 30d budget of slo.checkout cannot be counted: its events a second in the baseline are not known; a guard that cannot see stops the run"})
	})
	t.Run("the baseline had no events", func(t *testing.T) {
		h := historyOf(slo)
		h.SetRate(slo, 0)
		check(t, guard.Judge(h), wanted{breached: true, blind: true,
			text: "the 30d budget of slo.checkout cannot be counted: it counted no event in the baseline; a guard that cannot see stops the run"})
	})
	t.Run("the query fails for now", func(t *testing.T) {
		h := historyOf(slo)
		h.SetRate(slo, 10)
		addUnread(h, slo, experiments.SinceInjection, 1, experiments.TooEarly, "1s of 20s")
		check(t, guard.Judge(h), wanted{blind: true, text: "spending of the 30d budget unknown, slo.checkout: too early (1s of 20s)"})
	})
}

func TestBudgetOnAProbe(t *testing.T) {
	slo := door() // 2 events a second: 5184 events, 1% of them 51.84
	h := historyOf(slo)
	h.SetRate(slo, 2)
	guard := &Budget{SLO: slo, Spend: 0.01, Braking: pointer(10 * time.Second)}
	addEvents(h, slo.Probe, -1, "bb")
	addEvents(h, slo.Probe, 0.5, "bbbb") // up to 2s: 2 a second since the injection
	check(t, guard.Judge(h), wanted{text: "0.0772% of the 30d budget spent, 0.923% left; at this rate for 24s"})
	for second := 2.5; second <= 14.5; second += 0.5 {
		addEvents(h, slo.Probe, second, "b")
	}
	if reading := guard.Judge(h); reading.Breached {
		t.Errorf("after 29 failed events: %+v", reading)
	}
	for second := 15.0; second <= 16; second += 0.5 {
		addEvents(h, slo.Probe, second, "b")
	}
	h.Now = at(16.2)
	if reading := guard.Judge(h); !reading.Breached || !reading.Since.Equal(at(16)) {
		t.Errorf("after 32 failed events and 20 more until it is stopped: %+v", reading)
	}
}

func TestBudgetProblems(t *testing.T) {
	for _, test := range []struct {
		name  string
		guard Budget
		want  []string
	}{
		{"right", Budget{SLO: checkout(), Spend: 0.05, Of: "window"}, nil},
		{"an SLO that is not known yet", Budget{Spend: 1, Of: "remaining"}, nil},
		{"all at once", Budget{Of: "month", Braking: pointer(-time.Second)}, []string{"spend: Nothing to spend", "of: Unknown budget", "braking: Negative braking time"}},
	} {
		t.Run(test.name, func(t *testing.T) { summaries(t, test.guard.Validate(), test.want...) })
	}
}

func TestBudgetNeedsWhatIsLeftOnlyForAShareOfIt(t *testing.T) {
	slo := checkout()
	if needs := (&Budget{SLO: slo, Of: "remaining"}).Needs(); len(needs.Remaining) != 1 || needs.Remaining[0] != slo || needs.SLOs[0] != slo {
		t.Errorf("needs %+v", needs)
	}
	if needs := (&Budget{SLO: slo, Of: "window"}).Needs(); len(needs.Remaining) != 0 || needs.SLOs[0] != slo {
		t.Errorf("needs %+v", needs)
	}
}

func TestBudgetsInTimeOfTotalOutage(t *testing.T) {
	slo := checkout()
	for _, test := range []struct{ share, seconds float64 }{
		{1, 43.2 * 60},
		{0.05, 129.6},
		{-0.1, 0},
	} {
		const rate = 25.0
		if got := lasts(test.share*budgetEvents(slo, rate), rate); math.Abs(got-test.seconds) > 1e-6 {
			t.Errorf("%g of the budget lasts %gs of total outage, want %gs", test.share, got, test.seconds)
		}
	}
}

func TestTheLimitThatABudgetGuardSets(t *testing.T) {
	slo := &experiments.SLO{Name: "checkout", Objective: 0.999, Window: 30 * experiments.Day, Every: 5 * time.Second}
	braking := 10 * time.Second
	nan := math.NaN()
	for name, c := range map[string]struct {
		guard     Budget
		remaining float64
		share     float64
		braking   time.Duration
	}{
		"of the window":                  {Budget{SLO: slo, Spend: 0.05}, 0.62, 0.05, 7 * time.Second},
		"of what is left":                {Budget{SLO: slo, Spend: 0.05, Of: "remaining"}, 0.62, 0.031, 7 * time.Second},
		"of what is left, which is none": {Budget{SLO: slo, Spend: 0.05, Of: "remaining"}, -0.62, 0, 7 * time.Second},
		"of what nobody knows":           {Budget{SLO: slo, Spend: 0.05, Of: "remaining"}, nan, nan, 7 * time.Second},
		"with a braking time":            {Budget{SLO: slo, Spend: 0.05, Braking: &braking}, nan, 0.05, 10 * time.Second},
	} {
		got := c.guard.Limit(c.remaining, 2*time.Second)
		if got.SLO != slo || math.Abs(got.Share-c.share) > 1e-12 || math.IsNaN(got.Share) != math.IsNaN(c.share) || got.Braking != c.braking {
			t.Errorf("%s: %+v, want %v and %v", name, got, c.share, c.braking)
		}
	}
}
