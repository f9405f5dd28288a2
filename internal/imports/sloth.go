package imports

import (
	"fmt"
	"math/big"
	"strings"
)

// Sloth, as https://github.com/slok/sloth describes it: `version: prometheus/v1`, and
// the resource of Kubernetes, which spells its keys in camel case.

func isSloth(doc *node) bool {
	return strings.HasPrefix(doc.get("version").peek(), "prometheus/") || strings.HasPrefix(doc.get("apiVersion").peek(), "sloth.slok.dev/")
}

// sloth is a document while it is read.
type sloth struct {
	service string
	labels  *node
}

// slothFormat is how documents are read.
type slothFormat struct {
	slo handlers[*slo]
}

var slothSpec = slothFormat{slo: handlers[*slo]{
	{"name", func(_ *reader, n *node, s *slo) { s.name = n.text() }},
	{"description", func(_ *reader, n *node, s *slo) { s.description = n.text() }},
	{"objective", func(_ *reader, n *node, s *slo) {
		s.objective = n.objective(percentAbove1(n), "a percent such as 99.9")
	}},
	{"labels", func(_ *reader, n *node, s *slo) { s.readLabels(n) }},
	{"sli", readSlothSLI},
	{"alerting", readSlothAlerting},
}}

func (f slothFormat) read(r *reader, doc *node) {
	spec := doc
	if doc.get("apiVersion") != nil {
		version, kind := doc.get("apiVersion").text(), doc.get("kind").text()
		if version != "sloth.slok.dev/v1" || kind != "PrometheusServiceLevel" {
			doc.get("apiVersion").wrong("kind %q of %s cannot be read; expected PrometheusServiceLevel of sloth.slok.dev/v1", kind, version)
			doc.ignore()
			return
		}
		if name := doc.get("metadata", "name"); name != nil {
			r.head = append(r.head, "PrometheusServiceLevel "+name.text())
			name.note(Lost, "kept as a comment")
		}
		spec = doc.get("spec")
	} else if version := doc.get("version"); version.text() != "prometheus/v1" {
		version.wrong("%s cannot be read; expected prometheus/v1", version.peek())
		doc.ignore()
		return
	}
	one := sloth{service: spec.get("service").text(), labels: spec.get("labels")}
	list := spec.get("slos")
	if len(list.list()) == 0 {
		doc.wrong("there are no slos in it")
	}
	list.note(Changed, "Sloth takes the window from a flag, 30d if it is not given: 30d was written")
	var read []*slo
	for _, item := range list.list() {
		read = append(read, f.one(r, one, item))
	}
	r.head = append(r.head, doc.allComments()...) // what is not within an slo
	for _, s := range read {
		if s.name == "" {
			s.at.wrong("the slo has no name")
		}
		r.slos = append(r.slos, s)
	}
}

func (f slothFormat) one(r *reader, doc sloth, item *node) *slo {
	s := &slo{at: item, prefix: doc.service, window: "30d", comments: item.allComments()}
	f.slo.into(r, item, s)
	if item.get("objective") == nil {
		item.wrong("the slo has no objective")
	}
	if item.get("sli") == nil {
		item.wrong("the slo has no sli")
	}
	if doc.service != "" {
		s.label(item, "service", doc.service)
	}
	// The labels of the slo go before those of the document.
	for _, l := range doc.labels.members() {
		if !has(s.labels, labelID(l.key)) {
			s.label(l, l.key, l.text())
		} else {
			l.read = true
		}
	}
	s.owned()
	return s
}

func has(list []label, name string) bool {
	for _, l := range list {
		if l.name == name {
			return true
		}
	}
	return false
}

func readSlothSLI(_ *reader, n *node, s *slo) {
	events, raw, plugin := n.get("events"), n.get("raw"), n.get("plugin")
	switch {
	case events != nil && raw != nil:
		raw.wrong("there are events too; keep one of them")
	case events != nil:
		bad, total := events.either("error_query", "errorQuery"), events.either("total_query", "totalQuery")
		if bad == nil || total == nil {
			events.wrong("events have an error_query and a total_query")
			return
		}
		badQuery, totalQuery := s.counted(bad, s.query(bad), "rate"), s.counted(total, s.query(total), "rate")
		if badQuery == nil || totalQuery == nil {
			total.ignore()
			return
		}
		s.sli = eventsOf(badQuery, totalQuery)
	case raw != nil:
		at := raw.either("error_ratio_query", "errorRatioQuery")
		if at == nil {
			raw.wrong("raw has an error_ratio_query")
			return
		}
		if q := s.query(at); q != nil {
			s.sli = s.ratioAsEvents(at, q, "bad")
		}
	case plugin != nil:
		s.why = "its queries are made by a plugin of Sloth"
		if id := plugin.get("id").peek(); id != "" {
			s.why = fmt.Sprintf("its queries are made by Sloth's plugin %q", id)
		}
		plugin.lose("%s; take them from the rules that sloth generate writes", s.why)
	default:
		n.wrong("the sli has neither events nor raw")
	}
}

func eventsOf(bad, total *query) *sli { return events("bad", bad.String(), total.String()) }

// readSlothAlerting keeps what a person or a router of alerts would miss.
func readSlothAlerting(_ *reader, n *node, s *slo) {
	for _, member := range n.members() {
		switch member.key {
		case "name":
			s.remark(member, "Alert")
		case "labels":
			for _, l := range member.members() {
				s.label(l, l.key, l.text())
			}
		case "annotations":
			for _, annotation := range member.members() {
				if !s.readRunbook(annotation) {
					s.remark(annotation, "Alert's "+annotation.key)
				}
			}
		case "page_alert", "pageAlert", "ticket_alert", "ticketAlert":
			slothAlert(member, s)
		}
	}
}

// slothAlert keeps what is said of one of the two alerts as a comment: an slo has one
// set of labels.
func slothAlert(n *node, s *slo) {
	which := strings.ToLower(strings.TrimSuffix(strings.TrimSuffix(n.key, "_alert"), "Alert"))
	if disable := n.get("disable"); disable != nil && disable.flag() {
		s.comments = append(s.comments, fmt.Sprintf("The %s alert was disabled", which))
		disable.note(Lost, "gameday rules writes all alerts; this is kept as a comment")
	}
	var facts []string
	for _, key := range []string{"labels", "annotations"} {
		if part := n.get(key); part != nil && len(part.fields) > 0 {
			for _, member := range part.fields {
				facts = append(facts, fmt.Sprintf("%s = %q", member.key, member.peek()))
			}
			part.lose("%s are those of an slo and not of one of its alerts: kept as a comment", key)
		}
	}
	if len(facts) > 0 {
		s.comments = append(s.comments, fmt.Sprintf("The %s alert had %s", which, strings.Join(facts, ", ")))
	}
}

// percentAbove1 reads a percent, and refuses one that is a share by all appearances.
func percentAbove1(n *node) *big.Rat {
	value := n.percent()
	if value != nil && value.Sign() > 0 && value.Cmp(onePercent) < 0 {
		n.wrong("%s is a percent, so it is below 1%%; if the share is meant, write %s", n.peek(), decimalText(new(big.Rat).Mul(value, tenThousand)))
		return nil
	}
	return value
}
