// Package probes holds what takes measurements for SLIs: one kind of probe a file,
// and a table of them.
//
// A probe looks at the system from outside, as a user does. What it sees is an
// event, good or bad: an answer that is late, wrong or missing is a bad event and
// never missing data. A condition other than [experiments.OK] says that the probe
// itself could not look: its command is not there, its certificate cannot be read,
// the run ended meanwhile.
//
// Each probe is a struct with tags, as [experiments.Kind] describes. The pieces they
// share: [links] hand out the connections of probes that talk over HTTP, a lazy value
// is worked out by the first measurement, failed puts an error into plain words, a set
// holds the codes that count as good and a picker finds one value in JSON.
//
// A probe is paced by the clock, so that measurements of a slow target overlap:
// Measure is safe for concurrent use, and no measurement waits for another or fails
// with it. The attributes of a probe do not change after its first measurement.
// Different probes share nothing. A probe that keeps a connection between
// measurements has a Close, to be called after the last one has returned; one that
// measures again after that needs another. A probe says how long a measurement took;
// the runner notes when it was known, and judges it by when it began, so that what began
// before a fault is never counted as having seen the world after it.
package probes

import (
	"context"
	"math"
	"time"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/experiments/probes/prom"
)

// Kinds is the table of probes.
func Kinds() []experiments.Kind[experiments.Probe] {
	return []experiments.Kind[experiments.Probe]{
		{Name: "http", Summary: "Sends an HTTP request and judges the answer", New: func() experiments.Probe { return &HTTP{} }},
		{Name: "tcp", Summary: "Opens a TCP connection, and may talk over it", New: func() experiments.Probe { return &TCP{} }},
		{Name: "grpc", Summary: "Asks a gRPC server for its health", New: func() experiments.Probe { return &GRPC{} }},
		{Name: "exec", Summary: "Runs a command and judges its exit code", New: func() experiments.Probe { return &Exec{} }},
		{Name: "kubernetes", Summary: "Reads replicas, rollouts, restarts or any field from a Kubernetes API server", New: func() experiments.Probe { return &Kubernetes{} }},
		{Name: "prometheus", Summary: "Reads one number with PromQL", New: func() experiments.Probe { return &prom.Query{} }},
	}
}

// begin starts a sample: now, and without a value.
func begin() experiments.Sample {
	return experiments.Sample{At: time.Now(), Value: math.NaN()}
}

// good and bad end a sample that is an event. The time it took is up to now unless
// it is set already.
func good(s experiments.Sample) experiments.Sample {
	return event(s, true, "")
}

func bad(s experiments.Sample, why string) experiments.Sample {
	return event(s, false, why)
}

func event(s experiments.Sample, isGood bool, why string) experiments.Sample {
	if s.Took == 0 {
		s.Took = time.Since(s.At)
	}
	s.Counted, s.Good, s.Why = true, isGood, why
	return s
}

// unreadable ends a sample that could not be taken.
func unreadable(s experiments.Sample, condition experiments.Condition, why string) experiments.Sample {
	s.Took = time.Since(s.At)
	s.Condition, s.Why = condition, why
	return s
}

// broken ends a sample that failed for a reason on our side.
func broken(s experiments.Sample, why string) experiments.Sample {
	return unreadable(s, experiments.Broken, why)
}

// cancelled tells whether ctx ended because the run did, and not by its deadline. A
// measurement that was cut off so says nothing about the system.
func cancelled(ctx context.Context) bool { return ctx.Err() == context.Canceled }
