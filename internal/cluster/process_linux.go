package cluster

import "syscall"

// sessionOf gives a daemon a session of its own; a bound one dies with its parent.
func sessionOf(bound bool) *syscall.SysProcAttr {
	attributes := &syscall.SysProcAttr{Setsid: true}
	if bound {
		attributes.Pdeathsig = syscall.SIGKILL
	}
	return attributes
}
