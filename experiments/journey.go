package experiments

import (
	"strings"
	"time"
)

// A JourneyProbe goes a way through the system in steps, as a user does. One
// measurement is the whole way: it is good if every step is, and its Took is the time
// of all steps together, without the pauses between them.
type JourneyProbe interface {
	Probe
	// Pauses is how long a whole measurement pauses between its steps.
	Pauses() time.Duration
}

// Criticality says how much a user journey matters to the business.
type Criticality string

// The criticalities, from the least to the most.
const (
	Low      Criticality = "low"
	Medium   Criticality = "medium"
	High     Criticality = "high"
	Critical Criticality = "critical"
)

// Journey is what a probe that goes a user's way stands for.
type Journey struct {
	Description string
	Criticality Criticality
	Steps       []string // their names, in order
}

// JourneyResult is what became of a user journey while and after things were broken.
type JourneyResult struct {
	Name        string      `json:"name"`
	Description string      `json:"description,omitempty"`
	Criticality Criticality `json:"criticality"`
	Series      string      `json:"series"` // "journey.checkout"
	// Total counts the measurements that began after the first injection, and Bad those
	// of them that failed. Unread could not be taken, and are in neither.
	Total  int `json:"total"`
	Bad    int `json:"bad"`
	Unread int `json:"unread,omitempty"`
	// Steps are in the order of the way.
	Steps []StepResult `json:"steps"`
}

// StepResult is a step of a journey, and how many measurements failed at it.
type StepResult struct {
	Name string `json:"name"`
	Bad  int    `json:"bad"`
}

// journeys sums up the journeys of a run.
func (r *runner) journeys() []JourneyResult {
	var list []JourneyResult
	for _, p := range r.e.Probes {
		if p.Journey != nil {
			list = append(list, p.Journey.result(p, r.history.Probe(p), r.history.Injected))
		}
	}
	return list
}

func (j *Journey) result(p *Probed, track *Track, injected time.Time) JourneyResult {
	result := JourneyResult{
		Name: p.Name, Description: j.Description, Criticality: j.Criticality, Series: p.SeriesName(),
		Steps: make([]StepResult, len(j.Steps)),
	}
	failed := map[string]int{}
	if !injected.IsZero() && track.Len() > 0 {
		track.begun(injected, track.At(track.Len()-1).At, func(i int) {
			s := track.At(i)
			switch {
			case s.Condition != OK:
				result.Unread++
			case s.Counted:
				result.Total++
				if !s.Good {
					result.Bad++
					failed[s.Step]++
				}
			}
		})
	}
	for i, name := range j.Steps {
		result.Steps[i] = StepResult{name, failed[name]}
	}
	return result
}

// measuredBy is the probe that a series tells of, as far as its name says.
func measuredBy(series string) *Probed {
	if name, found := strings.CutPrefix(series, "journey."); found {
		return &Probed{Name: name, Kind: "journey", Journey: &Journey{}}
	}
	return &Probed{Name: strings.TrimPrefix(series, "probe."), Series: series}
}
