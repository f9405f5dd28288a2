// Package toxiproxytest starts real toxiproxy servers and upstreams for tests.
package toxiproxytest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	client "github.com/Shopify/toxiproxy/v2/client"

	"github.com/gameday-sh/gameday/internal/porttest"
)

// program builds toxiproxy-server once, at the version in go.mod. The go command
// leaves a program alone that is up to date.
var program = sync.OnceValues(func() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	path := filepath.Join(cache, "gameday-test", "toxiproxy-server")
	build := exec.Command("go", "build", "-o", path, "github.com/Shopify/toxiproxy/v2/cmd/server")
	if output, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building toxiproxy-server: %w\n%s", err, output)
	}
	return path, nil
})

// Server starts a toxiproxy-server program of its own for the test and returns its
// URL and its process.
func Server(t testing.TB) (string, *os.Process) {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	// The program cannot say which free port it took, so one is picked for it. If
	// somebody else gets it first, another is tried.
	for range 5 {
		host, port, err := net.SplitHostPort(porttest.Address(t))
		if err != nil {
			t.Fatal(err)
		}
		var output bytes.Buffer
		command := exec.Command(path, "-host", host, "-port", port)
		command.Stdout, command.Stderr = &output, &output
		command.Env = append(os.Environ(), "LOG_LEVEL=fatal")
		if err := command.Start(); err != nil {
			t.Fatal(err)
		}
		exited := make(chan struct{})
		go func() {
			defer close(exited)
			// It is killed in the end; how it went is of no interest.
			_ = command.Wait()
		}()
		t.Cleanup(func() {
			if err := command.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
				t.Error(err)
			}
			<-exited
		})
		url := "http://" + net.JoinHostPort(host, port)
		if answers(url, exited) {
			return url, command.Process
		}
	}
	t.Fatal("toxiproxy-server did not start")
	return "", nil
}

func answers(url string, exited <-chan struct{}) bool {
	for range 500 {
		response, err := http.Get(url + "/version")
		if err == nil {
			response.Body.Close()
			return true
		}
		select {
		case <-exited:
			return false
		case <-time.After(20 * time.Millisecond):
		}
	}
	return false
}

// Echo starts an upstream that sends back what it gets, and returns its address.
func Echo(t testing.TB) string {
	t.Helper()
	return Upstream(t, func(conn net.Conn) {
		// The client ends the connection, one way or another.
		_, _ = io.Copy(conn, conn)
	})
}

// Upstream starts an upstream that serves each connection and then closes it, and
// returns its address. Connections end with the test.
func Upstream(t testing.TB, serve func(net.Conn)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var (
		mu    sync.Mutex
		open  = map[net.Conn]bool{}
		ended bool
		group sync.WaitGroup
	)
	group.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open[conn] = true
			if ended {
				conn.Close()
			}
			mu.Unlock()
			group.Go(func() {
				serve(conn)
				conn.Close()
				mu.Lock()
				delete(open, conn)
				mu.Unlock()
			})
		}
	})
	t.Cleanup(func() {
		listener.Close()
		mu.Lock()
		ended = true
		for conn := range open {
			conn.Close()
		}
		mu.Unlock()
		group.Wait()
	})
	return listener.Addr().String()
}

// Client is toxiproxy's own client, to look at and change a server behind the back
// of the code under test.
func Client(url string) *client.Client { return client.NewClient(url) }

// Snapshot is everything that a server lists, as stable text.
func Snapshot(t testing.TB, url string) string {
	t.Helper()
	proxies, err := Client(url).Proxies()
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	encoder := json.NewEncoder(&text) // sorts the names
	encoder.SetIndent("", " ")
	if err := encoder.Encode(proxies); err != nil {
		t.Fatal(err)
	}
	return text.String()
}
