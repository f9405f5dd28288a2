package experiments

import (
	"cmp"
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

// Band is the band of a share left: 1 untouched, negative overspent, NaN unknown.
func (p *Policy) Band(remaining float64) Band {
	if !math.IsNaN(remaining) {
		for _, band := range p.Bands {
			if !below(remaining, band.AtLeast) {
				return band
			}
		}
	}
	return p.Unknown
}

// below tells whether a share left is less than a limit. 1-0.9 is 0.09999999999999998: a
// budget of which exactly 10% is left is in the band that begins at 10%, and raises no
// alert below 10%.
func below(remaining, limit float64) bool { return remaining < limit-1e-12 }

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
		if below(remaining, alert.Below) {
			list = append(list, alert)
		}
	}
	slices.SortStableFunc(list, func(a, b PolicyAlert) int { return cmp.Compare(b.Below, a.Below) })
	return list
}
