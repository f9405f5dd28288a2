package local

import (
	"bufio"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gameday-sh/gameday/experiments"
)

// A process that runs another program keeps its id and start time.
func TestAProcessThatBecameAnotherProgramIsRefused(t *testing.T) {
	for kind, aim := range map[string]func(Targets) experiments.Fault{
		"process_kill": func(at Targets) experiments.Fault {
			return &ProcessKill{Targets: at, Signal: "KILL", Wait: time.Minute}
		},
		"process_pause": func(at Targets) experiments.Fault { return &ProcessPause{Targets: at} },
	} {
		t.Run(kind, func(t *testing.T) {
			child := exec.Command("sh", "-c", "read go; exec sleep 300")
			input, err := child.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := child.Start(); err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- child.Wait() }()
			t.Cleanup(func() {
				_ = child.Process.Kill() // a fault may have ended it
				<-ended
			})
			fault := aim(Targets{PIDFile: writePID(t, strconv.Itoa(child.Process.Pid)), Count: 1})
			hit := planned(t, fault, kind)[0]
			if _, err := input.Write([]byte("\n")); err != nil {
				t.Fatal(err)
			}
			for {
				p, err := readProcess(child.Process.Pid)
				if err != nil {
					t.Fatal(err)
				}
				if p.name == "sleep" {
					break
				}
				time.Sleep(time.Millisecond)
			}
			_, err = fault.Inject(t.Context(), hit)
			wantError(t, err, "moved since the plan", "(sleep) now", "nothing was done")
			if err := fault.Revert(t.Context(), hit); err != nil {
				t.Error(err)
			}
			if p, err := readProcess(child.Process.Pid); err != nil || p.state == 'T' || p.state == 'Z' {
				t.Errorf("the process was hit: %c, %v", p.state, err)
			}
		})
	}
}

// Another run's watchdog would not mend what it must; a sandbox is there to be hit.
func TestAnotherGamedayIsLeftAloneUnlessItIsASandbox(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ argument, refused string }{
		{"watchdog", "another gameday"},
		{"sandbox", ""},
	} {
		t.Run(test.argument, func(t *testing.T) {
			// In a session of its own, and no child of ours.
			parent := exec.Command("sh", "-c", `"$@" & echo $!; wait`, "parent", self, helperMark, "sleep", test.argument)
			parent.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
			output, err := parent.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := parent.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := syscall.Kill(-parent.Process.Pid, syscall.SIGKILL); err != nil {
					t.Error(err)
				}
				_ = parent.Wait() // it was killed
			})
			lines := bufio.NewReader(output)
			id, err := lines.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			if ready, err := lines.ReadString('\n'); err != nil || !strings.HasPrefix(ready, "ready") {
				t.Fatalf("%q, %v", ready, err)
			}
			hits, err := (&ProcessPause{Targets: Targets{PIDFile: writePID(t, strings.TrimSpace(id)), Count: 1}}).Plan(t.Context(), drawn(1))
			if test.refused != "" {
				wantError(t, err, test.refused)
			} else if err != nil || len(hits) != 1 {
				t.Errorf("%d hits, %v", len(hits), err)
			}
		})
	}
}
