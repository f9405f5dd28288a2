package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// userTicks is USER_HZ, the unit of start times in /proc: 100 on every
// architecture that Go runs on.
const userTicks = 100

// kernelThread is PF_KTHREAD of the flags in /proc/PID/stat, from the kernel's
// include/linux/sched.h.
const kernelThread = 0x00200000

// thisMachine reads where this process is.
func thisMachine() (machine, error) {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return machine{}, fmt.Errorf("read the boot id: %w", err)
	}
	namespace, err := os.Readlink("/proc/self/ns/pid")
	if err != nil {
		return machine{}, fmt.Errorf("read the pid namespace: %w", err)
	}
	host, err := os.Hostname()
	if err != nil {
		return machine{}, fmt.Errorf("read the host name: %w", err)
	}
	return machine{boot: strings.TrimSpace(string(boot)), namespace: namespace, host: host}, nil
}

// listProcesses reads the process table, sorted by id as text.
func listProcesses(ctx context.Context) ([]process, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var list []process
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		p, err := readProcess(pid)
		if isGone(err) {
			continue // it ended while the table was read
		}
		if err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	return list, nil
}

// readProcess reads one row of the process table.
func readProcess(pid int) (process, error) {
	text, err := os.ReadFile(procPath(pid, "stat"))
	// A process that ends between open and read makes read fail with ESRCH.
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) {
		return process{}, &goneError{why: "no process has this id any more"}
	}
	if err != nil {
		return process{}, fmt.Errorf("read process %d: %w", pid, err)
	}
	return parseStat(text)
}

// parseStat reads proc_pid_stat(5). The name is in parentheses and may hold
// spaces and parentheses itself, so the last one ends it.
func parseStat(text []byte) (process, error) {
	open, end := bytes.IndexByte(text, '('), bytes.LastIndexByte(text, ')')
	if open < 1 || end < open {
		return process{}, fmt.Errorf("process table: %q has no name in parentheses", text)
	}
	fields := strings.Fields(string(text[end+1:]))
	if len(fields) < 20 {
		return process{}, fmt.Errorf("process table: %q has %d fields after the name; 20 are needed", text, len(fields))
	}
	p := process{state: fields[0][0], name: string(text[open+1 : end])}
	var flags, tick uint64
	var failed error
	for _, field := range []struct {
		text string
		into any
	}{
		{strings.TrimSpace(string(text[:open])), &p.pid},
		{fields[1], &p.parent}, {fields[3], &p.session},
		{fields[6], &flags}, {fields[19], &tick},
	} {
		var err error
		switch into := field.into.(type) {
		case *int:
			*into, err = strconv.Atoi(field.text)
		case *uint64:
			*into, err = strconv.ParseUint(field.text, 10, 64)
		}
		failed = errors.Join(failed, err)
	}
	if failed != nil {
		return process{}, fmt.Errorf("process table: %q: %w", text, failed)
	}
	p.start, p.kernel = tick, flags&kernelThread != 0
	return p, nil
}

func procPath(pid int, file string) string {
	return filepath.Join("/proc", strconv.Itoa(pid), file)
}

// processCommand is the command line; nil if there is none to be read, as of a
// kernel thread, a zombie and a process that just ended.
func processCommand(pid int) []string {
	text, err := os.ReadFile(procPath(pid, "cmdline"))
	if err != nil || len(text) == 0 {
		return nil
	}
	return strings.Split(strings.TrimRight(string(text), "\x00"), "\x00")
}

// carries tells whether a process was started with all of these lines in its
// environment; that of other users cannot be read.
func carries(pid int, lines []string) bool {
	text, err := os.ReadFile(procPath(pid, "environ"))
	if err != nil {
		return false
	}
	has := strings.Split(string(text), "\x00")
	return !slices.ContainsFunc(lines, func(line string) bool { return !slices.Contains(has, line) })
}

// processOwner is the effective user id; -1 if it cannot be read. The owner of
// the directory would not do: it is root for a process that may not be dumped.
func processOwner(pid int) int {
	text, err := os.ReadFile(procPath(pid, "status"))
	if err != nil {
		return -1
	}
	for line := range strings.Lines(string(text)) {
		if ids, found := strings.CutPrefix(line, "Uid:"); found {
			if fields := strings.Fields(ids); len(fields) > 1 {
				if uid, err := strconv.Atoi(fields[1]); err == nil {
					return uid
				}
			}
		}
	}
	return -1
}

// sameProgram tells whether both run the same file. It follows /proc/PID/exe,
// which works for a file that was replaced since, too.
func sameProgram(a, b int) bool {
	one, err := os.Stat(procPath(a, "exe"))
	if err != nil {
		return false
	}
	other, err := os.Stat(procPath(b, "exe"))
	return err == nil && os.SameFile(one, other)
}

// started is the time of day at which p started.
func (p process) started() (time.Time, error) {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &now); err != nil {
		return time.Time{}, fmt.Errorf("read the time since boot: %w", err)
	}
	age := time.Duration(now.Nano()) - time.Duration(p.start)*(time.Second/userTicks)
	return time.Now().Add(-age), nil
}

// listeners tells which of the processes hold a socket that listens on a TCP
// port, over IPv4 or IPv6, in this network namespace.
func listeners(ctx context.Context, port int, all []process) (map[int]bool, error) {
	sockets := map[string]bool{}
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		text, err := os.ReadFile(table)
		if errors.Is(err, fs.ErrNotExist) {
			continue // IPv6 is off
		}
		if err != nil {
			return nil, fmt.Errorf("list listening sockets: %w", err)
		}
		for _, inode := range listeningSockets(string(text), port) {
			sockets["socket:["+inode+"]"] = true
		}
	}
	if len(sockets) == 0 {
		return nil, fmt.Errorf("port = %d: nothing listens on this TCP port on this machine, or only in another container", port)
	}
	held := map[int]bool{}
	for _, p := range all {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		folder := procPath(p.pid, "fd")
		// Files of other users' processes cannot be read without privileges; if the
		// socket is among those, nobody is found below.
		files, err := os.ReadDir(folder)
		if err != nil {
			continue
		}
		for _, file := range files {
			target, err := os.Readlink(filepath.Join(folder, file.Name()))
			if err == nil && sockets[target] {
				held[p.pid] = true
				break
			}
		}
	}
	if len(held) == 0 {
		return nil, fmt.Errorf("port = %d: a process listens, but its open files cannot be read; run gameday as its user or as root, on the machine and not in another container", port)
	}
	return held, nil
}

// listeningSockets reads proc_pid_net(5): the inodes of sockets in state LISTEN
// (0A) on a local port.
func listeningSockets(table string, port int) []string {
	var inodes []string
	suffix := fmt.Sprintf(":%04X", port)
	for line := range strings.Lines(table) {
		fields := strings.Fields(line)
		if len(fields) > 9 && fields[3] == "0A" && strings.HasSuffix(fields[1], suffix) {
			inodes = append(inodes, fields[9])
		}
	}
	return inodes
}

// handle refers to one process until it is closed. The kernel does not give its
// id to another process that the handle would then reach.
type handle struct {
	id   identity
	file *os.File // a pidfd, see pidfd_open(2)
}

// openProcess opens the process that id names. The error isGone if it has ended;
// the start time is read after the handle was opened, so no other process can
// slip in between.
func openProcess(id identity) (*handle, error) {
	here, err := thisMachine()
	if err != nil {
		return nil, err
	}
	if err := here.reachable(id); err != nil {
		return nil, err
	}
	fd, err := unix.PidfdOpen(id.PID, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil, &goneError{why: "no process has this id any more"}
	}
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT) {
		return nil, &goneError{why: "its id belongs to a thread of another process now"}
	}
	if err != nil {
		return nil, fmt.Errorf("open process %d (pidfd_open): %w; this needs Linux 5.3 and a sandbox that allows it", id.PID, err)
	}
	// The Go runtime can wait for a descriptor only if it does not block.
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, errors.Join(fmt.Errorf("open process %d: %w", id.PID, err), unix.Close(fd))
	}
	target := &handle{id: id, file: os.NewFile(uintptr(fd), fmt.Sprintf("pidfd of %d", id.PID))}
	if err := target.verify(); err != nil {
		return nil, errors.Join(err, target.close())
	}
	return target, nil
}

// verify makes sure that the handle refers to the process meant, and that it runs.
func (h *handle) verify() error {
	p, err := readProcess(h.id.PID)
	ended, pollErr := h.ended()
	switch {
	case pollErr != nil:
		return pollErr
	case isGone(err) && !ended:
		return fmt.Errorf("process %d runs, but /proc/%d cannot be seen; is /proc mounted with hidepid?", h.id.PID, h.id.PID)
	case err != nil:
		return err
	case p.start != h.id.Start:
		return &goneError{why: "its id belongs to another process now: " + p.String()}
	case ended:
		return &goneError{why: fmt.Sprintf("it has ended and its parent %d has not collected it yet (zombie)", p.parent)}
	}
	return nil
}

func (h *handle) close() error { return h.file.Close() }

// signal sends a signal to the process meant and to no other; 0 only asks
// whether it would be allowed.
func (h *handle) signal(sig unix.Signal) error {
	conn, err := h.file.SyscallConn()
	if err != nil {
		return fmt.Errorf("signal process %d: %w", h.id.PID, err)
	}
	var sent error
	if err := conn.Control(func(fd uintptr) { sent = unix.PidfdSendSignal(int(fd), sig, nil, 0) }); err != nil {
		return fmt.Errorf("signal process %d: %w", h.id.PID, err)
	}
	switch {
	case errors.Is(sent, unix.ESRCH):
		return &goneError{why: "it has ended"}
	case errors.Is(sent, unix.EPERM):
		return fmt.Errorf("process %d may not be signalled by user %d; run gameday as the user of the process, or as root", h.id.PID, os.Geteuid())
	case sent != nil:
		return fmt.Errorf("signal process %d (pidfd_send_signal): %w", h.id.PID, sent)
	}
	return nil
}

// ended tells whether the whole process has ended, be it collected by its parent
// or not. The state in /proc would not do: it is that of the first thread, which
// may end before the others.
func (h *handle) ended() (bool, error) {
	conn, err := h.file.SyscallConn()
	if err != nil {
		return false, fmt.Errorf("watch process %d: %w", h.id.PID, err)
	}
	var ended bool
	var polled error
	if err := conn.Control(func(fd uintptr) { ended, polled = readable(fd) }); err != nil {
		return false, fmt.Errorf("watch process %d: %w", h.id.PID, err)
	}
	return ended, polled
}

// awaitEnd returns nil once the process has ended, or the cause of ctx.
func (h *handle) awaitEnd(ctx context.Context) error {
	conn, err := h.file.SyscallConn()
	if err != nil {
		return fmt.Errorf("watch process %d: %w", h.id.PID, err)
	}
	wake := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() { wake <- h.file.SetReadDeadline(time.Unix(1, 0)) })
	var polled error
	waited := conn.Read(func(fd uintptr) bool {
		var ended bool
		ended, polled = readable(fd)
		return ended || polled != nil
	})
	if !stop() {
		if err := <-wake; err != nil {
			return fmt.Errorf("watch process %d: %w", h.id.PID, err)
		}
	}
	switch {
	case polled != nil:
		return polled
	case errors.Is(waited, os.ErrDeadlineExceeded):
		return context.Cause(ctx)
	case waited != nil:
		return fmt.Errorf("watch process %d: %w", h.id.PID, waited)
	}
	return nil
}

func readable(fd uintptr) (bool, error) {
	set := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	for {
		count, err := unix.Poll(set, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return false, fmt.Errorf("poll a pidfd: %w", err)
		}
		return count > 0, nil
	}
}

// stopped counts the threads of the process that are stopped, and all that live.
// The error isGone if the process has ended.
func (h *handle) stopped() (stopped, threads int, err error) {
	folder := procPath(h.id.PID, "task")
	entries, err := os.ReadDir(folder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ESRCH) {
		return 0, 0, fmt.Errorf("list the threads of process %d: %w", h.id.PID, err)
	}
	for _, entry := range entries {
		text, err := os.ReadFile(filepath.Join(folder, entry.Name(), "stat"))
		if err != nil {
			continue // the thread ended meanwhile
		}
		thread, err := parseStat(text)
		if err != nil {
			return 0, 0, err
		}
		switch thread.state {
		case 'Z', 'X':
		case 'T':
			stopped++
			threads++
		default:
			threads++
		}
	}
	// What was read is of the process meant only if it still has its id.
	return stopped, threads, h.verify()
}
