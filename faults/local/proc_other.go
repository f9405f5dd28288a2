//go:build !linux

package local

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// errNoProcesses is the answer of everything here: only Linux has handles that
// keep a signal from reaching a process that was given the id of another.
var errNoProcesses = fmt.Errorf("process_kill and process_pause need Linux 5.3 or newer and this is %s: %w; write an exec fault instead", runtime.GOOS, errors.ErrUnsupported)

type handle struct{ id identity }

func thisMachine() (machine, error) { return machine{}, errNoProcesses }

func listProcesses(context.Context) ([]process, error) { return nil, errNoProcesses }

func readProcess(int) (process, error) { return process{}, errNoProcesses }

func processCommand(int) []string { return nil }

func carries(int, []string) bool { return false }

func processOwner(int) int { return -1 }

func sameProgram(int, int) bool { return false }

func (p process) started() (time.Time, error) { return time.Time{}, errNoProcesses }

func listeners(context.Context, int, []process) (map[int]bool, error) { return nil, errNoProcesses }

func openProcess(identity) (*handle, error) { return nil, errNoProcesses }

func (h *handle) close() error { return nil }

func (h *handle) signal(unix.Signal) error { return errNoProcesses }

func (h *handle) awaitEnd(context.Context) error { return errNoProcesses }

func (h *handle) stopped() (stopped, threads int, err error) { return 0, 0, errNoProcesses }
