package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"

	"github.com/gameday-sh/gameday/experiments"
)

const unreadScenario = `
sandbox "shop" {}

probe "http" "checkout" {
  url     = sandbox.shop.checkout_url
  method  = "POST"
  every   = "100ms"
  timeout = "2s"
}

scenario "unread" {
  seed = 3
  hypothesis "checkout answers" {
    probe          = probe.checkout
    hold           = "200ms"
    recover_within = "20s"
  }
  fault "toxiproxy_down" "no-payments" {
    proxy    = sandbox.shop.payments_proxy
    duration = "2m"
  }
  guard "threshold" "failing" {
    probe    = probe.checkout
    failures = true
    samples  = 3
  }
}
`

// fill writes to a file that nobody reads until nothing more fits.
func fill(t *testing.T, file *os.File) (wrote int) {
	t.Helper()
	fd := int(file.Fd())
	if err := syscall.SetNonblock(fd, true); err != nil {
		t.Fatal(err)
	}
	for {
		n, err := syscall.Write(fd, []byte("#"))
		if errors.Is(err, syscall.EAGAIN) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		wrote += n
	}
	if err := syscall.SetNonblock(fd, false); err != nil {
		t.Fatal(err)
	}
	return wrote
}

// TestAReaderThatStandsStillHoldsUpNoRun runs the program with a standard output that is
// full from the beginning and that nobody reads. The guard's stop mends all the same, the
// runner does it and not its watchdog, and no word of the result depends on the reader.
func TestAReaderThatStandsStillHoldsUpNoRun(t *testing.T) {
	t.Setenv("TERM", "xterm")
	path := filepath.Join(t.TempDir(), "unread.hcl")
	write(t, path, unreadScenario)
	program, err := gamedayProgram()
	if err != nil {
		t.Fatal(err)
	}
	pipe := func(t *testing.T) (mine, theirs *os.File) {
		mine, theirs, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		return mine, theirs
	}
	terminal := func(t *testing.T) (mine, theirs *os.File) {
		mine, theirs, err := pty.Open()
		if err != nil {
			t.Skipf("there are no pseudo terminals here: %v", err)
		}
		if err := pty.Setsize(mine, &pty.Winsize{Rows: 30, Cols: 100}); err != nil {
			t.Fatal(err)
		}
		return mine, theirs
	}
	for _, test := range []struct {
		name    string
		open    func(*testing.T) (mine, theirs *os.File)
		flags   []string
		reads   bool   // once the run is over; else somebody loses patience with the program
		last    string // of what is read
		unheard string // on standard error
	}{
		{"JSON, read when all is over", pipe, []string{"--json"}, true, `"type":"end"`, ""},
		{"JSON that is never read", pipe, []string{"--json"}, false, "", "its last events were not read"},
		{"plain lines, read when all is over", pipe, nil, true, "ABORTED  unread", ""},
		{"plain lines that are never read", pipe, nil, false, "", "its last events were not read"},
		{"the live view, read when all is over", terminal, nil, true, "ABORTED  unread", ""},
		{"the live view that is never read", terminal, nil, false, "", "not read"},
	} {
		t.Run(test.name, func(t *testing.T) {
			home := t.TempDir()
			mine, theirs := test.open(t)
			t.Cleanup(func() {
				if err := mine.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
					t.Error(err)
				}
			})
			filler := fill(t, theirs)
			p := launchInto(t, theirs, program, append([]string{"run", "--state", home, path}, test.flags...)...)
			if err := theirs.Close(); err != nil {
				t.Fatal(err)
			}
			var stored []string
			poll(t, text("the result of the run: "+p.said.String()), func() bool {
				stored, err = filepath.Glob(filepath.Join(home, "runs", "*", "result.json"))
				if err != nil {
					t.Fatal(err)
				}
				return len(stored) == 1
			})
			var read bytes.Buffer
			done := make(chan struct{})
			if test.reads {
				go func() {
					defer close(done)
					_, _ = io.Copy(&read, mine) // the end of a terminal is an error
				}()
			} else {
				close(done)
				poll(t, text("the end after signals"), func() bool {
					if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
						t.Fatal(err)
					}
					select {
					case <-p.ended:
						return true
					case <-time.After(200 * time.Millisecond):
						return false
					}
				})
			}
			if code := p.wait(time.Minute); code != experiments.Aborted.ExitCode() {
				t.Errorf("exit code %d, want %d: %s", code, experiments.Aborted.ExitCode(), p.said.String())
			}
			<-done
			result, err := loadResult(stored[0])
			if err != nil {
				t.Fatal(err)
			}
			if result.Verdict != experiments.Aborted || result.Stop == nil || result.Stop.Guard != "failing" || result.Stop.Took() == 0 || len(result.Left) > 0 {
				t.Errorf("the result is %s (%s), stop %+v, left %v", result.Verdict, result.Reason, result.Stop, result.Left)
			}
			if len(result.Hits) != 1 || result.Hits[0].Step != experiments.Verified || result.Hits[0].State != experiments.Whole {
				t.Errorf("the hits are %+v", result.Hits)
			}
			log, err := os.ReadFile(filepath.Join(filepath.Dir(stored[0]), "watchdog.log"))
			if err != nil || len(log) > 0 {
				t.Errorf("the watchdog had to act: %s, %v", log, err)
			}
			if said := p.said.String(); (test.unheard == "") != (said == "") || !strings.Contains(said, test.unheard) {
				t.Errorf("standard error has %q, want %q", said, test.unheard)
			}
			if test.reads && !strings.Contains(read.String()[min(filler, read.Len()):], test.last) {
				t.Errorf("after %d bytes that were there, %q is not in\n%s", filler, test.last, read.String())
			}
		})
	}
}
