package history

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/gameday-sh/gameday/experiments"
)

func TestABriefListIsTheSameListWithLessOfEachRun(t *testing.T) {
	eachStore(t, func(t *testing.T, open func() Store) {
		s := open()
		for n := range 12 {
			r := result(fmt.Sprintf("20261125-15%02d00-slow-%04d", n, n), []string{"slow", "slow-too", "other"}[n%3], began.Add(time.Duration(n)*time.Minute), experiments.Held)
			if n == 4 {
				r.Verdict, r.Recovered = experiments.NotRestored, began.Add(time.Hour)
			}
			put(t, s, r, nil)
		}
		for name, q := range map[string]Query{
			"all":              {},
			"the newest":       {Limit: 5},
			"of one scenario":  {Scenario: "slow", Limit: 2},
			"of a pattern":     {Scenario: "slow*", Limit: 3},
			"of one day":       {Since: began.Add(3 * time.Minute), Until: began.Add(9 * time.Minute), Limit: 4},
			"of one standing":  {Standings: []string{"mended since"}, Limit: 3},
			"more than all":    {Limit: 100},
			"of none":          {Scenario: "none", Limit: 1},
			"a whole pattern":  {Scenario: "o[a-z]*", Limit: 1},
			"the oldest first": {Until: began.Add(time.Minute), Limit: 1},
		} {
			whole, err := s.List(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			q.Brief = true
			brief, err := s.List(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(names(brief), names(whole)) {
				t.Errorf("%s: %v, and whole %v", name, names(brief), names(whole))
			}
			if q.Limit > 0 && len(whole) > q.Limit {
				t.Errorf("%s: %d runs for a limit of %d", name, len(whole), q.Limit)
			}
			for i := range brief {
				a, b := brief[i], whole[i]
				if a.Standing != b.Standing || a.Scenario != b.Scenario || !a.Began.Equal(b.Began) || !a.Result.Ended.Equal(b.Result.Ended) || a.Result.Reason != b.Result.Reason || a.Result.Digest != b.Result.Digest {
					t.Errorf("%s: %+v, and whole %+v", name, a, b)
				}
				if len(a.Result.Hits) > 0 || len(b.Result.Hits) == 0 {
					t.Errorf("%s: %d hits in brief, %d as a whole", name, len(a.Result.Hits), len(b.Result.Hits))
				}
			}
		}
	})
}
