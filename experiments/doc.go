// Package experiments is the domain of gameday: what an experiment is made of,
// and the runner that carries one out.
//
// An [Experiment] names what is measured ([Probed], [SLO]), what should hold
// ([Hypothesis]), what to break ([FaultPlan]) and when to stop ([GuardPlan]).
// [Run] takes it through its phases: plan, baseline, disrupt, revert, recover.
// Each step of each [Hit] is handed to a [Journal] before the runner goes on, so
// that what undoes a hit is on disk before the hit is done. [Recover] mends what
// a journal says may still be broken.
//
// The package knows no fault, guard, probe, language or report. Those import it,
// and cmd/gameday ties them together.
package experiments
