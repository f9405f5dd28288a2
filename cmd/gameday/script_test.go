package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/gameday-sh/gameday/faults/toxiproxy/toxiproxytest"
	"github.com/gameday-sh/gameday/internal/cluster/clustertest"
	"github.com/gameday-sh/gameday/internal/porttest"
)

// TestMain lets the test binary be gameday itself: the scripts call it, and a
// runner under test starts it as its watchdog.
func TestMain(m *testing.M) {
	testscript.Main(clustered{m}, map[string]func(){"gameday": main, "toxics": printToxics})
}

// clustered ends the cluster that tests have started. Tests that pass leave nothing in
// the folder for temporary files either.
type clustered struct{ *testing.M }

func (c clustered) Run() int {
	if err := os.Setenv("GORACE", endAtOnce()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return leavingNothing(func() int { return clustertest.Main(c.M.Run) })
}

// endAtOnce is what GORACE has to say so that a program with the race detector ends when
// it ends: of itself it sleeps a second at each exit. It reports races all the same.
func endAtOnce() string { return strings.TrimSpace(os.Getenv("GORACE") + " atexit_sleep_ms=0") }

// leavingNothing runs tests with a folder for temporary files of their own. What is in it
// at their end is a failure of tests that passed.
func leavingNothing(run func() int) (code int) {
	folder, err := os.MkdirTemp("", "gameday-tests-")
	if err == nil {
		err = os.Setenv("TMPDIR", folder)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code = run()
	left, err := os.ReadDir(folder)
	if err = errors.Join(err, os.RemoveAll(folder)); err != nil {
		fmt.Fprintln(os.Stderr, "remove the temporary files of the tests:", err)
		return max(code, 1)
	}
	if code == 0 && len(left) > 0 {
		fmt.Fprintln(os.Stderr, "tests passed and left temporary files:", left)
		return 1
	}
	return code
}

// printToxics is a command for scripts: the toxics on the proxy "payments", as JSON.
func printToxics() {
	answer, err := http.Get(os.Getenv("TOXIPROXY") + "/proxies/payments/toxics")
	if err == nil {
		_, err = io.Copy(os.Stdout, answer.Body)
		err = errors.Join(err, answer.Body.Close())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// TestScripts runs the command line as people and CI type it. Each script has a
// healthy web server at $FRONT, a toxiproxy-server at $TOXIPROXY with a proxy
// "payments" in front of that server, and a state folder of its own.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "script"),
		// Its own folder would stay where not all scripts are run.
		WorkdirRoot: t.TempDir(),
		Setup: func(env *testscript.Env) error {
			tb := env.T().(testing.TB)
			front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/broken" {
					w.WriteHeader(http.StatusServiceUnavailable)
				}
			}))
			env.Defer(front.Close)
			url, _ := toxiproxytest.Server(tb)
			env.Setenv("GORACE", os.Getenv("GORACE"))
			env.Setenv("FRONT", front.URL)
			env.Setenv("TOXIPROXY", url)
			makeProxy(tb, url, "payments", front.Listener.Addr().String())
			env.Setenv("GAMEDAY_STATE", filepath.Join(env.WorkDir, "state"))
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("CLOSED", closedAddress(tb))
			return nil
		},
		UpdateScripts: os.Getenv("UPDATE_SCRIPTS") != "",
	})
}

// closedAddress is a loopback address on which nobody listens, and nobody begins to
// while other tests run.
func closedAddress(t testing.TB) string { return porttest.Address(t) }
