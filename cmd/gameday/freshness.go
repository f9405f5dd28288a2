package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/history"
)

// forFreshness is the purpose of `gameday gate` that asks the history and no budget.
const forFreshness = "freshness"

// fresh is how a scenario stands: whether a run has shown lately that it holds.
type fresh struct {
	Scenario string `json:"scenario"`
	Fresh    bool   `json:"fresh"`
	// Run is the newest that held, and Age how old it is in seconds; Last is what the
	// newest of all came to.
	Run string  `json:"run,omitempty"`
	Age float64 `json:"age_seconds,omitempty"`
	// Changed tells that the scenario's text is another by now than Run's.
	Changed bool   `json:"changed,omitempty"`
	Last    string `json:"last,omitempty"`
	Why     string `json:"why"`
}

// runFreshness asks for each scenario of a path whether a run of it held no longer ago
// than maxAge, and what the newest one came to.
func runFreshness(cmd *cobra.Command, global *globalFlags, v *variables, paths []string, maxAge string, asJSON bool) error {
	age, err := experiments.ParseDuration(maxAge)
	if err != nil || age <= 0 {
		return &exitError{experiments.Invalid.ExitCode(), fmt.Errorf("--max-age %q is not a duration above 0; write, for example, 30d", maxAge)}
	}
	c, path, err := global.loadOne(cmd, paths, v)
	if err != nil {
		return err
	}
	if len(c.Scenarios()) == 0 {
		return &exitError{experiments.Invalid.ExitCode(), fmt.Errorf("%s has no scenario, so there is nothing that could be fresh", path)}
	}
	now, stale, opened := time.Now(), false, false
	var list []fresh
	err = global.withStore(cmd.Context(), func(store history.Store) error {
		opened = true
		for _, name := range c.Scenarios() {
			one, err := freshness(cmd, store, name, c.Source().Digest, now, age)
			if err != nil {
				return exitWith(experiments.Inconclusive, err)
			}
			stale = stale || !one.Fresh
			list = append(list, one)
		}
		return nil
	})
	// A history that cannot be opened or read tells nothing, which is neither yes nor no.
	if failed := (*exitError)(nil); !opened && errors.As(err, &failed) && failed.code == experiments.Errored.ExitCode() {
		return exitWith(experiments.Inconclusive, failed.err)
	}
	if err != nil {
		return err
	}
	out := &lines{w: cmd.OutOrStdout()}
	for _, one := range list {
		if asJSON {
			continue
		}
		word := "fresh"
		if !one.Fresh {
			word = "STALE"
		}
		out.printf("%-6s %s: %s\n", word, one.Scenario, one.Why)
	}
	if asJSON {
		out.err = indented(cmd.OutOrStdout(), list)
	}
	if out.err != nil {
		return out.err
	}
	if stale {
		return exitWith(experiments.Refuted, nil)
	}
	return nil
}

func freshness(cmd *cobra.Command, store history.Store, scenario, digest string, now time.Time, most time.Duration) (fresh, error) {
	one := fresh{Scenario: scenario}
	// Names of scenarios have no letters of a pattern.
	held, err := store.List(cmd.Context(), history.Query{Scenario: scenario, Standings: []string{string(experiments.Held)}, Limit: 1})
	if err != nil {
		return one, err
	}
	last, err := store.List(cmd.Context(), history.Query{Scenario: scenario, Limit: 1})
	if err != nil {
		return one, err
	}
	if len(last) > 0 && (len(held) == 0 || last[0].Run != held[0].Run) {
		one.Last = last[0].Standing
	}
	if len(held) == 0 {
		one.Why = "no run of it has held"
		if one.Last != "" {
			one.Why += fmt.Sprintf("; the newest, %s, came to: %s", line(last[0].Run), one.Last)
		}
		return one, nil
	}
	old := now.Sub(held[0].Began)
	one.Run, one.Age, one.Fresh = held[0].Run, old.Seconds(), old <= most
	one.Changed = held[0].Result != nil && held[0].Result.Digest != digest
	one.Why = fmt.Sprintf("held %s ago, at most %s asked (%s)", ageInWords(old), experiments.FormatDuration(most), line(one.Run))
	if one.Changed {
		one.Why += "; its text has changed since"
	}
	if one.Last != "" {
		one.Why += fmt.Sprintf("; the newest run came to: %s", one.Last)
	}
	return one, nil
}

// ageInWords is an age as far as it matters: days where it is more than two of them.
func ageInWords(age time.Duration) string {
	for _, unit := range []time.Duration{experiments.Day, time.Hour, time.Minute} {
		if age >= 2*unit {
			return experiments.FormatDuration(age.Truncate(unit))
		}
	}
	return experiments.FormatDuration(max(age.Truncate(time.Second), time.Second))
}
