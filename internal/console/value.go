package console

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"

	"github.com/gameday-sh/gameday/experiments"
)

// judged says how a hypothesis stands in so many cells: in a sentence, else as the
// value beside its limit, else in as much of the sentence as there is room for.
func judged(j experiments.Judgement, width int) string {
	if ansi.StringWidth(j.Text) <= width {
		return j.Text
	}
	for _, text := range brief(j) {
		if ansi.StringWidth(text) <= width {
			return text
		}
	}
	return cut(j.Text, width)
}

// brief gives shorter words for a judgement, the longest first; none if it has no
// numbers.
func brief(j experiments.Judgement) []string {
	var needs string
	if j.Needs > 0 && j.Verdict == experiments.Inconclusive {
		needs = fmt.Sprintf("needs %.0f more", math.Ceil(j.Needs))
	}
	if !j.Observed.Known() || !j.Limit.Known() {
		if needs == "" {
			return nil
		}
		return []string{needs}
	}
	value := amount(float64(j.Observed), j.Unit)
	relation := ""
	switch {
	case j.Unit == "ratio":
		relation = "≥"
	case j.Unit == "s" || strings.Contains(j.Text, "at most"):
		relation = "≤"
	case strings.Contains(j.Text, "at least"):
		relation = "≥"
	}
	full := value
	if relation != "" {
		full = fmt.Sprintf("%s (%s %s)", value, relation, amount(float64(j.Limit), j.Unit))
	}
	if needs != "" {
		return []string{full + ", " + needs, value + ", " + needs, needs}
	}
	return []string{full, value}
}

// amount writes a number in its unit: "ratio", "s" or a probe's own.
func amount(v float64, unit string) string {
	switch unit {
	case "ratio":
		// Rounded down, so that what misses the limit never looks like it.
		return strconv.FormatFloat(math.Floor(v*1e4+1e-7)/1e2, 'f', -1, 64) + "%"
	case "s":
		d := time.Duration(v * float64(time.Second))
		switch {
		case d >= time.Second:
			d = d.Round(10 * time.Millisecond)
		case d >= 10*time.Millisecond:
			d = d.Round(time.Millisecond)
		default:
			d = d.Round(10 * time.Microsecond)
		}
		return experiments.FormatDuration(d)
	case "":
		return strconv.FormatFloat(v, 'g', 5, 64)
	}
	return strconv.FormatFloat(v, 'g', 5, 64) + " " + unit
}
