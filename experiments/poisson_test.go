package experiments

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

func TestPoissonIsThatOfTheTables(t *testing.T) {
	// Sums of the terms by their logarithms.
	for _, test := range []struct{ n, mean, want float64 }{
		{0, 1, 0.3678794}, {3, 10, 0.01033605}, {10, 10, 0.5830398}, {25, 50, 7.160717e-05}, {-1, 5, 0}, {5, 0, 1},
		{460, 500, 0.0372935}, {960, 1000, 0.105257}, {1930, 2000, 0.0594447},
	} {
		if got := poissonAtMost(test.n, test.mean); math.Abs(got-test.want) > 0.02*test.want+1e-9 {
			t.Errorf("at most %v of %v: %v, want %v", test.n, test.mean, got, test.want)
		}
	}
}

// A service that is well is refuted no more often than its confidence says, however
// thin its traffic is; one whose traffic halves twice is not held.
func TestTrafficIsToldFromNoise(t *testing.T) {
	const runs, minutes, window = 200, 10, 5
	draw := rand.New(rand.NewPCG(7, 11))
	poisson := func(mean float64) float64 {
		n := -1.0
		for product, limit := 1.0, math.Exp(-mean); product > limit; n++ {
			product *= draw.Float64()
		}
		return n
	}
	judged := func(before, during float64) map[Verdict]int {
		verdicts := map[Verdict]int{}
		for range runs {
			g, history := shopSignals()
			traffic := g.Find(Traffic)
			events := make([]float64, 60+60*minutes)
			for i := range events {
				mean := before
				if i >= 60 {
					mean = during
				}
				events[i] = poisson(mean)
			}
			for i := window; i < len(events); i++ {
				sum := 0.0
				for _, n := range events[i-window : i] {
					sum += n
				}
				history.AddSample(traffic.Probed, Sample{At: history.Began.Add(time.Duration(i) * time.Second), Value: sum / window})
			}
			h := g.Hypotheses()[1]
			verdicts[h.judgeKept(PhaseDisrupt, history.Injected, history.Injected.Add(minutes*time.Minute), history).Verdict]++
		}
		return verdicts
	}
	for _, perSecond := range []float64{1, 4, 10, 40} {
		well, ill := judged(perSecond, perSecond), judged(perSecond, perSecond/4)
		t.Logf("%v requests/s: well %v, a quarter left %v", perSecond, well, ill)
		if share := float64(well[Refuted]) / runs; share > 0.05 {
			t.Errorf("%v requests/s: %.1f%% of healthy runs are refuted", perSecond, share*100)
		}
		if ill[Held] > 0 || ill[Refuted] < runs*99/100 {
			t.Errorf("%v requests/s: with a quarter left %v", perSecond, ill)
		}
	}
	if well := judged(40, 40); well[Held] < runs*99/100 {
		t.Errorf("with much traffic a healthy run is held: %v", well)
	}
}
