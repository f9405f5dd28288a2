package budgets_test

import (
	"math"
	"testing"
	"time"
	_ "time/tzdata"

	"pgregory.net/rapid"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/guards/budgets"
)

// days is a course of whole days up to now, the oldest first.
func days(total float64, bad ...float64) (course []experiments.Count, sum experiments.Count) {
	sum = experiments.Count{At: now, Window: time.Duration(len(bad)) * experiments.Day}
	for i, b := range bad {
		at := now.Add(-time.Duration(len(bad)-1-i) * experiments.Day)
		course = append(course, experiments.Count{At: at, Window: experiments.Day, Bad: b, Total: total})
		sum.Bad, sum.Total = sum.Bad+b, sum.Total+total
	}
	return course, sum
}

func TestWhatIsSpentComesBackWhenItLeavesTheWindow(t *testing.T) {
	one := slo(0.99, 10*experiments.Day)
	// A budget of 100: 30 on the second day, 40 on the sixth and seventh, 5 yesterday.
	course, sum := days(1000, 0, 30, 0, 0, 0, 25, 15, 0, 5, 0)
	s := budgets.New(one, budgets.Reading{At: now, Period: sum, Course: course})
	near(t, "remaining", s.Remaining(), 0.25)
	returns := s.Returns(0.1)
	if len(returns) != 2 {
		t.Fatalf("returns are %v, want two", returns)
	}
	near(t, "first", returns[0].Share, 0.3)
	if want := now.Add(2 * experiments.Day); !returns[0].To.Equal(want) {
		t.Errorf("the first comes back until %v, want %v", returns[0].To, want)
	}
	near(t, "second", returns[1].Share, 0.4)
	if want := now.Add(5 * experiments.Day); !returns[1].From.Equal(want) {
		t.Errorf("the second comes back from %v, want %v", returns[1].From, want)
	}
	for remaining, want := range map[float64]time.Duration{0.25: 0, 0.5: 2, 0.55: 2, 0.56: 6, 0.95: 7, 1: 9} {
		if at, ok := s.Regains(remaining); !ok || !at.Equal(now.Add(want*experiments.Day)) {
			t.Errorf("%v is left again at %v (%v), want in %d days", remaining, at, ok, want)
		}
	}
	if _, ok := s.Regains(1.01); ok {
		t.Error("more than everything comes back")
	}
	if at := budgets.Back(one, now); !at.Equal(now.Add(10 * experiments.Day)) {
		t.Errorf("what is spent now comes back at %v", at)
	}
}

func TestWhatTricklesIsNoReturn(t *testing.T) {
	one := slo(0.99, 10*experiments.Day)
	course, sum := days(1000, 9, 9, 9, 30, 9, 9, 9, 9, 9, 9)
	s := budgets.New(one, budgets.Reading{At: now, Period: sum, Course: course})
	if got := s.Returns(0.05); len(got) != 1 || math.Abs(got[0].Share-0.3) > 1e-9 || !got[0].To.Equal(now.Add(4*experiments.Day)) {
		t.Errorf("returns are %v, want 30%% in four days", got)
	}
}

func TestTimeToExhaustion(t *testing.T) {
	one := slo(0.99, 10*experiments.Day)
	course, sum := days(1000, 0, 0, 0, 0, 0, 0, 0, 0, 0, 50)
	late := budgets.New(one, budgets.Reading{At: now, Period: sum, Course: course})
	course, sum = days(1000, 90, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	early := budgets.New(one, budgets.Reading{At: now, Period: sum, Course: course})
	over := budgets.Of(one, counted(10*experiments.Day, 200, 10000))
	for name, c := range map[string]struct {
		state *budgets.State
		burn  float64
		want  time.Duration
	}{
		"half is left, at burn 1":                    {late, 1, 5 * experiments.Day},
		"half is left, at burn 10":                   {late, 10, 12 * time.Hour},
		"nothing burns":                              {late, 0, budgets.Forever},
		"burn 0.4 does not spend the other half":     {late, 0.4, budgets.Forever},
		"a tenth is left, the outage leaves today":   {early, 1, budgets.Forever},
		"a tenth is left, and it burns fast":         {early, 14.4, 0}, // computed below
		"overspent":                                  {over, 0.1, 0},
		"without a course, the earliest that it can": {budgets.Of(one, counted(10*experiments.Day, 50, 10000)), 0.8, 150 * time.Hour},
		"without a course, not within the period":    {budgets.Of(one, counted(10*experiments.Day, 50, 10000)), 0.5, budgets.Forever},
	} {
		t.Run(name, func(t *testing.T) {
			want := c.want
			if c.burn == 14.4 {
				// 0.9 comes back within the first day, 1.44 is burnt: 0.54 net a day of 0.1.
				want = time.Duration(0.1 / 0.54 * float64(experiments.Day))
			}
			got, ok := c.state.Exhaustion(c.burn)
			if !ok || (got-want).Abs() > time.Second {
				t.Errorf("it lasts %v (%v), want %v", got, ok, want)
			}
		})
	}
	if _, ok := late.Exhaustion(math.NaN()); ok {
		t.Error("an unknown burn rate has an outlook")
	}
}

// The walk over what comes back agrees with going second by second, more or less.
func TestExhaustionAgreesWithASimulation(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const n = 10
		bad := rapid.SliceOfN(rapid.Float64Range(0, 30), n, n).Draw(t, "bad")
		burn := rapid.Float64Range(0.01, 20).Draw(t, "burn")
		one := slo(0.99, n*experiments.Day)
		course, sum := days(1000, bad...)
		s := budgets.New(one, budgets.Reading{At: now, Period: sum, Course: course})
		if s.Remaining() <= 0 {
			return
		}
		const steps = 4_000
		want := budgets.Forever
		for i := 1; i <= steps; i++ {
			share := float64(i) / steps // of the window, from now
			left := 0.0
			for d, b := range bad {
				left += b / 100 * math.Min(math.Max(share*n-float64(d), 0), 1)
			}
			if 1-s.Consumed()+left-burn*share <= 0 {
				want = time.Duration(share * n * float64(experiments.Day))
				break
			}
		}
		got, ok := s.Exhaustion(burn)
		if want == budgets.Forever && got < want && got > n*experiments.Day*999/1000 {
			return // at the edge
		}
		if !ok || (got-want).Abs() > n*experiments.Day/steps*2 && burn != 1 {
			// Where the budget only touches zero, the two may differ.
			if got < want && touches(s, bad, burn, got) {
				return
			}
			t.Fatalf("at burn %v it lasts %v, by simulation %v", burn, got, want)
		}
	})
}

func touches(s *budgets.State, bad []float64, burn float64, at time.Duration) bool {
	share := at.Seconds() / s.SLO.Window.Seconds()
	left := 0.0
	for d, b := range bad {
		left += b / 100 * math.Min(math.Max(share*float64(len(bad))-float64(d), 0), 1)
	}
	return math.Abs(1-s.Consumed()+left-burn*share) < 1e-3
}

func TestACalendarMonthWithAClockChange(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	one := slo(0.999, 30*experiments.Day)
	one.Calendar = &experiments.Calendar{Unit: experiments.CalendarMonth, Location: berlin}
	// March 2026 lost an hour on the 29th: 31 days of 24 hours, less one.
	const month = 743 * time.Hour
	from := time.Date(2026, time.March, 1, 0, 0, 0, 0, berlin)
	at := from.Add(month / 4)
	s := budgets.Of(one, experiments.Count{At: at, Window: month / 4, Bad: 500, Total: 1e6})
	if !s.From.Equal(from) || s.To.Sub(s.From) != month {
		t.Fatalf("the period is from %v, %v long", s.From, s.To.Sub(s.From))
	}
	near(t, "expected events", s.Expected(), 4e6)
	near(t, "budget of the month", s.Budget(), 4000)
	near(t, "budget so far", s.SoFar(), 1000)
	near(t, "consumed", s.Consumed(), 0.125)
	near(t, "burn rate so far", s.Burn(0), 0.5)
	near(t, "consumed at the end at burn 0.5", s.AtEnd(0.5), 0.5)
	near(t, "consumed at the end at burn 2", s.AtEnd(2), 0.125+1.5)
	if got, ok := s.Exhaustion(0.5); !ok || got != budgets.Forever {
		t.Errorf("at burn 0.5 it lasts %v; the month ends before", got)
	}
	if got, ok := s.Exhaustion(3.5); !ok || (got-month/4).Abs() > time.Second {
		t.Errorf("at burn 3.5 it lasts %v, want %v", got, month/4)
	}
	if at, ok := s.Regains(1); !ok || !at.Equal(s.To) {
		t.Errorf("it comes back at %v, want the first of April in Berlin", at)
	}
	if back := budgets.Back(one, at); !back.Equal(time.Date(2026, time.April, 1, 0, 0, 0, 0, berlin)) {
		t.Errorf("what is spent now comes back at %v", back)
	}
	whole := budgets.Of(one, experiments.Count{At: s.To.Add(-time.Second), Window: month - time.Second, Bad: 100, Total: 1e6})
	if math.Abs(whole.Consumed()-0.1) > 1e-6 {
		t.Errorf("at the end of the month %v is consumed, want 0.1", whole.Consumed())
	}
	near(t, "at the end of a rolling period, which has none,", budgets.Of(slo(0.99, experiments.Day), counted(experiments.Day, 0, 1)).AtEnd(1), math.NaN())
}

func TestTheBurnDownEndsAtWhatRemains(t *testing.T) {
	one := slo(0.99, 5*experiments.Day)
	course, sum := days(1000, 10, 0, 60, 0, 5)
	course[1].Condition = experiments.NoTraffic
	course[3].Condition = experiments.NoData
	got := budgets.New(one, budgets.Reading{At: now, Period: sum, Course: course}).Remainders()
	for i, want := range []float64{0.8, 0.8, -0.4, math.NaN(), -0.5} {
		near(t, "what was left", got[i], want)
	}
}

func TestSlicesThatNobodyCouldCountAreNeitherGoodNorBad(t *testing.T) {
	minute := func(condition experiments.Condition, bad, total float64) experiments.Count {
		return experiments.Count{Window: time.Minute, Condition: condition, Bad: bad, Total: total}
	}
	got := budgets.Slices([]experiments.Count{
		minute(experiments.OK, 1, 20), // exactly 95%
		minute(experiments.OK, 2, 20),
		minute(experiments.NoTraffic, 0, 0),
		minute(experiments.NoData, 0, 0),
	}, 0.95)
	if got.Bad != 1 || got.Total != 3 || got.Unread != 1 || got.Window != 4*time.Minute {
		t.Errorf("counted %+v, want 1 bad of 3 slices and 1 unread", got)
	}
	if none := budgets.Slices(nil, 0.95); none.Condition != experiments.NoData {
		t.Errorf("no slices are %q", none.Condition)
	}
}

func TestWindowsFitThePeriod(t *testing.T) {
	for _, c := range []struct {
		window time.Duration
		want   []time.Duration
	}{
		{30 * experiments.Day, []time.Duration{time.Hour, 6 * time.Hour, experiments.Day, 3 * experiments.Day}},
		{7 * experiments.Day, []time.Duration{time.Hour, 6 * time.Hour, experiments.Day, 3 * experiments.Day}},
		{experiments.Day, []time.Duration{2 * time.Minute, 12 * time.Minute, 48 * time.Minute, 144 * time.Minute}},
		{time.Hour, []time.Duration{5 * time.Second, 30 * time.Second, 2 * time.Minute, 6 * time.Minute}},
	} {
		got := budgets.Windows(slo(0.99, c.window))
		if len(got) != len(c.want) {
			t.Fatalf("windows of %v are %v", c.window, got)
		}
		for i := range got {
			if got[i] != c.want[i] {
				t.Errorf("windows of %v are %v, want %v", c.window, got, c.want)
				break
			}
		}
	}
}
