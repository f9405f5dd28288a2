package imports

import (
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/gameday-sh/gameday/experiments"
)

// OpenSLO v1, as https://github.com/OpenSLO/OpenSLO describes it.

func isOpenSLO(doc *node) bool { return strings.HasPrefix(doc.get("apiVersion").peek(), "openslo") }

// openSLOKinds reads each kind of document.
var openSLOKinds = kinds{
	{"SLO", readOpenSLO},
	{"SLI", readIndicator},
	{"Service", readService},
	{"DataSource", readDataSource},
	{"AlertPolicy", readAlerting},
	{"AlertCondition", readAlerting},
	{"AlertNotificationTarget", readAlerting},
}

type kinds []struct {
	kind string
	read func(r *reader, doc *node)
}

func (k kinds) read(r *reader, doc *node) {
	if version := doc.get("apiVersion").text(); version != "openslo/v1" {
		doc.get("apiVersion").wrong("%s cannot be read; convert it to openslo/v1 first", version)
		doc.ignore()
		return
	}
	kind := doc.get("kind").text()
	var known []string
	for _, one := range k {
		if one.kind == kind {
			one.read(r, doc)
			return
		}
		known = append(known, one.kind)
	}
	doc.wrong("there is no kind %q in openslo/v1; there is: %s", kind, strings.Join(known, ", "))
	doc.ignore()
}

// openSLO is a document of kind SLO while it is read. One slo comes of each objective.
type openSLO struct {
	slo
	indicator  *node // where an SLI is written: metadata and spec
	method     string
	methodAt   *node
	objectives []*node
}

var openSLOMetadata = handlers[*slo]{
	{"name", func(_ *reader, n *node, s *slo) { s.name = n.text() }},
	{"labels", func(_ *reader, n *node, s *slo) { s.readLabels(n) }},
	{"annotations", func(_ *reader, n *node, s *slo) {
		for _, annotation := range n.members() {
			if !s.readRunbook(annotation) {
				s.remark(annotation, annotation.key)
			}
		}
	}},
}

var openSLOSpec = handlers[*openSLO]{
	{"description", func(_ *reader, n *node, s *openSLO) { s.description = n.text() }},
	{"service", func(_ *reader, n *node, s *openSLO) {
		s.prefix = n.text()
		s.label(n, "service", s.prefix)
	}},
	{"indicator", func(_ *reader, n *node, s *openSLO) { s.indicator = n }},
	{"indicatorRef", readIndicatorRef},
	{"timeWindow", readTimeWindow},
	{"budgetingMethod", func(_ *reader, n *node, s *openSLO) { s.method, s.methodAt = n.text(), n }},
	{"objectives", func(_ *reader, n *node, s *openSLO) { s.objectives = n.list() }},
	{"alertPolicies", func(_ *reader, n *node, s *openSLO) {
		if len(n.list()) > 0 {
			n.lose("%s", alertsElsewhere)
		}
	}},
}

const alertsElsewhere = "gameday rules writes the alerts of an slo from its objective and window"

func readOpenSLO(r *reader, doc *node) {
	s := &openSLO{slo: slo{at: doc}}
	metadata, spec := doc.get("metadata"), doc.get("spec")
	if metadata.get("name").peek() == "" {
		doc.wrong("the SLO has no metadata.name")
	}
	openSLOMetadata.into(r, metadata, &s.slo)
	r.later = append(r.later, func() { s.finish(r, metadata, spec) })
}

func (s *openSLO) finish(r *reader, metadata, spec *node) {
	openSLOSpec.into(r, spec, s)
	display := metadata.get("displayName")
	if s.description == "" {
		s.description = display.text()
	} else if display != nil {
		s.remark(display, "Known as")
	}
	s.owned()
	if s.window == "" && s.calendar == nil {
		s.window = "30d"
		s.at.changed("there is no timeWindow: a window of 30d was written")
	}
	if spec.get("indicator") != nil && spec.get("indicatorRef") != nil {
		spec.get("indicatorRef").wrong("there is an indicator too; keep one of them")
	}
	if len(s.objectives) == 0 {
		s.at.wrong("the SLO has no spec.objectives")
	}
	s.method = s.budgeting()
	own := make([][]string, len(s.objectives))
	for i, objective := range s.objectives {
		own[i] = objective.allComments()
	}
	rest := s.at.allComments()
	for i, objective := range s.objectives {
		one := s.slo
		one.comments = slices.Concat(rest, own[i], s.comments)
		rest = nil
		one.at = objective
		if len(s.objectives) == 1 {
			one.at = s.at
		}
		one.labels = slices.Clone(s.labels)
		s.goal(r, &one, objective, i)
		if one.sli == nil && s.methodAt != nil {
			one.comments = append(one.comments, "Budgeting method: "+s.method)
			s.methodAt.note(Lost, "the slo is kept as a comment, and this in it")
		}
		r.slos = append(r.slos, &one)
	}
}

// goal reads one objective into an slo of its own.
func (s *openSLO) goal(r *reader, into *slo, n *node, i int) {
	name := n.get("displayName")
	switch {
	case len(s.objectives) == 1:
		into.remark(name, "Objective")
	case len(s.objectives) > 1:
		suffix := identifier(name.text())
		if suffix == "" {
			suffix = fmt.Sprint(i + 1)
		}
		into.name = s.name + "-" + strings.ToLower(suffix)
		n.changed("an slo has one objective: this one became the slo %q", into.name)
	}
	target, percent := n.get("target"), n.get("targetPercent")
	switch {
	case target != nil && percent != nil:
		percent.wrong("there is a target too; keep one of them")
	case target != nil:
		into.objective = target.objective(target.rational(false), "a share such as 0.999; a percent goes into targetPercent")
	case percent != nil:
		into.objective = percent.objective(percent.percent(), "a percent such as 99.9")
	default:
		n.wrong("the objective has neither target nor targetPercent")
	}
	if weight := n.get("compositeWeight"); weight != nil {
		weight.lose("there are no composites: each objective is an slo of its own")
	}
	indicator := s.indicator
	switch {
	case n.get("indicator") != nil:
		indicator = n.get("indicator")
	case n.get("indicatorRef") != nil:
		one := *s
		readIndicatorRef(r, n.get("indicatorRef"), &one)
		indicator, into.why = one.indicator, one.why
	}
	if indicator == nil {
		if into.why == "" {
			n.wrong("the SLO has neither indicator nor indicatorRef")
		}
		return
	}
	spec := indicator.get("spec")
	if spec == nil {
		indicator.wrong("the indicator has no spec")
		return
	}
	indicator.get("metadata", "name").ignore() // a name to refer to, and nothing refers to it
	if display := indicator.get("metadata", "displayName"); display != nil {
		into.remark(display, "SLI")
	}
	if description := spec.get("description"); description != nil {
		into.remark(description, "SLI")
	}
	s.measure(r, into, spec, n)
}

func readIndicatorRef(r *reader, n *node, s *openSLO) {
	name := n.text()
	if found := r.indicators[name]; found != nil {
		s.indicator = found
		return
	}
	s.why = fmt.Sprintf("there is no SLI %q in the files that are given", name)
	n.lose("%s; name its file too", s.why)
}

func readIndicator(r *reader, doc *node) {
	name := doc.get("metadata", "name")
	if name.peek() == "" {
		doc.wrong("the SLI has no metadata.name")
		return
	}
	if first := r.indicators[name.text()]; first != nil {
		name.wrong("there is an SLI %q already, in %s on line %d", name.peek(), first.file, first.line)
		return
	}
	r.indicators[name.peek()] = doc
}

// unusedIndicators names the SLIs that no SLO refers to.
func (r *reader) unusedIndicators() {
	for _, name := range slices.Sorted(maps.Keys(r.indicators)) {
		if sli := r.indicators[name]; sli.get("spec").untouched() {
			sli.lose("no SLO refers to the SLI %q", name)
		}
	}
}

// readService keeps a service as the label of its SLOs.
func readService(r *reader, doc *node) {
	name := doc.get("metadata", "name")
	r.head = append(r.head, doc.allComments()...)
	if display := doc.get("metadata", "displayName"); display != nil {
		r.head = append(r.head, fmt.Sprintf("Service %s: %s", name.text(), display.text()))
		display.note(Lost, "kept as a comment")
	}
	if description := doc.get("spec", "description"); description != nil {
		r.head = append(r.head, fmt.Sprintf("Service %s: %s", name.text(), description.text()))
		description.note(Lost, "a service is a label of its SLOs; its description is kept as a comment")
	}
}

// readDataSource makes a connection of a Prometheus.
func readDataSource(r *reader, doc *node) {
	kind := doc.get("spec", "type").text()
	if !isPrometheus(kind) {
		doc.lose("gameday asks Prometheus only, and this is %q", kind)
		return
	}
	s := &source{at: doc, name: doc.get("metadata", "name").text(), comments: doc.allComments()}
	if description := doc.get("spec", "description"); description != nil {
		s.comments = append(s.comments, description.text())
		description.note(Lost, "kept as a comment")
	}
	details := doc.get("spec", "connectionDetails")
	for _, member := range details.members() {
		if strings.EqualFold(member.key, "url") && !withUser(member.peek()) {
			s.url = member.text()
			continue
		}
		member.lose("add it to the prometheus block by hand, a secret as bearer_token = env(\"...\")")
	}
	if s.url == "" {
		doc.lose("its connectionDetails name no url without a password in it; declare it by hand: prometheus %q { url = ... }", s.name)
		return
	}
	r.sources = append(r.sources, s)
}

var userInURL = pattern(`^[a-zA-Z][a-zA-Z0-9+.-]*://[^/?#]*@`)

func withUser(text string) bool { return userInURL().MatchString(text) }

func isPrometheus(kind string) bool {
	return slices.Contains([]string{"prometheus", "thanos", "mimir", "cortex", "victoriametrics"}, strings.ToLower(kind))
}

func readAlerting(r *reader, doc *node) {
	r.head = append(r.head, doc.allComments()...)
	name := doc.get("metadata", "name").text()
	var facts []string
	fact := func(what string, path ...string) {
		n := doc.get(path...)
		if text := n.peek(); text != "" {
			n.read = true
			facts = append(facts, what+" "+text)
		}
	}
	fact("", "metadata", "displayName")
	fact("", "spec", "description")
	fact("severity", "spec", "severity")
	fact("to", "spec", "target")
	for _, key := range []string{"kind", "op", "threshold", "lookbackWindow", "alertAfter"} {
		fact(key, "spec", "condition", key)
	}
	text := strings.TrimSpace(strings.Join(facts, ", "))
	kind := doc.get("kind").peek()
	r.head = append(r.head, strings.TrimSuffix(fmt.Sprintf("%s %s: %s", kind, name, text), ": "))
	hint := ""
	if op := strings.ToLower(doc.get("spec", "condition", "op").peek()); op == "lt" || op == "lte" {
		hint = fmt.Sprintf("; its op is %s, so it would fire while little of the budget burns, and seems inverted", op)
	}
	doc.note(Lost, "%s: %s, and this one is kept as a comment%s", kind, alertsElsewhere, hint)
	for _, key := range []string{"conditions", "notificationTargets"} {
		if list := doc.get("spec", key); list != nil {
			list.lose("%s", alertsElsewhere)
		}
	}
}

// A duration as OpenSLO writes it: a number and one letter.
var shorthand = pattern(`^([1-9]\d{0,5})([mhdwMQY])$`)

// readTimeWindow reads a list of one item.
func readTimeWindow(_ *reader, n *node, s *openSLO) {
	items := n.list()
	if len(items) != 1 {
		if !n.null && n.kind == yaml.SequenceNode {
			n.wrong("a timeWindow is a list of one item, and this has %d", len(items))
		}
		return
	}
	item := items[0]
	duration, calendarAt, rollingAt := item.get("duration"), item.get("calendar"), item.get("isRolling")
	rolling := calendarAt == nil
	if rollingAt != nil {
		if rolling = rollingAt.flag(); rolling && calendarAt != nil {
			rollingAt.wrong("a window with a calendar does not roll; take one of the two out")
			calendarAt.ignore()
			return
		}
	}
	if duration == nil {
		item.wrong("the window has no duration")
		return
	}
	found := shorthand().FindStringSubmatch(duration.text())
	if found == nil {
		duration.wrong("%q is not a duration of OpenSLO; write a number and one of m, h, d, w, M, Q and Y, such as 30d or 1M", duration.peek())
		return
	}
	if rolling {
		s.window = rollingWindow(duration, found[1], found[2])
		return
	}
	period := map[string]string{"1d": "day", "1w": "week", "7d": "week", "1M": "month", "1Q": "quarter", "3M": "quarter", "1Y": "year", "12M": "year", "4Q": "year"}[found[0]]
	if found[0] == "1m" {
		duration.changed("m means minutes, and no budget is for a calendar's minute: read as 1M, a month")
		period = "month"
	}
	if period == "" {
		s.window = rollingWindow(duration, found[1], found[2])
		duration.changed("a calendar has days, weeks, months, quarters and years: this became the rolling window %s", s.window)
		calendarAt.lose("the window rolls")
		return
	}
	s.calendar = &calendar{period: period}
	if calendarAt == nil {
		s.calendar.zone = "UTC"
		item.changed("the window does not roll and has no calendar: it became a %s in UTC", period)
		return
	}
	s.calendar.zone = calendarAt.get("timeZone").text()
	if start := calendarAt.get("startTime"); start != nil {
		s.calendar.start = startOf(start, period)
	}
}

// rollingWindow writes a rolling window in days and below.
func rollingWindow(n *node, count, unit string) string {
	days := map[string]int64{"M": 30, "Q": 90, "Y": 365}[unit]
	if days == 0 {
		d, err := experiments.ParseDuration(count + unit)
		if err != nil {
			n.wrong("%s", err)
			return ""
		}
		return experiments.FormatDuration(d)
	}
	total := new(big.Int).Mul(big.NewInt(days), integer(count))
	n.changed("a rolling window has one length: %s%s became %sd", count, unit, total)
	return total.String() + "d"
}

func integer(digits string) *big.Int {
	value, ok := new(big.Int).SetString(digits, 10)
	if !ok {
		return new(big.Int)
	}
	return value
}

// startOf reads the begin of a calendar's period; empty for the usual one.
func startOf(n *node, period string) string {
	text := strings.TrimSpace(n.text())
	for _, layout := range []string{"2006-01-02 15:04:05", "2006-01-02T15:04:05", "2006-01-02 15:04", "2006-01-02T15:04:05Z", "2006-01-02"} {
		at, err := time.Parse(layout, text)
		if err != nil {
			continue
		}
		usual := at.Hour() == 0 && at.Minute() == 0 && at.Second() == 0
		switch period {
		case "week":
			usual = usual && at.Weekday() == time.Monday
		case "month":
			usual = usual && at.Day() == 1
		case "quarter":
			usual = usual && at.Day() == 1 && at.Month()%3 == 1
		case "year":
			usual = usual && at.YearDay() == 1
		}
		if usual {
			return ""
		}
		return at.Format("2006-01-02T15:04:05")
	}
	n.wrong("%q is not a time; write it as 2022-01-01 12:00:00", text)
	return ""
}

// sourceOf finds the Prometheus that a DataSource became.
func (r *reader) sourceOf(name string) *source {
	i := slices.IndexFunc(r.sources, func(s *source) bool { return s.name == name })
	if i < 0 {
		return nil
	}
	return r.sources[i]
}
