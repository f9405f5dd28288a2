package local

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/textsafe"
)

// identity names one process for good. The id alone does not: it is given to
// another process once this one is gone.
type identity struct {
	PID int `json:"pid"`
	// Start is when the process started, in clock ticks since Boot.
	Start uint64 `json:"start_ticks"`
	Boot  string `json:"boot"` // the kernel's random id of this boot
	// Namespace is the pid namespace the id counts in: "pid:[4026531836]".
	Namespace string `json:"namespace"`
	Host      string `json:"host"`
}

// holds is how every fault names the process to other runs.
func (id identity) holds() string {
	return fmt.Sprintf("process %d started at tick %d of %s", id.PID, id.Start, id.Host)
}

// process is a row of the process table.
type process struct {
	pid, parent, session int
	state                byte // as in proc_pid_stat(5): R, S, D, T, t, Z
	start                uint64
	kernel               bool // a thread of the kernel
	// name is the short name, at most 15 bytes. The command line stays out of every
	// text, because it may hold a password.
	name string
}

func (p process) String() string { return label(p.pid, p.name) }

func label(pid int, name string) string {
	return fmt.Sprintf("%d (%s)", pid, textsafe.Line(name, 32))
}

// goneError tells that a process is not there any more.
type goneError struct{ why string }

func (e *goneError) Error() string { return e.why }

// isGone tells whether err says that the process is gone, and nothing else.
func isGone(err error) bool {
	var gone *goneError
	return errors.As(err, &gone)
}

// Targets is the part of a fault that says which processes it is for: exactly one of
// PIDFile, Name and Port, and what narrows it down.
type Targets struct {
	PIDFile        string `hcl:"pid_file,optional" doc:"File that holds the id of the process to hit; refused if it is older than the process." example:"/run/shop.pid"`
	Name           string `hcl:"name,optional" doc:"Name of the processes to hit: the short name or the file name of the program, exactly." example:"shop"`
	Port           int    `hcl:"port,optional" doc:"TCP port that the processes to hit listen on." example:"8080"`
	CommandMatches string `hcl:"command_matches,optional" doc:"Regular expression that the whole command line must match, too." example:"--role=worker"`
	User           string `hcl:"user,optional" doc:"User, by name or number, that the processes must run as." example:"www-data"`
	Count          int    `hcl:"count,optional" default:"1" doc:"How many of the matching processes to hit, drawn from the seed."`
	All            bool   `hcl:"all,optional" default:"false" doc:"Hit every matching process, whatever count says."`
}

// String is the block as a scenario writes it.
func (t Targets) String() string {
	var text []string
	for _, part := range []struct{ attribute, value string }{
		{"pid_file", t.PIDFile}, {"name", t.Name}, {"command_matches", t.CommandMatches}, {"user", t.User},
	} {
		if part.value != "" {
			text = append(text, fmt.Sprintf("%s = %q", part.attribute, part.value))
		}
	}
	if t.Port != 0 {
		text = append(text, fmt.Sprintf("port = %d", t.Port))
	}
	return strings.Join(text, ", ")
}

// validate returns what is wrong with it.
func (t Targets) validate() []experiments.Problem {
	var problems []experiments.Problem
	ways := 0
	for _, used := range []bool{t.PIDFile != "", t.Name != "", t.Port != 0} {
		if used {
			ways++
		}
	}
	if ways != 1 {
		problems = append(problems, experiments.Problem{
			Summary: "A process is found in exactly one way",
			Detail:  `Write one of pid_file = "/run/shop.pid", name = "shop" or port = 8080.`,
		})
	}
	if t.Port < 0 || t.Port > 65535 {
		problems = append(problems, experiments.Problem{
			Attribute: "port", Summary: "No such TCP port",
			Detail: fmt.Sprintf("A port is a number from 1 to 65535, not %d.", t.Port),
		})
	}
	if t.Count < 1 {
		problems = append(problems, experiments.Problem{
			Attribute: "count", Summary: "No process to hit",
			Detail: fmt.Sprintf("count is at least 1, not %d; write all = true to hit every match.", t.Count),
		})
	}
	if _, err := regexp.Compile(t.CommandMatches); err != nil {
		problems = append(problems, experiments.Problem{
			Attribute: "command_matches", Summary: "Not a regular expression",
			Detail: err.Error() + "; the syntax is RE2's, see https://pkg.go.dev/regexp/syntax.",
		})
	}
	return problems
}

// pidFileSlack is how much later than its pid file a process may seem to have
// started; more means that the id was given to another process since.
const pidFileSlack = 5 * time.Second

// choose returns the processes to hit, sorted by id. The reason why a process
// must be left alone comes from leave, which is asked after the built-in ones.
func (t Targets) choose(ctx context.Context, d experiments.Draw, leave func(process) string) ([]process, error) {
	found, err := t.match(ctx)
	if err != nil {
		return nil, err
	}
	protected, err := protectedProcesses()
	if err != nil {
		return nil, err
	}
	var matched []process
	var left []string
	for _, p := range found {
		why := protected.reason(p)
		if why == "" {
			why = leave(p)
		}
		if why != "" {
			left = append(left, fmt.Sprintf("%v: %s", p, why))
			continue
		}
		matched = append(matched, p)
	}
	slices.SortFunc(matched, func(a, b process) int { return cmp.Compare(a.pid, b.pid) })

	count := t.Count
	if t.All {
		count = max(1, len(matched))
	}
	if len(matched) < count {
		return nil, t.tooFew(count, matched, left)
	}
	// The same seed over the same table draws the same set.
	places, err := d.Sample(len(matched), count, func(i int) string { return matched[i].String() })
	if err != nil {
		return nil, err
	}
	picked := make([]process, len(places))
	for i, place := range places {
		picked[i] = matched[place]
	}
	slices.SortFunc(picked, func(a, b process) int { return cmp.Compare(a.pid, b.pid) })
	return picked, nil
}

func (t Targets) tooFew(count int, matched []process, left []string) error {
	text := "none matched"
	if len(matched) > 0 {
		names := make([]string, len(matched))
		for i, p := range matched {
			names[i] = p.String()
		}
		text = fmt.Sprintf("%d matched: %s", len(matched), strings.Join(names, ", "))
	}
	if len(left) > 0 {
		text += "; not to be hit: " + strings.Join(left, "; ")
	}
	return fmt.Errorf("%v asks for %d running process(es), %s", t, count, text)
}

// match lists the live processes that t describes.
func (t Targets) match(ctx context.Context) ([]process, error) {
	owner, err := lookUpUser(t.User)
	if err != nil {
		return nil, err
	}
	command, err := regexp.Compile(t.CommandMatches)
	if err != nil {
		return nil, fmt.Errorf("command_matches = %q: %w", t.CommandMatches, err)
	}
	found, err := t.candidates(ctx)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(found, func(p process) bool {
		switch {
		case p.state == 'Z' || p.state == 'X':
			return true
		case owner >= 0 && processOwner(p.pid) != owner:
			return true
		case t.CommandMatches != "" && !command.MatchString(strings.Join(processCommand(p.pid), " ")):
			return true
		}
		return false
	}), nil
}

// candidates lists what pid_file, name or port says.
func (t Targets) candidates(ctx context.Context) ([]process, error) {
	if t.PIDFile != "" {
		p, err := t.fromPIDFile()
		if err != nil {
			return nil, err
		}
		return []process{p}, nil
	}
	all, err := listProcesses(ctx)
	if err != nil {
		return nil, err
	}
	if t.Port != 0 {
		listening, err := listeners(ctx, t.Port, all)
		if err != nil {
			return nil, err
		}
		return slices.DeleteFunc(all, func(p process) bool { return !listening[p.pid] }), nil
	}
	return slices.DeleteFunc(all, func(p process) bool {
		if p.name == t.Name {
			return false
		}
		argv := processCommand(p.pid)
		return len(argv) == 0 || filepath.Base(argv[0]) != t.Name
	}), nil
}

func (t Targets) fromPIDFile() (process, error) {
	info, err := os.Stat(t.PIDFile)
	if err != nil {
		return process{}, fmt.Errorf("read pid_file: %w; is the service running, and is this where it writes its id?", err)
	}
	if !info.Mode().IsRegular() || info.Size() > 4096 {
		return process{}, fmt.Errorf("pid_file %s is not a small file that holds a process id", t.PIDFile)
	}
	text, err := os.ReadFile(t.PIDFile)
	if err != nil {
		return process{}, fmt.Errorf("read pid_file: %w", err)
	}
	line, _, _ := strings.Cut(strings.TrimSpace(string(text)), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil || pid < 1 {
		return process{}, fmt.Errorf("pid_file %s begins with %q, which is not a process id", t.PIDFile, textsafe.Line(line, 40))
	}
	p, err := readProcess(pid)
	if isGone(err) {
		return process{}, fmt.Errorf("pid_file %s names process %d, which does not run; the file was left behind", t.PIDFile, pid)
	}
	if err != nil {
		return process{}, err
	}
	started, err := p.started()
	if err != nil {
		return process{}, err
	}
	// A file that was left behind by a crash names whoever got the id next.
	if started.After(info.ModTime().Add(pidFileSlack)) {
		return process{}, fmt.Errorf("pid_file %s was written at %s, but process %v started later, at %s: the file was left behind by another process",
			t.PIDFile, info.ModTime().Format(time.DateTime), p, started.Format(time.DateTime))
	}
	return p, nil
}

// lookUpUser gives the id of a user named or numbered so; -1 for "".
func lookUpUser(name string) (int, error) {
	if name == "" {
		return -1, nil
	}
	if uid, err := strconv.Atoi(name); err == nil && uid >= 0 {
		return uid, nil
	}
	account, err := user.Lookup(name)
	if err != nil {
		return 0, fmt.Errorf("user = %q: %w; write the name or the number of a user of this machine", name, err)
	}
	return strconv.Atoi(account.Uid)
}

// protection knows the processes that no fault may hit: without them there is no
// runner, no fuse or no machine left.
type protection struct {
	self      int
	ancestors map[int]bool
}

func protectedProcesses() (protection, error) {
	self, err := readProcess(os.Getpid())
	if err != nil {
		return protection{}, fmt.Errorf("read this process's own entry: %w", err)
	}
	guard := protection{self: self.pid, ancestors: map[int]bool{}}
	for pid := self.parent; pid > 0 && !guard.ancestors[pid]; {
		guard.ancestors[pid] = true
		parent, err := readProcess(pid)
		if err != nil {
			// An ancestor that cannot be read ends the walk: it has ended meanwhile, or lives
			// in an outer namespace, where no id of ours reaches it.
			break
		}
		pid = parent.parent
	}
	return guard, nil
}

// reason says why p is never a target; "" if it may be one.
func (g protection) reason(p process) string {
	switch {
	case p.pid == 1:
		return "it is the init process"
	case p.pid == g.self:
		return "it is gameday itself"
	case g.ancestors[p.pid]:
		return "gameday runs under it"
	case p.kernel:
		return "it is a thread of the kernel"
	case !sameProgram(p.pid, g.self):
		return ""
	case p.parent == g.self:
		return "it belongs to this run of gameday"
	// Somebody else's run or watchdog: what that broke would stay broken. The shop of
	// `gameday sandbox` is there to be broken.
	case !slices.Contains(processCommand(p.pid), "sandbox"):
		return "it is another gameday, which may have things to mend"
	}
	return ""
}

// unchanged makes sure that the process has not become another program since the plan:
// its id and start stay the same then.
func unchanged(id identity, name string) error {
	p, err := readProcess(id.PID)
	if err == nil && p.name != name {
		err = &goneError{why: fmt.Sprintf("it was called %s and is process %v now", textsafe.Line(name, 32), p)}
	}
	return err
}

// pin looks a chosen process up once more and makes its identity, having made
// sure that it may be signalled.
func pin(p process, where machine) (identity, error) {
	id := identity{PID: p.pid, Start: p.start, Boot: where.boot, Namespace: where.namespace, Host: where.host}
	target, err := openProcess(id)
	if err != nil {
		return id, fmt.Errorf("process %v: %w", p, err)
	}
	err = target.signal(0)
	return id, errors.Join(err, target.close())
}

// fixed is what must be the same when a plan is carried out later.
func (id identity) fixed(done string) map[string]string {
	return map[string]string{
		"process": fmt.Sprintf("%d, started at %d of boot %s", id.PID, id.Start, id.Boot),
		"machine": id.Host, "done to it": done,
	}
}

// machine tells where process ids count.
type machine struct{ boot, namespace, host string }

// reachable tells whether id names a process that this process could see: an
// error that isGone if it cannot exist any more, another one if it may well run
// where this process cannot look.
func (here machine) reachable(id identity) error {
	switch {
	case id.PID <= 1:
		return fmt.Errorf("the record names process %d, which is never a target: it is damaged", id.PID)
	case id.Boot != here.boot && id.Host != here.host:
		return fmt.Errorf("process %d was seen on host %s and this is %s; run `gameday recover` there", id.PID, id.Host, here.host)
	case id.Boot != here.boot:
		return &goneError{why: "the machine was restarted since, which ended it"}
	case id.Namespace != here.namespace:
		return fmt.Errorf("process %d was seen in pid namespace %s and this is %s; run `gameday recover` in the container of the run", id.PID, id.Namespace, here.namespace)
	}
	return nil
}
