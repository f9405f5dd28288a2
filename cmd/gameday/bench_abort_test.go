package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	client "github.com/Shopify/toxiproxy/v2/client"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/faults/toxiproxy/toxiproxytest"
)

const (
	liveToxics = 200
	// abortWorkers is how many targets the runner mends at once.
	abortWorkers = 32
)

const twoHundred = `
toxiproxy { url = "%[1]s" }

probe "http" "door" {
  url   = "%[2]s"
  every = "100ms"
}

scenario "two-hundred" {
  seed = 1
  hypothesis "the door answers" {
    probe          = probe.door
    hold           = "0s"
    recover_within = "2s"
  }
  fault "toxiproxy_latency" "late" {
    proxies  = ["p*"]
    latency  = "50ms"
    duration = "5m"
  }
  guard "threshold" "the-door-fails" {
    probe    = probe.door
    failures = true
    samples  = 1
  }
}
`

// BenchmarkAbort breaks 200 proxies of a real toxiproxy-server, each with a
// connection through it, lets what a probe measures every 100 ms fail, and takes the
// time until the last toxic is proven gone: from the measurement that trips the
// guard, as the result says it, and from the failure itself. The raw limit deletes
// the same toxics and reads each proxy, with as many workers and nothing else.
func BenchmarkAbort(b *testing.B) {
	const rounds = 30
	url, _ := toxiproxytest.Server(b)
	makeProxies(b, url)
	var failing atomic.Bool
	door := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if failing.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer door.Close()
	dir := b.TempDir()
	path := filepath.Join(dir, "two-hundred.hcl")
	if err := os.WriteFile(path, fmt.Appendf(nil, twoHundred, url, door.URL), 0o600); err != nil {
		b.Fatal(err)
	}
	var fromBreach, fromFailure, raw []time.Duration
	for b.Loop() {
		for range rounds {
			failed, stop := abortedRun(b, path, filepath.Join(dir, "state"), &failing)
			fromBreach = append(fromBreach, stop.Took())
			fromFailure = append(fromFailure, stop.Restored.Sub(failed))
			raw = append(raw, bareRevert(b, url))
		}
	}
	ms := func(samples []time.Duration, q float64) float64 { return milliseconds(quantile(samples, q)) }
	show(b,
		figure{"breach to 200 toxics verified gone p50", "ms", ms(fromBreach, 0.5), ms(raw, 0.5), 0},
		figure{"breach to 200 toxics verified gone p99", "ms", ms(fromBreach, 0.99), ms(raw, 0.99), 250},
		figure{"with the wait for the probe p50", "ms", ms(fromFailure, 0.5), 0, 0},
		figure{"with the wait for the probe p99", "ms", ms(fromFailure, 0.99), 0, 0},
	)
}

// makeProxies makes the proxies p1 to p200 and keeps a connection open through each.
func makeProxies(b *testing.B, url string) {
	b.Helper()
	upstream := toxiproxytest.Echo(b)
	for i := range liveToxics {
		proxy, err := toxiproxytest.Client(url).CreateProxy(fmt.Sprintf("p%d", i+1), "127.0.0.1:0", upstream)
		if err != nil {
			b.Fatal(err)
		}
		conn, err := net.Dial("tcp", proxy.Listen)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = conn.Close() }) // the server may have gone first
		if _, err := conn.Write([]byte("x")); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
			b.Fatal(err)
		}
	}
}

// abortedRun runs the program, lets the door fail once all toxics are on, and gives
// the moment of that and the stop as the stored result tells it.
func abortedRun(b *testing.B, path, state string, failing *atomic.Bool) (failed time.Time, stop *experiments.Stop) {
	b.Helper()
	failing.Store(false)
	command := exec.Command(program(b, "gameday"), "run", "--json", path)
	command.Env = append(os.Environ(), "GAMEDAY_STATE="+state)
	var stderr bytes.Buffer
	command.Stderr = &stderr
	events, err := command.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := command.Start(); err != nil {
		b.Fatal(err)
	}
	run, injected := "", 0
	lines := bufio.NewScanner(events)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var event experiments.Event
		if err := json.Unmarshal(lines.Bytes(), &event); err != nil {
			b.Fatalf("%v in %q", err, lines.Text())
		}
		switch {
		case event.Begin != nil:
			run = event.Begin.Run
		case event.Hit != nil && event.Hit.Step == experiments.Injected:
			if injected++; injected == liveToxics {
				// At any moment between two measurements.
				time.Sleep(200*time.Millisecond + rand.N(100*time.Millisecond))
				failed = time.Now()
				failing.Store(true)
			}
		case event.Type == experiments.EventPhase && event.Phase == experiments.PhaseRecover:
			failing.Store(false)
		}
	}
	err = errors.Join(lines.Err(), command.Wait())
	if code := command.ProcessState.ExitCode(); code != experiments.Aborted.ExitCode() {
		b.Fatalf("gameday exited with %d: %v\n%s", code, err, &stderr)
	}
	result, err := loadResult(filepath.Join(state, "runs", run, reportNames["json"]))
	if err != nil {
		b.Fatal(err)
	}
	if result.Stop == nil || result.Stop.Restored.IsZero() || len(result.Hits) != liveToxics {
		b.Fatalf("%d hits, stop %+v", len(result.Hits), result.Stop)
	}
	return failed, result.Stop
}

// bareRevert puts a toxic on each proxy, and takes the time to delete them all and
// to read every proxy afterwards.
func bareRevert(b *testing.B, url string) time.Duration {
	b.Helper()
	api := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: abortWorkers}}
	defer api.CloseIdleConnections()
	call := func(method, path string, in []byte, out any) error {
		request, err := http.NewRequest(method, url+path, bytes.NewReader(in))
		if err != nil {
			return err
		}
		response, err := api.Do(request)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		if err != nil {
			return err
		}
		if response.StatusCode > 299 {
			return fmt.Errorf("%s %s: %s", method, path, response.Status)
		}
		if out == nil {
			return nil
		}
		return json.Unmarshal(text, out)
	}
	side := func(do func(proxy string) error) error {
		var problems [abortWorkers]error
		var workers sync.WaitGroup
		for w := range abortWorkers {
			workers.Go(func() {
				for i := w; i < liveToxics && problems[w] == nil; i += abortWorkers {
					problems[w] = do(fmt.Sprintf("/proxies/p%d", i+1))
				}
			})
		}
		workers.Wait()
		return errors.Join(problems[:]...)
	}
	if err := side(func(proxy string) error {
		return call(http.MethodPost, proxy+"/toxics", []byte(`{"name":"bare","type":"latency","attributes":{"latency":50}}`), nil)
	}); err != nil {
		b.Fatal(err)
	}
	return timed(b, func() error {
		return side(func(proxy string) error {
			if err := call(http.MethodDelete, proxy+"/toxics/bare", nil, nil); err != nil {
				return err
			}
			var now client.Proxy
			if err := call(http.MethodGet, proxy, nil, &now); err != nil {
				return err
			}
			if len(now.ActiveToxics) > 0 {
				return fmt.Errorf("%s still carries %d toxics", proxy, len(now.ActiveToxics))
			}
			return nil
		})
	})
}
