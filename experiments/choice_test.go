package experiments

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func drawOf(c *choice, seed uint64) Draw {
	return Draw{Fault: "kill", Round: 1, Uniform: rand.New(rand.NewPCG(seed, 1)).Float64, choice: c}
}

func TestASampleIsAsLikelyAsAnyOther(t *testing.T) {
	counts := map[string]int{}
	const rounds = 6000
	d := drawOf(nil, 1)
	for range rounds {
		picked, err := d.Sample(4, 2, strconv.Itoa)
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(picked)
		counts[fmt.Sprint(picked)]++
	}
	if len(counts) != 6 {
		t.Fatalf("%v, want all six pairs", counts)
	}
	for pair, n := range counts {
		if n < rounds/6*8/10 || n > rounds/6*12/10 {
			t.Errorf("pair %s came %d times of %d", pair, n, rounds)
		}
	}
}

func TestAnEarlierChoiceIsFoundAgain(t *testing.T) {
	first := &choice{}
	if _, err := drawOf(first, 7).Sample(5, 2, func(i int) string { return string(rune('a' + i)) }); err != nil {
		t.Fatal(err)
	}
	made := first.made[0]
	var said []string
	tell := func(text string) { said = append(said, text) }
	for _, test := range []struct {
		name   string
		places bool
		now    []string
		count  int
		want   []string
		says   string
	}{
		{"the same names among more", false, append([]string{"0", "1"}, "a", "b", "c", "d", "e"), 2, made.Names, ""},
		{"the same places among others", true, []string{"v", "w", "x", "y", "z"}, 2, []string{string(rune('v' + made.Places[0] - 1)), string(rune('v' + made.Places[1] - 1))}, ""},
		{"a name that is gone", false, slices.DeleteFunc([]string{"a", "b", "c", "d", "e"}, func(n string) bool { return n == made.Names[1] }), 2, nil, "gone, or not matched any more: " + made.Names[1]},
		{"another number than planned", false, []string{"a", "b", "c", "d", "e"}, 3, nil, "2 targets were planned, and 3 would be hit now"},
		{"a place that is not there", true, []string{"a"}, 2, nil, "was hit then, and only 1 match now"},
	} {
		t.Run(test.name, func(t *testing.T) {
			said = nil
			c := &choice{places: test.places, fixed: []Sampling{made}, notes: tell}
			picked, err := drawOf(c, 99).Sample(len(test.now), test.count, func(i int) string { return test.now[i] })
			if test.says != "" {
				if err == nil || !strings.Contains(err.Error(), test.says) {
					t.Fatalf("%v, want %q", err, test.says)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, i := range picked {
				got = append(got, test.now[i])
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("%v, want %v", got, test.want)
			}
			if (len(said) > 0) != (len(test.now) != made.Of) {
				t.Errorf("said %q of %d then and %d now", said, made.Of, len(test.now))
			}
		})
	}
}

func TestWhatDiffersIsShownWhereItParts(t *testing.T) {
	long := strings.Repeat("a", 100)
	for _, test := range []struct{ a, b, wantA, wantB string }{
		{"", "x", "nothing", "x"},
		{"short", "shirt", "short", "shirt"},
		{long + "1" + long, long + "2" + long, "…" + strings.Repeat("a", 12) + "1" + strings.Repeat("a", 44) + "…", "…" + strings.Repeat("a", 12) + "2" + strings.Repeat("a", 44) + "…"},
	} {
		if a, b := parted(test.a, test.b); a != test.wantA || b != test.wantB {
			t.Errorf("%q %q, want %q %q", a, b, test.wantA, test.wantB)
		}
	}
}
