package kubernetes

import (
	"math/big"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/gameday-sh/gameday/experiments"
)

func TestShareSaysHowItRounds(t *testing.T) {
	two := 2
	part := func(p experiments.Percent) Share { return Share{Percent: &p} }
	for name, it := range map[string]struct {
		share    Share
		matching int
		count    int
		words    string // in the words, or in the error
	}{
		"one unless said":             {Share{}, 5, 1, "1 of 5"},
		"a count":                     {Share{Count: &two}, 5, 2, "2 of 5"},
		"a count of just as many":     {Share{Count: &two}, 2, 2, "2 of 2"},
		"a count of more":             {Share{Count: &two}, 1, 0, "2 of pods are asked for, and only 1 match"},
		"all":                         {Share{All: true}, 5, 5, "all 5"},
		"all of none":                 {Share{All: true}, 0, 0, "no pods matches"},
		"a share is rounded down":     {part(0.3), 9, 2, "2 of 9: 30%, rounded down"},
		"a share that is whole":       {part(0.3), 10, 3, "3 of 10: 30%"},
		"29% of 100, as binary as is": {part(0.29), 100, 29, "29 of 100: 29%"},
		"a share that is none is one": {part(0.1), 3, 1, "1 of 3: 10% would be none, and at least one is hit"},
		"a share of none":             {part(0.5), 0, 0, "no pods matches"},
		"everything, as a share":      {part(1), 7, 7, "7 of 7: 100%"},
	} {
		t.Run(name, func(t *testing.T) {
			count, words, err := it.share.of(it.matching, "pods")
			if err != nil {
				words = err.Error()
			}
			if count != it.count || !strings.Contains(words, it.words) || (err != nil) != (it.count == 0) {
				t.Errorf("%d, %q, %v; want %d, %q", count, words, err, it.count, it.words)
			}
		})
	}
}

// A share never takes more than it says: not by a hair of binary fractions either.
func TestShareIsNeverMoreThanSaid(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tenths := rapid.Int64Range(1, 1000).Draw(t, "tenths of a percent")
		matching := rapid.Int64Range(1, 20000).Draw(t, "matching")
		p := experiments.Percent(float64(tenths) / 1000)
		count, _, err := Share{Percent: &p}.of(int(matching), "pods")
		if err != nil {
			t.Fatal(err)
		}
		exact := new(big.Int).Div(big.NewInt(tenths*matching), big.NewInt(1000)).Int64()
		if int64(count) != max(exact, 1) {
			t.Fatalf("%d of %d at %v, want %d", count, matching, p, max(exact, 1))
		}
	})
}

func TestDrawPicksEachAtMostOnceAndBySeed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(0, 50).Draw(t, "size")
		count := rapid.IntRange(0, 60).Draw(t, "count")
		seed := rapid.Uint64().Draw(t, "seed")
		list := make([]int, size)
		for i := range list {
			list[i] = i
		}
		pick := func() []int { return drawn(t, list, count, rand.New(rand.NewPCG(seed, 1)).Float64) }
		picked := pick()
		if !slices.Equal(picked, pick()) {
			t.Fatal("one seed, two draws")
		}
		if len(picked) != min(count, size) {
			t.Fatalf("%d picked of %d, want %d", len(picked), size, min(count, size))
		}
		slices.Sort(picked)
		if len(slices.Compact(picked)) != min(count, size) {
			t.Fatalf("one was picked twice: %v", picked)
		}
		if !slices.IsSorted(list) {
			t.Fatal("the list itself was changed")
		}
	})
}

// drawn draws numbers by the given random ones.
func drawn(t interface{ Fatal(...any) }, list []int, count int, uniform func() float64) []int {
	picked, err := draw(list, count, experiments.Draw{Uniform: uniform}, strconv.Itoa)
	if err != nil {
		t.Fatal(err)
	}
	return picked
}

func TestDrawIsFair(t *testing.T) {
	const rounds, size, count = 30000, 10, 3
	random := rand.New(rand.NewPCG(1, 1))
	hits := make([]int, size)
	list := []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}
	for range rounds {
		for _, i := range drawn(t, list, count, random.Float64) {
			hits[i]++
		}
	}
	for i, n := range hits {
		if want := rounds * count / size; n < want*95/100 || n > want*105/100 {
			t.Errorf("target %d was hit %d times, want about %d", i, n, want)
		}
	}
}

func TestOnePodOfEachWorkload(t *testing.T) {
	pods := []candidate{
		{namespace: "a", name: "x-1", owner: "ReplicaSet x"}, {namespace: "a", name: "x-2", owner: "ReplicaSet x"},
		{namespace: "b", name: "x-1", owner: "ReplicaSet x"}, {namespace: "a", name: "bare-1"}, {namespace: "a", name: "bare-2"},
	}
	for seed := range uint64(20) {
		picked, err := onePerOwner(pods, experiments.Draw{Uniform: rand.New(rand.NewPCG(seed, 1)).Float64})
		if err != nil {
			t.Fatal(err)
		}
		owners := map[string]int{}
		for _, pod := range picked {
			owner := pod.owner
			if owner == "" {
				owner = pod.name
			}
			owners[pod.namespace+" "+owner]++
		}
		if len(picked) != 4 || len(owners) != 4 {
			t.Fatalf("%v: want one of each of four", picked)
		}
	}
}

func TestAPodMustFitEachPatternEvenWhereTwoAreAlike(t *testing.T) {
	pod := func(name, node string) *corev1.Pod {
		return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.PodSpec{NodeName: node}}
	}
	for name, it := range map[string]struct {
		pods  Pods
		pod   *corev1.Pod
		takes bool
	}{
		"both fit":                   {Pods{Name: "shop-*", Node: "shop-*"}, pod("shop-1", "shop-2"), true},
		"alike, and the name is not": {Pods{Name: "shop-*", Node: "shop-*"}, pod("stock-1", "shop-2"), false},
		"alike, and the node is not": {Pods{Name: "shop-*", Node: "shop-*"}, pod("shop-1", "pool-2"), false},
		"only a name":                {Pods{Name: "shop-*"}, pod("shop-1", "pool-2"), true},
		"no node yet":                {Pods{Node: "*-2"}, pod("shop-1", ""), false},
		"no pattern":                 {Pods{}, pod("shop-1", ""), true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := it.pods.takes(it.pod); got != it.takes {
				t.Errorf("taken: %v, want %v", got, it.takes)
			}
		})
	}
}
