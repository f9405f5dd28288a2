package experiments

import (
	"math"
	"slices"
)

// Purposes that a band of a policy may allow. A policy may name others of its own.
const (
	ForGameDay             = "game-day"
	ForDeploy              = "deploy"
	ForExperimentalFeature = "experimental-feature"
)

// Policy says what a team does by how much of an error budget is left.
type Policy struct {
	Name        string
	Description string
	// Reserve is the share of the budget that must be left after the worst that a game
	// day may cost.
	Reserve Percent
	// Bands by falling AtLeast; the last one has everything below, and its AtLeast is -Inf.
	Bands []Band
	// Unknown is the band while what is left cannot be told.
	Unknown Band
	Alerts  []PolicyAlert
	Origin  string
}

// UnknownBand is the name of the band that every policy has.
const UnknownBand = "unknown"

// Band is a stretch of the remaining budget and what it means.
type Band struct {
	Name string
	// AtLeast is the least share of the budget left, 0.5 for 50%; it belongs to the band.
	AtLeast float64
	Allows  []string // purposes
	Actions []string // for people
}

// PolicyAlert is told when less than Below of the budget is left.
type PolicyAlert struct {
	Below    float64
	Severity string
	Notify   string
}

// digits is the noise of a share: 1-0.9 is 0.09999999999999998, and a budget of which
// exactly 10% is left is in the band that begins at 10%, and not below 10%.
const digits = 1e-12

// Band is the band of a share left: 1 untouched, negative overspent, NaN unknown.
func (p *Policy) Band(remaining float64) Band {
	if !math.IsNaN(remaining) {
		for _, band := range p.Bands {
			if remaining >= band.AtLeast-digits {
				return band
			}
		}
	}
	return p.Unknown
}

// Purposes lists what the bands allow, each once, in the order written.
func (p *Policy) Purposes() []string {
	var list []string
	for _, band := range append(slices.Clone(p.Bands), p.Unknown) {
		for _, purpose := range band.Allows {
			if !slices.Contains(list, purpose) {
				list = append(list, purpose)
			}
		}
	}
	return list
}

// Permits tells whether the band allows a purpose.
func (b Band) Permits(purpose string) bool { return slices.Contains(b.Allows, purpose) }

// Raised lists the alerts that a share left raises, gravest last; none while unknown.
func (p *Policy) Raised(remaining float64) []PolicyAlert {
	var list []PolicyAlert
	for _, alert := range p.Alerts {
		if remaining < alert.Below-digits {
			list = append(list, alert)
		}
	}
	slices.SortStableFunc(list, func(a, b PolicyAlert) int {
		switch {
		case a.Below > b.Below:
			return -1
		case a.Below < b.Below:
			return 1
		}
		return 0
	})
	return list
}
