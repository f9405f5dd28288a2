package console

import (
	"time"

	"github.com/charmbracelet/x/ansi"

	"github.com/gameday-sh/gameday/experiments"
)

// crowdOfHits gathers the hits of a fault that has too many to show one by one.
type crowdOfHits struct {
	row   int // of the section
	words *tally
	// whole stretches over all of them, from the first to the last.
	whole   liveHit
	begun   bool // one of them is beyond its plan
	planned bool // one is not
	open    bool // one is not over yet
	worst   int  // the rank of the one that matters most
	word    string
	paint   func(string) string
}

// trouble tells a hit that is shown for itself even where there are many.
func (h *liveHit) trouble() bool {
	return h.step == experiments.Failed || h.step == experiments.Stuck
}

// add takes in a hit, as it is shown.
func (c *crowdOfHits) add(hit *liveHit, word string, paint func(string) string, rank int) {
	c.words.add(word)
	w := &c.whole
	if w.fault == "" {
		w.fault, w.effect, w.at, w.lasts = hit.fault, hit.effect, hit.at, hit.lasts
		c.worst, c.word, c.paint = rank, word, paint
	}
	if rank < c.worst {
		c.worst, c.word, c.paint = rank, word, paint
	}
	if w.effect != hit.effect {
		w.effect = ""
	}
	from, to := min(w.at, hit.at), max(w.at+w.lasts, hit.at+hit.lasts)
	w.at, w.lasts = from, to-from
	if !hit.injected.IsZero() && (w.injected.IsZero() || hit.injected.Before(w.injected)) {
		w.injected = hit.injected
	}
	if hit.verified.After(w.verified) {
		w.verified = hit.verified
	}
	if hit.step == experiments.Planned || hit.step == experiments.Armed {
		c.planned = true
	} else {
		c.begun = true
	}
	c.open = c.open || hit.verified.IsZero()
}

// crowdRow draws a crowd: how far its hits are, and what became of them.
func (s screen) crowdRow(run *liveRun, c *crowdOfHits, who int, end func(hit *liveHit, paint func(string) string) string) row {
	switch going := run.stop == "" && run.ended.IsZero(); {
	case c.begun && c.planned && going:
		c.word, c.paint = "in progress", s.palette.warn
		c.whole.step = experiments.Injected
	case c.begun && c.open:
		c.whole.step = experiments.Injected
	case c.begun:
		c.whole.step = experiments.Verified
	default:
		c.whole.step = experiments.Planned
	}
	if c.open {
		c.whole.verified = time.Time{}
	}
	name, how := c.whole.fault, c.words.String()
	became := ""
	if found := run.found[name]; found != nil {
		became = "; " + found.String()
	}
	if c.whole.effect == "" {
		return c.drawn(s, who, end, name+": "+how+became)
	}
	// The numbers stay where there is one line for all.
	one := c.drawn(s, who, end, name+": "+how+": "+c.whole.effect+became)
	if ansi.StringWidth(name+": "+how+": "+c.whole.effect+became) > who {
		one = c.drawn(s, who, end, name+": "+how+became)
		one.tall = []string{c.drawn(s, who, end, name+": "+c.whole.effect).text, s.detail(how + became)}
	}
	return one
}

// drawn is the row of a crowd with a text.
func (c *crowdOfHits) drawn(s screen, who int, end func(hit *liveHit, paint func(string) string) string, text string) row {
	return row{text: " " + c.paint(column(c.word, statusWidth)) + " " + column(text, who) + end(&c.whole, c.paint), word: c.word}
}
