package experiments

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func taking(fault string, at, lasts time.Duration, takes ...Allowance) Hit {
	return Hit{Fault: fault, At: at, Lasts: lasts, Takes: takes}
}

func TestHitsStayWithinWhatMayBeDownAtOnce(t *testing.T) {
	budget := func(allows int) Allowance {
		return Allowance{Of: "disruption budget shop/checkout", Allows: allows, Why: "2 of 3 must stay"}
	}
	at := func(where string, a Allowance) Allowance { a.At = where; return a }
	const s = time.Second
	for name, it := range map[string]struct {
		hits  [][]Hit
		wrong string
	}{
		"none takes anything":                {[][]Hit{{taking("a", 0, s)}}, ""},
		"one of one":                         {[][]Hit{{taking("a", 0, s, budget(1))}}, ""},
		"two at once of one":                 {[][]Hit{{taking("a", 0, s, budget(1)), taking("a", 0, s, budget(1))}}, `disruption budget shop/checkout allows 1 to be down at once, and 2 hits would take 2 (of fault "a"): 2 of 3 must stay`},
		"of two faults, overlapping":         {[][]Hit{{taking("a", 0, 10*s, budget(1))}, {taking("b", 9*s, s, budget(1))}}, `would take 2 (of fault "a", "b")`},
		"one after the other":                {[][]Hit{{taking("a", 0, 10*s, budget(1))}, {taking("b", 10*s, s, budget(1))}}, ""},
		"one that is over at once settles":   {[][]Hit{{taking("a", 0, 0, budget(1))}, {taking("b", settling-1, 0, budget(1))}}, "would take 2"},
		"and has settled":                    {[][]Hit{{taking("a", 0, 0, budget(1))}, {taking("b", settling, 0, budget(1))}}, ""},
		"one of none":                        {[][]Hit{{taking("a", 0, s, budget(0))}}, "allows 0 to be down at once, and 1 hit would take 1"},
		"one of less than none":              {[][]Hit{{taking("a", 0, s, budget(-2))}}, "allows 0 to be down at once"},
		"the smaller of two readings counts": {[][]Hit{{taking("a", 0, s, budget(5)), taking("a", 0, s, budget(1))}}, "allows 1"},
		"another allowance is another matter": {[][]Hit{{taking("a", 0, s, budget(1)),
			taking("a", 0, s, Allowance{Of: "ReplicaSet shop/stock", Allows: 1})}}, ""},
		"of the same name elsewhere": {[][]Hit{{taking("a", 0, s, at("east", budget(1))), taking("a", 0, s, at("west", budget(1)))}}, ""},
		"elsewhere, and too many": {[][]Hit{{taking("a", 0, s, at("east", budget(1)))}, {taking("b", 0, s, at("west", budget(0)))}},
			`disruption budget shop/checkout at west allows 0 to be down at once, and 1 hit would take 1 (of fault "b")`},
		"each of two is told": {[][]Hit{{taking("a", 0, s, budget(0), Allowance{Of: "ReplicaSet shop/stock", Why: "it is the last"})}}, "ReplicaSet shop/stock allows 0 to be down at once, and 1 hit would take 1 (of fault \"a\"): it is the last"},
	} {
		t.Run(name, func(t *testing.T) {
			err := withinAllowances(it.hits)
			if it.wrong == "" && err != nil || it.wrong != "" && (err == nil || !strings.Contains(err.Error(), it.wrong)) {
				t.Errorf("%v, want %q", err, it.wrong)
			}
		})
	}
}

// What is refused is what an instant-by-instant count would refuse.
func TestAllowancesAgreeWithACountOfEveryInstant(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		allows := map[string]int{}
		for _, name := range []string{"a", "b"} {
			allows[name] = rapid.IntRange(-1, 3).Draw(t, "allows "+name)
		}
		var hits [][]Hit
		for f := range rapid.IntRange(1, 3).Draw(t, "faults") {
			var list []Hit
			for range rapid.IntRange(1, 4).Draw(t, "hits") {
				hit := Hit{
					Fault: fmt.Sprint(f),
					At:    time.Duration(rapid.IntRange(0, 60).Draw(t, "at")) * time.Second,
					Lasts: time.Duration(rapid.IntRange(0, 20).Draw(t, "lasts")) * time.Second,
				}
				for name, most := range allows {
					if rapid.Bool().Draw(t, "takes "+name) {
						hit.Takes = append(hit.Takes, Allowance{Of: name, Allows: most})
					}
				}
				list = append(list, hit)
			}
			hits = append(hits, list)
		}
		over := false
		for at := time.Duration(0); at < 120*time.Second; at += time.Second {
			down := map[string]int{}
			for _, list := range hits {
				for _, hit := range list {
					length := hit.Lasts
					if length == 0 {
						length = settling
					}
					if at < hit.At || at >= hit.At+length {
						continue
					}
					for _, take := range hit.Takes {
						down[take.Of]++
					}
				}
			}
			for name, n := range down {
				over = over || n > max(allows[name], 0)
			}
		}
		if err := withinAllowances(hits); (err != nil) != over {
			t.Fatalf("%v, and the count says over: %v", err, over)
		}
	})
}
