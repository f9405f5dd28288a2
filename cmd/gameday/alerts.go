package main

import (
	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/guards/budgets"
)

// alertsOf lists the burn-rate alerts of an SLO.
func alertsOf(*experiments.SLO) []budgets.Alert { return nil }
