package cluster

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// A real node leaves nothing behind, however it ends. It lives in mount, network and
// process namespaces of its own:
//
//	Run     on the machine: builds, makes the namespaces, waits, removes cgroups
//	Init    process 1 of the namespaces: reaps. It dies with Run, and everything within
//	        with it: that is what process namespaces do
//	Inside  starts the cluster and the command
//
// So containers, mounts and network interfaces need no tidying. What is left are
// cgroups and empty folders, which the end of Run, or else the next one, removes.

// Run builds what is missing, starts a cluster with one real node and runs the
// command beside it, with GAMEDAY_TEST_KUBECONFIG and GAMEDAY_TEST_NODE set. It
// returns the command's exit code. Two at a time on one machine wait for each other.
func (n Node) Run(ctx context.Context) (code int, err error) {
	if err := lacking(); err != nil {
		return 0, err
	}
	bin, err := build(ctx, append(controlPlaneTargets(), nodeTargets()...), n.Progress)
	if err != nil {
		return 0, err
	}
	if err := os.MkdirAll(n.Dir, 0o755); err != nil {
		return 0, fmt.Errorf("make a folder for the node: %w", err)
	}
	turn, err := n.takeTurn()
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, turn.Close()) }()
	if err := n.tidy(); err != nil {
		return 0, fmt.Errorf("tidy after an earlier node: %w", err)
	}
	if err := makeImages(ctx, bin, filepath.Join(n.Dir, "images")); err != nil {
		return 0, err
	}
	if err := errors.Join(n.makeMountPoints(), makeCgroups()); err != nil {
		return 0, errors.Join(err, n.tidy())
	}
	code, err = n.enter(ctx, turn)
	return code, errors.Join(err, n.tidy())
}

// takeTurn waits until no other node is on this machine. Init holds the lock too, so
// that it is free only when the last process of a killed one is gone.
func (n Node) takeTurn() (*os.File, error) {
	file, err := os.OpenFile("/run/gameday-e2e.lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("see that no other node is on this machine: %w", err)
	}
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		if _, err = fmt.Fprintln(n.Progress, "another real node is on this machine: waiting for its end ..."); err == nil {
			err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX)
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("see that no other node is on this machine: %w", err), file.Close())
	}
	return file, nil
}

// enter runs Init in new namespaces and passes signals on to it.
func (n Node) enter(ctx context.Context, turn *os.File) (int, error) {
	self, err := os.Executable()
	if err != nil {
		return 0, fmt.Errorf("find this program: %w", err)
	}
	command := exec.Command(self, append([]string{"init", n.Dir, "--"}, n.Command...)...)
	command.Stdin, command.Stdout, command.Stderr = os.Stdin, os.Stdout, os.Stderr
	command.ExtraFiles = []*os.File{turn}
	command.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWNET,
		Pdeathsig:  syscall.SIGKILL,
	}
	runtime.LockOSThread() // the signal comes with the end of the thread that starts it
	defer runtime.UnlockOSThread()
	if err := command.Start(); err != nil {
		return 0, fmt.Errorf("make namespaces for the node: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = command.Process.Signal(syscall.SIGTERM) }) // it may have ended
	defer stop()
	err = command.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Exited() {
		return exit.ExitCode(), nil
	}
	return 0, err
}

// Init is process 1: it starts Inside, passes a signal to end on to it, and reaps
// whatever ends. It returns Inside's exit code.
func Init(args []string) (int, error) {
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	inside, err := os.StartProcess(self, append([]string{self, "inside"}, args...), &os.ProcAttr{Files: []*os.File{os.Stdin, os.Stdout, os.Stderr}})
	if err != nil {
		return 0, fmt.Errorf("start within the namespaces: %w", err)
	}
	go func() {
		for range signals {
			_ = inside.Signal(syscall.SIGTERM) // it may have ended
		}
	}()
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
		case err != nil:
			return 0, fmt.Errorf("wait for the node: %w", err)
		case pid == inside.Pid && status.Signaled():
			return 128 + int(status.Signal()), nil
		case pid == inside.Pid:
			return status.ExitStatus(), nil
		}
	}
}

// patience is how long a command may take to end after it was told to.
const patience = 15 * time.Second

// Inside starts the cluster within the namespaces and runs the command.
func (n Node) Inside(ctx context.Context) (int, error) {
	if err := n.mount(); err != nil {
		return 0, err
	}
	cache, err := CacheDir()
	if err != nil {
		return 0, err
	}
	began := time.Now()
	starting, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	bin, err := build(starting, nil, n.Progress) // all is built: this only finds it
	if err != nil {
		return 0, err
	}
	if err := os.Setenv("PATH", bin+":"+os.Getenv("PATH")+":/usr/sbin:/sbin"); err != nil {
		return 0, err
	}
	c, err := startWithNode(starting, bin, Options{Dir: filepath.Join(n.Dir, "cluster"), Progress: n.Progress})
	if err != nil {
		return 0, fmt.Errorf("start a node: %w", err)
	}
	if _, err := fmt.Fprintf(n.Progress, "a real node is up after %s; logs are in %s\n", time.Since(began).Round(100*time.Millisecond), c.daemons.dir); err != nil {
		return 0, err
	}
	command := exec.CommandContext(ctx, n.Command[0], n.Command[1:]...)
	command.Stdin, command.Stdout, command.Stderr = os.Stdin, os.Stdout, os.Stderr
	command.Env = append(os.Environ(), "KUBECONFIG="+c.Kubeconfig, "GAMEDAY_TEST_KUBECONFIG="+c.Kubeconfig, "GAMEDAY_TEST_NODE="+RealNode,
		"GAMEDAY_CLUSTER_CACHE="+cache)
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
	command.WaitDelay = patience
	err = command.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return max(exit.ExitCode(), 1), nil
	}
	return 0, err
}

// mount makes the mount namespace what a node wants, without changing the machine.
func (n Node) mount() error {
	var problems []error
	mount := func(source, target, kind string, flags uintptr, data string) {
		if err := syscall.Mount(source, target, kind, flags, data); err != nil {
			problems = append(problems, fmt.Errorf("mount %s on %s: %w", source, target, err))
		}
	}
	mkdir := func(path string) { problems = append(problems, os.MkdirAll(path, 0o755)) }
	mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, "")
	mount("proc", "/proc", "proc", syscall.MS_NOSUID|syscall.MS_NODEV|syscall.MS_NOEXEC, "")
	mount("gameday", "/run", "tmpfs", 0, "mode=755")
	mkdir(stateDir)
	for _, dir := range writtenDirs {
		hidden := filepath.Join(stateDir, "hidden", dir)
		mkdir(hidden)
		mount(hidden, dir, "", syscall.MS_BIND, "")
	}
	settings := filepath.Join(stateDir, "settings")
	mkdir(settings)
	for path, value := range wantedSettings {
		file := filepath.Join(settings, filepath.Base(path))
		problems = append(problems, os.WriteFile(file, []byte(value+"\n"), 0o644))
		mount(file, path, "", syscall.MS_BIND, "")
	}
	// The kubelet's mounts for a pod must be seen in its containers.
	mount("", "/", "", syscall.MS_REC|syscall.MS_SHARED, "")
	if err := errors.Join(problems...); err != nil {
		return fmt.Errorf("prepare the node's file system: %w", err)
	}
	return nil
}

// madeList names the folders that were made on the machine to mount on.
func (n Node) madeList() string { return filepath.Join(n.Dir, "made") }

// makeMountPoints makes the folders that something is mounted on, where they are
// missing, and writes down which.
func (n Node) makeMountPoints() error {
	var made []string
	for _, dir := range writtenDirs {
		var missing []string
		for at := dir; ; at = filepath.Dir(at) {
			if _, err := os.Stat(at); err == nil {
				break
			}
			missing = append(missing, at)
		}
		slices.Reverse(missing)
		made = append(made, missing...)
	}
	if err := os.WriteFile(n.madeList(), []byte(strings.Join(made, "\n")), 0o600); err != nil {
		return fmt.Errorf("write down what is made: %w", err)
	}
	for _, dir := range made {
		if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("make a folder to mount on: %w", err)
		}
	}
	return nil
}

// tidy removes what a node leaves on the machine: empty cgroups and empty folders.
func (n Node) tidy() error {
	problems := []error{removeCgroups()}
	text, err := os.ReadFile(n.madeList())
	if errors.Is(err, fs.ErrNotExist) {
		return errors.Join(problems...)
	}
	problems = append(problems, err)
	for _, dir := range slices.Backward(strings.Fields(string(text))) {
		if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			problems = append(problems, err)
		}
	}
	if err := errors.Join(problems...); err != nil {
		return err
	}
	return errors.Join(os.Remove(n.madeList()), os.RemoveAll(filepath.Join(n.Dir, "images")))
}

const cgroups = "/sys/fs/cgroup"

// unified tells whether the machine has cgroups of version 2 only.
func unified() bool {
	_, err := os.Stat(filepath.Join(cgroups, "cgroup.controllers"))
	return err == nil
}

// cgroupDirs are the node's cgroups, one a hierarchy.
func cgroupDirs() ([]string, error) {
	if unified() {
		return []string{filepath.Join(cgroups, nodeCgroup)}, nil
	}
	found, err := filepath.Glob(filepath.Join(cgroups, "*", "cgroup.procs"))
	for i, path := range found {
		found[i] = filepath.Join(filepath.Dir(path), nodeCgroup)
	}
	return found, err
}

// makeCgroups makes the cgroup that the kubelet puts all pods below.
func makeCgroups() error {
	dirs, err := cgroupDirs()
	if err != nil {
		return err
	}
	for _, dir := range dirs {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("make the node's cgroup: %w", err)
		}
		parent := filepath.Dir(dir)
		switch {
		case unified():
			// A controller that the machine has not enabled for its other cgroups is enabled.
			for _, at := range []string{parent, dir} {
				text, err := os.ReadFile(filepath.Join(at, "cgroup.controllers"))
				if err != nil {
					return fmt.Errorf("make the node's cgroup: %w", err)
				}
				for _, controller := range strings.Fields(string(text)) {
					if err := os.WriteFile(filepath.Join(at, "cgroup.subtree_control"), []byte("+"+controller), 0o644); err != nil {
						return fmt.Errorf("make the node's cgroup: enable %s in %s: %w", controller, at, err)
					}
				}
			}
		case filepath.Base(parent) == "cpuset": // it takes no process before these are set
			for _, name := range []string{"cpuset.cpus", "cpuset.mems"} {
				text, err := os.ReadFile(filepath.Join(parent, name))
				if err == nil {
					err = os.WriteFile(filepath.Join(dir, name), text, 0o644)
				}
				if err != nil {
					return fmt.Errorf("make the node's cgroup: %w", err)
				}
			}
		}
	}
	return nil
}

// removeCgroups removes the node's cgroups, whose processes have ended or are about to.
func removeCgroups() error {
	dirs, err := cgroupDirs()
	if err != nil {
		return err
	}
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		var problems []error
		for _, dir := range dirs {
			var below []string
			err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
				if err == nil && entry.IsDir() {
					below = append(below, path)
				}
				return nil // gone meanwhile
			})
			problems = append(problems, err)
			for _, path := range slices.Backward(below) {
				if err := syscall.Rmdir(path); err != nil && !errors.Is(err, syscall.ENOENT) {
					problems = append(problems, fmt.Errorf("remove the cgroup %s: %w", path, err))
				}
			}
		}
		err := errors.Join(problems...)
		if err == nil || time.Now().After(end) {
			return err
		}
	}
}
