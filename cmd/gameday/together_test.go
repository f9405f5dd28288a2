package main

import (
	"path/filepath"
	"testing"
	"time"
)

// A policy, a journey, golden signals that are watched and guards on every kind of SLI
// stand in one scenario: it is planned, run on the built-in shop and told of.
func TestPolicyJourneySignalsAndEverySLIStandTogether(t *testing.T) {
	slow(t)
	file, home := filepath.Join("testdata", "together.hcl"), t.TempDir()
	gameday(t, home, "plan", file).ends(time.Minute, 0,
		"front_door: traffic keeps 50% of the baseline", "up to 0\\.\\d+% of the 30d budget of slo.fast_native", "up to 0\\.\\d+% of the 30d budget of slo.journeys",
		"the gate: allowed", "slo.journeys has an unknown budget.*rests on journey.login")
	gameday(t, home, "run", "--plain", file).ends(time.Minute, 0, "HELD", `gate allowed: slo.checkout has an unknown budget`, `hypothesis "a user can log in" held`)
	gameday(t, home, "report", "last").ends(time.Minute, 0,
		`\*\*login \(critical user journey\)\*\* ●: None of \d+ attempts failed`,
		`\*\*fast_native\*\* \(95% over 30d\) ◐: 0 of \d+ events failed`, `\*\*slices\*\* \(90% over 30d\) ◐: 0 of \d+ events failed`,
		`slo.journeys rests on a probe, and Prometheus has no rule for it`)
	// Beside a run nothing is known of any of them, and each says why.
	gameday(t, home, "slo", "status", file).ends(time.Minute, 4, "journeys is unknown, no data: it rests on journey.login", "6 SLOs, 6 unknown")
	gameday(t, home, "slo", "lint", file).ends(time.Minute, 1, "not checked  slo.journeys: it rests on journey.login")
	gameday(t, home, "gate", "--for", "deploy", "--policy", "standard", file).ends(time.Minute, 4, "UNKNOWN deploy", "unknown +slo.journeys")
	dir := t.TempDir()
	gameday(t, home, "rules", "--out", filepath.Join(dir, "rules.yml"), file).ends(time.Minute, 0, "slo.journeys: left out")
	if output, err := promtool(t, dir, "check", "rules", "rules.yml"); err != nil {
		t.Errorf("%v\n%s", err, output)
	}
}
