package console

import (
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"
	"pgregory.net/rapid"

	"github.com/gameday-sh/gameday/experiments"
)

var update = flag.Bool("update", false, "write the golden files anew")

func (t *tape) screen(width, height int, colour bool) screen {
	return screen{width: width, height: height, now: t.at, palette: newPalette(colour)}
}

func TestFramesLookAsTheyDid(t *testing.T) {
	for name, tape := range map[string]*tape{
		"baseline": baselineTape(),
		"disrupt":  disruptTape(),
		"aborted":  abortedTape(),
		"finished": finishedTape(),
		"crowd":    crowdTape(),
	} {
		for _, size := range []struct{ width, height int }{{80, 24}, {60, 15}, {200, 60}} {
			t.Run(fmt.Sprintf("%s at %dx%d", name, size.width, size.height), func(t *testing.T) {
				got := render(tape.state(), tape.screen(size.width, size.height, false))
				path := filepath.Join("testdata", fmt.Sprintf("%s-%dx%d.txt", name, size.width, size.height))
				if *update {
					if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				if got != string(want) {
					t.Errorf("the frame is\n%s\nand was\n%s\n(go test -update takes it over)", got, want)
				}
			})
		}
	}
}

func TestColoursChangeNothingButColours(t *testing.T) {
	for name, tape := range map[string]*tape{"disrupt": disruptTape(), "aborted": abortedTape(), "finished": finishedTape()} {
		plain := render(tape.state(), tape.screen(80, 24, false))
		coloured := render(tape.state(), tape.screen(80, 24, true))
		if strings.Contains(plain, "\x1b") {
			t.Errorf("%s: there is an escape sequence in a frame without colours: %q", name, plain)
		}
		if !strings.Contains(coloured, "\x1b[") {
			t.Errorf("%s: there is no colour in %q", name, coloured)
		}
		if got := ansi.Strip(coloured); got != plain {
			t.Errorf("%s: without its colours the frame is\n%s\nand not\n%s", name, got, plain)
		}
	}
}

func TestWhatAFrameSays(t *testing.T) {
	fifteen := newTape().begin("fifteen").enter(experiments.PhasePlan)
	for i := range 15 {
		fifteen.plan("kill", fmt.Sprintf("pod %d", i), "delete it", 0, time.Minute)
	}
	fifteen.enter(experiments.PhaseDisrupt)
	for i := range 5 {
		fifteen.step(fmt.Sprintf("kill/1/pod %d", i), experiments.Injected, "gone")
	}
	fifteen.step("kill/1/pod 10", experiments.Stuck, "the API server is away")
	again := newTape().begin("again").enter(experiments.PhasePlan).plan("kill", "pod old", "delete it", 0, 0).
		enter(experiments.PhaseDisrupt).step("kill/1/pod old", experiments.Dropped, "").plan("kill", "pod new", "delete it", 0, 0)
	several := newTape()
	for i, verdict := range []experiments.Verdict{experiments.Held, experiments.Refuted, experiments.Held, experiments.Inconclusive, experiments.Aborted, experiments.Held, experiments.Held} {
		several.begin(fmt.Sprintf("scenario-%d", i)).end(verdict, "because")
	}
	several.begin("last").enter(experiments.PhaseCheck)

	for _, test := range []struct {
		name          string
		tape          *tape
		width, height int
		want          []string
		not           []string
	}{
		{"before the first event it says that it is there", newTape(), 80, 24, []string{"getting ready"}, []string{"Ctrl-C"}},
		{"the present phase is marked", disruptTape(), 80, 24, []string{"baseline > [disrupt] > revert"}, nil},
		{"where phases have no room the present one is counted", disruptTape(), 40, 24, []string{"[disrupt] 4 of 7"}, nil},
		{"a running scenario says how to stop it", disruptTape(), 80, 24, []string{helpRunning}, nil},
		{"a stopping one says what goes on", abortedTape(), 80, 24, []string{helpStopping, "STOP: guard page-worthy: burn 24.1"}, []string{helpRunning}},
		{"a finished one says its verdict and nothing of keys", finishedTape(), 80, 24, []string{"held: every hypothesis held"}, []string{"Ctrl-C"}},
		{"what is allowed to break is not called refuted", disruptTape(), 80, 24, []string{"may break "}, []string{"refuted"}},
		{"too few measurements are no verdict while more are coming", baselineTape(), 80, 24, []string{"measuring    checkout stays"}, []string{"inconclusive"}},
		{"and are one at the end", baselineTape().end(experiments.Inconclusive, "too few events"), 80, 24, []string{"inconclusive checkout stays"}, []string{"measuring"}},
		{"what may yet hold is not called refuted", baselineTape().latency(experiments.Refuted, 1, false), 80, 24, []string{"not yet      the front door"}, []string{"refuted"}},
		{"until it is too late", baselineTape().latency(experiments.Refuted, 1, false).end(experiments.Inconclusive, "not healthy"), 80, 24, []string{"refuted      the front door"}, []string{"not yet"}},
		{"an injected hit says what is left of its time", disruptTape(), 80, 24, []string{"0:18 left"}, nil},
		{"a mended hit says how long it was there", finishedTape(), 80, 24, []string{"for 30s"}, []string{"0:18 left"}},
		{"a hit whose revert fails says why", abortedTape(), 200, 60, []string{"stuck", "connection refused"}, nil},
		{"a hit that never was says so at the end", baselineTape().end(experiments.Aborted, "interrupted"), 80, 24, []string{"left out"}, []string{"planned"}},
		{"a failed measurement is marked", disruptTape(), 80, 24, []string{failedMark}, nil},
		{"a hit that somebody else changed is not called mended", disruptTape().add(experiments.Event{
			Type: experiments.EventHit, Hit: &experiments.HitEvent{ID: latePayments, Step: experiments.Verified, State: experiments.Superseded},
		}), 80, 24, []string{"superseded ✓"}, []string{"mended"}},
		{"a hit that is being injected or mended says so", disruptTape().step(loseAPod, experiments.Intended, "").step(latePayments, experiments.Reverting, ""), 80, 24, []string{"injecting    lose-a-pod", "reverting    late-payments"}, nil},
		{"a failed injection says why", disruptTape().step(latePayments, experiments.Failed, "no such proxy"), 80, 24, []string{"failed       late-payments", "no such proxy"}, nil},
		{"a guard that sees nothing is called blind", newTape().begin("x").add(experiments.Event{
			Type: experiments.EventGuard, Name: "g", Guard: &experiments.Reading{Blind: true, Text: "no data for 3s"},
		}), 80, 24, []string{"blind        g ░"}, []string{"watching"}},
		{"a measurement that could not be taken is marked", newTape().begin("x").add(experiments.Event{
			Type: experiments.EventSample, Series: "probe.front_door", Sample: &experiments.Sample{Condition: experiments.Broken},
		}).latency(experiments.Inconclusive, 0.1, false), 80, 24, []string{blindMark}, []string{failedMark}},
		{"an hour is written as one", newTape().begin("x").wait(time.Hour + 62*time.Second), 80, 24, []string{"1:01:02"}, nil},
		{"a long cause of a stop has two lines and no more", newTape().begin("x").stop(strings.Repeat("because ", 40)), 80, 24, []string{"STOP: because", "…"}, nil},
		{"a note is shown", disruptTape().note("the journal is slow"), 80, 24, []string{"the journal is slow"}, nil},
		{"what is drawn again takes the place of what is gone", again, 80, 24, []string{"pod new"}, []string{"pod old"}},
		{"hits without room are counted, and those in trouble shown", fifteen, 80, 15, []string{"pod 10: the API server is away", "+6 more hits, 6 planned", "injected     kill  pod 4"}, nil},
		{"too many hits of a fault share a line, and those in trouble are shown", crowdTape(), 80, 24, []string{"in progress  kill: delete the pod", "320 done ✓, 3 failed, 177 planned; 210 gone, 2 events", "node 321 is away", "planned      cut  proxy payments"}, []string{"web-7", "web-400"}},
		{"what became of them takes no other note away", crowdTape(), 80, 24, []string{"the journal is slow"}, []string{"is gone"}},
		{"where none has begun they are planned", killing(500), 80, 24, []string{"planned      kill: 500 planned: delete the pod"}, []string{"in progress"}},
		{"once they are all over the line says so", killing(30).kill(0, 30, time.Second), 120, 24, []string{"done ✓       kill: 30 done ✓: delete the pod", "for 29s"}, []string{"left"}},
		{"a run that was stopped has none in progress", killing(30).kill(0, 10, time.Second).stop("guard"), 120, 24, []string{"kill: 10 done ✓, 20 planned"}, []string{"in progress"}},
		{"earlier scenarios are a line each", several, 120, 60, []string{
			"held         scenario-0  because", "refuted      scenario-1  because", "aborted      scenario-4  because", "gameday  last",
		}, nil},
		{"many earlier scenarios share a line", several, 120, 15, []string{"5 scenarios before: 2 held, 1 refuted, 1 inconclusive, 1 aborted", "scenario-6"}, []string{"scenario-4"}},
		{"a scenario that never ended is called unfinished", newTape().begin("gone").begin("next"), 80, 24, []string{"unfinished   gone", "gameday  next"}, nil},
		{"escape sequences of the target do not reach the terminal", newTape().begin("x").note("\x1b[2Jboo\x07"), 80, 24, []string{"boo"}, []string{"\x1b", "\x07"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			frame := render(test.tape.state(), test.tape.screen(test.width, test.height, false))
			for _, want := range test.want {
				if !strings.Contains(frame, want) {
					t.Errorf("%q is not in\n%s", want, frame)
				}
			}
			for _, not := range test.not {
				if strings.Contains(frame, not) {
					t.Errorf("%q is in\n%s", not, frame)
				}
			}
		})
	}
}

func TestTheClockStopsAtTheEnd(t *testing.T) {
	tape := finishedTape()
	at := tape.screen(80, 24, false)
	later := at
	later.now = later.now.Add(time.Hour)
	if render(tape.state(), at) != render(tape.state(), later) {
		t.Error("a finished scenario still changes")
	}
}

func TestEventsWithoutTheirPartAreBorne(t *testing.T) {
	state := &liveState{}
	for _, kind := range []experiments.EventType{
		experiments.EventBegin, experiments.EventPhase, experiments.EventHit, experiments.EventSample, experiments.EventCount,
		experiments.EventJudgement, experiments.EventGuard, experiments.EventStop, experiments.EventNote, experiments.EventEnd, "unheard of",
	} {
		state.event(experiments.Event{At: began, Type: kind})
	}
	if frame := render(state, newTape().screen(80, 24, false)); !strings.Contains(frame, "gameday") {
		t.Errorf("the frame is %q", frame)
	}
}

// randomEvent draws any event, also ones that no runner would send.
func randomEvent(t *rapid.T, at time.Time) experiments.Event {
	text := rapid.OneOf(rapid.String(), rapid.StringN(0, 200, -1), rapid.SampledFrom([]string{"漢字のテスト", "a\x1b[31mb", "e\u0301", "👩‍👩‍👧"}))
	number := rapid.OneOf(rapid.Float64(), rapid.SampledFrom([]float64{0, 1, 0.5, math.NaN(), math.Inf(1), math.Inf(-1)}))
	float := func(name string) experiments.Float { return experiments.Float(number.Draw(t, name)) }
	lasts := time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "lasts"))
	series := rapid.SampledFrom([]string{"probe.a", "slo.b"}).Draw(t, "series")
	e := experiments.Event{
		At: at, Series: series, Name: text.Draw(t, "name"), Text: text.Draw(t, "text"), MayBreak: rapid.Bool().Draw(t, "may"),
		Type: rapid.SampledFrom([]experiments.EventType{
			experiments.EventBegin, experiments.EventPhase, experiments.EventHit, experiments.EventHit, experiments.EventSample,
			experiments.EventCount, experiments.EventJudgement, experiments.EventGuard, experiments.EventStop, experiments.EventNote, experiments.EventEnd,
		}).Draw(t, "type"),
		Phase:   rapid.SampledFrom(append(phases, "")).Draw(t, "phase"),
		Verdict: rapid.SampledFrom([]experiments.Verdict{experiments.Held, experiments.Refuted, experiments.NotRestored, ""}).Draw(t, "verdict"),
	}
	switch e.Type {
	case experiments.EventBegin:
		e.Begin = &experiments.Begin{Run: text.Draw(t, "run"), Scenario: text.Draw(t, "scenario")}
	case experiments.EventHit:
		id := rapid.StringMatching("[a-z]").Draw(t, "id")
		e.Hit = &experiments.HitEvent{ID: id, Error: text.Draw(t, "error"), Step: rapid.SampledFrom([]experiments.Step{
			experiments.Planned, experiments.Intended, experiments.Injected, experiments.Reverting, experiments.Verified, experiments.Failed, experiments.Stuck,
		}).Draw(t, "step")}
		if rapid.Bool().Draw(t, "whole") {
			e.Hit.Hit = &experiments.Hit{ID: id, Fault: text.Draw(t, "fault"), Target: text.Draw(t, "target"), Effect: text.Draw(t, "effect"), At: lasts / 2, Lasts: lasts}
		}
	case experiments.EventSample:
		value := float("value")
		e.Value, e.Sample = &value, &experiments.Sample{Took: lasts, Counted: true, Good: rapid.Bool().Draw(t, "good")}
	case experiments.EventCount:
		e.Count = &experiments.Count{Bad: number.Draw(t, "bad"), Total: number.Draw(t, "total")}
	case experiments.EventJudgement:
		e.Judgement = &experiments.Judgement{
			Verdict: e.Verdict, Observed: float("observed"), Limit: float("limit"), Needs: number.Draw(t, "needs"),
			Unit: rapid.SampledFrom([]string{"s", "ratio", "", "漢字"}).Draw(t, "unit"), Text: text.Draw(t, "words"),
		}
	case experiments.EventGuard:
		e.Guard = &experiments.Reading{Used: float("used"), Breached: rapid.Bool().Draw(t, "breached"), Text: text.Draw(t, "reading")}
	case experiments.EventStop:
		e.Stop = &experiments.Stop{Cause: text.Draw(t, "cause")}
	}
	return e
}

func TestNoFrameIsLargerThanTheTerminal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		state, at := &liveState{}, began
		for range rapid.IntRange(0, 60).Draw(t, "events") {
			at = at.Add(time.Duration(rapid.IntRange(0, 3000).Draw(t, "ms")) * time.Millisecond)
			state.event(randomEvent(t, at))
		}
		width, height := rapid.IntRange(1, 220).Draw(t, "width"), rapid.IntRange(1, 70).Draw(t, "height")
		for _, colour := range []bool{false, true} {
			frame := render(state, screen{width: width, height: height, now: at, palette: newPalette(colour)})
			lines := strings.Split(frame, "\n")
			if len(lines) > height {
				t.Fatalf("%d lines on a terminal of %d:\n%s", len(lines), height, frame)
			}
			for _, line := range lines {
				if got := ansi.StringWidth(line); got > width {
					t.Fatalf("a line of %d cells on a terminal of %d: %q", got, width, line)
				}
			}
			if last := lines[len(lines)-1]; last != "" {
				t.Fatalf("the line of the cursor holds %q", last)
			}
		}
	})
}
