// Package promtest runs real Prometheus servers for tests, on histories that are made
// up: blocks that promtool makes of OpenMetrics text.
package promtest

import (
	"bufio"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/gameday-sh/gameday/internal/porttest"
)

// Sample is a value of a series; a gap in a history is no sample.
type Sample func(at time.Time) (value float64, there bool)

// Series is one series of a history, such as http_requests_total{code="200"}.
type Series struct {
	Name  string
	Value Sample
}

// History is made-up samples of series, one at each step from From to To.
type History struct {
	From, To time.Time
	Step     time.Duration
	Series   []Series
}

func (h History) write(w io.Writer) error {
	out := bufio.NewWriterSize(w, 1<<20)
	var line []byte
	for _, s := range h.Series {
		for at := h.From; !at.After(h.To); at = at.Add(h.Step) {
			value, there := s.Value(at)
			if !there {
				continue
			}
			line = append(append(line[:0], s.Name...), ' ')
			line = append(strconv.AppendFloat(line, value, 'g', -1, 64), ' ')
			line = append(strconv.AppendFloat(line, float64(at.UnixMilli())/1000, 'f', -1, 64), '\n')
			if _, err := out.Write(line); err != nil {
				return err
			}
		}
	}
	if _, err := io.WriteString(out, "# EOF\n"); err != nil {
		return err
	}
	return out.Flush()
}

// Program finds one of Prometheus's programs, or skips the test as those of package prom
// do.
func Program(t testing.TB, name string) string {
	t.Helper()
	if name == "prometheus" && os.Getenv("GAMEDAY_TEST_PROMETHEUS") != "" {
		return os.Getenv("GAMEDAY_TEST_PROMETHEUS")
	}
	binary, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("needs %s of a real Prometheus: install it (Debian: apt-get install prometheus)", name)
	}
	return binary
}

// Blocks makes blocks of a history in a folder.
func Blocks(t testing.TB, h History, dir string) {
	t.Helper()
	Import(t, h.write, dir, "--max-block-duration=744h")
}

// Import has promtool make blocks of OpenMetrics text in a folder.
func Import(t testing.TB, write func(io.Writer) error, dir string, flags ...string) {
	t.Helper()
	promtool := Program(t, "promtool")
	file, err := os.CreateTemp(t.TempDir(), "history")
	if err != nil {
		t.Fatal(err)
	}
	if err := write(file); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	arguments := append(append([]string{"tsdb", "create-blocks-from"}, flags...), "openmetrics", "-q", file.Name(), dir)
	if out, err := exec.Command(promtool, arguments...).CombinedOutput(); err != nil {
		t.Fatalf("promtool tsdb create-blocks-from openmetrics: %v\n%s", err, out)
	}
}

// Start runs a server on a history until the test ends, and gives its address.
func Start(t testing.TB, h History, flags ...string) (url string) {
	t.Helper()
	dir := t.TempDir()
	Blocks(t, h, dir)
	return On(t, dir, flags...)
}

// On runs a server on a folder of blocks until the test ends. It scrapes nothing.
func On(t testing.TB, dir string, flags ...string) (url string) {
	t.Helper()
	return With(t, dir, "scrape_configs: []\n", append([]string{"--storage.tsdb.retention.time=20y"}, flags...)...)
}

// With runs a server with a configuration on a folder of data until the test ends.
func With(t testing.TB, dir, configuration string, flags ...string) (url string) {
	t.Helper()
	binary := Program(t, "prometheus")
	config := filepath.Join(t.TempDir(), "prometheus.yml")
	if err := os.WriteFile(config, []byte(configuration), 0o600); err != nil {
		t.Fatal(err)
	}
	address := porttest.Address(t)
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary, append([]string{"--config.file=" + config, "--storage.tsdb.path=" + dir, "--web.listen-address=" + address}, flags...)...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-done:
		case <-time.After(20 * time.Second):
			_ = cmd.Process.Kill()
			<-done
		}
		_ = log.Close()
		if t.Failed() {
			if text, err := os.ReadFile(log.Name()); err == nil {
				t.Logf("the server's log:\n%s", text)
			}
		}
	})
	url = "http://" + address
	for range 600 {
		select {
		case err := <-done:
			done <- err
			t.Fatalf("prometheus ended: %v", err)
		default:
		}
		if resp, err := http.Get(url + "/-/ready"); err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return url
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal("prometheus did not get ready within 30 s")
	return ""
}
