package imports

import (
	"math/big"
	"net/url"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/blocks"
	"github.com/gameday-sh/gameday/internal/textsafe"
)

// slo is an SLO as it was read, whatever the format.
type slo struct {
	at *node
	// name as the file has it; id is the name that it gets.
	name, id string
	// prefix parts it from others of the same name: its service.
	prefix      string
	comments    []string
	description string
	objective   *big.Rat // the share that must be good
	window      string   // rolling: "30d"
	calendar    *calendar
	owner       string
	runbook     string
	labels      []label
	depends     []*node // names of others, as the file has them
	tied        []*slo  // what became of them
	policy      *policy
	source      string // name of the Prometheus that is asked
	sli         *sli
	// why there is no sli.
	why string
	off bool // it is kept as a comment
}

type calendar struct{ period, zone, start string }

type label struct{ name, value string }

// sli is what an SLO counts: a kind of the language and its attributes.
type sli struct {
	kind       string // empty for events
	attributes []blocks.Attribute
}

func events(goodOrBad, part, total string) *sli {
	return &sli{attributes: []blocks.Attribute{{Name: goodOrBad, Value: blocks.Text(part)}, {Name: "total", Value: blocks.Text(total)}}}
}

// policy is an error budget policy as it was read.
type policy struct {
	at          *node
	name, id    string
	description string
	comments    []string
	bands       []band
	alerts      []blocks.Block
	// objective, window and service are those of the SLOs it was written for.
	objective *big.Rat
	window    string
	service   string
}

type band struct {
	name    string
	atLeast *big.Rat // nil for the lowest
	actions []string
	allows  []string
}

// source is a Prometheus that SLOs ask.
type source struct {
	at       *node
	name, id string
	comments []string
	url      string
}

// label sets a label of an SLO. The first value of a name stays.
func (s *slo) label(n *node, name, value string) {
	if value == "" {
		return
	}
	id := labelID(name)
	for _, l := range s.labels {
		if l.name != id {
			continue
		}
		if l.value != value {
			n.note(Lost, "the label %s has the value %q already", id, l.value)
		}
		return
	}
	if id != name {
		n.changed("the label is named %s: Prometheus takes letters, digits and _ only", id)
	}
	s.labels = append(s.labels, label{id, value})
}

// readLabels reads a mapping of labels; the value of one may be a list.
func (s *slo) readLabels(n *node) {
	for _, member := range n.members() {
		if len(member.items) == 0 {
			s.label(member, member.key, member.text())
			continue
		}
		var values []string
		for _, item := range member.list() {
			values = append(values, item.text())
		}
		if len(values) > 1 {
			member.changed("a label has one value here: the %d of the list are joined by commas", len(values))
		}
		s.label(member, member.key, strings.Join(values, ","))
	}
}

// owned takes the label owner for the owner too.
func (s *slo) owned() {
	for _, l := range s.labels {
		if l.name == "owner" && s.owner == "" {
			s.owner = l.value
		}
	}
}

var notInLabel = pattern(`[^a-zA-Z0-9_]+`)

func labelID(name string) string {
	id := strings.TrimLeft(notInLabel().ReplaceAllString(name, "_"), "_0123456789")
	if id == "" {
		return "label"
	}
	return id
}

// readRunbook takes an annotation for the runbook, if it is one.
func (s *slo) readRunbook(n *node) bool {
	switch strings.ToLower(n.key) {
	case "runbook", "runbook_url", "runbookurl", "runbook-url":
	default:
		return false
	}
	u, err := url.Parse(n.peek())
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || s.runbook != "" && s.runbook != n.peek() {
		return false
	}
	s.runbook = n.text()
	return true
}

// remark keeps a part as a comment, and says so.
func (s *slo) remark(n *node, what string) {
	text := n.text()
	if text == "" { // null, or not there
		return
	}
	s.comments = append(s.comments, what+": "+text)
	n.note(Lost, "kept as a comment")
}

// number is what a file may give as a number: not NaN, not infinite, not 1_000.
var number = pattern(`^[+-]?(\d{1,20}(\.\d{0,30})?|\.\d{1,30})([eE][+-]?\d{1,2})?$`)

// rational reads a number, exactly. A percent sign behind it is let pass, where the
// number is a percent.
func (n *node) rational(percent bool) *big.Rat {
	text := strings.TrimSpace(n.text())
	if n.kind != yaml.ScalarNode {
		return nil // which was said
	}
	if percent {
		text = strings.TrimSpace(strings.TrimSuffix(text, "%"))
	}
	if value, ok := new(big.Rat).SetString(text); ok && number().MatchString(text) {
		return value
	}
	n.wrong("%q is not a number; write one such as %s", text, map[bool]string{true: "99.9", false: "0.999"}[percent])
	return nil
}

var one, hundred, onePercent, tenThousand = big.NewRat(1, 1), big.NewRat(100, 1), big.NewRat(1, 100), big.NewRat(10_000, 1)

// percent reads a percent as a share of 1.
func (n *node) percent() *big.Rat {
	value := n.rational(true)
	if value != nil {
		value.Quo(value, hundred)
	}
	return value
}

// objective checks the share that must be good. written is how the input writes one.
func (n *node) objective(value *big.Rat, written string) *big.Rat {
	switch {
	case value == nil:
		return nil
	case value.Cmp(one) >= 0:
		n.wrong("an objective of %s leaves no error budget; write one below 100%%, as %s", textsafe.Line(percentText(value), 20), written)
	case value.Sign() <= 0:
		n.wrong("an objective of %s leaves nothing to fall short of; write one above 0%%, as %s", percentText(value), written)
	default:
		return value
	}
	return nil
}

// percentText writes a share as a percent, with the digits it has.
func percentText(share *big.Rat) string {
	return decimalText(new(big.Rat).Mul(share, hundred)) + "%"
}

// decimalText writes a number with the digits it has. Those that are read from files
// have at most 130 behind the point; a quotient ends there.
func decimalText(value *big.Rat) string {
	text := value.FloatString(130)
	return strings.TrimSuffix(strings.TrimRight(text, "0"), ".")
}

// duration reads a duration such as 30d or 5m.
func (n *node) duration() time.Duration {
	text := n.text()
	d, err := experiments.ParseDuration(text)
	if err != nil || d <= 0 {
		n.wrong("%q is not a duration; write one such as 30d or 5m", text)
		return 0
	}
	return d
}

// seconds writes a number of seconds as a duration.
func seconds(value *big.Rat) (string, bool) {
	nanoseconds := new(big.Rat).Mul(value, big.NewRat(int64(time.Second), 1))
	if !nanoseconds.IsInt() || !nanoseconds.Num().IsInt64() || nanoseconds.Sign() <= 0 {
		return "", false
	}
	return experiments.FormatDuration(time.Duration(nanoseconds.Num().Int64())), true
}
