package probes

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/textsafe"
)

// Exec runs a command. Its exit code makes the event good or bad; a number on its
// output can be the value. The latency is the time until it exits.
//
// The command runs without a shell, in a process group of its own that is killed as a
// whole when time is up, and in any case once the command has exited, so that nothing
// piles up from one measurement to the next. Its environment is empty but for PATH,
// HOME, LANG, TMPDIR and what the scenario adds. A command that cannot be started, or
// that promises a number and prints none, is not a bad event: the probe is broken.
// Measurements that overlap run the command several times at once.
type Exec struct {
	Command   []string                      `hcl:"command" doc:"Program and arguments; no shell is involved." example:"[\"pg_isready\", \"-h\", \"127.0.0.1\"]"`
	Dir       string                        `hcl:"dir,optional" doc:"Directory to run in; without it, that of gameday." example:"scripts"`
	Env       map[string]experiments.Secret `hcl:"env,optional" doc:"Environment variables to set." example:"{ PGUSER = \"gameday\", PGPASSWORD = env(\"PGPASSWORD\") }"`
	PassEnv   []string                      `hcl:"pass_env,optional" doc:"Environment variables to hand on, besides PATH, HOME, LANG and TMPDIR." example:"[\"PGPASSWORD\"]"`
	ExitCodes []string                      `hcl:"exit_codes,optional" doc:"Exit codes that count as good: single ones or ranges (\"0-1\")." default:"[\"0\"]"`
	Stdout    string                        `hcl:"stdout,optional" doc:"What the output holds: nothing of interest, one number, or JSON with a number at json_path." default:"none" enum:"none|number|json"`
	JSONPath  string                        `hcl:"json_path,optional" doc:"JSONPath that must name one number in the output." example:"$.replication.lag"`
	Unit      string                        `hcl:"unit,optional" doc:"Unit of the number, for people." example:"s"`

	ready lazy[execReady]
}

// execReady is what an Exec probe works out once.
type execReady struct {
	good   set
	picker *picker
}

const (
	// mostOutput is how much of each output is kept; the rest is read and thrown away,
	// so that the command does not block.
	mostOutput = 64 << 10
	// pipeGrace is how long outputs may stay open after the command and its group are
	// gone: only a process that left the group can hold them.
	pipeGrace = 250 * time.Millisecond
)

// Validate implements experiments.Validator.
func (p *Exec) Validate() []experiments.Problem {
	var list []experiments.Problem
	add := func(attribute, summary, detail string) {
		list = append(list, experiments.Problem{Attribute: attribute, Summary: summary, Detail: detail})
	}
	if len(p.Command) == 0 {
		add("command", "No command", "command is a list of the program and its arguments: [\"pg_isready\", \"-h\", \"db\"]")
	}
	for _, argument := range p.Command {
		if strings.ContainsRune(argument, 0) {
			add("command", "Unusable argument", fmt.Sprintf("%q holds a NUL, which ends an argument", argument))
		}
	}
	for _, name := range sortedKeys(p.Env) {
		if name == "" || strings.ContainsAny(name, "=\x00") || strings.ContainsRune(p.Env[name].Reveal(), 0) {
			add("env", "Unusable environment variable", fmt.Sprintf("%q is not a name for an environment variable, or its value holds a NUL", name))
		}
	}
	for _, name := range p.PassEnv {
		if name == "" || strings.ContainsAny(name, "=\x00") {
			add("pass_env", "Unusable environment variable", fmt.Sprintf("%q is not a name of an environment variable; write the name alone, such as \"PGPASSWORD\"", name))
		}
	}
	if codes, err := parseSet(p.ExitCodes); err != nil {
		add("exit_codes", "Unknown exit code", err.Error())
	} else if len(p.ExitCodes) > 0 && !codes.overlaps(0, 255) {
		add("exit_codes", "Impossible exit code", "exit codes are 0 to 255")
	}
	switch p.Stdout {
	case "", "none", "number", "json":
	default:
		add("stdout", "Unknown kind of output", fmt.Sprintf("%q is not one of \"none\", \"number\" and \"json\"", p.Stdout))
	}
	switch {
	case p.Stdout == "json" && p.JSONPath == "":
		add("json_path", "No path to the number", "stdout = \"json\" needs json_path to say where the number is: \"$.lag\"")
	case p.Stdout != "json" && p.JSONPath != "":
		add("json_path", "Path without JSON", "json_path is used with stdout = \"json\" only")
	case p.JSONPath != "":
		if _, err := newPicker(p.JSONPath); err != nil {
			add("json_path", "Unusable JSONPath", err.Error())
		}
	}
	return list
}

// Tells implements [experiments.Telling].
func (p *Exec) Tells() experiments.Told {
	return experiments.Told{Events: true, Values: p.JSONPath != "" || p.Stdout == "number", Number: "give the probe stdout = \"number\", or a json_path"}
}

// Measure implements experiments.Probe.
func (p *Exec) Measure(ctx context.Context) experiments.Sample {
	ready, err := p.ready.get(p.prepare)
	s := begin()
	if err != nil {
		return broken(s, textsafe.Line(err.Error(), longReason))
	}
	if ctx.Err() != nil {
		return broken(s, "the time for this measurement was over before it began")
	}
	ended, err := p.run(ctx, s.At)
	if err != nil {
		return broken(s, textsafe.Line(err.Error(), longReason))
	}
	s.Took = ended.took
	switch code := ended.state.ExitCode(); {
	case ended.killed && cancelled(ctx):
		return broken(s, "cancelled")
	case ended.killed:
		return bad(s, p.words("no exit"+within(ctx)+", killed", ended.stderr))
	case code < 0:
		return bad(s, p.words(ended.state.String(), ended.stderr))
	case !ready.good.has(code):
		return bad(s, p.words("exit code "+strconv.Itoa(code), ended.stderr))
	}
	return p.value(good(s), ready.picker, ended.stdout)
}

// words joins what happened with the last line of stderr.
func (p *Exec) words(what string, stderr *capped) string {
	lines := strings.FieldsFunc(string(stderr.tail()), func(r rune) bool { return r == '\n' || r == '\r' })
	for i := len(lines) - 1; i >= 0; i-- {
		if line := textsafe.Line(lines[i], longReason); line != "" {
			return what + ": " + line
		}
	}
	return what
}

// value adds the number on stdout to a good sample.
func (p *Exec) value(s experiments.Sample, picker *picker, stdout *capped) experiments.Sample {
	none := func(condition experiments.Condition, why string) experiments.Sample {
		return experiments.Sample{At: s.At, Took: s.Took, Value: math.NaN(), Condition: condition, Why: why}
	}
	if picker == nil && p.Stdout != "number" {
		return s
	}
	text := bytes.TrimSpace(stdout.head)
	switch {
	case len(text) == 0:
		return none(experiments.NoData, "nothing on stdout, where a number was expected")
	case stdout.total > mostOutput:
		return none(experiments.Broken, "stdout is longer than 64 KiB")
	}
	if picker != nil {
		found, err := picker.pick(text)
		if err != nil {
			return none(experiments.Broken, "stdout: "+err.Error())
		}
		if s.Value = number(found); math.IsNaN(s.Value) {
			return none(experiments.NotANumber, fmt.Sprintf("%s is %s, not a number", p.JSONPath, textsafe.Line(textOf(found), longQuote)))
		}
		return s
	}
	n, err := strconv.ParseFloat(string(text), 64)
	if err != nil {
		return none(experiments.Broken, fmt.Sprintf("stdout is not a number: %q", textsafe.Line(string(text), longQuote)))
	}
	if math.IsNaN(n) || math.IsInf(n, 0) {
		return none(experiments.NotANumber, "stdout is "+string(text))
	}
	s.Value = n
	return s
}

// ended is how a command ended.
type ended struct {
	state          *os.ProcessState
	took           time.Duration
	killed         bool // because ctx ended
	stdout, stderr *capped
}

// run runs the command to its end. An error means that it could not be run.
func (p *Exec) run(ctx context.Context, began time.Time) (*ended, error) {
	name := p.Command[0]
	if filepath.Base(name) == name {
		found, err := exec.LookPath(name)
		if err != nil {
			return nil, fmt.Errorf("cannot start %q: %w; install it, or write its full path", name, unwrapExec(err))
		}
		name = found
	}
	result := &ended{stdout: &capped{}, stderr: &capped{}}
	pipes, err := newPipes(result.stdout, result.stderr)
	if err != nil {
		return nil, fmt.Errorf("cannot start %q: %w", p.Command[0], err)
	}
	cmd := exec.CommandContext(ctx, name, p.Command[1:]...)
	cmd.Dir, cmd.Env = p.Dir, p.environment()
	cmd.Stdout, cmd.Stderr = pipes.writers[0], pipes.writers[1]
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error {
		result.killed = true
		return killGroup(cmd.Process.Pid)
	}
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot start %q: %w", p.Command[0], err), pipes.finish())
	}
	waiting := cmd.Wait()
	result.took = time.Since(began)
	// The group outlives its leader where the command started something and left it.
	leftover := killGroup(cmd.Process.Pid)
	draining := pipes.finish()
	result.state = cmd.ProcessState
	if result.state == nil {
		return nil, fmt.Errorf("cannot wait for %q: %w", p.Command[0], errors.Join(waiting, leftover, draining))
	}
	// A command that exited before the signal reached it has ended by itself.
	if status, ok := result.state.Sys().(syscall.WaitStatus); ok && !status.Signaled() {
		result.killed = false
	}
	return result, nil
}

// killGroup kills a process group; one that is gone already is fine.
func killGroup(leader int) error {
	if err := syscall.Kill(-leader, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	return nil
}

// unwrapExec drops the name from an error of the exec package, which names it too.
func unwrapExec(err error) error {
	var named *exec.Error
	if errors.As(err, &named) {
		return named.Err
	}
	return err
}

// environment is what the command sees: the scenario's settings win over those
// handed on.
func (p *Exec) environment() []string {
	env := make([]string, 0, len(p.Env)+len(p.PassEnv)+4)
	for _, name := range append([]string{"PATH", "HOME", "LANG", "TMPDIR"}, p.PassEnv...) {
		if value, set := os.LookupEnv(name); set {
			env = append(env, name+"="+value)
		}
	}
	for name, value := range p.Env {
		env = append(env, name+"="+value.Reveal())
	}
	return env
}

func (p *Exec) prepare() (*execReady, error) {
	if problems := p.Validate(); len(problems) > 0 {
		return nil, errors.New(problems[0].Detail)
	}
	codes, err := parseSet(p.ExitCodes)
	if err != nil {
		return nil, err
	}
	ready := &execReady{good: codes}
	if p.JSONPath != "" {
		if ready.picker, err = newPicker(p.JSONPath); err != nil {
			return nil, err
		}
	}
	return ready, nil
}

// pipes carry the outputs of a command. They are made here and not by os/exec, whose
// Wait would wait for everyone who still holds one.
type pipes struct {
	readers, writers [2]*os.File
	done             sync.WaitGroup
}

func newPipes(outputs ...*capped) (*pipes, error) {
	p := &pipes{}
	for i := range outputs {
		var err error
		if p.readers[i], p.writers[i], err = os.Pipe(); err != nil {
			for j := range i {
				err = errors.Join(err, p.readers[j].Close(), p.writers[j].Close())
			}
			return nil, err
		}
	}
	for i, output := range outputs {
		p.done.Go(func() { output.drain(p.readers[i]) })
	}
	return p, nil
}

// finish closes our end of writing, waits until both outputs are read, and closes them.
func (p *pipes) finish() error {
	problem := errors.Join(p.writers[0].Close(), p.writers[1].Close())
	limit := time.Now().Add(pipeGrace)
	for _, reader := range p.readers {
		problem = errors.Join(problem, reader.SetReadDeadline(limit))
	}
	p.done.Wait()
	return errors.Join(problem, p.readers[0].Close(), p.readers[1].Close())
}

// capped keeps the beginning and the end of an output.
type capped struct {
	head  []byte // up to mostOutput
	last  []byte // up to mostOutput, of what did not fit into head
	total int
}

// drain reads until the output ends or its deadline passes; either is its end.
func (c *capped) drain(output *os.File) {
	buffer := make([]byte, 16<<10)
	for {
		n, err := output.Read(buffer)
		c.add(buffer[:n])
		if err != nil {
			return
		}
	}
}

func (c *capped) add(data []byte) {
	c.total += len(data)
	fits := min(len(data), mostOutput-len(c.head))
	c.head = append(c.head, data[:fits]...)
	c.last = append(c.last, data[fits:]...)
	if over := len(c.last) - mostOutput; over > 0 {
		c.last = append(c.last[:0], c.last[over:]...)
	}
}

// tail is the end of the output.
func (c *capped) tail() []byte {
	if len(c.last) == 0 {
		return c.head
	}
	return append(bytes.Clone(c.head), c.last...)
}
