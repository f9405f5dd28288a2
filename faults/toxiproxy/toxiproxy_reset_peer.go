package toxiproxy

import (
	"context"
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
	return r.plan(ctx, d, "reset_peer", map[string]float64{"timeout": millis(r.Timeout)})
}

// Validate checks the timeout.
func (r *ResetPeer) Validate() []experiments.Problem {
	return append(r.Toxic.Validate(), wholeMillis("timeout", r.Timeout)...)
}
