package experiments_test

import (
	"runtime"
	"testing"
	"time"

	"github.com/gameday-sh/gameday/experiments"
)

// BenchmarkHistoryOfADay fills the history of a run of 24 hours with five
// measurements a second of one probe and four windows a second of one SLO, and takes
// the memory that each keeps.
func BenchmarkHistoryOfADay(b *testing.B) {
	began := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	p, s := &experiments.Probed{Name: "door", Every: 200 * time.Millisecond}, &experiments.SLO{Name: "checkout"}
	const samples, counts = 432_000, 4 * 86_400
	for b.Loop() {
		before := heapInUse()
		h := experiments.NewHistory(began, []*experiments.Probed{p}, []*experiments.SLO{s})
		for i := range samples {
			h.AddSample(p, experiments.Sample{At: began.Add(time.Duration(i) * p.Every), Took: time.Millisecond, Counted: true, Good: i%1000 != 0})
		}
		between := heapInUse()
		for i := range counts {
			h.AddCount(s, time.Duration(1+i%4)*time.Minute, experiments.Count{At: began.Add(time.Duration(i/4) * time.Second), Total: 100})
		}
		after := heapInUse()
		b.ReportMetric(float64(between-before)/samples, "B/sample")
		b.ReportMetric(float64(after-between)/counts, "B/count")
		b.ReportMetric(float64(after-before)/(1<<20), "MB/day")
		runtime.KeepAlive(h)
	}
	b.ReportMetric(0, "ns/op")
}

// heapInUse is the memory that is in use.
func heapInUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
