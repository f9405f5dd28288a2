package toxiproxy

import (
	"context"
	"fmt"
	"time"

	"github.com/gameday-sh/gameday/experiments"
)

// SlowClose keeps connections from closing until Delay has passed.
type SlowClose struct {
	Toxic
	Delay time.Duration `hcl:"delay" doc:"How much later a connection closes." example:"2s"`
}

// Plan plans a slow_close toxic on each proxy.
func (s *SlowClose) Plan(ctx context.Context, d experiments.Draw) ([]experiments.Hit, error) {
	side := "client"
	if s.stream() == "upstream" {
		side = "server"
	}
	effect := fmt.Sprintf("connections close %s late for the %s", say(s.Delay), side)
	return s.plan(ctx, d, "slow_close", effect, inMillis("delay", s.Delay))
}

// Validate checks that there is a delay.
func (s *SlowClose) Validate() []experiments.Problem {
	problems := append(s.Toxic.Validate(), wholeMillis("delay", s.Delay)...)
	if s.Delay == 0 {
		problems = append(problems, experiments.Problem{Attribute: "delay", Summary: "No delay", Detail: "Write a delay above 0s, such as \"2s\"."})
	}
	return problems
}
