package kubernetes

import (
	"fmt"
	"math"

	"github.com/gameday-sh/gameday/experiments"
)

// Share is how many of the targets that match are hit.
type Share struct {
	Count   *int                 `hcl:"count,optional" doc:"How many targets are hit in a round; left out, and without percent and all, one. Fewer that match is an error, not a smaller fault." example:"2"`
	Percent *experiments.Percent `hcl:"percent,optional" doc:"Share of the targets that match, rounded down, and at least one." example:"30%"`
	All     bool                 `hcl:"all,optional" default:"false" doc:"Hits every target that matches."`
}

func (s Share) validate() []experiments.Problem {
	var problems []experiments.Problem
	ways := 0
	for _, given := range []bool{s.Count != nil, s.Percent != nil, s.All} {
		if given {
			ways++
		}
	}
	if ways > 1 {
		problems = append(problems, experiments.Problem{Summary: "How many, said twice", Detail: "Write one of count, percent and all."})
	}
	if s.Count != nil && *s.Count < 1 {
		problems = append(problems, experiments.Problem{Attribute: "count", Summary: "Number of targets out of range", Detail: "Write at least 1."})
	}
	if s.Percent != nil && (*s.Percent <= 0 || *s.Percent > 1) {
		problems = append(problems, experiments.Problem{Attribute: "percent", Summary: "Share of targets out of range", Detail: "Write more than 0% and at most 100%."})
	}
	return problems
}

// of says how many of matching targets are hit, and how that came about.
func (s Share) of(matching int, what string) (count int, words string, err error) {
	switch {
	case s.All:
		count, words = matching, fmt.Sprintf("all %d", matching)
	case s.Percent != nil:
		// A hair more than the product: 30% of 10 must be 3 whatever 0.3 is in binary.
		count = int(math.Floor(float64(*s.Percent)*float64(matching) + 1e-9))
		words = fmt.Sprintf("%d of %d: %s, rounded down", count, matching, *s.Percent)
		if count == 0 && matching > 0 {
			count, words = 1, fmt.Sprintf("1 of %d: %s would be none, and at least one is hit", matching, *s.Percent)
		}
	default:
		count = 1
		if s.Count != nil {
			count = *s.Count
		}
		words = fmt.Sprintf("%d of %d", count, matching)
	}
	if matching == 0 {
		return 0, "", fmt.Errorf("no %s matches", what)
	}
	if count > matching {
		return 0, "", fmt.Errorf("%d of %s are asked for, and only %d match: fewer targets than asked is an error, not a smaller fault", count, what, matching)
	}
	return count, words, nil
}

// draw picks count of list, which must be in a fixed order.
func draw[T any](list []T, count int, d experiments.Draw, name func(T) string) ([]T, error) {
	places, err := d.Sample(len(list), count, func(i int) string { return name(list[i]) })
	if err != nil {
		return nil, err
	}
	picked := make([]T, len(places))
	for i, place := range places {
		picked[i] = list[place]
	}
	return picked, nil
}
