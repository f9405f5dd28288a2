package imports

import (
	"fmt"
	"math/big"
	"strings"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/blocks"
)

// measure reads the spec of an SLI, for one objective.
func (s *openSLO) measure(r *reader, into *slo, spec, objective *node) {
	ratio, threshold := spec.get("ratioMetric"), spec.get("thresholdMetric")
	switch {
	case ratio != nil && threshold != nil:
		threshold.wrong("there is a ratioMetric too; keep one of them")
	case ratio != nil:
		s.ratio(r, into, ratio, objective)
	case threshold != nil:
		s.threshold(r, into, threshold, objective)
	default:
		spec.wrong("the SLI has neither ratioMetric nor thresholdMetric")
	}
}

// promQL reads the query of a metric.
func (r *reader) promQL(into *slo, metric *node) *query {
	source := metric.get("metricSource")
	kind, ref := source.get("type"), source.get("metricSourceRef")
	said := kind.text()
	if name := ref.text(); name != "" {
		if found := r.sourceOf(name); found != nil {
			into.source, said = found.name, "Prometheus"
		} else {
			ref.note(Lost, "there is no DataSource of a Prometheus %q in the files that are given", name)
		}
	}
	at := source.get("spec").either("query", "promql")
	switch {
	case said != "" && !isPrometheus(said):
		into.why = fmt.Sprintf("gameday asks Prometheus only, and this is %q", said)
		if !source.read { // another objective may have said so
			source.lose("%s", into.why)
		}
		return nil
	case at == nil:
		into.why = "there is no query"
		metric.lose("there is no metricSource.spec.query in it")
		return nil
	}
	return into.query(at)
}

// query reads PromQL. Where it cannot, the SLO has no SLI.
func (s *slo) query(at *node) *query {
	q, err := parseQuery(at.text())
	if err != nil {
		s.why = "its query cannot be used"
		at.lose("%s", err)
		return nil
	}
	if q.straightened {
		at.changed("typographic quotes and dashes became straight ones")
	}
	return q
}

// counted reads a query and makes it count the events of the window.
func (s *slo) counted(at *node, q *query, function string) *query {
	if q == nil {
		return nil
	}
	counting, said, err := q.count(function)
	if err != nil {
		s.why = "its query cannot be used"
		at.lose("%s", err)
		return nil
	}
	if len(said) > 0 {
		at.changed("%s", strings.Join(said, "; "))
	}
	return counting
}

// counter says by which function the counts are taken of a metric.
func counter(ratio *node, q *query) string {
	at := ratio.get("counter")
	switch {
	case at != nil && !at.flag():
		return "sum_over_time"
	case at == nil && q != nil && !q.hasRange():
		ratio.changed("it does not say whether the metrics are counters: taken as such")
	}
	return "rate"
}

func (s *openSLO) ratio(r *reader, into *slo, ratio, objective *node) {
	s.operator(objective, ratio)
	if value := objective.get("value"); value != nil {
		value.lose("a value is for a thresholdMetric, and this is a ratio")
	}
	if raw := ratio.get("raw"); raw != nil {
		s.raw(r, into, ratio, raw, objective)
		return
	}
	part, word := ratio.get("good"), "good"
	if bad := ratio.get("bad"); bad != nil {
		if part != nil {
			bad.wrong("there is good too; keep one of them")
			return
		}
		part, word = bad, "bad"
	}
	total := ratio.get("total")
	if part == nil || total == nil {
		ratio.wrong("a ratio has good (or bad) and total, or raw")
		return
	}
	partQuery, totalQuery := r.promQL(into, part), r.promQL(into, total)
	if partQuery == nil || totalQuery == nil {
		ratio.get("counter").ignore()
		s.keepSlices(into, objective)
		return
	}
	function := counter(ratio, totalQuery)
	partQuery = into.counted(queryAt(part), partQuery, function)
	totalQuery = into.counted(queryAt(total), totalQuery, function)
	if partQuery == nil || totalQuery == nil {
		s.keepSlices(into, objective)
		return
	}
	switch s.method {
	case "Timeslices":
		slice, target := s.slice(objective), s.sliceTarget(objective)
		if target == nil {
			return
		}
		into.sli = &sli{"time_slice", []blocks.Attribute{
			text(word, partQuery.over("$slice")), text("total", totalQuery.over("$slice")),
			text("slice_objective", percentText(target)), text("slice", slice),
		}}
	case "RatioTimeslices":
		slice := s.slice(objective)
		// Without the zero, a slice in which all went wrong would have no ratio where
		// good is counted, and would not weigh at all.
		part, total := strings.TrimSpace(partQuery.over(slice)), strings.TrimSpace(totalQuery.over(slice))
		if strings.Contains(part+total, "#") {
			part, total = part+"\n", total+"\n" // ends a comment
		}
		ratio := fmt.Sprintf("((%s) or 0 * (%s)) / ((%s) > 0)", part, total, total)
		into.sli = averaged(word, ratio, slice)
		s.methodAt.changed("the mean of the slices' ratios is written out: each slice of %s counts as one event, whatever its traffic", slice)
	default:
		into.sli = events(word, partQuery.String(), totalQuery.String())
	}
}

// averaged is the mean of a ratio over the window as counts: the sum of its values at
// each step, of their number.
func averaged(word, ratio, step string) *sli {
	if strings.Contains(ratio, "#") {
		ratio += "\n" // ends a comment
	}
	return events(word, fmt.Sprintf("sum_over_time((%s)[%s:%s])", ratio, window, step), fmt.Sprintf("count_over_time((%s)[%s:%s])", ratio, window, step))
}

func queryAt(metric *node) *node { return metric.get("metricSource", "spec").either("query", "promql") }

// raw reads a ratio that was computed before.
func (s *openSLO) raw(r *reader, into *slo, ratio, raw, objective *node) {
	ratio.get("counter").ignore() // has no effect on raw, says the specification
	word := map[string]string{"success": "good", "failure": "bad"}[ratio.get("rawType").text()]
	if word == "" {
		ratio.wrong("raw needs a rawType of success or failure")
		return
	}
	for _, key := range []string{"good", "bad", "total"} {
		if other := ratio.get(key); other != nil {
			other.wrong("there is raw too; keep one of them")
		}
	}
	q := r.promQL(into, raw)
	if q == nil {
		s.keepSlices(into, objective)
		return
	}
	into.sli = into.ratioAsEvents(queryAt(raw), q, word)
	if into.sli != nil && s.method != "Occurrences" {
		s.methodAt.note(Lost, "a raw ratio is averaged over the window")
	}
	s.keepSlices(into, objective)
}

// ratioAsEvents makes events of a ratio: of its two sides if it is a division of
// counts, and of its mean over the window otherwise. word says what it is the share of.
func (s *slo) ratioAsEvents(at *node, q *query, word string) *sli {
	if d := q.divide(); d != nil {
		part, partSaid, err := d.part.count("rate")
		total, _, other := d.total.count("rate")
		if err == nil && other == nil {
			if d.complement {
				word = map[string]string{"good": "bad", "bad": "good"}[word]
			}
			said := fmt.Sprintf("the ratio was taken apart into %s and total events, so that they can be counted", word)
			if d.orZero {
				said += "; \"or vector(0)\" behind it was left out, as no traffic is no success"
			}
			for _, change := range partSaid {
				said += "; " + change
			}
			at.changed("%s", said)
			return events(word, part.String(), total.String())
		}
	}
	const step = "5m"
	at.changed("a ratio has no events: its mean over the window is taken in steps of %s, each of which weighs the same, whatever its traffic. Events are better: write the two counts it is made of", step)
	return averaged(word, strings.TrimSpace(q.over(step)), step)
}

func (s *openSLO) threshold(r *reader, into *slo, metric, objective *node) {
	q := r.promQL(into, metric)
	op, value := objective.get("op"), objective.get("value")
	if op == nil || value == nil {
		objective.wrong("an objective of a thresholdMetric has op and value")
		return
	}
	bound := value.rational(false)
	attribute := map[string]string{"lte": "at_most", "lt": "at_most", "gte": "at_least", "gt": "at_least"}[op.text()]
	if attribute == "" {
		op.wrong("%q is not an operator; write lte, gte, lt or gt", op.peek())
		return
	}
	if len(op.peek()) == 2 {
		op.changed("%s of exactly the value counts as good here, as %s says", op.peek(), attribute)
	}
	if q == nil {
		s.keepSlices(into, objective)
		return
	}
	inverted(op, q, attribute)
	slice := "1m"
	switch s.method {
	case "Timeslices":
		slice = s.slice(objective)
		if target := objective.get("timeSliceTarget"); target != nil {
			target.lose("a slice is good by its one value, and not by a share of several")
		}
	default:
		if objective.get("timeSliceWindow") != nil {
			slice = s.slice(objective)
		}
		at := s.methodAt
		if at == nil {
			at = s.at
		}
		at.changed("a value has no events: slices of %s are counted, and each is good or bad by its value", slice)
	}
	if bound == nil {
		return
	}
	into.sli = &sli{"time_slice", []blocks.Attribute{
		text("query", q.over("$slice")), {Name: attribute, Value: blocks.Number(decimalText(bound))}, text("slice", slice),
	}}
}

// operator says what becomes of an op that has no meaning.
func (s *openSLO) operator(objective, ratio *node) {
	op := objective.get("op")
	switch op.text() {
	case "", "gt", "gte":
	case "lt", "lte":
		op.note(Lost, "an op is for a thresholdMetric. This one says that a small ratio is good: if that is meant, good and bad are the wrong way round in the SLI on line %d", ratio.line)
	default:
		op.wrong("%q is not an operator; write lte, gte, lt or gt", op.peek())
	}
}

var (
	lessIsBetter = pattern(`(?i)latency|latencies|duration|error|fail|lag|queue|delay|age_seconds|restart|saturation|utili[sz]ation|temperature`)
	moreIsBetter = pattern(`(?i)success|availab|uptime|throughput|satisfaction|\bup\b`)
)

// inverted tells of an op that seems to be the wrong way round.
func inverted(op *node, q *query, attribute string) {
	word := ""
	switch {
	case attribute == "at_least":
		word = lessIsBetter().FindString(q.text)
	default:
		word = moreIsBetter().FindString(q.text)
	}
	if word != "" {
		op.changed("%s became %s, and of %q one expects the contrary: see whether the op is inverted", op.peek(), attribute, word)
	}
}

// budgeting gives the method by which the budget is spent.
func (s *openSLO) budgeting() string {
	switch s.method {
	case "Occurrences", "Timeslices", "RatioTimeslices":
	case "":
		if s.methodAt == nil {
			s.at.changed("there is no budgetingMethod: Occurrences was taken")
		}
		return "Occurrences"
	default:
		s.methodAt.wrong("%q is not a method; write Occurrences, Timeslices or RatioTimeslices", s.method)
	}
	return s.method
}

// slice reads how long a time slice is; a number without a unit is minutes.
func (s *openSLO) slice(objective *node) string {
	at := objective.get("timeSliceWindow")
	if at == nil {
		objective.changed("there is no timeSliceWindow: slices of 1m were written")
		return "1m"
	}
	text := at.text()
	if whole().MatchString(text) {
		text += "m"
	}
	found := shorthand().FindStringSubmatch(text)
	if found == nil || strings.Contains("MQY", found[2]) {
		at.wrong("%q is not the length of a time slice; write one such as 1m", at.peek())
		return "1m"
	}
	d, err := experiments.ParseDuration(text)
	if err != nil {
		at.wrong("%s", err)
		return "1m"
	}
	return experiments.FormatDuration(d)
}

var whole = pattern(`^[1-9]\d{0,5}$`)

func (s *openSLO) sliceTarget(objective *node) *big.Rat {
	at := objective.get("timeSliceTarget")
	if at == nil {
		objective.wrong("with Timeslices an objective has a timeSliceTarget, such as 0.95")
		return nil
	}
	value := at.rational(false)
	if value != nil && (value.Sign() <= 0 || value.Cmp(one) > 0) {
		at.wrong("%s is not a share of good events; write one above 0 and at most 1, such as 0.95", at.peek())
		return nil
	}
	return value
}

// keepSlices names what is said of slices where the SLI has none.
func (s *openSLO) keepSlices(_ *slo, objective *node) {
	for _, key := range []string{"timeSliceTarget", "timeSliceWindow"} {
		if n := objective.get(key); n != nil && !n.read {
			n.lose("the SLI has no slices")
		}
	}
}

func text(name, value string) blocks.Attribute {
	return blocks.Attribute{Name: name, Value: blocks.Text(value)}
}
