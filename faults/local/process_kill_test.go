//go:build linux

package local

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gameday-sh/gameday/experiments"
)

func killer(name string) *ProcessKill {
	return &ProcessKill{Targets: Targets{Name: name, Count: 1}, Signal: "KILL", Wait: 20 * time.Second}
}

func writePID(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "shop.pid")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestProcessKillEndsWhatEachWayFinds(t *testing.T) {
	for _, test := range []struct {
		name string
		how  string
		aim  func(t *testing.T, name string, v *victim) *ProcessKill
	}{
		{"by name", "sleep", func(_ *testing.T, name string, _ *victim) *ProcessKill { return killer(name) }},
		{"by pid file", "sleep", func(t *testing.T, _ string, v *victim) *ProcessKill {
			f := killer("")
			f.PIDFile = writePID(t, fmt.Sprintf("%d\n", v.pid))
			return f
		}},
		{"by port", "listen", func(t *testing.T, _ string, v *victim) *ProcessKill {
			f := killer("")
			var err error
			if f.Port, err = strconv.Atoi(v.said); err != nil {
				t.Fatal(err)
			}
			return f
		}},
		{"by name, command line and user", "sleep", func(_ *testing.T, name string, _ *victim) *ProcessKill {
			f := killer(name)
			f.CommandMatches, f.User = helperMark+" sl.ep$", strconv.Itoa(os.Geteuid())
			return f
		}},
		{"with a signal it could handle", "sleep", func(_ *testing.T, name string, _ *victim) *ProcessKill {
			f := killer(name)
			f.Signal = "TERM"
			return f
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			name := uniqueName()
			v, bystander := start(t, name, test.how, true), start(t, uniqueName(), "sleep", true)
			f := test.aim(t, name, v)
			if problems := f.Validate(); len(problems) > 0 {
				t.Fatal(problems)
			}
			hits := planned(t, f, "process_kill")
			if len(hits) != 1 || hits[0].Target != fmt.Sprintf("process %d (%s)", v.pid, name) {
				t.Fatalf("planned %+v, want process %d alone", hits, v.pid)
			}
			if v.state(t) == 0 {
				t.Fatal("the plan ended the process")
			}
			wantState(t, f, hits[0], experiments.Whole, "still runs")
			proof, err := f.Inject(t.Context(), hits[0])
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(proof.Seen, "is gone after SIG"+f.Signal) {
				t.Errorf("the proof is %q", proof.Seen)
			}
			if err := <-v.ended; err == nil {
				t.Error("the process ended by itself, want by a signal")
			} else {
				v.ended <- err
			}
			wantState(t, new(ProcessKill), hits[0], experiments.Whole, "is gone")
			if err := f.Revert(t.Context(), hits[0]); err != nil {
				t.Errorf("revert: %v", err)
			}
			if bystander.state(t) == 0 {
				t.Error("a bystander ended, too")
			}
			_, err = f.Inject(t.Context(), hits[0])
			wantError(t, err, "moved since the plan", "nothing was done")
		})
	}
}

func TestProcessKillDrawsItsTargetsFromTheSeed(t *testing.T) {
	name := uniqueName()
	var pids []int
	for range 4 {
		pids = append(pids, start(t, name, "sleep", true).pid)
	}
	f := killer(name)
	f.Count = 2
	drawnSets := map[string]bool{}
	for seed := range uint64(40) {
		var sets [2]string
		for i := range sets {
			hits, err := f.Plan(t.Context(), drawn(seed))
			if err != nil {
				t.Fatal(err)
			}
			if len(hits) != 2 || hits[0].Holds == hits[1].Holds {
				t.Fatalf("planned %+v, want two different processes", hits)
			}
			sets[i] = hits[0].Target + hits[1].Target
		}
		if sets[0] != sets[1] {
			t.Fatalf("seed %d drew %s and then %s", seed, sets[0], sets[1])
		}
		drawnSets[sets[0]] = true
	}
	if len(drawnSets) != 6 {
		t.Errorf("40 seeds drew %d of the 6 pairs of 4 processes", len(drawnSets))
	}

	f.All = true
	hits := planned(t, f, "process_kill")
	var all []int
	for _, hit := range hits {
		spec, err := readKillSpec(hit)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, spec.Process.PID)
	}
	slices.Sort(pids)
	if !slices.Equal(all, pids) {
		t.Errorf("all = true planned %v, want %v", all, pids)
	}

	f.All, f.Count = false, 5
	_, err := f.Plan(t.Context(), drawn(1))
	wantError(t, err, "asks for 5", "4 matched", strconv.Itoa(pids[0]), strconv.Itoa(pids[3]))
}

func TestProcessKillRefusesWhatItCannotMean(t *testing.T) {
	v := start(t, uniqueName(), "sleep", true)
	stale := writePID(t, strconv.Itoa(v.pid))
	if err := os.Chtimes(stale, time.Time{}, time.Now().Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	ended := exec.Command("true")
	if err := ended.Run(); err != nil {
		t.Fatal(err)
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := free.Addr().(*net.TCPAddr).Port
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name string
		f    ProcessKill
		want []string
	}{
		{"no process of that name", ProcessKill{Targets: Targets{Name: "no-such-process"}}, []string{`name = "no-such-process"`, "none matched"}},
		{"a name that only begins so", ProcessKill{Targets: Targets{Name: "gd"}}, []string{"none matched"}},
		{"no pid file", ProcessKill{Targets: Targets{PIDFile: "/nonexistent/shop.pid"}}, []string{"read pid_file", "is the service running"}},
		{"a pid file without a number", ProcessKill{Targets: Targets{PIDFile: writePID(t, "shop\x1b[2J\n")}}, []string{`begins with "shop"`, "not a process id"}},
		{"a pid file with the id of all processes", ProcessKill{Targets: Targets{PIDFile: writePID(t, "-1")}}, []string{"not a process id"}},
		{"a pid file of a process that has ended", ProcessKill{Targets: Targets{PIDFile: writePID(t, strconv.Itoa(ended.Process.Pid))}}, []string{"does not run", "left behind"}},
		{"a pid file older than the process", ProcessKill{Targets: Targets{PIDFile: stale}}, []string{"started later", "left behind"}},
		{"a port nobody listens on", ProcessKill{Targets: Targets{Port: port}}, []string{"nothing listens"}},
		{"a user who is not there", ProcessKill{Targets: Targets{Name: "x", User: "no-such-user"}}, []string{"no-such-user"}},
		{"another user's process", ProcessKill{Targets: Targets{PIDFile: writePID(t, strconv.Itoa(v.pid)), User: "54321"}}, []string{"none matched"}},
		{"another command line", ProcessKill{Targets: Targets{PIDFile: writePID(t, strconv.Itoa(v.pid)), CommandMatches: "^nginx"}}, []string{"none matched"}},
		{"init", ProcessKill{Targets: Targets{PIDFile: writePID(t, "1")}}, []string{"none matched", "init process"}},
		{"gameday itself", ProcessKill{Targets: Targets{PIDFile: writePID(t, strconv.Itoa(os.Getpid()))}}, []string{"it is gameday itself"}},
		{"what gameday was started by", ProcessKill{Targets: Targets{PIDFile: writePID(t, strconv.Itoa(os.Getppid()))}}, []string{"gameday runs under it"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := test.f
			f.Count, f.Signal, f.Wait = 1, "KILL", time.Second
			_, err := f.Plan(t.Context(), drawn(1))
			wantError(t, err, test.want...)
		})
	}
	if v.state(t) == 0 {
		t.Error("a plan ended the process")
	}
}

func TestProcessKillLeavesGamedaysOwnHelpersAlone(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	watchdog := exec.Command(self, helperMark, "sleep")
	if err := watchdog.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := watchdog.Process.Kill(); err != nil {
			t.Error(err)
		}
		if err := watchdog.Wait(); err == nil {
			t.Error("the helper ended before it was ended")
		}
	})
	f := killer("")
	f.PIDFile = writePID(t, strconv.Itoa(watchdog.Process.Pid))
	_, err = f.Plan(t.Context(), drawn(1))
	wantError(t, err, "belongs to this run of gameday")

	kernel := process{pid: 2, kernel: true}
	guard, err := protectedProcesses()
	if err != nil {
		t.Fatal(err)
	}
	if why := guard.reason(kernel); !strings.Contains(why, "kernel") {
		t.Errorf("a kernel thread may be hit: %q", why)
	}
}

func TestProcessKillFailsWhenTheSignalIsIgnored(t *testing.T) {
	name := uniqueName()
	v := start(t, name, "ignore-term", true)
	f := killer(name)
	f.Signal, f.Wait = "TERM", 50*time.Millisecond
	hit := planned(t, f, "process_kill")[0]
	_, err := f.Inject(t.Context(), hit)
	wantError(t, err, "got SIGTERM", "still runs after 50ms", `signal = "KILL"`)
	if v.state(t) == 0 {
		t.Error("the process is gone")
	}
	wantState(t, f, hit, experiments.Whole, "still runs")

	// The wait ends with the context, too.
	f.Wait = time.Hour
	hit = planned(t, f, "process_kill")[0]
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = f.Inject(ctx, hit)
	wantError(t, err, "got SIGTERM", context.DeadlineExceeded.Error())
}

func TestProcessKillTakesAZombieForGone(t *testing.T) {
	name := uniqueName()
	v := start(t, name, "sleep", false)
	f := killer(name)
	hit := planned(t, f, "process_kill")[0]
	proof, err := f.Inject(t.Context(), hit)
	if err != nil {
		t.Fatal(err)
	}
	if state := v.state(t); state != 'Z' {
		t.Fatalf("the state is %q, want a zombie", state)
	}
	if !strings.Contains(proof.Seen, "a zombie until its parent") {
		t.Errorf("the proof does not say zombie: %s", proof.Seen)
	}
	wantState(t, f, hit, experiments.Whole, "zombie")
	_, err = f.Plan(t.Context(), drawn(1))
	wantError(t, err, "none matched")
}

func TestProcessKillSignalsOnlyTheProcessThatWasPlanned(t *testing.T) {
	name := uniqueName()
	v := start(t, name, "sleep", true)
	f := killer(name)
	original := planned(t, f, "process_kill")[0]
	for _, test := range []struct {
		name   string
		change func(*killSpec)
		want   []string
		seen   string
	}{
		{"the id was given to another process", func(s *killSpec) { s.Process.Start++ }, []string{"moved since the plan", "belongs to another process now"}, "is gone"},
		{"the machine was restarted", func(s *killSpec) { s.Process.Boot = "before" }, []string{"moved since the plan", "restarted"}, "is gone"},
		{"another machine", func(s *killSpec) { s.Process.Boot, s.Process.Host = "other", "elsewhere" }, []string{"on host elsewhere", "gameday recover", "nothing was done"}, "cannot be seen"},
		{"another container", func(s *killSpec) { s.Process.Namespace = "pid:[1]" }, []string{"pid namespace", "nothing was done"}, "cannot be seen"},
		{"a damaged record that names everybody", func(s *killSpec) { s.Process.PID = -1 }, []string{"never a target", "nothing was done"}, "cannot be seen"},
		{"a signal that does not end it", func(s *killSpec) { s.Signal = "STOP" }, []string{`"STOP"`, "nothing was done"}, "still runs"},
	} {
		t.Run(test.name, func(t *testing.T) {
			hit := respec(t, original, test.change)
			_, err := f.Inject(t.Context(), hit)
			wantError(t, err, test.want...)
			if state := v.state(t); state == 0 || state == 'Z' || state == 'T' {
				t.Errorf("the process was hit: state %q", state)
			}
			wantState(t, f, hit, experiments.Whole, test.seen)
		})
	}
	original.Spec = json.RawMessage(`{"process":7}`)
	_, err := f.Inject(t.Context(), original)
	wantError(t, err, "read the record")
	wantState(t, f, original, experiments.Unknown, "read the record")
}

func TestProcessKillValidates(t *testing.T) {
	good := ProcessKill{Targets: Targets{Name: "shop", Count: 1}, Wait: time.Second}
	for _, test := range []struct {
		name   string
		change func(*ProcessKill)
		want   []string // attributes
	}{
		{"a name is enough", func(*ProcessKill) {}, nil},
		{"no way to find a process", func(f *ProcessKill) { f.Name = "" }, []string{""}},
		{"two ways to find a process", func(f *ProcessKill) { f.Port = 80 }, []string{""}},
		{"a port beyond the last", func(f *ProcessKill) { f.Name, f.Port = "", 65536 }, []string{"port"}},
		{"a broken regular expression", func(f *ProcessKill) { f.CommandMatches = "(" }, []string{"command_matches"}},
		{"everything wrong at once", func(f *ProcessKill) { f.Name, f.Count, f.Wait = "", 0, 0 }, []string{"", "count", "wait"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := good
			test.change(&f)
			var got []string
			for _, problem := range f.Validate() {
				got = append(got, problem.Attribute)
				if problem.Summary == "" || problem.Detail == "" {
					t.Errorf("a problem without words: %+v", problem)
				}
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("problems with %q, want %q", got, test.want)
			}
		})
	}
}
