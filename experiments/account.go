package experiments

import (
	"math"
	"time"
)

// Account is what a run took of an SLO's error budget, against what fails anyway and
// against what was forecast. Shares are those of the budget of the whole period.
type Account struct {
	Period string `json:"period"` // "30d", "calendar month (Europe/Berlin)"
	// Remaining, Likely, Worst and Allowance are as the run's Outlook had them.
	Remaining Float `json:"remaining"`
	Likely    Float `json:"likely"`
	Worst     Float `json:"worst"`
	Allowance Float `json:"allowance"`
	// Usual is the share of events that failed in the baseline. Attributable is what failed
	// beyond that, in events and as a share of the budget; below zero where less failed
	// than usual.
	Usual             Float `json:"usual"`
	Attributable      Float `json:"attributable"`
	AttributableSpent Float `json:"attributable_spent"`
	// Returns is when what the run spent has left the period: ReturnsFrom begins it. A
	// rolling period forgets an event its own length after it happened; one of a calendar
	// forgets all at its end, and both are that.
	ReturnsFrom time.Time   `json:"returns_from,omitzero"`
	Returns     time.Time   `json:"returns,omitzero"`
	Unobserved  *Unobserved `json:"unobserved,omitempty"`
	// Pages is what the SLO's burn-rate alerts would have done.
	Pages []Page `json:"pages,omitempty"`
	// PagesNote says what Pages rest on, or why there are none.
	PagesNote string `json:"pages_note,omitempty"`
}

// Unobserved compares what a probe sent with what the SLO's server counted of it.
type Unobserved struct {
	Probe  string  `json:"probe"`
	Sent   float64 `json:"sent"`
	Seen   float64 `json:"seen"`
	Missed float64 `json:"missed"` // requests that no server counted
	// Spent is the share of the budget that they would have taken.
	Spent Float `json:"spent"`
}

// Page is what an alert would have done in the run, by its real rule.
type Page struct {
	Alert    string        `json:"alert"`
	Severity string        `json:"severity,omitempty"`
	Factor   float64       `json:"factor"`
	Long     time.Duration `json:"long_ns"`
	Short    time.Duration `json:"short_ns"`
	Fired    bool          `json:"fired"`
	// After is the time from the first injection until it fired.
	After time.Duration `json:"after_ns,omitempty"`
	// Peak is the highest burn rate that both windows had at once.
	Peak Float `json:"peak"`
}

// BudgetLeft is how the error budget of an SLO stands while a run spends it. Shares are
// those of the budget of the whole period.
type BudgetLeft struct {
	Period string `json:"period"`
	Spent  Float  `json:"spent"` // since the first injection
	// Allowance is the share that a guard lets the run spend, null without such a guard;
	// Remaining what was left before the run, null if unknown.
	Allowance Float `json:"allowance"`
	Remaining Float `json:"remaining"`
}

// usual is what an SLO counted in the baseline, and what the probes sent meanwhile that
// it seems to count.
type usual struct {
	count Count
	// same is the probe whose requests are all that the SLO counts, nil if none.
	same *Probed
}

// fewest is how many events a baseline must hold to tell whose they are.
const fewest = 30

// baselineOf notes what an SLO counted since the baseline began. A probe is told to be
// all its traffic if both counted the same: the events a second differ by less than a
// twentieth.
func (r *runner) baselineOf(s *SLO, count Count, began time.Time) usual {
	u := usual{count: count}
	if s.Probe != nil || count.Condition != OK || count.Window <= 0 {
		return u
	}
	for _, p := range r.e.Probes {
		sent := r.history.Probe(p).Count(began, count.At)
		if sent.Condition != OK || sent.Total < fewest || count.Total < fewest {
			continue
		}
		ratio := sent.Total / sent.Window.Seconds() / (count.Total / count.Window.Seconds())
		if ratio < 0.95 || ratio > 1.05 {
			continue
		}
		if u.same != nil {
			return usual{count: count} // two may be it
		}
		u.same = p
	}
	return u
}

// costs says what the run took of each SLO's budget.
func (r *runner) costs() []SLOResult {
	var list []SLOResult
	for _, s := range r.e.SLOs {
		cost := SLOResult{
			Name: s.Name, Description: s.Description, Objective: s.Objective, Window: s.Window,
			Rate: Float(r.history.Rate(s)), Spent: Float(math.NaN()),
		}
		if !r.history.Injected.IsZero() {
			count := r.history.Latest(s, SinceInjection)
			cost.Bad, cost.Total = count.Bad, count.Total
			cost.Spent = Float(r.share(s, count))
			cost.Account = r.account(s, count)
		}
		list = append(list, cost)
	}
	return list
}

// share is the share of an SLO's budget that a count took, at the rate of the baseline.
func (r *runner) share(s *SLO, count Count) float64 {
	if rate := r.history.Rate(s); rate > 0 && count.Condition == OK {
		return count.Bad / (s.Budget() * rate * s.Window.Seconds())
	}
	return math.NaN()
}

func (r *runner) account(s *SLO, count Count) *Account {
	unknown := Float(math.NaN())
	a := &Account{
		Period: s.PeriodText(), Remaining: unknown, Likely: unknown, Worst: unknown, Allowance: unknown,
		Usual: unknown, Attributable: unknown, AttributableSpent: unknown,
	}
	if o := r.result.Gate.of(s); o != nil {
		a.Remaining, a.Likely, a.Worst, a.Allowance = o.Remaining, o.Likely, o.Worst, o.Allowance
	}
	before := r.usual[s]
	if usual := before.count.Ratio(); !math.IsNaN(usual) && count.Condition == OK {
		more := count
		more.Bad -= usual * count.Total
		a.Usual, a.Attributable, a.AttributableSpent = Float(usual), Float(more.Bad), Float(r.share(s, more))
	}
	if count.Condition == OK && count.Bad > 0 {
		a.ReturnsFrom, a.Returns = r.history.Injected.Add(s.Window), count.At.Add(s.Window)
		if s.Calendar != nil {
			_, end := s.Period(count.At)
			a.ReturnsFrom, a.Returns = end, end
		}
	}
	a.Unobserved = r.unobserved(s, before, count)
	return a
}

// of is what was known of s; nil where nothing is.
func (g *GateReading) of(s *SLO) *Outlook {
	if g == nil {
		return nil
	}
	for i := range g.SLOs {
		if g.SLOs[i].SLO == s.Name {
			return &g.SLOs[i]
		}
	}
	return nil
}

// unobserved finds requests that a probe sent and no server counted: the counters of a
// killed process go with it, and a connection that was refused reached none. Counts of
// queries reach a scrape further or less far than the probe's; a difference within
// that says nothing.
func (r *runner) unobserved(s *SLO, before usual, count Count) *Unobserved {
	if before.same == nil || count.Condition != OK {
		return nil
	}
	sent := r.history.Probe(before.same).Count(r.history.Injected, count.At)
	missed := sent.Total - count.Total
	edge := 2 * r.history.Rate(s) * (s.Pace().Seconds() + s.SLI.Shortest().Seconds()/4)
	if sent.Condition != OK || missed <= max(edge, sent.Total/20) {
		return nil
	}
	return &Unobserved{
		Probe: before.same.SeriesName(), Sent: sent.Total, Seen: count.Total, Missed: missed,
		Spent: Float(r.share(s, Count{Bad: missed})),
	}
}

// showBudgets lets the watchers see what is left of each budget.
func (r *runner) showBudgets() {
	now := r.history.Now
	if now.Sub(r.budgetsShown) < showPace {
		return
	}
	r.budgetsShown = now
	for _, s := range r.e.SLOs {
		left := &BudgetLeft{
			Period: s.PeriodText(), Spent: Float(r.share(s, r.history.Latest(s, SinceInjection))),
			Allowance: Float(math.NaN()), Remaining: Float(r.history.Remaining(s)),
		}
		if limit, found := r.e.Limit(s, r.history.Remaining(s)); found {
			left.Allowance = Float(limit.Share)
		}
		r.show(Event{At: now, Type: EventBudget, Series: s.SeriesName(), Name: s.Name, Budget: left})
	}
}
