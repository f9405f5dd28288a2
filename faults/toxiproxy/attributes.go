package toxiproxy

import (
	"fmt"
	"time"

	"github.com/gameday-sh/gameday/experiments"
)

// wholeMillis checks a duration that toxiproxy counts in milliseconds.
func wholeMillis(attribute string, d time.Duration) []experiments.Problem {
	return whole(attribute, d, time.Millisecond)
}

// whole checks that a duration is not negative and a multiple of unit, as what is
// cut off would not be what the scenario says.
func whole(attribute string, d, unit time.Duration) []experiments.Problem {
	switch {
	case d < 0:
		return []experiments.Problem{{Attribute: attribute, Summary: "Negative " + attribute, Detail: "Write a duration of 0s or more."}}
	case d%unit != 0:
		return []experiments.Problem{{Attribute: attribute, Summary: "Too fine a " + attribute, Detail: fmt.Sprintf("toxiproxy counts it in steps of %s; write %s.", unit, d.Round(unit))}}
	}
	return nil
}
