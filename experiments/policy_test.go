package experiments

import (
	"math"
	"slices"
	"testing"
)

func standardPolicy() *Policy {
	return &Policy{
		Name: "standard",
		Bands: []Band{
			{Name: "green", AtLeast: 0.5, Allows: []string{ForGameDay, ForDeploy, ForExperimentalFeature}},
			{Name: "yellow", AtLeast: 0.1, Allows: []string{ForGameDay, ForDeploy}},
			{Name: "red", AtLeast: math.Inf(-1), Allows: []string{"hotfix"}},
		},
		Unknown: Band{Name: UnknownBand, AtLeast: math.NaN(), Allows: []string{"hotfix"}},
		Alerts:  []PolicyAlert{{Below: 0.1, Severity: "critical"}, {Below: 0.5, Severity: "info"}, {Below: 0.25, Severity: "warning"}},
	}
}

func TestBandsAndAlertsByWhatIsLeft(t *testing.T) {
	for _, test := range []struct {
		name      string
		remaining float64
		band      string
		alerts    []string
	}{
		{"untouched", 1, "green", nil},
		{"the limit belongs to the band above", 0.5, "green", nil},
		{"just below it", 0.4999, "yellow", []string{"info"}},
		{"a quarter", 0.25, "yellow", []string{"info"}},
		{"less than a quarter, gravest last", 0.2, "yellow", []string{"info", "warning"}},
		// 1-0.9 is 0.09999999999999998.
		{"a tenth, with float noise", 1 - 0.9, "yellow", []string{"info", "warning"}},
		{"a tenth, from thirds", 1 - 0.3*3, "yellow", []string{"info", "warning"}},
		{"less than a tenth", 0.0999999, "red", []string{"info", "warning", "critical"}},
		{"all spent", 0, "red", []string{"info", "warning", "critical"}},
		{"overspent", -15.5, "red", []string{"info", "warning", "critical"}},
		{"overspent beyond measure", math.Inf(-1), "red", []string{"info", "warning", "critical"}},
		{"not known", math.NaN(), UnknownBand, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := standardPolicy()
			if got := p.Band(test.remaining).Name; got != test.band {
				t.Errorf("band %s, want %s", got, test.band)
			}
			var alerts []string
			for _, alert := range p.Raised(test.remaining) {
				alerts = append(alerts, alert.Severity)
			}
			if !slices.Equal(alerts, test.alerts) {
				t.Errorf("alerts %q, want %q", alerts, test.alerts)
			}
		})
	}
}

func TestAPolicyWithoutBandsKnowsNothing(t *testing.T) {
	p := &Policy{Unknown: Band{Name: UnknownBand}}
	for _, remaining := range []float64{1, 0, -1, math.NaN()} {
		if band := p.Band(remaining); band.Name != UnknownBand || band.Permits(ForGameDay) {
			t.Errorf("%g is in band %+v", remaining, band)
		}
	}
}

func TestPurposesAreListedOnce(t *testing.T) {
	if got, want := standardPolicy().Purposes(), []string{ForGameDay, ForDeploy, ForExperimentalFeature, "hotfix"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	band := Band{Allows: []string{ForDeploy}}
	if !band.Permits(ForDeploy) || band.Permits(ForGameDay) || band.Permits("") {
		t.Errorf("%+v permits what it does not name", band)
	}
}
