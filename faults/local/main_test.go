package local

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/gameday-sh/gameday/experiments"
)

// helperMark is the first argument of a test binary that was started to be hit;
// the second one says how it behaves.
const helperMark = "gameday-helper"

// helperProgram is a copy of the test binary. The binary itself would not do:
// faults leave the program they are part of alone.
var helperProgram string

func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == helperMark {
		if err := behave(os.Args[2]); err != nil {
			fmt.Println(err)
			os.Exit(3)
		}
		return
	}
	os.Exit(withHelperProgram(m))
}

func withHelperProgram(m *testing.M) int {
	folder, err := os.MkdirTemp("", "gameday-local")
	if err == nil {
		defer os.RemoveAll(folder)
		helperProgram = filepath.Join(folder, "helper")
		var self string
		if self, err = os.Executable(); err == nil {
			err = copyFile(self, helperProgram)
		}
	}
	if err != nil {
		fmt.Println(err)
		return 1
	}
	code := m.Run()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Println(err)
			return 1
		}
	}
	return code
}

func copyFile(from, to string) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, text, 0o700)
}

// behave is the life of a process to be hit. Each says "ready" first and ends by
// itself after a minute, should its test not get to end it.
func behave(how string) error {
	over := time.After(time.Minute)
	switch how {
	case "sleep":
		fmt.Println("ready")
	case "ignore-term":
		signal.Ignore(syscall.SIGTERM)
		fmt.Println("ready", os.Getpid())
	case "listen":
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		fmt.Println("ready", listener.Addr().(*net.TCPAddr).Port)
		go func() {
			for {
				conn, err := listener.Accept()
				if err != nil {
					return
				}
				if _, err := io.WriteString(conn, "hello\n"); err == nil {
					conn.Close()
				}
			}
		}()
	case "family":
		// A grandchild that holds the pipe of the command's output, and a parent that
		// waits for it.
		child := exec.Command(os.Args[0], helperMark, "ignore-term")
		child.Stdout = os.Stdout
		if err := child.Start(); err != nil {
			return err
		}
		if len(os.Args) > 3 {
			if err := os.WriteFile(os.Args[3], []byte(strconv.Itoa(child.Process.Pid)), 0o600); err != nil {
				return err
			}
		}
		return child.Wait()
	default:
		return fmt.Errorf("no behaviour %q", how)
	}
	<-over
	return nil
}

// victim is a process to be hit.
type victim struct {
	pid   int
	said  string // after "ready"
	ended chan error
	child *exec.Cmd
}

// start starts a helper process whose program has this name and waits until it is
// ready. It is ended with the test.
func start(t *testing.T, name, how string, reap bool) *victim {
	t.Helper()
	program := filepath.Join(t.TempDir(), name)
	if err := os.Link(helperProgram, program); err != nil {
		t.Fatal(err)
	}
	child := exec.Command(program, helperMark, how)
	output, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	v := &victim{pid: child.Process.Pid, ended: make(chan error, 1), child: child}
	line, err := bufio.NewReader(output).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "ready") {
		t.Fatalf("helper %s said %q (%v)", how, line, err)
	}
	v.said = strings.TrimSpace(strings.TrimPrefix(line, "ready"))
	if reap {
		go func() { v.ended <- child.Wait() }()
	}
	t.Cleanup(func() {
		// It may have ended already, which is what most tests are about.
		_ = child.Process.Kill()
		if !reap {
			v.ended <- child.Wait()
		}
		<-v.ended
	})
	return v
}

// state is the state letter in the process table; 0 if it is gone.
func (v *victim) state(t *testing.T) byte {
	t.Helper()
	p, err := readProcess(v.pid)
	if isGone(err) {
		return 0
	}
	if err != nil {
		t.Fatal(err)
	}
	return p.state
}

// uniqueName is a process name of at most 15 bytes that no other process has.
func uniqueName() string { return fmt.Sprintf("gd%012d", rand.Uint64()%1_000_000_000_000) }

func drawn(seed uint64) experiments.Draw {
	return experiments.Draw{
		Run: "20260102-030405-test-0001", Fault: "break-it", Round: 1,
		Uniform: rand.New(rand.NewPCG(seed, 0)).Float64,
	}
}

// planned plans and fills in what the runner would.
func planned(t *testing.T, f experiments.Fault, kind string) []experiments.Hit {
	t.Helper()
	hits, err := f.Plan(t.Context(), drawn(1))
	if err != nil {
		t.Fatal(err)
	}
	for i := range hits {
		hits[i].ID, hits[i].Fault, hits[i].Kind, hits[i].Round = "break-it/1/"+hits[i].Target, "break-it", kind, 1
	}
	return hits
}

func wantError(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one with %q", parts)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error is %q, want %q in it", err, part)
		}
	}
}

func wantState(t *testing.T, f experiments.Fault, h experiments.Hit, want experiments.State, part string) {
	t.Helper()
	seen, err := f.Check(context.WithoutCancel(t.Context()), h)
	if (err != nil) != (want == experiments.Unknown) {
		t.Errorf("check: %v, want an error only if the state is unknown", err)
	}
	if seen.State != want || !strings.Contains(seen.Seen, part) {
		t.Errorf("check says %s (%s), want %s with %q", seen.State, seen.Seen, want, part)
	}
}

// respec changes the record of a hit.
func respec[S any](t *testing.T, h experiments.Hit, change func(*S)) experiments.Hit {
	t.Helper()
	var spec S
	if err := json.Unmarshal(h.Spec, &spec); err != nil {
		t.Fatal(err)
	}
	change(&spec)
	text, err := json.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	h.Spec = text
	return h
}
