package imports

import (
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/blocks"
)

// Plain YAML, as handbooks on reliability write it: slo, slos, slis, user_journeys,
// error_budget_policy and golden_signals at the first level of a document.

// plainKeys reads each key of the first level.
var plainKeys = plainTable{
	{"slo", func(r *reader, n *node) {
		for _, one := range namedOrOne(n) {
			r.plainSLO(one)
		}
	}},
	{"slos", func(r *reader, n *node) {
		for _, one := range named(n) {
			r.plainSLO(one)
		}
	}},
	{"slis", func(r *reader, n *node) {
		for _, one := range named(n) {
			r.slis = append(r.slis, plainSLI{name: nameOf(one), at: one})
		}
	}},
	{"user_journeys", readJourneys},
	{"error_budget_policy", func(r *reader, n *node) {
		for _, one := range namedOrOne(n) {
			r.plainPolicy(one)
		}
	}},
	{"golden_signals", readGoldenSignals},
}

type plainTable []struct {
	key  string
	read func(r *reader, n *node)
}

func isPlain(doc *node) bool {
	for _, one := range plainKeys {
		if doc.get(one.key) != nil {
			return true
		}
	}
	return false
}

func (t plainTable) read(r *reader, doc *node) {
	for _, one := range t {
		if n := doc.get(one.key); n != nil {
			one.read(r, n)
		}
	}
	r.head = append(r.head, doc.allComments()...)
}

type plainSLI struct {
	name string
	at   *node
	used bool
}

// orphans makes slos of slis with a threshold that no slo refers to.
func (r *reader) orphans() {
	for i := range r.slis {
		if !r.slis[i].used {
			r.orphan(&r.slis[i])
		}
	}
}

// named gives the members of a list or of a mapping by name.
func named(n *node) []*node {
	if n.kind == yaml.SequenceNode {
		return n.list()
	}
	return n.members()
}

// namedOrOne is named, for a key that may hold a single one as well.
func namedOrOne(n *node) []*node {
	if n.kind == yaml.MappingNode {
		n.read = true
		return []*node{n}
	}
	return n.list()
}

// nameOf is the name of a member: its attribute, or its key in a mapping of several.
func nameOf(n *node) string {
	if name := n.get("name"); name != nil {
		return name.text()
	}
	return n.key
}

// plainObjective is an slo while it is read.
type plainObjective struct {
	slo
	sliAt, below, percentile *node
}

var plainSLOKeys = handlers[*plainObjective]{
	{"description", func(_ *reader, n *node, s *plainObjective) { s.description = n.text() }},
	{"target", func(_ *reader, n *node, s *plainObjective) {
		s.objective = n.objective(percentAbove1(n), "a percent such as 99.9")
	}},
	{"window", func(_ *reader, n *node, s *plainObjective) {
		if d := n.duration(); d > 0 {
			s.window = experiments.FormatDuration(d)
		}
	}},
	{"service", func(_ *reader, n *node, s *plainObjective) {
		s.prefix = n.text()
		s.label(n, "service", s.prefix)
	}},
	{"labels", func(_ *reader, n *node, s *plainObjective) { s.readLabels(n) }},
	{"owner", func(_ *reader, n *node, s *plainObjective) { s.owner = n.text() }},
	{"runbook", func(_ *reader, n *node, s *plainObjective) {
		if !s.readRunbook(n) {
			s.remark(n, "Runbook")
		}
	}},
	{"sli", func(_ *reader, n *node, s *plainObjective) { s.sliAt = n }},
	{"target_less_than", func(_ *reader, n *node, s *plainObjective) { s.below = n }},
	{"percentile", func(_ *reader, n *node, s *plainObjective) { s.percentile = n }},
	{"dependencies", func(_ *reader, n *node, s *plainObjective) { s.depends = n.list() }},
	{"alerting", readPlainAlerting},
}

func (r *reader) plainSLO(n *node) {
	s := &plainObjective{slo: slo{at: n, name: nameOf(n)}}
	belowComment := n.get("target_less_than").said()
	s.comments = n.allComments()
	plainSLOKeys.into(r, n, s)
	if s.name == "" {
		n.wrong("the slo has no name")
	}
	if s.window == "" {
		s.window = "30d"
		n.changed("there is no window: 30d was written")
	}
	r.slos = append(r.slos, &s.slo)
	r.later = append(r.later, func() { r.finishPlain(s, belowComment) })
}

// said is the comment behind a value.
func (n *node) said() string {
	if n == nil {
		return ""
	}
	return strings.Join(n.comments, " ")
}

// burnRate matches burn_rate_1h.
var burnRate = pattern(`^burn_rate_(\w+)$`)

// budgetShares are the shares of the budget whose spending raises an alert, by the
// long window, as the SRE workbook has them ("Alerting on SLOs").
var budgetShares = map[string]*big.Rat{"1h": big.NewRat(2, 100), "6h": big.NewRat(5, 100), "1d": big.NewRat(10, 100), "3d": big.NewRat(10, 100)}

func readPlainAlerting(_ *reader, n *node, s *plainObjective) {
	for _, member := range n.members() {
		found := burnRate().FindStringSubmatch(member.key)
		if found == nil {
			continue
		}
		factor := member.rational(false)
		long, err := experiments.ParseDuration(found[1])
		over, bad := experiments.ParseDuration(s.at.get("window").peek())
		share := budgetShares[experiments.FormatDuration(long)]
		if err == nil && bad == nil && long > 0 && share != nil && factor != nil {
			written := new(big.Rat).Mul(share, big.NewRat(int64(over), int64(long)))
			if written.Cmp(factor) == 0 {
				member.note(Lost, "gameday rules derives this factor, %s over %s, from the window by itself", decimalText(factor), found[1])
				continue
			}
			member.note(Lost, "gameday rules derives the factors from the window: %s over %s, and not %s", short(written), found[1], decimalText(factor))
			continue
		}
		member.note(Lost, "gameday rules derives the factors of its alerts from the window")
	}
}

func short(value *big.Rat) string {
	return strings.TrimSuffix(strings.TrimRight(value.FloatString(3), "0"), ".")
}

// finishPlain finds the SLI of an slo, once all are read.
func (r *reader) finishPlain(s *plainObjective, belowComment string) {
	s.owned()
	from := s.sliAt
	switch {
	case from == nil:
		s.why = "it has no sli"
		s.at.note(Lost, "the slo says not what is measured: it is kept as a comment")
		s.below.ignore()
		s.percentile.ignore()
	case from.kind == yaml.ScalarNode:
		name := from.text()
		i := slices.IndexFunc(r.slis, func(one plainSLI) bool { return one.name == name })
		if i < 0 {
			s.why = fmt.Sprintf("there is no sli %q in the files that are given", name)
			from.note(Lost, "%s: the slo is kept as a comment; name that file too", s.why)
			break
		}
		r.slis[i].used = true
		s.fromSLI(r.slis[i], belowComment)
	default:
		s.inline(from)
	}
	if s.objective == nil && s.below == nil && s.percentile == nil {
		s.at.wrong("the slo has no target")
	}
}

// inline reads the sli that stands within an slo.
func (s *plainObjective) inline(n *node) {
	if n.get("query") != nil {
		s.fromSLI(plainSLI{name: s.name, at: n}, "")
		return
	}
	part, word := n.either("numerator", "good"), "good"
	if bad := n.get("bad"); bad != nil && part == nil {
		part, word = bad, "bad"
	}
	total := n.either("denominator", "total")
	if part == nil || total == nil {
		n.wrong("an sli has numerator and denominator, or query")
		return
	}
	if kind := n.get("type"); kind != nil {
		s.label(kind, "sli_type", kind.text())
	}
	partQuery, totalQuery := s.counted(part, s.query(part), "rate"), s.counted(total, s.query(total), "rate")
	if partQuery == nil || totalQuery == nil {
		total.ignore()
		return
	}
	d := &division{part: partQuery, total: totalQuery}
	if said := d.counts(n.get("type").peek()); said == "bad" && part.key == "numerator" {
		word = "bad"
		part.changed("the numerator counts bad events, by its matchers or by its type")
	}
	s.sli = events(word, partQuery.String(), totalQuery.String())
}

// fromSLI makes of an sli with a query what the slo counts.
func (s *plainObjective) fromSLI(from plainSLI, belowComment string) {
	at := from.at.get("query")
	if at == nil {
		from.at.wrong("the sli has no query")
		return
	}
	description := from.at.get("description").text()
	switch {
	case s.description == "":
		s.description = description
	case description != "" && description != s.description:
		s.comments = append(s.comments, "SLI: "+description)
	}
	s.comments = append(s.comments, from.at.allComments()...)
	q := s.query(at)
	if q == nil {
		from.at.get("unit").ignore()
		from.at.get("threshold").ignore()
		return
	}
	if p := q.quantile(); p != nil {
		s.latency(from, p, belowComment)
		return
	}
	if s.below != nil || s.percentile != nil {
		s.below.lose("the sli %q is no percentile", from.name)
		s.percentile.lose("the sli %q is no percentile", from.name)
	}
	s.unit(from, "percent", "ratio")
	if threshold := from.at.get("threshold"); threshold != nil && s.objective != nil && !threshold.read {
		threshold.lose("the target of the slo counts")
	}
	d := q.divide()
	word := ""
	if d != nil {
		word = d.counts(from.name + " " + description)
	}
	if word == "" {
		s.why = "its query is no ratio of good or bad events to all events"
		at.lose("%s", s.why)
		return
	}
	if d.complement {
		word = map[string]string{"good": "bad", "bad": "good"}[word]
	}
	s.sli = s.ratioAsEvents(at, q, word)
}

// unit reads the unit of an sli, which its query must agree with.
func (s *plainObjective) unit(from plainSLI, fitting ...string) string {
	at := from.at.get("unit")
	unit := strings.ToLower(at.text())
	if unit != "" && !slices.Contains(fitting, unit) {
		at.changed("%s does not fit the query, and was not followed", unit)
		return ""
	}
	return unit
}

// latency makes "95% of requests within 500ms" of "p95 below 500ms".
func (s *plainObjective) latency(from plainSLI, p *quantile, belowComment string) {
	unit := s.unit(from, "seconds", "s", "milliseconds", "ms")
	queried, err := new(big.Rat).SetString(strconv.FormatFloat(p.share, 'f', -1, 64))
	if !err {
		from.at.wrong("the quantile in the query is no number")
		return
	}
	share := queried
	if s.percentile != nil {
		if share = s.percentile.objective(percentAbove1(s.percentile), "a percentile such as 95"); share == nil {
			return
		}
		if share.Cmp(queried) != 0 {
			s.percentile.changed("the query of the sli asks for the quantile %s; the percentile of the slo was taken", decimalText(queried))
		}
	} else if share = from.at.objective(queried, "a quantile such as 0.95"); share == nil {
		return
	}
	if s.objective != nil && s.objective.Cmp(share) != 0 {
		s.at.get("target").lose("the objective of a percentile is its share, %s", percentText(share))
	}
	s.objective = share
	within, at := "", from.at.get("threshold")
	if at != nil {
		within = bound(at, unit, "")
	}
	if s.below != nil {
		below := bound(s.below, "", belowComment+" "+s.belowUnit(unit, at))
		if within != "" && below != within {
			s.below.changed("the threshold of the sli is %s; the target of the slo was taken: %s", within, below)
		}
		within, at = below, s.below
	}
	if at == nil {
		s.why = "there is no bound on the latency"
		from.at.get("query").lose("%s: neither target_less_than nor threshold", s.why)
		return
	}
	if within == "" {
		return
	}
	at.changed("a percentile has no error budget: this became the same as a share, %s of requests within %s", percentText(share), within)
	kind := &sli{"latency", []blocks.Attribute{text("histogram", p.histogram), text("within", within)}}
	if strings.HasPrefix(unit, "m") && !strings.Contains(p.histogram, "_seconds") {
		kind.attributes = append(kind.attributes, text("unit", "milliseconds"))
	}
	if p.native {
		kind.attributes = append(kind.attributes, blocks.Attribute{Name: "native", Value: blocks.Bool(true)})
	}
	s.sli = kind
}

// belowUnit guesses the unit of target_less_than where no comment says it: a number
// that would be a thousand times the threshold of the sli is in milliseconds.
func (s *plainObjective) belowUnit(unit string, threshold *node) string {
	if strings.HasPrefix(unit, "m") {
		return "ms"
	}
	below, bad := new(big.Rat).SetString(s.below.peek())
	limit, worse := new(big.Rat).SetString(threshold.peek())
	switch {
	case !bad || !number().MatchString(s.below.peek()):
		return ""
	case worse && number().MatchString(threshold.peek()) && limit.Cmp(below) == 0:
		return "s"
	case below.Cmp(big.NewRat(10, 1)) >= 0:
		return "ms" // nobody waits ten seconds for an answer and calls it good
	}
	return "s"
}

var (
	milliseconds = pattern(`(?i)\b(ms|milliseconds?|millis)\b`)
	inSeconds    = pattern(`(?i)\b(s|secs?|seconds?)\b`)
)

// bound reads how long a request may take: with a unit, or in the unit that is said
// beside it.
func bound(n *node, unit, hint string) string {
	if d, err := experiments.ParseDuration(n.peek()); err == nil && d > 0 {
		n.read = true
		return experiments.FormatDuration(d)
	}
	value := n.rational(false)
	if value == nil {
		return ""
	}
	words := unit + " " + hint
	millis, whole := milliseconds().FindStringIndex(words), inSeconds().FindStringIndex(words)
	if millis != nil && (whole == nil || millis[0] < whole[0]) {
		value.Quo(value, big.NewRat(1000, 1))
	}
	text, ok := seconds(value)
	if !ok {
		n.wrong("%q is not how long a request may take; write one such as 500ms", n.peek())
	}
	return text
}

// orphan is an sli that no slo refers to. With a threshold it says as much as an slo.
func (r *reader) orphan(from *plainSLI) {
	threshold := from.at.get("threshold")
	if threshold == nil {
		from.at.lose("no slo refers to it, and it has no threshold")
		return
	}
	s := &plainObjective{slo: slo{at: from.at, name: from.name, window: "30d"}}
	from.at.changed("no slo refers to this sli: its threshold became the objective of an slo of its own, over 30d")
	r.slos = append(r.slos, &s.slo)
	q, err := parseQuery(from.at.get("query").peek())
	if err == nil && q.quantile() != nil {
		s.fromSLI(*from, "")
		return
	}
	s.objective = threshold.limit(from.at.get("unit").peek())
	if err == nil && s.objective != nil {
		if d := q.divide(); d != nil && (d.counts(from.name+" "+from.at.get("description").peek()) == "bad") != d.complement {
			s.objective.Sub(one, s.objective) // the errors that are allowed
		}
		s.objective = threshold.objective(s.objective, "a percent")
	}
	s.fromSLI(*from, "")
}

// limit reads a threshold in percent or as a share.
func (n *node) limit(unit string) *big.Rat {
	if strings.EqualFold(unit, "ratio") {
		return n.rational(false)
	}
	return n.percent()
}
