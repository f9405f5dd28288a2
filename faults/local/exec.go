package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/textsafe"
)

// Exec runs the commands a person wrote: one that does the harm, one that undoes
// it, and one that tells whether it is there.
//
// Nothing from a journal is ever executed, but for this: a revert in a fresh
// process takes the commands from the hit's record. They are those of the
// scenario. The record is trusted because the journal that holds it is readable
// and writable by its owner alone, checked against damage, and refused by the
// journal package if another user owns or may write it.
//
// A command may leave something running in the background, which then must send
// its output elsewhere: what is written once the command has ended goes to a
// closed pipe.
//
// A runner that is killed takes the command with it, but not what the command has
// started. So a revert in a fresh process first ends what the inject command has left
// running in the runner's session: a script that went on would harm again.
type Exec struct {
	InjectCommand []string          `hcl:"inject" doc:"Command that does the harm: program and arguments, no shell; exit code 0 means done" example:"[\"systemctl\", \"stop\", \"shop\"]"`
	RevertCommand []string          `hcl:"revert,optional" doc:"Command that undoes the harm and may be run twice; without it the harm is taken to be over at once" example:"[\"systemctl\", \"start\", \"shop\"]"`
	CheckCommand  []string          `hcl:"check,optional" doc:"Command that changes nothing and exits with 0 if the harm is there and with 1 if it is not; needed with revert" example:"[\"sh\", \"-c\", \"! systemctl is-active --quiet shop\"]"`
	Target        string            `hcl:"target,optional" doc:"What is hit; left out, the inject command; no two faults may hit the same target at once" example:"\"service shop\""`
	Dir           string            `hcl:"dir,optional" doc:"Directory the commands run in; left out, that of gameday" example:"\"/srv/shop\""`
	Env           map[string]string `hcl:"env,optional" doc:"Environment variables of the commands; they are stored, so no secrets" example:"{ REGION = \"eu\" }"`
	PassEnv       []string          `hcl:"pass_env,optional" doc:"Environment variables to hand through by name; their values are never stored" example:"[\"SHOP_TOKEN\"]"`
	Timeout       time.Duration     `hcl:"timeout,optional" default:"\"30s\"" doc:"How long each command may run before its process group is killed"`

	refused refusals
}

// execSpec is what a hit of exec needs. It holds no value of pass_env.
type execSpec struct {
	Inject  program           `json:"inject"`
	Revert  *program          `json:"revert,omitempty"`
	Check   *program          `json:"check,omitempty"`
	Dir     string            `json:"dir"`
	Env     map[string]string `json:"env"` // what the commands see of ours, and env
	PassEnv []string          `json:"pass_env,omitempty"`
	Timeout time.Duration     `json:"timeout_ns"`
	Run     string            `json:"run"`
	Session int               `json:"session"` // of the runner's process
}

// Exit codes of a check command.
const (
	checkHarmed = 0
	checkWhole  = 1
)

// Validate implements [experiments.Validator].
func (f *Exec) Validate() []experiments.Problem {
	var problems []experiments.Problem
	add := func(attribute, summary, detail string) {
		problems = append(problems, experiments.Problem{Attribute: attribute, Summary: summary, Detail: detail})
	}
	for _, command := range []struct {
		attribute string
		argv      []string
		required  bool
	}{{"inject", f.InjectCommand, true}, {"revert", f.RevertCommand, false}, {"check", f.CheckCommand, false}} {
		if len(command.argv) == 0 && (command.required || command.argv != nil) || len(command.argv) > 0 && command.argv[0] == "" {
			add(command.attribute, "No program to run", fmt.Sprintf(`Write program and arguments one by one: %s = ["sh", "-c", "…"].`, command.attribute))
		}
		for _, argument := range command.argv {
			if strings.ContainsRune(argument, 0) {
				add(command.attribute, "NUL in an argument", "No argument of a command can hold the character NUL.")
			}
		}
	}
	if len(f.RevertCommand) > 0 && len(f.CheckCommand) == 0 {
		add("check", "A revert without a check",
			"What is undone must be proven undone. Write a check command that changes nothing and exits with 0 while the harm is there and with 1 when it is not.")
	}
	if f.Timeout <= 0 {
		add("timeout", "No time to run", `Write how long each command may take at most: timeout = "30s".`)
	}
	for name, value := range f.Env {
		if !validName(name) || strings.ContainsRune(value, 0) {
			add("env", "Not an environment variable", fmt.Sprintf("%q cannot be set: a name is not empty and holds no \"=\", and neither name nor value holds NUL.", name))
		}
		if strings.HasPrefix(name, reserved) {
			add("env", "Reserved environment variable", fmt.Sprintf("%s is gameday's: names that begin with %s are set by the runner.", name, reserved))
		}
	}
	for _, name := range f.PassEnv {
		_, set := f.Env[name]
		switch {
		case !validName(name) || strings.HasPrefix(name, reserved):
			add("pass_env", "Not an environment variable", fmt.Sprintf("%q cannot be handed through.", name))
		case set:
			add("pass_env", "Environment variable given twice", fmt.Sprintf("%s is in env and in pass_env; leave it out of one.", name))
		}
	}
	return problems
}

func validName(name string) bool { return name != "" && !strings.ContainsAny(name, "=\x00") }

// Lasts tells whether there is a command that undoes the harm.
func (f *Exec) Lasts() bool { return len(f.RevertCommand) > 0 }

// Plan finds the programs and makes sure that the check command works and finds
// no harm yet: what was there before cannot be told from what the hit did.
func (f *Exec) Plan(ctx context.Context, d experiments.Draw) ([]experiments.Hit, error) {
	dir, err := filepath.Abs(f.Dir)
	if err != nil {
		return nil, fmt.Errorf("dir = %q: %w", f.Dir, err)
	}
	spec := execSpec{Dir: dir, Env: baseEnvironment(f.Env), PassEnv: f.PassEnv, Timeout: f.Timeout, Run: d.Run}
	if spec.Session, err = unix.Getsid(0); err != nil {
		return nil, fmt.Errorf("read the session of this process: %w", err)
	}
	if spec.Inject, err = findProgram(f.InjectCommand, dir, spec.Env["PATH"]); err != nil {
		return nil, fmt.Errorf("inject command: %w", err)
	}
	for _, optional := range []struct {
		name string
		argv []string
		into **program
	}{{"revert", f.RevertCommand, &spec.Revert}, {"check", f.CheckCommand, &spec.Check}} {
		if len(optional.argv) == 0 {
			continue
		}
		found, err := findProgram(optional.argv, dir, spec.Env["PATH"])
		if err != nil {
			return nil, fmt.Errorf("%s command: %w", optional.name, err)
		}
		*optional.into = &found
	}

	target := f.Target
	if target == "" {
		target = "command " + textsafe.Line(spec.Inject.String(), 120)
	}
	hit := experiments.Hit{Fault: d.Fault, Round: d.Round, Target: target, Holds: "exec " + target}
	if _, err := spec.environment(hit); err != nil {
		return nil, err
	}
	if spec.Check != nil {
		switch state, seen, err := spec.check(ctx, hit); {
		case err != nil:
			return nil, fmt.Errorf("try the check command before any harm: %w", err)
		case state == experiments.Harmed:
			return nil, fmt.Errorf("%s: %s, before anything was done; mend it first, or correct the check command", target, seen)
		}
	}
	if hit.Spec, err = json.Marshal(spec); err != nil {
		return nil, fmt.Errorf("record the commands: %w", err)
	}
	hit.Pin = spec.pin()
	hit.Effect = "run " + textsafe.Line(spec.Inject.String(), 200)
	hit.Undo = "nothing to undo: there is no revert command"
	if spec.Revert != nil {
		hit.Undo, hit.Fuse = "run "+textsafe.Line(spec.Revert.String(), 200), experiments.WatchdogFuse
	}
	return []experiments.Hit{hit}, nil
}

// pin is what must be the same when a plan is carried out later: all but the
// environment, which differs from shell to shell.
func (s execSpec) pin() map[string]string {
	pin := map[string]string{
		"directory": s.Dir, "timeout": experiments.FormatDuration(s.Timeout), "environment handed through": strings.Join(s.PassEnv, " "),
	}
	for what, p := range map[string]*program{"inject": &s.Inject, "revert": s.Revert, "check": s.Check} {
		if p == nil {
			continue
		}
		pin[what+" command"] = p.String()
		pin[what+" program"] = fmt.Sprintf("%s (%d bytes, changed %s)", p.Path, p.Size, time.Unix(0, p.Modified).UTC().Format(time.RFC3339Nano))
	}
	return pin
}

// Inject runs the inject command, and the check command for the proof.
func (f *Exec) Inject(ctx context.Context, h experiments.Hit) (experiments.Proof, error) {
	var proof experiments.Proof
	f.refused.set(h.ID, true)
	spec, err := readExecSpec(h)
	if err != nil {
		return proof, notHit(h, err)
	}
	for _, p := range []*program{&spec.Inject, spec.Revert, spec.Check} {
		if p == nil {
			continue
		}
		if err := p.unchanged(); err != nil {
			return proof, fmt.Errorf("%s moved since the plan: %w; nothing was done", h.Target, err)
		}
	}
	if _, err := spec.environment(h); err != nil {
		return proof, notHit(h, err)
	}
	if err := ctx.Err(); err != nil {
		return proof, notHit(h, err)
	}
	f.refused.set(h.ID, false)
	done, err := spec.run(ctx, commandInject, spec.Inject, h)
	if err == nil && done.code != 0 {
		err = errors.New(done.String())
	}
	if err != nil {
		return proof, fmt.Errorf("%s: inject command: %w", h.Target, err)
	}
	proof.Seen = "inject command " + done.String()
	if spec.Check == nil {
		proof.Seen += " (no check command: the effect was not read back)"
		return proof, nil
	}
	state, seen, err := spec.check(ctx, h)
	if err != nil {
		return experiments.Proof{}, fmt.Errorf("%s: inject command %s, but the effect could not be read back: %w", h.Target, done, err)
	}
	if state != experiments.Harmed {
		return experiments.Proof{}, fmt.Errorf("%s: inject command %s, but there is no effect: %s", h.Target, done, seen)
	}
	proof.Seen += "; " + seen
	return proof, nil
}

// Revert runs the revert command. Where that fails it succeeds all the same if
// the check command finds no harm: many commands fail when there is nothing left
// to undo.
func (f *Exec) Revert(ctx context.Context, h experiments.Hit) error {
	if f.refused.has(h.ID) {
		return nil
	}
	spec, err := readExecSpec(h)
	if err != nil {
		return fmt.Errorf("%s: %w", h.Target, err)
	}
	if spec.Revert == nil {
		return nil
	}
	var left error
	if !f.refused.knows(h.ID) {
		left = spec.endLeftovers(ctx, h)
	}
	return errors.Join(left, spec.revert(ctx, h))
}

// revert runs the revert command.
func (s execSpec) revert(ctx context.Context, h experiments.Hit) error {
	done, err := s.run(ctx, commandRevert, *s.Revert, h)
	if err == nil && done.code == 0 {
		return nil
	}
	if err == nil {
		err = errors.New(done.String())
	}
	err = fmt.Errorf("%s: revert command: %w", h.Target, err)
	if s.Check == nil {
		return err
	}
	state, seen, checkErr := s.check(ctx, h)
	switch {
	case checkErr != nil:
		return errors.Join(err, checkErr)
	case state != experiments.Whole:
		return fmt.Errorf("%w; %s", err, seen)
	}
	return nil
}

// Check runs the check command. A hit that is over at once is always whole: it
// leaves nothing that could be undone.
func (f *Exec) Check(ctx context.Context, h experiments.Hit) (experiments.Observation, error) {
	spec, err := readExecSpec(h)
	if err != nil {
		err = fmt.Errorf("%s: %w", h.Target, err)
		return experiments.Observation{State: experiments.Unknown, Seen: err.Error()}, err
	}
	if spec.Revert == nil {
		return experiments.Observation{State: experiments.Whole, Seen: h.Target + " has no revert command; nothing to undo"}, nil
	}
	state, seen, err := spec.check(ctx, h)
	if err != nil {
		err = fmt.Errorf("%s: %w", h.Target, err)
		return experiments.Observation{State: experiments.Unknown, Seen: err.Error()}, err
	}
	if state == experiments.Harmed && f.refused.has(h.ID) {
		return experiments.Observation{State: experiments.Superseded, Seen: seen + ", which this hit did not do"}, nil
	}
	return experiments.Observation{State: state, Seen: seen}, nil
}

func readExecSpec(h experiments.Hit) (execSpec, error) {
	var spec execSpec
	if err := json.Unmarshal(h.Spec, &spec); err != nil {
		return spec, fmt.Errorf("read the record of exec: %w", err)
	}
	if spec.Revert != nil && spec.Check == nil {
		return spec, errors.New("read the record of exec: it has a revert command and no check command")
	}
	return spec, nil
}

// What a command is for, as its environment tells it.
const (
	commandInject = "inject"
	commandRevert = "revert"
	commandCheck  = "check"
)

// run runs one of the commands for a hit.
func (s execSpec) run(ctx context.Context, what string, p program, h experiments.Hit) (outcome, error) {
	environment, err := s.environment(h)
	if err != nil {
		return outcome{}, err
	}
	environment[reserved+"COMMAND"] = what
	c := command{program: p, dir: s.Dir, environment: environment, timeout: s.Timeout}
	for _, name := range s.PassEnv {
		c.secrets = append(c.secrets, environment[name])
	}
	return c.run(ctx)
}

// check runs the check command and reads its exit code. The state is Unknown if
// and only if there is an error.
func (s execSpec) check(ctx context.Context, h experiments.Hit) (experiments.State, string, error) {
	if s.Check == nil {
		return experiments.Unknown, "", errors.New("there is no check command")
	}
	done, err := s.run(ctx, commandCheck, *s.Check, h)
	if err != nil {
		return experiments.Unknown, "", fmt.Errorf("check command: %w", err)
	}
	switch done.code {
	case checkHarmed:
		return experiments.Harmed, "check command " + done.String() + ": the harm is there", nil
	case checkWhole:
		return experiments.Whole, "check command " + done.String() + ": the harm is not there", nil
	}
	return experiments.Unknown, "", fmt.Errorf("check command %s; it must exit with 0 if the harm is there and with 1 if it is not", done)
}
