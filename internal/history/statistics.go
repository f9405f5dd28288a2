package history

import (
	"math"
	"slices"
	"sort"
)

// z95 is the 97.5% point of the normal distribution: 95% lie within it on both sides.
const z95 = 1.959963984540054

// newcombe is the 95% interval of the difference of two shares, bad2/n2 - bad1/n1:
// Newcombe's method 10 (Statistics in Medicine 17, 1998), from the score intervals of
// both. It holds for shares of 0 as well.
func newcombe(bad1, n1, bad2, n2 float64) (low, high float64) {
	p1, p2 := bad1/n1, bad2/n2
	low1, high1 := wilson(bad1, n1)
	low2, high2 := wilson(bad2, n2)
	d := p2 - p1
	return d - math.Hypot(p2-low2, high1-p1), d + math.Hypot(high2-p2, p1-low1)
}

// wilson is the 95% score interval of a share (Wilson 1927).
func wilson(bad, n float64) (low, high float64) {
	p, z2 := bad/n, z95*z95
	middle := (p + z2/(2*n)) / (1 + z2/n)
	half := z95 / (1 + z2/n) * math.Sqrt(p*(1-p)/n+z2/(4*n*n))
	return max(0, middle-half), min(1, middle+half)
}

// mostOfEach bounds what hodgesLehmann looks at: of more it takes every n-th measurement.
const mostOfEach = 600

// hodgesLehmann estimates by how much b lies above a, as the median of all differences,
// with its 95% interval from the Mann-Whitney statistic (Lehmann, Nonparametrics, 1975,
// section 2.5). It assumes nothing about the distributions; measurements of one run that
// depend on each other make the true interval wider.
func hodgesLehmann(a, b []float64) (middle, low, high float64) {
	a, b = thinned(a), thinned(b)
	differences := make([]float64, 0, len(a)*len(b))
	for _, x := range a {
		for _, y := range b {
			differences = append(differences, y-x)
		}
	}
	sort.Float64s(differences)
	n, m := float64(len(a)), float64(len(b))
	k := int(math.Floor(n*m/2 - z95*math.Sqrt(n*m*(n+m+1)/12)))
	k = max(k, 0)
	return quantile(differences, 0.5), differences[k], differences[len(differences)-1-k]
}

// thinned takes every n-th of a long list, over all of its length.
func thinned(list []float64) []float64 {
	if len(list) <= mostOfEach {
		return list
	}
	out := make([]float64, 0, mostOfEach)
	for i := range mostOfEach {
		out = append(out, list[i*len(list)/mostOfEach])
	}
	return out
}

func median(list []float64) float64 { return quantile(slices.Sorted(slices.Values(list)), 0.5) }

// quantile of a sorted list, between the nearest two; NaN of none.
func quantile(sorted []float64, q float64) float64 {
	if len(sorted) == 0 {
		return math.NaN()
	}
	at := q * float64(len(sorted)-1)
	i := int(at)
	if i+1 >= len(sorted) {
		return sorted[len(sorted)-1]
	}
	return sorted[i] + (at-float64(i))*(sorted[i+1]-sorted[i])
}
