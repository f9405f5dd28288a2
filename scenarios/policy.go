package scenarios

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// policyBlock is the attributes of an error_budget_policy.
type policyBlock struct {
	Description string              `hcl:"description,optional" doc:"Whom the policy is for, and who agreed to it."`
	Reserve     experiments.Percent `hcl:"reserve,optional" default:"0%" doc:"The share of the budget that must be left after the worst that a game day may cost."`
	Bands       []bandBlock         `hcl:"band,block" doc:"A stretch of the remaining budget. The lowest has no at_least: everything below the others, overspent too, is in it."`
	Alerts      []policyAlertBlock  `hcl:"alert,block" doc:"Whom to tell when less than so much of the budget is left."`
}

// bandBlock is a band of an error_budget_policy.
type bandBlock struct {
	Name    string               `hcl:"name,label"`
	AtLeast *experiments.Percent `hcl:"at_least,optional" doc:"The least share of the budget left that is in this band." example:"50%"`
	Allows  []string             `hcl:"allows,optional" doc:"What may be done: game-day, deploy, experimental-feature, or words of your own, which gameday gate --for asks about." example:"[\"game-day\", \"deploy\"]"`
	Actions []string             `hcl:"actions,optional" doc:"What the team does, in words." example:"[\"Feature freeze\", \"Incident review required\"]"`
}

// Validate implements [experiments.Validator].
func (b *bandBlock) Validate() []experiments.Problem {
	for _, purpose := range b.Allows {
		if strings.TrimSpace(purpose) == "" || strings.ContainsAny(purpose, " \t\n") {
			return []experiments.Problem{{Attribute: "allows", Summary: "Not a purpose", Detail: fmt.Sprintf("%q is in the list: write single words, such as \"deploy\" or \"game-day\".", purpose)}}
		}
	}
	return nil
}

// policyAlertBlock is an alert of an error_budget_policy.
type policyAlertBlock struct {
	Below    experiments.Percent `hcl:"below" doc:"Less than this share of the budget is left." example:"25%"`
	Severity string              `hcl:"severity" doc:"How grave that is: a label of the alert." example:"warning"`
	Notify   string              `hcl:"notify,optional" doc:"Whom to tell: a label of the alert." example:"slack"`
}

// Validate implements [experiments.Validator].
func (b *policyAlertBlock) Validate() []experiments.Problem {
	if strings.TrimSpace(b.Severity) == "" {
		return []experiments.Problem{{Attribute: "severity", Summary: "Alert without a severity", Detail: "Write how grave it is, such as \"warning\"."}}
	}
	return nil
}

// policy decodes an error_budget_policy.
func (p *pass) policy(block *hclsyntax.Block) *experiments.Policy {
	what := fmt.Sprintf("error_budget_policy %q", block.Labels[0])
	var common policyBlock
	out := p.body(block, what, nil, nil, &common)
	policy := &experiments.Policy{
		Name: block.Labels[0], Description: common.Description, Reserve: common.Reserve,
		Unknown: experiments.Band{Name: experiments.UnknownBand, AtLeast: math.NaN()},
		Origin:  p.c.origin(header(block)),
	}
	for _, alert := range common.Alerts {
		policy.Alerts = append(policy.Alerts, experiments.PolicyAlert{Below: float64(alert.Below), Severity: alert.Severity, Notify: alert.Notify})
	}
	var lowest, seen []string
	written := slices.DeleteFunc(slices.Clone(block.Body.Blocks), func(b *hclsyntax.Block) bool { return b.Type != "band" })
	for i, band := range common.Bands {
		one := experiments.Band{Name: band.Name, AtLeast: math.Inf(-1), Allows: band.Allows, Actions: band.Actions}
		at, placed := header(block), band.AtLeast != nil
		if len(written) == len(common.Bands) {
			at, placed = header(written[i]), placed || written[i].Body.Attributes["at_least"] != nil
		}
		if slices.Contains(seen, band.Name) {
			p.errorf(at, "Duplicate band", "The %s has a band %q already. Give one of them another name.", what, band.Name)
		}
		seen = append(seen, band.Name)
		switch {
		case band.Name == experiments.UnknownBand:
			if band.AtLeast != nil {
				p.errorf(at, "Band without a place", "The band \"unknown\" is for when nobody knows what is left: take its at_least out.")
			}
			one.AtLeast = math.NaN()
			policy.Unknown = one
			continue
		case placed && band.AtLeast == nil:
			continue // wrong, and reported
		case !placed:
			lowest = append(lowest, band.Name)
			if len(lowest) == 2 {
				p.errorf(at, "Two lowest bands", "The bands %q and %q have no at_least, and only the lowest has none. Write where the other begins.", lowest[0], lowest[1])
			}
		default:
			one.AtLeast = float64(*band.AtLeast)
		}
		if same := slices.IndexFunc(policy.Bands, func(b experiments.Band) bool { return b.AtLeast == one.AtLeast }); same >= 0 && band.AtLeast != nil {
			p.errorf(at, "Two bands in one place", "The bands %q and %q begin both at %s.", policy.Bands[same].Name, band.Name, *band.AtLeast)
		}
		policy.Bands = append(policy.Bands, one)
	}
	if len(lowest) == 0 && len(out.failed) == 0 {
		p.errorf(header(block), "Policy without a lowest band", "The %s does not say what happens when little or nothing is left. Add a band without at_least: band \"red\" { allows = [] }.", what)
	}
	slices.SortStableFunc(policy.Bands, func(a, b experiments.Band) int { return cmp.Compare(b.AtLeast, a.AtLeast) })
	return policy
}
