package experiments

import (
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"
)

// Units that time.ParseDuration lacks. A day is 24 hours, whatever a clock change does.
const (
	Day  = 24 * time.Hour
	Week = 7 * Day
)

// ParseDuration reads a duration such as "300ms", "1m30s", "30d" or "2w".
// A number without a unit is refused.
func ParseDuration(text string) (time.Duration, error) {
	rest := strings.TrimSpace(text)
	var sum time.Duration
	for _, unit := range []struct {
		suffix string
		length time.Duration
	}{{"w", Week}, {"d", Day}} {
		number, after, found := strings.Cut(rest, unit.suffix)
		if !found {
			continue
		}
		count, err := strconv.ParseFloat(number, 64)
		// float64(MaxInt64) is one more than an int64 holds.
		if err != nil || !decimal(number) || count*float64(unit.length) >= float64(math.MaxInt64-int64(sum)) {
			return 0, durationError(text)
		}
		sum += time.Duration(count * float64(unit.length))
		rest = after
		if rest == "" {
			return sum, nil
		}
	}
	tail, err := time.ParseDuration(rest)
	if err != nil || strings.HasPrefix(rest, "-") || strings.HasPrefix(rest, "+") || rest == "0" || sum+tail < sum {
		return 0, durationError(text)
	}
	return sum + tail, nil
}

// decimal tells whether text holds digits and at most one point, and none of what Go
// takes for a number besides: signs, exponents, underscores.
func decimal(text string) bool {
	return strings.Trim(strings.Replace(text, ".", "", 1), "0123456789") == ""
}

func durationError(text string) error {
	return fmt.Errorf("%q is not a duration; write a number with a unit, such as \"300ms\", \"1m30s\" or \"30d\" (ms, s, m, h, d, w)", text)
}

// FormatDuration writes a duration as a person would: "30d", "1m30s", "300ms".
// What it writes, ParseDuration reads back to the same value.
func FormatDuration(d time.Duration) string {
	if d >= Day && d%Day == 0 {
		return strconv.FormatInt(int64(d/Day), 10) + "d"
	}
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// Percent is a share written as "99.9%" and held as a fraction (0.999).
type Percent float64

// ParsePercent reads "99.9%". The decimal point is moved in the text and not by
// a division, because 99.9/100 is 0.9990000000000001 in binary floating point.
func ParsePercent(text string) (Percent, error) {
	number, found := strings.CutSuffix(strings.TrimSpace(text), "%")
	number = strings.TrimSpace(number)
	if !found || !decimal(strings.TrimPrefix(number, "-")) {
		return 0, fmt.Errorf("%q is not a percent; write it as \"99.9%%\"", text)
	}
	fraction, err := strconv.ParseFloat(number+"e-2", 64)
	if err != nil {
		return 0, fmt.Errorf("%q is not a percent; write it as \"99.9%%\"", text)
	}
	if fraction < 0 || fraction > 1 || strings.HasPrefix(number, "-") {
		return 0, fmt.Errorf("%q is outside 0%% to 100%%", text)
	}
	return Percent(fraction), nil
}

// String writes the shortest percent that reads back to the same value.
func (p Percent) String() string {
	// Moving the point in decimal text avoids the float noise of p*100.
	text := strconv.FormatFloat(float64(p), 'f', -1, 64)
	sign := ""
	if rest, negative := strings.CutPrefix(text, "-"); negative {
		sign, text = "-", rest
	}
	whole, fraction, found := strings.Cut(text, ".")
	if !found && (whole == "" || whole[0] < '0' || whole[0] > '9') { // Inf and NaN
		return sign + text + "%"
	}
	fraction += strings.Repeat("0", max(2-len(fraction), 0))
	whole = strings.TrimLeft(whole+fraction[:2], "0")
	if whole == "" {
		whole = "0"
	}
	if fraction = strings.TrimRight(fraction[2:], "0"); fraction != "" {
		whole += "." + fraction
	}
	return sign + whole + "%"
}

// Rest is what p leaves of 1. It is worked out in decimal: 1-0.9999 is
// 0.00009999999999998899 in binary floating point.
func (p Percent) Rest() float64 {
	share, ok := new(big.Rat).SetString(strconv.FormatFloat(float64(p), 'f', -1, 64))
	if !ok { // Inf and NaN
		return 1 - float64(p)
	}
	rest, _ := share.Sub(big.NewRat(1, 1), share).Float64()
	return rest
}

// Range is a span of durations, "30s..120s". A single duration is a range whose
// ends are equal.
type Range struct{ Min, Max time.Duration }

// ParseRange reads "30s" or "30s..120s".
func ParseRange(text string) (Range, error) {
	low, high, found := strings.Cut(text, "..")
	least, err := ParseDuration(low)
	if err != nil {
		return Range{}, err
	}
	if !found {
		return Range{least, least}, nil
	}
	most, err := ParseDuration(high)
	if err != nil {
		return Range{}, err
	}
	if most < least {
		return Range{}, fmt.Errorf("%q runs backwards; write the shorter duration first: \"%s..%s\"", text, strings.TrimSpace(high), strings.TrimSpace(low))
	}
	return Range{least, most}, nil
}

func (r Range) String() string {
	if r.Min == r.Max {
		return FormatDuration(r.Min)
	}
	return FormatDuration(r.Min) + ".." + FormatDuration(r.Max)
}

// Draw picks a duration in the range; uniform is a number in [0, 1).
func (r Range) Draw(uniform float64) time.Duration {
	return r.Min + time.Duration(uniform*float64(r.Max-r.Min))
}

// Secret is a text that must reach neither a file nor a screen. It prints and
// marshals as "(secret)"; Reveal gives the text to the one call that needs it.
type Secret struct{ text string }

// NewSecret wraps text.
func NewSecret(text string) Secret { return Secret{text} }

// Reveal returns the text.
func (s Secret) Reveal() string { return s.text }

// IsZero tells whether the secret is empty.
func (s Secret) IsZero() bool { return s.text == "" }

func (s Secret) String() string { return "(secret)" }

// GoString keeps %#v from showing the text.
func (s Secret) GoString() string { return "(secret)" }

// MarshalJSON keeps the text out of every stored file.
func (s Secret) MarshalJSON() ([]byte, error) { return json.Marshal(s.String()) }
