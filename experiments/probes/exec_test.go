package probes

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gameday-sh/gameday/experiments"
)

// helperArgument makes the test binary one of the commands below.
const helperArgument = "exec-helper"

// helper is a command for the probes under test.
func helper(arguments []string) int {
	switch arguments[0] {
	case "print": // stdout, stderr, exit code
		code, err := strconv.Atoi(arguments[3])
		if err != nil {
			return 99
		}
		fmt.Print(arguments[1])
		fmt.Fprint(os.Stderr, arguments[2])
		return code
	case "environment":
		names := os.Environ()
		for i, pair := range names {
			names[i], _, _ = strings.Cut(pair, "=")
		}
		slices.Sort(names)
		fmt.Fprint(os.Stderr, strings.Join(names, " "), " SET=", os.Getenv("SET"))
		return 1
	case "folder":
		folder, err := os.Getwd()
		fmt.Fprint(os.Stderr, filepath.Base(folder), err)
		return 1
	case "input":
		text, err := io.ReadAll(os.Stdin)
		fmt.Fprint(os.Stderr, len(text), " bytes ", err)
		return 1
	case "flood":
		for range 64 {
			_, _ = os.Stdout.Write(bytes.Repeat([]byte("x"), 64<<10))
			_, _ = os.Stderr.Write(append(bytes.Repeat([]byte("y"), 64<<10), '\n'))
		}
		fmt.Fprintln(os.Stderr, "the end")
		return 1
	case "die":
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	case "hang":
		fmt.Fprintln(os.Stderr, "still waiting")
		note(arguments[1], os.Getpid())
		time.Sleep(time.Hour)
	case "hang-by-pid": // a file for each of several in one folder
		note(filepath.Join(arguments[1], strconv.Itoa(os.Getpid())+".pid"), os.Getpid())
		time.Sleep(time.Hour)
	case "leave", "hang-with-child": // a child that holds both outputs
		child := exec.Command(os.Args[0], helperArgument, "hang", arguments[1])
		child.Stdout, child.Stderr = os.Stdout, os.Stderr
		if err := child.Start(); err != nil {
			return 99
		}
		for !exists(arguments[1]) {
			time.Sleep(time.Millisecond)
		}
		fmt.Println(7)
		if arguments[0] == "hang-with-child" {
			time.Sleep(time.Hour)
		}
	}
	return 0
}

// note writes a file as a whole, so that who sees it can read it.
func note(file string, pid int) {
	if err := os.WriteFile(file+".new", []byte(strconv.Itoa(pid)), 0o600); err == nil {
		_ = os.Rename(file+".new", file)
	}
}

func exists(file string) bool { _, err := os.Stat(file); return err == nil }

func newExec(t *testing.T, arguments ...string) *Exec {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return withDefaults(t, &Exec{
		Command: append([]string{program, helperArgument}, arguments...),
		// The race detector's runtime waits a second before an exit with 0.
		Env: map[string]experiments.Secret{"GORACE": experiments.NewSecret("atexit_sleep_ms=0")},
	})
}

func TestExecJudgesTheCommand(t *testing.T) {
	number := func(p *Exec) { p.Stdout = "number" }
	lag := func(p *Exec) { p.Stdout, p.JSONPath = "json", "$.lag" }
	for _, test := range []struct {
		name    string
		command []string
		with    func(*Exec)
		want    expect
	}{
		{"exit code 0 is good", []string{"print", "", "", "0"}, nil, expect{good: true}},
		{"another one is bad", []string{"print", "", "", "3"}, nil, expect{why: "exit code 3"}},
		{"another one can be good", []string{"print", "", "", "3"}, func(p *Exec) { p.ExitCodes = []string{"0", "2-4"} }, expect{good: true}},
		{"0 is bad where it is not wanted", []string{"print", "", "", "0"}, func(p *Exec) { p.ExitCodes = []string{"1"} }, expect{why: "exit code 0"}},
		{"the last line of stderr says why", []string{"print", "", "first\n\x1b[31mdb is down\x1b[0m\r\n\n", "2"}, nil, expect{why: "exit code 2: db is down"}},
		{"garbage on stderr does no harm", []string{"print", "", "\xff\x01\x1b]0;x\x07", "1"}, nil, expect{why: "exit code 1"}},
		{"a signal is bad", []string{"die"}, nil, expect{why: "signal: killed"}},
		{"a number is the value", []string{"print", " 2.5\n", "", "0"}, number, expect{good: true, value: 2.5}},
		{"output of no interest is no value", []string{"print", "2.5", "", "0"}, nil, expect{good: true}},
		{"the number of a command that failed is none", []string{"print", "2.5", "", "1"}, number, expect{why: "exit code 1"}},
		{"no number where one was promised", []string{"print", "", "", "0"}, number, expect{condition: experiments.NoData, why: "nothing on stdout"}},
		{"a word in place of a number", []string{"print", "two", "", "0"}, number, expect{condition: experiments.Broken, why: `stdout is not a number: "two"`}},
		{"garbage in place of a number", []string{"print", "\xff\x1b[2J\x01", "", "0"}, number, expect{condition: experiments.Broken, why: "stdout is not a number"}},
		{"NaN is no number", []string{"print", "NaN", "", "0"}, number, expect{condition: experiments.NotANumber, why: "NaN"}},
		{"infinity is no number", []string{"print", "+Inf", "", "0"}, number, expect{condition: experiments.NotANumber, why: "+Inf"}},
		{"a number in JSON is the value", []string{"print", `{"lag":3}`, "", "0"}, lag, expect{good: true, value: 3}},
		{"JSON without the number", []string{"print", `{}`, "", "0"}, lag, expect{condition: experiments.Broken, why: "nothing at $.lag"}},
		{"a text where the number should be", []string{"print", `{"lag":"low"}`, "", "0"}, lag, expect{condition: experiments.NotANumber, why: "$.lag is low"}},
		{"no JSON", []string{"print", `lag: 3`, "", "0"}, lag, expect{condition: experiments.Broken, why: "stdout: not JSON"}},
		{"a flood does not block, and its last line is kept", []string{"flood"}, nil, expect{why: "exit code 1: the end"}},
		{"a flood is no number", []string{"flood"}, func(p *Exec) { p.Stdout, p.ExitCodes = "number", []string{"1"} }, expect{condition: experiments.Broken, why: "longer than 64 KiB"}},
		{"the environment holds what it must", []string{"environment"}, func(p *Exec) {
			p.PassEnv = []string{"PROBE_PASSED", "PROBE_UNSET"}
			p.Env = map[string]experiments.Secret{"SET": experiments.NewSecret("by scenario")}
		}, expect{why: "exit code 1: HOME LANG PATH PROBE_PASSED SET TMPDIR SET=by scenario"}},
		{"a setting wins over what is handed on", []string{"environment"}, func(p *Exec) {
			p.PassEnv = []string{"SET"}
			p.Env = map[string]experiments.Secret{"SET": experiments.NewSecret("new")}
		}, expect{why: "SET=new"}},
		{"the folder is the one named", []string{"folder"}, func(p *Exec) { p.Dir = "/usr" }, expect{why: "exit code 1: usr"}},
		{"stdin is empty", []string{"input"}, nil, expect{why: "0 bytes"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			for name, value := range map[string]string{"HOME": "/", "LANG": "C", "TMPDIR": "/tmp", "PROBE_PASSED": "1", "PROBE_HIDDEN": "1", "SET": "old"} {
				t.Setenv(name, value)
			}
			probe := newExec(t, test.command...)
			if test.with != nil {
				test.with(probe)
			}
			checkProblems(t, probe, nil)
			for range 2 {
				test.want.check(t, measure(t, probe, patience))
			}
		})
	}
}

func TestExecThatCannotStartIsBroken(t *testing.T) {
	folder := t.TempDir()
	plain := filepath.Join(folder, "plain")
	if err := os.WriteFile(plain, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name  string
		probe *Exec
		why   string
	}{
		{"a command that is not there", &Exec{Command: []string{"gameday-no-such-command"}}, "install it, or write its full path"},
		{"a path that is not there", &Exec{Command: []string{filepath.Join(folder, "missing")}}, "no such file"},
		{"a file that may not run", &Exec{Command: []string{plain}}, "permission denied"},
		{"a folder that is not there", &Exec{Command: []string{"true"}, Dir: filepath.Join(folder, "missing")}, "no such file"},
		{"no command", &Exec{}, "command is a list"},
	} {
		t.Run(test.name, func(t *testing.T) {
			expect{condition: experiments.Broken, why: test.why}.check(t, measure(t, withDefaults(t, test.probe), patience))
		})
	}
	t.Run("no time left", func(t *testing.T) {
		expect{condition: experiments.Broken, why: "before it began"}.check(t, measure(t, newExec(t, "print", "", "", "0"), -time.Second))
	})
}

// gone waits until a process that a helper noted has ended.
func gone(t *testing.T, file string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(string(text))
	if err != nil {
		t.Fatal(err)
	}
	for range 2000 {
		state, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		// A process that nobody has waited for yet is dead too.
		if errors.Is(err, os.ErrNotExist) || bytes.Contains(state, []byte(") Z ")) {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Errorf("process %d is still there", pid)
	_ = syscall.Kill(pid, syscall.SIGKILL)
}

// until ends a context as soon as a file is there.
func until(t *testing.T, file string, end func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for !exists(file) {
			time.Sleep(time.Millisecond)
		}
		end()
	}()
	t.Cleanup(func() { <-done })
}

func TestExecKillsTheWholeGroup(t *testing.T) {
	for _, command := range []string{"hang", "hang-with-child"} {
		t.Run(command+", when time is up", func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "pid")
			ctx, cancel := context.WithCancelCause(t.Context())
			timed := &timedOut{Context: ctx}
			until(t, file, func() { cancel(context.DeadlineExceeded) })
			expect{why: "no exit in time, killed: still waiting"}.check(t, newExec(t, command, file).Measure(timed))
			gone(t, file)
		})
		t.Run(command+", when the run ends", func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "pid")
			ctx, cancel := context.WithCancel(t.Context())
			until(t, file, cancel)
			expect{condition: experiments.Broken, why: "cancelled"}.check(t, newExec(t, command, file).Measure(ctx))
			gone(t, file)
		})
	}
	t.Run("what a command leaves behind ends with it", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "pid")
		probe := newExec(t, "leave", file)
		probe.Stdout = "number"
		expect{good: true, value: 7}.check(t, measure(t, probe, patience))
		gone(t, file)
	})
}

// timedOut is a context that ends as if its time were up, at a moment a test chooses.
type timedOut struct{ context.Context }

func (c *timedOut) Err() error { return context.Cause(c.Context) }

func TestExecValidates(t *testing.T) {
	for _, test := range []struct {
		name  string
		probe *Exec
		want  []problem
	}{
		{"a command is enough", &Exec{Command: []string{"true"}}, nil},
		{"every problem at once", &Exec{
			Env: map[string]experiments.Secret{"A=B": {}}, PassEnv: []string{"C=D"}, ExitCodes: []string{"ok"}, Stdout: "xml", JSONPath: "$.x",
		}, []problem{{"command", "list of the program"}, {"env", `"A=B"`}, {"pass_env", "name alone"}, {"exit_codes", `"ok"`}, {"stdout", `"xml"`}, {"json_path", `stdout = "json" only`}}},
		{"an argument with a NUL", &Exec{Command: []string{"x", "a\x00b"}}, []problem{{"command", "NUL"}}},
		{"JSON without a path", &Exec{Command: []string{"x"}, Stdout: "json"}, []problem{{"json_path", "needs json_path"}}},
		{"a path that is none", &Exec{Command: []string{"x"}, Stdout: "json", JSONPath: "$["}, []problem{{"json_path", "not a JSONPath"}}},
		{"an exit code that cannot be", &Exec{Command: []string{"x"}, ExitCodes: []string{"300"}}, []problem{{"exit_codes", "0 to 255"}}},
	} {
		t.Run(test.name, func(t *testing.T) { checkProblems(t, test.probe, test.want) })
	}
}
