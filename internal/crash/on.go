//go:build crashpoints

// Package crash numbers the points at which a runner may die, so that a test can
// make it die at each of them: GAMEDAY_CRASH_RUN=7 ends `gameday run` at its seventh
// point, GAMEDAY_CRASH_RUN="injected late" at the first whose name begins so, and
// GAMEDAY_CRASH_WATCHDOG and GAMEDAY_CRASH_RECOVER those commands at theirs.
// GAMEDAY_CRASH_POINTS names a file that lists the points that `gameday run` passed.
package crash

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

var points struct {
	sync.Mutex
	passed int
}

// Point counts, and kills the process where the environment says so.
func Point(name string) {
	points.Lock()
	defer points.Unlock()
	points.passed++
	command := ""
	if len(os.Args) > 1 {
		command = os.Args[1]
	}
	if path := os.Getenv("GAMEDAY_CRASH_POINTS"); path != "" && command == "run" {
		line := fmt.Sprintf("%d %s\n", points.passed, name)
		file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			panic(err)
		}
		if _, err := file.WriteString(line); err != nil {
			panic(err)
		}
		if err := file.Close(); err != nil {
			panic(err)
		}
	}
	if wanted := os.Getenv("GAMEDAY_CRASH_" + strings.ToUpper(command)); here(wanted, name) {
		if err := syscall.Kill(os.Getpid(), syscall.SIGKILL); err != nil {
			panic(err)
		}
		select {}
	}
}

// here tells whether this point is the one that is wanted, by its number or by how
// its name begins.
func here(wanted, name string) bool {
	if at, err := strconv.Atoi(wanted); err == nil {
		return at == points.passed
	}
	return wanted != "" && strings.HasPrefix(name, wanted)
}
