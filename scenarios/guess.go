package scenarios

import (
	"reflect"
	"regexp"
	"strings"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

var (
	unitWords = []struct {
		word *regexp.Regexp
		unit string
	}{
		{regexp.MustCompile(`(milliseconds?|millis|msecs?)`), "ms"},
		{regexp.MustCompile(`(seconds?|secs?)`), "s"},
		{regexp.MustCompile(`(minutes?|mins?)`), "m"},
		{regexp.MustCompile(`(hours?|hrs?)`), "h"},
		{regexp.MustCompile(`days?`), "d"},
		{regexp.MustCompile(`weeks?`), "w"},
	}
	bareEnd   = regexp.MustCompile(`[0-9]$`)
	rangeSign = regexp.MustCompile(`(\.{2,}|-|\bto\b|\x{2013}|\x{2026})`)
)

// guess gives what a text was most likely meant to be, as it should be written, or
// "" where it cannot tell.
func guess(text string, want reflect.Type) string {
	switch want {
	case durationType:
		return guessDuration(text)
	case percentType:
		meant := strings.TrimSuffix(strings.ReplaceAll(strings.TrimSpace(strings.ReplaceAll(text, "percent", "%")), " ", ""), "%") + "%"
		meant = strings.Replace(meant, ",", ".", 1)
		if _, err := experiments.ParsePercent(meant); err == nil {
			return meant
		}
	case rangeType:
		if meant := guessDuration(text); meant != "" {
			return meant
		}
		ends := rangeSign.Split(text, -1)
		if len(ends) != 2 {
			return ""
		}
		from, to := guessDuration(ends[0]), guessDuration(ends[1])
		if _, err := experiments.ParseRange(from + ".." + to); err == nil && from+".."+to != text {
			return from + ".." + to
		}
	}
	return ""
}

func guessDuration(text string) string {
	meant := strings.ToLower(strings.TrimLeft(strings.ReplaceAll(text, " ", ""), "+-"))
	meant = strings.Replace(meant, ",", ".", 1)
	for _, known := range unitWords {
		meant = known.word.ReplaceAllString(meant, known.unit)
	}
	if bareEnd.MatchString(meant) {
		meant += "s"
	}
	if _, err := experiments.ParseDuration(meant); err != nil {
		return ""
	}
	return meant
}

// unquote gives the reference that was written as a text: "probe.door", or "door"
// where a probe is wanted.
func unquote(val cty.Value, want reflect.Type) string {
	root := map[reflect.Type]string{sloType: "slo", probedType: "probe", faultType: "fault"}[want]
	if root == "" || val.Type() != cty.String || !val.IsKnown() || val.IsNull() {
		return ""
	}
	if want == probedType && strings.HasPrefix(val.AsString(), "journey.") {
		root = "journey"
	}
	name := strings.TrimPrefix(val.AsString(), root+".")
	if !hclsyntax.ValidIdentifier(name) {
		return ""
	}
	return root + "." + name
}
