package experiments

import (
	"math"

	"gonum.org/v1/gonum/mathext"
)

// noise is how far a count may be off a whole number by float arithmetic alone.
const noise = 1e-6

// BinomialBounds bounds the true share of bad events after bad of total were seen,
// by the exact method of Clopper and Pearson (Biometrika 26, 1934). Each bound is
// one-sided: the true share is below low, or above high, with a probability of at
// most 1-confidence. That is also all there is to know about both together, so a
// statement that needs both sides holds at 2*confidence-1.
//
// Counts from Prometheus carry fractions, because increase() extrapolates to the
// edges of its window. They are rounded outwards, so that a fraction of an event
// never makes a bound tighter: low takes fewer bad events of more, high takes more
// bad events of fewer.
//
// Without an event, with a number that is not one, or with a confidence that is
// not between 0 and 1, nothing is known: 0 and 1. From 1 to 1e10 events the bounds
// are within 1e-5 of their own size.
func BinomialBounds(bad, total float64, confidence Percent) (low, high float64) {
	sure := float64(confidence)
	if !(sure > 0 && sure < 1) || !(total > 0) || math.IsInf(total, 1) || math.IsNaN(bad) {
		return 0, 1
	}
	bad = min(max(bad, 0), total)
	ratio := bad / total

	// The bounds are quantiles of the beta distribution. With 0 bad, or only bad
	// events, they have a closed form, in logarithms to keep the digits of a small
	// share.
	fewest, most := floor(bad), ceil(total)
	switch {
	case fewest == 0:
		low = 0
	case fewest == most:
		low = math.Exp(math.Log1p(-sure) / most)
	default:
		low = mathext.InvRegIncBeta(fewest, most-fewest+1, 1-sure)
	}
	most, fewest = ceil(bad), floor(total)
	switch {
	case most >= fewest:
		high = 1
	case most == 0:
		high = -math.Expm1(math.Log1p(-sure) / fewest)
	default:
		high = mathext.InvRegIncBeta(most+1, fewest-most, sure)
	}
	// At a confidence below one half a bound may lie on the other side of the ratio.
	return min(low, ratio), max(high, ratio)
}

// EventsNeeded is how many more events, all of them good, would bring the upper
// bound of BinomialBounds within allowed. It is 0 where the bound is within it
// already and +Inf where no number of events is enough.
func EventsNeeded(bad, total, allowed float64, confidence Percent) float64 {
	total = max(total, bad, 0)
	enough := func(more float64) bool {
		_, high := BinomialBounds(bad, total+more, confidence)
		return high <= allowed
	}
	if enough(0) {
		return 0
	}
	// Beyond this a float no longer counts single events.
	const countable = 1 << 53
	reach := 1.0
	for !enough(reach) {
		if reach >= countable {
			return math.Inf(1)
		}
		reach *= 2
	}
	tooFew := math.Floor(reach / 2)
	for reach-tooFew > 1 {
		middle := math.Floor((tooFew + reach) / 2)
		if enough(middle) {
			reach = middle
		} else {
			tooFew = middle
		}
	}
	return reach
}

func floor(count float64) float64 { return math.Floor(count + noise) }

func ceil(count float64) float64 { return math.Ceil(count - noise) }
