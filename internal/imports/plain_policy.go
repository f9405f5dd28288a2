package imports

import (
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"strings"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/blocks"
)

var plainPolicyKeys = handlers[*policy]{
	{"name", func(_ *reader, n *node, p *policy) { p.name = n.text() }},
	{"service", func(_ *reader, n *node, p *policy) { p.service = n.text() }},
	{"description", func(_ *reader, n *node, p *policy) { p.description = n.text() }},
	{"slo_target", func(_ *reader, n *node, p *policy) {
		p.objective = n.objective(percentAbove1(n), "a percent such as 99.9")
	}},
	{"window", func(_ *reader, n *node, p *policy) {
		if d := n.duration(); d > 0 {
			p.window = experiments.FormatDuration(d)
		}
	}},
	{"thresholds", readBands},
	{"alerts", readBudgetAlerts},
}

func (r *reader) plainPolicy(n *node) {
	p := &policy{at: n, comments: n.allComments()}
	plainPolicyKeys.into(r, n, p)
	if p.name == "" {
		p.name = p.service
	}
	if p.name == "" {
		p.name = "standard"
	}
	if len(p.bands) == 0 {
		n.wrong("the policy has no thresholds")
	}
	r.policies = append(r.policies, p)
}

// govern ties a policy to the slos that it seems to be for: those of its service, or
// those with its target and window.
func (r *reader) govern(p *policy) {
	var ids []string
	for _, s := range r.slos {
		same := s.objective != nil && p.objective != nil && s.objective.Cmp(p.objective) == 0 && s.window == p.window
		if s.policy != nil || !same && (p.service == "" || s.prefix != p.service) {
			continue
		}
		s.policy = p
		ids = append(ids, fmt.Sprintf("%q", s.name))
	}
	var of []string
	if p.service != "" {
		of = append(of, "service "+p.service)
	}
	if p.objective != nil {
		of = append(of, "target "+percentText(p.objective))
	}
	if p.window != "" {
		of = append(of, "window "+p.window)
	}
	if len(of) == 0 {
		return
	}
	written := strings.Join(of, ", ")
	p.comments = append(p.comments, "Written for "+written)
	if len(ids) == 0 {
		p.at.note(Lost, "a policy names no slos; each slo names its policy. None here has its %s; that is kept as a comment", written)
		return
	}
	p.at.changed("a policy names no slos; each slo names its policy. By its %s it was tied to %s", written, strings.Join(ids, ", "))
}

func readBands(_ *reader, n *node, p *policy) {
	type edge struct {
		at       *node
		min, max *big.Rat
	}
	var edges []edge
	for _, member := range n.members() {
		b := band{name: identifier(member.key)}
		e := edge{at: member}
		if low := member.get("min"); low != nil {
			e.min = low.budgetShare()
			b.atLeast = e.min
		}
		if high := member.get("max"); high != nil {
			e.max = high.budgetShare()
		}
		for _, action := range member.get("actions").list() {
			b.actions = append(b.actions, action.text())
		}
		b.allows = allowed(b.actions)
		p.bands, edges = append(p.bands, b), append(edges, e)
	}
	order := make([]int, len(edges))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int {
		switch a, b := edges[i].min, edges[j].min; {
		case a == nil && b == nil:
			return 0
		case a == nil:
			return 1
		case b == nil:
			return -1
		default:
			return b.Cmp(a)
		}
	})
	sorted := make([]band, 0, len(order))
	for place, i := range order {
		sorted = append(sorted, p.bands[i])
		high := edges[i].max
		if place == 0 {
			if high != nil && high.Cmp(one) < 0 {
				edges[i].at.changed("nothing is above %s here: the band reaches up to the whole budget", percentText(high))
			}
			continue
		}
		above := edges[order[place-1]]
		if high != nil && above.min != nil && high.Cmp(above.min) != 0 {
			edges[i].at.changed("its max is %s and %q begins at %s: bands have no gaps and no overlaps, so it reaches up to %s", percentText(high), above.at.key, percentText(above.min), percentText(above.min))
		}
	}
	if len(sorted) > 0 {
		last := &sorted[len(sorted)-1]
		if last.atLeast != nil {
			edges[order[len(order)-1]].at.changed("the lowest band has no lower end, so that an overspent budget is in it too: its min of %s was left out", percentText(last.atLeast))
			last.atLeast = nil
		}
	}
	p.bands = sorted
	for place, b := range sorted {
		edges[order[place]].at.changed("what it allows was read from its actions: %s", allowsText(b.allows))
	}
}

func allowsText(list []string) string {
	if len(list) == 0 {
		return "nothing"
	}
	return strings.Join(list, ", ")
}

var (
	freeze        = pattern(`(?i)freeze|emergency fixes only|stop all`)
	deploys       = pattern(`(?i)deploy|normal|release`)
	experimenting = pattern(`(?i)experimental`)
	forbidden     = pattern(`(?i)\bno\b|\bnot\b|forbid|prohibit|halt|stop|without`)
)

// allowed reads from the actions of a band what it allows. Whoever may deploy may break
// things on purpose too; the language of such files has no word for that.
func allowed(actions []string) []string {
	frozen := slices.ContainsFunc(actions, freeze().MatchString)
	permits := func(word *regexp.Regexp) bool {
		return !frozen && slices.ContainsFunc(actions, func(action string) bool {
			return word.MatchString(action) && !forbidden().MatchString(action)
		})
	}
	var list []string
	if permits(deploys()) {
		list = append(list, experiments.ForGameDay, experiments.ForDeploy)
	}
	if permits(experimenting()) {
		list = append(list, experiments.ForExperimentalFeature)
	}
	return list
}

// budgetShare reads a share of the budget in percent.
func (n *node) budgetShare() *big.Rat {
	share := n.percent()
	if share == nil {
		return nil
	}
	if share.Sign() < 0 || share.Cmp(one) > 0 {
		n.wrong("%s%% of a budget is not between 0 and 100", n.peek())
	}
	return share
}

func readBudgetAlerts(_ *reader, n *node, p *policy) {
	for _, item := range n.list() {
		below := item.either("threshold", "below")
		if below == nil {
			item.wrong("the alert has no threshold")
			continue
		}
		alert := blocks.Block{Type: "alert"}
		if share := below.budgetShare(); share != nil {
			alert.SetText("below", percentText(share))
		}
		severity := item.get("severity").text()
		if severity == "" {
			severity = "warning"
			item.changed("it has no severity: warning was written")
		}
		alert.SetText("severity", severity)
		alert.SetText("notify", item.either("notification", "notify").text())
		p.alerts = append(p.alerts, alert)
	}
}
