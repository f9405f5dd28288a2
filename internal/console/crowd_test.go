package console

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gameday-sh/gameday/experiments"
)

// killing is a run that is to kill so many pods.
func killing(pods int) *tape {
	t := newTape().begin("crowd").enter(experiments.PhasePlan)
	for i := range pods {
		t.plan("kill", fmt.Sprintf("pod shop/web-%d", i), "delete the pod", time.Duration(i)*time.Second/100, 0)
	}
	return t.enter(experiments.PhaseDisrupt)
}

// kill injects the hits from one to before another, so far apart.
func (t *tape) kill(from, to int, apart time.Duration) *tape {
	for i := from; i < to; i++ {
		t.wait(apart).step(fmt.Sprintf("kill/1/pod shop/web-%d", i), experiments.Injected, "gone").
			step(fmt.Sprintf("kill/1/pod shop/web-%d", i), experiments.Verified, "gone")
	}
	return t
}

// find tells what became of hits.
func (t *tape) find(from, to int, name, source string) *tape {
	for i := from; i < to; i++ {
		text := fmt.Sprintf("kill: pod web-%d is %s", i, name)
		t.add(experiments.Event{Type: experiments.EventNote, Name: fmt.Sprintf("kill/1/pod shop/web-%d", i), Text: text, Finding: &experiments.Finding{Name: name, Text: text, Source: source}})
	}
	return t
}

// drop has hits left out of their round.
func (t *tape) drop(from, to int) *tape {
	for i := from; i < to; i++ {
		t.step(fmt.Sprintf("kill/1/pod shop/web-%d", i), experiments.Dropped, "")
	}
	return t
}

func (t *tape) fail(from, to int, step experiments.Step) *tape {
	for i := from; i < to; i++ {
		t.step(fmt.Sprintf("kill/1/pod shop/web-%d", i), step, fmt.Sprintf("node %d is away", i))
	}
	return t
}

// crowdTape is a run that kills many pods, some of which it cannot, and cuts a line.
func crowdTape() *tape {
	t := newTape().begin("crowd").enter(experiments.PhasePlan).plan("cut", "proxy payments", "cut the line", 0, time.Minute)
	for i := range 500 {
		t.plan("kill", fmt.Sprintf("pod shop/web-%d", i), "delete the pod", time.Duration(i)*time.Second/100, 0)
	}
	return t.enter(experiments.PhaseDisrupt).kill(0, 320, 10*time.Millisecond).fail(320, 323, experiments.Failed).note("the journal is slow").
		find(0, 210, "gone", "").find(0, 2, "event", "Kubernetes event of kubelet").
		guard("page-worthy", 0.42, false, "burn 6.1 of 14.4 (1m), 5.8 (10s)").latency(experiments.Held, 0.08, false)
}

func TestPlainTellsACrowd(t *testing.T) {
	tape := killing(500).kill(0, 320, 10*time.Millisecond).
		find(0, 210, "gone", "").find(0, 180, "replaced", "").find(0, 57, "event", "Kubernetes event of kubelet").
		kill(320, 500, time.Millisecond).
		find(210, 500, "gone", "").wait(2*time.Second).sample("probe.front_door", time.Millisecond).find(0, 95, "ready", "").
		enter(experiments.PhaseRecover).find(180, 500, "replaced", "").find(95, 500, "ready", "").
		end(experiments.Held, "fine")
	want := []string{
		`    0.0s            run 20261124-120000-crowd-7f3a: scenario crowd, seed 7, 2026-11-24T12:00:00Z`,
		`    0.0s  plan      looking up targets`,
		`    0.0s  plan      fault kill planned: 500 hits: delete the pod, from 0:00 to 0:04; ` + "`gameday plan`" + ` and the report list them`,
		`    0.0s  disrupt   breaking things`,
		`    1.0s  disrupt   fault kill: 100 of 500 injected`,
		`    2.0s  disrupt   fault kill: 200 of 500 injected`,
		`    3.0s  disrupt   fault kill: 300 of 500 injected`,
		`    5.4s  disrupt   fault kill: 500 of 500 injected`,
		`    5.4s  disrupt   fault kill: 500 gone, 180 replaced, 57 events`,
		`    5.4s  disrupt   fault kill: 500 gone, 180 replaced, 57 events, 95 ready`,
		`    5.4s  recover   waiting until it is whole again`,
		`    5.4s  recover   fault kill: 500 gone, 500 replaced, 57 events, 500 ready`,
		`    5.4s  recover   verdict: held: fine`,
	}
	if got := plainLines(t, tape); !slices.Equal(got, want) {
		t.Errorf("the crowd is told as\n%s\nand not\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestWhatPlainSaysOfManyHits(t *testing.T) {
	mended := newTape().begin("x").enter(experiments.PhasePlan)
	for i := range 30 {
		mended.plan("slow", fmt.Sprintf("proxy %d", i), fmt.Sprintf("add %dms", i), time.Second, time.Minute)
	}
	mended.plan("other", "proxy z", "cut", time.Second, time.Minute).enter(experiments.PhaseDisrupt)
	for _, step := range []experiments.Step{experiments.Injected, experiments.Verified} {
		for i := range 30 {
			mended.step(fmt.Sprintf("slow/1/proxy %d", i), step, "read")
		}
	}
	mended.step("other/1/proxy z", experiments.Injected, "read")
	for _, test := range []struct {
		name  string
		tape  *tape
		count map[string]int
	}{
		{"as many as fit a screen are told one by one", killing(crowdFrom).kill(0, crowdFrom, 0).find(0, crowdFrom, "gone", ""), map[string]int{"kill planned: pod": crowdFrom, "kill injected: pod": crowdFrom, "web-7 is gone": 1, "of 20 injected": 0}},
		{"one more is a crowd", killing(crowdFrom+1).kill(0, crowdFrom+1, 0).find(0, crowdFrom+1, "gone", ""), map[string]int{"kill planned: 21 hits: delete": 1, "planned: pod": 0, "injected: pod": 0, "fault kill: 21 of 21 injected": 1, "fault kill: 21 gone": 1, "is gone": 0}},
		{"a crowd that differs in what is done to it is told without", mended, map[string]int{"slow planned: 30 hits, at 0:01; ": 1, "add ": 0}},
		{"other faults are told as ever", mended, map[string]int{"other planned: proxy z: cut, at 0:01 for 1m": 1, "other injected: proxy z": 1}},
		{"what is mended is counted beside", mended, map[string]int{"fault slow: 30 of 30 injected, 30 mended": 1}},
		{"a hit of a crowd that comes alone is told in full, and the numbers before the next phase", killing(100).kill(0, 3, 5*time.Second).wait(2*time.Second).find(0, 1, "gone", "").wait(2 * time.Second).note("x").enter(experiments.PhaseRecover),
			map[string]int{"fault kill injected: pod shop/web-": 3, "fault kill: 3 of 100 injected": 1, "web-0 is gone": 1, "fault kill: 1 gone": 1}},
		{"hits in trouble are told one by one, up to a number", killing(100).kill(0, 50, 0).fail(50, 97, experiments.Failed).enter(experiments.PhaseRevert),
			map[string]int{"kill failed: pod shop/web-": crowdTroubles, "node 50 is away": 1, "50 of 100 injected, and 37 more failed or stuck": 1}},
		{"trouble with the same hit counts once", killing(100).fail(0, 30, experiments.Failed).fail(0, 30, experiments.Stuck).enter(experiments.PhaseRevert),
			map[string]int{"failed: pod": crowdTroubles, "and 20 more failed or stuck": 1}},
		{"before the cause of a stop stands how far it was", killing(100).kill(0, 50, 0).stop("guard"), map[string]int{"fault kill: 50 of 100 injected": 1}},
		{"a run that breaks off is told to its end", killing(100).kill(0, 50, 0), map[string]int{"fault kill: 50 of 100 injected": 1}},
		{"so is one that is followed by another", killing(100).kill(0, 50, 0).begin("next"), map[string]int{"fault kill: 50 of 100 injected": 1}},
		{"what is drawn again takes the place of what is gone", killing(100).drop(60, 100).plan("kill", "pod shop/new", "delete the pod", 0, 0).kill(0, 60, 0), map[string]int{"planned: 100 hits": 1, "planned: 61 hits": 1, "60 of 61 injected": 1}},
		{"so it does where there are few", killing(2).drop(1, 2).plan("kill", "pod shop/new", "delete the pod", 0, 0).kill(0, 1, 0), map[string]int{"kill planned: pod": 3, "kill injected: pod": 1, "dropped": 0}},
		{"a hit whose planning is missing is told by its ID", newTape().begin("x").kill(3, 4, 0), map[string]int{"fault kill injected: kill/1/pod shop/web-3": 1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			text := strings.Join(plainLines(t, test.tape), "\n")
			for part, want := range test.count {
				if got := strings.Count(text, part); got != want {
					t.Errorf("%q is there %d times, want %d:\n%s", part, got, want, text)
				}
			}
		})
	}
}

// BenchmarkPlainCrowd tells a run of 500 hits with their findings.
func BenchmarkPlainCrowd(b *testing.B) {
	tape := killing(500).kill(0, 500, 10*time.Millisecond)
	for _, name := range []string{"gone", "replaced", "running", "ready"} {
		tape.find(0, 500, name, "")
	}
	tape.end(experiments.Held, "fine")
	b.ReportAllocs()
	for b.Loop() {
		tape.show(NewPlain(io.Discard))
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(tape.events)), "ns/event")
}
