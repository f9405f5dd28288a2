package reports

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/gameday-sh/gameday/experiments"
)

// Matrix says for each dependency that was broken and each thing that users do how it
// fared, from the newest run that tells.
type Matrix struct {
	Made         time.Time     `json:"made"`
	MaxAge       time.Duration `json:"max_age_ns"` // evidence older than that is stale
	Dependencies []string      `json:"dependencies"`
	Journeys     []string      `json:"journeys"` // the series of hypotheses: journey.x, probe.x, slo.x
	// Cells has a row a dependency, with a cell a journey.
	Cells [][]Cell `json:"cells"`
}

// Fared says how users fared while a dependency was broken.
type Fared string

// How users fare.
const (
	Works    Fared = "works"    // the hypothesis held while it was broken
	Degraded Fared = "degraded" // it did not, as it was allowed to, and held again in time
	Down     Fared = "down"     // it was refuted
	Unclear  Fared = "unclear"  // it was tried, and nobody can tell
	Untested Fared = "untested"
)

// Cell is what is known of one dependency and one journey.
type Cell struct {
	Fared Fared     `json:"fared"`
	Run   string    `json:"run,omitempty"`
	At    time.Time `json:"at,omitzero"`
	// Stale tells that the evidence is older than MaxAge: it says how it was.
	Stale bool `json:"stale,omitempty"`
	// With lists other dependencies that were broken in the same run: what went wrong may
	// be their doing.
	With []string `json:"with,omitempty"`
}

// NewMatrix reads runs, the newest first. What a run of an older text of a scenario
// showed counts until a newer run shows something.
func NewMatrix(runs []*experiments.Result, now time.Time, maxAge time.Duration) *Matrix {
	m := &Matrix{Made: now, MaxAge: maxAge}
	cells := map[[2]string]Cell{}
	runs = slices.Clone(runs)
	slices.SortStableFunc(runs, func(a, b *experiments.Result) int { return b.Began.Compare(a.Began) })
	for _, r := range runs {
		broken := dependencies(r)
		for _, dependency := range broken {
			for _, h := range r.Hypotheses {
				key := [2]string{dependency, h.Series}
				one := Cell{Fared: fared(h), Run: r.Run, At: r.Began, Stale: now.Sub(r.Began) > maxAge}
				one.With = slices.DeleteFunc(slices.Clone(broken), func(other string) bool { return other == dependency })
				known, seen := cells[key]
				switch {
				case !seen, known.Fared == Unclear && one.Fared != Unclear:
					cells[key] = one
				case known.Run == r.Run && gravity(one.Fared) > gravity(known.Fared):
					cells[key] = one // several hypotheses about one journey: the worst counts
				}
				if !slices.Contains(m.Journeys, h.Series) {
					m.Journeys = append(m.Journeys, h.Series)
				}
			}
			if !slices.Contains(m.Dependencies, dependency) {
				m.Dependencies = append(m.Dependencies, dependency)
			}
		}
	}
	slices.Sort(m.Dependencies)
	slices.SortFunc(m.Journeys, func(a, b string) int {
		return cmp.Or(cmp.Compare(order(a), order(b)), strings.Compare(a, b))
	})
	for _, dependency := range m.Dependencies {
		row := make([]Cell, 0, len(m.Journeys))
		for _, journey := range m.Journeys {
			cell, seen := cells[[2]string{dependency, journey}]
			if !seen {
				cell = Cell{Fared: Untested}
			}
			row = append(row, cell)
		}
		m.Cells = append(m.Cells, row)
	}
	return m
}

// order puts what users do before what is measured of it.
func order(series string) int {
	switch kind, _, _ := strings.Cut(series, "."); kind {
	case "journey":
		return 0
	case "slo":
		return 1
	}
	return 2
}

func gravity(f Fared) int {
	return slices.Index([]Fared{Untested, Works, Unclear, Degraded, Down}, f)
}

// fared reads what a hypothesis came to while the faults were on.
func fared(h experiments.HypothesisResult) Fared {
	if h.During == nil {
		return Unclear
	}
	switch h.During.Verdict {
	case experiments.Held:
		return Works
	case experiments.Refuted:
		if h.MayBreak && h.Recovery != nil && h.Recovery.Verdict == experiments.Held {
			return Degraded
		}
		return Down
	}
	return Unclear
}

// dependencies lists what a run is proven to have broken, each once.
func dependencies(r *experiments.Result) []string {
	var list []string
	for _, f := range r.Faults {
		if f.Injected == 0 {
			continue
		}
		names := []string{f.Dependency}
		if f.Dependency == "" {
			names = nil
			for _, hit := range r.Hits {
				if hit.Fault == f.Name && !hit.Injected.IsZero() {
					names = append(names, lastingName(hit.Target))
				}
			}
		}
		for _, name := range names {
			if name != "" && !slices.Contains(list, name) {
				list = append(list, name)
			}
		}
	}
	return list
}

// generated is what Kubernetes appends to the name of a workload for its pods: the hash of
// the template and a random part, of letters that make no words.
var generated = regexp.MustCompile(`^(pod \S+?)(-[bcdf-hj-np-tv-xz2456789]{6,10})?-[bcdf-hj-np-tv-xz2456789]{5}$`)

// lastingName is a target's name without what is another tomorrow: pods of a workload are
// one dependency.
func lastingName(target string) string {
	if found := generated.FindStringSubmatch(target); found != nil {
		return strings.Replace(found[1], "pod ", "pods of ", 1)
	}
	return target
}
