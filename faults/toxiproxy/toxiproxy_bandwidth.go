package toxiproxy

import (
	"context"
	"fmt"

	"github.com/gameday-sh/gameday/experiments"
)

// Bandwidth limits each connection to Rate kilobytes a second.
type Bandwidth struct {
	Toxic
	Rate int `hcl:"rate" unit:"KB/s" doc:"What each connection may carry." example:"50"`
}

// Plan plans a bandwidth toxic on each proxy.
func (b *Bandwidth) Plan(ctx context.Context, d experiments.Draw) ([]experiments.Hit, error) {
	effect := fmt.Sprintf("bandwidth limited to %d KB/s %s", b.Rate, b.stream())
	return b.plan(ctx, d, "bandwidth", effect, attribute{"rate", float64(b.Rate), "KB/s"})
}

// Validate refuses a rate of zero: toxiproxy 2.12.0 then sends empty pieces for ever.
func (b *Bandwidth) Validate() []experiments.Problem {
	problems := b.Toxic.Validate()
	if b.Rate < 1 {
		problems = append(problems, experiments.Problem{Attribute: "rate", Summary: "No bandwidth left", Detail: "Write a rate of at least 1 KB/s; toxiproxy_timeout lets nothing through."})
	}
	return problems
}
