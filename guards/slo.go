package guards

import (
	"fmt"
	"time"

	"github.com/gameday-sh/gameday/experiments"
)

// pace is the time from one measurement of an SLO to the next.
func pace(s *experiments.SLO) time.Duration {
	switch {
	case s.Probe != nil:
		return s.Probe.Every
	case s.SLI == nil:
		return s.Every
	}
	return s.Pace() // where every is left out, what the source allows
}

// newest is when the newest measurement behind a count was taken. A count of a
// probe's events is made at the time of the look, which other probes move on.
func newest(h *experiments.History, s *experiments.SLO, c experiments.Count) time.Time {
	if s.Probe == nil {
		return c.At
	}
	if track := h.Probe(s.Probe); track.Len() > 0 {
		return track.At(track.Len() - 1).At
	}
	return c.At
}

// burnRate is how many times faster than the budget allows events fail.
func burnRate(badRatio, budget float64) float64 { return badRatio / budget }

// impossibleFactor tells that no share of failing events, not even all of them,
// reaches a burn rate. It leaves room for the float noise of factors such as 1/0.3.
func impossibleFactor(factor, budget float64) bool { return factor*budget > 1+1e-9 }

// factorProblems checks a burn rate factor against the budget of its SLO.
func factorProblems(s *experiments.SLO, factor float64) []experiments.Problem {
	if !(factor > 0) {
		return []experiments.Problem{{Attribute: "factor", Summary: "Factor not above 0",
			Detail: "The factor is a burn rate: 1 spends the budget in exactly the SLO's window, 14.4 spends 2% of a 30d budget in an hour."}}
	}
	if s == nil || s.Objective <= 0 || s.Objective >= 1 || !impossibleFactor(factor, s.Budget()) {
		return nil
	}
	return []experiments.Problem{{Attribute: "factor", Summary: "Factor that can never be reached",
		Detail: fmt.Sprintf("With an objective of %s the burn rate is %s when every event fails, so a factor of %s never fires; write a smaller one.",
			s.Objective, number(1/s.Budget()), number(factor))}}
}

// windowProblems checks that a window is long enough to hold events of an SLO.
func windowProblems(s *experiments.SLO, attribute string, window time.Duration, atLeast int) []experiments.Problem {
	if s == nil || window <= 0 {
		return nil
	}
	if s.Probe != nil && s.Probe.Every > 0 {
		// A window holds the measurements after its start up to its end.
		holds := int((window + s.Probe.Every - 1) / s.Probe.Every)
		if holds < atLeast {
			return []experiments.Problem{{Attribute: attribute, Summary: "Window too short for its probe",
				Detail: fmt.Sprintf("A window of %s holds at most %s of %s, which measures every %s; at least %d are needed: write %s or more, or let the probe measure more often.",
					experiments.FormatDuration(window), plural(float64(holds), "event"), s.Probe.SeriesName(),
					experiments.FormatDuration(s.Probe.Every), atLeast,
					experiments.FormatDuration(time.Duration(atLeast)*s.Probe.Every))}}
		}
	}
	if s.SLI != nil && window < s.SLI.Shortest() {
		return []experiments.Problem{{Attribute: attribute, Summary: "Window too short for its queries",
			Detail: fmt.Sprintf("A window of %s holds too few scrapes to count the events of %s; write %s or more.",
				experiments.FormatDuration(window), s.SeriesName(), experiments.FormatDuration(s.SLI.Shortest()))}}
	}
	return nil
}
