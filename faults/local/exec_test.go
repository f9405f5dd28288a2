package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gameday-sh/gameday/experiments"
)

// marker is a fault whose harm is a file, in a directory of its own.
func marker(t *testing.T) (*Exec, string) {
	t.Helper()
	dir := t.TempDir()
	return &Exec{
		InjectCommand: []string{"touch", "harm"},
		RevertCommand: []string{"rm", "harm"}, // fails the second time
		CheckCommand:  []string{"test", "-e", "harm"},
		Dir:           dir,
		Timeout:       time.Minute,
	}, filepath.Join(dir, "harm")
}

func script(text string, arguments ...string) []string {
	return append([]string{"sh", "-c", text}, arguments...)
}

func exists(t *testing.T, path string) bool {
	t.Helper()
	_, err := os.Stat(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return err == nil
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestExecRunsItsCommandsInTurn(t *testing.T) {
	f, harm := marker(t)
	if problems := f.Validate(); len(problems) > 0 {
		t.Fatal(problems)
	}
	hit := planned(t, f, "exec")[0]
	if !f.Lasts() || hit.Fuse != experiments.WatchdogFuse || hit.Target != "command touch harm" || hit.Holds != "exec command touch harm" {
		t.Errorf("planned %+v", hit)
	}
	wantState(t, f, hit, experiments.Whole, "check command exited 1")
	proof, err := f.Inject(t.Context(), hit)
	if err != nil {
		t.Fatal(err)
	}
	if !exists(t, harm) || proof.Seen != "inject command exited 0; check command exited 0: the harm is there" {
		t.Errorf("harm %v, proof %q", exists(t, harm), proof.Seen)
	}
	_, err = f.Plan(t.Context(), drawn(1))
	wantError(t, err, "the harm is there, before anything was done")

	// From the record alone, from another directory and with another search path.
	t.Chdir(t.TempDir())
	t.Setenv("PATH", "/nonexistent")
	fresh := new(Exec)
	wantState(t, fresh, hit, experiments.Harmed, "exited 0")
	for range 2 {
		if err := fresh.Revert(t.Context(), hit); err != nil {
			t.Fatal(err)
		}
		wantState(t, fresh, hit, experiments.Whole, "exited 1")
	}
	if exists(t, harm) {
		t.Error("the harm is still there")
	}
}

func TestExecWithoutARevertIsOverAtOnce(t *testing.T) {
	f, harm := marker(t)
	f.RevertCommand, f.CheckCommand, f.Target = nil, nil, "the shop"
	hit := planned(t, f, "exec")[0]
	if f.Lasts() || hit.Fuse != "" || hit.Target != "the shop" || hit.Holds != "exec the shop" {
		t.Errorf("lasts %v, planned %+v", f.Lasts(), hit)
	}
	proof, err := f.Inject(t.Context(), hit)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(proof.Seen, "inject command exited 0 (no check command: the effect was not read back)") {
		t.Errorf("the proof is %q", proof.Seen)
	}
	if err := f.Revert(t.Context(), hit); err != nil {
		t.Error(err)
	}
	wantState(t, f, hit, experiments.Whole, "nothing to undo")
	if !exists(t, harm) {
		t.Error("the command did not run")
	}
}

func TestExecFailsWhenItsCommandsDo(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*Exec)
		want   []string
		harmed bool // whether the harm is left for the revert
	}{
		{"inject exits with an error", func(f *Exec) { f.InjectCommand = script(`echo one; echo "no such \033[31mpump" >&2; exit 7`) },
			[]string{"inject command", "exited 7", "one / no such pump"}, false},
		{"inject does nothing", func(f *Exec) { f.InjectCommand = []string{"true"} },
			[]string{"there is no effect", "check command exited 1"}, false},
		{"inject is killed", func(f *Exec) { f.InjectCommand = script(`touch harm; kill -9 $$`) },
			[]string{"did not exit by itself", "killed"}, true},
		{"inject takes too long", func(f *Exec) { f.InjectCommand, f.Timeout = script(`touch harm; echo waiting; sleep 60`), time.Second },
			[]string{"took longer than 1s", "it said: waiting", "longer timeout"}, true},
		{"check cannot tell any more", func(f *Exec) { f.CheckCommand = script(`test ! -e harm || exit 2; exit 1`) },
			[]string{"could not be read back", "check command exited 2", "must exit with 0"}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			f, harm := marker(t)
			test.change(f)
			hit := planned(t, f, "exec")[0]
			_, err := f.Inject(t.Context(), hit)
			wantError(t, err, test.want...)
			if exists(t, harm) != test.harmed {
				t.Errorf("harm %v, want %v", exists(t, harm), test.harmed)
			}
			if err := f.Revert(t.Context(), hit); err != nil {
				t.Errorf("revert: %v", err)
			}
			if exists(t, harm) {
				t.Error("the revert left the harm")
			}
		})
	}
}

func TestExecPlanRefusesWhatCouldNotWork(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*Exec)
		want   []string
	}{
		{"no such program", func(f *Exec) { f.InjectCommand = []string{"no-such-program"} }, []string{"inject command", `no program "no-such-program" in PATH`}},
		{"no such revert program", func(f *Exec) { f.RevertCommand = []string{"./undo"} }, []string{"revert command", "there is no program /"}},
		{"a check that is a directory", func(f *Exec) { f.CheckCommand = []string{"/tmp"} }, []string{"check command", "not a file that can be run"}},
		{"a program that may not be run", func(f *Exec) { f.InjectCommand = []string{"/etc/passwd"} }, []string{"may not be run"}},
		{"no such directory", func(f *Exec) { f.Dir = "/nonexistent" }, []string{"/nonexistent"}},
		{"a check that never tells", func(f *Exec) { f.CheckCommand = script("exit 2") }, []string{"before any harm", "exited 2"}},
		{"a variable that is not set", func(f *Exec) { f.PassEnv = []string{"GD_NOT_SET"} }, []string{"pass_env", "GD_NOT_SET"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			f, harm := marker(t)
			test.change(f)
			_, err := f.Plan(t.Context(), drawn(1))
			wantError(t, err, test.want...)
			if exists(t, harm) {
				t.Error("the plan did the harm")
			}
		})
	}
}

func TestExecRefusesAProgramThatChangedSinceThePlan(t *testing.T) {
	f, harm := marker(t)
	shell, err := findProgram([]string{"sh"}, "/", os.Getenv("PATH"))
	if err != nil {
		t.Fatal(err)
	}
	// A link stands for the program: writing one would race with the forks of
	// parallel tests ("text file busy").
	link := filepath.Join(f.Dir, "tool")
	if err := os.Symlink(shell.Path, link); err != nil {
		t.Fatal(err)
	}
	for attribute, command := range map[string]*[]string{"inject": &f.InjectCommand, "revert": &f.RevertCommand} {
		t.Run(attribute, func(t *testing.T) {
			before := *command
			defer func() { *command = before }()
			*command = []string{"./tool", "-c", strings.Join(before, " ")}
			hit := planned(t, f, "exec")[0]
			if err := os.Rename(link, link+".old"); err != nil {
				t.Fatal(err)
			}
			_, err := f.Inject(t.Context(), hit)
			wantError(t, err, "moved since the plan", "not there any more", "nothing was done")
			if err := os.Symlink(helperProgram, link); err != nil {
				t.Fatal(err)
			}
			_, err = f.Inject(t.Context(), hit)
			wantError(t, err, "moved since the plan", "changed or replaced", "nothing was done")
			if exists(t, harm) {
				t.Error("the harm was done")
			}
			// Nothing was done, so the revert must run nothing: somebody else's harm stays.
			if err := os.WriteFile(harm, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := f.Revert(t.Context(), hit); err != nil {
				t.Error(err)
			}
			if !exists(t, harm) {
				t.Error("the revert of a refused hit undid what somebody else did")
			}
			wantState(t, f, hit, experiments.Superseded, "which this hit did not do")
			if err := errors.Join(os.Remove(harm), os.Remove(link), os.Rename(link+".old", link)); err != nil {
				t.Fatal(err)
			}
			if _, err := f.Inject(t.Context(), hit); err != nil {
				t.Errorf("with the program back: %v", err)
			}
			if err := f.Revert(t.Context(), hit); err != nil || exists(t, harm) {
				t.Errorf("revert: %v, harm %v", err, exists(t, harm))
			}
		})
	}
}

func TestExecRevertFailsWhileTheHarmIsThere(t *testing.T) {
	f, _ := marker(t)
	f.RevertCommand = script("echo stuck; exit 4")
	hit := planned(t, f, "exec")[0]
	if _, err := f.Inject(t.Context(), hit); err != nil {
		t.Fatal(err)
	}
	wantError(t, f.Revert(t.Context(), hit), "revert command", "exited 4 (stuck)", "the harm is there")
	wantState(t, f, hit, experiments.Harmed, "exited 0")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	wantError(t, f.Revert(ctx, hit), context.Canceled.Error())

	damaged := hit
	damaged.Spec = json.RawMessage(`[]`)
	wantError(t, f.Revert(t.Context(), damaged), "read the record of exec")
	wantState(t, f, damaged, experiments.Unknown, "read the record of exec")
}

func TestExecGivesItsCommandsACleanEnvironment(t *testing.T) {
	const secret = "s3cr3t/t0ken value"
	t.Setenv("GD_TOKEN", secret)
	t.Setenv("GD_LEAK", "leaked")
	f, _ := marker(t)
	f.InjectCommand = script(`env | sort > env.txt; touch harm`)
	f.Env, f.PassEnv = map[string]string{"REGION": "eu"}, []string{"GD_TOKEN"}
	hit := planned(t, f, "exec")[0]
	if text := fmt.Sprintf("%+v %s", hit, hit.Spec); strings.Contains(text, "s3cr3t") {
		t.Errorf("the hit holds the secret: %s", text)
	}
	if _, err := f.Inject(t.Context(), hit); err != nil {
		t.Fatal(err)
	}
	got := read(t, filepath.Join(f.Dir, "env.txt"))
	for _, line := range []string{
		"GAMEDAY_COMMAND=inject", "GAMEDAY_FAULT=break-it", "GAMEDAY_HIT=" + hit.ID, "GAMEDAY_ROUND=1", "GAMEDAY_RUN=20260102-030405-test-0001",
		"GD_TOKEN=" + secret, "REGION=eu", "PATH=" + os.Getenv("PATH"),
	} {
		if !slices.Contains(strings.Split(got, "\n"), line) {
			t.Errorf("%q is not in the environment:\n%s", line, got)
		}
	}
	if strings.Contains(got, "leaked") {
		t.Errorf("what was not asked for was handed through:\n%s", got)
	}

	// A new value is looked up by the revert; without one it says what to do.
	t.Setenv("GD_TOKEN", "renewed-token")
	hit = respec(t, hit, func(s *execSpec) {
		s.Revert.Argv = script(`printf 'token=%s %s' "$GD_TOKEN" "$(printf %s "$GD_TOKEN" | base64)"; exit 1`)
		shell, err := findProgram(s.Revert.Argv, s.Dir, s.Env["PATH"])
		if err != nil {
			t.Fatal(err)
		}
		s.Revert = &shell
	})
	err := f.Revert(t.Context(), hit)
	wantError(t, err, "token=(secret) (secret)")
	if strings.Contains(err.Error(), "renewed") {
		t.Errorf("the error shows the secret: %v", err)
	}
	if err := os.Unsetenv("GD_TOKEN"); err != nil {
		t.Fatal(err)
	}
	wantError(t, f.Revert(t.Context(), hit), "GD_TOKEN", "not set")
	wantState(t, f, hit, experiments.Unknown, "GD_TOKEN")
}

func TestExecEndsTheWholeProcessGroupOnATimeoutAndACancel(t *testing.T) {
	for _, test := range []struct {
		name    string
		timeout time.Duration
		want    string
	}{
		{"a timeout", 500 * time.Millisecond, "took longer than 500ms"},
		{"a cancel", time.Minute, context.Canceled.Error()},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			f, _ := marker(t)
			note := filepath.Join(f.Dir, "grandchild")
			f.InjectCommand, f.Timeout = []string{helperProgram, helperMark, "family", note}, test.timeout
			f.RevertCommand, f.CheckCommand = nil, nil
			hit := planned(t, f, "exec")[0]
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			failed := make(chan error, 1)
			go func() {
				_, err := f.Inject(ctx, hit)
				failed <- err
			}()
			for !exists(t, note) || read(t, note) == "" {
				time.Sleep(time.Millisecond)
			}
			if test.timeout == time.Minute {
				cancel()
			}
			wantError(t, <-failed, test.want, "ended with its process group")
			grandchild, err := strconv.Atoi(read(t, note))
			if err != nil {
				t.Fatal(err)
			}
			// Nobody collects an orphan here but init, so a zombie is as good as gone.
			for {
				err := syscall.Kill(grandchild, 0)
				if errors.Is(err, syscall.ESRCH) {
					break
				}
				if p, err := readProcess(grandchild); err == nil && p.state == 'Z' {
					break
				}
				if t.Context().Err() != nil {
					t.Fatal("the grandchild that ignores SIGTERM is alive")
				}
				time.Sleep(time.Millisecond)
			}
		})
	}
}

func TestExecDoesNotWaitForWhatACommandLeavesRunning(t *testing.T) {
	f, _ := marker(t)
	f.RevertCommand, f.CheckCommand = nil, nil
	// The background sleep holds the pipe of the output open.
	f.InjectCommand = script(`sleep 300 & echo $! > pid; echo started`)
	hit := planned(t, f, "exec")[0]
	proof, err := f.Inject(t.Context(), hit)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(read(t, filepath.Join(f.Dir, "pid"))))
	if err != nil {
		t.Fatal(err)
	}
	// It must still run: that it can be ended proves it.
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Errorf("what the command left running was ended: %v", err)
	}
	if !strings.Contains(proof.Seen, "exited 0 (started)") {
		t.Errorf("the output written before the end is lost: %q", proof.Seen)
	}
}

func TestCommandKeepsOnlyTheEndOfItsOutput(t *testing.T) {
	shell, err := findProgram(script(`i=0; while [ $i -lt 40000 ]; do echo "line $i of much"; i=$((i+1)); done`), "/", os.Getenv("PATH"))
	if err != nil {
		t.Fatal(err)
	}
	done, err := command{program: shell, dir: "/", timeout: time.Minute}.run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if want := "line 39997 of much / line 39998 of much / line 39999 of much"; done.code != 0 || done.last != want {
		t.Errorf("exited %d with %q, want 0 with %q", done.code, done.last, want)
	}

	var kept tail
	for range 100 {
		kept.add(make([]byte, 10_000))
		if len(kept.kept) > 2*outputLimit {
			t.Fatalf("%d bytes are kept", len(kept.kept))
		}
	}
	kept.trim()
	if len(kept.kept) != outputLimit || !kept.cut {
		t.Errorf("%d bytes are kept (cut %v), want %d", len(kept.kept), kept.cut, outputLimit)
	}
}

func TestFindProgram(t *testing.T) {
	dir := t.TempDir()
	if err := os.Symlink(helperProgram, filepath.Join(dir, "tool")); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ name, program, path, want string }{
		{"in the search path", "tool", "/nonexistent:" + dir, filepath.Join(dir, "tool")},
		{"relative to dir", "./tool", "", filepath.Join(dir, "tool")},
		{"absolute", helperProgram, "", helperProgram},
		{"not in a relative search path", "tool", ".:" + filepath.Base(dir), ""},
		{"not in dir without a slash", "tool", "/nonexistent", ""},
		{"not without a name", "", dir, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, err := findProgram([]string{test.program, "a b", ""}, dir, test.path)
			if test.want == "" {
				wantError(t, err, "no program")
				return
			}
			if err != nil || p.Path != test.want || p.Inode == 0 || p.Size == 0 || p.Modified == 0 {
				t.Errorf("found %+v (%v), want %s", p, err, test.want)
			}
			if want := test.program + ` "a b" ""`; p.String() != want {
				t.Errorf("written %s, want %s", p, want)
			}
		})
	}
}

func TestExecValidates(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*Exec)
		want   []string // attributes
	}{
		{"inject, revert and check", func(*Exec) {}, nil},
		{"inject alone", func(f *Exec) { f.RevertCommand, f.CheckCommand = nil, nil }, nil},
		{"no inject", func(f *Exec) { f.InjectCommand = nil }, []string{"inject"}},
		{"an empty revert", func(f *Exec) { f.RevertCommand = []string{} }, []string{"revert"}},
		{"an empty program", func(f *Exec) { f.CheckCommand = []string{"", "x"} }, []string{"check"}},
		{"a NUL", func(f *Exec) { f.InjectCommand = []string{"echo", "\x00"} }, []string{"inject"}},
		{"a revert without a check", func(f *Exec) { f.CheckCommand = nil }, []string{"check"}},
		{"no time", func(f *Exec) { f.Timeout = 0 }, []string{"timeout"}},
		{"a variable of gameday's", func(f *Exec) { f.Env = map[string]string{"GAMEDAY_RUN": "x"} }, []string{"env"}},
		{"a variable without a name", func(f *Exec) { f.Env = map[string]string{"": "x"} }, []string{"env"}},
		{"a variable twice", func(f *Exec) { f.Env, f.PassEnv = map[string]string{"A": "x"}, []string{"A", "B=C"} }, []string{"pass_env", "pass_env"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			f, _ := marker(t)
			test.change(f)
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

func BenchmarkExecThatDoesNothing(b *testing.B) {
	f := &Exec{
		InjectCommand: []string{"true"}, RevertCommand: []string{"true"}, CheckCommand: []string{"false"},
		Dir: b.TempDir(), Timeout: time.Minute,
	}
	hits, err := f.Plan(b.Context(), drawn(1))
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := f.Revert(b.Context(), hits[0]); err != nil {
			b.Fatal(err)
		}
	}
}
