package scenarios

import (
	"fmt"
	"strings"
	"time"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// faultBlock is the attributes that every fault has: its schedule.
type faultBlock struct {
	At         time.Duration      `hcl:"at,optional" default:"0s" doc:"When it begins, counted from the start of the disruption, or from the end of the fault in after."`
	After      faultName          `hcl:"after,optional" doc:"The fault whose end starts this one." example:"fault.late-payments"`
	Duration   time.Duration      `hcl:"duration,optional" doc:"How long the harm is held. For a fault that is over at once and has every: how long its rounds go on." example:"2m"`
	Every      *experiments.Range `hcl:"every,optional" doc:"The time from the start of one round to the start of the next; of a range, each is drawn. Left out: one round." example:"30s..120s"`
	Times      *int               `hcl:"times,optional" doc:"How many rounds at most." example:"5"`
	Dependency string             `hcl:"dependency,optional" doc:"What the system depends on that this breaks, for the resiliency matrix. Left out: the name of the target." example:"payments"`
	Unfused    bool               `hcl:"unfused,optional" default:"false" doc:"Allows harm that nothing would end if the runner died."`
}

func (p *pass) fault(s *assembly, block *hclsyntax.Block) {
	kind, found := findRow(p.c.faultKinds, block.Labels[0])
	if !found {
		p.unknownKind(block, "fault", p.c.faultKinds)
		return
	}
	value := kind.make()
	fault, ok := value.(experiments.Fault)
	if !ok {
		return
	}
	what := fmt.Sprintf("fault %q", kind.name)
	var common faultBlock
	out := p.body(block, what, s.faults, nil, &common, value)
	p.validate(block, what, value, out)
	plan := &experiments.FaultPlan{
		Name:       block.Labels[1],
		Kind:       kind.name,
		Schedule:   experiments.Schedule{At: common.At, After: string(common.After), Duration: common.Duration},
		Unfused:    common.Unfused,
		Dependency: common.Dependency,
		Fault:      fault,
		Origin:     p.c.origin(header(block)),
	}
	p.unsettle(plan.Origin, out)
	if common.Every != nil {
		plan.Schedule.Every = *common.Every
	}
	if common.Times != nil {
		plan.Schedule.Times = *common.Times
	}
	s.experiment.Faults = append(s.experiment.Faults, plan)
	if at, given := out.given["after"]; given {
		s.afters[plan.Name] = at
	}
	p.schedule(plan, block, what, out)
}

// schedule checks how the attributes of a schedule fit together, and to the fault.
func (p *pass) schedule(plan *experiments.FaultPlan, block *hclsyntax.Block, what string, out *outcome) {
	schedule := plan.Schedule
	if at, given := out.given["duration"]; given && schedule.Duration <= 0 {
		p.errorf(at, "Duration of zero", "Harm that is held for no time shows nothing: write, for example, \"30s\".")
		return
	}
	if at, given := out.given["times"]; given && schedule.Times < 1 {
		p.errorf(at, "Number of rounds out of range", "Write at least 1.")
		return
	}
	if at, given := out.given["every"]; given && schedule.Every.Min <= 0 {
		p.errorf(at, "Duration of zero", "The rounds need some time between them: write, for example, \"30s\" or \"30s..120s\".")
		return
	}
	if out.has("times") && !out.has("every") {
		p.errorf(out.at("times", block), "Rounds without a pace", "times limits the rounds, and without every there is one. Add every = \"30s\", for example, or take times out.")
		return
	}
	for name := range out.failed {
		if name != "duration" && name != "times" && name != "every" {
			// Whether the harm lasts may hang on an attribute that is wrong.
			return
		}
	}
	if plan.Fault.Lasts() {
		p.lasting(schedule, block, what, out)
	} else {
		p.instant(block, what, out)
	}
}

func (p *pass) lasting(schedule experiments.Schedule, block *hclsyntax.Block, what string, out *outcome) {
	if !out.has("duration") {
		p.errorf(header(block), "Fault without a duration", "The harm of a %s stays until it is undone, so it needs a duration: add duration = \"30s\", for example.", what)
		return
	}
	if !out.has("every") {
		return
	}
	if !out.has("times") {
		p.errorf(out.at("every", block), "Rounds without an end", "duration is how long each round's harm is held here, so every needs times as well: add times = 3, for example.")
	}
	if _, given := out.given["every"]; given && schedule.Every.Min < schedule.Duration {
		p.errorf(out.at("every", block), "Rounds that overlap", "A round begins at the earliest %s after the one before, and its harm is held for %s. Write an every that is at least as long as the duration.", experiments.FormatDuration(schedule.Every.Min), experiments.FormatDuration(schedule.Duration))
	}
}

func (p *pass) instant(block *hclsyntax.Block, what string, out *outcome) {
	switch {
	case out.has("every") && !out.has("duration") && !out.has("times"):
		p.errorf(out.at("every", block), "Rounds without an end", "Say how long the rounds go on, or how many there are: add duration = \"5m\" or times = 3, for example.")
	case out.has("duration") && !out.has("every"):
		p.errorf(out.at("duration", block), "Duration without rounds", "A %s is over at once, so a duration says how long its rounds go on. Add every = \"30s\", for example, or take duration out.", what)
	}
}

// chain reports faults that wait for each other, or for themselves.
func (p *pass) chain(s *assembly) {
	after := map[string]string{}
	for _, plan := range s.experiment.Faults {
		if plan.Schedule.After != "" {
			after[plan.Name] = plan.Schedule.After
		}
	}
	reported := map[string]bool{}
	for _, plan := range s.experiment.Faults {
		var path []string
		position := map[string]int{}
		for name := plan.Name; name != ""; name = after[name] {
			if first, seen := position[name]; seen {
				p.loop(s, append(path[first:], name), reported)
				break
			}
			position[name] = len(path)
			path = append(path, name)
		}
	}
}

func (p *pass) loop(s *assembly, cycle []string, reported map[string]bool) {
	for _, name := range cycle {
		if reported[name] {
			return
		}
	}
	for _, name := range cycle {
		reported[name] = true
	}
	at := s.afters[cycle[0]]
	if len(cycle) == 2 {
		p.errorf(at, "Fault after itself", "The fault %q would wait for its own end. Name another fault, or take after out.", cycle[0])
		return
	}
	p.errorf(at, "Faults that wait for each other", "%s: none of them would ever begin. Take one after out.", strings.Join(cycle, " -> "))
}
