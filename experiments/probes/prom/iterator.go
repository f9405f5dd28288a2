package prom

import (
	"math"
	"sort"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

// millis is a moment, in ms since 1970.
type millis = int64

// iterator walks the samples of a series, chunk by chunk, within a span of time.
type iterator struct {
	rest     []chunk // after the current one
	from, to millis
	current  chunkenc.Iterator
	open     bool // current stands in a chunk of this series
	done     bool
	kind     chunkenc.ValueType
	err      error
}

func (it *iterator) reset(chunks []chunk, from, to millis) {
	first := sort.Search(len(chunks), func(i int) bool { return chunks[i].to >= from })
	// The chunk iterator is kept for its buffers.
	*it = iterator{rest: chunks[first:], from: from, to: to, current: it.current}
}

func (it *iterator) Next() chunkenc.ValueType {
	for !it.done {
		if it.open {
			for it.kind = it.current.Next(); it.kind != chunkenc.ValNone; it.kind = it.current.Next() {
				at := it.current.AtT()
				if at > it.to {
					return it.finish()
				}
				if at >= it.from {
					return it.kind
				}
			}
			if it.err = it.current.Err(); it.err != nil {
				return it.finish()
			}
		}
		if len(it.rest) == 0 || it.rest[0].from > it.to {
			return it.finish()
		}
		it.current, it.open = it.rest[0].data.Iterator(it.current), true
		it.rest = it.rest[1:]
	}
	return chunkenc.ValNone
}

func (it *iterator) finish() chunkenc.ValueType {
	it.done, it.kind = true, chunkenc.ValNone
	return chunkenc.ValNone
}

func (it *iterator) Seek(t millis) chunkenc.ValueType {
	if it.done || it.kind != chunkenc.ValNone && it.current.AtT() >= t {
		return it.kind
	}
	// Chunks that end before t need no decoding.
	if skip := sort.Search(len(it.rest), func(i int) bool { return it.rest[i].to >= t }); skip > 0 {
		it.rest, it.open = it.rest[skip:], false
	}
	for it.Next() != chunkenc.ValNone {
		if it.current.AtT() >= t {
			return it.kind
		}
	}
	return chunkenc.ValNone
}

func (it *iterator) At() (int64, float64) { return it.current.At() }
func (it *iterator) AtT() int64           { return it.current.AtT() }
func (it *iterator) AtST() int64          { return it.current.AtST() }
func (it *iterator) Err() error           { return it.err }

func (it *iterator) AtHistogram(into *histogram.Histogram) (int64, *histogram.Histogram) {
	return it.current.AtHistogram(into)
}

func (it *iterator) AtFloatHistogram(into *histogram.FloatHistogram) (int64, *histogram.FloatHistogram) {
	return it.current.AtFloatHistogram(into)
}

// staleNaN is the value of a staleness marker.
func staleNaN() float64 { return math.Float64frombits(value.StaleNaN) }
