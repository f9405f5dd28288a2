package prom

import (
	"context"
	"math"
	"strings"
	"time"

	"github.com/gameday-sh/gameday/experiments"
)

// pointsMost is how many points of a series are asked for at a time. A server gives
// 11,000 at most: https://prometheus.io/docs/prometheus/latest/querying/api/
const pointsMost = 10_000

// planCourse makes tasks for the courses of a batch: range queries of a bounded number
// of points, and a query for the rest of the period that fills no step.
func (r *reader) planCourse(batch []*reading) {
	from, step := batch[0].From, batch[0].Step
	period := r.at.Sub(from)
	whole := int(period / step)
	rest := period - time.Duration(whole)*step
	for _, one := range batch {
		for i := range whole {
			one.told.Course = append(one.told.Course, experiments.Count{At: from.Add(time.Duration(i+1) * step), Window: step})
		}
		if rest >= one.SLI.Shortest() {
			one.told.Course = append(one.told.Course, experiments.Count{At: r.at, Window: rest})
		}
	}
	for first := 0; first < whole; first += pointsMost {
		last := min(first+pointsMost, whole) - 1
		r.tasks = append(r.tasks, func(ctx context.Context) { r.course(ctx, batch, first, last) })
	}
	if rest > 0 {
		r.tasks = append(r.tasks, func(ctx context.Context) { r.courseEnd(ctx, batch, whole, rest) })
	}
}

func courseQuery(batch []*reading, window time.Duration) string {
	var parts []string
	for i, one := range batch {
		if window >= one.SLI.Shortest() {
			parts = append(parts, one.plan.counting(window, marks{i, 0}.of)...)
		}
	}
	return strings.Join(parts, "\nor ")
}

// course asks for the stretches from first to last.
func (r *reader) course(ctx context.Context, batch []*reading, first, last int) {
	query := courseQuery(batch, batch[0].Step)
	if query == "" {
		return
	}
	from, step := batch[0].From, batch[0].Step
	end := func(i int) time.Time { return from.Add(time.Duration(i+1) * step) }
	lines, err := batch[0].server.overRange(ctx, query, end(first), end(last), step, batch[0].timeout())
	if err != nil {
		r.divide(ctx, batch, err, func(ctx context.Context, half []*reading) { r.course(ctx, half, first, last) },
			func(one *reading, failed *QueryError) { one.failCourse(first, last, failed) })
		return
	}
	// At each step, the parts are what an instant query would have answered.
	steps := make([]map[string][]Point, last-first+1)
	for _, line := range lines {
		mark := line.Labels.Get(partLabel)
		for k, at := range line.At {
			i := int(math.Round(float64(at-end(first).UnixMilli()) / float64(step.Milliseconds())))
			if i < 0 || i >= len(steps) {
				continue // not asked for: a server that makes things up
			}
			if steps[i] == nil {
				steps[i] = map[string][]Point{}
			}
			steps[i][mark] = append(steps[i][mark], Point{Value: line.Value[k]})
		}
	}
	for i, parts := range steps {
		for n, one := range batch {
			one.readStretch(first+i, n, parts)
		}
	}
}

// courseEnd asks for the stretch at the end that is shorter than a step.
func (r *reader) courseEnd(ctx context.Context, batch []*reading, at int, window time.Duration) {
	query := courseQuery(batch, window)
	if query == "" {
		return
	}
	answer, err := batch[0].server.instant(ctx, query, r.at, batch[0].timeout())
	if err != nil {
		r.divide(ctx, batch, err, func(ctx context.Context, half []*reading) { r.courseEnd(ctx, half, at, window) },
			func(one *reading, failed *QueryError) { one.failCourse(at, at, failed) })
		return
	}
	parts := split(answer.Points)
	for n, one := range batch {
		one.readStretch(at, n, parts)
	}
}

func (one *reading) failCourse(first, last int, failed *QueryError) {
	for i := first; i <= last && i < len(one.told.Course); i++ {
		one.told.Course[i].Condition, one.told.Course[i].Why = failed.Condition, failed.Text
	}
}

// readStretch makes the count of one stretch.
func (one *reading) readStretch(i, n int, parts map[string][]Point) {
	if i >= len(one.told.Course) {
		return
	}
	c := &one.told.Course[i]
	name := marks{n, 0}
	failed := func() *QueryError {
		total, failed := number(parts[name.of(partTotal)], "total", one.events.Total)
		if failed != nil {
			return failed
		}
		part := 0.0
		if points := parts[name.of(one.plan.partName())]; len(points) > 0 {
			if part, failed = number(points, one.plan.partName(), one.plan.part.text); failed != nil {
				return failed
			}
		}
		if one.plan.totalUnit == perSecond {
			total *= c.Window.Seconds()
		}
		if one.plan.partUnit == perSecond {
			part *= c.Window.Seconds()
		}
		if c.Bad, failed = one.plan.badOf(part, total); failed == nil && total == 0 {
			failed = failf(experiments.NoTraffic, "no event")
		}
		c.Total = total
		return failed
	}()
	if failed != nil {
		c.Bad, c.Total, c.Condition, c.Why = 0, 0, failed.Condition, failed.Text
	}
}
