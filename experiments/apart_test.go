package experiments

import (
	"strings"
	"testing"
	"time"
)

func TestHitsThatMustBeAloneDoNotMeet(t *testing.T) {
	const s = time.Second
	hit := func(fault, holds string, at, lasts time.Duration, alone bool) []Hit {
		return []Hit{{Fault: fault, Holds: holds, Target: holds, At: at, Lasts: lasts, Alone: alone}}
	}
	for name, it := range map[string]struct {
		hits  [][]Hit
		wrong string
	}{
		"one in the other's time": {[][]Hit{hit("a", "node x", 0, 3*s, true), hit("b", "node x", s, 3*s, true)},
			`fault "b" would change node x 1s after the start, while fault "a" is on it (0s to 3s): it bears one change at a time, as the mark of a change is what undoes it; write after = fault.a, or choose another target`},
		"both at once":                     {[][]Hit{hit("a", "node x", 0, s, true), hit("b", "node x", 0, s, true)}, `fault "b" would change node x 0s`},
		"the second is written first":      {[][]Hit{hit("b", "node x", s, s, true), hit("a", "node x", 0, 2*s, true)}, `fault "b" would change node x 1s`},
		"one after the other":              {[][]Hit{hit("a", "node x", 0, s, true), hit("b", "node x", s, s, true)}, ""},
		"on different things":              {[][]Hit{hit("a", "node x", 0, s, true), hit("b", "node y", 0, s, true)}, ""},
		"where others may be":              {[][]Hit{hit("a", "proxy x", 0, s, false), hit("b", "proxy x", 0, s, false)}, ""},
		"one that minds, and one that not": {[][]Hit{hit("a", "pod x", 0, s, true), hit("b", "pod x", 0, 0, false)}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			err := apart(it.hits)
			if it.wrong == "" && err != nil || it.wrong != "" && (err == nil || !strings.Contains(err.Error(), it.wrong)) {
				t.Errorf("%v\nwant %q", err, it.wrong)
			}
		})
	}
}
