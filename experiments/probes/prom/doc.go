// Package prom measures with PromQL, in a Prometheus server or in process.
//
// The connection [Prometheus] answers queries: as a client of a server where it
// has a URL (client.go), and else by itself (engine.go: Prometheus's own engine
// over the store in memory of store.go). The built-in one is filled by
// [Scrape], which reads the metrics of one target, and by
// [Prometheus.Observe], which takes what the probes of a run measured. The SLI
// kind [Events] counts good and bad events with two queries; [Latency], [Throughput]
// and [TimeSlice] write these queries themselves. [Read] counts the events of many of
// them over days and months. The probe kind [Query] reads one
// number.
//
// Every way in which an answer can be missing or wrong has a condition and words
// of its own: no such series, a series that went silent, NaN, several series, a
// server that is away, one that refuses. None of them is ever taken for a value.
package prom

import "github.com/gameday-sh/gameday/experiments"

// Connections lists the kinds of connections of this package.
func Connections() []experiments.Kind[experiments.Connection] {
	return []experiments.Kind[experiments.Connection]{
		{Name: "prometheus", Summary: "A Prometheus server, or the built-in one", New: func() experiments.Connection { return new(Prometheus) }},
		{Name: "scrape", Summary: "Metrics of a target, read into the built-in Prometheus", New: func() experiments.Connection { return new(Scrape) }},
	}
}

// SLIs lists the kinds of SLIs of this package.
func SLIs() []experiments.Kind[experiments.SLI] {
	return []experiments.Kind[experiments.SLI]{
		{Name: "events", Summary: "Good and bad events, counted by PromQL", New: func() experiments.SLI { return new(Events) }},
		{Name: "latency", Summary: "Requests within a bound, counted from a histogram's buckets", New: func() experiments.SLI { return new(Latency) }},
		{Name: "throughput", Summary: "Stretches of time in which the traffic reached a floor", New: func() experiments.SLI { return new(Throughput) }},
		{Name: "time_slice", Summary: "Stretches of time that were good", New: func() experiments.SLI { return new(TimeSlice) }},
	}
}
