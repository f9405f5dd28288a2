package prom

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/prometheus/promql/parser"

	"github.com/gameday-sh/gameday/experiments"
)

// sliceName stands for the length of a slice in a query.
const sliceName = "$slice"

// shortestSlice bounds how many slices a long window holds.
const shortestSlice = time.Second

// TimeSlice is the SLI kind "time_slice": it cuts the window into slices of equal
// length and counts those that were bad. A slice is good by the share of its good
// events, or by a number that is at most, or at least, so much.
//
// A slice without data counts neither as good nor as bad; one in which no event
// happened is good, as nothing failed.
type TimeSlice struct {
	Prometheus     *Prometheus          `hcl:"prometheus,optional" doc:"Where the queries are asked; left out, the built-in one."`
	Slice          time.Duration        `hcl:"slice,optional" default:"1m" doc:"How long a slice is."`
	Bad            string               `hcl:"bad,optional" doc:"PromQL that counts the bad events of $slice." example:"sum(rate(http_requests_total{code=~\"5..\"}[$slice]))"`
	Good           string               `hcl:"good,optional" doc:"PromQL that counts the good events of $slice, where bad ones cannot be told." example:"sum(rate(http_requests_total{code=\"200\"}[$slice]))"`
	Total          string               `hcl:"total,optional" doc:"PromQL that counts all events of $slice." example:"sum(rate(http_requests_total[$slice]))"`
	SliceObjective *experiments.Percent `hcl:"slice_objective,optional" doc:"The share of good events that makes a slice good." example:"95%"`
	Query          string               `hcl:"query,optional" doc:"PromQL that gives one number for a slice, instead of events." example:"max(queue_length)"`
	AtMost         *float64             `hcl:"at_most,optional" doc:"The most that the number of a good slice may be." example:"100"`
	AtLeast        *float64             `hcl:"at_least,optional" doc:"The least that the number of a good slice may be." example:"1"`

	derived
}

// Events implements [Counted].
func (t *TimeSlice) Events() *Events { return t.once(t.write) }

func (t *TimeSlice) write() *Events {
	query, most, least := t.number()
	if query == "" {
		return &Events{Prometheus: t.Prometheus}
	}
	return sliced(t.Prometheus, t.Slice, query, most, least)
}

// number is what a slice is judged by, and its bounds; empty where that is wrong.
func (t *TimeSlice) number() (query string, most, least *float64) {
	if t.Query != "" {
		return t.Query, t.AtMost, t.AtLeast
	}
	inner := &Events{Prometheus: t.Prometheus, Bad: inWindow(t.Bad), Good: inWindow(t.Good), Total: inWindow(t.Total)}
	ratio, err := inner.ratioOrQuiet(t.Slice)
	if err != nil || t.SliceObjective == nil {
		return "", nil, nil
	}
	rest := t.SliceObjective.Rest()
	return ratio, &rest, nil
}

// inWindow makes a query over $slice one over $window.
func inWindow(text string) string { return strings.ReplaceAll(text, sliceName, windowName) }

// Slices implements [Sliced].
func (t *TimeSlice) Slices() *Slices {
	query, most, least := t.number()
	if query == "" {
		return nil
	}
	return &Slices{Slice: t.Slice, Bad: outOfBounds(t.Slice, query, most, least)}
}

// outOfBounds is 1 for a slice in which a number was out of its bounds, and 0 for one
// in which it was not. One that is NaN is neither: the comparison with -Inf drops it.
func outOfBounds(slice time.Duration, query string, most, least *float64) string {
	number := "(" + hang(strings.ReplaceAll(query, sliceName, InPromQL(slice)), ") > -Inf")
	if strings.Contains(query, "\n") {
		number = "(\n" + indent(hang(strings.Trim(strings.ReplaceAll(query, sliceName, InPromQL(slice)), "\n"), "\n) > -Inf"))
	}
	bound := func(x, slack float64) string { // the last digits of a share of two counts are noise
		return strconv.FormatFloat(x+slack*math.Abs(x), 'g', 14, 64)
	}
	var out []string
	if most != nil {
		out = append(out, "("+number+") > bool "+bound(*most, 1e-12))
	}
	if least != nil {
		out = append(out, "("+number+") < bool "+bound(*least, -1e-12))
	}
	if len(out) == 2 {
		return "clamp_max(max((" + out[0] + ") + (" + out[1] + ")), 1)"
	}
	return "max(" + out[0] + ")"
}

// sliced counts the slices in which a number was out of its bounds.
func sliced(where *Prometheus, slice time.Duration, query string, most, least *float64) *Events {
	bad := outOfBounds(slice, query, most, least)
	step := "[" + windowName + ":" + InPromQL(slice) + "]"
	return &Events{
		Prometheus: where,
		Bad:        "sum_over_time(" + bad + step + ")",
		Total:      "count_over_time(" + bad + step + ")",
		whole:      true,
	}
}

// String says what is counted.
func (t *TimeSlice) String() string {
	slice := experiments.FormatDuration(t.Slice)
	if t.Query != "" {
		return "bad: slices of " + slice + " in which " + t.Query + outside(t.AtMost, t.AtLeast) + "; total: slices with data"
	}
	part := "bad: " + t.Bad
	if t.Good != "" {
		part = "good: " + t.Good
	}
	return fmt.Sprintf("bad: slices of %s with less than %s good events (%s; total: %s); total: slices with data", slice, *t.SliceObjective, part, t.Total)
}

func outside(most, least *float64) string {
	var list []string
	if most != nil {
		list = append(list, fmt.Sprintf(" is above %g", *most))
	}
	if least != nil {
		list = append(list, fmt.Sprintf(" is below %g", *least))
	}
	return strings.Join(list, " or")
}

// Shortest holds two slices, and what their queries need.
func (t *TimeSlice) Shortest() time.Duration { return max(2*t.Slice, t.Events().Shortest()) }

// Validate implements [experiments.Validator].
func (t *TimeSlice) Validate() []experiments.Problem {
	problems := sliceProblems(t.Slice, t.Prometheus)
	problem := func(attribute, summary, detail string) {
		problems = append(problems, experiments.Problem{Attribute: attribute, Summary: summary, Detail: detail})
	}
	events := t.Bad != "" || t.Good != "" || t.Total != "" || t.SliceObjective != nil
	switch {
	case t.Query == "" && !events:
		problem("", "Nothing to judge a slice by", "Write bad (or good), total and slice_objective, or a query with at_most or at_least.")
	case t.Query != "" && events:
		problem("query", "Two ways to judge a slice", "Keep the query with its bounds, or bad (or good), total and slice_objective.")
	case t.Query != "" && t.AtMost == nil && t.AtLeast == nil:
		problem("query", "Number without a bound", "Write at_most or at_least, so that a slice can be good or bad.")
	case t.Query == "" && t.SliceObjective == nil:
		problem("", "Slice without an objective", "Write slice_objective, the share of good events that makes a slice good, such as \"95%\".")
	case t.Query == "" && (*t.SliceObjective <= 0 || *t.SliceObjective > 1):
		problem("slice_objective", "Objective out of range", "The share of good events that makes a slice good is above 0% and at most 100%.")
	case t.Query == "" && (t.AtMost != nil || t.AtLeast != nil):
		problem("", "Bound without a number", "at_most and at_least are for a query; a slice with events is judged by slice_objective.")
	}
	if len(problems) > 0 {
		return problems
	}
	if t.Query != "" {
		return append(problems, sliceQueryProblems(t.Query, t.write())...)
	}
	inner := &Events{Prometheus: t.Prometheus, Bad: inWindow(t.Bad), Good: inWindow(t.Good), Total: inWindow(t.Total)}
	for _, one := range inner.Validate() {
		one.Detail = strings.ReplaceAll(one.Detail, windowName, sliceName)
		problems = append(problems, one)
	}
	return problems
}

func sliceProblems(slice time.Duration, where *Prometheus) []experiments.Problem {
	switch {
	case slice < shortestSlice:
		return []experiments.Problem{{Attribute: "slice", Summary: "Slice too short", Detail: "A slice is at least 1s long; write \"1m\", for example."}}
	case slice < scrapesPerWindow*where.Interval():
		return []experiments.Problem{{Attribute: "slice", Summary: "Slice too short", Detail: fmt.Sprintf("A slice of %s holds too few scrapes to count in; write %s or more.",
			experiments.FormatDuration(slice), experiments.FormatDuration(scrapesPerWindow*where.Interval()))}}
	}
	return nil
}

// sliceQueryProblems checks a query that gives the number of a slice, by what it gives
// in place.
func sliceQueryProblems(query string, whole *Events) []experiments.Problem {
	problem := func(summary, detail string) []experiments.Problem {
		return []experiments.Problem{{Attribute: "query", Summary: summary, Detail: detail}}
	}
	if strings.Contains(query, windowName) {
		return problem("No window here", "The query is asked for each slice; write $slice in place of $window.")
	}
	parsed, err := parse(strings.ReplaceAll(query, sliceName, windowName))
	if err != nil {
		return problem("Not PromQL", "The query cannot be read "+strings.ReplaceAll(err.Error(), windowName, sliceName)+".")
	}
	if kind := parsed.root.Type(); kind != parser.ValueTypeVector {
		return problem("Not a number of a slice", "The query gives a "+string(kind)+"; write one that gives one number, such as max(queue_length).")
	}
	for _, one := range whole.Validate() {
		return problem(one.Summary, one.Detail)
	}
	return nil
}

// Count implements [experiments.SLI].
func (t *TimeSlice) Count(ctx context.Context, at time.Time, window time.Duration) experiments.Count {
	return count(ctx, t, at, window)
}

// sortedBounds sorts the bounds of buckets by their size; those that are no numbers
// come last.
func sortedBounds(list []string) []string {
	size := func(text string) float64 {
		number, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return math.Inf(1)
		}
		return number
	}
	slices.SortFunc(list, func(a, b string) int {
		switch x, y := size(a), size(b); {
		case x < y:
			return -1
		case x > y:
			return 1
		}
		return strings.Compare(a, b)
	})
	return list
}
