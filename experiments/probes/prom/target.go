package prom

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
)

// target turns the expositions of one target into samples. It is used by one
// goroutine.
type target struct {
	store  *Store
	labels []labels.Label // sorted
	up     [3]labels.Labels
	cache  map[string]*exposed // by the text of the series in the exposition
	order  []*exposed          // of the samples of this round
	round  int
	// before is when the last good scrape began, in ms; 0 after a failed one.
	before int64
	last   int64
}

// exposed is a series of the target.
type exposed struct {
	labels labels.Labels
	series *series
	seen   int // the round
	// timed series come with times of their own; Prometheus lets them end silently.
	timed bool
}

func newTarget(store *Store, own map[string]string) *target {
	t := &target{store: store, cache: map[string]*exposed{}}
	for _, name := range slices.Sorted(maps.Keys(own)) {
		t.labels = append(t.labels, labels.Label{Name: name, Value: own[name]})
	}
	for i, name := range []string{"up", "scrape_duration_seconds", "scrape_samples_scraped"} {
		t.up[i] = t.with(labels.FromStrings(model.MetricNameLabel, name))
	}
	return t
}

// with adds the target's labels; one of the series' own by the same name moves
// out of the way.
func (t *target) with(own labels.Labels) labels.Labels {
	b := labels.NewBuilder(own)
	for _, l := range t.labels {
		name := l.Name
		for moved := own.Get(name); moved != ""; moved = own.Get(name) {
			name = model.ExportedLabelPrefix + name
			if own.Get(name) == "" {
				b.Set(name, own.Get(l.Name))
				break
			}
		}
	}
	for _, l := range t.labels {
		b.Set(l.Name, l.Value)
	}
	return b.Labels()
}

// take stores one scrape that began at that time. err is why there is no body. A
// scrape is stored whole or, when it cannot be parsed to its end, not at all.
func (t *target) take(began time.Time, took time.Duration, body []byte, kind string, err error) error {
	at := max(began.UnixMilli(), t.last+1)
	t.last = at
	t.round++
	var batch, loose []Sample
	if err == nil {
		batch, loose, err = t.parse(at, body, kind)
	}
	count, up := len(batch), 1.0
	if err != nil {
		batch, loose, count, up = nil, nil, 0, 0
	}
	// Whatever was there and is not now has ended; after a failure, everything.
	var ended []Sample
	for text, e := range t.cache {
		if e.seen == t.round && err == nil {
			continue
		}
		if e.series != nil && !e.timed {
			ended = append(ended, Sample{Labels: e.labels, series: e.series, At: at, Float: staleNaN()})
		}
		delete(t.cache, text)
	}
	t.before = 0
	if err == nil {
		t.before = at
	}
	for i, value := range []float64{up, took.Seconds(), float64(count)} {
		batch = append(batch, Sample{Labels: t.up[i], At: at, Float: value})
	}
	// A zero before a series that was there already, or a time that was told before,
	// is refused, and need not be.
	if refused := t.store.Append(loose); refused != nil && !errors.Is(refused, ErrOutOfOrder) {
		err = errors.Join(err, refused)
	}
	batch = append(batch, ended...)
	if refused := t.store.Append(batch); refused != nil {
		err = errors.Join(err, refused)
	}
	for i := range count {
		t.order[i].series = batch[i].series
	}
	if errors.As(err, new(*LimitError)) {
		t.withdraw(at + 1)
	}
	return err
}

// withdraw ends all series of a scrape of which only a part found room in the store:
// a query would add up what is there, and read as healthy what is not.
func (t *target) withdraw(at int64) {
	var batch []Sample
	for _, e := range t.cache {
		if e.series != nil && !e.timed {
			batch = append(batch, Sample{Labels: e.labels, series: e.series, At: at, Float: staleNaN()})
		}
	}
	batch = append(batch, Sample{Labels: t.up[0], At: at, Float: 0})
	// What has no room has no end either; the scrape tells of its failure all the same.
	_ = t.store.Append(batch)
	clear(t.cache)
	t.before, t.last = 0, at
}

// end marks all series as ended.
func (t *target) end(at time.Time) {
	now := max(at.UnixMilli(), t.last+1)
	var batch []Sample
	for _, e := range t.cache {
		if e.series != nil && !e.timed {
			batch = append(batch, Sample{Labels: e.labels, series: e.series, At: now, Float: staleNaN()})
		}
	}
	for _, name := range t.up {
		batch = append(batch, StaleMarker(name, now))
	}
	// A series that the store has no room for has no end either.
	_ = t.store.Append(batch)
	clear(t.cache)
}

// parse lists the samples of an exposition, and those that the store may refuse
// without harm: zeros before new counters, and samples with times of their own.
func (t *target) parse(at int64, body []byte, contentType string) (batch, loose []Sample, err error) {
	parser, err := textparse.New(body, contentType, nil, textparse.ParserOptions{
		FallbackContentType:                     "text/plain",
		KeepClassicOnClassicAndNativeHistograms: true,
		OpenMetricsSkipSTSeries:                 true,
	})
	if parser == nil {
		return nil, nil, fmt.Errorf("the target's answer cannot be read: %s", brief(err.Error()))
	}
	counts := false
	t.order = t.order[:0]
	for {
		entry, err := parser.Next()
		if errors.Is(err, io.EOF) {
			return batch, loose, nil
		}
		if err != nil {
			return nil, nil, fmt.Errorf("the target's answer (%s) is not metrics: %s", brief(contentType), brief(err.Error()))
		}
		sample := Sample{At: at}
		var text []byte
		var own *int64
		switch entry {
		case textparse.EntryType:
			_, kind := parser.Type()
			counts = kind == model.MetricTypeCounter || kind == model.MetricTypeHistogram
			continue
		case textparse.EntrySeries:
			text, own, sample.Float = parser.Series()
		case textparse.EntryHistogram:
			text, own, sample.Histogram, sample.FloatHistogram = parser.Histogram()
		default:
			continue
		}
		e, known := t.cache[string(text)]
		if max(len(batch), len(loose)) > t.store.limit {
			return nil, nil, fmt.Errorf("the target exposes more series than the built-in Prometheus has room for (%d); scrape a smaller part of them, or use a server (url)", t.store.limit)
		}
		if !known {
			var exposition labels.Labels
			parser.Labels(&exposition)
			e = &exposed{labels: t.with(exposition), timed: own != nil}
			t.cache[string(text)] = e
		}
		sample.Labels, sample.series = e.labels, e.series
		e.seen = t.round
		if own != nil {
			sample.At = *own
			loose = append(loose, sample)
			continue
		}
		if !known && counts && t.before > 0 {
			loose = append(loose, zeroBefore(sample, t.before))
		}
		batch, t.order = append(batch, sample), append(t.order, e)
	}
}

// zeroBefore is the sample of a counter or histogram that had not counted yet.
func zeroBefore(first Sample, at int64) Sample {
	zero := Sample{Labels: first.Labels, At: at}
	if h := first.Histogram; h != nil {
		zero.Histogram = &histogram.Histogram{Schema: h.Schema, ZeroThreshold: h.ZeroThreshold, CustomValues: h.CustomValues}
	}
	if h := first.FloatHistogram; h != nil {
		zero.FloatHistogram = &histogram.FloatHistogram{Schema: h.Schema, ZeroThreshold: h.ZeroThreshold, CustomValues: h.CustomValues}
	}
	return zero
}
