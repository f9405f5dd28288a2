package console

import (
	"fmt"
	"time"

	"github.com/gameday-sh/gameday/experiments"
)

const (
	// crowdFrom is how many hits of a fault are told one by one: a screenful. Those of a
	// fault with more are told as a crowd, by their numbers.
	crowdFrom = 20
	// crowdPace is the time between two lines about what goes on in a crowd.
	crowdPace = time.Second
	// crowdTroubles is how many hits of a crowd that are in trouble are told one by one.
	crowdTroubles = 10
)

// crowd is what plain output knows of a fault's hits.
type crowd struct {
	fault   string
	planned int
	// first is the first hit; apart tells that others differ from it in their effect.
	first  *experiments.Hit
	apart  bool
	from   time.Duration // the first and the last time at which a hit is due
	to     time.Duration
	counts [crowdSteps]int
	// findings are counted by name, in the order in which the names came first.
	findings *tally
	troubles map[string]bool // hits that failed or are stuck, by ID: whether they are told
	told     int             // how many of those are
	waiting  bool            // what was planned is to be told
	steps    news
	found    news
}

// What hits are counted by.
const (
	crowdInjected = iota
	crowdMended
	crowdSteps
)

// news is what was not told of a crowd yet.
type news struct {
	events int
	since  time.Time
	// only is the one event, as long as there is one: it is told in full.
	only experiments.Event
	// stale tells that the numbers that were told last are not the present ones.
	stale bool
}

func (n *news) add(event experiments.Event) {
	if n.events++; n.events == 1 {
		n.only, n.since = event, event.At
	}
	n.stale = true
}

// count is add for what is never told alone.
func (n *news) count(event experiments.Event) {
	n.add(event)
	n.events++
}

// due tells whether there is something to tell by now.
func (n *news) due(at time.Time) bool { return n.events > 0 && at.Sub(n.since) >= crowdPace }

// crowded tells whether a fault's hits are too many to be told one by one.
func (c *crowd) crowded() bool { return c.planned > crowdFrom }

func (c *crowd) plan(hit *experiments.Hit) {
	if c.planned++; c.planned == 1 {
		c.first, c.from, c.to = hit, hit.At, hit.At
		return
	}
	c.from, c.to = min(c.from, hit.At), max(c.to, hit.At)
	c.apart = c.apart || hit.Effect != c.first.Effect || hit.Lasts != c.first.Lasts
}

// plannedWords say in a line what is planned.
func (c *crowd) plannedWords() string {
	what := ""
	if !c.apart {
		what = ": " + c.first.Effect
	}
	at := "at " + clock(c.from)
	if c.to != c.from {
		at = "from " + clock(c.from) + " to " + clock(c.to)
	}
	if !c.apart && c.first.Lasts > 0 {
		at += " for " + experiments.FormatDuration(c.first.Lasts)
	}
	return fmt.Sprintf("fault %s planned: %d hits%s, %s; `gameday plan` and the report list them", c.fault, c.planned, what, at)
}

// stepWords say in a line how far the hits are.
func (c *crowd) stepWords() string {
	words := fmt.Sprintf("fault %s: %d of %d injected", c.fault, c.counts[crowdInjected], c.planned)
	if mended := c.counts[crowdMended]; mended > 0 {
		words += fmt.Sprintf(", %d mended", mended)
	}
	if more := len(c.troubles) - c.told; more > 0 {
		words += fmt.Sprintf(", and %d more failed or stuck", more)
	}
	return words
}

// foundWords say in a line what became of the hits.
func (c *crowd) foundWords() string { return "fault " + c.fault + ": " + c.findings.String() }

// findingWord is what findings are counted by. What others tell of a hit is counted as
// such: it comes several times for one hit, and in words of its own.
func findingWord(f *experiments.Finding) string {
	if f.Source != "" {
		return "events"
	}
	return clean(f.Name)
}

// trouble notes a hit that failed or is stuck, and tells whether it is told.
func (c *crowd) trouble(id string) bool {
	if told, known := c.troubles[id]; known {
		return told
	}
	told := c.told < crowdTroubles
	if told {
		c.told++
	}
	c.troubles[id] = told
	return told
}

// crowdOf gives what is known of a fault's hits.
func (r *plainRun) crowdOf(fault string) *crowd {
	c := r.crowds[fault]
	if c == nil {
		c = &crowd{fault: fault, findings: newTally(), troubles: map[string]bool{}}
		r.crowds[fault] = c
		r.faults = append(r.faults, c)
	}
	return c
}

// plan notes a hit that is planned. It is told once all of them are known: then it shows
// which faults have a crowd to hit.
func (v *plainView) plan(event experiments.Event) {
	c := v.run.crowdOf(event.Hit.Hit.Fault)
	c.plan(event.Hit.Hit)
	if !c.crowded() || !c.waiting {
		v.run.plans = append(v.run.plans, event)
	}
	c.waiting = true
}

// planned tells what was planned.
func (v *plainView) planned() {
	list := v.run.plans
	v.run.plans = nil
	for _, event := range list {
		hit := event.Hit.Hit
		switch c := v.run.crowdOf(hit.Fault); {
		case !c.crowded():
			lasts := ""
			if hit.Lasts > 0 {
				lasts = " for " + experiments.FormatDuration(hit.Lasts)
			}
			v.line(event, "fault %s planned: %s: %s, at %s%s", hit.Fault, hit.Target, hit.Effect, clock(hit.At), lasts)
			c.waiting = false
		case c.waiting:
			v.line(event, "%s", c.plannedWords())
			c.waiting = false
		}
	}
}

// catchUp tells what there is to tell of crowds: what is due by the time of event, or
// all, so that how they stand is told before a phase is over. A hit that comes alone is
// told as one of a few would be.
func (v *plainView) catchUp(event experiments.Event, all bool) {
	for _, c := range v.run.faults {
		if !c.crowded() {
			continue
		}
		for _, part := range []struct {
			news  *news
			words func() string
			one   func(experiments.Event)
		}{{&c.steps, c.stepWords, v.step}, {&c.found, c.foundWords, v.finding}} {
			n := part.news
			if n.events == 1 && (all || n.due(event.At)) {
				part.one(n.only)
				n.events, n.only = 0, experiments.Event{}
			}
			if all && n.stale || n.due(event.At) {
				v.line(experiments.Event{At: event.At, Phase: v.run.phase}, "%s", part.words())
				*n = news{}
			}
		}
	}
}

// endCrowds tells what is left to tell of a run after which nothing comes.
func (v *plainView) endCrowds() {
	if v.run == nil {
		return
	}
	v.planned()
	v.catchUp(experiments.Event{At: v.run.last}, true)
}
