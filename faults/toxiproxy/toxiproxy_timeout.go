package toxiproxy

import (
	"context"
	"fmt"
	"time"

	"github.com/gameday-sh/gameday/experiments"
)

// Timeout lets no data through and closes the connection after Timeout, or, at 0s,
// when the fault is reverted.
type Timeout struct {
	Toxic
	Timeout time.Duration `hcl:"timeout" doc:"When a connection is closed; 0s keeps it open, without an answer, until the fault is reverted." example:"5s"`
}

// Plan plans a timeout toxic on each proxy.
func (t *Timeout) Plan(ctx context.Context, d experiments.Draw) ([]experiments.Hit, error) {
	effect := fmt.Sprintf("no %s arrives, and connections stay open", t.one())
	if t.Timeout > 0 {
		effect = fmt.Sprintf("no %s arrives, and connections are closed after %s", t.one(), say(t.Timeout))
	}
	return t.plan(ctx, d, "timeout", effect, inMillis("timeout", t.Timeout))
}

// Validate checks the timeout.
func (t *Timeout) Validate() []experiments.Problem {
	return append(t.Toxic.Validate(), wholeMillis("timeout", t.Timeout)...)
}
