package main

import (
	"cmp"
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/history"
	"github.com/gameday-sh/gameday/reports"
)

// openAction is an action item of a run's report, and how it stands.
type openAction struct {
	Run      string `json:"run"`
	Scenario string `json:"scenario"`
	Action   string `json:"action"`
	Owner    string `json:"owner,omitempty"`
	Due      string `json:"due,omitempty"`
	Priority string `json:"priority,omitempty"`
	Retest   string `json:"retest,omitempty"`
	// Standing is "open", "overdue", "proposed", or why it is closed: "done", "re-tested".
	Standing string `json:"standing"`
	// ClosedBy is the run that showed that it helped.
	ClosedBy string `json:"closed_by,omitempty"`
}

func (a openAction) open() bool { return a.Standing != standingDone && a.Standing != standingRetested }

// How an action item stands.
const (
	standingOpen     = "open"
	standingOverdue  = "overdue"
	standingProposed = "proposed"
	standingDone     = "done"
	standingRetested = "re-tested"
)

func newActionsCommand(global *globalFlags) *cobra.Command {
	var all, proposed, asJSON bool
	cmd := &cobra.Command{
		Use:   "actions",
		Short: "List the open action items of all runs",
		Long: `actions lists the action items that people wrote into the reports of runs and that
are still open, the most urgent first. One is closed when its status says so (done),
or when the scenario that re-tests it has held in a later run.

What gameday proposed and nobody has taken yet, as it has no owner, is counted and
listed with --proposed only.

It exits with 0, and with 1 if an open one is overdue.`,
		Example: "  gameday actions\n  gameday actions --all --json",
		Args:    wants(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			overdue := false
			err := global.withStore(cmd.Context(), func(store history.Store) error {
				list, err := actionItems(cmd.Context(), store, time.Now())
				if err != nil {
					return err
				}
				overdue = slices.ContainsFunc(list, func(a openAction) bool { return a.Standing == standingOverdue })
				if asJSON {
					if !all {
						list = slices.DeleteFunc(list, func(a openAction) bool { return !a.open() || a.Standing == standingProposed && !proposed })
					}
					return indented(cmd.OutOrStdout(), append([]openAction{}, list...))
				}
				return listActions(cmd.OutOrStdout(), list, all, proposed)
			})
			if err == nil && overdue {
				return exitWith(experiments.Refuted, nil)
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "closed ones too")
	cmd.Flags().BoolVar(&proposed, "proposed", false, "also what gameday proposed and nobody has taken")
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON, for programs")
	return cmd
}

// actionItems reads the reports of all runs, and tells which items later runs closed.
func actionItems(ctx context.Context, store history.Store, now time.Time) ([]openAction, error) {
	runs, err := store.List(ctx, history.Query{})
	if err != nil {
		return nil, err
	}
	var list []openAction
	for _, e := range runs {
		text, err := store.File(ctx, e.Run, reportNames["markdown"])
		if errors.Is(err, history.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, item := range reports.ActionItems(text) {
			one := openAction{Run: e.Run, Scenario: e.Scenario, Action: item.Action, Owner: item.Owner, Due: item.Due, Priority: item.Priority, Retest: item.Retest, Standing: standingOpen}
			due, dated := item.DueDate()
			switch closing := retested(runs, e, item.Retest); {
			case item.Done:
				one.Standing = standingDone
			case closing != "":
				one.Standing, one.ClosedBy = standingRetested, closing
			case item.Proposed:
				one.Standing = standingProposed
			case dated && !now.Before(due.AddDate(0, 0, 1)):
				// It is due by the end of its day.
				one.Standing = standingOverdue
			}
			list = append(list, one)
		}
	}
	slices.SortStableFunc(list, func(a, b openAction) int {
		return cmp.Or(cmp.Compare(urgency(a), urgency(b)), cmp.Compare(cmp.Or(a.Due, "9999"), cmp.Or(b.Due, "9999")), cmp.Compare(cmp.Or(a.Priority, "P9"), cmp.Or(b.Priority, "P9")))
	})
	return list, nil
}

func urgency(a openAction) int {
	return slices.Index([]string{standingOverdue, standingOpen, standingProposed, standingRetested, standingDone}, a.Standing)
}

// retested is the first run after e in which the re-test of an item held: what was to be
// mended is shown to be. Empty where there is none.
func retested(runs []history.Entry, e history.Entry, retest string) string {
	if retest == "" {
		return ""
	}
	for _, later := range slices.Backward(runs) { // the oldest first
		if later.Began.After(e.Began) && later.Scenario == retest && later.Standing == string(experiments.Held) {
			return later.Run
		}
	}
	return ""
}

func listActions(w io.Writer, list []openAction, all, proposed bool) error {
	out := &lines{w: w}
	shown, unclaimed := 0, 0
	for _, a := range list {
		if a.Standing == standingProposed && !proposed && !all {
			unclaimed++
			continue
		}
		if !a.open() && !all {
			continue
		}
		shown++
		out.printf("%-9s  %s\n", a.Standing, line(a.Action))
		who := cmp.Or(line(a.Owner), "nobody")
		if a.Due != "" {
			who += ", due " + line(a.Due)
		}
		if a.Priority != "" {
			who += ", " + line(a.Priority)
		}
		if a.Retest != "" {
			who += ", re-tested by " + line(a.Retest)
		}
		out.printf("           %s\n           run %s\n", who, line(a.Run))
		if a.ClosedBy != "" {
			out.printf("           closed by run %s, which held\n", line(a.ClosedBy))
		}
	}
	if shown == 0 {
		out.printf("no action item is open\n")
	}
	if unclaimed > 0 {
		out.printf("%s that nobody has taken; --proposed shows them\n", countOf(unclaimed, "proposal"))
	}
	return out.err
}
