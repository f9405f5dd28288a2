//go:build !linux

package local

import "syscall"

// processGroup puts a command into a process group of its own.
func processGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
