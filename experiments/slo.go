package experiments

import (
	"fmt"
	"time"
)

// SLO is an SLI with an objective over a period; what may fail is its error budget.
type SLO struct {
	Name        string
	Description string
	Objective   Percent       // of events that must be good, above 0 and below 1
	Window      time.Duration // length of the period the budget is for: "30d"; see Period
	// Calendar, if set, lets the budget begin anew with each period of the calendar;
	// Window is then its nominal length. Without one the period rolls: the last Window.
	Calendar *Calendar
	Every    time.Duration // pace of evaluation
	// Exactly one of Probe and SLI is set: an SLO rests on a probe's events or on
	// queries.
	Probe *Probed
	SLI   SLI
	// Queries says to a person what is counted.
	Queries string
	Origin  string

	// Owner, Runbook and Labels are for people and alerts: who answers for it, what to
	// do when it burns.
	Owner   string
	Runbook string // an URL
	Labels  map[string]string
	// DependsOn are the SLOs that this one cannot be better than.
	DependsOn []*SLO
	// Policy says what the team does by how much of the budget is left; nil without one.
	Policy *Policy
}

// Budget is the share of events that may fail: 1 - Objective, without float noise.
func (s *SLO) Budget() float64 { return s.Objective.Rest() }

// SeriesName is how an SLO is named in results: "slo.checkout".
func (s *SLO) SeriesName() string { return "slo." + s.Name }

// Period is the period of the budget that at belongs to. A rolling one ends at at, one
// of a calendar later.
func (s *SLO) Period(at time.Time) (from, to time.Time) {
	if s.Calendar == nil {
		return at.Add(-s.Window), at
	}
	return s.Calendar.Period(at)
}

// PeriodText says the period to a person: "30d", "calendar month (Europe/Berlin)".
func (s *SLO) PeriodText() string {
	if s.Calendar == nil {
		return FormatDuration(s.Window)
	}
	return fmt.Sprintf("calendar %s (%s)", s.Calendar.Unit, s.Calendar.Location)
}

// CalendarUnit is the length of a calendar's periods.
type CalendarUnit string

// The units of a calendar.
const (
	CalendarDay     CalendarUnit = "day"
	CalendarWeek    CalendarUnit = "week"
	CalendarMonth   CalendarUnit = "month"
	CalendarQuarter CalendarUnit = "quarter"
	CalendarYear    CalendarUnit = "year"
)

// Calendar is a row of periods that begin at a date and not a length ago. They are as
// long as the calendar makes them: a day of 23 hours, a month of 31 days.
type Calendar struct {
	Unit     CalendarUnit
	Location *time.Location
	// Start is the begin of one of the periods. Zero means midnight of the day, of Monday
	// or of the first of the month, quarter or year.
	Start time.Time
}

// Nominal is the usual length of a period: 30 days for a month.
func (c *Calendar) Nominal() time.Duration {
	switch c.Unit {
	case CalendarDay:
		return Day
	case CalendarWeek:
		return Week
	case CalendarMonth:
		return 30 * Day
	case CalendarQuarter:
		return 91 * Day
	}
	return 365 * Day
}

// Period is the period that at is in: from is in it, to begins the next.
func (c *Calendar) Period(at time.Time) (from, to time.Time) {
	start := c.Start.In(c.Location)
	if c.Start.IsZero() {
		// The first of January 2001 was a Monday.
		start = time.Date(2001, time.January, 1, 0, 0, 0, 0, c.Location)
	}
	// A guess of which period it is, from the mean length of one, and then to it.
	mean := map[CalendarUnit]float64{CalendarDay: 1, CalendarWeek: 7, CalendarMonth: 365.2425 / 12, CalendarQuarter: 365.2425 / 4, CalendarYear: 365.2425}[c.Unit]
	n := int(at.Sub(start).Hours() / 24 / mean)
	for c.nth(start, n).After(at) {
		n--
	}
	for !c.nth(start, n+1).After(at) {
		n++
	}
	return c.nth(start, n), c.nth(start, n+1)
}

// nth is the begin of the period n after that of start; n may be negative. A start on
// the 31st begins on the last day of shorter months.
func (c *Calendar) nth(start time.Time, n int) time.Time {
	year, month, day := start.Date()
	switch c.Unit {
	case CalendarDay:
		day += n
	case CalendarWeek:
		day += 7 * n
	default:
		month += time.Month(map[CalendarUnit]int{CalendarMonth: 1, CalendarQuarter: 3, CalendarYear: 12}[c.Unit] * n)
		day = min(day, time.Date(year, month+1, 0, 0, 0, 0, 0, time.UTC).Day())
	}
	return firstAt(year, month, day, start, c.Location)
}

// firstAt is the first moment of a day at which its clocks show what clock shows, or
// more: where they are put forward over it, as São Paulo did at midnight, that is
// the moment they are; where they are put back over it, the first of the two.
// [time.Date] gives any of these, and for the former 23:00 of the day before.
func firstAt(year int, month time.Month, day int, clock time.Time, where *time.Location) time.Time {
	hour, minute, second := clock.Clock()
	t := time.Date(year, month, day, hour, minute, second, 0, where)
	_, offset := t.Zone()
	begin, end := t.ZoneBounds()
	switch shown := t.Unix() + int64(offset) - time.Date(year, month, day, hour, minute, second, 0, time.UTC).Unix(); {
	case shown < 0:
		return end
	case shown > 0:
		return begin
	}
	if !begin.IsZero() {
		_, before := begin.Add(-1).Zone()
		if earlier := t.Add(time.Duration(offset-before) * time.Second); earlier.Before(begin) {
			return earlier
		}
	}
	return t
}
