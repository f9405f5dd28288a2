package toxiproxy

import (
	"context"
	"fmt"
	"time"

	"github.com/gameday-sh/gameday/experiments"
)

// Latency delays all data by Latency, plus or minus up to Jitter.
type Latency struct {
	Toxic
	Latency time.Duration `hcl:"latency" doc:"How much later data arrives." example:"300ms"`
	Jitter  time.Duration `hcl:"jitter,optional" default:"0s" doc:"Varies the latency by up to this much, both ways."`
}

// Plan plans a latency toxic on each proxy.
func (l *Latency) Plan(ctx context.Context, d experiments.Draw) ([]experiments.Hit, error) {
	effect := fmt.Sprintf("%s arrive %s late", l.traffic(), plusMinus(say(l.Latency), say(l.Jitter), l.Jitter > 0))
	return l.plan(ctx, d, "latency", effect, inMillis("latency", l.Latency), inMillis("jitter", l.Jitter))
}

// Validate checks that there is a delay, and that no jitter would make it negative.
func (l *Latency) Validate() []experiments.Problem {
	problems := append(l.Toxic.Validate(), wholeMillis("latency", l.Latency)...)
	problems = append(problems, wholeMillis("jitter", l.Jitter)...)
	if l.Latency == 0 {
		problems = append(problems, experiments.Problem{Attribute: "latency", Summary: "No latency", Detail: "Write a delay above 0s, such as \"300ms\"."})
	}
	if l.Jitter > l.Latency && l.Latency > 0 {
		problems = append(problems, experiments.Problem{Attribute: "jitter", Summary: "More jitter than latency", Detail: "Data cannot arrive before it was sent; write a jitter of at most the latency."})
	}
	return problems
}
