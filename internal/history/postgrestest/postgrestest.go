// Package postgrestest starts a PostgreSQL server of the machine for tests.
package postgrestest

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gameday-sh/gameday/internal/porttest"
)

// Required is the variable that makes a missing PostgreSQL a failure instead of a skip:
// CI installs one and sets it.
const Required = "GAMEDAY_TEST_REQUIRE_POSTGRES"

// Start gives the address of an empty database on a server of its own, on loopback. The
// server ends with the test. Without PostgreSQL on the machine the test is skipped.
func Start(t testing.TB) string {
	t.Helper()
	bin := binaries()
	if bin == "" {
		if os.Getenv(Required) != "" {
			t.Fatal("there is no PostgreSQL on this machine, and " + Required + " is set")
		}
		t.Skip("there is no PostgreSQL on this machine (Debian: postgresql)")
	}
	// PostgreSQL refuses to run as root, and as another user it cannot reach the folders of
	// a test, which are root's alone.
	parent := ""
	if os.Getuid() == 0 {
		parent = "/tmp"
	}
	dir, err := os.MkdirTemp(parent, "gameday-postgres-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	as := unprivileged(t, dir)
	data := filepath.Join(dir, "data")
	run := func(program string, args ...string) *exec.Cmd {
		cmd := exec.Command(filepath.Join(bin, program), args...)
		cmd.Dir = dir
		cmd.SysProcAttr = as
		return cmd
	}
	if out, err := run("initdb", "-D", data, "-U", "gameday", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync").CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	_, port, err := net.SplitHostPort(porttest.Address(t))
	if err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	server := run("postgres", "-D", data, "-h", "127.0.0.1", "-p", port, "-k", "", "-F")
	server.Stdout, server.Stderr = &said, &said
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Wait() }()
	t.Cleanup(func() {
		// Fast shutdown: https://www.postgresql.org/docs/current/server-shutdown.html
		if err := server.Process.Signal(syscall.SIGINT); err != nil {
			return // it ended before; whoever waited for it said so
		}
		<-ended
	})
	address := fmt.Sprintf("postgres://gameday@127.0.0.1:%s/postgres?sslmode=disable", port)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		conn, err := pgx.Connect(t.Context(), address)
		if err == nil {
			if err := conn.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			return address
		}
		select {
		case ending := <-ended:
			ended <- ending
			t.Fatalf("postgres ended: %v\n%s", ending, said.String())
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("postgres does not answer: %v", err)
		}
	}
}

// binaries is the folder of the newest PostgreSQL of the machine, empty without one.
func binaries() string {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil {
		return ""
	}
	if len(found) == 0 {
		if path, err := exec.LookPath("initdb"); err == nil {
			return filepath.Dir(path)
		}
		return ""
	}
	slices.SortFunc(found, func(a, b string) int { return version(a) - version(b) })
	return filepath.Dir(found[len(found)-1])
}

func version(path string) int {
	n, err := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path))))
	if err != nil {
		return 0
	}
	return n
}

// unprivileged gives dir to a user that is not root, where the test runs as root.
func unprivileged(t testing.TB, dir string) *syscall.SysProcAttr {
	t.Helper()
	attr := &syscall.SysProcAttr{Setpgid: true}
	if os.Getuid() != 0 {
		return attr
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.Atoi(u.Uid)
		gid, gidErr := strconv.Atoi(u.Gid)
		if uidErr != nil || gidErr != nil {
			continue
		}
		if err := os.Chown(dir, uid, gid); err != nil {
			t.Fatal(err)
		}
		attr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		return attr
	}
	t.Skip("PostgreSQL does not run as root, and there is no user postgres or nobody to run it as")
	return nil
}
