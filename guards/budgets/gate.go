package budgets

import (
	"fmt"
	"math"
	"strings"

	"github.com/gameday-sh/gameday/experiments"
)

// Ruling is what a policy says of a purpose.
type Ruling struct {
	Decision experiments.GateDecision
	Band     experiments.Band
	// Why is the end of a sentence that begins with the name of the SLO.
	Why string
}

// noise is that of floats: of a budget of which exactly 10% is left, 10% is left.
const noise = 1e-12

// Rule decides whether a policy allows a purpose where a share of the budget remains,
// NaN if unknown. The band must allow it. For a game day, what remains after the worst
// that it may cost must be no less than the reserve too: not less than nothing, where
// the policy names none.
func Rule(p *experiments.Policy, purpose string, remaining, worst float64) Ruling {
	band := p.Band(remaining)
	r := Ruling{Decision: experiments.GateAllowed, Band: band}
	where := "is in " + band.Name + ", " + Left(remaining)
	switch {
	case math.IsNaN(remaining) && !band.Permits(purpose):
		r.Decision = experiments.GateUnknown
		r.Why = "has an unknown budget, and policy " + p.Name + " allows " + article(purpose) + " only where it is known"
	case math.IsNaN(remaining):
		r.Why = "has an unknown budget, and policy " + p.Name + " allows " + article(purpose) + " all the same"
	case !band.Permits(purpose):
		r.Decision = experiments.GateRefused
		r.Why = where + ", where policy " + p.Name + " does not allow " + article(purpose)
	case purpose == experiments.ForGameDay && remaining < float64(p.Reserve)-noise:
		r.Decision = experiments.GateRefused
		r.Why = fmt.Sprintf("%s, less than the reserve of %s that policy %s keeps", where, p.Reserve, p.Name)
	case purpose == experiments.ForGameDay && remaining-worst < float64(p.Reserve)-noise: // false for an unknown worst
		r.Decision = experiments.GateRefused
		r.Why = fmt.Sprintf("%s, and the worst case, %s, would leave %s, less than the reserve of %s that policy %s keeps",
			where, Share(worst), Share(remaining-worst), p.Reserve, p.Name)
	case purpose == experiments.ForGameDay && worst > 0:
		r.Why = fmt.Sprintf("%s; after the worst case %s would be left", where, Share(remaining-worst))
	default:
		r.Why = where
	}
	return r
}

// Left says what is left of a budget: "62% left", "12% overspent".
func Left(remaining float64) string {
	switch {
	case math.IsNaN(remaining):
		return "what is left is unknown"
	case remaining < 0:
		return Share(-remaining) + " overspent"
	}
	return Share(remaining) + " left"
}

// Share writes a share of a budget with three digits that mean something, but tells what
// is almost all from all: 62%, 3.15%, 0.0231%, 99.97%.
func Share(share float64) string {
	percent := share * 100
	switch {
	case math.IsNaN(percent) || math.IsInf(percent, 0):
		return "unknown"
	case percent == 0:
		return "0%"
	}
	digits := max(2-int(math.Floor(math.Log10(math.Abs(percent))+1e-9)), 0)
	if rest := math.Abs(100 - math.Abs(percent)); rest > 1e-9 && rest < 1 {
		digits = max(1-int(math.Floor(math.Log10(rest)+1e-9)), digits)
	}
	text := fmt.Sprintf("%.*f", min(digits, 9), percent)
	if strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	return text + "%"
}

// article puts a or an before the words of a purpose: "a game day".
func article(purpose string) string {
	words := strings.ReplaceAll(purpose, "-", " ")
	if strings.ContainsRune("aeiou", rune(words[0])) {
		return "an " + words
	}
	return "a " + words
}
