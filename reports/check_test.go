package reports

import (
	"strings"
	"testing"
	"time"

	"github.com/gameday-sh/gameday/experiments"
)

func failures(list []Finding) (keys []string) {
	for _, f := range list {
		if !f.Warning {
			keys = append(keys, f.Place)
		}
	}
	return keys
}

func TestACheckAsksForWhatTheVerdictNeeds(t *testing.T) {
	needed := PlaceSeverity + " " + PlaceUsers + " " + PlaceCause + " " + PlaceActions
	for verdict, want := range map[experiments.Verdict]string{
		experiments.Held: "", experiments.Inconclusive: "", experiments.Errored: "",
		experiments.Refuted: needed, experiments.Aborted: needed, experiments.NotRestored: needed,
	} {
		r := run(verdict)
		markdown := render(t, "markdown", r)
		if got := strings.Join(failures(Check(r, markdown, false)), " "); got != want {
			t.Errorf("%s: %q", verdict, got)
		}
		if got := failures(Check(r, markdown, true)); len(got) != len(PlaceKeys()) {
			t.Errorf("%s, strictly: %q", verdict, got)
		}
		if got := strings.Join(failures(Check(r, nil, false)), " "); got != want {
			t.Errorf("%s without a report: %q", verdict, got)
		}
	}
}

func TestACheckLooksAtWhatStandsInAPlace(t *testing.T) {
	r := results()["refuted"]
	good := map[string]string{
		PlaceSeverity: "SEV2\n", PlaceUsers: "About 40.\n", PlaceCause: "The pool has no limit.\n",
		PlaceActions: "| Action | Owner | Due date |\n|---|---|---|\n| Bound the pool | ada | 2026-12-01 |\n",
	}
	for _, test := range []struct{ name, key, text, want string }{
		{"all is there", PlaceLessons, "Test limits.\n", ""},
		{"a word for nothing", PlaceCause, "TBD\n", "root-cause is empty: say which conditions"},
		{"no severity", PlaceSeverity, "bad\n", "severity names no level"},
		{"none is a severity", PlaceSeverity, "None: staging only.\n", ""},
		{"no owner", PlaceActions, "| Action | Owner | Due date |\n|---|---|---|\n| Bound the pool | TBD | 2026-12-01 |\n", "the action item “Bound the pool” has no owner"},
		{"no due date", PlaceActions, "| Action | Owner |\n|---|---|\n| Bound the pool | ada |\n", "has no due date"},
		{"a due date that is none", PlaceActions, "| Action | Owner | Due date |\n|---|---|---|\n| Bound the pool | ada | soon |\n", "the due date “soon” is no date"},
		{"only proposals", PlaceActions, "| Action | Owner | Status |\n|---|---|---|\n| a |  | proposed |\n", "has no action item with an owner and a due date"},
		{"a list instead of a table", PlaceActions, "- Bound the pool (ada, 2026-12-01)\n", "has no action item with an owner and a due date"},
		{"what is done needs no date", PlaceActions, "| Action | Owner | Done |\n|---|---|---|\n| a | ada | x |\n", ""},
	} {
		markdown := render(t, "markdown", r)
		for key, text := range good {
			if key != test.key {
				markdown = fillIn(t, markdown, key, text)
			}
		}
		list := Check(r, fillIn(t, markdown, test.key, test.text), false)
		switch {
		case test.want == "" && len(list) > 0, test.want != "" && (len(failures(list)) == 0 || !strings.Contains(list[0].Text, test.want)):
			t.Errorf("%s: %+v", test.name, list)
		case test.want != "" && list[0].Line == 0:
			t.Errorf("%s: without a line", test.name)
		}
	}
}

func TestWordingIsAWarningUntilItIsStrict(t *testing.T) {
	r := run(experiments.Held)
	markdown := fillIn(t, render(t, "markdown", r), PlaceLessons, "It was human error.\n")
	list := Check(r, markdown, false)
	if len(list) != 1 || !list[0].Warning || list[0].Better == "" || list[0].Place != PlaceLessons {
		t.Fatalf("%+v", list)
	}
	if at := strings.Split(string(markdown), "\n")[list[0].Line-1]; at != "It was human error." {
		t.Errorf("it points at %q", at)
	}
	if list := Check(r, markdown, true); !strings.Contains(strings.Join(failures(list), " "), PlaceLessons) {
		t.Errorf("strictly: %+v", list)
	}
	if list := Check(r, []byte(strings.Replace(string(markdown), "## Impact", "## Costs", 1)), false); len(list) != 2 || !list[0].Warning {
		t.Errorf("changed outside of the places: %+v", list)
	}
	if list := Check(r, []byte(strings.Replace(string(markdown), endMark, "", 1)), false); len(failures(list)) == 0 {
		t.Errorf("a mark that is gone: %+v", list)
	}
}

func TestSeverityIsThatOfTheTable(t *testing.T) {
	for _, test := range []struct {
		name string
		a    affected
		want int
	}{
		{"a service that is down", affected{bad: 90, total: 100, lasted: 5 * time.Minute}, 1},
		{"a critical journey that is down", affected{bad: 50, total: 100, lasted: 5 * time.Minute, criticality: "critical"}, 1},
		{"one of high criticality", affected{bad: 100, total: 100, lasted: 5 * time.Minute, criticality: "high"}, 2},
		{"one of low criticality", affected{bad: 100, total: 100, lasted: 5 * time.Minute, criticality: "low"}, 3},
		{"more than 10%", affected{bad: 11, total: 100, lasted: 5 * time.Minute}, 2},
		{"exactly 10%", affected{bad: 10, total: 100, lasted: 5 * time.Minute}, 2},
		{"less than 10%", affected{bad: 9.99, total: 100, lasted: 5 * time.Minute}, 3},
		{"less than 10% of a low one", affected{bad: 1, total: 100, lasted: 5 * time.Minute, criticality: "low"}, 4},
		{"slow", affected{total: 100, slow: true, lasted: 5 * time.Minute}, 3},
		{"nothing", affected{total: 100, lasted: 5 * time.Minute}, 0},
		{"nothing counted", affected{}, 0},
		{"a blip", affected{bad: 90, total: 100, lasted: 59 * time.Second}, 2},
		{"a minute", affected{bad: 90, total: 100, lasted: time.Minute}, 1},
		{"a blip of little", affected{bad: 1, total: 100, criticality: "low"}, 4},
		{"what goes on is no blip", affected{bad: 90, total: 100, ongoing: true}, 1},
		{"an hour", affected{bad: 5, total: 100, lasted: time.Hour}, 2},
		{"an hour of an outage", affected{bad: 90, total: 100, lasted: time.Hour}, 1},
	} {
		if got := severity(test.a); got != test.want {
			t.Errorf("%s: SEV%d", test.name, got)
		}
	}
}

func TestASeverityIsProposedFromTheWorstThatUsersMet(t *testing.T) {
	ten := results()["refuted"]
	ten.Series, ten.Hypotheses = nil, nil
	ten.SLOs[0].Bad, ten.SLOs[0].Total = 10, 100
	blind := results()["refuted"]
	blind.SLOs, blind.Hypotheses = nil, nil
	down := results()["not-restored"]
	down.SLOs[0].Bad, down.SLOs[0].Total = 3000, 3812
	for name, test := range map[string]struct {
		r    *experiments.Result
		want int
		why  string
	}{
		"held":               {results()["held"], 0, "every hypothesis held; "},
		"refuted":            {results()["refuted"], 3, "probe.front_door was outside of its limit"},
		"exactly 10%":        {ten, 2, "10 of 100 events of slo.checkout failed (exactly 10%, which counts as SEV2), over 1m50s"},
		"nothing broken":     {results()["inconclusive"], 0, "nothing was injected"},
		"nothing to go by":   {blind, 0, "nothing that stands for users was measured"},
		"most of it is down": {down, 2, "3,000 of 3,812 events of slo.checkout failed (78.7%), over 14s"},
	} {
		if level, why := (newOutliner(test.r, detail{text: 600, rows: 200})).proposeSeverity(); level != test.want || !strings.HasPrefix(why, test.why) {
			t.Errorf("%s: SEV%d, %s", name, level, why)
		}
	}
}

func TestActionItemsAreProposedFromWhatFailed(t *testing.T) {
	slow := run(experiments.Held)
	slow.Hypotheses[0].RecoveredAfter = 25 * time.Second
	silent := run(experiments.Held)
	silent.SLOs[0].Bad, silent.SLOs[0].Total = 0, 0
	taken := run(experiments.Held)
	taken.Hits[0].State = experiments.Superseded
	failed := run(experiments.Held)
	failed.Hits[1].Injected, failed.Hits[1].Error = time.Time{}, "no such pod"
	blind := run(experiments.Held)
	blind.Guards[0].Last = &experiments.Reading{Blind: true, Text: "no data for 9s"}
	for name, test := range map[string]struct {
		r    *experiments.Result
		want string
	}{
		"held":             {run(experiments.Held), ""},
		"refuted":          {results()["refuted"], "P1 Make “checkout stays available” hold: it did not while faults were on: 98.4% of 2,912 events were good"},
		"aborted":          {results()["aborted"], "P1 Find out why the guard “page-worthy” had to stop the run: guard page-worthy: burn 21.3 of 14.4"},
		"not restored":     {results()["not-restored"], "P0 Mend what could not be proven mended: proxy payments: answers 300 ms late (connection refused)"},
		"inconclusive":     {results()["inconclusive"], "P2 Make “checkout stays available” measurable: it has no answer before the faults: no data"},
		"slow to recover":  {slow, "P2 Make “checkout stays available” recover sooner: it was whole again 25s after the last revert (30s allowed)"},
		"an SLO in silent": {silent, "P2 Make slo.checkout countable: no event was counted while faults were on"},
		"superseded":       {taken, "P2 Find out what changed proxy payments while the fault “late-payments” was on it"},
		"no effect":        {failed, "P2 Find out why the fault “lose-a-pod” took no effect on pod shop/checkout-7d: no such pod"},
		"a blind guard":    {blind, "P2 Give the guard “page-worthy” something to judge by: it was blind at the end (no data for 9s)"},
	} {
		list := newOutliner(test.r, detail{text: 600, rows: 200}).proposals()
		if test.want == "" {
			if len(list) > 0 {
				t.Errorf("%s: %+v", name, list)
			}
			continue
		}
		if len(list) == 0 || list[0].Priority+" "+list[0].Action != test.want || list[0].Retest != "slow-payments" {
			t.Errorf("%s: %+v", name, list)
			continue
		}
		// What is proposed is what is read back, as a proposal.
		read := ActionItems(render(t, "markdown", test.r))
		if len(read) != len(list) || read[0].Action != list[0].Action || !read[0].Proposed || read[0].Retest != "slow-payments" {
			t.Errorf("%s is read back as %+v", name, read)
		}
	}
	many := run(experiments.Held)
	many.Hits = nil
	for range 500 {
		many.Hits = append(many.Hits, taken.Hits[0])
	}
	if list := (newOutliner(many, detail{text: 600, rows: 200})).proposals(); len(list) != mostProposals {
		t.Errorf("%d proposals", len(list))
	}
}

func TestHitsInTheWorldAtOnceAreCounted(t *testing.T) {
	r := run(experiments.Held)
	hit := func(from, to float64) experiments.HitResult {
		h := experiments.HitResult{Injected: after(from)}
		if to > 0 {
			h.Verified = after(to)
		}
		return h
	}
	for _, test := range []struct {
		hits []experiments.HitResult
		want int
	}{
		{nil, 0}, {[]experiments.HitResult{hit(1, 2), hit(2, 3)}, 1}, {[]experiments.HitResult{hit(1, 3), hit(2, 4), hit(5, 6)}, 2},
		{[]experiments.HitResult{hit(1, 0), hit(5, 6), hit(7, 8)}, 2}, {[]experiments.HitResult{{}, hit(1, 2)}, 1},
	} {
		r.Hits = test.hits
		if got := (newOutliner(r, detail{text: 600, rows: 200})).atOnce(); got != test.want {
			t.Errorf("%d at once, want %d", got, test.want)
		}
	}
}

func TestDetectionSaysWhatFiredAndWhatCouldHave(t *testing.T) {
	facts := func(r *experiments.Result) string {
		var said []string
		for _, f := range (newOutliner(r, detail{text: 600, rows: 200})).detected() {
			said = append(said, f.Name+": "+f.Value)
		}
		return strings.Join(said, "; ")
	}
	defaults := results()["refuted"]
	defaults.Guards = defaults.Guards[1:]
	for name, test := range map[string]struct {
		r    *experiments.Result
		want string
	}{
		"refuted":        {results()["refuted"], "No guard fired, although a hypothesis did not hold. The closest was “page-worthy”, with 20% of its limit taken."},
		"only defaults":  {defaults, "No guard of the scenario watched for it."},
		"aborted":        {results()["aborted"], "Stopped: 1m50s after the first injection, by the guard “page-worthy”"},
		"first failure":  {results()["refuted"], "First failure seen: 3.75s after the first injection, by probe.front_door"},
		"nothing broken": {results()["inconclusive"], ""},
	} {
		if got := facts(test.r); !strings.Contains(got, test.want) || test.want == "" && got != "" {
			t.Errorf("%s: %s", name, got)
		}
	}
}
