package budgets_test

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/gameday-sh/gameday/guards/budgets"
)

var page = budgets.Alert{Name: "page", Factor: 14.4, Long: time.Hour, Short: 5 * time.Minute}

func TestWhenAPageFires(t *testing.T) {
	const m, s = time.Minute, time.Second
	for name, c := range map[string]struct {
		alert  budgets.Alert
		base   float64
		course []budgets.Stretch
		fires  bool
		after  time.Duration
		peak   float64
	}{
		// F*b*L/p, from a clean history: 14.4 * 0.001 * 3600 s.
		"everything fails":                                  {page, 0, []budgets.Stretch{{0, 10 * m, 1}}, true, 51840 * time.Millisecond, 0},
		"a tenth fails":                                     {page, 0, []budgets.Stretch{{0, 20 * m, 0.1}}, true, 518400 * time.Millisecond, 0},
		"two minutes of a tenth":                            {page, 0, []budgets.Stretch{{0, 2 * m, 0.1}}, false, 0, 0.1 * 120 / 3600 / 0.001},
		"less than the factor asks for, for hours":          {page, 0, []budgets.Stretch{{0, 600 * m, 0.0143}}, false, 0, 14.3},
		"exactly as much, for hours":                        {page, 0, []budgets.Stretch{{0, 600 * m, 0.0144}}, true, time.Hour, 14.4},
		"it must last":                                      {budgets.Alert{Factor: 14.4, Long: time.Hour, Short: 5 * m, For: 2 * m}, 0, []budgets.Stretch{{0, 10 * m, 1}}, true, 51840*time.Millisecond + 2*m, 0},
		"it does not last: the short window is clean again": {budgets.Alert{Factor: 14.4, Long: time.Hour, Short: 5 * m, For: 10 * m}, 0, []budgets.Stretch{{0, 52 * s, 1}}, false, 0, 52.0 / 3600 / 0.001},
		"half of it failed before":                          {page, 0.0072, []budgets.Stretch{{0, 10 * m, 1}}, true, 26108 * time.Millisecond, 0},
		"two harms, none of which would do":                 {page, 0, []budgets.Stretch{{0, 30 * s, 1}, {10 * m, 10*m + 30*s, 1}}, true, 10*m + 21840*time.Millisecond, 0},
		"the short window forgets the first":                {page, 0, []budgets.Stretch{{0, 51 * s, 1}, {20 * m, 20*m + 2*s, 1}}, false, 0, 51.0 / 3600 / 0.001},
		"nothing fails":                                     {page, 0, nil, false, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			got := c.alert.Fires(0.001, c.base, c.course)
			if got.Fires != c.fires || (got.After-c.after).Abs() > time.Millisecond {
				t.Errorf("fires %v after %v, want %v after %v", got.Fires, got.After, c.fires, c.after)
			}
			if c.peak > 0 {
				near(t, "peak", got.Peak, c.peak)
			}
		})
	}
}

func TestHowMuchOutageAPageNeeds(t *testing.T) {
	for name, c := range map[string]struct {
		alert        budgets.Alert
		budget, base float64
		want         time.Duration
		can          bool
	}{
		"99.9%":               {page, 0.001, 0, 51840 * time.Millisecond, true},
		"99%":                 {page, 0.01, 0, 518400 * time.Millisecond, true},
		"90% can never":       {page, 0.1, 0, 0, false},
		"it fires already":    {page, 0.001, 0.02, 0, true},
		"an unknown baseline": {page, 0.001, math.NaN(), 51840 * time.Millisecond, true},
	} {
		if got, can := c.alert.Needs(c.budget, c.base); can != c.can || (got-c.want).Abs() > time.Millisecond {
			t.Errorf("%s: %v (%v), want %v (%v)", name, got, can, c.want, c.can)
		}
	}
}

// Second by second, an alert does what Fires says of it.
func TestAPageFiresWhenASimulationOfItDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		second := func(n int) time.Duration { return time.Duration(n) * time.Second }
		short := rapid.IntRange(5, 60).Draw(t, "short")
		long := short * rapid.IntRange(2, 12).Draw(t, "times")
		wait := rapid.IntRange(0, 30).Draw(t, "for")
		alert := budgets.Alert{Factor: rapid.Float64Range(1, 20).Draw(t, "factor"), Long: second(long), Short: second(short), For: second(wait)}
		const budget = 0.01
		base := rapid.Float64Range(0, 0.005).Draw(t, "base")
		var course []budgets.Stretch
		at := 0
		for range rapid.IntRange(1, 4).Draw(t, "stretches") {
			at += rapid.IntRange(0, 200).Draw(t, "gap")
			to := at + rapid.IntRange(1, 200).Draw(t, "length")
			course = append(course, budgets.Stretch{From: second(at), To: second(to), Share: rapid.Float64Range(0.05, 1).Draw(t, "share")})
			at = to
		}
		got := alert.Fires(budget, base, course)

		const step = 0.05 // s
		end := float64(at + long + wait + 1)
		before := long * 20
		failed := make([]float64, before+int(end/step)+1) // cumulative
		for i := 1; i < len(failed); i++ {
			now := (float64(i-before) - 0.5) * step
			share := base
			for _, s := range course {
				if now > s.From.Seconds() && now < s.To.Seconds() {
					share = s.Share
				}
			}
			failed[i] = failed[i-1] + share*step
		}
		since, fired, after, peak, closest := -1.0, false, 0.0, 0.0, math.Inf(1)
		for i := before; i < len(failed); i++ {
			now := float64(i-before) * step
			burn := math.Inf(1)
			for _, w := range []int{long, short} {
				n := int(math.Round(float64(w) / step))
				burn = min(burn, (failed[i]-failed[i-n])/float64(w)/budget)
			}
			peak = max(peak, burn)
			closest = min(closest, math.Abs(burn-alert.Factor))
			if burn < alert.Factor {
				since = -1
				continue
			}
			if since < 0 {
				since = now
			}
			if !fired && now-since >= alert.For.Seconds()-1e-9 {
				fired, after = true, now
			}
		}
		if math.Abs(peak-got.Peak) > 0.02*max(1, peak) {
			t.Fatalf("the peak is %v, by simulation %v", got.Peak, peak)
		}
		if fired != got.Fires {
			// A peak that just touches the factor, or lasts just as long as it must.
			again := alert
			again.For += second(1) / 2
			if math.Abs(peak-alert.Factor) < 0.02 || again.Fires(budget, base, course).Fires != got.Fires {
				return
			}
			again.For = max(alert.For-second(1)/2, 0)
			if again.Fires(budget, base, course).Fires != got.Fires {
				return
			}
			t.Fatalf("it fires: %v, by simulation %v", got.Fires, fired)
		}
		if fired && math.Abs(after-got.After.Seconds()) > 0.2 {
			again := alert
			again.Factor *= 1.003
			if math.Abs(after-again.Fires(budget, base, course).After.Seconds()) < 0.5 {
				return // it came close to the factor before, and not quite there
			}
			t.Fatalf("it fires after %v, by simulation after %v s", got.After, after)
		}
	})
}
