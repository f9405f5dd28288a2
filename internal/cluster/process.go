package cluster

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// daemons starts programs and stops them by pid. Each has a log and a pid file in
// the cluster's folder, so that another process can stop them.
type daemons struct {
	dir string
	// bound ends the daemons with this process, however it ends; unset they outlive it.
	bound bool
}

func (d daemons) log(name string) string { return filepath.Join(d.dir, name+".log") }
func (d daemons) pid(name string) string { return filepath.Join(d.dir, name+".pid") }

// start starts a program and notes its pid.
func (d daemons) start(name, program string, args ...string) error {
	log, err := os.OpenFile(d.log(name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	command := exec.Command(program, args...)
	command.Stdout, command.Stderr = log, log
	command.SysProcAttr = sessionOf(d.bound)
	// A parent-death signal follows the thread that started the child, so a thread is
	// kept for as long as this process lives.
	started := make(chan error)
	go func() {
		if d.bound {
			runtime.LockOSThread()
		}
		err := command.Start()
		started <- err
		if err != nil {
			return
		}
		_ = command.Wait() // whoever waits for the daemon reads its log instead
		if d.bound {
			select {}
		}
	}()
	if err := errors.Join(<-started, log.Close()); err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	pid := fmt.Sprintf("%d %s\n", command.Process.Pid, bornAt(command.Process.Pid))
	if err := os.WriteFile(d.pid(name), []byte(pid), 0o600); err != nil {
		return errors.Join(fmt.Errorf("note the pid of %s: %w", name, err), command.Process.Kill())
	}
	return nil
}

// bornAt is a process's start time as the kernel counts it; empty if it is gone.
// With the pid it names one process for ever.
func bornAt(pid int) string {
	_, born := statOf(pid)
	return born
}

// statOf gives the letter for what a process does and its start time, read at one
// moment; both are empty if it is gone. See proc_pid_stat(5).
func statOf(pid int) (state, born string) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", ""
	}
	// The program's name, in brackets, may hold anything.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 20 {
		return "", ""
	}
	return fields[0], fields[19]
}

// running gives the pid of a daemon that is alive and is the one that was started.
func (d daemons) running(name string) (int, bool) {
	text, err := os.ReadFile(d.pid(name))
	if err != nil {
		return 0, false
	}
	number, noted, _ := strings.Cut(strings.TrimSpace(string(text)), " ")
	pid, err := strconv.Atoi(number)
	if err != nil {
		return 0, false
	}
	state, born := statOf(pid)
	if born == "" || born != noted {
		return 0, false
	}
	switch state {
	case "X": // its parent is being told
		return pid, false
	case "Z":
		return pid, threads(pid) > 1
	default:
		return pid, true
	}
}

// threads counts the threads of a process, its zombies too; 0 if it is gone. One that
// was killed is a zombie itself while threads of it still hold its sockets.
func threads(pid int) int {
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return 0
	}
	return len(entries)
}

// signal sends a signal to a daemon, if it runs.
func (d daemons) signal(name string, sig syscall.Signal) error {
	pid, alive := d.running(name)
	if !alive {
		return fmt.Errorf("%s does not run", name)
	}
	if err := syscall.Kill(pid, sig); err != nil {
		return fmt.Errorf("signal %s: %w", name, err)
	}
	return nil
}

// stop ends a daemon: SIGTERM, and SIGKILL for one that does not listen.
func (d daemons) stop(name string, patience time.Duration) error {
	for i, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		patience := patience * time.Duration(1+2*i) // the kernel may have to wait for a busy disk
		pid, alive := d.running(name)
		if !alive {
			break
		}
		if err := syscall.Kill(pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("stop %s: %w", name, err)
		}
		// One that is paused takes no signal but these.
		if err := syscall.Kill(pid, syscall.SIGCONT); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("stop %s: %w", name, err)
		}
		for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
			if _, alive := d.running(name); !alive {
				break
			}
		}
	}
	if pid, alive := d.running(name); alive {
		state, _ := statOf(pid)
		return fmt.Errorf("%s (pid %d, state %s) was killed and does not end; its pid is in %s", name, pid, state, d.pid(name))
	}
	if err := os.Remove(d.pid(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("stop %s: %w", name, err)
	}
	return nil
}

// stopAll ends every daemon that the folder knows of; order says which go first.
func (d daemons) stopAll(order []string) error {
	found, err := filepath.Glob(filepath.Join(d.dir, "*.pid"))
	if err != nil {
		return err
	}
	var problems []error
	names := slices.Clone(order)
	for _, path := range found {
		if name := strings.TrimSuffix(filepath.Base(path), ".pid"); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	for _, name := range names {
		problems = append(problems, d.stop(name, 10*time.Second))
	}
	return errors.Join(problems...)
}

// await waits until ready says so; it fails with the end of a daemon's log when one
// of those needed dies, or when time is up.
func (d daemons) await(ctx context.Context, what string, ready func() bool, needed ...string) error {
	for !ready() {
		for _, name := range needed {
			if _, alive := d.running(name); !alive {
				return fmt.Errorf("%s ended while waiting for %s:\n%s", name, what, tail(d.log(name), 15))
			}
		}
		select {
		case <-ctx.Done():
			text := ""
			if len(needed) > 0 {
				last := needed[len(needed)-1]
				text = fmt.Sprintf("; the end of %s:\n%s", d.log(last), tail(d.log(last), 15))
			}
			return fmt.Errorf("waited in vain for %s: %w%s", what, context.Cause(ctx), text)
		case <-time.After(20 * time.Millisecond):
		}
	}
	return nil
}

// tail gives the last lines of a file.
func tail(path string, count int) string {
	file, err := os.Open(path)
	if err != nil {
		return err.Error()
	}
	defer func() { _ = file.Close() }() // it was only read
	var last []string
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if last = append(last, "  "+lines.Text()); len(last) > count {
			last = last[1:]
		}
	}
	return strings.Join(last, "\n")
}
