package toxiproxy

import (
	"context"
	"fmt"

	"github.com/gameday-sh/gameday/experiments"
)

// LimitData closes a connection once it has carried Bytes.
type LimitData struct {
	Toxic
	Bytes int `hcl:"bytes" unit:"bytes" doc:"What a connection may carry before it is closed." example:"1024"`
}

// Plan plans a limit_data toxic on each proxy.
func (l *LimitData) Plan(ctx context.Context, d experiments.Draw) ([]experiments.Hit, error) {
	effect := fmt.Sprintf("connections are closed after %d bytes of %s", l.Bytes, l.traffic())
	return l.plan(ctx, d, "limit_data", effect, attribute{"bytes", float64(l.Bytes), ""})
}

// Validate checks the limit.
func (l *LimitData) Validate() []experiments.Problem {
	problems := l.Toxic.Validate()
	if l.Bytes < 0 {
		problems = append(problems, experiments.Problem{Attribute: "bytes", Summary: "Negative limit", Detail: "Write 0 bytes or more."})
	}
	return problems
}
