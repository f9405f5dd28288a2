package budgets

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// Alert is a burn-rate alert: it fires when the burn rate is at least Factor over both
// windows, for as long as For (SRE workbook, "Alerting on SLOs", multiwindow).
type Alert struct {
	Name        string
	Factor      float64
	Long, Short time.Duration
	For         time.Duration
}

// Stretch is a time in which a share of the events fails.
type Stretch struct {
	From, To time.Duration
	Share    float64
}

// Firing is what an alert does over a course of failures.
type Firing struct {
	Fires bool
	// After is the time from the start of the course until it fires.
	After time.Duration
	// Peak is the highest burn rate that both windows have at once.
	Peak float64
}

// Fires tells what the alert does when events fail as course says, at a steady traffic,
// and base, a share of the events, failed before and fails in between. From a clean
// history and at a share p of failing events it takes F*b*L/p to fire, and never does
// where p < F*b.
//
// A real rule looks only at its interval and at scrapes, and fires up to so much later.
func (a Alert) Fires(budget, base float64, course []Stretch) Firing {
	course = slices.Clone(course)
	slices.SortFunc(course, func(x, y Stretch) int { return cmp.Compare(x.From, y.From) })
	c := sums{base: base}
	times := []time.Duration{0}
	for _, s := range course {
		c.add(s)
		for _, at := range []time.Duration{s.From, s.To} {
			times = append(times, at, at+a.Long, at+a.Short)
		}
	}
	slices.Sort(times)
	times = slices.Compact(times)
	limit := a.Factor * budget
	var f Firing
	since := time.Duration(-1) // when it became true, -1 while it is not
	// Both windows' shares are linear between two of the times, and so is where they cross.
	for i := range times {
		from := times[i]
		long, short := c.over(from, a.Long), c.over(from, a.Short)
		f.Peak = max(f.Peak, min(long, short)/budget)
		to := from
		if i+1 < len(times) {
			to = times[i+1]
		}
		l2, s2 := c.over(to, a.Long), c.over(to, a.Short)
		if k, ok := crossing(long-short, l2-short-(s2-short)); ok {
			f.Peak = max(f.Peak, (long+k*(l2-long))/budget)
		}
		first, last, ok := bothAbove(limit, long, l2, short, s2)
		if !ok {
			since = -1
			continue
		}
		span := float64(to - from)
		if since < 0 || first > 0 {
			since = from + time.Duration(first*span)
		}
		until := from + time.Duration(last*span)
		if i == len(times)-1 {
			until = since + a.For // nothing changes any more
		}
		if !f.Fires && until-since >= a.For {
			f.Fires, f.After = true, since+a.For
		}
		if last < 1 {
			since = -1
		}
	}
	return f
}

// crossing is where, from 0 to 1, a line from d0 to d1 is 0.
func crossing(d0, d1 float64) (float64, bool) {
	if d0 == d1 || d0*d1 >= 0 {
		return 0, false
	}
	return d0 / (d0 - d1), true
}

// bothAbove is the part, from 0 to 1, in which two lines are at or above a limit.
func bothAbove(limit, a0, a1, b0, b1 float64) (first, last float64, ok bool) {
	first, last = 0, 1
	// The last digit of a float is no reason not to fire.
	limit *= 1 - 1e-12
	for _, line := range [][2]float64{{a0, a1}, {b0, b1}} {
		d0, d1 := line[0]-limit, line[1]-limit
		switch {
		case d0 >= 0 && d1 >= 0:
		case d0 < 0 && d1 < 0:
			return 0, 0, false
		case d0 < 0:
			first = max(first, d0/(d0-d1))
		default:
			last = min(last, d0/(d0-d1))
		}
	}
	return first, last, first <= last
}

// sums is the failures since the start of a course, at one event a second.
type sums struct {
	base  float64
	at    []time.Duration
	until []float64 // seconds of failure beyond base up to at
	share []float64 // from at on, beyond base
}

// add takes stretches in their order; where they overlap, the later one begins where the
// earlier ended.
func (c *sums) add(s Stretch) {
	more := max(s.Share-c.base, 0)
	if n := len(c.at); n > 0 {
		s.From = max(s.From, c.at[n-1])
	}
	if s.To <= s.From {
		return
	}
	failed := c.failed(s.From)
	c.at = append(c.at, s.From, s.To)
	c.until = append(c.until, failed, failed+more*(s.To-s.From).Seconds())
	c.share = append(c.share, more, 0)
}

func (c *sums) failed(at time.Duration) float64 {
	i, found := slices.BinarySearch(c.at, at)
	if found {
		return c.until[i]
	}
	if i == 0 {
		return 0
	}
	return c.until[i-1] + c.share[i-1]*(at-c.at[i-1]).Seconds()
}

// over is the share of events that failed in the window that ends at a time.
func (c *sums) over(at, window time.Duration) float64 {
	return c.base + (c.failed(at)-c.failed(at-window))/window.Seconds()
}

// Needs is how long all events must fail from a history in which base of them did, until
// the alert fires; false if it never does: a factor above 1/b is never reached.
func (a Alert) Needs(budget, base float64) (time.Duration, bool) {
	limit := a.Factor * budget
	if math.IsNaN(base) {
		base = 0
	}
	if limit > 1+1e-9 || base >= 1 {
		return 0, false
	}
	share := (limit - base) / (1 - base)
	if share <= 0 {
		return a.For, true
	}
	longest := max(a.Long, a.Short)
	return time.Duration(share*float64(longest)) + a.For, true
}
