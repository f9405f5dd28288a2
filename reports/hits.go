package reports

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/gameday-sh/gameday/experiments"
)

// faultRow is a fault as planned, and what came of it.
type faultRow struct{ Letter, Name, Kind, Schedule, Planned, Outcome string }

type hitRow struct {
	Letter, Fault, Target, Effect string
	Injected, Proof               string
	Mended, MendedProof           string
	Status, Class, Error          string
	Found                         string // what became of the target: "replaced after 800ms, ready after 1.9s"
}

// mended tells whether the world was read and nothing of the hit is left in it.
func mended(h *experiments.HitResult) bool {
	return h.Step == experiments.Verified && (h.State == experiments.Whole || h.State == experiments.Superseded)
}

// broken counts the hits that may have done harm, and those of them that are proven
// to be gone.
func (o outliner) broken() (tried, restored int) {
	for i := range o.r.Hits {
		if !o.r.Hits[i].Begun() {
			continue
		}
		tried++
		if mended(&o.r.Hits[i]) {
			restored++
		}
	}
	return tried, restored
}

// mending says in a clause whether what was broken is whole again.
func (o outliner) mending() string {
	tried, restored := o.broken()
	switch {
	case restored < tried || len(o.r.Left) > 0:
		return fmt.Sprintf("%d of %s could not be proven mended", max(tried-restored, len(o.r.Left)), plural(max(tried, len(o.r.Left)), "hit"))
	case tried == 0:
		return "nothing was broken"
	case o.r.Stop != nil && o.r.Stop.Took() > 0:
		since := "after the request"
		if o.r.Stop.Guard != "" {
			since = "after the breach"
		}
		return fmt.Sprintf("everything that was broken was proven mended %s %s", sayDuration(o.r.Stop.Took()), since)
	}
	return "everything that was broken was proven mended"
}

// letter names the n-th fault in charts, where names do not fit: A to Z, then AA.
func letter(n int) string {
	if n < 26 {
		return string(rune('A' + n))
	}
	return letter(n/26-1) + letter(n%26)
}

func (o outliner) letterOf(fault string) string {
	for i := range o.r.Faults {
		if o.r.Faults[i].Name == fault {
			return letter(i)
		}
	}
	return ""
}

func (o outliner) faults() []faultRow {
	list := make([]faultRow, 0, min(len(o.r.Faults), o.d.rows))
	for i := range o.r.Faults[:min(len(o.r.Faults), o.d.rows)] {
		f := &o.r.Faults[i]
		// At counts from the first moment that faults may act; for one that comes after
		// another, it is where that one ends, and its own delay.
		when := "at once"
		switch {
		case f.After != "":
			when = "after " + quoted(o.clean(f.After)) + ", " + sayDuration(f.At) + " into the disruption"
		case f.At > 0:
			when = sayDuration(f.At) + " into the disruption"
		}
		if f.Duration > 0 {
			when += ", for " + sayDuration(f.Duration)
		}
		if f.Every != "" {
			when += ", every " + o.clean(f.Every)
		}
		list = append(list, faultRow{
			Letter: letter(i), Name: o.clean(f.Name), Kind: o.clean(f.Kind), Schedule: when,
			Planned: plural(f.Hits, "hit") + rounds(f.Rounds),
			Outcome: fmt.Sprintf("%s injected, %s restored", sayCount(float64(f.Injected)), sayCount(float64(f.Restored))),
		})
	}
	return list
}

func rounds(count int) string {
	if count <= 1 {
		return ""
	}
	return " in " + plural(count, "round")
}

// hits lists the hits, those that are not mended first where not all fit.
func (o outliner) hits() (rows []hitRow, leftOut int) {
	order := make([]*experiments.HitResult, 0, len(o.r.Hits))
	for i := range o.r.Hits {
		order = append(order, &o.r.Hits[i])
	}
	if len(order) > o.d.rows {
		slices.SortStableFunc(order, func(a, b *experiments.HitResult) int { return cmp.Compare(urgency(a), urgency(b)) })
		leftOut = len(order) - o.d.rows
		order = order[:o.d.rows]
	}
	for _, h := range order {
		rows = append(rows, o.hit(h))
	}
	return rows, leftOut
}

func urgency(h *experiments.HitResult) int {
	switch {
	case h.Begun() && !mended(h):
		return 0
	case h.Error != "":
		return 1
	}
	return 2
}

func (o outliner) hit(h *experiments.HitResult) hitRow {
	row := hitRow{
		Letter: o.letterOf(h.Fault), Fault: o.clean(h.Fault), Target: o.clean(h.Target), Effect: o.clean(h.Effect),
		Proof: o.clean(h.Proof), MendedProof: o.clean(h.Mended), Error: o.clean(h.Error), Found: o.found(h),
	}
	if h.Round > 1 {
		row.Fault += ", round " + strconv.Itoa(h.Round)
	}
	if !h.Injected.IsZero() {
		row.Injected = o.offset(h.Injected)
	}
	if !h.Verified.IsZero() {
		row.Mended = o.offset(h.Verified)
	}
	switch {
	case h.Step == experiments.Dropped:
		row.Status, row.Class = "drawn again, as the target was gone before its turn", "idle"
	case !h.Begun():
		row.Status, row.Class = "not reached", "idle"
	case !mended(h):
		row.Status, row.Class = "not proven mended", "not-restored"
	case h.State == experiments.Superseded: // nothing of it is left, as someone else changed the target
		row.Status, row.Class = "superseded", "held"
	case h.Injected.IsZero():
		row.Status, row.Class = "took no effect", "inconclusive"
	default:
		row.Status, row.Class = "mended", "held"
	}
	return row
}

// found says what was measured of a hit afterwards: each step with its time, and the
// last in its own words. Events of others are told in the timeline.
func (o outliner) found(h *experiments.HitResult) string {
	var steps []string
	last := ""
	for i := range h.Findings {
		f := &h.Findings[i]
		if f.Name == "" || f.Source != "" {
			continue
		}
		steps = append(steps, o.clean(f.Name)+" after "+sayDuration(f.After))
		last = f.Text
	}
	if len(steps) == 0 {
		return ""
	}
	return strings.Join(steps, ", ") + ": " + o.clean(last)
}

// alarm lists what may still be broken.
func (o outliner) alarm() []string {
	var list []string
	for _, text := range o.r.Left[:min(len(o.r.Left), o.d.rows)] {
		list = append(list, o.clean(text))
	}
	if len(o.r.Left) == 0 {
		for i := range o.r.Hits {
			if h := &o.r.Hits[i]; h.Begun() && !mended(h) && len(list) < o.d.rows {
				list = append(list, join(o.clean(h.Target)+": "+o.clean(h.Effect), "to be undone by: "+cmp.Or(o.clean(h.Undo), "what its fault says")))
			}
		}
	}
	if len(list) == 0 && o.r.Verdict == experiments.NotRestored && o.r.Recovered.IsZero() {
		list = append(list, cmp.Or(o.clean(o.r.Reason), "the result does not say what"))
	}
	return list
}
