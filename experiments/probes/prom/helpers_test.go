package prom

import (
	"context"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"pgregory.net/rapid"
)

// require is what helpers need of a test.
type require interface {
	Helper()
	Fatalf(format string, values ...any)
	Context() context.Context
}

type rapidT struct{ *rapid.T }

// start opens a built-in Prometheus.
func start(t testing.TB) *Prometheus {
	t.Helper()
	p := &Prometheus{}
	if err := p.Open(t.Context()); err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return p
}

// now is the moment that the tests with made-up samples look back from.
var now = time.UnixMilli(1_800_000_000_000)

// ago puts samples of one series into the store: one each second, the last of them
// that long before now. NaN is a staleness marker.
func (p *Prometheus) ago(t testing.TB, last time.Duration, series string, values ...float64) {
	t.Helper()
	name, err := newParser().ParseMetric(series)
	if err != nil {
		t.Fatalf("series %s: %v", series, err)
	}
	p.put(t, last, name, values...)
}

func (p *Prometheus) put(t testing.TB, last time.Duration, name labels.Labels, values ...float64) {
	t.Helper()
	end := now.Add(-last)
	var batch []Sample
	for i, value := range values {
		sample := Sample{Labels: name, At: end.Add(-time.Duration(len(values)-1-i) * time.Second).UnixMilli(), Float: value}
		if value != value {
			sample.Float = staleNaN()
		}
		batch = append(batch, sample)
	}
	if err := p.store.Append(batch); err != nil {
		t.Fatalf("Append to %s: %v", name, err)
	}
}

// rising are the values of a counter that is read n times.
func rising(n int, by float64) []float64 {
	values := make([]float64, n)
	for i := range values {
		values[i] = float64(i) * by
	}
	return values
}
