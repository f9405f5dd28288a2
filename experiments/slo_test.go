package experiments

import (
	"fmt"
	"testing"
	"time"
	_ "time/tzdata" // zones are the same on every machine

	"pgregory.net/rapid"
)

func zone(t require, name string) *time.Location {
	t.Helper()
	location, err := time.LoadLocation(name)
	if err != nil {
		t.Fatalf("zone %s: %v", name, err)
	}
	return location
}

// require is what helpers need of a test.
type require interface {
	Helper()
	Fatalf(format string, values ...any)
}

func TestPeriodsOfCalendars(t *testing.T) {
	const text = "2006-01-02T15:04:05Z07:00"
	for _, test := range []struct {
		name        string
		unit        CalendarUnit
		zone, start string
		at          string
		from, to    string
	}{
		{"a month of 30 days", CalendarMonth, "UTC", "", "2026-11-24T12:00:00Z", "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"},
		{"the begin belongs to the period", CalendarMonth, "UTC", "", "2026-11-01T00:00:00Z", "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"},
		{"the moment before does not", CalendarMonth, "UTC", "", "2026-10-31T23:59:59Z", "2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z"},
		{"a February", CalendarMonth, "UTC", "", "2026-02-28T23:00:00Z", "2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z"},
		{"one of a leap year", CalendarMonth, "UTC", "", "2028-02-29T23:00:00Z", "2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z"},
		{"December ends with the year", CalendarMonth, "UTC", "", "2026-12-31T23:00:00Z", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"},
		{"midnight of Berlin", CalendarMonth, "Europe/Berlin", "", "2026-07-31T22:30:00Z", "2026-08-01T00:00:00+02:00", "2026-09-01T00:00:00+02:00"},
		{"a month in which summer time ends", CalendarMonth, "Europe/Berlin", "", "2026-10-10T00:00:00Z", "2026-10-01T00:00:00+02:00", "2026-11-01T00:00:00+01:00"},
		{"a day of 23 hours", CalendarDay, "Europe/Berlin", "", "2026-03-29T12:00:00Z", "2026-03-29T00:00:00+01:00", "2026-03-30T00:00:00+02:00"},
		{"a day of 25 hours", CalendarDay, "Europe/Berlin", "", "2026-10-25T22:30:00Z", "2026-10-25T00:00:00+02:00", "2026-10-26T00:00:00+01:00"},
		{"a day that has no midnight", CalendarDay, "America/Sao_Paulo", "", "2018-11-04T12:00:00Z", "2018-11-04T01:00:00-02:00", "2018-11-05T00:00:00-02:00"},
		{"the day before it", CalendarDay, "America/Sao_Paulo", "", "2018-11-04T02:30:00Z", "2018-11-03T00:00:00-03:00", "2018-11-04T01:00:00-02:00"},
		{"a day that has two midnights", CalendarDay, "America/Havana", "", "2023-11-05T04:30:00Z", "2023-11-05T00:00:00-04:00", "2023-11-06T00:00:00-05:00"},
		{"a day that a country left out", CalendarDay, "Pacific/Apia", "", "2011-12-30T09:59:59Z", "2011-12-29T00:00:00-10:00", "2011-12-31T00:00:00+14:00"},
		{"a begin at an hour that is left out", CalendarDay, "Europe/Berlin", "2026-01-01T02:30:00", "2026-03-29T12:00:00Z", "2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"},
		{"a begin at an hour that comes twice", CalendarDay, "Europe/Berlin", "2026-01-01T02:30:00", "2026-10-25T00:45:00Z", "2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"},
		{"weeks begin on Monday", CalendarWeek, "UTC", "", "2026-11-29T12:00:00Z", "2026-11-23T00:00:00Z", "2026-11-30T00:00:00Z"},
		{"or when they are said to", CalendarWeek, "Europe/Berlin", "2022-01-01T12:00:00", "2026-11-27T12:00:00Z", "2026-11-21T12:00:00+01:00", "2026-11-28T12:00:00+01:00"},
		{"before the begin that is named as well", CalendarWeek, "UTC", "2026-11-23T09:00:00", "2025-01-01T00:00:00Z", "2024-12-30T09:00:00Z", "2025-01-06T09:00:00Z"},
		{"months from the 31st", CalendarMonth, "UTC", "2026-01-31T06:00:00", "2026-03-01T00:00:00Z", "2026-02-28T06:00:00Z", "2026-03-31T06:00:00Z"},
		{"months from the 31st, of a leap year", CalendarMonth, "UTC", "2026-01-31T06:00:00", "2028-02-29T05:00:00Z", "2028-01-31T06:00:00Z", "2028-02-29T06:00:00Z"},
		{"quarters", CalendarQuarter, "UTC", "", "2026-06-30T23:59:59Z", "2026-04-01T00:00:00Z", "2026-07-01T00:00:00Z"},
		{"quarters from the 30th of November", CalendarQuarter, "UTC", "2025-11-30T00:00:00", "2026-03-15T00:00:00Z", "2026-02-28T00:00:00Z", "2026-05-30T00:00:00Z"},
		{"years", CalendarYear, "UTC", "", "2026-11-24T12:00:00Z", "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"},
		{"years before the reference", CalendarYear, "UTC", "", "1969-11-24T12:00:00Z", "1969-01-01T00:00:00Z", "1970-01-01T00:00:00Z"},
		{"years from the 29th of February", CalendarYear, "UTC", "2028-02-29T00:00:00", "2027-01-01T00:00:00Z", "2026-02-28T00:00:00Z", "2027-02-28T00:00:00Z"},
		{"a moment centuries away", CalendarMonth, "UTC", "", "2400-02-29T12:00:00Z", "2400-02-01T00:00:00Z", "2400-03-01T00:00:00Z"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := &Calendar{Unit: test.unit, Location: zone(t, test.zone)}
			if test.start != "" {
				start, err := time.ParseInLocation("2006-01-02T15:04:05", test.start, c.Location)
				if err != nil {
					t.Fatal(err)
				}
				c.Start = start
			}
			at, err := time.Parse(text, test.at)
			if err != nil {
				t.Fatal(err)
			}
			from, to := (&SLO{Calendar: c}).Period(at)
			if from.Format(text) != test.from || to.Format(text) != test.to {
				t.Errorf("%s is in %s to %s, want %s to %s", test.at, from.Format(text), to.Format(text), test.from, test.to)
			}
		})
	}
}

// However the clocks are put, each moment is in exactly one period, and none is lost
// between two.
func TestPeriodsJoinWithoutGap(t *testing.T) {
	zones := []string{"UTC", "Europe/Berlin", "America/New_York", "America/Sao_Paulo", "America/Havana", "Asia/Beirut", "Africa/Cairo",
		"Pacific/Apia", "Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Kiritimati", "Africa/Casablanca"}
	units := []CalendarUnit{CalendarDay, CalendarWeek, CalendarMonth, CalendarQuarter, CalendarYear}
	begin, end := time.Date(1950, 1, 1, 0, 0, 0, 0, time.UTC).Unix(), time.Date(2090, 1, 1, 0, 0, 0, 0, time.UTC).Unix()
	rapid.Check(t, func(t *rapid.T) {
		c := &Calendar{Unit: rapid.SampledFrom(units).Draw(t, "unit"), Location: zone(t, rapid.SampledFrom(zones).Draw(t, "zone"))}
		if rapid.Bool().Draw(t, "with a start") {
			c.Start = time.Unix(rapid.Int64Range(begin, end).Draw(t, "start"), 0).In(c.Location)
		}
		at := time.Unix(rapid.Int64Range(begin, end).Draw(t, "at"), rapid.Int64Range(0, 999_999_999).Draw(t, "nanoseconds"))
		from, to := c.Period(at)
		if from.After(at) || !to.After(at) {
			t.Fatalf("%s is not in %s to %s", at, from, to)
		}
		if lasts, nominal := to.Sub(from), c.Nominal(); lasts < nominal*7/8 || lasts > nominal*9/8+Day {
			t.Fatalf("a %s from %s to %s", c.Unit, from, to)
		}
		if next, _ := c.Period(to); !next.Equal(to) {
			t.Fatalf("the period after %s to %s begins at %s", from, to, next)
		}
		if _, end := c.Period(from.Add(-1)); !end.Equal(from) {
			t.Fatalf("the period before %s to %s ends at %s", from, to, end)
		}
		if begin, end := c.Period(to.Add(-1)); !begin.Equal(from) || !end.Equal(to) {
			t.Fatalf("the end of %s to %s is in %s to %s", from, to, begin, end)
		}
		if !c.Start.IsZero() {
			if begin, _ := c.Period(c.Start); !begin.Equal(c.Start) && clockIsPlain(c.Start) {
				t.Fatalf("the period that begins at %s begins at %s", c.Start, begin)
			}
		}
	})
}

// clockIsPlain tells that what the clocks show comes once on that day.
func clockIsPlain(at time.Time) bool {
	begin, end := at.ZoneBounds()
	return (begin.IsZero() || at.Sub(begin) > 25*time.Hour) && (end.IsZero() || end.Sub(at) > 25*time.Hour)
}

func TestARollingPeriodEndsNow(t *testing.T) {
	at := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	slo := &SLO{Window: 30 * Day}
	if from, to := slo.Period(at); !to.Equal(at) || at.Sub(from) != 30*Day {
		t.Errorf("%s to %s", from, to)
	}
	if got := slo.PeriodText(); got != "30d" {
		t.Errorf("it is called %q", got)
	}
	slo.Calendar = &Calendar{Unit: CalendarMonth, Location: zone(t, "Europe/Berlin")}
	if got := slo.PeriodText(); got != "calendar month (Europe/Berlin)" {
		t.Errorf("it is called %q", got)
	}
}

func TestNominalLengths(t *testing.T) {
	got := ""
	for _, unit := range []CalendarUnit{CalendarDay, CalendarWeek, CalendarMonth, CalendarQuarter, CalendarYear} {
		got += fmt.Sprintf("%s %dd; ", unit, (&Calendar{Unit: unit}).Nominal()/Day)
	}
	if want := "day 1d; week 7d; month 30d; quarter 91d; year 365d; "; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
