package prom

import (
	"github.com/prometheus/common/model"

	"errors"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/gameday-sh/gameday/experiments"
)

// nativeSchema divides each power of two into 8 buckets: a quantile is at most
// 4.4% off.
const nativeSchema = 3

// durationBounds are the classic buckets of gameday_probe_duration_seconds: those
// of client_golang, with 1 and 2.5 ms for what answers within one machine.
var durationBounds = [...]float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}

// observed is what was counted of one probe.
type observed struct {
	good, bad float64
	missed    float64
	buckets   [len(durationBounds)]float64 // not cumulative
	sum       float64
	zero      uint64
	native    map[int]int64 // by index: up to 2^(index/8)
	last      int64

	success, value, eventsGood, eventsBad labels.Labels
	eventsMissed                          labels.Labels
	bucketNames                           [len(durationBounds) + 1]labels.Labels
	sumName, countName, nativeName        labels.Labels
}

func newObserved(p *experiments.Probed) *observed {
	name := func(name string, more ...string) labels.Labels {
		return labels.FromStrings(append([]string{model.MetricNameLabel, name, "probe", p.Name, "kind", p.Kind}, more...)...)
	}
	o := &observed{
		native:       map[int]int64{},
		last:         math.MinInt64,
		success:      name("gameday_probe_success"),
		value:        name("gameday_probe_value"),
		eventsGood:   name("gameday_probe_events_total", "result", "good"),
		eventsBad:    name("gameday_probe_events_total", "result", "bad"),
		eventsMissed: name("gameday_probe_missed_total"),
		sumName:      name("gameday_probe_duration_seconds_sum"),
		countName:    name("gameday_probe_duration_seconds_count"),
		nativeName:   name("gameday_probe_duration_seconds"),
	}
	for i := range o.bucketNames {
		bound := "+Inf"
		if i < len(durationBounds) {
			bound = labels.FormatOpenMetricsFloat(durationBounds[i])
		}
		o.bucketNames[i] = name("gameday_probe_duration_seconds_bucket", "le", bound)
	}
	return o
}

// Observe puts a measurement of a probe into the built-in Prometheus, so that
// SLOs and queries can be about probes. For a server it does nothing. The series,
// all with the labels probe and kind:
//
//	gameday_probe_success             1 or 0, of a measurement that is an event
//	gameday_probe_events_total        events so far, with result="good" or "bad"
//	gameday_probe_missed_total        measurements that were due and not asked, as too
//	                                  many earlier ones still waited for their answers
//	gameday_probe_duration_seconds    histogram of how long measurements took, in
//	                                  native form and in classic buckets
//	gameday_probe_value               the number read, in the probe's own unit
//
// A measurement that could not be taken ends success and value, and leaves the
// counters without a new sample: they go stale, as its target's would.
func (p *Prometheus) Observe(of *experiments.Probed, sample experiments.Sample) error {
	if p == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.store == nil {
		return nil
	}
	o := p.probes[of]
	var batch []Sample
	if o == nil {
		o = newObserved(of)
		p.probes[of] = o
		// Counters that begin at their first event would lose it: rate() sees only
		// what is added between two samples.
		before := sample.At.Add(-max(of.Every, time.Millisecond)).UnixMilli()
		batch = o.counters(before)
	}
	if at := sample.At.UnixMilli(); at > o.last {
		batch = append(batch, o.take(sample)...)
		o.last = at
	} else {
		// Two in one millisecond: counted now, and told with the next.
		o.count(sample)
	}
	if err := p.store.Append(batch); err != nil && !errors.Is(err, ErrOutOfOrder) {
		return err
	}
	return nil
}

func (o *observed) take(sample experiments.Sample) []Sample {
	at := sample.At.UnixMilli()
	success, value := StaleMarker(o.success, at), StaleMarker(o.value, at)
	if sample.Condition == experiments.OK && sample.Counted {
		success.Float = 0
		if sample.Good {
			success.Float = 1
		}
	}
	if sample.HasValue() {
		value.Float = sample.Value
	}
	batch := []Sample{success, value}
	o.count(sample)
	if sample.Condition == experiments.NotAsked {
		return append(batch, Sample{Labels: o.eventsMissed, At: at, Float: o.missed})
	}
	if sample.Condition != experiments.OK {
		return batch
	}
	return append(batch, o.counters(at)...)
}

func (o *observed) count(sample experiments.Sample) {
	if sample.Condition == experiments.NotAsked {
		o.missed++
	}
	if sample.Condition != experiments.OK {
		return
	}
	switch {
	case sample.Counted && sample.Good:
		o.good++
	case sample.Counted:
		o.bad++
	}
	seconds := sample.Took.Seconds()
	o.sum += seconds
	if seconds <= 0 {
		o.zero++
	} else {
		o.native[int(math.Ceil(math.Log2(seconds)*(1<<nativeSchema)))]++
	}
	if i, _ := slices.BinarySearch(durationBounds[:], seconds); i < len(durationBounds) {
		o.buckets[i]++
	}
}

// counters lists all counters as they stand.
func (o *observed) counters(at int64) []Sample {
	whole := o.histogram()
	batch := make([]Sample, 0, len(durationBounds)+6)
	add := func(name labels.Labels, value float64) {
		batch = append(batch, Sample{Labels: name, At: at, Float: value})
	}
	add(o.eventsGood, o.good)
	add(o.eventsBad, o.bad)
	add(o.eventsMissed, o.missed)
	var below float64
	for i, count := range o.buckets {
		below += count
		add(o.bucketNames[i], below)
	}
	add(o.bucketNames[len(durationBounds)], float64(whole.Count))
	add(o.sumName, o.sum)
	add(o.countName, float64(whole.Count))
	return append(batch, Sample{Labels: o.nativeName, At: at, Histogram: whole})
}

// histogram is the native form: spans of buckets that follow each other, and the
// difference of each count to the one before.
func (o *observed) histogram() *histogram.Histogram {
	h := &histogram.Histogram{Schema: nativeSchema, ZeroThreshold: 1e-9, ZeroCount: o.zero, Count: o.zero, Sum: o.sum}
	next, before := 0, int64(0)
	for _, index := range slices.Sorted(maps.Keys(o.native)) {
		if n := len(h.PositiveSpans); n > 0 && index == next {
			h.PositiveSpans[n-1].Length++
		} else {
			h.PositiveSpans = append(h.PositiveSpans, histogram.Span{Offset: int32(index - next), Length: 1})
		}
		count := o.native[index]
		h.PositiveBuckets = append(h.PositiveBuckets, count-before)
		h.Count += uint64(count)
		next, before = index+1, count
	}
	return h
}
