package local

import "syscall"

// processGroup puts a command into a process group of its own, and lets the
// kernel end it when the runner is killed: an inject command that went on after
// the watchdog's revert would harm again.
func processGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
