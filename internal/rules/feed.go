package rules

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/experiments/probes/prom"
)

// state is what is fed to an SLO.
type state int

const (
	healthy state = iota
	burning
	quiet // traffic stands still, its series are there
	gone
)

// fed is a series and how it moves: by so much from scrape to scrape, or at a value.
type fed struct {
	labels labels.Labels
	gauge  bool
	in     map[state]float64
}

// feed is series for an SLO, and what its queries make of them.
type feed struct {
	slo     *experiments.SLO
	series  []fed
	queries []selection
	// share of bad events while burning.
	share float64
	// stands tells that traffic can stand still, which is neither bad nor good.
	stands bool
	// step is the longest of those that subqueries of the SLO's own go by: what happens
	// within one is seen at its end.
	step time.Duration
}

const (
	// scrape is how far samples are apart.
	scrape = 15 * time.Second
	// leastTraffic is how many events there are at least from scrape to scrape.
	leastTraffic = 1000.0
)

// newFeed makes series for the queries of an SLO, and asks the queries whether they take
// them as they are meant. share is the share of bad events to reach, where it can be set.
func newFeed(engine *promql.Engine, slo *experiments.SLO, share float64) (*feed, error) {
	counted, ok := slo.SLI.(prom.Counted)
	if !ok {
		return nil, errors.New("it rests on a probe")
	}
	var candidates []*feed
	var err error
	switch sli := slo.SLI.(type) {
	case *prom.Throughput:
		candidates, err = numbers(windowed(sli.Query, sli.Slice), []float64{2 * sli.AtLeast}, []float64{sli.AtLeast / 2})
	case *prom.TimeSlice:
		if sli.Query == "" {
			candidates, err = ratios(windowed(sli.Bad, sli.Slice), windowed(sli.Good, sli.Slice), windowed(sli.Total, sli.Slice), 1)
			break
		}
		candidates, err = numbers(windowed(sli.Query, sli.Slice), bounds(sli.AtMost, sli.AtLeast), bounds(sli.AtMost, sli.AtLeast))
	default:
		e := counted.Events()
		candidates, err = ratios(windowed(e.Bad, baseWindow), windowed(e.Good, baseWindow), windowed(e.Total, baseWindow), share)
	}
	if err != nil {
		return nil, err
	}
	window := 20 * time.Minute
	if sliced, ok := counted.(prom.Sliced); ok && sliced.Slices() != nil {
		window = max(window, 4*sliced.Slices().Slice)
	}
	if window > 2*time.Hour {
		return nil, fmt.Errorf("its slices are too long to try")
	}
	query, err := counted.Events().Ratio(window)
	if err != nil {
		return nil, err
	}
	for _, f := range candidates {
		f.slo = slo
		var taken bool
		if taken, err = f.taken(engine, query, window); err != nil {
			return nil, err
		}
		if taken {
			f.step, err = longestStep(query)
			return f, err
		}
	}
	return nil, errors.New("no series could be made that its queries take as healthy, and others that they take as bad")
}

// longestStep is the longest step that a subquery of a query gives itself; 0 for none.
func longestStep(query string) (time.Duration, error) {
	expr, err := parser.NewParser(parser.Options{}).ParseExpr(query)
	if err != nil {
		return 0, err
	}
	var step time.Duration
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		if sub, ok := node.(*parser.SubqueryExpr); ok {
			step = max(step, sub.Step)
		}
		return nil
	})
	return step, nil
}

// taken tries the feed on the query for the share of bad events.
func (f *feed) taken(engine *promql.Engine, query string, window time.Duration) (bool, error) {
	good, err := f.ask(engine, query, window, healthy)
	if err != nil || len(good) != 1 || good[0].F != 0 {
		return false, err
	}
	bad, err := f.ask(engine, query, window, burning)
	if err != nil || len(bad) != 1 || !(bad[0].F > 0) || bad[0].F > 1+1e-9 {
		return false, err
	}
	f.share = min(bad[0].F, 1)
	still, err := f.ask(engine, query, window, quiet)
	f.stands = err == nil && len(still) == 0
	return true, err
}

// newEngine is one like a server's.
func newEngine() *promql.Engine {
	return promql.NewEngine(promql.EngineOpts{
		MaxSamples: 1_000_000, Timeout: time.Minute, LookbackDelta: 5 * time.Minute,
		NoStepSubqueryIntervalFn: func(int64) int64 { return time.Minute.Milliseconds() },
		EnableAtModifier:         true, EnableNegativeOffset: true, Parser: parser.NewParser(parser.Options{}),
	})
}

// ask evaluates a query over series that have been in a state for a window and more.
func (f *feed) ask(engine *promql.Engine, query string, window time.Duration, in state) (promql.Vector, error) {
	store := prom.NewStore(1000, 24*time.Hour)
	steps := int64((window + 10*time.Minute) / scrape)
	for _, s := range f.series {
		for i := range steps + 1 {
			value := s.in[in]
			if !s.gauge {
				value *= float64(i)
			}
			if err := store.Append([]prom.Sample{{Labels: s.labels, At: i * scrape.Milliseconds(), Float: value}}); err != nil {
				return nil, err
			}
		}
	}
	ctx := context.Background()
	asked, err := engine.NewInstantQuery(ctx, store, nil, query, time.UnixMilli(steps*scrape.Milliseconds()))
	if err != nil {
		return nil, err
	}
	defer asked.Close()
	result := asked.Exec(ctx)
	if result.Err != nil {
		return nil, result.Err
	}
	return result.Vector()
}

// windowed puts a length in the place of a query's window.
func windowed(query string, window time.Duration) string {
	text := prom.InPromQL(window)
	return strings.ReplaceAll(strings.ReplaceAll(query, "$window", text), "$slice", text)
}

// ratios feeds counters to queries for a part and for all of the events, and values to
// queries that do not count.
func ratios(bad, good, total string, share float64) ([]*feed, error) {
	part, badShare := bad, true
	if good != "" {
		part, badShare = good, false
	}
	parts, expr, err := selections(part)
	if err != nil {
		return nil, err
	}
	all, whole, err := selections(total)
	if err != nil {
		return nil, err
	}
	if native(expr) || native(whole) {
		return nil, errors.New("not every version of promtool can be fed with native histograms")
	}
	if !counters(expr) || !counters(whole) {
		list := append(literals(expr), literals(whole)...)
		return allOf(append(parts, all...), false, list, list), nil
	}
	counter := func(series labels.Labels, good, bad float64) fed {
		return fed{labels: series, in: map[state]float64{healthy: good, burning: bad, quiet: 0}}
	}
	// Whole numbers only: the noise of others would read as resets of counters.
	traffic := leastTraffic
	for math.Abs(math.Round(share*traffic)-share*traffic) > 1e-6 && traffic < 1e9 {
		traffic *= 10
	}
	badTraffic := math.Round(share * traffic)
	f := &feed{}
	apart := map[int]bool{}
	for i := range all {
		apart[i] = true
	}
	for _, p := range parts {
		joined := false
		for i, t := range all {
			of, rest, ok := split(t, p)
			if !ok {
				continue
			}
			joined, apart[i] = true, false
			if badShare {
				f.add(counter(of, 0, badTraffic), counter(rest, traffic, traffic-badTraffic))
			} else {
				f.add(counter(of, traffic, traffic-badTraffic), counter(rest, 0, badTraffic))
			}
		}
		if joined {
			continue
		}
		series, ok := p.make(nil)
		if !ok {
			return nil, fmt.Errorf("no series could be made for %s", p)
		}
		if badShare {
			f.add(counter(series, 0, badTraffic))
		} else {
			f.add(counter(series, traffic, traffic-badTraffic))
		}
	}
	for i, t := range all {
		if !apart[i] {
			continue
		}
		series, ok := t.make(nil)
		if !ok {
			return nil, fmt.Errorf("no series could be made for %s", t)
		}
		f.add(counter(series, traffic, traffic))
	}
	f.queries = append(slices.Clone(parts), all...)
	return []*feed{f}, nil
}

// add adds series that are not there yet.
func (f *feed) add(list ...fed) {
	for _, s := range list {
		if !slices.ContainsFunc(f.series, func(other fed) bool { return labels.Equal(other.labels, s.labels) }) {
			f.series = append(f.series, s)
		}
	}
}

// numbers feeds a query that gives one number, as a rate or as a value, with numbers
// that may be good and bad.
func numbers(query string, good, bad []float64) ([]*feed, error) {
	all, expr, err := selections(query)
	if err != nil {
		return nil, err
	}
	if native(expr) {
		return nil, errors.New("not every version of promtool can be fed with native histograms")
	}
	if counters(expr) {
		for i := range good {
			good[i] = math.Ceil(good[i] * scrape.Seconds())
		}
		for i := range bad {
			bad[i] = math.Floor(bad[i] * scrape.Seconds())
		}
	}
	return allOf(all, counters(expr), good, bad), nil
}

// allOf tries every number that may be good with every one that may be bad.
func allOf(all []selection, counts bool, good, bad []float64) []*feed {
	var list []*feed
	for _, g := range good {
		for _, b := range bad {
			if g == b {
				continue
			}
			f := &feed{queries: all}
			for _, s := range all {
				if series, ok := s.make(nil); ok {
					f.add(fed{labels: series, gauge: !counts, in: map[state]float64{healthy: g, burning: b, quiet: 0}})
				}
			}
			if !counts {
				for i := range f.series {
					f.series[i].in[quiet] = g // a value cannot stand still
				}
			}
			list = append(list, f)
		}
	}
	return list
}

// bounds are numbers on either side of the bounds of a slice, and between them.
func bounds(most, least *float64) []float64 {
	var list []float64
	for _, bound := range []*float64{most, least} {
		if bound != nil {
			list = append(list, around(*bound)...)
		}
	}
	if most != nil && least != nil {
		list = append(list, (*most+*least)/2)
	}
	return list
}

func around(x float64) []float64 {
	if x == 0 {
		return []float64{0, 1, -1}
	}
	return []float64{x / 2, 2 * x, x}
}

// literals are the numbers in a query, and others near them.
func literals(expr parser.Expr) []float64 {
	list := []float64{0, 1}
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		if n, ok := node.(*parser.NumberLiteral); ok && !math.IsInf(n.Val, 0) && !math.IsNaN(n.Val) {
			list = append(list, around(n.Val)...)
		}
		return nil
	})
	return list
}

// counters tells whether a query reads counters.
func counters(expr parser.Expr) bool {
	return calls(expr, func(name string) bool { return name == "rate" || name == "increase" || name == "irate" })
}

// native tells whether a query reads native histograms.
func native(expr parser.Expr) bool {
	return calls(expr, func(name string) bool {
		return strings.HasPrefix(name, "histogram_") && name != "histogram_quantile"
	})
}

func calls(expr parser.Expr, is func(name string) bool) bool {
	found := false
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		if call, ok := node.(*parser.Call); ok {
			found = found || is(call.Func.Name)
		}
		return nil
	})
	return found
}

// apart tells that neither of two feeds is seen by the other's queries.
func (f *feed) apart(other *feed) bool {
	sees := func(reader, feeds *feed) bool {
		for _, s := range feeds.series {
			for _, q := range reader.queries {
				if q.matches(s.labels) {
					return true
				}
			}
		}
		return false
	}
	return !sees(f, other) && !sees(other, f)
}

// notation writes a series as promtool reads it: x{job="y"}.
func notation(series labels.Labels) string {
	var list []string
	series.Range(func(l labels.Label) {
		if l.Name != model.MetricNameLabel {
			list = append(list, fmt.Sprintf("%s=%q", l.Name, l.Value))
		}
	})
	if len(list) == 0 {
		return series.Get(model.MetricNameLabel)
	}
	return series.Get(model.MetricNameLabel) + "{" + strings.Join(list, ", ") + "}"
}
