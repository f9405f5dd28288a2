package budgets

import (
	"math"
	"time"

	"github.com/gameday-sh/gameday/experiments"
)

// Forever is a time that does not come: longer than any period.
const Forever = time.Duration(math.MaxInt64)

// Exhaustion is how long the budget lasts if it goes on burning at a rate: 0 where it
// is spent, Forever where it does not end at this rate, or not within its period. It is
// false where nobody knows.
//
// Of a rolling period, what was spent at its begin comes back meanwhile. With a Course
// that is taken into account; without one the answer is the earliest that it can be:
// W * remaining / burn.
func (s *State) Exhaustion(burn float64) (time.Duration, bool) {
	remaining := s.Remaining()
	switch {
	case math.IsNaN(remaining) || math.IsNaN(burn) || burn < 0:
		return 0, false
	case remaining <= 0:
		return 0, true
	case burn == 0:
		return Forever, true
	}
	if s.SLO.Calendar != nil {
		left := remaining / burn * s.length().Seconds()
		if left >= s.To.Sub(s.At).Seconds() {
			return Forever, true // the budget begins anew before that
		}
		return seconds(left), true
	}
	return s.rolling(remaining, burn), true
}

func seconds(v float64) time.Duration {
	if v >= Forever.Seconds() {
		return Forever
	}
	return time.Duration(v * float64(time.Second))
}

// rolling walks along the times at which what was spent comes back.
func (s *State) rolling(remaining, burn float64) time.Duration {
	if len(s.Course) == 0 {
		lasts := remaining / burn * s.length().Seconds()
		if lasts >= s.length().Seconds() {
			return Forever // by then all that was spent before came back, and burn is below 1
		}
		return seconds(lasts)
	}
	perSecond := burn / s.length().Seconds()
	now := 0.0
	for _, back := range s.back() {
		// Between begin and end of a stretch its share comes back evenly.
		from := max(back.from.Sub(s.At).Seconds(), now)
		if lasts := remaining / perSecond; now+lasts <= from {
			return seconds(now + lasts)
		}
		remaining -= (from - now) * perSecond
		now = from
		to := back.to.Sub(s.At).Seconds()
		if to <= now {
			remaining += back.share
			continue
		}
		net := perSecond - back.share/(to-now)
		if net > 0 && now+remaining/net <= to {
			return seconds(now + remaining/net)
		}
		remaining -= (to - now) * net
		now = to
	}
	// A period from now on, what was burnt at this rate comes back at this rate.
	if now+remaining/perSecond < s.length().Seconds()*(1-1e-9) {
		return seconds(now + remaining/perSecond)
	}
	return Forever
}

// stretch is when a share of the budget comes back.
type stretch struct {
	from, to time.Time
	share    float64
}

// back lists when the bad events of the course leave a rolling period, oldest first.
func (s *State) back() []stretch {
	budget := s.Budget()
	var list []stretch
	for _, c := range s.Course {
		if c.Condition != experiments.OK || !(c.Bad > 0) || !(budget > 0) {
			continue
		}
		end := c.At.Add(s.length())
		if !end.After(s.At) {
			continue
		}
		list = append(list, stretch{end.Add(-c.Window), end, c.Bad / budget})
	}
	return list
}

// Return is a share of the budget that comes back, all of it at To and none before From.
type Return struct {
	From, To time.Time
	Share    float64
}

// Returns lists when what is spent comes back, if nothing more is spent: shares of at
// least a size, each from stretches of the course one after the other that burned the
// budget faster than it lasts. The rest trickles in. A period of a calendar gives
// everything back at its end.
func (s *State) Returns(atLeast float64) []Return {
	if !s.Known() {
		return nil
	}
	if s.SLO.Calendar != nil {
		if s.Consumed() < atLeast || s.Period.Bad == 0 {
			return nil
		}
		return []Return{{s.To, s.To, s.Consumed()}}
	}
	var all []Return
	for _, b := range s.back() {
		if even := b.to.Sub(b.from).Seconds() / s.length().Seconds(); b.share <= even {
			continue
		}
		if n := len(all); n > 0 && !b.from.After(all[n-1].To) {
			all[n-1].To = b.to
			all[n-1].Share += b.share
			continue
		}
		all = append(all, Return{b.from, b.to, b.share})
	}
	var list []Return
	for _, r := range all {
		if r.Share >= atLeast {
			list = append(list, r)
		}
	}
	return list
}

// Regains is when the share that is left is at least so much again if nothing more is
// spent: now where it is already, false where it is not known or never comes.
func (s *State) Regains(remaining float64) (time.Time, bool) {
	const noise = 1e-12
	left := s.Remaining()
	switch {
	case math.IsNaN(left) || remaining > 1:
		return time.Time{}, false
	case left >= remaining-noise:
		return s.At, true
	case s.SLO.Calendar != nil:
		return s.To, true
	}
	for _, b := range s.back() {
		if left += b.share; left >= remaining-noise {
			return b.to, true
		}
	}
	return time.Time{}, false
}

// Back is when what is spent at a moment comes back: a period later, or where the
// calendar begins the next one.
func Back(slo *experiments.SLO, spent time.Time) time.Time {
	if slo.Calendar == nil {
		return spent.Add(slo.Window)
	}
	_, to := slo.Calendar.Period(spent)
	return to
}

// AtEnd is the share of the budget that will be consumed at the end of a period of a
// calendar if it goes on burning at a rate. A rolling period has no end: NaN.
func (s *State) AtEnd(burn float64) float64 {
	if s.SLO.Calendar == nil {
		return math.NaN()
	}
	return s.Consumed() + s.Spent(burn, s.To.Sub(s.At))
}

// Slices counts time slices from counts of events: a slice is bad if its share of good
// events is below the objective. Slices without an event are good, as nothing failed;
// those that could not be counted are neither.
func Slices(slices []experiments.Count, objective experiments.Percent) experiments.Count {
	var sum experiments.Count
	for _, c := range slices {
		sum.At = c.At
		sum.Window += c.Window
		if c.Condition != experiments.OK && c.Condition != experiments.NoTraffic {
			sum.Unread++
			continue
		}
		sum.Total++
		// A share of two counts is off by the last digit of a float.
		if c.Total > 0 && c.Bad/c.Total > objective.Rest()*(1+1e-12) {
			sum.Bad++
		}
	}
	if sum.Total == 0 {
		sum.Condition, sum.Why = experiments.NoData, "no slice could be counted"
	}
	return sum
}

// Remainders gives what was left of the period's budget at the end of each stretch of
// the course: the whole budget less what was spent since the period's begin. It is what
// a burn-down shows, and ends at about Remaining: "about", as a count of a long window
// and the sum of short ones differ at the seams. NaN where a stretch is not known.
func (s *State) Remainders() []float64 {
	budget, spent := s.Budget(), 0.0
	list := make([]float64, len(s.Course))
	for i, c := range s.Course {
		switch c.Condition {
		case experiments.OK:
			spent += c.Bad
		case experiments.NoTraffic: // nothing was spent
		default:
			list[i] = math.NaN()
			continue
		}
		list[i] = 1 - spent/budget
	}
	return list
}

// Windows are those over which the burn rate of an SLO is looked at: 1h, 6h, 1d and 3d
// as in the SRE workbook, and as large a share of shorter periods. The shortest that its
// source can count is the least.
func Windows(slo *experiments.SLO) []time.Duration {
	list := []time.Duration{time.Hour, 6 * time.Hour, experiments.Day, 3 * experiments.Day}
	if slo.Window < experiments.Week {
		for i, shares := range []time.Duration{720, 120, 30, 10} {
			list[i] = slo.Window / shares
			for _, step := range []time.Duration{time.Hour, time.Minute, time.Second} {
				if list[i] >= 4*step {
					list[i] = list[i].Round(step)
					break
				}
			}
		}
	}
	var fit []time.Duration
	for _, w := range list {
		if w < slo.Window && (slo.SLI == nil || w >= slo.SLI.Shortest()) {
			fit = append(fit, w)
		}
	}
	return fit
}
