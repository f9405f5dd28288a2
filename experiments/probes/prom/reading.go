package prom

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/gameday-sh/gameday/experiments"
)

// Want says what [Read] counts of an SLI.
type Want struct {
	SLI     experiments.SLI
	From    time.Time       // where the period begins that ends now
	Windows []time.Duration // beside the period; each ends now
	// Step is the length of the stretches of the course; 0 asks for none.
	Step time.Duration
}

// Told is what servers told of an SLI. What they did not tell has a condition.
type Told struct {
	Period  experiments.Count
	Windows []experiments.Count // as wanted
	Course  []experiments.Count // the oldest first; nil if it was not wanted or not told
	// Oldest is the time of the oldest sample, where that is younger than the period by
	// more than a little; else zero.
	Oldest time.Time
}

const (
	// atOnce is how many queries a server gets at a time. Each keeps one of its cores
	// busy.
	atOnce = 4
	// togetherMost is how many SLIs share a query at most: a server reads them one after
	// the other, and one that fails has the others asked again.
	togetherMost = 8
)

// Read counts the events of many SLIs in the periods and windows that end at a moment.
//
// Several SLIs share a query, and several queries are asked at a time. A series counts
// from its first sample in the window to its last, so pods may come and go; restarts are
// what rate() and increase() are for. Counts are sums of events, and never averages of
// ratios. As in [Events], what is absent is 0 only beside a total that is there; beyond
// that, a metric of bad events that was there in the period is not missed if its pods
// are gone.
//
// Progress, if not nil, is told how many of the queries are done.
func Read(ctx context.Context, at time.Time, wants []Want, progress func(done, of int)) []Told {
	r := &reader{at: at, told: make([]Told, len(wants)), progress: progress}
	var asked []*reading
	for i := range wants {
		one := &reading{Want: wants[i], told: &r.told[i]}
		if failed := one.prepare(at); failed != nil {
			one.fail(at, failed)
			continue
		}
		asked = append(asked, one)
	}
	r.plan(asked)
	r.run(ctx)
	for i := range r.told {
		// A course beside an unknown state would only tell of the past.
		if c := r.told[i].Period.Condition; c != experiments.OK && c != experiments.NoTraffic {
			r.told[i].Course = nil
		}
	}
	return r.told
}

// reader carries out one Read.
type reader struct {
	at       time.Time
	told     []Told
	tasks    []func(context.Context)
	progress func(done, of int)
}

// reading is one SLI of a Read.
type reading struct {
	Want
	told   *Told
	events *Events
	plan   *eventsPlan
	server *client
}

// prepare finds out whom to ask.
func (one *reading) prepare(at time.Time) *QueryError {
	counted, ok := one.SLI.(Counted)
	if !ok {
		return failf(experiments.NoData, "its events are counted by no query, so that nothing is known of them beside a run")
	}
	one.events = counted.Events()
	plan, err := one.events.compiled()
	if err != nil {
		return failf(experiments.Refused, "%s", err)
	}
	one.plan = plan
	server, failed := one.events.Prometheus.server()
	if failed != nil {
		return failed
	}
	one.server = server
	if period := at.Sub(one.From); period < one.SLI.Shortest() {
		return failf(experiments.TooEarly, "the period began %s ago, and at least %s is needed to count", experiments.FormatDuration(period.Round(time.Second)), experiments.FormatDuration(one.SLI.Shortest()))
	}
	return nil
}

// fail makes the same of all counts.
func (one *reading) fail(at time.Time, failed *QueryError) {
	none := func(window time.Duration) experiments.Count {
		return experiments.Count{At: at, Window: window, Condition: failed.Condition, Why: failed.Text}
	}
	one.told.Period = none(at.Sub(one.From))
	one.told.Windows = nil
	for _, window := range one.Windows {
		one.told.Windows = append(one.told.Windows, none(window))
	}
}

func (one *reading) timeout() time.Duration { return patience * one.events.Prometheus.timeout() }

// late is how old the newest sample may be. A period of days is not wrong for a scrape
// that is a minute late.
func (one *reading) late() time.Duration {
	return max(scrapesPerWindow*one.events.Prometheus.Interval(), 5*time.Minute)
}

// plan makes the tasks: counts first, as they take the longest.
func (r *reader) plan(asked []*reading) {
	type source struct {
		server *client
		from   time.Time
		step   time.Duration
	}
	groups := map[source][]*reading{}
	var order []source
	for _, one := range asked {
		key := source{one.server, one.From, one.Step}
		if groups[key] == nil {
			order = append(order, key)
		}
		groups[key] = append(groups[key], one)
	}
	// Three queries for each place keep all places busy to the end.
	size := min(max(len(asked)/(3*atOnce), 1), togetherMost)
	for _, key := range order {
		for batch := range batches(groups[key], size) {
			r.tasks = append(r.tasks, func(ctx context.Context) { r.count(ctx, batch) })
		}
	}
	for _, key := range order {
		if key.step > 0 {
			for batch := range batches(groups[key], size) {
				r.planCourse(batch)
			}
		}
	}
	for _, key := range order {
		for batch := range batches(groups[key], 4*togetherMost) {
			r.tasks = append(r.tasks, func(ctx context.Context) { r.oldest(ctx, batch) })
		}
	}
}

func batches(list []*reading, size int) func(func([]*reading) bool) {
	return func(yield func([]*reading) bool) {
		for len(list) > 0 {
			n := min(size, len(list))
			if !yield(list[:n:n]) {
				return
			}
			list = list[n:]
		}
	}
}

// run carries out the tasks, a few at a time.
func (r *reader) run(ctx context.Context) {
	var mu sync.Mutex
	done := 0
	places := make(chan struct{}, atOnce)
	var working sync.WaitGroup
	for _, task := range r.tasks {
		places <- struct{}{}
		working.Go(func() {
			defer func() { <-places }()
			task(ctx)
			mu.Lock()
			defer mu.Unlock()
			if done++; r.progress != nil {
				r.progress(done, len(r.tasks))
			}
		})
	}
	working.Wait()
}

// marks names a part of an SLI of a batch in a query, and sorts the answer by it.
type marks struct{ reading, window int }

// around is the window of the parts that belong to none.
const around = -1

func (m marks) of(part string) string { return fmt.Sprintf("%d/%d/%s", m.reading, m.window, part) }

// split sorts the parts of an answer by SLI and window.
func splitMarks(parts map[string][]Point) map[marks]map[string][]Point {
	sorted := map[marks]map[string][]Point{}
	for name, points := range parts {
		var m marks
		var part string
		if n, err := fmt.Sscanf(name, "%d/%d/%s", &m.reading, &m.window, &part); n != 3 || err != nil {
			continue // not of this query: a server that makes things up
		}
		if sorted[m] == nil {
			sorted[m] = map[string][]Point{}
		}
		sorted[m][part] = points
	}
	return sorted
}
