package budgets

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// Exposure is what an experiment may do to an SLO: what a forecast of its cost rests on.
type Exposure struct {
	// Budget is the share of events that may fail, and Period what it is for.
	Budget float64
	Period time.Duration
	// Rate is the events a second while the experiment goes on, Mean those of the whole
	// period, by which its budget is counted. Where one of them is not known (NaN), both
	// are taken to be the same, and cancel out.
	Rate, Mean float64
	// Harms are the stretches in which faults are on, from the start of the disruption.
	Harms []Harm
	// Tail is how long events may go on failing once a harm has ended: until it is
	// reverted, proven, and the service has recovered.
	Tail time.Duration
	// Hypothesis is the share of events that the hypotheses let fail while faults are on;
	// NaN where none says so.
	Hypothesis float64
	// Limit is the share of the budget that a guard lets the run spend, NaN without one. The
	// guard counts the budget at the present rate: it allows a total outage of Limit*b*W.
	// Braking is the time that stopping takes, and Look how long it may take until a
	// failure is seen at all: one scrape and one look.
	Limit         float64
	Braking, Look time.Duration
}

// Harm is a stretch in which a fault is on. A fault that is over at once has no length,
// and its Tail is what it costs.
type Harm struct {
	From, To time.Duration
	// Share of the events that it can touch, above 0 and at most 1.
	Share float64
}

// Forecast is what an experiment may cost, in shares of the budget of the whole period.
type Forecast struct {
	// Likely is the cost if the hypotheses hold and no more events fail than the faults
	// can touch; Worst if all events fail as long as they can.
	Likely, Worst float64
	// Outage is how long all events fail in the worst case, and Uncapped how long they
	// would without a guard.
	Outage, Uncapped time.Duration
	// Capped tells that a guard ends the worst case.
	Capped bool
}

// Forecast works it out. The share of the budget that a time t of total outage spends
// is t/(b*W), times the traffic now over the usual one.
func (x Exposure) Forecast() Forecast {
	atRate := 1 / (x.Budget * x.Period.Seconds()) // share of the budget a second of outage
	perSecond := atRate
	if ratio := x.Rate / x.Mean; ratio > 0 && !math.IsInf(ratio, 0) {
		perSecond *= ratio
	}
	var f Forecast
	for _, s := range x.worst() {
		f.Uncapped += s.To - s.From
	}
	f.Outage = f.Uncapped
	if limit := x.ends(atRate); limit < f.Outage {
		f.Outage, f.Capped = limit, true
	}
	f.Worst = f.Outage.Seconds() * perSecond
	for _, s := range x.likely() {
		share := s.Share
		if x.Hypothesis < share { // false for NaN
			share = x.Hypothesis
		}
		f.Likely += share * (s.To - s.From).Seconds() * perSecond
	}
	f.Likely = min(f.Likely, f.Worst)
	return f
}

// ends is how long all events fail, in sum, until the guard has ended it. It brakes so
// that the limit is kept as long as no more fails than did; in the worst case failures
// come just short of the limit, and then everything fails while the guard looks and stops.
func (x Exposure) ends(atRate float64) time.Duration {
	allowed := max(x.Limit, 0) / atRate * float64(time.Second)
	if !(allowed < math.MaxInt64/2) {
		return math.MaxInt64 // also for NaN: there is no limit
	}
	return time.Duration(allowed) + x.Look + x.Braking
}

// Course is the worst case in time: the stretches of total outage, from the start of the
// disruption, and what is left of them if a guard ends it.
func (x Exposure) Course() []Stretch {
	f := x.Forecast()
	var list []Stretch
	left := f.Outage
	for _, s := range x.worst() {
		s.To = min(s.To, s.From+left)
		if s.To <= s.From {
			break
		}
		left -= s.To - s.From
		list = append(list, Stretch{s.From, s.To, 1})
	}
	return list
}

// worst joins the harms, each with its tail, to stretches that do not overlap.
func (x Exposure) worst() []Harm {
	harms := slices.Clone(x.Harms)
	for i := range harms {
		harms[i].To += x.Tail
	}
	slices.SortFunc(harms, func(a, b Harm) int { return cmp.Compare(a.From, b.From) })
	var list []Harm
	for _, h := range harms {
		if n := len(list); n > 0 && h.From <= list[n-1].To {
			list[n-1].To = max(list[n-1].To, h.To)
			continue
		}
		list = append(list, h)
	}
	return list
}

// likely cuts time where harms begin and end: where several are on, their shares add up.
// Only a fault that is over at once has a tail: what it did has to recover by itself.
func (x Exposure) likely() []Harm {
	type edge struct {
		at    time.Duration
		share float64
	}
	var edges []edge
	for _, h := range x.Harms {
		to := h.To
		if to <= h.From {
			to = h.From + x.Tail
		}
		edges = append(edges, edge{h.From, h.Share}, edge{to, -h.Share})
	}
	slices.SortFunc(edges, func(a, b edge) int { return cmp.Compare(a.at, b.at) })
	var list []Harm
	share := 0.0
	for i, e := range edges {
		if i > 0 && e.at > edges[i-1].at && share > 1e-9 {
			list = append(list, Harm{edges[i-1].at, e.at, min(share, 1)})
		}
		share += e.share
	}
	return list
}
