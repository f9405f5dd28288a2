package experiments

import (
	"fmt"
	"maps"
	"math"
	"slices"
)

// Rebuild makes the result of a run whose runner died, from the events of its
// journal: what was broken and mended, and what was measured up to then. It cannot
// judge hypotheses; the verdict is error, or not restored where something is left.
func Rebuild(events []Event, damaged bool) *Result {
	r := &Result{Schema: ResultSchema}
	book := newHitBook(func(text string) string { return text })
	var probes []*Probed
	byName := map[string]*Probed{}
	if len(events) > 0 {
		r.Began = events[0].At // as near as there is, where the first record is lost
	}
	history := NewHistory(r.Began, nil, nil)
	counts := map[string]*Series{}
	guards := map[string]*GuardResult{}
	var judged *Event // the run's own end, in which it came to a verdict
	for i, event := range events {
		if event.Notification != nil {
			r.Notifications = append(r.Notifications, *event.Notification)
			continue // when a receiver was told says nothing of when the run ended
		}
		// After its own end it is recovering that writes.
		if judged == nil || event.Hit != nil {
			r.Ended = laterOf(r.Ended, event.At)
		}
		switch {
		case event.Begin != nil:
			b := event.Begin
			r.Run, r.Scenario, r.Origin, r.Digest, r.Seed, r.Version, r.Host = b.Run, b.Scenario, b.Origin, b.Digest, b.Seed, b.Version, b.Host
			r.Rerun, r.Began = b.Rerun, event.At
			history = NewHistory(event.At, nil, nil)
		case event.Type == EventPhase:
			if n := len(r.Phases); n > 0 {
				r.Phases[n-1].To = event.At
			}
			r.Phases = append(r.Phases, PhaseSpan{Phase: event.Phase, From: event.At, To: event.At})
		case event.Hit != nil:
			book.replay(event)
			r.Timeline = append(r.Timeline, hitMoments(event, book)...)
		case event.Finding != nil:
			if book.byID[event.Name] != nil {
				book.find(event.Name, *event.Finding)
			}
			r.Timeline = append(r.Timeline, Moment{event.At, "fault", event.Text})
		case event.Sample != nil:
			p := byName[event.Series]
			if p == nil {
				p = measuredBy(event.Series)
				byName[event.Series] = p
				probes = append(probes, p)
			}
			sample := *event.Sample
			sample.Value = math.NaN()
			if event.Value != nil {
				sample.Value = float64(*event.Value)
			}
			history.AddSample(p, sample)
		case event.Count != nil:
			series := counts[event.Series]
			if series == nil {
				series = &Series{Name: event.Series, Kind: "slo", Unit: "ratio", Window: event.Count.Window}
				counts[event.Series] = series
				r.Series = append(r.Series, series)
			}
			series.count(*event.Count, r.Began)
		case event.Guard != nil:
			g := guards[event.Name]
			if g == nil {
				g = &GuardResult{Name: event.Name}
				guards[event.Name] = g
			}
			g.Last, g.Looks = event.Guard, g.Looks+1
			if g.Worst == nil || event.Guard.Used > g.Worst.Used {
				g.Worst, g.WorstAt = event.Guard, event.At
			}
		case event.Gate != nil:
			gate := *event.Gate
			r.Gate = &gate
			if gate.Override != nil {
				r.Timeline = append(r.Timeline, Moment{event.At, "plan", gate.overridden()})
			}
		case event.Stop != nil:
			stop := *event.Stop
			r.Stop = &stop
			r.Timeline = append(r.Timeline, Moment{event.At, "stop", "Stopped: " + event.Stop.Cause})
		case event.Type == EventEnd:
			// Who mends for a dead run ends it with an error, or with what is left.
			if judged == nil && event.Verdict != Errored && event.Verdict != NotRestored {
				judged = &events[i]
			}
		}
	}
	if n := len(r.Phases); n > 0 {
		r.Phases[n-1].To = r.Ended
	}
	for _, p := range probes {
		r.Series = append(r.Series, probeSeries(p, history.Probe(p)))
	}
	for _, name := range slices.Sorted(maps.Keys(guards)) {
		r.Guards = append(r.Guards, *guards[name])
	}
	r.Hits = book.results()
	r.Faults = faultsOf(r.Hits)
	for _, hit := range Outstanding(events, damaged) {
		r.Left = append(r.Left, fmt.Sprintf("%s: %s (its revert was not proven)", hit.Target, hit.Effect))
	}
	if last := book.lastVerified(); r.Stop != nil && len(r.Left) == 0 && !damaged && !last.IsZero() {
		r.Stop.Restored = laterOf(last, r.Stop.Breach)
	}
	died := "the runner died before it could judge"
	if judged != nil && !damaged {
		// What the verdict rests on was in memory: it is told of, and counts for nothing.
		died = fmt.Sprintf("the runner died before it could write what its verdict rests on (%s: %s)", judged.Verdict, judged.Text)
	}
	r.Errors = append(r.Errors, died)
	if damaged {
		r.Errors = append(r.Errors, "the journal is damaged: hits may have been done that it does not tell of")
	}
	switch {
	case len(r.Left) > 0:
		r.Verdict, r.Reason = NotRestored, died+", and "+plural(len(r.Left), "hit")+" could not be proven mended"
	case damaged:
		r.Verdict, r.Reason = Errored, died+"; what its damaged journal still tells of is proven mended"
	case book.touched() == 0:
		r.Verdict, r.Reason = Errored, died+"; its journal tells of nothing that was broken"
	default:
		r.Verdict, r.Reason = Errored, died+"; everything that was broken is proven mended"
	}
	r.Timeline = append(r.Timeline, Moment{r.Ended, "error", r.Reason})
	return r
}

// Recover brings the result of a run that had ended up to date with its journal, after
// hits that it left were mended: their steps, their proofs, and what is still left.
// What the run came to, its verdict, is not changed by that.
func (r *Result) Recover(events []Event, damaged bool) {
	book := newHitBook(func(text string) string { return text })
	for _, event := range events {
		if event.Hit != nil {
			book.replay(event)
		}
	}
	for i := range r.Hits {
		h := &r.Hits[i]
		live := book.byID[h.ID]
		if live == nil || len(live.result.Steps) <= len(h.Steps) {
			continue
		}
		now := live.result
		h.Step, h.Steps, h.Mended, h.State, h.Verified, h.Error = now.Step, now.Steps, now.Mended, now.State, now.Verified, now.Error
	}
	for i := range r.Faults {
		f := &r.Faults[i]
		f.Restored = 0
		for _, h := range r.Hits {
			if h.Fault == f.Name && !h.Verified.IsZero() {
				f.Restored++
			}
		}
	}
	had := len(r.Left) > 0
	r.Left = nil
	for _, hit := range Outstanding(events, damaged) {
		r.Left = append(r.Left, fmt.Sprintf("%s: %s (its revert was not proven)", hit.Target, hit.Effect))
	}
	if had && len(r.Left) == 0 {
		r.Recovered = laterOf(book.lastVerified(), r.Ended)
		r.Timeline = append(r.Timeline, Moment{r.Recovered, "note", "Everything that the run had left is proven mended"})
	}
}

// faultsOf tells of the faults what their hits do: a journal does not hold the scenario.
func faultsOf(hits []HitResult) []FaultResult {
	var list []FaultResult
	for i := range hits {
		h := &hits[i]
		at := slices.IndexFunc(list, func(f FaultResult) bool { return f.Name == h.Fault })
		if at < 0 {
			at = len(list)
			list = append(list, FaultResult{Name: h.Fault, Kind: h.Kind, At: h.At, Duration: h.Lasts})
		}
		f := &list[at]
		f.Rounds = max(f.Rounds, h.Round)
		f.count(h)
	}
	return list
}

// replay enters a hit's event as it was journaled.
func (b *hitBook) replay(event Event) {
	h := event.Hit
	live := b.byID[h.ID]
	if live == nil {
		live = &liveHit{result: HitResult{Hit: lostHit(h.ID)}}
		b.byID[h.ID] = live
		b.order = append(b.order, live)
	}
	r := &live.result
	if h.Hit != nil {
		r.Hit = *h.Hit
	}
	r.Step = h.Step
	r.Steps = append(r.Steps, StepTime{h.Step, event.At})
	switch h.Step {
	case Injected:
		r.Proof, r.Injected = h.Seen, event.At
	case Verified:
		r.Mended, r.State, r.Verified, r.Error = h.Seen, h.State, event.At, ""
	}
	if h.Error != "" {
		r.Error = h.Error
	}
}

func hitMoments(event Event, book *hitBook) []Moment {
	hit := book.byID[event.Hit.ID].result
	switch event.Hit.Step {
	case Injected:
		return []Moment{{event.At, "fault", fmt.Sprintf("%s on %s: %s", hit.Fault, hit.Target, hit.Effect)}}
	case Verified:
		return []Moment{{event.At, "fault", fmt.Sprintf("%s: mended %s", hit.Fault, hit.Target)}}
	}
	return nil
}
