package guards

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/gameday-sh/gameday/experiments"
)

// number writes v with three significant digits and no exponent: 21.3, 0.00412.
func number(v float64) string {
	if v == 0 || math.IsNaN(v) || math.IsInf(v, 0) {
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	digits := max(2-int(math.Floor(math.Log10(math.Abs(v)))), 0)
	text := strconv.FormatFloat(v, 'f', digits, 64)
	if strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	return text
}

// percent writes a share with three significant digits: 1.44%.
func percent(share float64) string { return number(share*100) + "%" }

// about writes a duration as exactly as a person reads it.
func about(d time.Duration) string {
	switch {
	case d >= time.Hour:
		d = d.Round(time.Minute)
	case d >= 10*time.Second:
		d = d.Round(time.Second)
	case d >= time.Second:
		d = d.Round(100 * time.Millisecond)
	default:
		d = d.Round(time.Millisecond)
	}
	return experiments.FormatDuration(d)
}

// plural writes "1 bad event", "3 bad events".
func plural(n float64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return number(n) + " " + noun + "s"
}

// unreadable says why a series has no number: "slo.checkout: no data (no series)".
func unreadable(series string, condition experiments.Condition, why string) string {
	if condition == experiments.OK {
		condition = experiments.NoTraffic
	}
	if why == "" {
		return fmt.Sprintf("%s: %s", series, condition)
	}
	return fmt.Sprintf("%s: %s (%s)", series, condition, why)
}
