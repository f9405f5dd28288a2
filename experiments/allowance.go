package experiments

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Allowance is something that bounds how much may be down at once, such as a
// PodDisruptionBudget, as a plan read it. A hit that names it takes one of it.
type Allowance struct {
	Of string `json:"of"` // "disruption budget shop/checkout"
	// At tells things of one name in several places apart: an API server.
	At     string `json:"at,omitempty"`
	Allows int    `json:"allows"` // how many may be taken at once, now
	// Why says what it rests on, and what would have to change.
	Why string `json:"why"`
}

// thing is what an allowance is about.
type thing struct{ of, at string }

// settling is how long a hit that is over at once counts as down: a restarted pod
// takes a while to be ready. Later rounds look again at what is allowed by then.
const settling = 30 * time.Second

// withinAllowances checks that at no time the hits of a plan take more of an
// allowance than there is. Rounds after the first are not counted: each is asked when
// it is due, against what is allowed then, and so is the first once more (see inFlight).
func withinAllowances(hits [][]Hit) error {
	type use struct {
		at   time.Duration
		take int // 1 at the start of a hit, -1 at its end
		hit  *Hit
	}
	uses := map[thing][]use{}
	allowances := map[thing]Allowance{}
	places := map[string]int{} // how many things have a name
	for i := range hits {
		for j := range hits[i] {
			hit := &hits[i][j]
			until := hit.At + cmp.Or(hit.Lasts, settling)
			for _, take := range hit.Takes {
				it := thing{take.Of, take.At}
				known, found := allowances[it]
				if !found {
					places[it.of]++
				}
				if !found || take.Allows < known.Allows {
					allowances[it] = take
				}
				uses[it] = append(uses[it], use{hit.At, 1, hit}, use{until, -1, hit})
			}
		}
	}
	var problems []error
	byName := func(a, b thing) int { return cmp.Or(cmp.Compare(a.of, b.of), cmp.Compare(a.at, b.at)) }
	for _, it := range slices.SortedFunc(maps.Keys(uses), byName) {
		list := uses[it]
		slices.SortStableFunc(list, func(a, b use) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.take, b.take)) })
		taken, most := 0, 0
		for _, u := range list {
			taken += u.take
			most = max(most, taken)
		}
		if allowance := allowances[it]; most > max(allowance.Allows, 0) {
			faults, takers := map[string]bool{}, map[*Hit]bool{}
			for _, u := range list {
				faults[u.hit.Fault], takers[u.hit] = true, true
			}
			name := it.of
			if places[it.of] > 1 {
				name += " at " + it.at
			}
			problems = append(problems, fmt.Errorf("%s allows %d to be down at once, and %s would take %d (of fault %s): %s",
				name, max(allowance.Allows, 0), plural(len(takers), "hit"), most, quotedList(slices.Sorted(maps.Keys(faults))), allowance.Why))
		}
	}
	return errors.Join(problems...)
}

func quotedList(names []string) string {
	text := ""
	for i, name := range names {
		if i > 0 {
			text += ", "
		}
		text += fmt.Sprintf("%q", name)
	}
	return text
}
