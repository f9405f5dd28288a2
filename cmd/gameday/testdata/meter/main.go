// Command meter runs a program and says what it took, as one line of JSON on its
// standard output. The kernel counts the memory of whoever starts a program into
// that program's peak; meter is small, a test binary is not.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "meter:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 {
		return errors.New("name the program to run, and its arguments")
	}
	command := exec.Command(args[0], args[1:]...)
	command.Stderr = os.Stderr
	began := time.Now()
	err := command.Run()
	took := time.Since(began)
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return err
	}
	state := command.ProcessState
	usage, ok := state.SysUsage().(*syscall.Rusage)
	if !ok {
		return errors.New("this system does not say how much memory a process took")
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]int64{
		"wall_ns": took.Nanoseconds(),
		"cpu_ns":  (state.UserTime() + state.SystemTime()).Nanoseconds(),
		"peak_kb": int64(usage.Maxrss), // KiB on Linux
		"exit":    int64(state.ExitCode()),
	})
}
