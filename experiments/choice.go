package experiments

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
)

// Sampling is how targets were drawn: which of those that matched.
type Sampling struct {
	// Of is how many matched.
	Of int `json:"of"`
	// Places are those of the targets that were drawn, from 1, in the fixed order of all
	// that matched; Names are what they were called then.
	Places []int    `json:"places"`
	Names  []string `json:"names"`
}

// Sample draws count of the matching targets, which must be in a fixed order, and gives
// their indices. Each set is as likely as any other. Name says what a target is called;
// it is asked only for those that are wanted. A run that is fixed to an earlier choice
// gets that one.
func (d Draw) Sample(matching, count int, name func(int) string) ([]int, error) {
	count = min(count, matching)
	var picked []int
	if fixed, is := d.choice.next(); is {
		var err error
		if picked, err = fixed.among(matching, count, name, d.choice.places); err != nil {
			return nil, err
		}
		if fixed.Of != matching {
			d.choice.tell(fmt.Sprintf("fault %q, round %d: %d targets matched then, and %d match now", d.Fault, d.Round, fixed.Of, matching))
		}
	} else {
		all := make([]int, matching)
		for i := range all {
			all[i] = i
		}
		for i := range count { // a partial Fisher-Yates shuffle
			j := i + int(d.Uniform()*float64(len(all)-i))
			all[i], all[j] = all[j], all[i]
		}
		picked = slices.Clone(all[:count])
	}
	d.choice.note(matching, picked, name)
	return picked, nil
}

// among finds an earlier choice again: by the places, or by the names.
func (s Sampling) among(matching, count int, name func(int) string, places bool) ([]int, error) {
	if places {
		var picked []int
		for _, place := range s.Places {
			if place < 1 || place > matching {
				return nil, fmt.Errorf("place %d of %d was hit then, and only %d match now: the same cannot be hit again", place, s.Of, matching)
			}
			picked = append(picked, place-1)
		}
		return picked, nil
	}
	if len(s.Names) != count {
		return nil, fmt.Errorf("%d targets were planned, and %d would be hit now, of %d that match", len(s.Names), count, matching)
	}
	at := map[string]int{}
	for _, wanted := range s.Names {
		at[wanted] = -1
	}
	for i := range matching {
		if _, wanted := at[name(i)]; wanted {
			at[name(i)] = i
		}
	}
	var picked []int
	var gone []string
	for _, wanted := range s.Names {
		if at[wanted] < 0 {
			gone = append(gone, wanted)
			continue
		}
		picked = append(picked, at[wanted])
	}
	if len(gone) > 0 {
		return nil, fmt.Errorf("%s gone, or not matched any more: %s", plural(len(gone), "planned target"), strings.Join(gone, ", "))
	}
	return picked, nil
}

// choice is how one round of one fault is drawn. A nil one draws by random numbers
// and notes nothing.
type choice struct {
	places bool
	fixed  []Sampling // one after the other
	asked  int
	made   []Sampling
	notes  func(string)
}

func (c *choice) next() (Sampling, bool) {
	if c == nil || c.asked >= len(c.fixed) {
		return Sampling{}, false
	}
	c.asked++
	return c.fixed[c.asked-1], true
}

func (c *choice) note(matching int, picked []int, name func(int) string) {
	if c == nil {
		return
	}
	s := Sampling{Of: matching, Places: make([]int, len(picked)), Names: make([]string, len(picked))}
	for i, index := range picked {
		s.Places[i], s.Names[i] = index+1, name(index)
	}
	c.made = append(c.made, s)
}

func (c *choice) tell(text string) {
	if c.notes != nil {
		c.notes(text)
	}
}

// Fixed holds a run to what was chosen before: to the very targets of a plan, or to
// the places that an earlier run drew.
type Fixed struct {
	// From says to a person what it is held to: "plan.json", "run 2026…".
	From string
	// Replay goes by the places among the targets that match now. Otherwise every hit of
	// the first round must be the one that was planned, or nothing is done.
	Replay bool
	// Hits are the hits of then, of all faults.
	Hits []Hit
	// Redact takes secrets out of what is compared, as it was done to Hits.
	Redact func(string) string

	mu    sync.Mutex
	notes []string
	told  map[string]bool
}

// of lists the hits of then of a round.
func (f *Fixed) of(fault string, round int) []Hit {
	if f == nil {
		return nil
	}
	var list []Hit
	for _, hit := range f.Hits {
		if hit.Fault == fault && hit.Round == round {
			list = append(list, hit)
		}
	}
	return list
}

// choice is how a round is to be drawn.
func (f *Fixed) choice(fault string, round int) *choice {
	c := &choice{}
	if f == nil || !f.Replay && round > 1 {
		return c // later rounds of a plan look again
	}
	c.places, c.notes = f.Replay, f.Note
	then := f.of(fault, round)
	for _, hit := range then {
		c.fixed = append(c.fixed, hit.Draws...)
	}
	if f.Replay && len(then) == 0 {
		f.Note(fmt.Sprintf("fault %q, round %d: %s has no such round, so its targets are drawn by the seed", fault, round, f.From))
	}
	return c
}

// Note says something about what is different by now; the run shows it, once: a round
// that waits is planned again and again.
func (f *Fixed) Note(text string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.told[text] {
		return
	}
	if f.told == nil {
		f.told = map[string]bool{}
	}
	f.told[text] = true
	f.notes = append(f.notes, text)
}

// taken gives the notes since it was last asked.
func (f *Fixed) taken() []string {
	if f == nil {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	list := f.notes
	f.notes = nil
	return list
}

// known tells of planned hits whose fault the scenario does not have.
func (f *Fixed) known(slots []Slot) error {
	if f == nil || f.Replay {
		return nil
	}
	for _, hit := range f.Hits {
		if !slices.ContainsFunc(slots, func(s Slot) bool { return s.Plan.Name == hit.Fault }) {
			return fmt.Errorf("%s plans a hit of fault %q, which the scenario does not have", f.From, hit.Fault)
		}
	}
	return nil
}

// check compares the hits of a fault's first round with the planned ones.
func (f *Fixed) check(fault string, round int, hits []Hit) error {
	if f == nil || f.Replay || round > 1 {
		return nil
	}
	planned := f.of(fault, 1)
	var problems []error
	now := map[string]Hit{}
	for _, hit := range hits {
		now[f.redact(hit.Target)] = hit
	}
	for _, then := range planned {
		hit, there := now[then.Target]
		if !there {
			problems = append(problems, fmt.Errorf("%s would not be hit any more", then.Target))
			continue
		}
		delete(now, then.Target)
		if moved := f.moved(then, hit); len(moved) > 0 {
			problems = append(problems, fmt.Errorf("%s has changed: %s", then.Target, strings.Join(moved, "; ")))
		}
	}
	for _, target := range slices.Sorted(maps.Keys(now)) {
		problems = append(problems, fmt.Errorf("%s was not planned, and would be hit", target))
	}
	if err := errors.Join(problems...); err != nil {
		return fmt.Errorf("not as in %s, so nothing is done: %w", f.From, err)
	}
	return nil
}

// moved says what differs between a hit of then and one of now.
func (f *Fixed) moved(then, now Hit) []string {
	var list []string
	differ := func(what, was, is string) {
		if is = f.redact(is); was != is {
			was, is = parted(was, is)
			list = append(list, fmt.Sprintf("%s was %s, is %s", what, was, is))
		}
	}
	differ("kind", then.Kind, now.Kind)
	differ("start", FormatDuration(then.At), FormatDuration(now.At))
	differ("duration", FormatDuration(then.Lasts), FormatDuration(now.Lasts))
	keys := maps.Clone(then.Pin)
	if keys == nil {
		keys = map[string]string{}
	}
	maps.Copy(keys, now.Pin)
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		differ(key, then.Pin[key], now.Pin[key])
	}
	return list
}

func (f *Fixed) redact(text string) string {
	if f.Redact == nil {
		return text
	}
	return f.Redact(text)
}

// parted shortens two texts to where they part.
func parted(a, b string) (string, string) {
	common := 0
	for common < min(len(a), len(b)) && a[common] == b[common] {
		common++
	}
	const before, most = 12, 60
	from := max(0, common-before)
	cut := func(text string) string {
		switch {
		case text == "":
			return "nothing"
		case len(text) <= most:
			return text
		}
		short := text[min(from, len(text)):]
		if from > 0 {
			short = "…" + short
		}
		if len(short) > most {
			short = short[:most] + "…"
		}
		return strings.ToValidUTF8(short, "")
	}
	return cut(a), cut(b)
}
