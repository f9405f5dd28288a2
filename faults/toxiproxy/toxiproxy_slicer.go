package toxiproxy

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/gameday-sh/gameday/experiments"
)

// Slicer cuts data into small pieces, with a pause after each.
type Slicer struct {
	Toxic
	AverageSize   int           `hcl:"average_size" unit:"bytes" doc:"Size of a piece." example:"64"`
	SizeVariation int           `hcl:"size_variation,optional" default:"0" unit:"bytes" doc:"Varies the size by up to this much, both ways; below average_size."`
	Delay         time.Duration `hcl:"delay,optional" default:"0s" doc:"Pause after each piece, in whole microseconds." example:"500us"`
}

// Plan plans a slicer toxic on each proxy.
func (s *Slicer) Plan(ctx context.Context, d experiments.Draw) ([]experiments.Hit, error) {
	effect := fmt.Sprintf("%s come in pieces of %s bytes", s.traffic(), plusMinus(strconv.Itoa(s.AverageSize), strconv.Itoa(s.SizeVariation), s.SizeVariation > 0))
	if s.Delay > 0 {
		effect += ", " + say(s.Delay) + " apart"
	}
	return s.plan(ctx, d, "slicer", effect,
		attribute{"average_size", float64(s.AverageSize), "bytes"},
		attribute{"size_variation", float64(s.SizeVariation), "bytes"},
		inMicros("delay", s.Delay))
}

// Validate refuses sizes at which toxiproxy 2.12.0 recurses without end or cuts
// outside of the data: both end the whole server.
func (s *Slicer) Validate() []experiments.Problem {
	problems := append(s.Toxic.Validate(), whole("delay", s.Delay, time.Microsecond)...)
	if s.AverageSize < 1 {
		problems = append(problems, experiments.Problem{Attribute: "average_size", Summary: "Pieces without a size", Detail: "Write an average size of at least 1 byte."})
	}
	if s.SizeVariation < 0 || s.SizeVariation > 0 && s.SizeVariation >= s.AverageSize {
		problems = append(problems, experiments.Problem{Attribute: "size_variation", Summary: "Size variation out of range", Detail: "Write at least 0 and less than average_size."})
	}
	return problems
}
