package local

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/textsafe"
)

const (
	// reserved begins the names of the variables that tell a command its hit.
	reserved = "GAMEDAY_"
	// outputLimit is how much of the end of a command's output is kept, in bytes.
	outputLimit = 64 << 10
	// killAfter is how long a process group that was asked to end may take.
	killAfter = 2 * time.Second
	// shortestSecret is the length in bytes below which a value is not looked for in
	// output: blanking each "1" would hide the output and not the value.
	shortestSecret = 4
)

// program is a command whose program was found, and which file that was.
type program struct {
	Argv []string `json:"argv"`
	Path string   `json:"path"` // absolute
	// Device, Inode, Size and Modified (in nanoseconds since 1970) tell whether the
	// file is still the same.
	Device   uint64 `json:"device"`
	Inode    uint64 `json:"inode"`
	Size     int64  `json:"size"`
	Modified int64  `json:"modified_ns"`
}

// String is the command line, with arguments quoted where they need it.
func (p program) String() string {
	words := slices.Clone(p.Argv)
	for i, word := range words {
		if word == "" || strings.ContainsAny(word, " \t\r\n\"'\\$`") {
			words[i] = strconv.Quote(word)
		}
	}
	return strings.Join(words, " ")
}

// findProgram finds the file of argv[0] as a shell in dir would, but for a search
// path relative to dir, which would depend on where one stands.
func findProgram(argv []string, dir, path string) (program, error) {
	if len(argv) == 0 || argv[0] == "" {
		return program{}, errors.New("it names no program")
	}
	name := argv[0]
	var places []string
	switch {
	case filepath.IsAbs(name):
		places = []string{name}
	case strings.ContainsRune(name, '/'):
		places = []string{filepath.Join(dir, name)}
	default:
		for _, folder := range filepath.SplitList(path) {
			if filepath.IsAbs(folder) {
				places = append(places, filepath.Join(folder, name))
			}
		}
	}
	var denied error
	for _, place := range places {
		p := program{Argv: argv, Path: place}
		err := p.stamp()
		if err == nil {
			return p, nil
		}
		if denied == nil && !errors.Is(err, fs.ErrNotExist) {
			denied = err
		}
	}
	if denied != nil {
		return program{}, denied
	}
	if strings.ContainsRune(name, '/') {
		return program{}, fmt.Errorf("there is no program %s", places[0])
	}
	return program{}, fmt.Errorf("there is no program %q in PATH (%s); write its absolute path, or one that begins with \"./\" for a file in dir", name, path)
}

// stamp reads which file the program is.
func (p *program) stamp() error {
	info, err := os.Stat(p.Path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a file that can be run", p.Path)
	}
	if err := unix.Access(p.Path, unix.X_OK); err != nil {
		return fmt.Errorf("%s may not be run: %w", p.Path, err)
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fmt.Errorf("%s: this system does not number its files", p.Path)
	}
	p.Device, p.Inode = uint64(stat.Dev), stat.Ino
	p.Size, p.Modified = info.Size(), info.ModTime().UnixNano()
	return nil
}

// unchanged tells whether the program is still the file that was found.
func (p program) unchanged() error {
	now := p
	if err := now.stamp(); err != nil {
		return fmt.Errorf("its program is not there any more: %w", err)
	}
	if now.Device != p.Device || now.Inode != p.Inode || now.Size != p.Size || now.Modified != p.Modified {
		return fmt.Errorf("the program %s was changed or replaced", p.Path)
	}
	return nil
}

// baseEnvironment is what every command sees: the least that programs count on,
// and what the scenario sets. It is stored, so that a revert from elsewhere finds
// the same programs.
func baseEnvironment(set map[string]string) map[string]string {
	environment := map[string]string{}
	for _, name := range []string{"PATH", "HOME", "LANG", "TMPDIR"} {
		if value, found := os.LookupEnv(name); found {
			environment[name] = value
		}
	}
	maps.Copy(environment, set)
	return environment
}

// environment is that of the commands of a hit, with the values handed through.
func (s execSpec) environment(h experiments.Hit) (map[string]string, error) {
	environment := maps.Clone(s.Env)
	if environment == nil {
		environment = map[string]string{}
	}
	for _, name := range s.PassEnv {
		value, found := os.LookupEnv(name)
		if !found {
			return nil, fmt.Errorf("pass_env names %s, which is not set in gameday's environment; set it and try again", name)
		}
		environment[name] = value
	}
	environment[reserved+"RUN"] = s.Run
	environment[reserved+"FAULT"] = h.Fault
	environment[reserved+"ROUND"] = strconv.Itoa(h.Round)
	environment[reserved+"HIT"] = h.ID // empty for the check while planning
	return environment, nil
}

// command is one run of a program.
type command struct {
	program
	dir         string
	environment map[string]string
	timeout     time.Duration
	secrets     []string // blanked in what is kept of the output
}

// outcome is how a command ended by itself.
type outcome struct {
	code int
	last string // the last lines of its output, as one safe line
}

func (o outcome) String() string {
	text := fmt.Sprintf("exited %d", o.code)
	if o.last != "" {
		text += fmt.Sprintf(" (%s)", o.last)
	}
	return text
}

// run starts the command and waits until it ends, not for what it may have left
// running in the background. On a timeout or when ctx ends, its whole process
// group is ended. An error means that it did not end by itself.
func (c command) run(ctx context.Context) (outcome, error) {
	if err := ctx.Err(); err != nil {
		return outcome{}, fmt.Errorf("%s was not started: %w", c.Path, context.Cause(ctx))
	}
	output, err := newTail()
	if err != nil {
		return outcome{}, err
	}
	list := make([]string, 0, len(c.environment))
	for _, name := range slices.Sorted(maps.Keys(c.environment)) {
		list = append(list, name+"="+c.environment[name])
	}
	child := &exec.Cmd{
		Path: c.Path, Args: c.Argv, Dir: c.dir, Env: list,
		Stdout: output.write, Stderr: output.write,
		SysProcAttr: processGroup(),
	}
	started, ended := make(chan error, 1), make(chan error, 1)
	go func() {
		// The kernel ends the child when the thread that started it ends, so the thread
		// must be kept until the child was waited for; see processGroup.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := child.Start()
		started <- err
		if err == nil {
			ended <- child.Wait()
		}
	}()
	if err := <-started; err != nil {
		return outcome{}, errors.Join(fmt.Errorf("start %s in %s: %w", c.Path, c.dir, err), output.close())
	}
	output.read()
	deadline, cancel := context.WithTimeoutCause(ctx, c.timeout, errTooSlow)
	defer cancel()
	var cut, waited, left error
	select {
	case waited = <-ended:
	case <-deadline.Done():
		cut = context.Cause(deadline)
		left = endGroup(child.Process.Pid, ended)
	}
	text, err := output.drain()
	last := lastLines(text, c.secrets)
	if err != nil {
		return outcome{}, fmt.Errorf("read the output of %s: %w", c.Path, err)
	}
	said := ""
	if last != "" {
		said = "; it said: " + last
	}
	var exit *exec.ExitError
	switch {
	case errors.Is(cut, errTooSlow):
		return outcome{}, errors.Join(fmt.Errorf("%s took longer than %s and was ended with its process group%s; allow a longer timeout if that is usual", c.Path, experiments.FormatDuration(c.timeout), said), left)
	case cut != nil:
		return outcome{}, errors.Join(fmt.Errorf("%s was ended with its process group: %w%s", c.Path, cut, said), left)
	case waited != nil && !errors.As(waited, &exit):
		return outcome{}, fmt.Errorf("wait for %s: %w", c.Path, waited)
	case child.ProcessState.ExitCode() < 0:
		return outcome{}, fmt.Errorf("%s did not exit by itself: %s%s", c.Path, child.ProcessState, said)
	}
	return outcome{code: child.ProcessState.ExitCode(), last: last}, nil
}

// endGroup ends a process group whose leader is being waited for: SIGTERM, and
// SIGKILL for what is left when the leader has ended or the time is over. The
// number of the group is not given to another while it has members, and without
// members the kernel comes back to it only after a whole turn of ids.
func endGroup(group int, ended <-chan error) error {
	failed := unix.Kill(-group, unix.SIGTERM)
	patience := time.NewTimer(killAfter)
	defer patience.Stop()
	select {
	case <-ended:
		failed = errors.Join(failed, unix.Kill(-group, unix.SIGKILL))
	case <-patience.C:
		failed = errors.Join(failed, unix.Kill(-group, unix.SIGKILL))
		<-ended
	}
	// ESRCH: nobody is left in the group, which is what is wanted. EPERM: its members
	// changed their user, and only they can end themselves.
	if errors.Is(failed, unix.EPERM) {
		return fmt.Errorf("end process group %d: %w; end it as the user it runs as", group, unix.EPERM)
	}
	return nil
}

// tail keeps the end of what is written to a pipe.
type tail struct {
	reader, write *os.File
	kept          []byte
	cut           bool
	done          chan error
}

func newTail() (*tail, error) {
	reader, write, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make a pipe for the output: %w", err)
	}
	return &tail{reader: reader, write: write}, nil
}

func (t *tail) close() error { return errors.Join(t.reader.Close(), t.write.Close()) }

func (t *tail) add(text []byte) {
	t.kept = append(t.kept, text...)
	// Cutting at twice the limit moves each byte once, not once a read.
	if len(t.kept) > 2*outputLimit {
		t.trim()
	}
}

func (t *tail) trim() {
	if over := len(t.kept) - outputLimit; over > 0 {
		t.kept, t.cut = append(t.kept[:0], t.kept[over:]...), true
	}
}

// read begins to read; the child holds the writing end now.
func (t *tail) read() {
	t.done = make(chan error, 1)
	closed := t.write.Close()
	go func() {
		buffer := make([]byte, 16<<10)
		for {
			count, err := t.reader.Read(buffer)
			t.add(buffer[:count])
			if err != nil {
				// EOF, or the deadline that drain sets.
				t.done <- closed
				return
			}
		}
	}()
}

// drain takes what the child wrote before it ended and closes the pipe. It does
// not wait for the end of the pipe: what the child left running in the
// background may hold it for hours.
func (t *tail) drain() ([]byte, error) {
	failed := t.reader.SetReadDeadline(time.Unix(1, 0))
	failed = errors.Join(failed, <-t.done, t.reader.SetReadDeadline(time.Time{}))
	conn, err := t.reader.SyscallConn()
	if err != nil {
		return nil, errors.Join(failed, err, t.reader.Close())
	}
	buffer := make([]byte, 16<<10)
	// A pipe holds little; the bound is for a background writer that never pauses.
	for taken := 0; taken < outputLimit; {
		var count int
		var read error
		err := conn.Read(func(fd uintptr) bool {
			count, read = unix.Read(int(fd), buffer)
			return true
		})
		if errors.Is(read, unix.EINTR) {
			continue
		}
		if err != nil || read != nil || count <= 0 {
			break // EAGAIN: nothing is left
		}
		t.add(buffer[:count])
		taken += count
	}
	t.trim()
	if t.cut { // the first line may be the rest of a line, and of a secret
		_, t.kept, _ = bytes.Cut(t.kept, []byte("\n"))
	}
	return t.kept, errors.Join(failed, t.reader.Close())
}

// lastLines is the end of a command's output as one line that is safe to show.
func lastLines(output []byte, secrets []string) string {
	text := string(output)
	for _, secret := range secrets {
		if len(secret) < shortestSecret {
			continue
		}
		for _, form := range []string{
			secret, url.QueryEscape(secret), url.PathEscape(secret),
			base64.StdEncoding.EncodeToString([]byte(secret)), base64.URLEncoding.EncodeToString([]byte(secret)),
		} {
			text = strings.ReplaceAll(text, form, "(secret)")
		}
	}
	var lines []string
	for line := range strings.Lines(text) {
		if line = textsafe.Line(line, 200); line != "" {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines[max(0, len(lines)-3):], " / ")
}
