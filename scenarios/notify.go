package scenarios

import (
	"fmt"
	"time"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// notifyBlock is the attributes that every notify block has.
type notifyBlock struct {
	Timeout     time.Duration `hcl:"timeout,optional" default:"5s" doc:"How long one attempt may take; at most 1m."`
	RetryWithin time.Duration `hcl:"retry_within,optional" default:"30s" doc:"How long one notice is tried again while the run goes on; 0s tries once, and 10m is the most. At the end of a run, ten seconds are left for all that is still to be sent."`
}

const (
	longestAttempt = time.Minute
	longestRetries = 10 * time.Minute
)

// declareReceivers decodes the notify blocks.
func (p *pass) declareReceivers() {
	p.receivers = map[string]*experiments.ReceiverPlan{}
	for _, block := range p.c.notifies {
		plan := p.notify(block)
		if p.firstOf("notify."+block.Labels[1], block) {
			p.receivers[block.Labels[1]] = plan
		}
	}
}

func (p *pass) notify(block *hclsyntax.Block) *experiments.ReceiverPlan {
	plan := &experiments.ReceiverPlan{Name: block.Labels[1], Kind: block.Labels[0], Origin: p.c.origin(header(block))}
	kind, found := findRow(p.c.receiverKinds, block.Labels[0])
	if !found {
		p.unknownKind(block, "notify", p.c.receiverKinds)
		return plan
	}
	value := kind.make()
	receiver, ok := value.(experiments.Receiver)
	if !ok {
		return plan
	}
	what := fmt.Sprintf("notify %q", kind.name)
	var common notifyBlock
	out := p.body(block, what, nil, nil, &common, value)
	p.validate(block, what, value, out)
	p.unsettle(plan.Origin, out)
	if at, given := out.given["timeout"]; given && (common.Timeout <= 0 || common.Timeout > longestAttempt) {
		p.errorf(at, "Timeout out of range", "The timeout of one attempt is above 0s and at most %s.", experiments.FormatDuration(longestAttempt))
	}
	if at, given := out.given["retry_within"]; given && (common.RetryWithin < 0 || common.RetryWithin > longestRetries) {
		p.errorf(at, "Time out of range", "A notice is tried again for 0s to %s.", experiments.FormatDuration(longestRetries))
	}
	plan.Receiver, plan.Timeout, plan.RetryWithin = receiver, common.Timeout, common.RetryWithin
	return plan
}

// told lists who is told of a scenario: those that it names, or all.
func (p *pass) told(named []*experiments.ReceiverPlan, out *outcome) []*experiments.ReceiverPlan {
	if !out.has("notify") {
		named = nil
		for _, block := range p.c.notifies {
			p.c.used["notify."+block.Labels[1]] = true
			if p.firstOf("notify."+block.Labels[1], block) {
				named = append(named, p.receivers[block.Labels[1]])
			}
		}
	}
	var list []*experiments.ReceiverPlan
	seen := map[*experiments.ReceiverPlan]bool{}
	for _, plan := range named {
		if plan != nil && plan.Receiver != nil && !seen[plan] {
			seen[plan] = true
			list = append(list, plan)
		}
	}
	return list
}
