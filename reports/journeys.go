package reports

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gameday-sh/gameday/experiments"
)

// journeyRow is what became of a user journey.
type journeyRow struct {
	Name, Criticality, Words string
	Failed                   bool
}

// rank orders criticalities; what an older or a newer gameday wrote comes last.
func rank(c experiments.Criticality) int {
	return slices.Index([]experiments.Criticality{experiments.Low, experiments.Medium, experiments.High, experiments.Critical}, c)
}

// journeys lists the user journeys, those that matter most first.
func (o outliner) journeys() []journeyRow {
	sorted := slices.Clone(o.r.Journeys)
	slices.SortStableFunc(sorted, func(a, b experiments.JourneyResult) int { return rank(b.Criticality) - rank(a.Criticality) })
	var rows []journeyRow
	for i := range sorted {
		j := &sorted[i]
		row := journeyRow{Name: o.clean(j.Name), Criticality: o.clean(string(j.Criticality)) + " user journey", Failed: j.Bad > 0}
		if j.Description != "" {
			row.Criticality += ": " + o.clean(j.Description)
		}
		switch {
		case j.Total == 0 && o.firstInjected().IsZero():
			row.Words = "Nothing was injected, so no user was followed"
		case j.Total == 0:
			row.Words = "No user could be followed from the first injection to the end"
		case j.Bad == 0:
			row.Words = fmt.Sprintf("None of %s failed from the first injection to the end", plural(j.Total, "attempt"))
		default:
			row.Words = fmt.Sprintf("%d of %s failed (%s) from the first injection to the end%s", j.Bad, plural(j.Total, "attempt"), sayPercent(float64(j.Bad)/float64(j.Total)), o.failedSteps(j))
		}
		if j.Unread > 0 {
			row.Words += fmt.Sprintf("; %s gave no answer either way", plural(j.Unread, "more attempt"))
		}
		row.Words = sentence(row.Words)
		rows = append(rows, row)
	}
	return rows
}

// failedSteps says at which steps attempts failed.
func (o outliner) failedSteps(j *experiments.JourneyResult) string {
	var said []string
	for _, step := range j.Steps {
		switch {
		case step.Bad == 0:
		case step.Bad == j.Bad && j.Bad > 1:
			return ", all at the step " + quoted(o.clean(step.Name))
		case step.Bad == j.Bad:
			return ", at the step " + quoted(o.clean(step.Name))
		default:
			said = append(said, fmt.Sprintf("%d at the step %s", step.Bad, quoted(o.clean(step.Name))))
		}
	}
	if len(said) == 0 {
		return ""
	}
	return ": " + strings.Join(said, ", ")
}
