package conformance

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/gameday-sh/gameday/experiments"
)

// job is the environment variable that tells a test binary it was started as a
// fresh process, and what to do: "check", or "revert" and then check.
const job = "GAMEDAY_CONFORMANCE_JOB"

// Main runs the tests, or, in a process that the suite started, the one job it was
// started for. It returns the exit code. Kinds is the table that the zero value of
// a hit's kind is taken from.
func Main(m *testing.M, kinds []experiments.Kind[experiments.Fault]) int {
	verb := os.Getenv(job)
	if verb == "" {
		return m.Run()
	}
	if err := work(verb, kinds, os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func work(verb string, kinds []experiments.Kind[experiments.Fault], in io.Reader, out io.Writer) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var hit experiments.Hit
	if err := json.NewDecoder(in).Decode(&hit); err != nil {
		return fmt.Errorf("reading the hit: %w", err)
	}
	kind, found := experiments.Find(kinds, hit.Kind)
	if !found {
		return fmt.Errorf("no kind %q in the table of this test binary", hit.Kind)
	}
	fault := kind.New()
	if verb == "revert" {
		if err := fault.Revert(ctx, hit); err != nil {
			return fmt.Errorf("revert: %w", err)
		}
	}
	seen, err := fault.Check(ctx, hit)
	if err != nil {
		return fmt.Errorf("check: %w", err)
	}
	return json.NewEncoder(out).Encode(seen)
}

// inFreshProcess hands the hit, as the journal would store it, to a new process
// that knows nothing but the table of kinds.
func inFreshProcess(t *testing.T, verb string, hit experiments.Hit) experiments.Observation {
	t.Helper()
	record, err := json.Marshal(hit)
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), program)
	// A process under the race detector sleeps for a second at its end unless told not to.
	command.Env = append(os.Environ(), job+"="+verb, "GORACE=atexit_sleep_ms=0 "+os.Getenv("GORACE"))
	command.Stdin = bytes.NewReader(record)
	answer, err := command.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("%w: %s", err, exit.Stderr)
		}
		t.Fatalf("%s in a fresh process: %v", verb, err)
	}
	var seen experiments.Observation
	if err := json.Unmarshal(answer, &seen); err != nil {
		t.Fatalf("a fresh process answered %q: %v (does TestMain call conformance.Main?)", answer, err)
	}
	return seen
}
