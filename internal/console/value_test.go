package console

import (
	"math"
	"testing"

	"github.com/gameday-sh/gameday/experiments"
)

func TestJudged(t *testing.T) {
	ratio := experiments.Judgement{Verdict: experiments.Held, Unit: "ratio", Observed: 0.99499999, Limit: 0.995, Text: "99.499999% of 3,000 events good, at least 99.5% asked"}
	undecided := ratio
	undecided.Verdict, undecided.Needs = experiments.Inconclusive, 41.2
	value := experiments.Judgement{Verdict: experiments.Refuted, Unit: "jobs", Observed: 123456, Limit: 10, Text: "highest 123456 jobs over 7 measurements, at most 10 jobs asked"}
	blind := experiments.Judgement{Verdict: experiments.Inconclusive, Observed: experiments.Float(math.NaN()), Limit: 0.995, Unit: "ratio", Text: "unreachable: connect to 127.0.0.1:9090: connection refused"}
	early := blind
	early.Needs = 300
	never := experiments.Judgement{Verdict: experiments.Refuted, Unit: "s", Observed: experiments.Float(math.Inf(1)), Limit: 0.5, Text: "p95 without a good answer over 40 measurements"}
	for _, test := range []struct {
		name  string
		j     experiments.Judgement
		width int
		want  string
	}{
		{"with room it is the sentence", ratio, 80, ratio.Text},
		{"else the value beside its limit, never rounded up to it", ratio, 20, "99.49% (≥ 99.5%)"},
		{"else the value alone", ratio, 8, "99.49%"},
		{"else as much of the sentence as there is room for", ratio, 5, "99.4…"},
		{"what is undecided says what it needs", undecided, 40, "99.49% (≥ 99.5%), needs 42 more"},
		{"in fewer words where it must", undecided, 22, "99.49%, needs 42 more"},
		{"and in the fewest", undecided, 14, "needs 42 more"},
		{"a value is in its own unit", value, 40, "1.2346e+05 jobs (≤ 10 jobs)"},
		{"without numbers it is the sentence, cut", blind, 20, "unreachable: connec…"},
		{"without numbers it can say what it needs", early, 20, "needs 300 more"},
		{"no good answer at all has no number either", never, 26, "p95 without a good answer…"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := judged(test.j, test.width); got != test.want {
				t.Errorf("it says %q, want %q", got, test.want)
			}
		})
	}
}

func TestAmount(t *testing.T) {
	for _, test := range []struct {
		v    float64
		unit string
		want string
	}{
		{1, "ratio", "100%"}, {0.999, "ratio", "99.9%"}, {0.995, "ratio", "99.5%"}, {0.99999, "ratio", "99.99%"}, {0, "ratio", "0%"},
		{0.5, "s", "500ms"}, {0.0031234, "s", "3.12ms"}, {12.3456, "s", "12.35s"}, {90, "s", "1m30s"},
		{42, "", "42"}, {3, "jobs", "3 jobs"},
	} {
		if got := amount(test.v, test.unit); got != test.want {
			t.Errorf("%v in %q is %q, want %q", test.v, test.unit, got, test.want)
		}
	}
}
