//go:build !linux

package cluster

import "syscall"

// sessionOf gives a daemon a session of its own. Only Linux can bind it to its parent.
func sessionOf(bool) *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }
