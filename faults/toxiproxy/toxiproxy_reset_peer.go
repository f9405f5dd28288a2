package toxiproxy

import (
	"context"
	"fmt"
	"time"

	"github.com/gameday-sh/gameday/experiments"
)

// ResetPeer cuts connections with a TCP RST, Timeout after their first data.
type ResetPeer struct {
	Toxic
	Timeout time.Duration `hcl:"timeout,optional" default:"0s" doc:"How long after its first data a connection is reset."`
}

// Plan plans a reset_peer toxic on each proxy.
func (r *ResetPeer) Plan(ctx context.Context, d experiments.Draw) ([]experiments.Hit, error) {
	effect := fmt.Sprintf("connections are reset when the first %s begins", r.one())
	if r.Timeout > 0 {
		effect = fmt.Sprintf("connections are reset %s after the first %s begins", say(r.Timeout), r.one())
	}
	return r.plan(ctx, d, "reset_peer", effect, inMillis("timeout", r.Timeout))
}

// Validate checks the timeout.
func (r *ResetPeer) Validate() []experiments.Problem {
	return append(r.Toxic.Validate(), wholeMillis("timeout", r.Timeout)...)
}
