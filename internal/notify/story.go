package notify

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/textsafe"
)

// maxText is how long a text in a notice may be: a name or a line of a log may have been
// made to be long.
const maxText = 500

// story follows the events of a run and makes a notice of each moment.
type story struct {
	redact      func(string) string
	description string

	so     experiments.Notice // what is known up to now
	faults []*experiments.NoticeFault
	byHit  map[string]*experiments.NoticeFault
	owing  map[string]bool // hits that were tried and are not proven mended
	told   map[string]bool // moments
}

func newStory(description string, redact func(string) string) *story {
	return &story{description: description, redact: redact, byHit: map[string]*experiments.NoticeFault{}, owing: map[string]bool{}, told: map[string]bool{}}
}

// line makes a text fit to be sent: no secrets, one line, not too long.
func (s *story) line(text string) string { return textsafe.Line(s.redact(text), maxText) }

// take takes an event in and gives the notices that follow from it.
func (s *story) take(event experiments.Event) []*experiments.Notice {
	switch {
	case event.Begin != nil:
		b := event.Begin
		s.so = experiments.Notice{
			Run: b.Run, Scenario: b.Scenario, Description: s.line(s.description), Origin: s.line(b.Origin), Host: s.line(b.Host), Version: b.Version, Seed: b.Seed, Began: event.At,
		}
		return s.tell(experiments.MomentBegin, event.At)
	case event.Type == experiments.EventPhase:
		s.so.Phase = event.Phase
		if (event.Phase == experiments.PhaseRecover || event.Phase == experiments.PhaseReport) && len(s.byTried()) > 0 && len(s.owing) == 0 {
			return s.tell(experiments.MomentMended, event.At)
		}
	case event.Hit != nil:
		return s.hit(event)
	case event.Stop != nil:
		s.so.Cause, s.so.Guard = s.line(event.Stop.Cause), s.line(event.Stop.Guard)
		return s.tell(experiments.MomentAbort, event.At)
	}
	return nil
}

// byTried lists the faults of which something was injected.
func (s *story) byTried() []experiments.NoticeFault {
	var list []experiments.NoticeFault
	for _, fault := range s.faults {
		if fault.Injected > 0 {
			list = append(list, *fault)
		}
	}
	return list
}

func (s *story) hit(event experiments.Event) []*experiments.Notice {
	h := event.Hit
	if h.Hit != nil && s.byHit[h.ID] == nil {
		i := slices.IndexFunc(s.faults, func(f *experiments.NoticeFault) bool { return f.Name == h.Hit.Fault })
		if i < 0 {
			i = len(s.faults)
			s.faults = append(s.faults, &experiments.NoticeFault{Name: h.Hit.Fault, Kind: h.Hit.Kind})
		}
		s.byHit[h.ID] = s.faults[i]
	}
	fault := s.byHit[h.ID]
	if fault == nil {
		return nil
	}
	switch h.Step {
	case experiments.Intended:
		s.owing[h.ID] = true
	case experiments.Injected:
		fault.Injected++
		if fault.From.IsZero() {
			fault.From = event.At
		}
		return s.tell(experiments.MomentInject, event.At)
	case experiments.Verified:
		delete(s.owing, h.ID)
		fault.Mended++
		fault.To = event.At
	}
	return nil
}

// tell makes the notice of a moment, once a run.
func (s *story) tell(moment string, at time.Time) []*experiments.Notice {
	if s.told[moment] {
		return nil
	}
	s.told[moment] = true
	n := s.so
	n.Schema, n.Moment, n.At = experiments.NoticeSchema, moment, at
	n.ID = n.Run + "/" + moment
	n.Faults = append([]experiments.NoticeFault{}, s.byTried()...)
	n.Text = sentence(&n)
	return []*experiments.Notice{&n}
}

// end makes the notice of a run that is over, from its result alone.
func (s *story) end(r *experiments.Result, moment string) (*experiments.Notice, error) {
	cleaned, err := clean(r, s.redact)
	if err != nil {
		return nil, err
	}
	n := &experiments.Notice{
		Schema: experiments.NoticeSchema, ID: r.Run + "/" + moment, Moment: moment, At: r.Ended,
		Run: r.Run, Scenario: r.Scenario, Description: s.line(r.Description), Origin: s.line(r.Origin), Host: s.line(r.Host),
		Version: r.Version, Seed: r.Seed, Began: r.Began, Ended: r.Ended, Verdict: r.Verdict, Reason: s.line(r.Reason),
		Faults: []experiments.NoticeFault{}, Result: cleaned,
	}
	if moment == experiments.MomentMended {
		n.At, n.ID = r.Recovered, n.ID+"-after"
	}
	if n.At.IsZero() {
		n.At = time.Now()
	}
	if r.Stop != nil {
		n.Cause, n.Guard = s.line(r.Stop.Cause), s.line(r.Stop.Guard)
	}
	for _, f := range cleaned.Faults {
		if f.Injected == 0 {
			continue
		}
		fault := experiments.NoticeFault{Name: f.Name, Kind: f.Kind, Injected: f.Injected, Mended: f.Restored}
		for _, h := range cleaned.Hits {
			if h.Fault != f.Name || h.Injected.IsZero() {
				continue
			}
			if fault.From.IsZero() || h.Injected.Before(fault.From) {
				fault.From = h.Injected
			}
			fault.To = later(fault.To, h.Verified)
		}
		n.Faults = append(n.Faults, fault)
	}
	for _, left := range r.Left[:min(len(r.Left), 20)] {
		n.Left = append(n.Left, s.line(left))
	}
	n.Text = sentence(n)
	return n, nil
}

// sentence says a notice in words.
func sentence(n *experiments.Notice) string {
	where := fmt.Sprintf("Run %s", n.Run)
	switch n.Moment {
	case experiments.MomentBegin:
		return fmt.Sprintf("%s of the scenario %s begins on %s. Nothing is broken before the baseline is proven.", where, n.Scenario, n.Host)
	case experiments.MomentInject:
		names := make([]string, 0, len(n.Faults))
		for _, fault := range n.Faults {
			names = append(names, fault.Name+" ("+fault.Kind+")")
		}
		return fmt.Sprintf("%s of the scenario %s has its first fault in place: %s.", where, n.Scenario, strings.Join(names, ", "))
	case experiments.MomentAbort:
		return fmt.Sprintf("%s of the scenario %s was stopped: %s. It mends what it broke.", where, n.Scenario, strings.TrimSuffix(n.Cause, "."))
	case experiments.MomentMended:
		if n.Result != nil {
			return fmt.Sprintf("%s of the scenario %s had left something broken. All of it is proven mended now.", where, n.Scenario)
		}
		return fmt.Sprintf("%s of the scenario %s has proven that everything it broke is mended.", where, n.Scenario)
	}
	text := fmt.Sprintf("%s of the scenario %s ended. %s: %s", where, n.Scenario, strings.ToUpper(string(n.Verdict)), n.Reason)
	if !strings.HasSuffix(text, ".") {
		text += "."
	}
	if len(n.Left) > 0 {
		text += fmt.Sprintf(" What is still broken is mended by: gameday recover %s", n.Run)
	}
	return text
}
