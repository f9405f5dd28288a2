package experiments

import (
	"fmt"
	"math"
	"testing"

	"gonum.org/v1/gonum/mathext"
	"pgregory.net/rapid"
)

func TestRequestsThatShowAnObjective(t *testing.T) {
	for _, test := range []struct {
		bad, allowed, requests float64
	}{
		{0, 0.01, 299}, {1, 0.01, 473}, {2, 0.01, 628},
		{0, 0.001, 2995}, {1, 0.001, 4742}, {2, 0.001, 6294},
	} {
		t.Run(fmt.Sprintf("%g errors against %g need %g requests", test.bad, test.allowed, test.requests), func(t *testing.T) {
			if _, high := BinomialBounds(test.bad, test.requests, 0.95); high > test.allowed {
				t.Errorf("with %g requests the upper bound is %g", test.requests, high)
			}
			if _, high := BinomialBounds(test.bad, test.requests-1, 0.95); high <= test.allowed {
				t.Errorf("one request less is enough: upper bound %g", high)
			}
			if got := EventsNeeded(test.bad, test.bad, test.allowed, 0.95); got != test.requests-test.bad {
				t.Errorf("EventsNeeded = %g, want %g", got, test.requests-test.bad)
			}
			if got := EventsNeeded(test.bad, test.requests, test.allowed, 0.95); got != 0 {
				t.Errorf("EventsNeeded with enough = %g", got)
			}
			if got := EventsNeeded(test.bad, test.requests-7, test.allowed, 0.95); got != 7 {
				t.Errorf("EventsNeeded with 7 less = %g", got)
			}
		})
	}
}

func TestBinomialBoundsKnownValues(t *testing.T) {
	for _, test := range []struct {
		name                   string
		bad, total, confidence float64
		low, high              float64
	}{
		{"one good event says little", 0, 1, 0.95, 0, 0.95},
		{"one bad event says little", 1, 1, 0.95, 0.05, 1},
		{"one of ten", 1, 10, 0.95, 0.005116196892, 0.394163302437},
		{"half of ten is symmetric", 5, 10, 0.95, 0.222441101008, 1 - 0.222441101008},
		{"fractions are rounded outwards", 1.5, 10.5, 0.95, mathext.InvRegIncBeta(1, 11, 0.05), mathext.InvRegIncBeta(3, 8, 0.95)},
		{"float noise is no fraction", 1 + 1e-9, 10 - 1e-9, 0.95, 0.005116196892, 0.394163302437},
		{"nothing counted", 0, 0, 0.95, 0, 1},
		{"less than one event", 0.4, 0.6, 0.95, 0, 1},
		{"more bad events than events", 12, 10, 0.95, math.Pow(0.05, 0.1), 1},
		{"not a number", math.NaN(), 10, 0.95, 0, 1},
		{"events without end", 1, math.Inf(1), 0.95, 0, 1},
		{"no confidence", 1, 10, 0, 0, 1},
		{"full confidence", 1, 10, 1, 0, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			low, high := BinomialBounds(test.bad, test.total, Percent(test.confidence))
			if math.Abs(low-test.low) > 1e-9 || math.Abs(high-test.high) > 1e-9 {
				t.Errorf("got %.12g..%.12g, want %.12g..%.12g", low, high, test.low, test.high)
			}
		})
	}
}

// Few bad events of very many are a Poisson count, whose bounds are quantiles of the
// gamma distribution; many of very many are nearly normal.
func TestBinomialBoundsOfVeryManyEvents(t *testing.T) {
	for _, total := range []float64{1e8, 1e9, 1e10} {
		for _, bad := range []float64{1, 2, 5, 100} {
			low, high := BinomialBounds(bad, total, 0.95)
			wantLow, wantHigh := mathext.GammaIncRegInv(bad, 0.05)/total, mathext.GammaIncRegInv(bad+1, 0.95)/total
			if math.Abs(low/wantLow-1) > 1e-5 || math.Abs(high/wantHigh-1) > 1e-5 {
				t.Errorf("%g of %g: got %g..%g, want %g..%g", bad, total, low, high, wantLow, wantHigh)
			}
		}
		_, high := BinomialBounds(0, total, 0.95)
		if want := -math.Log(0.05) / total; math.Abs(high/want-1) > 1e-6 {
			t.Errorf("0 of %g: got %g, want %g", total, high, want)
		}
		for _, ratio := range []float64{0.001, 0.5, 0.999} {
			low, high := BinomialBounds(ratio*total, total, 0.95)
			error := math.Sqrt(ratio * (1 - ratio) / total)
			if below, above := (ratio-low)/error, (high-ratio)/error; math.Abs(below-1.645) > 0.02 || math.Abs(above-1.645) > 0.02 {
				t.Errorf("%g of %g: bounds %g and %g standard errors away", ratio, total, below, above)
			}
		}
	}
}

func TestEventsNeededWithoutAnEnd(t *testing.T) {
	for _, test := range []struct {
		name                string
		bad, total, allowed float64
		want                float64
	}{
		{"no error is allowed at all", 0, 100, 0, math.Inf(1)},
		{"the allowed share is not known", 0, 100, math.NaN(), math.Inf(1)},
		{"every error is allowed", 50, 100, 1, 0},
		{"more bad events than events", 3, 1, 0.01, EventsNeeded(3, 3, 0.01, 0.95)},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := EventsNeeded(test.bad, test.total, test.allowed, 0.95); got != test.want {
				t.Errorf("got %g, want %g", got, test.want)
			}
		})
	}
}

func TestBinomialBoundsProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		total := math.Pow(10, rapid.Float64Range(0, 10).Draw(t, "magnitude"))
		bad := rapid.Float64Range(0, 1).Draw(t, "share") * total
		confidence := Percent(rapid.Float64Range(0.5, 0.999).Draw(t, "confidence"))
		low, high := BinomialBounds(bad, total, confidence)
		if !(0 <= low && low <= bad/total && bad/total <= high && high <= 1) {
			t.Fatalf("%g of %g: ratio %g outside %g..%g", bad, total, bad/total, low, high)
		}
		const slack = 1 + 1e-5 // the precision that is promised
		if l, h := BinomialBounds(bad, total*2, confidence); l > low*slack || h > high*slack {
			t.Fatalf("%g of %g: %g..%g, of twice as many: %g..%g", bad, total, low, high, l, h)
		}
		if l, h := BinomialBounds(min(bad+1, total), total, confidence); l*slack < low || h*slack < high {
			t.Fatalf("%g of %g: %g..%g, with one more bad: %g..%g", bad, total, low, high, l, h)
		}
		if l, h := BinomialBounds(bad, total, confidence+(1-confidence)/2); l > low*slack || h*slack < high {
			t.Fatalf("%g of %g: more confidence made the bounds tighter: %g..%g, then %g..%g", bad, total, low, high, l, h)
		}
		allowed := rapid.Float64Range(0.001, 0.5).Draw(t, "allowed")
		fewBad := math.Min(bad, 50)
		needed := EventsNeeded(fewBad, fewBad, allowed, confidence)
		if _, h := BinomialBounds(fewBad, fewBad+needed, confidence); h > allowed {
			t.Fatalf("%g more good events are not enough: %g above %g", needed, h, allowed)
		}
	})
}

// The exact coverage: whatever the true share, the counts whose bound is on the
// wrong side of it have a probability of at most 1-confidence together.
func TestBinomialBoundsCoverage(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		total := rapid.IntRange(1, 150).Draw(t, "total")
		truth := rapid.Float64Range(0.0005, 0.9995).Draw(t, "truth")
		confidence := rapid.Float64Range(0.5, 0.99).Draw(t, "confidence")
		var tooLow, tooHigh float64
		for bad := range total + 1 {
			low, high := BinomialBounds(float64(bad), float64(total), Percent(confidence))
			chance := probability(total, bad, truth)
			if high < truth {
				tooLow += chance
			}
			if low > truth {
				tooHigh += chance
			}
		}
		if tooLow > 1-confidence+1e-9 || tooHigh > 1-confidence+1e-9 {
			t.Fatalf("missed with a probability of %g and %g, at most %g each is allowed", tooLow, tooHigh, 1-confidence)
		}
	})
}

func probability(total, bad int, share float64) float64 {
	all, _ := math.Lgamma(float64(total) + 1)
	wrong, _ := math.Lgamma(float64(bad) + 1)
	right, _ := math.Lgamma(float64(total-bad) + 1)
	return math.Exp(all - wrong - right + float64(bad)*math.Log(share) + float64(total-bad)*math.Log1p(-share))
}
