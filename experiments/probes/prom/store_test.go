package prom

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"pgregory.net/rapid"
)

// read lists the samples of the series that match, in the span.
func read(t require, s *Store, from, to int64, matchers ...*labels.Matcher) map[string][]Sample {
	t.Helper()
	q, err := s.Querier(from, to)
	if err != nil {
		t.Fatalf("Querier: %v", err)
	}
	defer func() { _ = q.Close() }()
	all := map[string][]Sample{}
	set := q.Select(t.Context(), true, &storage.SelectHints{Start: from, End: to}, matchers...)
	var it chunkenc.Iterator
	for set.Next() {
		series := set.At()
		it = series.Iterator(it)
		name := series.Labels().String()
		all[name] = nil
		for kind := it.Next(); kind != chunkenc.ValNone; kind = it.Next() {
			all[name] = append(all[name], current(it, kind, series.Labels()))
		}
		if it.Err() != nil {
			t.Fatalf("iterator of %s: %v", name, it.Err())
		}
	}
	return all
}

func current(it chunkenc.Iterator, kind chunkenc.ValueType, of labels.Labels) Sample {
	sample := Sample{Labels: of}
	switch kind {
	case chunkenc.ValFloat:
		sample.At, sample.Float = it.At()
	case chunkenc.ValHistogram:
		sample.At, sample.Histogram = it.AtHistogram(nil)
	case chunkenc.ValFloatHistogram:
		sample.At, sample.FloatHistogram = it.AtFloatHistogram(nil)
	}
	return sample
}

func same(a, b Sample) bool {
	if a.At != b.At {
		return false
	}
	floats := func(s Sample) *histogram.FloatHistogram {
		if s.Histogram != nil {
			return s.Histogram.ToFloat(nil)
		}
		return s.FloatHistogram
	}
	switch {
	case a.Histogram != nil && b.Histogram != nil, a.FloatHistogram != nil && b.FloatHistogram != nil:
		// The store may add empty buckets; the meaning is what must be the same.
		return floats(a).Compact(0).Equals(floats(b).Compact(0))
	case a.Histogram == nil && b.Histogram == nil && a.FloatHistogram == nil && b.FloatHistogram == nil:
		return math.Float64bits(a.Float) == math.Float64bits(b.Float)
	}
	return false
}

func drawSample(t *rapid.T, at int64) Sample {
	sample := Sample{At: at}
	switch rapid.IntRange(0, 9).Draw(t, "kind") {
	case 0, 1:
		sample.Histogram = drawHistogram(t)
	case 2:
		sample.FloatHistogram = drawHistogram(t).ToFloat(nil)
	default:
		sample.Float = rapid.Float64().Draw(t, "value")
	}
	return sample
}

func drawHistogram(t *rapid.T) *histogram.Histogram {
	h := &histogram.Histogram{Schema: int32(rapid.IntRange(2, 3).Draw(t, "schema")), ZeroThreshold: 1e-9, Sum: rapid.Float64Range(0, 1e6).Draw(t, "sum")}
	next, before := 0, int64(0)
	for range rapid.IntRange(0, 4).Draw(t, "buckets") {
		index := next + rapid.IntRange(0, 5).Draw(t, "gap")
		count := int64(rapid.IntRange(1, 50).Draw(t, "count"))
		h.PositiveSpans = append(h.PositiveSpans, histogram.Span{Offset: int32(index - next), Length: 1})
		h.PositiveBuckets = append(h.PositiveBuckets, count-before)
		h.Count += uint64(count)
		next, before = index+1, count
	}
	return h
}

func TestASelectorReturnsWhatWasAppended(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		store := NewStore(100, 1000*time.Hour)
		want := map[string][]Sample{}
		at := int64(1_000)
		names := rapid.IntRange(1, 3).Draw(t, "series")
		for range rapid.IntRange(1, 500).Draw(t, "samples") {
			at += rapid.Int64Range(1, 5_000).Draw(t, "step")
			sample := drawSample(t, at)
			sample.Labels = labels.FromStrings("__name__", "m", "n", fmt.Sprint(rapid.IntRange(1, names).Draw(t, "which")))
			kept := sample
			if sample.Histogram != nil { // the store takes its own over
				kept.Histogram = sample.Histogram.Copy()
			}
			if sample.FloatHistogram != nil {
				kept.FloatHistogram = sample.FloatHistogram.Copy()
			}
			want[sample.Labels.String()] = append(want[sample.Labels.String()], kept)
			if err := store.Append([]Sample{sample}); err != nil {
				t.Fatalf("Append: %v", err)
			}
		}
		from := rapid.Int64Range(0, at+10).Draw(t, "from")
		to := rapid.Int64Range(from, at+10).Draw(t, "to")
		got := read(rapidT{t}, store, from, to, labels.MustNewMatcher(labels.MatchEqual, "__name__", "m"))
		if len(got) != len(want) {
			t.Fatalf("%d series, want %d", len(got), len(want))
		}
		for name, samples := range want {
			samples = slices.DeleteFunc(slices.Clone(samples), func(s Sample) bool { return s.At < from || s.At > to })
			if !slices.EqualFunc(got[name], samples, same) {
				t.Fatalf("%s in [%d, %d]:\n got %v\nwant %v", name, from, to, got[name], samples)
			}
		}
		seekEverywhere(t, store, want, from, to)
	})
}

// seekEverywhere checks that Seek stops at the first sample at or after a time.
func seekEverywhere(t *rapid.T, store *Store, want map[string][]Sample, from, to int64) {
	q, err := store.Querier(from, to)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = q.Close() }()
	set := q.Select(t.Context(), false, nil, labels.MustNewMatcher(labels.MatchRegexp, "n", ".+"))
	for set.Next() {
		series := set.At()
		it := series.Iterator(nil)
		goal := from
		for range 5 {
			goal = rapid.Int64Range(goal, to+1).Draw(t, "seek")
			rest := slices.DeleteFunc(slices.Clone(want[series.Labels().String()]), func(s Sample) bool { return s.At < max(goal, from) || s.At > to })
			kind := it.Seek(goal)
			if (kind == chunkenc.ValNone) != (len(rest) == 0) {
				t.Fatalf("Seek(%d) gives %v, and %d samples follow", goal, kind, len(rest))
			}
			if kind == chunkenc.ValNone {
				break
			}
			if it.AtT() != rest[0].At {
				t.Fatalf("Seek(%d) stands at %d, want %d", goal, it.AtT(), rest[0].At)
			}
		}
	}
}

func TestASampleThatIsNotNewerIsRefusedAndTheRestIsKept(t *testing.T) {
	store := NewStore(10, time.Hour)
	name := labels.FromStrings("__name__", "m")
	for _, at := range []int64{10, 20, 30} {
		if err := store.Append([]Sample{{Labels: name, At: at, Float: float64(at)}}); err != nil {
			t.Fatal(err)
		}
	}
	err := store.Append([]Sample{{Labels: name, At: 30, Float: 1}, {Labels: name, At: 25, Float: 2}, {Labels: name, At: 31, Float: 3}})
	if !errors.Is(err, ErrOutOfOrder) {
		t.Fatalf("error %v, want ErrOutOfOrder", err)
	}
	got := read(t, store, 0, 100)[name.String()]
	want := []Sample{{At: 10, Float: 10}, {At: 20, Float: 20}, {At: 30, Float: 30}, {At: 31, Float: 3}}
	if !slices.EqualFunc(got, want, same) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestTheSeriesLimitNamesWhatWasLeftOut(t *testing.T) {
	store := NewStore(2, time.Hour)
	name := func(n string) labels.Labels { return labels.FromStrings("__name__", "m", "n", n) }
	err := store.Append([]Sample{{Labels: name("1"), At: 1}, {Labels: name("2"), At: 1}, {Labels: name("3"), At: 1}, {Labels: name("4"), At: 1}, {Labels: name("1"), At: 2}})
	var full *LimitError
	if !errors.As(err, &full) || full.Limit != 2 || full.Series != name("3").String() {
		t.Fatalf("error %v, want a LimitError for the third series", err)
	}
	if store.Len() != 2 {
		t.Errorf("%d series held, want 2", store.Len())
	}
	if got := read(t, store, 0, 10)[name("1").String()]; len(got) != 2 {
		t.Errorf("the first series has %d samples, want 2: it has room", len(got))
	}
}

func TestRetentionForgetsOldChunksAndDeadSeriesAndMakesRoom(t *testing.T) {
	store := NewStore(2, time.Minute)
	alive, dead, later := labels.FromStrings("n", "alive"), labels.FromStrings("n", "dead"), labels.FromStrings("n", "later")
	if err := store.Append([]Sample{{Labels: dead, At: 0, Float: 1}}); err != nil {
		t.Fatal(err)
	}
	for at := int64(0); at <= 600_000; at += 100 {
		if err := store.Append([]Sample{{Labels: alive, At: at, Float: 1}}); err != nil {
			t.Fatal(err)
		}
	}
	all := read(t, store, 0, math.MaxInt64)
	if _, there := all[dead.String()]; there {
		t.Error("a series without a sample for ten minutes is still held")
	}
	kept := all[alive.String()]
	if len(kept) < 600 || len(kept) > 600+2*samplesPerChunk {
		t.Errorf("%d samples kept of the living series, want those of a minute (600) and at most two chunks more", len(kept))
	}
	if kept[len(kept)-1].At != 600_000 {
		t.Errorf("the newest sample is of %d", kept[len(kept)-1].At)
	}
	if err := store.Append([]Sample{{Labels: later, At: 600_001}}); err != nil {
		t.Errorf("the room of a forgotten series is not free: %v", err)
	}
	// A series that comes back after it was forgotten begins anew.
	if err := store.Append([]Sample{{Labels: dead, At: 600_002}}); !errors.As(err, new(*LimitError)) {
		t.Errorf("error %v, want the limit", err)
	}
}

func TestQueriesSeeABatchWholeOrNotAtAll(t *testing.T) {
	store := NewStore(1000, time.Hour)
	const writers, rounds, width = 4, 150, 5
	var appending sync.WaitGroup
	for w := range writers {
		appending.Go(func() {
			for at := int64(1); at <= rounds; at++ {
				batch := make([]Sample, width)
				for i := range batch {
					batch[i] = Sample{Labels: labels.FromStrings("w", fmt.Sprint(w), "i", fmt.Sprint(i)), At: at, Float: float64(at)}
				}
				if err := store.Append(batch); err != nil {
					t.Errorf("writer %d: %v", w, err)
				}
			}
		})
	}
	stop := make(chan struct{})
	var reading sync.WaitGroup
	for range 2 {
		reading.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				for w := range writers {
					counts := map[int]bool{}
					for _, samples := range read(t, store, 0, rounds, labels.MustNewMatcher(labels.MatchEqual, "w", fmt.Sprint(w))) {
						counts[len(samples)] = true
					}
					if len(counts) > 1 {
						t.Errorf("a query saw series of lengths %v: half a batch", counts)
						return
					}
				}
			}
		})
	}
	appending.Wait()
	close(stop)
	reading.Wait()
	for name, samples := range read(t, store, 0, rounds) {
		if len(samples) != rounds {
			t.Errorf("%s has %d samples, want %d", name, len(samples), rounds)
		}
	}
	if store.Len() != writers*width {
		t.Errorf("%d series, want %d", store.Len(), writers*width)
	}
}

func TestAStaleMarkerOfAHistogramIsAHistogram(t *testing.T) {
	store := NewStore(10, time.Hour)
	name := labels.FromStrings("__name__", "h")
	h := &histogram.Histogram{Schema: 3, Count: 1, Sum: 1, PositiveSpans: []histogram.Span{{Offset: 0, Length: 1}}, PositiveBuckets: []int64{1}}
	if err := store.Append([]Sample{{Labels: name, At: 1, Histogram: h}, StaleMarker(name, 2)}); err != nil {
		t.Fatal(err)
	}
	got := read(t, store, 0, 10)[name.String()]
	if len(got) != 2 || got[1].Histogram == nil || !value.IsStaleNaN(got[1].Histogram.Sum) {
		t.Errorf("got %v, want a histogram and its marker", got)
	}
}

func TestLabelNamesAndValuesAreSortedAndFiltered(t *testing.T) {
	store := NewStore(10, time.Hour)
	for _, n := range []string{"b", "a", "c"} {
		if err := store.Append([]Sample{{Labels: labels.FromStrings("__name__", "m", "n", n, "only"+n, "x"), At: 1}}); err != nil {
			t.Fatal(err)
		}
	}
	q, err := store.Querier(0, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = q.Close() }()
	not := labels.MustNewMatcher(labels.MatchNotEqual, "n", "b")
	values, _, _ := q.LabelValues(t.Context(), "n", nil, not)
	if !slices.Equal(values, []string{"a", "c"}) {
		t.Errorf("values %v", values)
	}
	names, _, _ := q.LabelNames(t.Context(), nil, not)
	if !slices.Equal(names, []string{"__name__", "n", "onlya", "onlyc"}) {
		t.Errorf("names %v", names)
	}
}
