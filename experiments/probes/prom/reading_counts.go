package prom

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/gameday-sh/gameday/experiments"
)

// count asks for the counts of a batch in one query. A query that the server refuses
// is asked in halves, so that one SLI does not take the others with it.
func (r *reader) count(ctx context.Context, batch []*reading) {
	answer, err := batch[0].server.instant(ctx, r.countQuery(batch), r.at, batch[0].timeout())
	if err != nil {
		r.divide(ctx, batch, err, r.count, func(one *reading, failed *QueryError) { one.fail(r.at, failed) })
		return
	}
	why := ""
	if len(answer.Warnings) > 0 {
		why = "the server warns: " + brief(strings.Join(answer.Warnings, "; "))
	}
	sorted := splitMarks(split(answer.Points))
	for i, one := range batch {
		r.readCounts(ctx, i, one, sorted, why)
	}
}

// divide asks the halves of a batch where the server refused the whole or found it too
// much; a server that is away is not asked again.
func (r *reader) divide(ctx context.Context, batch []*reading, err error, again func(context.Context, []*reading), fail func(*reading, *QueryError)) {
	condition, text := conditionOf(err)
	tooMuch := condition == experiments.Refused || strings.Contains(text, couldNotAnswer)
	if tooMuch && len(batch) > 1 && ctx.Err() == nil {
		again(ctx, batch[:len(batch)/2])
		again(ctx, batch[len(batch)/2:])
		return
	}
	for _, one := range batch {
		fail(one, &QueryError{condition, text})
	}
}

func (r *reader) countQuery(batch []*reading) string {
	var parts []string
	for i, one := range batch {
		for w, window := range one.lengths(r.at) {
			if window >= one.SLI.Shortest() {
				parts = append(parts, one.plan.counting(window, marks{i, w}.of)...)
			}
		}
		parts = append(parts, one.plan.around(marks{i, around}.of)...)
		parts = append(parts, one.plan.labelling(marks{i, around}.of)...)
	}
	return strings.Join(parts, "\nor ")
}

// lengths are the period and the windows.
func (one *reading) lengths(at time.Time) []time.Duration {
	return append([]time.Duration{at.Sub(one.From)}, one.Windows...)
}

// readCounts makes counts of the answer about one SLI.
func (r *reader) readCounts(ctx context.Context, i int, one *reading, sorted map[marks]map[string][]Point, why string) {
	aside := sorted[marks{i, around}]
	if failed := one.events.readLabels(one.plan, aside); failed != nil {
		one.fail(r.at, failed)
		return
	}
	lengths := one.lengths(r.at)
	one.remember(aside, sorted, i, len(lengths), r.at)
	counts := make([]experiments.Count, 0, len(lengths))
	for w, window := range lengths {
		parts := map[string][]Point{}
		maps.Copy(parts, aside)
		maps.Copy(parts, sorted[marks{i, w}])
		c := experiments.Count{At: r.at, Window: window, Why: why}
		var failed *QueryError
		switch {
		case window < one.SLI.Shortest():
			failed = failf(experiments.TooEarly, "a window of %s is shorter than %s", experiments.FormatDuration(window), experiments.FormatDuration(one.SLI.Shortest()))
		case w > 0 && len(parts[partTotal]) == 0:
			failed = failf(experiments.NoData, "no sample in the last %s", experiments.FormatDuration(window))
		default:
			c.Bad, c.Total, failed = one.events.read(ctx, one.plan, parts, r.at, window, one.late())
		}
		if failed != nil {
			c.Bad, c.Total, c.Condition, c.Why = 0, 0, failed.Condition, failed.Text
			if w == 0 && failed.Condition != experiments.NoTraffic {
				one.fail(r.at, failed)
				return
			}
		}
		counts = append(counts, c)
	}
	// Without the bucket of a latency all requests would count as bad.
	if latency, ok := one.SLI.(*Latency); ok && !latency.Native && counts[0].Condition == experiments.OK && counts[0].Bad == counts[0].Total {
		if checked := latency.withBucket(ctx, counts[0]); checked.Condition != experiments.OK {
			one.fail(r.at, &QueryError{checked.Condition, checked.Why})
			return
		}
	}
	// Slices read what is absent as 0 while there is a total.
	if slices, ok := one.SLI.(*TimeSlice); ok && slices.Query == "" && counts[0].Condition == experiments.OK {
		if failed := slices.judged().existed(ctx, r.at, lengths[0], one.timeout()); failed != nil {
			one.fail(r.at, failed)
			return
		}
	}
	one.told.Period, one.told.Windows = counts[0], counts[1:]
}

// remember makes the metric of the bad events count as there if it was in the period:
// the pods that had counted errors may be gone, and new ones have none to show yet.
func (one *reading) remember(aside map[string][]Point, sorted map[marks]map[string][]Point, i, windows int, at time.Time) {
	if _, seen := latest(aside, partSeen); len(one.plan.other) == 0 || seen && at.Sub(seenAt(aside)) <= one.late() {
		return
	}
	for w := range windows {
		if len(sorted[marks{i, w}][one.plan.partName()]) > 0 {
			aside[partSeen+"0"] = []Point{{At: at, Value: float64(at.UnixMilli()) / 1000}}
			return
		}
	}
}

func seenAt(aside map[string][]Point) time.Time {
	at, _ := latest(aside, partSeen)
	return at
}

// oldest finds the oldest samples of a batch whose periods begin together: it looks
// whether there are any at the begin, and goes through the period where there are none.
// What cannot be found out is left out: the counts say more of a server that fails.
func (r *reader) oldest(ctx context.Context, batch []*reading) {
	from, period := batch[0].From, r.at.Sub(batch[0].From)
	server, timeout := batch[0].server, batch[0].timeout()
	step := max(period/720, time.Minute).Truncate(time.Second)
	query := func(list []*reading) string {
		var parts []string
		for i, one := range list {
			for k, selector := range one.plan.total.selectors {
				parts = append(parts, named(newestOf(bare(selector)), marks{i, around}.of(fmt.Sprint(partNewest, k))))
			}
		}
		return strings.Join(parts, "\nor ")
	}
	// Selectors may be offset, or the series may have been scraped a little later.
	answer, err := server.instant(ctx, query(batch), from.Add(min(batch[0].late(), period/20)), timeout)
	if err != nil {
		return
	}
	sorted := splitMarks(split(answer.Points))
	var young []*reading
	for i, one := range batch {
		if _, there := latest(sorted[marks{i, around}], partNewest); !there {
			young = append(young, one)
		}
	}
	if len(young) == 0 {
		return
	}
	lines, err := server.overRange(ctx, query(young), from.Add(step), r.at, step, timeout)
	if err != nil {
		return
	}
	for _, line := range lines {
		var m marks
		var part string
		if n, err := fmt.Sscanf(line.Labels.Get(partLabel), "%d/%d/%s", &m.reading, &m.window, &part); n != 3 || err != nil || m.reading < 0 || m.reading >= len(young) || len(line.At) == 0 {
			continue
		}
		told := young[m.reading].told
		if first := time.UnixMilli(line.At[0]); told.Oldest.IsZero() || first.Before(told.Oldest) {
			told.Oldest = first
		}
	}
}
