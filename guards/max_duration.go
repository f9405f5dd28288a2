package guards

import (
	"fmt"
	"time"

	"github.com/gameday-sh/gameday/experiments"
)

// MaxDuration is breached when the faults last longer than they may, counted from
// the first injection. It is there by default: a fault that hangs, or a schedule
// that never ends, must not hold a run open.
type MaxDuration struct {
	Limit *time.Duration `hcl:"limit,optional" doc:"The longest that the run may take from the first injection until everything is reverted. Left out: one and a half times the schedule, and 30s." example:"10m"`
}

// spare is what a run may take over its schedule.
const spare = 30 * time.Second

// Needs nothing but the clock of the history.
func (g *MaxDuration) Needs() experiments.Needs { return experiments.Needs{} }

// Validate checks the limit.
func (g *MaxDuration) Validate() []experiments.Problem {
	if g.Limit != nil && *g.Limit <= 0 {
		return []experiments.Problem{{Attribute: "limit", Summary: "No time at all",
			Detail: "Write how long the run may take, such as \"10m\"."}}
	}
	return nil
}

// Judge compares the time since the injection with the limit.
func (g *MaxDuration) Judge(h *experiments.History) experiments.Reading {
	if h.Injected.IsZero() {
		return experiments.Reading{Text: "nothing was injected yet"}
	}
	limit := h.Planned + h.Planned/2 + spare
	if g.Limit != nil {
		limit = *g.Limit
	}
	taken := h.Now.Sub(h.Injected)
	reading := experiments.Reading{
		Breached: taken > limit,
		Used:     experiments.Float(taken.Seconds() / limit.Seconds()),
		Text:     fmt.Sprintf("%s of %s", about(taken), about(limit)),
	}
	if reading.Breached {
		reading.Since = h.Injected.Add(limit)
	}
	return reading
}
