package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/guards/budgets"
	"github.com/gameday-sh/gameday/internal/replay"
	"github.com/gameday-sh/gameday/internal/rules"
)

// alertsOf lists the burn-rate alerts of an SLO, as `gameday rules` writes them. One that
// rests on a probe has none: what it counts is not in Prometheus.
func alertsOf(s *experiments.SLO) []budgets.Alert {
	if s.SLI == nil {
		return nil
	}
	alerts, _ := rules.Alerts(s)
	var list []budgets.Alert
	for _, a := range alerts {
		list = append(list, budgets.Alert{Name: a.Severity + " " + a.Name, Factor: a.Factor, Long: a.Long, Short: a.Short, For: a.For})
	}
	return list
}

// replayWithin bounds how long a run that is over and mended waits for the answer.
const replayWithin = time.Minute

// replayPages adds to a result what the alerts of each SLO would have done. It is found
// out at once and stored, so that a report says the same a year later.
func replayPages(ctx context.Context, r *experiments.Result, e *experiments.Experiment) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), replayWithin)
	defer cancel()
	injected := time.Time{}
	for _, hit := range r.Hits {
		if !hit.Injected.IsZero() && (injected.IsZero() || hit.Injected.Before(injected)) {
			injected = hit.Injected
		}
	}
	for i := range r.SLOs {
		cost := &r.SLOs[i]
		at := slices.IndexFunc(e.SLOs, func(s *experiments.SLO) bool { return s.Name == cost.Name })
		if cost.Account == nil || at < 0 || injected.IsZero() {
			continue
		}
		recording := replay.Recording{SLO: e.SLOs[at], Result: *cost, Began: r.Began, Injected: injected}
		for _, series := range r.Series {
			if series.Name == e.SLOs[at].SeriesName() {
				recording.Series = series
			}
		}
		pages, note, err := replay.Pages(ctx, recording)
		if err != nil {
			note = fmt.Sprintf("the alerts could not be replayed: %v", err)
		}
		cost.Account.Pages, cost.Account.PagesNote = pages, note
	}
}
