package scenarios

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// journeyBlock is the attributes of a journey beside what Language.Journey makes of it.
type journeyBlock struct {
	Description string                  `hcl:"description,optional" doc:"What the user wants to get done."`
	Criticality experiments.Criticality `hcl:"criticality,optional" default:"medium" enum:"low|medium|high|critical" doc:"How much it matters to the business when users cannot."`
	Every       time.Duration           `hcl:"every,optional" default:"10s" doc:"The pace: how often a user sets out; at least 100ms."`
	Timeout     time.Duration           `hcl:"timeout,optional" default:"10s" doc:"How long the whole journey may take, its pauses included; at most 1m."`
}

// journey decodes a journey: a probe that goes several steps.
func (p *pass) journey(block *hclsyntax.Block, into *experiments.Probed) {
	what := fmt.Sprintf("journey %q", block.Labels[0])
	probe := p.c.language.Journey.New()
	var common journeyBlock
	out := p.body(block, what, nil, nil, &common, probe)
	p.uniqueSteps(block, what)
	p.validate(block, what, probe, out)
	p.unsettle(into.Origin, out)
	p.pace(block, what, common.Every, out)
	p.timeout(common.Timeout, out)
	if pauses := probe.Pauses(); pauses >= common.Timeout && !out.failed["timeout"] && !out.failed["step"] && common.Timeout > 0 {
		p.errorf(out.at("timeout", block), "Pauses longer than the timeout", "The steps of the %s pause for %s, and all of it may take %s: it could never be good. Write a longer timeout, or shorter pauses.",
			what, experiments.FormatDuration(pauses), experiments.FormatDuration(common.Timeout))
	}
	into.Every, into.Timeout, into.Probe = common.Every, common.Timeout, probe
	into.Journey = &experiments.Journey{Description: common.Description, Criticality: common.Criticality}
	for _, step := range stepsOf(block) {
		if len(step.Labels) > 0 {
			into.Journey.Steps = append(into.Journey.Steps, step.Labels[0])
		}
	}
}

// stepsOf lists the steps of a journey in the order in which they are taken.
func stepsOf(journey *hclsyntax.Block) []*hclsyntax.Block {
	return slices.DeleteFunc(slices.Clone(journey.Body.Blocks), func(b *hclsyntax.Block) bool { return b.Type != "step" })
}

// uniqueSteps checks that a step can be told from the others by its name.
func (p *pass) uniqueSteps(journey *hclsyntax.Block, what string) {
	first := map[string]*hclsyntax.Block{}
	for _, step := range stepsOf(journey) {
		if len(step.Labels) != 1 {
			continue // reported
		}
		name := step.Labels[0]
		if before, taken := first[name]; taken {
			p.errorf(step.LabelRanges[0], "Duplicate step", "The %s has a step %q already, at %s. Give one of them another name.", what, name, place(header(before)))
			continue
		}
		first[name] = step
	}
}

// captured says which captured values expressions in one place may refer to.
type captured struct {
	earlier []string          // those that steps before this one take
	takenBy map[string]string // by the name, the step of the journey that takes it first
	unsure  bool              // the journey has a block that may be a capture
}

// checkJourney checks the references within a journey. A step may refer to what the
// steps before it capture.
func (p *pass) checkJourney(journey *hclsyntax.Block) {
	for _, attribute := range inOrder(journey.Body.Attributes) {
		p.checkExpression(attribute.Expr, roots{})
	}
	where := captured{takenBy: map[string]string{}}
	for _, block := range journey.Body.Blocks {
		if block.Type != "step" {
			where.unsure = where.unsure || nearest(block.Type, []string{"step"}) != ""
			continue
		}
		step := "without a name"
		if len(block.Labels) > 0 {
			step = fmt.Sprintf("%q", block.Labels[0])
		}
		for _, name := range captureNames(block, &where) {
			if _, taken := where.takenBy[name]; !taken {
				where.takenBy[name] = step
			}
		}
	}
	for _, block := range journey.Body.Blocks {
		if block.Type != "step" {
			p.checkBody(block.Body, roots{})
			continue
		}
		here := where
		p.checkBody(block.Body, roots{captured: &here})
		for _, name := range captureNames(block, &where) {
			if !slices.Contains(where.earlier, name) {
				where.earlier = append(slices.Clip(where.earlier), name)
			}
		}
	}
	p.captureLabels(journey)
}

// captureNames lists what a step captures.
func captureNames(step *hclsyntax.Block, where *captured) []string {
	var list []string
	for _, block := range step.Body.Blocks {
		switch {
		case block.Type == "capture" && len(block.Labels) == 1:
			list = append(list, block.Labels[0])
		case block.Type == "capture", nearest(block.Type, []string{"capture"}) != "":
			where.unsure = true
		}
	}
	return list
}

// captureLabels checks that what is captured can be referred to.
func (p *pass) captureLabels(journey *hclsyntax.Block) {
	for _, step := range stepsOf(journey) {
		for _, block := range step.Body.Blocks {
			// One without a word is reported where it is decoded.
			if block.Type == "capture" && len(block.Labels) == 1 && strings.TrimSpace(block.Labels[0]) != "" {
				p.identifier(block, 0)
			}
		}
	}
}

// checkCapture checks capture.x.
func (p *pass) checkCapture(traversal hcl.Traversal, where roots) bool {
	if where.captured == nil {
		p.errorf(traversal.SourceRange(), "Reference not allowed here", "capture cannot be referred to from here: what a step of a journey captures is referred to from its later steps.")
		return false
	}
	name, at, named := step(traversal, 1)
	if !named {
		p.errorf(traversal.SourceRange(), "Incomplete reference", "capture needs a name: write capture.name.")
		return false
	}
	if slices.Contains(where.captured.earlier, name) {
		if len(traversal) > 2 {
			p.errorf(traversal[2].SourceRange(), "Reference to nothing", "What is captured is a text and has no values to refer to; write capture.%s.", name)
			return false
		}
		return true
	}
	if by, taken := where.captured.takenBy[name]; taken {
		p.errorf(at, "Captured too late", "%q is captured by the step %s, and a step can use what the steps before it captured.", name, by)
		return false
	}
	if !where.captured.unsure && !p.c.partial {
		p.unknown(at, "Reference to nothing", fmt.Sprintf("No earlier step captures %q.", name), name, where.captured.earlier, "The steps before this one capture nothing.")
	}
	return false
}
