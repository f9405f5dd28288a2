package prom

import (
	"context"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/gameday-sh/gameday/experiments"
)

// This file has the checks that ask a server.

func tinyBudget(ctx context.Context, s *lintSubject) ([]LintFinding, error) {
	c, err := s.count(ctx)
	if err != nil {
		return nil, err
	}
	seen, err := s.seen(ctx, c.Window)
	if err != nil {
		return nil, err
	}
	events := c.Total * s.slo.Window.Seconds() / seen.Seconds()
	allowed := s.slo.Budget() * events
	if allowed >= 1 {
		return nil, nil
	}
	what := "events"
	if s.sli.Events().sliced {
		what = "slices"
	}
	return []LintFinding{{Attribute: "objective",
		Wrong: fmt.Sprintf("At the traffic of the last %s, %s has about %s %s, of which %s allows %s to be bad.", experiments.FormatDuration(seen), s.slo.PeriodText(), short(events), what, s.slo.Objective, short(allowed)),
		Write: fmt.Sprintf("Write an objective of at most %s, or a longer window.", atMostPercent(1-10/max(events, 20)))}}, nil
}

// seen is for how much of a window there are samples: a service may be new.
func (s *lintSubject) seen(ctx context.Context, window time.Duration) (time.Duration, error) {
	selector := s.selector()
	if selector == "" {
		return window, nil
	}
	apart, err := s.spacing(ctx, selector, s.where.Interval())
	if err != nil {
		return 0, err
	}
	samples, _, err := s.ask(ctx, fmt.Sprintf("max(count_over_time(%s[%dms]))", selector, window.Milliseconds()))
	seen := time.Duration(samples * float64(apart)).Round(time.Minute)
	if err != nil || seen > window*9/10 || seen <= 0 {
		return window, err
	}
	return seen, nil
}

// atMostPercent rounds a share down to as few digits as say it.
func atMostPercent(share float64) experiments.Percent {
	digits := math.Pow(10, math.Ceil(-math.Log10(1-share))+1)
	return experiments.Percent(math.Floor(share*digits) / digits)
}

func missingLabel(ctx context.Context, s *lintSubject) (list []LintFinding, err error) {
	asked := map[string]bool{}
	for _, q := range s.queries {
		for _, selector := range q.selectors {
			i := slices.IndexFunc(selector.LabelMatchers, func(m *labels.Matcher) bool {
				return m.Name == model.MetricNameLabel && m.Type == labels.MatchEqual
			})
			if i < 0 {
				continue // a metric by a pattern
			}
			name := selector.LabelMatchers[i]
			for _, m := range selector.LabelMatchers {
				if m.Name == model.MetricNameLabel || !silent(m) || asked[name.Value+" "+m.Name] {
					continue
				}
				asked[name.Value+" "+m.Name] = true
				metric := selectorOf([]*labels.Matcher{name})
				if _, there, err := s.ask(ctx, "count("+metric+")"); err != nil {
					return list, err
				} else if !there {
					continue // no-data tells
				}
				_, there, err := s.ask(ctx, "count("+selectorOf([]*labels.Matcher{name, labels.MustNewMatcher(labels.MatchNotEqual, m.Name, "")})+")")
				if err != nil {
					return list, err
				}
				if there {
					continue
				}
				effect := "matches nothing"
				if m.Matches("") {
					effect = "matches everything"
				}
				list = append(list, LintFinding{Attribute: q.attribute,
					Wrong: fmt.Sprintf("The matcher %s %s: no series of %s has the label %q.", m, effect, selector.Name, m.Name),
					Write: "Correct the name of the label" + s.labelsOf(ctx, metric) + "."})
			}
		}
	}
	return list, nil
}

var classOfStatus = regexp.MustCompile(`\b[1-5][xX]{2}\b`)

func statusClass(ctx context.Context, s *lintSubject) (list []LintFinding, err error) {
	for _, q := range s.queries {
		for _, selector := range q.selectors {
			for _, m := range selector.LabelMatchers {
				if selector.Name == "" || !classOfStatus.MatchString(m.Value) {
					continue
				}
				name := labels.MustNewMatcher(labels.MatchEqual, model.MetricNameLabel, selector.Name)
				having := func(pattern string) (bool, error) {
					_, there, err := s.ask(ctx, "count("+selectorOf([]*labels.Matcher{name, labels.MustNewMatcher(labels.MatchRegexp, m.Name, pattern)})+")")
					return there, err
				}
				classes, err := having(".*[xX]{2}.*")
				if err != nil || classes {
					return list, err
				}
				if numbers, err := having("[1-5][0-9]{2}"); err != nil || !numbers {
					return list, err
				}
				pattern := classOfStatus.ReplaceAllStringFunc(m.Value, func(class string) string { return class[:1] + ".." })
				list = append(list, LintFinding{Attribute: q.attribute,
					Wrong: fmt.Sprintf("%s matches no status: the label %q of %s has numbers.", m, m.Name, selector.Name),
					Write: fmt.Sprintf("Write %s=~%q.", m.Name, pattern)})
			}
		}
	}
	return list, nil
}

// labelsOf lists the labels of a metric, as the end of a sentence.
func (s *lintSubject) labelsOf(ctx context.Context, metric string) string {
	answer, err := s.query(ctx, "topk(20, "+metric+")")
	if err != nil {
		return ""
	}
	var names []string
	for _, point := range answer.Points {
		point.Labels.Range(func(l labels.Label) {
			if l.Name != model.MetricNameLabel && !slices.Contains(names, l.Name) {
				names = append(names, l.Name)
			}
		})
	}
	if len(names) == 0 {
		return "; the metric has none"
	}
	slices.Sort(names)
	return "; there is: " + brief(strings.Join(names, ", "))
}

func noData(ctx context.Context, s *lintSubject) ([]LintFinding, error) {
	c, err := s.count(ctx)
	if c.Condition == experiments.OK || c.Condition == experiments.Unreachable {
		return nil, err
	}
	// The why is a sentence without its begin and end.
	return []LintFinding{{
		Wrong: fmt.Sprintf("Over the last %s it gives %s: %s.", experiments.FormatDuration(c.Window), orNoNumber(c.Condition), strings.TrimSuffix(c.Why, ".")),
		Write: "Ask the server for the metrics by hand, and correct their names and labels; if the service is idle or down, lint again when it is not."}}, nil
}

func orNoNumber(condition experiments.Condition) string {
	if condition == experiments.Refused {
		return "no number (refused)"
	}
	return string(condition)
}

// selector is for the series that tell how often is scraped: of total, as that is there
// also while nothing fails.
func (s *lintSubject) selector() (selector string) {
	for _, q := range s.queries {
		if len(q.selectors) > 0 {
			selector = bare(q.selectors[0]) // total is the last
		}
	}
	return selector
}

// scrapeInterval compares the distance of samples with what the configuration says.
func scrapeInterval(ctx context.Context, s *lintSubject) ([]LintFinding, error) {
	selector := s.selector()
	if selector == "" {
		return nil, fmt.Errorf("its queries name no metric")
	}
	said := s.where.Interval()
	real, err := s.spacing(ctx, selector, said)
	if err != nil {
		return nil, err
	}
	need := experiments.FormatDuration(scrapesPerWindow * real)
	var slice time.Duration
	for _, q := range s.queries {
		slice = max(slice, q.slice)
	}
	if sli, ok := s.slo.SLI.(*TimeSlice); ok {
		slice = sli.Slice
	}
	switch {
	case slice > 0 && float64(slice) < 0.9*scrapesPerWindow*float64(real):
		return []LintFinding{{Attribute: "slice", Wrong: fmt.Sprintf("Samples come every %s, so that a slice of %s holds fewer than %d.", experiments.FormatDuration(real), experiments.FormatDuration(slice), scrapesPerWindow),
			Write: fmt.Sprintf("Write slice = %q or more, and scrape_interval = %q in the prometheus block.", need, experiments.FormatDuration(real))}}, nil
	case float64(s.slo.Window) < 0.9*scrapesPerWindow*float64(real):
		return []LintFinding{{Attribute: "window", Wrong: fmt.Sprintf("Samples come every %s, so that a window of %s holds fewer than %d.", experiments.FormatDuration(real), experiments.FormatDuration(s.slo.Window), scrapesPerWindow),
			Write: fmt.Sprintf("Write window = %q or more.", need)}}, nil
	case float64(real) > 1.5*float64(said):
		return []LintFinding{{Wrong: fmt.Sprintf("Samples come every %s, and scrape_interval is %s: windows of %s pass as long enough.", experiments.FormatDuration(real), experiments.FormatDuration(said), experiments.FormatDuration(scrapesPerWindow*said)),
			Write: fmt.Sprintf("Write scrape_interval = %q in the prometheus block.", experiments.FormatDuration(real))}}, nil
	}
	return nil, nil
}

// spacing is how far apart the samples of a selector are. Series may be young: it looks
// at a few scrapes first, and further back only while that holds too few samples.
func (s *lintSubject) spacing(ctx context.Context, selector string, said time.Duration) (time.Duration, error) {
	count := func(span time.Duration) (float64, error) {
		most, _, err := s.ask(ctx, fmt.Sprintf("max(count_over_time(%s[%dms]))", selector, span.Milliseconds()))
		return most, err
	}
	for span := scrapesPerWindow * said; ; span *= 2 {
		n, err := count(span)
		switch {
		case err != nil:
			return 0, err
		case n < scrapesPerWindow && span > 2*time.Hour:
			return 0, fmt.Errorf("there are fewer than %d samples in the last %s to tell by", scrapesPerWindow, experiments.FormatDuration(span))
		case n < scrapesPerWindow:
			continue
		}
		// Over a longer time the ends weigh less, if the series were there.
		for range 3 {
			more, err := count(4 * span)
			if err != nil {
				return 0, err
			}
			if more < 3*n {
				break
			}
			span, n = 4*span, more
		}
		real := time.Duration(float64(span) / n).Round(100 * time.Millisecond)
		if real > 10*time.Second {
			real = real.Round(time.Second)
		}
		return real, nil
	}
}

func mostlyBad(ctx context.Context, s *lintSubject) ([]LintFinding, error) {
	c, err := s.count(ctx)
	if err != nil || c.Ratio() <= 0.5 {
		return nil, err
	}
	finding := LintFinding{
		Wrong: fmt.Sprintf("Over the last %s, %s%% of its events were bad.", experiments.FormatDuration(c.Window), short(100*c.Ratio())),
		Write: "If the service is well, turn the comparison round (write what is bad as good; in an OpenSLO file, op), or correct the bound.",
	}
	switch s.slo.SLI.(type) {
	case *Throughput:
		finding.Attribute, finding.Write = "at_least", "If the service is well, write a lower floor, in the unit of the query."
	case *Latency:
		finding.Attribute, finding.Write = "within", "If the service is well, write a longer bound, in the unit of the histogram."
	}
	return []LintFinding{finding}, nil
}

// notAPart asks for series that bad or good reads and total does not.
func notAPart(ctx context.Context, s *lintSubject) ([]LintFinding, error) {
	part, total := s.part()
	if part == nil || total == nil || len(part.selectors) != 1 || len(total.selectors) != 1 || nameOf(part.selectors[0]) != nameOf(total.selectors[0]) {
		return nil, nil
	}
	series := fmt.Sprintf("(%s unless %s)", bare(part.selectors[0]), bare(total.selectors[0]))
	answer, err := s.query(ctx, "topk(1, "+series+")")
	if err != nil || len(answer.Points) == 0 {
		return nil, err
	}
	return []LintFinding{{Attribute: part.attribute,
		Wrong: fmt.Sprintf("%s counts series that total does not, such as %s.", part.attribute, brief(answer.Points[0].Labels.String())),
		Write: fmt.Sprintf("Write the matchers of total in %s as well, and one more for the outcome.", part.attribute)}}, nil
}

// number is a query over all slices of the time that is looked at.
func (s *lintSubject) number(q lintQuery) string {
	return fmt.Sprintf("(%s\n)[%dms:%dms]", q.over(q.slice), s.over().Milliseconds(), q.slice.Milliseconds())
}

// percentAsked finds bounds that are a hundred times off what a ratio was.
func percentAsked(ctx context.Context, s *lintSubject) ([]LintFinding, error) {
	for _, q := range s.queries {
		bound, what := q.bound()
		if !q.number || !isRatio(q.root) && !strings.Contains(q.text, "percent") && !strings.Contains(q.text, "utilization") && !strings.Contains(q.text, "saturation") {
			continue
		}
		most, there, err := s.ask(ctx, "max(max_over_time("+s.number(q)+"))")
		if err != nil || !there || math.IsNaN(most) {
			return nil, err
		}
		switch {
		case bound > 1 && bound <= 100 && most <= 1 && what == "at_most":
			return []LintFinding{{Attribute: what, Wrong: fmt.Sprintf("The query was never above %s, and %s is %s.", short(most), what, short(bound)), Write: fmt.Sprintf("Write %s = %s, if the query gives a share of 0 to 1.", what, short(bound/100))}}, nil
		case bound > 0 && bound <= 1 && most > 1.5 && most <= 100:
			return []LintFinding{{Attribute: what, Wrong: fmt.Sprintf("The query was as high as %s, and %s is %s.", short(most), what, short(bound)), Write: fmt.Sprintf("Write %s = %s, if the query gives percent.", what, short(bound*100))}}, nil
		}
	}
	return nil, nil
}

// enoughSlices is how many must be equal before a query counts as one that never varies.
const enoughSlices = 20

func constantQuery(ctx context.Context, s *lintSubject) ([]LintFinding, error) {
	for _, q := range s.queries {
		if !q.number {
			continue
		}
		if len(q.selectors) == 0 {
			return []LintFinding{{Attribute: q.attribute, Wrong: "The query reads no metric.", Write: "Write a query of a metric that says how the service does."}}, nil
		}
		counted, there, err := s.ask(ctx, "max(count_over_time("+s.number(q)+"))")
		if err != nil {
			return nil, err
		}
		if !there || counted < enoughSlices {
			return nil, fmt.Errorf("there are fewer than %d slices with data in the last %s to tell by", enoughSlices, experiments.FormatDuration(s.over()))
		}
		varies, _, err := s.ask(ctx, "max(max_over_time("+s.number(q)+") - min_over_time("+s.number(q)+"))")
		if err != nil || varies != 0 {
			return nil, err
		}
		value, _, err := s.ask(ctx, "max(max_over_time("+s.number(q)+"))")
		return []LintFinding{{Attribute: q.attribute, Wrong: fmt.Sprintf("The query gave %s in each of %s slices.", short(value), short(counted)), Write: "Write a query of something that changes with the load or the health of the service."}}, err
	}
	return nil, nil
}
