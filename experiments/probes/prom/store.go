package prom

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/util/annotations"
)

// ErrOutOfOrder is why a sample is refused that is not newer than the newest of
// its series.
var ErrOutOfOrder = errors.New("sample is not newer than the newest of its series")

// LimitError is why a series is refused when the store is full.
type LimitError struct {
	Limit  int
	Series string
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("the built-in Prometheus holds its limit of %d series and does not take %s; scrape fewer targets or use a server (url)", e.Limit, e.Series)
}

// Limits of the built-in store. A sample takes about 1.5 bytes and a series about
// 1 KB, so that a full store scraped each second grows by some 250 MB an hour.
const (
	defaultSeriesLimit = 50_000
	defaultRetention   = 6 * time.Hour
	samplesPerChunk    = 120
)

// Store keeps samples in memory: Gorilla-compressed chunks under an inverted
// index of labels, without a disk. It is a [storage.Queryable].
//
// What [Store.Append] is given becomes visible at once and together. A querier
// holds off appends until it is closed, so that one query never sees half a
// scrape; its iterators must not be used after that.
type Store struct {
	mu          sync.RWMutex
	limit       int
	retention   int64 // ms
	series      map[uint64][]*series
	index       map[string]map[string][]*series // label name, value
	count       int
	nextCleanup int64
}

// NewStore returns an empty store with room for that many series, which forgets
// samples that are older than retention (measured from the newest one). It
// forgets whole chunks, of up to 120 samples.
func NewStore(seriesLimit int, retention time.Duration) *Store {
	return &Store{
		limit:     seriesLimit,
		retention: retention.Milliseconds(),
		series:    map[uint64][]*series{},
		index:     map[string]map[string][]*series{},
	}
}

// Sample is one sample of a series. The first that is set of Histogram,
// FloatHistogram and Float is its value. The store takes the histograms over.
type Sample struct {
	Labels         labels.Labels
	At             int64 // ms since 1970
	Float          float64
	Histogram      *histogram.Histogram
	FloatHistogram *histogram.FloatHistogram

	// series spares the lookup by labels, for those who append again and again.
	series *series
}

// StaleMarker is the sample that says that a series ended.
func StaleMarker(series labels.Labels, at int64) Sample {
	return Sample{Labels: series, At: at, Float: staleNaN()}
}

type chunk struct {
	from, to int64
	data     chunkenc.Chunk
}

// series is guarded by the mutex of its store.
type series struct {
	labels   labels.Labels
	chunks   []chunk
	appender chunkenc.Appender
	// indexed is false once a series was forgotten, or before its first sample.
	indexed bool
}

// Append adds the samples in their order. Those that can be added are; the error
// joins why others were not: [ErrOutOfOrder] or a [LimitError], each once.
func (s *Store) Append(samples []Sample) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	var disordered, newest int64
	var full *LimitError
	for i := range samples {
		sample := &samples[i]
		if err := s.append(sample); err != nil {
			switch {
			case errors.Is(err, ErrOutOfOrder):
				disordered++
			case errors.As(err, new(*LimitError)):
				if full == nil && errors.As(err, &full) {
					errs = append(errs, err)
				}
			default:
				errs = append(errs, err)
			}
			continue
		}
		newest = max(newest, sample.At)
	}
	if disordered > 0 {
		errs = append(errs, fmt.Errorf("%d of %d: %w", disordered, len(samples), ErrOutOfOrder))
	}
	s.cleanUp(newest)
	return errors.Join(errs...)
}

func (s *Store) append(sample *Sample) error {
	if sample.series == nil || !sample.series.indexed {
		sample.series = s.find(sample.Labels)
	}
	ser := sample.series
	if n := len(ser.chunks); n > 0 && sample.At <= ser.chunks[n-1].to {
		return ErrOutOfOrder
	}
	if !ser.indexed {
		if s.count >= s.limit {
			return &LimitError{s.limit, ser.labels.String()}
		}
		s.enter(ser)
	}
	return ser.append(sample, sample.At-s.retention)
}

// find returns the series of these labels, or a new one that is not indexed yet.
func (s *Store) find(lset labels.Labels) *series {
	for _, ser := range s.series[lset.Hash()] {
		if labels.Equal(ser.labels, lset) {
			return ser
		}
	}
	return &series{labels: lset}
}

func (s *Store) enter(ser *series) {
	hash := ser.labels.Hash()
	s.series[hash] = append(s.series[hash], ser)
	ser.labels.Range(func(l labels.Label) {
		values := s.index[l.Name]
		if values == nil {
			values = map[string][]*series{}
			s.index[l.Name] = values
		}
		values[l.Value] = append(values[l.Value], ser)
	})
	ser.indexed = true
	s.count++
}

func (ser *series) append(sample *Sample, keepFrom int64) error {
	encoding := chunkenc.EncXOR
	switch {
	case sample.Histogram != nil:
		encoding = chunkenc.EncHistogram
	case sample.FloatHistogram != nil:
		encoding = chunkenc.EncFloatHistogram
	case value.IsStaleNaN(sample.Float) && len(ser.chunks) > 0:
		// A marker in the encoding of what it ends keeps the chunk whole.
		switch ser.chunks[len(ser.chunks)-1].data.Encoding() {
		case chunkenc.EncHistogram:
			encoding = chunkenc.EncHistogram
			sample.Histogram = &histogram.Histogram{Sum: sample.Float}
		case chunkenc.EncFloatHistogram:
			encoding = chunkenc.EncFloatHistogram
			sample.FloatHistogram = &histogram.FloatHistogram{Sum: sample.Float}
		}
	}

	// The appender of the chunk before tells a histogram's chunk whether a counter
	// was reset between the two.
	var before chunkenc.Appender
	last := len(ser.chunks) - 1
	if last < 0 || ser.chunks[last].data.Encoding() != encoding || ser.chunks[last].data.NumSamples() >= samplesPerChunk {
		if last >= 0 {
			ser.chunks[last].data.Compact()
			before = ser.appender
		}
		data, err := chunkenc.NewEmptyChunk(encoding)
		if err != nil {
			return fmt.Errorf("new chunk for %s: %w", ser.labels, err)
		}
		appender, err := data.Appender()
		if err != nil {
			return fmt.Errorf("new chunk for %s: %w", ser.labels, err)
		}
		ser.forget(keepFrom)
		ser.chunks = append(ser.chunks, chunk{from: sample.At, to: sample.At, data: data})
		ser.appender = appender
		last = len(ser.chunks) - 1
	}

	if encoding == chunkenc.EncXOR {
		ser.appender.Append(0, sample.At, sample.Float)
		ser.chunks[last].to = sample.At
		return nil
	}
	var grown chunkenc.Chunk
	var recoded bool
	var appender chunkenc.Appender
	var err error
	if encoding == chunkenc.EncHistogram {
		grown, recoded, appender, err = ser.appender.AppendHistogram(before, 0, sample.At, sample.Histogram, false)
	} else {
		grown, recoded, appender, err = ser.appender.AppendFloatHistogram(before, 0, sample.At, sample.FloatHistogram, false)
	}
	if err != nil {
		return fmt.Errorf("histogram for %s: %w", ser.labels, err)
	}
	ser.appender = appender
	switch {
	case grown == nil:
		ser.chunks[last].to = sample.At
	case recoded: // the same samples with more buckets, and this one
		ser.chunks[last].data, ser.chunks[last].to = grown, sample.At
	default: // a counter reset, or another schema, begins a chunk
		ser.chunks = append(ser.chunks, chunk{from: sample.At, to: sample.At, data: grown})
	}
	return nil
}

// forget drops the chunks that end before then.
func (ser *series) forget(before int64) {
	keep := slices.IndexFunc(ser.chunks, func(c chunk) bool { return c.to >= before })
	if keep < 0 {
		keep = len(ser.chunks)
	}
	ser.chunks = slices.Delete(ser.chunks, 0, keep)
}

// cleanUp forgets series that got no sample for the retention. A series that is
// alive forgets its own chunks, so that this need not run often.
func (s *Store) cleanUp(newest int64) {
	if newest < s.nextCleanup {
		return
	}
	s.nextCleanup = newest + max(s.retention/16, 1)
	for hash, same := range s.series {
		kept := slices.DeleteFunc(same, func(ser *series) bool {
			ser.forget(newest - s.retention)
			if len(ser.chunks) > 0 {
				return false
			}
			s.leave(ser)
			return true
		})
		if len(kept) == 0 {
			delete(s.series, hash)
		} else {
			s.series[hash] = kept
		}
	}
}

func (s *Store) leave(ser *series) {
	ser.labels.Range(func(l labels.Label) {
		values := s.index[l.Name]
		rest := slices.DeleteFunc(values[l.Value], func(other *series) bool { return other == ser })
		if len(rest) > 0 {
			values[l.Value] = rest
			return
		}
		delete(values, l.Value)
		if len(values) == 0 {
			delete(s.index, l.Name)
		}
	})
	ser.indexed, ser.appender = false, nil
	s.count--
}

// Len is the number of series held.
func (s *Store) Len() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.count
}

// Querier reads the samples of a span of time, in ms since 1970, both ends
// included. Appends wait until it is closed.
func (s *Store) Querier(from, to int64) (storage.Querier, error) {
	s.mu.RLock()
	return &querier{store: s, from: from, to: to}, nil
}

type querier struct {
	store    *Store
	from, to int64
	closed   sync.Once
}

func (q *querier) Close() error {
	q.closed.Do(q.store.mu.RUnlock)
	return nil
}

// Select finds series. It narrows the span to the hints, if there are any.
func (q *querier) Select(_ context.Context, sorted bool, hints *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
	from, to := q.from, q.to
	if hints != nil {
		from, to = hints.Start, hints.End
	}
	found := q.store.match(matchers)
	if sorted {
		slices.SortFunc(found, func(a, b *series) int { return labels.Compare(a.labels, b.labels) })
	}
	return &seriesSet{found: found, at: -1, from: from, to: to}
}

func (q *querier) LabelValues(_ context.Context, name string, _ *storage.LabelHints, matchers ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	var values []string
	for _, ser := range q.store.match(matchers) {
		if text := ser.labels.Get(name); text != "" {
			values = append(values, text)
		}
	}
	return sortedSet(values), nil, nil
}

func (q *querier) LabelNames(_ context.Context, _ *storage.LabelHints, matchers ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	var names []string
	for _, ser := range q.store.match(matchers) {
		ser.labels.Range(func(l labels.Label) { names = append(names, l.Name) })
	}
	return sortedSet(names), nil, nil
}

func sortedSet[T cmp.Ordered](list []T) []T {
	slices.Sort(list)
	return slices.Compact(list)
}

// match takes the shortest list of the index that an equality allows, and filters
// it by the other matchers.
func (s *Store) match(matchers []*labels.Matcher) []*series {
	var candidates []*series
	narrowed := false
	for _, m := range matchers {
		if m.Type != labels.MatchEqual || m.Value == "" {
			continue
		}
		if list := s.index[m.Name][m.Value]; !narrowed || len(list) < len(candidates) {
			candidates, narrowed = list, true
		}
	}
	var found []*series
	add := func(ser *series) {
		for _, m := range matchers {
			if !m.Matches(ser.labels.Get(m.Name)) {
				return
			}
		}
		found = append(found, ser)
	}
	if narrowed {
		for _, ser := range candidates {
			add(ser)
		}
		return found
	}
	for _, same := range s.series {
		for _, ser := range same {
			add(ser)
		}
	}
	return found
}

type seriesSet struct {
	found    []*series
	at       int
	from, to int64
}

func (s *seriesSet) Next() bool                        { s.at++; return s.at < len(s.found) }
func (s *seriesSet) Err() error                        { return nil }
func (s *seriesSet) Warnings() annotations.Annotations { return nil }

func (s *seriesSet) At() storage.Series {
	ser := s.found[s.at]
	return &storage.SeriesEntry{Lset: ser.labels, SampleIteratorFn: func(reuse chunkenc.Iterator) chunkenc.Iterator {
		it, ok := reuse.(*iterator)
		if !ok {
			it = &iterator{}
		}
		it.reset(ser.chunks, s.from, s.to)
		return it
	}}
}
