package experiments

import (
	"fmt"
	"math"
	"time"
)

// poissonAtMost is the chance that at most n events come where mean are expected, if
// they come independently of each other: the Poisson distribution. Beyond a mean of
// 500 it is that of the normal one of the same variance.
func poissonAtMost(n, mean float64) float64 {
	switch {
	case n < 0:
		return 0
	case mean <= 0:
		return 1
	case mean > 500: // exp(-mean) would soon be 0
		return 0.5 * math.Erfc(-(n+0.5-mean)/math.Sqrt(2*mean))
	}
	sum, term := 0.0, math.Exp(-mean)
	for k := 0.0; k <= n; k++ {
		sum += term
		term *= mean / (k + 1)
	}
	return min(sum, 1)
}

// judgeRate judges the least value of a rate over a window. Of a few events in each
// window there are half as many in one now and then, and nothing is wrong. What is too
// low is refuted only if it would come by chance less often than the confidence allows,
// in one of the windows that fit between from and to, or in all of them together; else
// the window is too short to tell.
func (h *Hypothesis) judgeRate(phase Phase, from, to time.Time, track *Track) Judgement {
	j := h.judgeSamples(phase, from, to, track)
	window, span := h.Probe.Window.Seconds(), to.Sub(from).Seconds()
	if j.Verdict != Refuted || h.Probe.Unit != Traffic.Unit() || window <= 0 || span <= 0 {
		return j
	}
	sum, n := 0.0, 0.0
	track.begun(from, to, func(i int) {
		if value, readable := h.read(track.At(i)); readable {
			sum, n = sum+value, n+1
		}
	})
	looks := max(span/window, 1)
	lowest := poissonAtMost(math.Round(float64(j.Observed)*window), h.Limit.Value*window) * looks
	all := poissonAtMost(math.Round(sum/n*span), h.Limit.Value*span)
	if min(lowest, all)*2 <= 1-float64(h.Confidence) {
		return j
	}
	j.Verdict = Inconclusive
	j.Text += fmt.Sprintf("; by chance as low as that now and then, with %s in a window of %s: write a longer window",
		events(max(sum/n*window, 0)), FormatDuration(h.Probe.Window))
	return j
}
