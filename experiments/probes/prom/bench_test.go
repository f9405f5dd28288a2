package prom

import (
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
)

func BenchmarkAppend(b *testing.B) {
	const width = 1000
	store := NewStore(width, time.Hour)
	batch := make([]Sample, width)
	for i := range batch {
		batch[i] = Sample{Labels: labels.FromStrings("__name__", "m", "n", fmt.Sprint(i))}
	}
	at := now.UnixMilli()
	b.ReportAllocs()
	for b.Loop() {
		at += 1000
		for i := range batch {
			batch[i].At, batch[i].Float = at, float64(at)
		}
		if err := store.Append(batch); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/width, "ns/sample")
}

func BenchmarkQuery(b *testing.B) {
	p := start(b)
	for i := range 100 {
		p.ago(b, 0, fmt.Sprintf(`http_requests_total{job="shop",code="200",n="%d"}`, i), rising(300, 9)...)
		p.ago(b, 0, fmt.Sprintf(`http_requests_total{job="shop",code="500",n="%d"}`, i), rising(300, 1)...)
	}
	b.Run("rate of 200 series over 1m", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := p.Query(b.Context(), `sum(rate(http_requests_total[1m]))`, now); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("events", func(b *testing.B) {
		sli := &Events{Prometheus: p, Bad: badQuery, Total: total}
		b.ReportAllocs()
		for b.Loop() {
			if got := sli.Count(b.Context(), now, time.Minute); got.Condition != "" {
				b.Fatal(got.Why)
			}
		}
	})
}

func BenchmarkOpen(b *testing.B) {
	for b.Loop() {
		p := &Prometheus{}
		if err := p.Open(b.Context()); err != nil {
			b.Fatal(err)
		}
		if err := p.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
