package experiments

import (
	"maps"
	"math"
	"slices"
	"sort"
	"time"
)

// History is what a run has measured so far. The runner writes it, from one
// goroutine; hypotheses and guards read it.
type History struct {
	// Now is the time of the newest measurement, or of the look.
	Now time.Time
	// Began is the start of the run, Injected that of the first injection and
	// Restored that of the last proven revert; zero before they happen.
	Began    time.Time
	Injected time.Time
	Restored time.Time
	// Planned is how long the disruption takes by the schedule.
	Planned time.Duration
	// Reverting is an estimate of how long it takes from a stop until the last revert
	// is proven; with the pace of measuring it is the braking distance of a guard.
	Reverting time.Duration

	// Probes and SLOs are all that is measured in the run.
	Probes []*Probed
	SLOs   []*SLO

	probes    map[*Probed]*Track
	counts    map[*SLO]map[time.Duration][]Count
	rates     map[*SLO]float64
	remaining map[*SLO]float64
	tumbling  map[tumblingKey]*tumbling
}

// NewHistory returns an empty history of a run that began then and measures these.
func NewHistory(began time.Time, probes []*Probed, slos []*SLO) *History {
	return &History{
		Now: began, Began: began,
		Probes: probes, SLOs: slos,
		probes:    map[*Probed]*Track{},
		counts:    map[*SLO]map[time.Duration][]Count{},
		rates:     map[*SLO]float64{},
		remaining: map[*SLO]float64{},
		tumbling:  map[tumblingKey]*tumbling{},
	}
}

// AddSample records a measurement of a probe.
func (h *History) AddSample(p *Probed, s Sample) {
	h.Probe(p).add(h.Began, s)
	if s.At.After(h.Now) {
		h.Now = s.At
	}
}

// AddCount records what an SLO's queries counted in a window. The label is the
// window asked for; SinceInjection for the growing one.
func (h *History) AddCount(s *SLO, label time.Duration, c Count) {
	windows := h.counts[s]
	if windows == nil {
		windows = map[time.Duration][]Count{}
		h.counts[s] = windows
	}
	// A count that took long to be answered may come after one that was asked later.
	taken := windows[label]
	at := len(taken)
	for at > 0 && taken[at-1].At.After(c.At) {
		at--
	}
	windows[label] = slices.Insert(taken, at, c)
	if c.At.After(h.Now) {
		h.Now = c.At
	}
}

// SetRate records the events a second that an SLO counted in the baseline.
func (h *History) SetRate(s *SLO, perSecond float64) { h.rates[s] = perSecond }

// Rate is the events a second of an SLO in the baseline, NaN while unknown.
func (h *History) Rate(s *SLO) float64 {
	if rate, ok := h.rates[s]; ok {
		return rate
	}
	return math.NaN()
}

// SetRemaining records the share of an SLO's error budget that was left before the
// run, counted over the SLO's whole window: 1 untouched, negative overspent.
func (h *History) SetRemaining(s *SLO, share float64) { h.remaining[s] = share }

// Remaining is the share of an SLO's error budget that was left before the run, NaN
// while unknown.
func (h *History) Remaining(s *SLO) float64 {
	if share, ok := h.remaining[s]; ok {
		return share
	}
	return math.NaN()
}

// Probe is the track of a probe; empty before its first measurement.
func (h *History) Probe(p *Probed) *Track {
	track := h.probes[p]
	if track == nil {
		track = &Track{began: h.Began}
		h.probes[p] = track
	}
	return track
}

// Latest is the newest count of an SLO over a window. An SLO that rests on a probe
// is counted up to Now; one that rests on queries as of its last evaluation. The
// condition of a count that was not taken yet is TooEarly.
func (h *History) Latest(s *SLO, window time.Duration) Count {
	if s.Probe != nil {
		return h.countProbe(s, h.Now, window)
	}
	taken := h.counts[s][window]
	if len(taken) == 0 {
		return Count{At: h.Now, Window: window, Condition: TooEarly, Why: "not counted yet"}
	}
	return taken[len(taken)-1]
}

func (h *History) countProbe(s *SLO, at time.Time, window time.Duration) Count {
	from := at.Add(-window)
	if window == SinceInjection {
		from = h.Injected
		if from.IsZero() {
			return Count{At: at, Condition: NoData, Why: "nothing was injected yet"}
		}
		window = at.Sub(from)
	}
	c := h.Probe(s.Probe).Count(from, at)
	c.Window = window
	return c
}

// Tumbling lists counts of consecutive windows that do not overlap, oldest first,
// from the first injection on. Each ends at least one window after the one before,
// and is listed once no later measurement can change it. The list must not be
// written to.
//
// What was listed once is kept, so that a look costs only what is new; a guard asks
// after every measurement of a run that may last a day.
func (h *History) Tumbling(s *SLO, window time.Duration) []Count {
	if h.Injected.IsZero() || window <= 0 {
		return nil
	}
	key := tumblingKey{s, window}
	kept := h.tumbling[key]
	if kept == nil || !kept.from.Equal(h.Injected) {
		kept = &tumbling{from: h.Injected, next: h.Injected.Add(window)}
		h.tumbling[key] = kept
	}
	if s.Probe != nil {
		track := h.Probe(s.Probe)
		for track.Len() > 0 && !kept.next.After(track.At(track.Len()-1).At) {
			kept.list = append(kept.list, h.countProbe(s, kept.next, window))
			kept.next = kept.next.Add(window)
		}
		return slices.Clip(kept.list)
	}
	taken := h.counts[s][window]
	for ; kept.read < len(taken); kept.read++ {
		c := taken[kept.read]
		if c.At.Before(kept.next) {
			continue
		}
		kept.list = append(kept.list, c)
		kept.next = c.At.Add(window)
	}
	return slices.Clip(kept.list)
}

type tumblingKey struct {
	slo    *SLO
	window time.Duration
}

// tumbling is a list of windows under way: where the next one ends, and how many
// of the SLO's counts were looked at.
type tumbling struct {
	from, next time.Time
	read       int
	list       []Count
}

// Windows lists the windows over which an SLO that rests on queries is counted,
// shortest first; SinceInjection among them once there was one.
func (h *History) Windows(s *SLO) []time.Duration {
	var list []time.Duration
	for _, window := range slices.Sorted(maps.Keys(h.counts[s])) {
		if window >= SinceInjection { // those of other phases are not counted on
			list = append(list, window)
		}
	}
	return list
}

// Counted lists every count taken of an SLO that rests on queries over a window.
func (h *History) Counted(s *SLO, window time.Duration) []Count { return h.counts[s][window] }

// Track holds the measurements of one probe in columns, oldest first.
type Track struct {
	began time.Time
	at    []time.Duration // since the run began
	took  []time.Duration
	idle  map[int]time.Duration // by index, of those that paused
	value []float64
	state []sampleState
	// bad and total count the events up to and including each measurement.
	bad, total []int32
	// longest is the most that one measurement took, its pauses included.
	longest time.Duration
	// why holds the words for measurements that have some, by index.
	why map[int]words
}

type sampleState uint8

const (
	sampleCounted sampleState = 1 << iota
	sampleGood
	sampleUnreadable
)

type words struct {
	condition Condition
	why, step string
}

func (t *Track) add(began time.Time, s Sample) {
	var state sampleState
	var bad, total int32
	if n := len(t.at); n > 0 {
		bad, total = t.bad[n-1], t.total[n-1]
	}
	if s.Condition != OK {
		state |= sampleUnreadable
	} else if s.Counted {
		state |= sampleCounted
		total++
		if s.Good {
			state |= sampleGood
		} else {
			bad++
		}
	}
	if s.Condition != OK || s.Why != "" || s.Step != "" {
		if t.why == nil {
			t.why = map[int]words{}
		}
		t.why[len(t.at)] = words{s.Condition, s.Why, s.Step}
	}
	if s.Idle > 0 {
		if t.idle == nil {
			t.idle = map[int]time.Duration{}
		}
		t.idle[len(t.at)] = s.Idle
	}
	t.longest = max(t.longest, s.Took+s.Idle)
	t.at = append(t.at, s.At.Sub(began))
	t.took = append(t.took, s.Took)
	t.value = append(t.value, s.Value)
	t.state = append(t.state, state)
	t.bad = append(t.bad, bad)
	t.total = append(t.total, total)
}

// Len is the number of measurements.
func (t *Track) Len() int { return len(t.at) }

// At returns measurement i, from 0.
func (t *Track) At(i int) Sample {
	words := t.why[i]
	return Sample{
		At:        t.began.Add(t.at[i]),
		Took:      t.took[i],
		Idle:      t.idle[i],
		Counted:   t.state[i]&sampleCounted != 0,
		Good:      t.state[i]&sampleGood != 0,
		Value:     t.value[i],
		Condition: words.condition,
		Why:       words.why,
		Step:      words.step,
	}
}

// From is the index of the first measurement taken at or after when; Len if none.
func (t *Track) From(when time.Time) int {
	offset := when.Sub(t.began)
	return sort.Search(len(t.at), func(i int) bool { return t.at[i] >= offset })
}

// Span lists the measurements in (from, to].
func (t *Track) Span(from, to time.Time) []Sample {
	var list []Sample
	for i := t.From(from.Add(1)); i < len(t.at) && t.at[i] <= to.Sub(t.began); i++ {
		list = append(list, t.At(i))
	}
	return list
}

// begun visits, by index, the measurements that began in (from, to]. One that a fault
// made slow is known late, and says something about the time when it was asked.
func (t *Track) begun(from, to time.Time, visit func(i int)) {
	first, last := from.Sub(t.began), to.Sub(t.began)
	for i := t.From(from); i < len(t.at) && t.at[i] <= last+t.longest; i++ {
		if began := t.at[i] - t.took[i] - t.idle[i]; began > first && began <= last {
			visit(i)
		}
	}
}

// countBegun counts the events of the measurements that began in (from, to], and
// those that were missed or could not be read. The conditions are those of Count.
func (t *Track) countBegun(from, to time.Time) Count {
	c := Count{At: to, Window: to.Sub(from)}
	last := -1
	t.begun(from, to, func(i int) {
		last = i
		switch state := t.state[i]; {
		case state&sampleUnreadable != 0 && t.why[i].condition == NotAsked:
			c.Missed++
		case state&sampleUnreadable != 0:
			c.Unread++
		case state&sampleCounted != 0:
			c.Total++
			if state&sampleGood == 0 {
				c.Bad++
			}
		}
	})
	if last < 0 {
		c.Condition, c.Why = NoData, "no measurement in this window"
		return c
	}
	return t.withoutEvents(c, last)
}

// withoutEvents says of a count that holds no event why; last is the index of its
// last measurement.
func (t *Track) withoutEvents(c Count, last int) Count {
	if c.Total > 0 {
		return c
	}
	words := t.why[last]
	c.Condition, c.Why = words.condition, words.why
	if c.Condition == OK {
		c.Condition, c.Why = NoTraffic, "the probe counts no events"
	}
	return c
}

// Count counts the events that were known in (from, to]. Without a measurement the
// condition is NoData; where none could be read it is that of the last one.
func (t *Track) Count(from, to time.Time) Count {
	first, end := t.From(from.Add(1)), t.From(to.Add(1))
	c := Count{At: to, Window: to.Sub(from)}
	if first == end {
		c.Condition, c.Why = NoData, "no measurement in this window"
		return c
	}
	var bad, total int32
	if first > 0 {
		bad, total = t.bad[first-1], t.total[first-1]
	}
	c.Bad, c.Total = float64(t.bad[end-1]-bad), float64(t.total[end-1]-total)
	return t.withoutEvents(c, end-1)
}
