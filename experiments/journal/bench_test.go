package journal_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/experiments/journal"
)

func aSample() experiments.Event {
	return experiments.Event{
		At: time.Date(2026, 3, 2, 9, 0, 0, 123456789, time.UTC), Type: experiments.EventSample, Phase: experiments.PhaseDisrupt,
		Series: "probe.front_door",
		Sample: &experiments.Sample{At: time.Date(2026, 3, 2, 9, 0, 0, 123456789, time.UTC), Took: 12_345_678, Counted: true, Good: true},
	}
}

// BenchmarkAppend writes samples, which wait for no disk. The raw limit writes as
// many bytes to a file.
func BenchmarkAppend(b *testing.B) {
	dir := b.TempDir()
	j, err := journal.Create(filepath.Join(dir, "run"), nil)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = j.Close() })
	if err := j.Reserve(1 << 20); err != nil {
		b.Fatal(err)
	}
	event := aSample()
	each := int64(0)
	b.Run("journal", func(b *testing.B) {
		n := 0
		before := written(b, dir)
		for b.Loop() {
			if err := j.Append(event); err != nil {
				b.Fatal(err)
			}
			n++
		}
		each = (written(b, dir) - before) / int64(n)
		b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "events/s")
		b.ReportMetric(float64(each), "B/event")
		b.ReportMetric(float64(each)*432_000/(1<<20), "MB/day-of-432,000")
	})
	b.Run("raw", func(b *testing.B) {
		file, err := os.Create(filepath.Join(dir, "raw"))
		if err != nil {
			b.Fatal(err)
		}
		defer file.Close()
		line := make([]byte, each)
		n := 0
		for b.Loop() {
			if _, err := file.Write(line); err != nil {
				b.Fatal(err)
			}
			n++
		}
		b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "events/s")
	})
}

// written is the length of the journal; the room it reserves does not count.
func written(b *testing.B, dir string) int64 {
	b.Helper()
	info, err := os.Stat(filepath.Join(dir, "run", journal.FileName))
	if err != nil {
		b.Fatal(err)
	}
	return info.Size()
}

// BenchmarkCommit writes an event and waits for the disk, as before each side
// effect. The raw limit writes as many bytes and waits.
func BenchmarkCommit(b *testing.B) {
	dir := b.TempDir()
	j, err := journal.Create(filepath.Join(dir, "run"), nil)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = j.Close() })
	if err := j.Reserve(1 << 20); err != nil {
		b.Fatal(err)
	}
	event := aSample()
	b.Run("journal", func(b *testing.B) {
		for b.Loop() {
			if err := j.Commit(event); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("raw", func(b *testing.B) {
		file, err := os.Create(filepath.Join(dir, "raw"))
		if err != nil {
			b.Fatal(err)
		}
		defer file.Close()
		line := make([]byte, 220)
		for b.Loop() {
			if _, err := file.Write(line); err != nil {
				b.Fatal(err)
			}
			if err := file.Sync(); err != nil {
				b.Fatal(err)
			}
		}
	})
}
