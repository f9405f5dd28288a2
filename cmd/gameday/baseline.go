package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/history"
)

// lastHeld stands for the newest run of the same scenario that held.
const lastHeld = "last-held"

// baseline is what the runs of a command are compared with. It is nil without one.
type baseline struct {
	global *globalFlags
	fixed  *experiments.Result // nil for lastHeld
	began  time.Time
}

// openBaseline reads the run that was named, before anything is touched.
func openBaseline(ctx context.Context, global *globalFlags, text string) (*baseline, error) {
	switch text {
	case "":
		return nil, nil
	case lastHeld:
		return &baseline{global: global, began: time.Now()}, nil
	}
	result, err := storedResult(ctx, global, text)
	if err != nil {
		return nil, fmt.Errorf("find the baseline: %w", err)
	}
	return &baseline{global, result, time.Now()}, nil
}

// of is the run to compare a result with; nil where there is none yet.
func (b *baseline) of(ctx context.Context, r *experiments.Result) (found *experiments.Result, err error) {
	if b.fixed != nil {
		if b.fixed.Scenario != r.Scenario {
			return nil, nil
		}
		return b.fixed, nil
	}
	store, err := b.global.openStore(ctx)
	if err != nil {
		return nil, err
	}
	// Scenarios of one command never are each other's baseline.
	list, err := store.List(ctx, history.Query{Scenario: r.Scenario, Standings: []string{string(experiments.Held)}, Until: b.began, Limit: 1})
	if err = errors.Join(err, store.Close()); err != nil || len(list) == 0 {
		return nil, err
	}
	return storedResult(ctx, b.global, list[0].Run)
}

// compare says how each run of the command stands beside its baseline. What is worse
// makes a held command refuted; what cannot be compared is an error, and no baseline yet
// is said and no more.
func (b *batch) compare(ctx context.Context, base *baseline) {
	if base == nil {
		return
	}
	for _, f := range b.done {
		earlier, err := base.of(ctx, f.result)
		if err != nil {
			b.problems = append(b.problems, fmt.Errorf("compare run %s with its baseline: %w", f.result.Run, err))
			continue
		}
		out := &lines{w: &b.last}
		if earlier == nil {
			out.printf("\nbaseline  there is no run of %s to compare with yet\n", f.result.Scenario)
		} else {
			c := history.Compare(earlier, f.result)
			out.printf("\nbaseline  %s: %s\n", c.Before, c.Worst())
			for _, row := range c.Rows {
				if row.Change == history.Worse || row.Change == history.Better {
					out.printf("  %-6s  %s: %s -> %s  %s\n", row.Change, line(row.What), line(row.Before), line(row.After), line(row.Shift))
				}
			}
			if c.Worst() == history.Worse {
				b.verdicts = append(b.verdicts, experiments.Refuted)
			}
		}
		if out.err != nil {
			b.problems = append(b.problems, out.err)
		}
	}
}

// keepInStore puts the runs of the command into the shared store. A store that is away
// changes no verdict and no exit code.
func (b *batch) keepInStore(ctx context.Context) {
	for _, f := range b.done {
		if err := b.global.keepInStore(ctx, f.dir); err != nil {
			out := &lines{w: &b.last}
			out.printf("gameday: %s\n", err)
		}
	}
}
